/* SPDX-License-Identifier: Apache-2.0 */
/* The wiring of a PC's devices: where each device's lines lead. */
#include "board/board.h"

#include "base/clock.h"
#include "board/map.h"
#include "device/archive.h"
#include "device/bus.h"
#include "device/debug_port.h"
#include "device/fw_cfg.h"
#include "device/gsi.h"
#include "device/ioapic.h"
#include "device/iommu.h"
#include "device/lapic.h"
#include "device/pci.h"
#include "device/pflash.h"
#include "device/pic.h"
#include "device/pit.h"
#include "device/pm.h"
#include "device/psp.h"
#include "device/reset.h"
#include "device/rtc.h"
#include "device/testdev.h"
#include "device/timer.h"
#include "device/uart.h"
#include "device/virtio_blk.h"
#include "device/virtio_console.h"
#include "device/virtio_net.h"
#include "device/virtio_rng.h"

#include <stdio.h>
#include <stdlib.h>

/* The first local APIC as firmware leaves it: enabled, LINT0 passes the 8259s' interrupts on, LINT1
 * is an NMI ("virtual wire"). */
#define LAPIC_SVR   0x0f0u
#define LAPIC_LINT0 0x350u
#define LAPIC_LINT1 0x360u
#define SVR_ENABLED 0x1ffu
#define LVT_EXTINT  0x700u
#define LVT_NMI     0x400u

#define DISK_SLOT    1u
#define CONSOLE_SLOT 2u
#define NET_SLOT     3u
#define RNG_SLOT     4u
#define BAR_SPACING  0x10000u

/* With firmware: the firmware recognises its board, an i440FX, by the device in slot 1, and finds
 * the ports of power management there [Intel 82371AB 5.1, 7.1]. */
#define BRIDGE_SLOT           1u
#define FIRMWARE_DISK_SLOT    3u
#define FIRMWARE_CONSOLE_SLOT 4u
#define FIRMWARE_NET_SLOT     5u
#define FIRMWARE_RNG_SLOT     6u
#define POWER_BASE            0x40u /* PMBA, bit 0 is always set */
#define POWER_ENABLE          0x80u /* PMREGMISC, bit 0: the ports are enabled */

#define INPUT_MAX 4096u /* bytes waiting for the UART */

struct board {
    struct board_config config;
    struct clock clock; /* the machine's clock, as the devices see it */
    struct timer_queue timers;
    struct bus ports, memory;
    struct pic pic;
    struct ioapic ioapic;
    struct lapic_bus lapic_bus;
    struct lapic *lapics; /* one for each processor */
    struct gsi gsi;
    struct pit pit;
    struct rtc rtc;
    struct uart uart;
    struct pm pm;
    struct reset reset;
    struct debug_exit debug_exit;
    struct pci pci;
    struct fw_cfg fw_cfg;
    struct pflash flash;
    struct testdev *testdev;        /* NULL: none */
    struct pci_function isa, power; /* these and the log: only with firmware */
    struct debug_console firmware_log;
    char firmware_line[BOARD_FIRMWARE_LINE_MAX + 1];
    u32 firmware_line_size;
    struct virtio_blk *disks; /* config.disk_count of them */
    struct virtio_console console;
    struct virtio_net net;
    struct virtio_rng rng;
    struct psp psp;
    struct iommu iommu;
    struct timer work;   /* armed while a virtio queue has paused */
    u8 input[INPUT_MAX]; /* for the UART */
    u32 input_count;
};

/* --- Events from devices ---------------------------------------------------------------------- */

static void on_eoi(void *context, u8 vector)
{
    struct board *b = context;
    ioapic_end_of_interrupt(&b->ioapic, vector);
}

static void on_nmi(void *context, u32 cpu)
{
    const struct board_events *events = &((struct board *)context)->config.events;
    if (events->nmi)
        events->nmi(events->context, cpu);
}

static void on_init(void *context, u32 cpu)
{
    const struct board_events *events = &((struct board *)context)->config.events;
    if (events->init)
        events->init(events->context, cpu);
}

static void on_startup(void *context, u32 cpu, u8 vector)
{
    const struct board_events *events = &((struct board *)context)->config.events;
    if (events->startup)
        events->startup(events->context, cpu, vector);
}

static char printable(u8 byte)
{
    if (byte < ' ' || byte > '~')
        return '?';
    return byte == '"' ? '\'' : (char)byte;
}

