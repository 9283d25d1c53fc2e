/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A deadline for each request. The library's own limit only covers silence: a client that sends a
 * byte now and then would keep its connection for ever. A thread looks at all connections and shuts
 * down those whose time is over; the library then closes them as it closes any connection that was
 * cut. If there are too many connections, a new one replaces the one that has waited longest among
 * those of the client with the most connections.
 */
#include "http/internal.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <time.h>

#define LOOK_NS     200000000ull
#define SECOND_NS   1000000000ull
#define CLIENT_SIZE 8u /* the part of an IPv6 address that a provider gives to one customer */

struct http_guard {
    int socket; /* -1: free */
    bool ends;  /* the socket was shut down already */
    u8 client[CLIENT_SIZE];
    u64 since_ns; /* start of the client's time */
    u64 until_ns; /* 0: no time runs */
};

static u64 now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * SECOND_NS + (u64)t.tv_nsec;
}

static void end_connection(struct http_guard *g)
{
    shutdown(g->socket, SHUT_RDWR);
    g->ends = true;
}

static void end_late_ones(struct http_deadlines *d)
{
    const u64 now = now_ns();
    for (size_t i = 0; i < HTTP_GUARDS_MAX; i++) {
        struct http_guard *g = &d->guards[i];
        if (g->socket >= 0 && !g->ends && g->until_ns && now >= g->until_ns)
            end_connection(g);
    }
}

static void *watch(void *deadlines)
{
    struct http_deadlines *d = deadlines;
    pthread_mutex_lock(&d->mutex);
    while (!d->ending) {
        end_late_ones(d);
        const u64 next = now_ns() + LOOK_NS;
        const struct timespec until = {.tv_sec = (time_t)(next / SECOND_NS),
                                       .tv_nsec = (long)(next % SECOND_NS)};
        pthread_cond_timedwait(&d->end, &d->mutex, &until);
    }
    pthread_mutex_unlock(&d->mutex);
    return NULL;
}

bool deadlines_start(struct http_deadlines *d, u32 seconds)
{
    pthread_condattr_t monotonic;
    d->seconds = seconds;
    d->head_seconds = (u32)min_u64(seconds, HTTP_HEAD_SECONDS);
    d->guards = malloc(HTTP_GUARDS_MAX * sizeof *d->guards);
    if (!d->guards)
        return false;
    for (size_t i = 0; i < HTTP_GUARDS_MAX; i++)
        d->guards[i] = (struct http_guard){.socket = -1};
    pthread_mutex_init(&d->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&d->end, &monotonic);
    pthread_condattr_destroy(&monotonic);
    d->started = pthread_create(&d->thread, NULL, watch, d) == 0;
    return d->started;
}

void deadlines_stop(struct http_deadlines *d)
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

/* --- Too many connections --------------------------------------------------------------------- */

static bool is_open(const struct http_guard *g)
{
    return g->socket >= 0 && !g->ends;
}

static u32 count_client(const struct http_deadlines *d, const u8 client[CLIENT_SIZE])
{
    u32 count = 0;
    for (size_t i = 0; i < HTTP_GUARDS_MAX; i++)
        count += is_open(&d->guards[i]) && !memcmp(d->guards[i].client, client, CLIENT_SIZE);
    return count;
}

/* Returns NULL if all connections wait for their answers. */
static struct http_guard *find_slowest(struct http_deadlines *d)
{
    struct http_guard *found = NULL;
    u32 most = 0;
    for (size_t i = 0; i < HTTP_GUARDS_MAX; i++) {
        struct http_guard *g = &d->guards[i];
        if (!is_open(g) || !g->until_ns)
            continue;
        u32 count = count_client(d, g->client);
        if (count < most || (found && count == most && g->since_ns >= found->since_ns))
            continue;
        most = count;
        found = g;
    }
    return found;
}

static void copy_client(const struct sockaddr *from, u8 client[CLIENT_SIZE])
{
    memset(client, 0, CLIENT_SIZE);
    if (from && from->sa_family == AF_INET)
        memcpy(client, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
    else if (from && from->sa_family == AF_INET6)
        memcpy(client, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, CLIENT_SIZE);
}

/* --- A connection ----------------------------------------------------------------------------- */

static void run_until(struct http_guard *g, u32 seconds)
{
    g->since_ns = now_ns();
    g->until_ns = g->since_ns + seconds * SECOND_NS;
}

struct http_guard *deadline_open(struct http_deadlines *d, int socket,
                                 const struct sockaddr *client)
{
    struct http_guard *found = NULL;
    u32 open = 0;
    pthread_mutex_lock(&d->mutex);
    for (size_t i = 0; i < HTTP_GUARDS_MAX; i++) {
        open += is_open(&d->guards[i]);
        if (!found && d->guards[i].socket < 0)
            found = &d->guards[i];
    }
    struct http_guard *slowest = open < HTTP_CONNECTIONS_MAX ? NULL : find_slowest(d);
    if (open >= HTTP_CONNECTIONS_MAX && !slowest)
        found = NULL;
    if (found) {
        *found = (struct http_guard){.socket = socket};
        copy_client(client, found->client);
        run_until(found, d->head_seconds);
        if (slowest)
            end_connection(slowest);
    }
    pthread_mutex_unlock(&d->mutex);
    return found;
}

void deadline_close(struct http_deadlines *d, struct http_guard *g)
{
    pthread_mutex_lock(&d->mutex);
    g->socket = -1;
    pthread_mutex_unlock(&d->mutex);
}

void deadline_set(struct http_deadlines *d, struct http_guard *g, enum http_phase phase)
{
    pthread_mutex_lock(&d->mutex);
    if (phase == HTTP_ANSWER)
        g->until_ns = 0;
    else
        run_until(g, phase == HTTP_HEAD ? d->head_seconds : d->seconds);
    pthread_mutex_unlock(&d->mutex);
}
