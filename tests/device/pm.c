/* SPDX-License-Identifier: Apache-2.0 */
/* Power management, the ways to reset, and the debug ports. */
#include "device/debug_port.h"
#include "device/pm.h"
#include "device/reset.h"
#include "common.h"

#define PORT 0x600

struct desk {
    struct world world;
    struct pm pm;
    struct reset reset;
    u32 offs, resets, exits, exit_value;
};

static void on_off(void *ctx)
{
    ((struct desk *)ctx)->offs++;
}

static void on_reset(void *ctx)
{
    ((struct desk *)ctx)->resets++;
}

static void on_exit_port(void *ctx, u32 value)
{
    struct desk *d = ctx;
    d->exits++;
    d->exit_value = value;
}

static void desk_init(struct desk *d)
{
    memset(d, 0, sizeof *d);
    world_init(&d->world);
    pm_init(&d->pm, PORT, &d->world.timers, lines_line(&d->world.lines, 9), on_off, d);
    reset_init(&d->reset, on_reset, d);
    assert_true(bus_add(&d->world.ports, &d->pm.ports));
    assert_true(reset_attach(&d->reset, &d->world.ports));
}

static u64 in(struct desk *d, u16 offset, u32 size)
{
    return bus_read(&d->world.ports, PORT + offset, size);
}

static void out(struct desk *d, u16 offset, u32 size, u64 value)
{
    bus_write(&d->world.ports, PORT + offset, size, value);
}

static void the_timer_runs_at_its_frequency_in_24_bits(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    assert_int_equal(in(&d, PM_TIMER, 4), 0);
    d.world.clock.now = SECOND;
    assert_int_equal(in(&d, PM_TIMER, 4), 3579545);
    d.world.clock.now = 10 * SECOND;
    assert_int_equal(in(&d, PM_TIMER, 4), 35795450 & 0xffffff);
    assert_int_equal(in(&d, PM_TIMER + 1, 1), (35795450 >> 8) & 0xff);
}

static void the_machine_is_in_acpi_mode(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    assert_int_equal(in(&d, PM_CONTROL, 2), 1);
    out(&d, PM_CONTROL, 2, 0);
    assert_int_equal(in(&d, PM_CONTROL, 2), 1);
}

static void sleeping_in_s5_powers_off(void **state)
{
    (void)state;
    static const struct {
        u16 value;
        u32 offs;
    } cases[] = {{PM_SLEEP_S5 << 10, 0},
                 {0x2000, 0},
                 {3 << 10 | 0x2000, 0},
                 {PM_SLEEP_S5 << 10 | 0x2000, 1}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct desk d;
        desk_init(&d);
        out(&d, PM_CONTROL, 2, cases[i].value);
        assert_int_equal(d.offs, cases[i].offs);
        assert_int_equal(in(&d, PM_CONTROL, 2) & 0x2000, 0); /* SLP_EN is write-only */
    }
}

static void the_power_button_interrupts_until_it_is_acknowledged(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    pm_press_power_button(&d.pm);
    assert_false(d.world.lines.level[9]);
    out(&d, 2, 2, 0x0100);
    assert_true(d.world.lines.level[9]);
    assert_int_equal(in(&d, 0, 2), 0x0100);
    out(&d, 0, 2, 0xfeff); /* other bits: not this one */
    assert_true(d.world.lines.level[9]);
    out(&d, 0, 2, 0x0100);
    assert_false(d.world.lines.level[9]);
    assert_int_equal(in(&d, 0, 4), 0x01000000);
}

static void timer_carries_set_their_status(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    u64 half_ns = ((u64)(1 << 23) * SECOND + PM_TIMER_HZ - 1) / PM_TIMER_HZ;
    d.world.clock.now = half_ns - 1;
    assert_int_equal(in(&d, 0, 2), 0);
    d.world.clock.now = half_ns;
    assert_int_equal(in(&d, 0, 2), 1);
    out(&d, 0, 2, 1);
    out(&d, 2, 2, 1);
    world_run_until(&d.world, 3 * half_ns);
    assert_int_equal(d.world.lines.rises[9], 1);
    out(&d, 0, 2, 1);
    assert_false(d.world.lines.level[9]);
}

static void resets_of_three_kinds(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    struct world *w = &d.world;
    assert_int_equal(inb(w, 0x64), 0xff); /* no keyboard controller */
    outb(w, 0x64, 0xd1);
    outb(w, 0x64, 0xff); /* pulses nothing */
    assert_int_equal(d.resets, 0);
    outb(w, 0x64, 0xfe);
    assert_int_equal(d.resets, 1);
    assert_int_equal(inb(w, 0x92), 0x02);
    outb(w, 0x92, 0x00);
    assert_int_equal(inb(w, 0x92), 0x02);
    outb(w, 0x92, 0x03);
    assert_int_equal(d.resets, 2);
    outb(w, 0xcf9, 0x02);
    assert_int_equal(d.resets, 2);
    outb(w, 0xcf9, 0x06);
    outb(w, 0xcf9, 0x06); /* only the rising edge */
    assert_int_equal(d.resets, 3);
}

static void collect(void *ctx, const u8 *bytes, u64 count)
{
    char *text = ctx;
    size_t length = strlen(text);
    memcpy(text + length, bytes, count);
}

static void debug_ports(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    struct debug_exit e;
    struct debug_console c;
    char text[16] = "";
    debug_exit_init(&e, on_exit_port, &d);
    debug_console_init(&c, DEBUG_CONSOLE_PORT, (struct console_backend){collect, text});
    assert_true(bus_add(&d.world.ports, &e.port) && bus_add(&d.world.ports, &c.port));
    assert_int_equal(inb(&d.world, DEBUG_CONSOLE_PORT), 0xe9);
    outb(&d.world, DEBUG_CONSOLE_PORT, 'h');
    outb(&d.world, DEBUG_CONSOLE_PORT, 'i');
    assert_string_equal(text, "hi");
    bus_write(&d.world.ports, DEBUG_EXIT_PORT, 4, 0x12345678);
    assert_int_equal(d.exits, 1);
    assert_int_equal(d.exit_value, 0x12345678);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_timer_runs_at_its_frequency_in_24_bits),
        cmocka_unit_test(the_machine_is_in_acpi_mode),
        cmocka_unit_test(sleeping_in_s5_powers_off),
        cmocka_unit_test(the_power_button_interrupts_until_it_is_acknowledged),
        cmocka_unit_test(timer_carries_set_their_status),
        cmocka_unit_test(resets_of_three_kinds),
        cmocka_unit_test(debug_ports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
