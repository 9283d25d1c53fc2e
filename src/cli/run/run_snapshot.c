/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a run into a file, and reads it back; see snapshot.h. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "cli/run/snapshot.h"

#include "cli/cli.h"
#include "cli/identity/platform.h"
#include "cli/run/run.h"
#include "cli/run/run_table.h"
#include "files/files.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define WORD_MAX     KIB(64)
#define SECONDS_MAX  1000000u
#define DIGEST_SIZE  32u
#define SNAPSHOT_MAX (1ull << 50)
#define MAGIC        "SOFTSEVS"

/* --- What a snapshot keeps of the command line ------------------------------------------------ */

/* The options that make the machine. The host's ends and the platform are not among them: whoever
 * resumes a machine says which of his files and sockets it gets, and a seed would open the seal. */
static const u8 kept[] = {
    RUN_KERNEL, RUN_INITRD,  RUN_APPEND,        RUN_FIRMWARE,       RUN_KERNEL_HASHES,
    RUN_MEMORY, RUN_CPUS,    RUN_MODE,          RUN_POLICY,         RUN_FEATURES,
    RUN_DEVICE, RUN_STRICT,  RUN_TSC_FREQUENCY, RUN_VIRTIO_CONSOLE, RUN_VIRTIO_RNG,
    RUN_NAME,   RUN_MACHINE, RUN_CPU,           RUN_CLOCK,          RUN_NO_REBOOT};

static bool is_kept(const char *word)
{
    const size_t size = strcspn(word, "=");
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
        const char *name = cli_run_table.rows[kept[i]].name;
        if (size == strlen(name) + 2 && !strncmp(word, "--", 2) &&
            !strncmp(word + 2, name, size - 2))
            return true;
    }
    return size == 6 && !strncmp(word, "--time", 6);
}

/* The word for one option; a path becomes absolute, since the snapshot may be resumed elsewhere.
 * Returns NULL if memory is out. */
static char *make_word(const struct option_row *row, const char *text)
{
    const bool path = row->kind == OPTION_FILE || row->kind == OPTION_FOLDER;
    char *absolute = path ? realpath(text, NULL) : NULL;
    const char *value = absolute ? absolute : text;
    const size_t size = strlen(row->name) + strlen(value) + 4;
    char *word = malloc(size);
    if (word && row->kind == OPTION_FLAG)
        snprintf(word, size, "--%s", row->name);
    else if (word)
        snprintf(word, size, "--%s=%s", row->name, value);
    free(absolute);
    return word;
}

static bool add_word(char *words[SNAPSHOT_WORDS_MAX], u32 *count, u8 id, const char *text)
{
    words[*count] = make_word(&cli_run_table.rows[id], text);
    return words[*count] && ++*count;
}

static void free_words(char *words[SNAPSHOT_WORDS_MAX], u32 count)
{
    for (u32 i = 0; i < count; i++)
        free(words[i]);
}

static bool make_words(const struct run *r, char *words[SNAPSHOT_WORDS_MAX], u32 *count)
{
    char time[24];
    *count = 0;
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
        if (r->given.text[kept[i]] && !add_word(words, count, kept[i], r->given.text[kept[i]]))
            return false;
    /* An SNP guest's agent speaks with its owner over this console. */
    if (r->vms[0].exchange && !r->given.text[RUN_VIRTIO_CONSOLE] &&
        !add_word(words, count, RUN_VIRTIO_CONSOLE, ""))
        return false;
    snprintf(time, sizeof time, "%lld", (long long)r->options.time_seconds);
    return add_word(words, count, RUN_TIME, time);
}

static void word_archive(char **word, struct archive *a)
{
    u32 size = *word ? (u32)strlen(*word) : 0;
    archive_u32_below(a, &size, WORD_MAX, "the length of an option");
    if (a->loading && !a->failed) {
        *word = calloc(1, size + 1);
        if (!*word)
            archive_fail(a, ERROR_MEMORY, "out of memory");
    }
    if (!a->failed)
        archive_bytes(a, *word, size);
    if (a->loading && !a->failed && (strlen(*word) != size || !is_kept(*word)))
        archive_fail(a, ERROR_FILE, "'%.60s' is no option that a snapshot keeps", *word);
}

