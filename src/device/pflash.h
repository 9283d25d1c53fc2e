/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A NOR flash with Intel's command set, one byte wide, with sectors of 4 KiB: what QEMU's PC has
 * below 4 GiB. Firmware keeps its variables in it.
 *
 *   FF, F0, 00  read the contents          70     read the status      50  clear the status
 *   10, 40      program: the next write    20 D0  erase a sector       90  read the identity
 *   98          read the table of CFI      60     lock: the next write has no effect
 *
 * The flash is ready at once. As in QEMU, programming sets bits, too, and buffered writes (E8) are
 * the only commands of an old chip that this one lacks: CFI says so.
 */
#ifndef SOFTSEV_DEVICE_PFLASH_H
#define SOFTSEV_DEVICE_PFLASH_H

#include "device/backend.h"
#include "device/bus.h"

#define PFLASH_SECTOR   4096u
#define PFLASH_CFI_SIZE 0x40u

struct pflash {
    struct device window;
    struct flash_backend flash;
    u8 shows;   /* the command that decides what a read gives */
    u8 expects; /* the command whose second write comes next; 0: none */
    u8 status;
    u8 cfi[PFLASH_CFI_SIZE];
};

void pflash_init(struct pflash *p, u64 address, struct flash_backend flash);

#endif
