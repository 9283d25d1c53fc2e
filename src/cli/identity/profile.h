/* SPDX-License-Identifier: Apache-2.0 */
/* Firmware profiles, TCBs and cloud providers by their names on a command line; the rule by which a
 * firmware refused. */
#ifndef SOFTSEV_CLI_IDENTITY_PROFILE_H
#define SOFTSEV_CLI_IDENTITY_PROFILE_H

#include "base/error.h"

struct machine;

/* profile.c: -1, with the rule by which the machine's firmware refused added to the error: hardware
 * never tells, we do. */
int cli_add_rule(struct machine *m, struct error *e);

/* The cloud provider of VLEKs, unless --csp names another. */
#define CLI_CSP "softsev"

/* --- Firmware profiles (profile.c) ------------------------------------------------------------ */

struct firmware_profile;

/* -1 and ERROR_USAGE with the names that there are. */
int cli_profile_find(const char *name, const struct firmware_profile **out, struct error *e);
/* "4.0.24.219": boot loader, TEE, SNP, microcode; before them FMC for a Turin. Its size is at least
 * 32 bytes. */
#define CLI_TCB_TEXT 32
void cli_tcb_text(const struct firmware_profile *profile, u64 tcb, char out[CLI_TCB_TEXT]);
/* The other way round; also 0x and the number itself. `what` names the option in the error. */
int cli_tcb_parse(const struct firmware_profile *profile, const char *text, const char *what,
                  u64 *out, struct error *e);

/* Returns the name of the n-th profile, for OPTION_CHOICE; NULL after the last. */
const char *cli_profile_at(size_t i);

/* Parses the name of a cloud provider as VLEKs have it, for OPTION_PARSED. */
bool cli_csp(const char *text, u64 *unused);
#define CLI_CSP_SHOULD "a cloud provider's id of 1 to 100 characters"

#endif
