/* SPDX-License-Identifier: Apache-2.0 */
/* What the memory room's files share: the frames,
 * and the two functions that change how one is held. */
#ifndef SOFTSEV_MEMORY_INTERNAL_H
#define SOFTSEV_MEMORY_INTERNAL_H

#include "memory/memory.h"
#include "memory/rmp.h"

/* One a frame. All zero is a frame nobody touched: raw, in no TLB, no code. */
struct frame {
    memory_key view; /* always a key with a cipher, or KEY_RAW */
    bool touched;    /* somebody has read or written it */
    bool mapped;     /* a core may hold a pointer to it */
    u8 code;         /* how many cores hold blocks decoded from it */
};

/* The RMP; `pages` 0: none. */
struct rmp {
    u64 base, end; /* of the whole table in DRAM; `end` is behind it */
    u64 pages;     /* covered, from address 0 */
    u64 generation;
};

/* Keys that have left their slot while frames were in their view: such a frame is encrypted when
 * somebody looks. */
#define KEYS_GONE 4u

struct memory {
    u64 size;
    bool aliased;
    u32 asids;
    u8 *dram, *allocation;
    struct frame *frames;
    struct page_cipher *
        *ciphers;     /* [0] unused, [asid], [asids + 1] the firmware's, then KEYS_GONE */
    u64 *held;        /* frames in the view of each cipher slot */
    u64 *vmsa_values; /* check value of the VMSA in a frame; 0: none */
    u8 tweak_key[16];
    struct memory_listener *listeners;
    struct memory_statistics statistics;
    struct trace *trace;
    struct rmp rmp;
};

/* Takes the frame from TLBs and blocks of the cores. */
void frame_lose(struct memory *m, u64 frame);
void mappings_lose(struct memory *m);
void frames_lose_all(struct memory *m);
/* Brings the frame into the view of a key that has a cipher, or raw. */
void frame_flip(struct memory *m, u64 frame, memory_key key);

/* Bytes inside one frame. */
void frame_write(struct memory *m, u64 spa, memory_key key, const void *data, size_t size);
/* Where a key's cipher is; a key without one goes through unchanged: KEY_RAW. */
memory_key frame_key(const struct memory *m, memory_key key);
u32 frame_slot(const struct memory *m, memory_key key);

/* --- alias.c: accesses behind the size of aliased memory; false: nothing answers there -------- */

bool alias_read(struct memory *m, u64 spa, memory_key key, void *out, size_t size);
bool alias_write(struct memory *m, u64 spa, memory_key key, const void *data, size_t size);

/* The range touches the RMP itself. */
static inline bool rmp_holds(const struct memory *m, u64 spa, u64 size)
{
    return m->rmp.pages && spa < m->rmp.end && spa + size > m->rmp.base;
}

#endif
