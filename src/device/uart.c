/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 16550A. Register numbers and bits are as in the National Semiconductor PC16550D data sheet.
 * The transmitter is infinitely fast: a written byte is sent before the next instruction.
 */
#include "device/uart.h"

enum uart_register {
    UART_DATA = 0, /* receive buffer, transmit holding; divisor low with DLAB */
    UART_IER = 1,  /* divisor high with DLAB */
    UART_IIR = 2,  /* read; FCR on write */
    UART_LCR = 3,
    UART_MCR = 4,
    UART_LSR = 5,
    UART_MSR = 6,
    UART_SCR = 7,
};

#define IER_RECEIVE  0x01
#define IER_TRANSMIT 0x02
#define IER_LINE     0x04
#define IER_MODEM    0x08
#define IER_MASK     0x0f

#define IIR_NONE            0x01
#define IIR_MODEM           0x00
#define IIR_TRANSMIT        0x02
#define IIR_RECEIVE         0x04
#define IIR_LINE            0x06
#define IIR_RECEIVE_TIMEOUT 0x0c
#define IIR_FIFO            0xc0

#define FCR_ENABLE        0x01
#define FCR_CLEAR_RECEIVE 0x02
#define FCR_KEPT          0xc9 /* the bits that do not clear themselves */

#define LCR_DLAB 0x80

#define MCR_DTR  0x01
#define MCR_RTS  0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08 /* on a PC: connects the interrupt */
#define MCR_LOOP 0x10
#define MCR_MASK 0x1f

#define LSR_DATA_READY  0x01
#define LSR_OVERRUN     0x02
#define LSR_THR_EMPTY   0x20
#define LSR_TRANSMITTER 0x40

#define MSR_CTS 0x10
#define MSR_DSR 0x20
#define MSR_RI  0x40
#define MSR_DCD 0x80

static u32 uart_capacity(const struct uart *u)
{
    return (u->fcr & FCR_ENABLE) ? UART_FIFO_SIZE : 1;
}

/* Returns how many bytes raise the receive interrupt. Fewer bytes raise it after a time-out, which
 * is zero here. */
static u32 uart_trigger(const struct uart *u)
{
    static const u8 levels[4] = {1, 4, 8, 14};
    return (u->fcr & FCR_ENABLE) ? levels[u->fcr >> 6] : 1;
}

/* Returns the interrupt with the highest priority, in the IIR's encoding. */
static u8 uart_source(const struct uart *u)
{
    if ((u->ier & IER_LINE) && u->lsr_errors)
        return IIR_LINE;
    if ((u->ier & IER_RECEIVE) && u->fifo_count)
        return u->fifo_count >= uart_trigger(u) ? IIR_RECEIVE : IIR_RECEIVE_TIMEOUT;
    if ((u->ier & IER_TRANSMIT) && u->transmit_pending)
        return IIR_TRANSMIT;
    if ((u->ier & IER_MODEM) && u->msr_delta)
        return IIR_MODEM;
    return IIR_NONE;
}

static void uart_update(struct uart *u)
{
    /* OUT2 enables the line; in loopback the outputs are disconnected from the pins. */
    bool connected = (u->mcr & MCR_OUT2) && !(u->mcr & MCR_LOOP);
    bool level = connected && uart_source(u) != IIR_NONE;
    if (level != u->level) {
        u->level = level;
        irq_set(&u->irq, level);
    }
}

/* Returns the modem inputs: a terminal that is always present or, in loopback, the UART's own
 * outputs. */
static u8 uart_modem_lines(const struct uart *u)
{
    if (!(u->mcr & MCR_LOOP))
        return MSR_CTS | MSR_DSR | MSR_DCD;
    u8 lines = 0;
    lines |= (u->mcr & MCR_RTS) ? MSR_CTS : 0;
    lines |= (u->mcr & MCR_DTR) ? MSR_DSR : 0;
    lines |= (u->mcr & MCR_OUT1) ? MSR_RI : 0;
    lines |= (u->mcr & MCR_OUT2) ? MSR_DCD : 0;
    return lines;
}

static void uart_update_modem(struct uart *u)
{
    u8 now = uart_modem_lines(u);
    u8 changed = now ^ u->msr_lines;
    /* Deltas 0 to 3 belong to lines 4 to 7; only a falling edge sets the delta of RI. */
    changed &= (u8) ~(now & MSR_RI);
    u->msr_delta |= (u8)(changed >> 4);
    u->msr_lines = now;
}

static void uart_queue(struct uart *u, u8 byte)
{
    if (u->fifo_count == uart_capacity(u)) {
        u->lsr_errors |= LSR_OVERRUN;
        return;
    }
    u->fifo[(u->fifo_at + u->fifo_count) % UART_FIFO_SIZE] = byte;
    u->fifo_count++;
}

