/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linux at its 64-bit entry point [cpu 9.1-9.3; Linux Documentation/x86/boot]. A bzImage's header
 * is copied to a new boot_params page, and its protected-mode part goes to its preferred address.
 * A vmlinux lies where its segments say, and has no header: the loader makes one.
 */
#include "base/bytes.h"
#include "image/internal.h"

/* Offsets, both in the file and in boot_params. */
enum {
    BP_ACPI_RSDP = 0x070,
    BP_E820_ENTRIES = 0x1e8,
    BP_SETUP_SECTS = 0x1f1,
    BP_SYSTEM_SIZE = 0x1f4,
    BP_VID_MODE = 0x1fa,
    BP_BOOT_FLAG = 0x1fe,
    BP_JUMP = 0x200,
    BP_HEADER = 0x202,
    BP_VERSION = 0x206,
    BP_LOADER = 0x210,
    BP_LOADFLAGS = 0x211,
    BP_CODE32 = 0x214,
    BP_RAMDISK = 0x218,
    BP_RAMDISK_SIZE = 0x21c,
    BP_COMMAND = 0x228,
    BP_RAMDISK_MAX = 0x22c,
    BP_XLOADFLAGS = 0x236,
    BP_COMMAND_SIZE = 0x238,
    BP_PREF_ADDRESS = 0x258,
    BP_INIT_SIZE = 0x260,
    BP_SETUP_DATA = 0x250,
    BP_HEADER_END = 0x264,
    BP_E820_TABLE = 0x2d0,
};

#define HEADER_MAGIC     0x53726448u /* "HdrS" */
#define PROTOCOL_MIN     0x020cu
#define PROTOCOL_VMLINUX 0x020fu
#define XLF_KERNEL_64    BIT(0)
#define LOADED_HIGH      BIT(0)
#define ENTRY_64         0x200u
#define LOADER_UNDEFINED 0xffu
#define E820_ENTRY       20u
/* zero bytes that the unpacker needs before the next archive [cpu 9.3] */
#define INITRD_PADDING 4u

/* COMMAND_LINE_SIZE - 1 of Linux on x86; the highest address of a ramdisk. A vmlinux does not say
 * either. */
#define VMLINUX_COMMAND_MAX 2047u
#define VMLINUX_RAMDISK_MAX 0x7fffffffu

struct linux_kernel {
    const char *name;
    const u8 *header; /* from byte BP_SETUP_SECTS to header_end as in boot_params */
    const u8 *image;
    u64 image_size; /* bytes */
    u64 load, room; /* load address, and the space that the kernel needs there */
    u64 entry;
    u64 command_max, ramdisk_max;
    u32 header_end;
};

bool linux_recognise(const struct image_file *file)
{
    const u8 *f = file->data;
    return file->size >= BP_HEADER_END && load_le16(f + BP_BOOT_FLAG) == 0xaa55 &&
           load_le32(f + BP_HEADER) == HEADER_MAGIC;
}

static u64 setup_size(const u8 *f)
{
    u32 sectors = f[BP_SETUP_SECTS] ? f[BP_SETUP_SECTS] : 4;
    return (sectors + 1) * 512ull;
}

u64 linux_setup_size(const struct image_file *file)
{
    u64 size = linux_recognise(file) ? setup_size(file->data) : 0;
    return size < file->size ? size : 0;
}

static int linux_read_header(const struct image_file *file, struct linux_kernel *k,
                             struct error *error)
{
    const u8 *f = file->data;
    u32 version = load_le16(f + BP_VERSION);
    if (version < PROTOCOL_MIN)
        return error_set(error, ERROR_FILE,
                         "%s: boot protocol %u.%02u; a 64-bit start needs 2.12 or newer",
                         file->name, version >> 8, version & 0xff);
    if (!(load_le16(f + BP_XLOADFLAGS) & XLF_KERNEL_64))
        return error_set(error, ERROR_FILE,
                         "%s: a 32-bit kernel; only 64-bit kernels can be started", file->name);
    const u64 setup = setup_size(f);
    if (setup + ENTRY_64 >= file->size)
        return error_set(error, ERROR_FILE,
                         "%s: ends inside its %llu bytes of setup code; the file is truncated",
                         file->name, (unsigned long long)setup);
    k->name = file->name;
    k->header = f;
    k->image = f + setup;
    k->image_size = file->size - setup;
    /* Paragraphs of 16 bytes, rounded up [Documentation/x86/boot, syssize]. */
    if (ALIGN_UP(k->image_size, 16ull) < load_le32(f + BP_SYSTEM_SIZE) * 16ull)
        return error_set(error, ERROR_FILE,
                         "%s: %llu bytes of a kernel of %llu; the file is truncated", file->name,
                         (unsigned long long)k->image_size,
                         (unsigned long long)load_le32(f + BP_SYSTEM_SIZE) * 16ull);
    k->load = load_le64(f + BP_PREF_ADDRESS);
    k->room = max_u64(load_le32(f + BP_INIT_SIZE), k->image_size);
    if (k->load < LAYOUT_ROM_END || k->load % PAGE_SIZE || k->load >= BOARD_LOW_RAM_END)
        return error_set(error, ERROR_FILE,
                         "%s: wants to be loaded at %#llx; right is a page between 1 MiB and 3 GiB",
                         file->name, (unsigned long long)k->load);
    k->entry = k->load + ENTRY_64;
    k->command_max = min_u64(load_le32(f + BP_COMMAND_SIZE), PAGE_SIZE - 1);
    k->ramdisk_max = (u64)load_le32(f + BP_RAMDISK_MAX) + 1;
    k->header_end = (u32)min_u64(BP_HEADER + f[BP_JUMP + 1], BP_E820_TABLE - 0x40);
    return 0;
}

