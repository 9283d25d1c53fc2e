/* SPDX-License-Identifier: Apache-2.0 */
/* The network in user mode, with a guest that is a few frames: ARP, a published port, floods. */
#include "net/net.h"
#include "../needs.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

static bool has_slirp(void)
{
    void *library = dlopen("libslirp.so.0", RTLD_NOW | RTLD_LOCAL);
    struct net_options o = {.on = true};
    struct error e = {.code = ERROR_NONE};
    struct net *n = library ? net_create(&o, NULL, &e) : NULL;
    const bool found = n;
    net_destroy(n);
    if (library)
        dlclose(library);
    return found;
}

static u64 now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000000u + (u64)t.tv_nsec;
}

static const u8 guest_mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};

/* "Who has 10.0.2.2? Tell 10.0.2.15", as an answer: "10.0.2.15 is at ..." */
static void arp(u8 frame[42], bool answer, const u8 host_mac[6])
{
    static const u8 body[] = {0, 1, 8, 0, 6, 4, 0, 1};
    memset(frame, 0, 42);
    memset(frame, 0xff, 6);
    memcpy(frame + 6, guest_mac, 6);
    frame[12] = 8;
    frame[13] = 6;
    memcpy(frame + 14, body, sizeof body);
    frame[21] = answer ? 2 : 1;
    memcpy(frame + 22, guest_mac, 6);
    memcpy(frame + 28, (const u8[]){10, 0, 2, 15}, 4);
    memcpy(frame + 38, (const u8[]){10, 0, 2, 2}, 4);
    if (answer)
        memcpy(frame + 32, host_mac, 6);
}

/* Waits for events once, 20 ms at most. */
static void turn(struct net *n)
{
    struct net_polls p = {.fds = NULL};
    u64 wait_ns = 20000000;
    net_prepare(n, &p, &wait_ns);
    assert_true(wait_ns <= 20000000);
    assert_true(poll(p.fds, p.count, (int)(wait_ns / 1000000)) >= 0);
    net_serve(n, &p);
    net_polls_free(&p);
}

test_that_needs(the_host_answers_arp, .host = has_slirp)
{
    (void)state;
    struct error e = {.code = ERROR_NONE};
    struct net *n = net_create(&(struct net_options){.on = true}, now_ns, &e);
    size_t size;
    u8 frame[42];
    assert_non_null(n);
    assert_null(net_frame(n, &size));
    net_next(n); /* nothing to take: nothing happens */
    arp(frame, false, NULL);
    net_send(n, frame, sizeof frame);
    const u8 *got = net_frame(n, &size);
    assert_non_null(got);
    assert_true(size >= 42 && size <= NET_FRAME_MAX);
    assert_memory_equal(got, guest_mac, 6);
    assert_int_equal(got[21], 2); /* a reply */
    assert_memory_equal(got + 28, ((const u8[]){10, 0, 2, 2}), 4);
    net_next(n);
    assert_null(net_frame(n, &size));
    net_destroy(n);
}

test_that_needs(frames_wait_up_to_a_bound, .host = has_slirp)
{
    (void)state;
    struct error e = {.code = ERROR_NONE};
    struct net *n = net_create(&(struct net_options){.on = true}, now_ns, &e);
    size_t size;
    u32 count = 0;
    u8 frame[42], big[NET_FRAME_MAX + 1] = {0};
    assert_non_null(n);
    net_send(n, big, sizeof big); /* too long, empty, cut short: no frame */
    net_send(n, big, 0);
    net_send(n, big, 13);
    arp(frame, false, NULL);
    for (u32 i = 0; i < NET_WAITING_MAX + 10; i++)
        net_send(n, frame, sizeof frame);
    assert_int_equal(net_lost(n), 10);
    for (; net_frame(n, &size); net_next(n))
        count++;
    assert_int_equal(count, NET_WAITING_MAX);
    net_destroy(n);
}

/* Opens a listening port on the loopback; 0: any. */
static int listen_on(u16 *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(*port)};
    socklen_t size = sizeof at;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

test_that_needs(a_port_that_is_taken_is_named, .host = has_slirp)
{
    (void)state;
    struct net_options o = {.on = true, .publish_count = 1};
    struct error e = {.code = ERROR_NONE};
    u16 port = 0;
    char words[60];
    const int fd = listen_on(&port);
    o.publish[0] = (struct net_publish){false, {127, 0, 0, 1}, port, 80};
    assert_null(net_create(&o, now_ns, &e));
    snprintf(words, sizeof words, "port %u (tcp) of 127.0.0.1 cannot be published", port);
    assert_non_null(strstr(e.text, words));
    close(fd);
}

test_that_needs(a_connection_to_a_published_port_reaches_the_guest, .host = has_slirp)
{
    (void)state;
    struct net_options o = {.on = true, .publish_count = 1};
    struct sockaddr_in at = {.sin_family = AF_INET};
    struct error e = {.code = ERROR_NONE};
    u16 port = 0;
    size_t size;
    u8 frame[42];
    close(listen_on(&port));
    o.publish[0] = (struct net_publish){false, {127, 0, 0, 1}, port, 80};
    struct net *n = net_create(&o, now_ns, &e);
    assert_non_null(n);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connect(fd, (struct sockaddr *)&at, sizeof at);
    bool asked = false, knocked = false;
    for (u32 i = 0; i < 200 && !knocked; i++) {
        turn(n);
        for (const u8 *got; (got = net_frame(n, &size)); net_next(n)) {
            if (got[13] == 6 && !memcmp(got + 38, (const u8[]){10, 0, 2, 15}, 4)) {
                arp(frame, true, got + 6);
                net_send(n, frame, sizeof frame);
                asked = true;
            }
            /* TCP to port 80 with SYN */
            knocked |= got[12] == 8 && got[13] == 0 && got[23] == 6 && got[36] == 0 &&
                       got[37] == 80 && (got[47] & 2);
        }
    }
    assert_true(asked && knocked);
    close(fd);
    net_destroy(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_host_answers_arp),
        cmocka_unit_test(frames_wait_up_to_a_bound),
        cmocka_unit_test(a_port_that_is_taken_is_named),
        cmocka_unit_test(a_connection_to_a_published_port_reaches_the_guest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
