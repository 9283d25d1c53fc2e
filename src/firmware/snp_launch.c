/* SPDX-License-Identifier: Apache-2.0 */
/* SNP_LAUNCH_START, _UPDATE and _FINISH: policy, measured pages, ID block [snp 5]. */
#include "abi/vmsa.h"
#include "firmware/internal.h"
#include "memory/frame.h"

#include <inttypes.h>

/* --- SNP_LAUNCH_START ------------------------------------------------------------------------- */

static u64 policy_reserved(const struct firmware_profile *p)
{
    return SNP_POLICY_RESERVED | (p->api_minor < 58 ? SNP_POLICY_PAGE_SWAP_DISABLE : 0);
}

enum sev_status snp_launch_start_parameters(struct call *c)
{
    const struct snp_launch_start *in = &c->in.snp_launch_start;
    RULE_CHECK(c, !(in->flags & ~(u32)(SNP_LAUNCH_START_MA_EN | SNP_LAUNCH_START_IMI_EN)),
               INVALID_PARAM, "reserved flags are set");
    return snp_policy_form(c, in->policy);
}

enum sev_status snp_policy_form(struct call *c, u64 policy)
{
    RULE_CHECK(c, policy & SNP_POLICY_ONE, INVALID_PARAM, "bit 17 of the policy must be one");
    RULE_CHECK(c, !(policy & policy_reserved(c->fw->profile)), INVALID_PARAM,
               "policy 0x%" PRIx64 " has reserved bits set", policy);
    return SEV_STATUS_SUCCESS;
}

enum sev_status snp_policy_met(struct call *c, u64 policy)
{
    const struct firmware *fw = c->fw;
    const struct firmware_profile *p = fw->profile;
    u32 major = (u32)BITS(policy, 15, 8), minor = (u32)BITS(policy, 7, 0);
    RULE_CHECK(c, major < p->api_major || (major == p->api_major && minor <= p->api_minor),
               POLICY_FAILURE, "the policy asks for API %u.%u, firmware is %u.%u", major, minor,
               p->api_major, p->api_minor);
    RULE_CHECK(c, !fw->smt || (policy & SNP_POLICY_SMT), POLICY_FAILURE,
               "the policy does not allow SMT, which is on");
    RULE_CHECK(c, !(policy & SNP_POLICY_MEM_AES_256_XTS), POLICY_FAILURE,
               "the policy asks for AES-256-XTS, memory has AES-128");
    RULE_CHECK(c, !(policy & SNP_POLICY_RAPL_DIS) || fw->snp.rapl_dis, POLICY_FAILURE,
               "the policy asks for RAPL_DIS, RAPL is on");
    RULE_CHECK(c, !(policy & SNP_POLICY_CIPHERTEXT_HIDING) || fw->snp.ciphertext_hiding,
               POLICY_FAILURE, "the policy asks for CIPHERTEXT_HIDING_DRAM, which is off");
    return SEV_STATUS_SUCCESS;
}

static enum sev_status check_migration_agent(struct call *c, struct snp_context *ma)
{
    const struct snp_launch_start *in = &c->in.snp_launch_start;
    if (!(in->flags & SNP_LAUNCH_START_MA_EN))
        return SEV_STATUS_SUCCESS;
    RULE_CHECK(c, in->policy & SNP_POLICY_MIGRATE_MA, POLICY_FAILURE,
               "the policy does not allow a migration agent");
    enum sev_status status = snp_context_load(c, "migration agent", in->ma_gctx_paddr, ma);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    RULE_CHECK(c, ma->self != c->gctx, INVALID_GUEST, "a guest is not its own migration agent");
    RULE_CHECK(c, ma->state == SNP_GSTATE_RUNNING, INVALID_GUEST_STATE,
               "the migration agent is in state %s", snp_gstate_name(ma->state));
    RULE_CHECK(c, !ma->ma_gctx, INVALID_GUEST, "the migration agent has a migration agent itself");
    return SEV_STATUS_SUCCESS;
}

