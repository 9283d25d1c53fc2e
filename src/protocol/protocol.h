/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What both ends of the wire must agree on, and nothing else: certificates and their chain,
 * session, measurement, packets, attestation report, and how the chip's own key derives from its
 * fuses [sev 7, 8]. Firmware, owner and authority share this room and see nothing else of one
 * another.
 *
 * Everything parsed here is hostile. Verification never says just "no": an enum cert_check names
 * the check that failed.
 */
#ifndef SOFTSEV_PROTOCOL_PROTOCOL_H
#define SOFTSEV_PROTOCOL_PROTOCOL_H

#include "abi/sev_cert.h"
#include "abi/snp.h"
#include "base/error.h"
#include "crypto/crypto.h"

/* --- What can be wrong with a certificate ----------------------------------------------------- */

enum cert_check {
    CERT_OK,
    /* The form; firmware answers INVALID_CERTIFICATE. */
    CERT_LENGTH,
    CERT_VERSION,
    CERT_USAGE,
    CERT_ALGORITHM,
    CERT_CURVE,
    CERT_POINT,    /* not on the curve */
    CERT_KEY_SIZE, /* RSA: other than 2048 or 4096 bits, or the key does not fill it */
    CERT_EXPONENT,
    CERT_ISSUER, /* AMD certificate: the certifying key's id is another */
    CERT_OWNER,  /* the domain's OCA is another key */
    /* The signatures; firmware answers BAD_SIGNATURE. */
    CERT_UNSIGNED, /* no slot says that it is signed by this parent */
    CERT_SIGNATURE,
    CERT_CHECKS,
};

/* "signature does not verify", ... */
const char *cert_check_text(enum cert_check check);

static inline bool cert_check_is_signature(enum cert_check check)
{
    return check == CERT_UNSIGNED || check == CERT_SIGNATURE;
}

/* Which certificate failed which check against whom; check == CERT_OK: all is well. */
struct cert_verdict {
    enum cert_check check;
    const char *subject; /* "PEK", ... */
    const char *issuer;  /* "OCA", ...; NULL if the subject alone is wrong */
};

/* Puts "PEK: signature by OCA does not verify" into `e` with the code given;
 * 0 if the verdict is good, else -1. */
int cert_verdict_error(const struct cert_verdict *verdict, enum error_code code, struct error *e);

/* --- SEV certificates [sev 8.1] --------------------------------------------------------------- */

/* A certificate of a P-384 key with two empty slots. */
void sev_cert_init(struct sev_cert *out, enum sev_usage usage, enum sev_algorithm algorithm,
                   u8 api_major, u8 api_minor, const struct ec_public *key);
/* Signs into slot 0 or 1 with ECDSA SHA-256; `signer` is the usage of the signing key. */
bool sev_cert_sign(struct crypto *c, struct sev_cert *cert, unsigned slot, enum sev_usage signer,
                   const struct ec_private *key);
/* The ASK's signature: RSA-PSS with SHA-256 (2048 bits) or SHA-384 (4096). */
bool sev_cert_sign_rsa(struct crypto *c, struct sev_cert *cert, unsigned slot,
                       enum sev_usage signer, const struct rsa_private *key);
/* Empties a slot: usage 1000h, algorithm 0, zeros. */
void sev_cert_clear_slot(struct sev_cert *cert, unsigned slot);

/* Version, usage, algorithm, and a key that is one. A PDH may say ECDH with either hash;
 * GODH is a PDH by usage. */
enum cert_check sev_cert_check(const struct sev_cert *cert, enum sev_usage usage);
/* The P-384 key; false if it has none. */
bool sev_cert_public(const struct sev_cert *cert, struct ec_public *out);
/* One of the child's slots names the parent's usage and algorithm and
 * verifies under its key [sev 8.6]. */
enum cert_check sev_cert_verify(const struct sev_cert *child, const struct sev_cert *parent);
/* Same usage, algorithm and key; api and signatures do not count. */
bool sev_cert_same_key(const struct sev_cert *a, const struct sev_cert *b);
bool sev_cert_is_self_signed(const struct sev_cert *cert);

