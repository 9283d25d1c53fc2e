/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a state directory. Every file has one frame, read as hostile input:
 *
 *   00h magic[8]   08h version u32   0Ch name[16]   1Ch size u32   20h content   then SHA-256[32]
 * of all before
 */
#include "state/internal.h"

#include "base/bytes.h"
#include "crypto/crypto.h"

#define STATE_VERSION 2u /* the layout of version 1 is the same; see struct state */
#define FRAME_NAME    16u

static const char frame_magic[8] = FILE_KEPT_MAGIC; /* without the NUL */

/* --- Frames ----------------------------------------------------------------------------------- */

static size_t frame_seal(u8 *frame, const char *name, const void *data, size_t size)
{
    char padded[FRAME_NAME] = "";
    memcpy(padded, name, strlen(name));
    struct writer w = writer_of(frame, FRAME_MAX);
    write_bytes(&w, frame_magic, sizeof frame_magic);
    write_u32(&w, STATE_VERSION);
    write_bytes(&w, padded, sizeof padded);
    write_u32(&w, (u32)size);
    write_bytes(&w, data, size);
    u8 hash[FRAME_HASH];
    crypto_sha256(frame, w.at, hash);
    write_bytes(&w, hash, sizeof hash);
    return w.bad ? 0 : w.at;
}

/* Returns what is wrong with a frame; NULL if it is valid. */
static const char *frame_open(const u8 *frame, size_t frame_size, const char *name, u32 *version,
                              const u8 **data, size_t *size)
{
    char padded[FRAME_NAME] = "";
    memcpy(padded, name, strlen(name));
    struct reader r = reader_of(frame, frame_size);
    const u8 *magic = read_view(&r, sizeof frame_magic);
    *version = read_u32(&r);
    const u8 *named = read_view(&r, FRAME_NAME);
    *size = read_u32(&r);
    *data = read_view(&r, *size);
    const u8 *hash = read_view(&r, FRAME_HASH);
    if (!magic || memcmp(magic, frame_magic, sizeof frame_magic))
        return "is not a state file of softsev";
    if (!r.bad && (*version < 1 || *version > STATE_VERSION))
        return "is of another version of softsev";
    if (r.bad || reader_left(&r))
        return "is cut short or too long";
    u8 real_hash[FRAME_HASH];
    crypto_sha256(frame, FRAME_HEADER + *size, real_hash);
    if (memcmp(hash, real_hash, sizeof real_hash))
        return "fails its checksum";
    return memcmp(named, padded, FRAME_NAME) ? "is another of the state files" : NULL;
}

/* --- Reading ---------------------------------------------------------------------------------- */

static enum state_answer damaged(const struct state *s, enum state_file file, const char *wrong,
                                 struct error *e)
{
    state_corrupt(s, file, wrong, e);
    return STATE_DAMAGED;
}

static enum state_answer read_frame(const struct state *s, enum state_file file,
                                    struct file_data *frame, struct error *e)
{
    const struct file_rule rule = {.size_max = FRAME_MAX, .no_link = true, .secret = true};
    struct error why = {.code = ERROR_NONE};
    switch (file_read_at(s->folder, s->directory, state_file_name(file), &rule, frame, &why)) {
    case FILE_READ:
        return STATE_READ;
    case FILE_ABSENT:
        return STATE_ABSENT;
    case FILE_WRONG_KIND:
        return damaged(s, file, "is not a regular file", e);
    case FILE_WRONG_SIZE:
        return damaged(s, file, "is cut short or too long", e);
    case FILE_NO_MEMORY:
        error_set(e, ERROR_MEMORY, "state directory: %s", why.text);
        return STATE_NO_MEMORY;
    default:
        error_set(e, ERROR_FILE, "state directory: %s", why.text);
        return STATE_UNREADABLE;
    }
}

enum state_answer state_read_frame(const struct state *s, enum state_file file, void *out,
                                   size_t size, size_t *got, u32 *version, struct error *e)
{
    struct file_data frame;
    const u8 *data;
    *got = 0;
    enum state_answer answer = read_frame(s, file, &frame, e);
    if (answer != STATE_READ)
        return answer;
    const char *wrong =
        frame_open(frame.data, frame.size, state_file_name(file), version, &data, got);
    if (!wrong && *got > size)
        wrong = "is larger than it may be";
    if (!wrong && !*got)
        wrong = "has nothing in it";
    if (wrong) {
        *got = 0;
        answer = damaged(s, file, wrong, e);
    } else {
        memcpy(out, data, *got);
    }
    file_free(&frame);
    return answer;
}

enum state_answer state_read(const struct state *s, enum state_file file, void *out, size_t size,
                             size_t *got, struct error *e)
{
    u32 version;
    return state_read_frame(s, file, out, size, got, &version, e);
}

/* --- Writing ---------------------------------------------------------------------------------- */

int state_write(struct state *s, enum state_file file, const void *data, size_t size,
                struct error *e)
{
    const char *name = state_file_name(file);
    if (s->reading)
        return error_set(e, ERROR_FILE, "%s/%s cannot be written: the directory is only read",
                         s->directory, name);
    size_t frame_size = size ? frame_seal(s->frame, name, data, size) : 0;
    if (!frame_size)
        return error_set(e, ERROR_INTERNAL, "state file %s would have %zu bytes", name, size);
    const struct file_part part = {
        .name = name, .data = s->frame, .size = frame_size, .secret = true};
    bool good = file_replace_at(s->folder, s->directory, &part, 1, &s->hook, e);
    crypto_wipe(s->frame, frame_size);
    return good ? 0 : -1;
}
