/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launch of a guest: the known answers of [sev 14.2], refusals with their rules, activation and
 * ASIDs [sev 5.3], secrets, key sharing, debugging, attestation.
 */
#include "rig.h"

#include "base/bytes.h"

/* --- The session of [sev 14.2]: private scalars 2 (owner) and 3 (platform) -------------------- */

static const struct {
    const char *wrap_tk, *wrap_mac, *policy_mac, *session_sha256;
    const char *digest, *measure, *data, *mac;
} answer = {
    .wrap_tk = "20806cbf948e316af54156d2a5def118add55f5190e99c1ae00864a98ff0986c",
    .wrap_mac = "59709bd2d92768c5046ce39f759a025db6a8272deaf18aac2a8d9a09c1a61f2e",
    .policy_mac = "18ae664352701bbdbf8ecfa2e0cb740bf8754f42df613bdffb55de31fa6b460c",
    .session_sha256 = "e199b04639f8556bfa741d57216f94792f74ca50d2f5adf44fc41a5328be13b5",
    .digest = "374708fff7719dd5979ec875d56cd2286f6d3cf7ec317a3b25632aab28ec37bb",
    .measure = "ebff5b2259f8746da1fb6fe15a24ecf0872629f86d0042689871f343268bae53",
    .data = "d28577b59d7fcf15fa45d52aa4ecf355",
    .mac = "bb9da19609bd64c0484f53f6034ed99a2e2433c9d278be8ec8d90bb568776402",
};

static void count_up(u8 *out, u8 from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (u8)(from + i);
}

static void from_hex(void *out, size_t size, const char *text)
{
    assert_true(hex_decode(out, size, text));
}

static void assert_hex(const void *data, size_t size, const char *expected)
{
    char text[200];
    hex_encode(text, data, size);
    assert_string_equal(text, expected);
}

static void scalar(struct ec_private *key, u8 value)
{
    u8 d[48] = {value};
    assert_true(crypto_ec_from_scalar(d, key));
}

static struct sev_session known_session(void)
{
    struct sev_session s;
    count_up(s.nonce, 0x00, 16);
    count_up(s.wrap_iv, 0x30, 16);
    from_hex(s.wrap_tk, 32, answer.wrap_tk);
    from_hex(s.wrap_mac, 32, answer.wrap_mac);
    from_hex(s.policy_mac, 32, answer.policy_mac);
    u8 hash[32];
    crypto_sha256(&s, sizeof s, hash);
    assert_hex(hash, sizeof hash, answer.session_sha256);
    return s;
}

/* A platform whose PDH is scalar 3, and the owner's certificate (scalar 2)
 * and session in its memory. */
static int known_platform(void **state)
{
    rig_setup(state);
    struct rig *r = *state;
    struct identity id;
    assert_true(identity_make(r->fw, &id));
    scalar(&id.pdh_key, 3);
    sev_cert_init(&id.pdh, SEV_USAGE_PDH, SEV_ALGORITHM_ECDH_SHA256, 1, 55, &id.pdh_key.public);
    r->blob_size = store_seal(r->fw, &id, r->blob, sizeof r->blob);
    rig_init(r, false);
    struct ec_private owner;
    struct sev_cert godh;
    scalar(&owner, 2);
    sev_cert_init(&godh, SEV_USAGE_PDH, SEV_ALGORITHM_ECDH_SHA256, 0, 0, &owner.public);
    struct sev_session session = known_session();
    rig_put(r, AT_CERT, &godh, sizeof godh);
    rig_put(r, AT_SESSION, &session, sizeof session);
    return 0;
}

static struct sev_start known_start(void)
{
    return (struct sev_start){.policy = 1,
                              .dh_cert_paddr = AT_CERT,
                              .dh_cert_len = SEV_CERT_SIZE,
                              .session_paddr = AT_SESSION,
                              .session_len = SEV_SESSION_SIZE};
}

/* The formula of [sev 7.5], written out. */
static void measure_by_hand(const u8 digest[32], const u8 mnonce[16], u8 measure[32])
{
    u8 tik[16], message[56] = {0x04, 1, 55, 25, 1, 0, 0, 0};
    count_up(tik, 0x20, 16);
    memcpy(message + 8, digest, 32);
    memcpy(message + 40, mnonce, 16);
    crypto_hmac_sha256(tik, sizeof tik, message, sizeof message, measure);
}

