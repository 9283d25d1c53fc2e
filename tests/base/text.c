/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody else's text: what is UTF-8 and what is not, and how it is printed. */
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void sequences(void **state)
{
    static const struct {
        const char *text;
        size_t length;
    } cases[] = {
        {"a", 1},
        {"\x7f", 1},
        {"\xc3\xa9", 2},
        {"\xe2\x82\xac", 3},
        {"\xf0\x9f\x98\x80", 4},
        {"\xf4\x8f\xbf\xbf", 4},
        {"", 0},
        {"\x80", 0},
        {"\xc3", 0},
        {"\xc0\xaf", 0},         /* too long a form of '/' */
        {"\xe0\x80\xaf", 0},     /* another */
        {"\xed\xa0\x80", 0},     /* a surrogate */
        {"\xf4\x90\x80\x80", 0}, /* beyond the last code point */
        {"\xf5\x80\x80\x80", 0},
        {"\xe2\x82", 0},
        {"\xe2\x28\xac", 0},
        {"\xff", 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(text_sequence(cases[i].text, strlen(cases[i].text)), cases[i].length);
}

static void for_people(void **state)
{
    char out[16];
    (void)state;
    text_escape(out, sizeof out, "a\x1b[m\\\xff\n");
    assert_string_equal(out, "a\\x1b[m\\\\\\xff");
    text_escape(out, 3, "\x1b");
    assert_string_equal(out, "");
}

static void sentences(void **state)
{
    static const struct {
        const char *text, *out;
    } rows[] = {
        {"plain: 'a\\b'", "plain: 'a\\b'"},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"\x1b[31m\r\n\t\x7f", "\\x1b[31m\\x0d\\x0a\\x09\\x7f"},
        {"\xc2\x9b"
         "31m\xc2\xa0",
         "\\xc2\\x9b"
         "31m\xc2\xa0"},
        {"\xff\xe2\x82", "\\xff\\xe2\\x82"},
    };
    char out[40];
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        text_sentence(out, sizeof out, rows[i].text);
        assert_string_equal(out, rows[i].out);
    }
    text_sentence(out, 5, "\x1b\x1b");
    assert_string_equal(out, "\\x1b");
}

static void made_utf8(void **state)
{
    char out[20];
    (void)state;
    text_utf8(out, sizeof out, "GE\xffT\xc3\xa9\xe2");
    assert_string_equal(out, "GE\xef\xbf\xbdT\xc3\xa9\xef\xbf\xbd");
    text_utf8(out, 4, "ab\xc3\xa9"); /* no half of a letter */
    assert_string_equal(out, "ab");
}

static void as_json(void **state)
{
    char out[64];
    (void)state;
    size_t n = text_json(out, sizeof out, 0, "\"\\\n\xc3\xa9\x80", 6);
    out[n] = 0;
    assert_string_equal(out, "\\\"\\\\\\u000a\xc3\xa9\xef\xbf\xbd");
    assert_int_equal(text_json(out, 5, 0, "\x01", 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences), cmocka_unit_test(for_people), cmocka_unit_test(sentences),
        cmocka_unit_test(made_utf8), cmocka_unit_test(as_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