static void on_firmware_log(void *context, const u8 *bytes, u64 count)
{
    struct board *b = context;
    const struct board_events *events = &b->config.events;
    for (u64 i = 0; i < count; i++) {
        bool end = bytes[i] == '\n';
        if (!end && bytes[i] != '\r')
            b->firmware_line[b->firmware_line_size++] = printable(bytes[i]);
        if (!b->firmware_line_size || (!end && b->firmware_line_size < BOARD_FIRMWARE_LINE_MAX))
            continue;
        b->firmware_line[b->firmware_line_size] = 0;
        b->firmware_line_size = 0;
        if (events->firmware_line)
            events->firmware_line(events->context, b->firmware_line);
    }
}

/* --- Wiring ----------------------------------------------------------------------------------- */

static bool wire_interrupts(struct board *b)
{
    lapic_bus_init(
        &b->lapic_bus,
        (struct lapic_events){
            .eoi = on_eoi, .nmi = on_nmi, .init = on_init, .startup = on_startup, .ctx = b});
    for (u32 i = 0; i < b->config.cpus; i++) {
        if (!lapic_init(&b->lapics[i], &b->lapic_bus, &b->timers, i, i))
            return false;
    }
    struct lapic *first = &b->lapics[0];
    lapic_write(first, LAPIC_SVR, SVR_ENABLED);
    lapic_write(first, LAPIC_LINT0, LVT_EXTINT);
    lapic_write(first, LAPIC_LINT1, LVT_NMI);
    pic_init(&b->pic, (struct irq_line){lapic_set_lint, first, 0});
    ioapic_init(&b->ioapic, (struct msi_port){lapic_bus_msi, &b->lapic_bus});
    b->gsi = (struct gsi){&b->pic, &b->ioapic};
    return pic_attach(&b->pic, &b->ports) && bus_add(&b->memory, &b->ioapic.window);
}

/* Adds the device for hypervisor tests. It shares its lines with other devices: whoever writes last
 * sets the level. */
static bool wire_testdev(struct board *b)
{
    b->testdev = malloc(sizeof *b->testdev);
    if (!b->testdev)
        return false;
    testdev_init(b->testdev);
    for (u32 i = 0; i < TESTDEV_LINES; i++)
        b->testdev->line[i] = gsi_line(&b->gsi, i);
    return testdev_attach(b->testdev, &b->ports, &b->memory);
}

static bool wire_legacy(struct board *b)
{
    const struct board_config *config = &b->config;
    const struct board_events *events = &config->events;
    pit_init(&b->pit, &b->timers, gsi_line(&b->gsi, 0));
    rtc_init(&b->rtc, &b->timers, gsi_line(&b->gsi, 8), (s64)config->rtc_seconds);
    u64 memory = config->memory_size;
    rtc_set_memory(&b->rtc, min_u64(memory, BOARD_LOW_RAM_END),
                   memory - min_u64(memory, BOARD_LOW_RAM_END));
    uart_init(&b->uart, BOARD_UART_PORT, gsi_line(&b->gsi, BOARD_UART_IRQ), config->console);
    pm_init(&b->pm, BOARD_PM_PORT, &b->timers, gsi_line(&b->gsi, BOARD_SCI_IRQ), events->power_off,
            events->context);
    reset_init(&b->reset, events->reset, events->context);
    debug_exit_init(&b->debug_exit, events->debug_exit, events->context);
    fw_cfg_init(&b->fw_cfg, config->dma);
    if (config->testdev && !wire_testdev(b))
        return false;
    pflash_init(&b->flash, config->flash_address, config->flash);
    if (config->flash.bytes && !bus_add(&b->memory, &b->flash.window))
        return false;
    return fw_cfg_attach(&b->fw_cfg, &b->ports) && pit_attach(&b->pit, &b->ports) &&
           bus_add(&b->ports, &b->rtc.ports) && bus_add(&b->ports, &b->uart.ports) &&
           bus_add(&b->ports, &b->pm.ports) && bus_add(&b->ports, &b->debug_exit.port);
}

/* Adds a virtio function. Sets it up without firmware, as firmware would: addresses for its BARs
 * (1: MSI-X, 4: registers). The board's IOMMU translates nothing, so a device beside it says that
 * it uses physical addresses. */
