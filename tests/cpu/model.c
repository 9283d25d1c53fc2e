/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU models: which bits each part shows, typed here as registers and not as the table has them;
 * that no bit is shown which the cores do not implement; the leaves with sizes and topology; models
 * as texts; and that VMRUN takes only the features that CPUID shows.
 */
#include "snp.h"

#include "cpu/model.h"

#include <stdio.h>

static struct cpu *core_of(const char *model, u32 cores)
{
    struct cpu_model m;
    struct error error = {.code = ERROR_NONE};
    static struct clock clock;
    if (cpu_model_parse(model, &m, &error))
        fail_msg("%s: %s", model, error.text);
    static const struct random_source random = {.fill = count_up};
    struct memory_config memory = {.size = MIB(2), .asids = 509, .random = &random};
    struct cpu *c = cpu_create(&(struct cpu_config){.id = 1,
                                                    .memory = memory_create(&memory),
                                                    .clock = &clock,
                                                    .random = &random,
                                                    .asid_min = 100,
                                                    .model = &m,
                                                    .cores = cores});
    assert_non_null(c);
    return c;
}

static void release(struct cpu *c)
{
    struct memory *m = c->memory;
    cpu_destroy(c);
    memory_destroy(m);
}

/* --- What each part shows --------------------------------------------------------------------- */

/* What the parts have been seen to answer, or more; a model may show less. */
static const struct {
    const char *part;
    u32 signature, ext_8_ebx, svm, sev, ext_21_eax;
    const char *brand;
} seen[] = {
    {"naples", 0x00800f12, 0x01001007, 0x0001bcff, 0x0000000f, 0,
     "AMD EPYC 7601 32-Core Processor"},
    {"rome", 0x00830f10, 0x098cf757, 0x0013bcff, 0x0001000f, 0, "AMD EPYC 7742 64-Core Processor"},
    {"milan", 0x00a00f11, 0x791ef75f, 0x11bbbcff, 0x0001fd3f, 0x1800006f,
     "AMD EPYC 7763 64-Core Processor"},
};

static void a_part_shows_no_more_than_it_has(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(seen); i++) {
        char text[40];
        u32 out[4], name[12];
        snprintf(text, sizeof text, "%s,-exempt", seen[i].part);
        struct cpu *c = core_of(text, 1);
        cpu_host_cpuid(c, 1, 0, out);
        assert_int_equal(out[0], seen[i].signature);
        cpu_host_cpuid(c, 0x80000008, 0, out);
        assert_int_equal(out[1] & ~seen[i].ext_8_ebx, 0);
        cpu_host_cpuid(c, 0x8000000a, 0, out);
        assert_int_equal(out[3] & ~seen[i].svm, 0);
        cpu_host_cpuid(c, 0x8000001f, 0, out);
        assert_int_equal(out[0] & ~seen[i].sev, 0);
        assert_int_equal(out[1] >> 31, 0);
        cpu_host_cpuid(c, 0x80000021, 0, out);
        assert_int_equal(out[0] & ~seen[i].ext_21_eax, 0);
        for (u32 leaf = 0; leaf < 3; leaf++)
            cpu_host_cpuid(c, 0x80000002 + leaf, 0, &name[4 * leaf]);
        assert_string_equal((char *)name, seen[i].brand);
        release(c);
    }
}

