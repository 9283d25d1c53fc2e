/* SPDX-License-Identifier: Apache-2.0 */
/* The Reverse Map Table: its place in DRAM, entries and their states, large pages,
 * who may write what. */
#include "memory/rmp.h"
#include "crypto/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define MEMORY   MIB(8)
#define TABLE_AT MIB(6)

static const u8 guest_key[16] = "the guest's key";

struct fixture {
    struct memory *memory;
    struct memory_listener listener;
    u32 lost;
};

static void fill(void *context, void *out, size_t count)
{
    (void)context;
    memset(out, 0x5a, count);
    ((u8 *)out)[0]++;
}

static void on_mappings_lost(void *context)
{
    (void)context;
}

static void on_lost(void *context, u64 frame)
{
    struct fixture *f = context;
    (void)frame;
    f->lost++;
}

static void on_code(void *context, u64 frame, u32 offset, u32 size)
{
    (void)context;
    (void)frame;
    (void)offset;
    (void)size;
}

static void on_marked(void *context, u64 frame)
{
    (void)context;
    (void)frame;
}

static int setup(void **state)
{
    static struct fixture f;
    struct random_source random = {.fill = fill};
    f = (struct fixture){.memory = memory_create(&(struct memory_config){
                             .size = MEMORY, .asids = 8, .random = &random})};
    f.listener = (struct memory_listener){on_lost, on_mappings_lost, on_code, on_marked, &f, NULL};
    memory_listen(f.memory, &f.listener);
    *state = &f;
    u64 size = rmp_table_size(MEMORY);
    return !(rmp_enable(f.memory, TABLE_AT, TABLE_AT + size - 1) &&
             memory_key_load(f.memory, 3, guest_key) && (rmp_clear(f.memory), true));
}

static int teardown(void **state)
{
    memory_destroy(((struct fixture *)*state)->memory);
    return 0;
}

static struct memory *of(void **state)
{
    return ((struct fixture *)*state)->memory;
}

static void a_fresh_table_is_the_hypervisors_but_for_its_own_pages(void **state)
{
    struct memory *m = of(state);
    u64 end = TABLE_AT + rmp_table_size(MEMORY);
    for (u64 spa = 0; spa < MEMORY; spa += PAGE_SIZE)
        assert_int_equal(rmp_state(m, spa),
                         spa >= TABLE_AT && spa < end ? RMP_FIRMWARE : RMP_HYPERVISOR);
    assert_int_equal(rmp_state(m, MEMORY + GIB(1)), RMP_DEFAULT);
}

