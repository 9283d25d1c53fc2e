/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on a running guest's registers and memory. */
#include "attack/internal.h"

#include "abi/rmp.h"
#include "abi/sev.h"

#define R12              12u
#define VMSA_R12         (offsetof(struct vmsa, r8_15) + 4 * 8)
#define REGISTER_OF_HOST 0x6666666666666666ull

static int stand_at(struct experiment *b, u64 checkpoint, struct error *error)
{
    return experiment_launch(b, error) || experiment_run_to(b, checkpoint, error) ? -1 : 0;
}

/* --- Registers [Hetzelt and Buhren] ----------------------------------------------------------- */

/* Searches all that the host can read: the core after the exit, the VMCB, and the VMSA's bytes. */
static bool sees_register(struct experiment *b)
{
    u8 page[PAGE_SIZE];
    bool seen = tool_finds((const u8 *)host_gpr(b->host, 0), 16 * 8, VICTIM_SECRET);
    seen |= host_read(b->host, vm_vmcb(b->vm, 0), page, sizeof page) &&
            tool_finds(page, sizeof page, VICTIM_SECRET);
    if (experiment_is_es(b))
        seen |= host_read(b->host, vm_vmsa(b->vm, 0), page, sizeof page) &&
                tool_finds(page, sizeof page, VICTIM_SECRET);
    return seen;
}

int play_registers_read(struct experiment *b, struct error *error)
{
    if (stand_at(b, 1, error))
        return -1;
    bool seen = sees_register(b);
    u32 told = experiment_run_on(b);
    if (told != TOLD_WELL) /* the secret must have been there, and reading must not change it */
        return experiment_unexplained(b, told, error);
    if (seen)
        return experiment_outcome(b, ATTACK_BREAKS, ATTACK_HOST_READS,
                                  "R12 lies open after the exit");
    return experiment_outcome(
        b, ATTACK_STOPPED, ATTACK_UNREADABLE,
        "R12 is in none of the core's registers, the VMCB and the bytes of the VMSA");
}

/* Changes the ciphertext of R12 and R13 and of no other register, so that only the check value can
 * refuse it. */
static int write_vmsa(struct experiment *b, struct error *error)
{
    struct vmcb v;
    u8 byte;
    u64 at = vm_vmsa(b->vm, 0) + VMSA_R12;
    if (!host_read(b->host, at, &byte, 1))
        return error_set(error, ERROR_INTERNAL, "the VMSA is not where it should be");
    byte ^= 1;
    if (!host_write(b->host, at, &byte, 1))
        return experiment_judge(b, ATTACK_WRITE_FAULTS,
                                "the host's write to the VMSA faults, and R12 is what it was",
                                error);
    if (!tool_vmrun(b, 0, false, &v))
        return error_set(error, ERROR_INTERNAL, "VMRUN raised #GP");
    if (v.control.exit_code == EXIT_INVALID)
        return experiment_outcome(b, ATTACK_STOPPED, ATTACK_VMRUN_REFUSES,
                                  "VMRUN of the changed VMSA: VMEXIT_INVALID");
    return experiment_judge(b, ATTACK_EVENT_NONE, "", error);
}

int play_registers_write(struct experiment *b, struct error *error)
{
    if (stand_at(b, 1, error))
        return -1;
    if (experiment_is_es(b))
        return write_vmsa(b, error);
    host_gpr(b->host, 0)[R12] = REGISTER_OF_HOST;
    return experiment_judge(b, ATTACK_EVENT_NONE, "", error);
}

/* --- Nested tables [SEVered] ------------------------------------------------------------------ */

