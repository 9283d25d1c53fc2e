/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softsev owner explain: every contribution to a launch digest, one a line, with the digest so far;
 * and what two launches do not have in common, from such lines of another launch.
 */
#include "cli/cli.h"
#include "cli/owner/owner_cli.h"
#include "cli/input.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#define HEX_MAX (2 * MEASURE_DIGEST_MAX + 1)

/* "-": the contents are not measured. */
static void contents_text(const struct measure_record *r, char text[HEX_MAX])
{
    if (all_zero(r->contents, r->digest_size))
        strcpy(text, "-");
    else
        hex_encode(text, r->contents, r->digest_size);
}

/* Address, size, type, name: what makes a contribution the same one in another launch, but for its
 * contents. */
#define LINE_MAX 512
#define LINE     "0x%09" PRIx64 "  %10" PRIu64 " bytes  %-10s  %s  contents %s  digest %s"
static void line_of(const struct measure_record *r, char out[LINE_MAX])
{
    char contents[HEX_MAX], digest[HEX_MAX];
    contents_text(r, contents);
    hex_encode(digest, r->digest, r->digest_size);
    snprintf(out, LINE_MAX, LINE, r->gpa, r->size, r->type, r->name, contents, digest);
}

static void print_text(const struct owner_contributions *c, const char *digest)
{
    char line[LINE_MAX];
    for (size_t i = 0; i < c->count; i++) {
        line_of(&c->records[i], line);
        puts(line);
    }
    printf("digest  %s\n", digest);
}

static void print_json(const struct owner_contributions *c, const char *digest)
{
    json_t *pieces = json_array();
    for (size_t i = 0; i < c->count; i++) {
        const struct measure_record *r = &c->records[i];
        char contents[HEX_MAX], running[HEX_MAX];
        contents_text(r, contents);
        hex_encode(running, r->digest, r->digest_size);
        json_array_append_new(pieces, json_pack("{s:s, s:s, s:I, s:I, s:s, s:s}", "name", r->name,
                                                "type", r->type, "gpa", (json_int_t)r->gpa, "size",
                                                (json_int_t)r->size, "contents", contents,
                                                "running", running));
    }
    json_t *j = json_pack("{s:s, s:o}", "digest", digest, "pieces", pieces);
    cli_print_json(j);
}

/* --- Differences ------------------------------------------------------------------------------ */

/* The other launch's lines. The running digests after the first difference are all different, and
 * say no more. */
struct lines {
    struct cli_file file;
    char **line;
    bool *used;
    size_t count;
    const char *digest;
};

static void free_lines(struct lines *l)
{
    cli_free_file(&l->file);
    free(l->line);
    free(l->used);
}

static bool starts_with(const char *text, const char *start)
{
    return !strncmp(text, start, strlen(start));
}

/* Returns the lines for the output of --json; NULL if it is something else. */
static char *lines_of_json(json_t *j)
{
    const json_t *pieces = json_object_get(j, "pieces");
    const char *digest = json_string_value(json_object_get(j, "digest"));
    size_t i, room = (json_array_size(pieces) + 1) * LINE_MAX, at = 0;
    json_t *piece;
    char *text = digest && json_is_array(pieces) ? malloc(room) : NULL;
    json_array_foreach(pieces, i, piece)
    {
        const char *name, *type, *contents, *running;
        json_int_t gpa, size;
        if (!text ||
            json_unpack(piece, "{s:s, s:s, s:I, s:I, s:s, s:s}", "name", &name, "type", &type,
                        "gpa", &gpa, "size", &size, "contents", &contents, "running", &running)) {
            free(text);
            return NULL;
        }
        int n = snprintf(text + at, LINE_MAX, LINE "\n", (u64)gpa, (u64)size, type, name, contents,
                         running);
        at += min_u64((u64)n, LINE_MAX - 1);
    }
    if (text)
        snprintf(text + at, LINE_MAX, "digest  %s\n", digest);
    return text;
}

/* Replaces JSON by the lines that it stands for. Leaves anything else as it is. */
static void take_json(struct cli_file *f)
{
    json_t *j = *f->data == '{' ? json_loadb((const char *)f->data, f->size, 0, NULL) : NULL;
    char *text = j ? lines_of_json(j) : NULL;
    json_decref(j);
    if (!text)
        return;
    free(f->data);
    f->data = (u8 *)text;
    f->size = strlen(text);
}