static bool wire_function(struct board *b, struct virtio *v, u32 slot, u32 number)
{
    struct pci_function *f = &v->pci;
    if (b->config.iommu)
        v->features_offered &= ~VIRTIO_F_ACCESS_PLATFORM;
    u64 base = number ? BOARD_PCI_FUNCTIONS : BOARD_PCI_WINDOW;
    base += ((u64)number * BOARD_PCI_SLOTS + slot) * 4 * BAR_SPACING;
    return pci_add(&b->pci, f, (u8)PCI_DEVFN(slot, number),
                   gsi_line(&b->gsi, BOARD_PCI_IRQ + slot % 4)) &&
           (b->config.firmware ||
            (pci_assign_bar(f, 1, base) && pci_assign_bar(f, 4, base + BAR_SPACING)));
}

static bool wire_firmware_log(struct board *b)
{
    debug_console_init(&b->firmware_log, DEBUG_CONSOLE_PORT,
                       (struct console_backend){on_firmware_log, b});
    return bus_add(&b->ports, &b->firmware_log.port);
}

static bool wire_bridge(struct board *b)
{
    static const struct pci_identity isa = {0x8086, 0x7000, 0x1af4, 0x1100, 0x060100, 0},
                                     power = {0x8086, 0x7113, 0x1af4, 0x1100, 0x068000, 3};
    const struct irq_line none = {0};
    pci_function_init(&b->isa, "isa-bridge", &isa);
    b->isa.space[PCI_HEADER_TYPE] = PCI_HEADER_MULTIFUNCTION;
    pci_function_init(&b->power, "power", &power);
    store_le32(b->power.space + POWER_BASE, BOARD_PM_PORT | 1);
    b->power.space[POWER_ENABLE] = 1;
    return pci_add(&b->pci, &b->isa, PCI_DEVFN(BRIDGE_SLOT, 0), none) &&
           pci_add(&b->pci, &b->power, PCI_DEVFN(BRIDGE_SLOT, 3), none);
}

/* The secure processor's addresses are those that a BIOS would assign; firmware assigns its own. */
static bool wire_secure_processor(struct board *b)
{
    struct pci_function *f = &b->psp.pci;
    return psp_init(&b->psp, b->config.mailbox) &&
           pci_add(&b->pci, f, (u8)PCI_DEVFN(BOARD_PSP_SLOT, 0), (struct irq_line){0}) &&
           (b->config.firmware || (pci_assign_bar(f, PSP_BAR_REGISTERS, BOARD_PSP_REGISTERS) &&
                                   pci_assign_bar(f, PSP_BAR_MSIX, BOARD_PSP_MSIX)));
}

/* The IOMMU is a second function of the host bridge, as on AMD's parts. */
static bool wire_iommu(struct board *b)
{
    b->pci.host.space[PCI_HEADER_TYPE] |= PCI_HEADER_MULTIFUNCTION;
    return iommu_init(&b->iommu, BOARD_IOMMU, b->config.iommu_dma) &&
           iommu_attach(&b->iommu, &b->pci, BOARD_IOMMU_DEVFN);
}

/* Adds the disks as functions of one PCI device. The first one keeps its place, however many
 * follow. */
static bool wire_disks(struct board *b)
{
    const struct board_config *config = &b->config;
    const u32 slot = config->firmware ? FIRMWARE_DISK_SLOT : DISK_SLOT;
    for (u32 i = 0; i < config->disk_count; i++) {
        struct virtio_blk *disk = &b->disks[i];
        char id[VIRTIO_BLK_ID_SIZE];
        snprintf(id, sizeof id, i ? "softsev%u" : "softsev", i);
        if (!virtio_blk_init(disk, config->dma, config->disks[i], id))
            return false;
        if (!i && config->disk_count > 1)
            disk->virtio.pci.space[PCI_HEADER_TYPE] |= PCI_HEADER_MULTIFUNCTION;
        if (!wire_function(b, &disk->virtio, slot, i))
            return false;
    }
    return true;
}

static bool wire_pci(struct board *b)
{
    const struct board_config *config = &b->config;
    const struct msi_port msi = {lapic_bus_msi, &b->lapic_bus};
    if (!pci_init(&b->pci, &b->ports, &b->memory, msi, PCI_HOST_I440FX, &b->reset.control) ||
        !reset_attach(&b->reset, &b->ports))
        return false;
    if ((config->secure_processor && !wire_secure_processor(b)) ||
        (config->iommu && !wire_iommu(b)))
        return false;
    if (config->firmware && (!wire_bridge(b) || !wire_firmware_log(b)))
        return false;
    if (!wire_disks(b))
        return false;
    if (config->net.send &&
        (!virtio_net_init(&b->net, config->dma, config->net) ||
         !wire_function(b, &b->net.virtio, config->firmware ? FIRMWARE_NET_SLOT : NET_SLOT, 0)))
        return false;
    if (config->random &&
        (!virtio_rng_init(&b->rng, config->dma, config->random) ||
         !wire_function(b, &b->rng.virtio, config->firmware ? FIRMWARE_RNG_SLOT : RNG_SLOT, 0)))
        return false;
    if (!config->virtio_console)
        return true;
    return virtio_console_init(&b->console, config->dma, config->channel) &&
           wire_function(b, &b->console.virtio,
                         config->firmware ? FIRMWARE_CONSOLE_SLOT : CONSOLE_SLOT, 0);
}

