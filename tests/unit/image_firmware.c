/* SPDX-License-Identifier: Apache-2.0 */
/* Launch digests of flash images and kernel hashes, against published values [sev 14.4, 14.6]. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "crypto/crypto.h"
#include "image/image.h"

struct file {
    u8 bytes[65536];
    size_t size;
};

/* False: the vectors are not here. */
static bool vector(const char *name, struct file *out)
{
    const char *folder = getenv("SOFTSEV_VECTORS");
    char path[600];
    snprintf(path, sizeof path, "%s/%s", folder ? folder : "../shared/vectors", name);
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    out->size = fread(out->bytes, 1, sizeof out->bytes, f);
    fclose(f);
    return true;
}

static void digest_of(const struct image_description *d, u8 digest[32])
{
    struct error error = {0};
    struct image_plan *plan = image_build(d, &error);
    assert_non_null(plan);
    image_digest(plan, digest);
    image_free(plan);
}

static void assert_digest(const struct image_description *d, const char *expected)
{
    u8 digest[32], want[32];
    digest_of(d, digest);
    assert_true(hex_decode(want, sizeof want, expected));
    assert_memory_equal(digest, want, sizeof want);
}

static void a_flash_image_without_hashes_is_its_own_sha256(void **state)
{
    (void)state;
    static struct file flash;
    if (!vector("sev/measurement/ovmf_OvmfX64_suffix.bin", &flash))
        skip();
    struct image_description d = {.memory_size = MIB(64), .mode = IMAGE_SEV};
    d.firmware = (struct image_file){"OvmfX64", flash.bytes, flash.size};
    assert_digest(&d, "b4c021e085fb83ceffe6571a3d357b4a98773c83c474e47f76c876708fe316da");
}

static void kernel_hashes_match_the_published_digests(void **state)
{
    (void)state;
    static struct file flash;
    if (!vector("sev/measurement/ovmf_AmdSev_suffix.bin", &flash))
        skip();
    struct image_description d = {.memory_size = MIB(64), .mode = IMAGE_SEV, .kernel_hashes = true};
    d.firmware = (struct image_file){"AmdSev", flash.bytes, flash.size};
    d.kernel = (struct image_file){"kernel", "", 0};
    assert_digest(&d, "77f613d7bbcdf12a73782ea9e88b0172aeda50d1a54201cb903594ff52846898");
    d.initrd = d.kernel;
    d.command_line = "console=ttyS0 loglevel=7";
    assert_digest(&d, "82a3ee5d537c3620628270c292ae30cb40c3c878666a7890ee7ef2a08fb535ff");
}

static void kernel_hashes_lead_to_the_measurement_sevctl_computes(void **state)
{
    (void)state;
    static struct file flash;
    if (!vector("sevctl/data/OVMF.amdsev.fd_trimmed_edk2-ovmf-20220126gitbb1bba3d77-4.el9", &flash))
        skip();
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flash_image_without_hashes_is_its_own_sha256),
        cmocka_unit_test(kernel_hashes_match_the_published_digests),
        cmocka_unit_test(kernel_hashes_lead_to_the_measurement_sevctl_computes),
        cmocka_unit_test(an_image_without_a_hash_table_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