static void uart_transmit(struct uart *u, u8 byte)
{
    if (u->mcr & MCR_LOOP) {
        uart_queue(u, byte);
    } else {
        console_output(&u->console, &byte, 1);
        u->bytes_out++;
    }
    u->transmit_pending = true; /* empty again */
}

static u8 uart_take(struct uart *u)
{
    if (!u->fifo_count)
        return 0;
    u8 byte = u->fifo[u->fifo_at];
    u->fifo_at = (u->fifo_at + 1) % UART_FIFO_SIZE;
    u->fifo_count--;
    return byte;
}

static u8 uart_read_iir(struct uart *u)
{
    u8 source = uart_source(u);
    if (source == IIR_TRANSMIT)
        u->transmit_pending = false; /* reading the IIR here acknowledges it */
    return source | ((u->fcr & FCR_ENABLE) ? IIR_FIFO : 0);
}

static u8 uart_read_lsr(struct uart *u)
{
    u8 lsr = LSR_THR_EMPTY | LSR_TRANSMITTER | u->lsr_errors;
    lsr |= u->fifo_count ? LSR_DATA_READY : 0;
    u->lsr_errors = 0;
    return lsr;
}

static u8 uart_read_msr(struct uart *u)
{
    u8 msr = u->msr_lines | u->msr_delta;
    u->msr_delta = 0;
    return msr;
}

static u8 uart_read_register(struct uart *u, u64 offset)
{
    bool divisor = u->lcr & LCR_DLAB;
    switch (offset) {
    case UART_DATA:
        return divisor ? (u8)u->divisor : uart_take(u);
    case UART_IER:
        return divisor ? (u8)(u->divisor >> 8) : u->ier;
    case UART_IIR:
        return uart_read_iir(u);
    case UART_LCR:
        return u->lcr;
    case UART_MCR:
        return u->mcr;
    case UART_LSR:
        return uart_read_lsr(u);
    case UART_MSR:
        return uart_read_msr(u);
    default:
        return u->scr;
    }
}

static void uart_write_ier(struct uart *u, u8 value)
{
    /* Enabling the transmit interrupt while the transmitter is empty always raises it. */
    if ((value & IER_TRANSMIT) && !(u->ier & IER_TRANSMIT))
        u->transmit_pending = true;
    u->ier = value & IER_MASK;
}

static void uart_write_fcr(struct uart *u, u8 value)
{
    bool toggled = (value ^ u->fcr) & FCR_ENABLE;
    if (toggled || (value & FCR_CLEAR_RECEIVE)) {
        u->fifo_at = 0;
        u->fifo_count = 0;
    }
    u->fcr = (value & FCR_ENABLE) ? value & FCR_KEPT : 0;
}

static void uart_write_register(struct uart *u, u64 offset, u8 value)
{
    bool divisor = u->lcr & LCR_DLAB;
    switch (offset) {
    case UART_DATA:
        if (divisor)
            u->divisor = (u16)((u->divisor & 0xff00) | value);
        else
            uart_transmit(u, value);
        break;
    case UART_IER:
        if (divisor)
            u->divisor = (u16)((u->divisor & 0x00ff) | (value << 8));
        else
            uart_write_ier(u, value);
        break;
    case UART_IIR:
        uart_write_fcr(u, value);
        break;
    case UART_LCR:
        u->lcr = value;
        break;
    case UART_MCR:
        u->mcr = value & MCR_MASK;
        uart_update_modem(u);
        break;
    case UART_SCR:
        u->scr = value;
        break;
    default: /* LSR and MSR are read-only */
        break;
    }
}

static u64 uart_read(struct device *device, u64 offset, u32 size)
{
    (void)size;
    struct uart *u = CONTAINER_OF(device, struct uart, ports);
    u8 value = uart_read_register(u, offset);
    uart_update(u);
    return value;
}

static void uart_write(struct device *device, u64 offset, u32 size, u64 value)
{
    (void)size;
    struct uart *u = CONTAINER_OF(device, struct uart, ports);
    uart_write_register(u, offset, (u8)value);
    uart_update(u);
}

void uart_init(struct uart *u, u64 port, struct irq_line irq, struct console_backend console)
{
    *u = (struct uart){
        .ports = {"uart", port, UART_PORTS, 1, uart_read, uart_write},
        .irq = irq,
        .console = console,
        .divisor = 12, /* 9600 */
        .transmit_pending = true,
    };
    u->msr_lines = uart_modem_lines(u);
}

u32 uart_room(const struct uart *u)
{
    if (u->mcr & MCR_LOOP)
        return 0;
    return uart_capacity(u) - u->fifo_count;
}

bool uart_receive(struct uart *u, u8 byte)
{
    if (!uart_room(u))
        return false;
    uart_queue(u, byte);
    u->bytes_in++;
    uart_update(u);
    return true;
}
