/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoder: prefixes, opcode look-up, ModRM and SIB, then the operands one by one as the row of
 * opcodes.def says. It works on a zero-padded copy, so it needs no bounds check for each byte; one
 * check at the end finds out whether the bytes were really there.
 */
#include "cpu/decode/decode.h"
#include "cpu/internal.h"

#define INSN_BYTES_MAX 15
/* 15 prefixes, followed by whatever the zeros are decoded as: opcode, ModRM, SIB, displacement,
 * immediate. */
#define PADDED_BYTES 48

#define REX_W 8
#define REX_R 4
#define REX_X 2
#define REX_B 1

#define SEGMENT_DEFAULT SEGS

struct decoder {
    struct insn *in;
    const u8 *at; /* next byte */
    const u8 *start;
    u32 mode;
    u8 map, prefix;           /* enum opcode_map, opcode_prefix */
    u8 segment;               /* override or SEGMENT_DEFAULT */
    bool mode64, is_register; /* ModRM.rm names a register */
    u8 rex_r, rex_x, rex_b;   /* 0 or 8 */
    u8 vvvv;                  /* VEX.vvvv, as a register's number */
};

static u64 take(struct decoder *d, u32 bytes)
{
    u64 value = 0;
    memcpy(&value, d->at, bytes);
    d->at += bytes;
    return value;
}

static s64 take_signed(struct decoder *d, u32 bytes)
{
    u32 shift = 64 - 8 * bytes;
    return (s64)(take(d, bytes) << shift) >> shift;
}

/* --- Prefixes [APM3 1.2] ---------------------------------------------------------------------- */

enum prefix_kind {
    NOT_A_PREFIX,
    PREFIX_KIND_REX,
    PREFIX_KIND_SEGMENT,
    PREFIX_KIND_66,
    PREFIX_KIND_67,
    PREFIX_KIND_F0,
    PREFIX_KIND_F2,
    PREFIX_KIND_F3,
};

// clang-format off
static const u8 prefix_kinds[256] = {
    [0x26] = PREFIX_KIND_SEGMENT, [0x2e] = PREFIX_KIND_SEGMENT, [0x36] = PREFIX_KIND_SEGMENT,
    [0x3e] = PREFIX_KIND_SEGMENT, [0x64] = PREFIX_KIND_SEGMENT, [0x65] = PREFIX_KIND_SEGMENT,
    [0x66] = PREFIX_KIND_66, [0x67] = PREFIX_KIND_67,
    [0xf0] = PREFIX_KIND_F0, [0xf2] = PREFIX_KIND_F2, [0xf3] = PREFIX_KIND_F3,
    [0x40] = PREFIX_KIND_REX, [0x41] = PREFIX_KIND_REX, [0x42] = PREFIX_KIND_REX, [0x43] = PREFIX_KIND_REX,
    [0x44] = PREFIX_KIND_REX, [0x45] = PREFIX_KIND_REX, [0x46] = PREFIX_KIND_REX, [0x47] = PREFIX_KIND_REX,
    [0x48] = PREFIX_KIND_REX, [0x49] = PREFIX_KIND_REX, [0x4a] = PREFIX_KIND_REX, [0x4b] = PREFIX_KIND_REX,
    [0x4c] = PREFIX_KIND_REX, [0x4d] = PREFIX_KIND_REX, [0x4e] = PREFIX_KIND_REX, [0x4f] = PREFIX_KIND_REX,
};
// clang-format on

static void note_prefix(struct decoder *d, u8 kind, u8 byte)
{
    switch (kind) {
    case PREFIX_KIND_SEGMENT:
        if (byte >= 0x64)
            d->segment = (u8)(byte - 0x64 + SEG_FS);
        else if (!d->mode64) /* 64-bit mode: ES CS SS DS overrides do not exist */
            d->segment = (u8)((byte - 0x26) >> 3);
        break;
    case PREFIX_KIND_66:
        d->in->prefixes |= PREFIX_OPSIZE;
        break;
    case PREFIX_KIND_67:
        d->in->prefixes |= PREFIX_ADDRSIZE;
        break;
    case PREFIX_KIND_F0:
        d->in->prefixes |= PREFIX_LOCK;
        break;
    case PREFIX_KIND_F2: /* if there are both F2 and F3, the last one counts */
        d->in->prefixes = (u8)((d->in->prefixes & ~PREFIX_REP) | PREFIX_REPNE);
        break;
    default:
        d->in->prefixes = (u8)((d->in->prefixes & ~PREFIX_REPNE) | PREFIX_REP);
        break;
    }
}

