/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one machine clock (design 3.1): nanoseconds since the machine was made, advanced by retired
 * instructions (one each) and by the fixed costs below. Nothing reads the host's clock.
 */
#ifndef SOFTSEV_BASE_CLOCK_H
#define SOFTSEV_BASE_CLOCK_H

#include "base/base.h"

#define CLOCK_HZ 1000000000ull /* also the frequency of the TSC: one instruction, one tick */

struct clock {
    u64 now; /* ns; never runs backwards */
};

/*
 * What takes machine time besides retired instructions, in nanoseconds. Each cost has the order of
 * magnitude of the hardware's. None may be 0: a guest must not loop, or keep its host at work,
 * while machine time stands still.
 */
enum clock_cost {
    COST_EVENT_NS = 500,       /* exception or interrupt: gate, stack, frame, a pipeline emptied */
    COST_PAUSE_NS = 64,        /* PAUSE: a Zen core takes about as many cycles */
    COST_EXIT_NS = 1000,       /* VMRUN, #VMEXIT, and what a host does about it */
    COST_WAKE_NS = 1000,       /* a timer's interrupt on a host that idles */
    COST_PORT_NS = 1000,       /* port access: eight cycles of an 8 MHz ISA bus */
    COST_RMPUPDATE_NS = 500,   /* RMPUPDATE or PSMASH: the entry goes through to memory */
    COST_REQUEST_NS = 1000000, /* guest request: an embedded core signs or derives a key */
    COST_RESET_NS = 100000000, /* a board's reset, and firmware's way to the same place */
    COST_DMA_KIB_NS = 256,     /* 1 KiB by a device: 4 GB/s */
};

#endif
