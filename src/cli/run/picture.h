/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The picture of a run of any machine: the page that follows the run (live_view.c), and the map of
 * memory at its end (map_file.c). Events go into a queue as they are. The server's thread turns
 * them into the page's form when a browser asks, on another core. A browser that wants a page of
 * memory waits until the run looks.
 */
#ifndef SOFTSEV_CLI_RUN_PICTURE_H
#define SOFTSEV_CLI_RUN_PICTURE_H

#include "base/error.h"

#include <stdio.h>

struct live_view;
struct machine;

/* Listens. `tell` tells the user the address, and that the page stays. */
struct live_view *live_view_open(const char *listen, void (*tell)(void *context, const char *text),
                                 void *context, struct error *e);
/* Call it when the machine exists, and again when another replaces it after a reset. */
void live_view_start(struct live_view *v, struct machine *m);
void live_view_no_machine(struct live_view *v); /* call it before the machine ends */
/* These do nothing if `v` is NULL. */
void live_view_look(struct live_view *v); /* answers a browser; changes no machine */
/* Call it when the run has ended. With `keep`, answers until a signal comes. */
void live_view_end(struct live_view *v, bool keep);
void live_view_close(struct live_view *v);

/* Writes the machine's map into an open file, as JSON or text, and closes it. */
int map_file_write(FILE *f, const char *path, struct machine *m, bool json, struct error *e);

#endif
