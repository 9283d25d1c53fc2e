/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a bare machine's core share. */
#ifndef SOFTSEV_CPU_BARE_BARE_H
#define SOFTSEV_CPU_BARE_BARE_H

#include "cpu/internal.h"

/* The host's state in the page of VM_HSAVE_PA [host 4.4] (host_area.c). */
void host_area_store(struct cpu *c); /* VMRUN: class A */
/* Loads classes A and, after a SEV-ES guest, B into c->host at #VMEXIT. Returns false if no host
 * can have this state. */
bool host_area_fetch(struct cpu *c, bool es);
/* Loads what the steps of #VMEXIT leave empty after a SEV-ES guest: the rest of class B. */
void host_area_load_rest(struct cpu *c);

/* Makes c->guest that of host mode: no guest. */
void bare_no_guest(struct cpu *c);
/* Brings the engine in line with a state of the host that was put in place. */
void bare_refresh(struct cpu *c);
/* Does what INIT does to the core [APM2 14.1.3]. */
void bare_init(struct cpu *c);

#endif
