/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's own accesses: each rule of the nested walk and of the RMP, broken one at a time. */
#include "abi/rmp.h"
#include "abi/x86.h"
#include "crypto/crypto.h"
#include "machine/guest.h"
#include "machine/internal.h"
#include "memory/rmp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define ASID     3u
#define AT_ROOT  0x10000u /* tables: root, 512 GiB, 1 GiB, 2 MiB */
#define AT_RAM   0x200000u
#define AT_LARGE 0x400000u
#define AT_RMP   0x700000u
#define LEAF     (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)

struct rig {
    struct crypto *crypto;
    struct machine *machine;
    struct memory *memory;
    struct guest_memory guest;
};

static void entry(struct rig *r, u32 table, u32 index, u64 value)
{
    assert_true(memory_write(r->memory, AT_ROOT + table * PAGE_SIZE + index * 8ull, KEY_RAW, &value,
                             sizeof value));
}

static struct rmp_entry own(u64 gpa)
{
    return (struct rmp_entry){
        .assigned = true, .validated = true, .asid = ASID, .gpa = gpa, .permissions = {RMP_ALL}};
}

/* Guest pages 0 to 2 are three of the host's in reverse order, 2 MiB at 2 MiB are a large page. */
static void rig_create(struct rig *r, bool snp)
{
    struct error e = {0};
    static const u8 key[16] = {7};
    r->crypto = crypto_create("machine_guest", 13);
    r->machine = machine_create(
        &(struct machine_config){
            .memory_size = MIB(8), .cores = 1, .crypto = r->crypto, .fuses = {1}},
        &e);
    if (!r->machine)
        fail_msg("%s", e.text);
    assert_non_null(r->machine);
    r->memory = machine_memory(r->machine);
    assert_true(memory_key_load(r->memory, ASID, key));
    entry(r, 0, 0, (AT_ROOT + PAGE_SIZE) | LEAF);
    entry(r, 1, 0, (AT_ROOT + 2 * PAGE_SIZE) | LEAF);
    entry(r, 2, 0, (AT_ROOT + 3 * PAGE_SIZE) | LEAF);
    entry(r, 2, 1, AT_LARGE | LEAF | PTE_PS);
    for (u32 i = 0; i < 3; i++)
        entry(r, 3, i, (AT_RAM + (2 - i) * PAGE_SIZE) | LEAF);
    r->guest = (struct guest_memory){machine_host(r->machine), AT_ROOT, ASID, snp, 0};
    if (!snp)
        return;
    assert_true(rmp_enable(r->memory, AT_RMP, AT_RMP + rmp_table_size(MIB(8)) - 1));
    rmp_clear(r->memory);
    for (u32 i = 0; i < 3; i++) {
        struct rmp_entry e1 = own(i * PAGE_SIZE);
        assert_true(rmp_set(r->memory, AT_RAM + (2 - i) * PAGE_SIZE, &e1));
    }
    struct rmp_entry large = own(MIB(2));
    large.large = true;
    assert_true(rmp_set(r->memory, AT_LARGE, &large));
}

static void rig_destroy(struct rig *r)
{
    machine_destroy(r->machine);
    crypto_destroy(r->crypto);
}

static bool reads(struct rig *r, u64 gpa)
{
    u8 byte;
    return guest_read(&r->guest, gpa, GUEST_PRIVATE, &byte, 1);
}

static bool writes(struct rig *r, u64 gpa, enum guest_sharing sharing)
{
    return guest_write(&r->guest, gpa, sharing, "x", 1);
}

static void an_access_goes_through_tables_and_key(void **state)
{
    struct rig r;
    u8 out[64], raw[64];
    (void)state;
    for (int snp = 0; snp < 2; snp++) {
        rig_create(&r, snp);
        memset(out, 0xa5, sizeof out);
        assert_true(guest_write(&r.guest, PAGE_SIZE - 32, GUEST_PRIVATE, out, sizeof out));
        memset(out, 0, sizeof out);
        assert_true(guest_read(&r.guest, PAGE_SIZE - 32, GUEST_PRIVATE, out, sizeof out));
        assert_int_equal(out[0], 0xa5);
        assert_int_equal(out[63], 0xa5);
        /* Where the tables say, and not as the host reads it. */
        assert_true(memory_peek(r.memory, AT_RAM + 3 * PAGE_SIZE - 32, ASID, raw, 32));
        assert_memory_equal(raw, out, 32);
        assert_true(memory_peek(r.memory, AT_RAM + PAGE_SIZE, ASID, raw, 32));
        assert_memory_equal(raw, out, 32);
        assert_true(memory_peek(r.memory, AT_RAM + PAGE_SIZE, KEY_RAW, raw, 32));
        assert_memory_not_equal(raw, out, 32);
        assert_true(guest_write(&r.guest, MIB(2) + 0x12345, GUEST_PRIVATE, out, 32));
        assert_true(memory_peek(r.memory, AT_LARGE + 0x12345, ASID, raw, 32));
        assert_memory_equal(raw, out, 32);
        rig_destroy(&r);
    }
}

