/* SPDX-License-Identifier: Apache-2.0 */
/* The flash of firmware's variables: what drivers do with it. */
#include "device/pflash.h"
#include "common.h"

#define BASE             0xffc00000ull
#define SIZE             (4 * PFLASH_SECTOR)
#define WRITE(at, value) bus_write(&c.bus, BASE + (at), 1, value)
#define READ(at)         bus_read(&c.bus, BASE + (at), 1)

struct chip {
    struct bus bus;
    struct pflash flash;
    u8 bytes[SIZE];
    u32 changes;
    u64 offset, size; /* of the last change */
    bool hidden;
    u32 turns; /* from contents to answers, and back */
};

static void on_change(void *ctx, u64 offset, u64 size)
{
    struct chip *c = ctx;
    c->changes++;
    c->offset = offset;
    c->size = size;
}

static void on_shows(void *ctx, bool contents)
{
    struct chip *c = ctx;
    assert_true(contents == c->hidden);
    c->hidden = !contents;
    c->turns++;
}

static void chip_init(struct chip *c)
{
    memset(c, 0, sizeof *c);
    for (u32 i = 0; i < SIZE; i++)
        c->bytes[i] = (u8)(i * 7 + (i >> 8));
    bus_init(&c->bus, "memory");
    pflash_init(&c->flash, BASE,
                (struct flash_backend){.bytes = c->bytes,
                                       .size = sizeof c->bytes,
                                       .changed = on_change,
                                       .shows = on_shows,
                                       .ctx = c});
    assert_true(bus_add(&c->bus, &c->flash.window));
}

static void contents_are_read_in_any_size(void **state)
{
    static struct chip c;
    (void)state;
    chip_init(&c);
    for (u32 size = 1; size <= 8; size *= 2) {
        u64 expected = 0;
        memcpy(&expected, c.bytes + 0x1234, size);
        assert_int_equal(bus_read(&c.bus, BASE + 0x1234, size), expected);
    }
    assert_int_equal(READ(SIZE - 1), c.bytes[SIZE - 1]);
    assert_int_equal(c.changes, 0);
}

/* As OVMF finds out whether there is a flash, RAM or ROM. */
static void firmware_takes_it_for_a_flash(void **state)
{
    static struct chip c;
    (void)state;
    chip_init(&c);
    const u8 before = c.bytes[0x55];
    WRITE(0x55, 0x50);
    assert_int_equal(READ(0x55), before);
    WRITE(0x55, 0x70);
    assert_int_equal(READ(0x55), 0x00);
    WRITE(0x55, 0xff);
    assert_int_equal(READ(0x55), before);
    assert_int_equal(c.changes, 0);
}

static void bytes_are_programmed_one_by_one(void **state)
{
    static struct chip c;
    (void)state;
    chip_init(&c);
    for (u32 i = 0; i < 3; i++) {
        WRITE(0x1ffe + i, i == 1 ? 0x10 : 0x40);
        WRITE(0x1ffe + i, 0xa0 + i);
        assert_int_equal(READ(0), 0x80); /* the status: ready */
        assert_int_equal(c.changes, i + 1);
        assert_true(c.offset == 0x1ffe + i && c.size == 1);
    }
    WRITE(0, 0xff);
    assert_int_equal(bus_read(&c.bus, BASE + 0x1ffe, 2), 0xa1a0);
    assert_int_equal(READ(0x2000), 0xa2);
}

/* 0xff is data here, no command. */
static void the_second_write_is_data(void **state)
{
    static struct chip c;
    (void)state;
    chip_init(&c);
    WRITE(9, 0x10);
    WRITE(9, 0xff);
    assert_int_equal(c.bytes[9], 0xff);
    WRITE(9, 0x40);
    bus_write(&c.bus, BASE + 8, 8, 0x1122334455667788);
    assert_int_equal(load_le64(c.bytes + 8), 0x1122334455667788);
    assert_int_equal(c.size, 8);
}

static void a_sector_is_erased(void **state)
{
    static struct chip c;
    (void)state;
    chip_init(&c);
    const u8 before = c.bytes[PFLASH_SECTOR - 1], after = c.bytes[2 * PFLASH_SECTOR];
    WRITE(PFLASH_SECTOR + 5, 0x20);
    WRITE(PFLASH_SECTOR + 5, 0xd0);
    assert_true(c.changes == 1 && c.offset == PFLASH_SECTOR && c.size == PFLASH_SECTOR);
    for (u32 i = 0; i < PFLASH_SECTOR; i++)
        assert_int_equal(c.bytes[PFLASH_SECTOR + i], 0xff);
    assert_true(c.bytes[PFLASH_SECTOR - 1] == before && c.bytes[2 * PFLASH_SECTOR] == after);
}

static void a_wrong_sequence_changes_nothing(void **state)
{
    static struct chip c;
    (void)state;
    chip_init(&c);
    WRITE(0, 0x20);
    WRITE(0, 0x10);
    assert_int_equal(READ(0), 0xb0); /* ready; an error of both kinds */
    WRITE(0, 0x20);
    WRITE(0, 0xff); /* given up */
    assert_int_equal(READ(0), c.bytes[0]);
    WRITE(0, 0x60);
    WRITE(0, 0x01);
    WRITE(0, 0xe8); /* not there: the contents again */
    assert_int_equal(READ(1), c.bytes[1]);
    assert_int_equal(c.changes, 0);
}

static void it_says_what_it_is(void **state)
{
    static struct chip c;
    (void)state;
    chip_init(&c);
    WRITE(0x55, 0x98);
    assert_true(READ(0x10) == 'Q' && READ(0x11) == 'R' && READ(0x12) == 'Y' && READ(0x13) == 1);
    assert_int_equal(READ(0x27), 14); /* 16 KiB */
    assert_int_equal(READ(0x2a), 0);  /* no buffered writes */
    assert_int_equal(READ(0x2d) + 1, SIZE / PFLASH_SECTOR);
    assert_int_equal(READ(0x2f) * 256, PFLASH_SECTOR);
    assert_int_equal(READ(SIZE - 1), 0);
    WRITE(0, 0x90);
    assert_int_equal(bus_read(&c.bus, BASE, 2), 0);
    WRITE(0, 0xf0);
    assert_int_equal(READ(0x10), c.bytes[0x10]);
}

/* A driver programs many bytes before it looks at the contents again. */
static void it_tells_when_reads_give_something_else(void **state)
{
    static struct chip c;
    (void)state;
    chip_init(&c);
    WRITE(0x55, 0x50); /* clear the status: the contents stay */
    assert_int_equal(c.turns, 0);
    for (u32 i = 0; i < 8; i++) {
        WRITE(0x55 + i, 0x10);
        WRITE(0x55 + i, i);
    }
    assert_true(c.hidden && c.turns == 1);
    WRITE(0x55, 0xff);
    WRITE(0x55, 0xff);
    assert_true(!c.hidden && c.turns == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contents_are_read_in_any_size),
        cmocka_unit_test(firmware_takes_it_for_a_flash),
        cmocka_unit_test(bytes_are_programmed_one_by_one),
        cmocka_unit_test(the_second_write_is_data),
        cmocka_unit_test(a_sector_is_erased),
        cmocka_unit_test(a_wrong_sequence_changes_nothing),
        cmocka_unit_test(it_says_what_it_is),
        cmocka_unit_test(it_tells_when_reads_give_something_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
