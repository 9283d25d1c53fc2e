/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls that the supervisor looks at. Each is answered from a door or handed to the
 * kernel (CONTINUE). The caller may be dead by now; other threads of its process may change the
 * memory that is being read; its process number may belong to another process. So nothing that the
 * caller says counts for more than its own call, and each answer is sent by the notification's id,
 * which is never used twice.
 */
#define _GNU_SOURCE
#include "door/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#ifndef SECCOMP_ADDFD_FLAG_SEND
#define SECCOMP_ADDFD_FLAG_SEND (1UL << 1)
#endif

/* --- The caller's memory ---------------------------------------------------------------------- */

bool door_read(struct door_caller *caller, u64 address, void *out, size_t size)
{
    return !size || caller->read(caller->context, address, out, size);
}

bool door_write(struct door_caller *caller, u64 address, const void *data, size_t size)
{
    return !size || caller->write(caller->context, address, data, size);
}

bool call_is_waiting(const struct call *c)
{
    return ioctl(c->s->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &c->id) == 0;
}

static bool caller_read(void *context, u64 address, void *out, size_t size)
{
    const struct call *c = context;
    return memory_copy(c->s->stuck, c->thread, address, out, size, false) && call_is_waiting(c);
}

static bool caller_write(void *context, u64 address, const void *data, size_t size)
{
    const struct call *c = context;
    return call_is_waiting(c) &&
           memory_copy(c->s->stuck, c->thread, address, (void *)(uintptr_t)data, size, true);
}

/* --- Answers ---------------------------------------------------------------------------------- */

static void send(struct call *c, s64 value, u32 flags)
{
    struct seccomp_notif_resp *r = c->server->response;
    memset(r, 0, c->s->response_size);
    r->id = c->id;
    r->flags = flags;
    if (value < 0)
        r->error = (s32)value;
    else
        r->val = value;
    /* This fails only if the caller is gone, and then nobody waits for the answer. */
    ioctl(c->s->listener, SECCOMP_IOCTL_NOTIF_SEND, r);
}

void call_pass(struct call *c)
{
    send(c, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

void call_answer(struct call *c, s64 value)
{
    send(c, value >= -4095 ? value : -EIO, 0);
}

/* Gives the caller a descriptor and answers with its number, in one step if the kernel can do
 * that. */
void call_give(struct call *c, int fd, bool close_on_exec)
{
    struct seccomp_notif_addfd add = {
        .id = c->id,
        .flags = SECCOMP_ADDFD_FLAG_SEND,
        .srcfd = (u32)fd,
        .newfd_flags = close_on_exec ? O_CLOEXEC : 0,
    };
    if (ioctl(c->s->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) >= 0)
        return;
    int given = -1;
    if (errno == EINVAL) { /* before Linux 5.14: in two steps */
        add.flags = 0;
        given = ioctl(c->s->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
    }
    call_answer(c, given >= 0 ? given : -errno);
}

/* Gives the caller a descriptor before the call is answered. Returns its number, or -1. */
int call_lend(struct call *c, int fd)
{
    struct seccomp_notif_addfd add = {.id = c->id, .srcfd = (u32)fd, .newfd_flags = O_CLOEXEC};
    return ioctl(c->s->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
}

/* --- ioctl ------------------------------------------------------------------------------------ */

/* Returns the door that one of the caller's descriptors belongs to, which its file tells. */
static bool find_door(struct call *c, int fd, u32 *file, bool *writable)
{
    char path[64];
    struct statx x;
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)c->thread, fd);
    /* Uses only what is known already: the kernel might have to ask a file system that the program
     * itself runs. */
    if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_INO, &x))
        return false;
    for (u32 i = 0; i < c->s->file_count; i++) {
        if (x.stx_ino != c->s->identity[i].st_ino ||
            makedev(x.stx_dev_major, x.stx_dev_minor) != c->s->identity[i].st_dev)
            continue;
        *file = i;
        /* The permission bits of the link in /proc are those with which the descriptor was
         * opened. */
        *writable = lstat(path, &st) == 0 && (st.st_mode & S_IWUSR);
        return call_is_waiting(c);
    }
    return false;
}

static void call_ioctl(struct call *c, const struct call_kind *kind)
{
    (void)kind;
    u32 file;
    bool writable;
    if (!find_door(c, (int)c->arguments[0], &file, &writable)) {
        call_pass(c);
        return;
    }
    const struct door_file *f = &c->s->door->files[file];
    call_answer(c,
                f->ioctl(f->context, &c->memory, writable, (u32)c->arguments[1], c->arguments[2]));
}

