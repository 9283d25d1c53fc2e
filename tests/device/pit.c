/* SPDX-License-Identifier: Apache-2.0 */
/* The 8254: counts at given times, outputs, latches and the interrupts of counter 0. */
#include "device/pit.h"
#include "common.h"

struct desk {
    struct world world;
    struct pit pit;
};

static void desk_init(struct desk *d)
{
    memset(d, 0, sizeof *d);
    world_init(&d->world);
    pit_init(&d->pit, &d->world.timers, lines_line(&d->world.lines, 0));
    assert_true(pit_attach(&d->pit, &d->world.ports));
}

/* The first nanosecond of a tick, computed with another rounding than the device's. */
static u64 tick_ns(u64 tick)
{
    u64 ns = (u64)((u128)tick * SECOND / PIT_HZ);
    return (u128)ns * PIT_HZ / SECOND < tick ? ns + 1 : ns;
}

static void program(struct desk *d, u8 control, u16 count)
{
    u16 port = (u16)(0x40 + (control >> 6));
    outb(&d->world, 0x43, control);
    outb(&d->world, port, (u8)count);
    outb(&d->world, port, (u8)(count >> 8));
}

static u16 count(struct desk *d, u32 counter)
{
    u8 low = inb(&d->world, (u16)(0x40 + counter));
    return (u16)(low | inb(&d->world, (u16)(0x40 + counter)) << 8);
}

static u16 latch(struct desk *d, u32 counter)
{
    outb(&d->world, 0x43, (u8)(counter << 6));
    return count(d, counter);
}

static void counts_at_given_times(void **state)
{
    (void)state;
    static const struct {
        u8 mode;
        bool bcd;
        u16 reload;
        u64 ticks;
        u16 count;
    } cases[] = {
        {0, false, 1000, 0, 1000},       {0, false, 1000, 999, 1},
        {0, false, 1000, 1000, 0},       {0, false, 1000, 1001, 0xffff},
        {0, false, 0, 1, 0xffff},        {2, false, 100, 0, 100},
        {2, false, 100, 99, 1},          {2, false, 100, 100, 100},
        {2, false, 100, 250, 50},        {2, false, 0, 65535, 1},
        {2, false, 0, 65536, 0},         {3, false, 100, 10, 80},
        {3, false, 100, 50, 100},        {3, false, 100, 60, 80},
        {4, false, 10, 11, 0xffff},      {2, true, 0x1234, 4, 0x1230},
        {2, true, 0x1234, 1233, 0x0001}, {0, true, 0x0010, 11, 0x9999},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct desk d;
        desk_init(&d);
        program(&d, (u8)(0x30 | cases[i].mode << 1 | (cases[i].bcd ? 1 : 0)), cases[i].reload);
        d.world.clock.now = tick_ns(cases[i].ticks);
        assert_int_equal(latch(&d, 0), cases[i].count);
    }
}

/* 100 Hz as kernels of old did it: 11932 ticks. */
static void a_rate_generator_interrupts_each_period(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    program(&d, 0x34, 11932);
    assert_int_equal(timer_next(&d.world.timers), tick_ns(11932));
    world_run_until(&d.world, SECOND);
    assert_int_equal(d.world.lines.rises[0], 99);
    world_run_until(&d.world, 10 * SECOND);
    assert_int_equal(d.world.lines.rises[0], PIT_HZ * 10 / 11932); /* it does not drift */
}

static void one_shot_interrupts_once_and_stays_high(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    program(&d, 0x30, 1193);
    world_run_until(&d.world, tick_ns(1193) - 1);
    assert_int_equal(d.world.lines.rises[0], 0);
    world_run_until(&d.world, SECOND);
    assert_int_equal(d.world.lines.rises[0], 1);
    assert_true(d.world.lines.level[0]);
    program(&d, 0x30, 10); /* the control word takes the output down */
    assert_false(d.world.lines.level[0]);
    world_run_until(&d.world, 2 * SECOND);
    assert_int_equal(d.world.lines.rises[0], 2);
}

static void a_new_count_waits_for_the_period_to_end(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    program(&d, 0x34, 1000);
    world_run_until(&d.world, tick_ns(500));
    outb(&d.world, 0x40, 100);
    outb(&d.world, 0x40, 0);
    assert_int_equal(latch(&d, 0), 500);
    world_run_until(&d.world, tick_ns(1010));
    assert_int_equal(latch(&d, 0), 90);
    world_run_until(&d.world, tick_ns(1205));
    assert_int_equal(d.world.lines.rises[0], 3);
}

