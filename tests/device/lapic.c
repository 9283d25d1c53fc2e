/* SPDX-License-Identifier: Apache-2.0 */
/* Local APICs: priorities, messages between processors, the timer's three modes,
 * and the two interfaces. */
#include "device/lapic.h"
#include "common.h"

enum {
    ID = 0x20,
    VERSION = 0x30,
    TPR = 0x80,
    PPR = 0xa0,
    EOI = 0xb0,
    LDR = 0xd0,
    DFR = 0xe0,
    SVR = 0xf0,
    ISR = 0x100,
    TMR = 0x180,
    IRR = 0x200,
    ESR = 0x280,
    ICR = 0x300,
    ICR2 = 0x310,
    LVT_TIMER = 0x320,
    LVT_LINT0 = 0x350,
    LVT_ERROR = 0x370,
    INITIAL = 0x380,
    CURRENT = 0x390,
    DIVIDE = 0x3e0,
};

#define CPUS 3

struct desk {
    struct world world;
    struct lapic_bus bus;
    struct lapic cpus[CPUS];
    char log[200];
};

static void note(struct desk *d, const char *what, u32 cpu, u32 vector)
{
    size_t length = strlen(d->log);
    snprintf(d->log + length, sizeof d->log - length, "%s%u:%x ", what, cpu, vector);
}

static void on_eoi(void *ctx, u8 vector)
{
    note(ctx, "eoi", 0, vector);
}

static void on_nmi(void *ctx, u32 cpu)
{
    note(ctx, "nmi", cpu, 0);
}

static void on_init(void *ctx, u32 cpu)
{
    note(ctx, "init", cpu, 0);
}

static void on_startup(void *ctx, u32 cpu, u8 vector)
{
    note(ctx, "sipi", cpu, vector);
}

/* Three processors, their APICs on, nothing logged. */
static struct desk *begin(void)
{
    static struct desk desk;
    struct desk *d = &desk;
    memset(d, 0, sizeof *d);
    world_init(&d->world);
    lapic_bus_init(
        &d->bus,
        (struct lapic_events){
            .eoi = on_eoi, .nmi = on_nmi, .init = on_init, .startup = on_startup, .ctx = d});
    for (u32 i = 0; i < CPUS; i++) {
        assert_true(lapic_init(&d->cpus[i], &d->bus, &d->world.timers, i, i));
        lapic_write(&d->cpus[i], SVR, 0x1ff);
    }
    return d;
}

static void reset_values(void **state)
{
    (void)state;
    struct desk *d = begin();
    lapic_init_signal(&d->cpus[1]);
    assert_int_equal(lapic_read(&d->cpus[1], ID), 0x01000000);
    assert_int_equal(lapic_read(&d->cpus[1], VERSION), 0x00050014);
    assert_int_equal(lapic_read(&d->cpus[1], SVR), 0xff);
    assert_int_equal(lapic_read(&d->cpus[1], DFR), 0xffffffff);
    assert_int_equal(lapic_read(&d->cpus[1], LVT_LINT0), 0x10000);
    u64 base;
    assert_true(lapic_msr_read(&d->cpus[0], LAPIC_MSR_BASE, &base));
    assert_int_equal(base, 0xfee00900); /* the boot processor's */
    assert_true(lapic_msr_read(&d->cpus[1], LAPIC_MSR_BASE, &base));
    assert_int_equal(base, 0xfee00800);
    assert_true(lapic_accepts_external(&d->cpus[0]) && !lapic_accepts_external(&d->cpus[1]));
}

