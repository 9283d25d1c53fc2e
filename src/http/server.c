/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP side of a service: libmicrohttpd with one thread for each connection, so that a slow
 * client or a delay keeps no other client waiting. The library is loaded when a server starts,
 * because loading it and its TLS takes longer than most commands.
 */
#include "http/internal.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTION_MEMORY KIB(32) /* bytes: also limits a request's head */
#define IDLE_SECONDS      10u     /* a silent connection ends after this time */
#define BACKLOG           256

struct library {
    void *handle;
    struct MHD_Daemon *(*start_daemon)(unsigned flags, u16 port, MHD_AcceptPolicyCallback accept,
                                       void *accept_context, MHD_AccessHandlerCallback handler,
                                       void *handler_context, ...);
    void (*stop_daemon)(struct MHD_Daemon *daemon);
    struct MHD_Response *(*create_response)(size_t size, void *data,
                                            enum MHD_ResponseMemoryMode mode);
    enum MHD_Result (*add_header)(struct MHD_Response *r, const char *name, const char *value);
    enum MHD_Result (*queue_response)(struct MHD_Connection *c, unsigned status,
                                      struct MHD_Response *r);
    void (*destroy_response)(struct MHD_Response *r);
    enum MHD_Result (*is_supported)(enum MHD_FEATURE feature);
    const char *(*find_value)(struct MHD_Connection *c, enum MHD_ValueKind kind, const char *key);
    const union MHD_ConnectionInfo *(*get_info)(struct MHD_Connection *c,
                                                enum MHD_ConnectionInfoType type, ...);
};

struct http_server {
    struct http_config config;
    struct library library;
    struct MHD_Daemon *daemon;
    int listener; /* file descriptor; the daemon's once it runs */
    u16 port;
    pthread_mutex_t mutex; /* protects the service */
    pthread_cond_t end;    /* wakes threads that delay an answer */
    struct http_deadlines deadlines;
    bool ending;
};

static int load(struct library *l, struct error *e)
{
    const struct {
        const char *name;
        void *function; /* where the function's address is stored */
    } names[] = {
        {"MHD_start_daemon", &l->start_daemon},
        {"MHD_stop_daemon", &l->stop_daemon},
        {"MHD_create_response_from_buffer", &l->create_response},
        {"MHD_add_response_header", &l->add_header},
        {"MHD_queue_response", &l->queue_response},
        {"MHD_destroy_response", &l->destroy_response},
        {"MHD_is_feature_supported", &l->is_supported},
        {"MHD_lookup_connection_value", &l->find_value},
        {"MHD_get_connection_info", &l->get_info},
    };
    l->handle = dlopen("libmicrohttpd.so.12", RTLD_NOW | RTLD_LOCAL);
    if (!l->handle)
        return error_set(e, ERROR_INTERNAL,
                         "a server of HTTP needs libmicrohttpd (Debian: libmicrohttpd12): %s",
                         dlerror());
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        void *address = dlsym(l->handle, names[i].name);
        if (!address)
            return error_set(e, ERROR_INTERNAL, "libmicrohttpd has no %s", names[i].name);
        memcpy(names[i].function, &address, sizeof address);
    }
    return 0;
}

/* --- A request -------------------------------------------------------------------------------- */

/* The part of a request that is kept until its body is complete. */
struct pending {
    char url[HTTP_URL_MAX + 2]; /* one character more than allowed, to show that it was cut */
    bool started;
    size_t body_size; /* may exceed HTTP_REQUEST_MAX; the excess is not kept */
    u8 body[HTTP_REQUEST_MAX];
};

/* Keeps the address as received, before the library parses it. */
static void *keep_url(void *context, const char *url, struct MHD_Connection *connection)
{
    (void)context;
    (void)connection;
    struct pending *p = calloc(1, sizeof *p);
    if (p)
        snprintf(p->url, sizeof p->url, "%s", url);
    return p;
}

/* Gives a connection a deadline when it begins, in addition to the library's limit for silence, and
 * removes it at the end. */
static void guard(void *context, struct MHD_Connection *connection, void **kept,
                  enum MHD_ConnectionNotificationCode what)
{
    struct http_server *s = context;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*kept)
            deadline_close(&s->deadlines, *kept);
        return;
    }
    const union MHD_ConnectionInfo *i =
        s->library.get_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *from =
        s->library.get_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    *kept = i ? deadline_open(&s->deadlines, i->connect_fd, from ? from->client_addr : NULL) : NULL;
    if (i && !*kept)
        shutdown(i->connect_fd, SHUT_RDWR);
}

