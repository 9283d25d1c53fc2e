/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP server for a service that is a function from a request to a response. It carries,
 * and keeps clients from harming each other: a head, a request and the taking of an answer have
 * deadlines, and where there are too many connections the slowest one ends.
 */
#ifndef SOFTSEV_HTTP_HTTP_H
#define SOFTSEV_HTTP_HTTP_H

#include "base/base.h"
#include "base/error.h"

#define HTTP_URL_MAX         2048u
#define HTTP_REQUEST_MAX     KIB(16) /* bytes of a request's body */
#define HTTP_HEAD_SECONDS    5u      /* for a request's head */
#define HTTP_REQUEST_SECONDS 30u     /* for the rest of it, and for taking the answer */
#define HTTP_CONNECTIONS_MAX 256u    /* beyond that the slowest one ends */

/* Everything in it is hostile. */
struct http_request {
    const char *method;
    const char *url;  /* as it came; cut to one character more than HTTP_URL_MAX */
    const void *body; /* at most HTTP_REQUEST_MAX bytes */
    size_t body_size; /* as it came: more than HTTP_REQUEST_MAX if the body was cut */
};

struct http_response {
    u32 status;
    const char *content_type;
    const char *allow;       /* of a 405; else NULL */
    u32 retry_after_seconds; /* 0: none */
    u32 delay_ms;            /* to wait before sending it */
    u8 *body;                /* http_config.response_max bytes, the caller's */
    size_t size;
};

struct http_config {
    const char *listen; /* "127.0.0.1:8080", "[::1]:8080"; port 0: any free one */
    const char *tls_certificate, *tls_key; /* PEM; NULL: plain HTTP */
    u32 request_seconds;                   /* 0: HTTP_REQUEST_SECONDS; a head has no more either */
    size_t response_max;
    /* Called from several threads, one at a time. */
    void (*answer)(void *context, const struct http_request *request, struct http_response *out);
    void *context;
};

struct http_server;

/* Serves until http_stop(), on threads of its own. NULL and an error: the address cannot be had, or
 * libmicrohttpd is missing. What the configuration points to outlives the server. */
struct http_server *http_start(const struct http_config *config, struct error *error);
u16 http_port(const struct http_server *s);
void http_stop(struct http_server *s); /* NULL is allowed */

#endif
