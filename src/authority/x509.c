/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SNP's certificates: ARK, ASK, ASVK, VCEK, VLEK and the revocation list. Every field is as in
 * AMD's certificates [snp 8.1] except the names, which show that software made them.
 */
#include "authority/internal.h"

#include "base/bytes.h"
#include "crypto/der.h"

#include <stdio.h>

#define YEAR 31557600ll /* seconds, of 365.25 days */
#define DAY  86400ll

#define MANUFACTURER_YEARS 25
#define ENDORSEMENT_YEARS  7
#define LIST_YEARS         2

// clang-format off
const struct authority_product authority_products[] = {
    {"Milan", 0x10000, 0x10001, 0x10101, SNP_TCB_MILAN, 64},
    {"Genoa", 0x20000, 0x20002, 0x20101, SNP_TCB_MILAN, 64},
    {"Turin", 0x30000, 0x30001, 0x30101, SNP_TCB_TURIN, 8},
    {.name = NULL},
};
// clang-format on

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

const struct authority_product *authority_product_find(const char *name)
{
    for (const struct authority_product *p = authority_products; p->name; p++) {
        size_t i = 0;
        while (p->name[i] && lower(p->name[i]) == lower(name[i]))
            i++;
        if (!p->name[i] && !name[i])
            return p;
    }
    return NULL;
}

s64 authority_issue_time(s64 now)
{
    return now - now % YEAR;
}

/* --- Names and terms -------------------------------------------------------------------------- */

#define COMMON_MAX 32u

static struct x509_name name_of(const char *common)
{
    return (struct x509_name){.unit = "Emulated hardware",
                              .country = "ZZ",
                              .locality = "Nowhere",
                              .state = "None",
                              .organization = "softsev software authority, not AMD",
                              .common = common};
}

static void common_name(const struct authority_product *product, enum authority_role role,
                        char out[COMMON_MAX])
{
    static const char *const prefixes[AUTHORITY_ROLES] = {"ARK-", "SEV-", "SEV-VLEK-"};
    snprintf(out, COMMON_MAX, "%s%s", prefixes[role], product->name);
}

static u32 serial_of(const struct authority_product *product, enum authority_role role)
{
    const u32 serials[AUTHORITY_ROLES] = {product->ark_serial, product->ask_serial,
                                          product->asvk_serial};
    return serials[role];
}

static const struct rsa_private *key_of(const struct authority *a, enum authority_role role)
{
    const struct rsa_private *const keys[AUTHORITY_ROLES] = {a->ark_key, a->ask_key, a->asvk_key};
    return keys[role];
}

static s64 begin_of(const struct authority_terms *terms)
{
    return terms->not_before ? terms->not_before : AUTHORITY_EPOCH;
}

static s64 end_of(const struct authority_terms *terms, s64 begin, s64 years)
{
    return terms->not_after ? terms->not_after : begin + years * YEAR;
}

static struct x509_signer signer_of(const struct authority *a, enum authority_role role,
                                    bool trailer)
{
    return (struct x509_signer){
        .crypto = a->salts, .salt_key = a->salt_key, .key = key_of(a, role), .trailer = trailer};
}

/* --- The manufacturer's certificates ---------------------------------------------------------- */

#define OID_SKI               "2.5.29.14"
#define OID_KEY_USAGE         "2.5.29.15"
#define OID_BASIC_CONSTRAINTS "2.5.29.19"
#define OID_CRL_NUMBER        "2.5.29.20"
#define OID_DELTA_CRL         "2.5.29.27"
#define OID_CRL_POINTS        "2.5.29.31"
#define OID_AKI               "2.5.29.35"

#define VALUE_MAX      256u
#define EXTENSIONS_MAX 12u

/* Extensions under construction, with their values next to them. */
struct extensions {
    struct x509_extension list[EXTENSIONS_MAX];
    size_t count;
    u8 values[EXTENSIONS_MAX][VALUE_MAX];
    bool bad;
};

static struct writer extension_value(struct extensions *x)
{
    return writer_of(x->values[x->count], VALUE_MAX);
}

