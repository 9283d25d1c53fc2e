/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Reverse Map Table in DRAM: one entry for each 4 KiB page, raw, in frames that can be written
 * only through these functions (memory_write and memory_launch refuse them). The caller of rmp_set
 * decides what is legal: the firmware by its page states, the cores by the rules of RMPUPDATE.
 */
#ifndef SOFTSEV_MEMORY_RMP_H
#define SOFTSEV_MEMORY_RMP_H

#include "abi/rmp.h"
#include "memory/memory.h"

/* Makes [base, end] the table, with the entries that DRAM already holds there. The values are those
 * of RMP_BASE and RMP_END: `end` is the last byte. Returns false and changes nothing if the range
 * is not aligned, not inside DRAM, or too small for one entry. */
bool rmp_enable(struct memory *m, u64 base, u64 end);
void rmp_disable(struct memory *m);
bool rmp_enabled(const struct memory *m);
/* Returns a number that changes with every change of the table, so that callers can tell when
 * entries that they have read may be stale. */
u64 rmp_generation(const struct memory *m);
/* Returns true if the range touches the table itself. */
bool rmp_is_table(const struct memory *m, u64 spa, u64 size);
/* Sets every entry to Hypervisor, and the entries of the table's own pages to Firmware. */
void rmp_clear(struct memory *m);

/* Returns true if the page has an entry. A page without an entry is in Default state: it is always
 * the host's, never a guest's. */
bool rmp_covered(const struct memory *m, u64 spa);

/* Reads the effective entry of the 4 KiB page at `spa`. Inside a 2 MiB page that is the large
 * page's entry, with the gPA of this 4 KiB page. If the page is not covered, returns false and the
 * entry of a hypervisor page. */
bool rmp_get(struct memory *m, u64 spa, struct rmp_entry *out);
enum rmp_state rmp_state(struct memory *m, u64 spa);

/* Writes the entry of the page at `spa`. A large entry needs a 2 MiB-aligned `spa` and clears the
 * entries of the 511 pages after it. The pages leave the cores' TLBs. Returns false and changes
 * nothing if the page is not covered or not aligned. */
bool rmp_set(struct memory *m, u64 spa, const struct rmp_entry *entry);

/* Returns true if any page of the 2 MiB region that contains `spa` is assigned. */
bool rmp_region_assigned(struct memory *m, u64 spa);
/* Splits a large entry into 512 small ones with contiguous gPAs. Returns false if there is no
 * assigned large entry at `spa`. */
bool rmp_smash(struct memory *m, u64 spa);
/* Joins 512 small entries that differ only in contiguous gPAs into one large entry. Returns false
 * and changes nothing if they differ otherwise. */
bool rmp_unsmash(struct memory *m, u64 spa);

/* Returns true if the hypervisor may write every page of the range, or if there is no RMP. */
bool rmp_host_may_write(struct memory *m, u64 spa, u64 size);

/* --- The verdict on a guest's access (rmp_verdict.c) ------------------------------------------ */

/* The guest on whose behalf the table is checked. */
struct rmp_asker {
    bool snp; /* false: the guest owns no pages, because it is not an SNP guest */
    u32 asid, vmpl;
};

/* Bits of rmp_page's result; 0: the page is neither the hypervisor's nor the guest's. With OURS,
 * the low bits are the permissions of the VMPL. */
#define RMP_PAGE_HOST BIT(5) /* the page is the hypervisor's */
/* the page is the guest's, at this address and in this size, and mutable */
#define RMP_PAGE_OURS      BIT(6)
#define RMP_PAGE_VALIDATED BIT(7)
_Static_assert(!((RMP_ALL | RMP_SHADOW_STACK) &
                 (RMP_PAGE_HOST | RMP_PAGE_OURS | RMP_PAGE_VALIDATED)),
               "in one byte");

/* Checks the page at `spa`, which a nested page of 4 KiB (or 2 MiB if `large`) maps at `gpa`. */
u8 rmp_page(struct memory *m, const struct rmp_asker *who, u64 spa, u64 gpa, bool large);

struct rmp_access {
    bool private; /* an SNP guest's access with its own key */
    bool write, fetch, user;
};

enum rmp_verdict {
    RMP_ALLOWED,
    RMP_DENIED,
    RMP_DENIED_VMPL,   /* the page is the guest's, but not for this VMPL */
    RMP_NOT_VALIDATED, /* the guest must validate it first */
};

enum rmp_verdict rmp_verdict(u8 page, const struct rmp_access *a);

#endif
