/* SPDX-License-Identifier: Apache-2.0 */
/* The bus: devices sorted by address and found by bisection; the device found last is
 * remembered. */
#include "device/bus.h"

#include <assert.h>

void bus_init(struct bus *bus, const char *name)
{
    *bus = (struct bus){.name = name};
}

/* Returns the number of devices that start at or before an address. */
static u32 bus_upper(const struct bus *bus, u64 address)
{
    u32 low = 0, high = bus->count;
    while (low < high) {
        u32 middle = (low + high) / 2;
        if (bus->devices[middle]->start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool bus_add(struct bus *bus, struct device *device)
{
    if (!device->size || device->start + (device->size - 1) < device->start)
        return false;
    if (bus->count == BUS_DEVICES_MAX)
        return false;
    u32 at = bus_upper(bus, device->start);
    if (at > 0) {
        const struct device *before = bus->devices[at - 1];
        if (device->start - before->start < before->size)
            return false;
    }
    if (at < bus->count && bus->devices[at]->start - device->start < device->size)
        return false;
    memmove(&bus->devices[at + 1], &bus->devices[at], (bus->count - at) * sizeof bus->devices[0]);
    bus->devices[at] = device;
    bus->count++;
    return true;
}

void bus_remove(struct bus *bus, struct device *device)
{
    for (u32 i = 0; i < bus->count; i++) {
        if (bus->devices[i] != device)
            continue;
        bus->count--;
        memmove(&bus->devices[i], &bus->devices[i + 1], (bus->count - i) * sizeof bus->devices[0]);
        if (bus->last == device)
            bus->last = NULL;
        return;
    }
}

struct device *bus_find(struct bus *bus, u64 address)
{
    struct device *last = bus->last;
    if (last && address - last->start < last->size)
        return last;
    u32 at = bus_upper(bus, address);
    if (at == 0)
        return NULL;
    struct device *found = bus->devices[at - 1];
    if (address - found->start >= found->size)
        return NULL;
    bus->last = found;
    return found;
}

/* Returns how many bytes of an access at `address` a device takes at once. */
static u32 bus_piece(const struct device *device, u64 address, u32 size)
{
    u64 width = device->width ? device->width : 8;
    return (u32)min_u64(min_u64(size, width), device->size - (address - device->start));
}

u64 bus_read(struct bus *bus, u64 address, u32 size)
{
    assert(size <= sizeof(u64));
    u64 value = 0;
    for (u32 done = 0; done < size;) {
        u64 at = address + done;
        struct device *device = bus_find(bus, at);
        u32 piece = device ? bus_piece(device, at, size - done) : 1;
        u64 part = device ? device->read(device, at - device->start, piece) : 0xff;
        value |= bus_truncate(part, piece) << (done * 8);
        done += piece;
    }
    return value;
}

void bus_write(struct bus *bus, u64 address, u32 size, u64 value)
{
    assert(size <= sizeof(u64));
    for (u32 done = 0; done < size;) {
        u64 at = address + done;
        struct device *device = bus_find(bus, at);
        u32 piece = device ? bus_piece(device, at, size - done) : 1;
        if (device)
            device->write(device, at - device->start, piece,
                          bus_truncate(value >> (done * 8), piece));
        done += piece;
    }
}
