/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk of the nested tables, for the cores and for other code that must know where a guest
 * address leads [APM2 15.25.5; cpu 5.6]. The tables are raw memory of the host.
 */
#ifndef SOFTSEV_CPU_NESTED_H
#define SOFTSEV_CPU_NESTED_H

#include "base/base.h"

struct memory;

struct nested_tables {
    struct memory *memory;
    u64 root;        /* nCR3 */
    bool encrypting; /* SYSCFG.MemEncryptionModEn: the C-bit of an entry is not reserved */
    bool no_execute; /* the host's EFER.NXE: bit 63 is not reserved */
};

enum nested_result {
    NESTED_OK,
    NESTED_ABSENT,   /* an entry is not present */
    NESTED_RESERVED, /* an entry has a reserved bit set */
};

#define NESTED_LEVELS 4u

struct nested_walk {
    u64 entry_spa[NESTED_LEVELS], entry[NESTED_LEVELS];
    u32 depth; /* entries read */
    bool writable, user, no_execute;
    bool large; /* the leaf has 2 MiB or 1 GiB */
    u64 spa;    /* where the address leads */
};

enum nested_result nested_descend(const struct nested_tables *t, u64 gpa, struct nested_walk *w);
/* Sets A in every entry and, for a write, D in the leaf. False: the RMP does not let the host write
 * a table. */
bool nested_mark(const struct nested_tables *t, const struct nested_walk *w, bool write);

#endif
