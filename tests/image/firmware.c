/* SPDX-License-Identifier: Apache-2.0 */
/* Launch digests of flash images and kernel hashes, against published values [sev 14.4, 14.6]. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "crypto/crypto.h"
#include "abi/x86.h"
#include "board/map.h"
#include "image/image.h"
#include "image/measure.h"
#include "needs.h"

struct file {
    u8 bytes[65536];
    size_t size;
};

static void digest_of(const struct image_description *d, u8 digest[32])
{
    struct error error = {0};
    struct image_plan *plan = image_build(d, &error);
    assert_non_null(plan);
    assert_int_equal(image_digest(plan, digest, NULL), 0);
    image_free(plan);
}

static void assert_digest(const struct image_description *d, const char *expected)
{
    u8 digest[32], want[32];
    digest_of(d, digest);
    assert_true(hex_decode(want, sizeof want, expected));
    assert_memory_equal(digest, want, sizeof want);
}

test_that_needs(a_flash_image_without_hashes_is_its_own_sha256,
                .vectors = {"sev/measurement/ovmf_OvmfX64_suffix.bin"})
{
    (void)state;
    static struct file flash;
    flash.size =
        vector_load("sev/measurement/ovmf_OvmfX64_suffix.bin", flash.bytes, sizeof flash.bytes);
    struct image_description d = {.memory_size = MIB(64), .mode = IMAGE_SEV};
    d.firmware = (struct image_file){"OvmfX64", flash.bytes, flash.size};
    assert_digest(&d, "b4c021e085fb83ceffe6571a3d357b4a98773c83c474e47f76c876708fe316da");
}

test_that_needs(kernel_hashes_match_the_published_digests,
                .vectors = {"sev/measurement/ovmf_AmdSev_suffix.bin"})
{
    (void)state;
    static struct file flash;
    flash.size =
        vector_load("sev/measurement/ovmf_AmdSev_suffix.bin", flash.bytes, sizeof flash.bytes);
    struct image_description d = {.memory_size = MIB(64), .mode = IMAGE_SEV, .kernel_hashes = true};
    d.firmware = (struct image_file){"AmdSev", flash.bytes, flash.size};
    d.kernel = (struct image_file){"kernel", "", 0};
    assert_digest(&d, "77f613d7bbcdf12a73782ea9e88b0172aeda50d1a54201cb903594ff52846898");
    d.initrd = d.kernel;
    d.command_line = "console=ttyS0 loglevel=7";
    assert_digest(&d, "82a3ee5d537c3620628270c292ae30cb40c3c878666a7890ee7ef2a08fb535ff");
}

test_that_needs(kernel_hashes_lead_to_the_measurement_sevctl_computes,
                .vectors = {
                    "sevctl/data/OVMF.amdsev.fd_trimmed_edk2-ovmf-20220126gitbb1bba3d77-4.el9"})
{
    (void)state;
    static struct file flash;
    flash.size =
        vector_load("sevctl/data/OVMF.amdsev.fd_trimmed_edk2-ovmf-20220126gitbb1bba3d77-4.el9",
                    flash.bytes, sizeof flash.bytes);
    static const char kernel[] = "fake vmlinuz\n", initrd[] = "fake initrd\n";
    struct image_description d = {.memory_size = MIB(64), .mode = IMAGE_SEV, .kernel_hashes = true};
    d.firmware = (struct image_file){"OVMF", flash.bytes, flash.size};
    d.kernel = (struct image_file){"kernel", kernel, sizeof kernel - 1};
    d.initrd = (struct image_file){"initrd", initrd, sizeof initrd - 1};
    d.command_line = "foo bar baz fake kernel=cmdline";
    /* 04, API 1.40 build 40, policy 3, digest, nonce [sev 7.5] */
    u8 message[56] = {4, 1, 40, 40, 3}, tik[16], measure[32], want[32];
    digest_of(&d, message + 8);
    assert_true(hex_decode(message + 40, 16, "c313fab511c216b1505b1b2ea9903c40"));
    assert_true(hex_decode(tik, 16, "3569cf61a32a602b87185ac6e0f55913"));
    crypto_hmac_sha256(tik, sizeof tik, message, sizeof message, measure);
    assert_true(
        hex_decode(want, 32, "8776ae61b5909d55bb1062d63781dff52374a0460c3d4dac2b86cb9de7d63f0b"));
    assert_memory_equal(measure, want, sizeof want);
}

