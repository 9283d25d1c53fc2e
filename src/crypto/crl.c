/* SPDX-License-Identifier: Apache-2.0 */
/* X.509 revocation lists: reading them from DER, and a verifier's questions about one. */
#include "crypto/internal.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

struct crypto_crl {
    X509_CRL *x509;
};

struct crypto_crl *crypto_crl_read(const void *der, size_t size)
{
    const u8 *at = der, *end = at + size;
    library_start();
    ERR_clear_error();
    X509_CRL *x509 = size <= INT32_MAX ? d2i_X509_CRL(NULL, &at, (long)size) : NULL;
    struct crypto_crl *c = x509 && at == end ? calloc(1, sizeof *c) : NULL;
    if (c)
        c->x509 = x509;
    else
        X509_CRL_free(x509);
    if (x509 && at == end && !c)
        ERR_raise(ERR_LIB_USER, ERR_R_MALLOC_FAILURE);
    return c;
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

/* Returns the list's number. NULL: it has none, or its value is not a number. */
static ASN1_INTEGER *number_of(const struct crypto_crl *c)
{
    ASN1_INTEGER *number = X509_CRL_get_ext_d2i(c->x509, NID_crl_number, NULL, NULL);
    if (number && ASN1_STRING_type(number) == V_ASN1_NEG_INTEGER) {
        ASN1_INTEGER_free(number);
        number = NULL;
    }
    ERR_clear_error();
    return number;
}

static bool has(const struct crypto_crl *c, int nid)
{
    return X509_CRL_get_ext_by_NID(c->x509, nid, -1) >= 0;
}

static bool has_critical_entry(const struct crypto_crl *c)
{
    STACK_OF(X509_REVOKED) *entries = X509_CRL_get_REVOKED(c->x509);
    for (int i = 0; i < sk_X509_REVOKED_num(entries); i++) {
        const X509_REVOKED *entry = sk_X509_REVOKED_value(entries, i);
        if (X509_REVOKED_get_ext_by_critical(entry, 1, -1) >= 0 ||
            X509_REVOKED_get_ext_by_NID(entry, NID_certificate_issuer, -1) >= 0)
            return true;
    }
    return false;
}

const char *crypto_crl_unusable(const struct crypto_crl *c)
{
    if (has(c, NID_delta_crl))
        return "it is a delta, which is a part of a list";
    if (has(c, NID_issuing_distribution_point))
        return "it is restricted or indirect (issuingDistributionPoint), which is a part of a list";
    if (X509_CRL_get_ext_by_critical(c->x509, 1, -1) >= 0)
        return "it has a critical extension that is not known";
    if (has_critical_entry(c))
        return "an entry has a critical extension, or another issuer";
    ASN1_INTEGER *number = number_of(c);
    const bool bad = has(c, NID_crl_number) && !number;
    ASN1_INTEGER_free(number);
    return bad ? "its CRL number is not a number" : NULL;
}

bool crypto_crl_newer(const struct crypto_crl *a, const struct crypto_crl *b)
{
    ASN1_INTEGER *x = number_of(a), *y = number_of(b);
    const bool newer = x && y && ASN1_INTEGER_cmp(x, y) > 0;
    ASN1_INTEGER_free(x);
    ASN1_INTEGER_free(y);
    return newer;
}

bool crypto_crl_equal(const struct crypto_crl *a, const struct crypto_crl *b)
{
    return X509_CRL_match(a->x509, b->x509) == 0;
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
