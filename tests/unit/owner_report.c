/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SNP reports verified: a genuine one of a Milan part with AMD's own chain, every byte of it damaged in turn;
 * and reports of versions 3 and 5 with VCEK and VLEK of Milan's and Turin's layout, signed by keys made here
 * with OpenSSL alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "abi/snp.h"
#include "base/bytes.h"
#include "owner/report.h"
#include "protocol/protocol.h"
#include "needs.h"

#define MAX 8

struct set {
    struct snp_report report;
    struct crypto_certificate *given[MAX], *roots[MAX];
    struct crypto_crl *crls[MAX];
    size_t given_count, root_count, crl_count;
    struct report_policy policy;
};

static enum report_check verify(const struct set *s, struct error *e)
{
    *e = (struct error){.code = ERROR_NONE};
    struct report_certificates c = {s->given,      s->given_count, s->roots,
                                    s->root_count, s->crls,        s->crl_count};
    enum report_check check = owner_verify_report(&s->report, sizeof s->report, &c, &s->policy, e);
    assert_int_equal(check == REPORT_OK, e->code == ERROR_NONE);
    assert_null(strchr(e->text, '\n'));
    return check;
}

static void assert_check(const struct set *s, enum report_check expected)
{
    struct error e;
    enum report_check check = verify(s, &e);
    if (check != expected)
        print_message("# %s: %s\n", report_check_name(check), e.text);
    assert_string_equal(report_check_name(check), report_check_name(expected));
}

static void free_set(struct set *s)
{
    for (size_t i = 0; i < s->given_count; i++)
        crypto_certificate_free(s->given[i]);
    for (size_t i = 0; i < s->root_count; i++)
        crypto_certificate_free(s->roots[i]);
}

/* --- A genuine one ------------------------------------------------------------------------------------ */

#define GENUINE                                                                                    \
    .vectors = {"sev/certs_data/report_milan.hex", "sev/certs_data/vcek_milan.der",                \
                "sev/certs_data/cert_chain_milan"}

static u8 vcek[4096], chain[16384];
static size_t vcek_size, chain_size;

/* When the genuine certificates are valid, and when they are not. */
static const s64 at_issue = 1700000000, too_early = 1500000000, too_late = 2000000000, epoch = 0,
                 after_2038 = 4102444800;

static void genuine(struct set *s)
{
    char hex[4096] = "";
    *s = (struct set){.policy = {.time = &at_issue, .maximum_vmpl = 0}};
    size_t size = vector_load("sev/certs_data/report_milan.hex", hex, sizeof hex - 1);
    while (size && (hex[size - 1] == '\n' || hex[size - 1] == '\r'))
        hex[--size] = 0;
    assert_true(hex_decode(&s->report, sizeof s->report, hex));
    vcek_size = vector_load("sev/certs_data/vcek_milan.der", vcek, sizeof vcek);
    chain_size = vector_load("sev/certs_data/cert_chain_milan", chain, sizeof chain);
    s->given_count = crypto_certificates_read(vcek, vcek_size, s->given, MAX);
    s->root_count = crypto_certificates_read(chain, chain_size, s->roots, MAX);
    assert_int_equal(s->given_count, 1);
    assert_int_equal(s->root_count, 2);
}

test_that_needs(a_genuine_report_verifies_with_amds_chain, GENUINE)
{
    (void)state;
    struct set s;
    struct report_endorsement e;
    struct error error = {.code = ERROR_NONE};
    genuine(&s);
    assert_check(&s, REPORT_OK);
    assert_int_equal(report_endorsement_read(s.given[0], &e, &error), 0);
    assert_string_equal(e.product, "Milan-B0");
    assert_int_equal(e.tcb.boot_loader, 3);
    assert_int_equal(e.tcb.snp, 8);
    assert_int_equal(e.tcb.microcode, 0x73);
    assert_int_equal(e.chip_id_size, 64);
    assert_int_equal(s.report.current_major, 1);
    assert_int_equal(s.report.current_minor, 52);
    free_set(&s);
}

