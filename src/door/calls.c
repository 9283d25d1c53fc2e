/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls that the supervisor looks at. Each is answered from a door or handed to the kernel (CONTINUE). The
 * caller may be anything: dead by now, at work with other threads on the memory that is being read, or gone and its
 * number taken by another process; so nothing it says is trusted further than its own call, and each answer is sent by
 * the notification's id, which is never used twice.
 */
#define _GNU_SOURCE
#include "door/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#ifndef SECCOMP_ADDFD_FLAG_SEND
#define SECCOMP_ADDFD_FLAG_SEND (1UL << 1)
#endif

#define DOOR_MODE (S_IFCHR | 0600)
#define DOOR_RDEV makedev(10, 124) /* a misc device, as the kernel's are */
#define OPEN_KEPT (O_ACCMODE | O_NONBLOCK | O_APPEND | O_PATH)

/* --- The caller's memory ------------------------------------------------------------------------- */

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

/* --- Answers ------------------------------------------------------------------------------------- */

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
    /* Fails only where the caller is gone; then there is nobody to tell. */
    ioctl(c->s->listener, SECCOMP_IOCTL_NOTIF_SEND, r);
}

static void pass(struct call *c)
{
    send(c, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

static void answer(struct call *c, s64 value)
{
    send(c, value >= -4095 ? value : -EIO, 0);
}

/* Gives the caller a descriptor of its own and the number as the answer; in one step where the kernel can. */
static void give(struct call *c, int fd, bool close_on_exec)
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
    answer(c, given >= 0 ? given : -errno);
}

/* --- open ---------------------------------------------------------------------------------------- */

static void open_file(struct call *c, u32 file, u64 flags)
{
    if (flags & O_DIRECTORY) {
        answer(c, -ENOTDIR);
        return;
    }
    if ((flags & O_CREAT) && (flags & O_EXCL)) {
        answer(c, -EEXIST);
        return;
    }
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", c->s->files[file]);
    /* A program may have found a way to change the mode, by /proc for one. */
    fchmod(c->s->files[file], DOOR_FILE_MODE);
    int fd = open(path, (int)(flags & OPEN_KEPT) | O_CLOEXEC);
    if (fd < 0) {
        answer(c, -errno);
        return;
    }
    trace_event(c->s->door->trace, TRACE_DEVICE, "DOOR_OPEN", "path=%s access=%s",
                c->s->door->files[file].path, (flags & O_ACCMODE) == O_RDONLY ? "read" : "write");
    give(c, fd, flags & O_CLOEXEC);
    close(fd);
}

static void open_in_folder(struct call *c, const struct target *t, u64 flags)
{
    const struct door_folder *f = t->folder;
    s64 mode = f->stat(f->context, t->path);
    bool folder = mode >= 0 && S_ISDIR((mode_t)mode), write = (flags & O_ACCMODE) != O_RDONLY;
    s64 fd = mode < 0                              ? mode
             : (flags & O_DIRECTORY) && !folder    ? -ENOTDIR
             : folder && write                     ? -EISDIR
             : (flags & O_CREAT) && flags & O_EXCL ? -EEXIST
                                                   : f->open(f->context, t->path, write);
    if (fd < 0) {
        answer(c, fd);
        return;
    }
    give(c, (int)fd, flags & O_CLOEXEC);
    close((int)fd);
}

static bool open_flags(struct call *c, const struct call_kind *kind, u64 *flags)
{
    struct open_how how = {0};
    if (kind->number == SYS_openat2) {
        /* A caller that asks for special resolution asks the kernel. */
        if (!door_read(&c->memory, c->arguments[2], &how, sizeof how) || how.resolve)
            return false;
        *flags = how.flags;
        return true;
    }
    *flags = kind->flags >= 0 ? c->arguments[kind->flags] : O_CREAT | O_WRONLY | O_TRUNC;
    return true;
}

static void find(struct call *c, const struct call_kind *kind, struct target *out)
{
    int from = kind->folder >= 0 ? (int)c->arguments[kind->folder] : AT_FDCWD;
    path_find(c->s->door, c->thread, from, c->server->path, out);
    if (out->kind != TARGET_NONE && !call_is_waiting(c))
        out->kind = TARGET_NONE;
}

static void call_open(struct call *c, const struct call_kind *kind)
{
    struct target t;
    u64 flags;
    find(c, kind, &t);
    if (t.kind == TARGET_NONE || t.kind == TARGET_ABOVE || !open_flags(c, kind, &flags))
        pass(c);
    else if (t.kind == TARGET_FILE)
        open_file(c, t.file, flags);
    else
        open_in_folder(c, &t, flags);
}

/* --- stat and its kin ------------------------------------------------------------------------------ */

/* Type and permission bits of what the path names, or a negative errno. False: the kernel's to say. */
static bool find_mode(struct call *c, const struct call_kind *kind, struct target *t, s64 *mode)
{
    find(c, kind, t);
    struct stat real;
    switch (t->kind) {
    case TARGET_FILE:
        *mode = DOOR_MODE;
        return true;
    case TARGET_FOLDER:
        *mode = t->folder->stat(t->folder->context, t->path);
        return true;
    case TARGET_ABOVE:
        *mode = S_IFDIR | 0755;
        return lstat(t->path, &real) != 0;
    default:
        return false;
    }
}

static u64 inode_number(const struct call *c, const struct target *t)
{
    if (t->kind == TARGET_FILE)
        return c->s->identity[t->file].st_ino;
    u64 number = 2; /* of names that have none: from the name */
    for (const char *p = t->path; *p; p++)
        number = number * 31 + (u8)*p;
    return number;
}

static void call_stat(struct call *c, const struct call_kind *kind)
{
    struct target t;
    s64 mode;
    if (!find_mode(c, kind, &t, &mode)) {
        pass(c);
        return;
    }
    struct stat st = {0};
    st.st_mode = (mode_t)mode;
    st.st_nlink = S_ISDIR(st.st_mode) ? 2 : 1;
    st.st_uid = geteuid();
    st.st_gid = getegid();
    st.st_rdev = t.kind == TARGET_FILE ? DOOR_RDEV : 0;
    st.st_ino = inode_number(c, &t);
    st.st_dev = c->s->identity[0].st_dev;
    st.st_size = S_ISREG(st.st_mode) ? PAGE_SIZE : 0; /* as configfs says */
    st.st_blksize = PAGE_SIZE;
    u64 to = c->arguments[kind->path + 1];
    answer(c, mode < 0 ? mode : door_write(&c->memory, to, &st, sizeof st) ? 0 : -EFAULT);
}

static void call_statx(struct call *c, const struct call_kind *kind)
{
    struct target t;
    s64 mode;
    if (!find_mode(c, kind, &t, &mode)) {
        pass(c);
        return;
    }
    struct statx st = {
        .stx_mask =
            STATX_TYPE | STATX_MODE | STATX_NLINK | STATX_UID | STATX_GID | STATX_INO | STATX_SIZE,
        .stx_blksize = PAGE_SIZE,
        .stx_uid = geteuid(),
        .stx_gid = getegid(),
        .stx_mode = (u16)mode,
        .stx_ino = inode_number(c, &t),
        .stx_dev_major = major(c->s->identity[0].st_dev),
        .stx_dev_minor = minor(c->s->identity[0].st_dev),
        .stx_rdev_major = t.kind == TARGET_FILE ? major(DOOR_RDEV) : 0,
        .stx_rdev_minor = t.kind == TARGET_FILE ? minor(DOOR_RDEV) : 0,
    };
    st.stx_nlink = S_ISDIR(st.stx_mode) ? 2 : 1;
    st.stx_size = S_ISREG(st.stx_mode) ? PAGE_SIZE : 0;
    u64 to = c->arguments[4];
    answer(c, mode < 0 ? mode : door_write(&c->memory, to, &st, sizeof st) ? 0 : -EFAULT);
}

/* The program runs as us; only what cannot be executed is refused. */
static void call_access(struct call *c, const struct call_kind *kind)
{
    struct target t;
    s64 mode;
    if (!find_mode(c, kind, &t, &mode))
        pass(c);
    else if (mode >= 0)
        answer(c, c->arguments[kind->path + 1] & X_OK && !S_ISDIR((mode_t)mode) ? -EACCES : 0);
    else
        answer(c, mode);
}

/* Extended attributes, for which ls asks. */
static void call_xattr(struct call *c, const struct call_kind *kind)
{
    struct target t;
    s64 mode;
    if (find_mode(c, kind, &t, &mode))
        answer(c, mode < 0 ? mode : -EOPNOTSUPP);
    else
        pass(c);
}

/* --- mkdir, rmdir, unlink ------------------------------------------------------------------------ */

static void call_mkdir(struct call *c, const struct call_kind *kind)
{
    struct target t;
    s64 mode;
    if (!find_mode(c, kind, &t, &mode))
        pass(c);
    else if (t.kind == TARGET_FOLDER && t.path[0])
        answer(c, t.folder->make(t.folder->context, t.path));
    else
        answer(c, -EEXIST);
}

static void call_remove(struct call *c, const struct call_kind *kind)
{
    bool folder = kind->number == SYS_unlinkat && (c->arguments[2] & AT_REMOVEDIR);
#ifdef SYS_rmdir
    folder = folder || kind->number == SYS_rmdir;
#endif
    struct target t;
    s64 mode;
    if (!find_mode(c, kind, &t, &mode))
        pass(c);
    else if (mode < 0)
        answer(c, mode);
    else if (!folder)
        answer(c, S_ISDIR((mode_t)mode) ? -EISDIR : -EPERM);
    else if (!S_ISDIR((mode_t)mode))
        answer(c, -ENOTDIR);
    else if (t.kind == TARGET_FOLDER && t.path[0])
        answer(c, t.folder->remove(t.folder->context, t.path));
    else
        answer(c, -EBUSY);
}

/* --- ioctl --------------------------------------------------------------------------------------- */

/* The door that a descriptor of the caller's is: by the file behind it. */
static bool find_door(struct call *c, int fd, u32 *file, bool *writable)
{
    char path[64];
    struct statx x;
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)c->thread, fd);
    /* What is known already: the program may itself be the file system that would have to be asked. */
    if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_INO, &x))
        return false;
    for (u32 i = 0; i < c->s->file_count; i++) {
        if (x.stx_ino != c->s->identity[i].st_ino ||
            makedev(x.stx_dev_major, x.stx_dev_minor) != c->s->identity[i].st_dev)
            continue;
        *file = i;
        /* The link's own permission bits are those it was opened with. */
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
        pass(c);
        return;
    }
    const struct door_file *f = &c->s->door->files[file];
    answer(c, f->ioctl(f->context, &c->memory, writable, (u32)c->arguments[1], c->arguments[2]));
}

