/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions that this processor has not: #UD, of some after their intercept. */
#include "cpu/internal.h"

void exec_undefined(struct cpu *c, const struct insn *in)
{
    (void)in;
    cpu_raise_ud(c);
}

/* CPUID has no XSAVE, so that CR4.OSXSAVE cannot be set. */
void exec_xgetbv(struct cpu *c, const struct insn *in)
{
    exec_undefined(c, in);
}

void exec_xsetbv(struct cpu *c, const struct insn *in)
{
    exec_undefined(c, in);
}

void exec_xsave(struct cpu *c, const struct insn *in)
{
    exec_undefined(c, in);
}

/* There is no SMM to come from, but whoever emulates one hears of it first. */
void exec_rsm(struct cpu *c, const struct insn *in)
{
    (void)in;
    intercept(c, 3, INTERCEPT3_RSM, EXIT_RSM);
    cpu_raise_ud(c);
}
