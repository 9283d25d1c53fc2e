/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory accesses of software inside a guest: reads and writes at guest physical addresses, through
 * the guest's key, its nested tables and the RMP [cpu 5, 8.4]. For interfaces that act as a guest's
 * kernel while no processor runs; they can access no more of the machine than that kernel could.
 */
#ifndef SOFTSEV_MACHINE_GUEST_H
#define SOFTSEV_MACHINE_GUEST_H

#include "base/base.h"

struct host;

struct guest_memory {
    struct host *host; /* the machine that the guest is on */
    u64 nested_cr3;    /* system address of its nested page tables */
    u32 asid;
    bool snp; /* the RMP is checked on every access */
    u8 vmpl;  /* VMPL of the software: 0 to 3; SNP only */
};

/* The C-bit of the guest's own page tables: private memory, encrypted with its key, or memory that
 * it shares with the host. */
enum guest_sharing { GUEST_PRIVATE, GUEST_SHARED };

/* Access `size` bytes at a guest physical address; the range may cross pages. Return false if the
 * access would cause a nested page fault, or a #VC for a page that is not validated. In that case
 * nothing is read or written. */
bool guest_read(const struct guest_memory *g, u64 gpa, enum guest_sharing sharing, void *out,
                size_t size);
bool guest_write(const struct guest_memory *g, u64 gpa, enum guest_sharing sharing,
                 const void *data, size_t size);

/* Runs RMPADJUST on a 4 KiB page: sets what less privileged software (a greater VMPL) may do with
 * it, RMP_READ and so on [cpu 8.2]. Returns false if it fails or faults; it then changes
 * nothing. */
bool guest_rmpadjust(const struct guest_memory *g, u64 gpa, u8 vmpl, u8 permissions);

#endif
