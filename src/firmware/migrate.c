/* SPDX-License-Identifier: Apache-2.0 */
/* SEND and RECEIVE: move a guest to another platform, under keys that the two platforms share [sev
 * 5.4, 7.7]. */
#include "firmware/internal.h"

#include <inttypes.h>

/* --- SEND_START ------------------------------------------------------------------------------- */

static bool amd_certs_length(u32 len)
{
    return len == 2 * AMD_CERT_SIZE(2048) || len == 2 * AMD_CERT_SIZE(4096);
}

/* Refuses wrong lengths even if the policy requires no certificate [sev 5.4]. */
enum sev_status send_start_lengths(struct call *c)
{
    struct sev_send_start *in = &c->in.send_start;
    u32 session = in->session_len;
    if (!length_suffices(&session, SEV_SESSION_SIZE)) {
        in->session_len = session;
        return refuse(c, SEV_STATUS_INVALID_LENGTH, "the session has %u bytes", SEV_SESSION_SIZE);
    }
    if (in->pdh_len != SEV_CERT_SIZE || in->plat_certs_len != SEV_CERT_CHAIN_SIZE)
        return refuse(c, SEV_STATUS_INVALID_LENGTH,
                      "the target's PDH and chain have %u and %u bytes, not %u and %u",
                      SEV_CERT_SIZE, SEV_CERT_CHAIN_SIZE, in->pdh_len, in->plat_certs_len);
    if (!amd_certs_length(in->amd_certs_len))
        return refuse(c, SEV_STATUS_INVALID_LENGTH,
                      "ASK and ARK have %u or %u bytes together, not %u", 2 * AMD_CERT_SIZE(2048),
                      2 * AMD_CERT_SIZE(4096), in->amd_certs_len);
    return SEV_STATUS_SUCCESS;
}

static enum sev_status refuse_verdict(struct call *c, struct cert_verdict v)
{
    return refuse(c,
                  cert_check_is_signature(v.check) ? SEV_STATUS_BAD_SIGNATURE
                                                   : SEV_STATUS_INVALID_CERTIFICATE,
                  "target's %s%s%s: %s", v.subject, v.issuer ? " by " : "",
                  v.issuer ? v.issuer : "", cert_check_text(v.check));
}

/* Checks POLICY.SEV: the target's chip must chain to the root that this firmware was given. */
static enum sev_status check_genuine(struct call *c, const struct sev_platform_chain *target)
{
    const struct sev_send_start *in = &c->in.send_start;
    struct firmware *fw = c->fw;
    u8 certs[2 * AMD_CERT_SIZE_MAX];
    enum sev_status status =
        read_range(c, "ASK and ARK", in->amd_certs_paddr, certs, in->amd_certs_len);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    struct amd_chain root;
    struct cert_verdict verdict = amd_chain_parse(certs, in->amd_certs_len, &root);
    if (verdict.check != CERT_OK)
        return refuse_verdict(c, verdict);
    if (!fw->ark || root.ark.size != fw->ark_size || memcmp(root.ark.bytes, fw->ark, fw->ark_size))
        return refuse(c, SEV_STATUS_INVALID_CERTIFICATE,
                      "the ARK is not the root this platform trusts");
    verdict = chain_verify_chip(target, &root);
    if (verdict.check != CERT_OK)
        return refuse_verdict(c, verdict);
    verdict =
        (struct cert_verdict){sev_cert_verify(&target->pdh, &target->chain.pek), "PDH", "PEK"};
    return verdict.check == CERT_OK ? SEV_STATUS_SUCCESS : refuse_verdict(c, verdict);
}

static enum sev_status check_target(struct call *c, const struct sev_platform_chain *target)
{
    u32 policy = c->guest->policy;
    enum cert_check check = sev_cert_check(&target->pdh, SEV_USAGE_PDH);
    if (check != CERT_OK)
        return refuse_verdict(c, (struct cert_verdict){check, "PDH", NULL});
    enum sev_status status = SEV_STATUS_SUCCESS;
    if (policy & SEV_POLICY_SEV)
        status = check_genuine(c, target);
    if (status == SEV_STATUS_SUCCESS && (policy & SEV_POLICY_DOMAIN)) {
        struct cert_verdict verdict = chain_verify_domain(target, &c->fw->identity.oca);
        if (verdict.check != CERT_OK)
            return refuse_verdict(c, verdict);
    }
    return status;
}

