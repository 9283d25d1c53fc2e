/* SPDX-License-Identifier: Apache-2.0 */
/* SEV-ES in the core: the world switch's encrypted half, and which exits the host sees. */
#ifndef SOFTSEV_CPU_SVM_VMSA_SWITCH_H
#define SOFTSEV_CPU_SVM_VMSA_SWITCH_H

#include "abi/vmsa.h"
#include "cpu/internal.h"

/* Up to here the VMSA is laid out like the VMCB's save area. */
#define VMSA_COMMON_SIZE offsetof(struct vmsa, pkru)
_Static_assert(offsetof(struct vmsa, tr) == offsetof(struct vmcb_save, tr) &&
                   offsetof(struct vmsa, cpl) == offsetof(struct vmcb_save, cpl) &&
                   offsetof(struct vmsa, rip) == offsetof(struct vmcb_save, rip) &&
                   offsetof(struct vmsa, cr2) == offsetof(struct vmcb_save, cr2) &&
                   offsetof(struct vmsa, spec_ctrl) == offsetof(struct vmcb_save, spec_ctrl),
               "VMSA and VMCB begin alike");

/* Reads the VMSA that the VMCB names. Why it may not be run; NULL if it may. */
const char *vmsa_open(struct cpu *c, const struct vmcb_control *k, struct vmsa *s);
/* EVENTINJ as the host of a SEV-ES guest may have it [cpu 3.6]. */
bool vmsa_event_valid(u64 event);
/* What a VMSA has and a VMCB's save area has not. */
void vmsa_load(struct cpu *c, const struct vmsa *s);
void vmsa_save(struct cpu *c, struct vmsa *s);
/* Writes it back, and its check value with it. */
void vmsa_close(struct cpu *c, const struct vmcb_control *k, const struct vmsa *s);
/* The host finds nothing of the guest in the core. */
void vmsa_forget(struct cpu *c);

/* --- SEV_FEATURES (sev_features.c) ------------------------------------------------------------ */

/* Before the load: whose the core becomes; NULL: a guest without a VMSA. */
void vmsa_identify(struct cpu *c, const struct vmsa *s);
/* Why these features, or what they ask for, are refused; NULL if they are not. */
const char *features_refusal(struct cpu *c, const struct vmcb_control *k, const struct vmsa *s);
/* EVENTINJ of the VMCB, or of the VMSA under alternate injection. */
u64 features_event(const struct vmcb_control *k, const struct vmsa *s);
bool features_busy(const struct vmsa *s); /* VMRUN exits with EXIT_BUSY */
/* The controls as they are for the guest, and back into VMSA and VMCB; `before`: as the host left
 * them. */
void features_enter(const struct vmsa *s, struct vmcb_control *k);
void features_leave(const struct cpu *c, struct vmsa *s, struct vmcb_control *k,
                    const struct vmcb_control *before);
void features_load_debug(struct cpu *c, const struct vmsa *s);
void features_save_debug(struct cpu *c, struct vmsa *s); /* and the host's are back */
void features_load_time(struct cpu *c, const struct vmsa *s, struct vmcb_control *k);
/* VMSA register protection: of the page read by VMRUN, and of the page to write. */
void features_unmask(struct vmsa *s);
void features_mask(const struct cpu *c, struct vmsa *s);

/* --- Exits ------------------------------------------------------------------------------------ */

/* The host sees this exit; the others become #VC in the guest [cpu 6.1]. */
bool exit_automatic(u64 code, u64 info_1);
/* The instruction is done: the guest goes on behind it. */
bool exit_completes(u64 code);
void vmsa_raise_vc(struct cpu *c, u64 code) NORETURN;

#endif
