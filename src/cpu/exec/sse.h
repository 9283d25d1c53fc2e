/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared parts of the MMX and SSE handlers: reading and storing operands, the MMX registers inside
 * the x87 ones, and the wrapper that runs floating point on the host's unit under the guest's
 * MXCSR. A handler is one row of a table: a leaf function on vectors, passed to one of the wrappers
 * here. The host needs no more than the baseline's SSE2.
 */
#ifndef SOFTSEV_CPU_EXEC_SSE_H
#define SOFTSEV_CPU_EXEC_SSE_H

#include "cpu/internal.h"

#include <emmintrin.h>

#define INLINE static inline __attribute__((always_inline))

typedef __m128i vector_fn(__m128i a, __m128i b);

INLINE __m128i vector_get(const union xmm *x)
{
    return _mm_loadu_si128((const __m128i *)(const void *)x);
}

INLINE union xmm vector_xmm(__m128i v)
{
    union xmm x;
    _mm_storeu_si128((__m128i *)(void *)&x, v);
    return x;
}

INLINE void vector_put(union xmm *x, __m128i v)
{
    _mm_storeu_si128((__m128i *)(void *)x, v);
}

/* --- Memory ----------------------------------------------------------------------------------- */

INLINE union xmm load_xmm(struct cpu *c, u64 linear)
{
    const struct tlb_entry *e = &c->engine.tlb[(linear >> PAGE_SHIFT) & (TLB_ENTRIES - 1)];
    u64 offset = linear ^ e->rtag;
    union xmm v;
    if (LIKELY(offset <= PAGE_SIZE - sizeof v)) {
        memcpy(&v, e->host + offset, sizeof v);
    } else {
        v.q[0] = load(c, linear, 8);
        v.q[1] = load(c, linear + 8, 8);
    }
    return v;
}

INLINE void store_xmm(struct cpu *c, u64 linear, const union xmm *v)
{
    const struct tlb_entry *e = &c->engine.tlb[(linear >> PAGE_SHIFT) & (TLB_ENTRIES - 1)];
    u64 offset = linear ^ e->wtag;
    if (LIKELY(offset <= PAGE_SIZE - sizeof *v))
        memcpy(e->host + offset, v, sizeof *v);
    else
        store_bytes(c, linear, v, sizeof *v);
}

/* Reads operand n, an XMM register or `size` bytes of memory, zero-extended. */
INLINE union xmm read_xmm(struct cpu *c, const struct insn *in, u32 n, u32 size)
{
    if (in->o[n].kind != OPERAND_MEM)
        return c->arch.vector[in->o[n].reg].xmm;
    if (size == 16)
        return load_xmm(c, operand_address(c, in, 16, false));
    return (union xmm){.q = {load(c, operand_address(c, in, size, false), size), 0}};
}

/* --- MMX registers [APM1 5.14]: the mantissas of the physical x87 registers ------------------- */

INLINE u64 mmx_get(const struct cpu *c, u8 reg)
{
    u64 v;
    memcpy(&v, &c->arch.x87.st[reg & 7], sizeof v);
    return v;
}

INLINE void mmx_put(struct cpu *c, u8 reg, u64 v)
{
    u8 *image = (u8 *)&c->arch.x87.st[reg & 7];
    memcpy(image, &v, sizeof v);
    store_le16(image + 8, 0xffff);
}

/* Every MMX instruction except EMMS marks all registers valid and sets TOP to 0. */
INLINE void mmx_enter(struct cpu *c)
{
    c->arch.x87.top = 0;
    c->arch.x87.tag = 0;
}

/* Reads operand n, an MMX register or `size` bytes of memory. */
INLINE u64 read_mmx(struct cpu *c, const struct insn *in, u32 n, u32 size)
{
    if (in->o[n].kind == OPERAND_MEM)
        return load(c, operand_address(c, in, size, false), size);
    return mmx_get(c, in->o[n].reg);
}

/* --- Integer: one mnemonic is often both an MMX and an SSE instruction ------------------------ */

/* Applies a leaf to 64-bit operands, which are in the low halves of its vectors. */
INLINE void packed_mmx(struct cpu *c, const struct insn *in, u32 size, vector_fn *leaf)
{
    u64 b = read_mmx(c, in, 1, size);
    u8 reg = in->o[0].reg;
    mmx_enter(c);
    __m128i r = leaf(_mm_set_epi64x(0, (s64)mmx_get(c, reg)), _mm_set_epi64x(0, (s64)b));
    mmx_put(c, reg, (u64)_mm_cvtsi128_si64(r));
}

INLINE void packed_xmm(struct cpu *c, const struct insn *in, u32 size, vector_fn *leaf)
{
    union xmm b = read_xmm(c, in, 1, size);
    union xmm *d = &c->arch.vector[in->o[0].reg].xmm;
    vector_put(d, leaf(vector_get(d), vector_get(&b)));
}

// clang-format off
#define LEAF(name, expression) \
    INLINE __m128i name##_leaf(__m128i a, __m128i b) { return expression; }

/* exec_<name> on XMM registers, exec_mmx_<name> on MMX registers. */
#define BOTH(name, mmx_leaf, mmx_size) \
    void exec_##name(struct cpu *c, const struct insn *in) { packed_xmm(c, in, 16, name##_leaf); } \
    void exec_mmx_##name(struct cpu *c, const struct insn *in) { packed_mmx(c, in, mmx_size, mmx_leaf); }

