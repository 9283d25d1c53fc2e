/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operand accessors of the exec_<name>() functions: registers by width, memory operands, the
 * stack.
 */
#include "cpu/internal.h"

static u64 mask_of(u32 size)
{
    return size >= 8 ? ~0ull : BIT(8 * size) - 1;
}

u64 gpr_read(const struct cpu *c, u8 reg, u32 size)
{
    return c->arch.r[reg] & mask_of(size);
}

/* Zero-extends 32-bit results; smaller ones leave the rest of the register unchanged [APM1
 * 3.1.2]. */
void gpr_write(struct cpu *c, u8 reg, u32 size, u64 value)
{
    if (size >= 4)
        c->arch.r[reg] = value & mask_of(size);
    else
        c->arch.r[reg] = (c->arch.r[reg] & ~mask_of(size)) | (value & mask_of(size));
}

u64 operand_offset(struct cpu *c, const struct insn *in)
{
    u64 offset = c->arch.r[in->base] + (c->arch.r[in->index] << in->scale) + (u64)in->disp;
    if (in->rip_relative)
        offset += c->arch.rip;
    return offset & mask_of(in->addrsize);
}

u64 operand_address(struct cpu *c, const struct insn *in, u32 size, bool write)
{
    u64 offset = operand_offset(c, in);
    /* Comes before any #SS. */
    if ((in->op->attributes & OP_ALIGN16) && size >= 16 &&
        (offset + c->arch.seg[in->segment].base) & (size - 1))
        cpu_raise_gp(c, 0);
    return linear_address(c, in->segment, offset, size, write);
}

u64 operand_read(struct cpu *c, const struct insn *in, u32 n)
{
    const struct operand *o = &in->o[n];
    switch (o->kind) {
    case OPERAND_GPR:
        return gpr_read(c, o->reg, o->size);
    case OPERAND_GPR8H:
        return (c->arch.r[o->reg] >> 8) & 0xff;
    case OPERAND_MEM:
        return load(c, operand_address(c, in, o->size, false), o->size);
    case OPERAND_IMM:
        return in->imm & mask_of(o->size);
    case OPERAND_SREG:
        return c->arch.seg[o->reg].selector;
    default:
        return 0;
    }
}

void operand_write(struct cpu *c, const struct insn *in, u32 n, u64 value)
{
    const struct operand *o = &in->o[n];
    switch (o->kind) {
    case OPERAND_GPR:
        gpr_write(c, o->reg, o->size, value);
        break;
    case OPERAND_GPR8H:
        c->arch.r[o->reg] = (c->arch.r[o->reg] & ~0xff00ull) | (value & 0xff) << 8;
        break;
    case OPERAND_MEM:
        store(c, operand_address(c, in, o->size, true), o->size, value);
        break;
    default: /* the other operand kinds have their own functions */
        break;
    }
}

/* --- The stack -------------------------------------------------------------------------------- */

static u32 stack_width(const struct cpu *c)
{
    if (c->engine.mode & MODE_CODE64)
        return 8;
    return c->engine.mode & MODE_STACK32 ? 4 : 2;
}

static u64 stack_linear(struct cpu *c, u64 delta, u32 size, bool write)
{
    u64 offset = (c->arch.r[RSP] + delta) & mask_of(stack_width(c));
    return linear_address(c, SEG_SS, offset, size, write);
}

void stack_push(struct cpu *c, u64 value, u32 size)
{
    store(c, stack_linear(c, 0 - (u64)size, size, true), size, value);
    stack_adjust(c, -(s64)size);
}

u64 stack_peek(struct cpu *c, u64 offset, u32 size)
{
    return load(c, stack_linear(c, offset, size, false), size);
}

void stack_adjust(struct cpu *c, s64 delta)
{
    gpr_write(c, RSP, stack_width(c), c->arch.r[RSP] + (u64)delta);
}
