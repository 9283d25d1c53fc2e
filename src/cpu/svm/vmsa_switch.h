/* SPDX-License-Identifier: Apache-2.0 */
/* SEV-ES in the core: the encrypted half of the world switch, and the exits that the host sees. */
#ifndef SOFTSEV_CPU_SVM_VMSA_SWITCH_H
#define SOFTSEV_CPU_SVM_VMSA_SWITCH_H

#include "abi/vmsa.h"
#include "cpu/internal.h"

/* Size of the part in which the VMSA has the layout of the VMCB's save area. */
#define VMSA_COMMON_SIZE offsetof(struct vmsa, pkru)
_Static_assert(offsetof(struct vmsa, tr) == offsetof(struct vmcb_save, tr) &&
                   offsetof(struct vmsa, cpl) == offsetof(struct vmcb_save, cpl) &&
                   offsetof(struct vmsa, rip) == offsetof(struct vmcb_save, rip) &&
                   offsetof(struct vmsa, cr2) == offsetof(struct vmcb_save, cr2) &&
                   offsetof(struct vmsa, spec_ctrl) == offsetof(struct vmcb_save, spec_ctrl),
               "VMSA and VMCB begin alike");

/* Reads the VMSA that the VMCB names. Returns why it may not run; NULL if it may. */
const char *vmsa_open(struct cpu *c, const struct vmcb_control *k, struct vmsa *s);
/* Returns true if the host of a SEV-ES guest may inject this EVENTINJ [cpu 3.6]. */
bool vmsa_event_valid(u64 event);
/* Loads the state that a VMSA has and a VMCB's save area has not. */
void vmsa_load(struct cpu *c, const struct vmsa *s);
void vmsa_save(struct cpu *c, struct vmsa *s);
/* Writes the VMSA back with its check value. */
void vmsa_close(struct cpu *c, const struct vmcb_control *k, const struct vmsa *s);
/* Clears the guest's state from the core, so that the host finds nothing of it. */
void vmsa_forget(struct cpu *c);

/* --- SEV_FEATURES (sev_features.c) ------------------------------------------------------------ */

/* Before the load: records which guest the core will run. NULL: a guest without a VMSA. */
void vmsa_identify(struct cpu *c, const struct vmsa *s);
/* Notes which features the core's model has. */
void features_offer(struct cpu *c);
/* Returns why VMRUN refuses these features or their settings; NULL if it does not. */
const char *features_refusal(struct cpu *c, const struct vmcb_control *k, const struct vmsa *s);
/* Returns EVENTINJ from the VMCB, or from the VMSA under alternate injection. */
u64 features_event(const struct vmcb_control *k, const struct vmsa *s);
bool features_busy(const struct vmsa *s); /* VMRUN exits with EXIT_BUSY */
/* Prepare the controls for the guest, and write them back into VMSA and VMCB; `before` are the
 * controls as the host left them. */
void features_enter(const struct vmsa *s, struct vmcb_control *k);
void features_leave(const struct cpu *c, struct vmsa *s, struct vmcb_control *k,
                    const struct vmcb_control *before);
void features_load_debug(struct cpu *c, const struct vmsa *s);
void features_save_debug(struct cpu *c, struct vmsa *s); /* and restores the host's */
void features_load_time(struct cpu *c, const struct vmsa *s, struct vmcb_control *k);
/* VMSA register protection: unmask the page that VMRUN read, mask the page to be written. */
void features_unmask(struct vmsa *s);
void features_mask(const struct cpu *c, struct vmsa *s);

/* --- Exits ------------------------------------------------------------------------------------ */

/* Returns true if the host sees this exit; the others become #VC in the guest [cpu 6.1]. */
bool exit_automatic(u64 code, u64 info_1);
/* Returns true if the instruction is done: the guest continues after it. */
bool exit_completes(u64 code);
void vmsa_raise_vc(struct cpu *c, u64 code) NORETURN;

#endif
