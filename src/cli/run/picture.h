/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run of any machine shows of it: the page that follows the run (live_view.c), and the map
 * of memory at its end (map_file.c). The page's events go into a queue as they are; the server's
 * thread makes the page's form of them when a browser asks, on another core. A browser that wants a
 * page of memory waits until the run looks.
 */
#ifndef SOFTSEV_CLI_RUN_PICTURE_H
#define SOFTSEV_CLI_RUN_PICTURE_H

#include "base/error.h"

#include <stdio.h>

struct live_view;
struct machine;

/* Listens. `tell` says to the user where, and that the page stays. */
struct live_view *live_view_open(const char *listen, void (*tell)(void *context, const char *text),
                                 void *context, struct error *e);
/* The machine is there; or there is another, after a reset. */
void live_view_start(struct live_view *v, struct machine *m);
void live_view_no_machine(struct live_view *v); /* it is about to end */
/* These do nothing without a view. */
void live_view_look(struct live_view *v); /* answers a browser; changes no machine */
/* The run has ended: with `keep`, answers until a signal comes. */
void live_view_end(struct live_view *v, bool keep);
void live_view_close(struct live_view *v);

/* Writes the machine's map into an open file, as JSON or text, and closes it. */
int map_file_write(FILE *f, const char *path, struct machine *m, bool json, struct error *e);

#endif
