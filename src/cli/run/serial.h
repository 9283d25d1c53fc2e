/* SPDX-License-Identifier: Apache-2.0 */
/* A serial port that leads to a file or a Unix socket, whoever runs on the machine. */
#ifndef SOFTSEV_CLI_RUN_SERIAL_H
#define SOFTSEV_CLI_RUN_SERIAL_H

#include "base/error.h"
#include "cli/run/session.h"
#include "net/net.h"

struct run_serial;

/* Opens what --serial names: FILE or unix:PATH. `*out` becomes NULL if `place` is "stdio" or
 * NULL. */
int run_serial_create(const char *place, struct run_serial **out, struct error *e);
/* Closes a serial port; NULL does nothing. Returns -1 if the file is not whole. */
int run_serial_destroy(struct run_serial *s, struct error *e);
void run_serial_send(struct run_serial *s, const u8 *data, size_t size);
bool run_serial_typed(const struct run_serial *s); /* input that no machine has been given yet */

/* Called before and after a wait. The first adds the descriptors to wait for; the second receives
 * and sends what it can. Neither changes a machine. A `deaf` port drops its input. */
void run_serial_poll(struct run_serial *s, struct net_polls *polls);
void run_serial_polled(struct run_serial *s, const struct net_polls *polls, bool deaf);
/* Gives the received bytes to `to`, not faster than a serial line does; `now_ns` is machine
 * time. */
void run_serial_pass(struct run_serial *s, const struct run_keys *to, u64 now_ns);

#endif
