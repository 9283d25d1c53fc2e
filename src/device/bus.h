/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One kind of bus for ports, memory-mapped registers and PCI configuration space. A device embeds a
 * `struct device` per range of addresses it answers; what nobody answers reads as ones.
 */
#ifndef SOFTSEV_DEVICE_BUS_H
#define SOFTSEV_DEVICE_BUS_H

#include "base/base.h"

#define BUS_DEVICES_MAX 128

struct device {
    const char *name;
    u64 start, size; /* bytes (ports); the bus keeps devices apart */
    u32 width; /* the widest access in bytes it takes at once; 0 means 8. Wider ones are split. */
    /* `offset` + `size` lies within the device; `size` is 1 to `width`, not always a power of two's
     * aligned address: a device takes what it understands and answers ones to the rest. */
    u64 (*read)(struct device *device, u64 offset, u32 size);
    void (*write)(struct device *device, u64 offset, u32 size, u64 value);
};

struct bus {
    const char *name;
    struct device *devices[BUS_DEVICES_MAX]; /* by start, never overlapping */
    u32 count;
    struct device *last; /* the one found last */
};

void bus_init(struct bus *bus, const char *name);
/* False if the range is empty, wraps, overlaps another device's, or the bus is full. */
bool bus_add(struct bus *bus, struct device *device);
void bus_remove(struct bus *bus, struct device *device); /* no effect if it is not on the bus */
struct device *bus_find(struct bus *bus, u64 address);   /* NULL if nobody answers */

/* An access of 1, 2, 4 or 8 bytes. One that spans devices, or is wider than its device takes, is
 * done in pieces from the lowest address up, as a bus with byte enables does it. */
u64 bus_read(struct bus *bus, u64 address, u32 size);
void bus_write(struct bus *bus, u64 address, u32 size, u64 value);

/* The low `size` bytes of a value, size 0 to 8. */
static inline u64 bus_truncate(u64 value, u32 size)
{
    return size >= 8 ? value : value & (BIT(size * 8) - 1);
}

#endif
