/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softsev owner explain --report: compares a report with what was expected, field by field, as a
 * diff. If the measurement differs, names the launch that it would belong to. Verifies nothing.
 */
#include "cli/cli.h"
#include "cli/owner/owner_cli.h"
#include "cli/input.h"
#include "cli/policy.h"

#include "base/bytes.h"
#include "owner/report.h"

#include <inttypes.h>
#include <jansson.h>

#define VALUE_MAX OWNER_VALUE_MAX

/* One field: its texts, and whether something was expected of it. */
struct field {
    const char *name;
    char report[VALUE_MAX], expected[VALUE_MAX];
    bool asked;
};

#define FIELDS_MAX 20u

struct comparison {
    struct field fields[FIELDS_MAX];
    size_t count;
    size_t different;
    bool measurement; /* of those */
};

static struct field *add(struct comparison *c, const char *name, bool asked)
{
    struct field *f = &c->fields[c->count++];
    *f = (struct field){.name = name, .asked = asked};
    return f;
}

static void add_bytes(struct comparison *c, const char *name, const void *report,
                      const void *expected, size_t size)
{
    struct field *f = add(c, name, expected);
    hex_encode(f->report, report, size);
    if (expected)
        hex_encode(f->expected, expected, size);
}

static void add_policy(struct comparison *c, u64 report, const u64 *expected)
{
    struct field *f = add(c, "policy", expected);
    owner_policy_text(report, f->report);
    if (expected)
        owner_policy_text(*expected, f->expected);
}

static void add_number(struct comparison *c, const char *name, u64 report, const u64 *expected)
{
    struct field *f = add(c, name, expected);
    snprintf(f->report, VALUE_MAX, "%" PRIu64, report);
    if (expected)
        snprintf(f->expected, VALUE_MAX, "%" PRIu64, *expected);
}

/* --- What was expected ------------------------------------------------------------------------ */

struct expected {
    u8 measurement[MEASURE_DIGEST_MAX], host_data[32], report_data[64], id_key[48], author[48];
    u64 policy, svn;
    struct snp_id_block block;
    struct snp_id_auth auth;
    bool measured, block_given, author_given, policy_given, svn_given;
};

static int expect_measurement(const struct options *options, struct expected *x, struct error *e)
{
    struct owner_contributions c = {.mode = MEASURE_SNP};
    x->measured = true;
    if (options->text[OWNER_DIGEST])
        return owner_hex("digest", options->text[OWNER_DIGEST], x->measurement, 48, e);
    if (!options->text[OWNER_FIRMWARE] && !options->text[OWNER_KERNEL]) {
        x->measured = x->block_given;
        memcpy(x->measurement, x->block.ld, sizeof x->block.ld);
        return 0;
    }
    if (owner_measure_files(options, &c, e))
        return -1;
    memcpy(x->measurement, c.digest, sizeof x->measurement);
    owner_free_contributions(&c);
    return 0;
}

static int expect_block(const struct options *options, struct expected *x, struct error *e)
{
    x->block_given = options->text[OWNER_ID_BLOCK] || options->text[OWNER_ID_AUTH];
    if (!x->block_given)
        return 0;
    if (owner_read_id_block(options, &x->block, &x->auth, e))
        return -1;
    x->policy_given = x->svn_given = true;
    x->policy = x->block.policy;
    x->svn = x->block.guest_svn;
    id_block_key_digest(&x->auth.id_key, x->id_key);
    x->author_given = id_block_has_author(&x->auth);
    if (x->author_given)
        id_block_key_digest(&x->auth.author_key, x->author);
    return 0;
}

static int expect(const struct options *options, struct expected *x, struct error *e)
{
    if (expect_block(options, x, e) || expect_measurement(options, x, e) ||
        owner_hex("host-data", options->text[OWNER_HOST_DATA], x->host_data, 32, e) ||
        owner_hex("report-data", options->text[OWNER_REPORT_DATA], x->report_data, 64, e))
        return -1;
    x->policy = options_number(options, OWNER_POLICY, x->policy);
    if (options->text[OWNER_POLICY] && policy_check("--policy", x->policy, IMAGE_SEV_SNP, e))
        return -1;
    x->svn = options_number(options, OWNER_SVN, x->svn);
    x->policy_given = x->policy_given || options->text[OWNER_POLICY];
    x->svn_given = x->svn_given || options->text[OWNER_SVN];
    return 0;
}

