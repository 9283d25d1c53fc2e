/* SPDX-License-Identifier: Apache-2.0 */
/* SNP's keys, signatures and reports: genuine ones verify,
 * ours are bound to what they should be bound to. */
#include "protocol/protocol.h"
#include "base/bytes.h"

#include "needs.h"

static void from_big_endian(u8 out[48], const u8 *in)
{
    for (size_t i = 0; i < 48; i++)
        out[i] = in[47 - i];
}

/* The P-384 point of a certificate: a bit string of 98 bytes that starts with 04h. */
static bool certificate_point(const u8 *der, size_t size, struct ec_public *key)
{
    static const u8 mark[] = {0x03, 0x62, 0x00, 0x04};
    for (size_t i = 0; i + sizeof mark + 96 <= size; i++) {
        if (memcmp(der + i, mark, sizeof mark))
            continue;
        from_big_endian(key->x, der + i + sizeof mark);
        from_big_endian(key->y, der + i + sizeof mark + 48);
        return true;
    }
    return false;
}

static void read_milan(struct snp_report *report, struct ec_public *vcek)
{
    static char text[2 * SNP_REPORT_SIZE + 1];
    static u8 der[4096];
    size_t size = vector_load("sev/certs_data/report_milan.hex", text, sizeof text - 1);
    assert_int_equal(size, sizeof text - 1);
    assert_true(hex_decode(report, sizeof *report, text));
    size = vector_load("sev/certs_data/vcek_milan.der", der, sizeof der);
    assert_true(certificate_point(der, size, vcek));
}

test_that_needs(a_genuine_milan_report_parses_and_verifies,
                .vectors = {"sev/certs_data/report_milan.hex", "sev/certs_data/vcek_milan.der"})
{
    (void)state;
    struct snp_report report;
    struct ec_public vcek;
    read_milan(&report, &vcek);
    assert_int_equal(report.version, 2);
    assert_int_equal(report.policy, 0x30000);
    assert_int_equal(report.signature_algorithm, SNP_SIGNATURE_ECDSA_P384_SHA384);
    assert_int_equal(report.vmpl, 0);
    struct snp_tcb tcb = snp_tcb_unpack(SNP_TCB_MILAN, report.reported_tcb);
    assert_int_equal(tcb.boot_loader, 3);
    assert_int_equal(tcb.tee, 0);
    assert_int_equal(tcb.snp, 8);
    assert_int_equal(tcb.microcode, 0x73);
    assert_int_equal(report.current_major, 1);
    assert_int_equal(report.current_minor, 52);
    assert_int_equal(report.current_build, 4);
    for (size_t i = 0; i < 32; i++)
        assert_int_equal(report.report_id_ma[i], 0xff);
    assert_true(snp_report_verify(&report, &vcek));
    report.guest_svn ^= 1;
    assert_false(snp_report_verify(&report, &vcek));
}

test_that_needs(a_number_longer_than_the_field_is_no_signature,
                .vectors = {"sev/certs_data/report_milan.hex", "sev/certs_data/vcek_milan.der"})
{
    (void)state;
    struct snp_report report;
    struct ec_public vcek;
    read_milan(&report, &vcek);
    report.signature.r[48] = 1;
    assert_false(snp_report_verify(&report, &vcek));
}

