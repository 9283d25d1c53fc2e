/* SPDX-License-Identifier: Apache-2.0 */
/* softsev owner show: every field of a report is printed by its name, and nothing is verified. */
#include "owner_rig.h"

static void shows(const char *line)
{
    if (!strstr(said, line))
        fail_msg("'%s' is not in\n%s", line, said);
}

static void every_field_of_a_report_is_shown(void **state)
{
    (void)state;
    struct snp_report r = {.version = 5,
                           .guest_svn = 7,
                           .policy = 0xb0102,
                           .vmpl = 2,
                           .signature_algorithm = 1,
                           .platform_info = SNP_PLATFORM_SMT_EN | SNP_PLATFORM_ECC_EN,
                           .key_info = SNP_KEY_INFO_AUTHOR_KEY_EN |
                                       SNP_KEY_INFO_SIGNING_KEY(SNP_SIGNED_BY_VLEK),
                           .cpuid_family = 0x1a,
                           .cpuid_model = 2,
                           .current_major = 1,
                           .current_minor = 58,
                           .current_build = 3,
                           .current_mit_vector = 0x12,
                           .reported_tcb = 0x4800000004030201};
    r.measurement[47] = 0xab;
    write_file("show-report", &r, sizeof r);
    assert_int_equal(owner("show --report show-report"), 0);
    shows("version                5\n");
    shows("guest SVN              7\n");
    shows("policy                 0xb0102 (ABI 1.2, SMT, DEBUG)\n");
    shows("VMPL                   2\n");
    shows("platform info          0x5 (SMT_EN, ECC_EN)\n");
    shows("key info               0x5 (signed by VLEK, AUTHOR_KEY_EN)\n");
    shows("0000ab\nhost data ");
    shows("part                   family 0x1a, model 0x2, stepping 0 (Turin)\n");
    shows("(hidden by the platform)\n");
    shows("reported TCB           0x4800000004030201 "
          "(FMC 1, boot loader 2, TEE 3, SNP 4, microcode 72)\n");
    shows("current firmware       1.58 build 3\n");
    shows("current mitigations    0x12\n");
    shows("reserved               zero\n");
    r.reserved_208[3] = 1;
    r.platform_info = 0;
    r.vmpl = SNP_VMPL_OF_HOST;
    r.version = 9;
    write_file("show-report", &r, sizeof r);
    assert_int_equal(owner("show --report show-report"), 0);
    shows("layout                 not known; read as version 5\n");
    shows("VMPL                   none: the host asked for the report\n");
    shows("platform info          0x0\n");
    shows("reserved               not zero, first at byte 0x20b\n");
    assert_int_equal(owner("show --report show-report --json"), 0);
    shows("{\"version\":9,");
    shows("\"guest SVN\":7,");
    const struct sev_attestation_report legacy = {.policy = 0x01370005, .signature_usage = 0x1002};
    write_file("show-report", &legacy, sizeof legacy);
    assert_int_equal(owner("show --report show-report"), 0);
    shows("policy                 0x1370005 (API 55.1, NODBG, ES)\n");
    shows("signed by              0x1002 (PEK)\n");
    write_file("show-report", &r, sizeof r - 1);
    assert_int_equal(owner("show --report show-report"), ERROR_FILE);
    assert_string_equal(last_error,
                        "show-report: a report has 1184 bytes, a legacy one 208, this file 1183");
    assert_int_equal(owner("show"), ERROR_USAGE);
    assert_int_equal(owner("show --report show-report --digest 00"), ERROR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_field_of_a_report_is_shown)};
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
