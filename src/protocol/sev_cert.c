/* SPDX-License-Identifier: Apache-2.0 */
/* SEV certificates: making, checking, signing and verifying them [sev 8.1, 8.6]. */
#include "protocol/internal.h"

/* The algorithms that a key of each usage may have. */
static const struct {
    u32 usage, algorithm;
} allowed_algorithms[] = {
    {SEV_USAGE_OCA, SEV_ALGORITHM_ECDSA_SHA256}, {SEV_USAGE_OCA, SEV_ALGORITHM_ECDSA_SHA384},
    {SEV_USAGE_OCA, SEV_ALGORITHM_RSA_SHA256},   {SEV_USAGE_OCA, SEV_ALGORITHM_RSA_SHA384},
    {SEV_USAGE_PEK, SEV_ALGORITHM_ECDSA_SHA256}, {SEV_USAGE_PEK, SEV_ALGORITHM_ECDSA_SHA384},
    {SEV_USAGE_CEK, SEV_ALGORITHM_ECDSA_SHA256}, {SEV_USAGE_CEK, SEV_ALGORITHM_ECDSA_SHA384},
    {SEV_USAGE_PDH, SEV_ALGORITHM_ECDH_SHA256},  {SEV_USAGE_PDH, SEV_ALGORITHM_ECDH_SHA384},
};

static bool is_rsa(u32 algorithm)
{
    return algorithm == SEV_ALGORITHM_RSA_SHA256 || algorithm == SEV_ALGORITHM_RSA_SHA384;
}

static bool is_ecdsa(u32 algorithm)
{
    return algorithm == SEV_ALGORITHM_ECDSA_SHA256 || algorithm == SEV_ALGORITHM_ECDSA_SHA384;
}

static enum crypto_hash hash_of(u32 algorithm)
{
    return algorithm & 0x100 ? CRYPTO_SHA384 : CRYPTO_SHA256;
}

static void rsa_public_of(const struct sev_cert *cert, struct rsa_public *out)
{
    out->bits = cert->rsa.modulus_bits;
    memcpy(out->exponent, cert->rsa.exponent, sizeof out->exponent);
    memcpy(out->modulus, cert->rsa.modulus, sizeof out->modulus);
}

void sev_cert_clear_slot(struct sev_cert *cert, unsigned slot)
{
    memset(&cert->signatures[slot], 0, sizeof cert->signatures[slot]);
    cert->signatures[slot].usage = SEV_USAGE_NONE;
    cert->signatures[slot].algorithm = SEV_ALGORITHM_NONE;
}

void sev_cert_init(struct sev_cert *out, enum sev_usage usage, enum sev_algorithm algorithm,
                   u8 api_major, u8 api_minor, const struct ec_public *key)
{
    memset(out, 0, sizeof *out);
    out->version = SEV_CERT_VERSION;
    out->api_major = api_major;
    out->api_minor = api_minor;
    out->usage = usage;
    out->algorithm = algorithm;
    out->ec.curve = SEV_CURVE_P384;
    field_put(out->ec.qx, key->x);
    field_put(out->ec.qy, key->y);
    sev_cert_clear_slot(out, 0);
    sev_cert_clear_slot(out, 1);
}

bool sev_cert_sign(struct crypto *c, struct sev_cert *cert, unsigned slot, enum sev_usage signer,
                   const struct ec_private *key)
{
    struct ec_signature signature;
    sev_cert_clear_slot(cert, slot);
    if (!crypto_ecdsa_sign(c, key, CRYPTO_SHA256, cert, SEV_CERT_SIGNED_SIZE, &signature))
        return false;
    cert->signatures[slot].usage = signer;
    cert->signatures[slot].algorithm = SEV_ALGORITHM_ECDSA_SHA256;
    signature_put(&cert->signatures[slot].ec, &signature);
    return true;
}

bool sev_cert_sign_rsa(struct crypto *c, struct sev_cert *cert, unsigned slot,
                       enum sev_usage signer, const struct rsa_private *key)
{
    struct rsa_public public;
    u8 signature[CRYPTO_RSA_MAX];
    crypto_rsa_public(key, &public);
    sev_cert_clear_slot(cert, slot);
    if (!crypto_rsa_pss_sign(c, key, rsa_hash(public.bits), cert, SEV_CERT_SIGNED_SIZE, signature))
        return false;
    cert->signatures[slot].usage = signer;
    cert->signatures[slot].algorithm = rsa_algorithm(public.bits);
    memcpy(cert->signatures[slot].rsa, signature, public.bits / 8);
    return true;
}

