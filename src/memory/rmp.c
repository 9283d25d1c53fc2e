/* SPDX-License-Identifier: Apache-2.0 */
/* The Reverse Map Table in DRAM; see rmp.h. */
#include "memory/internal.h"

#include <inttypes.h>
#include <stdlib.h>

static bool page_aligned(u64 spa, u64 size)
{
    return !(spa & (size - 1));
}

/* Forgets what was counted. */
static void uncount(struct memory *m)
{
    if (m->rmp.assigned)
        memset(m->rmp.assigned, 0xff, m->rmp.pages / RMP_LARGE_PAGES * sizeof(u16) + sizeof(u16));
}

bool rmp_enable(struct memory *m, u64 base, u64 end)
{
    u64 behind = end + 1;
    if (!page_aligned(base, RMP_ALIGNMENT) || !page_aligned(behind, RMP_ALIGNMENT) ||
        behind > m->size || base >= behind || behind - base <= RMP_BOOKKEEPING)
        return false;
    free(m->rmp.assigned);
    m->rmp = (struct rmp){
        .base = base,
        .end = behind,
        .pages = (behind - base - RMP_BOOKKEEPING) / RMP_ENTRY_SIZE,
        .generation = m->rmp.generation + 1,
    };
    if (!m->aliased)
        m->rmp.assigned = malloc(m->rmp.pages / RMP_LARGE_PAGES * sizeof(u16) + sizeof(u16));
    uncount(m);
    /* The cores may hold pages that were mapped under the old table. */
    frames_lose_all(m);
    trace_event(m->trace, TRACE_PAGE, "RMP_ENABLE", "base=0x%" PRIx64 " end=0x%" PRIx64, base, end);
    return true;
}

void rmp_disable(struct memory *m)
{
    free(m->rmp.assigned);
    m->rmp = (struct rmp){.generation = m->rmp.generation + 1};
    frames_lose_all(m);
    trace_event(m->trace, TRACE_PAGE, "RMP_DISABLE", "%s", "");
}

bool rmp_enabled(const struct memory *m)
{
    return m->rmp.pages;
}

u64 rmp_generation(const struct memory *m)
{
    return m->rmp.generation;
}

bool rmp_is_table(const struct memory *m, u64 spa, u64 size)
{
    return rmp_holds(m, spa, size);
}

bool rmp_covered(const struct memory *m, u64 spa)
{
    return spa >> PAGE_SHIFT < m->rmp.pages;
}

/* Returns the bytes of a page's entry. An entry never crosses a frame. */
static u8 *entry_bytes(struct memory *m, u64 page)
{
    u64 spa = m->rmp.base + RMP_BOOKKEEPING + page * RMP_ENTRY_SIZE;
    frame_flip(m, spa >> PAGE_SHIFT, KEY_RAW);
    return m->dram + spa;
}

static struct rmp_entry entry_read(struct memory *m, u64 page)
{
    u64 raw[2];
    struct rmp_entry e;
    memcpy(raw, entry_bytes(m, page), sizeof raw);
    rmp_entry_unpack(&e, raw);
    return e;
}

static void entry_write(struct memory *m, u64 page, const struct rmp_entry *e)
{
    u64 raw[2];
    u16 *count = m->rmp.assigned ? &m->rmp.assigned[page / RMP_LARGE_PAGES] : NULL;
    if (count && *count != RMP_UNCOUNTED)
        *count = (u16)(*count + e->assigned - entry_read(m, page).assigned);
    rmp_entry_pack(e, raw);
    memcpy(entry_bytes(m, page), raw, sizeof raw);
    m->rmp.generation++;
    if (page < m->size >> PAGE_SHIFT)
        frame_lose(m, page);
}

static u64 region_of(u64 page)
{
    return ALIGN_DOWN(page, RMP_LARGE_PAGES);
}

static bool region_covered(const struct memory *m, u64 page)
{
    return region_of(page) + RMP_LARGE_PAGES <= m->rmp.pages;
}

void rmp_clear(struct memory *m)
{
    static const u8 zeros[PAGE_SIZE];
    if (!m->rmp.pages)
        return;
    for (u64 frame = m->rmp.base >> PAGE_SHIFT; frame < m->rmp.end >> PAGE_SHIFT; frame++) {
        frame_flip(m, frame, KEY_RAW);
        memcpy(m->dram + (frame << PAGE_SHIFT), zeros, sizeof zeros);
    }
    uncount(m);
    frames_lose_all(m);
    const struct rmp_entry firmware = {.assigned = true, .immutable = true};
    for (u64 page = m->rmp.base >> PAGE_SHIFT; page < m->rmp.end >> PAGE_SHIFT; page++)
        if (page < m->rmp.pages)
            entry_write(m, page, &firmware);
    trace_event(m->trace, TRACE_PAGE, "RMP_CLEAR", "base=0x%" PRIx64 " end=0x%" PRIx64, m->rmp.base,
                m->rmp.end - 1);
}

