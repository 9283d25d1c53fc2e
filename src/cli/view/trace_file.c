/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded traces, line by line; see trace_file.h. */
#include "cli/view/trace_file.h"

#include "files/files.h"

#include <errno.h>
#include <unistd.h>

#define PIECE         KIB(64)
#define SIZE_MAX_FILE (1ull << 40) /* of a trace; it is read piece by piece */
#define ENDLESS       MIB(1)       /* bytes of a line that no text has: a sparse file, a device */

/* The line that is being read: as much of it as an event can have, and one byte more. */
struct line {
    char text[VIEW_LINE_MAX + 1];
    size_t size;
    u64 whole; /* its bytes so far, with those that are not kept */
};

static void add(struct line *l, const char *bytes, size_t size)
{
    const size_t part = (size_t)min_u64(size, sizeof l->text - l->size);
    memcpy(l->text + l->size, bytes, part);
    l->size += part;
    l->whole += size;
}

/* Gives all lines that end in this piece. Returns false if nobody wants more. */
static bool give_lines(struct line *l, const char *bytes, size_t size,
                       bool (*line)(void *context, const char *text, size_t size), void *context)
{
    while (size) {
        const char *end = memchr(bytes, '\n', size);
        const size_t part = end ? (size_t)(end - bytes) : size;
        add(l, bytes, part);
        if (!end)
            return true;
        const bool more = line(context, l->text, l->size);
        l->size = l->whole = 0;
        if (!more)
            return false;
        bytes += part + 1;
        size -= part + 1;
    }
    return true;
}

int trace_file_read(const char *path, bool (*line)(void *context, const char *text, size_t size),
                    void *context, struct error *e)
{
    const struct file_rule rule = {.size_max = SIZE_MAX_FILE, .stream_max = SIZE_MAX_FILE};
    static char piece[PIECE];
    static struct line l;
    u64 size;
    int fd;
    if (file_open(path, &rule, &fd, &size, e))
        return -1;
    l.size = l.whole = 0;
    ssize_t n = 0;
    bool more = true;
    while (more && l.whole < ENDLESS &&
           ((n = read(fd, piece, sizeof piece)) > 0 || (n < 0 && errno == EINTR)))
        more = n < 0 || give_lines(&l, piece, (size_t)n, line, context);
    const int code = more && n < 0 ? errno : 0;
    close(fd);
    if (l.whole >= ENDLESS)
        return error_set(e, ERROR_FILE, "%s: a line has more than 1 MiB; this is no trace", path);
    if (more && !code && l.size) /* a last line that does not end */
        line(context, l.text, l.size);
    return code ? error_set(e, ERROR_FILE, "%s cannot be read: %s", path, strerror(code)) : 0;
}

int trace_file_no_events(const char *path, struct error *e)
{
    return error_set(e, ERROR_FILE,
                     "%s: no line of it is an event; expected what softsev run --trace all "
                     "--trace-file writes, as text or with --json",
                     path);
}
