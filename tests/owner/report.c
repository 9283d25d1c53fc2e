/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SNP reports verified: a genuine one of a Milan part with AMD's own chain, every byte of it
 * damaged in turn; and reports of versions 2 to 5 with VCEK and VLEK of Milan's and Turin's layout,
 * signed by keys made here with OpenSSL alone.
 */
#include "report_rig.h"
#include "needs.h"

/* --- A genuine one ---------------------------------------------------------------------------- */

#define GENUINE                                                                                    \
    .vectors = {"sev/certs_data/report_milan.hex", "sev/certs_data/vcek_milan.der",                \
                "sev/certs_data/cert_chain_milan"}

static u8 vcek[4096], chain[16384];
static size_t vcek_size, chain_size;

/* When the genuine certificates are not valid. */
static const s64 too_early = 1500000000, too_late = 2000000000, epoch = 0, after_2038 = 4102444800;

/* All certificates of a file into an array of MAX. Returns how many. */
static size_t read_all(const void *data, size_t size, struct crypto_certificate **out)
{
    struct crypto_certificates read = {.count = 0};
    struct crypto_crls lists = {.count = 0};
    struct error e = {.code = ERROR_NONE};
    (void)crypto_x509_read(data, size, &read, &lists, &e);
    const size_t count = read.count;
    assert_in_range(count, 0, MAX);
    for (size_t i = 0; i < count; i++)
        out[i] = read.list[i];
    free(read.list);
    return count;
}

static void genuine(struct set *s)
{
    char hex[4096] = "";
    *s = (struct set){.policy = {.time = &at_issue, .maximum_vmpl = 0}};
    size_t size = vector_load("sev/certs_data/report_milan.hex", hex, sizeof hex - 1);
    while (size && (hex[size - 1] == '\n' || hex[size - 1] == '\r'))
        hex[--size] = 0;
    assert_true(hex_decode(&s->report, sizeof s->report, hex));
    vcek_size = vector_load("sev/certs_data/vcek_milan.der", vcek, sizeof vcek);
    chain_size = vector_load("sev/certs_data/cert_chain_milan", chain, sizeof chain);
    s->given_count = read_all(vcek, vcek_size, s->given);
    s->root_count = read_all(chain, chain_size, s->roots);
    assert_int_equal(s->given_count, 1);
    assert_int_equal(s->root_count, 2);
}

test_that_needs(a_genuine_report_verifies_with_amds_chain, GENUINE)
{
    (void)state;
    struct set s;
    struct report_endorsement e;
    struct error error = {.code = ERROR_NONE};
    genuine(&s);
    assert_check(&s, REPORT_OK);
    assert_int_equal(report_endorsement_read(s.given[0], &e, &error), 0);
    assert_string_equal(e.product, "Milan-B0");
    assert_int_equal(e.tcb.boot_loader, 3);
    assert_int_equal(e.tcb.snp, 8);
    assert_int_equal(e.tcb.microcode, 0x73);
    assert_int_equal(e.chip_id_size, 64);
    assert_int_equal(s.report.current_major, 1);
    assert_int_equal(s.report.current_minor, 52);
    free_set(&s);
}

test_that_needs(a_genuine_turin_certificate_verifies,
                .vectors = {"sev/certs_data/vcek_turin.der", "sev/certs_data/cert_chain_turin"})
{
    (void)state;
    struct crypto_certificate *key[1], *signers[2];
    struct report_endorsement e;
    struct error error = {.code = ERROR_NONE};
    static const u8 id[8] = {0x1e, 0x55, 0x0a, 0x8e, 0xe5, 0xcf, 0x9f, 0x4d};
    size_t size = vector_load("sev/certs_data/vcek_turin.der", vcek, sizeof vcek);
    assert_int_equal(read_all(vcek, size, key), 1);
    size = vector_load("sev/certs_data/cert_chain_turin", chain, sizeof chain);
    assert_int_equal(read_all(chain, size, signers), 2);
    assert_int_equal(report_endorsement_read(key[0], &e, &error), 0);
    assert_string_equal(e.product, "Turin");
    assert_int_equal(e.layout, SNP_TCB_TURIN);
    assert_int_equal(e.chip_id_size, sizeof id);
    assert_memory_equal(e.chip_id, id, sizeof id);
    assert_true(crypto_certificate_names(key[0], signers[0]));
    assert_true(crypto_certificate_signed_by(key[0], signers[0]));
    assert_true(crypto_certificate_signed_by(signers[0], signers[1]));
    assert_true(crypto_certificate_signed_by(signers[1], signers[1]));
    assert_false(crypto_certificate_signed_by(key[0], signers[1]));
    for (size_t i = 0; i < 2; i++)
        crypto_certificate_free(signers[i]);
    crypto_certificate_free(key[0]);
}

