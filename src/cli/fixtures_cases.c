/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cases of `softsev fixtures` for SNP reports: which guest asked under which configuration, what was done to its
 * report, the certificates and the policy to verify it with, and what a correct verifier says.
 */
#include "cli/fixtures.h"

#include "base/bytes.h"
#include "cli/cli.h"

#include <string.h>

/* What a verifier demands; the texts of a profile's first case are demanded of all, but for what a case changes. */
struct demand {
    const u8 *measurement, *report_data, *host_data, *chip_id, *id_key,
        *author_key; /* NULL: nothing */
    u8 changed[64];  /* for a demand that is not met */
    u64 minimum_tcb;
    u8 api_major, api_minor;
    u32 minimum_svn, maximum_vmpl;
    bool allow_debug, allow_migration, accept_masked, id_block, other_block;
};

struct case_row {
    const char *name, *why;
    enum report_check check; /* REPORT_OK: to be accepted */
    enum fixtures_guest guest;
    enum fixtures_config config;
    enum fixtures_certs certs;
    enum fixtures_list list;
    void (*forge)(struct snp_report *r); /* NULL: the report is as the firmware made it */
    bool sign;                           /* after that, with the key that had signed */
    s32 size;                            /* bytes more than a report has */
    void (*demand)(struct demand *d, const struct fixtures_platform *p);
    bool vmpl1;
    u32 version; /* the least report version that has the case; 0: any */
};

/* --- Forgeries ---------------------------------------------------------------------------------------------- */

static void flip_signature(struct snp_report *r)
{
    r->signature.r[10] ^= 4;
}

static void flip_measurement(struct snp_report *r)
{
    r->measurement[0] ^= 1;
}

static void flip_tcb(struct snp_report *r)
{
    r->reported_tcb ^= 1;
}

static void zero_signature(struct snp_report *r)
{
    memset(&r->signature, 0, sizeof r->signature);
}

/* The other byte order: what a verifier that takes big-endian numbers would accept. */
static void swap_signature(struct snp_report *r)
{
    for (size_t i = 0; i < 24; i++) {
        u8 a = r->signature.r[i], b = r->signature.s[i];
        r->signature.r[i] = r->signature.r[47 - i];
        r->signature.s[i] = r->signature.s[47 - i];
        r->signature.r[47 - i] = a;
        r->signature.s[47 - i] = b;
    }
}

static void long_signature(struct snp_report *r)
{
    r->signature.s[60] = 1;
}

static void fill_signature(struct snp_report *r)
{
    r->signature.reserved_90[100] = 1;
}

static void algorithm(struct snp_report *r)
{
    r->signature_algorithm = 2;
}

static void version_4(struct snp_report *r)
{
    r->version = 4;
    r->launch_mit_vector = r->current_mit_vector = 0;
}

static void version_6(struct snp_report *r)
{
    r->version = 6;
}

static void reserved(struct snp_report *r)
{
    r->reserved_208[3] = 1;
}

static void reserved_key_info(struct snp_report *r)
{
    r->key_info |= BIT(9);
}

static void policy_without_17(struct snp_report *r)
{
    r->policy &= ~SNP_POLICY_ONE;
}

static void policy_beyond_25(struct snp_report *r)
{
    r->policy |= BIT(40);
}

/* A step of one component; every profile's microcode is above 1 and below 255. */
#define MICROCODE_STEP (1ull << 56)

static void current_below_committed(struct snp_report *r)
{
    r->current_tcb -= MICROCODE_STEP;
    r->launch_tcb = r->current_tcb;
}

static void committed_below_reported(struct snp_report *r)
{
    r->committed_tcb -= MICROCODE_STEP;
}

static void launch_above_current(struct snp_report *r)
{
    r->launch_tcb += MICROCODE_STEP;
}

static void other_family(struct snp_report *r)
{
    r->cpuid_family = r->cpuid_family == 0x1a ? 0x19 : 0x1a;
}

static void later_model(struct snp_report *r)
{
    r->cpuid_family = 0x1a;
    r->cpuid_model = 0x50;
}

