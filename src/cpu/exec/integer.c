/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generic handlers of arithmetic, moves, multiplication and division: every operand form in every
 * mode. lower.c has faster handlers for the common forms.
 */
#include "cpu/engine/shift.h"
#include "cpu/exec/target.h"

/* --- Arithmetic and logic --------------------------------------------------------------------- */

static void exec_alu(struct cpu *c, const struct insn *in, enum alu op)
{
    bool compares = op == ALU_CMP || op == ALU_TEST;
    struct target t = compares
                          ? (struct target){.value = operand_read(c, in, 0), .size = in->o[0].size}
                          : target_read(c, in, 0);
    u64 b = operand_read(c, in, 1), r;
    switch (t.size) {
    case 1:
        r = alu(c, op, 1, true, t.value, b);
        break;
    case 2:
        r = alu(c, op, 2, true, t.value, b);
        break;
    case 4:
        r = alu(c, op, 4, true, t.value, b);
        break;
    default:
        r = alu(c, op, 8, true, t.value, b);
        break;
    }
    if (!compares)
        target_write(c, in, 0, &t, r);
}

#define EXEC_ALU(name, op)                                                                         \
    void exec_##name(struct cpu *c, const struct insn *in)                                         \
    {                                                                                              \
        exec_alu(c, in, op);                                                                       \
    }
EXEC_ALU(add, ALU_ADD)
EXEC_ALU(or, ALU_OR)
EXEC_ALU(adc, ALU_ADC)
EXEC_ALU(sbb, ALU_SBB)
EXEC_ALU(and, ALU_AND)
EXEC_ALU(sub, ALU_SUB)
EXEC_ALU(xor, ALU_XOR)
EXEC_ALU(cmp, ALU_CMP)
EXEC_ALU(test, ALU_TEST)

void exec_inc(struct cpu *c, const struct insn *in)
{
    struct target t = target_read(c, in, 0);
    target_write(c, in, 0, &t, alu_step(c, t.size, true, t.value, false));
}

void exec_dec(struct cpu *c, const struct insn *in)
{
    struct target t = target_read(c, in, 0);
    target_write(c, in, 0, &t, alu_step(c, t.size, true, t.value, true));
}

void exec_not(struct cpu *c, const struct insn *in)
{
    struct target t = target_read(c, in, 0);
    target_write(c, in, 0, &t, ~t.value);
}

void exec_neg(struct cpu *c, const struct insn *in)
{
    struct target t = target_read(c, in, 0);
    target_write(c, in, 0, &t, alu(c, ALU_SUB, t.size, true, 0, t.value));
}

/* Adds with a carry that is a separate flag, for ADCX and ADOX; only that flag changes. */
static u64 add_with(u64 a, u64 b, u32 size, bool *carry)
{
    u128 sum = (u128)a + b + *carry;
    *carry = (sum >> (8 * size) & 1) != 0;
    return (u64)sum;
}

void exec_adcx(struct cpu *c, const struct insn *in)
{
    bool carry = flag_cf(c);
    u64 r = add_with(operand_read(c, in, 0), operand_read(c, in, 1), in->o[0].size, &carry);
    flags_change_cf(c, carry);
    operand_write(c, in, 0, r);
}

void exec_adox(struct cpu *c, const struct insn *in)
{
    bool carry = flag_of(c);
    u64 r = add_with(operand_read(c, in, 0), operand_read(c, in, 1), in->o[0].size, &carry);
    flags_change_cf_of(c, flag_cf(c), carry);
    operand_write(c, in, 0, r);
}

/* --- Multiplication and division -------------------------------------------------------------- */

/* Writes the high and low half of a result to rDX:rAX, or to AH:AL. */
static void write_pair(struct cpu *c, u32 size, u64 low, u64 high)
{
    if (size == 1) {
        gpr_write(c, RAX, 2, (low & 0xff) | (high & 0xff) << 8);
        return;
    }
    gpr_write(c, RAX, size, low);
    gpr_write(c, RDX, size, high);
}

void exec_mul(struct cpu *c, const struct insn *in)
{
    u32 size = in->o[0].size;
    u64 high,
        low = multiply_unsigned(c, size, gpr_read(c, RAX, size), operand_read(c, in, 0), &high);
    write_pair(c, size, low, high);
}

static void imul_wide(struct cpu *c, const struct insn *in)
{
    u32 size = in->o[0].size;
    s128 product = (s128)(s64)sign_extend(gpr_read(c, RAX, size), size) *
                   (s64)sign_extend(operand_read(c, in, 0), size);
    u64 low = (u64)product;
    bool overflow = (s128)(s64)sign_extend(low, size) != product;
    flags_explicit(c, size, low, overflow, overflow, false);
    write_pair(c, size, low, (u64)((u128)product >> (8 * size)));
}

