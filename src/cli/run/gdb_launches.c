/* SPDX-License-Identifier: Apache-2.0 */
/* Logs the firmware commands that launch guests, in order and numbered, from a machine's events. A
 * command that is repeated with the same status is one line. */
#include "cli/run/gdb_session.h"

#include "base/trace.h"
#include "view/event.h"

#include <inttypes.h>
#include <stdlib.h>

#define LAUNCHES_MAX 256u
#define TEXT_SHOWN   160u

struct launch_step {
    struct view_event first;
    u64 count;
};

struct launch_log {
    struct trace_sink sink;
    u32 count;
    u64 lost; /* commands for which there was no room */
    struct launch_step steps[LAUNCHES_MAX];
};

static bool begins_with(const char *text, const char *with)
{
    return !strncmp(text, with, strlen(with));
}

static bool launches(const char *name)
{
    static const char *const beginnings[] = {"INIT",        "LAUNCH_", "ACTIVATE",    "RECEIVE_",
                                             "GCTX_CREATE", "SEND_",   "DECOMMISSION"};
    if (begins_with(name, "SNP_"))
        name += 4;
    for (size_t i = 0; i < ARRAY_SIZE(beginnings); i++)
        if (begins_with(name, beginnings[i]))
            return true;
    return false;
}

static bool repeats(const struct launch_step *s, const struct view_event *e)
{
    char status[VIEW_VALUE_MAX];
    return !strcmp(s->first.name, e->name) && view_value(e, "status", status) &&
           view_is(&s->first, "status", status);
}

static void on_event(void *log, const struct trace_event *event)
{
    struct launch_log *l = log;
    struct view_event e;
    if (event->category != TRACE_COMMAND || !launches(event->name))
        return;
    view_take_event(event, &e);
    if (l->count && repeats(&l->steps[l->count - 1], &e))
        l->steps[l->count - 1].count++;
    else if (l->count < LAUNCHES_MAX)
        l->steps[l->count++] = (struct launch_step){e, 1};
    else
        l->lost++;
}

struct launch_log *launch_log_create(struct trace *trace)
{
    struct launch_log *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->sink = (struct trace_sink){.event = on_event, .context = l};
    trace_add_sink(trace, &l->sink);
    return l;
}

void launch_log_free(struct launch_log *l)
{
    free(l);
}

void launch_log_print(const struct launch_log *l, struct gdb *gdb)
{
    for (u32 i = 0; i < l->count; i++) {
        const struct view_event *e = &l->steps[i].first;
        const char *section = view_section(e);
        const u64 s = e->time_ns / CLOCK_HZ, ns = e->time_ns % CLOCK_HZ;
        gdb_print(gdb, "%3u %" PRIu64 ".%09" PRIu64 " s %s %s", i + 1, s, ns, e->name,
                  section ? section : "");
        if (l->steps[i].count > 1)
            gdb_print(gdb, ", %" PRIu64 " times", l->steps[i].count);
        gdb_print(gdb, ": %.*s\n", (int)TEXT_SHOWN, e->text);
    }
    if (!l->count)
        gdb_print(gdb, "no command was given yet\n");
    if (l->lost)
        gdb_print(gdb, "... and %" PRIu64 " later ones\n", l->lost);
}
