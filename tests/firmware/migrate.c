/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SEND and RECEIVE [sev 5.4, 7.7]: a guest's page goes from one platform to another, and what each
 * policy asks of the target.
 */
#include "rig.h"

/* Copies what the host would carry from one machine to the other. */
static void carry(struct rig *from, struct rig *to, u64 at, size_t size)
{
    u8 bytes[KIB(16)];
    assert_true(size <= sizeof bytes);
    rig_get(from, at, bytes, size);
    rig_put(to, at, bytes, size);
}

/* A running guest with ASID 5 whose page at AT_GUEST holds `text`. */
static u32 running_guest(struct rig *r, u32 policy, const u8 *text, u32 size)
{
    struct sev_measure out;
    u32 guest = rig_launch(r, policy);
    assert_status(rig_activate(r, guest, 5), SUCCESS);
    rig_put(r, AT_GUEST, text, size);
    assert_status(rig_update(r, guest, AT_GUEST, size), SUCCESS);
    assert_status(rig_measure(r, guest, &out), SUCCESS);
    assert_status(rig_handle(r, SEV_CMD_LAUNCH_FINISH, guest), SUCCESS);
    return guest;
}

static struct sev_packet packet_of(u32 guest, u32 size)
{
    return (struct sev_packet){.handle = guest,
                               .hdr_paddr = AT_HEADER,
                               .hdr_len = SEV_PACKET_HEADER_SIZE,
                               .guest_paddr = AT_GUEST,
                               .guest_len = size,
                               .trans_paddr = AT_PACKET,
                               .trans_len = size};
}

static void other_platform(struct rig *r)
{
    rig_create(r);
    r->config.fuses[0] = 0x77;
    rig_restart(r);
    u8 stir[100];
    crypto_random(r->crypto, stir, sizeof stir);
    rig_init(r, false);
}

static void a_page_goes_to_another_platform(void **state)
{
    (void)state;
    struct rig a, b;
    u8 text[256], found[256];
    memset(text, 0x42, sizeof text);
    rig_create(&a);
    rig_init(&a, false);
    other_platform(&b);
    u32 guest = running_guest(&a, 0, text, sizeof text);

    rig_export(&b);
    carry(&b, &a, AT_CERT, SEV_CERT_SIZE);
    carry(&b, &a, AT_CHAIN, SEV_CERT_CHAIN_SIZE);
    assert_status(rig_send_start(&a, guest), SUCCESS);
    assert_int_equal(rig_gstate(&a, guest), SEV_GSTATE_SUPDATE);
    struct sev_packet out = {.handle = guest}; /* KVM's query: no length at all */
    assert_status(COMMAND(&a, SEND_UPDATE_DATA, out), INVALID_LENGTH);
    assert_int_equal(out.hdr_len, 0x34);
    out = packet_of(guest, sizeof text);
    out.hdr_len = 0;
    out.trans_len = 0;
    assert_status(COMMAND(&a, SEND_UPDATE_DATA, out), INVALID_LENGTH);
    assert_int_equal(out.hdr_len, 0x34);
    assert_int_equal(out.trans_len, sizeof text);
    assert_status(COMMAND(&a, SEND_UPDATE_DATA, out), SUCCESS);
    rig_get(&a, AT_PACKET, found, sizeof found);
    assert_memory_not_equal(found, text, sizeof text);

    rig_export(&a);
    carry(&a, &b, AT_CERT, SEV_CERT_SIZE);
    carry(&a, &b, AT_SESSION, SEV_SESSION_SIZE);
    carry(&a, &b, AT_HEADER, SEV_PACKET_HEADER_SIZE);
    carry(&a, &b, AT_PACKET, sizeof text);
    u32 received;
    assert_status(rig_receive_start(&b, 1, &received), BAD_MEASUREMENT);
    assert_status(rig_receive_start(&b, 0, &received), SUCCESS);
    struct sev_packet in = packet_of(received, sizeof text);
    assert_status(COMMAND(&b, RECEIVE_UPDATE_DATA, in), INACTIVE);
    assert_status(rig_activate(&b, received, 9), SUCCESS);
    struct sev_packet vmsa = packet_of(received, PAGE_SIZE); /* of a guest without SEV-ES */
    assert_status(COMMAND(&b, RECEIVE_UPDATE_VMSA, vmsa), POLICY_FAILURE);
    assert_status(COMMAND(&b, RECEIVE_UPDATE_DATA, in), SUCCESS);
    memory_read(b.memory, AT_GUEST, 9, found, sizeof found);
    assert_memory_equal(found, text, sizeof text);
    u8 bad = 0;
    rig_put(&b, AT_PACKET + 3, &bad, 1);
    assert_status(COMMAND(&b, RECEIVE_UPDATE_DATA, in), BAD_MEASUREMENT);

    assert_status(rig_handle(&a, SEV_CMD_SEND_FINISH, guest), SUCCESS);
    assert_status(rig_handle(&b, SEV_CMD_RECEIVE_FINISH, received), SUCCESS);
    assert_int_equal(rig_gstate(&b, received), SEV_GSTATE_RUNNING);
    /* What was sent does not run here any more. */
    assert_status(rig_handle(&a, SEV_CMD_DEACTIVATE, guest), SUCCESS);
    rig_flush(&a);
    assert_status(rig_activate(&a, guest, 5), INVALID_GUEST_STATE);
    rig_destroy(&a);
    rig_destroy(&b);
}

