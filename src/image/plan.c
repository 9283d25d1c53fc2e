/* SPDX-License-Identifier: Apache-2.0 */
/* The launch plan: pieces in order, the e820 map, and functions on a whole plan (digest, dump). */
#include <stddef.h>
#include <stdlib.h>

#include "abi/snp.h"
#include "base/recognise.h"
#include "crypto/crypto.h"
#include "image/internal.h"

u64 plan_low_end(const struct image_plan *plan)
{
    return min_u64(plan->memory_size, BOARD_LOW_RAM_END) - plan->reserved_size;
}

/* A buffer that lives as long as its plan. */
struct plan_buffer {
    struct plan_buffer *next;
    _Alignas(max_align_t) u8 bytes[];
};

u8 *plan_own(struct image_plan *plan, size_t size, struct error *error)
{
    struct plan_buffer *buffer =
        size <= SIZE_MAX - sizeof *buffer ? calloc(1, sizeof *buffer + size) : NULL;
    if (!buffer) {
        error_set(error, ERROR_MEMORY, "image: no memory for %zu bytes", size);
        return NULL;
    }
    buffer->next = plan->owned;
    plan->owned = buffer;
    return buffer->bytes;
}

static const struct image_piece *plan_overlap(const struct image_plan *plan, u64 gpa, u64 size)
{
    for (u32 i = 0; i < plan->piece_count; i++) {
        const struct image_piece *p = &plan->pieces[i];
        if (gpa < p->gpa + p->size && p->gpa < gpa + size)
            return p;
    }
    return NULL;
}

int plan_too_small(const struct image_plan *plan, const char *name, u64 end, struct error *error)
{
    return error_set(error, ERROR_MEMORY, "%s: needs guest memory up to %#llx, there is %#llx; %s",
                     name, (unsigned long long)end, (unsigned long long)plan_low_end(plan),
                     end <= BOARD_LOW_RAM_END ? "give it more with --memory"
                                              : "below 4 GiB it ends at 0xc0000000 at the latest");
}

int plan_add(struct image_plan *plan, const char *name, u64 gpa, u64 size, const void *data,
             u64 data_size, struct error *error)
{
    u64 end = plan_low_end(plan);
    if (!size)
        return 0;
    if (gpa > end || size > end - gpa || ALIGN_UP(size, PAGE_SIZE) > end - gpa)
        return plan_too_small(plan, name, gpa + size, error);
    size = ALIGN_UP(size, PAGE_SIZE);
    const struct image_piece *other = plan_overlap(plan, gpa, size);
    if (other)
        return error_set(error, ERROR_FILE, "%s: wants guest memory at %#llx, where %s lies", name,
                         (unsigned long long)gpa, other->name);
    if (plan->piece_count == IMAGE_PIECES_MAX)
        return error_set(error, ERROR_FILE, "%s: more than %u parts to load", name,
                         IMAGE_PIECES_MAX);
    plan->pieces[plan->piece_count++] = (struct image_piece){
        .name = name,
        .gpa = gpa,
        .size = size,
        .data = data,
        .data_size = data_size,
        .page_type = plan->mode == IMAGE_SEV_SNP && !data_size ? SNP_PAGE_ZERO : 0,
    };
    return 0;
}

void plan_e820(struct image_plan *plan, u64 start, u64 end, enum image_e820_type type)
{
    if (start < end && plan->e820_count < ARRAY_SIZE(plan->e820))
        plan->e820[plan->e820_count++] = (struct image_e820){start, end - start, type};
}

