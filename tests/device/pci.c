/* SPDX-License-Identifier: Apache-2.0 */
/* PCI: configuration cycles, sizing and moving BARs, capabilities, shared lines, MSI and MSI-X. */
#include "device/pci.h"
#include "device/reset.h"
#include "common.h"

struct desk {
    struct world world;
    struct pci pci;
    struct reset reset;
    struct pci_function a, b;
    u64 address;
    u32 data, messages, resets;
};

static void on_message(void *ctx, u64 address, u32 data)
{
    struct desk *d = ctx;
    d->address = address;
    d->data = data;
    d->messages++;
}

static void on_reset(void *ctx)
{
    ((struct desk *)ctx)->resets++;
}

static u64 region_read(struct device *device, u64 offset, u32 size)
{
    (void)size;
    return device->size << 32 | offset;
}

static void region_write(struct device *device, u64 offset, u32 size, u64 value)
{
    (void)device, (void)offset, (void)size, (void)value;
}

static void desk_init(struct desk *d)
{
    memset(d, 0, sizeof *d);
    world_init(&d->world);
    reset_init(&d->reset, on_reset, d);
    assert_true(pci_init(&d->pci, &d->world.ports, &d->world.memory,
                         (struct msi_port){on_message, d}, PCI_HOST_I440FX, &d->reset.control));
    static const struct pci_identity id = {0x1234, 0x5678, 0x1af4, 0x1100, 0x020000, 3};
    pci_function_init(&d->a, "a", &id);
    pci_set_bar(&d->a, 0, PCI_BAR_PORTS, false, 0x40, region_read, region_write);
    pci_set_bar(&d->a, 1, PCI_BAR_MEMORY32, false, 0x2000, region_read, region_write);
    pci_set_bar(&d->a, 2, PCI_BAR_MEMORY64, true, 0x4000, region_read, region_write);
    assert_true(pci_add_msix(&d->a, 5, 3));
    assert_true(pci_add(&d->pci, &d->a, PCI_DEVFN(1, 0), lines_line(&d->world.lines, 17)));
    pci_function_init(&d->b, "b", &id);
    pci_set_bar(&d->b, 0, PCI_BAR_MEMORY32, false, 0x1000, region_read, region_write);
    assert_true(pci_add_msi(&d->b));
    assert_true(pci_add(&d->pci, &d->b, PCI_DEVFN(2, 0), lines_line(&d->world.lines, 17)));
}

static u32 get(struct desk *d, u32 device, u32 reg, u32 size)
{
    bus_write(&d->world.ports, 0xcf8, 4, 0x80000000 | device << 11 | (reg & 0xfc));
    return (u32)bus_read(&d->world.ports, 0xcfc + (reg & 3), size);
}

static void put(struct desk *d, u32 device, u32 reg, u32 size, u32 value)
{
    bus_write(&d->world.ports, 0xcf8, 4, 0x80000000 | device << 11 | (reg & 0xfc));
    bus_write(&d->world.ports, 0xcfc + (reg & 3), size, value);
}

static void functions_are_found_where_they_are(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    /* The probe for configuration mechanism 1: a byte to CFB,
     * then the address register reads back. */
    outb(&d.world, 0xcfb, 0x01);
    bus_write(&d.world.ports, 0xcf8, 4, 0x80000000);
    assert_int_equal(bus_read(&d.world.ports, 0xcf8, 4), 0x80000000);
    assert_int_equal(get(&d, 0, 0, 4), 0x12378086);
    assert_int_equal(get(&d, 0, 0x0a, 2), 0x0600);
    assert_int_equal(get(&d, 1, 0, 4), 0x56781234);
    assert_int_equal(get(&d, 1, 8, 4), 0x02000003);
    assert_int_equal(get(&d, 1, 0x2c, 4), 0x11001af4);
    assert_int_equal(get(&d, 1, 0x3c, 2), 0x0111); /* INTA on 17 */
    assert_int_equal(get(&d, 3, 0, 4), 0xffffffff);
    bus_write(&d.world.ports, 0xcf8, 4, 0x80010000); /* bus 1 */
    assert_int_equal(bus_read(&d.world.ports, 0xcfc, 4), 0xffffffff);
    bus_write(&d.world.ports, 0xcf8, 4, 0x00000000); /* not enabled */
    assert_int_equal(bus_read(&d.world.ports, 0xcfc, 4), 0xffffffff);
    put(&d, 1, 0, 4, 0); /* read-only */
    assert_int_equal(get(&d, 1, 0, 4), 0x56781234);
}

