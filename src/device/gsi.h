/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Global system interrupts: the routing of a device's line. Interrupts 0 to 15 go to both the 8259s
 * and the I/O APIC (interrupt 0 on pin 2, as on every PC and in its ACPI tables); 16 to 23 go only
 * to the I/O APIC.
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

void gsi_set(void *gsi, u32 number, bool level); /* for struct irq_line; one device per number */
struct irq_line gsi_line(struct gsi *gsi, u32 number);

#endif
