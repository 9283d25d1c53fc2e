/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host mode: the core runs host code without a hypervisor above it. It runs its own state, with no
 * VMCB and no nested tables; it reads memory raw, and of the RMP only the rule for hosts applies.
 */
#include "cpu/internal.h"

u64 cpu_run_host(struct cpu *c, u64 deadline_ns)
{
    c->guest = (struct running_guest){.key = KEY_RAW};
    c->arch.gif = true;
    segment_update(c);
    mmu_flush_all(c);
    debug_update(c);
    run_until(c, deadline_ns);
    c->arch.gif = false;
    c->engine.retranslate = true;
    return c->guest.exit_code;
}
