/* SPDX-License-Identifier: Apache-2.0 */
/* What the rows of float3.def are made of. */
#ifndef SOFTSEV_CPU_EXEC_SSE_ACROSS_H
#define SOFTSEV_CPU_EXEC_SSE_ACROSS_H

#include "cpu/exec/sse.h"

INLINE __m128i gather_ps(__m128i a, __m128i b, bool odd)
{
    __m128 x = _mm_castsi128_ps(a), y = _mm_castsi128_ps(b);
    return _mm_castps_si128(odd ? _mm_shuffle_ps(x, y, 0xdd) : _mm_shuffle_ps(x, y, 0x88));
}

INLINE __m128i gather_pd(__m128i a, __m128i b, bool odd)
{
    return odd ? _mm_unpackhi_epi64(a, b) : _mm_unpacklo_epi64(a, b);
}

/* Applies `subtract` to the lanes of the mask and `add` to the others. Both run in every lane, and
 * the unwanted operation of a lane could raise wrong flags, so it gets zeros as operands. */
INLINE __m128i select(__m128i mask, __m128i yes, __m128i no)
{
    return _mm_or_si128(_mm_and_si128(mask, yes), _mm_andnot_si128(mask, no));
}

INLINE __m128i addsub(__m128i a, __m128i b, __m128i mask, vector_fn *add, vector_fn *subtract)
{
    __m128i difference = subtract(_mm_and_si128(mask, a), _mm_and_si128(mask, b));
    __m128i sum = add(_mm_andnot_si128(mask, a), _mm_andnot_si128(mask, b));
    return select(mask, difference, sum);
}

#endif
