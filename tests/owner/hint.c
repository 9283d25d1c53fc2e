/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a measurement is another one: launches of a small image with SNP metadata and a reset block,
 * each different in one way or several from what was expected, and the reason found in words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "owner/hint.h"
#include "needs.h"

/* The last page of OVMF, with its tables: the image of sev-snp-measure's own tests [snp 11]. */
#define SUFFIX "sev/measurement/ovmf_AmdSev_suffix.bin"
static u8 image[PAGE_SIZE];
static const u8 kernel[100] = {1}, initrd[50] = {2};

static struct measure_description expected(enum measure_mode mode)
{
    assert_int_equal(vector_load(SUFFIX, image, sizeof image), PAGE_SIZE);
    return (struct measure_description){
        .mode = mode,
        .firmware = {"image", image, sizeof image},
        .kernel_hashes = true,
        .kernel = {"kernel", kernel, sizeof kernel},
        .initrd = {"initrd", initrd, sizeof initrd},
        .command_line = "quiet",
        .vcpus = 1,
        .signature = 0xa00f11,
        .features = mode == MEASURE_SNP ? 1 : 0,
    };
}

static bool equals(void *context, const u8 digest[MEASURE_DIGEST_MAX])
{
    return !memcmp(context, digest, MEASURE_DIGEST_MAX);
}

/* What was measured is the launch `d`; a SEV-ES digest has zeros behind, as measure_launch() leaves
 * them. */
static void assert_hint(const struct measure_description *e, const struct measure_description *d,
                        bool found, const char *words)
{
    u8 digest[MEASURE_DIGEST_MAX];
    char text[HINT_TEXT_MAX];
    struct error error = {.code = ERROR_NONE};
    assert_int_equal(measure_launch(d, NULL, digest, &error), 0);
    bool result = hint_search(&(struct hint_question){e, equals, digest}, text);
    if (result != found || (found ? strcmp(text, words) != 0 : !strstr(text, words)))
        print_message("# %s\n", text);
    assert_int_equal(result, found);
    if (found)
        assert_string_equal(text, words);
    else
        assert_non_null(strstr(text, words));
}

test_that_needs(one_difference, .vectors = {SUFFIX})
{
    (void)state;
    struct measure_description e = expected(MEASURE_SNP), d;
#define DIFFERENT(statement, words)                                                                \
    do {                                                                                           \
        d = e;                                                                                     \
        statement;                                                                                 \
        assert_hint(&e, &d, true, words);                                                          \
    } while (0)
    DIFFERENT(d.vcpus = 3, "3 processors, not 1");
    DIFFERENT(d.vcpus = 64, "64 processors, not 1");
    DIFFERENT(d.vmm = MEASURE_VMM_EC2, "--vmm-type ec2, not qemu");
    DIFFERENT(d.vmm = MEASURE_VMM_GCE, "--vmm-type gce, not qemu");
    DIFFERENT(d.features = 0x21, "--guest-features 0x21, not 0x1");
    DIFFERENT(d.signature = 0xa10f10, "--vcpu-type EPYC-Genoa (0xa10f10), not 0xa00f11");
    DIFFERENT(d.kernel_hashes = false, "without kernel hashes");
    DIFFERENT(d.initrd.data = NULL; d.initrd.size = 0, "kernel hashes without an initrd");
    DIFFERENT(d.command_line = "", "kernel hashes with an empty command line");
    e.kernel_hashes = false;
    DIFFERENT(d.kernel_hashes = true, "with kernel hashes");
    e.vcpus = 2;
    DIFFERENT(d.vcpus = 1, "1 processor, not 2");
#undef DIFFERENT
}

test_that_needs(several, .vectors = {SUFFIX})
{
    (void)state;
    const struct measure_description e = expected(MEASURE_SNP);
    struct measure_description d = e;
    d.vcpus = 5;
    d.features = 0x201;
    d.vmm = MEASURE_VMM_QEMU_OLD;
    d.kernel_hashes = false;
    assert_hint(&e, &d, true,
                "without kernel hashes, --vmm-type qemu-old, not qemu, --guest-features 0x201, not "
                "0x1, 5 processors, not 1");
    d = e;
    d.command_line = "debug";
    assert_hint(&e, &d, false, "look for another flash image, kernel, initrd or command line");
    d = e;
    d.vcpus = 65;
    assert_hint(&e, &d, false, "up to 64 processors");
}

static void nth(void *context, const struct measure_record *r)
{
    struct measure_record *wanted = context;
    if (wanted->gpa == r->gpa)
        *wanted = *r;
}

test_that_needs(a_launch_that_ended_early, .vectors = {SUFFIX})
{
    (void)state;
    const struct measure_description e = expected(MEASURE_SNP);
    u8 digest[MEASURE_DIGEST_MAX];
    char text[HINT_TEXT_MAX];
    struct error error = {.code = ERROR_NONE};
    struct measure_record at = {.gpa = 0x80d000}; /* the secrets page of stock OVMF [snp 5.7] */
    struct measure_sink sink = {.record = nth, .context = &at};
    assert_int_equal(measure_launch(&e, &sink, digest, &error), 0);
    assert_true(hint_search(&(struct hint_question){&e, equals, at.digest}, text));
    assert_non_null(strstr(text, "the launch ended after "));
    assert_non_null(strstr(text, "with secrets at 0x80d000 (SECRETS)"));
}

test_that_needs(sev_es_and_sev, .vectors = {SUFFIX})
{
    (void)state;
    struct measure_description e = expected(MEASURE_SEV_ES), d = e;
    d.vcpus = 4;
    d.vmm = MEASURE_VMM_QEMU_OLD;
    assert_hint(&e, &d, true, "--vmm-type qemu-old, not qemu, 4 processors, not 1");
    e = expected(MEASURE_SEV);
    d = e;
    d.kernel_hashes = false;
    assert_hint(&e, &d, true,
                "the launch ended after 1 contributions, with flash at 0xfffff000 (DATA)");
    d = e;
    d.initrd = (struct image_file){.name = "none"};
    assert_hint(&e, &d, true, "kernel hashes without an initrd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_difference),
        cmocka_unit_test(several),
        cmocka_unit_test(a_launch_that_ended_early),
        cmocka_unit_test(sev_es_and_sev),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
