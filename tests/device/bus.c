/* SPDX-License-Identifier: Apache-2.0 */
/* The bus and the timer queue, with devices and timers that write down what happens to them. */
#include "common.h"

struct probe {
    struct device device;
    u32 reads, writes, last_size;
    u64 last_offset, last_value;
};

static u64 probe_read(struct device *device, u64 offset, u32 size)
{
    struct probe *p = CONTAINER_OF(device, struct probe, device);
    p->reads++;
    p->last_offset = offset;
    p->last_size = size;
    return 0x8877665544332211ull >> (offset * 8);
}

static void probe_write(struct device *device, u64 offset, u32 size, u64 value)
{
    struct probe *p = CONTAINER_OF(device, struct probe, device);
    p->writes++;
    p->last_offset = offset;
    p->last_size = size;
    p->last_value = value;
}

static struct probe probe_at(u64 start, u64 size, u32 width)
{
    return (struct probe){.device = {"probe", start, size, width, probe_read, probe_write}};
}

static void nobody_answers_with_ones(void **state)
{
    (void)state;
    struct bus bus;
    bus_init(&bus, "test");
    assert_int_equal(bus_read(&bus, 0x1234, 1), 0xff);
    assert_int_equal(bus_read(&bus, 0x1234, 2), 0xffff);
    assert_true(bus_read(&bus, UINT64_MAX, 8) == UINT64_MAX);
    bus_write(&bus, UINT64_MAX, 8, 0);
}

static void overlapping_devices_are_rejected(void **state)
{
    (void)state;
    static const struct {
        u64 start, size;
        bool accepted;
    } cases[] = {
        {0x100, 0x10, false},  {0x10f, 1, false}, {0x0ff, 2, false},      {0x0f0, 0x40, false},
        {0x110, 1, true},      {0x0ff, 1, true},  {0x200, 0, false},      {UINT64_MAX, 2, false},
        {UINT64_MAX, 1, true}, {0, 0x100, true},  {0, UINT64_MAX, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct bus bus;
        bus_init(&bus, "test");
        struct probe first = probe_at(0x100, 0x10, 0),
                     other = probe_at(cases[i].start, cases[i].size, 0);
        assert_true(bus_add(&bus, &first.device));
        assert_int_equal(bus_add(&bus, &other.device), cases[i].accepted);
    }
}

static void a_full_bus_refuses(void **state)
{
    (void)state;
    static struct probe probes[BUS_DEVICES_MAX + 1];
    struct bus bus;
    bus_init(&bus, "test");
    for (u32 i = 0; i <= BUS_DEVICES_MAX; i++) {
        probes[i] = probe_at((i * 37 % (BUS_DEVICES_MAX + 1)) * 4ull, 4, 0);
        assert_int_equal(bus_add(&bus, &probes[i].device), i < BUS_DEVICES_MAX);
    }
    for (u32 i = 0; i < BUS_DEVICES_MAX; i++)
        assert_ptr_equal(bus_find(&bus, probes[i].device.start + 3), &probes[i].device);
    bus_remove(&bus, &probes[5].device);
    assert_null(bus_find(&bus, probes[5].device.start));
    assert_true(bus_add(&bus, &probes[5].device));
}

static void wide_accesses_are_split(void **state)
{
    (void)state;
    struct bus bus;
    bus_init(&bus, "test");
    struct probe bytes = probe_at(0x10, 4, 1), words = probe_at(0x14, 8, 2);
    assert_true(bus_add(&bus, &bytes.device) && bus_add(&bus, &words.device));
    assert_int_equal(bus_read(&bus, 0x10, 4), 0x44332211);
    assert_int_equal(bytes.reads, 4);
    /* The last byte of one device, one of the next, and below the first one nobody. */
    assert_int_equal(bus_read(&bus, 0x13, 2), 0x1144);
    assert_int_equal(bus_read(&bus, 0x0f, 2), 0x11ff);
    bus_write(&bus, 0x12, 4, 0xddccbbaa);
    assert_int_equal(bytes.last_value, 0xbb);
    assert_int_equal(words.last_value, 0xddcc);
    assert_int_equal(words.last_size, 2);
}

struct alarm_clock {
    struct timer timer;
    struct timer_queue *queue;
    char name, *log;
    u64 period;
};

static void alarm_fire(struct timer *timer, u64 when_ns)
{
    struct alarm_clock *a = CONTAINER_OF(timer, struct alarm_clock, timer);
    size_t length = strlen(a->log);
    a->log[length] = a->name;
    a->log[length + 1] = 0;
    if (a->period)
        timer_arm(a->queue, timer, when_ns + a->period);
}

static void timers_fire_in_order_of_deadline_then_arming(void **state)
{
    (void)state;
    struct clock clock = {0};
    struct timer_queue q;
    timer_queue_init(&q, &clock);
    char log[32] = "";
    struct alarm_clock alarms[5];
    static const u64 deadlines[5] = {30, 10, 20, 10, 40};
    assert_true(timer_next(&q) == TIMER_NONE);
    for (u32 i = 0; i < 5; i++) {
        alarms[i] = (struct alarm_clock){{.fire = alarm_fire}, &q, (char)('a' + i), log, 0};
        timer_arm(&q, &alarms[i].timer, deadlines[i]);
    }
    timer_disarm(&q, &alarms[4].timer);
    timer_disarm(&q, &alarms[4].timer);
    timer_arm(&q, &alarms[2].timer, 5); /* armed anew */
    assert_int_equal(timer_next(&q), 5);
    timer_run(&q, 20);
    assert_string_equal(log, "cbd");
    timer_run(&q, 100);
    assert_string_equal(log, "cbda");
}

static void a_timer_fires_once_a_run_however_late_it_is(void **state)
{
    (void)state;
    struct clock clock = {0};
    struct timer_queue q;
    timer_queue_init(&q, &clock);
    char log[32] = "";
    struct alarm_clock fast = {{.fire = alarm_fire}, &q, 'x', log, 1};
    timer_arm(&q, &fast.timer, 1);
    timer_run(&q, 1000000);
    assert_string_equal(log, "x");
    assert_int_equal(timer_next(&q), 1000001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_answers_with_ones),
        cmocka_unit_test(overlapping_devices_are_rejected),
        cmocka_unit_test(a_full_bus_refuses),
        cmocka_unit_test(wide_accesses_are_split),
        cmocka_unit_test(timers_fire_in_order_of_deadline_then_arming),
        cmocka_unit_test(a_timer_fires_once_a_run_however_late_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
