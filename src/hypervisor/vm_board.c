/* SPDX-License-Identifier: Apache-2.0 */
/* What a VM's board accesses: guest memory by the host's DMA, the VM's state, and the back ends in
 * the types of vm.h. */
#include "device/fw_cfg.h"
#include "hypervisor/internal.h"

_Static_assert(IMAGE_ITEMS_MAX < FW_CFG_ITEMS_MAX && IMAGE_ITEMS_MAX <= FW_CFG_FILES_MAX,
               "fw_cfg has too little room for a plan's items beside its own");
_Static_assert(VM_DISKS_MAX == BOARD_DISKS_MAX, "VM and board disagree about disks");
_Static_assert(VM_CPUS_MAX == IMAGE_CPUS_MAX && VM_CPUS_MAX <= LAPIC_CPUS_MAX,
               "plan, VM and board disagree about processors");

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

/* --- Devices and guest memory: by the host's DMA, as the host sees it ------------------------- */

static bool dma_copy(struct vm *vm, u64 gpa, u8 *out, const u8 *in, u64 size)
{
    struct host *h = vm->hv->host;
    u64 left;
    host_spend(h, size * COST_DMA_KIB_NS / KIB(1));
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

/* Records where data was last moved, for a caller that inspects a shared page. Accesses of up to 16
 * bytes are descriptors and do not count. */
static void note_dma(struct vm *vm, u64 gpa, u64 size)
{
    if (size > 16)
        vm->dma_page = gpa;
}

static bool on_dma_read(void *context, u64 gpa, void *out, u64 size)
{
    struct vm *vm = context;
    note_dma(vm, gpa, size);
    if (!dma_copy(vm, gpa, out, NULL, size))
        return false;
    guest_pages_note(vm, gpa, size, PAGE_USED);
    return true;
}

static bool on_dma_write(void *context, u64 gpa, const void *data, u64 size)
{
    struct vm *vm = context;
    note_dma(vm, gpa, size);
    if (!dma_copy(vm, gpa, NULL, data, size))
        return false;
    guest_pages_note(vm, gpa, size, PAGE_USED | PAGE_DIRTY);
    return true;
}

/* --- The back ends, in the types of vm.h ------------------------------------------------------ */

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

static void on_frame(void *context, const u8 *frame, u64 size)
{
    const struct vm *vm = context;
    vm->config.net.send(vm->config.net.context, frame, size);
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

/* A SEV-ES guest reads its flash as memory. */
static void on_flash_change(void *context, u64 offset, u64 size)
{
    struct vm *vm = context;
    const struct vm_flash *f = &vm->config.flash;
    if (vm_is_es(vm))
        vm_write(vm, vm_flash_address(vm) + offset, f->bytes + offset, size);
    if (f->changed)
        f->changed(f->context);
}

static void on_flash_shows(void *context, bool contents)
{
    vm_flash_shows(context, contents);
}

static void on_firmware_line(void *context, const char *line)
{
    const struct vm *vm = context;
    trace_event(host_trace(vm->hv->host), TRACE_DEVICE, "FIRMWARE", "vm=%s text=\"%s\"",
                vm->config.name, line);
}

/* --- The board -------------------------------------------------------------------------------- */

static struct block_backend disk_backend(struct vm_disk *disk)
{
    return (struct block_backend){.read = on_disk_read,
                                  .write = on_disk_write,
                                  .flush = on_disk_flush,
                                  .size_sectors = disk->size / SECTOR_SIZE,
                                  .read_only = !disk->write,
                                  .ctx = disk};
}

static bool add_items(struct vm *vm)
{
    const struct image_plan *plan = vm->config.plan;
    for (u32 i = 0; i < plan->item_count; i++) {
        const struct image_item *item = &plan->items[i];
        if (!board_add_item(vm->board, item->key, item->name, item->data, item->size))
            return false;
    }
    return true;
}

int vm_board_create(struct vm *vm, struct error *error)
{
    const struct image_plan *plan = vm->config.plan;
    if (vm->config.disk_count > VM_DISKS_MAX)
        return error_set(error, ERROR_USAGE, "%s: %u disks asked for; a VM has at most %u",
                         vm->config.name, vm->config.disk_count, VM_DISKS_MAX);
    struct board_config config = {
        .now_ns = host_time_ns(vm->hv->host),
        .memory_size = plan->memory_size,
        .rtc_seconds = vm->config.rtc_seconds,
        .cpus = vm->cpu_count,
        .firmware = plan->flash_size,
        .virtio_console = vm->config.virtio_console,
        .random = vm->config.random,
        .testdev = vm->config.testdev,
        .dma = {on_dma_read, on_dma_write, vm},
        .events = {.power_off = on_power_off,
                   .reset = on_reset,
                   .debug_exit = on_debug_exit,
                   .nmi = on_nmi,
                   .init = on_init,
                   .startup = on_startup,
                   .firmware_line = on_firmware_line,
                   .context = vm},
        .console = {on_console, vm},
        .channel = {on_channel, vm},
        .disk_count = vm->config.disk_count,
    };
    config.flash_address = vm_flash_address(vm);
    config.flash = (struct flash_backend){.bytes = vm->config.flash.bytes,
                                          .size = vm->config.flash.size,
                                          .changed = on_flash_change,
                                          .shows = on_flash_shows,
                                          .ctx = vm};
    if (vm->config.net.send)
        config.net = (struct net_backend){.send = on_frame, .ctx = vm};
    memcpy(config.net.mac, vm->config.net.mac, sizeof config.net.mac);
    for (u32 i = 0; i < config.disk_count; i++)
        config.disks[i] = disk_backend(&vm->config.disks[i]);
    vm->board = board_create(&config);
    if (!vm->board || !add_items(vm))
        return error_set(error, ERROR_INTERNAL,
                         "%s: no memory for its board, or two devices want one address",
                         vm->config.name);
    for (u32 i = 0; i < vm->cpu_count; i++)
        vm->cpus[i].lapic = board_lapic(vm->board, i);
    return 0;
}

void vm_board_destroy(struct vm *vm)
{
    board_destroy(vm->board);
    vm->board = NULL;
}

void vm_board_set_time(struct vm *vm)
{
    board_set_time(vm->board, host_time_ns(vm->hv->host));
}

size_t vm_console_input(struct vm *vm, const u8 *data, size_t size)
{
    vm_wake(vm);
    return board_console_input(vm->board, data, size);
}

size_t vm_channel_input(struct vm *vm, const u8 *data, size_t size)
{
    vm_wake(vm);
    return board_channel_input(vm->board, data, size);
}

bool vm_net_input(struct vm *vm, const void *frame, size_t size)
{
    const bool taken = board_net_input(vm->board, frame, size);
    if (taken)
        vm_wake(vm);
    return taken;
}

void vm_power_button(struct vm *vm)
{
    vm_wake(vm);
    board_press_power_button(vm->board);
}

void vm_reset(struct vm *vm)
{
    vm_end(vm, VM_RESET, "it was reset from outside");
}
