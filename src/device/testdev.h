/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device for programs that test a hypervisor; QEMU calls it pc-testdev. It has ports that keep
 * what is written (E0, and E8 byte by byte), a port that asks the host to drop a page's mapping
 * (E4), a port for each interrupt line (2000 to 2017), and 64 KiB of memory behind a device
 * (FF000000).
 */
#ifndef SOFTSEV_DEVICE_TESTDEV_H
#define SOFTSEV_DEVICE_TESTDEV_H

#include "device/bus.h"
#include "device/irq.h"

#define TESTDEV_LINES       24u
#define TESTDEV_MEMORY      0xff000000u
#define TESTDEV_MEMORY_SIZE 0x10000u

struct testdev {
    struct device kept, flush, kept_bytes, lines, window;
    u8 value[4]; /* what both kept ports show */
    struct irq_line line[TESTDEV_LINES];
    u8 memory[TESTDEV_MEMORY_SIZE];
};

/* The caller connects the lines; an unconnected line does nothing. */
void testdev_init(struct testdev *t);
bool testdev_attach(struct testdev *t, struct bus *ports, struct bus *memory);

#endif
