/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What should have been launched, from files alone: the same room computes it as for the hypervisor, but
 * here it is the owner's computer and the owner's files.
 */
#include "cli/owner.h"
#include "cli/run.h"

#include "base/bytes.h"
#include "image/image.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

struct guest {
    struct run_file kernel, initrd, firmware;
    struct image_plan *plan;
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

static int build(const char *const *options, struct guest *g, struct error *e)
{
    *g = (struct guest){.plan = NULL};
    struct image_description d = {
        .mode = IMAGE_SEV,
        .secret = options[OWNER_HOLE],
        .command_line = options[OWNER_APPEND],
        .kernel_hashes = options[OWNER_HASHES],
    };
    if (parse_memory(options[OWNER_MEMORY], &d.memory_size, e) ||
        run_read_file(options[OWNER_KERNEL], &g->kernel, e) ||
        run_read_file(options[OWNER_INITRD], &g->initrd, e) ||
        run_read_file(options[OWNER_FIRMWARE], &g->firmware, e))
        return -1;
    d.kernel = as_image(&g->kernel);
    d.initrd = as_image(&g->initrd);
    d.firmware = as_image(&g->firmware);
    g->plan = image_build(&d, e);
    return g->plan ? 0 : -1;
}

static void guest_free(struct guest *g)
{
    if (g->plan)
        image_free(g->plan);
    run_free_file(&g->kernel);
    run_free_file(&g->initrd);
    run_free_file(&g->firmware);
}

static int digest_of_guest(const char *const *options, u8 digest[32], struct error *e)
{
    struct guest g;
    int result = build(options, &g, e);
    if (!result)
        image_digest(g.plan, digest);
    guest_free(&g);
    return result;
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

/* --- explain ------------------------------------------------------------------------------------------ */

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

static void print_text(const struct image_plan *plan, const char *digest)
{
    for (u32 i = 0; i < plan->piece_count; i++) {
        const struct image_piece *p = &plan->pieces[i];
        printf("0x%09" PRIx64 "  %10" PRIu64 " bytes  %s\n", p->gpa, p->size, p->name);
    }
    printf("digest  %s\n", digest);
}

static void print_json(const struct image_plan *plan, const char *digest)
{
    json_t *pieces = json_array();
    for (u32 i = 0; i < plan->piece_count; i++) {
        const struct image_piece *p = &plan->pieces[i];
        json_array_append_new(pieces, json_pack("{s:s, s:I, s:I}", "name", p->name, "gpa",
                                                (json_int_t)p->gpa, "size", (json_int_t)p->size));
    }
    json_t *j = json_pack("{s:s, s:o}", "digest", digest, "pieces", pieces);
    json_dumpf(j, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(j);
}

int owner_explain(const char *const *options, struct error *e)
{
    struct guest g;
    u8 digest[32];
    char hex[65];
    if (!options[OWNER_KERNEL] && !options[OWNER_FIRMWARE])
        return error_set(e, ERROR_USAGE, "explain needs --kernel or --firmware");
    int result = build(options, &g, e);
    if (!result && options[OWNER_DUMP])
        result = dump(g.plan, options[OWNER_DUMP], e);
    if (!result) {
        image_digest(g.plan, digest);
        hex_encode(hex, digest, sizeof digest);
        (options[OWNER_JSON] ? print_json : print_text)(g.plan, hex);
    }
    guest_free(&g);
    return result;
}
