/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's network in user mode, without privileges: libslirp answers DHCP and ARP, and carries
 * the guest's TCP and UDP by sockets of this process. It is 10.0.2.0/24, as QEMU's: the guest is
 * 10.0.2.15, the host 10.0.2.2, the name server 10.0.2.3. Nothing here touches a guest: its owner
 * fetches the frames when it wants to deliver them.
 */
#ifndef SOFTSEV_NET_NET_H
#define SOFTSEV_NET_NET_H

#include "base/error.h"

#include <stddef.h>

#define NET_FRAME_MAX   1514u /* bytes of an Ethernet frame, without its checksum */
#define NET_PUBLISH_MAX 32u

/* A port of the host whose connections or datagrams go to a port of the guest. */
struct net_publish {
    bool udp;
    u8 address[4]; /* of the host: where it listens */
    u16 host_port, guest_port;
};

struct net_options {
    bool on;
    struct net_publish publish[NET_PUBLISH_MAX];
    u32 publish_count;
};

/* The address of the network card of a run's first machine (0), or of a later one. */
void net_card_address(u32 machine, u8 mac[6]);

/* Parses "off" or "user[,publish=[ADDRESS:]HOST:GUEST[/udp]]...". */
int net_parse(const char *text, struct net_options *out, struct error *e);

/* Descriptors that networks wait for. Starts as {0}; net_polls_free() frees it. */
struct pollfd;
struct net_polls {
    struct pollfd *fds;
    size_t count, room;
};
/* Empties the list, except for `count` entries at its start that the caller fills. Returns false if
 * there is no memory. */
bool net_polls_reserve(struct net_polls *p, size_t count);
bool net_polls_add(struct net_polls *p, int fd, short events);
void net_polls_free(struct net_polls *p);

struct net;

/* Opens the network and its published ports. `now_ns` is a clock that never goes back. Returns NULL
 * and an error if a port cannot be opened, or if the program was built without libslirp. */
struct net *net_create(const struct net_options *o, u64 (*now_ns)(void), struct error *e);
void net_destroy(struct net *n); /* NULL does nothing */

/* Takes a frame from the guest. */
void net_send(struct net *n, const void *frame, size_t size);
/* Returns the oldest frame for the guest, which stays until net_next(); NULL: there is none. At
 * most NET_WAITING_MAX frames wait; more are lost, as on a line that is too slow. */
#define NET_WAITING_MAX 512u
const void *net_frame(const struct net *n, size_t *size);
void net_next(struct net *n);
u64 net_lost(const struct net *n); /* frames that found no room */

/* Call it before a wait. Adds the descriptors whose events the network needs, and shortens the
 * wait. While many frames wait for the guest, the host's sockets are not read. */
void net_prepare(struct net *n, struct net_polls *p, u64 *wait_ns);
/* Call it after the wait. Handles the events of the descriptors. */
void net_serve(struct net *n, const struct net_polls *p);

#endif
