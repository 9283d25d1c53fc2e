/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on what a guest is launched with: where its blocks lie, where its secret lands, what
 * CPUID says. */
#include "attack/internal.h"

#include "abi/sev.h"

/* --- Blocks [undeSErVed trust] ---------------------------------------------------------------- */

/* Splits the victim's image into three pieces and exchanges the addresses of the second and the
 * third. */
static int permute(struct experiment *b, struct error *error)
{
    struct image_plan *plan = &b->plan;
    u32 at = 0;
    while (at < plan->piece_count && plan->pieces[at].gpa != VICTIM_LOAD)
        at++;
    if (at == plan->piece_count || plan->pieces[at].data_size != 3 * PAGE_SIZE ||
        plan->piece_count + 2 > IMAGE_PIECES_MAX)
        return error_set(error, ERROR_INTERNAL, "the victim's image has no three blocks");
    struct image_piece block = plan->pieces[at];
    memmove(&plan->pieces[at + 3], &plan->pieces[at + 1],
            (plan->piece_count - at - 1) * sizeof block);
    plan->piece_count += 2;
    block.size = block.data_size = PAGE_SIZE;
    static const u64 addresses[] = {VICTIM_LOAD, VICTIM_BLOCK + PAGE_SIZE, VICTIM_BLOCK};
    for (u32 i = 0; i < 3; i++) {
        block.gpa = addresses[i];
        plan->pieces[at + i] = block;
        block.data += PAGE_SIZE;
    }
    return 0;
}

/* Runs the guest in any case, which shows that it is a different guest. An owner who refuses sends
 * it nothing. */
int play_permute(struct experiment *b, struct error *error)
{
    if (permute(b, error) || experiment_platform(b, error) ||
        experiment_launch_measured(b, error) || experiment_launch_finish(b, error))
        return -1;
    u32 told = experiment_run_on(b);
    if (told != TOLD_MISLED)
        return experiment_unexplained(b, told, error);
    if (!b->measured_well)
        return experiment_outcome(b, ATTACK_STOPPED, ATTACK_MEASUREMENT,
                                  "the guest is another, and its measurement says so");
    return experiment_outcome(b, ATTACK_BREAKS, ATTACK_GUEST_MISLED, "the guest is another, %s",
                              b->mode == IMAGE_NONE ? "and nobody measures it"
                                                    : "and its measurement the one expected");
}

/* --- LAUNCH_SECRET [sev 5.4, 7.6] ------------------------------------------------------------- */

#define SECRET_SIZE 32u

static const u8 secret[SECRET_SIZE] = "the owner's, for the hole alone";

/* Sends LAUNCH_SECRET. The host uses the mailbox directly, without the driver's checks. */
static u32 launch_secret(struct experiment *b, u64 gpa)
{
    struct sev_packet_header header;
    u8 data[SECRET_SIZE];
    struct sev_packet packet = {
        .handle = vm_handle(b->vm),
        .hdr_paddr = psp_data(b->hv, PAGE_SIZE),
        .hdr_len = sizeof header,
        .guest_paddr = vm_memory_at(b->vm, gpa),
        .guest_len = sizeof data,
        .trans_paddr = psp_data(b->hv, 2 * PAGE_SIZE),
        .trans_len = sizeof data,
    };
    owner_seals(b, secret, data, sizeof data, &header);
    if (!psp_data_write(b->hv, 0, &packet, sizeof packet) ||
        !psp_data_write(b->hv, PAGE_SIZE, &header, sizeof header) ||
        !psp_data_write(b->hv, 2 * PAGE_SIZE, data, sizeof data))
        return SEV_STATUS_INVALID_ADDRESS;
    return host_mailbox(b->host, SEV_CMD_LAUNCH_SECRET, psp_data(b->hv, 0));
}

/* The firmware refuses the command if there is no SEV guest at all, so the host starts one. */
static int start_accomplice(struct experiment *b, struct error *error)
{
    struct sev_start start = {.policy = SEV_POLICY_NODBG};
    return platform_init(b->hv, error) ||
                   psp_check(psp_command(b->hv, SEV_CMD_LAUNCH_START, &start, sizeof start),
                             SEV_CMD_LAUNCH_START, error)
               ? -1
               : 0;
}

