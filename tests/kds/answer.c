/* SPDX-License-Identifier: Apache-2.0 */
/* The key distribution service as a function [snp 8.2]: AMD's addresses, every refusal with its
 * reason, injected faults. */
#include "rig.h"

static struct kds *kds;
static struct http_response out;
static u8 body[KDS_BODY_MAX];

static struct kds *make(const struct kds_config *config)
{
    struct error e = {.code = ERROR_NONE};
    struct kds *k = kds_create(config, &e);
    assert_non_null(k);
    out = (struct http_response){.body = body};
    return k;
}

static int start(void **state)
{
    if (rig_make(state))
        return -1;
    const struct kds_config config = rig_config();
    kds = make(&config);
    return 0;
}

static int stop(void **state)
{
    kds_free(kds);
    kds_free(NULL);
    return rig_free(state);
}

static u32 ask(const char *method, const char *url, const char *data)
{
    kds_answer(kds, method, url, data, data ? strlen(data) : 0, &out);
    assert_true(out.size > 0 && out.size <= KDS_BODY_MAX);
    assert_non_null(out.content_type);
    if (out.status != 200) { /* a sentence on one line */
        assert_string_equal(out.content_type, "text/plain; charset=utf-8");
        assert_int_equal(body[out.size - 1], '\n');
        body[out.size] = 0;
        assert_ptr_equal(strchr((char *)body, '\n'), body + out.size - 1);
    }
    return out.status;
}

static u32 get(const char *url)
{
    return ask("GET", url, NULL);
}

static const char *vcek(const char *product, const char *id, const char *query)
{
    static char url[600];
    snprintf(url, sizeof url, "/vcek/v1/%s/%s?%s", product, id, query);
    return url;
}

#define MILAN "blSPL=4&teeSPL=0&snpSPL=24&ucodeSPL=219"
#define TURIN "fmcSPL=0&blSPL=1&teeSPL=0&snpSPL=2&ucodeSPL=71"

/* What was answered is signed by the last certificate that `signer` names. */
static void assert_signed_by(enum authority_role role, const char *product)
{
    u8 der[AUTHORITY_CERT_MAX];
    struct crypto_certificate *issuer = NULL, *c = NULL;
    const struct authority_terms terms = {.not_before = 0};
    size_t size = authority_certificate(rig_authority, authority_product_find(product), role,
                                        &terms, der, sizeof der);
    assert_non_null(issuer = crypto_certificate_read(der, size));
    assert_non_null(c = crypto_certificate_read(body, out.size));
    assert_true(crypto_certificate_names(c, issuer));
    assert_true(crypto_certificate_signed_by(c, issuer));
    crypto_certificate_free(issuer);
    crypto_certificate_free(c);
}

static void a_vcek_is_the_one_of_chip_and_tcb(void **state)
{
    (void)state;
    struct ec_private key;
    struct ec_public certified;
    struct crypto_certificate *c = NULL;
    assert_int_equal(get(vcek("Milan", rig_id(64), MILAN)), 200);
    assert_string_equal(out.content_type, "application/octet-stream");
    assert_signed_by(AUTHORITY_ASK, "Milan");
    assert_non_null(c = crypto_certificate_read(body, out.size));
    assert_true(identity_vcek(rig_fuses, 0xdb18000000000004, &key));
    assert_true(crypto_certificate_ec_key(c, &certified));
    assert_memory_equal(&certified, &key.public, sizeof certified);
    crypto_certificate_free(c);
    assert_int_equal(get(vcek("Genoa", rig_id(64), MILAN)), 200);
    assert_signed_by(AUTHORITY_ASK, "Genoa");
    assert_int_equal(get(vcek("Turin", rig_id(8), TURIN)), 200);
    assert_signed_by(AUTHORITY_ASK, "Turin");
}

