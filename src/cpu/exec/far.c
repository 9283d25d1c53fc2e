/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transfers that load CS: far JMP, CALL and RET, call gates, IRET, INT n [APM2 4.9-4.11, 8.7, 8.9].
 * SYSCALL and similar instructions are in syscall.c.
 */
#include "cpu/system/segment.h"

/* --- Targets ---------------------------------------------------------------------------------- */

struct far_pointer {
    u16 selector;
    u64 offset;
};

static struct far_pointer far_operand(struct cpu *c, const struct insn *in)
{
    const struct operand *o = &in->o[0];
    if (o->kind != OPERAND_MEM)
        return (struct far_pointer){.offset = truncate(in->imm, in->opsize),
                                    .selector = (u16)in->imm2};
    u8 bytes[10] = {0};
    load_bytes(c, operand_address(c, in, in->opsize + 2u, false), bytes, in->opsize + 2u);
    struct far_pointer p = {.selector = load_le16(bytes + in->opsize)};
    memcpy(&p.offset, bytes, in->opsize);
    return p;
}

/* Checks a code segment that JMP or CALL names directly: it runs at the caller's privilege. */
static void direct_check(struct cpu *c, const struct descriptor *d)
{
    code_check(c, d, 0);
    u32 dpl = RAW_DPL(d->raw);
    bool fits = RAW_CONFORMING(d->raw)
                    ? dpl <= c->arch.cpl
                    : dpl == c->arch.cpl && (d->selector & SELECTOR_RPL) <= c->arch.cpl;
    if (!fits)
        cpu_raise_gp(c, selector_error(d->selector));
    code_check_present(c, d, 0);
}

struct call_gate {
    struct far_pointer target;
    u32 parameters, size;
};

static struct call_gate call_gate_read(struct cpu *c, const struct descriptor *d)
{
    u32 error = selector_error(d->selector);
    u32 dpl = RAW_DPL(d->raw);
    if (dpl < c->arch.cpl || dpl < (d->selector & SELECTOR_RPL))
        cpu_raise_gp(c, error);
    if (!RAW_PRESENT(d->raw))
        cpu_raise(c, VECTOR_NP, error);
    struct call_gate g = {
        .target = {.selector = (u16)BITS(d->raw, 31, 16),
                   .offset = BITS(d->raw, 15, 0) | BITS(d->raw, 63, 48) << 16},
        .parameters = (u32)BITS(d->raw, 36, 32),
        .size = RAW_TYPE(d->raw) == SYSTEM_CALL16 ? 2 : 4,
    };
    if (g.size == 2)
        g.target.offset &= 0xffff;
    if (long_mode(c)) {
        g.target.offset |= descriptor_upper(c, d) << 32;
        g.parameters = 0;
        g.size = 8;
    }
    return g;
}

static struct descriptor call_gate_target(struct cpu *c, const struct call_gate *g, bool jump,
                                          u32 *cpl)
{
    u32 error = selector_error(g->target.selector);
    if (selector_null(g->target.selector))
        cpu_raise_gp(c, 0);
    struct descriptor d = descriptor_get(c, g->target.selector, VECTOR_GP, 0);
    code_check(c, &d, 0);
    u32 dpl = RAW_DPL(d.raw);
    bool conforming = RAW_CONFORMING(d.raw);
    if (dpl > c->arch.cpl || (jump && !conforming && dpl != c->arch.cpl) ||
        (long_mode(c) && !(d.raw & BIT(53))))
        cpu_raise_gp(c, error);
    code_check_present(c, &d, 0);
    code_check_offset(c, &d, g->target.offset);
    *cpl = conforming ? c->arch.cpl : dpl;
    return d;
}

/* Copies the parameters of a call through a legacy gate to the inner stack. */
static void copy_parameters(struct cpu *c, struct stack *s, const struct call_gate *g)
{
    u64 values[31];
    for (u32 i = 0; i < g->parameters; i++)
        values[i] = stack_peek(c, (u64)i * g->size, g->size);
    for (u32 i = g->parameters; i-- > 0;)
        stack_put(c, s, values[i], g->size);
}

