/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans of SNP guests: every page of RAM is launched once and has its type, a kernel finds the CC
 * blob by its setup_data, and the digest is the chain of [snp 5.3], whose self-check vectors are
 * the specification page's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "abi/snp.h"
#include "abi/x86.h"
#include "crypto/crypto.h"
#include "image/measure.h"
#include "kernel.h"

static struct image_plan *plan_of(struct kernel *k, u64 memory, const struct image_file *initrd)
{
    struct error error = {.code = ERROR_NONE};
    make_kernel(k);
    struct image_description d = describe(k);
    d.mode = IMAGE_SEV_SNP;
    d.memory_size = memory;
    if (initrd)
        d.initrd = *initrd;
    struct image_plan *plan = image_build(&d, &error);
    assert_non_null(plan);
    return plan;
}

static u32 type_of(const struct image_piece *p)
{
    return p->page_type ? p->page_type : SNP_PAGE_NORMAL;
}

/* Pages by type; each of RAM but the display's window is in exactly one piece. */
static void count_pages(const struct image_plan *plan, u64 counts[SNP_PAGE_CPUID + 1])
{
    u64 pages = (plan->memory_size > BOARD_LOW_RAM_END
                     ? plan->memory_size + BOARD_HIGH_RAM - BOARD_LOW_RAM_END
                     : plan->memory_size) /
                PAGE_SIZE;
    u8 *seen = calloc(pages, 1);
    memset(counts, 0, (SNP_PAGE_CPUID + 1) * sizeof counts[0]);
    for (u32 i = 0; i < plan->piece_count; i++) {
        const struct image_piece *p = &plan->pieces[i];
        counts[type_of(p)] += p->size / PAGE_SIZE;
        for (u64 at = 0; at < p->size; at += PAGE_SIZE) {
            assert_in_range((p->gpa + at) / PAGE_SIZE, 0, pages - 1);
            assert_int_equal(seen[(p->gpa + at) / PAGE_SIZE]++, 0);
        }
    }
    for (u64 page = 0; page < pages; page++) {
        u64 gpa = page * PAGE_SIZE;
        bool hole =
            (gpa >= 0xa0000 && gpa < 0xc0000) || (gpa >= BOARD_LOW_RAM_END && gpa < BOARD_HIGH_RAM);
        if (seen[page] == hole)
            print_message("# page %#llx\n", (unsigned long long)gpa);
        assert_int_equal(seen[page], !hole);
    }
    free(seen);
}

static void all_memory_is_launched_once(void **state)
{
    (void)state;
    static struct kernel k;
    static u8 initrd[12345];
    const struct image_file file = {"initrd", initrd, sizeof initrd};
    static const u64 sizes[] = {MIB(64), MIB(256), GIB(3), GIB(5)};
    for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
        u64 counts[SNP_PAGE_CPUID + 1];
        struct image_plan *plan = plan_of(&k, sizes[i], &file);
        count_pages(plan, counts);
        assert_int_equal(counts[SNP_PAGE_SECRETS], 1);
        assert_int_equal(counts[SNP_PAGE_CPUID], 1);
        assert_int_equal(counts[SNP_PAGE_UNMEASURED] + counts[SNP_PAGE_VMSA], 0);
        assert_true(counts[SNP_PAGE_NORMAL] > 10 && counts[SNP_PAGE_NORMAL] < 40);
        image_free(plan);
    }
}

static const struct image_e820 *region_of(const struct image_plan *plan, u64 gpa)
{
    for (u32 i = 0; i < plan->e820_count; i++)
        if (gpa >= plan->e820[i].start && gpa < plan->e820[i].start + plan->e820[i].size)
            return &plan->e820[i];
    return NULL;
}

/* boot_params -> setup_data -> CC blob -> secrets and CPUID pages, which the kernel must not take
 * for RAM [cpu 9.2]. */
