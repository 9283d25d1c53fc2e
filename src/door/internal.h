/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of the room: the supervisor, and one stopped system call. An open of a door's
 * path is answered with a descriptor of an anonymous file that the supervisor has made. The
 * identity of that file (device and inode) later tells which descriptors are doors, so dup, fork,
 * passing and closing need no book-keeping.
 */
#ifndef SOFTSEV_DOOR_INTERNAL_H
#define SOFTSEV_DOOR_INTERNAL_H

#include "door/door.h"

#include <limits.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/types.h>

struct stuck;
struct server;
struct restarter;

/* A temporary folder in place of one that the kernel does not have. */
struct mirror {
    const struct door_folder *folder; /* NULL: the end of a list */
    char root[160];                   /* where it is */
    char prefix[160]; /* the path that it stands for: the folder, or the first folder above it that
                         the kernel lacks */
};

/* The mode of the anonymous file that stands for a door, which open checks. */
#define DOOR_FILE_MODE 0600

struct supervisor {
    const struct door *door;
    int listener; /* the filter's notifications */
    u32 file_count;
    int files[DOOR_FILES_MAX]; /* the anonymous file that stands for each door */
    struct stat identity[DOOR_FILES_MAX];
    /* The sizes are those of the running kernel, which may be larger than the header's. */
    size_t request_size, response_size;
    struct seccomp_notif_resp *response; /* the main thread's own */
    struct mirror mirrors[DOOR_FOLDERS_MAX + 1];

    struct restarter *restarter; /* NULL: no program has needed it */

    /* The thread that serves, and how the main thread watches its reads. */
    struct server *server;
    struct stuck *stuck;
    int stop, bell; /* eventfds: one tells the server to end, one wakes the main thread to watch the
                       server */
    _Atomic u32 reads;
    _Atomic bool watching;
    u32 reads_seen, ticks;
};

/* --- keep.c: the process between supervisor and program --------------------------------------- */

#define KEEPER_NAME "door-keeper"

/* Becomes the keeper of `child`, which the caller has forked; `signals` are already blocked.
 * Removes the mirrors if the supervisor was killed. */
NORETURN void keep_run(pid_t child, int link, const sigset_t *signals,
                       const struct mirror *mirrors);
/* Kills and collects all children and their children. `known` is one of them. */
void keep_kill_all(pid_t known);

/* --- memory.c: the program's memory ----------------------------------------------------------- */

/* How many threads wait for memory that a program holds back. They may outlive door_run(), so they
 * share this. */
struct stuck {
    _Atomic u32 users; /* one more than there are threads */
};

#define STUCK_MAX 16u

struct stuck *stuck_create(void);
bool stuck_add(struct stuck *t); /* false: there are STUCK_MAX */
void stuck_drop(struct stuck *t);

static inline bool stuck_full(struct stuck *t)
{
    return atomic_load(&t->users) > STUCK_MAX;
}

/* Copies from or to a thread's memory. Returns false if it has no such memory, or holds it back for
 * too long. */
bool memory_copy(struct stuck *stuck, pid_t thread, u64 address, void *data, size_t size,
                 bool write);
/* Reads a string page by page, because the page after its end may not exist. May hang, so call it
 * only between server_read_begin() and server_read_end(). */
bool memory_string(pid_t thread, u64 address, char out[PATH_MAX]);

/* --- serve.c: the thread that answers --------------------------------------------------------- */

struct server {
    struct supervisor *s; /* must not be used after the server was left behind */
    struct stuck *stuck;
    pthread_t thread;
    struct seccomp_notif *request;
    struct seccomp_notif_resp *response;
    char path[PATH_MAX]; /* of the call that is served */
    _Atomic u32 stage;
};

#define SERVER_TICK_MS 250

int server_start(struct supervisor *s, struct error *e);
void server_end(struct supervisor *s);
/* Checks the server; the main thread calls it every SERVER_TICK_MS while s->watching. Returns -1 if
 * there is no server any more. */
int server_watch(struct supervisor *s, struct error *e);
/* Returns false if nothing may be read, because too many reads hang. */
bool server_read_begin(struct server *v);
/* Returns false if the thread was left behind; the call was then answered. */
bool server_read_end(struct server *v);

/* --- calls.c: the system calls that are looked at, and their answers -------------------------- */

struct call {
    struct supervisor *s;
    struct server *server;
    struct door_caller memory; /* of the thread that made it */
    pid_t thread;
    u64 id;
    const u64 *arguments;
};

void call_pass(struct call *c); /* lets the kernel do the call */
void call_answer(struct call *c, s64 value);
/* Gives the caller a descriptor and answers with its number. */
void call_give(struct call *c, int fd, bool close_on_exec);
/* Gives the caller a descriptor before the call is answered. Returns its number, or -1. */
int call_lend(struct call *c, int fd);

