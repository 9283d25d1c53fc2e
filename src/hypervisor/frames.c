/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocator of host memory. Guests take whole chunks of 2 MiB, so that one nested entry maps each
 * chunk. Tables, VMCBs and buffers take pages of chunks that were split for them. Allocation never
 * accesses the memory itself.
 */
#include <stdlib.h>

#include "hypervisor/internal.h"

enum chunk_state { CHUNK_FREE, CHUNK_WHOLE, CHUNK_SPLIT };

#define PAGES_PER_CHUNK 512u

bool frames_create(struct frames *f, u64 memory_size)
{
    f->chunks = memory_size / CHUNK_SIZE;
    f->state = calloc(f->chunks ? f->chunks : 1, sizeof *f->state);
    f->pages = calloc(f->chunks ? f->chunks : 1, sizeof *f->pages);
    return f->state && f->pages;
}

void frames_destroy(struct frames *f)
{
    free(f->state);
    free(f->pages);
}

u64 frames_take_chunk(struct frames *f)
{
    for (u64 i = 0; i < f->chunks; i++) {
        if (f->state[i] == CHUNK_FREE) {
            f->state[i] = CHUNK_WHOLE;
            return i * CHUNK_SIZE;
        }
    }
    return FRAME_NONE;
}

u64 frames_take_top(struct frames *f, u64 chunks)
{
    u64 run = 0;
    for (u64 i = f->chunks; i-- > 0;) {
        run = f->state[i] == CHUNK_FREE ? run + 1 : 0;
        if (run == chunks) {
            memset(f->state + i, CHUNK_WHOLE, chunks);
            return i * CHUNK_SIZE;
        }
    }
    return FRAME_NONE;
}

void frames_give_chunk(struct frames *f, u64 spa)
{
    f->state[spa / CHUNK_SIZE] = CHUNK_FREE;
}

static bool page_used(const u64 bits[8], u32 page)
{
    return bits[page / 64] >> page % 64 & 1;
}

/* Returns the start of the first run of `count` free pages, or PAGES_PER_CHUNK. */
static u32 find_run(const u64 bits[8], u32 count)
{
    u32 run = 0;
    for (u32 page = 0; page < PAGES_PER_CHUNK; page++) {
        run = page_used(bits, page) ? 0 : run + 1;
        if (run == count)
            return page + 1 - count;
    }
    return PAGES_PER_CHUNK;
}

static u64 take_from(struct frames *f, u64 chunk, u32 first, u32 count)
{
    for (u32 page = first; page < first + count; page++)
        f->pages[chunk][page / 64] |= BIT(page % 64);
    return chunk * CHUNK_SIZE + (u64)first * PAGE_SIZE;
}

/* Takes contiguous pages. Chunks are split from the top of memory down, so that guests find
 * contiguous chunks. Page 0 is never given out: the mailbox and VM_HSAVE_PA read address 0 as
 * "none". */
u64 frames_take_pages(struct frames *f, u32 count)
{
    for (u64 i = f->chunks; i-- > 1;) {
        if (f->state[i] != CHUNK_SPLIT)
            continue;
        u32 first = find_run(f->pages[i], count);
        if (first < PAGES_PER_CHUNK)
            return take_from(f, i, first, count);
    }
    for (u64 i = f->chunks; i-- > 1;) {
        if (f->state[i] == CHUNK_FREE) {
            f->state[i] = CHUNK_SPLIT;
            memset(f->pages[i], 0, sizeof f->pages[i]);
            return take_from(f, i, 0, count);
        }
    }
    return FRAME_NONE;
}

void frames_give_pages(struct frames *f, u64 spa, u32 count)
{
    static const u64 none[8];
    u64 chunk = spa / CHUNK_SIZE;
    u32 first = (u32)(spa % CHUNK_SIZE / PAGE_SIZE);
    for (u32 page = first; page < first + count; page++)
        f->pages[chunk][page / 64] &= ~BIT(page % 64);
    if (!memcmp(f->pages[chunk], none, sizeof none))
        f->state[chunk] = CHUNK_FREE;
}

bool frames_knows(u8 state)
{
    return state <= CHUNK_SPLIT;
}

bool frames_split(const struct frames *f, u64 chunk)
{
    return f->state[chunk] == CHUNK_SPLIT;
}

u64 frames_free_bytes(const struct frames *f)
{
    u64 count = 0;
    for (u64 i = 0; i < f->chunks; i++)
        count += f->state[i] == CHUNK_FREE;
    return count * CHUNK_SIZE;
}