static void padding_order_and_case_do_not_matter(void **state)
{
    (void)state;
    static u8 first[KDS_BODY_MAX];
    char upper[129];
    assert_int_equal(get(vcek("Milan", rig_id(64), MILAN)), 200);
    size_t size = out.size;
    memcpy(first, body, size);
    static const char *const same[] = {"blSPL=04&teeSPL=00&snpSPL=24&ucodeSPL=219",
                                       "ucodeSPL=219&snpSPL=024&teeSPL=0&blSPL=0004", MILAN "&"};
    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        assert_int_equal(get(vcek("milan", rig_id(64), same[i])), 200);
        assert_int_equal(out.size, size);
        assert_memory_equal(body, first, size);
    }
    snprintf(upper, sizeof upper, "%s", rig_id(64));
    for (char *p = upper; *p; p++)
        *p = *p >= 'a' ? (char)(*p - 32) : *p;
    assert_int_equal(ask("HEAD", vcek("Milan", upper, MILAN), NULL), 200);
    assert_memory_equal(body, first, size);
    assert_int_equal(get(vcek("Milan", rig_id(64), "blSPL=5&teeSPL=0&snpSPL=24&ucodeSPL=219")),
                     200);
    assert_memory_not_equal(body, first, size);
}

static void chains_lists_and_vleks(void **state)
{
    (void)state;
    static char pem[KDS_BODY_MAX];
    const struct authority_terms terms = {.not_before = 0};
    const struct authority_product *genoa = authority_product_find("Genoa");
    size_t size = authority_chain_pem(rig_authority, genoa, false, &terms, pem, sizeof pem);
    assert_int_equal(get("/vcek/v1/Genoa/cert_chain"), 200);
    assert_int_equal(out.size, size);
    assert_memory_equal(body, pem, size);
    assert_int_equal(get("/vcek/v1/Genoa/cert_chain?blSPL=1"), 200);
    size = authority_chain_pem(rig_authority, genoa, true, &terms, pem, sizeof pem);
    assert_int_equal(get("/vlek/v1/Genoa/cert_chain"), 200);
    assert_memory_equal(body, pem, size);
    assert_string_equal(out.content_type, "application/x-pem-file");
    assert_int_equal(get("/vcek/v1/Turin/crl"), 200);
    assert_string_equal(out.content_type, "application/pkix-crl");
    assert_int_equal(body[0], 0x30);
    assert_int_equal(get("/vlek/v1/Turin/crl"), 200);
    assert_int_equal(get("/vlek/v1/Turin/cert?" TURIN), 200);
    assert_signed_by(AUTHORITY_ASVK, "Turin");
}

/* The stick that comes opens with the chip's fuses and gives the key that the VLEK certifies. */
static void hashsticks_open_on_their_chip(void **state)
{
    (void)state;
    char request[400], hex[2 * sizeof(struct snp_wrapped_vlek) + 1] = "";
    struct snp_wrapped_vlek wrapped;
    struct ec_private key;
    struct ec_public certified;
    struct crypto_certificate *c = NULL;
    u8 stick[SNP_VLEK_STICK_SIZE];
    snprintf(request, sizeof request, "{\"hwids\":[\"%s\",\"00ff\"]}", rig_id(64));
    assert_int_equal(ask("POST", "/vlek/v1/Milan/hash_sticks?" MILAN, request), 200);
    body[out.size] = 0;
    snprintf(request, sizeof request, "{\"results\":[{\"%s\":\"", rig_id(64));
    assert_memory_equal(body, request, strlen(request));
    memcpy(hex, body + strlen(request), sizeof hex - 1);
    assert_string_equal((char *)body + strlen(request) + sizeof hex - 1,
                        "\"},{\"00ff\":\"not found\"}]}");
    assert_true(hex_decode(&wrapped, sizeof wrapped, hex));
    assert_int_equal(wrapped.tcb, 0xdb18000000000004);
    assert_true(vlek_unwrap(rig_fuses, &wrapped, stick));
    assert_true(identity_vlek(stick, wrapped.tcb, &key));
    assert_int_equal(get("/vlek/v1/Milan/cert?" MILAN), 200);
    assert_non_null(c = crypto_certificate_read(body, out.size));
    assert_true(crypto_certificate_ec_key(c, &certified));
    assert_memory_equal(&certified, &key.public, sizeof certified);
    crypto_certificate_free(c);
}

static void a_cek_comes_signed(void **state)
{
    (void)state;
    char url[200];
    struct sev_cert cek;
    snprintf(url, sizeof url, "/cek/id/%s", rig_id(64));
    assert_int_equal(get(url), 200);
    assert_int_equal(out.size, sizeof cek);
    memcpy(&cek, body, sizeof cek);
    assert_int_equal(sev_cert_verify_amd(&cek, &authority_chain(rig_authority)->ask), CERT_OK);
    url[8 + 127] ^= 1;
    assert_int_equal(get(url), 404);
    assert_int_equal(get("/cek/id/1234"), 400);
}

