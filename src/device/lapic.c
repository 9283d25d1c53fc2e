/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local APIC, the interrupt part: request and service bits, priorities, the messages between
 * processors and their destinations [APM2 16.3 to 16.6].
 */
#include "device/internal.h"

static int lapic_highest(const u32 bits[8])
{
    for (int word = 7; word >= 0; word--) {
        if (bits[word])
            return word * 32 + 31 - __builtin_clz(bits[word]);
    }
    return -1;
}

static void lapic_set_bit(u32 bits[8], u8 vector, bool value)
{
    u32 mask = 1u << (vector & 31);
    bits[vector >> 5] = value ? bits[vector >> 5] | mask : bits[vector >> 5] & ~mask;
}

/* Returns the processor priority: the higher of the task's and that of the interrupt in service. */
u8 lapic_ppr(const struct lapic *l)
{
    int serving = lapic_highest(l->isr);
    u8 class = serving < 0 ? 0 : (u8)(serving & 0xf0);
    return (l->tpr & 0xf0) >= class ? l->tpr : class;
}

int lapic_pending(const struct lapic *l)
{
    if (!(l->base_msr & BASE_ENABLE))
        return -1;
    int vector = lapic_highest(l->irr);
    return vector >= 0 && (vector & 0xf0) > (lapic_ppr(l) & 0xf0) ? vector : -1;
}

int lapic_acknowledge(struct lapic *l)
{
    int vector = lapic_pending(l);
    if (vector < 0)
        return -1;
    lapic_set_bit(l->irr, (u8)vector, false);
    lapic_set_bit(l->isr, (u8)vector, true);
    return vector;
}

void lapic_end_of_interrupt(struct lapic *l)
{
    int vector = lapic_highest(l->isr);
    if (vector < 0)
        return;
    lapic_set_bit(l->isr, (u8)vector, false);
    bool level = l->tmr[vector >> 5] & (1u << (vector & 31));
    const struct lapic_events *events = &l->bus->events;
    if (level && events->eoi)
        events->eoi(events->ctx, (u8)vector);
}

void lapic_error(struct lapic *l, u32 bit)
{
    l->esr_next |= bit;
    u32 lvt = l->lvt[LAPIC_LVT_ERROR];
    u8 vector = lvt & LVT_VECTOR;
    if (!(lvt & LVT_MASKED) && vector >= 16)
        lapic_raise(l, vector, false);
}

void lapic_raise(struct lapic *l, u8 vector, bool level_triggered)
{
    if (!(l->base_msr & BASE_ENABLE) || !(l->svr & SVR_ENABLE))
        return;
    if (vector < 16) {
        lapic_error(l, ESR_ILLEGAL_RECEIVE);
        return;
    }
    lapic_set_bit(l->irr, vector, true);
    lapic_set_bit(l->tmr, vector, level_triggered);
}

void lapic_set_cr8(struct lapic *l, u8 cr8)
{
    l->tpr = (u8)(cr8 << 4);
}

u8 lapic_cr8(const struct lapic *l)
{
    return l->tpr >> 4;
}

bool lapic_accepts_external(const struct lapic *l)
{
    if (!(l->base_msr & BASE_ENABLE))
        return l->base_msr & BASE_BSP;
    u32 lvt = l->lvt[LAPIC_LVT_LINT0];
    return !(lvt & LVT_MASKED) && LVT_MODE(lvt) == DELIVERY_EXTERNAL;
}

static void lapic_deliver(struct lapic *l, enum lapic_delivery mode, u8 vector, bool level)
{
    const struct lapic_events *events = &l->bus->events;
    switch (mode) {
    case DELIVERY_FIXED:
    case DELIVERY_LOWEST:
        lapic_raise(l, vector, level);
        break;
    case DELIVERY_SMI:
        if (events->smi)
            events->smi(events->ctx, l->cpu);
        break;
    case DELIVERY_NMI:
        if (events->nmi)
            events->nmi(events->ctx, l->cpu);
        break;
    case DELIVERY_INIT:
        if (events->init)
            events->init(events->ctx, l->cpu);
        break;
    case DELIVERY_STARTUP:
        if (events->startup)
            events->startup(events->ctx, l->cpu, vector);
        break;
    default: /* external interrupts only come through LINT0 */
        break;
    }
}

void lapic_set_lint(void *lapic, u32 pin, bool level)
{
    struct lapic *l = lapic;
    if (pin > 1)
        return;
    bool rising = level && !l->lint_level[pin];
    l->lint_level[pin] = level;
    u32 lvt = l->lvt[LAPIC_LVT_LINT0 + pin];
    if (!rising || (lvt & LVT_MASKED) || !(l->base_msr & BASE_ENABLE))
        return;
    lapic_deliver(l, (enum lapic_delivery)LVT_MODE(lvt), lvt & LVT_VECTOR, false);
}

/* The destination of a message. */
struct lapic_destination {
    u32 id;
    bool logical, broadcast;
};

static bool lapic_matches_logical(const struct lapic *l, u32 id)
{
    if (lapic_is_x2apic(l))
        return id >> 16 == l->ldr >> 16 && (id & l->ldr & 0xffff);
    u32 mine = l->ldr >> 24;
    if (l->dfr >> 28 == 0xf) /* flat: one bit per processor */
        return mine & id & 0xff;
    return (id & 0xf0) == (mine & 0xf0) && (mine & id & 0x0f); /* cluster */
}

