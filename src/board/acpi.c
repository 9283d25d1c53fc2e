/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ACPI tables of a guest: RSDP, XSDT, FADT, FACS, MADT, DSDT, and IVRS if the board has an
 * IOMMU [ACPI 5.2; host 3.2]. A kernel without an MP table needs the MADT to find its interrupt
 * controllers, the FADT to power off and to measure time, and PCI's _PRT for its interrupt lines.
 */
#include "board/acpi.h"

#include "board/aml.h"
#include "board/map.h"
#include "device/iommu.h"

#define HEADER_SIZE 36u
#define FADT_SIZE   244u /* revision 3 */
#define FACS_SIZE   64u

static void checksum(u8 *table, size_t size, size_t at)
{
    u8 sum = 0;
    table[at] = 0;
    for (size_t i = 0; i < size; i++)
        sum = (u8)(sum + table[i]);
    table[at] = (u8)-sum;
}

/* Writes the header of a table (RSDP and FACS have none); table_end fills in length and
 * checksum. */
static size_t table_begin(struct writer *w, const char signature[4], u8 revision)
{
    write_zeros(w, -w->at & 15);
    size_t at = w->at;
    write_bytes(w, signature, 4);
    write_u32(w, 0);
    write_u8(w, revision);
    write_u8(w, 0);
    write_bytes(w, "SOFSEV", 6);
    write_bytes(w, "SOFTSEV ", 8);
    write_u32(w, 1);
    write_bytes(w, "SSEV", 4);
    write_u32(w, 1);
    return at;
}

static void table_end(struct writer *w, size_t at)
{
    if (w->bad)
        return;
    store_le32(w->data + at + 4, (u32)(w->at - at));
    checksum(w->data + at, w->at - at, 9);
}

/* --- MADT [ACPI 5.2.12] ----------------------------------------------------------------------- */

#define MADT_PCAT_COMPAT 1u
#define MADT_LEVEL_HIGH  0x0du

static void madt_override(struct writer *w, u8 source, u32 gsi, u16 flags)
{
    write_u8(w, 2);
    write_u8(w, 10);
    write_u8(w, 0);
    write_u8(w, source);
    write_u32(w, gsi);
    write_u16(w, flags);
}

static void madt_processor(struct writer *w, u8 id)
{
    write_u8(w, 0);
    write_u8(w, 8);
    write_u8(w, id); /* ID of the processor, and of its local APIC */
    write_u8(w, id);
    write_u32(w, 1); /* enabled */
}

static size_t madt(struct writer *w, u32 cpus)
{
    size_t at = table_begin(w, "APIC", 3);
    write_u32(w, (u32)BOARD_LAPIC);
    write_u32(w, MADT_PCAT_COMPAT);
    for (u32 i = 0; i < cpus; i++)
        madt_processor(w, (u8)i);
    write_u8(w, 1); /* I/O APIC: the ID after the processors' IDs; interrupts from 0 */
    write_u8(w, 12);
    write_u8(w, (u8)cpus);
    write_u8(w, 0);
    write_u32(w, (u32)BOARD_IOAPIC);
    write_u32(w, 0);
    madt_override(w, 0, 2, 0);
    madt_override(w, BOARD_SCI_IRQ, BOARD_SCI_IRQ, MADT_LEVEL_HIGH);
    write_u8(w, 4); /* NMI on LINT1 of every processor */
    write_u8(w, 6);
    write_u8(w, 0xff);
    write_u16(w, 0);
    write_u8(w, 1);
    table_end(w, at);
    return at;
}

/* --- DSDT ------------------------------------------------------------------------------------- */

static void dsdt_pci_routing(struct writer *w)
{
    aml_name(w, "_PRT");
    size_t table = aml_package_begin(w, BOARD_PCI_SLOTS * 4);
    for (u32 slot = 0; slot < BOARD_PCI_SLOTS; slot++) {
        for (u32 pin = 0; pin < 4; pin++) {
            size_t entry = aml_package_begin(w, 4);
            aml_integer(w, slot << 16 | 0xffff);
            aml_integer(w, pin);
            aml_integer(w, 0);
            aml_integer(w, BOARD_PCI_IRQ + (slot + pin) % 4);
            aml_block_end(w, entry);
        }
    }
    aml_block_end(w, table);
}

/* Declares the windows in which firmware may place BARs, outside of RAM [edk2 OvmfPkg: above low
 * RAM and 2 GiB, or high up]. */
