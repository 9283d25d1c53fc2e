/* SPDX-License-Identifier: Apache-2.0 */
/* The ACPI tables: checksums and pointers by hand, and the disassembler of the ACPI project as a
 * second opinion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "board/acpi.h"
#include "board/map.h"
#include "needs.h"

#define GPA 0x1fffc000u

struct tables {
    u8 bytes[ACPI_SIZE_MAX];
    size_t size;
};

static u8 sum(const u8 *p, size_t size)
{
    u8 s = 0;
    for (size_t i = 0; i < size; i++)
        s = (u8)(s + p[i]);
    return s;
}

static const u8 *at(const struct tables *t, u64 gpa)
{
    assert_in_range(gpa, GPA, GPA + t->size - 36);
    return t->bytes + (gpa - GPA);
}

static void build_for(struct tables *t, u32 cpus, bool iommu)
{
    memset(t, 0xee, sizeof *t);
    t->size = acpi_build(t->bytes, sizeof t->bytes, GPA, cpus, iommu, NULL);
    assert_true(t->size > 500 && t->size <= ACPI_SIZE_MAX);
}

static void build(struct tables *t)
{
    build_for(t, 1, false);
}

/* Every table that the RSDP leads to, by signature. */
static const u8 *find(const struct tables *t, const char *signature)
{
    const u8 *xsdt = at(t, load_le64(t->bytes + 24));
    for (u32 i = 36; i < load_le32(xsdt + 4); i += 8) {
        const u8 *table = at(t, load_le64(xsdt + i));
        if (!memcmp(table, signature, 4))
            return table;
        if (!memcmp(table, "FACP", 4) && !memcmp(signature, "DSDT", 4))
            return at(t, load_le64(table + 140));
    }
    return NULL;
}

static void every_table_sums_to_zero(void **state)
{
    (void)state;
    struct tables t;
    build(&t);
    assert_memory_equal(t.bytes, "RSD PTR ", 8);
    assert_int_equal(sum(t.bytes, 20), 0);
    assert_int_equal(sum(t.bytes, 36), 0);
    static const char *const names[] = {"FACP", "APIC", "DSDT"};
    for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
        const u8 *table = find(&t, names[i]);
        assert_non_null(table);
        assert_int_equal(sum(table, load_le32(table + 4)), 0);
    }
}

static void the_fadt_leads_to_facs_and_dsdt(void **state)
{
    (void)state;
    struct tables t;
    build(&t);
    const u8 *fadt = find(&t, "FACP");
    assert_int_equal(load_le32(fadt + 4), 244);
    assert_memory_equal(at(&t, load_le32(fadt + 36)), "FACS", 4);
    assert_int_equal(load_le32(fadt + 36) % 64, 0);
    assert_memory_equal(at(&t, load_le64(fadt + 140)), "DSDT", 4);
    assert_int_equal(load_le64(fadt + 120), 0xcf9);
}

/* Entries of the MADT by the specification's types [ACPI 5.2.12]. */
static void every_processor_has_a_local_apic(void **state)
{
    (void)state;
    for (u32 cpus = 1; cpus <= 64; cpus++) {
        struct tables t;
        build_for(&t, cpus, false);
        const u8 *madt = find(&t, "APIC");
        assert_int_equal(sum(madt, load_le32(madt + 4)), 0);
        u32 found = 0, ioapics = 0;
        for (u32 i = 44; i < load_le32(madt + 4); i += madt[i + 1]) {
            if (madt[i] == 0) {
                assert_int_equal(madt[i + 1], 8);
                assert_int_equal(madt[i + 3], found++); /* APIC ID */
                assert_int_equal(load_le32(madt + i + 4), 1);
            } else if (madt[i] == 1) {
                assert_true(madt[i + 2] >= cpus); /* its ID is nobody's */
                ioapics++;
            }
        }
        assert_int_equal(found, cpus);
        assert_int_equal(ioapics, 1);
    }
}

static void a_buffer_too_small_gives_no_tables(void **state)
{
    (void)state;
    u8 small[300];
    assert_int_equal(acpi_build(small, sizeof small, GPA, 1, false, NULL), 0);
}

/* The IVRS by the offsets of [host 3.2]: an IVHD of type 11h at 48. */
static void the_ivrs_leads_to_the_iommu(void **state)
{
    (void)state;
    struct tables t;
    build(&t);
    assert_null(find(&t, "IVRS"));
    build_for(&t, 1, true);
    const u8 *ivrs = find(&t, "IVRS");
    assert_non_null(ivrs);
    const u32 size = load_le32(ivrs + 4);
    assert_int_equal(sum(ivrs, size), 0);
    assert_int_equal(ivrs[8], 2);
    assert_int_equal(load_le32(ivrs + 36), 0x203041); /* 48 and 64 bits; features are told */
    const u8 *block = ivrs + 48;
    assert_int_equal(block[0], 0x11);
    assert_int_equal(load_le16(block + 2), size - 48);
    assert_int_equal(load_le16(block + 4), BOARD_IOMMU_DEVFN);
    assert_int_equal(load_le16(block + 6), 0x40);
    assert_true(load_le64(block + 8) == BOARD_IOMMU);
    assert_true(load_le64(block + 24) == 0x80000000000000c4ull);
    assert_true(load_le64(block + 32) == 0);
    assert_int_equal(load_le32(block + 40), 0x03);             /* from 00:00.0 */
    assert_int_equal(load_le32(block + 44), 0xff << 8 | 0x04); /* to 00:1f.7 */
}

static void dump(const struct tables *t, const char *signature, const char *path)
{
    const u8 *table = find(t, signature);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fwrite(table, 1, load_le32(table + 4), f);
    fclose(f);
}

test_that_needs(iasl_reads_the_tables_without_complaint, .program = "iasl")
{
    (void)state;
    struct tables t;
    build_for(&t, 2, true);
    char folder[] = "/tmp/softsev-acpi-XXXXXX", command[400], path[64];
    assert_non_null(mkdtemp(folder));
    static const char *const names[] = {"FACP", "APIC", "DSDT", "IVRS"};
    for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
        snprintf(path, sizeof path, "%s/%s.aml", folder, names[i]);
        dump(&t, names[i], path);
    }
    snprintf(command, sizeof command,
             "cd %s && iasl -d FACP.aml APIC.aml DSDT.aml IVRS.aml >log 2>&1 && ! grep -qiE "
             "'error|warning|invalid' log && "
             "grep -q 'Base Address : 00000000FEB80000' IVRS.dsl && "
             "grep -q 'Name (_PRT' DSDT.dsl && grep -q 'EisaId (\"PNP0A03\")' DSDT.dsl && iasl -ve "
             "DSDT.dsl >log2 2>&1",
             folder);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_table_sums_to_zero),
        cmocka_unit_test(the_fadt_leads_to_facs_and_dsdt),
        cmocka_unit_test(every_processor_has_a_local_apic),
        cmocka_unit_test(the_ivrs_leads_to_the_iommu),
        cmocka_unit_test(a_buffer_too_small_gives_no_tables),
        cmocka_unit_test(iasl_reads_the_tables_without_complaint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