static void shared_memory_is_the_hosts(void **state)
{
    struct rig r;
    u8 raw;
    struct rmp_entry host = {0};
    (void)state;
    rig_create(&r, true);
    assert_true(guest_read(&r.guest, 0, GUEST_SHARED, &raw, 1)); /* ciphertext */
    assert_false(writes(&r, 0, GUEST_SHARED));
    assert_true(rmp_set(r.memory, AT_RAM + 2 * PAGE_SIZE, &host));
    assert_true(writes(&r, 0, GUEST_SHARED));
    assert_true(memory_peek(r.memory, AT_RAM + 2 * PAGE_SIZE, KEY_RAW, &raw, 1));
    assert_int_equal(raw, 'x');
    assert_false(writes(&r, 0, GUEST_PRIVATE));
    assert_false(reads(&r, 0));
    rig_destroy(&r);
}

/* A large page is the hypervisor's if all of it is. */
static void a_large_page_is_shared_as_a_whole(void **state)
{
    struct rig r;
    struct rmp_entry host = {0};
    (void)state;
    rig_create(&r, true);
    assert_true(rmp_smash(r.memory, AT_LARGE));
    for (u64 page = 0; page < RMP_LARGE_PAGES - 1; page++)
        assert_true(rmp_set(r.memory, AT_LARGE + page * PAGE_SIZE, &host));
    assert_false(writes(&r, MIB(2), GUEST_SHARED));
    assert_true(rmp_set(r.memory, AT_LARGE + (RMP_LARGE_PAGES - 1) * PAGE_SIZE, &host));
    assert_true(writes(&r, MIB(2), GUEST_SHARED));
    rig_destroy(&r);
}

static void the_nested_tables_rule(void **state)
{
    struct rig r;
    (void)state;
    rig_create(&r, true);
    assert_true(reads(&r, 0));
    entry(&r, 3, 0, (AT_RAM + 2 * PAGE_SIZE) | (LEAF & ~PTE_RW));
    assert_true(reads(&r, 0));
    assert_false(writes(&r, 0, GUEST_PRIVATE));
    entry(&r, 3, 0, (AT_RAM + 2 * PAGE_SIZE) | (LEAF & ~PTE_US));
    assert_false(reads(&r, 0));
    entry(&r, 3, 0, (AT_RAM + 2 * PAGE_SIZE) | LEAF | BIT(50));
    assert_false(reads(&r, 0));
    entry(&r, 3, 0, (AT_RAM + 2 * PAGE_SIZE) | LEAF | BIT(51)); /* the C-bit */
    assert_true(reads(&r, 0));
    entry(&r, 3, 0, MIB(8) | LEAF); /* beyond DRAM */
    assert_false(reads(&r, 0));
    assert_true(reads(&r, MIB(2)));
    entry(&r, 2, 1, AT_LARGE | LEAF | PTE_PS | BIT(13)); /* below a large page's address */
    assert_false(reads(&r, MIB(2)));
    entry(&r, 0, 0, (AT_ROOT + PAGE_SIZE) | LEAF | PTE_PS);
    assert_false(reads(&r, PAGE_SIZE));
    entry(&r, 0, 0, 0);
    assert_false(reads(&r, PAGE_SIZE));
    assert_false(reads(&r, BIT(48)));
    assert_false(guest_read(&r.guest, ~0ull, GUEST_PRIVATE, &r, 2));
    rig_destroy(&r);
}