/* Puts the secret at `gpa` and returns what the guest reports. For a plain guest the host writes
 * it. An SNP guest cannot get a secret this way; `status` is the firmware's refusal. */
static int run_with_secret(struct experiment *b, u64 gpa, u32 *told, u32 *status,
                           struct error *error)
{
    *status = SEV_STATUS_SUCCESS;
    if (experiment_platform(b, error) || (experiment_is_snp(b) && start_accomplice(b, error)) ||
        experiment_launch_measured(b, error))
        return -1;
    if (b->mode != IMAGE_NONE)
        *status = launch_secret(b, gpa);
    else if (!host_write(b->host, vm_memory_at(b->vm, gpa), secret, sizeof secret))
        return error_set(error, ERROR_INTERNAL, "the guest's memory is not where it should be");
    if (experiment_launch_finish(b, error))
        return -1;
    if (!b->measured_well)
        return error_set(error, ERROR_MEASUREMENT,
                         "the victim was not launched as its owner expects");
    *told = experiment_run_on(b);
    return 0;
}

int alone_with_secret(struct experiment *b, struct error *error)
{
    u32 told = 0, status = 0;
    if (run_with_secret(b, VICTIM_BLOCK, &told, &status, error))
        return -1;
    return told == (experiment_is_snp(b) ? TOLD_NO_SECRET : TOLD_WELL)
               ? 0
               : experiment_unexplained(b, told, error);
}

int play_secret(struct experiment *b, struct error *error)
{
    u32 told = 0, status = 0;
    if (run_with_secret(b, VICTIM_BLOCK + PAGE_SIZE, &told, &status, error))
        return -1;
    if (told == secret[0])
        return experiment_outcome(b, ATTACK_BREAKS, ATTACK_HOST_READS,
                                  "the guest published the secret's first byte, %#x", told);
    if (told != TOLD_NO_SECRET || status == SEV_STATUS_SUCCESS)
        return experiment_unexplained(b, told, error);
    experiment_outcome(b, ATTACK_STOPPED, ATTACK_FIRMWARE_REFUSES,
                       "LAUNCH_SECRET is not for such guests: %s", sev_status_name(status));
    experiment_outcome_status(b, status);
    return 0;
}

/* --- CPUID [cpu 1.6; snp 5.4] ----------------------------------------------------------------- */

#define LEAF1_ECX_MONITOR BIT(3) /* no emulated processor has it */

static void lie(void *context, u32 leaf, u32 subleaf, u32 out[4])
{
    struct experiment *b = context;
    if (leaf != 1 || subleaf || !b->lies)
        return;
    out[2] |= (u32)LEAF1_ECX_MONITOR;
    b->lie_count++;
}

int play_cpuid(struct experiment *b, struct error *error)
{
    struct error why = {.code = ERROR_NONE};
    u32 command;
    b->cpuid = lie;
    b->lies = true;
    if (experiment_platform(b, error))
        return -1;
    if (!experiment_launch_measured(b, &why))
        return experiment_launch_finish(b, error)
                   ? -1
                   : experiment_judge(b, ATTACK_EVENT_NONE, "", error);
    u32 status = psp_refusal(b->hv, &command);
    if (!b->lie_count || command != SEV_CMD_SNP_LAUNCH_UPDATE)
        return error_set(error, why.code, "%s", why.text);
    experiment_outcome(b, ATTACK_STOPPED, ATTACK_CPUID_REFUSED, "%s, of the CPUID page", why.text);
    experiment_outcome_status(b, status);
    return 0;
}

int play_cpuid_later(struct experiment *b, struct error *error)
{
    b->cpuid = lie;
    if (experiment_launch(b, error))
        return -1;
    b->lies = true;
    return experiment_judge(b, experiment_is_snp(b) ? ATTACK_CPUID_FROM_PAGE : ATTACK_EVENT_NONE,
                            "the guest read its CPUID page, which the firmware has checked", error);
}
