/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio disk: read, write, flush and identify, on a block back end. */
#ifndef SOFTSEV_DEVICE_VIRTIO_BLK_H
#define SOFTSEV_DEVICE_VIRTIO_BLK_H

#include "device/backend.h"
#include "device/virtio.h"

#define VIRTIO_BLK_CONFIG_SIZE  60
#define VIRTIO_BLK_SEGMENTS_MAX 126
#define VIRTIO_BLK_COPY_SECTORS 64 /* sectors copied at a time */
#define VIRTIO_BLK_ID_SIZE      20

struct virtio_blk {
    struct virtio virtio;
    struct block_backend backend;
    u8 config[VIRTIO_BLK_CONFIG_SIZE];
    char id[VIRTIO_BLK_ID_SIZE]; /* padded with NULs */
    u8 copy[VIRTIO_BLK_COPY_SECTORS * SECTOR_SIZE];
    struct virtio_chain chain;
    u64 requests, sectors_read, sectors_written;
};

bool virtio_blk_init(struct virtio_blk *b, struct dma_port dma, struct block_backend backend,
                     const char *id);

#endif
