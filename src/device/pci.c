/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI bus 0: the configuration ports [PCI Local Bus 3.0, 3.2.2.3.2], the functions on the bus, and
 * the regions that their base address registers move.
 */
#include "device/archive.h"
#include "device/internal.h"

#define ADDRESS_PORT       0xcf8
#define DATA_PORT          0xcfc
#define RESET_OFFSET       1 /* CF9 lies within the CF8 register */
#define ADDRESS_ENABLE     0x80000000u
#define ADDRESS_WRITABLE   0x80fffffcu
#define ECAM_FUNCTION_SIZE 4096
#define CONFIG_BUS_SIZE    (256u * PCI_CONFIG_SIZE) /* bus 0: 32 devices of 8 functions */

#define BAR_IS_PORTS     0x1u
#define BAR_IS_64        0x4u
#define BAR_PREFETCHABLE 0x8u
#define BAR_LOW_MEMORY   0xfu /* flag bits */
#define BAR_LOW_PORTS    0x3u

static u16 pci_command(const struct pci_function *f)
{
    return load_le16(f->space + PCI_COMMAND);
}

bool pci_is_master(const struct pci_function *f)
{
    return pci_command(f) & PCI_COMMAND_MASTER;
}

/* ---- base address registers ---- */

static struct bus *pci_bar_bus(const struct pci_function *f, const struct pci_bar *bar)
{
    return bar->kind == PCI_BAR_PORTS ? f->pci->ports : f->pci->memory;
}

static bool pci_bar_enabled(const struct pci_function *f, const struct pci_bar *bar)
{
    if (bar->kind == PCI_BAR_NONE)
        return false;
    u16 wanted = bar->kind == PCI_BAR_PORTS ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
    return pci_command(f) & wanted;
}

static u64 pci_bar_address(const struct pci_function *f, u32 index)
{
    const u8 *at = f->space + PCI_BAR0 + 4 * index;
    switch (f->bars[index].kind) {
    case PCI_BAR_PORTS:
        return load_le32(at) & ~BAR_LOW_PORTS & 0xffff;
    case PCI_BAR_MEMORY64:
        return load_le64(at) & ~(u64)BAR_LOW_MEMORY;
    default:
        return load_le32(at) & ~BAR_LOW_MEMORY;
    }
}

/* An unassigned BAR points to address 0. It is not decoded, because it would hide low memory. */
static void pci_map_bar(struct pci_function *f, u32 index)
{
    struct pci_bar *bar = &f->bars[index];
    u64 address = pci_bar_address(f, index);
    if (bar->mapped || !pci_bar_enabled(f, bar) || !address)
        return;
    bar->region.start = address;
    bar->mapped = bus_add(pci_bar_bus(f, bar), &bar->region);
}

static void pci_unmap_bar(struct pci_function *f, struct pci_bar *bar)
{
    if (bar->mapped)
        bus_remove(pci_bar_bus(f, bar), &bar->region);
    bar->mapped = false;
}

/* Removes this function's BARs from their buses, then adds all BARs that can be decoded: moving one
 * may uncover another one that it overlapped. */
static void pci_remap(struct pci_function *f)
{
    for (u32 i = 0; i < PCI_BARS; i++)
        pci_unmap_bar(f, &f->bars[i]);
    struct pci *p = f->pci;
    for (u32 n = 0; n < p->count; n++) {
        for (u32 i = 0; i < PCI_BARS; i++)
            pci_map_bar(p->functions[n], i);
    }
}

void pci_set_bar(struct pci_function *f, u32 index, enum pci_bar_kind kind, bool prefetchable,
                 u64 size, u64 (*read)(struct device *, u64, u32),
                 void (*write)(struct device *, u64, u32, u64))
{
    f->bars[index] = (struct pci_bar){
        .kind = kind,
        .function = f,
        .region = {f->config.name, 0, size, 0, read, write},
    };
    u8 *space = f->space + PCI_BAR0 + 4 * index;
    u8 *writable = f->writable + PCI_BAR0 + 4 * index;
    u32 flags = kind == PCI_BAR_PORTS ? BAR_IS_PORTS : prefetchable ? BAR_PREFETCHABLE : 0;
    store_le32(space, flags | (kind == PCI_BAR_MEMORY64 ? BAR_IS_64 : 0));
    /* Sizing works without extra code: the bits below the size cannot be set. */
    if (kind == PCI_BAR_MEMORY64)
        store_le64(writable, ~(size - 1));
    else
        store_le32(writable, (u32) ~(size - 1));
}

