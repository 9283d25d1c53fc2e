/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF executables as guests. The file says how it is started: an ELF32 by its multiboot 1 header
 * [Multiboot Specification 0.6.96, 3], a file with Xen's note of a 32-bit entry by PVH
 * [Xen docs/misc/pvh], a vmlinux by Linux's boot protocol, and any other ELF64 in 64-bit mode,
 * identity mapped.
 */
#include "base/bytes.h"
#include "image/internal.h"

#define ELF_MAGIC        0x464c457fu
#define ELF_CLASS_32     1u
#define ELF_CLASS_64     2u
#define ELF_EXECUTABLE   2u
#define ELF_SHARED       3u
#define ELF_MACHINE_386  3u
#define ELF_MACHINE_X64  62u
#define ELF_LOAD         1u
#define ELF_NOTE         4u
#define ELF_SEGMENTS_MAX 24u
#define NOTE_PHYS32      18u /* of owner "Xen": the physical address of a 32-bit entry */

#define MULTIBOOT_HEADER 0x1badb002u
#define MULTIBOOT_SEARCH 8192u

struct elf {
    const struct image_file *file;
    bool wide; /* ELF64 */
    u64 entry, headers;
    u32 header_size, header_count;
};

struct elf_segment {
    u32 type;
    u64 offset, address, file_size, memory_size;
};

bool elf_recognise(const struct image_file *file)
{
    return file->size >= 20 && load_le32(file->data) == ELF_MAGIC;
}

static int elf_open(const struct image_file *file, struct elf *e, struct error *error)
{
    struct reader r = reader_of(file->data, file->size);
    reader_seek(&r, 4);
    u32 class = read_u8(&r), order = read_u8(&r);
    reader_seek(&r, 16);
    u32 type = read_u16(&r), machine = read_u16(&r);
    e->file = file;
    e->wide = class == ELF_CLASS_64;
    if (order != 1 || (class != ELF_CLASS_32 && class != ELF_CLASS_64) ||
        machine != (e->wide ? ELF_MACHINE_X64 : ELF_MACHINE_386))
        return error_set(error, ERROR_FILE, "%s: an ELF file for another processor; x86 is wanted",
                         file->name);
    if (type != ELF_EXECUTABLE && type != ELF_SHARED)
        return error_set(error, ERROR_FILE,
                         "%s: an ELF file of type %u; an executable (2) is wanted", file->name,
                         type);
    reader_seek(&r, 24);
    e->entry = e->wide ? read_u64(&r) : read_u32(&r);
    e->headers = e->wide ? read_u64(&r) : read_u32(&r);
    reader_seek(&r, e->wide ? 54 : 42);
    e->header_size = read_u16(&r);
    e->header_count = read_u16(&r);
    if (r.bad || e->header_size < (e->wide ? 56u : 32u) || e->header_count > 1024 ||
        !range_fits(e->headers, (u64)e->header_size * e->header_count, file->size))
        return error_set(error, ERROR_FILE,
                         "%s: program headers lie outside the file; it is truncated or damaged",
                         file->name);
    return 0;
}

static struct elf_segment elf_segment_at(const struct elf *e, u32 index)
{
    const u8 *p = (const u8 *)e->file->data + e->headers + (u64)index * e->header_size;
    if (e->wide)
        return (struct elf_segment){load_le32(p), load_le64(p + 8), load_le64(p + 24),
                                    load_le64(p + 32), load_le64(p + 40)};
    return (struct elf_segment){load_le32(p), load_le32(p + 4), load_le32(p + 12),
                                load_le32(p + 16), load_le32(p + 20)};
}

/* Loads the segments into one buffer for their whole range, because a page may hold the end of one
 * segment and the start of the next. */
static int elf_load(struct image_plan *plan, const struct elf *e, struct elf_image *image,
                    struct error *error)
{
    u64 low = ~0ull, high = 0, end = plan_low_end(plan);
    u32 loads = 0;
    for (u32 i = 0; i < e->header_count; i++) {
        struct elf_segment s = elf_segment_at(e, i);
        if (s.type != ELF_LOAD || !s.memory_size)
            continue;
        if (s.file_size > s.memory_size || !range_fits(s.offset, s.file_size, e->file->size))
            return error_set(error, ERROR_FILE,
                             "%s: segment %u lies outside the file; it is truncated or damaged",
                             e->file->name, i);
        if (!range_fits(s.address, s.memory_size, end))
            return error_set(error, ERROR_MEMORY,
                             "%s: segment %u wants guest memory %#llx..%#llx, there is %#llx",
                             e->file->name, i, (unsigned long long)s.address,
                             (unsigned long long)(s.address + s.memory_size),
                             (unsigned long long)end);
        low = min_u64(low, s.address);
        high = max_u64(high, s.address + s.memory_size);
        loads++;
    }
    if (!loads || loads > ELF_SEGMENTS_MAX)
        return error_set(error, ERROR_FILE, "%s: %u segments to load; 1 to %u are wanted",
                         e->file->name, loads, ELF_SEGMENTS_MAX);
    low = ALIGN_DOWN(low, PAGE_SIZE);
    *image = (struct elf_image){e->entry, low, high, plan_own(plan, high - low, error)};
    if (!image->bytes)
        return -1;
    for (u32 i = 0; i < e->header_count; i++) {
        struct elf_segment s = elf_segment_at(e, i);
        if (s.type == ELF_LOAD && s.memory_size)
            memcpy(image->bytes + (s.address - low), (const u8 *)e->file->data + s.offset,
                   s.file_size);
    }
    return 0;
}

