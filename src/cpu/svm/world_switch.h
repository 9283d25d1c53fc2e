/* SPDX-License-Identifier: Apache-2.0 */
/* What VMRUN's steps share: a guest on its way into the core and out of it. */
#ifndef SOFTSEV_CPU_SVM_WORLD_SWITCH_H
#define SOFTSEV_CPU_SVM_WORLD_SWITCH_H

#include "cpu/svm/vmsa_switch.h"

struct world_switch {
    struct vmcb vmcb;           /* as the host wrote it, then as it will find it */
    struct vmcb_control inside; /* the controls as they are for the guest */
    struct vmcb_save save;      /* its state: the VMCB's save area, or the beginning of the VMSA */
    struct vmsa vmsa;           /* read only of a SEV-ES guest */
    bool es;
};

/* Reads the guest's state if it is elsewhere, and says why the guest may not run; NULL if it
 * may. */
const char *vmrun_refusal(struct cpu *c, struct world_switch *w);
/* Memory encryption is on for this guest. */
bool sev_enabled(const struct cpu *c, const struct vmcb_control *k);
bool sev_es_enabled(const struct cpu *c, const struct vmcb_control *k);

bool vmcb_address_valid(const struct cpu *c, u64 spa);
void save_area_load(struct cpu *c, const struct vmcb_save *s);
void save_area_store(const struct cpu *c, struct vmcb_save *s);
void save_area_load_rest(struct cpu *c, const struct vmcb_save *s);
void save_area_store_rest(const struct cpu *c, struct vmcb_save *s);

#endif