static void set_deadline(struct http_server *s, struct MHD_Connection *connection,
                         enum http_phase phase)
{
    const union MHD_ConnectionInfo *i =
        s->library.get_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    if (i && i->socket_context)
        deadline_set(&s->deadlines, i->socket_context, phase);
}

/* Frees a request that is over; the time for the next one on this connection begins. */
static void forget(void *context, struct MHD_Connection *connection, void **request,
                   enum MHD_RequestTerminationCode why)
{
    (void)why;
    set_deadline(context, connection, HTTP_HEAD);
    free(*request);
    *request = NULL;
}

/* Waits, unless the server is to end. The mutex is free meanwhile. */
static void wait_ms(struct http_server *s, u32 ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    const u64 ns = (u64)until.tv_nsec + (u64)ms * 1000000;
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    while (!s->ending && pthread_cond_timedwait(&s->end, &s->mutex, &until) == 0)
        ;
}

static enum MHD_Result send_answer(const struct http_server *s, struct MHD_Connection *connection,
                                   const struct http_response *a)
{
    const struct library *l = &s->library;
    char seconds[16];
    struct MHD_Response *r = l->create_response(a->size, a->body, MHD_RESPMEM_MUST_COPY);
    if (!r)
        return MHD_NO;
    l->add_header(r, "Content-Type", a->content_type);
    if (a->allow)
        l->add_header(r, "Allow", a->allow);
    for (const struct http_header *h = a->headers; h && h->name; h++)
        l->add_header(r, h->name, h->value);
    if (a->retry_after_seconds) {
        snprintf(seconds, sizeof seconds, "%u", a->retry_after_seconds);
        l->add_header(r, "Retry-After", seconds);
    }
    enum MHD_Result result = l->queue_response(connection, a->status, r);
    l->destroy_response(r);
    return result;
}

static enum MHD_Result respond(struct http_server *s, struct MHD_Connection *connection,
                               const char *method, const struct pending *p)
{
    const struct http_request request = {
        .method = method,
        .url = p->url,
        .body = p->body,
        .body_size = p->body_size,
        .host = s->library.find_value(connection, MHD_HEADER_KIND, "Host"),
        .origin = s->library.find_value(connection, MHD_HEADER_KIND, "Origin"),
    };
    struct http_response a = {.body = malloc(s->config.response_max)};
    if (!a.body)
        return MHD_NO;
    set_deadline(s, connection, HTTP_ANSWER);
    pthread_mutex_lock(&s->mutex);
    s->config.answer(s->config.context, &request, &a);
    if (a.delay_ms)
        wait_ms(s, a.delay_ms);
    pthread_mutex_unlock(&s->mutex);
    set_deadline(s, connection, HTTP_BODY);
    enum MHD_Result result = send_answer(s, connection, &a);
    free(a.body);
    return result;
}

/* Handles a request. Called when the head is complete, then for each piece of the body, then once
 * more. */
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **request)
{
    (void)url;
    (void)version;
    struct pending *p = *request;
    if (!p)
        return MHD_NO;
    if (!p->started) {
        p->started = true;
        set_deadline(context, connection, HTTP_BODY);
        return MHD_YES;
    }
    if (!*size)
        return respond(context, connection, method, p);
    size_t room = p->body_size < sizeof p->body ? sizeof p->body - p->body_size : 0;
    memcpy(p->body + (sizeof p->body - room), data, *size < room ? *size : room);
    p->body_size = *size > HTTP_REQUEST_MAX ? HTTP_REQUEST_MAX + 1 : p->body_size + *size;
    *size = 0;
    return p->body_size > MIB(1) ? MHD_NO : MHD_YES; /* a larger body is not an honest mistake */
}

/* Drops the library's own messages: they are complaints about clients. */
static void be_silent(void *context, const char *format, va_list arguments)
{
    (void)context;
    (void)format;
    (void)arguments;
}

/* --- The server ------------------------------------------------------------------------------- */