static bool multiboot_recognise(const struct image_file *file)
{
    const u8 *f = file->data;
    for (size_t at = 0; at + 12 <= min_u64(file->size, MULTIBOOT_SEARCH); at += 4) {
        u32 flags = load_le32(f + at + 4);
        if (load_le32(f + at) == MULTIBOOT_HEADER &&
            !(u32)(MULTIBOOT_HEADER + flags + load_le32(f + at + 8)))
            return true;
    }
    return false;
}

/* --- Notes: what a file says about itself ----------------------------------------------------- */

struct elf_notes {
    u64 phys32; /* NOTE_PHYS32; 0: there is none */
    bool linux; /* at least one note of owner "Linux" */
};

static void elf_read_note(u32 type, const u8 *name, u32 name_size, const u8 *data, u32 size,
                          struct elf_notes *out)
{
    if (name_size == sizeof "Linux" && !memcmp(name, "Linux", name_size))
        out->linux = true;
    if (type == NOTE_PHYS32 && name_size == sizeof "Xen" && !memcmp(name, "Xen", name_size) &&
        size >= 4)
        out->phys32 = size >= 8 ? load_le64(data) : load_le32(data);
}

/* Reads the notes of one segment. Names and data are padded to 4 bytes. Stops at a note that
 * exceeds the segment. */
static void elf_read_notes(const u8 *data, u64 size, struct elf_notes *out)
{
    for (u64 at = 0; range_fits(at, 12, size);) {
        const u64 name_size = load_le32(data + at), data_size = load_le32(data + at + 4);
        const u64 name = at + 12, content = name + ALIGN_UP(name_size, 4ull);
        if (!range_fits(name, name_size, size) || !range_fits(content, data_size, size))
            return;
        elf_read_note(load_le32(data + at + 8), data + name, (u32)name_size, data + content,
                      (u32)data_size, out);
        at = content + ALIGN_UP(data_size, 4ull);
    }
}

static struct elf_notes elf_notes_of(const struct elf *e)
{
    struct elf_notes notes = {0};
    for (u32 i = 0; i < e->header_count; i++) {
        struct elf_segment s = elf_segment_at(e, i);
        if (s.type == ELF_NOTE && range_fits(s.offset, s.file_size, e->file->size))
            elf_read_notes((const u8 *)e->file->data + s.offset, s.file_size, &notes);
    }
    return notes;
}

static int elf_add_command_line(struct image_plan *plan, const struct image_description *d, u64 at,
                                struct error *error)
{
    const char *text = d->command_line ? d->command_line : "";
    size_t size = strlen(text) + 1;
    if (size > PAGE_SIZE)
        return error_set(error, ERROR_USAGE, "command line of %zu characters; a guest takes %u",
                         size - 1, PAGE_SIZE - 1);
    u8 *copy = plan_own(plan, size, error);
    if (!copy)
        return -1;
    memcpy(copy, text, size);
    return plan_add(plan, "command_line", at, PAGE_SIZE, copy, size, error);
}

/* --- Starting --------------------------------------------------------------------------------- */

/* Chooses how the file is started. PVH's entry knows of no C-bit, so an encrypted ELF64 is started
 * in 64-bit mode: only Linux has both entries. */
static int elf_choose(const struct image_plan *plan, const struct elf *e,
                      const struct image_description *d, enum start_protocol *protocol, u64 *entry,
                      struct error *error)
{
    const struct elf_notes notes = elf_notes_of(e);
    *entry = e->entry;
    *protocol = START_BARE;
    if (!e->wide && multiboot_recognise(e->file)) {
        *protocol = START_MULTIBOOT;
    } else if (notes.phys32 && (!e->wide || d->mode == IMAGE_NONE)) {
        *protocol = START_PVH;
        *entry = notes.phys32;
    } else if (e->wide && (notes.linux || notes.phys32)) {
        *protocol = START_LINUX;
    } else if (!e->wide) {
        return error_set(error, ERROR_FILE,
                         "%s: a 32-bit ELF file with neither a multiboot header nor a PVH entry",
                         e->file->name);
    }
    if (d->secret && *protocol != START_LINUX)
        return error_set(error, ERROR_USAGE,
                         "%s: a secret is placed in a Linux guest's initramfs; this ELF file is "
                         "not Linux",
                         e->file->name);
    if (*protocol == START_BARE && d->initrd.data)
        return error_set(error, ERROR_USAGE,
                         "%s: only Linux, multiboot and PVH kernels take an initrd", e->file->name);
    return range_fits(*entry, 1, plan_low_end(plan))
               ? 0
               : error_set(error, ERROR_FILE, "%s: entry point %#llx lies outside guest memory",
                           e->file->name, (unsigned long long)*entry);
}

