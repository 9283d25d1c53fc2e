/* SPDX-License-Identifier: Apache-2.0 */
/* Launch plans of kernels made here byte by byte: what is placed where, and which files are refused
 * with which word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "abi/x86.h"
#include "crypto/crypto.h"
#include "kernel.h"
#include "needs.h"
#include "small_elf.h"

static void assert_refused(const struct image_description *d, enum error_code code,
                           const char *word)
{
    struct error error = {0};
    struct image_plan *plan = image_build(d, &error);
    assert_null(plan);
    assert_int_equal(error.code, code);
    assert_non_null(strstr(error.text, word));
    assert_null(strchr(error.text, '\n'));
}

static void a_kernel_lies_at_its_preferred_address(void **state)
{
    (void)state;
    static struct kernel k;
    make_kernel(&k);
    struct image_description d = describe(&k);
    struct error error = {0};
    struct image_plan *plan = image_build(&d, &error);
    assert_non_null(plan);
    const struct image_piece *p = piece(plan, "kernel");
    assert_int_equal(p->gpa, 0x1000000);
    assert_int_equal(p->data_size, PAYLOAD);
    assert_ptr_equal(p->data, k.bytes + SETUP_SIZE);
    assert_int_equal(plan->registers.rip, 0x1000200);
    assert_int_equal(plan->gpr[6], piece(plan, "boot_params")->gpa);
    const u8 *bp = piece(plan, "boot_params")->data;
    assert_int_equal(load_le32(bp + 0x228), piece(plan, "command_line")->gpa);
    assert_string_equal((const char *)piece(plan, "command_line")->data, "quiet");
    assert_int_equal(load_le64(bp + 0x70), piece(plan, "acpi")->gpa);
    image_free(plan);
}

static void every_piece_is_whole_pages_and_overlaps_none(void **state)
{
    (void)state;
    static struct kernel k;
    static u8 initrd[12345];
    make_kernel(&k);
    struct image_description d = describe(&k);
    d.initrd = (struct image_file){"initrd", initrd, sizeof initrd};
    d.secret = true;
    struct error error = {0};
    struct image_plan *plan = image_build(&d, &error);
    assert_non_null(plan);
    for (u32 i = 0; i < plan->piece_count; i++) {
        const struct image_piece *a = &plan->pieces[i];
        assert_int_equal(a->gpa % PAGE_SIZE, 0);
        assert_int_equal(a->size % PAGE_SIZE, 0);
        assert_true(a->data_size <= a->size);
        for (u32 j = 0; j < i; j++) {
            const struct image_piece *b = &plan->pieces[j];
            assert_true(a->gpa + a->size <= b->gpa || b->gpa + b->size <= a->gpa);
        }
    }
    image_free(plan);
}

/* The walk that the processor will do, over the bytes of the plan. */
static u64 walk(const struct image_plan *plan, u64 linear)
{
    const struct image_piece *tables = piece(plan, "page_tables");
    u64 entry = plan->registers.cr3;
    for (u32 shift = 39; shift >= 21; shift -= 9) {
        u64 at = (entry & PTE_ADDRESS & ~BIT(C_BIT)) - tables->gpa + (linear >> shift & 511) * 8;
        assert_in_range(at, 0, tables->data_size - 8);
        entry = load_le64(tables->data + at);
        assert_true(entry & PTE_P);
    }
    assert_true(entry & PTE_PS);
    return entry;
}

static void page_tables_map_four_gib_private_under_sev(void **state)
{
    (void)state;
    static struct kernel k;
    make_kernel(&k);
    static const u64 probes[] = {0,          0x8000,     0x1000000, 0x3fffffff,
                                 0x40000000, 0xfee00000, 0xffffffff};
    for (u32 sev = 0; sev < 2; sev++) {
        struct image_description d = describe(&k);
        d.mode = sev ? IMAGE_SEV : IMAGE_NONE;
        struct error error = {0};
        struct image_plan *plan = image_build(&d, &error);
        assert_non_null(plan);
        for (u32 i = 0; i < ARRAY_SIZE(probes); i++) {
            u64 leaf = walk(plan, probes[i]);
            assert_int_equal(leaf & PTE_ADDRESS & ~BIT(C_BIT), ALIGN_DOWN(probes[i], (u64)MIB(2)));
            assert_int_equal(leaf >> C_BIT & 1, sev);
        }
        image_free(plan);
    }
}

