/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls on paths: how doors answer open, stat and similar calls. Folders answer as Linux's
 * configfs does. The kernel does by itself what it can do with a folder's mirror.
 */
#define _GNU_SOURCE
#include "door/internal.h"
#include "files/files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#define DOOR_MODE (S_IFCHR | 0600)
#define DOOR_RDEV makedev(10, 124) /* a misc device, as the kernel's are */
#define OPEN_KEPT (O_ACCMODE | O_NONBLOCK | O_APPEND | O_PATH)

static void find_path(struct call *c, int from, const char *path, struct target *out)
{
    path_find(c->s->door, c->s->mirrors, c->thread, from, path, out);
    if (out->kind != TARGET_NONE && !call_is_waiting(c))
        out->kind = TARGET_NONE;
}

static void find(struct call *c, const struct call_kind *kind, struct target *out)
{
    int from = kind->folder >= 0 ? (int)c->arguments[kind->folder] : AT_FDCWD;
    find_path(c, from, c->server->path, out);
}

/* --- stat and its kin ------------------------------------------------------------------------- */

static void stat_file(const struct call *c, u32 file, struct stat *st)
{
    *st = (struct stat){.st_mode = DOOR_MODE,
                        .st_nlink = 1,
                        .st_uid = geteuid(),
                        .st_gid = getegid(),
                        .st_rdev = DOOR_RDEV,
                        .st_ino = c->s->identity[file].st_ino,
                        .st_dev = c->s->identity[file].st_dev,
                        .st_blksize = PAGE_SIZE};
}

/* Takes type, mode and size from the folder and the rest from the mirror, as a stat of a descriptor
 * would show it. */
static s64 stat_in_folder(const struct call *c, const struct target *t, struct stat *st)
{
    char real[PATH_MAX];
    u64 size = 0;
    s64 mode = t->folder->stat(t->folder->context, t->path, &size);
    if (mode < 0)
        return mode;
    if (!mirror_real(c->s->mirrors, t->whole, real) || lstat(real, st))
        return -ENOENT;
    st->st_mode = (mode_t)mode;
    if (S_ISREG(st->st_mode))
        st->st_size = (off_t)size;
    return 0;
}

/* Fills `st` for what the path names, or says why there is nothing. Returns false if the kernel
 * must answer. */
static bool find_stat(struct call *c, const struct call_kind *kind, bool follow, struct target *t,
                      struct stat *st, s64 *result)
{
    char real[PATH_MAX];
    find(c, kind, t);
    *result = 0;
    switch (t->kind) {
    case TARGET_FILE:
        stat_file(c, t->file, st);
        return true;
    case TARGET_FOLDER:
        *result = stat_in_folder(c, t, st);
        return true;
    case TARGET_ABOVE:
        return mirror_real(c->s->mirrors, t->whole, real) && lstat(real, st) == 0;
    case TARGET_OUTSIDE:
        if (follow ? stat(t->whole, st) : lstat(t->whole, st))
            *result = -errno;
        return true;
    default:
        return false;
    }
}

static bool stat_follows(const struct call *c, const struct call_kind *kind)
{
#ifdef SYS_lstat
    if (kind->number == SYS_lstat)
        return false;
#endif
    return kind->flags < 0 || !(c->arguments[kind->flags] & AT_SYMLINK_NOFOLLOW);
}

void call_stat(struct call *c, const struct call_kind *kind)
{
    struct target t;
    struct stat st;
    s64 result;
    if (!find_stat(c, kind, stat_follows(c, kind), &t, &st, &result))
        call_pass(c);
    else if (!result && !door_write(&c->memory, c->arguments[kind->path + 1], &st, sizeof st))
        call_answer(c, -EFAULT);
    else
        call_answer(c, result);
}