static void extension_add(struct extensions *x, const char *oid, bool critical,
                          const struct writer *value)
{
    x->bad |= value->bad;
    x->list[x->count++] = (struct x509_extension){
        .oid = oid, .critical = critical, .value = value->data, .size = value->at};
}

static void add_subject_key(struct extensions *x, const struct rsa_public *key)
{
    u8 id[20];
    struct writer w = extension_value(x);
    crypto_x509_key_id(key, id);
    der_value(&w, DER_OCTET_STRING, id, sizeof id);
    extension_add(x, OID_SKI, false, &w);
}

static void add_issuer_key(struct extensions *x, const struct rsa_public *key)
{
    u8 id[20];
    struct writer w = extension_value(x);
    crypto_x509_key_id(key, id);
    size_t all = der_open(&w, DER_SEQUENCE);
    der_value(&w, DER_CONTEXT(0), id, sizeof id);
    der_close(&w, all);
    extension_add(x, OID_AKI, false, &w);
}

/* Adds basicConstraints of a CA; the path length is zero unless it signs other CAs. */
static void add_basic_constraints(struct extensions *x, bool root)
{
    struct writer w = extension_value(x);
    size_t all = der_open(&w, DER_SEQUENCE);
    der_true(&w);
    if (!root)
        der_integer(&w, 0);
    der_close(&w, all);
    extension_add(x, OID_BASIC_CONSTRAINTS, true, &w);
}

/* Adds keyUsage: keyCertSign, and cRLSign for the root: bits 5 and 6 from the left. AMD's ASKs
 * write out bit 6 although it is zero. */
static void add_key_usage(struct extensions *x, bool root)
{
    const u8 bits = root ? 0x06 : 0x04;
    struct writer w = extension_value(x);
    der_bits(&w, &bits, 1, 1);
    extension_add(x, OID_KEY_USAGE, true, &w);
}

static void add_crl_points(struct extensions *x, const struct authority_product *product, bool vlek,
                           const struct authority_terms *terms)
{
    char url[200];
    int n = snprintf(url, sizeof url, "%s/%s/v1/%s/crl",
                     terms->kds_url ? terms->kds_url : AUTHORITY_KDS_URL, vlek ? "vlek" : "vcek",
                     product->name);
    struct writer w = extension_value(x);
    size_t all = der_open(&w, DER_SEQUENCE), point = der_open(&w, DER_SEQUENCE),
           where = der_open(&w, DER_CONTEXT_HOLDER(0)), names = der_open(&w, DER_CONTEXT_HOLDER(0));
    der_text(&w, DER_CONTEXT(6), url); /* uniformResourceIdentifier */
    der_close(&w, names);
    der_close(&w, where);
    der_close(&w, point);
    der_close(&w, all);
    w.bad |= n < 0 || (size_t)n >= sizeof url;
    extension_add(x, OID_CRL_POINTS, false, &w);
}

size_t authority_certificate(const struct authority *a, const struct authority_product *product,
                             enum authority_role role, const struct authority_terms *terms,
                             void *out, size_t size)
{
    char issuer[COMMON_MAX], subject[COMMON_MAX];
    struct rsa_public key, root;
    struct extensions x = {.count = 0};
    common_name(product, AUTHORITY_ARK, issuer);
    common_name(product, role, subject);
    crypto_rsa_public(key_of(a, role), &key);
    crypto_rsa_public(a->ark_key, &root);
    if (role == AUTHORITY_ARK) { /* the order is that of AMD's certificates */
        add_key_usage(&x, true);
        add_subject_key(&x, &key);
        add_basic_constraints(&x, true);
    } else {
        add_subject_key(&x, &key);
        add_issuer_key(&x, &root);
        add_basic_constraints(&x, false);
        add_key_usage(&x, false);
    }
    add_crl_points(&x, product, role == AUTHORITY_ASVK, terms);
    const struct x509_certificate what = {
        .serial = serial_of(product, role),
        .issuer = name_of(issuer),
        .subject = name_of(subject),
        .not_before = begin_of(terms),
        .not_after = end_of(terms, begin_of(terms), MANUFACTURER_YEARS),
        .rsa = &key,
        .extensions = x.list,
        .extension_count = x.count,
    };
    const struct x509_signer signer = signer_of(a, AUTHORITY_ARK, true);
    return x.bad ? 0 : crypto_x509_certificate(&signer, &what, out, size);
}