static void e820_covers_memory_and_keeps_acpi_apart(void **state)
{
    (void)state;
    static struct kernel k;
    make_kernel(&k);
    struct image_description d = describe(&k);
    d.memory_size = GIB(5);
    struct error error = {0};
    struct image_plan *plan = image_build(&d, &error);
    assert_non_null(plan);
    u64 ram = 0, at = 0;
    for (u32 i = 0; i < plan->e820_count; i++) {
        assert_true(plan->e820[i].start >= at);
        at = plan->e820[i].start + plan->e820[i].size;
        ram += plan->e820[i].size;
    }
    assert_int_equal(ram, GIB(5) - 0x60000); /* less A0000-FFFFF */
    assert_int_equal(at, BOARD_HIGH_RAM + GIB(2));
    const u8 *bp = piece(plan, "boot_params")->data;
    assert_int_equal(bp[0x1e8], plan->e820_count);
    assert_int_equal(load_le32(bp + 0x2d0 + 2 * 20 + 16), IMAGE_E820_ACPI);
    assert_int_equal(load_le64(bp + 0x2d0 + 2 * 20), piece(plan, "acpi")->gpa);
    image_free(plan);
}

static void the_secret_has_a_page_aligned_hole_inside_the_ramdisk(void **state)
{
    (void)state;
    static struct kernel k;
    static u8 initrd[3 * PAGE_SIZE];
    make_kernel(&k);
    static const size_t sizes[] = {0, 1, PAGE_SIZE - 4, PAGE_SIZE - 3, PAGE_SIZE, 3 * PAGE_SIZE};
    for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct image_description d = describe(&k);
        d.secret = true;
        if (sizes[i])
            d.initrd = (struct image_file){"initrd", initrd, sizes[i]};
        struct error error = {0};
        struct image_plan *plan = image_build(&d, &error);
        assert_non_null(plan);
        const u8 *bp = piece(plan, "boot_params")->data;
        u64 base = load_le32(bp + 0x218), size = load_le32(bp + 0x21c);
        assert_int_equal(plan->secret_gpa % PAGE_SIZE, 0);
        assert_int_equal(plan->secret_gpa + plan->secret_size, base + size);
        if (sizes[i])
            assert_true(plan->secret_gpa >= base + sizes[i] + 4);
        assert_int_equal(piece(plan, "secret_hole")->data_size, 0);
        image_free(plan);
    }
}

struct dump {
    u8 *bytes;
    size_t size;
};

static bool dump_write(void *context, const void *data, size_t size)
{
    struct dump *d = context;
    memcpy(d->bytes + d->size, data, size);
    d->size += size;
    return true;
}

static void the_digest_is_that_of_the_dump(void **state)
{
    (void)state;
    static struct kernel k;
    make_kernel(&k);
    struct image_description d = describe(&k);
    struct error error = {0};
    struct image_plan *plan = image_build(&d, &error);
    assert_non_null(plan);
    struct dump dump = {malloc(MIB(4)), 0};
    assert_true(image_dump(plan, dump_write, &dump));
    u8 digest[32], want[32];
    assert_int_equal(image_digest(plan, digest, NULL), 0);
    crypto_sha256(dump.bytes, dump.size, want);
    assert_memory_equal(digest, want, 32);
    u64 total = 0;
    for (u32 i = 0; i < plan->piece_count; i++)
        total += plan->pieces[i].size;
    assert_int_equal(dump.size, total);
    free(dump.bytes);
    image_free(plan);
}

/* Offsets of the specification's table, not of our struct [cpu 4.1, 4.2; sev 10]. */
static void assert_vmsa(const u8 *page, const struct image_plan *plan)
{
    const struct {
        u32 offset, size;
        u64 value;
    } fields[] = {
        {0x010, 2, 0x10},
        {0x012, 2, 0xa9b},
        {0x014, 4, 0xffffffff},
        {0x032, 2, 0xc93},
        {0x068, 8, piece(plan, "gdt")->gpa},
        {0x072, 2, 0x82},
        {0x092, 2, 0x8b},
        {0x0ca, 2, 0},
        {0x0d0, 8, 0x1d00},
        {0x148, 8, 0x20},
        {0x150, 8, 0x2000 | 1ull << 51},
        {0x158, 8, 0x80050033},
        {0x160, 8, 0x400},
        {0x168, 8, 0xffff0ff0},
        {0x170, 8, 2},
        {0x178, 8, 0x1000200},
        {0x1d8, 8, 0x20000},
        {0x1f8, 8, 0},
        {0x268, 8, 0x0007040600070406},
        {0x308, 8, 0},
        {0x330, 8, piece(plan, "boot_params")->gpa},
        {0x3b0, 8, 0},
        {0x3e8, 8, 1},
        {0x408, 4, 0x1f80},
        {0x410, 2, 0x37f},
    };
    for (u32 i = 0; i < ARRAY_SIZE(fields); i++) {
        u64 value = 0;
        memcpy(&value, page + fields[i].offset, fields[i].size);
        assert_int_equal(value, fields[i].value);
    }
}

