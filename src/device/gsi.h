/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Global system interrupts: where a device's line goes. 0 to 15 reach the 8259s and the I/O APIC
 * alike (interrupt 0 on pin 2, as every PC and its ACPI tables say), 16 to 23 the I/O APIC only.
 */
#ifndef SOFTSEV_DEVICE_GSI_H
#define SOFTSEV_DEVICE_GSI_H

#include "device/irq.h"

struct pic;
struct ioapic;

struct gsi {
    struct pic *pic; /* either may be NULL */
    struct ioapic *ioapic;
};

void gsi_set(void *gsi, u32 number, bool level); /* fits struct irq_line; one device per number */
struct irq_line gsi_line(struct gsi *gsi, u32 number);

#endif
