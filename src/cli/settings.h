/* SPDX-License-Identifier: Apache-2.0 */
/* Values that come as texts of the command line or as members of a JSON file, and mean the same in both. */
#ifndef SOFTSEV_CLI_SETTINGS_H
#define SOFTSEV_CLI_SETTINGS_H

#include "base/error.h"

#include <jansson.h>

/* On the heap; NULL stays NULL. */
char *settings_copy(const char *text);
/* A number, decimal or with 0x, perhaps with K, M or G behind it; -1: it is none, or more than `max`. */
int settings_number(const char *text, u64 max, u64 *out);
/* Bytes of memory: a plain number is MiB, as in other programs of this kind. */
int settings_memory(const char *text, u64 *out, struct error *e);

#define SETTINGS_NUMBER_SIZE 32u

/* A member's value as the text that the option of that name takes: "" for a flag that is true, NULL for one that is
 * false. `file` says where it is from: "machine file". `number` is room for a text. -1: another kind of value. */
int settings_value(const char *file, const char *key, const json_t *value, bool flag,
                   char number[SETTINGS_NUMBER_SIZE], const char **text, struct error *e);

#endif
