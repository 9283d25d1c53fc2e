/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files, which somebody else may control: the one way to open, read and write them. An open never
 * blocks and never makes a terminal ours; kind, owner, mode and size are checked on the open
 * descriptor before a byte is read; a write appears as a whole or not at all, and never goes
 * through a symbolic link into another file.
 */
#ifndef SOFTSEV_FILES_FILES_H
#define SOFTSEV_FILES_FILES_H

#include "base/error.h"

#include <stdio.h>

/* What became of a file that was to be read. Each but FILE_READ comes with a sentence in `struct
 * error`. */
enum file_answer {
    FILE_READ = 0,
    FILE_ABSENT, /* there is no such file */
    /* the system refused: no permission, input/output error, too many open files */
    FILE_UNREADABLE,
    FILE_WRONG_KIND,  /* a folder, a link, a pipe or a device, where that is not allowed */
    FILE_WRONG_SIZE,  /* larger than allowed, or it changed its size meanwhile */
    FILE_WRONG_OWNER, /* somebody else's, or open to others, where that is not allowed */
    FILE_NO_MEMORY,
};

/* What a file must be. */
struct file_rule {
    u64 size_max;   /* bytes; checked before anything is read */
    u64 stream_max; /* bytes that may come from a pipe or character device; 0: none may be one */
    bool no_link;   /* the last part of the path must not be a symbolic link */
    bool secret;    /* belongs to this user or to root, and nobody else may read or write it */
};

/* A file's whole content. `data` is never NULL after FILE_READ, and data[size] is 0. */
struct file_data {
    u8 *data;
    size_t size;
};

/* Reads a whole file. `where` names the folder in errors; NULL: `name` says it all. `folder` is a
 * descriptor, or AT_FDCWD. `*out` is empty unless the answer is FILE_READ. */
enum file_answer file_read_at(int folder, const char *where, const char *name,
                              const struct file_rule *rule, struct file_data *out, struct error *e);
/* The same, by path. */
enum file_answer file_read(const char *path, const struct file_rule *rule, struct file_data *out,
                           struct error *e);
/* Wipes and frees the content. */
void file_free(struct file_data *data);

/* Opens a file to read it piece by piece: `*fd` is a descriptor, -1 unless the answer is FILE_READ;
 * `*size` its size, 0 for a stream. */
enum file_answer file_open(const char *path, const struct file_rule *rule, int *fd, u64 *size,
                           struct error *e);
/* Opens a disk image, a regular file or a block device, to be read and, unless `read_only`, written
 * in place. */
enum file_answer file_open_disk(const char *path, bool read_only, int *fd, u64 *size,
                                struct error *e);
/* Opens a folder that is ours to write: links to it are followed, and it must belong to this user
 * or to root and be writable by nobody else. */
enum file_answer file_open_own_folder(const char *path, int *fd, struct error *e);

/* One file of a set that belongs together. Its name may have one folder before it:
 * "der/ark.der". */
struct file_part {
    const char *name;
    const void *data; /* NULL: the file must not be there afterwards */
    size_t size;
    bool secret; /* mode 0600, not 0644 */
};

/* How names of temporary files and of old ones on their way out end. A process that was killed
 * leaves them behind. */
#define FILE_NEW_SUFFIX ".new"
#define FILE_OLD_SUFFIX ".old"

/* Called before each step of a write with its name; a test's place to end the process. NULL:
 * nothing is called. */
struct file_hook {
    void (*step)(void *context, const char *name);
    void *context;
};

/* Writes a set of files into an open folder: all of them or, with a sentence in `e`, none; what was
 * there before stays then. The last part is the commit point: a process that is killed on the way
 * leaves a set that is the old one, the new one, or lacks its last file; a single file is always
 * the old one or the new one. When only the fsync of the folder fails, a single file is the new one
 * and the answer still false. `hook` may be NULL. */
bool file_replace_at(int folder, const char *where, const struct file_part *parts, size_t count,
                     const struct file_hook *hook, struct error *e);
/* The same in a folder, which is made with mode 0755 if it is missing (not what is above it), and
 * so are the folders of parts; those that were made are removed again if nothing could be
 * written. */
bool file_write_set(const char *folder, const struct file_part *parts, size_t count,
                    struct error *e);

/* A set that is put together bit by bit. Starts as {0}; names and content are copied. */
struct file_set {
    struct file_part *parts;
    size_t count, room;
    bool no_memory; /* noticed by file_set_write */
};
/* Adds a file; `data` NULL: one that must not be there. */
void file_set_add(struct file_set *s, const char *name, const void *data, size_t size, bool secret);
/* Writes the set as file_write_set does. `s` stays the caller's. */
bool file_set_write(const char *folder, const struct file_set *s, struct error *e);
/* Wipes and frees the set. */
void file_set_free(struct file_set *s);

/* Writes one file whole. A path that leads to a pipe or character device, as /dev/stdout may, is
 * written to in place; a symbolic link to a regular file is refused. */
bool file_write(const char *path, const void *data, size_t size, bool secret, struct error *e);
/* Makes a folder with mode 0755 unless it is there already. */
bool file_make_folder(const char *path, struct error *e);

/* Opens a file for output that comes bit by bit: it is made, or emptied if it is a regular file
 * already; links as in file_write. NULL on failure. */
FILE *file_create(const char *path, bool secret, struct error *e);
/* Closes it. False: something of the output is missing. `path` is for the sentence. */
bool file_close(FILE *file, const char *path, struct error *e);

#endif
