/* SPDX-License-Identifier: Apache-2.0 */
/* Connects the cores of a bare machine to their board, and the board to memory, by the DMA that the
 * RMP allows to devices. */
#include "bare/internal.h"

#include "abi/part.h"
#include "base/clock.h"
#include "device/lapic.h"

#define CPUID_X2APIC (u32) BIT(21) /* Fn0000_0001 ECX */

_Static_assert(BARE_DISKS_MAX == BOARD_DISKS_MAX, "board and machine disagree about disks");

/* --- From the cores to the board -------------------------------------------------------------- */

void bare_pin(struct bare_core *c)
{
    cpu_pin_interrupt(c->cpu, board_interrupt_pending(c->bare->board, c->index));
}

/* Brings the board to the time of the running core. */
static void board_now(struct bare *b)
{
    board_set_time(b->board, host_time_ns(b->host));
}

/* Looks at what the running core changed: an interrupt may be pending, a timer set, another core
 * awake. That other core runs soon, because the running one often waits for it. */
static void settle(struct bare_core *c)
{
    struct bare *b = c->bare;
    bare_pin(c);
    u64 until = board_next_event_ns(b->board);
    for (u32 i = 0; i < b->count; i++)
        if (i != c->index && (b->cores[i].halted || b->cores[i].waiting) &&
            bare_can_run(&b->cores[i]))
            until = min_u64(until, host_time_ns(b->host) + COST_WAKE_NS);
    if (until < b->deadline_ns)
        cpu_shorten(c->cpu, until);
    if (b->summary.state != BARE_RUNNING)
        cpu_yield(c->cpu);
}

static void on_access(void *context, u32 core, struct device_access *a)
{
    struct bare *b = context;
    if (a->port)
        host_spend(b->host, COST_PORT_NS);
    board_now(b);
    if (a->port && a->write)
        board_port_write(b->board, a->address, a->size, a->value);
    else if (a->port)
        a->value = board_port_read(b->board, a->address, a->size);
    else if (a->write)
        board_memory_write(b->board, core, a->address, a->size, a->value);
    else
        a->value = board_memory_read(b->board, core, a->address, a->size);
    ++*(a->port ? &b->summary.port_accesses : &b->summary.memory_accesses);
    settle(&b->cores[core]);
}

static u8 on_acknowledge(void *context, u32 core)
{
    struct bare *b = context;
    const u8 vector = board_interrupt_acknowledge(b->board, core);
    b->summary.interrupts++;
    bare_pin(&b->cores[core]);
    return vector;
}

static u64 on_read_tpr(void *context, u32 core)
{
    struct bare *b = context;
    return lapic_cr8(board_lapic(b->board, core));
}

static void on_write_tpr(void *context, u32 core, u64 cr8)
{
    struct bare *b = context;
    lapic_set_cr8(board_lapic(b->board, core), (u8)cr8);
    bare_pin(&b->cores[core]);
}

static bool is_apic_msr(u32 msr)
{
    return msr == LAPIC_MSR_BASE || msr == LAPIC_MSR_TSC_DEADLINE ||
           (msr >= LAPIC_MSR_X2APIC_FIRST && msr <= LAPIC_MSR_X2APIC_LAST);
}

static bool on_read_msr(void *context, u32 core, u32 msr, u64 *value)
{
    struct bare *b = context;
    if (!is_apic_msr(msr))
        return false;
    board_now(b);
    return lapic_msr_read(board_lapic(b->board, core), msr, value);
}

static bool on_write_msr(void *context, u32 core, u32 msr, u64 value)
{
    struct bare *b = context;
    if (!is_apic_msr(msr))
        return false;
    board_now(b);
    const bool good = lapic_msr_write(board_lapic(b->board, core), msr, value);
    settle(&b->cores[core]);
    return good;
}

static void on_wbinvd(void *context, u32 core)
{
    struct bare *b = context;
    firmware_wbinvd(machine_firmware(b->config.machine), core);
}

/* --- From the board to the cores -------------------------------------------------------------- */

static void on_power_off(void *context)
{
    bare_end(context, BARE_POWERED_OFF, "the host powered off");
}

static void on_reset(void *context)
{
    bare_end(context, BARE_RESET, "the host asked for a reset");
}

static void on_debug_exit(void *context, u32 value)
{
    struct bare *b = context;
    b->summary.debug_exit_code = value;
    bare_end(b, BARE_DEBUG_EXIT, "the host wrote %u to the debug-exit port", value);
}

static void on_nmi(void *context, u32 core)
{
    struct bare_core *c = &((struct bare *)context)->cores[core];
    if (c->waiting)
        return;
    c->nmi = true;
    cpu_pin_nmi(c->cpu);
}

/* Sends INIT. The core takes it when it can, perhaps later; STARTUP counts after that. */
static void on_init(void *context, u32 core)
{
    struct bare_core *c = &((struct bare *)context)->cores[core];
    c->init = true;
    c->startup = 0;
    cpu_pin_init(c->cpu);
}

