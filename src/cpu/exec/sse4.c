/* SPDX-License-Identifier: Apache-2.0 */
/* SSE4.1's floating point (ROUNDxx, DPPx) and SSE4.2's string comparisons, built from baseline
 * operations. */
#include "cpu/exec/sse.h"

// clang-format off
ASM_LEAF(addss) ASM_LEAF(addsd) ASM_LEAF(subss) ASM_LEAF(subsd)
ASM_LEAF(addps) ASM_LEAF(addpd) ASM_LEAF(mulps) ASM_LEAF(mulpd)
// clang-format on

/* --- ROUNDxx ---------------------------------------------------------------------------------- */

/* Rounds to an integer by adding and subtracting 2^23 (2^52), which follows the current rounding
 * mode and its PE. The result has the operand's sign, even if it is zero. Larger numbers are
 * integers already; NaNs pass through the addition, which makes them quiet. */
static u32 round_single(u32 v)
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

static u64 round_double(u64 v)
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
static void round_begin(struct cpu *c, const struct insn *in)
{
    u32 control = c->arch.mxcsr & (MXCSR_DAZ | 0x6000);
    if (!(in->imm & 4))
        control = (control & MXCSR_DAZ) | (u32)(in->imm & 3) << 13;
    host_mxcsr_put(control | MXCSR_MASKS);
}

static void round_end(struct cpu *c, const struct insn *in)
{
    u32 ignored = in->imm & 8 ? MXCSR_DE | MXCSR_PE : MXCSR_DE;
    fp_commit(c, fp_flags(c) & ~ignored);
}

// clang-format off
#define ROUND(name, size, lane, lanes, rounded) \
    void exec_##name(struct cpu *c, const struct insn *in) \
    { \
        union xmm s = read_xmm(c, in, 1, size), r = c->arch.vector[in->o[0].reg].xmm; \
        bool live = mxcsr_suspend(c); \
        round_begin(c, in); \
        for (u32 i = 0; i < lanes; i++) \
            r.lane[i] = rounded(s.lane[i]); \
        round_end(c, in); \
        mxcsr_resume(c, live); \
        c->arch.vector[in->o[0].reg].xmm = r; \
    }
ROUND(roundps, 16, d, 4, round_single) ROUND(roundss, 4, d, 1, round_single)
ROUND(roundpd, 16, q, 2, round_double) ROUND(roundsd, 8, q, 1, round_double)
// clang-format on

/* --- Dot products: imm8 7:4 which products count, 3:0 which elements get the sum -------------- */

static __m128i lanes_mask(u32 bits)
{
    return _mm_set_epi32(-(s32)(bits >> 3 & 1), -(s32)(bits >> 2 & 1), -(s32)(bits >> 1 & 1),
                         -(s32)(bits & 1));
}

/* The multiplication and each addition end the instruction if they raise an unmasked exception. */
static __m128i stage(struct cpu *c, __m128i v, enum tiny tiny)
{
    union xmm r = vector_xmm(v);
    u32 flags = fp_flags(c);
    if (!(c->arch.mxcsr & MXCSR_UM))
        flags |= fp_tiny(&r, tiny);
    fp_commit(c, flags);
    fp_begin(c);
    return v;
}

void exec_dpps(struct cpu *c, const struct insn *in)
{
    union xmm s = read_xmm(c, in, 1, 16);
    union xmm *d = &c->arch.vector[in->o[0].reg].xmm;
    __m128i used = lanes_mask((u32)in->imm >> 4);
    fp_begin(c);
    __m128i p = mulps_leaf(_mm_and_si128(vector_get(d), used), _mm_and_si128(vector_get(&s), used));
    p = stage(c, _mm_and_si128(p, used), TINY_PS);
    /* 0+1 1+0 2+3 3+2 */
    __m128i pairs = stage(c, addps_leaf(p, _mm_shuffle_epi32(p, 0xb1)), TINY_PS);
    __m128i sum = stage(c, addps_leaf(pairs, _mm_shuffle_epi32(pairs, 0x4e)), TINY_PS);
    fp_end(c);
    vector_put(d, _mm_and_si128(_mm_shuffle_epi32(sum, 0), lanes_mask((u32)in->imm)));
}

void exec_dppd(struct cpu *c, const struct insn *in)
{
    union xmm s = read_xmm(c, in, 1, 16);
    union xmm *d = &c->arch.vector[in->o[0].reg].xmm;
    __m128i used = _mm_set_epi64x(-(s64)(in->imm >> 5 & 1), -(s64)(in->imm >> 4 & 1));
    __m128i kept = _mm_set_epi64x(-(s64)(in->imm >> 1 & 1), -(s64)(in->imm & 1));
    fp_begin(c);
    __m128i p = mulpd_leaf(_mm_and_si128(vector_get(d), used), _mm_and_si128(vector_get(&s), used));
    p = stage(c, _mm_and_si128(p, used), TINY_PD);
    __m128i sum = stage(c, addpd_leaf(p, _mm_shuffle_epi32(p, 0x4e)), TINY_PD);
    fp_end(c);
    vector_put(d, _mm_and_si128(_mm_shuffle_epi32(sum, 0x44), kept));
}

