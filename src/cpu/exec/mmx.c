/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packed integer arithmetic of MMX, SSE2, SSSE3 and SSE4: mnemonics that exist for MMX
 * registers, XMM registers or both. A row is a leaf function on two vectors; for MMX the operands
 * are in the low halves.
 */
#include "cpu/exec/sse_shuffle.h"

INLINE void shift(struct cpu *c, const struct insn *in, vector_fn *leaf)
{
    u8 reg = in->o[0].reg;
    if (in->o[1].kind != OPERAND_IMM)
        packed_xmm(c, in, 16, leaf);
    else
        vector_put(&c->arch.vector[reg].xmm,
                   leaf(vector_get(&c->arch.vector[reg].xmm), _mm_set_epi64x(0, (u8)in->imm)));
}

INLINE void shift_mmx(struct cpu *c, const struct insn *in, vector_fn *leaf)
{
    u64 count = in->o[1].kind == OPERAND_IMM ? (u8)in->imm : read_mmx(c, in, 1, 8);
    u8 reg = in->o[0].reg;
    mmx_enter(c);
    __m128i r = leaf(_mm_set_epi64x(0, (s64)mmx_get(c, reg)), _mm_set_epi64x(0, (s64)count));
    mmx_put(c, reg, (u64)_mm_cvtsi128_si64(r));
}

// clang-format off
/* For MMX, the low half of the vector is already the result. */
#define UNPACK_LOW(name, expression) LEAF(name, expression) BOTH(name, name##_leaf, 4)
#define UNPACK_HIGH(name, expression, low) \
    LEAF(name, expression) LEAF(mmx_##name, _mm_srli_si128(low, 8)) BOTH(name, mmx_##name##_leaf, 8)
#define PACK(name, pack) HALVES(name, pack(a, b))
#define SHIFT(name, leaf_function) \
    LEAF(name, leaf_function(a, b)) \
    void exec_##name(struct cpu *c, const struct insn *in) { shift(c, in, name##_leaf); } \
    void exec_mmx_##name(struct cpu *c, const struct insn *in) { shift_mmx(c, in, name##_leaf); }
#include "cpu/exec/packed.def"
// clang-format on

void exec_pslldq(struct cpu *c, const struct insn *in)
{
    union xmm *d = &c->arch.vector[in->o[0].reg].xmm;
    *d = pslldq_imm(*d, *d, (u8)in->imm);
}

void exec_psrldq(struct cpu *c, const struct insn *in)
{
    union xmm *d = &c->arch.vector[in->o[0].reg].xmm;
    *d = psrldq_imm(*d, *d, (u8)in->imm);
}

/* --- State ------------------------------------------------------------------------------------ */

void exec_emms(struct cpu *c, const struct insn *in)
{
    (void)in;
    c->arch.x87.top = 0;
    c->arch.x87.tag = 0xffff;
}