/* Decodes the prefixes. A REX prefix counts only right before the opcode. */
static void decode_prefixes(struct decoder *d)
{
    struct insn *in = d->in;
    u8 kind;
    while ((kind = prefix_kinds[*d->at]) != NOT_A_PREFIX && d->at - d->start < INSN_BYTES_MAX) {
        if (kind == PREFIX_KIND_REX) {
            if (!d->mode64)
                break;
            in->rex = *d->at++;
            continue;
        }
        in->rex = 0;
        note_prefix(d, kind, *d->at++);
    }
    if (in->rex)
        in->prefixes |= PREFIX_REX;
    if (d->segment != SEGMENT_DEFAULT)
        in->prefixes |= PREFIX_SEG;
    d->rex_r = (u8)((in->rex & REX_R) << 1);
    d->rex_x = (u8)((in->rex & REX_X) << 2);
    d->rex_b = (u8)((in->rex & REX_B) << 3);
    if (in->prefixes & (PREFIX_REP | PREFIX_REPNE))
        d->prefix = in->prefixes & PREFIX_REP ? OPCODE_F3 : OPCODE_F2;
    else
        d->prefix = in->prefixes & PREFIX_OPSIZE ? OPCODE_66 : OPCODE_NP;
}

/* --- Opcode ----------------------------------------------------------------------------------- */

/* Returns the encoding that an entry of the index leads to. */
static const struct encoding *select_encoding(struct decoder *d, u16 entry)
{
    if (entry & INDEX_GROUP16) {
        u8 modrm = *d->at;
        const u16 *group = &decode_groups[entry & ~INDEX_KIND];
        u32 digit = (modrm >> 3) & 7u;
        bool is_register = modrm >= 0xc0;
        if ((entry & INDEX_KIND) == INDEX_GROUP16)
            entry = group[digit + (is_register ? 8u : 0u)];
        else
            entry = group[is_register ? 8u + modrm - 0xc0u : digit];
        if (!entry) /* the ModRM byte was needed to find out */
            d->at++;
    }
    return entry ? &decode_encodings[entry] : NULL;
}

/* Returns true if C4 or C5 begins a VEX prefix: in real and virtual-8086 mode it is LES or LDS, in
 * legacy modes also if what follows is the ModRM byte of a memory operand [APM3 1.2.8]. */
static bool is_vex(const struct decoder *d, u8 byte)
{
    if (byte != 0xc4 && byte != 0xc5)
        return false;
    return d->mode64 || ((d->mode & (MODE_PE | MODE_V86)) == MODE_PE && *d->at >= 0xc0);
}

/* Decodes the rest of a VEX prefix and the opcode. R, X, B and vvvv are inverted; outside 64-bit
 * mode there are eight registers. C5 has R, vvvv, L and pp; the rest is as in C4 E1 with W 0. */
static const struct encoding *decode_vex(struct decoder *d, u8 first)
{
    struct insn *in = d->in;
    u8 rxb_map = *d->at++, last = rxb_map, map = 1;
    u8 rxb = (u8)(~rxb_map & 0x80);
    if (first == 0xc4) {
        last = *d->at++;
        map = rxb_map & 0x1f;
        rxb = (u8)(~rxb_map & 0xe0);
        in->vex_w = last >> 7;
    }
    u8 legacy = PREFIX_LOCK | PREFIX_REP | PREFIX_REPNE | PREFIX_OPSIZE | PREFIX_REX;
    u8 opcode = in->opcode = *d->at++;
    u8 pp = last & 3, l = (last >> 2) & 1;
    in->vl = l ? 32 : 16;
    d->vvvv = (u8)((~last >> 3) & 15);
    if (d->mode64) {
        d->rex_r = (u8)((rxb & 0x80) >> 4);
        d->rex_x = (u8)((rxb & 0x40) >> 3);
        d->rex_b = (u8)((rxb & 0x20) >> 2);
        in->rex = in->vex_w ? 0x40 | REX_W : 0;
    }
    if (in->prefixes & legacy || map < 1 || map > VEX_MAPS)
        return NULL;
    in->prefixes |= PREFIX_VEX;
    u32 column = pp | (u32)in->vex_w << 2 | (u32)l << 3;
    return select_encoding(d, decode_index_vex[d->mode64][map - 1][column][opcode]);
}

