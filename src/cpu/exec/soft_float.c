/* SPDX-License-Identifier: Apache-2.0 */
/* Floating point in integers; see soft_float.h. */
#include "cpu/exec/soft_float.h"
#include "cpu/exec/sse.h"

const struct float_format float_half = {10, 5}, float_single = {23, 8}, float_double = {52, 11};

enum { ROUND_NEAREST, ROUND_DOWN, ROUND_UP, ROUND_ZERO };

static s32 bias(const struct float_format *f)
{
    return (1 << (f->exponent - 1)) - 1;
}

static u64 sign_bit(const struct float_format *f, bool sign)
{
    return (u64)sign << (f->fraction + f->exponent);
}

u64 float_infinity(const struct float_format *f, bool sign)
{
    return sign_bit(f, sign) | (BIT(f->exponent) - 1) << f->fraction;
}

u64 float_default_nan(const struct float_format *f)
{
    return float_infinity(f, true) | BIT(f->fraction - 1u);
}

/* --- Apart and together ----------------------------------------------------------------------- */

/* Moves the highest one to bit 127. The mantissa is not zero. */
static void normalise(struct float_parts *p)
{
    u64 high = (u64)(p->mantissa >> 64);
    u32 zeros = (u32)(high ? __builtin_clzll(high) : 64 + __builtin_clzll((u64)p->mantissa));
    p->mantissa <<= zeros;
    p->exponent -= (s32)zeros;
}

struct float_parts float_unpack(const struct float_format *f, u64 bits, bool daz)
{
    u64 fraction = bits & (BIT(f->fraction) - 1), exponent = bits >> f->fraction;
    struct float_parts p = {.sign = exponent >> f->exponent & 1};
    exponent &= BIT(f->exponent) - 1;
    if (exponent == BIT(f->exponent) - 1) {
        bool quiet = fraction >> (f->fraction - 1) & 1;
        p.class = !fraction ? FLOAT_INFINITY : quiet ? FLOAT_QUIET : FLOAT_SIGNALING;
        return p;
    }
    if (!exponent && (!fraction || daz))
        return p; /* zero */
    p.class = FLOAT_FINITE;
    p.denormal = !exponent;
    p.mantissa = (u128)(fraction | (exponent ? BIT(f->fraction) : 0)) << (127 - f->fraction);
    p.exponent = (s32)(exponent ? exponent : 1) - bias(f);
    normalise(&p);
    return p;
}

/* Shifts right; what is shifted out leaves a one behind. */
static u128 shift_right(u128 v, u32 count)
{
    if (count == 0)
        return v;
    if (count > 127)
        return v != 0;
    return v >> count | ((v << (128 - count)) != 0);
}

/* Returns true if rounding to the upper `precision` bits of the mantissa goes away from zero. */
static bool rounds_up(u128 mantissa, u32 precision, bool sign, u32 rounding)
{
    u128 rest = mantissa << precision, half = (u128)1 << 127;
    bool odd = mantissa >> (128 - precision) & 1;
    switch (rounding) {
    case ROUND_NEAREST:
        return rest > half || (rest == half && odd);
    case ROUND_DOWN:
        return sign && rest;
    case ROUND_UP:
        return !sign && rest;
    default:
        return false;
    }
}

static u64 overflow(const struct float_format *f, bool sign, u32 rounding, u32 *flags)
{
    bool towards_zero = rounding == ROUND_ZERO || rounding == (sign ? ROUND_UP : ROUND_DOWN);
    *flags |= MXCSR_OE | MXCSR_PE;
    return float_infinity(f, sign) - towards_zero;
}

/* Tiny is what would still be below the smallest normal number after rounding without a limit to
 * the exponent [APM1 4.10]. */
static bool is_tiny(const struct float_parts *p, u32 precision, s32 smallest, u32 rounding)
{
    if (p->exponent != smallest - 1)
        return p->exponent < smallest;
    u128 kept = p->mantissa >> (128 - precision);
    bool carries = kept == BIT(precision) - 1;
    return !(carries && rounds_up(p->mantissa, precision, p->sign, rounding));
}

u64 float_round(const struct float_format *f, const struct float_parts *number,
                struct float_control k, u32 *flags)
{
    struct float_parts p = *number;
    u32 precision = f->fraction + 1u;
    s32 smallest = 1 - bias(f);
    normalise(&p);
    bool tiny = is_tiny(&p, precision, smallest, k.rounding);
    if (tiny && k.ftz) {
        *flags |= MXCSR_UE | MXCSR_PE;
        return sign_bit(f, p.sign);
    }
    if (p.exponent < smallest) {
        p.mantissa = shift_right(p.mantissa, (u32)(smallest - p.exponent));
        p.exponent = smallest - 1; /* encoded as zero */
    }
    bool inexact = (p.mantissa << precision) != 0;
    u64 kept = (u64)(p.mantissa >> (128 - precision)) +
               rounds_up(p.mantissa, precision, p.sign, k.rounding);
    if (p.exponent >= smallest)
        kept -= BIT(f->fraction); /* the one that is not stored; a carry adds to the exponent */
    u64 result = ((u64)(p.exponent + bias(f)) << f->fraction) + kept;
    if (result >= float_infinity(f, false))
        return overflow(f, p.sign, k.rounding, flags);
    *flags |= (inexact ? MXCSR_PE : 0) | (tiny && inexact ? MXCSR_UE : 0);
    return sign_bit(f, p.sign) | result;
}

