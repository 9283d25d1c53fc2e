/* SPDX-License-Identifier: Apache-2.0 */
/* Which revocation lists count, and what they revoke; see revocation.h. */
#include "owner/revocation.h"

#define REFUSE(e, ...) (error_set(e, ERROR_MEASUREMENT, __VA_ARGS__), false)

/* The same list given twice is looked at once. */
static bool was_before(const struct crypto_crls *lists, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (crypto_crl_equal(lists->list[i], lists->list[at]))
            return true;
    return false;
}

/* Returns true if there is a newer list by the same issuer. */
static bool is_replaced(const struct crypto_crls *lists, size_t at,
                        const struct crypto_certificate *issuer)
{
    for (size_t i = 0; i < lists->count; i++)
        if (crypto_crl_names(lists->list[i], issuer) &&
            crypto_crl_newer(lists->list[i], lists->list[at]))
            return true;
    return false;
}

bool revocation_check(const struct crypto_crls *lists, const struct crypto_certificate *issuer,
                      const s64 *time, bool *found, struct error *e)
{
    char by[64];
    crypto_certificate_subject(issuer, by, sizeof by);
    for (size_t i = 0; i < lists->count; i++) {
        const struct crypto_crl *list = lists->list[i];
        if (!crypto_crl_names(list, issuer) || was_before(lists, i))
            continue;
        const char *unusable = crypto_crl_unusable(list);
        if (!crypto_crl_signed_by(list, issuer))
            return REFUSE(e, "the revocation list of %s: its signature does not verify", by);
        if (unusable)
            return REFUSE(e, "the revocation list of %s: %s", by, unusable);
        if (time && !is_replaced(lists, i, issuer) && !crypto_crl_valid_at(list, *time))
            return REFUSE(e, "the revocation list of %s is not valid at this time: fetch a new one",
                          by);
        *found = true;
    }
    return true;
}

bool revocation_names(const struct crypto_crls *lists, const struct crypto_certificate *issuer,
                      const struct crypto_certificate *subject)
{
    for (size_t i = 0; i < lists->count; i++)
        if (crypto_crl_names(lists->list[i], issuer) &&
            crypto_crl_revokes(lists->list[i], subject) && !is_replaced(lists, i, issuer))
            return true;
    return false;
}
