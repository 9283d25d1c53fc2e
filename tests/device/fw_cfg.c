/* SPDX-License-Identifier: Apache-2.0 */
/* The firmware configuration device: items, the directory of files,
 * DMA and requests that are wrong. */
#include "device/fw_cfg.h"
#include "common.h"

struct desk {
    struct world world;
    struct guest guest;
    struct fw_cfg cfg;
};

static struct desk desk;

static struct desk *desk_init(void)
{
    memset(&desk, 0, sizeof desk);
    world_init(&desk.world);
    fw_cfg_init(&desk.cfg, guest_dma(&desk.guest));
    assert_true(fw_cfg_attach(&desk.cfg, &desk.world.ports));
    return &desk;
}

static void select_item(struct desk *d, u16 key)
{
    bus_write(&d->world.ports, 0x510, 2, key);
}

static void read_data(struct desk *d, void *out, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((u8 *)out)[i] = inb(&d->world, 0x511);
}

static void items_are_read_byte_by_byte(void **state)
{
    (void)state;
    struct desk *d = desk_init();
    u8 bytes[8];
    select_item(d, FW_CFG_KEY_SIGNATURE);
    read_data(d, bytes, 6);
    assert_memory_equal(bytes, "QEMU\0\0", 6); /* zeros behind the end */
    assert_true(fw_cfg_add_u16(&d->cfg, 0x05, 0x1234));
    assert_true(fw_cfg_add_u64(&d->cfg, 0x06, 0x1122334455667788ull));
    assert_false(fw_cfg_add_u32(&d->cfg, 0x05, 1)); /* taken */
    select_item(d, 0x06);
    read_data(d, bytes, 8);
    assert_true(load_le64(bytes) == 0x1122334455667788ull);
    select_item(d, 0x7777); /* nothing there */
    assert_int_equal(inb(&d->world, 0x511), 0);
    assert_int_equal(bus_read(&d->world.ports, 0x514, 8), 0x47464320554d4551); /* "QEMU CFG" */
}

static void files_are_in_the_directory(void **state)
{
    (void)state;
    struct desk *d = desk_init();
    assert_true(fw_cfg_add_file(&d->cfg, "etc/e820", "abcdef", 6));
    assert_true(fw_cfg_add_file(&d->cfg, "opt/x", "y", 1));
    assert_false(fw_cfg_add_file(&d->cfg, "opt/x", "z", 1));
    assert_false(fw_cfg_add_file(&d->cfg, "", "z", 1));
    char long_name[FW_CFG_NAME_MAX + 1];
    memset(long_name, 'n', sizeof long_name);
    long_name[FW_CFG_NAME_MAX] = 0;
    assert_false(fw_cfg_add_file(&d->cfg, long_name, "z", 1));
    u8 directory[4 + 2 * 64];
    select_item(d, FW_CFG_KEY_FILE_DIR);
    read_data(d, directory, sizeof directory);
    assert_memory_equal(directory, "\0\0\0\2\0\0\0\6\0\x20\0\0etc/e820", 20);
    assert_memory_equal(directory + 4 + 64, "\0\0\0\1\0\x21\0\0opt/x", 14);
    u8 bytes[6];
    select_item(d, 0x20);
    read_data(d, bytes, 6);
    assert_memory_equal(bytes, "abcdef", 6);
}

#define REQUEST 0x1000u
#define BUFFER  0x2000u

static u32 dma(struct desk *d, u32 control, u32 length, u64 gpa)
{
    u8 *r = d->guest.bytes + REQUEST;
    store_le32(r, __builtin_bswap32(control));
    store_le32(r + 4, __builtin_bswap32(length));
    store_le64(r + 8, __builtin_bswap64(gpa));
    bus_write(&d->world.ports, 0x514, 4, 0);
    bus_write(&d->world.ports, 0x518, 4, __builtin_bswap32(REQUEST));
    return __builtin_bswap32(load_le32(r));
}

static void dma_reads_skips_and_refuses(void **state)
{
    (void)state;
    struct desk *d = desk_init();
    assert_true(fw_cfg_add_file(&d->cfg, "f", "0123456789", 10));
    assert_int_equal(dma(d, 0x20 << 16 | 0x0a, 4, BUFFER), 0); /* select and read */
    assert_memory_equal(d->guest.bytes + BUFFER, "0123", 4);
    assert_int_equal(dma(d, 0x04, 3, 0), 0); /* skip */
    memset(d->guest.bytes + BUFFER, 0xff, 16);
    assert_int_equal(dma(d, 0x02, 8, BUFFER), 0);
    assert_memory_equal(d->guest.bytes + BUFFER, "789\0\0\0\0\0\xff", 9);
    assert_int_equal(dma(d, 0x10, 1, BUFFER), 1);                      /* writing */
    assert_int_equal(dma(d, 0x20 << 16 | 0x0a, 4, GUEST_SIZE - 1), 1); /* over the edge */
    assert_int_equal(dma(d, 0x20 << 16 | 0x0a, UINT32_MAX, BUFFER), 1);
    assert_int_equal(dma(d, 0x20 << 16 | 0x0a, 100, UINT64_MAX - 5), 1);
    bus_write(&d->world.ports, 0x514, 8, UINT64_MAX); /* a request out of nowhere */
    store_le32(d->guest.bytes + REQUEST, __builtin_bswap32(0x20 << 16 | 0x0a));
    store_le32(d->guest.bytes + REQUEST + 4, __builtin_bswap32(2));
    store_le64(d->guest.bytes + REQUEST + 8, __builtin_bswap64(BUFFER));
    bus_write(&d->world.ports, 0x514, 8, __builtin_bswap64(REQUEST)); /* in one write */
    assert_memory_equal(d->guest.bytes + BUFFER, "01", 2);
}

static void there_is_room_for_so_many_and_no_more(void **state)
{
    (void)state;
    struct desk *d = desk_init();
    char name[8];
    for (u32 i = 0; i <= FW_CFG_FILES_MAX; i++) {
        snprintf(name, sizeof name, "f%u", i);
        assert_int_equal(fw_cfg_add_file(&d->cfg, name, "x", 1), i < FW_CFG_FILES_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_are_read_byte_by_byte),
        cmocka_unit_test(files_are_in_the_directory),
        cmocka_unit_test(dma_reads_skips_and_refuses),
        cmocka_unit_test(there_is_room_for_so_many_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
