/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a migration agent may do with the guests bound to it: take a guest's identity out of its
 * context (EXPORT), put it into another context (IMPORT, ABSORB), and give it a root key (VMRK)
 * [snp 6.2]. Only the layouts of the messages are public; the rules about who may do what are
 * softsev's own.
 */
#include "firmware/internal.h"

#include <inttypes.h>

#define CONTEXT_VERSION 1u

_Static_assert(sizeof(struct snp_export_rsp) + sizeof(struct snp_identity) <= SNP_MSG_PAYLOAD_MAX,
               "an exported context fits a message");

static u32 answer_status(struct message *m, enum sev_status status)
{
    struct snp_status_rsp out = {.status = status};
    memcpy(m->out, &out, sizeof out);
    m->out_size = sizeof out;
    return status;
}

/* Loads the context of another guest. If the page is not a context, the message has a wrong
 * parameter. */
static enum sev_status target_load(struct call *c, u64 gctx, struct snp_context *target)
{
    *target = (struct snp_context){.self = 0};
    RULE_CHECK(c, real_address(c->fw, gctx) != c->gctx, INVALID_PARAM,
               "the target is the caller's own context");
    return snp_context_load(c, "target", gctx, target) == SEV_STATUS_SUCCESS
               ? SEV_STATUS_SUCCESS
               : SEV_STATUS_INVALID_PARAM;
}

static enum sev_status check_bound(struct call *c, const struct snp_context *target)
{
    RULE_CHECK(
        c, target->ma_gctx == c->gctx && !memcmp(target->report_id_ma, c->context.id.report_id, 32),
        INVALID_PARAM, "the target is not bound to this migration agent");
    return SEV_STATUS_SUCCESS;
}

static enum sev_status check_target_state(struct call *c, const struct snp_context *target,
                                          enum snp_gstate state)
{
    RULE_CHECK(c, target->state == (u32)state, INVALID_PARAM, "the target is in state %s, not %s",
               snp_gstate_name(target->state), snp_gstate_name(state));
    return SEV_STATUS_SUCCESS;
}

/* Loads the context of a guest that is bound to the agent and is in this state. */
static enum sev_status target_take(struct call *c, u64 gctx, enum snp_gstate state,
                                   struct snp_context *target)
{
    enum sev_status status = target_load(c, gctx, target);
    if (status == SEV_STATUS_SUCCESS)
        status = check_bound(c, target);
    return status == SEV_STATUS_SUCCESS ? check_target_state(c, target, state) : status;
}

static enum sev_status check_export(struct call *c, const struct snp_export_req *in,
                                    struct snp_context *target)
{
    RULE_CHECK(c, !(in->flags & ~1u) && !in->reserved_0c, INVALID_PARAM,
               "the request has reserved bits set");
    enum sev_status status = target_take(c, in->gctx_paddr, SNP_GSTATE_RUNNING, target);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    RULE_CHECK(c, (in->flags & 1) == target->id.imi_en, INVALID_PARAM,
               "IMI_EN is %u, the target's %u", in->flags & 1, target->id.imi_en);
    return SEV_STATUS_SUCCESS;
}

u32 message_export(struct call *c, struct message *m)
{
    struct snp_export_req in;
    struct snp_context target;
    memcpy(&in, m->in, sizeof in);
    struct snp_export_rsp out = {.status = check_export(c, &in, &target)};
    m->out_size = sizeof out;
    if (out.status == SEV_STATUS_SUCCESS) {
        out = (struct snp_export_rsp){.ctx_size = sizeof target.id, .ctx_version = CONTEXT_VERSION};
        memcpy(m->out + sizeof out, &target.id, sizeof target.id);
        m->out_size += (u32)sizeof target.id;
    }
    memcpy(m->out, &out, sizeof out);
    crypto_wipe(&target, sizeof target);
    return out.status;
}

/* Reads the context in the message. */
static enum sev_status context_of(struct call *c, const struct message *m,
                                  struct snp_import_req *in, struct snp_identity *id)
{
    memcpy(in, m->in, sizeof *in);
    memcpy(id, m->in + sizeof *in, sizeof *id);
    RULE_CHECK(c, in->ctx_size == sizeof *id && in->ctx_version == CONTEXT_VERSION, INVALID_PARAM,
               "the context has %u bytes and version %u, not %zu and 1", in->ctx_size,
               in->ctx_version, sizeof *id);
    RULE_CHECK(c,
               all_zero(in->reserved_10, sizeof in->reserved_10) && !id->reserved &&
                   id->id_block_en <= 1 && id->author_key_en <= 1 && id->vcek_dis <= 1 &&
                   id->imi_en <= 1,
               INVALID_PARAM, "request or context have reserved bits set");
    return SEV_STATUS_SUCCESS;
}

