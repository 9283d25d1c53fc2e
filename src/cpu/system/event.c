/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exceptions and interrupts [APM2 8, 15.12-15.21]: from a vector to the first instruction of its
 * handler, in real, protected and long mode; double faults and shutdown; events injected by the
 * hypervisor and virtual interrupts.
 *
 * While an event is being delivered, exit_int_info names it, for any exception or #VMEXIT that
 * occurs meanwhile.
 */
#include "cpu/system/segment.h"

struct event {
    u8 vector;
    u32 type; /* EVENT_INTR, ... */
    bool has_error;
    bool asked_for; /* by INT n, INT3 or INTO: the gate must allow the program's privilege */
    u32 error;
    u64 return_rip;
};

static u64 event_info(const struct event *e)
{
    return EVENT_VALID | e->vector | (u64)e->type << EVENT_TYPE_SHIFT |
           (e->has_error ? EVENT_ERROR_CODE | (u64)e->error << 32 : 0);
}

/* Returns the EXT bit of an error code: the fault came during the delivery of an event from outside
 * of the processor [APM2 8.4.1]. Intel's processors set it during exceptions, too; KVM's
 * nested_exceptions_test knows both. */
static u32 ext_bit(const struct event *e)
{
    return e->type == EVENT_INTR || e->type == EVENT_NMI;
}

static u32 idt_error(const struct event *e)
{
    return e->vector * 8u + 2 + ext_bit(e);
}

static bool pushes_error(u8 vector)
{
    return BIT(vector) &
           (BIT(VECTOR_DF) | BIT(VECTOR_TS) | BIT(VECTOR_NP) | BIT(VECTOR_SS) | BIT(VECTOR_GP) |
            BIT(VECTOR_PF) | BIT(VECTOR_AC) | BIT(VECTOR_VC) | BIT(VECTOR_SX));
}

/* --- Real mode -------------------------------------------------------------------------------- */

static void deliver_real(struct cpu *c, const struct event *e)
{
    if (e->vector * 4u + 3 > c->arch.idtr.limit)
        cpu_raise_gp(c, idt_error(e));
    u32 entry = (u32)load_system(c, (u32)(c->arch.idtr.base + e->vector * 4u), 4);
    struct stack s = stack_current(c);
    s.flat = false;
    stack_room(c, &s, 6);
    stack_put(c, &s, rflags_read(c), 2);
    stack_put(c, &s, c->arch.seg[SEG_CS].selector, 2);
    stack_put(c, &s, e->return_rip, 2);
    stack_enter(c, &s);
    rflags_write(c, 0, RFLAGS_IF | RFLAGS_TF | RFLAGS_AC | RFLAGS_RF);
    c->arch.rip = entry & 0xffff;
    code_load_real(c, (u16)(entry >> 16));
}

/* --- Protected and long mode ------------------------------------------------------------------ */

struct gate {
    enum system_type type;
    u32 dpl, ist;
    u16 selector;
    u64 offset;
};

/* Returns the gate of a vector [APM2 4.7.4, 4.8.4], after the checks that come before those of its
 * target. */
static struct gate gate_read(struct cpu *c, const struct event *e)
{
    u32 size = long_mode(c) ? 16 : 8;
    if (e->vector * size + size - 1 > c->arch.idtr.limit)
        cpu_raise_gp(c, idt_error(e));
    u64 linear = c->arch.idtr.base + e->vector * size;
    u64 raw = load_system(c, long_mode(c) ? linear : (u32)linear, 8);
    struct gate g = {
        .type = RAW_TYPE(raw),
        .dpl = RAW_DPL(raw),
        .selector = (u16)BITS(raw, 31, 16),
        .offset = BITS(raw, 15, 0) | BITS(raw, 63, 48) << 16,
    };
    if (long_mode(c)) {
        g.ist = (u32)BITS(raw, 34, 32);
        g.offset |= load_system(c, linear + 8, 4) << 32;
    }
    bool wide = g.type == SYSTEM_INTERRUPT || g.type == SYSTEM_TRAP;
    bool narrow = g.type == SYSTEM_INTERRUPT16 || g.type == SYSTEM_TRAP16 || g.type == SYSTEM_TASK;
    if (!RAW_SYSTEM(raw) || !(wide || (narrow && !long_mode(c))))
        cpu_raise_gp(c, idt_error(e));
    if (e->asked_for && g.dpl < c->arch.cpl)
        cpu_raise_gp(c, idt_error(e));
    if (!RAW_PRESENT(raw))
        cpu_raise(c, VECTOR_NP, idt_error(e));
    if (!long_mode(c) && (g.type == SYSTEM_INTERRUPT16 || g.type == SYSTEM_TRAP16))
        g.offset &= 0xffff;
    return g;
}

