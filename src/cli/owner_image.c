/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What should have been launched, from files alone: the same room computes it as for the hypervisor, but
 * here it is the owner's computer and the owner's files.
 */
#include "cli/owner.h"
#include "cli/run.h"

#include "base/bytes.h"

#include <errno.h>
#include <stdlib.h>

struct guest {
    struct run_file kernel, initrd, firmware;
};

static int parse_memory(const char *text, u64 *out, struct error *e)
{
    char *end;
    *out = MIB(512);
    if (!text)
        return 0;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 0);
    u64 unit = *end == 'K' ? KIB(1) : *end == 'M' ? MIB(1) : *end == 'G' ? GIB(1) : 0;
    /* A plain number is MiB, as for softsev run. */
    if (errno || end == text || *text == '-' || *(unit ? end + 1 : end) ||
        v > GIB(512) / (unit ? unit : MIB(1)))
        return error_set(e, ERROR_USAGE, "--memory '%s': a number of MiB, or with K, M, G", text);
    *out = v * (unit ? unit : MIB(1));
    return 0;
}

static struct image_file as_image(const struct run_file *f)
{
    return (struct image_file){.name = f->name, .data = f->data, .size = f->size};
}

static int read_files(const char *const *options, struct guest *g, struct error *e)
{
    *g = (struct guest){0};
    return run_read_file(options[OWNER_KERNEL], &g->kernel, e) ||
                   run_read_file(options[OWNER_INITRD], &g->initrd, e) ||
                   run_read_file(options[OWNER_FIRMWARE], &g->firmware, e)
               ? -1
               : 0;
}

static void free_files(struct guest *g)
{
    run_free_file(&g->kernel);
    run_free_file(&g->initrd);
    run_free_file(&g->firmware);
}

/* --- SEV, and SEV-ES and SNP as softsev run launches them: a plan of pieces -------------------------- */

static bool dump_write(void *file, const void *data, size_t size)
{
    return fwrite(data, 1, size, file) == size;
}

static int dump(const struct image_plan *plan, const char *path, struct error *e)
{
    FILE *f = fopen(path, "wb");
    bool good = f && image_dump(plan, dump_write, f);
    if (f)
        good = fclose(f) == 0 && good;
    return good ? 0 : error_set(e, ERROR_FILE, "%s cannot be written: %s", path, strerror(errno));
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
    image_digest(plan, out->digest);
    return all ? 0 : error_set(e, ERROR_MEMORY, "no memory for a hash");
}

static int measure_any_plan(const struct image_plan *plan, struct owner_contributions *out,
                            struct error *e)
{
    if (out->mode != MEASURE_SNP)
        return measure_plan(plan, out, e);
    measure_snp_plan(plan, &(struct measure_sink){.record = collect, .context = out}, out->digest);
    return 0;
}

static int measure_own(const char *const *options, const struct guest *g,
                       struct owner_contributions *out, struct error *e)
{
    static const enum image_mode modes[] = {
        [MEASURE_SEV] = IMAGE_SEV, [MEASURE_SEV_ES] = IMAGE_SEV_ES, [MEASURE_SNP] = IMAGE_SEV_SNP};
    struct image_description d = {
        .mode = modes[out->mode],
        .secret = options[OWNER_HOLE],
        .command_line = options[OWNER_APPEND],
        .kernel_hashes = options[OWNER_HASHES],
        .kernel = as_image(&g->kernel),
        .initrd = as_image(&g->initrd),
        .firmware = as_image(&g->firmware),
    };
    u64 vcpus = 1;
    if (parse_memory(options[OWNER_MEMORY], &d.memory_size, e) ||
        (options[OWNER_VCPUS] &&
         owner_number("vcpus", options[OWNER_VCPUS], IMAGE_CPUS_MAX, &vcpus, e)))
        return -1;
    d.cpus = (u32)vcpus;
    struct image_plan *plan = image_build(&d, e);
    int result = plan ? measure_any_plan(plan, out, e) : -1;
    if (!result && options[OWNER_DUMP])
        result = dump(plan, options[OWNER_DUMP], e);
    image_free(plan);
    return result;
}

/* --- SEV-ES and SNP: a flash image ------------------------------------------------------------------- */

