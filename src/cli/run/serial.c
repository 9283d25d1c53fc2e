/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A serial port that leads to a file or a Unix socket instead of the terminal. A machine never
 * waits for the other end: what a client does not read in time is lost, the oldest first. Input
 * comes at the pace of a serial line.
 */
#include "cli/run/serial.h"
#include "cli/run/run.h"
#include "cli/unix_socket.h"
#include "files/files.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define UNREAD_MAX KIB(64)
#define TYPED_MAX  4096u
#define NO_POLL    SIZE_MAX

struct run_serial {
    FILE *file;           /* NULL: a socket */
    const char *place;    /* what --serial named */
    const char *path;     /* of the socket's name; NULL: none was made */
    int listener, client; /* -1: none */
    size_t poll;          /* where in the polls the client stands, or the listener without one */
    u8 unread[UNREAD_MAX];
    size_t unread_at, unread_count;
    u8 typed[TYPED_MAX]; /* not given to the machine yet */
    size_t typed_count;
    u64 given_ns; /* machine time at which the machine was last given some */
};

static int open_socket(struct run_serial *s, const char *path, struct error *e)
{
    if (unix_socket_make("--serial", path, &s->listener, e))
        return -1;
    s->path = path;
    return listen(s->listener, 1)
               ? error_set(e, ERROR_FILE, "--serial: %s: %s", path, strerror(errno))
               : 0;
}

int run_serial_create(const char *place, struct run_serial **out, struct error *e)
{
    const size_t prefix = strlen(UNIX_PREFIX);
    *out = NULL;
    if (!place || !strcmp(place, "stdio"))
        return 0;
    struct run_serial *s = *out = calloc(1, sizeof *s);
    if (!s)
        return error_set(e, ERROR_MEMORY, "no memory for a serial port");
    s->place = place;
    s->listener = s->client = -1;
    if (!strncmp(place, UNIX_PREFIX, prefix))
        return open_socket(s, place + prefix, e);
    s->file = file_create(place, false, e);
    run_signals_output(s->file);
    return s->file ? 0 : -1;
}

static void drop_client(struct run_serial *s)
{
    if (s->client >= 0)
        close(s->client);
    s->client = -1;
}

int run_serial_destroy(struct run_serial *s, struct error *e)
{
    if (!s)
        return 0;
    run_signals_output_closes(s->file);
    const bool good = !s->file || file_close(s->file, s->place, e);
    drop_client(s);
    if (s->listener >= 0)
        close(s->listener);
    if (s->path)
        unlink(s->path);
    free(s);
    return good ? 0 : -1;
}

/* --- Output ----------------------------------------------------------------------------------- */

static void keep(struct run_serial *s, u8 byte)
{
    s->unread[(s->unread_at + s->unread_count) % UNREAD_MAX] = byte;
    if (s->unread_count < UNREAD_MAX)
        s->unread_count++;
    else
        s->unread_at = (s->unread_at + 1) % UNREAD_MAX;
}

/* Sends as much as the client takes without a wait. */
static void send_unread(struct run_serial *s)
{
    while (s->client >= 0 && s->unread_count) {
        const size_t part = min_u64(s->unread_count, UNREAD_MAX - s->unread_at);
        const ssize_t sent =
            send(s->client, s->unread + s->unread_at, part, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            drop_client(s);
        if (sent <= 0)
            return;
        s->unread_at = (s->unread_at + (size_t)sent) % UNREAD_MAX;
        s->unread_count -= (size_t)sent;
    }
}

void run_serial_send(struct run_serial *s, const u8 *data, size_t size)
{
    if (s->file)
        fwrite(data, 1, size, s->file); /* an error is reported when the file is closed */
    for (size_t i = 0; !s->file && i < size; i++)
        keep(s, data[i]);
}

/* --- Input ------------------------------------------------------------------------------------ */

static void receive(struct run_serial *s, bool deaf)
{
    u8 nowhere[256];
    u8 *to = deaf ? nowhere : s->typed + s->typed_count;
    const size_t room = deaf ? sizeof nowhere : TYPED_MAX - s->typed_count;
    const ssize_t got = room ? recv(s->client, to, room, MSG_DONTWAIT) : -1;
    if (!got || (got < 0 && room && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
        drop_client(s);
    else if (got > 0 && !deaf)
        s->typed_count += (size_t)got;
}

bool run_serial_typed(const struct run_serial *s)
{
    return s->typed_count;
}

void run_serial_pass(struct run_serial *s, const struct run_keys *to, u64 now)
{
    const size_t room = s->typed_count ? run_line_room(s->given_ns, now) : 0;
    if (!room)
        return;
    const size_t taken = to->give(to->context, s->typed, min_u64(room, s->typed_count));
    memmove(s->typed, s->typed + taken, s->typed_count - taken);
    s->typed_count -= taken;
    s->given_ns = now;
}

/* --- Around a wait ---------------------------------------------------------------------------- */

void run_serial_poll(struct run_serial *s, struct net_polls *polls)
{
    const bool connected = s->client >= 0;
    const short bits = (short)((!connected || s->typed_count < TYPED_MAX ? POLLIN : 0) |
                               (connected && s->unread_count ? POLLOUT : 0));
    s->poll = polls->count;
    if (s->file || !bits || !net_polls_add(polls, connected ? s->client : s->listener, bits))
        s->poll = NO_POLL;
}

void run_serial_polled(struct run_serial *s, const struct net_polls *polls, bool deaf)
{
    const short found = s->poll == NO_POLL ? 0 : polls->fds[s->poll].revents;
    if (s->file)
        fflush(s->file);
    else if (found && s->client < 0)
        s->client = accept(s->listener, NULL, NULL);
    else if (found & (POLLIN | POLLHUP | POLLERR))
        receive(s, deaf);
    send_unread(s);
}
