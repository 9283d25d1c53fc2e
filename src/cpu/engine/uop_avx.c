/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Specialised handlers of the most frequent VEX instructions: moves and packed integers, of 16 and
 * 32 bytes. They are used while MODE_AVX holds; all other VEX is in the exec functions.
 */
#include "cpu/engine/engine.h"
#include "cpu/exec/sse.h"

/* --- Operands --------------------------------------------------------------------------------- */

struct vex {
    __m128i lane[2];
};

INLINE __m128i get(const struct cpu *c, u8 reg, u32 lane)
{
    return vector_get(&c->arch.vector[reg].lane[lane]);
}

/* Writes a result and clears the bits above it. */
INLINE void set(struct cpu *c, u8 reg, const struct vex *v, u32 lanes)
{
    union vector_register *d = &c->arch.vector[reg];
    for (u32 i = 0; i < lanes; i++)
        vector_put(&d->lane[i], v->lane[i]);
    for (u32 i = lanes; i < VECTOR_BYTES / 16; i++)
        vector_put(&d->lane[i], _mm_setzero_si128());
}

static NOINLINE struct vex load_slow(struct cpu *c, const struct uop *u, u64 linear, u32 lanes,
                                     bool aligned)
{
    struct vex v;
    if (aligned && linear & (16 * lanes - 1)) {
        cpu_sync(c, u);
        cpu_raise_gp(c, 0);
    }
    for (u32 i = 0; i < lanes; i++) {
        u64 low = uop_load_slow(c, u, linear + 16 * i, 8);
        v.lane[i] = _mm_set_epi64x((s64)uop_load_slow(c, u, linear + 16 * i + 8, 8), (s64)low);
    }
    return v;
}

INLINE struct vex load_lanes(struct cpu *c, const struct uop *u, u64 linear, u32 lanes,
                             bool aligned)
{
    const struct tlb_entry *e = &c->engine.tlb[(linear >> PAGE_SHIFT) & (TLB_ENTRIES - 1)];
    u64 offset = linear ^ e->rtag;
    struct vex v;
    if (UNLIKELY(offset > PAGE_SIZE - 16 * lanes || (aligned && linear & (16 * lanes - 1))))
        return load_slow(c, u, linear, lanes, aligned);
    for (u32 i = 0; i < lanes; i++)
        v.lane[i] = _mm_loadu_si128((const __m128i *)(const void *)(e->host + offset + 16 * i));
    return v;
}

static NOINLINE void store_slow(struct cpu *c, const struct uop *u, u64 linear, u32 lanes,
                                bool aligned)
{
    if (aligned && linear & (16 * lanes - 1)) {
        cpu_sync(c, u);
        cpu_raise_gp(c, 0);
    }
    uop_store_bytes_slow(c, u, linear, &c->arch.vector[u->s], 16 * lanes);
}

INLINE void store_lanes(struct cpu *c, const struct uop *u, u64 linear, u32 lanes, bool aligned)
{
    const struct tlb_entry *e = &c->engine.tlb[(linear >> PAGE_SHIFT) & (TLB_ENTRIES - 1)];
    u64 offset = linear ^ e->wtag;
    if (LIKELY(offset <= PAGE_SIZE - 16 * lanes && !(aligned && linear & (16 * lanes - 1))))
        memcpy(e->host + offset, &c->arch.vector[u->s], 16 * lanes);
    else
        store_slow(c, u, linear, lanes, aligned);
}

/* --- Moves ------------------------------------------------------------------------------------ */