test_that_needs(a_genuine_turin_certificate_verifies,
                .vectors = {"sev/certs_data/vcek_turin.der", "sev/certs_data/cert_chain_turin"})
{
    (void)state;
    struct crypto_certificate *key[1], *signers[2];
    struct report_endorsement e;
    struct error error = {.code = ERROR_NONE};
    static const u8 id[8] = {0x1e, 0x55, 0x0a, 0x8e, 0xe5, 0xcf, 0x9f, 0x4d};
    size_t size = vector_load("sev/certs_data/vcek_turin.der", vcek, sizeof vcek);
    assert_int_equal(crypto_certificates_read(vcek, size, key, 1), 1);
    size = vector_load("sev/certs_data/cert_chain_turin", chain, sizeof chain);
    assert_int_equal(crypto_certificates_read(chain, size, signers, 2), 2);
    assert_int_equal(report_endorsement_read(key[0], &e, &error), 0);
    assert_string_equal(e.product, "Turin");
    assert_int_equal(e.layout, SNP_TCB_TURIN);
    assert_int_equal(e.chip_id_size, sizeof id);
    assert_memory_equal(e.chip_id, id, sizeof id);
    assert_true(crypto_certificate_names(key[0], signers[0]));
    assert_true(crypto_certificate_signed_by(key[0], signers[0]));
    assert_true(crypto_certificate_signed_by(signers[0], signers[1]));
    assert_true(crypto_certificate_signed_by(signers[1], signers[1]));
    assert_false(crypto_certificate_signed_by(key[0], signers[1]));
    for (size_t i = 0; i < 2; i++)
        crypto_certificate_free(signers[i]);
    crypto_certificate_free(key[0]);
}

/* Checks that look at the report before its signature does may see the damage first, and no others. */
test_that_needs(a_damaged_report_is_refused_by_name, GENUINE)
{
    (void)state;
    struct set s;
    struct error e;
    genuine(&s);
    u8 *bytes = (u8 *)&s.report;
    u32 seen[64] = {0};
    for (size_t i = 0; i < sizeof s.report; i++) {
        bytes[i] ^= (u8)(1u << i % 8);
        enum report_check check = verify(&s, &e);
        bytes[i] ^= (u8)(1u << i % 8);
        seen[check]++;
        if (i < 4)
            assert_true(check == REPORT_CHECK_VERSION || check == REPORT_CHECK_SIGNATURE ||
                        check == REPORT_CHECK_FORM);
        else
            assert_true(check == REPORT_CHECK_SIGNATURE || check == REPORT_CHECK_FORM ||
                        check == REPORT_CHECK_SIGNING_KEY);
        if (i >= 0x50 && i < 0x188) /* data, measurement, digests, ids, reported TCB */
            assert_int_equal(check, REPORT_CHECK_SIGNATURE);
        if (i >= 0x2a0 + 144)
            assert_int_equal(check, REPORT_CHECK_FORM);
    }
    assert_int_equal(seen[REPORT_OK], 0);
    free_set(&s);
}

/* Also where a damaged certificate is none any more, or is not the issuer that is looked for. */
static bool is_of_chain(enum report_check check)
{
    return check >= REPORT_CHECK_CHAIN && check <= REPORT_CHECK_KEY_SIGNATURE;
}

test_that_needs(a_damaged_certificate_is_refused_by_name, GENUINE)
{
    (void)state;
    struct set s;
    struct error e;
    u32 seen[64] = {0};
    genuine(&s);
    for (size_t i = 0; i < vcek_size; i++) {
        struct set damaged = s;
        vcek[i] ^= (u8)(1u << i % 8);
        damaged.given_count = crypto_certificates_read(vcek, vcek_size, damaged.given, MAX);
        enum report_check check = verify(&damaged, &e);
        seen[check]++;
        assert_true(is_of_chain(check));
        if (damaged.given_count)
            crypto_certificate_free(damaged.given[0]);
        vcek[i] ^= (u8)(1u << i % 8);
    }
    assert_true(seen[REPORT_CHECK_KEY_SIGNATURE] > vcek_size / 2);
    for (size_t which = 0; which < 2; which++) {
        u8 der[4096];
        size_t size = crypto_certificate_der(s.roots[which], der, sizeof der);
        assert_true(size > 1000);
        for (size_t i = 0; i < size; i++) {
            struct set damaged = s;
            struct crypto_certificate *one = NULL;
            der[i] ^= (u8)(1u << i % 8);
            if (crypto_certificates_read(der, size, &one, 1))
                damaged.roots[which] = one;
            else
                damaged.roots[which] = s.roots[!which];
            assert_true(is_of_chain(verify(&damaged, &e)));
            crypto_certificate_free(one);
            der[i] ^= (u8)(1u << i % 8);
        }
    }
    free_set(&s);
}

