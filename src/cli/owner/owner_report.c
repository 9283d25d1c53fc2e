/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softsev owner verify --report: an SNP report, the certificates that came with it, and the root
 * and policy of the owner. Files are what snpguest and AMD's key server write: reports raw or as
 * hexadecimal text, certificates in DER or PEM, chains, folders of them.
 */
#include "cli/cli.h"
#include "cli/owner/owner_cli.h"
#include "cli/input.h"
#include "cli/policy.h"

#include "abi/sev_cert.h"
#include "base/bytes.h"
#include "base/encoding.h"
#include "owner/report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <time.h>

/* --- The owner's policy ----------------------------------------------------------------------- */

static int parse_bytes(const char *name, const char *text, u8 *out, size_t size, const u8 **wish,
                       struct error *e)
{
    if (text)
        *wish = out;
    return owner_hex(name, text, out, size, e);
}

/* Parses a chip ID. Parts with short IDs have 8 bytes in the report, then zeros. */
static int parse_chip_id(const char *text, u8 out[64], const u8 **wish, struct error *e)
{
    memset(out, 0, 64);
    if (!text || !text_decode_hex_exactly(text, out, 8))
        return parse_bytes("chip-id", text, out, 64, wish, e);
    *wish = out;
    return 0;
}

/* Parses a TCB: boot loader, TEE, SNP and microcode, with FMC before them for a part that has
 * it. */
static int parse_tcb(const char *text, struct owner_demands *w, struct error *e)
{
    unsigned v[5];
    char rest;
    if (!text)
        return 0;
    int count = sscanf(text, "%3u.%3u.%3u.%3u.%3u%c", &v[0], &v[1], &v[2], &v[3], &v[4], &rest);
    bool good = count == 5 || (count == 4 && sscanf(text, "%*3u.%*3u.%*3u.%*3u%c", &rest) != 1);
    for (int i = 0; good && i < count; i++)
        good = v[i] < 256;
    if (!good)
        return error_set(e, ERROR_USAGE,
                         "--min-tcb '%s': boot loader, TEE, SNP and microcode, such as 3.0.8.115; "
                         "FMC before them for Turin",
                         text);
    const unsigned *t = v + (count - 4);
    w->tcb = (struct snp_tcb){.fmc = count == 5 ? (u8)v[0] : 0,
                              .boot_loader = (u8)t[0],
                              .tee = (u8)t[1],
                              .snp = (u8)t[2],
                              .microcode = (u8)t[3]};
    w->policy.minimum_tcb = &w->tcb;
    w->policy.minimum_tcb_numbers = (u32)count;
    return 0;
}

static void fill_numbers(const struct options *options, struct owner_demands *w)
{
    struct report_policy *p = &w->policy;
    const char *when = options->text[OWNER_TIME];
    const u64 api = options_number(options, OWNER_API, 0); /* every version is at least 0.0 */
    p->minimum_svn = (u32)options_number(options, OWNER_MIN_SVN, 0);
    p->maximum_vmpl = (u32)options_number(options, OWNER_VMPL, 0);
    p->minimum_api_major = (u8)(api >> 8);
    p->minimum_api_minor = (u8)api;
    w->time = when ? (s64)options->number[OWNER_TIME] : (s64)time(NULL);
    if (!when || strcmp(when, "any"))
        p->time = &w->time;
}

/* Takes the measurement from --digest, or computes it from the files. */
static int parse_measurement(const struct options *options, struct owner_demands *w,
                             struct error *e)
{
    struct owner_contributions c;
    if (parse_bytes("digest", options->text[OWNER_DIGEST], w->measurement, 48,
                    &w->policy.measurement, e))
        return -1;
    if (!options->text[OWNER_FIRMWARE] && !options->text[OWNER_KERNEL])
        return 0;
    if (owner_measure_files(options, &c, e))
        return -1;
    memcpy(w->measurement, c.digest, sizeof w->measurement);
    w->policy.measurement = w->measurement;
    owner_free_contributions(&c);
    return 0;
}

static int parse_id_block(const struct options *options, struct owner_demands *w, struct error *e)
{
    if (!options->text[OWNER_ID_BLOCK] && !options->text[OWNER_ID_AUTH])
        return 0;
    w->policy.id_block = &w->id_block;
    w->policy.id_auth = &w->id_auth;
    return owner_read_id_block(options, &w->id_block, &w->id_auth, e);
}

static int parse_guest_policy(const struct options *options, struct owner_demands *w,
                              struct error *e)
{
    if (!options->text[OWNER_POLICY])
        return 0;
    w->guest_policy = options->number[OWNER_POLICY];
    w->policy.guest_policy = &w->guest_policy;
    return policy_check("--policy", w->guest_policy, IMAGE_SEV_SNP, e);
}

