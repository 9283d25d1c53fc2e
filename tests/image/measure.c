/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launch digests for SEV, SEV-ES and SNP against published values, and against golden digests of
 * Debian's OVMF images on which two public calculators agree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "abi/snp.h"
#include "base/bytes.h"
#include "crypto/crypto.h"
#include "image/measure.h"
#include "needs.h"

#define AMDSEV_SUFFIX "sev/measurement/ovmf_AmdSev_suffix.bin"
/* After the pages of the image that the suffix is from [snp 11]. */
static const char amdsev_partial[] =
    "086e2e9149ebf45abdc3445fba5b2da8270bdbb04094d7a2c37faaa4b24af3aa1"
    "6aff8c374c2a55c467a50da6d466b74";

static u8 bytes[MIB(8)];

static struct image_file suffix(void)
{
    return (struct image_file){"suffix", bytes, vector_load(AMDSEV_SUFFIX, bytes, sizeof bytes)};
}

/* Images of Debian in the versions that the golden digests are of. */
#define DEBIAN_AMDSEV                                                                              \
    .images = {                                                                                    \
        {"OVMF.amdsev.fd", "3e4fd0b3fe3b2dbe481c3d9e99418a034174f26cbe1f55aa212b0f18c12d2d6f"}}
#define DEBIAN_2022                                                                                \
    .images = {{"OVMF.fd", "7b456907dd0786d415999e801a1ac4637b8ed4d7cf5378cfc6edbe5e574dd773"}}

static struct image_file debian_amdsev(void)
{
    return (struct image_file){"amdsev", bytes, image_load("OVMF.amdsev.fd", bytes, sizeof bytes)};
}

static struct image_file debian_2022(void)
{
    return (struct image_file){"2022", bytes, image_load("OVMF.fd", bytes, sizeof bytes)};
}

static void assert_launch(const struct measure_description *d, const char *expected)
{
    u8 digest[MEASURE_DIGEST_MAX];
    char text[2 * MEASURE_DIGEST_MAX + 1];
    struct error error = {.code = ERROR_NONE};
    int result = measure_launch(d, NULL, digest, &error);
    assert_string_equal(error.text, "");
    assert_int_equal(result, 0);
    hex_encode(text, digest, measure_digest_size(d->mode));
    assert_string_equal(text, expected);
}

static struct measure_description describe(enum measure_mode mode, struct image_file firmware,
                                           const char *model, u32 vcpus)
{
    struct measure_description d = {
        .mode = mode, .firmware = firmware, .vcpus = vcpus, .features = mode == MEASURE_SNP};
    assert_true(measure_signature_by_name(model, &d.signature));
    return d;
}

static void with_empty_kernel(struct measure_description *d, const char *command_line)
{
    d->kernel_hashes = true;
    d->kernel = d->initrd = (struct image_file){"empty", "", 0};
    d->command_line = command_line;
}

test_that_needs(sev_es_digests_match_the_published_ones, .vectors = {AMDSEV_SUFFIX})
{
    (void)state;
    struct measure_description d = describe(MEASURE_SEV_ES, suffix(), "EPYC-v4", 1);
    with_empty_kernel(&d, "");
    assert_launch(&d, "13810ae661ea11e2bb205621f582fee268f0367c8f97bc297b7fadef3e12002c");
    d.vcpus = 4;
    assert_launch(&d, "0dccbcaba8e90b261bd0d2e1863a2f9da714768b7b2a19363cd6ae35aa90de91");
}

test_that_needs(sev_digests_match_the_published_ones, .vectors = {AMDSEV_SUFFIX})
{
    (void)state;
    struct measure_description d = describe(MEASURE_SEV, suffix(), "EPYC-v4", 0);
    with_empty_kernel(&d, NULL);
    assert_launch(&d, "77f613d7bbcdf12a73782ea9e88b0172aeda50d1a54201cb903594ff52846898");
    d.command_line = "console=ttyS0 loglevel=7";
    assert_launch(&d, "82a3ee5d537c3620628270c292ae30cb40c3c878666a7890ee7ef2a08fb535ff");
}

