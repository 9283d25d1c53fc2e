/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform's keys and certificates [sev 7.2, 8.2]: the CEK derives from the fuses; the others
 * are made here and kept in the store.
 */
#include "firmware/internal.h"

bool chip_derive(struct firmware *fw, const u8 fuses[32])
{
    u8 secret[32];
    crypto_sha256(fuses, 32, secret);
    crypto_sev_kdf(secret, sizeof secret, "softsev-store-encryption", NULL, 0, fw->store_key,
                   sizeof fw->store_key);
    crypto_sev_kdf(secret, sizeof secret, "softsev-store-integrity", NULL, 0, fw->store_mac_key,
                   sizeof fw->store_mac_key);
    crypto_wipe(secret, sizeof secret);
    if (!identity_cek(fuses, &fw->cek_key) || !identity_chip_id(fuses, fw->chip_id))
        return false;
    sev_cert_init(&fw->cek, SEV_USAGE_CEK, SEV_ALGORITHM_ECDSA_SHA256, fw->profile->api_major,
                  fw->profile->api_minor, &fw->cek_key.public);
    return true;
}

static bool make_key(struct firmware *fw, enum sev_usage usage, struct ec_private *key,
                     struct sev_cert *cert)
{
    if (!crypto_ec_generate(fw->crypto, key))
        return false;
    sev_cert_init(cert, usage,
                  usage == SEV_USAGE_PDH ? SEV_ALGORITHM_ECDH_SHA256 : SEV_ALGORITHM_ECDSA_SHA256,
                  fw->profile->api_major, fw->profile->api_minor, &key->public);
    return true;
}

bool identity_make_pdh(struct firmware *fw, struct identity *id)
{
    return make_key(fw, SEV_USAGE_PDH, &id->pdh_key, &id->pdh) &&
           sev_cert_sign(fw->crypto, &id->pdh, 0, SEV_USAGE_PEK, &id->pek_key);
}

bool identity_make(struct firmware *fw, struct identity *id)
{
    *id = (struct identity){.present = true};
    return make_key(fw, SEV_USAGE_OCA, &id->oca_key, &id->oca) &&
           sev_cert_sign(fw->crypto, &id->oca, 0, SEV_USAGE_OCA, &id->oca_key) &&
           make_key(fw, SEV_USAGE_PEK, &id->pek_key, &id->pek) &&
           sev_cert_sign(fw->crypto, &id->pek, 0, SEV_USAGE_OCA, &id->oca_key) &&
           sev_cert_sign(fw->crypto, &id->pek, 1, SEV_USAGE_CEK, &fw->cek_key) &&
           identity_make_pdh(fw, id);
}

bool identity_take_owner(struct firmware *fw, struct identity *id, const struct sev_cert *oca,
                         const struct sev_cert_signature *oca_signature)
{
    id->oca = *oca;
    crypto_wipe(&id->oca_key, sizeof id->oca_key);
    id->owned = true;
    id->pek.signatures[0] = *oca_signature;
    return sev_cert_sign(fw->crypto, &id->pek, 1, SEV_USAGE_CEK, &fw->cek_key) &&
           identity_make_pdh(fw, id);
}
