/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An interrupt line as a value that a device holds: the receiver, and the line's number there. A
 * zeroed line is not connected. Message-signalled interrupts go through a `struct msi_port`.
 */
#ifndef SOFTSEV_DEVICE_IRQ_H
#define SOFTSEV_DEVICE_IRQ_H

#include "base/base.h"

struct irq_line {
    void (*set)(void *ctx, u32 line, bool level);
    void *ctx;
    u32 line;
};

struct msi_port {
    void (*send)(void *ctx, u64 address, u32 data);
    void *ctx;
};

static inline void irq_set(const struct irq_line *irq, bool level)
{
    if (irq->set)
        irq->set(irq->ctx, irq->line, level);
}

static inline void irq_pulse(const struct irq_line *irq)
{
    irq_set(irq, true);
    irq_set(irq, false);
}

static inline void msi_send(const struct msi_port *port, u64 address, u32 data)
{
    if (port->send)
        port->send(port->ctx, address, data);
}

#endif
