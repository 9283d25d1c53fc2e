/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ID blocks: the public vectors byte for byte, signatures that others made, what is refused and by
 * which name, and numbers of a signature that are shorter than others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/encoding.h"
#include "owner/id_block.h"
#include "protocol/protocol.h"
#include "needs.h"

#define VECTORS "sev/measurement/"

/* The block that virtee's id_block test expects of these keys, and the digests of [snp 11]. */
static const char vector_block[] =
    "a14d638341e5674628fe1e02fbedebe5e5ab4faf1dd72d8966068e615bb99efd13d214b35c231715b38e263dc60597"
    "45"
    "0000000000000000000000000000000000000000000000000000000000000000"
    "01000000"
    "00000000"
    "0000030000000000";
static const char id_digest[] = "59fb2c686dfa4fef49f38339aa775c90051c28d57383ddc3baf3b5eb4b1496df"
                                "3b0dbbdcbae5fe27677a644820773fe2";
static const char author_digest[] =
    "eed81169fb0cb5e0ec34794f128fd4e0c4a46f67c65a1adfa81fcb24bcc088c2"
    "72369b7ffc3eb2b6af6a4284a1b36c5f";

static void load_key(const char *name, struct ec_private *out)
{
    char pem[1000];
    size_t size = vector_load(name, pem, sizeof pem);
    assert_null(crypto_ec_private_read(pem, size, out));
}

static void assert_digest(const struct snp_public_key *key, const char *hex)
{
    u8 digest[48];
    char text[97];
    id_block_key_digest(key, digest);
    hex_encode(text, digest, sizeof digest);
    assert_string_equal(text, hex);
}

static struct snp_id_block wanted(void)
{
    struct snp_id_block b = {.policy = SNP_POLICY_QEMU_DEFAULT};
    u8 bytes[96];
    assert_true(hex_decode(bytes, sizeof bytes, vector_block));
    memcpy(b.ld, bytes, sizeof b.ld);
    return b;
}

static void assert_checks(const struct snp_id_block *b, const struct snp_id_auth *a)
{
    struct error e = {.code = ERROR_NONE};
    int result = id_block_check(b, sizeof *b, a, sizeof *a, &e);
    if (result)
        print_message("# %s\n", e.text);
    assert_int_equal(result, 0);
}

static void assert_refused(const struct snp_id_block *b, const struct snp_id_auth *a,
                           const char *words)
{
    struct error e = {.code = ERROR_NONE};
    assert_int_equal(id_block_check(b, sizeof *b, a, sizeof *a, &e), -1);
    if (!strstr(e.text, words))
        print_message("# %s\n", e.text);
    assert_non_null(strstr(e.text, words));
}

test_that_needs(the_public_vectors_byte_for_byte,
                .vectors = {VECTORS "test_id_key.pem", VECTORS "test_auth_key.pem",
                            VECTORS "test_auth_block.bin", VECTORS "test_id_sig.bin",
                            VECTORS "test_auth_sig.bin"})
{
    (void)state;
    struct ec_private id, author;
    struct snp_id_auth vector, auth;
    struct snp_id_block b = wanted();
    struct error e = {.code = ERROR_NONE};
    struct crypto *c = crypto_create("id block", 8);
    char text[2 * sizeof b + 1];
    load_key(VECTORS "test_id_key.pem", &id);
    load_key(VECTORS "test_auth_key.pem", &author);
    assert_int_equal(vector_load(VECTORS "test_auth_block.bin", &vector, sizeof vector), 4096);
    assert_int_equal(id_block_sign(c, &b, &id, &author, &auth, &e), 0);
    hex_encode(text, &b, sizeof b);
    assert_string_equal(text, vector_block);
    assert_digest(&auth.id_key, id_digest);
    assert_digest(&auth.author_key, author_digest);
    assert_checks(&b, &vector); /* theirs, made by another program ... */
    assert_checks(&b, &auth);   /* ... and ours */
    /* ECDSA's nonces differ; everything else is the same byte for byte. */
    assert_memory_not_equal(&auth.id_block_signature, &vector.id_block_signature, 144);
    auth.id_block_signature = vector.id_block_signature;
    auth.id_key_signature = vector.id_key_signature;
    assert_memory_equal(&auth, &vector, sizeof auth);
    struct snp_signature alone;
    assert_int_equal(vector_load(VECTORS "test_id_sig.bin", &alone, sizeof alone), 512);
    assert_memory_equal(&alone, &vector.id_block_signature, sizeof alone);
    assert_int_equal(vector_load(VECTORS "test_auth_sig.bin", &alone, sizeof alone), 512);
    assert_memory_equal(&alone, &vector.id_key_signature, sizeof alone);
    crypto_destroy(c);
}

