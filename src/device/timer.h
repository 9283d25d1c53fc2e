/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers in virtual time (nanoseconds of the machine clock). A device embeds its timers. The
 * queue's owner asks for the next deadline, lets the machine run up to it and then calls timer_run.
 * Timers fire in the order of their deadlines; timers with the same deadline fire in the order in
 * which they were armed.
 */
#ifndef SOFTSEV_DEVICE_TIMER_H
#define SOFTSEV_DEVICE_TIMER_H

#include "base/base.h"
#include "base/clock.h"

#define TIMER_NONE UINT64_MAX

struct timer {
    void (*fire)(struct timer *timer, u64 when_ns); /* already disarmed; may arm itself again */
    u64 when_ns;
    u64 order; /* of timers with one deadline: who was armed first */
    bool armed;
    struct timer *next;
};

struct timer_queue {
    const struct clock *clock; /* the current time for devices */
    struct timer *first;
    u64 next_order;
    u64 floor_ns; /* during timer_run: timers must be armed for a later time than this */
};

void timer_queue_init(struct timer_queue *q, const struct clock *clock);
/* Arms or re-arms a timer. A deadline in the past fires at the next timer_run. */
void timer_arm(struct timer_queue *q, struct timer *t, u64 when_ns);
void timer_disarm(struct timer_queue *q, struct timer *t);
/* Sets a timer as it was when it was saved. */
void timer_restore(struct timer_queue *q, struct timer *t, bool armed, u64 when_ns, u64 order);
u64 timer_next(const struct timer_queue *q); /* TIMER_NONE if none is armed */

/* Fires the timers that are due. Each timer fires at most once: one that arms itself for a time in
 * the past gets now + 1, so a guest that sets a tiny period cannot keep the host in this loop. */
void timer_run(struct timer_queue *q, u64 now_ns);

static inline u64 timer_now(const struct timer_queue *q)
{
    return q->clock->now;
}

#endif
