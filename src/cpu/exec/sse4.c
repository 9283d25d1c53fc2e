/* SPDX-License-Identifier: Apache-2.0 */
/* SSE4.1's floating point (ROUNDxx, DPPx) and SSE4.2's string comparisons, built from baseline
 * operations. */
#include "cpu/exec/sse_round.h"

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

void exec_dpps(struct cpu *c, const struct insn *in)
{
    union xmm b = read_xmm(c, in, 1, 16), a = c->arch.vector[in->o[0].reg].xmm;
    dot_singles(c, (u8)in->imm, &a, &b, 1);
    c->arch.vector[in->o[0].reg].xmm = a;
}

void exec_dppd(struct cpu *c, const struct insn *in)
{
    union xmm b = read_xmm(c, in, 1, 16), a = c->arch.vector[in->o[0].reg].xmm;
    dot_doubles(c, (u8)in->imm, &a, &b);
    c->arch.vector[in->o[0].reg].xmm = a;
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