static void an_image_without_a_hash_table_is_refused(void **state)
{
    (void)state;
    static u8 flash[65536];
    struct error error = {0};
    struct image_description d = {.memory_size = MIB(64), .mode = IMAGE_SEV, .kernel_hashes = true};
    d.firmware = (struct image_file){"blank", flash, sizeof flash};
    d.kernel = (struct image_file){"kernel", "", 0};
    assert_null(image_build(&d, &error));
    assert_int_equal(error.code, ERROR_FILE);
}

test_that_needs(registers_are_launched_as_they_are_measured,
                .vectors = {"sev/measurement/ovmf_OvmfX64_suffix.bin"})
{
    (void)state;
    static struct file flash;
    flash.size =
        vector_load("sev/measurement/ovmf_OvmfX64_suffix.bin", flash.bytes, sizeof flash.bytes);
    struct image_description d = {.memory_size = MIB(64), .mode = IMAGE_SEV_ES, .cpus = 3};
    d.firmware = (struct image_file){"OvmfX64", flash.bytes, flash.size};
    struct measure_description m = {
        .mode = MEASURE_SEV_ES, .firmware = d.firmware, .vcpus = 3, .vmm = MEASURE_VMM_QEMU};
    u8 digest[32], want[MEASURE_DIGEST_MAX];
    struct error error = {0};
    assert_true(measure_signature_by_name("EPYC-Milan", &m.signature));
    assert_int_equal(m.signature, BOARD_CPU_SIGNATURE);
    digest_of(&d, digest);
    assert_int_equal(measure_launch(&m, NULL, want, &error), 0);
    assert_memory_equal(digest, want, sizeof digest);
    /* Another part and features: the same change on both sides. */
    d.sev_features = m.features = SEV_FEATURE_DEBUG_VIRT;
    assert_true(measure_signature_by_name("turin", &m.signature));
    assert_int_equal(m.signature, 0x00b00f21);
    d.cpu_signature = m.signature;
    digest_of(&d, digest);
    assert_memory_not_equal(digest, want, sizeof digest);
    assert_int_equal(measure_launch(&m, NULL, want, &error), 0);
    assert_memory_equal(digest, want, sizeof digest);
}

/* --- What firmware finds by fw_cfg ------------------------------------------------------------ */

static const struct image_item *item_of(const struct image_plan *plan, u16 key, const char *name)
{
    for (u32 i = 0; i < plan->item_count; i++) {
        const struct image_item *item = &plan->items[i];
        if (name ? item->name && !strcmp(item->name, name) : !item->name && item->key == key)
            return item;
    }
    return NULL;
}

static void assert_item(const struct image_plan *plan, u16 key, const void *data, size_t size)
{
    const struct image_item *item = item_of(plan, key, NULL);
    assert_non_null(item);
    assert_int_equal(item->size, size);
    assert_memory_equal(item->data, data, size);
}

static struct image_plan *plan_with_kernel(const u8 *kernel, size_t size)
{
    static u8 flash[65536] = {[65520] = 0xf4};
    struct error error = {0};
    struct image_description d = {
        .memory_size = GIB(4), .cpus = 2, .firmware = {"flash", flash, sizeof flash}};
    d.kernel = (struct image_file){"kernel", kernel, size};
    d.initrd = (struct image_file){"initrd", "initrd", 6};
    d.command_line = "quiet";
    struct image_plan *plan = image_build(&d, &error);
    assert_non_null(plan);
    return plan;
}

