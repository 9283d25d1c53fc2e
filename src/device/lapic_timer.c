/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC's timer [APM2 16.4.1]. The count is not updated step by step: it is computed from
 * its start time, and one timer is armed for its end. In deadline mode the end is given in TSC
 * ticks.
 */
#include "device/internal.h"

static u64 lapic_divisor(u32 divide)
{
    u32 code = (divide & 3) | (divide >> 1 & 4);
    return code == 7 ? 1 : 2u << code;
}

static u64 lapic_period_ns(const struct lapic *l)
{
    return l->initial_count * lapic_divisor(l->divide) * (CLOCK_HZ / LAPIC_TIMER_HZ);
}

static u32 lapic_timer_mode(const struct lapic *l)
{
    return l->lvt[LAPIC_LVT_TIMER] & LVT_TIMER_MODE;
}

u32 lapic_timer_count(const struct lapic *l)
{
    if (!l->initial_count || l->expired || lapic_timer_mode(l) == LVT_TIMER_DEADLINE)
        return 0;
    u64 ticks = (timer_now(l->timers) - l->timer_start_ns) / lapic_divisor(l->divide);
    if (lapic_timer_mode(l) == LVT_TIMER_PERIODIC)
        ticks %= l->initial_count;
    return ticks < l->initial_count ? l->initial_count - (u32)ticks : 0;
}

/* Arms the timer for the next time that the count reaches zero, if it will. */
static void lapic_timer_schedule(struct lapic *l)
{
    u64 now = timer_now(l->timers);
    u64 period = lapic_period_ns(l);
    u64 end = l->timer_start_ns + period;
    if (!period || l->expired || (lapic_timer_mode(l) != LVT_TIMER_PERIODIC && end <= now)) {
        timer_disarm(l->timers, &l->timer);
        return;
    }
    if (end <= now) {
        l->timer_start_ns += (now - l->timer_start_ns) / period * period;
        end = l->timer_start_ns + period;
    }
    timer_arm(l->timers, &l->timer, end);
}

void lapic_timer_set_count(struct lapic *l, u32 count)
{
    if (lapic_timer_mode(l) == LVT_TIMER_DEADLINE)
        return;
    l->initial_count = count;
    l->expired = false;
    l->timer_start_ns = timer_now(l->timers);
    lapic_timer_schedule(l);
}

void lapic_timer_set_divide(struct lapic *l, u32 divide)
{
    u32 left = lapic_timer_count(l);
    l->divide = divide & 0xb;
    if (!left)
        return;
    /* The rest of the count continues at the new speed. */
    l->timer_start_ns = timer_now(l->timers) - (l->initial_count - left) * lapic_divisor(divide);
    lapic_timer_schedule(l);
}

void lapic_timer_set_lvt(struct lapic *l, u32 lvt)
{
    u32 old_mode = lapic_timer_mode(l);
    u32 left = lapic_timer_count(l);
    l->lvt[LAPIC_LVT_TIMER] = lvt;
    u32 mode = lapic_timer_mode(l);
    if (mode == old_mode)
        return;
    if (mode == LVT_TIMER_DEADLINE || old_mode == LVT_TIMER_DEADLINE) {
        l->initial_count = 0;
        l->expired = false;
        l->deadline_tsc = 0;
        timer_disarm(l->timers, &l->timer);
    } else if (left) {
        lapic_timer_schedule(l);
    } else {
        l->expired = true; /* a count that has ended stays ended in the other mode too */
    }
}

static void lapic_timer_interrupt(struct lapic *l)
{
    u32 lvt = l->lvt[LAPIC_LVT_TIMER];
    if (!(lvt & LVT_MASKED))
        lapic_raise(l, lvt & LVT_VECTOR, false);
}

void lapic_timer_set_deadline(struct lapic *l, u64 tsc)
{
    if (lapic_timer_mode(l) != LVT_TIMER_DEADLINE)
        return;
    timer_disarm(l->timers, &l->timer);
    l->deadline_tsc = 0;
    if (!tsc)
        return;
    u64 now = timer_now(l->timers);
    u64 guest_now = now + l->tsc_offset;
    if (tsc <= guest_now) {
        lapic_timer_interrupt(l);
        return;
    }
    l->deadline_tsc = tsc;
    u64 left = tsc - guest_now;
    timer_arm(l->timers, &l->timer, left < TIMER_NONE - now ? now + left : TIMER_NONE - 1);
}

void lapic_timer_fire(struct timer *timer, u64 when_ns)
{
    (void)when_ns;
    struct lapic *l = CONTAINER_OF(timer, struct lapic, timer);
    l->deadline_tsc = 0;
    lapic_timer_interrupt(l);
    if (lapic_timer_mode(l) == LVT_TIMER_PERIODIC)
        lapic_timer_schedule(l);
}
