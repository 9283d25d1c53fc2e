/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A 16550A serial port: eight registers, a receive FIFO, prioritised interrupts. It sends at once
 * (the transmitter is always empty again) and never loses a byte that it accepted.
 */
#ifndef SOFTSEV_DEVICE_UART_H
#define SOFTSEV_DEVICE_UART_H

#include "device/backend.h"
#include "device/bus.h"
#include "device/irq.h"

#define UART_COM1_PORT 0x3f8
#define UART_COM1_IRQ  4
#define UART_PORTS     8
#define UART_FIFO_SIZE 16

struct uart {
    struct device ports;
    struct irq_line irq;
    struct console_backend console;
    u8 ier, lcr, mcr, lsr_errors, msr_delta, scr, fcr;
    u16 divisor;
    u8 fifo[UART_FIFO_SIZE];
    u32 fifo_at, fifo_count;
    bool transmit_pending; /* a THRE interrupt that the driver has not seen */
    u8 msr_lines;          /* modem inputs as last seen, MSR bits 7..4 */
    bool level;            /* level of the interrupt line */
    u64 bytes_out, bytes_in;
};

void uart_init(struct uart *u, u64 port, struct irq_line irq, struct console_backend console);
u32 uart_room(const struct uart *u); /* number of bytes that uart_receive takes now */
/* Receives a byte from outside. Returns false if the FIFO is full; the caller keeps the byte and
 * tries again later. */
bool uart_receive(struct uart *u, u8 byte);

#endif
