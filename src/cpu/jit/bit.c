/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bit instructions on general registers that have no handler of their own: BMI1 and BMI2, counts,
 * scans, bit tests that change the bit, and loads by MOVBE. Each is the same instruction of the
 * host; flags that the manuals leave undefined become what the exec functions make of them
 * (exec/bmi.c, bit.c).
 */
#include "cpu/jit/translate.h"

enum form {
    NONE,
    LAST,   /* VEX: d, E, register */
    MIDDLE, /* VEX: d, register, E */
    DOUBLE, /* VEX: two destinations, E; the other factor is RDX */
    UNARY,  /* VEX: d, E, with an opcode extension */
    ROTATE, /* VEX: d, E, imm8 */
    COUNT,  /* d, E */
    SCAN,   /* d, E; the handler does it if E is 0 */
    CHANGE, /* register d, and a register or imm8 that says which bit */
};

struct bit_op {
    u32 op;
    u8 form, extension, effect;
    u8 flags; /* those that it computes; with SETS the others become 0 */
    u32 host; /* HOST_... */
};

#define X38(op) ((u32)OP_38 | OP_TWO(op))
#define X3A(op) ((u32)OP_3A | OP_TWO(op))
#define CZS     (RFLAGS_CF | RFLAGS_ZF | RFLAGS_SF)
#define CZ      (RFLAGS_CF | RFLAGS_ZF)

// clang-format off
static const struct bit_op rows[INSN_COUNT] = {
    [INSN_andn]   = {X38(0xf2), MIDDLE, 0, BIT_SETS, CZS, HOST_BMI1},
    [INSN_bextr]  = {X38(0xf7), LAST, 0, BIT_SETS, CZ, HOST_BMI1},
    [INSN_blsr]   = {X38(0xf3), UNARY, 1, BIT_SETS, CZS, HOST_BMI1},
    [INSN_blsmsk] = {X38(0xf3), UNARY, 2, BIT_SETS, CZS, HOST_BMI1},
    [INSN_blsi]   = {X38(0xf3), UNARY, 3, BIT_SETS, CZS, HOST_BMI1},
    [INSN_bzhi]   = {X38(0xf5), LAST, 0, BIT_SETS, CZS, HOST_BMI2},
    [INSN_pdep]   = {OP_F2(X38(0xf5)), MIDDLE, 0, BIT_KEEPS, 0, HOST_BMI2},
    [INSN_pext]   = {OP_F3(X38(0xf5)), MIDDLE, 0, BIT_KEEPS, 0, HOST_BMI2},
    [INSN_mulx]   = {OP_F2(X38(0xf6)), DOUBLE, 0, BIT_KEEPS, 0, HOST_BMI2},
    [INSN_rorx]   = {OP_F2(X3A(0xf0)), ROTATE, 0, BIT_KEEPS, 0, HOST_BMI2},
    [INSN_sarx]   = {OP_F3(X38(0xf7)), LAST, 0, BIT_KEEPS, 0, HOST_BMI2},
    [INSN_shlx]   = {OP_66(X38(0xf7)), LAST, 0, BIT_KEEPS, 0, HOST_BMI2},
    [INSN_shrx]   = {OP_F2(X38(0xf7)), LAST, 0, BIT_KEEPS, 0, HOST_BMI2},
    [INSN_popcnt] = {OP_F3(OP_TWO(0xb8)), COUNT, 0, BIT_SETS, RFLAGS_ZF, HOST_POPCNT},
    [INSN_tzcnt]  = {OP_F3(OP_TWO(0xbc)), COUNT, 0, BIT_CHANGES, CZ, HOST_BMI1},
    [INSN_lzcnt]  = {OP_F3(OP_TWO(0xbd)), COUNT, 0, BIT_CHANGES, CZ, HOST_LZCNT},
    [INSN_bsf]    = {OP_TWO(0xbc), SCAN, 0, BIT_CHANGES, RFLAGS_ZF, 0},
    [INSN_bsr]    = {OP_TWO(0xbd), SCAN, 0, BIT_CHANGES, RFLAGS_ZF, 0},
    [INSN_bts]    = {OP_TWO(0xab), CHANGE, 5, BIT_CHANGES, RFLAGS_CF, HOST_BIT_TESTS},
    [INSN_btr]    = {OP_TWO(0xb3), CHANGE, 6, BIT_CHANGES, RFLAGS_CF, HOST_BIT_TESTS},
    [INSN_btc]    = {OP_TWO(0xbb), CHANGE, 7, BIT_CHANGES, RFLAGS_CF, HOST_BIT_TESTS},
    [INSN_movbe]  = {X38(0xf0), COUNT, 0, BIT_KEEPS, 0, HOST_MOVBE},
};
// clang-format on

static const struct operand *source_operand(const struct insn *in, u8 form)
{
    return &in->o[form == MIDDLE || form == DOUBLE ? 2 : 1];
}

/* Returns the row of the uop's instruction, or NULL if it has none or is not of a known form. */
static const struct bit_op *row_of(const struct uop *u)
{
    if (u->op != UOP_GENERIC)
        return NULL;
    const struct insn *in = u->insn;
    const struct bit_op *r = &rows[in->op->id];
    if (r->form == NONE || in->o[0].kind != OPERAND_GPR || in->o[0].size < 4)
        return NULL;
    struct uop memory;
    bool reads_memory = source_operand(in, r->form)->kind == OPERAND_MEM;
    return !reads_memory || insn_memory(u, &memory) ? r : NULL;
}

bool bit_uop(const struct uop *u)
{
    return row_of(u) != NULL;
}

enum bit_effect bit_effect(const struct uop *u)
{
    return (enum bit_effect)row_of(u)->effect;
}

