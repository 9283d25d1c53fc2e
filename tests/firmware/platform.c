/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform's commands [sev 4]: INIT and its store, status, keys and certificates, the length
 * protocol, taking ownership.
 */
#include "rig.h"

static struct sev_platform_status status_of(struct rig *r)
{
    struct sev_platform_status in;
    memset(&in, 0xff, sizeof in);
    assert_status(COMMAND(r, PLATFORM_STATUS, in), SUCCESS);
    return in;
}

static struct sev_platform_chain chain_of(struct rig *r)
{
    struct sev_platform_chain chain;
    rig_export(r);
    rig_get(r, AT_CERT, &chain.pdh, sizeof chain.pdh);
    rig_get(r, AT_CHAIN, &chain.chain, sizeof chain.chain);
    return chain;
}

static bool same(const struct sev_cert *a, const struct sev_cert *b)
{
    return !memcmp(a, b, sizeof *a);
}

/* --- INIT, status, store ---------------------------------------------------------------------- */

static void status_says_what_the_platform_is(void **state)
{
    (void)state;
    struct rig r;
    rig_create(&r);
    u8 raw[12];
    static const u8 off[12] = {1, 55, 0, 0, 0, 0, 0, 25, 0, 0, 0, 0};
    static const u8 working[12] = {1, 55, 2, 0, 1, 0, 0, 25, 2, 0, 0, 0};
    struct sev_platform_status s = status_of(&r);
    memcpy(raw, &s, sizeof raw);
    assert_memory_equal(raw, off, sizeof raw);
    rig_init(&r, true);
    rig_launch(&r, 0);
    rig_launch(&r, 0);
    s = status_of(&r);
    memcpy(raw, &s, sizeof raw);
    assert_memory_equal(raw, working, sizeof raw);
    assert_status(SIMPLE(&r, SHUTDOWN), SUCCESS);
    s = status_of(&r);
    memcpy(raw, &s, sizeof raw);
    assert_memory_equal(raw, off, sizeof raw);
    rig_destroy(&r);
}

static void es_needs_a_tmr(void **state)
{
    (void)state;
    struct rig r;
    rig_create(&r);
    struct sev_init in = {.options = SEV_OPTIONS_ES, .tmr_paddr = AT_TMR, .tmr_len = MIB(1) - 1};
    assert_status(COMMAND(&r, INIT, in), INVALID_LENGTH);
    in.tmr_len = MIB(1);
    in.tmr_paddr = AT_TMR + 0x1000;
    assert_status(COMMAND(&r, INIT, in), INVALID_ADDRESS);
    in.tmr_paddr = RIG_MEMORY;
    assert_status(COMMAND(&r, INIT, in), INVALID_ADDRESS);
    assert_int_equal(rig_pstate(&r), SEV_PSTATE_UNINIT);
    in.tmr_paddr = AT_TMR;
    assert_status(COMMAND(&r, INIT, in), SUCCESS);
    assert_status(firmware_mailbox(r.fw, SEV_CMD_PLATFORM_STATUS, AT_TMR + 0x100), INVALID_ADDRESS);
    /* The host sees ciphertext there until SHUTDOWN gives it back. */
    static const u8 zeros[64];
    u8 bytes[64];
    rig_get(&r, AT_TMR, bytes, sizeof bytes);
    assert_memory_not_equal(bytes, zeros, sizeof bytes);
    assert_status(SIMPLE(&r, SHUTDOWN), SUCCESS);
    rig_get(&r, AT_TMR, bytes, sizeof bytes);
    assert_memory_equal(bytes, zeros, sizeof bytes);
    rig_destroy(&r);
}

