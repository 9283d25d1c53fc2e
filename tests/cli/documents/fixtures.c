/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softsev fixtures: every case of every profile through our own verifiers, from the files and the
 * manifest alone; some through openssl's own program; and the same files again from the same seed.
 */
#include "cli/cli.h"
#include "cli/identity/profile.h"
#include "cli/owner/owner_cli.h"

#include "base/bytes.h"
#include "firmware/firmware.h"
#include "owner/legacy_report.h"
#include "owner/report.h"
#include "output.h"
#include "needs.h"

#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[] = "/tmp/softsev-fixtures-XXXXXX";
static json_t *manifest;

/* The program's own; here nothing is to fail. */
int cli_fail(const char *command, const struct error *error)
{
    print_message("# %s: %s\n", command, error->text);
    return (int)error->code;
}

static int fixtures(const char *out, const char *profile)
{
    char *argv[] = {(char *)"fixtures",  (char *)"--out", (char *)out,
                    (char *)"--profile", (char *)profile, (char *)"--seed=a test"};
    int result = run_into("/dev/null", cli_fixtures, ARRAY_SIZE(argv), argv);
    return result;
}

static int make(void **state)
{
    (void)state;
    if (!mkdtemp(folder) || chdir(folder) || fixtures("all", "all"))
        return -1;
    manifest = json_load_file("all/manifest.json", 0, NULL);
    return manifest && chdir("all") == 0 ? 0 : -1;
}

static int clean(void **state)
{
    (void)state;
    char command[100];
    json_decref(manifest);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static size_t load(const char *path, void *out, size_t size)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        print_message("# no file %s\n", path);
    assert_non_null(f);
    size_t n = fread(out, 1, size, f);
    fclose(f);
    return n;
}

static const char *text_of(const json_t *j, const char *key)
{
    return json_string_value(json_object_get(j, key));
}

static s64 number_of(const json_t *j, const char *key)
{
    assert_true(json_is_integer(json_object_get(j, key)));
    return json_integer_value(json_object_get(j, key));
}

static const u8 *bytes_of(const json_t *j, const char *key, u8 *out, size_t size)
{
    const char *text = text_of(j, key);
    if (!text)
        return NULL;
    assert_true(hex_decode(out, size, text));
    return out;
}

/* --- SNP reports ------------------------------------------------------------------------------ */

struct demands {
    struct report_policy policy;
    struct snp_tcb tcb;
    u64 guest_policy;
    struct snp_id_block block;
    struct snp_id_auth auth;
    u8 bytes[6][64];
    s64 time;
};

static void read_policy(const json_t *c, struct demands *w)
{
    const json_t *j = json_object_get(c, "policy");
    struct error e = {.code = ERROR_NONE};
    u64 tcb;
    unsigned major, minor;
    const struct firmware_profile *p = firmware_profile_find(text_of(c, "profile"));
    assert_non_null(p);
    assert_int_equal(cli_tcb_parse(p, text_of(j, "minimum_tcb"), "tcb", &tcb, &e), 0);
    assert_int_equal(sscanf(text_of(j, "minimum_api"), "%u.%u", &major, &minor), 2);
    w->tcb = snp_tcb_unpack(p->tcb_layout, tcb);
    w->time = number_of(j, "time");
    w->policy = (struct report_policy){
        .time = &w->time,
        .measurement = bytes_of(j, "measurement", w->bytes[0], 48),
        .report_data = bytes_of(j, "report_data", w->bytes[1], 64),
        .host_data = bytes_of(j, "host_data", w->bytes[2], 32),
        .chip_id = bytes_of(j, "chip_id", w->bytes[3], 64),
        .id_key_digest = bytes_of(j, "id_key_digest", w->bytes[4], 48),
        .author_key_digest = bytes_of(j, "author_key_digest", w->bytes[5], 48),
        .minimum_tcb = &w->tcb,
        .minimum_api_major = (u8)major,
        .minimum_api_minor = (u8)minor,
        .minimum_svn = (u32)number_of(j, "minimum_svn"),
        .maximum_vmpl = (u32)number_of(j, "maximum_vmpl"),
        .allow_debug = json_is_true(json_object_get(j, "allow_debug")),
        .allow_migration = json_is_true(json_object_get(j, "allow_migration")),
        .accept_masked_chip_id = json_is_true(json_object_get(j, "accept_masked_chip_id")),
    };
    if (json_object_get(j, "guest_policy")) {
        w->guest_policy = (u64)number_of(j, "guest_policy");
        w->policy.guest_policy = &w->guest_policy;
    }
    if (!text_of(c, "id_block"))
        return;
    assert_int_equal(load(text_of(c, "id_block"), &w->block, sizeof w->block), 96);
    assert_int_equal(load(text_of(c, "id_auth"), &w->auth, sizeof w->auth), 4096);
    assert_int_equal(id_block_check(&w->block, 96, &w->auth, 4096, &e), 0);
    w->policy.id_block = &w->block;
    w->policy.id_auth = &w->auth;
}