/* --- Fused multiply-add ----------------------------------------------------------------------- */

static struct float_parts product_of(const struct float_parts *x, const struct float_parts *y)
{
    struct float_parts p = {.sign = x->sign != y->sign, .class = FLOAT_FINITE};
    if (x->class == FLOAT_INFINITY || y->class == FLOAT_INFINITY) {
        p.class = FLOAT_INFINITY;
    } else if (x->class == FLOAT_ZERO || y->class == FLOAT_ZERO) {
        p.class = FLOAT_ZERO;
    } else { /* at most 53 bits each */
        p.mantissa = (u128)(u64)(x->mantissa >> 64) * (u64)(y->mantissa >> 64);
        p.exponent = x->exponent + y->exponent + 1;
        normalise(&p);
    }
    return p;
}

/* Adds two finite numbers. One bit of headroom for the carry; 127 bits hold all of a product. */
static struct float_parts sum_of(const struct float_parts *a, const struct float_parts *b)
{
    const struct float_parts *big = a, *small = b;
    if (b->exponent > a->exponent)
        big = b, small = a;
    struct float_parts r = *big;
    u128 x = big->mantissa >> 1;
    u128 y = shift_right(small->mantissa >> 1 | (small->mantissa & 1),
                         (u32)(big->exponent - small->exponent));
    r.exponent++;
    if (a->sign == b->sign) {
        r.mantissa = x + y;
    } else if (x >= y) {
        r.mantissa = x - y;
    } else {
        r.mantissa = y - x;
        r.sign = small->sign;
    }
    return r;
}

static bool is_nan(const struct float_parts *p)
{
    return p->class >= FLOAT_QUIET;
}

/* Returns the first NaN of the operands, quiet. A signaling one raises IE. */
static u64 nan_of(const struct float_format *f, const u64 xyz[3], const struct float_parts p[3],
                  u32 *flags)
{
    u32 first = 0;
    while (!is_nan(&p[first]))
        first++;
    for (u32 i = 0; i < 3; i++)
        if (p[i].class == FLOAT_SIGNALING)
            *flags |= MXCSR_IE;
    return xyz[first] | BIT(f->fraction - 1u);
}

/* A sum that is exactly zero is negative only if both terms are, or when rounding down. */
static u64 exact_zero(const struct float_format *f, bool sign_a, bool sign_b, u32 rounding)
{
    return sign_bit(f, sign_a == sign_b ? sign_a : rounding == ROUND_DOWN);
}

u64 float_fma(const struct float_format *f, const u64 xyz[3], struct float_negate negate,
              struct float_control k, u32 *flags)
{
    struct float_parts p[3];
    for (u32 i = 0; i < 3; i++)
        p[i] = float_unpack(f, xyz[i], k.daz);
    if (is_nan(&p[0]) || is_nan(&p[1]) || is_nan(&p[2]))
        return nan_of(f, xyz, p, flags);
    struct float_parts product = product_of(&p[0], &p[1]), z = p[2];
    product.sign ^= negate.product;
    z.sign ^= negate.addend;
    bool no_product =
        product.class == FLOAT_INFINITY && (p[0].class == FLOAT_ZERO || p[1].class == FLOAT_ZERO);
    bool both_infinite = product.class == FLOAT_INFINITY && z.class == FLOAT_INFINITY;
    if (no_product || (both_infinite && product.sign != z.sign)) {
        *flags |= MXCSR_IE;
        return float_default_nan(f);
    }
    *flags |= p[0].denormal || p[1].denormal || z.denormal ? MXCSR_DE : 0;
    if (product.class == FLOAT_INFINITY || z.class == FLOAT_INFINITY)
        return float_infinity(f, product.class == FLOAT_INFINITY ? product.sign : z.sign);
    if (product.class == FLOAT_ZERO && z.class == FLOAT_ZERO)
        return exact_zero(f, product.sign, z.sign, k.rounding);
    struct float_parts sum = product.class == FLOAT_ZERO ? z
                             : z.class == FLOAT_ZERO     ? product
                                                         : sum_of(&product, &z);
    if (!sum.mantissa)
        return exact_zero(f, product.sign, z.sign, k.rounding);
    return float_round(f, &sum, k, flags);
}
