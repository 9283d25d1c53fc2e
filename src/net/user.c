/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libslirp as a guest's network. The library is loaded when a network is opened, because loading
 * takes longer than most commands. It never blocks: net_prepare() asks it what it wants to wait
 * for. IPv6 is off, and with it the library's only timers.
 */
#include "net/net.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_VERSION 4 /* of libslirp 4.7; later libraries take it, too */
#define NS_PER_MS      1000000ull

/* With more frames than this waiting for the guest, nothing is read from the host's sockets. */
#define WAITING_MANY 256u

struct library {
    void *handle;
    Slirp *(*new)(const SlirpConfig *config, const SlirpCb *callbacks, void *opaque);
    void (*cleanup)(Slirp *slirp);
    void (*pollfds_fill)(Slirp *slirp, uint32_t *timeout, SlirpAddPollCb add_poll, void *opaque);
    void (*pollfds_poll)(Slirp *slirp, int select_error, SlirpGetREventsCb get_revents,
                         void *opaque);
    void (*input)(Slirp *slirp, const uint8_t *packet, int size);
    int (*add_hostfwd)(Slirp *slirp, int is_udp, struct in_addr host_address, int host_port,
                       struct in_addr guest_address, int guest_port);
};

struct frame {
    size_t size;
    u8 bytes[NET_FRAME_MAX];
};

struct net {
    struct library library;
    Slirp *slirp;
    u64 (*now_ns)(void);
    u32 first, count; /* the ring of frames that wait for the guest */
    u64 lost;
    struct frame waiting[NET_WAITING_MAX];
};

static int load(struct library *l, struct error *e)
{
    const struct {
        const char *name;
        void *function; /* the place for its address */
    } names[] = {
        {"slirp_new", &l->new},
        {"slirp_cleanup", &l->cleanup},
        {"slirp_pollfds_fill", &l->pollfds_fill},
        {"slirp_pollfds_poll", &l->pollfds_poll},
        {"slirp_input", &l->input},
        {"slirp_add_hostfwd", &l->add_hostfwd},
    };
    l->handle = dlopen("libslirp.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!l->handle)
        return error_set(e, ERROR_INTERNAL, "--net user needs libslirp (Debian: libslirp0): %s",
                         dlerror());
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        void *address = dlsym(l->handle, names[i].name);
        if (!address)
            return error_set(e, ERROR_INTERNAL, "libslirp has no %s", names[i].name);
        memcpy(names[i].function, &address, sizeof address);
    }
    return 0;
}

/* --- What libslirp calls ---------------------------------------------------------------------- */

static ssize_t on_frame(const void *bytes, size_t size, void *opaque)
{
    struct net *n = opaque;
    if (size > NET_FRAME_MAX || n->count == NET_WAITING_MAX) {
        n->lost++;
        return (ssize_t)size; /* TCP will send it again */
    }
    struct frame *f = &n->waiting[(n->first + n->count++) % NET_WAITING_MAX];
    f->size = size;
    memcpy(f->bytes, bytes, size);
    return (ssize_t)size;
}

static void on_guest_error(const char *message, void *opaque)
{
    (void)message; /* the guest's errors are not reported: it may send anything */
    (void)opaque;
}

static int64_t on_clock(void *opaque)
{
    const struct net *n = opaque;
    return (int64_t)n->now_ns();
}

static void *on_timer_new(SlirpTimerId id, void *timer_opaque, void *opaque)
{
    (void)id;
    (void)timer_opaque;
    return opaque; /* never used: only IPv6 has timers */
}

static void on_timer_free(void *timer, void *opaque)
{
    (void)timer;
    (void)opaque;
}

static void on_timer_mod(void *timer, int64_t when_ms, void *opaque)
{
    (void)timer;
    (void)when_ms;
    (void)opaque;
}

static void on_descriptor(int fd, void *opaque)
{
    (void)fd; /* net_prepare() asks for all of them each time */
    (void)opaque;
}

static void on_notify(void *opaque)
{
    (void)opaque;
}

static const SlirpCb callbacks = {
    .send_packet = on_frame,
    .guest_error = on_guest_error,
    .clock_get_ns = on_clock,
    .timer_new_opaque = on_timer_new,
    .timer_free = on_timer_free,
    .timer_mod = on_timer_mod,
    .register_poll_fd = on_descriptor,
    .unregister_poll_fd = on_descriptor,
    .notify = on_notify,
};

/* --- Opening ---------------------------------------------------------------------------------- */

