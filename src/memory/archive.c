/* SPDX-License-Identifier: Apache-2.0 */
/* DRAM and the memory controller's secrets in an archive. */
#include "base/archive.h"
#include "memory/internal.h"

#include "crypto/crypto.h"

#include <stdlib.h>

#define END_OF_FRAMES (~0ull)

static const u8 zeros[PAGE_SIZE];

/* --- Frames ----------------------------------------------------------------------------------- */

static void settle(struct memory *m)
{
    frames_lose_all(m);
    for (u64 frame = 0; frame < m->size >> PAGE_SHIFT; frame++)
        if (m->frames[frame].touched)
            frame_flip(m, frame, KEY_RAW);
}

/* A frame that was touched: its number and, in bit 63, whether its contents follow. Others cost
 * nothing. */
static void frames_save(struct memory *m, struct archive *a)
{
    for (u64 frame = 0; frame < m->size >> PAGE_SHIFT && !a->failed; frame++) {
        u8 *bytes = m->dram + (frame << PAGE_SHIFT);
        if (!m->frames[frame].touched)
            continue;
        const bool follows = memcmp(bytes, zeros, sizeof zeros) != 0;
        u64 head = frame | (follows ? BIT(63) : 0);
        archive_u64(a, &head);
        if (follows)
            archive_bytes(a, bytes, PAGE_SIZE);
    }
    u64 end = END_OF_FRAMES;
    archive_u64(a, &end);
}

/* Makes all frames as they are at power-on. */
static void frames_clear(struct memory *m)
{
    settle(m);
    for (u64 frame = 0; frame < m->size >> PAGE_SHIFT; frame++) {
        if (!m->frames[frame].touched)
            continue;
        memset(m->dram + (frame << PAGE_SHIFT), 0, PAGE_SIZE);
        m->frames[frame].touched = false;
    }
}

static void frames_load(struct memory *m, struct archive *a)
{
    u64 next = 0, head = 0;
    frames_clear(m);
    for (;;) {
        archive_u64(a, &head);
        const u64 frame = head & ~BIT(63);
        if (a->failed || head == END_OF_FRAMES)
            return;
        if (!archive_check(a, frame >= next && frame < m->size >> PAGE_SHIFT,
                           "the number of a frame"))
            return;
        m->frames[frame].touched = true;
        if (head & BIT(63))
            archive_bytes(a, m->dram + (frame << PAGE_SHIFT), PAGE_SIZE);
        next = frame + 1;
    }
}

/* --- The rest --------------------------------------------------------------------------------- */

static void rmp_archive(struct memory *m, struct archive *a)
{
    bool enabled = rmp_enabled(m);
    u64 base = m->rmp.base, last = m->rmp.end - 1;
    archive_bool(a, &enabled);
    archive_u64(a, &base);
    archive_u64(a, &last);
    if (!a->loading || a->failed)
        return;
    if (enabled)
        archive_check(a, rmp_enable(m, base, last), "the place of the RMP");
    else if (rmp_enabled(m))
        rmp_disable(m);
}

static void statistics_archive(struct memory_statistics *s, struct archive *a)
{
    archive_u64(a, &s->flips);
    archive_u64(a, &s->encryptions);
    archive_u64(a, &s->decryptions);
    archive_u64(a, &s->frames_touched);
}

void memory_archive(struct memory *m, struct archive *a)
{
    archive_section(a, "memory", 1);
    archive_same(a, m->size, "its size in bytes");
    archive_same(a, m->aliased, "whether it has aliases");
    archive_same(a, m->asids, "the highest ASID with a key");
    if (a->loading) {
        frames_load(m, a);
    } else {
        settle(m);
        frames_save(m, a);
    }
    rmp_archive(m, a);
    statistics_archive(&m->statistics, a);
}

/* --- Secrets ---------------------------------------------------------------------------------- */

static void slot_archive(struct memory *m, u32 slot, struct archive *a)
{
    u8 key[16];
    bool loaded = m->ciphers[slot];
    memcpy(key, m->keys[slot], sizeof key);
    archive_bool(a, &loaded);
    archive_bytes(a, key, sizeof key);
    if (a->loading && !a->failed) {
        page_cipher_free(m->ciphers[slot]);
        slot_empty(m, slot);
        archive_check(a, loaded || slot <= m->asids, "a controller without the firmware's key");
        if (loaded && !slot_load(m, slot, key))
            archive_fail(a, ERROR_MEMORY, "out of memory");
    }
    crypto_wipe(key, sizeof key);
}

static void vmsa_values_archive(struct memory *m, struct archive *a)
{
    const u64 frames = m->size >> PAGE_SHIFT;
    u64 frame = 0;
    if (a->loading)
        memset(m->vmsa_values, 0, frames * sizeof *m->vmsa_values);
    while (!a->failed) {
        while (!a->loading && frame < frames && !m->vmsa_values[frame])
            frame++;
        archive_u64_below(a, &frame, frames + 1, "the frame of a VMSA");
        if (a->failed || frame == frames)
            return;
        archive_u64(a, &m->vmsa_values[frame]);
        frame++;
    }
}

void memory_secrets_archive(struct memory *m, struct archive *a)
{
    archive_section(a, "memory controller", 1);
    if (a->loading)
        frames_clear(m); /* no frame is left in the view of a key that goes */
    archive_bytes(a, m->tweak_key, sizeof m->tweak_key);
    for (u32 slot = 1; slot <= m->asids + 1 && !a->failed; slot++)
        slot_archive(m, slot, a);
    vmsa_values_archive(m, a);
}