static void check_report(const json_t *c)
{
    u8 report[2000];
    struct report_certificates certificates = {.given = {.count = 0}};
    struct error e = {.code = ERROR_NONE};
    struct demands w;
    read_policy(c, &w);
    size_t size = load(text_of(c, "report"), report, sizeof report);
    assert_int_equal(owner_add_certificates(&certificates.given, &certificates.lists, "certs",
                                            text_of(c, "certificates"), &e),
                     0);
    assert_int_equal(owner_add_certificates(&certificates.roots, &certificates.lists, "root",
                                            text_of(c, "root"), &e),
                     0);
    assert_int_equal(owner_add_crls(&certificates.lists, text_of(c, "crl"), &e), 0);
    enum report_check check = owner_verify_report(report, size, &certificates, &w.policy, &e);
    if (strcmp(report_check_name(check), text_of(c, "check")))
        print_message("# %s: %s: %s\n", text_of(c, "name"), report_check_name(check), e.text);
    assert_string_equal(report_check_name(check), text_of(c, "check"));
    assert_int_equal(check == REPORT_OK, !strcmp(text_of(c, "expect"), "accept"));
    report_certificates_free(&certificates);
}

/* --- SEV's chains and measurements ------------------------------------------------------------ */

static void check_chain(const json_t *c)
{
    struct sev_platform_chain chain;
    struct amd_chain root;
    struct error e = {.code = ERROR_NONE};
    const bool accept = !strcmp(text_of(c, "expect"), "accept");
    assert_int_equal(owner_read_root(text_of(c, "root"), &root, &e), 0);
    int result = owner_read_chain(text_of(c, "chain"), &chain, &e) ||
                 owner_verify_platform(&chain, &root, &e);
    if (!!result == accept ||
        (!accept && strcmp(text_of(c, "check"), "size") && !strstr(e.text, text_of(c, "check"))))
        print_message("# %s: %s\n", text_of(c, "name"), e.text);
    assert_int_equal(!result, accept);
    if (!accept && strcmp(text_of(c, "check"), "size"))
        assert_non_null(strstr(e.text, text_of(c, "check")));
}

static void check_legacy_report(const json_t *c)
{
    u8 report[300], mnonce[16], digest[32];
    struct sev_platform_chain chain;
    struct amd_chain root;
    struct error e = {.code = ERROR_NONE};
    const json_t *j = json_object_get(c, "policy");
    const u32 guest_policy = (u32)number_of(j, "guest_policy");
    const struct legacy_policy policy = {
        .mnonce = bytes_of(j, "mnonce", mnonce, sizeof mnonce),
        .launch_digest = bytes_of(j, "launch_digest", digest, sizeof digest),
        .policy = &guest_policy,
        .allow_debug = json_is_true(json_object_get(j, "allow_debug"))};
    assert_true(policy.mnonce && policy.launch_digest);
    assert_int_equal(owner_read_root(text_of(c, "root"), &root, &e), 0);
    assert_int_equal(owner_read_chain(text_of(c, "chain"), &chain, &e), 0);
    size_t size = load(text_of(c, "report"), report, sizeof report);
    enum legacy_check check = owner_verify_legacy_report(report, size, &chain, &root, &policy, &e);
    if (strcmp(legacy_check_name(check), text_of(c, "check")))
        print_message("# %s: %s: %s\n", text_of(c, "name"), legacy_check_name(check), e.text);
    assert_string_equal(legacy_check_name(check), text_of(c, "check"));
    assert_int_equal(check == LEGACY_OK, !strcmp(text_of(c, "expect"), "accept"));
}

