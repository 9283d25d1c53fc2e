/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder of instructions that touch devices [APM3 1, A]: prefixes, one opcode table, ModRM,
 * immediates. */
#include "hypervisor/mmio.h"

#include "abi/x86.h"

#define REX_W 8u
#define REX_R 4u

struct decode {
    const u8 *bytes;
    u32 count, at, bits;
    u8 rex;
    bool operand16, address_override, rep, bad;
};

static u8 next(struct decode *d)
{
    if (d->at < d->count)
        return d->bytes[d->at++];
    d->bad = true;
    return 0;
}

static u64 next_value(struct decode *d, u32 size)
{
    u64 v = 0;
    for (u32 i = 0; i < size; i++)
        v |= (u64)next(d) << 8 * i;
    return v;
}

/* Legacy prefixes in any order, then REX; the opcode's first byte is returned. */
static u8 prefixes(struct decode *d)
{
    for (;;) {
        u8 b = next(d);
        switch (b) {
        case 0x66:
            d->operand16 = true;
            break;
        case 0x67:
            d->address_override = true;
            break;
        case 0xf2:
        case 0xf3:
            d->rep = true;
            break;
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0x64:
        case 0x65:
        case 0xf0:
            break;
        default:
            if (d->bits != 64 || (b & 0xf0) != 0x40)
                return b;
            d->rex = b;
            return next(d);
        }
        if (d->bad)
            return 0;
    }
}

static u32 operand_size(const struct decode *d)
{
    if (d->rex & REX_W)
        return 8;
    return d->bits == 16 ? (d->operand16 ? 4 : 2) : (d->operand16 ? 2 : 4);
}

static u32 address_size(const struct decode *d)
{
    if (d->bits == 64)
        return d->address_override ? 4 : 8;
    return (d->bits == 16) == d->address_override ? 4 : 2;
}

/* Skips ModRM's SIB and displacement; returns the ModRM byte, bad if the operand is a register. */
static u8 memory_operand(struct decode *d)
{
    u8 modrm = next(d);
    u32 mod = modrm >> 6, rm = modrm & 7, displacement = mod == 1 ? 1 : 0;
    if (mod == 3)
        d->bad = true;
    if (address_size(d) == 2) {
        if (mod == 2 || (mod == 0 && rm == 6))
            displacement = 2;
    } else {
        u8 sib = rm == 4 ? next(d) : 0;
        if (mod == 2 || (mod == 0 && (rm == 5 || (rm == 4 && (sib & 7) == 5))))
            displacement = 4;
    }
    next_value(d, displacement);
    return modrm;
}

/* What an opcode does; `W` opcodes have an even form for bytes and an odd one for the operand size.
 * */
enum form {
    FORM_NONE,
    FORM_LOAD,       /* reg <- mem */
    FORM_STORE,      /* mem <- reg */
    FORM_MOFFS_LOAD, /* rAX <- [address] */
    FORM_MOFFS_STORE,
    FORM_STORE_IMMEDIATE, /* group /0 */
    FORM_ALU_MEMORY,      /* mem <- mem op reg; TEST too */
    FORM_ALU_REGISTER,    /* reg <- reg op mem */
    FORM_ALU_IMMEDIATE,   /* group 1: the operation is in ModRM */
    FORM_ALU_IMMEDIATE8,
    FORM_TEST_IMMEDIATE, /* group 3 /0 and /1 */
    FORM_XCHG,
    FORM_STOS,
    FORM_EXTEND_ZERO, /* 0F: reg <- mem8 or mem16 */
    FORM_EXTEND_SIGN,
    FORM_EXTEND_SIGN32, /* MOVSXD */
};

struct opcode {
    u8 form, alu;
};

