/* SPDX-License-Identifier: Apache-2.0 */
/* The device for hypervisor tests, access by access. */
#include "common.h"

#include "device/testdev.h"

static struct world world;
static struct testdev device;

static int set_up(void **state)
{
    (void)state;
    world_init(&world);
    testdev_init(&device);
    for (u32 i = 0; i < TESTDEV_LINES; i++)
        device.line[i] = lines_line(&world.lines, i);
    assert_true(testdev_attach(&device, &world.ports, &world.memory));
    return 0;
}

static void the_ports_keep_what_is_written(void **state)
{
    (void)state;
    bus_write(&world.ports, 0xe0, 4, 0x44332211);
    assert_int_equal(bus_read(&world.ports, 0xe0, 4), 0x44332211);
    assert_int_equal(bus_read(&world.ports, 0xe0, 1), 0x11);
    assert_int_equal(bus_read(&world.ports, 0xe1, 2), 0x3322);
    outb(&world, 0xe2, 0x99);
    assert_int_equal(bus_read(&world.ports, 0xe0, 4), 0x44992211);
    bus_write(&world.ports, 0xe2, 2, 0xabcd);
    assert_int_equal(bus_read(&world.ports, 0xe0, 4), 0xabcd2211);
}

static void the_second_port_takes_bytes_of_the_same_value(void **state)
{
    (void)state;
    bus_write(&world.ports, 0xe0, 4, 0x04030201);
    assert_int_equal(bus_read(&world.ports, 0xe8, 4), 0x04030201);
    bus_write(&world.ports, 0xe8, 4, 0x88776655);
    assert_int_equal(bus_read(&world.ports, 0xe0, 4), 0x88776655);
    assert_int_equal(device.kept_bytes.width, 1);
}

static void a_line_follows_its_port(void **state)
{
    (void)state;
    for (u32 i = 0; i < TESTDEV_LINES; i++) {
        outb(&world, (u16)(0x2000 + i), 0x80);
        assert_true(world.lines.level[i]);
        assert_int_equal(world.lines.rises[i], 1);
        outb(&world, (u16)(0x2000 + i), 1);
        assert_int_equal(world.lines.rises[i], 1);
        outb(&world, (u16)(0x2000 + i), 0);
        assert_false(world.lines.level[i]);
    }
    assert_int_equal(inb(&world, 0x2000 + TESTDEV_LINES), 0xff);
}

static void the_memory_has_64_kib_behind_the_bus(void **state)
{
    (void)state;
    bus_write(&world.memory, 0xff000000, 8, 0x8877665544332211);
    bus_write(&world.memory, 0xff00fffc, 4, 0xdeadbeef);
    assert_true(bus_read(&world.memory, 0xff000000, 8) == 0x8877665544332211);
    assert_int_equal(bus_read(&world.memory, 0xff000003, 2), 0x5544);
    assert_int_equal(bus_read(&world.memory, 0xff00fffc, 4), 0xdeadbeef);
    assert_int_equal(bus_read(&world.memory, 0xff010000, 4), 0xffffffff);
    assert_true(bus_read(&world.memory, 0xff00fffe, 4) == 0xffffdead);
}

/* There is no mapping to drop: the request does nothing, and nothing else answers at its port. */
static void a_flush_of_a_page_is_accepted(void **state)
{
    (void)state;
    bus_write(&world.ports, 0xe0, 4, 5);
    bus_write(&world.ports, 0xe4, 4, 0x1000);
    assert_int_equal(bus_read(&world.ports, 0xe4, 4), 0);
    assert_int_equal(bus_read(&world.ports, 0xe0, 4), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_ports_keep_what_is_written, set_up),
        cmocka_unit_test_setup(the_second_port_takes_bytes_of_the_same_value, set_up),
        cmocka_unit_test_setup(a_line_follows_its_port, set_up),
        cmocka_unit_test_setup(the_memory_has_64_kib_behind_the_bus, set_up),
        cmocka_unit_test_setup(a_flush_of_a_page_is_accepted, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
