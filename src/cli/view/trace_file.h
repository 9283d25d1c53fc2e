/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded traces, line by line, and the map that their events make. */
#ifndef SOFTSEV_CLI_TRACE_FILE_H
#define SOFTSEV_CLI_TRACE_FILE_H

#include "base/error.h"
#include "view/map.h"

#include <stdio.h>

/* Calls `line` with each line of a file, without its newline, until it returns false. If a line is
 * too long for an event, gives only its beginning. Returns -1 and ERROR_FILE if the file cannot be
 * read. */
int trace_file_read(const char *path, bool (*line)(void *context, const char *text, size_t size),
                    void *context, struct error *e);
/* Sets the error for a file in which no line is an event. Returns -1. */
int trace_file_no_events(const char *path, struct error *e);

/* Print who holds each frame: totals and a picture, or one JSON object. With `runs`, also each run
 * of frames that are alike (map_print.c). */
void map_print_text(const struct view_map *m, bool runs, FILE *out);
struct json_t; /* jansson's */
struct json_t *map_json(const struct view_map *m);

#endif
