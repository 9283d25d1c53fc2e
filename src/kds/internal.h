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
    struct kds_server *server; /* NULL: not started */
};

#endif
