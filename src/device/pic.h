/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PC's two 8259A interrupt controllers, the second on input 2 of the first, and the ELCR, which
 * makes inputs level-triggered. The output goes to the processor's INTR or the local APIC's LINT0.
 */
#ifndef SOFTSEV_DEVICE_PIC_H
#define SOFTSEV_DEVICE_PIC_H

#include "device/bus.h"
#include "device/irq.h"

struct pic_chip {
    struct device ports;     /* A0 = 0 and 1 */
    struct device elcr_port; /* 4D0 or 4D1 */
    struct pic *pic;
    u8 irr, imr, isr; /* request, mask, in service */
    u8 lines, elcr, elcr_mask;
    u8 base;      /* ICW2: vector of input 0 */
    u8 lowest;    /* the input with the lowest priority */
    u8 init_step; /* the next ICW expected: 2 to 4; 0: none */
    bool icw4_needed, auto_eoi, rotate_on_auto_eoi, special_mask, special_nested, read_isr, poll;
    bool single;
};

struct pic {
    struct pic_chip chips[2]; /* master, slave */
    struct irq_line output;
    bool output_level;
};

void pic_init(struct pic *p, struct irq_line output);
bool pic_attach(struct pic *p, struct bus *ports);  /* 20, A0, 4D0 */
void pic_set_line(void *pic, u32 line, bool level); /* for struct irq_line; lines 0 to 15 */
bool pic_pending(const struct pic *p);              /* the level of the output */
u8 pic_acknowledge(struct pic *p); /* returns the vector; the spurious one if none is pending */

#endif
