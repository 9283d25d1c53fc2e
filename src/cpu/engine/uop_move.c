/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Specialised handlers that move data: MOV, MOVZX, MOVSX, LEA, CMOVcc, SETcc, XCHG, BSWAP, the sign
 * extensions of RAX, and the stack in 64-bit mode. lower.c picks them from the tables below.
 */
#include "cpu/engine/engine.h"

/* clang-format off */
#define MOV(size)                                                                                   \
    UOP(mov_rr_##size) { reg_set(c, u->d, size, reg_get(c, u->s, size)); NEXT(c, u); }              \
    UOP(mov_ri_##size) { reg_set(c, u->d, size, u->imm); NEXT(c, u); }                              \
    MOV_M(size, 0) MOV_M(size, 1)
#define MOV_M(size, indexed)                                                                        \
    UOP(mov_rm_##size##_##indexed)                                                                  \
    {                                                                                               \
        reg_set(c, u->d, size, uop_load(c, u, uop_ea(c, u, indexed), size));                        \
        NEXT(c, u);                                                                                 \
    }                                                                                               \
    UOP(mov_mr_##size##_##indexed)                                                                  \
    {                                                                                               \
        uop_store(c, u, uop_ea(c, u, indexed), size, reg_get(c, u->s, size));                       \
        NEXT(c, u);                                                                                 \
    }                                                                                               \
    UOP(mov_mi_##size##_##indexed)                                                                  \
    {                                                                                               \
        uop_store(c, u, uop_ea(c, u, indexed), size, u->imm);                                       \
        NEXT(c, u);                                                                                 \
    }
MOV(1) MOV(2) MOV(4) MOV(8)
#define SIZES(name) {name##_1, name##_2, name##_4, name##_8}
#define SIZES_M(name) {{name##_1_0, name##_1_1}, {name##_2_0, name##_2_1}, {name##_4_0, name##_4_1}, {name##_8_0, name##_8_1}}
uop_fn *const uop_mov_rr[4] = SIZES(mov_rr);
uop_fn *const uop_mov_ri[4] = SIZES(mov_ri);
uop_fn *const uop_mov_rm[4][2] = SIZES_M(mov_rm);
uop_fn *const uop_mov_mr[4][2] = SIZES_M(mov_mr);
uop_fn *const uop_mov_mi[4][2] = SIZES_M(mov_mi);

#define EXTEND(name, from, to, f)                                                                   \
    UOP(name##_r) { reg_set(c, u->d, to, f(reg_get(c, u->s, from), from)); NEXT(c, u); }            \
    UOP(name##_m) { reg_set(c, u->d, to, f(uop_load(c, u, uop_ea(c, u, false), from), from)); NEXT(c, u); } \
    UOP(name##_x) { reg_set(c, u->d, to, f(uop_load(c, u, uop_ea(c, u, true), from), from)); NEXT(c, u); }
#define ZERO_EXTENDED(v, from) (v)
EXTEND(movzx_1, 1, 8, ZERO_EXTENDED)
EXTEND(movzx_2, 2, 8, ZERO_EXTENDED)
EXTEND(movsx_1_4, 1, 4, sign_extend)
EXTEND(movsx_1_8, 1, 8, sign_extend)
EXTEND(movsx_2_4, 2, 4, sign_extend)
EXTEND(movsx_2_8, 2, 8, sign_extend)
EXTEND(movsx_4_4, 4, 4, sign_extend)
EXTEND(movsx_4_8, 4, 8, sign_extend)
#define ANYWHERE(name) {name##_r, name##_m, name##_x}
uop_fn *const uop_movzx[2][PLACES] = {ANYWHERE(movzx_1), ANYWHERE(movzx_2)};
uop_fn *const uop_movsx[3][2][PLACES] = {
    {ANYWHERE(movsx_1_4), ANYWHERE(movsx_1_8)},
    {ANYWHERE(movsx_2_4), ANYWHERE(movsx_2_8)},
    {ANYWHERE(movsx_4_4), ANYWHERE(movsx_4_8)},
};

#define LEA(size, indexed) \
    UOP(lea_##size##_##indexed) { reg_set(c, u->d, size, uop_ea(c, u, indexed)); NEXT(c, u); }
LEA(4, 0) LEA(4, 1) LEA(8, 0) LEA(8, 1)
uop_fn *const uop_lea[2][2] = {{lea_4_0, lea_4_1}, {lea_8_0, lea_8_1}};

/* A 32-bit CMOVcc clears the upper half even if the condition is false, and loads even then. */
#define CMOV_FORM(cc, size, form, load)                                                             \
    UOP(cmov_##cc##_##size##_##form)                                                                \
    {                                                                                               \
        u64 v = load;                                                                               \
        reg_set(c, u->d, size, condition_inline(c, cc) ? v : reg_get(c, u->d, size));               \
        NEXT(c, u);                                                                                 \
    }
#define CMOV(cc, size)                                                                              \
    CMOV_FORM(cc, size, r, reg_get(c, u->s, size))                                                  \
    CMOV_FORM(cc, size, m, uop_load(c, u, uop_ea(c, u, false), size))                               \
    CMOV_FORM(cc, size, x, uop_load(c, u, uop_ea(c, u, true), size))
#define SETCC(cc)                                                                                   \
    UOP(setcc_##cc##_r) { reg_set(c, u->d, 1, condition_inline(c, cc)); NEXT(c, u); }               \
    UOP(setcc_##cc##_m) { uop_store(c, u, uop_ea(c, u, false), 1, condition_inline(c, cc)); NEXT(c, u); } \
    UOP(setcc_##cc##_x) { uop_store(c, u, uop_ea(c, u, true), 1, condition_inline(c, cc)); NEXT(c, u); }
#define CONDITION(cc) CMOV(cc, 4) CMOV(cc, 8) SETCC(cc)
CONDITION(0) CONDITION(1) CONDITION(2) CONDITION(3) CONDITION(4) CONDITION(5) CONDITION(6) CONDITION(7)
CONDITION(8) CONDITION(9) CONDITION(10) CONDITION(11) CONDITION(12) CONDITION(13) CONDITION(14) CONDITION(15)
#define CMOV_ROW(cc) {ANYWHERE(cmov_##cc##_4), ANYWHERE(cmov_##cc##_8)}
uop_fn *const uop_cmov[16][2][PLACES] = {
    CMOV_ROW(0), CMOV_ROW(1), CMOV_ROW(2), CMOV_ROW(3), CMOV_ROW(4), CMOV_ROW(5), CMOV_ROW(6), CMOV_ROW(7),
    CMOV_ROW(8), CMOV_ROW(9), CMOV_ROW(10), CMOV_ROW(11), CMOV_ROW(12), CMOV_ROW(13), CMOV_ROW(14), CMOV_ROW(15),
};
uop_fn *const uop_setcc[16][PLACES] = {
    ANYWHERE(setcc_0), ANYWHERE(setcc_1), ANYWHERE(setcc_2), ANYWHERE(setcc_3),
    ANYWHERE(setcc_4), ANYWHERE(setcc_5), ANYWHERE(setcc_6), ANYWHERE(setcc_7),
    ANYWHERE(setcc_8), ANYWHERE(setcc_9), ANYWHERE(setcc_10), ANYWHERE(setcc_11),
    ANYWHERE(setcc_12), ANYWHERE(setcc_13), ANYWHERE(setcc_14), ANYWHERE(setcc_15),
};

#define XCHG_M(size, indexed)                                                                       \
    UOP(xchg_mr_##size##_##indexed)                                                                 \
    {                                                                                               \
        u64 a = uop_ea(c, u, indexed);                                                              \
        u8 *p = uop_rmw(c, u, a, size);                                                             \
        u64 old = bytes_get(p, size), v = reg_get(c, u->s, size);                                   \
        memcpy(p, &v, size);                                                                        \
        uop_rmw_end(c, a, size, p);                                                                 \
        reg_set(c, u->s, size, old);                                                                \
        NEXT(c, u);                                                                                 \
    }
#define XCHG(size)                                                                                  \
    UOP(xchg_rr_##size)                                                                             \
    {                                                                                               \
        u64 v = reg_get(c, u->d, size);                                                             \
        reg_set(c, u->d, size, reg_get(c, u->s, size));                                             \
        reg_set(c, u->s, size, v);                                                                  \
        NEXT(c, u);                                                                                 \
    }                                                                                               \
    XCHG_M(size, 0) XCHG_M(size, 1)
XCHG(1) XCHG(2) XCHG(4) XCHG(8)
uop_fn *const uop_xchg_rr[4] = SIZES(xchg_rr);
uop_fn *const uop_xchg_mr[4][2] = SIZES_M(xchg_mr);

UOP(bswap_4) { reg_set(c, u->d, 4, __builtin_bswap32((u32)c->arch.r[u->d])); NEXT(c, u); }
UOP(bswap_8) { c->arch.r[u->d] = __builtin_bswap64(c->arch.r[u->d]); NEXT(c, u); }
UOP(cwde) { reg_set(c, RAX, 4, sign_extend(c->arch.r[RAX], 2)); NEXT(c, u); }
UOP(cdqe) { c->arch.r[RAX] = sign_extend(c->arch.r[RAX], 4); NEXT(c, u); }
UOP(cdq) { c->arch.r[RDX] = (c->arch.r[RAX] >> 31 & 1) ? 0xffffffffu : 0; NEXT(c, u); }
UOP(cqo) { c->arch.r[RDX] = (u64)((s64)c->arch.r[RAX] >> 63); NEXT(c, u); }
/* clang-format on */
uop_fn *const uop_bswap[2] = {bswap_4, bswap_8};
uop_fn *const uop_extend_a[2] = {cwde, cdqe};
uop_fn *const uop_extend_ad[2] = {cdq, cqo};

/* The stack in 64-bit mode, 8 bytes at a time. */
const struct uop *uop_push_r(struct cpu *c, const struct uop *u)
{
    uop_push(c, u, c->arch.r[u->s]);
    NEXT(c, u);
}

const struct uop *uop_push_i(struct cpu *c, const struct uop *u)
{
    uop_push(c, u, u->imm);
    NEXT(c, u);
}

const struct uop *uop_push_m(struct cpu *c, const struct uop *u)
{
    uop_push(c, u, uop_load(c, u, uop_ea(c, u, true), 8));
    NEXT(c, u);
}

const struct uop *uop_pop_r(struct cpu *c, const struct uop *u)
{
    u64 v = uop_load(c, u, c->arch.r[RSP], 8);
    c->arch.r[RSP] += 8;
    c->arch.r[u->d] = v;
    NEXT(c, u);
}

const struct uop *uop_leave_frame(struct cpu *c, const struct uop *u)
{
    u64 a = c->arch.r[RBP];
    u64 v = uop_load(c, u, a, 8);
    c->arch.r[RSP] = a + 8;
    c->arch.r[RBP] = v;
    NEXT(c, u);
}
