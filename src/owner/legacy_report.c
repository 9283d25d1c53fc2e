/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of a legacy attestation report, in the order of legacy_report.h; each is one function
 * that says why. */
#include "owner/legacy_report.h"

#include "abi/sev.h"
#include "base/bytes.h"

struct verification {
    struct sev_attestation_report report;
    const struct sev_platform_chain *chain;
    const struct amd_chain *root;
    const struct legacy_policy *policy;
    struct error *error;
};

#define LEGACY_NAME(id, name) [LEGACY_CHECK_##id] = name,
static const char *const names[] = {[LEGACY_OK] = "ok", LEGACY_CHECKS(LEGACY_NAME)};
#undef LEGACY_NAME

const char *legacy_check_name(enum legacy_check check)
{
    return (unsigned)check < ARRAY_SIZE(names) ? names[check] : "?";
}

#define REFUSE(v, ...) (error_set((v)->error, ERROR_MEASUREMENT, __VA_ARGS__), false)

/* These twelve bytes are not signed [sev 7.8]: only one value of them is a report. */
static bool check_form(struct verification *v)
{
    const struct sev_attestation_report *r = &v->report;
    if (r->signature_usage != SEV_USAGE_PEK)
        return REFUSE(v, "the report says that it is signed by key usage 0x%x; the PEK is 0x%x",
                      r->signature_usage, SEV_USAGE_PEK);
    if (r->signature_algorithm != SEV_ALGORITHM_ECDSA_SHA256)
        return REFUSE(v, "the report's signature algorithm is 0x%x; ECDSA with SHA-256 is 0x%x",
                      r->signature_algorithm, SEV_ALGORITHM_ECDSA_SHA256);
    return r->reserved_3c
               ? REFUSE(v, "the reserved word at 3Ch is 0x%x and not zero", r->reserved_3c)
               : true;
}

static bool is_good(struct verification *v, struct cert_verdict verdict)
{
    return cert_verdict_error(&verdict, ERROR_MEASUREMENT, v->error) == 0;
}

static bool check_root(struct verification *v)
{
    return is_good(v, chain_verify_root(v->root));
}

static bool check_chip(struct verification *v)
{
    return is_good(v, chain_verify_chip(v->chain, v->root));
}

static bool check_owner(struct verification *v)
{
    return is_good(v, chain_verify_owner(v->chain));
}

static bool check_signature(struct verification *v)
{
    if (report_verify(&v->report, &v->chain->chain.pek) == CERT_OK)
        return true;
    return REFUSE(v, "the report's signature by the chain's PEK does not verify");
}

/* `what` begins the sentence if the check's name does not say what was checked. */
static bool check_bytes(struct verification *v, const char *what, const u8 *have, const u8 *want,
                        size_t size)
{
    char a[65], b[65];
    if (!want || !memcmp(have, want, size))
        return true;
    hex_encode(a, have, size);
    hex_encode(b, want, size);
    return REFUSE(v, "%sthe report has %s, expected is %s", what, a, b);
}

static bool check_nonce(struct verification *v)
{
    return check_bytes(v, "MNONCE: ", v->report.mnonce, v->policy->mnonce, 16);
}

static bool check_debug(struct verification *v)
{
    if (v->policy->allow_debug || (v->report.policy & SEV_POLICY_NODBG))
        return true;
    return REFUSE(v, "the guest may be debugged: its host reads all its memory");
}

static bool check_policy(struct verification *v)
{
    const u32 *want = v->policy->policy;
    if (!want || v->report.policy == *want)
        return true;
    return REFUSE(v, "the guest's policy is 0x%x, expected is 0x%x", v->report.policy, *want);
}

static bool check_measurement(struct verification *v)
{
    return check_bytes(v, "", v->report.launch_digest, v->policy->launch_digest, 32);
}

static bool (*const checks[])(struct verification *v) = {
    [LEGACY_CHECK_FORM] = check_form,
    [LEGACY_CHECK_ROOT] = check_root,
    [LEGACY_CHECK_CHIP] = check_chip,
    [LEGACY_CHECK_OWNER] = check_owner,
    [LEGACY_CHECK_SIGNATURE] = check_signature,
    [LEGACY_CHECK_NONCE] = check_nonce,
    [LEGACY_CHECK_DEBUG] = check_debug,
    [LEGACY_CHECK_POLICY] = check_policy,
    [LEGACY_CHECK_MEASUREMENT] = check_measurement,
};

enum legacy_check owner_verify_legacy_report(const void *report, size_t size,
                                             const struct sev_platform_chain *chain,
                                             const struct amd_chain *root,
                                             const struct legacy_policy *policy, struct error *e)
{
    struct verification v = {.chain = chain, .root = root, .policy = policy, .error = e};
    if (size != sizeof v.report) {
        error_set(e, ERROR_MEASUREMENT, "a report has %zu bytes (SNP: 1184), this one %zu",
                  sizeof v.report, size);
        return LEGACY_CHECK_SIZE;
    }
    memcpy(&v.report, report, sizeof v.report);
    for (size_t i = LEGACY_CHECK_FORM; i < ARRAY_SIZE(checks); i++)
        if (!checks[i](&v))
            return (enum legacy_check)i;
    return LEGACY_OK;
}