static void under_sev_es_the_registers_are_measured_after_everything_else(void **state)
{
    (void)state;
    static struct kernel k;
    make_kernel(&k);
    struct dump dumps[2];
    u8 digest[32], want[32];
    for (u32 es = 0; es < 2; es++) {
        struct image_description d = describe(&k);
        d.mode = es ? IMAGE_SEV_ES : IMAGE_SEV;
        struct error error = {0};
        struct image_plan *plan = image_build(&d, &error);
        assert_non_null(plan);
        dumps[es] = (struct dump){malloc(MIB(4)), 0};
        assert_true(image_dump(plan, dump_write, &dumps[es]));
        assert_int_equal(image_digest(plan, digest, NULL), 0);
        crypto_sha256(dumps[es].bytes, dumps[es].size, want);
        assert_memory_equal(digest, want, sizeof want);
        if (es)
            assert_vmsa(dumps[es].bytes + dumps[0].size, plan);
        image_free(plan);
    }
    assert_int_equal(dumps[1].size, dumps[0].size + PAGE_SIZE);
    assert_memory_equal(dumps[1].bytes, dumps[0].bytes, dumps[0].size);
    free(dumps[0].bytes);
    free(dumps[1].bytes);
}

static u64 field(const void *page, u32 offset, u32 size)
{
    u64 value = 0;
    memcpy(&value, (const u8 *)page + offset, size);
    return value;
}

/* The stub is real-mode code at the start of a page that is not RAM for the kernel; the table's
 * page follows. */
static void under_sev_es_processors_are_launched_in_the_parking_stub(void **state)
{
    (void)state;
    static struct kernel k;
    make_kernel(&k);
    struct image_description d = describe(&k);
    struct error error = {0};
    d.mode = IMAGE_SEV_ES;
    d.cpus = 3;
    struct image_plan *plan = image_build(&d, &error);
    assert_non_null(plan);
    assert_int_equal(plan->vmsa_count, 3);
    const struct image_piece *stub = piece(plan, "parking_stub");
    assert_int_equal(stub->gpa + PAGE_SIZE, plan->jump_table_gpa);
    assert_int_equal(stub->size, 2 * PAGE_SIZE);
    assert_true(stub->gpa + stub->size <= 0x100000);
    for (u32 i = 0; i < plan->e820_count; i++)
        assert_false(plan->e820[i].type == IMAGE_E820_RAM && plan->e820[i].start <= stub->gpa &&
                     stub->gpa < plan->e820[i].start + plan->e820[i].size);
    for (u32 i = 1; i < 3; i++) {
        assert_int_equal(field(plan->vmsas[i], 0x010, 2), stub->gpa >> 4); /* CS */
        assert_int_equal(field(plan->vmsas[i], 0x018, 8), stub->gpa);
        assert_int_equal(field(plan->vmsas[i], 0x178, 8), 0); /* RIP */
        assert_int_equal(field(plan->vmsas[i], 0x158, 8), 0x10);
        assert_int_equal(field(plan->vmsas[i], 0x0d0, 8), 0x1000);
        assert_int_equal(field(plan->vmsas[i], 0x3b0, 8), 0);
    }
    image_free(plan);
    d.cpus = 9;
    assert_refused(&d, ERROR_USAGE, "1 to 8 processors, not 9");
    d.cpus = 3;
    d.mode = IMAGE_SEV;
    plan = image_build(&d, &error);
    assert_int_equal(plan->jump_table_gpa | plan->vmsa_count, 0);
    image_free(plan);
}

static void damaged_kernels_are_refused_in_one_line(void **state)
{
    (void)state;
    static struct kernel k;
    struct image_description d = describe(&k);
    make_kernel(&k);
    store_le16(k.bytes + 0x206, 0x20b);
    assert_refused(&d, ERROR_FILE, "boot protocol 2.11");
    make_kernel(&k);
    store_le16(k.bytes + 0x236, 0);
    assert_refused(&d, ERROR_FILE, "32-bit");
    make_kernel(&k);
    k.bytes[0x1f1] = 0xff;
    assert_refused(&d, ERROR_FILE, "truncated");
    make_kernel(&k);
    store_le64(k.bytes + 0x258, 0x1000);
    assert_refused(&d, ERROR_FILE, "loaded at");
    make_kernel(&k);
    k.bytes[0x202] = 'X';
    assert_refused(&d, ERROR_FILE, "neither");
    make_kernel(&k);
    d.kernel.size = 0x200;
    assert_refused(&d, ERROR_FILE, "neither");
}

