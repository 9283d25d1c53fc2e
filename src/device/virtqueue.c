/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Split virtqueues [virtio 1.2, 2.7]. Each descriptor of a chain is read once, into the device's
 * own copy; any violation of the rules breaks the device. The number of descriptors in a chain is
 * limited, so a chain that loops is rejected as too long.
 */
#include "device/internal.h"

#define DESCRIPTOR_SIZE     16
#define DESCRIPTOR_NEXT     1
#define DESCRIPTOR_WRITE    2
#define DESCRIPTOR_INDIRECT 4
#define AVAILABLE_FLAGS     0
#define AVAILABLE_INDEX     2
#define AVAILABLE_RING      4
#define NO_INTERRUPT        1
#define USED_INDEX          2
#define USED_RING           4
#define USED_ELEMENT_SIZE   8

struct descriptor {
    u64 gpa;
    u32 size;
    u16 flags, next;
};

/* A table of descriptors in guest memory: the queue's own or an indirect one. */
struct descriptor_table {
    u64 gpa;
    u32 count;
};

static bool virtqueue_read_u16(const struct virtqueue *q, u64 gpa, u16 *value)
{
    u8 bytes[2];
    if (!dma_read(&q->device->dma, gpa, bytes, sizeof bytes))
        return false;
    *value = load_le16(bytes);
    return true;
}

static bool virtqueue_read_descriptor(const struct virtqueue *q,
                                      const struct descriptor_table *table, u32 index,
                                      struct descriptor *d)
{
    u8 bytes[DESCRIPTOR_SIZE];
    if (index >= table->count)
        return false;
    if (!dma_read(&q->device->dma, table->gpa + (u64)index * DESCRIPTOR_SIZE, bytes, sizeof bytes))
        return false;
    *d = (struct descriptor){load_le64(bytes), load_le32(bytes + 8), load_le16(bytes + 12),
                             load_le16(bytes + 14)};
    return true;
}

/* Adds a buffer. Returns false if it breaks a rule: empty, wrapping, readable after writable, too
 * large. */
static bool virtio_chain_add(struct virtio_chain *chain, const struct descriptor *d)
{
    u32 count = chain->out_count + chain->in_count;
    bool in = d->flags & DESCRIPTOR_WRITE;
    if (count == VIRTIO_CHAIN_MAX || !d->size || !range_fits(d->gpa, d->size, UINT64_MAX))
        return false;
    if (!in && chain->in_count)
        return false;
    chain->buffers[count] = (struct virtio_buffer){d->gpa, d->size};
    if (in) {
        chain->in_count++;
        chain->in_bytes += d->size;
    } else {
        chain->out_count++;
        chain->out_bytes += d->size;
    }
    return chain->in_bytes + chain->out_bytes <= VIRTIO_CHAIN_BYTES_MAX;
}

static bool virtqueue_enter_indirect(const struct virtqueue *q, const struct descriptor *d,
                                     struct descriptor_table *table)
{
    if (d->flags & DESCRIPTOR_NEXT)
        return false;
    if (!(q->device->features_accepted & VIRTIO_F_INDIRECT_DESC))
        return false;
    if (!d->size || d->size % DESCRIPTOR_SIZE)
        return false;
    *table = (struct descriptor_table){d->gpa, d->size / DESCRIPTOR_SIZE};
    return true;
}

static bool virtqueue_collect(const struct virtqueue *q, struct virtio_chain *chain)
{
    struct descriptor_table table = {q->descriptors, q->size};
    bool indirect = false;
    u32 index = chain->head;
    for (u32 followed = 0; followed <= VIRTIO_CHAIN_MAX + 1; followed++) {
        struct descriptor d;
        if (!virtqueue_read_descriptor(q, &table, index, &d))
            return false;
        if (d.flags & DESCRIPTOR_INDIRECT) {
            if (indirect || !virtqueue_enter_indirect(q, &d, &table))
                return false;
            indirect = true;
            index = 0;
            continue;
        }
        if (!virtio_chain_add(chain, &d))
            return false;
        if (!(d.flags & DESCRIPTOR_NEXT))
            return true;
        index = d.next;
    }
    return false;
}

