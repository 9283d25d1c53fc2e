/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio entropy source [virtio 1.2, 5.4]. */
#include "device/virtio_rng.h"

#define FILL_SIZE 256 /* most bytes in one answer; the driver asks again */

static bool rng_fill(struct virtqueue *q)
{
    struct virtio_rng *r = CONTAINER_OF(q->device, struct virtio_rng, virtio);
    u8 bytes[FILL_SIZE];
    u64 size = min_u64(r->chain.in_bytes, sizeof bytes);
    random_fill(r->random, bytes, size);
    bool good = virtio_chain_write(&r->virtio, &r->chain, 0, bytes, size);
    virtqueue_push(q, &r->chain, good ? (u32)size : 0);
    return true;
}

static void rng_notify(struct virtio *v, u32 queue)
{
    struct virtio_rng *r = CONTAINER_OF(v, struct virtio_rng, virtio);
    virtqueue_serve(&v->queues[queue], &r->chain, rng_fill);
}

static const struct virtio_type virtio_rng_type = {
    .name = "virtio-rng",
    .id = VIRTIO_ID_ENTROPY,
    .class_code = 0x00ff00,
    .queue_count = 1,
    .queue_size = 16,
    .notify = rng_notify,
};

bool virtio_rng_init(struct virtio_rng *r, struct dma_port dma, const struct random_source *random)
{
    memset(r, 0, sizeof *r);
    r->random = random;
    return virtio_init(&r->virtio, &virtio_rng_type, 0, NULL, dma);
}
