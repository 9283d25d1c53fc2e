/* SPDX-License-Identifier: Apache-2.0 */
/* Ids of the options of `softsev kds`. */
#ifndef SOFTSEV_CLI_KDS_TABLE_H
#define SOFTSEV_CLI_KDS_TABLE_H

#include "cli/options.h"

#define LISTEN_AT "127.0.0.1:8080"

enum kds_option {
    KDS_LISTEN = 1,
    KDS_STATE,
    KDS_SEED,
    KDS_CSP,
    KDS_URL,
    KDS_INJECT,
    KDS_TLS_CERT,
    KDS_TLS_KEY,
    KDS_JSON,
    KDS_QUIET,
};

#endif
