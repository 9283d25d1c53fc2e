/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 8254 [Intel 8254 data sheet]. A counter is stored as its start tick and its period; its value
 * and output are computed when they are read. The only event that happens by itself is the rising
 * edge of counter 0, which interrupts.
 */
#include "device/pit.h"

#define PIT_PORT        0x40
#define PIT_CONTROL     3 /* offset of the control word */
#define SPEAKER_PORT    0x61
#define SPEAKER_GATE2   0x01
#define SPEAKER_KEPT    0x0f
#define SPEAKER_REFRESH 0x10
#define SPEAKER_OUTPUT2 0x20
#define REFRESH_NS      15085 /* bit 4 toggles at the rate of the historical memory refresh */
#define NS_PER_S        1000000000u

static u64 pit_tick(const struct pit *p)
{
    return (u64)((u128)timer_now(p->timers) * PIT_HZ / NS_PER_S);
}

/* Returns the first nanosecond at or after a tick. */
static u64 pit_tick_ns(u64 tick)
{
    return (u64)(((u128)tick * NS_PER_S + PIT_HZ - 1) / PIT_HZ);
}

static bool counter_is_periodic(const struct pit_counter *c)
{
    return c->mode == 2 || c->mode == 3;
}

static bool counter_is_triggered(const struct pit_counter *c)
{
    return c->mode == 1 || c->mode == 5;
}

/* Returns true if the counter runs. In modes 1 and 5 the gate starts the count but does not pause
 * it. */
static bool counter_runs(const struct pit_counter *c)
{
    return c->started && (c->gate || counter_is_triggered(c));
}

static u64 counter_elapsed(const struct pit_counter *c, u64 tick)
{
    return c->held_ticks + (counter_runs(c) ? tick - c->start_tick : 0);
}

/* Loads a count that was waiting for the end of the period. */
static void counter_sync(struct pit_counter *c, u64 tick)
{
    if (!c->next_pending || !counter_runs(c) || tick < c->next_tick)
        return;
    c->next_pending = false;
    c->reload = c->next_reload;
    c->start_tick = c->next_tick;
    c->held_ticks = 0;
}

static u32 counter_modulus(const struct pit_counter *c)
{
    return c->bcd ? 10000 : 65536;
}

static u16 counter_to_bcd(u32 value)
{
    return (u16)(value % 10 | value / 10 % 10 << 4 | value / 100 % 10 << 8 |
                 value / 1000 % 10 << 12);
}

static u32 counter_from_bcd(u16 value)
{
    return (value & 15u) + (value >> 4 & 15u) * 10 + (value >> 8 & 15u) * 100 +
           (value >> 12 & 15u) * 1000;
}

/* Returns the value of the counting element. */
static u16 counter_value(const struct pit_counter *c, u64 tick)
{
    u64 elapsed = counter_elapsed(c, tick);
    u32 modulus = counter_modulus(c);
    u32 value;
    if (c->mode == 2)
        value = c->reload - (u32)(elapsed % c->reload);
    else if (c->mode == 3) /* counts by twos, through the whole count every half period */
        value = c->reload - (u32)(elapsed * 2 % c->reload);
    else
        value = (c->reload + modulus - (u32)(elapsed % modulus)) % modulus;
    value %= modulus;
    return c->bcd ? counter_to_bcd(value) : (u16)value;
}

static bool counter_output(const struct pit_counter *c, u64 tick)
{
    if (!c->loaded || !c->started)
        return c->mode != 0;
    u64 elapsed = counter_elapsed(c, tick);
    switch (c->mode) {
    case 0:
    case 1:
        return elapsed >= c->reload;
    case 2:
        return !c->gate || elapsed % c->reload != c->reload - 1;
    case 3:
        return !c->gate || elapsed % c->reload < (c->reload + 1) / 2;
    default:
        return elapsed != c->reload;
    }
}

