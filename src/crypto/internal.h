/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations that the files of this room share. */
#ifndef SOFTSEV_CRYPTO_INTERNAL_H
#define SOFTSEV_CRYPTO_INTERNAL_H

#include "crypto/crypto.h"

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/x509.h>
#include <stdlib.h>

struct crypto {
    OSSL_LIB_CTX *library; /* NULL: OpenSSL's default one, with the system's randomness */
    OSSL_PROVIDER *algorithms, *randomness;
};

/* Starts OpenSSL without its configuration file, before any other use of OpenSSL: softsev does not
 * depend on that file, and reading it takes longer than the rest of the start. Later calls cost
 * little. */
static inline void library_start(void)
{
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
}

/* Makes an EVP key from a point, and from a scalar unless `d` is NULL. Returns NULL if they are not
 * a key, or if memory is out. */
EVP_PKEY *ec_make_key(OSSL_LIB_CTX *library, const struct ec_public *p, const u8 *d);

struct crypto_certificate {
    X509 *x509;
};

/* Returns true if OpenSSL's last call failed because memory is out. Empties OpenSSL's error
 * queue. */
bool last_error_is_memory(void);
bool is_pss_sha384(const X509_ALGOR *algorithm);
bool time_is_between(const ASN1_TIME *from, s64 time, const ASN1_TIME *until);

/* Reports that memory is out and ends the program with the exit code for that. */
NORETURN void end_without_memory(void);

/* Checks calls that fail only when memory is out, in functions that cannot report an error. */
static inline void must(bool succeeded)
{
    if (!succeeded)
        end_without_memory();
}

/* The RAND provider of a seeded context. */
#define SEEDED_PROVIDER "softsev-seeded"
#define SEEDED_RAND     "SOFTSEV-SEEDED"
OSSL_provider_init_fn seeded_provider_init;
void seeded_provider_seed(OSSL_PROVIDER *provider, const void *seed, size_t size);
/* The number of its next block. */
u64 *seeded_provider_position(OSSL_PROVIDER *provider);

static inline const char *hash_name(enum crypto_hash hash)
{
    return hash == CRYPTO_SHA384 ? "SHA384" : "SHA256";
}

#endif