/* --- Timers ----------------------------------------------------------------------------------- */

/* setitimer and timer_settime: their structures begin with the time after which they repeat. */
static void call_timer(struct call *c, const struct call_kind *kind)
{
    static const u64 once[2];
    u64 interval[2];
    u64 address = c->arguments[kind->number == SYS_setitimer ? 1 : 2];
    if (address && door_read(&c->memory, address, interval, sizeof interval) &&
        memcmp(interval, once, sizeof once))
        restart_watch(c->s, c->thread);
    call_pass(c);
}

/* --- What a device refuses -------------------------------------------------------------------- */

static void call_refuse_descriptor(struct call *c, const struct call_kind *kind)
{
    u32 file;
    bool writable;
    if (find_door(c, (int)c->arguments[0], &file, &writable))
        call_answer(c, kind->refusal);
    else
        call_pass(c);
}

/* --- The table -------------------------------------------------------------------------------- */

/* The kernel answers a stat by descriptor (AT_EMPTY_PATH), because a door's descriptor is that of
 * an ordinary file. readlink is filtered only if there are folders, because compilers call it a
 * thousand times. */
// clang-format off
const struct call_kind call_kinds[] = {
    /* number, folder, path, flags, pass, folders, refusal */
    {SYS_ioctl,        -1, -1, -1, 0,             false, 0,           call_ioctl},
    {SYS_openat,        0,  1,  2, 0,             false, 0,           call_open},
    {SYS_openat2,       0,  1, -1, 0,             false, 0,           call_open},
    {SYS_newfstatat,    0,  1,  3, AT_EMPTY_PATH, false, 0,           call_stat},
    {SYS_statx,         0,  1,  2, AT_EMPTY_PATH, false, 0,           call_statx},
    {SYS_faccessat,     0,  1, -1, 0,             false, 0,           call_access},
    {SYS_faccessat2,    0,  1,  3, AT_EMPTY_PATH, false, 0,           call_access},
    {SYS_getxattr,     -1,  0, -1, 0,             false, -EOPNOTSUPP, call_refuse},
    {SYS_lgetxattr,    -1,  0, -1, 0,             false, -EOPNOTSUPP, call_refuse},
    {SYS_listxattr,    -1,  0, -1, 0,             false, -EOPNOTSUPP, call_refuse},
    {SYS_llistxattr,   -1,  0, -1, 0,             false, -EOPNOTSUPP, call_refuse},
    {SYS_mkdirat,       0,  1, -1, 0,             true,  0,           call_mkdir},
    {SYS_unlinkat,      0,  1,  2, 0,             true,  0,           call_remove},
    {SYS_setitimer,    -1, -1, -1, 0,             false, 0,           call_timer},
    {SYS_timer_settime, -1, -1, -1, 0,            false, 0,           call_timer},
    /* A device that belongs to root keeps its mode and owner. It has no length, cannot grow, and
     * has no extended attributes of users. */
    {SYS_fchmod,       -1, -1, -1, 0,             false, -EPERM,      call_refuse_descriptor},
    {SYS_fchown,       -1, -1, -1, 0,             false, -EPERM,      call_refuse_descriptor},
    {SYS_fsetxattr,    -1, -1, -1, 0,             false, -EPERM,      call_refuse_descriptor},
    {SYS_fremovexattr, -1, -1, -1, 0,             false, -EPERM,      call_refuse_descriptor},
    {SYS_ftruncate,    -1, -1, -1, 0,             false, -EINVAL,     call_refuse_descriptor},
    {SYS_fallocate,    -1, -1, -1, 0,             false, -ENODEV,     call_refuse_descriptor},
    {SYS_fchmodat,      0,  1, -1, 0,             false, -EPERM,      call_refuse},
    {SYS_fchownat,      0,  1,  4, AT_EMPTY_PATH, false, -EPERM,      call_refuse},
    {SYS_truncate,     -1,  0, -1, 0,             false, -EINVAL,     call_refuse},
    {SYS_setxattr,     -1,  0, -1, 0,             false, -EPERM,      call_refuse},
    {SYS_lsetxattr,    -1,  0, -1, 0,             false, -EPERM,      call_refuse},
    {SYS_removexattr,  -1,  0, -1, 0,             false, -EPERM,      call_refuse},
    {SYS_lremovexattr, -1,  0, -1, 0,             false, -EPERM,      call_refuse},
    /* Neither a device nor a file in configfs can be renamed or linked. If the kernel did not find
     * the device, mv would copy it by its number, which is some device of the kernel's own. */
    {SYS_renameat,      0,  1, -1, 0,             false, -EPERM,      call_rename},
    {SYS_renameat2,     0,  1, -1, 0,             false, -EPERM,      call_rename},
    {SYS_linkat,        0,  1, -1, 0,             false, -EPERM,      call_rename},
    /* Calls on folders. configfs lets nobody make nodes. */
    {SYS_chdir,        -1,  0, -1, 0,             true,  0,           call_chdir},
    {SYS_readlinkat,    0,  1, -1, 0,             true,  0,           call_readlink},
    {SYS_statfs,       -1,  0, -1, 0,             true,  0,           call_statfs},
    {SYS_getcwd,       -1, -1, -1, 0,             true,  0,           call_getcwd},
    {SYS_symlinkat,     1,  2, -1, 0,             true,  -EPERM,      call_make_node},
    {SYS_mknodat,       0,  1, -1, 0,             true,  -EPERM,      call_make_node},
#ifdef SYS_open
    {SYS_chmod,        -1,  0, -1, 0,             false, -EPERM,      call_refuse},
    {SYS_chown,        -1,  0, -1, 0,             false, -EPERM,      call_refuse},
    {SYS_lchown,       -1,  0, -1, 0,             false, -EPERM,      call_refuse},
    {SYS_open,         -1,  0,  1, 0,             false, 0,           call_open},
    {SYS_creat,        -1,  0, -1, 0,             false, 0,           call_open},
    {SYS_stat,         -1,  0, -1, 0,             false, 0,           call_stat},
    {SYS_lstat,        -1,  0, -1, 0,             false, 0,           call_stat},
    {SYS_access,       -1,  0, -1, 0,             false, 0,           call_access},
    {SYS_mkdir,        -1,  0, -1, 0,             true,  0,           call_mkdir},
    {SYS_rmdir,        -1,  0, -1, 0,             true,  0,           call_remove},
    {SYS_unlink,       -1,  0, -1, 0,             true,  0,           call_remove},
    {SYS_readlink,     -1,  0, -1, 0,             true,  0,           call_readlink},
    {SYS_rename,       -1,  0, -1, 0,             false, -EPERM,      call_rename},
    {SYS_link,         -1,  0, -1, 0,             false, -EPERM,      call_rename},
    {SYS_symlink,      -1,  1, -1, 0,             true,  -EPERM,      call_make_node},
    {SYS_mknod,        -1,  0, -1, 0,             true,  -EPERM,      call_make_node},
#endif
    {0, 0, 0, 0, 0, false, 0, NULL},
};
// clang-format on

