/* SPDX-License-Identifier: Apache-2.0 */
/* The connection of a migration between two runs. */
#ifndef SOFTSEV_CLI_RUN_LINK_H
#define SOFTSEV_CLI_RUN_LINK_H

#include "hypervisor/sev_migrate.h"

struct run_link {
    int fd; /* -1: none */
};

struct migrate_link run_link_of(struct run_link *l);
int run_link_connect(struct run_link *l, const char *place, struct error *e); /* unix:PATH */
/* Makes a socket, calls `listens`, and waits for one connection; the socket's name is gone then. */
int run_link_accept(struct run_link *l, const char *place, void (*listens)(void *context),
                    void *context, struct error *e);
void run_link_close(struct run_link *l); /* does nothing if it is not open */

#endif
