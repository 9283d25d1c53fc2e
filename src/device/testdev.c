/* SPDX-License-Identifier: Apache-2.0 */
/* The device for hypervisor tests; see testdev.h. */
#include "device/testdev.h"

#include "base/bytes.h"

#define KEPT_PORT       0xe0
#define FLUSH_PORT      0xe4
#define KEPT_BYTES_PORT 0xe8
#define LINES_PORT      0x2000

static u64 kept_read(struct testdev *t, u64 offset, u32 size)
{
    u8 value[8] = {0};
    memcpy(value, t->value + offset, size);
    return load_le64(value);
}

static void kept_write(struct testdev *t, u64 offset, u32 size, u64 value)
{
    u8 bytes[8];
    store_le64(bytes, value);
    memcpy(t->value + offset, bytes, size);
}

static u64 testdev_kept_read(struct device *device, u64 offset, u32 size)
{
    return kept_read(CONTAINER_OF(device, struct testdev, kept), offset, size);
}

static void testdev_kept_write(struct device *device, u64 offset, u32 size, u64 value)
{
    kept_write(CONTAINER_OF(device, struct testdev, kept), offset, size, value);
}

static u64 testdev_kept_bytes_read(struct device *device, u64 offset, u32 size)
{
    return kept_read(CONTAINER_OF(device, struct testdev, kept_bytes), offset, size);
}

static void testdev_kept_bytes_write(struct device *device, u64 offset, u32 size, u64 value)
{
    kept_write(CONTAINER_OF(device, struct testdev, kept_bytes), offset, size, value);
}

static u64 testdev_nothing_read(struct device *device, u64 offset, u32 size)
{
    (void)device, (void)offset, (void)size;
    return 0;
}

/* Does nothing: the nested tables are the mapping that the host would drop, and they never change
 * without the guest. */
static void testdev_flush_write(struct device *device, u64 offset, u32 size, u64 value)
{
    (void)device, (void)offset, (void)size, (void)value;
}

static void testdev_line_write(struct device *device, u64 offset, u32 size, u64 value)
{
    (void)size;
    struct testdev *t = CONTAINER_OF(device, struct testdev, lines);
    irq_set(&t->line[offset], value != 0);
}

static u64 testdev_window_read(struct device *device, u64 offset, u32 size)
{
    struct testdev *t = CONTAINER_OF(device, struct testdev, window);
    u8 value[8] = {0};
    memcpy(value, t->memory + offset, size);
    return load_le64(value);
}

static void testdev_window_write(struct device *device, u64 offset, u32 size, u64 value)
{
    struct testdev *t = CONTAINER_OF(device, struct testdev, window);
    u8 bytes[8];
    store_le64(bytes, value);
    memcpy(t->memory + offset, bytes, size);
}

void testdev_init(struct testdev *t)
{
    *t = (struct testdev){
        .kept = {"testdev", KEPT_PORT, 4, 4, testdev_kept_read, testdev_kept_write},
        .flush = {"testdev-flush", FLUSH_PORT, 4, 4, testdev_nothing_read, testdev_flush_write},
        .kept_bytes = {"testdev-bytes", KEPT_BYTES_PORT, 4, 1, testdev_kept_bytes_read,
                       testdev_kept_bytes_write},
        .lines = {"testdev-lines", LINES_PORT, TESTDEV_LINES, 1, testdev_nothing_read,
                  testdev_line_write},
        .window = {"testdev-memory", TESTDEV_MEMORY, TESTDEV_MEMORY_SIZE, 8, testdev_window_read,
                   testdev_window_write},
    };
}

bool testdev_attach(struct testdev *t, struct bus *ports, struct bus *memory)
{
    return bus_add(ports, &t->kept) && bus_add(ports, &t->flush) &&
           bus_add(ports, &t->kept_bytes) && bus_add(ports, &t->lines) &&
           bus_add(memory, &t->window);
}