void snp_mix_keys(struct firmware *fw, struct snp_context *g)
{
    crypto_random(fw->crypto, g->vek, sizeof g->vek);
    crypto_random(fw->crypto, g->id.vmpck, sizeof g->id.vmpck);
    crypto_random(fw->crypto, g->id.oek, sizeof g->id.oek);
    crypto_random(fw->crypto, g->id.vmrk, sizeof g->id.vmrk);
    crypto_random(fw->crypto, g->id.report_id, sizeof g->id.report_id);
}

enum sev_status snp_launch_start(struct call *c)
{
    const struct snp_launch_start *in = &c->in.snp_launch_start;
    struct firmware *fw = c->fw;
    struct snp_context ma = {.self = 0};
    note(c, " policy=0x%" PRIx64, in->policy);
    enum sev_status status = snp_policy_met(c, in->policy);
    if (status == SEV_STATUS_SUCCESS)
        status = check_migration_agent(c, &ma);
    if (status != SEV_STATUS_SUCCESS) {
        crypto_wipe(&ma, sizeof ma);
        return status;
    }
    struct snp_context g = {
        .magic = SNP_CONTEXT_MAGIC,
        .self = c->gctx,
        .state = SNP_GSTATE_LAUNCH,
        .ma_gctx = ma.self,
        .launch_tcb = fw->profile->tcb,
        .id = {.policy = in->policy,
               .imi_en = (in->flags & SNP_LAUNCH_START_IMI_EN) != 0,
               .desired_tsc_khz = in->desired_tsc_khz,
               .launch_mit_vector = fw->snp.mitigations},
    };
    memcpy(g.id.gosvw, in->gosvw, sizeof g.id.gosvw);
    memset(g.report_id_ma, 0xff, sizeof g.report_id_ma);
    if (ma.self)
        memcpy(g.report_id_ma, ma.id.report_id, sizeof g.report_id_ma);
    snp_mix_keys(fw, &g);
    c->context = g;
    crypto_wipe(&g, sizeof g);
    crypto_wipe(&ma, sizeof ma);
    note(c, " guest=INIT>LAUNCH");
    return SEV_STATUS_SUCCESS;
}

/* --- SNP_LAUNCH_UPDATE ------------------------------------------------------------------------ */

static u32 page_type_of(const struct snp_launch_update *in)
{
    return (u32)BITS(in->flags, 3, 1);
}

enum sev_status snp_launch_update_parameters(struct call *c)
{
    const struct snp_launch_update *in = &c->in.snp_launch_update;
    u32 type = page_type_of(in);
    RULE_CHECK(c, type >= SNP_PAGE_NORMAL && type <= SNP_PAGE_CPUID, INVALID_PARAM,
               "there is no page type %u", type);
    RULE_CHECK(c, !(in->flags >> 5) && !in->reserved_0c && !in->reserved_18 && !in->reserved_1c,
               INVALID_PARAM, "reserved bits are set");
    RULE_CHECK(
        c, !((in->vmpl1_permissions | in->vmpl2_permissions | in->vmpl3_permissions) & ~RMP_ALL),
        INVALID_PARAM, "a permission beyond 0Fh is asked for");
    RULE_CHECK(c,
               !(in->flags & SNP_PAGE_LARGE) || type == SNP_PAGE_NORMAL || type == SNP_PAGE_ZERO ||
                   type == SNP_PAGE_UNMEASURED,
               INVALID_PAGE_SIZE, "a VMSA, secrets or CPUID page has 4 KiB");
    return SEV_STATUS_SUCCESS;
}

/* Digest of the bytes that a page is launched with. */
struct page_hash {
    struct crypto_sha384 *sha384;
    u8 *digest;
};

static void hash_page(void *context, const void *bytes, size_t size)
{
    const struct page_hash *h = context;
    crypto_sha384_run(h->sha384, bytes, size, h->digest);
}

static void hash_nothing(void *context, const void *bytes, size_t size)
{
    (void)context;
    (void)bytes;
    (void)size;
}

static u32 secrets_version(const struct firmware_profile *p)
{
    return p->report_version >= 5 ? 4 : p->report_version == 3 ? 3 : 2;
}