/* A VMSA goes as a whole page and as nothing else: in pieces the host could put one together. */
static void a_vmsa_goes_whole(void **state)
{
    (void)state;
    struct rig a, b;
    struct sev_measure measured;
    u8 vmsa[PAGE_SIZE], found[PAGE_SIZE];
    u32 received;
    rig_create(&a);
    rig_init(&a, true);
    crypto_random(a.crypto, vmsa, sizeof vmsa);
    rig_create(&b);
    rig_init(&b, true);
    u32 guest = rig_launch(&a, SEV_POLICY_ES);
    assert_status(rig_activate(&a, guest, 1), SUCCESS);
    rig_put(&a, AT_GUEST, vmsa, sizeof vmsa);
    struct sev_launch_range range = {.handle = guest, .paddr = AT_GUEST, .len = PAGE_SIZE};
    assert_status(COMMAND(&a, LAUNCH_UPDATE_VMSA, range), SUCCESS);
    assert_status(rig_measure(&a, guest, &measured), SUCCESS);
    assert_status(rig_handle(&a, SEV_CMD_LAUNCH_FINISH, guest), SUCCESS);
    rig_export(&b);
    carry(&b, &a, AT_CERT, SEV_CERT_SIZE);
    carry(&b, &a, AT_CHAIN, SEV_CERT_CHAIN_SIZE);
    assert_status(rig_send_start(&a, guest), SUCCESS);
    struct sev_packet query = {.handle = guest}, out = packet_of(guest, 16);
    assert_status(COMMAND(&a, SEND_UPDATE_VMSA, query), INVALID_LENGTH);
    assert_int_equal(query.hdr_len, 0x34);
    assert_status(COMMAND(&a, SEND_UPDATE_VMSA, out), INVALID_LENGTH);
    out = packet_of(guest, PAGE_SIZE), out.guest_paddr += 16;
    assert_status(COMMAND(&a, SEND_UPDATE_VMSA, out), INVALID_ADDRESS);
    out = packet_of(guest, PAGE_SIZE);
    assert_status(COMMAND(&a, SEND_UPDATE_VMSA, out), SUCCESS);

    rig_export(&a);
    carry(&a, &b, AT_CERT, SEV_CERT_SIZE);
    carry(&a, &b, AT_SESSION, SEV_SESSION_SIZE);
    carry(&a, &b, AT_HEADER, SEV_PACKET_HEADER_SIZE);
    carry(&a, &b, AT_PACKET, PAGE_SIZE);
    assert_status(rig_receive_start(&b, SEV_POLICY_ES, &received), SUCCESS);
    assert_status(rig_activate(&b, received, 2), SUCCESS);
    struct sev_packet in = packet_of(received, 16);
    assert_status(COMMAND(&b, RECEIVE_UPDATE_VMSA, in), INVALID_LENGTH);
    in = packet_of(received, PAGE_SIZE), in.guest_paddr += 16;
    assert_status(COMMAND(&b, RECEIVE_UPDATE_VMSA, in), INVALID_ADDRESS);
    in = packet_of(received, PAGE_SIZE);
    assert_status(COMMAND(&b, RECEIVE_UPDATE_DATA, in),
                  BAD_MEASUREMENT); /* it says that it is a VMSA */
    assert_false(memory_vmsa_intact(b.memory, AT_GUEST, 2));
    assert_status(COMMAND(&b, RECEIVE_UPDATE_VMSA, in), SUCCESS);
    assert_true(memory_vmsa_intact(b.memory, AT_GUEST, 2));
    assert_true(memory_read(b.memory, AT_GUEST, 2, found, sizeof found));
    assert_memory_equal(found, vmsa, sizeof vmsa);
    rig_destroy(&a);
    rig_destroy(&b);
}

