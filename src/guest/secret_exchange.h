/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exchange by which an SNP guest gets its owner's secret, because SNP has no LAUNCH_SECRET. An
 * agent inside the guest talks to the owner outside, over any stream of bytes. The host carries the
 * stream and may read and change all of it. The protocol is softsev's own, not AMD's.
 *
 * The frames are, in this order:
 *
 * 1. READY, from the agent: it is ready.
 *
 * 2. HELLO, from the owner: a nonce.
 *
 * 3. EVIDENCE, from the agent: its fresh key, a report whose REPORT_DATA binds nonce and key, and
 * certificates.
 *
 * 4. SECRET, from the owner: its fresh key, and the secret sealed to both keys and to everything
 * that was said before. Or REFUSED: the name of the check that failed.
 *
 * 5. DONE, from the agent: it has the secret.
 *
 * A frame is 16 bytes and a payload: "SSX1", u32 type, u32 payload bytes, u32 zero; all
 * little-endian.
 */
#ifndef SOFTSEV_GUEST_SECRET_EXCHANGE_H
#define SOFTSEV_GUEST_SECRET_EXCHANGE_H

#include "abi/report.h"
#include "crypto/crypto.h"

enum secret_frame {
    SECRET_HELLO = 1,
    SECRET_EVIDENCE = 2,
    SECRET_SECRET = 3,
    SECRET_REFUSED = 4,
    SECRET_DONE = 5,
    SECRET_READY = 6,
};

#define SECRET_FRAME_HEADER     16u
#define SECRET_FRAME_MAX        KIB(32) /* bytes, including the header */
#define SECRET_NONCE_SIZE       32u
#define SECRET_SIZE_MAX         KIB(16)
#define SECRET_CERTIFICATES_MAX 32u

/* Returns the size of the frame that begins with this header, header included; 0: not a header. */
size_t secret_frame_size(const u8 header[SECRET_FRAME_HEADER]);
/* Returns the payload of a complete frame of this type, a view; NULL if it is not such a frame. */
const u8 *secret_frame_payload(const void *frame, size_t size, enum secret_frame type,
                               size_t *payload_size);
/* Writes a frame. Returns its size, or 0 if it does not fit. The payload may already lie at its
 * place in `out`. */
size_t secret_frame_write(enum secret_frame type, const void *payload, size_t payload_size,
                          void *out, size_t size);

/* --- What both ends compute ------------------------------------------------------------------- */

/* Computes REPORT_DATA: SHA-384 of a label, nonce and key, then zeros. */
void secret_report_data(const u8 nonce[SECRET_NONCE_SIZE], const struct ec_public *agent,
                        u8 out[64]);

/* Everything that was said before a secret is sealed. */
struct secret_transcript {
    const u8 *nonce;
    const struct ec_public *agent, *owner;
    const struct snp_report *report;
};

/* A key for AES-256-GCM, used once in one direction. Key and IV are HKDF-SHA-256 of the ECDH
 * secret, salted with the transcript's SHA-384, which is also authenticated. secret_derive()
 * returns false if the other's point is not on the curve. */
struct secret_key {
    u8 key[32], iv[12], transcript[48];
};
bool secret_derive(const struct ec_private *mine, const struct ec_public *theirs,
                   const struct secret_transcript *t, struct secret_key *out);
/* Computes HKDF with SHA-256 [RFC 5869]. `size` is at most 255 * 32 bytes. */
void secret_hkdf_sha256(const void *salt, size_t salt_size, const void *ikm, size_t ikm_size,
                        const void *info, size_t info_size, void *out, size_t size);

/* Parse EVIDENCE and SECRET; the parts point into the frame. Return false if it is not such a
 * frame. */
struct secret_evidence {
    struct ec_public key;
    struct snp_report report;
    u32 certificate_count;
    struct crypto_piece certificates[SECRET_CERTIFICATES_MAX]; /* DER, in any order */
};
bool secret_evidence_read(const void *frame, size_t size, struct secret_evidence *out);

struct secret_sealed {
    struct ec_public key; /* the owner's */
    u8 tag[16];
    const u8 *data;
    size_t size;
};
bool secret_sealed_read(const void *frame, size_t size, struct secret_sealed *out);
/* Returns the frame's size; 0: it does not fit. */
size_t secret_sealed_write(const struct secret_key *key, const struct ec_public *owner,
                           const void *secret, size_t secret_size, void *out, size_t size);

/* --- The agent -------------------------------------------------------------------------------- */

struct secret_agent {
    struct ec_private key;
    u8 nonce[SECRET_NONCE_SIZE];
    struct snp_report report;
};

/* Reads HELLO, makes a key, and computes what the report must carry. Returns false if it is not a
 * HELLO or there is no randomness. */
bool secret_agent_start(struct secret_agent *a, struct crypto *crypto, const void *frame,
                        size_t size, u8 report_data[64]);
/* Writes EVIDENCE. `table` is that of an extended report (guest.h); its size is 0 if there is none.
 * Returns the frame's size, or 0 if it does not fit. */
size_t secret_agent_evidence(struct secret_agent *a, const struct snp_report *report,
                             const void *table, size_t table_size, void *out, size_t size);
/* Opens SECRET and wipes the key. Returns the secret's size, or -1 if the frame is not a SECRET or
 * was not sealed to this exchange. */
s64 secret_agent_open(struct secret_agent *a, const void *frame, size_t size, void *out,
                      size_t out_size);

#endif
