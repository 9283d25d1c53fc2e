/* SPDX-License-Identifier: Apache-2.0 */
/* The primitives against published vectors, and the promise that a seed repeats everything. */
#include "crypto/crypto.h"
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void reverse(u8 *out, const u8 *in, size_t size)
{
    for (size_t i = 0; i < size; i++)
        out[i] = in[size - 1 - i];
}

/* 48 bytes of big-endian hexadecimal, as standards print numbers, into SEV's little-endian. */
static void number(u8 out[48], const char *text)
{
    u8 big_endian[48];
    assert_true(hex_decode(big_endian, 48, text));
    reverse(out, big_endian, 48);
}

static void assert_hex(const void *data, size_t size, const char *text)
{
    u8 want[64];
    assert_true(hex_decode(want, size, text));
    assert_memory_equal(data, want, size);
}

static void hashes(void **state)
{
    (void)state;
    u8 out[48];
    crypto_sha256("abc", 3, out); /* FIPS 180-4 */
    assert_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    crypto_sha256(NULL, 0, out);
    assert_hex(out, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    crypto_sha384("abc", 3, out);
    assert_hex(out, 48,
               "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358b"
               "aeca134c825a7");
    crypto_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, out); /* RFC 4231, case 2 */
    assert_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    const struct crypto_piece pieces[] = {
        {"what do ya want ", 16}, {NULL, 0}, {"for nothing?", 12}};
    crypto_hmac_sha256_pieces("Jefe", 4, pieces, ARRAY_SIZE(pieces), out);
    assert_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    struct crypto_sha384 *h = crypto_sha384_create();
    assert_non_null(h);
    for (u32 i = 0; i < 2; i++) { /* each run is a hash of its own */
        crypto_sha384_run(h, "abc", 3, out);
        assert_hex(out, 48,
                   "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2"
                   "358baeca134c825a7");
    }
    crypto_sha384_free(h);
}

