/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The secure processor's PCI function, driven as Linux's ccp driver does [host 1], and by a host
 * that does not keep to the order.
 */
#include "device/psp.h"
#include "common.h"

#define DEVFN     PCI_DEVFN(7, 0)
#define BAR       0xd0800000ull
#define BAR_MSIX  0xd0900000ull
#define COMMAND   0x10980u
#define LOW       0x109e0u
#define HIGH      0x109e4u
#define FEATURE   0x109fcu
#define ENABLE    0x10690u
#define STATUS    0x10694u
#define MSI_MAGIC 0x4142u

struct desk {
    struct world world;
    struct pci pci;
    struct psp psp;
    /* the firmware's side */
    u32 commands, command, answer;
    u64 buffer;
    /* the interrupt controller's */
    u32 messages, data;
    u64 address;
    u32 command_at_message, status_at_message;
};

static u32 run(void *ctx, u32 command, u64 buffer)
{
    struct desk *d = ctx;
    d->commands++;
    d->command = command;
    d->buffer = buffer;
    return d->answer;
}

static u32 get(struct desk *d, u32 offset)
{
    return (u32)bus_read(&d->world.memory, BAR + offset, 4);
}

static void put(struct desk *d, u32 offset, u32 value)
{
    bus_write(&d->world.memory, BAR + offset, 4, value);
}

static void on_message(void *ctx, u64 address, u32 data)
{
    struct desk *d = ctx;
    d->messages++;
    d->address = address;
    d->data = data;
    d->command_at_message = get(d, COMMAND);
    d->status_at_message = get(d, STATUS);
}

static u32 config(struct desk *d, u32 offset, u32 size)
{
    return (u32)bus_read(&d->pci.config, DEVFN * 256u + offset, size);
}

static void config_put(struct desk *d, u32 offset, u32 size, u32 value)
{
    bus_write(&d->pci.config, DEVFN * 256u + offset, size, value);
}

static u32 capability(struct desk *d, u32 id)
{
    u32 at = config(d, 0x34, 1);
    while (at && config(d, at, 1) != id)
        at = config(d, at + 1, 1);
    assert_true(at);
    return at;
}

static void desk_init(struct desk *d)
{
    memset(d, 0, sizeof *d);
    world_init(&d->world);
    assert_true(pci_init(&d->pci, &d->world.ports, &d->world.memory,
                         (struct msi_port){on_message, d}, PCI_HOST_I440FX, NULL));
    assert_true(psp_init(&d->psp, (struct mailbox_backend){run, d}));
    assert_true(pci_add(&d->pci, &d->psp.pci, DEVFN, (struct irq_line){0}));
    assert_true(pci_assign_bar(&d->psp.pci, 2, BAR) && pci_assign_bar(&d->psp.pci, 5, BAR_MSIX));
}

/* The driver enables MSI-X with its vector 0, then the interrupts of the device. */
static void enable_msix(struct desk *d)
{
    bus_write(&d->world.memory, BAR_MSIX, 8, 0xfee01000);
    bus_write(&d->world.memory, BAR_MSIX + 8, 4, 0x41);
    bus_write(&d->world.memory, BAR_MSIX + 12, 4, 0);
    config_put(d, capability(d, 0x11) + 2, 2, 0x8000);
    put(d, ENABLE, ~0u);
}

static void submit(struct desk *d, u32 command, u64 buffer, bool interrupt)
{
    put(d, LOW, (u32)buffer);
    put(d, HIGH, (u32)(buffer >> 32));
    put(d, COMMAND, command << 16 | interrupt);
}

static void the_function_is_the_one_that_drivers_know(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    assert_int_equal(config(&d, 0, 4), 0x14ca1022);
    assert_int_equal(config(&d, 8, 4) >> 8, 0x108000);
    assert_int_equal(config(&d, 0x0e, 1), 0);
    assert_int_equal(config(&d, 0x3d, 1), 0); /* no INTx */
    config_put(&d, 0x18, 4, ~0u);
    assert_int_equal(config(&d, 0x18, 4), 0xfff00000);            /* BAR 2: 1 MiB below 4 GiB */
    assert_int_equal(config(&d, capability(&d, 0x11) + 2, 2), 1); /* two vectors */
    assert_int_equal(config(&d, capability(&d, 0x05) + 2, 2), 0x80);
}