static void the_identity_outlives_power_off_and_shutdown(void **state)
{
    (void)state;
    struct rig r;
    rig_create(&r);
    rig_init(&r, false);
    struct sev_platform_chain first = chain_of(&r);
    assert_int_equal(r.saves, 1);
    rig_restart(&r);
    rig_init(&r, false);
    struct sev_platform_chain second = chain_of(&r);
    assert_memory_equal(&first, &second, sizeof first);
    assert_status(SIMPLE(&r, SHUTDOWN), SUCCESS);
    rig_init(&r, false);
    second = chain_of(&r);
    assert_memory_equal(&first, &second, sizeof first);
    assert_int_equal(r.saves, 1);
    assert_status(SIMPLE(&r, SHUTDOWN), SUCCESS);
    assert_status(SIMPLE(&r, PLATFORM_RESET), SUCCESS);
    assert_int_equal(r.blob_size, 0);
    rig_init(&r, false);
    second = chain_of(&r);
    assert_false(same(&first.pdh, &second.pdh));
    assert_false(same(&first.chain.oca, &second.chain.oca));
    assert_true(same(&first.chain.cek, &second.chain.cek));
    rig_destroy(&r);
}

static void a_damaged_store_stays_until_a_reset(void **state)
{
    (void)state;
    struct rig r;
    rig_create(&r);
    rig_init(&r, false);
    size_t size = r.blob_size;
    u8 good[FIRMWARE_STORE_MAX];
    memcpy(good, r.blob, size);
    struct sev_init in = {.options = 0};
    for (size_t at = 0; at < size; at += at < 64 ? 1 : 331) {
        rig_restart(&r);
        memcpy(r.blob, good, size);
        r.blob_size = size;
        r.blob[at] ^= 0x10;
        assert_status(COMMAND(&r, INIT, in), SECURE_DATA_INVALID);
        assert_rule(&r, "rule=\"the store fails its integrity check\"");
        assert_int_equal(r.blob_size, size);
        assert_int_equal(rig_pstate(&r), SEV_PSTATE_UNINIT);
        r.blob[at] ^= 0x10;
        assert_memory_equal(r.blob, good, size);
    }
    for (size_t cut = 1; cut < size; cut += 97) {
        memcpy(r.blob, good, size);
        r.blob_size = cut;
        assert_status(COMMAND(&r, INIT, in), SECURE_DATA_INVALID);
        assert_int_equal(r.blob_size, cut);
    }
    assert_status(SIMPLE(&r, PLATFORM_RESET), SUCCESS);
    assert_int_equal(r.blob_size, 0);
    assert_status(COMMAND(&r, INIT, in), SUCCESS);
    rig_destroy(&r);
}

/* A store that may be there is not made anew: whoever mends the fault finds the old identity. */
static void a_store_that_cannot_be_loaded_is_left_alone(void **state)
{
    (void)state;
    static const struct {
        enum firmware_store_answer says;
        u32 status;
    } rows[] = {{FIRMWARE_STORE_UNREADABLE, SEV_STATUS_HWERROR_PLATFORM},
                {FIRMWARE_STORE_NO_MEMORY, SEV_STATUS_HWERROR_PLATFORM},
                {FIRMWARE_STORE_DAMAGED, SEV_STATUS_SECURE_DATA_INVALID}};
    struct rig r;
    rig_create(&r);
    rig_init(&r, false);
    struct sev_platform_chain before = chain_of(&r);
    const unsigned saves = r.saves;
    struct sev_init in = {.options = 0};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        rig_restart(&r);
        r.load_says = rows[i].says;
        for (int again = 0; again < 2; again++)
            assert_int_equal(COMMAND(&r, INIT, in), rows[i].status);
        assert_int_equal(rig_pstate(&r), SEV_PSTATE_UNINIT);
        r.load_says = FIRMWARE_STORE_LOADED;
        assert_status(COMMAND(&r, INIT, in), SUCCESS);
        struct sev_platform_chain after = chain_of(&r);
        assert_memory_equal(&before, &after, sizeof before);
        assert_int_equal(r.saves, saves);
    }
    rig_destroy(&r);
}

