/* SPDX-License-Identifier: Apache-2.0 */
/* softsev profiles: the parts and firmware generations that a platform can be. */
#include "abi/snp.h"
#include "cli/cli.h"
#include "cli/identity/profile.h"
#include "cli/options.h"
#include "cli/profiles/profiles.h"
#include "firmware/firmware.h"

#include <jansson.h>
#include <stdio.h>

static const struct {
    u32 bit;
    const char *name;
} features[] = {
    {SNP_FEATURE_ECX_VLEK, "VLEK"},
    {SNP_FEATURE_ECX_X86_SHUTDOWN, "X86_SHUTDOWN"},
    {SNP_FEATURE_ECX_RAPL_DIS, "RAPL_DIS"},
    {SNP_FEATURE_ECX_CIPHERTEXT_HIDING, "CIPHERTEXT_HIDING"},
    {SNP_FEATURE_ECX_VERIFY_MITIGATION, "VERIFY_MITIGATION"},
};

static void print_row(const struct firmware_profile *p)
{
    char tcb[CLI_TCB_TEXT] = "-", report[8] = "-", api[16];
    if (p->report_version) {
        cli_tcb_text(p, p->tcb, tcb);
        snprintf(report, sizeof report, "v%u", p->report_version);
    }
    snprintf(api, sizeof api, "%u.%u.%u", p->api_major, p->api_minor, p->build);
    printf("%-11s %-9s %-8s %-7s %-11s", p->name, p->product_name ? p->product_name : p->product,
           api, report, tcb);
    for (size_t i = 0; i < ARRAY_SIZE(features); i++)
        if (p->features & features[i].bit)
            printf(" %s", features[i].name);
    putchar('\n');
}

static json_t *json_features(const struct firmware_profile *p)
{
    json_t *names = json_array();
    for (size_t i = 0; i < ARRAY_SIZE(features); i++)
        if (p->features & features[i].bit)
            json_array_append_new(names, json_string(features[i].name));
    return names;
}

static json_t *json_row(const struct firmware_profile *p)
{
    char tcb[CLI_TCB_TEXT], number[20];
    json_t *j = json_pack("{s:s, s:b, s:s, s:i, s:i, s:i, s:i}", "name", p->name, "default",
                          p == FIRMWARE_PROFILE_DEFAULT, "product", p->product, "api_major",
                          (int)p->api_major, "api_minor", (int)p->api_minor, "build", (int)p->build,
                          "report_version", (int)p->report_version);
    if (!j || !p->report_version)
        return j;
    cli_tcb_text(p, p->tcb, tcb);
    snprintf(number, sizeof number, "0x%016llx", (unsigned long long)p->tcb);
    json_t *more =
        json_pack("{s:s, s:i, s:i, s:i, s:s, s:s, s:i, s:o, s:I}", "product_name", p->product_name,
                  "family", (int)p->family, "model", (int)p->model, "stepping", (int)p->stepping,
                  "tcb", tcb, "tcb_version", number, "chip_id_size", (int)p->chip_id_size,
                  "features", json_features(p), "mitigations", (json_int_t)p->mitigations);
    if (!more || json_object_update(j, more)) {
        json_decref(j);
        j = NULL;
    }
    json_decref(more);
    return j;
}

static int print_json(struct error *e)
{
    json_t *all = json_array();
    bool good = all != NULL;
    for (const struct firmware_profile *p = firmware_profiles; p->name && good; p++)
        good = json_array_append_new(all, json_row(p)) == 0;
    if (!good) {
        json_decref(all);
        all = NULL;
    }
    return cli_tell_json(all, e);
}

enum profiles_option { PROFILES_JSON = 1, PROFILES_CPU };

static const struct option_row rows[] = {
    [PROFILES_JSON] = {"json", OPTION_FLAG, NULL, "print one line of JSON: an array of objects",
                       .man = "Print the same as one JSON array; with\n.Fl -cpu\nas one object."},
    [PROFILES_CPU] = {"cpu", OPTION_TEXT, "MODEL", "show a CPU model instead, such as milan,-umip",
                      .man = "Show instead what a model of\n.Ic softsev run --cpu\nshows in CPUID, "
                             "register by register, and what its part has that these cores lack."},
};

const struct option_table cli_profiles_table = {
    .command = "profiles",
    .title = "list the parts and firmware that a platform can be",
    .usage = "softsev profiles [--cpu MODEL] [--json]",
    .about = "Lists what --profile NAME can make of a platform: its part, the firmware's API\n"
             "version and build, the version of its SNP reports, its TCB (boot loader, TEE,\n"
             "SNP, microcode; on a Turin FMC before them), and what SNP_FEATURE_INFO says.\n"
             "A part without reports supports SEV and SEV-ES alone.",
    .rows = rows,
    .count = ARRAY_SIZE(rows),
};

int cli_profiles(int argc, char **argv)
{
    struct error e = {.code = ERROR_NONE};
    struct options given;
    int status;
    if (!options_open(&cli_profiles_table, argc, argv, &given, &status))
        return status;
    if (given.text[PROFILES_CPU])
        return profiles_print_cpu(given.text[PROFILES_CPU], given.text[PROFILES_JSON], &e)
                   ? cli_fail("profiles", &e)
                   : ERROR_NONE;
    if (given.text[PROFILES_JSON])
        return print_json(&e) ? cli_fail("profiles", &e) : ERROR_NONE;
    printf("%-11s %-9s %-8s %-7s %-11s %s\n", "NAME", "PART", "API", "REPORT", "TCB", "FEATURES");
    for (const struct firmware_profile *p = firmware_profiles; p->name; p++)
        print_row(p);
    printf("The default is %s.\n", FIRMWARE_PROFILE_DEFAULT->name);
    return ERROR_NONE;
}