test_that_needs(snp_digests_match_the_published_ones, .vectors = {AMDSEV_SUFFIX})
{
    (void)state;
    u8 partial[48];
    struct measure_description d = describe(MEASURE_SNP, suffix(), "EPYC-v4", 1);
    assert_launch(&d,
                  "19358ba9a7615534a9a1e2f0dfc29384dcd4dcb7062ff9c6013b26869a5fc6ecabe033c48dd6f6"
                  "db5d6d76e7c5df632d");
    assert_true(hex_decode(partial, sizeof partial, amdsev_partial));
    d.image_digest = partial;
    with_empty_kernel(&d, "");
    assert_launch(&d,
                  "ddc5224521617a536ee7ce9dd6224d1b58a8d4fda1c741f3ac99fc4bfa04ba6e9fc98646d4a07a"
                  "9079397fa3852819b5");
    d.features = 0x21;
    assert_launch(&d,
                  "329c8ce0972ae52343b64d34a434a86f245dfd74f5ed7aae15d22efc78fb9683632b9b50e4e1d7"
                  "fa41179ef98a7ef198");
    d.features = 1;
    d.command_line = "console=ttyS0 loglevel=7";
    assert_launch(&d,
                  "6d287813eb5222d770f75005c664e34c204f385ce832cc2ce7d0d6f354454362f390ef83a92046"
                  "c042e706363b4b08fa");
}

test_that_needs(debian_amdsev_measures_as_the_calculators_say, DEBIAN_AMDSEV)
{
    (void)state;
    struct measure_description d = describe(MEASURE_SEV, debian_amdsev(), "EPYC-Milan", 1);
    assert_launch(&d, "3e4fd0b3fe3b2dbe481c3d9e99418a034174f26cbe1f55aa212b0f18c12d2d6f");
    d.mode = MEASURE_SEV_ES;
    assert_launch(&d, "38034498f7f1d1f0a59918c0618b6dfd44f7bf288beb8f99701a1e894c4cba2e");
    d.vcpus = 2;
    assert_launch(&d, "3f7b1dce8aaf2cf6704d89f726f95784dc9f47469269cfcfb6bda4043f03849a");
    d = describe(MEASURE_SNP, d.firmware, "EPYC-Milan", 1);
    assert_launch(&d,
                  "4a7f0dc0ad7c8fc19a056d1f78c6ccc2dda5c69aef1b063650d94598084b89a89a5e295aceb082"
                  "23b8ddd027620dbe66");
    d.image_only = true;
    assert_launch(&d,
                  "9d0dd8be18c86e3fe3bf0038ed75ebf5340bee69fd2632c8ff9409964575960ae1f7e84be387d2"
                  "e3467bc3508d1e4806");
    d = describe(MEASURE_SNP, d.firmware, "EPYC-Turin", 1);
    d.features = 0x21;
    assert_launch(&d,
                  "41c152ca4ed3980570d3f48b70a43cf09284efd86092584983e783b95920df8de8bfda6601e404"
                  "b98f53ca31b5768f35");
}

test_that_needs(debian_2022_measures_as_the_calculators_say, DEBIAN_2022)
{
    (void)state;
    struct measure_description d = describe(MEASURE_SEV_ES, debian_2022(), "EPYC-Milan", 1);
    assert_launch(&d, "8590d0b6d4beced4ec5d855960dd684f2887af7ae80bb6783610620c6aa34362");
    d = describe(MEASURE_SNP, d.firmware, "EPYC-Milan", 1);
    assert_launch(&d,
                  "80479ca85a2b182c026f6a3a2f2b180ab968d84b17540dd30de39039e70b8c0c33ead2cae6d34e"
                  "37750035fcff60bfc8");
}