bool pci_assign_bar(struct pci_function *f, u32 index, u64 address)
{
    struct pci_bar *bar = &f->bars[index];
    u8 *at = f->space + PCI_BAR0 + 4 * index;
    if (bar->kind == PCI_BAR_MEMORY64)
        store_le64(at, (load_le64(at) & BAR_LOW_MEMORY) | address);
    else
        store_le32(at,
                   (load_le32(at) & (bar->kind == PCI_BAR_PORTS ? BAR_LOW_PORTS : BAR_LOW_MEMORY)) |
                       (u32)address);
    u16 decode = bar->kind == PCI_BAR_PORTS ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
    store_le16(f->space + PCI_COMMAND, pci_command(f) | decode);
    pci_remap(f);
    return bar->mapped;
}

/* ---- interrupts ---- */

/* Updates the line. Functions may share a line: it is high while at least one of them asserts
 * it. */
static void pci_update_intx(struct pci_function *f)
{
    u16 status = load_le16(f->space + PCI_STATUS) & (u16)~PCI_STATUS_INTERRUPT;
    store_le16(f->space + PCI_STATUS, f->intx_wanted ? status | PCI_STATUS_INTERRUPT : status);
    f->intx_level = f->intx_wanted && !(pci_command(f) & PCI_COMMAND_NO_INTX) &&
                    !pci_msix_enabled(f) && !pci_msi_enabled(f);
    bool level = false;
    for (u32 i = 0; i < f->pci->count; i++) {
        const struct pci_function *other = f->pci->functions[i];
        level |= other->intx.line == f->intx.line && other->intx_level;
    }
    irq_set(&f->intx, level);
}

void pci_set_intx(struct pci_function *f, bool level)
{
    if (level == f->intx_wanted)
        return;
    f->intx_wanted = level;
    pci_update_intx(f);
}

/* ---- configuration space ---- */

static u64 pci_function_read(struct device *device, u64 offset, u32 size)
{
    struct pci_function *f = CONTAINER_OF(device, struct pci_function, config);
    if (f->before_read)
        f->before_read(f, (u32)offset, size);
    u64 value = 0;
    for (u32 i = 0; i < size; i++)
        value |= (u64)f->space[offset + i] << (8 * i);
    return value;
}

static bool pci_touches(u64 offset, u32 size, u32 from, u32 to)
{
    return offset < to && offset + size > from;
}

static void pci_function_write(struct device *device, u64 offset, u32 size, u64 value)
{
    struct pci_function *f = CONTAINER_OF(device, struct pci_function, config);
    for (u32 i = 0; i < size; i++) {
        u8 mask = f->writable[offset + i];
        u8 *byte = &f->space[offset + i];
        *byte = (u8)((*byte & ~mask) | (value >> (8 * i) & mask));
    }
    bool command = pci_touches(offset, size, PCI_COMMAND, PCI_COMMAND + 2);
    if (command || pci_touches(offset, size, PCI_BAR0, PCI_BAR0 + 4 * PCI_BARS))
        pci_remap(f);
    if (f->after_write)
        f->after_write(f, (u32)offset, size);
    u8 msix = f->msix.capability, msi = f->msi_capability;
    bool control = msix && pci_touches(offset, size, msix + 2u, msix + 4u);
    if (control)
        pci_msix_control_written(f);
    if (command || control || (msi && pci_touches(offset, size, msi + 2u, msi + 4u)))
        pci_update_intx(f);
}

