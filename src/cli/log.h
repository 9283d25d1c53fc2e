/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines for somebody who may have stopped reading: a pipe that is full must not stop a service. A
 * line that cannot be written at once is dropped; the next one that can says how many were.
 */
#ifndef SOFTSEV_CLI_LOG_H
#define SOFTSEV_CLI_LOG_H

#include "base/base.h"

#define CLI_LOG_LINE KIB(16)

struct cli_log {
    int fd;         /* where lines go */
    int own;        /* a description of the same pipe that never blocks; -1: none */
    bool json;      /* the form of the line about dropped lines */
    u64 dropped;    /* lines since the last that was written */
    size_t waiting; /* bytes of a line that was begun */
    char rest[CLI_LOG_LINE];
};

/* Opens what a descriptor is open on once more, so that writing to it never blocks. O_NONBLOCK on
 * the descriptor itself would also be set for all who share it. Returns -1 if that fails. */
int cli_open_impatient(int fd);

/* Begins a log on a file descriptor, which stays the caller's. */
void cli_log_open(struct cli_log *log, int fd, bool json);
/* Writes a line with its newline, or drops it. Never waits. */
void cli_log_write(struct cli_log *log, const char *line, size_t size);
void cli_log_close(struct cli_log *log);

/* Waits until the descriptor takes a short line. Returns false if it does not, and a signal that
 * ends programs came meanwhile: another thread has set `signalled`, or one that is blocked is
 * pending. */
bool cli_log_wait(int fd, const _Atomic bool *signalled);

#endif
