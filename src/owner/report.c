/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of an SNP report, in the order of report.h; each is one function that says why. */
#include "owner/report.h"

#include "abi/snp.h"
#include "base/bytes.h"
#include "owner/revocation.h"
#include "protocol/protocol.h"

#include <stdio.h>

struct verification {
    struct snp_report report;
    const struct report_certificates *certificates;
    const struct report_policy *policy;
    const struct crypto_certificate *ark, *ask, *key;
    struct report_endorsement endorsement;
    enum snp_tcb_layout layout;
    struct error *error;
};

#define REPORT_NAME(id, name) [REPORT_CHECK_##id] = name,
static const char *const names[] = {[REPORT_OK] = "ok", REPORT_CHECKS(REPORT_NAME)};
#undef REPORT_NAME

const char *report_check_name(enum report_check check)
{
    return (unsigned)check < ARRAY_SIZE(names) ? names[check] : "?";
}

#define REFUSE(v, ...) (error_set((v)->error, ERROR_MEASUREMENT, __VA_ARGS__), false)

/* --- Form ------------------------------------------------------------------------------------- */

static bool check_version(struct verification *v)
{
    const u32 version = v->report.version;
    if (version >= SNP_REPORT_VERSION_FIRST && version <= SNP_REPORT_VERSION_LAST)
        return true;
    if (version < SNP_REPORT_VERSION_FIRST)
        return REFUSE(v, "a report of version %u; 2 to 5 are known", version);
    if (v->policy->accept_unknown_version)
        return true;
    return REFUSE(v,
                  "a report of version %u; 2 to 5 are known (--accept-unknown-version judges it as "
                  "far as version 5 goes)",
                  version);
}

/* An unknown version may use fields that are reserved in the known ones. */
static bool reserved_is_zero(const struct snp_report *r)
{
    if (r->version > SNP_REPORT_VERSION_LAST)
        return true;
    bool good = !r->reserved_4c && all_zero(r->reserved_18b, sizeof r->reserved_18b) &&
                !r->reserved_1eb && !r->reserved_1ef &&
                all_zero(r->reserved_208, sizeof r->reserved_208) &&
                all_zero(r->signature.reserved_90, sizeof r->signature.reserved_90);
    if (r->version < 3)
        good = good && !r->cpuid_family && !r->cpuid_model && !r->cpuid_stepping;
    if (r->version < 4)
        good = good && !r->launch_mit_vector && !r->current_mit_vector;
    return good && !(r->key_info >> 5);
}

static bool check_form(struct verification *v)
{
    const struct snp_report *r = &v->report;
    if (!reserved_is_zero(r))
        return REFUSE(v, "a reserved byte of the report is not zero");
    if (r->signature_algorithm != SNP_SIGNATURE_ECDSA_P384_SHA384)
        return REFUSE(v, "the report's signature algorithm is %u; 1 is known",
                      r->signature_algorithm);
    if (!(r->policy & SNP_POLICY_ONE) || (r->policy & SNP_POLICY_RESERVED))
        return REFUSE(v, "guest policy 0x%llx: bit 17 must be one, bits 63:26 zero",
                      (unsigned long long)r->policy);
    return true;
}

/* --- Chain ------------------------------------------------------------------------------------ */

static bool is_endorsement(const struct crypto_certificate *c)
{
    const u8 *data;
    size_t size;
    return crypto_certificate_extension(c, "1.3.6.1.4.1.3704.1.1", &data, &size) != 0;
}

/* Finds the issuer of `c` in a list. Certificates that name themselves as issuer are roots and not
 * signers. If several have the name, the one that signed `c` counts. */
static const struct crypto_certificate *issuer_in(const struct crypto_certificate *c,
                                                  const struct crypto_certificates *all, bool root)
{
    const struct crypto_certificate *named = NULL;
    for (size_t i = 0; i < all->count; i++) {
        const struct crypto_certificate *one = all->list[i];
        if (!crypto_certificate_names(c, one) || crypto_certificate_names(one, one) != root)
            continue;
        if (crypto_certificate_signed_by(c, one))
            return one;
        named = named ? named : one;
    }
    return named;
}

