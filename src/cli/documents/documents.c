/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softsev documents: what the tables of options say, for the manual pages and the completion of the
 * shell. The build's own command: tools/documents.py calls it, and --help does not list it.
 */
#include "cli/cli.h"
#include "cli/options.h"

const struct option_table *const cli_tables[] = {
    &cli_run_table,      &cli_resume_table,   &cli_host_table,
    &cli_control_table,  &cli_migrate_table,  &cli_with_table,
    &cli_platform_table, &cli_profiles_table, &cli_kds_table,
    &cli_owner_table,    &cli_fixtures_table, &cli_attack_table,
    &cli_trace_table,    &cli_map_table,      &cli_view_table,
    &cli_stock_table,    &cli_doctor_table,   NULL};

const struct cli_exit_code cli_exit_codes[] = {
    {ERROR_NONE, "success"},
    {ERROR_INTERNAL, "internal error, or the system refused something basic"},
    {ERROR_USAGE, "wrong command line or machine file"},
    {ERROR_FILE, "a file cannot be read or written, or has wrong contents"},
    {ERROR_MEASUREMENT, "the owner refused: measurement, chain or session does not verify"},
    {ERROR_FIRMWARE, "the firmware refused a command"},
    {ERROR_MEMORY, "out of memory, or the guest's memory is too small"},
    {ERROR_STATE, "the state directory is corrupt"},
    {ERROR_LOCKED, "the state directory is in use by another process"},
    {ERROR_GUEST, "the guest ended abnormally"},
    {ERROR_PANIC, "the guest's Linux kernel panicked"},
    {0, NULL},
};

static void print_exit_codes(void)
{
    puts(".Bl -tag -width 2n -compact");
    for (const struct cli_exit_code *c = cli_exit_codes; c->meaning; c++)
        printf(".It %d\n%s\n", (int)c->code, c->meaning);
    puts(".El");
}

static bool print_man(const char *name)
{
    if (!strcmp(name, "exit-codes")) {
        print_exit_codes();
        return true;
    }
    if (!strcmp(name, "launch-description")) {
        options_print_man(&cli_guest_table, stdout);
        return true;
    }
    for (size_t i = 0; cli_tables[i]; i++) {
        if (strcmp(cli_tables[i]->command, name))
            continue;
        options_print_man(cli_tables[i], stdout);
        return true;
    }
    return false;
}

int cli_documents(int argc, char **argv)
{
    struct error e = {.code = ERROR_NONE};
    if (argc == 2 && !strcmp(argv[1], "completion")) {
        options_print_completion(cli_tables, stdout);
        return ERROR_NONE;
    }
    if (argc == 3 && !strcmp(argv[1], "man") && print_man(argv[2]))
        return ERROR_NONE;
    error_set(&e, ERROR_USAGE, "completion, or man COMMAND");
    return cli_fail("documents", &e);
}
