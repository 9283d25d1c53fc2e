/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three rooms that know nothing of one another: a report signed as the firmware signs, of every
 * profile, with the authority's certificates, is what the owner accepts; and with one of them
 * expired, revoked or another's it is not.
 */
#include "authority/authority.h"
#include "cli/cli.h"
#include "cli/identity/profile.h"
#include "firmware/firmware.h"
#include "owner/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define NOW (AUTHORITY_EPOCH + 1000000)

static struct crypto *crypto;
static struct authority *authority, *other;
static const u8 fuses[32] = {1, 2, 3};

static int make(void **state)
{
    (void)state;
    crypto = crypto_create("certs", 5);
    authority = authority_create(crypto, 2048);
    other = authority_create(crypto, 2048);
    return authority && other ? 0 : -1;
}

static int unmake(void **state)
{
    (void)state;
    authority_free(authority);
    authority_free(other);
    crypto_destroy(crypto);
    return 0;
}

/* What is verified; the parts that a case changes. */
struct scene {
    const struct firmware_profile *profile;
    bool vlek;
    const struct authority *root; /* who the owner trusts */
    struct authority_terms key_terms;
    u32 revoked;
    bool list;
    u64 certified_tcb;
};

static struct scene scene_of(const struct firmware_profile *p, bool vlek)
{
    return (struct scene){.profile = p,
                          .vlek = vlek,
                          .root = authority,
                          .key_terms = {.not_before = AUTHORITY_EPOCH},
                          .certified_tcb = p->tcb};
}

static void make_report(const struct scene *s, struct snp_report *r, struct ec_public *certified)
{
    const struct firmware_profile *p = s->profile;
    struct ec_private key, other_key;
    u8 stick[SNP_VLEK_STICK_SIZE], id[64];
    *r = (struct snp_report){
        .version = p->report_version,
        .policy = SNP_POLICY_ONE,
        .signature_algorithm = SNP_SIGNATURE_ECDSA_P384_SHA384,
        .current_tcb = p->tcb,
        .reported_tcb = p->tcb,
        .committed_tcb = p->tcb,
        .launch_tcb = p->tcb,
        .key_info = SNP_KEY_INFO_SIGNING_KEY(s->vlek ? SNP_SIGNED_BY_VLEK : SNP_SIGNED_BY_VCEK),
        .cpuid_family = p->report_version >= 3 ? p->family : 0,
        .cpuid_model = p->report_version >= 3 ? p->model : 0,
        .cpuid_stepping = p->report_version >= 3 ? p->stepping : 0,
        .current_major = p->api_major,
        .committed_major = p->api_major,
    };
    assert_true(identity_chip_id(fuses, id));
    memcpy(r->chip_id, id, p->chip_id_size);
    authority_vlek_stick(authority, authority_product_find(p->product), "cloud", stick);
    assert_true(s->vlek ? identity_vlek(stick, p->tcb, &key) : identity_vcek(fuses, p->tcb, &key));
    assert_true(s->vlek ? identity_vlek(stick, s->certified_tcb, &other_key)
                        : identity_vcek(fuses, s->certified_tcb, &other_key));
    *certified = other_key.public;
    assert_true(snp_sign(crypto, &key, r, SNP_REPORT_SIGNED_SIZE, &r->signature));
}

static struct crypto_certificate *read_one(const u8 *der, size_t size)
{
    struct crypto_certificate *c = NULL;
    assert_true(size > 0);
    assert_non_null(c = crypto_certificate_read(der, size));
    return c;
}

static enum report_check verify(const struct scene *s)
{
    u8 der[AUTHORITY_CERT_MAX], id[64];
    struct snp_report report;
    struct error e = {.code = ERROR_NONE};
    const struct authority_product *product = authority_product_find(s->profile->product);
    const struct authority_terms own = {.not_before = 0},
                                 list_terms = {.not_before = AUTHORITY_EPOCH};
    struct authority_endorsement what = {
        .product = product, .tcb = s->certified_tcb, .csp_id = "cloud"};
    struct crypto_certificate *given[2], *root;
    struct crypto_crl *list = NULL;
    make_report(s, &report, &what.key);
    assert_true(identity_chip_id(fuses, id));
    if (!s->vlek) {
        what.chip_id = id;
        what.product_name = s->profile->product_name;
    }
    given[0] = read_one(der, authority_endorse(authority, &what, &s->key_terms, der, sizeof der));
    given[1] = read_one(der, authority_certificate(authority, product,
                                                   s->vlek ? AUTHORITY_ASVK : AUTHORITY_ASK, &own,
                                                   der, sizeof der));
    root = read_one(der,
                    authority_certificate(s->root, product, AUTHORITY_ARK, &own, der, sizeof der));
    if (s->list) {
        size_t size = authority_crl(authority, product, s->revoked, &list_terms, der, sizeof der);
        assert_non_null(list = crypto_crl_read(der, size));
    }
    const struct report_certificates certificates = {{given, 2}, {&root, 1}, {&list, s->list}};
    static const s64 now = NOW;
    const struct report_policy policy = {.time = &now};
    enum report_check check =
        owner_verify_report(&report, sizeof report, &certificates, &policy, &e);
    if (check != REPORT_OK && !*e.text)
        fail();
    crypto_certificate_free(given[0]);
    crypto_certificate_free(given[1]);
    crypto_certificate_free(root);
    crypto_crl_free(list);
    return check;
}

