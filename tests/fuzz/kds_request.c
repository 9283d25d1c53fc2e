/* SPDX-License-Identifier: Apache-2.0 */
/* A request to the key distribution service: method, address and body, each on a line, the body to
 * the end. */
#include "base/bytes.h"
#include "kds/kds.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static const u8 chip_fuses[32] = {5};

static bool chip(void *context, const struct authority_product *product, const u8 *chip_id,
                 u8 fuses[32])
{
    u8 id[64];
    (void)context;
    memcpy(fuses, chip_fuses, 32);
    /* One chip in two is known, so that all ways are gone. */
    return (identity_chip_id(chip_fuses, id) && !memcmp(id, chip_id, product->chip_id_size)) ||
           chip_id[product->chip_id_size - 1] % 2;
}

static const char *product_name(void *context, const struct authority_product *product)
{
    (void)context;
    return product->name;
}

static struct kds *service(void)
{
    static struct kds *kds;
    struct error e = {.code = ERROR_NONE};
    if (kds)
        return kds;
    struct crypto *crypto = crypto_create("fuzz", 4);
    struct kds_config config = {.crypto = crypto,
                                .authority = crypto ? authority_create(crypto, 2048) : NULL,
                                .book = {chip, product_name, NULL},
                                .injection = {.every = {[KDS_FAULT_WRONG] = 5}},
                                .csp_id = "cloud"};
    kds = config.authority ? kds_create(&config, &e) : NULL;
    if (!kds)
        abort();
    return kds;
}

/* The bytes up to the end of a line, as a text; what is behind them. */
static const u8 *take_line(const u8 *at, const u8 *end, char *out, size_t room)
{
    size_t n = 0;
    for (; at < end && *at != '\n'; at++)
        if (n < room - 1 && *at)
            out[n++] = (char)*at;
    out[n] = 0;
    return at < end ? at + 1 : at;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static char method[32], url[4096];
    static u8 body[KDS_BODY_MAX];
    const u8 *end = data + size, *at = take_line(data, end, method, sizeof method);
    struct http_response out = {.body = body};
    at = take_line(at, end, url, sizeof url);
    kds_answer(service(), method, url, at, (size_t)(end - at), &out);
    if (!out.size || out.size > KDS_BODY_MAX || !out.content_type)
        abort();
    switch (out.status) {
    case 200:
    case 400:
    case 404:
    case 405:
    case 413:
    case 414:
        return 0;
    default:
        abort();
    }
}
