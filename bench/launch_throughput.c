/* SPDX-License-Identifier: Apache-2.0 */
/* LAUNCH_UPDATE_DATA's work on pages (hash into the digest,
 * make them the guest's) against plain SHA-256. */
#include "bench.h"
#include "crypto/crypto.h"
#include "memory/memory.h"

#include <stdio.h>
#include <stdlib.h>

#define BYTES MIB(64)

struct work {
    struct memory *memory;
    u8 *plain;
    u8 digest[32];
};

static void measure(void *context, const void *bytes, size_t size)
{
    crypto_sha256_update(context, bytes, size);
}

static void launch(void *context)
{
    struct work *w = context;
    struct crypto_sha256 *h = crypto_sha256_start();
    if (!memory_launch(w->memory, 0, BYTES, 1, measure, h))
        exit(1);
    crypto_sha256_peek(h, w->digest);
    crypto_sha256_free(h);
}

static void hash(void *context)
{
    struct work *w = context;
    crypto_sha256(w->plain, BYTES, w->digest);
}

int main(void)
{
    struct crypto *crypto = crypto_create("bench", 5);
    struct random_source random = crypto_random_source(crypto);
    struct memory_config config = {.size = BYTES, .asids = 1, .random = &random};
    struct work w = {.memory = memory_create(&config), .plain = malloc(BYTES)};
    static const u8 key[16] = "sixteen byte key";
    if (!w.memory || !w.plain)
        return 1;
    double ours = 1e9, peers = 1e9;
    for (unsigned round = 0; round < 8; round++) {
        /* Fresh plaintext each time, as a hypervisor leaves it: raw. */
        memset(w.plain, (int)round, BYTES);
        memory_key_unload(w.memory, 1);
        memory_write(w.memory, 0, KEY_RAW, w.plain, BYTES);
        if (!memory_key_load(w.memory, 1, key))
            return 1;
        double one, other;
        bench_alternate(1, launch, hash, &w, &one, &other);
        ours = one < ours ? one : ours;
        peers = other < peers ? other : peers;
    }
    printf(
        "launch of %3u MiB          %5.2fx plain SHA-256 of the same bytes (goal: at least 0.7x)",
        (unsigned)(BYTES >> 20), peers / ours);
    int status = bench_verdict(peers / ours, 0.7);
    free(w.plain);
    memory_destroy(w.memory);
    crypto_destroy(crypto);
    return status;
}
