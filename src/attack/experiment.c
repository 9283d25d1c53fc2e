/* SPDX-License-Identifier: Apache-2.0 */
/* A machine with one victim on it: switched on, launched as its mode wants, run to a checkpoint and
 * to its end. */
#include "attack/internal.h"

#include "abi/sev.h"
#include "abi/vmcb.h"

#include <stdarg.h>
#include <stdio.h>

#define SLICE_NS   10000u /* less than a victim waits at a checkpoint */
#define BEGIN_NS   10000000u
#define END_NS     20000000u
#define SNP_POLICY 0x30000u /* SMT allowed, and bit 17 */

bool experiment_is_es(const struct experiment *b)
{
    return b->mode >= IMAGE_SEV_ES;
}

bool experiment_is_snp(const struct experiment *b)
{
    return b->mode == IMAGE_SEV_SNP;
}

/* Returns the guest policy: no debugging, and SEV-ES where the mode needs it [sev 6]. */
u32 experiment_policy(const struct experiment *b)
{
    return (u32)(SEV_POLICY_NODBG | (experiment_is_es(b) ? SEV_POLICY_ES : 0));
}

/* --- The launch ------------------------------------------------------------------------------- */

/* Makes the honest plan. The owner asks for the features that the attack is about: they are in the
 * VMSA, and so they are measured. */
static void make_plan(struct experiment *b)
{
    struct image_plan *honest = b->honest;
    if (experiment_is_snp(b) && b->attack->features) {
        b->vmsa = *honest->vmsas[0];
        b->vmsa.sev_features |= b->attack->features;
        honest->vmsas[0] = &b->vmsa;
    }
    b->plan = *honest;
    b->plan.owned = NULL;
}

int experiment_open(struct experiment *b, struct error *error)
{
    struct image_description d = {.memory_size = VICTIM_MEMORY, .mode = b->mode};
    d.kernel = (struct image_file){"victim", b->elf,
                                   victim_elf((enum victim)b->attack->victim, b->mode, b->elf)};
    b->honest = image_build(&d, error);
    if (!b->honest)
        return -1;
    make_plan(b);
    bool aliased = b->attacked && b->attack->aliased;
    b->host = b->machines->on(b->machines->context, b->attack->profile, aliased, error);
    if (!b->host)
        return -1;
    b->hv = hypervisor_create(b->host, error);
    return b->hv ? 0 : -1;
}

void experiment_close(struct experiment *b)
{
    hypervisor_destroy(b->hv);
    if (b->host)
        b->machines->off(b->machines->context);
    image_free(b->honest);
    crypto_wipe(&b->keys, sizeof b->keys);
}

int experiment_platform(struct experiment *b, struct error *error)
{
    switch (b->mode) {
    case IMAGE_NONE:
        return 0;
    case IMAGE_SEV:
        return platform_init(b->hv, error);
    case IMAGE_SEV_ES:
        return platform_init_es(b->hv, error);
    default:
        return platform_init_snp(b->hv, error);
    }
}

static int create(struct experiment *b, struct error *error)
{
    struct vm_config config = {.name = "victim",
                               .plan = &b->plan,
                               .policy = experiment_policy(b),
                               .snp_policy = SNP_POLICY,
                               .any_features = true,
                               .cpuid = b->cpuid,
                               .cpuid_context = b};
    b->vm = vm_create(b->hv, &config, error);
    return b->vm ? 0 : -1;
}

static int launch_sev(struct experiment *b, struct error *error)
{
    struct sev_cert godh;
    struct sev_session session;
    u8 measure[48];
    if (owner_session(b, &godh, &session, error) ||
        vm_launch_start(b->vm, &godh, sizeof godh, &session, sizeof session, error) ||
        vm_launch_update(b->vm, error) ||
        (experiment_is_es(b) && vm_launch_update_vmsa(b->vm, error)) ||
        vm_launch_measure(b->vm, measure, error))
        return -1;
    memcpy(&b->measure, measure, sizeof b->measure);
    return owner_looks(b, error);
}

int experiment_launch_measured(struct experiment *b, struct error *error)
{
    if (create(b, error))
        return -1;
    b->measured_well = b->mode == IMAGE_NONE;
    if (b->mode == IMAGE_NONE)
        return vm_load(b->vm, error);
    if (!experiment_is_snp(b))
        return launch_sev(b, error);
    return vm_snp_launch_start(b->vm, error) || vm_snp_launch_update(b->vm, error) ? -1 : 0;
}

