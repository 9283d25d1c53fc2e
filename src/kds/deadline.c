/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A deadline for each request: the library's own limit is for silence, and a client that sends a byte now and then would
 * keep its connection for ever. A thread looks at all connections and shuts down those whose time is over; the library
 * then ends them as it ends any that was cut.
 */
#include "kds/internal.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#define LOOK_NS 200000000ull

struct kds_guard {
    int socket;   /* -1: free */
    u64 until_ns; /* 0: none; the answer is being made */
};

static u64 now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}

static void end_late_ones(struct kds_deadlines *d)
{
    const u64 now = now_ns();
    for (size_t i = 0; i < KDS_CONNECTIONS_MAX; i++) {
        struct kds_guard *g = &d->guards[i];
        if (g->socket < 0 || !g->until_ns || now < g->until_ns)
            continue;
        shutdown(g->socket, SHUT_RDWR);
        g->until_ns = 0;
    }
}

static void *watch(void *deadlines)
{
    struct kds_deadlines *d = deadlines;
    pthread_mutex_lock(&d->mutex);
    while (!d->ending) {
        end_late_ones(d);
        const u64 next = now_ns() + LOOK_NS;
        const struct timespec until = {.tv_sec = (time_t)(next / 1000000000),
                                       .tv_nsec = (long)(next % 1000000000)};
        pthread_cond_timedwait(&d->end, &d->mutex, &until);
    }
    pthread_mutex_unlock(&d->mutex);
    return NULL;
}

bool kds_deadlines_start(struct kds_deadlines *d, u32 seconds)
{
    pthread_condattr_t monotonic;
    d->seconds = seconds;
    d->guards = malloc(KDS_CONNECTIONS_MAX * sizeof *d->guards);
    if (!d->guards)
        return false;
    for (size_t i = 0; i < KDS_CONNECTIONS_MAX; i++)
        d->guards[i] = (struct kds_guard){.socket = -1};
    pthread_mutex_init(&d->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&d->end, &monotonic);
    pthread_condattr_destroy(&monotonic);
    d->started = pthread_create(&d->thread, NULL, watch, d) == 0;
    return d->started;
}

void kds_deadlines_stop(struct kds_deadlines *d)
{
    if (!d->guards)
        return;
    pthread_mutex_lock(&d->mutex);
    d->ending = true;
    pthread_cond_broadcast(&d->end);
    pthread_mutex_unlock(&d->mutex);
    if (d->started)
        pthread_join(d->thread, NULL);
    pthread_cond_destroy(&d->end);
    pthread_mutex_destroy(&d->mutex);
    free(d->guards);
}

struct kds_guard *kds_deadline_open(struct kds_deadlines *d, int socket)
{
    struct kds_guard *found = NULL;
    pthread_mutex_lock(&d->mutex);
    for (size_t i = 0; i < KDS_CONNECTIONS_MAX && !found; i++)
        if (d->guards[i].socket < 0)
            found = &d->guards[i];
    if (found)
        *found = (struct kds_guard){socket, now_ns() + d->seconds * 1000000000ull};
    pthread_mutex_unlock(&d->mutex);
    return found;
}

void kds_deadline_close(struct kds_deadlines *d, struct kds_guard *g)
{
    pthread_mutex_lock(&d->mutex);
    g->socket = -1;
    pthread_mutex_unlock(&d->mutex);
}

void kds_deadline_set(struct kds_deadlines *d, struct kds_guard *g, bool counts)
{
    pthread_mutex_lock(&d->mutex);
    g->until_ns = counts ? now_ns() + d->seconds * 1000000000ull : 0;
    pthread_mutex_unlock(&d->mutex);
}