static void assert_refused(const char *method, const char *url, u32 status, const char *says)
{
    assert_int_equal(ask(method, url, "{}"), status);
    if (!strstr((char *)body, says))
        print_message("# %s: %s", url, (char *)body);
    assert_non_null(strstr((char *)body, says));
}

static void refusals_say_what_was_wrong(void **state)
{
    (void)state;
    char other[129];
    const char *id = rig_id(64);
    assert_refused("GET", "/", 404, "/vcek/v1/PRODUCT/");
    assert_refused("GET", "", 404, "nothing at this address");
    assert_refused("GET", "vcek/v1/Milan/crl", 404, "nothing at this address");
    assert_refused("GET", "/vcek/v2/Milan/crl", 404, "nothing at this address");
    assert_refused("GET", "/vcek/v1/Milan/", 404, "nothing at this address");
    assert_refused("GET", "/vcek/v1/Milan/crl/", 404, "nothing at this address");
    assert_refused("GET", "/vlek/v1/Milan/0011", 404, "nothing at this address");
    assert_refused("GET", "/vcek/v1/Rome/crl", 404,
                   "no product 'Rome'; there are Milan, Genoa and Turin");
    assert_refused("GET", "/vcek/v1/Mi\tlan/crl", 404, "'Mi?lan'");
    assert_refused("GET", "/vcek/v1/Milan/00?" MILAN, 400, "128 hexadecimal digits, this has 2");
    assert_refused("GET", vcek("Turin", id, TURIN), 404, "a Turin has 16 hexadecimal digits");
    assert_refused("GET", "/vcek/v1/Milan/0011223344556677?" MILAN, 404, "a Milan has 128");
    assert_refused("GET", vcek("Milan", id, "blSPL=4&teeSPL=0&snpSPL=24"), 400,
                   "ucodeSPL is missing");
    assert_refused("GET", vcek("Milan", id, ""), 400, "blSPL is missing");
    assert_refused("GET", vcek("Milan", id, TURIN), 400,
                   "'fmcSPL' is not a part of the TCB of a Milan");
    assert_refused("GET", vcek("Turin", rig_id(8), MILAN), 400, "fmcSPL is missing");
    id = rig_id(64);
    assert_refused("GET", vcek("Milan", id, MILAN "&blSPL=4"), 400, "blSPL is there twice");
    assert_refused("GET", vcek("Milan", id, MILAN "&colour=red"), 400, "'colour' is not a part");
    assert_refused("GET", vcek("Milan", id, "blSPL=256"), 400,
                   "'256'; it must be a number of 0 to 255");
    assert_refused("GET", vcek("Milan", id, "blSPL=-1"), 400, "'-1'");
    assert_refused("GET", vcek("Milan", id, "blSPL=0:"), 400, "'0:'"); /* ':' comes behind '9' */
    assert_refused("GET", vcek("Milan", id, "blSPL=4 "), 400, "'4 '");
    assert_refused("GET", vcek("Milan", id, "blSPL="), 400, "''");
    assert_refused("GET", vcek("Milan", id, "blSPL"), 400, "''");
    assert_refused("GET", vcek("Milan", id, "blSPL=99999999999999999999"), 400, "0 to 255");
    snprintf(other, sizeof other, "%s", id);
    other[127] ^= 1;
    assert_refused("GET", vcek("Milan", other, MILAN), 404, "no Milan with this id");
    assert_refused("POST", vcek("Milan", id, MILAN), 405, "GET, HEAD");
    assert_string_equal(out.allow, "GET, HEAD");
    assert_refused("GET", "/vlek/v1/Milan/hash_sticks?" MILAN, 405, "POST");
    assert_string_equal(out.allow, "POST");
    assert_refused("DELETE", "/vcek/v1/Milan/crl", 405, "GET, HEAD");
    assert_refused("POST", "/vlek/v1/Milan/hash_sticks", 400, "blSPL is missing");
    assert_refused("POST", "/vlek/v1/Milan/hash_sticks?" MILAN, 400, "{\"hwids\":[\"...\"]}");
    assert_int_equal(ask("POST", "/vlek/v1/Milan/hash_sticks?" MILAN, "{\"hwids\":[1]}"), 400);
    assert_int_equal(ask("POST", "/vlek/v1/Milan/hash_sticks?" MILAN, "{\"hwids\":[]}"), 400);
    assert_int_equal(ask("POST", "/vlek/v1/Milan/hash_sticks?" MILAN, "no JSON"), 400);
    static char longer[HTTP_URL_MAX + 2];
    memset(longer, 'a', HTTP_URL_MAX + 1);
    assert_refused("GET", longer, 414, "2048");
    static char large[HTTP_REQUEST_MAX + 2];
    memset(large, 'a', HTTP_REQUEST_MAX + 1);
    assert_int_equal(ask("POST", "/vlek/v1/Milan/hash_sticks?" MILAN, large), 413);
}

