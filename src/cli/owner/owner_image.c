/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Computes what should have been launched, from the owner's files alone. The image room does the
 * same for the hypervisor.
 */
#include "cli/owner/owner_cli.h"
#include "cli/input.h"
#include "cli/settings.h"

#include "base/bytes.h"
#include "base/encoding.h"
#include "files/files.h"

#include <errno.h>
#include <stdlib.h>

#define MEMORY_DEFAULT MIB(512)

struct guest {
    struct cli_file kernel, initrd, firmware;
};

static struct image_file as_image(const struct cli_file *f)
{
    return (struct image_file){.name = f->name, .data = f->data, .size = f->size};
}

static int check_kernel(const struct guest *g, struct error *e)
{
    const struct image_file kernel = as_image(&g->kernel);
    return g->firmware.data ? image_check_kernel(&kernel, e) : 0;
}

static int read_files(const struct options *options, struct guest *g, struct error *e)
{
    const u64 memory = options_number(options, OWNER_MEMORY, MEMORY_DEFAULT);
    *g = (struct guest){0};
    return cli_read_image(options->text[OWNER_KERNEL], memory, &g->kernel, e) ||
                   cli_read_image(options->text[OWNER_INITRD], memory, &g->initrd, e) ||
                   cli_read_image(options->text[OWNER_FIRMWARE], max_u64(memory, CLI_FIRMWARE_MAX),
                                  &g->firmware, e) ||
                   check_kernel(g, e)
               ? -1
               : 0;
}

static void free_files(struct guest *g)
{
    cli_free_file(&g->kernel);
    cli_free_file(&g->initrd);
    cli_free_file(&g->firmware);
}

/* Reads SEV_FEATURES of the launch, and refuses those that no guest of this mode can have. */
static int features_of(const struct options *options, enum measure_mode mode, u64 *out,
                       struct error *e)
{
    static const enum image_mode modes[] = {
        [MEASURE_SEV] = IMAGE_SEV, [MEASURE_SEV_ES] = IMAGE_SEV_ES, [MEASURE_SNP] = IMAGE_SEV_SNP};
    const char *text = options->text[OWNER_FEATURES];
    const u64 number = options_number(options, OWNER_FEATURES, 0);
    *out = settings_features_of(text, number, mode == MEASURE_SNP);
    const char *wrong = text ? image_sev_features_wrong(*out, modes[mode]) : NULL;
    return wrong ? error_set(e, ERROR_USAGE, "--guest-features '%s': %s", text, wrong) : 0;
}

/* --- SEV, and SEV-ES and SNP as softsev run launches them: a plan of pieces ------------------- */

static bool dump_write(void *file, const void *data, size_t size)
{
    return fwrite(data, 1, size, file) == size;
}

static int dump(const struct image_plan *plan, const char *path, struct error *e)
{
    FILE *f = file_create(path, false, e);
    if (!f)
        return -1;
    if (!image_dump(plan, dump_write, f))
        error_set(e, ERROR_FILE, "%s cannot be written: %s", path, strerror(errno));
    return file_close(f, path, e) && !e->code ? 0 : -1;
}

static void collect(void *contributions, const struct measure_record *r)
{
    struct owner_contributions *c = contributions;
    if (c->count == c->room) {
        size_t room = c->room ? 2 * c->room : 64;
        struct measure_record *more = realloc(c->records, room * sizeof *more);
        c->failed = c->failed || !more;
        if (!more)
            return;
        c->records = more;
        c->room = room;
    }
    c->records[c->count++] = *r;
}

static void hash_piece(struct crypto_sha256 *hash, const struct image_piece *p)
{
    static const u8 zeros[PAGE_SIZE];
    crypto_sha256_update(hash, p->data, p->data_size);
    for (u64 left = p->size - p->data_size; left; left -= min_u64(left, PAGE_SIZE))
        crypto_sha256_update(hash, zeros, min_u64(left, PAGE_SIZE));
}

