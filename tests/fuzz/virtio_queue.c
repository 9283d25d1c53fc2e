/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk, a console, an entropy source and a network card whose guest memory, rings and descriptors
 * are the input. They may break; they may not crash, hang, or touch a sector or a byte that is not
 * theirs.
 *
 * Input: one byte of which device, u16 queue size code, then guest memory from address 0 on. The
 * rings of queue q lie at 1000h * q: descriptors at 0, available at 800h, used at C00h.
 */
#include "base/bytes.h"
#include "device/virtio_blk.h"
#include "device/virtio_console.h"
#include "device/virtio_net.h"
#include "device/virtio_rng.h"

#include <stdlib.h>

#define GUEST_SIZE   0x10000u
#define DISK_SECTORS 64u
#define BAR          0xd0000000ull
#define WORK_MAX     MIB(256) /* bytes moved for one notification */

struct desk {
    struct bus ports, memory;
    struct pci pci;
    struct virtio_blk blk;
    struct virtio_console console;
    struct virtio_rng rng;
    struct virtio_net net;
    u8 guest[GUEST_SIZE], disk[DISK_SECTORS * SECTOR_SIZE];
    u64 work;
};

static struct desk desk;

static void count_work(struct desk *d, u64 bytes)
{
    d->work += bytes;
    if (d->work > WORK_MAX)
        abort();
}

static bool guest_read(void *ctx, u64 gpa, void *out, u64 size)
{
    struct desk *d = ctx;
    count_work(d, size);
    if (!range_fits(gpa, size, GUEST_SIZE))
        return false;
    memcpy(out, d->guest + gpa, size);
    return true;
}

static bool guest_write(void *ctx, u64 gpa, const void *data, u64 size)
{
    struct desk *d = ctx;
    count_work(d, size);
    if (!range_fits(gpa, size, GUEST_SIZE))
        return false;
    memcpy(d->guest + gpa, data, size);
    return true;
}

static bool disk_read(void *ctx, u64 sector, void *out, u64 count)
{
    struct desk *d = ctx;
    if (!range_fits(sector, count, DISK_SECTORS))
        abort();
    memcpy(out, d->disk + sector * SECTOR_SIZE, count * SECTOR_SIZE);
    return true;
}

static bool disk_write(void *ctx, u64 sector, const void *data, u64 count)
{
    struct desk *d = ctx;
    if (!range_fits(sector, count, DISK_SECTORS))
        abort();
    memcpy(d->disk + sector * SECTOR_SIZE, data, count * SECTOR_SIZE);
    return true;
}

static void on_output(void *ctx, const u8 *bytes, u64 count)
{
    struct desk *d = ctx;
    for (u64 i = 0; i < count; i++)
        d->disk[i % sizeof d->disk] ^= bytes[i];
}

static void on_frame(void *ctx, const u8 *frame, u64 size)
{
    if (size < 14 || size > NET_BACKEND_FRAME_MAX)
        abort();
    on_output(ctx, frame, size);
}

static void on_random(void *ctx, void *out, size_t count)
{
    (void)ctx;
    memset(out, 0x5a, count);
}

static struct virtio *make_device(struct desk *d, u8 which)
{
    static const struct random_source random = {on_random, NULL};
    struct dma_port dma = {guest_read, guest_write, d};
    struct block_backend disk = {disk_read, disk_write, NULL, DISK_SECTORS, false, d};
    switch (which % 4) {
    case 0:
        return virtio_blk_init(&d->blk, dma, disk, "fuzz") ? &d->blk.virtio : NULL;
    case 1:
        return virtio_console_init(&d->console, dma, (struct console_backend){on_output, d})
                   ? &d->console.virtio
                   : NULL;
    case 3:
        return virtio_net_init(&d->net, dma, (struct net_backend){on_frame, d, {2}})
                   ? &d->net.virtio
                   : NULL;
    default:
        return virtio_rng_init(&d->rng, dma, &random) ? &d->rng.virtio : NULL;
    }
}

static void put(struct desk *d, u64 offset, u32 size, u64 value)
{
    bus_write(&d->memory, BAR + offset, size, value);
}

static void drive(struct desk *d, u32 queues, u32 size_code)
{
    put(d, 0x14, 1, 3);
    put(d, 0x08, 4, 0);
    put(d, 0x0c, 4, 1u << 28);
    put(d, 0x08, 4, 1);
    put(d, 0x0c, 4, 3);
    put(d, 0x14, 1, 0x0b);
    for (u32 q = 0; q < queues; q++) {
        put(d, 0x16, 2, q);
        put(d, 0x18, 2, 1u << size_code % 8);
        put(d, 0x20, 8, 0x1000u * q);
        put(d, 0x28, 8, 0x1000u * q + 0x800);
        put(d, 0x30, 8, 0x1000u * q + 0xc00);
        put(d, 0x1c, 2, 1);
    }
    put(d, 0x14, 1, 0x0f);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct desk *d = &desk;
    struct reader r = reader_of(data, size);
    u8 which = read_u8(&r);
    u16 size_code = read_u16(&r);
    memset(d, 0, sizeof *d);
    bus_init(&d->ports, "ports");
    bus_init(&d->memory, "memory");
    struct virtio *v = make_device(d, which);
    if (!v ||
        !pci_init(&d->pci, &d->ports, &d->memory, (struct msi_port){0}, PCI_HOST_I440FX, NULL) ||
        !pci_add(&d->pci, &v->pci, PCI_DEVFN(1, 0), (struct irq_line){0}) ||
        !pci_assign_bar(&v->pci, 4, BAR))
        abort();
    bus_write(&d->pci.config, 0x804, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    u32 queues = which % 2 ? 2 : 1;
    drive(d, queues, size_code);
    read_bytes(&r, d->guest, min_u64(reader_left(&r), GUEST_SIZE));
    for (u32 q = 0; q < queues; q++) {
        d->work = 0;
        put(d, 0x3000 + 4 * q, 2, q);
    }
    if (which % 4 == 1)
        (void)virtio_console_receive(&d->console, (const u8 *)"some input", 10);
    for (u64 n = 14; which % 4 == 3 && n <= NET_BACKEND_FRAME_MAX; n += 500)
        (void)virtio_net_receive(&d->net, d->disk, n);
    return 0;
}
