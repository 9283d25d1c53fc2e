/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An AMD IOMMU that translates nothing [host 3]: a PCI function, 16 KiB of registers, a command
 * buffer that is executed, an event log. SNP hosts need one to be present. Devices keep using
 * physical addresses; the RMP is checked where their accesses reach memory.
 */
#ifndef SOFTSEV_DEVICE_IOMMU_H
#define SOFTSEV_DEVICE_IOMMU_H

#include "device/dma.h"
#include "device/pci.h"

#define IOMMU_SIZE       KIB(16)
#define IOMMU_CAPABILITY 0x40u /* its offset in configuration space */
/* What it offers: X2APIC-style interrupts, INVALIDATE_ALL, guest-mode APIC, SNP [host 3.4]. */
#define IOMMU_FEATURES (BIT(2) | BIT(6) | BIT(7) | BIT(63))
/* Bits of guest virtual (2: 48 bits), physical and virtual addresses, as tables and capability have
 * them. */
#define IOMMU_ADDRESS_SIZES (2u << 5 | 48u << 8 | 64u << 15)
#define IOMMU_BUFFERS       2u

enum iommu_register {
    IOMMU_DEVICE_TABLE,
    IOMMU_COMMAND_BASE,
    IOMMU_EVENT_BASE,
    IOMMU_CONTROL,
    IOMMU_STORE_BASE, /* of COMPLETION_WAIT's stores; without SNP, of an excluded range */
    IOMMU_STORE_LIMIT,
    IOMMU_FEATURE,
    IOMMU_GUEST_LOG,
    IOMMU_GUEST_LOG_TAIL,
    IOMMU_INTERRUPT, /* the message of the event log and of COMPLETION_WAIT */
    IOMMU_PPR_INTERRUPT,
    IOMMU_GUEST_INTERRUPT,
    IOMMU_COMMAND_HEAD,
    IOMMU_COMMAND_TAIL,
    IOMMU_EVENT_HEAD,
    IOMMU_EVENT_TAIL,
    IOMMU_STATUS,
    IOMMU_REGISTER_COUNT,
};

/* Memory that the IOMMU writes by itself. */
struct iommu_buffer {
    const char *name;
    u64 address, size; /* in bytes */
};

struct iommu {
    struct pci_function pci;
    struct device mmio;
    /* Reads and writes of the IOMMU itself. Its buffers stay writable for it when SNP has made them
     * Firmware pages. */
    struct dma_port dma;
    u64 registers[IOMMU_REGISTER_COUNT];
    bool halted; /* a wrong command stops the command buffer until software enables it again */
};

/* Puts the registers at `base`, which software cannot change. Returns false if the capability does
 * not fit. */
bool iommu_init(struct iommu *m, u64 base, struct dma_port dma);
/* Adds the function at `devfn` and its registers to the buses. Returns false if either is in
 * use. */
bool iommu_attach(struct iommu *m, struct pci *pci, u8 devfn);
/* Returns how many buffers software has set up. */
u32 iommu_buffers(const struct iommu *m, struct iommu_buffer out[IOMMU_BUFFERS]);

#endif