static void files_of_another_kind_are_named_with_what_to_do(void **state)
{
    (void)state;
    static u8 file[4096];
    static const struct {
        const char *first;
        size_t size;
        const char *words;
    } kinds[] = {
        {"IGVM", 4, "an IGVM file; IGVM files, such as an HCL or a paravisor, are not loaded"},
        {"MZ", 2, "a PE program; an EFI program, such as a unified kernel image, is started by"},
        {"070701", 6, "--initrd"},
        {"QFI\xfb", 4, "--disk"},
        {"\x1f\x8b", 2, "decompress it first"},
    };
    for (u32 i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct image_description d = {.memory_size = MIB(16)};
        memset(file, 0, sizeof file);
        memcpy(file, kinds[i].first, kinds[i].size);
        d.kernel = (struct image_file){"file", file, sizeof file};
        assert_refused(&d, ERROR_FILE, kinds[i].words);
    }
    struct image_description d = {.memory_size = MIB(16), .firmware = {"file", file, sizeof file}};
    memcpy(file, "IGVM", 4);
    assert_refused(&d, ERROR_FILE, "an IGVM file; right is the flash image inside it");
    memcpy(file, "\177ELF", 4);
    assert_refused(&d, ERROR_FILE, "an ELF file; right is a flash image");
    memcpy(file, "-----BEGIN CERTIFICATE-----\n", 28);
    assert_refused(&d, ERROR_FILE, "a certificate in PEM; right is a flash image");
    memset(file, ' ', sizeof file);
    memcpy(file, "{}", 2);
    assert_refused(&d, ERROR_FILE, "a JSON file; right is a flash image");
    memcpy(file, "MZ", 2);
    memcpy(file + 0x202, "HdrS", 4);
    assert_refused(&d, ERROR_FILE, "a Linux kernel (bzImage); right is a flash image");
}

/* First bytes, and what is said; then images that have no code where processors start. */
static void what_is_no_firmware_is_not_started_as_such(void **state)
{
    (void)state;
    static u8 file[4096];
    static const struct {
        const char *first;
        size_t size;
        const char *words;
    } kinds[] = {
        {"QFI\xfb", 4, "a disk image (qcow2); right is what `qemu-img convert -O raw` makes"},
        {"MZ", 2, "a PE program; right is a flash image; a kernel goes to --kernel"},
        {"\x1f\x8b", 2, "gzip has compressed; right is the flash image inside it"},
        {"\xfd\x37zXZ", 5, "xz has compressed; right is the flash image inside it"},
        {"PK\x03\x04", 4, "a ZIP archive; right is the flash image inside it"},
        {"070701", 6, "an initramfs goes to --initrd"},
        {"\xbd\x86\x66\x3b\x76\x0d\x30\x40\xb7\x0e\xb5\x51\x9e\x2f\xc5\xa0", 16, "an EFI capsule"},
        {"\xed\xd5\xcb\x6d\x2d\xe8\x44\x4c\xbd\xa1\x71\x94\x19\x9a\xd9\x2a", 16, "an EFI capsule"},
        {"", 0, "its last 16 bytes, where processors start, are all 00: there is no code"},
    };
    struct image_description d = {.memory_size = MIB(16), .firmware = {"file", file, sizeof file}};
    for (u32 i = 0; i < ARRAY_SIZE(kinds); i++) {
        memset(file, 0, sizeof file);
        memcpy(file, kinds[i].first, kinds[i].size);
        assert_refused(&d, ERROR_FILE, kinds[i].words);
    }
    memset(file, 0xff, sizeof file);
    assert_refused(&d, ERROR_FILE, "where processors start, are all FF");
    memset(file, 0, 16);
    memcpy(file + 16, "\x8d\x2b\xf1\xff\x96\x76\x8b\x4c\xa9\x85\x27\x47\x07\x5b\x4f\x50", 16);
    memcpy(file + 0x28, "_FVH", 4);
    assert_refused(&d, ERROR_FILE, "the variables of firmware (OVMF_VARS) without its code");
    d.firmware = (struct image_file){NULL, NULL, 0};
    memcpy(file, "QFI\xfb", 4);
    d.initrd = (struct image_file){"file", file, sizeof file};
    d.kernel = (struct image_file){"file", file, sizeof file};
    assert_refused(&d, ERROR_FILE, "a disk image (qcow2), not an initramfs");
}

