/* SPDX-License-Identifier: Apache-2.0 */
/* Writes DRAM to a file at the end of `softsev run`. */
#include "cli/run/run.h"
#include "files/files.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static bool append(int fd, const u8 *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t put = write(fd, data + at, size - at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        at += (size_t)put;
    }
    return true;
}

int run_dump_open(struct run *r, struct error *e)
{
    const char *path = r->options.dump;
    r->dump = path ? file_create(path, true, e) : NULL;
    return path && !r->dump ? -1 : 0;
}

static bool write_page(struct memory *m, u64 spa, int fd, bool sparse)
{
    static const u8 zeros[PAGE_SIZE];
    u8 page[PAGE_SIZE];
    if (!memory_peek(m, spa, KEY_RAW, page, sizeof page))
        return false;
    if (!sparse)
        return append(fd, page, sizeof page);
    return !memcmp(page, zeros, sizeof page) || run_write_at(fd, spa, page, sizeof page);
}

/* Writes every page to a pipe or a device; only a regular file can have holes. */
static bool dump_pages(struct memory *m, int fd)
{
    struct stat s;
    bool ok = fstat(fd, &s) == 0;
    const bool sparse = ok && S_ISREG(s.st_mode);
    if (sparse)
        ok = !ftruncate(fd, (off_t)memory_size(m));
    for (u64 spa = 0; ok && spa < memory_size(m); spa += PAGE_SIZE)
        ok = write_page(m, spa, fd, sparse);
    return ok;
}

int run_dump_memory(struct run *r, struct error *e)
{
    const char *path = r->options.dump;
    FILE *f = r->dump;
    if (!f)
        return 0;
    r->dump = NULL;
    const bool good =
        dump_pages(machine_memory(r->machine), fileno(f)) ||
        error_set(e, ERROR_FILE, "%s cannot be written: %s", path, strerror(errno)) == 0;
    return file_close(f, path, e) && good ? 0 : -1;
}

int run_map_open(struct run *r, struct error *e)
{
    const char *path = r->options.map;
    r->map = path ? file_create(path, false, e) : NULL;
    return path && !r->map ? -1 : 0;
}

int run_map_write(struct run *r, struct error *e)
{
    FILE *f = r->map;
    r->map = NULL;
    return f ? map_file_write(f, r->options.map, r->machine, r->options.json, e) : 0;
}
