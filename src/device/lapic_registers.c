/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local APIC, the part that software sees: the register page of the xAPIC and the MSRs of the
 * x2APIC. Both have the same registers, 16 bytes apart in the page and 1 apart as MSRs [APM2 16.3,
 * 16.11].
 */
#include "device/internal.h"

enum lapic_register {
    LAPIC_ID = 0x020,
    LAPIC_VERSION = 0x030,
    LAPIC_TPR = 0x080,
    LAPIC_APR = 0x090,
    LAPIC_PPR = 0x0a0,
    LAPIC_EOI = 0x0b0,
    LAPIC_LDR = 0x0d0,
    LAPIC_DFR = 0x0e0,
    LAPIC_SVR = 0x0f0,
    LAPIC_ISR = 0x100,
    LAPIC_TMR = 0x180,
    LAPIC_IRR = 0x200,
    LAPIC_ESR = 0x280,
    LAPIC_ICR_LOW = 0x300,
    LAPIC_ICR_HIGH = 0x310,
    LAPIC_LVT_FIRST = 0x320,
    LAPIC_LVT_LAST = 0x370,
    LAPIC_INITIAL_COUNT = 0x380,
    LAPIC_CURRENT_COUNT = 0x390,
    LAPIC_DIVIDE = 0x3e0,
    LAPIC_SELF_IPI = 0x3f0, /* x2APIC only */
};

#define LAPIC_VERSION_VALUE ((LAPIC_LVTS - 1) << 16 | 0x14u)
#define ICR_LOW_WRITABLE    0x000ccfffu
#define SVR_WRITABLE        0x000003ffu
/* Address bits above the physical width (48 in CPUID) are reserved. */
#define BASE_ADDRESS  0x0000fffffffff000ull
#define BASE_WRITABLE (BASE_BSP | BASE_X2APIC | BASE_ENABLE | BASE_ADDRESS)

/* The bits that software may set in each LVT entry. */
static const u32 lvt_writable[LAPIC_LVTS] = {
    [LAPIC_LVT_TIMER] = 0x700ff, [LAPIC_LVT_THERMAL] = 0x107ff, [LAPIC_LVT_PERFORMANCE] = 0x107ff,
    [LAPIC_LVT_LINT0] = 0x1a7ff, [LAPIC_LVT_LINT1] = 0x1a7ff,   [LAPIC_LVT_ERROR] = 0x100ff,
};

/* Which MSRs exist, and their access; the eight ISR, TMR and IRR ones each are readable. */
enum { MSR_READ = 1, MSR_WRITE = 2, MSR_ZERO = 4 /* only zero may be written */ };
static const u8 x2apic_access[0x40] = {
    [LAPIC_ID >> 4] = MSR_READ,
    [LAPIC_VERSION >> 4] = MSR_READ,
    [LAPIC_TPR >> 4] = MSR_READ | MSR_WRITE,
    [LAPIC_PPR >> 4] = MSR_READ,
    [LAPIC_EOI >> 4] = MSR_WRITE | MSR_ZERO,
    [LAPIC_LDR >> 4] = MSR_READ,
    [LAPIC_SVR >> 4] = MSR_READ | MSR_WRITE,
    [LAPIC_ISR >> 4] = MSR_READ,
    MSR_READ,
    MSR_READ,
    MSR_READ,
    MSR_READ,
    MSR_READ,
    MSR_READ,
    MSR_READ,
    [LAPIC_TMR >> 4] = MSR_READ,
    MSR_READ,
    MSR_READ,
    MSR_READ,
    MSR_READ,
    MSR_READ,
    MSR_READ,
    MSR_READ,
    [LAPIC_IRR >> 4] = MSR_READ,
    MSR_READ,
    MSR_READ,
    MSR_READ,
    MSR_READ,
    MSR_READ,
    MSR_READ,
    MSR_READ,
    [LAPIC_ESR >> 4] = MSR_READ | MSR_WRITE | MSR_ZERO,
    [LAPIC_ICR_LOW >> 4] = MSR_READ | MSR_WRITE,
    [LAPIC_LVT_FIRST >> 4] = MSR_READ | MSR_WRITE,
    MSR_READ | MSR_WRITE,
    MSR_READ | MSR_WRITE,
    MSR_READ | MSR_WRITE,
    MSR_READ | MSR_WRITE,
    MSR_READ | MSR_WRITE,
    [LAPIC_INITIAL_COUNT >> 4] = MSR_READ | MSR_WRITE,
    [LAPIC_CURRENT_COUNT >> 4] = MSR_READ,
    [LAPIC_DIVIDE >> 4] = MSR_READ | MSR_WRITE,
    [LAPIC_SELF_IPI >> 4] = MSR_WRITE,
};