static void later_family(struct snp_report *r)
{
    r->cpuid_family = 0x1b;
}

static void from_host(struct snp_report *r)
{
    r->vmpl = SNP_VMPL_OF_HOST;
}

static void claims_vlek(struct snp_report *r)
{
    r->key_info |= SNP_KEY_INFO_SIGNING_KEY(SNP_SIGNED_BY_VLEK);
}

/* --- Demands ------------------------------------------------------------------------------------------------ */

/* Another value for one of the byte strings. */
#define CHANGED(field, size)                                                                       \
    static void other_##field(struct demand *d, const struct fixtures_platform *p)                 \
    {                                                                                              \
        (void)p;                                                                                   \
        memcpy(d->changed, d->field, size);                                                        \
        d->changed[size - 1] ^= 1;                                                                 \
        d->field = d->changed;                                                                     \
    }
CHANGED(report_data, 64)
CHANGED(host_data, 32)
CHANGED(chip_id, 64)
CHANGED(id_key, 48)
CHANGED(author_key, 48)
#undef CHANGED

static void higher_tcb(struct demand *d, const struct fixtures_platform *p)
{
    (void)p;
    d->minimum_tcb += MICROCODE_STEP;
}

static void lower_tcb(struct demand *d, const struct fixtures_platform *p)
{
    d->minimum_tcb = p->low_tcb;
}

static void newer_api(struct demand *d, const struct fixtures_platform *p)
{
    (void)p;
    d->api_minor++;
}

static void higher_svn(struct demand *d, const struct fixtures_platform *p)
{
    (void)p;
    d->minimum_svn++;
}

static void debug_allowed(struct demand *d, const struct fixtures_platform *p)
{
    (void)p;
    d->allow_debug = true;
}

static void migration_allowed(struct demand *d, const struct fixtures_platform *p)
{
    (void)p;
    d->allow_migration = true;
}

static void vmpl1_allowed(struct demand *d, const struct fixtures_platform *p)
{
    (void)p;
    d->maximum_vmpl = 1;
}

static void no_keys(struct demand *d, const struct fixtures_platform *p)
{
    (void)p;
    d->id_key = d->author_key = NULL;
    d->minimum_svn = 0;
}

static void no_author(struct demand *d, const struct fixtures_platform *p)
{
    (void)p;
    d->author_key = NULL;
}

/* A digest of zeros demands that there is no author key. */
static void zero_author(struct demand *d, const struct fixtures_platform *p)
{
    static const u8 zeros[48];
    (void)p;
    d->author_key = zeros;
}

static void masked_accepted(struct demand *d, const struct fixtures_platform *p)
{
    (void)p;
    d->chip_id = NULL;
    d->accept_masked = true;
}

static void no_chip(struct demand *d, const struct fixtures_platform *p)
{
    (void)p;
    d->chip_id = NULL;
}

static void block(struct demand *d, const struct fixtures_platform *p)
{
    (void)p;
    d->id_block = true;
}

static void another_block(struct demand *d, const struct fixtures_platform *p)
{
    (void)p;
    d->other_block = true;
}

/* --- The table ---------------------------------------------------------------------------------------------- */

// clang-format off
#define ROW(id, text, result, ...) {.name = id, .why = text, .check = REPORT_##result, __VA_ARGS__}
#define FORGED(function) .forge = function
#define SIGNED(function) .forge = function, .sign = true

