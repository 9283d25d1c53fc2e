/* SPDX-License-Identifier: Apache-2.0 */
/* A platform's chain and a root from outside, parsed and verified: 8336 bytes of PDH, PEK, OCA,
 * CEK, then ASK and ARK. */
#include "protocol/protocol.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void check_verdict(struct cert_verdict v)
{
    struct error e = {.code = ERROR_NONE};
    if (!cert_verdict_error(&v, ERROR_MEASUREMENT, &e) != (v.check == CERT_OK))
        abort();
    if (v.check != CERT_OK && (!v.subject || !e.text[0]))
        abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct sev_platform_chain chain = {.pdh = {.version = 0}};
    struct amd_chain root;
    size_t front = size < sizeof chain ? size : sizeof chain;
    memcpy(&chain, data, front);
    struct cert_verdict parsed = amd_chain_parse(data + front, size - front, &root);
    check_verdict(parsed);
    check_verdict(chain_verify_owner(&chain));
    check_verdict(chain_verify_domain(&chain, &chain.pdh));
    if (parsed.check == CERT_OK) {
        if (root.ask.size + root.ark.size != size - front)
            abort();
        check_verdict(chain_verify_chip(&chain, &root));
        check_verdict(chain_verify(&chain, &root));
    }
    return 0;
}
