/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions on segment registers and descriptor tables: MOV and POP of segment registers, far
 * pointers, LGDT SGDT LLDT LTR ..., and LAR LSL VERR VERW ARPL, which test a selector [APM3].
 */
#include "cpu/system/segment.h"

/* --- Segment registers ------------------------------------------------------------------------ */

void exec_mov_from_sreg(struct cpu *c, const struct insn *in)
{
    if (in->o[1].reg >= SEGS)
        cpu_raise_ud(c);
    operand_write(c, in, 0, c->arch.seg[in->o[1].reg].selector);
}

/* Loads a segment register. No event is taken between a load of SS and the next instruction, which
 * loads RSP [APM2 8.2.10]. */
static void load_with_shadow(struct cpu *c, enum segment_index seg, u16 selector)
{
    segment_load(c, seg, selector);
    if (seg == SEG_SS)
        c->arch.interrupt_shadow = true;
}

void exec_mov_to_sreg(struct cpu *c, const struct insn *in)
{
    u8 seg = in->o[0].reg;
    if (seg >= SEGS || seg == SEG_CS)
        cpu_raise_ud(c);
    load_with_shadow(c, seg, (u16)operand_read(c, in, 1));
}

void exec_push_sreg(struct cpu *c, const struct insn *in)
{
    stack_push(c, c->arch.seg[in->o[0].reg].selector, in->opsize);
}

void exec_pop_sreg(struct cpu *c, const struct insn *in)
{
    u16 selector = (u16)stack_peek(c, 0, in->opsize);
    u64 mask = c->engine.mode & MODE_CODE64    ? ~0ull
               : c->engine.mode & MODE_STACK32 ? 0xffffffffu
                                               : 0xffffu;
    u64 rsp = (c->arch.r[RSP] & ~mask) | ((c->arch.r[RSP] + in->opsize) & mask);
    load_with_shadow(c, in->o[0].reg, selector);
    c->arch.r[RSP] = rsp; /* by the size of the old stack */
}

void exec_lds(struct cpu *c, const struct insn *in)
{
    static const struct {
        u32 id;
        enum segment_index seg;
    } row[] = {{INSN_les, SEG_ES},
               {INSN_lds, SEG_DS},
               {INSN_lss, SEG_SS},
               {INSN_lfs, SEG_FS},
               {INSN_lgs, SEG_GS}};
    u8 bytes[10] = {0};
    load_bytes(c, operand_address(c, in, in->opsize + 2u, false), bytes, in->opsize + 2u);
    u64 offset = 0;
    memcpy(&offset, bytes, in->opsize);
    for (u32 i = 0; i < ARRAY_SIZE(row); i++)
        if (row[i].id == in->op->id)
            load_with_shadow(c, row[i].seg, load_le16(bytes + in->opsize));
    gpr_write(c, in->o[0].reg, in->opsize, offset);
}

/* --- GDTR and IDTR ---------------------------------------------------------------------------- */

static void store_table(struct cpu *c, const struct insn *in, const struct segment *table)
{
    u32 size = c->engine.mode & MODE_CODE64 ? 10 : 6;
    u8 bytes[10];
    store_le16(bytes, (u16)table->limit);
    store_le64(bytes + 2, table->base);
    store_bytes(c, operand_address(c, in, size, true), bytes, size);
}

static void load_table(struct cpu *c, const struct insn *in, struct segment *table)
{
    u32 size = c->engine.mode & MODE_CODE64 ? 10 : 6;
    u8 bytes[10] = {0};
    load_bytes(c, operand_address(c, in, size, false), bytes, size);
    u64 base = load_le64(bytes + 2);
    if (size == 6 && in->opsize == 2)
        base &= 0xffffff;
    if (!canonical(base))
        cpu_raise_gp(c, 0);
    table->limit = load_le16(bytes);
    table->base = base;
}

void exec_sgdt(struct cpu *c, const struct insn *in)
{
    store_table(c, in, &c->arch.gdtr);
}

void exec_sidt(struct cpu *c, const struct insn *in)
{
    store_table(c, in, &c->arch.idtr);
}

void exec_lgdt(struct cpu *c, const struct insn *in)
{
    load_table(c, in, &c->arch.gdtr);
}

void exec_lidt(struct cpu *c, const struct insn *in)
{
    load_table(c, in, &c->arch.idtr);
}

/* --- LDTR and TR ------------------------------------------------------------------------------ */

void exec_sldt(struct cpu *c, const struct insn *in)
{
    operand_write(c, in, 0, c->arch.ldtr.selector);
}

void exec_str(struct cpu *c, const struct insn *in)
{
    operand_write(c, in, 0, c->arch.tr.selector);
}

/* Returns a system segment: it must be in the GDT, of one of the types, present, and have a 64-bit
 * base in long mode. */
