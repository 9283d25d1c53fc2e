/* SPDX-License-Identifier: Apache-2.0 */
/* The accesses of one instruction to devices, answered by the host (device.c). */
#ifndef SOFTSEV_CPU_ENGINE_DEVICE_H
#define SOFTSEV_CPU_ENGINE_DEVICE_H

#include "cpu/internal.h"

/* Returns true if the host wants to finish this guest's device accesses. A SEV-ES guest handles
 * them itself, by #VC. */
bool device_assists(const struct cpu *c);
/* Returns true for a nested fault of data that may be a device's. */
bool device_faults(const struct cpu *c, const struct access_fault *f);
/* Takes the host's answer to the current instruction's next access. Returns false if there is none
 * yet: the access is recorded, and the caller exits. */
bool device_answered(struct cpu *c, const struct device_access *a, u64 *value);

/* Before VMRUN's first instruction: forgets the answers of any other instruction. */
void device_begin(struct cpu *c);
/* Saves the registers, before an instruction with answers is executed again. */
void device_keep(struct cpu *c);
/* Restores the registers at the exit, if the instruction has one more access to be answered. */
void device_undo(struct cpu *c);
/* Forgets the answers: the instruction is done, or has faulted. */
void device_done(struct cpu *c);

#endif
