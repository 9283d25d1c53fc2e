/* SPDX-License-Identifier: Apache-2.0 */
/* The table of attacks, what is expected of each, and how one is run. */
#include "attack/internal.h"

#include "abi/sev.h"

#include <stdio.h>
#include <stdlib.h>

// clang-format off
#define B(event)       {ATTACK_BREAKS, ATTACK_##event, 0}
#define S(event)       {ATTACK_STOPPED, ATTACK_##event, 0}
#define N(event)       {ATTACK_NO_USE, ATTACK_##event, 0}
#define F(event, code) {ATTACK_STOPPED, ATTACK_##event, SEV_STATUS_##code}
#define MISLED         B(GUEST_MISLED)

const struct attack attacks[] = {
    {.name = "registers-read", .title = "reading registers after an exit",
     .source = "Hetzelt and Buhren, 2017",
     .host = "looks for the guest's secret in the core, the VMCB and the VMSA",
     .victim = VICTIM_REGISTERS,
     .expected = {B(HOST_READS), B(HOST_READS), S(UNREADABLE), S(UNREADABLE)},
     .play = play_registers_read},
    {.name = "registers-write", .title = "changing registers after an exit",
     .source = "Hetzelt and Buhren, 2017",
     .host = "changes a register where it lies, and goes on with VMRUN", .victim = VICTIM_REGISTERS,
     .expected = {MISLED, MISLED, S(VMRUN_REFUSES), S(WRITE_FAULTS)}, .play = play_registers_write},
    {.name = "remap", .title = "SEVered: pages exchanged in the nested tables",
     .source = "Morbitzer et al., 2018",
     .host = "lets two guest addresses have each other's page", .victim = VICTIM_PAGES,
     .expected = {MISLED, MISLED, MISLED, S(NESTED_FAULT)}, .play = play_remap},
    {.name = "remap-assigned", .title = "the same, with RMP entries to match",
     .source = "Morbitzer et al., 2018",
     .host = "also gives the page its new address by RMPUPDATE", .victim = VICTIM_PAGES,
     .expected = {MISLED, MISLED, MISLED, S(NOT_VALIDATED)}, .play = play_remap_assigned},
    {.name = "replay", .title = "old ciphertext put back", .source = "Hetzelt and Buhren, 2017",
     .host = "keeps a page's ciphertext and writes it back after the guest has changed the page",
     .victim = VICTIM_STATE,
     .expected = {MISLED, MISLED, MISLED, S(WRITE_FAULTS)}, .play = play_replay},
    {.name = "move", .title = "ciphertext moved, the cipher's tweak unknown",
     .source = "Du et al., 2017",
     .host = "copies a page's ciphertext over another page's", .victim = VICTIM_PAGES,
     .expected = {MISLED, S(GARBAGE), S(GARBAGE), S(WRITE_FAULTS)}, .play = play_move},
    {.name = "permute", .title = "undeSErVed trust: launch blocks at other addresses",
     .source = "Wilke et al., 2021",
     .host = "launches the same blocks in the same order, two of them at each other's address",
     .victim = VICTIM_BLOCKS,
     .expected = {MISLED, MISLED, MISLED, S(MEASUREMENT)}, .play = play_permute},
    {.name = "secret", .title = "LAUNCH_SECRET steered to another address",
     .source = "the SEV API's packet MAC",
     .host = "lets the owner's secret land in a page that the guest publishes",
     .victim = VICTIM_HOLE,
     .expected = {B(HOST_READS), B(HOST_READS), B(HOST_READS), F(FIRMWARE_REFUSES, INVALID_GUEST)},
     .play = play_secret,
     .alone = alone_with_secret},
    {.name = "cpuid", .title = "CPUID tells of a feature that is not there, from the launch on",
     .source = "SNP white paper, 2020",
     .host = "answers that the processor has MONITOR and MWAIT, in an SNP guest's CPUID page too",
     .victim = VICTIM_FEATURE,
     .expected = {MISLED, MISLED, MISLED, F(CPUID_REFUSED, INVALID_PARAM)}, .play = play_cpuid},
    {.name = "cpuid-later", .title = "the same, from the guest's first instruction on",
     .source = "SNP white paper, 2020",
     .host = "launches an honest CPUID page and lies to who asks", .victim = VICTIM_FEATURE,
     .expected = {MISLED, MISLED, MISLED, S(CPUID_FROM_PAGE)}, .play = play_cpuid_later},
    {.name = "interrupt", .title = "Heckler: int 80h from outside",
     .source = "Schlüter et al., 2024",
     .host = "injects vector 80h as an external interrupt, whose handler returns in RAX",
     .victim = VICTIM_INTERRUPT,
     .expected = {MISLED, MISLED, MISLED, MISLED}, .play = play_interrupt},
    {.name = "interrupt-restricted", .title = "the same, SNP with restricted injection",
     .source = "Schlüter et al., 2024",
     .host = "injects vector 80h into a guest whose VMSA asks for restricted injection",
     .victim = VICTIM_INTERRUPT,
     .features = SEV_FEATURE_RESTRICTED_INJECTION,
     .expected = {MISLED, MISLED, MISLED, S(INJECTION_REFUSED)}, .play = play_interrupt},
    {.name = "interrupt-alternate", .title = "the same, SNP with alternate injection",
     .source = "Schlüter et al., 2024",
     .host = "injects vector 80h into a guest whose VMSA asks for alternate injection",
     .victim = VICTIM_INTERRUPT,
     .features = SEV_FEATURE_ALTERNATE_INJECTION,
     .expected = {MISLED, MISLED, MISLED, S(INJECTION_IGNORED)}, .play = play_interrupt},
    {.name = "vc", .title = "WeSee: #VC from outside", .source = "Schlüter et al., 2024",
     .host = "injects #VC for a CPUID that nobody executed: the handler hands RAX out and takes "
             "another",
     .victim = VICTIM_EXCEPTION,
     .expected = {N(NO_HANDLER), N(NO_HANDLER), MISLED, MISLED}, .play = play_vc},
    {.name = "vc-restricted", .title = "the same, SNP with restricted injection",
     .source = "Schlüter et al., 2024",
     .host = "injects #VC into a guest whose VMSA asks for restricted injection",
     .victim = VICTIM_EXCEPTION,
     .features = SEV_FEATURE_RESTRICTED_INJECTION,
     .expected = {N(NO_HANDLER), N(NO_HANDLER), MISLED, S(INJECTION_REFUSED)}, .play = play_vc},
    {.name = "vc-careful", .title = "the same, on a guest that looks whether RIP is at a CPUID",
     .source = "Schlüter et al., 2024",
     .host = "injects #VC into a guest with the check that Linux has since",
     .victim = VICTIM_CAREFUL,
     .expected = {N(NO_HANDLER), N(NO_HANDLER), S(NOTICED), S(NOTICED)}, .play = play_vc},
    {.name = "alias", .title = "BadRAM: two addresses for each byte",
     .source = "De Meulemeester et al., 2024",
     .host = "replays a page's ciphertext through its second address; firmware Milan 1.52",
     .victim = VICTIM_STATE,
     .aliased = true, .profile = "milan-1.52", .expected = {MISLED, MISLED, MISLED, MISLED},
     .play = play_alias},
    {.name = "alias-checked", .title = "the same, with firmware that looks for aliases",
     .source = "De Meulemeester et al., 2024",
     .host = "replays a page's ciphertext through its second address; firmware Milan 1.55",
     .victim = VICTIM_STATE,
     .aliased = true, .profile = "milan-1.55",
     .expected = {MISLED, MISLED, MISLED, F(FIRMWARE_REFUSES, INVALID_CONFIG)},
     .play = play_alias_checked},
};
// clang-format on
const u32 attack_count = ARRAY_SIZE(attacks);