static struct descriptor system_descriptor(struct cpu *c, u16 selector, u32 types,
                                           struct segment *s)
{
    if (selector & SELECTOR_TI)
        cpu_raise_gp(c, selector_error(selector));
    struct descriptor d = descriptor_get(c, selector, VECTOR_GP, 0);
    if (!RAW_SYSTEM(d.raw) || !(types & BIT(RAW_TYPE(d.raw))))
        cpu_raise_gp(c, selector_error(selector));
    *s = segment_of(&d);
    if (long_mode(c)) {
        s->base |= descriptor_upper(c, &d) << 32;
        if (!canonical(s->base))
            cpu_raise_gp(c, selector_error(selector));
    }
    if (!RAW_PRESENT(d.raw))
        cpu_raise(c, VECTOR_NP, selector_error(selector));
    return d;
}

void exec_lldt(struct cpu *c, const struct insn *in)
{
    u16 selector = (u16)operand_read(c, in, 0);
    struct segment s = {.selector = selector};
    if (!selector_null(selector))
        system_descriptor(c, selector, BIT(SYSTEM_LDT), &s);
    c->arch.ldtr = s;
}

void exec_ltr(struct cpu *c, const struct insn *in)
{
    u16 selector = (u16)operand_read(c, in, 0);
    if (selector_null(selector))
        cpu_raise_gp(c, 0);
    u32 types = BIT(SYSTEM_TSS) | (long_mode(c) ? 0 : BIT(SYSTEM_TSS16));
    struct segment s;
    struct descriptor d = system_descriptor(c, selector, types, &s);
    store_system(c, d.linear + 5, 1, (d.raw | RAW_BUSY) >> 40 & 0xff);
    s.attributes |= BIT(1); /* busy */
    c->arch.tr = s;
}

/* --- Questions about a selector --------------------------------------------------------------- */

static void set_zf(struct cpu *c, bool set)
{
    flags_set(c, (flags_get(c) & ~RFLAGS_ZF) | (set ? RFLAGS_ZF : 0));
}

static bool privilege_permits(const struct cpu *c, const struct descriptor *d)
{
    bool conforming_code = !RAW_SYSTEM(d->raw) && d->raw & BIT(43) && RAW_CONFORMING(d->raw);
    u32 dpl = RAW_DPL(d->raw);
    return conforming_code || (dpl >= c->arch.cpl && dpl >= (d->selector & SELECTOR_RPL));
}

static bool ask(struct cpu *c, u16 selector, u32 system_types, struct descriptor *d)
{
    if (selector_null(selector) || !descriptor_find(c, selector, d))
        return false;
    if (RAW_SYSTEM(d->raw) && !(system_types & BIT(RAW_TYPE(d->raw))))
        return false;
    return privilege_permits(c, d);
}

void exec_lar(struct cpu *c, const struct insn *in)
{
    u32 types = BIT(SYSTEM_LDT) | BIT(SYSTEM_TSS) | BIT(SYSTEM_TSS_BUSY) | BIT(SYSTEM_CALL);
    if (!long_mode(c))
        types |= BIT(SYSTEM_TSS16) | BIT(SYSTEM_TSS16_BUSY) | BIT(SYSTEM_CALL16) | BIT(SYSTEM_TASK);
    struct descriptor d;
    bool valid = ask(c, (u16)operand_read(c, in, 1), types, &d);
    set_zf(c, valid);
    if (valid)
        gpr_write(c, in->o[0].reg, in->opsize, BITS(d.raw, 55, 40) << 8);
}

void exec_lsl(struct cpu *c, const struct insn *in)
{
    u32 types = BIT(SYSTEM_LDT) | BIT(SYSTEM_TSS) | BIT(SYSTEM_TSS_BUSY);
    if (!long_mode(c))
        types |= BIT(SYSTEM_TSS16) | BIT(SYSTEM_TSS16_BUSY);
    struct descriptor d;
    bool valid = ask(c, (u16)operand_read(c, in, 1), types, &d);
    set_zf(c, valid);
    if (valid)
        gpr_write(c, in->o[0].reg, in->opsize, segment_of(&d).limit);
}

void exec_verr(struct cpu *c, const struct insn *in)
{
    struct descriptor d;
    bool valid = ask(c, (u16)operand_read(c, in, 0), 0, &d);
    set_zf(c, valid && (!(d.raw & BIT(43)) || d.raw & BIT(41)));
}

void exec_verw(struct cpu *c, const struct insn *in)
{
    struct descriptor d;
    bool valid = ask(c, (u16)operand_read(c, in, 0), 0, &d);
    set_zf(c, valid && !(d.raw & BIT(43)) && d.raw & BIT(41));
}

void exec_arpl(struct cpu *c, const struct insn *in)
{
    u64 target = operand_read(c, in, 0);
    u64 rpl = operand_read(c, in, 1) & SELECTOR_RPL;
    bool raise = (target & SELECTOR_RPL) < rpl;
    if (raise)
        operand_write(c, in, 0, (target & ~3ull) | rpl);
    set_zf(c, raise);
}