static void words_archive(char *words[SNAPSHOT_WORDS_MAX], u32 *count, struct archive *a)
{
    u32 all = *count;
    char magic[] = MAGIC;
    archive_bytes(a, magic, sizeof magic - 1);
    if (!a->failed && memcmp(magic, MAGIC, sizeof magic))
        archive_fail(a, ERROR_FILE, "it is no snapshot of softsev");
    archive_section(a, "options", 1);
    archive_u32_below(a, &all, SNAPSHOT_WORDS_MAX + 1, "the number of options");
    for (u32 i = 0; i < all && !a->failed; i++) {
        word_archive(&words[i], a);
        *count = a->loading && words[i] ? i + 1 : *count;
    }
}

/* --- The run ---------------------------------------------------------------------------------- */

static void hash_file(struct crypto_sha256 *h, const struct cli_file *f)
{
    u8 size[8];
    store_le64(size, f->size);
    crypto_sha256_update(h, size, sizeof size);
    if (f->size)
        crypto_sha256_update(h, f->data, f->size);
}

/* A guest's files must be the same when it is resumed: it may still read them, or start anew. */
static void files_archive(const struct run_vm *v, struct archive *a)
{
    u8 digest[DIGEST_SIZE], loaded[DIGEST_SIZE];
    struct crypto_sha256 *h = crypto_sha256_start();
    if (!h) {
        archive_fail(a, ERROR_MEMORY, "out of memory");
        return;
    }
    hash_file(h, &v->kernel);
    hash_file(h, &v->initrd);
    hash_file(h, &v->firmware);
    crypto_sha256_peek(h, digest);
    crypto_sha256_free(h);
    memcpy(loaded, digest, sizeof loaded);
    archive_bytes(a, loaded, sizeof loaded);
    if (!a->failed && memcmp(loaded, digest, sizeof digest))
        archive_fail(a, ERROR_FILE,
                     "kernel, initramfs or firmware of %s have changed since it was taken",
                     v->options->name);
}

static void panic_archive(struct run_panic *p, struct archive *a)
{
    u64 size = p->line_size;
    archive_bytes(a, p->text, sizeof p->text);
    archive_bytes(a, p->line, sizeof p->line);
    archive_u64_below(a, &size, sizeof p->line + 1, "the length of a console's line");
    p->line_size = (size_t)size;
    p->text[sizeof p->text - 1] = 0;
}

static void vm_view_archive(struct run_vm *v, struct archive *a)
{
    archive_bool(a, &v->line_open);
    archive_bool(a, &v->views_shown);
    archive_u32(a, &v->reboots);
    archive_u64(a, &v->console_bytes);
    archive_bytes(a, v->measure, sizeof v->measure);
    panic_archive(&v->panic, a);
}

static void stream_archive(struct crypto *c, struct archive *a)
{
    u64 position = crypto_position(c);
    archive_u64(a, &position);
    if (a->loading && !a->failed)
        crypto_set_position(c, position);
}

/* A run with another seed would go on with other random numbers. */
static void seed_archive(const struct run *r, struct archive *a)
{
    const char *seed = r->options.seed;
    u8 check[8] = {0}, loaded[8];
    if (seed)
        crypto_sev_kdf(seed, strlen(seed), "softsev-snapshot-seed", NULL, 0, check, sizeof check);
    memcpy(loaded, check, sizeof loaded);
    archive_bytes(a, loaded, sizeof loaded);
    if (!a->failed && memcmp(loaded, check, sizeof check))
        archive_fail(a, ERROR_FILE, "the run that took it had %s; give --seed as it was",
                     load_le64(loaded) ? "another seed" : "no seed");
}

static void run_archive(struct run *r, struct archive *a)
{
    archive_section(a, "run", 1);
    seed_archive(r, a);
    archive_same(a, r->vm_count, "the number of VMs");
    stream_archive(r->crypto, a);
    stream_archive(r->owner_crypto, a);
    stream_archive(r->device_crypto, a);
    for (u32 i = 0; i < r->vm_count && !a->failed; i++) {
        files_archive(&r->vms[i], a);
        vm_view_archive(&r->vms[i], a);
    }
}

/* The key of the platform's secrets; NULL without encrypted guests. */
static const u8 *seal_key(const struct run *r, u8 key[32])
{
    if (!r->identity)
        return NULL;
    crypto_sev_kdf(r->identity->on.identity.fuses, 32, "softsev-snapshot", NULL, 0, key, 32);
    return key;
}