static int publish(struct net *n, const struct net_publish *p, struct error *e)
{
    struct in_addr host, guest = {.s_addr = 0}; /* 0: the address that DHCP gives */
    char text[INET_ADDRSTRLEN];
    memcpy(&host, p->address, sizeof host);
    errno = 0;
    if (!n->library.add_hostfwd(n->slirp, p->udp, host, p->host_port, guest, p->guest_port))
        return 0;
    const int why = errno;
    inet_ntop(AF_INET, &host, text, sizeof text);
    return error_set(e, ERROR_INTERNAL, "--net: port %u (%s) of %s cannot be published: %s",
                     p->host_port, p->udp ? "udp" : "tcp", text, strerror(why));
}

struct net *net_create(const struct net_options *o, u64 (*now_ns)(void), struct error *e)
{
    const SlirpConfig config = {
        .version = CONFIG_VERSION,
        .in_enabled = true,
        .vnetwork.s_addr = htonl(0x0a000200),
        .vnetmask.s_addr = htonl(0xffffff00),
        .vhost.s_addr = htonl(0x0a000202),
        .vnameserver.s_addr = htonl(0x0a000203),
        .vdhcp_start.s_addr = htonl(0x0a00020f),
    };
    struct net *n = calloc(1, sizeof *n);
    if (!n) {
        error_set(e, ERROR_MEMORY, "no memory for a network");
        return NULL;
    }
    n->now_ns = now_ns;
    bool good = !load(&n->library, e) && n->library.new;
    if (good && !(n->slirp = n->library.new(&config, &callbacks, n))) {
        error_set(e, ERROR_INTERNAL, "libslirp opens no network; version 4.7 or later is needed");
        good = false;
    }
    for (u32 i = 0; good && i < o->publish_count; i++)
        good = !publish(n, &o->publish[i], e);
    if (good)
        return n;
    net_destroy(n);
    return NULL;
}

void net_destroy(struct net *n)
{
    if (!n)
        return;
    if (n->slirp)
        n->library.cleanup(n->slirp);
    if (n->library.handle)
        dlclose(n->library.handle);
    free(n);
}

/* --- Frames ----------------------------------------------------------------------------------- */

void net_send(struct net *n, const void *frame, size_t size)
{
    if (size <= NET_FRAME_MAX)
        n->library.input(n->slirp, frame, (int)size);
}

const void *net_frame(const struct net *n, size_t *size)
{
    const struct frame *f = &n->waiting[n->first];
    *size = n->count ? f->size : 0;
    return n->count ? f->bytes : NULL;
}

void net_next(struct net *n)
{
    if (!n->count)
        return;
    n->first = (n->first + 1) % NET_WAITING_MAX;
    n->count--;
}

u64 net_lost(const struct net *n)
{
    return n->lost;
}

/* --- The host's sockets ----------------------------------------------------------------------- */

static const struct {
    int slirp;
    short poll;
} events[] = {
    {SLIRP_POLL_IN, POLLIN},   {SLIRP_POLL_OUT, POLLOUT}, {SLIRP_POLL_PRI, POLLPRI},
    {SLIRP_POLL_ERR, POLLERR}, {SLIRP_POLL_HUP, POLLHUP},
};

struct preparing {
    const struct net *net;
    struct net_polls *polls;
};

/* Returns the descriptor's place; -1: it is not waited for this time. */
static int add_poll(int fd, int wanted, void *opaque)
{
    const struct preparing *preparing = opaque;
    struct net_polls *p = preparing->polls;
    short bits = 0;
    if (preparing->net->count > WAITING_MANY)
        wanted &= ~(SLIRP_POLL_IN | SLIRP_POLL_PRI);
    for (size_t i = 0; i < ARRAY_SIZE(events); i++)
        bits |= (short)((wanted & events[i].slirp) ? events[i].poll : 0);
    return bits && net_polls_add(p, fd, bits) ? (int)p->count - 1 : -1;
}

static int get_revents(int index, void *opaque)
{
    const struct net_polls *p = opaque;
    int found = 0;
    for (size_t i = 0; index >= 0 && i < ARRAY_SIZE(events); i++)
        found |= (p->fds[index].revents & events[i].poll) ? events[i].slirp : 0;
    return found;
}

void net_prepare(struct net *n, struct net_polls *p, u64 *wait_ns)
{
    struct preparing preparing = {n, p};
    uint32_t timeout_ms = (uint32_t)min_u64(*wait_ns / NS_PER_MS, UINT32_MAX - 1);
    n->library.pollfds_fill(n->slirp, &timeout_ms, add_poll, &preparing);
    *wait_ns = min_u64(*wait_ns, timeout_ms * NS_PER_MS + (timeout_ms ? 0 : NS_PER_MS));
}

void net_serve(struct net *n, const struct net_polls *p)
{
    struct net_polls polls = *p;
    n->library.pollfds_poll(n->slirp, 0, get_revents, &polls);
}
