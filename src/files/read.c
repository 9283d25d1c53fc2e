/* SPDX-License-Identifier: Apache-2.0 */
/* Opens and reads files; see files.h. All checks are made on the open descriptor: the name may lead
 * elsewhere a moment later. */
#include "files/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_FLAGS     (O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
#define WRITER_WAIT_MS 3000 /* how long to wait for the other end of a pipe */
#define LOOK_MS        50   /* between two looks whether the program should end */

struct file_shown file_shown(const char *where, const char *name)
{
    struct file_shown s;
    if (where)
        snprintf(s.text, sizeof s.text, "%s/%s", where, name);
    else
        snprintf(s.text, sizeof s.text, "%s", name);
    return s;
}

const char *file_kind(unsigned mode)
{
    return S_ISDIR(mode)    ? "a folder"
           : S_ISLNK(mode)  ? "a symbolic link"
           : S_ISFIFO(mode) ? "a pipe"
           : S_ISSOCK(mode) ? "a socket"
           : S_ISCHR(mode)  ? "a character device"
           : S_ISBLK(mode)  ? "a block device"
                            : "a regular file";
}

/* A limit as text for people: "64 MiB", "100 bytes". */
struct limit_text {
    char text[32];
};

static struct limit_text limit_text(u64 bytes)
{
    struct limit_text t;
    const u64 unit = bytes && bytes % MIB(1) == 0   ? MIB(1)
                     : bytes && bytes % KIB(1) == 0 ? KIB(1)
                                                    : 1;
    snprintf(t.text, sizeof t.text, "%llu %s", (unsigned long long)(bytes / unit),
             unit == MIB(1)   ? "MiB"
             : unit == KIB(1) ? "KiB"
                              : "bytes");
    return t;
}

/* --- Checks ----------------------------------------------------------------------------------- */

static enum file_answer fail_open(const char *shown, bool no_link, struct error *e)
{
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
        error_set(e, ERROR_FILE, "%s: %s", shown, strerror(errno));
        return FILE_ABSENT;
    case ENOMEM:
        error_set(e, ERROR_MEMORY, "%s cannot be opened: out of memory", shown);
        return FILE_NO_MEMORY;
    case ENXIO:
        error_set(e, ERROR_FILE,
                  "%s is a socket or a device without a driver; a regular file is needed", shown);
        return FILE_WRONG_KIND;
    case ELOOP:
        if (no_link) {
            error_set(e, ERROR_FILE, "%s is a symbolic link; the file itself must stand there",
                      shown);
            return FILE_WRONG_KIND;
        }
    }
    error_set(e, ERROR_FILE, "%s cannot be opened: %s", shown, strerror(errno));
    return FILE_UNREADABLE;
}

static enum file_answer check_owner(const char *shown, const struct stat *s, mode_t refused,
                                    const char *right, struct error *e)
{
    if (s->st_uid != geteuid() && s->st_uid != 0) {
        error_set(e, ERROR_FILE, "%s belongs to user %u; it must belong to user %u or to root",
                  shown, (unsigned)s->st_uid, (unsigned)geteuid());
        return FILE_WRONG_OWNER;
    }
    if (s->st_mode & refused) {
        error_set(e, ERROR_FILE, "%s is open to other users (mode %04o); it must have mode %s",
                  shown, (unsigned)s->st_mode & 07777, right);
        return FILE_WRONG_OWNER;
    }
    return FILE_READ;
}

static enum file_answer check(const char *shown, const struct stat *s, const struct file_rule *rule,
                              struct error *e)
{
    const bool stream = S_ISFIFO(s->st_mode) || S_ISCHR(s->st_mode);
    if (!S_ISREG(s->st_mode) && !(stream && rule->stream_max)) {
        error_set(e, ERROR_FILE, "%s is %s; %s is needed", shown, file_kind(s->st_mode),
                  rule->stream_max ? "a regular file or a pipe" : "a regular file");
        return FILE_WRONG_KIND;
    }
    if (rule->secret) {
        enum file_answer answer = check_owner(shown, s, 0077, "0600", e);
        if (answer)
            return answer;
    }
    if (S_ISREG(s->st_mode) && (u64)s->st_size > rule->size_max) {
        error_set(e, ERROR_FILE, "%s has %llu bytes; at most %s are allowed", shown,
                  (unsigned long long)s->st_size, limit_text(rule->size_max).text);
        return FILE_WRONG_SIZE;
    }
    return FILE_READ;
}

