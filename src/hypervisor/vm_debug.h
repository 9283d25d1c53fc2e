/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a debugger of the simulation's owner asks the hypervisor: which processors a VM has, and
 * what the hypervisor knows of each. Whatever else a debugger shows comes from machine/debug.h.
 */
#ifndef SOFTSEV_HYPERVISOR_VM_DEBUG_H
#define SOFTSEV_HYPERVISOR_VM_DEBUG_H

#include "base/base.h"

struct vm;

struct vm_debug_cpu {
    const char *state; /* "runs", "halted", "waits to be started" */
    u64 vmcb_spa;
    u64 ghcb_gpa; /* of its last VMGEXIT's GHCB MSR; a SEV-ES or SNP guest's only */
    /* A plain or SEV guest's registers while another processor has the core, or none; RAX and RSP
     * are in the VMCB. */
    u64 gpr[16], dr[4], xcr0;
    u8 fx[512]; /* the FXSAVE part of its XSAVE image */
};

u32 vm_debug_cpus(const struct vm *vm);
/* Takes the processor off its core first, unless it is in the middle of a VMRUN; the next VMRUN
 * loads it again. */
void vm_debug_cpu(struct vm *vm, u32 cpu, bool in_vmrun, struct vm_debug_cpu *out);

#endif
