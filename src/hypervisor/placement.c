/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where VMs lie in the machine, and what the hypervisor has beside them, for a snapshot of the
 * whole machine. Guest memory, VMSAs, nested tables and VMCBs are in the machine's memory, which is
 * archived by itself. The controls of a VMCB are the hypervisor's own decision: a load does not
 * take them from a file.
 */
#include "hypervisor/internal.h"

/* Moves the address of `pages` pages, or 0. They lie in one chunk, as the allocator gives them: it
 * takes them back without a look at the address when the VM ends. */
static void address_archive(const struct hypervisor *hv, u64 *spa, u64 pages, const char *what,
                            struct archive *a)
{
    u64 loaded = *spa;
    archive_u64(a, &loaded);
    if (archive_check(a,
                      !(loaded & PAGE_MASK) && loaded / CHUNK_SIZE < hv->frames.chunks &&
                          loaded % CHUNK_SIZE + pages * PAGE_SIZE <= CHUNK_SIZE,
                      what))
        *spa = loaded;
}

/* The firmware's own memory; 0 in the archive: none. */
static void tmr_archive(struct hypervisor *hv, struct archive *a)
{
    u64 spa = hv->tmr_spa == FRAME_NONE ? 0 : hv->tmr_spa;
    address_archive(hv, &spa, MIB(1) / PAGE_SIZE, "the place of the firmware's memory", a);
    if (a->loading && !a->failed)
        hv->tmr_spa = spa ? spa : FRAME_NONE;
}

/* --- The processors' registers ---------------------------------------------------------------- */

/* Both a VM that goes on and one that is loaded then load the core anew. */
static void vcpu_settle(struct vcpu *c)
{
    vcpu_leave_core(c);
    vcpu_write_vmcb(c);
    c->vmcb.control.tlb_control = TLB_FLUSH_ASID;
}

void hypervisor_settle(struct hypervisor *hv)
{
    for (u32 i = 0; i < hv->vm_count; i++)
        for (u32 n = 0; n < hv->vms[i].vm->cpu_count; n++)
            vcpu_settle(&hv->vms[i].vm->cpus[n]);
}

/* --- Where a VM lies in the machine ----------------------------------------------------------- */

static void chunks_archive(struct vm *vm, struct archive *a)
{
    const u64 count = vm->chunk_count + vm->snp.flash_chunks;
    archive_same(a, count, "the number of 2 MiB chunks of its memory");
    for (u64 i = 0; i < count && !a->failed; i++)
        address_archive(vm->hv, &vm->chunks[i], CHUNK_SIZE / PAGE_SIZE, "the place of a chunk", a);
}

static void npt_archive(struct vm *vm, struct archive *a)
{
    struct npt *n = &vm->npt;
    archive_u32_below(a, &n->page_count, n->page_max + 1, "the number of nested page tables");
    for (u32 i = 0; i < n->page_count && !a->failed; i++)
        address_archive(vm->hv, &n->pages[i], 1, "the place of a nested page table", a);
    address_archive(vm->hv, &n->root, 1, "the root of the nested page tables", a);
}

static void snp_archive(struct vm *vm, struct archive *a)
{
    struct vm_snp *s = &vm->snp;
    const u64 chunks = vm->chunk_count + s->flash_chunks;
    address_archive(vm->hv, &s->gctx_spa, 1, "its context page", a);
    archive_bool(a, &s->created);
    address_archive(vm->hv, &s->message_spa, 2, "its message pages", a);
    archive_u64(a, &s->secrets_gpa);
    archive_u32_below(a, &s->vmsa_count, IMAGE_VMSAS_MAX + 1, "the number of launched VMSAs");
    for (u32 i = 0; i < IMAGE_VMSAS_MAX; i++)
        address_archive(vm->hv, &s->vmsas[i], 1, "the place of a VMSA", a);
    if (!s->pages)
        return;
    archive_bytes(a, s->pages, chunks * (CHUNK_SIZE / PAGE_SIZE));
    archive_bytes(a, s->split, chunks);
    for (u64 i = 0; i < chunks * (CHUNK_SIZE / PAGE_SIZE); i++)
        if (!archive_check(a, s->pages[i] <= VM_PAGE_LARGE, "the state of a page"))
            return;
}

