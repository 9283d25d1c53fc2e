/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manufacturer's X.509 certificates [snp 8.1]: the same tree of types, ids and parameters as
 * AMD's own, names that are not AMD's, signatures and revocation that OpenSSL's verifier follows,
 * the same bytes each time.
 */
#include "authority/authority.h"
#include "base/bytes.h"
#include "needs.h"

#include <openssl/asn1.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

static struct crypto *crypto;
static struct authority *authority;
static const struct authority_terms terms = {.not_before = 0};

static int make(void **state)
{
    (void)state;
    crypto = crypto_create("x509", 4);
    authority = authority_create(crypto, 4096);
    assert_non_null(authority);
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    authority_free(authority);
    crypto_destroy(crypto);
    return 0;
}

static const u8 fuses[32] = {3, 1, 4, 1, 5};

static size_t endorse(const char *product, const char *csp, u64 tcb, u8 *out)
{
    struct ec_private key;
    u8 id[64];
    struct authority_endorsement what = {
        .product = authority_product_find(product), .tcb = tcb, .csp_id = csp};
    assert_non_null(what.product);
    assert_true(identity_vcek(fuses, tcb, &key));
    assert_true(identity_chip_id(fuses, id));
    what.key = key.public;
    if (!csp)
        what.chip_id = id;
    if (!csp && !strcmp(product, "Milan"))
        what.product_name = "Milan-B0";
    size_t size = authority_endorse(authority, &what, &terms, out, AUTHORITY_CERT_MAX);
    assert_true(size > 0);
    return size;
}

static size_t certificate(const char *product, enum authority_role role, u8 *out)
{
    size_t size = authority_certificate(authority, authority_product_find(product), role, &terms,
                                        out, AUTHORITY_CERT_MAX);
    assert_true(size > 0);
    return size;
}

/* --- The same tree as the genuine ones -------------------------------------------------------- */

#define TREE_MAX 8192

struct tree {
    char text[TREE_MAX];
    size_t at;
};

static void tree_put(struct tree *t, const char *text)
{
    size_t n = strlen(text);
    assert_true(t->at + n < TREE_MAX);
    memcpy(t->text + t->at, text, n + 1);
    t->at += n;
}

static void tree_bytes(struct tree *t, const u8 *data, size_t size)
{
    char digits[4];
    for (size_t i = 0; i < size; i++) {
        snprintf(digits, sizeof digits, "%02x", data[i]);
        tree_put(t, digits);
    }
}

/* What of a primitive value must be equal too: object ids, booleans, key usages, small numbers
 * (versions, salt length, trailer, the serial number zero), and of what is in extnValue its
 * type. */
static void tree_primitive(struct tree *t, int tag, const u8 *content, size_t size)
{
    if (tag == V_ASN1_OBJECT || tag == V_ASN1_BOOLEAN || (tag == V_ASN1_INTEGER && size == 1))
        tree_bytes(t, content, size);
    if (tag == V_ASN1_OCTET_STRING &&
        (size == 64 || (size == 8 && *content != 0x30))) /* hwID, which has no type */
        tree_bytes(t, (const u8[]){(u8)size}, 1);
    else if (tag == V_ASN1_OCTET_STRING)
        tree_bytes(t, content, size <= 8 && *content != 2 ? size : 1);
    if (tag == V_ASN1_BIT_STRING)
        tree_bytes(t, content, size == 98 ? 2 : 1);
}

static void tree_of(struct tree *t, const u8 *der, size_t size)
{
    const u8 *at = der, *end = der + size;
    while (at < end) {
        long length;
        int tag, class;
        int form = ASN1_get_object(&at, &length, &tag, &class, end - at);
        char text[40];
        assert_int_equal(form & 0x81, 0); /* neither broken nor of indefinite length */
        snprintf(text, sizeof text, "%d.%d ", class, tag);
        tree_put(t, text);
        if (form & V_ASN1_CONSTRUCTED) {
            tree_put(t, "( ");
            tree_of(t, at, (size_t)length);
            tree_put(t, ") ");
        } else {
            tree_primitive(t, tag, at, (size_t)length);
            tree_put(t, " ");
        }
        at += length;
    }
    assert_ptr_equal(at, end);
}