static const struct case_row rows[] = {
    ROW("valid", "everything is as it should be", OK, .guest = GUEST_NORMAL),
    ROW("valid-vlek", "signed by a VLEK, with its chain", OK, .config = CONFIG_VLEK, .certs = CERTS_VLEK),
    ROW("valid-low-tcb", "the platform reports less than its committed TCB, its VCEK says the same", OK,
        .config = CONFIG_LOW_TCB, .certs = CERTS_LOW_TCB, .demand = lower_tcb),
    ROW("valid-debug-allowed", "a guest that may be debugged, and the policy allows it", OK, .guest = GUEST_DEBUG,
        .demand = debug_allowed),
    ROW("valid-migration-allowed", "a guest with POLICY.MIGRATE_MA, and the policy allows it", OK, .guest = GUEST_MIGRATION,
        .demand = migration_allowed),
    ROW("valid-vmpl1-allowed", "asked for at VMPL1, and the policy allows it", OK, .vmpl1 = true, .demand = vmpl1_allowed),
    ROW("valid-no-id-block", "launched without ID block; none is demanded", OK, .guest = GUEST_NO_BLOCK, .demand = no_keys),
    ROW("valid-no-author-key", "launched with an ID key alone", OK, .guest = GUEST_NO_AUTHOR, .demand = no_author),
    ROW("valid-id-block", "the ID block itself is compared", OK, .demand = block),
    ROW("valid-version-4", "version 4, which some hosts make: the form of version 3", OK, SIGNED(version_4), .version = 3),
    ROW("valid-hwid-octet-string", "hwID is an OCTET STRING of the chip's id", OK, .certs = CERTS_OCTET_STRING),
    ROW("valid-masked-chip-id", "the platform hides its chip's id, and the policy accepts that", OK, .config = CONFIG_MASK_CHIP_ID,
        .demand = masked_accepted),
    ROW("valid-author-key-zero", "the policy demands a digest of zeros, which is no author key", OK, .guest = GUEST_NO_AUTHOR,
        .demand = zero_author),
    ROW("valid-newer-list", "the older of two lists has the ASK, the newer one has not", OK, .list = LIST_OLDER),

    ROW("truncated", "the last byte is missing", CHECK_SIZE, .size = -1),
    ROW("truncated-half", "the signature is missing", CHECK_SIZE, .size = -(s32)SNP_SIGNATURE_SIZE),
    ROW("empty", "no byte at all", CHECK_SIZE, .size = -(s32)SNP_REPORT_SIZE),
    ROW("trailing-byte", "one byte too many", CHECK_SIZE, .size = 1),
    ROW("version-6", "a version that is not known", CHECK_VERSION, SIGNED(version_6)),
    ROW("reserved-byte", "a reserved byte is not zero, and signed so", CHECK_FORM, SIGNED(reserved)),
    ROW("reserved-key-info", "a reserved bit of the signing key's word is one", CHECK_FORM, SIGNED(reserved_key_info)),
    ROW("reserved-signature", "a byte behind R and S is not zero", CHECK_FORM, FORGED(fill_signature)),
    ROW("signature-algorithm", "the signature algorithm is 2", CHECK_FORM, SIGNED(algorithm)),
    ROW("policy-bit-17", "bit 17 of the guest policy is zero", CHECK_FORM, SIGNED(policy_without_17)),
    ROW("policy-bit-40", "a reserved bit of the guest policy is one", CHECK_FORM, SIGNED(policy_beyond_25)),

    ROW("no-ask", "the ASK's certificate is missing", CHECK_CHAIN, .certs = CERTS_NO_ASK),
    ROW("ask-of-other-product", "the ASK is another product's", CHECK_CHAIN, .certs = CERTS_OTHER_PRODUCT),
    ROW("vcek-with-asvk", "a VCEK with the chain of VLEKs", CHECK_CHAIN, .certs = CERTS_VCEK_BY_ASVK),
    ROW("other-root", "all certificates are another authority's, under the same names", CHECK_SIGNER_SIGNATURE, .certs = CERTS_OTHER_ROOT),
    ROW("ask-changed", "one byte of the ASK certificate's signature is changed", CHECK_SIGNER_SIGNATURE, .certs = CERTS_CHANGED_ASK),
    ROW("vcek-changed", "one byte of the VCEK certificate's signature is changed", CHECK_KEY_SIGNATURE, .certs = CERTS_CHANGED),
    ROW("ask-expired", "the ASK's certificate has expired", CHECK_VALIDITY, .certs = CERTS_EXPIRED_ASK),
    ROW("vcek-expired", "the VCEK's certificate has expired", CHECK_VALIDITY, .certs = CERTS_EXPIRED),
    ROW("vcek-not-yet-valid", "the VCEK's certificate is not yet valid", CHECK_VALIDITY, .certs = CERTS_FUTURE),
    ROW("crl-expired", "the revocation list is past its next update", CHECK_CRL, .list = LIST_EXPIRED),
    ROW("crl-other-root", "the revocation list is signed by another authority under the same name", CHECK_CRL, .list = LIST_OTHER),
    ROW("crl-delta", "the revocation list is a delta", CHECK_CRL, .list = LIST_DELTA),
    ROW("ask-revoked-by-newer-list", "the newer of two lists has the ASK", CHECK_REVOKED, .list = LIST_NEWER),
    ROW("ask-revoked", "the revocation list has the ASK", CHECK_REVOKED, .list = LIST_REVOKED),

    ROW("vlek-report-with-vcek", "the report is signed by a VLEK, the certificate is a VCEK's", CHECK_SIGNING_KEY, .config = CONFIG_VLEK),
    ROW("vcek-report-with-vlek", "the report is signed by a VCEK, the certificate is a VLEK's", CHECK_SIGNING_KEY, .certs = CERTS_VLEK, .version = 3),
    ROW("claims-vlek", "signed by the VCEK, but says VLEK", CHECK_SIGNING_KEY, SIGNED(claims_vlek)),
    ROW("masked-chip-key", "the platform hides its key: the report is not signed", CHECK_SIGNING_KEY, .config = CONFIG_MASK_CHIP_KEY),
    ROW("bad-signature", "one bit of R is changed", CHECK_SIGNATURE, FORGED(flip_signature)),
    ROW("zero-signature", "R and S are zero", CHECK_SIGNATURE, FORGED(zero_signature)),
    ROW("big-endian-signature", "R and S in the other byte order", CHECK_SIGNATURE, FORGED(swap_signature)),
    ROW("long-signature", "S is longer than 48 bytes", CHECK_SIGNATURE, FORGED(long_signature)),
    ROW("changed-measurement", "one bit of the measurement is changed after signing", CHECK_SIGNATURE, FORGED(flip_measurement)),
    ROW("changed-tcb", "one bit of the reported TCB is changed after signing", CHECK_SIGNATURE, FORGED(flip_tcb)),
    ROW("vcek-of-lower-tcb", "the VCEK is genuine, but of another TCB than the report's", CHECK_SIGNATURE, .certs = CERTS_LOW_TCB),
    ROW("later-model", "family 1Ah, model 50h: a part of which nobody has published what its TCB means", CHECK_PRODUCT, SIGNED(later_model), .version = 3),
    ROW("later-family", "family 1Bh: the same", CHECK_PRODUCT, SIGNED(later_family), .version = 3),
    ROW("other-product", "the report's CPU family has another TCB layout than its certificate", CHECK_PRODUCT, SIGNED(other_family), .version = 3),
    ROW("masked-chip-id", "the platform hides its chip's id: no VCEK is tied to it", CHECK_CHIP, .config = CONFIG_MASK_CHIP_ID, .demand = no_chip),
    ROW("vcek-of-other-chip", "the certificate has the right key and another chip's id", CHECK_CHIP, .certs = CERTS_OTHER_CHIP),
    ROW("other-chip-wanted", "the policy names another chip", CHECK_CHIP, .demand = other_chip_id),
    ROW("certified-tcb", "the certificate has the right key and another TCB", CHECK_TCB, .certs = CERTS_OTHER_TCB),
    ROW("current-below-committed", "the current TCB is below the committed one", CHECK_TCB_ORDER, SIGNED(current_below_committed)),
    ROW("committed-below-reported", "the committed TCB is below the reported one", CHECK_TCB_ORDER, SIGNED(committed_below_reported)),
    ROW("launch-above-current", "the guest was launched with a TCB above the current one", CHECK_TCB_ORDER, SIGNED(launch_above_current)),
    ROW("old-tcb", "the reported TCB is below the policy's minimum", CHECK_TCB_MINIMUM, .demand = higher_tcb),
    ROW("lowered-tcb", "the platform reports less than its committed TCB, and less than the policy's minimum", CHECK_TCB_MINIMUM,
        .config = CONFIG_LOW_TCB, .certs = CERTS_LOW_TCB),
    ROW("old-api", "the firmware's API is older than the policy's minimum", CHECK_API_MINIMUM, .demand = newer_api),
    ROW("debug-policy", "the guest may be debugged", CHECK_DEBUG, .guest = GUEST_DEBUG),
    ROW("migration-policy", "the guest may have a migration agent", CHECK_MIGRATION, .guest = GUEST_MIGRATION),
    ROW("vmpl1", "asked for at VMPL1", CHECK_VMPL, .vmpl1 = true),
    ROW("host-requested", "VMPL is FFFFFFFFh: the host asked for it", CHECK_VMPL, SIGNED(from_host)),
    ROW("wrong-measurement", "another guest: one byte of its memory is another", CHECK_MEASUREMENT, .guest = GUEST_OTHER),
    ROW("wrong-report-data", "the policy demands other report data", CHECK_REPORT_DATA, .demand = other_report_data),
    ROW("wrong-host-data", "the policy demands other host data", CHECK_HOST_DATA, .demand = other_host_data),
    ROW("old-guest", "GUEST_SVN is below the policy's minimum", CHECK_GUEST_SVN, .demand = higher_svn),
    ROW("no-id-block", "launched without ID block", CHECK_GUEST_SVN, .guest = GUEST_NO_BLOCK),
    ROW("wrong-id-key", "the policy demands another ID key", CHECK_ID_KEY, .demand = other_id_key),
    ROW("wrong-author-key", "the policy demands another author key", CHECK_AUTHOR_KEY, .demand = other_author_key),
    ROW("no-author-key", "launched without author key", CHECK_AUTHOR_KEY, .guest = GUEST_NO_AUTHOR),
    ROW("unwanted-author-key", "the policy demands that there is no author key", CHECK_AUTHOR_KEY, .demand = zero_author),
    ROW("other-id-block", "signed by the same keys, but not the block it was launched with", CHECK_ID_BLOCK, .demand = another_block),
};
// clang-format on

