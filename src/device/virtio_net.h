/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio network card without offloads: queue 0 carries frames to the guest, queue 1 from it. */
#ifndef SOFTSEV_DEVICE_VIRTIO_NET_H
#define SOFTSEV_DEVICE_VIRTIO_NET_H

#include "device/backend.h"
#include "device/virtio.h"

#define VIRTIO_NET_CONFIG_SIZE 12
#define VIRTIO_NET_HEADER_SIZE 12

struct virtio_net {
    struct virtio virtio;
    struct net_backend backend;
    u8 config[VIRTIO_NET_CONFIG_SIZE];
    struct virtio_chain chain;
    u8 packet[VIRTIO_NET_HEADER_SIZE + NET_BACKEND_FRAME_MAX];
    u64 frames_in, frames_out, frames_refused; /* refused: no frame of Ethernet */
};

bool virtio_net_init(struct virtio_net *n, struct dma_port dma, struct net_backend backend);
/* Sends a frame to the guest. Returns false if the driver has no buffer for it now; the caller
 * keeps the frame. A frame that is too long is dropped. */
bool virtio_net_receive(struct virtio_net *n, const void *frame, u64 size);

#endif
