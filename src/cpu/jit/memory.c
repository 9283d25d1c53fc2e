/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory accesses of emitted code: the same look at the TLB as uop_load() and uop_store() take.
 * What does not hit runs the whole uop by its handler: nothing of it has been done yet.
 */
#include "cpu/jit/translate.h"

_Static_assert(sizeof(struct tlb_entry) == 32, "an entry's offset comes from a shift by 7");
#define ENTRY_SHIFT (PAGE_SHIFT - 5)
#define ENTRY_MASK  ((TLB_ENTRIES - 1) << 5)

struct cold_code *cold_add(struct translator *t, enum cold kind, const struct uop *u)
{
    struct cold_code *cold = &t->cold[t->colds];
    if (t->colds == COLDS - 1)
        t->code.full = true; /* cannot happen: a uop has one slow path or two edges */
    else
        t->colds++;
    *cold = (struct cold_code){.kind = kind,
                               .u = u,
                               .block = t->unit_block,
                               .in_path = t->in_path,
                               .give_back = t->give_back};
    if (t->flags == FLAGS_RECIPE)
        cold->recipe = t->recipe;
    return cold;
}

/* Makes the jump at `site` lead to this uop's slow path. */
static void slow_from(struct translator *t, u8 *site, enum cold kind)
{
    if (kind == COLD_PLAIN) {
        go_plain(t, site, t->index);
        return;
    }
    if (!t->slow)
        t->slow = cold_add(t, kind, t->u);
    if (t->slow->sites == COLD_SITES) {
        t->code.full = true;
        return;
    }
    t->slow->site[t->slow->sites++] = site;
}

void slow_if(struct translator *t, u32 cc, enum cold kind)
{
    slow_from(t, emit_jcc(&t->code, cc), kind);
}

/* Returns where the base register is: its value plus *disp is the uop's base and displacement. */
static struct rm base_operand(const struct translator *t, const struct uop *u, s64 *disp)
{
    if (u->b < GPRS)
        return gpr_operand(t, u->b, 8);
    if (u->b == REG_BLOCK) {
        *disp += (s64)(t->block->spa & PAGE_MASK);
        return CPU_FIELD(engine.page_rip);
    }
    return GUEST_REGISTER(u->b);
}

static u8 load_operand(struct translator *t, struct rm rm, u8 scratch)
{
    if (!rm.memory)
        return rm.reg;
    emit_load(&t->code, scratch, rm);
    return scratch;
}

void address(struct translator *t, const struct uop *u, u8 reg)
{
    struct code *k = &t->code;
    s64 disp = u->disp;
    struct rm base = base_operand(t, u, &disp);
    bool indexed = u->x != REG_ZERO;
    struct rm sum = {.memory = true, .index = H_NONE, .disp = (s32)disp};
    if (disp != (s32)disp) { /* relative to RIP, at the very edge */
        emit_load(k, reg, base);
        emit_op(k, X_LEA, 8, reg, at(reg, u->disp));
        emit_op(k, X_LEA, 8, reg, at(reg, (s32)(disp - u->disp)));
        return;
    }
    if (u->b == REG_ZERO && !indexed) {
        emit_mov_imm(k, reg, (u64)disp);
        return;
    }
    if (u->b == REG_ZERO)
        emit_mov_imm(k, reg, 0);
    sum.reg = u->b == REG_ZERO ? reg : load_operand(t, base, reg);
    if (indexed) {
        sum.index = load_operand(t, gpr_operand(t, u->x, 8), HOST);
        sum.scale = u->scale;
    } else if (disp == 0) {
        if (sum.reg != reg)
            emit_load(k, reg, in_register(sum.reg));
        return;
    }
    emit_op(k, X_LEA, 8, reg, sum);
}

void emit_shift_right(struct translator *t, u8 reg, u32 size, u8 count)
{
    struct code *k = &t->code;
    if (t->exact.host & HOST_BMI2) {
        emit_vex(k, OP_F2(OP_TWO(0xf0)) | (u32)OP_3A, size, reg, 0,
                 in_register(SCRATCH)); /* RORX */
        emit_byte(k, count);
    } else {
        emit_op(k, X_MOV_LOAD, size, reg, in_register(SCRATCH));
        emit_op_imm8(k, 0xc1, size, 5, in_register(reg), count);
    }
}