/* A Milan was once shown with what only later parts have. */
static void milan_has_nothing_of_later_parts(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        u32 leaf, reg, bits;
        bool shown;
    } rows[] = {
        {"milan", 0x80000021, 0, BIT(8), false},                      /* automatic IBRS */
        {"milan", 0x8000001f, 0, BIT(24) | BIT(27) | BIT(31), false}, /* register protection ... */
        {"milan", 0x8000001f, 0, BIT(4) | BIT(8) | BIT(14), true}, /* SNP, secure TSC, debug swap */
        {"genoa", 0x80000021, 0, BIT(8), true},
        {"genoa", 0x8000001f, 0, BIT(24), true},
        {"genoa", 0x8000001f, 0, BIT(31), false},
        {"turin", 0x8000001f, 0, BIT(31) | BIT(27) | BIT(21), true},
        {"rome", 0x8000001f, 0, BIT(4) | BIT(8), false},
        {"rome", 7, 2, BIT(2) | BIT(22), true}, /* UMIP, RDPID */
        {"naples", 7, 2, BIT(2) | BIT(22), false},
        {"naples", 7, 1, BIT(9), false}, /* ERMS */
        {"milan", 7, 1, BIT(9), true},
        {"milan", 0x80000021, 0, BIT(29), true}, /* exempt from SRSO */
        {"milan,-exempt", 0x80000021, 0, BIT(29), false},
        {"milan,-exempt", 0x80000008, 1, BIT(29), true}, /* BTC_NO is the part's own */
        {"rome,-exempt", 0x80000008, 1, BIT(29), false},
        {"milan,+auto-ibrs", 0x80000021, 0, BIT(8), true},
        {"milan,-umip,-rdpid", 7, 2, BIT(2) | BIT(22), false},
        {"max", 0x80000021, 0, BIT(8), true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        u32 out[4];
        struct cpu *c = core_of(rows[i].model, 1);
        cpu_host_cpuid(c, rows[i].leaf, 0, out);
        if ((out[rows[i].reg] & rows[i].bits) != (rows[i].shown ? rows[i].bits : 0))
            fail_msg("row %zu, %s: %#x", i, rows[i].model, out[rows[i].reg]);
        release(c);
    }
}

static void what_the_cores_lack_is_never_shown(void **state)
{
    (void)state;
    for (u32 part = 0; part <= PART_COUNT; part++) {
        struct cpu_model m;
        cpu_model_of_part((enum part)part, &m);
        for (size_t i = 0; cpu_feature_at(i); i++) {
            const struct cpu_feature *f = cpu_feature_at(i);
            if (!f->implemented)
                assert_int_equal(cpu_model_bits(&m, f->leaf, f->subleaf, f->reg) >> f->bit & 1, 0);
            for (size_t k = 0; k < i; k++) {
                const struct cpu_feature *other = cpu_feature_at(k);
                assert_string_not_equal(f->name, other->name);
                assert_false(f->leaf == other->leaf && f->subleaf == other->subleaf &&
                             f->reg == other->reg && f->bit == other->bit);
            }
        }
    }
    /* MONITOR, and what only a hypervisor shows: x2APIC, the TSC deadline, "hypervisor". */
    struct cpu *c = core_of("max,+x2apic", 1);
    u32 out[4];
    cpu_host_cpuid(c, 1, 0, out);
    assert_int_equal(out[2] & (BIT(3) | BIT(21) | BIT(24) | BIT(31)), 0);
    release(c);
}

static void exemptions_have_a_leaf_on_every_part(void **state)
{
    (void)state;
    u32 out[4];
    struct cpu *c = core_of("naples", 1);
    cpu_host_cpuid(c, 0x80000000, 0, out);
    assert_int_equal(out[0], 0x80000021);
    release(c);
    c = core_of("naples,-exempt", 1);
    cpu_host_cpuid(c, 0x80000000, 0, out);
    assert_int_equal(out[0], 0x8000001f);
    release(c);
}

/* --- Sizes and topology ----------------------------------------------------------------------- */

/* The values of a Milan, and of a part without protection keys; none without XSAVE. */
static void leaf_d_is_of_the_components_that_the_model_shows(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        u32 subleaf, out[4];
    } rows[] = {
        {"milan", 0, {0x207, 0x240, 0x988, 0}},
        {"milan", 1, {0xf, 0x240, 0, 0}},
        {"milan", 2, {0x100, 0x240, 0, 0}},
        {"milan", 9, {8, 0x980, 0, 0}},
        {"milan", 3, {0, 0, 0, 0}},
        {"milan", 66, {0, 0, 0, 0}},
        {"rome", 0, {7, 0x240, 0x340, 0}},
        {"rome", 9, {0, 0, 0, 0}},
        {"milan,-avx", 0, {0x203, 0x240, 0x988, 0}},
        {"milan,-xsave", 0, {0, 0, 0, 0}},
    };
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        u32 out[4];
        struct cpu *c = core_of(rows[i].model, 1);
        cpu_host_cpuid(c, 0xd, rows[i].subleaf, out);
        if (memcmp(out, rows[i].out, sizeof out))
            fail_msg("row %u: %#x %#x %#x %#x", i, out[0], out[1], out[2], out[3]);
        release(c);
    }
}