void call_statx(struct call *c, const struct call_kind *kind)
{
    struct target t;
    struct stat st;
    s64 result;
    if (!find_stat(c, kind, stat_follows(c, kind), &t, &st, &result)) {
        call_pass(c);
        return;
    }
    if (result) {
        call_answer(c, result);
        return;
    }
    const struct statx x = {
        .stx_mask = STATX_BASIC_STATS,
        .stx_blksize = (u32)st.st_blksize,
        .stx_nlink = (u32)st.st_nlink,
        .stx_uid = st.st_uid,
        .stx_gid = st.st_gid,
        .stx_mode = (u16)st.st_mode,
        .stx_ino = st.st_ino,
        .stx_size = (u64)st.st_size,
        .stx_blocks = (u64)st.st_blocks,
        .stx_atime = {.tv_sec = st.st_atim.tv_sec, .tv_nsec = (u32)st.st_atim.tv_nsec},
        .stx_ctime = {.tv_sec = st.st_ctim.tv_sec, .tv_nsec = (u32)st.st_ctim.tv_nsec},
        .stx_mtime = {.tv_sec = st.st_mtim.tv_sec, .tv_nsec = (u32)st.st_mtim.tv_nsec},
        .stx_dev_major = major(st.st_dev),
        .stx_dev_minor = minor(st.st_dev),
        .stx_rdev_major = major(st.st_rdev),
        .stx_rdev_minor = minor(st.st_rdev),
    };
    call_answer(c, door_write(&c->memory, c->arguments[4], &x, sizeof x) ? 0 : -EFAULT);
}

/* Answers access and its variants. The program runs as the supervisor's user: root, or the file's
 * owner. */
void call_access(struct call *c, const struct call_kind *kind)
{
    struct target t;
    struct stat st;
    s64 result;
    if (!find_stat(c, kind, true, &t, &st, &result)) {
        call_pass(c);
        return;
    }
    u64 wanted = c->arguments[kind->path + 1] & (R_OK | W_OK | X_OK);
    if (!result && t.kind == TARGET_OUTSIDE)
        result = access(t.whole, (int)wanted) ? -errno : 0;
    else if (!result && !S_ISDIR(st.st_mode)) {
        u64 have = geteuid() ? (u64)(st.st_mode >> 6) : R_OK | W_OK;
        result = wanted & ~have ? -EACCES : 0;
    }
    call_answer(c, result);
}

/* Extended attributes, for which ls asks, and changes that a door always refuses. */
void call_refuse(struct call *c, const struct call_kind *kind)
{
    struct target t;
    struct stat st;
    s64 result;
    if (find_stat(c, kind, true, &t, &st, &result))
        call_answer(c, result ? result : kind->refusal);
    else
        call_pass(c);
}

/* symlink and mknod. */
void call_make_node(struct call *c, const struct call_kind *kind)
{
    struct target t;
    struct stat st;
    s64 result;
    if (find_stat(c, kind, false, &t, &st, &result))
        call_answer(c, result ? kind->refusal : -EEXIST);
    else
        call_pass(c);
}

/* Reads a link that is outside all folders. `rest`: the buffer and its size. */
static void answer_link(struct call *c, const char *path, const u64 rest[2])
{
    char text[PATH_MAX];
    ssize_t n = readlink(path, text, min_u64(sizeof text, rest[1]));
    if (n < 0)
        call_answer(c, -errno);
    else
        call_answer(c, door_write(&c->memory, rest[0], text, (size_t)n) ? n : -EFAULT);
}

/* Folders have no symbolic links. The kernel's own links to a mirror (in /proc) show the folder
 * that it stands for. */
