/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes files; see files.h. New content goes into a temporary file in the folder of the final
 * name. In a set, the old files are renamed away first, the commit point before the others; then
 * the new files take their names, the commit point last. So a commit point never stands beside
 * files of another set.
 */
#include "files/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_MAX_BYTES 256u
#define SUFFIX_MAX     32u /* a process id, and .new */

/* One file that is being written. */
struct part {
    const struct file_part *is;
    char temporary[NAME_MAX_BYTES], aside[NAME_MAX_BYTES];
    bool made, stepped_aside, placed;
};

struct set {
    int folder;
    const char *where;
    const struct file_hook *hook;
    struct part *parts;
    size_t count;
};

static void step(const struct set *s, const char *name)
{
    if (s->hook && s->hook->step)
        s->hook->step(s->hook->context, name);
}

static bool fail(const struct set *s, const char *name, const char *what, struct error *e)
{
    const int why = errno;
    const struct file_shown shown = file_shown(s->where, name);
    error_set(e, why == ENOMEM ? ERROR_MEMORY : ERROR_FILE, "%s cannot be %s: %s", shown.text, what,
              strerror(why));
    return false;
}

/* --- Temporary files -------------------------------------------------------------------------- */

static bool write_whole(int fd, const u8 *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t n = write(fd, data + at, size - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = EIO;
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

/* Opens a temporary file. Removes the leftover of a killed process first: it is never written
 * through. */
static int open_temporary(const struct set *s, struct part *p)
{
    const mode_t mode = p->is->secret ? 0600 : 0644;
    int fd, tries = 0;
    do {
        fd = openat(s->folder, p->temporary,
                    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, mode);
    } while (fd < 0 && (errno == EINTR ||
                        (errno == EEXIST && tries++ < 3 && !unlinkat(s->folder, p->temporary, 0))));
    return fd;
}

static bool write_temporary(const struct set *s, struct part *p, struct error *e)
{
    const size_t half = p->is->size / 2;
    const u8 *data = p->is->data;
    int fd = open_temporary(s, p);
    if (fd < 0)
        return fail(s, p->temporary, "made", e);
    p->made = true;
    step(s, "write");
    bool ok = write_whole(fd, data, half);
    step(s, "write the rest");
    ok = ok && write_whole(fd, data + half, p->is->size - half);
    step(s, "fsync");
    ok = ok && fsync(fd) == 0;
    const int why = errno;
    if (close(fd) && ok)
        return fail(s, p->is->name, "written", e);
    errno = why;
    return ok || fail(s, p->is->name, "written", e);
}

/* --- Names ------------------------------------------------------------------------------------ */

/* Refuses to replace anything but a regular file, and that too where nothing may be lost. */
static bool check_place(const struct set *s, const struct file_part *part, struct error *e)
{
    struct stat st;
    if (fstatat(s->folder, part->name, &st, AT_SYMLINK_NOFOLLOW))
        return errno == ENOENT || fail(s, part->name, "looked at", e);
    if (S_ISREG(st.st_mode) && !part->only_new)
        return true;
    const struct file_shown shown = file_shown(s->where, part->name);
    if (S_ISREG(st.st_mode))
        error_set(e, ERROR_FILE, "%s is there already and is not replaced; %s", shown.text,
                  part->only_new);
    else
        error_set(e, ERROR_FILE, "%s is %s; only a regular file is replaced", shown.text,
                  file_kind(st.st_mode));
    return false;
}

static bool step_aside(const struct set *s, struct part *p, struct error *e)
{
    step(s, "step aside");
    p->stepped_aside = renameat(s->folder, p->is->name, s->folder, p->aside) == 0;
    return p->stepped_aside || errno == ENOENT || fail(s, p->is->name, "replaced", e);
}

static bool place(const struct set *s, struct part *p, struct error *e)
{
    step(s, "rename");
    p->placed = renameat(s->folder, p->temporary, s->folder, p->is->name) == 0;
    return p->placed || fail(s, p->is->name, "replaced", e);
}

/* Restores the old files: removes the new commit point first, then restores the other files, then
 * the old commit point. */
static void undo(const struct set *s)
{
    for (size_t i = s->count; i-- > 0;) {
        const struct part *p = &s->parts[i];
        if (p->placed && s->count > 1)
            unlinkat(s->folder, p->is->name, 0);
        if (p->made && !p->placed)
            unlinkat(s->folder, p->temporary, 0);
    }
    for (size_t i = 0; i < s->count; i++)
        if (s->parts[i].stepped_aside)
            renameat(s->folder, s->parts[i].aside, s->folder, s->parts[i].is->name);
}

/* The folder before a part's name, "" if there is none; at most as long as a name. */
struct folder_name {
    char text[NAME_MAX_BYTES];
};

static struct folder_name folder_name(const char *name)
{
    struct folder_name f = {.text = ""};
    const char *slash = strchr(name, '/');
    if (slash && (size_t)(slash - name) < sizeof f.text)
        memcpy(f.text, name, (size_t)(slash - name));
    return f;
}

static bool sync_folders(const struct set *s, struct error *e)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct folder_name below = folder_name(s->parts[i].is->name);
        if (!*below.text)
            continue;
        int fd = openat(s->folder, below.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        const bool ok = fd >= 0 && fsync(fd) == 0;
        if (!ok)
            fail(s, below.text, "synchronized", e);
        if (fd >= 0)
            close(fd);
        if (!ok)
            return false;
    }
    step(s, "fsync of the directory");
    return fsync(s->folder) == 0 || fail(s, ".", "synchronized", e);
}

static bool replace_all(const struct set *s, struct error *e)
{
    for (size_t i = 0; i < s->count; i++)
        if (!check_place(s, s->parts[i].is, e))
            return false;
    for (size_t i = 0; i < s->count; i++)
        if (s->parts[i].is->data && !write_temporary(s, &s->parts[i], e))
            return false;
    for (size_t i = s->count; s->count > 1 && i-- > 0;)
        if (!step_aside(s, &s->parts[i], e))
            return false;
    for (size_t i = 0; i < s->count; i++)
        if (s->parts[i].is->data && !place(s, &s->parts[i], e))
            return false;
    return sync_folders(s, e);
}

bool file_replace_at(int folder, const char *where, const struct file_part *parts, size_t count,
                     const struct file_hook *hook, struct error *e)
{
    struct set s = {.folder = folder, .where = where, .hook = hook, .count = count};
    s.parts = calloc(count ? count : 1, sizeof *s.parts);
    if (!s.parts) {
        error_set(e, ERROR_MEMORY, "out of memory");
        return false;
    }
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        struct part *p = &s.parts[i];
        p->is = &parts[i];
        ok = strlen(parts[i].name) + SUFFIX_MAX <= NAME_MAX_BYTES;
        if (!ok)
            break;
        snprintf(p->temporary, sizeof p->temporary, "%s.%ld" FILE_NEW_SUFFIX, parts[i].name,
                 (long)getpid());
        snprintf(p->aside, sizeof p->aside, "%s" FILE_OLD_SUFFIX, parts[i].name);
    }
    if (!ok)
        error_set(e, ERROR_USAGE, "%s: the name of a file is too long", where ? where : ".");
    else if (!(ok = replace_all(&s, e)))
        undo(&s);
    for (size_t i = 0; i < count && ok; i++)
        if (s.parts[i].stepped_aside)
            unlinkat(folder, s.parts[i].aside, 0);
    free(s.parts);
    return ok;
}

