/* SPDX-License-Identifier: Apache-2.0 */
/* A request to the page that shows a run: method, address, Host and Origin, each on a line. The
 * token's place in the address is taken by `$`, so that inputs get behind it. */
#include "cli/view/view_server.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static bool page(void *context, u64 spa, u8 raw[PAGE_SIZE], u8 plain[PAGE_SIZE], bool *keyed)
{
    (void)context;
    memset(raw, 0xa5, PAGE_SIZE);
    memset(plain, 0x5a, PAGE_SIZE);
    *keyed = spa >> PAGE_SHIFT & 1;
    return spa < MIB(1);
}

static bool refill(void *context, struct view_record *r)
{
    static struct view_event e = {.name = "ENDED", .text = "vm=<b> why=\"\xff\x1b\""};
    (void)context;
    if (r->count < 200)
        view_record_add(r, &e);
    return r->count % 2;
}

static struct view_server *server(void)
{
    static struct view_server s = {.port = 8080, .refill = refill, .page = page};
    if (!*s.token) {
        memset(s.token, 'a', VIEW_TOKEN_CHARS);
        view_record_init(&s.record);
    }
    return &s;
}

/* Copies a line, with `$` as the token, and returns what is behind it. */
static const u8 *take_line(const u8 *at, const u8 *end, char *out, size_t room)
{
    size_t n = 0;
    for (; at < end && *at != '\n'; at++) {
        if (*at == '$' && n + VIEW_TOKEN_CHARS < room) {
            memset(out + n, 'a', VIEW_TOKEN_CHARS);
            n += VIEW_TOKEN_CHARS;
        } else if (*at && n < room - 1) {
            out[n++] = (char)*at;
        }
    }
    out[n] = 0;
    return at < end ? at + 1 : at;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static char lines[4][HTTP_URL_MAX + 2];
    static u8 body[VIEW_ANSWER_MAX];
    const u8 *at = data, *end = data + size;
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        at = take_line(at, end, lines[i], sizeof lines[i]);
    const struct http_request request = {.method = lines[0],
                                         .url = lines[1],
                                         .body = "",
                                         .host = *lines[2] ? lines[2] : NULL,
                                         .origin = *lines[3] ? lines[3] : NULL};
    struct http_response out = {.body = body};
    view_server_answer(server(), &request, &out);
    const bool own = !strcmp(lines[2], "127.0.0.1:8080") || !strcmp(lines[2], "localhost:8080") ||
                     !strcmp(lines[2], "[::1]:8080");
    if (!out.size || out.size > VIEW_ANSWER_MAX || !out.content_type || !out.headers)
        abort();
    if (out.status == 200 && (!own || strcmp(lines[0], "GET") != 0 || !strchr(lines[1], 'a')))
        abort();
    if (out.status == 200 && !strcmp(out.content_type, "application/json") &&
        memchr(body, '<', out.size))
        abort();
    return 0;
}
