/* SPDX-License-Identifier: Apache-2.0 */
/* The encoder. No instruction is longer than ROOM, so one check an instruction is enough. */
#include "cpu/jit/emit.h"

#define ROOM 32

static bool room(struct code *k)
{
    if ((size_t)(k->end - k->p) < ROOM)
        k->full = true;
    return !k->full;
}

void emit_byte(struct code *k, u8 byte)
{
    if (room(k))
        *k->p++ = byte;
}

void emit_u32(struct code *k, u32 v)
{
    if (!room(k))
        return;
    memcpy(k->p, &v, sizeof v);
    k->p += sizeof v;
}

void emit_u64(struct code *k, u64 v)
{
    if (!room(k))
        return;
    memcpy(k->p, &v, sizeof v);
    k->p += sizeof v;
}

static bool fits_s8(s32 v)
{
    return v == (s8)v;
}

static void put_rex(struct code *k, u32 op, u32 size, u8 reg, const struct rm *rm)
{
    u8 x = rm->memory && rm->index != H_NONE ? rm->index : 0;
    u8 rex = (u8)((size == 8 ? 8 : 0) | (reg >> 3) << 2 | (x >> 3) << 1 | rm->reg >> 3);
    bool byte = size == 1 || op & OP_BYTE; /* without REX, 4 to 7 would be AH to BH */
    bool low = byte && ((size == 1 && reg >= 4) || (!rm->memory && rm->reg >= 4));
    if (rex || low)
        *k->p++ = (u8)(0x40 | rex);
}

static void put_modrm(struct code *k, u8 reg, const struct rm *rm)
{
    u8 r = (u8)((reg & 7) << 3), base = rm->reg & 7;
    if (!rm->memory) {
        *k->p++ = (u8)(0xc0 | r | base);
        return;
    }
    bool sib = rm->index != H_NONE || base == H_RSP;
    u8 mod = rm->disp == 0 && base != H_RBP ? 0 : fits_s8(rm->disp) ? 0x40 : 0x80;
    *k->p++ = (u8)(mod | r | (sib ? 4 : base));
    if (sib)
        *k->p++ = (u8)(rm->scale << 6 | (rm->index == H_NONE ? 4 : rm->index & 7) << 3 | base);
    if (mod == 0x40)
        *k->p++ = (u8)rm->disp;
    else if (mod == 0x80)
        emit_u32(k, (u32)rm->disp);
}

static void mention(struct code *k, u8 reg, const struct rm *rm)
{
    k->mentioned |= BIT(reg & 15) | (rm->memory ? 0 : BIT(rm->reg & 15));
}

void emit_op(struct code *k, u32 op, u32 size, u8 reg, struct rm rm)
{
    if (!room(k))
        return;
    mention(k, reg, &rm);
    if (size == 2)
        *k->p++ = 0x66;
    if (op & OP_PREFIX)
        *k->p++ = (u8)(op >> 16);
    put_rex(k, op, size, reg, &rm);
    if (op & OP_0F)
        *k->p++ = 0x0f;
    if (op & (OP_38 | OP_3A))
        *k->p++ = op & OP_38 ? 0x38 : 0x3a;
    *k->p++ = (u8)(size == 1 && !(op & OP_0F) ? op & ~1u : op);
    put_modrm(k, reg, &rm);
}

/* C4, [~R ~X ~B map], [W ~vvvv L pp]. */
void emit_vex(struct code *k, u32 op, u32 size, u8 reg, u8 other, struct rm rm)
{
    if (!room(k))
        return;
    mention(k, reg, &rm);
    k->mentioned |= BIT(other);
    u8 x = rm.memory && rm.index != H_NONE ? rm.index : 0;
    u8 map = op & OP_38 ? 2 : op & OP_3A ? 3 : 1;
    u32 prefix = (op & OP_PREFIX) >> 16;
    u8 pp = prefix == 0x66 ? 1 : prefix == 0xf3 ? 2 : prefix == 0xf2 ? 3 : 0;
    *k->p++ = 0xc4;
    *k->p++ = (u8)(((reg >> 3) << 7 | (x >> 3) << 6 | (rm.reg >> 3) << 5) ^ 0xe0) | map;
    *k->p++ = (u8)((size == 8 ? 0x80 : 0) | (~other & 15) << 3 | (op & OP_256 ? 4 : 0) | pp);
    *k->p++ = (u8)op;
    put_modrm(k, reg, &rm);
}

