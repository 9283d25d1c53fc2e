/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hardware task switches of legacy mode [APM2 12.3]: by JMP and CALL to a TSS or a task gate, by an
 * event through a task gate, and by IRET with NT set.
 *
 * A switch has two halves. outgoing() and incoming_tss() check everything that can be checked under
 * the old task and change nothing, so a fault belongs to the old task. enter() then loads the new
 * task, and a fault belongs to that one: its RIP is the new task's first instruction. A nested page
 * fault in the second half must still leave the guest before the instruction, because the host
 * runs the instruction again: task_switch() catches it and takes everything back.
 */
#include "cpu/system/segment.h"

/* Offsets in a TSS, and the size of its fields [APM2 12.2.4]. */
struct tss_layout {
    u32 limit;                          /* the smallest one */
    u32 cr3;                            /* 0: none */
    u32 ip, flags, gprs, segments, ldt; /* eight general registers; ES, CS, SS, DS, FS, GS */
    u32 size, segment_size, segment_count;
};

static const struct tss_layout layout_16 = {
    .limit = 0x2b,
    .ip = 0xe,
    .flags = 0x10,
    .gprs = 0x12,
    .segments = 0x22,
    .ldt = 0x2a,
    .size = 2,
    .segment_size = 2,
    .segment_count = 4,
};
static const struct tss_layout layout_32 = {
    .limit = 0x67,
    .cr3 = 0x1c,
    .ip = 0x20,
    .flags = 0x24,
    .gprs = 0x28,
    .segments = 0x48,
    .ldt = 0x60,
    .size = 4,
    .segment_size = 4,
    .segment_count = 6,
};

#define TSS_BYTES 0x68u
#define TSS_T     0x64u  /* bit 0: trap after the switch; 32-bit TSS only */
#define TSS_WIDE  BIT(3) /* in a TSS descriptor's type */

struct task {
    enum task_switch_source source;
    u32 ext;
    bool has_error;
    u32 error;
    u64 return_rip, saved_flags;
    struct descriptor descriptor; /* of the incoming TSS */
    u8 image[TSS_BYTES];          /* the incoming TSS */
    const struct tss_layout *layout;
    u64 old_linear; /* the outgoing TSS's type byte in the GDT; 0: it stays as it is */
    u8 old_type;
};

static const struct tss_layout *layout_of(u64 type)
{
    return type & TSS_WIDE ? &layout_32 : &layout_16;
}

static bool nests(const struct task *t)
{
    return t->source == TASK_CALL || t->source == TASK_GATE;
}

/* --- Under the old task ----------------------------------------------------------------------- */

static void check_incoming(struct cpu *c, struct task *t, u16 selector)
{
    const bool back = t->source == TASK_IRET;
    const u8 vector = back ? VECTOR_TS : VECTOR_GP;
    const u32 error = selector_error(selector) | t->ext;
    const u32 types =
        back ? BIT(SYSTEM_TSS_BUSY) | BIT(SYSTEM_TSS16_BUSY) : BIT(SYSTEM_TSS) | BIT(SYSTEM_TSS16);
    if (selector_null(selector) || selector & SELECTOR_TI)
        cpu_raise(c, vector, error);
    t->descriptor = descriptor_get(c, selector, vector, t->ext);
    u64 raw = t->descriptor.raw;
    if (!RAW_SYSTEM(raw) || !(types & BIT(RAW_TYPE(raw))))
        cpu_raise(c, vector, error);
    if (!RAW_PRESENT(raw))
        cpu_raise(c, VECTOR_NP, error);
    t->layout = layout_of(RAW_TYPE(raw));
    if (segment_of(&t->descriptor).limit < t->layout->limit)
        cpu_raise(c, VECTOR_TS, error);
}

/* [APM2 15.14.5; cpu 3.5]: after the checks of the incoming TSS, before any change. */
static void check_intercept(struct cpu *c, const struct task *t)
{
    u64 info = (t->source == TASK_IRET ? BIT(36) : 0) | (t->source == TASK_JMP ? BIT(38) : 0) |
               (t->has_error ? BIT(44) | t->error : 0) | (t->saved_flags & RFLAGS_RF ? BIT(48) : 0);
    if (intercepts(c, EXIT_TASK_SWITCH))
        cpu_exit(c, EXIT_TASK_SWITCH, t->descriptor.selector, info);
}

static u64 tss_linear(const struct segment *tss, u32 offset)
{
    return (u32)(tss->base + offset);
}

/* Checks that the outgoing TSS takes the registers, and finds its descriptor if the task ends. */
static void check_outgoing(struct cpu *c, struct task *t)
{
    const struct segment *tr = &c->arch.tr;
    const struct tss_layout *l = layout_of(tr->attributes);
    u32 end = l->segments + l->segment_count * l->segment_size;
    if (tr->limit < end - 1)
        cpu_raise(c, VECTOR_TS, selector_error(tr->selector) | t->ext);
    probe_write_system(c, tss_linear(tr, l->ip), end - l->ip);
    if (nests(t) || selector_null(tr->selector))
        return;
    t->old_linear = (u32)(c->arch.gdtr.base + selector_error(tr->selector) + 5);
    probe_write_system(c, t->old_linear, 1);
    t->old_type = (u8)load_system(c, t->old_linear, 1);
}