static void another_chip_cannot_read_the_store(void **state)
{
    (void)state;
    struct rig r;
    rig_create(&r);
    rig_init(&r, false);
    r.config.fuses[0] ^= 1;
    rig_restart(&r);
    struct sev_init in = {.options = 0};
    assert_status(COMMAND(&r, INIT, in), SECURE_DATA_INVALID);
    rig_destroy(&r);
}

static void the_store_does_not_show_the_private_keys(void **state)
{
    (void)state;
    struct rig r;
    rig_create(&r);
    rig_init(&r, false);
    const struct identity *id = &r.fw->identity;
    const struct ec_private *keys[] = {&id->oca_key, &id->pek_key, &id->pdh_key};
    for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
        for (size_t at = 0; at + 48 <= r.blob_size; at++)
            assert_memory_not_equal(r.blob + at, keys[k]->d, 48);
    rig_destroy(&r);
}

static void a_store_that_cannot_be_written_changes_nothing(void **state)
{
    (void)state;
    struct rig r;
    rig_create(&r);
    rig_init(&r, false);
    struct sev_platform_chain before = chain_of(&r);
    r.store_fails = true;
    assert_status(SIMPLE(&r, PDH_GEN), HWERROR_PLATFORM);
    assert_status(SIMPLE(&r, PEK_GEN), HWERROR_PLATFORM);
    struct sev_platform_chain after = chain_of(&r);
    assert_memory_equal(&before, &after, sizeof before);
    rig_destroy(&r);
}

static struct sev_init_ex init_ex_buffer(void)
{
    return (struct sev_init_ex){
        .length = sizeof(struct sev_init_ex), .nv_paddr = AT_NV, .nv_len = KIB(32)};
}

static void init_ex_keeps_the_store_in_the_hosts_area(void **state)
{
    (void)state;
    struct rig r;
    rig_create(&r);
    u8 noise[KIB(32)], area[KIB(32)];
    crypto_random(r.crypto, noise, sizeof noise);
    rig_put(&r, AT_NV, noise, sizeof noise); /* Linux does not clear it */
    struct sev_init_ex in = init_ex_buffer();
    assert_status(COMMAND(&r, INIT_EX, in), SUCCESS);
    assert_int_equal(r.saves, 0);
    struct sev_platform_chain first = chain_of(&r);
    rig_get(&r, AT_NV, area, sizeof area);
    rig_restart(&r);
    in = init_ex_buffer();
    assert_status(COMMAND(&r, INIT_EX, in), SUCCESS);
    struct sev_platform_chain second = chain_of(&r);
    assert_memory_equal(&first, &second, sizeof first);
    assert_status(SIMPLE(&r, PDH_GEN), SUCCESS);
    u8 changed[KIB(32)];
    rig_get(&r, AT_NV, changed, sizeof changed);
    assert_memory_not_equal(area, changed, sizeof area);
    assert_status(SIMPLE(&r, SHUTDOWN), SUCCESS);
    changed[200] ^= 1;
    rig_put(&r, AT_NV, changed, sizeof changed);
    assert_status(COMMAND(&r, INIT_EX, in), SECURE_DATA_INVALID);
    assert_status(COMMAND(&r, INIT_EX, in), SUCCESS);
    rig_destroy(&r);
}

/* Whatever INIT kept in the flash and INIT_EX in the host's area is gone. */
static void a_reset_leaves_no_store_anywhere(void **state)
{
    (void)state;
    struct rig r;
    u8 area[KIB(32)];
    rig_create(&r);
    rig_init(&r, false);
    assert_status(SIMPLE(&r, SHUTDOWN), SUCCESS);
    struct sev_init_ex in = init_ex_buffer();
    assert_status(COMMAND(&r, INIT_EX, in), SUCCESS);
    assert_status(SIMPLE(&r, SHUTDOWN), SUCCESS);
    assert_true(r.blob_size > 0);
    assert_status(SIMPLE(&r, PLATFORM_RESET), SUCCESS);
    rig_get(&r, AT_NV, area, sizeof area);
    assert_true(all_zero(area, sizeof area));
    assert_int_equal(r.blob_size, 0);
    rig_destroy(&r);
}

