/* SPDX-License-Identifier: Apache-2.0 */
/* The network of a program that was built without libslirp: there is none. */
#include "net/net.h"

struct net *net_create(const struct net_options *o, u64 (*now_ns)(void), struct error *e)
{
    (void)o;
    (void)now_ns;
    error_set(e, ERROR_INTERNAL,
              "this softsev was built without libslirp, which --net user needs; install "
              "libslirp-dev (4.7 or later) and build it again");
    return NULL;
}

void net_destroy(struct net *n)
{
    (void)n;
}

void net_send(struct net *n, const void *frame, size_t size)
{
    (void)n;
    (void)frame;
    (void)size;
}

const void *net_frame(const struct net *n, size_t *size)
{
    (void)n;
    *size = 0;
    return NULL;
}

void net_next(struct net *n)
{
    (void)n;
}

u64 net_lost(const struct net *n)
{
    (void)n;
    return 0;
}

void net_prepare(struct net *n, struct net_polls *p, u64 *wait_ns)
{
    (void)n;
    (void)p;
    (void)wait_ns;
}

void net_serve(struct net *n, const struct net_polls *p)
{
    (void)n;
    (void)p;
}
