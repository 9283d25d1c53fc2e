/* SPDX-License-Identifier: Apache-2.0 */
/* The ACPI tables that describe the board of board/map.h [ACPI 5.2]. */
#ifndef SOFTSEV_BOARD_ACPI_H
#define SOFTSEV_BOARD_ACPI_H

#include "base/base.h"

#define ACPI_SIZE_MAX  16384u
#define ACPI_RSDP_SIZE 36u

/* For firmware: where RAM below 4 GiB ends, which the caller says; and where in all tables
 * something lies. The first ACPI_RSDP_SIZE bytes are the RSDP. */
struct acpi_places {
    u64 low_ram;
    size_t facs, dsdt, fadt, madt, xsdt;
};

/* Writes all tables for `gpa`, the RSDP first; processors have the APIC IDs 0 to cpus - 1. Returns
 * the bytes used; 0: `size` is too small. `places` may be NULL: BARs have their addresses. */
size_t acpi_build(u8 *out, size_t size, u64 gpa, u32 cpus, struct acpi_places *places);

#endif
