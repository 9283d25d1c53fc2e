/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Reverse Map Table's verdict on a guest's access [APM2 15.36.10; cpu 8.3, 8.4], in two halves:
 * what the table says of a page, which may be kept as long as the table stays as it is, and whether
 * that allows one access. A large nested page is the hypervisor's if every 4 KiB of it are.
 */
#include "memory/rmp.h"

/* "Guest-owned", "reverse map", "mutable" and "page size" of the check table. */
static bool page_is_ours(const struct rmp_asker *who, u64 gpa, bool large,
                         const struct rmp_entry *r)
{
    return r->assigned && r->asid == who->asid && r->gpa == (gpa & ~PAGE_MASK) && !r->immutable &&
           r->large == large;
}

u8 rmp_page(struct memory *m, const struct rmp_asker *who, u64 spa, u64 gpa, bool large)
{
    struct rmp_entry r;
    if (!rmp_get(m, spa, &r) || !r.assigned) {
        bool part = large && rmp_region_assigned(m, spa);
        return part || rmp_is_table(m, spa, PAGE_SIZE) ? 0 : RMP_PAGE_HOST;
    }
    if (!who->snp || who->vmpl >= RMP_VMPLS || !page_is_ours(who, gpa, large, &r))
        return 0;
    u32 permissions = r.permissions[who->vmpl] & (RMP_ALL | RMP_SHADOW_STACK);
    return (u8)(RMP_PAGE_OURS | (r.validated ? RMP_PAGE_VALIDATED : 0) | permissions);
}

/* To write without reading is never allowed. */
static u8 needed(const struct rmp_access *a)
{
    if (a->fetch)
        return a->user ? RMP_EXECUTE_USER : RMP_EXECUTE_SYSTEM;
    return a->write ? RMP_READ | RMP_WRITE : RMP_READ;
}

enum rmp_verdict rmp_verdict(u8 page, const struct rmp_access *a)
{
    if (!a->private) /* reads are free, what is written must be the host's */
        return !a->write || page & RMP_PAGE_HOST ? RMP_ALLOWED : RMP_DENIED;
    if (!(page & RMP_PAGE_OURS))
        return RMP_DENIED;
    if (!(page & RMP_PAGE_VALIDATED))
        return RMP_NOT_VALIDATED;
    u8 need = needed(a);
    return (page & need) == need ? RMP_ALLOWED : RMP_DENIED_VMPL;
}
