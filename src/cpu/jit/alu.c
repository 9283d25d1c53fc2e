/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic, shifts, multiplications and divisions. Flags that a processor's manual leaves
 * undefined must be what the handlers in C make of them (engine.h, shift.h): where the host's may
 * differ (struct host_exact), or certainly do, they are computed or left to the handler.
 */
#include "cpu/jit/translate.h"

static bool flags_used(const struct uop *u)
{
    return u->form & FORM_FLAGS;
}

/* After an instruction that has set all flags in EFLAGS as the handler does. */
static void flags_are_set(struct translator *t, const struct uop *u)
{
    t->flags = flags_used(u) ? FLAGS_HOST : FLAGS_RAW;
    t->recipe.valid = false;
}

/* Stores EAX as the raw flags. */
static void raw_store(struct translator *t)
{
    emit_op(&t->code, X_MOV_STORE, 4, H_RAX, CPU_FIELD(engine.raw_flags));
    t->flags = FLAGS_RAW;
}

/* --- ADD to CMP, TEST ------------------------------------------------------------------------- */

static bool compares(u32 which)
{
    return which == ALU_CMP || which == ALU_TEST;
}

static void op_load(struct code *k, u32 which, u32 size, u8 reg, struct rm rm)
{
    emit_op(k, which == ALU_TEST ? X_TEST : which * 8 + 3, size, reg, rm);
}

static void op_store(struct code *k, u32 which, u32 size, struct rm rm, u8 reg)
{
    emit_op(k, which == ALU_TEST ? X_TEST : which * 8 + 1, size, reg, rm);
}

void emit_arithmetic_imm(struct code *k, u32 which, u32 size, struct rm rm, u64 imm)
{
    if (which != ALU_TEST) {
        emit_alu_imm(k, which, size, rm, (s32)imm);
        return;
    }
    emit_op(k, 0xf7, size, 0, rm);
    emit_byte(k, (u8)imm);
    if (size > 1)
        emit_byte(k, (u8)(imm >> 8));
    if (size > 2) {
        emit_byte(k, (u8)(imm >> 16));
        emit_byte(k, (u8)(imm >> 24));
    }
}

/* The carry that ADC and SBB read, once EFLAGS may have changed. */
static void carry_in(struct translator *t, u32 which)
{
    if (which == ALU_ADC || which == ALU_SBB)
        flags_carry(t);
}

static void register_form(struct translator *t, u32 which, u32 size, const struct uop *u)
{
    struct code *k = &t->code;
    carry_in(t, which);
    u8 d = gpr_begin(t, u->d, size, SCRATCH, true);
    if (u->form & FORM_IMM)
        emit_arithmetic_imm(k, which, size, in_register(d), u->imm);
    else
        op_load(k, which, size, d, gpr_operand(t, u->s, size));
    if (!compares(which))
        gpr_end(t, u->d, size, d);
}

static void load_form(struct translator *t, u32 which, u32 size, const struct uop *u,
                      struct rm source)
{
    struct code *k = &t->code;
    struct rm d = gpr_operand(t, u->d, size);
    carry_in(t, which);
    if (!d.memory) {
        op_load(k, which, size, d.reg, source);
        return;
    }
    emit_op(k, X_MOV_LOAD, size, SCRATCH, source);
    emit_load(k, HOST, d);
    op_load(k, which, size, HOST, in_register(SCRATCH));
    if (!compares(which))
        emit_store(k, d, HOST);
}

static void store_form(struct translator *t, u32 which, u32 size, const struct uop *u,
                       struct rm target)
{
    struct code *k = &t->code;
    carry_in(t, which);
    if (u->form & FORM_IMM) {
        emit_arithmetic_imm(k, which, size, target, u->imm);
        return;
    }
    u8 reg = source_register(t, gpr_operand(t, u->s, size), &target);
    op_store(k, which, size, target, reg);
}

void emit_arithmetic(struct translator *t, u32 which, u32 size, const struct uop *u,
                     struct rm memory)
{
    if (place_of(u) == REG)
        register_form(t, which, size, u);
    else if (memory_first(u))
        store_form(t, which, size, u, memory);
    else
        load_form(t, which, size, u, memory);
    flags_are_set(t, u);
    recipe_set(t, u, which, size);
}

