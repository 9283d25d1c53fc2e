/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repeatable randomness: an OpenSSL RAND provider whose bytes are HMAC-SHA-256(SHA-256(seed),
 * LE64(n)), n = 0, 1, ... Each library context has one stream, which all three of OpenSSL's
 * generators share. So the same draws in the same order give the same bytes. It is for repeatable
 * runs, not for secrets.
 */
#include "crypto/internal.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

struct seeded {
    u8 key[32];
    u64 next_block;
};

struct generator {
    struct seeded *stream;
    int state; /* EVP_RAND_STATE_... */
};

static void *generator_new(void *provider, void *parent, const OSSL_DISPATCH *parent_functions)
{
    (void)parent;
    (void)parent_functions;
    struct generator *g = calloc(1, sizeof *g);
    if (g)
        g->stream = provider;
    return g;
}

static void generator_free(void *generator)
{
    free(generator);
}

static int generator_instantiate(void *generator, unsigned strength, int prediction_resistance,
                                 const unsigned char *personal, size_t personal_size,
                                 const OSSL_PARAM params[])
{
    (void)strength;
    (void)prediction_resistance;
    (void)personal;
    (void)personal_size;
    (void)params;
    ((struct generator *)generator)->state = EVP_RAND_STATE_READY;
    return 1;
}

static int generator_uninstantiate(void *generator)
{
    ((struct generator *)generator)->state = EVP_RAND_STATE_UNINITIALISED;
    return 1;
}

static int generator_generate(void *generator, unsigned char *out, size_t size, unsigned strength,
                              int prediction_resistance, const unsigned char *added,
                              size_t added_size)
{
    (void)strength;
    (void)prediction_resistance;
    (void)added;
    (void)added_size;
    struct seeded *s = ((struct generator *)generator)->stream;
    while (size) {
        u8 number[8], block[32];
        store_le64(number, s->next_block++);
        crypto_hmac_sha256(s->key, sizeof s->key, number, sizeof number, block);
        size_t n = size < sizeof block ? size : sizeof block;
        memcpy(out, block, n);
        out += n;
        size -= n;
    }
    return 1;
}

static int generator_enable_locking(void *generator)
{
    (void)generator;
    return 1; /* a context has one party and one thread */
}

static int generator_lock(void *generator)
{
    (void)generator;
    return 1;
}

static void generator_unlock(void *generator)
{
    (void)generator;
}

static const OSSL_PARAM *generator_gettable(void *generator, void *provider)
{
    static const OSSL_PARAM known[] = {
        OSSL_PARAM_int(OSSL_RAND_PARAM_STATE, NULL),
        OSSL_PARAM_uint(OSSL_RAND_PARAM_STRENGTH, NULL),
        OSSL_PARAM_size_t(OSSL_RAND_PARAM_MAX_REQUEST, NULL),
        OSSL_PARAM_END,
    };
    (void)generator;
    (void)provider;
    return known;
}

static int generator_get(void *generator, OSSL_PARAM params[])
{
    OSSL_PARAM *p = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_STATE);
    if (p && !OSSL_PARAM_set_int(p, ((struct generator *)generator)->state))
        return 0;
    p = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_STRENGTH);
    if (p && !OSSL_PARAM_set_uint(p, 256))
        return 0;
    p = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_MAX_REQUEST);
    return !p || OSSL_PARAM_set_size_t(p, 65536);
}

/* Casts to the type that OpenSSL's tables use for every function; the dispatcher casts it back. */
#define FUNCTION(f) ((void (*)(void))(f))

static const OSSL_DISPATCH generator_functions[] = {
    {OSSL_FUNC_RAND_NEWCTX, FUNCTION(generator_new)},
    {OSSL_FUNC_RAND_FREECTX, FUNCTION(generator_free)},
    {OSSL_FUNC_RAND_INSTANTIATE, FUNCTION(generator_instantiate)},
    {OSSL_FUNC_RAND_UNINSTANTIATE, FUNCTION(generator_uninstantiate)},
    {OSSL_FUNC_RAND_GENERATE, FUNCTION(generator_generate)},
    {OSSL_FUNC_RAND_ENABLE_LOCKING, FUNCTION(generator_enable_locking)},
    {OSSL_FUNC_RAND_LOCK, FUNCTION(generator_lock)},
    {OSSL_FUNC_RAND_UNLOCK, FUNCTION(generator_unlock)},
    {OSSL_FUNC_RAND_GETTABLE_CTX_PARAMS, FUNCTION(generator_gettable)},
    {OSSL_FUNC_RAND_GET_CTX_PARAMS, FUNCTION(generator_get)},
    {0, NULL},
};

static const OSSL_ALGORITHM *provider_query(void *provider, int operation, int *no_cache)
{
    static const OSSL_ALGORITHM generators[] = {
        {SEEDED_RAND, "provider=" SEEDED_PROVIDER, generator_functions, "repeatable bytes"},
        {NULL, NULL, NULL, NULL},
    };
    (void)provider;
    *no_cache = 0;
    return operation == OSSL_OP_RAND ? generators : NULL;
}

static void provider_teardown(void *provider)
{
    crypto_wipe(provider, sizeof(struct seeded));
    free(provider);
}

static const OSSL_DISPATCH provider_functions[] = {
    {OSSL_FUNC_PROVIDER_QUERY_OPERATION, FUNCTION(provider_query)},
    {OSSL_FUNC_PROVIDER_TEARDOWN, FUNCTION(provider_teardown)},
    {0, NULL},
};

int seeded_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                         const OSSL_DISPATCH **out, void **provider)
{
    (void)handle;
    (void)in;
    *out = provider_functions;
    *provider = calloc(1, sizeof(struct seeded));
    return *provider != NULL;
}

void seeded_provider_seed(OSSL_PROVIDER *provider, const void *seed, size_t size)
{
    struct seeded *s = OSSL_PROVIDER_get0_provider_ctx(provider);
    crypto_sha256(seed, size, s->key);
    s->next_block = 0;
}

u64 *seeded_provider_position(OSSL_PROVIDER *provider)
{
    struct seeded *s = OSSL_PROVIDER_get0_provider_ctx(provider);
    return &s->next_block;
}
