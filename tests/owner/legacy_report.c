/* SPDX-License-Identifier: Apache-2.0 */
/* Legacy attestation reports, typed byte by byte from [sev 7.8], and each way in which one is
 * refused. */
#include "owner/legacy_report.h"

#include "platform_rig.h"

/* 00h MNONCE, 10h LAUNCH_DIGEST, 30h POLICY; 34h usage, 38h algorithm, 3Ch reserved; 40h R, 88h S,
 * little-endian. */
// clang-format off
static const u8 typed[64] = {
    0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf,
    0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf,
    0xe0, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee, 0xef,
    0x05, 0x00, 0x00, 0x00, 0x02, 0x10, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};
// clang-format on

/* Signed are the first 34h bytes, with ECDSA and SHA-256. */
static void make_report(struct platform *p, const struct ec_private *key, u8 report[1184])
{
    struct ec_signature s;
    memset(report, 0, 1184);
    memcpy(report, typed, sizeof typed);
    assert_true(crypto_ecdsa_sign(p->crypto, key, CRYPTO_SHA256, report, 0x34, &s));
    memcpy(report + 0x40, s.r, 48);
    memcpy(report + 0x88, s.s, 48);
}

static enum legacy_check verify(struct platform *p, const void *report, size_t size,
                                const struct legacy_policy *policy, struct error *e)
{
    *e = (struct error){.code = ERROR_NONE};
    enum legacy_check check =
        owner_verify_legacy_report(report, size, &p->chain, &p->root, policy, e);
    assert_int_equal(e->code, check ? ERROR_MEASUREMENT : ERROR_NONE);
    assert_int_equal(!e->text[0], !check);
    return check;
}

static void a_typed_report_verifies(void **state)
{
    struct platform *p = *state;
    u8 report[1184];
    struct error e;
    const u32 policy = 5;
    const struct legacy_policy none = {.allow_debug = false},
                               all = {typed, typed + 16, &policy, false};
    make_report(p, &p->pek, report);
    assert_int_equal(verify(p, report, 208, &none, &e), LEGACY_OK);
    assert_int_equal(verify(p, report, 208, &all, &e), LEGACY_OK);
    assert_string_equal(legacy_check_name(LEGACY_OK), "ok");
}

/* The signed bytes, the twelve between, R, S, and the zeros behind both. */
static void every_byte_counts(void **state)
{
    struct platform *p = *state;
    u8 report[1184];
    struct error e;
    const struct legacy_policy none = {.allow_debug = true};
    static const size_t sizes[] = {0, 1, 64, 207, 209, 416, 1184};
    make_report(p, &p->pek, report);
    for (size_t i = 0; i < 208; i++) {
        report[i] ^= 0x10;
        assert_int_equal(verify(p, report, 208, &none, &e),
                         i >= 0x34 && i < 0x40 ? LEGACY_CHECK_FORM : LEGACY_CHECK_SIGNATURE);
        report[i] ^= 0x10;
    }
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
        assert_int_equal(verify(p, report, sizes[i], &none, &e), LEGACY_CHECK_SIZE);
    assert_string_equal(e.text, "a report has 208 bytes (SNP: 1184), this one 1184");
    make_report(p, &p->pdh, report);
    assert_int_equal(verify(p, report, 208, &none, &e), LEGACY_CHECK_SIGNATURE);
    assert_string_equal(e.text, "the report's signature by the chain's PEK does not verify");
}

static void what_the_owner_demands(void **state)
{
    struct platform *p = *state;
    u8 report[1184], other[32];
    struct error e;
    const u32 one = 1, four = 4;
    const struct legacy_policy nonce = {.mnonce = other}, policy = {.policy = &one},
                               digest = {.launch_digest = other};
    make_report(p, &p->pek, report);
    memcpy(other, typed, sizeof other);
    other[15] ^= 1;
    assert_int_equal(verify(p, report, 208, &nonce, &e), LEGACY_CHECK_NONCE);
    assert_string_equal(e.text, "MNONCE: the report has a0a1a2a3a4a5a6a7a8a9aaabacadaeaf, expected "
                                "is a0a1a2a3a4a5a6a7a8a9aaabacadaeae");
    assert_int_equal(verify(p, report, 208, &policy, &e), LEGACY_CHECK_POLICY);
    assert_string_equal(e.text, "the guest's policy is 0x5, expected is 0x1");
    assert_int_equal(verify(p, report, 208, &digest, &e), LEGACY_CHECK_MEASUREMENT);

    struct sev_attestation_report debug;
    assert_true(report_sign(p->crypto, &p->pek, typed, typed + 16, 4, &debug));
    const struct legacy_policy allowed = {.policy = &four, .allow_debug = true},
                               refused = {.policy = &four};
    assert_int_equal(verify(p, &debug, 208, &allowed, &e), LEGACY_OK);
    assert_int_equal(verify(p, &debug, 208, &refused, &e), LEGACY_CHECK_DEBUG);
}

static void the_chain_is_verified_first(void **state)
{
    struct platform *p = *state, broken = *p;
    u8 report[1184];
    struct error e;
    const struct legacy_policy none = {.allow_debug = false};
    make_report(p, &p->pek, report);
    broken.root.ask.bytes[broken.root.ask.size - 1] ^= 1;
    assert_int_equal(verify(&broken, report, 208, &none, &e), LEGACY_CHECK_ROOT);
    assert_string_equal(e.text, "ASK certificate, signed by ARK: signature does not verify");
    broken = *p;
    broken.chain.chain.cek.signatures[0].rsa[0] ^= 1;
    assert_int_equal(verify(&broken, report, 208, &none, &e), LEGACY_CHECK_CHIP);
    broken = *p;
    broken.chain.pdh.signatures[0].ec.r[0] ^= 1;
    assert_int_equal(verify(&broken, report, 208, &none, &e), LEGACY_CHECK_CHIP);
    assert_string_equal(e.text, "PDH certificate, signed by PEK: signature does not verify");
    broken = *p;
    broken.chain.chain.oca.signatures[0].ec.r[0] ^= 1;
    assert_int_equal(verify(&broken, report, 208, &none, &e), LEGACY_CHECK_OWNER);
    assert_string_equal(e.text, "OCA certificate, signed by itself: signature does not verify");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_typed_report_verifies),
        cmocka_unit_test(every_byte_counts),
        cmocka_unit_test(what_the_owner_demands),
        cmocka_unit_test(the_chain_is_verified_first),
    };
    return cmocka_run_group_tests(tests, make_platform, free_platform);
}