/* AES-256 in Galois/Counter Mode: test cases 13, 14 and 16 of its authors. */
static void galois_counter_mode(void **state)
{
    (void)state;
    static const u8 zeros[32];
    u8 key[32], iv[12], text[60], aad[20], out[60], tag[16];
    crypto_aes256_gcm_seal(zeros, zeros, NULL, 0, NULL, out, 0, tag);
    assert_hex(tag, 16, "530f8afbc74536b9a963b4f1c4cb738b");
    assert_true(crypto_aes256_gcm_open(zeros, zeros, NULL, 0, NULL, out, 0, tag));
    crypto_aes256_gcm_seal(zeros, zeros, NULL, 0, zeros, out, 16, tag);
    assert_hex(out, 16, "cea7403d4d606b6e074ec5d3baf39d18");
    assert_hex(tag, 16, "d0d1c8a799996bf0265b98b5d48ab919");
    assert_true(
        hex_decode(key, 32, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"));
    assert_true(hex_decode(iv, 12, "cafebabefacedbaddecaf888"));
    assert_true(hex_decode(aad, 20, "feedfacedeadbeeffeedfacedeadbeefabaddad2"));
    assert_true(hex_decode(text, 60,
                           "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c9"
                           "5956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"));
    crypto_aes256_gcm_seal(key, iv, aad, sizeof aad, text, out, sizeof out, tag);
    assert_hex(out, 60,
               "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b"
               "08b1056828838c5f61e6393ba7a0abcc9f662");
    assert_hex(tag, 16, "76fc6ece0f4e1768cddf8853bb2d551b");
    u8 sealed[60], opened[60], nothing[60] = {0};
    memcpy(sealed, out, sizeof sealed);
    assert_true(crypto_aes256_gcm_open(key, iv, aad, 20, sealed, opened, 60, tag));
    assert_memory_equal(opened, text, sizeof text);
    u8 *const parts[] = {sealed, aad, tag, iv};
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) { /* whatever is changed, nothing comes out */
        parts[i][7] ^= 0x10;
        assert_false(crypto_aes256_gcm_open(key, iv, aad, 20, sealed, opened, 60, tag));
        assert_memory_equal(opened, nothing, sizeof nothing);
        parts[i][7] ^= 0x10;
    }
}

static void a_running_hash_goes_on_after_a_peek(void **state)
{
    (void)state;
    u8 out[32];
    struct crypto_sha256 *h = crypto_sha256_start();
    assert_non_null(h);
    crypto_sha256_peek(h, out);
    assert_hex(out, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    crypto_sha256_update(h, "a", 1);
    crypto_sha256_peek(h, out);
    crypto_sha256_update(h, "bc", 2);
    crypto_sha256_peek(h, out);
    assert_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    crypto_sha256_free(h);
}

static void counter_mode(void **state)
{
    (void)state;
    u8 key[16], iv[16], data[32], out[32];
    /* SP 800-38A F.5.1 */
    assert_true(hex_decode(key, 16, "2b7e151628aed2a6abf7158809cf4f3c"));
    assert_true(hex_decode(iv, 16, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"));
    assert_true(
        hex_decode(data, 32, "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"));
    crypto_aes128_ctr(key, iv, data, out, 32);
    assert_hex(out, 32, "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff");
    crypto_aes128_ctr(key, iv, out, out, 21);
    assert_memory_equal(out, data, 21);
}

static void the_page_cipher_is_xts(void **state)
{
    (void)state;
    u8 key[16], tweak_key[16], page[4096], out[4096];
    /* IEEE 1619, vector 2: the first blocks of a unit do not depend on its size. */
    memset(key, 0x11, 16);
    memset(tweak_key, 0x22, 16);
    memset(page, 0x44, sizeof page);
    struct page_cipher *c = page_cipher_create(key, tweak_key);
    assert_non_null(c);
    page_encrypt(c, 0x3333333333, page, out);
    assert_hex(out, 32, "c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0");
    page_decrypt(c, 0x3333333333, out, out);
    assert_memory_equal(out, page, sizeof page);
    page_encrypt(c, 0x3333333333, page, page);
    page_decrypt(c, 0x3333333334, page, out); /* moved: garbage in every block */
    for (size_t at = 0; at < sizeof page; at += 16)
        assert_memory_not_equal(out + at, "DDDDDDDDDDDDDDDD", 16);
    page_cipher_free(c);
    page_cipher_free(NULL);
}

static void equal_key_halves_still_give_a_cipher(void **state)
{
    (void)state;
    u8 page[4096] = {0}, out[4096], other_out[4096];
    static const u8 key[16] = "sixteen byte key";
    u8 flipped[16];
    memcpy(flipped, key, 16);
    flipped[0] ^= 1;
    struct page_cipher *equal = page_cipher_create(key, key),
                       *other = page_cipher_create(key, flipped);
    assert_non_null(equal);
    page_encrypt(equal, 1, page, out);
    page_encrypt(other, 1, page, other_out);
    assert_memory_equal(out, other_out,
                        sizeof out); /* the rule: the tweak half's first bit is flipped */
    page_decrypt(equal, 1, out, out);
    assert_memory_equal(out, page, sizeof page);
    page_cipher_free(equal);
    page_cipher_free(other);
}

/* RFC 6979, A.2.6 */
static const char rfc6979_d[] = "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896"
                                "D5724E4C70A825F872C9EA60D2EDF5";
static const char rfc6979_x[] = "EC3A4E415B4E19A4568618029F427FA5DA9A8BC4AE92E02E06AAE5286B300C64DE"
                                "F8F0EA9055866064A254515480BC13";
static const char rfc6979_y[] = "8015D9B72D7D57244EA8EF9AC0C621896708A59367F9DFB9F54CA84B3F1C9DB128"
                                "8B231C3AE0D4FE7344FD2533264720";
static const char rfc6979_r[] = "21B13D1E013C7FA1392D03C5F99AF8B30C570C6F98D4EA8E354B63A21D3DAA33BD"
                                "E1E888E63355D92FA2B3C36D8FB2CD";
static const char rfc6979_s[] = "F3AA443FB107745BF4BD77CB3891674632068A10CA67E3D45DB2266FA7D1FEEBEF"
                                "DC63ECCD1AC42EC0CB8668A4FA0AB0";

static void ec_public_from_scalar(void **state)
{
    (void)state;
    u8 d[48], x[48], y[48];
    struct ec_private key;
    number(d, rfc6979_d);
    number(x, rfc6979_x);
    number(y, rfc6979_y);
    assert_true(crypto_ec_from_scalar(d, &key));
    assert_memory_equal(key.public.x, x, 48);
    assert_memory_equal(key.public.y, y, 48);
    assert_true(crypto_ec_on_curve(&key.public));
}

static void ecdsa_verifies_a_published_signature(void **state)
{
    (void)state;
    struct ec_public key;
    struct ec_signature signature;
    number(key.x, rfc6979_x);
    number(key.y, rfc6979_y);
    number(signature.r, rfc6979_r);
    number(signature.s, rfc6979_s);
    assert_true(crypto_ecdsa_verify(&key, CRYPTO_SHA256, "sample", 6, &signature));
    assert_false(crypto_ecdsa_verify(&key, CRYPTO_SHA384, "sample", 6, &signature));
    assert_false(crypto_ecdsa_verify(&key, CRYPTO_SHA256, "simple", 6, &signature));
    signature.s[0] ^= 1;
    assert_false(crypto_ecdsa_verify(&key, CRYPTO_SHA256, "sample", 6, &signature));
    memset(&signature, 0, sizeof signature);
    assert_false(crypto_ecdsa_verify(&key, CRYPTO_SHA256, "sample", 6, &signature));
    memset(&signature, 0xff, sizeof signature);
    assert_false(crypto_ecdsa_verify(&key, CRYPTO_SHA256, "sample", 6, &signature));
}

static void scalars_out_of_range_are_no_keys(void **state)
{
    (void)state;
    u8 d[48] = {0};
    struct ec_private key;
    assert_false(crypto_ec_from_scalar(d, &key));
    memset(d, 0xff, sizeof d);
    assert_false(crypto_ec_from_scalar(d, &key));
    /* the order of P-384 */
    number(d, "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec"
              "196accc52973");
    assert_false(crypto_ec_from_scalar(d, &key));
    d[0]--;
    assert_true(crypto_ec_from_scalar(d, &key));
    /* (r mod (n-1)) + 1: n - 1 gives 1 */
    struct ec_private one;
    assert_true(crypto_ec_from_wide(d, sizeof d, &one));
    u8 want[48] = {1};
    assert_memory_equal(one.d, want, sizeof want);
}

static void points_off_the_curve_are_refused(void **state)
{
    (void)state;
    struct ec_private mine;
    struct ec_public p = {{0}, {0}};
    u8 d[48] = {2}, z[48];
    assert_true(crypto_ec_from_scalar(d, &mine));
    assert_false(crypto_ec_on_curve(&p));
    assert_false(crypto_ecdh(&mine, &p, z));
    p = mine.public;
    p.y[0] ^= 1;
    assert_false(crypto_ecdh(&mine, &p, z));
    memset(&p, 0xff, sizeof p); /* not below the prime */
    assert_false(crypto_ec_on_curve(&p));
}

static void ecdh_known_answer(void **state)
{
    (void)state;
    u8 two[48] = {2}, three[48] = {3}, z[48];
    struct ec_private a, b;
    assert_true(crypto_ec_from_scalar(two, &a) && crypto_ec_from_scalar(three, &b));
    static const char want[] = /* [sev 14.2] */
        "627be1acd064d2b2226fe0d26f2d15d3c33ebcbb7f0f5da51cbd41f26257383021317d7202ff30e50937f0854e"
        "35c5df";
    assert_true(crypto_ecdh(&a, &b.public, z));
    assert_hex(z, 48, want);
    assert_true(crypto_ecdh(&b, &a.public, z));
    assert_hex(z, 48, want);
}

static void secp256k1_generator(void **state)
{
    (void)state;
    u8 d[32] = {0}, x[32], y[32];
    assert_false(crypto_secp256k1_public(d, x, y));
    d[31] = 1;
    assert_true(crypto_secp256k1_public(d, x, y)); /* SEC 2, 2.4.1 */
    assert_hex(x, 32, "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798");
    assert_hex(y, 32, "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8");
}

struct drawn {
    u8 random[100];
    struct ec_private key;
    struct ec_signature signature;
};

static void draw(struct crypto *c, struct drawn *d)
{
    assert_non_null(c);
    memset(d, 0, sizeof *d);
    crypto_random(c, d->random, sizeof d->random);
    assert_true(crypto_ec_generate(c, &d->key));
    assert_true(crypto_ecdsa_sign(c, &d->key, CRYPTO_SHA256, "text", 4, &d->signature));
    assert_true(crypto_ecdsa_verify(&d->key.public, CRYPTO_SHA256, "text", 4, &d->signature));
    crypto_destroy(c);
}

static void one_seed_gives_the_same_bytes_key_and_signature(void **state)
{
    (void)state;
    struct drawn a, b, other, system_1, system_2;
    draw(crypto_create("seed", 4), &a);
    draw(crypto_create("seed", 4), &b);
    draw(crypto_create("seed2", 5), &other);
    draw(crypto_create(NULL, 0), &system_1);
    draw(crypto_create(NULL, 0), &system_2);
    assert_memory_equal(&a, &b, sizeof a);
    assert_memory_not_equal(a.random, other.random, sizeof a.random);
    assert_memory_not_equal(&a.key, &other.key, sizeof a.key);
    assert_memory_not_equal(system_1.random, system_2.random, sizeof a.random);
    assert_memory_not_equal(&system_1.key, &system_2.key, sizeof a.key);
}

static void two_seeded_parties_do_not_disturb_each_other(void **state)
{
    (void)state;
    u8 alone[3][16], together[3][16], ignored[16];
    struct crypto *a = crypto_create("a", 1);
    for (size_t i = 0; i < 3; i++)
        crypto_random(a, alone[i], 16);
    crypto_destroy(a);
    a = crypto_create("a", 1);
    struct crypto *b = crypto_create("b", 1);
    for (size_t i = 0; i < 3; i++) {
        crypto_random(a, together[i], 16);
        crypto_random(b, ignored, 16);
    }
    assert_memory_equal(alone, together, sizeof alone);
    crypto_destroy(a);
    crypto_destroy(b);
}

static size_t make_rsa_key(u8 *der, size_t size, u8 signature[256])
{
    struct crypto *c = crypto_create("rsa", 3);
    struct rsa_private *key = crypto_rsa_generate(c, 2048);
    assert_non_null(key);
    assert_int_equal(crypto_rsa_export(key, der, 100), 0);
    size_t der_size = crypto_rsa_export(key, der, size);
    assert_true(der_size > 1000);
    assert_true(crypto_rsa_pss_sign(c, key, CRYPTO_SHA256, "text", 4, signature));
    struct rsa_public public;
    crypto_rsa_public(key, &public);
    assert_int_equal(public.bits, 2048);
    assert_int_equal(load_le32(public.exponent), 65537);
    assert_true(crypto_rsa_pss_verify(&public, CRYPTO_SHA256, "text", 4, signature));
    assert_false(crypto_rsa_pss_verify(&public, CRYPTO_SHA384, "text", 4, signature));
    assert_false(crypto_rsa_pss_verify(&public, CRYPTO_SHA256, "test", 4, signature));
    public.modulus[255] = 0; /* 2040 bits that say 2048 */
    assert_false(crypto_rsa_pss_verify(&public, CRYPTO_SHA256, "text", 4, signature));
    crypto_rsa_free(key);
    crypto_destroy(c);
    return der_size;
}

static void rsa_keys_and_signatures_repeat_with_a_seed(void **state)
{
    (void)state;
    u8 der[2][2048], signature[2][256];
    size_t size = make_rsa_key(der[0], sizeof der[0], signature[0]);
    assert_int_equal(make_rsa_key(der[1], sizeof der[1], signature[1]), size);
    assert_memory_equal(der[0], der[1], size);
    assert_memory_equal(signature[0], signature[1], 256);
    /* An imported key signs in the signer's own randomness, too. */
    for (size_t i = 0; i < 2; i++) {
        struct crypto *c = crypto_create("sign", 4);
        struct rsa_private *key = crypto_rsa_import(der[0], size);
        assert_non_null(key);
        assert_true(crypto_rsa_pss_sign(c, key, CRYPTO_SHA384, "text", 4, signature[i]));
        crypto_rsa_free(key);
        crypto_destroy(c);
    }
    assert_memory_equal(signature[0], signature[1], 256);
    assert_null(crypto_rsa_import(der[0], size - 1));
    assert_null(crypto_rsa_import("", 0));
}

static void the_kdf_is_not_the_standard_one(void **state)
{
    (void)state;
    u8 z[16] = {0}, nonce[16] = {0}, out[16];
    crypto_sev_kdf(z, 16, "sev-master-secret", nonce, 16, out, 16); /* [sev 14.1] */
    assert_hex(out, 16, "ab4d269fcc62bedb4511d56c386ce706");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes),
        cmocka_unit_test(galois_counter_mode),
        cmocka_unit_test(a_running_hash_goes_on_after_a_peek),
        cmocka_unit_test(counter_mode),
        cmocka_unit_test(the_page_cipher_is_xts),
        cmocka_unit_test(equal_key_halves_still_give_a_cipher),
        cmocka_unit_test(ec_public_from_scalar),
        cmocka_unit_test(ecdsa_verifies_a_published_signature),
        cmocka_unit_test(scalars_out_of_range_are_no_keys),
        cmocka_unit_test(points_off_the_curve_are_refused),
        cmocka_unit_test(ecdh_known_answer),
        cmocka_unit_test(secp256k1_generator),
        cmocka_unit_test(one_seed_gives_the_same_bytes_key_and_signature),
        cmocka_unit_test(two_seeded_parties_do_not_disturb_each_other),
        cmocka_unit_test(rsa_keys_and_signatures_repeat_with_a_seed),
        cmocka_unit_test(the_kdf_is_not_the_standard_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