/* The packet of [sev 7.6], written out; `measure` is the guest's. */
static void secret_by_hand(const u8 measure[32], const u8 plain[16], u8 data[16],
                           struct sev_packet_header *header)
{
    u8 tek[16], tik[16], message[1 + 4 + 16 + 4 + 4 + 16 + 32];
    count_up(tek, 0x10, 16);
    count_up(tik, 0x20, 16);
    *header = (struct sev_packet_header){.flags = 0};
    count_up(header->iv, 0x50, 16);
    crypto_aes128_ctr(tek, header->iv, plain, data, 16);
    struct writer w = writer_of(message, sizeof message);
    write_u8(&w, 1);
    write_u32(&w, 0);
    write_bytes(&w, header->iv, 16);
    write_u32(&w, 16);
    write_u32(&w, 16);
    write_bytes(&w, data, 16);
    write_bytes(&w, measure, 32);
    assert_true(!w.bad && w.at == sizeof message);
    crypto_hmac_sha256(tik, sizeof tik, message, sizeof message, header->mac);
}

static void the_formulas_by_hand_give_the_published_answers(void **state)
{
    (void)state;
    u8 digest[32], mnonce[16], measure[32], plain[16], data[16];
    struct sev_packet_header header;
    from_hex(digest, 32, answer.digest);
    count_up(mnonce, 0x40, 16);
    measure_by_hand(digest, mnonce, measure);
    assert_hex(measure, 32, answer.measure);
    count_up(plain, 0x60, 16);
    secret_by_hand(measure, plain, data, &header);
    assert_hex(data, 16, answer.data);
    assert_hex(header.mac, 32, answer.mac);
}

static void a_launch_gives_the_known_digest_and_takes_the_known_secret(void **state)
{
    struct rig *r = *state;
    struct sev_start start = known_start();
    assert_status(COMMAND(r, LAUNCH_START, start), SUCCESS);
    assert_rule(
        r,
        "LAUNCH_START status=SUCCESS policy=0x1 new=1 guest=UNINIT>LUPDATE platform=INIT>WORKING");
    u32 guest = start.handle;
    assert_int_equal(rig_gstate(r, guest), SEV_GSTATE_LUPDATE);
    assert_int_equal(rig_pstate(r), SEV_PSTATE_WORKING);
    assert_status(rig_activate(r, guest, 7), SUCCESS);
    assert_status(rig_update(r, guest, AT_GUEST, 16), SUCCESS);

    struct sev_measure out;
    assert_status(rig_measure(r, guest, &out), SUCCESS);
    u8 digest[32], measure[32];
    from_hex(digest, 32, answer.digest);
    measure_by_hand(digest, out.mnonce, measure);
    assert_memory_equal(out.measure, measure, 32);

    u8 plain[16], data[16], found[16];
    struct sev_packet_header header;
    count_up(plain, 0x60, 16);
    secret_by_hand(measure, plain, data, &header);
    rig_put(r, AT_HEADER, &header, sizeof header);
    rig_put(r, AT_PACKET, data, sizeof data);
    struct sev_packet secret = {.handle = guest,
                                .hdr_paddr = AT_HEADER,
                                .hdr_len = sizeof header,
                                .guest_paddr = AT_GUEST + 0x100,
                                .guest_len = 16,
                                .trans_paddr = AT_PACKET,
                                .trans_len = 16};
    assert_status(COMMAND(r, LAUNCH_SECRET, secret), SUCCESS);
    memory_read(r->memory, AT_GUEST + 0x100, 7, found, 16);
    assert_memory_equal(found, plain, 16);
    rig_get(r, AT_GUEST + 0x100, found, 16);
    assert_memory_not_equal(found, plain, 16);

    header.mac[31] ^= 1;
    rig_put(r, AT_HEADER, &header, sizeof header);
    assert_status(COMMAND(r, LAUNCH_SECRET, secret), BAD_MEASUREMENT);
    assert_rule(r, "rule=\"the packet's MAC is not that of this guest's session and measurement");

    assert_status(rig_handle(r, SEV_CMD_LAUNCH_FINISH, guest), SUCCESS);
    assert_int_equal(rig_gstate(r, guest), SEV_GSTATE_RUNNING);
}

