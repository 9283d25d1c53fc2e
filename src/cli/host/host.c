/* SPDX-License-Identifier: Apache-2.0 */
/* `softsev host`: makes a machine, boots a kernel in its host mode, runs it, and prints a
 * summary. */
#include "cli/cli.h"
#include "cli/host/host.h"

#include "base/clock.h"
#include "crypto/crypto.h"
#include "files/files.h"

#include <stdlib.h>

static void progress(const char *what)
{
    fprintf(stderr, "softsev host: %s\n", what);
}

/* --- The machine ------------------------------------------------------------------------------ */

static int open_map(struct host_run *r, struct error *e)
{
    r->map = r->options.map ? file_create(r->options.map, false, e) : NULL;
    return r->options.map && !r->map ? -1 : 0;
}

static void tell_of_view(void *context, const char *text)
{
    host_step(context, "view", "%s", text);
}

static int open_view(struct host_run *r, struct error *e)
{
    if (r->options.view)
        r->view = live_view_open(r->options.view, tell_of_view, r, e);
    return r->options.view && !r->view ? -1 : 0;
}

static int open_files(struct host_run *r, struct error *e)
{
    const struct host_options *o = &r->options;
    return cli_read_image(o->kernel, o->memory, &r->kernel, e) ||
                   cli_read_image(o->initrd, o->memory, &r->initrd, e) || host_devices_open(r, e) ||
                   run_trace_open(&r->tracing, e) || open_map(r, e) || host_gdb_open(r, e) ||
                   open_view(r, e)
               ? -1
               : 0;
}

/* Restarts the stream of random numbers; a second power-on of the machine draws the same ones. */
static int restart_stream(struct host_run *r, const char *label, struct error *e)
{
    u8 seed[32];
    const char *text = r->options.seed;
    if (text)
        crypto_sev_kdf(text, strlen(text), label, NULL, 0, seed, sizeof seed);
    if (!r->crypto)
        r->crypto = crypto_create(text ? seed : NULL, sizeof seed);
    else if (text)
        crypto_reseed(r->crypto, seed, sizeof seed);
    return r->crypto ? 0 : error_set(e, ERROR_INTERNAL, "OpenSSL cannot be used");
}

static int open_platform(struct host_run *r, struct error *e)
{
    const struct host_options *o = &r->options;
    const struct cli_platform_request request = {.state = o->state,
                                                 .seed = o->seed,
                                                 .profile = o->profile,
                                                 .cpu_text = o->cpu_text,
                                                 .cpu = &o->cpu,
                                                 .progress = progress};
    return restart_stream(r, "softsev-platform", e) ||
                   cli_platform_open(&request, r->crypto, &r->platform, e)
               ? -1
               : 0;
}

static int make_machine(struct host_run *r, struct error *e)
{
    const struct host_options *o = &r->options;
    struct machine_config config = {
        .memory_size = o->memory,
        .cores = o->cpus,
        .cpu = o->cpu_text ? &o->cpu : NULL,
        .trace_categories =
            r->tracing.hashes || o->view ? ~0u : o->trace | (o->gdb ? 1u << TRACE_COMMAND : 0),
        .engine = o->engine,
        .crypto = r->crypto,
    };
    if (restart_stream(r, "softsev-machine", e))
        return -1;
    cli_platform_configure(&r->platform, &config);
    r->machine = machine_create(&config, e);
    crypto_wipe(config.fuses, sizeof config.fuses);
    if (!r->machine)
        return -1;
    if (run_check_engine(o->engine, machine_engine(r->machine), e))
        return -1;
    run_trace_start(&r->tracing, machine_trace(r->machine));
    if (r->view)
        live_view_start(r->view, r->machine);
    if (host_gdb_machine(r, e))
        return -1;
    machine_trace_begin(r->machine);
    return 0;
}

static struct image_file image_file(const struct cli_file *f)
{
    return (struct image_file){f->name, f->data, f->size};
}

static int boot(struct host_run *r, struct error *e)
{
    const struct host_options *o = &r->options;
    struct bare_config config = {
        .machine = r->machine,
        .image = {.kernel = image_file(&r->kernel),
                  .initrd = image_file(&r->initrd),
                  .command_line = o->append},
        .rtc_seconds = (u64)o->time_seconds,
        .testdev = o->testdev,
        .console = {host_console_output, r},
    };
    host_devices_connect(r, &config);
    r->bare = bare_create(&config, e);
    if (!r->bare)
        return -1;
    host_clock_watch(r);
    return 0;
}

static void end_machine(struct host_run *r)
{
    if (r->machine)
        machine_trace_end(r->machine);
    live_view_no_machine(r->view);
    bare_destroy(r->bare);
    machine_destroy(r->machine);
    r->bare = NULL;
    r->machine = NULL;
}