/* --- AMD certificates: ARK, ASK [sev 8.5] ----------------------------------------------------- */

/* Parsed: the bytes as they came, and the header out of them.
 * `bytes` is what is signed and stored. */
struct amd_cert {
    struct amd_cert_header header;
    u32 size; /* of bytes: 832, 1600, or 576 for an ARK without signature */
    u8 bytes[AMD_CERT_SIZE_MAX];
};

/* Parses one certificate from the front of `data`; `out->size` says where the next one begins. The
 * unsigned 576-byte form is taken only if it ends the data. */
enum cert_check amd_cert_parse(const void *data, size_t size, struct amd_cert *out);
void amd_cert_public(const struct amd_cert *cert, struct rsa_public *out);
/* A certificate of a key, without signature yet (zeros). */
void amd_cert_init(struct amd_cert *out, enum sev_usage usage, const u8 key_id[16],
                   const u8 certifying_id[16], const struct rsa_public *key);
bool amd_cert_sign(struct crypto *c, struct amd_cert *cert, const struct rsa_private *key);
/* An ARK verifies under itself; the unsigned form too, because its trust comes from who gave it. */
enum cert_check amd_cert_verify(const struct amd_cert *child, const struct amd_cert *parent);
/* The CEK's signature by the ASK. */
enum cert_check sev_cert_verify_amd(const struct sev_cert *cek, const struct amd_cert *ask);

/* ASK then ARK, AMD's order of files. The verdict names the one that does not parse. */
struct amd_chain {
    struct amd_cert ask, ark;
};
struct cert_verdict amd_chain_parse(const void *data, size_t size, struct amd_chain *out);

/* --- Chains ----------------------------------------------------------------------------------- */

/* PDH <- PEK <- OCA, and the OCA by itself: what a domain's owner can check. */
struct cert_verdict chain_verify_owner(const struct sev_platform_chain *chain);
/* PDH <- PEK <- CEK <- ASK <- ARK <- itself. Says that the chip is genuine, if the root is. */
struct cert_verdict chain_verify_chip(const struct sev_platform_chain *chain,
                                      const struct amd_chain *root);
/* ASK <- ARK <- itself. */
struct cert_verdict chain_verify_root(const struct amd_chain *root);
/* Both, root first: the order in which trust flows. */
struct cert_verdict chain_verify(const struct sev_platform_chain *chain,
                                 const struct amd_chain *root);
/* Target of a SEND under POLICY.DOMAIN: PDH <- PEK <- OCA with the OCA key
 * equal to `domain` [sev 5.4]. */
struct cert_verdict chain_verify_domain(const struct sev_platform_chain *chain,
                                        const struct sev_cert *domain);

/* --- Session [sev 7.3, 7.4] ------------------------------------------------------------------- */

struct session_keys {
    u8 tek[16], tik[16]; /* transport encryption and integrity */
};

/* `z` is the ECDH secret, big-endian. */
void session_wrap(const void *z, size_t z_size, const u8 nonce[16], const u8 iv[16],
                  const struct session_keys *keys, u32 policy, struct sev_session *out);

enum session_check { SESSION_OK, SESSION_DH, SESSION_WRAP_MAC, SESSION_POLICY_MAC };

/* SESSION_WRAP_MAC: made for another key pair, or changed. SESSION_POLICY_MAC:
 * made for another policy. */
enum session_check session_unwrap(const void *z, size_t z_size, const struct sev_session *session,
                                  u32 policy, struct session_keys *out);

/* Fresh keys, nonce and IV, wrapped for `theirs` (a PDH certificate). False:
 * `theirs` has no point on the curve. */
bool session_make(struct crypto *c, const struct ec_private *mine, const struct sev_cert *theirs,
                  u32 policy, struct session_keys *keys, struct sev_session *out);
/* The other side. SESSION_DH: `theirs` has no point on the curve. */
enum session_check session_open(const struct ec_private *mine, const struct sev_cert *theirs,
                                const struct sev_session *session, u32 policy,
                                struct session_keys *out);

/* --- Measurement [sev 7.5] -------------------------------------------------------------------- */

