/* SPDX-License-Identifier: Apache-2.0 */
/* AES-128 in counter mode for data in transit and in XTS mode for data in memory; AES-256-GCM for
 * SNP's messages and pages. */
#include "crypto/internal.h"

#include <openssl/evp.h>

#define CHUNK_SIZE (1u << 30) /* OpenSSL counts the bytes of one call in an int */

void crypto_aes128_ctr(const u8 key[16], const u8 iv[16], const void *in, void *out, size_t size)
{
    library_start();
    EVP_CIPHER_CTX *ctr = EVP_CIPHER_CTX_new();
    must(ctr && EVP_EncryptInit_ex2(ctr, EVP_aes_128_ctr(), key, iv, NULL) == 1);
    const u8 *from = in;
    u8 *to = out;
    while (size) {
        int n = (int)min_u64(size, CHUNK_SIZE), written;
        must(EVP_EncryptUpdate(ctr, to, &written, from, n) == 1 && written == n);
        from += n;
        to += n;
        size -= (size_t)n;
    }
    EVP_CIPHER_CTX_free(ctr);
}

struct page_cipher {
    EVP_CIPHER_CTX *encrypt, *decrypt; /* keyed once; each page sets the unit number */
};

struct page_cipher *page_cipher_create(const u8 key[16], const u8 tweak_key[16])
{
    library_start();
    u8 halves[32];
    memcpy(halves, key, 16);
    memcpy(halves + 16, tweak_key, 16);
    /* OpenSSL rightly refuses XTS with equal halves. In that case the first bit of the tweak half
     * is flipped. A random key never equals the tweak key. */
    if (crypto_equal(key, tweak_key, 16))
        halves[16] ^= 1;
    struct page_cipher *c = calloc(1, sizeof *c);
    bool good = c && (c->encrypt = EVP_CIPHER_CTX_new()) && (c->decrypt = EVP_CIPHER_CTX_new()) &&
                EVP_EncryptInit_ex2(c->encrypt, EVP_aes_128_xts(), halves, NULL, NULL) == 1 &&
                EVP_DecryptInit_ex2(c->decrypt, EVP_aes_128_xts(), halves, NULL, NULL) == 1;
    crypto_wipe(halves, sizeof halves);
    if (!good) {
        page_cipher_free(c);
        return NULL;
    }
    return c;
}

void page_cipher_free(struct page_cipher *c)
{
    if (!c)
        return;
    EVP_CIPHER_CTX_free(c->encrypt); /* OpenSSL wipes the key schedule */
    EVP_CIPHER_CTX_free(c->decrypt);
    free(c);
}

void page_encrypt(struct page_cipher *c, u64 frame_number, const u8 in[4096], u8 out[4096])
{
    u8 unit[16] = {0};
    int written;
    store_le64(unit, frame_number);
    must(EVP_EncryptInit_ex2(c->encrypt, NULL, NULL, unit, NULL) == 1 &&
         EVP_EncryptUpdate(c->encrypt, out, &written, in, PAGE_SIZE) == 1);
}

void page_decrypt(struct page_cipher *c, u64 frame_number, const u8 in[4096], u8 out[4096])
{
    u8 unit[16] = {0};
    int written;
    store_le64(unit, frame_number);
    must(EVP_DecryptInit_ex2(c->decrypt, NULL, NULL, unit, NULL) == 1 &&
         EVP_DecryptUpdate(c->decrypt, out, &written, in, PAGE_SIZE) == 1);
}

/* Starts GCM. Lengths are at most a page, so OpenSSL's int does not limit them. */
static EVP_CIPHER_CTX *gcm_start(const u8 *key, const u8 *iv, bool encrypt, const void *aad,
                                 size_t aad_size)
{
    library_start();
    int written;
    EVP_CIPHER_CTX *gcm = EVP_CIPHER_CTX_new();
    must(gcm && EVP_CipherInit_ex2(gcm, EVP_aes_256_gcm(), key, iv, encrypt, NULL) == 1 &&
         (!aad_size || EVP_CipherUpdate(gcm, NULL, &written, aad, (int)aad_size) == 1));
    return gcm;
}

void crypto_aes256_gcm_seal(const u8 key[32], const u8 iv[12], const void *aad, size_t aad_size,
                            const void *in, void *out, size_t size, u8 tag[16])
{
    u8 rest[16];
    int written;
    EVP_CIPHER_CTX *gcm = gcm_start(key, iv, true, aad, aad_size);
    must((!size || EVP_EncryptUpdate(gcm, out, &written, in, (int)size) == 1) &&
         EVP_EncryptFinal_ex(gcm, rest, &written) == 1 &&
         EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1);
    EVP_CIPHER_CTX_free(gcm);
}

bool crypto_aes256_gcm_open(const u8 key[32], const u8 iv[12], const void *aad, size_t aad_size,
                            const void *in, void *out, size_t size, const u8 tag[16])
{
    u8 expected[16], rest[16];
    int written;
    memcpy(expected, tag, sizeof expected);
    EVP_CIPHER_CTX *gcm = gcm_start(key, iv, false, aad, aad_size);
    must((!size || EVP_DecryptUpdate(gcm, out, &written, in, (int)size) == 1) &&
         EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_SET_TAG, 16, expected) == 1);
    bool good = EVP_DecryptFinal_ex(gcm, rest, &written) == 1;
    EVP_CIPHER_CTX_free(gcm);
    if (!good && size)
        crypto_wipe(out, size);
    return good;
}
