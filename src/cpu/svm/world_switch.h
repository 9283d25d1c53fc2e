/* SPDX-License-Identifier: Apache-2.0 */
/* The state that VMRUN's steps share while a guest enters or leaves the core. */
#ifndef SOFTSEV_CPU_SVM_WORLD_SWITCH_H
#define SOFTSEV_CPU_SVM_WORLD_SWITCH_H

#include "cpu/svm/vmsa_switch.h"
#include "memory/rmp.h"

struct world_switch {
    struct vmcb vmcb;           /* as the host wrote it, later as the host will read it */
    struct vmcb_control inside; /* the controls that apply to the guest */
    struct vmcb_save save; /* its state: from the VMCB's save area, or the beginning of the VMSA */
    struct vmsa vmsa;      /* read for SEV-ES guests only */
    bool es;
};

/* The parts of control area and save area that have a meaning are read, written and copied. */
#define VMCB_CONTROL_USED offsetof(struct vmcb_control, reserved_148)
void vmcb_read(const struct cpu *c, u64 spa, struct vmcb *v);
/* Writes what #VMEXIT changes; `save`: also of the save area. */
void vmcb_write(const struct cpu *c, u64 spa, const struct vmcb *v, bool save);

/* Reads the guest's VMSA if it has one. Returns why the guest may not run; NULL if it may. */
const char *vmrun_refusal(struct cpu *c, struct world_switch *w);
/* The steps of VMRUN and #VMEXIT (vmrun.c), after guest.vmcb_spa is set. vmrun_enter() reads the
 * VMCB, checks the controls and loads the guest; false: it may not run, and the VMCB says so.
 * vmrun_leave() saves it and loads the host. */
bool vmrun_enter(struct cpu *c, struct world_switch *w);
void vmrun_leave(struct cpu *c, struct world_switch *w);
/* Returns true if #VMEXIT can load this state of a host. */
bool host_state_valid(const struct cpu *c, const struct vmcb_save *s);
/* Returns true if memory encryption is on for this guest. */
bool sev_enabled(const struct cpu *c, const struct vmcb_control *k);
bool sev_es_enabled(const struct cpu *c, const struct vmcb_control *k);
bool virtual_nmi_enabled(const struct cpu *c, const struct vmcb_control *k);

/* Where the host's state lies in the page of VM_HSAVE_PA while a guest runs [host 4.4]. */
#define HOST_AREA_OFFSET offsetof(struct vmcb, save)

/* Puts the result of an RMP instruction into EAX and the flags (rmp_guest.c). */
void rmp_result_put(struct cpu *c, enum rmp_result result, bool unchanged);

bool vmcb_address_valid(const struct cpu *c, u64 spa);
void save_area_load(struct cpu *c, const struct vmcb_save *s);
void save_area_store(const struct cpu *c, struct vmcb_save *s);
void save_area_load_rest(struct cpu *c, const struct vmcb_save *s);
void save_area_store_rest(const struct cpu *c, struct vmcb_save *s);

#endif