static void the_first_latch_holds(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    program(&d, 0x34, 1000);
    d.world.clock.now = tick_ns(100);
    outb(&d.world, 0x43, 0x00);
    d.world.clock.now = tick_ns(200);
    outb(&d.world, 0x43, 0x00);
    assert_int_equal(count(&d, 0), 900);
    assert_int_equal(count(&d, 0), 800); /* not latched: live */
}

static void a_latch_starts_at_the_low_byte(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    program(&d, 0x34, 0x1234);
    assert_int_equal(inb(&d.world, 0x40), 0x34); /* half of a live read */
    assert_int_equal(latch(&d, 0), 0x1234);
    assert_int_equal(count(&d, 0), 0x1234);
}

static void read_back_latches_status_and_count(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    program(&d, 0x34, 1000);
    program(&d, 0xb0, 500);
    outb(&d.world, 0x61, 0x01);
    d.world.clock.now = tick_ns(600);
    outb(&d.world, 0x43, 0xc2 | 0x08);           /* both, counters 0 and 2 */
    assert_int_equal(inb(&d.world, 0x40), 0xb4); /* output high, both bytes, mode 2 */
    assert_int_equal(count(&d, 0), 400);
    assert_int_equal(inb(&d.world, 0x42), 0xb0); /* mode 0, run out */
    outb(&d.world, 0x43, 0x34);
    outb(&d.world, 0x43, 0xe2); /* status only: no count loaded */
    assert_int_equal(inb(&d.world, 0x40), 0xf4);
}

/* What a kernel does to measure its TSC: gate on, count down from FFFF,
 * watch the high byte or OUT. */
static void counter_2_calibrates(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    struct world *w = &d.world;
    outb(w, 0x61, (u8)((inb(w, 0x61) & ~0x02) | 0x01));
    program(&d, 0xb0, 0xffff);
    for (u32 high = 0xff; high > 0xf0; high--) {
        inb(w, 0x42);
        assert_int_equal(inb(w, 0x42), high);
        w->clock.now += (256 * SECOND + PIT_HZ - 1) / PIT_HZ;
    }
    program(&d, 0xb0, 11932); /* 10 ms */
    u64 start = w->clock.now;
    assert_int_equal(inb(w, 0x61) & 0x20, 0);
    while (!(inb(w, 0x61) & 0x20) && w->clock.now < start + SECOND)
        w->clock.now += 1000;
    assert_in_range(w->clock.now - start, 10 * MS - 2000, 10 * MS + 2000);
}

static void the_gate_stops_and_triggers(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    struct world *w = &d.world;
    program(&d, 0xb0, 1000); /* mode 0, gate low: does not count */
    w->clock.now = tick_ns(100);
    assert_int_equal(latch(&d, 2), 1000);
    outb(w, 0x61, 1);
    w->clock.now = tick_ns(300);
    outb(w, 0x61, 0);
    w->clock.now = tick_ns(9000);
    assert_int_equal(latch(&d, 2), 800);
    outb(w, 0x61, 1);
    w->clock.now = tick_ns(9100);
    assert_int_equal(latch(&d, 2), 700);
    outb(w, 0x61, 0);
    program(&d, 0xb2, 50); /* mode 1: starts at the gate's edge, low until it has run out */
    assert_int_equal(inb(w, 0x61) & 0x20, 0x20);
    outb(w, 0x61, 1);
    assert_int_equal(inb(w, 0x61) & 0x20, 0);
    w->clock.now = tick_ns(9151);
    assert_int_equal(inb(w, 0x61) & 0x20, 0x20);
}

static void the_refresh_bit_toggles(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    u32 toggles = 0;
    u8 last = inb(&d.world, 0x61) & 0x10;
    for (; d.world.clock.now < MS; d.world.clock.now += 1000) {
        u8 now = inb(&d.world, 0x61) & 0x10;
        toggles += now != last;
        last = now;
    }
    assert_in_range(toggles, 65, 67); /* every 15.085 us */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_at_given_times),
        cmocka_unit_test(a_rate_generator_interrupts_each_period),
        cmocka_unit_test(one_shot_interrupts_once_and_stays_high),
        cmocka_unit_test(a_new_count_waits_for_the_period_to_end),
        cmocka_unit_test(the_first_latch_holds),
        cmocka_unit_test(a_latch_starts_at_the_low_byte),
        cmocka_unit_test(read_back_latches_status_and_count),
        cmocka_unit_test(counter_2_calibrates),
        cmocka_unit_test(the_gate_stops_and_triggers),
        cmocka_unit_test(the_refresh_bit_toggles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
