/* SPDX-License-Identifier: Apache-2.0 */
/* The floating point of AVX, from the tables of the legacy instructions; see sse_float.c. The
 * exceptions of all elements are raised together. */
#include "cpu/exec/avx.h"
#include "cpu/exec/sse_across.h"
#include "cpu/exec/sse_round.h"

/* Adds the flags of denormal results if underflow is unmasked, and raises what is unmasked. */
INLINE void vex_fp_end(struct cpu *c, const union ymm *r, u32 lanes, enum tiny tiny)
{
    u32 flags = fp_flags(c);
    for (u32 i = 0; tiny != NEVER_TINY && i < lanes && UNLIKELY(!(c->arch.mxcsr & MXCSR_UM)); i++)
        flags |= fp_tiny(&r->lane[i], tiny);
    fp_commit(c, flags);
}

/* `size`: 16 for vectors, 4 or 8 for scalars, whose other bits come from the first source. */
INLINE void vex_fp(struct cpu *c, const struct insn *in, u32 size, enum tiny tiny, vector_fn *leaf)
{
    u32 lanes = size == 16 ? vex_lanes(in) : 1;
    union ymm b = read_ymm(c, in, 2, size == 16 ? in->vl : size);
    union ymm a = register_ymm(c, in->o[1].reg), r;
    fp_begin(c);
    for (u32 i = 0; i < lanes; i++)
        r.lane[i] = vector_xmm(leaf(vector_get(&a.lane[i]), vector_get(&b.lane[i])));
    vex_fp_end(c, &r, lanes, tiny);
    write_ymm(c, in->o[0].reg, &r, lanes);
}

/* Each lane of the result comes from `size` bytes of the only source. */
INLINE void vex_fp_widen(struct cpu *c, const struct insn *in, u32 size, enum tiny tiny,
                         vector_fn *leaf)
{
    u32 lanes = vex_lanes(in);
    union ymm b = read_ymm(c, in, 1, size * lanes), r;
    fp_begin(c);
    for (u32 i = 0; i < lanes; i++) {
        union xmm part = {.q = {0}};
        memcpy(&part, b.b + i * size, size);
        r.lane[i] = vector_xmm(leaf(_mm_setzero_si128(), vector_get(&part)));
    }
    vex_fp_end(c, &r, lanes, tiny);
    write_ymm(c, in->o[0].reg, &r, lanes);
}

/* Each lane of the only source becomes 8 bytes of the result, which has one lane. */
INLINE void vex_fp_narrow(struct cpu *c, const struct insn *in, enum tiny tiny, vector_fn *leaf)
{
    u32 lanes = vex_lanes(in);
    union ymm b = read_ymm(c, in, 1, in->vl), r = {.q = {0}};
    fp_begin(c);
    for (u32 i = 0; i < lanes; i++)
        r.q[i] = (u64)_mm_cvtsi128_si64(leaf(_mm_setzero_si128(), vector_get(&b.lane[i])));
    vex_fp_end(c, &r, 1, tiny);
    write_ymm(c, in->o[0].reg, &r, 1);
}

// clang-format off
#define VEX_FP(name, call) void exec_v##name(struct cpu *c, const struct insn *in) { call; }
#define FP(name, size, tiny)       ASM_LEAF(name) VEX_FP(name, vex_fp(c, in, size, tiny, name##_leaf))
#define FP_UNARY(name, size, tiny) ASM_LEAF(name) VEX_FP(name, vex_fp_widen(c, in, size, tiny, name##_leaf))
#define FP_WIDEN  FP_UNARY
#define FP_NARROW(name, size, tiny) ASM_LEAF(name) VEX_FP(name, vex_fp_narrow(c, in, tiny, name##_leaf))
/* those that sse_round.h has already */
#define addss_leaf  vex_addss_leaf
#define addsd_leaf  vex_addsd_leaf
#define subss_leaf  vex_subss_leaf
#define subsd_leaf  vex_subsd_leaf
#define addps_leaf  vex_addps_leaf
#define addpd_leaf  vex_addpd_leaf
#define mulps_leaf  vex_mulps_leaf
#define mulpd_leaf  vex_mulpd_leaf
#include "cpu/exec/float.def"

#define FP_LEAF(name, tiny, expression) LEAF(name, expression) VEX_FP(name, vex_fp(c, in, 16, tiny, name##_leaf))
#include "cpu/exec/float3.def"
// clang-format on

/* --- Comparisons: 32 predicates --------------------------------------------------------------- */

enum { LESS = 1, EQUAL = 2, GREATER = 4, UNORDERED = 8 };

/* For which relations each predicate is true; 16 to 31 are the same with the other answer to quiet
 * NaNs. */
static const u8 predicate_true[16] = {
    EQUAL,
    LESS,
    LESS | EQUAL,
    UNORDERED,
    LESS | GREATER | UNORDERED,
    EQUAL | GREATER | UNORDERED,
    GREATER | UNORDERED,
    LESS | EQUAL | GREATER,
    EQUAL | UNORDERED,
    LESS | UNORDERED,
    LESS | EQUAL | UNORDERED,
    0,
    LESS | GREATER,
    EQUAL | GREATER,
    GREATER,
    LESS | EQUAL | GREATER | UNORDERED,
};
/* Predicates that raise IE for quiet NaNs, too. */
#define PREDICATES_SIGNALING 0x99996666u

