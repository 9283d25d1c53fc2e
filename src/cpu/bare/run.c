/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a core on a bare machine. VMRUN and #VMEXIT leave the run loop for the loop here, which
 * takes the steps of svm/vmrun.c and goes on in the other world; the board sees neither.
 */
#include "cpu/bare/bare.h"
#include "cpu/jit/jit.h"
#include "cpu/svm/world_switch.h"

#include <stdlib.h>

bool cpu_wire(struct cpu *c, const struct cpu_wires *wires)
{
    struct world_switch *world = wires ? calloc(1, sizeof *world) : NULL;
    if (wires && (!world || !mmu_create_other(c))) {
        free(world);
        return false;
    }
    free(c->bare.world);
    c->bare = (struct bare){.wired = wires != NULL, .world = world};
    if (wires) {
        c->bare.wires = *wires;
        jit_two_worlds(c);
        cpu_reset(c);
    }
    return true;
}

bool cpu_in_guest(const struct cpu *c)
{
    return c->guest.running;
}

const u64 *cpu_registers(const struct cpu *c, u64 *rip)
{
    *rip = c->arch.rip;
    return c->arch.r;
}

/* --- Stops ------------------------------------------------------------------------------------ */

void bare_stop(struct cpu *c, enum cpu_stop stop)
{
    c->bare.stop = stop;
    c->bare.shut_down = stop == CPU_STOP_SHUTDOWN;
    cpu_leave_bare(c, BARE_STOP);
}

/* HLT is done, whatever comes next. The trap of a single step ends it at once. */
void bare_halt(struct cpu *c)
{
    if (event_pending(c) || c->arch.rflags & RFLAGS_TF)
        return;
    c->bare.halted = true;
    c->arch.interrupt_shadow = false;
    bare_stop(c, CPU_STOP_HALT);
}

/* Returns true if the core does nothing until somebody outside acts. */
static bool stopped(struct cpu *c, enum cpu_stop *stop)
{
    c->bare.yield = false;
    bool pins = bare_event_pending(c);
    if (c->bare.waits_for_start_up) {
        *stop = CPU_STOP_INIT;
    } else if (c->bare.shut_down && !c->bare.nmi && !c->bare.init) {
        *stop = CPU_STOP_SHUTDOWN;
    } else if (c->bare.halted && !pins && !event_virtual(c)) {
        *stop = CPU_STOP_HALT;
    } else {
        c->bare.shut_down = c->bare.halted = false;
        return false;
    }
    return true;
}

/* --- World switches --------------------------------------------------------------------------- */

void bare_no_guest(struct cpu *c)
{
    c->guest = (struct running_guest){.key = KEY_RAW};
}

void bare_refresh(struct cpu *c)
{
    segment_update(c);
    mmu_flush_worlds(c);
    debug_update(c);
}

static void write_vmcb(struct cpu *c)
{
    memory_write(c->memory, c->bare.vmcb_spa, KEY_RAW, &c->bare.world->vmcb, PAGE_SIZE);
}

/* VMRUN. Its own checks are done. */
static void enter_guest(struct cpu *c)
{
    struct world_switch *w = c->bare.world;
    c->clock->now += COST_WORLD_NS;
    host_area_store(c);
    memory_read(c->memory, c->bare.vmcb_spa, KEY_RAW, &w->vmcb, sizeof w->vmcb);
    c->guest = c->bare.before;
    c->guest.vmcb_spa = c->bare.vmcb_spa;
    if (w->vmcb.control.tlb_control == TLB_FLUSH_ALL)
        mmu_flush_all(c);
    mmu_switch(c);
    if (vmrun_enter(c, w))
        return;
    mmu_switch(c);
    cpu_update_mode(c);
    bare_no_guest(c);
    c->arch.gif = false;
    write_vmcb(c);
}

/* Returns true if an address of the host may lead elsewhere than before VMRUN. */
static bool translates_anew(const struct arch *a, const struct arch *b)
{
    return a->cr0 != b->cr0 || a->cr3 != b->cr3 || a->cr4 != b->cr4 || a->efer != b->efer ||
           a->pkru != b->pkru;
}

/* #VMEXIT. A host state that cannot be loaded shuts the core down [APM2 15.6]. */
static void leave_guest(struct cpu *c)
{
    struct world_switch *w = c->bare.world;
    const bool es = w->es;
    const struct arch before = c->host;
    c->clock->now += COST_WORLD_NS;
    bool valid = host_area_fetch(c, es);
    vmrun_leave(c, w);
    c->bare.before = c->guest;
    bare_no_guest(c);
    write_vmcb(c);
    if (es)
        host_area_load_rest(c);
    mmu_switch(c);
    if (translates_anew(&before, &c->arch))
        mmu_flush_all(c);
    segment_update(c);
    debug_update(c);
    c->bare.shut_down = !valid;
}

/* --- The loop --------------------------------------------------------------------------------- */

enum cpu_stop cpu_run_bare(struct cpu *c, u64 deadline_ns)
{
    enum cpu_stop stop;
    c->bare.deadline = deadline_ns;
    while (!stopped(c, &stop)) {
        run_until(c, c->bare.deadline);
        if (c->bare.exit == BARE_STOP)
            return c->bare.stop;
        if (c->bare.exit == BARE_VMRUN)
            enter_guest(c);
        else
            leave_guest(c);
    }
    return stop;
}
