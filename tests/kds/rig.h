/* SPDX-License-Identifier: Apache-2.0 */
/* A key distribution service with one chip, for tests. */
#ifndef SOFTSEV_TESTS_KDS_RIG_H
#define SOFTSEV_TESTS_KDS_RIG_H

#include "base/bytes.h"
#include "kds/kds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const u8 rig_fuses[32] = {2, 7, 1, 8, 2, 8};
static struct crypto *rig_crypto;
static struct authority *rig_authority;

static bool rig_chip(void *context, const struct authority_product *product, const u8 *chip_id,
                     u8 fuses[32])
{
    u8 id[64];
    (void)context;
    if (!identity_chip_id(rig_fuses, id) || memcmp(id, chip_id, product->chip_id_size))
        return false;
    memcpy(fuses, rig_fuses, 32);
    return true;
}

static const char *rig_product_name(void *context, const struct authority_product *product)
{
    (void)context;
    return strcmp(product->name, "Milan") ? product->name : "Milan-B1";
}

static inline struct kds_config rig_config(void)
{
    return (struct kds_config){.crypto = rig_crypto,
                               .authority = rig_authority,
                               .terms = {.not_before = AUTHORITY_EPOCH},
                               .book = {rig_chip, rig_product_name, NULL},
                               .csp_id = "cloud",
                               .listen = "127.0.0.1:0"};
}

/* The id's hexadecimal digits for a product. */
static inline const char *rig_id(size_t size)
{
    static char hex[129];
    u8 id[64];
    assert_true(identity_chip_id(rig_fuses, id));
    hex_encode(hex, id, size);
    return hex;
}

static inline int rig_make(void **state)
{
    (void)state;
    rig_crypto = crypto_create("kds", 3);
    rig_authority = authority_create(rig_crypto, 2048);
    return rig_authority ? 0 : -1;
}

static inline int rig_free(void **state)
{
    (void)state;
    authority_free(rig_authority);
    crypto_destroy(rig_crypto);
    return 0;
}

#endif