u8 *emit_translation(struct translator *t, u32 size, bool write)
{
    struct code *k = &t->code;
    s32 tag = (s32)(write ? offsetof(struct tlb_entry, wtag) : offsetof(struct tlb_entry, rtag));
    s32 host = (s32)offsetof(struct tlb_entry, host);
    emit_shift_right(t, HOST, 4, ENTRY_SHIFT);
    emit_alu_imm(k, ALU_AND, 4, in_register(HOST), ENTRY_MASK);
    struct rm entry = at(HOST, 0);
    if (t->block->mode & MODE_USER && !t->two_worlds) /* the array's place is known */
        entry = (struct rm){.memory = true,
                            .reg = CPU,
                            .index = HOST,
                            .disp = (s32)offsetof(struct cpu, engine.tlbs[TLB_USER])};
    else
        emit_op(k, 0x03, 8, HOST, CPU_FIELD(engine.tlb));
    struct rm tag_rm = entry, host_rm = entry;
    tag_rm.disp += tag;
    host_rm.disp += host;
    emit_op(k, 0x33, 8, SCRATCH, tag_rm);
    emit_alu_imm(k, ALU_CMP, 8, in_register(SCRATCH), (s32)(PAGE_SIZE - size));
    u8 *miss = emit_jcc(k, CC_A);
    emit_load(k, HOST, host_rm);
    return miss;
}

void translate_address(struct translator *t, u32 size, bool write, enum cold slow)
{
    slow_from(t, emit_translation(t, size, write), slow);
}

void delta_loaded(struct translator *t, u8 base)
{
    t->code.mentioned &= ~(u32)BIT(HOST);
    t->delta_of = base;
}

/* Loads the region's distance into HOST, unless it is there since the last access. */
static void load_delta(struct translator *t, u8 base)
{
    struct code *k = &t->code;
    if (t->delta_of == base && !(k->mentioned & BIT(HOST)))
        return;
    emit_load(k, HOST, region_delta(base));
    delta_loaded(t, base);
}

static struct rm in_region(struct translator *t, u8 base, s32 disp)
{
    load_delta(t, base);
    struct rm rm = at_sum(t->pinned[base], HOST);
    rm.disp = disp;
    return rm;
}

bool insn_memory(const struct uop *u, struct uop *out)
{
    const struct insn *in = u->insn;
    s64 disp = in->disp + (in->rip_relative ? uop_offset(u) + in->length : 0);
    *out = (struct uop){.b = in->rip_relative ? REG_BLOCK : in->base,
                        .x = in->index,
                        .scale = in->scale,
                        .disp = (s32)disp};
    return in->addrsize == 8 && disp == (s32)disp && in->segment != SEG_FS && in->segment != SEG_GS;
}

struct rm memory_at(struct translator *t, u8 base, s32 disp, u32 size, bool write, enum cold slow)
{
    if (region_has(t, base, disp, size, write))
        return in_region(t, base, disp);
    flags_clobber(t);
    emit_op(&t->code, X_LEA, 8, SCRATCH, at(t->pinned[base], disp));
    translate_address(t, size, write, slow);
    return at_sum(HOST, SCRATCH);
}

struct rm memory_operand(struct translator *t, const struct uop *u, u32 size, bool write,
                         enum cold slow)
{
    if (u->x == REG_ZERO && region_has(t, u->b, u->disp, size, write))
        return in_region(t, u->b, u->disp);
    flags_clobber(t);
    struct rm walk;
    if (walk_operand(t, u, size, write, slow, &walk))
        return walk;
    address(t, u, SCRATCH);
    translate_address(t, size, write, slow);
    return at_sum(HOST, SCRATCH);
}

u8 free_register(struct translator *t, struct rm *rm)
{
    if (rm->reg != HOST) /* in a region: SCRATCH is free */
        return SCRATCH;
    emit_op(&t->code, X_LEA, 8, SCRATCH, *rm);
    *rm = at(SCRATCH, 0);
    return HOST;
}

u8 source_register(struct translator *t, struct rm source, struct rm *target)
{
    if (!source.memory)
        return source.reg;
    u8 reg = free_register(t, target);
    emit_load(&t->code, reg, source);
    return reg;
}
