/* SPDX-License-Identifier: Apache-2.0 */
/* Answers the page's requests; see view_server.h. */
#include "cli/view/view_server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/random.h>

static const struct http_header headers[] = {
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
     "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"}, /* the address has the token */
    {"Cache-Control", "no-store"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {NULL, NULL},
};

static void answer_text(struct http_response *out, u32 status, const char *type, const char *text)
{
    out->status = status;
    out->content_type = type;
    out->size = (size_t)min_u64(strlen(text), VIEW_ANSWER_MAX);
    memcpy(out->body, text, out->size);
}

static void answer_error(struct http_response *out, u32 status, const char *text)
{
    answer_text(out, status, "text/plain; charset=utf-8", text);
}

/* --- What there is ---------------------------------------------------------------------------- */

static void answer_html(struct view_server *s, const char *query, struct http_response *out)
{
    (void)s;
    (void)query;
    out->status = 200;
    out->content_type = "text/html; charset=utf-8";
    const int n =
        snprintf((char *)out->body, VIEW_ANSWER_MAX,
                 "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                 "<title>softsev</title>\n<link rel=\"stylesheet\" href=\"view.css\">\n</head>\n"
                 "<body>\n%s<script src=\"view.js\"></script>\n</body>\n</html>\n",
                 view_page_html);
    out->size = n < 0 ? 0 : (size_t)min_u64((u64)n, VIEW_ANSWER_MAX - 1);
}

static void answer_css(struct view_server *s, const char *query, struct http_response *out)
{
    (void)s;
    (void)query;
    answer_text(out, 200, "text/css; charset=utf-8", view_page_css);
}

static void answer_js(struct view_server *s, const char *query, struct http_response *out)
{
    (void)s;
    (void)query;
    answer_text(out, 200, "text/javascript; charset=utf-8", view_page_js);
}

/* Parses "NAME=NUMBER", decimal or 0x, and nothing else. */
static bool take_query(const char *query, const char *name, u64 *out)
{
    const size_t n = strlen(name);
    char *end;
    if (strncmp(query, name, n) || query[n] != '=' || query[n + 1] < '0' || query[n + 1] > '9')
        return false;
    errno = 0;
    *out = strtoull(query + n + 1, &end, query[n + 2] == 'x' ? 16 : 10);
    return !*end && !errno;
}

#define TAIL_ROOM 128u

/* Answers with as many events as fit; the page asks again for the rest. */
static void answer_events(struct view_server *s, const char *query, struct http_response *out)
{
    struct view_record *r = &s->record;
    char *body = (char *)out->body;
    u64 from;
    if (!take_query(query, "from", &from)) {
        answer_error(out, 400, "expected events?from=NUMBER\n");
        return;
    }
    const bool runs = s->refill && s->refill(s->context, r);
    size_t size = (size_t)snprintf(body, VIEW_ANSWER_MAX, "{\"events\":[");
    u64 i = from = min_u64(from, r->count);
    for (; i < r->count; i++) {
        const size_t begin = i ? r->ends[i - 1] : 0, part = r->ends[i] - begin;
        if (size + part + TAIL_ROOM > VIEW_ANSWER_MAX)
            break;
        if (i != from)
            body[size++] = ',';
        memcpy(body + size, r->text + begin, part);
        size += part;
    }
    size += (size_t)snprintf(body + size, TAIL_ROOM,
                             "],\"more\":%s,\"live\":%s,\"ended\":%s,\"lost\":%" PRIu64 "}",
                             i < r->count || r->waiting ? "true" : "false",
                             s->refill ? "true" : "false", runs ? "false" : "true", r->lost);
    out->status = 200;
    out->content_type = "application/json";
    out->size = size;
}

static size_t put_hex(char *out, const u8 *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    return 2 * size;
}

static void answer_page(struct view_server *s, const char *query, struct http_response *out)
{
    u8 raw[PAGE_SIZE], plain[PAGE_SIZE];
    char *body = (char *)out->body;
    bool keyed = false;
    u64 spa;
    if (!take_query(query, "spa", &spa)) {
        answer_error(out, 400, "expected page?spa=ADDRESS\n");
        return;
    }
    if (!s->page || !s->page(s->context, spa & ~PAGE_MASK, raw, plain, &keyed)) {
        answer_error(out, 404, "no run has this page now\n");
        return;
    }
    size_t size = (size_t)snprintf(body, VIEW_ANSWER_MAX, "{\"raw\":\"");
    size += put_hex(body + size, raw, sizeof raw);
    size += (size_t)snprintf(body + size, 32, "\"%s", keyed ? ",\"plain\":\"" : "");
    if (keyed)
        size += put_hex(body + size, plain, sizeof plain);
    size += (size_t)snprintf(body + size, 32, "%s}", keyed ? "\"" : "");
    out->status = 200;
    out->content_type = "application/json";
    out->size = size;
}