/* Genuine certificates from DER, or the one at `index` in PEM. */
static size_t genuine(const char *name, int index, u8 *out)
{
    static char file[16384];
    size_t size = vector_load(name, file, sizeof file);
    if ((u8)file[0] == 0x30) {
        memcpy(out, file, size);
        return size;
    }
    BIO *bio = BIO_new_mem_buf(file, (int)size);
    X509 *x = NULL;
    for (; index >= 0; index--) {
        X509_free(x);
        x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        assert_non_null(x);
    }
    u8 *at = out;
    size = (size_t)i2d_X509(x, &at);
    X509_free(x);
    BIO_free(bio);
    return size;
}

static void assert_same_tree(const u8 *ours, size_t size, const char *name, int index)
{
    static struct tree a, b;
    u8 theirs[AUTHORITY_CERT_MAX];
    a.at = b.at = 0;
    tree_of(&a, ours, size);
    tree_of(&b, theirs, genuine(name, index, theirs));
    assert_string_equal(a.text, b.text);
}

test_that_needs(they_are_built_as_amds_are,
                .vectors = {"sev/certs_data/vcek_milan.der", "sev/certs_data/vcek_turin.der",
                            "sev/certs_data/cert_chain_milan", "sev/certs_data/cert_chain_turin",
                            "sev/snp/genoa/ask.pem", "sev/snp/genoa/ark.pem"})
{
    (void)state;
    u8 der[AUTHORITY_CERT_MAX];
    size_t size = endorse("Milan", NULL, 0x7308000000000003, der);
    assert_same_tree(der, size, "sev/certs_data/vcek_milan.der", 0);
    size = endorse("Turin", NULL, 0x0900000000000000, der);
    assert_same_tree(der, size, "sev/certs_data/vcek_turin.der", 0);
    size = certificate("Milan", AUTHORITY_ASK, der);
    assert_same_tree(der, size, "sev/certs_data/cert_chain_milan", 0);
    size = certificate("Milan", AUTHORITY_ARK, der);
    assert_same_tree(der, size, "sev/certs_data/cert_chain_milan", 1);
    size = certificate("Genoa", AUTHORITY_ASK, der);
    assert_same_tree(der, size, "sev/snp/genoa/ask.pem", 0);
    size = certificate("Genoa", AUTHORITY_ARK, der);
    assert_same_tree(der, size, "sev/snp/genoa/ark.pem", 0);
    size = certificate("Turin", AUTHORITY_ASK, der);
    assert_same_tree(der, size, "sev/certs_data/cert_chain_turin", 0);
    size = certificate("Turin", AUTHORITY_ARK, der);
    assert_same_tree(der, size, "sev/certs_data/cert_chain_turin", 1);
}

/* --- Read by OpenSSL -------------------------------------------------------------------------- */

static X509 *parse(const u8 *der, size_t size)
{
    const u8 *at = der;
    X509 *x = d2i_X509(NULL, &at, (long)size);
    assert_non_null(x);
    assert_ptr_equal(at, der + size);
    return x;
}

static X509_CRL *parse_list(const u8 *der, size_t size)
{
    const u8 *at = der;
    X509_CRL *x = d2i_X509_CRL(NULL, &at, (long)size);
    assert_non_null(x);
    assert_ptr_equal(at, der + size);
    return x;
}

/* What OpenSSL says of `leaf` under the root, with `between` and a revocation list where they are
 * given. */
static int verify(X509 *root, X509 *between, X509 *leaf, X509_CRL *list, s64 time)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *c = X509_STORE_CTX_new();
    STACK_OF(X509) *untrusted = sk_X509_new_null();
    X509_STORE_add_cert(store, root);
    if (list)
        X509_STORE_add_crl(store, list);
    if (between)
        sk_X509_push(untrusted, between);
    assert_int_equal(X509_STORE_CTX_init(c, store, leaf, untrusted), 1);
    X509_VERIFY_PARAM *p = X509_STORE_CTX_get0_param(c);
    X509_VERIFY_PARAM_set_time(p, (time_t)time);
    X509_VERIFY_PARAM_set_flags(p, X509_V_FLAG_CHECK_SS_SIGNATURE |
                                       (list ? X509_V_FLAG_CRL_CHECK : 0));
    int good = X509_verify_cert(c), why = X509_STORE_CTX_get_error(c);
    assert_int_equal(good == 1, why == X509_V_OK);
    sk_X509_free(untrusted);
    X509_STORE_CTX_free(c);
    X509_STORE_free(store);
    return why;
}

static const s64 year = 31557600;

