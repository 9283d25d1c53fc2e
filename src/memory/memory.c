/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DRAM frames and their views; see memory.h and docs/architecture.md, journey 1. Every change of a
 * frame's view goes through frame_flip(); every removal of a frame from the cores goes through
 * frame_lose().
 */
#include "memory/frame.h"
#include "memory/internal.h"

#include "crypto/crypto.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

u32 frame_slot(const struct memory *m, memory_key key)
{
    return key == KEY_FIRMWARE ? m->asids + 1 : key;
}

/* Returns KEY_RAW for a key whose slot is empty: such a slot lets bytes through unchanged. */
memory_key frame_key(const struct memory *m, memory_key key)
{
    u32 slot = frame_slot(m, key);
    return slot <= m->asids + 1 && m->ciphers[slot] ? key : KEY_RAW;
}

static u8 *frame_bytes(const struct memory *m, u64 frame)
{
    return m->dram + (frame << PAGE_SHIFT);
}

void frame_lose(struct memory *m, u64 frame)
{
    struct frame *f = &m->frames[frame];
    if (!f->mapped && !f->code)
        return;
    for (struct memory_listener *l = m->listeners; l; l = l->next)
        l->frame_lost(l->context, frame);
    f->mapped = false;
    f->code = 0;
}

/* Empties the cores' TLBs before many frames are lost, so that losing each frame is cheap. */
void mappings_lose(struct memory *m)
{
    for (struct memory_listener *l = m->listeners; l; l = l->next)
        l->mappings_lost(l->context);
}

void frames_lose_all(struct memory *m)
{
    mappings_lose(m);
    for (u64 frame = 0; frame < m->size >> PAGE_SHIFT; frame++)
        frame_lose(m, frame);
}

static void key_name(const struct memory *m, char out[12], memory_key key)
{
    if (key != KEY_FIRMWARE && key > m->asids)
        snprintf(out, 12, "gone");
    else if (key == KEY_RAW)
        snprintf(out, 12, "raw");
    else if (key == KEY_FIRMWARE)
        snprintf(out, 12, "firmware");
    else
        snprintf(out, 12, "asid%u", key);
}

/* Traces that whole frames get contents under a key without a cipher running. */
static void trace_place(struct memory *m, u64 frame, u64 count, memory_key to)
{
    char name[12];
    if (!trace_wants(m->trace, TRACE_VIEW))
        return;
    key_name(m, name, to);
    trace_event(m->trace, TRACE_VIEW, "PLACE", "spa=0x%" PRIx64 " size=0x%" PRIx64 " to=%s",
                frame << PAGE_SHIFT, count << PAGE_SHIFT, name);
}

static void trace_flip(struct memory *m, u64 frame, memory_key from, memory_key to)
{
    char old_name[12], new_name[12];
    key_name(m, old_name, from);
    key_name(m, new_name, to);
    trace_event(m->trace, TRACE_VIEW, "FLIP", "spa=0x%" PRIx64 " from=%s to=%s",
                frame << PAGE_SHIFT, old_name, new_name);
}

static void frame_relabel(struct memory *m, u64 frame, memory_key key)
{
    struct frame *f = &m->frames[frame];
    u32 old = frame_slot(m, f->view);
    m->held[old]--;
    m->held[frame_slot(m, key)]++;
    f->view = key;
    if (old > m->asids + 1 && !m->held[old]) {
        page_cipher_free(m->ciphers[old]);
        m->ciphers[old] = NULL;
    }
}

void frame_flip(struct memory *m, u64 frame, memory_key key)
{
    memory_key from = m->frames[frame].view;
    m->statistics.frames_touched += !m->frames[frame].touched;
    m->frames[frame].touched = true;
    if (LIKELY(from == key))
        return;
    frame_lose(m, frame);
    u8 *bytes = frame_bytes(m, frame);
    if (from != KEY_RAW) {
        page_encrypt(m->ciphers[frame_slot(m, from)], frame, bytes, bytes);
        m->statistics.encryptions++;
    }
    if (key != KEY_RAW) {
        page_decrypt(m->ciphers[frame_slot(m, key)], frame, bytes, bytes);
        m->statistics.decryptions++;
    }
    frame_relabel(m, frame, key);
    m->statistics.flips++;
    if (trace_wants(m->trace, TRACE_VIEW))
        trace_flip(m, frame, from, key);
}

