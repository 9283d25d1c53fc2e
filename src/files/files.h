/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access to files that others may control: the only code that opens, reads and writes them. Opening
 * never blocks and never makes a terminal the controlling one. Kind, owner, mode and size are
 * checked on the open descriptor before a byte is read. A write appears as a whole or not at all,
 * and never goes through a symbolic link into another file.
 */
#ifndef SOFTSEV_FILES_FILES_H
#define SOFTSEV_FILES_FILES_H

#include "base/error.h"

#include <stdio.h>

/* The result of reading a file. Each but FILE_READ comes with a sentence in `struct error`. */
enum file_answer {
    FILE_READ = 0,
    FILE_ABSENT, /* there is no such file */
    /* the system refused: no permission, input/output error, too many open files */
    FILE_UNREADABLE,
    FILE_WRONG_KIND,  /* a folder, a link, a pipe or a device, where that is not allowed */
    FILE_WRONG_SIZE,  /* larger than allowed, or its size changed while it was read */
    FILE_WRONG_OWNER, /* owned by somebody else, or open to others, where that is not allowed */
    FILE_IN_USE,      /* another process has locked it */
    FILE_NO_MEMORY,
};

/* The requirements on a file. */
struct file_rule {
    u64 size_max;   /* bytes; checked before anything is read */
    u64 stream_max; /* bytes that a pipe or character device may give; 0: none is allowed */
    bool no_link;   /* the last part of the path must not be a symbolic link */
    bool secret;    /* must belong to this user or root; nobody else may read or write it */
};

/* A file's whole content. `data` is never NULL after FILE_READ, and data[size] is 0. */
struct file_data {
    u8 *data;
    size_t size;
};

/* From now on, reading does not wait for a pipe's writer once `ending` returns true: it fails. For
 * programs that note signals instead of ending at once. */
void file_stop_waiting(bool (*ending)(void));

/* Reads a whole file. `where` names the folder in errors; NULL: `name` alone is enough. `folder` is
 * a descriptor, or AT_FDCWD. `*out` is empty unless the answer is FILE_READ. */
enum file_answer file_read_at(int folder, const char *where, const char *name,
                              const struct file_rule *rule, struct file_data *out, struct error *e);
/* Reads a whole file by its path, as file_read_at() does. */
enum file_answer file_read(const char *path, const struct file_rule *rule, struct file_data *out,
                           struct error *e);
/* Wipes and frees the content. */
void file_free(struct file_data *data);

/* Opens a file to be read piece by piece; waits some seconds until somebody writes into a pipe.
 * `*fd` is a descriptor, -1 unless the answer is FILE_READ;
 * `*size` is its size, 0 for a stream. */
enum file_answer file_open(const char *path, const struct file_rule *rule, int *fd, u64 *size,
                           struct error *e);
/* Opens a disk image (a regular file or a block device) for reading and, unless `read_only`, for
 * writing in place. Locks it as QEMU does, until it is closed: readers share a disk, a writer has
 * it alone. The error of a disk that is in use names the process that uses it, if that can be seen.
 */
enum file_answer file_open_disk(const char *path, bool read_only, int *fd, u64 *size,
                                struct error *e);
/* Measures a disk image without a lock: another process may be writing it. */
enum file_answer file_measure_disk(const char *path, u64 *size, struct error *e);
/* Makes an empty file without a name, in $TMPDIR or /var/tmp: it ends with its descriptor. */
bool file_create_scratch(int *fd, struct error *e);
/* Opens a regular file with these flags of open(2), O_CREAT with mode 0600. Follows no symbolic
 * link in the last part of the name. Returns the descriptor, or -errno: -EIO for any other kind of
 * file, which somebody has put there. */
int file_open_regular(int folder, const char *name, int flags);
/* Opens a folder to write into. Follows links to it. The folder must belong to this user or to
 * root, and nobody else may be able to write it. */
enum file_answer file_open_own_folder(const char *path, int *fd, struct error *e);