static void init_ex_checks_its_buffer(void **state)
{
    (void)state;
    struct rig r;
    rig_create(&r);
    struct sev_init_ex in = init_ex_buffer();
    in.length = 0x20;
    assert_status(COMMAND(&r, INIT_EX, in), INVALID_LENGTH);
    in = init_ex_buffer();
    in.nv_len = KIB(32) - 1;
    assert_status(COMMAND(&r, INIT_EX, in), INVALID_LENGTH);
    in = init_ex_buffer();
    in.nv_paddr += 16;
    assert_status(COMMAND(&r, INIT_EX, in), INVALID_ADDRESS);
    in.nv_paddr = RIG_MEMORY - PAGE_SIZE;
    assert_status(COMMAND(&r, INIT_EX, in), INVALID_ADDRESS);
    in = init_ex_buffer();
    in.options = SEV_OPTIONS_ES;
    in.tmr_paddr = AT_NV;
    in.tmr_len = MIB(1);
    assert_status(COMMAND(&r, INIT_EX, in), INVALID_ADDRESS);
    assert_rule(&r, "rule=\"TMR and store area overlap\"");
    rig_destroy(&r);
}

/* --- Keys and certificates -------------------------------------------------------------------- */

static void the_chain_is_what_real_firmware_exports(void **state)
{
    (void)state;
    struct rig r;
    rig_create(&r);
    rig_init(&r, false);
    struct sev_platform_chain c = chain_of(&r);
    /* [sev 8.2] */
    const struct {
        const struct sev_cert *cert;
        u32 usage, algorithm, slot1_usage, slot1_algorithm, slot2_usage, slot2_algorithm;
    } rows[] = {
        {&c.chain.oca, 0x1001, 2, 0x1001, 2, 0x1000, 0},
        {&c.chain.pek, 0x1002, 2, 0x1001, 2, 0x1004, 2},
        {&c.pdh, 0x1003, 3, 0x1002, 2, 0x1000, 0},
        {&c.chain.cek, 0x1004, 2, 0x1000, 0, 0x1000, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct sev_cert *cert = rows[i].cert;
        assert_int_equal(cert->version, 1);
        assert_int_equal(cert->api_major, 1);
        assert_int_equal(cert->api_minor, 55);
        assert_int_equal(cert->usage, rows[i].usage);
        assert_int_equal(cert->algorithm, rows[i].algorithm);
        assert_int_equal(cert->signatures[0].usage, rows[i].slot1_usage);
        assert_int_equal(cert->signatures[0].algorithm, rows[i].slot1_algorithm);
        assert_int_equal(cert->signatures[1].usage, rows[i].slot2_usage);
        assert_int_equal(cert->signatures[1].algorithm, rows[i].slot2_algorithm);
    }
    struct cert_verdict verdict = chain_verify_owner(&c);
    assert_int_equal(verdict.check, CERT_OK);
    assert_int_equal(sev_cert_verify(&c.chain.pek, &c.chain.cek), CERT_OK);
    rig_destroy(&r);
}

/* Fuses 00..1f [sev 14.7]; the X coordinate there is big-endian. */
static void the_cek_derives_from_the_fuses(void **state)
{
    (void)state;
    struct rig r;
    rig_create(&r);
    rig_init(&r, false);
    static const char expected[] =
        "74db39783b48981269814228627bfecccefd07873f3a87a9c7c529c82328c39d"
        "625ad35a74dd006d7aa5867711f5ecaf";
    struct sev_platform_chain c = chain_of(&r);
    char text[97];
    for (size_t i = 0; i < 48; i++)
        snprintf(text + 2 * i, 3, "%02x", c.chain.cek.ec.qx[47 - i]);
    assert_string_equal(text, expected);
    rig_destroy(&r);
}

static void pdh_gen_and_pek_gen_change_what_they_say(void **state)
{
    (void)state;
    struct rig r;
    rig_create(&r);
    rig_init(&r, false);
    struct sev_platform_chain a = chain_of(&r);
    assert_status(SIMPLE(&r, PDH_GEN), SUCCESS);
    struct sev_platform_chain b = chain_of(&r);
    assert_false(same(&a.pdh, &b.pdh));
    assert_memory_equal(&a.chain, &b.chain, sizeof a.chain);
    assert_status(SIMPLE(&r, PEK_GEN), SUCCESS);
    struct sev_platform_chain c = chain_of(&r);
    assert_false(same(&b.pdh, &c.pdh));
    assert_false(same(&b.chain.pek, &c.chain.pek));
    assert_false(same(&b.chain.oca, &c.chain.oca));
    assert_true(same(&b.chain.cek, &c.chain.cek));
    assert_int_equal(rig_pstate(&r), SEV_PSTATE_INIT);
    rig_restart(&r);
    rig_init(&r, false);
    a = chain_of(&r);
    assert_memory_equal(&a, &c, sizeof a);
    rig_destroy(&r);
}

static void lengths_are_told(void **state)
{
    (void)state;
    struct rig r;
    rig_create(&r);
    rig_init(&r, false);
    for (u32 len = 0; len <= 0x823; len += 0x823) {
        struct sev_buffer csr = {.paddr = 0, .len = len};
        assert_status(COMMAND(&r, PEK_CSR, csr), INVALID_LENGTH);
        assert_int_equal(csr.len, 0x824);
    }
    struct sev_buffer id = {.paddr = 0, .len = 0x3f};
    assert_status(COMMAND(&r, GET_ID, id), INVALID_LENGTH);
    assert_int_equal(id.len, 0x40);
    static const u32 lengths[][2] = {{0, 0}, {0x824, 0x186b}, {0x823, 0x186c}};
    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        struct sev_pdh_cert_export in = {.pdh_len = lengths[i][0], .chain_len = lengths[i][1]};
        assert_status(COMMAND(&r, PDH_CERT_EXPORT, in), INVALID_LENGTH);
        assert_int_equal(in.pdh_len, 0x824);
        assert_int_equal(in.chain_len, 0x186c);
    }
    struct sev_pdh_cert_export larger = {
        .pdh_paddr = AT_CERT, .pdh_len = 0x1000, .chain_paddr = AT_CHAIN, .chain_len = 0x2000};
    assert_status(COMMAND(&r, PDH_CERT_EXPORT, larger), SUCCESS);
    assert_int_equal(larger.pdh_len, 0x824);
    assert_int_equal(larger.chain_len, 0x186c);
    rig_destroy(&r);
}

