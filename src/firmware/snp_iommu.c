/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pages that an IOMMU writes by itself. While SNP is initialised they are the firmware's, so
 * that no host and no other command can use them; SNP_SHUTDOWN_EX gives them back [snp 3.3; host
 * 1.7].
 */
#include "firmware/internal.h"

#include <inttypes.h>

/* The first firmware that gives IOMMU pages back as Reclaim pages; before they became the
 * hypervisor's [snp 3.3]. */
#define RECLAIM_SINCE_MINOR 53u

void firmware_connect_iommu(struct firmware *fw, const struct firmware_iommu *iommu)
{
    fw->iommu = *iommu;
}

/* Checks that a page may become the IOMMU's while an earlier RMP goes on. */
static enum sev_status check_page(struct call *c, const char *name, u64 spa)
{
    struct rmp_entry e;
    enum rmp_state state = rmp_get(c->fw->memory, spa, &e) ? rmp_entry_state(&e) : RMP_DEFAULT;
    const u32 good = PAGE(DEFAULT) | PAGE(HYPERVISOR) | PAGE(RECLAIM) | PAGE(FIRMWARE);
    RULE_CHECK(c, good & 1u << state && !e.large, INVALID_CONFIG,
               "page 0x%" PRIx64 " of the IOMMU's %s is %s%s", spa, name, rmp_state_name(state),
               e.large ? ", of 2 MiB" : "");
    return SEV_STATUS_SUCCESS;
}

enum sev_status iommu_read(struct call *c, u64 rmp_base, u64 rmp_end, bool clear,
                           struct iommu_pages *out)
{
    const struct firmware *fw = c->fw;
    const u64 size = memory_size(fw->memory);
    enum sev_status status = SEV_STATUS_SUCCESS;
    *out = (struct iommu_pages){.count = 0};
    if (!fw->iommu.buffers || (!clear && !fw->snp.rmp_init))
        return status;
    u32 count = fw->iommu.buffers(fw->iommu.context, out->buffers);
    for (u32 i = 0; i < count && status == SEV_STATUS_SUCCESS; i++) {
        const struct firmware_iommu_buffer *b = &out->buffers[i];
        RULE_CHECK(c,
                   !((b->address | b->size) & PAGE_MASK) && range_fits(b->address, b->size, size),
                   INVALID_CONFIG,
                   "the IOMMU's %s, 0x%" PRIx64 " and 0x%" PRIx64 " bytes, is not in memory",
                   b->name, b->address, b->size);
        RULE_CHECK(c, b->address > rmp_end || b->address + b->size <= rmp_base, INVALID_CONFIG,
                   "the IOMMU's %s at 0x%" PRIx64 " is in the RMP", b->name, b->address);
        for (u64 at = 0; !clear && at < b->size && status == SEV_STATUS_SUCCESS; at += PAGE_SIZE)
            status = check_page(c, b->name, b->address + at);
    }
    out->count = status == SEV_STATUS_SUCCESS ? count : 0;
    return status;
}

/* Changes those pages that are in state `from`; pages without an entry are the host's anyway. */
static void change_pages(struct call *c, u32 from, const struct rmp_entry *to)
{
    const struct iommu_pages *pages = &c->fw->iommu_pages;
    for (u32 i = 0; i < pages->count; i++) {
        const struct firmware_iommu_buffer *b = &pages->buffers[i];
        for (u64 spa = b->address; spa < b->address + b->size; spa += PAGE_SIZE)
            if (rmp_covered(c->fw->memory, spa) && from & 1u << rmp_state(c->fw->memory, spa))
                page_set(c, spa, to);
    }
}

void iommu_take(struct call *c, const struct iommu_pages *pages)
{
    c->fw->iommu_pages = *pages;
    change_pages(c, ~0u, &FIRMWARE_PAGE);
    if (pages->count)
        note(c, " iommu=taken");
}

void iommu_give_back(struct call *c)
{
    struct firmware *fw = c->fw;
    const struct firmware_profile *p = fw->profile;
    const bool reclaim = p->api_major > 1 || p->api_minor >= RECLAIM_SINCE_MINOR;
    if (!fw->iommu_pages.count)
        return;
    change_pages(c, PAGE(FIRMWARE), reclaim ? &RECLAIM_PAGE : &(struct rmp_entry){0});
    fw->iommu_pages.count = 0;
    note(c, " iommu=%s", reclaim ? "reclaim" : "hypervisor");
}

static bool overlaps(const struct firmware_iommu_buffer *b, u64 spa, u64 size)
{
    return size && spa < b->address + b->size && b->address < spa + size;
}

bool iommu_meets(const struct firmware *fw, u64 spa, u64 size)
{
    for (u32 i = 0; i < fw->iommu_pages.count; i++)
        if (overlaps(&fw->iommu_pages.buffers[i], spa, size))
            return true;
    return false;
}

bool firmware_iommu_may_write(const struct firmware *fw, u64 spa, u64 size)
{
    for (u32 i = 0; i < fw->iommu_pages.count; i++) {
        const struct firmware_iommu_buffer *b = &fw->iommu_pages.buffers[i];
        if (spa >= b->address && range_fits(spa - b->address, size, b->size))
            return true;
    }
    return false;
}