test_that_needs(certificates_in_any_other_arrangement_are_refused, GENUINE)
{
    (void)state;
    struct set s, other;
    genuine(&s);
    other = s;
    other.given_count = 0;
    assert_check(&other, REPORT_CHECK_CHAIN);
    other = s;
    other.root_count = 1; /* the ASK alone: it is trusted by nobody */
    assert_check(&other, REPORT_CHECK_CHAIN);
    other = s;
    other.roots[0] = s.roots[1];
    assert_check(&other, REPORT_CHECK_CHAIN);
    other = s; /* an ARK that came with the report proves nothing */
    other.given[1] = s.roots[0];
    other.given[2] = s.roots[1];
    other.given_count = 3;
    other.root_count = 0;
    assert_check(&other, REPORT_CHECK_CHAIN);
    other.root_count = 2;
    assert_check(&other, REPORT_OK);
    free_set(&s);
}

test_that_needs(the_owners_policy_is_asked, GENUINE)
{
    (void)state;
    struct set s, g;
    u8 other[64] = {1};
    genuine(&g);
    struct snp_tcb low = {.boot_loader = 3, .snp = 7}, high = {.boot_loader = 3, .snp = 9};

    s = g;
    s.policy.measurement = g.report.measurement;
    s.policy.report_data = g.report.report_data;
    s.policy.chip_id = g.report.chip_id;
    s.policy.host_data = g.report.host_data;
    s.policy.minimum_tcb = &low;
    s.policy.minimum_api_major = 1;
    s.policy.minimum_api_minor = 52;
    assert_check(&s, REPORT_OK);

#define WITH(field, value, check)                                                                  \
    do {                                                                                           \
        s = g;                                                                                     \
        s.policy.field = value;                                                                    \
        assert_check(&s, check);                                                                   \
    } while (0)
    WITH(measurement, other, REPORT_CHECK_MEASUREMENT);
    WITH(report_data, other, REPORT_CHECK_REPORT_DATA);
    WITH(host_data, other, REPORT_CHECK_HOST_DATA);
    WITH(chip_id, other, REPORT_CHECK_CHIP);
    WITH(id_key_digest, other, REPORT_CHECK_ID_KEY);
    WITH(author_key_digest, other, REPORT_CHECK_AUTHOR_KEY);
    WITH(minimum_tcb, &high, REPORT_CHECK_TCB_MINIMUM);
    WITH(minimum_svn, 1, REPORT_CHECK_GUEST_SVN);
    WITH(minimum_api_major, 2, REPORT_CHECK_API_MINIMUM);
    WITH(refuse_smt, true, REPORT_CHECK_SMT);
    WITH(time, &too_early, REPORT_CHECK_VALIDITY);
    WITH(time, &too_late, REPORT_CHECK_VALIDITY);
    WITH(time, &epoch, REPORT_CHECK_VALIDITY);
    WITH(time, &after_2038, REPORT_CHECK_VALIDITY);
    WITH(time, NULL, REPORT_OK);
#undef WITH
    free_set(&g);
}

/* --- Made here ---------------------------------------------------------------------------------------- */

static void add_extension(X509 *x, const char *oid, const u8 *data, int size)
{
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    assert_true(ASN1_OCTET_STRING_set(value, data, size));
    X509_EXTENSION *e = X509_EXTENSION_create_by_OBJ(NULL, object, 0, value);
    assert_true(X509_add_ext(x, e, -1));
    X509_EXTENSION_free(e);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(object);
}

static void add_known(X509 *x, int nid, const char *text)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, text);
    assert_non_null(e);
    assert_true(X509_add_ext(x, e, -1));
    X509_EXTENSION_free(e);
}

