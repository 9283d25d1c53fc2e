/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `softsev doctor` share. */
#ifndef SOFTSEV_CLI_DOCTOR_H
#define SOFTSEV_CLI_DOCTOR_H

#include "base/base.h"

#define DOCTOR_TEXT 300u

/* What somebody wants to do. */
enum doctor_feature {
    DOCTOR_RUN,
    DOCTOR_SPEED,
    DOCTOR_WITH,
    DOCTOR_NET,
    DOCTOR_STATE,
    DOCTOR_GUEST,
    DOCTOR_KDS,
    DOCTOR_ASK_KDS,
    DOCTOR_GDB,
    DOCTOR_FEATURES,
};

/* One thing that a feature needs. */
struct doctor_check {
    enum doctor_feature feature;
    const char *needs;
    /* True: it is there. `found` says what was found, or what is wrong. */
    bool (*check)(char found[DOCTOR_TEXT]);
    const char *remedy; /* what to do where it is not */
};

extern const struct doctor_check doctor_checks[];
extern const size_t doctor_check_count;

#endif