// clang-format off
static const struct opcode one_byte[256] = {
    [0x00] = {FORM_ALU_MEMORY, MMIO_ADD}, [0x01] = {FORM_ALU_MEMORY, MMIO_ADD}, [0x02] = {FORM_ALU_REGISTER, MMIO_ADD}, [0x03] = {FORM_ALU_REGISTER, MMIO_ADD},
    [0x08] = {FORM_ALU_MEMORY, MMIO_OR},  [0x09] = {FORM_ALU_MEMORY, MMIO_OR},  [0x0a] = {FORM_ALU_REGISTER, MMIO_OR},  [0x0b] = {FORM_ALU_REGISTER, MMIO_OR},
    [0x20] = {FORM_ALU_MEMORY, MMIO_AND}, [0x21] = {FORM_ALU_MEMORY, MMIO_AND}, [0x22] = {FORM_ALU_REGISTER, MMIO_AND}, [0x23] = {FORM_ALU_REGISTER, MMIO_AND},
    [0x28] = {FORM_ALU_MEMORY, MMIO_SUB}, [0x29] = {FORM_ALU_MEMORY, MMIO_SUB}, [0x2a] = {FORM_ALU_REGISTER, MMIO_SUB}, [0x2b] = {FORM_ALU_REGISTER, MMIO_SUB},
    [0x30] = {FORM_ALU_MEMORY, MMIO_XOR}, [0x31] = {FORM_ALU_MEMORY, MMIO_XOR}, [0x32] = {FORM_ALU_REGISTER, MMIO_XOR}, [0x33] = {FORM_ALU_REGISTER, MMIO_XOR},
    [0x38] = {FORM_ALU_MEMORY, MMIO_CMP}, [0x39] = {FORM_ALU_MEMORY, MMIO_CMP}, [0x3a] = {FORM_ALU_REGISTER, MMIO_CMP}, [0x3b] = {FORM_ALU_REGISTER, MMIO_CMP},
    [0x63] = {FORM_EXTEND_SIGN32, 0},
    [0x80] = {FORM_ALU_IMMEDIATE, 0}, [0x81] = {FORM_ALU_IMMEDIATE, 0}, [0x83] = {FORM_ALU_IMMEDIATE8, 0},
    [0x84] = {FORM_ALU_MEMORY, MMIO_TEST}, [0x85] = {FORM_ALU_MEMORY, MMIO_TEST},
    [0x86] = {FORM_XCHG, 0}, [0x87] = {FORM_XCHG, 0},
    [0x88] = {FORM_STORE, 0}, [0x89] = {FORM_STORE, 0}, [0x8a] = {FORM_LOAD, 0}, [0x8b] = {FORM_LOAD, 0},
    [0xa0] = {FORM_MOFFS_LOAD, 0}, [0xa1] = {FORM_MOFFS_LOAD, 0}, [0xa2] = {FORM_MOFFS_STORE, 0}, [0xa3] = {FORM_MOFFS_STORE, 0},
    [0xaa] = {FORM_STOS, 0}, [0xab] = {FORM_STOS, 0},
    [0xc6] = {FORM_STORE_IMMEDIATE, 0}, [0xc7] = {FORM_STORE_IMMEDIATE, 0},
    [0xf6] = {FORM_TEST_IMMEDIATE, 0}, [0xf7] = {FORM_TEST_IMMEDIATE, 0},
};

static const struct opcode two_byte[256] = {
    [0xb6] = {FORM_EXTEND_ZERO, 0}, [0xb7] = {FORM_EXTEND_ZERO, 0}, [0xbe] = {FORM_EXTEND_SIGN, 0}, [0xbf] = {FORM_EXTEND_SIGN, 0},
};

/* Group 1: ADC and SBB (2, 3) are not among the forms. */
static const s8 group1[8] = {MMIO_ADD, MMIO_OR, -1, -1, MMIO_AND, MMIO_SUB, MMIO_XOR, MMIO_CMP};
// clang-format on

static u64 sign_extend(u64 v, u32 size)
{
    u32 shift = 64 - 8 * size;
    return (u64)((s64)(v << shift) >> shift);
}

static void set_register(const struct decode *d, struct mmio_instruction *out, u8 modrm, u32 size)
{
    out->reg = (u8)((modrm >> 3 & 7) | (d->rex & REX_R ? 8 : 0));
    if (size == 1 && !d->rex && out->reg >= 4) {
        out->reg = (u8)(out->reg - 4);
        out->high = true;
    }
}

static void set_immediate(struct decode *d, struct mmio_instruction *out, u32 size)
{
    u32 bytes = (u32)min_u64(size, 4);
    out->immediate = true;
    out->value = sign_extend(next_value(d, bytes), bytes);
}

static void decode_group(struct decode *d, u8 form, u8 modrm, struct mmio_instruction *out)
{
    u32 operation = modrm >> 3 & 7;
    if (form == FORM_STORE_IMMEDIATE) {
        out->kind = MMIO_STORE;
        d->bad |= operation != 0;
    } else if (form == FORM_TEST_IMMEDIATE) {
        out->kind = MMIO_ALU;
        out->alu = MMIO_TEST;
        d->bad |= operation > 1;
    } else {
        out->kind = MMIO_ALU;
        d->bad |= group1[operation] < 0;
        out->alu = (enum mmio_alu)(group1[operation] & 7);
    }
    set_immediate(d, out, form == FORM_ALU_IMMEDIATE8 ? 1 : out->size);
}