/* --- One case ------------------------------------------------------------------------------------------------ */

/* Where the report is signed by a VLEK or by the VCEK of another TCB, its forgery has to be signed by that. */
static bool sign_again(const struct fixtures_platform *p, struct snp_report *r)
{
    struct ec_private key;
    bool good = identity_vcek(p->fuses, p->tcb, &key) &&
                snp_sign(p->all->crypto, &key, r, SNP_REPORT_SIGNED_SIZE, &r->signature);
    crypto_wipe(&key, sizeof key);
    return good;
}

static void add_hex(json_t *j, const char *key, const void *data, size_t size)
{
    if (data)
        json_object_set_new(j, key, fixtures_hex(data, size));
}

static json_t *policy_json(const struct fixtures_platform *p, const struct demand *d)
{
    char tcb[CLI_TCB_TEXT], api[16];
    cli_tcb_text(p->profile, d->minimum_tcb, tcb);
    snprintf(api, sizeof api, "%u.%u", d->api_major, d->api_minor);
    json_t *j =
        json_pack("{s:I, s:s, s:s, s:I, s:I, s:b, s:b, s:b}", "time", (json_int_t)FIXTURES_TIME,
                  "minimum_tcb", tcb, "minimum_api", api, "minimum_svn", (json_int_t)d->minimum_svn,
                  "maximum_vmpl", (json_int_t)d->maximum_vmpl, "allow_debug", d->allow_debug,
                  "allow_migration", d->allow_migration, "accept_masked_chip_id", d->accept_masked);
    add_hex(j, "measurement", d->measurement, 48);
    add_hex(j, "report_data", d->report_data, 64);
    add_hex(j, "host_data", d->host_data, 32);
    add_hex(j, "chip_id", d->chip_id, 64);
    add_hex(j, "id_key_digest", d->id_key, 48);
    add_hex(j, "author_key_digest", d->author_key, 48);
    return j;
}

