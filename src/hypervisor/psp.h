/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The firmware's mailbox for who passes other people's commands on (a driver's device file): one
 * command at a time, and the host memory that command buffers point at [sev 1, snp 2].
 */
#ifndef SOFTSEV_HYPERVISOR_PSP_H
#define SOFTSEV_HYPERVISOR_PSP_H

#include "base/base.h"
#include "base/error.h"

struct hypervisor;
struct snp_platform_status; /* abi/snp.h */

/* Runs one command on a copy of `buffer` in host memory and copies it back, whatever the status.
 * The status code. */
u32 psp_command(struct hypervisor *hv, u32 command, void *buffer, size_t size);
/* 0, or -1 and the status in words. */
int psp_check(u32 status, u32 command, struct error *error);

/* The status of the last command that the firmware refused, and which it was; 0: it has refused
 * none. */
u32 psp_refusal(const struct hypervisor *hv, u32 *command);

/* SPA of the area that command buffers point at; its contents. False: outside. */
#define PSP_DATA_SIZE (7 * PAGE_SIZE)
u64 psp_data(const struct hypervisor *hv, size_t offset);
bool psp_data_read(struct hypervisor *hv, size_t offset, void *out, size_t size);
bool psp_data_write(struct hypervisor *hv, size_t offset, const void *data, size_t size);

/* SNP_PLATFORM_STATUS in any state of the platform: the status code; `out` is set on success. */
u32 psp_snp_status(struct hypervisor *hv, struct snp_platform_status *out);

#endif