/* --- By path ---------------------------------------------------------------------------------- */

static bool fail_path(const char *path, const char *what, struct error *e)
{
    return fail(&(struct set){.where = NULL}, path, what, e);
}

/* Opens what a path leads to, if it is to be written in place: a pipe, a character device, or the
 * file that standard output is. *fd is -1 for anything else. */
static bool open_in_place(const char *path, int *fd, struct error *e)
{
    struct stat st, out;
    *fd = -1;
    if (stat(path, &st))
        return errno == ENOENT || fail_path(path, "looked at", e);
    const bool stream = S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode);
    if (S_ISREG(st.st_mode) && !fstat(STDOUT_FILENO, &out) && st.st_dev == out.st_dev &&
        st.st_ino == out.st_ino)
        *fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    else if (stream)
        *fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    else
        return true;
    if (*fd < 0 && errno == ENXIO)
        error_set(e, ERROR_FILE, "%s is a pipe, and nobody reads it", path);
    if (*fd < 0)
        return fail_path(path, "opened", e);
    if (!stream || (!fstat(*fd, &out) && !S_ISREG(out.st_mode) && !fcntl(*fd, F_SETFL, 0)))
        return true;
    close(*fd);
    *fd = -1;
    error_set(e, ERROR_FILE, "%s has become another file meanwhile", path);
    return false;
}

