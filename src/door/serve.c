/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that answers notifications, one at a time. Nearly every notification is an open of an
 * ordinary file: this thread reads the path and lets the kernel continue. If reading hangs, the
 * main thread answers instead, leaves this thread behind and starts another one.
 */
#define _GNU_SOURCE
#include "door/internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TICKS_MAX                                                                                  \
    4u /* units of SERVER_TICK_MS without progress, after which reading counts as hanging */

enum server_stage { SERVER_WORKS, SERVER_READS, SERVER_LEFT };

static void server_free(struct server *v)
{
    if (!v)
        return;
    free(v->request);
    free(v->response);
    free(v);
}

static void *server_run(void *argument)
{
    struct server *v = argument;
    struct pollfd fds[] = {{.fd = v->s->listener, .events = POLLIN},
                           {.fd = v->s->stop, .events = POLLIN}};
    for (;;) {
        if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
            continue;
        if (fds[1].revents || (fds[0].revents && !(fds[0].revents & POLLIN)))
            return NULL; /* nobody runs under the filter any more, or the door is closed */
        if (fds[0].revents && !calls_serve(v))
            break;
    }
    stuck_drop(v->stuck);
    server_free(v);
    return NULL;
}

int server_start(struct supervisor *s, struct error *e)
{
    struct server *v = calloc(1, sizeof *v);
    if (v) {
        v->s = s;
        v->stuck = s->stuck;
        v->request = calloc(1, s->request_size);
        v->response = calloc(1, s->response_size);
    }
    if (v && v->request && v->response && pthread_create(&v->thread, NULL, server_run, v) == 0) {
        s->server = v;
        return 0;
    }
    server_free(v);
    return error_set(e, ERROR_INTERNAL, "no thread to answer system calls");
}

void server_end(struct supervisor *s)
{
    const u64 one = 1;
    if (!s->server)
        return;
    if (write(s->stop, &one, sizeof one) == (ssize_t)sizeof one)
        pthread_join(s->server->thread, NULL);
    server_free(s->server);
    s->server = NULL;
}

/* --- Reading that may hang -------------------------------------------------------------------- */

bool server_read_begin(struct server *v)
{
    const u64 one = 1;
    if (stuck_full(v->stuck))
        return false;
    atomic_store(&v->stage, SERVER_READS);
    atomic_fetch_add(&v->s->reads, 1);
    if (!atomic_exchange(&v->s->watching, true) && write(v->s->bell, &one, sizeof one) < 0)
        atomic_store(&v->s->watching, false);
    return true;
}

bool server_read_end(struct server *v)
{
    u32 reads = SERVER_READS;
    return atomic_compare_exchange_strong(&v->stage, &reads, SERVER_WORKS);
}

/* Lets the kernel do the call: if the kernel also has to wait for the path, only the caller
 * waits. */
static int leave_behind(struct supervisor *s, struct error *e)
{
    struct server *v = s->server;
    const u64 id = v->request->id;
    u32 reads = SERVER_READS;
    if (!stuck_add(s->stuck))
        return 0;
    if (!atomic_compare_exchange_strong(&v->stage, &reads, SERVER_LEFT)) {
        stuck_drop(s->stuck);
        return 0;
    }
    pthread_detach(v->thread);
    s->server = NULL;
    memset(s->response, 0, s->response_size);
    s->response->id = id;
    s->response->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SEND, s->response);
    return server_start(s, e);
}

int server_watch(struct supervisor *s, struct error *e)
{
    u32 reads = atomic_load(&s->reads);
    if (reads == s->reads_seen && atomic_load(&s->server->stage) == SERVER_READS) {
        if (++s->ticks < TICKS_MAX)
            return 0;
        s->ticks = 0;
        return leave_behind(s, e);
    }
    s->ticks = 0;
    if (reads == s->reads_seen) { /* nothing to watch: sleep until the next read begins */
        atomic_store(&s->watching, false);
        if (atomic_load(&s->reads) != reads)
            atomic_store(&s->watching, true);
    }
    s->reads_seen = reads;
    return 0;
}
