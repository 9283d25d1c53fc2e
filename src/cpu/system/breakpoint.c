/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Breakpoints [APM2 13.1]: DR0 to DR3, compared with the addresses of code and data. While one is
 * armed, the run loop runs one instruction at a time, and pages with a data breakpoint stay out of
 * the TLB, so that every access to them takes the slow paths in mmu.c. I/O breakpoints (CR4.DE) are
 * never hit.
 */
#include "cpu/internal.h"

/* In the masks of DR0 to DR3: a debugger outside of the machine; branches are recorded. */
#define BREAK_HOST   BIT(4)
#define BREAK_BRANCH BIT(5)

enum breakpoint_type { BREAK_CODE, BREAK_WRITE, BREAK_IO, BREAK_ACCESS };

static bool armed(const struct cpu *c, u32 n)
{
    return c->arch.dr7 >> 2 * n & 3; /* local or global */
}

static enum breakpoint_type type_of(const struct cpu *c, u32 n)
{
    return (enum breakpoint_type)(c->arch.dr7 >> (16 + 4 * n) & 3);
}

/* Returns the size of a data breakpoint, which is also its alignment. */
static u64 watch_size(const struct cpu *c, u32 n)
{
    static const u8 sizes[] = {1, 2, 8, 4};
    return sizes[c->arch.dr7 >> (18 + 4 * n) & 3];
}

static u64 watch_first(const struct cpu *c, u32 n)
{
    return c->arch.dr[n] & ~(watch_size(c, n) - 1);
}

void debug_update(struct cpu *c)
{
    u8 before = c->engine.watchpoints;
    c->engine.breakpoints = c->engine.watchpoints = 0;
    for (u32 n = 0; n < ARRAY_SIZE(c->arch.dr); n++) {
        if (!armed(c, n) || type_of(c, n) == BREAK_IO)
            continue;
        if (type_of(c, n) == BREAK_CODE)
            c->engine.breakpoints |= (u8)BIT(n);
        else
            c->engine.watchpoints |= (u8)BIT(n);
    }
    if (debugger_steps(c))
        c->engine.breakpoints |= (u8)BREAK_HOST;
    if (c->arch.debugctl & DEBUGCTL_LBR)
        c->engine.breakpoints |= (u8)BREAK_BRANCH;
    if (debugger_watches(c))
        c->engine.watchpoints |= (u8)BREAK_HOST;
    if (before || c->engine.watchpoints)
        mmu_flush(c, true);
}

u64 debug_code_hits(const struct cpu *c)
{
    u64 linear = c->engine.mode & MODE_CODE64 ? c->arch.rip
                                              : (u32)(c->arch.seg[SEG_CS].base + c->arch.rip),
        hits = 0;
    for (u32 n = 0; n < ARRAY_SIZE(c->arch.dr); n++) {
        if (c->engine.breakpoints & BIT(n) && c->arch.dr[n] == linear)
            hits |= BIT(n);
    }
    return hits;
}

bool debug_watches_page(const struct cpu *c, u64 page)
{
    for (u32 n = 0; n < ARRAY_SIZE(c->arch.dr); n++) {
        if (c->engine.watchpoints & BIT(n) && (c->arch.dr[n] & ~PAGE_MASK) == page)
            return true;
    }
    return debugger_watches_page(c, page);
}

void debug_watch(struct cpu *c, u64 linear, u32 size, bool write)
{
    for (u32 n = 0; n < ARRAY_SIZE(c->arch.dr); n++) {
        u64 first = watch_first(c, n);
        if (c->engine.watchpoints & BIT(n) && (write || type_of(c, n) == BREAK_ACCESS) &&
            linear < first + watch_size(c, n) && first < linear + size)
            c->engine.watch_hits |= (u8)BIT(n);
    }
    debugger_watch(c, linear, size, write);
}