static void too_little_memory_is_said_before_anything_else(void **state)
{
    (void)state;
    static struct kernel k;
    static u8 initrd[MIB(8)];
    make_kernel(&k);
    struct image_description d = describe(&k);
    d.memory_size = MIB(32);
    assert_refused(&d, ERROR_MEMORY, "--memory");
    d.memory_size = MIB(52);
    d.initrd = (struct image_file){"initrd", initrd, sizeof initrd};
    assert_refused(&d, ERROR_MEMORY, "initramfs");
    d.memory_size = MIB(3);
    assert_refused(&d, ERROR_USAGE, "steps of 2 MiB");
}

static void a_command_line_too_long_is_refused(void **state)
{
    (void)state;
    static struct kernel k;
    static char text[3000];
    make_kernel(&k);
    memset(text, 'x', sizeof text - 1);
    struct image_description d = describe(&k);
    d.command_line = text;
    assert_refused(&d, ERROR_USAGE, "2047");
}

static void an_elf64_starts_in_64_bit_mode_with_a_stack(void **state)
{
    (void)state;
    static u8 elf[0x200];
    small_elf(elf, 0x200000, 0x200000 + 0x10, 0x3000);
    struct image_description d = {.memory_size = MIB(16), .mode = IMAGE_SEV};
    d.kernel = (struct image_file){"guest.elf", elf, sizeof elf};
    struct error error = {0};
    struct image_plan *plan = image_build(&d, &error);
    assert_non_null(plan);
    assert_int_equal(piece(plan, "kernel")->gpa, 0x200000);
    assert_int_equal(piece(plan, "kernel")->size, 0x3000);
    assert_int_equal(plan->registers.rip, 0x200010);
    assert_true(plan->registers.efer & EFER_LMA);
    const struct image_piece *stack = piece(plan, "stack");
    assert_int_equal(plan->registers.rsp, stack->gpa + stack->size);
    image_free(plan);
}

static void damaged_elf_files_are_refused(void **state)
{
    (void)state;
    static u8 elf[0x200];
    struct image_description d = {.memory_size = MIB(16)};
    d.kernel = (struct image_file){"guest.elf", elf, sizeof elf};
    small_elf(elf, 0x200000, 0x200000 + 0x10, 0x80);
    assert_refused(&d, ERROR_FILE, "outside the file");
    small_elf(elf, 0x200000, 0x200000 + 0x10, ~0ull);
    assert_refused(&d, ERROR_MEMORY, "wants guest memory");
    small_elf(elf, 0x1000, 0x1000 + 0x10, 0x1000);
    assert_refused(&d, ERROR_FILE, "128 KiB");
    small_elf(elf, 0x200000, 0x200000 + 0x10, 0x1000);
    store_le64(elf + 32, ~0ull - 8);
    assert_refused(&d, ERROR_FILE, "program headers");
    small_elf(elf, 0x200000, 0x200000 + 0x10, 0x1000);
    store_le16(elf + 18, 183);
    assert_refused(&d, ERROR_FILE, "another processor");
}

/* An ELF32 with one segment and a multiboot header: 100h bytes of the file at 100h. */
static void multiboot_elf(u8 elf[0x200], u32 address)
{
    memset(elf, 0, 0x200);
    memcpy(elf, "\177ELF\1\1\1", 7);
    store_le16(elf + 16, 2);
    store_le16(elf + 18, 3);
    store_le32(elf + 24, address + 0x20);
    store_le32(elf + 28, 52);
    store_le16(elf + 42, 32);
    store_le16(elf + 44, 1);
    store_le32(elf + 52, 1);
    store_le32(elf + 52 + 4, 0x100);
    store_le32(elf + 52 + 12, address);
    store_le32(elf + 52 + 16, 0x100);
    store_le32(elf + 52 + 20, 0x2000);
    store_le32(elf + 0x100, 0x1badb002);
    store_le32(elf + 0x104, 3);
    store_le32(elf + 0x108, 0u - 0x1badb002u - 3u);
}

static void a_multiboot_kernel_gets_magic_map_and_module(void **state)
{
    (void)state;
    static u8 elf[0x200], module[5000];
    multiboot_elf(elf, 0x100000);
    struct image_description d = {.memory_size = MIB(16), .command_line = "a b"};
    d.kernel = (struct image_file){"kernel32", elf, sizeof elf};
    d.initrd = (struct image_file){"module", module, sizeof module};
    struct error error = {0};
    struct image_plan *plan = image_build(&d, &error);
    assert_non_null(plan);
    assert_int_equal(plan->registers.rax, 0x2badb002);
    assert_int_equal(plan->registers.rip, 0x100020);
    assert_int_equal(plan->registers.cr0 & (CR0_PE | CR0_PG), CR0_PE);
    const struct image_piece *info = piece(plan, "multiboot_info");
    assert_int_equal(plan->gpr[3], info->gpa);
    assert_int_equal(load_le32(info->data), 0x4d);
    u32 modules = load_le32(info->data + 24) - (u32)info->gpa;
    assert_int_equal(load_le32(info->data + modules), piece(plan, "module")->gpa);
    assert_int_equal(load_le32(info->data + modules + 4) - load_le32(info->data + modules),
                     sizeof module);
    image_free(plan);
}

