/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes one call of a program fail: a library to be preloaded. FAULT is "KIND:N:HOW".
 *   KIND  files: the calls that the program makes of the system for its files
 *         memory: the program's own allocations   library: those of the libraries that it uses
 *   N     the N-th such call fails; 0: none does
 *   HOW   an errno for files; short: the N-th read or write of more than one byte is cut in half
 * FAULT_COUNT names a file descriptor that gets the number of calls when the program ends.
 */
#define _GNU_SOURCE
#undef _FILE_OFFSET_BITS /* open is one function here, open64 another */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum kind { NOTHING, FILES, MEMORY, LIBRARY };

static struct {
    enum kind kind;
    long at, count;
    int error; /* errno */
    bool cut;
    uintptr_t program, program_end; /* where the program's code is */
} fault;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

/* The first object is the program itself. */
static int note_program(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
            continue;
        fault.program = info->dlpi_addr + p->p_vaddr;
        fault.program_end = fault.program + p->p_memsz;
    }
    return 1;
}

__attribute__((constructor)) static void fault_begin(void)
{
    const char *text = getenv("FAULT");
    char kind[8] = "", how[8] = "";
    long at;
    if (!text || sscanf(text, "%7[a-z]:%ld:%7s", kind, &at, how) != 3)
        return;
    unsetenv("LD_PRELOAD"); /* programs that this one starts are not meant */
    dl_iterate_phdr(note_program, NULL);
    fault.at = at;
    fault.cut = !strcmp(how, "short");
    fault.error = fault.cut ? 0 : atoi(how);
    fault.kind = !strcmp(kind, "memory") ? MEMORY : !strcmp(kind, "library") ? LIBRARY : FILES;
}

__attribute__((destructor)) static void fault_end(void)
{
    const char *where = getenv("FAULT_COUNT");
    char line[32];
    if (!fault.kind || !where)
        return;
    fault.kind = NOTHING;
    const int length = snprintf(line, sizeof line, "%ld\n", fault.count);
    if (write(atoi(where), line, (size_t)length) != length)
        _exit(99);
}

static bool from_program(const void *caller)
{
    const uintptr_t at = (uintptr_t)caller;
    return at >= fault.program && at < fault.program_end;
}

#define FROM_PROGRAM from_program(__builtin_return_address(0))

/* Counts a call. True: this one fails, and errno says why. */
static bool fails(enum kind kind)
{
    if (fault.kind != kind || fault.cut ||
        __atomic_add_fetch(&fault.count, 1, __ATOMIC_RELAXED) != fault.at)
        return false;
    errno = kind == FILES ? fault.error : ENOMEM;
    return true;
}

/* How many bytes of a read or write are asked of the system. */
static size_t cut(size_t size, bool ours)
{
    const bool now = fault.kind == FILES && ours && fault.cut && size > 1 &&
                     __atomic_add_fetch(&fault.count, 1, __ATOMIC_RELAXED) == fault.at;
    return now ? size / 2 : size;
}

/* --- Memory ----------------------------------------------------------------------------------- */

void *malloc(size_t size)
{
    return fails(FROM_PROGRAM ? MEMORY : LIBRARY) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails(FROM_PROGRAM ? MEMORY : LIBRARY) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return fails(FROM_PROGRAM ? MEMORY : LIBRARY) ? NULL : __libc_realloc(old, size);
}

/* --- Files ------------------------------------------------------------------------------------ */

#define NEXT(name) ((__typeof__(&name))next(#name))

static uintptr_t next(const char *name)
{
    const enum kind kind = fault.kind;
    fault.kind = NOTHING; /* dlsym allocates */
    const uintptr_t function = (uintptr_t)dlsym(RTLD_NEXT, name);
    fault.kind = kind;
    if (!function)
        _exit(99);
    return function;
}

/* A function with a fixed list of parameters that answers `bad` when it fails. */
#define WRAP(type, bad, name, parameters, arguments)                                               \
    type name parameters;                                                                          \
    type name parameters                                                                           \
    {                                                                                              \
        return FROM_PROGRAM && fails(FILES) ? bad : NEXT(name) arguments;                          \
    }

#define WRAP_OPEN(name)                                                                            \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        va_list list;                                                                              \
        va_start(list, flags);                                                                     \
        const mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(list, mode_t) : 0;            \
        va_end(list);                                                                              \
        return FROM_PROGRAM && fails(FILES) ? -1 : NEXT(name)(path, flags, mode);                  \
    }

#define WRAP_OPENAT(name)                                                                          \
    int name(int folder, const char *path, int flags, ...)                                         \
    {                                                                                              \
        va_list list;                                                                              \
        va_start(list, flags);                                                                     \
        const mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(list, mode_t) : 0;            \
        va_end(list);                                                                              \
        return FROM_PROGRAM && fails(FILES) ? -1 : NEXT(name)(folder, path, flags, mode);          \
    }

// clang-format off
WRAP_OPEN(open)
WRAP_OPEN(open64)
WRAP_OPENAT(openat)
WRAP_OPENAT(openat64)
WRAP(int, -1, fstat, (int fd, struct stat *out), (fd, out))
WRAP(int, -1, fstat64, (int fd, struct stat64 *out), (fd, out))
WRAP(int, -1, stat, (const char *path, struct stat *out), (path, out))
WRAP(int, -1, stat64, (const char *path, struct stat64 *out), (path, out))
WRAP(int, -1, fstatat, (int folder, const char *path, struct stat *out, int flags), (folder, path, out, flags))
WRAP(int, -1, fstatat64, (int folder, const char *path, struct stat64 *out, int flags), (folder, path, out, flags))
WRAP(int, -1, access, (const char *path, int mode), (path, mode))
WRAP(int, -1, faccessat, (int folder, const char *path, int mode, int flags), (folder, path, mode, flags))
WRAP(int, -1, fsync, (int fd), (fd))
WRAP(int, -1, flock, (int fd, int how), (fd, how))
WRAP(int, -1, mkdir, (const char *path, mode_t mode), (path, mode))
WRAP(int, -1, mkdirat, (int folder, const char *path, mode_t mode), (folder, path, mode))
WRAP(int, -1, rename, (const char *from, const char *to), (from, to))
WRAP(int, -1, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
WRAP(int, -1, unlink, (const char *path), (path))
WRAP(int, -1, unlinkat, (int folder, const char *path, int flags), (folder, path, flags))
WRAP(DIR *, NULL, fdopendir, (int fd), (fd))
WRAP(struct dirent *, NULL, readdir, (DIR *d), (d))
WRAP(struct dirent64 *, NULL, readdir64, (DIR *d), (d))
WRAP(FILE *, NULL, fdopen, (int fd, const char *mode), (fd, mode))
// clang-format on

ssize_t read(int fd, void *out, size_t size)
{
    return FROM_PROGRAM && fails(FILES) ? -1 : NEXT(read)(fd, out, cut(size, FROM_PROGRAM));
}

ssize_t write(int fd, const void *data, size_t size)
{
    return FROM_PROGRAM && fails(FILES) ? -1 : NEXT(write)(fd, data, cut(size, FROM_PROGRAM));
}

/* As on Linux: the descriptor is gone even if close fails. */
int close(int fd)
{
    const bool failed = FROM_PROGRAM && fails(FILES);
    const int error = errno, result = NEXT(close)(fd);
    if (!failed)
        return result;
    errno = error;
    return -1;
}
