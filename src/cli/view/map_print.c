/* SPDX-License-Identifier: Apache-2.0 */
/* A map of memory in text and JSON; see trace_file.h. */
#include "cli/view/trace_file.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#define OWNERS_MAX 26u /* kinds of frames that have a letter of their own */
#define COLUMNS    64u
#define ROWS_MAX   32u

/* A kind of frames: one key and one state. */
struct owner {
    struct view_frame frame;
    u64 frames;
    char letter;
};

struct owners {
    u32 count;
    struct owner all[OWNERS_MAX + 1]; /* the last is for all that did not fit */
};

static bool same(const struct view_frame *a, const struct view_frame *b)
{
    return a->key == b->key && a->state == b->state && a->asid == b->asid;
}

static struct owner *find_owner(struct owners *o, const struct view_frame *f)
{
    for (u32 i = 0; i < o->count && i < OWNERS_MAX; i++)
        if (same(&o->all[i].frame, f))
            return &o->all[i];
    if (o->count < OWNERS_MAX) {
        o->all[o->count] = (struct owner){.frame = *f};
        return &o->all[o->count++];
    }
    o->count = OWNERS_MAX + 1;
    return &o->all[OWNERS_MAX];
}

static int compare(const void *a, const void *b)
{
    const struct owner *x = a, *y = b;
    return x->frames < y->frames ? 1 : x->frames > y->frames ? -1 : 0;
}

/* Counts the frames of each kind, the largest first. Frames that are the host's and raw are dots.
 */
static void count_owners(const struct view_map *m, struct owners *o)
{
    char letter = 'A';
    *o = (struct owners){.count = 0};
    for (struct view_run run = {.first = 0}; view_map_next(m, &run);)
        find_owner(o, &run.frame)->frames += run.count;
    qsort(o->all, min_u64(o->count, OWNERS_MAX), sizeof o->all[0], compare);
    for (u32 i = 0; i < o->count; i++) {
        const struct view_frame *f = &o->all[i].frame;
        const bool host = f->key == VIEW_KEY_RAW && rmp_state_is_host_writable(f->state);
        o->all[i].letter = i == OWNERS_MAX ? '*' : host ? '.' : letter++;
    }
}

static void print_kind(const struct view_frame *f, FILE *out)
{
    char key[16];
    fprintf(out, "%-9s  %s", view_key_name(f->key, key), rmp_state_name(f->state));
    if (f->asid)
        fprintf(out, " of asid%u", f->asid);
}

static void print_owners(const struct owners *o, FILE *out)
{
    fprintf(out, "     frames  view       RMP\n");
    for (u32 i = 0; i < o->count; i++) {
        fprintf(out, "  %c %7" PRIu64 "  ", o->all[i].letter, o->all[i].frames);
        if (i == OWNERS_MAX)
            fputs("all others", out);
        else
            print_kind(&o->all[i].frame, out);
        fputc('\n', out);
    }
}

/* Returns the letter of most frames in a range. */
static char letter_of(const struct view_map *m, struct owners *o, u64 first, u64 count)
{
    u64 seen[OWNERS_MAX + 1] = {0};
    u32 best = 0;
    for (u64 i = first; i < first + count && i < m->frames; i++) {
        const struct view_frame f = view_map_frame(m, i);
        const u32 kind = (u32)(find_owner(o, &f) - o->all);
        if (++seen[kind] > seen[best])
            best = kind;
    }
    return o->all[best].letter;
}

static void print_picture(const struct view_map *m, struct owners *o, FILE *out)
{
    u64 cell = 1;
    while (cell * COLUMNS * ROWS_MAX < m->frames)
        cell *= 2;
    fprintf(out, "\neach character: %" PRIu64 " KiB, by most of its frames\n", cell * 4);
    for (u64 first = 0; first < m->frames; first += cell * COLUMNS) {
        fprintf(out, "%12" PRIx64 "  ", first << PAGE_SHIFT);
        for (u32 i = 0; i < COLUMNS && first + i * cell < m->frames; i++)
            fputc(letter_of(m, o, first + i * cell, cell), out);
        fputc('\n', out);
    }
}

static void print_runs(const struct view_map *m, FILE *out)
{
    fprintf(out, "\n       from          to    frames  view       RMP\n");
    for (struct view_run run = {.first = 0}; view_map_next(m, &run);) {
        fprintf(out, "%11" PRIx64 " %11" PRIx64 " %9" PRIu64 "  ", run.first << PAGE_SHIFT,
                ((run.first + run.count) << PAGE_SHIFT) - 1, run.count);
        print_kind(&run.frame, out);
        fputc('\n', out);
    }
}

void map_print_text(const struct view_map *m, bool runs, FILE *out)
{
    struct owners o;
    count_owners(m, &o);
    fprintf(out, "memory: %" PRIu64 " frames of 4 KiB, %" PRIu64 " MiB\n", m->frames,
            m->frames >> (20 - PAGE_SHIFT));
    print_owners(&o, out);
    print_picture(m, &o, out);
    if (runs)
        print_runs(m, out);
}

json_t *map_json(const struct view_map *m)
{
    char key[16];
    json_t *runs = json_array();
    for (struct view_run run = {.first = 0}; view_map_next(m, &run);)
        json_array_append_new(
            runs,
            json_pack("{s:I, s:I, s:s, s:s, s:i}", "spa", (json_int_t)(run.first << PAGE_SHIFT),
                      "frames", (json_int_t)run.count, "view", view_key_name(run.frame.key, key),
                      "rmp", rmp_state_name(run.frame.state), "asid", (int)run.frame.asid));
    return json_pack("{s:I, s:o}", "frames", (json_int_t)m->frames, "runs", runs);
}
