/* SPDX-License-Identifier: Apache-2.0 */
/* SNP's endorsement keys, and the encoding of keys and signatures in its structures; see
 * protocol.h. */
#include "protocol/protocol.h"

/* --- Endorsement keys ------------------------------------------------------------------------- */

static bool derive_key(const u8 secret[32], const char *label, u64 tcb, struct ec_private *out)
{
    u8 context[8], wide[56];
    store_le64(context, tcb);
    crypto_sev_kdf(secret, 32, label, context, sizeof context, wide, sizeof wide);
    bool good = crypto_ec_from_wide(wide, sizeof wide, out);
    crypto_wipe(wide, sizeof wide);
    return good;
}

bool identity_vcek(const u8 fuses[32], u64 tcb, struct ec_private *vcek)
{
    u8 secret[32];
    crypto_sha256(fuses, 32, secret);
    bool good = derive_key(secret, "softsev-vcek", tcb, vcek);
    crypto_wipe(secret, sizeof secret);
    return good;
}

bool identity_vlek(const u8 stick[SNP_VLEK_STICK_SIZE], u64 tcb, struct ec_private *vlek)
{
    u8 secret[32];
    crypto_sha256(stick, SNP_VLEK_STICK_SIZE, secret);
    bool good = derive_key(secret, "softsev-vlek", tcb, vlek);
    crypto_wipe(secret, sizeof secret);
    return good;
}

static void wrapping_key(const u8 fuses[32], u8 key[32])
{
    u8 secret[32];
    crypto_sha256(fuses, 32, secret);
    crypto_sev_kdf(secret, sizeof secret, "softsev-vlek-wrapping", NULL, 0, key, 32);
    crypto_wipe(secret, sizeof secret);
}

/* The TCB and the reserved bytes next to it are authenticated but not encrypted. */
#define VLEK_AAD_SIZE 16u

static void wrapping_aad(const struct snp_wrapped_vlek *w, u8 aad[VLEK_AAD_SIZE])
{
    store_le64(aad, w->tcb);
    memcpy(aad + 8, w->reserved_198, 8);
}

void vlek_wrap(const u8 fuses[32], u64 tcb, const u8 iv[12], const u8 stick[SNP_VLEK_STICK_SIZE],
               struct snp_wrapped_vlek *out)
{
    u8 key[32], aad[VLEK_AAD_SIZE];
    *out = (struct snp_wrapped_vlek){.tcb = tcb};
    memcpy(out->iv, iv, sizeof out->iv);
    wrapping_key(fuses, key);
    wrapping_aad(out, aad);
    crypto_aes256_gcm_seal(key, out->iv, aad, sizeof aad, stick, out->ciphertext,
                           SNP_VLEK_STICK_SIZE, out->tag);
    crypto_wipe(key, sizeof key);
}

bool vlek_unwrap(const u8 fuses[32], const struct snp_wrapped_vlek *in,
                 u8 stick[SNP_VLEK_STICK_SIZE])
{
    u8 key[32], aad[VLEK_AAD_SIZE];
    wrapping_key(fuses, key);
    wrapping_aad(in, aad);
    bool good = crypto_aes256_gcm_open(key, in->iv, aad, sizeof aad, in->ciphertext, stick,
                                       SNP_VLEK_STICK_SIZE, in->tag);
    crypto_wipe(key, sizeof key);
    return good;
}

/* --- Their encodings -------------------------------------------------------------------------- */

static void put_number(u8 out[72], const u8 number[48])
{
    memset(out, 0, 72);
    memcpy(out, number, 48);
}

static bool get_number(u8 number[48], const u8 in[72])
{
    memcpy(number, in, 48);
    return all_zero(in + 48, 24);
}

void snp_signature_put(struct snp_signature *out, const struct ec_signature *signature)
{
    *out = (struct snp_signature){.reserved_90 = {0}};
    put_number(out->r, signature->r);
    put_number(out->s, signature->s);
}

bool snp_signature_get(const struct snp_signature *in, struct ec_signature *signature)
{
    return get_number(signature->r, in->r) && get_number(signature->s, in->s);
}

void snp_public_key_put(struct snp_public_key *out, const struct ec_public *key)
{
    *out = (struct snp_public_key){.curve = SNP_CURVE_P384};
    put_number(out->qx, key->x);
    put_number(out->qy, key->y);
}

bool snp_public_key_get(const struct snp_public_key *in, struct ec_public *key)
{
    return in->curve == SNP_CURVE_P384 && get_number(key->x, in->qx) &&
           get_number(key->y, in->qy) && crypto_ec_on_curve(key);
}

bool snp_sign(struct crypto *c, const struct ec_private *key, const void *message, size_t size,
              struct snp_signature *out)
{
    struct ec_signature signature;
    if (!crypto_ecdsa_sign(c, key, CRYPTO_SHA384, message, size, &signature))
        return false;
    snp_signature_put(out, &signature);
    return true;
}

bool snp_verify(const struct ec_public *key, const void *message, size_t size,
                const struct snp_signature *signature)
{
    struct ec_signature s;
    return snp_signature_get(signature, &s) &&
           crypto_ecdsa_verify(key, CRYPTO_SHA384, message, size, &s);
}

bool snp_report_verify(const struct snp_report *report, const struct ec_public *key)
{
    return snp_verify(key, report, SNP_REPORT_SIGNED_SIZE, &report->signature);
}
