/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes X.509 certificates and revocation lists [RFC 5280]. The fields are written one by one,
 * because readers of a VCEK compare the order and the form of each field [snp 8.1]. Keys, hashes
 * and signatures are OpenSSL's.
 */
#include "crypto/der.h"
#include "crypto/internal.h"

#include <openssl/evp.h>
#include <stdio.h>

#define OID_RSA_PSS    "1.2.840.113549.1.1.10"
#define OID_RSA        "1.2.840.113549.1.1.1"
#define OID_MGF1       "1.2.840.113549.1.1.8"
#define OID_SHA384     "2.16.840.1.101.3.4.2.2"
#define OID_EC         "1.2.840.10045.2.1"
#define OID_P384       "1.3.132.0.34"
#define SALT           48
#define VERSION_3      2
#define LIST_VERSION_2 1

/* --- Parts ------------------------------------------------------------------------------------ */

static void write_hash(struct writer *w)
{
    size_t hash = der_open(w, DER_SEQUENCE);
    der_oid(w, OID_SHA384);
    der_value(w, DER_NULL, NULL, 0);
    der_close(w, hash);
}

/* Writes RSASSA-PSS with its parameters. AMD's own certificates differ in whether they write out a
 * field that has its default. */
static void write_algorithm(struct writer *w, bool trailer)
{
    size_t all = der_open(w, DER_SEQUENCE);
    der_oid(w, OID_RSA_PSS);
    size_t parameters = der_open(w, DER_SEQUENCE);
    size_t hash = der_open(w, DER_CONTEXT_HOLDER(0));
    write_hash(w);
    der_close(w, hash);
    size_t mask = der_open(w, DER_CONTEXT_HOLDER(1)), mgf1 = der_open(w, DER_SEQUENCE);
    der_oid(w, OID_MGF1);
    write_hash(w);
    der_close(w, mgf1);
    der_close(w, mask);
    size_t salt = der_open(w, DER_CONTEXT_HOLDER(2));
    der_integer(w, SALT);
    der_close(w, salt);
    if (trailer) {
        size_t field = der_open(w, DER_CONTEXT_HOLDER(3));
        der_integer(w, 1);
        der_close(w, field);
    }
    der_close(w, parameters);
    der_close(w, all);
}

/* Writes a name; each part is an RDN of its own. */
static void write_name(struct writer *w, const struct x509_name *name)
{
    const struct {
        const char *oid, *value;
        u8 tag;
    } parts[] = {
        {"2.5.4.11", name->unit, DER_UTF8_STRING},
        {"2.5.4.6", name->country, DER_PRINTABLE_STRING},
        {"2.5.4.7", name->locality, DER_UTF8_STRING},
        {"2.5.4.8", name->state, DER_UTF8_STRING},
        {"2.5.4.10", name->organization, DER_UTF8_STRING},
        {"2.5.4.3", name->common, DER_UTF8_STRING},
    };
    size_t all = der_open(w, DER_SEQUENCE);
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        if (!parts[i].value)
            continue;
        size_t set = der_open(w, DER_SET), part = der_open(w, DER_SEQUENCE);
        der_oid(w, parts[i].oid);
        der_text(w, parts[i].tag, parts[i].value);
        der_close(w, part);
        der_close(w, set);
    }
    der_close(w, all);
}

static void write_rsa(struct writer *w, const struct rsa_public *key)
{
    size_t numbers = der_open(w, DER_SEQUENCE);
    der_number(w, key->modulus, key->bits / 8);
    der_number(w, key->exponent, key->bits / 8);
    der_close(w, numbers);
}

static void write_rsa_key(struct writer *w, const struct rsa_public *key)
{
    size_t all = der_open(w, DER_SEQUENCE), algorithm = der_open(w, DER_SEQUENCE);
    der_oid(w, OID_RSA);
    der_value(w, DER_NULL, NULL, 0);
    der_close(w, algorithm);
    size_t bits = der_open(w, DER_BIT_STRING);
    write_u8(w, 0);
    write_rsa(w, key);
    der_close(w, bits);
    der_close(w, all);
}

static void write_ec_key(struct writer *w, const struct ec_public *key)
{
    u8 point[1 + 2 * sizeof key->x];
    point[0] = 4; /* uncompressed, then X and Y big-endian */
    for (size_t i = 0; i < sizeof key->x; i++) {
        point[1 + i] = key->x[sizeof key->x - 1 - i];
        point[1 + sizeof key->x + i] = key->y[sizeof key->y - 1 - i];
    }
    size_t all = der_open(w, DER_SEQUENCE), algorithm = der_open(w, DER_SEQUENCE);
    der_oid(w, OID_EC);
    der_oid(w, OID_P384);
    der_close(w, algorithm);
    der_bits(w, point, sizeof point, 0);
    der_close(w, all);
}