static void on_work(struct timer *timer, u64 when_ns)
{
    struct board *b = CONTAINER_OF(timer, struct board, work);
    (void)when_ns;
    for (u32 i = 0; i < b->config.disk_count; i++)
        virtio_continue(&b->disks[i].virtio);
    virtio_continue(&b->console.virtio);
    virtio_continue(&b->net.virtio);
    virtio_continue(&b->rng.virtio);
}

struct board *board_create(const struct board_config *config)
{
    struct board *b = calloc(1, sizeof *b);
    struct lapic *lapics = calloc(config->cpus, sizeof *lapics);
    struct virtio_blk *disks = calloc(max_u64(config->disk_count, 1), sizeof *disks);
    if (!b || !lapics || !disks || config->disk_count > BOARD_DISKS_MAX) {
        free(disks);
        free(lapics);
        free(b);
        return NULL;
    }
    b->config = *config;
    b->lapics = lapics;
    b->disks = disks;
    b->clock.now = config->now_ns;
    timer_queue_init(&b->timers, &b->clock);
    b->work = (struct timer){.fire = on_work};
    bus_init(&b->ports, "ports");
    bus_init(&b->memory, "memory");
    if (!wire_interrupts(b) || !wire_legacy(b) || !wire_pci(b)) {
        board_destroy(b);
        return NULL;
    }
    return b;
}

void board_destroy(struct board *b)
{
    if (!b)
        return;
    free(b->testdev);
    free(b->disks);
    free(b->lapics);
    free(b);
}

bool board_add_item(struct board *b, u16 key, const char *name, const void *data, u64 size)
{
    return name ? fw_cfg_add_file(&b->fw_cfg, name, data, size)
                : fw_cfg_add_item(&b->fw_cfg, key, data, size);
}

u32 board_iommu_buffers(const struct board *b, struct iommu_buffer out[IOMMU_BUFFERS])
{
    return b->config.iommu ? iommu_buffers(&b->iommu, out) : 0;
}

/* --- State ------------------------------------------------------------------------------------ */

static void input_archive(struct board *b, struct archive *a)
{
    archive_section(a, "board", 1);
    archive_u64_below(a, &b->clock.now, BIT(62), "the machine's time");
    archive_u32_below(a, &b->input_count, INPUT_MAX + 1, "the size of the input");
    archive_bytes(a, b->input, sizeof b->input);
    archive_u32_below(a, &b->firmware_line_size, BOARD_FIRMWARE_LINE_MAX,
                      "the size of a line of firmware's log");
    archive_bytes(a, b->firmware_line, sizeof b->firmware_line);
    timer_archive(&b->work, &b->timers, a);
}

static void legacy_archive(struct board *b, struct archive *a)
{
    pic_archive(&b->pic, a);
    ioapic_archive(&b->ioapic, a);
    archive_same(a, b->config.cpus, "the number of processors");
    for (u32 i = 0; i < b->config.cpus; i++)
        lapic_archive(&b->lapics[i], a);
    pit_archive(&b->pit, a);
    rtc_archive(&b->rtc, a);
    uart_archive(&b->uart, a);
    pm_archive(&b->pm, a);
    reset_archive(&b->reset, a);
    fw_cfg_archive(&b->fw_cfg, a);
    if (b->config.flash.bytes)
        pflash_archive(&b->flash, a);
    if (b->testdev)
        testdev_archive(b->testdev, a);
}

static void virtio_devices_archive(struct board *b, struct archive *a)
{
    archive_same(a, b->config.disk_count, "the number of disks");
    for (u32 i = 0; i < b->config.disk_count; i++)
        virtio_blk_archive(&b->disks[i], a);
    if (b->config.net.send)
        virtio_archive(&b->net.virtio, a);
    if (b->config.random)
        virtio_archive(&b->rng.virtio, a);
    if (b->config.virtio_console)
        virtio_archive(&b->console.virtio, a);
}

