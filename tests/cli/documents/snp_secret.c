/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An owner's secret for an SNP guest: agent and owner against each other, with reports that the
 * firmware has signed for a launched guest. A guest, a host or a chip that is not what the owner
 * demands gets nothing, and the check is named.
 */
#include "authority/authority.h"
#include "guest_rig.h"
#include "owner/snp_secret.h"

static const u8 secret[] = "the owner's word";

/* A launched guest, its manufacturer, and one exchange. */
struct exchange {
    struct rig rig;
    struct crypto *crypto;
    struct guest_certificate list[2];      /* VCEK, ASK */
    struct crypto_certificate *root, *own; /* the owner's own VCEK, if it has one */
    u8 measurement[48];
    u8 nonce[SECRET_NONCE_SIZE];
    struct secret_agent agent;
    u8 evidence[SECRET_FRAME_MAX], sealed[SECRET_FRAME_MAX];
    size_t evidence_size, sealed_size;
    struct report_policy policy;
    enum report_check check;
    struct error error;
};

static struct exchange x;
static struct crypto *maker_crypto;
static struct authority *maker;
static u8 ask[AUTHORITY_CERT_MAX], ark[AUTHORITY_CERT_MAX], vcek[AUTHORITY_CERT_MAX];

/* What signs the reports of the rig's chip. */
static size_t endorse(const struct authority_product *product)
{
    static const u8 fuses[32] = {3};
    u8 chip_id[64];
    struct ec_private key;
    u64 tcb = firmware_reported_tcb(machine_firmware(x.rig.machine));
    const struct authority_terms terms = {.not_before = 0};
    assert_true(identity_chip_id(fuses, chip_id) && identity_vcek(fuses, tcb, &key));
    return authority_endorse(maker,
                             &(struct authority_endorsement){.product = product,
                                                             .product_name = "Milan-B1",
                                                             .tcb = tcb,
                                                             .chip_id = chip_id,
                                                             .key = key.public},
                             &terms, vcek, sizeof vcek);
}

static struct snp_report ask_report(const u8 report_data[64], u32 vmpl)
{
    struct snp_report_req request = {.vmpl = vmpl};
    struct snp_report_rsp rsp;
    u8 answer[SNP_REPORT_RESP_SIZE];
    u32 size = 0;
    u64 info = 0;
    memcpy(request.report_data, report_data, 64);
    assert_int_equal(
        sev_guest_ext_report(x.rig.guest.driver, 1, &request, answer, NULL, &size, &info), 0);
    memcpy(&rsp, answer, sizeof rsp);
    assert_int_equal(rsp.status, 0);
    return rsp.report;
}

static void prepare(const char *description)
{
    static const u8 zeros[64];
    const struct authority_product *product = authority_product_find("Milan");
    const struct authority_terms terms = {.not_before = 0};
    memset(&x, 0, sizeof x);
    rig_launch(&x.rig, description);
    x.crypto = crypto_create("owner", 5);
    size_t root_size =
        authority_certificate(maker, product, AUTHORITY_ARK, &terms, ark, sizeof ark);
    x.list[0] = (struct guest_certificate){
        .kind = GUEST_CERTIFICATE_VCEK, .data = vcek, .size = endorse(product)};
    x.list[1] = (struct guest_certificate){
        .kind = GUEST_CERTIFICATE_ASK,
        .data = ask,
        .size = authority_certificate(maker, product, AUTHORITY_ASK, &terms, ask, sizeof ask)};
    assert_non_null(x.root = crypto_certificate_read(ark, root_size));
    struct snp_report r = ask_report(zeros, 0);
    memcpy(x.measurement, r.measurement, sizeof x.measurement);
    x.policy = (struct report_policy){.measurement = x.measurement};
}

static void finish(void)
{
    crypto_certificate_free(x.root);
    crypto_destroy(x.crypto);
    rig_end(&x.rig);
}

/* HELLO, and EVIDENCE from the agent. */
static void talk(u32 vmpl)
{
    u8 hello[64], report_data[64], table[SNP_CERTS_MAX];
    size_t size = owner_snp_hello(x.crypto, x.nonce, hello, sizeof hello);
    assert_true(secret_agent_start(&x.agent, x.crypto, hello, size, report_data));
    struct snp_report report = ask_report(report_data, vmpl);
    size_t table_size = guest_certificates_write(x.list, ARRAY_SIZE(x.list), table, sizeof table);
    x.evidence_size =
        secret_agent_evidence(&x.agent, &report, table, table_size, x.evidence, sizeof x.evidence);
    assert_true(x.evidence_size);
}

