/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What software inside a guest may do with its own memory: reads and writes at guest physical
 * addresses, through the guest's key, its nested tables and the RMP [cpu 5, 8.4]. For doors that
 * play a guest's kernel where no processor runs; they get no further into the machine than that
 * kernel would.
 */
#ifndef SOFTSEV_MACHINE_GUEST_H
#define SOFTSEV_MACHINE_GUEST_H

#include "base/base.h"

struct host;

struct guest_memory {
    struct host *host; /* the machine it is on */
    u64 nested_cr3;    /* system address of its nested page tables */
    u32 asid;
    bool snp; /* the RMP is asked about every access */
    u8 vmpl;  /* of the software: 0 to 3; SNP only */
};

/* The C-bit of the guest's own page tables: its memory under its key, or memory that it shares with
 * the host. */
enum guest_sharing { GUEST_PRIVATE, GUEST_SHARED };

/* `size` bytes at a guest physical address, which may cross pages. False: the access would leave
 * the guest with a nested page fault, or raise #VC for a page that is not validated; nothing is
 * read, nothing is written then. */
bool guest_read(const struct guest_memory *g, u64 gpa, enum guest_sharing sharing, void *out,
                size_t size);
bool guest_write(const struct guest_memory *g, u64 gpa, enum guest_sharing sharing,
                 const void *data, size_t size);

/* RMPADJUST of a 4 KiB page: what less privileged software (a greater VMPL) may do with it,
 * RMP_READ and so on [cpu 8.2]. False: it fails or faults; nothing is changed then. */
bool guest_rmpadjust(const struct guest_memory *g, u64 gpa, u8 vmpl, u8 permissions);

#endif