static void measure_piece(const struct image_piece *p, const char *type, struct crypto_sha256 *all,
                          struct owner_contributions *out)
{
    struct measure_record r = {
        .name = p->name, .type = type, .gpa = p->gpa, .size = p->size, .digest_size = 32};
    struct crypto_sha256 *one = crypto_sha256_start();
    out->failed = out->failed || !one;
    if (!one)
        return;
    hash_piece(one, p);
    hash_piece(all, p);
    crypto_sha256_peek(one, r.contents);
    crypto_sha256_peek(all, r.digest);
    crypto_sha256_free(one);
    collect(out, &r);
}

static int measure_plan(const struct image_plan *plan, struct owner_contributions *out,
                        struct error *e)
{
    struct crypto_sha256 *all = crypto_sha256_start();
    for (u32 i = 0; all && i < plan->piece_count; i++)
        measure_piece(&plan->pieces[i], "DATA", all, out);
    for (u32 i = 0; all && i < plan->vmsa_count; i++) {
        const u8 *bytes = (const u8 *)plan->vmsas[i];
        measure_piece(&(struct image_piece){"VMSA", 0, PAGE_SIZE, bytes, PAGE_SIZE, 0}, "VMSA", all,
                      out);
    }
    crypto_sha256_free(all);
    return all ? image_digest(plan, out->digest, e)
               : error_set(e, ERROR_MEMORY, "no memory for a hash");
}

static int measure_any_plan(const struct image_plan *plan, struct owner_contributions *out,
                            struct error *e)
{
    if (out->mode != MEASURE_SNP)
        return measure_plan(plan, out, e);
    measure_snp_plan(plan, &(struct measure_sink){.record = collect, .context = out}, out->digest);
    return 0;
}

static int measure_own(const struct options *options, const struct guest *g,
                       struct owner_contributions *out, struct error *e)
{
    static const enum image_mode modes[] = {
        [MEASURE_SEV] = IMAGE_SEV, [MEASURE_SEV_ES] = IMAGE_SEV_ES, [MEASURE_SNP] = IMAGE_SEV_SNP};
    struct image_description d = {
        .mode = modes[out->mode],
        .memory_size = options_number(options, OWNER_MEMORY, MEMORY_DEFAULT),
        .cpus = (u32)options_number(options, OWNER_VCPUS, 1),
        .secret = options->text[OWNER_HOLE],
        .command_line = options->text[OWNER_APPEND],
        .kernel_hashes = options->text[OWNER_HASHES],
        .kernel = as_image(&g->kernel),
        .initrd = as_image(&g->initrd),
        .firmware = as_image(&g->firmware),
    };
    if (features_of(options, out->mode, &d.sev_features, e))
        return -1;
    if (d.cpus > IMAGE_CPUS_MAX)
        return error_set(e, ERROR_USAGE, "--vcpus '%u': a guest of softsev run has at most %u",
                         d.cpus, IMAGE_CPUS_MAX);
    struct image_plan *plan = image_build(&d, e);
    int result = plan ? measure_any_plan(plan, out, e) : -1;
    if (!result && options->text[OWNER_DUMP])
        result = dump(plan, options->text[OWNER_DUMP], e);
    image_free(plan);
    return result;
}

/* --- SEV-ES and SNP: a flash image ------------------------------------------------------------ */

static int fill_processor(const struct options *options, struct measure_description *d,
                          struct error *e)
{
    d->vcpus = (u32)options_number(options, OWNER_VCPUS, 1);
    d->vmm = (enum measure_vmm)options_choice(options, OWNER_VMM_TYPE);
    d->signature =
        (u32)options_number(options, OWNER_VCPU_TYPE, options_number(options, OWNER_CPU, 0));
    if (features_of(options, d->mode, &d->features, e))
        return -1;
    if (options->text[OWNER_VCPU_TYPE] || options->text[OWNER_CPU] ||
        d->vmm > MEASURE_VMM_QEMU_OLD || d->image_only)
        return 0;
    return error_set(
        e, ERROR_USAGE,
        "--mode %s needs --vcpu-type, such as EPYC-Milan: QEMU puts its signature into "
        "RDX",
        options->text[OWNER_MODE]);
}

