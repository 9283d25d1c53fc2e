/* SPDX-License-Identifier: Apache-2.0 */
/* Intel's command set for NOR flash [JEDEC JESD68 (CFI); Intel 28F320 data sheet, 4]. */
#include "device/pflash.h"

#define READ_ARRAY    0xffu
#define READ_ARRAY_2  0xf0u
#define READ_ARRAY_3  0x00u
#define READ_STATUS   0x70u
#define READ_IDENTITY 0x90u
#define READ_CFI      0x98u
#define CLEAR_STATUS  0x50u
#define PROGRAM       0x40u
#define PROGRAM_2     0x10u
#define ERASE         0x20u
#define ERASE_CONFIRM 0xd0u
#define LOCK          0x60u

#define STATUS_READY    0x80u
#define STATUS_SEQUENCE 0x30u /* a second write that does not belong to the first */

static bool shows_array(u8 command)
{
    return command == READ_ARRAY || command == READ_ARRAY_2 || command == READ_ARRAY_3;
}

static u64 flash_read(struct device *device, u64 offset, u32 size)
{
    const struct pflash *p = CONTAINER_OF(device, struct pflash, window);
    u8 bytes[8] = {0};
    if (shows_array(p->shows))
        memcpy(bytes, p->flash.bytes + offset, size);
    else if (p->shows == READ_CFI)
        for (u32 i = 0; i < size; i++)
            bytes[i] = offset + i < PFLASH_CFI_SIZE ? p->cfi[offset + i] : 0;
    else if (p->shows != READ_IDENTITY) /* maker and chip are 0, as QEMU's */
        memset(bytes, p->status, size);
    return load_le64(bytes);
}

static void change(struct pflash *p, u64 offset, u32 size)
{
    p->status |= STATUS_READY;
    if (p->flash.changed)
        p->flash.changed(p->flash.ctx, offset, size);
}

static void erase(struct pflash *p, u64 offset)
{
    offset = ALIGN_DOWN(offset, PFLASH_SECTOR);
    memset(p->flash.bytes + offset, 0xff, PFLASH_SECTOR);
    change(p, offset, PFLASH_SECTOR);
}

static void program(struct pflash *p, u64 offset, u32 size, u64 value)
{
    for (u32 i = 0; i < size; i++)
        p->flash.bytes[offset + i] = (u8)(value >> (8 * i));
    change(p, offset, size);
}

static void second_write(struct pflash *p, u64 offset, u32 size, u64 value)
{
    const u8 first = p->expects, command = (u8)value;
    p->expects = 0;
    if (first == PROGRAM || first == PROGRAM_2)
        program(p, offset, size, value);
    else if (first == ERASE && command == ERASE_CONFIRM)
        erase(p, offset);
    else if (command == READ_ARRAY)
        p->shows = READ_ARRAY;
    else if (first == ERASE)
        p->status |= STATUS_READY | STATUS_SEQUENCE;
    else /* a lock, which keeps nobody out */
        p->status |= STATUS_READY;
}

static void take_write(struct pflash *p, u64 offset, u32 size, u64 value)
{
    const u8 command = (u8)value;
    if (p->expects) {
        second_write(p, offset, size, value);
        return;
    }
    switch (command) {
    case PROGRAM:
    case PROGRAM_2:
    case ERASE:
    case LOCK:
        p->expects = command;
        p->shows = READ_STATUS;
        break;
    case READ_STATUS:
    case READ_IDENTITY:
    case READ_CFI:
        p->shows = command;
        break;
    case CLEAR_STATUS:
        p->status = 0;
        p->shows = READ_ARRAY;
        break;
    default: /* an unknown command, too, leads back to the contents */
        p->shows = READ_ARRAY;
    }
}

/* Writes, and tells whether reads then give something else than before. */
static void flash_write(struct device *device, u64 offset, u32 size, u64 value)
{
    struct pflash *p = CONTAINER_OF(device, struct pflash, window);
    const bool before = shows_array(p->shows);
    take_write(p, offset, size, value);
    if (p->flash.shows && shows_array(p->shows) != before)
        p->flash.shows(p->flash.ctx, !before);
}

/* Log2 of a power of two that is at least `value`. */
static u8 log2_of(u64 value)
{
    u8 n = 0;
    while (1ull << n < value)
        n++;
    return n;
}

static void make_cfi(struct pflash *p)
{
    const u64 sectors = p->window.size / PFLASH_SECTOR;
    u8 *t = p->cfi;
    memcpy(t + 0x10, "QRY", 3);
    t[0x13] = 0x01; /* Intel's command set, whose own table is at 31h */
    t[0x15] = 0x31;
    t[0x1b] = 0x45; /* 4.5 V to 5.5 V */
    t[0x1c] = 0x55;
    t[0x1f] = 0x01; /* a byte takes 2 us, a sector 1 ms: as little as can be said */
    t[0x21] = 0x01;
    t[0x27] = log2_of(p->window.size);
    t[0x2c] = 1; /* regions of sectors: their count less one, their size in 256 bytes */
    store_le16(t + 0x2d, (u16)(sectors - 1));
    store_le16(t + 0x2f, PFLASH_SECTOR / 256);
    memcpy(t + 0x31, "PRI10", 5);
}

void pflash_init(struct pflash *p, u64 address, struct flash_backend flash)
{
    *p = (struct pflash){
        .window = {"flash", address, flash.size, 8, flash_read, flash_write},
        .flash = flash,
        .shows = READ_ARRAY,
        .status = STATUS_READY,
    };
    make_cfi(p);
}
