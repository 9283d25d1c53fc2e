/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks by events that the host injects: any interrupt or exception that it chooses [cpu 3.6,
 * 6.8]. */
#include "attack/internal.h"

#include "abi/ghcb.h"
#include "abi/x86.h"

#define INT_80       0x80u
#define SECRET_IN_AX 0xffee1234u
#define HOSTS_AX     0x66666666u

static int inject(struct experiment *b, u64 event, struct vmcb *v, struct error *error)
{
    if (experiment_launch(b, error) || experiment_run_to(b, 1, error))
        return -1;
    return tool_vmrun(b, event, false, v) ? 0
                                          : error_set(error, ERROR_INTERNAL, "VMRUN raised #GP");
}

/* Judges the event: VMRUN refused it, or the guest shows whether the event was delivered. */
static int judge(struct experiment *b, const struct vmcb *v, struct error *error)
{
    if (v->control.exit_code == EXIT_INVALID)
        return experiment_judge(
            b, ATTACK_INJECTION_REFUSED,
            "VMRUN with the event: VMEXIT_INVALID; without it the guest goes on", error);
    if (v->control.exit_code != EXIT_INTR)
        return experiment_unexplained(b, 0, error);
    return experiment_judge(b, ATTACK_INJECTION_IGNORED,
                            "VMRUN took the event, the guest never got it", error);
}

int play_interrupt(struct experiment *b, struct error *error)
{
    struct vmcb v;
    u64 event = INT_80 | (u64)EVENT_INTR << EVENT_TYPE_SHIFT | EVENT_VALID;
    return inject(b, event, &v, error) ? -1 : judge(b, &v, error);
}

/* The guest's handler asks for the CPUID leaf that is in RAX, which holds its secret, and takes the
 * answer as its new RAX. */
static int answer_question(struct experiment *b, struct vmcb *v, struct error *error)
{
    u64 question = v->control.ghcb_gpa;
    if (GHCB_MSR_INFO(question) == GHCB_MSR_TERMINATE &&
        GHCB_MSR_TERMINATE_REASON(question) == TOLD_NOTICED)
        return experiment_outcome(b, ATTACK_STOPPED, ATTACK_NOTICED,
                                  "the guest saw that RIP is at no CPUID, and terminated itself");
    if (GHCB_MSR_INFO(question) != GHCB_MSR_CPUID_REQUEST ||
        GHCB_MSR_CPUID_FUNCTION(question) != SECRET_IN_AX)
        return error_set(error, ERROR_GUEST, "the victim asked %#llx",
                         (unsigned long long)question);
    if (!tool_answer(b, (u64)HOSTS_AX << 32 | GHCB_MSR_CPUID) || !tool_vmrun(b, 0, false, v))
        return error_set(error, ERROR_INTERNAL, "VMRUN raised #GP");
    if (experiment_judge(b, ATTACK_EVENT_NONE, "", error))
        return -1;
    return experiment_outcome(b, ATTACK_BREAKS, ATTACK_GUEST_MISLED,
                              "the handler gave RAX (%#x) to the host and took another",
                              SECRET_IN_AX);
}

int play_vc(struct experiment *b, struct error *error)
{
    struct vmcb v;
    u64 event = VECTOR_VC | (u64)EVENT_EXCEPTION << EVENT_TYPE_SHIFT | EVENT_ERROR_CODE |
                EVENT_VALID | (u64)EXIT_CPUID << 32;
    if (inject(b, event, &v, error))
        return -1;
    if (v.control.exit_code == EXIT_SHUTDOWN)
        return experiment_outcome(b, ATTACK_NO_USE, ATTACK_NO_HANDLER,
                                  "nothing handles vector 29: the guest shuts down");
    return v.control.exit_code == EXIT_VMGEXIT ? answer_question(b, &v, error)
                                               : judge(b, &v, error);
}
