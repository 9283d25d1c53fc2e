/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's only clock: nanoseconds since the machine was made. Retired instructions (1 ns
 * each) and the fixed costs below advance it. Nothing reads the host's clock.
 */
#ifndef SOFTSEV_BASE_CLOCK_H
#define SOFTSEV_BASE_CLOCK_H

#include "base/base.h"

#define CLOCK_HZ 1000000000ull /* also the frequency of the TSC: one instruction, one tick */

struct clock {
    u64 now; /* ns; never runs backwards */
};

/*
 * What takes machine time besides retired instructions, in nanoseconds. Each cost has the
 * hardware's order of magnitude. None may be 0: machine time must not stand still while a guest
 * loops or keeps its host busy.
 */
enum clock_cost {
    COST_EVENT_NS = 500,     /* exception or interrupt: gate, stack, frame, pipeline flush */
    COST_PAUSE_NS = 64,      /* PAUSE: a Zen core takes about as many cycles */
    COST_EXIT_NS = 1000,     /* VMRUN, #VMEXIT, and the host's work on the exit */
    COST_WORLD_NS = 500,     /* VMRUN alone, or #VMEXIT alone: the host's work takes its own time */
    COST_WAKE_NS = 1000,     /* a timer interrupt on an idle host */
    COST_PORT_NS = 1000,     /* port access: eight cycles of an 8 MHz ISA bus */
    COST_RMPUPDATE_NS = 500, /* RMPUPDATE or PSMASH: the entry is written through to memory */
    COST_COMMAND_NS = 100000,  /* command to the secure processor by its mailbox */
    COST_REQUEST_NS = 1000000, /* guest request: an embedded core signs or derives a key */
    COST_RESET_NS = 100000000, /* reset of a board, up to the first instruction after firmware */
    COST_DMA_KIB_NS = 256,     /* 1 KiB by a device: 4 GB/s */
};

#endif
