/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pair of 8259As [Intel 8259A data sheet]. Each chip has request, mask and service bits; the
 * slave's output is the master's input 2. Supports fixed and rotating priority, the four kinds of
 * EOI, polling, special mask and special fully nested mode.
 */
#include "device/pic.h"

#define PIC_INPUTS      8
#define PIC_CASCADE     2
#define PIC_NONE        (-1)
#define MASTER_PORT     0x20
#define SLAVE_PORT      0xa0
#define ELCR_PORT       0x4d0
#define ELCR_MASK_FIRST 0xf8 /* 0, 1 and 2 are always edge-triggered */
#define ELCR_MASK_OTHER 0xde /* 8 and 13 */

#define ICW1          0x10
#define ICW1_ICW4     0x01
#define ICW1_SINGLE   0x02
#define ICW4_AUTO_EOI 0x02
#define ICW4_NESTED   0x10
#define OCW3          0x08
#define OCW3_READ     0x02
#define OCW3_READ_ISR 0x01
#define OCW3_POLL     0x04
#define OCW3_SET_MASK 0x40
#define OCW3_MASK     0x20

/* Returns the input with the highest priority among `bits`, or PIC_NONE. */
static int pic_highest(const struct pic_chip *c, u8 bits)
{
    for (u32 i = 1; bits && i <= PIC_INPUTS; i++) {
        u32 input = (c->lowest + i) % PIC_INPUTS;
        if (bits & (1u << input))
            return (int)input;
    }
    return PIC_NONE;
}

/* Returns a priority as a distance: 0 is the highest, 8 is none. */
static u32 pic_rank(const struct pic_chip *c, int input)
{
    if (input == PIC_NONE)
        return PIC_INPUTS;
    return ((u32)input + PIC_INPUTS - c->lowest - 1) % PIC_INPUTS;
}

/* Returns the input for which this chip would interrupt, or PIC_NONE. */
static int pic_chip_request(const struct pic_chip *c)
{
    int request = pic_highest(c, c->irr & (u8)~c->imr);
    u8 blocking = c->isr;
    if (c->special_mask)
        blocking &= (u8)~c->imr; /* a masked input in service does not block others */
    if (c->special_nested && c == &c->pic->chips[0])
        blocking &= (u8) ~(1u << PIC_CASCADE); /* the slave has its own priorities */
    return pic_rank(c, request) < pic_rank(c, pic_highest(c, blocking)) ? request : PIC_NONE;
}

static void pic_chip_set_line(struct pic_chip *c, u32 input, bool level)
{
    u8 bit = (u8)(1u << input);
    if (level && ((c->elcr & bit) || !(c->lines & bit)))
        c->irr |= bit;
    if (!level && (c->elcr & bit))
        c->irr &= (u8)~bit;
    c->lines = level ? c->lines | bit : c->lines & (u8)~bit;
}

static void pic_update(struct pic *p)
{
    bool cascade = pic_chip_request(&p->chips[1]) != PIC_NONE;
    struct pic_chip *master = &p->chips[0];
    /* The slave's output is low during its acknowledge cycle, so another request is a new edge. */
    master->irr &= (u8) ~(1u << PIC_CASCADE);
    master->irr |= (u8)((cascade ? 1u : 0u) << PIC_CASCADE);
    bool output = pic_chip_request(master) != PIC_NONE;
    if (output != p->output_level) {
        p->output_level = output;
        irq_set(&p->output, output);
    }
}

static void pic_chip_end(struct pic_chip *c, int input, bool rotate)
{
    if (input == PIC_NONE)
        return;
    c->isr &= (u8) ~(1u << input);
    if (rotate)
        c->lowest = (u8)input;
}

/* Does one chip's acknowledge cycle. Returns the input, or PIC_NONE if there was no request. */
static int pic_chip_acknowledge(struct pic_chip *c)
{
    int input = pic_chip_request(c);
    if (input == PIC_NONE)
        return PIC_NONE;
    u8 bit = (u8)(1u << input);
    if (!(c->elcr & bit))
        c->irr &= (u8)~bit;
    c->isr |= bit;
    if (c->auto_eoi)
        pic_chip_end(c, input, c->rotate_on_auto_eoi);
    return input;
}

static u8 pic_chip_vector(const struct pic_chip *c, int input)
{
    return (u8)(c->base | (input == PIC_NONE ? 7 : input)); /* 7: the spurious interrupt */
}

bool pic_pending(const struct pic *p)
{
    return p->output_level;
}

u8 pic_acknowledge(struct pic *p)
{
    int input = pic_chip_acknowledge(&p->chips[0]);
    u8 vector = pic_chip_vector(&p->chips[0], input);
    if (input == PIC_CASCADE)
        vector = pic_chip_vector(&p->chips[1], pic_chip_acknowledge(&p->chips[1]));
    pic_update(p);
    return vector;
}

void pic_set_line(void *pic, u32 line, bool level)
{
    struct pic *p = pic;
    if (line >= 2 * PIC_INPUTS || line == PIC_CASCADE)
        return;
    pic_chip_set_line(&p->chips[line / PIC_INPUTS], line % PIC_INPUTS, level);
    pic_update(p);
}

