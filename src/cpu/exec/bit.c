/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generic handlers of bit tests and scans, double shifts, rotates through carry, CRC32, and decimal
 * arithmetic. Undefined flags are left or cleared, whichever costs less; opcodes.def lists them.
 */
#include "cpu/engine/shift.h"
#include "cpu/exec/target.h"

/* --- Bit tests -------------------------------------------------------------------------------- */

enum bit_operation { BIT_TEST, BIT_SET, BIT_RESET, BIT_COMPLEMENT };

/* Returns the address of the bit. If a register holds the bit offset, a memory operand is a bit
 * string of any length around its address. */
static u64 bit_string_address(struct cpu *c, const struct insn *in, u64 bit, bool write)
{
    u32 size = in->o[0].size;
    s64 element = (s64)sign_extend(bit, size) >> (3 + (u32)__builtin_ctz(size));
    u64 offset = operand_offset(c, in) + (u64)element * size;
    return linear_address(c, in->segment, offset & size_mask(in->addrsize), size, write);
}

static void exec_bit(struct cpu *c, const struct insn *in, enum bit_operation op)
{
    u64 bit = operand_read(c, in, 1);
    struct target t = {.size = in->o[0].size};
    if (in->o[0].kind == OPERAND_MEM) {
        u64 string = in->o[1].kind == OPERAND_IMM ? 0 : bit;
        u64 linear = bit_string_address(c, in, string, op != BIT_TEST);
        t = op == BIT_TEST ? (struct target){.value = load(c, linear, t.size), .size = t.size}
                           : target_memory(c, linear, t.size);
    } else {
        t.value = operand_read(c, in, 0);
    }
    u64 mask = BIT(bit & (8 * t.size - 1));
    flags_change_cf(c, (t.value & mask) != 0);
    if (op == BIT_SET)
        target_write(c, in, 0, &t, t.value | mask);
    else if (op == BIT_RESET)
        target_write(c, in, 0, &t, t.value & ~mask);
    else if (op == BIT_COMPLEMENT)
        target_write(c, in, 0, &t, t.value ^ mask);
}

#define EXEC_BIT(name, op)                                                                         \
    void exec_##name(struct cpu *c, const struct insn *in)                                         \
    {                                                                                              \
        exec_bit(c, in, op);                                                                       \
    }
EXEC_BIT(bt, BIT_TEST)
EXEC_BIT(bts, BIT_SET)
EXEC_BIT(btr, BIT_RESET)
EXEC_BIT(btc, BIT_COMPLEMENT)

/* --- Scans and counts ------------------------------------------------------------------------- */

static void change_flags(struct cpu *c, u64 value, u64 mask)
{
    flags_set(c, (flags_get(c) & ~mask) | (value & mask));
}

/* If the source is 0, the destination does not change [APM3 BSF]. */
void exec_bsf(struct cpu *c, const struct insn *in)
{
    u64 v = operand_read(c, in, 1);
    change_flags(c, v ? 0 : RFLAGS_ZF, RFLAGS_ZF);
    if (v)
        operand_write(c, in, 0, (u32)__builtin_ctzll(v));
}

void exec_bsr(struct cpu *c, const struct insn *in)
{
    u64 v = operand_read(c, in, 1);
    change_flags(c, v ? 0 : RFLAGS_ZF, RFLAGS_ZF);
    if (v)
        operand_write(c, in, 0, 63u - (u32)__builtin_clzll(v));
}

static void count_result(struct cpu *c, const struct insn *in, u64 source, u64 result)
{
    u64 flags = (u64)(source == 0) * RFLAGS_CF + (u64)(result == 0) * RFLAGS_ZF;
    change_flags(c, flags, RFLAGS_CF | RFLAGS_ZF);
    operand_write(c, in, 0, result);
}

void exec_tzcnt(struct cpu *c, const struct insn *in)
{
    u64 v = operand_read(c, in, 1);
    count_result(c, in, v, v ? (u32)__builtin_ctzll(v) : 8u * in->o[0].size);
}

void exec_lzcnt(struct cpu *c, const struct insn *in)
{
    u64 v = operand_read(c, in, 1), bits = 8u * in->o[0].size;
    count_result(c, in, v, v ? (u32)__builtin_clzll(v) - (64 - bits) : bits);
}

void exec_popcnt(struct cpu *c, const struct insn *in)
{
    u64 v = operand_read(c, in, 1);
    flags_set(c, v ? 0 : RFLAGS_ZF);
    operand_write(c, in, 0, (u32)__builtin_popcountll(v));
}

/* Computes CRC-32C: bit-reflected polynomial 11EDC6F41h. */
void exec_crc32(struct cpu *c, const struct insn *in)
{
    u64 data = operand_read(c, in, 1);
    u32 crc = (u32)operand_read(c, in, 0);
    for (u32 i = 0; i < in->o[1].size; i++) {
        crc ^= (u8)(data >> (8 * i));
        for (u32 bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0x82f63b78u & (0 - (crc & 1)));
    }
    operand_write(c, in, 0, crc);
}

/* --- Double shifts, rotates through carry ----------------------------------------------------- */

