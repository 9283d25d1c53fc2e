/* SPDX-License-Identifier: Apache-2.0 */
/* The owner against a platform made of the protocol's pieces: an honest one,
 * and each kind of liar. */
#include "owner/owner.h"

#include "base/bytes.h"
#include "platform_rig.h"
#include "needs.h"

#include <openssl/evp.h>

static const struct owner_launch launch = {
    .api_major = 1, .api_minor = 55, .build = 25, .digest = {1, 2, 3}};

static void start(struct platform *p, u32 policy, struct owner *o)
{
    struct error e = {0};
    assert_int_equal(owner_start(p->owner_crypto, &p->chain, &p->root, policy, o, &e), 0);
}

/* LAUNCH_START and LAUNCH_MEASURE of an honest firmware. */
static void measure(struct platform *p, const struct owner *o, struct session_keys *keys,
                    struct sev_measure *out)
{
    assert_int_equal(session_open(&p->pdh, &o->godh, &o->session, o->policy, keys), SESSION_OK);
    struct measurement m = {.api_major = 1, .api_minor = 55, .build = 25, .policy = o->policy};
    memcpy(m.digest, launch.digest, 32);
    crypto_random(p->crypto, m.mnonce, 16);
    measurement_compute(&m, keys->tik, out->measure);
    memcpy(out->mnonce, m.mnonce, 16);
}

static void an_honest_platform_gets_the_secret(void **state)
{
    struct platform *p = *state;
    struct owner o;
    struct session_keys keys;
    struct sev_measure got;
    struct sev_packet_header header;
    struct error e = {0};
    u8 data[32], plain[32], want[32] = "a secret of 22 letters";
    start(p, 1, &o);
    measure(p, &o, &keys, &got);
    assert_int_equal(owner_check_launch(&o, &launch, &got, &e), 0);
    assert_int_equal(owner_seal(p->owner_crypto, &o, want, 22, &header, data, &e), 0);
    struct packet_binding binding = {PACKET_SECRET, 32, 32, got.measure};
    assert_true(packet_open(&keys, &binding, &header, data, plain, 32));
    assert_memory_equal(plain, want, 32);
}

static void no_secret_without_a_verified_launch(void **state)
{
    struct platform *p = *state;
    struct owner o;
    struct session_keys keys;
    struct sev_measure got;
    struct sev_packet_header header;
    struct error e = {0};
    u8 data[16];
    start(p, 1, &o);
    assert_int_equal(owner_seal(p->owner_crypto, &o, "secret", 6, &header, data, &e), -1);
    assert_int_equal(e.code, ERROR_MEASUREMENT);
    assert_string_equal(e.text, "no launch has been verified yet: no secret is sealed");
    /* A later refusal takes an earlier agreement back. */
    measure(p, &o, &keys, &got);
    e.code = ERROR_NONE;
    assert_int_equal(owner_check_launch(&o, &launch, &got, &e), 0);
    got.measure[0] ^= 1;
    assert_int_equal(owner_check_launch(&o, &launch, &got, &e), -1);
    assert_int_equal(owner_seal(p->owner_crypto, &o, "secret", 6, &header, data, &e), -1);
}

static void each_part_of_a_launch_is_measured(void **state)
{
    struct platform *p = *state;
    struct owner o;
    struct session_keys keys;
    struct sev_measure got;
    start(p, 1, &o);
    measure(p, &o, &keys, &got);
    for (size_t i = 0; i < sizeof launch; i++) {
        struct owner_launch other = launch;
        struct error e = {0};
        ((u8 *)&other)[i] ^= 0x10; /* API, build, digest */
        assert_int_equal(owner_check_launch(&o, &other, &got, &e), -1);
        assert_int_equal(e.code, ERROR_MEASUREMENT);
        assert_non_null(strstr(e.text, "measurement does not match"));
    }
    struct error e = {0};
    struct owner other = o;
    other.policy = 0;
    assert_int_equal(owner_check_launch(&other, &launch, &got, &e), -1);
    for (size_t i = 0; i < sizeof got; i++) {
        struct sev_measure changed = got;
        ((u8 *)&changed)[i] ^= 1;
        assert_int_equal(owner_check_launch(&o, &launch, &changed, &e), -1);
    }
    start(p, 1, &other); /* another session: another TIK */
    assert_int_equal(owner_check_launch(&other, &launch, &got, &e), -1);
}

