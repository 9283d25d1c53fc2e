/* SPDX-License-Identifier: Apache-2.0 */
/* Lines for somebody who may have stopped reading; see log.h. */
#include "cli/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define WAIT_MS 50 /* between two looks at the pending signals */

int cli_open_impatient(int fd)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

void cli_log_open(struct cli_log *log, int fd, bool json)
{
    struct stat st;
    *log = (struct cli_log){.fd = fd, .own = -1, .json = json};
    if (!fstat(fd, &st) && S_ISFIFO(st.st_mode))
        log->own = cli_open_impatient(fd);
}

static bool takes(int fd, int wait_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, wait_ms) == 1;
}

/* Writes what the descriptor takes at once, and returns how much that was. After an error other
 * than a full pipe, the rest counts as written: a log has no place to report that. */
static size_t write_some(const struct cli_log *log, const char *text, size_t size)
{
    const int fd = log->own >= 0 ? log->own : log->fd;
    size_t at = 0;
    while (at < size && takes(fd, 0)) {
        const size_t left = size - at;
        ssize_t n = write(fd, text + at, left < PIPE_BUF ? left : PIPE_BUF);
        if (n > 0)
            at += (size_t)n;
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            return size;
    }
    return at;
}

/* Writes a line, and keeps what is left of one that was begun. Returns false if it must be dropped.
 */
static bool write_line(struct cli_log *log, const char *line, size_t size)
{
    if (log->waiting) {
        size_t done = write_some(log, log->rest, log->waiting);
        log->waiting -= done;
        memmove(log->rest, log->rest + done, log->waiting);
    }
    if (log->waiting || size > sizeof log->rest)
        return false;
    size_t done = write_some(log, line, size);
    if (!done && size)
        return false;
    log->waiting = size - done;
    memcpy(log->rest, line + done, log->waiting);
    return true;
}

static bool tell_dropped(struct cli_log *log)
{
    char line[80];
    if (!log->dropped)
        return true;
    int size = snprintf(line, sizeof line,
                        log->json ? "{\"event\":\"dropped\",\"lines\":%" PRIu64 "}\n"
                                  : "%" PRIu64 " lines dropped: nobody read them\n",
                        log->dropped);
    if (!write_line(log, line, (size_t)size))
        return false;
    log->dropped = 0;
    return true;
}

void cli_log_write(struct cli_log *log, const char *line, size_t size)
{
    if (!tell_dropped(log) || !write_line(log, line, size))
        log->dropped++;
}

void cli_log_close(struct cli_log *log)
{
    if (log->waiting)
        write_line(log, "", 0);
    tell_dropped(log);
    if (log->own >= 0)
        close(log->own);
    log->own = -1;
}

bool cli_log_wait(int fd, const _Atomic bool *signalled)
{
    static const int ends[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
    while (!takes(fd, WAIT_MS)) {
        sigset_t pending;
        if (*signalled)
            return false;
        sigpending(&pending);
        for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
            if (sigismember(&pending, ends[i]))
                return false;
    }
    return true;
}
