/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host mode: the core runs code as a host does that no hypervisor holds. Its state is the core's
 * own, there is no VMCB and no nested table, memory is seen raw, and of the RMP only the host's
 * rule counts.
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
