/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `softsev profiles` share. */
#ifndef SOFTSEV_CLI_PROFILES_H
#define SOFTSEV_CLI_PROFILES_H

#include "base/error.h"

/* Prints a CPU model, as `softsev run --cpu` takes it. */
int profiles_print_cpu(const char *text, bool json, struct error *e);

#endif