#define assert_check(scene, check)                                                                 \
    assert_string_equal(report_check_name(verify(scene)), report_check_name(check))

static void reports_of_every_profile_are_accepted(void **state)
{
    (void)state;
    u32 count = 0;
    for (const struct firmware_profile *p = firmware_profiles; p->name; p++) {
        if (!p->report_version)
            continue;
        for (int vlek = 0; vlek <= 1; vlek++) {
            struct scene s = scene_of(p, vlek);
            assert_check(&s, REPORT_OK);
            s.list = true;
            assert_check(&s, REPORT_OK);
            count++;
        }
    }
    assert_true(count >= 10);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    for (const struct firmware_profile *p = firmware_profiles; p->name; p++) {
        if (strcmp(p->name, "milan") && strcmp(p->name, "turin"))
            continue;
        for (int vlek = 0; vlek <= 1; vlek++) {
            struct scene s = scene_of(p, vlek);
            s.root = other;
            assert_check(&s, REPORT_CHECK_SIGNER_SIGNATURE);
            s = scene_of(p, vlek);
            s.key_terms.not_after = NOW - 1;
            assert_check(&s, REPORT_CHECK_VALIDITY);
            s = scene_of(p, vlek);
            s.key_terms.not_before = NOW + 2 * 86400;
            assert_check(&s, REPORT_CHECK_VALIDITY);
            s = scene_of(p, vlek);
            s.list = true;
            s.revoked = 1u << (vlek ? AUTHORITY_ASVK : AUTHORITY_ASK);
            assert_check(&s, REPORT_CHECK_REVOKED);
            s.revoked = 1u << (vlek ? AUTHORITY_ASK : AUTHORITY_ASVK);
            assert_check(&s, REPORT_OK);
            s = scene_of(p, vlek);
            s.certified_tcb = p->tcb - 1;
            assert_check(&s, REPORT_CHECK_SIGNATURE); /* another TCB's key */
        }
    }
}

static void tcbs_are_read_and_written(void **state)
{
    (void)state;
    static const struct {
        const char *profile, *text;
        u64 tcb;
    } good[] = {{"milan", "4.0.24.219", 0xdb18000000000004},
                {"milan", "0xdb18000000000004", 0xdb18000000000004},
                {"turin", "0.1.0.2.71", 0x4700000002000100},
                {"turin", "255.255.255.255.255", 0xff000000ffffffff},
                {"genoa", "0.0.0.0", 0}};
    static const char *const bad[] = {"",
                                      "4.0.24",
                                      "4.0.24.219.0",
                                      "4.0.24.256",
                                      "4..24.219",
                                      "4.0.24.219.",
                                      "-1.0.0.0",
                                      " 1.0.0.0",
                                      "0x",
                                      "0x1g",
                                      "0x-1",
                                      "0x0000000000010000",
                                      "0x0db18000000000004"};
    const struct firmware_profile *p;
    u64 tcb;
    char text[CLI_TCB_TEXT];
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        struct error e = {.code = ERROR_NONE};
        assert_int_equal(cli_profile_find(good[i].profile, &p, &e), 0);
        assert_int_equal(cli_tcb_parse(p, good[i].text, "--tcb", &tcb, &e), 0);
        assert_int_equal(tcb, good[i].tcb);
        cli_tcb_text(p, tcb, text);
        if (good[i].text[1] != 'x')
            assert_string_equal(text, good[i].text);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct error e = {.code = ERROR_NONE};
        assert_int_equal(cli_tcb_parse(FIRMWARE_PROFILE_DEFAULT, bad[i], "--tcb", &tcb, &e), -1);
        assert_int_equal(e.code, ERROR_USAGE);
        assert_non_null(strstr(e.text, "such as 4.0.24.219"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reports_of_every_profile_are_accepted),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(tcbs_are_read_and_written),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