bool high_byte_by_immediate(const struct uop *u)
{
    return high_byte(u->d, size_of(u)) && place_of(u) == REG && u->form & FORM_IMM &&
           u->op != UOP_ADC && u->op != UOP_SBB;
}

/* The host can name the high byte of few registers, so the guest's is put into AH. */
void emit_high_byte(struct translator *t, u32 which, const struct uop *u)
{
    struct code *k = &t->code;
    const u8 ah = H_RSP, reg = u->d >> 3; /* in an instruction without REX */
    emit_load(k, H_RAX, gpr_operand(t, reg, 8));
    emit_byte(k, which == ALU_TEST ? 0xf6 : 0x80);
    emit_byte(k, (u8)(0xc0 | (which == ALU_TEST ? 0 : which) << 3 | ah));
    emit_byte(k, (u8)u->imm);
    if (!compares(which)) {
        struct rm d = gpr_operand(t, reg, 8);
        emit_op(k, d.memory ? X_MOV_STORE : X_MOV_LOAD, 8, d.memory ? H_RAX : d.reg,
                d.memory ? d : in_register(H_RAX));
    }
    flags_are_set(t, u);
}

bool emit_alu(struct translator *t, const struct uop *u)
{
    u32 which = u->op - UOP_ADD, size = size_of(u);
    struct rm memory = in_register(0);
    if (high_byte_by_immediate(u)) {
        emit_high_byte(t, which, u);
        return true;
    }
    if (high_byte(u->d, size) || high_byte(u->s, size))
        return false;
    if (place_of(u) != REG && (which == ALU_ADC || which == ALU_SBB))
        flags_raw(t);
    if (place_of(u) != REG)
        memory = memory_operand(t, u, size, memory_first(u) && !compares(which), COLD_STEP);
    emit_arithmetic(t, which, size, u, memory);
    return true;
}

/* --- INC, DEC, NOT, NEG ----------------------------------------------------------------------- */

static void step(struct translator *t, const struct uop *u, struct rm rm)
{
    emit_op(&t->code, 0xff, size_of(u), u->op == UOP_DEC, rm);
}

/* CF stays, also if it is the only flag that somebody still reads. */
bool emit_step(struct translator *t, const struct uop *u)
{
    u32 size = size_of(u);
    if (high_byte(u->d, size))
        return false;
    struct rm memory = in_register(0);
    if (place_of(u) != REG) {
        flags_raw(t);
        memory = memory_operand(t, u, size, true, COLD_STEP);
    }
    if (flags_used(u))
        flags_carry(t);
    if (place_of(u) != REG) {
        step(t, u, memory);
    } else {
        u8 d = gpr_begin(t, u->d, size, SCRATCH, true);
        step(t, u, in_register(d));
        gpr_end(t, u->d, size, d);
    }
    if (flags_used(u))
        flags_are_set(t, u);
    else if (t->flags == FLAGS_BOTH)
        t->flags = FLAGS_RAW;
    return true;
}

static bool unary(struct translator *t, const struct uop *u, u8 extension)
{
    u32 size = size_of(u);
    if (high_byte(u->d, size))
        return false;
    u8 d = gpr_begin(t, u->d, size, SCRATCH, true);
    emit_op(&t->code, 0xf7, size, extension, in_register(d));
    gpr_end(t, u->d, size, d);
    return true;
}

bool emit_not(struct translator *t, const struct uop *u)
{
    return unary(t, u, 2);
}

bool emit_neg(struct translator *t, const struct uop *u)
{
    if (!unary(t, u, 3))
        return false;
    flags_are_set(t, u);
    return true;
}

/* --- Shifts and rotates ----------------------------------------------------------------------- */

static const u8 extension[SHIFTS] = {
    [SHIFT_ROL] = 0, [SHIFT_ROR] = 1, [SHIFT_SHL] = 4, [SHIFT_SHR] = 5, [SHIFT_SAR] = 7};

/* SETcc AL. */
static void set_al(struct translator *t, u32 cc)
{
    emit_op(&t->code, OP_TWO(0x90 | cc) | OP_BYTE, 4, 0, in_register(H_RAX));
}

