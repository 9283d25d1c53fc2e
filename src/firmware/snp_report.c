/* SPDX-License-Identifier: Apache-2.0 */
/* Attestation reports, derived keys, and other answers to a guest about itself [snp 6.2, 7]. */
#include "firmware/internal.h"

#include <inttypes.h>

/* --- Keys ------------------------------------------------------------------------------------- */

/* Returns the VCEK of the reported TCB, which is made when it is first needed. */
static const struct ec_private *current_vcek(struct firmware *fw)
{
    struct snp_platform *s = &fw->snp;
    if (!s->vcek_made || s->vcek_tcb != s->reported_tcb) {
        s->vcek_made = identity_vcek(fw->fuses, s->reported_tcb, &s->vcek);
        s->vcek_tcb = s->reported_tcb;
    }
    return s->vcek_made ? &s->vcek : NULL;
}

enum sev_status snp_select_key(struct call *c, u32 key_sel, enum snp_signing_key *which,
                               const struct ec_private **key)
{
    struct snp_platform *s = &c->fw->snp;
    bool vlek =
        key_sel == SNP_KEY_SEL_VLEK || (key_sel == SNP_KEY_SEL_VLEK_OR_VCEK && s->vlek_loaded);
    RULE_CHECK(c, key_sel <= SNP_KEY_SEL_VLEK, INVALID_PARAM, "KEY_SEL is %u, at most 2", key_sel);
    RULE_CHECK(c, !vlek || s->vlek_loaded, INVALID_KEY, "KEY_SEL wants the VLEK, none is loaded");
    RULE_CHECK(c, vlek || !c->context.id.vcek_dis, INVALID_KEY,
               "KEY_SEL wants the VCEK, which the launch has disabled for this guest");
    *which = vlek ? SNP_SIGNED_BY_VLEK : SNP_SIGNED_BY_VCEK;
    *key = vlek ? &s->vlek : current_vcek(c->fw);
    RULE_CHECK(c, *key, HWERROR_PLATFORM, "the VCEK cannot be derived");
    return SEV_STATUS_SUCCESS;
}

/* --- The report ------------------------------------------------------------------------------- */

static u64 platform_info(const struct firmware *fw)
{
    return fw->profile->platform_info | (fw->smt ? SNP_PLATFORM_SMT_EN : 0) |
           (fw->snp.rapl_dis ? SNP_PLATFORM_RAPL_DIS : 0) |
           (fw->snp.ciphertext_hiding ? SNP_PLATFORM_CIPHERTEXT_HIDING_DRAM_EN : 0);
}

static void fill_platform(const struct firmware *fw, struct snp_report *r)
{
    const struct firmware_profile *p = fw->profile;
    const struct firmware_committed *committed = &fw->snp.committed;
    r->version = p->report_version;
    r->signature_algorithm = SNP_SIGNATURE_ECDSA_P384_SHA384;
    r->platform_info = platform_info(fw);
    r->current_tcb = p->tcb;
    r->reported_tcb = fw->snp.reported_tcb;
    r->committed_tcb = committed->tcb;
    r->current_build = p->build;
    r->current_minor = p->api_minor;
    r->current_major = p->api_major;
    r->committed_build = committed->build;
    r->committed_minor = committed->minor;
    r->committed_major = committed->major;
    if (!fw->snp.mask_chip_id)
        memcpy(r->chip_id, fw->chip_id, p->chip_id_size);
    if (p->report_version >= 3) {
        r->cpuid_family = p->family;
        r->cpuid_model = p->model;
        r->cpuid_stepping = p->stepping;
    }
    if (p->report_version >= 5)
        r->current_mit_vector = fw->snp.mitigations;
}