static struct descriptor gate_target(struct cpu *c, const struct gate *g, u32 ext, u32 *cpl)
{
    if (selector_null(g->selector))
        cpu_raise_gp(c, ext);
    struct descriptor d = descriptor_get(c, g->selector, VECTOR_GP, ext);
    code_check(c, &d, ext);
    u32 dpl = RAW_DPL(d.raw);
    bool code64 = d.raw & BIT(53);
    if (dpl > c->arch.cpl || (long_mode(c) && !code64))
        cpu_raise_gp(c, selector_error(g->selector) | ext);
    *cpl = RAW_CONFORMING(d.raw) ? c->arch.cpl : dpl;
    if (c->engine.mode & MODE_V86 && *cpl != 0)
        cpu_raise_gp(c, selector_error(g->selector) | ext);
    code_check_present(c, &d, ext);
    code_check_offset(c, &d, g->offset);
    return d;
}

static struct stack gate_stack(struct cpu *c, const struct gate *g, u32 cpl, u32 ext)
{
    struct stack s;
    if (!long_mode(c)) {
        s = cpl < c->arch.cpl ? stack_inner(c, cpl, ext) : stack_current(c);
        return s;
    }
    if (g->ist) {
        u32 offset = 0x24 + 8 * (g->ist - 1);
        if (offset + 7 > c->arch.tr.limit)
            cpu_raise(c, VECTOR_TS, selector_error(c->arch.tr.selector) | ext);
        s = (struct stack){.sp = load_system(c, c->arch.tr.base + offset, 8)};
        s.ss = cpl < c->arch.cpl ? stack_segment_null(cpl) : c->arch.seg[SEG_SS];
    } else if (cpl < c->arch.cpl) {
        s = stack_inner(c, cpl, ext);
    } else {
        s = stack_current(c);
    }
    s.flat = true;
    s.system = cpl != 3;
    s.error = ext;
    s.sp &= ~15ull;
    return s;
}

static void push_frame(struct cpu *c, struct stack *s, const struct event *e, u64 rflags, u32 size,
                       bool inner)
{
    bool v86 = c->engine.mode & MODE_V86;
    u32 words = 3 + 2u * inner + 4u * v86 + e->has_error;
    stack_room(c, s, words * size);
    if (v86) {
        stack_put(c, s, c->arch.seg[SEG_GS].selector, size);
        stack_put(c, s, c->arch.seg[SEG_FS].selector, size);
        stack_put(c, s, c->arch.seg[SEG_DS].selector, size);
        stack_put(c, s, c->arch.seg[SEG_ES].selector, size);
    }
    if (inner) {
        stack_put(c, s, c->arch.seg[SEG_SS].selector, size);
        stack_put(c, s, c->arch.r[RSP], size);
    }
    stack_put(c, s, rflags, size);
    stack_put(c, s, c->arch.seg[SEG_CS].selector, size);
    stack_put(c, s, e->return_rip, size);
    if (e->has_error)
        stack_put(c, s, e->error, size);
}

/* Returns true if the image of RFLAGS has RF set: the instruction continues without hitting its
 * breakpoint again. */