static void decode_form(struct decode *d, struct opcode o, u8 opcode, struct mmio_instruction *out)
{
    u32 full = operand_size(d);
    out->size = (u8)(opcode & 1 ? full : 1);
    out->to_size = out->size;
    u8 modrm;
    switch (o.form) {
    case FORM_MOFFS_LOAD:
    case FORM_MOFFS_STORE:
        next_value(d, address_size(d));
        out->kind = o.form == FORM_MOFFS_LOAD ? MMIO_LOAD : MMIO_STORE;
        return;
    case FORM_STOS:
        out->kind = MMIO_STOS;
        out->rep = d->rep;
        return;
    case FORM_STORE_IMMEDIATE:
    case FORM_TEST_IMMEDIATE:
    case FORM_ALU_IMMEDIATE:
    case FORM_ALU_IMMEDIATE8:
        modrm = memory_operand(d);
        decode_group(d, o.form, modrm, out);
        return;
    case FORM_EXTEND_ZERO:
    case FORM_EXTEND_SIGN:
        out->size = opcode & 1 ? 2 : 1;
        out->to_size = (u8)full;
        break;
    case FORM_EXTEND_SIGN32:
        d->bad |= d->bits != 64 || full == 2;
        out->size = (u8)min_u64(full, 4);
        out->to_size = (u8)full;
        break;
    default:
        break;
    }
    modrm = memory_operand(d);
    set_register(d, out, modrm, out->to_size);
    out->sign = o.form == FORM_EXTEND_SIGN || o.form == FORM_EXTEND_SIGN32;
    out->alu = (enum mmio_alu)o.alu;
    out->to_register = o.form == FORM_ALU_REGISTER;
    out->kind = o.form == FORM_STORE                                       ? MMIO_STORE
                : o.form == FORM_XCHG                                      ? MMIO_XCHG
                : o.form == FORM_ALU_MEMORY || o.form == FORM_ALU_REGISTER ? MMIO_ALU
                                                                           : MMIO_LOAD;
}

bool mmio_decode(const u8 *bytes, u32 count, u32 bits, struct mmio_instruction *out)
{
    struct decode d = {.bytes = bytes, .count = (u32)min_u64(count, 15), .bits = bits};
    u8 opcode = prefixes(&d);
    struct opcode o = one_byte[opcode];
    if (opcode == 0x0f) {
        opcode = next(&d);
        o = two_byte[opcode];
    }
    *out = (struct mmio_instruction){0};
    if (d.bad || o.form == FORM_NONE)
        return false;
    decode_form(&d, o, opcode, out);
    out->length = (u8)d.at;
    out->address_size = (u8)address_size(&d);
    return !d.bad;
}

static bool parity_even(u8 v)
{
    v ^= v >> 4;
    v ^= (u8)(v >> 2);
    v ^= (u8)(v >> 1);
    return !(v & 1);
}

u64 mmio_compute(enum mmio_alu alu, u32 size, u64 a, u64 b, u64 *flags)
{
    const u64 mask = size == 8 ? ~0ull : BIT(8 * size) - 1, top = BIT(8 * size - 1);
    a &= mask;
    b &= mask;
    u64 r = 0, f = 0;
    switch (alu) {
    case MMIO_ADD:
        r = (a + b) & mask;
        f |= (r < a ? RFLAGS_CF : 0) | ((~(a ^ b) & (a ^ r) & top) ? RFLAGS_OF : 0) |
             ((a ^ b ^ r) & RFLAGS_AF);
        break;
    case MMIO_SUB:
    case MMIO_CMP:
        r = (a - b) & mask;
        f |= (a < b ? RFLAGS_CF : 0) | (((a ^ b) & (a ^ r) & top) ? RFLAGS_OF : 0) |
             ((a ^ b ^ r) & RFLAGS_AF);
        break;
    case MMIO_OR:
        r = a | b;
        break;
    case MMIO_AND:
    case MMIO_TEST:
        r = a & b;
        break;
    case MMIO_XOR:
        r = a ^ b;
        break;
    }
    f |= (r ? 0 : RFLAGS_ZF) | (r & top ? RFLAGS_SF : 0) | (parity_even((u8)r) ? RFLAGS_PF : 0);
    *flags = (*flags & ~RFLAGS_ARITHMETIC) | f;
    return r;
}