static void chains_verify_and_expire(void **state)
{
    (void)state;
    static const char *const products[] = {"Milan", "Genoa", "Turin"};
    u8 der[AUTHORITY_CERT_MAX];
    for (size_t i = 0; i < ARRAY_SIZE(products); i++) {
        for (int vlek = 0; vlek <= 1; vlek++) {
            const char *p = products[i];
            const s64 now = AUTHORITY_EPOCH + 100;
            X509 *ark = parse(der, certificate(p, AUTHORITY_ARK, der));
            X509 *ask = parse(der, certificate(p, vlek ? AUTHORITY_ASVK : AUTHORITY_ASK, der));
            X509 *other = parse(der, certificate(p, vlek ? AUTHORITY_ASK : AUTHORITY_ASVK, der));
            X509 *key = parse(der, endorse(p, vlek ? "cloud" : NULL, 0xdb18000000000004, der));
            assert_int_equal(verify(ark, ask, key, NULL, now), X509_V_OK);
            assert_int_not_equal(verify(ark, other, key, NULL, now), X509_V_OK);
            assert_int_not_equal(verify(ark, NULL, key, NULL, now), X509_V_OK);
            assert_int_equal(verify(ark, ask, key, NULL, now - 2 * 86400),
                             X509_V_ERR_CERT_NOT_YET_VALID);
            assert_int_equal(verify(ark, ask, key, NULL, now + 8 * year),
                             X509_V_ERR_CERT_HAS_EXPIRED);
            X509_free(ark);
            X509_free(ask);
            X509_free(other);
            X509_free(key);
        }
    }
}

static void a_revoked_ask_is_seen(void **state)
{
    (void)state;
    u8 der[AUTHORITY_CERT_MAX];
    const struct authority_product *product = authority_product_find("GENOA");
    const s64 now = AUTHORITY_EPOCH + 100;
    X509 *ark = parse(der, certificate("Genoa", AUTHORITY_ARK, der));
    X509 *ask = parse(der, certificate("Genoa", AUTHORITY_ASK, der));
    X509 *asvk = parse(der, certificate("Genoa", AUTHORITY_ASVK, der));
    X509_CRL *none = parse_list(der, authority_crl(authority, product, 0, &terms, der, sizeof der));
    X509_CRL *one = parse_list(
        der, authority_crl(authority, product, BIT(AUTHORITY_ASK), &terms, der, sizeof der));
    assert_int_equal(X509_CRL_get_version(none), 1);
    int critical;
    ASN1_INTEGER *number = X509_CRL_get_ext_d2i(none, NID_crl_number, &critical, NULL);
    assert_int_equal(ASN1_INTEGER_get(number), 1);
    assert_int_equal(critical, 0);
    ASN1_INTEGER_free(number);
    assert_true(X509_CRL_get_ext_by_NID(none, NID_authority_key_identifier, -1) >= 0);
    assert_int_equal(verify(ark, NULL, ask, none, now), X509_V_OK);
    assert_int_equal(verify(ark, NULL, ask, one, now), X509_V_ERR_CERT_REVOKED);
    assert_int_equal(verify(ark, NULL, asvk, one, now), X509_V_OK);
    assert_int_equal(verify(ark, NULL, ask, none, now + 3 * year), X509_V_ERR_CRL_HAS_EXPIRED);
    X509_free(ark);
    X509_free(ask);
    X509_free(asvk);
    X509_CRL_free(none);
    X509_CRL_free(one);
}

/* --- Names, numbers, addresses ---------------------------------------------------------------- */

