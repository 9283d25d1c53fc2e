/* SPDX-License-Identifier: Apache-2.0 */
/* The ACPI tables that describe the board of board/map.h [ACPI 5.2]. */
#ifndef SOFTSEV_BOARD_ACPI_H
#define SOFTSEV_BOARD_ACPI_H

#include "base/base.h"

#define ACPI_SIZE_MAX  16384u
#define ACPI_RSDP_SIZE 36u

/* Offsets for firmware. The caller sets the end of RAM below 4 GiB; acpi_build sets where each item
 * lies in the tables. The first ACPI_RSDP_SIZE bytes are the RSDP. */
struct acpi_places {
    u64 low_ram;
    size_t facs, dsdt, fadt, madt, xsdt;
};

/* Writes all tables for address `gpa`, the RSDP first; processors have the APIC IDs 0 to cpus - 1.
 * `iommu`: the board has one. Returns the number of bytes used, or 0 if `size` is too small.
 * `places` is NULL if BARs have their addresses already. */
size_t acpi_build(u8 *out, size_t size, u64 gpa, u32 cpus, bool iommu, struct acpi_places *places);

#endif
