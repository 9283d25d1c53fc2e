/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio 1.x over PCI: the common, notify, interrupt and device registers, feature negotiation and
 * split virtqueues. Queues are in guest memory and hostile: every field is read once and checked. A
 * malformed queue stops the device (DEVICE_NEEDS_RESET).
 */
#ifndef SOFTSEV_DEVICE_VIRTIO_H
#define SOFTSEV_DEVICE_VIRTIO_H

#include "device/dma.h"
#include "device/pci.h"

#define VIRTIO_QUEUES_MAX      4
#define VIRTIO_QUEUE_SIZE_MAX  256
#define VIRTIO_CHAIN_MAX       130 /* buffers in a chain */
#define VIRTIO_CHAIN_BYTES_MAX MIB(16)
/* A queue pauses after this many bytes, so that the host can do other work. */
#define VIRTIO_TURN_BYTES MIB(1)

#define VIRTIO_F_INDIRECT_DESC   BIT(28)
#define VIRTIO_F_VERSION_1       BIT(32)
#define VIRTIO_F_ACCESS_PLATFORM BIT(33)

#define VIRTIO_STATUS_ACKNOWLEDGE 0x01
#define VIRTIO_STATUS_DRIVER      0x02
#define VIRTIO_STATUS_DRIVER_OK   0x04
#define VIRTIO_STATUS_FEATURES_OK 0x08
#define VIRTIO_STATUS_NEEDS_RESET 0x40
#define VIRTIO_STATUS_FAILED      0x80

enum virtio_id {
    VIRTIO_ID_NETWORK = 1,
    VIRTIO_ID_BLOCK = 2,
    VIRTIO_ID_CONSOLE = 3,
    VIRTIO_ID_ENTROPY = 4,
};

struct virtqueue {
    struct virtio *device;
    u16 size_max, size;
    bool enabled;
    u16 msix_vector;
    u64 descriptors, available, used; /* guest physical addresses */
    u16 next_available, next_used;
};

struct virtio_buffer {
    u64 gpa;
    u32 size;
};

/* A request from a queue: first the buffers that the device reads, then those that it writes. */
struct virtio_chain {
    u16 head;
    u32 out_count, in_count;
    u64 out_bytes, in_bytes;
    struct virtio_buffer buffers[VIRTIO_CHAIN_MAX];
};

enum virtqueue_result { VIRTQUEUE_EMPTY, VIRTQUEUE_CHAIN, VIRTQUEUE_BROKEN };

struct virtio;

struct virtio_type {
    const char *name;
    enum virtio_id id;
    u32 class_code;
    u32 queue_count;
    u16 queue_size;
    u32 config_size;
    void (*notify)(struct virtio *v, u32 queue); /* there is work in the queue; DRIVER_OK is set */
    void (*config_write)(struct virtio *v, u32 offset, u32 size, u64 value); /* may be NULL */
};

struct virtio {
    struct pci_function pci;
    const struct virtio_type *type;
    struct dma_port dma;
    u8 *config; /* the device's own configuration, type->config_size bytes */
    u64 features_offered, features_accepted;
    u32 offered_select, accepted_select;
    u8 status, isr, config_generation;
    u16 config_vector, queue_select;
    u8 window_capability; /* VIRTIO_PCI_CAP_PCI_CFG */
    u32 paused;           /* one bit per queue that may hold more chains: see virtio_continue() */
    struct virtqueue queues[VIRTIO_QUEUES_MAX];
};

/* Creates the PCI function (BAR 1: MSI-X, BAR 4: registers). The caller then adds it with
 * pci_add. */
bool virtio_init(struct virtio *v, const struct virtio_type *type, u64 features, u8 *config,
                 struct dma_port dma);
bool virtio_is_running(const struct virtio *v); /* DRIVER_OK, not broken, bus master */
void virtio_break(struct virtio *v);            /* tells the driver to reset the device */
void virtio_config_changed(struct virtio *v);
void virtio_continue(struct virtio *v); /* serves the paused queues */

enum virtqueue_result virtqueue_pop(struct virtqueue *q, struct virtio_chain *chain);
/* Returns a chain to the driver, with the number of bytes written into it. */
void virtqueue_push(struct virtqueue *q, const struct virtio_chain *chain, u32 written);
void virtqueue_signal(struct virtqueue *q); /* interrupts the driver unless it suppresses that */
/* Pops chains into `chain` and calls `serve` for each, until the queue is empty or pauses; then
 * signals the driver. `serve` returns false if the device breaks. */
void virtqueue_serve(struct virtqueue *q, struct virtio_chain *chain,
                     bool (*serve)(struct virtqueue *q));

/* Access bytes of a chain's readable or writable part; `offset` counts across its buffers. Return
 * false if the bytes are outside the part or memory is not accessible. */
bool virtio_chain_read(struct virtio *v, const struct virtio_chain *chain, u64 offset, void *out,
                       u64 size);
bool virtio_chain_write(struct virtio *v, const struct virtio_chain *chain, u64 offset,
                        const void *data, u64 size);

#endif
