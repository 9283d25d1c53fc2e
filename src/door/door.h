/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doors for unmodified programs: a program is run so that device files exist for it which the kernel does not have.
 * A small filter (seccomp user notification) hands the opens of such paths and the ioctls to the supervisor, which
 * answers them from softsev; everything else goes to the kernel untouched. Needs no privilege, and works for static
 * programs and for those that make system calls of their own.
 *
 * The supervisor knows nothing of SEV: it serves a table of struct door_file. door/sev.h, door/sev_guest.h and
 * door/tsm.h are such files.
 */
#ifndef SOFTSEV_DOOR_DOOR_H
#define SOFTSEV_DOOR_DOOR_H

#include "base/base.h"
#include "base/error.h"
#include "base/trace.h"

/* --- What a file sees of the program that uses it ------------------------------------------------ */

struct door_caller; /* one stopped system call of one thread */

/* The caller's memory. False: it has none there; the file answers -EFAULT. */
bool door_read(struct door_caller *caller, u64 address, void *out, size_t size);
bool door_write(struct door_caller *caller, u64 address, const void *data, size_t size);

/* --- A file -------------------------------------------------------------------------------------- */

struct door_file {
    const char *path; /* "/dev/sev" */
    /* Answers one ioctl: what the system call returns, or a negative errno. `writable`: as it was opened. */
    s64 (*ioctl)(void *context, struct door_caller *caller, bool writable, u32 request,
                 u64 argument);
    void *context;
};

/* A folder of files whose contents the supervisor makes when they are opened (configfs). Paths are what follows the
 * folder's own, without a leading slash; "" is the folder itself. All return 0 or a negative errno. */
struct door_folder {
    const char *path;                               /* "/sys/kernel/config/tsm/report" */
    s64 (*make)(void *context, const char *path);   /* mkdir */
    s64 (*remove)(void *context, const char *path); /* rmdir */
    /* A descriptor to give to the program, which then is its own: of memory with the file's contents, or to write to. */
    s64 (*open)(void *context, const char *path, bool write);
    /* Exists: S_IFDIR or S_IFREG and permission bits; or a negative errno. */
    s64 (*stat)(void *context, const char *path);
    void *context;
};

struct door {
    const struct door_file *files; /* ends with a row without a path */
    const struct door_folder *folders;
    struct trace *trace; /* may be NULL */
};

/* Runs `argv` (ended by NULL, found in PATH) with these doors until it ends, and all the processes that it has
 * started. Returns its exit code (128 + number for a signal), or -1 and an error. */
int door_run(const struct door *door, char *const argv[], struct error *error);

#endif
