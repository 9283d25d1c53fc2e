/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segmentation [APM2 4]: linear addresses, descriptors, and loads of segment registers and of table
 * registers. Far transfers are in far.c, interrupts in event.c, task switches in task.c.
 */
#include "cpu/system/segment.h"

/* --- Linear addresses ------------------------------------------------------------------------- */

static void NORETURN raise_limit(struct cpu *c, enum segment_index seg)
{
    cpu_raise(c, seg == SEG_SS ? VECTOR_SS : VECTOR_GP, 0);
}

static bool type_permits(const struct segment *s, bool write)
{
    if (!(s->attributes & SEG_P) || !(s->attributes & SEG_S))
        return false;
    if (s->attributes & SEG_CODE)
        return !write && s->attributes & SEG_RW;
    return !write || s->attributes & SEG_RW;
}

static bool within_limit(const struct segment *s, u64 offset, u32 size)
{
    u64 last = offset + size - 1;
    bool down = (s->attributes & (SEG_S | SEG_CODE | SEG_DOWN)) == (SEG_S | SEG_DOWN);
    if (!down)
        return last <= s->limit;
    u64 top = s->attributes & SEG_DB ? 0xffffffffu : 0xffffu;
    return offset > s->limit && last <= top;
}

u64 linear_address(struct cpu *c, enum segment_index seg, u64 offset, u32 size, bool write)
{
    const struct segment *s = &c->arch.seg[seg];
    if (c->engine.mode & MODE_CODE64) {
        u64 linear = seg >= SEG_FS ? s->base + offset : offset;
        if (!canonical(linear) || !canonical(linear + size - 1))
            raise_limit(c, seg);
        return linear;
    }
    if (protected_mode(c) && !type_permits(s, write))
        raise_limit(c, seg);
    if (!within_limit(s, offset, size))
        raise_limit(c, seg);
    return (u32)(s->base + offset);
}

/* --- Descriptors ------------------------------------------------------------------------------ */

bool descriptor_find(struct cpu *c, u16 selector, struct descriptor *d)
{
    const struct segment *table = selector & SELECTOR_TI ? &c->arch.ldtr : &c->arch.gdtr;
    u32 offset = selector & ~7u;
    if (selector & SELECTOR_TI &&
        (selector_null(c->arch.ldtr.selector) || !(c->arch.ldtr.attributes & SEG_P)))
        return false;
    if (offset + 7 > table->limit)
        return false;
    u64 linear = table->base + offset;
    d->linear = long_mode(c) ? linear : (u32)linear;
    d->selector = selector;
    d->raw = load_system(c, d->linear, 8);
    return true;
}

struct descriptor descriptor_get(struct cpu *c, u16 selector, u8 vector, u32 ext)
{
    struct descriptor d;
    if (!descriptor_find(c, selector, &d))
        cpu_raise(c, vector, selector_error(selector) | ext);
    return d;
}

u64 descriptor_upper(struct cpu *c, const struct descriptor *d)
{
    const struct segment *table = d->selector & SELECTOR_TI ? &c->arch.ldtr : &c->arch.gdtr;
    if ((d->selector & ~7u) + 15 > table->limit)
        cpu_raise_gp(c, selector_error(d->selector));
    u64 upper = load_system(c, d->linear + 8, 8);
    if (BITS(upper, 44, 40))
        cpu_raise_gp(c, selector_error(d->selector));
    return upper;
}

void descriptor_touch(struct cpu *c, const struct descriptor *d)
{
    if (!(d->raw & BIT(40)))
        store_system(c, d->linear + 5, 1, (d->raw >> 40 & 0xff) | SEG_A);
}

struct segment segment_of(const struct descriptor *d)
{
    u64 raw = d->raw;
    struct segment s = {
        .selector = d->selector,
        .attributes = (u16)(BITS(raw, 47, 40) | BITS(raw, 55, 52) << 8),
        .limit = (u32)(BITS(raw, 15, 0) | BITS(raw, 51, 48) << 16),
        .base = BITS(raw, 39, 16) | BITS(raw, 63, 56) << 24,
    };
    if (s.attributes & SEG_G)
        s.limit = s.limit << 12 | 0xfff;
    if (s.attributes & SEG_S)
        s.attributes |= SEG_A;
    return s;
}

/* --- Segment registers ------------------------------------------------------------------------ */

struct segment segment_real(const struct segment *old, u16 selector)
{
    struct segment s = *old; /* limit and attributes stay: "unreal mode" */
    s.selector = selector;
    s.base = (u64)selector << 4;
    return s;
}

