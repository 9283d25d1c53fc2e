/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole board of devices under random accesses: ports, memory, configuration space, APIC
 * registers and MSRs, input, time. Nothing may crash, hang or reach outside guest memory.
 *
 * Input: operations of 12 bytes {kind, size code, u16 pad, u32 address, u32 value}.
 */
#include "base/bytes.h"
#include "device/debug_port.h"
#include "device/fw_cfg.h"
#include "device/gsi.h"
#include "device/ioapic.h"
#include "device/lapic.h"
#include "device/pci.h"
#include "device/pflash.h"
#include "device/pic.h"
#include "device/pit.h"
#include "device/pm.h"
#include "device/reset.h"
#include "device/rtc.h"
#include "device/uart.h"
#include "device/virtio_blk.h"
#include "device/virtio_console.h"
#include "device/virtio_rng.h"

#include <stdlib.h>

#define GUEST_SIZE      0x10000u
#define DISK_SECTORS    16u
#define CPUS            2
#define OPERATIONS_MAX  2000
#define VIRTIO_BAR      0xd0000000ull
#define VIRTIO_BAR_STEP 0x100000ull
#define FLASH           0xffc00000ull
#define FLASH_SIZE      (2 * PFLASH_SECTOR)

struct board {
    struct clock clock;
    struct timer_queue timers;
    struct bus ports, memory;
    struct uart uart;
    struct pic pic;
    struct pit pit;
    struct rtc rtc;
    struct lapic_bus apics;
    struct lapic cpus[CPUS];
    struct ioapic ioapic;
    struct gsi gsi;
    struct pm pm;
    struct reset reset;
    struct debug_exit debug_exit;
    struct fw_cfg fw_cfg;
    struct pci pci;
    struct virtio_blk blk;
    struct virtio_console console;
    struct virtio_rng rng;
    struct pflash flash;
    u8 contents[FLASH_SIZE];
    u8 guest[GUEST_SIZE], disk[DISK_SECTORS * SECTOR_SIZE];
    u64 events;
};

static struct board board;

static bool guest_read(void *ctx, u64 gpa, void *out, u64 size)
{
    struct board *b = ctx;
    if (!range_fits(gpa, size, GUEST_SIZE))
        return false;
    memcpy(out, b->guest + gpa, size);
    return true;
}

static bool guest_write(void *ctx, u64 gpa, const void *data, u64 size)
{
    struct board *b = ctx;
    if (!range_fits(gpa, size, GUEST_SIZE))
        return false;
    memcpy(b->guest + gpa, data, size);
    return true;
}

static bool disk_read(void *ctx, u64 sector, void *out, u64 count)
{
    struct board *b = ctx;
    if (!range_fits(sector, count, DISK_SECTORS))
        abort();
    memcpy(out, b->disk + sector * SECTOR_SIZE, count * SECTOR_SIZE);
    return true;
}

static bool disk_write(void *ctx, u64 sector, const void *data, u64 count)
{
    struct board *b = ctx;
    if (!range_fits(sector, count, DISK_SECTORS))
        abort();
    memcpy(b->disk + sector * SECTOR_SIZE, data, count * SECTOR_SIZE);
    return true;
}

static void on_output(void *ctx, const u8 *bytes, u64 count)
{
    struct board *b = ctx;
    for (u64 i = 0; i < count; i++)
        b->events += bytes[i];
}

static void on_random(void *ctx, void *out, size_t count)
{
    (void)ctx;
    memset(out, 0x5a, count);
}

static void on_event(void *ctx)
{
    ((struct board *)ctx)->events++;
}

static void on_flash(void *ctx, u64 offset, u64 size)
{
    if (!size || !range_fits(offset, size, FLASH_SIZE))
        abort();
    ((struct board *)ctx)->events++;
}

static void on_exit_port(void *ctx, u32 value)
{
    ((struct board *)ctx)->events += value;
}

static void on_eoi(void *ctx, u8 vector)
{
    ioapic_end_of_interrupt(&((struct board *)ctx)->ioapic, vector);
}

static void on_init(void *ctx, u32 cpu)
{
    lapic_init_signal(&((struct board *)ctx)->cpus[cpu]);
}

static void check(bool good)
{
    if (!good)
        abort();
}

static void board_add_chips(struct board *b)
{
    struct console_backend console = {on_output, b};
    struct msi_port msi = {lapic_bus_msi, &b->apics};
    b->gsi = (struct gsi){&b->pic, &b->ioapic};
    lapic_bus_init(&b->apics, (struct lapic_events){.eoi = on_eoi, .init = on_init, .ctx = b});
    for (u32 i = 0; i < CPUS; i++) {
        check(lapic_init(&b->cpus[i], &b->apics, &b->timers, i, i));
        lapic_write(&b->cpus[i], 0xf0, 0x1ff);
    }
    pic_init(&b->pic, (struct irq_line){lapic_set_lint, &b->cpus[0], 0});
    ioapic_init(&b->ioapic, msi);
    uart_init(&b->uart, UART_COM1_PORT, gsi_line(&b->gsi, UART_COM1_IRQ), console);
    pit_init(&b->pit, &b->timers, gsi_line(&b->gsi, 0));
    rtc_init(&b->rtc, &b->timers, gsi_line(&b->gsi, 8), 1700000000);
    pm_init(&b->pm, 0x600, &b->timers, gsi_line(&b->gsi, 9), on_event, b);
    reset_init(&b->reset, on_event, b);
    debug_exit_init(&b->debug_exit, on_exit_port, b);
    fw_cfg_init(&b->fw_cfg, (struct dma_port){guest_read, guest_write, b});
    check(fw_cfg_add_file(&b->fw_cfg, "opt/fuzz", "0123456789", 10));
    check(pci_init(&b->pci, &b->ports, &b->memory, msi, PCI_HOST_I440FX, &b->reset.control));
    check(pic_attach(&b->pic, &b->ports) && pit_attach(&b->pit, &b->ports));
    check(reset_attach(&b->reset, &b->ports) && fw_cfg_attach(&b->fw_cfg, &b->ports));
    check(bus_add(&b->ports, &b->uart.ports) && bus_add(&b->ports, &b->rtc.ports));
    check(bus_add(&b->ports, &b->pm.ports) && bus_add(&b->ports, &b->debug_exit.port));
    pflash_init(&b->flash, FLASH,
                (struct flash_backend){
                    .bytes = b->contents, .size = FLASH_SIZE, .changed = on_flash, .ctx = b});
    check(bus_add(&b->memory, &b->flash.window));
    check(bus_add(&b->memory, &b->ioapic.window) && pci_add_ecam(&b->pci, 0xb0000000));
}

