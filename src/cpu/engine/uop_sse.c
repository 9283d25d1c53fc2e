/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Specialised handlers of the most frequent SSE2 instructions: moves, packed integers, floating
 * point. They are used while MODE_SSE holds; all other SSE is in the exec functions. Floating point
 * here needs the guest's value in the host's MXCSR (mxcsr_enter), and otherwise calls the exec
 * function.
 */
#include "cpu/engine/engine.h"
#include "cpu/exec/sse.h"

/* --- Memory ----------------------------------------------------------------------------------- */

static NOINLINE __m128i load16_slow(struct cpu *c, const struct uop *u, u64 linear, bool aligned)
{
    if (aligned && linear & 15) {
        cpu_sync(c, u);
        cpu_raise_gp(c, 0);
    }
    u64 low = uop_load_slow(c, u, linear, 8), high = uop_load_slow(c, u, linear + 8, 8);
    return _mm_set_epi64x((s64)high, (s64)low);
}

static NOINLINE void store16_slow(struct cpu *c, const struct uop *u, u64 linear, __m128i v,
                                  bool aligned)
{
    union xmm x = vector_xmm(v);
    if (aligned && linear & 15) {
        cpu_sync(c, u);
        cpu_raise_gp(c, 0);
    }
    uop_store_bytes_slow(c, u, linear, &x, sizeof x);
}

INLINE __m128i load16(struct cpu *c, const struct uop *u, u64 linear, bool aligned)
{
    const struct tlb_entry *e = &c->engine.tlb[(linear >> PAGE_SHIFT) & (TLB_ENTRIES - 1)];
    u64 offset = linear ^ e->rtag;
    if (LIKELY(offset <= PAGE_SIZE - 16 && !(aligned && linear & 15)))
        return _mm_loadu_si128((const __m128i *)(const void *)(e->host + offset));
    return load16_slow(c, u, linear, aligned);
}

INLINE void store16(struct cpu *c, const struct uop *u, u64 linear, __m128i v, bool aligned)
{
    const struct tlb_entry *e = &c->engine.tlb[(linear >> PAGE_SHIFT) & (TLB_ENTRIES - 1)];
    u64 offset = linear ^ e->wtag;
    if (LIKELY(offset <= PAGE_SIZE - 16 && !(aligned && linear & 15)))
        _mm_storeu_si128((__m128i *)(void *)(e->host + offset), v);
    else
        store16_slow(c, u, linear, v, aligned);
}

INLINE __m128i get(const struct cpu *c, u8 reg)
{
    return vector_get(&c->arch.vector[reg].xmm);
}

INLINE void set(struct cpu *c, u8 reg, __m128i v)
{
    vector_put(&c->arch.vector[reg].xmm, v);
}

INLINE __m128i load_vector(struct cpu *c, const struct uop *u, u64 linear, u32 size, bool aligned)
{
    if (size == 16)
        return load16(c, u, linear, aligned);
    return _mm_cvtsi64_si128((s64)uop_load(c, u, linear, size));
}

/* --- Moves ------------------------------------------------------------------------------------ */