/* Answers one notification. Returns false if this thread was left behind. */
bool calls_serve(struct server *v);
/* Returns true if the same thread still waits in the same call, so what was read by its number
 * belongs to it. */
bool call_is_waiting(const struct call *c);

/* One row of the table of system calls. */
struct call_kind {
    int number;
    s8 folder, path; /* which arguments: a descriptor to start from, the path; -1: none */
    s8 flags;        /* argument with flags; -1: none */
    u32 pass;        /* the filter passes calls with one of these flags to the kernel */
    bool folders;    /* only where a door is a folder */
    s16 refusal;     /* negative errno of calls that a door always refuses */
    void (*run)(struct call *c, const struct call_kind *kind);
};

extern const struct call_kind call_kinds[]; /* ends with a row without `run` */

/* --- calls_path.c: calls on paths ------------------------------------------------------------- */

void call_open(struct call *c, const struct call_kind *kind);
void call_stat(struct call *c, const struct call_kind *kind);
void call_statx(struct call *c, const struct call_kind *kind);
void call_access(struct call *c, const struct call_kind *kind);
void call_refuse(struct call *c, const struct call_kind *kind);
void call_make_node(struct call *c, const struct call_kind *kind);
void call_readlink(struct call *c, const struct call_kind *kind);
void call_statfs(struct call *c, const struct call_kind *kind);
void call_mkdir(struct call *c, const struct call_kind *kind);
void call_remove(struct call *c, const struct call_kind *kind);
void call_rename(struct call *c, const struct call_kind *kind);
void call_chdir(struct call *c, const struct call_kind *kind);
void call_getcwd(struct call *c, const struct call_kind *kind);

/* --- filter.c: the filter in the program ------------------------------------------------------ */

/* Installs the filter in the calling process for good. Returns the descriptor of its notifications,
 * or -1 and errno. */
int filter_install(bool folders);

/* Returns the row of a system call; NULL: it is not filtered. */
const struct call_kind *call_find_kind(int number);

/* --- restart.c: calls that signals interrupt -------------------------------------------------- */

/* Handles a process that starts a repeating timer. Returns when its signals are watched, or when
 * they cannot be. */
void restart_watch(struct supervisor *s, pid_t thread);
void restart_end(struct supervisor *s);

/* --- path.c: which door a path names ---------------------------------------------------------- */

enum target_kind {
    TARGET_NONE, /* the kernel's */
    TARGET_FILE,
    TARGET_FOLDER,
    TARGET_ABOVE, /* a folder above, that the kernel may have too */
    /* for the kernel, but by its whole path, because it starts from a mirror */
    TARGET_OUTSIDE,
};

struct target {
    enum target_kind kind;
    u32 file;                         /* index, of TARGET_FILE */
    const struct door_folder *folder; /* of TARGET_FOLDER; of TARGET_ABOVE one that is below it */
    char path[PATH_MAX];              /* TARGET_FOLDER: what follows the folder's path */
    char whole[PATH_MAX];             /* not of TARGET_NONE */
};

/* Looks up a path that the thread has named. It is compared as it is written, after "." and ".."
 * are taken out: symbolic links are not followed. `from`: the descriptor that a relative path
 * starts from. */
void path_find(const struct door *door, const struct mirror *mirrors, pid_t thread, int from,
               const char *path, struct target *out);

/* --- mirror.c: folders that the kernel can enter and list ------------------------------------- */

/* Makes the temporary folder. */
int mirror_make(struct mirror *m, const struct door_folder *folder, struct error *e);
void mirrors_remove(const struct mirror *mirrors); /* up to the one without a folder */
/* Replaces a path in a mirror by the path that it stands for. Returns false if the path is in no
 * mirror. */
bool mirror_virtual(const struct mirror *mirrors, char path[PATH_MAX]);
/* Does the opposite. Returns false if no mirror has the path. */
bool mirror_real(const struct mirror *mirrors, const char *path, char out[PATH_MAX]);
/* Make a folder with its files in the mirror, and remove it. `whole` is its path for the
 * program. */
bool mirror_add(const struct mirror *mirrors, const struct door_folder *folder, const char *path,
                const char *whole);
void mirror_drop(const struct mirror *mirrors, const char *whole);

/* --- inject.c: a call that a thread makes for the supervisor ---------------------------------- */

/* Call it before the thread's own call is answered. Returns false if somebody else traces the
 * thread, or the processor is not supported. */
bool inject_prepare(pid_t thread);
/* Call it afterwards: makes the thread enter the folder of one of its descriptors and close that
 * descriptor. The call's result is that of fchdir. With a negative descriptor the result is
 * EACCES. */
void inject_fchdir(pid_t thread, int fd);

#endif
