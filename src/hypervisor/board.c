/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's board: the devices of image/board.h, wired to each other, to the machine's clock and to
 * guest memory. */
#include "hypervisor/internal.h"

/* What firmware leaves in the first local APIC: on, LINT0 passing the 8259s through, LINT1 an NMI
 * ("virtual wire"). */
#define LAPIC_SVR   0x0f0u
#define LAPIC_LINT0 0x350u
#define LAPIC_LINT1 0x360u
#define SVR_ENABLED 0x1ffu
#define LVT_EXTINT  0x700u
#define LVT_NMI     0x400u

#define DISK_SLOT    1u
#define CONSOLE_SLOT 2u
#define BAR_SPACING  0x10000u

/* With firmware: it knows its board, an i440FX, by what stands in slot 1, and looks there for the ports of power
 * management [Intel 82371AB 5.1, 7.1]. */
#define BRIDGE_SLOT           1u
#define FIRMWARE_DISK_SLOT    3u
#define FIRMWARE_CONSOLE_SLOT 4u
#define POWER_BASE            0x40u /* PMBA, bit 0 always set */
#define POWER_ENABLE          0x80u /* PMREGMISC, bit 0: the ports answer */

static void on_power_off(void *context)
{
    vm_end(context, VM_POWERED_OFF, "the guest powered off");
}

static void on_reset(void *context)
{
    vm_end(context, VM_RESET, "the guest asked for a reset");
}

static void on_debug_exit(void *context, u32 value)
{
    struct vm *vm = context;
    vm->debug_exit_code = value;
    vm_end(vm, VM_DEBUG_EXIT, "the guest wrote %u to the debug-exit port", value);
}

static void on_eoi(void *context, u8 vector)
{
    struct vm *vm = context;
    ioapic_end_of_interrupt(&vm->board.ioapic, vector);
}

static void on_nmi(void *context, u32 cpu)
{
    struct vm *vm = context;
    vm->cpus[cpu].nmi = true;
}

static void on_init(void *context, u32 cpu)
{
    struct vm *vm = context;
    startup_init(&vm->cpus[cpu]);
}

static void on_startup(void *context, u32 cpu, u8 vector)
{
    struct vm *vm = context;
    startup_vector(&vm->cpus[cpu], vector);
}

/* --- Devices and guest memory: by the host's DMA, in the host's view -------------------------- */

static bool dma_copy(struct vm *vm, u64 gpa, u8 *out, const u8 *in, u64 size)
{
    struct host *h = vm->hv->host;
    u64 left;
    for (u64 at = 0; at < size; at += min_u64(left, size - at)) {
        if (vm_spa(vm, gpa + at, &left) == FRAME_NONE)
            return false;
    }
    for (u64 at = 0; at < size; at += left) {
        u64 spa = vm_spa(vm, gpa + at, &left);
        left = min_u64(left, size - at);
        if (!(out ? host_dma_read(h, spa, out + at, left) : host_dma_write(h, spa, in + at, left)))
            return false;
    }
    return true;
}

/* Where data was last moved, for whoever wants to look at a shared page; descriptors are 16 bytes.
 * */
static void note_dma(struct vm *vm, u64 gpa, u64 size)
{
    if (size > 16)
        vm->board.dma_page = gpa;
}

static bool on_dma_read(void *context, u64 gpa, void *out, u64 size)
{
    struct vm *vm = context;
    note_dma(vm, gpa, size);
    return dma_copy(vm, gpa, out, NULL, size);
}

static bool on_dma_write(void *context, u64 gpa, const void *data, u64 size)
{
    struct vm *vm = context;
    note_dma(vm, gpa, size);
    return dma_copy(vm, gpa, NULL, data, size);
}

/* --- The back ends, in the terms of vm.h ------------------------------------------------------ */

static void on_console(void *context, const u8 *bytes, u64 count)
{
    struct vm *vm = context;
    if (vm->config.console.write)
        vm->config.console.write(vm->config.console.context, bytes, count);
}

static void on_channel(void *context, const u8 *bytes, u64 count)
{
    struct vm *vm = context;
    if (vm->config.channel.write)
        vm->config.channel.write(vm->config.channel.context, bytes, count);
    else
        on_console(vm, bytes, count);
}

static bool on_disk_read(void *context, u64 sector, void *out, u64 count)
{
    const struct vm_disk *d = context;
    return d->read(d->context, sector * SECTOR_SIZE, out, count * SECTOR_SIZE);
}

static bool on_disk_write(void *context, u64 sector, const void *data, u64 count)
{
    const struct vm_disk *d = context;
    return d->write && d->write(d->context, sector * SECTOR_SIZE, data, count * SECTOR_SIZE);
}

