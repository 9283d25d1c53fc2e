/* SPDX-License-Identifier: Apache-2.0 */
/* The clock: its dates against the C library's, its formats, setting it,
 * and its three interrupts. */
#include "device/rtc.h"
#include "common.h"

#include <time.h>

struct desk {
    struct world world;
    struct rtc rtc;
};

static void desk_init(struct desk *d, s64 start)
{
    memset(d, 0, sizeof *d);
    world_init(&d->world);
    rtc_init(&d->rtc, &d->world.timers, lines_line(&d->world.lines, 8), start);
    assert_true(bus_add(&d->world.ports, &d->rtc.ports));
}

static u8 get(struct desk *d, u8 index)
{
    outb(&d->world, 0x70, index);
    return inb(&d->world, 0x71);
}

static void put(struct desk *d, u8 index, u8 value)
{
    outb(&d->world, 0x70, index | 0x80);
    outb(&d->world, 0x71, value);
}

static int bcd(u8 value)
{
    return (value >> 4) * 10 + (value & 15);
}

static void dates_are_those_of_the_c_library(void **state)
{
    (void)state;
    u64 seed = 1;
    for (u32 i = 0; i < 2000; i++) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        time_t start =
            (time_t)(i == 0 ? 951782399 : (seed >> 20) % 8000000000u); /* 2000-02-28 23:59:59 */
        struct desk d;
        desk_init(&d, start);
        d.world.clock.now = (i % 3) * SECOND + 5;
        time_t now = start + i % 3;
        struct tm tm;
        assert_non_null(gmtime_r(&now, &tm));
        assert_int_equal(bcd(get(&d, 0)), tm.tm_sec);
        assert_int_equal(bcd(get(&d, 2)), tm.tm_min);
        assert_int_equal(bcd(get(&d, 4)), tm.tm_hour);
        assert_int_equal(bcd(get(&d, 6)), tm.tm_wday + 1);
        assert_int_equal(bcd(get(&d, 7)), tm.tm_mday);
        assert_int_equal(bcd(get(&d, 8)), tm.tm_mon + 1);
        assert_int_equal(bcd(get(&d, 9)) + bcd(get(&d, 0x32)) * 100, tm.tm_year + 1900);
    }
}

static void formats_follow_register_b(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d, 1700000000); /* 2023-11-14 22:13:20 */
    assert_int_equal(get(&d, 4), 0x22);
    put(&d, 0x0b, 0x06);
    assert_int_equal(get(&d, 4), 22);
    assert_int_equal(get(&d, 9), 23);
    put(&d, 0x0b, 0x00);
    assert_int_equal(get(&d, 4), 0x90); /* 10 PM */
    put(&d, 0x0b, 0x04);
    assert_int_equal(get(&d, 4), 0x8a);
    static const struct {
        u8 hour, shown;
    } hours[] = {{0, 0x12}, {1, 0x01}, {11, 0x11}, {12, 0x92}, {13, 0x81}, {23, 0x91}};
    for (size_t i = 0; i < ARRAY_SIZE(hours); i++) {
        desk_init(&d, 1700006400 + hours[i].hour * 3600); /* from midnight */
        put(&d, 0x0b, 0x00);
        assert_int_equal(get(&d, 4), hours[i].shown);
        put(&d, 4, hours[i].shown); /* and is understood */
        put(&d, 0x0b, 0x06);
        assert_int_equal(get(&d, 4), hours[i].hour);
    }
}

static void setting_stops_the_clock_and_starts_it_anew(void **state)
{
    (void)state;
    static const u8 writes[][2] = {{0, 0x56}, {2, 0x34}, {4, 0x12},   {7, 0x29},
                                   {8, 0x02}, {9, 0x24}, {0x32, 0x20}};
    struct desk d;
    desk_init(&d, 0);
    d.world.clock.now = 7 * SECOND + 300;
    put(&d, 0x0b, 0x82);
    d.world.clock.now += 10 * SECOND;
    assert_int_equal(get(&d, 0), 0x07);
    for (size_t i = 0; i < ARRAY_SIZE(writes); i++)
        put(&d, writes[i][0], writes[i][1]);
    assert_int_equal(get(&d, 0), 0x56);
    put(&d, 0x0b, 0x02);
    d.world.clock.now += 24 * 3600 * SECOND;
    assert_int_equal(get(&d, 0), 0x56);
    assert_int_equal(get(&d, 7), 0x01); /* the day after 29 February 2024 */
    assert_int_equal(get(&d, 8), 0x03);
    assert_int_equal(get(&d, 6), 0x06); /* a Friday */
}