size_t authority_chain_pem(const struct authority *a, const struct authority_product *product,
                           bool vlek, const struct authority_terms *terms, void *out, size_t size)
{
    const enum authority_role roles[] = {vlek ? AUTHORITY_ASVK : AUTHORITY_ASK, AUTHORITY_ARK};
    u8 der[AUTHORITY_CERT_MAX];
    size_t at = 0;
    for (size_t i = 0; i < ARRAY_SIZE(roles); i++) {
        size_t n = authority_certificate(a, product, roles[i], terms, der, sizeof der);
        n = n ? crypto_pem("CERTIFICATE", der, n, (char *)out + at, size - at) : 0;
        if (!n)
            return 0;
        at += n;
    }
    return at;
}

/* --- VCEK and VLEK ---------------------------------------------------------------------------- */

#define ARC "1.3.6.1.4.1.3704.1."

static void add_spl(struct extensions *x, const char *oid, u8 value)
{
    struct writer w = extension_value(x);
    der_integer(&w, value);
    extension_add(x, oid, false, &w);
}

static void add_text(struct extensions *x, const char *oid, const char *text)
{
    struct writer w = extension_value(x);
    der_text(&w, DER_IA5_STRING, text);
    for (const char *p = text; *p; p++)
        w.bad |= *p < ' ' || *p > '~';
    extension_add(x, oid, false, &w);
}

/* Adds the TCB's components in AMD's order, which differs between the layouts. */
static void add_tcb(struct extensions *x, enum snp_tcb_layout layout, u64 tcb)
{
    const struct snp_tcb t = snp_tcb_unpack(layout, tcb);
    if (layout == SNP_TCB_TURIN)
        add_spl(x, ARC "3.9", t.fmc);
    add_spl(x, ARC "3.1", t.boot_loader);
    add_spl(x, ARC "3.2", t.tee);
    if (layout == SNP_TCB_TURIN)
        add_spl(x, ARC "3.3", t.snp);
    else
        add_spl(x, ARC "3.4", 0);
    add_spl(x, ARC "3.5", 0);
    add_spl(x, ARC "3.6", 0);
    add_spl(x, ARC "3.7", 0);
    if (layout != SNP_TCB_TURIN)
        add_spl(x, ARC "3.3", t.snp);
    add_spl(x, ARC "3.8", t.microcode);
}

static void add_holder(struct extensions *x, const struct authority_endorsement *what)
{
    if (!what->chip_id) {
        add_text(x, ARC "5", what->csp_id);
        return;
    }
    struct writer w = extension_value(x); /* hwID: the plain bytes, not an ASN.1 value */
    if (what->octet_string)
        der_value(&w, DER_OCTET_STRING, what->chip_id, what->product->chip_id_size);
    else
        write_bytes(&w, what->chip_id, what->product->chip_id_size);
    extension_add(x, ARC "4", false, &w);
}

size_t authority_endorse(const struct authority *a, const struct authority_endorsement *what,
                         const struct authority_terms *terms, void *out, size_t size)
{
    const bool vlek = !what->chip_id;
    const enum snp_tcb_layout layout = what->product->layout;
    const enum authority_role role = vlek ? AUTHORITY_ASVK : AUTHORITY_ASK;
    const s64 begin = begin_of(terms) - DAY;
    char issuer[COMMON_MAX];
    struct extensions x = {.count = 0};
    if (vlek && (!what->csp_id || strlen(what->csp_id) > AUTHORITY_CSP_MAX))
        return 0;
    common_name(what->product, role, issuer);
    add_spl(&x, ARC "1", layout == SNP_TCB_TURIN);
    add_text(&x, ARC "2", what->product_name ? what->product_name : what->product->name);
    add_tcb(&x, layout, what->tcb);
    add_holder(&x, what);
    const struct x509_certificate certificate = {
        .serial = 0,
        .issuer = name_of(issuer),
        .subject = name_of(vlek ? "SEV-VLEK" : "SEV-VCEK"),
        .not_before = begin,
        .not_after = end_of(terms, begin, ENDORSEMENT_YEARS),
        .ec = &what->key,
        .extensions = x.list,
        .extension_count = x.count,
    };
    const struct x509_signer signer = signer_of(a, role, layout != SNP_TCB_TURIN);
    return x.bad ? 0 : crypto_x509_certificate(&signer, &certificate, out, size);
}

