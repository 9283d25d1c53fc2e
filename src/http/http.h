/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP server for a service that is a function from a request to a response. It transports
 * requests and responses, and keeps clients from harming each other: clients have deadlines for
 * sending a head, sending a request and taking the answer, and if there are too many connections,
 * the slowest one is closed.
 */
#ifndef SOFTSEV_HTTP_HTTP_H
#define SOFTSEV_HTTP_HTTP_H

#include "base/base.h"
#include "base/error.h"

#define HTTP_URL_MAX         2048u
#define HTTP_REQUEST_MAX     KIB(16) /* bytes of a request's body */
#define HTTP_HEAD_SECONDS    5u      /* to send a request's head */
#define HTTP_REQUEST_SECONDS 30u     /* to send the rest, and to take the answer */
#define HTTP_CONNECTIONS_MAX 256u    /* if there are more, the slowest one is closed */

/* One request. Everything in it is untrusted. */
struct http_request {
    const char *method;
    const char *url;           /* as it came; cut to one character more than HTTP_URL_MAX */
    const void *body;          /* at most HTTP_REQUEST_MAX bytes */
    const char *host, *origin; /* headers; NULL: none was sent */
    size_t body_size;          /* as received: more than HTTP_REQUEST_MAX if the body was cut */
};

struct http_header {
    const char *name, *value;
};

struct http_response {
    u32 status;
    const char *content_type;
    const char *allow;                 /* Allow header of a 405; otherwise NULL */
    const struct http_header *headers; /* further ones; the last has no name; NULL: none */
    u32 retry_after_seconds;           /* 0: none */
    u32 delay_ms;                      /* delay before the answer is sent */
    u8 *body;                          /* the caller's buffer of http_config.response_max bytes */
    size_t size;
};

struct http_config {
    const char *listen; /* "127.0.0.1:8080", "[::1]:8080"; port 0: any free one */
    const char *tls_certificate, *tls_key; /* PEM; NULL: plain HTTP */
    u32 request_seconds; /* 0: HTTP_REQUEST_SECONDS; also limits the time for a head */
    size_t response_max;
    /* Answers a request. Several threads call it, one at a time. */
    void (*answer)(void *context, const struct http_request *request, struct http_response *out);
    void *context;
};

struct http_server;

/* Serves until http_stop(), on its own threads. Returns NULL and an error if the address is not
 * available or libmicrohttpd is missing. Everything that the configuration points to must outlive
 * the server. */
struct http_server *http_start(const struct http_config *config, struct error *error);
u16 http_port(const struct http_server *s);
void http_stop(struct http_server *s); /* NULL is allowed */

#endif