static void the_update_flag_warns_before_a_second_ends(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d, 0);
    assert_int_equal(get(&d, 0x0a), 0x26);
    d.world.clock.now = SECOND - 244000;
    assert_int_equal(get(&d, 0x0a), 0xa6);
    d.world.clock.now = SECOND;
    assert_int_equal(get(&d, 0x0a), 0x26);
    assert_int_equal(get(&d, 0x0d), 0x80);
}

static void update_interrupts_come_each_second(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d, 0);
    put(&d, 0x0b, 0x12);
    for (u32 i = 1; i <= 5; i++) {
        world_run_until(&d.world, i * SECOND + 1);
        assert_true(d.world.lines.level[8]);
        assert_int_equal(d.world.lines.rises[8], i);
        assert_int_equal(get(&d, 0x0c), 0x90);
        assert_false(d.world.lines.level[8]);
        assert_int_equal(get(&d, 0x0c), 0x00);
    }
    put(&d, 0x0b, 0x02);
    assert_true(timer_next(&d.world.timers) == TIMER_NONE);
}

static void an_alarm_comes_at_its_time(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d, 0);
    put(&d, 1, 0x30);
    put(&d, 3, 0x02);
    put(&d, 5, 0xff); /* any hour */
    put(&d, 0x0b, 0x22);
    world_run_until(&d.world, 150 * SECOND - 1);
    assert_int_equal(d.world.lines.rises[8], 0);
    world_run_until(&d.world, 150 * SECOND);
    assert_int_equal(d.world.lines.rises[8], 1);
    assert_int_equal(get(&d, 0x0c), 0xb0);
    world_run_until(&d.world, 3600 * SECOND + 150 * SECOND);
    assert_int_equal(d.world.lines.rises[8], 2);
}

static void periodic_interrupts_have_the_rate_of_register_a(void **state)
{
    (void)state;
    static const struct {
        u8 rate;
        u32 hz;
    } rates[] = {{0, 0}, {1, 256}, {2, 128}, {6, 1024}, {15, 2}};
    for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
        struct desk d;
        desk_init(&d, 0);
        put(&d, 0x0a, 0x20 | rates[i].rate);
        put(&d, 0x0b, 0x42);
        u32 interrupts = 0;
        while (timer_next(&d.world.timers) <= SECOND) {
            world_run_until(&d.world, timer_next(&d.world.timers));
            interrupts += (get(&d, 0x0c) & 0xc0) == 0xc0;
        }
        assert_in_range(interrupts, rates[i].hz, rates[i].hz + 1);
    }
}

static void memory_and_the_other_bytes_are_kept(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d, 0);
    rtc_set_memory(&d.rtc, GIB(2), GIB(6));
    assert_int_equal(get(&d, 0x15) | get(&d, 0x16) << 8, 640);
    assert_int_equal(get(&d, 0x34) | get(&d, 0x35) << 8, (GIB(2) - MIB(16)) / KIB(64));
    assert_int_equal(get(&d, 0x5b) | get(&d, 0x5c) << 8 | get(&d, 0x5d) << 16, GIB(6) / KIB(64));
    put(&d, 0x0f, 0xa5);
    put(&d, 0x7f, 0x5a);
    assert_int_equal(get(&d, 0x0f), 0xa5);
    assert_int_equal(get(&d, 0xff), 0x5a); /* bit 7 of the index is the NMI mask */
    assert_int_equal(inb(&d.world, 0x70), 0xff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_are_those_of_the_c_library),
        cmocka_unit_test(formats_follow_register_b),
        cmocka_unit_test(setting_stops_the_clock_and_starts_it_anew),
        cmocka_unit_test(the_update_flag_warns_before_a_second_ends),
        cmocka_unit_test(update_interrupts_come_each_second),
        cmocka_unit_test(an_alarm_comes_at_its_time),
        cmocka_unit_test(periodic_interrupts_have_the_rate_of_register_a),
        cmocka_unit_test(memory_and_the_other_bytes_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
