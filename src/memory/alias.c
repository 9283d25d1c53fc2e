/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Aliased memory (BadRAM): DRAM ignores an address bit, so every byte also answers at a second
 * address, `size` above the first. The bytes on the bus are the same. The cipher's tweak depends on
 * the address, so under a key the two addresses show different plaintext; the second address has
 * another RMP entry, or none.
 */
#include "memory/internal.h"

#include "crypto/crypto.h"

static bool answers(const struct memory *m, u64 spa, u64 size)
{
    return m->aliased && spa >= m->size && range_fits(spa - m->size, size, m->size);
}

/* Reads a frame as it appears at its second address. The frame keeps its view. */
static void read_page(struct memory *m, u64 frame, memory_key key, u8 page[PAGE_SIZE])
{
    memory_peek(m, frame << PAGE_SHIFT, KEY_RAW, page, PAGE_SIZE);
    if (key != KEY_RAW)
        page_decrypt(m->ciphers[frame_slot(m, key)], frame + (m->size >> PAGE_SHIFT), page, page);
}

bool alias_read(struct memory *m, u64 spa, memory_key key, void *out, size_t size)
{
    u8 page[PAGE_SIZE];
    if (!answers(m, spa, size))
        return false;
    key = frame_key(m, key);
    for (u8 *p = out; size;) {
        size_t n = (size_t)min_u64(size, PAGE_SIZE - (spa & PAGE_MASK));
        read_page(m, (spa - m->size) >> PAGE_SHIFT, key, page);
        memcpy(p, page + (spa & PAGE_MASK), n);
        p += n;
        spa += n;
        size -= n;
    }
    crypto_wipe(page, sizeof page);
    return true;
}

/* Writes at second addresses. The RMP's own bytes are protected only at their first address. */
bool alias_write(struct memory *m, u64 spa, memory_key key, const void *data, size_t size)
{
    u8 page[PAGE_SIZE];
    if (!answers(m, spa, size))
        return false;
    key = frame_key(m, key);
    for (const u8 *p = data; size;) {
        size_t n = (size_t)min_u64(size, PAGE_SIZE - (spa & PAGE_MASK));
        u64 frame = (spa - m->size) >> PAGE_SHIFT;
        read_page(m, frame, key, page);
        memcpy(page + (spa & PAGE_MASK), p, n);
        if (key != KEY_RAW)
            page_encrypt(m->ciphers[frame_slot(m, key)], frame + (m->size >> PAGE_SHIFT), page,
                         page);
        frame_write(m, frame << PAGE_SHIFT, KEY_RAW, page, sizeof page);
        p += n;
        spa += n;
        size -= n;
    }
    crypto_wipe(page, sizeof page);
    return true;
}
