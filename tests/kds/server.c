/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key distribution service over real sockets: requests, garbage, endless heads, clients that
 * are slow or go away, and how many requests a second it answers.
 */
#include "rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct kds *kds;
static u32 logged;

static void count_log(void *context, const char *method, const char *url, u32 status)
{
    (void)context;
    assert_true(*method && url && status >= 200);
    __atomic_add_fetch(&logged, 1, __ATOMIC_SEQ_CST);
}

static struct kds *serve(struct kds_config config)
{
    struct error e = {.code = ERROR_NONE};
    config.log = count_log;
    struct kds *k = kds_create(&config, &e);
    assert_non_null(k);
    if (kds_start(k, &e))
        print_message("# %s\n", e.text);
    assert_int_not_equal(kds_port(k), 0);
    return k;
}

static int start(void **state)
{
    if (rig_make(state))
        return -1;
    kds = serve(rig_config());
    return 0;
}

static int stop(void **state)
{
    kds_free(kds);
    return rig_free(state);
}

static s64 now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (s64)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int dial(const struct kds *k)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(kds_port(k)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int s = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(s >= 0);
    assert_int_equal(connect(s, (struct sockaddr *)&at, sizeof at), 0);
    return s;
}

/* Sends what the peer will take. */
static void say(int s, const void *data, size_t size)
{
    const u8 *at = data;
    while (size) {
        ssize_t n = send(s, at, size, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        at += n;
        size -= (size_t)n;
    }
}

/* Everything until the peer closes, or `ms` pass without a byte; its status, 0 if there was
 * none. */
static u32 hear(int s, char *text, size_t room, int ms)
{
    size_t at = 0;
    struct pollfd p = {.fd = s, .events = POLLIN};
    while (at < room - 1 && poll(&p, 1, ms) > 0) {
        ssize_t n = recv(s, text + at, room - 1 - at, 0);
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    text[at] = 0;
    u32 status = 0;
    if (!strncmp(text, "HTTP/1.", 7))
        status = (u32)strtoul(text + 9, NULL, 10);
    return status;
}

static u32 talk(const struct kds *k, const char *request, char *text, size_t room)
{
    int s = dial(k);
    say(s, request, strlen(request));
    u32 status = hear(s, text, room, 5000);
    close(s);
    return status;
}

static char text[KDS_BODY_MAX];

static void it_answers_http(void **state)
{
    (void)state;
    char request[400];
    assert_int_equal(
        talk(kds, "GET /vcek/v1/Milan/cert_chain HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
             text, sizeof text),
        200);
    assert_non_null(strstr(text, "\r\nContent-Type: application/x-pem-file\r\n"));
    assert_non_null(strstr(text, "\r\n\r\n-----BEGIN CERTIFICATE-----\n"));
    assert_int_equal(
        talk(kds, "HEAD /vcek/v1/Milan/cert_chain HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
             text, sizeof text),
        200);
    assert_null(strstr(text, "BEGIN"));
    assert_int_equal(
        talk(kds, "DELETE /vcek/v1/Milan/crl HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
             text, sizeof text),
        405);
    assert_non_null(strstr(text, "\r\nAllow: GET, HEAD\r\n"));
    snprintf(request, sizeof request,
             "POST /vlek/v1/Turin/hash_sticks?fmcSPL=0&blSPL=1&teeSPL=0&snpSPL=2&ucodeSPL=71 "
             "HTTP/1.1\r\nHost: x\r\n"
             "Connection: close\r\nContent-Length: 32\r\n\r\n{\"hwids\":[\"%s\"]}  ",
             rig_id(8));
    assert_int_equal(talk(kds, request, text, sizeof text), 200);
    assert_non_null(strstr(text, "{\"results\":[{\""));
    /* two in one connection */
    assert_int_equal(
        talk(kds,
             "GET /vcek/v1/Milan/crl HTTP/1.1\r\nHost: x\r\n\r\nGET /x HTTP/1.1\r\nHost: x\r\n"
             "Connection: close\r\n\r\n",
             text, sizeof text),
        200);
}

static void endless_addresses_and_bodies_are_refused(void **state)
{
    (void)state;
    static char request[KIB(200)];
    int n = snprintf(request, sizeof request, "GET /");
    memset(request + n, 'a', 5000);
    snprintf(request + n + 5000, 100, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_int_equal(talk(kds, request, text, sizeof text), 414);
    memset(request + n, 'a', 100000);
    u32 status = talk(kds, request, text, sizeof text);
    assert_true(status == 0 || status == 414 || status == 431);
    n = snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: x\r\nX: ");
    memset(request + n, 'a', 100000);
    snprintf(request + n + 100000, 100, "\r\n\r\n");
    status = talk(kds, request, text, sizeof text);
    assert_true(status == 0 || status == 413 || status == 431);
    n = snprintf(request, sizeof request,
                 "POST /vlek/v1/Milan/hash_sticks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                 "Content-Length: 100000\r\n\r\n");
    memset(request + n, ' ', 100000);
    request[n + 100000] = 0;
    assert_int_equal(talk(kds, request, text, sizeof text), 413);
}

/* Random bytes, halves of requests, clients that leave: afterwards it answers as before. */
static void garbage_ends_nothing(void **state)
{
    (void)state;
    static const char whole[] = "POST /vlek/v1/Milan/hash_sticks?blSPL=4 HTTP/1.1\r\nHost: x\r\n"
                                "Content-Length: 10\r\n\r\n{\"hwids\":1";
    u8 noise[4096];
    for (u32 i = 0; i < 200; i++) {
        int s = dial(kds);
        crypto_random(rig_crypto, noise, sizeof noise);
        size_t size = 1 + load_le16(noise) % (sizeof noise - 1);
        if (i % 3 == 0)
            say(s, noise + 2, size - 1);
        else if (i % 3 == 1)
            say(s, whole, size % sizeof whole);
        else
            say(s, "GET /\0\x01 HTTP/9.9\n\n\n", 1 + size % 19);
        if (i % 10 == 0)
            hear(s, text, sizeof text, 20);
        close(s);
    }
    assert_int_equal(talk(kds, "GET /vcek/v1/Genoa/crl HTTP/1.0\r\n\r\n", text, sizeof text), 200);
}

static void slow_clients_keep_nobody_waiting(void **state)
{
    (void)state;
    int slow[40];
    for (size_t i = 0; i < ARRAY_SIZE(slow); i++) {
        slow[i] = dial(kds);
        say(slow[i], "GET /vcek/v1/Mi", 15); /* and no more */
    }
    assert_int_equal(talk(kds, "GET /vcek/v1/Genoa/crl HTTP/1.0\r\n\r\n", text, sizeof text), 200);
    for (size_t i = 0; i < ARRAY_SIZE(slow); i++)
        close(slow[i]);
}

static int dial_from(const struct kds *k, u32 address)
{
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(kds_port(k)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int s = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(s >= 0);
    assert_int_equal(bind(s, (struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(connect(s, (struct sockaddr *)&at, sizeof at), 0);
    return s;
}

/* Where all places are taken, the slowest client of the busiest address gives up its own; never
 * another address's. */
static void slow_clients_lock_nobody_out(void **state)
{
    static int slow[HTTP_CONNECTIONS_MAX + 100];
    (void)state;
    int other = dial_from(kds, INADDR_LOOPBACK + 1);
    say(other, "GET /vcek/v1/Mi", 15);
    for (size_t i = 0; i < ARRAY_SIZE(slow); i++) {
        slow[i] = dial(kds);
        say(slow[i], "GET /vcek/v1/Mi", 15);
    }
    s64 start_ms = now_ms();
    assert_int_equal(talk(kds, "GET /vcek/v1/Genoa/crl HTTP/1.0\r\n\r\n", text, sizeof text), 200);
    say(other, "lan/crl HTTP/1.0\r\n\r\n", 20);
    assert_int_equal(hear(other, text, sizeof text, 5000), 200);
    assert_true(now_ms() - start_ms < 4000);
    close(other);
    for (size_t i = 0; i < ARRAY_SIZE(slow); i++)
        close(slow[i]);
}

static void heads_have_a_deadline_of_their_own(void **state)
{
    (void)state;
    int s = dial(kds);
    struct pollfd p = {.fd = s, .events = POLLIN};
    say(s, "GET /vcek/v1/Mi", 15);
    s64 start_ms = now_ms();
    assert_int_equal(poll(&p, 1, 9000), 1);
    assert_true(now_ms() - start_ms < 8000);
    close(s);
}

static void a_delay_is_the_delayed_ones_alone(void **state)
{
    (void)state;
    struct kds_config config = rig_config();
    config.injection = (struct kds_injection){.every = {[KDS_FAULT_DELAY] = 1}, .delay_ms = 300};
    struct kds *k = serve(config);
    int s[5];
    s64 start_ms = now_ms();
    for (size_t i = 0; i < ARRAY_SIZE(s); i++) {
        s[i] = dial(k);
        say(s[i], "GET /vcek/v1/Milan/crl HTTP/1.0\r\n\r\n", 36);
    }
    for (size_t i = 0; i < ARRAY_SIZE(s); i++) {
        assert_int_equal(hear(s[i], text, sizeof text, 5000), 200);
        close(s[i]);
    }
    s64 took = now_ms() - start_ms;
    assert_true(took >= 300 && took < 1400); /* and not five times as long */
    kds_free(k);
}

static void it_ends_although_an_answer_is_delayed(void **state)
{
    (void)state;
    struct kds_config config = rig_config();
    config.injection = (struct kds_injection){.every = {[KDS_FAULT_DELAY] = 1}, .delay_ms = 60000};
    struct kds *k = serve(config);
    u32 before = logged;
    s64 start_ms = now_ms();
    int s = dial(k);
    say(s, "GET /vcek/v1/Milan/crl HTTP/1.0\r\n\r\n", 36);
    const struct timespec pause = {.tv_nsec = 20000000};
    for (u32 i = 0; i < 200 && __atomic_load_n(&logged, __ATOMIC_SEQ_CST) == before; i++)
        nanosleep(&pause, NULL);
    kds_free(k);
    assert_int_equal(logged, before + 1);
    assert_true(now_ms() - start_ms < 20000);
    close(s);
}

/* A byte now and then is no silence; it is no request in time either. */
static void a_client_that_drips_is_cut_off(void **state)
{
    (void)state;
    static const char head[] =
        "GET /vcek/v1/Milan/crl HTTP/1.1\r\nHost: x\r\nX-Slow: aaaaaaaaaaaaaaa";
    const struct timespec pause = {.tv_nsec = 100000000};
    struct kds_config config = rig_config();
    config.request_seconds = 1;
    struct kds *k = serve(config);
    int s = dial(k);
    s64 start_ms = now_ms();
    struct pollfd p = {.fd = s, .events = POLLIN};
    for (size_t i = 0; i < sizeof head - 1 && !poll(&p, 1, 0); i++) {
        say(s, head + i, 1);
        nanosleep(&pause, NULL);
    }
    assert_int_equal(poll(&p, 1, 0), 1);
    assert_true(recv(s, text, sizeof text, 0) <= 0);
    s64 took = now_ms() - start_ms;
    print_message("# cut off after %lld ms\n", (long long)took);
    assert_true(took >= 1000 && took < 3500);
    close(s);
    kds_free(k);
}

/* Whoever is quick keeps a connection for longer than one request may take. */
static void a_connection_may_outlive_a_request(void **state)
{
    (void)state;
    static const char request[] = "GET /vcek/v1/Milan/crl HTTP/1.1\r\nHost: x\r\n\r\n";
    const struct timespec pause = {.tv_nsec = 400000000};
    struct kds_config config = rig_config();
    config.request_seconds = 1;
    config.injection = (struct kds_injection){.every = {[KDS_FAULT_DELAY] = 4}, .delay_ms = 1500};
    struct kds *k = serve(config);
    int s = dial(k);
    for (u32 i = 0; i < 5; i++) {
        struct pollfd p = {.fd = s, .events = POLLIN};
        say(s, request, sizeof request - 1);
        assert_int_equal(poll(&p, 1, 5000), 1);
        assert_true(recv(s, text, sizeof text, 0) > 100);
        assert_memory_equal(text, "HTTP/1.1 200 ", 13);
        nanosleep(&pause, NULL);
        while (poll(&p, 1, 0))
            assert_true(recv(s, text, sizeof text, 0) > 0);
    }
    close(s);
    kds_free(k);
}

static void throttling_says_when_to_come_again(void **state)
{
    (void)state;
    struct kds_config config = rig_config();
    config.injection.every[KDS_FAULT_429] = 1;
    struct kds *k = serve(config);
    assert_int_equal(talk(k, "GET /vcek/v1/Milan/crl HTTP/1.0\r\n\r\n", text, sizeof text), 429);
    assert_non_null(strstr(text, "\r\nRetry-After: 1\r\n"));
    kds_free(k);
}

/* Over one connection; the certificate is made once. */
static void hundreds_of_requests_a_second(void **state)
{
    (void)state;
    char request[400];
    const u32 requests = 500;
    snprintf(
        request, sizeof request,
        "GET /vcek/v1/Milan/%s?blSPL=4&teeSPL=0&snpSPL=24&ucodeSPL=219 HTTP/1.1\r\nHost: x\r\n\r\n",
        rig_id(64));
    u32 before = logged;
    s64 start_ms = now_ms();
    for (u32 i = 0; i < requests; i++) {
        int s = dial(kds);
        say(s, request, strlen(request));
        struct pollfd p = {.fd = s, .events = POLLIN};
        assert_int_equal(poll(&p, 1, 5000), 1);
        assert_true(recv(s, text, sizeof text, 0) > 1000);
        assert_memory_equal(text, "HTTP/1.1 200 ", 13);
        close(s);
    }
    s64 took = now_ms() - start_ms;
    print_message("# %u requests in %lld ms, each in a connection of its own\n", requests,
                  (long long)took);
    assert_int_equal(logged - before, requests);
    assert_true(took < 5000);
}

static void addresses_that_cannot_be_had(void **state)
{
    (void)state;
    char taken[40];
    snprintf(taken, sizeof taken, "127.0.0.1:%u", kds_port(kds));
    const struct {
        const char *listen;
        enum error_code code;
    } cases[] = {{"8080", ERROR_USAGE},
                 {"127.0.0.1", ERROR_USAGE},
                 {"127.0.0.1:", ERROR_USAGE},
                 {"127.0.0.1:65536", ERROR_USAGE},
                 {"127.0.0.1:1x", ERROR_USAGE},
                 {"localhost.invalid:1", ERROR_USAGE},
                 {"", ERROR_USAGE},
                 {":1", ERROR_USAGE},
                 {taken, ERROR_FILE}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct kds_config config = rig_config();
        struct error e = {.code = ERROR_NONE};
        config.listen = cases[i].listen;
        struct kds *k = kds_create(&config, &e);
        assert_int_equal(kds_start(k, &e), -1);
        if (e.code != cases[i].code)
            print_message("# %s: %s\n", cases[i].listen, e.text);
        assert_int_equal(e.code, cases[i].code);
        kds_free(k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_answers_http),
        cmocka_unit_test(endless_addresses_and_bodies_are_refused),
        cmocka_unit_test(garbage_ends_nothing),
        cmocka_unit_test(slow_clients_keep_nobody_waiting),
        cmocka_unit_test(slow_clients_lock_nobody_out),
        cmocka_unit_test(heads_have_a_deadline_of_their_own),
        cmocka_unit_test(a_delay_is_the_delayed_ones_alone),
        cmocka_unit_test(it_ends_although_an_answer_is_delayed),
        cmocka_unit_test(a_client_that_drips_is_cut_off),
        cmocka_unit_test(a_connection_may_outlive_a_request),
        cmocka_unit_test(throttling_says_when_to_come_again),
        cmocka_unit_test(hundreds_of_requests_a_second),
        cmocka_unit_test(addresses_that_cannot_be_had),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