/* --- With keys of our own --------------------------------------------------------------------- */

struct made {
    struct crypto *c;
    struct ec_private id, author;
    struct snp_id_block block;
    struct snp_id_auth auth;
};

static void make(struct made *m)
{
    struct error e = {.code = ERROR_NONE};
    m->c = crypto_create("keys", 4);
    assert_true(crypto_ec_generate(m->c, &m->id) && crypto_ec_generate(m->c, &m->author));
    m->block = wanted();
    m->block.guest_svn = 3;
    m->block.family_id[0] = 0xfa;
    m->block.image_id[15] = 0x1d;
    assert_int_equal(id_block_sign(m->c, &m->block, &m->id, &m->author, &m->auth, &e), 0);
    assert_checks(&m->block, &m->auth);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    struct made g, s;
    struct error e = {.code = ERROR_NONE};
    make(&g);
#define WRONG(statement, words)                                                                    \
    do {                                                                                           \
        s = g;                                                                                     \
        statement;                                                                                 \
        assert_refused(&s.block, &s.auth, words);                                                  \
    } while (0)
    WRONG(s.block.version = 2, "version 2");
    WRONG(s.block.policy = 0x10000, "bit 17");
    WRONG(s.block.ld[0] ^= 1, "the ID block's signature by the ID key does not verify");
    WRONG(s.block.guest_svn++, "the ID block's signature by the ID key does not verify");
    WRONG(s.auth.id_key_algo = 0, "ID_KEY_ALGO is 0");
    WRONG(s.auth.auth_key_algo = 2, "AUTH_KEY_ALGO is 2");
    WRONG(s.auth.reserved_c84[0] = 1, "reserved");
    WRONG(s.auth.id_key.curve = 1, "not a point of P-384");
    WRONG(s.auth.id_key.qx[50] = 1, "not a point of P-384");
    WRONG(s.auth.id_key.qy[0] ^= 1, "not a point of P-384");
    WRONG(s.auth.id_block_signature.r[48] = 1, "48 of 72 bytes");
    WRONG(s.auth.id_block_signature.reserved_90[0] = 1, "zeros behind");
    WRONG(s.auth.id_key_signature.s[0] ^= 1, "author key does not verify");
    WRONG(s.auth.id_key.reserved_94[7] = 1,
          "author key does not verify"); /* covers the zeros too */
#undef WRONG
    assert_int_equal(id_block_check(&g.block, 95, &g.auth, sizeof g.auth, &e), -1);
    assert_non_null(strstr(e.text, "these have 95 and 4096"));
    s = g;
    s.block.policy = ~0ull;
    e.code = ERROR_NONE;
    assert_int_equal(id_block_sign(g.c, &s.block, &g.id, NULL, &s.auth, &e), -1);
    assert_int_equal(e.code, ERROR_USAGE);
    s = g;
    e.code = ERROR_NONE;
    assert_int_equal(id_block_sign(g.c, &s.block, &g.id, NULL, &s.auth, &e), 0);
    assert_false(id_block_has_author(&s.auth));
    assert_checks(&s.block, &s.auth);
    crypto_destroy(g.c);
}

/* R or S below 2^376: its highest byte is zero. Some tools have written such numbers one byte
 * shorter. */
static void short_numbers_keep_their_place(void **state)
{
    (void)state;
    struct made m;
    struct error e = {.code = ERROR_NONE};
    bool r = false, s = false;
    make(&m);
    for (int i = 0; i < 20000 && !(r && s); i++) {
        m.block.guest_svn = (u32)i;
        assert_int_equal(id_block_sign(m.c, &m.block, &m.id, NULL, &m.auth, &e), 0);
        const struct snp_signature *got = &m.auth.id_block_signature;
        if (got->r[47] && got->s[47])
            continue;
        r = r || !got->r[47];
        s = s || !got->s[47];
        assert_checks(&m.block, &m.auth);
    }
    assert_true(r && s);
    crypto_destroy(m.c);
}

