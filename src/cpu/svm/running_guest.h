/* SPDX-License-Identifier: Apache-2.0 */
/* The guest that the core runs, by its VMCB and VMSA, and the reason of its last exit. */
#ifndef SOFTSEV_CPU_SVM_RUNNING_GUEST_H
#define SOFTSEV_CPU_SVM_RUNNING_GUEST_H

#include "abi/vmcb.h"
#include "memory/memory.h"

/* What the translations of a guest depend on, beside its VMCB. */
struct guest_identity {
    u32 vmpl; /* of an SNP guest: 0 to 3 */
    u64 sev_features, virtual_tom;
};

struct running_guest {
    bool running; /* false: the host has the core */
    bool nested_paging, sev;
    bool es;  /* state is in the VMSA, most exits are #VC */
    bool snp; /* the RMP guards its memory */
    u32 vmpl; /* of an SNP guest: 0 to 3 */
    u64 sev_features, virtual_tom;
    memory_key key; /* the ASID if SEV is on: key of private accesses */
    bool virtual_gif, virtual_nmi, virtual_vmload; /* by the VMCB, if the processor has them */
    u16 pauses_left; /* PAUSEs that the pause filter still lets pass */
    u64 pause_ns;    /* machine time of the last one; 0: none since VMRUN */
    u64 tsc_offset;  /* TSC = clock + offset */
    u64 tsc_scale;
    u64 exit_code, exit_info_1, exit_info_2, exit_int_info;
    u64 next_rip; /* after cpu_exit() */
    u64 vmcb_spa;
    struct vmcb_control control; /* as read at VMRUN */
};

#endif
