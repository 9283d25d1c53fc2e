/* SPDX-License-Identifier: Apache-2.0 */
/* What CPUID and VMRUN need to know of XSAVE. */
#ifndef SOFTSEV_CPU_SYSTEM_XSAVE_H
#define SOFTSEV_CPU_SYSTEM_XSAVE_H

#include "cpu/internal.h"

/* Answers the rest of CPUID's leaf D, for these components: sizes, some of them for the current
 * XCR0 and XSS. */
void xsave_cpuid(const struct cpu *c, u64 shown, u32 subleaf, u32 out[4]);
bool xcr0_valid(u64 value); /* XSETBV accepts it */

#endif
