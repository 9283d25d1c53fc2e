/* SPDX-License-Identifier: Apache-2.0 */
/* SSSE3 and the packed integers of SSE4.1 and SSE4.2. The host's baseline has none of these
 * instructions, so they are loops over lanes. */
#include "cpu/exec/sse.h"

static inline s32 saturate_s16(s32 v)
{
    return v < -32768 ? -32768 : v > 32767 ? 32767 : v;
}

static inline s32 saturate_u16(s32 v)
{
    return v < 0 ? 0 : v > 65535 ? 65535 : v;
}

/* Element i of two joined vectors, in the order of horizontal operations. */
#define W(i) ((s32)(s16)((i) < 8 ? a.w[i] : b.w[(i)-8]))
#define D(i) ((i) < 4 ? a.d[i] : b.d[(i)-4])

// clang-format off
/* For each i: r.lane[i] = expression in a, b and i. */
#define LOOP(name, lane, lanes, expression) \
    INLINE __m128i name##_loop(__m128i va, __m128i vb) \
    { \
        union xmm a = vector_xmm(va), b = vector_xmm(vb), r = a; \
        for (u32 i = 0; i < lanes; i++) \
            r.lane[i] = (__typeof__(r.lane[0]))(expression); \
        (void)a; \
        (void)b; \
        return vector_get(&r); \
    }