/* Of the virtee ID block; the digests are those of [snp 11]. */
test_that_needs(a_published_id_auth_page_holds, .vectors = {"sev/measurement/test_auth_block.bin"})
{
    (void)state;
    static struct snp_id_auth auth;
    char hex[97];
    u8 digest[48];
    struct ec_public author, id;
    assert_int_equal(vector_load("sev/measurement/test_auth_block.bin", &auth, sizeof auth),
                     sizeof auth);
    assert_int_equal(auth.id_key_algo, 1);
    crypto_sha384(&auth.id_key, sizeof auth.id_key, digest);
    hex_encode(hex, digest, 48);
    assert_string_equal(
        hex,
        "59fb2c686dfa4fef49f38339aa775c90051c28d57383ddc3baf3b5eb4b1496df3b0dbbdcbae5fe27677a6448"
        "20773fe2");
    crypto_sha384(&auth.author_key, sizeof auth.author_key, digest);
    hex_encode(hex, digest, 48);
    assert_string_equal(
        hex,
        "eed81169fb0cb5e0ec34794f128fd4e0c4a46f67c65a1adfa81fcb24bcc088c272369b7ffc3eb2b6af6a4284"
        "a1b36c5f");
    assert_true(snp_public_key_get(&auth.id_key, &id));
    assert_true(snp_public_key_get(&auth.author_key, &author));
    assert_true(snp_verify(&author, &auth.id_key, sizeof auth.id_key, &auth.id_key_signature));
    assert_false(snp_verify(&id, &auth.id_key, sizeof auth.id_key, &auth.id_key_signature));
}

static void a_public_key_of_another_curve_or_off_it_is_refused(void **state)
{
    (void)state;
    struct ec_private key;
    struct snp_public_key out;
    struct ec_public back;
    u8 fuses[32] = {1};
    assert_true(identity_vcek(fuses, 0, &key));
    snp_public_key_put(&out, &key.public);
    assert_true(snp_public_key_get(&out, &back));
    assert_memory_equal(&back, &key.public, sizeof back);
    out.curve = 1;
    assert_false(snp_public_key_get(&out, &back));
    out.curve = SNP_CURVE_P384;
    out.qy[0] ^= 1;
    assert_false(snp_public_key_get(&out, &back));
}

static void a_vcek_belongs_to_one_chip_and_one_tcb(void **state)
{
    (void)state;
    u8 chip[32] = {1}, other[32] = {2};
    struct ec_private a, b;
    assert_true(identity_vcek(chip, 0x7300000000000003, &a) &&
                identity_vcek(chip, 0x7300000000000003, &b));
    assert_memory_equal(&a, &b, sizeof a);
    assert_true(identity_vcek(chip, 0x7300000000000004, &b));
    assert_memory_not_equal(a.d, b.d, 48);
    assert_true(identity_vcek(other, 0x7300000000000003, &b));
    assert_memory_not_equal(a.d, b.d, 48);
}

static void a_hashstick_opens_on_its_chip_only_and_unchanged(void **state)
{
    (void)state;
    u8 chip[32] = {1}, other[32] = {2}, iv[12] = {9}, stick[SNP_VLEK_STICK_SIZE],
       out[SNP_VLEK_STICK_SIZE];
    memset(stick, 0x3c, sizeof stick);
    struct snp_wrapped_vlek w, bad;
    vlek_wrap(chip, 77, iv, stick, &w);
    assert_true(vlek_unwrap(chip, &w, out));
    assert_memory_equal(out, stick, sizeof stick);
    assert_false(vlek_unwrap(other, &w, out));
    bad = w;
    bad.tcb++;
    assert_false(vlek_unwrap(chip, &bad, out));
    bad = w;
    bad.ciphertext[383] ^= 1;
    assert_false(vlek_unwrap(chip, &bad, out));
}