static void cf9_is_the_reset_register(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    bus_write(&d.world.ports, 0xcf8, 4, 0x80000600); /* a wide write is no reset */
    assert_int_equal(d.resets, 0);
    outb(&d.world, 0xcf9, 0x02);
    outb(&d.world, 0xcf9, 0x0e);
    assert_int_equal(d.resets, 1);
}

static void bars_tell_their_sizes(void **state)
{
    (void)state;
    static const struct {
        u32 reg, sized;
    } cases[] = {{0x10, 0xffffffc1}, {0x14, 0xffffe000}, {0x18, 0xffffc00c}, {0x1c, 0xffffffff},
                 {0x20, 0},          {0x24, 0xfffff000}, {0x30, 0}};
    struct desk d;
    desk_init(&d);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        u32 old = get(&d, 1, cases[i].reg, 4);
        put(&d, 1, cases[i].reg, 4, 0xffffffff);
        assert_int_equal(get(&d, 1, cases[i].reg, 4), cases[i].sized);
        put(&d, 1, cases[i].reg, 4, old);
        assert_int_equal(get(&d, 1, cases[i].reg, 4), old);
    }
}

static void devices_move_with_their_bars(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    struct bus *memory = &d.world.memory;
    put(&d, 1, 0x10, 4, 0xc000);
    put(&d, 1, 0x18, 4, 0xe0000000);
    put(&d, 1, 0x1c, 4, 0x12);
    assert_null(bus_find(memory, 0x12e0000000));
    put(&d, 1, 0x04, 2, 0x0003);
    assert_int_equal(bus_read(memory, 0x12e0003ff8, 8), 0x400000003ff8);
    assert_int_equal(bus_read(&d.world.ports, 0xc03c, 4), 0x3c);
    put(&d, 1, 0x1c, 4, 0x13);
    assert_null(bus_find(memory, 0x12e0000000));
    assert_non_null(bus_find(memory, 0x13e0000000));
    put(&d, 1, 0x04, 2, 0x0001);
    assert_null(bus_find(memory, 0x13e0000000));
    assert_non_null(bus_find(&d.world.ports, 0xc000));
    assert_true(pci_assign_bar(&d.a, 1, 0xd0000000));
    assert_int_equal(get(&d, 1, 0x14, 4), 0xd0000000);
    assert_int_equal(get(&d, 1, 0x04, 2), 0x0003);
    assert_int_equal(bus_read(memory, 0xd0001000, 4), 0x1000);
}

/* One in the way of another is hidden until it goes; a hostile address displaces nobody. */
static void overlapping_bars_wait(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    assert_true(pci_assign_bar(&d.a, 1, 0xd0000000));
    assert_false(pci_assign_bar(&d.b, 0, 0xd0001000));
    assert_ptr_equal(bus_find(&d.world.memory, 0xd0001000), &d.a.bars[1].region);
    put(&d, 1, 0x14, 4, 0xd8000000);
    assert_ptr_equal(bus_find(&d.world.memory, 0xd0001000), &d.b.bars[0].region);
    put(&d, 1, 0x10, 4, 0x0cc0); /* over CF8 */
    put(&d, 1, 0x04, 2, 0x0003);
    assert_int_equal(get(&d, 1, 0, 4), 0x56781234);
    put(&d, 1, 0x18, 4, 0xffffffff); /* the end of the address space */
    put(&d, 1, 0x1c, 4, 0xffffffff);
    assert_non_null(bus_find(&d.world.memory, UINT64_MAX));
}

static void shared_lines_are_high_while_anybody_holds_them(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    pci_set_intx(&d.a, true);
    pci_set_intx(&d.b, true);
    assert_true(d.world.lines.level[17]);
    assert_int_equal(get(&d, 1, 0x06, 2) & 8, 8);
    pci_set_intx(&d.a, false);
    assert_true(d.world.lines.level[17]);
    put(&d, 2, 0x04, 2, 0x0400); /* interrupt disable */
    assert_false(d.world.lines.level[17]);
    assert_int_equal(get(&d, 2, 0x06, 2) & 8, 8); /* still wanted */
    put(&d, 2, 0x04, 2, 0x0000);
    assert_true(d.world.lines.level[17]);
    pci_set_intx(&d.b, false);
    assert_false(d.world.lines.level[17]);
}

