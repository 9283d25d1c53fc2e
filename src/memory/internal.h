/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations that the files of this room share: the frames, and the functions that change how a
 * frame is held. */
#ifndef SOFTSEV_MEMORY_INTERNAL_H
#define SOFTSEV_MEMORY_INTERNAL_H

#include "memory/memory.h"
#include "memory/rmp.h"

/* One frame of DRAM. All zeros means that nothing has touched the frame: it is in the raw view, no
 * TLB points to it, and it holds no code. */
struct frame {
    memory_key view; /* always a key with a cipher, or KEY_RAW */
    bool touched;    /* it has been read or written */
    bool mapped;     /* a core may hold a pointer to it */
    u8 code;         /* how many cores hold blocks decoded from it */
};

/* The RMP. There is none if `pages` is 0. */
struct rmp {
    u64 base, end; /* the whole table in DRAM; `end` is exclusive */
    u64 pages;     /* number of pages covered, from address 0 */
    u64 generation;
    /* For each 2 MiB: how many of its entries are assigned, or RMP_UNCOUNTED. NULL: nobody counts,
     * because there was no memory, or an alias lets others write the table. */
    u16 *assigned;
};

#define RMP_UNCOUNTED 0xffffu

/* Slots for keys that were unloaded while frames were still in their view. Such a frame is
 * encrypted at its next access. */
#define KEYS_GONE 4u

struct memory {
    u64 size;
    bool aliased;
    u32 asids;
    u8 *dram, *allocation;
    struct frame *frames;
    struct page_cipher *
        *ciphers;     /* [0] unused, [asid], [asids + 1] the firmware's, then KEYS_GONE */
    u8 (*keys)[16];   /* of the ciphers up to the firmware's, for archives */
    u64 *held;        /* frames in the view of each cipher slot */
    u64 *vmsa_values; /* check value of the VMSA in each frame; 0: none */
    u8 tweak_key[16];
    struct memory_listener *listeners;
    const struct memory_witness *witness; /* NULL: nobody wants to know who writes */
    struct memory_statistics statistics;
    struct trace *trace;
    struct rmp rmp;
};

/* Loads the key of a slot, empty until then. False: no memory. */
bool slot_load(struct memory *m, u32 slot, const u8 key[16]);
void slot_empty(struct memory *m, u32 slot);

/* Removes the frame from the cores' TLBs and drops the blocks decoded from it. */
void frame_lose(struct memory *m, u64 frame);
void mappings_lose(struct memory *m);
void frames_lose_all(struct memory *m);
/* Brings the frame into the raw view, or into the view of a key that has a cipher. */
void frame_flip(struct memory *m, u64 frame, memory_key key);

/* Writes bytes inside one frame. */
void frame_write(struct memory *m, u64 spa, memory_key key, const void *data, size_t size);
/* frame_key returns KEY_RAW for a key without a cipher: its accesses go through unchanged.
 * frame_slot returns the cipher slot of a key. */
memory_key frame_key(const struct memory *m, memory_key key);
u32 frame_slot(const struct memory *m, memory_key key);

/* --- alias.c: accesses above the size of aliased memory; false: no such address --------------- */

bool alias_read(struct memory *m, u64 spa, memory_key key, void *out, size_t size);
bool alias_write(struct memory *m, u64 spa, memory_key key, const void *data, size_t size);

/* Returns true if the range touches the RMP itself. */
static inline bool rmp_holds(const struct memory *m, u64 spa, u64 size)
{
    return m->rmp.pages && spa < m->rmp.end && spa + size > m->rmp.base;
}

#endif