static void nothing_is_written_before_all_addresses_are_right(void **state)
{
    (void)state;
    struct rig r;
    rig_create(&r);
    rig_init(&r, false);
    static const u8 zeros[64];
    u8 bytes[64];
    struct sev_pdh_cert_export in = {
        .pdh_paddr = AT_OUT, .pdh_len = 0x824, .chain_paddr = RIG_MEMORY, .chain_len = 0x186c};
    assert_status(COMMAND(&r, PDH_CERT_EXPORT, in), INVALID_ADDRESS);
    rig_get(&r, AT_OUT, bytes, sizeof bytes);
    assert_memory_equal(bytes, zeros, sizeof bytes);
    in = (struct sev_pdh_cert_export){
        .pdh_paddr = RIG_MEMORY, .pdh_len = 0x824, .chain_paddr = AT_OUT, .chain_len = 0x186c};
    assert_status(COMMAND(&r, PDH_CERT_EXPORT, in), INVALID_ADDRESS);
    rig_get(&r, AT_OUT, bytes, sizeof bytes);
    assert_memory_equal(bytes, zeros, sizeof bytes);
    rig_destroy(&r);
}

static void the_chip_id_is_one_sockets(void **state)
{
    (void)state;
    struct rig r;
    rig_create(&r);
    u8 id[64], x[32], y[32];
    struct sev_buffer in = {.paddr = AT_OUT, .len = 64};
    assert_status(COMMAND(&r, GET_ID, in), SUCCESS);
    rig_get(&r, AT_OUT, id, sizeof id);
    assert_true(crypto_secp256k1_public(r.config.fuses, x, y));
    assert_memory_equal(id, "SSEV", 4); /* a mark over the point's first bytes */
    assert_memory_equal(id + 4, x + 4, 28);
    assert_memory_equal(id + 32, y, 32);
    rig_destroy(&r);
}