void call_readlink(struct call *c, const struct call_kind *kind)
{
    static const char self[] = "/proc/self/";
    const char *name = c->server->path;
    const u64 *rest = c->arguments + kind->path + 1; /* the buffer and its size */
    char link[64 + sizeof self], path[PATH_MAX];
    struct target t;
    struct stat st;
    s64 result;
    if (find_stat(c, kind, false, &t, &st, &result)) {
        if (!result && t.kind == TARGET_OUTSIDE)
            answer_link(c, t.whole, rest);
        else
            call_answer(c, result ? result : -EINVAL);
        return;
    }
    if (strncmp(name, self, sizeof self - 1) || strlen(name) > 64) {
        call_pass(c);
        return;
    }
    snprintf(link, sizeof link, "/proc/%d/%s", (int)c->thread, name + sizeof self - 1);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = 0;
    if (!call_is_waiting(c) || !mirror_virtual(c->s->mirrors, path)) {
        call_pass(c);
        return;
    }
    size_t size = min_u64(strlen(path), rest[1]);
    call_answer(c, door_write(&c->memory, rest[0], path, size) ? (s64)size : -EFAULT);
}

#define CONFIGFS_MAGIC 0x62656570

void call_statfs(struct call *c, const struct call_kind *kind)
{
    const struct statfs fs = {
        .f_type = CONFIGFS_MAGIC, .f_bsize = PAGE_SIZE, .f_namelen = 255, .f_frsize = PAGE_SIZE};
    struct target t;
    struct stat st;
    s64 result;
    if (!find_stat(c, kind, true, &t, &st, &result) || t.kind == TARGET_FILE)
        call_pass(c);
    else if (result || t.kind == TARGET_OUTSIDE)
        call_answer(c, result ? result : -EXDEV);
    else
        call_answer(c, door_write(&c->memory, c->arguments[1], &fs, sizeof fs) ? 0 : -EFAULT);
}

/* --- open ------------------------------------------------------------------------------------- */

static void give(struct call *c, s64 fd, u64 flags)
{
    if (fd < 0) {
        call_answer(c, fd);
        return;
    }
    call_give(c, (int)fd, flags & O_CLOEXEC);
    close((int)fd);
}

static s64 open_or_errno(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Opens the file of one of this process's descriptors once more. */
static s64 open_own(int fd, int flags)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open_or_errno(path, flags);
}

static void open_file(struct call *c, u32 file, u64 flags)
{
    if (flags & O_DIRECTORY) {
        call_answer(c, -ENOTDIR);
        return;
    }
    if ((flags & O_CREAT) && (flags & O_EXCL)) {
        call_answer(c, -EEXIST);
        return;
    }
    /* The program may have changed the mode, for example through /proc. */
    fchmod(c->s->files[file], DOOR_FILE_MODE);
    s64 fd = open_own(c->s->files[file], (int)(flags & OPEN_KEPT));
    if (fd >= 0)
        trace_event(c->s->door->trace, TRACE_DEVICE, "DOOR_OPEN", "path=%s access=%s",
                    c->s->door->files[file].path,
                    (flags & O_ACCMODE) == O_RDONLY ? "read" : "write");
    give(c, fd, flags);
}

/* Opening with O_CREAT makes no file in configfs: EACCES if the folder exists. */
static s64 open_nothing(const struct target *t, u64 flags)
{
    char above[PATH_MAX];
    u64 size;
    snprintf(above, sizeof above, "%s", t->path);
    char *slash = strrchr(above, '/');
    *(slash ? slash : above) = 0;
    s64 mode = t->folder->stat(t->folder->context, above, &size);
    return (flags & O_CREAT) && mode >= 0 && S_ISDIR((mode_t)mode) ? -EACCES : -ENOENT;
}

/* Fills the mirror's file with the content of the folder's file, and gives it to the program. */
static s64 open_content(const struct target *t, const char *real, mode_t mode, u64 flags)
{
    const struct door_folder *f = t->folder;
    u64 way = flags & O_ACCMODE;
    /* A descriptor opened with O_PATH cannot be handed over. */
    if (flags & O_PATH)
        return file_open_regular(AT_FDCWD, real, O_RDONLY);
    if ((way != O_WRONLY && !(mode & 0444)) || (way != O_RDONLY && !(mode & 0222)))
        return -EACCES; /* for every user */
    int ours = file_open_regular(AT_FDCWD, real, O_RDWR);
    if (ours < 0)
        return ours;
    s64 result = f->open(f->context, t->path, way != O_RDONLY, ours);
    if (!result) /* opens the same file, even if the name now leads elsewhere */
        result = open_own(ours, (int)(flags & (O_ACCMODE | O_APPEND)));
    close(ours);
    return result;
}

