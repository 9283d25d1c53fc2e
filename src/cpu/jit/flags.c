/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's arithmetic flags in emitted code; translate.h says where they can be. */
#include "cpu/jit/translate.h"

#define LAHF 0x9f
#define SAHF 0x9e

/* --- Computing them again --------------------------------------------------------------------- */

static bool same_register(u8 a, u8 b, u32 size)
{
    return size == 1 ? a >> 3 == b >> 3 : a == b;
}

void recipe_set(struct translator *t, const struct uop *u, u32 which, u32 size)
{
    struct recipe *r = &t->recipe;
    bool logic = which == ALU_AND || which == ALU_OR || which == ALU_XOR;
    bool imm = u->form & FORM_IMM;
    *r = (struct recipe){.which = (u8)which, .size = (u8)size, .d = u->d, .s = u->s, .imm = imm};
    if (t->flags != FLAGS_HOST || memory_first(u))
        return;
    if (logic) { /* the result tells all */
        r->which = ALU_TEST;
        r->s = r->d;
        r->imm = false;
        r->valid = true;
    } else if (place_of(u) == REG) {
        r->value = imm ? (s32)u->imm : 0;
        r->valid =
            which == ALU_CMP || which == ALU_TEST ||
            ((which == ALU_ADD || which == ALU_SUB) && (imm || !same_register(u->d, u->s, size)));
    }
}

bool recipe_needs(const struct recipe *r, u8 reg)
{
    return reg == (r->size == 1 ? r->d >> 3 : r->d) ||
           (!r->imm && reg == (r->size == 1 ? r->s >> 3 : r->s));
}

static void operation(struct translator *t, const struct recipe *r, u32 which, u8 d)
{
    struct code *k = &t->code;
    if (r->imm)
        emit_arithmetic_imm(k, which, r->size, in_register(d), (u64)(s64)r->value);
    else
        emit_op(k, which == ALU_TEST ? X_TEST : which * 8 + 3, r->size, d,
                gpr_operand(t, r->s, r->size));
}

/* Makes EFLAGS valid. An addition is undone first, in SCRATCH, and so is a subtraction. */
static void recipe_run(struct translator *t, const struct recipe *r)
{
    struct code *k = &t->code;
    struct rm d = gpr_operand(t, r->d, r->size);
    bool undo = r->which == ALU_ADD || r->which == ALU_SUB;
    u8 reg = undo || d.memory ? SCRATCH : d.reg;
    if (reg == SCRATCH)
        emit_load(k, SCRATCH, d);
    if (undo)
        operation(t, r, r->which == ALU_ADD ? ALU_SUB : ALU_ADD, reg);
    operation(t, r, r->which, reg);
}

/* --- Where they are --------------------------------------------------------------------------- */

void flags_store(struct code *k)
{
    emit_byte(k, LAHF);
    emit_op(k, OP_TWO(0x90 | CC_O) | OP_BYTE, 4, 0, in_register(H_RAX)); /* SETO AL */
    emit_op(k, X_MOV_STORE, 4, H_RAX, CPU_FIELD(engine.raw_flags));
}

void recipe_save(struct translator *t, const struct recipe *r)
{
    if (!r->valid)
        return;
    recipe_run(t, r);
    flags_store(&t->code);
}

void flags_save(struct translator *t)
{
    if (t->flags == FLAGS_RECIPE)
        recipe_run(t, &t->recipe);
    if (t->flags == FLAGS_RECIPE || t->flags == FLAGS_HOST) {
        flags_store(&t->code);
        t->flags = FLAGS_BOTH;
    }
}

void flags_clobber(struct translator *t)
{
    if (t->wanted && t->flags == FLAGS_HOST && !t->recipe.valid)
        flags_save(t);
    if (t->wanted && (t->flags == FLAGS_HOST || t->flags == FLAGS_RECIPE))
        t->flags = FLAGS_RECIPE;
    else
        t->flags = FLAGS_RAW;
}

void flags_raw(struct translator *t)
{
    if (t->wanted)
        flags_save(t);
    t->flags = FLAGS_RAW;
}

/* AL is 0 or 1: adding 127 overflows if it is 1. */
void flags_load(struct code *k)
{
    emit_op(k, X_MOV_LOAD, 4, H_RAX, CPU_FIELD(engine.raw_flags));
    emit_byte(k, 0x04);
    emit_byte(k, 127);
    emit_byte(k, SAHF);
}

void flags_host(struct translator *t)
{
    if (t->flags == FLAGS_RECIPE) {
        recipe_run(t, &t->recipe);
        t->flags = FLAGS_HOST;
    } else if (t->flags == FLAGS_RAW) {
        flags_load(&t->code);
        t->flags = FLAGS_BOTH;
    }
}

void flags_carry(struct translator *t)
{
    if (t->flags == FLAGS_RECIPE)
        recipe_run(t, &t->recipe);
    else if (t->flags == FLAGS_RAW) /* CF is bit 0 of AH */
        emit_op_imm8(&t->code, OP_TWO(0xba), 4, 4, CPU_FIELD(engine.raw_flags), 8);
}

/* --- Before and after a uop ------------------------------------------------------------------- */

/* A zero extension in place, as before the jump of a `switch`, keeps the byte that was compared. */
static bool extends_byte(const struct recipe *r, const struct uop *u)
{
    return u->op == UOP_MOVZX && place_of(u) == REG && r->size == 1 && size_of(u) == 1 &&
           u->s == REG8(u->d);
}

/* Returns true if the uop changes what the recipe needs. */
static bool spoils(const struct recipe *r, const struct uop *u)
{
    if (extends_byte(r, u))
        return false;
    for (u8 reg = 0; reg < (u8)GPRS; reg++)
        if (recipe_needs(r, reg) && uop_changes(u, reg))
            return true;
    return false;
}

void flags_before(struct translator *t, const struct uop *u, bool survive)
{
    t->spoiled = t->recipe.valid && spoils(&t->recipe, u);
    if (!t->spoiled || !survive)
        return;
    if (t->flags == FLAGS_RECIPE)
        flags_save(t);
    t->recipe.valid = t->spoiled = false;
}

void flags_after(struct translator *t, bool recipe_is_new)
{
    if (!t->spoiled || recipe_is_new)
        return;
    t->recipe.valid = false;
    if (t->flags == FLAGS_RECIPE) /* nobody wants them */
        t->flags = FLAGS_RAW;
}