/* Splits "127.0.0.1:8080" or "[::1]:8080". */
static int split_address(const char *listen, char host[64], char port[8], struct error *e)
{
    const char *colon = strrchr(listen, ':');
    const bool bracket = *listen == '[';
    size_t size = colon ? (size_t)(colon - listen) : 0;
    if (bracket && size >= 2 && listen[size - 1] == ']') {
        listen++;
        size -= 2;
    }
    char *end;
    if (!size || size >= 64 || strtoul(colon + 1, &end, 10) > 65535 || *end || end == colon + 1 ||
        end - colon > 6 || colon[1] < '0' || colon[1] > '9')
        return error_set(e, ERROR_USAGE,
                         "'%s' is not an address and a port, such as 127.0.0.1:8080 or [::1]:0",
                         listen);
    memcpy(host, listen, size);
    host[size] = 0;
    snprintf(port, 8, "%s", colon + 1);
    return 0;
}

static int open_listener(struct http_server *s, const char *listen_at, struct error *e)
{
    char host[64], port[8];
    const struct addrinfo want = {.ai_socktype = SOCK_STREAM,
                                  .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *at = NULL;
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    const int yes = 1;
    if (split_address(listen_at, host, port, e))
        return -1;
    int why = getaddrinfo(host, port, &want, &at);
    if (why)
        return error_set(e, ERROR_USAGE, "'%s': %s; give an address in numbers", host,
                         gai_strerror(why));
    s->listener = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = s->listener >= 0 &&
                setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
                bind(s->listener, at->ai_addr, at->ai_addrlen) == 0 &&
                listen(s->listener, BACKLOG) == 0 &&
                getsockname(s->listener, (struct sockaddr *)&name, &size) == 0;
    int code = errno;
    freeaddrinfo(at);
    if (!good)
        return error_set(e, ERROR_FILE, "%s cannot be listened at: %s", listen_at, strerror(code));
    s->port = ntohs(name.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&name)->sin6_port
                                               : ((struct sockaddr_in *)&name)->sin_port);
    return 0;
}

static int start_daemon(struct http_server *s, struct error *e)
{
    const bool tls = s->config.tls_certificate;
    struct MHD_OptionItem more[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)s->config.tls_certificate},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)s->config.tls_key},
        {MHD_OPTION_END, 0, NULL},
    };
    if (tls && s->library.is_supported(MHD_FEATURE_TLS) != MHD_YES)
        return error_set(e, ERROR_INTERNAL, "this libmicrohttpd was built without TLS");
    s->daemon = s->library.start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ERROR_LOG |
            (tls ? MHD_USE_TLS : 0u),
        0, NULL, NULL, handle, s, MHD_OPTION_EXTERNAL_LOGGER, be_silent, NULL,
        MHD_OPTION_LISTEN_SOCKET, s->listener, MHD_OPTION_CONNECTION_LIMIT, HTTP_GUARDS_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS, MHD_OPTION_URI_LOG_CALLBACK, keep_url, s,
        MHD_OPTION_NOTIFY_COMPLETED, forget, s, MHD_OPTION_NOTIFY_CONNECTION, guard, s,
        MHD_OPTION_ARRAY, tls ? more : more + 2, MHD_OPTION_END);
    if (s->daemon)
        return 0;
    return error_set(e, tls ? ERROR_FILE : ERROR_INTERNAL,
                     tls ? "the server cannot be started: certificate and key for TLS must be PEM "
                           "and belong together"
                         : "the server cannot be started");
}

struct http_server *http_start(const struct http_config *config, struct error *error)
{
    struct http_server *s = calloc(1, sizeof *s);
    if (!s) {
        error_set(error, ERROR_MEMORY, "no memory for a server");
        return NULL;
    }
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->end, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&s->mutex, NULL);
    s->config = *config;
    s->listener = -1;
    const u32 seconds = config->request_seconds ? config->request_seconds : HTTP_REQUEST_SECONDS;
    bool good = deadlines_start(&s->deadlines, seconds);
    if (!good)
        error_set(error, ERROR_INTERNAL, "no thread for the deadlines of requests");
    if (good && !load(&s->library, error) && !open_listener(s, config->listen, error) &&
        !start_daemon(s, error))
        return s;
    http_stop(s);
    return NULL;
}

u16 http_port(const struct http_server *s)
{
    return s->port;
}

void http_stop(struct http_server *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->mutex);
    s->ending = true;
    pthread_cond_broadcast(&s->end);
    pthread_mutex_unlock(&s->mutex);
    if (s->daemon)
        s->library.stop_daemon(s->daemon);
    else if (s->listener >= 0)
        close(s->listener);
    if (s->library.handle)
        dlclose(s->library.handle);
    deadlines_stop(&s->deadlines);
    pthread_cond_destroy(&s->end);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}
