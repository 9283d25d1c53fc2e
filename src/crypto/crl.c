/* SPDX-License-Identifier: Apache-2.0 */
/* X.509 revocation lists, read: DER or PEM in, and what a verifier asks of one. */
#include "crypto/internal.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

struct crypto_crl {
    X509_CRL *x509;
};

static struct crypto_crl *read_der(const void *data, size_t size)
{
    const u8 *at = data, *end = at + size;
    X509_CRL *x509 = size <= INT32_MAX ? d2i_X509_CRL(NULL, &at, (long)size) : NULL;
    struct crypto_crl *c = x509 && at == end ? calloc(1, sizeof *c) : NULL;
    if (c)
        c->x509 = x509;
    else
        X509_CRL_free(x509);
    return c;
}

static bool take(void *out, const void *der, size_t size)
{
    struct crypto_crl ***next = out;
    **next = read_der(der, size);
    if (!**next)
        return false;
    (*next)++;
    return true;
}

size_t crypto_crls_read(const void *data, size_t size, struct crypto_crl **out, size_t max)
{
    return read_each(data, size, PEM_STRING_X509_CRL, take, &out, max);
}

void crypto_crl_free(struct crypto_crl *c)
{
    if (!c)
        return;
    X509_CRL_free(c->x509);
    free(c);
}

bool crypto_crl_names(const struct crypto_crl *c, const struct crypto_certificate *issuer)
{
    return X509_NAME_cmp(X509_CRL_get_issuer(c->x509), X509_get_subject_name(issuer->x509)) == 0;
}

bool crypto_crl_signed_by(const struct crypto_crl *c, const struct crypto_certificate *issuer)
{
    EVP_PKEY *key = X509_get0_pubkey(issuer->x509);
    const X509_ALGOR *algorithm;
    X509_CRL_get0_signature(c->x509, NULL, &algorithm);
    bool good = key && EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) <= 4096 &&
                (X509_get_key_usage(issuer->x509) & KU_CRL_SIGN) && is_pss_sha384(algorithm) &&
                X509_CRL_verify(c->x509, key) == 1;
    ERR_clear_error();
    return good;
}

bool crypto_crl_complete(const struct crypto_crl *c)
{
    return X509_CRL_get_ext_by_critical(c->x509, 1, -1) < 0 &&
           X509_CRL_get_ext_by_NID(c->x509, NID_delta_crl, -1) < 0;
}

bool crypto_crl_valid_at(const struct crypto_crl *c, s64 time)
{
    const ASN1_TIME *until = X509_CRL_get0_nextUpdate(c->x509);
    return until && time_is_between(X509_CRL_get0_lastUpdate(c->x509), time, until);
}

bool crypto_crl_revokes(const struct crypto_crl *c, const struct crypto_certificate *certificate)
{
    X509_REVOKED *entry;
    return X509_CRL_get0_by_serial(c->x509, &entry, X509_get0_serialNumber(certificate->x509)) == 1;
}
