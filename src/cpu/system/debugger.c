/* SPDX-License-Identifier: Apache-2.0 */
/* The stops of a debugger outside of the machine; see cpu/debugger.h. */
#include "cpu/debugger.h"
#include "cpu/internal.h"
#include "cpu/exec/x87.h"
#include "cpu/svm/world_switch.h"

/* The name of the processor that the core is. */
static u64 name_of(const struct cpu *c)
{
    return c->engine.debugger->bare ? DEBUG_CORE(c->id) : c->guest.vmcb_spa;
}

/* The VMCB of the guest that runs; 0: the host does. */
static u64 world_of(const struct cpu *c)
{
    return c->guest.running ? c->guest.vmcb_spa : 0;
}

static bool debugged(const struct cpu *c)
{
    const struct cpu_debugger *d = c->engine.debugger;
    if (d && d->bare)
        return c->bare.wired;
    for (u32 i = 0; d && c->guest.running && i < d->vmcb_count; i++) {
        if (d->vmcbs[i] == c->guest.vmcb_spa)
            return true;
    }
    return false;
}

/* Returns true if points count where the core is. */
static bool has_points(const struct cpu *c)
{
    const struct cpu_debugger *d = c->engine.debugger;
    return debugged(c) && (!d->bare || d->worlds & (c->guest.running ? DEBUG_GUEST : DEBUG_HOST));
}

static u64 linear_rip(const struct cpu *c)
{
    return c->engine.mode & MODE_CODE64 ? c->arch.rip
                                        : (u32)(c->arch.seg[SEG_CS].base + c->arch.rip);
}

/* --- Which parts of the engine must be careful ------------------------------------------------ */

bool debugger_steps(const struct cpu *c)
{
    const struct cpu_debugger *d = c->engine.debugger;
    return debugged(c) && (d->interrupt || d->step || d->trail || d->due);
}

/* Keeps back what is left of the budget after `until_ns`: the core is careful from there on. */
void debugger_hold(struct cpu *c)
{
    struct cpu_debugger *d = c->engine.debugger;
    const u64 now = c->engine.run_end - (u64)c->engine.left;
    if (!d)
        return;
    d->due = d->until_ns && d->until_ns <= now;
    if (!d->until_ns)
        return;
    d->held = debugged(c) && d->until_ns > now && d->until_ns < c->engine.run_end
                  ? c->engine.run_end - d->until_ns
                  : 0;
    c->engine.left -= (s64)d->held;
    c->engine.run_end -= d->held;
    debug_update(c);
}

bool debugger_release(struct cpu *c)
{
    struct cpu_debugger *d = c->engine.debugger;
    if (!d || !d->held)
        return false;
    c->engine.left += (s64)d->held;
    c->engine.run_end += d->held;
    d->held = 0;
    d->due = true;
    debug_update(c);
    return true;
}

bool debugger_watches(const struct cpu *c)
{
    const struct cpu_debugger *d = c->engine.debugger;
    bool data = false;
    for (u32 i = 0; d && i < d->point_count; i++)
        data |= d->points[i].kind != DEBUG_CODE;
    return data && has_points(c);
}

bool debugger_in_code_page(const struct cpu *c)
{
    const struct cpu_debugger *d = c->engine.debugger;
    const u64 page = linear_rip(c) >> PAGE_SHIFT;
    for (u32 i = 0; i < d->point_count; i++) {
        if (d->points[i].kind == DEBUG_CODE && d->points[i].linear >> PAGE_SHIFT == page)
            return has_points(c);
    }
    return false;
}

bool debugger_watches_page(const struct cpu *c, u64 page)
{
    const struct cpu_debugger *d = c->engine.debugger;
    for (u32 i = 0; d && i < d->point_count; i++) {
        const struct debug_point *p = &d->points[i];
        if (p->kind != DEBUG_CODE && (p->linear & ~PAGE_MASK) <= page &&
            page <= p->linear + p->size - 1)
            return has_points(c);
    }
    return false;
}

void debugger_watch(struct cpu *c, u64 linear, u32 size, bool write)
{
    struct cpu_debugger *d = c->engine.debugger;
    for (u32 i = 0; d && i < d->point_count; i++) {
        const struct debug_point *p = &d->points[i];
        bool meant = p->kind == DEBUG_ACCESS || p->kind == (write ? DEBUG_WRITE : DEBUG_READ);
        if (meant && linear < p->linear + p->size && p->linear < linear + size && has_points(c)) {
            d->watched = *p;
            d->watch_hit = true;
        }
    }
}

/* --- Stopping --------------------------------------------------------------------------------- */

static const struct debug_point *code_point(const struct cpu *c)
{
    const struct cpu_debugger *d = c->engine.debugger;
    const u64 linear = linear_rip(c);
    for (u32 i = 0; has_points(c) && i < d->point_count; i++) {
        if (d->points[i].kind == DEBUG_CODE && d->points[i].linear == linear)
            return &d->points[i];
    }
    return NULL;
}

/* A guest that goes on from where it stopped passes the breakpoint there. */
static void stop(struct cpu *c, enum debug_why why, const struct debug_point *point)
{
    struct cpu_debugger *d = c->engine.debugger;
    struct debug_point hit;
    if (point)
        hit = *point;
    d->step = 0;
    if (why == DEBUG_REACHED)
        d->until_ns = 0;
    d->interrupt = d->step_begun = d->watch_hit = d->leave = false;
    debugger_release(c);
    mxcsr_leave(c);
    d->stopped(d->context, c->id, why, point ? &hit : NULL);
    mxcsr_enter(c);
    d->passing = true;
    d->passed_rip = c->arch.rip;
    d->passed_name = name_of(c);
    if (d->leave && c->engine.left > 0) {
        c->engine.run_end -= (u64)c->engine.left;
        c->engine.left = 0;
    }
    d->leave = false;
    debugger_hold(c);
    cpu_debug_changed(c);
}

