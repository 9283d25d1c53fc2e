/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disks of a guest: raw images, or what an NBD server has, that the guest reads and writes in
 * place, that it only reads, or whose changes go into a file without a name and end with the run.
 */
#include "cli/options.h"
#include "cli/run/nbd.h"
#include "cli/run/run.h"
#include "files/files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK 4096u /* bytes: a snapshot keeps changes in blocks of this size */

/* An open disk. With a snapshot, bit n of `changed` says that block n is in `scratch`. */
struct run_disk {
    int fd;         /* -1: on an NBD server */
    struct nbd nbd; /* fd -1: a file */
    int scratch;    /* -1: no snapshot */
    u64 size;
    u8 *changed;
};

/* --- What was asked for ----------------------------------------------------------------------- */

int run_parse_disk(const char *text, struct run_disk_options *out, struct error *e)
{
    static const char *const words[] = {"readonly", "snapshot"};
    bool given[ARRAY_SIZE(words)] = {false};
    const size_t room = strlen(text) + 1;
    *out = (struct run_disk_options){.path = malloc(room)};
    if (!out->path)
        return error_set(e, ERROR_MEMORY, "out of memory");
    const char *rest = option_path(text, out->path, room);
    if (!*out->path)
        return error_set(e, ERROR_USAGE, "disk '%.80s': the name of a file should come first",
                         text);
    while (*rest == ',') {
        const size_t size = strcspn(++rest, ",");
        size_t i = 0;
        while (i < ARRAY_SIZE(words) && (strlen(words[i]) != size || memcmp(words[i], rest, size)))
            i++;
        if (i == ARRAY_SIZE(words))
            return error_set(e, ERROR_USAGE,
                             "disk '%.80s': '%.*s' should be readonly or snapshot; a comma in a "
                             "file's name is written twice",
                             text, (int)min_u64(size, 40), rest);
        if (given[i])
            return error_set(e, ERROR_USAGE, "disk '%.80s': %s is given twice", text, words[i]);
        given[i] = true;
        rest += size;
    }
    if (given[0] && given[1])
        return error_set(e, ERROR_USAGE,
                         "disk '%.80s': readonly and snapshot cannot be given together: a guest "
                         "that writes nothing changes nothing",
                         text);
    out->read_only = given[0];
    out->snapshot = given[1];
    return 0;
}

/* --- Reading and writing ---------------------------------------------------------------------- */