/* Checks that look at the report before its signature does may see the damage first, and no
 * others. */
test_that_needs(a_damaged_report_is_refused_by_name, GENUINE)
{
    (void)state;
    struct set s;
    struct error e;
    genuine(&s);
    u8 *bytes = (u8 *)&s.report;
    u32 seen[64] = {0};
    for (size_t i = 0; i < sizeof s.report; i++) {
        bytes[i] ^= (u8)(1u << i % 8);
        enum report_check check = verify(&s, &e);
        bytes[i] ^= (u8)(1u << i % 8);
        seen[check]++;
        if (i < 4)
            assert_true(check == REPORT_CHECK_VERSION || check == REPORT_CHECK_SIGNATURE ||
                        check == REPORT_CHECK_FORM);
        else
            assert_true(check == REPORT_CHECK_SIGNATURE || check == REPORT_CHECK_FORM ||
                        check == REPORT_CHECK_SIGNING_KEY);
        if (i >= 0x50 && i < 0x188) /* data, measurement, digests, ids, reported TCB */
            assert_int_equal(check, REPORT_CHECK_SIGNATURE);
        if (i >= 0x2a0 + 144)
            assert_int_equal(check, REPORT_CHECK_FORM);
    }
    assert_int_equal(seen[REPORT_OK], 0);
    free_set(&s);
}

/* Also where a damaged certificate is none any more, or is not the issuer that is looked for. */
static bool is_of_chain(enum report_check check)
{
    return check >= REPORT_CHECK_CHAIN && check <= REPORT_CHECK_KEY_SIGNATURE;
}

test_that_needs(a_damaged_certificate_is_refused_by_name, GENUINE)
{
    (void)state;
    struct set s;
    struct error e;
    u32 seen[64] = {0};
    genuine(&s);
    for (size_t i = 0; i < vcek_size; i++) {
        struct set damaged = s;
        vcek[i] ^= (u8)(1u << i % 8);
        damaged.given_count = read_all(vcek, vcek_size, damaged.given);
        enum report_check check = verify(&damaged, &e);
        seen[check]++;
        assert_true(is_of_chain(check));
        if (damaged.given_count)
            crypto_certificate_free(damaged.given[0]);
        vcek[i] ^= (u8)(1u << i % 8);
    }
    assert_true(seen[REPORT_CHECK_KEY_SIGNATURE] > vcek_size / 2);
    for (size_t which = 0; which < 2; which++) {
        u8 der[4096];
        size_t size = crypto_certificate_der(s.roots[which], der, sizeof der);
        assert_true(size > 1000);
        for (size_t i = 0; i < size; i++) {
            struct set damaged = s;
            struct crypto_certificate *one = NULL;
            der[i] ^= (u8)(1u << i % 8);
            if ((one = crypto_certificate_read(der, size)))
                damaged.roots[which] = one;
            else
                damaged.roots[which] = s.roots[!which];
            assert_true(is_of_chain(verify(&damaged, &e)));
            crypto_certificate_free(one);
            der[i] ^= (u8)(1u << i % 8);
        }
    }
    free_set(&s);
}