/* Returns the tick of the output's next rising edge after `tick`, or 0 if there is none. */
static u64 counter_next_edge(const struct pit_counter *c, u64 tick)
{
    if (!counter_runs(c))
        return 0;
    u64 elapsed = counter_elapsed(c, tick);
    if (counter_is_periodic(c)) {
        u64 edge = tick + c->reload - elapsed % c->reload;
        return c->next_pending && edge > c->next_tick ? c->next_tick : edge;
    }
    u64 end = c->reload + (c->mode >= 4 ? 1 : 0);
    return elapsed < end ? tick + (end - elapsed) : 0;
}

static void pit_schedule(struct pit *p, u64 tick)
{
    u64 edge = counter_next_edge(&p->counters[0], tick);
    if (edge)
        timer_arm(p->timers, &p->timer, pit_tick_ns(edge));
    else
        timer_disarm(p->timers, &p->timer);
}

static void pit_fire(struct timer *timer, u64 when_ns)
{
    (void)when_ns;
    struct pit *p = CONTAINER_OF(timer, struct pit, timer);
    u64 tick = pit_tick(p);
    counter_sync(&p->counters[0], tick);
    irq_set(&p->irq, false);
    irq_set(&p->irq, true);
    pit_schedule(p, tick);
}

static void counter_start(struct pit_counter *c, u64 tick)
{
    c->started = true;
    c->start_tick = tick;
    c->held_ticks = 0;
    c->next_pending = false;
}

static void counter_load(struct pit_counter *c, u16 written, u64 tick)
{
    u32 reload = c->bcd ? counter_from_bcd(written) : written;
    reload = reload ? reload : counter_modulus(c);
    counter_sync(c, tick);
    if (counter_is_periodic(c) && counter_runs(c)) {
        c->next_reload = reload;
        c->next_tick = tick + c->reload - counter_elapsed(c, tick) % c->reload;
        c->next_pending = true;
        return;
    }
    c->reload = reload;
    c->loaded = true;
    if (!counter_is_triggered(c))
        counter_start(c, tick);
}

static void counter_set_gate(struct pit_counter *c, bool gate, u64 tick)
{
    counter_sync(c, tick);
    if (gate == c->gate)
        return;
    u64 elapsed = counter_elapsed(c, tick);
    c->gate = gate;
    if (!c->loaded)
        return;
    if (gate && (counter_is_triggered(c) || counter_is_periodic(c))) {
        if (c->next_pending)
            c->reload = c->next_reload;
        counter_start(c, tick);
    } else if (c->started && !counter_is_triggered(c)) {
        c->held_ticks = elapsed; /* modes 0 and 4 pause and continue */
        c->start_tick = tick;
    }
}

static u8 counter_status(const struct pit_counter *c, u64 tick)
{
    bool null_count = !c->loaded || c->next_pending;
    return (u8)(counter_output(c, tick) << 7 | null_count << 6 | c->access << 4 | c->mode << 1 |
                (c->bcd ? 1 : 0));
}

static void counter_latch_count(struct pit_counter *c, u64 tick)
{
    if (c->latched)
        return;           /* the first latched value stays until it is read */
    c->read_high = false; /* a latched count is read low byte first */
    c->count_latch = counter_value(c, tick);
    c->latched = c->access == 3 ? 2 : 1;
}

static u8 counter_read(struct pit_counter *c, u64 tick)
{
    if (c->status_latched) {
        c->status_latched = false;
        return c->status_latch;
    }
    u16 value = c->latched ? c->count_latch : counter_value(c, tick);
    if (c->latched)
        c->latched--;
    bool high = c->access == 2;
    if (c->access == 3) {
        high = c->read_high;
        c->read_high = !c->read_high;
    }
    return (u8)(high ? value >> 8 : value);
}

static void counter_write(struct pit_counter *c, u8 value, u64 tick)
{
    if (c->access == 1) {
        counter_load(c, value, tick);
    } else if (c->access == 2) {
        counter_load(c, (u16)(value << 8), tick);
    } else if (!c->write_high) {
        c->write_low = value;
        c->write_high = true;
        if (c->mode == 0)
            c->started = false; /* the first byte stops the count and sets the output low */
    } else {
        c->write_high = false;
        counter_load(c, (u16)(value << 8 | c->write_low), tick);
    }
}

