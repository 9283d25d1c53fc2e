/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The RMP check of a guest's access [APM2 15.36.10; cpu 8.3, 8.4], in two steps: rmp_page says what
 * the table holds about a page, and its result may be cached until the table changes; rmp_verdict
 * decides whether that allows one access. A large nested page counts as the hypervisor's only if
 * every 4 KiB page in it does.
 */
#include "memory/rmp.h"

/* Checks "guest-owned", "reverse map", "mutable" and "page size" of the manual's check table. */
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

/* Returns the permissions that an access needs. Write permission without read permission never
 * allows a write. */
static u8 needed(const struct rmp_access *a)
{
    if (a->fetch)
        return a->user ? RMP_EXECUTE_USER : RMP_EXECUTE_SYSTEM;
    return a->write ? RMP_READ | RMP_WRITE : RMP_READ;
}

enum rmp_verdict rmp_verdict(u8 page, const struct rmp_access *a)
{
    if (!a->private) /* reads are always allowed; writes need a hypervisor page */
        return !a->write || page & RMP_PAGE_HOST ? RMP_ALLOWED : RMP_DENIED;
    if (!(page & RMP_PAGE_OURS))
        return RMP_DENIED;
    if (!(page & RMP_PAGE_VALIDATED))
        return RMP_NOT_VALIDATED;
    u8 need = needed(a);
    return (page & need) == need ? RMP_ALLOWED : RMP_DENIED_VMPL;
}
