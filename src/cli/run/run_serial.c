/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serial ports that lead to a file or a Unix socket instead of the terminal. A guest never waits
 * for the other end: what a client does not read in time is lost, the oldest first. Input reaches a
 * guest between two slices, at the pace of a serial line, and is recorded as the keyboard's is.
 */
#include "cli/run/run.h"
#include "files/files.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define UNIX_PREFIX "unix:"
#define UNREAD_MAX  KIB(64)
#define TYPED_MAX   4096u
#define NO_POLL     SIZE_MAX

struct run_serial {
    FILE *file;           /* NULL: a socket */
    const char *path;     /* of the socket's name; NULL: none was made */
    int listener, client; /* -1: none */
    size_t poll;          /* where in r->polls the client stands, or the listener without one */
    u8 unread[UNREAD_MAX];
    size_t unread_at, unread_count;
    u8 typed[TYPED_MAX]; /* not given to the guest yet */
    size_t typed_count;
    u64 given_ns; /* machine time at which the guest was last given some */
};

int run_unix_socket(const char *option, const char *path, int *fd, struct error *e)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (!*path || strlen(path) >= sizeof a.sun_path)
        return error_set(e, ERROR_USAGE, "%s: the path of a Unix socket has 1 to %zu bytes", option,
                         sizeof a.sun_path - 1);
    strcpy(a.sun_path, path);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const mode_t before = umask(0177);
    const int bound = bind(*fd, (const struct sockaddr *)&a, sizeof a);
    const int why = errno;
    umask(before);
    return bound ? error_set(e, ERROR_FILE, "%s: no socket can be made at %s: %s%s", option, path,
                             strerror(why),
                             why == EADDRINUSE ? " (if no run uses it, remove the file)" : "")
                 : 0;
}

static int open_socket(struct run_serial *s, const char *path, struct error *e)
{
    if (run_unix_socket("--serial", path, &s->listener, e))
        return -1;
    s->path = path;
    return listen(s->listener, 1)
               ? error_set(e, ERROR_FILE, "--serial: %s: %s", path, strerror(errno))
               : 0;
}

int run_serial_open(struct run_vm *v, struct error *e)
{
    const char *place = v->options->serial;
    const size_t prefix = strlen(UNIX_PREFIX);
    if (!place || !strcmp(place, "stdio"))
        return 0;
    struct run_serial *s = v->serial = calloc(1, sizeof *s);
    if (!s)
        return error_set(e, ERROR_MEMORY, "no memory for a serial port");
    s->listener = s->client = -1;
    v->run->serial_count++;
    if (!strncmp(place, UNIX_PREFIX, prefix))
        return open_socket(s, place + prefix, e);
    s->file = file_create(place, false, e);
    return s->file ? 0 : -1;
}

static void drop_client(struct run_serial *s)
{
    if (s->client >= 0)
        close(s->client);
    s->client = -1;
}

int run_serial_close(struct run_vm *v, struct error *e)
{
    struct run_serial *s = v->serial;
    if (!s)
        return 0;
    const bool good = !s->file || file_close(s->file, v->options->serial, e);
    drop_client(s);
    if (s->listener >= 0)
        close(s->listener);
    if (s->path)
        unlink(s->path);
    free(s);
    v->serial = NULL;
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

/* Sends what the client takes now. */
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

void run_uart_output(void *context, const u8 *data, size_t size)
{
    struct run_vm *v = context;
    struct run_serial *s = v->serial;
    if (!s) {
        run_console_output(v, data, size);
        return;
    }
    v->console_bytes += size;
    run_panic_watch(&v->panic, data, size);
    if (s->file)
        fwrite(data, 1, size, s->file); /* closing tells of an error */
    for (size_t i = 0; !s->file && i < size; i++)
        keep(s, data[i]);
}

/* --- Input ------------------------------------------------------------------------------------ */

static void receive(struct run *r, struct run_serial *s)
{
    u8 nowhere[256]; /* while a recording is replayed nobody types */
    u8 *to = r->replay ? nowhere : s->typed + s->typed_count;
    const size_t room = r->replay ? sizeof nowhere : TYPED_MAX - s->typed_count;
    const ssize_t got = room ? recv(s->client, to, room, MSG_DONTWAIT) : -1;
    if (!got || (got < 0 && room && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
        drop_client(s);
    else if (got > 0 && !r->replay)
        s->typed_count += (size_t)got;
}

bool run_serial_has_input(const struct run *r)
{
    for (u32 i = 0; r->serial_count && i < r->vm_count; i++)
        if (r->vms[i].serial && r->vms[i].serial->typed_count)
            return true;
    return false;
}

void run_serial_give(struct run *r)
{
    const u64 now = host_time_ns(machine_host(r->machine));
    for (u32 i = 0; r->serial_count && i < r->vm_count; i++) {
        struct run_serial *s = r->vms[i].serial;
        const size_t room = s && s->typed_count ? run_line_room(s->given_ns, now) : 0;
        if (!room)
            continue;
        const size_t taken = run_input_console(r, i, s->typed, min_u64(room, s->typed_count));
        memmove(s->typed, s->typed + taken, s->typed_count - taken);
        s->typed_count -= taken;
        s->given_ns = now;
    }
}

/* --- Around a wait ---------------------------------------------------------------------------- */

void run_serial_prepare(struct run *r)
{
    for (u32 i = 0; r->serial_count && i < r->vm_count; i++) {
        struct run_serial *s = r->vms[i].serial;
        if (!s)
            continue;
        const bool connected = s->client >= 0;
        const short bits = (short)((!connected || s->typed_count < TYPED_MAX ? POLLIN : 0) |
                                   (connected && s->unread_count ? POLLOUT : 0));
        s->poll = r->polls.count;
        if (s->file || !bits ||
            !net_polls_add(&r->polls, connected ? s->client : s->listener, bits))
            s->poll = NO_POLL;
    }
}

static void serve(struct run *r, struct run_serial *s)
{
    const short found = s->poll == NO_POLL ? 0 : r->polls.fds[s->poll].revents;
    if (s->file)
        fflush(s->file);
    else if (found && s->client < 0)
        s->client = accept(s->listener, NULL, NULL);
    else if (found & (POLLIN | POLLHUP | POLLERR))
        receive(r, s);
    send_unread(s);
}

void run_serial_serve(struct run *r)
{
    for (u32 i = 0; r->serial_count && i < r->vm_count; i++)
        if (r->vms[i].serial)
            serve(r, r->vms[i].serial);
}