static void check_measurement(const json_t *c)
{
    u8 tik[16], measure[32], expected[32];
    struct measurement m = {.api_major = (u8)number_of(c, "api_major"),
                            .api_minor = (u8)number_of(c, "api_minor"),
                            .build = (u8)number_of(c, "build"),
                            .policy = (u32)number_of(c, "policy")};
    bytes_of(c, "digest", m.digest, sizeof m.digest);
    bytes_of(c, "mnonce", m.mnonce, sizeof m.mnonce);
    bytes_of(c, "tik", tik, sizeof tik);
    bytes_of(c, "measure", measure, sizeof measure);
    measurement_compute(&m, tik, expected);
    assert_int_equal(!memcmp(expected, measure, sizeof measure),
                     !strcmp(text_of(c, "expect"), "accept"));
}

static void a_correct_verifier_says_what_the_manifest_says(void **state)
{
    (void)state;
    size_t i;
    json_t *c;
    size_t reports = 0, chains = 0, legacy = 0, measurements = 0, accepted = 0;
    json_array_foreach(json_object_get(manifest, "cases"), i, c)
    {
        const char *kind = text_of(c, "kind");
        accepted += !strcmp(text_of(c, "expect"), "accept");
        if (!strcmp(kind, "snp-report")) {
            check_report(c);
            reports++;
        } else if (!strcmp(kind, "sev-chain")) {
            check_chain(c);
            chains++;
        } else if (!strcmp(kind, "sev-report")) {
            check_legacy_report(c);
            legacy++;
        } else {
            assert_string_equal(kind, "sev-measurement");
            check_measurement(c);
            measurements++;
        }
    }
    size_t profiles = 0, snp = 0, vlek = 0, version_4 = 0;
    for (const struct firmware_profile *p = firmware_profiles; p->name; p++) {
        profiles++;
        snp += p->report_version != 0;
        version_4 += p->report_version >= 3;
        vlek += p->report_version != 0 && (p->features & SNP_FEATURE_ECX_VLEK);
    }
    assert_true(reports > 55 * snp && chains == 13 * profiles && measurements == 7 * profiles);
    assert_int_equal(legacy, 29 * profiles);
    assert_int_equal(accepted, 4 * profiles + 13 * snp + vlek + version_4);
}

static size_t cases_of(const char *kind, const char *check)
{
    size_t i, count = 0;
    json_t *c;
    json_array_foreach(json_object_get(manifest, "cases"), i, c) count +=
        !strcmp(text_of(c, "kind"), kind) && !strcmp(text_of(c, "check"), check);
    return count;
}

/* Every check has a case that fails it, but for those that need a broken root or a certificate that
 * nobody issues. */
static void every_check_has_its_case(void **state)
{
    (void)state;
    static const enum report_check without[] = {
        REPORT_CHECK_ENDORSEMENT, REPORT_CHECK_ROOT_SIGNATURE, REPORT_CHECK_ROOT_AUTHORITY,
        REPORT_CHECK_SIGNER_AUTHORITY, REPORT_CHECK_SMT};
    for (unsigned check = REPORT_OK; check <= REPORT_CHECK_ID_BLOCK; check++) {
        size_t count = cases_of("snp-report", report_check_name((enum report_check)check));
        bool excused = false;
        for (size_t k = 0; k < ARRAY_SIZE(without); k++)
            excused = excused || without[k] == check;
        if (!count != excused)
            print_message("# %s: %zu cases\n", report_check_name((enum report_check)check), count);
        assert_int_equal(!count, excused);
    }
    for (unsigned check = LEGACY_OK; check < LEGACY_CHECK_COUNT; check++)
        assert_true(cases_of("sev-report", legacy_check_name((enum legacy_check)check)) > 0);
}