static void reports_are_compared_field_by_field(void **state)
{
    (void)state;
    struct made m;
    make(&m);
    struct snp_report g = {.policy = m.block.policy,
                           .guest_svn = m.block.guest_svn,
                           .key_info = SNP_KEY_INFO_AUTHOR_KEY_EN};
    memcpy(g.measurement, m.block.ld, 48);
    memcpy(g.family_id, m.block.family_id, 16);
    memcpy(g.image_id, m.block.image_id, 16);
    id_block_key_digest(&m.auth.id_key, g.id_key_digest);
    id_block_key_digest(&m.auth.author_key, g.author_key_digest);
    struct error e = {.code = ERROR_NONE};
    assert_int_equal(id_block_compare(&g, &m.block, &m.auth, &e), 0);
#define DIFFERS(statement, words)                                                                  \
    do {                                                                                           \
        struct snp_report r = g;                                                                   \
        e = (struct error){.code = ERROR_NONE};                                                    \
        statement;                                                                                 \
        assert_int_equal(id_block_compare(&r, &m.block, &m.auth, &e), -1);                         \
        assert_int_equal(e.code, ERROR_MEASUREMENT);                                               \
        assert_non_null(strstr(e.text, words));                                                    \
    } while (0)
    DIFFERS(r.measurement[9] ^= 1, "measurement: the report has");
    DIFFERS(r.policy |= SNP_POLICY_DEBUG, "policy: the report has 0xb0000, the ID block 0x30000");
    DIFFERS(r.guest_svn = 2, "guest SVN: the report has 0x2, the ID block 0x3");
    DIFFERS(r.family_id[3] = 1, "family id");
    DIFFERS(r.image_id[3] = 1, "image id");
    DIFFERS(r.id_key_digest[0] ^= 1, "ID key digest");
    DIFFERS(r.author_key_digest[0] ^= 1, "author key digest");
    DIFFERS(r.key_info = 0, "AUTH_KEY_EN");
#undef DIFFERS
    crypto_destroy(m.c);
}

/* --- Keys in files ---------------------------------------------------------------------------- */

/* What `openssl ecparam -name secp384r1 -genkey` wrote, and of the same key `openssl pkey` with
 * -pubout and -aes128; the last is on another curve. */
static const char sec1[] =
    "-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----\n"
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MIGkAgEBBDDTXBKZUhF5wxuaP0A/7k5BJeXI+HhVD4Zni/Q+G1TKSu7fak5/2UKS\n"
    "wv9lydSS/QCgBwYFK4EEACKhZANiAAQmmYTXMmUGmBEMBFyXnAoewNYK4WQO5hvB\n"
    "fhTsKQH7M1TqHVIeAz3ngM9/x9uJXA99giIFBgg2UqI5Rc7tUdxR1qMMatWbibNB\n"
    "yJ0GvfNiNjetEhSs6/RGBvcUAnKKO8k=\n"
    "-----END EC PRIVATE KEY-----\n";
