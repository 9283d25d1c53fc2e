/* SPDX-License-Identifier: Apache-2.0 */
/* Transport keys, wrapped for the other side of a Diffie-Hellman agreement [sev 7.3, 7.4]. */
#include "protocol/internal.h"

struct wrapping_keys {
    u8 kek[16], kik[16];
};

static void derive(const void *z, size_t z_size, const u8 nonce[16], struct wrapping_keys *out)
{
    u8 ms[16];
    crypto_sev_kdf(z, z_size, "sev-master-secret", nonce, 16, ms, sizeof ms);
    crypto_sev_kdf(ms, sizeof ms, "sev-kek", NULL, 0, out->kek, sizeof out->kek);
    crypto_sev_kdf(ms, sizeof ms, "sev-kik", NULL, 0, out->kik, sizeof out->kik);
    crypto_wipe(ms, sizeof ms);
}

static void policy_mac(const u8 tik[16], u32 policy, u8 mac[32])
{
    u8 bytes[4];
    store_le32(bytes, policy);
    crypto_hmac_sha256(tik, 16, bytes, sizeof bytes, mac);
}

void session_wrap(const void *z, size_t z_size, const u8 nonce[16], const u8 iv[16],
                  const struct session_keys *keys, u32 policy, struct sev_session *out)
{
    struct wrapping_keys w;
    derive(z, z_size, nonce, &w);
    memcpy(out->nonce, nonce, 16);
    memcpy(out->wrap_iv, iv, 16);
    crypto_aes128_ctr(w.kek, iv, keys, out->wrap_tk, sizeof out->wrap_tk);
    crypto_hmac_sha256(w.kik, sizeof w.kik, out->wrap_tk, sizeof out->wrap_tk, out->wrap_mac);
    policy_mac(keys->tik, policy, out->policy_mac);
    crypto_wipe(&w, sizeof w);
}

enum session_check session_unwrap(const void *z, size_t z_size, const struct sev_session *session,
                                  u32 policy, struct session_keys *out)
{
    struct wrapping_keys w;
    struct session_keys keys;
    u8 mac[32];
    enum session_check check = SESSION_OK;
    derive(z, z_size, session->nonce, &w);
    crypto_hmac_sha256(w.kik, sizeof w.kik, session->wrap_tk, sizeof session->wrap_tk, mac);
    if (!crypto_equal(mac, session->wrap_mac, sizeof mac)) {
        check = SESSION_WRAP_MAC;
    } else {
        crypto_aes128_ctr(w.kek, session->wrap_iv, session->wrap_tk, &keys, sizeof keys);
        policy_mac(keys.tik, policy, mac);
        if (!crypto_equal(mac, session->policy_mac, sizeof mac))
            check = SESSION_POLICY_MAC;
        else
            *out = keys;
        crypto_wipe(&keys, sizeof keys);
    }
    crypto_wipe(&w, sizeof w);
    return check;
}

static bool agree(const struct ec_private *mine, const struct sev_cert *theirs, u8 z[48])
{
    struct ec_public key;
    return sev_cert_public(theirs, &key) && crypto_ecdh(mine, &key, z);
}

bool session_make(struct crypto *c, const struct ec_private *mine, const struct sev_cert *theirs,
                  u32 policy, struct session_keys *keys, struct sev_session *out)
{
    u8 z[48], nonce[16], iv[16];
    if (!agree(mine, theirs, z))
        return false;
    crypto_random(c, nonce, sizeof nonce);
    crypto_random(c, iv, sizeof iv);
    crypto_random(c, keys, sizeof *keys);
    session_wrap(z, sizeof z, nonce, iv, keys, policy, out);
    crypto_wipe(z, sizeof z);
    return true;
}

enum session_check session_open(const struct ec_private *mine, const struct sev_cert *theirs,
                                const struct sev_session *session, u32 policy,
                                struct session_keys *out)
{
    u8 z[48];
    if (!agree(mine, theirs, z))
        return SESSION_DH;
    enum session_check check = session_unwrap(z, sizeof z, session, policy, out);
    crypto_wipe(z, sizeof z);
    return check;
}
