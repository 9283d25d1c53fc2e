/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations that the files of this room share. */
#ifndef SOFTSEV_KDS_INTERNAL_H
#define SOFTSEV_KDS_INTERNAL_H

#include "kds/kds.h"

#define KDS_PRODUCTS_MAX 4u

/* Certificates that were made recently. An RSA signature takes milliseconds, a copy takes almost no
 * time. */
#define CACHE_ENTRIES 1024u
#define CACHE_DER_MAX 1792u

struct cached {
    const struct authority_product *product; /* NULL: empty */
    bool vlek;
    u64 tcb;
    u8 chip_id[64];
    u16 size;
    u8 der[CACHE_DER_MAX];
};

/* Answers that are the same for every request. */
struct published {
    u8 chain[2][2 * AUTHORITY_CERT_MAX]; /* PEM: for VCEKs, for VLEKs */
    size_t chain_size[2];
    u8 list[AUTHORITY_CERT_MAX];
    size_t list_size;
};

struct kds {
    struct kds_config config;
    struct published published[KDS_PRODUCTS_MAX]; /* in the order of authority_products */
    struct cached *cache;                         /* CACHE_ENTRIES, found by a hash of their key */
    u32 requests;
    struct http_server *server; /* NULL: not started */
};

#define TYPE_DER  "application/octet-stream"
#define TYPE_PEM  "application/x-pem-file"
#define TYPE_LIST "application/pkix-crl"
#define TYPE_JSON "application/json"
#define TYPE_TEXT "text/plain; charset=utf-8"

/* A part of a request's URL, without a NUL at its end. */
struct piece {
    const char *at;
    size_t size;
};

struct request {
    struct kds *kds;
    bool get, post;
    bool vlek;
    const struct authority_product *product;
    struct piece what, query; /* the last part of the path; the text after '?' */
    u64 tcb;
    const void *body;
    size_t body_size;
    struct http_response *out;
};

/* Arguments for %.*s: never more than fits on a line. */
#define SHOW(piece) (int)((piece).size < 160 ? (piece).size : 160), (piece).at

/* Refuses a request, with a sentence that says what was wrong and what would be right. */
void kds_refuse(struct http_response *out, u32 status, const char *format, ...) PRINTF_LIKE(3, 4);
void kds_give(struct http_response *out, const char *type, const void *data, size_t size);

/* Parses the TCB in the query. Returns false if the request was refused. */
bool kds_parse_tcb(struct request *r);

/* Each of these answers the request in r->out. `wrong`: with a certificate of another chip or
 * provider. */
void kds_answer_vcek(struct request *r, bool wrong);
void kds_answer_vlek(struct request *r, bool wrong);
void kds_answer_sticks(struct request *r);
void kds_answer_cek(struct request *r);

#endif
