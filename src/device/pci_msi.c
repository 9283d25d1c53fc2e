/* SPDX-License-Identifier: Apache-2.0 */
/* MSI [PCI Local Bus 3.0, 6.8.1]: one message, whose address and data lie in configuration space.
 */
#include "device/internal.h"

#define CAPABILITY_MSI 0x05
#define CONTROL_ENABLE 0x0001
#define CONTROL_64_BIT 0x0080

/* Offsets in the capability. */
#define CONTROL 2u
#define ADDRESS 4u
#define DATA    12u

bool pci_add_msi(struct pci_function *f)
{
    u8 body[12] = {0};
    store_le16(body, CONTROL_64_BIT);
    const u8 at = pci_add_capability(f, CAPABILITY_MSI, body, sizeof body);
    if (!at)
        return false;
    store_le16(f->writable + at + CONTROL, CONTROL_ENABLE);
    store_le64(f->writable + at + ADDRESS, ~3ull);
    store_le16(f->writable + at + DATA, 0xffff);
    f->msi_capability = at;
    return true;
}

bool pci_msi_enabled(const struct pci_function *f)
{
    return f->msi_capability && load_le16(f->space + f->msi_capability + CONTROL) & CONTROL_ENABLE;
}

void pci_msi_send(struct pci_function *f)
{
    const u8 *capability = f->space + f->msi_capability;
    if (pci_msi_enabled(f))
        msi_send(&f->pci->msi, load_le64(capability + ADDRESS), load_le16(capability + DATA));
}
