/* SPDX-License-Identifier: Apache-2.0 */
/* What the program tells a person, or a program as JSON lines: steps, the console, the summary. */
#include "cli/cli.h"
#include "cli/host/host.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>

static void end_line(struct host_run *r)
{
    if (r->line_open)
        fputs("\n", stdout);
    r->line_open = false;
}

void host_step(struct host_run *r, const char *who, const char *format, ...)
{
    char text[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (r->options.quiet && !r->options.json)
        return;
    if (!r->options.json)
        end_line(r);
    run_print_step(r->options.json, who, text);
}

/* --- The console ------------------------------------------------------------------------------ */

/* Ends the run when the line has what --expect waits for. */
static void watch_for_text(struct host_run *r, const u8 *data, u64 size)
{
    for (u64 i = 0; r->options.expect && !r->expected && i < size; i++) {
        const bool ends = data[i] == '\r' || data[i] == '\n';
        if (!ends && r->line_size < sizeof r->line - 1 && data[i])
            r->line[r->line_size++] = (char)data[i];
        r->line[r->line_size] = 0;
        if (ends)
            r->line_size = 0;
        else if (strstr(r->line, r->options.expect))
            r->expected = r->quit = true;
    }
    if (r->expected)
        bare_end_turn(r->bare);
}

void host_console_output(void *context, const u8 *data, u64 size)
{
    struct host_run *r = context;
    run_panic_watch(&r->panic, data, size);
    watch_for_text(r, data, size);
    if (r->devices.serial) {
        run_serial_send(r->devices.serial, data, size);
        return;
    }
    if (!r->options.json) {
        fwrite(data, 1, size, stdout);
        r->line_open = size && data[size - 1] != '\n';
        fflush(stdout);
        return;
    }
    run_print_console("host", data, size);
}

/* --- The summary ------------------------------------------------------------------------------ */

static const char *const state_names[] = {
    [BARE_RUNNING] = "stopped while running",
    [BARE_POWERED_OFF] = "powered off",
    [BARE_RESET] = "reset",
    [BARE_DEBUG_EXIT] = "debug exit",
    [BARE_CRASHED] = "crashed",
};

static void summarise_text(struct host_run *r, const struct bare_summary *s, const char *hash)
{
    const struct machine_statistics m = machine_statistics(r->machine);
    const u64 ns = r->wall_ns ? r->wall_ns : 1;
    end_line(r);
    printf("\nhost: %s%s%s\n", state_names[s->state], *s->reason ? ": " : "", s->reason);
    if (r->reboots)
        printf("  reboots       %" PRIu32 "; what follows is since the last\n", r->reboots);
    printf("  busy          %.3f s of %.3f s of machine time\n", (double)s->busy_ns / 1e9,
           (double)host_time_ns(machine_host(r->machine)) / 1e9);
    printf("  devices       %" PRIu64 " port accesses, %" PRIu64 " memory accesses, %" PRIu64
           " interrupts\n",
           s->port_accesses, s->memory_accesses, s->interrupts);
    printf("machine: %" PRIu64 " instructions (%.0f million a second), %" PRIu64
           " pages touched, %" PRIu64 " view flips, %" PRIu64 " exceptions\n",
           m.cpu.instructions, (double)m.cpu.instructions * 1e3 / (double)ns,
           m.memory.frames_touched, m.memory.flips, m.cpu.exceptions);
    printf("  engine        %s, %" PRIu64 " blocks decoded, %" PRIu64 " translated\n",
           run_engine_name(machine_engine(r->machine)), m.cpu.blocks_decoded,
           m.cpu.blocks_translated);
    if (*hash)
        printf("  trace         sha256 %s\n", hash);
}

static void summarise_json(struct host_run *r, const struct bare_summary *s, const char *hash)
{
    const struct machine_statistics m = machine_statistics(r->machine);
    run_print_json(json_pack(
        "{s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:s}", "event",
        "summary", "state", state_names[s->state], "reason", cli_json_text(s->reason),
        "debug_exit_code", (json_int_t)s->debug_exit_code, "reboots", (json_int_t)r->reboots,
        "busy_ns", (json_int_t)s->busy_ns, "port_accesses", (json_int_t)s->port_accesses,
        "memory_accesses", (json_int_t)s->memory_accesses, "instructions",
        (json_int_t)m.cpu.instructions, "engine", run_engine_name(machine_engine(r->machine)),
        "flips", (json_int_t)m.memory.flips, "touched_pages", (json_int_t)m.memory.frames_touched,
        "wall_ns", (json_int_t)r->wall_ns, "trace_sha256", hash));
}

void host_summarise(struct host_run *r)
{
    struct bare_summary s;
    char hash[65];
    bare_get_summary(r->bare, &s);
    run_trace_hash(&r->tracing, hash);
    if (r->options.json)
        summarise_json(r, &s, hash);
    else if (!r->options.quiet)
        summarise_text(r, &s, hash);
}