static void probe_incoming(struct cpu *c, const struct task *t)
{
    struct segment tss = segment_of(&t->descriptor);
    for (u32 i = 0; i <= t->layout->limit; i += 4)
        load_system(c, tss_linear(&tss, i), 4);
    if (nests(t))
        probe_write_system(c, tss_linear(&tss, 0), 2);
    if (t->source != TASK_IRET)
        probe_write_system(c, t->descriptor.linear + 5, 1);
}

/* Writes the old task's registers to its TSS. Their reserved upper halves stay. */
static void save_outgoing(struct cpu *c, const struct task *t)
{
    const struct segment *tr = &c->arch.tr;
    const struct tss_layout *l = layout_of(tr->attributes);
    store_system(c, tss_linear(tr, l->ip), l->size, t->return_rip);
    store_system(c, tss_linear(tr, l->flags), l->size, t->saved_flags);
    for (u32 i = 0; i < 8; i++)
        store_system(c, tss_linear(tr, l->gprs + i * l->size), l->size, c->arch.r[i]);
    for (u32 i = 0; i < l->segment_count; i++)
        store_system(c, tss_linear(tr, l->segments + i * l->segment_size), 2,
                     c->arch.seg[i].selector);
}

/* Reads the incoming TSS, after the outgoing one is saved: they may be one. */
static void read_incoming(struct cpu *c, struct task *t)
{
    struct segment tss = segment_of(&t->descriptor);
    if (nests(t))
        store_system(c, tss_linear(&tss, 0), 2, c->arch.tr.selector);
    for (u32 i = 0; i <= t->layout->limit; i += 4)
        store_le32(t->image + i, (u32)load_system(c, tss_linear(&tss, i), 4));
}

/* Changes the busy bits in the GDT: JMP and IRET end the old task, all but IRET begin a new one. */
static void mark_busy(struct cpu *c, const struct task *t)
{
    if (t->old_linear)
        store_system(c, t->old_linear, 1, t->old_type & ~BIT(1));
    if (t->source != TASK_IRET)
        store_system(c, t->descriptor.linear + 5, 1, (t->descriptor.raw | RAW_BUSY) >> 40 & 0xff);
}

static void unmark_busy(struct cpu *c, const struct task *t)
{
    if (t->source != TASK_IRET)
        store_system(c, t->descriptor.linear + 5, 1, t->descriptor.raw >> 40 & 0xff);
    if (t->old_linear)
        store_system(c, t->old_linear, 1, t->old_type);
}

/* --- Under the new task ----------------------------------------------------------------------- */

static u32 field(const struct task *t, u32 offset)
{
    return t->layout->size == 4 ? load_le32(t->image + offset) : load_le16(t->image + offset);
}

static u16 selector_field(const struct task *t, u32 seg)
{
    if (seg >= t->layout->segment_count) /* FS and GS of a 16-bit TSS */
        return 0;
    return load_le16(t->image + t->layout->segments + seg * t->layout->segment_size);
}

static void load_registers(struct cpu *c, const struct task *t)
{
    const struct tss_layout *l = t->layout;
    c->arch.tr = segment_of(&t->descriptor);
    c->arch.tr.attributes |= (u16)(RAW_BUSY >> 40);
    c->arch.cr0 |= CR0_TS;
    if (l->cr3 && c->arch.cr0 & CR0_PG) {
        c->arch.cr3 = load_le32(t->image + l->cr3);
        mmu_flush(c, false);
    }
    c->arch.rip = c->engine.insn_rip = field(t, l->ip);
    for (u32 i = 0; i < 8; i++)
        c->arch.r[i] = field(t, l->gprs + i * l->size);
    for (u32 i = 0; i < SEGS; i++)
        c->arch.seg[i] = (struct segment){.selector = selector_field(t, i)};
    c->arch.ldtr = (struct segment){.selector = load_le16(t->image + l->ldt)};
    u64 flags = field(t, l->flags) | (nests(t) ? RFLAGS_NT : 0);
    rflags_write(c, flags, RFLAGS_DEFINED);
    c->arch.cpl = flags & RFLAGS_VM ? 3 : c->arch.seg[SEG_CS].selector & SELECTOR_RPL;
    cpu_update_mode(c);
}

static void load_ldt(struct cpu *c, const struct task *t)
{
    u16 selector = c->arch.ldtr.selector;
    if (selector_null(selector))
        return;
    const u32 error = selector_error(selector) | t->ext;
    if (selector & SELECTOR_TI)
        cpu_raise(c, VECTOR_TS, error);
    struct descriptor d = descriptor_get(c, selector, VECTOR_TS, t->ext);
    if (!RAW_SYSTEM(d.raw) || RAW_TYPE(d.raw) != SYSTEM_LDT || !RAW_PRESENT(d.raw))
        cpu_raise(c, VECTOR_TS, error);
    c->arch.ldtr = segment_of(&d);
}

