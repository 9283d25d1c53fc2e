/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ways to reset a PC: the reset control register CF9, the keyboard controller's pulse (FE to
 * port 64) and port 92. There is no keyboard: its ports read as ones, which tells drivers that it
 * is absent.
 */
#ifndef SOFTSEV_DEVICE_RESET_H
#define SOFTSEV_DEVICE_RESET_H

#include "device/bus.h"

struct reset {
    struct device keyboard; /* 64 */
    struct device port92;
    struct device control; /* CF9; accessed through PCI's CF8 port, see pci_init */
    void (*reset)(void *ctx);
    void *ctx;
    u8 control_value, port92_value;
};

void reset_init(struct reset *r, void (*reset)(void *ctx), void *ctx);
bool reset_attach(struct reset *r, struct bus *ports); /* 64 and 92; also CF9 if it is free */

#endif