int owner_parse_demands(const struct options *options, struct owner_demands *w, struct error *e)
{
    struct report_policy *p = &w->policy;
    *w = (struct owner_demands){.time = 0};
    fill_numbers(options, w);
    p->allow_debug = options->text[OWNER_ALLOW_DEBUG];
    p->allow_migration = options->text[OWNER_ALLOW_MA];
    p->accept_unknown_version = options->text[OWNER_ACCEPT_VERSION];
    p->accept_masked_chip_id = options->text[OWNER_ACCEPT_MASKED];
    return parse_measurement(options, w, e) ||
                   parse_bytes("report-data", options->text[OWNER_REPORT_DATA], w->report_data, 64,
                               &p->report_data, e) ||
                   parse_bytes("host-data", options->text[OWNER_HOST_DATA], w->host_data, 32,
                               &p->host_data, e) ||
                   parse_chip_id(options->text[OWNER_CHIP_ID], w->chip_id, &p->chip_id, e) ||
                   parse_bytes("id-key", options->text[OWNER_ID_KEY], w->id_key, 48,
                               &p->id_key_digest, e) ||
                   parse_bytes("author-key", options->text[OWNER_AUTHOR_KEY], w->author_key, 48,
                               &p->author_key_digest, e) ||
                   parse_id_block(options, w, e) || parse_guest_policy(options, w, e) ||
                   parse_tcb(options->text[OWNER_MIN_TCB], w, e)
               ? -1
               : 0;
}

/* --- The verdict ------------------------------------------------------------------------------ */

void owner_print_report(const struct options *options, const struct snp_report *r)
{
    char digest[97], data[129];
    const bool unknown = r->version > SNP_REPORT_VERSION_LAST;
    const bool masked = all_zero(r->chip_id, sizeof r->chip_id);
    hex_encode(digest, r->measurement, sizeof r->measurement);
    hex_encode(data, r->report_data, sizeof r->report_data);
    if (options->text[OWNER_JSON]) {
        json_t *j = json_pack("{s:b, s:i, s:s, s:s}", "verified", 1, "version", (int)r->version,
                              "measurement", digest, "report_data", data);
        if (unknown)
            json_object_set_new(j, "judged_as_version", json_integer(SNP_REPORT_VERSION_LAST));
        if (masked)
            json_object_set_new(j, "chip_id_masked", json_true());
        cli_print_json(j);
        return;
    }
    printf("report of version %u: verifies\nmeasurement  %s\nreport data  %s\n", r->version, digest,
           data);
    if (unknown)
        printf("version      not known: judged as far as version %u goes\n",
               SNP_REPORT_VERSION_LAST);
    if (masked)
        puts("chip id      hidden by the platform");
}

int owner_refuse_report(const struct options *options, const char *check, const char *why,
                        owner_matches *matches, void *report, struct error *e)
{
    char hint[HINT_TEXT_MAX], text[sizeof e->text];
    struct error unused = {.code = ERROR_NONE};
    bool files = options->text[OWNER_FIRMWARE] || options->text[OWNER_KERNEL];
    if (matches && files && !owner_hint(options, matches, report, hint, &unused))
        snprintf(text, sizeof text, "%.*s (%.200s)", (int)sizeof text - 210, why, hint);
    else
        snprintf(text, sizeof text, "%s", why);
    if (options->text[OWNER_JSON])
        cli_print_json(json_pack("{s:b, s:s, s:o}", "verified", 0, "check", check, "why",
                                 cli_json_text(text)));
    return error_set(e, ERROR_MEASUREMENT, "%s: %s", check, text);
}

bool owner_is_reported(void *report, const u8 digest[MEASURE_DIGEST_MAX])
{
    const struct snp_report *r = report;
    return !memcmp(r->measurement, digest, sizeof r->measurement);
}

int owner_refuse_snp_report(const struct options *options, enum report_check check, const char *why,
                            struct snp_report *r, struct error *e)
{
    return owner_refuse_report(options, report_check_name(check), why,
                               check == REPORT_CHECK_MEASUREMENT ? owner_is_reported : NULL, r, e);
}

static int verify(const struct options *options, const struct cli_file *report,
                  const struct report_certificates *certificates, const struct owner_demands *w,
                  struct error *e)
{
    struct error why = {.code = ERROR_NONE};
    enum report_check check =
        owner_verify_report(report->data, report->size, certificates, &w->policy, &why);
    struct snp_report r = {.version = 0};
    memcpy(&r, report->data, min_u64(report->size, sizeof r));
    if (check)
        return owner_refuse_snp_report(options, check, why.text, &r, e);
    owner_print_report(options, &r);
    return 0;
}

/* Collects certificates and lists. A list counts in whatever file it is. */
int owner_collect(const struct options *options, const struct snp_report *r,
                  struct report_certificates *to, struct error *e)
{
    const char *crl = options->text[OWNER_CRL];
    bool lists = crl && strcmp(crl, "none") != 0;
    return owner_add_certificates(&to->given, &to->lists, "certs", options->text[OWNER_CERTS], e) ||
                   owner_add_certificates(&to->roots, &to->lists, "root", options->text[OWNER_ROOT],
                                          e) ||
                   (lists && owner_add_crls(&to->lists, crl, e)) ||
                   (r && options->text[OWNER_KDS] && owner_fetch(options, r, to, e))
               ? -1
               : 0;
}

int owner_check_report(const struct options *options, const struct cli_file *report,
                       struct error *e)
{
    struct report_certificates certificates = {.given = {.count = 0}};
    struct owner_demands w;
    struct snp_report r;
    /* A report of any other size is malformed; verify() says so, and no server is asked. */
    bool whole = report->size == sizeof r;
    if (whole)
        memcpy(&r, report->data, sizeof r);
    int result = owner_parse_demands(options, &w, e) ||
                         owner_collect(options, whole ? &r : NULL, &certificates, e) ||
                         verify(options, report, &certificates, &w, e)
                     ? -1
                     : 0;
    report_certificates_free(&certificates);
    return result;
}
