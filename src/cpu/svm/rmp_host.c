/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's instructions on the Reverse Map Table: RMPUPDATE, PSMASH and RMPREAD, each with its
 * checks in the manual's order [APM3; snp 4.3, cpu 8.2]. Nothing runs in parallel with the host, so
 * no entry is ever locked or in use.
 */
#include "cpu/cpu.h"
#include "cpu/internal.h"
#include "memory/rmp.h"

#include <inttypes.h>

/* The result of PSMASH on a page that is not an assigned 2 MiB page: the sources name 1 and 7 [cpu
 * 12]. */
#define PSMASH_NOT_LARGE RMP_FAIL_NOT_LARGE

static bool rmp_in_force(const struct cpu *c)
{
    return c->msr.syscfg & SYSCFG_SNP_EN && rmp_enabled(c->memory);
}

static bool large_region_covered(const struct cpu *c, u64 spa)
{
    return rmp_covered(c->memory, ALIGN_DOWN(spa, RMP_LARGE_SIZE) + RMP_LARGE_SIZE - PAGE_SIZE);
}

/* Builds an entry from RMPUPDATE's operand. Only a guest's page has a gPA: with ASID 0 it would
 * name a metadata page, and the host could restore an old one. */
static struct rmp_entry entry_from(const struct rmp_update *u)
{
    struct rmp_entry e = {
        .assigned = u->assigned & 1,
        .large = u->page_size & 1,
        .immutable = u->immutable & 1,
        .asid = u->asid,
    };
    if (e.assigned && e.asid)
        e.gpa = u->gpa & ~PAGE_MASK;
    return e;
}

/* Checks an entry on its own, whatever the old entry is. softsev adds two rules, because the entry
 * would be useless otherwise: a 2 MiB page has a 2 MiB-aligned gPA, and the ASID exists. */
static bool update_consistent(const struct cpu *c, u64 spa, const struct rmp_entry *e)
{
    if (e->large && ((spa | e->gpa) & (RMP_LARGE_SIZE - 1) || !large_region_covered(c, spa)))
        return false;
    if (!e->assigned && (e->immutable || e->asid))
        return false;
    return rmp_covered(c->memory, spa) && e->asid <= memory_asids(c->memory) &&
           e->gpa <= BITS(~0ull, 50, 0);
}

/* Checks the other pages that a 2 MiB entry would cover. */
static enum rmp_result region_free(struct cpu *c, u64 spa)
{
    enum rmp_result result = RMP_SUCCESS;
    for (u64 at = spa; at < spa + RMP_LARGE_SIZE; at += PAGE_SIZE) {
        struct rmp_entry e;
        rmp_get(c->memory, at, &e);
        if (e.immutable)
            return RMP_FAIL_PERMISSION;
        if (e.assigned)
            result = RMP_FAIL_OVERLAP;
    }
    return result;
}

/* Keeps Validated, VMSA and permissions if nothing but Immutable changes: that is how the host
 * prepares a page for swapping out [cpu 8.2]. */
static void inherit(struct rmp_entry *e, const struct rmp_entry *old)
{
    bool same = e->assigned && old->assigned && e->asid == old->asid && e->gpa == old->gpa &&
                e->large == old->large;
    if (same) {
        e->validated = old->validated;
        e->vmsa = old->vmsa;
        memcpy(e->permissions, old->permissions, sizeof e->permissions);
    } else if (e->assigned && e->asid) {
        e->permissions[0] = RMP_ALL;
    }
}

static enum rmp_result update(struct cpu *c, u64 spa, const struct rmp_update *state)
{
    struct rmp_entry e = entry_from(state), old;
    if (!rmp_in_force(c) || spa & PAGE_MASK || !update_consistent(c, spa, &e))
        return RMP_FAIL_INPUT;
    rmp_get(c->memory, spa, &old);
    if (old.immutable)
        return RMP_FAIL_PERMISSION;
    if (old.assigned && old.large && !e.large)
        return RMP_FAIL_OVERLAP;
    if (e.large && !(old.assigned && old.large)) {
        enum rmp_result result = region_free(c, spa);
        if (result != RMP_SUCCESS)
            return result;
    }
    inherit(&e, &old);
    e.large = e.large && e.assigned; /* a page of the hypervisor has no size */
    return rmp_set(c->memory, spa, &e) ? RMP_SUCCESS : RMP_FAIL_INPUT;
}

static void trace_result(struct cpu *c, const char *name, u64 spa, u32 result)
{
    struct rmp_entry e;
    if (!trace_wants(c->trace, TRACE_PAGE))
        return;
    rmp_get(c->memory, spa, &e);
    trace_event(c->trace, TRACE_PAGE, name,
                "core=%u spa=0x%" PRIx64 " result=%u state=%s asid=%u gpa=0x%" PRIx64 " size=%s",
                c->id, spa, result, rmp_state_name(rmp_state(c->memory, spa)), e.asid, e.gpa,
                e.large ? "2M" : "4K");
}

u32 cpu_rmpupdate(struct cpu *c, u64 spa, const struct rmp_update *state)
{
    u32 result = update(c, spa, state);
    trace_result(c, "RMPUPDATE", spa, result);
    return result;
}

static enum rmp_result smash(struct cpu *c, u64 spa)
{
    struct rmp_entry e;
    if (!rmp_in_force(c) || spa & (RMP_LARGE_SIZE - 1) || !large_region_covered(c, spa))
        return RMP_FAIL_INPUT;
    rmp_get(c->memory, spa, &e);
    if (e.immutable)
        return RMP_FAIL_PERMISSION;
    return rmp_smash(c->memory, spa) ? RMP_SUCCESS : PSMASH_NOT_LARGE;
}

u32 cpu_psmash(struct cpu *c, u64 spa)
{
    u32 result = smash(c, spa);
    trace_result(c, "PSMASH", spa, result);
    return result;
}

u32 cpu_rmpread(struct cpu *c, u64 spa, struct rmp_update *out)
{
    struct rmp_entry e;
    if (!rmp_in_force(c) || spa & PAGE_MASK || !rmp_get(c->memory, spa, &e))
        return RMP_FAIL_INPUT;
    bool region = rmp_region_assigned(c->memory, spa);
    *out = (struct rmp_update){
        .gpa = e.gpa,
        .assigned = e.assigned,
        .page_size = (u8)(e.large | region << 1),
        .immutable = e.immutable,
        .asid = e.asid,
    };
    return RMP_SUCCESS;
}
