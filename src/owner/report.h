/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verifying an SNP attestation report, versions 2 to 5: its form, the chain VCEK <- ASK <- ARK or
 * VLEK <- ASVK <- ARK up to a root that the owner was told to trust, its signature, what
 * certificate and report must say alike, and the owner's policy [snp 7, 8.1]. The first check that
 * fails is named. Reports and certificates are hostile.
 */
#ifndef SOFTSEV_OWNER_REPORT_H
#define SOFTSEV_OWNER_REPORT_H

#include "abi/report.h"
#include "base/error.h"
#include "crypto/crypto.h"
#include "owner/id_block.h"

/* The checks in order, with the names that programs see. */
// clang-format off
#define REPORT_CHECKS(X) \
    X(SIZE,             "report-size") \
    X(VERSION,          "report-version") \
    X(FORM,             "report-form")            /* reserved bytes, algorithm, guest policy's fixed bits */ \
    X(CHAIN,            "chain-complete")         /* all certificates are there */ \
    X(ENDORSEMENT,      "endorsement-extensions") /* of the VCEK or VLEK, and its key */ \
    X(ROOT_SIGNATURE,   "ark-signature") \
    X(ROOT_AUTHORITY,   "ark-authority")          /* may sign certificates */ \
    X(SIGNER_SIGNATURE, "ask-signature") \
    X(SIGNER_AUTHORITY, "ask-authority") \
    X(KEY_SIGNATURE,    "endorsement-signature") \
    X(VALIDITY,         "certificate-validity") \
    X(CRL,              "crl")                    /* the issuers' lists: theirs, complete, in time */ \
    X(REVOKED,          "revoked") \
    X(SIGNING_KEY,      "report-signing-key")     /* VCEK or VLEK, as the certificate is */ \
    X(SIGNATURE,        "report-signature") \
    X(PRODUCT,          "product")                /* family and TCB layout of report and certificate */ \
    X(CHIP,             "chip-id")                /* report, certificate, policy */ \
    X(TCB,              "reported-tcb")           /* equals the certificate's */ \
    X(TCB_ORDER,        "tcb-order")              /* reported <= committed <= current; launch <= current */ \
    X(TCB_MINIMUM,      "minimum-tcb") \
    X(API_MINIMUM,      "minimum-api") \
    X(POLICY,           "guest-policy")           /* is the one that was demanded */ \
    X(DEBUG,            "debug-policy") \
    X(MIGRATION,        "migration-policy") \
    X(SMT,              "smt-policy") \
    X(VMPL,             "vmpl") \
    X(MEASUREMENT,      "measurement") \
    X(REPORT_DATA,      "report-data") \
    X(HOST_DATA,        "host-data") \
    X(GUEST_SVN,        "guest-svn") \
    X(ID_KEY,           "id-key") \
    X(AUTHOR_KEY,       "author-key") \
    X(ID_BLOCK,         "id-block")
// clang-format on

#define REPORT_ENUM(id, name) REPORT_CHECK_##id,
enum report_check { REPORT_OK, REPORT_CHECKS(REPORT_ENUM) };
#undef REPORT_ENUM

const char *report_check_name(enum report_check check); /* "ok" for REPORT_OK */

/* The owner's demands on a genuine report. Pointers that are NULL demand nothing. */
struct report_policy {
    const s64 *time;                     /* Unix time at which the certificates must be valid */
    const u8 *measurement;               /* 48 bytes */
    const u8 *report_data;               /* 64 */
    const u8 *host_data;                 /* 32 */
    const u8 *chip_id;                   /* 64 */
    const u8 *id_key_digest;             /* 48 */
    const u8 *author_key_digest;         /* 48 */
    const struct snp_id_block *id_block; /* an ID block that was checked: the guest must have been
                                            launched with it and its page */
    const struct snp_id_auth *id_auth;
    const u64 *guest_policy;
    const struct snp_tcb *minimum_tcb;
    u32 minimum_tcb_numbers; /* 4, or 5 with FMC, if that many were demanded: a part with another
                                number of components is refused. 0: not checked */
    u8 minimum_api_major, minimum_api_minor;
    u32 minimum_svn;
    u32 maximum_vmpl; /* SNP_VMPL_OF_HOST: any */
    bool allow_debug, allow_migration, refuse_smt;
    bool accept_unknown_version; /* accept a newer version, and check what the last known version
                                    defines */
    bool accept_masked_chip_id;
};

/* The extensions of a VCEK's or VLEK's certificate that describe its chip [snp 8.1]. */
struct report_endorsement {
    bool vlek;
    enum snp_tcb_layout layout;
    struct snp_tcb tcb;
    char product[32]; /* "Milan-B0" */
    u8 chip_id[64];
    size_t chip_id_size; /* 0 in a VLEK */
    struct ec_public key;
};

/* Returns -1 if an extension is missing, there twice, or malformed. */
int report_endorsement_read(const struct crypto_certificate *c, struct report_endorsement *out,
                            struct error *e);

/* Must be zero before certificates and lists are read into it. */
struct report_certificates {
    struct crypto_certificates given; /* what came with the report, in any order */
    struct crypto_certificates
        roots;                /* ARKs that the owner trusts; ASKs among them are only given */
    struct crypto_crls lists; /* with one at least, the ARK's is needed */
};
void report_certificates_free(struct report_certificates *c);

/* Returns the check that failed. The error explains it; its code is ERROR_MEASUREMENT. */
enum report_check owner_verify_report(const void *report, size_t size,
                                      const struct report_certificates *certificates,
                                      const struct report_policy *policy, struct error *e);

#endif