void exec_imul(struct cpu *c, const struct insn *in)
{
    if (in->operands == 1) {
        imul_wide(c, in);
        return;
    }
    u32 size = in->o[0].size;
    u64 a = operand_read(c, in, in->operands == 3 ? 1 : 0);
    u64 b = in->operands == 3 ? in->imm : operand_read(c, in, 1);
    operand_write(c, in, 0, multiply_signed(c, size, a, sign_extend(b, size)));
}

static u128 dividend_of(const struct cpu *c, u32 size)
{
    if (size == 1)
        return (u16)c->arch.r[RAX];
    return (u128)gpr_read(c, RDX, size) << (8 * size) | gpr_read(c, RAX, size);
}

void exec_div(struct cpu *c, const struct insn *in)
{
    u32 size = in->o[0].size;
    u64 divisor = operand_read(c, in, 0);
    u128 dividend = dividend_of(c, size);
    if (divisor == 0 || dividend >> (8 * size) >= divisor)
        cpu_raise(c, VECTOR_DE, 0);
    write_pair(c, size, (u64)(dividend / divisor), (u64)(dividend % divisor));
}

void exec_idiv(struct cpu *c, const struct insn *in)
{
    u32 size = in->o[0].size, unused = 128 - 16 * size;
    s64 divisor = (s64)sign_extend(operand_read(c, in, 0), size);
    s128 dividend = (s128)(dividend_of(c, size) << unused) >> unused;
    bool negative_dividend = dividend < 0, negative = negative_dividend ^ (divisor < 0);
    u128 a = negative_dividend ? 0 - (u128)dividend : (u128)dividend;
    u64 b = divisor < 0 ? 0 - (u64)divisor : (u64)divisor;
    u128 most = (u128)size_mask(size) / 2 + negative; /* 2^(n-1) - 1, one more if negative */
    if (b == 0 || a / b > most)
        cpu_raise(c, VECTOR_DE, 0);
    u64 quotient = (u64)(a / b), rest = (u64)(a % b);
    write_pair(c, size, negative ? 0 - quotient : quotient, negative_dividend ? 0 - rest : rest);
}

/* --- Shifts and rotates ----------------------------------------------------------------------- */

static void exec_shift(struct cpu *c, const struct insn *in, enum shift op)
{
    struct target t = target_read(c, in, 0);
    u32 count = (u32)operand_read(c, in, 1) & (t.size == 8 ? 63 : 31);
    u64 r = count ? shift(c, op, t.size, true, t.value, count) : t.value;
    target_write(c, in, 0, &t, r);
}

#define EXEC_SHIFT(name, op)                                                                       \
    void exec_##name(struct cpu *c, const struct insn *in)                                         \
    {                                                                                              \
        exec_shift(c, in, op);                                                                     \
    }
EXEC_SHIFT(rol, SHIFT_ROL)
EXEC_SHIFT(ror, SHIFT_ROR)
EXEC_SHIFT(shl, SHIFT_SHL)
EXEC_SHIFT(shr, SHIFT_SHR)
EXEC_SHIFT(sar, SHIFT_SAR)

/* --- Moves ------------------------------------------------------------------------------------ */

void exec_mov(struct cpu *c, const struct insn *in)
{
    operand_write(c, in, 0, operand_read(c, in, 1));
}

void exec_movnti(struct cpu *c, const struct insn *in)
{
    operand_write(c, in, 0, operand_read(c, in, 1));
}

void exec_movzx(struct cpu *c, const struct insn *in)
{
    operand_write(c, in, 0, operand_read(c, in, 1));
}

void exec_movsx(struct cpu *c, const struct insn *in)
{
    operand_write(c, in, 0, sign_extend(operand_read(c, in, 1), in->o[1].size));
}

void exec_movsxd(struct cpu *c, const struct insn *in)
{
    exec_movsx(c, in);
}

void exec_movbe(struct cpu *c, const struct insn *in)
{
    u64 v = operand_read(c, in, 1);
    operand_write(c, in, 0, __builtin_bswap64(v) >> (64 - 8 * in->o[0].size));
}

void exec_lea(struct cpu *c, const struct insn *in)
{
    operand_write(c, in, 0, operand_offset(c, in));
}

void exec_xchg(struct cpu *c, const struct insn *in)
{
    struct target t = target_read(c, in, 0);
    u64 v = operand_read(c, in, 1);
    target_write(c, in, 0, &t, v);
    operand_write(c, in, 1, t.value);
}

/* CMPXCHG writes the destination in either case [APM3 CMPXCHG]. */
void exec_cmpxchg(struct cpu *c, const struct insn *in)
{
    struct target t = target_read(c, in, 0);
    u64 accumulator = gpr_read(c, RAX, t.size);
    bool equal = accumulator == t.value;
    u64 source = operand_read(c, in, 1);
    alu(c, ALU_CMP, t.size, true, accumulator, t.value);
    if (equal || t.memory)
        target_write(c, in, 0, &t, equal ? source : t.value);
    if (!equal)
        gpr_write(c, RAX, t.size, t.value);
}

