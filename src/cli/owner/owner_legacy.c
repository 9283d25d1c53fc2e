/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softsev owner verify --chain --report: the attestation report of a SEV or SEV-ES guest [sev 7.8],
 * the chain of its platform, and the root and policy of the owner.
 */
#include "cli/cli.h"
#include "cli/owner/owner_cli.h"
#include "cli/input.h"

#include "base/bytes.h"
#include "base/encoding.h"
#include "owner/legacy_report.h"

#include <jansson.h>

struct legacy_demands {
    struct legacy_policy policy;
    u8 mnonce[16], digest[32];
    u32 guest_policy;
};

/* Takes the launch digest from --digest, the launched bytes, or the files that they come from. */
static int parse_digest(const struct options *options, struct legacy_demands *w, struct error *e)
{
    if (!options->text[OWNER_FIRMWARE] && !options->text[OWNER_KERNEL] &&
        !options->text[OWNER_DIGEST] && !options->text[OWNER_LAUNCH])
        return 0;
    w->policy.launch_digest = w->digest;
    return owner_launch_digest(options, w->digest, e);
}

static int parse_policy(const struct options *options, struct legacy_demands *w, struct error *e)
{
    const char *nonce = options->text[OWNER_NONCE];
    *w = (struct legacy_demands){.policy = {.allow_debug = options->text[OWNER_ALLOW_DEBUG]}};
    if (nonce && owner_decode_base64("--nonce", nonce, w->mnonce, sizeof w->mnonce, e))
        return -1;
    if (owner_sev_policy(options, &w->guest_policy, e))
        return -1;
    w->policy.mnonce = nonce ? w->mnonce : NULL;
    w->policy.policy = options->text[OWNER_POLICY] ? &w->guest_policy : NULL;
    return parse_digest(options, w, e);
}

static void print_verdict(const struct options *options, const struct sev_attestation_report *r)
{
    char digest[65], nonce[32];
    hex_encode(digest, r->launch_digest, sizeof r->launch_digest);
    text_encode_base64(nonce, r->mnonce, sizeof r->mnonce);
    if (!options->text[OWNER_JSON]) {
        printf("legacy report: verifies\nlaunch digest  %s\npolicy         0x%x\nMNONCE         "
               "%s\n",
               digest, r->policy, nonce);
        return;
    }
    json_t *j = json_pack("{s:b, s:s, s:I, s:s}", "verified", 1, "launch_digest", digest, "policy",
                          (json_int_t)r->policy, "mnonce", nonce);
    cli_print_json(j);
}

static bool is_reported(void *report, const u8 digest[MEASURE_DIGEST_MAX])
{
    const struct sev_attestation_report *r = report;
    return !memcmp(r->launch_digest, digest, sizeof r->launch_digest);
}

int owner_check_legacy_report(const struct options *options, const struct cli_file *report,
                              struct error *e)
{
    struct sev_platform_chain chain;
    struct amd_chain root;
    struct sev_attestation_report r = {.policy = 0};
    struct legacy_demands w;
    struct error why = {.code = ERROR_NONE};
    if (parse_policy(options, &w, e) || owner_read_chain(options->text[OWNER_CHAIN], &chain, e) ||
        owner_read_root(options->text[OWNER_ROOT], &root, e))
        return -1;
    enum legacy_check check =
        owner_verify_legacy_report(report->data, report->size, &chain, &root, &w.policy, &why);
    memcpy(&r, report->data, min_u64(report->size, sizeof r));
    if (check)
        return owner_refuse_report(options, legacy_check_name(check), why.text,
                                   check == LEGACY_CHECK_MEASUREMENT ? is_reported : NULL, &r, e);
    print_verdict(options, &r);
    return 0;
}