static bool write_in_place(int fd, const char *path, const void *data, size_t size, struct error *e)
{
    bool ok = fflush(stdout) == 0 && write_whole(fd, data, size);
    const int why = errno;
    ok = close(fd) == 0 && ok;
    errno = why;
    return ok || fail_path(path, "written", e);
}

/* Opens the folder that holds a path's file, and finds where the file's name begins. */
static int open_folder_of(const char *path, const char **name, struct error *e)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    const size_t length = slash ? (size_t)(slash - path) : 0;
    *name = slash ? slash + 1 : path;
    if (!**name || length >= sizeof folder) {
        error_set(e, ERROR_USAGE, "'%s' does not name a file", path);
        return -1;
    }
    memcpy(folder, path, length);
    folder[length] = 0;
    const char *opened = length ? folder : slash ? "/" : ".";
    int fd = open(opened, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        fail_path(path, "written", e);
    return fd;
}

bool file_check_output(const char *path, struct error *e)
{
    char magic[sizeof FILE_KEPT_MAGIC - 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return true; /* whoever writes finds out why */
    struct stat st;
    const bool kept = !fstat(fd, &st) && S_ISREG(st.st_mode) &&
                      pread(fd, magic, sizeof magic, 0) == (ssize_t)sizeof magic &&
                      !memcmp(magic, FILE_KEPT_MAGIC, sizeof magic);
    close(fd);
    if (kept)
        error_set(e, ERROR_FILE,
                  "%s belongs to a platform's state and is not overwritten; give another name",
                  path);
    return !kept;
}

bool file_write(const char *path, const void *data, size_t size, bool secret, struct error *e)
{
    const char *name;
    int fd;
    if (!file_check_output(path, e) || !open_in_place(path, &fd, e))
        return false;
    if (fd >= 0)
        return write_in_place(fd, path, data, size, e);
    int folder = open_folder_of(path, &name, e);
    if (folder < 0)
        return false;
    char where[256];
    snprintf(where, sizeof where, "%.*s", (int)(name - path > 1 ? name - path - 1 : 0), path);
    const struct file_part part = {.name = name, .data = data, .size = size, .secret = secret};
    bool ok = file_replace_at(folder, name > path ? where : NULL, &part, 1, NULL, e);
    close(folder);
    return ok;
}

static bool make_folder(const char *path, bool *made, struct error *e)
{
    struct stat st;
    *made = mkdir(path, 0755) == 0;
    if (*made)
        return true;
    if (errno != EEXIST)
        return fail_path(path, "made", e);
    if (!stat(path, &st) && S_ISDIR(st.st_mode))
        return true;
    error_set(e, ERROR_FILE, "%s is there already and is not a folder", path);
    return false;
}

bool file_make_folder(const char *path, struct error *e)
{
    bool made;
    return make_folder(path, &made, e);
}

/* --- Sets ------------------------------------------------------------------------------------- */

/* Makes the folders of parts. `made` marks those that are new, by the first part in each. */
static bool make_folders_below(int folder, const char *where, const struct file_part *parts,
                               size_t count, bool *made, struct error *e)
{
    const struct set s = {.folder = folder, .where = where};
    for (size_t i = 0; i < count; i++) {
        const struct folder_name below = folder_name(parts[i].name);
        made[i] = *below.text && mkdirat(folder, below.text, 0755) == 0;
        if (*below.text && !made[i] && errno != EEXIST)
            return fail(&s, below.text, "made", e);
    }
    return true;
}

static void remove_folders_below(int folder, const struct file_part *parts, size_t count,
                                 const bool *made)
{
    for (size_t i = 0; i < count; i++)
        if (made[i])
            unlinkat(folder, folder_name(parts[i].name).text, AT_REMOVEDIR);
}

bool file_write_set(const char *folder, const struct file_part *parts, size_t count,
                    struct error *e)
{
    bool made, *below = calloc(count ? count : 1, sizeof *below);
    if (!below) {
        error_set(e, ERROR_MEMORY, "%s cannot be written: out of memory", folder);
        return false;
    }
    bool ok = make_folder(folder, &made, e);
    int fd = ok ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (ok && fd < 0)
        ok = fail_path(folder, "opened", e);
    ok = ok && make_folders_below(fd, folder, parts, count, below, e) &&
         file_replace_at(fd, folder, parts, count, NULL, e);
    if (!ok && fd >= 0)
        remove_folders_below(fd, parts, count, below);
    if (fd >= 0)
        close(fd);
    if (!ok && made)
        rmdir(folder);
    free(below);
    return ok;
}

/* Returns a copy that is freed with free(), one byte longer than `size`. */
static void *copy_of(const void *data, size_t size)
{
    char *copy = malloc(size + 1);
    if (copy && size)
        memcpy(copy, data, size);
    if (copy)
        copy[size] = 0;
    return copy;
}

static void add_part(struct file_set *s, const char *name, const void *data, struct file_part how)
{
    if (s->count == s->room) {
        size_t room = s->room ? 2 * s->room : 8;
        struct file_part *more = realloc(s->parts, room * sizeof *more);
        s->no_memory = s->no_memory || !more;
        if (!more)
            return;
        s->parts = more;
        s->room = room;
    }
    struct file_part *p = &s->parts[s->count++];
    *p = how;
    p->name = copy_of(name, strlen(name));
    p->data = data ? copy_of(data, how.size) : NULL;
    s->no_memory = s->no_memory || !p->name || (data && !p->data);
}

void file_set_add(struct file_set *s, const char *name, const void *data, size_t size, bool secret)
{
    add_part(s, name, data, (struct file_part){.size = size, .secret = secret});
}

void file_set_add_new_secret(struct file_set *s, const char *name, const void *data, size_t size,
                             const char *advice)
{
    add_part(s, name, data, (struct file_part){.size = size, .secret = true, .only_new = advice});
}

bool file_set_write(const char *folder, const struct file_set *s, struct error *e)
{
    if (!s->no_memory)
        return file_write_set(folder, s->parts, s->count, e);
    error_set(e, ERROR_MEMORY, "%s cannot be written: out of memory", folder);
    return false;
}

void file_set_free(struct file_set *s)
{
    for (size_t i = 0; i < s->count; i++) {
        struct file_data data = {(u8 *)(uintptr_t)s->parts[i].data, s->parts[i].size};
        file_free(&data);
        free((void *)(uintptr_t)s->parts[i].name);
    }
    free(s->parts);
    *s = (struct file_set){.parts = NULL};
}

/* --- Bit by bit ------------------------------------------------------------------------------- */

/* Empties a regular file. Refuses a file with a second name: that name may be somebody else's. */
static bool take_regular(int fd, const char *path, bool secret, struct error *e)
{
    struct stat st;
    if (fstat(fd, &st))
        return fail_path(path, "looked at", e);
    if (!S_ISREG(st.st_mode))
        return fcntl(fd, F_SETFL, 0) == 0 || fail_path(path, "opened", e);
    if (st.st_nlink > 1) {
        error_set(e, ERROR_FILE, "%s is a link to a file with other names; give another name",
                  path);
        return false;
    }
    if (ftruncate(fd, 0) || (secret && fchmod(fd, 0600)) || fcntl(fd, F_SETFL, 0))
        return fail_path(path, "emptied", e);
    return true;
}

FILE *file_create(const char *path, bool secret, struct error *e)
{
    int fd;
    if (!file_check_output(path, e) || !open_in_place(path, &fd, e))
        return NULL;
    if (fd < 0) {
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK,
                  secret ? 0600 : 0644);
        if (fd < 0 && errno == ELOOP)
            error_set(e, ERROR_FILE, "%s is a symbolic link; give the name of the file itself",
                      path);
        if (fd < 0) {
            fail_path(path, "written", e);
            return NULL;
        }
        if (!take_regular(fd, path, secret, e)) {
            close(fd);
            return NULL;
        }
    }
    FILE *file = fdopen(fd, "w");
    if (!file) {
        fail_path(path, "opened", e);
        close(fd);
    }
    return file;
}

bool file_flush(FILE *file, const char *name, struct error *e)
{
    if (fflush(file))
        return fail_path(name, "written to its end", e);
    if (!ferror(file))
        return true;
    error_set(e, ERROR_FILE, "%s has not all of its output: an earlier write failed", name);
    return false;
}

bool file_close(FILE *file, const char *path, struct error *e)
{
    const bool written = file_flush(file, path, e);
    if (fclose(file) == 0 || !written)
        return written;
    return fail_path(path, "written to its end", e);
}
