/* SPDX-License-Identifier: Apache-2.0 */
/* A VM's processors, for the debugger of the simulation's owner. */
#include "hypervisor/vm_debug.h"

#include "hypervisor/internal.h"

u32 vm_debug_cpus(const struct vm *vm)
{
    return vm->cpu_count;
}

void vm_debug_cpu(struct vm *vm, u32 cpu, bool in_vmrun, struct vm_debug_cpu *out)
{
    struct vcpu *c = &vm->cpus[cpu];
    if (!in_vmrun)
        vcpu_leave_core(c);
    *out = (struct vm_debug_cpu){
        .state = c->waiting || c->hold ? "waits to be started"
                 : c->halted           ? "halted"
                                       : "runs",
        .vmcb_spa = c->vmcb_spa,
        .ghcb_gpa = vm_is_es(vm) ? c->vmcb.control.ghcb_gpa : 0,
        .xcr0 = c->xcr0,
    };
    memcpy(out->gpr, c->gpr, sizeof out->gpr);
    memcpy(out->dr, c->dr, sizeof out->dr);
    memcpy(out->fx, c->xsave, sizeof out->fx);
}
