/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions that access devices. A host that asks for it (cpu_device_assist) need not emulate
 * them: the instruction leaves by its ordinary exit, IOIO or NPF, and cpu_device_access() tells the
 * host which access it wanted. After cpu_device_answer() the next VMRUN executes the instruction
 * again from its start. Each access takes the next answer, and the first access without an answer
 * exits again. So every instruction may access devices, with the checks and in the order that it
 * has for memory, and the host only supplies values.
 *
 * An instruction that is executed again runs alone (device_step() in run_loop.c). If it exits once
 * more, its changes to registers are undone: a read-modify-write has set flags before it stores.
 * Before the first access there is nothing to undo, since everything that can fault comes before
 * the first architectural write; a store that comes late announces itself by a probe.
 */
#include "cpu/engine/device.h"

void cpu_device_assist(struct cpu *c, bool on)
{
    c->engine.device.assist = on;
    c->engine.device.count = 0;
}

bool cpu_device_access(const struct cpu *c, struct device_access *out)
{
    const struct device_log *d = &c->engine.device;
    if (!d->open)
        return false;
    *out = d->access[d->count - 1];
    return true;
}

void cpu_device_answer(struct cpu *c, u64 value)
{
    struct device_log *d = &c->engine.device;
    if (!d->open)
        return;
    d->access[d->count - 1].value = value;
    d->open = false;
}

bool device_assists(const struct cpu *c)
{
    return c->engine.device.assist && !c->guest.es;
}

bool device_faults(const struct cpu *c, const struct access_fault *f)
{
    return device_assists(c) && f->nested && f->info_1 & NPF_FINAL && !(f->info_1 & NPF_RMP);
}

static bool same_access(const struct device_access *a, const struct device_access *b)
{
    return a->address == b->address && a->size == b->size && a->port == b->port &&
           a->write == b->write && a->probe == b->probe;
}

bool device_answered(struct cpu *c, const struct device_access *a, u64 *value)
{
    struct device_log *d = &c->engine.device;
    if (d->next < d->count && same_access(&d->access[d->next], a)) {
        *value = d->access[d->next++].value;
        return true;
    }
    /* Drop the answers from here on: the instruction may have taken another path before. */
    d->open = d->next < DEVICE_ACCESSES;
    d->count = d->next;
    if (d->open)
        d->access[d->count++] = *a;
    d->rip = c->engine.insn_rip;
    d->vmcb_spa = c->guest.vmcb_spa;
    return false;
}

/* Keeps the answers if they belong to this guest's instruction at this RIP, or to the delivery of
 * this event; forgets them otherwise. */
void device_begin(struct cpu *c)
{
    struct device_log *d = &c->engine.device;
    bool goes_on = !d->open && d->rip == c->arch.rip && d->vmcb_spa == c->guest.vmcb_spa &&
                   (!c->guest.control.event_inject || c->guest.control.event_inject == d->event);
    d->next = 0;
    d->open = false;
    if (!goes_on)
        d->count = 0;
}

void device_done(struct cpu *c)
{
    c->engine.device.count = c->engine.device.next = 0;
    c->engine.device.before.kept = false;
}

/* --- Undoing ---------------------------------------------------------------------------------- */

void device_keep(struct cpu *c)
{
    struct device_before *b = &c->engine.device.before;
    memcpy(b->r, c->arch.r, sizeof b->r);
    b->flags = c->engine.flags;
    b->rflags = c->arch.rflags;
    memcpy(b->vector, c->arch.vector, sizeof b->vector);
    b->x87 = c->arch.x87;
    b->interrupt_shadow = c->arch.interrupt_shadow;
    b->kept = true;
}

void device_undo(struct cpu *c)
{
    struct device_before *b = &c->engine.device.before;
    c->engine.device.event = c->guest.exit_int_info;
    if (!b->kept)
        return;
    b->kept = false;
    if (!c->engine.device.open)
        return;
    memcpy(c->arch.r, b->r, sizeof b->r);
    c->engine.flags = b->flags;
    c->arch.rflags = b->rflags;
    memcpy(c->arch.vector, b->vector, sizeof b->vector);
    c->arch.x87 = b->x87;
    c->arch.interrupt_shadow = b->interrupt_shadow;
}
