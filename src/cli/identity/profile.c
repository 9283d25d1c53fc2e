/* SPDX-License-Identifier: Apache-2.0 */
/* Firmware profiles and TCBs by their names on a command line; the rule by which a firmware
 * refused. */
#include "cli/identity/profile.h"

#include "authority/authority.h"
#include "firmware/firmware.h"
#include "machine/machine.h"

#include <stdio.h>
#include <stdlib.h>

int cli_add_rule(struct machine *m, struct error *e)
{
    const char *rule = firmware_rule(machine_firmware(m));
    size_t used = strlen(e->text);
    if (e->code == ERROR_FIRMWARE && *rule)
        snprintf(e->text + used, sizeof e->text - used, ": %s", rule);
    return -1;
}

int cli_profile_find(const char *name, const struct firmware_profile **out, struct error *e)
{
    char names[300] = "";
    *out = firmware_profile_find(name);
    if (*out)
        return 0;
    for (const struct firmware_profile *p = firmware_profiles; p->name; p++) {
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", p->name);
    }
    return error_set(e, ERROR_USAGE, "there is no profile '%s'; there are %s", name, names);
}

void cli_tcb_text(const struct firmware_profile *profile, u64 tcb, char out[CLI_TCB_TEXT])
{
    const struct snp_tcb t = snp_tcb_unpack(profile->tcb_layout, tcb);
    int n = 0;
    if (profile->tcb_layout == SNP_TCB_TURIN)
        n = snprintf(out, CLI_TCB_TEXT, "%u.", t.fmc);
    snprintf(out + n, CLI_TCB_TEXT - (size_t)n, "%u.%u.%u.%u", t.boot_loader, t.tee, t.snp,
             t.microcode);
}

/* Parses numbers from 0 to 255 with dots between them. Returns how many there are, or 0 if the text
 * is anything else. */
static unsigned parse_numbers(const char *text, u8 out[5])
{
    for (unsigned count = 0; count < 5;) {
        char *end;
        if (*text < '0' || *text > '9')
            return 0;
        unsigned long value = strtoul(text, &end, 10);
        if (value > 255)
            return 0;
        out[count++] = (u8)value;
        if (!*end)
            return count;
        if (*end != '.')
            return 0;
        text = end + 1;
    }
    return 0;
}

int cli_tcb_parse(const struct firmware_profile *profile, const char *text, const char *what,
                  u64 *out, struct error *e)
{
    const bool turin = profile->tcb_layout == SNP_TCB_TURIN;
    u8 n[5] = {0};
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        const size_t digits = strspn(text + 2, "0123456789abcdefABCDEF");
        *out = strtoull(text + 2, NULL, 16);
        if (digits && digits <= 16 && !text[2 + digits] &&
            !(*out & snp_tcb_reserved(profile->tcb_layout)))
            return 0;
    } else if (parse_numbers(text, n) == (turin ? 5 : 4)) {
        const u8 *p = n + (turin ? 1 : 0);
        *out = snp_tcb_pack(profile->tcb_layout, (struct snp_tcb){.fmc = turin ? n[0] : 0,
                                                                  .boot_loader = p[0],
                                                                  .tee = p[1],
                                                                  .snp = p[2],
                                                                  .microcode = p[3]});
        return 0;
    }
    return error_set(
        e, ERROR_USAGE, "%s '%s' is not a TCB of %s: %s, such as %s", what, text, profile->product,
        turin ? "FMC, boot loader, TEE, SNP and microcode" : "boot loader, TEE, SNP and microcode",
        turin ? "0.1.0.2.71" : "4.0.24.219");
}

const char *cli_profile_at(size_t i)
{
    return firmware_profiles[i].name;
}

_Static_assert(AUTHORITY_CSP_MAX == 100, "CLI_CSP_SHOULD says how long a name may be");

bool cli_csp(const char *text, u64 *unused)
{
    *unused = 0;
    return *text && strlen(text) <= AUTHORITY_CSP_MAX;
}
