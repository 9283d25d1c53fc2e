/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands behind a console and a disk on the host's side. Input is not asked for: the
 * hypervisor pushes it in (uart_receive, virtio_console_receive) at points it has chosen, so that
 * runs repeat.
 */
#ifndef SOFTSEV_DEVICE_BACKEND_H
#define SOFTSEV_DEVICE_BACKEND_H

#include "base/base.h"

struct console_backend {
    void (*output)(void *ctx, const u8 *bytes, u64 count);
    void *ctx;
};

#define SECTOR_SIZE 512u

struct block_backend {
    /* Sectors are in range when these are called; false is an I/O error. */
    bool (*read)(void *ctx, u64 sector, void *out, u64 count_sectors);
    bool (*write)(void *ctx, u64 sector, const void *data, u64 count_sectors);
    bool (*flush)(void *ctx);
    u64 size_sectors;
    bool read_only;
    void *ctx;
};

static inline void console_output(const struct console_backend *c, const u8 *bytes, u64 count)
{
    if (c->output)
        c->output(c->ctx, bytes, count);
}

#endif