/* sevctl's pages are of the older era: FPU control words zero [sev 10]. */
test_that_needs(save_areas_of_the_older_era_are_sevctls,
                .vectors = {"sevctl/data/vmsa0.bin", "sevctl/data/vmsa1.bin"})
{
    (void)state;
    struct vmsa page;
    u8 want[4096];
    assert_int_equal(vector_load("sevctl/data/vmsa0.bin", want, sizeof want), sizeof want);
    measure_vmsa(MEASURE_VMM_QEMU_OLD, 0xfffffff0, 0x00a00f11, 0, &page);
    assert_memory_equal(&page, want, sizeof page);
    assert_int_equal(vector_load("sevctl/data/vmsa1.bin", want, sizeof want), sizeof want);
    measure_vmsa(MEASURE_VMM_QEMU_OLD, 0x0080b004, 0x00a00f11, 0, &page);
    assert_memory_equal(&page, want, sizeof page);
}

struct seen {
    u32 count, zero, secrets, cpuid, vmsa, flash;
    struct measure_record last;
    u64 cpuid_at;
};

static void see(void *context, const struct measure_record *r)
{
    static const u8 none[MEASURE_DIGEST_MAX];
    struct seen *s = context;
    s->flash += !strcmp(r->name, "flash");
    s->zero += !strcmp(r->type, "ZERO");
    s->secrets += !strcmp(r->type, "SECRETS");
    s->vmsa += !strcmp(r->type, "VMSA");
    if (!strcmp(r->type, "CPUID")) {
        s->cpuid++;
        s->cpuid_at = s->count;
        assert_memory_equal(r->contents, none, sizeof none);
    }
    s->count++;
    s->last = *r;
}

test_that_needs(every_contribution_is_seen_in_order, .vectors = {AMDSEV_SUFFIX})
{
    (void)state;
    struct measure_description d = describe(MEASURE_SNP, suffix(), "EPYC-Milan", 3);
    struct seen qemu = {0}, ec2 = {0};
    struct error error = {.code = ERROR_NONE};
    u8 digest[MEASURE_DIGEST_MAX];
    assert_int_equal(
        measure_launch(&d, &(struct measure_sink){.record = see, .context = &qemu}, digest, &error),
        0);
    assert_memory_equal(qemu.last.digest, digest, sizeof digest);
    assert_int_equal(qemu.flash, 1);
    assert_int_equal(qemu.vmsa, 3);
    assert_true(qemu.secrets == 1 && qemu.cpuid == 1 && qemu.zero > 0);
    d.vmm = MEASURE_VMM_EC2;
    assert_int_equal(
        measure_launch(&d, &(struct measure_sink){.record = see, .context = &ec2}, digest, &error),
        0);
    assert_int_equal(ec2.count, qemu.count);
    assert_int_equal(ec2.cpuid_at, ec2.count - 1 - 3);
    assert_true(qemu.cpuid_at < ec2.cpuid_at);
}

/* --- The same launches as plans --------------------------------------------------------------- */

static void chain(u8 digest[48], const struct image_piece *p, u32 type, u64 gpa, const u8 *data)
{
    static const u8 zeros[PAGE_SIZE];
    struct snp_page_info info = {.length = sizeof info, .page_type = (u8)type, .gpa = gpa};
    memcpy(info.digest_current, digest, 48);
    if (type == SNP_PAGE_NORMAL || type == SNP_PAGE_VMSA)
        crypto_sha384(data ? data : zeros, PAGE_SIZE, info.contents);
    else
        assert_true(!p || !p->data);
    crypto_sha384(&info, sizeof info, digest);
}

