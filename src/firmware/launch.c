/* SPDX-License-Identifier: Apache-2.0 */
/* The launch of a guest, LAUNCH_START to LAUNCH_FINISH, and its attestation [sev 5.4, 7.4-7.8]. */
#include "firmware/internal.h"

#include <inttypes.h>

/* --- Starting a guest, for launch and receive ------------------------------------------------- */

static enum sev_status check_api(struct call *c, u32 policy)
{
    const struct firmware_profile *p = c->fw->profile;
    u8 major = sev_policy_api_major(policy), minor = sev_policy_api_minor(policy);
    if (p->api_major > major || (p->api_major == major && p->api_minor >= minor))
        return SEV_STATUS_SUCCESS;
    return refuse(c, SEV_STATUS_POLICY_FAILURE, "policy asks for API %u.%u, firmware is %u.%u",
                  major, minor, p->api_major, p->api_minor);
}

/* Checks that a guest may share another guest's memory key: both must have the same policy, and it
 * must allow sharing [sev 5.3]. */
static enum sev_status check_sharing(struct call *c, u32 policy)
{
    if (!c->guest)
        return SEV_STATUS_SUCCESS;
    if (c->guest->policy != policy)
        return refuse(c, SEV_STATUS_POLICY_FAILURE,
                      "guest %u, whose key is to be shared, has policy 0x%x, not 0x%x",
                      c->guest->handle, c->guest->policy, policy);
    if (policy & SEV_POLICY_NOKS)
        return refuse(c, SEV_STATUS_POLICY_FAILURE, "the policy has NOKS: keys are not shared");
    return SEV_STATUS_SUCCESS;
}

enum sev_status start_check(struct call *c)
{
    u32 policy = c->in.start.policy;
    note(c, " policy=0x%x", policy);
    enum sev_status status = check_api(c, policy);
    if (status == SEV_STATUS_SUCCESS)
        status = check_sharing(c, policy);
    if (status == SEV_STATUS_SUCCESS && (policy & SEV_POLICY_ES) &&
        !(c->fw->options & SEV_OPTIONS_ES))
        return refuse(c, SEV_STATUS_UNSUPPORTED,
                      "the policy has ES and the platform was initialized without it");
    return status;
}

enum sev_status start_open_session(struct call *c, struct session_keys *keys)
{
    const struct sev_start *in = &c->in.start;
    struct sev_cert theirs;
    struct sev_session session;
    enum sev_status status =
        read_range(c, "DH certificate", in->dh_cert_paddr, &theirs, sizeof theirs);
    if (status == SEV_STATUS_SUCCESS)
        status = read_range(c, "session", in->session_paddr, &session, sizeof session);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    enum cert_check check = sev_cert_check(&theirs, SEV_USAGE_PDH);
    if (check != CERT_OK)
        return refuse(c, SEV_STATUS_INVALID_CERTIFICATE, "DH certificate: %s",
                      cert_check_text(check));
    switch (session_open(&c->fw->identity.pdh_key, &theirs, &session, in->policy, keys)) {
    case SESSION_OK:
        return SEV_STATUS_SUCCESS;
    case SESSION_DH:
        return refuse(c, SEV_STATUS_INVALID_CERTIFICATE,
                      "DH certificate: the point is not on P-384");
    case SESSION_WRAP_MAC:
        return refuse(c, SEV_STATUS_BAD_MEASUREMENT,
                      "WRAP_MAC: the session was made for another PDH, or changed");
    case SESSION_POLICY_MAC:
        return refuse(c, SEV_STATUS_BAD_MEASUREMENT,
                      "POLICY_MAC: the session was made for another policy");
    }
    return SEV_STATUS_BAD_MEASUREMENT;
}

enum sev_status start_guest(struct call *c, enum sev_gstate state, const struct session_keys *keys)
{
    struct firmware *fw = c->fw;
    struct crypto_sha256 *digest = NULL;
    if (state == SEV_GSTATE_LUPDATE && !(digest = crypto_sha256_start()))
        return refuse(c, SEV_STATUS_RESOURCE_LIMIT, "no memory for another launch digest");
    struct guest *g = guest_create(fw);
    if (!g) {
        crypto_sha256_free(digest);
        return refuse(c, SEV_STATUS_RESOURCE_LIMIT, "all %u guest contexts are in use",
                      fw->guest_slots);
    }
    g->policy = c->in.start.policy;
    g->digest = digest;
    if (c->guest)
        memcpy(g->vek, c->guest->vek, sizeof g->vek);
    else
        crypto_random(fw->crypto, g->vek, sizeof g->vek);
    if (keys)
        g->session = *keys;
    else
        crypto_random(fw->crypto, &g->session, sizeof g->session);
    c->in.start.handle = g->handle;
    note(c, " new=%u", g->handle);
    set_gstate(c, g, state);
    set_pstate(c, SEV_PSTATE_WORKING);
    return SEV_STATUS_SUCCESS;
}

