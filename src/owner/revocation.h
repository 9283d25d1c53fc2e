/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Revocation lists of the issuers in a chain. Of several lists by one issuer the one with the
 * highest CRL number counts; lists without a number, or with the same one, all count. A list that
 * counts must be good, and so must one that it replaces, except that its time may be over. Lists of
 * other issuers are not looked at.
 */
#ifndef SOFTSEV_OWNER_REVOCATION_H
#define SOFTSEV_OWNER_REVOCATION_H

#include "base/error.h"
#include "crypto/crypto.h"

/* Checks the lists by one issuer. `*found` is set if there is one. `time` is Unix time; NULL: any.
 * Returns false with an error (ERROR_MEASUREMENT) that says what is wrong. */
bool revocation_check(const struct crypto_crls *lists, const struct crypto_certificate *issuer,
                      const s64 *time, bool *found, struct error *e);

/* Returns true if a list that counts revokes the certificate. The lists must have been checked. */
bool revocation_names(const struct crypto_crls *lists, const struct crypto_certificate *issuer,
                      const struct crypto_certificate *subject);

#endif
