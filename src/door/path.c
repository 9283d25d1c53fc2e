/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the door that a path names. Nearly every open of a program comes here and names no door;
 * the last component shows that before anything else is asked.
 */
#define _GNU_SOURCE
#include "door/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static const char *last_component(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Appends the components of `path` to `out`, which is "" or "/a/b". Returns false if that is too
 * long. */
static bool append(char out[PATH_MAX], const char *path)
{
    size_t length = strlen(out);
    while (*path) {
        size_t n = strcspn(path, "/");
        if (n == 2 && path[0] == '.' && path[1] == '.') {
            while (length && out[--length] != '/')
                ;
        } else if (n && !(n == 1 && path[0] == '.')) {
            if (length + 1 + n >= PATH_MAX)
                return false;
            out[length++] = '/';
            memcpy(out + length, path, n);
            length += n;
        }
        out[length] = 0;
        path += n + (path[n] == '/');
    }
    return true;
}

/* Finds where a relative path starts: in the folder of a descriptor, or in the working
 * directory. */
static bool base_folder(pid_t thread, int from, char out[PATH_MAX])
{
    char link[64];
    if (from == AT_FDCWD)
        snprintf(link, sizeof link, "/proc/%d/cwd", (int)thread);
    else
        snprintf(link, sizeof link, "/proc/%d/fd/%d", (int)thread, from);
    ssize_t n = readlink(link, out, PATH_MAX - 1);
    if (n <= 0 || out[0] != '/')
        return false;
    out[n] = 0;
    if (n == 1)
        out[0] = 0;
    return true;
}

/* Makes a path absolute. `*mirrored` is set if it starts from a mirror. */
static bool whole_path(const struct mirror *mirrors, pid_t thread, int from, const char *path,
                       char out[PATH_MAX], bool *mirrored)
{
    out[0] = 0;
    if (path[0] != '/' && !base_folder(thread, from, out))
        return false;
    *mirrored = mirror_virtual(mirrors, out);
    if (!append(out, path))
        return false;
    mirror_virtual(mirrors, out); /* a program may name a mirror by its own path */
    return true;
}

/* Returns true if the last component is that of a door, whatever stands before it. */
static bool may_be_file(const struct door *door, const char *path)
{
    const char *last = last_component(path);
    for (const struct door_file *f = door->files; f->path; f++)
        if (!strcmp(last, last_component(f->path)))
            return true;
    return false;
}

static bool find_file(const struct door *door, const char *whole, struct target *out)
{
    for (u32 i = 0; door->files[i].path; i++) {
        if (strcmp(door->files[i].path, whole))
            continue;
        out->kind = TARGET_FILE;
        out->file = i;
        return true;
    }
    return false;
}

static void find_folder(const struct door *door, const char *whole, struct target *out)
{
    size_t length = strlen(whole);
    for (const struct door_folder *f = door->folders; f && f->path; f++) {
        size_t n = strlen(f->path);
        bool inside = !strncmp(whole, f->path, n) && (whole[n] == '/' || !whole[n]);
        bool above = length && !strncmp(whole, f->path, length) && f->path[length] == '/';
        if (!inside && !above)
            continue;
        out->kind = inside ? TARGET_FOLDER : TARGET_ABOVE;
        out->folder = f;
        const char *rest = inside ? whole + n + (whole[n] == '/') : "";
        memcpy(out->path, rest, strlen(rest) + 1);
        return;
    }
}

void path_find(const struct door *door, const struct mirror *mirrors, pid_t thread, int from,
               const char *path, struct target *out)
{
    char real[PATH_MAX];
    bool folders = door->folders && door->folders->path, mirrored = false;
    out->kind = TARGET_NONE;
    if (!path[0] || (!folders && !may_be_file(door, path)) ||
        !whole_path(mirrors, thread, from, path, out->whole, &mirrored))
        return;
    if (!find_file(door, out->whole, out) && folders)
        find_folder(door, out->whole, out);
    if (mirrored && (out->kind == TARGET_NONE ||
                     (out->kind == TARGET_ABOVE && !mirror_real(mirrors, out->whole, real)))) {
        out->kind = TARGET_OUTSIDE;
        if (!out->whole[0])
            memcpy(out->whole, "/", 2);
    }
}