static void a_session_for_another_platform_or_policy_is_refused(void **state)
{
    struct rig *r = *state;
    struct sev_start start = known_start();
    start.policy = 0;
    assert_status(COMMAND(r, LAUNCH_START, start), BAD_MEASUREMENT);
    assert_rule(r, "rule=\"POLICY_MAC: the session was made for another policy");
    assert_int_equal(start.handle, 0);
    assert_int_equal(rig_pstate(r), SEV_PSTATE_INIT);

    assert_status(SIMPLE(r, PDH_GEN), SUCCESS);
    start = known_start();
    assert_status(COMMAND(r, LAUNCH_START, start), BAD_MEASUREMENT);
    assert_rule(r, "rule=\"WRAP_MAC: the session was made for another PDH, or changed");
}

static void a_godh_certificate_is_looked_at(void **state)
{
    struct rig *r = *state;
    static const struct {
        u32 at;
        u8 value;
    } wrong[] = {{0x00, 2}, {0x08, 2}, {0x0c, 2}, {0x10, 1}, {0x14, 0xff}};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        u8 old;
        rig_get(r, AT_CERT + wrong[i].at, &old, 1);
        rig_put(r, AT_CERT + wrong[i].at, &wrong[i].value, 1);
        struct sev_start start = known_start();
        assert_status(COMMAND(r, LAUNCH_START, start), INVALID_CERTIFICATE);
        assert_rule(r, "rule=\"DH certificate: ");
        rig_put(r, AT_CERT + wrong[i].at, &old, 1);
    }
}

static void launch_start_checks_lengths_before_policy_and_policy_before_addresses(void **state)
{
    struct rig *r = *state;
    struct sev_start start = known_start();
    start.policy = 0x3c010000; /* API 1.60 */
    start.session_paddr = RIG_MEMORY;
    start.session_len = 0x7f;
    assert_status(COMMAND(r, LAUNCH_START, start), INVALID_LENGTH);
    start.session_len = 0x80;
    start.dh_cert_len = 0x823;
    assert_status(COMMAND(r, LAUNCH_START, start), INVALID_LENGTH);
    start.dh_cert_len = 0x824;
    assert_status(COMMAND(r, LAUNCH_START, start), POLICY_FAILURE);
    assert_rule(r, "rule=\"policy asks for API 1.60, firmware is 1.55\"");
    start.policy = SEV_POLICY_ES;
    assert_status(COMMAND(r, LAUNCH_START, start), UNSUPPORTED);
    start.policy = 1;
    assert_status(COMMAND(r, LAUNCH_START, start), INVALID_ADDRESS);
    assert_rule(r, "rule=\"session 0x800000 and 128 bytes are not inside memory\"");
    start.session_paddr = AT_SESSION;
    assert_status(COMMAND(r, LAUNCH_START, start), SUCCESS);
}

/* [sev 5.4]: fw.major > policy.major, or equal and fw.minor >= policy.minor;
 * the firmware is 1.55. */
static void the_api_version_of_a_policy_is_compared(void **state)
{
    struct rig *r = *state;
    static const struct {
        u32 policy;
        bool allowed;
    } cases[] = {{0x00000000, true}, {0x37010000, true},  {0x38010000, false},
                 {0xff000000, true}, {0x00020000, false}, {0x36010000, true}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct sev_start in = {.policy = cases[i].policy};
        assert_int_equal(COMMAND(r, LAUNCH_START, in),
                         cases[i].allowed ? SEV_STATUS_SUCCESS : SEV_STATUS_POLICY_FAILURE);
    }
}

/* --- Activation ------------------------------------------------------------------------------- */

static void asids_have_ranges_and_one_owner(void **state)
{
    struct rig *r = *state;
    u32 plain = rig_launch(r, 0), other = rig_launch(r, 0), es = rig_launch(r, SEV_POLICY_ES);
    for (u32 asid = 0; asid <= RIG_ASIDS + 2; asid++) {
        bool legal = asid >= RIG_ASID_MIN && asid <= RIG_ASIDS;
        u32 status = rig_activate(r, plain, asid);
        assert_int_equal(status, legal ? SEV_STATUS_SUCCESS : SEV_STATUS_INVALID_ASID);
        if (!legal)
            continue;
        assert_status(rig_activate(r, plain, asid), ACTIVE);
        assert_status(rig_activate(r, other, asid), ASID_OWNED);
        assert_status(rig_handle(r, SEV_CMD_DECOMMISSION, plain), ACTIVE);
        assert_status(rig_handle(r, SEV_CMD_DEACTIVATE, plain), SUCCESS);
        assert_status(rig_handle(r, SEV_CMD_DEACTIVATE, plain), INACTIVE);
        rig_flush(r);
    }
    for (u32 asid = 0; asid <= RIG_ASIDS; asid++) {
        bool legal = asid >= 1 && asid < RIG_ASID_MIN;
        assert_int_equal(rig_activate(r, es, asid),
                         legal ? SEV_STATUS_SUCCESS : SEV_STATUS_INVALID_ASID);
        if (legal)
            assert_status(rig_handle(r, SEV_CMD_DEACTIVATE, es), SUCCESS);
    }
}