void segment_load_real(struct cpu *c, enum segment_index seg, u16 selector)
{
    c->arch.seg[seg] = segment_real(&c->arch.seg[seg], selector);
    if (c->engine.mode & MODE_V86) {
        c->arch.seg[seg].limit = 0xffff;
        c->arch.seg[seg].attributes = SEG_P | 3u << SEG_DPL_SHIFT | SEG_S | SEG_RW | SEG_A;
    }
}

struct segment stack_segment_null(u32 cpl)
{
    return (struct segment){.selector = (u16)cpl, .attributes = (u16)(cpl << SEG_DPL_SHIFT)};
}

static bool writable_data(u64 raw)
{
    return !RAW_SYSTEM(raw) && !(raw & BIT(43)) && raw & BIT(41);
}

struct segment stack_segment_check(struct cpu *c, u16 selector, u32 cpl, u8 vector, u32 ext)
{
    if (selector_null(selector))
        cpu_raise(c, vector, ext);
    struct descriptor d = descriptor_get(c, selector, vector, ext);
    if ((selector & SELECTOR_RPL) != cpl || RAW_DPL(d.raw) != cpl || !writable_data(d.raw))
        cpu_raise(c, vector, selector_error(selector) | ext);
    if (!RAW_PRESENT(d.raw))
        cpu_raise(c, VECTOR_SS, selector_error(selector) | ext);
    descriptor_touch(c, &d);
    return segment_of(&d);
}

static struct segment stack_segment_load(struct cpu *c, u16 selector)
{
    if (selector_null(selector) && c->engine.mode & MODE_CODE64 && c->arch.cpl != 3 &&
        (selector & SELECTOR_RPL) == c->arch.cpl)
        return stack_segment_null(c->arch.cpl);
    return stack_segment_check(c, selector, c->arch.cpl, VECTOR_GP, 0);
}

struct segment data_segment_check(struct cpu *c, u16 selector, u8 vector, u32 ext)
{
    if (selector_null(selector))
        return (struct segment){.selector = selector};
    struct descriptor d = descriptor_get(c, selector, vector, ext);
    bool code = d.raw & BIT(43);
    bool readable = !RAW_SYSTEM(d.raw) && (!code || d.raw & BIT(41));
    bool conforming = code && d.raw & BIT(42);
    u32 dpl = RAW_DPL(d.raw);
    if (!readable || (!conforming && ((selector & SELECTOR_RPL) > dpl || c->arch.cpl > dpl)))
        cpu_raise(c, vector, selector_error(selector) | ext);
    if (!RAW_PRESENT(d.raw))
        cpu_raise(c, VECTOR_NP, selector_error(selector) | ext);
    descriptor_touch(c, &d);
    return segment_of(&d);
}

void segment_load(struct cpu *c, enum segment_index seg, u16 selector)
{
    if (!protected_mode(c)) {
        segment_load_real(c, seg, selector);
    } else if (seg == SEG_SS) {
        c->arch.seg[seg] = stack_segment_load(c, selector);
    } else {
        c->arch.seg[seg] = data_segment_check(c, selector, VECTOR_GP, 0);
    }
    cpu_update_mode(c);
}

void segment_update(struct cpu *c)
{
    cpu_update_mode(c);
}

