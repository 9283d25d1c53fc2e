/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state directory; see state.h. Every file has one frame, read as hostile input:
 *
 *   00h magic[8]   08h version u32   0Ch name[16]   1Ch size u32   20h content   then SHA-256[32] of all before
 */
#include "cli/state.h"

#include "base/bytes.h"
#include "cli/cli.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE_VERSION 1u
#define FRAME_HEADER  0x20u
#define FRAME_HASH    32u
#define FRAME_NAME    16u
#define FRAME_MAX     (FRAME_HEADER + STATE_FILE_MAX + FRAME_HASH)

static const u8 frame_magic[8] = {'S', 'O', 'F', 'T', 'S', 'E', 'V', '\n'};

static const char *const file_names[STATE_FILES] = {
    [STATE_FUSES] = "fuses", [STATE_STORE] = "store",     [STATE_AUTHORITY] = "authority",
    [STATE_CEK] = "cek",     [STATE_PROFILE] = "profile", [STATE_COMMITTED] = "committed",
};

struct cli_state {
    char directory[400];
    int folder, lock; /* file descriptors, -1: not open */
    bool reading;     /* only */
    struct cli_state_hook hook;
    const struct firmware_profile *profile; /* whose floor is kept */
    u8 frame[FRAME_MAX];
};

/* --- Frames ----------------------------------------------------------------------------------- */

static size_t frame_seal(u8 *frame, const char *name, const void *data, size_t size)
{
    char padded[FRAME_NAME] = "";
    memcpy(padded, name, strlen(name));
    struct writer w = writer_of(frame, FRAME_MAX);
    write_bytes(&w, frame_magic, sizeof frame_magic);
    write_u32(&w, STATE_VERSION);
    write_bytes(&w, padded, sizeof padded);
    write_u32(&w, (u32)size);
    write_bytes(&w, data, size);
    u8 hash[FRAME_HASH];
    crypto_sha256(frame, w.at, hash);
    write_bytes(&w, hash, sizeof hash);
    return w.bad ? 0 : w.at;
}

/* What is wrong with a frame, NULL if nothing is. */
static const char *frame_open(const u8 *frame, size_t frame_size, const char *name, const u8 **data,
                              size_t *size)
{
    char padded[FRAME_NAME] = "";
    memcpy(padded, name, strlen(name));
    struct reader r = reader_of(frame, frame_size);
    const u8 *magic = read_view(&r, sizeof frame_magic);
    u32 version = read_u32(&r);
    const u8 *named = read_view(&r, FRAME_NAME);
    *size = read_u32(&r);
    *data = read_view(&r, *size);
    const u8 *hash = read_view(&r, FRAME_HASH);
    if (!magic || memcmp(magic, frame_magic, sizeof frame_magic))
        return "is not a state file of softsev";
    if (!r.bad && version != STATE_VERSION)
        return "is of another version of softsev";
    if (r.bad || reader_left(&r))
        return "is cut short or too long";
    u8 real_hash[FRAME_HASH];
    crypto_sha256(frame, FRAME_HEADER + *size, real_hash);
    if (memcmp(hash, real_hash, sizeof real_hash))
        return "fails its checksum";
    return memcmp(named, padded, FRAME_NAME) ? "is another of the state files" : NULL;
}

/* --- Files ------------------------------------------------------------------------------------ */

static int fail_file(const struct cli_state *s, const char *name, const char *what, struct error *e)
{
    return error_set(e, ERROR_FILE, "state directory %s: %s: %s: %s", s->directory, name, what,
                     strerror(errno));
}

static void step(struct cli_state *s, const char *name)
{
    if (s->hook.step)
        s->hook.step(s->hook.context, name);
}

static ssize_t read_whole(int fd, u8 *out, size_t size)
{
    size_t at = 0;
    for (ssize_t n = 1; n > 0 && at < size; at += (size_t)n) {
        n = read(fd, out + at, size - at);
        if (n < 0)
            return -1;
    }
    return (ssize_t)at;
}