static const char public_alone[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEJpmE1zJlBpgRDARcl5wKHsDWCuFkDuYb\n"
    "wX4U7CkB+zNU6h1SHgM954DPf8fbiVwPfYIiBQYINlKiOUXO7VHcUdajDGrVm4mz\n"
    "QcidBr3zYjY3rRIUrOv0Rgb3FAJyijvJ\n"
    "-----END PUBLIC KEY-----\n";
static const char encrypted[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                                "MIIBHDBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQIt2S97slMUwMCAggA\n"
                                "MAwGCCqGSIb3DQIJBQAwHQYJYIZIAWUDBAECBBCyt0SDeuknB0GZdzrOlLMzBIHA\n"
                                "lv135UVmukuOuwH6xXlwQm+OJs/o12r7MsmrpTtUHS2BbarxXaMBE+ZdDAlYBRY6\n"
                                "paIikLF+Zz1CPfllbZ/06Fi7k5m1jyCGrlB9jDDjf1kmudFPcYWhiHMpMx2Vp5hs\n"
                                "kcvuPg24NTxleFqsADf8r6f8OgCsQ8RlCPVUPzuvPzV4P5coA4xLKDSy/phtKFqi\n"
                                "0N5MhS6PIzXwLzujDf4K4xjVTTbwD2asw0tZDV6UvRf6x1Edu9pAkllpnXjOkV46\n"
                                "-----END ENCRYPTED PRIVATE KEY-----\n";
static const char p256[] = "-----BEGIN EC PRIVATE KEY-----\n"
                           "MHcCAQEEIPYEQOGWRuKrb0n/3J4qw2V6XqUXgmtWR0o8Z9S/fTIJoAoGCCqGSM49\n"
                           "AwEHoUQDQgAEmO4ZBwTfyByzQ2kp8UzG3ss9/xJf7nRCwsHxxHhWVUjUg19xkP1s\n"
                           "+/jbpCl45f0QPBIc0MHJ2q/GPmGERbbuOA==\n"
                           "-----END EC PRIVATE KEY-----\n";

static void keys_are_read_as_openssl_writes_them(void **state)
{
    (void)state;
    struct ec_private key, again;
    char pem[CRYPTO_EC_PEM_MAX];
    assert_null(crypto_ec_private_read(sec1, strlen(sec1), &key));
    assert_int_equal(key.d[47], 0xd3); /* as `openssl pkey -text` shows it, first byte */
    assert_int_equal(key.d[46], 0x5c);
    size_t size = crypto_ec_private_pem(&key, pem, sizeof pem);
    assert_int_equal(size, strlen(pem));
    assert_non_null(strstr(pem, "-----BEGIN PRIVATE KEY-----"));
    assert_null(crypto_ec_private_read(pem, size, &again));
    assert_memory_equal(&again, &key, sizeof key);
    assert_int_equal(crypto_ec_private_pem(&key, pem, size), 0); /* no room for the NUL */

    const struct {
        const char *text, *wrong;
    } refused[] = {{public_alone, "private key"},
                   {encrypted, "encrypted"},
                   {p256, "P-384"},
                   {"", "private key"},
                   {"abc", "private key"}};
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        const char *wrong = crypto_ec_private_read(refused[i].text, strlen(refused[i].text), &key);
        assert_non_null(wrong);
        assert_non_null(strstr(wrong, refused[i].wrong));
    }
}

/* Nothing says which of two keys should sign. */
static void a_file_of_two_keys_is_refused(void **state)
{
    (void)state;
    static const char *const after[] = {sec1, encrypted, p256, "-----BEGIN PRIVATE KEY-----\nMII"};
    static const char parameters[] = "-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n"
                                     "-----END EC PARAMETERS-----\n";
    char text[4 * CRYPTO_EC_PEM_MAX];
    struct ec_private key;
    for (size_t i = 0; i < ARRAY_SIZE(after); i++) {
        snprintf(text, sizeof text, "%s%s", sec1, after[i]);
        const char *wrong = crypto_ec_private_read(text, strlen(text), &key);
        assert_non_null(wrong);
        assert_non_null(strstr(wrong, "more than one private key"));
    }
    snprintf(text, sizeof text, "%sA public key is no second one:\r\n%s%s", parameters, sec1,
             public_alone);
    assert_null(crypto_ec_private_read(text, strlen(text), &key));
}

/* The DER of a key's file, whose last 97 bytes are the point. */
static size_t der_of(const struct ec_private *key, u8 out[400])
{
    char pem[CRYPTO_EC_PEM_MAX];
    size_t size, got = crypto_ec_private_pem(key, pem, sizeof pem);
    assert_true(got > 0);
    const char *body = strchr(pem, '\n');
    assert_true(
        text_decode_base64(body, (size_t)(strstr(body, "-----END") - body), out, 400, &size));
    return size;
}

static void a_key_that_does_not_fit_together_is_refused(void **state)
{
    (void)state;
    struct crypto *c = crypto_create("keys", 4);
    struct ec_private one, other, read;
    u8 der[401], of_other[400];
    assert_true(crypto_ec_generate(c, &one) && crypto_ec_generate(c, &other));
    const size_t size = der_of(&one, der);
    assert_int_equal(der_of(&other, of_other), size);
    assert_null(crypto_ec_private_read(der, size, &read));
    assert_memory_equal(&read, &one, sizeof one);
    der[size] = 0;
    assert_non_null(crypto_ec_private_read(der, size + 1, &read)); /* a byte too many */
    memcpy(der + size - 97, of_other + size - 97, 97);
    const char *wrong = crypto_ec_private_read(der, size, &read);
    assert_non_null(wrong);
    assert_string_equal(wrong, "its public point does not belong to its private number");
    crypto_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_of_two_keys_is_refused),
        cmocka_unit_test(a_key_that_does_not_fit_together_is_refused),
        cmocka_unit_test(the_public_vectors_byte_for_byte),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(short_numbers_keep_their_place),
        cmocka_unit_test(reports_are_compared_field_by_field),
        cmocka_unit_test(keys_are_read_as_openssl_writes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
