/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared parts of the VEX handlers. Nearly all of AVX and AVX2 works on lanes of 16 bytes as the
 * legacy instruction does, so a handler runs the legacy leaf once for each lane, on a host of any
 * kind. A VEX instruction clears the bits above its result. Memory is read whole before anything is
 * written.
 */
#ifndef SOFTSEV_CPU_EXEC_AVX_H
#define SOFTSEV_CPU_EXEC_AVX_H

#include "cpu/exec/sse.h"

#define YMM_LANES 2u

union ymm {
    union xmm lane[YMM_LANES];
    u8 b[32];
    u16 w[16];
    u32 d[8];
    u64 q[4];
};

/* --- Operands --------------------------------------------------------------------------------- */

INLINE u32 vex_lanes(const struct insn *in)
{
    return in->vl / 16u;
}

INLINE union ymm register_ymm(const struct cpu *c, u8 reg)
{
    union ymm v;
    memcpy(&v, &c->arch.vector[reg], sizeof v);
    return v;
}

INLINE union ymm load_ymm(struct cpu *c, u64 linear, u32 size)
{
    const struct tlb_entry *e = &c->engine.tlb[(linear >> PAGE_SHIFT) & (TLB_ENTRIES - 1)];
    u64 offset = linear ^ e->rtag;
    union ymm v = {.q = {0}};
    if (LIKELY(offset <= PAGE_SIZE - size))
        memcpy(&v, e->host + offset, size);
    else
        for (u32 at = 0; at < size; at += 8)
            v.q[at / 8] = load(c, linear + at, (u32)min_u64(size - at, 8));
    return v;
}

INLINE void store_ymm(struct cpu *c, u64 linear, const void *v, u32 size)
{
    const struct tlb_entry *e = &c->engine.tlb[(linear >> PAGE_SHIFT) & (TLB_ENTRIES - 1)];
    u64 offset = linear ^ e->wtag;
    if (LIKELY(offset <= PAGE_SIZE - size))
        memcpy(e->host + offset, v, size);
    else
        store_bytes(c, linear, v, size);
}

/* Reads operand n: a register, or `size` bytes of memory, zero-extended. */
INLINE union ymm read_ymm(struct cpu *c, const struct insn *in, u32 n, u32 size)
{
    if (in->o[n].kind != OPERAND_MEM)
        return register_ymm(c, in->o[n].reg);
    return load_ymm(c, operand_address(c, in, size, false), size);
}

/* Writes the first lanes of a register and clears the rest of it. */
INLINE void write_ymm(struct cpu *c, u8 reg, const union ymm *v, u32 lanes)
{
    union vector_register *d = &c->arch.vector[reg];
    memcpy(d, v, 16 * lanes);
    memset(&d->lane[lanes], 0, VECTOR_BYTES - 16 * lanes);
}

INLINE void write_xmm(struct cpu *c, u8 reg, union xmm v)
{
    union vector_register *d = &c->arch.vector[reg];
    d->xmm = v;
    memset(&d->lane[1], 0, VECTOR_BYTES - 16);
}

/* --- Integer ---------------------------------------------------------------------------------- */

/* Applies a leaf to operands 1 and 2, lane by lane. */
INLINE void vex_binary(struct cpu *c, const struct insn *in, vector_fn *leaf)
{
    union ymm b = read_ymm(c, in, 2, in->vl), a = register_ymm(c, in->o[1].reg), r;
    for (u32 i = 0; i < vex_lanes(in); i++)
        r.lane[i] = vector_xmm(leaf(vector_get(&a.lane[i]), vector_get(&b.lane[i])));
    write_ymm(c, in->o[0].reg, &r, vex_lanes(in));
}

/* Applies a leaf that uses only its second argument to operand 1. Each lane of the result comes
 * from `size` bytes of the operand. */
INLINE void vex_widen(struct cpu *c, const struct insn *in, u32 size, vector_fn *leaf)
{
    union ymm b = read_ymm(c, in, 1, size * vex_lanes(in)), r;
    for (u32 i = 0; i < vex_lanes(in); i++) {
        union xmm part = {.q = {0}};
        memcpy(&part, b.b + i * size, size);
        r.lane[i] = vector_xmm(leaf(_mm_setzero_si128(), vector_get(&part)));
    }
    write_ymm(c, in->o[0].reg, &r, vex_lanes(in));
}

INLINE void vex_unary(struct cpu *c, const struct insn *in, vector_fn *leaf)
{
    vex_widen(c, in, 16, leaf);
}

#endif
