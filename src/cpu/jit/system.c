/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What kernels do wherever they are entered and left, and around every lock: CLI, SWAPGS and PUSHF.
 * Whatever is not plain, such as a privilege other than 0, is left to the handler.
 */
#include "cpu/jit/translate.h"

typedef void emit_system_fn(struct translator *t, const struct uop *u);

static void need_cpl_0(struct translator *t)
{
    flags_raw(t);
    emit_alu_imm(&t->code, ALU_CMP, 4, CPU_FIELD(arch.cpl), 0);
    slow_if(t, CC_NE, COLD_STEP);
}

static void emit_cli(struct translator *t, const struct uop *u UNUSED)
{
    need_cpl_0(t);
    emit_alu_imm(&t->code, ALU_AND, 4, CPU_FIELD(arch.rflags), ~(s32)RFLAGS_IF);
}

static void emit_swapgs(struct translator *t, const struct uop *u UNUSED)
{
    struct code *k = &t->code;
    const struct rm base = CPU_FIELD(arch.seg[SEG_GS].base), other = CPU_FIELD(arch.kernel_gs_base);
    need_cpl_0(t);
    emit_load(k, SCRATCH, base);
    emit_load(k, HOST, other);
    emit_store(k, base, HOST);
    emit_store(k, other, SCRATCH);
}

/* Makes engine.jit_value the guest's RFLAGS, as PUSHF stores them, from those that are saved. */
static void gather_flags(struct translator *t)
{
    struct code *k = &t->code;
    struct rm of = CPU_FIELD(engine.raw_flags), others = of;
    others.disp++;
    emit_op(k, OP_TWO(0xb6), 4, HOST, others); /* MOVZX */
    emit_alu_imm(k, ALU_AND, 4, in_register(HOST), RFLAGS_ARITHMETIC & 0xff);
    emit_op(k, OP_TWO(0xb6), 4, SCRATCH, of);
    emit_op_imm8(k, 0xc1, 4, 4, in_register(SCRATCH), 11); /* SHL: OF is bit 11 */
    emit_op(k, 0x0b, 4, HOST, in_register(SCRATCH));       /* OR */
    emit_op(k, 0x0b, 8, HOST, CPU_FIELD(arch.rflags));
    emit_alu_imm(k, ALU_OR, 4, in_register(HOST), RFLAGS_ONE);
    emit_alu_imm(k, ALU_AND, 4, in_register(HOST), ~(s32)(RFLAGS_RF | RFLAGS_VM));
    emit_store(k, CPU_FIELD(engine.jit_value), HOST);
}

static void emit_pushf(struct translator *t, const struct uop *u UNUSED)
{
    struct code *k = &t->code;
    struct rm intercepts = CPU_FIELD(guest.control); /* its bits come first, by exit code */
    intercepts.disp += EXIT_PUSHF / 8;
    flags_raw(t);
    emit_op_imm8(k, 0xf7, 1, 0, intercepts, 1u << EXIT_PUSHF % 8); /* TEST */
    slow_if(t, CC_NE, COLD_STEP);
    gather_flags(t);
    struct rm target = memory_at(t, RSP, -8, 8, true, COLD_STEP);
    u8 reg = source_register(t, CPU_FIELD(engine.jit_value), &target);
    emit_store(k, target, reg);
    emit_op(k, X_LEA, 8, t->pinned[RSP], at(t->pinned[RSP], -8));
}

static emit_system_fn *emitter_of(const struct uop *u)
{
    if (u->op != UOP_GENERIC && u->op != UOP_GENERIC_CHECKED)
        return NULL;
    switch (u->insn->op->id) {
    case INSN_cli:
        return emit_cli;
    case INSN_swapgs:
        return emit_swapgs;
    case INSN_pushf:
        return u->insn->opsize == 8 ? emit_pushf : NULL;
    default:
        return NULL;
    }
}

bool system_uop(const struct uop *u)
{
    return emitter_of(u) != NULL;
}

bool emit_system(struct translator *t, const struct uop *u)
{
    emit_system_fn *emit = emitter_of(u);
    if (emit)
        emit(t, u);
    return emit != NULL;
}
