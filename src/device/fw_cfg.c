/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The firmware configuration device [QEMU docs/specs/fw_cfg]. All fields of a DMA request are
 * big-endian: control, length, address. The high half of control selects an item, its low bits are
 * the operation; the answer is 0 or the error bit.
 */
#include "device/fw_cfg.h"

#define DMA_PORT         0x514
#define DMA_SIGNATURE    0x51454d5520434647ull /* "QEMU CFG", read from the DMA port */
#define DMA_ERROR        0x01u
#define DMA_READ         0x02u
#define DMA_SKIP         0x04u
#define DMA_SELECT       0x08u
#define DMA_WRITE        0x10u
#define DMA_REQUEST_SIZE 16
#define ID_TRADITIONAL   1
#define ID_DMA           2
#define DIRECTORY_ENTRY  64 /* u32 size, u16 key, u16 reserved, name; big-endian */

static const struct fw_cfg_item *fw_cfg_find(const struct fw_cfg *f, u16 key)
{
    for (u32 i = 0; i < f->item_count; i++) {
        if (f->items[i].key == key)
            return &f->items[i];
    }
    return NULL;
}

static void fw_cfg_select(struct fw_cfg *f, u16 key)
{
    f->selected = key;
    f->at = 0;
}

/* Returns the rest of the selected item, at most `size` bytes, and advances the position. */
static const u8 *fw_cfg_take(struct fw_cfg *f, u64 size, u64 *taken)
{
    const struct fw_cfg_item *item = fw_cfg_find(f, f->selected);
    u64 left = item && f->at < item->size ? item->size - f->at : 0;
    *taken = min_u64(size, left);
    const u8 *data = *taken ? item->data + f->at : NULL;
    f->at += *taken;
    return data;
}

static u64 fw_cfg_read(struct device *device, u64 offset, u32 size)
{
    (void)size;
    struct fw_cfg *f = CONTAINER_OF(device, struct fw_cfg, ports);
    if (offset == 0)
        return ~0ull;
    u64 taken;
    const u8 *data = fw_cfg_take(f, 1, &taken);
    return taken ? *data : 0; /* past the end: zeros */
}

/* Handles a write. The selector takes 16 bits; bytes written to the data port are ignored, because
 * items are read-only. */
static void fw_cfg_write(struct device *device, u64 offset, u32 size, u64 value)
{
    struct fw_cfg *f = CONTAINER_OF(device, struct fw_cfg, ports);
    if (offset == 0 && size == 2)
        fw_cfg_select(f, (u16)value);
}

static bool fw_cfg_write_zeros(const struct fw_cfg *f, u64 gpa, u64 size)
{
    static const u8 zeros[PAGE_SIZE];
    for (u64 done = 0; done < size;) {
        u64 piece = min_u64(size - done, sizeof zeros);
        if (!dma_write(&f->dma, gpa + done, zeros, piece))
            return false; /* guest memory ends here, which bounds the loop */
        done += piece;
    }
    return true;
}

static bool fw_cfg_dma_run(struct fw_cfg *f, u32 control, u32 length, u64 gpa)
{
    if (control & DMA_SELECT)
        fw_cfg_select(f, (u16)(control >> 16));
    if (control & DMA_READ) {
        u64 taken;
        const u8 *data = fw_cfg_take(f, length, &taken);
        if (taken && !dma_write(&f->dma, gpa, data, taken))
            return false;
        return gpa + taken >= gpa && fw_cfg_write_zeros(f, gpa + taken, length - taken);
    }
    if (control & DMA_WRITE)
        return false;
    if (control & DMA_SKIP)
        f->at += min_u64(length, UINT32_MAX);
    return true;
}

static void fw_cfg_dma(struct fw_cfg *f, u64 gpa)
{
    u8 request[DMA_REQUEST_SIZE];
    if (!dma_read(&f->dma, gpa, request, sizeof request))
        return;
    u32 control = __builtin_bswap32(load_le32(request));
    u32 length = __builtin_bswap32(load_le32(request + 4));
    u64 address = __builtin_bswap64(load_le64(request + 8));
    bool good = fw_cfg_dma_run(f, control, length, address);
    u8 result[4];
    store_le32(result, __builtin_bswap32(good ? 0 : DMA_ERROR));
    (void)dma_write(&f->dma, gpa, result, sizeof result); /* fails in private memory */
}

