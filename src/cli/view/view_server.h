/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page that shows a run, and what it asks for. The server listens on the loopback only. Each
 * address begins with a token that only the user was told; Host and Origin must be the server's
 * own, so that no page of another site can ask in the user's name.
 */
#ifndef SOFTSEV_CLI_VIEW_SERVER_H
#define SOFTSEV_CLI_VIEW_SERVER_H

#include "base/error.h"
#include "http/http.h"
#include "view/story.h"

#include <stdio.h>

#define VIEW_ANSWER_MAX  MIB(1)
#define VIEW_TOKEN_CHARS 32u
#define VIEW_RECORD_MAX  MIB(256) /* bytes of the page's JSON */

/* Events as the page wants them, one after the other. */
struct view_record {
    struct view_story story;
    char *text;
    size_t size, room;
    size_t *ends; /* of each event in `text` */
    u64 count, ends_room;
    u64 lost;     /* events for which there was no room */
    bool waiting; /* more events are waiting */
};

void view_record_init(struct view_record *r);
void view_record_free(struct view_record *r);
void view_record_add(struct view_record *r, const struct view_event *e);

/* Writes one document that needs no server. */
void view_export(const struct view_record *r, FILE *out);

struct view_server {
    struct http_server *http;
    u16 port;
    char token[VIEW_TOKEN_CHARS + 1];
    struct view_record record;
    /* For a live run; NULL otherwise. `refill` adds the events that came meanwhile and returns
     * false once the run has ended. `page` reads a page raw and, if a key is loaded for it, through
     * that key; it returns false if the run does not answer. */
    bool (*refill)(void *context, struct view_record *r);
    bool (*page)(void *context, u64 spa, u8 raw[PAGE_SIZE], u8 plain[PAGE_SIZE], bool *keyed);
    void *context;
};

/* Makes a token and listens. -1: the address is not one of the loopback, or not free. */
int view_server_start(struct view_server *s, const char *listen, struct error *e);
/* Writes the server's address: "http://127.0.0.1:8080/TOKEN/". */
void view_server_url(const struct view_server *s, const char *listen, char *out, size_t size);
void view_server_stop(struct view_server *s);
/* Answers one request. `out->body` has VIEW_ANSWER_MAX bytes. */
void view_server_answer(void *server, const struct http_request *request,
                        struct http_response *out);

#endif
