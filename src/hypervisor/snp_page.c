/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ownership of an SNP guest's pages [snp 4.4; cpu 8.2, 8.4]: RMPUPDATE and PSMASH, nested
 * tables whose leaves must have the size of the RMP's entries, and the hypervisor's record of each
 * page's state.
 */
#include <stdlib.h>

#include "hypervisor/internal.h"

#define CHUNK_PAGES (CHUNK_SIZE / PAGE_SIZE)

static u64 all_chunks(const struct vm *vm)
{
    return vm->chunk_count + vm->snp.flash_chunks;
}

bool snp_pages_create(struct vm *vm)
{
    vm->snp.pages = calloc(all_chunks(vm), CHUNK_PAGES);
    vm->snp.split = calloc(all_chunks(vm), 1);
    return vm->snp.pages && vm->snp.split;
}

u64 snp_page_index(const struct vm *vm, u64 gpa, u64 *left)
{
    u64 chunk = vm_chunk(vm, gpa), page = gpa % CHUNK_SIZE / PAGE_SIZE;
    *left = chunk == FRAME_NONE ? 0 : CHUNK_PAGES - page;
    return chunk == FRAME_NONE ? 0 : chunk * CHUNK_PAGES + page;
}

bool snp_region_is(const struct vm *vm, u64 gpa, enum vm_page state)
{
    u64 left, index = snp_page_index(vm, gpa, &left);
    if (left != CHUNK_PAGES)
        return false;
    for (u64 i = 0; i < CHUNK_PAGES; i++)
        if (vm->snp.pages[index + i] != state)
            return false;
    return true;
}

/* --- Nested tables and RMP together ----------------------------------------------------------- */

static bool split_tables(struct vm *vm, u64 gpa)
{
    u8 *split = &vm->snp.split[vm_chunk(vm, gpa)];
    if (!*split && !npt_split(&vm->npt, vm->hv->host, &vm->hv->frames, ALIGN_DOWN(gpa, CHUNK_SIZE)))
        return false;
    *split = 1;
    return true;
}

bool snp_page_smash(struct vm *vm, u64 gpa)
{
    u64 left, region = ALIGN_DOWN(gpa, CHUNK_SIZE), index = snp_page_index(vm, region, &left);
    if (!left)
        return false;
    if (vm->snp.pages[index] == VM_PAGE_LARGE) {
        if (host_psmash(vm->hv->host, 0, vm_spa(vm, region, &left)) != RMP_SUCCESS)
            return false;
        memset(vm->snp.pages + index, VM_PAGE_PRIVATE, CHUNK_PAGES);
    }
    return split_tables(vm, gpa);
}

/* Runs one RMPUPDATE and records the new state of the pages that it covers. */
static u32 change(struct vm *vm, u64 gpa, bool large, bool immutable, enum vm_page to)
{
    u64 left, spa = vm_spa(vm, gpa, &left), index = snp_page_index(vm, gpa, &left);
    bool assign = to != VM_PAGE_HOST;
    struct rmp_update state = {
        .gpa = assign ? ALIGN_DOWN(gpa, PAGE_SIZE) : 0,
        .assigned = assign,
        .page_size = large,
        .immutable = immutable,
        .asid = assign ? vm->asid : 0,
    };
    if (!left || (large && left != CHUNK_PAGES))
        return RMP_FAIL_INPUT;
    u32 result = snp_rmpupdate(vm->hv, ALIGN_DOWN(spa, PAGE_SIZE), state);
    if (result == RMP_SUCCESS)
        memset(vm->snp.pages + index, (int)to, large ? CHUNK_PAGES : 1);
    return result;
}

u32 snp_page_offer(struct vm *vm, u64 gpa, bool large)
{
    if (!large && !split_tables(vm, gpa))
        return RMP_FAIL_INPUT;
    return change(vm, gpa, large, true, large ? VM_PAGE_LARGE : VM_PAGE_PRIVATE);
}

void snp_page_withdraw(struct vm *vm, u64 gpa, bool large)
{
    u64 left, spa = vm_spa(vm, gpa, &left), index = snp_page_index(vm, gpa, &left);
    snp_pages_take(vm->hv, spa, large ? CHUNK_SIZE : PAGE_SIZE);
    memset(vm->snp.pages + index, VM_PAGE_HOST, large ? CHUNK_PAGES : 1);
}

/* Changes 2 MiB as 512 single pages. */
static bool each_page(struct vm *vm, u64 gpa, bool (*one)(struct vm *, u64, bool))
{
    bool ok = true;
    for (u64 at = 0; ok && at < CHUNK_SIZE; at += PAGE_SIZE)
        ok = one(vm, gpa + at, false);
    return ok;
}

