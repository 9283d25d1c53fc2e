/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF executables as guests. ELF64 starts in 64-bit mode, identity mapped. ELF32 with a multiboot 1
 * header starts in 32-bit protected mode, with the loader's magic in EAX and its information in EBX
 * [Multiboot Specification 0.6.96, 3].
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
#define ELF_SEGMENTS_MAX 24u

#define MULTIBOOT_HEADER    0x1badb002u
#define MULTIBOOT_LOADER    0x2badb002u
#define MULTIBOOT_SEARCH    8192u
#define MULTIBOOT_MEMORY    BIT(0)
#define MULTIBOOT_CMDLINE   BIT(2)
#define MULTIBOOT_MODULES   BIT(3)
#define MULTIBOOT_MEMMAP    BIT(6)
#define MULTIBOOT_INFO_SIZE 116u

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
static int elf_load(struct image_plan *plan, const struct elf *e, struct error *error)
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
    if (low < LAYOUT_STACK_END)
        return error_set(error, ERROR_FILE,
                         "%s: loads at %#llx; below 128 KiB lie the loader's tables and stack",
                         e->file->name, (unsigned long long)low);
    u8 *image = plan_own(plan, high - low, error);
    if (!image)
        return -1;
    for (u32 i = 0; i < e->header_count; i++) {
        struct elf_segment s = elf_segment_at(e, i);
        if (s.type == ELF_LOAD && s.memory_size)
            memcpy(image + (s.address - low), (const u8 *)e->file->data + s.offset, s.file_size);
    }
    return plan_add(plan, "kernel", low, high - low, image, high - low, error);
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

/* Builds the information page: the structure, then the memory map and one module. The command line
 * has its own page. */
static int multiboot_info(struct image_plan *plan, const struct image_description *d, u64 module,
                          struct error *error)
{
    u8 *info = plan_own(plan, PAGE_SIZE, error);
    if (!info)
        return -1;
    u32 flags = MULTIBOOT_MEMORY | MULTIBOOT_CMDLINE | MULTIBOOT_MEMMAP,
        map = MULTIBOOT_INFO_SIZE + 16;
    store_le32(info + 4, LAYOUT_LOW_END / 1024);
    store_le32(info + 8, (u32)((plan_low_end(plan) - LAYOUT_ROM_END) / 1024));
    store_le32(info + 16, LAYOUT_COMMAND);
    if (module) {
        flags |= MULTIBOOT_MODULES;
        store_le32(info + 20, 1);
        store_le32(info + 24, LAYOUT_INFO + MULTIBOOT_INFO_SIZE);
        store_le32(info + MULTIBOOT_INFO_SIZE, (u32)module);
        store_le32(info + MULTIBOOT_INFO_SIZE + 4, (u32)(module + d->initrd.size));
        store_le32(info + MULTIBOOT_INFO_SIZE + 8, LAYOUT_COMMAND);
    }
    store_le32(info, flags);
    store_le32(info + 44, plan->e820_count * 24);
    store_le32(info + 48, LAYOUT_INFO + map);
    for (u32 i = 0; i < plan->e820_count; i++) {
        u8 *entry = info + map + (size_t)i * 24;
        store_le32(entry, 20);
        store_le64(entry + 4, plan->e820[i].start);
        store_le64(entry + 12, plan->e820[i].size);
        store_le32(entry + 20, plan->e820[i].type);
    }
    return plan_add(plan, "multiboot_info", LAYOUT_INFO, PAGE_SIZE, info, PAGE_SIZE, error);
}

static int elf_add_command_line(struct image_plan *plan, const struct image_description *d,
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
    return plan_add(plan, "command_line", LAYOUT_COMMAND, PAGE_SIZE, copy, size, error);
}

int elf_plan(struct image_plan *plan, const struct image_description *d, struct error *error)
{
    struct elf e = {0};
    if (elf_open(&d->kernel, &e, error))
        return -1;
    if (d->secret)
        return error_set(error, ERROR_USAGE,
                         "%s: a secret is placed in a Linux guest's initramfs; this is an ELF file",
                         d->kernel.name);
    bool multiboot = multiboot_recognise(&d->kernel);
    if (!e.wide && !multiboot)
        return error_set(error, ERROR_FILE, "%s: a 32-bit ELF file without a multiboot header",
                         d->kernel.name);
    if (!multiboot && d->initrd.data)
        return error_set(error, ERROR_USAGE, "%s: only Linux and multiboot kernels take an initrd",
                         d->kernel.name);
    u64 acpi_gpa = plan_low_end(plan) - ACPI_SIZE_MAX;
    u8 *acpi = plan_own(plan, ACPI_SIZE_MAX, error);
    if (!acpi)
        return -1;
    size_t acpi_size = acpi_build(acpi, ACPI_SIZE_MAX, acpi_gpa, plan->cpus, NULL);
    if (start_parking(plan, error))
        return -1;
    plan_e820_board(plan, acpi_gpa);
    bool start32 = multiboot && !e.wide;
    if (plan_add(plan, "zero_page", LAYOUT_ZERO_PAGE, PAGE_SIZE, NULL, 0, error) ||
        (start32 ? start_32bit(plan, e.entry, error) : start_64bit(plan, e.entry, error)) ||
        elf_add_command_line(plan, d, error) || elf_load(plan, &e, error))
        return -1;
    if (!range_fits(e.entry, 1, plan_low_end(plan)))
        return error_set(error, ERROR_FILE, "%s: entry point %#llx lies outside guest memory",
                         d->kernel.name, (unsigned long long)e.entry);
    /* The stack is launched too: a push must find memory encrypted with the guest's key, whatever
     * was there before. */
    if (plan_add(plan, "stack", LAYOUT_STACK_END - 4 * PAGE_SIZE, 4 * PAGE_SIZE, NULL, 0, error))
        return -1;
    u64 top = acpi_gpa;
    if (plan->mode == IMAGE_SEV_SNP) {
        top = snp_area(acpi_gpa);
        plan->gpr[6] = snp_blob(acpi_gpa); /* RSI, where Linux finds its boot_params */
        if (snp_add_area(plan, acpi_gpa, error))
            return -1;
    }
    if (start32) {
        u64 module = d->initrd.data ? ALIGN_DOWN(top - min_u64(d->initrd.size, top), PAGE_SIZE) : 0;
        if (module &&
            plan_add(plan, "module", module, d->initrd.size, d->initrd.data, d->initrd.size, error))
            return -1;
        plan->registers.rax = MULTIBOOT_LOADER;
        plan->gpr[3] = LAYOUT_INFO;
        if (multiboot_info(plan, d, module, error))
            return -1;
    }
    return plan_add(plan, "acpi", acpi_gpa, ACPI_SIZE_MAX, acpi, acpi_size, error);
}
