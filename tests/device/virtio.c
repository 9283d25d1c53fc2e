/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio, driven through its registers as a driver does it: negotiation, the disk, the console and
 * the entropy source, and a table of malformed chains that must stop the device and nothing else.
 */
#include "device/virtio_blk.h"
#include "device/virtio_console.h"
#include "device/virtio_rng.h"
#include "common.h"

#define BAR    0xd0000000ull
#define COMMON BAR
#define ISR    (BAR + 0x1000)
#define CONFIG (BAR + 0x2000)
#define NOTIFY (BAR + 0x3000)

/* Where the driver keeps things in guest memory. */
#define RING(q)  (0x1000u * (q))
#define DESC     0x0000u
#define AVAIL    0x0800u
#define USED     0x0c00u
#define HEADER   0x8000u
#define DATA     0x9000u
#define STATUS   0xf000u
#define INDIRECT 0x10000u

#define NEXT  1
#define WRITE 2
#define TABLE 4

#define DISK_SECTORS 256u

struct desk {
    struct world world;
    struct pci pci;
    struct guest guest;
    struct virtio_blk blk;
    struct virtio_console console;
    struct virtio_rng rng;
    struct virtio *device; /* the one under test */
    u8 disk[DISK_SECTORS * SECTOR_SIZE];
    char text[5000];
    u32 flushes, messages;
    u32 data;
    bool disk_fails;
};

static struct desk desk;

static void on_message(void *ctx, u64 address, u32 data)
{
    struct desk *d = ctx;
    (void)address;
    d->data = data;
    d->messages++;
}

static bool disk_read(void *ctx, u64 sector, void *out, u64 count)
{
    struct desk *d = ctx;
    assert_true(range_fits(sector, count, DISK_SECTORS));
    memcpy(out, d->disk + sector * SECTOR_SIZE, count * SECTOR_SIZE);
    return !d->disk_fails;
}

static bool disk_write(void *ctx, u64 sector, const void *data, u64 count)
{
    struct desk *d = ctx;
    assert_true(range_fits(sector, count, DISK_SECTORS));
    memcpy(d->disk + sector * SECTOR_SIZE, data, count * SECTOR_SIZE);
    return !d->disk_fails;
}

static bool disk_flush(void *ctx)
{
    struct desk *d = ctx;
    d->flushes++;
    return !d->disk_fails;
}

static void on_text(void *ctx, const u8 *bytes, u64 count)
{
    struct desk *d = ctx;
    size_t length = strlen(d->text);
    assert_true(length + count < sizeof d->text);
    memcpy(d->text + length, bytes, count);
}

static void on_random(void *ctx, void *out, size_t count)
{
    (void)ctx;
    memset(out, 0xa5, count);
}

static struct desk *desk_init(void)
{
    struct desk *d = &desk;
    memset(d, 0, sizeof *d);
    world_init(&d->world);
    assert_true(pci_init(&d->pci, &d->world.ports, &d->world.memory,
                         (struct msi_port){on_message, d}, PCI_HOST_I440FX, NULL));
    for (u32 i = 0; i < sizeof d->disk; i++)
        d->disk[i] = (u8)(i / SECTOR_SIZE + i);
    return d;
}

static u64 get(struct desk *d, u64 address, u32 size)
{
    return bus_read(&d->world.memory, address, size);
}

static void put(struct desk *d, u64 address, u32 size, u64 value)
{
    bus_write(&d->world.memory, address, size, value);
}

