/* SPDX-License-Identifier: Apache-2.0 */
/* Session, measurement, packets, report and identity against the known answers of [sev 14]. */
#include "base/bytes.h"
#include "protocol/protocol.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void assert_hex(const void *data, size_t size, const char *text)
{
    u8 want[256];
    assert_true(hex_decode(want, size, text));
    assert_memory_equal(data, want, size);
}

static void assert_base64(const void *data, size_t size, const char *text)
{
    char got[1024];
    assert_true(size < 700);
    EVP_EncodeBlock((unsigned char *)got, data, (int)size);
    assert_string_equal(got, text);
}

static void from_base64(void *out, size_t size, const char *text)
{
    u8 decoded[1024];
    int count = EVP_DecodeBlock(decoded, (const unsigned char *)text, (int)strlen(text));
    assert_true(count >= (int)size);
    memcpy(out, decoded, size);
}

/* first, first + 1, ... as [sev 14.2] writes its inputs */
static void count_up(u8 *out, size_t size, u8 first)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (u8)(first + i);
}

/* [sev 14.1] */
static void a_session_of_zeros(void **state)
{
    (void)state;
    u8 zero[16] = {0};
    struct session_keys keys = {{0}, {0}}, opened;
    struct sev_session s;
    session_wrap(zero, 16, zero, zero, &keys, 0, &s);
    assert_hex(s.wrap_tk, 32, "2137bc7f9bb8bd7c3e55a576a15d3454b3856b8ba27afadf46dcfee9f02c02c4");
    assert_hex(s.wrap_mac, 32, "3176c0752738bd9d5e86689534020f528c088f16238826b000b327dee6aeed7d");
    assert_hex(s.policy_mac, 32,
               "aa7855e13839dd767cd5da7c1ff5036540c9264b7a803029315e55375287b4af");
    memset(&opened, 0xff, sizeof opened);
    assert_int_equal(session_unwrap(zero, 16, &s, 0, &opened), SESSION_OK);
    assert_memory_equal(&opened, &keys, sizeof keys);
}

struct known {
    struct ec_private two, three;
    struct sev_cert two_cert, three_cert;
    struct session_keys keys;
    struct sev_session session;
    u8 measure[32];
};

/* The session of [sev 14.2]: scalars 2 and 3, policy 1. */
static void make_known(struct known *k)
{
    u8 two[48] = {2}, three[48] = {3}, z[48], nonce[16], iv[16];
    assert_true(crypto_ec_from_scalar(two, &k->two) && crypto_ec_from_scalar(three, &k->three));
    sev_cert_init(&k->two_cert, SEV_USAGE_PDH, SEV_ALGORITHM_ECDH_SHA256, 0, 0, &k->two.public);
    sev_cert_init(&k->three_cert, SEV_USAGE_PDH, SEV_ALGORITHM_ECDH_SHA256, 0, 0, &k->three.public);
    count_up(nonce, 16, 0x00);
    count_up(k->keys.tek, 16, 0x10);
    count_up(k->keys.tik, 16, 0x20);
    count_up(iv, 16, 0x30);
    assert_true(crypto_ecdh(&k->two, &k->three.public, z));
    session_wrap(z, 48, nonce, iv, &k->keys, 1, &k->session);
    struct measurement m = {.api_major = 1, .api_minor = 55, .build = 25, .policy = 1};
    u8 zeros[16] = {0};
    crypto_sha256(zeros, 16, m.digest);
    count_up(m.mnonce, 16, 0x40);
    measurement_compute(&m, k->keys.tik, k->measure);
}

static void a_session_between_two_keys(void **state)
{
    (void)state;
    struct known k;
    u8 digest[32];
    make_known(&k);
    crypto_sha256(&k.session, sizeof k.session, digest);
    assert_hex(digest, 32, "e199b04639f8556bfa741d57216f94792f74ca50d2f5adf44fc41a5328be13b5");
    assert_hex(k.measure, 32, "ebff5b2259f8746da1fb6fe15a24ecf0872629f86d0042689871f343268bae53");
    struct session_keys opened;
    assert_int_equal(session_open(&k.three, &k.two_cert, &k.session, 1, &opened), SESSION_OK);
    assert_memory_equal(&opened, &k.keys, sizeof opened);
}

