/* SPDX-License-Identifier: Apache-2.0 */
/* Cursors: every read and write inside its bounds, and what happens at the end. */
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void reads_little_endian(void **state)
{
    (void)state;
    static const u8 data[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    struct reader r = reader_of(data, sizeof data);
    assert_int_equal(read_u8(&r), 1);
    assert_int_equal(read_u16(&r), 0x0302);
    assert_int_equal(read_u32(&r), 0x07060504);
    assert_int_equal(read_u64(&r), 0x0f0e0d0c0b0a0908);
    assert_int_equal(reader_left(&r), 0);
    assert_false(r.bad);
}

static void reading_past_the_end_gives_zero_for_good(void **state)
{
    (void)state;
    static const u8 data[] = {0xff, 0xff, 0xff};
    struct reader r = reader_of(data, sizeof data);
    assert_int_equal(read_u32(&r), 0);
    assert_true(r.bad);
    assert_int_equal(read_u8(&r), 0);
    assert_null(read_view(&r, 0));
}

static void a_huge_count_does_not_wrap(void **state)
{
    (void)state;
    static const u8 data[4] = {0};
    struct reader r = reader_of(data, sizeof data);
    read_u8(&r);
    assert_null(read_view(&r, SIZE_MAX));
    assert_true(r.bad);
}

static void seeking(void **state)
{
    (void)state;
    static const u8 data[] = {1, 2, 3};
    struct reader r = reader_of(data, sizeof data);
    reader_seek(&r, 2);
    assert_int_equal(read_u8(&r), 3);
    reader_seek(&r, 3);
    assert_false(r.bad);
    reader_seek(&r, 4);
    assert_true(r.bad);
}

static void writes_until_full(void **state)
{
    (void)state;
    u8 data[8] = {0};
    struct writer w = writer_of(data, 7);
    write_u16(&w, 0x0201);
    write_u32(&w, 0x06050403);
    write_u16(&w, 0xffff);
    assert_true(w.bad);
    static const u8 want[8] = {1, 2, 3, 4, 5, 6, 0, 0};
    assert_memory_equal(data, want, sizeof want);
    write_zeros(&w, 1);
    assert_int_equal(w.at, 6);
}

static void hexadecimal(void **state)
{
    (void)state;
    char text[7];
    hex_encode(text, "\x00\xab\x7f", 3);
    assert_string_equal(text, "00ab7f");
    u8 out[3];
    assert_true(hex_decode(out, 3, "00AB7f"));
    assert_memory_equal(out, "\x00\xab\x7f", 3);
    assert_false(hex_decode(out, 3, "00ab7"));
    assert_false(hex_decode(out, 3, "00ab7f0"));
    assert_false(hex_decode(out, 3, "00ab7g"));
    assert_false(hex_decode(out, 3, ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_little_endian),
        cmocka_unit_test(reading_past_the_end_gives_zero_for_good),
        cmocka_unit_test(a_huge_count_does_not_wrap),
        cmocka_unit_test(seeking),
        cmocka_unit_test(writes_until_full),
        cmocka_unit_test(hexadecimal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