static void firmware_finds_kernel_and_memory(void **state)
{
    (void)state;
    static u8 kernel[0x2000];
    const u8 setup[4] = {0, 4}, rest[4] = {0, 0x1c}, two[2] = {2}, seven[4] = {6};
    kernel[0x1f1] = 1; /* setup sectors behind the first */
    store_le16(kernel + 0x1fe, 0xaa55);
    memcpy(kernel + 0x202, "HdrS", 4);
    kernel[0x400] = 0x77;
    struct image_plan *plan = plan_with_kernel(kernel, sizeof kernel);
    assert_true(plan->runnable);
    assert_int_equal(plan->registers.cs.base + plan->registers.rip, 0xfffffff0);
    assert_int_equal(plan->registers.cr0, CR0_CD | CR0_NW | CR0_ET);
    assert_int_equal(plan->registers.cr4, 0);
    assert_item(plan, 0x05, two, sizeof two);
    assert_item(plan, 0x17, setup, sizeof setup);
    assert_item(plan, 0x18, kernel, 0x400);
    assert_item(plan, 0x08, rest, sizeof rest);
    assert_item(plan, 0x11, kernel + 0x400, sizeof kernel - 0x400);
    assert_item(plan, 0x0b, seven, sizeof seven);
    assert_item(plan, 0x12, "initrd", 6);
    assert_item(plan, 0x15, "quiet", 6);
    const struct image_item *e820 = item_of(plan, 0, "etc/e820");
    assert_non_null(e820);
    assert_int_equal(e820->size, 40);
    const u8 *entries = e820->data;
    assert_int_equal(load_le64(entries + 8), BOARD_LOW_RAM_END);
    assert_int_equal(load_le64(entries + 20), GIB(4));
    assert_int_equal(load_le64(entries + 28), GIB(4) - BOARD_LOW_RAM_END);
    image_free(plan);
    /* An EFI program of another kind has no part of its own before the rest. */
    plan = plan_with_kernel((const u8 *)"MZ something", 12);
    assert_item(plan, 0x18, "", 0);
    assert_item(plan, 0x11, "MZ something", 12);
    image_free(plan);
}

#define RSDP_AT   0xf0000u
#define TABLES_AT 0x1234000u

struct acpi {
    u8 rsdp[64], tables[16384];
    size_t tables_size;
};

static u8 *acpi_file(struct acpi *a, const u8 *name)
{
    if (!strcmp((const char *)name, "etc/acpi/rsdp"))
        return a->rsdp;
    assert_string_equal((const char *)name, "etc/acpi/tables");
    return a->tables;
}

static u8 sum_of(const u8 *bytes, size_t size)
{
    u8 sum = 0;
    for (size_t i = 0; i < size; i++)
        sum = (u8)(sum + bytes[i]);
    return sum;
}

/* Does what a command of the script says, as firmware would [QEMU hw/acpi/bios-linker-loader]. */
static void obey(struct acpi *a, const u8 *c)
{
    u8 *file = acpi_file(a, c + 4);
    if (load_le32(c) == 2) {
        u32 at = load_le32(c + 116), base = acpi_file(a, c + 60) == a->rsdp ? RSDP_AT : TABLES_AT;
        if (c[120] == 8)
            store_le64(file + at, load_le64(file + at) + base);
        else
            store_le32(file + at, load_le32(file + at) + base);
    } else if (load_le32(c) == 3) {
        u8 *sum = file + load_le32(c + 60);
        *sum = (u8)-sum_of(file + load_le32(c + 64), load_le32(c + 68));
    } else {
        assert_int_equal(load_le32(c), 1);
    }
}

static const u8 *table_at(const struct acpi *a, u64 gpa, const char *signature, bool summed)
{
    assert_in_range(gpa, TABLES_AT, TABLES_AT + a->tables_size - 36);
    const u8 *t = a->tables + (gpa - TABLES_AT);
    assert_memory_equal(t, signature, 4);
    if (summed)
        assert_int_equal(sum_of(t, load_le32(t + 4)), 0);
    return t;
}

