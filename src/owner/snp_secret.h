/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner's end of the secret exchange with an SNP guest (guest/secret_exchange.h): a nonce out,
 * evidence in, and a secret for this one guest only if its report says all that the owner demands.
 */
#ifndef SOFTSEV_OWNER_SNP_SECRET_H
#define SOFTSEV_OWNER_SNP_SECRET_H

#include "guest/secret_exchange.h"
#include "owner/report.h"

/* HELLO with a fresh nonce, which is the owner's to keep for this exchange. Returns the frame's
 * size; 0: no room. */
size_t owner_snp_hello(struct crypto *crypto, u8 nonce[SECRET_NONCE_SIZE], void *out, size_t size);

struct snp_secret_request {
    const u8 *nonce;      /* of the HELLO that this answers; never used twice */
    const void *evidence; /* the frame; hostile */
    size_t evidence_size;
    /* Whom the owner trusts; `given` certificates count beside those in the evidence. */
    struct report_certificates certificates;
    struct report_policy policy; /* its report_data is the exchange's and not looked at */
    const void *secret;
    size_t secret_size; /* up to SECRET_SIZE_MAX */
};

/* Verifies the evidence, and only then seals the secret into `out` (SECRET). Returns the frame's
 * size. 0 and an error: nothing is given; `*check` says which check failed, REPORT_OK if the
 * evidence is no evidence or there is no room. */
size_t owner_seal_snp_secret(struct crypto *crypto, const struct snp_secret_request *request,
                             void *out, size_t size, enum report_check *check, struct error *e);

/* REFUSED: tells the agent which check failed and nothing else. Returns the frame's size. */
size_t owner_snp_refusal(enum report_check check, void *out, size_t size);

#endif
