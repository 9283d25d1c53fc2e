/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packed integer arithmetic of MMX, SSE2, SSSE3 and SSE4: mnemonics that exist for MMX registers, XMM registers or
 * both. A row is a leaf on two vectors; for MMX the operands are in the low halves.
 */
#include "cpu/sse.h"

// clang-format off
LANES(paddb, _mm_add_epi8(a, b))       LANES(psubb, _mm_sub_epi8(a, b))
LANES(paddw, _mm_add_epi16(a, b))      LANES(psubw, _mm_sub_epi16(a, b))
LANES(paddd, _mm_add_epi32(a, b))      LANES(psubd, _mm_sub_epi32(a, b))
LANES(paddq, _mm_add_epi64(a, b))      LANES(psubq, _mm_sub_epi64(a, b))
LANES(paddsb, _mm_adds_epi8(a, b))     LANES(psubsb, _mm_subs_epi8(a, b))
LANES(paddsw, _mm_adds_epi16(a, b))    LANES(psubsw, _mm_subs_epi16(a, b))
LANES(paddusb, _mm_adds_epu8(a, b))    LANES(psubusb, _mm_subs_epu8(a, b))
LANES(paddusw, _mm_adds_epu16(a, b))   LANES(psubusw, _mm_subs_epu16(a, b))
LANES(pmullw, _mm_mullo_epi16(a, b))   LANES(pmuludq, _mm_mul_epu32(a, b))
LANES(pmulhw, _mm_mulhi_epi16(a, b))   LANES(pmulhuw, _mm_mulhi_epu16(a, b))
LANES(pmaddwd, _mm_madd_epi16(a, b))   LANES(psadbw, _mm_sad_epu8(a, b))
LANES(pavgb, _mm_avg_epu8(a, b))       LANES(pavgw, _mm_avg_epu16(a, b))
LANES(pminub, _mm_min_epu8(a, b))      LANES(pmaxub, _mm_max_epu8(a, b))
LANES(pminsw, _mm_min_epi16(a, b))     LANES(pmaxsw, _mm_max_epi16(a, b))
LANES(pcmpeqb, _mm_cmpeq_epi8(a, b))   LANES(pcmpgtb, _mm_cmpgt_epi8(a, b))
LANES(pcmpeqw, _mm_cmpeq_epi16(a, b))  LANES(pcmpgtw, _mm_cmpgt_epi16(a, b))
LANES(pcmpeqd, _mm_cmpeq_epi32(a, b))  LANES(pcmpgtd, _mm_cmpgt_epi32(a, b))
LANES(pand, _mm_and_si128(a, b))       LANES(pandn, _mm_andnot_si128(a, b))
LANES(por, _mm_or_si128(a, b))         LANES(pxor, _mm_xor_si128(a, b))
// clang-format on

/* --- Unpacks and packs: MMX has half as many elements --------------------------------------------------------- */

// clang-format off
/* The low unpacks of MMX read 32 bits of memory; the low half of the vector is right for them as it is. */
#define UNPACK_LOW(name, expression) LEAF(name, expression) BOTH(name, name##_leaf, 4)

/* The high unpack of a 64-bit vector is the upper half of its low unpack to 128. */
#define UNPACK_HIGH(name, expression, low) \
    LEAF(name, expression) LEAF(mmx_##name, _mm_srli_si128(low, 8)) BOTH(name, mmx_##name##_leaf, 8)

#define PACK(name, pack) HALVES(name, pack(a, b))

UNPACK_LOW(punpcklbw, _mm_unpacklo_epi8(a, b))
UNPACK_LOW(punpcklwd, _mm_unpacklo_epi16(a, b))
UNPACK_LOW(punpckldq, _mm_unpacklo_epi32(a, b))
XMM_ONLY(punpcklqdq, _mm_unpacklo_epi64(a, b))
UNPACK_HIGH(punpckhbw, _mm_unpackhi_epi8(a, b), _mm_unpacklo_epi8(a, b))
UNPACK_HIGH(punpckhwd, _mm_unpackhi_epi16(a, b), _mm_unpacklo_epi16(a, b))
UNPACK_HIGH(punpckhdq, _mm_unpackhi_epi32(a, b), _mm_unpacklo_epi32(a, b))
XMM_ONLY(punpckhqdq, _mm_unpackhi_epi64(a, b))
PACK(packsswb, _mm_packs_epi16)
PACK(packssdw, _mm_packs_epi32)
PACK(packuswb, _mm_packus_epi16)
// clang-format on

/* --- Shifts: the count is the whole low quadword of the source, or imm8 ------------------------------------------ */

INLINE void shift(struct cpu *c, const struct insn *in, vector_fn *leaf)
{
    u8 reg = in->o[0].reg;
    if (in->o[1].kind != OPERAND_IMM)
        packed_xmm(c, in, 16, leaf);
    else
        vector_put(&c->xmm[reg], leaf(vector_get(&c->xmm[reg]), _mm_set_epi64x(0, (u8)in->imm)));
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
#define SHIFT(name, leaf_function) \
    LEAF(name, leaf_function(a, b)) \
    void exec_##name(struct cpu *c, const struct insn *in) { shift(c, in, name##_leaf); } \
    void exec_mmx_##name(struct cpu *c, const struct insn *in) { shift_mmx(c, in, name##_leaf); }

SHIFT(psllw, _mm_sll_epi16) SHIFT(pslld, _mm_sll_epi32) SHIFT(psllq, _mm_sll_epi64)
SHIFT(psrlw, _mm_srl_epi16) SHIFT(psrld, _mm_srl_epi32) SHIFT(psrlq, _mm_srl_epi64)
SHIFT(psraw, _mm_sra_epi16) SHIFT(psrad, _mm_sra_epi32)
// clang-format on

/* A window of 16 bytes into zeros, the register, zeros. */
static void shift_bytes(struct cpu *c, const struct insn *in, bool left)
{
    u8 window[48] = {0};
    union xmm *d = &c->xmm[in->o[0].reg];
    u32 count = (u32)min_u64((u8)in->imm, 16);
    memcpy(window + 16, d, 16);
    memcpy(d, window + (left ? 16 - count : 16 + count), 16);
}

void exec_pslldq(struct cpu *c, const struct insn *in)
{
    shift_bytes(c, in, true);
}

void exec_psrldq(struct cpu *c, const struct insn *in)
{
    shift_bytes(c, in, false);
}

/* --- State ------------------------------------------------------------------------------------------------------- */

void exec_emms(struct cpu *c, const struct insn *in)
{
    (void)in;
    c->x87.top = 0;
    c->x87.tag = 0xffff;
}
