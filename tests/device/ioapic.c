/* SPDX-License-Identifier: Apache-2.0 */
/* The I/O APIC, alone and wired to a local APIC, and the lines that lead to it and to the 8259s. */
#include "device/gsi.h"
#include "device/ioapic.h"
#include "device/lapic.h"
#include "device/pic.h"
#include "common.h"

struct desk {
    struct world world;
    struct ioapic ioapic;
    struct lapic_bus bus;
    struct lapic cpu;
    struct pic pic;
    struct gsi gsi;
    u64 address;
    u32 data, messages;
};

static void on_message(void *ctx, u64 address, u32 data)
{
    struct desk *d = ctx;
    d->address = address;
    d->data = data;
    d->messages++;
    lapic_bus_msi(&d->bus, address, data);
}

static void on_eoi(void *ctx, u8 vector)
{
    struct desk *d = ctx;
    ioapic_end_of_interrupt(&d->ioapic, vector);
}

static void desk_init(struct desk *d)
{
    memset(d, 0, sizeof *d);
    world_init(&d->world);
    ioapic_init(&d->ioapic, (struct msi_port){on_message, d});
    assert_true(bus_add(&d->world.memory, &d->ioapic.window));
    lapic_bus_init(&d->bus, (struct lapic_events){.eoi = on_eoi, .ctx = d});
    assert_true(lapic_init(&d->cpu, &d->bus, &d->world.timers, 0, 0));
    lapic_write(&d->cpu, 0xf0, 0x1ff);
    pic_init(&d->pic, (struct irq_line){0});
    d->gsi = (struct gsi){&d->pic, &d->ioapic};
}

static u32 get(struct desk *d, u8 index)
{
    bus_write(&d->world.memory, IOAPIC_BASE, 4, index);
    return (u32)bus_read(&d->world.memory, IOAPIC_BASE + 0x10, 4);
}

static void put(struct desk *d, u8 index, u32 value)
{
    bus_write(&d->world.memory, IOAPIC_BASE, 4, index);
    bus_write(&d->world.memory, IOAPIC_BASE + 0x10, 4, value);
}

static void program(struct desk *d, u8 pin, u32 low, u32 high)
{
    put(d, (u8)(0x11 + 2 * pin), high);
    put(d, (u8)(0x10 + 2 * pin), low);
}

static void registers(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    assert_int_equal(get(&d, 1), 0x00170011); /* 24 pins */
    put(&d, 0, 0xffffffff);
    assert_int_equal(get(&d, 0), 0x0f000000);
    for (u8 pin = 0; pin < IOAPIC_PINS; pin++)
        assert_int_equal(get(&d, (u8)(0x10 + 2 * pin)), 0x10000);
    program(&d, 23, 0xffffffff, 0xffffffff);
    assert_int_equal(get(&d, 0x3e), 0x0001afff); /* status and remote IRR are not for software */
    assert_int_equal(get(&d, 0x3f), 0xff000000);
    put(&d, 0x40, 0x1234);
    assert_int_equal(get(&d, 0x40), 0);
    assert_int_equal(get(&d, 0xff), 0);
}

static void an_edge_is_one_message(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    ioapic_set_pin(&d.ioapic, 4, true); /* masked: lost */
    ioapic_set_pin(&d.ioapic, 4, false);
    program(&d, 4, 0x0951, 0x05000000); /* logical, lowest priority */
    assert_int_equal(d.messages, 0);
    ioapic_set_pin(&d.ioapic, 4, true);
    ioapic_set_pin(&d.ioapic, 4, true);
    assert_int_equal(d.messages, 1);
    assert_int_equal(d.address, 0xfee05004);
    assert_int_equal(d.data, 0x151);
    ioapic_set_pin(&d.ioapic, 4, false);
    ioapic_set_pin(&d.ioapic, 4, true);
    assert_int_equal(d.messages, 2);
}

static void a_level_fires_again_while_it_is_high(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    program(&d, 17, 0xa061, 0); /* level, active low: polarity is the wiring's business */
    ioapic_set_pin(&d.ioapic, 17, true);
    assert_int_equal(d.data, 0xc061);
    assert_int_equal(get(&d, 0x32) & 0x4000, 0x4000);
    ioapic_set_pin(&d.ioapic, 17, false);
    ioapic_set_pin(&d.ioapic, 17, true);
    assert_int_equal(d.messages, 1); /* being served */
    assert_int_equal(lapic_acknowledge(&d.cpu), 0x61);
    lapic_write(&d.cpu, 0xb0, 0);
    assert_int_equal(d.messages, 2);
    assert_int_equal(lapic_acknowledge(&d.cpu), 0x61);
    ioapic_set_pin(&d.ioapic, 17, false);
    lapic_write(&d.cpu, 0xb0, 0);
    assert_int_equal(d.messages, 2);
    assert_int_equal(get(&d, 0x32) & 0x4000, 0);
}

static void unmasking_a_high_level_fires(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    program(&d, 9, 0x18055, 0);
    ioapic_set_pin(&d.ioapic, 9, true);
    assert_int_equal(d.messages, 0);
    put(&d, 0x22, 0x8055);
    assert_int_equal(d.messages, 1);
}

/* How software ends an interrupt at an I/O APIC without an EOI register:
 * to masked edge and back. */
static void turning_to_edge_clears_the_remote_irr(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    program(&d, 9, 0x8055, 0);
    ioapic_set_pin(&d.ioapic, 9, true);
    put(&d, 0x22, 0x10055);
    assert_int_equal(get(&d, 0x22), 0x10055);
    put(&d, 0x22, 0x8055);
    assert_int_equal(d.messages, 2);
}

static void interrupt_0_is_pin_2(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    assert_true(pic_attach(&d.pic, &d.world.ports));
    struct irq_line timer = gsi_line(&d.gsi, 0), pci = gsi_line(&d.gsi, 16),
                    beyond = gsi_line(&d.gsi, 24);
    program(&d, 2, 0x30, 0);
    program(&d, 16, 0x40, 0);
    irq_pulse(&timer);
    assert_int_equal(d.data, 0x30);
    outb(&d.world, 0x20, 0x0a);
    assert_int_equal(inb(&d.world, 0x20), 0x01); /* and the 8259 has it too */
    irq_pulse(&pci);
    assert_int_equal(d.data, 0x40);
    assert_int_equal(inb(&d.world, 0x20), 0x01);
    irq_pulse(&beyond);
    assert_int_equal(d.messages, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers),
        cmocka_unit_test(an_edge_is_one_message),
        cmocka_unit_test(a_level_fires_again_while_it_is_high),
        cmocka_unit_test(unmasking_a_high_level_fires),
        cmocka_unit_test(turning_to_edge_clears_the_remote_irr),
        cmocka_unit_test(interrupt_0_is_pin_2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