static void call_through_gate(struct cpu *c, const struct descriptor *gate)
{
    struct call_gate g = call_gate_read(c, gate);
    u32 cpl;
    struct descriptor d = call_gate_target(c, &g, false, &cpl);
    bool inner = cpl < c->arch.cpl;
    struct stack s = inner ? stack_inner(c, cpl, 0) : stack_current(c);
    s.flat = long_mode(c);
    u32 words = inner ? 4 + g.parameters : 2;
    if (inner)
        for (u32 i = 0; i < g.parameters; i++)
            stack_peek(c, (u64)i * g.size, g.size);
    stack_room(c, &s, words * g.size);
    descriptor_touch(c, &d);
    if (inner) {
        stack_put(c, &s, c->arch.seg[SEG_SS].selector, g.size);
        stack_put(c, &s, c->arch.r[RSP], g.size);
        copy_parameters(c, &s, &g);
    }
    stack_put(c, &s, c->arch.seg[SEG_CS].selector, g.size);
    stack_put(c, &s, c->arch.rip, g.size);
    stack_enter(c, &s);
    c->arch.rip = g.target.offset;
    code_load(c, &d, cpl);
}

static void jump_through_gate(struct cpu *c, const struct descriptor *gate)
{
    struct call_gate g = call_gate_read(c, gate);
    u32 cpl;
    struct descriptor d = call_gate_target(c, &g, true, &cpl);
    c->arch.rip = g.target.offset;
    code_load(c, &d, cpl);
}

/* Handles a selector of JMP or CALL that does not name a code segment. */
static void far_system(struct cpu *c, const struct descriptor *d, bool call)
{
    u64 type = RAW_TYPE(d->raw);
    if (type == SYSTEM_CALL || (type == SYSTEM_CALL16 && !long_mode(c))) {
        if (call)
            call_through_gate(c, d);
        else
            jump_through_gate(c, d);
        return;
    }
    bool gate = type == SYSTEM_TASK;
    u32 dpl = RAW_DPL(d->raw);
    if (long_mode(c) || !(gate || type == SYSTEM_TSS || type == SYSTEM_TSS16) ||
        dpl < c->arch.cpl || dpl < (d->selector & SELECTOR_RPL))
        cpu_raise_gp(c, selector_error(d->selector));
    if (gate && !RAW_PRESENT(d->raw))
        cpu_raise(c, VECTOR_NP, selector_error(d->selector));
    u16 tss = gate ? (u16)BITS(d->raw, 31, 16) : d->selector;
    task_switch(c, tss, call ? TASK_CALL : TASK_JMP, NULL);
}

static struct descriptor far_descriptor(struct cpu *c, const struct far_pointer *p)
{
    if (selector_null(p->selector))
        cpu_raise_gp(c, 0);
    return descriptor_get(c, p->selector, VECTOR_GP, 0);
}

static void check_real_offset(struct cpu *c, u64 offset)
{
    if (offset > c->arch.seg[SEG_CS].limit)
        cpu_raise_gp(c, 0);
}

void exec_jmp_far(struct cpu *c, const struct insn *in)
{
    struct far_pointer p = far_operand(c, in);
    if (!protected_mode(c)) {
        check_real_offset(c, p.offset);
        c->arch.rip = p.offset;
        code_load_real(c, p.selector);
        return;
    }
    struct descriptor d = far_descriptor(c, &p);
    if (RAW_SYSTEM(d.raw)) {
        far_system(c, &d, false);
        return;
    }
    direct_check(c, &d);
    code_check_offset(c, &d, p.offset);
    c->arch.rip = p.offset;
    code_load(c, &d, c->arch.cpl);
}

static void push_return(struct cpu *c, u32 size)
{
    struct stack s = stack_current(c);
    stack_room(c, &s, 2 * size);
    stack_put(c, &s, c->arch.seg[SEG_CS].selector, size);
    stack_put(c, &s, c->arch.rip, size);
    c->arch.r[RSP] = s.sp;
}

void exec_call_far(struct cpu *c, const struct insn *in)
{
    struct far_pointer p = far_operand(c, in);
    if (!protected_mode(c)) {
        check_real_offset(c, p.offset);
        push_return(c, in->opsize);
        c->arch.rip = p.offset;
        code_load_real(c, p.selector);
        return;
    }
    struct descriptor d = far_descriptor(c, &p);
    if (RAW_SYSTEM(d.raw)) {
        far_system(c, &d, true);
        return;
    }
    direct_check(c, &d);
    code_check_offset(c, &d, p.offset);
    descriptor_touch(c, &d);
    push_return(c, in->opsize);
    c->arch.rip = p.offset;
    code_load(c, &d, c->arch.cpl);
}