/* --- What a device refuses ------------------------------------------------------------------------- */

/* Changes of mode, owner, length or attributes by path. */
static void call_refuse(struct call *c, const struct call_kind *kind)
{
    struct target t;
    s64 mode;
    if (find_mode(c, kind, &t, &mode))
        answer(c, mode < 0 ? mode : kind->refusal);
    else
        pass(c);
}

static void call_refuse_descriptor(struct call *c, const struct call_kind *kind)
{
    u32 file;
    bool writable;
    if (find_door(c, (int)c->arguments[0], &file, &writable))
        answer(c, kind->refusal);
    else
        pass(c);
}

/* --- The table ------------------------------------------------------------------------------------ */

/* A stat by descriptor (AT_EMPTY_PATH) is the kernel's: a descriptor of a door is an ordinary file's. readlink is left
 * alone because compilers make a thousand of them. */
// clang-format off
const struct call_kind call_kinds[] = {
    /* number, folder, path, flags, pass, folders, refusal */
    {SYS_ioctl,        -1, -1, -1, 0,             false, 0,       call_ioctl},
    {SYS_openat,        0,  1,  2, 0,             false, 0,       call_open},
    {SYS_openat2,       0,  1, -1, 0,             false, 0,       call_open},
    {SYS_newfstatat,    0,  1,  3, AT_EMPTY_PATH, false, 0,       call_stat},
    {SYS_statx,         0,  1,  2, AT_EMPTY_PATH, false, 0,       call_statx},
    {SYS_faccessat,     0,  1, -1, 0,             false, 0,       call_access},
    {SYS_faccessat2,    0,  1,  3, AT_EMPTY_PATH, false, 0,       call_access},
    {SYS_getxattr,     -1,  0, -1, 0,             false, 0,       call_xattr},
    {SYS_lgetxattr,    -1,  0, -1, 0,             false, 0,       call_xattr},
    {SYS_listxattr,    -1,  0, -1, 0,             false, 0,       call_xattr},
    {SYS_llistxattr,   -1,  0, -1, 0,             false, 0,       call_xattr},
    {SYS_mkdirat,       0,  1, -1, 0,             true,  0,       call_mkdir},
    {SYS_unlinkat,      0,  1,  2, 0,             true,  0,       call_remove},
    /* A device of root's has a mode and an owner that stay, no length, no room and no attributes of users. */
    {SYS_fchmod,       -1, -1, -1, 0,             false, -EPERM,  call_refuse_descriptor},
    {SYS_fchown,       -1, -1, -1, 0,             false, -EPERM,  call_refuse_descriptor},
    {SYS_fsetxattr,    -1, -1, -1, 0,             false, -EPERM,  call_refuse_descriptor},
    {SYS_fremovexattr, -1, -1, -1, 0,             false, -EPERM,  call_refuse_descriptor},
    {SYS_ftruncate,    -1, -1, -1, 0,             false, -EINVAL, call_refuse_descriptor},
    {SYS_fallocate,    -1, -1, -1, 0,             false, -ENODEV, call_refuse_descriptor},
    {SYS_fchmodat,      0,  1, -1, 0,             false, -EPERM,  call_refuse},
    {SYS_fchownat,      0,  1,  4, AT_EMPTY_PATH, false, -EPERM,  call_refuse},
    {SYS_truncate,     -1,  0, -1, 0,             false, -EINVAL, call_refuse},
    {SYS_setxattr,     -1,  0, -1, 0,             false, -EPERM,  call_refuse},
    {SYS_lsetxattr,    -1,  0, -1, 0,             false, -EPERM,  call_refuse},
    {SYS_removexattr,  -1,  0, -1, 0,             false, -EPERM,  call_refuse},
    {SYS_lremovexattr, -1,  0, -1, 0,             false, -EPERM,  call_refuse},
#ifdef SYS_open
    {SYS_chmod,        -1,  0, -1, 0,             false, -EPERM,  call_refuse},
    {SYS_chown,        -1,  0, -1, 0,             false, -EPERM,  call_refuse},
    {SYS_lchown,       -1,  0, -1, 0,             false, -EPERM,  call_refuse},
    {SYS_open,         -1,  0,  1, 0,             false, 0,       call_open},
    {SYS_creat,        -1,  0, -1, 0,             false, 0,       call_open},
    {SYS_stat,         -1,  0, -1, 0,             false, 0,       call_stat},
    {SYS_lstat,        -1,  0, -1, 0,             false, 0,       call_stat},
    {SYS_access,       -1,  0, -1, 0,             false, 0,       call_access},
    {SYS_mkdir,        -1,  0, -1, 0,             true,  0,       call_mkdir},
    {SYS_rmdir,        -1,  0, -1, 0,             true,  0,       call_remove},
    {SYS_unlink,       -1,  0, -1, 0,             true,  0,       call_remove},
#endif
    {0, 0, 0, 0, 0, false, 0, NULL},
};
// clang-format on

/* The path of a call, "" if it has none that can be read. False: the thread was left behind. */
static bool read_path(struct call *c, const struct call_kind *k)
{
    c->server->path[0] = 0;
    if (k->path < 0 || !server_read_begin(c->server))
        return true;
    if (!memory_string(c->thread, c->arguments[k->path], c->server->path))
        c->server->path[0] = 0;
    return server_read_end(c->server);
}

static const struct call_kind *find_kind(int number)
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
        return true; /* its caller has died meanwhile */
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
    const struct call_kind *k = find_kind(n->data.nr);
    if (!k)
        pass(&c);
    else if (!read_path(&c, k))
        return false;
    else
        k->run(&c, k);
    return true;
}
