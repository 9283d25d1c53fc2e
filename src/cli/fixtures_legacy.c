/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cases of `softsev fixtures` for legacy attestation reports [sev 7.8]: the firmware's of two guests, what was done to
 * them, the chain, root and policy to verify them with, and what a correct verifier says.
 */
#include "cli/fixtures.h"

#include "abi/sev.h"
#include "owner/legacy_report.h"

#include <string.h>

struct demand {
    u8 mnonce[16], digest[32];
    u32 policy;
    bool allow_debug;
};

struct case_row {
    const char *name, *why;
    enum legacy_check check; /* LEGACY_OK: to be accepted */
    const char *chain, *root;
    void (*forge)(struct sev_attestation_report *r);
    void (*demand)(struct demand *d);
    s32 size;       /* bytes more than a report has */
    bool debug;     /* the report of the guest that may be debugged */
    bool other_pek; /* signed by a key that is not the chain's PEK */
};

/* --- Forgeries and demands ---------------------------------------------------------------------------------- */

static void flip_r(struct sev_attestation_report *r)
{
    r->signature.r[10] ^= 4;
}

static void flip_s(struct sev_attestation_report *r)
{
    r->signature.s[0] ^= 1;
}

static void zero_signature(struct sev_attestation_report *r)
{
    memset(&r->signature, 0, sizeof r->signature);
}

static void long_signature(struct sev_attestation_report *r)
{
    r->signature.r[60] = 1;
}

/* The other byte order: what a verifier that takes big-endian numbers would accept. */
static void swap_signature(struct sev_attestation_report *r)
{
    struct sev_ec_signature out = {{0}, {0}};
    for (size_t i = 0; i < 48; i++) {
        out.r[i] = r->signature.r[47 - i];
        out.s[i] = r->signature.s[47 - i];
    }
    r->signature = out;
}

static void change_nonce(struct sev_attestation_report *r)
{
    r->mnonce[15] ^= 1;
}

static void change_digest(struct sev_attestation_report *r)
{
    r->launch_digest[0] ^= 1;
}

/* A host that hides that it may debug the guest. */
static void claim_no_debug(struct sev_attestation_report *r)
{
    r->policy |= SEV_POLICY_NODBG;
}

static void usage_oca(struct sev_attestation_report *r)
{
    r->signature_usage = SEV_USAGE_OCA;
}

static void algorithm_rsa(struct sev_attestation_report *r)
{
    r->signature_algorithm = SEV_ALGORITHM_RSA_SHA256;
}

static void reserved(struct sev_attestation_report *r)
{
    r->reserved_3c = 1u << 31;
}

static void other_nonce(struct demand *d)
{
    d->mnonce[0] ^= 1;
}

static void other_digest(struct demand *d)
{
    d->digest[31] ^= 1;
}

static void other_policy(struct demand *d)
{
    d->policy |= SEV_POLICY_ES;
}

static void debug_allowed(struct demand *d)
{
    d->allow_debug = true;
    d->policy = 0;
}

static void debug_allowed_elsewhere(struct demand *d)
{
    d->allow_debug = true;
}

static void debug_demanded(struct demand *d)
{
    d->policy = 0;
}

/* --- The table ------------------------------------------------------------------------------------------------ */

// clang-format off
#define ROW(id, text, result, ...) {.name = "report-" id, .why = text, .check = LEGACY_##result, __VA_ARGS__}
#define GOOD .size = 0

static const struct case_row rows[] = {
    ROW("valid", "everything is as it should be", OK, GOOD),
    ROW("valid-debug-allowed", "a guest that may be debugged, and the policy allows it", OK, .debug = true,
        .demand = debug_allowed),

    ROW("truncated", "the last byte is missing", CHECK_SIZE, .size = -1),
    ROW("truncated-half", "S is missing", CHECK_SIZE, .size = -72),
    ROW("empty", "no byte at all", CHECK_SIZE, .size = -(s32)sizeof(struct sev_attestation_report)),
    ROW("trailing-byte", "one byte too many", CHECK_SIZE, .size = 1),
    ROW("usage", "it says that the OCA signed it", CHECK_FORM, .forge = usage_oca),
    ROW("algorithm", "it says that it is signed with RSA", CHECK_FORM, .forge = algorithm_rsa),
    ROW("reserved", "the reserved word is not zero", CHECK_FORM, .forge = reserved),

    ROW("root-signature", "the ASK's signature by the ARK is changed", CHECK_ROOT, .root = "sev-root-changed.bin"),
    ROW("other-root", "another manufacturer is trusted", CHECK_CHIP, .root = "sev-root-other.bin"),
    ROW("other-cek", "a chip that another manufacturer certified", CHECK_CHIP, .chain = "chain-other-cek.bin"),
    ROW("pek-by-cek", "the PEK's signature by the CEK is changed", CHECK_CHIP, .chain = "chain-pek-by-cek.bin"),
    ROW("pek-by-oca", "the PEK's signature by the OCA is changed", CHECK_OWNER, .chain = "chain-pek-by-oca.bin"),
    ROW("other-pdh", "a PDH signed by another PEK", CHECK_CHIP, .chain = "chain-other-pdh.bin"),

    ROW("other-pek", "signed by another platform's PEK", CHECK_SIGNATURE, .other_pek = true),
    ROW("bad-signature", "one bit of R is changed", CHECK_SIGNATURE, .forge = flip_r),
    ROW("bad-signature-s", "one bit of S is changed", CHECK_SIGNATURE, .forge = flip_s),
    ROW("zero-signature", "R and S are zero", CHECK_SIGNATURE, .forge = zero_signature),
    ROW("long-signature", "R is longer than 48 bytes", CHECK_SIGNATURE, .forge = long_signature),
    ROW("big-endian-signature", "R and S in the other byte order", CHECK_SIGNATURE, .forge = swap_signature),
    ROW("changed-mnonce", "one bit of the nonce is changed after signing", CHECK_SIGNATURE, .forge = change_nonce),
    ROW("changed-digest", "one bit of the launch digest is changed after signing", CHECK_SIGNATURE, .forge = change_digest),
    ROW("changed-policy", "NODBG is set after signing", CHECK_SIGNATURE, .forge = claim_no_debug, .debug = true),

    ROW("wrong-mnonce", "an older report: the policy demands another nonce", CHECK_NONCE, .demand = other_nonce),
    ROW("debug-policy", "the guest may be debugged", CHECK_DEBUG, .debug = true, .demand = debug_demanded),
    ROW("wrong-policy", "the policy demands SEV-ES", CHECK_POLICY, .demand = other_policy),
    ROW("wrong-policy-debug", "debugging is allowed, but another policy is demanded", CHECK_POLICY, .debug = true,
        .demand = debug_allowed_elsewhere),
    ROW("wrong-digest", "other bytes were launched", CHECK_MEASUREMENT, .demand = other_digest),
};
// clang-format on