int experiment_launch_finish(struct experiment *b, struct error *error)
{
    if (b->mode == IMAGE_NONE)
        return 0;
    if (!experiment_is_snp(b))
        return vm_launch_finish(b->vm, error);
    return vm_snp_launch_finish(b->vm, NULL, NULL, false, NULL, error) ? -1 : owner_looks(b, error);
}

int experiment_launch(struct experiment *b, struct error *error)
{
    if (experiment_platform(b, error) || experiment_launch_measured(b, error) ||
        experiment_launch_finish(b, error))
        return -1;
    return b->measured_well ? 0
                            : error_set(error, ERROR_MEASUREMENT,
                                        "the victim was not launched as its owner expects");
}

/* --- The run ---------------------------------------------------------------------------------- */

static u64 count_of(const struct vm_exit_count *counts, u32 kinds, const char *name)
{
    for (u32 i = 0; i < kinds; i++)
        if (!strcmp(counts[i].name, name))
            return counts[i].count;
    return 0;
}

static u64 checkpoints(const struct experiment *b)
{
    struct vm_summary s;
    vm_get_summary(b->vm, &s);
    return experiment_is_es(b) ? count_of(s.vmgexits, s.vmgexit_kinds, "msr_protocol")
                               : count_of(s.exits, s.exit_kinds, "io");
}

int experiment_run_to(struct experiment *b, u64 count, struct error *error)
{
    struct vm_summary s;
    u64 limit = host_time_ns(b->host) + BEGIN_NS;
    while (checkpoints(b) < count && vm_get_state(b->vm) == VM_RUNNABLE &&
           host_time_ns(b->host) < limit)
        hypervisor_run(b->hv, host_time_ns(b->host) + SLICE_NS);
    if (vm_get_state(b->vm) == VM_RUNNABLE && checkpoints(b) == count)
        return 0;
    vm_get_summary(b->vm, &s);
    return error_set(error, ERROR_GUEST, "the victim did not come as far as checkpoint %llu: %s",
                     (unsigned long long)count, s.reason);
}

u32 experiment_run_on(struct experiment *b)
{
    struct vm_summary s;
    hypervisor_run(b->hv, host_time_ns(b->host) + END_NS);
    vm_get_summary(b->vm, &s);
    return s.state == VM_DEBUG_EXIT               ? s.debug_exit_code
           : s.terminated && s.terminate_set == 2 ? s.terminate_reason
                                                  : 0;
}

/* --- Outcomes --------------------------------------------------------------------------------- */

int experiment_outcome(struct experiment *b, enum attack_verdict verdict, enum attack_event event,
                       const char *format, ...)
{
    va_list arguments;
    b->result->seen = (struct attack_outcome){.verdict = verdict, .event = event};
    va_start(arguments, format);
    vsnprintf(b->result->told, sizeof b->result->told, format, arguments);
    va_end(arguments);
    return 0;
}

void experiment_outcome_status(struct experiment *b, u32 status)
{
    b->result->seen.status = status;
}

int experiment_unexplained(struct experiment *b, u32 told, struct error *error)
{
    struct vm_summary s;
    struct vmcb_control last;
    vm_get_summary(b->vm, &s);
    tool_last_exit(b, &last);
    return error_set(error, ERROR_GUEST, "the victim said %u, its last exit was %#llx (%#llx); %s",
                     told, (unsigned long long)last.exit_code, (unsigned long long)last.exit_info_1,
                     *s.reason ? s.reason : "it has not ended");
}

int experiment_judge(struct experiment *b, enum attack_event event, const char *why,
                     struct error *error)
{
    u32 told = experiment_run_on(b);
    if (told == TOLD_MISLED)
        return experiment_outcome(b, ATTACK_BREAKS, ATTACK_GUEST_MISLED,
                                  "the guest went on with what the host made of it");
    if (told == TOLD_GARBAGE)
        return experiment_outcome(b, ATTACK_STOPPED, ATTACK_GARBAGE,
                                  "the guest read neither what it wrote nor what the host wanted");
    if (told == TOLD_WELL && event != ATTACK_EVENT_NONE)
        return experiment_outcome(b, ATTACK_STOPPED, event, "%s", why);
    return experiment_unexplained(b, told, error);
}
