/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An instruction that is decoded but has no function yet raises #UD. These weak definitions give way to real ones; for
 * that this file must come last in the archive (see meson.build). When nothing is missing any more it goes.
 */
#include "cpu/internal.h"

#define EXEC(name)                                                                                 \
    __attribute__((weak)) void exec_##name(struct cpu *c, const struct insn *in)                   \
    {                                                                                              \
        (void)in;                                                                                  \
        cpu_raise_ud(c);                                                                           \
    }
#include "cpu/exec_list.h"
