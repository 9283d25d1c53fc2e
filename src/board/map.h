/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The map of the board: the addresses of its devices and the lines that they raise. The ACPI tables
 * and the wiring both use it, so they always agree.
 */
#ifndef SOFTSEV_BOARD_MAP_H
#define SOFTSEV_BOARD_MAP_H

#include "base/base.h"

/* RAM fills [0, BOARD_LOW_RAM_END) first and continues at 4 GiB; the PCI window and the chips are
 * between these. */
#define BOARD_LOW_RAM_END 0xc0000000ull
#define BOARD_HIGH_RAM    0x100000000ull
#define BOARD_PCI_WINDOW  0xd0000000ull
/* Addresses of functions other than 0. */
#define BOARD_PCI_FUNCTIONS (BOARD_PCI_WINDOW + MIB(16))
#define BOARD_PCI_END       0xe0000000ull
/* With firmware, which assigns addresses to BARs: from the end of low RAM, but not below 2 GiB; and
 * above all RAM. */
#define BOARD_FIRMWARE_PCI_END      0xfc000000ull
#define BOARD_FIRMWARE_HIGH_PCI     0xa000000000ull
#define BOARD_FIRMWARE_HIGH_PCI_END 0x800000000000ull
/* The secure processor's two BARs, if the board assigns addresses; it is in this slot. */
#define BOARD_PSP_SLOT      7u
#define BOARD_PSP_REGISTERS (BOARD_PCI_WINDOW + MIB(8))
#define BOARD_PSP_MSIX      (BOARD_PCI_WINDOW + MIB(9))
/* The IOMMU's registers and its PCI function, 00:00.2. */
#define BOARD_IOMMU       0xfeb80000ull
#define BOARD_IOMMU_DEVFN 2u
#define BOARD_IOAPIC      0xfec00000ull
#define BOARD_LAPIC       0xfee00000ull

#define BOARD_UART_PORT 0x3f8u
#define BOARD_UART_IRQ  4u
#define BOARD_PM_PORT                                                                              \
    0x600u /* PM1 event (4 bytes), control (2), at +8 the timer (4), at +12 GPE0 (4) */
#define BOARD_S5_TYPE     5u /* SLP_TYP for power off */
#define BOARD_SCI_IRQ     9u
#define BOARD_RESET_PORT  0xcf9u
#define BOARD_RESET_VALUE 0x0eu
#define BOARD_DEBUG_EXIT  0xf4u
/* CPUID 1 EAX of the processor, which QEMU calls EPYC-Milan; also RDX after reset. */
#define BOARD_CPU_SIGNATURE 0x00a00f11u
/* Pin INTA of PCI slot s is line BOARD_PCI_IRQ + s % 4 of the IOAPIC. */
#define BOARD_PCI_IRQ   16u
#define BOARD_PCI_SLOTS 8u

#endif
