/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of a migration on the link, and the archives in them. */
#include "hypervisor/sev_message.h"

#include <stdio.h>

#include "base/bytes.h"
#include "base/text.h"

struct message_row {
    const char *name;
    u32 least, most; /* bytes of the body */
};

#define FIXED(size) (size), (size)

// clang-format off
static const struct message_row rows[MIGRATE_KINDS] = {
    [MIGRATE_PLATFORM]      = {"PLATFORM", FIXED(sizeof(struct migrate_platform))},
    [MIGRATE_CONFIGURATION] = {"CONFIGURATION", 1, MIGRATE_STATE_MAX},
    [MIGRATE_READY]         = {"READY", FIXED(0)},
    [MIGRATE_REFUSED]       = {"REFUSED", 0, MIGRATE_WHY_MAX},
    [MIGRATE_START]         = {"START", FIXED(sizeof(struct migrate_start))},
    [MIGRATE_PAGE_PRIVATE]  = {"PAGE_PRIVATE", FIXED(sizeof(struct migrate_packet))},
    [MIGRATE_PAGE_SHARED]   = {"PAGE_SHARED", FIXED(sizeof(struct migrate_page))},
    [MIGRATE_PAGE_ZERO]     = {"PAGE_ZERO", FIXED(8)},
    [MIGRATE_ROUND]         = {"ROUND", FIXED(4)},
    [MIGRATE_VMSA]          = {"VMSA", FIXED(sizeof(struct migrate_packet))},
    [MIGRATE_STATE]         = {"STATE", 1, MIGRATE_STATE_MAX},
    [MIGRATE_END]           = {"END", FIXED(8)},
    [MIGRATE_RELEASED]      = {"RELEASED", FIXED(0)},
    [MIGRATE_RECEIVED]      = {"RECEIVED", FIXED(0)},
    [MIGRATE_GO]            = {"GO", FIXED(0)},
    [MIGRATE_RUNNING]       = {"RUNNING", FIXED(sizeof(struct migrate_running))},
};
// clang-format on

_Static_assert(sizeof(struct migrate_platform) <= MIGRATE_BODY_MAX &&
                   sizeof(struct migrate_packet) <= MIGRATE_BODY_MAX &&
                   MIGRATE_STATE_MAX <= MIGRATE_BODY_MAX,
               "a message does not fit the buffer");

const char *message_name(enum migrate_kind kind)
{
    return rows[kind].name;
}

int message_send(struct migration *m, enum migrate_kind kind, const void *body, size_t size,
                 struct error *error)
{
    store_le32(m->out, kind);
    store_le32(m->out + 4, (u32)size);
    if (size)
        memcpy(m->out + MIGRATE_HEADER_SIZE, body, size);
    m->bytes += MIGRATE_HEADER_SIZE + size;
    return m->link.send(m->link.context, m->out, MIGRATE_HEADER_SIZE + size, error);
}

static int refused(const struct migration *m, struct error *error)
{
    char text[MIGRATE_WHY_MAX + 1], clean[TEXT_SENTENCE_SIZE(MIGRATE_WHY_MAX)];
    memcpy(text, m->in, m->size);
    text[m->size] = '\0';
    text_sentence(clean, sizeof clean, text);
    return error_set(error, ERROR_FILE, "the other end refuses: %s", clean);
}

int message_receive(struct migration *m, struct error *error)
{
    u8 header[MIGRATE_HEADER_SIZE];
    if (m->link.receive(m->link.context, header, sizeof header, error))
        return -1;
    const u32 kind = load_le32(header), size = load_le32(header + 4);
    if (kind >= MIGRATE_KINDS || !rows[kind].name)
        return error_set(error, ERROR_FILE, "message %u is none of a migration", kind);
    if (size < rows[kind].least || size > rows[kind].most)
        return error_set(error, ERROR_FILE, "message %s with %u bytes; it has %u to %u",
                         rows[kind].name, size, rows[kind].least, rows[kind].most);
    m->kind = (enum migrate_kind)kind;
    m->size = size;
    if (size && m->link.receive(m->link.context, m->in, size, error))
        return -1;
    return m->kind == MIGRATE_REFUSED ? refused(m, error) : 0;
}

int message_expect(struct migration *m, enum migrate_kind kind, struct error *error)
{
    if (message_receive(m, error))
        return -1;
    return m->kind == kind ? 0
                           : error_set(error, ERROR_FILE, "message %s; %s is expected",
                                       rows[m->kind].name, rows[kind].name);
}

void migrate_refuse(const struct migrate_link *link, const char *why)
{
    struct error ignored = {.code = ERROR_NONE};
    u8 out[MIGRATE_HEADER_SIZE + MIGRATE_WHY_MAX];
    const size_t size = min_u64(strlen(why), MIGRATE_WHY_MAX);
    store_le32(out, MIGRATE_REFUSED);
    store_le32(out + 4, (u32)size);
    memcpy(out + MIGRATE_HEADER_SIZE, why, size);
    link->send(link->context, out, MIGRATE_HEADER_SIZE + size, &ignored);
}

/* --- Archives --------------------------------------------------------------------------------- */

static int stream_flush(struct message_stream *s, struct error *error)
{
    const size_t size = s->count;
    s->count = 0;
    return size ? message_send(s->migration, s->kind, s->bytes, size, error) : 0;
}

void message_stream_first(struct message_stream *s)
{
    s->at = 0;
    s->count = s->migration->size;
    s->total += s->count;
    memcpy(s->bytes, s->migration->in, s->count);
}

static int stream_fill(struct message_stream *s, struct error *error)
{
    if (message_expect(s->migration, s->kind, error))
        return -1;
    message_stream_first(s);
    return s->total <= MIGRATE_STATE_TOTAL
               ? 0
               : error_set(error, ERROR_FILE, "message %s: more than %u MiB in all",
                           message_name(s->kind), (u32)(MIGRATE_STATE_TOTAL >> 20));
}

static int stream_save(void *context, void *data, size_t size, struct error *error)
{
    struct message_stream *s = context;
    for (size_t at = 0; at < size;) {
        const size_t part = min_u64(size - at, sizeof s->bytes - s->count);
        memcpy(s->bytes + s->count, (const u8 *)data + at, part);
        s->count += part;
        at += part;
        if (s->count == sizeof s->bytes && stream_flush(s, error))
            return -1;
    }
    return 0;
}

static int stream_load(void *context, void *data, size_t size, struct error *error)
{
    struct message_stream *s = context;
    for (size_t at = 0; at < size;) {
        if (s->at == s->count && stream_fill(s, error))
            return -1;
        const size_t part = min_u64(size - at, s->count - s->at);
        memcpy((u8 *)data + at, s->bytes + s->at, part);
        s->at += part;
        at += part;
    }
    return 0;
}

static int stream_move(void *context, void *data, size_t size, struct error *error)
{
    struct message_stream *s = context;
    return s->loads ? stream_load(s, data, size, error) : stream_save(s, data, size, error);
}

struct archive_stream message_stream(struct message_stream *s, struct migration *m,
                                     enum migrate_kind kind, bool loads)
{
    s->migration = m;
    s->kind = kind;
    s->loads = loads;
    s->total = 0;
    s->count = s->at = 0;
    return (struct archive_stream){.move = stream_move, .context = s};
}

int message_stream_end(struct message_stream *s, struct error *error)
{
    if (!s->loads)
        return stream_flush(s, error);
    return s->at == s->count ? 0
                             : error_set(error, ERROR_FILE, "message %s: %zu bytes too many",
                                         message_name(s->kind), s->count - s->at);
}