static void plug(struct desk *d, struct virtio *v)
{
    d->device = v;
    assert_true(pci_add(&d->pci, &v->pci, PCI_DEVFN(1, 0), lines_line(&d->world.lines, 17)));
    assert_true(pci_assign_bar(&v->pci, 4, BAR));
    bus_write(&d->pci.config, 0x0804, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void set_queue(struct desk *d, u32 queue, u32 size)
{
    put(d, COMMON + 0x16, 2, queue);
    put(d, COMMON + 0x18, 2, size);
    put(d, COMMON + 0x20, 4, RING(queue) + DESC);
    put(d, COMMON + 0x24, 4, 0);
    put(d, COMMON + 0x28, 8, RING(queue) + AVAIL);
    put(d, COMMON + 0x30, 4, RING(queue) + USED);
    put(d, COMMON + 0x34, 4, 0);
    put(d, COMMON + 0x1c, 2, 1);
}

/* A driver's way from reset to DRIVER_OK, taking all features it is offered. */
static void drive(struct desk *d, u32 queues)
{
    put(d, COMMON + 0x14, 1, 0);
    put(d, COMMON + 0x14, 1, 1);
    put(d, COMMON + 0x14, 1, 3);
    for (u32 i = 0; i < 2; i++) {
        put(d, COMMON + 0x00, 4, i);
        u64 features = get(d, COMMON + 0x04, 4);
        put(d, COMMON + 0x08, 4, i);
        put(d, COMMON + 0x0c, 4, features);
    }
    put(d, COMMON + 0x14, 1, 0x0b);
    assert_int_equal(get(d, COMMON + 0x14, 1), 0x0b);
    for (u32 i = 0; i < queues; i++)
        set_queue(d, i, 16);
    put(d, COMMON + 0x14, 1, 0x0f);
}

static struct desk *disk_init(bool read_only)
{
    struct desk *d = desk_init();
    struct block_backend backend = {disk_read, disk_write, disk_flush, DISK_SECTORS, read_only, d};
    assert_true(virtio_blk_init(&d->blk, guest_dma(&d->guest), backend, "disk-1"));
    plug(d, &d->blk.virtio);
    return d;
}

static void descriptor(struct desk *d, u64 table, u32 index, u64 gpa, u32 size, u16 flags, u16 next)
{
    u8 *at = d->guest.bytes + table + index * 16ull;
    store_le64(at, gpa);
    store_le32(at + 8, size);
    store_le16(at + 12, flags);
    store_le16(at + 14, next);
}

/* Makes a head available and rings. */
static void offer(struct desk *d, u32 queue, u16 head)
{
    u8 *avail = d->guest.bytes + RING(queue) + AVAIL;
    u16 index = load_le16(avail + 2);
    store_le16(avail + 4 + 2 * (index % 16), head);
    store_le16(avail + 2, (u16)(index + 1));
    put(d, NOTIFY + 4 * queue, 2, queue);
}

static u16 used_index(struct desk *d, u32 queue)
{
    return load_le16(d->guest.bytes + RING(queue) + USED + 2);
}

static u32 used_length(struct desk *d, u32 queue, u32 slot)
{
    return load_le32(d->guest.bytes + RING(queue) + USED + 4 + 8 * slot + 4);
}

/* A disk request: header, `data_size` bytes at DATA (0: none) and the status. */
static u8 disk_request(struct desk *d, u32 type, u64 sector, u32 data_size, bool write)
{
    store_le32(d->guest.bytes + HEADER, type);
    store_le64(d->guest.bytes + HEADER + 8, sector);
    d->guest.bytes[STATUS] = 0xee;
    descriptor(d, DESC, 0, HEADER, 16, NEXT, data_size ? 1 : 2);
    descriptor(d, DESC, 1, DATA, data_size, (u16)(NEXT | (write ? 0 : WRITE)), 2);
    descriptor(d, DESC, 2, STATUS, 1, WRITE, 0);
    offer(d, 0, 0);
    return d->guest.bytes[STATUS];
}

static void the_capabilities_name_the_registers(void **state)
{
    (void)state;
    struct desk *d = disk_init(false);
    struct bus *config = &d->pci.config;
    assert_int_equal(bus_read(config, 0x800, 4), 0x10421af4);
    u32 found = 0, steps = 0;
    for (u64 at = bus_read(config, 0x834, 1); at; at = bus_read(config, 0x800 + at + 1, 1)) {
        assert_true(++steps < 20);
        if (bus_read(config, 0x800 + at, 1) != 0x09)
            continue;
        u32 type = (u32)bus_read(config, 0x800 + at + 3, 1);
        found |= 1u << type;
        if (type == 5)
            continue;
        assert_int_equal(bus_read(config, 0x800 + at + 4, 1), 4);
        u32 offset = (u32)bus_read(config, 0x800 + at + 8, 4);
        assert_int_equal(offset, type == 1 ? 0 : type == 2 ? 0x3000 : type == 3 ? 0x1000 : 0x2000);
        if (type == 2)
            assert_int_equal(bus_read(config, 0x800 + at + 16, 4), 4);
    }
    assert_int_equal(found, 0x3e); /* types 1 to 5 */
}

static void the_window_reaches_the_registers(void **state)
{
    (void)state;
    struct desk *d = disk_init(false);
    struct bus *config = &d->pci.config;
    u64 at = 0x800 + d->blk.virtio.window_capability;
    bus_write(config, at + 4, 1, 4);
    bus_write(config, at + 8, 4, 0x14);
    bus_write(config, at + 12, 4, 1);
    bus_write(config, at + 16, 4, 0x03);
    assert_int_equal(get(d, COMMON + 0x14, 1), 3);
    assert_int_equal(bus_read(config, at + 16, 1), 3);
    static const u32 wrong[][2] = {{0x14, 3},       {0x13, 2},   {0x4000, 1},
                                   {0xffffffff, 4}, {0x3fff, 4}, {0, 8}};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        bus_write(config, at + 8, 4, wrong[i][0]);
        bus_write(config, at + 12, 4, wrong[i][1]);
        bus_write(config, at + 16, 4, 0);
        bus_read(config, at + 16, 4);
        assert_int_equal(get(d, COMMON + 0x14, 1), 3);
    }
}

static void features_are_negotiated(void **state)
{
    (void)state;
    struct desk *d = disk_init(true);
    put(d, COMMON + 0x00, 4, 1);
    assert_int_equal(get(d, COMMON + 0x04, 4), 3); /* VERSION_1, ACCESS_PLATFORM */
    put(d, COMMON + 0x00, 4, 0);
    assert_int_equal(get(d, COMMON + 0x04, 4) & 0x20, 0x20); /* read-only */
    put(d, COMMON + 0x00, 4, 2);
    assert_int_equal(get(d, COMMON + 0x04, 4), 0);
    put(d, COMMON + 0x14, 1, 0x0b); /* nothing accepted: no VERSION_1 */
    assert_int_equal(get(d, COMMON + 0x14, 1), 0x03);
    put(d, COMMON + 0x08, 4, 1);
    put(d, COMMON + 0x0c, 4, 0x81); /* something never offered */
    put(d, COMMON + 0x14, 1, 0x0b);
    assert_int_equal(get(d, COMMON + 0x14, 1), 0x03);
    put(d, COMMON + 0x0c, 4, 0x03);
    put(d, COMMON + 0x14, 1, 0x0b);
    assert_int_equal(get(d, COMMON + 0x14, 1), 0x0b);
    put(d, COMMON + 0x0c, 4, 0x01); /* too late */
    assert_int_equal(get(d, COMMON + 0x0c, 4), 0x03);
    put(d, COMMON + 0x14, 1, 0);
    assert_int_equal(get(d, COMMON + 0x14, 1), 0);
    assert_int_equal(get(d, COMMON + 0x0c, 4), 0);
}

static void queue_registers(void **state)
{
    (void)state;
    struct desk *d = disk_init(false);
    assert_int_equal(get(d, COMMON + 0x12, 2), 1);
    assert_int_equal(get(d, COMMON + 0x18, 2), 128);
    put(d, COMMON + 0x18, 2, 100); /* no power of two */
    put(d, COMMON + 0x18, 2, 256); /* more than the device has */
    put(d, COMMON + 0x18, 2, 0);
    assert_int_equal(get(d, COMMON + 0x18, 2), 128);
    set_queue(d, 0, 16);
    assert_int_equal(get(d, COMMON + 0x18, 2), 16);
    assert_int_equal(get(d, COMMON + 0x28, 8), AVAIL);
    put(d, COMMON + 0x28, 4, 0x5000); /* live: fixed */
    assert_int_equal(get(d, COMMON + 0x28, 4), AVAIL);
    put(d, COMMON + 0x1a, 2, 1);
    assert_int_equal(get(d, COMMON + 0x1a, 2), 1);
    put(d, COMMON + 0x1a, 2, 2); /* there are two vectors */
    assert_int_equal(get(d, COMMON + 0x1a, 2), 0xffff);
    put(d, COMMON + 0x16, 2, 1); /* no such queue */
    assert_int_equal(get(d, COMMON + 0x18, 2), 0);
    put(d, COMMON + 0x1c, 2, 1);
    assert_int_equal(get(d, COMMON + 0x1c, 2), 0);
    assert_int_equal(get(d, CONFIG, 8), DISK_SECTORS);
    assert_int_equal(get(d, CONFIG + 56, 8), 0);
}

static void the_disk_reads_and_writes(void **state)
{
    (void)state;
    struct desk *d = disk_init(false);
    drive(d, 1);
    assert_int_equal(disk_request(d, 0, 3, 1024, false), 0);
    assert_memory_equal(d->guest.bytes + DATA, d->disk + 3 * SECTOR_SIZE, 1024);
    assert_int_equal(used_index(d, 0), 1);
    assert_int_equal(used_length(d, 0, 0), 1025);
    assert_true(d->world.lines.level[17]);
    assert_int_equal(get(d, ISR, 1), 1);
    assert_false(d->world.lines.level[17]);
    assert_int_equal(get(d, ISR, 1), 0);
    memset(d->guest.bytes + DATA, 0x77, 512);
    assert_int_equal(disk_request(d, 1, DISK_SECTORS - 1, 512, true), 0);
    assert_int_equal(d->disk[DISK_SECTORS * SECTOR_SIZE - 1], 0x77);
    assert_int_equal(used_length(d, 0, 1), 1);
    assert_int_equal(disk_request(d, 4, 0, 0, false), 0);
    assert_int_equal(d->flushes, 1);
    assert_int_equal(disk_request(d, 8, 0, 20, false), 0);
    assert_memory_equal(d->guest.bytes + DATA, "disk-1\0\0", 8);
    assert_int_equal(d->blk.requests, 4);
}

static void wrong_disk_requests_get_a_status(void **state)
{
    (void)state;
    static const struct {
        u32 type;
        u64 sector;
        u32 size;
        bool write;
        u8 status;
    } cases[] = {
        {0, DISK_SECTORS, 512, false, 1},
        {0, DISK_SECTORS - 1, 1024, false, 1},
        {0, UINT64_MAX, 512, false, 1},
        {0, UINT64_MAX / 512, 512, false, 1},
        {0, 0, 511, false, 1},
        {1, DISK_SECTORS, 512, true, 1},
        {1, 0, 513, true, 1},
        {2, 0, 512, false, 2},
        {0xffffffff, 0, 512, false, 2},
        {1, 0, 512, false, 0}, /* nothing to write */
    };
    struct desk *d = disk_init(false);
    drive(d, 1);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(
            disk_request(d, cases[i].type, cases[i].sector, cases[i].size, cases[i].write),
            cases[i].status);
    d->disk_fails = true;
    assert_int_equal(disk_request(d, 0, 0, 512, false), 1);
    assert_int_equal(disk_request(d, 4, 0, 0, false), 1);
    d = disk_init(true);
    drive(d, 1);
    assert_int_equal(disk_request(d, 1, 0, 512, true), 1);
    assert_int_equal(disk_request(d, 0, 0, 512, false), 0);
}

static void the_ring_wraps(void **state)
{
    (void)state;
    struct desk *d = disk_init(false);
    drive(d, 1);
    for (u32 i = 0; i < 70000; i++)
        assert_int_equal(disk_request(d, 0, i % DISK_SECTORS, 512, false), 0);
    assert_int_equal(used_index(d, 0), 70000 % 65536);
    assert_memory_equal(d->guest.bytes + DATA, d->disk + 69999 % DISK_SECTORS * SECTOR_SIZE, 512);
}

static void indirect_tables_are_followed(void **state)
{
    (void)state;
    struct desk *d = disk_init(false);
    drive(d, 1);
    store_le32(d->guest.bytes + HEADER, 0);
    store_le64(d->guest.bytes + HEADER + 8, 5);
    descriptor(d, INDIRECT, 0, HEADER, 10, NEXT, 3); /* the header in two parts */
    descriptor(d, INDIRECT, 3, HEADER + 10, 6, NEXT, 1);
    descriptor(d, INDIRECT, 1, DATA, 100, WRITE | NEXT, 2);
    descriptor(d, INDIRECT, 2, DATA + 100, 413, WRITE, 0);
    descriptor(d, DESC, 7, INDIRECT, 64, TABLE, 0);
    offer(d, 0, 7);
    assert_int_equal(used_index(d, 0), 1);
    assert_memory_equal(d->guest.bytes + DATA, d->disk + 5 * SECTOR_SIZE, 512);
    assert_int_equal(d->guest.bytes[DATA + 512], 0);
}

struct malformed {
    const char *what;
    u16 head;
    struct {
        u64 gpa;
        u32 size;
        u16 flags, next;
    } table[4]; /* the queue's descriptors */
    struct {
        u64 gpa;
        u32 size;
        u16 flags, next;
    } indirect[3]; /* at INDIRECT */
};

static const struct malformed malformed[] = {
    {.what = "head outside the table", .head = 16},
    {.what = "head far outside the table", .head = 0xffff},
    {.what = "next outside the table", .table = {{HEADER, 16, NEXT, 16}}},
    {.what = "a loop of one", .table = {{HEADER, 16, NEXT, 0}}},
    {.what = "a loop of two",
     .table = {{STATUS, 1, WRITE | NEXT, 1}, {STATUS, 1, WRITE | NEXT, 0}}},
    {.what = "an empty buffer", .table = {{HEADER, 16, NEXT, 1}, {DATA, 0, WRITE, 0}}},
    {.what = "a buffer that wraps",
     .table = {{HEADER, 16, NEXT, 1}, {UINT64_MAX - 3, 512, WRITE, 0}}},
    {.what = "readable after writable",
     .table = {{STATUS, 1, WRITE | NEXT, 1}, {HEADER, 16, 0, 0}}},
    {.what = "more than a chain may hold",
     .table = {{HEADER, 16, NEXT, 1}, {0, UINT32_MAX, WRITE | NEXT, 2}, {STATUS, 1, WRITE, 0}}},
    {.what = "no writable part", .table = {{HEADER, 16, 0, 0}}},
    {.what = "a short header", .table = {{HEADER, 15, NEXT, 1}, {STATUS, 1, WRITE, 0}}},
    {.what = "a header outside memory",
     .table = {{GUEST_SIZE, 16, NEXT, 1}, {STATUS, 1, WRITE, 0}}},
    {.what = "a status outside memory",
     .table = {{HEADER, 16, NEXT, 1}, {GUEST_SIZE, 1, WRITE, 0}}},
    {.what = "an indirect table and a next",
     .table = {{INDIRECT, 48, TABLE | NEXT, 1}},
     .indirect = {{HEADER, 16, NEXT, 1}, {STATUS, 1, WRITE, 0}}},
    {.what = "an indirect table of no size", .table = {{INDIRECT, 0, TABLE, 0}}},
    {.what = "an indirect table of odd size",
     .table = {{INDIRECT, 40, TABLE, 0}},
     .indirect = {{HEADER, 16, NEXT, 1}, {STATUS, 1, WRITE, 0}}},
    {.what = "an indirect table outside memory", .table = {{GUEST_SIZE, 32, TABLE, 0}}},
    {.what = "an indirect table that wraps", .table = {{UINT64_MAX - 15, 32, TABLE, 0}}},
    {.what = "next outside the indirect table",
     .table = {{INDIRECT, 32, TABLE, 0}},
     .indirect = {{HEADER, 16, NEXT, 2}}},
    {.what = "indirect within indirect",
     .table = {{INDIRECT, 32, TABLE, 0}},
     .indirect = {{INDIRECT, 32, TABLE, 0}}},
    {.what = "a loop in an indirect table",
     .table = {{INDIRECT, 0x10000, TABLE, 0}},
     .indirect = {{HEADER, 1, NEXT, 1}, {HEADER, 1, NEXT, 0}}},
};

static void malformed_chains_stop_the_device(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(malformed); i++) {
        const struct malformed *m = &malformed[i];
        struct desk *d = disk_init(false);
        drive(d, 1);
        for (u32 k = 0; k < ARRAY_SIZE(m->table); k++)
            descriptor(d, DESC, k, m->table[k].gpa, m->table[k].size, m->table[k].flags,
                       m->table[k].next);
        for (u32 k = 0; k < ARRAY_SIZE(m->indirect); k++)
            descriptor(d, INDIRECT, k, m->indirect[k].gpa, m->indirect[k].size,
                       m->indirect[k].flags, m->indirect[k].next);
        offer(d, 0, m->head);
        if (get(d, COMMON + 0x14, 1) != 0x4f || used_index(d, 0) != 0)
            fail_msg("%s: status %x", m->what, (unsigned)get(d, COMMON + 0x14, 1));
        assert_true(d->world.lines.level[17]); /* the driver is told */
        assert_int_equal(get(d, ISR, 1), 2);
        disk_request(d, 0, 0, 512, false); /* and nothing more happens until it resets */
        assert_int_equal(used_index(d, 0), 0);
        memset(d->guest.bytes, 0, sizeof d->guest.bytes);
        drive(d, 1);
        assert_int_equal(disk_request(d, 0, 0, 512, false), 0);
    }
}

