/* SPDX-License-Identifier: Apache-2.0 */
/* What a specification leaves open of the numbers that a guest is launched with. */
#ifndef SOFTSEV_CLI_POLICY_H
#define SOFTSEV_CLI_POLICY_H

#include "base/error.h"
#include "image/image.h"

/* Checks a guest policy against its specification and the guest's mode; IMAGE_NONE: SEV or SEV-ES,
 * it is not known which. `what` names the policy in the error. -1: ERROR_USAGE. */
int policy_check(const char *what, u64 policy, enum image_mode mode, struct error *e);
/* Whether an SNP guest, or a SEV-ES guest, may have these SEV_FEATURES. */
bool policy_snp_features(u64 features);
bool policy_es_features(u64 features);
#define POLICY_SNP_FEATURES                                                                        \
    "a 64-bit number with bit 0, which an SNP guest has, and without bits 20:17 and 63:22, which " \
    "are reserved"
#define POLICY_ES_FEATURES "of bits 5, 6 and 10 alone: the others are SNP's"

#endif
