/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio console [virtio 1.2, 5.3], without the multi-port protocol. */
#include "device/virtio_console.h"

#define QUEUE_RECEIVE          0
#define QUEUE_TRANSMIT         1
#define F_EMERG_WRITE          BIT(2)
#define CONFIG_EMERGENCY_WRITE 8

static bool console_transmit(struct virtqueue *q)
{
    struct virtio_console *c = CONTAINER_OF(q->device, struct virtio_console, virtio);
    for (u64 done = 0; done < c->chain.out_bytes;) {
        u64 piece = min_u64(c->chain.out_bytes - done, sizeof c->copy);
        if (!virtio_chain_read(&c->virtio, &c->chain, done, c->copy, piece))
            break; /* unreadable bytes are not printed */
        console_output(&c->console, c->copy, piece);
        done += piece;
    }
    virtqueue_push(q, &c->chain, 0);
    return true;
}

static void console_notify(struct virtio *v, u32 queue)
{
    struct virtio_console *c = CONTAINER_OF(v, struct virtio_console, virtio);
    if (queue == QUEUE_TRANSMIT) /* the other one is filled when input arrives */
        virtqueue_serve(&v->queues[queue], &c->chain, console_transmit);
}

u64 virtio_console_receive(struct virtio_console *c, const u8 *bytes, u64 count)
{
    struct virtqueue *q = &c->virtio.queues[QUEUE_RECEIVE];
    u64 done = 0;
    while (done < count && virtqueue_pop(q, &c->chain) == VIRTQUEUE_CHAIN) {
        u64 piece = min_u64(count - done, c->chain.in_bytes);
        if (!virtio_chain_write(&c->virtio, &c->chain, 0, bytes + done, piece)) {
            virtio_break(&c->virtio);
            return done;
        }
        virtqueue_push(q, &c->chain, (u32)piece);
        done += piece;
    }
    if (done)
        virtqueue_signal(q);
    return done;
}

/* Prints a single character, before the driver is set up. */
static void console_config_write(struct virtio *v, u32 offset, u32 size, u64 value)
{
    (void)size;
    struct virtio_console *c = CONTAINER_OF(v, struct virtio_console, virtio);
    u8 byte = (u8)value;
    if (offset == CONFIG_EMERGENCY_WRITE)
        console_output(&c->console, &byte, 1);
}

static const struct virtio_type virtio_console_type = {
    .name = "virtio-console",
    .id = VIRTIO_ID_CONSOLE,
    .class_code = 0x078000,
    .queue_count = 2,
    .queue_size = 64,
    .config_size = VIRTIO_CONSOLE_CONFIG_SIZE,
    .notify = console_notify,
    .config_write = console_config_write,
};

bool virtio_console_init(struct virtio_console *c, struct dma_port dma,
                         struct console_backend console)
{
    memset(c, 0, sizeof *c);
    c->console = console;
    return virtio_init(&c->virtio, &virtio_console_type, F_EMERG_WRITE, c->config, dma);
}