static void faults_come_at_their_rate(void **state)
{
    (void)state;
    struct kds *mine = kds;
    struct kds_config config = rig_config();
    u32 count[600] = {0};
    config.injection = (struct kds_injection){
        .every =
            {[KDS_FAULT_429] = 3, [KDS_FAULT_404] = 5, [KDS_FAULT_500] = 7, [KDS_FAULT_DELAY] = 2},
        .delay_ms = 40};
    kds = make(&config);
    for (u32 i = 1; i <= 210; i++) {
        u32 status = get("/vcek/v1/Milan/crl");
        count[status]++;
        assert_int_equal(status, i % 3 == 0 ? 429 : i % 5 == 0 ? 404 : i % 7 == 0 ? 500 : 200);
        assert_int_equal(out.retry_after_seconds, status == 429 ? KDS_RETRY_AFTER_SECONDS : 0);
        assert_int_equal(out.delay_ms, i % 2 ? 0 : 40);
    }
    assert_int_equal(count[200], 96);
    kds_free(kds);
    kds = mine;
}

static void a_wrong_certificate_is_signed_but_anothers(void **state)
{
    (void)state;
    struct kds *mine = kds;
    struct kds_config config = rig_config();
    u8 right[2000];
    char id[129];
    struct crypto_certificate *c = NULL;
    const u8 *hwid;
    size_t size;
    config.injection.every[KDS_FAULT_WRONG] = 2;
    kds = make(&config);
    assert_int_equal(get(vcek("Milan", rig_id(64), MILAN)), 200);
    memcpy(right, body, out.size);
    assert_int_equal(get(vcek("Milan", rig_id(64), MILAN)), 200);
    assert_signed_by(AUTHORITY_ASK, "Milan");
    assert_non_null(c = crypto_certificate_read(body, out.size));
    assert_int_equal(crypto_certificate_extension(c, "1.3.6.1.4.1.3704.1.4", &hwid, &size), 1);
    hex_encode(id, hwid, size);
    assert_string_not_equal(id, rig_id(64));
    crypto_certificate_free(c);
    assert_int_equal(get(vcek("Milan", rig_id(64), MILAN)), 200);
    assert_memory_equal(body, right, out.size); /* and is not kept */
    assert_int_equal(get("/vlek/v1/Milan/cert?" MILAN), 200);
    assert_signed_by(AUTHORITY_ASVK, "Milan");
    kds_free(kds);
    kds = mine;
}

static void more_certificates_than_the_cache_holds(void **state)
{
    (void)state;
    char query[80];
    u8 first[2000];
    assert_int_equal(get(vcek("Milan", rig_id(64), "blSPL=0&teeSPL=0&snpSPL=0&ucodeSPL=0")), 200);
    size_t size = out.size;
    memcpy(first, body, size);
    for (u32 i = 0; i < 1500; i++) {
        snprintf(query, sizeof query, "blSPL=%u&teeSPL=%u&snpSPL=0&ucodeSPL=1", i % 256, i / 256);
        assert_int_equal(get(vcek("Milan", rig_id(64), query)), 200);
    }
    assert_int_equal(get(vcek("Milan", rig_id(64), "blSPL=0&teeSPL=0&snpSPL=0&ucodeSPL=0")), 200);
    assert_int_equal(out.size, size);
    assert_memory_equal(body, first, size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vcek_is_the_one_of_chip_and_tcb),
        cmocka_unit_test(padding_order_and_case_do_not_matter),
        cmocka_unit_test(chains_lists_and_vleks),
        cmocka_unit_test(hashsticks_open_on_their_chip),
        cmocka_unit_test(a_cek_comes_signed),
        cmocka_unit_test(refusals_say_what_was_wrong),
        cmocka_unit_test(faults_come_at_their_rate),
        cmocka_unit_test(a_wrong_certificate_is_signed_but_anothers),
        cmocka_unit_test(more_certificates_than_the_cache_holds),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
