/* SPDX-License-Identifier: Apache-2.0 */
/* Guest policies, checked against their specification and the mode. */
#ifndef SOFTSEV_CLI_POLICY_H
#define SOFTSEV_CLI_POLICY_H

#include "base/error.h"
#include "image/image.h"

/* Checks a guest policy against its specification and the guest's mode; IMAGE_NONE: SEV or SEV-ES,
 * it is not known which. `what` names the policy in the error. -1: ERROR_USAGE. */
int policy_check(const char *what, u64 policy, enum image_mode mode, struct error *e);

#endif
