/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floating point of SSE, SSE2 and SSE3. The host executes the very same instruction, under the
 * guest's rounding mode and with exceptions masked, so results, NaN payloads and flags are the
 * hardware's. The code is inline assembly, because the compiler may swap the operands of an
 * addition, and the first operand decides which NaN is the result.
 */
#include "cpu/exec/sse_across.h"
#include "cpu/exec/x87.h"

/* Clears the flags that the guest already has from the host's register, so that it shows the new
 * ones. */
void mxcsr_enter(struct cpu *c)
{
    if ((c->arch.mxcsr & MXCSR_MASKS) != MXCSR_MASKS)
        return;
    host_mxcsr_put(c->arch.mxcsr & ~MXCSR_FLAGS);
    c->engine.mxcsr_live = true;
}

void mxcsr_leave(struct cpu *c)
{
    if (!c->engine.mxcsr_live)
        return;
    c->arch.mxcsr = mxcsr_get(c);
    c->engine.mxcsr_live = false;
    host_mxcsr_put(MXCSR_RESET);
}

/* Sets the flags of a computation that raised an unmasked exception and delivers it. An exception
 * found before computing (IE, DE, ZE) stops it, so those found after (OE, UE, PE) are not reported
 * [APM1 4.10]. */
void fp_raise(struct cpu *c, u32 flags)
{
    u32 early = flags & (MXCSR_IE | MXCSR_DE | MXCSR_ZE);
    c->arch.mxcsr |= early & ~(c->arch.mxcsr >> 7) ? early : flags;
    cpu_raise(c, c->arch.cr4 & CR4_OSXMMEXCPT ? VECTOR_XF : VECTOR_UD, 0);
}

u32 fp_tiny(const union xmm *r, enum tiny tiny)
{
    u32 singles = tiny == TINY_SS ? 1 : tiny == TINY_PS ? 4 : 0;
    u32 doubles = tiny == TINY_SD ? 1 : tiny == TINY_PD ? 2 : 0;
    for (u32 i = 0; i < singles; i++)
        if ((r->d[i] & 0x7f800000) == 0 && (r->d[i] & 0x7fffff) != 0)
            return MXCSR_UE;
    for (u32 i = 0; i < doubles; i++)
        if (BITS(r->q[i], 62, 52) == 0 && BITS(r->q[i], 51, 0) != 0)
            return MXCSR_UE;
    return 0;
}

// clang-format off
/* name: an instruction of the form `op xmm, xmm/memory`; size: of its memory operand. */
#define FP(name, size, tiny) \
    ASM_LEAF(name) \
    void exec_##name(struct cpu *c, const struct insn *in) { fp(c, in, size, tiny, name##_leaf); }

#include "cpu/exec/float.def"
// clang-format on

/* --- SSE3 ------------------------------------------------------------------------------------- */

// clang-format off
#define FP_LEAF(name, tiny, expression) \
    LEAF(name, expression) \
    void exec_##name(struct cpu *c, const struct insn *in) { fp(c, in, 16, tiny, name##_leaf); }

#include "cpu/exec/float3.def"
// clang-format on

/* --- Comparisons ------------------------------------------------------------------------------ */

