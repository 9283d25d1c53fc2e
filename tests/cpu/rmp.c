/* SPDX-License-Identifier: Apache-2.0 */
/* The host's instructions on the Reverse Map Table [snp 4.3, cpu 8.2]: what each refuses and with
 * which code, what it leaves behind, and the registers around them. */
#include "guest.h"

#define TABLE MIB(14)

#define SMALL(gpa_, asid_, immutable_)                                                             \
    {                                                                                              \
        .gpa = (gpa_), .assigned = 1, .asid = (asid_), .immutable = (immutable_)                   \
    }
#define LARGE(gpa_, asid_, immutable_)                                                             \
    {                                                                                              \
        .gpa = (gpa_), .assigned = 1, .page_size = 1, .asid = (asid_), .immutable = (immutable_)   \
    }

static int setup(void **state)
{
    struct guest *g = guest_create(false);
    guest_snp(g, TABLE);
    *state = g;
    return 0;
}

static int teardown(void **state)
{
    guest_destroy(*state);
    return 0;
}

static u32 update(struct guest *g, u64 spa, struct rmp_update u)
{
    return cpu_rmpupdate(g->cpu, spa, &u);
}

static void rmpupdate_refuses_in_the_manuals_order(void **state)
{
    struct guest *g = *state;
    static const struct {
        u64 spa;
        struct rmp_update u;
        u32 result;
    } steps[] = {
        {0x5001, SMALL(0, 1, 0), RMP_FAIL_INPUT},          /* not a page */
        {MIB(16), SMALL(0, 1, 0), RMP_FAIL_INPUT},         /* no entry */
        {MIB(4) + 0x1000, LARGE(0, 1, 0), RMP_FAIL_INPUT}, /* not a 2 MiB page */
        {MIB(4), LARGE(0x1000, 1, 0), RMP_FAIL_INPUT},
        {0x5000, {.immutable = 1}, RMP_FAIL_INPUT},
        {0x5000, {.asid = 1}, RMP_FAIL_INPUT},
        {0x5000, SMALL(0, 5, 0), RMP_FAIL_INPUT},     /* there are four ASIDs */
        {TABLE, SMALL(0, 1, 0), RMP_FAIL_PERMISSION}, /* the table itself */
        {MIB(14), LARGE(0, 1, 0), RMP_FAIL_PERMISSION},
        {0x5000, SMALL(0, 0, 1),
         RMP_SUCCESS}, /* a firmware page: only the firmware gives it back */
        {0x5000, {.gpa = 0}, RMP_FAIL_PERMISSION},
        {MIB(4) + 0x3000, SMALL(0x3000, 1, 0), RMP_SUCCESS},
        {MIB(4), LARGE(MIB(2), 1, 0), RMP_FAIL_OVERLAP},
        {MIB(4) + 0x3000, {.gpa = 0}, RMP_SUCCESS},
        {MIB(4), LARGE(MIB(2), 1, 0), RMP_SUCCESS},
        {MIB(4), SMALL(MIB(2), 1, 0), RMP_FAIL_OVERLAP},
        {MIB(4) + 0x3000, SMALL(0x3000, 1, 0), RMP_FAIL_OVERLAP},
        {MIB(4) + 0x3000, {.gpa = 0}, RMP_FAIL_OVERLAP},
        {MIB(4), LARGE(MIB(4), 2, 0), RMP_SUCCESS},
        {MIB(4), {.page_size = 1}, RMP_SUCCESS},
        {MIB(4), SMALL(MIB(2), 1, 0), RMP_SUCCESS}, /* nothing is left of the large page */
    };
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
        if (update(g, steps[i].spa, steps[i].u) != steps[i].result)
            fail_msg("step %zu", i);
}

