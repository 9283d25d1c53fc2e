/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A path of a program's, at the very end of memory that it may read: which door it names must be
 * what a slower and plainer way of taking out "." and ".." says. The first byte chooses whether the
 * path ends inside that memory and which descriptor a relative one starts from.
 */
#define _GNU_SOURCE
#include "door/internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define PAGES       3u
#define PARTS_MAX   (PATH_MAX / 2)
#define UNENDED     1u
#define FROM_FOLDER 2u

static const struct door_file files[] = {
    {.path = "/dev/sev"}, {.path = "/dev/sev-guest"}, {.path = NULL}};
static const struct door_folder folders[] = {{.path = "/sys/kernel/config/tsm/report"},
                                             {.path = NULL}};

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* The components of a path onto a stack; an empty stack is the root. */
static size_t split(const char *path, const char *parts[PARTS_MAX], size_t sizes[PARTS_MAX],
                    size_t count)
{
    for (; *path; path += strspn(path, "/")) {
        path += strspn(path, "/");
        size_t n = strcspn(path, "/");
        if (n == 2 && !memcmp(path, "..", 2)) {
            count -= count != 0;
        } else if (n && !(n == 1 && *path == '.')) {
            must(count < PARTS_MAX);
            parts[count] = path;
            sizes[count++] = n;
        }
        path += n;
    }
    return count;
}

static void plain_path(const char *base, const char *path, char out[2 * PATH_MAX])
{
    static const char *parts[PARTS_MAX];
    static size_t sizes[PARTS_MAX];
    size_t count = *path == '/' ? 0 : split(base, parts, sizes, 0), at = 0;
    count = split(path, parts, sizes, count);
    for (size_t i = 0; i < count; i++) {
        out[at++] = '/';
        memcpy(out + at, parts[i], sizes[i]);
        at += sizes[i];
    }
    out[at] = 0;
}

static void check(const struct target *t, const char *whole)
{
    size_t size = strlen(folders[0].path), length = strlen(whole);
    enum target_kind kind = TARGET_NONE;
    u32 file = 0;
    for (u32 i = 0; files[i].path; i++) {
        if (!strcmp(files[i].path, whole)) {
            kind = TARGET_FILE;
            file = i;
        }
    }
    if (!strncmp(whole, folders[0].path, size) && (!whole[size] || whole[size] == '/')) {
        kind = TARGET_FOLDER;
        must(!strcmp(t->path, whole[size] ? whole + size + 1 : ""));
    } else if (length && !strncmp(whole, folders[0].path, length) &&
               folders[0].path[length] == '/') {
        kind = TARGET_ABOVE;
        must(!strcmp(t->whole, whole));
    }
    must(t->kind == kind && (kind != TARGET_FILE || t->file == file));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static char *memory;
    static int folder;
    if (!memory) {
        memory = mmap(NULL, (PAGES + 1) * PAGE_SIZE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        must(memory != MAP_FAILED && !mprotect(memory + PAGES * PAGE_SIZE, PAGE_SIZE, PROT_NONE));
        folder = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
        must(folder >= 0 && !chdir("/sys"));
    }
    if (size < 1 || size > PAGES * PAGE_SIZE)
        return 0;
    u8 how = data[0];
    bool ended = !(how & UNENDED);
    char *path = memory + PAGES * PAGE_SIZE - size;
    memcpy(path, data + 1, size - 1);
    path[size - 1] = ended ? 0 : 'x';
    struct target t;
    const struct door door = {.files = files, .folders = folders};
    char text[PATH_MAX];
    t.kind = TARGET_NONE;
    if (memory_string(getpid(), (u64)(uintptr_t)path, text))
        path_find(&door, NULL, getpid(), how & FROM_FOLDER ? folder : AT_FDCWD, text, &t);
    size_t length = strnlen(path, size);
    if (length == size || length == 0) {
        must(t.kind == TARGET_NONE);
    } else if (length < PATH_MAX - 8) {
        char whole[2 * PATH_MAX];
        plain_path(how & FROM_FOLDER ? "/dev" : "/sys", path, whole);
        check(&t, whole);
    }
    return 0;
}
