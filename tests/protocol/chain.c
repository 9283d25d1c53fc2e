/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates: AMD's public roots of five generations and two real platforms' chains verify, and
 * each kind of damage is refused by the check that is there for it.
 */
#include "platform_rig.h"
#include "needs.h"

static const char *const generations[] = {"naples", "rome", "milan", "genoa", "turin"};

static void load_root(const char *generation, struct amd_chain *root)
{
    u8 bytes[2 * AMD_CERT_SIZE_MAX];
    char name[64];
    snprintf(name, sizeof name, "sev/sev/%s/ask.cert", generation);
    size_t ask = vector_load(name, bytes, AMD_CERT_SIZE_MAX);
    snprintf(name, sizeof name, "sev/sev/%s/ark.cert", generation);
    size_t ark = vector_load(name, bytes + ask, AMD_CERT_SIZE_MAX);
    struct cert_verdict v = amd_chain_parse(bytes, ask + ark, root);
    assert_int_equal(v.check, CERT_OK);
}

static void load_sev(const char *platform, const char *which, struct sev_cert *cert)
{
    char name[64];
    snprintf(name, sizeof name, "sev/%s/%s.cert", platform, which);
    assert_int_equal(vector_load(name, cert, sizeof *cert), sizeof *cert);
}

static void load_platform(const char *platform, struct sev_platform_chain *chain)
{
    load_sev(platform, "pdh", &chain->pdh);
    load_sev(platform, "pek", &chain->chain.pek);
    load_sev(platform, "oca", &chain->chain.oca);
    load_sev(platform, "cek", &chain->chain.cek);
}

test_that_needs(the_roots_of_five_generations_verify,
                .vectors = {"sev/sev/naples/ask.cert", "sev/sev/naples/ark.cert",
                            "sev/sev/rome/ask.cert", "sev/sev/rome/ark.cert",
                            "sev/sev/milan/ask.cert", "sev/sev/milan/ark.cert",
                            "sev/sev/genoa/ask.cert", "sev/sev/genoa/ark.cert",
                            "sev/sev/turin/ask.cert", "sev/sev/turin/ark.cert"})
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(generations); i++) {
        struct amd_chain root;
        load_root(generations[i], &root);
        assert_int_equal(root.ark.header.modulus_bits, i ? 4096 : 2048);
        assert_int_equal(amd_cert_verify(&root.ark, &root.ark), CERT_OK);
        assert_int_equal(amd_cert_verify(&root.ask, &root.ark), CERT_OK);
        root.ask.bytes[root.ask.size - 1] ^= 1;
        assert_int_equal(amd_cert_verify(&root.ask, &root.ark), CERT_SIGNATURE);
    }
}

test_that_needs(one_generations_root_does_not_serve_another,
                .vectors = {"sev/sev/rome/ask.cert", "sev/sev/rome/ark.cert",
                            "sev/sev/milan/ask.cert", "sev/sev/milan/ark.cert"})
{
    (void)state;
    struct amd_chain rome, milan;
    load_root("rome", &rome);
    load_root("milan", &milan);
    assert_int_equal(amd_cert_verify(&rome.ask, &milan.ark), CERT_ISSUER);
}

test_that_needs(real_platforms_verify,
                .vectors = {"sev/naples/pdh.cert", "sev/naples/pek.cert", "sev/naples/oca.cert",
                            "sev/naples/cek.cert", "sev/rome/pdh.cert", "sev/rome/pek.cert",
                            "sev/rome/oca.cert", "sev/rome/cek.cert", "sev/sev/naples/ask.cert",
                            "sev/sev/naples/ark.cert", "sev/sev/rome/ask.cert",
                            "sev/sev/rome/ark.cert"})
{
    (void)state;
    static const char *const platforms[] = {"naples", "rome"};
    for (size_t i = 0; i < ARRAY_SIZE(platforms); i++) {
        struct sev_platform_chain p;
        struct amd_chain root;
        load_platform(platforms[i], &p);
        load_root(platforms[i], &root);
        assert_int_equal(chain_verify_owner(&p).check, CERT_OK);
        struct cert_verdict v = chain_verify(&p, &root);
        if (p.chain.cek.signatures[0].usage ==
            SEV_USAGE_NONE) { /* as exported: unsigned [sev 8.2] */
            assert_int_equal(v.check, CERT_UNSIGNED);
            assert_string_equal(v.subject, "CEK");
            assert_int_equal(sev_cert_verify(&p.chain.pek, &p.chain.cek), CERT_OK);
        } else {
            assert_int_equal(v.check, CERT_OK);
            assert_int_equal(chain_verify_chip(&p, &root).check, CERT_OK);
        }
    }
}