/* Finds the head of the next chain, if there is one. */
static enum virtqueue_result virtqueue_next(const struct virtqueue *q, u16 *head)
{
    u16 index;
    if (!virtqueue_read_u16(q, q->available + AVAILABLE_INDEX, &index))
        return VIRTQUEUE_BROKEN;
    u16 waiting = (u16)(index - q->next_available);
    if (!waiting)
        return VIRTQUEUE_EMPTY;
    u64 slot = q->available + AVAILABLE_RING + 2u * (q->next_available % q->size);
    if (waiting > q->size || !virtqueue_read_u16(q, slot, head) || *head >= q->size)
        return VIRTQUEUE_BROKEN;
    return VIRTQUEUE_CHAIN;
}

enum virtqueue_result virtqueue_pop(struct virtqueue *q, struct virtio_chain *chain)
{
    if (!q->enabled || !virtio_is_running(q->device))
        return VIRTQUEUE_EMPTY;
    chain->out_count = chain->in_count = 0;
    chain->out_bytes = chain->in_bytes = 0;
    enum virtqueue_result result = virtqueue_next(q, &chain->head);
    if (result == VIRTQUEUE_CHAIN && !virtqueue_collect(q, chain))
        result = VIRTQUEUE_BROKEN;
    if (result == VIRTQUEUE_CHAIN)
        q->next_available++;
    if (result == VIRTQUEUE_BROKEN)
        virtio_break(q->device);
    return result;
}

void virtqueue_push(struct virtqueue *q, const struct virtio_chain *chain, u32 written)
{
    u8 element[USED_ELEMENT_SIZE], index[2];
    store_le32(element, chain->head);
    store_le32(element + 4, written);
    u64 slot = q->used + USED_RING + (u64)USED_ELEMENT_SIZE * (q->next_used % q->size);
    q->next_used++;
    store_le16(index, q->next_used);
    const struct dma_port *dma = &q->device->dma;
    if (!dma_write(dma, slot, element, sizeof element) ||
        !dma_write(dma, q->used + USED_INDEX, index, sizeof index))
        virtio_break(q->device);
}

void virtqueue_signal(struct virtqueue *q)
{
    u16 flags;
    if (!virtqueue_read_u16(q, q->available + AVAILABLE_FLAGS, &flags)) {
        virtio_break(q->device);
        return;
    }
    if (!(flags & NO_INTERRUPT))
        virtio_interrupt(q->device, q->msix_vector, VIRTIO_ISR_QUEUE);
}

void virtqueue_serve(struct virtqueue *q, struct virtio_chain *chain,
                     bool (*serve)(struct virtqueue *q))
{
    u64 bytes = 0;
    u32 served = 0;
    while (served < q->size_max && bytes < VIRTIO_TURN_BYTES &&
           virtqueue_pop(q, chain) == VIRTQUEUE_CHAIN) {
        if (!serve(q)) {
            virtio_break(q->device);
            break;
        }
        bytes += chain->in_bytes + chain->out_bytes;
        served++;
    }
    if (served == q->size_max || bytes >= VIRTIO_TURN_BYTES)
        q->device->paused |= (u32)BIT(q - q->device->queues);
    if (served)
        virtqueue_signal(q);
}

/* Copies bytes to or from memory, over a run of buffers, from `offset` on. */
static bool virtio_buffers_copy(struct virtio *v, const struct virtio_buffer *buffers, u32 count,
                                u64 offset, void *out, const void *in, u64 size)
{
    u64 done = 0;
    for (u32 i = 0; i < count && done < size; i++) {
        if (offset >= buffers[i].size) {
            offset -= buffers[i].size;
            continue;
        }
        u64 gpa = buffers[i].gpa + offset;
        u64 piece = min_u64(size - done, buffers[i].size - offset);
        bool good = out ? dma_read(&v->dma, gpa, (u8 *)out + done, piece)
                        : dma_write(&v->dma, gpa, (const u8 *)in + done, piece);
        if (!good)
            return false;
        done += piece;
        offset = 0;
    }
    return done == size;
}

bool virtio_chain_read(struct virtio *v, const struct virtio_chain *chain, u64 offset, void *out,
                       u64 size)
{
    return virtio_buffers_copy(v, chain->buffers, chain->out_count, offset, out, NULL, size);
}

bool virtio_chain_write(struct virtio *v, const struct virtio_chain *chain, u64 offset,
                        const void *data, u64 size)
{
    return virtio_buffers_copy(v, chain->buffers + chain->out_count, chain->in_count, offset, NULL,
                               data, size);
}
