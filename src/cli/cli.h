/* SPDX-License-Identifier: Apache-2.0 */
/* The subcommands of the one program, and what they share. */
#ifndef SOFTSEV_CLI_CLI_H
#define SOFTSEV_CLI_CLI_H

#include "base/base.h"
#include "base/error.h"

/* Each gets argv[0] = its own name and returns the exit code: 0, or an enum error_code. */
int cli_run(int argc, char **argv);
int cli_with(int argc, char **argv);
int cli_platform(int argc, char **argv);
int cli_owner(int argc, char **argv);

/* Prints `softsev COMMAND: text` on standard error and returns the error's code as exit code. */
int cli_fail(const char *command, const struct error *error);

#endif