static bool on_disk_flush(void *context)
{
    (void)context;
    return true;
}

/* A line of the firmware's log; longer ones come in parts. */
static void on_firmware_log(void *context, const u8 *bytes, u64 count)
{
    struct vm *vm = context;
    struct board *b = &vm->board;
    for (u64 i = 0; i < count; i++) {
        bool end = bytes[i] == '\n';
        if (!end && bytes[i] != '\r')
            b->firmware_line[b->firmware_line_size++] =
                (char)(bytes[i] < ' ' || bytes[i] > '~' ? '?'
                       : bytes[i] == '"'                ? '\''
                                                        : bytes[i]);
        if (!b->firmware_line_size || (!end && b->firmware_line_size < FIRMWARE_LINE_MAX))
            continue;
        b->firmware_line[b->firmware_line_size] = 0;
        trace_event(host_trace(vm->hv->host), TRACE_DEVICE, "FIRMWARE", "vm=%s text=\"%s\"",
                    vm->config.name, b->firmware_line);
        b->firmware_line_size = 0;
    }
}

/* --- Wiring ----------------------------------------------------------------------------------- */

static bool wire_interrupts(struct vm *vm)
{
    struct board *b = &vm->board;
    lapic_bus_init(
        &b->lapics,
        (struct lapic_events){
            .eoi = on_eoi, .nmi = on_nmi, .init = on_init, .startup = on_startup, .ctx = vm});
    for (u32 i = 0; i < vm->cpu_count; i++) {
        if (!lapic_init(&vm->cpus[i].lapic, &b->lapics, &b->timers, i, i))
            return false;
    }
    struct lapic *first = &vm->cpus[0].lapic;
    lapic_write(first, LAPIC_SVR, SVR_ENABLED);
    lapic_write(first, LAPIC_LINT0, LVT_EXTINT);
    lapic_write(first, LAPIC_LINT1, LVT_NMI);
    pic_init(&b->pic, (struct irq_line){lapic_set_lint, first, 0});
    ioapic_init(&b->ioapic, (struct msi_port){lapic_bus_msi, &b->lapics});
    b->gsi = (struct gsi){&b->pic, &b->ioapic};
    return pic_attach(&b->pic, &b->ports) && bus_add(&b->memory, &b->ioapic.window);
}

static bool wire_legacy(struct vm *vm)
{
    struct board *b = &vm->board;
    const struct vm_config *config = &vm->config;
    pit_init(&b->pit, &b->timers, gsi_line(&b->gsi, 0));
    rtc_init(&b->rtc, &b->timers, gsi_line(&b->gsi, 8), (s64)config->rtc_seconds);
    u64 memory = config->plan->memory_size;
    rtc_set_memory(&b->rtc, min_u64(memory, BOARD_LOW_RAM_END),
                   memory - min_u64(memory, BOARD_LOW_RAM_END));
    uart_init(&b->uart, BOARD_UART_PORT, gsi_line(&b->gsi, BOARD_UART_IRQ),
              (struct console_backend){on_console, vm});
    pm_init(&b->pm, BOARD_PM_PORT, &b->timers, gsi_line(&b->gsi, BOARD_SCI_IRQ), on_power_off, vm);
    reset_init(&b->reset, on_reset, vm);
    debug_exit_init(&b->debug_exit, on_debug_exit, vm);
    return pit_attach(&b->pit, &b->ports) && bus_add(&b->ports, &b->rtc.ports) &&
           bus_add(&b->ports, &b->uart.ports) && bus_add(&b->ports, &b->pm.ports) &&
           bus_add(&b->ports, &b->debug_exit.port);
}

/* Without firmware, what it would do: addresses for the BARs of virtio functions (1: MSI-X, 4: registers). */
static bool wire_function(struct vm *vm, struct pci_function *f, u32 slot)
{
    u64 base = BOARD_PCI_WINDOW + (u64)slot * 4 * BAR_SPACING;
    return pci_add(&vm->board.pci, f, (u8)PCI_DEVFN(slot, 0),
                   gsi_line(&vm->board.gsi, BOARD_PCI_IRQ + slot % 4)) &&
           (vm->config.plan->flash_size ||
            (pci_assign_bar(f, 1, base) && pci_assign_bar(f, 4, base + BAR_SPACING)));
}

