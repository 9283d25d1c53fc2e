/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key distribution service: what a verifier asks over HTTP for the certificates of a chip
 * [snp 8.2]. kds_answer() is the whole of it as a function from a request to a response;
 * kds_start() puts an HTTP server around it.
 *
 * Chips are those of the book; of a chip that is in it, the VCEK of every TCB is served.
 */
#ifndef SOFTSEV_KDS_KDS_H
#define SOFTSEV_KDS_KDS_H

#include "authority/authority.h"
#include "base/error.h"
#include "http/http.h"

/* Chips that the service knows; the manufacturer's book. */
struct kds_book {
    /* The fuses of the chip with this id (product->chip_id_size bytes); false: unknown. */
    bool (*chip)(void *context, const struct authority_product *product, const u8 *chip_id,
                 u8 fuses[32]);
    /* The extension of its VCEKs: "Milan-B1". */
    const char *(*product_name)(void *context, const struct authority_product *product);
    void *context;
};

/* What goes wrong on purpose; where two are due, the first. */
enum kds_fault {
    KDS_FAULT_429, /* with Retry-After */
    KDS_FAULT_404,
    KDS_FAULT_500,
    /* the VCEK of another chip, the VLEK of another provider; other requests have none */
    KDS_FAULT_WRONG,
    KDS_FAULT_DELAY, /* an answer as it should be, delay_ms later; may come with another */
    KDS_FAULTS
};

#define KDS_RETRY_AFTER_SECONDS 1u

struct kds_injection {
    u32 every[KDS_FAULTS]; /* 1: each request, 3: each third; 0: none */
    u32 delay_ms;
};

struct kds_config {
    struct crypto *crypto; /* for the nonces of hashsticks; outlives the service */
    const struct authority *authority;
    struct authority_terms
        terms; /* of VCEKs, VLEKs and lists; not_before as authority_issue_time() says */
    struct kds_book book;
    struct kds_injection injection;
    const char *csp_id;                    /* of VLEKs; at most AUTHORITY_CSP_MAX characters */
    const char *tls_certificate, *tls_key; /* PEM; NULL: plain HTTP */
    const char *listen;  /* "127.0.0.1:8080", "[::1]:8080"; port 0: any free one */
    u32 request_seconds; /* http_config.request_seconds */
    /* One request; may be NULL. Called from several threads, one at a time. */
    void (*log)(void *context, const char *method, const char *url, u32 status);
    void *log_context;
};

#define KDS_BODY_MAX  KIB(64)
#define KDS_HWIDS_MAX 60u /* of one request for hashsticks */

struct kds;

/* Chains and lists of all products are made here, once. NULL: OpenSSL refuses, or a text is too
 * long. */
struct kds *kds_create(const struct kds_config *config, struct error *error);
void kds_free(struct kds *k); /* stops it; NULL is allowed */

/* One request: "GET", "/vcek/v1/Milan/cert_chain", the body of a POST. Everything in it is hostile.
 * Not from two threads at once. */
void kds_answer(struct kds *k, const char *method, const char *url, const void *body, size_t size,
                struct http_response *out);

/* Serves until kds_stop(), on threads of its own. -1 and an error: the address cannot be had, or
 * libmicrohttpd is missing. */
int kds_start(struct kds *k, struct error *error);
u16 kds_port(const struct kds *k);
void kds_stop(struct kds *k);

#endif