bool bit_may_leave(const struct uop *u)
{
    const struct bit_op *r = row_of(u);
    return r->form == SCAN
    || source_operand(u->insn, r->form)->kind == OPERAND_MEM;
}

bool bit_changes(const struct uop *u, u8 reg)
{
    const struct insn *in = u->insn;
    return reg == in->o[0].reg || (row_of(u)->form == DOUBLE && reg == in->o[1].reg);
}

/* --- Flags ------------------------------------------------------------------------------------ */

/* After the instruction: makes raw_flags those that it computed and, unless it overwrites all, the
 * others of before. */
static void save_computed(struct translator *t, const struct bit_op *r)
{
    struct code *k = &t->code;
    t->flags = FLAGS_RAW;
    t->recipe.valid = false;
    if (!t->wanted_after)
        return;
    s32 mask = r->flags << 8;
    emit_byte(k, 0x9f); /* LAHF */
    emit_alu_imm(k, ALU_AND, 4, in_register(H_RAX), mask);
    if (r->effect == BIT_CHANGES) {
        emit_op(k, X_MOV_LOAD, 4, HOST, CPU_FIELD(engine.raw_flags));
        emit_alu_imm(k, ALU_AND, 4, in_register(HOST), ~mask);
        emit_op(k, 0x0b, 4, H_RAX, in_register(HOST));
    }
    emit_op(k, X_MOV_STORE, 4, H_RAX, CPU_FIELD(engine.raw_flags));
}

/* --- Forms ------------------------------------------------------------------------------------ */

static void vex(struct translator *t, const struct uop *u, const struct bit_op *r, struct rm source)
{
    const struct insn *in = u->insn;
    u32 size = in->o[0].size;
    u8 other = H_NONE;
    if (r->form == LAST || r->form == MIDDLE) {
        struct rm rm = gpr_operand(t, in->o[r->form == LAST ? 2 : 1].reg, 8);
        other = source_register(t, rm, &source);
    }
    u8 d = gpr_begin(t, in->o[0].reg, 8, SCRATCH, false);
    if (r->form == DOUBLE)
        other = gpr_begin(t, in->o[1].reg, 8, HOST, false);
    if (r->form == UNARY)
        emit_vex(&t->code, r->op, size, r->extension, d, source);
    else
        emit_vex(&t->code, r->op, size, d, r->form == ROTATE ? 0 : other, source);
    if (r->form == ROTATE)
        emit_byte(&t->code, (u8)in->imm);
    if (r->form == DOUBLE) /* the upper half stays if both have one register */
        gpr_end(t, in->o[1].reg, 8, other);
    gpr_end(t, in->o[0].reg, 8, d);
}

static void count(struct translator *t, const struct uop *u, const struct bit_op *r,
                  struct rm source)
{
    const struct insn *in = u->insn;
    u8 d = gpr_begin(t, in->o[0].reg, 8, SCRATCH, false);
    emit_op(&t->code, r->op, in->o[0].size, d, source);
    gpr_end(t, in->o[0].reg, 8, d);
}

/* A source of 0 changes no destination, in ways that processors do not agree on. */
static void scan(struct translator *t, const struct uop *u, const struct bit_op *r,
                 struct rm source)
{
    struct code *k = &t->code;
    const struct insn *in = u->insn;
    u32 size = in->o[0].size;
    if (source.memory) {
        emit_op(k, X_MOV_LOAD, size, HOST, source);
        source = in_register(HOST);
    }
    emit_op(k, X_TEST, size, source.reg, source);
    slow_if(t, CC_E, COLD_STEP);
    count(t, u, r, source);
    if (t->wanted_after)
        emit_alu_imm(k, ALU_AND, 4, CPU_FIELD(engine.raw_flags), ~(s32)(RFLAGS_ZF << 8));
    t->flags = FLAGS_RAW;
    t->recipe.valid = false;
}

/* Changes CF alone. */
static void change(struct translator *t, const struct uop *u, const struct bit_op *r)
{
    struct code *k = &t->code;
    const struct insn *in = u->insn;
    u32 size = in->o[0].size;
    if (t->wanted_after)
        flags_host(t);
    u8 d = gpr_begin(t, in->o[0].reg, 8, SCRATCH, true);
    if (in->o[1].kind == OPERAND_IMM)
        emit_op_imm8(k, OP_TWO(0xba), size, r->extension, in_register(d), (u8)in->imm);
    else
        emit_op(k, r->op, size, gpr_source(t, in->o[1].reg, 8, HOST), in_register(d));
    gpr_end(t, in->o[0].reg, 8, d);
    t->flags = t->wanted_after ? FLAGS_HOST : FLAGS_RAW;
    t->recipe.valid = false;
}

bool emit_bit(struct translator *t, const struct uop *u)
{
    const struct bit_op *r = row_of(u);
    if (!r || (r->host & t->exact.host) != r->host)
        return false;
    if (r->form == CHANGE) {
        change(t, u, r);
        return true;
    }
    if (r->effect == BIT_CHANGES)
        flags_raw(t);
    const struct operand *o = source_operand(u->insn, r->form);
    struct rm source = gpr_operand(t, o->reg, 8);
    struct uop memory;
    if (o->kind == OPERAND_MEM && insn_memory(u, &memory))
        source = memory_operand(t, &memory, o->size, false, COLD_STEP);
    if (r->form == SCAN) {
        scan(t, u, r, source);
        return true;
    }
    if (r->form == COUNT)
        count(t, u, r, source);
    else
        vex(t, u, r, source);
    if (r->effect != BIT_KEEPS)
        save_computed(t, r);
    return true;
}
