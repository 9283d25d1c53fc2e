/* SPDX-License-Identifier: Apache-2.0 */
/* Hexadecimal and base64 text: white space anywhere, everything else exactly; both ways for every
 * length. */
#include "base/encoding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static bool base64(const char *text, u8 out[64], size_t *size)
{
    memset(out, 0xee, 64);
    return text_decode_base64(text, strlen(text), out, 64, size);
}

static void base64_is_read_as_rfc_4648_has_it(void **state)
{
    (void)state;
    static const struct {
        const char *text, *bytes; /* NULL: refused */
    } rows[] = {
        {"", ""},
        {"Zg==", "f"},
        {"Zm8=", "fo"},
        {"Zm9v", "foo"},
        {"Zm9vYg==", "foob"},
        {"Zm9vYmE=", "fooba"},
        {"Zm9vYmFy", "foobar"},
        {"Zm9v\nYmFy\n", "foobar"},
        {"Zm9v\r\nYmFy\r\n", "foobar"},
        {" \t\n Zm9vY mFy", "foobar"},
        {"Z\nm\n9\nv", "foo"},
        {"Zg=\r\n=", "f"},
        {"+/+/", "\xfb\xff\xbf"},
        {"Zg", NULL},
        {"Zg=", NULL},
        {"Zm8", NULL},
        {"Zg===", NULL},
        {"Zm9v=", NULL},
        {"Zm9v====", NULL},
        {"Z===", NULL},
        {"Z", NULL},
        {"Zg==Zg==", NULL},
        {"=Zg=", NULL},
        {"Zh==", NULL}, /* bits that no byte uses */
        {"Zm9=", NULL},
        {"Zm9v-", NULL},
        {"Zm_v", NULL},
        {"Zm9v\v", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        u8 out[64];
        size_t size = 0;
        const bool good = base64(rows[i].text, out, &size);
        if (good != (rows[i].bytes != NULL))
            print_message("# '%s'\n", rows[i].text);
        assert_int_equal(good, rows[i].bytes != NULL);
        if (good) {
            assert_int_equal(size, strlen(rows[i].bytes));
            assert_memory_equal(out, rows[i].bytes, size);
        }
    }
}

static void hexadecimal_digits_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text, *bytes;
    } rows[] = {
        {"666f6F", "foo"}, {"66 6f\r\n6f\n", "foo"},
        {"6 6", "f"},      {"", ""},
        {"6", NULL},       {"666", NULL},
        {"6g", NULL},      {"0x66", NULL},
        {"66:6f", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        u8 out[8];
        size_t size = 0;
        const bool good = text_decode_hex(rows[i].text, strlen(rows[i].text), out, 8, &size);
        assert_int_equal(good, rows[i].bytes != NULL);
        if (good) {
            assert_int_equal(size, strlen(rows[i].bytes));
            assert_memory_equal(out, rows[i].bytes, size);
        }
    }
}

static void a_string_has_exactly_its_size(void **state)
{
    (void)state;
    u8 out[3];
    assert_true(text_decode_hex_exactly("666f6f", out, 3));
    assert_true(text_decode_hex_exactly(" 66\n6F\r\n6f ", out, 3));
    assert_memory_equal(out, "foo", 3);
    assert_false(text_decode_hex_exactly("666f", out, 3));
    assert_false(text_decode_hex_exactly("666f6f6f", out, 3));
    assert_false(text_decode_hex_exactly("666f6", out, 3));
    assert_false(text_decode_hex_exactly("", out, 3));
}

static void every_length_goes_both_ways(void **state)
{
    (void)state;
    for (size_t size = 0; size <= 100; size++) {
        u8 bytes[100], back[100];
        char text[140];
        size_t got;
        for (size_t i = 0; i < size; i++)
            bytes[i] = (u8)(i * 37 + size);
        text_encode_base64(text, bytes, size);
        assert_int_equal(strlen(text) + 1, text_base64_size(size));
        assert_true(text_decode_base64(text, strlen(text), back, size, &got));
        assert_int_equal(got, size);
        assert_memory_equal(back, bytes, size);
        if (!size)
            continue;
        assert_false(text_decode_base64(text, strlen(text), back, size - 1, &got));
        assert_false(text_decode_base64(text, strlen(text) - 1, back, size, &got));
        assert_true(text_decode_base64(text, strlen(text), text, size, &got)); /* in place */
        assert_memory_equal(text, bytes, size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_is_read_as_rfc_4648_has_it),
        cmocka_unit_test(hexadecimal_digits_are_read),
        cmocka_unit_test(a_string_has_exactly_its_size),
        cmocka_unit_test(every_length_goes_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