struct measurement {
    u8 api_major, api_minor, build; /* PLATFORM_STATUS when it was measured */
    u32 policy;
    u8 digest[32]; /* LD: SHA-256 of everything launched, in order */
    u8 mnonce[16];
};

void measurement_compute(const struct measurement *m, const u8 tik[16], u8 measure[32]);

/* --- Packets [sev 7.6, 7.7] ------------------------------------------------------------------- */

/* The first byte under the MAC. */
enum packet_kind { PACKET_SECRET = 1, PACKET_DATA = 2, PACKET_VMSA = 3 };

/* What the MAC binds beside header and data: the lengths of the command buffer,
 * and a secret's measurement. */
struct packet_binding {
    enum packet_kind kind;
    u32 guest_length;
    u32 trans_length;
    const u8 *measure; /* 32 bytes for PACKET_SECRET, otherwise NULL */
};

/* Encrypts `size` bytes (in place allowed) and fills the header; flags 0, `iv` must be fresh. */
void packet_seal(const struct session_keys *keys, const struct packet_binding *binding,
                 const u8 iv[16], const void *plain, void *data, size_t size,
                 struct sev_packet_header *header);
/* Checks the MAC, then decrypts (in place allowed). False: nothing was written. */
bool packet_open(const struct session_keys *keys, const struct packet_binding *binding,
                 const struct sev_packet_header *header, const void *data, void *plain,
                 size_t size);

/* --- Attestation report [sev 7.8] ------------------------------------------------------------- */

bool report_sign(struct crypto *c, const struct ec_private *pek, const u8 mnonce[16],
                 const u8 digest[32], u32 policy, struct sev_attestation_report *out);
enum cert_check report_verify(const struct sev_attestation_report *report,
                              const struct sev_cert *pek);

/* --- The chip's identity [sev 7.10] ----------------------------------------------------------- */

bool identity_cek(const u8 fuses[32], struct ec_private *cek);
/* The point of [sev 7.10] with its first bytes overwritten by a mark, so that nobody takes the id
 * for a real chip's. Parts with ids of 8 bytes have its first 8. */
#define IDENTITY_CHIP_ID_MARK      "SSEV"
#define IDENTITY_CHIP_ID_MARK_SIZE 4u
bool identity_chip_id(const u8 fuses[32], u8 id[64]);

/* SNP's endorsement keys. Hardware's derivations are secret; these are ours, the same for the chip
 * and for whoever certifies it. The key is bound to every byte of the TCB_VERSION. */
bool identity_vcek(const u8 fuses[32], u64 tcb, struct ec_private *vcek);
/* A VLEK belongs to a cloud provider and not to a chip:
 * it derives from a hashstick and a TCB [snp 3.3]. */
bool identity_vlek(const u8 stick[SNP_VLEK_STICK_SIZE], u64 tcb, struct ec_private *vlek);
/* A hashstick on its way to one chip. Unwrap: false if it is not for this chip or was changed. */
void vlek_wrap(const u8 fuses[32], u64 tcb, const u8 iv[12], const u8 stick[SNP_VLEK_STICK_SIZE],
               struct snp_wrapped_vlek *out);
bool vlek_unwrap(const u8 fuses[32], const struct snp_wrapped_vlek *in,
                 u8 stick[SNP_VLEK_STICK_SIZE]);

/* --- SNP's keys and signatures as they lie in reports and ID blocks [snp 5.6, 7] -------------- */

void snp_signature_put(struct snp_signature *out, const struct ec_signature *signature);
/* False: R or S is longer than 48 bytes. */
bool snp_signature_get(const struct snp_signature *in, struct ec_signature *signature);
void snp_public_key_put(struct snp_public_key *out, const struct ec_public *key);
/* False: not P-384, a coordinate that is too long, or not on the curve. */
bool snp_public_key_get(const struct snp_public_key *in, struct ec_public *key);
bool snp_sign(struct crypto *c, const struct ec_private *key, const void *message, size_t size,
              struct snp_signature *out);
bool snp_verify(const struct ec_public *key, const void *message, size_t size,
                const struct snp_signature *signature);
/* The signature of a report by a VCEK or VLEK. */
bool snp_report_verify(const struct snp_report *report, const struct ec_public *key);

#endif
