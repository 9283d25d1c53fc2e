/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU's firmware configuration device: numbered items and named files. Firmware reads them through
 * a selector and a data port (510, 511), or has the device copy them by DMA (514). Items are
 * read-only for the guest.
 */
#ifndef SOFTSEV_DEVICE_FW_CFG_H
#define SOFTSEV_DEVICE_FW_CFG_H

#include "device/bus.h"
#include "device/dma.h"

#define FW_CFG_PORT          0x510
#define FW_CFG_ITEMS_MAX     32
#define FW_CFG_FILES_MAX     32
#define FW_CFG_NAME_MAX      56 /* including its NUL */
#define FW_CFG_KEY_SIGNATURE 0x0000
#define FW_CFG_KEY_ID        0x0001
#define FW_CFG_KEY_FILE_DIR  0x0019
#define FW_CFG_KEY_FILES     0x0020 /* the first file's key */

struct fw_cfg_item {
    u16 key;
    const u8 *data; /* belongs to the caller, who must keep it */
    u64 size;
    char name[FW_CFG_NAME_MAX]; /* "" if it has no name */
    u8 small[8];                /* storage for integers */
};

struct fw_cfg {
    struct device ports;     /* 510 and 511 */
    struct device dma_ports; /* 514 to 51B */
    struct dma_port dma;
    struct fw_cfg_item items[FW_CFG_ITEMS_MAX + FW_CFG_FILES_MAX];
    u32 item_count, file_count;
    u8 directory[4 + 64 * FW_CFG_FILES_MAX];
    u16 selected;
    u64 at;
    u32 dma_high;
};

void fw_cfg_init(struct fw_cfg *f, struct dma_port dma);
bool fw_cfg_attach(struct fw_cfg *f, struct bus *ports);
/* Adds an item. Returns false if there is no room, the key is in use, or a name is too long or in
 * use. */
bool fw_cfg_add_item(struct fw_cfg *f, u16 key, const void *data, u64 size);
bool fw_cfg_add_u16(struct fw_cfg *f, u16 key, u16 value);
bool fw_cfg_add_u32(struct fw_cfg *f, u16 key, u32 value);
bool fw_cfg_add_u64(struct fw_cfg *f, u16 key, u64 value);
bool fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *data, u64 size);

#endif