static void write_extensions(struct writer *w, u8 holder, const struct x509_extension *list,
                             size_t count)
{
    if (!count)
        return;
    size_t held = der_open(w, holder), all = der_open(w, DER_SEQUENCE);
    for (size_t i = 0; i < count; i++) {
        size_t one = der_open(w, DER_SEQUENCE);
        der_oid(w, list[i].oid);
        if (list[i].critical)
            der_true(w);
        der_value(w, DER_OCTET_STRING, list[i].value, list[i].size);
        der_close(w, one);
    }
    der_close(w, all);
    der_close(w, held);
}

/* --- The whole -------------------------------------------------------------------------------- */

/* Signs what the writer holds from `start` on, and makes it the first of the three parts of a
 * signed object. */
static size_t finish(const struct x509_signer *signer, struct writer *w, size_t start)
{
    struct rsa_public key;
    u8 seed[32], signature[CRYPTO_RSA_MAX], big_endian[CRYPTO_RSA_MAX];
    if (w->bad)
        return 0;
    const u8 *message = w->data + start;
    crypto_rsa_public(signer->key, &key);
    crypto_hmac_sha256(signer->salt_key, 32, message, w->at - start, seed);
    crypto_reseed(signer->crypto, seed, sizeof seed);
    if (!crypto_rsa_pss_sign(signer->crypto, signer->key, CRYPTO_SHA384, message, w->at - start,
                             signature))
        return 0;
    const size_t size = key.bits / 8;
    for (size_t i = 0; i < size; i++)
        big_endian[i] = signature[size - 1 - i];
    write_algorithm(w, signer->trailer);
    der_bits(w, big_endian, size, 0);
    der_close(w, start);
    return w->bad ? 0 : w->at;
}

size_t crypto_x509_certificate(const struct x509_signer *signer,
                               const struct x509_certificate *what, void *out, size_t size)
{
    struct writer w = writer_of(out, size);
    size_t start = der_open(&w, DER_SEQUENCE), body = der_open(&w, DER_SEQUENCE);
    size_t version = der_open(&w, DER_CONTEXT_HOLDER(0));
    der_integer(&w, VERSION_3);
    der_close(&w, version);
    der_integer(&w, what->serial);
    write_algorithm(&w, signer->trailer);
    write_name(&w, &what->issuer);
    size_t validity = der_open(&w, DER_SEQUENCE);
    der_time(&w, what->not_before);
    der_time(&w, what->not_after);
    der_close(&w, validity);
    write_name(&w, &what->subject);
    if (what->rsa)
        write_rsa_key(&w, what->rsa);
    else
        write_ec_key(&w, what->ec);
    write_extensions(&w, DER_CONTEXT_HOLDER(3), what->extensions, what->extension_count);
    der_close(&w, body);
    return finish(signer, &w, start);
}

size_t crypto_x509_list(const struct x509_signer *signer, const struct x509_list *what, void *out,
                        size_t size)
{
    struct writer w = writer_of(out, size);
    size_t start = der_open(&w, DER_SEQUENCE), body = der_open(&w, DER_SEQUENCE);
    der_integer(&w, LIST_VERSION_2);
    write_algorithm(&w, signer->trailer);
    write_name(&w, &what->issuer);
    der_time(&w, what->this_update);
    der_time(&w, what->next_update);
    if (what->revoked_count) { /* an empty list is left out */
        size_t list = der_open(&w, DER_SEQUENCE);
        for (size_t i = 0; i < what->revoked_count; i++) {
            size_t one = der_open(&w, DER_SEQUENCE);
            der_integer(&w, what->revoked[i]);
            der_time(&w, what->this_update);
            der_close(&w, one);
        }
        der_close(&w, list);
    }
    write_extensions(&w, DER_CONTEXT_HOLDER(0), what->extensions, what->extension_count);
    der_close(&w, body);
    return finish(signer, &w, start);
}

void crypto_x509_key_id(const struct rsa_public *key, u8 id[20])
{
    u8 der[2 * CRYPTO_RSA_MAX];
    struct writer w = writer_of(der, sizeof der);
    size_t size = 20;
    library_start();
    write_rsa(&w, key);
    must(!w.bad && EVP_Q_digest(NULL, "SHA1", NULL, der, w.at, id, &size) == 1 && size == 20);
}

size_t crypto_pem(const char *label, const void *der, size_t der_size, char *out, size_t size)
{
    const size_t line = 48; /* bytes that make 64 characters */
    struct writer w = writer_of(out, size);
    char text[80];
    int n = snprintf(text, sizeof text, "-----BEGIN %s-----\n", label);
    write_bytes(&w, text, (size_t)n);
    for (size_t at = 0; at < der_size; at += line) {
        size_t count = der_size - at < line ? der_size - at : line;
        n = EVP_EncodeBlock((u8 *)text, (const u8 *)der + at, (int)count);
        write_bytes(&w, text, (size_t)n);
        write_u8(&w, '\n');
    }
    n = snprintf(text, sizeof text, "-----END %s-----\n", label);
    write_bytes(&w, text, (size_t)n);
    return w.bad ? 0 : w.at;
}
