/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-2, HMAC-SHA-256 and SEV's key derivation [sev 7.3]. */
#include "crypto/internal.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>

void crypto_sha256(const void *data, size_t size, u8 out[32])
{
    library_start();
    must(EVP_Digest(data, size, out, NULL, EVP_sha256(), NULL) == 1);
}

void crypto_sha384(const void *data, size_t size, u8 out[48])
{
    library_start();
    must(EVP_Digest(data, size, out, NULL, EVP_sha384(), NULL) == 1);
}

void crypto_hmac_sha256(const void *key, size_t key_size, const void *data, size_t size, u8 out[32])
{
    library_start();
    /* For an empty message, HMAC must get a pointer other than NULL. */
    must(HMAC(EVP_sha256(), key, (int)key_size, size ? data : "", size, out, NULL) != NULL);
}

void crypto_hmac_sha256_pieces(const void *key, size_t key_size, const struct crypto_piece *pieces,
                               size_t count, u8 out[32])
{
    library_start();
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                 OSSL_PARAM_construct_end()};
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *mac = EVP_MAC_CTX_new(hmac);
    size_t written;
    must(mac && EVP_MAC_init(mac, key, key_size, params) == 1);
    for (size_t i = 0; i < count; i++)
        must(!pieces[i].size || EVP_MAC_update(mac, pieces[i].data, pieces[i].size) == 1);
    must(EVP_MAC_final(mac, out, &written, 32) == 1);
    EVP_MAC_CTX_free(mac);
    EVP_MAC_free(hmac);
}

struct crypto_sha256 {
    EVP_MD_CTX *running, *copy; /* `copy` is made only once, so that a peek allocates nothing */
};

struct crypto_sha256 *crypto_sha256_start(void)
{
    library_start();
    struct crypto_sha256 *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->running = EVP_MD_CTX_new();
    h->copy = EVP_MD_CTX_new();
    if (!h->running || !h->copy || EVP_DigestInit_ex(h->running, EVP_sha256(), NULL) != 1) {
        crypto_sha256_free(h);
        return NULL;
    }
    return h;
}

void crypto_sha256_update(struct crypto_sha256 *h, const void *data, size_t size)
{
    must(EVP_DigestUpdate(h->running, data, size) == 1);
}

void crypto_sha256_peek(const struct crypto_sha256 *h, u8 out[32])
{
    must(EVP_MD_CTX_copy_ex(h->copy, h->running) == 1 &&
         EVP_DigestFinal_ex(h->copy, out, NULL) == 1);
}

void crypto_sha256_free(struct crypto_sha256 *h)
{
    if (!h)
        return;
    EVP_MD_CTX_free(h->running);
    EVP_MD_CTX_free(h->copy);
    free(h);
}

struct crypto_sha384 {
    EVP_MD *algorithm;
    EVP_MD_CTX *context;
};

struct crypto_sha384 *crypto_sha384_create(void)
{
    library_start();
    struct crypto_sha384 *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->algorithm = EVP_MD_fetch(NULL, "SHA2-384", NULL);
    h->context = EVP_MD_CTX_new();
    if (h->algorithm && h->context)
        return h;
    crypto_sha384_free(h);
    return NULL;
}

void crypto_sha384_run(struct crypto_sha384 *h, const void *data, size_t size, u8 out[48])
{
    must(EVP_DigestInit_ex2(h->context, h->algorithm, NULL) == 1 &&
         EVP_DigestUpdate(h->context, data, size) == 1 &&
         EVP_DigestFinal_ex(h->context, out, NULL) == 1);
}

void crypto_sha384_free(struct crypto_sha384 *h)
{
    if (!h)
        return;
    EVP_MD_CTX_free(h->context);
    EVP_MD_free(h->algorithm);
    free(h);
}

#define KDF_LABEL_MAX   32u
#define KDF_CONTEXT_MAX 64u

void crypto_sev_kdf(const void *key, size_t key_size, const char *label, const void *context,
                    size_t context_size, void *out, size_t out_size)
{
    u8 message[4 + KDF_LABEL_MAX + 1 + KDF_CONTEXT_MAX + 4], block[32];
    size_t label_size = strlen(label), at = 4;
    must(label_size <= KDF_LABEL_MAX && context_size <= KDF_CONTEXT_MAX);
    memcpy(message + at, label, label_size);
    at += label_size;
    message[at++] = 0; /* the separator of SP 800-108 */
    if (context_size)
        memcpy(message + at, context, context_size);
    at += context_size;
    store_le32(message + at, (u32)(out_size * 8));
    at += 4;
    u8 *to = out;
    for (u32 i = 1; out_size; i++) {
        store_le32(message, i);
        crypto_hmac_sha256(key, key_size, message, at, block);
        size_t n = out_size < sizeof block ? out_size : sizeof block;
        memcpy(to, block, n);
        to += n;
        out_size -= n;
    }
    crypto_wipe(block, sizeof block);
}
