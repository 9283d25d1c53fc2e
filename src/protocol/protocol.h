/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What both ends of the wire must agree on, and nothing else: certificates and their chain,
 * session, measurement, packets, attestation report, and the derivation of the chip's own key from
 * its fuses [sev 7, 8]. Firmware, owner and authority share this room and see nothing else of one
 * another.
 *
 * All parsed data is untrusted. A failed verification never says just "no": an enum cert_check
 * names the check that failed.
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
    /* Errors of form; firmware answers INVALID_CERTIFICATE. */
    CERT_LENGTH,
    CERT_VERSION,
    CERT_USAGE,
    CERT_ALGORITHM,
    CERT_CURVE,
    CERT_POINT,    /* the point is not on the curve */
    CERT_KEY_SIZE, /* RSA: neither 2048 nor 4096 bits, or the key is shorter than it says */
    CERT_EXPONENT,
    CERT_ISSUER, /* AMD certificate: it names another certifying key */
    CERT_OWNER,  /* the domain's OCA has another key */
    /* Errors of signatures; firmware answers BAD_SIGNATURE. */
    CERT_UNSIGNED, /* no slot claims a signature by this parent */
    CERT_SIGNATURE,
    CERT_CHECKS,
};

/* "signature does not verify", ... */
const char *cert_check_text(enum cert_check check);

static inline bool cert_check_is_signature(enum cert_check check)
{
    return check == CERT_UNSIGNED || check == CERT_SIGNATURE;
}

/* Which certificate failed which check against which issuer; check == CERT_OK if all is well. */
struct cert_verdict {
    enum cert_check check;
    const char *subject; /* "PEK", ... */
    const char *issuer;  /* "OCA", ...; NULL if the subject alone is wrong */
};

/* Writes "PEK: signature by OCA does not verify" into `e` with the given code and returns -1;
 * returns 0 if the verdict is CERT_OK. */
int cert_verdict_error(const struct cert_verdict *verdict, enum error_code code, struct error *e);

/* --- SEV certificates [sev 8.1] --------------------------------------------------------------- */

/* Makes a certificate of a P-384 key with two empty slots. */
void sev_cert_init(struct sev_cert *out, enum sev_usage usage, enum sev_algorithm algorithm,
                   u8 api_major, u8 api_minor, const struct ec_public *key);
/* Signs into slot 0 or 1 with ECDSA SHA-256; `signer` is the usage of the signing key. */
bool sev_cert_sign(struct crypto *c, struct sev_cert *cert, unsigned slot, enum sev_usage signer,
                   const struct ec_private *key);
/* Signs as the ASK: RSA-PSS with SHA-256 (2048 bits) or SHA-384 (4096 bits). */
bool sev_cert_sign_rsa(struct crypto *c, struct sev_cert *cert, unsigned slot,
                       enum sev_usage signer, const struct rsa_private *key);
/* Empties a slot: usage 1000h, algorithm 0, zeros. */
void sev_cert_clear_slot(struct sev_cert *cert, unsigned slot);

/* Checks version, usage, algorithm and the key. A PDH may use ECDH with either hash; a GODH has the
 * usage of a PDH. */
enum cert_check sev_cert_check(const struct sev_cert *cert, enum sev_usage usage);
/* Returns the P-384 key; false if the certificate has none. */
bool sev_cert_public(const struct sev_cert *cert, struct ec_public *out);
/* Checks that one of the child's slots names the parent's usage and algorithm and verifies under
 * its key [sev 8.6]. */
enum cert_check sev_cert_verify(const struct sev_cert *child, const struct sev_cert *parent);
/* Compares usage, algorithm and key; ignores API version and signatures. */
bool sev_cert_same_key(const struct sev_cert *a, const struct sev_cert *b);
bool sev_cert_is_self_signed(const struct sev_cert *cert);

/* --- AMD certificates: ARK, ASK [sev 8.5] ----------------------------------------------------- */