/* --- LAUNCH_START ----------------------------------------------------------------------------- */

/* Returns true if the command gives a DH certificate. Without one, the guest launches under random
 * transport keys that nobody knows [sev 5.4]. */
static bool has_session(const struct sev_start *in)
{
    return in->dh_cert_paddr != 0;
}

enum sev_status launch_start_lengths(struct call *c)
{
    const struct sev_start *in = &c->in.start;
    if (!has_session(in) ||
        (in->dh_cert_len == SEV_CERT_SIZE && in->session_len == SEV_SESSION_SIZE))
        return SEV_STATUS_SUCCESS;
    return refuse(c, SEV_STATUS_INVALID_LENGTH,
                  "DH certificate and session have %u and %u bytes, not %u and %u", SEV_CERT_SIZE,
                  SEV_SESSION_SIZE, in->dh_cert_len, in->session_len);
}

enum sev_status launch_start(struct call *c)
{
    bool session = has_session(&c->in.start);
    struct session_keys keys;
    enum sev_status status = start_check(c);
    if (status == SEV_STATUS_SUCCESS && session)
        status = start_open_session(c, &keys);
    if (status == SEV_STATUS_SUCCESS)
        status = start_guest(c, SEV_GSTATE_LUPDATE, session ? &keys : NULL);
    crypto_wipe(&keys, sizeof keys);
    return status;
}

/* --- LAUNCH_UPDATE ---------------------------------------------------------------------------- */

static void measure_bytes(void *context, const void *bytes, size_t size)
{
    crypto_sha256_update(context, bytes, size);
}

static enum sev_status launch_update(struct call *c, u32 align)
{
    const struct sev_launch_range *in = &c->in.range;
    u64 spa = real_address(c->fw, in->paddr);
    note(c, " spa=0x%" PRIx64 " size=0x%x", spa, in->len);
    enum sev_status status = check_output(c, "range", in->paddr, in->len, align);
    if (status == SEV_STATUS_SUCCESS)
        memory_launch(c->fw->memory, spa, in->len, c->guest->asid, measure_bytes, c->guest->digest);
    return status;
}

enum sev_status launch_update_data_lengths(struct call *c)
{
    u32 len = c->in.range.len;
    if (len && len % 16 == 0)
        return SEV_STATUS_SUCCESS;
    return refuse(c, SEV_STATUS_INVALID_LENGTH, "the length is %u, not a positive multiple of 16",
                  len);
}

enum sev_status launch_update_data(struct call *c)
{
    return launch_update(c, 16);
}

enum sev_status launch_update_vmsa_lengths(struct call *c)
{
    if (c->in.range.len == PAGE_SIZE)
        return SEV_STATUS_SUCCESS;
    return refuse(c, SEV_STATUS_INVALID_LENGTH, "a VMSA has 4096 bytes, not %u", c->in.range.len);
}

enum sev_status launch_update_vmsa(struct call *c)
{
    enum sev_status status = launch_update(c, PAGE_SIZE);
    if (status == SEV_STATUS_SUCCESS)
        memory_vmsa_seal(c->fw->memory, real_address(c->fw, c->in.range.paddr),
                         guest_key(c->guest));
    return status;
}

/* --- LAUNCH_MEASURE, LAUNCH_FINISH ------------------------------------------------------------ */

enum sev_status launch_measure_lengths(struct call *c)
{
    u32 have = c->in.range.len;
    if (length_suffices(&have, SEV_MEASURE_SIZE))
        return SEV_STATUS_SUCCESS;
    c->in.range.len = have;
    return refuse(c, SEV_STATUS_INVALID_LENGTH, "the measurement has %u bytes", SEV_MEASURE_SIZE);
}

enum sev_status launch_measure(struct call *c)
{
    struct firmware *fw = c->fw;
    struct guest *g = c->guest;
    enum sev_status status = check_output(c, "measurement", c->in.range.paddr, SEV_MEASURE_SIZE, 1);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    struct measurement m = {
        .api_major = fw->profile->api_major,
        .api_minor = fw->profile->api_minor,
        .build = fw->profile->build,
        .policy = g->policy,
    };
    struct sev_measure out;
    crypto_sha256_peek(g->digest, g->ld);
    crypto_sha256_free(g->digest);
    g->digest = NULL;
    memcpy(m.digest, g->ld, sizeof m.digest);
    crypto_random(fw->crypto, m.mnonce, sizeof m.mnonce);
    measurement_compute(&m, g->session.tik, g->measure);
    memcpy(out.measure, g->measure, sizeof out.measure);
    memcpy(out.mnonce, m.mnonce, sizeof out.mnonce);
    c->in.range.len = sizeof out;
    set_gstate(c, g, SEV_GSTATE_LSECRET);
    return write_range(c, "measurement", c->in.range.paddr, &out, sizeof out);
}

