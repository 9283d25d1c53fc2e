/* SPDX-License-Identifier: Apache-2.0 */
/* Opens, locks and checks a state directory; see state.h. */
#include "state/internal.h"

#include "crypto/crypto.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail_file(const struct state *s, const char *name, const char *what, struct error *e)
{
    return error_set(e, errno == ENOMEM ? ERROR_MEMORY : ERROR_FILE,
                     "state directory: %s/%s %s: %s", s->directory, name, what, strerror(errno));
}

static int no_platform(const char *directory, struct error *e)
{
    return error_set(e, ERROR_STATE,
                     "%s has no platform; `softsev platform init --state %s` makes one", directory,
                     directory);
}

/* --- What lies in it -------------------------------------------------------------------------- */

typedef void entry_function(void *context, int folder, const char *name);

/* Calls a function for each entry but . and .. */
static int each_entry(const struct state *s, entry_function *call, void *context, struct error *e)
{
    int fd = openat(s->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        fail_file(s, ".", "cannot be listed", e);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    struct dirent *entry;
    while ((errno = 0, entry = readdir(d)) != NULL)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            call(context, s->folder, entry->d_name);
    int result = errno ? fail_file(s, ".", "cannot be listed", e) : 0;
    closedir(d);
    return result;
}

static void note_foreign(void *context, int folder, const char *name)
{
    bool *foreign = context;
    (void)folder;
    *foreign |= name[0] != '.';
}

/* Refuses a folder of other things: it is not a state directory. Reads it through the descriptor
 * that everything else uses, since the name may lead elsewhere by now. */
static int check_ours(const struct state *s, struct error *e)
{
    bool foreign = false;
    const char *const ours[] = {"lock", state_file_name(STATE_FUSES),
                                state_file_name(STATE_AUTHORITY), state_file_name(STATE_CEK)};
    for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
        if (faccessat(s->folder, ours[i], F_OK, 0) == 0)
            return 0;
        if (errno != ENOENT)
            return fail_file(s, ours[i], "cannot be looked at", e);
    }
    if (each_entry(s, note_foreign, &foreign, e))
        return -1;
    return foreign ? error_set(e, ERROR_STATE,
                               "%s has other files in it: it is not a state directory of softsev",
                               s->directory)
                   : 0;
}

static bool ends_with(const char *name, const char *end)
{
    const size_t length = strlen(name), end_length = strlen(end);
    return length > end_length && !strcmp(name + length - end_length, end);
}

/* Removes the leftover of an interrupted write: "store.4711.new". */
static void remove_leftover(void *context, int folder, const char *name)
{
    (void)context;
    for (int i = 0; i < STATE_FILES; i++) {
        const char *file = state_file_name((enum state_file)i);
        const size_t length = strlen(file);
        if (!strncmp(name, file, length) && name[length] == '.' &&
            (ends_with(name, FILE_NEW_SUFFIX) || ends_with(name, FILE_OLD_SUFFIX)))
            unlinkat(folder, name, 0);
    }
}

/* Checks that each existing file is whole. */
static int check_files(struct state *s, struct error *e)
{
    u8 *content = malloc(STATE_FILE_MAX);
    if (!content)
        return error_set(e, ERROR_MEMORY, "state directory %s: out of memory", s->directory);
    int result = s->reading ? 0 : each_entry(s, remove_leftover, NULL, e);
    for (int i = 0; i < STATE_FILES && !result; i++) {
        struct error why = {.code = ERROR_NONE};
        size_t size;
        u32 version = 0;
        enum state_answer answer =
            state_read_frame(s, (enum state_file)i, content, STATE_FILE_MAX, &size, &version, &why);
        crypto_wipe(content, size);
        if (i == STATE_FUSES)
            s->version = version;
        if (answer > STATE_ABSENT && !(answer == STATE_DAMAGED && (s->pass & 1u << i)))
            result = error_set(e, why.code, "%s", why.text);
    }
    free(content);
    return result;
}

/* --- Opening ---------------------------------------------------------------------------------- */

/* Makes the directory and the missing ones above it. */
static int make_folder(const char *path, struct error *e)
{
    char part[STATE_DIRECTORY_MAX];
    snprintf(part, sizeof part, "%s", path);
    for (char *p = part + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = 0;
        mkdir(part, 0755);
        *p = '/';
    }
    if (mkdir(part, 0700) && errno != EEXIST)
        return error_set(e, ERROR_FILE, "state directory %s cannot be made: %s", path,
                         strerror(errno));
    return 0;
}

/* Opens a directory that cannot be written for reading only, if that is enough for the request:
 * under a shared lock, or without one if there is no file to lock. */
static int decide_reading(struct state *s, struct error *e)
{
    if (faccessat(s->folder, ".", W_OK, AT_EACCESS) == 0)
        return 0;
    if (!s->looks)
        return error_set(e, ERROR_FILE, "state directory %s cannot be written: %s", s->directory,
                         strerror(errno));
    s->reading = true;
    return 0;
}

