/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the door room share: the supervisor, and one stopped system call. Opens of a door's path are
 * answered with a descriptor of an anonymous file that the supervisor has made; that file's identity (device and inode)
 * tells later which descriptors are doors, so that dup, fork, passing and closing need no book-keeping.
 */
#ifndef SOFTSEV_DOOR_INTERNAL_H
#define SOFTSEV_DOOR_INTERNAL_H

#include "door/door.h"

#include <limits.h>
#include <linux/seccomp.h>
#include <sys/stat.h>
#include <sys/types.h>

struct supervisor {
    const struct door *door;
    int listener; /* the filter's notifications */
    u32 file_count;
    int files[DOOR_FILES_MAX]; /* the anonymous file that stands for each door */
    struct stat identity[DOOR_FILES_MAX];
    /* As big as this kernel's, which may be bigger than ours. */
    struct seccomp_notif *request;
    struct seccomp_notif_resp *response;
    size_t request_size, response_size;
};

/* --- calls.c: the system calls that are looked at, and their answers ----------------------------- */

struct call {
    struct supervisor *s;
    struct door_caller memory; /* of the thread that made it */
    pid_t thread;
    u64 id;
    const u64 *arguments;
};

/* Answers one notification, whatever it is. */
void calls_serve(struct supervisor *s);
/* The same thread still waits in the same call: what was read by its number was its own. */
bool call_is_waiting(const struct call *c);

/* One row of the table of system calls. */
struct call_kind {
    int number;
    s8 folder, path; /* which arguments: a descriptor to start from, the path; -1: none */
    s8 flags;        /* argument with flags; -1: none */
    u32 pass;     /* calls with one of these flags are the kernel's alone; the filter sees to it */
    bool folders; /* only where a door is a folder */
    void (*run)(struct call *c, const struct call_kind *kind);
};

extern const struct call_kind call_kinds[]; /* ends with a row without `run` */

/* --- filter.c: the filter in the program --------------------------------------------------------- */

/* Installs the filter in the calling process for good; the descriptor of its notifications, or -1 and errno. */
int filter_install(bool folders);

/* --- path.c: which door a path names -------------------------------------------------------------- */

enum target_kind { TARGET_NONE, TARGET_FILE, TARGET_FOLDER, TARGET_ABOVE };

struct target {
    enum target_kind kind;
    u32 file;                         /* index, of TARGET_FILE */
    const struct door_folder *folder; /* of TARGET_FOLDER; of TARGET_ABOVE one that is below it */
    char
        path[PATH_MAX]; /* TARGET_FOLDER: what follows the folder's path; TARGET_ABOVE: the whole */
};

/* Reads the path at `address` of the thread and looks it up. A path is compared as it is written, after "." and ".."
 * are taken out: symbolic links are not followed. `from`: the descriptor that a relative path starts from. */
void path_find(const struct door *door, pid_t thread, int from, u64 address, struct target *out);

#endif