/* Writes the VMCB with the controls that say where things are. */
static void vcpu_place(struct vcpu *c)
{
    struct vmcb_control *control = &c->vmcb.control;
    const struct vm *vm = c->vm;
    control->iopm_base = vm->iopm_spa;
    control->msrpm_base = vm->msrpm_spa;
    control->asid = vm->asid;
    control->n_cr3 = vm->npt.root;
    if (vm_is_es(vm))
        control->vmsa = c->created ? c->created : c->vmsa_spa;
    host_write(vm->hv->host, c->vmcb_spa, &c->vmcb, sizeof c->vmcb);
}

static void vcpu_place_archive(struct vcpu *c, struct archive *a)
{
    archive_same(a, c->core, "the core of a processor");
    address_archive(c->vm->hv, &c->vmcb_spa, 1, "the place of a VMCB", a);
    address_archive(c->vm->hv, &c->vmsa_spa, 1, "the place of a VMSA", a);
}

static void place_archive(struct vm *vm, struct archive *a)
{
    archive_section(a, "vm's place", 1);
    archive_same(a, vm->cpu_count, "the number of its processors");
    archive_bool(a, &vm->encrypted);
    archive_u32(a, &vm->handle);
    archive_u32_below(a, &vm->asid, vm->hv->asid_end, "its ASID");
    address_archive(vm->hv, &vm->iopm_spa, 3, "the place of its I/O permission map", a);
    address_archive(vm->hv, &vm->msrpm_spa, 2, "the place of its MSR permission map", a);
    chunks_archive(vm, a);
    npt_archive(vm, a);
    snp_archive(vm, a);
    for (u32 i = 0; i < vm->cpu_count; i++)
        vcpu_place_archive(&vm->cpus[i], a);
}

/* --- The hypervisor --------------------------------------------------------------------------- */

static void frames_archive(struct frames *f, struct archive *a)
{
    archive_same(a, f->chunks, "the machine's memory in chunks of 2 MiB");
    archive_bytes(a, f->state, f->chunks);
    for (u64 i = 0; i < f->chunks; i++) {
        if (!archive_check(a, frames_knows(f->state[i]), "the use of a chunk"))
            return;
        if (frames_split(f, i))
            archive_u64s(a, f->pages[i], ARRAY_SIZE(f->pages[i]));
    }
}

static void platform_archive(struct hypervisor *hv, struct archive *a)
{
    archive_u32(a, &hv->refused_command);
    archive_u32(a, &hv->refusal);
    address_archive(hv, &hv->command_spa, 8, "the place of the command buffer", a);
    tmr_archive(hv, a);
    archive_bool(a, &hv->snp);
    address_archive(hv, &hv->snp_spa, 4, "the place of SNP's buffers", a);
    address_archive(hv, &hv->rmp_spa, 1, "the place of the RMP", a);
    archive_u64_below(a, &hv->rmp_chunks, hv->frames.chunks + 1, "the size of the RMP");
    archive_same(a, hv->asid_first, "the first ASID of SEV");
    archive_same(a, hv->asid_last, "the last ASID with a key");
    archive_same(a, hv->asid_end, "the number of ASIDs");
    archive_u64s(a, hv->asids, hv->asid_end / 64 + 1);
}

void hypervisor_archive(struct hypervisor *hv, struct archive *a)
{
    archive_section(a, "hypervisor", 2);
    platform_archive(hv, a);
    frames_archive(&hv->frames, a);
    archive_same(a, hv->vm_count, "the number of VMs");
    archive_u32_below(a, &hv->turn, hv->vm_count + 1, "the VM whose turn it is");
    memset(hv->loaded, 0, a->loading ? sizeof hv->loaded : 0);
    for (u32 i = 0; i < hv->vm_count && !a->failed; i++) {
        struct vm *vm = hv->vms[i].vm;
        place_archive(vm, a);
        vm_archive(vm, a);
        for (u32 n = 0; n < vm->cpu_count && a->loading && !a->failed; n++)
            vcpu_place(&vm->cpus[n]);
    }
}