static void dsdt_windows(struct writer *w, u64 low_ram)
{
    if (!low_ram) {
        aml_resource_memory_window(w, (u32)BOARD_PCI_WINDOW, (u32)BOARD_PCI_END - 1);
        return;
    }
    aml_resource_memory_window(w, (u32)max_u64(low_ram, GIB(2)), (u32)BOARD_FIRMWARE_PCI_END - 1);
    aml_resource_wide_memory_window(w, BOARD_FIRMWARE_HIGH_PCI, BOARD_FIRMWARE_HIGH_PCI_END - 1);
}

static void dsdt_pci(struct writer *w, u64 low_ram)
{
    size_t device = aml_device_begin(w, "PCI0");
    aml_name(w, "_HID");
    aml_eisa_id(w, "PNP0A03");
    aml_name(w, "_UID");
    aml_integer(w, 0);
    aml_name(w, "_CRS");
    struct aml_resources r = aml_resources_begin(w);
    aml_resource_bus_numbers(w, 0, 0);
    aml_resource_io(w, 0xcf8, 8);
    aml_resource_io_window(w, 0, 0xcf7);
    aml_resource_io_window(w, 0xd00, 0xffff);
    dsdt_windows(w, low_ram);
    aml_resources_end(w, r);
    dsdt_pci_routing(w);
    aml_block_end(w, device);
}

static void dsdt_legacy(struct writer *w, const char *name, const char *id, u16 port, u8 ports,
                        u32 irq)
{
    size_t device = aml_device_begin(w, name);
    aml_name(w, "_HID");
    aml_eisa_id(w, id);
    aml_name(w, "_UID");
    aml_integer(w, 0);
    aml_name(w, "_CRS");
    struct aml_resources r = aml_resources_begin(w);
    aml_resource_io(w, port, ports);
    aml_resource_irq(w, irq);
    aml_resources_end(w, r);
    aml_block_end(w, device);
}

static size_t dsdt(struct writer *w, u64 low_ram)
{
    size_t at = table_begin(w, "DSDT", 2);
    aml_name(w, "\\_S5");
    size_t s5 = aml_package_begin(w, 4);
    aml_integer(w, BOARD_S5_TYPE);
    aml_integer(w, BOARD_S5_TYPE);
    aml_integer(w, 0);
    aml_integer(w, 0);
    aml_block_end(w, s5);
    size_t scope = aml_scope_begin(w, "\\_SB");
    dsdt_pci(w, low_ram);
    dsdt_legacy(w, "COM1", "PNP0501", BOARD_UART_PORT, 8, BOARD_UART_IRQ);
    dsdt_legacy(w, "RTC", "PNP0B00", 0x70, 2, 8);
    aml_block_end(w, scope);
    table_end(w, at);
    return at;
}

/* --- FADT [ACPI 5.2.9] ------------------------------------------------------------------------ */

#define FADT_LEGACY_DEVICES BIT(0) /* IAPC_BOOT_ARCH; no keyboard controller */
#define FADT_NO_VGA         BIT(2)
#define FADT_WBINVD         BIT(0)
#define FADT_PROC_C1        BIT(2)
#define FADT_PWR_BUTTON     BIT(4) /* set: no fixed-hardware power button */
#define FADT_SLP_BUTTON     BIT(5)
#define FADT_TMR_32_BIT     BIT(8)
#define FADT_RESET          BIT(10)

/* Writes the Generic Address Structure of a port range. */
static void gas(u8 *out, u64 address, u8 bits, u8 access)
{
    out[0] = 1;
    out[1] = bits;
    out[3] = access;
    store_le64(out + 4, address);
}

