/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intercepts [APM2 15.9; cpu 6.1], and the SVM instructions as a guest sees them. The host of a SEV-ES
 * guest learns of an exit what the manual's automatic ones tell; everything else that it intercepts
 * becomes #VC inside the guest.
 */
#include "cpu/svm/vmsa_switch.h"

#include <inttypes.h>

/* In host mode: what only the board can do. */
#define OF_HOST_MODE (INTERCEPT3_HLT | INTERCEPT3_IOIO)

bool intercepts(const struct cpu *c, u32 word, u64 bit)
{
    if (!c->guest.running)
        return word == 3 && bit & OF_HOST_MODE;
    switch (word) {
    case 3:
        return c->guest.control.intercept_3 & bit;
    case 4:
        return c->guest.control.intercept_4 & bit;
    default:
        return c->guest.control.intercept_5 & bit;
    }
}

void intercept(struct cpu *c, u32 word, u64 bit, u64 exit_code)
{
    if (UNLIKELY(intercepts(c, word, bit)))
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
                    "core=%u asid=%u code=0x%" PRIx64 " rip=0x%" PRIx64, c->id,
                    c->guest.control.asid, code, c->engine.insn_rip);
    u64 cause = code == EXIT_PAGE_NOT_VALIDATED ? CPU_VC_NOT_VALIDATED
                : code < CPU_VC_NOT_VALIDATED   ? code
                                                : CPU_VC_MMIO;
    c->engine.statistics.vc[cause]++;
    cpu_raise(c, VECTOR_VC, (u32)code);
}

/* --- SVM instructions inside a guest: intercepted, or unknown (there is no nested SVM) -------- */

static void svm_instruction(struct cpu *c, u64 bit, u64 exit_code)
{
    intercept(c, 4, bit, exit_code);
    cpu_raise_ud(c);
}

#define SVM_INSTRUCTION(name, NAME)                                                                \
    void exec_##name(struct cpu *c, const struct insn *in)                                         \
    {                                                                                              \
        (void)in;                                                                                  \
        svm_instruction(c, INTERCEPT4_##NAME, EXIT_##NAME);                                        \
    }

SVM_INSTRUCTION(vmrun, VMRUN)
SVM_INSTRUCTION(vmmcall, VMMCALL)
SVM_INSTRUCTION(vmload, VMLOAD)
SVM_INSTRUCTION(stgi, STGI)
SVM_INSTRUCTION(clgi, CLGI)
SVM_INSTRUCTION(skinit, SKINIT)

/* Of a SEV-ES guest it exits, whatever is intercepted [APM2 15.36.12]. */
void exec_vmsave(struct cpu *c, const struct insn *in)
{
    (void)in;
    if (c->guest.es)
        cpu_exit(c, EXIT_VMSAVE, 0, 0);
    svm_instruction(c, INTERCEPT4_VMSAVE, EXIT_VMSAVE);
}

/* Without SEV-ES the prefix means nothing [cpu 6.4]. */
void exec_vmgexit(struct cpu *c, const struct insn *in)
{
    if (!c->guest.es)
        exec_vmmcall(c, in);
    else
        cpu_exit(c, EXIT_VMGEXIT, 0, 0);
}

void exec_invlpga(struct cpu *c, const struct insn *in)
{
    (void)in;
    intercept(c, 3, INTERCEPT3_INVLPGA, EXIT_INVLPGA);
    cpu_raise_ud(c);
}