/* [snp 4.4] */
static void rmpupdate_makes_the_states_it_is_to_make(void **state)
{
    struct guest *g = *state;
    static const struct {
        struct rmp_update u;
        enum rmp_state state;
    } rows[] = {
        {SMALL(0x7000, 3, 0), RMP_GUEST_INVALID},
        {{.gpa = 0}, RMP_HYPERVISOR},
        {SMALL(0, 0, 0), RMP_RECLAIM},
        {{.gpa = 0x1000}, RMP_HYPERVISOR},
        {SMALL(0x7000, 3, 1), RMP_PRE_GUEST},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(update(g, 0x9000, rows[i].u), RMP_SUCCESS);
        assert_int_equal(rmp_state(g->memory, 0x9000), rows[i].state);
    }
    struct rmp_entry e;
    rmp_get(g->memory, 0x9000, &e);
    assert_int_equal(e.permissions[0], RMP_ALL);
    assert_int_equal(e.permissions[1] | e.permissions[2] | e.permissions[3], 0);
}

/* With ASID 0 a page is the firmware's or to be reclaimed, whatever its gPA says: metadata pages
 * are made by the firmware alone [snp 4.3, 4.4]. */
static void rmpupdate_makes_no_metadata_page(void **state)
{
    struct guest *g = *state;
    struct rmp_entry e;
    assert_int_equal(update(g, 0x9000, (struct rmp_update)SMALL(0x50000, 0, 0)), RMP_SUCCESS);
    assert_int_equal(rmp_state(g->memory, 0x9000), RMP_RECLAIM);
    assert_int_equal(update(g, 0x9000, (struct rmp_update)SMALL(0x50000, 0, 1)), RMP_SUCCESS);
    assert_int_equal(rmp_state(g->memory, 0x9000), RMP_FIRMWARE);
    rmp_get(g->memory, 0x9000, &e);
    assert_int_equal(e.gpa, 0);
}