/* Adds the initramfs, then the space for the owner's secret as one more archive of the same
 * ramdisk. */
static int linux_add_initrd(struct image_plan *plan, const struct image_description *d,
                            const struct linux_kernel *k, u64 limit, u8 *bp, struct error *error)
{
    u64 first = d->initrd.data ? d->initrd.size : 0;
    u64 hole = d->secret ? ALIGN_UP(first ? first + INITRD_PADDING : 0, PAGE_SIZE) : 0;
    u64 total = d->secret ? hole + IMAGE_SECRET_MAX : first;
    if (!total)
        return 0;
    u64 top = min_u64(limit, k->ramdisk_max), bottom = k->load + k->room;
    if (total > top || ALIGN_DOWN(top - total, PAGE_SIZE) < bottom)
        return error_set(error, ERROR_MEMORY,
                         "%s: %llu MiB of guest memory do not hold kernel (%llu MiB to unpack) and "
                         "initramfs (%llu MiB); "
                         "give it more with --memory",
                         d->kernel.name, (unsigned long long)(d->memory_size >> 20),
                         (unsigned long long)(k->room >> 20), (unsigned long long)(total >> 20));
    u64 base = ALIGN_DOWN(top - total, PAGE_SIZE);
    store_le32(bp + BP_RAMDISK, (u32)base);
    store_le32(bp + BP_RAMDISK_SIZE, (u32)total);
    if (first && plan_add(plan, "initrd", base, hole ? hole : first, d->initrd.data, first, error))
        return -1;
    if (!d->secret)
        return 0;
    plan->secret_gpa = base + hole;
    plan->secret_size = IMAGE_SECRET_MAX;
    return plan_add(plan, "secret_hole", plan->secret_gpa, plan->secret_size, NULL, 0, error);
}

static void linux_fill_boot_params(const struct image_plan *plan, const struct linux_kernel *k,
                                   u64 rsdp, u8 *bp)
{
    memcpy(bp + BP_SETUP_SECTS, k->header + BP_SETUP_SECTS, k->header_end - BP_SETUP_SECTS);
    store_le64(bp + BP_ACPI_RSDP, rsdp);
    store_le16(bp + BP_VID_MODE, 0xffff);
    bp[BP_LOADER] = LOADER_UNDEFINED;
    store_le32(bp + BP_CODE32, (u32)k->load);
    store_le32(bp + BP_RAMDISK, 0);
    store_le32(bp + BP_RAMDISK_SIZE, 0);
    store_le32(bp + BP_COMMAND, LAYOUT_COMMAND);
    bp[BP_E820_ENTRIES] = (u8)plan->e820_count;
    for (u32 i = 0; i < plan->e820_count; i++) {
        u8 *entry = bp + BP_E820_TABLE + (size_t)i * E820_ENTRY;
        store_le64(entry, plan->e820[i].start);
        store_le64(entry + 8, plan->e820[i].size);
        store_le32(entry + 16, plan->e820[i].type);
    }
}

static int linux_add_command_line(struct image_plan *plan, const struct image_description *d,
                                  const struct linux_kernel *k, struct error *error)
{
    const char *text = d->command_line ? d->command_line : "";
    size_t size = strlen(text) + 1;
    if (size > k->command_max + 1)
        return error_set(error, ERROR_USAGE,
                         "command line of %zu characters; this kernel takes %llu", size - 1,
                         (unsigned long long)k->command_max);
    u8 *copy = plan_own(plan, size, error);
    if (!copy)
        return -1;
    memcpy(copy, text, size);
    return plan_add(plan, "command_line", LAYOUT_COMMAND, PAGE_SIZE, copy, size, error);
}