static bool passes(const struct cpu *c)
{
    struct cpu_debugger *d = c->engine.debugger;
    bool passing = d->passing && d->passed_rip == c->arch.rip && d->passed_name == name_of(c);
    if (d->passed_name == name_of(c))
        d->passing = false;
    return passing;
}

/* An instruction that exits and is executed again has begun once. */
static void begin(struct cpu *c)
{
    struct cpu_debugger *d = c->engine.debugger;
    if (d->done || d->begun_rip != c->arch.rip || d->begun_name != name_of(c) || !d->begun_ns)
        d->begun_ns = cpu_time(c);
    d->begun_rip = c->arch.rip;
    d->begun_name = name_of(c);
    d->done = false;
}

/* An instruction whose device accesses the host has answered runs once more, but has begun. */
bool debugger_before(struct cpu *c)
{
    struct cpu_debugger *d = c->engine.debugger;
    if (!debugged(c) || c->engine.device.count)
        return false;
    const bool stepping = d->step == name_of(c);
    const struct debug_point *p = passes(c) ? NULL : code_point(c);
    if (d->watch_hit)
        stop(c, DEBUG_HIT, &d->watched);
    else if (d->until_ns && cpu_time(c) >= d->until_ns)
        stop(c, DEBUG_REACHED, NULL);
    else if (d->interrupt)
        stop(c, DEBUG_INTERRUPTED, NULL);
    else if (stepping && d->step_begun &&
             (c->arch.rip != d->step_rip || world_of(c) != d->step_world))
        stop(c, DEBUG_STEPPED, NULL);
    else if (p)
        stop(c, DEBUG_HIT, p);
    else {
        d->step_begun = stepping;
        d->step_rip = c->arch.rip;
        d->step_world = world_of(c);
        begin(c);
        return false;
    }
    return true;
}

void debugger_after(struct cpu *c)
{
    struct cpu_debugger *d = c->engine.debugger;
    if (!debugged(c))
        return;
    d->done = true;
    if (d->watch_hit)
        stop(c, DEBUG_HIT, &d->watched);
    else if (d->step == name_of(c) && d->step_begun)
        stop(c, DEBUG_STEPPED, NULL);
}

/* --- For the debugger ------------------------------------------------------------------------- */

void cpu_debug_attach(struct cpu *c, struct cpu_debugger *d)
{
    c->engine.debugger = d;
    cpu_debug_changed(c);
}

void cpu_debug_changed(struct cpu *c)
{
    debug_update(c);
    blocks_forget_addresses(c);
    mmu_forget_other_addresses(c);
}

u64 cpu_debug_time(const struct cpu *c, bool watched)
{
    return watched ? c->engine.debugger->begun_ns : c->engine.run_end - (u64)c->engine.left;
}

u64 cpu_debug_running(const struct cpu *c)
{
    return c->guest.running ? c->guest.vmcb_spa : 0;
}

void cpu_debug_world(const struct cpu *c, struct debug_world *out)
{
    const struct running_guest *g = &c->guest;
    *out = (struct debug_world){.guest = g->running};
    if (!g->running)
        return;
    out->nested = g->nested_paging;
    out->sev = g->sev;
    out->es = g->es;
    out->snp = g->snp;
    out->asid = g->control.asid;
    out->vmpl = g->vmpl;
    out->vmcb_spa = g->vmcb_spa;
    out->vmsa_spa = g->es ? g->control.vmsa : 0;
    out->nested_cr3 = g->control.n_cr3;
    out->ghcb_gpa = g->es ? g->control.ghcb_gpa : 0;
    out->virtual_tom = sev_feature(c, SEV_FEATURE_VTOM) ? g->virtual_tom : 0;
    out->host_rip = c->host.rip;
}

void cpu_debug_get(const struct cpu *c, struct debug_registers *out)
{
    memset(out, 0, sizeof *out);
    save_area_store(c, &out->save);
    save_area_store_rest(c, &out->save);
    memcpy(out->gpr, c->arch.r, sizeof out->gpr);
    memcpy(out->dr, c->arch.dr, sizeof out->dr);
    out->xcr0 = c->arch.xcr0;
    out->cr8 = c->arch.cr8;
    cpu_xsave(c, XSTATE_X87 | XSTATE_SSE, out->fx, sizeof out->fx);
}

bool cpu_debug_set(struct cpu *c, const struct debug_registers *in)
{
    if (!canonical(in->save.rip) || !canonical(in->save.fs.base) || !canonical(in->save.gs.base) ||
        in->save.rflags & ~(u64)RFLAGS_DEFINED || !fxsave_unpack(c, in->fx, true))
        return false;
    memcpy(c->arch.r, in->gpr, sizeof in->gpr);
    c->arch.rip = in->save.rip;
    rflags_write(c, in->save.rflags, ~0ull);
    c->arch.seg[SEG_FS].base = in->save.fs.base;
    c->arch.seg[SEG_GS].base = in->save.gs.base;
    segment_update(c);
    return true;
}
