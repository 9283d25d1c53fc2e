/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs one instruction on the processor the test runs on, in a process of its own addresses: code
 * and data lie at the same fixed places as in the core under test, so that states compare without
 * translation. x86-64 Linux only.
 */
#ifndef SOFTSEV_TESTS_HOST_CPU_H
#define SOFTSEV_TESTS_HOST_CPU_H

#include "base/base.h"

#define HOST_NO_FAULT 255
#define HOST_YMM      576 /* upper halves of the YMM registers; zero if the host has no AVX */
#define HOST_IMAGE    (HOST_YMM + 16 * 16)

struct host_state {
    u64 gpr[16];
    u64 rflags;
    u64 vector, error, address;     /* of the fault, HOST_NO_FAULT if none; address of #PF */
    _Alignas(16) u8 fx[HOST_IMAGE]; /* an XSAVE image without its header */
};

/* Maps `code` (one page) and [data, data + size) at exactly these addresses. False:
 * not possible here. */
bool host_cpu_open(u64 code, u64 data, u64 size);
/* Runs the `size` bytes at `code + offset` from *in, leaves the state after them, or at the fault,
 * in *out. */
void host_cpu_run(u64 offset, const u8 *bytes, u32 size, const struct host_state *in,
                  struct host_state *out);
u64 host_cpu_fs_base(void);
u16 host_cpu_selector(u32 segment); /* ES CS SS DS FS GS */

#endif
