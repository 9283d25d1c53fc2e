/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest contexts, found by handle, and the rules of ASIDs: which guest may have which ASID, and
 * that no ASID is used again before every core's cache was written back [sev 5.1, 5.3].
 */
#include "firmware/internal.h"

#include <inttypes.h>

struct guest *guest_find(struct firmware *fw, u32 handle)
{
    for (u32 i = 0; handle && i < fw->guest_slots; i++)
        if (fw->guests[i].handle == handle)
            return &fw->guests[i];
    return NULL;
}

struct guest *guest_create(struct firmware *fw)
{
    for (u32 i = 0; i < fw->guest_slots; i++) {
        struct guest *g = &fw->guests[i];
        if (g->handle)
            continue;
        do
            fw->last_handle++;
        while (!fw->last_handle || guest_find(fw, fw->last_handle));
        *g = (struct guest){.handle = fw->last_handle, .state = SEV_GSTATE_UNINIT};
        return g;
    }
    return NULL;
}

void guest_wipe_session(struct guest *g)
{
    crypto_wipe(&g->session, sizeof g->session);
}

/* Returns a guest that holds the ASID. Guests that share a key may share its slot; the last one to
 * leave empties it. */
static const struct guest *asid_holder(const struct firmware *fw, u32 asid,
                                       const struct guest *except)
{
    for (u32 i = 0; i < fw->guest_slots; i++)
        if (fw->guests[i].handle && fw->guests[i].asid == asid && &fw->guests[i] != except)
            return &fw->guests[i];
    return NULL;
}

static void guest_leave_asid(struct firmware *fw, struct guest *g)
{
    if (!g->asid)
        return;
    if (!asid_holder(fw, g->asid, g))
        memory_key_unload(fw->memory, g->asid);
    fw->asid_dirty[g->asid] = 1;
    fw->wbinvd_cores = 0;
    g->asid = 0;
}

void guest_erase(struct firmware *fw, struct guest *g)
{
    guest_leave_asid(fw, g);
    if (g->digest)
        crypto_sha256_free(g->digest);
    crypto_wipe(g, sizeof *g);
}

void guests_erase_all(struct firmware *fw)
{
    for (u32 i = 0; i < fw->guest_slots; i++)
        if (fw->guests[i].handle)
            guest_erase(fw, &fw->guests[i]);
}

u32 guest_count(const struct firmware *fw)
{
    u32 count = 0;
    for (u32 i = 0; i < fw->guest_slots; i++)
        count += fw->guests[i].handle != 0;
    return count;
}

memory_key guest_key(const struct guest *g)
{
    return (memory_key)g->asid;
}

bool firmware_sound(const struct firmware *fw)
{
    bool sound = (fw->state == SEV_PSTATE_WORKING) == (guest_count(fw) > 0) &&
                 (fw->state == SEV_PSTATE_UNINIT || fw->identity.present);
    for (u32 i = 0; i < fw->guest_slots && sound; i++) {
        const struct guest *g = &fw->guests[i];
        sound = !g->handle || (g->state != SEV_GSTATE_UNINIT && g->asid <= fw->asid_max &&
                               (!g->asid || memory_key_loaded(fw->memory, g->asid)) &&
                               (g->state == SEV_GSTATE_LUPDATE) == (g->digest != NULL));
    }
    return sound && snp_sound(fw);
}

/* --- Commands --------------------------------------------------------------------------------- */

enum sev_status decommission(struct call *c)
{
    struct firmware *fw = c->fw;
    if (c->guest->asid)
        return refuse(c, SEV_STATUS_ACTIVE, "the guest still has ASID %u: DEACTIVATE comes first",
                      c->guest->asid);
    guest_erase(fw, c->guest);
    if (!guest_count(fw))
        set_pstate(c, SEV_PSTATE_INIT);
    return SEV_STATUS_SUCCESS;
}

/* Returns the lowest ASID that the guest may have [sev 5.3]. SEV-ES guests use the ASIDs below the
 * minimum of the other guests. If CIPHERTEXT_HIDING_DRAM reserves the lowest ones for SNP, SEV-ES
 * guests use the ASIDs above those [snp 3.3]. */
