/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key distribution service, which verifiers ask over HTTP for the certificates of a chip [snp
 * 8.2]. kds_answer() is the whole service as a function from a request to a response; kds_start()
 * puts an HTTP server around it.
 *
 * The service knows the chips in its book; for each of them, it serves the VCEK of every TCB.
 */
#ifndef SOFTSEV_KDS_KDS_H
#define SOFTSEV_KDS_KDS_H

#include "authority/authority.h"
#include "base/error.h"
#include "http/http.h"

/* The chips that the service knows: the manufacturer's book. */
struct kds_book {
    /* Finds the fuses of the chip with this id (product->chip_id_size bytes); returns false if the
     * chip is unknown. */
    bool (*chip)(void *context, const struct authority_product *product, const u8 *chip_id,
                 u8 fuses[32]);
    /* Returns the product name extension of VCEKs: "Milan-B1". */
    const char *(*product_name)(void *context, const struct authority_product *product);
    void *context;
};

/* Faults that the service makes on purpose. If two faults are due, the first one wins. */
enum kds_fault {
    KDS_FAULT_429, /* with a Retry-After header */
    KDS_FAULT_404,
    KDS_FAULT_500,
    /* the VCEK of another chip, the VLEK of another provider; other requests do not have this
     * fault */
    KDS_FAULT_WRONG,
    KDS_FAULT_DELAY, /* a correct answer, delay_ms later; may be combined with another fault */
    KDS_FAULTS
};

#define KDS_RETRY_AFTER_SECONDS 1u

struct kds_injection {
    u32 every[KDS_FAULTS]; /* 1: each request, 3: each third request; 0: never */
    u32 delay_ms;
};

struct kds_config {
    struct crypto *crypto; /* source of the nonces of hashsticks; must outlive the service */
    const struct authority *authority;
    struct authority_terms
        terms; /* terms of VCEKs, VLEKs and lists; not_before from authority_issue_time() */
    struct kds_book book;
    struct kds_injection injection;
    const char *csp_id; /* provider named in VLEKs; at most AUTHORITY_CSP_MAX characters */
    const char *tls_certificate, *tls_key; /* PEM; NULL: plain HTTP */
    const char *listen;  /* "127.0.0.1:8080", "[::1]:8080"; port 0: any free one */
    u32 request_seconds; /* http_config.request_seconds */
    /* Logs one request; may be NULL. Several threads call it, one at a time. */
    void (*log)(void *context, const char *method, const char *url, u32 status);
    void *log_context;
};

#define KDS_BODY_MAX  KIB(64)
#define KDS_HWIDS_MAX 60u /* ids in one request for hashsticks */

struct kds;

/* Makes the chains and lists of all products in advance. Returns NULL if OpenSSL refuses or a text
 * is too long. */
struct kds *kds_create(const struct kds_config *config, struct error *error);
void kds_free(struct kds *k); /* stops the service; NULL is allowed */

/* Answers one request: "GET", "/vcek/v1/Milan/cert_chain", the body of a POST. All of it is
 * untrusted. Must not be called from two threads at once. */
void kds_answer(struct kds *k, const char *method, const char *url, const void *body, size_t size,
                struct http_response *out);

/* Serves until kds_stop(), on its own threads. Returns -1 and an error if the address is not
 * available or libmicrohttpd is missing. */
int kds_start(struct kds *k, struct error *error);
u16 kds_port(const struct kds *k);
void kds_stop(struct kds *k);

#endif