static int parse_processor(const char *const *options, struct measure_description *d,
                           struct error *e)
{
    const char *type = options[OWNER_VCPU_TYPE], *vmm = options[OWNER_VMM_TYPE];
    u64 vcpus = 1, signature = 0;
    d->features = d->mode == MEASURE_SNP ? SEV_FEATURE_SNP : 0;
    if ((options[OWNER_VCPUS] &&
         owner_number("vcpus", options[OWNER_VCPUS], MEASURE_VCPUS_MAX, &vcpus, e)) ||
        (options[OWNER_FEATURES] &&
         owner_number("guest-features", options[OWNER_FEATURES], UINT64_MAX, &d->features, e)))
        return -1;
    if (vmm && !measure_vmm_by_name(vmm, &d->vmm))
        return error_set(e, ERROR_USAGE,
                         "--vmm-type '%s': qemu, qemu-old, ec2, ec2-old, gce, krun or krun-old",
                         vmm);
    d->vcpus = (u32)vcpus;
    if (!type) {
        if (d->vmm <= MEASURE_VMM_QEMU_OLD && !d->image_only)
            return error_set(e, ERROR_USAGE,
                             "--mode %s needs --vcpu-type, such as EPYC-Milan: QEMU puts its "
                             "signature into RDX",
                             options[OWNER_MODE]);
    } else if (!measure_signature_by_name(type, &d->signature)) {
        struct error number = {.code = ERROR_NONE};
        if (owner_number("vcpu-type", type, UINT32_MAX, &signature, &number))
            return error_set(e, ERROR_USAGE,
                             "--vcpu-type '%s': QEMU's EPYC, EPYC-Rome, EPYC-Milan, EPYC-Genoa, "
                             "EPYC-Turin or a version of one, or CPUID 1 EAX as a number",
                             type);
        d->signature = (u32)signature;
    }
    return 0;
}

/* `image`: room for --ovmf-hash. */
static int describe_flash(const char *const *options, const struct guest *g, enum measure_mode mode,
                          u8 image[48], struct measure_description *d, struct error *e)
{
    const char *hash = options[OWNER_IMAGE_HASH];
    *d = (struct measure_description){
        .mode = mode,
        .firmware = as_image(&g->firmware),
        .kernel_hashes = options[OWNER_HASHES],
        .kernel = as_image(&g->kernel),
        .initrd = as_image(&g->initrd),
        .command_line = options[OWNER_APPEND],
        .image_only = options[OWNER_IMAGE_ONLY],
    };
    if ((hash || d->image_only) && mode != MEASURE_SNP)
        return error_set(e, ERROR_USAGE, "--ovmf-hash and --ovmf-only are for --mode snp");
    if (hash && !hex_decode(image, 48, hash))
        return error_set(e, ERROR_USAGE, "--ovmf-hash '%s': 96 hexadecimal digits", hash);
    if (hash)
        d->image_digest = image;
    if (options[OWNER_DUMP])
        return error_set(e, ERROR_USAGE, "--dump is for --mode sev");
    return parse_processor(options, d, e);
}

static int measure_flash(const char *const *options, const struct guest *g,
                         struct owner_contributions *out, struct error *e)
{
    u8 image[48];
    struct measure_description d;
    if (describe_flash(options, g, out->mode, image, &d, e))
        return -1;
    return measure_launch(&d, &(struct measure_sink){.record = collect, .context = out},
                          out->digest, e);
}

/* --- Any --------------------------------------------------------------------------------------------- */

static int parse_mode(const char *text, enum measure_mode *out, struct error *e)
{
    static const struct {
        const char *name;
        enum measure_mode mode;
    } names[] = {{"sev", MEASURE_SEV},
                 {"sev-es", MEASURE_SEV_ES},
                 {"seves", MEASURE_SEV_ES},
                 {"snp", MEASURE_SNP},
                 {"sev-snp", MEASURE_SNP}};
    *out = MEASURE_SEV;
    for (size_t i = 0; text && i < ARRAY_SIZE(names); i++)
        if (!strcmp(text, names[i].name)) {
            *out = names[i].mode;
            return 0;
        }
    return text ? error_set(e, ERROR_USAGE, "--mode '%s': sev, sev-es or snp", text) : 0;
}

/* Guests of softsev run, not images: SEV-ES and SNP with a kernel and no flash image. */
static bool is_plan(const char *const *options, enum measure_mode mode)
{
    return mode == MEASURE_SEV || !options[OWNER_FIRMWARE];
}

static int check_mode(const char *const *options, enum measure_mode mode, struct error *e)
{
    if (is_plan(options, mode) &&
        ((options[OWNER_VCPUS] && options[OWNER_FIRMWARE]) || options[OWNER_VCPU_TYPE] ||
         options[OWNER_VMM_TYPE] || options[OWNER_FEATURES] || options[OWNER_IMAGE_HASH] ||
         options[OWNER_IMAGE_ONLY]))
        return error_set(
            e, ERROR_USAGE,
            mode == MEASURE_SEV
                ? "SEV measures no virtual processors: say --mode sev-es or --mode snp"
                : "what SEV-ES and SNP measure of processors needs --firmware; those of softsev "
                  "run are known");
    if (!is_plan(options, mode) && (options[OWNER_MEMORY] || options[OWNER_HOLE]))
        return error_set(e, ERROR_USAGE,
                         "--memory and --owner-secret are for guests without --firmware");
    return 0;
}

