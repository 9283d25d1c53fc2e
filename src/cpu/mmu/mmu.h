/* SPDX-License-Identifier: Apache-2.0 */
/* The small caches that back the TLB, shared by mmu.c and walk.c. */
#ifndef SOFTSEV_CPU_MMU_MMU_H
#define SOFTSEV_CPU_MMU_MMU_H

#include "cpu/internal.h"
#include "memory/rmp.h"

#define NESTED_ENTRIES 1024 /* GPA frame -> SPA frame */
#define FETCH_ENTRIES  256  /* linear page -> SPA frame of code, for user and for supervisor */

struct nested_entry {
    u64 gpa_frame;
    u64 frame;
    u64 epoch; /* valid if equal to mmu.nested_epoch */
    bool writable, dirty, no_execute, large;
    u8 rmp; /* RMP_PAGE_..., if rmp_generation is the table's */
    u64 rmp_generation;
};

/* A guest's access, as the nested tables see it. */
struct nested_access {
    bool write, fetch, user, unchecked;
    bool large; /* without nested tables: the mapping has more than 4 KiB */
    bool walk;  /* reads a guest's table: a write for the nested tables, a read for the VMPL */
    u64 info;   /* NPF_FINAL or NPF_TABLE, and NPF_ENC */
};

/* Fills *f with a nested fault. Always returns false. */
bool nested_fault(const struct nested_access *a, u64 gpa, u64 bits, struct access_fault *f);
/* Checks an access to the page of `e` by the RMP [cpu 8.4]. Clears *store_ready if a later store
 * needs a new check. */
bool rmp_permits(struct cpu *c, struct nested_entry *e, u64 gpa, const struct nested_access *a,
                 bool *store_ready, struct access_fault *f);

struct fetch_entry {
    u64 page; /* linear */
    u64 frame;
    u64 epoch; /* valid if equal to mmu.fetch_epoch[global] */
    bool global;
};

/* The slots of one TLB array that were filled since its last flush, with translations that are
 * global or that are not: a flush visits only these. */
struct fill_list {
    u32 count;
    u16 slots[TLB_ENTRIES];
    u64 listed[TLB_ENTRIES / 64];
};

/* A core on a board has two of them, so that a world switch need not flush: the host's and the
 * guest's. */
struct mmu {
    struct tlb_entry (*tlbs)[TLB_ENTRIES]; /* TLB_CONTEXTS arrays */
    struct block_addresses addresses;      /* blocks_addresses() of the world that rests */
    u64 nested_epoch, fetch_epoch[2];
    /* The 4 MiB and 1 GiB regions that have entries of large pages, hashed to one bit each: INVLPG
     * of an address in no such region is cheap. */
    u64 large_seen, huge_seen;
    struct fill_list fills[TLB_CONTEXTS][2]; /* [global] */
    struct tlb_entry
        watched; /* of the last access to a page with a data breakpoint: never in the TLB */
    struct nested_entry nested[NESTED_ENTRIES];
    struct nested_entry identity; /* the last one, without nested tables */
    bool fetched;                 /* the arrays are not empty */
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
