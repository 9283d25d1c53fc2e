/* SPDX-License-Identifier: Apache-2.0 */
/* One access of an instruction to a device, as a core and its host exchange it. */
#ifndef SOFTSEV_BASE_DEVICE_ACCESS_H
#define SOFTSEV_BASE_DEVICE_ACCESS_H

#include "base/base.h"

struct device_access {
    u64 address; /* a port's number, or a guest physical address */
    u64 value;   /* the value of a write */
    u8 size;     /* bytes, 1 to 8; may cross a device's end, never a page */
    bool port, write;
    bool probe; /* no data moves: the instruction asks whether a later write is possible */
};

#endif