static void malformed_rings_stop_the_device(void **state)
{
    (void)state;
    struct desk *d = disk_init(false);
    drive(d, 1);
    store_le16(d->guest.bytes + AVAIL + 2, 17); /* more than the queue holds */
    put(d, NOTIFY, 2, 0);
    assert_int_equal(get(d, COMMON + 0x14, 1), 0x4f);
    static const u32 registers[] = {0x20, 0x28, 0x30};
    static const struct {
        u64 address;
        bool accepted;
    } cases[] = {
        {GUEST_SIZE, true}, {GUEST_SIZE - 1, true}, {BIT(63), true}, {UINT64_MAX - 1, false}};
    for (size_t i = 0; i < ARRAY_SIZE(registers) * ARRAY_SIZE(cases); i++) {
        bool accepted = cases[i % ARRAY_SIZE(cases)].accepted;
        d = disk_init(false);
        drive(d, 0);
        set_queue(d, 0, 16);
        d->blk.virtio.queues[0].enabled = false;
        put(d, COMMON + registers[i / ARRAY_SIZE(cases)], 8, cases[i % ARRAY_SIZE(cases)].address);
        put(d, COMMON + 0x1c, 2, 1);
        assert_int_equal(get(d, COMMON + 0x1c, 2), accepted);
        disk_request(d, 0, 0, 512, false);
        assert_int_equal(get(d, COMMON + 0x14, 1), accepted ? 0x4f : 0x0f);
        assert_int_equal(used_index(d, 0), 0);
    }
}

