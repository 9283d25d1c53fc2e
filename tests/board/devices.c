/* SPDX-License-Identifier: Apache-2.0 */
/* The devices that only a bare machine's board has, found as its host finds them: by ports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "board/board.h"
#include "board/map.h"

struct desk {
    struct board *board;
    u32 commands;
    u64 store;
};

static u32 run(void *ctx, u32 command, u64 buffer)
{
    struct desk *d = ctx;
    (void)buffer;
    d->commands++;
    return command;
}

/* Memory with one ring at 1000h: COMPLETION_WAIT, a store at 2000h. */
static bool dma_in(void *ctx, u64 address, void *out, u64 size)
{
    (void)ctx;
    static const u64 command[2] = {1ull << 60 | 0x2000 | 1, 0x1234};
    if (address != 0x1000 || size != sizeof command)
        return false;
    memcpy(out, command, sizeof command);
    return true;
}

static bool dma_out(void *ctx, u64 address, const void *data, u64 size)
{
    struct desk *d = ctx;
    d->store = address == 0x2000 && size == 8 ? load_le64(data) : 0;
    return true;
}

static void desk_init(struct desk *d, bool host)
{
    const struct board_config config = {
        .memory_size = MIB(64),
        .cpus = 1,
        .secure_processor = host,
        .iommu = host,
        .mailbox = {run, d},
        .iommu_dma = {dma_in, dma_out, d},
    };
    *d = (struct desk){.board = board_create(&config)};
    assert_non_null(d->board);
}

static u32 config_read(struct desk *d, u32 devfn, u32 offset)
{
    board_port_write(d->board, 0xcf8, 4, 0x80000000 | devfn << 8 | offset);
    return (u32)board_port_read(d->board, 0xcfc, 4);
}

static u64 read_at(struct desk *d, u64 address, u32 size)
{
    return board_memory_read(d->board, 0, address, size);
}

static void write_at(struct desk *d, u64 address, u32 size, u64 value)
{
    board_memory_write(d->board, 0, address, size, value);
}

static void a_guests_board_has_neither(void **state)
{
    (void)state;
    struct desk d;
    struct iommu_buffer buffers[IOMMU_BUFFERS];
    desk_init(&d, false);
    assert_int_equal(config_read(&d, 7 << 3, 0), ~0u);
    assert_int_equal(config_read(&d, 2, 0), ~0u);
    assert_int_equal(config_read(&d, 0, 0x0c), 0); /* one function */
    assert_true(read_at(&d, BOARD_IOMMU + 0x30, 8) == ~0ull);
    assert_int_equal(board_iommu_buffers(d.board, buffers), 0);
    board_destroy(d.board);
}

static void the_mailbox_is_where_its_bar_says(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d, true);
    assert_int_equal(config_read(&d, 7 << 3, 0), 0x14ca1022);
    const u64 bar = config_read(&d, 7 << 3, 0x18);
    assert_int_equal(bar, BOARD_PSP_REGISTERS);
    assert_int_equal(config_read(&d, 7 << 3, 0x24), BOARD_PSP_MSIX);
    assert_true(bar + MIB(1) <= BOARD_PCI_END);
    write_at(&d, bar + 0x10980, 4, 0x85 << 16);
    assert_int_equal(d.commands, 1);
    assert_int_equal(read_at(&d, bar + 0x10980, 4), 0x80000085);
    board_destroy(d.board);
}

static void the_iommu_is_a_function_of_the_bridge(void **state)
{
    (void)state;
    struct desk d;
    struct iommu_buffer buffers[IOMMU_BUFFERS];
    desk_init(&d, true);
    assert_int_equal(config_read(&d, 0, 0x0c) >> 16, 0x80);
    assert_int_equal(config_read(&d, 2, 8) >> 8, 0x080600);
    assert_int_equal(config_read(&d, 2, 0x44), BOARD_IOMMU | 1);
    write_at(&d, BOARD_IOMMU + 8, 8, 0x1000 | 9ull << 56);
    write_at(&d, BOARD_IOMMU + 0x18, 8, 1 | 1 << 12);
    write_at(&d, BOARD_IOMMU + 0x2008, 8, 16);
    assert_true(d.store == 0x1234);
    write_at(&d, BOARD_IOMMU + 0x10, 8, 0x10000 | 8ull << 56);
    assert_int_equal(board_iommu_buffers(d.board, buffers), 1);
    assert_true(buffers[0].address == 0x10000 && buffers[0].size == 0x1000);
    board_destroy(d.board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guests_board_has_neither),
        cmocka_unit_test(the_mailbox_is_where_its_bar_says),
        cmocka_unit_test(the_iommu_is_a_function_of_the_bridge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
