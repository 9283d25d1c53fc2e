/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softsev with: runs a program so that it finds the platform's device files. The machine is on as
 * long as the program runs, and what must last is in the state directory.
 */
#include "cli/with/with.h"
#include "cli/identity/profile.h"
#include "cli/log.h"
#include "cli/with/with_table.h"
#include "files/files.h"

#include <errno.h>
#include <stdlib.h>

#define WITH_MEMORY MIB(32) /* the RMP, the firmware's TMR, command buffers */
#define CANNOT_RUN  127     /* as of a shell: the program is not there */

/* --- The machine ------------------------------------------------------------------------------ */

static void progress(const char *what)
{
    fprintf(stderr, "softsev with: %s\n", what);
}

static void trace_print(void *context, const struct trace_event *event)
{
    struct with *w = context;
    char line[1200];
    size_t size = w->json ? trace_format_json(line, sizeof line, event)
                          : trace_format_text(line, sizeof line, event);
    /* A reader who has stopped must not keep a signal from ending the program. From then on its
     * trace is not complete, and none is written. */
    w->trace_ended = w->trace_ended || !cli_log_wait(fileno(w->trace_out), &w->signalled);
    if (w->trace_ended)
        return;
    fwrite(line, 1, size, w->trace_out);
    fflush(w->trace_out);
}

static int open_trace(struct with *w, struct error *e)
{
    w->trace_out = w->trace_file ? file_create(w->trace_file, false, e) : stderr;
    if (!w->trace_out)
        return -1;
    w->sink = (struct trace_sink){.event = trace_print, .context = w};
    return 0;
}

static int open_platform(struct with *w, struct error *e)
{
    struct state_request request = {
        .directory = w->directory, .seed = w->seed, .progress = progress};
    if (w->profile_name && cli_profile_find(w->profile_name, &request.profile, e))
        return -1;
    w->crypto = crypto_create(w->seed, w->seed ? strlen(w->seed) : 0);
    if (!w->crypto)
        return error_set(e, ERROR_MEMORY, "out of memory: OpenSSL cannot be set up");
    return state_platform_open(&request, w->crypto, &w->on, e);
}

static int power_on(struct with *w, struct error *e)
{
    struct machine_config config = {
        .memory_size = w->memory_size,
        .cores = 1,
        .trace_categories = w->trace,
        .crypto = w->crypto,
        .profile = w->on.profile,
        .store = state_store(w->on.state),
        .committed = w->on.committed,
        .commit = state_commit,
        .commit_context = w->on.state,
    };
    memcpy(config.fuses, w->on.identity.fuses, sizeof config.fuses);
    w->machine = machine_create(&config, e);
    crypto_wipe(&config, sizeof config);
    if (!w->machine)
        return -1;
    trace_add_sink(machine_trace(w->machine), &w->sink);
    w->hv = hypervisor_create(machine_host(w->machine), e);
    if (w->hv)
        w->sev = sev_door_create(w->hv, w->on.profile->report_version != 0, e);
    if (!w->sev)
        return state_explain(w->on.state, e);
    with_add_file(w, sev_door_file(w->sev));
    return 0;
}

static void power_off(struct with *w)
{
    with_guest_end(w);
    sev_door_destroy(w->sev);
    hypervisor_destroy(w->hv);
    machine_destroy(w->machine);
    state_platform_close(&w->on);
    crypto_destroy(w->crypto);
}

/* Closes the trace. A trace that is not complete is an error even if the command ended well. */
static bool close_trace(struct with *w, struct error *e)
{
    return !w->trace_file || !w->trace_out || file_close(w->trace_out, w->trace_file, e);
}

/* --- Doors ------------------------------------------------------------------------------------ */

void with_add_file(struct with *w, struct door_file file)
{
    for (u32 i = 0; i < DOOR_FILES_MAX; i++) {
        if (w->files[i].path)
            continue;
        w->files[i] = file;
        return;
    }
}

void with_add_folder(struct with *w, struct door_folder folder)
{
    for (u32 i = 0; i < WITH_FOLDERS_MAX; i++) {
        if (w->folders[i].path)
            continue;
        w->folders[i] = folder;
        return;
    }
}

static int run(struct with *w, struct error *e)
{
    if (open_platform(w, e) || with_guest_load(w, e) || open_trace(w, e) || power_on(w, e) ||
        with_guest_start(w, e))
        return -1;
    struct with_processor below = with_processor_below();
    char line[WITH_PROCESSOR_LINE];
    if (with_processor_differs(&below, w->on.profile, line))
        progress(line);
    struct door door = {.files = w->files,
                        .folders = w->folders,
                        .trace = machine_trace(w->machine),
                        .signalled = &w->signalled};
    return door_run(&door, w->command, e);
}

/* --- Command line ----------------------------------------------------------------------------- */

static int take_options(struct with *w, const struct options *o, struct error *e)
{
    w->directory = o->text[WITH_STATE];
    w->seed = o->text[WITH_SEED];
    w->profile_name = o->text[WITH_PROFILE];
    w->guest_path = o->text[WITH_GUEST];
    w->csp = o->text[WITH_CSP] ? o->text[WITH_CSP] : CLI_CSP;
    w->trace = (u32)options_number(o, WITH_TRACE, 0);
    w->trace_file = o->text[WITH_TRACE_FILE];
    w->json = o->text[WITH_JSON];
    w->command = o->operands;
    w->given = o;
    if (!*w->command)
        return error_set(e, ERROR_USAGE,
                         "needs a command to run: softsev with [OPTIONS] -- COMMAND");
    if (w->directory)
        return 0;
    w->directory = w->default_directory;
    return state_default(w->default_directory, sizeof w->default_directory, e);
}

int cli_with(int argc, char **argv)
{
    struct error e = {.code = ERROR_NONE};
    struct with w = {.memory_size = WITH_MEMORY};
    struct options given;
    int status;
    if (!options_open(&cli_with_table, argc, argv, &given, &status))
        return status;
    if (take_options(&w, &given, &e))
        return cli_fail("with", &e);
    int result = run(&w, &e);
    bool missing = result < 0 && e.code == ERROR_FILE && w.sev;
    power_off(&w);
    if (close_trace(&w, &e) && result >= 0)
        return result;
    int code = cli_fail("with", &e);
    return missing ? CANNOT_RUN : code;
}