static void exec_double_shift(struct cpu *c, const struct insn *in, bool left)
{
    struct target t = target_read(c, in, 0);
    u32 bits = 8 * t.size, count = (u32)operand_read(c, in, 2) & (t.size == 8 ? 63 : 31);
    u64 fill = operand_read(c, in, 1), mask = size_mask(t.size), r;
    if (count == 0) {
        target_write(c, in, 0, &t, t.value);
        return;
    }
    u128 pair = left ? (u128)t.value << bits | fill : (u128)fill << bits | t.value;
    /* A count over 16 is undefined for 16-bit operands; AMD's processors then shift in the second
     * operand again, Intel's the first. */
    if (bits == 16)
        pair = left ? pair << 16 | fill : pair | (u128)fill << 32;
    u32 width = bits == 16 ? 48 : 2 * bits;
    bool cf;
    if (left) {
        r = (u64)(pair >> (width - bits - count)) & mask;
        cf = (pair >> (width - count) & 1) != 0;
    } else {
        r = (u64)(pair >> count) & mask;
        cf = (pair >> (count - 1) & 1) != 0;
    }
    bool of = ((r ^ t.value) >> (bits - 1) & 1) != 0;
    flags_explicit(c, t.size, r, cf, of, false);
    target_write(c, in, 0, &t, r);
}

void exec_shld(struct cpu *c, const struct insn *in)
{
    exec_double_shift(c, in, true);
}

void exec_shrd(struct cpu *c, const struct insn *in)
{
    exec_double_shift(c, in, false);
}

/* Rotates the operand and CF as one number of bits + 1 bits. */
static void exec_rotate_carry(struct cpu *c, const struct insn *in, bool left)
{
    struct target t = target_read(c, in, 0);
    u32 bits = 8 * t.size, count = (u32)operand_read(c, in, 1) & (t.size == 8 ? 63 : 31);
    u32 n = count % (bits + 1);
    u128 v = (u128)flag_cf(c) << bits | t.value, all = ((u128)1 << (bits + 1)) - 1;
    if (n && !left)
        n = bits + 1 - n;
    if (n)
        v = (v << n | v >> (bits + 1 - n)) & all;
    u64 r = (u64)v & size_mask(t.size);
    if (count) {
        bool cf = (v >> bits & 1) != 0, top = r >> (bits - 1) & 1;
        flags_change_cf_of(c, cf, left ? top ^ cf : top ^ (r >> (bits - 2) & 1));
    }
    target_write(c, in, 0, &t, r);
}

void exec_rcl(struct cpu *c, const struct insn *in)
{
    exec_rotate_carry(c, in, true);
}

void exec_rcr(struct cpu *c, const struct insn *in)
{
    exec_rotate_carry(c, in, false);
}

/* --- Decimal arithmetic, not in 64-bit mode --------------------------------------------------- */

static u64 result_flags(u8 v)
{
    return (v ? 0 : RFLAGS_ZF) | (v & 0x80 ? RFLAGS_SF : 0) | (__builtin_parity(v) ? 0 : RFLAGS_PF);
}

static void decimal_adjust(struct cpu *c, bool subtract)
{
    u8 old = (u8)c->arch.r[RAX], al = old;
    bool old_cf = flag_cf(c), cf = false, af = false;
    if ((old & 0xf) > 9 || flag_af(c)) {
        cf = old_cf || (subtract ? old < 6 : old > 0xf9);
        al = (u8)(subtract ? al - 6 : al + 6);
        af = true;
    }
    if (old > 0x99 || old_cf) {
        al = (u8)(subtract ? al - 0x60 : al + 0x60);
        cf = true;
    }
    gpr_write(c, RAX, 1, al);
    flags_set(c, result_flags(al) | (cf ? RFLAGS_CF : 0) | (af ? RFLAGS_AF : 0));
}

void exec_daa(struct cpu *c, const struct insn *in)
{
    (void)in;
    decimal_adjust(c, false);
}

void exec_das(struct cpu *c, const struct insn *in)
{
    (void)in;
    decimal_adjust(c, true);
}

static void ascii_adjust(struct cpu *c, bool subtract)
{
    u16 ax = (u16)c->arch.r[RAX];
    bool adjust = (ax & 0xf) > 9 || flag_af(c);
    if (adjust)
        ax = (u16)(subtract ? ax - 0x106 : ax + 0x106);
    ax &= 0xff0f;
    gpr_write(c, RAX, 2, ax);
    flags_set(c, result_flags((u8)ax) | (adjust ? RFLAGS_CF | RFLAGS_AF : 0));
}

void exec_aaa(struct cpu *c, const struct insn *in)
{
    (void)in;
    ascii_adjust(c, false);
}

void exec_aas(struct cpu *c, const struct insn *in)
{
    (void)in;
    ascii_adjust(c, true);
}

void exec_aam(struct cpu *c, const struct insn *in)
{
    u8 base = (u8)in->imm, al = (u8)c->arch.r[RAX];
    if (base == 0)
        cpu_raise(c, VECTOR_DE, 0);
    u8 low = al % base;
    gpr_write(c, RAX, 2, (u64)(al / base) << 8 | low);
    flags_set(c, result_flags(low));
}

void exec_aad(struct cpu *c, const struct insn *in)
{
    u8 al = (u8)(c->arch.r[RAX] + (c->arch.r[RAX] >> 8) * in->imm);
    gpr_write(c, RAX, 2, al);
    flags_set(c, result_flags(al));
}

void exec_salc(struct cpu *c, const struct insn *in)
{
    (void)in;
    gpr_write(c, RAX, 1, flag_cf(c) ? 0xff : 0);
}
