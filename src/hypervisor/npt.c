/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nested page tables: four levels in the host's own format, RAM in 2 MiB leaves, everything else
 * absent, so that it exits as a nested page fault and goes to the devices [APM2 15.25]. Every entry
 * needs U=1: a nested walk is a user access. A SEV-ES guest must decode its device accesses itself:
 * a leaf with a reserved bit makes them #VC [cpu 6.2].
 */
#include "hypervisor/internal.h"

#define NPT_ENTRY (PTE_P | PTE_RW | PTE_US)
#define NPT_DONE  (PTE_A | PTE_D) /* already set: the walker has nothing to write */
#define NPT_RSV   BIT(50)         /* above the physical addresses, and not the C-bit */

static u64 npt_table(struct npt *n, struct host *host, struct frames *frames)
{
    static const u8 zeros[PAGE_SIZE];
    if (n->page_count == NPT_PAGES_MAX)
        return FRAME_NONE;
    u64 spa = frames_take_pages(frames, 1);
    if (spa == FRAME_NONE || !host_write(host, spa, zeros, sizeof zeros))
        return FRAME_NONE;
    n->pages[n->page_count++] = spa;
    return spa;
}

bool npt_create(struct npt *n, struct host *host, struct frames *frames)
{
    n->page_count = 0;
    n->root = npt_table(n, host, frames);
    return n->root != FRAME_NONE;
}

/* The table below an entry, made if it is not there. */
static u64 npt_below(struct npt *n, struct host *host, struct frames *frames, u64 entry_spa)
{
    u64 entry = 0;
    if (!host_read(host, entry_spa, &entry, sizeof entry))
        return FRAME_NONE;
    if (entry & PTE_P)
        return entry & PTE_ADDRESS;
    u64 spa = npt_table(n, host, frames);
    entry = spa | NPT_ENTRY | PTE_A;
    if (spa == FRAME_NONE || !host_write(host, entry_spa, &entry, sizeof entry))
        return FRAME_NONE;
    return spa;
}

static bool npt_set_leaf(struct npt *n, struct host *host, struct frames *frames, u64 gpa, u64 leaf)
{
    u64 table = n->root;
    for (u32 shift = 39; shift > 21; shift -= 9) {
        table = npt_below(n, host, frames, table + (gpa >> shift & 511) * 8);
        if (table == FRAME_NONE)
            return false;
    }
    return host_write(host, table + (gpa >> 21 & 511) * 8, &leaf, sizeof leaf);
}

bool npt_map(struct npt *n, struct host *host, struct frames *frames, u64 gpa, u64 spa)
{
    return npt_set_leaf(n, host, frames, gpa, spa | NPT_ENTRY | NPT_DONE | PTE_PS);
}

bool npt_mark_mmio(struct npt *n, struct host *host, struct frames *frames, u64 gpa)
{
    return npt_set_leaf(n, host, frames, gpa, NPT_RSV | NPT_ENTRY | NPT_DONE | PTE_PS);
}

void npt_destroy(struct npt *n, struct frames *frames)
{
    for (u32 i = 0; i < n->page_count; i++)
        frames_give_pages(frames, n->pages[i], 1);
    n->page_count = 0;
}