void pci_function_init(struct pci_function *f, const char *name, const struct pci_identity *id)
{
    *f = (struct pci_function){
        .config = {name, 0, PCI_CONFIG_SIZE, 4, pci_function_read, pci_function_write},
        .next_free = PCI_FIRST_FREE,
    };
    store_le16(f->space + PCI_VENDOR_ID, id->vendor);
    store_le16(f->space + PCI_DEVICE_ID, id->device);
    f->space[PCI_REVISION_ID] = id->revision;
    f->space[PCI_CLASS] = (u8)id->class_code;
    store_le16(f->space + PCI_CLASS + 1, (u16)(id->class_code >> 8));
    store_le16(f->space + PCI_SUBSYSTEM_VENDOR_ID, id->subsystem_vendor);
    store_le16(f->space + PCI_SUBSYSTEM_ID, id->subsystem);
    store_le16(f->writable + PCI_COMMAND,
               PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_NO_INTX);
    f->writable[0x0c] = 0xff; /* cache line size */
    f->writable[PCI_INTERRUPT_LINE] = 0xff;
}

u8 pci_add_capability(struct pci_function *f, u8 id, const void *body, u32 body_size)
{
    u32 offset = ALIGN_UP((u32)f->next_free, 4u);
    if (!range_fits(offset, 2ull + body_size, PCI_CONFIG_SIZE))
        return 0;
    f->space[offset] = id;
    memcpy(f->space + offset + 2, body, body_size);
    f->space[f->last_capability ? f->last_capability + 1u : PCI_CAPABILITIES] = (u8)offset;
    f->space[PCI_STATUS] |= PCI_STATUS_CAPABILITIES;
    f->last_capability = (u8)offset;
    f->next_free = (u16)(offset + 2 + body_size);
    return (u8)offset;
}

bool pci_add(struct pci *p, struct pci_function *f, u8 devfn, struct irq_line intx)
{
    if (p->count == PCI_FUNCTIONS_MAX)
        return false;
    f->pci = p;
    f->intx = intx;
    f->config.start = (u64)devfn * PCI_CONFIG_SIZE;
    if (intx.set) {
        f->space[PCI_INTERRUPT_PIN] = 1; /* INTA */
        f->space[PCI_INTERRUPT_LINE] = (u8)intx.line;
    }
    if (!bus_add(&p->config, &f->config))
        return false;
    p->functions[p->count++] = f;
    return true;
}

/* ---- state ---- */

/* Moves the bits that software can set. What the device says of itself stays. */
static void pci_space_archive(struct pci_function *f, struct archive *a)
{
    u8 space[PCI_CONFIG_SIZE];
    memcpy(space, f->space, sizeof space);
    archive_bytes(a, space, sizeof space);
    for (u32 i = 0; i < PCI_CONFIG_SIZE && a->loading && !a->failed; i++) {
        const u8 mask = f->writable[i] | (i == PCI_STATUS ? PCI_STATUS_INTERRUPT : 0);
        f->space[i] = (u8)((f->space[i] & ~mask) | (space[i] & mask));
    }
}

static void pci_function_archive(struct pci_function *f, struct archive *a)
{
    archive_section(a, "pci function", 1);
    archive_same(a, f->config.start, "its place on the bus");
    pci_space_archive(f, a);
    archive_bool(a, &f->intx_wanted);
    archive_bool(a, &f->intx_level);
    archive_same(a, f->msix.count, "the number of vectors");
    archive_u16(a, &f->msix.pending);
    archive_check(a, !((u32)f->msix.pending >> f->msix.count), "a pending vector");
    for (u32 i = 0; i < f->msix.count; i++) {
        archive_u64(a, &f->msix.entries[i].address);
        archive_u32(a, &f->msix.entries[i].data);
        archive_u32(a, &f->msix.entries[i].control);
    }
}

void pci_archive(struct pci *p, struct archive *a)
{
    archive_section(a, "pci", 1);
    archive_u32(a, &p->address);
    archive_check(a, !(p->address & ~ADDRESS_WRITABLE), "the address of configuration space");
    archive_same(a, p->count, "the number of functions");
    for (u32 i = 0; i < p->count; i++)
        pci_function_archive(p->functions[i], a);
    for (u32 i = 0; i < p->count && a->loading && !a->failed; i++)
        pci_remap(p->functions[i]);
}

/* ---- ports CF8 to CFF, and the memory-mapped window ---- */

