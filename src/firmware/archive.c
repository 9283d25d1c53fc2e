/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The secure processor in an archive: its volatile state, and the identity that it has loaded. What
 * derives from the fuses is not in it. SNP guests are in their context pages, in DRAM. All of this
 * is secret, so the caller seals it.
 */
#include "base/archive.h"
#include "firmware/internal.h"

static void ec_private_archive(struct ec_private *k, struct archive *a)
{
    archive_bytes(a, k->d, sizeof k->d);
    archive_bytes(a, &k->public, sizeof k->public);
}

static void identity_archive(struct identity *id, struct archive *a)
{
    archive_bool(a, &id->present);
    archive_bool(a, &id->owned);
    ec_private_archive(&id->oca_key, a);
    ec_private_archive(&id->pek_key, a);
    ec_private_archive(&id->pdh_key, a);
    archive_bytes(a, &id->oca, sizeof id->oca);
    archive_bytes(a, &id->pek, sizeof id->pek);
    archive_bytes(a, &id->pdh, sizeof id->pdh);
}

/* A launch that has begun is not archived: its digest runs. */
static void guest_archive(struct firmware *fw, struct guest *g, struct archive *a)
{
    if (g->digest) {
        archive_fail(a, ERROR_USAGE, "a guest is being launched; wait until it runs");
        return;
    }
    archive_u32(a, &g->handle);
    archive_enum(a, g->state, SEV_GSTATE_SENT + 1, "a guest's state");
    archive_u32_below(a, &g->asid, fw->asid_max + 1, "a guest's ASID");
    archive_u32(a, &g->policy);
    archive_bytes(a, g->vek, sizeof g->vek);
    archive_bytes(a, &g->session, sizeof g->session);
    archive_bytes(a, g->ld, sizeof g->ld);
    archive_bytes(a, g->measure, sizeof g->measure);
}

static void guests_archive(struct firmware *fw, struct archive *a)
{
    u32 slot = 0;
    if (a->loading)
        memset(fw->guests, 0, fw->guest_slots * sizeof *fw->guests);
    while (!a->failed) {
        while (!a->loading && slot < fw->guest_slots && !fw->guests[slot].handle)
            slot++;
        archive_u32_below(a, &slot, fw->guest_slots + 1, "a guest's place");
        if (a->failed || slot == fw->guest_slots)
            return;
        guest_archive(fw, &fw->guests[slot], a);
        slot++;
    }
}

static void snp_archive(struct firmware *fw, struct archive *a)
{
    struct snp_platform *s = &fw->snp;
    const u64 kept = s->committed.tcb;
    archive_enum(a, s->state, SNP_PSTATE_INIT + 1, "SNP's state");
    bool *flags[] = {&s->rmp_init,     &s->rapl_dis,      &s->ciphertext_hiding,
                     &s->mask_chip_id, &s->mask_chip_key, &s->vlek_loaded};
    for (u32 i = 0; i < ARRAY_SIZE(flags); i++)
        archive_bool(a, flags[i]);
    archive_u32_below(a, &s->asid_max, fw->asid_max + 1, "SNP's highest ASID");
    archive_u32(a, &s->guest_count);
    for (u32 asid = 0; asid <= fw->asid_max && !a->failed; asid++)
        archive_u64_below(a, &s->asid_owner[asid], memory_size(fw->memory),
                          "the place of a guest's context");
    archive_u64(a, &s->committed.tcb);
    archive_u8(a, &s->committed.major);
    archive_u8(a, &s->committed.minor);
    archive_u8(a, &s->committed.build);
    archive_check(a, snp_tcb_at_most(kept, s->committed.tcb),
                  "a TCB below the one that the platform has committed since");
    archive_u64(a, &s->reported_tcb);
    archive_u64(a, &s->mitigations);
    ec_private_archive(&s->vlek, a);
    s->vcek_made = false; /* made again when it is wanted */
}

static void sev_archive(struct firmware *fw, struct archive *a)
{
    archive_enum(a, fw->state, SEV_PSTATE_WORKING + 1, "SEV's state");
    archive_u32(a, &fw->options);
    archive_u64(a, &fw->tmr_base);
    archive_u64(a, &fw->tmr_size);
    archive_u64(a, &fw->nv_paddr);
    archive_bool(a, &fw->nv_area);
    archive_u64(a, &fw->wbinvd_cores);
    archive_bytes(a, fw->asid_dirty, (size_t)fw->asid_max + 1);
    archive_u32(a, &fw->last_handle);
    archive_check(a,
                  !fw->tmr_size || range_fits(fw->tmr_base, fw->tmr_size, memory_size(fw->memory)),
                  "the place of the firmware's memory");
}

void firmware_archive(struct firmware *fw, struct archive *a)
{
    archive_section(a, "firmware", 1);
    if (fw->iommu_pages.count) {
        archive_fail(a, ERROR_USAGE, "a machine with an IOMMU is not archived");
        return;
    }
    archive_same(a,
                 (u64)fw->profile->api_major << 16 | (u64)fw->profile->api_minor << 8 |
                     fw->profile->build,
                 "its version");
    archive_same(a, fw->profile->tcb, "its TCB");
    archive_same(a, fw->asid_max, "the highest ASID");
    sev_archive(fw, a);
    identity_archive(&fw->identity, a);
    guests_archive(fw, a);
    archive_u64(a, &fw->rmp_base);
    archive_u64(a, &fw->rmp_end);
    snp_archive(fw, a);
    archive_check(a, firmware_sound(fw), "its state as a whole");
}
