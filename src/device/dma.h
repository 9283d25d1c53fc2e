/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device access to guest memory. A device has the host's view: a page that the guest keeps private
 * reads as ciphertext, and a write corrupts it, as on hardware.
 */
#ifndef SOFTSEV_DEVICE_DMA_H
#define SOFTSEV_DEVICE_DMA_H

#include "base/base.h"

struct dma_port {
    /* Returns false and copies nothing if part of the range is not guest memory. */
    bool (*read)(void *ctx, u64 gpa, void *out, u64 size);
    bool (*write)(void *ctx, u64 gpa, const void *data, u64 size);
    void *ctx;
};

static inline bool dma_read(const struct dma_port *dma, u64 gpa, void *out, u64 size)
{
    return dma->read && dma->read(dma->ctx, gpa, out, size);
}

static inline bool dma_write(const struct dma_port *dma, u64 gpa, const void *data, u64 size)
{
    return dma->write && dma->write(dma->ctx, gpa, data, size);
}

#endif
