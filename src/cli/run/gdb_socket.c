/* SPDX-License-Identifier: Apache-2.0 */
/* The socket of the debugger. It has no password: whoever connects can read the guest and its
 * secrets. So it listens on the loopback interface unless the user names another host, and a Unix
 * socket is open to its owner only. */
#include "cli/run/gdb_session.h"
#include "cli/run/run.h"
#include "cli/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define SEND_SECONDS 10 /* how long a client may not read before it is dropped */
#define ADDRESS_FORM "it should be :PORT, HOST:PORT or unix:PATH"

static int unix_open(struct gdb_socket *s, const char *path, struct error *e)
{
    if (unix_socket_make("--gdb", path, &s->listener, e))
        return -1;
    s->path = path;
    snprintf(s->name, sizeof s->name, "%s", path);
    return 0;
}

static int tcp_bind(struct gdb_socket *s, const struct addrinfo *a)
{
    const int on = 1;
    s->listener = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    return bind(s->listener, a->ai_addr, a->ai_addrlen);
}

/* Names the address with the port that the kernel chose if the user asked for port 0. */
static void tcp_name(struct gdb_socket *s)
{
    struct sockaddr_storage a;
    socklen_t size = sizeof a;
    char host[64] = "?", port[8] = "?";
    if (!getsockname(s->listener, (struct sockaddr *)&a, &size))
        getnameinfo((struct sockaddr *)&a, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(s->name, sizeof s->name, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

static bool is_port(const char *text)
{
    const char *end;
    u64 port;
    return option_digits(text, &port, &end) && !*end && port <= UINT16_MAX;
}

static int tcp_open(struct gdb_socket *s, const char *address, struct error *e)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    const char *colon = strrchr(address, ':');
    struct addrinfo *found;
    char host[64];
    size_t length = colon ? (size_t)(colon - address) : 0;
    if (!colon || !colon[1] || length >= sizeof host)
        return error_set(e, ERROR_USAGE, "--gdb '%s': " ADDRESS_FORM, address);
    if (!is_port(colon + 1))
        return error_set(e, ERROR_USAGE, "--gdb: port '%s' should be a number from 0 to 65535",
                         colon + 1);
    if (length > 2 && address[0] == '[' && address[length - 1] == ']') {
        address++;
        length -= 2;
    }
    snprintf(host, sizeof host, "%.*s", (int)length, length ? address : "");
    const int wrong = getaddrinfo(length ? host : "127.0.0.1", colon + 1, &hints, &found);
    if (wrong)
        return error_set(e, ERROR_USAGE, "--gdb: host '%s', port '%s': %s; " ADDRESS_FORM, host,
                         colon + 1, gai_strerror(wrong));
    const int bound = tcp_bind(s, found), why = errno;
    freeaddrinfo(found);
    if (bound)
        return error_set(e, ERROR_FILE, "--gdb: host '%s', port '%s' cannot be listened at: %s",
                         length ? host : "127.0.0.1", colon + 1, strerror(why));
    tcp_name(s);
    return 0;
}

int gdb_socket_open(struct gdb_socket *s, const char *address, struct error *e)
{
    const size_t prefix = strlen(UNIX_PREFIX);
    s->listener = s->client = -1;
    return strncmp(address, UNIX_PREFIX, prefix) ? tcp_open(s, address, e)
                                                 : unix_open(s, address + prefix, e);
}

int gdb_socket_listen(struct gdb_socket *s, struct error *e)
{
    return listen(s->listener, 1)
               ? error_set(e, ERROR_FILE, "--gdb: %s: %s", s->name, strerror(errno))
               : 0;
}

void gdb_socket_accept(struct gdb_socket *s)
{
    const struct timeval limit = {.tv_sec = SEND_SECONDS};
    const int on = 1;
    s->client = accept(s->listener, NULL, NULL);
    if (s->client < 0)
        return;
    fcntl(s->client, F_SETFD, FD_CLOEXEC);
    setsockopt(s->client, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (!s->path)
        setsockopt(s->client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

ssize_t gdb_socket_receive(struct gdb_socket *s, u8 *out, size_t size)
{
    const ssize_t got = s->client < 0 ? 0 : recv(s->client, out, size, MSG_DONTWAIT);
    return got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR ? 0 : got;
}

/* Sends bytes. If the client is gone, the next receive reports that. After a signal this waits for
 * no client. */
void gdb_socket_send(struct gdb_socket *s, const void *data, size_t size)
{
    for (const u8 *p = data; size && s->client >= 0;) {
        const int patience = run_signals_ending() ? MSG_DONTWAIT : 0;
        const ssize_t n = send(s->client, p, size, MSG_NOSIGNAL | patience);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            gdb_socket_drop(s);
            return;
        }
        p += n;
        size -= (size_t)n;
    }
}

void gdb_socket_drop(struct gdb_socket *s)
{
    if (s->client >= 0)
        close(s->client);
    s->client = -1;
}

void gdb_socket_close(struct gdb_socket *s)
{
    gdb_socket_drop(s);
    if (s->listener >= 0)
        close(s->listener);
    if (s->path)
        unlink(s->path);
    s->listener = -1;
    s->path = NULL;
}