/* Saves the flags of a shift by any count but 0, where OF is the sign XOR the carry for SHL. */
static void save_shift_flags(struct translator *t, enum shift op)
{
    struct code *k = &t->code;
    emit_byte(k, 0x9f); /* LAHF */
    if (op == SHIFT_SHL) {
        emit_op(k, X_MOV_LOAD, 4, HOST, in_register(H_RAX));
        emit_op_imm8(k, 0xc1, 4, 5, in_register(HOST), 15);     /* SF */
        emit_op(k, OP_TWO(0xb6), 4, H_RAX, in_register(H_RSP)); /* MOVZX EAX, AH */
        emit_op(k, 0x33, 4, HOST, in_register(H_RAX));
        emit_alu_imm(k, ALU_AND, 4, in_register(HOST), 1);
        emit_op_imm8(k, 0xc1, 4, 4, in_register(H_RAX), 8);
        emit_op(k, 0x0b, 4, H_RAX, in_register(HOST));
    } else {
        set_al(t, CC_O);
    }
    raw_store(t);
}

/* CF and OF change alone; OF for any count is that of a rotation by one. */
static void save_rotate_flags(struct translator *t, enum shift op, u32 bits, struct rm d)
{
    struct code *k = &t->code;
    set_al(t, CC_B);
    emit_op(k, OP_TWO(0xb6) | OP_BYTE, 4, H_RAX, in_register(H_RAX));
    emit_op(k, X_MOV_LOAD, bits == 64 ? 8 : 4, HOST, d);
    emit_op_imm8(k, 0xc1, bits == 64 ? 8 : 4, 5, in_register(HOST),
                 (u8)(op == SHIFT_ROL ? bits - 1 : bits - 2));
    emit_op(k, 0x33, 4, HOST, in_register(H_RAX));
    emit_alu_imm(k, ALU_AND, 4, in_register(HOST), 1);
    emit_op_imm8(k, 0xc1, 4, 4, in_register(H_RAX), 8);
    emit_op(k, 0x0b, 4, H_RAX, in_register(HOST));
    emit_load(k, HOST, CPU_FIELD(engine.raw_flags));
    emit_alu_imm(k, ALU_AND, 4, in_register(HOST), 0xfe00);
    emit_op(k, 0x0b, 4, H_RAX, in_register(HOST));
    raw_store(t);
}

static bool rotates(enum shift op)
{
    return op == SHIFT_ROL || op == SHIFT_ROR;
}

/* Returns true if the flags are taken from the host as they are. */
static bool host_exact(const struct translator *t, enum shift op)
{
    return rotates(op) || t->exact.shifts;
}

static bool shift_by_immediate(struct translator *t, const struct uop *u, enum shift op)
{
    struct code *k = &t->code;
    u32 size = size_of(u);
    bool live = flags_used(u);
    if (u->aux >= 8 * size)
        return false;
    if (live && !host_exact(t, op))
        return false;
    if (rotates(op) && live)
        flags_raw(t);
    u8 d = gpr_begin(t, u->d, size, HOST, true);
    if (u->aux == 1)
        emit_op(k, 0xd1, size, extension[op], in_register(d));
    else
        emit_op_imm8(k, 0xc1, size, extension[op], in_register(d), u->aux);
    gpr_end(t, u->d, size, d);
    if (rotates(op) && live)
        save_rotate_flags(t, op, 8 * size, gpr_operand(t, u->d, size));
    else if (!rotates(op))
        flags_are_set(t, u);
    if (live && op == SHIFT_SHL && u->aux != 1)
        save_shift_flags(t, op);
    return true;
}

/* A count of 0 leaves the flags alone. */
static bool shift_by_cl(struct translator *t, const struct uop *u, enum shift op)
{
    struct code *k = &t->code;
    u32 size = size_of(u);
    bool live = flags_used(u);
    u8 *zero = NULL;
    if (live && size < 4)
        return false;
    if (live && !host_exact(t, op))
        return false;
    u8 d = gpr_begin(t, u->d, size, HOST, true);
    if (live) {
        flags_raw(t);
        if (size == 4) { /* clears the upper half also if the count is 0 */
            emit_op(k, X_MOV_LOAD, 4, d, in_register(d));
            gpr_end(t, u->d, size, d);
        }
        emit_op(k, 0xf7, 1, 0, in_register(H_RCX)); /* TEST CL */
        emit_byte(k, size == 8 ? 63 : 31);
        zero = emit_jcc(k, CC_E);
    } else if (!rotates(op)) {
        t->flags = FLAGS_RAW;
    }
    emit_op(k, 0xd3, size, extension[op], in_register(d));
    gpr_end(t, u->d, size, d);
    if (!live)
        return true;
    if (rotates(op))
        save_rotate_flags(t, op, 8 * size, gpr_operand(t, u->d, size));
    else
        save_shift_flags(t, op);
    emit_land(k, zero);
    return true;
}