enum sev_status launch_finish(struct call *c)
{
    guest_wipe_session(c->guest);
    set_gstate(c, c->guest, SEV_GSTATE_RUNNING);
    return SEV_STATUS_SUCCESS;
}

/* --- LAUNCH_SECRET ---------------------------------------------------------------------------- */

enum sev_status packet_lengths(struct call *c)
{
    const struct sev_packet *in = &c->in.packet;
    if (in->hdr_len != SEV_PACKET_HEADER_SIZE)
        return refuse(c, SEV_STATUS_INVALID_LENGTH, "a packet header has %u bytes, not %u",
                      SEV_PACKET_HEADER_SIZE, in->hdr_len);
    if (!in->guest_len || in->guest_len > sizeof c->fw->packet)
        return refuse(c, SEV_STATUS_INVALID_LENGTH, "a packet has 1 to %zu bytes, not %u",
                      sizeof c->fw->packet, in->guest_len);
    if (in->trans_len != in->guest_len)
        return refuse(c, SEV_STATUS_INVALID_LENGTH,
                      "the packet has %u bytes and its place in the guest %u", in->trans_len,
                      in->guest_len);
    return SEV_STATUS_SUCCESS;
}

static enum sev_status packet_read(struct call *c, u32 align, struct sev_packet_header *header)
{
    const struct sev_packet *in = &c->in.packet;
    note(c, " spa=0x%" PRIx64 " size=0x%x", real_address(c->fw, in->guest_paddr), in->guest_len);
    enum sev_status status = check_output(c, "guest range", in->guest_paddr, in->guest_len, align);
    if (status == SEV_STATUS_SUCCESS)
        status = read_range(c, "packet header", in->hdr_paddr, header, sizeof *header);
    if (status == SEV_STATUS_SUCCESS)
        status = read_range(c, "packet", in->trans_paddr, c->fw->packet, in->trans_len);
    return status;
}

enum sev_status packet_to_guest(struct call *c, enum packet_kind kind, u32 align)
{
    const bool secret = kind == PACKET_SECRET;
    const struct sev_packet *in = &c->in.packet;
    struct firmware *fw = c->fw;
    struct sev_packet_header header;
    enum sev_status status = packet_read(c, align, &header);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    const struct packet_binding binding = {
        .kind = kind,
        .guest_length = in->guest_len,
        .trans_length = in->trans_len,
        .measure = secret ? c->guest->measure : NULL,
    };
    if (!packet_open(&c->guest->session, &binding, &header, fw->packet, fw->packet, in->trans_len))
        status = refuse(c, SEV_STATUS_BAD_MEASUREMENT, "the packet's MAC is not that of this %s",
                        secret ? "guest's session and measurement" : "session");
    else if (header.flags)
        status = refuse(c, SEV_STATUS_UNSUPPORTED,
                        "the packet's flags are 0x%x: compression is not known", header.flags);
    else
        memory_write(fw->memory, real_address(fw, in->guest_paddr), guest_key(c->guest), fw->packet,
                     in->guest_len);
    crypto_wipe(fw->packet, in->trans_len);
    return status;
}

enum sev_status launch_secret(struct call *c)
{
    return packet_to_guest(c, PACKET_SECRET, 16);
}

/* --- ATTESTATION ------------------------------------------------------------------------------ */

enum sev_status attestation_lengths(struct call *c)
{
    u32 have = c->in.attestation.len;
    if (length_suffices(&have, SEV_ATTESTATION_SIZE))
        return SEV_STATUS_SUCCESS;
    c->in.attestation.len = have;
    return refuse(c, SEV_STATUS_INVALID_LENGTH, "the report has %u bytes", SEV_ATTESTATION_SIZE);
}

enum sev_status attestation(struct call *c)
{
    const struct guest *g = c->guest;
    struct sev_attestation_report report;
    enum sev_status status = check_output(c, "report", c->in.attestation.paddr, sizeof report, 1);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    if (!report_sign(c->fw->crypto, &c->fw->identity.pek_key, c->in.attestation.mnonce, g->ld,
                     g->policy, &report))
        return refuse(c, SEV_STATUS_HWERROR_PLATFORM, "the report cannot be signed");
    c->in.attestation.len = sizeof report;
    return write_range(c, "report", c->in.attestation.paddr, &report, sizeof report);
}
