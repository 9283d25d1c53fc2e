/* SPDX-License-Identifier: Apache-2.0 */
/* softsev: one program, one subcommand for each thing a person does with the machine. */
#include "cli/cli.h"

#include <stdio.h>

#ifndef SOFTSEV_VERSION
#define SOFTSEV_VERSION "unknown"
#endif

struct subcommand {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct subcommand subcommands[] = {
    {"run", cli_run, "boot guests on a machine with SEV"},
    {"with", cli_with, "run a program that finds a SEV platform's device files"},
    {"platform", cli_platform, "a platform's identity, certificates and owner"},
    {"profiles", cli_profiles, "the parts and firmware that a platform can be"},
    {"kds", cli_kds, "the manufacturer's key distribution service"},
    {"owner", cli_owner, "the guest owner: verify, measure, seal a secret for the right guest"},
    {"fixtures", cli_fixtures, "reports, good and bad, for who writes a verifier"},
    {"attack", cli_attack, "published attacks of a malicious host, and what stops them"},
    {NULL, NULL, NULL},
};

static const struct {
    enum error_code code;
    const char *meaning;
} exit_codes[] = {
    {ERROR_NONE, "success"},
    {ERROR_INTERNAL, "softsev's own mistake, or the system refused something basic"},
    {ERROR_USAGE, "wrong command line or machine file"},
    {ERROR_FILE, "a file cannot be used, or is not what it should be"},
    {ERROR_MEASUREMENT, "the owner refused: measurement, chain or session does not verify"},
    {ERROR_FIRMWARE, "the firmware refused a command"},
    {ERROR_MEMORY, "too little memory for what was asked"},
    {ERROR_STATE, "the state directory is corrupt"},
    {ERROR_LOCKED, "the state directory is in use by another process"},
    {ERROR_GUEST, "the guest ended abnormally"},
};

static void print_help(FILE *out)
{
    fputs("usage: softsev COMMAND [ARGUMENTS]      softsev COMMAND --help\n\n"
          "An AMD SEV machine in software.\n\ncommands:\n",
          out);
    for (const struct subcommand *s = subcommands; s->name; s++)
        fprintf(out, "  %-10s %s\n", s->name, s->help);
    fputs("\nexit codes:\n", out);
    for (size_t i = 0; i < ARRAY_SIZE(exit_codes); i++)
        fprintf(out, "  %d  %s\n", (int)exit_codes[i].code, exit_codes[i].meaning);
}

int cli_fail(const char *command, const struct error *error)
{
    fprintf(stderr, "softsev %s: %s\n", command, error->text);
    return error->code == ERROR_NONE ? ERROR_INTERNAL : (int)error->code;
}

/* Whoever reads the output, a script for one, must be able to count on all of it being there. */
static int finish(int status)
{
    if ((fflush(stdout) == 0 && !ferror(stdout)) || status != ERROR_NONE)
        return status;
    fputs("softsev: standard output cannot be written\n", stderr);
    return ERROR_FILE;
}

static int run_command(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "--help";
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
        print_help(argc > 1 ? stdout : stderr);
        return argc > 1 ? ERROR_NONE : ERROR_USAGE;
    }
    if (!strcmp(name, "--version")) {
        puts("softsev " SOFTSEV_VERSION);
        return ERROR_NONE;
    }
    for (const struct subcommand *s = subcommands; s->name; s++)
        if (!strcmp(name, s->name))
            return s->run(argc - 1, argv + 1);
    fprintf(stderr, "softsev: there is no command '%s'; `softsev --help` lists them\n", name);
    return ERROR_USAGE;
}

int main(int argc, char **argv)
{
    return finish(run_command(argc, argv));
}