void plan_e820_board(struct image_plan *plan, u64 acpi)
{
    bool parking = plan->jump_table_gpa;
    plan_e820(plan, 0, parking ? LAYOUT_STUB : LAYOUT_LOW_END, IMAGE_E820_RAM);
    plan_e820(plan, LAYOUT_STUB, parking ? LAYOUT_LOW_END : LAYOUT_STUB, IMAGE_E820_RESERVED);
    u64 end = plan->mode == IMAGE_SEV_SNP ? snp_area(acpi) : acpi;
    plan_e820(plan, LAYOUT_ROM_END, end, IMAGE_E820_RAM);
    plan_e820(plan, end, acpi, IMAGE_E820_RESERVED);
    plan_e820(plan, acpi, plan_low_end(plan), IMAGE_E820_ACPI);
    plan_e820(plan, plan_low_end(plan), plan_low_end(plan) + plan->reserved_size,
              IMAGE_E820_RESERVED);
    if (plan->memory_size > BOARD_LOW_RAM_END)
        plan_e820(plan, BOARD_HIGH_RAM, BOARD_HIGH_RAM + plan->memory_size - BOARD_LOW_RAM_END,
                  IMAGE_E820_RAM);
}

/* What to do with a file of another kind; the names are those of base/recognise.c. */
static const struct advice {
    const char *name, *text;
} advices[] = {
    {"an IGVM file",
     "IGVM files, such as an HCL or a paravisor, are not loaded: give the flash image "
     "inside it with --firmware, or its kernel with --kernel"},
    {"a PE program", "an EFI program, such as a unified kernel image, is started by firmware: give "
                     "OVMF with --firmware"},
    {"a cpio archive", "an initramfs goes to --initrd"},
    {"a disk image (qcow2)", "`qemu-img convert -O raw` makes a raw image of it, for --disk"},
    {"a file that gzip has compressed", "decompress it first"},
    {"a file that xz has compressed", "decompress it first"},
    {"a file that zstd has compressed", "decompress it first"},
};

static int refuse_kernel(const struct image_file *file, struct error *error)
{
    const struct recognised kind = recognise(file->data, file->size);
    const char *advice = "an uncompressed vmlinux and a multiboot image are ELF files, too";
    for (size_t i = 0; i < ARRAY_SIZE(advices); i++)
        if (!strcmp(kind.name, advices[i].name))
            advice = advices[i].text;
    return error_set(error, ERROR_FILE,
                     "%s: neither a Linux bzImage nor an x86 ELF executable, but %s; %s",
                     file->name, kind.as == AS_UNKNOWN ? "unknown" : kind.name, advice);
}

const char *image_mode_name(enum image_mode mode)
{
    static const char *const names[] = {[IMAGE_NONE] = "none",
                                        [IMAGE_SEV] = "sev",
                                        [IMAGE_SEV_ES] = "sev-es",
                                        [IMAGE_SEV_SNP] = "sev-snp"};
    return names[mode];
}

int image_check_initrd(const struct image_file *file, struct error *error)
{
    if (file->size < 4 || memcmp(file->data, "QFI\xfb", 4))
        return 0;
    return error_set(
        error, ERROR_FILE,
        "%s: a disk image (qcow2), not an initramfs; `qemu-img convert -O raw` makes a "
        "raw image of it, for --disk",
        file->name);
}

