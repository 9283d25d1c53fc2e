/* SPDX-License-Identifier: Apache-2.0 */
/* Revocation lists as a verifier of reports uses them: whose they are, how long they count, and
 * which of several. */
#include "report_rig.h"

struct list {
    const char *issuer;
    EVP_PKEY *by;
    int salt;
    s64 from, until; /* until 0: the list does not say */
    long revokes;    /* a serial number; 0: none */
    bool delta;
    long number; /* CRL number; 0: the list has none */
    enum { ORDINARY, INDIRECT, CRITICAL, CRITICAL_ENTRY, ISSUER_ENTRY, NO_NUMBER } odd;
};

static X509_EXTENSION *odd_extension(const char *oid, int critical)
{
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    assert_true(ASN1_OCTET_STRING_set(value, (const u8 *)"\x30\x00", 2));
    X509_EXTENSION *e = X509_EXTENSION_create_by_OBJ(NULL, object, critical, value);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(object);
    return e;
}

static void add_oddity(X509_CRL *x, struct list l)
{
    static const struct {
        const char *oid;
        bool critical, entry;
    } rows[] = {[INDIRECT] = {"2.5.29.28", false, false},
                [CRITICAL] = {"1.2.3.4", true, false},
                [CRITICAL_ENTRY] = {"1.2.3.4", true, true},
                [ISSUER_ENTRY] = {"2.5.29.29", false, true},
                [NO_NUMBER] = {"2.5.29.20", false, false}};
    if (l.number) {
        ASN1_INTEGER *number = ASN1_INTEGER_new();
        ASN1_INTEGER_set(number, l.number);
        assert_true(X509_CRL_add1_ext_i2d(x, NID_crl_number, number, 0, 0));
        ASN1_INTEGER_free(number);
    }
    if (l.odd == ORDINARY)
        return;
    X509_EXTENSION *e = odd_extension(rows[l.odd].oid, rows[l.odd].critical);
    X509_REVOKED *entry = sk_X509_REVOKED_value(X509_CRL_get_REVOKED(x), 0);
    assert_true(rows[l.odd].entry ? X509_REVOKED_add_ext(entry, e, -1)
                                  : X509_CRL_add_ext(x, e, -1));
    X509_EXTENSION_free(e);
}

static struct crypto_crl *make_list(struct list l)
{
    u8 der[4096], *at = der;
    struct crypto_crl *out;
    X509_CRL *x = X509_CRL_new();
    X509_NAME *by = X509_NAME_new();
    ASN1_TIME *time = ASN1_TIME_set(NULL, l.from);
    X509_NAME_add_entry_by_txt(by, "CN", MBSTRING_ASC, (const u8 *)l.issuer, -1, -1, 0);
    X509_CRL_set_version(x, 1);
    X509_CRL_set_issuer_name(x, by);
    X509_CRL_set1_lastUpdate(x, time);
    if (l.until)
        X509_CRL_set1_nextUpdate(x, ASN1_TIME_set(time, l.until));
    if (l.revokes) {
        X509_REVOKED *entry = X509_REVOKED_new();
        ASN1_INTEGER *serial = ASN1_INTEGER_new();
        ASN1_INTEGER_set(serial, l.revokes);
        X509_REVOKED_set_serialNumber(entry, serial);
        X509_REVOKED_set_revocationDate(entry, time);
        ASN1_INTEGER_free(serial);
        assert_true(X509_CRL_add0_revoked(x, entry));
    }
    if (l.delta) {
        ASN1_INTEGER *base = ASN1_INTEGER_new();
        ASN1_INTEGER_set(base, 1);
        assert_true(X509_CRL_add1_ext_i2d(x, NID_delta_crl, base, 1, 0));
        ASN1_INTEGER_free(base);
    }
    add_oddity(x, l);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pkey;
    assert_true(EVP_DigestSignInit(md, &pkey, EVP_sha384(), NULL, l.by) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(pkey, RSA_PKCS1_PSS_PADDING) == 1 &&
                EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey, l.salt) == 1 &&
                X509_CRL_sign_ctx(x, md) > 0);
    EVP_MD_CTX_free(md);
    ASN1_TIME_free(time);
    X509_NAME_free(by);
    int size = i2d_X509_CRL(x, &at);
    X509_CRL_free(x);
    assert_non_null(out = crypto_crl_read(der, (size_t)size));
    return out;
}

