/* SPDX-License-Identifier: Apache-2.0 */
/* Ids of the actions and options of `softsev platform`. */
#ifndef SOFTSEV_CLI_PLATFORM_TABLE_H
#define SOFTSEV_CLI_PLATFORM_TABLE_H

#include "cli/options.h"

enum platform_action {
    PLATFORM_INIT,
    PLATFORM_STATUS,
    PLATFORM_EXPORT,
    PLATFORM_CERTS,
    PLATFORM_ID,
    PLATFORM_PDH_GEN,
    PLATFORM_PEK_GEN,
    PLATFORM_PEK_CSR,
    PLATFORM_CERT_IMPORT,
    PLATFORM_MEASURE,
    PLATFORM_RESET,
};

enum platform_option {
    PLATFORM_STATE = 1,
    PLATFORM_SEED,
    PLATFORM_PROFILE,
    PLATFORM_OUT,
    PLATFORM_PEK,
    PLATFORM_OCA,
    PLATFORM_TCB,
    PLATFORM_VLEK,
    PLATFORM_KDS_URL,
    PLATFORM_LAUNCH,
    PLATFORM_SESSION,
    PLATFORM_POLICY,
    PLATFORM_JSON,
};

#endif