/* The exchanged pages decrypt: they have the same key, and each keeps its own system address. */
static int remapped(struct experiment *b, struct error *error)
{
    struct vmcb v;
    struct vmcb_control last;
    if (!tool_exchange(b, VICTIM_FIRST, VICTIM_SECOND) || !tool_vmrun(b, 0, true, &v))
        return error_set(error, ERROR_INTERNAL, "the nested tables are not what they should be");
    u32 told = experiment_run_on(b);
    tool_last_exit(b, &last);
    if (told == TOLD_MISLED)
        return experiment_outcome(b, ATTACK_BREAKS, ATTACK_GUEST_MISLED,
                                  "the guest read its other page at the first one's address");
    if (told == TOLD_NOT_VALIDATED)
        return experiment_outcome(b, ATTACK_STOPPED, ATTACK_NOT_VALIDATED,
                                  "the guest met #VC 404h: its page is not validated");
    if (!told && tool_fault_of_rmp(&last) &&
        ALIGN_DOWN(last.exit_info_2, PAGE_SIZE) == VICTIM_FIRST)
        return experiment_outcome(
            b, ATTACK_STOPPED, ATTACK_NESTED_FAULT,
            "nested page fault %#llx at guest address %#llx: by the RMP the page has another",
            (unsigned long long)last.exit_info_1, (unsigned long long)last.exit_info_2);
    return experiment_unexplained(b, told, error);
}

int play_remap(struct experiment *b, struct error *error)
{
    return stand_at(b, 1, error) ? -1 : remapped(b, error);
}

/* Makes the RMP agree with the nested tables, which clears the validated bits of the entries.
 * Without SNP there is no RMP. */
int play_remap_assigned(struct experiment *b, struct error *error)
{
    if (stand_at(b, 1, error))
        return -1;
    struct rmp_update state = {
        .gpa = VICTIM_FIRST, .assigned = 1, .page_size = 1, .asid = vm_asid(b->vm)};
    u64 other = vm_memory_at(b->vm, VICTIM_SECOND);
    if (experiment_is_snp(b) && host_rmpupdate(b->host, 0, other, &state) != RMP_SUCCESS)
        return error_set(error, ERROR_INTERNAL,
                         "RMPUPDATE does not give the guest's page another address");
    return remapped(b, error);
}

/* --- Old ciphertext --------------------------------------------------------------------------- */

/* Puts old ciphertext back. `distance` is how far from the guest's page the host reads and
 * writes. */
static int replay(struct experiment *b, u64 distance, struct error *error)
{
    u8 old[PAGE_SIZE];
    if (experiment_run_to(b, 1, error))
        return -1;
    u64 at = vm_memory_at(b->vm, VICTIM_FIRST) + distance;
    if (!host_read(b->host, at, old, sizeof old))
        return error_set(error, ERROR_INTERNAL, "the victim's page is not in memory");
    if (experiment_run_to(b, 2, error))
        return -1;
    if (!host_write(b->host, at, old, sizeof old))
        return experiment_judge(b, ATTACK_WRITE_FAULTS,
                                "the host's write to the guest's page faults", error);
    return experiment_judge(b, ATTACK_EVENT_NONE, "", error);
}

int play_replay(struct experiment *b, struct error *error)
{
    return experiment_launch(b, error) || replay(b, 0, error) ? -1 : 0;
}

/* --- Ciphertext of another address ------------------------------------------------------------ */

int play_move(struct experiment *b, struct error *error)
{
    u8 page[PAGE_SIZE];
    if (stand_at(b, 1, error))
        return -1;
    if (!host_read(b->host, vm_memory_at(b->vm, VICTIM_SECOND), page, sizeof page))
        return error_set(error, ERROR_INTERNAL, "the victim's page is not in memory");
    if (!host_write(b->host, vm_memory_at(b->vm, VICTIM_FIRST), page, sizeof page))
        return experiment_judge(b, ATTACK_WRITE_FAULTS,
                                "the host's write to the guest's page faults", error);
    return experiment_judge(b, ATTACK_EVENT_NONE, "", error);
}

/* --- A second address for every byte [BadRAM] ------------------------------------------------- */

/* The RMP has no entry of the guest's for the second address. */
int play_alias(struct experiment *b, struct error *error)
{
    return experiment_launch(b, error) || replay(b, host_memory_size(b->host), error) ? -1 : 0;
}

int play_alias_checked(struct experiment *b, struct error *error)
{
    struct error why = {.code = ERROR_NONE};
    u32 command;
    if (!experiment_is_snp(b) || !experiment_platform(b, &why))
        return play_alias(b, error);
    u32 status = psp_refusal(b->hv, &command);
    if (command != SEV_CMD_SNP_INIT_EX)
        return error_set(error, why.code, "%s", why.text);
    experiment_outcome(b, ATTACK_STOPPED, ATTACK_FIRMWARE_REFUSES, "%s", why.text);
    experiment_outcome_status(b, status);
    return 0;
}