static bool lapic_matches(const struct lapic *l, const struct lapic_destination *to)
{
    if (!(l->base_msr & BASE_ENABLE))
        return false;
    if (to->broadcast)
        return true;
    if (to->logical)
        return lapic_matches_logical(l, to->id);
    return to->id == (lapic_is_x2apic(l) ? l->id : l->xapic_id);
}

/* Returns the addressed processor that has the lowest processor priority. */
static struct lapic *lapic_bus_lowest(struct lapic_bus *bus, const struct lapic_destination *to)
{
    struct lapic *best = NULL;
    for (u32 i = 0; i < bus->count; i++) {
        struct lapic *l = bus->cpus[i];
        if (!lapic_matches(l, to) || !(l->svr & SVR_ENABLE))
            continue;
        if (!best || lapic_ppr(l) < lapic_ppr(best))
            best = l;
    }
    return best;
}

static void lapic_bus_send(struct lapic_bus *bus, const struct lapic_destination *to,
                           enum lapic_delivery mode, u8 vector, bool level)
{
    if (mode == DELIVERY_LOWEST) {
        struct lapic *one = lapic_bus_lowest(bus, to);
        if (one)
            lapic_raise(one, vector, level);
        return;
    }
    for (u32 i = 0; i < bus->count; i++) {
        if (lapic_matches(bus->cpus[i], to))
            lapic_deliver(bus->cpus[i], mode, vector, level);
    }
}

/*
 * The interrupt command register's low half [APM2 16.5]:
 *   19..18 shorthand | 15 level triggered | 14 assert | 11 logical | 10..8 mode | 7..0 vector
 */
void lapic_send_icr(struct lapic *l, u32 low, u32 destination)
{
    enum lapic_delivery mode = (enum lapic_delivery)BITS(low, 10, 8);
    u8 vector = (u8)low;
    bool level = BITS(low, 15, 15);
    if (mode == DELIVERY_INIT && level && !BITS(low, 14, 14))
        return; /* INIT level de-assert has no effect here */
    if (mode <= DELIVERY_LOWEST && vector < 16) {
        lapic_error(l, ESR_ILLEGAL_SEND);
        return;
    }
    struct lapic_destination to = {
        .id = destination,
        .logical = BITS(low, 11, 11),
        .broadcast = destination == (lapic_is_x2apic(l) ? 0xffffffff : 0xff),
    };
    switch (BITS(low, 19, 18)) {
    case 0:
        lapic_bus_send(l->bus, &to, mode, vector, level);
        break;
    case 1:
        lapic_deliver(l, mode, vector, level);
        break;
    default: /* all, including or excluding self */
        for (u32 i = 0; i < l->bus->count; i++) {
            struct lapic *other = l->bus->cpus[i];
            bool skip = other == l && BITS(low, 18, 18);
            if (!skip && (other->base_msr & BASE_ENABLE))
                lapic_deliver(other, mode, vector, level);
        }
        break;
    }
}

void lapic_bus_msi(void *bus, u64 address, u32 data)
{
    if (address >> 20 != LAPIC_BASE >> 20)
        return; /* a write that has no effect on any processor */
    u32 id = (u32)BITS(address, 19, 12);
    enum lapic_delivery mode = (enum lapic_delivery)BITS(data, 10, 8);
    bool redirected = BITS(address, 3, 3) && mode == DELIVERY_FIXED;
    struct lapic_destination to = {
        .id = id,
        .logical = BITS(address, 2, 2),
        .broadcast = id == 0xff,
    };
    lapic_bus_send(bus, &to, redirected ? DELIVERY_LOWEST : mode, (u8)data, BITS(data, 15, 15));
}

void lapic_bus_init(struct lapic_bus *bus, struct lapic_events events)
{
    *bus = (struct lapic_bus){.events = events};
}

/* Sets the state after reset, except the ID and the base MSR. */
void lapic_reset(struct lapic *l)
{
    timer_disarm(l->timers, &l->timer);
    *l = (struct lapic){
        .bus = l->bus,
        .timers = l->timers,
        .timer = {.fire = lapic_timer_fire},
        .cpu = l->cpu,
        .id = l->id,
        .base_msr = l->base_msr,
        .tsc_offset = l->tsc_offset,
        .xapic_id = l->xapic_id,
        .dfr = 0xffffffff,
        .svr = 0xff,
    };
    for (u32 i = 0; i < LAPIC_LVTS; i++)
        l->lvt[i] = LVT_MASKED;
    /* LINT0 and LINT1 as "virtual wire", which firmware of every PC sets up before anything else
     * runs. */
    if (l->base_msr & BASE_BSP)
        l->lvt[LAPIC_LVT_LINT0] = DELIVERY_EXTERNAL << 8;
}

bool lapic_init(struct lapic *l, struct lapic_bus *bus, struct timer_queue *timers, u32 cpu, u32 id)
{
    if (bus->count == LAPIC_CPUS_MAX)
        return false;
    *l = (struct lapic){
        .bus = bus,
        .timers = timers,
        .cpu = cpu,
        .id = id,
        .xapic_id = (u8)id,
        .base_msr = LAPIC_BASE | BASE_ENABLE | (bus->count == 0 ? BASE_BSP : 0),
    };
    lapic_reset(l);
    bus->cpus[bus->count++] = l;
    return true;
}

void lapic_init_signal(struct lapic *l)
{
    lapic_reset(l);
    if (lapic_is_x2apic(l))
        l->ldr = lapic_x2apic_ldr(l->id);
}