/* The predicate, imm8 2:0, is a constant of the host's instruction, hence eight of each. */
// clang-format off
#define COMPARE_CASE(name, n) \
    case n: __asm__ volatile(#name " $" #n ", %1, %0" : "+x"(a) : "x"(b)); break;

#define COMPARE(name, size) \
    void exec_##name(struct cpu *c, const struct insn *in) \
    { \
        union xmm s = read_xmm(c, in, 1, size); \
        __m128i a = vector_get(&c->arch.vector[in->o[0].reg].xmm), b = vector_get(&s); \
        fp_begin(c); \
        switch (in->imm & 7) { \
        COMPARE_CASE(name, 0) COMPARE_CASE(name, 1) COMPARE_CASE(name, 2) COMPARE_CASE(name, 3) \
        COMPARE_CASE(name, 4) COMPARE_CASE(name, 5) COMPARE_CASE(name, 6) COMPARE_CASE(name, 7) \
        } \
        fp_end(c); \
        vector_put(&c->arch.vector[in->o[0].reg].xmm, a); \
    }

COMPARE(cmpps, 16) COMPARE(cmppd, 16) COMPARE(cmpss, 4) COMPARE(cmpsd, 8)

/* Sets ZF PF CF as for an unsigned comparison, all three if unordered; clears OF AF SF. */
#define COMPARE_FLAGS(name, size) \
    void exec_##name(struct cpu *c, const struct insn *in) \
    { \
        union xmm s = read_xmm(c, in, 1, size); \
        __m128i a = vector_get(&c->arch.vector[in->o[0].reg].xmm), b = vector_get(&s); \
        bool zf, pf, cf; \
        fp_begin(c); \
        __asm__ volatile(#name " %4, %3" : "=@ccz"(zf), "=@ccp"(pf), "=@ccc"(cf) : "x"(a), "x"(b)); \
        fp_end(c); \
        flags_set(c, (zf ? RFLAGS_ZF : 0) | (pf ? RFLAGS_PF : 0) | (cf ? RFLAGS_CF : 0)); \
    }

COMPARE_FLAGS(ucomiss, 4) COMPARE_FLAGS(ucomisd, 8) COMPARE_FLAGS(comiss, 4) COMPARE_FLAGS(comisd, 8)

/* --- Conversions from and to general registers ------------------------------------------------ */

#define FROM_INTEGER(name) \
    void exec_##name(struct cpu *c, const struct insn *in) \
    { \
        bool wide = rex_w(in); \
        u64 v = in->o[1].kind == OPERAND_MEM ? load(c, operand_address(c, in, wide ? 8 : 4, false), wide ? 8 : 4) \
                                             : c->arch.r[in->o[1].reg]; \
        union xmm *d = &c->arch.vector[in->o[0].reg].xmm; \
        __m128i a = vector_get(d); \
        fp_begin(c); \
        if (wide) \
            __asm__ volatile(#name "q %1, %0" : "+x"(a) : "r"(v)); \
        else \
            __asm__ volatile(#name "l %1, %0" : "+x"(a) : "r"((u32)v)); \
        fp_end(c); \
        vector_put(d, a); \
    }

#define TO_INTEGER(name, size) \
    void exec_##name(struct cpu *c, const struct insn *in) \
    { \
        union xmm s = read_xmm(c, in, 1, size); \
        __m128i b = vector_get(&s); \
        u32 narrow = 0; \
        u64 v; \
        fp_begin(c); \
        if (rex_w(in)) { \
            __asm__ volatile(#name " %1, %0" : "=r"(v) : "x"(b)); \
        } else { \
            __asm__ volatile(#name " %1, %0" : "=r"(narrow) : "x"(b)); \
            v = narrow; \
        } \
        fp_end(c); \
        gpr_write(c, in->o[0].reg, rex_w(in) ? 8 : 4, v); \
    }

FROM_INTEGER(cvtsi2ss) FROM_INTEGER(cvtsi2sd)
TO_INTEGER(cvtss2si, 4) TO_INTEGER(cvtsd2si, 8) TO_INTEGER(cvttss2si, 4) TO_INTEGER(cvttsd2si, 8)
// clang-format on

/* --- Conversions from and to MMX registers, which become MMX registers even if one ends in #XF */

/* Converts two doublewords to floating point: the SSE2 form on the low half of a vector whose
 * high half is zero. The memory forms leave the x87 registers alone and ignore a pending x87
 * exception. */
static u64 mmx_or_memory(struct cpu *c, const struct insn *in)
{
    if (in->o[1].kind == OPERAND_MEM)
        return load(c, operand_address(c, in, 8, false), 8);
    x87_wait(c);
    mmx_enter(c);
    return mmx_get(c, in->o[1].reg);
}

void exec_cvtpi2ps(struct cpu *c, const struct insn *in)
{
    u64 b = mmx_or_memory(c, in);
    union xmm *d = &c->arch.vector[in->o[0].reg].xmm;
    fp_begin(c);
    __m128i r = cvtdq2ps_leaf(_mm_setzero_si128(), _mm_set_epi64x(0, (s64)b));
    fp_end(c);
    d->q[0] = (u64)_mm_cvtsi128_si64(r);
}

void exec_cvtpi2pd(struct cpu *c, const struct insn *in)
{
    u64 b = mmx_or_memory(c, in);
    fp_begin(c);
    __m128i r = cvtdq2pd_leaf(_mm_setzero_si128(), _mm_set_epi64x(0, (s64)b));
    fp_end(c);
    vector_put(&c->arch.vector[in->o[0].reg].xmm, r);
}

INLINE void to_mmx(struct cpu *c, const struct insn *in, u32 size, vector_fn *leaf)
{
    union xmm s = read_xmm(c, in, 1, size);
    if (size == 8)
        s.q[1] = 0; /* lanes that the instruction ignores */
    mmx_enter(c);
    fp_begin(c);
    __m128i r = leaf(_mm_setzero_si128(), vector_get(&s));
    fp_end(c);
    mmx_put(c, in->o[0].reg, (u64)_mm_cvtsi128_si64(r));
}

// clang-format off
#define TO_MMX(name, size, leaf) void exec_##name(struct cpu *c, const struct insn *in) { to_mmx(c, in, size, leaf); }
TO_MMX(cvtps2pi, 8, cvtps2dq_leaf)   TO_MMX(cvttps2pi, 8, cvttps2dq_leaf)
TO_MMX(cvtpd2pi, 16, cvtpd2dq_leaf)  TO_MMX(cvttpd2pi, 16, cvttpd2dq_leaf)
// clang-format on
