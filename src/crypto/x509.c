/* SPDX-License-Identifier: Apache-2.0 */
/* X.509 certificates: reading them from DER, and a verifier's questions about one. */
#include "crypto/internal.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

bool last_error_is_memory(void)
{
    bool memory = false;
    for (unsigned long code; (code = ERR_get_error());)
        memory = memory || ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
    return memory;
}

struct crypto_certificate *crypto_certificate_read(const void *der, size_t size)
{
    const u8 *at = der, *end = at + size;
    library_start();
    ERR_clear_error();
    X509 *x509 = size <= INT32_MAX ? d2i_X509(NULL, &at, (long)size) : NULL;
    struct crypto_certificate *c = x509 && at == end ? calloc(1, sizeof *c) : NULL;
    if (c)
        c->x509 = x509;
    else
        X509_free(x509);
    if (x509 && at == end && !c)
        ERR_raise(ERR_LIB_USER, ERR_R_MALLOC_FAILURE);
    return c;
}

void crypto_certificate_free(struct crypto_certificate *c)
{
    if (!c)
        return;
    X509_free(c->x509);
    free(c);
}

bool crypto_certificate_equal(const struct crypto_certificate *a,
                              const struct crypto_certificate *b)
{
    return X509_cmp(a->x509, b->x509) == 0;
}

bool crypto_certificate_names(const struct crypto_certificate *c,
                              const struct crypto_certificate *issuer)
{
    return X509_NAME_cmp(X509_get_issuer_name(c->x509), X509_get_subject_name(issuer->x509)) == 0;
}

void crypto_certificate_subject(const struct crypto_certificate *c, char *out, size_t size)
{
    char text[200] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(c->x509), NID_commonName, text, sizeof text);
    for (char *p = text; *p; p++)
        if (*p < ' ' || *p > '~')
            *p = '?';
    size_t n = strlen(text) < size ? strlen(text) : size - 1;
    memcpy(out, text, n);
    out[n] = 0;
}

bool crypto_certificate_may_sign(const struct crypto_certificate *c, long signers_below)
{
    const long path = X509_get_pathlen(c->x509); /* -1: no limit */
    return X509_check_ca(c->x509) == 1 && (X509_get_key_usage(c->x509) & KU_KEY_CERT_SIGN) &&
           (path < 0 || path >= signers_below);
}

bool crypto_certificate_unknown_critical(const struct crypto_certificate *c, char *oid, size_t size)
{
    for (int at = -1; (at = X509_get_ext_by_critical(c->x509, 1, at)) >= 0;) {
        const ASN1_OBJECT *object = X509_EXTENSION_get_object(X509_get_ext(c->x509, at));
        const int nid = OBJ_obj2nid(object);
        if (nid == NID_basic_constraints || nid == NID_key_usage)
            continue;
        OBJ_obj2txt(oid, (int)size, object, 1);
        return true;
    }
    return false;
}

bool time_is_between(const ASN1_TIME *from, s64 time, const ASN1_TIME *until)
{
    const time_t at = (time_t)time;
    int day, second;
    struct tm calendar;
    ASN1_TIME *now = gmtime_r(&at, &calendar) ? ASN1_TIME_set(NULL, at) : NULL;
    bool good = now && ASN1_TIME_diff(&day, &second, from, now) == 1 && day >= 0 && second >= 0 &&
                ASN1_TIME_diff(&day, &second, now, until) == 1 && day >= 0 && second >= 0;
    ASN1_TIME_free(now);
    return good;
}

bool crypto_certificate_valid_at(const struct crypto_certificate *c, s64 time)
{
    return time_is_between(X509_get0_notBefore(c->x509), time, X509_get0_notAfter(c->x509));
}

/* Returns true for RSASSA-PSS with SHA-384, MGF1 with SHA-384 and a salt of 48 bytes; no other
 * signature is accepted [snp 8.1]. */
bool is_pss_sha384(const X509_ALGOR *algorithm)
{
    const ASN1_OBJECT *object;
    const void *parameter;
    int type;
    X509_ALGOR_get0(&object, &type, &parameter, algorithm);
    if (OBJ_obj2nid(object) != NID_rsassaPss || type != V_ASN1_SEQUENCE)
        return false;
    const ASN1_STRING *sequence = parameter;
    const u8 *at = ASN1_STRING_get0_data(sequence);
    RSA_PSS_PARAMS *p = d2i_RSA_PSS_PARAMS(NULL, &at, ASN1_STRING_length(sequence));
    X509_ALGOR *mask_hash = NULL;
    bool good = p && p->hashAlgorithm && p->maskGenAlgorithm && p->saltLength &&
                OBJ_obj2nid(p->hashAlgorithm->algorithm) == NID_sha384 &&
                OBJ_obj2nid(p->maskGenAlgorithm->algorithm) == NID_mgf1 &&
                ASN1_INTEGER_get(p->saltLength) == 48 &&
                (!p->trailerField || ASN1_INTEGER_get(p->trailerField) == 1) &&
                p->maskGenAlgorithm->parameter;
    if (good)
        mask_hash =
            ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(X509_ALGOR), p->maskGenAlgorithm->parameter);
    good = good && mask_hash && OBJ_obj2nid(mask_hash->algorithm) == NID_sha384;
    X509_ALGOR_free(mask_hash);
    RSA_PSS_PARAMS_free(p);
    return good;
}

bool crypto_certificate_signed_by(const struct crypto_certificate *c,
                                  const struct crypto_certificate *issuer)
{
    EVP_PKEY *key = X509_get0_pubkey(issuer->x509);
    const X509_ALGOR *algorithm;
    X509_get0_signature(NULL, &algorithm, c->x509);
    bool good = key && EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) <= 4096 &&
                is_pss_sha384(algorithm) && X509_verify(c->x509, key) == 1;
    ERR_clear_error();
    return good;
}

bool crypto_certificate_ec_key(const struct crypto_certificate *c, struct ec_public *out)
{
    EVP_PKEY *key = X509_get0_pubkey(c->x509);
    BIGNUM *x = NULL, *y = NULL;
    char group[32] = "";
    bool good = key && EVP_PKEY_is_a(key, "EC") &&
                EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
                !strcmp(group, "secp384r1") &&
                EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_X, &x) == 1 &&
                EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_Y, &y) == 1 &&
                BN_bn2lebinpad(x, out->x, sizeof out->x) == sizeof out->x &&
                BN_bn2lebinpad(y, out->y, sizeof out->y) == sizeof out->y;
    BN_free(x);
    BN_free(y);
    ERR_clear_error();
    return good;
}

int crypto_certificate_extension(const struct crypto_certificate *c, const char *oid,
                                 const u8 **data, size_t *size)
{
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    int at = object ? X509_get_ext_by_OBJ(c->x509, object, -1) : -1;
    int again = at >= 0 ? X509_get_ext_by_OBJ(c->x509, object, at) : -1;
    ASN1_OBJECT_free(object);
    if (at < 0 || again >= 0)
        return at < 0 ? 0 : 2;
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(X509_get_ext(c->x509, at));
    *data = ASN1_STRING_get0_data(value);
    *size = (size_t)ASN1_STRING_length(value);
    return 1;
}

size_t crypto_certificate_der(const struct crypto_certificate *c, void *out, size_t size)
{
    u8 *at = out;
    int needed = i2d_X509(c->x509, NULL);
    return needed > 0 && (size_t)needed <= size ? (size_t)i2d_X509(c->x509, &at) : 0;
}