static void fill_report(const struct call *c, u32 vmpl, const u8 data[64], struct snp_report *r)
{
    const struct snp_context *g = &c->context;
    const struct snp_identity *id = &g->id;
    *r = (struct snp_report){
        .guest_svn = id->guest_svn,
        .policy = id->policy,
        .vmpl = vmpl,
        .launch_tcb = g->launch_tcb,
        .launch_mit_vector = c->fw->profile->report_version >= 5 ? id->launch_mit_vector : 0,
        .key_info = (u32)(id->author_key_en ? SNP_KEY_INFO_AUTHOR_KEY_EN : 0),
    };
    memcpy(r->family_id, id->family_id, sizeof r->family_id);
    memcpy(r->image_id, id->image_id, sizeof r->image_id);
    memcpy(r->report_data, data, sizeof r->report_data);
    memcpy(r->measurement, id->ld, sizeof r->measurement);
    memcpy(r->host_data, id->host_data, sizeof r->host_data);
    memcpy(r->id_key_digest, id->id_key_digest, sizeof r->id_key_digest);
    memcpy(r->author_key_digest, id->author_key_digest, sizeof r->author_key_digest);
    memcpy(r->report_id, id->report_id, sizeof r->report_id);
    memcpy(r->report_id_ma, g->report_id_ma, sizeof r->report_id_ma);
    fill_platform(c->fw, r);
}

enum sev_status snp_report_make(struct call *c, u32 vmpl, u32 key_sel, const u8 data[64],
                                struct snp_report *r)
{
    struct firmware *fw = c->fw;
    enum snp_signing_key which = SNP_SIGNED_BY_NONE;
    const struct ec_private *key = NULL;
    enum sev_status status = snp_select_key(c, key_sel, &which, &key);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    fill_report(c, vmpl, data, r);
    if (fw->snp.mask_chip_key)
        r->key_info |= (u32)SNP_KEY_INFO_MASK_CHIP_KEY;
    if (fw->snp.mask_chip_key && which == SNP_SIGNED_BY_VCEK)
        which = SNP_SIGNED_BY_NONE;
    r->key_info |= SNP_KEY_INFO_SIGNING_KEY(which);
    RULE_CHECK(c,
               which == SNP_SIGNED_BY_NONE ||
                   snp_sign(fw->crypto, key, r, SNP_REPORT_SIGNED_SIZE, &r->signature),
               HWERROR_PLATFORM, "the report cannot be signed");
    return SEV_STATUS_SUCCESS;
}

static enum sev_status check_vmpl(struct call *c, const struct message *m, u32 vmpl)
{
    RULE_CHECK(c, vmpl >= m->vmpck && vmpl < RMP_VMPLS, INVALID_PARAM,
               "VMPCK%u speaks for VMPL%u to VMPL3, not for %u", m->vmpck, m->vmpck, vmpl);
    return SEV_STATUS_SUCCESS;
}

static void answer_report(u32 status, const struct snp_report *report, struct snp_report_rsp *out)
{
    *out = (struct snp_report_rsp){.status = status};
    if (status != SEV_STATUS_SUCCESS)
        return;
    out->report_size = sizeof out->report;
    out->report = *report;
}

static enum sev_status check_report_request(struct call *c, const struct message *m,
                                            const struct snp_report_req *in)
{
    RULE_CHECK(c, !(in->key_sel & ~3u) && all_zero(in->reserved_48, sizeof in->reserved_48),
               INVALID_PARAM, "the request has reserved bits set");
    return check_vmpl(c, m, in->vmpl);
}

u32 message_report(struct call *c, struct message *m)
{
    struct snp_report_req in;
    struct snp_report report;
    struct snp_report_rsp out;
    memcpy(&in, m->in, sizeof in);
    enum sev_status status = check_report_request(c, m, &in);
    if (status == SEV_STATUS_SUCCESS)
        status = snp_report_make(c, in.vmpl, in.key_sel, in.report_data, &report);
    answer_report(status, &report, &out);
    memcpy(m->out, &out, sizeof out);
    m->out_size = sizeof out;
    return status;
}

