/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and marks page-table entries, in the view that the table is read in. */
#ifndef SOFTSEV_CPU_MMU_TABLE_H
#define SOFTSEV_CPU_MMU_TABLE_H

#include "memory/memory.h"

static inline u64 table_read(struct memory *m, u64 spa, memory_key key, u32 bytes)
{
    const u8 *host = memory_map(m, spa >> PAGE_SHIFT, key);
    u64 entry = 0;
    if (!host)
        return ~0ull; /* nothing answers on the bus */
    memcpy(&entry, host + (spa & PAGE_MASK), bytes);
    return entry;
}

/* Sets accessed and dirty bits; only the low byte of the entry changes. */
static inline void table_mark(struct memory *m, u64 spa, memory_key key, u64 bits)
{
    u8 *host = memory_map(m, spa >> PAGE_SHIFT, key);
    if (!host)
        return;
    if (memory_holds_code(m, spa >> PAGE_SHIFT))
        memory_code_write(m, spa >> PAGE_SHIFT, (u32)(spa & PAGE_MASK), 1);
    host[spa & PAGE_MASK] |= (u8)bits;
}

#endif
