/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ID block, with which an owner signs what may be launched, and the page that authenticates it
 * [snp 5.6]: firmware refuses a launch with another measurement or policy, and reports name the
 * keys. The signatures cover whole structures, zeros included.
 */
#ifndef SOFTSEV_OWNER_ID_BLOCK_H
#define SOFTSEV_OWNER_ID_BLOCK_H

#include "abi/report.h"
#include "abi/snp.h"
#include "base/error.h"
#include "crypto/crypto.h"

/* ERROR_USAGE: a policy that no firmware takes [snp 5.1]. `author` NULL: no author key (the launch
 * goes without AUTH_KEY_EN). The block's version is made 1. */
int id_block_sign(struct crypto *c, struct snp_id_block *block, const struct ec_private *id_key,
                  const struct ec_private *author, struct snp_id_auth *auth, struct error *e);

/* SHA-384 of a key's 404h bytes, as reports name it. */
void id_block_key_digest(const struct snp_public_key *key, u8 digest[48]);
/* The page has an author key. */
bool id_block_has_author(const struct snp_id_auth *auth);

/* Hostile bytes: what firmware checks of them at SNP_LAUNCH_FINISH, but for measurement and policy
 * of the guest. ERROR_FILE: wrong size, version or algorithm, or bytes that should be zero;
 * ERROR_MEASUREMENT: a signature. */
int id_block_check(const void *block, size_t block_size, const void *auth, size_t auth_size,
                   struct error *e);

/* Is this the report of a guest launched with this block? ERROR_MEASUREMENT: names the field that
 * differs. */
int id_block_compare(const struct snp_report *report, const struct snp_id_block *block,
                     const struct snp_id_auth *auth, struct error *e);

#endif