#define XMM_ONLY(name, expression) \
    LEAF(name, expression) \
    void exec_##name(struct cpu *c, const struct insn *in) { packed_xmm(c, in, 16, name##_leaf); }

/* Lane by lane: the low half of the result is the MMX instruction's. */
#define LANES(name, expression) LEAF(name, expression) BOTH(name, name##_leaf, 8)

/* The lower half of the result comes from a, the upper from b: MMX is the lower half on the joined operands. */
#define HALVES(name, expression) \
    LEAF(name, expression) \
    INLINE __m128i mmx_##name##_leaf(__m128i a, __m128i b) \
    { \
        return name##_leaf(_mm_unpacklo_epi64(a, b), _mm_setzero_si128()); \
    } \
    BOTH(name, mmx_##name##_leaf, 8)
// clang-format on

/* --- Floating point --------------------------------------------------------------------------- */

#define MXCSR_IE    BIT(0)
#define MXCSR_DE    BIT(1)
#define MXCSR_ZE    BIT(2)
#define MXCSR_OE    BIT(3)
#define MXCSR_UE    BIT(4)
#define MXCSR_PE    BIT(5)
#define MXCSR_FLAGS 0x3fu
#define MXCSR_DAZ   BIT(6)
#define MXCSR_UM    BIT(11)
#define MXCSR_MASKS 0x1f80u
#define MXCSR_FZ    BIT(15)

INLINE void host_mxcsr_put(u32 v)
{
    __asm__ volatile("ldmxcsr %0" : : "m"(v) : "memory");
}

INLINE u32 host_mxcsr_get(void)
{
    u32 v;
    __asm__ volatile("stmxcsr %0" : "=m"(v) : : "memory");
    return v;
}

/* From here to fp_end() the host computes as the guest would with every exception masked. Flush to
 * zero is active only while underflow is masked [APM1 4.8.4]. */
INLINE void fp_begin(const struct cpu *c)
{
    if (LIKELY(c->engine.mxcsr_live))
        return;
    u32 control = c->arch.mxcsr & ~MXCSR_FLAGS;
    if (UNLIKELY(!(control & MXCSR_UM)))
        control &= ~(u32)MXCSR_FZ;
    host_mxcsr_put(control | MXCSR_MASKS);
}

/* Returns the flags that were raised since fp_begin(). While the host's register is the guest's, it
 * collects the flags. */
INLINE u32 fp_flags(const struct cpu *c)
{
    if (LIKELY(c->engine.mxcsr_live))
        return 0;
    u32 flags = host_mxcsr_get() & MXCSR_FLAGS;
    host_mxcsr_put(MXCSR_RESET);
    return flags;
}

/* Returns MXCSR as the guest sees it. */
INLINE u32 mxcsr_get(const struct cpu *c)
{
    return c->arch.mxcsr | (c->engine.mxcsr_live ? host_mxcsr_get() & MXCSR_FLAGS : 0);
}

/* Call around changes of c->arch.mxcsr or of the host's rounding mode. */
INLINE bool mxcsr_suspend(struct cpu *c)
{
    bool live = c->engine.mxcsr_live;
    mxcsr_leave(c);
    return live;
}

INLINE void mxcsr_resume(struct cpu *c, bool live)
{
    if (live)
        mxcsr_enter(c);
}

void fp_raise(struct cpu *c, u32 flags) NORETURN; /* sse_float.c */

/* Adds new flags, and raises #XF if one of them is unmasked. No result may be committed before. */
INLINE void fp_commit(struct cpu *c, u32 flags)
{
    if (UNLIKELY(flags & ~(c->arch.mxcsr >> 7)))
        fp_raise(c, flags);
    c->arch.mxcsr |= flags;
}

INLINE void fp_end(struct cpu *c)
{
    fp_commit(c, fp_flags(c));
}

/* Which results may be denormal. If UE is unmasked, a denormal result raises it, exact or not; but
 * the host, where UE was masked, reports inexact ones only. */
enum tiny { NEVER_TINY, TINY_SS, TINY_SD, TINY_PS, TINY_PD };

u32 fp_tiny(const union xmm *r, enum tiny tiny); /* sse_float.c */

/* Runs an operation on a register and `size` bytes of a register or memory. */
INLINE void fp(struct cpu *c, const struct insn *in, u32 size, enum tiny tiny, vector_fn *leaf)
{
    union xmm b = read_xmm(c, in, 1, size);
    union xmm *d = &c->arch.vector[in->o[0].reg].xmm;
    __m128i a = vector_get(d), v = vector_get(&b);
    fp_begin(c);
    union xmm r = vector_xmm(leaf(a, v));
    u32 flags = fp_flags(c);
    if (tiny != NEVER_TINY && UNLIKELY(!(c->arch.mxcsr & MXCSR_UM)))
        flags |= fp_tiny(&r, tiny);
    fp_commit(c, flags);
    *d = r;
}

#define ASM_LEAF(name)                                                                             \
    INLINE __m128i name##_leaf(__m128i a, __m128i b)                                               \
    {                                                                                              \
        __asm__ volatile(#name " %1, %0" : "+x"(a) : "x"(b));                                      \
        return a;                                                                                  \
    }

#endif