static int read_lines(const char *path, struct lines *l, struct error *e)
{
    *l = (struct lines){.digest = NULL};
    if (cli_read_small(path, &l->file, e))
        return -1;
    take_json(&l->file);
    char *text = (char *)l->file.data, *save = NULL;
    size_t room = 1;
    for (const char *p = text; *p; p++)
        room += *p == '\n';
    l->line = calloc(room, sizeof *l->line);
    l->used = calloc(room, sizeof *l->used);
    if (!l->line || !l->used)
        return error_set(e, ERROR_MEMORY, "%s: out of memory for its lines", path);
    for (char *p = strtok_r(text, "\r\n", &save); p; p = strtok_r(NULL, "\r\n", &save)) {
        char *running = strstr(p, "  digest ");
        if (starts_with(p, "digest  ")) {
            l->digest = p + strlen("digest  ");
        } else if (starts_with(p, "0x") && running) {
            *running = 0;
            l->line[l->count++] = p;
        }
    }
    if (l->digest)
        return 0;
    return error_set(e, ERROR_FILE, "%s: not what `softsev owner explain` prints", path);
}

/* Returns true if two lines are about the same place and thing. Contents may differ. */
static bool same_place(const char *a, const char *b)
{
    const char *end = strstr(a, "  contents ");
    return end && !strncmp(a, b, (size_t)(end - a) + strlen("  contents "));
}

/* Takes an unused line for the same place. The search begins after the last one found, since two
 * lists are mostly in the same order. */
static char *take(struct lines *l, const char *line, size_t *cursor)
{
    for (size_t i = 0; i < l->count; i++) {
        size_t at = (*cursor + i) % l->count;
        if (l->used[at] || !same_place(line, l->line[at]))
            continue;
        l->used[at] = true;
        *cursor = at + 1;
        return l->line[at];
    }
    return NULL;
}

/* Differences between two launches: collected for --json, otherwise printed. */
struct differences {
    bool json;
    json_t *removed, *added;
    size_t count;
};

static void tell(struct differences *d, char sign, const char *line)
{
    if (d->json)
        json_array_append_new(sign == '-' ? d->removed : d->added, json_string(line));
    else
        printf("%c %s\n", sign, line);
}

static void compare(const struct owner_contributions *c, struct lines *l, struct differences *d)
{
    size_t cursor = 0;
    for (size_t i = 0; i < c->count; i++) {
        char line[LINE_MAX];
        line_of(&c->records[i], line);
        *strstr(line, "  digest ") = 0;
        const char *other = take(l, line, &cursor);
        if (other && !strcmp(other, line))
            continue;
        if (other)
            tell(d, '-', other);
        tell(d, '+', line);
        d->count++;
    }
    for (size_t i = 0; i < l->count; i++) {
        if (l->used[i])
            continue;
        tell(d, '-', l->line[i]);
        d->count++;
    }
}

/* Returns the result: exit code 4 if the launches differ, as for a measurement that does not
 * match. */
static int verdict(const struct differences *d, bool same, struct error *e)
{
    if (d->json) {
        json_t *j =
            json_pack("{s:b, s:O, s:O}", "same", same, "removed", d->removed, "added", d->added);
        cli_print_json(j);
    } else if (same) {
        puts("the launches are the same");
    }
    if (same)
        return 0;
    return d->count ? error_set(e, ERROR_MEASUREMENT, "the launches differ in %zu contribution%s",
                                d->count, d->count == 1 ? "" : "s")
                    : error_set(e, ERROR_MEASUREMENT, "the launches differ in their order alone");
}

static int diff(const struct owner_contributions *c, const char *digest, const char *path,
                bool json, struct error *e)
{
    struct lines l;
    struct differences d = {.json = json, .removed = json_array(), .added = json_array()};
    int result = read_lines(path, &l, e);
    if (!result) {
        compare(c, &l, &d);
        result = verdict(&d, !strcmp(digest, l.digest), e);
    }
    free_lines(&l);
    json_decref(d.removed);
    json_decref(d.added);
    return result;
}

/* --- Actions ---------------------------------------------------------------------------------- */

int owner_explain(const struct options *options, struct error *e)
{
    struct owner_contributions c;
    char hex[HEX_MAX];
    if (options->text[OWNER_REPORT])
        return owner_compare_report(options, e);
    if (owner_measure_files(options, &c, e))
        return -1;
    hex_encode(hex, c.digest, measure_digest_size(c.mode));
    int result = 0;
    if (options->text[OWNER_DIFF])
        result = diff(&c, hex, options->text[OWNER_DIFF], options->text[OWNER_JSON], e);
    else
        (options->text[OWNER_JSON] ? print_json : print_text)(&c, hex);
    owner_free_contributions(&c);
    return result;
}

int owner_print_digest(const struct options *options, struct error *e)
{
    struct owner_contributions c;
    char hex[HEX_MAX];
    if (owner_measure_files(options, &c, e))
        return -1;
    hex_encode(hex, c.digest, measure_digest_size(c.mode));
    printf(options->text[OWNER_JSON] ? "{\"digest\":\"%s\"}\n" : "%s\n", hex);
    owner_free_contributions(&c);
    return 0;
}