static void leaf_0_says_which_leaves_are_answered(void **state)
{
    (void)state;
    u32 out[4];
    struct cpu *c = core_of("milan", 6);
    cpu_host_cpuid(c, 0, 0, out);
    assert_int_equal(out[0], 0xd);
    cpu_host_cpuid(c, 0xb, 0, out);
    assert_int_equal(out[0], 0);
    assert_int_equal(out[1], 1);
    assert_int_equal(out[2], 0x100);
    assert_int_equal(out[3], 1); /* the APIC id */
    cpu_host_cpuid(c, 0xb, 1, out);
    assert_int_equal(out[0], 3);
    assert_int_equal(out[1], 6);
    assert_int_equal(out[2], 0x201);
    cpu_host_cpuid(c, 0xb, 2, out);
    assert_int_equal(out[1], 0);
    assert_int_equal(out[2], 2);
    cpu_host_cpuid(c, 1, 0, out);
    assert_int_equal(out[1], 1 << 24 | 6 << 16 | 8 << 8);
    assert_true(out[3] & BIT(28));
    cpu_host_cpuid(c, 0x80000008, 0, out);
    assert_int_equal(out[2], 3 << 12 | 5);
    cpu_host_cpuid(c, 0xc, 0, out);
    assert_int_equal(out[0] | out[1] | out[2] | out[3], 0);
    release(c);
}

/* As an EPYC 7763 answers, but for the cores that share a cache. */
static void the_caches_are_milans(void **state)
{
    (void)state;
    static const u32 rows[][4] = {{0x00000121, 0x01c0003f, 63, 0},
                                  {0x00000122, 0x01c0003f, 63, 0},
                                  {0x00000143, 0x01c0003f, 1023, 2},
                                  {0x00014163, 0x03c0003f, 32767, 1},
                                  {0, 0, 0, 0}};
    struct cpu *c = core_of("milan", 6);
    u32 out[4];
    for (u32 n = 0; n < ARRAY_SIZE(rows); n++) {
        cpu_host_cpuid(c, 0x8000001d, n, out);
        assert_memory_equal(out, rows[n], sizeof out);
    }
    cpu_host_cpuid(c, 0x80000006, 0, out);
    assert_int_equal(out[2], 0x02006140);
    assert_int_equal(out[3], 0x01009140);
    cpu_host_cpuid(c, 0x80000005, 0, out);
    assert_int_equal(out[2], 0x20080140);
    cpu_host_cpuid(c, 0x8000001e, 0, out);
    assert_int_equal(out[0], 1);
    assert_int_equal(out[1], 1);
    release(c);
}

/* --- Texts ------------------------------------------------------------------------------------ */

static void wrong_models_are_refused_in_words(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", "'': a model is naples, rome"},
        {"Milan", "'Milan': a model is naples, rome"},
        {"milan,umip", "'umip': after a comma should be a feature, with - to hide it"},
        {"milan,", "'': after a comma should be a feature"},
        {"milan,,-umip", "',-umip': after a comma should be a feature"},
        {"milan,-umip,", "'': after a comma should be a feature"},
        {"milan,-", ": there is no such feature"},
        {"milan,-monkey", "monkey: there is no such feature"},
        {"milan,-umip,-monkey", "monkey: there is no such feature"},
        {"milan,+monitor", "+monitor: these cores do not implement it"},
        {"milan,-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "'-aaaa"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "'aaaa"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct cpu_model m;
        struct error error = {.code = ERROR_NONE};
        assert_int_equal(cpu_model_parse(rows[i][0], &m, &error), -1);
        assert_int_equal(error.code, ERROR_USAGE);
        if (strncmp(error.text, rows[i][1], strlen(rows[i][1])))
            assert_string_equal(error.text, rows[i][1]);
    }
}