test_that_needs(certificates_in_any_other_arrangement_are_refused, GENUINE)
{
    (void)state;
    struct set s, other;
    genuine(&s);
    other = s;
    other.given_count = 0;
    assert_check(&other, REPORT_CHECK_CHAIN);
    other = s;
    other.root_count = 1; /* the ASK alone: it is trusted by nobody */
    assert_check(&other, REPORT_CHECK_CHAIN);
    other = s;
    other.roots[0] = s.roots[1];
    assert_check(&other, REPORT_CHECK_CHAIN);
    other = s; /* an ARK that came with the report proves nothing */
    other.given[1] = s.roots[0];
    other.given[2] = s.roots[1];
    other.given_count = 3;
    other.root_count = 0;
    assert_check(&other, REPORT_CHECK_CHAIN);
    other.root_count = 2;
    assert_check(&other, REPORT_OK);
    free_set(&s);
}

test_that_needs(the_owners_policy_is_asked, GENUINE)
{
    (void)state;
    struct set s, g;
    u8 other[64] = {1};
    genuine(&g);
    const u64 this_policy = g.report.policy, other_policy = this_policy ^ SNP_POLICY_SMT;
    struct snp_tcb low = {.boot_loader = 3, .snp = 7}, high = {.boot_loader = 3, .snp = 9};

    s = g;
    s.policy.measurement = g.report.measurement;
    s.policy.report_data = g.report.report_data;
    s.policy.chip_id = g.report.chip_id;
    s.policy.host_data = g.report.host_data;
    s.policy.minimum_tcb = &low;
    s.policy.minimum_api_major = 1;
    s.policy.minimum_api_minor = 52;
    assert_check(&s, REPORT_OK);

#define WITH(field, value, check)                                                                  \
    do {                                                                                           \
        s = g;                                                                                     \
        s.policy.field = value;                                                                    \
        assert_check(&s, check);                                                                   \
    } while (0)
    WITH(measurement, other, REPORT_CHECK_MEASUREMENT);
    WITH(report_data, other, REPORT_CHECK_REPORT_DATA);
    WITH(host_data, other, REPORT_CHECK_HOST_DATA);
    WITH(chip_id, other, REPORT_CHECK_CHIP);
    WITH(id_key_digest, other, REPORT_CHECK_ID_KEY);
    WITH(author_key_digest, other, REPORT_CHECK_AUTHOR_KEY);
    WITH(minimum_tcb, &high, REPORT_CHECK_TCB_MINIMUM);
    WITH(guest_policy, &this_policy, REPORT_OK);
    WITH(guest_policy, &other_policy, REPORT_CHECK_POLICY);
    WITH(minimum_svn, 1, REPORT_CHECK_GUEST_SVN);
    WITH(minimum_api_major, 2, REPORT_CHECK_API_MINIMUM);
    WITH(refuse_smt, true, REPORT_CHECK_SMT);
    WITH(time, &too_early, REPORT_CHECK_VALIDITY);
    WITH(time, &too_late, REPORT_CHECK_VALIDITY);
    WITH(time, &epoch, REPORT_CHECK_VALIDITY);
    WITH(time, &after_2038, REPORT_CHECK_VALIDITY);
    WITH(time, NULL, REPORT_OK);
#undef WITH
    free_set(&g);
}

/* --- Made here -------------------------------------------------------------------------------- */

static void reports_of_every_version_and_key_verify(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct set s;
        made(&s, kinds[i]);
        assert_check(&s, REPORT_OK);
        s.report.measurement[5] ^= 1;
        assert_check(&s, REPORT_CHECK_SIGNATURE);
        free_set(&s);
    }
}

