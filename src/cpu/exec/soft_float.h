/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floating point in integers, for what the host's baseline cannot compute: fused multiply-add and
 * half precision. Flags and results are those of an x86 processor with all exceptions masked.
 */
#ifndef SOFTSEV_CPU_EXEC_SOFT_FLOAT_H
#define SOFTSEV_CPU_EXEC_SOFT_FLOAT_H

#include "base/base.h"

struct float_format {
    u8 fraction, exponent; /* bits */
};

extern const struct float_format float_half, float_single, float_double;

/* How to compute: MXCSR's rounding (RC), and whether denormal operands and results become zero. */
struct float_control {
    u32 rounding;
    bool daz, ftz;
};

/* A number apart: 1.fraction * 2^exponent with the one in bit 127, or a class without. */
enum float_class { FLOAT_ZERO, FLOAT_FINITE, FLOAT_INFINITY, FLOAT_QUIET, FLOAT_SIGNALING };
struct float_parts {
    enum float_class class;
    bool sign, denormal;
    s32 exponent;
    u128 mantissa;
};

struct float_parts float_unpack(const struct float_format *f, u64 bits, bool daz);
u64 float_infinity(const struct float_format *f, bool sign);
u64 float_default_nan(const struct float_format *f);
/* Rounds a finite number, whose one may be in any bit but 127 at most, and adds OE UE PE. */
u64 float_round(const struct float_format *f, const struct float_parts *p, struct float_control k,
                u32 *flags);
/* Returns x * y + z, with product or addend negated, and adds the flags. */
struct float_negate {
    bool product, addend;
};
u64 float_fma(const struct float_format *f, const u64 xyz[3], struct float_negate negate,
              struct float_control k, u32 *flags);

#endif