static X509 *begin(const char *name, const char *issuer, EVP_PKEY *key)
{
    X509 *x = X509_new();
    X509_NAME *subject = X509_NAME_new(), *by = X509_NAME_new();
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const u8 *)name, -1, -1, 0);
    X509_NAME_add_entry_by_txt(by, "CN", MBSTRING_ASC, (const u8 *)issuer, -1, -1, 0);
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_set_subject_name(x, subject);
    X509_set_issuer_name(x, by);
    X509_NAME_free(subject);
    X509_NAME_free(by);
    ASN1_TIME_set(X509_getm_notBefore(x), 1600000000);
    ASN1_TIME_set(X509_getm_notAfter(x), 1900000000);
    X509_set_pubkey(x, key);
    return x;
}

static struct crypto_certificate *finish(X509 *x, EVP_PKEY *by, int salt)
{
    u8 der[4096], *at = der;
    struct crypto_certificate *out;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pkey;
    assert_true(EVP_DigestSignInit(md, &pkey, EVP_sha384(), NULL, by) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(pkey, RSA_PKCS1_PSS_PADDING) == 1 &&
                EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey, salt) == 1 && X509_sign_ctx(x, md) > 0);
    EVP_MD_CTX_free(md);
    int size = i2d_X509(x, &at);
    X509_free(x);
    assert_int_equal(crypto_certificates_read(der, (size_t)size, &out, 1), 1);
    return out;
}

static EVP_PKEY *root_key, *signer_key, *chip_key;
static struct crypto *crypto;
static struct ec_private chip;

static int make_keys(void **state)
{
    (void)state;
    crypto = crypto_create("reports", 7);
    assert_true(crypto_ec_generate(crypto, &chip));
    root_key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    signer_key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    u8 point[97] = {4};
    for (size_t i = 0; i < 48; i++) {
        point[1 + i] = chip.public.x[47 - i];
        point[49 + i] = chip.public.y[47 - i];
    }
    chip_key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
    return EVP_PKEY_set1_encoded_public_key(chip_key, point, sizeof point) == 1 ? 0 : -1;
}

static int free_keys(void **state)
{
    (void)state;
    EVP_PKEY_free(root_key);
    EVP_PKEY_free(signer_key);
    EVP_PKEY_free(chip_key);
    crypto_destroy(crypto);
    return 0;
}

struct kind {
    bool vlek, turin;
    u32 version;
    u8 family;
};

static void add_spl(X509 *x, const char *suffix, u8 value)
{
    char oid[40];
    u8 small[3] = {2, 1, value}, large[4] = {2, 2, 0, value};
    snprintf(oid, sizeof oid, "1.3.6.1.4.1.3704.1.%s", suffix);
    add_extension(x, oid, value < 128 ? small : large, value < 128 ? 3 : 4);
}

static const struct snp_tcb tcb = {
    .fmc = 1, .boot_loader = 4, .tee = 2, .snp = 24, .microcode = 0xdb};

static struct crypto_certificate *make_endorsement(struct kind k)
{
    static const u8 provider[] = "\x16\x04none", product[] = "\x16\x05Milan";
    u8 id[64] = {0xaa, 0xbb};
    X509 *x = begin("endorsement", "signer", chip_key);
    add_spl(x, "1", k.turin);
    add_extension(x, "1.3.6.1.4.1.3704.1.2", product, 7);
    add_spl(x, "3.1", tcb.boot_loader);
    add_spl(x, "3.2", tcb.tee);
    add_spl(x, "3.3", tcb.snp);
    for (char suffix[4] = "3.4"; suffix[2] <= '7'; suffix[2]++)
        if (!k.turin || suffix[2] != '4')
            add_spl(x, suffix, 0);
    add_spl(x, "3.8", tcb.microcode);
    if (k.turin)
        add_spl(x, "3.9", tcb.fmc);
    if (k.vlek)
        add_extension(x, "1.3.6.1.4.1.3704.1.5", provider, 6);
    else
        add_extension(x, "1.3.6.1.4.1.3704.1.4", id, k.turin ? 8 : 64);
    return finish(x, signer_key, 48);
}

static void sign(struct set *s)
{
    assert_true(snp_sign(crypto, &chip, &s->report, SNP_REPORT_SIGNED_SIZE, &s->report.signature));
}

