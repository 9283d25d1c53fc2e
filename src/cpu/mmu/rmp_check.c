/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Reverse Map Table's checks of a guest's accesses [APM2 15.36.10; cpu 8.3, 8.4]. They happen where a translation
 * is made and nowhere else: a change of an entry takes its page from the TLBs, and the answer for a page is kept with
 * its nested translation for as long as the table stays as it is. A large nested page is the hypervisor's if every
 * 4 KiB of it are.
 */
#include "cpu/mmu/mmu.h"

/* "Guest-owned", "reverse map", "mutable" and "page size" of the check table. */
static bool page_is_ours(const struct cpu *c, const struct nested_entry *e, u64 gpa,
                         const struct rmp_entry *r)
{
    return r->assigned && r->asid == c->guest.control.asid && r->gpa == (gpa & ~PAGE_MASK) &&
           !r->immutable && r->large == e->large;
}

static u8 read_table(struct cpu *c, const struct nested_entry *e, u64 gpa)
{
    struct rmp_entry r;
    u64 spa = e->frame << PAGE_SHIFT;
    if (!rmp_get(c->memory, spa, &r) || !r.assigned) {
        bool part = e->large && rmp_region_assigned(c->memory, spa);
        return part || rmp_is_table(c->memory, spa, PAGE_SIZE) ? 0 : RMP_PAGE_HOST;
    }
    if (!c->guest.snp || !page_is_ours(c, e, gpa, &r))
        return 0;
    u32 permissions = r.permissions[c->guest.vmpl] & (RMP_ALL | RMP_SHADOW_STACK);
    return (u8)(RMP_PAGE_OURS | (r.validated ? RMP_PAGE_VALIDATED : 0) | permissions);
}

static u8 needed(const struct nested_access *a)
{
    if (a->fetch)
        return a->user ? RMP_EXECUTE_USER : RMP_EXECUTE_SYSTEM;
    return a->write && !a->walk ? RMP_READ | RMP_WRITE
                                : RMP_READ; /* to write without reading is never allowed */
}

bool rmp_permits(struct cpu *c, struct nested_entry *e, u64 gpa, const struct nested_access *a,
                 bool *store_ready, struct access_fault *f)
{
    if (e->rmp_generation != rmp_generation(c->memory)) {
        e->rmp = read_table(c, e, gpa);
        e->rmp_generation = rmp_generation(c->memory);
    }
    if (!c->guest.snp ||
        !(a->info & NPF_ENC)) { /* reads are free, what is written must be the host's */
        *store_ready &= !!(e->rmp & RMP_PAGE_HOST);
        return !a->write || e->rmp & RMP_PAGE_HOST ||
               nested_fault(a, gpa, NPF_PRESENT | NPF_RMP, f);
    }
    if (!(e->rmp & RMP_PAGE_OURS))
        return nested_fault(a, gpa, NPF_PRESENT | NPF_RMP, f);
    if (!(e->rmp & RMP_PAGE_VALIDATED)) {
        f->not_validated = true;
        return false;
    }
    *store_ready &= (e->rmp & (RMP_READ | RMP_WRITE)) == (RMP_READ | RMP_WRITE);
    u8 need = needed(a);
    return (e->rmp & need) == need || nested_fault(a, gpa, NPF_PRESENT | NPF_RMP | NPF_VMPL, f);
}