enum sev_status snp_hv_report_req_parameters(struct call *c)
{
    const struct snp_hv_report_req *in = &c->in.snp_hv_report_req;
    RULE_CHECK(c, in->len == sizeof *in, INVALID_LENGTH, "LEN is %u, not %zu", in->len, sizeof *in);
    RULE_CHECK(c, in->key_sel <= SNP_KEY_SEL_VLEK, INVALID_PARAM, "KEY_SEL is 0x%x", in->key_sel);
    return SEV_STATUS_SUCCESS;
}

/* Makes a report that the host asks for: it has no VMPL and no REPORT_DATA. */
enum sev_status snp_hv_report_req(struct call *c)
{
    static const u8 no_data[64];
    const struct snp_hv_report_req *in = &c->in.snp_hv_report_req;
    struct snp_report report;
    struct snp_report_rsp out;
    enum sev_status status = page_check_answer(c, "report page", in->report_paddr, sizeof out);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    status = snp_report_make(c, SNP_VMPL_OF_HOST, in->key_sel, no_data, &report);
    note_answer(c, status);
    answer_report(status, &report, &out);
    page_answer(c, in->report_paddr, &out, sizeof out);
    return SEV_STATUS_SUCCESS;
}

/* --- Derived keys ----------------------------------------------------------------------------- */

/* The inputs of a derived key, in this order; inputs that are not selected are zero. */
struct __attribute__((packed)) key_mix {
    u32 select; /* root and key selection */
    u32 vmpl;
    u64 fields;
    u64 policy, tcb, launch_mit_vector;
    u8 image_id[16], family_id[16];
    u8 measurement[SNP_DIGEST_SIZE];
    u32 guest_svn, reserved;
};

static enum sev_status check_key_request(struct call *c, const struct message *m,
                                         const struct snp_key_req *in)
{
    const struct snp_identity *id = &c->context.id;
    RULE_CHECK(c, !(in->select >> 3) && !in->reserved_04 && !(in->fields >> 7), INVALID_PARAM,
               "the request has reserved bits set");
    RULE_CHECK(c, in->guest_svn <= id->guest_svn, INVALID_PARAM,
               "GUEST_SVN %u is above the ID block's %u", in->guest_svn, id->guest_svn);
    RULE_CHECK(c, snp_tcb_at_most(in->tcb, c->fw->snp.committed.tcb), INVALID_PARAM,
               "TCB_VERSION 0x%" PRIx64 " has a component above the committed TCB's 0x%" PRIx64,
               in->tcb, c->fw->snp.committed.tcb);
    RULE_CHECK(c, !(in->launch_mit_vector & ~id->launch_mit_vector), INVALID_PARAM,
               "LAUNCH_MIT_VECTOR 0x%" PRIx64 " has bits beyond the guest's 0x%" PRIx64,
               in->launch_mit_vector, id->launch_mit_vector);
    return check_vmpl(c, m, in->vmpl);
}

static void mix(const struct snp_identity *id, const struct snp_key_req *in, struct key_mix *k)
{
    u64 f = in->fields;
    *k = (struct key_mix){
        .select = in->select & (u32)SNP_KEY_ROOT_VMRK,
        .vmpl = in->vmpl,
        .fields = f,
        .policy = f & SNP_KEY_MIX_POLICY ? id->policy : 0,
        .tcb = f & SNP_KEY_MIX_TCB ? in->tcb : 0,
        .launch_mit_vector = f & SNP_KEY_MIX_MIT_VECTOR ? in->launch_mit_vector : 0,
        .guest_svn = f & SNP_KEY_MIX_GUEST_SVN ? in->guest_svn : 0,
    };
    if (f & SNP_KEY_MIX_IMAGE_ID)
        memcpy(k->image_id, id->image_id, sizeof k->image_id);
    if (f & SNP_KEY_MIX_FAMILY_ID)
        memcpy(k->family_id, id->family_id, sizeof k->family_id);
    if (f & SNP_KEY_MIX_MEASUREMENT)
        memcpy(k->measurement, id->ld, sizeof k->measurement);
}

/* Derives a key with SEV's KDF over a digest of the inputs [sev 7.3]; hardware's derivation is not
 * public. */
