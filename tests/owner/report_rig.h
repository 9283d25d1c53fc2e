/* SPDX-License-Identifier: Apache-2.0 */
/* Reports with certificates of keys that were made here with OpenSSL alone, and what the owner says
 * of them. */
#ifndef SOFTSEV_TESTS_OWNER_REPORT_RIG_H
#define SOFTSEV_TESTS_OWNER_REPORT_RIG_H

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

#define MAX 8

/* When the certificates are valid, the genuine ones, too. */
static const s64 at_issue = 1700000000;

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
    struct set copy = *s;
    const struct report_certificates c = {.given = {copy.given, s->given_count},
                                          .roots = {copy.roots, s->root_count},
                                          .lists = {copy.crls, s->crl_count}};
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
    assert_non_null(out = crypto_certificate_read(der, (size_t)size));
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

/* How many bytes stand before a chip's id: 0, 2 for the head of an OCTET STRING, or one that is
 * wrong. */
static int octets;
static bool odd_endorsement; /* with a critical extension */

static void add_chip_id(X509 *x, const u8 *id, int size)
{
    u8 value[3 + 64] = {0x04, (u8)size};
    memcpy(value + octets, id, (size_t)size);
    add_extension(x, "1.3.6.1.4.1.3704.1.4", value, octets + size);
}

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
        add_chip_id(x, id, k.turin ? 8 : 64);
    if (odd_endorsement)
        add_known(x, NID_ext_key_usage, "critical,clientAuth");
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
    {false, true, 5, 0x1a}, {true, true, 5, 0x1a},   {false, false, 4, 0x19},
    {true, false, 4, 0x19}, {false, true, 4, 0x1a},
};

#endif
