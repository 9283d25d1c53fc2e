/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doors for unmodified programs: device files that exist for a program although the kernel does not
 * have them. A small filter (seccomp user notification) hands the program's opens and some of its
 * ioctls to the supervisor, which answers those on doors from softsev and leaves all others to the
 * kernel. This needs no privilege, and works for static programs and for programs that make system
 * calls of their own.
 *
 * The supervisor knows nothing about SEV: it serves a table of struct door_file. door/sev.h,
 * door/sev_guest.h and door/tsm.h provide such files.
 */
#ifndef SOFTSEV_DOOR_DOOR_H
#define SOFTSEV_DOOR_DOOR_H

#include "base/base.h"
#include "base/error.h"
#include "base/trace.h"

/* --- What a file sees of the program that uses it --------------------------------------------- */

/* The memory of a thread whose system call is stopped. Tests pass their own memory. */
struct door_caller {
    bool (*read)(void *context, u64 address, void *out, size_t size);
    bool (*write)(void *context, u64 address, const void *data, size_t size);
    void *context;
};

/* Copy from or to the caller's memory. Return false if the caller has no such memory, or is gone;
 * the file then answers -EFAULT. With size 0 they return true. */
bool door_read(struct door_caller *caller, u64 address, void *out, size_t size);
bool door_write(struct door_caller *caller, u64 address, const void *data, size_t size);

/* --- A file ----------------------------------------------------------------------------------- */

struct door_file {
    const char *path; /* "/dev/sev": absolute, without "." or ".." */
    /* Answers one ioctl. Returns the result of the system call, or a negative errno. `writable`:
     * how the file was opened. `request` always has type 'S' (bits 15:8 are 53h): ioctls of other
     * types go to the kernel, which answers ENOTTY. */
    s64 (*ioctl)(void *context, struct door_caller *caller, bool writable, u32 request,
                 u64 argument);
    void *context;
};

/* A folder of files whose contents the supervisor makes when they are opened (configfs). Paths are
 * relative to the folder, without leading or doubled slashes; "" is the folder itself, which has
 * folders of files. Unless said otherwise the functions return 0 or a negative errno. Folders above
 * it that the kernel lacks exist for the program, too. */
struct door_folder {
    const char *path;                               /* "/sys/kernel/config/tsm/report" */
    s64 (*make)(void *context, const char *path);   /* mkdir */
    s64 (*remove)(void *context, const char *path); /* rmdir */
    /* Handles the opening of a file. To be read: writes the content into `file`. To be written:
     * `file` will hold what the program writes; the descriptor is the supervisor's, so duplicate
     * it. */
    s64 (*open)(void *context, const char *path, bool write, int file);
    /* Returns S_IFDIR or S_IFREG with permission bits, and sets the size that stat shows; or
     * returns a negative errno. */
    s64 (*stat)(void *context, const char *path, u64 *size);
    /* Returns the name of a file, by number, of a folder that make() has made; NULL: there are no
     * more. */
    const char *(*name)(void *context, const char *path, u32 number);
    void *context;
};

#define DOOR_FOLDERS_MAX 2

struct door {
    const struct door_file *files;     /* ends with a row without a path; at most DOOR_FILES_MAX */
    const struct door_folder *folders; /* likewise; NULL: none */
    struct trace *trace;               /* may be NULL */
    /* Set when a signal came that ends programs, so that nothing in the caller's functions waits
     * any longer; NULL: nobody wants to know. */
    _Atomic bool *signalled;
};

#define DOOR_FILES_MAX 8

/* Runs the program `argv` (ended by NULL, looked up in PATH) with these doors, until it and all
 * processes that it started have ended. Returns its exit code (128 + number for a signal), or -1
 * and an error: ERROR_FILE if the program cannot be run, ERROR_INTERNAL if the kernel lacks
 * something that the doors need, which the error names. The calling process must have no other
 * children. From now on it cannot be traced or dumped. Interrupts from the terminal go to the
 * program; SIGTERM and SIGHUP are passed on to it. After the program itself has ended, each of
 * these signals ends the processes that it left behind. No process of the program is left when this
 * returns, or when the calling process is killed. */
int door_run(const struct door *door, char *const argv[], struct error *error);

#endif