/* A parsed certificate: its bytes as they came, and a copy of its header. `bytes` is what is signed
 * and stored. */
struct amd_cert {
    struct amd_cert_header header;
    u32 size; /* size of `bytes`: 832, 1600, or 576 for an ARK without signature */
    u8 bytes[AMD_CERT_SIZE_MAX];
};

/* Parses one certificate at the start of `data`; the next one begins at `out->size`. Accepts the
 * unsigned 576-byte form only at the end of the data. */
enum cert_check amd_cert_parse(const void *data, size_t size, struct amd_cert *out);
void amd_cert_public(const struct amd_cert *cert, struct rsa_public *out);
/* Makes a certificate of a key, with zeros for its signature. */
void amd_cert_init(struct amd_cert *out, enum sev_usage usage, const u8 key_id[16],
                   const u8 certifying_id[16], const struct rsa_public *key);
bool amd_cert_sign(struct crypto *c, struct amd_cert *cert, const struct rsa_private *key);
/* Verifies the child under its parent. An ARK verifies under itself. So does the unsigned form: it
 * is trusted because of where it came from. */
enum cert_check amd_cert_verify(const struct amd_cert *child, const struct amd_cert *parent);
/* Verifies the ASK's signature on the CEK. */
enum cert_check sev_cert_verify_amd(const struct sev_cert *cek, const struct amd_cert *ask);

/* An ASK, then an ARK: AMD's order in files. The verdict names the certificate that does not
 * parse. */
struct amd_chain {
    struct amd_cert ask, ark;
};
struct cert_verdict amd_chain_parse(const void *data, size_t size, struct amd_chain *out);

/* --- Chains ----------------------------------------------------------------------------------- */

/* Verifies what the owner of a domain can check: PDH <- PEK <- OCA, and the OCA by itself. */
struct cert_verdict chain_verify_owner(const struct sev_platform_chain *chain);
/* Verifies PDH <- PEK <- CEK <- ASK <- ARK <- itself. The chip is genuine if this root is. */
struct cert_verdict chain_verify_chip(const struct sev_platform_chain *chain,
                                      const struct amd_chain *root);
/* Verifies ASK <- ARK <- itself. */
struct cert_verdict chain_verify_root(const struct amd_chain *root);
/* Verifies both chains, the root's first. */
struct cert_verdict chain_verify(const struct sev_platform_chain *chain,
                                 const struct amd_chain *root);
/* Verifies the target of a SEND under POLICY.DOMAIN: PDH <- PEK <- OCA, where the OCA key equals
 * `domain` [sev 5.4]. */
struct cert_verdict chain_verify_domain(const struct sev_platform_chain *chain,
                                        const struct sev_cert *domain);

/* --- Session [sev 7.3, 7.4] ------------------------------------------------------------------- */

struct session_keys {
    u8 tek[16], tik[16]; /* transport encryption and integrity */
};

/* Wraps session keys; `z` is the ECDH secret, big-endian. */
void session_wrap(const void *z, size_t z_size, const u8 nonce[16], const u8 iv[16],
                  const struct session_keys *keys, u32 policy, struct sev_session *out);

enum session_check { SESSION_OK, SESSION_DH, SESSION_WRAP_MAC, SESSION_POLICY_MAC };

/* Unwraps session keys. SESSION_WRAP_MAC: the session was made for another key pair, or was
 * changed. SESSION_POLICY_MAC: it was made for another policy. */
enum session_check session_unwrap(const void *z, size_t z_size, const struct sev_session *session,
                                  u32 policy, struct session_keys *out);

/* Makes fresh keys, nonce and IV, wrapped for `theirs` (a PDH certificate). Returns false if
 * `theirs` has no point on the curve. */
bool session_make(struct crypto *c, const struct ec_private *mine, const struct sev_cert *theirs,
                  u32 policy, struct session_keys *keys, struct sev_session *out);
