/* SPDX-License-Identifier: Apache-2.0 */
/* Ratios against a named peer, taken alternately in one run so that a
 * noisy machine spoils both alike. */
#ifndef SOFTSEV_BENCH_BENCH_H
#define SOFTSEV_BENCH_BENCH_H

#include "base/base.h"

#include <stdio.h>
#include <time.h>

static inline double bench_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Runs both `rounds` times in turn and returns the best time of each in *ours and *peers. */
static inline void bench_alternate(unsigned rounds, void (*our)(void *), void (*peer)(void *),
                                   void *context, double *ours, double *peers)
{
    *ours = *peers = 1e9;
    for (unsigned i = 0; i < rounds; i++) {
        double start = bench_seconds();
        our(context);
        double middle = bench_seconds();
        peer(context);
        double end = bench_seconds();
        *ours = middle - start < *ours ? middle - start : *ours;
        *peers = end - middle < *peers ? end - middle : *peers;
    }
}

/* Ends the line; the program's exit code. */
static inline int bench_verdict(double ratio, double at_least)
{
    printf("%s\n", ratio < at_least ? "   MISSED" : "");
    return ratio < at_least;
}

#endif