const struct attack *attack_find(const char *name)
{
    for (u32 i = 0; i < attack_count; i++)
        if (!strcmp(attacks[i].name, name))
            return &attacks[i];
    return NULL;
}

/* --- Words ------------------------------------------------------------------------------------ */

const char *attack_verdict_name(enum attack_verdict verdict)
{
    static const char *const names[] = {"breaks", "stopped", "no use"};
    return names[verdict];
}

const char *attack_event_name(enum attack_event event)
{
    static const char *const names[ATTACK_EVENTS] = {
        [ATTACK_EVENT_NONE] = "nothing happens",
        [ATTACK_HOST_READS] = "the host reads it",
        [ATTACK_GUEST_MISLED] = "the guest is misled",
        [ATTACK_GARBAGE] = "the guest reads garbage",
        [ATTACK_NOTICED] = "the guest notices, and ends",
        [ATTACK_UNREADABLE] = "registers are unreadable",
        [ATTACK_WRITE_FAULTS] = "the host's write faults",
        [ATTACK_NESTED_FAULT] = "nested fault, RMP",
        [ATTACK_NOT_VALIDATED] = "#VC, page not validated",
        [ATTACK_VMRUN_REFUSES] = "VMRUN refuses the VMSA",
        [ATTACK_MEASUREMENT] = "the measurement differs",
        [ATTACK_FIRMWARE_REFUSES] = "the firmware refuses",
        [ATTACK_CPUID_FROM_PAGE] = "the guest has a CPUID page",
        [ATTACK_CPUID_REFUSED] = "the CPUID page is refused",
        [ATTACK_INJECTION_REFUSED] = "VMRUN refuses the event",
        [ATTACK_INJECTION_IGNORED] = "the event is not delivered",
        [ATTACK_NO_HANDLER] = "the guest has no handler, and ends",
    };
    return names[event];
}

