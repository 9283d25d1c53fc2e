/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nested page tables: four levels in the host's own format, with RAM in leaves of 2 MiB. Everything
 * else is absent, so that an access exits as a nested page fault and goes to the devices [APM2
 * 15.25]. Every entry needs U=1: a nested walk is a user access. A SEV-ES guest must decode its
 * device accesses itself: a leaf with a reserved bit makes them #VC [cpu 6.2]. The leaves of an SNP
 * guest must have the size of its RMP entries [cpu 8.4]: 2 MiB are split where the RMP has entries
 * of 4 KiB.
 */
#include <stdlib.h>

#include "hypervisor/internal.h"

#define NPT_ENTRY (PTE_P | PTE_RW | PTE_US)
#define NPT_DONE  (PTE_A | PTE_D) /* already set: the walker need not write them */
#define NPT_RSV   BIT(50)         /* above the physical addresses, but not the C-bit */

static u64 npt_table(struct npt *n, struct host *host, struct frames *frames)
{
    static const u8 zeros[PAGE_SIZE];
    if (n->page_count == n->page_max)
        return FRAME_NONE;
    u64 spa = frames_take_pages(frames, 1);
    if (spa == FRAME_NONE || !host_write(host, spa, zeros, sizeof zeros))
        return FRAME_NONE;
    n->pages[n->page_count++] = spa;
    return spa;
}

bool npt_create(struct npt *n, struct host *host, struct frames *frames, u64 chunks)
{
    n->page_count = 0;
    n->page_max = NPT_PAGES + (u32)chunks;
    n->pages = calloc(n->page_max, sizeof *n->pages);
    n->root = n->pages ? npt_table(n, host, frames) : FRAME_NONE;
    return n->root != FRAME_NONE;
}

/* Returns the table that an entry points to. Creates the table if there is none. */
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

/* Returns the SPA of the entry for 2 MiB. */
static u64 npt_entry(struct npt *n, struct host *host, struct frames *frames, u64 gpa)
{
    u64 table = n->root;
    for (u32 shift = 39; shift > 21 && table != FRAME_NONE; shift -= 9)
        table = npt_below(n, host, frames, table + (gpa >> shift & 511) * 8);
    return table == FRAME_NONE ? FRAME_NONE : table + (gpa >> 21 & 511) * 8;
}

static bool npt_set_leaf(struct npt *n, struct host *host, struct frames *frames, u64 gpa, u64 leaf)
{
    u64 entry = npt_entry(n, host, frames, gpa);
    return entry != FRAME_NONE && host_write(host, entry, &leaf, sizeof leaf);
}

bool npt_map(struct npt *n, struct host *host, struct frames *frames, u64 gpa, u64 spa)
{
    return npt_set_leaf(n, host, frames, gpa, spa | NPT_ENTRY | NPT_DONE | PTE_PS);
}

bool npt_map_rom(struct npt *n, struct host *host, struct frames *frames, u64 gpa, u64 spa)
{
    return npt_set_leaf(n, host, frames, gpa, spa | (NPT_ENTRY & ~PTE_RW) | NPT_DONE | PTE_PS);
}

bool npt_mark_mmio(struct npt *n, struct host *host, struct frames *frames, u64 gpa)
{
    return npt_set_leaf(n, host, frames, gpa, NPT_RSV | NPT_ENTRY | NPT_DONE | PTE_PS);
}

bool npt_split(struct npt *n, struct host *host, struct frames *frames, u64 gpa)
{
    u64 entry_spa = npt_entry(n, host, frames, gpa), entry = 0, leaves[512];
    if (entry_spa == FRAME_NONE || !host_read(host, entry_spa, &entry, sizeof entry) ||
        !(entry & PTE_P))
        return false;
    if (!(entry & PTE_PS))
        return true;
    u64 table = npt_table(n, host, frames);
    if (table == FRAME_NONE)
        return false;
    for (u64 i = 0; i < ARRAY_SIZE(leaves); i++)
        leaves[i] = (entry & ~PTE_PS) + i * PAGE_SIZE;
    entry = table | NPT_ENTRY | PTE_A;
    return host_write(host, table, leaves, sizeof leaves) &&
           host_write(host, entry_spa, &entry, sizeof entry);
}

u64 npt_leaves(struct npt *n, struct host *host, struct frames *frames, u64 gpa)
{
    u64 entry = 0;
    const u64 entry_spa = npt_entry(n, host, frames, gpa);
    return npt_split(n, host, frames, gpa) && host_read(host, entry_spa, &entry, sizeof entry)
               ? entry & PTE_ADDRESS
               : FRAME_NONE;
}

bool npt_set_rom_page(struct npt *n, struct host *host, struct frames *frames, u64 gpa, u64 spa)
{
    const u64 leaf = spa == FRAME_NONE ? 0 : spa | (NPT_ENTRY & ~PTE_RW) | NPT_DONE;
    u64 entry = 0;
    const u64 entry_spa = npt_entry(n, host, frames, gpa);
    return npt_split(n, host, frames, gpa) && host_read(host, entry_spa, &entry, sizeof entry) &&
           host_write(host, (entry & PTE_ADDRESS) + (gpa >> 12 & 511) * 8, &leaf, sizeof leaf);
}

void npt_destroy(struct npt *n, struct frames *frames)
{
    for (u32 i = 0; i < n->page_count; i++)
        frames_give_pages(frames, n->pages[i], 1);
    free(n->pages);
    *n = (struct npt){.root = FRAME_NONE};
}