static void a_multiboot_kernel_finds_an_rsdp_by_searching(void **state)
{
    (void)state;
    static u8 elf[0x200];
    multiboot_elf(elf, 0x100000);
    struct image_description d = {.memory_size = MIB(16), .mode = IMAGE_SEV};
    d.kernel = (struct image_file){"kernel32", elf, sizeof elf};
    struct error error = {0};
    struct image_plan *plan = image_build(&d, &error);
    assert_non_null(plan);
    const struct image_piece *rsdp = piece(plan, "rsdp"), *acpi = piece(plan, "acpi");
    assert_int_equal(rsdp->gpa, 0xe0000);
    assert_int_equal(rsdp->size, PAGE_SIZE);
    assert_memory_equal(rsdp->data, "RSD PTR ", 8);
    u64 xsdt = load_le64(rsdp->data + 24) - acpi->gpa;
    assert_in_range(xsdt, 36, acpi->data_size);
    assert_memory_equal(acpi->data + xsdt, "XSDT", 4);
    image_free(plan);
}

static void a_module_too_large_is_refused(void **state)
{
    (void)state;
    static u8 elf[0x200], module[MIB(4)];
    multiboot_elf(elf, 0x100000);
    struct image_description d = {.memory_size = MIB(2)};
    d.kernel = (struct image_file){"kernel32", elf, sizeof elf};
    d.initrd = (struct image_file){"module", module, sizeof module};
    assert_refused(&d, ERROR_MEMORY, "do not hold a module of 4194304 bytes");
    d.initrd.size = MIB(2);
    assert_refused(&d, ERROR_MEMORY, "--memory");
    d.initrd.size = MIB(1) - 0x4000; /* just below the ACPI tables, but over the kernel */
    assert_refused(&d, ERROR_FILE, "where kernel lies");
}

static void a_multiboot_kernel_may_lie_in_low_memory(void **state)
{
    (void)state;
    static u8 elf[0x200];
    struct image_description d = {.memory_size = MIB(16), .command_line = "low"};
    d.kernel = (struct image_file){"kernel32", elf, sizeof elf};
    static const u32 addresses[] = {0x1000, 0x8000, 0x1e000};
    for (u32 i = 0; i < ARRAY_SIZE(addresses); i++) {
        struct error error = {0};
        multiboot_elf(elf, addresses[i]);
        struct image_plan *plan = image_build(&d, &error);
        assert_non_null(plan);
        const struct image_piece *info = piece(plan, "multiboot_info");
        assert_int_equal(piece(plan, "kernel")->gpa, addresses[i]);
        assert_int_equal(plan->gpr[3], info->gpa);
        assert_int_equal(load_le32(info->data + 16), piece(plan, "command_line")->gpa);
        assert_int_equal(plan->registers.gdtr.base, piece(plan, "gdt")->gpa);
        const struct image_piece *stack = piece(plan, "stack");
        assert_int_equal(plan->registers.rsp, stack->gpa + stack->size);
        assert_in_range(stack->gpa, 0x20000, 0x9c000);
        image_free(plan);
    }
    multiboot_elf(elf, 0x800);
    assert_refused(&d, ERROR_FILE, "where zero_page lies");
}

/* --- Notes: PVH and vmlinux ------------------------------------------------------------------- */

/* Adds a segment of notes at 180h: one of `owner`, of `type`, with a value of 8 bytes. */
static void add_note(u8 elf[SMALL_ELF_SIZE], const char *owner, u32 type, u64 value)
{
    u8 *segment = elf + 64 + 56, *note = elf + 0x180;
    store_le16(elf + 56, 2);
    store_le32(segment, 4);
    store_le64(segment + 8, 0x180);
    store_le64(segment + 32, 28);
    store_le32(note, (u32)strlen(owner) + 1);
    store_le32(note + 4, 8);
    store_le32(note + 8, type);
    memcpy(note + 12, owner, strlen(owner) + 1);
    store_le64(note + 12 + ALIGN_UP(strlen(owner) + 1, 4u), value);
}

