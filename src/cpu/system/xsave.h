/* SPDX-License-Identifier: Apache-2.0 */
/* What CPUID, VMRUN and the host need to know of XSAVE. */
#ifndef SOFTSEV_CPU_SYSTEM_XSAVE_H
#define SOFTSEV_CPU_SYSTEM_XSAVE_H

#include "base/base.h"

/* Returns the bytes of an image with these components; bit 63: in the compacted form. */
u32 xsave_image_size(u64 layout);
/* Finds a component after the header, by its bit in XCR0. */
bool xsave_component(u32 number, u32 *offset, u32 *size);
bool xcr0_valid(u64 value); /* XSETBV accepts it */

#endif
