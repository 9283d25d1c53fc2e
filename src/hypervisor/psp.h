/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The firmware's mailbox for a program that passes on other programs' commands (a driver's device
 * file): one command at a time, and the host memory that command buffers point to [sev 1, snp 2].
 */
#ifndef SOFTSEV_HYPERVISOR_PSP_H
#define SOFTSEV_HYPERVISOR_PSP_H

#include "base/base.h"
#include "base/error.h"

struct hypervisor;
struct snp_platform_status; /* abi/snp.h */

/* Runs one command on a copy of `buffer` in host memory. Copies the result back, whatever the
 * status. Returns the status code. */
u32 psp_command(struct hypervisor *hv, u32 command, void *buffer, size_t size);
/* Returns 0 for success; otherwise -1, with the status in words in `error`. */
int psp_check(u32 status, u32 command, struct error *error);

/* Returns the status of the last command that the firmware refused, and the command itself in
 * `command`. Returns 0 if it has refused none. */
u32 psp_refusal(const struct hypervisor *hv, u32 *command);

/* The memory that command buffers may point to: its SPA and its contents. The functions return
 * false for a range outside it. */
#define PSP_DATA_SIZE (7 * PAGE_SIZE)
u64 psp_data(const struct hypervisor *hv, size_t offset);
bool psp_data_read(struct hypervisor *hv, size_t offset, void *out, size_t size);
bool psp_data_write(struct hypervisor *hv, size_t offset, const void *data, size_t size);

/* Runs SNP_PLATFORM_STATUS, which works in any state of the platform. Returns the status code; sets
 * `out` on success. */
u32 psp_snp_status(struct hypervisor *hv, struct snp_platform_status *out);

#endif