static const struct {
    const char *name;
    void (*answer)(struct view_server *s, const char *query, struct http_response *out);
} resources[] = {
    {"", answer_html},         {"view.css", answer_css}, {"view.js", answer_js},
    {"events", answer_events}, {"page", answer_page},
};

/* --- Who may ask ------------------------------------------------------------------------------ */

/* Returns true if a host is a name of this computer's loopback with the server's port. */
static bool is_own(const struct view_server *s, const char *host)
{
    static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};
    char own[32];
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        snprintf(own, sizeof own, "%s:%u", names[i], s->port);
        if (!strcmp(host, own))
            return true;
    }
    return false;
}

static bool may_ask(const struct view_server *s, const struct http_request *r)
{
    if (!r->host || !is_own(s, r->host))
        return false;
    return !r->origin || (!strncmp(r->origin, "http://", 7) && !strcmp(r->origin + 7, r->host));
}

/* Takes as long for a wrong token as for the right one. */
static bool token_fits(const struct view_server *s, const char *path)
{
    u8 differs = 0;
    if (strnlen(path, VIEW_TOKEN_CHARS + 1) <= VIEW_TOKEN_CHARS)
        return false;
    for (size_t i = 0; i < VIEW_TOKEN_CHARS; i++)
        differs |= (u8)(path[i] ^ s->token[i]);
    return !differs && path[VIEW_TOKEN_CHARS] == '/';
}

void view_server_answer(void *server, const struct http_request *request, struct http_response *out)
{
    struct view_server *s = server;
    out->headers = headers;
    if (!may_ask(s, request)) {
        answer_error(out, 403, "only a page of this server may ask\n");
        return;
    }
    if (*request->url != '/' || !token_fits(s, request->url + 1)) {
        answer_error(out, 404, "the address lacks the token that softsev has printed\n");
        return;
    }
    if (strcmp(request->method, "GET") != 0) {
        answer_error(out, 405, "only GET\n");
        out->allow = "GET";
        return;
    }
    const char *path = request->url + VIEW_TOKEN_CHARS + 2;
    const size_t n = strcspn(path, "?");
    for (size_t i = 0; i < ARRAY_SIZE(resources); i++) {
        if (strlen(resources[i].name) == n && !memcmp(resources[i].name, path, n)) {
            resources[i].answer(s, path + n + (path[n] == '?'), out);
            return;
        }
    }
    answer_error(out, 404, "there is no such page\n");
}

/* --- The server ------------------------------------------------------------------------------- */

static int make_token(struct view_server *s, struct error *e)
{
    u8 bytes[VIEW_TOKEN_CHARS / 2];
    if (getentropy(bytes, sizeof bytes))
        return error_set(e, ERROR_INTERNAL, "no random bytes for a token: %s", strerror(errno));
    s->token[put_hex(s->token, bytes, sizeof bytes)] = 0;
    return 0;
}

int view_server_start(struct view_server *s, const char *listen, struct error *e)
{
    const struct http_config config = {
        .listen = listen,
        .response_max = VIEW_ANSWER_MAX,
        .answer = view_server_answer,
        .context = s,
    };
    if (strncmp(listen, "127.0.0.1:", 10) && strncmp(listen, "[::1]:", 6))
        return error_set(e, ERROR_USAGE,
                         "'%.60s': the page shows guests' memory in plaintext, so it is served on "
                         "the loopback alone: 127.0.0.1:PORT or [::1]:PORT",
                         listen);
    if (make_token(s, e))
        return -1;
    s->http = http_start(&config, e);
    if (!s->http)
        return -1;
    s->port = http_port(s->http);
    return 0;
}

void view_server_url(const struct view_server *s, const char *listen, char *out, size_t size)
{
    snprintf(out, size, "http://%.*s:%u/%s/", (int)(strrchr(listen, ':') - listen), listen, s->port,
             s->token);
}

void view_server_stop(struct view_server *s)
{
    http_stop(s->http);
    s->http = NULL;
}
