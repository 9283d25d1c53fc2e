/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intercepts [APM2 15.9; cpu 6.1], and the SVM instructions in a guest. The host of a SEV-ES guest
 * sees only the exits that the manual calls automatic; every other exit that it intercepts becomes
 * a #VC inside the guest.
 */
#include "cpu/svm/vmsa_switch.h"

#include <inttypes.h>

/* The VMCB begins with a bit for each exit code below 0xc0: six intercept words [cpu 3.1, 3.4]. */
_Static_assert(offsetof(struct vmcb_control, intercept_cr_write) == EXIT_CR_WRITE / 8 &&
                   offsetof(struct vmcb_control, intercept_dr_read) == EXIT_DR_READ / 8 &&
                   offsetof(struct vmcb_control, intercept_dr_write) == EXIT_DR_WRITE / 8 &&
                   offsetof(struct vmcb_control, intercept_exceptions) == EXIT_EXCEPTION / 8 &&
                   offsetof(struct vmcb_control, intercept_3) == EXIT_INTR / 8 &&
                   offsetof(struct vmcb_control, intercept_4) == EXIT_VMRUN / 8 &&
                   offsetof(struct vmcb_control, intercept_5) == EXIT_INVLPGB / 8,
               "intercepts stand in the order of exit codes");

bool intercepts(const struct cpu *c, u32 exit_code)
{
    const u8 *bits = (const u8 *)&c->guest.control;
    return c->guest.running && bits[exit_code / 8] >> exit_code % 8 & 1;
}

void intercept(struct cpu *c, u32 exit_code)
{
    if (UNLIKELY(intercepts(c, exit_code)))
        cpu_exit(c, exit_code, 0, 0);
}

/* --- Which exits the host sees ---------------------------------------------------------------- */

bool exit_automatic(u64 code, u64 info_1)
{
    switch (code) {
    case EXIT_EXCEPTION + VECTOR_MC:
    case EXIT_INTR:
    case EXIT_NMI:
    case EXIT_SMI:
    case EXIT_INIT:
    case EXIT_VINTR:
    case EXIT_PAUSE:
    case EXIT_HLT:
    case EXIT_SHUTDOWN:
    case EXIT_EFER_WRITE_TRAP:
    case EXIT_BUSLOCK:
    case EXIT_IDLE_HLT:
    case EXIT_VMGEXIT:
        return true;
    case EXIT_NPF:
        return !(info_1 & NPF_RSV);
    default:
        return code >= EXIT_CR_WRITE_TRAP && code < EXIT_CR_WRITE_TRAP + 16;
    }
}

bool exit_completes(u64 code)
{
    switch (code) {
    case EXIT_PAUSE:
    case EXIT_HLT:
    case EXIT_EFER_WRITE_TRAP:
    case EXIT_IDLE_HLT:
    case EXIT_VMGEXIT:
        return true;
    default:
        return code >= EXIT_CR_WRITE_TRAP && code < EXIT_CR_WRITE_TRAP + 16;
    }
}

void vmsa_raise_vc(struct cpu *c, u64 code)
{
    if (trace_wants(c->trace, TRACE_SWITCH))
        trace_event(c->trace, TRACE_SWITCH, "VC",
                    "core=%u asid=%u vmcb=0x%" PRIx64 " code=0x%" PRIx64 " rip=0x%" PRIx64, c->id,
                    c->guest.control.asid, c->guest.vmcb_spa, code, c->engine.insn_rip);
    u64 cause = code == EXIT_PAGE_NOT_VALIDATED ? CPU_VC_NOT_VALIDATED
                : code < CPU_VC_NOT_VALIDATED   ? code
                                                : CPU_VC_MMIO;
    c->engine.statistics.vc[cause]++;
    cpu_raise(c, VECTOR_VC, (u32)code);
}

/* --- SVM instructions inside a guest ---------------------------------------------------------- */

/* Without SEV-ES the prefix has no effect: VMGEXIT is VMMCALL [cpu 6.4]. */
void exec_vmgexit(struct cpu *c, const struct insn *in)
{
    (void)in;
    if (c->guest.es)
        cpu_exit(c, EXIT_VMGEXIT, 0, 0);
    intercept(c, EXIT_VMMCALL);
    cpu_raise_ud(c);
}
