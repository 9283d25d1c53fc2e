/* SPDX-License-Identifier: Apache-2.0 */
/* Firmware profiles, TCBs and cloud providers by their names on a command line; the rule by which a
 * firmware refused. */
#ifndef SOFTSEV_CLI_IDENTITY_PROFILE_H
#define SOFTSEV_CLI_IDENTITY_PROFILE_H

#include "base/error.h"

struct machine;

/* Adds to the error the rule by which the machine's firmware refused, which hardware never tells
 * (profile.c). Returns -1. */
int cli_add_rule(struct machine *m, struct error *e);

/* The cloud provider of VLEKs, unless --csp names another. */
#define CLI_CSP "softsev"

/* --- Firmware profiles (profile.c) ------------------------------------------------------------ */

struct firmware_profile;

/* Finds a profile. Returns -1 and ERROR_USAGE, with the names that exist. */
int cli_profile_find(const char *name, const struct firmware_profile **out, struct error *e);
/* Writes a TCB as text: "4.0.24.219" for boot loader, TEE, SNP and microcode; for a Turin, FMC
 * comes before them. */
#define CLI_TCB_TEXT 32
void cli_tcb_text(const struct firmware_profile *profile, u64 tcb, char out[CLI_TCB_TEXT]);
/* Parses a TCB in that form, or as a number with 0x. `what` names the option in the error. */
int cli_tcb_parse(const struct firmware_profile *profile, const char *text, const char *what,
                  u64 *out, struct error *e);

/* Returns the name of the n-th profile, for OPTION_CHOICE; NULL after the last. */
const char *cli_profile_at(size_t i);

/* Parses the name of a cloud provider as VLEKs have it, for OPTION_PARSED. */
bool cli_csp(const char *text, u64 *unused);
#define CLI_CSP_SHOULD "a cloud provider's id of 1 to 100 characters"

#endif