static void compare(const struct options *options, const struct snp_report *r,
                    const struct expected *x, struct comparison *c)
{
    static const u8 zeros[48];
    const u64 version = r->version;
    add_number(c, "version", version, NULL);
    add_bytes(c, "measurement", r->measurement, x->measured ? x->measurement : NULL, 48);
    add_policy(c, r->policy, x->policy_given ? &x->policy : NULL);
    add_number(c, "guest SVN", r->guest_svn, x->svn_given ? &x->svn : NULL);
    add_number(c, "VMPL", r->vmpl, NULL);
    add_bytes(c, "family id", r->family_id, x->block_given ? x->block.family_id : NULL, 16);
    add_bytes(c, "image id", r->image_id, x->block_given ? x->block.image_id : NULL, 16);
    add_bytes(c, "ID key", r->id_key_digest, x->block_given ? x->id_key : NULL, 48);
    add_bytes(c, "author key", r->author_key_digest,
              x->author_given  ? x->author
              : x->block_given ? zeros
                               : NULL,
              48);
    add_bytes(c, "host data", r->host_data, options->text[OWNER_HOST_DATA] ? x->host_data : NULL,
              32);
    add_bytes(c, "report data", r->report_data,
              options->text[OWNER_REPORT_DATA] ? x->report_data : NULL, 64);
    for (size_t i = 0; i < c->count; i++) {
        const struct field *f = &c->fields[i];
        bool differs = f->asked && strcmp(f->report, f->expected) != 0;
        c->different += differs;
        c->measurement = c->measurement || (differs && !strcmp(f->name, "measurement"));
    }
}

/* --- What is printed -------------------------------------------------------------------------- */

static void print_text(const struct comparison *c, const char *hint)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct field *f = &c->fields[i];
        bool differs = f->asked && strcmp(f->report, f->expected) != 0;
        if (differs)
            printf("- %-12s %s\n", f->name, f->expected);
        printf("%c %-12s %s\n", differs ? '+' : f->asked ? '=' : ' ', f->name, f->report);
    }
    if (*hint)
        printf("why: %s\n", hint);
}

static void print_json(const struct comparison *c, const char *hint)
{
    json_t *fields = json_object();
    for (size_t i = 0; i < c->count; i++) {
        const struct field *f = &c->fields[i];
        json_t *one = json_pack("{s:o}", "report", cli_json_text(f->report));
        if (f->asked)
            json_object_update_new(one,
                                   json_pack("{s:o, s:b}", "expected", cli_json_text(f->expected),
                                             "equal", !strcmp(f->report, f->expected)));
        json_object_set_new(fields, f->name, one);
    }
    json_t *j = json_pack("{s:I, s:o}", "differences", (json_int_t)c->different, "fields", fields);
    if (*hint)
        json_object_set_new(j, "why", cli_json_text(hint));
    cli_print_json(j);
}

static int read_report(const char *path, struct snp_report *out, struct error *e)
{
    struct cli_file f;
    if (owner_read_report(path, &f, e))
        return -1;
    const size_t size = f.size;
    if (size == sizeof *out)
        memcpy(out, f.data, sizeof *out);
    cli_free_file(&f);
    return size == sizeof *out
               ? 0
               : error_set(e, ERROR_FILE, "%s: a report has %zu bytes, this file %zu", path,
                           sizeof *out, size);
}

int owner_compare_report(const struct options *options, struct error *e)
{
    struct snp_report r = {.version = 0};
    struct expected x = {.policy = 0};
    struct comparison c = {.count = 0};
    char hint[HINT_TEXT_MAX] = "";
    if (read_report(options->text[OWNER_REPORT], &r, e) || expect(options, &x, e))
        return -1;
    compare(options, &r, &x, &c);
    if (c.measurement && (options->text[OWNER_FIRMWARE] || options->text[OWNER_KERNEL]) &&
        owner_hint(options, owner_is_reported, &r, hint, e))
        return -1;
    (options->text[OWNER_JSON] ? print_json : print_text)(&c, hint);
    if (!c.different)
        return 0;
    return error_set(e, ERROR_MEASUREMENT, "%zu field%s of the report %s not as expected%s%s",
                     c.different, c.different == 1 ? "" : "s", c.different == 1 ? "is" : "are",
                     *hint ? ": " : "", hint);
}
