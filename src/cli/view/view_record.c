/* SPDX-License-Identifier: Apache-2.0 */
/* The events that a page shows, and the document that has them in itself; see view_server.h. */
#include "cli/view/view_server.h"

#include "base/encoding.h"
#include "crypto/crypto.h"

#include <inttypes.h>
#include <stdlib.h>

void view_record_init(struct view_record *r)
{
    memset(r, 0, sizeof *r);
    view_story_init(&r->story);
}

void view_record_free(struct view_record *r)
{
    view_story_free(&r->story);
    free(r->text);
    free(r->ends);
    r->text = NULL;
    r->ends = NULL;
}

/* Makes room for one more event. Returns false if there is none. */
static bool make_room(struct view_record *r)
{
    if (r->room - r->size < VIEW_STORY_MAX) {
        const size_t room = r->room ? 2 * r->room : MIB(1);
        char *text = room <= VIEW_RECORD_MAX ? realloc(r->text, room) : NULL;
        if (!text)
            return false;
        r->text = text;
        r->room = room;
    }
    if (r->count == r->ends_room) {
        const u64 room = r->ends_room ? 2 * r->ends_room : 4096;
        size_t *ends = realloc(r->ends, room * sizeof *ends);
        if (!ends)
            return false;
        r->ends = ends;
        r->ends_room = room;
    }
    return true;
}

void view_record_add(struct view_record *r, const struct view_event *e)
{
    if (r->lost || !make_room(r)) { /* after a gap nothing would be true of the map */
        r->lost++;
        return;
    }
    r->size += view_story_event(&r->story, e, r->text + r->size);
    r->ends[r->count++] = r->size;
}

/* --- One document ----------------------------------------------------------------------------- */

static void print_hash(const char *what, const char *text, FILE *out)
{
    u8 digest[32];
    char encoded[64];
    crypto_sha256(text, strlen(text), digest);
    text_encode_base64(encoded, digest, sizeof digest);
    fprintf(out, " %s 'sha256-%s';", what, encoded);
}

/* Nothing but this script and this style is ever applied, and nothing is fetched. */
static void print_policy(FILE *out)
{
    fputs("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';", out);
    print_hash("script-src", view_page_js, out);
    print_hash("style-src", view_page_css, out);
    fputs(" base-uri 'none'; form-action 'none'\">\n", out);
}

void view_export(const struct view_record *r, FILE *out)
{
    fputs("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n", out);
    print_policy(out);
    fprintf(out, "<title>softsev</title>\n<style>%s</style>\n</head>\n<body>\n%s", view_page_css,
            view_page_html);
    fprintf(out,
            "<script type=\"application/json\" id=\"recorded\">{\"live\":false,\"lost\":%" PRIu64
            ",\"events\":[",
            r->lost);
    for (u64 i = 0; i < r->count; i++) {
        const size_t from = i ? r->ends[i - 1] : 0;
        fputs(i ? ",\n" : "\n", out);
        fwrite(r->text + from, 1, r->ends[i] - from, out);
    }
    fprintf(out, "]}</script>\n<script>%s</script>\n</body>\n</html>\n", view_page_js);
}