/* Adds GDT and stack, and sets the registers. The stack is launched too: a push must find memory
 * encrypted with the guest's key, whatever was there before. */
static int elf_start(struct image_plan *plan, bool wide, u64 entry, u64 moved, struct error *error)
{
    const u64 stack = moved ? moved + LAYOUT_BOOT_PARAMS : LAYOUT_STACK_END;
    if (plan_add(plan, "zero_page", LAYOUT_ZERO_PAGE, PAGE_SIZE, NULL, 0, error) ||
        (wide ? start_64bit(plan, entry, error)
              : start_32bit(plan, moved + LAYOUT_GDT, entry, stack, error)))
        return -1;
    return plan_add(plan, "stack", stack - LAYOUT_STACK_SIZE, LAYOUT_STACK_SIZE, NULL, 0, error);
}

/* Adds the module, if there is one, below `top`. */
static int elf_add_module(struct image_plan *plan, const struct image_description *d, u64 top,
                          struct start_places *places, struct error *error)
{
    const u64 size = d->initrd.data ? d->initrd.size : 0;
    if (!size)
        return 0;
    if (size > top || ALIGN_DOWN(top - size, PAGE_SIZE) < LAYOUT_ROM_END)
        return error_set(error, ERROR_MEMORY,
                         "%s: %llu MiB of guest memory do not hold a module of %llu bytes; give it "
                         "more with --memory",
                         d->initrd.name, (unsigned long long)(plan->memory_size >> 20),
                         (unsigned long long)size);
    places->module = ALIGN_DOWN(top - size, PAGE_SIZE);
    places->module_size = size;
    return plan_add(plan, "module", places->module, size, d->initrd.data, size, error);
}

/* Adds a copy of the RSDP where software looks that has no other way to it. It is at the start of
 * that area: the rest is left to images that begin just below 1 MiB. */
static int elf_add_rsdp(struct image_plan *plan, const u8 *rsdp, struct error *error)
{
    return plan_add(plan, "rsdp", LAYOUT_RSDP, PAGE_SIZE, rsdp, ACPI_RSDP_SIZE, error);
}

/* Adds the pieces of an ELF file that is not a Linux kernel. */
static int elf_place(struct image_plan *plan, const struct image_description *d,
                     enum start_protocol protocol, const struct elf_image *image,
                     struct error *error)
{
    const bool wide = protocol == START_BARE;
    const u64 moved = !wide && image->low < LAYOUT_STACK_END ? LAYOUT_MOVED : 0;
    const u64 acpi_gpa = plan_low_end(plan) - ACPI_SIZE_MAX, size = image->high - image->low;
    struct start_places places = {moved + LAYOUT_INFO, moved + LAYOUT_COMMAND, acpi_gpa, 0, 0};
    u64 top = acpi_gpa;
    if (wide && image->low < LAYOUT_STACK_END)
        return error_set(error, ERROR_FILE,
                         "%s: loads at %#llx; below 128 KiB lie the loader's tables and stack",
                         d->kernel.name, (unsigned long long)image->low);
    u8 *acpi = plan_own(plan, ACPI_SIZE_MAX, error);
    if (!acpi || start_parking(plan, error))
        return -1;
    size_t acpi_size = acpi_build(acpi, ACPI_SIZE_MAX, acpi_gpa, plan->cpus, plan->iommu, NULL);
    plan_e820_board(plan, acpi_gpa);
    if (elf_start(plan, wide, image->entry, moved, error) ||
        elf_add_command_line(plan, d, places.command_line, error) ||
        plan_add(plan, "kernel", image->low, size, image->bytes, size, error))
        return -1;
    if (plan->mode == IMAGE_SEV_SNP) {
        top = snp_area(acpi_gpa);
        plan->gpr[6] = snp_blob(acpi_gpa); /* RSI, where Linux finds its boot_params */
        if (snp_add_area(plan, acpi_gpa, error))
            return -1;
    }
    if (!wide &&
        (elf_add_module(plan, d, top, &places, error) ||
         start_info_add(plan, protocol, &places, error) || elf_add_rsdp(plan, acpi, error)))
        return -1;
    return plan_add(plan, "acpi", acpi_gpa, ACPI_SIZE_MAX, acpi, acpi_size, error);
}

int elf_plan(struct image_plan *plan, const struct image_description *d, struct error *error)
{
    struct elf e = {0};
    struct elf_image image = {0};
    enum start_protocol protocol;
    u64 entry;
    if (elf_open(&d->kernel, &e, error) || elf_choose(plan, &e, d, &protocol, &entry, error) ||
        elf_load(plan, &e, &image, error))
        return -1;
    image.entry = entry;
    return protocol == START_LINUX ? linux_plan_elf(plan, d, &image, error)
                                   : elf_place(plan, d, protocol, &image, error);
}