static void an_older_api_than_the_policy_asks_for(void **state)
{
    struct platform *p = *state;
    struct owner o;
    struct session_keys keys;
    struct sev_measure got;
    struct error e = {0};
    start(p, 0x38010001, &o); /* API 1.56 */
    measure(p, &o, &keys, &got);
    assert_int_equal(owner_check_launch(&o, &launch, &got, &e), -1);
    assert_string_equal(e.text, "platform API 1.55 is older than the policy's 1.56");
    e.code = ERROR_NONE;
    start(p, 0x37010001, &o);
    measure(p, &o, &keys, &got);
    assert_int_equal(owner_check_launch(&o, &launch, &got, &e), 0);
}

static void a_foreign_platform_gets_no_session(void **state)
{
    struct platform *p = *state;
    struct owner o;
    struct error e = {0};
    struct sev_platform_chain c = p->chain;
    c.chain.cek.signatures[0].rsa[0] ^= 1;
    assert_int_equal(owner_start(p->owner_crypto, &c, &p->root, 1, &o, &e), -1);
    assert_int_equal(e.code, ERROR_MEASUREMENT);
    assert_string_equal(e.text, "CEK certificate, signed by ASK: signature does not verify");
    /* The classic: a PDH of the host's own in a chain that is otherwise right. */
    struct ec_private mine;
    assert_true(crypto_ec_generate(p->crypto, &mine));
    c = p->chain;
    sev_cert_init(&c.pdh, SEV_USAGE_PDH, SEV_ALGORITHM_ECDH_SHA256, 1, 55, &mine.public);
    assert_true(sev_cert_sign(p->crypto, &c.pdh, 0, SEV_USAGE_PEK, &mine));
    e.code = ERROR_NONE;
    assert_int_equal(owner_start(p->owner_crypto, &c, &p->root, 1, &o, &e), -1);
    assert_string_equal(e.text, "PDH certificate, signed by PEK: signature does not verify");
}

static void saving_and_loading(void **state)
{
    struct platform *p = *state;
    struct owner o, again;
    struct session_keys keys;
    struct sev_measure got;
    struct error e = {0};
    u8 saved[OWNER_SAVE_SIZE];
    start(p, 1, &o);
    measure(p, &o, &keys, &got);
    assert_int_equal(owner_check_launch(&o, &launch, &got, &e), 0);
    owner_save(&o, saved);
    assert_int_equal(owner_load(saved, sizeof saved, &again, &e), 0);
    assert_int_equal(again.policy, 1);
    assert_memory_equal(&again.keys, &o.keys, sizeof o.keys);
    assert_memory_equal(&again.godh, &o.godh, sizeof o.godh);
    assert_memory_equal(&again.session, &o.session, sizeof o.session);
    assert_true(again.checked);
    assert_memory_equal(&again.launch, &got, sizeof got);
    for (size_t i = 0; i < sizeof saved; i += 7) {
        e = (struct error){.code = ERROR_NONE};
        assert_int_equal(owner_load(saved, i, &again, &e), -1);
        saved[i] ^= 1;
        assert_int_equal(owner_load(saved, sizeof saved, &again, &e), -1);
        assert_int_equal(e.code, ERROR_FILE);
        saved[i] ^= 1;
    }
}

static void secrets_have_a_limit(void **state)
{
    struct platform *p = *state;
    static u8 data[OWNER_SECRET_MAX + 16];
    struct owner o;
    struct session_keys keys;
    struct sev_measure got;
    struct sev_packet_header header;
    struct error e = {0};
    start(p, 1, &o);
    measure(p, &o, &keys, &got);
    assert_int_equal(owner_check_launch(&o, &launch, &got, &e), 0);
    assert_int_equal(owner_seal(p->owner_crypto, &o, data, OWNER_SECRET_MAX, &header, data, &e), 0);
    assert_int_equal(owner_seal(p->owner_crypto, &o, data, OWNER_SECRET_MAX + 1, &header, data, &e),
                     -1);
    assert_int_equal(e.code, ERROR_USAGE);
    assert_int_equal(owner_seal(p->owner_crypto, &o, data, 0, &header, data, &e), -1);
}