static void the_script_of_acpi_tables_makes_whole_ones(void **state)
{
    (void)state;
    static struct acpi a;
    struct image_plan *plan = plan_with_kernel((const u8 *)"MZ", 2);
    const struct image_item *rsdp = item_of(plan, 0, "etc/acpi/rsdp"),
                            *tables = item_of(plan, 0, "etc/acpi/tables"),
                            *script = item_of(plan, 0, "etc/table-loader");
    assert_true(rsdp && tables && script);
    assert_int_equal(rsdp->size, 36);
    assert_int_equal(script->size % 128, 0);
    memcpy(a.rsdp, rsdp->data, rsdp->size);
    memcpy(a.tables, tables->data, a.tables_size = tables->size);
    for (u64 at = 0; at < script->size; at += 128)
        obey(&a, (const u8 *)script->data + at);
    assert_int_equal(sum_of(a.rsdp, 20), 0);
    assert_int_equal(sum_of(a.rsdp, 36), 0);
    const u8 *xsdt = table_at(&a, load_le64(a.rsdp + 24), "XSDT", true);
    assert_int_equal(load_le32(xsdt + 4), 36 + 2 * 8);
    const u8 *fadt = table_at(&a, load_le64(xsdt + 36), "FACP", true);
    table_at(&a, load_le64(xsdt + 44), "APIC", true);
    table_at(&a, load_le32(fadt + 36), "FACS", false);
    table_at(&a, load_le32(fadt + 40), "DSDT", true);
    table_at(&a, load_le64(fadt + 140), "DSDT", true);
    image_free(plan);
}

static void an_initramfs_without_a_kernel_is_refused(void **state)
{
    (void)state;
    static u8 flash[65536] = {[65520] = 0xf4};
    struct error error = {0};
    struct image_description d = {.memory_size = MIB(64), .firmware = {"f", flash, sizeof flash}};
    d.initrd = (struct image_file){"initrd", "initrd", 6};
    assert_null(image_build(&d, &error));
    assert_non_null(strstr(error.text, "--kernel"));
}

/* What a plan makes itself grows with the processors and with what is asked for. */
test_that_needs(a_plan_holds_as_much_as_the_options_allow,
                .vectors = {"sev/measurement/ovmf_AmdSev_suffix.bin"})
{
    (void)state;
    static struct file flash;
    flash.size =
        vector_load("sev/measurement/ovmf_AmdSev_suffix.bin", flash.bytes, sizeof flash.bytes);
    for (enum image_mode mode = IMAGE_SEV; mode <= IMAGE_SEV_SNP; mode++) {
        for (u32 cpus = 1; cpus <= IMAGE_CPUS_MAX; cpus++) {
            struct error error = {.code = ERROR_NONE};
            struct image_description d = {
                .memory_size = MIB(64), .mode = mode, .kernel_hashes = true, .cpus = cpus};
            d.firmware = (struct image_file){"AmdSev", flash.bytes, flash.size};
            d.kernel = (struct image_file){"kernel", "a kernel", 8};
            d.initrd = (struct image_file){"initrd", "initrd", 6};
            d.command_line = "console=ttyS0";
            struct image_plan *plan = image_build(&d, &error);
            assert_string_equal(error.text, "");
            assert_non_null(plan);
            assert_int_equal(plan->vmsa_count, mode == IMAGE_SEV ? 0 : cpus);
            image_free(plan);
        }
    }
}

/* --- The place for the owner's secret --------------------------------------------------------- */

/* The footer of a flash image with one entry, the secret's place, in the last bytes [sev 11]. */
static void write_footer(u8 *end, u32 base, u32 size)
{
    u8 *at = end - 48 - 2 - 26;
    store_le32(at, base);
    store_le32(at + 4, size);
    store_le16(at + 8, 26);
    assert_true(hex_decode(at + 10, 16, "61b32e4c9b7dc34c8081127c90d3d294"));
    store_le16(at + 26, 26 + 18);
    assert_true(hex_decode(at + 28, 16, "de82b596b21ff745baeaa366c55a082d"));
}