static bool is_fault(const struct event *e)
{
    return e->type == EVENT_EXCEPTION &&
           BIT(e->vector) & ~(BIT(VECTOR_DB) | BIT(VECTOR_BP) | BIT(VECTOR_OF));
}

static void deliver_to_task(struct cpu *c, const struct event *e, u16 selector)
{
    const struct task_event event = {.ext = ext_bit(e),
                                     .fault = is_fault(e),
                                     .has_error = e->has_error,
                                     .error = e->error,
                                     .return_rip = e->return_rip};
    task_switch(c, selector, TASK_GATE, &event);
}

static void deliver_protected(struct cpu *c, const struct event *e)
{
    u32 ext = ext_bit(e);
    struct gate g = gate_read(c, e);
    if (g.type == SYSTEM_TASK) {
        deliver_to_task(c, e, g.selector);
        return;
    }
    u32 cpl;
    struct descriptor target = gate_target(c, &g, ext, &cpl);
    struct stack s = gate_stack(c, &g, cpl, ext);
    bool inner = cpl < c->arch.cpl;
    u32 size = long_mode(c) ? 8 : g.type >= SYSTEM_INTERRUPT ? 4 : 2;
    u64 rflags = rflags_read(c) | (is_fault(e) ? RFLAGS_RF : 0);
    push_frame(c, &s, e, rflags, size, inner || long_mode(c));
    descriptor_touch(c, &target);

    bool v86 = c->engine.mode & MODE_V86;
    bool masks = g.type == SYSTEM_INTERRUPT || g.type == SYSTEM_INTERRUPT16;
    stack_enter(c, &s);
    if (v86)
        for (u32 i = 0; i < SEGS; i++)
            if (i != SEG_CS && i != SEG_SS)
                c->arch.seg[i] = (struct segment){0};
    rflags_write(c, 0, RFLAGS_TF | RFLAGS_NT | RFLAGS_VM | RFLAGS_RF | (masks ? RFLAGS_IF : 0));
    c->arch.rip = g.offset;
    target.raw |= BIT(40);
    code_load(c, &target, cpl);
}

/* Delivers an event. The delivery takes time even if it fails: a handler that faults at once
 * retires nothing, and yet the deadline must come. */
static void deliver(struct cpu *c, const struct event *e)
{
    c->engine.left -= COST_EVENT_NS;
    c->engine.statistics.event_ns += COST_EVENT_NS;
    c->guest.exit_int_info = event_info(e);
    if (c->engine.mode & MODE_PE)
        deliver_protected(c, e);
    else
        deliver_real(c, e);
    c->guest.exit_int_info = 0;
    c->arch.interrupt_shadow = false;
    c->engine.no_step_trap = true;
    if (UNLIKELY(c->arch.debugctl & DEBUGCTL_LBR))
        branch_record_event(c, c->engine.insn_rip);
}

/* --- Exceptions ------------------------------------------------------------------------------- */

enum fault_class { BENIGN, CONTRIBUTORY, PAGE_FAULT };

static enum fault_class class_of(u8 vector)
{
    switch (vector) {
    case VECTOR_DE:
    case VECTOR_TS:
    case VECTOR_NP:
    case VECTOR_SS:
    case VECTOR_GP:
    case VECTOR_VC:
        return CONTRIBUTORY;
    case VECTOR_PF:
        return PAGE_FAULT;
    default:
        return BENIGN;
    }
}

/* Returns true if the second exception, raised while the first was delivered, makes a #DF [APM2
 * 8.2.9]. */
static bool makes_double_fault(u8 first, u8 second)
{
    if (class_of(first) == CONTRIBUTORY)
        return class_of(second) == CONTRIBUTORY;
    return class_of(first) == PAGE_FAULT && class_of(second) != BENIGN;
}

/* Intercepts an exception. The #VC that replaces an intercept in a SEV-ES guest replaces neither an
 * intercept of #VC itself nor one of the #DF that it may end in. */