static void a_changed_session_is_named(void **state)
{
    (void)state;
    struct known k;
    struct session_keys opened;
    make_known(&k);
    assert_int_equal(session_open(&k.three, &k.two_cert, &k.session, 0, &opened),
                     SESSION_POLICY_MAC);
    assert_int_equal(session_open(&k.three, &k.three_cert, &k.session, 1, &opened),
                     SESSION_WRAP_MAC);
    struct sev_session changed = k.session;
    changed.wrap_iv[3] ^= 1; /* not under WRAP_MAC: it shows as a wrong TIK */
    assert_int_equal(session_open(&k.three, &k.two_cert, &changed, 1, &opened), SESSION_POLICY_MAC);
    struct sev_cert off_curve = k.two_cert;
    off_curve.ec.qx[0] ^= 1;
    assert_int_equal(session_open(&k.three, &off_curve, &k.session, 1, &opened), SESSION_DH);
}

static void session_make_draws_fresh_keys(void **state)
{
    (void)state;
    struct known k;
    make_known(&k);
    struct crypto *c = crypto_create("s", 1);
    struct session_keys keys, again, opened;
    struct sev_session session;
    assert_true(session_make(c, &k.two, &k.three_cert, 5, &keys, &session));
    assert_int_equal(session_open(&k.three, &k.two_cert, &session, 5, &opened), SESSION_OK);
    assert_memory_equal(&opened, &keys, sizeof keys);
    assert_true(session_make(c, &k.two, &k.three_cert, 5, &again, &session));
    assert_memory_not_equal(&again, &keys, sizeof keys);
    crypto_destroy(c);
}

/* [sev 14.3] and the first rows of [sev 14.4] */
static void measurements(void **state)
{
    (void)state;
    u8 tik[16], measure[32];
    struct measurement m = {.api_major = 0, .api_minor = 18, .build = 15};
    assert_true(hex_decode(tik, 16, "66320db73158a35a255d051758e95ed4"));
    assert_true(hex_decode(m.mnonce, 16, "4fbe0bedbad6c86ae8f68971d103e554"));
    crypto_sha256(NULL, 0, m.digest);
    measurement_compute(&m, tik, measure);
    assert_hex(measure, 32, "6faab2daae389bcd3405a05d6cafe33c0414f7bedd0bae19ba5f38b7fd1664ea");

    struct sev_measure out;
    m = (struct measurement){.api_major = 1, .api_minor = 40, .build = 40, .policy = 3};
    assert_true(hex_decode(tik, 16, "3569cf61a32a602b87185ac6e0f55913"));
    from_base64(m.mnonce, 16, "wxP6tRHCFrFQWxsuqZA8QA==");
    from_base64(m.digest, 32, "xkvRAfyaSizgonxAjZIAkR8TmolUabBKQKb6KJCDDSM=");
    measurement_compute(&m, tik, out.measure);
    memcpy(out.mnonce, m.mnonce, 16);
    assert_base64(&out, sizeof out,
                  "lswbxWxI9gckya16JQvdFtpYmNO4b+3inAPpqsgoBI7DE/q1EcIWsVBbGy6pkDxA");
}