static void an_image_is_accepted_and_changes_nothing(void **state)
{
    (void)state;
    struct rig r;
    rig_create(&r);
    struct sev_buffer in = {.paddr = AT_OUT, .len = 0};
    assert_status(COMMAND(&r, DOWNLOAD_FIRMWARE, in), INVALID_LENGTH);
    in.len = KIB(128) + 1;
    assert_status(COMMAND(&r, DOWNLOAD_FIRMWARE, in), INVALID_LENGTH);
    in.len = KIB(64);
    in.paddr += 16;
    assert_status(COMMAND(&r, DOWNLOAD_FIRMWARE, in), INVALID_ADDRESS);
    in.paddr = AT_OUT;
    assert_status(COMMAND(&r, DOWNLOAD_FIRMWARE, in), SUCCESS);
    assert_int_equal(status_of(&r).build, 25);
    /* The first parts' images have at most 64 KiB. */
    r.config.profile = firmware_profile_find("rome");
    rig_restart(&r);
    assert_status(COMMAND(&r, DOWNLOAD_FIRMWARE, in), SUCCESS);
    in.len++;
    assert_status(COMMAND(&r, DOWNLOAD_FIRMWARE, in), INVALID_LENGTH);
    rig_destroy(&r);
}

/* --- Ownership -------------------------------------------------------------------------------- */

struct owner {
    struct ec_private key;
    struct sev_cert oca, pek; /* the PEK as it was asked for, signed */
};

static struct owner make_owner(struct rig *r)
{
    struct owner o;
    struct sev_buffer csr = {.paddr = AT_OUT, .len = SEV_CERT_SIZE};
    assert_status(COMMAND(r, PEK_CSR, csr), SUCCESS);
    assert_int_equal(csr.len, SEV_CERT_SIZE);
    rig_get(r, AT_OUT, &o.pek, sizeof o.pek);
    assert_true(crypto_ec_generate(r->crypto, &o.key));
    sev_cert_init(&o.oca, SEV_USAGE_OCA, SEV_ALGORITHM_ECDSA_SHA256, 0, 0, &o.key.public);
    assert_true(sev_cert_sign(r->crypto, &o.oca, 0, SEV_USAGE_OCA, &o.key));
    assert_true(sev_cert_sign(r->crypto, &o.pek, 0, SEV_USAGE_OCA, &o.key));
    return o;
}

static u32 import(struct rig *r, const struct owner *o)
{
    rig_put(r, AT_CERT, &o->pek, sizeof o->pek);
    rig_put(r, AT_CHAIN, &o->oca, sizeof o->oca);
    struct sev_pek_cert_import in = {.pek_paddr = AT_CERT,
                                     .pek_len = SEV_CERT_SIZE,
                                     .oca_paddr = AT_CHAIN,
                                     .oca_len = SEV_CERT_SIZE};
    return COMMAND(r, PEK_CERT_IMPORT, in);
}