/* --- A platform of our own, to be damaged ----------------------------------------------------- */

static void a_whole_chain_verifies(void **state)
{
    struct platform *p = *state;
    struct error e = {0};
    struct cert_verdict v = chain_verify(&p->chain, &p->root);
    assert_int_equal(v.check, CERT_OK);
    assert_int_equal(cert_verdict_error(&v, ERROR_MEASUREMENT, &e), 0);
    assert_int_equal(chain_verify_domain(&p->chain, &p->chain.chain.oca).check, CERT_OK);
    assert_true(sev_cert_is_self_signed(&p->chain.chain.oca));
    assert_false(sev_cert_is_self_signed(&p->chain.chain.pek));
}

static void swapped_slots_verify_too(void **state)
{
    struct platform *p = *state;
    struct sev_platform_chain c = p->chain;
    struct sev_cert_signature first = c.chain.pek.signatures[0];
    c.chain.pek.signatures[0] = c.chain.pek.signatures[1];
    c.chain.pek.signatures[1] = first;
    assert_int_equal(chain_verify(&c, &p->root).check, CERT_OK);
}

/* One byte of a chain changed, and the verdict that must follow. The root is not changed. */
static void each_damage_is_named(void **state)
{
    struct platform *p = *state;
    enum { PDH = 0, PEK = 0x824, OCA = 2 * 0x824, CEK = 3 * 0x824 };
    static const struct {
        size_t at;
        const char *subject, *issuer;
        enum cert_check check;
    } damages[] = {
        {CEK + 0x000, "CEK", NULL, CERT_VERSION},
        {CEK + 0x004, "CEK", "ASK", CERT_SIGNATURE}, /* api_major is signed */
        {CEK + 0x008, "CEK", NULL, CERT_USAGE},
        {CEK + 0x00c, "CEK", NULL, CERT_ALGORITHM},
        {CEK + 0x010, "CEK", NULL, CERT_CURVE},
        {CEK + 0x014, "CEK", NULL, CERT_POINT},
        {CEK + 0x044, "CEK", NULL, CERT_POINT}, /* past the 48 bytes */
        {CEK + 0x414, "CEK", "ASK", CERT_UNSIGNED},
        {CEK + 0x418, "CEK", "ASK", CERT_UNSIGNED},
        {CEK + 0x41c, "CEK", "ASK", CERT_SIGNATURE},
        {PEK + 0x00c, "PEK", NULL, CERT_ALGORITHM},
        {PEK + 0x400, "PEK", "CEK", CERT_SIGNATURE}, /* unused, but signed */
        {PEK + 0x41c, "PEK", "OCA", CERT_SIGNATURE},
        {PEK + 0x414, "PEK", "OCA", CERT_UNSIGNED},
        {PEK + 0x624, "PEK", "CEK", CERT_SIGNATURE},
        {PEK + 0x624 + 60, "PEK", "CEK", CERT_SIGNATURE}, /* r longer than the curve's order */
        {PEK + 0x61c, "PEK", "CEK", CERT_UNSIGNED},
        {OCA + 0x41c, "OCA", "itself", CERT_SIGNATURE},
        {OCA + 0x008, "OCA", NULL, CERT_USAGE},
        {PDH + 0x00d, "PDH", "PEK",
         CERT_SIGNATURE}, /* ECDH SHA-384: allowed, but not what was signed */
        {PDH + 0x00c, "PDH", NULL, CERT_ALGORITHM},
        {PDH + 0x41c, "PDH", "PEK", CERT_SIGNATURE},
    };
    for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
        struct sev_platform_chain c = p->chain;
        ((u8 *)&c)[damages[i].at] ^= 1;
        struct cert_verdict v = chain_verify(&c, &p->root);
        assert_int_equal(v.check, damages[i].check);
        assert_string_equal(v.subject, damages[i].subject);
        assert_string_equal(v.issuer ? v.issuer : "", damages[i].issuer ? damages[i].issuer : "");
    }
}

static void a_pdh_signs_nothing(void **state)
{
    struct platform *p = *state;
    struct sev_cert child = p->chain.pdh;
    assert_true(sev_cert_sign(p->crypto, &child, 0, SEV_USAGE_PDH, &p->pdh));
    assert_int_equal(sev_cert_verify(&child, &p->chain.pdh), CERT_ALGORITHM);
}

static void an_empty_slot_is_not_an_arks(void **state)
{
    struct platform *p = *state;
    struct sev_cert cek = p->chain.chain.cek;
    memset(&cek.signatures, 0, sizeof cek.signatures); /* usage 0 would be ARK */
    assert_int_equal(sev_cert_verify_amd(&cek, &p->root.ask), CERT_UNSIGNED);
    assert_int_equal(sev_cert_verify_amd(&cek, &p->root.ark), CERT_UNSIGNED);
}

