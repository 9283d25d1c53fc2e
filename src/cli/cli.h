/* SPDX-License-Identifier: Apache-2.0 */
/* The subcommands of the one program, and what they share. */
#ifndef SOFTSEV_CLI_CLI_H
#define SOFTSEV_CLI_CLI_H

#include "base/base.h"
#include "base/error.h"

/* Each gets argv[0] = its own name and returns the exit code: 0, or an enum error_code. */
int cli_run(int argc, char **argv);
int cli_resume(int argc, char **argv);
int cli_host(int argc, char **argv);
int cli_control(int argc, char **argv);
int cli_migrate(int argc, char **argv);
int cli_with(int argc, char **argv);
int cli_platform(int argc, char **argv);
int cli_owner(int argc, char **argv);
int cli_fixtures(int argc, char **argv);
int cli_attack(int argc, char **argv);
int cli_kds(int argc, char **argv);
int cli_profiles(int argc, char **argv);
int cli_trace(int argc, char **argv);
int cli_map(int argc, char **argv);
int cli_view(int argc, char **argv);
int cli_stock(int argc, char **argv);
int cli_doctor(int argc, char **argv);
int cli_documents(int argc, char **argv);

/* --- Options: the table of each subcommand, and of each kind of JSON object ------------------- */

struct option_table;
extern const struct option_table cli_run_table, cli_run_vm_table, cli_resume_table, cli_host_table,
    cli_control_table, cli_migrate_table, cli_with_table, cli_guest_table, cli_platform_table,
    cli_owner_table, cli_fixtures_table, cli_attack_table, cli_kds_table, cli_profiles_table,
    cli_trace_table, cli_map_table, cli_view_table, cli_stock_table, cli_doctor_table;
/* The subcommands' tables in the order of the list of commands; ends with NULL. */
extern const struct option_table *const cli_tables[];

/* What the program's exit codes mean; ends with no meaning. */
struct cli_exit_code {
    enum error_code code;
    const char *meaning;
};
extern const struct cli_exit_code cli_exit_codes[];

/* Prints `softsev COMMAND: text` on standard error and returns the error's code as exit code. */
int cli_fail(const char *command, const struct error *error);

/* Says that memory is out, and ends the program with ERROR_MEMORY. */
NORETURN void cli_end_without_memory(void);

/* Holds back SIGTERM and SIGINT, also in threads that are made later, until cli_wait_for_end()
 * takes one (ends.c). A client that is gone raises no signal. */
void cli_hold_ends(void);
void cli_wait_for_end(void);

struct json_t; /* jansson's */

/* Makes Jansson end the program with a message when memory is out (json.c). Call it once, at the
 * start. */
void cli_json_start(void);
/* Makes a JSON text of bytes that others wrote: paths, names, parts of a request. JSON needs UTF-8,
 * so other bytes are replaced. */
struct json_t *cli_json_text(const char *text);
/* Prints one line on standard output and releases `j`. Returns false if `j` is NULL or cannot be
 * written. */
bool cli_print_json(struct json_t *j);
/* Does the same. Returns -1 and ERROR_FILE if it fails. */
int cli_tell_json(struct json_t *j, struct error *e);

#endif