static bool in_dram(const struct memory *m, u64 spa, u64 size)
{
    return range_fits(spa, size, m->size);
}

bool memory_read(struct memory *m, u64 spa, memory_key key, void *out, size_t size)
{
    if (!in_dram(m, spa, size))
        return alias_read(m, spa, key, out, size);
    key = frame_key(m, key);
    for (u8 *p = out; size;) {
        size_t n = (size_t)min_u64(size, PAGE_SIZE - (spa & PAGE_MASK));
        frame_flip(m, spa >> PAGE_SHIFT, key);
        memcpy(p, m->dram + spa, n);
        p += n;
        spa += n;
        size -= n;
    }
    return true;
}

static void tell_witness(struct memory *m, u64 frame)
{
    if (UNLIKELY(m->witness != NULL))
        m->witness->written(m->witness->context, frame, NULL);
}

/* Writes a whole frame. No cipher has to run, because the old contents do not matter. An untouched
 * frame already holds zeros, so zeros are not written: the computer that softsev runs on need not
 * provide memory for it. */
static bool write_whole(struct memory *m, u64 frame, memory_key key, const void *data)
{
    static const u8 zeros[PAGE_SIZE];
    const bool moves = m->frames[frame].view != key;
    bool fresh = !m->frames[frame].touched;
    tell_witness(m, frame);
    m->statistics.frames_touched += fresh;
    m->frames[frame].touched = true;
    frame_lose(m, frame);
    if (moves)
        frame_relabel(m, frame, key);
    if (!fresh || memcmp(data, zeros, PAGE_SIZE))
        memcpy(frame_bytes(m, frame), data, PAGE_SIZE);
    return moves;
}

void frame_write(struct memory *m, u64 spa, memory_key key, const void *data, size_t size)
{
    u64 frame = spa >> PAGE_SHIFT;
    if (size == PAGE_SIZE) {
        if (write_whole(m, frame, key, data))
            trace_place(m, frame, 1, key);
        return;
    }
    tell_witness(m, frame);
    frame_flip(m, frame, key);
    if (m->frames[frame].code)
        memory_code_write(m, frame, (u32)(spa & PAGE_MASK), (u32)size);
    memcpy(m->dram + spa, data, size);
}

bool memory_write(struct memory *m, u64 spa, memory_key key, const void *data, size_t size)
{
    if (!in_dram(m, spa, size))
        return alias_write(m, spa, key, data, size);
    if (rmp_holds(m, spa, size))
        return false;
    key = frame_key(m, key);
    for (const u8 *p = data; size;) {
        size_t n = (size_t)min_u64(size, PAGE_SIZE - (spa & PAGE_MASK));
        frame_write(m, spa, key, p, n);
        p += n;
        spa += n;
        size -= n;
    }
    return true;
}

bool memory_peek(struct memory *m, u64 spa, memory_key key, void *out, size_t size)
{
    if (!in_dram(m, spa, size))
        return alias_read(m, spa, key, out, size);
    key = frame_key(m, key);
    for (u8 *p = out; size;) {
        size_t n = (size_t)min_u64(size, PAGE_SIZE - (spa & PAGE_MASK));
        u64 frame = spa >> PAGE_SHIFT;
        memory_key view = m->frames[frame].view;
        if (view == key) {
            memcpy(p, m->dram + spa, n);
        } else {
            u8 copy[PAGE_SIZE];
            memcpy(copy, frame_bytes(m, frame), sizeof copy);
            if (view != KEY_RAW)
                page_encrypt(m->ciphers[frame_slot(m, view)], frame, copy, copy);
            if (key != KEY_RAW)
                page_decrypt(m->ciphers[frame_slot(m, key)], frame, copy, copy);
            memcpy(p, copy + (spa & PAGE_MASK), n);
            crypto_wipe(copy, sizeof copy);
        }
        p += n;
        spa += n;
        size -= n;
    }
    return true;
}

bool memory_clear(struct memory *m, u64 spa, u64 size, memory_key key)
{
    static const u8 zeros[PAGE_SIZE];
    const u64 first = spa >> PAGE_SHIFT, count = size >> PAGE_SHIFT;
    bool moved = false;
    if (!in_dram(m, spa, size) || (spa | size) & PAGE_MASK || rmp_holds(m, spa, size))
        return false;
    key = frame_key(m, key);
    for (u64 frame = first; frame < first + count; frame++)
        moved |= write_whole(m, frame, key, zeros);
    if (moved)
        trace_place(m, first, count, key);
    return true;
}