static void made(struct set *s, struct kind k)
{
    *s = (struct set){.policy = {.time = &at_issue}, .given_count = 2, .root_count = 1};
    X509 *root = begin("root", "root", root_key), *signer = begin("signer", "root", signer_key);
    X509 *both[] = {root, signer};
    for (size_t i = 0; i < 2; i++) {
        add_known(both[i], NID_basic_constraints, "critical,CA:TRUE");
        add_known(both[i], NID_key_usage,
                  i ? "critical,keyCertSign" : "critical,keyCertSign,cRLSign");
    }
    s->roots[0] = finish(root, root_key, 48);
    s->given[0] = finish(signer, root_key, 48);
    s->given[1] = make_endorsement(k);
    u64 packed = snp_tcb_pack(k.turin ? SNP_TCB_TURIN : SNP_TCB_MILAN, tcb);
    struct snp_report *r = &s->report;
    r->version = k.version;
    r->policy = SNP_POLICY_QEMU_DEFAULT;
    r->signature_algorithm = 1;
    r->key_info = SNP_KEY_INFO_SIGNING_KEY(k.vlek ? SNP_SIGNED_BY_VLEK : SNP_SIGNED_BY_VCEK);
    r->current_tcb = r->reported_tcb = r->committed_tcb = r->launch_tcb = packed;
    r->chip_id[0] = 0xaa;
    r->chip_id[1] = 0xbb;
    if (k.version >= 3)
        r->cpuid_family = k.family;
    if (k.version >= 5)
        r->launch_mit_vector = r->current_mit_vector = 1;
    sign(s);
}

static const struct kind kinds[] = {
    {false, false, 2, 0},   {false, false, 3, 0x19}, {false, false, 5, 0x19},
    {true, false, 3, 0x19}, {true, false, 5, 0x19},  {false, true, 3, 0x1a},
    {false, true, 5, 0x1a}, {true, true, 5, 0x1a},
};

static void reports_of_every_version_and_key_verify(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct set s;
        made(&s, kinds[i]);
        assert_check(&s, REPORT_OK);
        s.report.measurement[5] ^= 1;
        assert_check(&s, REPORT_CHECK_SIGNATURE);
        free_set(&s);
    }
}

/* Signed as they should be, wrong in one way each. */
static void what_a_platform_may_not_say_is_refused_by_name(void **state)
{
    (void)state;
    struct set g, s;
    made(&g, kinds[2]);
#define SAYS(statement, check)                                                                     \
    do {                                                                                           \
        struct snp_report *r = &s.report;                                                          \
        s = g;                                                                                     \
        statement;                                                                                 \
        sign(&s);                                                                                  \
        assert_check(&s, check);                                                                   \
    } while (0)
    SAYS(r->version = 4, REPORT_CHECK_VERSION);
    SAYS(r->reserved_208[100] = 1, REPORT_CHECK_FORM);
    SAYS(r->version = 3, REPORT_CHECK_FORM); /* has mitigation vectors */
    SAYS(r->policy = 0x10000, REPORT_CHECK_FORM);
    SAYS(r->signature_algorithm = 2, REPORT_CHECK_FORM);
    SAYS(r->key_info = SNP_KEY_INFO_SIGNING_KEY(1), REPORT_CHECK_SIGNING_KEY);
    SAYS(r->key_info = SNP_KEY_INFO_SIGNING_KEY(7), REPORT_CHECK_SIGNING_KEY);
    SAYS(r->cpuid_family = 0x1a, REPORT_CHECK_PRODUCT);
    SAYS(r->chip_id[63] = 1, REPORT_CHECK_CHIP);
    SAYS(memset(r->chip_id, 0, 64), REPORT_CHECK_CHIP);
    SAYS(r->reported_tcb -= 1, REPORT_CHECK_TCB);
    SAYS(r->committed_tcb -= 1, REPORT_CHECK_TCB_ORDER);
    SAYS(r->current_tcb -= BIT(56), REPORT_CHECK_TCB_ORDER);
    SAYS(r->launch_tcb += 1, REPORT_CHECK_TCB_ORDER);
    SAYS(r->policy |= SNP_POLICY_DEBUG, REPORT_CHECK_DEBUG);
    SAYS(r->policy |= SNP_POLICY_MIGRATE_MA, REPORT_CHECK_MIGRATION);
    SAYS(r->vmpl = 1, REPORT_CHECK_VMPL);
    SAYS(r->vmpl = SNP_VMPL_OF_HOST, REPORT_CHECK_VMPL);
#undef SAYS
    free_set(&g);
}

