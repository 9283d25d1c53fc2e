/* SPDX-License-Identifier: Apache-2.0 */
/* The 8259 pair: initialisation, priorities, the ends of interrupt, cascade, level inputs. */
#include "device/pic.h"
#include "common.h"

struct desk {
    struct world world;
    struct pic pic;
};

/* As a PC's kernel programs it; `icw4` 01 is 8086 mode with explicit ends. */
static void desk_init(struct desk *d, u8 icw4)
{
    static const u8 words[][2] = {{0x20, 0x11}, {0x21, 0x30}, {0x21, 0x04}};
    static const u8 slave_words[][2] = {{0xa0, 0x11}, {0xa1, 0x38}, {0xa1, 0x02}};
    memset(d, 0, sizeof *d);
    world_init(&d->world);
    pic_init(&d->pic, lines_line(&d->world.lines, 0));
    assert_true(pic_attach(&d->pic, &d->world.ports));
    for (u32 i = 0; i < 3; i++)
        outb(&d->world, words[i][0], words[i][1]);
    outb(&d->world, 0x21, icw4);
    for (u32 i = 0; i < 3; i++)
        outb(&d->world, slave_words[i][0], slave_words[i][1]);
    outb(&d->world, 0xa1, icw4 & ~0x10u & 0xff);
}

static void pulse(struct desk *d, u32 line)
{
    pic_set_line(&d->pic, line, true);
    pic_set_line(&d->pic, line, false);
}

static void lower_inputs_come_first_and_hold_back_the_others(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d, 0x01);
    assert_false(pic_pending(&d.pic));
    pulse(&d, 4);
    pulse(&d, 1);
    assert_true(pic_pending(&d.pic) && d.world.lines.level[0]);
    assert_int_equal(pic_acknowledge(&d.pic), 0x31);
    assert_false(pic_pending(&d.pic)); /* 4 waits for the end of 1 */
    pulse(&d, 0);
    assert_int_equal(pic_acknowledge(&d.pic), 0x30); /* 0 does not */
    outb(&d.world, 0x20, 0x0b);
    assert_int_equal(inb(&d.world, 0x20), 0x03);
    outb(&d.world, 0x20, 0x20);
    assert_int_equal(inb(&d.world, 0x20), 0x02);
    outb(&d.world, 0x20, 0x61); /* specific end of 1 */
    assert_int_equal(pic_acknowledge(&d.pic), 0x34);
}

static void the_mask_holds_requests(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d, 0x01);
    outb(&d.world, 0x21, 0xff);
    pulse(&d, 3);
    assert_false(pic_pending(&d.pic));
    outb(&d.world, 0x20, 0x0a);
    assert_int_equal(inb(&d.world, 0x20), 0x08);
    assert_int_equal(inb(&d.world, 0x21), 0xff);
    outb(&d.world, 0x21, 0xf7);
    assert_int_equal(pic_acknowledge(&d.pic), 0x33);
}

/* A driver that probes for the chips reads back what it wrote to the mask. */
static void the_mask_reads_back(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d, 0x01);
    outb(&d.world, 0xa1, 0xff);
    outb(&d.world, 0x21, 0xfb);
    assert_int_equal(inb(&d.world, 0x21), 0xfb);
}

static void the_slave_comes_through_input_2(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d, 0x01);
    pulse(&d, 5);
    pulse(&d, 12);
    assert_int_equal(pic_acknowledge(&d.pic), 0x3c); /* 8 to 15 rank between 1 and 3 */
    outb(&d.world, 0x20, 0x0b);
    outb(&d.world, 0xa0, 0x0b);
    assert_int_equal(inb(&d.world, 0x20), 0x04);
    assert_int_equal(inb(&d.world, 0xa0), 0x10);
    pulse(&d, 9);
    assert_false(pic_pending(&d.pic)); /* the master is still serving its input 2 */
    outb(&d.world, 0xa0, 0x20);
    outb(&d.world, 0x20, 0x62);
    assert_int_equal(pic_acknowledge(&d.pic), 0x39);
}

static void special_fully_nested_lets_the_slave_interrupt_itself(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d, 0x11);
    pulse(&d, 12);
    assert_int_equal(pic_acknowledge(&d.pic), 0x3c);
    pulse(&d, 9);
    assert_true(pic_pending(&d.pic));
    assert_int_equal(pic_acknowledge(&d.pic), 0x39);
}

