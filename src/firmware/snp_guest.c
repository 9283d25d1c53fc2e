/* SPDX-License-Identifier: Apache-2.0 */
/* SNP guests: their context pages, the ASIDs they hold, and debugging [snp 3.3]. */
#include "firmware/internal.h"

#include <inttypes.h>

/* --- Context pages ---------------------------------------------------------------------------- */

static bool context_sound(const struct firmware *fw, const struct snp_context *g, u64 spa)
{
    bool sound = g->magic == SNP_CONTEXT_MAGIC && g->self == spa &&
                 g->state <= SNP_GSTATE_RUNNING && g->asid <= fw->asid_max;
    return sound && (!g->asid || fw->snp.asid_owner[g->asid] == spa);
}

enum sev_status snp_context_load(struct call *c, const char *what, u64 gctx,
                                 struct snp_context *out)
{
    struct firmware *fw = c->fw;
    u64 spa = real_address(fw, gctx);
    enum sev_status status = check_range(c, what, gctx, PAGE_SIZE, PAGE_SIZE);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    enum rmp_state state = rmp_state(fw->memory, spa);
    RULE_CHECK(c, state == RMP_CONTEXT, INVALID_GUEST, "%s 0x%" PRIx64 " is %s, not Context", what,
               spa, rmp_state_name(state));
    memory_read(fw->memory, spa, KEY_FIRMWARE, out, sizeof *out);
    RULE_CHECK(c, context_sound(fw, out, spa), INVALID_GUEST, "%s 0x%" PRIx64 " is damaged", what,
               spa);
    return SEV_STATUS_SUCCESS;
}

void snp_context_save(struct firmware *fw, const struct snp_context *context)
{
    memory_write(fw->memory, context->self, KEY_FIRMWARE, context, sizeof *context);
}

enum sev_status snp_gctx_create(struct call *c)
{
    static const u8 zeros[PAGE_SIZE];
    u64 paddr = c->in.snp_address.paddr, spa = real_address(c->fw, paddr);
    struct snp_context g = {.magic = SNP_CONTEXT_MAGIC, .self = spa, .state = SNP_GSTATE_INIT};
    RULE_CHECK(c, spa, INVALID_ADDRESS, "address 0 is not a context page");
    enum sev_status status = page_check(c, "context page", paddr, false, PAGE(FIRMWARE), NULL);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    note(c, " gctx=0x%" PRIx64, spa);
    memory_write(c->fw->memory, spa, KEY_FIRMWARE, zeros, sizeof zeros);
    snp_context_save(c->fw, &g);
    page_set(c, paddr, &(struct rmp_entry){.assigned = true, .immutable = true, .vmsa = true});
    c->fw->snp.guest_count++;
    return SEV_STATUS_SUCCESS;
}

static void release_asid(struct firmware *fw, u32 asid)
{
    memory_key_unload(fw->memory, asid);
    fw->snp.asid_owner[asid] = 0;
    fw->asid_dirty[asid] = 1;
    fw->wbinvd_cores = 0;
}

/* Decommissions a guest. Uses the firmware's own list of ASIDs, not what the context says. */
enum sev_status snp_decommission(struct call *c)
{
    static const u8 zeros[PAGE_SIZE];
    struct firmware *fw = c->fw;
    u64 gctx = c->gctx;
    for (u32 asid = 1; asid <= fw->asid_max; asid++)
        if (fw->snp.asid_owner[asid] == gctx)
            release_asid(fw, asid);
    c->gctx = 0; /* the context is not written back */
    memory_write(fw->memory, gctx, KEY_RAW, zeros, sizeof zeros);
    page_set(c, gctx, &FIRMWARE_PAGE);
    fw->snp.guest_count -= fw->snp.guest_count != 0;
    return SEV_STATUS_SUCCESS;
}

enum sev_status snp_guest_status(struct call *c)
{
    const struct snp_guest_status out = {
        .policy = c->context.id.policy,
        .asid = c->context.asid,
        .state = (u8)c->context.state,
    };
    u64 paddr = c->in.snp_gctx_page.paddr;
    enum sev_status status = page_check_answer(c, "status page", paddr, sizeof out);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    note(c, " state=%s asid=%u", snp_gstate_name(c->context.state), c->context.asid);
    page_answer(c, paddr, &out, sizeof out);
    return SEV_STATUS_SUCCESS;
}

/* --- ASIDs ------------------------------------------------------------------------------------ */

static bool legacy_holds(const struct firmware *fw, u32 asid)
{
    for (u32 i = 0; i < fw->guest_slots; i++)
        if (fw->guests[i].handle && fw->guests[i].asid == asid)
            return true;
    return false;
}

