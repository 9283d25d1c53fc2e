/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands behind a console, a disk, a flash and a mailbox. Devices do not ask for input: the
 * hypervisor delivers it (uart_receive, virtio_console_receive) at points that it chooses, so that
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
    /* The caller has checked that the sectors are in range. false is an I/O error. */
    bool (*read)(void *ctx, u64 sector, void *out, u64 count_sectors);
    bool (*write)(void *ctx, u64 sector, const void *data, u64 count_sectors);
    bool (*flush)(void *ctx);
    u64 size_sectors;
    bool read_only;
    void *ctx;
};

/* The contents of a flash: a multiple of 4 KiB. The device changes them, and says so. */
struct flash_backend {
    u8 *bytes;
    u64 size;
    void (*changed)(void *ctx, u64 offset, u64 size);
    /* From now on reads give the contents, or what the last command asked for; NULL: not told. */
    void (*shows)(void *ctx, bool contents);
    void *ctx;
};

/* The secure processor behind its mailbox registers. */
struct mailbox_backend {
    /* Runs one command to its end and returns its status. It must not access the board. */
    u32 (*run)(void *ctx, u32 command, u64 buffer_address);
    void *ctx;
};

#define NET_BACKEND_FRAME_MAX 1514u /* bytes of an Ethernet frame, without its checksum */

struct net_backend {
    void (*send)(void *ctx, const u8 *frame, u64 size); /* a frame from the guest */
    void *ctx;
    u8 mac[6]; /* the guest's address */
};

static inline void console_output(const struct console_backend *c, const u8 *bytes, u64 count)
{
    if (c->output)
        c->output(c->ctx, bytes, count);
}

#endif
