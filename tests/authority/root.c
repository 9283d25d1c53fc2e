/* SPDX-License-Identifier: Apache-2.0 */
/* The software manufacturer: its root, its files, its signature;
 * and that it never looks like AMD. */
#include "authority/authority.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct fixture {
    struct crypto *crypto;
    struct authority *authority;
};

static int make(void **state)
{
    static struct fixture f;
    f.crypto = crypto_create("authority", 9);
    f.authority = authority_create(f.crypto, 2048);
    assert_non_null(f.authority);
    *state = &f;
    return 0;
}

static int unmake(void **state)
{
    struct fixture *f = *state;
    authority_free(f->authority);
    authority_free(NULL);
    crypto_destroy(f->crypto);
    return 0;
}

static void make_cek(struct sev_cert *cek)
{
    u8 fuses[32] = {1};
    struct ec_private key;
    assert_true(identity_cek(fuses, &key));
    sev_cert_init(cek, SEV_USAGE_CEK, SEV_ALGORITHM_ECDSA_SHA256, 0, 14, &key.public);
}

static void the_root_verifies_and_signs_a_cek(void **state)
{
    struct fixture *f = *state;
    const struct amd_chain *root = authority_chain(f->authority);
    struct sev_cert cek;
    assert_int_equal(chain_verify_root(root).check, CERT_OK);
    make_cek(&cek);
    assert_int_equal(sev_cert_verify_amd(&cek, &root->ask), CERT_UNSIGNED);
    assert_true(authority_sign_cek(f->crypto, f->authority, &cek));
    assert_int_equal(sev_cert_verify_amd(&cek, &root->ask), CERT_OK);
    assert_int_equal(cek.signatures[0].usage, 0x13);
    assert_int_equal(cek.signatures[0].algorithm, 1);
    assert_int_equal(cek.signatures[1].usage, 0x1000);
    cek.usage = SEV_USAGE_PEK;
    assert_false(authority_sign_cek(f->crypto, f->authority, &cek));
}

static void its_ids_say_that_it_is_software(void **state)
{
    struct fixture *f = *state;
    const struct amd_chain *root = authority_chain(f->authority);
    assert_memory_equal(root->ark.header.key_id, "softsev ARK", 11);
    assert_memory_equal(root->ask.header.key_id, "softsev ASK", 11);
    assert_memory_equal(root->ask.header.certifying_id, root->ark.header.key_id, 16);
}

static void export_and_import(void **state)
{
    struct fixture *f = *state;
    u8 file[AUTHORITY_EXPORT_MAX], root[2 * AMD_CERT_SIZE_MAX], again[2 * AMD_CERT_SIZE_MAX];
    struct error e = {0};
    size_t size = authority_export(f->authority, file, sizeof file);
    assert_true(size > 2 * 832);
    assert_int_equal(authority_export(f->authority, file, size - 1), 0);
    assert_int_equal(authority_export(f->authority, file, sizeof file), size);
    struct authority *a = authority_import(file, size, &e);
    assert_non_null(a);
    assert_int_equal(authority_root_file(a, again, sizeof again), 2 * 832);
    assert_int_equal(authority_root_file(f->authority, root, sizeof root), 2 * 832);
    assert_memory_equal(root, again, 2 * 832);
    struct amd_chain parsed;
    assert_int_equal(amd_chain_parse(root, 2 * 832, &parsed).check, CERT_OK);
    struct sev_cert cek;
    make_cek(&cek);
    assert_true(authority_sign_cek(f->crypto, a, &cek));
    assert_int_equal(sev_cert_verify_amd(&cek, &authority_chain(f->authority)->ask), CERT_OK);
    authority_free(a);
}

static void damaged_files_are_refused(void **state)
{
    struct fixture *f = *state;
    u8 file[AUTHORITY_EXPORT_MAX + 1];
    size_t size = authority_export(f->authority, file, sizeof file);
    file[size] = 0;
    struct error e = {0};
    assert_null(authority_import(file, size + 1, &e));
    assert_string_equal(e.text, "cut short, or bytes left over");
    for (size_t cut = 0; cut < size; cut += 37) {
        e = (struct error){.code = ERROR_NONE};
        assert_null(authority_import(file, cut, &e));
        assert_int_equal(e.code, ERROR_STATE);
    }
    size_t asvk = 12;
    for (int i = 0; i < 4; i++)
        asvk += 4 + load_le32(file + asvk);
    file[asvk + 4] ^= 1;
    e = (struct error){.code = ERROR_NONE};
    assert_null(authority_import(file, size, &e));
    assert_string_equal(e.text, "a private key does not parse");
    file[asvk + 4] ^= 1;
    file[asvk - 1] ^= 1; /* the ARK's signature */
    e = (struct error){.code = ERROR_NONE};
    assert_null(authority_import(file, size, &e));
    assert_string_equal(e.text, "ARK certificate, signed by itself: signature does not verify");
    file[8]++;
    e = (struct error){.code = ERROR_NONE};
    assert_null(authority_import(file, size, &e));
    assert_string_equal(e.text,
                        "an authority's file of version 3; this program knows versions 1 and 2");
}

static void only_two_sizes_of_keys(void **state)
{
    struct fixture *f = *state;
    assert_null(authority_create(f->crypto, 1024));
    assert_null(authority_create(f->crypto, 3072));
    assert_null(authority_create(f->crypto, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_root_verifies_and_signs_a_cek),
        cmocka_unit_test(its_ids_say_that_it_is_software),
        cmocka_unit_test(export_and_import),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(only_two_sizes_of_keys),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
