/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks on disk images, which QEMU understands: open-file-description locks on single bytes far
 * into the file. Byte 100 + n says that the holder needs permission n; byte 200 + n says that the
 * holder does not let others have it.
 */
#define _GNU_SOURCE
#include "files/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEEDS_BASE   100u
#define REFUSES_BASE 200u

enum permission { CONSISTENT_READ = BIT(0), WRITE = BIT(1), RESIZE = BIT(3) };

#define PERMISSIONS 4u

/* Sets a shared lock on each byte that the bits name. */
static bool hold(int fd, u32 base, u32 bits)
{
    for (u32 i = 0; i < PERMISSIONS; i++) {
        struct flock lock = {
            .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = base + i, .l_len = 1};
        if ((bits >> i & 1) && fcntl(fd, F_OFD_SETLK, &lock))
            return false;
    }
    return true;
}

/* Returns true if somebody else holds one of the bytes. */
static bool held(int fd, u32 base, u32 bits)
{
    for (u32 i = 0; i < PERMISSIONS; i++) {
        struct flock lock = {
            .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = base + i, .l_len = 1};
        if ((bits >> i & 1) && !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK)
            return true;
    }
    return false;
}

/* --- Who holds it ----------------------------------------------------------------------------- */

/* Returns true if a process has the file open, as far as this user may look. */
static bool has_open(const char *pid, const struct stat *file)
{
    char path[300];
    struct stat s;
    struct dirent *entry;
    bool found = false;
    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    DIR *folder = opendir(path);
    while (folder && !found && (entry = readdir(folder)))
        found = !fstatat(dirfd(folder), entry->d_name, &s, 0) && s.st_dev == file->st_dev &&
                s.st_ino == file->st_ino;
    if (folder)
        closedir(folder);
    return found;
}

/* Writes the holder's name: "process 1234 (qemu-system-x86)", or "another process" if none can be
 * seen. */
static void describe_holder(int fd, char *out, size_t size)
{
    struct stat file;
    struct dirent *entry;
    DIR *processes = fstat(fd, &file) ? NULL : opendir("/proc");
    snprintf(out, size, "another process");
    while (processes && (entry = readdir(processes))) {
        char path[300], name[64] = "?";
        if (entry->d_name[strspn(entry->d_name, "0123456789")] ||
            atol(entry->d_name) == (long)getpid() || !has_open(entry->d_name, &file))
            continue;
        snprintf(path, sizeof path, "/proc/%s/comm", entry->d_name);
        FILE *comm = fopen(path, "re");
        if (comm && fgets(name, sizeof name, comm))
            name[strcspn(name, "\n")] = 0;
        if (comm)
            fclose(comm);
        snprintf(out, size, "process %.20s (%s)", entry->d_name, name);
        break;
    }
    if (processes)
        closedir(processes);
}

enum file_answer file_lock_disk(int fd, const char *shown, bool writes, struct error *e)
{
    const u32 needs = CONSISTENT_READ | (writes ? WRITE : 0u), refuses = WRITE | RESIZE;
    char holder[120];
    if (!hold(fd, NEEDS_BASE, needs) || !hold(fd, REFUSES_BASE, refuses)) {
        if (errno != EAGAIN && errno != EACCES)
            return FILE_READ; /* this file system has no such locks */
    } else if (!held(fd, REFUSES_BASE, needs) && !held(fd, NEEDS_BASE, refuses)) {
        return FILE_READ;
    }
    const bool written = held(fd, NEEDS_BASE, WRITE | RESIZE);
    describe_holder(fd, holder, sizeof holder);
    if (written)
        error_set(e, ERROR_FILE,
                  "%s is a disk that %s writes; end that process, or use a copy of the disk", shown,
                  holder);
    else
        error_set(e, ERROR_FILE,
                  "%s is a disk that %s reads, so it cannot be written now; end that process, or "
                  "use a copy of the disk",
                  shown, holder);
    return FILE_IN_USE;
}

/* --- Files without a name --------------------------------------------------------------------- */

bool file_create_scratch(int *fd, struct error *e)
{
    const char *place = getenv("TMPDIR");
    char path[400];
    if (!place || !*place)
        place = "/var/tmp";
    if (snprintf(path, sizeof path, "%s/softsev-XXXXXX", place) >= (int)sizeof path) {
        *fd = -1;
        error_set(e, ERROR_FILE, "TMPDIR has more than %zu characters", sizeof path - 16);
        return false;
    }
    *fd = mkostemp(path, O_CLOEXEC);
    if (*fd < 0) {
        error_set(e, ERROR_FILE, "no temporary file can be made in %s: %s", place, strerror(errno));
        return false;
    }
    unlink(path);
    return true;
}
