/* SPDX-License-Identifier: Apache-2.0 */
/* The map of frames; see map.h. */
#include "view/map.h"

#include <stdio.h>
#include <stdlib.h>

#define RMP_VALUE(state, asid) ((u32)(state) | (asid) << 8)

void view_map_init(struct view_map *m)
{
    *m = (struct view_map){.frames = 0};
}

static void free_chunks(struct view_map *m)
{
    for (u64 i = 0; i < (m->frames + VIEW_CHUNK - 1) / VIEW_CHUNK; i++)
        free(m->chunks[i].each);
    free(m->chunks);
    m->chunks = NULL;
    m->frames = 0;
}

void view_map_free(struct view_map *m)
{
    free_chunks(m);
}

static void tell(struct view_map *m, enum view_change what, u64 first, u64 count, u32 value)
{
    if (m->changed && count)
        m->changed(m->context, what, first, count, value);
}

bool view_map_size(struct view_map *m, u64 bytes)
{
    free_chunks(m);
    memset(m->held, 0, sizeof m->held);
    m->rmp_base = m->rmp_end = 0;
    if (bytes > VIEW_MEMORY_MAX || bytes < PAGE_SIZE)
        return false;
    const u64 frames = bytes >> PAGE_SHIFT;
    m->chunks = calloc((size_t)((frames + VIEW_CHUNK - 1) / VIEW_CHUNK), sizeof *m->chunks);
    m->out_of_memory |= !m->chunks;
    if (!m->chunks)
        return false;
    m->frames = frames;
    tell(m, VIEW_SIZE, 0, frames, 0);
    return true;
}

struct view_frame view_map_frame(const struct view_map *m, u64 frame)
{
    if (frame >= m->frames)
        return (struct view_frame){.key = VIEW_KEY_RAW};
    const struct view_chunk *c = &m->chunks[frame / VIEW_CHUNK];
    return c->each ? c->each[frame % VIEW_CHUNK] : c->all;
}

/* --- Changes ---------------------------------------------------------------------------------- */

/* Gives each frame of a chunk a value of its own. Returns false if there is no memory. */
static bool split(struct view_map *m, struct view_chunk *c)
{
    if (c->each)
        return true;
    c->each = malloc(VIEW_CHUNK * sizeof *c->each);
    m->out_of_memory |= !c->each;
    for (u32 i = 0; c->each && i < VIEW_CHUNK; i++)
        c->each[i] = c->all;
    return c->each;
}

static void set_key(struct view_map *m, struct view_frame *f, u64 frames, u32 key)
{
    if (f->key <= VIEW_ASIDS_MAX)
        m->held[f->key] -= min_u64(m->held[f->key], f->key ? frames : 0);
    f->key = (u16)key;
    if (key && key <= VIEW_ASIDS_MAX)
        m->held[key] += frames;
}

static void set_rmp(struct view_map *m, struct view_frame *f, u64 frames, u32 value)
{
    (void)m;
    (void)frames;
    f->state = (u8)value;
    f->asid = (u16)(value >> 8);
    f->large = false;
}

/* Changes [first, first + count), which lies inside the map. Changes whole chunks at once. */
static void change(struct view_map *m, u64 first, u64 count, u32 value,
                   void (*set)(struct view_map *m, struct view_frame *f, u64 frames, u32 value))
{
    for (u64 at = first, part; at < first + count; at += part) {
        struct view_chunk *c = &m->chunks[at / VIEW_CHUNK];
        part = min_u64(first + count - at, VIEW_CHUNK - at % VIEW_CHUNK);
        if (part == VIEW_CHUNK && !c->each) {
            set(m, &c->all, VIEW_CHUNK, value);
            continue;
        }
        for (u64 i = 0; split(m, c) && i < part; i++)
            set(m, &c->each[at % VIEW_CHUNK + i], 1, value);
    }
}

/* Cuts a range to the map. */
static bool clip(const struct view_map *m, u64 first, u64 *count)
{
    if (first >= m->frames)
        return false;
    *count = min_u64(*count, m->frames - first);
    return *count;
}

void view_map_set_key(struct view_map *m, u64 first, u64 count, u32 key)
{
    if (!clip(m, first, &count))
        return;
    change(m, first, count, key, set_key);
    tell(m, VIEW_KEY, first, count, key);
}

