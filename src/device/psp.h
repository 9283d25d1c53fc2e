/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The secure processor as software on the host finds it: a PCI function with mailbox registers
 * [host 1; sev 1]. The firmware behind them is the board's owner's.
 */
#ifndef SOFTSEV_DEVICE_PSP_H
#define SOFTSEV_DEVICE_PSP_H

#include "device/backend.h"
#include "device/pci.h"

#define PSP_BAR_REGISTERS  2u /* 1 MiB of memory */
#define PSP_BAR_MSIX       5u
#define PSP_REGISTERS_SIZE MIB(1)

enum psp_register {
    PSP_COMMAND,
    PSP_BUFFER_LOW,
    PSP_BUFFER_HIGH,
    PSP_FEATURE,
    PSP_INTERRUPT_ENABLE,
    PSP_INTERRUPT_STATUS,
    PSP_REGISTER_COUNT,
};

struct psp {
    struct pci_function pci;
    struct mailbox_backend mailbox;
    u32 registers[PSP_REGISTER_COUNT];
};

/* Prepares the function; the board adds it to the bus and assigns the two BARs. Returns false if
 * its capabilities do not fit. */
bool psp_init(struct psp *p, struct mailbox_backend mailbox);

#endif