static u32 lapic_read_bits(const struct lapic *l, u32 offset)
{
    u32 word = offset >> 4 & 7;
    if (offset < LAPIC_TMR)
        return l->isr[word];
    return offset < LAPIC_IRR ? l->tmr[word] : l->irr[word];
}

u32 lapic_read(struct lapic *l, u32 offset)
{
    if (offset & 0xf)
        return 0;
    if (offset >= LAPIC_ISR && offset < LAPIC_ESR)
        return lapic_read_bits(l, offset);
    if (offset >= LAPIC_LVT_FIRST && offset <= LAPIC_LVT_LAST)
        return l->lvt[(offset - LAPIC_LVT_FIRST) >> 4];
    switch (offset) {
    case LAPIC_ID:
        return lapic_is_x2apic(l) ? l->id : (u32)l->xapic_id << 24;
    case LAPIC_VERSION:
        return LAPIC_VERSION_VALUE;
    case LAPIC_TPR:
        return l->tpr;
    case LAPIC_APR:
    case LAPIC_PPR:
        return lapic_ppr(l);
    case LAPIC_LDR:
        return l->ldr;
    case LAPIC_DFR:
        return l->dfr;
    case LAPIC_SVR:
        return l->svr;
    case LAPIC_ESR:
        return l->esr;
    case LAPIC_ICR_LOW:
        return l->icr_low;
    case LAPIC_ICR_HIGH:
        return l->icr_high;
    case LAPIC_INITIAL_COUNT:
        return l->initial_count;
    case LAPIC_CURRENT_COUNT:
        return lapic_timer_count(l);
    case LAPIC_DIVIDE:
        return l->divide;
    default:
        return 0;
    }
}

static void lapic_write_lvt(struct lapic *l, u32 index, u32 value)
{
    value &= lvt_writable[index];
    if (!(l->svr & SVR_ENABLE))
        value |= LVT_MASKED; /* an APIC that software disabled keeps its entries masked */
    if (index == LAPIC_LVT_TIMER)
        lapic_timer_set_lvt(l, value);
    else
        l->lvt[index] = value;
}

static void lapic_write_svr(struct lapic *l, u32 value)
{
    l->svr = value & SVR_WRITABLE;
    for (u32 i = 0; !(l->svr & SVR_ENABLE) && i < LAPIC_LVTS; i++)
        l->lvt[i] |= LVT_MASKED;
}

static void lapic_write_icr(struct lapic *l, u32 value, u32 destination)
{
    l->icr_low = value & ICR_LOW_WRITABLE; /* the delivery status is always idle */
    lapic_send_icr(l, l->icr_low, destination);
}

void lapic_write(struct lapic *l, u32 offset, u32 value)
{
    if (offset & 0xf)
        return;
    if (offset >= LAPIC_LVT_FIRST && offset <= LAPIC_LVT_LAST) {
        lapic_write_lvt(l, (offset - LAPIC_LVT_FIRST) >> 4, value);
        return;
    }
    switch (offset) {
    case LAPIC_ID:
        l->xapic_id = (u8)(value >> 24);
        break;
    case LAPIC_TPR:
        l->tpr = (u8)value;
        break;
    case LAPIC_EOI:
        lapic_end_of_interrupt(l);
        break;
    case LAPIC_LDR:
        l->ldr = value & 0xff000000;
        break;
    case LAPIC_DFR:
        l->dfr = value | 0x0fffffff;
        break;
    case LAPIC_SVR:
        lapic_write_svr(l, value);
        break;
    case LAPIC_ESR: /* a write makes the errors since the last write readable */
        l->esr = l->esr_next;
        l->esr_next = 0;
        break;
    case LAPIC_ICR_LOW:
        lapic_write_icr(l, value, l->icr_high >> 24);
        break;
    case LAPIC_ICR_HIGH:
        l->icr_high = value & 0xff000000;
        break;
    case LAPIC_INITIAL_COUNT:
        lapic_timer_set_count(l, value);
        break;
    case LAPIC_DIVIDE:
        lapic_timer_set_divide(l, value);
        break;
    default:
        break;
    }
}