void view_map_set_rmp(struct view_map *m, u64 first, u64 count, enum rmp_state state, u32 asid)
{
    if (!clip(m, first, &count))
        return;
    change(m, first, count, RMP_VALUE(state, asid), set_rmp);
    tell(m, VIEW_RMP, first, count, RMP_VALUE(state, asid));
}

/* Handles the unloading of a key: the frames in its view stay encrypted under it. */
static void unload(struct view_map *m, u32 asid)
{
    if (!asid || asid > VIEW_ASIDS_MAX || !m->held[asid])
        return;
    for (u64 i = 0; i < (m->frames + VIEW_CHUNK - 1) / VIEW_CHUNK; i++) {
        struct view_chunk *c = &m->chunks[i];
        for (u32 k = 0; k < (c->each ? VIEW_CHUNK : 1); k++) {
            struct view_frame *f = c->each ? &c->each[k] : &c->all;
            f->key = f->key == asid ? VIEW_KEY_GONE : f->key;
        }
    }
    m->held[asid] = 0;
    tell(m, VIEW_REKEY, asid, 1, VIEW_KEY_GONE);
}

/* --- Events ----------------------------------------------------------------------------------- */

const char *view_key_name(u32 key, char out[16])
{
    if (key == VIEW_KEY_RAW)
        snprintf(out, 16, "raw");
    else if (key == VIEW_KEY_GONE)
        snprintf(out, 16, "gone");
    else if (key == VIEW_KEY_CHIP)
        snprintf(out, 16, "firmware");
    else
        snprintf(out, 16, "asid%u", key);
    return out;
}

static bool read_key(const struct view_event *e, u32 *key)
{
    static const u32 named[] = {VIEW_KEY_RAW, VIEW_KEY_GONE, VIEW_KEY_CHIP};
    char value[VIEW_VALUE_MAX], name[16];
    if (!view_value(e, "to", value))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(named); i++) {
        *key = named[i];
        if (!strcmp(value, view_key_name(*key, name)))
            return true;
    }
    u64 asid = 0;
    for (const char *p = value + 4; !strncmp(value, "asid", 4) && *p >= '0' && *p <= '9'; p++)
        asid = min_u64(10 * asid + (u64)(*p - '0'), VIEW_ASIDS_MAX + 1);
    *key = (u32)asid;
    return asid && asid <= VIEW_ASIDS_MAX;
}

static bool read_state(const struct view_event *e, const char *name, enum rmp_state *out)
{
    for (u32 i = 0; i < RMP_STATE_COUNT; i++) {
        *out = (enum rmp_state)i;
        if (view_is(e, name, rmp_state_name(*out)))
            return true;
    }
    return false;
}

static void on_machine(struct view_map *m, const struct view_event *e)
{
    u64 bytes;
    if (view_number(e, "memory", &bytes))
        view_map_size(m, bytes);
}

static void on_view(struct view_map *m, const struct view_event *e)
{
    u64 spa, size = PAGE_SIZE;
    u32 key;
    view_number(e, "size", &size);
    if (view_number(e, "spa", &spa) && read_key(e, &key))
        view_map_set_key(m, spa >> PAGE_SHIFT, size >> PAGE_SHIFT, key);
}

static void on_unload(struct view_map *m, const struct view_event *e)
{
    u64 asid;
    if (view_number(e, "asid", &asid))
        unload(m, (u32)min_u64(asid, VIEW_ASIDS_MAX + 1));
}

/* Applies RMP_CLEAR: all pages that the table covers become the hypervisor's, and those of the
 * table the firmware's. */
static void on_rmp_clear(struct view_map *m, const struct view_event *e)
{
    u64 base, end;
    if (!view_number(e, "base", &base) || !view_number(e, "end", &end) || end <= base)
        return;
    const u64 covered =
        (end - base + 1 - min_u64(end - base + 1, RMP_BOOKKEEPING)) / RMP_ENTRY_SIZE;
    m->rmp_base = base;
    m->rmp_end = end;
    view_map_set_rmp(m, 0, m->frames, RMP_DEFAULT, 0);
    view_map_set_rmp(m, 0, covered, RMP_HYPERVISOR, 0);
    const u64 first = base >> PAGE_SHIFT, behind = (end >> PAGE_SHIFT) + 1;
    if (first < covered)
        view_map_set_rmp(m, first, min_u64(behind, covered) - first, RMP_FIRMWARE, 0);
}

static void on_rmp_disable(struct view_map *m, const struct view_event *e)
{
    (void)e;
    m->rmp_base = m->rmp_end = 0;
    view_map_set_rmp(m, 0, m->frames, RMP_DEFAULT, 0);
}

