/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest owner's side: verify a platform and its launch, then give it a secret. The steps must
 * be taken in this order:
 *
 * - owner_start verifies the platform's chain up to a root that the owner was told to trust, and
 *   makes a key of the owner's (GODH) and a session for that platform;
 * - owner_check_launch computes the measurement of what should have been launched, and compares;
 * - owner_seal, which works only after that, encrypts a secret for the guest.
 *
 * An owner is a plain struct; saved to bytes, it lets the steps run as separate programs. It is
 * secret. Every refusal is ERROR_MEASUREMENT and names the check.
 */
#ifndef SOFTSEV_OWNER_OWNER_H
#define SOFTSEV_OWNER_OWNER_H

#include "protocol/protocol.h"

struct owner {
    u32 policy;
    struct session_keys keys;
    u8 platform[32];      /* SHA-256 of the PDH certificate that the session is for */
    struct sev_cert godh; /* its private key is forgotten, because only the session needed it */
    struct sev_session session; /* goes to LAUNCH_START together with godh */
    bool checked;               /* a launch has passed owner_check_launch ... */
    struct sev_measure launch;  /* ... with this measurement; secrets are sealed for it alone */
};

/* The launch that the owner expects: what was launched, and by which platform. */
struct owner_launch {
    u8 api_major, api_minor,
        build;     /* what the platform says of itself; the measurement proves it */
    u8 digest[32]; /* SHA-256 of every launched byte in order: image_digest() */
};

/* Verifies the chain: the signatures by ARK, ASK, CEK, PEK and OCA, down to the PDH. */
int owner_verify_platform(const struct sev_platform_chain *chain, const struct amd_chain *root,
                          struct error *e);

/* Verifies the platform, then makes a key and a session. */
int owner_start(struct crypto *c, const struct sev_platform_chain *chain,
                const struct amd_chain *root, u32 policy, struct owner *out, struct error *e);

/* Computes the SHA-256 of pieces in order, for callers that have bytes instead of a digest. */
int owner_digest(const struct crypto_piece *pieces, size_t count, u8 digest[32], struct error *e);

/* Computes the measurement that an honest platform gives with this nonce. */
void owner_expect(const struct owner *o, const struct owner_launch *launch, const u8 mnonce[16],
                  u8 measure[32]);

/* Compares the measurement, and remembers a launch that passed. After a refusal, forgets an earlier
 * one. */
int owner_check_launch(struct owner *o, const struct owner_launch *launch,
                       const struct sev_measure *got, struct error *e);

/* One LAUNCH_SECRET carries at most this much [sev 5.4]. */
#define OWNER_SECRET_MAX KIB(16)

/* Returns a secret's size on the wire: padded with zeros to a multiple of 16. */
static inline size_t owner_sealed_size(size_t size)
{
    return ALIGN_UP(size, (size_t)16);
}

/* Encrypts `size` bytes for the launch that passed. `data` has room for owner_sealed_size(size)
 * bytes. It goes to LAUNCH_SECRET unchanged; guest and transport length are its size. */
int owner_seal(struct crypto *c, const struct owner *o, const void *secret, size_t size,
               struct sev_packet_header *header, u8 *data, struct error *e);

#define OWNER_SAVE_SIZE 2373u /* bytes, always */

void owner_save(const struct owner *o, u8 out[OWNER_SAVE_SIZE]);
/* Reads hostile bytes. ERROR_FILE: they are not a saved owner. */
int owner_load(const void *data, size_t size, struct owner *out, struct error *e);
void owner_wipe(struct owner *o);

#endif
