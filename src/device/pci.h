/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI bus 0, accessed by ports CF8/CFC and optionally by a memory-mapped window. Configuration
 * space is one more `struct bus`; base address registers move their devices on the port or memory
 * bus. Includes capabilities, INTx lines, MSI and MSI-X.
 */
#ifndef SOFTSEV_DEVICE_PCI_H
#define SOFTSEV_DEVICE_PCI_H

#include "device/bus.h"
#include "device/irq.h"

#define PCI_FUNCTIONS_MAX  32
#define PCI_BARS           6
#define PCI_CONFIG_SIZE    256
#define PCI_MSIX_MAX       16
#define PCI_HOST_I440FX    0x1237
#define PCI_HOST_Q35       0x29c0
#define PCI_DEVFN(dev, fn) (((dev) << 3) | (fn))

/* Registers of the type 0 header. */
enum pci_register {
    PCI_VENDOR_ID = 0x00,
    PCI_DEVICE_ID = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION_ID = 0x08,
    PCI_CLASS = 0x09, /* 3 bytes: interface, subclass, class */
    PCI_HEADER_TYPE = 0x0e,
    PCI_BAR0 = 0x10,
    PCI_SUBSYSTEM_VENDOR_ID = 0x2c,
    PCI_SUBSYSTEM_ID = 0x2e,
    PCI_CAPABILITIES = 0x34,
    PCI_INTERRUPT_LINE = 0x3c,
    PCI_INTERRUPT_PIN = 0x3d,
    PCI_FIRST_FREE = 0x40,
};

#define PCI_COMMAND_IO           0x0001
#define PCI_COMMAND_MEMORY       0x0002
#define PCI_COMMAND_MASTER       0x0004
#define PCI_COMMAND_NO_INTX      0x0400
#define PCI_STATUS_INTERRUPT     0x0008
#define PCI_STATUS_CAPABILITIES  0x0010
#define PCI_HEADER_MULTIFUNCTION 0x80 /* in function 0 of a device that has others, too */

enum pci_bar_kind { PCI_BAR_NONE, PCI_BAR_PORTS, PCI_BAR_MEMORY32, PCI_BAR_MEMORY64 };

struct pci_bar {
    struct device region; /* name, size, read and write are set by the device; start by the guest */
    struct pci_function *function;
    enum pci_bar_kind kind;
    bool mapped;
};

struct pci_msix_entry {
    u64 address;
    u32 data, control; /* control bit 0: masked */
};

struct pci_msix {
    u8 capability; /* its offset; 0: none */
    u8 bar;
    u16 count;
    u16 pending; /* one bit per vector */
    struct pci_msix_entry entries[PCI_MSIX_MAX];
};

struct pci_function {
    struct device config; /* 256 bytes on the configuration bus, at devfn << 8 */
    struct pci *pci;
    u8 space[PCI_CONFIG_SIZE],
        writable[PCI_CONFIG_SIZE]; /* size in bytes, and the bits that software may set */
    struct pci_bar bars[PCI_BARS];
    u8 last_capability;
    u16 next_free; /* offset in `space` */
    struct irq_line intx;
    bool intx_wanted, intx_level;
    struct pci_msix msix;
    u8 msi_capability; /* its offset; 0: none */
    /* Optional: called before reads and after writes by the common code; for virtio's 4-byte
     * window. */
    void (*before_read)(struct pci_function *f, u32 offset, u32 size);
    void (*after_write)(struct pci_function *f, u32 offset, u32 size);
};

struct pci {
    struct bus *ports, *memory;
    struct bus config;
    struct device address_port, data_port; /* CF8, CFC */
    struct device ecam;                    /* optional */
    struct device *reset_control;          /* handles byte accesses to CF9; may be NULL */
    struct msi_port msi;
    u32 address;
    struct pci_function host;
    struct pci_function *functions[PCI_FUNCTIONS_MAX];
    u32 count;
};

/* Puts CF8 and CFC on the port bus and a host bridge (8086:host_id) at 00:00.0. Returns false if
 * the ports are in use. */
bool pci_init(struct pci *p, struct bus *ports, struct bus *memory, struct msi_port msi,
              u16 host_id, struct device *reset_control);
bool pci_add_ecam(struct pci *p, u64 base); /* 1 MiB for bus 0 */

struct pci_identity {
    u16 vendor, device, subsystem_vendor, subsystem;
    u32 class_code; /* class << 16 | subclass << 8 | interface */
    u8 revision;
};

/* Initialises a function, before BARs and capabilities are set and the function is added. */
void pci_function_init(struct pci_function *f, const char *name, const struct pci_identity *id);
/* Sets BAR `index` (and index + 1 for 64 bits). `size` is a power of two. */
void pci_set_bar(struct pci_function *f, u32 index, enum pci_bar_kind kind, bool prefetchable,
                 u64 size, u64 (*read)(struct device *, u64, u32),
                 void (*write)(struct device *, u64, u32, u64));
/* Adds a capability; `body` follows the two header bytes. Returns its offset, or 0 if there is no
 * room. */
u8 pci_add_capability(struct pci_function *f, u8 id, const void *body, u32 body_size);
bool pci_add_msix(struct pci_function *f, u32 bar, u32 count); /* also sets the BAR, 4 KiB */
bool pci_add_msi(struct pci_function *f); /* one message, to a 64-bit address */
/* Adds the function at `devfn` with INTA on `intx`. The line's number is also put into the
 * interrupt line register. */
bool pci_add(struct pci *p, struct pci_function *f, u8 devfn, struct irq_line intx);
/* Does what firmware does: sets the address of a BAR and enables decoding. Returns false if the
 * range is in use. */
bool pci_assign_bar(struct pci_function *f, u32 index, u64 address);

void pci_set_intx(struct pci_function *f, bool level);
bool pci_msix_enabled(const struct pci_function *f);
void pci_msix_send(struct pci_function *f, u32 vector);
bool pci_msi_enabled(const struct pci_function *f);
void pci_msi_send(struct pci_function *f);
bool pci_is_master(const struct pci_function *f);

#endif