static enum sev_status check_target_api(struct call *c, const struct sev_cert *pek)
{
    u8 major = sev_policy_api_major(c->guest->policy),
       minor = sev_policy_api_minor(c->guest->policy);
    if (pek->api_major > major || (pek->api_major == major && pek->api_minor >= minor))
        return SEV_STATUS_SUCCESS;
    return refuse(c, SEV_STATUS_POLICY_FAILURE,
                  "policy asks for API %u.%u, the target's PEK says %u.%u", major, minor,
                  pek->api_major, pek->api_minor);
}

static enum sev_status read_target(struct call *c, struct sev_platform_chain *target)
{
    const struct sev_send_start *in = &c->in.send_start;
    enum sev_status status = check_output(c, "session", in->session_paddr, SEV_SESSION_SIZE, 1);
    if (status == SEV_STATUS_SUCCESS)
        status = read_range(c, "PDH", in->pdh_paddr, &target->pdh, sizeof target->pdh);
    if (status == SEV_STATUS_SUCCESS)
        status = read_range(c, "chain", in->plat_certs_paddr, &target->chain, sizeof target->chain);
    return status;
}

enum sev_status send_start(struct call *c)
{
    struct sev_send_start *in = &c->in.send_start;
    struct firmware *fw = c->fw;
    struct sev_platform_chain target;
    enum sev_status status = read_target(c, &target);
    if (status == SEV_STATUS_SUCCESS)
        status = check_target_api(c, &target.chain.pek);
    if (status == SEV_STATUS_SUCCESS)
        status = check_target(c, &target);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    struct sev_session session;
    if (!session_make(fw->crypto, &fw->identity.pdh_key, &target.pdh, c->guest->policy,
                      &c->guest->session, &session))
        return refuse(c, SEV_STATUS_INVALID_CERTIFICATE, "the target's PDH has no point on P-384");
    in->policy = c->guest->policy;
    in->session_len = sizeof session;
    set_gstate(c, c->guest, SEV_GSTATE_SUPDATE);
    return write_range(c, "session", in->session_paddr, &session, sizeof session);
}

/* --- SEND_UPDATE, SEND_FINISH, SEND_CANCEL ---------------------------------------------------- */

enum sev_status send_update_lengths(struct call *c)
{
    struct sev_packet *in = &c->in.packet;
    /* The length query is answered first: KVM's query gives no length at all, not even the guest's
     * [sev 4.4, 9.2]. */
    if (in->hdr_len < SEV_PACKET_HEADER_SIZE || in->trans_len < in->guest_len) {
        in->hdr_len = SEV_PACKET_HEADER_SIZE;
        in->trans_len = in->guest_len;
        return refuse(c, SEV_STATUS_INVALID_LENGTH, "header and packet have %u and %u bytes",
                      SEV_PACKET_HEADER_SIZE, in->guest_len);
    }
    if (in->guest_len && in->guest_len % 16 == 0 && in->guest_len <= sizeof c->fw->packet)
        return SEV_STATUS_SUCCESS;
    return refuse(c, SEV_STATUS_INVALID_LENGTH, "the length is %u, not a multiple of 16 up to %zu",
                  in->guest_len, sizeof c->fw->packet);
}

/* Refuses a VMSA that is not sent whole: the host could otherwise combine parts of several VMSAs,
 * and the result would be sealed as one. */
static enum sev_status vmsa_length(struct call *c)
{
    if (c->in.packet.guest_len == PAGE_SIZE)
        return SEV_STATUS_SUCCESS;
    return refuse(c, SEV_STATUS_INVALID_LENGTH, "a VMSA has 4096 bytes, not %u",
                  c->in.packet.guest_len);
}

enum sev_status send_vmsa_lengths(struct call *c)
{
    enum sev_status status = send_update_lengths(c);
    return status == SEV_STATUS_SUCCESS ? vmsa_length(c) : status;
}

