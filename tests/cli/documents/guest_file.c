/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launch descriptions: what is refused and with which words, and launches whose reports carry the
 * digests that public calculators say.
 */
#include "guest_rig.h"
#include "needs.h"

/* --- Texts ------------------------------------------------------------------------------------ */

static int parse(const char *text, struct guest_file *g, struct error *e)
{
    *e = (struct error){.code = ERROR_NONE};
    return guest_file_parse("g.json", text, strlen(text), g, e);
}

static void an_empty_description_is_one(void **state)
{
    struct guest_file g;
    struct error e;
    (void)state;
    assert_int_equal(parse("{}", &g, &e), 0);
    assert_int_equal(g.policy, 0x30000);
    assert_int_equal(g.vcpus, 1);
    assert_int_equal(g.signature, 0xa00f11);
    assert_int_equal(g.features, 1);
    assert_int_equal(g.vmpck, 0);
    guest_file_free(&g);
}

static void members_are_taken(void **state)
{
    struct guest_file g;
    struct error e;
    (void)state;
    const char *text =
        "{\"firmware\": \"f\", \"kernel\": \"k\", \"initrd\": \"i\", \"append\": \"a b\", "
        "\"kernel-hashes\": true, \"memory\": \"128M\", \"vcpus\": 4, \"vcpu-type\": "
        "\"EPYC-Turin\", \"vmm-type\": \"ec2\", \"guest-features\": \"0x21\", \"policy\": "
        "\"0xb0000\", \"id-block\": \"b\", \"id-auth\": \"c\", \"author-key\": true, "
        "\"host-data\": "
        "\"0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20\", "
        "\"vmpl\": 1, \"no-certificates\": false}";
    int result = parse(text, &g, &e);
    assert_string_equal(e.text, "");
    assert_int_equal(result, 0);
    assert_string_equal(g.append, "a b");
    assert_true(g.kernel_hashes && g.author_key && g.has_host_data && !g.no_certificates);
    assert_int_equal(g.memory, MIB(128));
    assert_int_equal(g.vcpus, 4);
    assert_int_equal(g.signature, 0x00b00f00);
    assert_int_equal(g.vmm, MEASURE_VMM_EC2);
    assert_int_equal(g.features, 0x21);
    assert_int_equal(g.policy, 0xb0000);
    assert_int_equal(g.host_data[31], 0x20);
    assert_int_equal(g.vmpl, 1);
    assert_int_equal(g.vmpck, 1);
    guest_file_free(&g);
}