static void firmware_says_where_the_secret_goes(void **state)
{
    (void)state;
    static u8 flash[65536] = {[65520] = 0xf4};
    static const struct {
        u32 base, size, got; /* 0: it is refused */
        const char *why;
    } rows[] = {
        {0x810000, 0xc00, 0xc00, NULL},
        {MIB(64) - 0x1000, 0x1000, 0x1000, NULL},
        {0x810000, MIB(1), IMAGE_SECRET_MAX, NULL}, /* what one packet carries */
        {0, 0, 0, "has no place for an owner's secret"},
        {0x810000, 0, 0, "has no place for an owner's secret"},
        {0, 0xc00, 0, "0xc00 bytes at 0"},
        {0x810008, 0xc00, 0, "multiples of 16"},
        {0x810000, 0xc08, 0, "multiples of 16"},
        {MIB(64) - 0x1000, 0x1010, 0, "which ends at 0x4000000"},
        {0xfffff000, 0xfffffff0, 0, "which ends at 0x4000000"},
    };
    struct image_description d = {.memory_size = MIB(64), .mode = IMAGE_SEV, .secret = true};
    d.firmware = (struct image_file){"f", flash, sizeof flash};
    u8 digest[32], without[32];
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct error error = {0};
        write_footer(flash + sizeof flash, rows[i].base, rows[i].size);
        struct image_plan *plan = image_build(&d, &error);
        if (!plan != !rows[i].got || (rows[i].why && !strstr(error.text, rows[i].why)))
            fail_msg("row %zu: %s", i, error.text);
        if (!plan)
            continue;
        assert_int_equal(plan->secret_gpa, rows[i].base);
        assert_int_equal(plan->secret_size, rows[i].got);
        image_free(plan);
        digest_of(&d, digest); /* the place is not launched */
        d.secret = false;
        digest_of(&d, without);
        d.secret = true;
        assert_memory_equal(digest, without, sizeof digest);
    }
}

/* --- One reader of the image's tables, one verdict -------------------------------------------- */

struct place {
    u32 gpa, size, type;
};

/* Writes an entry of the table of GUIDs before `at`; returns where it begins. */
static u8 *put_entry(u8 *at, const char *guid, const void *data, size_t size)
{
    at -= 18 + size;
    memcpy(at, data, size);
    store_le16(at + size, (u16)(size + 18));
    assert_true(hex_decode(at + size + 2, 16, guid));
    return at;
}

/* A flash image with metadata for SNP, a place for kernel hashes and code that halts. */
static void write_image(u8 *flash, size_t size, const struct place *sections, u32 count,
                        u32 hash_base, u32 hash_size)
{
    const u32 metadata = 0x1000;
    u8 from_end[4], hashes[8];
    memset(flash, 0, size);
    flash[size - 16] = 0xf4;
    memcpy(flash + metadata, "ASEV", 4);
    store_le32(flash + metadata + 4, 16 + 12 * count);
    store_le32(flash + metadata + 8, 1);
    store_le32(flash + metadata + 12, count);
    for (u32 i = 0; i < count; i++) {
        store_le32(flash + metadata + 16 + (size_t)12 * i, sections[i].gpa);
        store_le32(flash + metadata + 20 + (size_t)12 * i, sections[i].size);
        store_le32(flash + metadata + 24 + (size_t)12 * i, sections[i].type);
    }
    store_le32(from_end, (u32)size - metadata);
    store_le32(hashes, hash_base);
    store_le32(hashes + 4, hash_size);
    u8 *end = flash + size - 32, *at = end - 18;
    at = put_entry(at, "666588dc4a989847a75e5585a7bf67cc", from_end, sizeof from_end);
    at = put_entry(at, "1f3755723b3a044b927b1da6efa8d454", hashes, sizeof hashes);
    store_le16(end - 18, (u16)(end - at));
    assert_true(hex_decode(end - 16, 16, "de82b596b21ff745baeaa366c55a082d"));
}

