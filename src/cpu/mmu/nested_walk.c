/* SPDX-License-Identifier: Apache-2.0 */
/* The walk of the nested tables; it needs no core. */
#include "cpu/nested.h"

#include "abi/x86.h"
#include "cpu/mmu/table.h"
#include "memory/rmp.h"

static u32 level_shift(u32 level)
{
    return PAGE_SHIFT + 9 * (NESTED_LEVELS - 1 - level);
}

static u64 reserved_bits(const struct nested_tables *t, u32 level, u64 entry)
{
    /* The host's own C-bit selects the host's key; softsev does not encrypt host memory with it. */
    u64 reserved = PTE_BEYOND & ~(t->encrypting ? BIT(C_BIT) : 0);
    if (!t->no_execute)
        reserved |= PTE_NX;
    if (level == 0)
        return reserved | PTE_PS | PTE_G;
    if (level == 1 && !(entry & PTE_PS))
        reserved |= PTE_G;
    if (entry & PTE_PS && level < NESTED_LEVELS - 1)
        reserved |= BITS(~0ull, level_shift(level) - 1, 13) << 13;
    return reserved;
}

enum nested_result nested_descend(const struct nested_tables *t, u64 gpa, struct nested_walk *w)
{
    u64 table = t->root & PTE_ADDRESS & ~BIT(C_BIT);
    w->writable = w->user = true;
    w->no_execute = false;
    for (u32 n = 0;; n++) {
        u32 shift = level_shift(n);
        w->entry_spa[n] = table + BITS(gpa, shift + 8, shift) * 8;
        u64 entry = w->entry[n] = table_read(t->memory, w->entry_spa[n], KEY_RAW, 8);
        w->depth = n + 1;
        if (!(entry & PTE_P))
            return NESTED_ABSENT;
        if (entry & reserved_bits(t, n, entry))
            return NESTED_RESERVED;
        w->writable &= !!(entry & PTE_RW);
        w->user &= !!(entry & PTE_US);
        w->no_execute |= !!(entry & PTE_NX);
        table = entry & PTE_ADDRESS & ~BIT(C_BIT);
        w->large = n < NESTED_LEVELS - 1;
        if (!w->large || entry & PTE_PS) {
            w->spa = ALIGN_DOWN(table, BIT(shift)) | (gpa & (BIT(shift) - 1));
            return NESTED_OK;
        }
    }
}

bool nested_mark(const struct nested_tables *t, const struct nested_walk *w, bool write)
{
    for (u32 i = 0; i < w->depth; i++) {
        u64 bits = PTE_A | (write && i == w->depth - 1 ? PTE_D : 0);
        if ((w->entry[i] & bits) == bits)
            continue;
        if (!rmp_host_may_write(t->memory, w->entry_spa[i], 8))
            return false;
        table_mark(t->memory, w->entry_spa[i], KEY_RAW, bits);
    }
    return true;
}
