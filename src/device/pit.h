/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 8254 timer: three counters at 1.193182 MHz, computed from the machine clock when they are
 * read. Counter 0 drives interrupt 0; counter 2 is gated and read through port 61h.
 */
#ifndef SOFTSEV_DEVICE_PIT_H
#define SOFTSEV_DEVICE_PIT_H

#include "device/bus.h"
#include "device/irq.h"
#include "device/timer.h"

#define PIT_HZ       1193182ull
#define PIT_COUNTERS 3

struct pit_counter {
    u8 mode;   /* 0 to 5 */
    u8 access; /* 1 low byte, 2 high byte, 3 low then high */
    bool bcd;
    bool gate;
    bool loaded;  /* a count was written after the control word */
    bool started; /* it counts: in modes 1 and 5 only after the gate's edge */
    u32 reload;   /* ticks: 1 to 65536 (10000 in BCD) */
    u64 start_tick,
        held_ticks;    /* ticks counted: held, plus the time since start while the gate allows it */
    bool next_pending; /* modes 2 and 3: a new count waits for the period to end */
    u32 next_reload;
    u64 next_tick;
    bool write_high, read_high; /* the next byte is the high one */
    u8 write_low;
    u8 latched; /* bytes of a latched count left to read: 0 to 2 */
    bool status_latched;
    u16 count_latch;
    u8 status_latch;
};

struct pit {
    struct device ports;   /* 40 to 43 */
    struct device control; /* 61 */
    struct timer_queue *timers;
    struct timer timer; /* for the next edge of counter 0 */
    struct irq_line irq;
    struct pit_counter counters[PIT_COUNTERS];
    u8 control_bits; /* port 61 bits 3..0: bit 0 gates counter 2, bit 1 the speaker */
};

void pit_init(struct pit *p, struct timer_queue *timers, struct irq_line irq);
bool pit_attach(struct pit *p, struct bus *ports);

#endif