bool memory_launch(struct memory *m, u64 spa, u64 size, u32 asid,
                   void (*measure)(void *context, const void *bytes, size_t size), void *context)
{
    if (!in_dram(m, spa, size) || rmp_holds(m, spa, size))
        return false;
    memory_key key = frame_key(m, (memory_key)asid);
    const u64 whole = ALIGN_UP(spa, PAGE_SIZE) >> PAGE_SHIFT, end = (spa + size) >> PAGE_SHIFT;
    while (size) {
        u64 frame = spa >> PAGE_SHIFT;
        size_t n = (size_t)min_u64(size, PAGE_SIZE - (spa & PAGE_MASK));
        frame_flip(m, frame, KEY_RAW);
        measure(context, m->dram + spa, n);
        if (n == PAGE_SIZE) {
            tell_witness(m, frame);
            frame_lose(m, frame);
            frame_relabel(m, frame, key);
        } else {
            u8 part[PAGE_SIZE];
            memcpy(part, m->dram + spa, n);
            frame_write(m, spa, key, part, n);
            crypto_wipe(part, n);
        }
        spa += n;
        size -= n;
    }
    if (whole < end && key != KEY_RAW)
        trace_place(m, whole, end - whole, key);
    return true;
}

bool slot_load(struct memory *m, u32 slot, const u8 key[16])
{
    m->ciphers[slot] = page_cipher_create(key, m->tweak_key);
    if (m->ciphers[slot])
        memcpy(m->keys[slot], key, sizeof m->keys[slot]);
    return m->ciphers[slot];
}

void slot_empty(struct memory *m, u32 slot)
{
    m->ciphers[slot] = NULL;
    crypto_wipe(m->keys[slot], sizeof m->keys[slot]);
}

bool memory_key_load(struct memory *m, u32 asid, const u8 key[16])
{
    if (asid == 0 || asid > m->asids || m->ciphers[asid])
        return false;
    if (!slot_load(m, asid, key))
        return false;
    /* A core that ran with this ASID before may have mapped frames in the raw view for it. */
    frames_lose_all(m);
    trace_event(m->trace, TRACE_KEY, "LOAD", "asid=%u", asid);
    return true;
}

/* Returns a slot for a key that was unloaded, or 0 if all are in use. */
static u32 free_slot(const struct memory *m)
{
    for (u32 slot = m->asids + 2; slot < m->asids + 2 + KEYS_GONE; slot++)
        if (!m->ciphers[slot])
            return slot;
    return 0;
}

void memory_key_unload(struct memory *m, u32 asid)
{
    if (asid == 0 || asid > m->asids || !m->ciphers[asid])
        return;
    u64 left = m->held[asid], frames = m->size >> PAGE_SHIFT;
    u32 gone = left ? free_slot(m) : 0;
    if (gone)
        m->ciphers[gone] = m->ciphers[asid];
    if (left)
        mappings_lose(m);
    for (u64 frame = 0; frame < frames && m->held[asid]; frame++) {
        if (m->frames[frame].view != asid)
            continue;
        frame_lose(m, frame);
        if (gone)
            frame_relabel(m, frame, (memory_key)gone);
        else
            frame_flip(m, frame, KEY_RAW);
    }
    if (!gone)
        page_cipher_free(m->ciphers[asid]);
    slot_empty(m, asid);
    trace_event(m->trace, TRACE_KEY, "UNLOAD", "asid=%u frames=%" PRIu64, asid, left);
}

bool memory_key_loaded(const struct memory *m, u32 asid)
{
    return asid && asid <= m->asids && m->ciphers[asid];
}

u8 *memory_map(struct memory *m, u64 frame, memory_key key)
{
    if (frame >= m->size >> PAGE_SHIFT)
        return NULL;
    frame_flip(m, frame, frame_key(m, key));
    m->frames[frame].mapped = true;
    return frame_bytes(m, frame);
}

void memory_mark_code(struct memory *m, u64 frame, bool code)
{
    if (frame >= m->size >> PAGE_SHIFT)
        return;
    u8 *cores = &m->frames[frame].code;
    if (code && !*cores)
        for (struct memory_listener *l = m->listeners; l; l = l->next)
            l->code_marked(l->context, frame);
    *cores = (u8)(code ? *cores + 1 : *cores - (*cores > 0));
}