static bool is_vlek(const struct crypto_certificate *c)
{
    const u8 *data;
    size_t size;
    return crypto_certificate_extension(c, "1.3.6.1.4.1.3704.1.4", &data, &size) == 0;
}

/* Counts the certificates of VCEKs and VLEKs, each once. `*last` is one of them. */
static u32 count_keys(const struct crypto_certificates *given, bool vlek,
                      const struct crypto_certificate **last)
{
    u32 count = 0;
    for (size_t i = 0; i < given->count; i++) {
        const struct crypto_certificate *c = given->list[i];
        bool again = false;
        for (size_t j = 0; j < i; j++)
            again = again || crypto_certificate_equal(given->list[j], c);
        if (again || !is_endorsement(c) || is_vlek(c) != vlek)
            continue;
        *last = c;
        count++;
    }
    return count;
}

static u32 signing_key(const struct verification *v)
{
    return (u32)BITS(v->report.key_info, 4, 2);
}

/* If both VCEK and VLEK are given, the report says which key signed it. */
static bool choose_key(struct verification *v)
{
    const struct crypto_certificate *vcek = NULL, *vlek = NULL;
    u32 vceks = count_keys(&v->certificates->given, false, &vcek);
    u32 vleks = count_keys(&v->certificates->given, true, &vlek);
    const u32 said = signing_key(v);
    if (vceks && vleks && (said == SNP_SIGNED_BY_VCEK || said == SNP_SIGNED_BY_VLEK)) {
        vceks = said == SNP_SIGNED_BY_VCEK ? vceks : 0;
        vleks = said == SNP_SIGNED_BY_VLEK ? vleks : 0;
    }
    v->key = vceks ? vcek : vlek;
    if (vceks + vleks == 1)
        return true;
    if (!vceks && !vleks && said == SNP_SIGNED_BY_VLEK)
        return REFUSE(v, "the certificate of the VLEK, with which the report says that it is "
                         "signed, was not given");
    return REFUSE(v, "%u certificates of a VCEK or VLEK were given; one is needed", vceks + vleks);
}

static bool check_chain(struct verification *v)
{
    const struct report_certificates *c = v->certificates;
    char name[64];
    if (!choose_key(v))
        return false;
    crypto_certificate_subject(v->key, name, sizeof name);
    v->ask = issuer_in(v->key, &c->given, false);
    if (!v->ask)
        v->ask = issuer_in(v->key, &c->roots, false);
    if (!v->ask)
        return REFUSE(v, "%s: the certificate of its issuer (ASK or ASVK) is missing", name);
    crypto_certificate_subject(v->ask, name, sizeof name);
    v->ark = issuer_in(v->ask, &c->roots, true);
    if (!v->ark)
        return REFUSE(v, "%s: its issuer is none of the roots that are trusted", name);
    return true;
}

/* A critical extension that is not understood may forbid the use of the certificate. */
static bool check_critical(struct verification *v, const struct crypto_certificate *c)
{
    char name[64], oid[80];
    if (!crypto_certificate_unknown_critical(c, oid, sizeof oid))
        return true;
    crypto_certificate_subject(c, name, sizeof name);
    return REFUSE(v, "%s: its certificate has an extension that is critical and not known, %s",
                  name, oid);
}

static bool check_endorsement(struct verification *v)
{
    return report_endorsement_read(v->key, &v->endorsement, v->error) == 0 &&
           check_critical(v, v->key);
}

static bool check_signature_of(struct verification *v, const struct crypto_certificate *c,
                               const struct crypto_certificate *issuer)
{
    char name[64], by[64];
    if (crypto_certificate_signed_by(c, issuer))
        return true;
    crypto_certificate_subject(c, name, sizeof name);
    crypto_certificate_subject(issuer, by, sizeof by);
    return REFUSE(v, "%s certificate, signed by %s: signature does not verify", name, by);
}