static void put_secrets(struct call *c, u64 spa)
{
    const struct snp_context *g = &c->context;
    struct snp_secrets_page s = {
        .version = secrets_version(c->fw->profile),
        .flags = g->id.imi_en,
        .fms = snp_fms(c->fw->profile),
        .launch_mit_vector = g->id.launch_mit_vector,
    };
    memcpy(s.gosvw, g->id.gosvw, sizeof s.gosvw);
    memcpy(s.vmpck, g->id.vmpck, sizeof s.vmpck);
    memcpy(s.vmsa_tweak_bitmap, vmsa_protected, sizeof s.vmsa_tweak_bitmap);
    memory_write(c->fw->memory, spa, (memory_key)g->asid, &s, sizeof s);
    crypto_wipe(&s, sizeof s);
}

/* Checks the CPUID page and places it. If a value does not pass, the corrected page goes back in
 * plaintext and its state does not change [snp 5.4]. */
static enum sev_status put_cpuid(struct call *c, u64 spa)
{
    struct snp_cpuid_page page;
    const char *why = "";
    memory_read(c->fw->memory, spa, KEY_RAW, &page, sizeof page);
    RULE_CHECK(c, page.count <= SNP_CPUID_ENTRIES, INVALID_PARAM,
               "the CPUID page has %u entries, at most 64 fit", page.count);
    RULE_CHECK(c, !page.reserved_04 && !page.reserved_08, INVALID_PARAM,
               "the CPUID page has reserved bits set");
    if (!snp_cpuid_check(c->fw, page.entries, page.count, &why)) {
        memory_write(c->fw->memory, spa, KEY_RAW, &page, sizeof page);
        return refuse(c, SEV_STATUS_INVALID_PARAM,
                      "the CPUID page claims what this processor has not: %s", why);
    }
    memory_launch(c->fw->memory, spa, PAGE_SIZE, c->context.asid, hash_nothing, NULL);
    return SEV_STATUS_SUCCESS;
}

/* Writes the TSC scale after measuring: for SecureTSC the platform, not the owner, chooses it. */
static void put_tsc_scale(struct call *c, u64 spa)
{
    memory_key key = (memory_key)c->context.asid;
    u64 features = 0, scale = snp_tsc_scale(&c->context);
    memory_read(c->fw->memory, spa + offsetof(struct vmsa, sev_features), key, &features, 8);
    if (features & SEV_FEATURE_SECURE_TSC)
        memory_write(c->fw->memory, spa + offsetof(struct vmsa, guest_tsc_scale), key, &scale, 8);
}

/* Puts the page's contents under the guest's key and the CONTENTS field of its record into
 * `contents`. */
static enum sev_status place_page(struct call *c, u32 type, u64 spa, u8 contents[SNP_DIGEST_SIZE])
{
    struct firmware *fw = c->fw;
    u32 asid = c->context.asid;
    memset(contents, 0, SNP_DIGEST_SIZE);
    switch (type) {
    case SNP_PAGE_NORMAL:
    case SNP_PAGE_VMSA:
        memory_launch(fw->memory, spa, PAGE_SIZE, asid, hash_page,
                      &(struct page_hash){fw->sha384, contents});
        if (type == SNP_PAGE_VMSA)
            put_tsc_scale(c, spa);
        break;
    case SNP_PAGE_UNMEASURED:
        memory_launch(fw->memory, spa, PAGE_SIZE, asid, hash_nothing, NULL);
        break;
    case SNP_PAGE_ZERO: /* snp_launch_update() clears all of it */
        break;
    case SNP_PAGE_SECRETS:
        put_secrets(c, spa);
        break;
    default:
        return put_cpuid(c, spa);
    }
    return SEV_STATUS_SUCCESS;
}

static void extend(const struct firmware *fw, u8 digest[SNP_DIGEST_SIZE],
                   struct snp_page_info *info)
{
    memcpy(info->digest_current, digest, SNP_DIGEST_SIZE);
    crypto_sha384_run(fw->sha384, info, sizeof *info, digest);
}

