/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verifies the attestation report of a SEV or SEV-ES guest [sev 7.8]: its form, the platform's
 * chain up to a root that the owner was told to trust, the PEK's signature, and the owner's policy.
 * The first check that fails is named. Reports and certificates are hostile.
 */
#ifndef SOFTSEV_OWNER_LEGACY_REPORT_H
#define SOFTSEV_OWNER_LEGACY_REPORT_H

#include "protocol/protocol.h"

/* The checks in order, with the names that programs see; those of an SNP report where they are the
 * same. */
// clang-format off
#define LEGACY_CHECKS(X) \
    X(SIZE,        "report-size") \
    X(FORM,        "report-form")      /* the signature's usage and algorithm, the reserved word */ \
    X(ROOT,        "root-chain")       /* ASK <- ARK <- itself */ \
    X(CHIP,        "chip-chain")       /* PDH <- PEK <- CEK <- ASK */ \
    X(OWNER,       "owner-chain")      /* PEK <- OCA <- itself */ \
    X(SIGNATURE,   "report-signature") /* the PEK's */ \
    X(NONCE,       "nonce") \
    X(DEBUG,       "debug-policy")     /* NODBG is zero */ \
    X(POLICY,      "guest-policy")     /* another than demanded */ \
    X(MEASUREMENT, "launch-digest")
// clang-format on

#define LEGACY_ENUM(id, name) LEGACY_CHECK_##id,
enum legacy_check { LEGACY_OK, LEGACY_CHECKS(LEGACY_ENUM) LEGACY_CHECK_COUNT };
#undef LEGACY_ENUM

const char *legacy_check_name(enum legacy_check check); /* "ok" for LEGACY_OK */

/* The owner's demands on a genuine report. Pointers that are NULL demand nothing. */
struct legacy_policy {
    const u8 *mnonce;        /* 16 bytes: the nonce that ATTESTATION should have been called with */
    const u8 *launch_digest; /* 32: SHA-256 of all that was launched */
    const u32 *policy;       /* the guest policy [sev 6], exactly */
    bool allow_debug;        /* accept a policy without NODBG */
};

/* Returns the check that failed. The error explains it; its code is ERROR_MEASUREMENT. */
enum legacy_check owner_verify_legacy_report(const void *report, size_t size,
                                             const struct sev_platform_chain *chain,
                                             const struct amd_chain *root,
                                             const struct legacy_policy *policy, struct error *e);

#endif