/* Reads the path of a call; "" if there is none, or it cannot be read. Returns false if the thread
 * was left behind. */
static bool read_path(struct call *c, const struct call_kind *k)
{
    c->server->path[0] = 0;
    if (k->path < 0 || !server_read_begin(c->server))
        return true;
    if (!memory_string(c->thread, c->arguments[k->path], c->server->path))
        c->server->path[0] = 0;
    return server_read_end(c->server);
}

const struct call_kind *call_find_kind(int number)
{
    const struct call_kind *k = call_kinds;
    while (k->run && k->number != number)
        k++;
    return k->run ? k : NULL;
}

bool calls_serve(struct server *v)
{
    struct supervisor *s = v->s;
    struct seccomp_notif *n = v->request;
    memset(n, 0, s->request_size);
    if (ioctl(s->listener, SECCOMP_IOCTL_NOTIF_RECV, n))
        return true; /* the caller died in the meantime */
    u64 arguments[6];
    for (size_t i = 0; i < ARRAY_SIZE(arguments); i++)
        arguments[i] = n->data.args[i];
    struct call c = {
        .s = s,
        .server = v,
        .memory = {.read = caller_read, .write = caller_write},
        .thread = (pid_t)n->pid,
        .id = n->id,
        .arguments = arguments,
    };
    c.memory.context = &c;
    const struct call_kind *k = call_find_kind(n->data.nr);
    if (!k)
        call_pass(&c);
    else if (!read_path(&c, k))
        return false;
    else
        k->run(&c, k);
    return true;
}
