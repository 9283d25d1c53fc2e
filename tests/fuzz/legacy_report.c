/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A legacy attestation report with its platform's chain and a root: 208 bytes, 8336 of PDH, PEK,
 * OCA, CEK, then ASK and ARK; without those, a report of any size against an empty chain.
 * Verification ends in a named check with a sentence of one line, or in none.
 */
#include "owner/legacy_report.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void check(const u8 *report, size_t size, const struct sev_platform_chain *chain,
                  const struct amd_chain *root)
{
    static const u8 zeros[32];
    static const u32 policy = 1;
    static const struct legacy_policy policies[] = {
        {.allow_debug = true}, {.policy = &policy}, {.mnonce = zeros}, {.launch_digest = zeros}};
    for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
        struct error e = {.code = ERROR_NONE};
        enum legacy_check result =
            owner_verify_legacy_report(report, size, chain, root, &policies[i], &e);
        if ((result == LEGACY_OK) != (e.code == ERROR_NONE) || strchr(e.text, '\n') ||
            !strcmp(legacy_check_name(result), "?"))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    const size_t front = sizeof(struct sev_attestation_report) + sizeof(struct sev_platform_chain);
    struct sev_platform_chain chain = {.pdh = {.version = 0}};
    struct amd_chain root = {.ask = {.size = 0}};
    if (size <= front) {
        check(data, size, &chain, &root);
        return 0;
    }
    memcpy(&chain, data + sizeof(struct sev_attestation_report), sizeof chain);
    if (amd_chain_parse(data + front, size - front, &root).check == CERT_OK)
        check(data, sizeof(struct sev_attestation_report), &chain, &root);
    return 0;
}
