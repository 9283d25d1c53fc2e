/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The secure processor's PCI function [host 1.1]: 1022:14CA, which has neither a crypto engine nor
 * a TEE. A command runs inside the write that submits it; its end is a message [host 1.4].
 */
#include "device/psp.h"

#define COMMAND_INTERRUPT BIT(0) /* report the end by a message */
#define COMMAND_DONE      BIT(31)
#define STATUS_MASK       0xffffu
#define FEATURE_SEV       BIT(0)
#define INTERRUPT_COMMAND BIT(1) /* a command has ended */

#define VECTORS           2u /* the second belongs to the crypto engine, which never sends it */
#define VECTOR_OF_MAILBOX 0u

/* The registers, in 32 bits each [host 1.2]. Every other offset reads as zero. */
static const struct {
    u32 offset, reset, writable, clearable;
} registers[PSP_REGISTER_COUNT] = {
    [PSP_COMMAND] = {0x10980, COMMAND_DONE, 0, 0}, /* see submit() */
    [PSP_BUFFER_LOW] = {0x109e0, 0, ~0u, 0},       [PSP_BUFFER_HIGH] = {0x109e4, 0, ~0u, 0},
    [PSP_FEATURE] = {0x109fc, FEATURE_SEV, 0, 0},  [PSP_INTERRUPT_ENABLE] = {0x10690, 0, ~0u, 0},
    [PSP_INTERRUPT_STATUS] = {0x10694, 0, 0, ~0u},
};

static enum psp_register find(u64 offset)
{
    u32 n = 0;
    while (n < PSP_REGISTER_COUNT && registers[n].offset != offset)
        n++;
    return (enum psp_register)n;
}

static void send_message(struct psp *p)
{
    if (pci_msix_enabled(&p->pci))
        pci_msix_send(&p->pci, VECTOR_OF_MAILBOX);
    else
        pci_msi_send(&p->pci);
}

/* Runs the command. The message is sent last, because its receiver must find the status. A value
 * with the response bit set is not a command. */
static void submit(struct psp *p, u32 value)
{
    u32 *r = p->registers;
    if (value & COMMAND_DONE)
        return;
    const u64 buffer = (u64)r[PSP_BUFFER_HIGH] << 32 | r[PSP_BUFFER_LOW];
    const u32 status = p->mailbox.run(p->mailbox.ctx, (u32)BITS(value, 26, 16), buffer);
    r[PSP_COMMAND] = (u32)COMMAND_DONE | (status & STATUS_MASK);
    if (!(value & COMMAND_INTERRUPT))
        return; /* the host polls */
    r[PSP_INTERRUPT_STATUS] |= (u32)INTERRUPT_COMMAND;
    if (r[PSP_INTERRUPT_ENABLE] & INTERRUPT_COMMAND)
        send_message(p);
}

static struct psp *psp_of(struct device *device)
{
    return CONTAINER_OF(CONTAINER_OF(device, struct pci_bar, region)->function, struct psp, pci);
}

/* The device is four bytes wide, so an access lies in one register if it is aligned. */
static u64 psp_read(struct device *device, u64 offset, u32 size)
{
    const struct psp *p = psp_of(device);
    const enum psp_register n = find(offset);
    return n < PSP_REGISTER_COUNT ? bus_truncate(p->registers[n], size) : 0;
}

static void psp_write(struct device *device, u64 offset, u32 size, u64 value)
{
    struct psp *p = psp_of(device);
    const enum psp_register n = find(offset);
    if (n == PSP_REGISTER_COUNT || size != 4)
        return; /* software writes whole registers */
    u32 *r = &p->registers[n];
    if (n == PSP_COMMAND)
        submit(p, (u32)value);
    else
        *r = ((*r & ~registers[n].writable) | ((u32)value & registers[n].writable)) &
             ~((u32)value & registers[n].clearable);
}

bool psp_init(struct psp *p, struct mailbox_backend mailbox)
{
    static const struct pci_identity id = {0x1022, 0x14ca, 0x1022, 0x14ca, 0x108000, 0};
    *p = (struct psp){.mailbox = mailbox};
    pci_function_init(&p->pci, "psp", &id);
    for (u32 n = 0; n < PSP_REGISTER_COUNT; n++)
        p->registers[n] = registers[n].reset;
    pci_set_bar(&p->pci, PSP_BAR_REGISTERS, PCI_BAR_MEMORY32, false, PSP_REGISTERS_SIZE, psp_read,
                psp_write);
    p->pci.bars[PSP_BAR_REGISTERS].region.width = 4;
    return pci_add_msi(&p->pci) && pci_add_msix(&p->pci, PSP_BAR_MSIX, VECTORS);
}
