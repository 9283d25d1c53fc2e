/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports for programs under test. A write to the exit port ends the machine with a value. A debug
 * console passes bytes on (port 402 for OVMF, E9 for others) and reads as E9.
 */
#ifndef SOFTSEV_DEVICE_DEBUG_PORT_H
#define SOFTSEV_DEVICE_DEBUG_PORT_H

#include "device/backend.h"
#include "device/bus.h"

#define DEBUG_EXIT_PORT    0xf4
#define DEBUG_CONSOLE_PORT 0x402

struct debug_exit {
    struct device port;
    void (*exit)(void *ctx, u32 value);
    void *ctx;
};

struct debug_console {
    struct device port;
    struct console_backend console;
};

void debug_exit_init(struct debug_exit *d, void (*exit)(void *ctx, u32 value), void *ctx);
void debug_console_init(struct debug_console *d, u64 port, struct console_backend console);

#endif