static enum sev_status check_import(struct call *c, const struct snp_import_req *in,
                                    const struct snp_identity *id, struct snp_context *target)
{
    if (snp_policy_form(c, id->policy) != SEV_STATUS_SUCCESS ||
        snp_policy_met(c, id->policy) != SEV_STATUS_SUCCESS)
        return SEV_STATUS_INVALID_PARAM;
    RULE_CHECK(c, id->policy & SNP_POLICY_MIGRATE_MA, INVALID_PARAM,
               "policy 0x%" PRIx64 " does not allow a migration agent", id->policy);
    RULE_CHECK(c, !c->context.ma_gctx, INVALID_PARAM,
               "the caller has a migration agent itself: it is none");
    enum sev_status status = target_load(c, in->gctx_paddr, target);
    return status == SEV_STATUS_SUCCESS ? check_target_state(c, target, SNP_GSTATE_INIT) : status;
}

u32 message_import(struct call *c, struct message *m)
{
    struct firmware *fw = c->fw;
    struct snp_import_req in;
    struct snp_identity id;
    struct snp_context target;
    enum sev_status status = context_of(c, m, &in, &id);
    if (status == SEV_STATUS_SUCCESS)
        status = check_import(c, &in, &id, &target);
    if (status == SEV_STATUS_SUCCESS) {
        snp_mix_keys(fw, &target); /* its own memory key; the rest comes with the identity */
        target.id = id;
        target.state = SNP_GSTATE_RUNNING;
        target.ma_gctx = c->gctx;
        memcpy(target.report_id_ma, c->context.id.report_id, sizeof target.report_id_ma);
        target.launch_tcb = fw->profile->tcb;
        snp_context_save(fw, &target);
        note(c, " guest=INIT>RUNNING");
    }
    crypto_wipe(&id, sizeof id);
    crypto_wipe(&target, sizeof target);
    return answer_status(m, status);
}

/* Gives the identity to a guest that was launched from an initial migration image. The identity's
 * guest was launched from the same image. The running guest keeps its memory key, ASID and message
 * keys. */
static enum sev_status absorb(struct call *c, struct snp_context *target,
                              const struct snp_identity *id)
{
    enum sev_status status = check_target_state(c, target, SNP_GSTATE_RUNNING);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    RULE_CHECK(c, target->id.imi_en && id->imi_en, INVALID_PARAM,
               "the target or the context was launched without IMI_EN");
    RULE_CHECK(c, !memcmp(id->imd, target->id.imd, sizeof id->imd), INVALID_PARAM,
               "the context was launched from another initial migration image");
    RULE_CHECK(c, id->policy == target->id.policy, INVALID_PARAM,
               "the context's policy is 0x%" PRIx64 ", the target's 0x%" PRIx64, id->policy,
               target->id.policy);
    struct snp_identity old = target->id;
    target->id = *id;
    memcpy(target->id.vmpck, old.vmpck, sizeof old.vmpck);
    memcpy(target->id.seqno, old.seqno, sizeof old.seqno);
    crypto_wipe(&old, sizeof old);
    return SEV_STATUS_SUCCESS;
}

u32 message_absorb(struct call *c, struct message *m)
{
    struct snp_import_req in;
    struct snp_identity id;
    struct snp_context target;
    enum sev_status status = context_of(c, m, &in, &id);
    if (status == SEV_STATUS_SUCCESS)
        status = target_take(c, in.gctx_paddr, SNP_GSTATE_RUNNING, &target);
    if (status == SEV_STATUS_SUCCESS)
        status = absorb(c, &target, &id);
    if (status == SEV_STATUS_SUCCESS)
        snp_context_save(c->fw, &target);
    crypto_wipe(&id, sizeof id);
    crypto_wipe(&target, sizeof target);
    return answer_status(m, status);
}

/* Does the same without an agent: the caller takes the identity itself. */
u32 message_absorb_noma(struct call *c, struct message *m)
{
    struct snp_import_req in;
    struct snp_identity id;
    enum sev_status status = context_of(c, m, &in, &id);
    if (status == SEV_STATUS_SUCCESS && in.gctx_paddr)
        status = refuse(c, SEV_STATUS_INVALID_PARAM, "the request has reserved bytes set");
    if (status == SEV_STATUS_SUCCESS && c->context.ma_gctx)
        status = refuse(c, SEV_STATUS_INVALID_PARAM,
                        "the caller has a migration agent, who may ABSORB for it");
    if (status == SEV_STATUS_SUCCESS)
        status = absorb(c, &c->context, &id);
    crypto_wipe(&id, sizeof id);
    return answer_status(m, status);
}

/* Sets the root key. The guest must not run yet: keys that it derives from its root key must not
 * change while it runs. */
u32 message_vmrk(struct call *c, struct message *m)
{
    struct snp_vmrk_req in;
    struct snp_context target;
    memcpy(&in, m->in, sizeof in);
    enum sev_status status = SEV_STATUS_SUCCESS;
    if (!all_zero(in.reserved_08, sizeof in.reserved_08))
        status = refuse(c, SEV_STATUS_INVALID_PARAM, "the request has reserved bytes set");
    if (status == SEV_STATUS_SUCCESS)
        status = target_take(c, in.gctx_paddr, SNP_GSTATE_LAUNCH, &target);
    if (status == SEV_STATUS_SUCCESS) {
        memcpy(target.id.vmrk, in.vmrk, sizeof target.id.vmrk);
        snp_context_save(c->fw, &target);
    }
    crypto_wipe(&in, sizeof in);
    crypto_wipe(&target, sizeof target);
    return answer_status(m, status);
}