static void set_path(const struct fixtures_platform *p, json_t *j, const char *key,
                     const char *name, const char *suffix)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s%s", p->profile->name, name, suffix);
    json_object_set_new(j, key, json_string(path));
}

static json_t *case_json(const struct fixtures_platform *p, const struct case_row *row,
                         const struct demand *d)
{
    char name[100];
    snprintf(name, sizeof name, "%s/%s", p->profile->name, row->name);
    json_t *j =
        json_pack("{s:s, s:s, s:s, s:s, s:i}", "name", name, "kind", "snp-report", "why", row->why,
                  "profile", p->profile->name, "report_version", (int)p->profile->report_version);
    set_path(p, j, "report", row->name, ".bin");
    set_path(p, j, "certificates", fixtures_certs_name(row->certs), "");
    set_path(p, j, "root", "trust/ark.pem", "");
    set_path(p, j, "crl", fixtures_list_name(row->list), ".pem");
    if (d->id_block || d->other_block) {
        set_path(p, j, "id_block", d->id_block ? "id-block" : "id-block-other", ".bin");
        set_path(p, j, "id_auth", d->id_block ? "id-auth" : "id-auth-other", ".bin");
    }
    json_object_set_new(j, "policy", policy_json(p, d));
    json_object_set_new(j, "origin", json_string(row->forge || row->size ? "forged" : "firmware"));
    json_object_set_new(j, "expect", json_string(row->check ? "reject" : "accept"));
    json_object_set_new(j, "check", json_string(report_check_name(row->check)));
    return j;
}