static u64 fw_cfg_dma_read(struct device *device, u64 offset, u32 size)
{
    (void)device;
    u64 bytes = __builtin_bswap64(DMA_SIGNATURE);
    return bus_truncate(bytes >> (offset * 8), size);
}

static void fw_cfg_dma_write(struct device *device, u64 offset, u32 size, u64 value)
{
    struct fw_cfg *f = CONTAINER_OF(device, struct fw_cfg, dma_ports);
    if (size == 8 && offset == 0) {
        fw_cfg_dma(f, __builtin_bswap64(value));
    } else if (size == 4 && offset == 0) {
        f->dma_high = __builtin_bswap32((u32)value);
    } else if (size == 4 && offset == 4) {
        u64 gpa = (u64)f->dma_high << 32 | __builtin_bswap32((u32)value);
        f->dma_high = 0;
        fw_cfg_dma(f, gpa);
    }
}

void fw_cfg_init(struct fw_cfg *f, struct dma_port dma)
{
    *f = (struct fw_cfg){
        .ports = {"fw-cfg", FW_CFG_PORT, 2, 2, fw_cfg_read, fw_cfg_write},
        .dma_ports = {"fw-cfg-dma", DMA_PORT, 8, 8, fw_cfg_dma_read, fw_cfg_dma_write},
        .dma = dma,
    };
    fw_cfg_add_item(f, FW_CFG_KEY_SIGNATURE, "QEMU", 4);
    fw_cfg_add_u32(f, FW_CFG_KEY_ID, dma.read ? ID_TRADITIONAL | ID_DMA : ID_TRADITIONAL);
    fw_cfg_add_item(f, FW_CFG_KEY_FILE_DIR, f->directory, 4);
}

bool fw_cfg_attach(struct fw_cfg *f, struct bus *ports)
{
    return bus_add(ports, &f->ports) && bus_add(ports, &f->dma_ports);
}

bool fw_cfg_add_item(struct fw_cfg *f, u16 key, const void *data, u64 size)
{
    if (f->item_count == ARRAY_SIZE(f->items) || fw_cfg_find(f, key))
        return false;
    f->items[f->item_count++] = (struct fw_cfg_item){.key = key, .data = data, .size = size};
    return true;
}

static bool fw_cfg_add_integer(struct fw_cfg *f, u16 key, u64 value, u32 size)
{
    if (!fw_cfg_add_item(f, key, NULL, size))
        return false;
    struct fw_cfg_item *item = &f->items[f->item_count - 1];
    store_le64(item->small, value);
    item->data = item->small;
    return true;
}

bool fw_cfg_add_u16(struct fw_cfg *f, u16 key, u16 value)
{
    return fw_cfg_add_integer(f, key, value, 2);
}

bool fw_cfg_add_u32(struct fw_cfg *f, u16 key, u32 value)
{
    return fw_cfg_add_integer(f, key, value, 4);
}

bool fw_cfg_add_u64(struct fw_cfg *f, u16 key, u64 value)
{
    return fw_cfg_add_integer(f, key, value, 8);
}

/* Adds a last entry to the directory, which is itself an item and grows. */
static void fw_cfg_list_file(struct fw_cfg *f, const struct fw_cfg_item *file)
{
    u8 *entry = f->directory + 4 + DIRECTORY_ENTRY * f->file_count;
    store_le32(entry, __builtin_bswap32((u32)file->size));
    store_le16(entry + 4, __builtin_bswap16(file->key));
    memcpy(entry + 8, file->name, FW_CFG_NAME_MAX);
    f->file_count++;
    store_le32(f->directory, __builtin_bswap32(f->file_count));
    for (u32 i = 0; i < f->item_count; i++) {
        if (f->items[i].key == FW_CFG_KEY_FILE_DIR)
            f->items[i].size = 4 + DIRECTORY_ENTRY * f->file_count;
    }
}

bool fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *data, u64 size)
{
    size_t length = strlen(name);
    if (f->file_count == FW_CFG_FILES_MAX || !length || length >= FW_CFG_NAME_MAX)
        return false;
    if (size > UINT32_MAX)
        return false;
    for (u32 i = 0; i < f->item_count; i++) {
        if (!strcmp(f->items[i].name, name))
            return false;
    }
    if (!fw_cfg_add_item(f, (u16)(FW_CFG_KEY_FILES + f->file_count), data, size))
        return false;
    struct fw_cfg_item *item = &f->items[f->item_count - 1];
    memcpy(item->name, name, length);
    fw_cfg_list_file(f, item);
    return true;
}