// clang-format off
#define MOVE_M(name, lanes, aligned, indexed) \
    UOP(name##_##lanes##_rm_##indexed) \
    { \
        struct vex v = load_lanes(c, u, uop_ea(c, u, indexed), lanes, aligned); \
        set(c, u->d, &v, lanes); \
        NEXT(c, u); \
    } \
    UOP(name##_##lanes##_mr_##indexed) { store_lanes(c, u, uop_ea(c, u, indexed), lanes, aligned); NEXT(c, u); }
#define MOVE(name, lanes, aligned) \
    MOVE_M(name, lanes, aligned, 0) MOVE_M(name, lanes, aligned, 1) \
    UOP(name##_##lanes##_rr) \
    { \
        struct vex v = {{get(c, u->s, 0), get(c, u->s, 1)}}; \
        set(c, u->d, &v, lanes); \
        NEXT(c, u); \
    }
#define MOVE_FORM(name, lanes) \
    {name##_##lanes##_rr, {name##_##lanes##_rm_0, name##_##lanes##_rm_1}, {name##_##lanes##_mr_0, name##_##lanes##_mr_1}}
#define MOVES(name, aligned) \
    MOVE(name, 1, aligned) MOVE(name, 2, aligned) \
    static const struct avx_form form_##name[2] = {MOVE_FORM(name, 1), MOVE_FORM(name, 2)};
MOVES(vunaligned, false)
MOVES(valigned, true)

UOP(vzeroupper)
{
    for (u32 r = 0; r < (c->engine.mode & MODE_CODE64 ? 16u : 8u); r++)
        memset(&c->arch.vector[r].lane[1], 0, VECTOR_BYTES - 16);
    NEXT(c, u);
}
UOP(vpmovmskb_1) { c->arch.r[u->d] = (u32)_mm_movemask_epi8(get(c, u->s, 0)); NEXT(c, u); }
UOP(vpmovmskb_2)
{
    u32 low = (u32)_mm_movemask_epi8(get(c, u->s, 0)), high = (u32)_mm_movemask_epi8(get(c, u->s, 1));
    c->arch.r[u->d] = low | high << 16;
    NEXT(c, u);
}
static const struct avx_form form_vzeroupper[2] = {{vzeroupper, {NULL, NULL}, {NULL, NULL}}};
static const struct avx_form form_vpmovmskb[2] = {{vpmovmskb_1, {NULL, NULL}, {NULL, NULL}},
                                                  {vpmovmskb_2, {NULL, NULL}, {NULL, NULL}}};

/* --- Packed integers: register s, and register b or memory ------------------------------------ */

#define BINARY_M(name, lanes, indexed) \
    UOP(v##name##_##lanes##_rm_##indexed) \
    { \
        struct vex v = load_lanes(c, u, uop_ea(c, u, indexed), lanes, false); \
        for (u32 i = 0; i < lanes; i++) \
            v.lane[i] = name##_leaf(get(c, u->s, i), v.lane[i]); \
        set(c, u->d, &v, lanes); \
        NEXT(c, u); \
    }
#define BINARY(name, lanes) \
    UOP(v##name##_##lanes##_rr) \
    { \
        struct vex v; \
        for (u32 i = 0; i < lanes; i++) \
            v.lane[i] = name##_leaf(get(c, u->s, i), get(c, u->b, i)); \
        set(c, u->d, &v, lanes); \
        NEXT(c, u); \
    } \
    BINARY_M(name, lanes, 0) BINARY_M(name, lanes, 1)
#define BINARY_FORM(name, lanes) \
    {v##name##_##lanes##_rr, {v##name##_##lanes##_rm_0, v##name##_##lanes##_rm_1}, {NULL, NULL}}
#undef LANES
#undef XMM_ONLY
#define LANES(name, expression) \
    LEAF(name, expression) BINARY(name, 1) BINARY(name, 2) \
    static const struct avx_form form_##name[2] = {BINARY_FORM(name, 1), BINARY_FORM(name, 2)};
#define UNPACK_LOW(name, expression)       LANES(name, expression)
#define UNPACK_HIGH(name, expression, low) LANES(name, expression)
#define PACK(name, pack)                   LANES(name, pack(a, b))
#define XMM_ONLY(name, expression)         LANES(name, expression)
#define SHIFT(name, leaf_function)         /* the count is one for both lanes: exec */
#include "cpu/exec/packed.def"

/* --- Which form ------------------------------------------------------------------------------- */

#undef LANES
#undef UNPACK_LOW
#undef UNPACK_HIGH
#undef PACK
#undef XMM_ONLY
#define ROW(name, other)                   [INSN_##name] = form_##other,
#define LANES(name, expression)            ROW(v##name, name)
#define UNPACK_LOW(name, expression)       LANES(name, )
#define UNPACK_HIGH(name, expression, low) LANES(name, )
#define PACK(name, pack)                   LANES(name, )
#define XMM_ONLY(name, expression)         LANES(name, )

static const struct avx_form *const forms[INSN_COUNT] = {
#include "cpu/exec/packed.def"
    ROW(vmovups, vunaligned) ROW(vmovupd, vunaligned) ROW(vmovdqu, vunaligned) ROW(vlddqu, vunaligned)
    ROW(vmovaps, valigned) ROW(vmovapd, valigned) ROW(vmovdqa, valigned)
    ROW(vmovntps, valigned) ROW(vmovntpd, valigned) ROW(vmovntdq, valigned) ROW(vmovntdqa, valigned)
    ROW(vandps, pand) ROW(vandpd, pand) ROW(vandnps, pandn) ROW(vandnpd, pandn)
    ROW(vorps, por) ROW(vorpd, por) ROW(vxorps, pxor) ROW(vxorpd, pxor)
    ROW(vunpcklps, punpckldq) ROW(vunpcklpd, punpcklqdq) ROW(vunpckhps, punpckhdq) ROW(vunpckhpd, punpckhqdq)
    ROW(vpmovmskb, vpmovmskb) ROW(vzeroupper, vzeroupper)
};
// clang-format on

const struct avx_form *avx_form(const struct insn *in)
{
    const struct avx_form *f = forms[in->op->id];
    return f ? &f[in->vl == 32] : NULL;
}