static void derive(const void *root, size_t root_size, const struct key_mix *k, u8 key[32])
{
    u8 digest[48];
    crypto_sha384(k, sizeof *k, digest);
    crypto_sev_kdf(root, root_size, "gmsg-keyreq", digest, sizeof digest, key, 32);
}

static enum sev_status make_key(struct call *c, const struct snp_key_req *in, u8 key[32])
{
    struct key_mix k;
    enum snp_signing_key which = SNP_SIGNED_BY_NONE;
    const struct ec_private *root = NULL;
    mix(&c->context.id, in, &k);
    if (in->select & SNP_KEY_ROOT_VMRK) {
        derive(c->context.id.vmrk, sizeof c->context.id.vmrk, &k, key);
        return SEV_STATUS_SUCCESS;
    }
    enum sev_status status = snp_select_key(c, (u32)BITS(in->select, 2, 1), &which, &root);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    RULE_CHECK(c, which == SNP_SIGNED_BY_VLEK || !c->fw->snp.mask_chip_key, INVALID_KEY,
               "the VCEK is masked by MASK_CHIP_KEY");
    k.select |= SNP_KEY_SEL(which);
    derive(root->d, sizeof root->d, &k, key);
    return SEV_STATUS_SUCCESS;
}

u32 message_key(struct call *c, struct message *m)
{
    struct snp_key_req in = {.select = 0};
    struct snp_key_rsp out = {.status = 0};
    memcpy(&in, m->in, m->in_size); /* the short form has no mitigation vector */
    out.status = check_key_request(c, m, &in);
    if (out.status == SEV_STATUS_SUCCESS)
        out.status = make_key(c, &in, out.key);
    memcpy(m->out, &out, sizeof out);
    crypto_wipe(out.key, sizeof out.key);
    m->out_size = sizeof out;
    return out.status;
}

/* --- CPUID and TSC ---------------------------------------------------------------------------- */

u32 message_cpuid(struct call *c, struct message *m)
{
    struct snp_cpuid_rsp table;
    const char *why = "";
    memcpy(&table, m->in, m->in_size);
    u32 count = load_le32(m->in); /* the header of the request: count, then reserved bytes */
    bool fits =
        count <= SNP_CPUID_ENTRIES && m->in_size == 16 + count * sizeof(struct snp_cpuid_entry);
    enum sev_status status = SEV_STATUS_SUCCESS;
    if (!fits)
        status = refuse(c, SEV_STATUS_INVALID_PARAM, "%u bytes do not hold %u entries", m->in_size,
                        count);
    else if (!snp_cpuid_check(c->fw, table.entries, count, &why))
        status = refuse(c, SEV_STATUS_INVALID_PARAM,
                        "the table claims what this processor has not: %s", why);
    else if (!all_zero(m->in + 4, 12))
        status = refuse(c, SEV_STATUS_INVALID_PARAM, "the table has reserved bits set");
    table.status = status;
    table.count = fits ? count : 0;
    table.reserved_08 = 0;
    m->out_size = 16 + table.count * (u32)sizeof(struct snp_cpuid_entry);
    memcpy(m->out, &table, m->out_size);
    return status;
}

#define TSC_KHZ 1000000u /* the machine's clock: 1 GHz */

u64 snp_tsc_scale(const struct snp_context *g)
{
    u64 khz = g->id.desired_tsc_khz ? g->id.desired_tsc_khz : TSC_KHZ;
    return (khz << 32) / TSC_KHZ;
}

u32 message_tsc_info(struct call *c, struct message *m)
{
    struct snp_tsc_info_rsp out = {.status = SEV_STATUS_SUCCESS};
    if (all_zero(m->in, m->in_size))
        out.tsc_scale = snp_tsc_scale(&c->context);
    else
        out.status = refuse(c, SEV_STATUS_INVALID_PARAM, "TSC_INFO_REQ is 128 zeros");
    memcpy(m->out, &out, sizeof out);
    m->out_size = sizeof out;
    return out.status;
}
