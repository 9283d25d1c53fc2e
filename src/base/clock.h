/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one machine clock: nanoseconds since the machine was made, advanced by retired
 * instructions (one each) and by fixed costs. Nothing reads the host's clock.
 */
#ifndef SOFTSEV_BASE_CLOCK_H
#define SOFTSEV_BASE_CLOCK_H

#include "base/base.h"

#define CLOCK_HZ 1000000000ull /* also the frequency of the TSC: one instruction, one tick */

struct clock {
    u64 now; /* ns; never runs backwards */
};

#endif