bool sev_cert_public(const struct sev_cert *cert, struct ec_public *out)
{
    return !is_rsa(cert->algorithm) && cert->ec.curve == SEV_CURVE_P384 &&
           field_get(cert->ec.qx, out->x) && field_get(cert->ec.qy, out->y) &&
           crypto_ec_on_curve(out);
}

enum cert_check sev_cert_check(const struct sev_cert *cert, enum sev_usage usage)
{
    if (cert->version != SEV_CERT_VERSION)
        return CERT_VERSION;
    if (cert->usage != (u32)usage)
        return CERT_USAGE;
    bool allowed = false;
    for (size_t i = 0; i < ARRAY_SIZE(allowed_algorithms); i++)
        allowed = allowed || (allowed_algorithms[i].usage == cert->usage &&
                              allowed_algorithms[i].algorithm == cert->algorithm);
    if (!allowed)
        return CERT_ALGORITHM;
    if (is_rsa(cert->algorithm))
        return cert->rsa.modulus_bits == 2048 || cert->rsa.modulus_bits == 4096 ? CERT_OK
                                                                                : CERT_KEY_SIZE;
    if (cert->ec.curve != SEV_CURVE_P384)
        return CERT_CURVE;
    struct ec_public key;
    return sev_cert_public(cert, &key) ? CERT_OK : CERT_POINT;
}

static bool slot_verifies(const struct sev_cert *child, const struct sev_cert_signature *slot,
                          const struct sev_cert *parent)
{
    enum crypto_hash hash = hash_of(parent->algorithm);
    if (is_rsa(parent->algorithm)) {
        struct rsa_public key;
        rsa_public_of(parent, &key);
        return crypto_rsa_pss_verify(&key, hash, child, SEV_CERT_SIGNED_SIZE, slot->rsa);
    }
    struct ec_public key;
    struct ec_signature signature;
    return sev_cert_public(parent, &key) && signature_get(&slot->ec, &signature) &&
           crypto_ecdsa_verify(&key, hash, child, SEV_CERT_SIGNED_SIZE, &signature);
}

enum cert_check sev_cert_verify(const struct sev_cert *child, const struct sev_cert *parent)
{
    if (!is_rsa(parent->algorithm) && !is_ecdsa(parent->algorithm))
        return CERT_ALGORITHM;
    enum cert_check result = CERT_UNSIGNED;
    for (unsigned i = 0; i < ARRAY_SIZE(child->signatures) && result != CERT_OK; i++) {
        const struct sev_cert_signature *slot = &child->signatures[i];
        if (slot->usage == parent->usage && slot->algorithm == parent->algorithm)
            result = slot_verifies(child, slot, parent) ? CERT_OK : CERT_SIGNATURE;
    }
    return result;
}

enum cert_check sev_cert_verify_amd(const struct sev_cert *cek, const struct amd_cert *ask)
{
    struct rsa_public key;
    amd_cert_public(ask, &key);
    enum cert_check result = CERT_UNSIGNED;
    for (unsigned i = 0; i < ARRAY_SIZE(cek->signatures) && result != CERT_OK; i++) {
        const struct sev_cert_signature *slot = &cek->signatures[i];
        if (slot->usage == ask->header.usage && slot->algorithm == rsa_algorithm(key.bits))
            result = crypto_rsa_pss_verify(&key, rsa_hash(key.bits), cek, SEV_CERT_SIGNED_SIZE,
                                           slot->rsa)
                         ? CERT_OK
                         : CERT_SIGNATURE;
    }
    return result;
}

bool sev_cert_same_key(const struct sev_cert *a, const struct sev_cert *b)
{
    return a->usage == b->usage && a->algorithm == b->algorithm &&
           !memcmp(&a->rsa, &b->rsa, sizeof a->rsa);
}

bool sev_cert_is_self_signed(const struct sev_cert *cert)
{
    return sev_cert_verify(cert, cert) == CERT_OK;
}