int owner_measure_files(const char *const *options, struct owner_contributions *out,
                        struct error *e)
{
    struct guest g;
    *out = (struct owner_contributions){.mode = MEASURE_SEV};
    if (!options[OWNER_KERNEL] && !options[OWNER_FIRMWARE])
        return error_set(e, ERROR_USAGE, "what was launched: --kernel or --firmware");
    if (parse_mode(options[OWNER_MODE], &out->mode, e) || check_mode(options, out->mode, e))
        return -1;
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

/* --- Why not this digest? -------------------------------------------------------------------------------- */

static bool try_plan(const char *const *options, owner_is_it *is_it, void *context)
{
    struct owner_contributions c;
    struct error unused = {.code = ERROR_NONE};
    if (owner_measure_files(options, &c, &unused))
        return false;
    bool found = is_it(context, c.digest);
    owner_free_contributions(&c);
    return found;
}

/* Guests of softsev run: the size of their memory is in tables and, under SNP, in all its pages; processors but the first
 * have VMSAs of their own. */
static void hint_plan(const char *const *options, owner_is_it *is_it, void *context,
                      char text[HINT_TEXT_MAX])
{
    static const char *const sizes[] = {"64M", "128M", "256M", "512M", "1G", "2G"};
    static const char *const numbers[] = {"1", "2", "3", "4", "5", "6", "7", "8"};
    const char *changed[OWNER_OPTION_COUNT];
    const char *memory = options[OWNER_MEMORY] ? options[OWNER_MEMORY] : "512M";
    const char *vcpus = options[OWNER_VCPUS] ? options[OWNER_VCPUS] : "1";
    memcpy(changed, options, sizeof changed);
    changed[OWNER_DUMP] = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        changed[OWNER_VCPUS] = numbers[i];
        snprintf(text, HINT_TEXT_MAX, "--vcpus %s, not %s", numbers[i], vcpus);
        if (strcmp(numbers[i], vcpus) && try_plan(changed, is_it, context))
            return;
    }
    changed[OWNER_VCPUS] = options[OWNER_VCPUS];
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        changed[OWNER_MEMORY] = sizes[i];
        snprintf(text, HINT_TEXT_MAX, "--memory %s, not %s", sizes[i], memory);
        if (try_plan(changed, is_it, context))
            return;
    }
    snprintf(text, HINT_TEXT_MAX,
             "no other size of memory up to 2G and no other number of processors gives it: look "
             "for another kernel, initrd or command line");
}

static int hint_flash(const char *const *options, enum measure_mode mode, owner_is_it *is_it,
                      void *context, char text[HINT_TEXT_MAX], struct error *e)
{
    struct guest g;
    u8 image[48];
    struct measure_description d;
    int result =
        read_files(options, &g, e) || describe_flash(options, &g, mode, image, &d, e) ? -1 : 0;
    if (!result)
        hint_search(&(struct hint_question){&d, is_it, context}, text);
    free_files(&g);
    return result;
}

int owner_hint(const char *const *options, owner_is_it *is_it, void *context,
               char text[HINT_TEXT_MAX], struct error *e)
{
    enum measure_mode mode;
    if (parse_mode(options[OWNER_MODE], &mode, e))
        return -1;
    if (options[OWNER_FIRMWARE])
        return hint_flash(options, mode, is_it, context, text, e);
    hint_plan(options, is_it, context, text);
    return 0;
}

void owner_free_contributions(struct owner_contributions *c)
{
    free(c->records);
    *c = (struct owner_contributions){.mode = c->mode};
}

static int digest_of_guest(const char *const *options, u8 digest[32], struct error *e)
{
    struct owner_contributions c;
    if (owner_measure_files(options, &c, e))
        return -1;
    memcpy(digest, c.digest, 32);
    owner_free_contributions(&c);
    if (c.mode == MEASURE_SNP)
        return error_set(e, ERROR_USAGE,
                         "SNP measures nothing before a guest runs: its reports prove the digest");
    return 0;
}

static int digest_of_bytes(const char *path, u8 digest[32], struct error *e)
{
    struct run_file f;
    if (run_read_file(path, &f, e))
        return -1;
    crypto_sha256(f.data, f.size, digest);
    run_free_file(&f);
    return 0;
}

int owner_launch_digest(const char *const *options, u8 digest[32], struct error *e)
{
    const char *hex = options[OWNER_DIGEST], *launch = options[OWNER_LAUNCH];
    bool guest = options[OWNER_KERNEL] || options[OWNER_FIRMWARE];
    if (!!hex + !!launch + guest != 1)
        return error_set(e, ERROR_USAGE,
                         "what was launched: --digest, --launch, or the guest's files by --kernel "
                         "or --firmware");
    if (hex && !hex_decode(digest, 32, hex))
        return error_set(e, ERROR_USAGE, "--digest '%s': 64 hexadecimal digits", hex);
    if (hex)
        return 0;
    return launch ? digest_of_bytes(launch, digest, e) : digest_of_guest(options, digest, e);
}
