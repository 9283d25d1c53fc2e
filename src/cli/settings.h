/* SPDX-License-Identifier: Apache-2.0 */
/* Values that options of several subcommands have, by the same names everywhere. */
#ifndef SOFTSEV_CLI_SETTINGS_H
#define SOFTSEV_CLI_SETTINGS_H

#include "cli/options.h"

/* Modes of a guest by enum image_mode: none, sev, sev-es, sev-snp, and aliases. */
extern const struct option_choice settings_modes[];
/* The same modes without none, and with `all`, whose value is SETTINGS_ALL_MODES. */
extern const struct option_choice settings_encrypted_modes[], settings_all_modes[];
#define SETTINGS_ALL_MODES 4u

/* Parses categories of events, for OPTION_PARSED; SETTINGS_TRACE says what is right. */
bool settings_trace(const char *text, u64 *mask);
#define SETTINGS_TRACE                                                                             \
    "all, or some of command, switch, key, view, page, vm, owner, device, separated by commas"

#define SETTINGS_TRACE_WORDS "all command switch key view page vm owner device"

/* Parses a processor that QEMU launches, for OPTION_PARSED: the name of its model, or CPUID leaf
 * 1 EAX as a number. */
bool settings_vcpu_type(const char *text, u64 *signature);
#define SETTINGS_VCPU_TYPE                                                                         \
    "QEMU's EPYC, EPYC-Rome, EPYC-Milan, EPYC-Genoa, EPYC-Turin or a version of one, or CPUID 1 "  \
    "EAX as a number"
#define SETTINGS_VCPU_WORDS "EPYC EPYC-Rome EPYC-Milan EPYC-Genoa EPYC-Turin"

/* Parses the processor of softsev run, for OPTION_PARSED. Only its signature is measured. */
bool settings_cpu(const char *text, u64 *signature);
#define SETTINGS_CPU                                                                               \
    "naples, rome, milan, genoa, turin, max, or a name that QEMU has, then -FEATURE or +FEATURE "  \
    "with commas between, as softsev run --cpu takes it"
#define SETTINGS_CPU_WORDS "naples rome milan genoa turin max EPYC-Milan EPYC-Genoa"

/* Parses SEV_FEATURES for OPTION_PARSED: names and numbers, separated by commas. */
bool settings_guest_features(const char *text, u64 *features);
/* Returns the features of an SNP or a SEV-ES guest. Names say what is wanted besides SNP; a number
 * alone is taken as it is. */
u64 settings_features_of(const char *text, u64 features, bool snp);
#define SETTINGS_FEATURES                                                                          \
    "names such as secure-tsc, debug-swap, vtom, vmgexit-parameter, vmsa-reg-prot, "               \
    "smt-protection, ibpb-on-entry, or numbers, separated by commas"
#define SETTINGS_FEATURE_WORDS                                                                     \
    "secure-tsc debug-swap vtom vmgexit-parameter vmsa-reg-prot smt-protection ibpb-on-entry "     \
    "prevent-host-ibs btb-isolation"

/* Parses an API version for OPTION_PARSED: major << 8 | minor. */
bool settings_api(const char *text, u64 *version);
#define SETTINGS_API "two numbers and a point between them, such as 1.55"

/* Takes a GUID as the bytes that EFI stores: the first three groups are little-endian. `name` is
 * the option's. -1: ERROR_USAGE. */
int settings_guid(const char *name, const char *text, u8 out[16], struct error *e);
/* The entry of a disk's passphrase, where OVMF's GRUB looks [sev 12.2]. */
#define SETTINGS_GUID_PASSPHRASE "736869e5-84f0-4973-92ec-06879ce3da0b"

/* Returns the name of the n-th hypervisor, for OPTION_CHOICE; NULL after the last. */
const char *settings_vmm_at(size_t i);

#endif
