/* SPDX-License-Identifier: Apache-2.0 */
/* What the crypto room's files share. */
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

/* Before anything else asks OpenSSL for something: its configuration file is none of our business,
 * and reading it costs more than the rest of the start. Cheap when already done. */
static inline void library_start(void)
{
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
}

/* An EVP key of a point, and of a scalar where `d` is given. NULL: it is none, or memory is out. */
EVP_PKEY *ec_make_key(OSSL_LIB_CTX *library, const struct ec_public *p, const u8 *d);

struct crypto_certificate {
    X509 *x509;
};

/* Whether OpenSSL's last call failed for want of memory. Empties its queue of errors. */
bool last_error_is_memory(void);
bool is_pss_sha384(const X509_ALGOR *algorithm);
bool time_is_between(const ASN1_TIME *from, s64 time, const ASN1_TIME *until);

/* Says that memory is out, and ends the program with that exit code. */
NORETURN void end_without_memory(void);

/* For calls that fail only when memory is out, in functions that cannot report it. */
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

static inline const char *hash_name(enum crypto_hash hash)
{
    return hash == CRYPTO_SHA384 ? "SHA384" : "SHA256";
}

#endif
