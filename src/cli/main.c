/* SPDX-License-Identifier: Apache-2.0 */
/* softsev: one program, one subcommand for each thing a person does with the machine. */
#include "cli/cli.h"
#include "cli/options.h"
#include "files/files.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "commit.h"

/* As src/cpu/meson.build and src/net/meson.build decide. */
#ifdef CPU_DISPATCH_LOOP
#define ENGINE "an interpreter, dispatched by a loop"
#elif defined(__x86_64__)
#define ENGINE "a JIT, and an interpreter, dispatched by tail calls"
#else
#define ENGINE "an interpreter, dispatched by tail calls"
#endif
#ifdef HAVE_SLIRP
#define NETWORK "user mode by libslirp, loaded when it is used"
#else
#define NETWORK "none: built without libslirp"
#endif

static const struct {
    const struct option_table *table;
    int (*run)(int argc, char **argv);
} subcommands[] = {
    {&cli_run_table, cli_run},           {&cli_host_table, cli_host},
    {&cli_resume_table, cli_resume},     {&cli_control_table, cli_control},
    {&cli_migrate_table, cli_migrate},   {&cli_with_table, cli_with},
    {&cli_platform_table, cli_platform}, {&cli_profiles_table, cli_profiles},
    {&cli_kds_table, cli_kds},           {&cli_owner_table, cli_owner},
    {&cli_fixtures_table, cli_fixtures}, {&cli_attack_table, cli_attack},
    {&cli_trace_table, cli_trace},       {&cli_map_table, cli_map},
    {&cli_view_table, cli_view},         {&cli_stock_table, cli_stock},
    {&cli_doctor_table, cli_doctor},
};

static void print_help(FILE *out)
{
    fputs("usage: softsev COMMAND [ARGUMENTS]      softsev COMMAND --help\n\n"
          "An AMD SEV machine in software.\n\ncommands:\n",
          out);
    for (size_t i = 0; i < ARRAY_SIZE(subcommands); i++)
        fprintf(out, "  %-10s %s\n", subcommands[i].table->command, subcommands[i].table->title);
    fputs("\nexit codes:\n", out);
    for (const struct cli_exit_code *c = cli_exit_codes; c->meaning; c++)
        fprintf(out, "  %d  %s\n", (int)c->code, c->meaning);
}

static void print_version(void)
{
    puts("softsev " SOFTSEV_VERSION "\n"
         "commit   " SOFTSEV_COMMIT "\n"
         "doors    /dev/sev, /dev/sev-guest, configfs-tsm\n"
         "kds      server by libmicrohttpd, client by libcurl, loaded when they are used\n"
         "network  " NETWORK "\n"
         "engine   " ENGINE);
}

int cli_fail(const char *command, const struct error *error)
{
    char text[TEXT_SENTENCE_SIZE(sizeof error->text)];
    text_sentence(text, sizeof text, error->text);
    fprintf(stderr, "softsev %s: %s\n", command, text);
    return error->code == ERROR_NONE ? ERROR_INTERNAL : (int)error->code;
}

/* Flushes the output, and makes incomplete output an error: a script must be able to rely on all of
 * it. */
static int finish(int status)
{
    struct error e = {.code = ERROR_NONE};
    if (file_flush(stdout, "standard output", &e) || status != ERROR_NONE)
        return status;
    fprintf(stderr, "softsev: %s\n", e.text);
    return ERROR_FILE;
}

static const char *command_at(const void *unused, size_t i)
{
    (void)unused;
    return i < ARRAY_SIZE(subcommands) ? subcommands[i].table->command : NULL;
}

static int run_command(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "--help";
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
        print_help(argc > 1 ? stdout : stderr);
        return argc > 1 ? ERROR_NONE : ERROR_USAGE;
    }
    if (!strcmp(name, "--version")) {
        print_version();
        return ERROR_NONE;
    }
    if (!strcmp(name, "documents"))
        return cli_documents(argc - 1, argv + 1);
    for (size_t i = 0; i < ARRAY_SIZE(subcommands); i++)
        if (!strcmp(name, subcommands[i].table->command))
            return subcommands[i].run(argc - 1, argv + 1);
    const char *near = options_nearest(name, command_at, NULL);
    char clean[81];
    text_sentence(clean, sizeof clean, name);
    fprintf(stderr, "softsev: there is no command '%s'; %s%s%s`softsev --help` lists them\n", clean,
            near ? "did you mean " : "", near ? near : "", near ? "? " : "");
    return ERROR_USAGE;
}

/* Makes standard input, output and error exist: otherwise the next file that is opened would take
 * the place of one, and output would go to it. A missing input is empty; writing to a missing
 * output is an error. */
static void open_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDONLY) != fd)
            _exit(ERROR_INTERNAL);
}

static void on_file_too_large(int number)
{
    (void)number;
}

/* Makes writing beyond the user's limit of file sizes an ordinary error. A handler does that;
 * "ignore" would be inherited by the programs of `softsev with`. */
static void catch_file_too_large(void)
{
    sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = on_file_too_large}, NULL);
}

int main(int argc, char **argv)
{
    open_standard_descriptors();
    catch_file_too_large();
    cli_json_start();
    return finish(run_command(argc, argv));
}
