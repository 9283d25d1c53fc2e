/* SPDX-License-Identifier: Apache-2.0 */
/* The list of descriptors that networks wait for. */
#include "net/net.h"

#include <poll.h>
#include <stdlib.h>

bool net_polls_add(struct net_polls *p, int fd, short events)
{
    if (p->count == p->room) {
        const size_t room = p->room ? 2 * p->room : 16;
        struct pollfd *fds = realloc(p->fds, room * sizeof *fds);
        if (!fds)
            return false;
        p->fds = fds;
        p->room = room;
    }
    p->fds[p->count++] = (struct pollfd){.fd = fd, .events = events};
    return true;
}

bool net_polls_reserve(struct net_polls *p, size_t count)
{
    p->count = 0;
    while (p->count < count)
        if (!net_polls_add(p, -1, 0)) {
            p->count = 0;
            return false;
        }
    return true;
}

void net_polls_free(struct net_polls *p)
{
    free(p->fds);
    *p = (struct net_polls){.fds = NULL};
}
