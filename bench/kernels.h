/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small programs whose speed is compared between processors: natively, in QEMU and in softsev.
 * They need no C library but memcpy, so that they also run on a bare machine.
 */
#ifndef SOFTSEV_BENCH_KERNELS_H
#define SOFTSEV_BENCH_KERNELS_H

#include <stddef.h>
#include <stdint.h>

struct kernel {
    const char *name;
    uint64_t (*run)(uint32_t scale); /* does its work `scale` times; returns a check sum */
};

/* The last entry has no name. */
extern const struct kernel kernels[];

const struct kernel *kernel_find(const char *name); /* NULL: there is none of that name */

#endif
