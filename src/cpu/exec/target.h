/* SPDX-License-Identifier: Apache-2.0 */
/* Operands that integer exec functions read and then write: located and checked once. */
#ifndef SOFTSEV_CPU_EXEC_TARGET_H
#define SOFTSEV_CPU_EXEC_TARGET_H

#include "cpu/engine/engine.h"

struct target {
    u64 value; /* zero-extended */
    u64 linear;
    bool memory;
    u32 size;
};

static inline u64 size_mask(u32 size)
{
    return size >= 8 ? ~0ull : BIT(8 * size) - 1;
}

static inline struct target target_memory(struct cpu *c, u64 linear, u32 size)
{
    probe_write(c, linear, size);
    return (struct target){
        .value = load(c, linear, size), .linear = linear, .memory = true, .size = size};
}

static inline struct target target_read(struct cpu *c, const struct insn *in, u32 n)
{
    const struct operand *o = &in->o[n];
    if (o->kind == OPERAND_MEM)
        return target_memory(c, operand_address(c, in, o->size, true), o->size);
    return (struct target){.value = operand_read(c, in, n), .size = o->size};
}

static inline void target_write(struct cpu *c, const struct insn *in, u32 n, const struct target *t,
                                u64 value)
{
    if (t->memory)
        store(c, t->linear, t->size, value);
    else
        operand_write(c, in, n, value);
}

#endif
