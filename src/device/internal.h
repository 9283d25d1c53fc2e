/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared declarations of the device room's files: the parts of the local APIC, of PCI and of
 * virtio.
 */
#ifndef SOFTSEV_DEVICE_INTERNAL_H
#define SOFTSEV_DEVICE_INTERNAL_H

#include "device/lapic.h"
#include "device/pci.h"
#include "device/virtio.h"

#define BASE_BSP    BIT(8)
#define BASE_X2APIC BIT(10)
#define BASE_ENABLE BIT(11)

#define SVR_ENABLE 0x100u

#define LVT_VECTOR         0xffu
#define LVT_MASKED         0x10000u
#define LVT_MODE(lvt)      (((lvt) >> 8) & 7)
#define LVT_TIMER_MODE     0x60000u
#define LVT_TIMER_PERIODIC 0x20000u
#define LVT_TIMER_DEADLINE 0x40000u

#define ESR_ILLEGAL_SEND    0x20u
#define ESR_ILLEGAL_RECEIVE 0x40u

/* Delivery modes, as encoded in the ICR, the LVT, I/O APIC entries and messages. */
enum lapic_delivery {
    DELIVERY_FIXED = 0,
    DELIVERY_LOWEST = 1,
    DELIVERY_SMI = 2,
    DELIVERY_NMI = 4,
    DELIVERY_INIT = 5,
    DELIVERY_STARTUP = 6,
    DELIVERY_EXTERNAL = 7,
};

static inline bool lapic_is_x2apic(const struct lapic *l)
{
    return (l->base_msr & BASE_ENABLE) && (l->base_msr & BASE_X2APIC);
}

/* Returns the logical ID in x2APIC mode. It follows from the ID: a cluster of 16, and one bit in
 * it. */
static inline u32 lapic_x2apic_ldr(u32 id)
{
    return (id >> 4) << 16 | 1u << (id & 15);
}

void lapic_reset(struct lapic *l);
u8 lapic_ppr(const struct lapic *l);
void lapic_end_of_interrupt(struct lapic *l);
void lapic_error(struct lapic *l, u32 bit);
void lapic_send_icr(struct lapic *l, u32 low, u32 destination);

u32 lapic_timer_count(const struct lapic *l);
void lapic_timer_set_count(struct lapic *l, u32 count);
void lapic_timer_set_divide(struct lapic *l, u32 divide);
void lapic_timer_set_lvt(struct lapic *l, u32 lvt);
void lapic_timer_set_deadline(struct lapic *l, u64 tsc);
void lapic_timer_fire(struct timer *timer, u64 when_ns);

void pci_msix_control_written(struct pci_function *f);

#define VIRTIO_ISR_QUEUE  1
#define VIRTIO_ISR_CONFIG 2
#define VIRTIO_NO_VECTOR  0xffff

/* Interrupts the driver by a message if MSI-X is on; otherwise by the interrupt line, with the
 * reason in the ISR. */
void virtio_interrupt(struct virtio *v, u16 vector, u8 reason);

#endif
