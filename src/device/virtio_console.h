/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio console with one port: queue 0 carries bytes to the guest, queue 1 from the guest. */
#ifndef SOFTSEV_DEVICE_VIRTIO_CONSOLE_H
#define SOFTSEV_DEVICE_VIRTIO_CONSOLE_H

#include "device/backend.h"
#include "device/virtio.h"

#define VIRTIO_CONSOLE_CONFIG_SIZE 12

struct virtio_console {
    struct virtio virtio;
    struct console_backend console;
    u8 config[VIRTIO_CONSOLE_CONFIG_SIZE];
    struct virtio_chain chain;
    u8 copy[4096];
};

bool virtio_console_init(struct virtio_console *c, struct dma_port dma,
                         struct console_backend console);
/* Sends bytes to the guest. Returns how many fit into the guest's buffers. */
u64 virtio_console_receive(struct virtio_console *c, const u8 *bytes, u64 count);

#endif