/* Describes the launch of a flash image. `image` is room for --ovmf-hash. */
static int describe_flash(const struct options *options, const struct guest *g,
                          enum measure_mode mode, u8 image[48], struct measure_description *d,
                          struct error *e)
{
    const char *hash = options->text[OWNER_IMAGE_HASH];
    *d = (struct measure_description){
        .mode = mode,
        .firmware = as_image(&g->firmware),
        .kernel_hashes = options->text[OWNER_HASHES],
        .kernel = as_image(&g->kernel),
        .initrd = as_image(&g->initrd),
        .command_line = options->text[OWNER_APPEND],
        .image_only = options->text[OWNER_IMAGE_ONLY],
    };
    if (hash && text_decode_hex_exactly(hash, image, 48))
        d->image_digest = image;
    return fill_processor(options, d, e);
}

static int measure_flash(const struct options *options, const struct guest *g,
                         struct owner_contributions *out, struct error *e)
{
    u8 image[48];
    struct measure_description d;
    if (describe_flash(options, g, out->mode, image, &d, e))
        return -1;
    return measure_launch(&d, &(struct measure_sink){.record = collect, .context = out},
                          out->digest, e);
}

/* --- Any -------------------------------------------------------------------------------------- */

static enum measure_mode mode_of(const struct options *options)
{
    static const enum measure_mode modes[] = {
        [IMAGE_SEV] = MEASURE_SEV, [IMAGE_SEV_ES] = MEASURE_SEV_ES, [IMAGE_SEV_SNP] = MEASURE_SNP};
    return modes[options_choice(options, OWNER_MODE)];
}

/* Returns true for guests of softsev run without a flash image: SEV-ES and SNP with a kernel. */
static bool is_plan(const struct options *options, enum measure_mode mode)
{
    return mode == MEASURE_SEV || !options->text[OWNER_FIRMWARE];
}

int owner_measure_files(const struct options *options, struct owner_contributions *out,
                        struct error *e)
{
    struct guest g;
    *out = (struct owner_contributions){.mode = mode_of(options)};
    int result = read_files(options, &g, e);
    if (!result)
        result = (is_plan(options, out->mode) ? measure_own : measure_flash)(options, &g, out, e);
    free_files(&g);
    if (!result && out->failed)
        result = error_set(e, ERROR_MEMORY, "no memory for a list of what is launched");
    if (result)
        owner_free_contributions(out);
    return result;
}

/* --- Why not this digest? --------------------------------------------------------------------- */

static bool try_plan(const struct options *options, owner_matches *matches, void *context)
{
    struct owner_contributions c;
    struct error unused = {.code = ERROR_NONE};
    if (owner_measure_files(options, &c, &unused))
        return false;
    bool found = matches(context, c.digest);
    owner_free_contributions(&c);
    return found;
}

/* Tries the launch with another value of one option, and puts the old value back. */
static bool try_with(struct options *changed, u8 id, const char *value, owner_matches *matches,
                     void *context)
{
    struct error unused = {.code = ERROR_NONE};
    const char *text = changed->text[id];
    const u64 number = changed->number[id];
    changed->text[id] = NULL;
    const bool found =
        !options_set(changed, id, value, &unused) && try_plan(changed, matches, context);
    changed->text[id] = text;
    changed->number[id] = number;
    return found;
}

/* Tries each feature alone, and those that guests have together. Returns false if the registers of
 * this mode's guests are not measured, or if none of these gives the digest. */
static bool hint_features(const struct options *options, struct options *changed,
                          owner_matches *matches, void *context, char text[HINT_TEXT_MAX])
{
    static const u64 together[] = {0, SEV_FEATURE_DEBUG_VIRT | SEV_FEATURE_SECURE_TSC,
                                   SEV_FEATURE_DEBUG_VIRT | SEV_FEATURE_VTOM};
    const enum measure_mode mode = mode_of(options);
    const u64 base = mode == MEASURE_SNP ? SEV_FEATURE_SNP : 0;
    u64 asked;
    struct error unused = {.code = ERROR_NONE};
    if (mode == MEASURE_SEV || features_of(options, mode, &asked, &unused))
        return false;
    for (u32 i = 0; i < ARRAY_SIZE(together) + 64; i++) {
        char number[24];
        const u64 word =
            base | (i < ARRAY_SIZE(together) ? together[i] : BIT(i - ARRAY_SIZE(together)));
        snprintf(number, sizeof number, "0x%llx", (unsigned long long)word);
        snprintf(text, HINT_TEXT_MAX, "--guest-features %s, not 0x%llx", number,
                 (unsigned long long)asked);
        if (word != asked && try_with(changed, OWNER_FEATURES, number, matches, context))
            return true;
    }
    return false;
}

