/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Specialised handlers of the arithmetic group (ADD to CMP, TEST), INC, DEC, NEG and NOT, made by
 * macro for every operand form and size. lower.c picks them from the tables below.
 */
#include "cpu/engine/engine.h"

/* clang-format off */
#define COMPARES(op) ((op) == ALU_CMP || (op) == ALU_TEST)

#define ALU_RR(op, size, flags)                                                                     \
    UOP(op##_rr_##size##_##flags)                                                                   \
    {                                                                                               \
        u64 v = alu(c, ALU_##op, size, flags, reg_get(c, u->d, size), reg_get(c, u->s, size));      \
        if (!COMPARES(ALU_##op))                                                                    \
            reg_set(c, u->d, size, v);                                                              \
        NEXT(c, u);                                                                                 \
    }
#define ALU_RI(op, size, flags)                                                                     \
    UOP(op##_ri_##size##_##flags)                                                                   \
    {                                                                                               \
        u64 v = alu(c, ALU_##op, size, flags, reg_get(c, u->d, size), u->imm);                      \
        if (!COMPARES(ALU_##op))                                                                    \
            reg_set(c, u->d, size, v);                                                              \
        NEXT(c, u);                                                                                 \
    }
#define ALU_RM(op, size, indexed)                                                                   \
    UOP(op##_rm_##size##_##indexed)                                                                 \
    {                                                                                               \
        u64 b = uop_load(c, u, uop_ea(c, u, indexed), size);                                        \
        u64 v = alu(c, ALU_##op, size, true, reg_get(c, u->d, size), b);                            \
        if (!COMPARES(ALU_##op))                                                                    \
            reg_set(c, u->d, size, v);                                                              \
        NEXT(c, u);                                                                                 \
    }
#define ALU_M(op, size, indexed, form, operand)                                                     \
    UOP(op##_##form##_##size##_##indexed)                                                           \
    {                                                                                               \
        u64 a = uop_ea(c, u, indexed);                                                              \
        if (COMPARES(ALU_##op)) {                                                                   \
            alu(c, ALU_##op, size, true, uop_load(c, u, a, size), operand);                         \
        } else {                                                                                    \
            u8 *p = uop_rmw(c, u, a, size);                                                         \
            u64 v = alu(c, ALU_##op, size, true, bytes_get(p, size), operand);                      \
            memcpy(p, &v, size);                                                                    \
            uop_rmw_end(c, a, size, p);                                                             \
        }                                                                                           \
        NEXT(c, u);                                                                                 \
    }
#define ALU_FORMS(op, size)                                                                         \
    ALU_RR(op, size, 0) ALU_RR(op, size, 1) ALU_RI(op, size, 0) ALU_RI(op, size, 1)                 \
    ALU_RM(op, size, 0) ALU_RM(op, size, 1)                                                         \
    ALU_M(op, size, 0, mr, reg_get(c, u->s, size)) ALU_M(op, size, 1, mr, reg_get(c, u->s, size))   \
    ALU_M(op, size, 0, mi, u->imm) ALU_M(op, size, 1, mi, u->imm)
#define ALU_ALL(op) ALU_FORMS(op, 1) ALU_FORMS(op, 2) ALU_FORMS(op, 4) ALU_FORMS(op, 8)

ALU_ALL(ADD) ALU_ALL(OR) ALU_ALL(ADC) ALU_ALL(SBB) ALU_ALL(AND) ALU_ALL(SUB) ALU_ALL(XOR) ALU_ALL(CMP) ALU_ALL(TEST)

#define ROW(op, form)                                                                               \
    [ALU_##op] = {{op##_##form##_1_0, op##_##form##_1_1}, {op##_##form##_2_0, op##_##form##_2_1},   \
                  {op##_##form##_4_0, op##_##form##_4_1}, {op##_##form##_8_0, op##_##form##_8_1}}
#define TABLE(form)                                                                                 \
    uop_fn *const uop_alu_##form[ALUS][4][2] = {                                                    \
        ROW(ADD, form), ROW(OR, form), ROW(ADC, form), ROW(SBB, form), ROW(AND, form),              \
        ROW(SUB, form), ROW(XOR, form), ROW(CMP, form), ROW(TEST, form),                            \
    };
TABLE(rr)
TABLE(ri)
TABLE(rm)
TABLE(mr)
TABLE(mi)

#define STEP_R(name, down, size, flags)                                                             \
    UOP(name##_r_##size##_##flags)                                                                  \
    {                                                                                               \
        reg_set(c, u->d, size, alu_step(c, size, flags, reg_get(c, u->d, size), down));             \
        NEXT(c, u);                                                                                 \
    }
#define STEP_M(name, down, size, indexed)                                                           \
    UOP(name##_m_##size##_##indexed)                                                                \
    {                                                                                               \
        u64 a = uop_ea(c, u, indexed);                                                              \
        u8 *p = uop_rmw(c, u, a, size);                                                             \
        u64 v = alu_step(c, size, true, bytes_get(p, size), down);                                  \
        memcpy(p, &v, size);                                                                        \
        uop_rmw_end(c, a, size, p);                                                                 \
        NEXT(c, u);                                                                                 \
    }
#define STEP_FORMS(name, down, size)                                                                \
    STEP_R(name, down, size, 0) STEP_R(name, down, size, 1)                                         \
    STEP_M(name, down, size, 0) STEP_M(name, down, size, 1)
#define STEP_ALL(name, down) \
    STEP_FORMS(name, down, 1) STEP_FORMS(name, down, 2) STEP_FORMS(name, down, 4) STEP_FORMS(name, down, 8)
STEP_ALL(inc, false)
STEP_ALL(dec, true)
#define STEP_ROW(name, form)                                                                        \
    {{name##_##form##_1_0, name##_##form##_1_1}, {name##_##form##_2_0, name##_##form##_2_1},        \
     {name##_##form##_4_0, name##_##form##_4_1}, {name##_##form##_8_0, name##_##form##_8_1}}
uop_fn *const uop_step_r[2][4][2] = {STEP_ROW(inc, r), STEP_ROW(dec, r)};
uop_fn *const uop_step_m[2][4][2] = {STEP_ROW(inc, m), STEP_ROW(dec, m)};

#define NEG_NOT(size)                                                                               \
    UOP(not_##size)                                                                                 \
    {                                                                                               \
        reg_set(c, u->d, size, ~reg_get(c, u->d, size));                                            \
        NEXT(c, u);                                                                                 \
    }                                                                                               \
    UOP(neg_##size)                                                                                 \
    {                                                                                               \
        reg_set(c, u->d, size, alu(c, ALU_SUB, size, true, 0, reg_get(c, u->d, size)));             \
        NEXT(c, u);                                                                                 \
    }
NEG_NOT(1) NEG_NOT(2) NEG_NOT(4) NEG_NOT(8)
uop_fn *const uop_not_r[4] = {not_1, not_2, not_4, not_8};
uop_fn *const uop_neg_r[4] = {neg_1, neg_2, neg_4, neg_8};
/* clang-format on */