/* The table of states of the specification [snp 4.4]. */
static void states_are_those_of_the_specification(void **state)
{
    struct memory *m = of(state);
    static const struct {
        struct rmp_entry entry;
        enum rmp_state is;
        const char *name;
    } rows[] = {
        {{.assigned = false}, RMP_HYPERVISOR, "Hypervisor"},
        {{.immutable = true}, RMP_HV_FIXED, "HV-Fixed"},
        {{.assigned = true}, RMP_RECLAIM, "Reclaim"},
        {{.assigned = true, .immutable = true}, RMP_FIRMWARE, "Firmware"},
        {{.assigned = true, .immutable = true, .vmsa = true}, RMP_CONTEXT, "Context"},
        {{.assigned = true, .immutable = true, .gpa = 0x1000}, RMP_METADATA, "Metadata"},
        {{.assigned = true, .immutable = true, .asid = 3}, RMP_PRE_GUEST, "Pre-Guest"},
        {{.assigned = true, .immutable = true, .asid = 3, .validated = true},
         RMP_PRE_SWAP,
         "Pre-Swap"},
        {{.assigned = true, .asid = 3}, RMP_GUEST_INVALID, "Guest-Invalid"},
        {{.assigned = true, .asid = 3, .validated = true}, RMP_GUEST_VALID, "Guest-Valid"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_true(rmp_set(m, 0x5000, &rows[i].entry));
        assert_int_equal(rmp_state(m, 0x5000), rows[i].is);
        assert_string_equal(rmp_state_name(rows[i].is), rows[i].name);
    }
}

static void an_entry_keeps_every_field(void **state)
{
    struct memory *m = of(state);
    const struct rmp_entry in = {.assigned = true,
                                 .validated = true,
                                 .vmsa = true,
                                 .asid = 509,
                                 .gpa = 0xfffffffff000,
                                 .permissions = {0xf, 1, 3, 0x1f}};
    struct rmp_entry out;
    assert_true(rmp_set(m, 0x7000, &in));
    assert_true(rmp_get(m, 0x7abc, &out));
    assert_true(out.assigned && out.validated && out.vmsa && !out.large && !out.immutable);
    assert_int_equal(out.asid, in.asid);
    assert_int_equal(out.gpa, in.gpa);
    assert_memory_equal(out.permissions, in.permissions, sizeof in.permissions);
    u64 raw[2];
    assert_true(memory_read(m, TABLE_AT + 0x4000 + 7 * 16, KEY_RAW, raw, 16));
    assert_int_equal(raw[0] >> 51 & 0x3ff, 509); /* as [snp 4.2] draws it */
    assert_int_equal(raw[0] >> 12 << 25 >> 13, 0xfffffffff000 & (BIT(51) - 1));
}

static void nobody_writes_the_table_from_outside(void **state)
{
    struct memory *m = of(state);
    u8 bytes[16] = {1}, page[PAGE_SIZE];
    assert_false(memory_write(m, TABLE_AT, KEY_RAW, bytes, 16));
    assert_false(memory_write(m, TABLE_AT - 8, KEY_RAW, bytes, 16));
    assert_false(memory_write(m, TABLE_AT + 0x4000, 3, bytes, 16));
    assert_true(memory_write(m, TABLE_AT - 16, KEY_RAW, bytes, 16));
    assert_false(rmp_host_may_write(m, TABLE_AT - 8, 16));
    /* Whoever looks at it through a key disturbs nothing. */
    assert_true(memory_read(m, TABLE_AT + 0x4000, 3, page, sizeof page));
    assert_int_equal(rmp_state(m, 0), RMP_HYPERVISOR);
    rmp_disable(m);
    assert_true(memory_write(m, TABLE_AT, KEY_RAW, bytes, 16));
    assert_int_equal(rmp_state(m, TABLE_AT), RMP_DEFAULT);
}

static void a_large_page_speaks_for_its_512(void **state)
{
    struct memory *m = of(state);
    struct rmp_entry large = {.assigned = true,
                              .large = true,
                              .asid = 3,
                              .gpa = MIB(64),
                              .validated = true},
                     e;
    assert_false(rmp_set(m, MIB(2) + PAGE_SIZE, &large));
    assert_true(rmp_set(m, MIB(2), &large));
    assert_true(rmp_get(m, MIB(2) + 5 * PAGE_SIZE, &e));
    assert_true(e.large && e.asid == 3 && e.gpa == MIB(64) + 5 * PAGE_SIZE);
    assert_true(rmp_region_assigned(m, MIB(3)));
    assert_false(rmp_region_assigned(m, MIB(4)));
    assert_false(rmp_smash(m, MIB(4)));
    assert_true(rmp_smash(m, MIB(2)));
    assert_true(rmp_get(m, MIB(4) - PAGE_SIZE, &e));
    assert_true(!e.large && e.validated && e.gpa == MIB(66) - PAGE_SIZE);
    assert_true(rmp_unsmash(m, MIB(2)));
    assert_true(rmp_get(m, MIB(3), &e));
    assert_true(e.large && e.gpa == MIB(65));
    assert_true(rmp_smash(m, MIB(2)));
    e = (struct rmp_entry){.assigned = true, .asid = 3, .gpa = MIB(65)};
    assert_true(rmp_set(m, MIB(3), &e)); /* no longer validated: one of 512 differs */
    assert_false(rmp_unsmash(m, MIB(2)));
}

/* The count of assigned pages follows every change; the loop counts them anew. */
static void a_region_knows_whether_any_of_its_pages_is_assigned(void **state)
{
    struct memory *m = of(state);
    const struct rmp_entry given = {.assigned = true, .asid = 3},
                           large = {.assigned = true, .large = true, .asid = 3}, none = {0};
    u32 seed = 1;
    for (u32 round = 0; round < 2000; round++) {
        seed = seed * 1103515245u + 12345u;
        u64 spa = MIB(4) + (u64)(seed >> 16 & 3) * PAGE_SIZE;
        switch (seed >> 20 & 3) {
        case 0:
            rmp_set(m, spa, &given);
            break;
        case 1:
            rmp_set(m, seed >> 24 & 3 ? spa : MIB(4), seed >> 24 & 3 ? &none : &large);
            break;
        case 2:
            rmp_smash(m, MIB(4));
            break;
        default:
            rmp_set(m, spa, &none);
            break;
        }
        if (round % 500 == 499)
            rmp_clear(m);
        bool any = false;
        for (u64 page = 0; page < 512; page++) {
            struct rmp_entry e;
            assert_true(rmp_get(m, MIB(4) + page * PAGE_SIZE, &e));
            any |= e.assigned;
        }
        assert_int_equal(rmp_region_assigned(m, MIB(4)), any);
    }
}

static void the_host_writes_only_its_own(void **state)
{
    struct memory *m = of(state);
    const struct rmp_entry guest = {.assigned = true, .asid = 3, .gpa = 0x1000};
    assert_true(rmp_host_may_write(m, 0x9000, 4096));
    assert_true(rmp_set(m, 0x9000, &guest));
    assert_false(rmp_host_may_write(m, 0x9fff, 1));
    assert_false(rmp_host_may_write(m, 0x8fff, 2));
    assert_true(rmp_host_may_write(m, 0x8000, 4096));
    assert_true(rmp_host_may_write(m, 0xa000, 0));
}

static void a_changed_entry_takes_the_page_from_the_cores(void **state)
{
    struct fixture *f = *state;
    const struct rmp_entry guest = {.assigned = true, .asid = 3, .gpa = 0x1000};
    assert_non_null(memory_map(f->memory, 9, KEY_RAW));
    f->lost = 0;
    assert_true(rmp_set(f->memory, 0x9000, &guest));
    assert_int_equal(f->lost, 1);
}

static void a_table_out_of_place_is_refused(void **state)
{
    struct memory *m = of(state);
    assert_false(rmp_enable(m, 0x1000, 0x9fff));
    assert_false(rmp_enable(m, 0, 0x3fff));
    assert_false(rmp_enable(m, 0, 0x9ffe));
    assert_false(rmp_enable(m, MEMORY - 0x8000, MEMORY + 0x1fff));
    assert_false(rmp_enable(m, 0, ~0ull));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_fresh_table_is_the_hypervisors_but_for_its_own_pages),
        TEST(states_are_those_of_the_specification),
        TEST(an_entry_keeps_every_field),
        TEST(nobody_writes_the_table_from_outside),
        TEST(a_large_page_speaks_for_its_512),
        TEST(a_region_knows_whether_any_of_its_pages_is_assigned),
        TEST(the_host_writes_only_its_own),
        TEST(a_changed_entry_takes_the_page_from_the_cores),
        TEST(a_table_out_of_place_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