/* --- Returns ---------------------------------------------------------------------------------- */

/* Returns the code segment that a return goes to; its RPL is the privilege there. */
static struct descriptor return_target(struct cpu *c, const struct far_pointer *p)
{
    struct descriptor d = far_descriptor(c, p);
    u32 rpl = p->selector & SELECTOR_RPL;
    u32 dpl = RAW_DPL(d.raw);
    code_check(c, &d, 0);
    if (rpl < c->arch.cpl || (RAW_CONFORMING(d.raw) ? dpl > rpl : dpl != rpl))
        cpu_raise_gp(c, selector_error(p->selector));
    code_check_present(c, &d, 0);
    code_check_offset(c, &d, p->offset);
    return d;
}

static struct segment return_stack_segment(struct cpu *c, u16 selector, u32 cpl, bool code64)
{
    if (selector_null(selector) && code64 && cpl != 3)
        return stack_segment_null(cpl);
    return stack_segment_check(c, selector, cpl, VECTOR_GP, 0);
}

/* Returns the outer RSP: a 16-bit stack loads only SP, and keeps the rest of the register. */
static u64 outer_rsp(const struct cpu *c, const struct segment *ss, u64 sp, bool code64)
{
    if (code64)
        return sp;
    return ss->attributes & SEG_DB ? (u32)sp : (c->arch.r[RSP] & ~0xffffull) | (sp & 0xffff);
}

static void ret_far(struct cpu *c, u32 size, u64 release)
{
    struct far_pointer p = {.offset = stack_peek(c, 0, size),
                            .selector = (u16)stack_peek(c, size, size)};
    if (!protected_mode(c)) {
        check_real_offset(c, p.offset);
        c->arch.rip = p.offset;
        stack_adjust(c, (s64)(2 * size + release));
        code_load_real(c, p.selector);
        return;
    }
    struct descriptor d = return_target(c, &p);
    u32 cpl = p.selector & SELECTOR_RPL;
    bool code64 = long_mode(c) && d.raw & BIT(53);
    if (cpl == c->arch.cpl) {
        c->arch.rip = p.offset;
        stack_adjust(c, (s64)(2 * size + release));
        code_load(c, &d, cpl);
        return;
    }
    u64 sp = stack_peek(c, 2 * size + release, size);
    u16 selector = (u16)stack_peek(c, 3 * size + release, size);
    struct segment ss = return_stack_segment(c, selector, cpl, code64);
    descriptor_touch(c, &d);
    c->arch.rip = p.offset;
    c->arch.seg[SEG_SS] = ss;
    c->arch.r[RSP] = outer_rsp(c, &ss, sp, code64);
    code_load(c, &d, cpl);
    stack_adjust(c, (s64)release);
    segments_hide(c);
    cpu_update_mode(c);
}

void exec_retf(struct cpu *c, const struct insn *in)
{
    ret_far(c, in->opsize, in->operands ? in->imm & 0xffff : 0);
}

/* --- IRET ------------------------------------------------------------------------------------- */

/* Returns the flags that IRET may change at the current privilege [APM3 IRET, POPF]. */
static u64 iret_flags(const struct cpu *c, u32 size)
{
    u64 mask = RFLAGS_ARITHMETIC | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC | RFLAGS_ID;
    if (c->arch.cpl == 0)
        mask |= RFLAGS_IOPL | RFLAGS_VIF | RFLAGS_VIP;
    if (c->arch.cpl <= BITS(c->arch.rflags, 13, 12))
        mask |= RFLAGS_IF;
    return size == 2 ? mask & 0xffff : mask | RFLAGS_RF;
}