/* Launches a page with one record for each 4 KiB; a large page has 512 records. */
static enum sev_status launch_page(struct call *c, u64 spa, u64 gpa)
{
    const struct snp_launch_update *in = &c->in.snp_launch_update;
    u32 type = page_type_of(in);
    struct snp_page_info info = {
        .length = sizeof info,
        .page_type = (u8)type,
        .imi_page = (in->flags & SNP_LAUNCH_UPDATE_IMI_PAGE) != 0,
        .gpa = gpa,
    };
    if (type != SNP_PAGE_VMSA) {
        info.vmpl1_permissions = in->vmpl1_permissions;
        info.vmpl2_permissions = in->vmpl2_permissions;
        info.vmpl3_permissions = in->vmpl3_permissions;
    }
    enum sev_status status = place_page(c, type, spa, info.contents);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    extend(c->fw, c->context.id.ld, &info);
    if (info.imi_page)
        extend(c->fw, c->context.id.imd, &info);
    return SEV_STATUS_SUCCESS;
}

enum sev_status snp_launch_update(struct call *c)
{
    const struct snp_launch_update *in = &c->in.snp_launch_update;
    bool large = in->flags & SNP_PAGE_LARGE;
    u32 type = page_type_of(in);
    u64 spa = real_address(c->fw, in->paddr);
    struct rmp_entry e;
    RULE_CHECK(c, !(in->flags & SNP_LAUNCH_UPDATE_IMI_PAGE) || c->context.id.imi_en, INVALID_PARAM,
               "IMI_PAGE in a launch without IMI_EN");
    enum sev_status status = page_check_owned(c, "page", in->paddr, large, PAGE(PRE_GUEST), &e);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    note(c, " spa=0x%" PRIx64 " gpa=0x%" PRIx64 " type=%u", spa, e.gpa, type);
    const u64 size = large ? RMP_LARGE_SIZE : PAGE_SIZE;
    if (type == SNP_PAGE_ZERO)
        memory_clear(c->fw->memory, spa, size, (memory_key)c->context.asid);
    for (u64 at = 0; at < size; at += PAGE_SIZE) {
        status = launch_page(c, spa + at, e.gpa + at);
        if (status != SEV_STATUS_SUCCESS)
            return status;
    }
    bool vmsa = type == SNP_PAGE_VMSA;
    e.immutable = false;
    e.validated = true;
    e.vmsa = vmsa;
    e.permissions[0] = RMP_ALL;
    e.permissions[1] = vmsa ? 0 : in->vmpl1_permissions;
    e.permissions[2] = vmsa ? 0 : in->vmpl2_permissions;
    e.permissions[3] = vmsa ? 0 : in->vmpl3_permissions;
    page_set(c, spa, &e);
    return SEV_STATUS_SUCCESS;
}

/* --- SNP_LAUNCH_FINISH ------------------------------------------------------------------------ */

enum sev_status snp_launch_finish_parameters(struct call *c)
{
    u64 flags = c->in.snp_launch_finish.flags;
    RULE_CHECK(c, !(flags >> 3), INVALID_PARAM, "reserved flags are set");
    RULE_CHECK(c,
               (flags & SNP_LAUNCH_FINISH_ID_BLOCK_EN) || !(flags & SNP_LAUNCH_FINISH_AUTH_KEY_EN),
               INVALID_PARAM, "AUTH_KEY_EN without ID_BLOCK_EN");
    return SEV_STATUS_SUCCESS;
}

static enum sev_status check_id_auth(struct call *c, const struct snp_id_block *block,
                                     const struct snp_id_auth *auth, bool author)
{
    struct ec_public id_key, author_key;
    RULE_CHECK(c, snp_public_key_get(&auth->id_key, &id_key), BAD_SIGNATURE,
               "the ID key is not a point of P-384");
    RULE_CHECK(c, snp_verify(&id_key, block, sizeof *block, &auth->id_block_signature),
               BAD_SIGNATURE, "the ID block is not signed by the ID key");
    if (!author)
        return SEV_STATUS_SUCCESS;
    RULE_CHECK(c, snp_public_key_get(&auth->author_key, &author_key), BAD_SIGNATURE,
               "the author key is not a point of P-384");
    RULE_CHECK(c,
               snp_verify(&author_key, &auth->id_key, sizeof auth->id_key, &auth->id_key_signature),
               BAD_SIGNATURE, "the ID key is not signed by the author key");
    return SEV_STATUS_SUCCESS;
}