void board_archive(struct board *b, struct archive *a)
{
    if (b->config.secure_processor || b->config.iommu)
        archive_fail(a, ERROR_USAGE, "a board with a secure processor or an IOMMU is not saved");
    timer_queue_archive(&b->timers, a);
    input_archive(b, a);
    legacy_archive(b, a);
    pci_archive(&b->pci, a);
    virtio_devices_archive(b, a);
}

/* --- Accesses --------------------------------------------------------------------------------- */

static bool in_lapic(const struct lapic *l, u64 address)
{
    return lapic_mmio_enabled(l) && (address & ~PAGE_MASK) == lapic_mmio_base(l);
}

bool board_is_lapic(const struct board *b, u32 cpu, u64 address)
{
    return in_lapic(&b->lapics[cpu], address);
}

u64 board_port_read(struct board *b, u64 port, u32 size)
{
    return bus_read(&b->ports, port, size);
}

void board_port_write(struct board *b, u64 port, u32 size, u64 value)
{
    bus_write(&b->ports, port, size, bus_truncate(value, size));
}

u64 board_memory_read(struct board *b, u32 cpu, u64 address, u32 size)
{
    struct lapic *l = &b->lapics[cpu];
    return in_lapic(l, address) ? lapic_mmio_read(l, (u32)(address & PAGE_MASK), size)
                                : bus_read(&b->memory, address, size);
}

void board_memory_write(struct board *b, u32 cpu, u64 address, u32 size, u64 value)
{
    struct lapic *l = &b->lapics[cpu];
    value = bus_truncate(value, size);
    if (in_lapic(l, address))
        lapic_mmio_write(l, (u32)(address & PAGE_MASK), size, value);
    else
        bus_write(&b->memory, address, size, value);
}

/* --- Interrupts ------------------------------------------------------------------------------- */

struct lapic *board_lapic(struct board *b, u32 cpu)
{
    return &b->lapics[cpu];
}

static bool external_pending(const struct board *b, u32 cpu)
{
    return lapic_accepts_external(&b->lapics[cpu]) && pic_pending(&b->pic);
}

bool board_interrupt_pending(struct board *b, u32 cpu)
{
    return external_pending(b, cpu) || lapic_pending(&b->lapics[cpu]) >= 0;
}

u8 board_interrupt_acknowledge(struct board *b, u32 cpu)
{
    return (u8)(external_pending(b, cpu) ? pic_acknowledge(&b->pic)
                                         : lapic_acknowledge(&b->lapics[cpu]));
}

/* --- Time and input --------------------------------------------------------------------------- */

/* Passes on as many waiting bytes as the UART accepts. */
static void feed_uart(struct board *b)
{
    u32 done = 0;
    while (done < b->input_count && uart_room(&b->uart) && uart_receive(&b->uart, b->input[done]))
        done++;
    if (done) {
        memmove(b->input, b->input + done, b->input_count - done);
        b->input_count -= done;
    }
}

static bool any_paused(const struct board *b)
{
    for (u32 i = 0; i < b->config.disk_count; i++)
        if (b->disks[i].virtio.paused)
            return true;
    return b->console.virtio.paused || b->net.virtio.paused || b->rng.virtio.paused;
}

void board_set_time(struct board *b, u64 now_ns)
{
    b->clock.now = now_ns;
    if (timer_next(&b->timers) <= now_ns)
        timer_run(&b->timers, now_ns);
    if (any_paused(b) && !b->work.armed)
        timer_arm(&b->timers, &b->work, now_ns + COST_WAKE_NS);
    if (b->input_count)
        feed_uart(b);
}

u64 board_next_event_ns(const struct board *b)
{
    return timer_next(&b->timers);
}

size_t board_console_input(struct board *b, const u8 *data, size_t size)
{
    size_t part = min_u64(size, INPUT_MAX - b->input_count);
    memcpy(b->input + b->input_count, data, part);
    b->input_count += (u32)part;
    return part;
}

size_t board_channel_input(struct board *b, const u8 *data, size_t size)
{
    return b->config.virtio_console ? virtio_console_receive(&b->console, data, size) : 0;
}

bool board_net_input(struct board *b, const void *frame, size_t size)
{
    return b->config.net.send && virtio_net_receive(&b->net, frame, size);
}

void board_press_power_button(struct board *b)
{
    pm_press_power_button(&b->pm);
}