static void state_archive(struct run *r, struct archive *a)
{
    u8 key[32];
    run_archive(r, a);
    machine_archive(r->machine, seal_key(r, key), a);
    crypto_wipe(key, sizeof key);
    hypervisor_archive(r->hv, a);
}

/* The last bytes of the file: the SHA-256 of all before them. If there is a platform it is keyed by
 * it, so that a snapshot which somebody has changed is not resumed. */
static void make_seal(const struct run *r, const struct crypto_sha256 *hash, u8 out[DIGEST_SIZE])
{
    u8 key[32], digest[DIGEST_SIZE];
    crypto_sha256_peek(hash, digest);
    if (seal_key(r, key))
        crypto_hmac_sha256(key, sizeof key, digest, sizeof digest, out);
    else
        memcpy(out, digest, sizeof digest);
    crypto_wipe(key, sizeof key);
}

/* --- Writing ---------------------------------------------------------------------------------- */

struct output {
    struct file_growing file;
    struct crypto_sha256 *hash;
};

static int put(void *context, void *data, size_t size, struct error *e)
{
    struct output *o = context;
    crypto_sha256_update(o->hash, data, size);
    return file_grow_add(&o->file, data, size, e) ? 0 : -1;
}

static int write_state(struct run *r, struct output *o, struct error *e)
{
    char *words[SNAPSHOT_WORDS_MAX];
    u8 digest[DIGEST_SIZE];
    u32 count;
    struct archive a = archive_saving((struct archive_stream){put, o}, e);
    const bool made = make_words(r, words, &count);
    if (!made)
        archive_fail(&a, ERROR_MEMORY, "out of memory");
    words_archive(words, &count, &a);
    free_words(words, count);
    hypervisor_settle(r->hv);
    state_archive(r, &a);
    if (a.failed)
        return -1;
    make_seal(r, o->hash, digest);
    return file_grow_add(&o->file, digest, sizeof digest, e) ? 0 : -1;
}

/* What is under way between a guest and its owner, or another platform, is not in the machine. */
static int check_others(const struct run *r, struct error *e)
{
    if (run_migrate_is_on(r))
        return error_set(e, ERROR_USAGE, "a guest is on its way to another platform");
    for (u32 i = 0; i < r->vm_count; i++)
        if (run_secret_waits(&r->vms[i]))
            return error_set(e, ERROR_USAGE, "%s waits for its owner; take the snapshot later",
                             r->vms[i].options->name);
    return 0;
}

int run_snapshot_take(struct run *r, struct error *e)
{
    struct output o = {.hash = crypto_sha256_start()};
    const u64 began = run_clock_ns();
    int result = !o.hash ? error_set(e, ERROR_MEMORY, "out of memory") : check_others(r, e);
    if (!result && !file_grow(r->options.snapshot, &o.file, e))
        result = -1;
    else if (!result && write_state(r, &o, e)) {
        file_grow_drop(&o.file);
        result = -1;
    }
    const long size = !result ? ftell(o.file.file) : 0;
    if (!result && !file_grow_end(&o.file, e))
        result = -1;
    crypto_sha256_free(o.hash);
    if (result)
        return -1;
    run_trace_restart(&r->tracing);
    run_step(r, "snapshot", "%s: %.1f MiB, at machine time %.9f s, in %.3f s%s",
             r->options.snapshot, (double)size / (double)MIB(1),
             (double)host_time_ns(machine_host(r->machine)) / 1e9,
             (double)(run_clock_ns() - began) / 1e9,
             r->options.trace_hash ? "; the hash of all events begins here" : "");
    return 0;
}

static bool is_due(const struct run *r)
{
    return r->options.snapshot_at && !r->snapshot_done;
}

u64 run_snapshot_limit(const struct run *r, u64 limit_ns)
{
    return is_due(r) ? min_u64(limit_ns, r->options.snapshot_at) : limit_ns;
}

void run_snapshot_look(struct run *r)
{
    struct error e = {.code = ERROR_NONE};
    const bool due = is_due(r) && host_time_ns(machine_host(r->machine)) >= r->options.snapshot_at;
    if (!due && !r->snapshot_asked)
        return;
    r->snapshot_done |= due;
    r->snapshot_asked = false;
    if (!r->options.snapshot) {
        run_step(r, "snapshot", "none was taken: --snapshot FILE says where it goes");
        return;
    }
    if (!run_snapshot_take(r, &e))
        return;
    run_step(r, "snapshot", "none was taken: %s", e.text);
    if (r->snapshot_error.code == ERROR_NONE)
        error_set(&r->snapshot_error, e.code, "no snapshot was taken: %s", e.text);
}