static void intercept_exception(struct cpu *c, u8 vector, u32 error)
{
    if (c->guest.es && (vector == VECTOR_VC || vector == VECTOR_DF))
        return;
    if (intercepts(c, EXIT_EXCEPTION + vector))
        cpu_exit(c, EXIT_EXCEPTION + vector, pushes_error(vector) ? error : 0,
                 vector == VECTOR_PF ? c->engine.fault_linear : 0);
}

static void shutdown(struct cpu *c)
{
    c->guest.exit_int_info = 0;
    if (c->bare.wired && !intercepts(c, EXIT_SHUTDOWN))
        bare_stop(c, CPU_STOP_SHUTDOWN);
    cpu_exit(c, EXIT_SHUTDOWN, 0, 0); /* a core without the intercept would stop for good */
}

void event_deliver_exception(struct cpu *c, u8 vector, u32 error)
{
    u64 during = c->guest.exit_int_info;
    bool nested = during & EVENT_VALID && BITS(during, 10, 8) == EVENT_EXCEPTION;
    if (vector == VECTOR_DB)
        branch_debug_exception(c);
    intercept_exception(c, vector, error);
    if (nested && (during & EVENT_VECTOR) == VECTOR_DF)
        shutdown(c);
    if (vector == VECTOR_PF)
        c->arch.cr2 = c->engine.fault_linear;
    if (nested && makes_double_fault((u8)during, vector)) {
        vector = VECTOR_DF;
        error = 0;
        intercept_exception(c, vector, error);
    }
    c->engine.statistics.exceptions++;
    c->arch.rip = c->engine.insn_rip;
    deliver(c, &(struct event){.vector = vector,
                               .type = EVENT_EXCEPTION,
                               .has_error = c->engine.mode & MODE_PE && pushes_error(vector),
                               .error = error,
                               .return_rip = c->engine.insn_rip});
}

void event_debug_trap(struct cpu *c, u64 dr6)
{
    c->engine.insn_rip = c->arch.rip;
    /* DR6 changes before the intercept is checked, unlike CR2 [APM2 15.12.2]. */
    c->arch.dr6 = dr6 & DR6_B ? (c->arch.dr6 & ~DR6_B) | dr6 : c->arch.dr6 | dr6;
    c->arch.dr7 &= ~DR7_GD;
    event_deliver_exception(c, VECTOR_DB, 0);
}

/* --- Interrupts ------------------------------------------------------------------------------- */

void event_deliver_interrupt(struct cpu *c, u8 vector)
{
    c->engine.insn_rip = c->arch.rip;
    c->engine.statistics.interrupts++;
    deliver(c, &(struct event){.vector = vector, .type = EVENT_INTR, .return_rip = c->arch.rip});
}

void event_deliver_nmi(struct cpu *c)
{
    c->engine.insn_rip = c->arch.rip;
    c->engine.statistics.interrupts++;
    deliver(c, &(struct event){.vector = VECTOR_NMI, .type = EVENT_NMI, .return_rip = c->arch.rip});
}

void event_software_interrupt(struct cpu *c, u8 vector)
{
    bool v86 = c->engine.mode & MODE_V86;
    if (v86 && (c->arch.rflags & RFLAGS_IOPL) != RFLAGS_IOPL)
        cpu_raise_gp(c, 0);
    deliver(c, &(struct event){.vector = vector,
                               .type = EVENT_SOFTWARE,
                               .asked_for = true,
                               .return_rip = c->arch.rip});
}

/* INT3, INTO and INT1 raise exceptions of trap class. As for INT n, the gate must allow the
 * program's privilege. INT1 has its own intercept, not that of #DB [APM2 15.12.2]. */