static void a_kernel_finds_its_secrets(void **state)
{
    (void)state;
    static struct kernel k;
    struct image_plan *plan = plan_of(&k, MIB(256), NULL);
    const u8 *bp = piece(plan, "boot_params")->data;
    const struct image_piece *node = piece(plan, "setup_data"), *blob = piece(plan, "cc_blob"),
                             *secrets = piece(plan, "secrets"), *cpuid = piece(plan, "cpuid");
    assert_int_equal(load_le64(bp + 0x250), node->gpa);
    assert_int_equal(load_le64(node->data), 0);
    assert_int_equal(load_le32(node->data + 8), 7);
    assert_int_equal(load_le32(node->data + 12), 4);
    assert_int_equal(load_le32(node->data + 16), blob->gpa);
    assert_memory_equal(blob->data, "AMDE", 4);
    assert_int_equal(load_le32(blob->data + 4), 1);
    assert_int_equal(load_le64(blob->data + 8), secrets->gpa);
    assert_int_equal(load_le64(blob->data + 16), PAGE_SIZE);
    assert_int_equal(load_le64(blob->data + 24), cpuid->gpa);
    assert_int_equal(load_le64(blob->data + 32), PAGE_SIZE);
    assert_int_equal(type_of(secrets), SNP_PAGE_SECRETS);
    assert_int_equal(type_of(cpuid), SNP_PAGE_CPUID);
    assert_int_equal(region_of(plan, blob->gpa)->type, IMAGE_E820_RESERVED);
    assert_int_equal(region_of(plan, secrets->gpa)->type, IMAGE_E820_RESERVED);
    assert_int_equal(region_of(plan, cpuid->gpa)->type, IMAGE_E820_RESERVED);
    assert_int_equal(region_of(plan, piece(plan, "acpi")->gpa)->type, IMAGE_E820_ACPI);
    assert_int_equal(region_of(plan, secrets->gpa - 1)->type, IMAGE_E820_RAM);
    assert_int_equal(plan->vmsa_count, 1);
    assert_int_equal(plan->vmsas[0]->sev_features, 1);
    assert_int_equal(plan->vmsas[0]->vmpl, 0);
    image_free(plan);
}

static void only_an_snp_kernel_has_them(void **state)
{
    (void)state;
    static struct kernel k;
    struct error error = {.code = ERROR_NONE};
    make_kernel(&k);
    struct image_description d = describe(&k);
    for (u32 mode = IMAGE_NONE; mode <= IMAGE_SEV_ES; mode++) {
        d.mode = (enum image_mode)mode;
        struct image_plan *plan = image_build(&d, &error);
        assert_non_null(plan);
        assert_null(piece(plan, "secrets"));
        assert_null(piece(plan, "setup_data"));
        assert_int_equal(load_le64(piece(plan, "boot_params")->data + 0x250), 0);
        for (u32 i = 0; i < plan->piece_count; i++)
            assert_int_equal(plan->pieces[i].page_type, 0);
        image_free(plan);
    }
}

/* --- The digest ------------------------------------------------------------------------------- */

struct seen {
    u32 count;
    struct measure_record records[8];
};

static void see(void *context, const struct measure_record *record)
{
    struct seen *s = context;
    s->records[s->count++] = *record;
}