/* Checks that owner and host say the same of an image: `why`, or nothing. */
static void judge(const struct image_file *flash, enum image_mode mode, const char *why)
{
    static const enum measure_mode modes[] = {
        [IMAGE_SEV] = MEASURE_SEV, [IMAGE_SEV_ES] = MEASURE_SEV_ES, [IMAGE_SEV_SNP] = MEASURE_SNP};
    const struct image_file kernel = {"kernel", "MZ", 2};
    struct image_description d = {.memory_size = GIB(4),
                                  .mode = mode,
                                  .firmware = *flash,
                                  .kernel = kernel,
                                  .kernel_hashes = true};
    struct measure_description m = {.mode = modes[mode],
                                    .firmware = *flash,
                                    .kernel = kernel,
                                    .kernel_hashes = true,
                                    .vcpus = 1};
    struct error host = {.code = ERROR_NONE}, owner = {.code = ERROR_NONE};
    u8 digest[MEASURE_DIGEST_MAX];
    struct image_plan *plan = image_build(&d, &host);
    const int measured = measure_launch(&m, NULL, digest, &owner);
    if (!plan != !!why || (measured != 0) != !!why || (why && !strstr(host.text, why)))
        fail_msg("mode %d: '%s', '%s', should be '%s'", mode, host.text, owner.text, why);
    assert_string_equal(host.text, owner.text);
    image_free(plan);
}

static void owner_and_host_judge_an_image_alike(void **state)
{
    (void)state;
    static u8 flash[65536];
    static const struct {
        struct place more;
        const char *why;
    } rows[] = {
        {{0x900000, 0x1000, 1}, NULL},
        {{0xbffff000, 0x1000, 1}, NULL},
        {{0x800000, 0x1000, 1}, "sections at 0x800000 and 0x800000 overlap"},
        {{0x7ff000, 0x2000, 1}, "sections at 0x800000 and 0x7ff000 overlap"},
        {{0x80d000, 0x1000, 3}, "sections at 0x80d000 and 0x80d000 overlap"},
        {{0xffff0000, 0x1000, 1}, "0xffff0000 lies over the image itself"},
        {{0xfffef000, 0x2000, 1}, "0xfffef000 lies over the image itself"},
        {{0x900000, 0x1000, 9}, "unknown type 9"},
        {{0x900000, 0, 1}, "sections are whole pages"},
        {{0x900000, 0x2000, 2}, "sections are whole pages"},
    };
    const struct image_file file = {"f", flash, sizeof flash};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct place sections[] = {
            {0x800000, 0x9000, 1}, {0x80d000, 0x1000, 2}, {0x810000, 0x1000, 0x10}, rows[i].more};
        write_image(flash, sizeof flash, sections, ARRAY_SIZE(sections), 0x810c00, 0x400);
        judge(&file, IMAGE_SEV_SNP, rows[i].why);
        judge(&file, IMAGE_SEV, NULL);
    }
    struct place many[33];
    for (u32 i = 0; i < ARRAY_SIZE(many); i++)
        many[i] = (struct place){0x900000 + 0x2000 * i, 0x1000, i ? 1 : 0x10};
    write_image(flash, sizeof flash, many, ARRAY_SIZE(many) - 1, 0x810c00, 0x400);
    judge(&file, IMAGE_SEV_SNP, NULL);
    write_image(flash, sizeof flash, many, ARRAY_SIZE(many), 0x810c00, 0x400);
    judge(&file, IMAGE_SEV_SNP, "has 33 sections; at most 32");
}

static void owner_and_host_find_the_same_place_for_hashes(void **state)
{
    (void)state;
    static u8 flash[65536];
    static const struct {
        u32 base, size;
        const char *why;
    } rows[] = {
        {0x810c00, 176, NULL},
        {0, 0x400, "no place for kernel hashes"},
        {0x810c00, 175, "in 0xaf bytes at 0x810c00; right are at least 176"},
        {0x810c08, 0x400, "at a multiple of 16"},
        {0xffff0c00, 0x400, "in memory below the image"},
        {0xfffefc10, 0x400, "in memory below the image"},
    };
    const struct place sections[] = {{0x810000, 0x1000, 0x10}};
    const struct image_file file = {"f", flash, sizeof flash};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        write_image(flash, sizeof flash, sections, 1, rows[i].base, rows[i].size);
        for (enum image_mode mode = IMAGE_SEV; mode <= IMAGE_SEV_SNP; mode++)
            judge(&file, mode, rows[i].why);
    }
    /* An owner does not know how much memory the host has. */
    struct error error = {.code = ERROR_NONE};
    struct image_description d = {.memory_size = MIB(64),
                                  .mode = IMAGE_SEV,
                                  .kernel_hashes = true,
                                  .kernel = {"kernel", "MZ", 2},
                                  .firmware = file};
    write_image(flash, sizeof flash, sections, 1, MIB(64), 0x400);
    assert_null(image_build(&d, &error));
    assert_string_equal(error.text, "kernel hashes: needs guest memory up to 0x40000b0, there is "
                                    "0x4000000; give it more with --memory");
}

