/* SPDX-License-Identifier: Apache-2.0 */
/* Generic handlers of near control transfers and of the stack instructions, in every mode. */
#include "cpu/exec/target.h"

/* --- Jumps ------------------------------------------------------------------------------------ */

/* Returns the target of a near transfer, checked before anything changes. */
static u64 checked_target(struct cpu *c, const struct insn *in, u64 rip)
{
    rip &= size_mask(in->opsize);
    bool good = c->engine.mode & MODE_CODE64 ? (u64)((s64)(rip << 16) >> 16) == rip
                                             : rip <= c->arch.seg[SEG_CS].limit;
    if (!good)
        cpu_raise_gp(c, 0);
    return rip;
}

static void jump_relative(struct cpu *c, const struct insn *in)
{
    c->arch.rip = checked_target(c, in, c->arch.rip + in->imm);
}

void exec_jmp(struct cpu *c, const struct insn *in)
{
    jump_relative(c, in);
}

void exec_jcc(struct cpu *c, const struct insn *in)
{
    if (condition(c, in->opcode & 15))
        jump_relative(c, in);
}

void exec_loop(struct cpu *c, const struct insn *in)
{
    u64 count = (c->arch.r[RCX] - 1) & size_mask(in->addrsize);
    bool taken = count != 0;
    if (in->op->id == INSN_loope)
        taken = taken && flag_zf(c);
    else if (in->op->id == INSN_loopne)
        taken = taken && !flag_zf(c);
    if (taken)
        jump_relative(c, in);
    gpr_write(c, RCX, in->addrsize, count);
}

void exec_jcxz(struct cpu *c, const struct insn *in)
{
    if (gpr_read(c, RCX, in->addrsize) == 0)
        jump_relative(c, in);
}

void exec_jmp_indirect(struct cpu *c, const struct insn *in)
{
    c->arch.rip = checked_target(c, in, operand_read(c, in, 0));
}

static void call_to(struct cpu *c, const struct insn *in, u64 target)
{
    u64 rip = checked_target(c, in, target);
    stack_push(c, c->arch.rip, in->opsize);
    c->arch.rip = rip;
}

void exec_call(struct cpu *c, const struct insn *in)
{
    call_to(c, in, c->arch.rip + in->imm);
}

void exec_call_indirect(struct cpu *c, const struct insn *in)
{
    call_to(c, in, operand_read(c, in, 0));
}

void exec_ret(struct cpu *c, const struct insn *in)
{
    c->arch.rip = checked_target(c, in, stack_peek(c, 0, in->opsize));
    stack_adjust(c, in->opsize + (in->operands ? (s64)(in->imm & 0xffff) : 0));
}

/* --- The stack -------------------------------------------------------------------------------- */

void exec_push(struct cpu *c, const struct insn *in)
{
    stack_push(c, in->o[0].kind == OPERAND_IMM ? in->imm : operand_read(c, in, 0), in->opsize);
}

/* Pops to memory: an address that uses rSP uses its incremented value [APM3 POP]. */
static void pop_memory(struct cpu *c, const struct insn *in, u64 value)
{
    struct insn moved = *in;
    if (in->base == RSP)
        moved.disp += in->opsize;
    store(c, operand_address(c, &moved, in->opsize, true), in->opsize, value);
}

void exec_pop(struct cpu *c, const struct insn *in)
{
    u64 value = stack_peek(c, 0, in->opsize);
    bool memory = in->o[0].kind == OPERAND_MEM;
    if (memory)
        pop_memory(c, in, value);
    stack_adjust(c, in->opsize);
    if (!memory)
        operand_write(c, in, 0, value);
}

void exec_pusha(struct cpu *c, const struct insn *in)
{
    u64 rsp = c->arch.r[RSP], value[8];
    memcpy(value, c->arch.r, sizeof value);
    /* Only RSP changes, and it is restored before each push that may fault. */
    for (u32 i = 0; i < 8; i++) {
        u64 next = c->arch.r[RSP];
        u32 width = c->engine.mode & MODE_STACK32 ? 4 : 2;
        u64 offset = (next - in->opsize) & size_mask(width);
        c->arch.r[RSP] = rsp;
        u64 linear = linear_address(c, SEG_SS, offset, in->opsize, true);
        store(c, linear, in->opsize, value[i]);
        c->arch.r[RSP] = next;
        stack_adjust(c, -(s64)in->opsize);
    }
}

void exec_popa(struct cpu *c, const struct insn *in)
{
    u64 value[8];
    for (u32 i = 0; i < 8; i++)
        value[i] = stack_peek(c, (u64)i * in->opsize, in->opsize);
    stack_adjust(c, 8 * (s64)in->opsize);
    for (u32 i = 0; i < 8; i++) /* stored in the order DI SI BP SP BX DX CX AX; SP is skipped */
        if (7 - i != RSP)
            gpr_write(c, (u8)(7 - i), in->opsize, value[i]);
}

static u32 stack_width(const struct cpu *c)
{
    if (c->engine.mode & MODE_CODE64)
        return 8;
    return c->engine.mode & MODE_STACK32 ? 4 : 2;
}

/* ENTER changes registers last: if an access faults, the values stored below the stack by then do
 * no harm. */
void exec_enter(struct cpu *c, const struct insn *in)
{
    u32 size = in->opsize, width = stack_width(c), level = (u32)in->imm2 & 31;
    u64 mask = size_mask(width), sp = c->arch.r[RSP], bp = c->arch.r[RBP];
    sp = (sp - size) & mask;
    store(c, linear_address(c, SEG_SS, sp, size, true), size, bp);
    u64 frame = (c->arch.r[RSP] & ~mask) | sp; /* the whole register, even with a 16-bit stack */
    for (u32 i = 1; i < level; i++) {
        bp = (bp - size) & mask;
        u64 outer = load(c, linear_address(c, SEG_SS, bp, size, false), size);
        sp = (sp - size) & mask;
        store(c, linear_address(c, SEG_SS, sp, size, true), size, outer);
    }
    if (level) {
        sp = (sp - size) & mask;
        store(c, linear_address(c, SEG_SS, sp, size, true), size, frame);
    }
    sp = (sp - (in->imm & 0xffff)) & mask;
    probe_write(c, linear_address(c, SEG_SS, sp, size, true), size);
    gpr_write(c, RBP, size, frame);
    gpr_write(c, RSP, width, sp);
}

void exec_leave(struct cpu *c, const struct insn *in)
{
    u32 width = stack_width(c);
    u64 sp = c->arch.r[RBP] & size_mask(width);
    u64 value = load(c, linear_address(c, SEG_SS, sp, in->opsize, false), in->opsize);
    gpr_write(c, RSP, width, sp + in->opsize);
    gpr_write(c, RBP, in->opsize, value);
}

void exec_bound(struct cpu *c, const struct insn *in)
{
    u32 size = in->opsize;
    u64 linear = operand_address(c, in, 2 * size, false);
    s64 index = (s64)sign_extend(operand_read(c, in, 0), size);
    s64 lower_bound = (s64)sign_extend(load(c, linear, size), size);
    s64 upper_bound = (s64)sign_extend(load(c, linear + size, size), size);
    if (index < lower_bound || index > upper_bound)
        cpu_raise(c, VECTOR_BR, 0);
}