static bool check_authority(struct verification *v, const struct crypto_certificate *c,
                            long signers_below)
{
    char name[64];
    if (crypto_certificate_may_sign(c, signers_below))
        return check_critical(v, c);
    crypto_certificate_subject(c, name, sizeof name);
    return REFUSE(v, "%s: its certificate does not allow it to sign certificates", name);
}

static bool check_root_signature(struct verification *v)
{
    return check_signature_of(v, v->ark, v->ark);
}

static bool check_root_authority(struct verification *v)
{
    return check_authority(v, v->ark, 1);
}

static bool check_signer_signature(struct verification *v)
{
    return check_signature_of(v, v->ask, v->ark);
}

static bool check_signer_authority(struct verification *v)
{
    return check_authority(v, v->ask, 0);
}

static bool check_key_signature(struct verification *v)
{
    return check_signature_of(v, v->key, v->ask);
}

static bool check_validity(struct verification *v)
{
    const struct crypto_certificate *all[] = {v->ark, v->ask, v->key};
    char name[64];
    for (size_t i = 0; v->policy->time && i < ARRAY_SIZE(all); i++) {
        if (crypto_certificate_valid_at(all[i], *v->policy->time))
            continue;
        crypto_certificate_subject(all[i], name, sizeof name);
        return REFUSE(v, "%s: its certificate is not valid at this time", name);
    }
    return true;
}

static bool check_crl(struct verification *v)
{
    const struct crypto_crls *lists = &v->certificates->lists;
    const s64 *time = v->policy->time;
    char by[64];
    bool has_roots = false, has_signers = false;
    if (!revocation_check(lists, v->ark, time, &has_roots, v->error) ||
        !revocation_check(lists, v->ask, time, &has_signers, v->error))
        return false;
    if (has_roots || !lists->count)
        return true;
    crypto_certificate_subject(v->ark, by, sizeof by);
    return REFUSE(v, "no revocation list is by %s", by);
}

static bool check_revoked(struct verification *v)
{
    const struct {
        const struct crypto_certificate *subject, *issuer;
    } all[] = {{v->ark, v->ark}, {v->ask, v->ark}, {v->key, v->ask}};
    char name[64];
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        if (!revocation_names(&v->certificates->lists, all[i].issuer, all[i].subject))
            continue;
        crypto_certificate_subject(all[i].subject, name, sizeof name);
        return REFUSE(v, "%s: its certificate is revoked", name);
    }
    return true;
}

/* --- The report and its key ------------------------------------------------------------------- */

static bool check_signing_key(struct verification *v)
{
    const u32 key = signing_key(v);
    if (key == SNP_SIGNED_BY_NONE || (v->report.key_info & SNP_KEY_INFO_MASK_CHIP_KEY))
        return REFUSE(v, "the report is not signed: the platform hides its chip's key");
    if (key == (v->endorsement.vlek ? SNP_SIGNED_BY_VLEK : SNP_SIGNED_BY_VCEK))
        return true;
    return REFUSE(v, "the report says that it is signed by key %u (0 VCEK, 1 VLEK); a %s was given",
                  key, v->endorsement.vlek ? "VLEK" : "VCEK");
}

static bool check_signature(struct verification *v)
{
    if (snp_report_verify(&v->report, &v->endorsement.key))
        return true;
    return REFUSE(v, "the report's signature does not verify");
}

static bool check_product(struct verification *v)
{
    const struct snp_report *r = &v->report;
    v->layout = v->endorsement.layout;
    if (r->version < 3)
        return true;
    const enum snp_tcb_layout layout = snp_tcb_layout_of_part(r->cpuid_family, r->cpuid_model);
    if (layout == SNP_TCB_UNKNOWN)
        return REFUSE(
            v,
            "the report is of family 0x%x, model 0x%x%s, which is not known yet: what its "
            "TCB means cannot be said",
            r->cpuid_family, r->cpuid_model,
            r->cpuid_family == 0x1a && r->cpuid_model <= 0xc7 ? " (Venice)" : "");
    return layout == v->layout ? true
                               : REFUSE(v, "the report is of family 0x%x, its certificate of %s",
                                        r->cpuid_family, v->endorsement.product);
}