static void a_csr_has_two_empty_slots(void **state)
{
    (void)state;
    struct rig r;
    rig_create(&r);
    rig_init(&r, false);
    struct sev_buffer in = {.paddr = AT_OUT, .len = SEV_CERT_SIZE};
    assert_status(COMMAND(&r, PEK_CSR, in), SUCCESS);
    struct sev_cert csr;
    rig_get(&r, AT_OUT, &csr, sizeof csr);
    static const u8 zeros[512];
    assert_int_equal(csr.usage, 0x1002);
    for (int slot = 0; slot < 2; slot++) {
        assert_int_equal(csr.signatures[slot].usage, 0x1000);
        assert_int_equal(csr.signatures[slot].algorithm, 0);
        assert_memory_equal(csr.signatures[slot].bytes, zeros, sizeof zeros);
    }
    rig_destroy(&r);
}

static void an_owner_takes_the_platform(void **state)
{
    (void)state;
    struct rig r;
    rig_create(&r);
    rig_init(&r, false);
    struct sev_platform_chain before = chain_of(&r);
    struct owner o = make_owner(&r);
    assert_status(import(&r, &o), SUCCESS);
    assert_int_equal(status_of(&r).owner, 1);
    struct sev_platform_chain after = chain_of(&r);
    assert_true(same(&after.chain.oca, &o.oca));
    assert_false(same(&after.pdh, &before.pdh));
    assert_int_equal(chain_verify_owner(&after).check, CERT_OK);
    assert_int_equal(sev_cert_verify(&after.chain.pek, &after.chain.cek), CERT_OK);
    static const u8 zeros[48];
    assert_memory_equal(r.fw->identity.oca_key.d, zeros, 48);
    assert_status(import(&r, &o), ALREADY_OWNED);
    rig_restart(&r);
    assert_int_equal(status_of(&r).owner, 0);
    rig_init(&r, false);
    assert_int_equal(status_of(&r).owner, 1);
    assert_status(SIMPLE(&r, PDH_GEN), SUCCESS);
    assert_int_equal(status_of(&r).owner, 1);
    assert_status(SIMPLE(&r, PEK_GEN), SUCCESS);
    assert_int_equal(status_of(&r).owner, 0);
    rig_destroy(&r);
}

/* Nobody makes such an OCA, but the format has it [sev 7.2]. */
static void an_owners_key_may_be_rsa(void **state)
{
    (void)state;
    struct rig r;
    struct rsa_public public;
    rig_create(&r);
    rig_init(&r, false);
    struct owner o = make_owner(&r);
    struct rsa_private *key = crypto_rsa_generate(r.crypto, 2048);
    assert_non_null(key);
    crypto_rsa_public(key, &public);
    o.oca.algorithm = SEV_ALGORITHM_RSA_SHA256;
    memset(&o.oca.rsa, 0, sizeof o.oca.rsa);
    o.oca.rsa.modulus_bits = 2048;
    memcpy(o.oca.rsa.exponent, public.exponent, sizeof public.exponent);
    memcpy(o.oca.rsa.modulus, public.modulus, sizeof public.modulus);
    assert_true(sev_cert_sign_rsa(r.crypto, &o.oca, 0, SEV_USAGE_OCA, key) &&
                sev_cert_sign_rsa(r.crypto, &o.pek, 0, SEV_USAGE_OCA, key));
    struct owner bad = o;
    bad.oca.rsa.modulus_bits = 0xffffffff;
    assert_status(import(&r, &bad), INVALID_CERTIFICATE);
    bad = o, bad.pek.signatures[0].rsa[7] ^= 1;
    assert_status(import(&r, &bad), BAD_SIGNATURE);
    assert_status(import(&r, &o), SUCCESS);
    rig_restart(&r);
    rig_init(&r, false);
    struct sev_platform_chain chain = chain_of(&r);
    assert_true(same(&chain.chain.oca, &o.oca));
    assert_int_equal(chain_verify_owner(&chain).check, CERT_OK);
    crypto_rsa_free(key);
    rig_destroy(&r);
}