static int open_retrying(int folder, const char *name, int flags)
{
    int fd;
    do {
        fd = openat(folder, name, flags);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

static enum file_answer open_checked(int folder, const char *shown, const char *name,
                                     const struct file_rule *rule, int *fd, struct stat *s,
                                     struct error *e)
{
    *fd = open_retrying(folder, name, O_RDONLY | OPEN_FLAGS | (rule->no_link ? O_NOFOLLOW : 0));
    if (*fd < 0)
        return fail_open(shown, rule->no_link, e);
    enum file_answer answer = FILE_UNREADABLE;
    if (fstat(*fd, s))
        error_set(e, ERROR_FILE, "%s cannot be looked at: %s", shown, strerror(errno));
    else
        answer = check(shown, s, rule, e);
    if (answer) {
        close(*fd);
        *fd = -1;
    }
    return answer;
}

/* --- Reading ---------------------------------------------------------------------------------- */

static bool never(void)
{
    return false;
}

static bool (*is_ending)(void) = never;

void file_stop_waiting(bool (*ending)(void))
{
    is_ending = ending;
}

/* Waits until a stream has bytes or has ended. Returns false if nobody has opened its other end, or
 * the program should end. A signal may come just before poll(), so that looks again and again. */
static bool wait_for_bytes(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int got = 0;
    for (int waited = 0; got <= 0 && waited < timeout_ms && !is_ending(); waited += LOOK_MS)
        got = poll(&p, 1, LOOK_MS);
    return got > 0;
}

/* Reads as read() does, but restarts after interruptions and waits for a stream that has nothing
 * yet. After a signal that ends the program the wait fails with EINTR. */
static ssize_t read_some(int fd, u8 *out, size_t size)
{
    for (;;) {
        ssize_t got = read(fd, out, size);
        if (got >= 0)
            return got;
        if ((errno == EAGAIN || errno == EWOULDBLOCK) && is_ending()) {
            errno = EINTR;
            return -1;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            wait_for_bytes(fd, WRITER_WAIT_MS);
        else if (errno != EINTR)
            return -1;
    }
}

static enum file_answer no_memory(const char *shown, u64 size, struct error *e)
{
    error_set(e, ERROR_MEMORY, "%s: out of memory for its %llu bytes", shown,
              (unsigned long long)size);
    return FILE_NO_MEMORY;
}

static enum file_answer failed_read(const char *shown, struct error *e)
{
    error_set(e, ERROR_FILE, "%s cannot be read: %s", shown, strerror(errno));
    return FILE_UNREADABLE;
}

/* Reads a file of known size. Asks for one byte more, to notice a file that grows. */
static enum file_answer read_sized(int fd, const char *shown, size_t size, struct file_data *out,
                                   struct error *e)
{
    out->data = malloc(size + 1);
    if (!out->data)
        return no_memory(shown, size, e);
    for (ssize_t got = 1; got > 0 && out->size <= size; out->size += (size_t)got) {
        got = read_some(fd, out->data + out->size, size + 1 - out->size);
        if (got < 0)
            return failed_read(shown, e);
    }
    if (out->size == size)
        return FILE_READ;
    error_set(e, ERROR_FILE, "%s became %s while it was read", shown,
              out->size < size ? "shorter" : "longer");
    return FILE_WRONG_SIZE;
}

/* Doubles the buffer for a stream's bytes, up to `max` + 1. Wipes the old buffer: it may hold
 * secrets. */
static bool grow(struct file_data *out, size_t *room, u64 max)
{
    size_t more = (size_t)min_u64(*room ? 2 * *room : KIB(64), max + 1);
    u8 *data = malloc(more + 1);
    if (!data)
        return false;
    struct file_data old = *out;
    if (old.data)
        memcpy(data, old.data, old.size);
    file_free(&old);
    out->data = data;
    *room = more;
    return true;
}

static enum file_answer read_stream(int fd, const char *shown, u64 max, struct file_data *out,
                                    struct error *e)
{
    for (size_t room = 0;;) {
        if (out->size > max) {
            error_set(e, ERROR_FILE, "%s gives more than %s; that is too much", shown,
                      limit_text(max).text);
            return FILE_WRONG_SIZE;
        }
        if (out->size == room && !grow(out, &room, max))
            return no_memory(shown, 2 * (u64)room, e);
        ssize_t got = read_some(fd, out->data + out->size, room - out->size);
        if (got < 0)
            return failed_read(shown, e);
        if (!got)
            return FILE_READ;
        out->size += (size_t)got;
    }
}

enum file_answer file_read_at(int folder, const char *where, const char *name,
                              const struct file_rule *rule, struct file_data *out, struct error *e)
{
    const struct file_shown shown = file_shown(where, name);
    struct stat s;
    int fd;
    *out = (struct file_data){.data = NULL};
    enum file_answer answer = open_checked(folder, shown.text, name, rule, &fd, &s, e);
    if (answer)
        return answer;
    const bool sized =
        S_ISREG(s.st_mode) && s.st_size > 0; /* files of /proc and /sys have size 0 */
    const bool begun = !S_ISFIFO(s.st_mode) || wait_for_bytes(fd, WRITER_WAIT_MS);
    answer = sized ? read_sized(fd, shown.text, (size_t)s.st_size, out, e)
                   : read_stream(fd, shown.text,
                                 S_ISREG(s.st_mode) ? rule->size_max : rule->stream_max, out, e);
    close(fd);
    if (!answer && !begun && !out->size) {
        error_set(e, ERROR_FILE, "%s is a pipe, and nobody writes into it", shown.text);
        answer = FILE_UNREADABLE;
    }
    if (answer)
        file_free(out);
    else
        out->data[out->size] = 0;
    return answer;
}

enum file_answer file_read(const char *path, const struct file_rule *rule, struct file_data *out,
                           struct error *e)
{
    return file_read_at(AT_FDCWD, NULL, path, rule, out, e);
}

void file_free(struct file_data *data)
{
    volatile u8 *p = data->data;
    for (size_t i = 0; p && i < data->size; i++)
        p[i] = 0;
    free(data->data);
    *data = (struct file_data){.data = NULL};
}

/* --- Opening ---------------------------------------------------------------------------------- */

/* Makes reads block again: the caller who gets the descriptor expects that. */
static enum file_answer make_blocking(int *fd, const char *shown, struct error *e)
{
    int flags = fcntl(*fd, F_GETFL);
    if (flags >= 0 && !fcntl(*fd, F_SETFL, flags & ~O_NONBLOCK))
        return FILE_READ;
    error_set(e, ERROR_FILE, "%s cannot be opened: %s", shown, strerror(errno));
    close(*fd);
    *fd = -1;
    return FILE_UNREADABLE;
}

enum file_answer file_open(const char *path, const struct file_rule *rule, int *fd, u64 *size,
                           struct error *e)
{
    struct stat s;
    enum file_answer answer = open_checked(AT_FDCWD, path, path, rule, fd, &s, e);
    if (!answer && S_ISFIFO(s.st_mode) && !wait_for_bytes(*fd, WRITER_WAIT_MS)) {
        error_set(e, ERROR_FILE, "%s is a pipe, and nobody writes into it", path);
        close(*fd);
        *fd = -1;
        answer = FILE_UNREADABLE;
    }
    *size = !answer && S_ISREG(s.st_mode) ? (u64)s.st_size : 0;
    return answer ? answer : make_blocking(fd, path, e);
}

static enum file_answer measure_disk(int fd, const char *path, u64 *size, struct error *e)
{
    struct stat s;
    off_t end = 0;
    if (fstat(fd, &s)) {
        error_set(e, ERROR_FILE, "%s cannot be looked at: %s", path, strerror(errno));
        return FILE_UNREADABLE;
    }
    if (!S_ISREG(s.st_mode) && !S_ISBLK(s.st_mode)) {
        error_set(e, ERROR_FILE, "%s is %s; a disk is a regular file or a block device", path,
                  file_kind(s.st_mode));
        return FILE_WRONG_KIND;
    }
    if ((end = lseek(fd, 0, SEEK_END)) < 0) {
        error_set(e, ERROR_FILE, "%s cannot be measured: %s", path, strerror(errno));
        return FILE_UNREADABLE;
    }
    *size = (u64)end;
    return FILE_READ;
}

enum file_answer file_open_disk(const char *path, bool read_only, int *fd, u64 *size,
                                struct error *e)
{
    *size = 0;
    *fd = open_retrying(AT_FDCWD, path, (read_only ? O_RDONLY : O_RDWR) | OPEN_FLAGS);
    if (*fd < 0)
        return fail_open(path, false, e);
    enum file_answer answer = measure_disk(*fd, path, size, e);
    if (!answer)
        answer = file_lock_disk(*fd, path, !read_only, e);
    if (!answer)
        return make_blocking(fd, path, e);
    close(*fd);
    *fd = -1;
    return answer;
}

enum file_answer file_measure_disk(const char *path, u64 *size, struct error *e)
{
    *size = 0;
    const int fd = open_retrying(AT_FDCWD, path, O_RDONLY | OPEN_FLAGS);
    if (fd < 0)
        return fail_open(path, false, e);
    const enum file_answer answer = measure_disk(fd, path, size, e);
    close(fd);
    return answer;
}

int file_open_regular(int folder, const char *name, int flags)
{
    struct stat s;
    int fd;
    do {
        fd = openat(folder, name, flags | OPEN_FLAGS | O_NOFOLLOW, 0600);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) /* ENXIO: a pipe without a reader, or a socket; EISDIR: a folder, to be written */
        return errno == ENXIO || errno == EISDIR ? -EIO : -errno;
    int kept = fcntl(fd, F_GETFL);
    if (!fstat(fd, &s) && S_ISREG(s.st_mode) && kept >= 0 &&
        !fcntl(fd, F_SETFL, kept & ~O_NONBLOCK))
        return fd;
    close(fd);
    return -EIO;
}

enum file_answer file_open_own_folder(const char *path, int *fd, struct error *e)
{
    struct stat s;
    enum file_answer answer = FILE_UNREADABLE;
    *fd = open_retrying(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | OPEN_FLAGS);
    if (*fd < 0 && errno == ENOTDIR) {
        error_set(e, ERROR_FILE, "%s is not a folder", path);
        return FILE_WRONG_KIND;
    }
    if (*fd < 0)
        return fail_open(path, false, e);
    if (fstat(*fd, &s))
        error_set(e, ERROR_FILE, "%s cannot be looked at: %s", path, strerror(errno));
    else
        answer = check_owner(path, &s, 0022, "0700", e);
    if (answer) {
        close(*fd);
        *fd = -1;
    }
    return answer;
}