static void nothing_moves_without_permission(void **state)
{
    (void)state;
    struct desk *d = disk_init(false);
    drive(d, 1);
    bus_write(&d->pci.config, 0x804, 2, PCI_COMMAND_MEMORY); /* not bus master: no DMA */
    assert_int_equal(disk_request(d, 0, 0, 512, false), 0xee);
    put(d, COMMON + 0x14, 1, 0);
    bus_write(&d->pci.config, 0x804, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    set_queue(d, 0, 16);
    put(d, NOTIFY, 2, 0); /* not DRIVER_OK */
    put(d, NOTIFY + 4, 2, 1);
    put(d, NOTIFY + 0xffc, 4, 0xffffffff);
    assert_int_equal(used_index(d, 0), 0);
}

static void messages_replace_the_line(void **state)
{
    (void)state;
    struct desk *d = disk_init(false);
    assert_true(pci_assign_bar(&d->blk.virtio.pci, 1, 0xd8000000));
    bus_write(&d->pci.config, 0x804, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    bus_write(&d->pci.config, 0x802 + d->blk.virtio.pci.msix.capability, 2, 0x8000);
    put(d, 0xd8000010, 8, 0xfee00000);
    put(d, 0xd8000018, 8, 0x41);
    drive(d, 1);
    assert_int_equal(disk_request(d, 0, 0, 512, false), 0);
    assert_int_equal(d->messages, 0); /* no vector yet */
    put(d, COMMON + 0x16, 2, 0);
    put(d, COMMON + 0x1a, 2, 1);
    assert_int_equal(disk_request(d, 0, 0, 512, false), 0);
    assert_int_equal(d->messages, 1);
    assert_int_equal(d->data, 0x41);
    store_le16(d->guest.bytes + AVAIL, 1); /* the driver is polling */
    assert_int_equal(disk_request(d, 0, 0, 512, false), 0);
    assert_int_equal(d->messages, 1);
    assert_false(d->world.lines.level[17]);
}

static void the_console_talks_both_ways(void **state)
{
    (void)state;
    struct desk *d = desk_init();
    assert_true(virtio_console_init(&d->console, guest_dma(&d->guest),
                                    (struct console_backend){on_text, d}));
    plug(d, &d->console.virtio);
    assert_int_equal(virtio_console_receive(&d->console, (const u8 *)"early", 5), 0);
    put(d, CONFIG + 8, 4, '!');
    drive(d, 2);
    memcpy(d->guest.bytes + DATA, "hello", 5);
    descriptor(d, RING(1) + DESC, 0, DATA, 2, NEXT, 1);
    descriptor(d, RING(1) + DESC, 1, DATA + 2, 3, 0, 0);
    offer(d, 1, 0);
    assert_string_equal(d->text, "!hello");
    assert_int_equal(used_index(d, 1), 1);
    descriptor(d, RING(0) + DESC, 0, 0x20000, 4, WRITE, 0);
    descriptor(d, RING(0) + DESC, 1, 0x20100, 4, WRITE, 0);
    offer(d, 0, 0);
    offer(d, 0, 1);
    assert_int_equal(virtio_console_receive(&d->console, (const u8 *)"abcdefghij", 10), 8);
    assert_memory_equal(d->guest.bytes + 0x20000, "abcd", 4);
    assert_memory_equal(d->guest.bytes + 0x20100, "efgh", 4);
    assert_int_equal(used_index(d, 0), 2);
    assert_int_equal(used_length(d, 0, 1), 4);
}

/* Four times 512 KiB of zeros by one notification. */
static void a_queue_pauses_after_a_mebibyte(void **state)
{
    (void)state;
    struct desk *d = desk_init();
    assert_true(virtio_console_init(&d->console, guest_dma(&d->guest),
                                    (struct console_backend){on_text, d}));
    plug(d, &d->console.virtio);
    drive(d, 2);
    for (u16 i = 0; i < 16; i++)
        descriptor(d, RING(1) + DESC, i, 0x10000, KIB(32), i < 15 ? NEXT : 0, (u16)(i + 1));
    store_le16(d->guest.bytes + RING(1) + AVAIL + 2, 3); /* head 0 in all places */
    offer(d, 1, 0);
    assert_int_equal(used_index(d, 1), 2);
    virtio_continue(&d->console.virtio);
    assert_int_equal(used_index(d, 1), 4);
    virtio_continue(&d->console.virtio);
    assert_int_equal(d->console.virtio.paused, 0);
    store_le16(d->guest.bytes + RING(1) + AVAIL + 2, 7);
    offer(d, 1, 0);
    put(d, COMMON + 0x14, 1, 0); /* a reset drops what is left */
    virtio_continue(&d->console.virtio);
    assert_int_equal(used_index(d, 1), 6);
}

static void entropy_fills_what_it_is_given(void **state)
{
    (void)state;
    static const struct random_source source = {on_random, NULL};
    struct desk *d = desk_init();
    assert_true(virtio_rng_init(&d->rng, guest_dma(&d->guest), &source));
    plug(d, &d->rng.virtio);
    drive(d, 1);
    descriptor(d, DESC, 0, DATA, 64, WRITE, 0);
    offer(d, 0, 0);
    assert_int_equal(used_length(d, 0, 0), 64);
    assert_int_equal(d->guest.bytes[DATA + 63], 0xa5);
    assert_int_equal(d->guest.bytes[DATA + 64], 0);
    descriptor(d, DESC, 0, GUEST_SIZE - 8, 64, WRITE, 0);
    offer(d, 0, 0);
    assert_int_equal(used_length(d, 0, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_capabilities_name_the_registers),
        cmocka_unit_test(the_window_reaches_the_registers),
        cmocka_unit_test(features_are_negotiated),
        cmocka_unit_test(queue_registers),
        cmocka_unit_test(the_disk_reads_and_writes),
        cmocka_unit_test(wrong_disk_requests_get_a_status),
        cmocka_unit_test(the_ring_wraps),
        cmocka_unit_test(indirect_tables_are_followed),
        cmocka_unit_test(malformed_chains_stop_the_device),
        cmocka_unit_test(malformed_rings_stop_the_device),
        cmocka_unit_test(nothing_moves_without_permission),
        cmocka_unit_test(messages_replace_the_line),
        cmocka_unit_test(the_console_talks_both_ways),
        cmocka_unit_test(a_queue_pauses_after_a_mebibyte),
        cmocka_unit_test(entropy_fills_what_it_is_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