/* --- One case ------------------------------------------------------------------------------------------------- */

static void set_path(const struct fixtures_legacy *s, json_t *j, const char *key, const char *file)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", s->profile->name, file);
    json_object_set_new(j, key, json_string(path));
}

static json_t *policy_json(const struct demand *d)
{
    json_t *j = json_pack("{s:I, s:b}", "guest_policy", (json_int_t)d->policy, "allow_debug",
                          d->allow_debug);
    json_object_set_new(j, "mnonce", fixtures_hex(d->mnonce, sizeof d->mnonce));
    json_object_set_new(j, "launch_digest", fixtures_hex(d->digest, sizeof d->digest));
    return j;
}

static json_t *case_json(const struct fixtures_legacy *s, const struct case_row *row,
                         const struct demand *d, const char *file)
{
    char name[100];
    bool forged = row->forge || row->size || row->other_pek;
    snprintf(name, sizeof name, "%s/%s", s->profile->name, row->name);
    json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "name", name, "kind", "sev-report",
                          "why", row->why, "profile", s->profile->name, "origin",
                          forged ? "forged" : "firmware", "expect",
                          row->check ? "reject" : "accept", "check", legacy_check_name(row->check));
    set_path(s, j, "report", file);
    set_path(s, j, "chain", row->chain ? row->chain : "chain-valid.bin");
    set_path(s, j, "root", row->root ? row->root : "sev-root.bin");
    json_object_set_new(j, "policy", policy_json(d));
    return j;
}

static int write_case(struct fixtures *f, const struct fixtures_legacy *s,
                      const struct case_row *row, struct error *e)
{
    const struct sev_attestation_report *real = row->debug ? s->debug_report : s->report;
    struct sev_attestation_report r = *real;
    u8 bytes[sizeof r + 1] = {0};
    char file[100];
    struct demand d = {.policy = s->report->policy};
    memcpy(d.mnonce, real->mnonce, sizeof d.mnonce);
    memcpy(d.digest, s->digest, sizeof d.digest);
    if (row->other_pek &&
        !report_sign(s->crypto, &f->other_key, r.mnonce, r.launch_digest, r.policy, &r))
        return error_set(e, ERROR_INTERNAL, "%s cannot be signed", row->name);
    if (row->forge)
        row->forge(&r);
    if (row->demand)
        row->demand(&d);
    memcpy(bytes, &r, sizeof r);
    snprintf(file, sizeof file, "%s.bin", row->name);
    if (fixtures_write(f, s->profile, file, bytes, (size_t)((s32)sizeof r + row->size), e))
        return -1;
    json_array_append_new(f->cases, case_json(s, row, &d, file));
    f->count++;
    return 0;
}

/* The root with one bit of the ASK's signature, its last bytes, changed. */
static int write_changed_root(struct fixtures *f, const struct fixtures_legacy *s, struct error *e)
{
    u8 root[2 * AMD_CERT_SIZE_MAX];
    struct amd_chain parsed;
    size_t size = authority_root_file(f->authority, root, sizeof root);
    if (amd_chain_parse(root, size, &parsed).check != CERT_OK)
        return error_set(e, ERROR_INTERNAL, "the root cannot be read");
    root[parsed.ask.size - 20] ^= 1;
    return fixtures_write(f, s->profile, "sev-root-changed.bin", root, size, e);
}

int fixtures_write_legacy(struct fixtures *f, const struct fixtures_legacy *s, struct error *e)
{
    if (write_changed_root(f, s, e))
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (write_case(f, s, &rows[i], e))
            return -1;
    return 0;
}
