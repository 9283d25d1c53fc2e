/* SPDX-License-Identifier: Apache-2.0 */
/* softsev view: a recorded trace as a page, served or as one file. */
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/view/trace_file.h"
#include "cli/view/view_server.h"
#include "files/files.h"

enum view_option { VIEW_LISTEN = 1, VIEW_EXPORT };

#define LISTEN_AT "127.0.0.1:8080"

// clang-format off
static const struct option_row rows[] = {
    [VIEW_LISTEN] = {"listen", OPTION_TEXT, "ADDRESS:PORT",
        "where to serve (default " LISTEN_AT "; port 0: any free)",
        .man = "Where to serve the page: an address of the loopback; port 0 is any free one.\n"
        "Default " LISTEN_AT "."},
    [VIEW_EXPORT] = {"export", OPTION_FILE, "FILE",
        "write one HTML file that needs no server, and end",
        .man = "Write the page with all events as one HTML file, which needs no server and no "
        "network, and end.", .output = true, .excludes = OPTION_IDS(VIEW_LISTEN)},
};
// clang-format on

const struct option_table cli_view_table = {
    .command = "view",
    .title = "show a recorded trace as a picture in a browser",
    .usage = "softsev view TRACE [--listen ADDRESS:PORT | --export FILE]",
    .about = "Serves a page that shows memory, keys, guests, firmware and owner at each event\n"
             "of TRACE, a file of `softsev run --trace all --trace-file`. Its first line says\n"
             "where. SIGTERM and SIGINT end it. `softsev run --view` shows a run as it goes.",
    .rows = rows,
    .count = ARRAY_SIZE(rows),
    .operands = 1,
};

static bool take_line(void *record, const char *text, size_t size)
{
    struct view_event e;
    if (view_read_line(text, size, &e))
        view_record_add(record, &e);
    return true;
}

static int export(const struct view_record *r, const char *path, struct error *e)
{
    FILE *out = file_create(path, false, e);
    if (!out)
        return -1;
    view_export(r, out);
    return file_close(out, path, e) ? 0 : -1;
}

/* Serves until a signal ends it. */
static int serve(struct view_server *s, const char *listen, struct error *e)
{
    char url[120];
    cli_hold_ends();
    if (view_server_start(s, listen, e))
        return -1;
    view_server_url(s, listen, url, sizeof url);
    printf("shows the trace at %s\n", url);
    const bool good = file_flush(stdout, "standard output", e);
    if (good)
        cli_wait_for_end();
    view_server_stop(s);
    return good ? 0 : -1;
}

static int show(struct view_server *s, const struct options *o, struct error *e)
{
    if (trace_file_read(o->operands[0], take_line, &s->record, e))
        return -1;
    if (!s->record.count)
        return s->record.lost ? error_set(e, ERROR_MEMORY, "out of memory")
                              : trace_file_no_events(o->operands[0], e);
    if (s->record.lost)
        fprintf(stderr, "softsev view: the last %llu events are left out: there is no room\n",
                (unsigned long long)s->record.lost);
    return o->text[VIEW_EXPORT]
               ? export(&s->record, o->text[VIEW_EXPORT], e)
               : serve(s, o->text[VIEW_LISTEN] ? o->text[VIEW_LISTEN] : LISTEN_AT, e);
}

int cli_view(int argc, char **argv)
{
    static struct view_server s;
    struct error e = {.code = ERROR_NONE};
    struct options given;
    int status;
    if (!options_open(&cli_view_table, argc, argv, &given, &status))
        return status;
    view_record_init(&s.record);
    if (given.operand_count != 1)
        error_set(&e, ERROR_USAGE, "expected one file: softsev view TRACE");
    else
        show(&s, &given, &e);
    view_record_free(&s.record);
    return e.code ? cli_fail("view", &e) : ERROR_NONE;
}
