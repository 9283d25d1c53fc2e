/* SPDX-License-Identifier: Apache-2.0 */
/* What the kds room's files share. */
#ifndef SOFTSEV_KDS_INTERNAL_H
#define SOFTSEV_KDS_INTERNAL_H

#include "kds/kds.h"

#define KDS_PRODUCTS_MAX 4u

/* Certificates that were made lately. A RSA signature takes milliseconds, a copy none. */
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

/* What is the same for every request. */
struct published {
    u8 chain[2][2 * AUTHORITY_CERT_MAX]; /* PEM: VCEK's, VLEK's */
    size_t chain_size[2];
    u8 list[AUTHORITY_CERT_MAX];
    size_t list_size;
};

struct kds {
    struct kds_config config;
    struct published published[KDS_PRODUCTS_MAX]; /* as authority_products */
    struct cached *cache;                         /* CACHE_ENTRIES, by a hash of what it is */
    u32 requests;
    struct http_server *server; /* NULL: not started */
};

#define TYPE_DER  "application/octet-stream"
#define TYPE_PEM  "application/x-pem-file"
#define TYPE_LIST "application/pkix-crl"
#define TYPE_JSON "application/json"
#define TYPE_TEXT "text/plain; charset=utf-8"

/* A request taken apart; the texts are parts of the URL, not ended by NUL. */
struct piece {
    const char *at;
    size_t size;
};

struct request {
    struct kds *kds;
    bool get, post;
    bool vlek;
    const struct authority_product *product;
    struct piece what, query; /* the last part of the path; what follows '?' */
    u64 tcb;
    const void *body;
    size_t body_size;
    struct http_response *out;
};

/* For %.*s: never more than a line has room for. */
#define SHOW(piece) (int)((piece).size < 160 ? (piece).size : 160), (piece).at

/* A refusal says in a sentence what was wrong and what would be right. */
void kds_refuse(struct http_response *out, u32 status, const char *format, ...) PRINTF_LIKE(3, 4);
void kds_give(struct http_response *out, const char *type, const void *data, size_t size);

/* The TCB of the query; false: it is refused. */
bool kds_parse_tcb(struct request *r);

/* Each gives r->out its answer. `wrong`: somebody else's. */
void kds_answer_vcek(struct request *r, bool wrong);
void kds_answer_vlek(struct request *r, bool wrong);
void kds_answer_sticks(struct request *r);
void kds_answer_cek(struct request *r);

#endif