static bool check_chip(struct verification *v)
{
    const struct snp_report *r = &v->report;
    const struct report_endorsement *c = &v->endorsement;
    const u8 *wanted = v->policy->chip_id;
    const bool masked = !c->vlek && all_zero(r->chip_id, sizeof r->chip_id);
    if (masked && !v->policy->accept_masked_chip_id)
        return REFUSE(v, "the report hides its chip's id (MASK_CHIP_ID): nothing but its signature "
                         "ties it to this VCEK (--accept-masked-chip-id accepts that)");
    if (!c->vlek && !masked &&
        (memcmp(r->chip_id, c->chip_id, c->chip_id_size) ||
         !all_zero(r->chip_id + c->chip_id_size, sizeof r->chip_id - c->chip_id_size)))
        return REFUSE(v, "the chip's id in the report is not the one in its certificate");
    if (wanted && memcmp(r->chip_id, wanted, sizeof r->chip_id))
        return REFUSE(v, masked ? "the report hides its chip's id, and a certain chip is demanded"
                                : "the report is from another chip");
    return true;
}

static void tcb_text(enum snp_tcb_layout layout, struct snp_tcb t, char out[32])
{
    if (layout == SNP_TCB_TURIN)
        snprintf(out, 32, "%u.%u.%u.%u.%u", t.fmc, t.boot_loader, t.tee, t.snp, t.microcode);
    else
        snprintf(out, 32, "%u.%u.%u.%u", t.boot_loader, t.tee, t.snp, t.microcode);
}

static bool check_tcb(struct verification *v)
{
    char report[32], certificate[32];
    const u64 tcb = v->report.reported_tcb;
    if (tcb == snp_tcb_pack(v->layout, v->endorsement.tcb))
        return true;
    tcb_text(v->layout, snp_tcb_unpack(v->layout, tcb), report);
    tcb_text(v->layout, v->endorsement.tcb, certificate);
    return REFUSE(v, "the report's TCB is %s, its certificate's %s", report, certificate);
}

static bool check_tcb_order(struct verification *v)
{
    const struct snp_report *r = &v->report;
    const u64 all = r->reported_tcb | r->committed_tcb | r->current_tcb | r->launch_tcb;
    if (all & snp_tcb_reserved(v->layout))
        return REFUSE(v, "a TCB in the report has reserved bytes that are not zero");
    if (!snp_tcb_at_most(r->reported_tcb, r->committed_tcb) ||
        !snp_tcb_at_most(r->committed_tcb, r->current_tcb) ||
        !snp_tcb_at_most(r->launch_tcb, r->current_tcb))
        return REFUSE(v,
                      "the report's TCBs contradict each other: reported <= committed <= current "
                      "and launch <= current do not hold");
    return true;
}

/* --- Policy ----------------------------------------------------------------------------------- */

/* Refuses a minimum with more or fewer numbers than the part's TCB has: a number too many would be
 * ignored, and one too few would demand nothing of FMC. */
static bool check_tcb_numbers(struct verification *v)
{
    const u32 given = v->policy->minimum_tcb_numbers;
    if (given == 5 && v->layout != SNP_TCB_TURIN)
        return REFUSE(v, "the minimum TCB has five numbers, but this part has no FMC: give four "
                         "numbers, from the boot loader on");
    if (given == 4 && v->layout == SNP_TCB_TURIN)
        return REFUSE(v, "the minimum TCB has four numbers, but this part has an FMC, too: give "
                         "five numbers, FMC first");
    return true;
}