static struct image_plan *plan_of_notes(u8 elf[SMALL_ELF_SIZE], const char *owner, u32 type,
                                        enum image_mode mode)
{
    static u8 initrd[5000];
    small_elf(elf, 0x1000000, 0x1000010, 0x3000);
    add_note(elf, owner, type, 0x1000020);
    struct image_description d = {.memory_size = MIB(64), .mode = mode, .command_line = "quiet"};
    d.kernel = (struct image_file){"vmlinux", elf, SMALL_ELF_SIZE};
    d.initrd = (struct image_file){"initrd", initrd, sizeof initrd};
    struct error error = {0};
    struct image_plan *plan = image_build(&d, &error);
    assert_non_null(plan);
    return plan;
}

static void a_note_of_xen_leads_to_the_pvh_entry(void **state)
{
    (void)state;
    static u8 elf[SMALL_ELF_SIZE];
    struct image_plan *plan = plan_of_notes(elf, "Xen", 18, IMAGE_NONE);
    const struct image_piece *info = piece(plan, "pvh_info"), *module = piece(plan, "module");
    assert_int_equal(plan->registers.rip, 0x1000020);
    assert_int_equal(plan->registers.cr0 & (CR0_PE | CR0_PG), CR0_PE);
    assert_int_equal(plan->gpr[3], info->gpa);
    assert_int_equal(load_le32(info->data), 0x336ec578);
    assert_int_equal(load_le32(info->data + 4), 1);
    assert_int_equal(load_le32(info->data + 12), 1);
    const u8 *entry = info->data + (load_le64(info->data + 16) - info->gpa);
    assert_int_equal(load_le64(entry), module->gpa);
    assert_int_equal(load_le64(entry + 8), 5000);
    assert_int_equal(load_le64(info->data + 24), piece(plan, "command_line")->gpa);
    assert_int_equal(load_le64(info->data + 32), piece(plan, "acpi")->gpa);
    assert_int_equal(load_le32(info->data + 48), plan->e820_count);
    const u8 *map = info->data + (load_le64(info->data + 40) - info->gpa);
    for (u32 i = 0; i < plan->e820_count; i++, map += 24) {
        assert_int_equal(load_le64(map), plan->e820[i].start);
        assert_int_equal(load_le64(map + 8), plan->e820[i].size);
        assert_int_equal(load_le32(map + 16), plan->e820[i].type);
    }
    image_free(plan);
}

static void assert_boot_protocol(const struct image_plan *plan)
{
    const struct image_piece *bp = piece(plan, "boot_params");
    assert_non_null(bp);
    assert_int_equal(plan->registers.rip, 0x1000010);
    assert_true(plan->registers.efer & EFER_LMA);
    assert_int_equal(plan->gpr[6], bp->gpa);
    assert_memory_equal(bp->data + 0x202, "HdrS", 4);
    assert_int_equal(load_le16(bp->data + 0x206), 0x20f);
    assert_int_equal(load_le32(bp->data + 0x218), piece(plan, "initrd")->gpa);
    assert_int_equal(load_le32(bp->data + 0x21c), 5000);
    assert_int_equal(load_le32(bp->data + 0x228), piece(plan, "command_line")->gpa);
    assert_int_equal(bp->data[0x1e8], plan->e820_count);
}

/* PVH's entry has page tables without C-bits; Linux's 64-bit entry knows what SEV is. */
static void a_vmlinux_starts_by_the_boot_protocol_if_encrypted_or_without_pvh(void **state)
{
    (void)state;
    static u8 elf[SMALL_ELF_SIZE];
    for (enum image_mode mode = IMAGE_SEV; mode <= IMAGE_SEV_SNP; mode++) {
        struct image_plan *plan = plan_of_notes(elf, "Xen", 18, mode);
        assert_boot_protocol(plan);
        assert_int_equal(load_le64(piece(plan, "boot_params")->data + 0x250) != 0,
                         mode == IMAGE_SEV_SNP);
        image_free(plan);
    }
    struct image_plan *plan = plan_of_notes(elf, "Linux", 0x100, IMAGE_NONE);
    assert_boot_protocol(plan);
    image_free(plan);
}

static void a_vmlinux_gets_its_owners_secret(void **state)
{
    (void)state;
    static u8 elf[SMALL_ELF_SIZE];
    struct image_description d = {.memory_size = MIB(64), .mode = IMAGE_SEV, .secret = true};
    d.kernel = (struct image_file){"vmlinux", elf, sizeof elf};
    small_elf(elf, 0x1000000, 0x1000010, 0x3000);
    assert_refused(&d, ERROR_USAGE, "not Linux");
    add_note(elf, "Linux", 0x100, 0);
    struct error error = {0};
    struct image_plan *plan = image_build(&d, &error);
    assert_non_null(plan);
    assert_int_equal(plan->secret_size, IMAGE_SECRET_MAX);
    image_free(plan);
}