static struct view_frame *begin_of_large(struct view_map *m, u64 first)
{
    return first % VIEW_CHUNK || first >= m->frames || !split(m, &m->chunks[first / VIEW_CHUNK])
               ? NULL
               : m->chunks[first / VIEW_CHUNK].each;
}

/* Writes an entry. If a large page appears or disappears, its other 511 pages change with it. */
static void set_entry(struct view_map *m, u64 first, bool large, enum rmp_state state, u32 asid)
{
    struct view_frame *begin = begin_of_large(m, first);
    if (begin && begin->large && !large)
        view_map_set_rmp(m, first, VIEW_CHUNK, RMP_HYPERVISOR, 0);
    view_map_set_rmp(m, first, large ? VIEW_CHUNK : 1, state, asid);
    if (begin)
        begin->large = large;
}

static u32 asid_of(const struct view_event *e)
{
    u64 asid = 0;
    view_number(e, "asid", &asid);
    return (u32)min_u64(asid, VIEW_ASIDS_MAX);
}

/* Applies a change of an RMP entry: by the firmware (RMP, with `to`), or by RMPUPDATE, PVALIDATE
 * and RMPADJUST (with `state`). An instruction that failed changed nothing. */
static void on_entry(struct view_map *m, const struct view_event *e)
{
    u64 spa, result = 0;
    enum rmp_state state;
    view_number(e, "result", &result);
    if (!result && view_number(e, "spa", &spa) &&
        (read_state(e, "to", &state) || read_state(e, "state", &state)))
        set_entry(m, spa >> PAGE_SHIFT, view_is(e, "size", "2M"), state, asid_of(e));
}

static void set_large(struct view_map *m, const struct view_event *e, bool large)
{
    u64 spa, result = 0;
    view_number(e, "result", &result);
    if (result || !view_number(e, "spa", &spa))
        return;
    struct view_frame *begin = begin_of_large(m, spa >> PAGE_SHIFT);
    if (begin)
        begin->large = large;
}

static void on_smash(struct view_map *m, const struct view_event *e)
{
    set_large(m, e, false);
}

static void on_unsmash(struct view_map *m, const struct view_event *e)
{
    if (view_is(e, "status", "SUCCESS"))
        set_large(m, e, true);
}

static const struct {
    const char *name;
    enum trace_category category;
    void (*apply)(struct view_map *m, const struct view_event *e);
} handlers[] = {
    {"MACHINE", TRACE_VM, on_machine},       {"FLIP", TRACE_VIEW, on_view},
    {"PLACE", TRACE_VIEW, on_view},          {"UNLOAD", TRACE_KEY, on_unload},
    {"RMP_CLEAR", TRACE_PAGE, on_rmp_clear}, {"RMP_DISABLE", TRACE_PAGE, on_rmp_disable},
    {"RMP", TRACE_PAGE, on_entry},           {"RMPUPDATE", TRACE_PAGE, on_entry},
    {"PVALIDATE", TRACE_PAGE, on_entry},     {"RMPADJUST", TRACE_PAGE, on_entry},
    {"PSMASH", TRACE_PAGE, on_smash},        {"SNP_PAGE_UNSMASH", TRACE_COMMAND, on_unsmash},
};

void view_map_event(struct view_map *m, const struct view_event *e)
{
    for (size_t i = 0; i < ARRAY_SIZE(handlers); i++)
        if (e->category == handlers[i].category && !strcmp(e->name, handlers[i].name))
            handlers[i].apply(m, e);
}

/* --- Runs ------------------------------------------------------------------------------------- */

static bool alike(const struct view_frame *a, const struct view_frame *b)
{
    return a->key == b->key && a->state == b->state && a->asid == b->asid;
}

bool view_map_next(const struct view_map *m, struct view_run *run)
{
    run->first += run->count;
    run->count = 0;
    if (run->first >= m->frames)
        return false;
    run->frame = view_map_frame(m, run->first);
    while (run->first + run->count < m->frames) {
        const u64 at = run->first + run->count;
        const struct view_chunk *c = &m->chunks[at / VIEW_CHUNK];
        const struct view_frame f = view_map_frame(m, at);
        if (!alike(&f, &run->frame))
            break;
        run->count += c->each ? 1 : VIEW_CHUNK - at % VIEW_CHUNK;
    }
    run->count = min_u64(run->count, m->frames - run->first);
    return true;
}