void attack_outcome_text(const struct attack_outcome *outcome, char text[120])
{
    snprintf(text, 120, "%s: %s%s%s", attack_verdict_name(outcome->verdict),
             attack_event_name(outcome->event), outcome->status ? ", " : "",
             outcome->status ? sev_status_name(outcome->status) : "");
}

/* --- A run ------------------------------------------------------------------------------------ */

static int on_machine(struct experiment *b, int (*what)(struct experiment *, struct error *),
                      struct error *error)
{
    int result = experiment_open(b, error) || what(b, error) ? -1 : 0;
    experiment_close(b);
    return result;
}

/* Runs the victim without the attack. It must end well, so that a difference in the other run comes
 * from the attack. */
static int leave_alone(struct experiment *b, struct error *error)
{
    if (b->attack->alone)
        return b->attack->alone(b, error);
    if (experiment_launch(b, error))
        return -1;
    u32 told = experiment_run_on(b);
    return told == TOLD_WELL ? 0 : experiment_unexplained(b, told, error);
}

int attack_run(const struct attack *attack, enum image_mode mode,
               const struct attack_machines *machines, struct crypto *owner,
               struct attack_result *result, struct error *error)
{
    const struct experiment empty = {
        .attack = attack, .mode = mode, .machines = machines, .crypto = owner, .result = result};
    struct experiment *b = malloc(sizeof *b);
    if (!b)
        return error_set(error, ERROR_MEMORY, "out of memory");
    memset(result, 0, sizeof *result);
    *b = empty;
    int failed = on_machine(b, leave_alone, error);
    if (!failed) {
        *b = empty;
        b->attacked = true;
        failed = on_machine(b, attack->play, error);
    }
    free(b);
    return failed;
}

bool attack_as_expected(const struct attack *attack, enum image_mode mode,
                        const struct attack_result *result)
{
    const struct attack_outcome *e = &attack->expected[mode], *s = &result->seen;
    return e->verdict == s->verdict && e->event == s->event && e->status == s->status;
}
