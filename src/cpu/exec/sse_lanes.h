/* SPDX-License-Identifier: Apache-2.0 */
/* What the rows of lanes.def are made of; the host's baseline has none of these instructions. */
#ifndef SOFTSEV_CPU_EXEC_SSE_LANES_H
#define SOFTSEV_CPU_EXEC_SSE_LANES_H

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

LOOP(pshufb, b, 16, b.b[i] & 0x80 ? 0 : a.b[b.b[i] & 15])
// clang-format on

#endif