static void the_rmp_rules(void **state)
{
    struct rig r;
    struct rmp_entry base = own(0), e;
    const u64 spa = AT_RAM + 2 * PAGE_SIZE;
    (void)state;
    rig_create(&r, true);
#define BREAKS(change)                                                                             \
    do {                                                                                           \
        e = base;                                                                                  \
        change;                                                                                    \
        assert_true(rmp_set(r.memory, spa, &e));                                                   \
        assert_false(reads(&r, 0));                                                                \
        assert_false(writes(&r, 0, GUEST_PRIVATE));                                                \
        assert_true(rmp_set(r.memory, spa, &base));                                                \
        assert_true(reads(&r, 0));                                                                 \
    } while (0)
    BREAKS(e.assigned = false);
    BREAKS(e.asid = ASID + 1);
    BREAKS(e.gpa = PAGE_SIZE);
    BREAKS(e.immutable = true);
    BREAKS(e.validated = false);
    BREAKS(e.permissions[0] = RMP_EXECUTE_USER);
    e = base;
    e.permissions[0] = RMP_READ;
    assert_true(rmp_set(r.memory, spa, &e));
    assert_true(reads(&r, 0));
    assert_false(writes(&r, 0, GUEST_PRIVATE));
    assert_true(rmp_set(r.memory, spa, &base));
    r.guest.vmpl = 1;
    assert_false(reads(&r, 0)); /* VMPL1 was given nothing */
    r.guest.vmpl = 4;
    assert_false(reads(&r, 0));
    r.guest.vmpl = 0;
    assert_true(rmp_smash(r.memory, AT_LARGE));
    assert_false(reads(&r, MIB(2))); /* 4 KiB in the RMP, 2 MiB in the tables */
    rig_destroy(&r);
}

static void a_level_gives_no_more_than_it_has(void **state)
{
    struct rig r;
    (void)state;
    rig_create(&r, true);
    struct guest_memory lower = r.guest;
    lower.vmpl = 2;
    u8 byte;
    assert_false(guest_read(&lower, 0, GUEST_PRIVATE, &byte, 1));
    assert_false(guest_rmpadjust(&lower, 0, 2, RMP_READ)); /* not to itself */
    assert_false(guest_rmpadjust(&r.guest, 0, 0, RMP_READ));
    assert_false(guest_rmpadjust(&r.guest, 0, 4, RMP_READ));
    assert_false(guest_rmpadjust(&r.guest, 8, 2, RMP_READ));
    assert_false(guest_rmpadjust(&r.guest, 0, 2, RMP_SHADOW_STACK));
    assert_false(guest_rmpadjust(&r.guest, MIB(2), 2, RMP_READ)); /* a large page */
    assert_true(guest_rmpadjust(&r.guest, 0, 2, RMP_READ));
    assert_true(guest_read(&lower, 0, GUEST_PRIVATE, &byte, 1));
    assert_false(guest_write(&lower, 0, GUEST_PRIVATE, &byte, 1));
    assert_false(guest_rmpadjust(&lower, 0, 3, RMP_READ | RMP_WRITE));
    assert_true(guest_rmpadjust(&lower, 0, 3, RMP_READ));
    assert_true(guest_write(&r.guest, 0, GUEST_PRIVATE, &byte, 1));
    rig_destroy(&r);
}

/* What faults in its second page has not written its first. */
static void a_faulting_write_writes_nothing(void **state)
{
    struct rig r;
    u8 data[8] = {1, 1, 1, 1, 1, 1, 1, 1}, out[4] = {9};
    (void)state;
    rig_create(&r, true);
    entry(&r, 3, 1, 0);
    assert_true(guest_write(&r.guest, PAGE_SIZE - 4, GUEST_PRIVATE, "\0\0\0\0", 4));
    assert_false(guest_write(&r.guest, PAGE_SIZE - 4, GUEST_PRIVATE, data, sizeof data));
    assert_true(guest_read(&r.guest, PAGE_SIZE - 4, GUEST_PRIVATE, out, sizeof out));
    assert_int_equal(load_le32(out), 0);
    assert_true(guest_write(&r.guest, PAGE_SIZE, GUEST_PRIVATE, data, 0));
    rig_destroy(&r);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_access_goes_through_tables_and_key),
        cmocka_unit_test(shared_memory_is_the_hosts),
        cmocka_unit_test(a_large_page_is_shared_as_a_whole),
        cmocka_unit_test(the_nested_tables_rule),
        cmocka_unit_test(the_rmp_rules),
        cmocka_unit_test(a_level_gives_no_more_than_it_has),
        cmocka_unit_test(a_faulting_write_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
