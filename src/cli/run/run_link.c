/* SPDX-License-Identifier: Apache-2.0 */
/* The connection of a migration: a Unix socket on which both ends wait for a limited time, and not
 * at all once a signal asks for the end of the run. */
#include "cli/run/run_link.h"

#include "cli/cli.h"
#include "cli/run/run.h"
#include "cli/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PATIENCE_S 30u

static int gone(struct error *e)
{
    return error_set(e, ERROR_FILE, "the other end is gone");
}

static int broken(int why, struct error *e)
{
    return why == EPIPE || why == ECONNRESET ? gone(e)
           : why == EAGAIN || why == EWOULDBLOCK
               ? error_set(e, ERROR_FILE, "the other end has taken nothing for %u seconds",
                           PATIENCE_S)
               : error_set(e, ERROR_FILE, "the other end: %s", strerror(why));
}

static int link_send(void *context, const void *data, size_t size, struct error *e)
{
    const struct run_link *l = context;
    for (size_t at = 0; at < size;) {
        const ssize_t sent = send(l->fd, (const u8 *)data + at, size - at, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR && !run_signals_ending())
            continue;
        if (sent < 0)
            return broken(errno, e);
        at += (size_t)sent;
    }
    return 0;
}

/* Waits until there is something to receive. */
static int link_wait(const struct run_link *l, u64 until_ns, struct error *e)
{
    if (run_signals_ending())
        return error_set(e, ERROR_INTERNAL, "a signal came before the guest had moved");
    const u64 now = run_clock_ns();
    if (now >= until_ns)
        return error_set(e, ERROR_FILE, "the other end has said nothing for %u seconds",
                         PATIENCE_S);
    run_signals_wait(l->fd, until_ns - now);
    return 0;
}

static int link_receive(void *context, void *data, size_t size, struct error *e)
{
    const struct run_link *l = context;
    u64 until = run_clock_ns() + PATIENCE_S * CLOCK_HZ;
    for (size_t at = 0; at < size;) {
        const ssize_t got = recv(l->fd, (u8 *)data + at, size - at, MSG_DONTWAIT);
        if (!got)
            return gone(e);
        if (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            return broken(errno, e);
        if (got < 0 && link_wait(l, until, e))
            return -1;
        if (got > 0) {
            at += (size_t)got;
            until = run_clock_ns() + PATIENCE_S * CLOCK_HZ;
        }
    }
    return 0;
}

struct migrate_link run_link_of(struct run_link *l)
{
    return (struct migrate_link){link_send, link_receive, l};
}

int run_link_connect(struct run_link *l, const char *place, struct error *e)
{
    const size_t prefix = strlen(UNIX_PREFIX);
    l->fd = -1;
    if (strncmp(place, UNIX_PREFIX, prefix))
        return error_set(e, ERROR_USAGE, "'%.80s': expected unix:PATH", place);
    const char *path = place + prefix;
    const int why = unix_socket_connect("the target", path, PATIENCE_S, &l->fd, e);
    if (why > 0)
        error_set(e, ERROR_FILE, "%s: %s%s", path, strerror(why),
                  why == ECONNREFUSED || why == ENOENT ? "; no run waits there for a guest" : "");
    if (why)
        run_link_close(l);
    return why ? -1 : 0;
}

/* Takes one connection, and no other. */
static int take_one(struct run_link *l, int listener, struct error *e)
{
    const struct timeval limit = {.tv_sec = PATIENCE_S};
    while (l->fd < 0) {
        if (run_signals_ending())
            return error_set(e, ERROR_INTERNAL, "a signal came before a guest did");
        l->fd = accept(listener, NULL, NULL);
        if (l->fd < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR &&
            errno != ECONNABORTED)
            return error_set(e, ERROR_FILE, "--incoming: %s", strerror(errno));
        if (l->fd < 0)
            run_signals_wait(listener, RUN_SLEEP_MAX_NS);
    }
    fcntl(l->fd, F_SETFD, FD_CLOEXEC);
    return setsockopt(l->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit)
               ? error_set(e, ERROR_FILE, "--incoming: %s", strerror(errno))
               : 0;
}

int run_link_accept(struct run_link *l, const char *place, void (*listens)(void *context),
                    void *context, struct error *e)
{
    const char *path = place + strlen(UNIX_PREFIX);
    int listener = -1;
    l->fd = -1;
    int result = unix_socket_make("--incoming", path, &listener, e);
    if (!result) {
        if (listen(listener, 1)) {
            result = error_set(e, ERROR_FILE, "--incoming: %s: %s", path, strerror(errno));
        } else {
            listens(context);
            result = take_one(l, listener, e);
        }
        unlink(path);
    }
    if (listener >= 0)
        close(listener);
    return result;
}

void run_link_close(struct run_link *l)
{
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}