static void change_zf(struct cpu *c, bool zf)
{
    flags_set(c, (flags_get(c) & ~RFLAGS_ZF) | (zf ? RFLAGS_ZF : 0));
}

/* CMPXCHG8B, and CMPXCHG16B with REX.W. */
void exec_cmpxchg8b(struct cpu *c, const struct insn *in)
{
    u32 size = in->o[0].size, half = size / 2;
    u64 old[2] = {0}, new[2];
    if (size == 16 && (operand_offset(c, in) + c->arch.seg[in->segment].base) & 15)
        cpu_raise_gp(c, 0);
    u64 linear = operand_address(c, in, size, true);
    probe_write(c, linear, size);
    load_bytes(c, linear, &old[0], half);
    load_bytes(c, linear + half, &old[1], half);
    bool equal = old[0] == gpr_read(c, RAX, half) && old[1] == gpr_read(c, RDX, half);
    new[0] = equal ? gpr_read(c, RBX, half) : old[0];
    new[1] = equal ? gpr_read(c, RCX, half) : old[1];
    memmove((u8 *)new + half, &new[1], half);
    store_bytes(c, linear, new, size);
    change_zf(c, equal);
    if (!equal)
        write_pair(c, half, old[0], old[1]);
}

void exec_xadd(struct cpu *c, const struct insn *in)
{
    struct target t = target_read(c, in, 0);
    u64 b = operand_read(c, in, 1);
    u64 r = alu(c, ALU_ADD, t.size, true, t.value, b);
    if (t.memory)
        target_write(c, in, 0, &t, r);
    operand_write(c, in, 1, t.value);
    if (!t.memory) /* XADD r, r: the register keeps the sum */
        operand_write(c, in, 0, r);
}

void exec_cmovcc(struct cpu *c, const struct insn *in)
{
    u64 v = operand_read(c, in, 1);
    operand_write(c, in, 0, condition(c, in->opcode & 15) ? v : operand_read(c, in, 0));
}

void exec_setcc(struct cpu *c, const struct insn *in)
{
    operand_write(c, in, 0, condition(c, in->opcode & 15));
}

void exec_cbw(struct cpu *c, const struct insn *in)
{
    gpr_write(c, RAX, in->opsize, sign_extend(c->arch.r[RAX], in->opsize / 2u));
}

void exec_cwd(struct cpu *c, const struct insn *in)
{
    gpr_write(c, RDX, in->opsize, (s64)sign_extend(c->arch.r[RAX], in->opsize) < 0 ? ~0ull : 0);
}

void exec_bswap(struct cpu *c, const struct insn *in)
{
    u64 v = c->arch.r[in->o[0].reg];
    if (in->opsize == 8)
        v = __builtin_bswap64(v);
    else if (in->opsize == 4)
        v = __builtin_bswap32((u32)v);
    else
        v = 0; /* undefined; processors write 0 */
    operand_write(c, in, 0, v);
}

void exec_xlat(struct cpu *c, const struct insn *in)
{
    u64 offset = c->arch.r[in->base] + (u8)c->arch.r[RAX];
    u64 linear = linear_address(c, in->segment, offset & size_mask(in->addrsize), 1, false);
    gpr_write(c, RAX, 1, load(c, linear, 1));
}

void exec_nop(struct cpu *c, const struct insn *in)
{
    (void)c;
    (void)in;
}

/* --- Flags by name ---------------------------------------------------------------------------- */

#define FLAGS_LAHF (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF)

void exec_lahf(struct cpu *c, const struct insn *in)
{
    (void)in;
    u64 ah = (flags_get(c) & FLAGS_LAHF) | RFLAGS_ONE;
    gpr_write(c, RAX, 2, (c->arch.r[RAX] & 0xff) | ah << 8);
}

void exec_sahf(struct cpu *c, const struct insn *in)
{
    (void)in;
    flags_set(c, (flags_get(c) & RFLAGS_OF) | (c->arch.r[RAX] >> 8 & FLAGS_LAHF));
}

void exec_clc(struct cpu *c, const struct insn *in)
{
    (void)in;
    flags_change_cf(c, false);
}

void exec_stc(struct cpu *c, const struct insn *in)
{
    (void)in;
    flags_change_cf(c, true);
}

void exec_cmc(struct cpu *c, const struct insn *in)
{
    (void)in;
    flags_change_cf(c, !flag_cf(c));
}

void exec_cld(struct cpu *c, const struct insn *in)
{
    (void)in;
    c->arch.rflags &= ~RFLAGS_DF;
}

void exec_std(struct cpu *c, const struct insn *in)
{
    (void)in;
    c->arch.rflags |= RFLAGS_DF;
}
