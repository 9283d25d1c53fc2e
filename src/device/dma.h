/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a device reaches guest memory. What stands behind it is the host's view: a page that the
 * guest keeps private reads as ciphertext, and writing to it spoils it, as on hardware.
 */
#ifndef SOFTSEV_DEVICE_DMA_H
#define SOFTSEV_DEVICE_DMA_H

#include "base/base.h"

struct dma_port {
    /* False, with nothing copied, if the range is not all guest memory. */
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
