/* SPDX-License-Identifier: Apache-2.0 */
/*
 * P-384 keys, ECDSA and ECDH, and one point of secp256k1. OpenSSL does the arithmetic of points and
 * scalars. Signatures use its EVP interface in the signer's library context, so that a seeded party
 * makes the same signatures in every run.
 */
#include "crypto/internal.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>

#define P384_BYTES       48
#define P384_POINT_BYTES (1 + 2 * P384_BYTES)
/* 64 bits more than the order: the remainder is as good as uniform */
#define P384_WIDE_BYTES 56
#define ECDSA_DER_MAX   112

/* Temporary objects of a scalar multiplication, together so that one label can free them. */
struct work {
    EC_GROUP *group;
    EC_POINT *point;
    BN_CTX *bn;
    BIGNUM *scalar, *x, *y;
};

static bool work_start(struct work *w, int curve)
{
    library_start();
    w->group = EC_GROUP_new_by_curve_name(curve);
    w->point = w->group ? EC_POINT_new(w->group) : NULL;
    w->bn = BN_CTX_secure_new();
    w->scalar = BN_secure_new();
    w->x = BN_secure_new();
    w->y = BN_new();
    if (w->scalar)
        BN_set_flags(w->scalar, BN_FLG_CONSTTIME);
    return w->point && w->bn && w->scalar && w->x && w->y;
}

static void work_end(struct work *w)
{
    BN_clear_free(w->scalar);
    BN_clear_free(w->x);
    BN_free(w->y);
    BN_CTX_free(w->bn);
    EC_POINT_free(w->point);
    EC_GROUP_free(w->group);
}

/* Sets the point. Its coordinates must be below the field's prime, so that each point has only one
 * encoding. */
static bool work_set_point(struct work *w, const struct ec_public *p)
{
    const BIGNUM *prime = EC_GROUP_get0_field(w->group);
    return BN_lebin2bn(p->x, P384_BYTES, w->x) && BN_lebin2bn(p->y, P384_BYTES, w->y) &&
           BN_cmp(w->x, prime) < 0 && BN_cmp(w->y, prime) < 0 &&
           EC_POINT_set_affine_coordinates(w->group, w->point, w->x, w->y, w->bn) == 1;
}

static bool work_multiply_base(struct work *w)
{
    return EC_POINT_mul(w->group, w->point, w->scalar, NULL, NULL, w->bn) == 1 &&
           EC_POINT_get_affine_coordinates(w->group, w->point, w->x, w->y, w->bn) == 1;
}

static bool work_scalar_in_range(const struct work *w)
{
    return !BN_is_zero(w->scalar) && BN_cmp(w->scalar, EC_GROUP_get0_order(w->group)) < 0;
}

static bool work_private(struct work *w, struct ec_private *out)
{
    return work_scalar_in_range(w) && work_multiply_base(w) &&
           BN_bn2lebinpad(w->scalar, out->d, P384_BYTES) == P384_BYTES &&
           BN_bn2lebinpad(w->x, out->public.x, P384_BYTES) == P384_BYTES &&
           BN_bn2lebinpad(w->y, out->public.y, P384_BYTES) == P384_BYTES;
}

bool crypto_ec_from_scalar(const u8 d[48], struct ec_private *out)
{
    struct work w;
    bool good = work_start(&w, NID_secp384r1) && BN_lebin2bn(d, P384_BYTES, w.scalar) &&
                work_private(&w, out);
    work_end(&w);
    return good;
}

bool crypto_ec_from_wide(const void *r, size_t size, struct ec_private *out)
{
    struct work w;
    BIGNUM *below_order = NULL;
    bool good = work_start(&w, NID_secp384r1) && BN_lebin2bn(r, (int)size, w.x) &&
                (below_order = BN_dup(EC_GROUP_get0_order(w.group))) &&
                BN_sub_word(below_order, 1) && BN_mod(w.scalar, w.x, below_order, w.bn) &&
                BN_add_word(w.scalar, 1) && work_private(&w, out);
    BN_free(below_order);
    work_end(&w);
    return good;
}

bool crypto_ec_generate(struct crypto *c, struct ec_private *out)
{
    u8 wide[P384_WIDE_BYTES];
    crypto_random(c, wide, sizeof wide);
    bool good = crypto_ec_from_wide(wide, sizeof wide, out);
    crypto_wipe(wide, sizeof wide);
    return good;
}

bool crypto_ec_on_curve(const struct ec_public *p)
{
    struct work w;
    bool good = work_start(&w, NID_secp384r1) && work_set_point(&w, p);
    work_end(&w);
    return good;
}

bool crypto_ecdh(const struct ec_private *mine, const struct ec_public *theirs, u8 z[48])
{
    struct work w;
    bool good = work_start(&w, NID_secp384r1) && BN_lebin2bn(mine->d, P384_BYTES, w.scalar) &&
                work_scalar_in_range(&w) && work_set_point(&w, theirs) &&
                EC_POINT_mul(w.group, w.point, NULL, w.point, w.scalar, w.bn) == 1 &&
                EC_POINT_get_affine_coordinates(w.group, w.point, w.x, w.y, w.bn) == 1 &&
                BN_bn2binpad(w.x, z, P384_BYTES) == P384_BYTES;
    work_end(&w);
    return good;
}