static int plan_fill(struct image_plan *plan, const struct image_description *d,
                     struct error *error)
{
    if (d->memory_size < MIB(2) || d->memory_size % MIB(2) || d->memory_size > GIB(512))
        return error_set(error, ERROR_USAGE,
                         "memory of a guest is 2 MiB to 512 GiB in steps of 2 MiB, not %llu bytes",
                         (unsigned long long)d->memory_size);
    if (d->reserved_size >= min_u64(d->memory_size, BOARD_LOW_RAM_END) ||
        d->reserved_size % PAGE_SIZE)
        return error_set(error, ERROR_USAGE,
                         "of %llu MiB of memory the board's firmware keeps %llu MiB: give it more "
                         "with --memory",
                         (unsigned long long)(d->memory_size >> 20),
                         (unsigned long long)(d->reserved_size >> 20));
    if (d->secret && d->mode == IMAGE_SEV_SNP)
        return error_set(error, ERROR_USAGE,
                         "SNP has no LAUNCH_SECRET: an agent inside the guest asks for the secret");
    if (d->cpus > IMAGE_CPUS_MAX)
        return error_set(error, ERROR_USAGE, "a guest has 1 to %u processors, not %u",
                         IMAGE_CPUS_MAX, d->cpus);
    const char *wrong = image_sev_features_wrong(plan->sev_features, d->mode);
    if (wrong)
        return error_set(error, ERROR_USAGE, "SEV_FEATURES %#llx: %s",
                         (unsigned long long)plan->sev_features, wrong);
    if (plan->sev_features & SEV_FEATURE_VTOM && d->memory_size > BOARD_LOW_RAM_END)
        return error_set(error, ERROR_USAGE,
                         "vtom: memory of at most %llu MiB, since the addresses of devices are "
                         "shared and above all RAM",
                         (unsigned long long)(BOARD_LOW_RAM_END >> 20));
    if (d->secret && d->mode == IMAGE_NONE)
        return error_set(error, ERROR_USAGE, "a secret needs an encrypted guest (--mode sev)");
    if (image_check_initrd(&d->initrd, error))
        return -1;
    if (d->firmware.data)
        return firmware_plan(plan, d, error);
    if (!d->kernel.data)
        return error_set(error, ERROR_USAGE, "no kernel: give one with --kernel");
    if (elf_recognise(&d->kernel))
        return elf_plan(plan, d, error);
    if (linux_recognise(&d->kernel))
        return linux_plan(plan, d, error);
    return refuse_kernel(&d->kernel, error);
}

struct image_plan *image_build(const struct image_description *d, struct error *error)
{
    struct image_plan *plan = calloc(1, sizeof *plan);
    if (!plan) {
        error_set(error, ERROR_MEMORY, "image: no memory for a plan");
        return NULL;
    }
    plan->memory_size = d->memory_size;
    plan->reserved_size = d->reserved_size;
    plan->mode = d->mode;
    plan->iommu = d->iommu;
    plan->sev_features = d->sev_features | (d->mode == IMAGE_SEV_SNP ? SEV_FEATURE_SNP : 0);
    plan->cpus = d->cpus ? d->cpus : 1;
    plan->runnable = true;
    bool own = !d->firmware.data;
    if (plan_fill(plan, d, error) || (own && items_add_machine(plan, error)) ||
        (plan->mode >= IMAGE_SEV_ES && own && start_vmsas(plan, error)) ||
        (plan->mode == IMAGE_SEV_SNP && own && snp_add_ram(plan, error))) {
        image_free(plan);
        return NULL;
    }
    return plan;
}

void image_free(struct image_plan *plan)
{
    if (!plan)
        return;
    while (plan->owned) {
        struct plan_buffer *buffer = plan->owned;
        plan->owned = buffer->next;
        free(buffer);
    }
    free(plan);
}

bool image_dump(const struct image_plan *plan,
                bool (*write)(void *context, const void *data, size_t size), void *context)
{
    static const u8 zeros[PAGE_SIZE];
    for (u32 i = 0; i < plan->piece_count; i++) {
        const struct image_piece *p = &plan->pieces[i];
        if (p->data_size && !write(context, p->data, p->data_size))
            return false;
        for (u64 left = p->size - p->data_size; left;) {
            size_t chunk = min_u64(left, sizeof zeros);
            if (!write(context, zeros, chunk))
                return false;
            left -= chunk;
        }
    }
    for (u32 i = 0; i < plan->vmsa_count; i++)
        if (!write(context, plan->vmsas[i], sizeof *plan->vmsas[i]))
            return false;
    return true;
}

static bool digest_write(void *context, const void *data, size_t size)
{
    crypto_sha256_update(context, data, size);
    return true;
}

int image_digest(const struct image_plan *plan, u8 digest[32], struct error *error)
{
    struct crypto_sha256 *hash = crypto_sha256_start();
    if (!hash)
        return error_set(error, ERROR_MEMORY, "out of memory for the launch digest");
    image_dump(plan, digest_write, hash);
    crypto_sha256_peek(hash, digest);
    crypto_sha256_free(hash);
    return 0;
}
