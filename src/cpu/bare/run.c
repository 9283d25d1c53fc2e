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

/* VMRUN. Its own checks are done. */
static void enter_guest(struct cpu *c)
{
    struct world_switch *w = c->bare.world;
    c->clock->now += COST_WORLD_NS;
    host_area_store(c);
    c->guest.vmpl = c->bare.before.vmpl;
    c->guest.sev_features = c->bare.before.sev_features;
    c->guest.virtual_tom = c->bare.before.virtual_tom;
    c->guest.vmcb_spa = c->bare.vmcb_spa;
    mmu_switch(c);
    if (vmrun_enter(c, w)) {
        if (w->vmcb.control.tlb_control == TLB_FLUSH_ALL)
            mmu_flush_worlds(c);
        return;
    }
    mmu_switch(c);
    cpu_update_mode(c);
    bare_no_guest(c);
    c->arch.gif = false;
}

/* What an address of the host depends on. */
struct translates_by {
    u64 cr0, cr3, cr4, efer, pkru;
};

static struct translates_by translates_by(const struct arch *a)
{
    return (struct translates_by){a->cr0, a->cr3, a->cr4, a->efer, a->pkru};
}

/* #VMEXIT. A host state that cannot be loaded shuts the core down [APM2 15.6]. */
static void leave_guest(struct cpu *c)
{
    struct world_switch *w = c->bare.world;
    const bool es = w->es;
    const struct translates_by before = translates_by(&c->host);
    c->clock->now += COST_WORLD_NS;
    bool valid = host_area_fetch(c, es);
    vmrun_leave(c, w);
    c->bare.before = (struct guest_identity){.vmpl = c->guest.vmpl,
                                             .sev_features = c->guest.sev_features,
                                             .virtual_tom = c->guest.virtual_tom};
    bare_no_guest(c);
    if (es)
        host_area_load_rest(c);
    const struct translates_by now = translates_by(&c->arch);
    mmu_switch(c);
    if (memcmp(&before, &now, sizeof now) != 0)
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
