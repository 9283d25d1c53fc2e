/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The IOMMU, set up in the order of Linux's driver [host 3.6], then by a host that fills its rings
 * with anything.
 */
#include "device/iommu.h"
#include "common.h"

#define BASE     0xfeb80000ull
#define DEVFN    2u
#define RING     0x10000u /* 512 commands */
#define LOG      0x20000u
#define WORD     0x30000u
#define RING_END 0x2000u

#define CONTROL      0x18u
#define STORE_BASE   0x20u
#define STORE_LIMIT  0x28u
#define FEATURES     0x30u
#define INTERRUPT    0x170u
#define COMMAND_HEAD 0x2000u
#define COMMAND_TAIL 0x2008u
#define EVENT_HEAD   0x2010u
#define EVENT_TAIL   0x2018u
#define STATUS       0x2020u

struct desk {
    struct world world;
    struct guest guest;
    struct pci pci;
    struct iommu iommu;
    u32 reads, messages, data;
    u64 address;
};

static bool counted_read(void *ctx, u64 gpa, void *out, u64 size)
{
    struct desk *d = ctx;
    d->reads++;
    return guest_read(&d->guest, gpa, out, size);
}

static bool desk_write(void *ctx, u64 gpa, const void *data, u64 size)
{
    return guest_write(&((struct desk *)ctx)->guest, gpa, data, size);
}

static void on_message(void *ctx, u64 address, u32 data)
{
    struct desk *d = ctx;
    d->messages++;
    d->address = address;
    d->data = data;
}

static u64 get(struct desk *d, u32 offset)
{
    return bus_read(&d->world.memory, BASE + offset, 8);
}

/* The driver writes in halves. */
static void put(struct desk *d, u32 offset, u64 value)
{
    bus_write(&d->world.memory, BASE + offset, 4, (u32)value);
    bus_write(&d->world.memory, BASE + offset + 4, 4, value >> 32);
}

static void command_at(struct desk *d, u32 offset, u64 low, u64 high)
{
    store_le64(d->guest.bytes + RING + offset, low);
    store_le64(d->guest.bytes + RING + offset + 8, high);
}

static void desk_init(struct desk *d)
{
    memset(d, 0, sizeof *d);
    world_init(&d->world);
    assert_true(pci_init(&d->pci, &d->world.ports, &d->world.memory,
                         (struct msi_port){on_message, d}, PCI_HOST_I440FX, NULL));
    assert_true(iommu_init(&d->iommu, BASE, (struct dma_port){counted_read, desk_write, d}));
    assert_true(iommu_attach(&d->iommu, &d->pci, DEVFN));
}

/* Command buffer of 512 entries, enabled; an event log of 512 entries. */
static void start(struct desk *d)
{
    desk_init(d);
    put(d, CONTROL, 0);
    put(d, 0x08, RING | 9ull << 56);
    put(d, COMMAND_HEAD, 0);
    put(d, COMMAND_TAIL, 0);
    put(d, 0x10, LOG | 9ull << 56);
    put(d, CONTROL, 1 | 1 << 12 | 1 << 2);
}

static void the_function_has_the_capability(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    struct bus *config = &d.pci.config;
    const u64 f = DEVFN * 256u;
    assert_int_equal(bus_read(config, f, 2), 0x1022);
    assert_int_equal(bus_read(config, f + 8, 4) >> 8, 0x080600);
    assert_int_equal(bus_read(config, f + 0x34, 1), 0x40);
    const u32 head = (u32)bus_read(config, f + 0x40, 4);
    assert_int_equal(head & 0xff, 0x0f);
    assert_int_equal(head >> 16 & 7, 3);
    assert_true(head & BIT(27));       /* EFR exists */
    assert_false(head & BIT(26));      /* not-present entries are not cached */
    bus_write(config, f + 0x44, 4, 0); /* locked */
    assert_int_equal(bus_read(config, f + 0x44, 4), BASE | 1);
    assert_int_equal(bus_read(config, f + 0x48, 4), 0);
}

static void the_features_are_those_that_snp_needs(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    assert_true(get(&d, FEATURES) == 0x80000000000000c4ull);
    put(&d, FEATURES, 0);
    assert_true(get(&d, FEATURES) == 0x80000000000000c4ull);
    assert_int_equal(bus_read(&d.world.memory, BASE + FEATURES + 4, 4), 0x80000000);
    assert_int_equal(bus_read(&d.world.memory, BASE + FEATURES + 7, 1), 0x80);
    assert_int_equal(bus_read(&d.world.memory, BASE + FEATURES + 4, 8), 0); /* across two */
    assert_true(get(&d, 0x1a0) == 0);
    put(&d, 0x38, ~0ull); /* a PPR log is not offered */
    assert_true(get(&d, 0x38) == 0);
    put(&d, 0, ~0ull);
    assert_true(get(&d, 0) == 0x000ffffffffff1ffull);
}

