/* SPDX-License-Identifier: Apache-2.0 */
/* The VMSA against images that another tool's authors took from a real launch;
 * the GHCB's valid bits by number. */
#include "abi/ghcb.h"
#include "abi/vmsa.h"
#include "needs.h"

static const struct vmcb_segment reset_data = {.attributes = 0x93, .limit = 0xffff};

static void check_reset_vmsa(const struct vmsa *s)
{
    const struct vmcb_segment *data[] = {&s->es, &s->ss, &s->ds, &s->fs, &s->gs};
    for (size_t i = 0; i < ARRAY_SIZE(data); i++)
        assert_memory_equal(data[i], &reset_data, sizeof reset_data);
    assert_int_equal(s->cs.attributes, 0x9b);
    assert_int_equal(s->ldtr.attributes, 0x82);
    assert_int_equal(s->tr.attributes, 0x8b);
    assert_int_equal(s->gdtr.limit, 0xffff);
    assert_int_equal(s->idtr.limit, 0xffff);
    assert_int_equal(s->efer, 0x1000);
    assert_int_equal(s->cr4, 0x40);
    assert_int_equal(s->cr0, 0x10);
    assert_int_equal(s->dr6, 0xffff0ff0);
    assert_int_equal(s->dr7, 0x400);
    assert_int_equal(s->rflags, 2);
    assert_int_equal(s->g_pat, 0x7040600070406ull);
    assert_int_equal(s->rdx, 0xa00f11);
    assert_int_equal(s->xcr0, 1);
    assert_int_equal(s->sev_features, 0);
}

test_that_needs(the_boot_processors_vmsa_reads_as_its_reset_state,
                .vectors = {"sevctl/data/vmsa0.bin"})
{
    (void)state;
    struct vmsa s = {0};
    assert_int_equal(vector_load("sevctl/data/vmsa0.bin", &s, sizeof s), sizeof s);
    check_reset_vmsa(&s);
    assert_int_equal(s.cs.selector, 0xf000);
    assert_int_equal(s.cs.base, 0xffff0000);
    assert_int_equal(s.rip, 0xfff0);
}

test_that_needs(another_processors_vmsa_differs_in_where_it_starts,
                .vectors = {"sevctl/data/vmsa0.bin", "sevctl/data/vmsa1.bin"})
{
    (void)state;
    struct vmsa s = {0}, first;
    assert_int_equal(vector_load("sevctl/data/vmsa1.bin", &s, sizeof s), sizeof s);
    assert_int_equal(vector_load("sevctl/data/vmsa0.bin", &first, sizeof first), sizeof first);
    check_reset_vmsa(&s);
    s.cs = first.cs;
    s.rip = first.rip;
    assert_memory_equal(&s, &first, sizeof s);
}

/* [cpu 7.2], typed from the table there. */
static void the_ghcbs_valid_bits_have_the_published_numbers(void **state)
{
    (void)state;
    static const struct {
        size_t bit, number;
    } rows[] = {
        {GHCB_BIT(cpl), 25},          {GHCB_BIT(xss), 40},          {GHCB_BIT(dr7), 44},
        {GHCB_BIT(rip), 47},          {GHCB_BIT(rsp), 59},          {GHCB_BIT(rax), 63},
        {GHCB_BIT(rcx), 97},          {GHCB_BIT(rdx), 98},          {GHCB_BIT(rbx), 99},
        {GHCB_BIT(rbp), 101},         {GHCB_BIT(rsi), 102},         {GHCB_BIT(rdi), 103},
        {GHCB_BIT(r8_15[0]), 104},    {GHCB_BIT(r8_15[7]), 111},    {GHCB_BIT(exit_code), 114},
        {GHCB_BIT(exit_info_1), 115}, {GHCB_BIT(exit_info_2), 116}, {GHCB_BIT(scratch), 117},
        {GHCB_BIT(xcr0), 125},        {GHCB_BIT(valid), 126},
    };
    struct ghcb g = {0};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(rows[i].bit, rows[i].number);
        assert_false(ghcb_valid(&g, rows[i].bit));
        ghcb_set_valid(&g, rows[i].bit);
        assert_true(ghcb_valid(&g, rows[i].bit));
        assert_int_equal(g.valid[rows[i].number / 8] >> rows[i].number % 8 & 1, 1);
    }
}

static void the_msrs_reset_value_is_the_sev_information(void **state)
{
    (void)state;
    /* Linux and OVMF read: versions 1 to 2, C-bit 51. */
    assert_int_equal(ghcb_msr_sev_info(2, 1, 51), 0x0002000133000001ull);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_boot_processors_vmsa_reads_as_its_reset_state),
        cmocka_unit_test(another_processors_vmsa_differs_in_where_it_starts),
        cmocka_unit_test(the_ghcbs_valid_bits_have_the_published_numbers),
        cmocka_unit_test(the_msrs_reset_value_is_the_sev_information),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