static int linux_place(struct image_plan *plan, const struct image_description *d,
                       const struct linux_kernel *k, struct error *error)
{
    if (k->load + k->room + MIB(1) > plan_low_end(plan))
        return error_set(error, ERROR_MEMORY,
                         "%s: needs guest memory up to %llu MiB to start, there are %llu MiB; "
                         "give it more with --memory",
                         k->name, (unsigned long long)((k->load + k->room + MIB(2) - 1) >> 20),
                         (unsigned long long)(plan->memory_size >> 20));
    u8 *bp = plan_own(plan, PAGE_SIZE, error);
    u8 *acpi = bp ? plan_own(plan, ACPI_SIZE_MAX, error) : NULL;
    if (!acpi)
        return -1;
    u64 acpi_gpa = plan_low_end(plan) - ACPI_SIZE_MAX;
    size_t acpi_size = acpi_build(acpi, ACPI_SIZE_MAX, acpi_gpa, plan->cpus, plan->iommu, NULL);
    if (start_parking(plan, error))
        return -1;
    plan_e820_board(plan, acpi_gpa);
    linux_fill_boot_params(plan, k, acpi_gpa, bp);
    if (plan->mode == IMAGE_SEV_SNP) {
        store_le64(bp + BP_SETUP_DATA, LAYOUT_SETUP_DATA);
        if (snp_add_setup_data(plan, acpi_gpa, error))
            return -1;
    }
    plan->gpr[6] = LAYOUT_BOOT_PARAMS;
    if (plan_add(plan, "zero_page", LAYOUT_ZERO_PAGE, PAGE_SIZE, NULL, 0, error) ||
        start_64bit(plan, k->entry, error) ||
        plan_add(plan, "boot_params", LAYOUT_BOOT_PARAMS, PAGE_SIZE, bp, PAGE_SIZE, error) ||
        linux_add_command_line(plan, d, k, error) ||
        plan_add(plan, "rom_area", LAYOUT_ROM, LAYOUT_ROM_END - LAYOUT_ROM, NULL, 0, error) ||
        plan_add(plan, "kernel", k->load, k->image_size, k->image, k->image_size, error))
        return -1;
    bool snp = plan->mode == IMAGE_SEV_SNP;
    if (linux_add_initrd(plan, d, k, snp ? snp_area(acpi_gpa) : acpi_gpa, bp, error) ||
        (snp && snp_add_area(plan, acpi_gpa, error)))
        return -1;
    return plan_add(plan, "acpi", acpi_gpa, ACPI_SIZE_MAX, acpi, acpi_size, error);
}

int linux_plan(struct image_plan *plan, const struct image_description *d, struct error *error)
{
    struct linux_kernel k = {0};
    return linux_read_header(&d->kernel, &k, error) || linux_place(plan, d, &k, error) ? -1 : 0;
}

int linux_plan_elf(struct image_plan *plan, const struct image_description *d,
                   const struct elf_image *image, struct error *error)
{
    u8 *header = plan_own(plan, BP_HEADER_END, error);
    if (!header)
        return -1;
    struct linux_kernel k = {
        .name = d->kernel.name,
        .header = header,
        .image = image->bytes,
        .image_size = image->high - image->low,
        .load = image->low,
        .room = image->high - image->low,
        .entry = image->entry,
        .command_max = VMLINUX_COMMAND_MAX,
        .ramdisk_max = VMLINUX_RAMDISK_MAX,
        .header_end = BP_HEADER_END,
    };
    if (k.load < LAYOUT_ROM_END)
        return error_set(error, ERROR_FILE,
                         "%s: a Linux kernel that loads at %#llx; right is 1 MiB or above", k.name,
                         (unsigned long long)k.load);
    store_le16(header + BP_BOOT_FLAG, 0xaa55);
    store_le32(header + BP_HEADER, HEADER_MAGIC);
    store_le16(header + BP_VERSION, PROTOCOL_VMLINUX);
    header[BP_LOADFLAGS] = LOADED_HIGH;
    store_le32(header + BP_RAMDISK_MAX, VMLINUX_RAMDISK_MAX);
    store_le16(header + BP_XLOADFLAGS, XLF_KERNEL_64);
    store_le32(header + BP_COMMAND_SIZE, VMLINUX_COMMAND_MAX);
    store_le64(header + BP_PREF_ADDRESS, k.load);
    store_le32(header + BP_INIT_SIZE, (u32)k.room);
    return linux_place(plan, d, &k, error);
}
