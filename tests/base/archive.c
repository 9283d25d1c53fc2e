/* SPDX-License-Identifier: Apache-2.0 */
/* Archives: what is saved is loaded again, and what is wrong is refused with its place. */
#include "base/archive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

struct buffer {
    u8 data[512];
    size_t size, at;
    bool loading;
};

static int move(void *context, void *data, size_t size, struct error *error)
{
    struct buffer *b = context;
    if (b->loading ? b->at + size > b->size : b->at + size > sizeof b->data)
        return error_set(error, ERROR_FILE, "the file ends here");
    if (b->loading)
        memcpy(data, b->data + b->at, size);
    else
        memcpy(b->data + b->at, data, size);
    b->at += size;
    if (!b->loading)
        b->size = b->at;
    return 0;
}

static struct archive saving(struct buffer *b, struct error *e)
{
    *b = (struct buffer){0};
    return archive_saving((struct archive_stream){move, b}, e);
}

static struct archive loading(struct buffer *b, struct error *e)
{
    b->loading = true;
    b->at = 0;
    return archive_loading((struct archive_stream){move, b}, e);
}

enum colour { RED, GREEN, BLUE, COLOURS };

struct device {
    bool on;
    u8 a;
    u16 b;
    u32 c, index;
    u64 d, list[3];
    enum colour colour;
    char name[5];
};

static void device_archive(struct device *d, struct archive *a)
{
    archive_section(a, "device", 2);
    archive_same(a, 16, "the number of pins");
    archive_bool(a, &d->on);
    archive_u8(a, &d->a);
    archive_u16(a, &d->b);
    archive_u32(a, &d->c);
    archive_u32_below(a, &d->index, 8, "an index");
    archive_u64(a, &d->d);
    archive_u64s(a, d->list, 3);
    archive_enum(a, d->colour, COLOURS, "a colour");
    archive_bytes(a, d->name, sizeof d->name);
}

static const struct device example = {
    true, 1, 0x203, 0x4050607, 7, 0x8090a0b0c0d0e0f, {1, 2, UINT64_MAX}, BLUE, "abcd"};
/* Where the flag is: after the section's head and the number of pins. */
#define FLAG_AT (4 + ARCHIVE_NAME_MAX + 4 + 8)

static void what_is_saved_is_loaded(void **state)
{
    (void)state;
    struct buffer b;
    struct error e = {0};
    struct device from = example, to = {0};
    struct archive a = saving(&b, &e);
    device_archive(&from, &a);
    assert_false(a.failed);
    assert_int_equal(a.moved, b.size);
    a = loading(&b, &e);
    device_archive(&to, &a);
    assert_false(a.failed);
    assert_int_equal(b.at, b.size);
    assert_true(to.on);
    assert_int_equal(to.b, 0x203);
    assert_int_equal(to.c, 0x4050607);
    assert_int_equal(to.index, 7);
    assert_int_equal(to.d, 0x8090a0b0c0d0e0f);
    assert_int_equal(to.list[2], UINT64_MAX);
    assert_int_equal(to.colour, BLUE);
    assert_string_equal(to.name, "abcd");
}

static void numbers_are_little_endian(void **state)
{
    (void)state;
    struct buffer b;
    struct error e = {0};
    struct archive a = saving(&b, &e);
    u32 value = 0x04030201;
    archive_u32(&a, &value);
    assert_memory_equal(b.data, "\1\2\3\4", 4);
}

/* Loads the example with one byte changed. */
static void refused(size_t at, u8 value, const char *text)
{
    struct buffer b;
    struct error e = {0};
    struct device from = example, to = {0};
    struct archive a = saving(&b, &e);
    device_archive(&from, &a);
    b.data[at] = value;
    a = loading(&b, &e);
    device_archive(&to, &a);
    assert_true(a.failed);
    assert_int_equal(e.code, ERROR_FILE);
    assert_string_equal(e.text, text);
    assert_int_equal(to.colour, RED);
}

static void wrong_values_are_refused(void **state)
{
    (void)state;
    refused(0, 'x', "device: this part does not begin where it should");
    refused(4, 'x', "device: this part does not begin where it should");
    refused(4 + ARCHIVE_NAME_MAX, 3, "device: version 3 of this part is not known; 2 is");
    refused(FLAG_AT - 8, 17, "device: the number of pins is 17, not 16");
    refused(FLAG_AT, 2, "device: a flag other than 0 and 1 is not possible");
    refused(FLAG_AT + 8, 8, "device: an index is not possible");
    refused(FLAG_AT + 44, COLOURS, "device: a colour is not possible");
}

static void each_end_of_the_file_is_an_error(void **state)
{
    (void)state;
    struct buffer b;
    struct error e = {0};
    struct device from = example;
    struct archive a = saving(&b, &e);
    device_archive(&from, &a);
    for (size_t size = 0; size < a.moved; size++) {
        struct error short_error = {0};
        struct device to = {0};
        b.size = size;
        struct archive l = loading(&b, &short_error);
        device_archive(&to, &l);
        assert_true(l.failed);
        assert_string_equal(short_error.text, "the file ends here");
    }
}

static void a_failed_archive_moves_nothing(void **state)
{
    (void)state;
    struct buffer b;
    struct error e = {0};
    struct archive a = saving(&b, &e);
    archive_fail(&a, ERROR_MEMORY, "out of memory");
    struct device from = example;
    device_archive(&from, &a);
    archive_fail(&a, ERROR_FILE, "another one");
    assert_int_equal(b.size, 0);
    assert_int_equal(e.code, ERROR_MEMORY);
    assert_string_equal(e.text, "out of memory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_saved_is_loaded),
        cmocka_unit_test(numbers_are_little_endian),
        cmocka_unit_test(wrong_values_are_refused),
        cmocka_unit_test(each_end_of_the_file_is_an_error),
        cmocka_unit_test(a_failed_archive_moves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
