/* SPDX-License-Identifier: Apache-2.0 */
/* softsev trace: the totals of a recorded trace. */
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/view/trace_file.h"
#include "view/summary.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

enum trace_action { TRACE_SUMMARY };
enum trace_option { TRACE_JSON = 1 };

// clang-format off
static const struct option_action actions[] = {
    [TRACE_SUMMARY] = {"summary", "count events, world switches, commands, page states",
        .man = "Prints counts and machine times of the trace in\n.Ar file :\n"
        "by event, VM, firmware command, exit code, #VC, request of a guest, page state and view, "
        "and the owner's decisions.\n.Dq spent\n"
        "of an exit is the machine time since the last exit of its core: the hypervisor's work, "
        "then the guest's.\nLines that are no events are counted, and the first is named.",
        .operands = 1, .operand = "FILE"},
};

static const struct option_row rows[] = {
    [TRACE_JSON] = {"json", OPTION_FLAG, NULL, "print one JSON object",
        .man = "Print one JSON object: an array for each table, whose rows have\n"
        ".Cm label , count , refused , pages , first_ns , last_ns\nand\n.Cm spent_ns ."},
};
// clang-format on

const struct option_table cli_trace_table = {
    .command = "trace",
    .title = "print the totals of a recorded trace",
    .usage = "softsev trace summary FILE [--json]",
    .about = "Reads a trace that `softsev run --trace all --trace-file FILE` wrote, as text\n"
             "or JSON lines, and counts what happened.",
    .rows = rows,
    .count = ARRAY_SIZE(rows),
    .actions = actions,
    .action_count = ARRAY_SIZE(actions),
};

/* --- Text ------------------------------------------------------------------------------------- */

static const char *const titles[VIEW_SECTIONS] = {
    [VIEW_EVENTS] = "events",
    [VIEW_COMMANDS] = "firmware commands",
    [VIEW_VMS] = "events of each VM",
    [VIEW_EXITS] = "world switches: exits",
    [VIEW_VCS] = "#VC in guests",
    [VIEW_REQUESTS] = "requests of guests: VMGEXIT",
    [VIEW_PAGES] = "page states",
    [VIEW_FLIPS] = "views of frames",
    [VIEW_OWNER] = "the owner's decisions",
};

/* Which columns have anything but zeros. */
struct columns {
    bool refused, pages, spent;
};

static struct columns columns_of(const struct view_table *t)
{
    struct columns c = {.refused = false};
    for (u32 i = 0; i < t->count; i++) {
        c.refused |= t->rows[i].refused;
        c.pages |= t->rows[i].pages != 0 && t->rows[i].pages != t->rows[i].count;
        c.spent |= t->rows[i].spent_ns;
    }
    return c;
}

static void print_row(const struct view_row *row, struct columns c)
{
    printf("  %-38s %9" PRIu64, row->label, row->count);
    if (c.refused)
        printf(" %8" PRIu64, row->refused);
    if (c.pages)
        printf(" %9" PRIu64, row->pages);
    printf(" %12.6f %12.6f", (double)row->first_ns / 1e9, (double)row->last_ns / 1e9);
    if (c.spent)
        printf(" %12.6f", (double)row->spent_ns / 1e9);
    printf("\n");
}

static void print_table(const struct view_table *t, const char *title)
{
    const struct columns c = columns_of(t);
    if (!t->count)
        return;
    printf("\n%-40s %9s%s%s %12s %12s%s\n", title, "count", c.refused ? "  refused" : "",
           c.pages ? "     pages" : "", "first s", "last s", c.spent ? "      spent s" : "");
    for (u32 i = 0; i < t->count; i++)
        print_row(&t->rows[i], c);
}

static void print_owner(const struct view_table *t)
{
    if (t->count)
        printf("\n%s\n", titles[VIEW_OWNER]);
    for (u32 i = 0; i < t->count; i++)
        printf("  %12.6f  %s\n", (double)t->rows[i].first_ns / 1e9, t->rows[i].label);
}

static void print_text(const struct view_summary *s)
{
    printf("%" PRIu64 " events in %" PRIu64 " lines, machine time %.6f s to %.6f s\n", s->events,
           s->lines, (double)s->first_ns / 1e9, (double)s->last_ns / 1e9);
    if (s->strange)
        printf("%" PRIu64 " lines are no events; the first is line %" PRIu64 "\n", s->strange,
               s->strange_line);
    for (u32 i = 0; i < VIEW_OWNER; i++)
        print_table(&s->tables[i], titles[i]);
    print_owner(&s->tables[VIEW_OWNER]);
}

/* --- JSON ------------------------------------------------------------------------------------- */

static json_t *row_json(const struct view_row *row)
{
    return json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I}", "label", cli_json_text(row->label),
                     "count", (json_int_t)row->count, "refused", (json_int_t)row->refused, "pages",
                     (json_int_t)row->pages, "first_ns", (json_int_t)row->first_ns, "last_ns",
                     (json_int_t)row->last_ns, "spent_ns", (json_int_t)row->spent_ns);
}

static int print_json(const struct view_summary *s, struct error *e)
{
    json_t *all = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "events_total", (json_int_t)s->events,
                            "lines", (json_int_t)s->lines, "strange_lines", (json_int_t)s->strange,
                            "first_strange_line", (json_int_t)s->strange_line, "first_ns",
                            (json_int_t)s->first_ns, "last_ns", (json_int_t)s->last_ns);
    for (u32 i = 0; i < VIEW_SECTIONS; i++) {
        json_t *rows_json = json_array();
        for (u32 k = 0; k < s->tables[i].count; k++)
            json_array_append_new(rows_json, row_json(&s->tables[i].rows[k]));
        json_object_set_new(all, view_section_names[i], rows_json);
    }
    return cli_tell_json(all, e);
}

/* --- The command ------------------------------------------------------------------------------ */

static bool take_line(void *summary, const char *text, size_t size)
{
    view_summary_line(summary, text, size);
    return true;
}

static int summarise(const char *path, bool json, struct error *e)
{
    struct view_summary *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(e, ERROR_MEMORY, "out of memory");
    int result = trace_file_read(path, take_line, s, e);
    if (!result && !s->events)
        result = trace_file_no_events(path, e);
    if (!result) {
        view_summary_sort(s);
        if (json)
            result = print_json(s, e);
        else
            print_text(s);
    }
    free(s);
    return result;
}

int cli_trace(int argc, char **argv)
{
    struct error e = {.code = ERROR_NONE};
    struct options given;
    int status;
    if (!options_open(&cli_trace_table, argc, argv, &given, &status))
        return status;
    if (given.operand_count != 1)
        error_set(&e, ERROR_USAGE, "summary takes one file: softsev trace summary FILE");
    else
        summarise(given.operands[0], given.text[TRACE_JSON], &e);
    return e.code ? cli_fail("trace", &e) : ERROR_NONE;
}
