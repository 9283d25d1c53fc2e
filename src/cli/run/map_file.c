/* SPDX-License-Identifier: Apache-2.0 */
/* --map: who holds each frame when a run has ended, read from the machine itself. */
#include "cli/run/picture.h"

#include "cli/view/trace_file.h"
#include "files/files.h"
#include "machine/debug.h"
#include "machine/machine.h"
#include "memory/frame.h"
#include "memory/rmp.h"
#include "view/map.h"

#include <jansson.h>

_Static_assert(KEY_RAW == VIEW_KEY_RAW && KEY_GONE == VIEW_KEY_GONE &&
                   KEY_FIRMWARE == VIEW_KEY_CHIP,
               "a frame's view is the map's key");

/* Makes the map. Returns false if there is no memory for it. */
static bool look(struct machine *m, struct view_map *map)
{
    struct rmp_entry entry;
    if (!view_map_size(map, memory_size(machine_memory(m))))
        return false;
    for (u64 frame = 0; frame < map->frames; frame++) {
        const u64 spa = frame << PAGE_SHIFT;
        view_map_set_key(map, frame, 1, debug_frame_key(m, spa));
        if (debug_rmp(m, spa, &entry))
            view_map_set_rmp(map, frame, 1, rmp_entry_state(&entry), entry.asid);
    }
    return !map->out_of_memory;
}

int map_file_write(FILE *f, const char *path, struct machine *m, bool json, struct error *e)
{
    static struct view_map map;
    view_map_init(&map);
    const bool looked = look(m, &map);
    if (looked && json) {
        json_t *j = map_json(&map);
        json_dumpf(j, f, JSON_COMPACT);
        fputc('\n', f);
        json_decref(j);
    } else if (looked) {
        map_print_text(&map, true, f);
    }
    view_map_free(&map);
    if (!looked)
        error_set(e, ERROR_MEMORY, "out of memory for the map");
    return file_close(f, path, e) && looked ? 0 : -1;
}
