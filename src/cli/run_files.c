/* SPDX-License-Identifier: Apache-2.0 */
/* Files of `softsev run`: kernels and the like as a whole, disk images in place. */
#include "cli/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX GIB(2)
#define PIPE_MAX MIB(64)

static int read_all(int fd, const char *path, struct run_file *out, struct error *e)
{
    for (size_t at = 0; at < out->size;) {
        ssize_t got = read(fd, out->data + at, out->size - at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return error_set(e, ERROR_FILE, "%s: %s", path,
                             got ? strerror(errno) : "became shorter");
        at += (size_t)got;
    }
    return 0;
}

/* What has no size: a pipe, as from <(...) of a shell. */
static int read_to_end(int fd, const char *path, struct run_file *out, struct error *e)
{
    for (size_t room = 0;;) {
        if (out->size == room) {
            room = room ? 2 * room : KIB(64);
            u8 *more = room > PIPE_MAX ? NULL : realloc(out->data, room + 1);
            if (!more)
                return error_set(e, ERROR_FILE, "%s: no file, and more than 64 MiB come", path);
            out->data = more;
        }
        ssize_t got = read(fd, out->data + out->size, room - out->size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got ? error_set(e, ERROR_FILE, "%s: %s", path, strerror(errno)) : 0;
        out->size += (size_t)got;
    }
}

static int read_descriptor(int fd, const char *path, struct run_file *out, struct error *e)
{
    struct stat s;
    if (fd < 0 || fstat(fd, &s))
        return error_set(e, ERROR_FILE, "%s: %s", path, strerror(errno));
    if (S_ISDIR(s.st_mode) || (u64)s.st_size > FILE_MAX)
        return error_set(e, ERROR_FILE, "%s: not a file of at most 2 GiB", path);
    out->name = malloc(strlen(path) + 1);
    if (!out->name)
        return error_set(e, ERROR_MEMORY, "%s: no memory for its name", path);
    strcpy(out->name, path);
    if (!S_ISREG(s.st_mode))
        return read_to_end(fd, path, out, e);
    out->size = (size_t)s.st_size;
    out->data = malloc(out->size + 1);
    return out->data
               ? read_all(fd, path, out, e)
               : error_set(e, ERROR_MEMORY, "%s: no memory for its %zu bytes", path, out->size);
}

int run_read_file(const char *path, struct run_file *out, struct error *e)
{
    *out = (struct run_file){0};
    if (!path)
        return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int result = read_descriptor(fd, path, out, e);
    if (fd >= 0)
        close(fd);
    if (result)
        run_free_file(out);
    return result;
}

void run_free_file(struct run_file *f)
{
    free(f->data);
    free(f->name);
    *f = (struct run_file){0};
}

/* --- Disks: the descriptor is the whole context ----------------------------------------------- */

static bool disk_read(void *context, u64 offset, void *out, size_t size)
{
    int fd = *(int *)context;
    for (size_t at = 0; at < size;) {
        ssize_t got = pread(fd, (u8 *)out + at, size - at, (off_t)(offset + at));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += (size_t)got;
    }
    return true;
}

static bool disk_write(void *context, u64 offset, const void *data, size_t size)
{
    int fd = *(int *)context;
    for (size_t at = 0; at < size;) {
        ssize_t put = pwrite(fd, (const u8 *)data + at, size - at, (off_t)(offset + at));
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        at += (size_t)put;
    }
    return true;
}

int run_open_disk(const char *path, bool read_only, struct vm_disk *out, struct error *e)
{
    *out = (struct vm_disk){0};
    if (!path)
        return 0;
    int fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    int *context = malloc(sizeof *context);
    if (fd < 0 || size < 0 || !context) {
        error_set(e, ERROR_FILE, "%s: %s", path, strerror(errno));
    } else if (!size || size % 512) {
        error_set(e, ERROR_FILE, "%s: %lld bytes; a disk has whole sectors of 512", path,
                  (long long)size);
    } else {
        *context = fd;
        *out = (struct vm_disk){(u64)size, disk_read, read_only ? NULL : disk_write, context};
        return 0;
    }
    free(context);
    if (fd >= 0)
        close(fd);
    return -1;
}

void run_close_disk(struct vm_disk *disk)
{
    if (!disk->context)
        return;
    close(*(int *)disk->context);
    free(disk->context);
    *disk = (struct vm_disk){0};
}

/* --- DRAM into a file ------------------------------------------------------------------------- */

int run_dump_open(const char *path, struct error *e)
{
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (path && fd < 0)
        return error_set(e, ERROR_FILE, "%s cannot be written: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return 0;
}

int run_dump_memory(const struct run *r, const char *path, struct error *e)
{
    static const u8 zeros[PAGE_SIZE];
    struct memory *m = machine_memory(r->machine);
    u8 page[PAGE_SIZE];
    if (!path)
        return 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && !ftruncate(fd, (off_t)memory_size(m));
    for (u64 spa = 0; ok && spa < memory_size(m); spa += PAGE_SIZE) {
        ok = memory_peek(m, spa, KEY_RAW, page, sizeof page);
        if (ok && memcmp(page, zeros, sizeof page))
            ok = pwrite(fd, page, sizeof page, (off_t)spa) == (ssize_t)sizeof page;
    }
    if (fd >= 0 && close(fd))
        ok = false;
    return ok ? 0 : error_set(e, ERROR_FILE, "%s: cannot be written", path);
}
