/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doors for unmodified programs: a program is run so that device files exist for it which the
 * kernel does not have. A small filter (seccomp user notification) hands the opens of such paths
 * and the ioctls to the supervisor, which answers them from softsev; everything else goes to the
 * kernel untouched. Needs no privilege, and works for static programs and for those that make
 * system calls of their own.
 *
 * The supervisor knows nothing of SEV: it serves a table of struct door_file. door/sev.h,
 * door/sev_guest.h and door/tsm.h are such files.
 */
#ifndef SOFTSEV_DOOR_DOOR_H
#define SOFTSEV_DOOR_DOOR_H

#include "base/base.h"
#include "base/error.h"
#include "base/trace.h"

/* --- What a file sees of the program that uses it --------------------------------------------- */

/* One stopped system call of one thread: its memory. Tests hand in memory of their own. */
struct door_caller {
    bool (*read)(void *context, u64 address, void *out, size_t size);
    bool (*write)(void *context, u64 address, const void *data, size_t size);
    void *context;
};

/* False: the caller has no such memory, or is gone; the file answers -EFAULT. Size 0 is always
 * true. */
bool door_read(struct door_caller *caller, u64 address, void *out, size_t size);
bool door_write(struct door_caller *caller, u64 address, const void *data, size_t size);

/* --- A file ----------------------------------------------------------------------------------- */

struct door_file {
    const char *path; /* "/dev/sev": absolute, without "." or ".." */
    /* Answers one ioctl: what the system call returns, or a negative errno. `writable`: as it was
     * opened. `request` always has type 'S' (bits 15:8 are 53h): ioctls of other types go to the
     * kernel, which answers ENOTTY. */
    s64 (*ioctl)(void *context, struct door_caller *caller, bool writable, u32 request,
                 u64 argument);
    void *context;
};

/* A folder of files whose contents the supervisor makes when they are opened (configfs). Paths are
 * what follows the folder's own, without a leading slash or doubled ones; "" is the folder itself,
 * which has folders of files. Where not said otherwise they return 0 or a negative errno. What the
 * kernel lacks above the folder exists for the program too. */
struct door_folder {
    const char *path;                               /* "/sys/kernel/config/tsm/report" */
    s64 (*make)(void *context, const char *path);   /* mkdir */
    s64 (*remove)(void *context, const char *path); /* rmdir */
    /* A file is opened, in `file`: to be read (put what it has into it) or written (look at it
     * later; the descriptor is the supervisor's, so duplicate it). */
    s64 (*open)(void *context, const char *path, bool write, int file);
    /* Exists: S_IFDIR or S_IFREG and permission bits, and the size that stat says; or a negative
     * errno. */
    s64 (*stat)(void *context, const char *path, u64 *size);
    /* The files of a folder that make() has made, by number; NULL: there are no more. */
    const char *(*name)(void *context, const char *path, u32 number);
    void *context;
};

#define DOOR_FOLDERS_MAX 2

struct door {
    const struct door_file *files;     /* ends with a row without a path; at most DOOR_FILES_MAX */
    const struct door_folder *folders; /* likewise; NULL: none */
    struct trace *trace;               /* may be NULL */
};

#define DOOR_FILES_MAX 8

/* Runs `argv` (ended by NULL, found in PATH) with these doors until it ends, and all the processes
 * that it has started. Returns its exit code (128 + number for a signal), or -1 and an error:
 * ERROR_FILE where the program cannot be run, ERROR_INTERNAL where the kernel lacks what the doors
 * need, which is then named.
 *
 * The calling process must have no other children. From now on it cannot be traced or dumped.
 * Interrupts from the terminal are the program's; SIGTERM and SIGHUP are handed on to it. Once the
 * program itself has ended and only processes that it left behind are served, each of these signals
 * ends those. No process of the program's is left when this returns, nor if the calling process is
 * killed. */
int door_run(const struct door *door, char *const argv[], struct error *error);

#endif
