/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio disk [virtio 1.2, 5.2]. A request is a 16-byte header, data and, as the last writable
 * byte, a status. An invalid request gets an error status; a request without room for a status
 * breaks the device.
 */
#include "device/virtio_blk.h"

#define F_SIZE_MAX BIT(1)
#define F_SEG_MAX  BIT(2)
#define F_RO       BIT(5)
#define F_BLK_SIZE BIT(6)
#define F_FLUSH    BIT(9)

#define CONFIG_CAPACITY 0
#define CONFIG_SIZE_MAX 8
#define CONFIG_SEG_MAX  12
#define CONFIG_BLK_SIZE 20

#define HEADER_SIZE      16
#define SEGMENT_SIZE_MAX 0x20000u

_Static_assert(VIRTIO_BLK_SEGMENTS_MAX *SEGMENT_SIZE_MAX + HEADER_SIZE + 1 <=
                   VIRTIO_CHAIN_BYTES_MAX,
               "a request that the driver may make must fit in a chain");
_Static_assert(VIRTIO_BLK_SEGMENTS_MAX + 2 <= VIRTIO_CHAIN_MAX, "and so must its buffers");

enum request_type { REQUEST_IN = 0, REQUEST_OUT = 1, REQUEST_FLUSH = 4, REQUEST_GET_ID = 8 };
enum request_status { STATUS_OK = 0, STATUS_IO_ERROR = 1, STATUS_UNSUPPORTED = 2 };

struct disk_request {
    u32 type;
    u64 sector;
    u64 written; /* bytes written into the writable part, except the status */
};

static bool blk_range_good(const struct virtio_blk *b, u64 sector, u64 bytes)
{
    return bytes % SECTOR_SIZE == 0 &&
           range_fits(sector, bytes / SECTOR_SIZE, b->backend.size_sectors);
}

static enum request_status blk_read(struct virtio_blk *b, struct disk_request *r)
{
    u64 bytes = b->chain.in_bytes - 1;
    if (!blk_range_good(b, r->sector, bytes))
        return STATUS_IO_ERROR;
    while (r->written < bytes) {
        u64 piece = min_u64(bytes - r->written, sizeof b->copy);
        u64 sector = r->sector + r->written / SECTOR_SIZE;
        if (!b->backend.read(b->backend.ctx, sector, b->copy, piece / SECTOR_SIZE))
            return STATUS_IO_ERROR;
        if (!virtio_chain_write(&b->virtio, &b->chain, r->written, b->copy, piece))
            return STATUS_IO_ERROR;
        r->written += piece;
    }
    b->sectors_read += bytes / SECTOR_SIZE;
    return STATUS_OK;
}

static enum request_status blk_write(struct virtio_blk *b, const struct disk_request *r)
{
    u64 bytes = b->chain.out_bytes - HEADER_SIZE;
    if (b->backend.read_only || !blk_range_good(b, r->sector, bytes))
        return STATUS_IO_ERROR;
    for (u64 done = 0; done < bytes;) {
        u64 piece = min_u64(bytes - done, sizeof b->copy);
        u64 sector = r->sector + done / SECTOR_SIZE;
        if (!virtio_chain_read(&b->virtio, &b->chain, HEADER_SIZE + done, b->copy, piece))
            return STATUS_IO_ERROR;
        if (!b->backend.write(b->backend.ctx, sector, b->copy, piece / SECTOR_SIZE))
            return STATUS_IO_ERROR;
        done += piece;
    }
    b->sectors_written += bytes / SECTOR_SIZE;
    return STATUS_OK;
}

static enum request_status blk_get_id(struct virtio_blk *b, struct disk_request *r)
{
    u64 size = min_u64(b->chain.in_bytes - 1, VIRTIO_BLK_ID_SIZE);
    if (!virtio_chain_write(&b->virtio, &b->chain, 0, b->id, size))
        return STATUS_IO_ERROR;
    r->written = size;
    return STATUS_OK;
}

static enum request_status blk_run(struct virtio_blk *b, struct disk_request *r)
{
    switch (r->type) {
    case REQUEST_IN:
        return blk_read(b, r);
    case REQUEST_OUT:
        return blk_write(b, r);
    case REQUEST_FLUSH:
        return !b->backend.flush || b->backend.flush(b->backend.ctx) ? STATUS_OK : STATUS_IO_ERROR;
    case REQUEST_GET_ID:
        return blk_get_id(b, r);
    default:
        return STATUS_UNSUPPORTED;
    }
}

/* Returns false if the chain is not a request. */
static bool blk_request(struct virtqueue *q)
{
    struct virtio_blk *b = CONTAINER_OF(q->device, struct virtio_blk, virtio);
    u8 header[HEADER_SIZE];
    if (!b->chain.in_bytes || !virtio_chain_read(&b->virtio, &b->chain, 0, header, sizeof header))
        return false;
    struct disk_request r = {.type = load_le32(header), .sector = load_le64(header + 8)};
    u8 status = (u8)blk_run(b, &r);
    b->requests++;
    if (!virtio_chain_write(&b->virtio, &b->chain, b->chain.in_bytes - 1, &status, 1))
        return false;
    virtqueue_push(q, &b->chain, (u32)r.written + 1);
    return true;
}

static void blk_notify(struct virtio *v, u32 queue)
{
    struct virtio_blk *b = CONTAINER_OF(v, struct virtio_blk, virtio);
    virtqueue_serve(&v->queues[queue], &b->chain, blk_request);
}

static const struct virtio_type virtio_blk_type = {
    .name = "virtio-blk",
    .id = VIRTIO_ID_BLOCK,
    .class_code = 0x010000,
    .queue_count = 1,
    .queue_size = 128,
    .config_size = VIRTIO_BLK_CONFIG_SIZE,
    .notify = blk_notify,
};

bool virtio_blk_init(struct virtio_blk *b, struct dma_port dma, struct block_backend backend,
                     const char *id)
{
    memset(b, 0, sizeof *b);
    b->backend = backend;
    memcpy(b->id, id, min_u64(strlen(id), VIRTIO_BLK_ID_SIZE));
    store_le64(b->config + CONFIG_CAPACITY, backend.size_sectors);
    store_le32(b->config + CONFIG_SIZE_MAX, SEGMENT_SIZE_MAX);
    store_le32(b->config + CONFIG_SEG_MAX, VIRTIO_BLK_SEGMENTS_MAX);
    store_le32(b->config + CONFIG_BLK_SIZE, SECTOR_SIZE);
    u64 features = F_SIZE_MAX | F_SEG_MAX | F_BLK_SIZE | F_FLUSH | (backend.read_only ? F_RO : 0);
    return virtio_init(&b->virtio, &virtio_blk_type, features, b->config, dma);
}
