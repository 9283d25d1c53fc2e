/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the board's pins and the Global Interrupt Flag do between two instructions [APM2 15.13,
 * 15.17, 15.21]: a physical event is held, intercepted by the host of a guest, or taken by the
 * world that runs.
 */
#include "cpu/bare/bare.h"

enum physical {
    PHYSICAL_NONE,
    PHYSICAL_YIELD,
    /* No event outside; but VMRUN leaves the run loop, so its single step is here. */
    PHYSICAL_STEP,
    PHYSICAL_INIT,
    PHYSICAL_NMI,
    PHYSICAL_INTR
};

/* With V_INTR_MASKING the host's IF, as VMRUN found it, decides about physical interrupts [APM2
 * 15.21.1]. */
static bool interrupts_open(const struct cpu *c)
{
    bool masked = c->guest.running && c->guest.control.v_intr & V_INTR_MASKING;
    return (masked ? c->host.rflags : c->arch.rflags) & RFLAGS_IF;
}

bool cpu_takes_interrupts(const struct cpu *c)
{
    return interrupts_open(c);
}

static enum physical physical_event(const struct cpu *c)
{
    if (c->bare.yield)
        return PHYSICAL_YIELD;
    if (c->bare.step && !c->guest.running)
        return PHYSICAL_STEP;
    if (!c->arch.gif)
        return PHYSICAL_NONE;
    if (c->bare.init)
        return PHYSICAL_INIT;
    if (c->bare.nmi && !c->bare.nmi_blocked)
        return PHYSICAL_NMI;
    return c->bare.intr && interrupts_open(c) ? PHYSICAL_INTR : PHYSICAL_NONE;
}

bool bare_event_pending(const struct cpu *c)
{
    const struct bare *b = &c->bare;
    return UNLIKELY((b->yield | b->step | b->init | b->nmi | b->intr) != 0) &&
           physical_event(c) != PHYSICAL_NONE;
}

/* Takes INIT, or #SX in its place if VM_CR says so [APM2 15.28]. */
static void take_init(struct cpu *c)
{
    c->bare.init = false;
    if (c->msr.vm_cr & VM_CR_R_INIT)
        cpu_raise(c, VECTOR_SX, 1);
    bare_init(c);
    bare_stop(c, CPU_STOP_INIT);
}

static void take_interrupt(struct cpu *c)
{
    const struct cpu_wires *w = &c->bare.wires;
    if (!w->acknowledge)
        return;
    c->clock->now = cpu_time(c);
    event_deliver_interrupt(c, w->acknowledge(w->context, c->id));
}

/* An intercepted event stays pending: the host takes it when it sets GIF. */
void bare_event_take(struct cpu *c)
{
    static const u32 exits[] = {
        [PHYSICAL_INIT] = EXIT_INIT, [PHYSICAL_NMI] = EXIT_NMI, [PHYSICAL_INTR] = EXIT_INTR};
    enum physical event = physical_event(c);
    if (event >= PHYSICAL_INIT)
        intercept(c, exits[event]);
    switch (event) {
    case PHYSICAL_YIELD:
        bare_stop(c, CPU_STOP_YIELD);
    case PHYSICAL_STEP:
        c->bare.step = false;
        event_debug_trap(c, DR6_BS);
        break;
    case PHYSICAL_INIT:
        take_init(c);
        break;
    case PHYSICAL_NMI:
        c->bare.nmi = false;
        c->bare.nmi_blocked = true;
        event_deliver_nmi(c);
        break;
    case PHYSICAL_INTR:
        take_interrupt(c);
        break;
    case PHYSICAL_NONE:
        break;
    }
}