bool memory_holds_code(const struct memory *m, u64 frame)
{
    return frame < m->size >> PAGE_SHIFT && m->frames[frame].code;
}

void memory_code_write(struct memory *m, u64 frame, u32 offset, u32 size)
{
    for (struct memory_listener *l = m->listeners; l; l = l->next)
        l->code_written(l->context, frame, offset, size);
}

void memory_set_witness(struct memory *m, const struct memory_witness *w)
{
    m->witness = w;
}

bool memory_has_witness(const struct memory *m)
{
    return m->witness != NULL;
}

void memory_stored(struct memory *m, u64 frame, const struct memory_store *store)
{
    if (m->witness && frame < m->size >> PAGE_SHIFT)
        m->witness->written(m->witness->context, frame, store);
}

void memory_ask_stores(struct memory *m, u64 frame)
{
    for (struct memory_listener *l = m->listeners; l; l = l->next)
        l->code_marked(l->context, frame);
}

memory_key memory_view(const struct memory *m, u64 frame)
{
    const memory_key view = m->frames[frame].view;
    return view > m->asids && view != KEY_FIRMWARE ? KEY_GONE : view;
}

u64 memory_size(const struct memory *m)
{
    return m->size;
}

u32 memory_asids(const struct memory *m)
{
    return m->asids;
}

u64 memory_addresses(const struct memory *m)
{
    return m->aliased ? 2 * m->size : m->size;
}

void memory_listen(struct memory *m, struct memory_listener *listener)
{
    listener->next = m->listeners;
    m->listeners = listener;
}

struct memory_statistics memory_statistics(const struct memory *m)
{
    return m->statistics;
}

u64 memory_private_frames(const struct memory *m, u32 asid)
{
    return asid && asid <= m->asids ? m->held[asid] : 0;
}

static struct memory *memory_allocate(const struct memory_config *config)
{
    u64 frames = config->size >> PAGE_SHIFT;
    struct memory *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    /* calloc gets blocks of this size from the system as untouched zero pages: an unused frame
     * costs nothing. */
    m->allocation = calloc(1, (size_t)config->size + PAGE_SIZE);
    m->frames = calloc((size_t)frames, sizeof *m->frames);
    m->ciphers = calloc((size_t)config->asids + 2 + KEYS_GONE, sizeof(struct page_cipher *));
    m->keys = calloc((size_t)config->asids + 2, sizeof *m->keys);
    m->held = calloc((size_t)config->asids + 2 + KEYS_GONE, sizeof *m->held);
    m->vmsa_values = calloc((size_t)frames, sizeof *m->vmsa_values);
    if (m->allocation && m->vmsa_values && m->frames && m->ciphers && m->keys && m->held)
        return m;
    memory_destroy(m);
    return NULL;
}

struct memory *memory_create(const struct memory_config *config)
{
    struct memory *m = memory_allocate(config);
    if (!m)
        return NULL;
    m->dram = (u8 *)ALIGN_UP((uintptr_t)m->allocation, PAGE_SIZE);
    m->size = ALIGN_DOWN(config->size, PAGE_SIZE);
    m->aliased = config->aliased;
    m->asids = config->asids;
    m->held[0] = m->size >> PAGE_SHIFT;
    m->trace = config->trace;
    u8 firmware_key[16];
    random_fill(config->random, m->tweak_key, sizeof m->tweak_key);
    random_fill(config->random, firmware_key, sizeof firmware_key);
    const bool loaded = slot_load(m, m->asids + 1, firmware_key);
    crypto_wipe(firmware_key, sizeof firmware_key);
    if (loaded)
        return m;
    memory_destroy(m);
    return NULL;
}

void memory_destroy(struct memory *m)
{
    if (!m)
        return;
    for (u32 slot = 1; m->ciphers && slot < m->asids + 2 + KEYS_GONE; slot++)
        page_cipher_free(m->ciphers[slot]);
    crypto_wipe(m->tweak_key, sizeof m->tweak_key);
    if (m->keys)
        crypto_wipe(m->keys, ((size_t)m->asids + 2) * sizeof *m->keys);
    free(m->keys);
    free(m->ciphers);
    free(m->held);
    free(m->vmsa_values);
    free(m->rmp.assigned);
    free(m->frames);
    free(m->allocation);
    free(m);
}