/* --- openssl's program ------------------------------------------------------------------------ */

/* SEQUENCE of two INTEGERs, from 48 bytes little-endian each. */
static size_t put_integer(u8 *out, const u8 number[48])
{
    size_t size = 48, at = 2;
    while (size > 1 && !number[size - 1])
        size--;
    if (number[size - 1] & 0x80)
        out[at++] = 0;
    for (size_t i = 0; i < size; i++)
        out[at++] = number[size - 1 - i];
    out[0] = 2;
    out[1] = (u8)(at - 2);
    return at;
}

static void write_signature(const u8 *r, const u8 *s)
{
    u8 der[200];
    size_t size = put_integer(der + 2, r);
    size += put_integer(der + 2 + size, s);
    der[0] = 0x30;
    der[1] = (u8)size;
    write_file("signature.der", der, size + 2);
}

static int openssl_verifies(const char *certificate, const char *report)
{
    struct snp_report r;
    char command[1000];
    assert_int_equal(load(report, &r, sizeof r), sizeof r);
    write_signature(r.signature.r, r.signature.s);
    write_file("signed.bin", &r, SNP_REPORT_SIGNED_SIZE);
    snprintf(command, sizeof command,
             "openssl x509 -in %s -noout -pubkey >key.pem && openssl dgst -sha384 -verify key.pem "
             "-signature signature.der signed.bin >/dev/null 2>&1",
             certificate);
    return system(command);
}

/* The PEK behind the PDH: its point at 14h and 5Ch of the certificate, in the form that OpenSSL
 * reads [sev 7.8, 8.1]. */
static int openssl_verifies_legacy(const char *chain, const char *report)
{
    static const u8 p384[] = {0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86,
                              0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
                              0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00, 0x04};
    u8 c[2 * 2084], r[208], key[sizeof p384 + 96];
    const u8 *pek = c + 2084;
    assert_int_equal(load(chain, c, sizeof c), sizeof c);
    assert_int_equal(load(report, r, sizeof r), sizeof r);
    memcpy(key, p384, sizeof p384);
    for (size_t i = 0; i < 48; i++) {
        key[sizeof p384 + i] = pek[0x14 + 47 - i];
        key[sizeof p384 + 48 + i] = pek[0x5c + 47 - i];
    }
    write_file("key.der", key, sizeof key);
    write_signature(r + 0x40, r + 0x88);
    write_file("signed.bin", r, 0x34);
    return system("openssl dgst -sha256 -keyform DER -verify key.der -signature signature.der "
                  "signed.bin >/dev/null 2>&1");
}

test_that_needs(openssl_says_the_same_of_legacy_reports, .program = "openssl")
{
    (void)state;
    for (const struct firmware_profile *p = firmware_profiles; p->name; p++) {
        assert_int_equal(chdir(p->name), 0);
        const char *chain = "chain-valid.bin";
        assert_int_equal(openssl_verifies_legacy(chain, "report-valid.bin"), 0);
        assert_int_equal(openssl_verifies_legacy(chain, "report-valid-debug-allowed.bin"), 0);
        assert_int_equal(openssl_verifies_legacy(chain, "report-usage.bin"), 0);
        assert_int_not_equal(openssl_verifies_legacy(chain, "report-other-pek.bin"), 0);
        assert_int_not_equal(openssl_verifies_legacy(chain, "report-bad-signature.bin"), 0);
        assert_int_not_equal(openssl_verifies_legacy(chain, "report-changed-policy.bin"), 0);
        assert_int_equal(chdir(".."), 0);
    }
}