static void board_add_virtio(struct board *b)
{
    static const struct random_source random = {on_random, NULL};
    struct dma_port dma = {guest_read, guest_write, b};
    struct block_backend disk = {disk_read, disk_write, NULL, DISK_SECTORS, false, b};
    check(virtio_blk_init(&b->blk, dma, disk, "fuzz"));
    check(virtio_console_init(&b->console, dma, (struct console_backend){on_output, b}));
    check(virtio_rng_init(&b->rng, dma, &random));
    struct virtio *devices[] = {&b->blk.virtio, &b->console.virtio, &b->rng.virtio};
    for (u32 i = 0; i < ARRAY_SIZE(devices); i++) {
        struct pci_function *f = &devices[i]->pci;
        check(pci_add(&b->pci, f, (u8)PCI_DEVFN(i + 1, 0), gsi_line(&b->gsi, 16 + i)));
        check(pci_assign_bar(f, 4, VIRTIO_BAR + i * VIRTIO_BAR_STEP));
        check(pci_assign_bar(f, 1, VIRTIO_BAR + i * VIRTIO_BAR_STEP + 0x10000));
        bus_write(&b->pci.config, f->config.start + PCI_COMMAND, 2, 6);
    }
}

static void board_take_interrupts(struct board *b)
{
    for (u32 i = 0; i < CPUS; i++) {
        int vector = lapic_acknowledge(&b->cpus[i]);
        if (vector >= 0 && lapic_pending(&b->cpus[i]) > vector)
            abort(); /* something higher was passed over */
        if (vector >= 0 && vector % 2)
            lapic_write(&b->cpus[i], 0xb0, 0);
    }
    if (lapic_accepts_external(&b->cpus[0]) && pic_pending(&b->pic))
        (void)pic_acknowledge(&b->pic);
}

static void board_operate(struct board *b, u8 kind, u32 size, u32 address, u32 value)
{
    struct lapic *l = &b->cpus[address >> 16 & 1];
    u64 wide = (u64)value << 32 | value;
    u64 ignored;
    switch (kind % 14) {
    case 0:
        bus_read(&b->ports, address & 0xffff, size);
        break;
    case 1:
        bus_write(&b->ports, address & 0xffff, size, wide);
        break;
    case 2:
        bus_read(&b->memory, address, size);
        break;
    case 3:
        bus_write(&b->memory, address, size, wide);
        break;
    case 4:
        bus_read(&b->pci.config, address & 0xffff, size);
        break;
    case 5:
        bus_write(&b->pci.config, address & 0xffff, size, wide);
        break;
    case 6:
        lapic_mmio_read(l, address & 0xfff, size);
        break;
    case 7:
        lapic_mmio_write(l, address & 0xfff, size, wide);
        break;
    case 8:
        (void)lapic_msr_read(l, 0x800 + (address & 0xff), &ignored);
        break;
    case 9:
        (void)lapic_msr_write(l, address & 1 ? LAPIC_MSR_BASE : 0x800 + (address & 0xff), value);
        break;
    case 10:
        (void)lapic_msr_write(l, LAPIC_MSR_TSC_DEADLINE, b->clock.now + value);
        break;
    case 11:
        b->clock.now += value;
        timer_run(&b->timers, b->clock.now);
        break;
    case 12:
        (void)uart_receive(&b->uart, (u8)value);
        (void)virtio_console_receive(&b->console, (const u8 *)&value, sizeof value);
        break;
    default: /* the guest's own memory, for descriptors and fw_cfg requests */
        store_le32(b->guest + address % (GUEST_SIZE - 4), value);
        break;
    }
    board_take_interrupts(b);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct board *b = &board;
    memset(b, 0, sizeof *b);
    timer_queue_init(&b->timers, &b->clock);
    bus_init(&b->ports, "ports");
    bus_init(&b->memory, "memory");
    board_add_chips(b);
    board_add_virtio(b);
    struct reader r = reader_of(data, size);
    for (u32 i = 0; i < OPERATIONS_MAX && reader_left(&r); i++) {
        u8 kind = read_u8(&r), code = read_u8(&r);
        reader_skip(&r, 2);
        u32 address = read_u32(&r), value = read_u32(&r);
        board_operate(b, kind, 1u << code % 4, address, value);
    }
    return 0;
}
