/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole machine in an archive. What only the chip knows (keys, the secure processor's state) is
 * sealed under a key of the platform: whoever gets the file learns as much of a guest as somebody
 * who takes the memory modules out of a running machine.
 */
#include "base/archive.h"
#include "machine/internal.h"

#include "crypto/crypto.h"

#include <stdlib.h>

#define SEALED_MAX MIB(64)
#define IV_SIZE    12u
#define TAG_SIZE   16u

/* The latest machine time that can be loaded: a century, and no deadline after it overflows. */
#define TIME_LIMIT BIT(62)

struct buffer {
    u8 *data;
    size_t size, room, at;
};

static int buffer_add(void *context, void *data, size_t size, struct error *e)
{
    struct buffer *b = context;
    if (b->size + size > b->room) {
        const size_t room = max_u64(2 * b->room, b->size + size + KIB(64));
        u8 *more = malloc(room);
        if (!more)
            return error_set(e, ERROR_MEMORY, "out of memory");
        if (b->data) {
            memcpy(more, b->data, b->size);
            crypto_wipe(b->data, b->size);
            free(b->data);
        }
        b->data = more;
        b->room = room;
    }
    memcpy(b->data + b->size, data, size);
    b->size += size;
    return 0;
}

static int buffer_take(void *context, void *data, size_t size, struct error *e)
{
    struct buffer *b = context;
    if (size > b->size - b->at)
        return error_set(e, ERROR_FILE, "the sealed part is too short");
    memcpy(data, b->data + b->at, size);
    b->at += size;
    return 0;
}

static void buffer_free(struct buffer *b)
{
    if (b->data)
        crypto_wipe(b->data, b->size);
    free(b->data);
}

static void secrets_archive(struct host *h, struct archive *a)
{
    memory_secrets_archive(h->memory, a);
    firmware_archive(h->firmware, a);
}

/* Two parts with one key and one IV would be equal: the IV derives from what is sealed, so that a
 * seeded run needs no random bytes for it. */
static void make_iv(const struct buffer *b, const u8 key[32], u8 iv[IV_SIZE])
{
    u8 digest[32];
    crypto_hmac_sha256(key, 32, b->data, b->size, digest);
    memcpy(iv, digest, IV_SIZE);
}

static void sealed_save(struct host *h, const u8 key[32], struct archive *a)
{
    struct buffer b = {0};
    struct archive inner = archive_saving((struct archive_stream){buffer_add, &b}, a->error);
    u8 iv[IV_SIZE], tag[TAG_SIZE];
    secrets_archive(h, &inner);
    u64 size = b.size;
    if (inner.failed || size > SEALED_MAX) {
        archive_fail(a, ERROR_INTERNAL, "its secrets do not fit");
    } else {
        make_iv(&b, key, iv);
        crypto_aes256_gcm_seal(key, iv, NULL, 0, b.data, b.data, b.size, tag);
        archive_u64(a, &size);
        archive_bytes(a, iv, sizeof iv);
        archive_bytes(a, tag, sizeof tag);
        archive_bytes(a, b.data, b.size);
    }
    buffer_free(&b);
}

static void opened_load(struct host *h, struct buffer *b, struct archive *a)
{
    struct archive inner = archive_loading((struct archive_stream){buffer_take, b}, a->error);
    secrets_archive(h, &inner);
    a->failed |= inner.failed;
    archive_check(a, b->at == b->size, "the length of the sealed part");
}

static void sealed_load(struct host *h, const u8 key[32], struct archive *a)
{
    struct buffer b = {0};
    u64 size = 0;
    u8 iv[IV_SIZE], tag[TAG_SIZE];
    archive_u64_below(a, &size, SEALED_MAX + 1, "the length of the sealed part");
    archive_bytes(a, iv, sizeof iv);
    archive_bytes(a, tag, sizeof tag);
    if (a->failed)
        return;
    b = (struct buffer){.data = malloc(size + 1), .size = size, .room = size + 1};
    if (!b.data) {
        archive_fail(a, ERROR_MEMORY, "out of memory");
        return;
    }
    archive_bytes(a, b.data, size);
    if (!a->failed && !crypto_aes256_gcm_open(key, iv, NULL, 0, b.data, b.data, b.size, tag))
        archive_fail(a, ERROR_FILE,
                     "it was taken on another platform; right is the state folder, or the seed, of "
                     "the run that took it");
    if (!a->failed)
        opened_load(h, &b, a);
    buffer_free(&b);
}

void machine_archive(struct machine *m, const u8 *key, struct archive *a)
{
    struct host *h = &m->host;
    archive_section(a, "machine", 1);
    archive_same(a, h->core_count, "the number of cores");
    archive_same(a, key != NULL, "whether there is a platform for encrypted guests");
    archive_u64_below(a, &h->clock.now, TIME_LIMIT, "the machine's time");
    archive_u64(a, &h->dma_read_bytes);
    archive_u64(a, &h->dma_written_bytes);
    if (key && !a->failed)
        (a->loading ? sealed_load : sealed_save)(h, key, a);
    memory_archive(h->memory, a);
    for (u32 i = 0; i < h->core_count; i++)
        cpu_archive(h->cores[i], a);
}