/* What a hypervisor that launches the plan comes to. */
static void digest_of_plan(const struct image_plan *plan, u8 digest[48])
{
    memset(digest, 0, 48);
    for (u32 i = 0; i < plan->piece_count; i++) {
        const struct image_piece *p = &plan->pieces[i];
        assert_true(p->data_size == 0 || p->data_size == p->size);
        for (u64 at = 0; at < p->size; at += PAGE_SIZE)
            chain(digest, p, p->page_type, p->gpa + at, p->data_size ? p->data + at : NULL);
    }
    for (u32 i = 0; i < plan->vmsa_count; i++)
        chain(digest, NULL, SNP_PAGE_VMSA, SNP_VMSA_GPA, (const u8 *)plan->vmsas[i]);
}

static void assert_plan(const struct measure_description *d, const char *expected)
{
    u8 digest[48];
    char text[97];
    struct error error = {.code = ERROR_NONE};
    struct image_plan *plan = measure_to_plan(d, MIB(64), &error);
    assert_string_equal(error.text, "");
    assert_non_null(plan);
    assert_int_equal(plan->mode, IMAGE_SEV_SNP);
    assert_int_equal(plan->vmsa_count, d->vcpus);
    assert_int_equal(plan->flash_gpa + plan->flash_size, GIB(4));
    assert_true(plan->piece_count < 20); /* the image is one piece, not a thousand */
    digest_of_plan(plan, digest);
    hex_encode(text, digest, sizeof digest);
    assert_string_equal(text, expected);
    image_free(plan);
}

test_that_needs(a_plan_of_debian_amdsev_has_the_calculators_digest, DEBIAN_AMDSEV)
{
    (void)state;
    struct measure_description d = describe(MEASURE_SNP, debian_amdsev(), "EPYC-Milan", 1);
    assert_plan(&d, "4a7f0dc0ad7c8fc19a056d1f78c6ccc2dda5c69aef1b063650d94598084b89a89a5e295aceb082"
                    "23b8ddd027620dbe66");
    d = describe(MEASURE_SNP, d.firmware, "EPYC-Turin", 1);
    d.features = 0x21;
    assert_plan(&d, "41c152ca4ed3980570d3f48b70a43cf09284efd86092584983e783b95920df8de8bfda6601e404"
                    "b98f53ca31b5768f35");
}

test_that_needs(a_plan_of_debian_2022_has_the_calculators_digest, DEBIAN_2022)
{
    (void)state;
    struct measure_description d = describe(MEASURE_SNP, debian_2022(), "EPYC-Milan", 1);
    assert_plan(&d, "80479ca85a2b182c026f6a3a2f2b180ab968d84b17540dd30de39039e70b8c0c33ead2cae6d34e"
                    "37750035fcff60bfc8");
}

/* Kernel hashes and several processors: pages that are made here and not in the file. */
test_that_needs(a_plan_keeps_what_is_not_in_the_file, .vectors = {AMDSEV_SUFFIX})
{
    (void)state;
    struct measure_description d = describe(MEASURE_SNP, suffix(), "EPYC-v4", 4);
    struct error error = {.code = ERROR_NONE};
    u8 digest[MEASURE_DIGEST_MAX];
    char text[97];
    with_empty_kernel(&d, "console=ttyS0");
    assert_int_equal(measure_launch(&d, NULL, digest, &error), 0);
    hex_encode(text, digest, 48);
    assert_plan(&d, text);
}

test_that_needs(plans_that_do_not_fit_are_refused, .vectors = {AMDSEV_SUFFIX})
{
    (void)state;
    struct measure_description d = describe(MEASURE_SNP, suffix(), "EPYC-v4", 1);
    struct error error = {.code = ERROR_NONE};
    assert_null(measure_to_plan(&d, MIB(8), &error));
    assert_non_null(strstr(error.text, "needs guest memory up to"));
    d.vcpus = 9;
    error.code = ERROR_NONE;
    assert_null(measure_to_plan(&d, MIB(64), &error));
    assert_string_equal(error.text, "9 virtual processors; a guest here has 1 to 8");
    error.code = ERROR_NONE;
    assert_null(measure_to_plan(&d, MIB(3), &error));
}