bool emit_shift(struct translator *t, const struct uop *u)
{
    enum shift op = (enum shift)(u->op - UOP_ROL);
    u32 size = size_of(u);
    if (high_byte(u->d, size))
        return false;
    return u->form & FORM_IMM ? shift_by_immediate(t, u, op) : shift_by_cl(t, u, op);
}

/* --- Multiplication and division -------------------------------------------------------------- */

/* After a multiplication: CF and OF are its overflow, SF ZF PF those of the low half, AF is 0. */
static void save_product_flags(struct translator *t, const struct uop *u, u8 low)
{
    struct code *k = &t->code;
    t->flags = FLAGS_RAW;
    if (!flags_used(u))
        return;
    set_al(t, CC_O);
    emit_op(k, X_TEST, size_of(u), low, in_register(low));
    emit_byte(k, 0x9f);                             /* LAHF */
    emit_op(k, 0x0a, 4, H_RSP, in_register(H_RAX)); /* OR AH, AL */
    raw_store(t);
}

bool emit_imul(struct translator *t, const struct uop *u)
{
    struct code *k = &t->code;
    u32 size = size_of(u);
    bool three = u->form & FORM_IMM;
    struct rm source;
    if (place_of(u) != REG) {
        source = memory_operand(t, u, size, false, COLD_STEP);
    } else {
        source = gpr_operand(t, u->s, size);
    }
    struct rm d = gpr_operand(t, u->d, size);
    u8 product = d.memory ? HOST : d.reg;
    if (three) {
        emit_op(k, 0x69, size, product, source);
        emit_u32(k, (u32)u->imm);
    } else if (d.memory) {
        emit_op(k, X_MOV_LOAD, size, SCRATCH, source);
        emit_load(k, HOST, d);
        emit_op(k, OP_TWO(0xaf), size, HOST, in_register(SCRATCH));
    } else {
        emit_op(k, OP_TWO(0xaf), size, product, source);
    }
    gpr_end(t, u->d, size, product);
    save_product_flags(t, u, product);
    return true;
}

/* The host's RDX is the guest's. */
bool emit_mul(struct translator *t, const struct uop *u)
{
    struct code *k = &t->code;
    u32 size = size_of(u);
    u8 rax = t->pinned[RAX];
    struct rm source;
    if (place_of(u) != REG) {
        emit_op(k, X_MOV_LOAD, size, HOST, memory_operand(t, u, size, false, COLD_STEP));
        source = in_register(HOST);
    } else {
        source = gpr_operand(t, u->s, size);
    }
    emit_load(k, H_RAX, in_register(rax));
    emit_op(k, 0xf7, size, 4, source);
    emit_load(k, rax, in_register(H_RAX));
    save_product_flags(t, u, rax);
    return true;
}

/* A quotient that does not fit raises #DE in the handler. The flags stay. */
bool emit_div(struct translator *t, const struct uop *u)
{
    struct code *k = &t->code;
    u32 size = size_of(u);
    struct rm divisor = gpr_operand(t, u->s, size);
    flags_clobber(t);
    emit_op(k, 0x3b, size, t->pinned[RDX], divisor);
    slow_if(t, CC_AE, COLD_STEP);
    emit_load(k, H_RAX, in_register(t->pinned[RAX]));
    emit_op(k, 0xf7, size, 6, divisor);
    emit_load(k, t->pinned[RAX], in_register(H_RAX));
    return true;
}

/* Changes CF alone. */
bool emit_bt(struct translator *t, const struct uop *u)
{
    struct code *k = &t->code;
    u32 size = size_of(u);
    if (!flags_used(u))
        return true;
    if (!(t->exact.host & HOST_BIT_TESTS))
        return false;
    flags_host(t);
    u8 d = gpr_source(t, u->d, size, SCRATCH);
    if (u->form & FORM_IMM)
        emit_op_imm8(k, OP_TWO(0xba), size, 4, in_register(d), u->aux);
    else
        emit_op(k, OP_TWO(0xa3), size, gpr_source(t, u->s, size, HOST), in_register(d));
    flags_are_set(t, u);
    return true;
}