/* --- PCMPxSTRx [APM4]: imm8 1:0 format, 3:2 comparison, 5:4 polarity, 6 output ---------------- */

struct strings {
    union xmm a, b;
    s32 elements; /* 16 bytes or 8 words */
    s32 length_a, length_b;
    u8 control;
};

static s32 element(const struct strings *s, const union xmm *x, s32 i)
{
    switch (s->control & 3) {
    case 0:
        return x->b[i];
    case 1:
        return x->w[i];
    case 2:
        return (s8)x->b[i];
    default:
        return (s16)x->w[i];
    }
}

static bool equal(const struct strings *s, s32 i, s32 j)
{
    return element(s, &s->a, i) == element(s, &s->b, j);
}

/* Returns true if element j of b is one of a's. */
static bool match_any(const struct strings *s, s32 j)
{
    for (s32 i = 0; i < s->length_a && j < s->length_b; i++)
        if (equal(s, i, j))
            return true;
    return false;
}

/* Returns true if element j of b lies in one of the ranges given by a's pairs. */
static bool match_ranges(const struct strings *s, s32 j)
{
    for (s32 i = 0; i + 1 < s->length_a && j < s->length_b; i += 2) {
        s32 v = element(s, &s->b, j);
        if (element(s, &s->a, i) <= v && v <= element(s, &s->a, i + 1))
            return true;
    }
    return false;
}

static bool match_each(const struct strings *s, s32 j)
{
    if (j < s->length_a && j < s->length_b)
        return equal(s, j, j);
    return j >= s->length_a && j >= s->length_b;
}

/* Returns true if a, as far as it fits, occurs in b at j. */
static bool match_ordered(const struct strings *s, s32 j)
{
    for (s32 i = 0; i < s->length_a && j + i < s->elements; i++)
        if (j + i >= s->length_b || !equal(s, i, j + i))
            return false;
    return true;
}

static u32 compare_strings(const struct strings *s)
{
    static bool (*const match[4])(const struct strings *, s32) = {match_any, match_ranges,
                                                                  match_each, match_ordered};
    u32 bits = 0, all = (1u << s->elements) - 1;
    for (s32 j = 0; j < s->elements; j++)
        bits |= match[s->control >> 2 & 3](s, j) ? 1u << j : 0;
    if ((s->control & 0x30) == 0x10)
        bits ^= all;
    if ((s->control & 0x30) == 0x30)
        bits ^= (1u << s->length_b) - 1;
    return bits;
}

static s32 implicit_length(const struct strings *s, const union xmm *x)
{
    s32 n = 0;
    while (n < s->elements && element(s, x, n) != 0)
        n++;
    return n;
}

static s32 explicit_length(const struct strings *s, const struct insn *in, u64 v)
{
    s64 n = rex_w(in) ? (s64)v : (s32)v;
    u64 magnitude = n < 0 ? 0 - (u64)n : (u64)n;
    return (s32)min_u64(magnitude, (u64)s->elements);
}

static u32 strings_result(struct cpu *c, const struct insn *in, bool explicit_lengths,
                          struct strings *s)
{
    s->control = (u8)in->imm;
    s->elements = in->imm & 1 ? 8 : 16;
    s->b = read_xmm(c, in, 1, 16);
    s->a = c->arch.vector[in->o[0].reg].xmm;
    s->length_a =
        explicit_lengths ? explicit_length(s, in, c->arch.r[RAX]) : implicit_length(s, &s->a);
    s->length_b =
        explicit_lengths ? explicit_length(s, in, c->arch.r[RDX]) : implicit_length(s, &s->b);
    u32 bits = compare_strings(s);
    flags_set(c, (bits ? RFLAGS_CF : 0) | (s->length_b < s->elements ? RFLAGS_ZF : 0) |
                     (s->length_a < s->elements ? RFLAGS_SF : 0) | (bits & 1 ? RFLAGS_OF : 0));
    return bits;
}

static void string_index(struct cpu *c, const struct insn *in, bool explicit_lengths)
{
    struct strings s;
    u32 bits = strings_result(c, in, explicit_lengths, &s);
    s32 index = s.elements;
    if (bits)
        index = in->imm & 0x40 ? 31 - __builtin_clz(bits) : __builtin_ctz(bits);
    gpr_write(c, RCX, 4, (u32)index);
}

static void string_mask(struct cpu *c, const struct insn *in, bool explicit_lengths)
{
    struct strings s;
    u32 bits = strings_result(c, in, explicit_lengths, &s);
    union xmm r = {.q = {bits, 0}};
    if (in->imm & 0x40)
        for (s32 i = 0; i < 16; i++)
            r.b[i] = bits >> (s.elements == 16 ? i : i / 2) & 1 ? 0xff : 0;
    c->arch.vector[0].xmm = r;
}

void exec_pcmpestri(struct cpu *c, const struct insn *in)
{
    string_index(c, in, true);
}

void exec_pcmpistri(struct cpu *c, const struct insn *in)
{
    string_index(c, in, false);
}

void exec_pcmpestrm(struct cpu *c, const struct insn *in)
{
    string_mask(c, in, true);
}

void exec_pcmpistrm(struct cpu *c, const struct insn *in)
{
    string_mask(c, in, false);
}