static void a_tail_write_completes_everything(void **state)
{
    (void)state;
    struct desk d;
    start(&d);
    assert_int_equal(get(&d, STATUS), 0x18); /* event log and command buffer run */
    command_at(&d, 0, 8ull << 60, 0);        /* INVALIDATE_ALL */
    for (u32 n = 1; n <= 6; n++)             /* the other kinds */
        command_at(&d, n * 16, (u64)(n + 1) << 60 | 0x1234, ~0ull);
    command_at(&d, 7 * 16, 1ull << 60 | WORD | 1, 0x1122334455667788ull);
    put(&d, COMMAND_TAIL, 8 * 16);
    assert_int_equal(get(&d, COMMAND_HEAD), 8 * 16);
    assert_true(load_le64(d.guest.bytes + WORD) == 0x1122334455667788ull);
    command_at(&d, 8 * 16, 1ull << 60 | WORD, 0); /* without a store */
    put(&d, COMMAND_TAIL, 9 * 16);
    assert_true(load_le64(d.guest.bytes + WORD) == 0x1122334455667788ull);
    assert_int_equal(d.messages, 0);
    assert_int_equal(get(&d, EVENT_TAIL), 0);
    put(&d, 0x08, RING | 9ull << 56); /* a new base empties the ring */
    assert_int_equal(get(&d, COMMAND_HEAD) | get(&d, COMMAND_TAIL), 0);
}

static void nothing_runs_before_it_is_enabled(void **state)
{
    (void)state;
    struct desk d;
    start(&d);
    put(&d, CONTROL, 1 << 12); /* without the IOMMU itself */
    command_at(&d, 0, 1ull << 60 | WORD | 1, 7);
    put(&d, COMMAND_TAIL, 16);
    assert_int_equal(get(&d, COMMAND_HEAD), 0);
    assert_int_equal(get(&d, STATUS), 0);
    put(&d, CONTROL, 1 | 1 << 12);
    assert_int_equal(get(&d, COMMAND_HEAD), 16);
    assert_true(load_le64(d.guest.bytes + WORD) == 7);
}

static void waiting_may_interrupt(void **state)
{
    (void)state;
    struct desk d;
    start(&d);
    put(&d, CONTROL, 1 | 1 << 12 | 1 << 4 | 1ull << 51);
    put(&d, INTERRUPT, 0x00000031ull << 32 | 3u << 8 | 4); /* vector 31h, APIC 3, logical */
    command_at(&d, 0, 1ull << 60 | 2, 0);
    put(&d, COMMAND_TAIL, 16);
    assert_int_equal(d.messages, 1);
    assert_true(d.address == 0xfee03004 && d.data == 0x31);
    assert_true(get(&d, STATUS) & 4);
    put(&d, STATUS, 4);
    assert_false(get(&d, STATUS) & 4);
}

static void a_wrong_command_halts_and_is_logged(void **state)
{
    (void)state;
    struct desk d;
    start(&d);
    command_at(&d, 0, 2ull << 60, 0);
    command_at(&d, 16, 0xfull << 60, 0);
    command_at(&d, 32, 1ull << 60 | WORD | 1, 9);
    put(&d, COMMAND_TAIL, 48);
    assert_int_equal(get(&d, COMMAND_HEAD), 16);
    assert_int_equal(get(&d, STATUS), 8 | 2); /* an event; the command buffer stands still */
    assert_int_equal(get(&d, EVENT_TAIL), 16);
    assert_int_equal(load_le64(d.guest.bytes + LOG) >> 60, 5);
    assert_int_equal(load_le64(d.guest.bytes + LOG + 8), RING + 16);
    put(&d, COMMAND_TAIL, 48);
    assert_int_equal(get(&d, COMMAND_HEAD), 16);
    command_at(&d, 16, 8ull << 60, 0); /* mended, and started again */
    put(&d, CONTROL, 1 | 1 << 2);
    put(&d, CONTROL, 1 | 1 << 2 | 1 << 12);
    assert_int_equal(get(&d, COMMAND_HEAD), 48);
    assert_true(load_le64(d.guest.bytes + WORD) == 9);
}