static void on_startup(void *context, u32 core, u8 vector)
{
    struct bare_core *c = &((struct bare *)context)->cores[core];
    if ((c->init || c->waiting) && !c->startup)
        c->startup = 0x100u | vector;
}

/* Reads memory for a device. The device reads ciphertext from a guest's pages; the RMP refuses its
 * writes to all pages but the host's own [host 3.5]. */
static bool on_dma_read(void *context, u64 address, void *out, u64 size)
{
    struct host *h = ((struct bare *)context)->host;
    host_spend(h, size * COST_DMA_KIB_NS / KIB(1));
    return host_dma_read(h, address, out, size);
}

static bool on_dma_write(void *context, u64 address, const void *data, u64 size)
{
    struct host *h = ((struct bare *)context)->host;
    host_spend(h, size * COST_DMA_KIB_NS / KIB(1));
    return host_dma_write(h, address, data, size);
}

static u32 on_mailbox(void *context, u32 command, u64 buffer)
{
    struct host *h = ((struct bare *)context)->host;
    host_spend(h, COST_COMMAND_NS);
    return host_mailbox(h, command, buffer);
}

/* Writes for the IOMMU itself, which may also write the pages that firmware holds for it
 * [host 3.4]. */
static bool on_iommu_write(void *context, u64 address, const void *data, u64 size)
{
    return host_iommu_write(((struct bare *)context)->host, address, data, size);
}

/* Answers what the firmware reads from the IOMMU's registers at SNP_INIT. */
static u32 on_iommu_buffers(void *context, struct firmware_iommu_buffer out[FIRMWARE_IOMMU_BUFFERS])
{
    const struct bare *b = context;
    struct iommu_buffer buffers[IOMMU_BUFFERS];
    const u32 count = board_iommu_buffers(b->board, buffers);
    _Static_assert(IOMMU_BUFFERS <= FIRMWARE_IOMMU_BUFFERS, "room for the IOMMU's buffers");
    for (u32 i = 0; i < count; i++)
        out[i] =
            (struct firmware_iommu_buffer){buffers[i].name, buffers[i].address, buffers[i].size};
    return count;
}

static bool add_items(struct bare *b)
{
    for (u32 i = 0; i < b->plan->item_count; i++) {
        const struct image_item *item = &b->plan->items[i];
        if (!board_add_item(b->board, item->key, item->name, item->data, item->size))
            return false;
    }
    return true;
}

/* Returns the features of the local APICs, which have more than some parts: Naples has no x2APIC,
 * and no part has a TSC deadline here. */
static u32 apic_features(const struct bare *b)
{
    u32 out[4];
    host_cpuid(b->host, 0, 1, 0, out);
    return part_of_signature(out[0]) == PART_NAPLES ? 0 : CPUID_X2APIC;
}

int bare_wire(struct bare *b, struct error *error)
{
    struct board_config board = {
        .now_ns = host_time_ns(b->host),
        .memory_size = b->plan->memory_size - b->plan->reserved_size,
        .rtc_seconds = b->config.rtc_seconds,
        .cpus = b->count,
        .testdev = b->config.testdev,
        .secure_processor = true,
        .iommu = true,
        .dma = {on_dma_read, on_dma_write, b},
        .iommu_dma = {on_dma_read, on_iommu_write, b},
        .mailbox = {on_mailbox, b},
        .events = {.power_off = on_power_off,
                   .reset = on_reset,
                   .debug_exit = on_debug_exit,
                   .nmi = on_nmi,
                   .init = on_init,
                   .startup = on_startup,
                   .context = b},
        .console = b->config.console,
        .disk_count = b->config.disk_count,
        .net = b->config.net,
        .random = b->config.random,
    };
    const struct cpu_wires wires = {
        .access = on_access,
        .acknowledge = on_acknowledge,
        .read_tpr = on_read_tpr,
        .write_tpr = on_write_tpr,
        .read_msr = on_read_msr,
        .write_msr = on_write_msr,
        .wbinvd = on_wbinvd,
        .context = b,
        .cpuid_1_ecx = apic_features(b),
    };
    memcpy(board.disks, b->config.disks, sizeof board.disks);
    b->board = board_create(&board);
    if (!b->board || !add_items(b))
        return error_set(error, ERROR_INTERNAL,
                         "no memory for the board, or two devices want one address");
    firmware_connect_iommu(machine_firmware(b->config.machine),
                           &(struct firmware_iommu){on_iommu_buffers, b});
    for (u32 i = 0; i < b->count; i++) {
        b->cores[i] = (struct bare_core){
            .bare = b, .index = i, .cpu = machine_core(b->config.machine, i), .waiting = i};
        if (!cpu_wire(b->cores[i].cpu, &wires))
            return error_set(error, ERROR_MEMORY, "no memory for core %u of a bare machine", i);
    }
    return 0;
}