static void pic_write_icw1(struct pic_chip *c, u8 value)
{
    c->imr = 0;
    c->isr = 0;
    c->lowest = PIC_INPUTS - 1;
    c->special_mask = false;
    c->read_isr = false;
    c->poll = false;
    c->auto_eoi = false;
    c->special_nested = false;
    c->rotate_on_auto_eoi = false;
    c->irr = c->lines & c->elcr; /* pending edges are lost */
    c->single = value & ICW1_SINGLE;
    c->icw4_needed = value & ICW1_ICW4;
    c->init_step = 2;
}

static void pic_write_icw(struct pic_chip *c, u8 value)
{
    switch (c->init_step) {
    case 2:
        c->base = value & 0xf8;
        c->init_step = c->single ? (c->icw4_needed ? 4 : 0) : 3;
        break;
    case 3: /* the slave's input: fixed by the wiring on a PC */
        c->init_step = c->icw4_needed ? 4 : 0;
        break;
    default:
        c->auto_eoi = value & ICW4_AUTO_EOI;
        c->special_nested = value & ICW4_NESTED;
        c->init_step = 0;
        break;
    }
}

/* Handles OCW2: bits 7..5 are rotate, specific, end of interrupt; bits 2..0 are the input. */
static void pic_write_ocw2(struct pic_chip *c, u8 value)
{
    int input = value & 7;
    u8 in_service = c->special_mask ? c->isr & (u8)~c->imr : c->isr;
    switch (value >> 5) {
    case 0:
        c->rotate_on_auto_eoi = false;
        break;
    case 4:
        c->rotate_on_auto_eoi = true;
        break;
    case 1: /* ends the one with the highest priority */
    case 5:
        pic_chip_end(c, pic_highest(c, in_service), value & 0x80);
        break;
    case 3: /* ends the given one */
    case 7:
        pic_chip_end(c, input, value & 0x80);
        break;
    case 6:
        c->lowest = (u8)input;
        break;
    default: /* 2: no operation */
        break;
    }
}

static void pic_write_ocw3(struct pic_chip *c, u8 value)
{
    if (value & OCW3_READ)
        c->read_isr = value & OCW3_READ_ISR;
    if (value & OCW3_SET_MASK)
        c->special_mask = value & OCW3_MASK;
    c->poll = value & OCW3_POLL;
}

static void pic_chip_write(struct device *device, u64 offset, u32 size, u64 value)
{
    (void)size;
    struct pic_chip *c = CONTAINER_OF(device, struct pic_chip, ports);
    u8 byte = (u8)value;
    if (offset == 0 && (byte & ICW1))
        pic_write_icw1(c, byte);
    else if (offset == 0 && (byte & OCW3))
        pic_write_ocw3(c, byte);
    else if (offset == 0)
        pic_write_ocw2(c, byte);
    else if (c->init_step)
        pic_write_icw(c, byte);
    else
        c->imr = byte;
    pic_update(c->pic);
}

/* Handles a read after the poll command, which acknowledges as the processor would. */
static u8 pic_chip_poll(struct pic_chip *c)
{
    c->poll = false;
    int input = pic_chip_acknowledge(c);
    pic_update(c->pic);
    return input == PIC_NONE ? 0 : (u8)(0x80 | input);
}

static u64 pic_chip_read(struct device *device, u64 offset, u32 size)
{
    (void)size;
    struct pic_chip *c = CONTAINER_OF(device, struct pic_chip, ports);
    if (c->poll)
        return pic_chip_poll(c);
    if (offset == 1)
        return c->imr;
    return c->read_isr ? c->isr : c->irr;
}

static u64 pic_elcr_read(struct device *device, u64 offset, u32 size)
{
    (void)offset, (void)size;
    return CONTAINER_OF(device, struct pic_chip, elcr_port)->elcr;
}

static void pic_elcr_write(struct device *device, u64 offset, u32 size, u64 value)
{
    (void)offset, (void)size;
    struct pic_chip *c = CONTAINER_OF(device, struct pic_chip, elcr_port);
    c->elcr = (u8)(value & c->elcr_mask);
}

void pic_init(struct pic *p, struct irq_line output)
{
    *p = (struct pic){.output = output};
    for (u32 i = 0; i < 2; i++) {
        p->chips[i] = (struct pic_chip){
            .ports = {"pic", i ? SLAVE_PORT : MASTER_PORT, 2, 1, pic_chip_read, pic_chip_write},
            .elcr_port = {"elcr", ELCR_PORT + i, 1, 1, pic_elcr_read, pic_elcr_write},
            .pic = p,
            .lowest = PIC_INPUTS - 1,
            .elcr_mask = i ? ELCR_MASK_OTHER : ELCR_MASK_FIRST,
            .imr = 0xff, /* masked until software initialises it */
        };
    }
}

bool pic_attach(struct pic *p, struct bus *ports)
{
    return bus_add(ports, &p->chips[0].ports) && bus_add(ports, &p->chips[1].ports) &&
           bus_add(ports, &p->chips[0].elcr_port) && bus_add(ports, &p->chips[1].elcr_port);
}
