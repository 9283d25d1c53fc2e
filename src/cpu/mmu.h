/* SPDX-License-Identifier: Apache-2.0 */
/* What mmu.c and mmu_walk.c share: the small caches behind the TLB. */
#ifndef SOFTSEV_CPU_MMU_H
#define SOFTSEV_CPU_MMU_H

#include "cpu/internal.h"

#define NESTED_ENTRIES 1024 /* GPA frame -> SPA frame */
#define FETCH_ENTRIES  256  /* linear page -> SPA frame of code, for user and for supervisor */

struct nested_entry {
    u64 gpa_frame;
    u64 frame;
    u64 epoch; /* valid if equal to mmu.nested_epoch */
    bool writable, dirty, no_execute;
};

struct fetch_entry {
    u64 page; /* linear */
    u64 frame;
    u64 epoch; /* valid if equal to mmu.fetch_epoch[global] */
    bool global;
};

/* The slots of one TLB array that were filled since its last flush, so that a flush costs what was
 * filled. */
struct fill_list {
    u32 count;
    u16 slots[TLB_ENTRIES];
    u64 listed[TLB_ENTRIES / 64];
};

struct mmu {
    u64 nested_epoch, fetch_epoch[2];
    /* Which 4 MiB and 1 GiB regions have entries of large pages, hashed to one bit: INVLPG of an
     * address in none is cheap. */
    u64 large_seen, huge_seen;
    struct fill_list fills[TLB_CONTEXTS];
    struct tlb_entry
        watched; /* of the last access to a page with a data breakpoint: never in the TLB */
    struct nested_entry nested[NESTED_ENTRIES];
    struct fetch_entry fetch[2][FETCH_ENTRIES];
};

static inline u64 large_bit(u64 linear)
{
    return BIT((linear >> 22) & 63);
}

static inline u64 huge_bit(u64 linear)
{
    return BIT((linear >> 30) & 63);
}

#endif
