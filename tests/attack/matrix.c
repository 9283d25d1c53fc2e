/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every published attack in every mode, compared with what its authors and the manuals say, typed
 * here a second time: one letter a mode, B for broken, and the event that must have stopped it.
 */
#include "cli/attack/attack_lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define BROKEN "breaks"
#define NO_USE "no use: the guest has no handler, and ends"

static const struct {
    const char *attack, *mode[ATTACK_MODES];
} papers[] = {
    {"registers-read",
     {BROKEN, BROKEN, "stopped: registers are unreadable", "stopped: registers are unreadable"}},
    {"registers-write",
     {BROKEN, BROKEN, "stopped: VMRUN refuses the VMSA", "stopped: the host's write faults"}},
    {"remap", {BROKEN, BROKEN, BROKEN, "stopped: nested fault, RMP"}},
    {"remap-assigned", {BROKEN, BROKEN, BROKEN, "stopped: #VC, page not validated"}},
    {"replay", {BROKEN, BROKEN, BROKEN, "stopped: the host's write faults"}},
    {"move",
     {BROKEN, "stopped: the guest reads garbage", "stopped: the guest reads garbage",
      "stopped: the host's write faults"}},
    {"permute", {BROKEN, BROKEN, BROKEN, "stopped: the measurement differs"}},
    {"secret", {BROKEN, BROKEN, BROKEN, "stopped: the firmware refuses, INVALID_GUEST"}},
    {"cpuid", {BROKEN, BROKEN, BROKEN, "stopped: the CPUID page is refused, INVALID_PARAM"}},
    {"cpuid-later", {BROKEN, BROKEN, BROKEN, "stopped: the guest has a CPUID page"}},
    {"interrupt", {BROKEN, BROKEN, BROKEN, BROKEN}},
    {"interrupt-restricted", {BROKEN, BROKEN, BROKEN, "stopped: VMRUN refuses the event"}},
    {"interrupt-alternate", {BROKEN, BROKEN, BROKEN, "stopped: the event is not delivered"}},
    {"vc-careful",
     {NO_USE, NO_USE, "stopped: the guest notices, and ends",
      "stopped: the guest notices, and ends"}},
    {"alias", {BROKEN, BROKEN, BROKEN, BROKEN}},
    {"alias-checked", {BROKEN, BROKEN, BROKEN, "stopped: the firmware refuses, INVALID_CONFIG"}},
    {"vc", {NO_USE, NO_USE, BROKEN, BROKEN}},
    {"vc-restricted", {NO_USE, NO_USE, BROKEN, "stopped: VMRUN refuses the event"}},
};

static struct cli_attack_lab lab;

static void play(u32 row, enum image_mode mode)
{
    const struct attack *a = attack_find(papers[row].attack);
    struct attack_result r;
    struct error e = {.code = ERROR_NONE};
    char text[120];
    assert_non_null(a);
    if (attack_run(a, mode, &lab.machines, lab.owner, &r, &e))
        fail_msg("%s, mode %s: %s", a->name, image_mode_name(mode), e.text);
    attack_outcome_text(&r.seen, text);
    if (strncmp(text, papers[row].mode[mode], strlen(papers[row].mode[mode])) != 0)
        fail_msg("%s, mode %s: %s (%s); expected %s", a->name, image_mode_name(mode), text, r.told,
                 papers[row].mode[mode]);
    assert_true(attack_as_expected(a, mode, &r));
}

static void attacks_in_mode(enum image_mode mode)
{
    for (u32 row = 0; row < ARRAY_SIZE(papers); row++)
        play(row, mode);
}

static void plain_guests_are_open(void **state)
{
    (void)state;
    attacks_in_mode(IMAGE_NONE);
}

static void sev_guests(void **state)
{
    (void)state;
    attacks_in_mode(IMAGE_SEV);
}

static void sev_es_guests(void **state)
{
    (void)state;
    attacks_in_mode(IMAGE_SEV_ES);
}

static void sev_snp_guests(void **state)
{
    (void)state;
    attacks_in_mode(IMAGE_SEV_SNP);
}

static void every_attack_is_in_the_papers(void **state)
{
    (void)state;
    assert_int_equal(attack_count, ARRAY_SIZE(papers));
}

static int setup(void **state)
{
    struct error e = {.code = ERROR_NONE};
    (void)state;
    return cli_attack_open(&lab, &e);
}

static int teardown(void **state)
{
    (void)state;
    cli_attack_close(&lab);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_attack_is_in_the_papers),
        cmocka_unit_test(plain_guests_are_open),
        cmocka_unit_test(sev_guests),
        cmocka_unit_test(sev_es_guests),
        cmocka_unit_test(sev_snp_guests),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