static bool given(void)
{
    const struct snp_secret_request request = {
        .nonce = x.nonce,
        .evidence = x.evidence,
        .evidence_size = x.evidence_size,
        .certificates = {.given = {&x.own, x.own != NULL}, .roots = {&x.root, 1}},
        .policy = x.policy,
        .secret = secret,
        .secret_size = sizeof secret,
    };
    x.error = (struct error){.code = ERROR_NONE};
    memset(x.sealed, 0, sizeof x.sealed);
    x.sealed_size =
        owner_seal_snp_secret(x.crypto, &request, x.sealed, sizeof x.sealed, &x.check, &x.error);
    if (!x.sealed_size) { /* not a byte of anything */
        for (size_t i = 0; i < sizeof x.sealed; i++)
            assert_int_equal(x.sealed[i], 0);
        assert_int_equal(x.error.code, ERROR_MEASUREMENT);
    }
    return x.sealed_size;
}

static void refused(const char *check)
{
    u8 frame[100];
    size_t size;
    assert_false(given());
    assert_string_equal(report_check_name(x.check), check);
    size = owner_snp_refusal(x.check, frame, sizeof frame);
    const u8 *name = secret_frame_payload(frame, size, SECRET_REFUSED, &size);
    assert_int_equal(size, strlen(check));
    assert_memory_equal(name, check, size);
}

static void the_right_guest_gets_it(void **state)
{
    u8 out[100];
    (void)state;
    prepare("{}");
    talk(0);
    assert_true(given());
    for (size_t i = 0; i + sizeof secret <= x.sealed_size; i++)
        assert_memory_not_equal(x.sealed + i, secret, sizeof secret);
    assert_int_equal(secret_agent_open(&x.agent, x.sealed, x.sealed_size, out, sizeof out),
                     sizeof secret);
    assert_memory_equal(out, secret, sizeof secret);
    finish();
}

/* What the owner has already, the guest may send again. */
static void certificates_may_come_twice(void **state)
{
    (void)state;
    prepare("{}");
    assert_non_null(x.own = crypto_certificate_read(vcek, x.list[0].size));
    talk(0);
    assert_true(given());
    x.list[0].size = x.list[1].size = 0; /* the owner has no ASK */
    talk(0);
    refused("chain-complete");
    crypto_certificate_free(x.own);
    finish();
}

static void a_wrong_guest_gets_nothing(void **state)
{
    (void)state;
    prepare("{}");
    talk(1);
    refused("vmpl");
    talk(0);
    x.measurement[5] ^= 1;
    refused("measurement");
    x.measurement[5] ^= 1;
    x.policy.minimum_svn = 1;
    refused("guest-svn");
    finish();
    prepare("{\"policy\": \"0xb0000\"}");
    talk(0);
    refused("debug-policy");
    x.policy.allow_debug = true;
    assert_true(given());
    finish();
}

static void a_host_in_between_gets_nothing(void **state)
{
    u8 old[SECRET_FRAME_MAX];
    struct ec_private host;
    (void)state;
    prepare("{}");
    talk(0);
    /* Its own key in the place of the guest's. */
    assert_true(crypto_ec_generate(x.crypto, &host));
    memcpy(old, x.evidence, x.evidence_size);
    memcpy(x.evidence + SECRET_FRAME_HEADER, &host.public, sizeof host.public);
    refused("report-data");
    /* Evidence of an earlier exchange. */
    size_t old_size = x.evidence_size;
    talk(0);
    memcpy(x.evidence, old, old_size);
    x.evidence_size = old_size;
    refused("report-data");
    /* A report that is changed to fit. */
    talk(0);
    x.evidence[SECRET_FRAME_HEADER + 96 + 0x10] ^= 1;
    refused("report-signature");
    /* Not even evidence. */
    talk(0);
    x.evidence_size -= 3;
    assert_false(given());
    assert_int_equal(x.check, REPORT_OK);
    finish();
}

static void another_manufacturers_chip_gets_nothing(void **state)
{
    struct crypto_certificate *mine = NULL;
    (void)state;
    prepare("{}");
    talk(0);
    /* The VCEK's own issuer as the only root: it is no ARK. */
    assert_non_null(mine = crypto_certificate_read(ask, x.list[1].size));
    struct crypto_certificate *root = x.root;
    x.root = mine;
    assert_false(given());
    assert_true(x.check == REPORT_CHECK_CHAIN || x.check == REPORT_CHECK_ROOT_SIGNATURE);
    x.root = root;
    crypto_certificate_free(mine);
    /* No VCEK. */
    x.list[0].size = 0;
    talk(0);
    refused("chain-complete");
    finish();
}

static int make_maker(void **state)
{
    (void)state;
    maker_crypto = crypto_create("maker", 5);
    maker = authority_create(maker_crypto, AUTHORITY_BITS_DEFAULT);
    return maker ? 0 : -1;
}

static int free_maker(void **state)
{
    (void)state;
    authority_free(maker);
    crypto_destroy(maker_crypto);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_right_guest_gets_it),
        cmocka_unit_test(certificates_may_come_twice),
        cmocka_unit_test(a_wrong_guest_gets_nothing),
        cmocka_unit_test(a_host_in_between_gets_nothing),
        cmocka_unit_test(another_manufacturers_chip_gets_nothing),
    };
    return cmocka_run_group_tests(tests, make_maker, free_maker);
}