static void a_page_stays_validated_where_only_immutable_changes(void **state)
{
    struct guest *g = *state;
    static const struct {
        struct rmp_update u;
        bool kept;
    } rows[] = {
        {SMALL(0x7000, 3, 0), true},  {SMALL(0x7000, 3, 1), true}, {SMALL(0x8000, 3, 0), false},
        {SMALL(0x7000, 2, 0), false}, {{.gpa = 0}, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct rmp_entry valid = {.assigned = true,
                                        .validated = true,
                                        .vmsa = true,
                                        .asid = 3,
                                        .gpa = 0x7000,
                                        .permissions = {RMP_ALL, RMP_READ}};
        assert_true(rmp_set(g->memory, 0xa000, &valid));
        assert_int_equal(update(g, 0xa000, rows[i].u), RMP_SUCCESS);
        struct rmp_entry e;
        rmp_get(g->memory, 0xa000, &e);
        assert_int_equal(e.validated && e.vmsa && e.permissions[1], rows[i].kept);
    }
}

static void psmash_splits_an_assigned_large_page(void **state)
{
    struct guest *g = *state;
    assert_int_equal(cpu_psmash(g->cpu, MIB(4) + 0x1000), RMP_FAIL_INPUT);
    assert_int_equal(cpu_psmash(g->cpu, MIB(16)), RMP_FAIL_INPUT);
    assert_int_equal(cpu_psmash(g->cpu, MIB(4)), RMP_FAIL_NOT_LARGE);
    assert_int_equal(cpu_psmash(g->cpu, MIB(14)), RMP_FAIL_PERMISSION);
    assert_int_equal(update(g, MIB(4), (struct rmp_update)LARGE(MIB(6), 1, 0)), RMP_SUCCESS);
    assert_int_equal(cpu_psmash(g->cpu, MIB(4)), RMP_SUCCESS);
    assert_int_equal(cpu_psmash(g->cpu, MIB(4)), RMP_FAIL_NOT_LARGE);
    struct rmp_update u;
    assert_int_equal(cpu_rmpread(g->cpu, MIB(4) + 0x5000, &u), RMP_SUCCESS);
    assert_true(u.assigned && u.page_size == 2 && u.asid == 1 && u.gpa == MIB(6) + 0x5000);
}

static void rmpread_tells_what_rmpupdate_said(void **state)
{
    struct guest *g = *state;
    const struct rmp_update in = LARGE(MIB(6), 2, 1);
    struct rmp_update out;
    assert_int_equal(update(g, MIB(4), in), RMP_SUCCESS);
    assert_int_equal(cpu_rmpread(g->cpu, MIB(4), &out), RMP_SUCCESS);
    assert_true(out.gpa == MIB(6) && out.assigned == 1 && out.page_size == 3 &&
                out.immutable == 1 && out.asid == 2);
    assert_int_equal(cpu_rmpread(g->cpu, MIB(6), &out), RMP_SUCCESS);
    assert_true(out.gpa == 0 && !out.assigned && !out.page_size && !out.immutable && !out.asid);
    assert_int_equal(cpu_rmpread(g->cpu, MIB(6) + 1, &out), RMP_FAIL_INPUT);
    assert_int_equal(cpu_rmpread(g->cpu, MIB(16), &out), RMP_FAIL_INPUT);
}

static void without_snp_the_instructions_find_no_table(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    struct rmp_update u = SMALL(0, 1, 0);
    assert_int_equal(cpu_rmpupdate(g->cpu, 0x5000, &u), RMP_FAIL_INPUT);
    assert_int_equal(cpu_psmash(g->cpu, MIB(4)), RMP_FAIL_INPUT);
    assert_int_equal(cpu_rmpread(g->cpu, 0x5000, &u), RMP_FAIL_INPUT);
    guest_destroy(g);
}

static u64 msr(struct guest *g, u32 number)
{
    u64 value = 0;
    assert_true(cpu_host_rdmsr(g->cpu, number, &value));
    return value;
}

/* [cpu 2.1, 4.5] */
static void the_registers_lock_and_refuse(void **state)
{
    struct guest *g = *state;
    u64 syscfg = msr(g, MSR_SYSCFG);
    assert_true(syscfg & SYSCFG_SNP_EN);
    assert_true(cpu_host_wrmsr(g->cpu, MSR_SYSCFG, 0)); /* ignored */
    assert_int_equal(msr(g, MSR_SYSCFG), syscfg);
    assert_int_equal(msr(g, MSR_RMP_BASE), TABLE);
    assert_int_equal(msr(g, MSR_RMP_END), TABLE + rmp_table_size(MIB(16)) - 1);
    assert_false(cpu_host_wrmsr(g->cpu, MSR_RMP_BASE, MIB(8)));
    assert_false(cpu_host_wrmsr(g->cpu, MSR_RMP_END, MIB(9) - 1));
    assert_int_equal(update(g, 0x5000, (struct rmp_update)SMALL(0, 1, 0)), RMP_SUCCESS);
    assert_false(cpu_host_wrmsr(g->cpu, MSR_VM_HSAVE_PA, 0x5000)); /* not the host's page */
    assert_true(cpu_host_wrmsr(g->cpu, MSR_VM_HSAVE_PA, 0x6000));
    /* Fixed MTRRs and the tops of memory [APM2 15.36.2] */
    static const u32 locked[] = {0x250, 0x259, 0x26f, MSR_TOP_MEM, MSR_TOP_MEM2};
    for (size_t i = 0; i < ARRAY_SIZE(locked); i++) {
        assert_false(cpu_host_wrmsr(g->cpu, locked[i], 0));
        assert_int_equal(msr(g, locked[i]), 0);
    }
    assert_true(cpu_host_wrmsr(g->cpu, 0x200, 0));
    u32 out[4];
    cpu_host_cpuid(g->cpu, 0x8000001f, 0, out);
    assert_int_equal(out[0] & 0x70, 0x70); /* SNP, VMPL, RMPQUERY */
    assert_int_equal(out[1] >> 12 & 15, RMP_VMPLS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(rmpupdate_refuses_in_the_manuals_order),
        TEST(rmpupdate_makes_the_states_it_is_to_make),
        TEST(rmpupdate_makes_no_metadata_page),
        TEST(a_page_stays_validated_where_only_immutable_changes),
        TEST(psmash_splits_an_assigned_large_page),
        TEST(rmpread_tells_what_rmpupdate_said),
        TEST(without_snp_the_instructions_find_no_table),
        TEST(the_registers_lock_and_refuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
