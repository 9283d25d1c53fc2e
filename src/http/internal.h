/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations that the files of this room share: a deadline for each connection. */
#ifndef SOFTSEV_HTTP_INTERNAL_H
#define SOFTSEV_HTTP_INTERNAL_H

#include "http/http.h"

#include <pthread.h>
#include <sys/socket.h>

/* Extra room, because connections that were told to end may take a moment. */
#define HTTP_GUARDS_MAX (HTTP_CONNECTIONS_MAX + 64u)

struct http_guard;

struct http_deadlines {
    u32 head_seconds, seconds;
    struct http_guard *guards; /* HTTP_GUARDS_MAX; NULL: not started */
    pthread_mutex_t mutex;
    pthread_cond_t end;
    pthread_t thread;
    bool started, ending;
};

/* The phases of a connection: whose time runs, and until when. */
enum http_phase {
    HTTP_HEAD,   /* the client's time, to send the head of its next request */
    HTTP_BODY,   /* the client's time, to send the rest or to take the answer */
    HTTP_ANSWER, /* nobody's time: the answer is being made */
};

bool deadlines_start(struct http_deadlines *d, u32 seconds);
void deadlines_stop(struct http_deadlines *d); /* before the sockets are closed, or after */
/* Registers a connection; if there are too many, another one is closed. Returns NULL if this one
 * must be closed. */
struct http_guard *deadline_open(struct http_deadlines *d, int socket,
                                 const struct sockaddr *client);
void deadline_close(struct http_deadlines *d, struct http_guard *g);
void deadline_set(struct http_deadlines *d, struct http_guard *g, enum http_phase phase);

#endif