/* One file of a set. Its name may have one folder before it: "der/ark.der". */
struct file_part {
    const char *name;
    const void *data; /* NULL: the file must not exist afterwards */
    size_t size;
    bool secret; /* mode 0600 instead of 0644 */
    /* refused if there is such a file, whose content would be lost; what to do about it, such as
     * "move it away first". NULL: it is replaced */
    const char *only_new;
};

/* The suffixes of temporary files, and of old files that are being replaced. A killed process
 * leaves such files behind. */
#define FILE_NEW_SUFFIX ".new"
#define FILE_OLD_SUFFIX ".old"

/* A function called before each step of a write, with the step's name; tests end the process there.
 * NULL: nothing is called. */
struct file_hook {
    void (*step)(void *context, const char *name);
    void *context;
};

/* Writes a set of files into an open folder: all of them, or none with a sentence in `e`, and then
 * the old files stay. The last file is the commit point: if the process is killed, the folder holds
 * the old set, the new set, or a set without its last file; a single file is always the old or the
 * new one. If only the fsync of the folder fails, a single file is the new one although the answer
 * is false. `hook` may be NULL. */
bool file_replace_at(int folder, const char *where, const struct file_part *parts, size_t count,
                     const struct file_hook *hook, struct error *e);
/* Writes a set as file_replace_at() does. Makes the folder (but no folder above it) and the
 * parts' folders with mode 0755 if they are missing, and removes those that it made if the
 * writing fails. */
bool file_write_set(const char *folder, const struct file_part *parts, size_t count,
                    struct error *e);

/* A set that is filled file by file. Starts as {0}; names and content are copied. */
struct file_set {
    struct file_part *parts;
    size_t count, room;
    bool no_memory; /* file_set_write reports it */
};
/* Adds a file; `data` NULL: a file that must not exist. */
void file_set_add(struct file_set *s, const char *name, const void *data, size_t size, bool secret);
/* Adds a secret file that must not be there yet, such as a key that cannot be made again. `advice`
 * is the end of the error's sentence: struct file_part's only_new. */
void file_set_add_new_secret(struct file_set *s, const char *name, const void *data, size_t size,
                             const char *advice);
/* Writes the set as file_write_set() does. The caller keeps `s`. */
bool file_set_write(const char *folder, const struct file_set *s, struct error *e);
/* Wipes and frees the set. */
void file_set_free(struct file_set *s);

/* The first bytes of the files that softsev keeps for itself, such as a platform's fuses and store.
 * No output replaces one. */
#define FILE_KEPT_MAGIC "SOFTSEV\n"

/* Checks in advance whether output may go to a path. Returns false and an error if it leads to a
 * file that softsev keeps for itself. */
bool file_check_output(const char *path, struct error *e);

/* Writes one file as a whole. If the path leads to a pipe or character device, as /dev/stdout may,
 * writes to that in place; refuses a symbolic link to a regular file. */
bool file_write(const char *path, const void *data, size_t size, bool secret, struct error *e);
/* Makes a folder with mode 0755 unless it is there already. */
bool file_make_folder(const char *path, struct error *e);

/* Opens a file for output in several writes: makes it, or empties it if it is a regular file.
 * Treats links as file_write() does. NULL on failure. */
FILE *file_create(const char *path, bool secret, struct error *e);
/* Writes the stream's buffer. Returns false and an error if some of its output is lost. `name` is a
 * path, or "standard output". */
bool file_flush(FILE *file, const char *name, struct error *e);
/* A file that is written piece by piece and appears as a whole at the end, with mode 0600. */
struct file_growing {
    FILE *file; /* NULL: none */
    const char *path;
    int folder;
    char temporary[300];
};
/* The path's text must stay. Replaces a regular file alone. Returns false and an error. */
bool file_grow(const char *path, struct file_growing *g, struct error *e);
bool file_grow_add(struct file_growing *g, const void *data, size_t size, struct error *e);
/* Gives the file its name; if that fails, and with file_grow_drop(), nothing is left of it. */
bool file_grow_end(struct file_growing *g, struct error *e);
void file_grow_drop(struct file_growing *g);

/* Closes the file. Returns false if part of the output is missing. `path` is for the error. */
bool file_close(FILE *file, const char *path, struct error *e);

#endif