/* What no packet of ours is, but the owner of the keys can make: MAC right, flags set. */
static void a_compressed_packet_is_unsupported(void **state)
{
    (void)state;
    struct rig r;
    u8 text[64] = {1};
    u32 received;
    rig_create(&r);
    rig_init(&r, false);
    u32 guest = running_guest(&r, 0, text, sizeof text);
    rig_export(&r);
    assert_status(rig_send_start(&r, guest), SUCCESS);
    assert_status(rig_receive_start(&r, 0, &received), SUCCESS);
    assert_status(rig_activate(&r, received, 6), SUCCESS);
    struct sev_packet_header header = {.flags = SEV_PACKET_COMPRESSED};
    u8 message[1 + 4 + 16 + 4 + 4 + 64] = {2, 1};
    store_le32(message + 21, 64);
    store_le32(message + 25, 64);
    crypto_hmac_sha256(guest_find(r.fw, received)->session.tik, 16, message, sizeof message,
                       header.mac);
    rig_put(&r, AT_HEADER, &header, sizeof header);
    rig_put(&r, AT_PACKET, message + 29, 64);
    struct sev_packet in = packet_of(received, 64);
    assert_status(COMMAND(&r, RECEIVE_UPDATE_DATA, in), UNSUPPORTED);
    assert_rule(&r, "flags are 0x1");
    rig_destroy(&r);
}

static void a_cancelled_guest_runs_on(void **state)
{
    (void)state;
    struct rig r;
    u8 text[64] = {1};
    rig_create(&r);
    rig_init(&r, false);
    u32 guest = running_guest(&r, 0, text, sizeof text);
    rig_export(&r);
    assert_status(rig_send_start(&r, guest), SUCCESS);
    assert_status(rig_handle(&r, SEV_CMD_SEND_CANCEL, guest), SUCCESS);
    assert_int_equal(rig_gstate(&r, guest), SEV_GSTATE_RUNNING);
    rig_destroy(&r);
}

static u32 send_to_itself(u32 policy, bool break_amd_length)
{
    struct rig r;
    u8 text[64] = {1};
    rig_create(&r);
    rig_init(&r, false);
    u32 guest = running_guest(&r, policy, text, sizeof text);
    rig_export(&r);
    struct sev_send_start in = {
        .handle = guest,
        .pdh_paddr = AT_CERT,
        .pdh_len = SEV_CERT_SIZE,
        .plat_certs_paddr = AT_CHAIN,
        .plat_certs_len = SEV_CERT_CHAIN_SIZE,
        .amd_certs_paddr = AT_AMD,
        .amd_certs_len = break_amd_length ? 0 : 1664,
        .session_paddr = AT_SESSION,
        .session_len = SEV_SESSION_SIZE,
    };
    u32 status = COMMAND(&r, SEND_START, in);
    if (status == SEV_STATUS_SUCCESS)
        assert_int_equal(in.policy, policy);
    rig_destroy(&r);
    return status;
}

static void policies_say_where_a_guest_may_go(void **state)
{
    (void)state;
    assert_status(send_to_itself(0, false), SUCCESS);
    assert_status(send_to_itself(SEV_POLICY_NOSEND, false), POLICY_FAILURE);
    assert_status(send_to_itself(SEV_POLICY_DOMAIN, false), SUCCESS);
    assert_status(send_to_itself(SEV_POLICY_SEV, false), INVALID_CERTIFICATE);
    assert_status(send_to_itself(0, true), INVALID_LENGTH);
}

/* --- POLICY.SEV: the target's chip by the root that is built in ------------------------------- */

struct root {
    struct rsa_private *ark_key, *ask_key;
    struct amd_cert ark, ask;
};

static void root_make(struct crypto *crypto, struct root *root)
{
    const u8 ark_id[16] = "ark", ask_id[16] = "ask";
    struct rsa_public key;
    root->ark_key = crypto_rsa_generate(crypto, 2048);
    root->ask_key = crypto_rsa_generate(crypto, 2048);
    assert_true(root->ark_key && root->ask_key);
    crypto_rsa_public(root->ark_key, &key);
    amd_cert_init(&root->ark, SEV_USAGE_ARK, ark_id, ark_id, &key);
    crypto_rsa_public(root->ask_key, &key);
    amd_cert_init(&root->ask, SEV_USAGE_ASK, ask_id, ark_id, &key);
    assert_true(amd_cert_sign(crypto, &root->ark, root->ark_key) &&
                amd_cert_sign(crypto, &root->ask, root->ark_key));
}

static void root_free(struct root *root)
{
    crypto_rsa_free(root->ark_key);
    crypto_rsa_free(root->ask_key);
}