static void an_asid_is_used_again_only_after_wbinvd_and_df_flush(void **state)
{
    struct rig *r = *state;
    struct sev_init in = {.options = 0};
    assert_status(COMMAND(r, INIT, in), SUCCESS);
    u32 guest = rig_launch(r, 0);
    assert_status(rig_activate(r, guest, 6), DFFLUSH_REQUIRED);
    assert_status(SIMPLE(r, DF_FLUSH), WBINVD_REQUIRED);
    firmware_wbinvd(r->fw, 0);
    assert_status(SIMPLE(r, DF_FLUSH), WBINVD_REQUIRED);
    assert_rule(r, "rule=\"cores 0x2 have not executed WBINVD\"");
    firmware_wbinvd(r->fw, 1);
    assert_status(SIMPLE(r, DF_FLUSH), SUCCESS);
    assert_status(rig_activate(r, guest, 6), SUCCESS);
    assert_status(rig_handle(r, SEV_CMD_DEACTIVATE, guest), SUCCESS);
    /* DEACTIVATE clears the indicator and marks its own ASID alone. */
    assert_status(rig_activate(r, guest, 6), DFFLUSH_REQUIRED);
    assert_status(SIMPLE(r, DF_FLUSH), WBINVD_REQUIRED);
    assert_status(rig_activate(r, guest, 7), SUCCESS);
}

static void the_key_is_in_its_slot_while_the_guest_is_active(void **state)
{
    struct rig *r = *state;
    u32 guest = rig_launch(r, 0);
    static const u8 text[16] = "sixteen  letters";
    u8 bytes[16];
    assert_status(rig_update(r, guest, AT_GUEST, 16), INACTIVE);
    assert_status(rig_activate(r, guest, 9), SUCCESS);
    assert_true(memory_key_loaded(r->memory, 9));
    rig_put(r, AT_GUEST, text, 16);
    assert_status(rig_update(r, guest, AT_GUEST | RIG_C_BIT, 16), SUCCESS);
    rig_get(r, AT_GUEST, bytes, 16);
    assert_memory_not_equal(bytes, text, 16);
    assert_status(rig_handle(r, SEV_CMD_DEACTIVATE, guest), SUCCESS);
    assert_false(memory_key_loaded(r->memory, 9));
    memory_read(r->memory, AT_GUEST, 9, bytes, 16);
    assert_memory_not_equal(bytes, text, 16);
    /* The key lives on in the context: another ASID gives the same view. */
    assert_status(rig_activate(r, guest, 10), SUCCESS);
    memory_read(r->memory, AT_GUEST, 10, bytes, 16);
    assert_memory_equal(bytes, text, 16);
    assert_status(SIMPLE(r, SHUTDOWN), SUCCESS);
    assert_false(memory_key_loaded(r->memory, 10));
}

static void the_last_decommission_ends_working(void **state)
{
    struct rig *r = *state;
    u32 a = rig_launch(r, 0), b = rig_launch(r, 0);
    assert_int_not_equal(a, b);
    assert_status(rig_handle(r, SEV_CMD_DECOMMISSION, a), SUCCESS);
    assert_int_equal(rig_pstate(r), SEV_PSTATE_WORKING);
    assert_status(rig_handle(r, SEV_CMD_DECOMMISSION, a), INVALID_GUEST);
    assert_status(rig_handle(r, SEV_CMD_DECOMMISSION, b), SUCCESS);
    assert_rule(r, "platform=WORKING>INIT");
    assert_int_equal(rig_pstate(r), SEV_PSTATE_INIT);
}

