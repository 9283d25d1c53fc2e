/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions that read the time, wait, or return random numbers. */
#include "cpu/internal.h"

static void write_edx_eax(struct cpu *c, u64 value)
{
    c->arch.r[RAX] = (u32)value;
    c->arch.r[RDX] = value >> 32;
}

void exec_rdtsc(struct cpu *c, const struct insn *in)
{
    (void)in;
    write_edx_eax(c, cpu_guest_tsc(c));
}

void exec_rdtscp(struct cpu *c, const struct insn *in)
{
    (void)in;
    write_edx_eax(c, cpu_guest_tsc(c));
    c->arch.r[RCX] = (u32)c->arch.tsc_aux;
}

void exec_rdpid(struct cpu *c, const struct insn *in)
{
    operand_write(c, in, 0, c->arch.tsc_aux);
}

/* There are no performance counters. */
void exec_rdpmc(struct cpu *c, const struct insn *in)
{
    (void)in;
    cpu_raise_gp(c, 0);
}

void exec_rdpru(struct cpu *c, const struct insn *in)
{
    (void)in;
    cpu_raise_ud(c);
}

void exec_hlt(struct cpu *c, const struct insn *in)
{
    (void)in;
    if (c->bare.wired) {
        bare_halt(c);
    } else if (!event_pending(c)) {
        debugger_release(c);
        c->engine.left = 0; /* nothing else can wake the core before the deadline */
    }
}

/* The pause filter lets the first ones pass, and the first ones after a pause that was longer than
 * the threshold [APM2 15.14.4]. */
static bool filter_passes(struct cpu *c)
{
    struct running_guest *g = &c->guest;
    const u64 threshold =
        c->svm_features & SVM_PAUSE_THRESHOLD ? g->control.pause_filter_threshold : 0;
    if (!intercepts(c, EXIT_PAUSE))
        return true;
    const u64 now = cpu_time(c);
    if (threshold && g->pause_ns && now - g->pause_ns > threshold)
        g->pauses_left = g->control.pause_filter_count;
    g->pause_ns = now;
    if (!g->pauses_left)
        return false;
    g->pauses_left--;
    return true;
}

void exec_pause(struct cpu *c, const struct insn *in)
{
    (void)in;
    if (!filter_passes(c))
        intercept(c, EXIT_PAUSE);
    /* PAUSE takes time: a loop that waits for the clock does not have many instructions. It ends
     * its block, so that the time does not depend on how the engine goes through it. */
    rep_account(c, min_u64(budget_left(c) + 1, COST_PAUSE_NS));
}

void exec_monitor(struct cpu *c, const struct insn *in)
{
    (void)in;
    cpu_raise_ud(c);
}

void exec_mwait(struct cpu *c, const struct insn *in)
{
    (void)in;
    cpu_raise_ud(c);
}

/* RDRAND and RDSEED always have a number. */
void exec_rdrand(struct cpu *c, const struct insn *in)
{
    u64 value = 0;
    random_fill(c->random, &value, in->opsize);
    operand_write(c, in, 0, value);
    flags_set(c, RFLAGS_CF);
}
