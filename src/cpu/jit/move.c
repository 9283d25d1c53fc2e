/* SPDX-License-Identifier: Apache-2.0 */
/* Moves, extensions, conditional moves and the stack. Only the memory accesses change EFLAGS. */
#include "cpu/jit/translate.h"

/* Emits `op` from register s or memory into register d, which it overwrites. */
static void read_into(struct translator *t, const struct uop *u, u32 op, u32 op_size, u32 read_size,
                      u32 flags)
{
    struct code *k = &t->code;
    struct rm source;
    if (place_of(u) != REG) {
        source = memory_operand(t, u, read_size, false, COLD_STEP);
    } else {
        source = gpr_operand(t, u->s, read_size);
    }
    u8 d = gpr_begin(t, u->d, 8, SCRATCH, false);
    emit_op(k, op | flags, op_size, d, source);
    gpr_end(t, u->d, 8, d);
}

static bool mov_load(struct translator *t, const struct uop *u)
{
    struct code *k = &t->code;
    u32 size = size_of(u);
    struct rm d = gpr_operand(t, u->d, size);
    struct rm source = memory_operand(t, u, size, false, COLD_STEP);
    u8 reg = d.memory ? SCRATCH : d.reg;
    emit_op(k, X_MOV_LOAD, size, reg, source);
    if (d.memory)
        emit_op(k, X_MOV_STORE, size == 4 ? 8 : size, reg, d);
    return true;
}

static bool mov_store(struct translator *t, const struct uop *u)
{
    struct code *k = &t->code;
    u32 size = size_of(u);
    struct rm target = memory_operand(t, u, size, true, COLD_STEP);
    if (u->form & FORM_IMM) {
        emit_op(k, 0xc7, size, 0, target);
        emit_byte(k, (u8)u->imm);
        for (u32 i = 1; i < (size == 8 ? 4 : size); i++)
            emit_byte(k, (u8)(u->imm >> 8 * i));
        return true;
    }
    u8 reg = source_register(t, gpr_operand(t, u->s, size), &target);
    emit_op(k, X_MOV_STORE, size, reg, target);
    return true;
}

static bool mov_immediate(struct translator *t, const struct uop *u)
{
    struct code *k = &t->code;
    u32 size = size_of(u);
    if (size < 4) {
        emit_op(k, 0xc7, size, 0, gpr_operand(t, u->d, size));
        emit_byte(k, (u8)u->imm);
        if (size == 2)
            emit_byte(k, (u8)(u->imm >> 8));
        return true;
    }
    u8 d = gpr_begin(t, u->d, size, SCRATCH, false);
    emit_mov_imm(k, d, size == 4 ? (u32)u->imm : u->imm);
    gpr_end(t, u->d, size, d);
    return true;
}

bool emit_mov(struct translator *t, const struct uop *u)
{
    struct code *k = &t->code;
    u32 size = size_of(u);
    if (high_byte(u->d, size) || high_byte(u->s, size))
        return false;
    if (place_of(u) != REG)
        return memory_first(u) ? mov_store(t, u) : mov_load(t, u);
    if (u->form & FORM_IMM)
        return mov_immediate(t, u);
    struct rm d = gpr_operand(t, u->d, size), s = gpr_operand(t, u->s, size);
    if (!d.memory) {
        emit_op(k, X_MOV_LOAD, size, d.reg, s);
        return true;
    }
    u8 reg = gpr_source(t, u->s, size, SCRATCH);
    if (size == 4) {
        emit_op(k, X_MOV_LOAD, 4, SCRATCH, in_register(reg));
        emit_store(k, d, SCRATCH);
    } else {
        emit_op(k, X_MOV_STORE, size, reg, d);
    }
    return true;
}

bool emit_movzx(struct translator *t, const struct uop *u)
{
    u32 size = size_of(u);
    if (place_of(u) == REG && high_byte(u->s, size))
        return false;
    read_into(t, u, OP_TWO(size == 1 ? 0xb6 : 0xb7), 4, size, size == 1 ? (u32)OP_BYTE : 0);
    return true;
}

bool emit_movsx(struct translator *t, const struct uop *u)
{
    u32 size = size_of(u);
    if (place_of(u) == REG && high_byte(u->s, size))
        return false;
    u32 op = size == 1 ? OP_TWO(0xbe) | (u32)OP_BYTE : size == 2 ? OP_TWO(0xbf) : 0x63;
    read_into(t, u, op, u->aux, size, 0);
    return true;
}

bool emit_lea(struct translator *t, const struct uop *u)
{
    struct code *k = &t->code;
    struct rm d = gpr_operand(t, u->d, 8);
    bool direct = !d.memory && u->b < GPRS && !gpr_operand(t, u->b, 8).memory;
    u8 reg = direct ? d.reg : SCRATCH;
    address(t, u, reg);
    if (size_of(u) == 4) /* clears the upper half */
        emit_op(k, X_MOV_LOAD, 4, reg, in_register(reg));
    if (d.memory)
        emit_store(k, d, reg);
    else if (reg != d.reg)
        emit_load(k, d.reg, in_register(reg));
    return true;
}

static bool xchg_memory(struct translator *t, const struct uop *u)
{
    struct code *k = &t->code;
    u32 size = size_of(u);
    struct rm s = gpr_operand(t, u->s, size);
    if (s.memory)
        return false;
    struct rm target = memory_operand(t, u, size, true, COLD_STEP);
    u8 old = free_register(t, &target);
    emit_op(k, X_MOV_LOAD, size, old, target);
    emit_op(k, X_MOV_STORE, size, s.reg, target);
    emit_op(k, X_MOV_LOAD, size, s.reg, in_register(old));
    return true;
}