static enum sev_status activate_asid(struct call *c, u32 asid)
{
    struct firmware *fw = c->fw;
    struct snp_context *g = &c->context;
    note(c, " asid=%u", asid);
    RULE_CHECK(c, asid && asid <= fw->snp.asid_max, INVALID_ASID, "SNP guests have ASIDs 1 to %u",
               fw->snp.asid_max);
    RULE_CHECK(c, !g->asid, ACTIVE, "the guest has ASID %u already", g->asid);
    RULE_CHECK(c, !fw->snp.asid_owner[asid], ASID_OWNED,
               "ASID %u is bound to the guest of context 0x%" PRIx64, asid,
               fw->snp.asid_owner[asid]);
    RULE_CHECK(c, !legacy_holds(fw, asid), ASID_OWNED, "ASID %u is bound to an SEV-ES guest", asid);
    RULE_CHECK(c, !fw->asid_dirty[asid], DFFLUSH_REQUIRED,
               "ASID %u was used before: WBINVD on every core and SNP_DF_FLUSH come first", asid);
    RULE_CHECK(c, memory_key_load(fw->memory, asid, g->vek), HWERROR_PLATFORM,
               "the memory controller has no slot for ASID %u", asid);
    g->asid = asid;
    fw->snp.asid_owner[asid] = g->self;
    return SEV_STATUS_SUCCESS;
}

enum sev_status snp_activate(struct call *c)
{
    return activate_asid(c, c->in.snp_activate.asid);
}

enum sev_status snp_activate_ex_parameters(struct call *c)
{
    const struct snp_activate_ex *in = &c->in.snp_activate_ex;
    RULE_CHECK(c, in->len == sizeof *in, INVALID_LENGTH, "EX_LEN is %u, not %zu", in->len,
               sizeof *in);
    RULE_CHECK(c, !in->reserved_04, INVALID_PARAM, "reserved bits are set");
    RULE_CHECK(c, in->num_ids && in->num_ids <= c->fw->cores, INVALID_PARAM,
               "%u cores are listed, there are %u", in->num_ids, c->fw->cores);
    return SEV_STATUS_SUCCESS;
}

/* Activates a guest. The list of cores restricts where the guest may run; it is checked but not
 * kept, because there is only one socket. */
enum sev_status snp_activate_ex(struct call *c)
{
    const struct snp_activate_ex *in = &c->in.snp_activate_ex;
    for (u32 i = 0; i < in->num_ids; i++) {
        u32 id;
        enum sev_status status =
            read_range(c, "core list", in->ids_paddr + i * sizeof id, &id, sizeof id);
        if (status != SEV_STATUS_SUCCESS)
            return status;
        RULE_CHECK(c, id < c->fw->cores, INVALID_PARAM, "there is no core with APIC id %u", id);
    }
    return activate_asid(c, in->asid);
}

/* --- SNP_DBG_DECRYPT, SNP_DBG_ENCRYPT --------------------------------------------------------- */

#define GUEST_PAGES (PAGE(GUEST_VALID) | PAGE(GUEST_INVALID) | PAGE(PRE_SWAP))

/* Checks that the address is a guest page of 4 KiB, or a 4 KiB part of a large guest page. */
static enum sev_status check_guest_page(struct call *c, const char *what, u64 paddr)
{
    struct rmp_entry e;
    u64 spa = real_address(c->fw, paddr);
    rmp_get(c->fw->memory, spa, &e);
    enum sev_status status = check_range(c, what, paddr, PAGE_SIZE, PAGE_SIZE);
    if (status != SEV_STATUS_SUCCESS || !e.large)
        return status != SEV_STATUS_SUCCESS
                   ? status
                   : page_check_owned(c, what, paddr, false, GUEST_PAGES, &e);
    return page_check_owned(c, what, ALIGN_DOWN(paddr, RMP_LARGE_SIZE), true, GUEST_PAGES, &e);
}

static void copy_page(struct firmware *fw, u64 from, memory_key from_key, u64 to, memory_key to_key)
{
    u8 bytes[PAGE_SIZE];
    memory_read(fw->memory, from, from_key, bytes, sizeof bytes);
    memory_write(fw->memory, to, to_key, bytes, sizeof bytes);
    crypto_wipe(bytes, sizeof bytes);
}

enum sev_status snp_dbg_decrypt(struct call *c)
{
    const struct snp_debug *in = &c->in.snp_debug;
    enum sev_status status = check_guest_page(c, "source", in->src_paddr);
    if (status == SEV_STATUS_SUCCESS)
        status = page_check(c, "destination", in->dst_paddr, false, PAGE(FIRMWARE), NULL);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    copy_page(c->fw, real_address(c->fw, in->src_paddr), (memory_key)c->context.asid,
              real_address(c->fw, in->dst_paddr), KEY_RAW);
    page_set(c, in->dst_paddr, &RECLAIM_PAGE);
    return SEV_STATUS_SUCCESS;
}

enum sev_status snp_dbg_encrypt(struct call *c)
{
    const struct snp_debug *in = &c->in.snp_debug;
    enum sev_status status = check_range(c, "source", in->src_paddr, PAGE_SIZE, PAGE_SIZE);
    if (status == SEV_STATUS_SUCCESS)
        status = check_guest_page(c, "destination", in->dst_paddr);
    if (status == SEV_STATUS_SUCCESS)
        copy_page(c->fw, real_address(c->fw, in->src_paddr), KEY_RAW,
                  real_address(c->fw, in->dst_paddr), (memory_key)c->context.asid);
    return status;
}
