/* SPDX-License-Identifier: Apache-2.0 */
/* A recorded trace: read, counted, and made into a map of memory. */
#include "view/map.h"
#include "view/summary.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void take_line(struct view_map *map, struct view_summary *s, const char *line, size_t size)
{
    struct view_event e;
    view_summary_line(s, line, size);
    if (!view_read_line(line, size, &e))
        return;
    if (strlen(e.text) >= sizeof e.text || strlen(e.name) >= sizeof e.name)
        abort();
    view_section(&e);
    view_map_event(map, &e);
}

static void check(const struct view_map *map, const struct view_summary *s)
{
    u64 frames = 0, rows = 0;
    for (struct view_run run = {.first = 0}; view_map_next(map, &run);)
        frames += run.count;
    for (u32 i = 0; i < s->tables[VIEW_EVENTS].count; i++)
        rows += s->tables[VIEW_EVENTS].rows[i].count;
    if (frames != map->frames || rows != s->events || s->events + s->strange != s->lines)
        abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static struct view_map map;
    static struct view_summary s;
    memset(&s, 0, sizeof s);
    view_map_init(&map);
    for (size_t at = 0; at < size;) {
        const u8 *end = memchr(data + at, '\n', size - at);
        const size_t part = end ? (size_t)(end - data) - at : size - at;
        take_line(&map, &s, (const char *)data + at, part);
        at += part + 1;
    }
    view_summary_sort(&s);
    check(&map, &s);
    view_map_free(&map);
    return 0;
}