/* Opens a session on the receiving side. SESSION_DH: `theirs` has no point on the curve. */
enum session_check session_open(const struct ec_private *mine, const struct sev_cert *theirs,
                                const struct sev_session *session, u32 policy,
                                struct session_keys *out);

/* --- Measurement [sev 7.5] -------------------------------------------------------------------- */

struct measurement {
    u8 api_major, api_minor, build; /* from PLATFORM_STATUS, at the time of the measurement */
    u32 policy;
    u8 digest[32]; /* LD: SHA-256 of everything launched, in order */
    u8 mnonce[16];
};

void measurement_compute(const struct measurement *m, const u8 tik[16], u8 measure[32]);

/* --- Packets [sev 7.6, 7.7] ------------------------------------------------------------------- */

/* The first byte that the MAC covers. */
enum packet_kind { PACKET_SECRET = 1, PACKET_DATA = 2, PACKET_VMSA = 3 };

/* What the MAC covers besides header and data: the lengths in the command buffer, and a secret's
 * measurement. */
struct packet_binding {
    enum packet_kind kind;
    u32 guest_length;
    u32 trans_length;
    const u8 *measure; /* 32 bytes for PACKET_SECRET, otherwise NULL */
};

/* Encrypts `size` bytes (in place allowed) and fills the header with flags 0; `iv` must be
 * fresh. */
void packet_seal(const struct session_keys *keys, const struct packet_binding *binding,
                 const u8 iv[16], const void *plain, void *data, size_t size,
                 struct sev_packet_header *header);
/* Checks the MAC, then decrypts (in place allowed). Returns false, without writing anything, if the
 * MAC is wrong. */
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
/* A mark that overwrites the first bytes of the point of [sev 7.10], so that nobody takes the id
 * for a real chip's. Parts with 8-byte ids use the first 8 bytes. */
#define IDENTITY_CHIP_ID_MARK      "SSEV"
#define IDENTITY_CHIP_ID_MARK_SIZE 4u
bool identity_chip_id(const u8 fuses[32], u8 id[64]);

/* Derives SNP's endorsement keys. Hardware's derivations are secret; these are softsev's own, the
 * same for the chip and its certifier. Every byte of the TCB_VERSION changes the key. */
bool identity_vcek(const u8 fuses[32], u64 tcb, struct ec_private *vcek);
/* Derives a VLEK, which belongs to a cloud provider and not to a chip, from a hashstick and a TCB
 * [snp 3.3]. */
bool identity_vlek(const u8 stick[SNP_VLEK_STICK_SIZE], u64 tcb, struct ec_private *vlek);
/* Wrap or unwrap a hashstick for one chip. vlek_unwrap returns false if the hashstick is for
 * another chip or was changed. */
void vlek_wrap(const u8 fuses[32], u64 tcb, const u8 iv[12], const u8 stick[SNP_VLEK_STICK_SIZE],
               struct snp_wrapped_vlek *out);
bool vlek_unwrap(const u8 fuses[32], const struct snp_wrapped_vlek *in,
                 u8 stick[SNP_VLEK_STICK_SIZE]);

/* --- SNP's keys and signatures as they lie in reports and ID blocks [snp 5.6, 7] -------------- */

void snp_signature_put(struct snp_signature *out, const struct ec_signature *signature);
/* Returns false if R or S is longer than 48 bytes. */
bool snp_signature_get(const struct snp_signature *in, struct ec_signature *signature);
void snp_public_key_put(struct snp_public_key *out, const struct ec_public *key);
/* Returns false if the key is not on P-384, a coordinate is too long, or the point is not on the
 * curve. */
bool snp_public_key_get(const struct snp_public_key *in, struct ec_public *key);
bool snp_sign(struct crypto *c, const struct ec_private *key, const void *message, size_t size,
              struct snp_signature *out);
bool snp_verify(const struct ec_public *key, const void *message, size_t size,
                const struct snp_signature *signature);
/* Verifies the signature of a report by a VCEK or VLEK. */
bool snp_report_verify(const struct snp_report *report, const struct ec_public *key);

#endif