static void another_owner_is_named(void **state)
{
    struct platform *p = *state;
    struct ec_private key;
    struct sev_cert other;
    struct error e = {0};
    assert_true(crypto_ec_generate(p->crypto, &key));
    sev_cert_init(&other, SEV_USAGE_OCA, SEV_ALGORITHM_ECDSA_SHA256, 0, 0, &key.public);
    struct cert_verdict v = chain_verify_domain(&p->chain, &other);
    assert_int_equal(v.check, CERT_OWNER);
    assert_int_equal(cert_verdict_error(&v, ERROR_MEASUREMENT, &e), -1);
    assert_string_equal(e.text, "OCA certificate: is not the key of this domain's owner");
}

static void damaged_roots_are_refused(void **state)
{
    struct platform *p = *state;
    u8 file[2 * 832], damaged[sizeof file];
    memcpy(file, p->root.ask.bytes, 832);
    memcpy(file + 832, p->root.ark.bytes, 832);
    static const struct {
        size_t at;
        const char *subject;
        enum cert_check check;
    } damages[] = {
        {0x00, "ASK", CERT_VERSION},     {0x24, "ASK", CERT_USAGE},
        {0x38, "ASK", CERT_KEY_SIZE},    {0x3c, "ASK", CERT_KEY_SIZE},
        {0x40, "ASK", CERT_EXPONENT},    {0x40 + 255, "ASK", CERT_EXPONENT},
        {832 + 0x25, "ARK", CERT_USAGE}, {832 + 0x41, "ARK", CERT_EXPONENT},
    };
    struct amd_chain root;
    for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
        memcpy(damaged, file, sizeof file);
        damaged[damages[i].at] ^= 1;
        struct cert_verdict v = amd_chain_parse(damaged, sizeof damaged, &root);
        assert_int_equal(v.check, damages[i].check);
        assert_string_equal(v.subject, damages[i].subject);
    }
    for (size_t size = 0; size < sizeof file; size += 13)
        assert_int_equal(amd_chain_parse(file, size, &root).check,
                         size == 832 + AMD_CERT_SIZE_UNSIGNED ? CERT_OK : CERT_LENGTH);
    memcpy(damaged, file + 832, 832); /* ARK, ASK: the wrong order */
    memcpy(damaged + 832, file, 832);
    assert_int_equal(amd_chain_parse(damaged, sizeof damaged, &root).check, CERT_USAGE);
}

static void an_unsigned_ark_is_a_root_but_an_unsigned_ask_is_not_a_certificate(void **state)
{
    struct platform *p = *state;
    u8 file[832 + AMD_CERT_SIZE_UNSIGNED];
    struct amd_chain root;
    memcpy(file, p->root.ask.bytes, 832);
    memcpy(file + 832, p->root.ark.bytes, AMD_CERT_SIZE_UNSIGNED);
    assert_int_equal(amd_chain_parse(file, sizeof file, &root).check, CERT_OK);
    assert_int_equal(chain_verify(&p->chain, &root).check, CERT_OK);
    struct amd_cert ask;
    assert_int_equal(amd_cert_parse(file, AMD_CERT_SIZE_UNSIGNED, &ask), CERT_LENGTH);
}

static void the_ask_of_another_ark_is_refused(void **state)
{
    struct platform *p = *state;
    struct amd_chain root = p->root;
    assert_true(amd_cert_sign(p->crypto, &root.ask, p->ask_key)); /* by itself, naming the ARK */
    struct cert_verdict v = chain_verify(&p->chain, &root);
    assert_int_equal(v.check, CERT_SIGNATURE);
    assert_string_equal(v.subject, "ASK");
    assert_string_equal(v.issuer, "ARK");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_roots_of_five_generations_verify),
        cmocka_unit_test(one_generations_root_does_not_serve_another),
        cmocka_unit_test(real_platforms_verify),
        cmocka_unit_test(a_whole_chain_verifies),
        cmocka_unit_test(swapped_slots_verify_too),
        cmocka_unit_test(each_damage_is_named),
        cmocka_unit_test(a_pdh_signs_nothing),
        cmocka_unit_test(an_empty_slot_is_not_an_arks),
        cmocka_unit_test(another_owner_is_named),
        cmocka_unit_test(damaged_roots_are_refused),
        cmocka_unit_test(an_unsigned_ark_is_a_root_but_an_unsigned_ask_is_not_a_certificate),
        cmocka_unit_test(the_ask_of_another_ark_is_refused),
    };
    return cmocka_run_group_tests(tests, make_platform, free_platform);
}
