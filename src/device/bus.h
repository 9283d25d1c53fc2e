/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One kind of bus for ports, memory-mapped registers and PCI configuration space. A device embeds a
 * `struct device` for each range of addresses that it answers. An address without a device reads as
 * ones.
 */
#ifndef SOFTSEV_DEVICE_BUS_H
#define SOFTSEV_DEVICE_BUS_H

#include "base/base.h"

#define BUS_DEVICES_MAX 128

struct device {
    const char *name;
    u64 start, size; /* bytes (ports); the bus rejects overlapping ranges */
    u32 width;       /* the widest access that the device takes, in bytes; 0 means 8 */
    /* `offset` + `size` lies within the device. `size` is 1 to `width` and need not be an aligned
     * power of two: a device answers accesses that it does not support with ones. */
    u64 (*read)(struct device *device, u64 offset, u32 size);
    void (*write)(struct device *device, u64 offset, u32 size, u64 value);
};

struct bus {
    const char *name;
    struct device *devices[BUS_DEVICES_MAX]; /* sorted by start, never overlapping */
    u32 count;
    struct device *last; /* the one found last */
};

void bus_init(struct bus *bus, const char *name);
/* Adds a device. Returns false if its range is empty, wraps or overlaps another device, or if the
 * bus is full. */
bool bus_add(struct bus *bus, struct device *device);
void bus_remove(struct bus *bus, struct device *device); /* does nothing if it is not on the bus */
struct device *bus_find(struct bus *bus, u64 address);   /* NULL: no device at the address */

/* Accesses 1, 2, 4 or 8 bytes. An access that spans devices, or is wider than its device supports,
 * is split and done from the lowest address up, as on a bus with byte enables. */
u64 bus_read(struct bus *bus, u64 address, u32 size);
void bus_write(struct bus *bus, u64 address, u32 size, u64 value);

/* Returns the low `size` bytes of a value, size 0 to 8. */
static inline u64 bus_truncate(u64 value, u32 size)
{
    return size >= 8 ? value : value & (BIT(size * 8) - 1);
}

#endif