/* [snp 5.3]: each step extends the one before it. */
static void the_digest_is_the_specifications_chain(void **state)
{
    (void)state;
    static const char *const steps[] = {
        "46c510442a54cc32344cef32e14dc3d6312fc4a010780dd11fd33204df5550590356b069e6c6ca5bbfca71561f"
        "370399",
        "58bcd0444a7ed18b2f83cdbec58255f3e4e9439735fc13bcb00ad80b5c9ec9b21abecc3fa389c02781e68496e7"
        "20bc70",
        "4a1be0fd7e5f2abff17ed5d7f59e9258f6ae28795b4093a13a13cccd42dae7a314536932ab943d68f2240073a3"
        "c8748b",
        "680559cbc8a791969911e957369343df96022341d7443bc553e300411c68f043c6ab1eb6b66c15f4f1878431ee"
        "74fad6",
        "4c90879aaf9e2f685c31471820e0c07e5552557b47f7ecf184b1a37f6b2d4c26b36b62ead75a54f5bb67b3c5c9"
        "c95890",
    };
    static const struct vmsa vmsa;
    struct image_plan *plan = calloc(1, sizeof *plan);
    *plan = (struct image_plan){.mode = IMAGE_SEV_SNP, .vmsas = {&vmsa}, .vmsa_count = 1};
    const struct image_piece pieces[] = {
        {.name = "normal", .gpa = 0xfffff000, .size = PAGE_SIZE},
        {.name = "zero", .gpa = 0x800000, .size = PAGE_SIZE, .page_type = SNP_PAGE_ZERO},
        {.name = "secrets", .gpa = 0x80d000, .size = PAGE_SIZE, .page_type = SNP_PAGE_SECRETS},
        {.name = "cpuid", .gpa = 0x80e000, .size = PAGE_SIZE, .page_type = SNP_PAGE_CPUID},
    };
    memcpy(plan->pieces, pieces, sizeof pieces);
    plan->piece_count = ARRAY_SIZE(pieces);
    struct seen seen = {.count = 0};
    u8 digest[MEASURE_DIGEST_MAX];
    char text[97];
    measure_snp_plan(plan, &(struct measure_sink){.record = see, .context = &seen}, digest);
    assert_int_equal(seen.count, ARRAY_SIZE(steps));
    for (u32 i = 0; i < ARRAY_SIZE(steps); i++) {
        hex_encode(text, seen.records[i].digest, 48);
        assert_string_equal(text, steps[i]);
    }
    assert_string_equal(seen.records[1].type, "ZERO");
    assert_int_equal(seen.records[4].gpa, SNP_VMSA_GPA);
    image_snp_digest(plan, digest);
    hex_encode(text, digest, 48);
    assert_string_equal(text, steps[4]);
    free(plan);
}

/* A page that ends inside its data, and what is behind it: zeros, measured. Each changes the
 * digest. */
static void every_byte_and_address_counts(void **state)
{
    (void)state;
    static u8 bytes[5000];
    struct image_plan *plan = calloc(1, sizeof *plan);
    *plan = (struct image_plan){.mode = IMAGE_SEV_SNP, .piece_count = 1};
    plan->pieces[0] = (struct image_piece){.name = "data",
                                           .gpa = MIB(1),
                                           .size = 3 * PAGE_SIZE,
                                           .data = bytes,
                                           .data_size = sizeof bytes};
    u8 first[48], other[48];
    image_snp_digest(plan, first);
    bytes[4999] = 1;
    image_snp_digest(plan, other);
    assert_memory_not_equal(first, other, 48);
    bytes[4999] = 0;
    plan->pieces[0].size = 2 * PAGE_SIZE;
    image_snp_digest(plan, other);
    assert_memory_not_equal(first, other, 48);
    plan->pieces[0].size = 3 * PAGE_SIZE;
    plan->pieces[0].data_size = 4096; /* the rest is zeros either way */
    image_snp_digest(plan, other);
    assert_memory_equal(first, other, 48);
    plan->pieces[0].gpa = MIB(2);
    image_snp_digest(plan, other);
    assert_memory_not_equal(first, other, 48);
    plan->pieces[0].gpa = MIB(1);
    plan->pieces[0].page_type = SNP_PAGE_UNMEASURED;
    image_snp_digest(plan, other);
    assert_memory_not_equal(first, other, 48);
    free(plan);
}

/* --- SEV_FEATURES ----------------------------------------------------------------------------- */

