/* SPDX-License-Identifier: Apache-2.0 */
/* Files of `softsev run`: disk images in place, and DRAM at the end. */
#include "cli/run/run.h"
#include "files/files.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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
    int fd, *context = malloc(sizeof *context);
    u64 size;
    if (!context)
        return error_set(e, ERROR_MEMORY, "%s: out of memory", path);
    if (file_open_disk(path, read_only, &fd, &size, e)) {
        free(context);
        return -1;
    }
    if (!size || size % 512) {
        error_set(e, ERROR_FILE, "%s: %llu bytes; a disk has whole sectors of 512", path,
                  (unsigned long long)size);
    } else {
        *context = fd;
        *out = (struct vm_disk){size, disk_read, read_only ? NULL : disk_write, context};
        return 0;
    }
    free(context);
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
    FILE *f = path ? file_create(path, true, e) : NULL;
    return !path || (f && file_close(f, path, e)) ? 0 : -1;
}

static bool dump_pages(struct memory *m, int fd)
{
    static const u8 zeros[PAGE_SIZE];
    u8 page[PAGE_SIZE];
    bool ok = !ftruncate(fd, (off_t)memory_size(m));
    for (u64 spa = 0; ok && spa < memory_size(m); spa += PAGE_SIZE) {
        ok = memory_peek(m, spa, KEY_RAW, page, sizeof page);
        if (ok && memcmp(page, zeros, sizeof page))
            ok = disk_write(&fd, spa, page, sizeof page);
    }
    return ok;
}

int run_dump_memory(const struct run *r, const char *path, struct error *e)
{
    FILE *f = path ? file_create(path, true, e) : NULL;
    if (!f)
        return path ? -1 : 0;
    if (!dump_pages(machine_memory(r->machine), fileno(f)))
        error_set(e, ERROR_FILE, "%s cannot be written: %s", path, strerror(errno));
    return file_close(f, path, e) && !e->code ? 0 : -1;
}