bool run_read_at(int fd, u64 offset, void *out, size_t size)
{
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

bool run_write_at(int fd, u64 offset, const void *data, size_t size)
{
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

static bool plain_read(void *context, u64 offset, void *out, size_t size)
{
    struct run_disk *d = context;
    return d->fd >= 0 ? run_read_at(d->fd, offset, out, size)
                      : nbd_read(&d->nbd, offset, out, size);
}

static bool plain_write(void *context, u64 offset, const void *data, size_t size)
{
    struct run_disk *d = context;
    return d->fd >= 0 ? run_write_at(d->fd, offset, data, size)
                      : nbd_write(&d->nbd, offset, data, size);
}

/* --- Snapshots -------------------------------------------------------------------------------- */

static bool is_changed(const struct run_disk *d, u64 block)
{
    return d->changed[block / 8] >> (block % 8) & 1;
}

static bool snapshot_read(void *context, u64 offset, void *out, size_t size)
{
    struct run_disk *d = context;
    for (size_t at = 0; at < size;) {
        u64 block = (offset + at) / BLOCK;
        const bool changed = is_changed(d, block);
        size_t part = (size_t)min_u64(size - at, (block + 1) * BLOCK - (offset + at));
        /* Adjacent blocks of one file are read together. */
        while (at + part < size && is_changed(d, ++block) == changed)
            part = (size_t)min_u64(size - at, part + BLOCK);
        if (!(changed ? run_read_at(d->scratch, offset + at, (u8 *)out + at, part)
                      : plain_read(d, offset + at, (u8 *)out + at, part)))
            return false;
        at += part;
    }
    return true;
}

/* Copies a block into the snapshot before a part of it is changed there. */
static bool copy_block(struct run_disk *d, u64 block)
{
    u8 old[BLOCK];
    const size_t size = (size_t)min_u64(BLOCK, d->size - block * BLOCK);
    return plain_read(d, block * BLOCK, old, size) &&
           run_write_at(d->scratch, block * BLOCK, old, size);
}

static bool snapshot_write(void *context, u64 offset, const void *data, size_t size)
{
    struct run_disk *d = context;
    for (size_t at = 0; at < size;) {
        const u64 block = (offset + at) / BLOCK;
        const size_t part = (size_t)min_u64(size - at, (block + 1) * BLOCK - (offset + at));
        if (part < BLOCK && !is_changed(d, block) && !copy_block(d, block))
            return false;
        if (!run_write_at(d->scratch, offset + at, (const u8 *)data + at, part))
            return false;
        d->changed[block / 8] |= (u8)(1u << block % 8);
        at += part;
    }
    return true;
}

/* --- Opening ---------------------------------------------------------------------------------- */

/* A guest would find the format's header in the place of a partition table. */
static int check_raw(struct run_disk *d, const char *path, struct error *e)
{
    char first[4];
    if (!plain_read(d, 0, first, sizeof first) || memcmp(first, "QFI\xfb", 4))
        return 0;
    return error_set(
        e, ERROR_FILE,
        "%s: a disk image (qcow2); right is a raw one: `qemu-img convert -O raw` makes "
        "it, or --disk nbd:unix:PATH and `qemu-nbd -k PATH` with its full path",
        path);
}

static int open_snapshot(struct run_disk *d, const char *path, struct error *e)
{
    struct error why = {.code = ERROR_NONE};
    d->changed = calloc(d->size / BLOCK / 8 + 1, 1);
    if (!d->changed)
        return error_set(e, ERROR_MEMORY, "%s: no memory for a snapshot", path);
    if (file_create_scratch(&d->scratch, &why))
        return 0;
    return error_set(e, why.code, "the snapshot of %s: %s", path, why.text);
}

static void close_disk(struct run_disk *d)
{
    if (d->fd >= 0)
        close(d->fd);
    nbd_close(&d->nbd);
    if (d->scratch >= 0)
        close(d->scratch);
    free(d->changed);
    free(d);
}

const char *run_disk_place(const struct run_disk_options *o)
{
    const size_t prefix = strlen(NBD_PREFIX);
    return o->path + (strncmp(o->path, NBD_PREFIX, prefix) ? 0 : prefix);
}

static int open_base(struct run_disk *d, const char *path, bool writes, struct error *e)
{
    const size_t prefix = strlen(NBD_PREFIX);
    if (strncmp(path, NBD_PREFIX, prefix))
        return file_open_disk(path, !writes, &d->fd, &d->size, e) ? -1 : 0;
    if (nbd_open(&d->nbd, path + prefix, -1, e))
        return -1;
    d->size = d->nbd.size;
    return writes && d->nbd.read_only
               ? error_set(e, ERROR_FILE,
                           "%s: the server lets nobody write; add ',readonly' or "
                           "',snapshot'",
                           path)
               : 0;
}

int run_open_disk(const struct run_disk_options *o, struct run_disk_file *out, struct error *e)
{
    const bool writes = !o->read_only && !o->snapshot;
    struct run_disk *d = calloc(1, sizeof *d);
    if (!d)
        return error_set(e, ERROR_MEMORY, "%s: out of memory", o->path);
    d->fd = d->nbd.fd = d->scratch = -1;
    if (open_base(d, o->path, writes, e)) {
        close_disk(d);
        return -1;
    }
    if (!d->size || d->size % 512) {
        error_set(e, ERROR_FILE, "%s: %llu bytes; a disk has whole sectors of 512", o->path,
                  (unsigned long long)d->size);
    } else if (!check_raw(d, o->path, e) && (!o->snapshot || !open_snapshot(d, o->path, e))) {
        *out = (struct run_disk_file){.size = d->size,
                                      .read = o->snapshot ? snapshot_read : plain_read,
                                      .write = o->snapshot ? snapshot_write
                                               : writes    ? plain_write
                                                           : NULL,
                                      .context = d};
        return 0;
    }
    close_disk(d);
    return -1;
}

/* --- Disks that go from one run to another ---------------------------------------------------- */

/* A server may have one client only. */
static int check_moves(const struct run_disk_options *o, struct error *e)
{
    if (o->snapshot)
        return error_set(e, ERROR_USAGE,
                         "%s: what was written to a snapshot would stay here; right is a disk "
                         "without ',snapshot'",
                         o->path);
    return !o->read_only && !strncmp(o->path, NBD_PREFIX, strlen(NBD_PREFIX))
               ? error_set(e, ERROR_USAGE,
                           "%s: a server's disk that is written does not move; add ',readonly'",
                           o->path)
               : 0;
}

int run_expect_disk(const struct run_disk_options *o, struct run_disk_file *out, struct error *e)
{
    if (check_moves(o, e))
        return -1;
    if (o->read_only)
        return run_open_disk(o, out, e);
    struct run_disk *d = calloc(1, sizeof *d);
    if (!d)
        return error_set(e, ERROR_MEMORY, "%s: out of memory", o->path);
    d->fd = d->nbd.fd = d->scratch = -1;
    if (file_measure_disk(o->path, &d->size, e)) {
        close_disk(d);
        return -1;
    }
    *out = (struct run_disk_file){
        .size = d->size, .read = plain_read, .write = plain_write, .context = d};
    return 0;
}

int run_give_disk(const struct run_disk_options *o, struct run_disk_file *disk, struct error *e)
{
    struct run_disk *d = disk->context;
    if (check_moves(o, e))
        return -1;
    if (o->read_only)
        return 0;
    if (fsync(d->fd))
        return error_set(e, ERROR_FILE, "%s: %s", o->path, strerror(errno));
    close(d->fd);
    d->fd = -1;
    return 0;
}

int run_take_disk(const struct run_disk_options *o, struct run_disk_file *disk, struct error *e)
{
    struct run_disk *d = disk->context;
    u64 size;
    if (o->read_only || d->fd >= 0)
        return 0;
    if (file_open_disk(o->path, false, &d->fd, &size, e))
        return -1;
    return size == d->size && !check_raw(d, o->path, e)
               ? 0
               : error_set(e, ERROR_FILE, "%s: its size is %llu, not %llu", o->path,
                           (unsigned long long)size, (unsigned long long)d->size);
}

void run_close_disk(struct run_disk_file *disk)
{
    if (disk->context)
        close_disk(disk->context);
    *disk = (struct run_disk_file){0};
}
