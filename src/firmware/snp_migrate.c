/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a migration agent may do with the guests bound to it: take a guest's identity out of its context
 * (EXPORT), put it into another (IMPORT, ABSORB), give it a root key (VMRK) [snp 6.2]. Only the layouts of the
 * messages are public; the rules of who may do what are ours.
 */
#include "firmware/internal.h"

#define CONTEXT_VERSION 1u
#define STATUS_PARAM    SEV_STATUS_INVALID_PARAM

_Static_assert(sizeof(struct snp_export_rsp) + sizeof(struct snp_identity) <= SNP_MSG_PAYLOAD_MAX,
               "an exported context fits a message");

static u32 answer_status(struct message *m, u32 status)
{
    struct snp_status_rsp out = {.status = status};
    memcpy(m->out, &out, sizeof out);
    m->out_size = sizeof out;
    return status;
}

/* The context of another guest; false: it is none, or the caller itself. */
static bool target_load(struct call *c, u64 gctx, struct snp_context *target)
{
    return real_address(c->fw, gctx) != c->gctx &&
           snp_context_load(c, "target", gctx, target) == SEV_STATUS_SUCCESS;
}

static bool bound(const struct call *c, const struct snp_context *target)
{
    return target->ma_gctx == c->gctx && !memcmp(target->report_id_ma, c->context.id.report_id, 32);
}

u32 message_export(struct call *c, struct message *m)
{
    struct snp_export_req in;
    struct snp_context target;
    memcpy(&in, m->in, sizeof in);
    struct snp_export_rsp out = {.status = STATUS_PARAM};
    bool imi = in.flags & 1;
    bool right = !(in.flags & ~1u) && !in.reserved_0c && target_load(c, in.gctx_paddr, &target) &&
                 bound(c, &target) && target.state == SNP_GSTATE_RUNNING &&
                 imi == (target.id.imi_en != 0);
    m->out_size = sizeof out;
    if (right) {
        out = (struct snp_export_rsp){.ctx_size = sizeof target.id, .ctx_version = CONTEXT_VERSION};
        memcpy(m->out + sizeof out, &target.id, sizeof target.id);
        m->out_size += (u32)sizeof target.id;
    }
    memcpy(m->out, &out, sizeof out);
    crypto_wipe(&target, sizeof target);
    c->fw->rule[0] =
        0; /* a target that is no context is the message's failure, not the command's */
    return out.status;
}

/* The context in the message; false: another size or version. */
static bool context_of(const struct message *m, struct snp_import_req *in, struct snp_identity *id)
{
    memcpy(in, m->in, sizeof *in);
    memcpy(id, m->in + sizeof *in, sizeof *id);
    return in->ctx_size == sizeof *id && in->ctx_version == CONTEXT_VERSION &&
           all_zero(in->reserved_10, sizeof in->reserved_10) && !id->reserved &&
           id->id_block_en <= 1 && id->author_key_en <= 1 && id->vcek_dis <= 1 && id->imi_en <= 1;
}

u32 message_import(struct call *c, struct message *m)
{
    struct firmware *fw = c->fw;
    struct snp_import_req in;
    struct snp_identity id;
    struct snp_context target;
    bool right = context_of(m, &in, &id) && (id.policy & SNP_POLICY_MIGRATE_MA) &&
                 !c->context.ma_gctx && target_load(c, in.gctx_paddr, &target) &&
                 target.state == SNP_GSTATE_INIT;
    if (right) {
        snp_mix_keys(fw, &target); /* a memory key of its own; all else comes with the identity */
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
    fw->rule[0] = 0;
    return answer_status(m, right ? SEV_STATUS_SUCCESS : STATUS_PARAM);
}

/* A guest launched from an initial migration image becomes the guest whose identity arrives: that one was
 * launched from the same image. Memory key, ASID and message keys stay those of the running guest. */
static bool absorb(struct snp_context *target, const struct snp_identity *id)
{
    if (target->state != SNP_GSTATE_RUNNING || !target->id.imi_en || !id->imi_en ||
        memcmp(id->imd, target->id.imd, sizeof id->imd) || id->policy != target->id.policy)
        return false;
    struct snp_identity old = target->id;
    target->id = *id;
    memcpy(target->id.vmpck, old.vmpck, sizeof old.vmpck);
    memcpy(target->id.seqno, old.seqno, sizeof old.seqno);
    crypto_wipe(&old, sizeof old);
    return true;
}

u32 message_absorb(struct call *c, struct message *m)
{
    struct snp_import_req in;
    struct snp_identity id;
    struct snp_context target;
    bool right = context_of(m, &in, &id) && target_load(c, in.gctx_paddr, &target) &&
                 bound(c, &target) && absorb(&target, &id);
    if (right)
        snp_context_save(c->fw, &target);
    crypto_wipe(&id, sizeof id);
    crypto_wipe(&target, sizeof target);
    c->fw->rule[0] = 0;
    return answer_status(m, right ? SEV_STATUS_SUCCESS : STATUS_PARAM);
}

/* The same without an agent: the caller takes the identity itself. */
u32 message_absorb_noma(struct call *c, struct message *m)
{
    struct snp_import_req in;
    struct snp_identity id;
    bool right = context_of(m, &in, &id) && !in.gctx_paddr && !c->context.ma_gctx &&
                 absorb(&c->context, &id);
    crypto_wipe(&id, sizeof id);
    return answer_status(m, right ? SEV_STATUS_SUCCESS : STATUS_PARAM);
}

/* Before the guest runs: what it derives from its root key must not change under it. */
u32 message_vmrk(struct call *c, struct message *m)
{
    struct snp_vmrk_req in;
    struct snp_context target;
    memcpy(&in, m->in, sizeof in);
    bool right = all_zero(in.reserved_08, sizeof in.reserved_08) &&
                 target_load(c, in.gctx_paddr, &target) && bound(c, &target) &&
                 target.state == SNP_GSTATE_LAUNCH;
    if (right) {
        memcpy(target.id.vmrk, in.vmrk, sizeof target.id.vmrk);
        snp_context_save(c->fw, &target);
    }
    crypto_wipe(&in, sizeof in);
    crypto_wipe(&target, sizeof target);
    c->fw->rule[0] = 0;
    return answer_status(m, right ? SEV_STATUS_SUCCESS : STATUS_PARAM);
}
