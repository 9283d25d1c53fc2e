/* SPDX-License-Identifier: Apache-2.0 */
/* What the room's files need of device.c: the accesses of one instruction to devices, answered by
 * the host. */
#ifndef SOFTSEV_CPU_ENGINE_DEVICE_H
#define SOFTSEV_CPU_ENGINE_DEVICE_H

#include "cpu/internal.h"

/* The host finishes what this core's guest does with devices (and can: not a SEV-ES guest's, which
 * hears of them by #VC). */
bool device_assists(const struct cpu *c);
/* A nested fault of data that may be a device's. */
bool device_faults(const struct cpu *c, const struct access_fault *f);
/* Takes the host's answer to the current instruction's next access. False: there is none yet; the
 * access is noted, and the caller exits. */
bool device_answered(struct cpu *c, const struct device_access *a, u64 *value);

/* Before VMRUN's first instruction: forgets answers that belong to another one. */
void device_begin(struct cpu *c);
/* Remembers the registers, before an instruction with answers is executed again ... */
void device_keep(struct cpu *c);
/* ... brings them back at the exit, if the instruction has another question ... */
void device_undo(struct cpu *c);
/* ... and forgets the answers: the instruction is done, or has faulted. */
void device_done(struct cpu *c);

#endif