static const struct encoding *decode_opcode(struct decoder *d)
{
    u8 byte = *d->at++;
    if (UNLIKELY(is_vex(d, byte)))
        return decode_vex(d, byte);
    if (byte == 0x0f) {
        byte = *d->at++;
        d->map = MAP_0F;
        if (byte == 0x38 || byte == 0x3a) {
            d->map = byte == 0x38 ? MAP_0F38 : MAP_0F3A;
            byte = *d->at++;
        }
    }
    d->in->opcode = byte;
    /* 90 is NOP, not XCHG rAX, rAX; with REX.B it is XCHG R8, rAX and not PAUSE either. */
    if (byte == 0x90 && d->map == MAP_ONE_BYTE && d->rex_b)
        byte = 0x91;
    return select_encoding(d, decode_index[d->mode64][d->map][d->prefix][byte]);
}

/* --- ModRM, SIB, displacement [APM3 1.4] ------------------------------------------------------ */

static void decode_memory_16(struct decoder *d, u8 mod, u8 rm)
{
    static const u8 bases[8] = {RBX, RBX, RBP, RBP, RSI, RDI, RBP, RBX};
    static const u8 indexes[8] = {RSI, RDI, RSI, RDI, REG_ZERO, REG_ZERO, REG_ZERO, REG_ZERO};
    struct insn *in = d->in;
    in->base = bases[rm];
    in->index = indexes[rm];
    if (mod == 0 && rm == 6) {
        in->base = REG_ZERO;
        in->disp = take_signed(d, 2);
    } else if (mod) {
        in->disp = take_signed(d, mod);
    }
    in->segment = in->base == RBP ? SEG_SS : SEG_DS;
}

static void decode_memory_32_64(struct decoder *d, u8 mod, u8 rm, bool vsib)
{
    struct insn *in = d->in;
    in->base = rm | d->rex_b;
    in->index = REG_ZERO;
    if (rm == RSP) { /* a SIB byte */
        u8 sib = *d->at++;
        u8 index = ((sib >> 3) & 7) | d->rex_x;
        in->vector_index = index;
        if (vsib) {
            in->scale = sib >> 6;
        } else if (index != RSP) {
            in->index = index;
            in->scale = sib >> 6;
        }
        rm = sib & 7;
        in->base = rm | d->rex_b;
        if (mod == 0 && rm == RBP) {
            in->base = REG_ZERO;
            in->disp = take_signed(d, 4);
        }
    } else if (mod == 0 && rm == RBP) {
        in->base = REG_ZERO;
        in->rip_relative = d->mode64;
        in->disp = take_signed(d, 4);
    }
    if (mod)
        in->disp = take_signed(d, mod == 1 ? 1 : 4);
    in->segment = in->base == RSP || in->base == RBP ? SEG_SS : SEG_DS;
}

static void decode_modrm(struct decoder *d, const struct encoding *e)
{
    u8 modrm = *d->at++;
    u8 mod = modrm >> 6;
    d->in->modrm = modrm;
    d->is_register = mod == 3 || (e->flags & ENCODING_ANYMOD);
    if (d->is_register)
        return;
    if (d->in->addrsize == 2)
        decode_memory_16(d, mod, modrm & 7);
    else
        decode_memory_32_64(d, mod, modrm & 7, e->flags & ENCODING_VSIB);
    if (d->segment != SEGMENT_DEFAULT)
        d->in->segment = d->segment;
}

/* --- Operands --------------------------------------------------------------------------------- */