/* Signed as they should be, wrong in one way each. */
static void what_a_platform_may_not_say_is_refused_by_name(void **state)
{
    (void)state;
    struct set g, s;
    made(&g, kinds[2]);
#define SAYS(statement, check)                                                                     \
    do {                                                                                           \
        struct snp_report *r = &s.report;                                                          \
        s = g;                                                                                     \
        statement;                                                                                 \
        sign(&s);                                                                                  \
        assert_check(&s, check);                                                                   \
    } while (0)
    SAYS(r->version = 4, REPORT_OK); /* with mitigation vectors */
    SAYS(r->version = 6, REPORT_CHECK_VERSION);
    SAYS(r->version = 1, REPORT_CHECK_VERSION);
    SAYS(r->version = 0, REPORT_CHECK_VERSION);
    SAYS(r->reserved_208[100] = 1, REPORT_CHECK_FORM);
    SAYS(r->version = 3, REPORT_CHECK_FORM); /* has mitigation vectors */
    SAYS(r->policy = 0x10000, REPORT_CHECK_FORM);
    SAYS(r->signature_algorithm = 2, REPORT_CHECK_FORM);
    SAYS(r->key_info = SNP_KEY_INFO_SIGNING_KEY(1), REPORT_CHECK_SIGNING_KEY);
    SAYS(r->key_info = SNP_KEY_INFO_SIGNING_KEY(7), REPORT_CHECK_SIGNING_KEY);
    SAYS(r->cpuid_family = 0x1a, REPORT_CHECK_PRODUCT);
    SAYS(r->cpuid_family = 0x1b, REPORT_CHECK_PRODUCT);
    SAYS(r->chip_id[63] = 1, REPORT_CHECK_CHIP);
    SAYS(memset(r->chip_id, 0, 64), REPORT_CHECK_CHIP);
    SAYS(r->reported_tcb -= 1, REPORT_CHECK_TCB);
    SAYS(r->committed_tcb -= 1, REPORT_CHECK_TCB_ORDER);
    SAYS(r->current_tcb -= BIT(56), REPORT_CHECK_TCB_ORDER);
    SAYS(r->launch_tcb += 1, REPORT_CHECK_TCB_ORDER);
    SAYS(r->policy |= SNP_POLICY_DEBUG, REPORT_CHECK_DEBUG);
    SAYS(r->policy |= SNP_POLICY_MIGRATE_MA, REPORT_CHECK_MIGRATION);
    SAYS(r->vmpl = 1, REPORT_CHECK_VMPL);
    SAYS(r->vmpl = SNP_VMPL_OF_HOST, REPORT_CHECK_VMPL);
#undef SAYS
    free_set(&g);
}

/* A newer version may use what is reserved; all that is known of the others is judged all the
 * same. */
static void unknown_versions_are_judged_only_on_demand(void **state)
{
    (void)state;
    struct set g, s;
    made(&g, kinds[2]);
    g.report.version = 6;
    g.report.reserved_208[100] = 1;
    g.report.key_info |= BIT(9);
    sign(&g);
    assert_check(&g, REPORT_CHECK_VERSION);
    g.policy.accept_unknown_version = true;
    assert_check(&g, REPORT_OK);
    s = g;
    s.report.measurement[0] ^= 1;
    assert_check(&s, REPORT_CHECK_SIGNATURE);
    s = g;
    s.report.policy |= SNP_POLICY_DEBUG;
    sign(&s);
    assert_check(&s, REPORT_CHECK_DEBUG);
    s = g;
    s.report.version = 1; /* older ones are never accepted */
    sign(&s);
    assert_check(&s, REPORT_CHECK_VERSION);
    free_set(&g);
}

static void parts_that_came_later_are_not_judged_by_turins_layout(void **state)
{
    (void)state;
    static const u8 parts[][2] = {
        {0x1a, 0x50}, {0x1a, 0x90}, {0x1a, 0xc0}, {0x1a, 0xff}, {0x1b, 0}};
    struct error e;
    struct set s;
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        made(&s, (struct kind){false, true, 5, parts[i][0]});
        s.report.cpuid_model = parts[i][1];
        sign(&s);
        assert_check(&s, REPORT_CHECK_PRODUCT);
        verify(&s, &e);
        assert_non_null(strstr(e.text, "not known yet"));
        free_set(&s);
    }
}

