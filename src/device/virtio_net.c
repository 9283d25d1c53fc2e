/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio network card [virtio 1.2, 5.1]. Each packet is a 12-byte header and an Ethernet frame.
 * No offload is offered, so a header that asks for one belongs to no valid packet.
 */
#include "device/virtio_net.h"

#define QUEUE_RECEIVE  0
#define QUEUE_TRANSMIT 1

#define F_MAC    BIT(5)
#define F_STATUS BIT(16)

#define CONFIG_MAC    0
#define CONFIG_STATUS 6
#define LINK_UP       1

#define HEADER_FLAGS   0
#define HEADER_GSO     1
#define HEADER_BUFFERS 10
#define ETHERNET_SIZE  14u /* addresses and type */

/* Returns true if the guest's chain is a packet, which is then in n->packet. */
static bool net_take(struct virtio_net *n)
{
    const u64 size = n->chain.out_bytes;
    return size >= VIRTIO_NET_HEADER_SIZE + ETHERNET_SIZE && size <= sizeof n->packet &&
           virtio_chain_read(&n->virtio, &n->chain, 0, n->packet, size) &&
           !n->packet[HEADER_FLAGS] && !n->packet[HEADER_GSO];
}

static bool net_transmit(struct virtqueue *q)
{
    struct virtio_net *n = CONTAINER_OF(q->device, struct virtio_net, virtio);
    if (net_take(n)) {
        n->frames_out++;
        n->backend.send(n->backend.ctx, n->packet + VIRTIO_NET_HEADER_SIZE,
                        n->chain.out_bytes - VIRTIO_NET_HEADER_SIZE);
    } else {
        n->frames_refused++;
    }
    virtqueue_push(q, &n->chain, 0);
    return true;
}

static void net_notify(struct virtio *v, u32 queue)
{
    struct virtio_net *n = CONTAINER_OF(v, struct virtio_net, virtio);
    if (queue == QUEUE_TRANSMIT) /* the other one is filled when a frame arrives */
        virtqueue_serve(&v->queues[queue], &n->chain, net_transmit);
}

bool virtio_net_receive(struct virtio_net *n, const void *frame, u64 size)
{
    struct virtqueue *q = &n->virtio.queues[QUEUE_RECEIVE];
    const u64 whole = VIRTIO_NET_HEADER_SIZE + size;
    if (whole > sizeof n->packet)
        return true;
    if (virtqueue_pop(q, &n->chain) != VIRTQUEUE_CHAIN)
        return false;
    memset(n->packet, 0, VIRTIO_NET_HEADER_SIZE);
    store_le16(n->packet + HEADER_BUFFERS, 1);
    memcpy(n->packet + VIRTIO_NET_HEADER_SIZE, frame, size);
    /* A driver's buffers hold the longest frame [virtio 1.2, 5.1.6.3.1]. */
    if (n->chain.in_bytes < sizeof n->packet ||
        !virtio_chain_write(&n->virtio, &n->chain, 0, n->packet, whole)) {
        virtio_break(&n->virtio);
        return false;
    }
    n->frames_in++;
    virtqueue_push(q, &n->chain, (u32)whole);
    virtqueue_signal(q);
    return true;
}

static const struct virtio_type virtio_net_type = {
    .name = "virtio-net",
    .id = VIRTIO_ID_NETWORK,
    .class_code = 0x020000,
    .queue_count = 2,
    .queue_size = 256,
    .config_size = VIRTIO_NET_CONFIG_SIZE,
    .notify = net_notify,
};

bool virtio_net_init(struct virtio_net *n, struct dma_port dma, struct net_backend backend)
{
    memset(n, 0, sizeof *n);
    n->backend = backend;
    memcpy(n->config + CONFIG_MAC, backend.mac, sizeof backend.mac);
    store_le16(n->config + CONFIG_STATUS, LINK_UP);
    return virtio_init(&n->virtio, &virtio_net_type, F_MAC | F_STATUS, n->config, dma);
}