static void contexts_run_out(void **state)
{
    struct rig *r = *state;
    for (u32 i = 0; i < FIRMWARE_GUESTS; i++)
        rig_launch(r, 0);
    struct sev_start in = {.policy = 0};
    assert_status(COMMAND(r, LAUNCH_START, in), RESOURCE_LIMIT);
}

static void a_key_is_shared_between_guests_of_one_policy_that_allows_it(void **state)
{
    struct rig *r = *state;
    u32 first = rig_launch(r, 0), closed = rig_launch(r, SEV_POLICY_NOKS);
    struct sev_start in = {.handle = 99};
    assert_status(COMMAND(r, LAUNCH_START, in), INVALID_GUEST);
    in = (struct sev_start){.handle = first, .policy = 1};
    assert_status(COMMAND(r, LAUNCH_START, in), POLICY_FAILURE);
    in = (struct sev_start){.handle = closed, .policy = SEV_POLICY_NOKS};
    assert_status(COMMAND(r, LAUNCH_START, in), POLICY_FAILURE);
    assert_rule(r, "rule=\"the policy has NOKS: keys are not shared\"");
    in = (struct sev_start){.handle = first};
    assert_status(COMMAND(r, LAUNCH_START, in), SUCCESS);
    assert_int_not_equal(in.handle, first);
    /* One key, one slot: the last to leave empties it. */
    assert_status(rig_activate(r, first, 8), SUCCESS);
    assert_status(rig_activate(r, in.handle, 8), SUCCESS);
    assert_status(rig_handle(r, SEV_CMD_DEACTIVATE, first), SUCCESS);
    assert_true(memory_key_loaded(r->memory, 8));
    assert_status(rig_handle(r, SEV_CMD_DEACTIVATE, in.handle), SUCCESS);
    assert_false(memory_key_loaded(r->memory, 8));
}

/* --- Updates, lengths, debugging -------------------------------------------------------------- */

static void updates_come_in_blocks_inside_memory(void **state)
{
    struct rig *r = *state;
    u32 guest = rig_launch(r, 0);
    assert_status(rig_update(r, guest, AT_GUEST, 0), INVALID_LENGTH);
    assert_status(rig_update(r, guest, AT_GUEST, 24), INVALID_LENGTH);
    assert_status(rig_update(r, guest, AT_GUEST, 32), INACTIVE);
    assert_status(rig_activate(r, guest, 5), SUCCESS);
    assert_status(rig_update(r, guest, AT_GUEST + 8, 16), INVALID_ADDRESS);
    assert_status(rig_update(r, guest, RIG_MEMORY - 16, 32), INVALID_ADDRESS);
    assert_status(rig_update(r, guest, ~15ull & ~RIG_C_BIT, 16), INVALID_ADDRESS);
    assert_status(rig_update(r, guest, AT_TMR - 16, 32), INVALID_ADDRESS);
    assert_rule(r, "is in the firmware's TMR");
    assert_status(rig_update(r, guest, AT_TMR - 32, 32), SUCCESS);
    struct sev_launch_range in = {.handle = guest, .paddr = AT_GUEST, .len = 0x1000};
    assert_status(COMMAND(r, LAUNCH_UPDATE_VMSA, in), POLICY_FAILURE);
    assert_rule(r, "rule=\"the guest's policy does not have ES\"");
    in.len = 0x800;
    assert_status(COMMAND(r, LAUNCH_UPDATE_VMSA, in), INVALID_LENGTH);
}

/* The digest covers bytes, not commands [sev 7.5]; a VMSA counts like data. */
static void splitting_an_update_does_not_change_the_digest(void **state)
{
    struct rig *r = *state;
    u8 page[2 * PAGE_SIZE], digest[2][32], whole[32];
    count_up(page, 1, sizeof page);
    for (int i = 0; i < 2; i++) {
        u32 guest = rig_launch(r, SEV_POLICY_ES);
        assert_status(rig_activate(r, guest, (u32)i + 1), SUCCESS);
        rig_put(r, AT_GUEST, page, sizeof page);
        struct sev_launch_range vmsa = {
            .handle = guest, .paddr = AT_GUEST + PAGE_SIZE, .len = PAGE_SIZE};
        if (i == 0) {
            assert_status(rig_update(r, guest, AT_GUEST, sizeof page), SUCCESS);
        } else {
            assert_status(rig_update(r, guest, AT_GUEST, 48), SUCCESS);
            assert_status(rig_update(r, guest, AT_GUEST + 48, PAGE_SIZE - 48), SUCCESS);
            assert_false(memory_vmsa_intact(r->memory, vmsa.paddr, (memory_key)(i + 1)));
            assert_status(COMMAND(r, LAUNCH_UPDATE_VMSA, vmsa), SUCCESS);
            assert_true(memory_vmsa_intact(r->memory, vmsa.paddr, (memory_key)(i + 1)));
        }
        struct sev_measure out;
        assert_status(rig_measure(r, guest, &out), SUCCESS);
        memcpy(digest[i], guest_find(r->fw, guest)->ld, 32);
        u8 bytes[16];
        memory_read(r->memory, AT_GUEST, (memory_key)(i + 1), bytes, 16);
        assert_memory_equal(bytes, page, 16);
    }
    crypto_sha256(page, sizeof page, whole);
    assert_memory_equal(digest[0], whole, 32);
    assert_memory_equal(digest[1], whole, 32);
}