static u32 send_to(struct rig *r, u32 guest, const struct sev_cert_chain *chain,
                   const struct root *root)
{
    rig_put(r, AT_CHAIN, chain, sizeof *chain);
    rig_put(r, AT_AMD, root->ask.bytes, root->ask.size);
    rig_put(r, AT_AMD + root->ask.size, root->ark.bytes, root->ark.size);
    return rig_send_start(r, guest);
}

static void a_genuine_target_has_the_built_in_root(void **state)
{
    (void)state;
    struct rig a, b;
    struct root root, other;
    struct sev_cert_chain chain, bad;
    u8 text[64] = {1};
    rig_create(&a);
    root_make(a.crypto, &root);
    root_make(a.crypto, &other);
    a.config.ark = root.ark.bytes;
    a.config.ark_size = root.ark.size;
    rig_restart(&a);
    rig_init(&a, false);
    other_platform(&b);
    u32 guest = running_guest(&a, SEV_POLICY_SEV, text, sizeof text);
    rig_export(&b);
    carry(&b, &a, AT_CERT, SEV_CERT_SIZE);
    rig_get(&b, AT_CHAIN, &chain, sizeof chain);
    assert_status(send_to(&a, guest, &chain, &root), BAD_SIGNATURE); /* as exported: unsigned */
    assert_rule(&a, "rule=\"target's CEK by ASK");
    assert_true(sev_cert_sign_rsa(a.crypto, &chain.cek, 0, SEV_USAGE_ASK, root.ask_key));
    bad = chain, bad.pek.signatures[1].ec.r[0] ^= 1;
    assert_status(send_to(&a, guest, &bad, &root), BAD_SIGNATURE);
    assert_rule(&a, "target's PEK by CEK");
    bad = chain, bad.cek.version = 2;
    assert_status(send_to(&a, guest, &bad, &root), INVALID_CERTIFICATE);
    assert_status(send_to(&a, guest, &chain, &other), INVALID_CERTIFICATE);
    assert_rule(&a, "not the root this platform trusts");
    root.ask.bytes[root.ask.size - 1] ^= 1;
    assert_status(send_to(&a, guest, &chain, &root), BAD_SIGNATURE);
    assert_rule(&a, "target's ASK by ARK");
    root.ask.bytes[root.ask.size - 1] ^= 1;
    assert_int_equal(rig_gstate(&a, guest), SEV_GSTATE_RUNNING);
    assert_status(send_to(&a, guest, &chain, &root), SUCCESS);
    root_free(&root);
    root_free(&other);
    rig_destroy(&a);
    rig_destroy(&b);
}

static void a_target_has_the_api_that_the_policy_asks_for(void **state)
{
    (void)state;
    struct rig r;
    u8 text[64] = {1}, minor = 9;
    rig_create(&r);
    rig_init(&r, false);
    u32 guest = running_guest(&r, 1u << 16 | 10u << 24, text, sizeof text); /* 1.10 */
    rig_export(&r);
    rig_put(&r, AT_CHAIN + 5, &minor, 1); /* of the PEK */
    assert_status(rig_send_start(&r, guest), POLICY_FAILURE);
    assert_rule(&r, "policy asks for API 1.10, the target's PEK says 1.9");
    minor = 10;
    rig_put(&r, AT_CHAIN + 5, &minor, 1);
    assert_status(rig_send_start(&r, guest), SUCCESS);
    rig_destroy(&r);
}

static void a_domain_ends_at_another_owner(void **state)
{
    (void)state;
    struct rig a, b;
    u8 text[64] = {1};
    rig_create(&a);
    rig_init(&a, false);
    other_platform(&b);
    u32 guest = running_guest(&a, SEV_POLICY_DOMAIN, text, sizeof text);
    rig_export(&b);
    carry(&b, &a, AT_CERT, SEV_CERT_SIZE);
    carry(&b, &a, AT_CHAIN, SEV_CERT_CHAIN_SIZE);
    assert_status(rig_send_start(&a, guest), INVALID_CERTIFICATE);
    assert_rule(&a, "rule=\"target's OCA");
    rig_destroy(&a);
    rig_destroy(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_goes_to_another_platform),
        cmocka_unit_test(a_vmsa_goes_whole),
        cmocka_unit_test(a_compressed_packet_is_unsupported),
        cmocka_unit_test(a_cancelled_guest_runs_on),
        cmocka_unit_test(policies_say_where_a_guest_may_go),
        cmocka_unit_test(a_genuine_target_has_the_built_in_root),
        cmocka_unit_test(a_target_has_the_api_that_the_policy_asks_for),
        cmocka_unit_test(a_domain_ends_at_another_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