void event_software_exception(struct cpu *c, u8 vector)
{
    if (vector != VECTOR_DB)
        intercept_exception(c, vector, 0);
    if (vector == VECTOR_DB) { /* the same #DB reports what a MOV SS before INT1 hit */
        c->arch.dr6 |= c->engine.watch_hits;
        c->engine.watch_hits = 0;
        branch_debug_exception(c);
    }
    c->engine.statistics.exceptions++;
    deliver(c, &(struct event){.vector = vector,
                               .type = EVENT_EXCEPTION,
                               .asked_for = vector != VECTOR_DB,
                               .return_rip = c->arch.rip});
}

/* Delivers EVENTINJ [APM2 15.20] without checking intercepts. #BP and #OF are delivered as INT3 and
 * INTO raise them. */
static void deliver_injected(struct cpu *c)
{
    u64 info = c->guest.control.event_inject;
    c->guest.control.event_inject = 0;
    c->engine.insn_rip = c->arch.rip;
    u32 type = (u32)BITS(info, 10, 8);
    bool behind = type == EVENT_SOFTWARE ||
                  (type == EVENT_EXCEPTION && ((u8)info == VECTOR_BP || (u8)info == VECTOR_OF));
    u64 return_rip = behind && c->guest.control.next_rip ? c->guest.control.next_rip : c->arch.rip;
    if (type == EVENT_NMI && c->guest.virtual_nmi)
        c->guest.control.v_intr |= (u32)V_INTR_NMI_MASK;
    if (type == EVENT_EXCEPTION)
        c->engine.statistics.exceptions++;
    else
        c->engine.statistics.interrupts++;
    deliver(c, &(struct event){.vector = type == EVENT_NMI ? VECTOR_NMI : (u8)info,
                               .type = type,
                               .asked_for = behind,
                               .has_error = info & EVENT_ERROR_CODE && c->engine.mode & MODE_PE,
                               .error = (u32)(info >> 32),
                               .return_rip = return_rip});
}

/* The guest's own GIF holds what the host injects virtually, as the processor's does. */
static bool virtual_events_open(const struct cpu *c)
{
    return c->arch.gif && !c->arch.interrupt_shadow &&
           (!c->guest.virtual_gif || c->guest.control.v_intr & V_INTR_GIF);
}

static bool virtual_interrupt(const struct cpu *c)
{
    u32 v = c->guest.control.v_intr;
    if (!(v & V_INTR_IRQ) || !(c->arch.rflags & RFLAGS_IF) || !virtual_events_open(c))
        return false;
    return v & V_INTR_IGNORE_TPR || BITS(v, 19, 16) > (v & 0xfu);
}

static bool virtual_nmi(const struct cpu *c)
{
    u32 v = c->guest.control.v_intr;
    return c->guest.virtual_nmi && v & V_INTR_NMI && !(v & V_INTR_NMI_MASK) &&
           virtual_events_open(c);
}

bool event_virtual(const struct cpu *c)
{
    return virtual_interrupt(c) || virtual_nmi(c);
}

bool event_pending(const struct cpu *c)
{
    return c->guest.control.event_inject & EVENT_VALID || c->engine.left <= 0 || event_virtual(c) ||
           bare_event_pending(c);
}

void event_take(struct cpu *c)
{
    c->engine.insn_rip = c->arch.rip;
    if (c->guest.control.event_inject & EVENT_VALID) {
        deliver_injected(c);
    } else if (c->engine.left <= 0) {
        if (c->bare.wired)
            bare_stop(c, CPU_STOP_TIME);
        cpu_exit(c, EXIT_INTR, 0, 0);
    } else if (bare_event_pending(c)) {
        bare_event_take(c);
    } else if (virtual_nmi(c)) {
        c->guest.control.v_intr &= ~(u32)V_INTR_NMI;
        c->guest.control.v_intr |= (u32)V_INTR_NMI_MASK;
        event_deliver_nmi(c);
    } else if (virtual_interrupt(c)) {
        intercept(c, EXIT_VINTR);
        c->guest.control.v_intr &= ~(u32)V_INTR_IRQ;
        event_deliver_interrupt(c, (u8)c->guest.control.v_intr_vector);
    }
}