// clang-format off
#define MOVE16(name, aligned) \
    MOVE16_M(name, aligned, 0) MOVE16_M(name, aligned, 1) \
    static const struct vector_form form_##name = \
        {move16_rr, {name##_rm_0, name##_rm_1}, {name##_mr_0, name##_mr_1}, NULL, 16, false};
#define MOVE16_M(name, aligned, indexed) \
    UOP(name##_rm_##indexed) { set(c, u->d, load16(c, u, uop_ea(c, u, indexed), aligned)); NEXT(c, u); } \
    UOP(name##_mr_##indexed) { store16(c, u, uop_ea(c, u, indexed), get(c, u->s), aligned); NEXT(c, u); }

UOP(move16_rr) { set(c, u->d, get(c, u->s)); NEXT(c, u); }
MOVE16(aligned16, true)
MOVE16(unaligned16, false)

/* 4 and 8 bytes: a load clears the rest of the register. */
#define MOVE_M(size, indexed) \
    UOP(move##size##_rm_##indexed) \
    { \
        u64 v = uop_load(c, u, uop_ea(c, u, indexed), size); \
        c->arch.vector[u->d].xmm.q[0] = v; \
        c->arch.vector[u->d].xmm.q[1] = 0; \
        NEXT(c, u); \
    } \
    UOP(move##size##_mr_##indexed) { uop_store(c, u, uop_ea(c, u, indexed), size, c->arch.vector[u->s].xmm.q[0]); NEXT(c, u); }
MOVE_M(4, 0) MOVE_M(4, 1) MOVE_M(8, 0) MOVE_M(8, 1)

UOP(movss_rr) { c->arch.vector[u->d].xmm.d[0] = c->arch.vector[u->s].xmm.d[0]; NEXT(c, u); }
UOP(movsd_rr) { c->arch.vector[u->d].xmm.q[0] = c->arch.vector[u->s].xmm.q[0]; NEXT(c, u); }
UOP(movq_rr) { set(c, u->d, _mm_cvtsi64_si128((s64)c->arch.vector[u->s].xmm.q[0])); NEXT(c, u); }
UOP(to_xmm_4) { set(c, u->d, _mm_cvtsi64_si128((s64)(u32)c->arch.r[u->s])); NEXT(c, u); }
UOP(to_xmm_8) { set(c, u->d, _mm_cvtsi64_si128((s64)c->arch.r[u->s])); NEXT(c, u); }
UOP(to_gpr_4) { c->arch.r[u->d] = c->arch.vector[u->s].xmm.d[0]; NEXT(c, u); }
UOP(to_gpr_8) { c->arch.r[u->d] = c->arch.vector[u->s].xmm.q[0]; NEXT(c, u); }

#define MOVE_FORM(name, register_form, to_gpr, size) \
    static const struct vector_form form_##name = {register_form, {move##size##_rm_0, move##size##_rm_1}, \
                                                   {move##size##_mr_0, move##size##_mr_1}, to_gpr, size, false};
MOVE_FORM(movss, movss_rr, NULL, 4) MOVE_FORM(movsd, movsd_rr, NULL, 8) MOVE_FORM(movq, movq_rr, NULL, 8)
MOVE_FORM(movd4, to_xmm_4, to_gpr_4, 4) MOVE_FORM(movd8, to_xmm_8, to_gpr_8, 8)

#define MOVE_HALF(name, half) \
    UOP(name##_rm_0) { c->arch.vector[u->d].xmm.q[half] = uop_load(c, u, uop_ea(c, u, false), 8); NEXT(c, u); } \
    UOP(name##_rm_1) { c->arch.vector[u->d].xmm.q[half] = uop_load(c, u, uop_ea(c, u, true), 8); NEXT(c, u); } \
    UOP(name##_mr_0) { uop_store(c, u, uop_ea(c, u, false), 8, c->arch.vector[u->s].xmm.q[half]); NEXT(c, u); } \
    UOP(name##_mr_1) { uop_store(c, u, uop_ea(c, u, true), 8, c->arch.vector[u->s].xmm.q[half]); NEXT(c, u); } \
    static const struct vector_form form_##name = {NULL, {name##_rm_0, name##_rm_1}, {name##_mr_0, name##_mr_1}, NULL, 8, false};
MOVE_HALF(movlps, 0) MOVE_HALF(movhps, 1)

UOP(pmovmskb_rr) { c->arch.r[u->d] = (u32)_mm_movemask_epi8(get(c, u->s)); NEXT(c, u); }
UOP(movmskpd_rr) { c->arch.r[u->d] = (u32)_mm_movemask_pd(_mm_castsi128_pd(get(c, u->s))); NEXT(c, u); }
static const struct vector_form form_pmovmskb = {.rr = pmovmskb_rr}, form_movmskpd = {.rr = movmskpd_rr};

/* --- Packed integers -------------------------------------------------------------------------- */

#define VECTOR_M(name, indexed) \
    UOP(name##_rm_##indexed) \
    { \
        __m128i b = load16(c, u, uop_ea(c, u, indexed), true); \
        set(c, u->d, name##_leaf(get(c, u->d), b)); \
        NEXT(c, u); \
    }
#define VECTOR(name, expression) \
    LEAF(name, expression) \
    UOP(name##_rr) { set(c, u->d, name##_leaf(get(c, u->d), get(c, u->s))); NEXT(c, u); } \
    VECTOR_M(name, 0) VECTOR_M(name, 1) \
    static const struct vector_form form_##name = {name##_rr, {name##_rm_0, name##_rm_1}, {NULL, NULL}, NULL, 16, false};
#define VECTOR_SHIFT(name, leaf_function) \
    VECTOR(name, leaf_function(a, b)) \
    UOP(name##_ri) { set(c, u->d, name##_leaf(get(c, u->d), _mm_cvtsi32_si128((u8)u->imm))); NEXT(c, u); } \
    static const struct vector_form form_##name##_i = {.rr = name##_ri};

#undef LANES
#undef XMM_ONLY
#define LANES(name, expression)            VECTOR(name, expression)
#define UNPACK_LOW(name, expression)       VECTOR(name, expression)
#define UNPACK_HIGH(name, expression, low) VECTOR(name, expression)
#define PACK(name, pack)                   VECTOR(name, pack(a, b))
#define XMM_ONLY(name, expression)         VECTOR(name, expression)
#define SHIFT(name, leaf_function)         VECTOR_SHIFT(name, leaf_function)
#include "cpu/exec/packed.def"

UOP(pshufd_rr)
{
    const union xmm *s = &c->arch.vector[u->s].xmm;
    u32 k = (u32)u->imm;
    set(c, u->d, _mm_set_epi32((s32)s->d[k >> 6 & 3], (s32)s->d[k >> 4 & 3], (s32)s->d[k >> 2 & 3], (s32)s->d[k & 3]));
    NEXT(c, u);
}
static const struct vector_form form_pshufd = {.rr = pshufd_rr};

/* --- Floating point --------------------------------------------------------------------------- */

#define FP_M(name, size, indexed) \
    UOP(name##_rm_##indexed) \
    { \
        if (UNLIKELY(!c->engine.mxcsr_live)) \
            return uop_generic(c, u); \
        __m128i b = load_vector(c, u, uop_ea(c, u, indexed), size, true); \
        set(c, u->d, name##_leaf(get(c, u->d), b)); \
        NEXT(c, u); \
    }
#define FP(name, size, tiny) \
    ASM_LEAF(name) \
    UOP(name##_rr) \
    { \
        if (UNLIKELY(!c->engine.mxcsr_live)) \
            return uop_generic(c, u); \
        set(c, u->d, name##_leaf(get(c, u->d), get(c, u->s))); \
        NEXT(c, u); \
    } \
    FP_M(name, size, 0) FP_M(name, size, 1) \
    static const struct vector_form form_##name = {name##_rr, {name##_rm_0, name##_rm_1}, {NULL, NULL}, NULL, size, true};
#include "cpu/exec/float.def"
#undef FP

#define FP_COMPARE_BODY(name, operand) \
    { \
        bool zf, pf, cf; \
        if (UNLIKELY(!c->engine.mxcsr_live)) \
            return uop_generic(c, u); \
        __m128i b = operand; \
        __asm__ volatile(#name " %4, %3" : "=@ccz"(zf), "=@ccp"(pf), "=@ccc"(cf) : "x"(get(c, u->d)), "x"(b)); \
        flags_set(c, (zf ? RFLAGS_ZF : 0) | (pf ? RFLAGS_PF : 0) | (cf ? RFLAGS_CF : 0)); \
        NEXT(c, u); \
    }
#define FP_COMPARE(name, size) \
    UOP(name##_rr) FP_COMPARE_BODY(name, get(c, u->s)) \
    UOP(name##_rm_0) FP_COMPARE_BODY(name, load_vector(c, u, uop_ea(c, u, false), size, false)) \
    UOP(name##_rm_1) FP_COMPARE_BODY(name, load_vector(c, u, uop_ea(c, u, true), size, false)) \
    static const struct vector_form form_##name = {name##_rr, {name##_rm_0, name##_rm_1}, {NULL, NULL}, NULL, size, true};
FP_COMPARE(ucomiss, 4) FP_COMPARE(ucomisd, 8) FP_COMPARE(comiss, 4) FP_COMPARE(comisd, 8)

#define FROM_GPR(name, width, suffix, type) \
    UOP(name##width) \
    { \
        if (UNLIKELY(!c->engine.mxcsr_live)) \
            return uop_generic(c, u); \
        __m128i a = get(c, u->d); \
        __asm__ volatile(#name suffix " %1, %0" : "+x"(a) : "r"((type)c->arch.r[u->s])); \
        set(c, u->d, a); \
        NEXT(c, u); \
    } \
    static const struct vector_form form_##name##width = {.rr = name##width, .insn = true};
FROM_GPR(cvtsi2ss, 4, "l", u32) FROM_GPR(cvtsi2ss, 8, "q", u64) FROM_GPR(cvtsi2sd, 4, "l", u32) FROM_GPR(cvtsi2sd, 8, "q", u64)

#define TO_GPR(name, width, type) \
    UOP(name##width) \
    { \
        type v; \
        if (UNLIKELY(!c->engine.mxcsr_live)) \
            return uop_generic(c, u); \
        __asm__ volatile(#name " %1, %0" : "=r"(v) : "x"(get(c, u->s))); \
        c->arch.r[u->d] = v; \
        NEXT(c, u); \
    } \
    static const struct vector_form form_##name##width = {.rr = name##width, .insn = true};
TO_GPR(cvttsd2si, 4, u32) TO_GPR(cvttsd2si, 8, u64) TO_GPR(cvttss2si, 4, u32) TO_GPR(cvttss2si, 8, u64)

/* --- Which form ------------------------------------------------------------------------------- */

/* By instruction. `immediate`, `wide`: where another form counts by an immediate, or goes with REX.W. */
struct vector_row {
    const struct vector_form *form, *immediate, *wide;
};

#undef LANES
#undef UNPACK_LOW
#undef UNPACK_HIGH
#undef PACK
#undef XMM_ONLY
#undef SHIFT
#define ROW(name, other)                   [INSN_##name] = {&form_##other, NULL, NULL},
#define LANES(name, expression)            ROW(name, name)
#define UNPACK_LOW(name, expression)       ROW(name, name)
#define UNPACK_HIGH(name, expression, low) ROW(name, name)
#define PACK(name, pack)                   ROW(name, name)
#define XMM_ONLY(name, expression)         ROW(name, name)
#define SHIFT(name, leaf_function)         [INSN_##name] = {&form_##name, &form_##name##_i, NULL},
#define FP(name, size, tiny)               ROW(name, name)
#define SIZED(name)                        [INSN_##name] = {&form_##name##4, NULL, &form_##name##8},

static const struct vector_row vector_rows[INSN_COUNT] = {
#include "cpu/exec/packed.def"
#include "cpu/exec/float.def"
    ROW(movss, movss) ROW(movsd, movsd) ROW(movq, movq) SIZED(movd)
    ROW(movlps, movlps) ROW(movlpd, movlps) ROW(movhps, movhps) ROW(movhpd, movhps)
    ROW(movups, unaligned16) ROW(movupd, unaligned16) ROW(movdqu, unaligned16) ROW(lddqu, unaligned16)
    ROW(movaps, aligned16) ROW(movapd, aligned16) ROW(movdqa, aligned16)
    ROW(movntps, aligned16) ROW(movntpd, aligned16) ROW(movntdq, aligned16)
    ROW(pmovmskb, pmovmskb) ROW(movmskpd, movmskpd) ROW(pshufd, pshufd)
    ROW(andps, pand) ROW(andpd, pand) ROW(andnps, pandn) ROW(andnpd, pandn)
    ROW(orps, por) ROW(orpd, por) ROW(xorps, pxor) ROW(xorpd, pxor)
    ROW(unpcklps, punpckldq) ROW(unpcklpd, punpcklqdq) ROW(unpckhps, punpckhdq) ROW(unpckhpd, punpckhqdq)
    ROW(ucomiss, ucomiss) ROW(ucomisd, ucomisd) ROW(comiss, comiss) ROW(comisd, comisd)
    SIZED(cvtsi2ss) SIZED(cvtsi2sd) SIZED(cvttsd2si) SIZED(cvttss2si)
};
// clang-format on

const struct vector_form *vector_form(const struct insn *in)
{
    const struct vector_row *row = &vector_rows[in->op->id];
    if (row->immediate && in->o[1].kind == OPERAND_IMM)
        return row->immediate;
    return row->wide && rex_w(in) ? row->wide : row->form;
}
