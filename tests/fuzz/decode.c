/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoder on hostile code: the first byte chooses the mode, the rest is decoded instruction by
 * instruction. What it hands out must be inside the bounds everybody behind it relies on.
 */
#include "cpu/internal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* The decoder alone is linked: its table names functions that are not called here. */
#define EXEC(name)                                                                                 \
    void exec_##name(struct cpu *c, const struct insn *in)                                         \
    {                                                                                              \
        (void)c;                                                                                   \
        (void)in;                                                                                  \
    }
#include "cpu/decode/exec_list.h"

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check(const struct insn *in, u32 count)
{
    require(in->length >= 1 && in->length <= count && in->length <= 15);
    require(in->op >= opcode_table && in->op < opcode_table + opcode_count);
    require(in->opsize == 2 || in->opsize == 4 || in->opsize == 8);
    require(in->addrsize == 2 || in->addrsize == 4 || in->addrsize == 8);
    require(in->base <= REG_ZERO && in->index <= REG_ZERO && in->scale <= 3 && in->segment < SEGS);
    require(in->operands <= ARRAY_SIZE(in->o));
    for (u32 n = 0; n < in->operands; n++) {
        const struct operand *o = &in->o[n];
        require(o->kind > OPERAND_NONE && o->kind <= OPERAND_ST && o->reg < 16 && o->size <= 512);
        require(o->kind != OPERAND_SREG || o->reg < SEGS);
        require((o->kind != OPERAND_MMX && o->kind != OPERAND_ST && o->kind != OPERAND_DR) ||
                o->reg < 8);
        require(o->kind != OPERAND_GPR8H || o->reg < 4);
        require(o->kind != OPERAND_GPR || (o->size && o->size <= 8));
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static const u32 modes[] = {MODE_CODE64 | MODE_LMA | MODE_PE, MODE_CODE32 | MODE_PE, 0,
                                MODE_PE};
    if (!size)
        return 0;
    u32 mode = modes[data[0] & 3];
    for (size_t at = 1; at < size;) {
        struct insn in;
        u32 count = (u32)min_u64(size - at, 20);
        enum decode_result result = decode(&in, data + at, count, mode);
        if (result == DECODE_OK)
            check(&in, count);
        else
            require(!in.op && in.length <= 15);
        at += in.length ? in.length : 1;
    }
    return 0;
}