#define LOOP_LANES(name, lane, lanes, expression) \
    LOOP(name, lane, lanes, expression) LANES(name, name##_loop(a, b))
#define LOOP_HALVES(name, lane, lanes, expression) \
    LOOP(name, lane, lanes, expression) HALVES(name, name##_loop(a, b))
#define LOOP_XMM(name, lane, lanes, expression) \
    LOOP(name, lane, lanes, expression) XMM_ONLY(name, name##_loop(a, b))

/* --- SSSE3 ------------------------------------------------------------------------------------ */

LOOP_LANES(pabsb, b, 16, (s8)b.b[i] < 0 ? -b.b[i] : b.b[i])
LOOP_LANES(pabsw, w, 8, (s16)b.w[i] < 0 ? -b.w[i] : b.w[i])
LOOP_LANES(pabsd, d, 4, (s32)b.d[i] < 0 ? 0 - b.d[i] : b.d[i])
LOOP_LANES(psignb, b, 16, (s8)b.b[i] < 0 ? -a.b[i] : b.b[i] ? a.b[i] : 0)
LOOP_LANES(psignw, w, 8, (s16)b.w[i] < 0 ? -a.w[i] : b.w[i] ? a.w[i] : 0)
LOOP_LANES(psignd, d, 4, (s32)b.d[i] < 0 ? 0 - a.d[i] : b.d[i] ? a.d[i] : 0)
LOOP_LANES(pmulhrsw, w, 8, (((s32)(s16)a.w[i] * (s16)b.w[i] >> 14) + 1) >> 1)
LOOP_LANES(pmaddubsw, w, 8, saturate_s16(a.b[2 * i] * (s8)b.b[2 * i] + a.b[2 * i + 1] * (s8)b.b[2 * i + 1]))
LOOP_HALVES(phaddw, w, 8, W(2 * i) + W(2 * i + 1))
LOOP_HALVES(phsubw, w, 8, W(2 * i) - W(2 * i + 1))
LOOP_HALVES(phaddsw, w, 8, saturate_s16(W(2 * i) + W(2 * i + 1)))
LOOP_HALVES(phsubsw, w, 8, saturate_s16(W(2 * i) - W(2 * i + 1)))
LOOP_HALVES(phaddd, d, 4, D(2 * i) + D(2 * i + 1))
LOOP_HALVES(phsubd, d, 4, D(2 * i) - D(2 * i + 1))

LOOP(pshufb, b, 16, b.b[i] & 0x80 ? 0 : a.b[b.b[i] & 15])
LOOP(mmx_pshufb, b, 8, b.b[i] & 0x80 ? 0 : a.b[b.b[i] & 7])
LEAF(pshufb, pshufb_loop(a, b))
BOTH(pshufb, mmx_pshufb_loop, 8)

/* --- SSE4.1 and SSE4.2 ------------------------------------------------------------------------ */

LOOP_XMM(pminsb, b, 16, (s8)a.b[i] < (s8)b.b[i] ? a.b[i] : b.b[i])
LOOP_XMM(pmaxsb, b, 16, (s8)a.b[i] > (s8)b.b[i] ? a.b[i] : b.b[i])
LOOP_XMM(pminuw, w, 8, a.w[i] < b.w[i] ? a.w[i] : b.w[i])
LOOP_XMM(pmaxuw, w, 8, a.w[i] > b.w[i] ? a.w[i] : b.w[i])
LOOP_XMM(pminsd, d, 4, (s32)a.d[i] < (s32)b.d[i] ? a.d[i] : b.d[i])
LOOP_XMM(pmaxsd, d, 4, (s32)a.d[i] > (s32)b.d[i] ? a.d[i] : b.d[i])
LOOP_XMM(pminud, d, 4, a.d[i] < b.d[i] ? a.d[i] : b.d[i])
LOOP_XMM(pmaxud, d, 4, a.d[i] > b.d[i] ? a.d[i] : b.d[i])
LOOP_XMM(pmulld, d, 4, a.d[i] * b.d[i])
LOOP_XMM(pmuldq, q, 2, (s64)(s32)a.d[2 * i] * (s32)b.d[2 * i])
LOOP_XMM(pcmpeqq, q, 2, a.q[i] == b.q[i] ? ~0ull : 0)
LOOP_XMM(pcmpgtq, q, 2, (s64)a.q[i] > (s64)b.q[i] ? ~0ull : 0)
LOOP_XMM(packusdw, w, 8, saturate_u16((s32)D(i)))

/* Widening: the memory operand has only the bytes that are used. */
#define WIDEN(name, size, to, lanes, expression) \
    LOOP(name, to, lanes, expression) \
    void exec_##name(struct cpu *c, const struct insn *in) { packed_xmm(c, in, size, name##_loop); }
WIDEN(pmovsxbw, 8, w, 8, (s8)b.b[i])   WIDEN(pmovzxbw, 8, w, 8, b.b[i])
WIDEN(pmovsxbd, 4, d, 4, (s8)b.b[i])   WIDEN(pmovzxbd, 4, d, 4, b.b[i])
WIDEN(pmovsxbq, 2, q, 2, (s8)b.b[i])   WIDEN(pmovzxbq, 2, q, 2, b.b[i])
WIDEN(pmovsxwd, 8, d, 4, (s16)b.w[i])  WIDEN(pmovzxwd, 8, d, 4, b.w[i])
WIDEN(pmovsxwq, 4, q, 2, (s16)b.w[i])  WIDEN(pmovzxwq, 4, q, 2, b.w[i])
WIDEN(pmovsxdq, 8, q, 2, (s32)b.d[i])  WIDEN(pmovzxdq, 8, q, 2, b.d[i])

/* Blends: take the second operand where the mask (the top bits of XMM0, or imm8) is set. */
#define BLEND(name, lane, lanes, chosen) \
    void exec_##name(struct cpu *c, const struct insn *in) \
    { \
        union xmm b = read_xmm(c, in, 1, 16), mask = c->arch.vector[0].xmm; \
        union xmm *d = &c->arch.vector[in->o[0].reg].xmm; \
        (void)mask; \
        for (u32 i = 0; i < lanes; i++) \
            if (chosen) \
                d->lane[i] = b.lane[i]; \
    }
BLEND(pblendvb, b, 16, mask.b[i] >> 7)  BLEND(blendvps, d, 4, mask.d[i] >> 31)  BLEND(blendvpd, q, 2, mask.q[i] >> 63)
BLEND(pblendw, w, 8, in->imm & BIT(i))  BLEND(blendps, d, 4, in->imm & BIT(i))  BLEND(blendpd, q, 2, in->imm & BIT(i))
// clang-format on

/* Shifts the 2 * size bytes a:b right by imm8 bytes; the upper operand is the destination. */
static void align_right(u8 *d, const u8 *b, u32 size, u8 count)
{
    u8 window[64] = {0};
    memcpy(window, b, size);
    memcpy(window + size, d, size);
    memcpy(d, window + min_u64(count, 2 * size), size);
}

void exec_palignr(struct cpu *c, const struct insn *in)
{
    union xmm b = read_xmm(c, in, 1, 16);
    align_right(c->arch.vector[in->o[0].reg].xmm.b, b.b, 16, (u8)in->imm);
}

void exec_mmx_palignr(struct cpu *c, const struct insn *in)
{
    u64 b = read_mmx(c, in, 1, 8), d = mmx_get(c, in->o[0].reg);
    align_right((u8 *)&d, (const u8 *)&b, 8, (u8)in->imm);
    mmx_enter(c);
    mmx_put(c, in->o[0].reg, d);
}

void exec_ptest(struct cpu *c, const struct insn *in)
{
    union xmm b = read_xmm(c, in, 1, 16);
    const union xmm *a = &c->arch.vector[in->o[0].reg].xmm;
    bool zf = ((a->q[0] & b.q[0]) | (a->q[1] & b.q[1])) == 0;
    bool cf = ((~a->q[0] & b.q[0]) | (~a->q[1] & b.q[1])) == 0;
    flags_set(c, (zf ? RFLAGS_ZF : 0) | (cf ? RFLAGS_CF : 0));
}

/* Finds the smallest word and its first place. */
void exec_phminposuw(struct cpu *c, const struct insn *in)
{
    union xmm b = read_xmm(c, in, 1, 16);
    u16 at = 0;
    for (u16 i = 1; i < 8; i++)
        if (b.w[i] < b.w[at])
            at = i;
    c->arch.vector[in->o[0].reg].xmm = (union xmm){.w = {b.w[at], at}};
}

/* Computes eight sums of four absolute differences: the four bytes of b that imm8 1:0 selects,
 * against a sliding window of a that begins at 0 or (imm8 2) 4. */
void exec_mpsadbw(struct cpu *c, const struct insn *in)
{
    union xmm b = read_xmm(c, in, 1, 16), a = c->arch.vector[in->o[0].reg].xmm, r;
    u32 from_b = 4 * (u32)(in->imm & 3), from_a = (u32)(in->imm & 4);
    for (u32 i = 0; i < 8; i++) {
        s32 sum = 0;
        for (u32 k = 0; k < 4; k++) {
            s32 difference = a.b[from_a + i + k] - b.b[from_b + k];
            sum += difference < 0 ? -difference : difference;
        }
        r.w[i] = (u16)sum;
    }
    c->arch.vector[in->o[0].reg].xmm = r;
}