static void higher_classes_interrupt_lower_ones(void **state)
{
    (void)state;
    struct desk *d = begin();
    struct lapic *l = &d->cpus[0];
    assert_int_equal(lapic_pending(l), -1);
    lapic_raise(l, 0x31, false);
    lapic_raise(l, 0x52, false);
    lapic_raise(l, 0x55, false);
    assert_int_equal(lapic_read(l, IRR + 0x10), 1u << 17);
    assert_int_equal(lapic_acknowledge(l), 0x55);
    assert_int_equal(lapic_read(l, PPR), 0x50);
    assert_int_equal(lapic_pending(l), -1); /* 52 is of the same class */
    lapic_raise(l, 0x60, false);
    assert_int_equal(lapic_acknowledge(l), 0x60);
    assert_int_equal(lapic_read(l, ISR + 0x30), 1);
    lapic_write(l, EOI, 0);
    assert_int_equal(lapic_read(l, PPR), 0x50);
    lapic_write(l, EOI, 0);
    assert_int_equal(lapic_acknowledge(l), 0x52);
    lapic_write(l, EOI, 0);
    assert_int_equal(lapic_acknowledge(l), 0x31);
    lapic_write(l, EOI, 0);
    lapic_write(l, EOI, 0); /* one too many does nothing */
    assert_int_equal(lapic_acknowledge(l), -1);
    assert_string_equal(d->log, ""); /* edges are not broadcast */
}

static void the_task_priority_holds_interrupts_back(void **state)
{
    (void)state;
    struct desk *d = begin();
    struct lapic *l = &d->cpus[0];
    lapic_raise(l, 0x41, false);
    lapic_write(l, TPR, 0x40);
    assert_int_equal(lapic_cr8(l), 4);
    assert_int_equal(lapic_pending(l), -1);
    lapic_set_cr8(l, 3);
    assert_int_equal(lapic_read(l, TPR), 0x30);
    assert_int_equal(lapic_pending(l), 0x41);
    lapic_write(l, TPR, 0x3f);
    assert_int_equal(lapic_read(l, PPR), 0x3f);
    assert_int_equal(lapic_acknowledge(l), 0x41);
    assert_int_equal(lapic_read(l, PPR), 0x40);
}

static void the_end_of_a_level_interrupt_is_broadcast(void **state)
{
    (void)state;
    struct desk *d = begin();
    struct lapic *l = &d->cpus[0];
    lapic_raise(l, 0x41, true);
    assert_int_equal(lapic_read(l, TMR + 0x20), 2);
    lapic_acknowledge(l);
    lapic_write(l, EOI, 0);
    assert_string_equal(d->log, "eoi0:41 ");
    lapic_raise(l, 0x41, false);
    assert_int_equal(lapic_read(l, TMR + 0x20), 0);
}

static void a_disabled_apic_takes_nothing_and_masks_its_pins(void **state)
{
    (void)state;
    struct desk *d = begin();
    struct lapic *l = &d->cpus[0];
    lapic_write(l, LVT_TIMER, 0x40);
    lapic_write(l, SVR, 0xff);
    assert_int_equal(lapic_read(l, LVT_TIMER), 0x10040);
    lapic_write(l, LVT_TIMER, 0x41);
    assert_int_equal(lapic_read(l, LVT_TIMER), 0x10041);
    lapic_raise(l, 0x50, false);
    assert_int_equal(lapic_pending(l), -1);
}

static void illegal_vectors_are_errors(void **state)
{
    (void)state;
    struct desk *d = begin();
    struct lapic *l = &d->cpus[0];
    lapic_write(l, LVT_ERROR, 0xfe);
    lapic_write(l, ICR, 0x0000000f); /* to oneself by ID 0, vector 15 */
    assert_int_equal(lapic_read(l, ESR), 0);
    lapic_write(l, ESR, 0);
    assert_int_equal(lapic_read(l, ESR), 0x20);
    assert_int_equal(lapic_acknowledge(l), 0xfe);
    lapic_raise(l, 3, false);
    lapic_write(l, ESR, 0);
    assert_int_equal(lapic_read(l, ESR), 0x40);
}

static void send(struct desk *d, u32 destination, u32 low)
{
    lapic_write(&d->cpus[0], ICR2, destination << 24);
    lapic_write(&d->cpus[0], ICR, low);
}

/* Which processors (bit per processor) have a vector pending; takes it. */
static u32 receivers(struct desk *d, int vector)
{
    u32 who = 0;
    for (u32 i = 0; i < CPUS; i++) {
        if (lapic_pending(&d->cpus[i]) != vector)
            continue;
        who |= 1u << i;
        lapic_acknowledge(&d->cpus[i]);
        lapic_write(&d->cpus[i], EOI, 0);
    }
    return who;
}