/* [sev 14.2], end */
static void secret_and_send_packets(void **state)
{
    (void)state;
    struct known k;
    u8 iv[16], plain[16], data[16];
    struct sev_packet_header header;
    make_known(&k);
    count_up(iv, 16, 0x50);
    count_up(plain, 16, 0x60);
    struct packet_binding secret = {
        .kind = PACKET_SECRET, .guest_length = 16, .trans_length = 16, .measure = k.measure};
    packet_seal(&k.keys, &secret, iv, plain, data, 16, &header);
    assert_hex(data, 16, "d28577b59d7fcf15fa45d52aa4ecf355");
    assert_hex(header.mac, 32, "bb9da19609bd64c0484f53f6034ed99a2e2433c9d278be8ec8d90bb568776402");
    struct packet_binding send = {.kind = PACKET_DATA, .guest_length = 16, .trans_length = 16};
    packet_seal(&k.keys, &send, iv, plain, data, 16, &header);
    assert_hex(header.mac, 32, "a562c0601a553f44e53fa43773f1aa6636bbd10cc17ab2479422b9154cfab2f6");
    assert_true(packet_open(&k.keys, &send, &header, data, data, 16));
    assert_memory_equal(data, plain, 16);
}

static void a_packet_opens_only_as_it_was_sealed(void **state)
{
    (void)state;
    struct known k;
    u8 iv[16] = {0}, plain[32] = "thirty-two bytes of secret text", data[32], out[32] = {0},
       zeros[32] = {0};
    struct sev_packet_header header;
    make_known(&k);
    const struct packet_binding good = {
        .kind = PACKET_SECRET, .guest_length = 32, .trans_length = 32, .measure = k.measure};
    packet_seal(&k.keys, &good, iv, plain, data, 32, &header);

    struct packet_binding other = good;
    other.kind = PACKET_DATA;
    assert_false(packet_open(&k.keys, &other, &header, data, out, 32));
    other = good;
    other.guest_length = 16;
    assert_false(packet_open(&k.keys, &other, &header, data, out, 32));
    other = good;
    other.trans_length = 48;
    assert_false(packet_open(&k.keys, &other, &header, data, out, 32));
    other = good;
    other.measure = zeros;
    assert_false(packet_open(&k.keys, &other, &header, data, out, 32));
    for (size_t i = 0; i < sizeof header; i++) {
        struct sev_packet_header changed = header;
        ((u8 *)&changed)[i] ^= 0x80;
        assert_false(packet_open(&k.keys, &good, &changed, data, out, 32));
    }
    data[31] ^= 1;
    assert_false(packet_open(&k.keys, &good, &header, data, out, 32));
    assert_memory_equal(out, zeros, 32); /* nothing came out of all these */
    data[31] ^= 1;
    assert_true(packet_open(&k.keys, &good, &header, data, out, 32));
    assert_memory_equal(out, plain, 32);
}

/* [sev 14.5]: one LUKS entry in OVMF's secret table [sev 12.2] */
static void the_secret_of_sevctl(void **state)
{
    (void)state;
    static const u8 table_guid[16] = {0x42, 0xf5, 0x74, 0x1e, 0xdd, 0x71, 0x66, 0x4d,
                                      0x96, 0x3e, 0xef, 0x42, 0x87, 0xff, 0x17, 0x3b};
    static const u8 luks_guid[16] = {0xe5, 0x69, 0x68, 0x73, 0xf0, 0x84, 0x73, 0x49,
                                     0x92, 0xec, 0x06, 0x87, 0x9c, 0xe3, 0xda, 0x0b};
    u8 plain[64], data[64], iv[16];
    struct writer w = writer_of(plain, sizeof plain);
    write_bytes(&w, table_guid, 16);
    write_u32(&w, 20 + 20 + 18);
    write_bytes(&w, luks_guid, 16);
    write_u32(&w, 20 + 18);
    write_bytes(&w, "MY-LUKS-PASSPHRASE", 18);
    write_zeros(&w, sizeof plain - w.at);
    struct session_keys keys;
    struct sev_measure measure;
    struct sev_packet_header header;
    assert_true(hex_decode(keys.tik, 16, "c6d5a9956133050912b24bbe5c372686"));
    assert_true(hex_decode(keys.tek, 16, "52a869b79ab9c13bb6a92b0561619cb3"));
    from_base64(iv, 16, "rFR07U3TLH2YnsUj2SVZ7A==");
    from_base64(&measure, sizeof measure,
                "TLeA7607lZQntLjRY1/i+sbtdSZ+75zxpz4Px9hzpBLwItF5Q2o4prA++3ZZv9ZS");
    struct packet_binding b = {
        .kind = PACKET_SECRET, .guest_length = 64, .trans_length = 64, .measure = measure.measure};
    packet_seal(&keys, &b, iv, plain, data, sizeof data, &header);
    assert_base64(&header, sizeof header,
                  "AAAAAKxUdO1N0yx9mJ7FI9klWey8FSzeYQ4X8K71VzNKLU/KQsIsQxLjtbhaPUewqshX5Q==");
    assert_base64(
        data, sizeof data,
        "0U3e5PcXv0UW+H4tSBFKOdCYfKE1+j38Bc2fuO16mYiyI+sWx7INfn+lgYj56GL12yyinDa+lVfCCwD/2w5cPA==");
}