/* Returns the relation of two numbers of `bits` bits; denormals count as zero under DAZ. */
static u32 relation(u64 a, u64 b, u32 bits, bool daz)
{
    u64 sign = BIT(bits - 1), magnitude = sign - 1;
    u64 infinity = bits == 32 ? 0x7f800000 : 0x7ff0000000000000, normal = infinity & (0 - infinity);
    if ((a & magnitude) > infinity || (b & magnitude) > infinity)
        return UNORDERED;
    u64 smallest = daz ? normal : 1;
    s64 x = (a & magnitude) < smallest ? 0 : (s64)(a & magnitude);
    s64 y = (b & magnitude) < smallest ? 0 : (s64)(b & magnitude);
    x = a & sign ? -x : x;
    y = b & sign ? -y : y;
    return x < y ? LESS : x > y ? GREATER : EQUAL;
}

// clang-format off
ASM_LEAF(cmpunordps) ASM_LEAF(cmpunordpd) ASM_LEAF(cmpunordss) ASM_LEAF(cmpunordsd)
ASM_LEAF(cmpltps) ASM_LEAF(cmpltpd) ASM_LEAF(cmpltss) ASM_LEAF(cmpltsd)

/* The host's comparison is there for its flags. */
#define COMPARE(name, type, element, count, size) \
    void exec_v##name(struct cpu *c, const struct insn *in) \
    { \
        u32 lanes = (size) == 16 ? vex_lanes(in) : 1; \
        union ymm b = read_ymm(c, in, 2, (size) == 16 ? in->vl : (size)); \
        union ymm a = register_ymm(c, in->o[1].reg), r = a; \
        bool daz = c->arch.mxcsr & MXCSR_DAZ, signaling = PREDICATES_SIGNALING >> (in->imm & 31) & 1; \
        fp_begin(c); \
        for (u32 i = 0; i < lanes; i++) \
            (signaling ? cmplt##type##_leaf : cmpunord##type##_leaf)(vector_get(&a.lane[i]), vector_get(&b.lane[i])); \
        fp_end(c); \
        for (u32 i = 0; i < (count) * lanes; i++) { \
            u32 found = relation(a.element[i], b.element[i], 8 * sizeof a.element[0], daz); \
            bool yes = predicate_true[in->imm & 15] & found; \
            r.element[i] = (__typeof__(r.element[0]))(yes ? ~0ull : 0); \
        } \
        write_ymm(c, in->o[0].reg, &r, lanes); \
    }
COMPARE(cmpps, ps, d, 4, 16) COMPARE(cmppd, pd, q, 2, 16) COMPARE(cmpss, ss, d, 1, 4) COMPARE(cmpsd, sd, q, 1, 8)

/* --- From general registers ------------------------------------------------------------------- */

#define FROM_INTEGER(name) \
    void exec_v##name(struct cpu *c, const struct insn *in) \
    { \
        u64 v = operand_read(c, in, 2); \
        __m128i a = vector_get(&c->arch.vector[in->o[1].reg].xmm); \
        fp_begin(c); \
        if (rex_w(in)) \
            __asm__ volatile(#name "q %1, %0" : "+x"(a) : "r"(v)); \
        else \
            __asm__ volatile(#name "l %1, %0" : "+x"(a) : "r"((u32)v)); \
        fp_end(c); \
        write_xmm(c, in->o[0].reg, vector_xmm(a)); \
    }
FROM_INTEGER(cvtsi2ss) FROM_INTEGER(cvtsi2sd)

/* --- SSE4.1 ----------------------------------------------------------------------------------- */

#define ROUND(name, source, bytes, element, count, rounded) \
    void exec_v##name(struct cpu *c, const struct insn *in) \
    { \
        u32 lanes = (bytes) == 16 ? vex_lanes(in) : 1; \
        union ymm s = read_ymm(c, in, source, (bytes) == 16 ? in->vl : (bytes)); \
        union ymm r = register_ymm(c, in->o[1].reg & 15u); \
        bool live = mxcsr_suspend(c); \
        round_begin(c, in); \
        for (u32 i = 0; i < (count) * lanes; i++) \
            r.element[i] = rounded(s.element[i]); \
        round_end(c, in); \
        mxcsr_resume(c, live); \
        write_ymm(c, in->o[0].reg, &r, lanes); \
    }
ROUND(roundps, 1, 16, d, 4, round_single) ROUND(roundss, 2, 4, d, 1, round_single)
ROUND(roundpd, 1, 16, q, 2, round_double) ROUND(roundsd, 2, 8, q, 1, round_double)
// clang-format on

void exec_vdpps(struct cpu *c, const struct insn *in)
{
    union ymm b = read_ymm(c, in, 2, in->vl), a = register_ymm(c, in->o[1].reg);
    dot_singles(c, (u8)in->imm, a.lane, b.lane, vex_lanes(in));
    write_ymm(c, in->o[0].reg, &a, vex_lanes(in));
}

void exec_vdppd(struct cpu *c, const struct insn *in)
{
    union ymm b = read_ymm(c, in, 2, 16), a = register_ymm(c, in->o[1].reg);
    dot_doubles(c, (u8)in->imm, a.lane, b.lane);
    write_ymm(c, in->o[0].reg, &a, 1);
}
