/* SPDX-License-Identifier: Apache-2.0 */
/* RSA-PSS with MGF1 of the same hash and a salt as long as the hash [sev 7.1]. */
#include "crypto/internal.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

struct rsa_private {
    EVP_PKEY *key;
};

/* Returns true for the two sizes of SEV. Any other size is refused before OpenSSL works on it. */
static bool size_is_known(u64 bits)
{
    return bits == 2048 || bits == 4096;
}

static struct rsa_private *wrap(EVP_PKEY *key)
{
    struct rsa_private *r = key ? calloc(1, sizeof *r) : NULL;
    if (r)
        r->key = key;
    else
        EVP_PKEY_free(key);
    return r;
}

struct rsa_private *crypto_rsa_generate(struct crypto *c, u32 bits)
{
    library_start();
    return size_is_known(bits) ? wrap(EVP_PKEY_Q_keygen(c->library, NULL, "RSA", (size_t)bits))
                               : NULL;
}

void crypto_rsa_free(struct rsa_private *key)
{
    if (!key)
        return;
    EVP_PKEY_free(key->key);
    free(key);
}

static void put_number(const EVP_PKEY *key, const char *name, u8 out[CRYPTO_RSA_MAX])
{
    BIGNUM *n = NULL;
    must(EVP_PKEY_get_bn_param(key, name, &n) == 1 &&
         BN_bn2lebinpad(n, out, CRYPTO_RSA_MAX) == CRYPTO_RSA_MAX);
    BN_free(n);
}

void crypto_rsa_public(const struct rsa_private *key, struct rsa_public *out)
{
    out->bits = (u32)EVP_PKEY_get_bits(key->key);
    put_number(key->key, OSSL_PKEY_PARAM_RSA_N, out->modulus);
    put_number(key->key, OSSL_PKEY_PARAM_RSA_E, out->exponent);
}

size_t crypto_rsa_export(const struct rsa_private *key, void *out, size_t size)
{
    size_t written = 0;
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key->key);
    unsigned char *der = NULL;
    int der_size = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : 0;
    if (der_size > 0 && (size_t)der_size <= size) {
        memcpy(out, der, (size_t)der_size);
        written = (size_t)der_size;
    }
    if (der_size > 0)
        OPENSSL_clear_free(der, (size_t)der_size);
    PKCS8_PRIV_KEY_INFO_free(info);
    return written;
}

struct rsa_private *crypto_rsa_import(const void *der, size_t size)
{
    library_start();
    const unsigned char *at = der;
    if (size > 16384)
        return NULL;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)size);
    EVP_PKEY *key = info && at == (const unsigned char *)der + size ? EVP_PKCS82PKEY(info) : NULL;
    PKCS8_PRIV_KEY_INFO_free(info);
    if (key && !(EVP_PKEY_is_a(key, "RSA") && size_is_known((u64)EVP_PKEY_get_bits(key)))) {
        EVP_PKEY_free(key);
        return NULL;
    }
    return wrap(key);
}

static bool use_pss(EVP_PKEY_CTX *operation)
{
    return EVP_PKEY_CTX_set_rsa_padding(operation, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(operation, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static void reverse(u8 *bytes, size_t size)
{
    for (size_t i = 0; i < size / 2; i++) {
        u8 b = bytes[i];
        bytes[i] = bytes[size - 1 - i];
        bytes[size - 1 - i] = b;
    }
}

bool crypto_rsa_pss_sign(struct crypto *c, const struct rsa_private *key, enum crypto_hash hash,
                         const void *message, size_t size, u8 *signature)
{
    library_start();
    size_t bytes = (size_t)EVP_PKEY_get_size(key->key);
    EVP_PKEY_CTX *operation; /* belongs to `sign` */
    EVP_MD_CTX *sign = EVP_MD_CTX_new();
    bool good = sign &&
                EVP_DigestSignInit_ex(sign, &operation, hash_name(hash), c->library, NULL, key->key,
                                      NULL) == 1 &&
                use_pss(operation) && EVP_DigestSign(sign, signature, &bytes, message, size) == 1;
    EVP_MD_CTX_free(sign);
    if (good)
        reverse(signature, bytes);
    return good;
}

static EVP_PKEY *make_public(const struct rsa_public *p)
{
    EVP_PKEY *key = NULL;
    BIGNUM *n = BN_lebin2bn(p->modulus, (int)(p->bits / 8), NULL);
    BIGNUM *e = BN_lebin2bn(p->exponent, (int)(p->bits / 8), NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    EVP_PKEY_CTX *make = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    /* A modulus with leading zeros has fewer bits than it says; a long exponent only wastes
     * time. */
    if (!n || !e || !build || !make || BN_num_bits(n) != (int)p->bits || BN_num_bits(e) > 64 ||
        !OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) ||
        !OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e))
        goto out;
    params = OSSL_PARAM_BLD_to_param(build);
    if (!params || EVP_PKEY_fromdata_init(make) != 1 ||
        EVP_PKEY_fromdata(make, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
out:
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(make);
    BN_free(n);
    BN_free(e);
    return key;
}

bool crypto_rsa_pss_verify(const struct rsa_public *key, enum crypto_hash hash, const void *message,
                           size_t size, const u8 *signature)
{
    library_start();
    if (!size_is_known(key->bits))
        return false;
    u8 big_endian[CRYPTO_RSA_MAX];
    size_t bytes = key->bits / 8;
    memcpy(big_endian, signature, bytes);
    reverse(big_endian, bytes);
    EVP_PKEY *pkey = make_public(key);
    EVP_PKEY_CTX *operation; /* belongs to `verify` */
    EVP_MD_CTX *verify = EVP_MD_CTX_new();
    bool good =
        pkey && verify &&
        EVP_DigestVerifyInit_ex(verify, &operation, hash_name(hash), NULL, NULL, pkey, NULL) == 1 &&
        use_pss(operation) && EVP_DigestVerify(verify, big_endian, bytes, message, size) == 1;
    EVP_MD_CTX_free(verify);
    EVP_PKEY_free(pkey);
    return good;
}