static u64 pci_address_read(struct device *device, u64 offset, u32 size)
{
    struct pci *p = CONTAINER_OF(device, struct pci, address_port);
    if (offset == RESET_OFFSET && size == 1 && p->reset_control)
        return p->reset_control->read(p->reset_control, 0, 1);
    return size == 4 ? p->address : ~0ull;
}

static void pci_address_write(struct device *device, u64 offset, u32 size, u64 value)
{
    struct pci *p = CONTAINER_OF(device, struct pci, address_port);
    if (offset == RESET_OFFSET && size == 1 && p->reset_control)
        p->reset_control->write(p->reset_control, 0, 1, value);
    else if (size == 4)
        p->address = (u32)value & ADDRESS_WRITABLE;
}

/* Returns the address on the configuration bus for an access to the data port. Other buses are
 * empty. */
static bool pci_data_target(const struct pci *p, u64 offset, u64 *target)
{
    *target = (p->address & 0x00fffffc) + offset;
    return (p->address & ADDRESS_ENABLE) && *target < CONFIG_BUS_SIZE;
}

static u64 pci_data_read(struct device *device, u64 offset, u32 size)
{
    struct pci *p = CONTAINER_OF(device, struct pci, data_port);
    u64 target;
    return pci_data_target(p, offset, &target) ? bus_read(&p->config, target, size) : ~0ull;
}

static void pci_data_write(struct device *device, u64 offset, u32 size, u64 value)
{
    struct pci *p = CONTAINER_OF(device, struct pci, data_port);
    u64 target;
    if (pci_data_target(p, offset, &target))
        bus_write(&p->config, target, size, value);
}

/* Translates an access to the window, which has 4 KiB per function; only the first 256 bytes
 * exist. */
static bool pci_ecam_target(u64 offset, u32 size, u64 *target)
{
    u64 in_function = offset % ECAM_FUNCTION_SIZE;
    *target = offset / ECAM_FUNCTION_SIZE * PCI_CONFIG_SIZE + in_function;
    return in_function + size <= PCI_CONFIG_SIZE;
}

static u64 pci_ecam_read(struct device *device, u64 offset, u32 size)
{
    struct pci *p = CONTAINER_OF(device, struct pci, ecam);
    u64 target;
    if (pci_ecam_target(offset, size, &target))
        return bus_read(&p->config, target, size);
    /* There are no extended capabilities: they read as zeros in a function, as ones where there is
     * none. */
    return bus_find(&p->config, offset / ECAM_FUNCTION_SIZE * PCI_CONFIG_SIZE) ? 0 : ~0ull;
}

static void pci_ecam_write(struct device *device, u64 offset, u32 size, u64 value)
{
    struct pci *p = CONTAINER_OF(device, struct pci, ecam);
    u64 target;
    if (pci_ecam_target(offset, size, &target))
        bus_write(&p->config, target, size, value);
}

bool pci_add_ecam(struct pci *p, u64 base)
{
    p->ecam = (struct device){"pci-ecam", base, MIB(1), 8, pci_ecam_read, pci_ecam_write};
    return bus_add(p->memory, &p->ecam);
}

bool pci_init(struct pci *p, struct bus *ports, struct bus *memory, struct msi_port msi,
              u16 host_id, struct device *reset_control)
{
    *p = (struct pci){
        .ports = ports,
        .memory = memory,
        .address_port = {"pci-address", ADDRESS_PORT, 4, 4, pci_address_read, pci_address_write},
        .data_port = {"pci-data", DATA_PORT, 4, 4, pci_data_read, pci_data_write},
        .reset_control = reset_control,
        .msi = msi,
    };
    bus_init(&p->config, "pci");
    static const u32 host_bridge_class = 0x060000;
    struct pci_identity id = {
        .vendor = 0x8086,
        .device = host_id,
        .subsystem_vendor = 0x1af4,
        .subsystem = 0x1100,
        .class_code = host_bridge_class,
    };
    pci_function_init(&p->host, "host-bridge", &id);
    if (!pci_add(p, &p->host, PCI_DEVFN(0, 0), (struct irq_line){0}))
        return false;
    return bus_add(ports, &p->address_port) && bus_add(ports, &p->data_port);
}