static void iret_real(struct cpu *c, u32 size)
{
    bool v86 = c->engine.mode & MODE_V86;
    if (v86 && (c->arch.rflags & RFLAGS_IOPL) != RFLAGS_IOPL)
        cpu_raise_gp(c, 0);
    u64 rip = stack_peek(c, 0, size);
    u16 cs = (u16)stack_peek(c, size, size);
    u64 flags = stack_peek(c, 2 * size, size);
    check_real_offset(c, rip);
    u64 mask = iret_flags(c, size);
    stack_adjust(c, 3 * (s64)size);
    c->arch.rip = rip;
    code_load_real(c, cs);
    rflags_write(c, flags, mask);
}

static void iret_to_v86(struct cpu *c, const struct far_pointer *p, u64 flags)
{
    static const enum segment_index order[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    u64 sp = stack_peek(c, 12, 4);
    u16 ss = (u16)stack_peek(c, 16, 4);
    u16 selectors[ARRAY_SIZE(order)];
    for (u32 i = 0; i < ARRAY_SIZE(order); i++)
        selectors[i] = (u16)stack_peek(c, 20 + 4 * i, 4);
    rflags_write(c, flags, iret_flags(c, 4) | RFLAGS_VM);
    c->arch.rip = p->offset & 0xffff;
    c->arch.r[RSP] = sp;
    c->arch.cpl = 3;
    cpu_update_mode(c);
    segment_load_real(c, SEG_SS, ss);
    for (u32 i = 0; i < ARRAY_SIZE(order); i++)
        segment_load_real(c, order[i], selectors[i]);
    code_load_real(c, p->selector);
}

static void iret_protected(struct cpu *c, u32 size)
{
    if (c->arch.rflags & RFLAGS_NT) {
        if (long_mode(c))
            cpu_raise_gp(c, 0);
        task_return(c);
        return;
    }
    struct far_pointer p = {.offset = stack_peek(c, 0, size),
                            .selector = (u16)stack_peek(c, size, size)};
    u64 flags = stack_peek(c, 2 * size, size);
    if (!long_mode(c) && c->arch.cpl == 0 && size == 4 && flags & RFLAGS_VM) {
        iret_to_v86(c, &p, flags);
        return;
    }
    struct descriptor d = return_target(c, &p);
    u32 cpl = p.selector & SELECTOR_RPL;
    bool code64 = long_mode(c) && d.raw & BIT(53);
    u64 mask = iret_flags(c, size);
    bool takes_stack = c->engine.mode & MODE_CODE64 || cpl > c->arch.cpl;
    struct segment ss = c->arch.seg[SEG_SS];
    u64 sp = 0;
    if (takes_stack) {
        sp = stack_peek(c, 3 * size, size);
        ss = return_stack_segment(c, (u16)stack_peek(c, 4 * size, size), cpl, code64);
    }
    descriptor_touch(c, &d);
    bool outer = cpl > c->arch.cpl;
    if (takes_stack) {
        c->arch.seg[SEG_SS] = ss;
        c->arch.r[RSP] = outer_rsp(c, &ss, sp, code64);
    } else {
        stack_adjust(c, 3 * (s64)size);
    }
    c->arch.rip = p.offset;
    code_load(c, &d, cpl);
    rflags_write(c, flags, mask);
    if (outer)
        segments_hide(c);
    cpu_update_mode(c);
}

void exec_iret(struct cpu *c, const struct insn *in)
{
    if (protected_mode(c))
        iret_protected(c, in->opsize);
    else
        iret_real(c, in->opsize);
    if (c->guest.virtual_nmi)
        c->guest.control.v_intr &= ~(u32)V_INTR_NMI_MASK;
    else
        c->bare.nmi_blocked = false;
}

/* --- INT n and its relatives ------------------------------------------------------------------ */

void exec_int(struct cpu *c, const struct insn *in)
{
    if (intercepts(c, EXIT_INTN))
        cpu_exit(c, EXIT_INTN, in->imm & 0xff, 0);
    event_software_interrupt(c, (u8)in->imm);
}

void exec_int3(struct cpu *c, const struct insn *in)
{
    (void)in;
    event_software_exception(c, VECTOR_BP);
}

void exec_into(struct cpu *c, const struct insn *in)
{
    (void)in;
    if (flags_get(c) & RFLAGS_OF)
        event_software_exception(c, VECTOR_OF);
}

void exec_int1(struct cpu *c, const struct insn *in)
{
    (void)in;
    event_software_exception(c, VECTOR_DB);
}