static void a_masked_chip_id_is_accepted_only_on_demand(void **state)
{
    (void)state;
    u8 id[64] = {0xaa, 0xbb};
    struct set s;
    made(&s, kinds[1]);
    memset(s.report.chip_id, 0, sizeof s.report.chip_id);
    sign(&s);
    assert_check(&s, REPORT_CHECK_CHIP);
    s.policy.accept_masked_chip_id = true;
    assert_check(&s, REPORT_OK);
    s.policy.chip_id = id; /* a certain chip is demanded */
    assert_check(&s, REPORT_CHECK_CHIP);
    s.policy.chip_id = NULL;
    s.report.chip_id[5] = 1; /* not hidden, but another chip's */
    sign(&s);
    assert_check(&s, REPORT_CHECK_CHIP);
    free_set(&s);
}

static void a_pin_of_zeros_demands_no_author_key(void **state)
{
    (void)state;
    static const u8 zeros[48];
    struct set s;
    made(&s, kinds[1]);
    s.policy.author_key_digest = zeros;
    assert_check(&s, REPORT_OK);
    s.report.key_info |= SNP_KEY_INFO_AUTHOR_KEY_EN;
    sign(&s);
    assert_check(&s, REPORT_CHECK_AUTHOR_KEY);
    s.report.author_key_digest[3] = 1;
    sign(&s);
    assert_check(&s, REPORT_CHECK_AUTHOR_KEY);
    s.report.key_info &= ~(u32)SNP_KEY_INFO_AUTHOR_KEY_EN;
    sign(&s);
    assert_check(&s, REPORT_CHECK_AUTHOR_KEY);
    free_set(&s);
}

/* SIGNING_KEY of the report says which of the two is needed. */
static void of_vcek_and_vlek_the_report_says_which(void **state)
{
    (void)state;
    struct set vcek_set, vlek_set, turin_set, s;
    struct error e;
    made(&vcek_set, kinds[1]);
    made(&vlek_set, kinds[3]);
    made(&turin_set, kinds[5]);
    s = vcek_set;
    s.given[2] = vlek_set.given[1];
    s.given[3] = s.given[1]; /* the same one again */
    s.given_count = 4;
    assert_check(&s, REPORT_OK);
    s.report = vlek_set.report;
    assert_check(&s, REPORT_OK);
    s.given_count = 2; /* the VCEK alone */
    assert_check(&s, REPORT_CHECK_SIGNING_KEY);
    s.given_count = 1;
    assert_check(&s, REPORT_CHECK_CHAIN);
    verify(&s, &e);
    assert_non_null(strstr(e.text, "VLEK"));
    s = turin_set; /* its TCB has five numbers */
    s.policy.minimum_tcb = &(struct snp_tcb){.fmc = 0};
    s.policy.minimum_tcb_numbers = 5;
    assert_check(&s, REPORT_OK);
    s.policy.minimum_tcb_numbers = 4;
    assert_check(&s, REPORT_CHECK_TCB_MINIMUM);
    s = vcek_set; /* and of an older part four */
    s.policy.minimum_tcb = &(struct snp_tcb){.fmc = 255};
    s.policy.minimum_tcb_numbers = 4;
    assert_check(&s, REPORT_OK);
    s.policy.minimum_tcb_numbers = 5;
    assert_check(&s, REPORT_CHECK_TCB_MINIMUM);
    s = vcek_set;
    s.given[2] = turin_set.given[1];
    s.given_count = 3;
    assert_check(&s, REPORT_CHECK_CHAIN); /* two VCEKs */
    free_set(&vcek_set);
    free_set(&vlek_set);
    free_set(&turin_set);
}

/* hwID as AMD writes it, and as some other authorities do. */
static void a_chips_id_may_be_in_an_octet_string(void **state)
{
    (void)state;
    for (int turin = 0; turin <= 1; turin++)
        for (int wrong = 0; wrong <= 1; wrong++) {
            struct set s;
            made(&s, kinds[turin ? 6 : 1]);
            crypto_certificate_free(s.given[1]);
            octets = wrong ? 3 : 2;
            s.given[1] = make_endorsement(kinds[turin ? 6 : 1]);
            octets = 0;
            assert_check(&s, wrong ? REPORT_CHECK_ENDORSEMENT : REPORT_OK);
            free_set(&s);
        }
}