static u16 operand_bytes(const struct decoder *d, u8 code)
{
    static const u16 fixed[SIZES_FIXED] = {0, 1, 2, 4, 8, 10, 16, 32, 512};
    if (code < SIZES_FIXED)
        return fixed[code];
    const struct insn *in = d->in;
    u16 z = in->opsize == 2 ? 2 : 4;
    u16 y = in->rex & REX_W ? 8 : 4;
    switch (code) {
    case SIZE_V:
        return in->opsize;
    case SIZE_Z:
        return z;
    case SIZE_Y:
        return y;
    case SIZE_NATIVE:
        return d->mode64 ? 8 : 4;
    case SIZE_ADDRESS:
        return in->addrsize;
    case SIZE_FAR:
        return z + 2u;
    case SIZE_BOUNDS:
        return (u16)(in->opsize * 2);
    case SIZE_DESCRIPTOR:
        return d->mode64 ? 10 : 6;
    case SIZE_ENVIRONMENT:
        return in->opsize == 2 ? 14 : 28;
    case SIZE_STATE:
        return in->opsize == 2 ? 94 : 108;
    case SIZE_2Y:
        return (u16)(y * 2);
    default: /* SIZE_VECTOR, then its parts */
        return (u16)(in->vl >> (code - SIZE_VECTOR));
    }
}

static void set_operand(struct operand *o, u8 kind, u8 reg)
{
    o->kind = kind;
    o->reg = reg;
}

/* Sets a general register; without REX the byte registers 4..7 are AH CH DH BH. */
static void set_gpr(const struct decoder *d, struct operand *o, u8 reg, u16 size)
{
    o->size = size;
    if (size == 1 && reg >= 4 && !d->in->rex)
        set_operand(o, OPERAND_GPR8H, reg - 4);
    else
        set_operand(o, OPERAND_GPR, reg);
}

static void set_implicit_memory(const struct decoder *d, u8 base)
{
    struct insn *in = d->in;
    in->base = base;
    in->index = REG_ZERO;
    in->segment = d->segment != SEGMENT_DEFAULT ? d->segment : SEG_DS;
}

/* Decodes ModRM.rm: a register of the right file, or memory. */
static void decode_rm(const struct decoder *d, const struct operand_rule *rule, struct operand *o)
{
    u8 reg = (d->in->modrm & 7) | d->rex_b;
    if (!d->is_register) {
        o->kind = OPERAND_MEM;
        return;
    }
    switch (rule->method) {
    case METHOD_E:
        set_gpr(d, o, reg, rule->extra == rule->size ? o->size : operand_bytes(d, rule->extra));
        break;
    case METHOD_R:
        set_gpr(d, o, reg, o->size);
        break;
    case METHOD_W:
    case METHOD_U:
        set_operand(o, OPERAND_XMM, reg);
        break;
    case METHOD_ST:
        set_operand(o, OPERAND_ST, reg & 7);
        break;
    default: /* METHOD_Q, METHOD_N: eight registers, with or without REX.B */
        set_operand(o, OPERAND_MMX, reg & 7);
        break;
    }
}

/* Decodes ModRM.reg. Returns false if there is no such register. */
static bool decode_reg(const struct decoder *d, const struct operand_rule *rule, struct operand *o)
{
    u8 low = (d->in->modrm >> 3) & 7;
    u8 reg = low | d->rex_r;
    switch (rule->method) {
    case METHOD_G:
        set_gpr(d, o, reg, o->size);
        return true;
    case METHOD_V:
        set_operand(o, OPERAND_XMM, reg);
        return true;
    case METHOD_P:
        set_operand(o, OPERAND_MMX, low);
        return true;
    case METHOD_S:
        set_operand(o, OPERAND_SREG, low);
        return low < SEGS;
    case METHOD_C:
        if (d->in->prefixes & PREFIX_LOCK) /* LOCK MOV CR0 is MOV CR8 [APM3 MOV CRn] */
            reg |= 8;
        set_operand(o, OPERAND_CR, reg);
        return reg == 0 || (reg >= 2 && reg <= 4) || reg == 8;
    default:
        set_operand(o, OPERAND_DR, reg);
        return reg < 8;
    }
}

