/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner's end of the secret exchange with an SNP guest (guest/secret_exchange.h): sends a
 * nonce, receives evidence, and seals a secret to this guest if its report satisfies all demands.
 */
#ifndef SOFTSEV_OWNER_SNP_SECRET_H
#define SOFTSEV_OWNER_SNP_SECRET_H

#include "guest/secret_exchange.h"
#include "owner/report.h"

/* Makes HELLO with a fresh nonce, which the owner keeps for this exchange. Returns the frame's
 * size; 0: no room. */
size_t owner_snp_hello(struct crypto *crypto, u8 nonce[SECRET_NONCE_SIZE], void *out, size_t size);

struct snp_secret_request {
    const u8 *nonce;      /* of the HELLO that this answers; never used twice */
    const void *evidence; /* the frame; hostile */
    size_t evidence_size;
    /* The roots that the owner trusts; `given` certificates count beside those in the evidence. */
    struct report_certificates certificates;
    struct report_policy policy; /* its report_data is ignored: the exchange determines it */
    const void *secret;
    size_t secret_size; /* up to SECRET_SIZE_MAX */
};

/* Verifies the evidence, and only then seals the secret into `out` (SECRET). Returns the frame's
 * size, or 0 and an error: then no secret was sealed. `*check` says which check failed; it is
 * REPORT_OK if the evidence is malformed or there is no room. */
size_t owner_seal_snp_secret(struct crypto *crypto, const struct snp_secret_request *request,
                             void *out, size_t size, enum report_check *check, struct error *e);

/* Makes REFUSED, which tells the agent which check failed and nothing else. Returns the frame's
 * size. */
size_t owner_snp_refusal(enum report_check check, void *out, size_t size);

#endif