bool snp_page_private(struct vm *vm, u64 gpa, bool large)
{
    u64 left, index = snp_page_index(vm, gpa, &left);
    if (!left || (large && left != CHUNK_PAGES))
        return false;
    if (large && !vm->snp.split[index / CHUNK_PAGES] && snp_region_is(vm, gpa, VM_PAGE_HOST))
        return change(vm, gpa, true, false, VM_PAGE_LARGE) == RMP_SUCCESS;
    if (large && !snp_region_is(vm, gpa, VM_PAGE_LARGE))
        return each_page(vm, gpa, snp_page_private);
    if (vm->snp.pages[index] != VM_PAGE_HOST)
        return true;
    return split_tables(vm, gpa) && change(vm, gpa, false, false, VM_PAGE_PRIVATE) == RMP_SUCCESS;
}

bool snp_page_shared(struct vm *vm, u64 gpa, bool large)
{
    u64 left, index = snp_page_index(vm, gpa, &left);
    if (!left || (large && left != CHUNK_PAGES))
        return false;
    if (large && snp_region_is(vm, gpa, VM_PAGE_LARGE))
        return change(vm, gpa, true, false, VM_PAGE_HOST) == RMP_SUCCESS;
    if (large)
        return each_page(vm, gpa, snp_page_shared);
    if (vm->snp.pages[index] == VM_PAGE_HOST)
        return true;
    return snp_page_smash(vm, gpa) && change(vm, gpa, false, false, VM_PAGE_HOST) == RMP_SUCCESS;
}

void snp_flush_tlbs(struct vm *vm)
{
    for (u32 i = 0; i < vm->cpu_count; i++)
        vm->cpus[i].vmcb.control.tlb_control = TLB_FLUSH_ASID;
}

/* Handles an access that the RMP refused. A guest that validates 4 KiB of a 2 MiB page needs the
 * page split [cpu 8.2]. Any other mismatch between the access and the RMP is the guest's own error:
 * the hypervisor never changes a page that the guest did not ask to change. */
bool snp_page_fault(struct vcpu *c, u64 gpa, u64 info)
{
    u64 left;
    if (!vm_is_snp(c->vm) || vm_spa(c->vm, gpa, &left) == FRAME_NONE)
        return false;
    if (info & NPF_SIZEM && snp_page_smash(c->vm, gpa)) {
        snp_flush_tlbs(c->vm);
        return true;
    }
    bool private = c->vm->snp.pages[snp_page_index(c->vm, gpa, &left)] != VM_PAGE_HOST;
    vm_end(c->vm, VM_CRASHED,
           "the guest %s guest address %#llx as %s memory, which is %s%s%s (fault %#llx)",
           info & NPF_FETCH   ? "ran code at"
           : info & NPF_WRITE ? "wrote to"
                              : "read",
           (unsigned long long)gpa, info & NPF_ENC ? "private" : "shared",
           private ? "private" : "shared",
           !private && c->vm->config.plan->flash_size ? ": firmware has not asked for it yet" : "",
           info & NPF_VMPL ? ", and its VMPL has no right to" : "", (unsigned long long)info);
    return true;
}

void snp_pages_count(const struct vm *vm, struct vm_summary *out)
{
    out->snp = true;
    for (u64 i = 0, pages = all_chunks(vm) * CHUNK_PAGES; i < pages;) {
        u64 count = vm->snp.pages[i] == VM_PAGE_LARGE ? CHUNK_PAGES : 1;
        out->private_pages += vm->snp.pages[i] != VM_PAGE_HOST ? count : 0;
        i += count;
    }
    out->shared_pages = all_chunks(vm) * CHUNK_PAGES - out->private_pages;
    out->vmsa_pages = vm->snp.vmsa_count;
    for (u32 i = 0; i < vm->cpu_count; i++)
        out->vmsa_pages += vm->cpus[i].created != 0;
    out->changes_to_private = vm->page_changes[0];
    out->changes_to_shared = vm->page_changes[1];
}

/* --- The end ---------------------------------------------------------------------------------- */

/* Returns the guest's pages to the host. They hold ciphertext under a key that no longer exists. */
void snp_pages_destroy(struct vm *vm)
{
    for (u64 i = 0; vm->snp.pages && i < all_chunks(vm) * CHUNK_PAGES;) {
        bool large = i % CHUNK_PAGES == 0 && vm->snp.pages[i] == VM_PAGE_LARGE;
        u64 spa = vm->chunks[i / CHUNK_PAGES] + i % CHUNK_PAGES * PAGE_SIZE;
        if (vm->snp.pages[i] != VM_PAGE_HOST)
            snp_rmpupdate(vm->hv, spa, (struct rmp_update){.page_size = large});
        i += large ? CHUNK_PAGES : 1;
    }
    free(vm->snp.pages);
    free(vm->snp.split);
    vm->snp.pages = vm->snp.split = NULL;
}
