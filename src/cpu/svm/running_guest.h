/* SPDX-License-Identifier: Apache-2.0 */
/* Whom the core runs, by its VMCB and VMSA, and why it left last. */
#ifndef SOFTSEV_CPU_SVM_RUNNING_GUEST_H
#define SOFTSEV_CPU_SVM_RUNNING_GUEST_H

#include "abi/vmcb.h"
#include "memory/memory.h"

struct running_guest {
    bool running; /* false: the host has the core */
    bool nested_paging, sev;
    bool es;  /* its state is in its VMSA, most of its exits are #VC */
    bool snp; /* and the RMP guards its memory */
    u32 vmpl; /* of an SNP guest: 0 to 3 */
    u64 sev_features, virtual_tom;
    memory_key key;  /* the ASID, where SEV is on: key of private accesses */
    u16 pauses_left; /* that the pause filter lets pass */
    u64 tsc_offset;  /* TSC = clock + offset */
    u64 tsc_scale;
    u64 exit_code, exit_info_1, exit_info_2, exit_int_info;
    u64 next_rip; /* after cpu_exit() */
    u64 vmcb_spa;
    struct vmcb_control control; /* as read at VMRUN */
};

#endif
