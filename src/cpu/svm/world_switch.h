/* SPDX-License-Identifier: Apache-2.0 */
/* The state that VMRUN's steps share while a guest enters or leaves the core. */
#ifndef SOFTSEV_CPU_SVM_WORLD_SWITCH_H
#define SOFTSEV_CPU_SVM_WORLD_SWITCH_H

#include "cpu/svm/vmsa_switch.h"

struct world_switch {
    struct vmcb vmcb;           /* as the host wrote it, later as the host will read it */
    struct vmcb_control inside; /* the controls that apply to the guest */
    struct vmcb_save save; /* its state: from the VMCB's save area, or the beginning of the VMSA */
    struct vmsa vmsa;      /* read for SEV-ES guests only */
    bool es;
};

/* Reads the guest's VMSA if it has one. Returns why the guest may not run; NULL if it may. */
const char *vmrun_refusal(struct cpu *c, struct world_switch *w);
/* Returns true if memory encryption is on for this guest. */
bool sev_enabled(const struct cpu *c, const struct vmcb_control *k);
bool sev_es_enabled(const struct cpu *c, const struct vmcb_control *k);

bool vmcb_address_valid(const struct cpu *c, u64 spa);
void save_area_load(struct cpu *c, const struct vmcb_save *s);
void save_area_store(const struct cpu *c, struct vmcb_save *s);
void save_area_load_rest(struct cpu *c, const struct vmcb_save *s);
void save_area_store_rest(const struct cpu *c, struct vmcb_save *s);

#endif
