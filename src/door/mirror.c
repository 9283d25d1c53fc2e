/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mirrors of folders. The kernel cannot enter or list a folder that only the supervisor knows. So a
 * temporary folder, with an empty file for each of its files, stands for it and for the folders
 * above it that the kernel lacks. Descriptors of the mirror are ordinary ones; a path that starts
 * from one is read as a path of the folder.
 */
#define _GNU_SOURCE
#include "door/internal.h"
#include "files/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- Names ------------------------------------------------------------------------------------ */

/* Returns true if `path` is `above` or below it; *rest is what follows, "" or "/...". */
static bool is_below(const char *path, const char *above, const char **rest)
{
    size_t n = strlen(above);
    *rest = path + n;
    return n && !strncmp(path, above, n) && (path[n] == '/' || !path[n]);
}

/* Returns false if the two together are too long. */
static bool join(char out[PATH_MAX], const char *head, const char *tail)
{
    size_t n = strlen(head), more = strlen(tail) + 1;
    if (n + more > PATH_MAX)
        return false;
    memcpy(out, head, n);
    memcpy(out + n, tail, more);
    return true;
}

bool mirror_virtual(const struct mirror *mirrors, char path[PATH_MAX])
{
    char other[PATH_MAX];
    const char *rest;
    for (const struct mirror *m = mirrors; m && m->folder; m++) {
        if (!is_below(path, m->root, &rest) || !join(other, m->prefix, rest))
            continue;
        memcpy(path, other, strlen(other) + 1);
        return true;
    }
    return false;
}

bool mirror_real(const struct mirror *mirrors, const char *path, char out[PATH_MAX])
{
    const char *rest;
    for (const struct mirror *m = mirrors; m && m->folder; m++)
        if (is_below(path, m->prefix, &rest) && join(out, m->root, rest))
            return true;
    return false;
}

/* --- Making and removing ---------------------------------------------------------------------- */

#define INNER "/folder"

/* Finds the shortest part of the folder's path that the kernel does not have. */
static void find_missing(struct mirror *m)
{
    const char *path = m->folder->path;
    for (size_t n = strcspn(path + 1, "/") + 1;; n += strcspn(path + n + 1, "/") + 1) {
        snprintf(m->prefix, sizeof m->prefix, "%.*s", (int)n, path);
        if (!path[n] || access(m->prefix, F_OK))
            return;
    }
}

/* Makes a folder with the mode that configfs has, whatever the umask is. */
static bool make_folder(const char *path)
{
    return (mkdir(path, 0700) == 0 || errno == EEXIST) && chmod(path, 0755) == 0;
}

static bool make_above(const struct mirror *m)
{
    char path[PATH_MAX];
    const char *rest = m->folder->path + strlen(m->prefix);
    for (size_t n = 0; rest[n];) {
        n += strcspn(rest + n + 1, "/") + 1;
        snprintf(path, sizeof path, "%s%.*s", m->root, (int)n, rest);
        if (!make_folder(path))
            return false;
    }
    return true;
}

int mirror_make(struct mirror *m, const struct door_folder *folder, struct error *e)
{
    const char *place = getenv("TMPDIR");
    char root[PATH_MAX], resolved[PATH_MAX];
    if (!join(root, place && *place == '/' ? place : "/tmp", "/softsev-XXXXXX") || !mkdtemp(root))
        return error_set(e, ERROR_FILE, "no temporary folder can be made: %s", strerror(errno));
    m->folder = folder;
    find_missing(m);
    /* The outer folder keeps others out, whatever modes the inner one shows. */
    bool fits =
        realpath(root, resolved) && join(root, resolved, INNER) && strlen(root) < sizeof m->root;
    if (fits)
        memcpy(m->root, root, strlen(root) + 1);
    if (fits && make_folder(m->root) && make_above(m))
        return 0;
    return error_set(e, ERROR_FILE, "the temporary folder %s cannot be used", root);
}

bool mirror_add(const struct mirror *mirrors, const struct door_folder *folder, const char *path,
                const char *whole)
{
    char real[PATH_MAX];
    const char *name;
    if (!mirror_real(mirrors, whole, real) || !make_folder(real))
        return false;
    int at = open(real, O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool good = at >= 0;
    for (u32 i = 0; good && (name = folder->name(folder->context, path, i)); i++) {
        int fd = file_open_regular(at, name, O_RDWR | O_CREAT);
        good = fd >= 0 && fchmod(fd, 0644) == 0;
        if (fd >= 0)
            close(fd);
    }
    if (at >= 0)
        close(at);
    return good;
}

/* Removes what is in a folder. Each level of recursion is a folder inside a folder. */
static void empty(int at, u32 levels)
{
    DIR *d = fdopendir(at);
    if (!d) {
        close(at);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(d));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        int below = levels ? openat(at, entry->d_name, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
        if (below >= 0)
            empty(below, levels - 1);
        if (unlinkat(at, entry->d_name, 0) && errno == EISDIR)
            unlinkat(at, entry->d_name, AT_REMOVEDIR);
    }
    closedir(d);
}

#define LEVELS 8u

static void remove_tree(const char *path)
{
    int at = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (at >= 0)
        empty(at, LEVELS);
    rmdir(path);
}

void mirror_drop(const struct mirror *mirrors, const char *whole)
{
    char real[PATH_MAX];
    if (mirror_real(mirrors, whole, real))
        remove_tree(real);
}

void mirrors_remove(const struct mirror *mirrors)
{
    char outer[sizeof mirrors->root];
    for (const struct mirror *m = mirrors; m->folder; m++) {
        if (!m->root[0])
            continue;
        memcpy(outer, m->root, sizeof outer);
        outer[strlen(outer) - strlen(INNER)] = 0;
        remove_tree(outer);
    }
}