static void features_are_in_the_vmsa_and_in_the_digest(void **state)
{
    (void)state;
    struct kernel k;
    struct error error = {.code = ERROR_NONE};
    u8 without[48], with[48];
    make_kernel(&k);
    struct image_description d = describe(&k);
    d.mode = IMAGE_SEV_SNP;
    d.memory_size = MIB(64);
    struct image_plan *plain = image_build(&d, &error);
    d.sev_features = SEV_FEATURE_SECURE_TSC;
    struct image_plan *secure = image_build(&d, &error);
    assert_non_null(plain);
    assert_non_null(secure);
    assert_int_equal(plain->vmsas[0]->sev_features, SEV_FEATURE_SNP);
    assert_int_equal(secure->vmsas[0]->sev_features, SEV_FEATURE_SNP | SEV_FEATURE_SECURE_TSC);
    image_snp_digest(plain, without);
    image_snp_digest(secure, with);
    assert_memory_not_equal(without, with, 48);
    image_free(plain);
    image_free(secure);
}

/* With vTOM the C-bit is a reserved bit, and what lies below the top of memory is private. */
static void vtom_takes_the_place_of_the_c_bit(void **state)
{
    (void)state;
    struct kernel k;
    struct error error = {.code = ERROR_NONE};
    make_kernel(&k);
    struct image_description d = describe(&k);
    d.mode = IMAGE_SEV_SNP;
    d.memory_size = MIB(64);
    d.sev_features = SEV_FEATURE_VTOM;
    struct image_plan *plan = image_build(&d, &error);
    assert_non_null(plan);
    assert_int_equal(plan->vmsas[0]->virtual_tom, MIB(64));
    assert_int_equal(plan->vmsas[0]->cr3 >> C_BIT, 0);
    for (u32 i = 0; i < plan->piece_count; i++)
        if (!strcmp(plan->pieces[i].name, "page_tables"))
            assert_int_equal(load_le64(plan->pieces[i].data) >> C_BIT, 0);
    image_free(plan);
    d.memory_size = GIB(6);
    assert_null(image_build(&d, &error));
    assert_int_equal(error.code, ERROR_USAGE);
}

static void features_that_no_guest_can_have_are_refused(void **state)
{
    (void)state;
    static const struct {
        u64 features;
        enum image_mode mode;
        bool right;
    } rows[] = {
        {0, IMAGE_NONE, true},
        {SEV_FEATURE_DEBUG_VIRT, IMAGE_SEV, false},
        {SEV_FEATURE_DEBUG_VIRT, IMAGE_SEV_ES, true},
        {SEV_FEATURE_SNP | SEV_FEATURE_DEBUG_VIRT, IMAGE_SEV_ES, false},
        {SEV_FEATURE_SECURE_TSC, IMAGE_SEV_ES, false},
        {SEV_FEATURE_SECURE_TSC, IMAGE_SEV_SNP, false}, /* without bit 0 */
        {SEV_FEATURE_SNP | SEV_FEATURE_SECURE_TSC, IMAGE_SEV_SNP, true},
        {SEV_FEATURE_SNP | BIT(17), IMAGE_SEV_SNP, false},
        {SEV_FEATURE_SNP | BIT(22), IMAGE_SEV_SNP, false},
        {SEV_FEATURE_SNP | BIT(63), IMAGE_SEV_SNP, false},
        {SEV_FEATURE_SNP | BIT(3) | BIT(4), IMAGE_SEV_SNP, false},
        {SEV_FEATURE_SNP | SEV_FEATURE_IBPB_ON_ENTRY, IMAGE_SEV_SNP, true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (!image_sev_features_wrong(rows[i].features, rows[i].mode) != rows[i].right)
            fail_msg("row %zu", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_memory_is_launched_once),
        cmocka_unit_test(a_kernel_finds_its_secrets),
        cmocka_unit_test(only_an_snp_kernel_has_them),
        cmocka_unit_test(the_digest_is_the_specifications_chain),
        cmocka_unit_test(every_byte_and_address_counts),
        cmocka_unit_test(features_are_in_the_vmsa_and_in_the_digest),
        cmocka_unit_test(vtom_takes_the_place_of_the_c_bit),
        cmocka_unit_test(features_that_no_guest_can_have_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