static void a_report_is_signed_by_the_pek(void **state)
{
    (void)state;
    struct crypto *c = crypto_create("r", 1);
    struct ec_private pek;
    struct sev_cert cert;
    struct sev_attestation_report report;
    u8 mnonce[16] = {1}, digest[32] = {2};
    assert_true(crypto_ec_generate(c, &pek));
    sev_cert_init(&cert, SEV_USAGE_PEK, SEV_ALGORITHM_ECDSA_SHA256, 0, 24, &pek.public);
    assert_true(report_sign(c, &pek, mnonce, digest, 7, &report));
    assert_int_equal(report_verify(&report, &cert), CERT_OK);
    report.policy = 6;
    assert_int_equal(report_verify(&report, &cert), CERT_SIGNATURE);
    report.policy = 7;
    report.reserved_3c = 1; /* not signed */
    assert_int_equal(report_verify(&report, &cert), CERT_OK);
    report.signature.r[60] = 1; /* a number longer than the curve's */
    assert_int_equal(report_verify(&report, &cert), CERT_SIGNATURE);
    report.signature_usage = SEV_USAGE_PDH;
    assert_int_equal(report_verify(&report, &cert), CERT_UNSIGNED);
    crypto_destroy(c);
}

/* [sev 14.7] */
static void the_cek_derives_from_the_fuses(void **state)
{
    (void)state;
    u8 fuses[32], big_endian[48], id[64];
    struct ec_private cek;
    count_up(fuses, 32, 0);
    assert_true(identity_cek(fuses, &cek));
    for (size_t i = 0; i < 48; i++)
        big_endian[i] = cek.public.x[47 - i];
    assert_hex(big_endian, 48,
               "74db39783b48981269814228627bfecccefd07873f3a87a9c7c529c82328c39d625ad35a74dd006d7aa"
               "5867711f5ecaf");
    assert_true(identity_chip_id(fuses, id));
    assert_memory_equal(id, "SSEV", 4); /* the rest by arithmetic of another kind, in Python */
    assert_hex(id + 4, 60,
               "48af96f6afa7f904f550253a0f3ef3f5aa2fe6838a95b216691468e2"
               "487e6222a6664e079c8edf7518defd562dbeda1e7593dfd7f0be285880a24dab");
    memset(fuses, 0, 32);
    assert_false(identity_chip_id(fuses, id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_of_zeros),
        cmocka_unit_test(a_session_between_two_keys),
        cmocka_unit_test(a_changed_session_is_named),
        cmocka_unit_test(session_make_draws_fresh_keys),
        cmocka_unit_test(measurements),
        cmocka_unit_test(secret_and_send_packets),
        cmocka_unit_test(a_packet_opens_only_as_it_was_sealed),
        cmocka_unit_test(the_secret_of_sevctl),
        cmocka_unit_test(a_report_is_signed_by_the_pek),
        cmocka_unit_test(the_cek_derives_from_the_fuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