static void notes_that_lie_are_not_followed(void **state)
{
    (void)state;
    static u8 elf[SMALL_ELF_SIZE];
    struct image_description d = {.memory_size = MIB(16)};
    d.kernel = (struct image_file){"guest.elf", elf, sizeof elf};
    static const struct {
        u32 at, value;
    } lies[] = {{0x180, 0xffffffff}, {0x184, 0xffffffff}, {0x180, 0xfffffffe}, {64 + 56 + 32, 11}};
    for (u32 i = 0; i < ARRAY_SIZE(lies); i++) {
        struct error error = {0};
        small_elf(elf, 0x200000, 0x200010, 0x1000);
        add_note(elf, "Xen", 18, 0x200020);
        store_le32(elf + lies[i].at, lies[i].value);
        struct image_plan *plan = image_build(&d, &error);
        assert_non_null(plan);
        assert_int_equal(plan->registers.rip, 0x200010);
        image_free(plan);
    }
    small_elf(elf, 0x200000, 0x200010, 0x1000);
    add_note(elf, "Xen", 18, ~0ull);
    assert_refused(&d, ERROR_FILE, "entry point 0xffffffffffffffff");
}

static void the_secret_archive_is_padded_and_has_a_limit(void **state)
{
    (void)state;
    static u8 out[IMAGE_SECRET_MAX], secret[IMAGE_SECRET_MAX];
    memset(secret, 0xa5, sizeof secret);
    size_t size = image_secret_archive("open sesame", 11, out, sizeof out);
    assert_true(size && size % 16 == 0);
    assert_memory_equal(out, "070701", 6);
    assert_int_equal(image_secret_archive(secret, sizeof secret, out, sizeof out), 0);
}

test_that_needs(the_secret_archive_is_what_cpio_reads, .program = "cpio")
{
    (void)state;
    static u8 out[IMAGE_SECRET_MAX];
    size_t size = image_secret_archive("open sesame", 11, out, sizeof out);
    FILE *f = popen(
        "cd \"$(mktemp -d)\" && cpio -id --quiet && test \"$(cat secret/secret)\" = 'open sesame'",
        "w");
    assert_non_null(f);
    fwrite(out, 1, size, f);
    assert_int_equal(pclose(f), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kernel_lies_at_its_preferred_address),
        cmocka_unit_test(every_piece_is_whole_pages_and_overlaps_none),
        cmocka_unit_test(page_tables_map_four_gib_private_under_sev),
        cmocka_unit_test(e820_covers_memory_and_keeps_acpi_apart),
        cmocka_unit_test(the_secret_has_a_page_aligned_hole_inside_the_ramdisk),
        cmocka_unit_test(the_digest_is_that_of_the_dump),
        cmocka_unit_test(under_sev_es_the_registers_are_measured_after_everything_else),
        cmocka_unit_test(under_sev_es_processors_are_launched_in_the_parking_stub),
        cmocka_unit_test(damaged_kernels_are_refused_in_one_line),
        cmocka_unit_test(what_is_no_firmware_is_not_started_as_such),
        cmocka_unit_test(files_of_another_kind_are_named_with_what_to_do),
        cmocka_unit_test(too_little_memory_is_said_before_anything_else),
        cmocka_unit_test(a_command_line_too_long_is_refused),
        cmocka_unit_test(an_elf64_starts_in_64_bit_mode_with_a_stack),
        cmocka_unit_test(damaged_elf_files_are_refused),
        cmocka_unit_test(a_multiboot_kernel_gets_magic_map_and_module),
        cmocka_unit_test(a_multiboot_kernel_finds_an_rsdp_by_searching),
        cmocka_unit_test(a_module_too_large_is_refused),
        cmocka_unit_test(a_multiboot_kernel_may_lie_in_low_memory),
        cmocka_unit_test(a_note_of_xen_leads_to_the_pvh_entry),
        cmocka_unit_test(a_vmlinux_starts_by_the_boot_protocol_if_encrypted_or_without_pvh),
        cmocka_unit_test(a_vmlinux_gets_its_owners_secret),
        cmocka_unit_test(notes_that_lie_are_not_followed),
        cmocka_unit_test(the_secret_archive_is_padded_and_has_a_limit),
        cmocka_unit_test(the_secret_archive_is_what_cpio_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