static void rings_outside_of_memory_do_no_harm(void **state)
{
    (void)state;
    struct desk d;
    start(&d);
    command_at(&d, 0, 1ull << 60 | 0xffff0000000ull | 1, 9); /* a store into nothing */
    put(&d, COMMAND_TAIL, 16);
    assert_int_equal(get(&d, EVENT_TAIL), 16);
    assert_int_equal(load_le64(d.guest.bytes + LOG) >> 60, 6);
    put(&d, 0x08, 0xffffffff000ull | 15ull << 56);
    put(&d, CONTROL, 0);
    put(&d, CONTROL, 1 | 1 << 12 | 1 << 2);
    put(&d, COMMAND_TAIL, ~0ull);
    assert_int_equal(get(&d, COMMAND_TAIL), 0x7fff0);
    assert_int_equal(get(&d, COMMAND_HEAD), 0);
    assert_int_equal(get(&d, EVENT_TAIL), 32);
    put(&d, 0x10, 0xffffffff000ull); /* the log, too: it overflows */
    put(&d, CONTROL, 0);
    put(&d, CONTROL, 1 | 1 << 12 | 1 << 2);
    put(&d, COMMAND_TAIL, 16);
    assert_int_equal(get(&d, EVENT_TAIL), 0);
    assert_int_equal(get(&d, STATUS) & 0x19, 1);
}

static void a_full_log_overflows(void **state)
{
    (void)state;
    struct desk d;
    start(&d);
    put(&d, 0x10, LOG | 8ull << 56);
    put(&d, COMMAND_TAIL, 16); /* an empty entry is no command */
    for (u32 n = 1; n < 300; n++) {
        put(&d, CONTROL, 1 | 1 << 2);
        put(&d, CONTROL, 1 | 1 << 2 | 1 << 12);
    }
    assert_int_equal(get(&d, EVENT_TAIL), 255 * 16);
    assert_int_equal(get(&d, STATUS) & 9, 1); /* overflow: it does not run */
    put(&d, EVENT_HEAD, 255 * 16);
    put(&d, STATUS, 1);
    put(&d, CONTROL, 1 | 1 << 2);
    put(&d, CONTROL, 1 | 1 << 2 | 1 << 12);
    assert_int_equal(get(&d, EVENT_TAIL), 0); /* the ring's end */
}

/* A length field below 8 is reserved and counts as 256 entries, and a tail outside of the ring
 * wraps, so one write never runs more than the ring holds. */
static void one_write_runs_one_ring_at_most(void **state)
{
    (void)state;
    struct desk d;
    start(&d);
    for (u32 at = 0; at < RING_END; at += 16)
        command_at(&d, at, 8ull << 60, 0);
    put(&d, 0x08, RING);
    put(&d, COMMAND_HEAD, 16);
    d.reads = 0;
    put(&d, COMMAND_TAIL, 0x7fff0);
    assert_int_equal(get(&d, COMMAND_HEAD), 255 * 16);
    assert_true(d.reads <= 256);
    d.reads = 0;
    put(&d, COMMAND_HEAD, 0); /* moving the head back is a ring, too */
    assert_int_equal(d.reads, 255);
}

static void the_buffers_that_it_writes_are_told(void **state)
{
    (void)state;
    struct desk d;
    struct iommu_buffer buffers[IOMMU_BUFFERS];
    desk_init(&d);
    assert_int_equal(iommu_buffers(&d.iommu, buffers), 0);
    put(&d, 0x10, LOG | 15ull << 56);
    put(&d, STORE_BASE, WORD | 3);
    assert_int_equal(iommu_buffers(&d.iommu, buffers), 1); /* the range's limit is below it */
    put(&d, STORE_LIMIT, WORD + 0x1fff);
    assert_int_equal(iommu_buffers(&d.iommu, buffers), 2);
    assert_true(buffers[0].address == LOG && buffers[0].size == KIB(512));
    assert_true(buffers[1].address == WORD && buffers[1].size == 0x2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_function_has_the_capability),
        cmocka_unit_test(the_features_are_those_that_snp_needs),
        cmocka_unit_test(a_tail_write_completes_everything),
        cmocka_unit_test(nothing_runs_before_it_is_enabled),
        cmocka_unit_test(waiting_may_interrupt),
        cmocka_unit_test(a_wrong_command_halts_and_is_logged),
        cmocka_unit_test(rings_outside_of_memory_do_no_harm),
        cmocka_unit_test(a_full_log_overflows),
        cmocka_unit_test(one_write_runs_one_ring_at_most),
        cmocka_unit_test(the_buffers_that_it_writes_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