static void messages_find_their_processors(void **state)
{
    (void)state;
    static const struct {
        u32 destination, low, who;
    } cases[] = {
        {1, 0x40, 2},     {2, 0x40, 4},     {9, 0x40, 0},     {0xff, 0x40, 7},
        {9, 0x40040, 1},  {9, 0x80040, 7},  {9, 0xc0040, 6},  {0x02, 0x840, 2},
        {0x05, 0x840, 5}, {0xff, 0x840, 7}, {0x06, 0x940, 2}, {0x10, 0x840, 0},
    };
    struct desk *d = begin();
    for (u32 i = 0; i < CPUS; i++)
        lapic_write(&d->cpus[i], LDR, 1u << (24 + i));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        send(d, cases[i].destination, cases[i].low);
        assert_int_equal(receivers(d, 0x40), cases[i].who);
    }
    /* Cluster model: cluster in the high half, a bit each in the low half. */
    for (u32 i = 0; i < CPUS; i++) {
        lapic_write(&d->cpus[i], DFR, 0);
        lapic_write(&d->cpus[i], LDR, (i == 2 ? 0x11u : 0x01u << i) << 24);
    }
    send(d, 0x03, 0x840);
    assert_int_equal(receivers(d, 0x40), 3);
    send(d, 0x11, 0x840);
    assert_int_equal(receivers(d, 0x40), 4);
}

static void lowest_priority_goes_to_the_idlest(void **state)
{
    (void)state;
    struct desk *d = begin();
    lapic_write(&d->cpus[0], TPR, 0x50);
    lapic_write(&d->cpus[1], TPR, 0x30);
    lapic_write(&d->cpus[2], TPR, 0x40);
    lapic_bus_msi(&d->bus, 0xfeeff000, 0x0160); /* broadcast, lowest priority */
    assert_int_equal(receivers(d, 0x60), 2);
}

static void init_and_startup_are_reported(void **state)
{
    (void)state;
    struct desk *d = begin();
    send(d, 1, 0xc500); /* INIT, level, assert */
    send(d, 1, 0x8500); /* de-assert */
    send(d, 1, 0x069a); /* start at 9A000 */
    send(d, 0, 0xc0400 | 0x4000);
    assert_string_equal(d->log, "init1:0 sipi1:9a nmi1:0 nmi2:0 ");
    assert_int_equal(lapic_read(&d->cpus[0], ICR) & 0x1000, 0);
}

static void msi_addresses_name_processors(void **state)
{
    (void)state;
    struct desk *d = begin();
    lapic_bus_msi(&d->bus, 0xfee01000, 0x4045);
    assert_int_equal(receivers(d, 0x45), 2);
    lapic_write(&d->cpus[2], LDR, 0x04000000);
    lapic_bus_msi(&d->bus, 0xfee04004, 0x4046); /* logical */
    assert_int_equal(receivers(d, 0x46), 4);
    lapic_bus_msi(&d->bus, 0xfed01000, 0x4045); /* not an interrupt at all */
    lapic_bus_msi(&d->bus, 0x1fee01000, 0x4045);
    assert_int_equal(receivers(d, 0x45), 0);
}

static void the_pic_reaches_lint0(void **state)
{
    (void)state;
    struct desk *d = begin();
    struct lapic *l = &d->cpus[0];
    lapic_write(l, LVT_LINT0, 0x10700);
    assert_false(lapic_accepts_external(l));
    lapic_write(l, LVT_LINT0, 0x700);
    assert_true(lapic_accepts_external(l));
    lapic_write(l, LVT_LINT0, 0x48); /* as an ordinary interrupt: edges count */
    lapic_set_lint(l, 0, true);
    lapic_set_lint(l, 0, true);
    assert_int_equal(lapic_acknowledge(l), 0x48);
    assert_int_equal(lapic_pending(l), -1);
    lapic_write(l, 0x360, 0x400);
    lapic_set_lint(l, 1, true);
    assert_string_equal(d->log, "nmi0:0 ");
}

