/* SPDX-License-Identifier: Apache-2.0 */
/* The attestation report [sev 7.8] and the chip's identity [sev 7.10]. */
#include "protocol/internal.h"

#define REPORT_SIGNED_SIZE offsetof(struct sev_attestation_report, signature_usage)

bool report_sign(struct crypto *c, const struct ec_private *pek, const u8 mnonce[16],
                 const u8 digest[32], u32 policy, struct sev_attestation_report *out)
{
    struct ec_signature signature;
    memset(out, 0, sizeof *out);
    memcpy(out->mnonce, mnonce, sizeof out->mnonce);
    memcpy(out->launch_digest, digest, sizeof out->launch_digest);
    out->policy = policy;
    if (!crypto_ecdsa_sign(c, pek, CRYPTO_SHA256, out, REPORT_SIGNED_SIZE, &signature))
        return false;
    out->signature_usage = SEV_USAGE_PEK;
    out->signature_algorithm = SEV_ALGORITHM_ECDSA_SHA256;
    signature_put(&out->signature, &signature);
    return true;
}

enum cert_check report_verify(const struct sev_attestation_report *report,
                              const struct sev_cert *pek)
{
    struct ec_public key;
    struct ec_signature signature;
    if (report->signature_usage != SEV_USAGE_PEK ||
        report->signature_algorithm != SEV_ALGORITHM_ECDSA_SHA256)
        return CERT_UNSIGNED;
    if (!sev_cert_public(pek, &key))
        return CERT_POINT;
    bool good = signature_get(&report->signature, &signature) &&
                crypto_ecdsa_verify(&key, CRYPTO_SHA256, report, REPORT_SIGNED_SIZE, &signature);
    return good ? CERT_OK : CERT_SIGNATURE;
}

bool identity_cek(const u8 fuses[32], struct ec_private *cek)
{
    u8 key[32], wide[56];
    crypto_sha256(fuses, 32, key);
    crypto_sev_kdf(key, sizeof key, "sev-chip-endorsement-key", NULL, 0, wide, sizeof wide);
    bool good = crypto_ec_from_wide(wide, sizeof wide, cek);
    crypto_wipe(key, sizeof key);
    crypto_wipe(wide, sizeof wide);
    return good;
}

bool identity_chip_id(const u8 fuses[32], u8 id[64])
{
    if (!crypto_secp256k1_public(fuses, id, id + 32))
        return false;
    memcpy(id, IDENTITY_CHIP_ID_MARK, IDENTITY_CHIP_ID_MARK_SIZE);
    return true;
}
