/* SPDX-License-Identifier: Apache-2.0 */
/* Unix sockets of the command line, which options name as unix:PATH. */
#ifndef SOFTSEV_CLI_UNIX_SOCKET_H
#define SOFTSEV_CLI_UNIX_SOCKET_H

#include "base/error.h"

#define UNIX_PREFIX "unix:"

/* Makes a socket that nobody but this user can connect to, and does not listen yet; calls on it do
 * not wait. `what` begins the error. *fd may be open after an error, too. */
int unix_socket_make(const char *what, const char *path, int *fd, struct error *e);

/* Connects to a server, for calls that wait `seconds` at most. Returns 0, -1 and an error if the
 * path cannot be one, or else the errno for which it failed. *fd may be open after a failure, too.
 */
int unix_socket_connect(const char *what, const char *path, u64 seconds, int *fd, struct error *e);

#endif
