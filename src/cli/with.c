/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softsev with: runs a program so that it finds the platform's device files. The machine is on as long as the program
 * runs, and what must last is in the state directory.
 */
#include "cli/with.h"
#include "cli/with_table.h"

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
    const struct with *w = context;
    char line[1200];
    size_t size = w->json ? trace_format_json(line, sizeof line, event)
                          : trace_format_text(line, sizeof line, event);
    fwrite(line, 1, size, w->trace_out);
    fflush(w->trace_out);
}

static int open_trace(struct with *w, struct error *e)
{
    w->trace_out = w->trace_file ? fopen(w->trace_file, "we") : stderr;
    if (!w->trace_out)
        return error_set(e, ERROR_FILE, "%s cannot be written: %s", w->trace_file, strerror(errno));
    w->sink = (struct trace_sink){.event = trace_print, .context = w};
    return 0;
}

static int check_seed(const struct with *w, struct error *e)
{
    u8 fuses[32];
    if (!w->seed)
        return 0;
    cli_identity_seed_fuses(w->seed, strlen(w->seed), fuses);
    if (crypto_equal(fuses, w->identity.fuses, sizeof fuses))
        return 0;
    return error_set(e, ERROR_USAGE, "the platform in %s was made from another seed", w->directory);
}

static int open_identity(struct with *w, struct error *e)
{
    size_t seed_size = w->seed ? strlen(w->seed) : 0;
    w->crypto = crypto_create(w->seed, seed_size);
    if (!w->crypto)
        return error_set(e, ERROR_INTERNAL, "OpenSSL cannot be set up");
    w->state = cli_state_open(w->directory, NULL, e);
    if (!w->state ||
        cli_identity_open(w->state, w->crypto, w->seed, seed_size, progress, &w->identity, e))
        return -1;
    return check_seed(w, e) || cli_state_profile(w->state, w->profile_name, &w->profile, e) ? -1
                                                                                            : 0;
}

static int power_on(struct with *w, struct error *e)
{
    struct machine_config config = {
        .memory_size = w->memory_size,
        .cores = 1,
        .trace_categories = w->trace,
        .crypto = w->crypto,
        .profile = w->profile,
        .store = cli_state_store(w->state),
        .commit = cli_state_commit,
        .commit_context = w->state,
    };
    if (cli_state_committed(w->state, w->profile, &config.committed, e))
        return -1;
    memcpy(config.fuses, w->identity.fuses, sizeof config.fuses);
    w->machine = machine_create(&config, e);
    crypto_wipe(&config, sizeof config);
    if (!w->machine)
        return -1;
    trace_add_sink(machine_trace(w->machine), &w->sink);
    w->hv = hypervisor_create(machine_host(w->machine), e);
    if (w->hv)
        w->sev = sev_door_create(w->hv, w->profile->report_version != 0, e);
    if (!w->sev)
        return -1;
    with_add_file(w, sev_door_file(w->sev));
    return 0;
}

static void power_off(struct with *w)
{
    with_guest_end(w);
    sev_door_destroy(w->sev);
    hypervisor_destroy(w->hv);
    machine_destroy(w->machine);
    cli_state_close(w->state);
    if (w->crypto)
        crypto_destroy(w->crypto);
    crypto_wipe(w->identity.fuses, sizeof w->identity.fuses);
    if (w->trace_file && w->trace_out)
        fclose(w->trace_out);
}

/* --- Doors -------------------------------------------------------------------------------------- */

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
    if (open_trace(w, e) || open_identity(w, e) || with_guest_load(w, e) || power_on(w, e) ||
        with_guest_start(w, e))
        return -1;
    struct with_processor below = with_processor_below();
    char line[WITH_PROCESSOR_LINE];
    if (with_processor_differs(&below, w->profile, line))
        progress(line);
    struct door door = {
        .files = w->files, .folders = w->folders, .trace = machine_trace(w->machine)};
    return door_run(&door, w->command, e);
}

/* --- Command line ------------------------------------------------------------------------------- */

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
    if (!*w->command)
        return error_set(e, ERROR_USAGE, "no command; softsev with [OPTIONS] -- COMMAND");
    if (w->directory)
        return 0;
    w->directory = w->default_directory;
    return cli_state_default(w->default_directory, sizeof w->default_directory, e);
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
    if (result >= 0)
        return result;
    int code = cli_fail("with", &e);
    return missing ? CANNOT_RUN : code;
}
