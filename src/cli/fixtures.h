/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `softsev fixtures` share: a platform whose firmware makes the reports, its certificates, and the cases. */
#ifndef SOFTSEV_CLI_FIXTURES_H
#define SOFTSEV_CLI_FIXTURES_H

#include "abi/report.h"
#include "abi/sev_cert.h"
#include "abi/snp.h"
#include "authority/authority.h"
#include "firmware/firmware.h"
#include "owner/report.h"

#include <jansson.h>

/* Everything that does not depend on a profile. */
struct fixtures {
    const char *out, *seed;
    struct crypto *crypto;
    struct authority *authority, *other; /* the other one's names are the same: nobody trusts it */
    struct ec_private id_key, author_key, other_key;
    json_t *cases;
    size_t count;
};

/* 2026-01-01: the time at which certificates are judged. */
#define FIXTURES_TIME (AUTHORITY_EPOCH + 731ll * 86400)
#define FIXTURES_CSP  "softsev-cloud"

/* --- fixtures_platform.c: a machine, its firmware, and what guests on it ask for ------------------- */

/* Guests that are launched, each different from the first in one way. */
enum fixtures_guest {
    GUEST_NORMAL, /* ID block and author key, host data */
    GUEST_DEBUG,
    GUEST_MIGRATION,
    GUEST_OTHER,     /* one byte of its memory is another */
    GUEST_NO_BLOCK,  /* no ID block */
    GUEST_NO_AUTHOR, /* no author key */
    FIXTURES_GUESTS,
};

/* How the platform is configured when the guest asks. */
enum fixtures_config {
    CONFIG_DEFAULT,
    CONFIG_LOW_TCB, /* SNP_CONFIG: a reported TCB below the committed one */
    CONFIG_MASK_CHIP_ID,
    CONFIG_MASK_CHIP_KEY,
    CONFIG_VLEK, /* SNP_VLEK_LOAD; the last, as nothing unloads it */
    FIXTURES_CONFIGS,
};

struct fixtures_platform {
    const struct fixtures *all;
    const struct firmware_profile *profile;
    const struct authority_product *product;
    u8 fuses[32], chip_id[64];
    u64 tcb, low_tcb;
    u8 report_data[64], host_data[32];
    struct snp_id_block block, other_block; /* of GUEST_NORMAL, and of nobody */
    struct snp_id_auth auth, other_auth;
    struct snp_report reports[FIXTURES_GUESTS][FIXTURES_CONFIGS]; /* as the firmware made them */
    struct snp_report vmpl1;                                      /* asked for at VMPL1 */
};

/* Launches every guest and asks for every report. */
int fixtures_launch(struct fixtures_platform *p, struct error *e);

/* --- fixtures_certs.c ---------------------------------------------------------------------------------- */

/* Folders of certificates, and what is wrong with them. */
// clang-format off
#define FIXTURES_CERTS(X) \
    X(GOOD,          "certs") \
    X(LOW_TCB,       "certs-low-tcb")        /* VCEK of the lower TCB */ \
    X(VLEK,          "certs-vlek") \
    X(EXPIRED,       "certs-expired")        /* VCEK */ \
    X(FUTURE,        "certs-not-yet-valid")  /* VCEK */ \
    X(OTHER_TCB,     "certs-other-tcb")      /* VCEK's key, certified for another TCB */ \
    X(OTHER_CHIP,    "certs-other-chip")     /* VCEK's key, certified for another chip */ \
    X(OTHER_ROOT,    "certs-other-root")     /* all of them by somebody else, under the same names */ \
    X(OTHER_PRODUCT, "certs-other-product")  /* ASK of another product */ \
    X(NO_ASK,        "certs-without-ask") \
    X(VCEK_BY_ASVK,  "certs-vcek-by-asvk")   /* VCEK with the chain of VLEKs */ \
    X(CHANGED,       "certs-changed-vcek")   /* one byte of the VCEK's signature */ \
    X(CHANGED_ASK,   "certs-changed-ask")    /* one byte of the ASK's signature */ \
    X(EXPIRED_ASK,   "certs-expired-ask") \
    X(OCTET_STRING,  "certs-hwid-octet-string") /* hwID is an OCTET STRING of the chip's id */
#define FIXTURES_LISTS(X) \
    X(GOOD,     "crl") \
    X(REVOKED,  "crl-ask-revoked") \
    X(EXPIRED,  "crl-expired") \
    X(OTHER,    "crl-other-root") \
    X(NEWER,    "crl-newer-revoked")  /* two lists: number 2 has the ASK, number 1 has not */ \
    X(OLDER,    "crl-older-revoked")  /* two lists: number 1 has the ASK, number 2 has not */ \
    X(DELTA,    "crl-delta")
// clang-format on
#define FIXTURES_CERTS_ENUM(id, name) CERTS_##id,
enum fixtures_certs { FIXTURES_CERTS(FIXTURES_CERTS_ENUM) FIXTURES_CERTS_COUNT };
#define FIXTURES_LISTS_ENUM(id, name) LIST_##id,
enum fixtures_list { FIXTURES_LISTS(FIXTURES_LISTS_ENUM) FIXTURES_LISTS_COUNT };

const char *fixtures_certs_name(enum fixtures_certs kind);
const char *fixtures_list_name(enum fixtures_list kind);
/* All folders and lists of a platform, and trust/ark.pem. */
int fixtures_write_certs(const struct fixtures_platform *p, struct error *e);

/* --- fixtures_cases.c, fixtures_sev.c, fixtures_legacy.c ------------------------------------------------------------------ */

/* Every case of a platform: its report, and its entry in the manifest. */
int fixtures_write_cases(struct fixtures *f, struct fixtures_platform *p, struct error *e);
/* Chains, attestation reports and measurements of SEV without SNP. */
int fixtures_write_sev(struct fixtures *f, const struct firmware_profile *profile, struct error *e);

/* What the firmware has said of two launches of the same bytes. */
struct fixtures_legacy {
    const struct firmware_profile *profile;
    struct crypto *crypto; /* the profile's own, so that its files do not depend on the others' */
    const struct sev_attestation_report *report, *debug_report;
    const u8 *digest; /* 32 bytes */
};
/* Their reports, verified with the chains and roots of fixtures_write_sev. */
int fixtures_write_legacy(struct fixtures *f, const struct fixtures_legacy *s, struct error *e);

/* A file in the profile's folder. */
int fixtures_write(const struct fixtures *f, const struct firmware_profile *profile,
                   const char *name, const void *data, size_t size, struct error *e);
/* Fuses of a profile's chip, from the seed. */
void fixtures_fuses(const struct fixtures *f, const struct firmware_profile *profile, u8 fuses[32]);
json_t *fixtures_hex(const void *data, size_t size);

#endif