static s64 open_in_folder(struct call *c, const struct target *t, u64 flags)
{
    char real[PATH_MAX];
    struct stat st;
    s64 result = stat_in_folder(c, t, &st);
    if (result == -ENOENT)
        return open_nothing(t, flags);
    if (result)
        return result;
    bool folder = S_ISDIR(st.st_mode), write = (flags & O_ACCMODE) != O_RDONLY;
    if ((flags & O_CREAT) && (flags & O_EXCL))
        return -EEXIST;
    if (folder && (write || (flags & O_CREAT)) && !(flags & O_PATH))
        return -EISDIR;
    if (!folder && (flags & O_DIRECTORY))
        return -ENOTDIR;
    if (!mirror_real(c->s->mirrors, t->whole, real))
        return -ENOENT;
    return folder ? open_or_errno(real, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
                  : open_content(t, real, st.st_mode, flags);
}

/* The kernel answers a caller that asks for special path resolution (openat2). */
static bool open_flags(struct call *c, const struct call_kind *kind, u64 *flags)
{
    struct open_how how = {0};
    if (kind->number == SYS_openat2) {
        if (!door_read(&c->memory, c->arguments[2], &how, sizeof how) || how.resolve)
            return false;
        *flags = how.flags;
        return true;
    }
    *flags = kind->flags >= 0 ? c->arguments[kind->flags] : O_CREAT | O_WRONLY | O_TRUNC;
    return true;
}

void call_open(struct call *c, const struct call_kind *kind)
{
    char real[PATH_MAX];
    struct target t;
    u64 flags;
    find(c, kind, &t);
    if (t.kind == TARGET_NONE || !open_flags(c, kind, &flags)) {
        call_pass(c);
        return;
    }
    if (t.kind == TARGET_FILE)
        open_file(c, t.file, flags);
    else if (t.kind == TARGET_FOLDER)
        give(c, open_in_folder(c, &t, flags), flags);
    else if (t.kind == TARGET_OUTSIDE && flags & O_CREAT)
        call_answer(c, -EXDEV); /* the program's umask is not known */
    else if (t.kind == TARGET_OUTSIDE)
        give(c, open_or_errno(t.whole, (int)(flags & ~(u64)O_PATH) | O_NOCTTY | O_NONBLOCK), flags);
    else if (!mirror_real(c->s->mirrors, t.whole, real))
        call_pass(c);
    else if ((flags & O_ACCMODE) != O_RDONLY || flags & O_CREAT)
        call_answer(c, -EISDIR);
    else
        give(c, open_or_errno(real, O_RDONLY | O_DIRECTORY), flags);
}

/* --- mkdir, rmdir, unlink, rename ------------------------------------------------------------- */

void call_mkdir(struct call *c, const struct call_kind *kind)
{
    struct target t;
    struct stat st;
    s64 result;
    if (!find_stat(c, kind, false, &t, &st, &result)) {
        call_pass(c);
        return;
    }
    if (!result)
        result = -EEXIST;
    else if (t.kind == TARGET_FOLDER)
        result = t.folder->make(t.folder->context, t.path);
    else
        result = -EPERM;
    if (!result && !mirror_add(c->s->mirrors, t.folder, t.path, t.whole)) {
        t.folder->remove(t.folder->context, t.path);
        mirror_drop(c->s->mirrors, t.whole);
        result = -ENOMEM;
    }
    call_answer(c, result);
}

static s64 remove_folder(struct call *c, const struct target *t)
{
    if (t->kind != TARGET_FOLDER || !t->path[0])
        return -EPERM; /* the subsystem made this folder */
    s64 result = t->folder->remove(t->folder->context, t->path);
    if (!result)
        mirror_drop(c->s->mirrors, t->whole);
    return result;
}

void call_remove(struct call *c, const struct call_kind *kind)
{
    bool folder = kind->number == SYS_unlinkat && (c->arguments[2] & AT_REMOVEDIR);
#ifdef SYS_rmdir
    folder = folder || kind->number == SYS_rmdir;
#endif
    struct target t;
    struct stat st;
    s64 result;
    if (!find_stat(c, kind, false, &t, &st, &result))
        call_pass(c);
    else if (result)
        call_answer(c, result);
    else if (!folder)
        call_answer(c, S_ISDIR(st.st_mode) ? -EISDIR : -EPERM);
    else if (!S_ISDIR(st.st_mode))
        call_answer(c, -ENOTDIR);
    else
        call_answer(c, remove_folder(c, &t));
}

/* Reads the second path of a call. Returns false if it cannot be read. */
static bool read_second(struct call *c, u64 address, char out[PATH_MAX])
{
    for (size_t have = 0; have < PATH_MAX;) {
        size_t page = PAGE_SIZE - (size_t)((address + have) & PAGE_MASK);
        size_t want = page < PATH_MAX - have ? page : PATH_MAX - have;
        if (!door_read(&c->memory, address + have, out + have, want))
            return false;
        if (memchr(out + have, 0, want))
            return true;
        have += want;
    }
    return false;
}

/* Refuses rename and link for a door, for its name, and into, out of and within a folder. */
void call_rename(struct call *c, const struct call_kind *kind)
{
    const bool at = kind->folder >= 0;
    struct target from, to = {.kind = TARGET_NONE};
    char path[PATH_MAX];
    find(c, kind, &from);
    if (from.kind == TARGET_NONE && read_second(c, c->arguments[at ? 3 : 1], path))
        find_path(c, at ? (int)c->arguments[2] : AT_FDCWD, path, &to);
    if (from.kind == TARGET_NONE && to.kind == TARGET_NONE)
        call_pass(c);
    else
        call_answer(c, kind->refusal);
}

/* --- chdir, getcwd ---------------------------------------------------------------------------- */

/* Makes the thread enter the mirror, or a folder outside it, by a descriptor. */
static void enter(struct call *c, const char *path)
{
    s64 fd = open_or_errno(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0) {
        call_answer(c, fd);
        return;
    }
    bool traced = inject_prepare(c->thread);
    int theirs = traced ? call_lend(c, (int)fd) : -1;
    close((int)fd);
    call_answer(c, traced ? 0 : -EACCES);
    if (traced)
        inject_fchdir(c->thread, theirs);
}

void call_chdir(struct call *c, const struct call_kind *kind)
{
    char real[PATH_MAX];
    struct target t;
    struct stat st;
    s64 result;
    if (!find_stat(c, kind, true, &t, &st, &result)) {
        call_pass(c);
        return;
    }
    if (result)
        call_answer(c, result);
    else if (!S_ISDIR(st.st_mode))
        call_answer(c, -ENOTDIR);
    else if (t.kind == TARGET_OUTSIDE)
        enter(c, t.whole);
    else if (mirror_real(c->s->mirrors, t.whole, real))
        enter(c, real);
    else
        call_pass(c);
}

void call_getcwd(struct call *c, const struct call_kind *kind)
{
    char link[40], path[PATH_MAX];
    (void)kind;
    snprintf(link, sizeof link, "/proc/%d/cwd", (int)c->thread);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = 0;
    if (!call_is_waiting(c) || !mirror_virtual(c->s->mirrors, path)) {
        call_pass(c);
        return;
    }
    size_t size = strlen(path) + 1;
    s64 result = c->arguments[1] < size                                ? -ERANGE
                 : door_write(&c->memory, c->arguments[0], path, size) ? (s64)size
                                                                       : -EFAULT;
    call_answer(c, result);
}