static void a_digest_of_pieces(void **state)
{
    (void)state;
    const struct crypto_piece pieces[] = {{"a", 1}, {NULL, 0}, {"bc", 2}};
    struct error e = {0};
    u8 digest[32], want[32];
    assert_int_equal(owner_digest(pieces, ARRAY_SIZE(pieces), digest, &e), 0);
    crypto_sha256("abc", 3, want);
    assert_memory_equal(digest, want, 32);
}

#define OVMF "sevctl/data/OVMF.amdsev.fd_trimmed_edk2-ovmf-20220126gitbb1bba3d77-4.el9"

/* Expected measurement of pieces under the TIK of sevctl's tests,
 * as its base64 says it [sev 14.4]. */
static void assert_sevctl(const struct crypto_piece *pieces, size_t count, struct owner_launch l,
                          u32 policy, const char *blob)
{
    struct owner o = {.policy = policy};
    struct error e = {0};
    u8 decoded[48 + 3], measure[32];
    assert_int_equal(EVP_DecodeBlock(decoded, (const u8 *)blob, (int)strlen(blob)), 48);
    assert_true(hex_decode(o.keys.tik, 16, "3569cf61a32a602b87185ac6e0f55913"));
    assert_int_equal(owner_digest(pieces, count, l.digest, &e), 0);
    owner_expect(&o, &l, decoded + 32, measure);
    assert_memory_equal(measure, decoded, 32);
}

test_that_needs(sevctls_measurement_of_a_firmware_image, .vectors = {OVMF})
{
    (void)state;
    static u8 flash[4096];
    const struct crypto_piece pieces[] = {{flash, vector_load(OVMF, flash, sizeof flash)}};
    assert_sevctl(pieces, 1, (struct owner_launch){.api_major = 1, .api_minor = 40, .build = 40}, 3,
                  "oMDewIouJSpbpNRHj7Mk3p08H2dPZQdsZMU14qIymBnDE/q1EcIWsVBbGy6pkDxA");
}

test_that_needs(sevctls_measurement_with_four_processors,
                .vectors = {OVMF, "sevctl/data/vmsa0.bin", "sevctl/data/vmsa1.bin"})
{
    (void)state;
    static u8 flash[4096], vmsa0[4096], vmsa1[4096];
    size_t size = vector_load(OVMF, flash, sizeof flash);
    size_t size_0 = vector_load("sevctl/data/vmsa0.bin", vmsa0, sizeof vmsa0);
    size_t size_1 = vector_load("sevctl/data/vmsa1.bin", vmsa1, sizeof vmsa1);
    const struct crypto_piece pieces[] = {
        {flash, size}, {vmsa0, size_0}, {vmsa1, size_1}, {vmsa1, size_1}, {vmsa1, size_1}};
    assert_sevctl(pieces, ARRAY_SIZE(pieces),
                  (struct owner_launch){.api_major = 1, .api_minor = 49, .build = 6}, 5,
                  "/o0nzDKE5XgtVnUZWPhUea/WZYrTKLExR7KCwuMdbActvpWfXTFk21KMZIAAhQny");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_honest_platform_gets_the_secret),
        cmocka_unit_test(no_secret_without_a_verified_launch),
        cmocka_unit_test(each_part_of_a_launch_is_measured),
        cmocka_unit_test(an_older_api_than_the_policy_asks_for),
        cmocka_unit_test(a_foreign_platform_gets_no_session),
        cmocka_unit_test(saving_and_loading),
        cmocka_unit_test(secrets_have_a_limit),
        cmocka_unit_test(a_digest_of_pieces),
        cmocka_unit_test(sevctls_measurement_of_a_firmware_image),
        cmocka_unit_test(sevctls_measurement_with_four_processors),
    };
    return cmocka_run_group_tests(tests, make_platform, free_platform);
}
