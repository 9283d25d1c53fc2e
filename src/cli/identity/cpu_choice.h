/* SPDX-License-Identifier: Apache-2.0 */
/* CPU models by their names on a command line: the parts' own, and those that QEMU has. */
#ifndef SOFTSEV_CLI_IDENTITY_CPU_CHOICE_H
#define SOFTSEV_CLI_IDENTITY_CPU_CHOICE_H

#include "cpu/model.h"

/* Reads "milan,-umip" or "EPYC-Genoa". -1: ERROR_USAGE; the error begins with "--cpu". */
int cli_cpu_parse(const char *text, struct cpu_model *out, struct error *e);

#endif