static void lengths_that_are_too_small_come_back_right(void **state)
{
    struct rig *r = *state;
    u32 guest = rig_launch(r, 0);
    struct sev_launch_range measure = {.handle = guest, .paddr = RIG_MEMORY, .len = 0x2f};
    assert_status(COMMAND(r, LAUNCH_MEASURE, measure), INVALID_LENGTH);
    assert_int_equal(measure.len, 0x30);
    assert_int_equal(rig_gstate(r, guest), SEV_GSTATE_LUPDATE);
    assert_status(COMMAND(r, LAUNCH_MEASURE, measure), INVALID_ADDRESS);
    assert_int_equal(rig_gstate(r, guest), SEV_GSTATE_LUPDATE);
    measure.paddr = AT_OUT;
    measure.len = 0x1000;
    assert_status(COMMAND(r, LAUNCH_MEASURE, measure), SUCCESS);
    assert_int_equal(measure.len, 0x30);
    struct sev_attestation report = {.handle = guest, .len = 0};
    assert_status(COMMAND(r, ATTESTATION, report), INVALID_LENGTH);
    assert_int_equal(report.len, 0xd0);
}

static void secrets_have_their_lengths_checked(void **state)
{
    struct rig *r = *state;
    u32 guest = rig_launch(r, 0);
    struct sev_measure out;
    assert_status(rig_measure(r, guest, &out), SUCCESS);
    static const struct {
        u32 header, guest, trans;
        u32 status;
    } cases[] = {
        {0x34, 16, 16, SEV_STATUS_INACTIVE},
        {0x33, 16, 16, SEV_STATUS_INVALID_LENGTH},
        {0x34, 0, 0, SEV_STATUS_INVALID_LENGTH},
        {0x34, 16, 32, SEV_STATUS_INVALID_LENGTH},
        {0x34, 16385, 16385, SEV_STATUS_INVALID_LENGTH},
        {0x34, 16384, 16384, SEV_STATUS_INACTIVE},
        {0x34, 21, 21, SEV_STATUS_INACTIVE},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct sev_packet in = {.handle = guest,
                                .hdr_len = cases[i].header,
                                .guest_len = cases[i].guest,
                                .trans_len = cases[i].trans};
        assert_int_equal(COMMAND(r, LAUNCH_SECRET, in), cases[i].status);
    }
}

static void debug_commands_obey_the_policy(void **state)
{
    struct rig *r = *state;
    u32 open = rig_launch(r, 0), closed = rig_launch(r, SEV_POLICY_NODBG);
    struct sev_debug in = {.handle = closed, .src_paddr = AT_GUEST, .dst_paddr = AT_OUT, .len = 32};
    assert_status(COMMAND(r, DBG_DECRYPT, in), POLICY_FAILURE);
    assert_rule(r, "rule=\"the guest's policy has NODBG\"");
    assert_status(COMMAND(r, DBG_ENCRYPT, in), POLICY_FAILURE);
    in.handle = open;
    assert_status(COMMAND(r, DBG_DECRYPT, in), INACTIVE);
    assert_status(rig_activate(r, open, 5), SUCCESS);
    in.len = 33;
    assert_status(COMMAND(r, DBG_DECRYPT, in), INVALID_LENGTH);
    u8 text[PAGE_SIZE + 32], found[sizeof text];
    count_up(text, 3, sizeof text);
    memory_write(r->memory, AT_GUEST, 5, text, sizeof text);
    in.len = sizeof text;
    assert_status(COMMAND(r, DBG_DECRYPT, in), SUCCESS);
    rig_get(r, AT_OUT, found, sizeof found);
    assert_memory_equal(found, text, sizeof text);
    in = (struct sev_debug){
        .handle = open, .src_paddr = AT_OUT, .dst_paddr = AT_GUEST + 0x4000, .len = sizeof text};
    assert_status(COMMAND(r, DBG_ENCRYPT, in), SUCCESS);
    memory_read(r->memory, AT_GUEST + 0x4000, 5, found, sizeof found);
    assert_memory_equal(found, text, sizeof text);
}

