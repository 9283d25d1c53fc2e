/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I/O APIC: 24 pins, each with a redirection entry that turns its interrupt into a message to
 * the local APICs. A level-triggered pin waits for the end of interrupt, and fires again if it is
 * still high.
 */
#ifndef SOFTSEV_DEVICE_IOAPIC_H
#define SOFTSEV_DEVICE_IOAPIC_H

#include "device/bus.h"
#include "device/irq.h"

#define IOAPIC_BASE 0xfec00000ull
#define IOAPIC_SIZE 0x1000
#define IOAPIC_PINS 24

struct ioapic {
    struct device window;
    struct msi_port output;
    u8 id, select;
    u64 entries[IOAPIC_PINS];
    u32 lines; /* the level of every pin */
};

void ioapic_init(struct ioapic *io, struct msi_port output);
void ioapic_set_pin(void *ioapic, u32 pin, bool level); /* for struct irq_line */
void ioapic_end_of_interrupt(struct ioapic *io, u8 vector);

#endif