/* Not basicConstraints and not keyUsage: what it forbids is not known. */
static void critical_extensions_that_are_not_known_are_refused(void **state)
{
    (void)state;
    struct set g, s;
    made(&g, kinds[1]);
    s = g;
    X509 *signer = begin("signer", "root", signer_key);
    add_known(signer, NID_basic_constraints, "critical,CA:TRUE");
    add_known(signer, NID_key_usage, "critical,keyCertSign");
    add_known(signer, NID_name_constraints, "critical,permitted;DNS:none");
    s.given[0] = finish(signer, root_key, 48);
    assert_check(&s, REPORT_CHECK_SIGNER_AUTHORITY);
    crypto_certificate_free(s.given[0]);
    s = g;
    X509 *root = begin("root", "root", root_key);
    add_known(root, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
    add_known(root, NID_key_usage, "critical,keyCertSign");
    s.roots[0] = finish(root, root_key, 48); /* no signer may stand between it and a VCEK */
    assert_check(&s, REPORT_CHECK_ROOT_AUTHORITY);
    crypto_certificate_free(s.roots[0]);
    s = g;
    odd_endorsement = true;
    s.given[1] = make_endorsement(kinds[1]);
    odd_endorsement = false;
    assert_check(&s, REPORT_CHECK_ENDORSEMENT);
    crypto_certificate_free(s.given[1]);
    free_set(&g);
}

static void signers_must_be_allowed_to_sign_and_sign_as_specified(void **state)
{
    (void)state;
    struct set g, s;
    made(&g, kinds[1]);
    s = g;
    s.given[0] = finish(begin("signer", "root", signer_key), root_key, 48); /* no CA */
    assert_check(&s, REPORT_CHECK_SIGNER_AUTHORITY);
    crypto_certificate_free(s.given[0]);
    s.given[0] = finish(begin("signer", "root", signer_key), root_key, 32); /* another salt */
    assert_check(&s, REPORT_CHECK_SIGNER_SIGNATURE);
    crypto_certificate_free(s.given[0]);
    s.given[0] = finish(begin("signer", "root", signer_key), signer_key, 48);
    assert_check(&s, REPORT_CHECK_SIGNER_SIGNATURE);
    crypto_certificate_free(s.given[0]);
    s = g;
    s.roots[0] = finish(begin("root", "root", root_key), root_key, 48);
    assert_check(&s, REPORT_CHECK_ROOT_AUTHORITY);
    crypto_certificate_free(s.roots[0]);
    s.roots[0] = finish(begin("root", "root", root_key), signer_key, 48);
    assert_check(&s, REPORT_CHECK_ROOT_SIGNATURE);
    crypto_certificate_free(s.roots[0]);
    free_set(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_genuine_report_verifies_with_amds_chain),
        cmocka_unit_test(a_genuine_turin_certificate_verifies),
        cmocka_unit_test(a_damaged_report_is_refused_by_name),
        cmocka_unit_test(a_damaged_certificate_is_refused_by_name),
        cmocka_unit_test(certificates_in_any_other_arrangement_are_refused),
        cmocka_unit_test(the_owners_policy_is_asked),
        cmocka_unit_test(reports_of_every_version_and_key_verify),
        cmocka_unit_test(what_a_platform_may_not_say_is_refused_by_name),
        cmocka_unit_test(unknown_versions_are_judged_only_on_demand),
        cmocka_unit_test(parts_that_came_later_are_not_judged_by_turins_layout),
        cmocka_unit_test(a_masked_chip_id_is_accepted_only_on_demand),
        cmocka_unit_test(a_pin_of_zeros_demands_no_author_key),
        cmocka_unit_test(of_vcek_and_vlek_the_report_says_which),
        cmocka_unit_test(a_chips_id_may_be_in_an_octet_string),
        cmocka_unit_test(critical_extensions_that_are_not_known_are_refused),
        cmocka_unit_test(signers_must_be_allowed_to_sign_and_sign_as_specified),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