static bool write_whole(int fd, const u8 *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t n = write(fd, data + at, size - at);
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

int cli_state_read(struct cli_state *s, enum cli_state_file file, void *out, size_t size,
                   size_t *got, struct error *e)
{
    const char *name = file_names[file];
    *got = 0;
    int fd = openat(s->folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 0 : fail_file(s, name, "cannot be opened", e);
    ssize_t frame_size = read_whole(fd, s->frame, sizeof s->frame);
    close(fd);
    if (frame_size < 0)
        return fail_file(s, name, "cannot be read", e);
    const u8 *data;
    const char *wrong = frame_open(s->frame, (size_t)frame_size, name, &data, got);
    if (!wrong && *got > size)
        wrong = "is larger than it may be";
    if (wrong) {
        *got = 0;
        return error_set(
            e, ERROR_STATE,
            "the state directory is corrupt: %s/%s %s; remove the directory to start anew",
            s->directory, name, wrong);
    }
    memcpy(out, data, *got);
    crypto_wipe(s->frame, (size_t)frame_size);
    return 0;
}

static int write_temporary(struct cli_state *s, const char *name, size_t size, struct error *e)
{
    int fd = openat(s->folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail_file(s, name, "cannot be made", e);
    step(s, "write");
    bool ok = write_whole(fd, s->frame, size / 2);
    step(s, "write the rest");
    ok = ok && write_whole(fd, s->frame + size / 2, size - size / 2);
    step(s, "fsync");
    ok = ok && fsync(fd) == 0;
    int why = errno;
    ok = close(fd) == 0 && ok;
    errno = why;
    return ok ? 0 : fail_file(s, name, "cannot be written", e);
}

static int sync_folder(struct cli_state *s, struct error *e)
{
    step(s, "fsync of the directory");
    return fsync(s->folder) == 0 ? 0 : fail_file(s, ".", "cannot be synchronized", e);
}

static int remove_file(struct cli_state *s, const char *name, struct error *e)
{
    step(s, "unlink");
    if (unlinkat(s->folder, name, 0) && errno != ENOENT)
        return fail_file(s, name, "cannot be removed", e);
    return sync_folder(s, e);
}

int cli_state_write(struct cli_state *s, enum cli_state_file file, const void *data, size_t size,
                    struct error *e)
{
    const char *name = file_names[file];
    if (s->reading)
        return error_set(e, ERROR_INTERNAL, "the state directory is open for reading only");
    if (!size)
        return remove_file(s, name, e);
    size_t frame_size = frame_seal(s->frame, name, data, size);
    if (!frame_size)
        return error_set(e, ERROR_INTERNAL, "state file %s would have %zu bytes", name, size);
    char temporary[40];
    snprintf(temporary, sizeof temporary, "%s.new", name);
    int result = write_temporary(s, temporary, frame_size, e);
    crypto_wipe(s->frame, frame_size);
    if (result)
        return result;
    step(s, "rename");
    if (renameat(s->folder, temporary, s->folder, name))
        return fail_file(s, name, "cannot be replaced", e);
    return sync_folder(s, e);
}

/* --- The directory ---------------------------------------------------------------------------- */

/* mkdir of the directory and of what is missing above it. */
static int make_folder(const char *path, struct error *e)
{
    char part[sizeof((struct cli_state *)0)->directory];
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

/* Somebody's folder with other things in it is not taken for ours. Looked at through the descriptor
 * that everything else uses: the name may lead elsewhere by now. */
static bool folder_is_ours(const struct cli_state *s)
{
    if (faccessat(s->folder, "lock", F_OK, 0) == 0)
        return true;
    int fd = openat(s->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    bool empty = d != NULL;
    for (struct dirent *entry; d && (entry = readdir(d)) != NULL;)
        empty = empty && entry->d_name[0] == '.';
    if (d)
        closedir(d);
    else if (fd >= 0)
        close(fd);
    return empty;
}

static int open_folder(struct cli_state *s, struct error *e)
{
    if (make_folder(s->directory, e))
        return -1;
    s->folder = open(s->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->folder < 0)
        return error_set(e, ERROR_FILE, "state directory %s: %s", s->directory, strerror(errno));
    if (!folder_is_ours(s))
        return error_set(e, ERROR_STATE,
                         "%s has other files in it: it is not a state directory of softsev",
                         s->directory);
    s->lock = openat(s->folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock < 0)
        return fail_file(s, "lock", "cannot be made", e);
    if (flock(s->lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno != EWOULDBLOCK)
        return fail_file(s, "lock", "cannot be locked", e);
    return error_set(e, ERROR_LOCKED, "state directory %s is in use by another process",
                     s->directory);
}

/* Leftovers of a write that was cut short go; what is there must be whole. */
static int check_files(struct cli_state *s, struct error *e)
{
    u8 *content = malloc(STATE_FILE_MAX);
    if (!content)
        return error_set(e, ERROR_INTERNAL, "out of memory");
    int result = 0;
    for (int i = 0; i < STATE_FILES && !result; i++) {
        char temporary[40];
        size_t size;
        snprintf(temporary, sizeof temporary, "%s.new", file_names[i]);
        if (!s->reading)
            unlinkat(s->folder, temporary, 0);
        result = cli_state_read(s, (enum cli_state_file)i, content, STATE_FILE_MAX, &size, e);
        crypto_wipe(content, size);
    }
    free(content);
    return result;
}

static int open_folder_reading(struct cli_state *s, struct error *e)
{
    s->folder = open(s->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->folder >= 0 && faccessat(s->folder, file_names[STATE_FUSES], F_OK, 0) == 0)
        return 0;
    if (errno != ENOENT)
        return error_set(e, ERROR_FILE, "state directory %s: %s", s->directory, strerror(errno));
    return error_set(e, ERROR_STATE,
                     "%s has no platform; `softsev platform init --state %s` makes one",
                     s->directory, s->directory);
}

static struct cli_state *open_state(const char *directory, const struct cli_state_hook *hook,
                                    bool reading, struct error *e)
{
    struct cli_state *s = calloc(1, sizeof *s);
    if (!s) {
        error_set(e, ERROR_INTERNAL, "out of memory");
        return NULL;
    }
    s->folder = s->lock = -1;
    s->reading = reading;
    int length = snprintf(s->directory, sizeof s->directory, "%s", directory);
    if (length <= 0 || (size_t)length >= sizeof s->directory) {
        error_set(e, ERROR_USAGE, "the name of the state directory is empty or too long");
    } else if ((reading ? open_folder_reading(s, e) : open_folder(s, e)) == 0 &&
               check_files(s, e) == 0) {
        if (hook)
            s->hook = *hook;
        return s;
    }
    cli_state_close(s);
    return NULL;
}

struct cli_state *cli_state_open(const char *directory, const struct cli_state_hook *hook,
                                 struct error *e)
{
    return open_state(directory, hook, false, e);
}

struct cli_state *cli_state_open_reading(const char *directory, struct error *e)
{
    return open_state(directory, NULL, true, e);
}

bool cli_state_is_reading(const struct cli_state *s)
{
    return s->reading;
}

void cli_state_close(struct cli_state *s)
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

int cli_state_default(char *out, size_t size, struct error *e)
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

/* --- The firmware's store --------------------------------------------------------------------- */

static size_t store_load(void *context, void *out, size_t size)
{
    struct error e = {.code = ERROR_NONE};
    size_t got;
    cli_state_read(context, STATE_STORE, out, size, &got, &e);
    return got;
}

static bool store_save(void *context, const void *data, size_t size)
{
    struct error e = {.code = ERROR_NONE};
    return cli_state_write(context, STATE_STORE, data, size, &e) == 0;
}

struct firmware_store cli_state_store(struct cli_state *s)
{
    return (struct firmware_store){.load = store_load, .save = store_save, .context = s};
}

/* --- The firmware's profile and floor ------------------------------------------------------------ */

/* 00h product[16]   10h TCB u64   18h major   19h minor   1Ah build */
#define COMMITTED_SIZE    0x1bu
#define COMMITTED_PRODUCT 16u

static void product_name(const struct firmware_profile *profile, char out[COMMITTED_PRODUCT])
{
    memset(out, 0, COMMITTED_PRODUCT);
    memcpy(out, profile->product, strlen(profile->product));
}

int cli_state_committed(struct cli_state *s, const struct firmware_profile *profile,
                        struct firmware_committed *out, struct error *e)
{
    u8 data[COMMITTED_SIZE];
    char product[COMMITTED_PRODUCT], kept[COMMITTED_PRODUCT];
    size_t got;
    *out = (struct firmware_committed){.tcb = 0};
    s->profile = profile;
    if (!profile->report_version)
        return 0;
    if (cli_state_read(s, STATE_COMMITTED, data, sizeof data, &got, e) || !got)
        return got || e->code ? -1 : 0;
    struct reader r = reader_of(data, got);
    read_bytes(&r, kept, sizeof kept);
    struct firmware_committed floor = {.tcb = read_u64(&r)};
    floor.major = read_u8(&r);
    floor.minor = read_u8(&r);
    floor.build = read_u8(&r);
    if (r.bad)
        return error_set(e, ERROR_STATE,
                         "the state directory is corrupt: %s/%s has %zu bytes, not %u",
                         s->directory, file_names[STATE_COMMITTED], got, COMMITTED_SIZE);
    product_name(profile, product);
    if (memcmp(product, kept, sizeof product)) /* another part was committed */
        return 0;
    if (!snp_tcb_at_most(floor.tcb, profile->tcb))
        return error_set(
            e, ERROR_FIRMWARE,
            "firmware %s (TCB %016llx) is older than the %u.%u build %u (TCB %016llx) that "
            "SNP_COMMIT has kept in %s: there is no way back",
            profile->name, (unsigned long long)profile->tcb, floor.major, floor.minor, floor.build,
            (unsigned long long)floor.tcb, s->directory);
    *out = floor;
    return 0;
}

#define PROFILE_NAME_MAX 32u

int cli_state_profile(struct cli_state *s, const char *name, const struct firmware_profile **out,
                      struct error *e)
{
    char kept[PROFILE_NAME_MAX] = "";
    size_t got = 0;
    if (s && cli_state_read(s, STATE_PROFILE, kept, sizeof kept - 1, &got, e))
        return -1;
    *out = got ? firmware_profile_find(kept) : FIRMWARE_PROFILE_DEFAULT;
    if (name && cli_profile_find(name, out, e))
        return -1;
    if (!*out)
        return error_set(e, ERROR_STATE,
                         "%s was powered on last with a firmware that this softsev does not have: "
                         "give --profile",
                         s->directory);
    if (!s)
        return 0;
    struct firmware_committed floor; /* firmware that cannot start is not kept */
    if (cli_state_committed(s, *out, &floor, e))
        return -1;
    if (!name || !strcmp(name, kept))
        return 0;
    return cli_state_write(s, STATE_PROFILE, name, strlen(name), e);
}

bool cli_state_commit(void *state, const struct firmware_committed *committed)
{
    struct cli_state *s = state;
    struct error e = {.code = ERROR_NONE};
    char product[COMMITTED_PRODUCT];
    u8 data[COMMITTED_SIZE];
    struct writer w = writer_of(data, sizeof data);
    product_name(s->profile, product);
    write_bytes(&w, product, sizeof product);
    write_u64(&w, committed->tcb);
    write_u8(&w, committed->major);
    write_u8(&w, committed->minor);
    write_u8(&w, committed->build);
    return !w.bad && cli_state_write(s, STATE_COMMITTED, data, w.at, &e) == 0;
}