static void assert_extension(X509 *x, const char *oid, const char *expected)
{
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    int at = X509_get_ext_by_OBJ(x, object, -1);
    char hex[300] = "";
    assert_true(at >= 0);
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(X509_get_ext(x, at));
    hex_encode(hex, ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
    assert_string_equal(hex, expected);
    ASN1_OBJECT_free(object);
}

static void extensions_have_their_values(void **state)
{
    (void)state;
    u8 der[AUTHORITY_CERT_MAX], id[64];
    char hex[129];
    X509 *x = parse(der, endorse("Milan", NULL, 0xdb18000000000204, der));
    assert_true(identity_chip_id(fuses, id));
    hex_encode(hex, id, sizeof id);
    assert_extension(x, "1.3.6.1.4.1.3704.1.1", "020100");
    assert_extension(x, "1.3.6.1.4.1.3704.1.2", "16084d696c616e2d4230");
    assert_extension(x, "1.3.6.1.4.1.3704.1.3.1", "020104");
    assert_extension(x, "1.3.6.1.4.1.3704.1.3.2", "020102");
    assert_extension(x, "1.3.6.1.4.1.3704.1.3.3", "020118");
    assert_extension(x, "1.3.6.1.4.1.3704.1.3.8", "020200db");
    assert_extension(x, "1.3.6.1.4.1.3704.1.4", hex);
    X509_free(x);
    x = parse(der, endorse("Turin", NULL, 0x4700000003020105, der));
    hex[16] = 0;
    assert_extension(x, "1.3.6.1.4.1.3704.1.1", "020101");
    assert_extension(x, "1.3.6.1.4.1.3704.1.3.9", "020105");
    assert_extension(x, "1.3.6.1.4.1.3704.1.3.1", "020101");
    assert_extension(x, "1.3.6.1.4.1.3704.1.3.2", "020102");
    assert_extension(x, "1.3.6.1.4.1.3704.1.3.3", "020103");
    assert_extension(x, "1.3.6.1.4.1.3704.1.3.8", "020147");
    assert_extension(x, "1.3.6.1.4.1.3704.1.4", hex);
    X509_free(x);
    x = parse(der, endorse("Milan", "cloud", 0xdb18000000000204, der));
    assert_extension(x, "1.3.6.1.4.1.3704.1.2", "16054d696c616e");
    assert_extension(x, "1.3.6.1.4.1.3704.1.5", "1605636c6f7564");
    X509_free(x);
}

static void assert_names(X509 *x, const char *subject, const char *issuer)
{
    char text[100];
    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, text, sizeof text);
    assert_string_equal(text, subject);
    X509_NAME_get_text_by_NID(X509_get_issuer_name(x), NID_commonName, text, sizeof text);
    assert_string_equal(text, issuer);
    X509_free(x);
}

static void names_are_what_tools_look_for_and_not_amds(void **state)
{
    (void)state;
    u8 der[AUTHORITY_CERT_MAX];
    assert_names(parse(der, certificate("Turin", AUTHORITY_ARK, der)), "ARK-Turin", "ARK-Turin");
    assert_names(parse(der, certificate("Milan", AUTHORITY_ASVK, der)), "SEV-VLEK-Milan",
                 "ARK-Milan");
    assert_names(parse(der, endorse("Milan", NULL, 1, der)), "SEV-VCEK", "SEV-Milan");
    assert_names(parse(der, endorse("Genoa", "x", 1, der)), "SEV-VLEK", "SEV-VLEK-Genoa");
    for (int role = 0; role < AUTHORITY_ROLES; role++) {
        size_t size = certificate("Milan", (enum authority_role)role, der);
        bool says = false;
        for (size_t at = 0; at + 22 < size; at++) {
            says |= !memcmp(der + at, "software", 8);
            assert_memory_not_equal(der + at, "Advanced Micro Devices", 22);
            assert_memory_not_equal(der + at, "amd.com", 7);
        }
        assert_true(says);
    }
}

static void addresses_are_the_callers(void **state)
{
    (void)state;
    u8 der[AUTHORITY_CERT_MAX];
    char text[400] = "";
    const struct authority_product *product = authority_product_find("Milan");
    const struct authority_terms own = {.kds_url = "http://127.0.0.1:8080"};
    X509 *x = parse(
        der, authority_certificate(authority, product, AUTHORITY_ASVK, &own, der, sizeof der));
    BIO *bio = BIO_new(BIO_s_mem());
    X509V3_EXT_print(bio, X509_get_ext(x, X509_get_ext_by_NID(x, NID_crl_distribution_points, -1)),
                     0, 0);
    BIO_read(bio, text, sizeof text - 1);
    assert_non_null(strstr(text, "URI:http://127.0.0.1:8080/vlek/v1/Milan/crl"));
    BIO_free(bio);
    X509_free(x);
    char endless[300];
    memset(endless, 'a', sizeof endless);
    endless[299] = 0;
    const struct authority_terms bad = {.kds_url = endless};
    assert_int_equal(
        authority_certificate(authority, product, AUTHORITY_ASK, &bad, der, sizeof der), 0);
}

/* --- Repeated, bounded, kept ------------------------------------------------------------------ */

