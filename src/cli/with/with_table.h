/* SPDX-License-Identifier: Apache-2.0 */
/* Ids of the options of `softsev with`. */
#ifndef SOFTSEV_CLI_WITH_TABLE_H
#define SOFTSEV_CLI_WITH_TABLE_H

#include "cli/options.h"

enum with_option {
    WITH_STATE = 1,
    WITH_SEED,
    WITH_PROFILE,
    WITH_GUEST,
    WITH_CSP,
    WITH_TRACE,
    WITH_TRACE_FILE,
    WITH_JSON,
};

#endif