/* The self-check vector of [snp 6.1], computed with another AES-256-GCM. */
static void a_guest_message_is_sealed_as_the_specification_says(void **state)
{
    (void)state;
    u8 key[32], iv[12], want[96], want_tag[16], tag[16], out[96];
    struct snp_report_req request = {.vmpl = 0};
    struct snp_msg_header header = {.seqno = 1,
                                    .algo = SNP_MSG_ALGO_AES_256_GCM,
                                    .header_version = 1,
                                    .header_size = 0x60,
                                    .type = SNP_MSG_REPORT_REQ,
                                    .version = 1,
                                    .size = sizeof request};
    for (u8 i = 0; i < 64; i++)
        request.report_data[i] = i;
    for (u8 i = 0; i < 32; i++)
        key[i] = i;
    hex_decode(want, 96,
               "e22d803ca0aaea00420d0fc830cc86c4dc70dd3d68bd7d05560647e5013b996fccddd2ea048788e8f0f"
               "437f862242ea7"
               "c0e4fcb7d1456ca0bbb1da492b891678bcafa49213c0f2445044cd48be94fd5eb5f3e8b761e80896f35"
               "3185b4abd740d");
    hex_decode(want_tag, 16, "0f354f26b13f7433d3674d8eebcaf847");
    snp_msg_iv(header.seqno, iv);
    const u8 *aad = (const u8 *)&header + SNP_MSG_AAD_OFFSET;
    crypto_aes256_gcm_seal(key, iv, aad, SNP_MSG_AAD_SIZE, &request, out, sizeof request, tag);
    assert_memory_equal(out, want, sizeof want);
    assert_memory_equal(tag, want_tag, sizeof tag);
    assert_true(crypto_aes256_gcm_open(key, iv, aad, SNP_MSG_AAD_SIZE, out, out, sizeof out, tag));
    assert_memory_equal(out, &request, sizeof out);
    tag[15] ^= 1;
    assert_false(
        crypto_aes256_gcm_open(key, iv, aad, SNP_MSG_AAD_SIZE, want, out, sizeof out, tag));
}

/* The examples of [snp 7]. */
static void tcb_layouts(void **state)
{
    (void)state;
    static const u8 milan[8] = {4, 0, 0, 0, 0, 0, 0x18, 0xdb},
                    turin[8] = {0, 1, 0, 2, 0, 0, 0, 0x47};
    struct snp_tcb t = snp_tcb_unpack(SNP_TCB_MILAN, load_le64(milan));
    assert_true(t.boot_loader == 4 && t.tee == 0 && t.snp == 24 && t.microcode == 219);
    assert_int_equal(snp_tcb_pack(SNP_TCB_MILAN, t), load_le64(milan));
    t = snp_tcb_unpack(SNP_TCB_TURIN, load_le64(turin));
    assert_true(t.fmc == 0 && t.boot_loader == 1 && t.tee == 0 && t.snp == 2 &&
                t.microcode == 0x47);
    assert_int_equal(snp_tcb_pack(SNP_TCB_TURIN, t), load_le64(turin));
    assert_int_equal(snp_tcb_reserved(SNP_TCB_MILAN), 0x0000ffffffff0000);
    assert_int_equal(snp_tcb_reserved(SNP_TCB_TURIN), 0x00ffffff00000000);
    assert_true(snp_tcb_at_most(0x0102, 0x0103) && !snp_tcb_at_most(0x0103, 0x0202));
    assert_int_equal(snp_tcb_layout_of_part(0x19, 0xaf), SNP_TCB_MILAN);
    assert_int_equal(snp_tcb_layout_of_part(0x1a, 0), SNP_TCB_TURIN);
    assert_int_equal(snp_tcb_layout_of_part(0x1a, 0x4f), SNP_TCB_TURIN);
    for (unsigned model = 0x50; model <= 0xff; model++)
        assert_int_equal(snp_tcb_layout_of_part(0x1a, (u8)model), SNP_TCB_UNKNOWN);
    assert_int_equal(snp_tcb_layout_of_part(0x1b, 0), SNP_TCB_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_genuine_milan_report_parses_and_verifies),
        cmocka_unit_test(a_number_longer_than_the_field_is_no_signature),
        cmocka_unit_test(a_published_id_auth_page_holds),
        cmocka_unit_test(a_public_key_of_another_curve_or_off_it_is_refused),
        cmocka_unit_test(a_vcek_belongs_to_one_chip_and_one_tcb),
        cmocka_unit_test(a_hashstick_opens_on_its_chip_only_and_unchanged),
        cmocka_unit_test(a_guest_message_is_sealed_as_the_specification_says),
        cmocka_unit_test(tcb_layouts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