static void the_same_again_is_the_same_bytes(void **state)
{
    (void)state;
    u8 a[AUTHORITY_CERT_MAX], b[AUTHORITY_CERT_MAX], file[AUTHORITY_EXPORT_MAX];
    struct error e = {.code = ERROR_NONE};
    struct authority *mine = authority;
    size_t size = endorse("Milan", NULL, 5, a);
    certificate("Milan", AUTHORITY_ARK, b);
    assert_int_equal(endorse("Milan", NULL, 5, b), size);
    assert_memory_equal(a, b, size);
    authority = authority_import(file, authority_export(mine, file, sizeof file), &e);
    assert_non_null(authority);
    assert_int_equal(endorse("Milan", NULL, 5, b), size);
    assert_memory_equal(a, b, size);
    authority_free(authority);
    authority = mine;
    assert_int_equal(endorse("Milan", NULL, 6, b), size);
    assert_memory_not_equal(a, b, size);
    assert_memory_not_equal(a + size - 512, b + size - 512, 512);
}

/* A file of the version before ASVKs: magic and version, then four items. */
static void an_old_export_gets_the_same_asvk_each_time(void **state)
{
    (void)state;
    u8 file[AUTHORITY_EXPORT_MAX], a[AUTHORITY_EXPORT_MAX], b[AUTHORITY_EXPORT_MAX];
    struct error e = {.code = ERROR_NONE};
    struct authority *small = authority_create(crypto, 2048);
    assert_true(authority_export(small, file, sizeof file) > 0);
    authority_free(small);
    size_t old = 12;
    for (int i = 0; i < 4; i++)
        old += 4 + load_le32(file + old);
    file[8] = 1;
    struct authority *first = authority_import(file, old, &e);
    struct authority *second = authority_import(file, old, &e);
    assert_non_null(first);
    assert_non_null(second);
    size_t size = authority_export(first, a, sizeof a);
    assert_true(size > old);
    assert_int_equal(a[8], 2);
    assert_int_equal(authority_export(second, b, sizeof b), size);
    assert_memory_equal(a, b, size);
    assert_null(authority_import(a, old, &e)); /* a new one needs its ASVK */
    authority_free(first);
    authority_free(second);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    u8 der[AUTHORITY_CERT_MAX], again[AUTHORITY_CERT_MAX];
    const struct authority_product *product = authority_product_find("milan");
    size_t size = authority_certificate(authority, product, AUTHORITY_ASK, &terms, der, sizeof der);
    for (size_t room = 0; room<size; room += room> size - 20 ? 1 : 97)
        assert_int_equal(
            authority_certificate(authority, product, AUTHORITY_ASK, &terms, again, room), 0);
    assert_int_equal(authority_certificate(authority, product, AUTHORITY_ASK, &terms, again, size),
                     size);
    static char pem[8192];
    size = authority_chain_pem(authority, product, true, &terms, pem, sizeof pem);
    assert_true(size > 4000);
    assert_int_equal(authority_chain_pem(authority, product, true, &terms, pem, size - 1), 0);
    assert_int_equal(authority_chain_pem(authority, product, true, &terms, pem, size), size);
    assert_memory_equal(pem + size - 26, "-----END CERTIFICATE-----\n", 26);
    const struct authority_terms before = {.not_before = -5};
    assert_int_equal(
        authority_certificate(authority, product, AUTHORITY_ASK, &before, der, sizeof der), 0);
    assert_null(authority_product_find("Milano"));
    assert_null(authority_product_find("Mila"));
    assert_null(authority_product_find(""));
}

static void dates_after_2049_are_written_whole(void **state)
{
    (void)state;
    u8 der[AUTHORITY_CERT_MAX];
    const struct authority_terms late = {.not_before = 1767225600, .not_after = 2556144000};
    X509 *x = parse(der, authority_certificate(authority, authority_product_find("Milan"),
                                               AUTHORITY_ARK, &late, der, sizeof der));
    assert_int_equal(ASN1_STRING_type(X509_get0_notBefore(x)), V_ASN1_UTCTIME);
    assert_string_equal(ASN1_STRING_get0_data(X509_get0_notBefore(x)), "260101000000Z");
    assert_int_equal(ASN1_STRING_type(X509_get0_notAfter(x)), V_ASN1_GENERALIZEDTIME);
    assert_string_equal(ASN1_STRING_get0_data(X509_get0_notAfter(x)), "20510101000000Z");
    X509_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_built_as_amds_are),
        cmocka_unit_test(chains_verify_and_expire),
        cmocka_unit_test(a_revoked_ask_is_seen),
        cmocka_unit_test(extensions_have_their_values),
        cmocka_unit_test(names_are_what_tools_look_for_and_not_amds),
        cmocka_unit_test(addresses_are_the_callers),
        cmocka_unit_test(the_same_again_is_the_same_bytes),
        cmocka_unit_test(an_old_export_gets_the_same_asvk_each_time),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(dates_after_2049_are_written_whole),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