static void revocation_lists_are_asked(void **state)
{
    (void)state;
    struct set g, s;
    made(&g, kinds[1]);
    const s64 from = 1690000000, until = 1710000000;
    const struct {
        struct list list;
        enum report_check check;
        const char *text;
    } cases[] = {
        {{"root", root_key, 48, from, until, 0, false, 0, ORDINARY}, REPORT_OK, ""},
        {{"root", root_key, 48, from, until, 99, false, 0, ORDINARY}, REPORT_OK, ""},
        {{"root", root_key, 48, from, until, 1, false, 0, ORDINARY},
         REPORT_CHECK_REVOKED,
         "root: its certificate is revoked"},
        {{"signer", root_key, 48, from, until, 1, false, 0, ORDINARY},
         REPORT_CHECK_CRL,
         "signature"},
        {{"signer", signer_key, 48, from, until, 1, false, 0, ORDINARY},
         REPORT_CHECK_CRL,
         "signature"},
        {{"nobody", root_key, 48, from, until, 1, false, 0, ORDINARY},
         REPORT_CHECK_CRL,
         "no revocation list is by root"},
        {{"root", signer_key, 48, from, until, 0, false, 0, ORDINARY},
         REPORT_CHECK_CRL,
         "signature"},
        {{"root", root_key, 32, from, until, 0, false, 0, ORDINARY}, REPORT_CHECK_CRL, "signature"},
        {{"root", root_key, 48, from, 1699999999, 0, false, 0, ORDINARY},
         REPORT_CHECK_CRL,
         "fetch a new one"},
        {{"root", root_key, 48, 1700000001, until, 0, false, 0, ORDINARY},
         REPORT_CHECK_CRL,
         "at this time"},
        {{"root", root_key, 48, from, 0, 0, false, 0, ORDINARY}, REPORT_CHECK_CRL, "at this time"},
        {{"root", root_key, 48, from, until, 0, true, 0, ORDINARY},
         REPORT_CHECK_CRL,
         "part of a list"},
        {{"root", root_key, 48, from, until, 9, false, 1, INDIRECT}, REPORT_CHECK_CRL, "indirect"},
        {{"root", root_key, 48, from, until, 9, false, 1, CRITICAL}, REPORT_CHECK_CRL, "critical"},
        {{"root", root_key, 48, from, until, 9, false, 1, CRITICAL_ENTRY},
         REPORT_CHECK_CRL,
         "an entry"},
        {{"root", root_key, 48, from, until, 9, false, 1, ISSUER_ENTRY},
         REPORT_CHECK_CRL,
         "an entry"},
        {{"root", root_key, 48, from, until, 9, false, 0, NO_NUMBER},
         REPORT_CHECK_CRL,
         "not a number"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct error e;
        s = g;
        s.crls[0] = make_list(cases[i].list);
        s.crl_count = 1;
        assert_check(&s, cases[i].check);
        verify(&s, &e);
        assert_non_null(strstr(e.text, cases[i].text));
        crypto_crl_free(s.crls[0]);
    }
    s = g; /* any time is allowed, an old list is not asked for its age */
    s.policy.time = NULL;
    s.crls[0] =
        make_list((struct list){"root", root_key, 48, from, from + 1, 0, false, 0, ORDINARY});
    s.crl_count = 1;
    assert_check(&s, REPORT_OK);
    crypto_crl_free(s.crls[0]);
    free_set(&g);
}

/* Of several lists by one issuer the highest number counts; equal numbers, and none, all count. */
static void of_several_lists_the_newest_counts(void **state)
{
    (void)state;
    const s64 from = 1690000000, until = 1710000000;
    const long signer = 1; /* the serial number of all certificates here */
    const struct {
        long numbers[3], revokes[3];
        bool expired[3];
        enum report_check check;
    } cases[] = {
        {{1, 2, 3}, {0, 0, 0}, {0}, REPORT_OK},
        {{1, 2, 3}, {0, 0, signer}, {0}, REPORT_CHECK_REVOKED},
        {{3, 2, 1}, {signer, 0, 0}, {0}, REPORT_CHECK_REVOKED},
        {{1, 2, 3}, {signer, 0, 0}, {0}, REPORT_OK},
        {{1, 1, 1}, {0, signer, 0}, {0}, REPORT_CHECK_REVOKED},
        {{0, 2, 3}, {signer, 0, 0}, {0}, REPORT_CHECK_REVOKED},
        {{1, 2, 0}, {signer, 0, 0}, {0}, REPORT_OK},
        {{1, 300, 70000}, {0, 0, 0}, {true, true, false}, REPORT_OK},
        {{1, 2, 3}, {0, 0, 0}, {false, false, true}, REPORT_CHECK_CRL},
        {{1, 3, 3}, {0, 0, 0}, {false, false, true}, REPORT_CHECK_CRL},
        {{0, 2, 3}, {0, 0, 0}, {true, false, false}, REPORT_CHECK_CRL},
    };
    struct set s;
    made(&s, kinds[1]);
    s.crl_count = 3;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (size_t k = 0; k < 3; k++)
            s.crls[k] = make_list((struct list){.issuer = "root",
                                                .by = root_key,
                                                .salt = 48,
                                                .from = from,
                                                .until = cases[i].expired[k] ? from + 1 : until,
                                                .revokes = cases[i].revokes[k],
                                                .number = cases[i].numbers[k]});
        assert_check(&s, cases[i].check);
        for (size_t k = 0; k < 3; k++)
            crypto_crl_free(s.crls[k]);
    }
    /* An older list has to be genuine, too, and a whole one. */
    s.crl_count = 2;
    s.crls[0] = make_list((struct list){"root", root_key, 48, from, until, 0, false, 9, ORDINARY});
    s.crls[1] =
        make_list((struct list){"root", signer_key, 48, from, until, 0, false, 1, ORDINARY});
    assert_check(&s, REPORT_CHECK_CRL);
    crypto_crl_free(s.crls[1]);
    s.crls[1] = make_list((struct list){"root", root_key, 48, from, until, 0, true, 1, ORDINARY});
    assert_check(&s, REPORT_CHECK_CRL);
    crypto_crl_free(s.crls[0]);
    crypto_crl_free(s.crls[1]);
    free_set(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(revocation_lists_are_asked),
        cmocka_unit_test(of_several_lists_the_newest_counts),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