static void automatic_end_leaves_nothing_in_service(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d, 0x03);
    pulse(&d, 4);
    pulse(&d, 4);
    assert_int_equal(pic_acknowledge(&d.pic), 0x34);
    outb(&d.world, 0x20, 0x0b);
    assert_int_equal(inb(&d.world, 0x20), 0);
    pulse(&d, 6);
    assert_int_equal(pic_acknowledge(&d.pic), 0x36);
}

static void rotation_sends_the_served_one_to_the_end(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d, 0x01);
    pulse(&d, 4);
    assert_int_equal(pic_acknowledge(&d.pic), 0x34);
    outb(&d.world, 0x20, 0xa0); /* rotate on non-specific end: 5 is first now */
    pulse(&d, 4);
    pulse(&d, 3);
    pulse(&d, 6);
    assert_int_equal(pic_acknowledge(&d.pic), 0x36);
    outb(&d.world, 0x20, 0x20);
    assert_int_equal(pic_acknowledge(&d.pic), 0x33);
    outb(&d.world, 0x20, 0x20);
    outb(&d.world, 0x20, 0xc7); /* lowest is 7: the usual order */
    pulse(&d, 0);
    assert_int_equal(pic_acknowledge(&d.pic), 0x30);
}

static void special_mask_lets_lower_ones_through(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d, 0x01);
    pulse(&d, 1);
    assert_int_equal(pic_acknowledge(&d.pic), 0x31);
    pulse(&d, 5);
    assert_false(pic_pending(&d.pic));
    outb(&d.world, 0x21, 0x02);
    outb(&d.world, 0x20, 0x68);
    assert_int_equal(pic_acknowledge(&d.pic), 0x35);
}

static void level_inputs_repeat_and_edges_do_not(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d, 0x01);
    outb(&d.world, 0x4d0, 0xff);
    outb(&d.world, 0x4d1, 0xff);
    assert_int_equal(inb(&d.world, 0x4d0), 0xf8); /* 0 to 2, 8 and 13 stay edges */
    assert_int_equal(inb(&d.world, 0x4d1), 0xde);
    pic_set_line(&d.pic, 5, true);
    pic_set_line(&d.pic, 1, true);
    assert_int_equal(pic_acknowledge(&d.pic), 0x31);
    outb(&d.world, 0x20, 0x20);
    assert_int_equal(pic_acknowledge(&d.pic), 0x35);
    outb(&d.world, 0x20, 0x20);
    assert_int_equal(pic_acknowledge(&d.pic), 0x35); /* still high */
    pic_set_line(&d.pic, 5, false);
    outb(&d.world, 0x20, 0x20);
    assert_false(pic_pending(&d.pic));
}

static void a_request_that_went_away_is_spurious(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d, 0x01);
    outb(&d.world, 0x4d0, 0x20);
    pic_set_line(&d.pic, 5, true);
    pic_set_line(&d.pic, 5, false);
    assert_int_equal(pic_acknowledge(&d.pic), 0x37);
    outb(&d.world, 0x20, 0x0b);
    assert_int_equal(inb(&d.world, 0x20), 0); /* and is not in service */
}

static void a_poll_acknowledges(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d, 0x01);
    outb(&d.world, 0x20, 0x0c);
    assert_int_equal(inb(&d.world, 0x20), 0x00);
    pulse(&d, 3);
    outb(&d.world, 0x20, 0x0c);
    assert_int_equal(inb(&d.world, 0x20), 0x83);
    assert_false(pic_pending(&d.pic));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lower_inputs_come_first_and_hold_back_the_others),
        cmocka_unit_test(the_mask_holds_requests),
        cmocka_unit_test(the_mask_reads_back),
        cmocka_unit_test(the_slave_comes_through_input_2),
        cmocka_unit_test(special_fully_nested_lets_the_slave_interrupt_itself),
        cmocka_unit_test(automatic_end_leaves_nothing_in_service),
        cmocka_unit_test(rotation_sends_the_served_one_to_the_end),
        cmocka_unit_test(special_mask_lets_lower_ones_through),
        cmocka_unit_test(level_inputs_repeat_and_edges_do_not),
        cmocka_unit_test(a_request_that_went_away_is_spurious),
        cmocka_unit_test(a_poll_acknowledges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