static void decode_immediate(struct decoder *d, const struct operand_rule *rule, struct operand *o)
{
    struct insn *in = d->in;
    o->kind = OPERAND_IMM;
    switch (rule->method) {
    case METHOD_I:
        in->imm = take(d, o->size);
        break;
    case METHOD_IS:
        in->imm = (u64)take_signed(d, rule->extra ? rule->extra : o->size < 4 ? o->size : 4);
        break;
    case METHOD_I2:
        in->imm2 = take(d, 1);
        break;
    case METHOD_ONE:
        in->imm = 1;
        break;
    case METHOD_J:
        o->kind = OPERAND_REL;
        in->imm = (u64)take_signed(d, o->size);
        break;
    default: /* METHOD_A */
        o->kind = OPERAND_FAR;
        in->imm = take(d, o->size - 2u);
        in->imm2 = take(d, 2);
        break;
    }
}

static bool decode_operand(struct decoder *d, const struct operand_rule *rule, struct operand *o)
{
    struct insn *in = d->in;
    o->reg = 0;
    o->size = operand_bytes(d, rule->size);
    switch (rule->method) {
    case METHOD_E:
    case METHOD_M:
    case METHOD_R:
    case METHOD_W:
    case METHOD_U:
    case METHOD_Q:
    case METHOD_N:
    case METHOD_ST:
        decode_rm(d, rule, o);
        return true;
    case METHOD_G:
    case METHOD_V:
    case METHOD_P:
    case METHOD_S:
    case METHOD_C:
    case METHOD_D:
        return decode_reg(d, rule, o);
    case METHOD_H:
        set_operand(o, OPERAND_XMM, d->vvvv & (d->mode64 ? 15 : 7));
        return true;
    case METHOD_B:
        set_gpr(d, o, d->vvvv & (d->mode64 ? 15 : 7), o->size);
        return true;
    case METHOD_L:
        in->imm = take(d, 1);
        set_operand(o, OPERAND_XMM, (u8)(in->imm >> 4 & (d->mode64 ? 15 : 7)));
        return true;
    case METHOD_VSIB:
        o->kind = OPERAND_MEM;
        return (in->modrm & 7) == RSP && in->addrsize != 2;
    case METHOD_Z:
        set_gpr(d, o, (in->opcode & 7) | d->rex_b, o->size);
        return true;
    case METHOD_FIXED:
        set_operand(o, OPERAND_GPR, rule->extra);
        return true;
    case METHOD_SREG:
        set_operand(o, OPERAND_SREG, rule->extra);
        return true;
    case METHOD_ST0:
        o->kind = OPERAND_ST;
        return true;
    case METHOD_XMM0:
        o->kind = OPERAND_XMM;
        return true;
    case METHOD_O:
        o->kind = OPERAND_MEM;
        set_implicit_memory(d, REG_ZERO);
        in->disp = (s64)take(d, in->addrsize);
        return true;
    case METHOD_SOURCE:
        o->kind = OPERAND_MEM;
        set_implicit_memory(d, rule->extra);
        return true;
    case METHOD_TARGET: /* insn describes the source, not this second memory operand */
        o->kind = OPERAND_MEM;
        if (in->base != RSI) {
            set_implicit_memory(d, RDI);
            in->segment = SEG_ES;
        }
        return true;
    default:
        decode_immediate(d, rule, o);
        return true;
    }
}

static u8 operand_size(const struct decoder *d, const struct encoding *e)
{
    const struct insn *in = d->in;
    bool toggled = (in->prefixes & PREFIX_OPSIZE) && !(e->flags & ENCODING_66);
    if ((in->rex & REX_W) && !(e->flags & ENCODING_NO_W))
        return 8;
    if (d->mode64 && (e->flags & ENCODING_D64))
        return toggled ? 2 : 8;
    bool is32 = d->mode & (MODE_CODE64 | MODE_CODE32);
    return is32 != toggled ? 4 : 2;
}