/* Boots again after a reset: makes a new machine with the same chip, at a later time. */
static int reboot(struct host_run *r, struct error *e)
{
    const u64 now = host_time_ns(machine_host(r->machine));
    end_machine(r);
    if (make_machine(r, e))
        return -1;
    host_idle_until(machine_host(r->machine), now + COST_RESET_NS);
    r->reboots++;
    if (boot(r, e))
        return -1;
    host_gdb_again(r);
    return 0;
}

/* --- Running ---------------------------------------------------------------------------------- */

static bool resets(const struct host_run *r)
{
    struct bare_summary s;
    bare_get_summary(r->bare, &s);
    return s.state == BARE_RESET && !r->options.no_reboot && !*r->panic.text && !r->quit;
}

static int run_host(struct host_run *r, struct error *e)
{
    const u64 limit = r->options.limit_given ? r->options.limit_ns : UINT64_MAX;
    bool alive = true;
    int result = 0;
    if (host_gdb_start(r, e))
        return -1;
    r->began_ns = run_clock_ns();
    r->terminal = run_terminal_open();
    host_clock_start(r);
    while (!result && alive && !r->quit && host_time_ns(machine_host(r->machine)) < limit) {
        alive = host_slice(r, limit);
        if (!alive && resets(r)) {
            result = reboot(r, e);
            alive = true;
        }
    }
    run_terminal_close(r->terminal);
    r->terminal = NULL;
    r->wall_ns = run_clock_ns() - r->began_ns;
    run_panic_line_ends(&r->panic);
    return result;
}

static int result_of_host(const struct host_run *r, struct error *e)
{
    struct bare_summary s;
    bare_get_summary(r->bare, &s);
    if (r->expected || run_signals_status())
        return 0;
    if (r->options.expect && !r->quit)
        return error_set(e, ERROR_GUEST, "no console line had what --expect waits for: \"%.80s\"",
                         r->options.expect);
    if (*r->panic.text && s.state != BARE_POWERED_OFF && s.state != BARE_DEBUG_EXIT)
        return error_set(e, ERROR_PANIC, "the host's kernel panicked: %s", r->panic.text);
    if (s.state == BARE_CRASHED || s.shutdown)
        return error_set(e, ERROR_GUEST, "%s", s.reason);
    if (s.state == BARE_RUNNING && !r->quit)
        return error_set(e, ERROR_GUEST, "the host is still running after --limit");
    return 0;
}

static int write_map(struct host_run *r, struct error *e)
{
    FILE *f = r->map;
    r->map = NULL;
    return f ? map_file_write(f, r->options.map, r->machine, r->options.json, e) : 0;
}

static int run_all(struct host_run *r, struct error *e)
{
    if (open_files(r, e) || open_platform(r, e) || make_machine(r, e) || boot(r, e))
        return -1;
    const struct firmware_profile *p = r->platform.on.profile;
    host_step(r, "board", "%u core%s of a %s, %llu MiB; firmware %s", r->options.cpus,
              r->options.cpus == 1 ? "" : "s", p->product,
              (unsigned long long)(r->options.memory >> 20), p->name);
    if (run_host(r, e))
        return -1;
    host_summarise(r);
    live_view_end(r->view, r->options.view_keep);
    return write_map(r, e) ? -1 : result_of_host(r, e);
}

static int exit_status(const struct host_run *r)
{
    struct bare_summary s;
    if (!r->bare)
        return ERROR_NONE;
    bare_get_summary(r->bare, &s);
    return s.state == BARE_DEBUG_EXIT ? run_debug_exit_status(s.debug_exit_code) : ERROR_NONE;
}

static int close_all(struct host_run *r, struct error *e)
{
    end_machine(r);
    live_view_close(r->view);
    if (r->map) /* the run has ended before there was anything to write */
        fclose(r->map);
    bool good = !run_trace_close(&r->tracing, e);
    good = !host_devices_close(r, e) && good;
    good = !run_output_close("host", e) && good;
    cli_platform_close(&r->platform);
    crypto_destroy(r->crypto);
    cli_free_file(&r->kernel);
    cli_free_file(&r->initrd);
    return good ? 0 : -1;
}

int cli_host(int argc, char **argv)
{
    struct error e = {.code = ERROR_NONE};
    struct options given;
    int status;
    if (!options_open(&cli_host_table, argc, argv, &given, &status))
        return status;
    struct host_run *r = calloc(1, sizeof *r);
    if (!r)
        cli_end_without_memory();
    int result = host_parse(&given, &r->options, &e);
    if (!result) {
        r->tracing = (struct run_trace){.path = given.text[HOST_TRACE_FILE],
                                        .categories = r->options.trace,
                                        .json = r->options.json,
                                        .hashes = given.text[HOST_TRACE_HASH]};
        run_signals_start();
        result = run_all(r, &e);
    }
    status = exit_status(r);
    if (close_all(r, &e))
        result = -1;
    if (result)
        status = cli_fail("host", &e);
    host_gdb_close(r, run_signals_status() ? run_signals_status() : status);
    host_free_options(&r->options);
    free(r);
    return run_signals_status() ? run_signals_status() : status;
}
