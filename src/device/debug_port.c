/* SPDX-License-Identifier: Apache-2.0 */
/* Debug exit and debug console ports. */
#include "device/debug_port.h"

static u64 debug_exit_read(struct device *device, u64 offset, u32 size)
{
    (void)device, (void)offset, (void)size;
    return ~0ull;
}

static void debug_exit_write(struct device *device, u64 offset, u32 size, u64 value)
{
    (void)offset, (void)size;
    struct debug_exit *d = CONTAINER_OF(device, struct debug_exit, port);
    if (d->exit)
        d->exit(d->ctx, (u32)value);
}

void debug_exit_init(struct debug_exit *d, void (*exit)(void *ctx, u32 value), void *ctx)
{
    *d = (struct debug_exit){
        .port = {"debug-exit", DEBUG_EXIT_PORT, 4, 4, debug_exit_read, debug_exit_write},
        .exit = exit,
        .ctx = ctx,
    };
}

static u64 debug_console_read(struct device *device, u64 offset, u32 size)
{
    (void)device, (void)offset, (void)size;
    return 0xe9; /* tells a program that the port exists */
}

static void debug_console_write(struct device *device, u64 offset, u32 size, u64 value)
{
    (void)offset, (void)size;
    struct debug_console *d = CONTAINER_OF(device, struct debug_console, port);
    u8 byte = (u8)value;
    console_output(&d->console, &byte, 1);
}

void debug_console_init(struct debug_console *d, u64 port, struct console_backend console)
{
    *d = (struct debug_console){
        .port = {"debug-console", port, 1, 1, debug_console_read, debug_console_write},
        .console = console,
    };
}
