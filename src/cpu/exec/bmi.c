/* SPDX-License-Identifier: Apache-2.0 */
/* BMI1 and BMI2 [APM3]. The operands have 4 bytes, or 8 with VEX.W in 64-bit mode. */
#include "cpu/internal.h"

static u32 size_of(const struct insn *in)
{
    return in->o[0].size;
}

static u32 bits_of(const struct insn *in)
{
    return 8 * size_of(in);
}

/* Writes a result to operand 0; ZF and SF are the result's. */
static void finish(struct cpu *c, const struct insn *in, u64 result, bool cf)
{
    u64 sign = BIT(bits_of(in) - 1);
    result &= sign | (sign - 1);
    bool zf = !result, sf = result & sign;
    gpr_write(c, in->o[0].reg, size_of(in), result);
    flags_set(c, (cf ? RFLAGS_CF : 0) | (zf ? RFLAGS_ZF : 0) | (sf ? RFLAGS_SF : 0));
}

void exec_andn(struct cpu *c, const struct insn *in)
{
    u64 b = operand_read(c, in, 2);
    finish(c, in, ~operand_read(c, in, 1) & b, false);
}

/* Takes a field: the control's low byte is its first bit, the next byte its length. */
void exec_bextr(struct cpu *c, const struct insn *in)
{
    u64 value = operand_read(c, in, 1), control = operand_read(c, in, 2);
    u32 first = control & 0xff, length = control >> 8 & 0xff;
    value = first < 64 ? value >> first : 0;
    if (length < 64)
        value &= BIT(length) - 1;
    gpr_write(c, in->o[0].reg, size_of(in), value);
    bool zf = !value;
    flags_set(c, zf ? RFLAGS_ZF : 0);
}

void exec_blsr(struct cpu *c, const struct insn *in)
{
    u64 v = operand_read(c, in, 1);
    finish(c, in, v & (v - 1), !v);
}

void exec_blsmsk(struct cpu *c, const struct insn *in)
{
    u64 v = operand_read(c, in, 1);
    finish(c, in, v ^ (v - 1), !v);
}

void exec_blsi(struct cpu *c, const struct insn *in)
{
    u64 v = operand_read(c, in, 1);
    finish(c, in, v & (0 - v), v);
}

void exec_bzhi(struct cpu *c, const struct insn *in)
{
    u64 v = operand_read(c, in, 1);
    u32 index = operand_read(c, in, 2) & 0xff;
    bool beyond = index >= bits_of(in);
    finish(c, in, beyond ? v : v & (BIT(index) - 1), beyond);
}

/* Puts the low bits of the source where the mask has ones. */
void exec_pdep(struct cpu *c, const struct insn *in)
{
    u64 mask = operand_read(c, in, 2), source = operand_read(c, in, 1), result = 0;
    for (; mask; mask &= mask - 1, source >>= 1)
        if (source & 1)
            result |= mask & (0 - mask);
    gpr_write(c, in->o[0].reg, size_of(in), result);
}

/* Collects the bits of the source where the mask has ones. */
void exec_pext(struct cpu *c, const struct insn *in)
{
    u64 mask = operand_read(c, in, 2), source = operand_read(c, in, 1), result = 0;
    for (u64 bit = 1; mask; mask &= mask - 1, bit <<= 1)
        if (source & mask & (0 - mask))
            result |= bit;
    gpr_write(c, in->o[0].reg, size_of(in), result);
}

/* Multiplies by RDX, without flags. If both halves have one register, it gets the upper. */
void exec_mulx(struct cpu *c, const struct insn *in)
{
    u32 size = size_of(in);
    u64 a = gpr_read(c, RDX, size), b = operand_read(c, in, 2);
    u128 product = (u128)a * b;
    gpr_write(c, in->o[1].reg, size, (u64)product);
    gpr_write(c, in->o[0].reg, size, (u64)(product >> bits_of(in)));
}

void exec_rorx(struct cpu *c, const struct insn *in)
{
    u32 bits = bits_of(in), count = (u32)in->imm & (bits - 1);
    u64 v = operand_read(c, in, 1);
    gpr_write(c, in->o[0].reg, size_of(in), count ? v >> count | v << (bits - count) : v);
}

static u32 shift_count(struct cpu *c, const struct insn *in)
{
    return (u32)operand_read(c, in, 2) & (bits_of(in) - 1);
}

void exec_sarx(struct cpu *c, const struct insn *in)
{
    u64 v = operand_read(c, in, 1);
    s64 extended = size_of(in) == 4 ? (s32)v : (s64)v;
    gpr_write(c, in->o[0].reg, size_of(in), (u64)(extended >> shift_count(c, in)));
}

void exec_shlx(struct cpu *c, const struct insn *in)
{
    u64 v = operand_read(c, in, 1);
    gpr_write(c, in->o[0].reg, size_of(in), v << shift_count(c, in));
}

void exec_shrx(struct cpu *c, const struct insn *in)
{
    u64 v = operand_read(c, in, 1);
    gpr_write(c, in->o[0].reg, size_of(in), v >> shift_count(c, in));
}
