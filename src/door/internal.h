/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the door room share: the supervisor, and one stopped system call. Opens of a
 * door's path are answered with a descriptor of an anonymous file that the supervisor has made;
 * that file's identity (device and inode) tells later which descriptors are doors, so that dup,
 * fork, passing and closing need no book-keeping.
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
    char prefix[160]; /* what it stands for: the folder, or what the kernel lacks above */
};

/* Of the anonymous file that stands for a door: what open checks. */
#define DOOR_FILE_MODE 0600

struct supervisor {
    const struct door *door;
    int listener; /* the filter's notifications */
    u32 file_count;
    int files[DOOR_FILES_MAX]; /* the anonymous file that stands for each door */
    struct stat identity[DOOR_FILES_MAX];
    /* The sizes are this kernel's, which may be bigger than ours. */
    size_t request_size, response_size;
    struct seccomp_notif_resp *response; /* the main thread's own */
    struct mirror mirrors[DOOR_FOLDERS_MAX + 1];

    struct restarter *restarter; /* NULL: no program has needed it */

    /* The thread that serves, and how the main thread watches its reads. */
    struct server *server;
    struct stuck *stuck;
    int stop, bell; /* eventfd: the server ends; the main thread wakes and watches */
    _Atomic u32 reads;
    _Atomic bool watching;
    u32 reads_seen, ticks;
};

/* --- keep.c: the process between supervisor and program --------------------------------------- */

#define KEEPER_NAME "door-keeper"

/* Becomes the keeper of `child`, which it has forked; `signals` are blocked already. The mirrors go
 * if the supervisor was killed. */
NORETURN void keep_run(pid_t child, int link, const sigset_t *signals,
                       const struct mirror *mirrors);
/* Kills and collects all children, and theirs. `known` is one of them. */
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

/* Copies from or to a thread's memory. False: it has no such memory, or holds it back for too
 * long. */
bool memory_copy(struct stuck *stuck, pid_t thread, u64 address, void *data, size_t size,
                 bool write);
/* Reads a string page by page, since what follows its end may not exist. May hang: between
 * server_read_begin() and server_read_end() alone. */
bool memory_string(pid_t thread, u64 address, char out[PATH_MAX]);

/* --- serve.c: the thread that answers --------------------------------------------------------- */

struct server {
    struct supervisor *s; /* not to be touched once the server was left behind */
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
/* The main thread's part: every SERVER_TICK_MS while s->watching. -1: there is no server any
 * more. */
int server_watch(struct supervisor *s, struct error *e);
/* False: nothing may be read, since too many reads hang. */
bool server_read_begin(struct server *v);
/* False: the thread was left behind, and the call was answered. */
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

void call_pass(struct call *c); /* the kernel does what was asked for */
void call_answer(struct call *c, s64 value);
/* Gives the caller a descriptor of its own, and its number as the answer. */
void call_give(struct call *c, int fd, bool close_on_exec);
/* The same before the call is answered; the number, or -1. */
int call_lend(struct call *c, int fd);

/* Answers one notification, whatever it is. False: this thread was left behind. */
bool calls_serve(struct server *v);
/* The same thread still waits in the same call: what was read by its number was its own. */
bool call_is_waiting(const struct call *c);

/* One row of the table of system calls. */
struct call_kind {
    int number;
    s8 folder, path; /* which arguments: a descriptor to start from, the path; -1: none */
    s8 flags;        /* argument with flags; -1: none */
    u32 pass;     /* calls with one of these flags are the kernel's alone; the filter sees to it */
    bool folders; /* only where a door is a folder */
    s16 refusal;  /* negative errno of calls that a door always refuses */
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

/* Installs the filter in the calling process for good; the descriptor of its notifications, or -1
 * and errno. */
int filter_install(bool folders);

/* The row of a system call; NULL: it is not looked at. */
const struct call_kind *call_find_kind(int number);

/* --- restart.c: calls that signals interrupt -------------------------------------------------- */

/* The thread's process starts a timer that repeats. Returns when its signals are watched, or cannot
 * be. */
void restart_watch(struct supervisor *s, pid_t thread);
void restart_end(struct supervisor *s);

/* --- path.c: which door a path names ---------------------------------------------------------- */

enum target_kind {
    TARGET_NONE, /* the kernel's */
    TARGET_FILE,
    TARGET_FOLDER,
    TARGET_ABOVE, /* a folder above, that the kernel may have too */
    /* the kernel's, but it must be asked by the whole path: it starts from a mirror */
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
/* A path in a mirror becomes that of what it stands for. False: it is none. */
bool mirror_virtual(const struct mirror *mirrors, char path[PATH_MAX]);
/* The other way round. False: no mirror has it. */
bool mirror_real(const struct mirror *mirrors, const char *path, char out[PATH_MAX]);
/* A folder comes, with its files; and goes. `whole` is its path for the program. */
bool mirror_add(const struct mirror *mirrors, const struct door_folder *folder, const char *path,
                const char *whole);
void mirror_drop(const struct mirror *mirrors, const char *whole);

/* --- inject.c: a call that a thread makes for the supervisor ---------------------------------- */

/* Before the thread's own call is answered. False: somebody else traces it, or this processor has
 * no such way. */
bool inject_prepare(pid_t thread);
/* After that: the thread enters the folder of its own descriptor and closes it; the call's result
 * is that of fchdir. A negative descriptor: it gets EACCES. */
void inject_fchdir(pid_t thread, int fd);

#endif