static void copy_moves_plaintext_under_the_guests_key(void **state)
{
    struct rig *r = *state;
    u32 guest = rig_launch(r, 0);
    struct sev_measure out;
    assert_status(rig_activate(r, guest, 5), SUCCESS);
    u8 text[64], found[64];
    count_up(text, 9, sizeof text);
    rig_put(r, AT_GUEST, text, sizeof text);
    assert_status(rig_update(r, guest, AT_GUEST, sizeof text), SUCCESS);
    assert_status(rig_measure(r, guest, &out), SUCCESS);
    assert_status(rig_handle(r, SEV_CMD_LAUNCH_FINISH, guest), SUCCESS);
    struct sev_copy in = {
        .handle = guest, .len = sizeof text, .src_paddr = AT_GUEST, .dst_paddr = AT_GUEST + 16};
    assert_status(COMMAND(r, COPY, in), SUCCESS);
    memory_read(r->memory, AT_GUEST + 16, 5, found, sizeof found);
    assert_memory_equal(found, text, sizeof text);
}

static void a_report_is_signed_by_the_pek(void **state)
{
    struct rig *r = *state;
    u32 guest = rig_launch(r, 0x1);
    struct sev_measure out;
    assert_status(rig_measure(r, guest, &out), SUCCESS);
    assert_status(rig_handle(r, SEV_CMD_LAUNCH_FINISH, guest), SUCCESS);
    struct sev_attestation in = {.handle = guest, .paddr = AT_OUT, .len = SEV_ATTESTATION_SIZE};
    count_up(in.mnonce, 0x70, 16);
    assert_status(COMMAND(r, ATTESTATION, in), SUCCESS);
    struct sev_attestation_report report;
    rig_get(r, AT_OUT, &report, sizeof report);
    u8 empty[32];
    crypto_sha256(NULL, 0, empty);
    assert_memory_equal(report.mnonce, in.mnonce, 16);
    assert_memory_equal(report.launch_digest, empty, 32);
    assert_int_equal(report.policy, 1);
    assert_int_equal(report_verify(&report, &r->fw->identity.pek), CERT_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_formulas_by_hand_give_the_published_answers),
        ON_RIG(a_launch_gives_the_known_digest_and_takes_the_known_secret, known_platform),
        ON_RIG(a_session_for_another_platform_or_policy_is_refused, known_platform),
        ON_RIG(a_godh_certificate_is_looked_at, known_platform),
        ON_RIG(launch_start_checks_lengths_before_policy_and_policy_before_addresses,
               known_platform),
        ON_RIG(the_api_version_of_a_policy_is_compared, rig_setup_init),
        ON_RIG(asids_have_ranges_and_one_owner, rig_setup_init_es),
        ON_RIG(an_asid_is_used_again_only_after_wbinvd_and_df_flush, rig_setup),
        ON_RIG(the_key_is_in_its_slot_while_the_guest_is_active, rig_setup_init),
        ON_RIG(the_last_decommission_ends_working, rig_setup_init),
        ON_RIG(contexts_run_out, rig_setup_init),
        ON_RIG(a_key_is_shared_between_guests_of_one_policy_that_allows_it, rig_setup_init),
        ON_RIG(updates_come_in_blocks_inside_memory, rig_setup_init_es),
        ON_RIG(splitting_an_update_does_not_change_the_digest, rig_setup_init_es),
        ON_RIG(lengths_that_are_too_small_come_back_right, rig_setup_init),
        ON_RIG(secrets_have_their_lengths_checked, rig_setup_init),
        ON_RIG(debug_commands_obey_the_policy, rig_setup_init),
        ON_RIG(copy_moves_plaintext_under_the_guests_key, rig_setup_init),
        ON_RIG(a_report_is_signed_by_the_pek, rig_setup_init),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
