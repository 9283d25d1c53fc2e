/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The secure processor's and the IOMMU's registers under a host that writes them in any order, with
 * rings that hold anything. A command that is submitted must be answered, and no write may execute
 * more commands than a ring holds.
 *
 * Input: operations of 12 bytes {kind, size code, u16 pad, u32 address, u32 value}.
 */
#include "base/bytes.h"
#include "device/iommu.h"
#include "device/psp.h"

#include <stdlib.h>

#define MEMORY_SIZE    0x40000u
#define OPERATIONS_MAX 500
#define PSP_BAR        0xd0000000ull
#define PSP_MSIX       0xd0100000ull
#define IOMMU_BASE     0xfeb80000ull
#define PSP_DEVFN      PCI_DEVFN(7, 0)
#define IOMMU_DEVFN    2u
#define RING_LARGEST   32768u

struct desk {
    struct bus ports, memory;
    struct pci pci;
    struct psp psp;
    struct iommu iommu;
    u8 bytes[MEMORY_SIZE];
    u32 reads;
    u64 messages;
};

static struct desk desk;

static bool desk_read(void *ctx, u64 address, void *out, u64 size)
{
    struct desk *d = ctx;
    d->reads++;
    if (!range_fits(address, size, MEMORY_SIZE))
        return false;
    memcpy(out, d->bytes + address, size);
    return true;
}

static bool desk_write(void *ctx, u64 address, const void *data, u64 size)
{
    struct desk *d = ctx;
    if (!range_fits(address, size, MEMORY_SIZE))
        return false;
    memcpy(d->bytes + address, data, size);
    return true;
}

static void on_message(void *ctx, u64 address, u32 data)
{
    ((struct desk *)ctx)->messages += address + data;
}

static u32 run(void *ctx, u32 command, u64 buffer)
{
    (void)ctx;
    if (command > 0x7ff)
        abort();
    return (u32)(command ^ buffer);
}

static void check(bool good)
{
    if (!good)
        abort();
}

/* The registers are few in much space: the low bits of an address choose one. */
static u64 psp_offset(u32 address)
{
    static const u32 offsets[] = {0x10980, 0x109e0, 0x109e4, 0x109fc,
                                  0x10690, 0x10694, 0x10544, 0x109e8};
    return address & 8 ? address % PSP_REGISTERS_SIZE : offsets[address & 7];
}

static u64 iommu_offset(u32 address)
{
    static const u32 offsets[] = {0x00,  0x08,  0x10,   0x18,   0x20,   0x28,   0x30,   0xe0,
                                  0x170, 0x180, 0x2000, 0x2008, 0x2010, 0x2018, 0x2020, 0x1a0};
    return address & 0x80 ? address % IOMMU_SIZE : offsets[address & 15] + (address >> 4 & 7);
}

static void operate(struct desk *d, u8 kind, u32 size, u32 address, u32 value)
{
    const u64 wide = (u64)value << 32 | value;
    const u64 functions[] = {PSP_DEVFN * 256u, IOMMU_DEVFN * 256u};
    struct iommu_buffer buffers[IOMMU_BUFFERS];
    d->reads = 0;
    switch (kind % 7) {
    case 0:
        bus_write(&d->memory, PSP_BAR + psp_offset(address), size, wide);
        check(d->psp.registers[PSP_COMMAND] & BIT(31));
        break;
    case 1:
        bus_read(&d->memory, PSP_BAR + psp_offset(address), size);
        break;
    case 2:
        bus_write(&d->memory, IOMMU_BASE + iommu_offset(address), size, wide);
        check(d->reads <= 2 * RING_LARGEST); /* an unaligned access may be two */
        break;
    case 3:
        bus_read(&d->memory, IOMMU_BASE + iommu_offset(address), size);
        check(iommu_buffers(&d->iommu, buffers) <= IOMMU_BUFFERS);
        break;
    case 4:
        bus_write(&d->memory, PSP_MSIX + address % 0x1000, size, wide);
        break;
    case 5: /* configuration space */
        bus_write(&d->pci.config, functions[address >> 8 & 1] + (address & 0xff), size, wide);
        break;
    default: /* memory, for rings: a command of the kind that the address's high bits say */
        store_le32(d->bytes + address % (MEMORY_SIZE - 8), value);
        store_le32(d->bytes + address % (MEMORY_SIZE - 8) + 4, address & 0xf0000000);
        break;
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct desk *d = &desk;
    memset(d, 0, sizeof *d);
    bus_init(&d->ports, "ports");
    bus_init(&d->memory, "memory");
    check(pci_init(&d->pci, &d->ports, &d->memory, (struct msi_port){on_message, d},
                   PCI_HOST_I440FX, NULL));
    check(psp_init(&d->psp, (struct mailbox_backend){run, d}));
    check(pci_add(&d->pci, &d->psp.pci, PSP_DEVFN, (struct irq_line){0}));
    check(pci_assign_bar(&d->psp.pci, PSP_BAR_REGISTERS, PSP_BAR));
    check(pci_assign_bar(&d->psp.pci, PSP_BAR_MSIX, PSP_MSIX));
    check(iommu_init(&d->iommu, IOMMU_BASE, (struct dma_port){desk_read, desk_write, d}));
    check(iommu_attach(&d->iommu, &d->pci, IOMMU_DEVFN));
    struct reader r = reader_of(data, size);
    for (u32 i = 0; i < OPERATIONS_MAX && reader_left(&r); i++) {
        u8 kind = read_u8(&r), code = read_u8(&r);
        reader_skip(&r, 2);
        u32 address = read_u32(&r), value = read_u32(&r);
        operate(d, kind, 1u << code % 4, address, value);
    }
    return 0;
}