void emit_vzeroupper(struct code *k)
{
    emit_byte(k, 0xc5);
    emit_byte(k, 0xf8);
    emit_byte(k, 0x77);
}

void emit_op_imm8(struct code *k, u32 op, u32 size, u8 reg, struct rm rm, u8 imm)
{
    emit_op(k, op, size, reg, rm);
    emit_byte(k, imm);
}

static void put_immediate(struct code *k, u32 size, s32 imm)
{
    if (size == 1) {
        emit_byte(k, (u8)imm);
    } else if (size == 2) {
        emit_byte(k, (u8)imm);
        emit_byte(k, (u8)(imm >> 8));
    } else {
        emit_u32(k, (u32)imm);
    }
}

void emit_alu_imm(struct code *k, u32 which, u32 size, struct rm rm, s32 imm)
{
    if (size == 2)
        imm = (s16)imm;
    if (size > 1 && fits_s8(imm)) {
        emit_op_imm8(k, 0x83, size, (u8)which, rm, (u8)imm);
        return;
    }
    emit_op(k, 0x81, size, (u8)which, rm);
    put_immediate(k, size, imm);
}

void emit_align(struct code *k, size_t size)
{
    static const u8 nops[] = {0x66, 0x0f, 0x1f, 0x44, 0, 0}; /* the last 6, 5 or 4 bytes, or NOP */
    while (!k->full && (uintptr_t)k->p & (size - 1)) {
        size_t gap = size - ((uintptr_t)k->p & (size - 1)), n = gap > 5 ? 6 : gap > 4 ? 5 : 1;
        for (size_t i = 0; i < n; i++)
            emit_byte(k, n == 1 ? 0x90 : nops[sizeof nops - n + i]);
    }
}

void emit_mov_imm(struct code *k, u8 reg, u64 v)
{
    if (!room(k))
        return;
    k->mentioned |= BIT(reg);
    if (v == (u32)v) {
        if (reg >= 8)
            *k->p++ = 0x41;
        *k->p++ = (u8)(0xb8 | (reg & 7));
        emit_u32(k, (u32)v);
    } else if (v == (u64)(s64)(s32)v) {
        emit_op(k, 0xc7, 8, 0, in_register(reg));
        emit_u32(k, (u32)v);
    } else {
        *k->p++ = reg >= 8 ? 0x49 : 0x48;
        *k->p++ = (u8)(0xb8 | (reg & 7));
        emit_u64(k, v);
    }
}

static u8 *displacement(struct code *k)
{
    u8 *site = k->p;
    emit_u32(k, 0);
    return site;
}

u8 *emit_jump(struct code *k)
{
    emit_byte(k, 0xe9);
    return displacement(k);
}

u8 *emit_call_site(struct code *k)
{
    emit_byte(k, 0xe8);
    return displacement(k);
}

u8 *emit_jcc(struct code *k, u32 cc)
{
    emit_byte(k, 0x0f);
    emit_byte(k, (u8)(0x80 | cc));
    return displacement(k);
}

void emit_target(u8 *site, const u8 *target)
{
    s32 distance = (s32)(target - (site + 4));
    memcpy(site, &distance, sizeof distance);
}

void emit_land(struct code *k, u8 *site)
{
    k->mentioned = ~0u;
    if (!k->full)
        emit_target(site, k->p);
}

void emit_jump_to(struct code *k, const u8 *target)
{
    u8 *site = emit_jump(k);
    if (!k->full)
        emit_target(site, target);
}

void emit_call_to(struct code *k, const u8 *target)
{
    u8 *site = emit_call_site(k);
    if (!k->full)
        emit_target(site, target);
}
