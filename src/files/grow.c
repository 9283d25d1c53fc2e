/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a file that is too large to be held in memory; see files.h. */
#include "files/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static bool fail(struct file_growing *g, const char *what, int why, struct error *e)
{
    error_set(e, why == ENOMEM ? ERROR_MEMORY : ERROR_FILE, "%s cannot be %s: %s", g->path, what,
              strerror(why));
    file_grow_drop(g);
    return false;
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool open_folder(struct file_growing *g, struct error *e)
{
    char folder[4096] = ".";
    const size_t length = (size_t)(name_of(g->path) - g->path);
    const int used = snprintf(g->temporary, sizeof g->temporary, "%s.%ld" FILE_NEW_SUFFIX,
                              name_of(g->path), (long)getpid());
    if (!*name_of(g->path) || length >= sizeof folder || used >= (int)sizeof g->temporary)
        return error_set(e, ERROR_USAGE, "'%s' does not name a file", g->path) == 0;
    if (length) {
        memcpy(folder, g->path, length);
        folder[length] = 0;
    }
    g->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return g->folder >= 0 || fail(g, "written", errno, e);
}

bool file_grow(const char *path, struct file_growing *g, struct error *e)
{
    struct stat st;
    *g = (struct file_growing){.path = path, .folder = -1};
    if (!file_check_output(path, e))
        return false;
    if (!lstat(path, &st) && !S_ISREG(st.st_mode))
        return error_set(e, ERROR_FILE, "%s is %s; only a regular file is replaced", path,
                         file_kind(st.st_mode)) == 0;
    if (!open_folder(g, e))
        return false;
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY;
    int fd = openat(g->folder, g->temporary, flags, 0600);
    if (fd < 0 && errno == EEXIST && !unlinkat(g->folder, g->temporary, 0))
        fd = openat(g->folder, g->temporary, flags, 0600);
    const int why = errno;
    g->file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (g->file)
        return true;
    if (fd >= 0)
        close(fd);
    return fail(g, "made", fd >= 0 ? ENOMEM : why, e);
}

bool file_grow_add(struct file_growing *g, const void *data, size_t size, struct error *e)
{
    return !size || fwrite(data, size, 1, g->file) == 1 || fail(g, "written", errno, e);
}

bool file_grow_end(struct file_growing *g, struct error *e)
{
    if (fflush(g->file) || fsync(fileno(g->file)))
        return fail(g, "written", errno, e);
    if (renameat(g->folder, g->temporary, g->folder, name_of(g->path)))
        return fail(g, "replaced", errno, e);
    fclose(g->file);
    g->file = NULL;
    const bool synced = fsync(g->folder) == 0;
    const int why = errno;
    close(g->folder);
    g->folder = -1;
    if (!synced)
        error_set(e, ERROR_FILE, "the folder of %s cannot be synchronized: %s", g->path,
                  strerror(why));
    return synced;
}

void file_grow_drop(struct file_growing *g)
{
    if (g->file)
        fclose(g->file);
    if (g->file && g->folder >= 0)
        unlinkat(g->folder, g->temporary, 0);
    if (g->folder >= 0)
        close(g->folder);
    g->file = NULL;
    g->folder = -1;
}
