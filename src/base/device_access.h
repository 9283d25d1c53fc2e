/* SPDX-License-Identifier: Apache-2.0 */
/* One access of an instruction to a device: how a core and its host speak of it. */
#ifndef SOFTSEV_BASE_DEVICE_ACCESS_H
#define SOFTSEV_BASE_DEVICE_ACCESS_H

#include "base/base.h"

struct device_access {
    u64 address; /* a port's number, or a guest physical address */
    u64 value;   /* of a write: what is written */
    u8 size;     /* bytes, 1 to 8; may cross a device's edge, never a page */
    bool port, write;
    bool probe; /* nothing moves: the instruction only asks whether it may write there later */
};

#endif