static void ovmf_starts_no_other_kernel(void **state)
{
    (void)state;
    static u8 flash[65536], linux_kernel[0x400];
    const struct image_file file = {"f", flash, sizeof flash};
    memcpy(linux_kernel + 0x202, "HdrS", 4);
    linux_kernel[0x1fe] = 0x55;
    linux_kernel[0x1ff] = 0xaa;
    const struct {
        struct image_file kernel;
        const char *why;
    } rows[] = {{{"k", "MZ", 2}, NULL},
                {{"k", linux_kernel, sizeof linux_kernel}, NULL},
                {{"k", "", 0}, "k: is empty"},
                {{"k",
                  "\x7f"
                  "ELF and more",
                  12},
                 "k: an ELF file, which OVMF cannot start"},
                {{"k", "\x1f\x8b and more", 10}, "k: a file that gzip has compressed, which OVMF"},
                {{NULL, NULL, 0}, NULL}};
    write_image(flash, sizeof flash, NULL, 0, 0, 0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct error error = {.code = ERROR_NONE};
        const int result = image_check_started(&file, &rows[i].kernel, &error);
        if (!result != !rows[i].why || (rows[i].why && !strstr(error.text, rows[i].why)))
            fail_msg("row %zu: %s", i, error.text);
    }
    /* Other firmware may start what it likes. */
    struct error error = {.code = ERROR_NONE};
    memset(flash, 0, sizeof flash);
    assert_int_equal(image_check_started(&file, &rows[3].kernel, &error), 0);
    assert_int_equal(image_check_started(&rows[5].kernel, &rows[2].kernel, &error), 0);
}

static void a_table_of_secrets_has_one_entry(void **state)
{
    (void)state;
    static const u8 guid[16] = {0xe5, 0x69, 0x68, 0x73, 0xf0, 0x84, 0x73, 0x49,
                                0x92, 0xec, 0x06, 0x87, 0x9c, 0xe3, 0xda, 0x0b};
    u8 out[64], want[45];
    assert_true(hex_decode(want, sizeof want,
                           "42f5741edd71664d963eef4287ff173b2d000000"
                           "e5696873f084734992ec06879ce3da0b19000000"
                           "68656c6c6f"));
    assert_int_equal(image_secret_table(guid, "hello", 5, out, sizeof out), sizeof want);
    assert_memory_equal(out, want, sizeof want);
    assert_int_equal(image_secret_table(guid, "hello", 5, out, sizeof want), sizeof want);
    assert_int_equal(image_secret_table(guid, "hello", 5, out, sizeof want - 1), 0);
    assert_int_equal(image_secret_table(guid, "", SIZE_MAX, out, sizeof out), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flash_image_without_hashes_is_its_own_sha256),
        cmocka_unit_test(kernel_hashes_match_the_published_digests),
        cmocka_unit_test(kernel_hashes_lead_to_the_measurement_sevctl_computes),
        cmocka_unit_test(an_image_without_a_hash_table_is_refused),
        cmocka_unit_test(registers_are_launched_as_they_are_measured),
        cmocka_unit_test(firmware_finds_kernel_and_memory),
        cmocka_unit_test(the_script_of_acpi_tables_makes_whole_ones),
        cmocka_unit_test(an_initramfs_without_a_kernel_is_refused),
        cmocka_unit_test(a_plan_holds_as_much_as_the_options_allow),
        cmocka_unit_test(firmware_says_where_the_secret_goes),
        cmocka_unit_test(a_table_of_secrets_has_one_entry),
        cmocka_unit_test(owner_and_host_judge_an_image_alike),
        cmocka_unit_test(owner_and_host_find_the_same_place_for_hashes),
        cmocka_unit_test(ovmf_starts_no_other_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