u64 lapic_mmio_read(struct lapic *l, u32 offset, u32 size)
{
    u32 in_register = offset & 0xf;
    if (in_register >= 4)
        return 0;
    u64 value = lapic_read(l, offset & 0xff0) >> (in_register * 8);
    return size < 8 ? value & (BIT(size * 8) - 1) : value;
}

void lapic_mmio_write(struct lapic *l, u32 offset, u32 size, u64 value)
{
    if (size == 4) /* other sizes are undefined [APM2 16.3.2] and do nothing */
        lapic_write(l, offset & 0xfff, (u32)value);
}

bool lapic_mmio_enabled(const struct lapic *l)
{
    return (l->base_msr & (BASE_ENABLE | BASE_X2APIC)) == BASE_ENABLE;
}

u64 lapic_mmio_base(const struct lapic *l)
{
    return l->base_msr & BASE_ADDRESS;
}

/* Changes the mode as [APM2 16.10] allows: from x2APIC only to disabled, and to x2APIC only from
 * xAPIC. */
static bool lapic_write_base(struct lapic *l, u64 value)
{
    if (value & ~BASE_WRITABLE)
        return false;
    u64 old_mode = l->base_msr & (BASE_ENABLE | BASE_X2APIC);
    u64 mode = value & (BASE_ENABLE | BASE_X2APIC);
    bool was_x2apic = old_mode == (BASE_ENABLE | BASE_X2APIC);
    bool to_x2apic = mode == (BASE_ENABLE | BASE_X2APIC);
    if (mode == BASE_X2APIC || (was_x2apic && mode == BASE_ENABLE) || (!old_mode && to_x2apic))
        return false;
    l->base_msr = (value & ~BASE_BSP) | (l->base_msr & BASE_BSP);
    if (!mode) {
        l->xapic_id = (u8)l->id;
        lapic_reset(l);
    } else if (to_x2apic && !was_x2apic) {
        l->ldr = lapic_x2apic_ldr(l->id);
        l->icr_high = 0;
    }
    return true;
}

bool lapic_msr_read(struct lapic *l, u32 msr, u64 *value)
{
    if (msr == LAPIC_MSR_BASE) {
        *value = l->base_msr;
        return true;
    }
    if (msr == LAPIC_MSR_TSC_DEADLINE) {
        *value = l->deadline_tsc;
        return true;
    }
    u32 index = msr - LAPIC_MSR_X2APIC_FIRST;
    if (!lapic_is_x2apic(l) || index >= ARRAY_SIZE(x2apic_access))
        return false;
    if (!(x2apic_access[index] & MSR_READ))
        return false;
    *value = lapic_read(l, index << 4);
    if (index == LAPIC_ICR_LOW >> 4)
        *value |= (u64)l->icr_high << 32;
    return true;
}

static bool lapic_write_x2apic(struct lapic *l, u32 index, u64 value)
{
    if (index == LAPIC_ICR_LOW >> 4) {
        if (value & 0xffffffff & ~(u64)(ICR_LOW_WRITABLE | 0x1000))
            return false;
        l->icr_high = (u32)(value >> 32);
        lapic_write_icr(l, (u32)value, l->icr_high);
        return true;
    }
    bool want_zero = x2apic_access[index] & MSR_ZERO;
    if (value >> 32 || (want_zero && value))
        return false;
    if (index == LAPIC_SELF_IPI >> 4) {
        if (value > 0xff)
            return false;
        lapic_send_icr(l, (u32)value | 1u << 18, 0);
        return true;
    }
    lapic_write(l, index << 4, (u32)value);
    return true;
}

bool lapic_msr_write(struct lapic *l, u32 msr, u64 value)
{
    if (msr == LAPIC_MSR_BASE)
        return lapic_write_base(l, value);
    if (msr == LAPIC_MSR_TSC_DEADLINE) {
        lapic_timer_set_deadline(l, value);
        return true;
    }
    u32 index = msr - LAPIC_MSR_X2APIC_FIRST;
    if (!lapic_is_x2apic(l) || index >= ARRAY_SIZE(x2apic_access))
        return false;
    if (!(x2apic_access[index] & MSR_WRITE))
        return false;
    return lapic_write_x2apic(l, index, value);
}