/* Tries other launches of a guest of softsev run. The size of its memory is in tables and, under
 * SNP, in all its pages. Processors other than the first have VMSAs of their own, and all VMSAs
 * have the features. */
static void hint_plan(const struct options *options, owner_matches *matches, void *context,
                      char text[HINT_TEXT_MAX])
{
    static const char *const sizes[] = {"64M", "128M", "256M", "512M", "1G", "2G"};
    static const char *const numbers[] = {"1", "2", "3", "4", "5", "6", "7", "8"};
    struct options changed = *options;
    const char *memory = options->text[OWNER_MEMORY] ? options->text[OWNER_MEMORY] : "512M";
    const char *vcpus = options->text[OWNER_VCPUS] ? options->text[OWNER_VCPUS] : "1";
    changed.text[OWNER_DUMP] = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        snprintf(text, HINT_TEXT_MAX, "--vcpus %s, not %s", numbers[i], vcpus);
        if (strcmp(numbers[i], vcpus) &&
            try_with(&changed, OWNER_VCPUS, numbers[i], matches, context))
            return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        snprintf(text, HINT_TEXT_MAX, "--memory %s, not %s", sizes[i], memory);
        if (try_with(&changed, OWNER_MEMORY, sizes[i], matches, context))
            return;
    }
    if (hint_features(options, &changed, matches, context, text))
        return;
    snprintf(text, HINT_TEXT_MAX,
             "no other size of memory up to 2G, number of processors or feature gives it: look for "
             "another kernel, initrd or command line");
}

static int hint_flash(const struct options *options, enum measure_mode mode, owner_matches *matches,
                      void *context, char text[HINT_TEXT_MAX], struct error *e)
{
    struct guest g;
    u8 image[48];
    struct measure_description d;
    int result =
        read_files(options, &g, e) || describe_flash(options, &g, mode, image, &d, e) ? -1 : 0;
    if (!result)
        hint_search(&(struct hint_question){&d, matches, context}, text);
    free_files(&g);
    return result;
}

int owner_hint(const struct options *options, owner_matches *matches, void *context,
               char text[HINT_TEXT_MAX], struct error *e)
{
    if (options->text[OWNER_FIRMWARE])
        return hint_flash(options, mode_of(options), matches, context, text, e);
    hint_plan(options, matches, context, text);
    return 0;
}

void owner_free_contributions(struct owner_contributions *c)
{
    free(c->records);
    *c = (struct owner_contributions){.mode = c->mode};
}

static int digest_of_guest(const struct options *options, u8 digest[32], struct error *e)
{
    struct owner_contributions c;
    if (owner_measure_files(options, &c, e))
        return -1;
    memcpy(digest, c.digest, 32);
    owner_free_contributions(&c);
    return 0;
}

static int digest_of_bytes(const char *path, u8 digest[32], struct error *e)
{
    struct cli_file f;
    if (cli_read_file(path, &f, e))
        return -1;
    crypto_sha256(f.data, f.size, digest);
    cli_free_file(&f);
    return 0;
}

int owner_launch_digest(const struct options *options, u8 digest[32], struct error *e)
{
    const char *hex = options->text[OWNER_DIGEST], *launch = options->text[OWNER_LAUNCH];
    if (hex && !text_decode_hex_exactly(hex, digest, 32))
        return error_set(e, ERROR_USAGE, "--digest '%s': expected 64 hexadecimal digits", hex);
    if (hex)
        return 0;
    return launch ? digest_of_bytes(launch, digest, e) : digest_of_guest(options, digest, e);
}
