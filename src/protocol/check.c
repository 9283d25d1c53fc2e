/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of certificate check failures. */
#include "protocol/protocol.h"

static const char *const check_texts[CERT_CHECKS] = {
    [CERT_OK] = "is good",
    [CERT_LENGTH] = "is cut short or has bytes left over",
    [CERT_VERSION] = "version is not 1",
    [CERT_USAGE] = "key usage is another certificate's",
    [CERT_ALGORITHM] = "algorithm does not fit the key's usage",
    [CERT_CURVE] = "curve is not P-384",
    [CERT_POINT] = "public key is not a point of the curve",
    [CERT_KEY_SIZE] = "RSA key has neither 2048 nor 4096 bits",
    [CERT_EXPONENT] = "RSA exponent is not 65537",
    [CERT_ISSUER] = "names another certifying key",
    [CERT_OWNER] = "is not the key of this domain's owner",
    [CERT_UNSIGNED] = "carries no signature by that key",
    [CERT_SIGNATURE] = "signature does not verify",
};

const char *cert_check_text(enum cert_check check)
{
    return (unsigned)check < CERT_CHECKS ? check_texts[check] : "?";
}

int cert_verdict_error(const struct cert_verdict *verdict, enum error_code code, struct error *e)
{
    if (verdict->check == CERT_OK)
        return 0;
    const char *text = cert_check_text(verdict->check);
    if (!verdict->issuer)
        return error_set(e, code, "%s certificate: %s", verdict->subject, text);
    return error_set(e, code, "%s certificate, signed by %s: %s", verdict->subject, verdict->issuer,
                     text);
}
