/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions that this processor does not have: #UD. */
#include "cpu/internal.h"

void exec_undefined(struct cpu *c, const struct insn *in)
{
    (void)in;
    cpu_raise_ud(c);
}
