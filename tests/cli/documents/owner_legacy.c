/* SPDX-License-Identifier: Apache-2.0 */
/* softsev owner verify of legacy attestation reports [sev 7.8]: what is said, and what of the
 * command line is refused. */
#include "owner_rig.h"

#include "base/encoding.h"

/* legacy, in the forms that it comes in; legacy-changed, legacy-long. */
static int make_reports(void **state)
{
    if (make_files(state))
        return -1;
    struct crypto *c = crypto_create("reports", 7);
    struct sev_attestation_report report;
    u8 digest[32], padded[209] = {0};
    char text[2 * sizeof report + 1];
    crypto_sha256("abc", 3, digest);
    assert_true(report_sign(c, &pek, (const u8 *)"the owner's once", digest, 5, &report));
    memcpy(padded, &report, sizeof report);
    write_file("legacy", &report, sizeof report);
    write_file("legacy-long", padded, sizeof padded);
    hex_encode(text, &report, sizeof report);
    write_file("legacy-hex", text, sizeof text - 1);
    text_encode_base64(text, &report, sizeof report);
    write_file("legacy-base64", text, strlen(text));
    report.signature.s[0] ^= 1;
    write_file("legacy-changed", &report, sizeof report);
    crypto_destroy(c);
    return 0;
}

#define LEGACY "verify --chain chain --root root --report "

static void legacy_reports_verify_and_refusals_name_the_check(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        int code;
        const char *error;
    } cases[] = {
        {LEGACY "legacy-hex", ERROR_NONE, NULL},
        {LEGACY "legacy-base64", ERROR_NONE, NULL},
        {LEGACY "legacy --launch launched --policy 5 --nonce dGhlIG93bmVyJ3Mgb25jZQ==", ERROR_NONE,
         NULL},
        {LEGACY "legacy --policy 1", ERROR_MEASUREMENT,
         "guest-policy: the guest's policy is 0x5, expected is 0x1"},
        {LEGACY "legacy --launch passphrase", ERROR_MEASUREMENT,
         "launch-digest: the report has "
         "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad, expected is "
         "41ef4bb0b23661e66301aac36066912dac037827b4ae63a7b1165a5aa93ed4eb"},
        {LEGACY "legacy --nonce BwAAAAAAAAAAAAAAAAAAAA==", ERROR_MEASUREMENT,
         "nonce: MNONCE: the report has 746865206f776e65722773206f6e6365, expected is "
         "07000000000000000000000000000000"},
        {LEGACY "legacy-changed", ERROR_MEASUREMENT,
         "report-signature: the report's signature by the chain's PEK does not verify"},
        {LEGACY "legacy-long", ERROR_MEASUREMENT,
         "report-size: a report has 208 bytes (SNP: 1184), this one 209"},
        {"verify --chain other-chain --root root --report legacy", ERROR_MEASUREMENT,
         "owner-chain: OCA certificate, signed by itself: signature does not verify"},
        {"verify --root root --report legacy", ERROR_USAGE,
         "a legacy report (208 bytes) needs --chain"},
        {LEGACY "legacy --min-svn 1", ERROR_USAGE,
         "--chain cannot be given with --min-svn: --chain belongs to a legacy report, the other to "
         "an "
         "SNP report"},
        {LEGACY "legacy --append quiet", ERROR_USAGE, "--append needs --kernel"},
        {LEGACY "legacy --digest 12", ERROR_USAGE,
         "--digest '12': expected 64 or 96 hexadecimal digits"},
        {"verify --root root --report launched --nonce BwAAAAAAAAAAAAAAAAAAAA==", ERROR_USAGE,
         "--nonce needs --chain: it belongs to a legacy report"},
        {"verify --root root --report legacy --min-svn 1", ERROR_USAGE,
         "--min-svn belongs to an SNP report; this is a legacy one"},
        {"verify --chain chain --root root --policy 1", ERROR_USAGE,
         "--policy needs --report: it says what a report must hold"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(owner(cases[i].words), cases[i].code);
        if (cases[i].error)
            assert_string_equal(last_error, cases[i].error);
    }
    assert_int_equal(owner(LEGACY "legacy"), ERROR_NONE);
    assert_string_equal(
        said, "legacy report: verifies\n"
              "launch digest  ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n"
              "policy         0x5\nMNONCE         dGhlIG93bmVyJ3Mgb25jZQ==\n");
    assert_int_equal(owner(LEGACY "legacy --json"), ERROR_NONE);
    assert_ptr_equal(strstr(said, "{\"verified\":true,\"launch_digest\":\"ba7816bf"), said);
    assert_int_equal(owner(LEGACY "legacy-long --json"), ERROR_MEASUREMENT);
    assert_ptr_equal(strstr(said, "{\"verified\":false,\"check\":\"report-size\","), said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(legacy_reports_verify_and_refusals_name_the_check),
    };
    return cmocka_run_group_tests(tests, make_reports, remove_files);
}