static int write_case(struct fixtures *f, const struct fixtures_platform *p,
                      const struct case_row *row, struct demand d, struct error *e)
{
    u8 bytes[sizeof(struct snp_report) + 1] = {0};
    char name[100];
    struct snp_report r = row->vmpl1 ? p->vmpl1 : p->reports[row->guest][row->config];
    if (row->forge)
        row->forge(&r);
    if (row->sign && !sign_again(p, &r))
        return error_set(e, ERROR_INTERNAL, "%s cannot be signed", row->name);
    if (row->demand)
        row->demand(&d, p);
    memcpy(bytes, &r, sizeof r);
    snprintf(name, sizeof name, "%s.bin", row->name);
    if (fixtures_write(f, p->profile, name, bytes, (size_t)((s32)sizeof r + row->size), e))
        return -1;
    json_array_append_new(f->cases, case_json(p, row, &d));
    f->count++;
    return 0;
}

static bool has_case(const struct fixtures_platform *p, const struct case_row *row)
{
    const bool vlek = p->profile->features & SNP_FEATURE_ECX_VLEK;
    return p->profile->report_version >= row->version &&
           (vlek || (row->config != CONFIG_VLEK && row->certs != CERTS_VLEK));
}

static int write_blocks(struct fixtures *f, const struct fixtures_platform *p, struct error *e)
{
    return fixtures_write(f, p->profile, "id-block.bin", &p->block, sizeof p->block, e) ||
                   fixtures_write(f, p->profile, "id-auth.bin", &p->auth, sizeof p->auth, e) ||
                   fixtures_write(f, p->profile, "id-block-other.bin", &p->other_block,
                                  sizeof p->other_block, e) ||
                   fixtures_write(f, p->profile, "id-auth-other.bin", &p->other_auth,
                                  sizeof p->other_auth, e)
               ? -1
               : 0;
}

int fixtures_write_cases(struct fixtures *f, struct fixtures_platform *p, struct error *e)
{
    u8 id_key[48], author_key[48], chip_id[64] = {0};
    memcpy(chip_id, p->chip_id, p->profile->chip_id_size);
    id_block_key_digest(&p->auth.id_key, id_key);
    id_block_key_digest(&p->auth.author_key, author_key);
    const struct demand d = {
        .measurement = p->block.ld,
        .report_data = p->report_data,
        .host_data = p->host_data,
        .chip_id = chip_id,
        .id_key = id_key,
        .author_key = author_key,
        .minimum_tcb = p->tcb,
        .api_major = p->profile->api_major,
        .api_minor = p->profile->api_minor,
        .minimum_svn = 2,
    };
    if (write_blocks(f, p, e))
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (has_case(p, &rows[i]) && write_case(f, p, &rows[i], d, e))
            return -1;
    return 0;
}
