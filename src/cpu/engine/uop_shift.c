/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Specialised handlers of shifts, rotates, multiplications, divisions and bit tests on registers.
 * They use shift() in shift.h, as the generic handlers do.
 */
#include "cpu/engine/shift.h"

// clang-format off
#define SHIFT_FORMS(op, size)                                                                       \
    UOP(op##_ri_##size##_0)                                                                         \
    {                                                                                               \
        reg_set(c, u->d, size, shift(c, SHIFT_##op, size, false, reg_get(c, u->d, size), u->aux));  \
        NEXT(c, u);                                                                                 \
    }                                                                                               \
    UOP(op##_ri_##size##_1)                                                                         \
    {                                                                                               \
        reg_set(c, u->d, size, shift(c, SHIFT_##op, size, true, reg_get(c, u->d, size), u->aux));   \
        NEXT(c, u);                                                                                 \
    }                                                                                               \
    UOP(op##_rc_##size)                                                                             \
    {                                                                                               \
        u32 count = (u32)c->arch.r[RCX] & (size == 8 ? 63 : 31);                                         \
        u64 v = reg_get(c, u->d, size);                                                             \
        reg_set(c, u->d, size, count ? shift(c, SHIFT_##op, size, true, v, count) : v);             \
        NEXT(c, u);                                                                                 \
    }
#define SHIFT_ALL(op) SHIFT_FORMS(op, 1) SHIFT_FORMS(op, 2) SHIFT_FORMS(op, 4) SHIFT_FORMS(op, 8)
SHIFT_ALL(ROL) SHIFT_ALL(ROR) SHIFT_ALL(SHL) SHIFT_ALL(SHR) SHIFT_ALL(SAR)
#define ROW_I(op) [SHIFT_##op] = {{op##_ri_1_0, op##_ri_1_1}, {op##_ri_2_0, op##_ri_2_1}, {op##_ri_4_0, op##_ri_4_1}, {op##_ri_8_0, op##_ri_8_1}}
#define ROW_C(op) [SHIFT_##op] = {op##_rc_1, op##_rc_2, op##_rc_4, op##_rc_8}
uop_fn *const uop_shift_ri[SHIFTS][4][2] = {ROW_I(ROL), ROW_I(ROR), ROW_I(SHL), ROW_I(SHR), ROW_I(SAR)};
uop_fn *const uop_shift_rc[SHIFTS][4] = {ROW_C(ROL), ROW_C(ROR), ROW_C(SHL), ROW_C(SHR), ROW_C(SAR)};

#define IMUL(size, form, load)                                                                      \
    UOP(imul_rr_##size##_##form)                                                                    \
    {                                                                                               \
        u64 b = load;                                                                               \
        reg_set(c, u->d, size, multiply_signed(c, size, reg_get(c, u->d, size), b));                \
        NEXT(c, u);                                                                                 \
    }                                                                                               \
    UOP(imul_ri_##size##_##form)                                                                    \
    {                                                                                               \
        u64 a = load;                                                                               \
        reg_set(c, u->d, size, multiply_signed(c, size, a, u->imm));                                \
        NEXT(c, u);                                                                                 \
    }                                                                                               \
    UOP(mul_##size##_##form)                                                                        \
    {                                                                                               \
        u64 b = load;                                                                               \
        u64 high;                                                                                   \
        u64 low = multiply_unsigned(c, size, reg_get(c, RAX, size), b, &high);                      \
        reg_set(c, RAX, size, low);                                                                 \
        reg_set(c, RDX, size, high);                                                                \
        NEXT(c, u);                                                                                 \
    }
#define IMUL_FORMS(size)                                                                            \
    IMUL(size, r, reg_get(c, u->s, size))                                                           \
    IMUL(size, m, uop_load(c, u, uop_ea(c, u, false), size))                                        \
    IMUL(size, x, uop_load(c, u, uop_ea(c, u, true), size))
IMUL_FORMS(4) IMUL_FORMS(8)
#define ANYWHERE(name) {name##_r, name##_m, name##_x}
uop_fn *const uop_imul_rr[2][PLACES] = {ANYWHERE(imul_rr_4), ANYWHERE(imul_rr_8)};
uop_fn *const uop_imul_ri[2][PLACES] = {ANYWHERE(imul_ri_4), ANYWHERE(imul_ri_8)};
uop_fn *const uop_mul[2][PLACES] = {ANYWHERE(mul_4), ANYWHERE(mul_8)};

#define BT(size)                                                                                    \
    UOP(bt_ri_##size) { flags_change_cf(c, c->arch.r[u->d] >> u->aux & 1); NEXT(c, u); }                 \
    UOP(bt_rr_##size) { flags_change_cf(c, c->arch.r[u->d] >> (c->arch.r[u->s] & (8 * size - 1)) & 1); NEXT(c, u); }
BT(4) BT(8)
uop_fn *const uop_bt_ri[2] = {bt_ri_4, bt_ri_8};
uop_fn *const uop_bt_rr[2] = {bt_rr_4, bt_rr_8};
// clang-format on

/* DIV with a short dividend and a quotient that certainly fits; all other cases go the general
 * way. */
UOP(div_4)
{
    u64 divisor = (u32)c->arch.r[u->s], dividend = c->arch.r[RDX] << 32 | (u32)c->arch.r[RAX];
    if (UNLIKELY((u32)c->arch.r[RDX] >= divisor)) {
        cpu_sync(c, u);
        cpu_raise(c, VECTOR_DE, 0);
    }
    c->arch.r[RAX] = dividend / divisor;
    c->arch.r[RDX] = dividend % divisor;
    NEXT(c, u);
}

UOP(div_8)
{
    u64 divisor = c->arch.r[u->s], high = c->arch.r[RDX], low = c->arch.r[RAX];
    if (UNLIKELY(high >= divisor)) {
        cpu_sync(c, u);
        cpu_raise(c, VECTOR_DE, 0);
    }
    if (LIKELY(high == 0)) {
        c->arch.r[RAX] = low / divisor;
        c->arch.r[RDX] = low % divisor;
    } else {
        u128 dividend = (u128)high << 64 | low;
        c->arch.r[RAX] = (u64)(dividend / divisor);
        c->arch.r[RDX] = (u64)(dividend % divisor);
    }
    NEXT(c, u);
}

uop_fn *const uop_div[2] = {div_4, div_8};
