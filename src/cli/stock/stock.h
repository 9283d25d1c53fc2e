/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `softsev guest` share. */
#ifndef SOFTSEV_CLI_STOCK_H
#define SOFTSEV_CLI_STOCK_H

#include "base/error.h"

#include <limits.h>

/* Finds a helper program: beside an installed softsev, where the build was told to install it, or
 * in the build folder of one that is not installed. -1: ERROR_FILE. */
int stock_find(const char *name, char path[PATH_MAX], struct error *e);
/* Finds softsev-agent, which not every build has. Returns false if there is none. */
bool stock_find_agent(char path[PATH_MAX]);
/* Runs a helper with this process's input and output, and waits for it. Returns 0, or -1 with the
 * code that its exit means; if it said itself what was wrong, e->text is empty. */
int stock_run(char *const argv[], struct error *e);

#endif