bool rmp_get(struct memory *m, u64 spa, struct rmp_entry *out)
{
    u64 page = spa >> PAGE_SHIFT;
    if (!rmp_covered(m, spa)) {
        *out = (struct rmp_entry){.assigned = false};
        return false;
    }
    *out = entry_read(m, page);
    u64 first = region_of(page);
    if (out->assigned || page == first)
        return true;
    struct rmp_entry large = entry_read(m, first);
    if (large.assigned && large.large) {
        *out = large;
        out->gpa += out->asid ? (page - first) << PAGE_SHIFT : 0;
    }
    return true;
}

enum rmp_state rmp_state(struct memory *m, u64 spa)
{
    struct rmp_entry e;
    return rmp_get(m, spa, &e) ? rmp_entry_state(&e) : RMP_DEFAULT;
}

bool rmp_set(struct memory *m, u64 spa, const struct rmp_entry *entry)
{
    u64 page = spa >> PAGE_SHIFT;
    if (!rmp_covered(m, spa) || !page_aligned(spa, PAGE_SIZE))
        return false;
    if (entry->large && (page != region_of(page) || !region_covered(m, page)))
        return false;
    struct rmp_entry old = entry_read(m, page);
    /* The first assigned page of a region takes the others out of the host's larger mappings. */
    if (entry->assigned && !rmp_region_assigned(m, spa))
        mappings_lose(m);
    entry_write(m, page, entry);
    /* If a large page appears or disappears, the entries of its other 511 pages change with it. */
    const struct rmp_entry none = {.assigned = false};
    for (u64 i = 1; (entry->large || (old.assigned && old.large)) && i < RMP_LARGE_PAGES; i++)
        if (page + i < m->rmp.pages)
            entry_write(m, page + i, &none);
    return true;
}

static u16 count_region(struct memory *m, u64 first)
{
    u16 count = 0;
    for (u64 page = first; page < first + RMP_LARGE_PAGES && page < m->rmp.pages; page++)
        count = (u16)(count + entry_read(m, page).assigned);
    return count;
}

/* Every TLB fill for a 2 MiB page asks this, so the answer is counted instead of read from 512
 * entries. */
bool rmp_region_assigned(struct memory *m, u64 spa)
{
    const u64 first = region_of(spa >> PAGE_SHIFT);
    if (first >= m->rmp.pages)
        return false;
    if (!m->rmp.assigned)
        return count_region(m, first);
    u16 *count = &m->rmp.assigned[first / RMP_LARGE_PAGES];
    if (*count == RMP_UNCOUNTED)
        *count = count_region(m, first);
    return *count;
}

bool rmp_smash(struct memory *m, u64 spa)
{
    u64 page = spa >> PAGE_SHIFT;
    if (!page_aligned(spa, RMP_LARGE_SIZE) || !region_covered(m, page))
        return false;
    struct rmp_entry e = entry_read(m, page);
    if (!e.assigned || !e.large)
        return false;
    e.large = false;
    mappings_lose(m);
    for (u64 i = 0; i < RMP_LARGE_PAGES; i++) {
        entry_write(m, page + i, &e);
        e.gpa += e.asid ? PAGE_SIZE : 0;
    }
    return true;
}

static bool entries_match(const struct rmp_entry *a, const struct rmp_entry *b)
{
    return a->assigned == b->assigned && a->large == b->large && a->immutable == b->immutable &&
           a->validated == b->validated && a->vmsa == b->vmsa && a->asid == b->asid &&
           a->gpa == b->gpa && !memcmp(a->permissions, b->permissions, sizeof a->permissions);
}

bool rmp_unsmash(struct memory *m, u64 spa)
{
    u64 page = spa >> PAGE_SHIFT;
    if (!page_aligned(spa, RMP_LARGE_SIZE) || !region_covered(m, page))
        return false;
    struct rmp_entry first = entry_read(m, page);
    if (!first.assigned || first.large || (first.asid && !page_aligned(first.gpa, RMP_LARGE_SIZE)))
        return false;
    struct rmp_entry want = first;
    for (u64 i = 1; i < RMP_LARGE_PAGES; i++) {
        want.gpa += want.asid ? PAGE_SIZE : 0;
        struct rmp_entry e = entry_read(m, page + i);
        if (!entries_match(&e, &want))
            return false;
    }
    first.large = true;
    return rmp_set(m, spa, &first);
}

bool rmp_host_may_write(struct memory *m, u64 spa, u64 size)
{
    for (u64 at = ALIGN_DOWN(spa, PAGE_SIZE); m->rmp.pages && size && at < spa + size;
         at += PAGE_SIZE)
        if (!rmp_state_is_host_writable(rmp_state(m, at)) || rmp_holds(m, at, 1))
            return false;
    return true;
}