void authority_vlek_stick(const struct authority *a, const struct authority_product *product,
                          const char *csp_id, u8 stick[SNP_VLEK_STICK_SIZE])
{
    char whose[AUTHORITY_CSP_MAX + COMMON_MAX];
    snprintf(whose, sizeof whose, "%s %s", product->name, csp_id);
    crypto_sev_kdf(a->stick_key, sizeof a->stick_key, "softsev-vlek-stick", whose, strlen(whose),
                   stick, SNP_VLEK_STICK_SIZE);
}

size_t authority_vcek(const struct authority *a, const struct authority_product *product,
                      const char *product_name, const u8 fuses[32], u64 tcb,
                      const struct authority_terms *terms, void *out, size_t size)
{
    struct ec_private key;
    u8 chip_id[64];
    struct authority_endorsement what = {
        .product = product, .product_name = product_name, .tcb = tcb, .chip_id = chip_id};
    bool good = identity_chip_id(fuses, chip_id) && identity_vcek(fuses, tcb, &key);
    if (good)
        what.key = key.public;
    crypto_wipe(&key, sizeof key);
    return good ? authority_endorse(a, &what, terms, out, size) : 0;
}

size_t authority_vlek(const struct authority *a, const struct authority_product *product,
                      const char *csp_id, u64 tcb, const struct authority_terms *terms, void *out,
                      size_t size)
{
    struct ec_private key;
    u8 stick[SNP_VLEK_STICK_SIZE];
    struct authority_endorsement what = {.product = product, .tcb = tcb, .csp_id = csp_id};
    authority_vlek_stick(a, product, csp_id, stick);
    bool good = identity_vlek(stick, tcb, &key);
    if (good)
        what.key = key.public;
    crypto_wipe(stick, sizeof stick);
    crypto_wipe(&key, sizeof key);
    return good ? authority_endorse(a, &what, terms, out, size) : 0;
}

/* --- Revocation ------------------------------------------------------------------------------- */

size_t authority_crl(const struct authority *a, const struct authority_product *product,
                     u32 revoked, const struct authority_terms *terms, void *out, size_t size)
{
    u64 serials[AUTHORITY_ROLES];
    char issuer[COMMON_MAX];
    struct rsa_public root;
    struct extensions x = {.count = 0};
    size_t count = 0;
    for (unsigned role = 0; role < AUTHORITY_ROLES; role++)
        if (revoked & BIT(role))
            serials[count++] = serial_of(product, role);
    common_name(product, AUTHORITY_ARK, issuer);
    crypto_rsa_public(a->ark_key, &root);
    add_issuer_key(&x, &root);
    struct writer number = extension_value(&x);
    der_integer(&number, terms->list_number ? terms->list_number : 1);
    extension_add(&x, OID_CRL_NUMBER, false, &number);
    if (terms->delta) {
        struct writer base = extension_value(&x);
        der_integer(&base, 1);
        extension_add(&x, OID_DELTA_CRL, true, &base);
    }
    const struct x509_list what = {
        .issuer = name_of(issuer),
        .this_update = begin_of(terms),
        .next_update = end_of(terms, begin_of(terms), LIST_YEARS),
        .revoked = serials,
        .revoked_count = count,
        .extensions = x.list,
        .extension_count = x.count,
    };
    const struct x509_signer signer = signer_of(a, AUTHORITY_ARK, true);
    return x.bad ? 0 : crypto_x509_list(&signer, &what, out, size);
}