static int openssl_chain(const char *certs, const char *root, const char *leaf)
{
    char command[1000];
    snprintf(command, sizeof command,
             "openssl verify -attime 1767312000 -CAfile %s -untrusted %s/%s.pem %s/%s.pem "
             ">/dev/null 2>&1",
             root, certs, strcmp(leaf, "vlek") ? "ask" : "asvk", certs, leaf);
    return system(command);
}

test_that_needs(openssl_says_the_same_of_signatures_and_chains, .program = "openssl")
{
    (void)state;
    for (const struct firmware_profile *p = firmware_profiles; p->name; p++) {
        if (!p->report_version)
            continue;
        assert_int_equal(chdir(p->name), 0);
        assert_int_equal(openssl_verifies("certs/vcek.pem", "valid.bin"), 0);
        assert_int_equal(openssl_verifies("certs-low-tcb/vcek.pem", "valid-low-tcb.bin"), 0);
        assert_int_not_equal(openssl_verifies("certs-low-tcb/vcek.pem", "valid.bin"), 0);
        assert_int_not_equal(openssl_verifies("certs/vcek.pem", "bad-signature.bin"), 0);
        assert_int_not_equal(openssl_verifies("certs/vcek.pem", "changed-measurement.bin"), 0);
        assert_int_equal(openssl_verifies("certs/vcek.pem", "reserved-byte.bin"), 0);
        assert_int_equal(openssl_chain("certs", "trust/ark.pem", "vcek"), 0);
        assert_int_not_equal(openssl_chain("certs-expired", "trust/ark.pem", "vcek"), 0);
        assert_int_not_equal(openssl_chain("certs-not-yet-valid", "trust/ark.pem", "vcek"), 0);
        assert_int_not_equal(openssl_chain("certs-other-root", "trust/ark.pem", "vcek"), 0);
        assert_int_not_equal(openssl_chain("certs-changed-vcek", "trust/ark.pem", "vcek"), 0);
        if (p->features & SNP_FEATURE_ECX_VLEK) {
            assert_int_equal(openssl_verifies("certs-vlek/vlek.pem", "valid-vlek.bin"), 0);
            assert_int_equal(openssl_chain("certs-vlek", "trust/ark.pem", "vlek"), 0);
        }
        assert_int_equal(
            system(
                "openssl crl -in crl.pem -CAfile trust/ark.pem -noout 2>&1 | grep -q 'verify OK'"),
            0);
        assert_int_equal(
            system("openssl crl -in crl-ask-revoked.pem -noout -text | grep -q 'Serial Number:'"),
            0);
        assert_int_equal(chdir(".."), 0);
    }
}

static void a_seed_repeats_every_byte(void **state)
{
    (void)state;
    assert_int_equal(fixtures("../again", "milan"), 0);
    assert_int_equal(system("rm -f milan/key.* milan/signature.der milan/signed.bin"), 0);
    assert_int_equal(system("diff -r milan ../again/milan"), 0);
}

static void wrong_command_lines_are_refused(void **state)
{
    (void)state;
    char *none[] = {(char *)"fixtures"};
    char *other[] = {(char *)"fixtures", (char *)"--out", (char *)"x", (char *)"--all"};
    assert_int_equal(cli_fixtures(1, none), ERROR_USAGE);
    assert_int_equal(cli_fixtures(4, other), ERROR_USAGE);
    assert_int_equal(fixtures("x", "pentium"), ERROR_USAGE);
    assert_int_equal(access("x", F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_correct_verifier_says_what_the_manifest_says),
        cmocka_unit_test(every_check_has_its_case),
        cmocka_unit_test(openssl_says_the_same_of_signatures_and_chains),
        cmocka_unit_test(openssl_says_the_same_of_legacy_reports),
        cmocka_unit_test(a_seed_repeats_every_byte),
        cmocka_unit_test(wrong_command_lines_are_refused),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
