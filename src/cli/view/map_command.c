/* SPDX-License-Identifier: Apache-2.0 */
/* softsev map: who holds each frame of memory, at the end of a recorded trace or at a given
 * time. */
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/view/trace_file.h"

#include <jansson.h>

enum map_option { MAP_AT = 1, MAP_RUNS, MAP_JSON };

// clang-format off
static const struct option_row rows[] = {
    [MAP_AT] = {"at", OPTION_NUMBER, "NS",
        "as it was at this machine time, in nanoseconds (default:\nwhen the run ended)",
        .man = "Show memory as it was at this machine time, in nanoseconds.\n"
        "Default: when the run ended, before the memory of its guests was given back.",
        .max = UINT64_MAX},
    [MAP_RUNS] = {"runs", OPTION_FLAG, NULL, "also list each range of frames that are alike",
        "Also list each range of frames that are alike.", .excludes = OPTION_IDS(MAP_JSON)},
    [MAP_JSON] = {"json", OPTION_FLAG, NULL, "print one JSON object with all ranges",
        .man = "Print one JSON object:\n.Cm frames\nand the array\n.Cm runs ,\n"
        "each with\n.Cm spa , frames , view , rmp\nand\n.Cm asid ."},
};
// clang-format on

const struct option_table cli_map_table = {
    .command = "map",
    .title = "show who holds each frame of memory, from a recorded trace",
    .usage = "softsev map TRACE [OPTIONS]",
    .about = "Prints memory as a map of frames: under whose key each is held, and what the\n"
             "RMP says of it. TRACE is the file of `softsev run --trace all --trace-file`.\n"
             "`softsev run --map FILE` writes the same out of the machine itself.",
    .rows = rows,
    .count = ARRAY_SIZE(rows),
    .operands = 1,
};

struct reading {
    struct view_map map;
    u64 until_ns, events;
    bool until_end; /* of the run, before the guests' memory was given back */
};

static bool take_line(void *reading, const char *text, size_t size)
{
    struct reading *r = reading;
    struct view_event e;
    if (!view_read_line(text, size, &e))
        return true;
    if (e.time_ns > r->until_ns || (r->until_end && !strcmp(e.name, "MACHINE_ENDS")))
        return false;
    r->events++;
    view_map_event(&r->map, &e);
    return true;
}

static int read_map(const char *path, struct reading *r, struct error *e)
{
    if (trace_file_read(path, take_line, r, e))
        return -1;
    if (r->map.out_of_memory)
        return error_set(e, ERROR_MEMORY, "out of memory");
    if (!r->events)
        return trace_file_no_events(path, e);
    if (!r->map.frames)
        return error_set(e, ERROR_FILE,
                         "%s: no event says how large memory is; expected a trace with the "
                         "categories vm, view, key and page, as --trace all has",
                         path);
    return 0;
}

int cli_map(int argc, char **argv)
{
    static struct reading r;
    struct error e = {.code = ERROR_NONE};
    struct options given;
    int status;
    if (!options_open(&cli_map_table, argc, argv, &given, &status))
        return status;
    view_map_init(&r.map);
    r.until_end = !given.text[MAP_AT];
    r.until_ns = options_number(&given, MAP_AT, UINT64_MAX);
    if (given.operand_count != 1)
        error_set(&e, ERROR_USAGE, "expected one file: softsev map TRACE");
    else if (!read_map(given.operands[0], &r, &e)) {
        if (given.text[MAP_JSON])
            cli_tell_json(map_json(&r.map), &e);
        else
            map_print_text(&r.map, given.text[MAP_RUNS], stdout);
    }
    view_map_free(&r.map);
    return e.code ? cli_fail("map", &e) : ERROR_NONE;
}
