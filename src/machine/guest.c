/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's own memory accesses without a running processor: the cores' nested walk, the RMP check,
 * then the bytes. */
#include "machine/guest.h"

#include "abi/x86.h"
#include "cpu/nested.h"
#include "machine/internal.h"
#include "memory/rmp.h"

/* Translates the address of an access. Returns false if the access faults. */
static bool translate(const struct guest_memory *g, u64 gpa, bool write, enum guest_sharing sharing,
                      u64 *spa)
{
    struct memory *m = g->host->memory;
    const struct nested_tables tables = {.memory = m, .root = g->nested_cr3, .encrypting = true};
    const struct rmp_asker who = {.snp = g->snp, .asid = g->asid, .vmpl = g->vmpl};
    const struct rmp_access access = {.private = g->snp && sharing == GUEST_PRIVATE,
                                      .write = write};
    struct nested_walk w;
    if (gpa & ~PHYSICAL_MASK || nested_descend(&tables, gpa, &w) != NESTED_OK || !w.user ||
        (write && !w.writable) || w.spa >= memory_size(m) || !nested_mark(&tables, &w, write))
        return false;
    *spa = w.spa;
    return !rmp_enabled(m) ||
           rmp_verdict(rmp_page(m, &who, w.spa, gpa, w.large), &access) == RMP_ALLOWED;
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
