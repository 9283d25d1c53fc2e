/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 8254 timer: three counters at 1.193182 MHz, computed from the machine clock when somebody looks.
 * Counter 0 drives interrupt 0; counter 2 is gated and read back through port 61h.
 */
#ifndef SOFTSEV_DEVICE_PIT_H
#define SOFTSEV_DEVICE_PIT_H

#include "device/bus.h"
#include "device/irq.h"
#include "device/timer.h"

#define PIT_HZ 1193182ull

struct pit_counter {
    u16 reload;        /* as written; 0 stands for 65536 (10000 in BCD) */
    u8 mode;           /* 0 to 5 */
    u8 access;         /* 1 low byte, 2 high byte, 3 low then high */
    bool bcd, gate;
    bool loaded;       /* a count has been written (and, modes 1 and 5, a gate has triggered) */
    bool write_high, read_high; /* which half comes next */
    u8 write_low;
    bool count_latched, status_latched;
    u16 count_latch;
    u8 status_latch;
    u64 start_ns;      /* when the count began */
    u64 held_ticks;    /* ticks counted before the gate stopped it */
    bool next_pending; /* modes 2 and 3: a new count is taken at the end of the period */
    u16 next_reload;
};

struct pit {
    struct device ports;   /* 40 to 43 */
    struct device control; /* 61 */
    struct timer_queue *timers;
    struct timer timer;    /* counter 0's next edge */
    struct irq_line irq;
    struct pit_counter counters[3];
    bool output0;          /* counter 0's output as last told to the interrupt line */
    u8 speaker;            /* port 61 bits 1..0: speaker data, gate of counter 2 */
};

void pit_init(struct pit *p, struct timer_queue *timers, struct irq_line irq);
bool pit_attach(struct pit *p, struct bus *ports);

#endif