static u32 asid_lowest(const struct firmware *fw, u32 policy)
{
    if (!(policy & SEV_POLICY_ES))
        return fw->asid_min;
    return fw->snp.ciphertext_hiding ? fw->snp.asid_max + 1 : 1;
}

static u32 asid_highest(const struct firmware *fw, u32 policy)
{
    return policy & SEV_POLICY_ES ? (u32)min_u64(fw->asid_min - 1, fw->asid_max) : fw->asid_max;
}

static enum sev_status activate_asid(struct call *c, u32 asid)
{
    struct firmware *fw = c->fw;
    struct guest *g = c->guest;
    note(c, " asid=%u", asid);
    if (g->asid)
        return refuse(c, SEV_STATUS_ACTIVE, "the guest has ASID %u already", g->asid);
    u32 lowest = asid_lowest(fw, g->policy), highest = asid_highest(fw, g->policy);
    if (!asid || asid < lowest || asid > highest)
        return refuse(c, SEV_STATUS_INVALID_ASID, "a guest with%s SEV-ES has ASIDs %u to %u",
                      g->policy & SEV_POLICY_ES ? "" : "out", lowest, highest);
    const struct guest *holder = asid_holder(fw, asid, g);
    if (snp_asid_owner(fw, asid))
        return refuse(c, SEV_STATUS_ASID_OWNED, "ASID %u is bound to an SNP guest", asid);
    if (holder && !crypto_equal(holder->vek, g->vek, sizeof g->vek))
        return refuse(c, SEV_STATUS_ASID_OWNED, "ASID %u is bound to guest %u", asid,
                      holder->handle);
    if (!holder && fw->asid_dirty[asid])
        return refuse(c, SEV_STATUS_DFFLUSH_REQUIRED,
                      "ASID %u was used before: WBINVD on every core and DF_FLUSH come first",
                      asid);
    if (!holder && !memory_key_load(fw->memory, asid, g->vek))
        return refuse(c, SEV_STATUS_HWERROR_PLATFORM,
                      "the memory controller has no slot for ASID %u", asid);
    g->asid = asid;
    return SEV_STATUS_SUCCESS;
}

enum sev_status activate(struct call *c)
{
    return activate_asid(c, c->in.activate.asid);
}

/* Activates a guest. The list of cores restricts where the guest may run; here every core is on it
 * [sev 5.3]. */
enum sev_status activate_ex(struct call *c)
{
    return activate_asid(c, c->in.activate_ex.asid);
}

enum sev_status deactivate(struct call *c)
{
    note(c, " asid=%u", c->guest->asid);
    if (!c->guest->asid)
        return refuse(c, SEV_STATUS_INACTIVE, "the guest has no ASID");
    guest_leave_asid(c->fw, c->guest);
    return SEV_STATUS_SUCCESS;
}

enum sev_status guest_status(struct call *c)
{
    c->in.guest_status.policy = c->guest->policy;
    c->in.guest_status.asid = c->guest->asid;
    c->in.guest_status.state = (u8)c->guest->state;
    note(c, " state=%s", sev_gstate_name(c->guest->state));
    return SEV_STATUS_SUCCESS;
}

/* --- Flushing --------------------------------------------------------------------------------- */

void asids_mark_dirty(struct firmware *fw)
{
    memset(fw->asid_dirty, 1, (size_t)fw->asid_max + 1);
    fw->wbinvd_cores = 0;
}

void firmware_wbinvd(struct firmware *fw, u32 core)
{
    if (core < 64)
        fw->wbinvd_cores |= BIT(core);
}

enum sev_status check_wbinvd(struct call *c)
{
    u64 missing = c->fw->cores_mask & ~c->fw->wbinvd_cores;
    if (missing && !c->fw->no_wbinvd)
        return refuse(c, SEV_STATUS_WBINVD_REQUIRED, "cores 0x%" PRIx64 " have not executed WBINVD",
                      missing);
    return SEV_STATUS_SUCCESS;
}

enum sev_status df_flush(struct call *c)
{
    enum sev_status status = check_wbinvd(c);
    if (status == SEV_STATUS_SUCCESS)
        memset(c->fw->asid_dirty, 0, (size_t)c->fw->asid_max + 1);
    return status;
}
