/* SPDX-License-Identifier: Apache-2.0 */
/* SSE4.1's floating point, for the legacy and the VEX forms, built from baseline operations. */
#ifndef SOFTSEV_CPU_EXEC_SSE_ROUND_H
#define SOFTSEV_CPU_EXEC_SSE_ROUND_H

#include "cpu/exec/sse.h"

// clang-format off
ASM_LEAF(addss) ASM_LEAF(addsd) ASM_LEAF(subss) ASM_LEAF(subsd)
ASM_LEAF(addps) ASM_LEAF(addpd) ASM_LEAF(mulps) ASM_LEAF(mulpd)
// clang-format on

/* --- ROUNDxx ---------------------------------------------------------------------------------- */

/* Rounds to an integer by adding and subtracting 2^23 (2^52), which follows the current rounding
 * mode and its PE. The result has the operand's sign, even if it is zero. Larger numbers are
 * integers already; NaNs pass through the addition, which makes them quiet. */
static inline u32 round_single(u32 v)
{
    u32 sign = v & 0x80000000, exponent = (v >> 23) & 0xff;
    bool nan = (v & 0x7fffffff) > 0x7f800000;
    if (exponent >= 127 + 23 && !nan)
        return v;
    __m128i magic = _mm_cvtsi32_si128((s32)(0x4b000000 | sign));
    __m128i r = addss_leaf(_mm_cvtsi32_si128((s32)v), magic);
    if (nan)
        return (u32)_mm_cvtsi128_si32(r);
    r = subss_leaf(r, magic);
    return ((u32)_mm_cvtsi128_si32(r) & 0x7fffffff) | sign;
}

static inline u64 round_double(u64 v)
{
    u64 sign = v & BIT(63), exponent = BITS(v, 62, 52);
    bool nan = (v & ~BIT(63)) > 0x7ff0000000000000;
    if (exponent >= 1023 + 52 && !nan)
        return v;
    __m128i magic = _mm_cvtsi64_si128((s64)(0x4330000000000000 | sign));
    __m128i r = addsd_leaf(_mm_cvtsi64_si128((s64)v), magic);
    if (nan)
        return (u64)_mm_cvtsi128_si64(r);
    r = subsd_leaf(r, magic);
    return ((u64)_mm_cvtsi128_si64(r) & ~BIT(63)) | sign;
}

/* imm8 bits 1:0 are the rounding mode, unless bit 2 selects that of MXCSR; bit 3: no PE. Denormal
 * operands are not reported. */
static inline void round_begin(struct cpu *c, const struct insn *in)
{
    u32 control = c->arch.mxcsr & (MXCSR_DAZ | 0x6000);
    if (!(in->imm & 4))
        control = (control & MXCSR_DAZ) | (u32)(in->imm & 3) << 13;
    host_mxcsr_put(control | MXCSR_MASKS);
}

static inline void round_end(struct cpu *c, const struct insn *in)
{
    u32 ignored = in->imm & 8 ? MXCSR_DE | MXCSR_PE : MXCSR_DE;
    fp_commit(c, fp_flags(c) & ~ignored);
}

/* --- Dot products: imm8 7:4 which products count, 3:0 which elements get the sum -------------- */

INLINE __m128i lanes_mask(u32 bits)
{
    return _mm_set_epi32(-(s32)(bits >> 3 & 1), -(s32)(bits >> 2 & 1), -(s32)(bits >> 1 & 1),
                         -(s32)(bits & 1));
}

/* The multiplication and each addition end the instruction if they raise an unmasked exception in
 * one of the lanes. */
INLINE void stage_end(struct cpu *c, const __m128i *v, u32 lanes, enum tiny tiny)
{
    u32 flags = fp_flags(c);
    for (u32 i = 0; i < lanes && !(c->arch.mxcsr & MXCSR_UM); i++) {
        union xmm r = vector_xmm(v[i]);
        flags |= fp_tiny(&r, tiny);
    }
    fp_commit(c, flags);
    fp_begin(c);
}

/* Replaces a by the dot products of a and b: 0+1 1+0 2+3 3+2, then the sums of both pairs. */
INLINE void dot_singles(struct cpu *c, u32 imm, union xmm *a, const union xmm *b, u32 lanes)
{
    __m128i v[2], used = lanes_mask(imm >> 4);
    fp_begin(c);
    for (u32 i = 0; i < lanes; i++)
        v[i] = _mm_and_si128(mulps_leaf(_mm_and_si128(vector_get(&a[i]), used),
                                        _mm_and_si128(vector_get(&b[i]), used)),
                             used);
    stage_end(c, v, lanes, TINY_PS);
    for (u32 i = 0; i < lanes; i++)
        v[i] = addps_leaf(v[i], _mm_shuffle_epi32(v[i], 0xb1));
    stage_end(c, v, lanes, TINY_PS);
    for (u32 i = 0; i < lanes; i++)
        v[i] = addps_leaf(v[i], _mm_shuffle_epi32(v[i], 0x4e));
    stage_end(c, v, lanes, TINY_PS);
    fp_end(c);
    for (u32 i = 0; i < lanes; i++)
        a[i] = vector_xmm(_mm_and_si128(_mm_shuffle_epi32(v[i], 0), lanes_mask(imm)));
}

INLINE void dot_doubles(struct cpu *c, u32 imm, union xmm *a, const union xmm *b)
{
    __m128i used = _mm_set_epi64x(-(s64)(imm >> 5 & 1), -(s64)(imm >> 4 & 1));
    __m128i kept = _mm_set_epi64x(-(s64)(imm >> 1 & 1), -(s64)(imm & 1));
    fp_begin(c);
    __m128i v = mulpd_leaf(_mm_and_si128(vector_get(a), used), _mm_and_si128(vector_get(b), used));
    v = _mm_and_si128(v, used);
    stage_end(c, &v, 1, TINY_PD);
    v = addpd_leaf(v, _mm_shuffle_epi32(v, 0x4e));
    stage_end(c, &v, 1, TINY_PD);
    fp_end(c);
    *a = vector_xmm(_mm_and_si128(_mm_shuffle_epi32(v, 0x44), kept));
}

#endif