static void images_without_the_needed_tables_are_refused(void **state)
{
    (void)state;
    static u8 blank[8192];
    memset(blank, 1, sizeof blank);
    struct measure_description d =
        describe(MEASURE_SNP, (struct image_file){"blank", blank, sizeof blank}, "EPYC", 1);
    u8 digest[MEASURE_DIGEST_MAX];
    const struct {
        enum measure_mode mode;
        u32 vcpus;
        bool hashes;
        size_t size;
        const char *text;
    } cases[] = {
        {MEASURE_SNP, 1, false, 8192, "blank: has no metadata for SNP; newer builds of OVMF do"},
        {MEASURE_SNP, 1, false, 4112,
         "blank: 4112 bytes; a flash image has up to 64 MiB in multiples of 4096"},
        {MEASURE_SEV_ES, 0, false, 8192, "0 virtual processors; a launch has 1 to 4096"},
        {MEASURE_SEV_ES, 2, false, 8192,
         "blank: has no reset block, which says where processors but the first begin"},
        {MEASURE_SEV_ES, 1, true, 8192,
         "blank: has no place for kernel hashes; an AmdSev build of OVMF has one"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct error error = {.code = ERROR_NONE};
        d.mode = cases[i].mode;
        d.vcpus = cases[i].vcpus;
        d.firmware.size = cases[i].size;
        d.kernel_hashes = cases[i].hashes;
        d.kernel = (struct image_file){"kernel", "", 0};
        assert_int_equal(measure_launch(&d, NULL, digest, &error), -1);
        assert_string_equal(error.text, cases[i].text);
    }
}

/* One field of the header of the SNP metadata at a time [snp 5.7]. */
test_that_needs(damaged_metadata_is_refused, .vectors = {AMDSEV_SUFFIX})
{
    (void)state;
    static const struct {
        u32 at, value;
        const char *text;
    } cases[] = {
        {0, 0x56455342, "suffix: its metadata is not of version 1"}, /* "BSEV" */
        {8, 2, "suffix: its metadata is not of version 1"},
        {4, 15, "suffix: its metadata says "},
        {4, 4096, "suffix: its metadata says "},
        {12, 1000, "suffix: its metadata says 1000 sections in "},
    };
    struct measure_description d = describe(MEASURE_SNP, suffix(), "EPYC", 1);
    u8 digest[MEASURE_DIGEST_MAX], *header = bytes;
    while (memcmp(header, "ASEV", 4))
        header++;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct error error = {.code = ERROR_NONE};
        u32 was = load_le32(header + cases[i].at);
        assert_int_equal(measure_launch(&d, NULL, digest, &error), 0);
        store_le32(header + cases[i].at, cases[i].value);
        assert_int_equal(measure_launch(&d, NULL, digest, &error), -1);
        assert_int_equal(strncmp(error.text, cases[i].text, strlen(cases[i].text)), 0);
        store_le32(header + cases[i].at, was);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sev_digests_match_the_published_ones),
        cmocka_unit_test(sev_es_digests_match_the_published_ones),
        cmocka_unit_test(snp_digests_match_the_published_ones),
        cmocka_unit_test(debian_amdsev_measures_as_the_calculators_say),
        cmocka_unit_test(debian_2022_measures_as_the_calculators_say),
        cmocka_unit_test(save_areas_of_the_older_era_are_sevctls),
        cmocka_unit_test(every_contribution_is_seen_in_order),
        cmocka_unit_test(a_plan_of_debian_amdsev_has_the_calculators_digest),
        cmocka_unit_test(a_plan_of_debian_2022_has_the_calculators_digest),
        cmocka_unit_test(a_plan_keeps_what_is_not_in_the_file),
        cmocka_unit_test(plans_that_do_not_fit_are_refused),
        cmocka_unit_test(images_without_the_needed_tables_are_refused),
        cmocka_unit_test(damaged_metadata_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
