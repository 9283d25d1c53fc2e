/* SPDX-License-Identifier: Apache-2.0 */
/* Shifts, rotates and multiplications with their flags, for the specialised and the generic
 * handlers. */
#ifndef SOFTSEV_CPU_ENGINE_SHIFT_H
#define SOFTSEV_CPU_ENGINE_SHIFT_H

#include "cpu/engine/engine.h"

static ALWAYS_INLINE void flags_change_cf_of(struct cpu *c, bool cf, bool of)
{
    c->engine.flags.carries =
        (c->engine.flags.carries & ~(BIT(63) | BIT(62))) | (u64)cf << 63 | (u64)(cf ^ of) << 62;
}

/* Shifts `v`, which is zero-extended; `count` is already masked and not 0. OF is defined for a
 * shift by one; for other counts, where it is undefined, it follows the same formula. */
static ALWAYS_INLINE u64 shift(struct cpu *c, enum shift op, u32 size, bool flags, u64 v, u32 count)
{
    const u32 bits = 8 * size;
    u64 r;
    bool cf = false, of = false;
    switch (op) {
    case SHIFT_ROL:
    case SHIFT_ROR: {
        u32 n = count & (bits - 1);
        u32 left = op == SHIFT_ROL ? n : (bits - n) & (bits - 1);
        r = left ? v << left | v >> (bits - left) : v;
        bool top = r >> (bits - 1) & 1;
        cf = op == SHIFT_ROL ? r & 1 : top;
        of = op == SHIFT_ROL ? top ^ cf : top ^ (r >> (bits - 2) & 1);
        if (flags)
            flags_change_cf_of(c, cf, of);
        return r;
    }
    case SHIFT_SHL:
        r = v << count;
        cf = count <= bits && (v >> (bits - count) & 1);
        of = (r >> (bits - 1) & 1) ^ cf;
        break;
    case SHIFT_SHR:
        r = v >> count;
        cf = v >> (count - 1) & 1;
        of = v >> (bits - 1) & 1;
        break;
    default: {
        s64 s = (s64)sign_extend(v, size);
        r = (u64)(s >> count);
        cf = s >> (count - 1) & 1;
        break;
    }
    }
    if (flags)
        flags_explicit(c, size, r, cf, of, false);
    return r;
}

/* Multiplies as IMUL with two or three operands does: the product is truncated. SF ZF AF PF are
 * undefined. */
static ALWAYS_INLINE u64 multiply_signed(struct cpu *c, u32 size, u64 a, u64 b)
{
    u64 r;
    bool overflow;
    if (size == 8) {
        s64 product;
        overflow = __builtin_mul_overflow((s64)a, (s64)b, &product);
        r = (u64)product;
    } else {
        r = sign_extend(a, size) * sign_extend(b, size);
        overflow = sign_extend(r, size) != r;
    }
    flags_explicit(c, size, r, overflow, overflow, false);
    return r;
}

/* Multiplies as MUL does; the operands are zero-extended. */
static ALWAYS_INLINE u64 multiply_unsigned(struct cpu *c, u32 size, u64 a, u64 b, u64 *high)
{
    u64 low;
    if (size == 8) {
        u128 product = (u128)a * b;
        low = (u64)product;
        *high = (u64)(product >> 64);
    } else {
        u64 product = a * b;
        low = product & ((1ull << (8 * size)) - 1);
        *high = product >> (8 * size);
    }
    flags_explicit(c, size, low, *high != 0, *high != 0, false);
    return low;
}

#endif
