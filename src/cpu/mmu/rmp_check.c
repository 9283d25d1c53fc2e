/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks a guest's accesses by the Reverse Map Table [cpu 8.3, 8.4]. The check is made only when a
 * translation is made: a change of an RMP entry drops its page from the TLBs, and the result for a
 * page is kept with its nested translation until the table changes. The rules are in
 * memory/rmp_verdict.c.
 */
#include "cpu/mmu/mmu.h"

bool rmp_permits(struct cpu *c, struct nested_entry *e, u64 gpa, const struct nested_access *a,
                 bool *store_ready, struct access_fault *f)
{
    const struct rmp_asker who = {
        .snp = c->guest.snp, .asid = c->guest.control.asid, .vmpl = c->guest.vmpl};
    if (e->rmp_generation != rmp_generation(c->memory)) {
        e->rmp = rmp_page(c->memory, &who, e->frame << PAGE_SHIFT, gpa, e->large);
        e->rmp_generation = rmp_generation(c->memory);
    }
    bool private = c->guest.snp && a->info & NPF_ENC;
    /* A walk reads the guest's own table, although the nested tables treat it as a write. */
    const struct rmp_access access = {.private = private,
                                      .write = a->write && !(private && a->walk),
                                      .fetch = a->fetch,
                                      .user = a->user};
    const struct rmp_access store = {.private = private, .write = true};
    switch (rmp_verdict(e->rmp, &access)) {
    case RMP_ALLOWED:
        *store_ready &= rmp_verdict(e->rmp, &store) == RMP_ALLOWED;
        return true;
    case RMP_NOT_VALIDATED:
        f->not_validated = true;
        return false;
    case RMP_DENIED_VMPL:
        return nested_fault(a, gpa, NPF_PRESENT | NPF_RMP | NPF_VMPL, f);
    default:
        return nested_fault(a, gpa, NPF_PRESENT | NPF_RMP, f);
    }
}