static bool wire_fw_cfg(struct vm *vm, struct dma_port dma)
{
    const struct image_plan *plan = vm->config.plan;
    struct fw_cfg *f = &vm->board.fw_cfg;
    bool good = true;
    fw_cfg_init(f, dma);
    for (u32 i = 0; i < plan->item_count && good; i++) {
        const struct image_item *item = &plan->items[i];
        good = item->name ? fw_cfg_add_file(f, item->name, item->data, item->size)
                          : fw_cfg_add_item(f, item->key, item->data, item->size);
    }
    debug_console_init(&vm->board.firmware_log, DEBUG_CONSOLE_PORT,
                       (struct console_backend){on_firmware_log, vm});
    return good && fw_cfg_attach(f, &vm->board.ports) &&
           bus_add(&vm->board.ports, &vm->board.firmware_log.port);
}

static bool wire_bridge(struct vm *vm)
{
    static const struct pci_identity isa = {0x8086, 0x7000, 0x1af4, 0x1100, 0x060100, 0},
                                     power = {0x8086, 0x7113, 0x1af4, 0x1100, 0x068000, 3};
    struct board *b = &vm->board;
    const struct irq_line none = {0};
    pci_function_init(&b->isa, "isa-bridge", &isa);
    b->isa.space[PCI_HEADER_TYPE] = 0x80; /* more functions */
    pci_function_init(&b->power, "power", &power);
    store_le32(b->power.space + POWER_BASE, BOARD_PM_PORT | 1);
    b->power.space[POWER_ENABLE] = 1;
    return pci_add(&b->pci, &b->isa, PCI_DEVFN(BRIDGE_SLOT, 0), none) &&
           pci_add(&b->pci, &b->power, PCI_DEVFN(BRIDGE_SLOT, 3), none);
}

static bool wire_pci(struct vm *vm)
{
    struct board *b = &vm->board;
    struct vm_disk *disk = &vm->config.disk;
    const struct dma_port dma = {on_dma_read, on_dma_write, vm};
    const struct msi_port msi = {lapic_bus_msi, &b->lapics};
    const bool firmware = vm->config.plan->flash_size;
    if (!pci_init(&b->pci, &b->ports, &b->memory, msi, PCI_HOST_I440FX, &b->reset.control) ||
        !reset_attach(&b->reset, &b->ports))
        return false;
    if (firmware && (!wire_bridge(vm) || !wire_fw_cfg(vm, dma)))
        return false;
    if (disk->size) {
        const struct block_backend backend = {.read = on_disk_read,
                                              .write = on_disk_write,
                                              .flush = on_disk_flush,
                                              .size_sectors = disk->size / SECTOR_SIZE,
                                              .read_only = !disk->write,
                                              .ctx = disk};
        if (!virtio_blk_init(&b->disk, dma, backend, "softsev") ||
            !wire_function(vm, &b->disk.virtio.pci, firmware ? FIRMWARE_DISK_SLOT : DISK_SLOT))
            return false;
    }
    if (!vm->config.virtio_console)
        return true;
    return virtio_console_init(&b->console, dma, (struct console_backend){on_channel, vm}) &&
           wire_function(vm, &b->console.virtio.pci,
                         firmware ? FIRMWARE_CONSOLE_SLOT : CONSOLE_SLOT);
}

int board_create(struct vm *vm, struct error *error)
{
    struct board *b = &vm->board;
    b->clock.now = host_time_ns(vm->hv->host);
    timer_queue_init(&b->timers, &b->clock);
    bus_init(&b->ports, "ports");
    bus_init(&b->memory, "memory");
    if (!wire_interrupts(vm) || !wire_legacy(vm) || !wire_pci(vm))
        return error_set(error, ERROR_INTERNAL, "%s: two devices want one address",
                         vm->config.name);
    return 0;
}

/* --- Time and input --------------------------------------------------------------------------- */

/* As many waiting bytes as the UART takes now. */
static void board_feed_uart(struct board *b)
{
    u32 done = 0;
    while (done < b->input_count && uart_room(&b->uart) && uart_receive(&b->uart, b->input[done]))
        done++;
    if (done) {
        memmove(b->input, b->input + done, b->input_count - done);
        b->input_count -= done;
    }
}

void board_set_time(struct vm *vm)
{
    struct board *b = &vm->board;
    b->clock.now = host_time_ns(vm->hv->host);
    if (timer_next(&b->timers) <= b->clock.now)
        timer_run(&b->timers, b->clock.now);
    if (b->input_count)
        board_feed_uart(b);
}

size_t vm_console_input(struct vm *vm, const u8 *data, size_t size)
{
    struct board *b = &vm->board;
    size_t part = min_u64(size, INPUT_MAX - b->input_count);
    memcpy(b->input + b->input_count, data, part);
    b->input_count += (u32)part;
    return part;
}

size_t vm_channel_input(struct vm *vm, const u8 *data, size_t size)
{
    if (!vm->config.virtio_console)
        return 0;
    return virtio_console_receive(&vm->board.console, data, size);
}