bool crypto_secp256k1_public(const u8 d[32], u8 x[32], u8 y[32])
{
    struct work w;
    bool good = work_start(&w, NID_secp256k1) && BN_bin2bn(d, 32, w.scalar) &&
                work_scalar_in_range(&w) && work_multiply_base(&w) &&
                BN_bn2binpad(w.x, x, 32) == 32 && BN_bn2binpad(w.y, y, 32) == 32;
    work_end(&w);
    return good;
}

static void reverse(u8 *out, const u8 *in, size_t size)
{
    for (size_t i = 0; i < size; i++)
        out[i] = in[size - 1 - i];
}

EVP_PKEY *ec_make_key(OSSL_LIB_CTX *library, const struct ec_public *p, const u8 *d)
{
    u8 point[P384_POINT_BYTES] = {POINT_CONVERSION_UNCOMPRESSED};
    reverse(point + 1, p->x, P384_BYTES);
    reverse(point + 1 + P384_BYTES, p->y, P384_BYTES);
    EVP_PKEY *key = NULL;
    BIGNUM *scalar = d ? BN_secure_new() : NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    EVP_PKEY_CTX *make = EVP_PKEY_CTX_new_from_name(library, "EC", NULL);
    if (!build || !make || (d && (!scalar || !BN_lebin2bn(d, P384_BYTES, scalar))) ||
        !OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "P-384", 0) ||
        !OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) ||
        (d && !OSSL_PARAM_BLD_push_BN_pad(build, OSSL_PKEY_PARAM_PRIV_KEY, scalar, P384_BYTES)))
        goto out;
    params = OSSL_PARAM_BLD_to_param(build);
    if (!params || EVP_PKEY_fromdata_init(make) != 1 ||
        EVP_PKEY_fromdata(make, &key, d ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
out:
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(make);
    BN_clear_free(scalar);
    return key;
}

static bool signature_from_der(const u8 *der, size_t size, struct ec_signature *out)
{
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)size);
    bool good = signature &&
                BN_bn2lebinpad(ECDSA_SIG_get0_r(signature), out->r, P384_BYTES) == P384_BYTES &&
                BN_bn2lebinpad(ECDSA_SIG_get0_s(signature), out->s, P384_BYTES) == P384_BYTES;
    ECDSA_SIG_free(signature);
    return good;
}

/* Returns the size; 0 on failure. */
static size_t signature_to_der(const struct ec_signature *signature, u8 der[ECDSA_DER_MAX])
{
    ECDSA_SIG *s = ECDSA_SIG_new();
    BIGNUM *r_number = BN_lebin2bn(signature->r, P384_BYTES, NULL);
    BIGNUM *s_number = BN_lebin2bn(signature->s, P384_BYTES, NULL);
    if (!s || !r_number || !s_number || ECDSA_SIG_set0(s, r_number, s_number) != 1) {
        BN_free(r_number);
        BN_free(s_number);
        ECDSA_SIG_free(s);
        return 0;
    }
    int size = i2d_ECDSA_SIG(s, NULL);
    if (size > 0 && size <= ECDSA_DER_MAX)
        size = i2d_ECDSA_SIG(s, &der);
    ECDSA_SIG_free(s);
    return size > 0 && size <= ECDSA_DER_MAX ? (size_t)size : 0;
}

bool crypto_ecdsa_sign(struct crypto *c, const struct ec_private *key, enum crypto_hash hash,
                       const void *message, size_t size, struct ec_signature *out)
{
    library_start();
    u8 der[ECDSA_DER_MAX];
    size_t der_size = sizeof der;
    EVP_PKEY *pkey = ec_make_key(c->library, &key->public, key->d);
    EVP_MD_CTX *sign = EVP_MD_CTX_new();
    bool good =
        pkey && sign &&
        EVP_DigestSignInit_ex(sign, NULL, hash_name(hash), c->library, NULL, pkey, NULL) == 1 &&
        EVP_DigestSign(sign, der, &der_size, message, size) == 1 &&
        signature_from_der(der, der_size, out);
    EVP_MD_CTX_free(sign);
    EVP_PKEY_free(pkey);
    return good;
}

bool crypto_ecdsa_verify(const struct ec_public *key, enum crypto_hash hash, const void *message,
                         size_t size, const struct ec_signature *signature)
{
    u8 der[ECDSA_DER_MAX];
    if (!crypto_ec_on_curve(key))
        return false;
    size_t der_size = signature_to_der(signature, der);
    EVP_PKEY *pkey = ec_make_key(NULL, key, NULL);
    EVP_MD_CTX *verify = EVP_MD_CTX_new();
    bool good =
        der_size && pkey && verify &&
        EVP_DigestVerifyInit_ex(verify, NULL, hash_name(hash), NULL, NULL, pkey, NULL) == 1 &&
        EVP_DigestVerify(verify, der, der_size, message, size) == 1;
    EVP_MD_CTX_free(verify);
    EVP_PKEY_free(pkey);
    return good;
}