static void msix_sends_and_waits_behind_masks(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    u32 cap = get(&d, 1, 0x34, 1);
    assert_int_equal(get(&d, 1, 0x06, 2) & 0x10, 0x10);
    assert_int_equal(get(&d, 1, cap, 4), 0x00020011); /* 3 vectors */
    assert_int_equal(get(&d, 1, cap + 4, 4), 0x00000005);
    assert_int_equal(get(&d, 1, cap + 8, 4), 0x00000805);
    assert_true(pci_assign_bar(&d.a, 5, 0xd0000000));
    struct bus *memory = &d.world.memory;
    assert_int_equal(bus_read(memory, 0xd000001c, 4), 1); /* masked at reset */
    pci_msix_send(&d.a, 1);
    assert_int_equal(d.messages, 0); /* not enabled: gone */
    put(&d, 1, cap + 2, 2, 0x8000);
    bus_write(memory, 0xd0000010, 8, 0xfee01000);
    bus_write(memory, 0xd0000018, 4, 0x4051);
    pci_msix_send(&d.a, 1);
    assert_int_equal(d.messages, 0);
    assert_int_equal(bus_read(memory, 0xd0000800, 4), 2);
    bus_write(memory, 0xd000001c, 4, 0);
    assert_int_equal(d.messages, 1);
    assert_int_equal(d.address, 0xfee01000);
    assert_int_equal(d.data, 0x4051);
    assert_int_equal(bus_read(memory, 0xd0000800, 8), 0);
    put(&d, 1, cap + 2, 2, 0xc000);
    pci_msix_send(&d.a, 1);
    pci_msix_send(&d.a, 3); /* there is no such vector */
    pci_msix_send(&d.a, UINT32_MAX);
    assert_int_equal(d.messages, 1);
    put(&d, 1, cap + 2, 2, 0x8000);
    assert_int_equal(d.messages, 2);
    bus_write(memory, 0xd0000030, 4, 0xffffffff); /* behind the table */
    assert_int_equal(bus_read(memory, 0xd0000030, 4), 0);
    pci_set_intx(&d.a, true); /* with MSI-X on, the line is silent */
    assert_false(d.world.lines.level[17]);
    put(&d, 1, cap + 2, 2, 0x0000);
    assert_true(d.world.lines.level[17]);
}

static void an_msi_is_one_message_and_silences_the_line(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    u32 cap = get(&d, 2, 0x34, 1);
    assert_int_equal(get(&d, 2, cap, 4), 0x00800005); /* a 64-bit address */
    put(&d, 2, cap + 4, 4, 0xfee03fff);
    put(&d, 2, cap + 8, 4, 0x12);
    put(&d, 2, cap + 12, 2, 0x4061);
    pci_msi_send(&d.b);
    pci_msi_send(&d.a); /* it has none */
    assert_int_equal(d.messages, 0);
    pci_set_intx(&d.b, true);
    assert_true(d.world.lines.level[17]);
    put(&d, 2, cap + 2, 2, 0xffff);
    assert_false(d.world.lines.level[17]);
    assert_int_equal(get(&d, 2, cap + 2, 2), 0x0081); /* no more than one message */
    pci_msi_send(&d.b);
    assert_int_equal(d.messages, 1);
    assert_true(d.address == 0x12fee03ffc);
    assert_int_equal(d.data, 0x4061);
    put(&d, 2, cap + 2, 2, 0);
    assert_true(d.world.lines.level[17]);
}

static void the_memory_window_shows_the_same_space(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    assert_true(pci_add_ecam(&d.pci, 0xb0000000));
    struct bus *memory = &d.world.memory;
    assert_int_equal(bus_read(memory, 0xb0000000 + (1 << 15), 4), 0x56781234);
    assert_int_equal(bus_read(memory, 0xb0000000 + (1 << 15) + 0x100, 4),
                     0); /* no extended capabilities */
    assert_int_equal(bus_read(memory, 0xb0000000 + (9 << 15), 4), 0xffffffff);
    assert_int_equal(bus_read(memory, 0xb0000000 + (9 << 15) + 0x100, 4), 0xffffffff);
    bus_write(memory, 0xb0000000 + (1 << 15) + 0x3c, 1, 0x55);
    assert_int_equal(get(&d, 1, 0x3c, 1), 0x55);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_are_found_where_they_are),
        cmocka_unit_test(cf9_is_the_reset_register),
        cmocka_unit_test(bars_tell_their_sizes),
        cmocka_unit_test(devices_move_with_their_bars),
        cmocka_unit_test(overlapping_bars_wait),
        cmocka_unit_test(shared_lines_are_high_while_anybody_holds_them),
        cmocka_unit_test(msix_sends_and_waits_behind_masks),
        cmocka_unit_test(an_msi_is_one_message_and_silences_the_line),
        cmocka_unit_test(the_memory_window_shows_the_same_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