static bool check_tcb_minimum(struct verification *v)
{
    char have[32], want[32];
    const struct snp_tcb *minimum = v->policy->minimum_tcb;
    const u64 reported = v->report.reported_tcb;
    if (minimum && !check_tcb_numbers(v))
        return false;
    if (!minimum || snp_tcb_at_most(snp_tcb_pack(v->layout, *minimum), reported))
        return true;
    tcb_text(v->layout, snp_tcb_unpack(v->layout, reported), have);
    tcb_text(v->layout, *minimum, want);
    return REFUSE(v, "the platform's TCB %s is below the minimum %s", have, want);
}

static bool check_api_minimum(struct verification *v)
{
    const struct snp_report *r = &v->report;
    const struct report_policy *p = v->policy;
    if (r->committed_major > p->minimum_api_major ||
        (r->committed_major == p->minimum_api_major && r->committed_minor >= p->minimum_api_minor))
        return true;
    return REFUSE(v, "the firmware's API %u.%u is older than %u.%u", r->committed_major,
                  r->committed_minor, p->minimum_api_major, p->minimum_api_minor);
}

static bool check_guest_policy(struct verification *v)
{
    const u64 *want = v->policy->guest_policy;
    if (!want || v->report.policy == *want)
        return true;
    return REFUSE(v, "the guest's policy is %#llx, expected is %#llx",
                  (unsigned long long)v->report.policy, (unsigned long long)*want);
}

static bool check_debug(struct verification *v)
{
    if (v->policy->allow_debug || !(v->report.policy & SNP_POLICY_DEBUG))
        return true;
    return REFUSE(v, "the guest may be debugged: its host reads all its memory");
}

static bool check_migration(struct verification *v)
{
    if (v->policy->allow_migration || !(v->report.policy & SNP_POLICY_MIGRATE_MA))
        return true;
    return REFUSE(v, "the guest may be moved by a migration agent");
}

static bool check_smt(struct verification *v)
{
    if (!v->policy->refuse_smt || !(v->report.policy & SNP_POLICY_SMT))
        return true;
    return REFUSE(v, "the guest may run with SMT");
}

static bool check_vmpl(struct verification *v)
{
    if (v->report.vmpl <= v->policy->maximum_vmpl)
        return true;
    if (v->report.vmpl == SNP_VMPL_OF_HOST)
        return REFUSE(v, "the report was asked for by the host and not by the guest");
    return REFUSE(v, "the report was asked for at VMPL %u; at most %u is accepted", v->report.vmpl,
                  v->policy->maximum_vmpl);
}

/* `what` begins the sentence if the check's name does not say what was checked. */
static bool check_bytes(struct verification *v, const char *what, const u8 *have, const u8 *want,
                        size_t size)
{
    char a[129], b[129];
    if (!want || !memcmp(have, want, size))
        return true;
    hex_encode(a, have, size);
    hex_encode(b, want, size);
    return REFUSE(v, "%sthe report has %s, expected is %s", what, a, b);
}

static bool check_measurement(struct verification *v)
{
    return check_bytes(v, "", v->report.measurement, v->policy->measurement, 48);
}

static bool check_report_data(struct verification *v)
{
    return check_bytes(v, "", v->report.report_data, v->policy->report_data, 64);
}

static bool check_host_data(struct verification *v)
{
    return check_bytes(v, "", v->report.host_data, v->policy->host_data, 32);
}

static bool check_guest_svn(struct verification *v)
{
    if (v->report.guest_svn >= v->policy->minimum_svn)
        return true;
    return REFUSE(v, "the guest's SVN %u is below %u", v->report.guest_svn, v->policy->minimum_svn);
}

static bool check_id_key(struct verification *v)
{
    return check_bytes(v, "ID key: ", v->report.id_key_digest, v->policy->id_key_digest, 48);
}

/* A report without an author key has a digest of zeros, so demanding zeros demands that there is no
 * author key. */