/* --- Revocation lists ----------------------------------------------------------------------------------- */

struct list {
    const char *issuer;
    EVP_PKEY *by;
    int salt;
    s64 from, until; /* until 0: the list does not say */
    long revokes;    /* a serial number; 0: none */
    bool delta;
};

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
    assert_int_equal(crypto_crls_read(der, (size_t)size, &out, 1), 1);
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
        {{"root", root_key, 48, from, until, 0, false}, REPORT_OK, ""},
        {{"root", root_key, 48, from, until, 99, false}, REPORT_OK, ""},
        {{"root", root_key, 48, from, until, 1, false},
         REPORT_CHECK_REVOKED,
         "root: its certificate is revoked"},
        {{"signer", root_key, 48, from, until, 1, false}, REPORT_CHECK_CRL, "signature"},
        {{"signer", signer_key, 48, from, until, 1, false}, REPORT_CHECK_CRL, "signature"},
        {{"nobody", root_key, 48, from, until, 1, false},
         REPORT_CHECK_CRL,
         "no revocation list is by root"},
        {{"root", signer_key, 48, from, until, 0, false}, REPORT_CHECK_CRL, "signature"},
        {{"root", root_key, 32, from, until, 0, false}, REPORT_CHECK_CRL, "signature"},
        {{"root", root_key, 48, from, 1699999999, 0, false}, REPORT_CHECK_CRL, "fetch a new one"},
        {{"root", root_key, 48, 1700000001, until, 0, false}, REPORT_CHECK_CRL, "at this time"},
        {{"root", root_key, 48, from, 0, 0, false}, REPORT_CHECK_CRL, "at this time"},
        {{"root", root_key, 48, from, until, 0, true}, REPORT_CHECK_CRL, "part of a list"},
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
    s.crls[0] = make_list((struct list){"root", root_key, 48, from, from + 1, 0, false});
    s.crl_count = 1;
    assert_check(&s, REPORT_OK);
    crypto_crl_free(s.crls[0]);
    free_set(&g);
}

static void signers_must_be_allowed_to_sign_and_sign_as_specified(void **state)
{
    (void)state;
    struct set g, s;
    made(&g, kinds[1]);
    s = g;
    s.given[0] = finish(begin("signer", "root", signer_key), root_key, 48); /* no CA */
    assert_check(&s, REPORT_CHECK_SIGNER_AUTHORITY);
    crypto_certificate_free(s.given[0]);
    s.given[0] = finish(begin("signer", "root", signer_key), root_key, 32); /* another salt */
    assert_check(&s, REPORT_CHECK_SIGNER_SIGNATURE);
    crypto_certificate_free(s.given[0]);
    s.given[0] = finish(begin("signer", "root", signer_key), signer_key, 48);
    assert_check(&s, REPORT_CHECK_SIGNER_SIGNATURE);
    crypto_certificate_free(s.given[0]);
    s = g;
    s.roots[0] = finish(begin("root", "root", root_key), root_key, 48);
    assert_check(&s, REPORT_CHECK_ROOT_AUTHORITY);
    crypto_certificate_free(s.roots[0]);
    s.roots[0] = finish(begin("root", "root", root_key), signer_key, 48);
    assert_check(&s, REPORT_CHECK_ROOT_SIGNATURE);
    crypto_certificate_free(s.roots[0]);
    free_set(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_genuine_report_verifies_with_amds_chain),
        cmocka_unit_test(a_genuine_turin_certificate_verifies),
        cmocka_unit_test(a_damaged_report_is_refused_by_name),
        cmocka_unit_test(a_damaged_certificate_is_refused_by_name),
        cmocka_unit_test(certificates_in_any_other_arrangement_are_refused),
        cmocka_unit_test(the_owners_policy_is_asked),
        cmocka_unit_test(reports_of_every_version_and_key_verify),
        cmocka_unit_test(what_a_platform_may_not_say_is_refused_by_name),
        cmocka_unit_test(revocation_lists_are_asked),
        cmocka_unit_test(signers_must_be_allowed_to_sign_and_sign_as_specified),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
