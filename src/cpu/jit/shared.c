/* SPDX-License-Identifier: Apache-2.0 */
/* The code that all blocks share: the border between emitted code and C, by the host's calling
 * convention. Within emitted code RSP is a multiple of 16. */
#include "cpu/jit/translate.h"

static const u8 saved[] = {H_RBX, H_RBP, H_R12, H_R13, H_R14, H_R15};
#define SAVED      (sizeof saved)
#define CALL_DEPTH 256 /* 4 KiB of the host's stack */

static void push(struct code *k, u8 reg)
{
    if (reg >= 8)
        emit_byte(k, 0x41);
    emit_byte(k, (u8)(0x50 | (reg & 7)));
}

static void pop(struct code *k, u8 reg)
{
    if (reg >= 8)
        emit_byte(k, 0x41);
    emit_byte(k, (u8)(0x58 | (reg & 7)));
}

/* --- Vector registers ------------------------------------------------------------------------- */

static struct rm vector_lane(u8 i, u32 lane)
{
    return at(CPU, (s32)(offsetof(struct cpu, arch.vector) + i * sizeof(union vector_register) +
                         lane * sizeof(union xmm)));
}

static void set_xmm_live(struct code *k, bool live)
{
    emit_op_imm8(k, 0xc7, 1, 0, CPU_FIELD(engine.xmm_live), live);
}

enum { MOVUPS_LOAD = OP_TWO(0x10), MOVUPS_STORE = OP_TWO(0x11) };

static void xmm_move(struct code *k, u32 op)
{
    for (u8 i = 0; i < XMM_REGISTERS; i++)
        emit_op(k, op, 4, i, vector_lane(i, 0));
}

static void ymm_move(struct code *k, u32 op)
{
    for (u8 i = 0; i < XMM_REGISTERS; i++)
        emit_vex(k, op | (u32)OP_256, 4, i, 0, vector_lane(i, 0));
}

/* Returns the jump that is taken if no register has anything above its XMM part. */
static u8 *unless_upper_halves(struct code *k)
{
    emit_vex(k, MOVUPS_LOAD, 4, 0, 0, vector_lane(0, 1));
    for (u8 i = 1; i < XMM_REGISTERS; i++)
        emit_vex(k, OP_66(OP_TWO(0xeb)), 4, 0, 0, vector_lane(i, 1));       /* VPOR */
    emit_vex(k, OP_66(OP_TWO(0x17)) | (u32)OP_38, 4, 0, 0, in_register(0)); /* VPTEST */
    return emit_jcc(k, CC_E);
}

/* While the upper halves are clear the host must know it: instructions without VEX are slow on many
 * hosts where a YMM register was written. */
static void emit_xmm_load(struct code *k, bool avx)
{
    u8 *clear = avx ? unless_upper_halves(k) : NULL;
    if (avx) {
        ymm_move(k, MOVUPS_LOAD);
        set_xmm_live(k, true);
        flags_load(k);
        emit_byte(k, 0xc3);
        emit_land(k, clear);
    }
    xmm_move(k, MOVUPS_LOAD);
    set_xmm_live(k, true);
    flags_load(k);
    emit_byte(k, 0xc3);
}

/* No instruction of the guest fills what is above a YMM register. */
static void vector_spill(struct code *k, bool avx)
{
    emit_alu_imm(k, ALU_CMP, 1, CPU_FIELD(engine.xmm_live), 0);
    u8 *dead = emit_jcc(k, CC_E);
    if (avx) {
        ymm_move(k, MOVUPS_STORE);
        emit_vzeroupper(k);
    } else {
        xmm_move(k, MOVUPS_STORE);
    }
    set_xmm_live(k, false);
    emit_land(k, dead);
}

/* --- Crossing the border ---------------------------------------------------------------------- */

static void spill(struct code *k, bool avx)
{
    vector_spill(k, avx);
    for (u8 i = 0; i < (u8)GPRS; i++)
        if (pinned[i] != H_NONE)
            emit_store(k, GUEST_REGISTER(i), pinned[i]);
    emit_store(k, CPU_FIELD(engine.left), BUDGET);
}

