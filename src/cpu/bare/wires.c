/* SPDX-License-Identifier: Apache-2.0 */
/* The core asks its board, in the middle of an instruction. */
#include "cpu/bare/bare.h"

#define APIC_ENABLED BIT(11)

/* Brings machine clock and budget into agreement before and after each question, because the board
 * may advance the clock. */
static u64 begin(struct cpu *c)
{
    return c->clock->now = cpu_time(c);
}

static void end(struct cpu *c, u64 before)
{
    u64 took = c->clock->now - before;
    c->engine.left -= (s64)min_u64(took, INT64_MAX / 4);
    c->engine.statistics.event_ns += took;
}

bool bare_is_device(const struct cpu *c, u64 frame)
{
    if (!c->bare.wired)
        return false;
    bool apic = c->msr.apic_base & APIC_ENABLED && frame == c->msr.apic_base >> PAGE_SHIFT;
    return apic || frame >= memory_size(c->memory) >> PAGE_SHIFT;
}

/* Makes one access. A probe does not ask the board: whether a device may be written is known
 * already. */
u64 bare_access(struct cpu *c, struct device_access a)
{
    const struct cpu_wires *w = &c->bare.wires;
    cpu_alone(c);
    if (a.probe)
        return 0;
    if (!a.write)
        a.value = ~0ull;
    if (w->access) {
        u64 before = begin(c);
        w->access(w->context, c->id, &a);
        end(c, before);
    }
    return a.value;
}

bool bare_read_msr(struct cpu *c, u32 msr, u64 *value)
{
    const struct cpu_wires *w = &c->bare.wires;
    if (!c->bare.wired || !w->read_msr)
        return false;
    u64 before = begin(c);
    bool done = w->read_msr(w->context, c->id, msr, value);
    end(c, before);
    return done;
}

bool bare_write_msr(struct cpu *c, u32 msr, u64 value)
{
    const struct cpu_wires *w = &c->bare.wires;
    if (!c->bare.wired || !w->write_msr)
        return false;
    u64 before = begin(c);
    bool done = w->write_msr(w->context, c->id, msr, value);
    end(c, before);
    return done;
}

bool bare_has_tpr(const struct cpu *c)
{
    bool own = c->guest.running && c->guest.control.v_intr & V_INTR_MASKING;
    return c->bare.wired && !own;
}

u64 bare_read_tpr(struct cpu *c)
{
    const struct cpu_wires *w = &c->bare.wires;
    return w->read_tpr ? w->read_tpr(w->context, c->id) & 15 : 0;
}

void bare_write_tpr(struct cpu *c, u64 cr8)
{
    const struct cpu_wires *w = &c->bare.wires;
    if (!w->write_tpr)
        return;
    u64 before = begin(c);
    w->write_tpr(w->context, c->id, cr8);
    end(c, before);
}

void bare_wbinvd(struct cpu *c)
{
    const struct cpu_wires *w = &c->bare.wires;
    if (c->bare.wired && w->wbinvd)
        w->wbinvd(w->context, c->id);
}

/* --- What the board says of itself ------------------------------------------------------------ */

void cpu_yield(struct cpu *c)
{
    c->bare.yield = true;
}

/* `left` counts down to run_end, so both move. */
void cpu_shorten(struct cpu *c, u64 deadline_ns)
{
    if (deadline_ns >= c->engine.run_end)
        return;
    u64 by = c->engine.run_end - deadline_ns;
    c->engine.left -= (s64)min_u64(by, INT64_MAX / 4);
    c->engine.run_end -= min_u64(by, INT64_MAX / 4);
    c->bare.deadline = deadline_ns;
}

void cpu_pin_interrupt(struct cpu *c, bool level)
{
    c->bare.intr = level;
}

void cpu_pin_nmi(struct cpu *c)
{
    c->bare.nmi = true;
}

void cpu_pin_init(struct cpu *c)
{
    c->bare.init = true;
}