/* Checks the reserved bytes of the page, and of the keys and signatures in it that are used. */
static bool reserved_zero(const struct snp_id_auth *a, bool author)
{
    bool zero =
        all_zero(a->reserved_008, sizeof a->reserved_008) &&
        all_zero(a->reserved_644, sizeof a->reserved_644) &&
        all_zero(a->reserved_c84, sizeof a->reserved_c84) &&
        all_zero(a->id_key.reserved_94, sizeof a->id_key.reserved_94) &&
        all_zero(a->id_block_signature.reserved_90, sizeof a->id_block_signature.reserved_90);
    return zero &&
           (!author ||
            (all_zero(a->author_key.reserved_94, sizeof a->author_key.reserved_94) &&
             all_zero(a->id_key_signature.reserved_90, sizeof a->id_key_signature.reserved_90)));
}

/* Checks in the order of [snp 5.2]: reserved bytes, digest, policy, signatures. */
static enum sev_status check_id_block(struct call *c, const struct snp_id_block *block,
                                      const struct snp_id_auth *auth)
{
    bool author = c->in.snp_launch_finish.flags & SNP_LAUNCH_FINISH_AUTH_KEY_EN;
    RULE_CHECK(c, block->version == 1, INVALID_PARAM, "the ID block's version is %u, not 1",
               block->version);
    RULE_CHECK(c,
               auth->id_key_algo == SNP_KEY_ALGO_ECDSA_P384_SHA384 &&
                   (!author || auth->auth_key_algo == SNP_KEY_ALGO_ECDSA_P384_SHA384),
               INVALID_PARAM, "a key's algorithm is not 1, ECDSA P-384 with SHA-384");
    RULE_CHECK(c, reserved_zero(auth, author), INVALID_PARAM,
               "the ID authentication page has reserved bytes set");
    RULE_CHECK(c, !memcmp(block->ld, c->context.id.ld, SNP_DIGEST_SIZE), BAD_MEASUREMENT,
               "the ID block's launch digest is not the guest's");
    RULE_CHECK(c, block->policy == c->context.id.policy, POLICY_FAILURE,
               "the ID block's policy is 0x%" PRIx64 ", the guest's 0x%" PRIx64, block->policy,
               c->context.id.policy);
    return check_id_auth(c, block, auth, author);
}

static enum sev_status take_id_block(struct call *c)
{
    const struct snp_launch_finish *in = &c->in.snp_launch_finish;
    struct snp_identity *id = &c->context.id;
    struct snp_id_block block;
    struct snp_id_auth auth;
    enum sev_status status = read_range(c, "ID block", in->id_block_paddr, &block, sizeof block);
    if (status == SEV_STATUS_SUCCESS)
        status = read_range(c, "ID authentication", in->id_auth_paddr, &auth, sizeof auth);
    if (status == SEV_STATUS_SUCCESS)
        status = check_id_block(c, &block, &auth);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    memcpy(id->family_id, block.family_id, sizeof id->family_id);
    memcpy(id->image_id, block.image_id, sizeof id->image_id);
    id->guest_svn = block.guest_svn;
    id->id_block_en = 1;
    crypto_sha384(&auth.id_key, sizeof auth.id_key, id->id_key_digest);
    if (!(in->flags & SNP_LAUNCH_FINISH_AUTH_KEY_EN))
        return SEV_STATUS_SUCCESS;
    id->author_key_en = 1;
    crypto_sha384(&auth.author_key, sizeof auth.author_key, id->author_key_digest);
    return SEV_STATUS_SUCCESS;
}

enum sev_status snp_launch_finish(struct call *c)
{
    const struct snp_launch_finish *in = &c->in.snp_launch_finish;
    struct snp_identity *id = &c->context.id;
    enum sev_status status =
        in->flags & SNP_LAUNCH_FINISH_ID_BLOCK_EN ? take_id_block(c) : SEV_STATUS_SUCCESS;
    if (status != SEV_STATUS_SUCCESS)
        return status;
    id->vcek_dis = (in->flags & SNP_LAUNCH_FINISH_VCEK_DIS) != 0;
    memcpy(id->host_data, in->host_data, sizeof id->host_data);
    c->context.state = SNP_GSTATE_RUNNING;
    note(c, " guest=LAUNCH>RUNNING");
    return SEV_STATUS_SUCCESS;
}
