/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSI-X [PCI Local Bus 3.0, 6.8.2]: a table of messages in a page of memory, with entries of 16
 * bytes, and the pending bits of masked entries.
 */
#include "device/internal.h"

#define CAPABILITY_MSIX  0x11
#define CONTROL_ENABLE   0x8000
#define CONTROL_MASK_ALL 0x4000
#define TABLE_ENTRY_SIZE 16
#define PENDING_OFFSET   0x800
#define PAGE_OF_MSIX     0x1000
#define ENTRY_MASKED     1u

static u16 msix_control(const struct pci_function *f)
{
    return f->msix.capability ? load_le16(f->space + f->msix.capability + 2) : 0;
}

bool pci_msix_enabled(const struct pci_function *f)
{
    return msix_control(f) & CONTROL_ENABLE;
}

static bool msix_is_masked(const struct pci_function *f, u32 vector)
{
    return (msix_control(f) & CONTROL_MASK_ALL) || (f->msix.entries[vector].control & ENTRY_MASKED);
}

void pci_msix_send(struct pci_function *f, u32 vector)
{
    if (vector >= f->msix.count || !pci_msix_enabled(f))
        return;
    const struct pci_msix_entry *entry = &f->msix.entries[vector];
    if (msix_is_masked(f, vector))
        f->msix.pending |= (u16)(1u << vector);
    else
        msi_send(&f->pci->msi, entry->address, entry->data);
}

/* Sends messages that are pending and no longer masked. */
static void msix_release(struct pci_function *f)
{
    for (u32 vector = 0; vector < f->msix.count; vector++) {
        u16 bit = (u16)(1u << vector);
        if (!(f->msix.pending & bit) || msix_is_masked(f, vector) || !pci_msix_enabled(f))
            continue;
        f->msix.pending &= (u16)~bit;
        pci_msix_send(f, vector);
    }
}

void pci_msix_control_written(struct pci_function *f)
{
    if (!pci_msix_enabled(f))
        f->msix.pending = 0;
    msix_release(f);
}

static struct pci_function *msix_function(struct device *device)
{
    return CONTAINER_OF(device, struct pci_bar, region)->function;
}

static u64 msix_read(struct device *device, u64 offset, u32 size)
{
    const struct pci_function *f = msix_function(device);
    u8 image[TABLE_ENTRY_SIZE + 8] = {0};
    u64 vector = offset / TABLE_ENTRY_SIZE;
    if (vector < f->msix.count) {
        const struct pci_msix_entry *entry = &f->msix.entries[vector];
        store_le64(image, entry->address);
        store_le32(image + 8, entry->data);
        store_le32(image + 12, entry->control);
    } else if (offset - offset % TABLE_ENTRY_SIZE == PENDING_OFFSET) {
        store_le64(image, f->msix.pending);
    }
    return bus_truncate(load_le64(image + offset % TABLE_ENTRY_SIZE), size);
}

static void msix_write(struct device *device, u64 offset, u32 size, u64 value)
{
    struct pci_function *f = msix_function(device);
    u64 vector = offset / TABLE_ENTRY_SIZE;
    u64 at = offset % TABLE_ENTRY_SIZE;
    bool whole = (size == 4 || size == 8) && at % size == 0;
    if (vector >= f->msix.count || !whole)
        return; /* software must write whole dwords [6.8.2] */
    struct pci_msix_entry *entry = &f->msix.entries[vector];
    u8 image[TABLE_ENTRY_SIZE];
    store_le64(image, entry->address);
    store_le32(image + 8, entry->data);
    store_le32(image + 12, entry->control);
    if (size == 8)
        store_le64(image + at, value);
    else
        store_le32(image + at, (u32)value);
    entry->address = load_le64(image);
    entry->data = load_le32(image + 8);
    entry->control = load_le32(image + 12) & ENTRY_MASKED;
    msix_release(f);
}

bool pci_add_msix(struct pci_function *f, u32 bar, u32 count)
{
    if (!count || count > PCI_MSIX_MAX)
        return false;
    u8 body[10];
    store_le16(body, (u16)(count - 1));
    store_le32(body + 2, bar);
    store_le32(body + 6, PENDING_OFFSET | bar);
    u8 capability = pci_add_capability(f, CAPABILITY_MSIX, body, sizeof body);
    if (!capability)
        return false;
    store_le16(f->writable + capability + 2, CONTROL_ENABLE | CONTROL_MASK_ALL);
    pci_set_bar(f, bar, PCI_BAR_MEMORY32, false, PAGE_OF_MSIX, msix_read, msix_write);
    f->msix = (struct pci_msix){.capability = capability, .bar = (u8)bar, .count = (u16)count};
    for (u32 i = 0; i < count; i++)
        f->msix.entries[i].control = ENTRY_MASKED;
    return true;
}
