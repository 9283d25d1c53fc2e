/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions that this processor does not have: #UD. */
#include "cpu/internal.h"

void exec_undefined(struct cpu *c, const struct insn *in)
{
    (void)in;
    cpu_raise_ud(c);
}

/* CPUID does not report XSAVE, so CR4.OSXSAVE cannot be set. */
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
