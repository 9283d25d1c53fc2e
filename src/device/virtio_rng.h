/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio entropy source; the caller supplies the source of its bytes. */
#ifndef SOFTSEV_DEVICE_VIRTIO_RNG_H
#define SOFTSEV_DEVICE_VIRTIO_RNG_H

#include "base/random.h"
#include "device/virtio.h"

struct virtio_rng {
    struct virtio virtio;
    const struct random_source *random;
    struct virtio_chain chain;
};

bool virtio_rng_init(struct virtio_rng *r, struct dma_port dma, const struct random_source *random);

#endif