static void wrong_descriptions_are_refused_in_words(void **state)
{
    static const char *const cases[][2] = {
        {"", "g.json:1: '[' or '{' expected"},
        {"[]", "g.json: should be one object, such as {\"firmware\": \"OVMF.fd\"}"},
        {"{\"vcpus\": 1, \"vcpus\": 2}", "g.json:1: duplicate object key"},
        {"{\"cpus\": 1}", "g.json: there is no member 'cpus'; did you mean 'vcpus'?"},
        {"{\"vcpus\": 0}", "g.json: 'vcpus' '0': expected a number from 1 to 8"},
        {"{\"vcpus\": 9}", "g.json: 'vcpus' '9': expected a number from 1 to 8"},
        {"{\"vcpus\": true}", "g.json: 'vcpus' should be a text or a number"},
        {"{\"author-key\": 1}", "g.json: 'author-key' should be true or false"},
        {"{\"vcpu-type\": \"EPYC-Paris\"}",
         "g.json: 'vcpu-type' 'EPYC-Paris': expected QEMU's EPYC, "},
        {"{\"vmm-type\": \"xen\"}", "g.json: 'vmm-type' 'xen': expected qemu, qemu-old, ec2"},
        {"{\"guest-features\": 2}",
         "g.json: 'guest-features' '2': expected a 64-bit number with bit 0"},
        {"{\"policy\": \"all\"}",
         "g.json: 'policy' 'all': expected a number of at most 18446744073709551615"},
        {"{\"policy\": -1}", "g.json: 'policy' '-1': expected a number of at most"},
        {"{\"memory\": 3}", "g.json: 'memory' '3': expected a number of MiB, or with K, M or "
                            "G, from 2M to 512G in steps of 2M"},
        {"{\"memory\": \"lots\"}", "g.json: 'memory' 'lots': expected a number of MiB"},
        {"{\"host-data\": \"00\"}", "g.json: 'host-data' '00': expected 64 hexadecimal digits"},
        {"{\"vmpl\": 4}", "g.json: 'vmpl' '4': expected a number of at most 3"},
        {"{\"vmpl\": 2, \"vmpck\": 1}", "g.json: software at VMPL2 has no VMPCK1"},
        {"{\"id-block\": \"x\"}", "g.json: 'id-block' needs 'id-auth'"},
        {"{\"author-key\": true}", "g.json: 'author-key' needs 'id-block' and 'id-auth'"},
        {"{\"append\": \"x\"}", "g.json: 'append' needs 'kernel'"},
        {"{\"kernel-hashes\": true}", "g.json: 'kernel-hashes' needs 'firmware' and 'kernel'"},
        {"{\"firmware\": \"f\", \"kernel\": \"k\"}", "only the kernel's hash is launched"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct guest_file g;
        struct error e;
        assert_int_equal(parse(cases[i][0], &g, &e), -1);
        assert_int_equal(e.code, ERROR_USAGE);
        if (!strstr(e.text, cases[i][1]))
            print_message("# %s\n# %s\n", cases[i][1], e.text);
        assert_non_null(strstr(e.text, cases[i][1]));
        guest_file_free(&g);
    }
}

static void files_that_cannot_be_had_are_named(void **state)
{
    struct rig r = {.hv = NULL};
    (void)state;
    assert_int_equal(rig_load(&r, "{\"firmware\": \"/no/such/file\"}"), -1);
    assert_string_equal(r.error.text, "/no/such/file: No such file or directory");
    rig_end(&r);
    assert_int_equal(rig_load(&r, "{\"firmware\": \"/dev/null\"}"), -1);
    rig_end(&r);
}

/* --- Launches --------------------------------------------------------------------------------- */

static struct snp_report report_of(struct rig *r)
{
    struct snp_report_req request = {.report_data = {0x5a}, .vmpl = r->guest.file.vmpl};
    struct snp_report_rsp rsp;
    u8 answer[SNP_REPORT_RESP_SIZE];
    u32 size = 0;
    u64 info = 0;
    assert_int_equal(sev_guest_ext_report(r->guest.driver, 1, &request, answer, NULL, &size, &info),
                     0);
    memcpy(&rsp, answer, sizeof rsp);
    assert_int_equal(rsp.status, 0);
    assert_int_equal(rsp.report.report_data[0], 0x5a);
    return rsp.report;
}

static void assert_measurement(struct rig *r, const char *expected)
{
    struct snp_report report = report_of(r);
    char text[97];
    hex_encode(text, report.measurement, sizeof report.measurement);
    assert_string_equal(text, expected);
}

/* Two descriptions of the built-in page; the digests are sev-snp-measure's of the same page. */
static void the_built_in_guest_measures_as_the_calculator_says(void **state)
{
    struct rig r = {.hv = NULL};
    (void)state;
    rig_launch(&r, "{}");
    assert_measurement(&r, "6e7e34cb813b0b15fc2799455b8e85aada61bdd33bf7fd638343c8dec58bc15e5f5b58b"
                           "654297fe46caf563cc0bfc850");
    rig_end(&r);
    rig_launch(&r, "{\"vcpus\": 2, \"vcpu-type\": \"EPYC-Genoa\", \"guest-features\": \"0x21\"}");
    assert_measurement(&r, "ccad3669d1a321187397a16b7d9d2e0d581dbff786cd49981bce237adb57c8274a404fd"
                           "03a2b3225c4f9b3354095667b");
    rig_end(&r);
}

/* Images of Debian in the versions that the golden digests are of. */
#define AMDSEV                                                                                     \
    .images = {                                                                                    \
        {"OVMF.amdsev.fd", "3e4fd0b3fe3b2dbe481c3d9e99418a034174f26cbe1f55aa212b0f18c12d2d6f"}}
#define OVMF                                                                                       \
    .images = {{"OVMF.fd", "7b456907dd0786d415999e801a1ac4637b8ed4d7cf5378cfc6edbe5e574dd773"}}

/* A description of one of Debian's images. */
static void assert_debian(const char *name, const char *members, const char *expected)
{
    static struct rig r;
    char description[6000];
    snprintf(description, sizeof description, "{\"firmware\": \"%s\"%s}", image_path(name),
             members);
    rig_launch(&r, description);
    assert_measurement(&r, expected);
    rig_end(&r);
}

test_that_needs(reports_of_debian_amdsev_carry_the_calculators_digest, AMDSEV)
{
    (void)state;
    assert_debian("OVMF.amdsev.fd", "",
                  "4a7f0dc0ad7c8fc19a056d1f78c6ccc2dda5c69aef1b063650d94598084b89a89a5e295aceb08223"
                  "b8ddd027620dbe66");
    assert_debian("OVMF.amdsev.fd", ", \"vcpu-type\": \"EPYC-Turin\", \"guest-features\": \"0x21\"",
                  "41c152ca4ed3980570d3f48b70a43cf09284efd86092584983e783b95920df8de8bfda6601e404b9"
                  "8f53ca31b5768f35");
}

test_that_needs(reports_of_debian_2022_carry_the_calculators_digest, OVMF)
{
    (void)state;
    assert_debian("OVMF.fd", "",
                  "80479ca85a2b182c026f6a3a2f2b180ab968d84b17540dd30de39039e70b8c0c33ead2cae6d34e37"
                  "750035fcff60bfc8");
}

static void policy_and_host_data_are_in_the_report(void **state)
{
    struct rig r = {.hv = NULL};
    (void)state;
    rig_launch(&r, "{\"policy\": \"0xb0000\", \"host-data\": "
                   "\"0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20\"}");
    struct snp_report report = report_of(&r);
    assert_int_equal(report.policy, 0xb0000);
    assert_int_equal(report.host_data[31], 0x20);
    assert_int_equal(report.vmpl, 0);
    rig_end(&r);
}

static void what_the_firmware_refuses_is_told(void **state)
{
    struct rig r = {.hv = NULL};
    (void)state;
    rig_check(&r, rig_load(&r, "{\"policy\": \"0x3ff00\"}"));
    assert_int_equal(rig_start(&r, NULL, 0), -1);
    assert_int_equal(r.error.code, ERROR_FIRMWARE);
    assert_non_null(strstr(r.error.text, "SNP_LAUNCH_START: POLICY_FAILURE"));
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_description_is_one),
        cmocka_unit_test(members_are_taken),
        cmocka_unit_test(wrong_descriptions_are_refused_in_words),
        cmocka_unit_test(files_that_cannot_be_had_are_named),
        cmocka_unit_test(the_built_in_guest_measures_as_the_calculator_says),
        cmocka_unit_test(reports_of_debian_amdsev_carry_the_calculators_digest),
        cmocka_unit_test(reports_of_debian_2022_carry_the_calculators_digest),
        cmocka_unit_test(policy_and_host_data_are_in_the_report),
        cmocka_unit_test(what_the_firmware_refuses_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