static void the_registers_say_what_there_is(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    assert_int_equal(get(&d, FEATURE), 1); /* SEV alone */
    put(&d, FEATURE, 0);
    assert_int_equal(get(&d, FEATURE), 1);
    assert_int_equal(get(&d, COMMAND), 0x80000000);
    static const u32 absent[] = {0, 0x10544, 0x10550, 0x109e8, 0x109ec, 0x10a44, 0xffffc};
    for (u32 i = 0; i < ARRAY_SIZE(absent); i++) {
        put(&d, absent[i], ~0u);
        assert_int_equal(get(&d, absent[i]), 0);
    }
    put(&d, LOW, 0x89abcdef);
    assert_int_equal(bus_read(&d.world.memory, BAR + LOW, 1), 0xef);
    assert_true(bus_read(&d.world.memory, BAR + LOW, 8) == 0x89abcdef);
    assert_int_equal(bus_read(&d.world.memory, BAR + LOW + 1, 2), 0);
    assert_int_equal(d.commands, 0);
}

static void a_command_ends_with_a_message(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    put(&d, ENABLE, 0); /* as the probe does */
    put(&d, STATUS, ~0u);
    enable_msix(&d);
    d.answer = 0x1b;
    submit(&d, 0x85, 0x8000012345678ull, true);
    assert_int_equal(d.commands, 1);
    assert_int_equal(d.command, 0x85);
    assert_true(d.buffer == 0x8000012345678ull);
    assert_int_equal(d.messages, 1);
    assert_true(d.address == 0xfee01000 && d.data == 0x41);
    assert_int_equal(d.command_at_message, 0x8000001b); /* the status came first */
    assert_int_equal(d.status_at_message, 2);
    assert_int_equal(get(&d, LOW), 0x12345678); /* nothing more is told on errors */
    put(&d, STATUS, get(&d, STATUS));
    assert_int_equal(get(&d, STATUS), 0);
    submit(&d, 0x7ff, 0, true); /* the whole field */
    assert_int_equal(d.command, 0x7ff);
    assert_int_equal(d.messages, 2);
}

static void a_host_that_polls_gets_no_message(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    enable_msix(&d);
    submit(&d, 4, 0x1000, false);
    assert_int_equal(get(&d, COMMAND), 0x80000000);
    assert_int_equal(get(&d, STATUS), 0);
    put(&d, ENABLE, ~2u); /* masks the message, not the status */
    submit(&d, 4, 0x1000, true);
    assert_int_equal(get(&d, STATUS), 2);
    assert_int_equal(d.commands, 2);
    assert_int_equal(d.messages, 0);
}

static void without_msi_x_the_message_is_an_msi(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    put(&d, ENABLE, ~0u);
    submit(&d, 4, 0, true);
    assert_int_equal(d.messages, 0); /* neither is enabled */
    u32 at = capability(&d, 0x05);
    config_put(&d, at + 4, 4, 0xfee02003);
    config_put(&d, at + 8, 4, 0);
    config_put(&d, at + 12, 4, MSI_MAGIC);
    config_put(&d, at + 2, 2, 0xffff);
    assert_int_equal(config(&d, at + 2, 2), 0x81); /* one message alone */
    submit(&d, 4, 0, true);
    assert_int_equal(d.messages, 1);
    assert_true(d.address == 0xfee02000 && d.data == MSI_MAGIC);
    enable_msix(&d); /* MSI-X has precedence */
    submit(&d, 4, 0, true);
    assert_int_equal(d.messages, 2);
    assert_int_equal(d.data, 0x41);
}

static void only_whole_writes_submit(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    bus_write(&d.world.memory, BAR + COMMAND, 2, 4);
    bus_write(&d.world.memory, BAR + COMMAND + 2, 2, 4);
    bus_write(&d.world.memory, BAR + COMMAND, 1, 1);
    bus_write(&d.world.memory, BAR + COMMAND + 1, 4, ~0u);
    put(&d, COMMAND, 0x80040001); /* with the response bit it is no command */
    assert_int_equal(d.commands, 0);
    assert_int_equal(get(&d, COMMAND), 0x80000000);
    bus_write(&d.world.memory, BAR + COMMAND, 8, 0xffffffff00040000ull); /* two registers */
    assert_int_equal(d.commands, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_function_is_the_one_that_drivers_know),
        cmocka_unit_test(the_registers_say_what_there_is),
        cmocka_unit_test(a_command_ends_with_a_message),
        cmocka_unit_test(a_host_that_polls_gets_no_message),
        cmocka_unit_test(without_msi_x_the_message_is_an_msi),
        cmocka_unit_test(only_whole_writes_submit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
