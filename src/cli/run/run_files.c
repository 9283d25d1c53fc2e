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

/* A guest would find the format's header in the place of a partition table. */
static int check_raw(int fd, const char *path, struct error *e)
{
    char first[4];
    if (pread(fd, first, sizeof first, 0) != sizeof first || memcmp(first, "QFI\xfb", 4))
        return 0;
    return error_set(
        e, ERROR_FILE,
        "%s: a disk image (qcow2); right is a raw one: `qemu-img convert -O raw` makes "
        "it",
        path);
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
    } else if (!check_raw(fd, path, e)) {
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
    return !memcmp(page, zeros, sizeof page) || disk_write(&fd, spa, page, sizeof page);
}

/* A pipe or a device takes every byte; only a regular file can have holes. */
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