static void load_code(struct cpu *c, const struct task *t)
{
    u16 selector = c->arch.seg[SEG_CS].selector;
    const u32 error = selector_error(selector) | t->ext, rpl = selector & SELECTOR_RPL;
    if (selector_null(selector))
        cpu_raise(c, VECTOR_TS, error);
    struct descriptor d = descriptor_get(c, selector, VECTOR_TS, t->ext);
    u32 dpl = RAW_DPL(d.raw);
    if (RAW_SYSTEM(d.raw) || !(d.raw & BIT(43)) || (RAW_CONFORMING(d.raw) ? dpl > rpl : dpl != rpl))
        cpu_raise(c, VECTOR_TS, error);
    code_check_present(c, &d, t->ext);
    code_load(c, &d, rpl);
}

static void load_segments(struct cpu *c, const struct task *t)
{
    static const enum segment_index data[] = {SEG_DS, SEG_ES, SEG_FS, SEG_GS};
    if (c->engine.mode & MODE_V86) {
        for (u32 i = 0; i < SEGS; i++)
            if (i != SEG_CS)
                segment_load_real(c, (enum segment_index)i, c->arch.seg[i].selector);
        code_load_real(c, c->arch.seg[SEG_CS].selector);
        return;
    }
    load_code(c, t);
    c->arch.seg[SEG_SS] =
        stack_segment_check(c, c->arch.seg[SEG_SS].selector, c->arch.cpl, VECTOR_TS, t->ext);
    for (u32 i = 0; i < ARRAY_SIZE(data); i++)
        c->arch.seg[data[i]] =
            data_segment_check(c, c->arch.seg[data[i]].selector, VECTOR_TS, t->ext);
    cpu_update_mode(c);
}

static void push_error(struct cpu *c, const struct task *t)
{
    struct stack s = stack_current(c);
    s.error = t->ext;
    stack_room(c, &s, t->layout->size);
    stack_put(c, &s, t->error, t->layout->size);
    c->arch.r[RSP] = s.sp;
}

static void enter(struct cpu *c, const struct task *t)
{
    load_registers(c, t);
    load_ldt(c, t);
    load_segments(c, t);
    if (t->has_error)
        push_error(c, t);
}

/* What enter() changes. */
struct before {
    struct arch arch;
    struct lazy_flags flags;
    u64 insn_rip;
};

static void take_back(struct cpu *c, const struct task *t, const struct before *b)
{
    bool moved = c->arch.cr3 != b->arch.cr3;
    c->arch = b->arch;
    c->arch.rip = c->engine.insn_rip = b->insn_rip;
    c->engine.flags = b->flags;
    c->engine.device.rip = b->insn_rip; /* whose the host's answers are */
    cpu_update_mode(c);
    if (moved)
        mmu_flush(c, false);
    unmark_busy(c, t);
}

/* Enters the task. Takes everything back if a #VMEXIT ends the attempt. */
static void enter_or_take_back(struct cpu *c, const struct task *t)
{
    const struct before before = {c->arch, c->engine.flags, c->engine.insn_rip};
    jmp_buf here;
    jmp_buf *const outer = c->engine.leave;
    mark_busy(c, t);
    c->engine.leave = &here;
    int how = setjmp(here);
    if (!how)
        enter(c, t);
    c->engine.leave = outer;
    if (how == LEAVE_EXIT)
        take_back(c, t, &before);
    if (how)
        longjmp(*outer, how);
}

/* The local breakpoints were the old task's [APM2 13.1.1]. */
static void forget_local_breakpoints(struct cpu *c)
{
    if (!(c->arch.dr7 & DR7_LOCAL))
        return;
    c->arch.dr7 &= ~DR7_LOCAL;
    debug_update(c);
}

void task_switch(struct cpu *c, u16 selector, enum task_switch_source source,
                 const struct task_event *event)
{
    struct task t = {.source = source,
                     .return_rip = c->arch.rip,
                     .saved_flags = rflags_read(c) & ~(source == TASK_IRET ? RFLAGS_NT : 0)};
    if (event) {
        t.ext = event->ext;
        t.has_error = event->has_error;
        t.error = event->error;
        t.return_rip = event->return_rip;
        t.saved_flags |= event->fault ? RFLAGS_RF : 0;
    }
    check_incoming(c, &t, selector);
    check_intercept(c, &t);
    check_outgoing(c, &t);
    probe_incoming(c, &t);
    save_outgoing(c, &t);
    read_incoming(c, &t);
    enter_or_take_back(c, &t);
    c->guest.exit_int_info = 0; /* the event is delivered */
    c->engine.no_step_trap = true;
    forget_local_breakpoints(c);
    if (t.layout == &layout_32 && t.image[TSS_T] & 1)
        event_debug_trap(c, DR6_BT);
}

void task_return(struct cpu *c)
{
    const struct segment *tr = &c->arch.tr;
    if (tr->limit < 1)
        cpu_raise(c, VECTOR_TS, selector_error(tr->selector));
    task_switch(c, (u16)load_system(c, tss_linear(tr, 0), 2), TASK_IRET, NULL);
}
