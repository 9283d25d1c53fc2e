/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers that the files of this room share: numbers in 72-byte fields. */
#ifndef SOFTSEV_PROTOCOL_INTERNAL_H
#define SOFTSEV_PROTOCOL_INTERNAL_H

#include "protocol/protocol.h"

#define P384_BYTES 48u

/* Reads a 72-byte field, which holds 48 bytes and then zeros. Returns false if its number is
 * longer. */
static inline bool field_get(const u8 field[72], u8 out[48])
{
    static const u8 zeros[72 - P384_BYTES];
    memcpy(out, field, P384_BYTES);
    return !memcmp(field + P384_BYTES, zeros, sizeof zeros);
}

static inline void field_put(u8 field[72], const u8 in[48])
{
    memset(field, 0, 72);
    memcpy(field, in, P384_BYTES);
}

static inline bool signature_get(const struct sev_ec_signature *in, struct ec_signature *out)
{
    return field_get(in->r, out->r) && field_get(in->s, out->s);
}

static inline void signature_put(struct sev_ec_signature *out, const struct ec_signature *in)
{
    field_put(out->r, in->r);
    field_put(out->s, in->s);
}

/* Returns the hash that belongs to a key size [sev 8.5]. */
static inline enum crypto_hash rsa_hash(u32 bits)
{
    return bits == 2048 ? CRYPTO_SHA256 : CRYPTO_SHA384;
}

static inline u32 rsa_algorithm(u32 bits)
{
    return bits == 2048 ? SEV_ALGORITHM_RSA_SHA256 : SEV_ALGORITHM_RSA_SHA384;
}

#endif