static size_t fadt(struct writer *w, u64 gpa, size_t facs_at, size_t dsdt_at)
{
    size_t at = table_begin(w, "FACP", 3);
    write_zeros(w, FADT_SIZE - HEADER_SIZE);
    if (w->bad)
        return at;
    u8 *t = w->data + at;
    store_le32(t + 36, (u32)(gpa + facs_at));
    store_le32(t + 40, (u32)(gpa + dsdt_at));
    store_le16(t + 46, BOARD_SCI_IRQ);
    store_le32(t + 56, BOARD_PM_PORT);
    store_le32(t + 64, BOARD_PM_PORT + 4);
    store_le32(t + 76, BOARD_PM_PORT + 8);
    store_le32(t + 80, BOARD_PM_PORT + 12);
    t[88] = 4; /* PM1 event, control, timer, GPE0 lengths */
    t[89] = 2;
    t[91] = 4;
    t[92] = 4;
    store_le16(t + 96, 0xfff); /* C2 and C3 latencies: not supported */
    store_le16(t + 98, 0xfff);
    t[108] = 0x32; /* index of the century in the clock's memory */
    store_le16(t + 109, FADT_LEGACY_DEVICES | FADT_NO_VGA);
    store_le32(t + 112, FADT_WBINVD | FADT_PROC_C1 | FADT_PWR_BUTTON | FADT_SLP_BUTTON |
                            FADT_TMR_32_BIT | FADT_RESET);
    gas(t + 116, BOARD_RESET_PORT, 8, 1);
    t[128] = BOARD_RESET_VALUE;
    store_le64(t + 140, gpa + dsdt_at);
    gas(t + 148, BOARD_PM_PORT, 32, 2);
    gas(t + 172, BOARD_PM_PORT + 4, 16, 2);
    gas(t + 208, BOARD_PM_PORT + 8, 32, 3);
    gas(t + 220, BOARD_PM_PORT + 12, 32, 1);
    table_end(w, at);
    return at;
}

/* --- IVRS [host 3.2] -------------------------------------------------------------------------- */

#define IVRS_FEATURES       BIT(0) /* the block below has the IOMMU's feature register */
#define IVHD_TYPE           0x11u
#define IVHD_SIZE           48u /* with two device entries of 4 bytes */
#define IVHD_RANGE_START    3u
#define IVHD_RANGE_END      4u
#define BUS_0_LAST_FUNCTION 0xffu

static void ivrs_device(struct writer *w, u8 type, u16 device)
{
    write_u8(w, type);
    write_u16(w, device);
    write_u8(w, 0);
}

/* The IOMMU serves every function of bus 0. It names neither I/O APIC nor timers, so a kernel does
 * not remap interrupts. */
static size_t ivrs(struct writer *w)
{
    size_t at = table_begin(w, "IVRS", 2);
    write_u32(w, (u32)(IOMMU_ADDRESS_SIZES | IVRS_FEATURES));
    write_zeros(w, 8);
    write_u8(w, IVHD_TYPE);
    write_u8(w, 0);
    write_u16(w, IVHD_SIZE);
    write_u16(w, BOARD_IOMMU_DEVFN);
    write_u16(w, IOMMU_CAPABILITY);
    write_u64(w, BOARD_IOMMU);
    write_zeros(w, 8); /* segment, interrupt, attributes */
    write_u64(w, IOMMU_FEATURES);
    write_zeros(w, 8); /* the second feature register */
    ivrs_device(w, IVHD_RANGE_START, 0);
    ivrs_device(w, IVHD_RANGE_END, BUS_0_LAST_FUNCTION);
    table_end(w, at);
    return at;
}

static size_t xsdt(struct writer *w, u64 gpa, const size_t *tables, u32 count)
{
    size_t at = table_begin(w, "XSDT", 1);
    for (u32 i = 0; i < count; i++)
        write_u64(w, gpa + tables[i]);
    table_end(w, at);
    return at;
}

size_t acpi_build(u8 *out, size_t size, u64 gpa, u32 cpus, bool iommu, struct acpi_places *places)
{
    const u64 low_ram = places ? places->low_ram : 0;
    struct writer w = writer_of(out, size);
    write_zeros(&w, ACPI_RSDP_SIZE);
    write_zeros(&w, -w.at & 63);
    size_t facs = w.at; /* aligned to 64 */
    write_bytes(&w, "FACS", 4);
    write_u32(&w, FACS_SIZE);
    write_zeros(&w, 24);
    write_u8(&w, 1);
    write_zeros(&w, FACS_SIZE - 33);
    size_t dsdt_at = dsdt(&w, low_ram);
    size_t tables[3] = {fadt(&w, gpa, facs, dsdt_at), madt(&w, cpus)};
    if (iommu)
        tables[2] = ivrs(&w);
    size_t xsdt_at = xsdt(&w, gpa, tables, iommu ? 3 : 2);
    if (w.bad)
        return 0;
    if (places)
        *places = (struct acpi_places){low_ram, facs, dsdt_at, tables[0], tables[1], xsdt_at};
    memcpy(out, "RSD PTR ", 8);
    memcpy(out + 9, "SOFSEV", 6);
    out[15] = 2; /* revision */
    store_le32(out + 20, ACPI_RSDP_SIZE);
    store_le64(out + 24, gpa + xsdt_at);
    checksum(out, 20, 8);
    checksum(out, ACPI_RSDP_SIZE, 32);
    return w.at;
}