/* Returns true if the registers of a gather, destination, index and mask, are three. */
static bool gather_distinct(const struct insn *in)
{
    u8 to = in->o[0].reg, index = in->vector_index, mask = in->o[2].reg;
    return to != index && to != mask && index != mask;
}

/* Returns true if LOCK is allowed: the row allows it, and the destination is memory. decode_reg()
 * handles LOCK MOV CR. */
static bool lock_allowed(const struct insn *in)
{
    if (in->op->attributes & OP_LOCK)
        return in->o[0].kind == OPERAND_MEM;
    return in->op->id == INSN_mov_from_cr || in->op->id == INSN_mov_to_cr;
}

/* --- The whole -------------------------------------------------------------------------------- */

static bool decode_operands(struct decoder *d, const struct encoding *e)
{
    struct insn *in = d->in;
    in->opsize = operand_size(d, e);
    if (e->flags & ENCODING_REP)
        in->prefixes &= (u8) ~(PREFIX_REP | PREFIX_REPNE);
    if (e->flags & ENCODING_MODRM)
        decode_modrm(d, e);
    in->operands = e->operands;
    for (u32 n = 0; n < e->operands; n++)
        if (!decode_operand(d, &e->operand[n], &in->o[n]))
            return false;
    if (UNLIKELY(in->op->id == INSN_mov_to_sreg && in->o[0].reg == SEG_CS))
        return false;
    if (UNLIKELY(e->flags & ENCODING_VSIB) && !gather_distinct(in))
        return false;
    if (UNLIKELY(d->vvvv) && !(e->flags & ENCODING_VVVV))
        return false;
    return LIKELY(!(in->prefixes & PREFIX_LOCK)) || lock_allowed(in);
}

enum decode_result decode(struct insn *in, const u8 *bytes, u32 count, u32 mode)
{
    u8 padded[PADDED_BYTES] = {0};
    if (LIKELY(count >= INSN_BYTES_MAX))
        memcpy(padded, bytes, INSN_BYTES_MAX);
    else
        memcpy(padded, bytes, count);
    memset(in, 0, sizeof *in);
    in->base = in->index = REG_ZERO;
    struct decoder d = {.in = in,
                        .at = padded,
                        .start = padded,
                        .mode = mode,
                        .segment = SEGMENT_DEFAULT,
                        .mode64 = mode & MODE_CODE64};
    decode_prefixes(&d);
    bool address_toggled = in->prefixes & PREFIX_ADDRSIZE;
    if (d.mode64)
        in->addrsize = address_toggled ? 4 : 8;
    else
        in->addrsize = !(mode & MODE_CODE32) == address_toggled ? 4 : 2;

    const struct encoding *e = decode_opcode(&d);
    bool exists = false;
    if (e) {
        in->op = &opcode_table[e->opcode];
        exists = decode_operands(&d, e);
    }
    u32 length = (u32)(d.at - d.start);
    in->length = (u8)length;
    if (UNLIKELY(length > count || length > INSN_BYTES_MAX)) {
        in->op = NULL;
        in->length = (u8)min_u64(count, INSN_BYTES_MAX);
        return count < INSN_BYTES_MAX ? DECODE_SHORT : DECODE_LONG;
    }
    if (UNLIKELY(!exists)) {
        in->op = NULL;
        return DECODE_UD;
    }
    return DECODE_OK;
}

u16 insn_flags_read(const struct insn *in)
{
    u16 read = in->op->flags_read;
    switch (in->op->id) {
    case INSN_rol:
    case INSN_ror:
    case INSN_shl:
    case INSN_shr:
    case INSN_sar:
    case INSN_rcl:
    case INSN_rcr:
    case INSN_shld:
    case INSN_shrd: {
        u64 mask = in->opsize == 8 && in->o[0].size == 8 ? 63 : 31;
        if (in->o[in->operands - 1u].kind != OPERAND_IMM || !(in->imm & mask))
            return read;
        return in->op->id == INSN_rcl || in->op->id == INSN_rcr ? RFLAGS_CF : 0;
    }
    case INSN_cmps:
    case INSN_scas:
        return in->prefixes & (PREFIX_REP | PREFIX_REPNE) ? read : RFLAGS_DF;
    default:
        return read;
    }
}