void segments_hide(struct cpu *c)
{
    static const enum segment_index data[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    for (u32 i = 0; i < ARRAY_SIZE(data); i++) {
        struct segment *s = &c->arch.seg[data[i]];
        bool conforming = (s->attributes & (SEG_CODE | SEG_DOWN)) == (SEG_CODE | SEG_DOWN);
        /* The base stays: FS and GS use it in 64-bit mode with any selector [APM2 4.5.3]. Null
         * selectors 1 to 3 become 0. */
        if (!(s->selector & ~3u))
            s->selector = 0;
        else if (SEG_DPL(s->attributes) < c->arch.cpl && !conforming)
            s->selector = s->attributes = 0;
    }
}

/* --- Stacks ----------------------------------------------------------------------------------- */

struct stack stack_current(const struct cpu *c)
{
    return (struct stack){.ss = c->arch.seg[SEG_SS],
                          .sp = c->arch.r[RSP],
                          .flat = c->engine.mode & MODE_CODE64,
                          .system = c->arch.cpl != 3};
}

static u64 tss_read(struct cpu *c, u32 offset, u32 size, u32 ext)
{
    if (offset + size - 1 > c->arch.tr.limit)
        cpu_raise(c, VECTOR_TS, selector_error(c->arch.tr.selector) | ext);
    u64 linear = c->arch.tr.base + offset;
    return load_system(c, long_mode(c) ? linear : (u32)linear, size);
}

struct stack stack_inner(struct cpu *c, u32 cpl, u32 ext)
{
    struct stack s = {.system = true};
    if (long_mode(c)) {
        s.flat = true;
        s.sp = tss_read(c, 4 + 8 * cpl, 8, ext);
        s.ss = stack_segment_null(cpl);
        return s;
    }
    bool wide = c->arch.tr.attributes & BIT(3); /* 32-bit TSS */
    u16 selector;
    if (wide) {
        s.sp = tss_read(c, 4 + 8 * cpl, 4, ext);
        selector = (u16)tss_read(c, 8 + 8 * cpl, 2, ext);
    } else {
        s.sp = tss_read(c, 2 + 4 * cpl, 2, ext);
        selector = (u16)tss_read(c, 4 + 4 * cpl, 2, ext);
    }
    s.ss = stack_segment_check(c, selector, cpl, VECTOR_TS, ext);
    s.error = selector_error(selector) | ext;
    return s;
}

static u64 stack_mask(const struct stack *s)
{
    return s->flat ? ~0ull : s->ss.attributes & SEG_DB ? 0xffffffffu : 0xffffu;
}

static u64 stack_linear(struct cpu *c, const struct stack *s, u64 sp, u32 bytes)
{
    if (s->flat) {
        if (!canonical(sp) || !canonical(sp + bytes - 1))
            cpu_raise(c, VECTOR_SS, s->error);
        return sp;
    }
    if (!within_limit(&s->ss, sp, bytes))
        cpu_raise(c, VECTOR_SS, s->error);
    return (u32)(s->ss.base + sp);
}

void stack_room(struct cpu *c, const struct stack *s, u32 bytes)
{
    u64 sp = (s->sp - bytes) & stack_mask(s);
    u64 linear = stack_linear(c, s, sp, bytes);
    if (s->system) {
        probe_write_system(c, linear, bytes);
        return;
    }
    /* The first and the last byte: each word pushed has its own alignment check. */
    probe_write(c, linear, 1);
    probe_write(c, s->flat ? linear + bytes - 1 : (u32)(linear + bytes - 1), 1);
}

void stack_put(struct cpu *c, struct stack *s, u64 value, u32 size)
{
    u64 mask = stack_mask(s);
    u64 sp = (s->sp - size) & mask;
    u64 linear = stack_linear(c, s, sp, size);
    if (s->system)
        store_system(c, linear, size, value);
    else
        store(c, linear, size, value);
    s->sp = (s->sp & ~mask) | sp;
}

void stack_enter(struct cpu *c, const struct stack *s)
{
    c->arch.seg[SEG_SS] = s->ss;
    c->arch.r[RSP] = s->sp;
}

/* --- Code segments ---------------------------------------------------------------------------- */

void code_check(struct cpu *c, const struct descriptor *d, u32 ext)
{
    u32 error = selector_error(d->selector) | ext;
    bool code = !RAW_SYSTEM(d->raw) && d->raw & BIT(43);
    bool both = d->raw & BIT(53) && d->raw & BIT(54); /* L and D */
    if (!code || (long_mode(c) && both))
        cpu_raise_gp(c, error);
}

void code_check_present(struct cpu *c, const struct descriptor *d, u32 ext)
{
    if (!RAW_PRESENT(d->raw))
        cpu_raise(c, VECTOR_NP, selector_error(d->selector) | ext);
}

void code_check_offset(struct cpu *c, const struct descriptor *d, u64 offset)
{
    struct segment s = segment_of(d);
    bool fits = long_mode(c) && s.attributes & SEG_L ? canonical(offset) : offset <= s.limit;
    if (!fits)
        cpu_raise_gp(c, 0);
}

void code_load(struct cpu *c, const struct descriptor *d, u32 cpl)
{
    descriptor_touch(c, d);
    c->arch.seg[SEG_CS] = segment_of(d);
    c->arch.seg[SEG_CS].selector = (u16)((d->selector & ~SELECTOR_RPL) | cpl);
    c->arch.cpl = cpl;
    cpu_update_mode(c);
}

void code_load_real(struct cpu *c, u16 selector)
{
    segment_load_real(c, SEG_CS, selector);
    if (c->engine.mode & MODE_V86)
        c->arch.seg[SEG_CS].attributes = SEG_P | 3u << SEG_DPL_SHIFT | SEG_S | SEG_RW | SEG_A;
    cpu_update_mode(c);
}
