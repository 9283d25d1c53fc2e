/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of which each byte has a second address: the same bus, another tweak, another RMP
 * entry. */
#include "memory/rmp.h"
#include "crypto/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define MEMORY   MIB(8)
#define TABLE_AT MIB(6)
#define PAGE     MIB(2)
#define ALIAS    (MEMORY + PAGE)
#define ASID     3

static void fill(void *context, void *out, size_t count)
{
    (void)context;
    memset(out, 0x5a, count);
    ((u8 *)out)[0]++;
}

static struct memory *make(bool aliased)
{
    struct random_source random = {.fill = fill};
    return memory_create(
        &(struct memory_config){.size = MEMORY, .asids = 8, .aliased = aliased, .random = &random});
}

static int setup(void **state)
{
    static const u8 key[16] = "the guest's key";
    *state = make(true);
    return !*state || !memory_key_load(*state, ASID, key);
}

static int teardown(void **state)
{
    memory_destroy(*state);
    return 0;
}

static void both_addresses_show_the_same_bus(void **state)
{
    struct memory *m = *state;
    u8 here[64], there[64], peeked[64];
    assert_int_equal(memory_size(m), MEMORY);
    assert_int_equal(memory_addresses(m), 2 * MEMORY);
    assert_true(memory_write(m, PAGE + 8, ASID, "of the guest's own", 19));
    assert_true(memory_read(m, ALIAS, KEY_RAW, there, sizeof there));
    assert_true(memory_peek(m, ALIAS, KEY_RAW, peeked, sizeof peeked));
    assert_true(memory_read(m, PAGE, KEY_RAW, here, sizeof here));
    assert_memory_equal(here, there, sizeof here);
    assert_memory_equal(here, peeked, sizeof here);
    assert_memory_not_equal(here + 8, "of the guest's own", 19);
}

static void looking_at_the_second_address_leaves_the_view(void **state)
{
    struct memory *m = *state;
    u8 bytes[16];
    assert_true(memory_write(m, PAGE, ASID, "x", 1));
    u64 flips = memory_statistics(m).flips;
    assert_true(memory_read(m, ALIAS, KEY_RAW, bytes, sizeof bytes));
    assert_int_equal(memory_statistics(m).flips, flips);
}

static void under_a_key_each_shows_its_own_tweak(void **state)
{
    struct memory *m = *state;
    u8 bytes[16];
    assert_true(memory_write(m, PAGE, ASID, "sixteen bytes ok", 16));
    assert_true(memory_read(m, ALIAS, ASID, bytes, sizeof bytes));
    assert_memory_not_equal(bytes, "sixteen bytes ok", 16);
    assert_true(memory_write(m, ALIAS, ASID, "written up there", 16));
    assert_true(memory_read(m, ALIAS, ASID, bytes, sizeof bytes));
    assert_memory_equal(bytes, "written up there", 16);
    assert_true(memory_read(m, PAGE, ASID, bytes, sizeof bytes));
    assert_memory_not_equal(bytes, "written up there", 16);
}

static void old_bytes_written_there_are_the_old_plaintext_here(void **state)
{
    struct memory *m = *state;
    u8 old[2 * PAGE_SIZE], now[16];
    assert_true(memory_write(m, PAGE + PAGE_SIZE, ASID, "the old contents", 16));
    assert_true(memory_read(m, ALIAS, KEY_RAW, old, sizeof old));
    assert_true(memory_write(m, PAGE + PAGE_SIZE, ASID, "the new contents", 16));
    assert_true(memory_write(m, ALIAS, KEY_RAW, old, sizeof old));
    assert_true(memory_read(m, PAGE + PAGE_SIZE, ASID, now, sizeof now));
    assert_memory_equal(now, "the old contents", 16);
}

static void the_rmp_does_not_know_the_second_address(void **state)
{
    struct memory *m = *state;
    const struct rmp_entry guest = {
        .assigned = true, .validated = true, .asid = ASID, .gpa = 0x1000};
    assert_true(rmp_enable(m, TABLE_AT, TABLE_AT + rmp_table_size(MEMORY) - 1));
    rmp_clear(m);
    assert_true(rmp_set(m, PAGE, &guest));
    assert_false(rmp_host_may_write(m, PAGE, 16));
    assert_true(rmp_host_may_write(m, ALIAS, 16));
    assert_false(memory_write(m, TABLE_AT, KEY_RAW, "no", 2));
    assert_true(memory_write(m, MEMORY + TABLE_AT, KEY_RAW, "yes", 3));
}

static void nothing_answers_behind_it_or_across(void **state)
{
    struct memory *m = *state;
    u8 bytes[32];
    assert_false(memory_read(m, 2 * MEMORY - 16, KEY_RAW, bytes, sizeof bytes));
    assert_false(memory_read(m, MEMORY - 16, KEY_RAW, bytes, sizeof bytes));
    assert_false(memory_write(m, 2 * MEMORY - 16, KEY_RAW, bytes, sizeof bytes));
    assert_false(memory_read(m, ~0ull - 4, KEY_RAW, bytes, sizeof bytes));
    assert_null(memory_map(m, MEMORY >> PAGE_SHIFT, KEY_RAW));
    m = make(false);
    assert_int_equal(memory_addresses(m), MEMORY);
    assert_false(memory_read(m, MEMORY, KEY_RAW, bytes, 1));
    assert_false(memory_write(m, MEMORY, KEY_RAW, bytes, 1));
    memory_destroy(m);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_addresses_show_the_same_bus),
        TEST(looking_at_the_second_address_leaves_the_view),
        TEST(under_a_key_each_shows_its_own_tweak),
        TEST(old_bytes_written_there_are_the_old_plaintext_here),
        TEST(the_rmp_does_not_know_the_second_address),
        TEST(nothing_answers_behind_it_or_across),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
