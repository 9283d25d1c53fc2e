/* SPDX-License-Identifier: Apache-2.0 */
/* View flips of the memory controller against OpenSSL's AES-128-XTS on the same 4 KiB pages. */
#include "bench.h"
#include "crypto/crypto.h"
#include "memory/memory.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#define FRAMES 4096u

struct work {
    struct memory *memory;
    u8 *pages;
    EVP_CIPHER_CTX *encrypt, *decrypt;
};

/* Every frame to the raw view and back under the key: two flips a frame. */
static void flip_all(void *context)
{
    struct work *w = context;
    u8 byte;
    for (u64 f = 0; f < FRAMES; f++)
        memory_read(w->memory, f << PAGE_SHIFT, KEY_RAW, &byte, 1);
    for (u64 f = 0; f < FRAMES; f++)
        memory_read(w->memory, f << PAGE_SHIFT, 1, &byte, 1);
}

static void openssl_pass(struct work *w, EVP_CIPHER_CTX *c)
{
    for (u64 f = 0; f < FRAMES; f++) {
        u8 iv[16] = {0};
        store_le64(iv, f);
        int n = 0;
        u8 *page = w->pages + (f << PAGE_SHIFT);
        if (!EVP_CipherInit_ex(c, NULL, NULL, NULL, iv, -1) ||
            !EVP_CipherUpdate(c, page, &n, page, PAGE_SIZE))
            exit(1);
    }
}

static void openssl_all(void *context)
{
    struct work *w = context;
    openssl_pass(w, w->encrypt);
    openssl_pass(w, w->decrypt);
}

static EVP_CIPHER_CTX *xts(int encrypt)
{
    static const u8 key[32] = "sixteen byte keyand another one!";
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    if (!c || !EVP_CipherInit_ex(c, EVP_aes_128_xts(), NULL, key, NULL, encrypt))
        exit(1);
    return c;
}

int main(void)
{
    struct crypto *crypto = crypto_create("bench", 5);
    struct random_source random = crypto_random_source(crypto);
    struct memory_config config = {.size = FRAMES * PAGE_SIZE, .asids = 1, .random = &random};
    struct work w = {
        .memory = memory_create(&config),
        .pages = aligned_alloc(PAGE_SIZE, FRAMES * PAGE_SIZE),
        .encrypt = xts(1),
        .decrypt = xts(0),
    };
    static const u8 key[16] = "sixteen byte key";
    if (!w.memory || !w.pages || !memory_key_load(w.memory, 1, key))
        return 1;
    memset(w.pages, 1, FRAMES * PAGE_SIZE);
    double ours, peers;
    bench_alternate(20, flip_all, openssl_all, &w, &ours, &peers);
    double flips = 2.0 * FRAMES;
    printf("view flips                 %5.2fx OpenSSL AES-128-XTS on 4 KiB (goal: at least 0.8x); "
           "%.0f ns a flip",
           peers / ours, ours / flips * 1e9);
    int status = bench_verdict(peers / ours, 0.8);
    EVP_CIPHER_CTX_free(w.encrypt);
    EVP_CIPHER_CTX_free(w.decrypt);
    free(w.pages);
    memory_destroy(w.memory);
    crypto_destroy(crypto);
    return status;
}