static void the_owners_signature_may_be_in_either_slot(void **state)
{
    (void)state;
    struct rig r;
    rig_create(&r);
    rig_init(&r, false);
    struct owner o = make_owner(&r);
    o.pek.signatures[1] = o.pek.signatures[0];
    sev_cert_clear_slot(&o.pek, 0);
    assert_status(import(&r, &o), SUCCESS);
    struct sev_platform_chain c = chain_of(&r);
    assert_int_equal(chain_verify_owner(&c).check, CERT_OK);
    assert_int_equal(sev_cert_verify(&c.chain.pek, &c.chain.cek), CERT_OK);
    rig_destroy(&r);
}

static void an_import_that_is_wrong_is_refused(void **state)
{
    (void)state;
    struct rig r;
    rig_create(&r);
    rig_init(&r, false);
    struct sev_platform_chain before = chain_of(&r);
    struct owner good = make_owner(&r), bad = good;
    struct sev_pek_cert_import in = {.pek_len = 0x824, .oca_len = 0x823};
    assert_status(COMMAND(&r, PEK_CERT_IMPORT, in), INVALID_LENGTH);
    bad.oca.version = 2;
    assert_status(import(&r, &bad), INVALID_CERTIFICATE);
    bad = good;
    bad.pek.usage = SEV_USAGE_PDH;
    assert_status(import(&r, &bad), INVALID_CERTIFICATE);
    bad = good;
    bad.pek.api_minor++;
    assert_status(import(&r, &bad), INVALID_CERTIFICATE);
    assert_rule(&r, "rule=\"the PEK is not the platform's: key or header differ from PEK_CSR's\"");
    bad = good;
    bad.pek.signatures[0].ec.s[3] ^= 4;
    assert_status(import(&r, &bad), BAD_SIGNATURE);
    assert_rule(&r, "rule=\"the PEK is not signed by the OCA\"");
    bad = good;
    bad.oca.signatures[0].ec.r[7] ^= 4;
    assert_status(import(&r, &bad), BAD_SIGNATURE);
    assert_rule(&r, "rule=\"the OCA is not signed by itself");
    struct sev_platform_chain after = chain_of(&r);
    assert_memory_equal(&before, &after, sizeof before);
    rig_launch(&r, 0);
    assert_status(import(&r, &good), INVALID_PLATFORM_STATE);
    rig_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_says_what_the_platform_is),
        cmocka_unit_test(es_needs_a_tmr),
        cmocka_unit_test(the_identity_outlives_power_off_and_shutdown),
        cmocka_unit_test(a_damaged_store_stays_until_a_reset),
        cmocka_unit_test(a_store_that_cannot_be_loaded_is_left_alone),
        cmocka_unit_test(another_chip_cannot_read_the_store),
        cmocka_unit_test(the_store_does_not_show_the_private_keys),
        cmocka_unit_test(a_store_that_cannot_be_written_changes_nothing),
        cmocka_unit_test(init_ex_keeps_the_store_in_the_hosts_area),
        cmocka_unit_test(a_reset_leaves_no_store_anywhere),
        cmocka_unit_test(init_ex_checks_its_buffer),
        cmocka_unit_test(the_chain_is_what_real_firmware_exports),
        cmocka_unit_test(the_cek_derives_from_the_fuses),
        cmocka_unit_test(pdh_gen_and_pek_gen_change_what_they_say),
        cmocka_unit_test(lengths_are_told),
        cmocka_unit_test(nothing_is_written_before_all_addresses_are_right),
        cmocka_unit_test(the_chip_id_is_one_sockets),
        cmocka_unit_test(an_image_is_accepted_and_changes_nothing),
        cmocka_unit_test(a_csr_has_two_empty_slots),
        cmocka_unit_test(an_owner_takes_the_platform),
        cmocka_unit_test(an_owners_key_may_be_rsa),
        cmocka_unit_test(the_owners_signature_may_be_in_either_slot),
        cmocka_unit_test(an_import_that_is_wrong_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