static void reload(struct code *k)
{
    for (u8 i = 0; i < (u8)GPRS; i++)
        if (pinned[i] != H_NONE)
            emit_load(k, pinned[i], GUEST_REGISTER(i));
    emit_load(k, BUDGET, CPU_FIELD(engine.left));
}

static void call_c(struct code *k, uintptr_t function)
{
    emit_load(k, H_RDI, in_register(CPU));
    emit_mov_imm(k, H_RAX, function);
    emit_op(k, 0xff, 4, 2, in_register(H_RAX));
}

static void rsp_add(struct code *k, s32 n)
{
    emit_op(k, X_LEA, 8, H_RSP, at(H_RSP, n));
}

/* Returns RAX to C, from any depth of calls. */
static void leave(struct code *k)
{
    emit_load(k, H_RSP, CPU_FIELD(engine.jit_stack));
    rsp_add(k, 8);
    for (size_t i = SAVED; i-- > 0;)
        pop(k, saved[i]);
    emit_byte(k, 0xc3);
}

/* Goes on at RAX, or leaves to engine.jit_next if it is 0. */
static void go_or_leave(struct code *k)
{
    emit_op(k, X_TEST, 8, H_RAX, in_register(H_RAX));
    u8 *nowhere = emit_jcc(k, CC_E);
    reload(k);
    emit_op(k, 0xff, 4, 4, in_register(H_RAX));
    emit_land(k, nowhere);
    emit_load(k, H_RAX, CPU_FIELD(engine.jit_next));
    leave(k);
}

static void emit_enter(struct code *k)
{
    for (size_t i = 0; i < SAVED; i++)
        push(k, saved[i]);
    rsp_add(k, -8);
    emit_load(k, CPU, in_register(H_RDI));
    emit_store(k, CPU_FIELD(engine.jit_stack), H_RSP);
    emit_op(k, X_LEA, 8, H_RAX, at(H_RSP, -CALL_DEPTH * 16));
    emit_store(k, CPU_FIELD(engine.jit_stack_limit), H_RAX);
    emit_load(k, H_RAX, in_register(H_RSI));
    reload(k);
    emit_op(k, 0xff, 4, 4, in_register(H_RAX));
}

static void arguments(struct code *k)
{
    emit_load(k, H_RSI, in_register(SCRATCH));
    emit_load(k, H_RDX, in_register(HOST));
}

static void emit_step_call(struct code *k, bool avx)
{
    spill(k, avx);
    arguments(k);
    rsp_add(k, -8);
    call_c(k, (uintptr_t)jit_step);
    rsp_add(k, 8);
    emit_op(k, X_TEST, 8, H_RAX, in_register(H_RAX));
    u8 *ends = emit_jcc(k, CC_NE);
    reload(k);
    flags_load(k);
    emit_byte(k, 0xc3);
    emit_land(k, ends);
    leave(k);
}

static void emit_exit(struct code *k, bool avx)
{
    spill(k, avx);
    arguments(k);
    call_c(k, (uintptr_t)jit_exit);
    leave(k);
}

static void emit_follow(struct code *k, bool avx)
{
    spill(k, avx);
    pop(k, H_RCX);
    arguments(k);
    call_c(k, (uintptr_t)jit_follow);
    go_or_leave(k);
}

static void emit_arrive(struct code *k, bool avx)
{
    spill(k, avx);
    emit_load(k, H_RSI, in_register(HOST));
    call_c(k, (uintptr_t)jit_arrive);
    go_or_leave(k);
}

void emit_shared(struct code *k, struct shared_code *s, bool avx)
{
    s->enter = k->p;
    emit_enter(k);
    s->step = k->p;
    emit_step_call(k, avx);
    s->exit = k->p;
    emit_exit(k, avx);
    s->follow = k->p;
    emit_follow(k, avx);
    s->xmm = k->p;
    emit_xmm_load(k, avx);
    s->arrive = k->p;
    emit_arrive(k, avx);
}
