/* SPDX-License-Identifier: Apache-2.0 */
/* What the device tests share: a clock that is set by hand,
 * and interrupt lines that are written down. */
#ifndef SOFTSEV_TESTS_DEVICE_COMMON_H
#define SOFTSEV_TESTS_DEVICE_COMMON_H

#include "device/bus.h"
#include "device/dma.h"
#include "device/irq.h"
#include "device/timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define MS     1000000ull
#define SECOND 1000000000ull

struct lines {
    bool level[32];
    u32 rises[32];
};

static inline void lines_set(void *ctx, u32 line, bool level)
{
    struct lines *l = ctx;
    if (level && !l->level[line])
        l->rises[line]++;
    l->level[line] = level;
}

static inline struct irq_line lines_line(struct lines *l, u32 line)
{
    return (struct irq_line){.set = lines_set, .ctx = l, .line = line};
}

struct world {
    struct clock clock;
    struct timer_queue timers;
    struct bus ports, memory;
    struct lines lines;
};

static inline void world_init(struct world *w)
{
    *w = (struct world){.clock = {.now = 0}};
    timer_queue_init(&w->timers, &w->clock);
    bus_init(&w->ports, "ports");
    bus_init(&w->memory, "memory");
}

/* Lets time pass as the hypervisor does: from deadline to deadline. */
static inline void world_run_until(struct world *w, u64 when)
{
    while (timer_next(&w->timers) <= when) {
        u64 next = timer_next(&w->timers);
        w->clock.now = next > w->clock.now ? next : w->clock.now;
        timer_run(&w->timers, w->clock.now);
    }
    w->clock.now = when;
}

static inline void outb(struct world *w, u16 port, u8 value)
{
    bus_write(&w->ports, port, 1, value);
}

static inline u8 inb(struct world *w, u16 port)
{
    return (u8)bus_read(&w->ports, port, 1);
}

/* Guest memory for DMA: bytes from address 0. */
#define GUEST_SIZE 0x40000u

struct guest {
    u8 bytes[GUEST_SIZE];
};

static inline bool guest_read(void *ctx, u64 gpa, void *out, u64 size)
{
    struct guest *g = ctx;
    if (!range_fits(gpa, size, GUEST_SIZE))
        return false;
    memcpy(out, g->bytes + gpa, size);
    return true;
}

static inline bool guest_write(void *ctx, u64 gpa, const void *data, u64 size)
{
    struct guest *g = ctx;
    if (!range_fits(gpa, size, GUEST_SIZE))
        return false;
    memcpy(g->bytes + gpa, data, size);
    return true;
}

static inline struct dma_port guest_dma(struct guest *g)
{
    return (struct dma_port){.read = guest_read, .write = guest_write, .ctx = g};
}

#endif
