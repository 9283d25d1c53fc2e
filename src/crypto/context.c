/* SPDX-License-Identifier: Apache-2.0 */
/* A party's context, which determines where its random bytes come from, and the two operations on
 * secrets. */
#include "crypto/internal.h"

#include "base/error.h"

#include <openssl/rand.h>
#include <stdio.h>

void end_without_memory(void)
{
    fputs("softsev: out of memory\n", stderr);
    exit(ERROR_MEMORY);
}

static bool seed_library(struct crypto *c, const void *seed, size_t size)
{
    c->library = OSSL_LIB_CTX_new();
    if (!c->library ||
        !OSSL_PROVIDER_add_builtin(c->library, SEEDED_PROVIDER, seeded_provider_init))
        return false;
    c->algorithms = OSSL_PROVIDER_load(c->library, "default");
    c->randomness = OSSL_PROVIDER_load(c->library, SEEDED_PROVIDER);
    if (!c->algorithms || !c->randomness)
        return false;
    seeded_provider_seed(c->randomness, seed, size);
    return RAND_set_DRBG_type(c->library, SEEDED_RAND, NULL, NULL, NULL) == 1;
}

struct crypto *crypto_create(const void *seed, size_t seed_size)
{
    library_start();
    struct crypto *c = calloc(1, sizeof *c);
    if (c && seed && !seed_library(c, seed, seed_size)) {
        crypto_destroy(c);
        return NULL;
    }
    return c;
}

void crypto_destroy(struct crypto *c)
{
    if (!c)
        return;
    if (c->randomness)
        OSSL_PROVIDER_unload(c->randomness);
    if (c->algorithms)
        OSSL_PROVIDER_unload(c->algorithms);
    OSSL_LIB_CTX_free(c->library);
    free(c);
}

void crypto_reseed(struct crypto *c, const void *seed, size_t seed_size)
{
    must(c->randomness != NULL);
    seeded_provider_seed(c->randomness, seed, seed_size);
}

u64 crypto_position(const struct crypto *c)
{
    return c->randomness ? *seeded_provider_position(c->randomness) : 0;
}

void crypto_set_position(struct crypto *c, u64 position)
{
    if (c->randomness)
        *seeded_provider_position(c->randomness) = position;
}

void crypto_random(struct crypto *c, void *out, size_t size)
{
    must(RAND_priv_bytes_ex(c->library, out, size, 0) == 1);
}

static void fill_random(void *context, void *out, size_t count)
{
    crypto_random(context, out, count);
}

struct random_source crypto_random_source(struct crypto *c)
{
    return (struct random_source){.fill = fill_random, .context = c};
}

void crypto_wipe(void *secret, size_t size)
{
    OPENSSL_cleanse(secret, size);
}

bool crypto_equal(const void *a, const void *b, size_t size)
{
    return CRYPTO_memcmp(a, b, size) == 0;
}
