/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's own accesses without a processor: the nested walk, the RMP's checks in their order, then the bytes. */
#include "machine/guest.h"

#include "abi/rmp.h"
#include "abi/x86.h"
#include "machine/internal.h"
#include "memory/rmp.h"

#define LEVELS 4u
#define PTE_BEYOND                                                                                 \
    (BITS(~0ull, 51, 48) << 48) /* reserved; a page marked as a device's has one set */

/* Four levels of tables, raw memory of the host's. `large`: the leaf is 2 MiB or 1 GiB. */
static bool nested_walk(const struct guest_memory *g, u64 gpa, bool write, u64 *spa, bool *large)
{
    u64 table = g->nested_cr3 & PTE_ADDRESS & ~BIT(MACHINE_C_BIT), entry = 0;
    u64 needed = PTE_P | PTE_US | (write ? PTE_RW : 0);
    u32 shift = PAGE_SHIFT + 9 * LEVELS;
    if (gpa >> shift)
        return false;
    do {
        shift -= 9;
        if (!memory_read(g->host->memory, table + (gpa >> shift & 511) * sizeof entry, KEY_RAW,
                         &entry, sizeof entry) ||
            (entry & needed) != needed)
            return false;
        entry &= ~BIT(MACHINE_C_BIT); /* there is no key of the host's [cpu 5.6] */
        table = entry & PTE_ADDRESS;
        *large = shift > PAGE_SHIFT && (entry & PTE_PS);
        if ((entry & PTE_BEYOND) || (*large && shift > 30))
            return false;
    } while (shift > PAGE_SHIFT && !*large);
    *spa = ALIGN_DOWN(table, BIT(shift)) + (gpa & (BIT(shift) - 1));
    return true;
}

static bool rmp_allows(const struct guest_memory *g, u64 gpa, u64 spa, bool large, bool write,
                       enum guest_sharing sharing)
{
    struct rmp_entry e;
    struct memory *m = g->host->memory;
    bool covered = rmp_get(m, spa, &e);
    u8 needed = write ? RMP_READ | RMP_WRITE : RMP_READ;
    if (sharing == GUEST_SHARED)
        return !write || !e.assigned;
    return covered && e.assigned && e.asid == g->asid && e.gpa == ALIGN_DOWN(gpa, PAGE_SIZE) &&
           !e.immutable && e.large == large && e.validated && g->vmpl < RMP_VMPLS &&
           (e.permissions[g->vmpl] & needed) == needed;
}

/* Where the access goes; false: it faults. */
static bool translate(const struct guest_memory *g, u64 gpa, bool write, enum guest_sharing sharing,
                      u64 *spa)
{
    bool large;
    if (!nested_walk(g, gpa, write, spa, &large) || *spa >= memory_size(g->host->memory))
        return false;
    return !g->snp || rmp_allows(g, gpa, *spa, large, write, sharing);
}

static bool allowed(const struct guest_memory *g, u64 gpa, bool write, enum guest_sharing sharing,
                    size_t size)
{
    u64 spa, last = gpa + size - 1;
    if (!size)
        return true;
    if (last < gpa)
        return false;
    for (u64 page = gpa >> PAGE_SHIFT; page <= last >> PAGE_SHIFT; page++)
        if (!translate(g, page << PAGE_SHIFT, write, sharing, &spa))
            return false;
    return true;
}

static memory_key key_of(const struct guest_memory *g, enum guest_sharing sharing)
{
    return sharing == GUEST_PRIVATE ? (memory_key)g->asid : KEY_RAW;
}

bool guest_read(const struct guest_memory *g, u64 gpa, enum guest_sharing sharing, void *out,
                size_t size)
{
    u64 spa;
    if (!allowed(g, gpa, false, sharing, size))
        return false;
    for (size_t at = 0, part; at < size; at += part) {
        part = min_u64(size - at, PAGE_SIZE - ((gpa + at) & PAGE_MASK));
        if (!translate(g, gpa + at, false, sharing, &spa) ||
            !memory_read(g->host->memory, spa, key_of(g, sharing), (u8 *)out + at, part))
            return false;
    }
    return true;
}

bool guest_write(const struct guest_memory *g, u64 gpa, enum guest_sharing sharing,
                 const void *data, size_t size)
{
    u64 spa;
    if (!allowed(g, gpa, true, sharing, size))
        return false;
    for (size_t at = 0, part; at < size; at += part) {
        part = min_u64(size - at, PAGE_SIZE - ((gpa + at) & PAGE_MASK));
        if (!translate(g, gpa + at, true, sharing, &spa) ||
            !memory_write(g->host->memory, spa, key_of(g, sharing), (const u8 *)data + at, part))
            return false;
    }
    return true;
}

bool guest_rmpadjust(const struct guest_memory *g, u64 gpa, u8 vmpl, u8 permissions)
{
    struct rmp_entry e;
    u64 spa;
    if (!g->snp || gpa % PAGE_SIZE || vmpl <= g->vmpl || vmpl >= RMP_VMPLS ||
        !translate(g, gpa, false, GUEST_PRIVATE, &spa))
        return false;
    rmp_get(g->host->memory, spa, &e);
    if (e.large || permissions & ~e.permissions[g->vmpl])
        return false;
    e.permissions[vmpl] = permissions;
    return rmp_set(g->host->memory, spa, &e);
}