static void a_revision_is_of_its_part(void **state)
{
    (void)state;
    assert_int_equal(part_of_signature(0x00a00f11), PART_MILAN);
    assert_int_equal(part_of_signature(0x00a10f10), PART_GENOA);
    assert_int_equal(part_of_signature(0x00b00f00), PART_TURIN);
    assert_int_equal(part_of_signature(0x00830f10), PART_ROME);
    assert_int_equal(part_of_signature(0x00800f12), PART_NAPLES);
    assert_int_equal(part_of_signature(0x00a20f12), PART_COUNT);
}

static void what_is_hidden_no_hypervisor_shows(void **state)
{
    (void)state;
    struct cpu_model m;
    struct error error = {.code = ERROR_NONE};
    assert_int_equal(cpu_model_parse("milan", &m, &error), 0);
    assert_int_equal(cpu_model_hides(&m, 1, 0, 2) & (BIT(21) | BIT(24) | BIT(31)), 0);
    assert_int_equal(cpu_model_hides(&m, 1, 0, 2) & BIT(3), BIT(3)); /* MONITOR */
    assert_int_equal(cpu_model_parse("milan,-x2apic,-hypervisor,-apic", &m, &error), 0);
    assert_int_equal(cpu_model_hides(&m, 1, 0, 2) & (BIT(21) | BIT(24) | BIT(31)),
                     BIT(21) | BIT(31));
    assert_int_equal(cpu_model_hides(&m, 0x80000001, 0, 3) & BIT(9), BIT(9));
    assert_int_equal(cpu_model_bits(&m, 0x80000001, 0, 3) & BIT(9), 0);
}

/* --- VMRUN ------------------------------------------------------------------------------------ */

static void vmrun_refuses_what_cpuid_does_not_show(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        u64 feature, exit;
    } rows[] = {
        {"milan", SEV_FEATURE_SECURE_TSC, EXIT_HLT},
        {"milan", SEV_FEATURE_VMSA_REG_PROT, EXIT_INVALID},
        {"milan", SEV_FEATURE_VMGEXIT_PARAMETER, EXIT_INVALID},
        {"milan,-secure-tsc", SEV_FEATURE_SECURE_TSC, EXIT_INVALID},
        {"genoa", SEV_FEATURE_VMSA_REG_PROT, EXIT_HLT},
        {"genoa", SEV_FEATURE_IBPB_ON_ENTRY, EXIT_INVALID},
        {"turin", SEV_FEATURE_IBPB_ON_ENTRY, EXIT_HLT},
        {"milan", SEV_FEATURE_SNP_BTB_ISOLATION, EXIT_HLT},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct snp p = snp_create();
        struct error error = {.code = ERROR_NONE};
        assert_int_equal(cpu_model_parse(rows[i].model, &p.g->cpu->model, &error), 0);
        features_offer(p.g->cpu);
        p.s.sev_features |= rows[i].feature;
        guest_write(p.g, CODE, "\xf4", 1);
        if (snp_run(&p) != rows[i].exit)
            fail_msg("row %zu: exit %#lx", i, (unsigned long)p.g->vmcb.control.exit_code);
        snp_destroy(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_part_shows_no_more_than_it_has),
        cmocka_unit_test(milan_has_nothing_of_later_parts),
        cmocka_unit_test(what_the_cores_lack_is_never_shown),
        cmocka_unit_test(what_is_hidden_no_hypervisor_shows),
        cmocka_unit_test(exemptions_have_a_leaf_on_every_part),
        cmocka_unit_test(leaf_d_is_of_the_components_that_the_model_shows),
        cmocka_unit_test(leaf_0_says_which_leaves_are_answered),
        cmocka_unit_test(the_caches_are_milans),
        cmocka_unit_test(wrong_models_are_refused_in_words),
        cmocka_unit_test(a_revision_is_of_its_part),
        cmocka_unit_test(vmrun_refuses_what_cpuid_does_not_show),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