static void one_shot_timer(void **state)
{
    (void)state;
    static const struct {
        u32 code, divisor;
    } dividers[] = {{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {10, 128}, {11, 1}};
    for (size_t i = 0; i < ARRAY_SIZE(dividers); i++) {
        struct desk *d = begin();
        struct lapic *l = &d->cpus[0];
        u64 tick = dividers[i].divisor * (SECOND / LAPIC_TIMER_HZ);
        lapic_write(l, LVT_TIMER, 0x40);
        lapic_write(l, DIVIDE, dividers[i].code);
        lapic_write(l, INITIAL, 1000);
        world_run_until(&d->world, 400 * tick);
        assert_int_equal(lapic_read(l, CURRENT), 600);
        world_run_until(&d->world, 1000 * tick - 1);
        assert_int_equal(lapic_pending(l), -1);
        world_run_until(&d->world, 1000 * tick);
        assert_int_equal(lapic_acknowledge(l), 0x40);
        world_run_until(&d->world, 5000 * tick);
        assert_int_equal(lapic_read(l, CURRENT), 0);
        assert_int_equal(lapic_pending(l), -1);
        assert_true(timer_next(&d->world.timers) == TIMER_NONE);
    }
}

/* Neither another mode nor another divider starts a count that has ended [APM2 16.4.1]. */
static void a_one_shot_that_has_ended_waits_for_a_new_count(void **state)
{
    (void)state;
    struct desk *d = begin();
    struct lapic *l = &d->cpus[0];
    lapic_write(l, LVT_TIMER, 0x40);
    lapic_write(l, DIVIDE, 11);
    lapic_write(l, INITIAL, 1000);
    world_run_until(&d->world, 1500);
    assert_int_equal(lapic_acknowledge(l), 0x40);
    lapic_write(l, EOI, 0);
    lapic_write(l, LVT_TIMER, 0x20040);
    assert_int_equal(lapic_read(l, CURRENT), 0);
    lapic_write(l, DIVIDE, 0);
    world_run_until(&d->world, MS);
    assert_int_equal(lapic_read(l, CURRENT), 0);
    assert_int_equal(lapic_pending(l), -1);
    lapic_write(l, INITIAL, 1000);
    world_run_until(&d->world, 2 * MS);
    assert_int_equal(lapic_acknowledge(l), 0x40);
}

static void periodic_timer_keeps_its_beat(void **state)
{
    (void)state;
    struct desk *d = begin();
    struct lapic *l = &d->cpus[0];
    lapic_write(l, LVT_TIMER, 0x20040);
    lapic_write(l, DIVIDE, 11);
    lapic_write(l, INITIAL, 4000000); /* 4 ms */
    u32 beats = 0;
    for (u64 now = MS; now <= SECOND; now += MS) {
        world_run_until(&d->world, now);
        if (lapic_acknowledge(l) == 0x40) {
            lapic_write(l, EOI, 0);
            beats++;
        }
    }
    assert_int_equal(beats, 250);
    lapic_write(l, INITIAL, 0);
    assert_true(timer_next(&d->world.timers) == TIMER_NONE);
    /* A period that is over many times is one interrupt. */
    lapic_write(l, INITIAL, 1);
    d->world.clock.now += SECOND;
    timer_run(&d->world.timers, d->world.clock.now);
    assert_int_equal(timer_next(&d->world.timers), d->world.clock.now + 1);
}

static void a_new_divider_applies_to_what_is_left(void **state)
{
    (void)state;
    struct desk *d = begin();
    struct lapic *l = &d->cpus[0];
    lapic_write(l, LVT_TIMER, 0x40);
    lapic_write(l, DIVIDE, 11);
    lapic_write(l, INITIAL, 1000);
    world_run_until(&d->world, 400);
    lapic_write(l, DIVIDE, 0);
    assert_int_equal(lapic_read(l, CURRENT), 600);
    assert_int_equal(timer_next(&d->world.timers), 400 + 1200);
}

static void deadline_timer(void **state)
{
    (void)state;
    struct desk *d = begin();
    struct lapic *l = &d->cpus[0];
    u64 value;
    l->tsc_offset = 1000000;
    assert_true(
        lapic_msr_write(l, LAPIC_MSR_TSC_DEADLINE, 5000000)); /* not in that mode: ignored */
    assert_true(timer_next(&d->world.timers) == TIMER_NONE);
    lapic_write(l, LVT_TIMER, 0x40040);
    lapic_write(l, INITIAL, 77); /* and the other way round */
    assert_int_equal(lapic_read(l, CURRENT), 0);
    assert_true(lapic_msr_write(l, LAPIC_MSR_TSC_DEADLINE, 5000000));
    assert_int_equal(timer_next(&d->world.timers), 4000000);
    assert_true(lapic_msr_read(l, LAPIC_MSR_TSC_DEADLINE, &value) && value == 5000000);
    world_run_until(&d->world, 4000000);
    assert_int_equal(lapic_acknowledge(l), 0x40);
    lapic_write(l, EOI, 0);
    assert_true(lapic_msr_read(l, LAPIC_MSR_TSC_DEADLINE, &value) && value == 0);
    assert_true(lapic_msr_write(l, LAPIC_MSR_TSC_DEADLINE, 1)); /* long past: at once */
    assert_int_equal(lapic_acknowledge(l), 0x40);
    lapic_write(l, EOI, 0);
    assert_true(lapic_msr_write(l, LAPIC_MSR_TSC_DEADLINE, UINT64_MAX));
    assert_true(lapic_msr_write(l, LAPIC_MSR_TSC_DEADLINE, 0));
    assert_true(timer_next(&d->world.timers) == TIMER_NONE);
    assert_true(lapic_msr_write(l, LAPIC_MSR_TSC_DEADLINE, 9000000));
    lapic_write(l, LVT_TIMER, 0x40); /* leaving the mode disarms */
    assert_true(timer_next(&d->world.timers) == TIMER_NONE);
}

static void modes_change_only_along_the_allowed_ways(void **state)
{
    (void)state;
    static const struct {
        u64 from, to;
        bool allowed;
    } cases[] = {
        {0x800, 0x800, true},  {0x800, 0xc00, true},  {0x800, 0x000, true}, {0x800, 0x400, false},
        {0xc00, 0x800, false}, {0xc00, 0x000, true},  {0xc00, 0xc00, true}, {0xc00, 0x400, false},
        {0x000, 0x800, true},  {0x000, 0xc00, false}, {0x000, 0x000, true}, {0x000, 0x400, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct desk *d = begin();
        assert_true(lapic_msr_write(&d->cpus[1], LAPIC_MSR_BASE, LAPIC_BASE | cases[i].from));
        assert_int_equal(lapic_msr_write(&d->cpus[1], LAPIC_MSR_BASE, LAPIC_BASE | cases[i].to),
                         cases[i].allowed);
        assert_int_equal(lapic_mmio_enabled(&d->cpus[1]),
                         (cases[i].allowed ? cases[i].to : cases[i].from) == 0x800);
    }
    struct desk *d = begin();
    assert_false(lapic_msr_write(&d->cpus[0], LAPIC_MSR_BASE, LAPIC_BASE | 0x801));
    assert_false(lapic_msr_write(&d->cpus[0], LAPIC_MSR_BASE, BIT(60) | LAPIC_BASE | 0x800));
    assert_false(lapic_msr_write(&d->cpus[0], LAPIC_MSR_BASE, BIT(48) | LAPIC_BASE | 0x800));
    assert_true(lapic_msr_write(&d->cpus[0], LAPIC_MSR_BASE, BIT(47) | LAPIC_BASE | 0x800));
    assert_true(lapic_msr_write(&d->cpus[0], LAPIC_MSR_BASE, 0x12345800));
    assert_int_equal(lapic_mmio_base(&d->cpus[0]), 0x12345000);
}

static void x2apic_registers_are_msrs(void **state)
{
    (void)state;
    struct desk *d = begin();
    struct lapic *l = &d->cpus[2];
    u64 v;
    assert_false(lapic_msr_read(l, 0x802, &v)); /* not in that mode */
    for (u32 i = 0; i < CPUS; i++)
        assert_true(lapic_msr_write(&d->cpus[i], LAPIC_MSR_BASE, LAPIC_BASE | 0xc00));
    assert_true(lapic_msr_read(l, 0x802, &v) && v == 2);
    assert_true(lapic_msr_read(l, 0x80d, &v) && v == 4); /* cluster 0, bit 2 */
    assert_true(lapic_msr_write(l, 0x808, 0x30) && lapic_msr_read(l, 0x808, &v) && v == 0x30);
    assert_true(lapic_msr_write(l, 0x83f, 0x77));
    assert_int_equal(receivers(d, 0x77), 4);
    assert_true(lapic_msr_write(l, 0x830, 0x100000041ull));
    assert_true(lapic_msr_read(l, 0x830, &v) && v == 0x100000041ull);
    assert_int_equal(receivers(d, 0x41), 2);
    assert_true(lapic_msr_write(l, 0x830, 0x00000003ull << 32 | 0x842));
    assert_int_equal(receivers(d, 0x42), 3);
    assert_true(lapic_msr_write(l, 0x830, 0xffffffffull << 32 | 0x40));
    assert_int_equal(receivers(d, 0x40), 7);
    static const struct {
        u32 msr;
        u64 value;
    } refused[] = {
        {0x802, 0},     {0x803, 0}, {0x80a, 0}, {0x80d, 0}, {0x80e, 0},
        {0x831, 0},     {0x839, 0}, {0x80b, 1}, {0x828, 1}, {0x808, BIT(32)},
        {0x83f, 0x100}, {0x840, 0}, {0x8ff, 0}, {0x800, 0}, {0x830, 0x10000000},
    };
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        assert_false(lapic_msr_write(l, refused[i].msr, refused[i].value));
    static const u32 unreadable[] = {0x800, 0x80b, 0x80e, 0x831, 0x83f, 0x840, 0x8ff};
    for (size_t i = 0; i < ARRAY_SIZE(unreadable); i++)
        assert_false(lapic_msr_read(l, unreadable[i], &v));
}

static void mmio_takes_words_only(void **state)
{
    (void)state;
    struct desk *d = begin();
    struct lapic *l = &d->cpus[1];
    lapic_mmio_write(l, TPR, 1, 0x50);
    lapic_mmio_write(l, TPR + 4, 4, 0x50);
    assert_int_equal(lapic_mmio_read(l, TPR, 4), 0);
    lapic_mmio_write(l, TPR, 4, 0x50);
    assert_int_equal(lapic_mmio_read(l, TPR, 4), 0x50);
    assert_int_equal(lapic_mmio_read(l, ID + 3, 1), 1);
    assert_int_equal(lapic_mmio_read(l, ID, 8), 0x01000000);
    assert_int_equal(lapic_mmio_read(l, ID + 4, 4), 0);
    assert_int_equal(lapic_mmio_read(l, 0xff0, 4), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reset_values),
        cmocka_unit_test(higher_classes_interrupt_lower_ones),
        cmocka_unit_test(the_task_priority_holds_interrupts_back),
        cmocka_unit_test(the_end_of_a_level_interrupt_is_broadcast),
        cmocka_unit_test(a_disabled_apic_takes_nothing_and_masks_its_pins),
        cmocka_unit_test(illegal_vectors_are_errors),
        cmocka_unit_test(messages_find_their_processors),
        cmocka_unit_test(lowest_priority_goes_to_the_idlest),
        cmocka_unit_test(init_and_startup_are_reported),
        cmocka_unit_test(msi_addresses_name_processors),
        cmocka_unit_test(the_pic_reaches_lint0),
        cmocka_unit_test(one_shot_timer),
        cmocka_unit_test(a_one_shot_that_has_ended_waits_for_a_new_count),
        cmocka_unit_test(periodic_timer_keeps_its_beat),
        cmocka_unit_test(a_new_divider_applies_to_what_is_left),
        cmocka_unit_test(deadline_timer),
        cmocka_unit_test(modes_change_only_along_the_allowed_ways),
        cmocka_unit_test(x2apic_registers_are_msrs),
        cmocka_unit_test(mmio_takes_words_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
