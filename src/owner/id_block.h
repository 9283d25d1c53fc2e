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

/* Signs a block and makes its page. ERROR_USAGE: no firmware accepts the policy [snp 5.1]. `author`
 * NULL: there is no author key, and the launch must not set AUTH_KEY_EN. Sets the block's version
 * to 1. */
int id_block_sign(struct crypto *c, struct snp_id_block *block, const struct ec_private *id_key,
                  const struct ec_private *author, struct snp_id_auth *auth, struct error *e);

/* Computes the digest by which reports name a key: SHA-384 of its 404h bytes. */
void id_block_key_digest(const struct snp_public_key *key, u8 digest[48]);
/* Returns true if the page has an author key. */
bool id_block_has_author(const struct snp_id_auth *auth);

/* Checks hostile bytes as firmware does in SNP_LAUNCH_FINISH, except the guest's measurement and
 * policy. ERROR_FILE: wrong size, version or algorithm, or bytes that should be zero;
 * ERROR_MEASUREMENT: a wrong signature. */
int id_block_check(const void *block, size_t block_size, const void *auth, size_t auth_size,
                   struct error *e);

/* Checks that a report is of a guest launched with this block. ERROR_MEASUREMENT: the error names
 * the field that differs. */
int id_block_compare(const struct snp_report *report, const struct snp_id_block *block,
                     const struct snp_id_auth *auth, struct error *e);

#endif
