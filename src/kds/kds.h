/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key distribution service: what a verifier asks over HTTP for the certificates of a chip [snp 8.2]. kds_answer()
 * is the whole of it as a pure function from a request to a response; kds_start() puts an HTTP server around it.
 */
#ifndef SOFTSEV_KDS_KDS_H
#define SOFTSEV_KDS_KDS_H

#include "authority/authority.h"
#include "base/error.h"

/* Chips that the service knows; the manufacturer's book. */
struct kds_book {
    /* The fuses of the chip with this id (product->chip_id_size bytes); false: unknown. */
    bool (*chip)(void *context, const struct authority_product *product, const u8 *chip_id,
                 u8 fuses[32]);
    /* The extension of its VCEKs: "Milan-B1". */
    const char *(*product_name)(void *context, const struct authority_product *product);
    void *context;
};

/* What goes wrong on purpose. */
enum kds_fault {
    KDS_FAULT_NONE,
    KDS_FAULT_429,
    KDS_FAULT_404,
    KDS_FAULT_500,
    KDS_FAULT_WRONG_CERTIFICATE
};

struct kds_injection {
    enum kds_fault fault;
    u32 every;    /* 1: each request, 3: each third; 0: none */
    u32 delay_ms; /* before every answer */
};

struct kds_config {
    struct crypto *crypto;
    const struct authority *authority;
    struct authority_terms terms;
    struct kds_book book;
    struct kds_injection injection;
    const char *csp_id;                    /* of VLEKs */
    const char *tls_certificate, *tls_key; /* PEM; NULL: plain HTTP */
    const char *listen;                    /* "127.0.0.1:8080"; port 0: any free one */
    void (*log)(void *context, const char *method, const char *url, u32 status); /* may be NULL */
    void *log_context;
};

#define KDS_BODY_MAX KIB(64)

struct kds_response {
    u32 status; /* HTTP */
    const char *content_type;
    u32 retry_after_seconds; /* 0: none */
    u8 *body;                /* KDS_BODY_MAX bytes, the caller's */
    size_t size;
};

struct kds;

/* Certificates of all products are made here, once. NULL: OpenSSL refuses. */
struct kds *kds_create(const struct kds_config *config, struct error *error);
void kds_free(struct kds *k);

/* One request: "GET", "/vcek/v1/Milan/cert_chain?blSPL=3", the body of a POST. Everything in it is hostile. */
void kds_answer(struct kds *k, const char *method, const char *url, const void *body, size_t size,
                struct kds_response *out);

/* Serves until kds_stop(). -1 and an error: the address cannot be had. */
int kds_start(struct kds *k, struct error *error);
u32 kds_port(const struct kds *k);
void kds_stop(struct kds *k);

#endif