int run_snapshot_end(const struct run *r, struct error *e)
{
    if (r->snapshot_error.code != ERROR_NONE)
        return error_set(e, r->snapshot_error.code, "%s", r->snapshot_error.text);
    return is_due(r) ? error_set(e, ERROR_FILE,
                                 "no snapshot was taken: the run ended before %llu.%09llu s of "
                                 "machine time",
                                 (unsigned long long)(r->options.snapshot_at / CLOCK_HZ),
                                 (unsigned long long)(r->options.snapshot_at % CLOCK_HZ))
                     : 0;
}

bool run_parse_machine_time(const char *text, u64 *out)
{
    const char *end;
    u64 fraction = 0, unit = CLOCK_HZ;
    if (!option_digits(text, out, &end) || *out > SECONDS_MAX || end == text ||
        memchr(text, 'x', (size_t)(end - text)))
        return false;
    if (*end == '.') {
        for (end++; *end >= '0' && *end <= '9' && unit > 1; end++) {
            unit /= 10;
            fraction += (u64)(*end - '0') * unit;
        }
        if (unit == CLOCK_HZ)
            return false;
    }
    *out = *out * CLOCK_HZ + fraction;
    return !*end && *out;
}

/* --- Reading ---------------------------------------------------------------------------------- */

static int take(void *context, void *data, size_t size, struct error *e)
{
    struct snapshot *s = context;
    errno = 0;
    if (fread(data, size, 1, s->file) != 1)
        return ferror(s->file)
                   ? error_set(e, ERROR_FILE, "%s cannot be read: %s", s->path, strerror(errno))
                   : error_set(e, ERROR_FILE, "%s is damaged: it ends too early", s->path);
    crypto_sha256_update(s->hash, data, size);
    return 0;
}

static int explain(struct snapshot *s, struct error *e)
{
    const bool named = !strncmp(s->error.text, s->path, strlen(s->path));
    return named ? error_set(e, s->error.code, "%s", s->error.text)
                 : error_set(e, s->error.code, "%s cannot be resumed: %s", s->path, s->error.text);
}

int snapshot_open(const char *path, struct snapshot *s, struct error *e)
{
    static const struct file_rule rule = {.size_max = SNAPSHOT_MAX};
    int fd;
    u64 size;
    *s = (struct snapshot){.path = path, .hash = crypto_sha256_start()};
    if (file_open(path, &rule, &fd, &size, e) != FILE_READ)
        return -1;
    s->file = fdopen(fd, "r");
    if (!s->file || !s->hash) {
        if (!s->file)
            close(fd);
        return error_set(e, ERROR_MEMORY, "%s: out of memory", path);
    }
    s->archive = archive_loading((struct archive_stream){take, s}, &s->error);
    words_archive(s->words, &s->word_count, &s->archive);
    return s->archive.failed ? explain(s, e) : 0;
}

void snapshot_close(struct snapshot *s)
{
    if (s->file)
        fclose(s->file);
    crypto_sha256_free(s->hash);
    free_words(s->words, s->word_count);
    *s = (struct snapshot){.path = s->path};
}

static int check_seal(struct snapshot *s, const struct run *r, struct error *e)
{
    u8 digest[DIGEST_SIZE], found[DIGEST_SIZE + 1];
    make_seal(r, s->hash, digest);
    if (fread(found, 1, sizeof found, s->file) != DIGEST_SIZE || memcmp(found, digest, DIGEST_SIZE))
        return error_set(e, ERROR_FILE, "%s is damaged, or was changed: its SHA-256 is another one",
                         s->path);
    return 0;
}

int snapshot_load(struct snapshot *s, struct run *r, struct error *e)
{
    const u64 began = run_clock_ns();
    state_archive(r, &s->archive);
    if (s->archive.failed)
        return explain(s, e);
    if (check_seal(s, r, e))
        return -1;
    run_step(r, "snapshot", "%s is loaded: machine time %.9f s, in %.3f s", s->path,
             (double)host_time_ns(machine_host(r->machine)) / 1e9,
             (double)(run_clock_ns() - began) / 1e9);
    return 0;
}