static int lock_folder(struct state *s, struct error *e)
{
    struct stat st;
    const int how = s->reading ? O_RDONLY : O_RDWR | O_CREAT;
    s->lock = openat(s->folder, "lock", how | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
    if (s->lock < 0 && s->reading && errno == ENOENT)
        return 0;
    if (s->lock < 0 || fstat(s->lock, &st))
        return fail_file(s, "lock", s->reading ? "cannot be opened" : "cannot be made", e);
    if (!S_ISREG(st.st_mode))
        return error_set(e, ERROR_STATE, "%s/lock is not a regular file; remove it", s->directory);
    int got;
    do {
        got = flock(s->lock, (s->reading ? LOCK_SH : LOCK_EX) | LOCK_NB);
    } while (got && errno == EINTR);
    if (got == 0)
        return 0;
    if (errno != EWOULDBLOCK)
        return fail_file(s, "lock", "cannot be locked", e);
    return error_set(e, ERROR_LOCKED, "state directory %s is in use by another process",
                     s->directory);
}

static int open_own(struct state *s, struct error *e)
{
    struct error why = {.code = ERROR_NONE};
    if (file_open_own_folder(s->directory, &s->folder, &why))
        return error_set(e, why.code, "state directory %s", why.text);
    return 0;
}

static int open_folder(struct state *s, struct error *e)
{
    return make_folder(s->directory, e) || open_own(s, e) || check_ours(s, e) ||
                   decide_reading(s, e) || lock_folder(s, e)
               ? -1
               : 0;
}

static int open_folder_reading(struct state *s, struct error *e)
{
    if (state_need_platform(s->directory, e) || open_own(s, e))
        return -1;
    return 0;
}

/* Checks that the directory holds a platform. If it has lost its fuses, it still counts as one:
 * opening it says what is lost. */
int state_need_platform(const char *directory, struct error *e)
{
    static const enum state_file made[] = {STATE_FUSES, STATE_AUTHORITY, STATE_CEK};
    char path[STATE_DIRECTORY_MAX + 16];
    for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
        snprintf(path, sizeof path, "%s/%s", directory, state_file_name(made[i]));
        if (access(path, F_OK) == 0)
            return 0;
        if (errno != ENOENT)
            return error_set(e, ERROR_FILE, "state directory: %s: %s", path, strerror(errno));
    }
    return no_platform(directory, e);
}

struct state *state_open_how(const struct state *how, const char *directory, struct error *e)
{
    struct state *s = calloc(1, sizeof *s);
    if (!s) {
        error_set(e, ERROR_MEMORY, "state directory %s: out of memory", directory);
        return NULL;
    }
    s->folder = s->lock = -1;
    s->reading = how->reading;
    s->looks = how->looks;
    s->pass = how->pass;
    int length = snprintf(s->directory, sizeof s->directory, "%s", directory);
    if (length <= 0 || (size_t)length >= sizeof s->directory) {
        error_set(e, ERROR_USAGE, "the name of the state directory is empty or too long");
    } else if ((s->reading ? open_folder_reading(s, e) : open_folder(s, e)) == 0 &&
               check_files(s, e) == 0) {
        s->hook = how->hook;
        return s;
    }
    state_close(s);
    return NULL;
}

struct state *state_open(const char *directory, const struct file_hook *hook, struct error *e)
{
    struct state how = {.reading = false};
    if (hook)
        how.hook = *hook;
    return state_open_how(&how, directory, e);
}

struct state *state_open_to_reset(const char *directory, struct error *e)
{
    return state_open_how(&(struct state){.pass = 1u << STATE_STORE}, directory, e);
}

struct state *state_open_reading(const char *directory, struct error *e)
{
    return state_open_how(&(struct state){.reading = true}, directory, e);
}

bool state_is_reading(const struct state *s)
{
    return s->reading;
}

void state_close(struct state *s)
{
    if (!s)
        return;
    if (s->lock >= 0)
        close(s->lock);
    if (s->folder >= 0)
        close(s->folder);
    crypto_wipe(s, sizeof *s);
    free(s);
}

int state_default(char *out, size_t size, struct error *e)
{
    const char *whole = getenv("SOFTSEV_STATE"), *xdg = getenv("XDG_STATE_HOME"),
               *home = getenv("HOME");
    int length = -1;
    if (whole && *whole)
        length = snprintf(out, size, "%s", whole);
    else if (xdg && *xdg)
        length = snprintf(out, size, "%s/softsev", xdg);
    else if (home && *home)
        length = snprintf(out, size, "%s/.local/state/softsev", home);
    if (length > 0 && (size_t)length < size)
        return 0;
    return error_set(e, ERROR_USAGE,
                     "no state directory: give --state DIR, or set SOFTSEV_STATE or HOME");
}