/* Read-back: bit 5 clear latches the counts, bit 4 clear the status, of the counters in bits
 * 3..1. */
static void pit_read_back(struct pit *p, u8 value, u64 tick)
{
    for (u32 i = 0; i < PIT_COUNTERS; i++) {
        struct pit_counter *c = &p->counters[i];
        if (!(value & (2u << i)))
            continue;
        if (!(value & 0x20))
            counter_latch_count(c, tick);
        if (!(value & 0x10) && !c->status_latched) {
            c->status_latch = counter_status(c, tick);
            c->status_latched = true;
        }
    }
}

/* Handles the control word: bits 7..6 counter, 5..4 access (0: latch), 3..1 mode (6, 7 are 2, 3), 0
 * BCD. */
static void pit_write_control(struct pit *p, u8 value, u64 tick)
{
    u32 select = value >> 6;
    if (select == 3) {
        pit_read_back(p, value, tick);
        return;
    }
    struct pit_counter *c = &p->counters[select];
    u8 access = value >> 4 & 3;
    if (access == 0) {
        counter_latch_count(c, tick);
        return;
    }
    u8 mode = value >> 1 & 7;
    *c = (struct pit_counter){
        .mode = mode >= 6 ? mode - 4 : mode,
        .access = access,
        .bcd = value & 1,
        .gate = c->gate,
        .reload = c->reload,
    };
}

static u64 pit_read(struct device *device, u64 offset, u32 size)
{
    (void)size;
    struct pit *p = CONTAINER_OF(device, struct pit, ports);
    if (offset == PIT_CONTROL)
        return ~0ull;
    struct pit_counter *c = &p->counters[offset];
    u64 tick = pit_tick(p);
    counter_sync(c, tick);
    return counter_read(c, tick);
}

static void pit_write(struct device *device, u64 offset, u32 size, u64 value)
{
    (void)size;
    struct pit *p = CONTAINER_OF(device, struct pit, ports);
    u64 tick = pit_tick(p);
    for (u32 i = 0; i < PIT_COUNTERS; i++)
        counter_sync(&p->counters[i], tick);
    if (offset == PIT_CONTROL)
        pit_write_control(p, (u8)value, tick);
    else
        counter_write(&p->counters[offset], (u8)value, tick);
    if (!counter_output(&p->counters[0], tick))
        irq_set(&p->irq, false);
    pit_schedule(p, tick);
}

static u64 pit_control_read(struct device *device, u64 offset, u32 size)
{
    (void)offset, (void)size;
    struct pit *p = CONTAINER_OF(device, struct pit, control);
    u64 tick = pit_tick(p);
    counter_sync(&p->counters[2], tick);
    u64 value = p->control_bits;
    value |= timer_now(p->timers) / REFRESH_NS % 2 ? SPEAKER_REFRESH : 0;
    value |= counter_output(&p->counters[2], tick) ? SPEAKER_OUTPUT2 : 0;
    return value;
}

static void pit_control_write(struct device *device, u64 offset, u32 size, u64 value)
{
    (void)offset, (void)size;
    struct pit *p = CONTAINER_OF(device, struct pit, control);
    p->control_bits = value & SPEAKER_KEPT;
    counter_set_gate(&p->counters[2], value & SPEAKER_GATE2, pit_tick(p));
}

void pit_init(struct pit *p, struct timer_queue *timers, struct irq_line irq)
{
    *p = (struct pit){
        .ports = {"pit", PIT_PORT, 4, 1, pit_read, pit_write},
        .control = {"speaker", SPEAKER_PORT, 1, 1, pit_control_read, pit_control_write},
        .timers = timers,
        .timer = {.fire = pit_fire},
        .irq = irq,
    };
    for (u32 i = 0; i < PIT_COUNTERS; i++)
        p->counters[i] = (struct pit_counter){.access = 3, .reload = 65536, .gate = i != 2};
}

bool pit_attach(struct pit *p, struct bus *ports)
{
    return bus_add(ports, &p->ports) && bus_add(ports, &p->control);
}