static bool check_author_key(struct verification *v)
{
    const u8 *wanted = v->policy->author_key_digest;
    if (wanted && all_zero(wanted, 48)) {
        if (!(v->report.key_info & SNP_KEY_INFO_AUTHOR_KEY_EN))
            return check_bytes(v, "", v->report.author_key_digest, wanted, 48);
        return REFUSE(v, "the guest was launched with an author key, and none is demanded");
    }
    if (wanted && !(v->report.key_info & SNP_KEY_INFO_AUTHOR_KEY_EN))
        return REFUSE(v, "the guest was launched without an author key");
    return check_bytes(v, "", v->report.author_key_digest, wanted, 48);
}

static bool check_id_block(struct verification *v)
{
    const struct report_policy *p = v->policy;
    return !p->id_block || id_block_compare(&v->report, p->id_block, p->id_auth, v->error) == 0;
}

// clang-format off
static bool (*const checks[])(struct verification *v) = {
    [REPORT_CHECK_VERSION] = check_version,
    [REPORT_CHECK_FORM] = check_form,
    [REPORT_CHECK_CHAIN] = check_chain,
    [REPORT_CHECK_ENDORSEMENT] = check_endorsement,
    [REPORT_CHECK_ROOT_SIGNATURE] = check_root_signature,
    [REPORT_CHECK_ROOT_AUTHORITY] = check_root_authority,
    [REPORT_CHECK_SIGNER_SIGNATURE] = check_signer_signature,
    [REPORT_CHECK_SIGNER_AUTHORITY] = check_signer_authority,
    [REPORT_CHECK_KEY_SIGNATURE] = check_key_signature,
    [REPORT_CHECK_VALIDITY] = check_validity,
    [REPORT_CHECK_CRL] = check_crl,
    [REPORT_CHECK_REVOKED] = check_revoked,
    [REPORT_CHECK_SIGNING_KEY] = check_signing_key,
    [REPORT_CHECK_SIGNATURE] = check_signature,
    [REPORT_CHECK_PRODUCT] = check_product,
    [REPORT_CHECK_CHIP] = check_chip,
    [REPORT_CHECK_TCB] = check_tcb,
    [REPORT_CHECK_TCB_ORDER] = check_tcb_order,
    [REPORT_CHECK_TCB_MINIMUM] = check_tcb_minimum,
    [REPORT_CHECK_API_MINIMUM] = check_api_minimum,
    [REPORT_CHECK_POLICY] = check_guest_policy,
    [REPORT_CHECK_DEBUG] = check_debug,
    [REPORT_CHECK_MIGRATION] = check_migration,
    [REPORT_CHECK_SMT] = check_smt,
    [REPORT_CHECK_VMPL] = check_vmpl,
    [REPORT_CHECK_MEASUREMENT] = check_measurement,
    [REPORT_CHECK_REPORT_DATA] = check_report_data,
    [REPORT_CHECK_HOST_DATA] = check_host_data,
    [REPORT_CHECK_GUEST_SVN] = check_guest_svn,
    [REPORT_CHECK_ID_KEY] = check_id_key,
    [REPORT_CHECK_AUTHOR_KEY] = check_author_key,
    [REPORT_CHECK_ID_BLOCK] = check_id_block,
};
// clang-format on

void report_certificates_free(struct report_certificates *c)
{
    crypto_certificates_free(&c->given);
    crypto_certificates_free(&c->roots);
    crypto_crls_free(&c->lists);
}

enum report_check owner_verify_report(const void *report, size_t size,
                                      const struct report_certificates *certificates,
                                      const struct report_policy *policy, struct error *e)
{
    struct verification v = {.certificates = certificates, .policy = policy, .error = e};
    if (size != sizeof v.report) {
        error_set(e, ERROR_MEASUREMENT, "a report has %zu bytes (legacy: 208), this one %zu",
                  sizeof v.report, size);
        return REPORT_CHECK_SIZE;
    }
    memcpy(&v.report, report, sizeof v.report);
    for (size_t i = REPORT_CHECK_VERSION; i < ARRAY_SIZE(checks); i++)
        if (!checks[i](&v))
            return (enum report_check)i;
    return REPORT_OK;
}
