/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softsev with: runs a program so that it finds the platform's device files. The machine is on as long as the program
 * runs, and what must last is in the state directory.
 */
#include "cli/with.h"

#include "authority/authority.h"

#include <errno.h>
#include <getopt.h>
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

static void print_help(FILE *out)
{
    fputs("usage: softsev with [OPTIONS] -- COMMAND [ARGUMENTS]\n\n"
          "Runs any program, static or not, without privilege, so that it finds the device\n"
          "file of a SEV platform: /dev/sev. Exits as the program does; 127 if it cannot\n"
          "be run.\n\noptions:\n"
          "  --state DIR        where the platform is kept ($SOFTSEV_STATE, or\n"
          "                     ~/.local/state/softsev)\n"
          "  --seed TEXT        all randomness from it: the same platform on every computer\n"
          "  --profile NAME     part and firmware (`softsev profiles`); kept for later\n"
          "  --guest FILE       with a launched SNP guest that the program is inside of:\n"
          "                     /dev/sev-guest and configfs-tsm; softsev-with(1)\n"
          "  --csp NAME         whose VLEK comes with reports once one is loaded (" CLI_CSP ")\n"
          "  --trace WORDS      print events: all, or some of command,switch,key,view,page,\n"
          "                     vm,owner,device\n"
          "  --trace-file FILE  ... into a file instead of standard error\n"
          "  --json             ... as lines of JSON\n",
          out);
}

/* Before a platform is made for a name that does not exist. */
static int set_profile(struct with *w, const char *name, struct error *e)
{
    w->profile_name = name;
    return firmware_profile_find(name)
               ? 0
               : error_set(e, ERROR_USAGE,
                           "there is no profile '%s'; `softsev profiles` lists them", name);
}

static int set_trace(struct with *w, const char *words, struct error *e)
{
    if (trace_parse_categories(words, &w->trace))
        return 0;
    return error_set(e, ERROR_USAGE,
                     "trace '%s': all, or some of command, switch, key, view, page, vm, owner, "
                     "device with commas between",
                     words);
}

static int parse_options(struct with *w, int argc, char **argv, struct error *e)
{
    static const struct option options[] = {
        {"state", required_argument, NULL, 's'},
        {"seed", required_argument, NULL, 'r'},
        {"profile", required_argument, NULL, 'p'},
        {"guest", required_argument, NULL, 'g'},
        {"trace", required_argument, NULL, 't'},
        {"trace-file", required_argument, NULL, 'f'},
        {"csp", required_argument, NULL, 'c'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    int result = 0;
    opterr = 0;
    optind = 1;
    /* "+": what follows the command is the command's. */
    for (int o; !result && (o = getopt_long(argc, argv, "+:", options, NULL)) != -1;) {
        switch (o) {
        case 's':
            w->directory = optarg;
            break;
        case 'r':
            w->seed = optarg;
            break;
        case 'p':
            result = set_profile(w, optarg, e);
            break;
        case 'g':
            w->guest_path = optarg;
            break;
        case 'c':
            w->csp = optarg;
            break;
        case 't':
            result = set_trace(w, optarg, e);
            break;
        case 'f':
            w->trace_file = optarg;
            break;
        case 'j':
            w->json = true;
            break;
        case ':':
            return error_set(e, ERROR_USAGE, "%s needs a value", argv[optind - 1]);
        default:
            return error_set(e, ERROR_USAGE, "unknown option %s; see softsev with --help",
                             argv[optind - 1]);
        }
    }
    if (!result && (!*w->csp || strlen(w->csp) > AUTHORITY_CSP_MAX))
        return error_set(e, ERROR_USAGE, "--csp: a cloud provider's id has 1 to %u characters",
                         AUTHORITY_CSP_MAX);
    w->command = argv + optind;
    if (!result && !*w->command)
        return error_set(e, ERROR_USAGE, "no command; softsev with [OPTIONS] -- COMMAND");
    return result;
}

int cli_with(int argc, char **argv)
{
    struct error e = {.code = ERROR_NONE};
    if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        print_help(stdout);
        return ERROR_NONE;
    }
    struct with w = {.memory_size = WITH_MEMORY, .csp = CLI_CSP};
    if (parse_options(&w, argc, argv, &e))
        return cli_fail("with", &e);
    if (!w.directory) {
        if (cli_state_default(w.default_directory, sizeof w.default_directory, &e))
            return cli_fail("with", &e);
        w.directory = w.default_directory;
    }
    int result = run(&w, &e);
    bool missing = result < 0 && e.code == ERROR_FILE && w.sev;
    power_off(&w);
    if (result >= 0)
        return result;
    int code = cli_fail("with", &e);
    return missing ? CANNOT_RUN : code;
}
