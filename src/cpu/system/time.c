/* SPDX-License-Identifier: Apache-2.0 */
/* Time, waiting for it, and random numbers. */
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

/* No performance counters exist. */
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
    if (!event_pending(c))
        c->engine.left = 0; /* nothing else can wake us before the deadline */
}

void exec_pause(struct cpu *c, const struct insn *in)
{
    (void)in;
    /* The filter lets the first ones pass [APM2 15.14.4]. */
    if (intercepts(c, EXIT_PAUSE) && c->guest.pauses_left)
        c->guest.pauses_left--;
    else
        intercept(c, EXIT_PAUSE);
    /* It takes its time: loops that wait for the clock are not many instructions long. */
    rep_account(c, min_u64(rep_allowance(c), COST_PAUSE_NS));
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

/* RDRAND and RDSEED never run dry. */
void exec_rdrand(struct cpu *c, const struct insn *in)
{
    u64 value = 0;
    random_fill(c->random, &value, in->opsize);
    operand_write(c, in, 0, value);
    flags_set(c, RFLAGS_CF);
}