bool emit_xchg(struct translator *t, const struct uop *u)
{
    struct code *k = &t->code;
    u32 size = size_of(u);
    if (high_byte(u->s, size) || (place_of(u) == REG && high_byte(u->d, size)))
        return false;
    if (place_of(u) != REG)
        return xchg_memory(t, u);
    struct rm d = gpr_operand(t, u->d, size), s = gpr_operand(t, u->s, size);
    if (d.memory || s.memory)
        return false;
    emit_op(k, 0x87, size, d.reg, s);
    return true;
}

bool emit_bswap(struct translator *t, const struct uop *u)
{
    struct code *k = &t->code;
    u8 d = gpr_begin(t, u->d, 8, SCRATCH, true);
    u8 rex = (u8)((size_of(u) == 8 ? 8 : 0) | d >> 3);
    if (rex)
        emit_byte(k, 0x40 | rex);
    emit_byte(k, 0x0f);
    emit_byte(k, 0xc8 | (d & 7));
    gpr_end(t, u->d, 8, d);
    return true;
}

bool emit_cmov(struct translator *t, const struct uop *u)
{
    struct code *k = &t->code;
    u32 size = size_of(u);
    struct rm source = gpr_operand(t, u->s, size);
    if (place_of(u) != REG) {
        emit_op(k, X_MOV_LOAD, size, HOST, memory_operand(t, u, size, false, COLD_STEP));
        source = in_register(HOST);
    }
    flags_host(t);
    u8 d = gpr_begin(t, u->d, size, SCRATCH, true);
    emit_op(k, OP_TWO(0x40u | u->aux), size, d, source);
    gpr_end(t, u->d, size, d);
    return true;
}

bool emit_setcc(struct translator *t, const struct uop *u)
{
    struct code *k = &t->code;
    u32 op = OP_TWO(0x90u | u->aux) | (u32)OP_BYTE;
    if (place_of(u) == REG && high_byte(u->d, 1))
        return false;
    flags_host(t);
    if (place_of(u) == REG) {
        emit_op(k, op, 4, 0, gpr_operand(t, u->d, 1));
        return true;
    }
    emit_op(k, op, 4, 0, CPU_FIELD(engine.jit_value));
    struct rm target = memory_operand(t, u, 1, true, COLD_STEP);
    u8 reg = free_register(t, &target);
    emit_op(k, X_MOV_LOAD, 1, reg, CPU_FIELD(engine.jit_value));
    emit_op(k, X_MOV_STORE, 1, reg, target);
    return true;
}

/* CWDE, CDQE. */
bool emit_extend_rax(struct translator *t, const struct uop *u)
{
    u8 rax = t->pinned[RAX];
    if (size_of(u) == 8)
        emit_op(&t->code, 0x63, 8, rax, in_register(rax));
    else
        emit_op(&t->code, OP_TWO(0xbf), 4, rax, in_register(rax));
    return true;
}

/* CDQ, CQO: the host's RDX is the guest's. */
bool emit_extend_into_rdx(struct translator *t, const struct uop *u)
{
    emit_load(&t->code, H_RAX, in_register(t->pinned[RAX]));
    if (size_of(u) == 8)
        emit_byte(&t->code, 0x48);
    emit_byte(&t->code, 0x99);
    return true;
}

bool emit_address_segment(struct translator *t, const struct uop *u)
{
    struct code *k = &t->code;
    s32 base = (s32)(offsetof(struct cpu, arch.seg) + u->aux * sizeof(struct segment) +
                     offsetof(struct segment, base));
    flags_clobber(t);
    address(t, u, SCRATCH);
    emit_op(k, 0x03, 8, SCRATCH, at(CPU, base));
    emit_store(k, GUEST_REGISTER(REG_EA), SCRATCH);
    return true;
}

/* --- The stack -------------------------------------------------------------------------------- */

static void rsp_add(struct translator *t, s32 n)
{
    emit_op(&t->code, X_LEA, 8, t->pinned[RSP], at(t->pinned[RSP], n));
}

bool emit_push(struct translator *t, const struct uop *u)
{
    struct code *k = &t->code;
    bool memory = place_of(u) != REG, imm = !memory && u->form & FORM_IMM;
    if (memory) { /* the second access needs both scratch registers */
        emit_load(k, SCRATCH, memory_operand(t, u, 8, false, COLD_STEP));
        emit_store(k, CPU_FIELD(engine.jit_value), SCRATCH);
    }
    struct rm target = memory_at(t, RSP, -8, 8, true, COLD_STEP);
    struct rm source = memory ? CPU_FIELD(engine.jit_value) : gpr_operand(t, u->s, 8);
    if (imm) {
        emit_op(k, 0xc7, 8, 0, target);
        emit_u32(k, (u32)u->imm);
    } else {
        u8 reg = source_register(t, source, &target);
        emit_store(k, target, reg);
    }
    rsp_add(t, -8);
    return true;
}

/* POP RSP takes the loaded value. */
bool emit_pop(struct translator *t, const struct uop *u)
{
    struct code *k = &t->code;
    struct rm source = memory_at(t, RSP, 0, 8, false, COLD_STEP);
    u8 d = gpr_begin(t, u->d, 8, SCRATCH, false);
    emit_load(k, d, source);
    gpr_end(t, u->d, 8, d);
    if (u->d != RSP)
        rsp_add(t, 8);
    return true;
}

bool emit_leave_frame(struct translator *t, const struct uop *u UNUSED)
{
    struct code *k = &t->code;
    struct rm source = memory_at(t, RBP, 0, 8, false, COLD_STEP);
    emit_op(k, X_LEA, 8, t->pinned[RSP], at(t->pinned[RBP], 8));
    emit_load(k, t->pinned[RBP], source);
    return true;
}