static u32 guest_align(enum packet_kind kind)
{
    return kind == PACKET_VMSA ? PAGE_SIZE : 16;
}

static enum sev_status send_update(struct call *c, enum packet_kind kind)
{
    struct sev_packet *in = &c->in.packet;
    struct firmware *fw = c->fw;
    u32 len = in->guest_len;
    note(c, " spa=0x%" PRIx64 " size=0x%x", real_address(fw, in->guest_paddr), len);
    enum sev_status status = check_range(c, "guest range", in->guest_paddr, len, guest_align(kind));
    if (status == SEV_STATUS_SUCCESS)
        status = check_output(c, "packet header", in->hdr_paddr, SEV_PACKET_HEADER_SIZE, 1);
    if (status == SEV_STATUS_SUCCESS)
        status = check_output(c, "packet", in->trans_paddr, len, 1);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    struct packet_binding binding = {.kind = kind, .guest_length = len, .trans_length = len};
    struct sev_packet_header header;
    u8 iv[16];
    crypto_random(fw->crypto, iv, sizeof iv);
    memory_read(fw->memory, real_address(fw, in->guest_paddr), guest_key(c->guest), fw->packet,
                len);
    packet_seal(&c->guest->session, &binding, iv, fw->packet, fw->packet, len, &header);
    write_range(c, "packet", in->trans_paddr, fw->packet, len);
    in->hdr_len = sizeof header;
    in->trans_len = len;
    return write_range(c, "packet header", in->hdr_paddr, &header, sizeof header);
}

enum sev_status send_update_data(struct call *c)
{
    return send_update(c, PACKET_DATA);
}

enum sev_status send_update_vmsa(struct call *c)
{
    return send_update(c, PACKET_VMSA);
}

enum sev_status send_finish(struct call *c)
{
    guest_wipe_session(c->guest);
    set_gstate(c, c->guest, SEV_GSTATE_SENT);
    return SEV_STATUS_SUCCESS;
}

enum sev_status send_cancel(struct call *c)
{
    guest_wipe_session(c->guest);
    set_gstate(c, c->guest, SEV_GSTATE_RUNNING);
    return SEV_STATUS_SUCCESS;
}

/* --- RECEIVE ---------------------------------------------------------------------------------- */

enum sev_status receive_start_lengths(struct call *c)
{
    const struct sev_start *in = &c->in.start;
    if (in->dh_cert_len == SEV_CERT_SIZE && in->session_len == SEV_SESSION_SIZE)
        return SEV_STATUS_SUCCESS;
    return refuse(c, SEV_STATUS_INVALID_LENGTH,
                  "PDH and session have %u and %u bytes, not %u and %u", SEV_CERT_SIZE,
                  SEV_SESSION_SIZE, in->dh_cert_len, in->session_len);
}

enum sev_status receive_start(struct call *c)
{
    struct session_keys keys;
    enum sev_status status = start_check(c);
    if (status == SEV_STATUS_SUCCESS)
        status = start_open_session(c, &keys);
    if (status == SEV_STATUS_SUCCESS)
        status = start_guest(c, SEV_GSTATE_RUPDATE, &keys);
    crypto_wipe(&keys, sizeof keys);
    return status;
}

enum sev_status receive_vmsa_lengths(struct call *c)
{
    enum sev_status status = packet_lengths(c);
    return status == SEV_STATUS_SUCCESS ? vmsa_length(c) : status;
}

enum sev_status receive_update_data(struct call *c)
{
    return packet_to_guest(c, PACKET_DATA, guest_align(PACKET_DATA));
}

enum sev_status receive_update_vmsa(struct call *c)
{
    enum sev_status status = packet_to_guest(c, PACKET_VMSA, guest_align(PACKET_VMSA));
    if (status == SEV_STATUS_SUCCESS)
        memory_vmsa_seal(c->fw->memory, real_address(c->fw, c->in.packet.guest_paddr),
                         guest_key(c->guest));
    return status;
}

enum sev_status receive_finish(struct call *c)
{
    guest_wipe_session(c->guest);
    set_gstate(c, c->guest, SEV_GSTATE_RUNNING);
    return SEV_STATUS_SUCCESS;
}
