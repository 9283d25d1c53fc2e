/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local APICs, one per processor, and the bus between them: xAPIC registers, the x2APIC's MSRs,
 * priorities, inter-processor and message-signalled interrupts, and the timer (including TSC
 * deadline mode) [APM2 16]. The hypervisor calls lapic_pending before each VMRUN, and
 * lapic_acknowledge for the interrupt that it injects.
 */
#ifndef SOFTSEV_DEVICE_LAPIC_H
#define SOFTSEV_DEVICE_LAPIC_H

#include "device/irq.h"
#include "device/timer.h"

#define LAPIC_BASE     0xfee00000ull
#define LAPIC_SIZE     0x1000
#define LAPIC_CPUS_MAX 64
#define LAPIC_TIMER_HZ CLOCK_HZ /* before the divider */

#define LAPIC_MSR_BASE         0x1b
#define LAPIC_MSR_TSC_DEADLINE 0x6e0
#define LAPIC_MSR_X2APIC_FIRST 0x800
#define LAPIC_MSR_X2APIC_LAST  0x8ff

enum lapic_lvt {
    LAPIC_LVT_TIMER,
    LAPIC_LVT_THERMAL,
    LAPIC_LVT_PERFORMANCE,
    LAPIC_LVT_LINT0,
    LAPIC_LVT_LINT1,
    LAPIC_LVT_ERROR,
    LAPIC_LVTS,
};

/* Events that leave the APICs; each may be NULL. `cpu` is the index given to lapic_init. */
struct lapic_events {
    void (*eoi)(void *ctx, u8 vector); /* end of a level-triggered interrupt, for the I/O APIC */
    void (*nmi)(void *ctx, u32 cpu);
    void (*smi)(void *ctx, u32 cpu);
    void (*init)(void *ctx, u32 cpu); /* the hypervisor then calls lapic_init_signal */
    void (*startup)(void *ctx, u32 cpu, u8 vector); /* code starts at vector << 12 */
    void *ctx;
};

struct lapic_bus {
    struct lapic *cpus[LAPIC_CPUS_MAX];
    u32 count;
    struct lapic_events events;
};

struct lapic {
    struct lapic_bus *bus;
    struct timer_queue *timers;
    struct timer timer;
    u32 cpu, id;
    u64 base_msr;
    u64 tsc_offset; /* guest's TSC = machine clock + this; for TSC deadline mode */
    u8 xapic_id;    /* bits 31..24 of the ID register, writable in xAPIC mode */
    u8 tpr;
    u32 ldr, dfr, svr, esr, esr_next, icr_low, icr_high, divide;
    u32 lvt[LAPIC_LVTS];
    u32 irr[8], isr[8], tmr[8];
    u32 initial_count;
    u64 timer_start_ns; /* start of the count */
    bool expired;       /* a one-shot count has ended and no new one has started */
    u64 deadline_tsc;
    bool lint_level[2];
};

void lapic_bus_init(struct lapic_bus *bus, struct lapic_events events);
/* Adds processor `cpu` with APIC ID `id` to the bus. Returns false if the bus is full. */
bool lapic_init(struct lapic *l, struct lapic_bus *bus, struct timer_queue *timers, u32 cpu,
                u32 id);
/* Handles INIT: resets everything except the ID and the base MSR. */
void lapic_init_signal(struct lapic *l);

/* Access xAPIC registers by their offset in the page: a multiple of 16, other offsets read as
 * zero. */
u32 lapic_read(struct lapic *l, u32 offset);
void lapic_write(struct lapic *l, u32 offset, u32 value);
/* Carry out an MMIO access of the guest, of any size. */
u64 lapic_mmio_read(struct lapic *l, u32 offset, u32 size);
void lapic_mmio_write(struct lapic *l, u32 offset, u32 size, u64 value);
bool lapic_mmio_enabled(const struct lapic *l); /* xAPIC mode: the page is enabled */
u64 lapic_mmio_base(const struct lapic *l);

/* Access MSRs 1B, 6E0 and 800-8FF. Return false for #GP. */
bool lapic_msr_read(struct lapic *l, u32 msr, u64 *value);
bool lapic_msr_write(struct lapic *l, u32 msr, u64 value);

/* Returns the highest vector that may interrupt now (above the processor priority), or -1. */
int lapic_pending(const struct lapic *l);
/* Moves the interrupt from requested to in service, as the processor does when it takes it. Returns
 * the vector, or -1. */
int lapic_acknowledge(struct lapic *l);
/* Set and get the task priority as the processor holds it (V_TPR, CR8). */
void lapic_set_cr8(struct lapic *l, u8 cr8);
u8 lapic_cr8(const struct lapic *l);
/* Returns true if this processor accepts the 8259s' INTR signal: LINT0 in ExtINT mode, or APIC
 * off. */
bool lapic_accepts_external(const struct lapic *l);
/* Sets a local pin: for a struct irq_line with ctx = the APIC and line 0 or 1. */
void lapic_set_lint(void *lapic, u32 pin, bool level);
/* Raises a fixed interrupt in this APIC, as a bus message does. */
void lapic_raise(struct lapic *l, u8 vector, bool level_triggered);

/* Delivers a message-signalled interrupt [FEEx_xxxx]; for a struct msi_port with ctx = the bus. */
void lapic_bus_msi(void *bus, u64 address, u32 data);

#endif
