/* SPDX-License-Identifier: Apache-2.0 */
/* The timer queue: a list sorted by deadline. A list is enough, because there are few timers. */
#include "device/timer.h"

void timer_queue_init(struct timer_queue *q, const struct clock *clock)
{
    *q = (struct timer_queue){.clock = clock};
}

void timer_disarm(struct timer_queue *q, struct timer *t)
{
    if (!t->armed)
        return;
    struct timer **link = &q->first;
    while (*link != t)
        link = &(*link)->next;
    *link = t->next;
    t->next = NULL;
    t->armed = false;
}

static bool is_before(const struct timer *a, const struct timer *b)
{
    return a->when_ns < b->when_ns || (a->when_ns == b->when_ns && a->order <= b->order);
}

void timer_arm(struct timer_queue *q, struct timer *t, u64 when_ns)
{
    timer_restore(q, t, true, max_u64(when_ns, q->floor_ns), q->next_order++);
}

void timer_restore(struct timer_queue *q, struct timer *t, bool armed, u64 when_ns, u64 order)
{
    timer_disarm(q, t);
    t->when_ns = when_ns;
    t->order = order;
    if (!armed)
        return;
    struct timer **link = &q->first;
    while (*link && is_before(*link, t))
        link = &(*link)->next;
    t->next = *link;
    t->armed = true;
    *link = t;
}

u64 timer_next(const struct timer_queue *q)
{
    return q->first ? q->first->when_ns : TIMER_NONE;
}

void timer_run(struct timer_queue *q, u64 now_ns)
{
    q->floor_ns = now_ns + 1;
    while (q->first && q->first->when_ns <= now_ns) {
        struct timer *t = q->first;
        u64 when_ns = t->when_ns;
        timer_disarm(q, t);
        t->fire(t, when_ns);
    }
    q->floor_ns = 0;
}
