/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shuffles, blends and shifts that an immediate controls: what 16 bytes become, for the legacy
 * and the VEX form. `a` is the destination of the legacy form, `b` the other operand.
 */
#ifndef SOFTSEV_CPU_EXEC_SSE_SHUFFLE_H
#define SOFTSEV_CPU_EXEC_SSE_SHUFFLE_H

#include "cpu/exec/sse.h"

typedef union xmm imm_fn(union xmm a, union xmm b, u32 imm);

// clang-format off
/* For each i: r.lane[i] = expression in a, b, imm and i. */
#define IMM(name, lane, lanes, expression) \
    INLINE union xmm name##_imm(union xmm a, union xmm b, u32 imm) \
    { \
        union xmm r = a; \
        (void)b; \
        (void)imm; \
        for (u32 i = 0; i < lanes; i++) \
            r.lane[i] = expression; \
        return r; \
    }
IMM(pshufd, d, 4, b.d[imm >> (2 * i) & 3])
IMM(pshuflw, w, 8, i < 4 ? b.w[imm >> (2 * i) & 3] : b.w[i])
IMM(pshufhw, w, 8, i < 4 ? b.w[i] : b.w[4 + (imm >> (2 * i - 8) & 3)])
IMM(shufps, d, 4, (i < 2 ? a : b).d[imm >> (2 * i) & 3])
IMM(shufpd, q, 2, (i < 1 ? a : b).q[imm >> i & 1])
IMM(permilpd, q, 2, b.q[imm >> i & 1])
IMM(blendps, d, 4, imm & BIT(i) ? b.d[i] : a.d[i])
IMM(blendpd, q, 2, imm & BIT(i) ? b.q[i] : a.q[i])
IMM(pblendw, w, 8, imm & BIT(i) ? b.w[i] : a.w[i])
IMM(movsldup, d, 4, b.d[i & 2])
IMM(movshdup, d, 4, b.d[i | 1])
IMM(movddup, q, 2, b.q[0])
// clang-format on

/* Takes 16 bytes of the 32 bytes a:b, from imm8 on. */
INLINE union xmm palignr_imm(union xmm a, union xmm b, u32 imm)
{
    u8 window[48] = {0};
    union xmm r;
    memcpy(window, &b, 16);
    memcpy(window + 16, &a, 16);
    memcpy(&r, window + min_u64(imm, 32), 16);
    return r;
}

/* PSLLDQ and PSRLDQ: a window of 16 bytes moves over zeros, the register, and zeros. */
INLINE union xmm shift_bytes(union xmm a, u32 offset)
{
    u8 window[48] = {0};
    union xmm r;
    memcpy(window + 16, &a, 16);
    memcpy(&r, window + offset, 16);
    return r;
}

INLINE union xmm pslldq_imm(union xmm a, union xmm b, u32 imm)
{
    (void)b;
    return shift_bytes(a, 16 - (u32)min_u64(imm, 16));
}

INLINE union xmm psrldq_imm(union xmm a, union xmm b, u32 imm)
{
    (void)b;
    return shift_bytes(a, 16 + (u32)min_u64(imm, 16));
}

/* Computes eight sums of four absolute differences: the four bytes of b that imm8 1:0 selects,
 * against a sliding window of a that begins at 0 or (imm8 2) 4. */
INLINE union xmm mpsadbw_imm(union xmm a, union xmm b, u32 imm)
{
    union xmm r;
    u32 from_b = 4 * (imm & 3), from_a = imm & 4;
    for (u32 i = 0; i < 8; i++) {
        s32 sum = 0;
        for (u32 k = 0; k < 4; k++) {
            s32 difference = a.b[from_a + i + k] - b.b[from_b + k];
            sum += difference < 0 ? -difference : difference;
        }
        r.w[i] = (u16)sum;
    }
    return r;
}

/* Finds the smallest word and its first place. */
INLINE union xmm phminposuw_imm(union xmm a, union xmm b, u32 imm)
{
    u16 at = 0;
    (void)a;
    (void)imm;
    for (u16 i = 1; i < 8; i++)
        if (b.w[i] < b.w[at])
            at = i;
    return (union xmm){.w = {b.w[at], at}};
}

/* INSERTPS: imm8 7:6 source element (register form), 5:4 destination element, 3:0 elements
 * cleared. */
INLINE union xmm insertps_imm(union xmm a, union xmm b, u32 imm)
{
    a.d[imm >> 4 & 3] = b.d[imm >> 6 & 3];
    for (u32 i = 0; i < 4; i++)
        if (imm & BIT(i))
            a.d[i] = 0;
    return a;
}

#endif
