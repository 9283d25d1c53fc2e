/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Reverse Map Table in DRAM: one entry a 4 KiB page, raw, in frames that nobody can write but
 * through here (memory_write and memory_launch refuse them). Who calls rmp_set decides what is
 * legal: the firmware by its page states, the cores by RMPUPDATE's rules.
 */
#ifndef SOFTSEV_MEMORY_RMP_H
#define SOFTSEV_MEMORY_RMP_H

#include "abi/rmp.h"
#include "memory/memory.h"

/* From now on [base, end] (RMP_BASE and RMP_END: `end` is the last byte) is the table, with the
 * entries that DRAM holds there. False: not aligned, not inside DRAM, or no room for one entry;
 * nothing changes then. */
bool rmp_enable(struct memory *m, u64 base, u64 end);
void rmp_disable(struct memory *m);
bool rmp_enabled(const struct memory *m);
/* Another number after every change of the table: what was read before may no longer hold. */
u64 rmp_generation(const struct memory *m);
/* The range touches the table itself. */
bool rmp_is_table(const struct memory *m, u64 spa, u64 size);
/* Every entry becomes Hypervisor, the table's own pages become Firmware. */
void rmp_clear(struct memory *m);

/* The page has an entry. Pages without are in Default state: the host's, and never a guest's. */
bool rmp_covered(const struct memory *m, u64 spa);

/* The entry that counts for the 4 KiB page at `spa`: inside a 2 MiB page that is the large one's,
 * with the gPA of this 4 KiB page. Not covered: false, and an entry of a hypervisor's page. */
bool rmp_get(struct memory *m, u64 spa, struct rmp_entry *out);
enum rmp_state rmp_state(struct memory *m, u64 spa);

/* Writes the entry of the page at `spa`. A large entry needs a 2 MiB-aligned `spa` and empties the
 * entries of the 511 pages behind it. The pages leave the cores' TLBs. False: not covered, or not
 * aligned; nothing changes. */
bool rmp_set(struct memory *m, u64 spa, const struct rmp_entry *entry);

/* Some page of the 2 MiB region that holds `spa` is assigned. */
bool rmp_region_assigned(struct memory *m, u64 spa);
/* A large entry into 512 small ones with contiguous gPAs. False: there is no assigned large entry
 * at `spa`. */
bool rmp_smash(struct memory *m, u64 spa);
/* The reverse, of entries that differ in nothing but contiguous gPAs. False: they differ; nothing
 * changes. */
bool rmp_unsmash(struct memory *m, u64 spa);

/* Every page of the range is the hypervisor's to write. True where there is no RMP. */
bool rmp_host_may_write(struct memory *m, u64 spa, u64 size);

/* --- The verdict on a guest's access (rmp_verdict.c) ------------------------------------------ */

/* Whom the table is asked for. */
struct rmp_asker {
    bool snp; /* of other guests, no page is theirs */
    u32 asid, vmpl;
};

/* What the table says of a page: one of these, and with OURS the permissions of the VMPL as low
 * bits. */
#define RMP_PAGE_HOST BIT(5) /* the hypervisor's */
/* the guest's, at this address and in this size, and mutable */
#define RMP_PAGE_OURS      BIT(6)
#define RMP_PAGE_VALIDATED BIT(7)
_Static_assert(!((RMP_ALL | RMP_SHADOW_STACK) &
                 (RMP_PAGE_HOST | RMP_PAGE_OURS | RMP_PAGE_VALIDATED)),
               "in one byte");

/* `gpa` leads to `spa` by a nested page of 4 KiB or `large`. */
u8 rmp_page(struct memory *m, const struct rmp_asker *who, u64 spa, u64 gpa, bool large);

struct rmp_access {
    bool private; /* an SNP guest's, with its key */
    bool write, fetch, user;
};

enum rmp_verdict {
    RMP_ALLOWED,
    RMP_DENIED,
    RMP_DENIED_VMPL,   /* the page is the guest's, but not for this VMPL */
    RMP_NOT_VALIDATED, /* the guest has to validate it first */
};

enum rmp_verdict rmp_verdict(u8 page, const struct rmp_access *a);

#endif
