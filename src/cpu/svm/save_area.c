/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VMCB's save area: VMRUN and #VMEXIT load and store one part of it, VMLOAD and VMSAVE the
 * other. A VMSA begins with the same layout [cpu 4.3].
 */
#include "cpu/svm/world_switch.h"
#include "cpu/system/segment.h"
#include "memory/rmp.h"

/* Makes bases canonical [APM2 15.5.1]. */
static struct segment segment_from(const struct vmcb_segment *v)
{
    return (struct segment){v->selector, v->attributes & 0xfff, v->limit, canonical_of(v->base)};
}

static struct vmcb_segment segment_to(const struct segment *s)
{
    return (struct vmcb_segment){s->selector, s->attributes, s->limit, s->base};
}

/* --- VMRUN's part ----------------------------------------------------------------------------- */

static void load_segments(struct cpu *c, const struct vmcb_save *s)
{
    c->arch.seg[SEG_ES] = segment_from(&s->es);
    c->arch.seg[SEG_CS] = segment_from(&s->cs);
    c->arch.seg[SEG_SS] = segment_from(&s->ss);
    c->arch.seg[SEG_DS] = segment_from(&s->ds);
    c->arch.gdtr = segment_from(&s->gdtr);
    c->arch.idtr = segment_from(&s->idtr);
    c->arch.cpl = !(s->cr0 & CR0_PE) ? 0 : s->rflags & RFLAGS_VM ? 3 : s->cpl & 3;
}

static void load_branches(struct arch *a, const struct vmcb_save *s)
{
    a->debugctl = s->dbgctl & DEBUGCTL_DEFINED;
    a->br_from = s->br_from;
    a->br_to = s->br_to;
    a->last_exception_from = s->last_exception_from;
    a->last_exception_to = s->last_exception_to;
}

static void store_branches(const struct arch *a, struct vmcb_save *s)
{
    s->dbgctl = a->debugctl;
    s->br_from = a->br_from;
    s->br_to = a->br_to;
    s->last_exception_from = a->last_exception_from;
    s->last_exception_to = a->last_exception_to;
}

void save_area_load(struct cpu *c, const struct vmcb_save *s)
{
    struct arch *a = &c->arch;
    a->cr0 = (s->cr0 & CR0_DEFINED) | CR0_ET;
    a->cr2 = s->cr2;
    a->cr3 = s->cr3;
    a->cr4 = s->cr4;
    a->dr6 = DR6_OF(s->dr6);
    a->dr7 = DR7_OF(s->dr7);
    a->efer = s->efer & ~EFER_LMA;
    if (s->efer & EFER_LME && s->cr0 & CR0_PG)
        a->efer |= EFER_LMA;
    if (c->guest.nested_paging)
        a->pat = s->g_pat;
    if (c->guest.control.lbr_control & LBR_VIRTUALIZATION)
        load_branches(a, s);
    load_segments(c, s);
    rflags_write(c, s->rflags & RFLAGS_DEFINED, ~0ull);
    a->r[RAX] = s->rax;
    a->r[RSP] = s->rsp;
    a->rip = s->rip;
}

void save_area_store(const struct cpu *c, struct vmcb_save *s)
{
    s->es = segment_to(&c->arch.seg[SEG_ES]);
    s->cs = segment_to(&c->arch.seg[SEG_CS]);
    s->ss = segment_to(&c->arch.seg[SEG_SS]);
    s->ds = segment_to(&c->arch.seg[SEG_DS]);
    s->gdtr = segment_to(&c->arch.gdtr);
    s->idtr = segment_to(&c->arch.idtr);
    s->cpl = (u8)c->arch.cpl;
    s->efer = c->arch.efer;
    s->cr0 = c->arch.cr0;
    s->cr2 = c->arch.cr2;
    s->cr3 = c->arch.cr3;
    s->cr4 = c->arch.cr4;
    s->dr6 = c->arch.dr6;
    s->dr7 = c->arch.dr7;
    s->rflags = rflags_read(c);
    s->rip = c->arch.rip;
    s->rsp = c->arch.r[RSP];
    s->rax = c->arch.r[RAX];
    if (c->guest.nested_paging)
        s->g_pat = c->arch.pat;
    if (c->guest.control.lbr_control & LBR_VIRTUALIZATION)
        store_branches(&c->arch, s);
}

/* --- VMLOAD's and VMSAVE's part --------------------------------------------------------------- */

void save_area_load_rest(struct cpu *c, const struct vmcb_save *s)
{
    c->arch.seg[SEG_FS] = segment_from(&s->fs);
    c->arch.seg[SEG_GS] = segment_from(&s->gs);
    c->arch.tr = segment_from(&s->tr);
    c->arch.ldtr = segment_from(&s->ldtr);
    c->arch.kernel_gs_base = canonical_of(s->kernel_gs_base);
    c->arch.star = s->star;
    c->arch.lstar = s->lstar;
    c->arch.cstar = s->cstar;
    c->arch.sfmask = s->sfmask;
    c->arch.sysenter_cs = s->sysenter_cs;
    c->arch.sysenter_esp = s->sysenter_esp;
    c->arch.sysenter_eip = s->sysenter_eip;
}

void save_area_store_rest(const struct cpu *c, struct vmcb_save *s)
{
    s->fs = segment_to(&c->arch.seg[SEG_FS]);
    s->gs = segment_to(&c->arch.seg[SEG_GS]);
    s->tr = segment_to(&c->arch.tr);
    s->ldtr = segment_to(&c->arch.ldtr);
    s->kernel_gs_base = c->arch.kernel_gs_base;
    s->star = c->arch.star;
    s->lstar = c->arch.lstar;
    s->cstar = c->arch.cstar;
    s->sfmask = c->arch.sfmask;
    s->sysenter_cs = c->arch.sysenter_cs;
    s->sysenter_esp = c->arch.sysenter_esp;
    s->sysenter_eip = c->arch.sysenter_eip;
}

bool vmcb_address_valid(const struct cpu *c, u64 spa)
{
    return !(spa & PAGE_MASK) && range_fits(spa, PAGE_SIZE, memory_size(c->memory));
}

bool cpu_vmload(struct cpu *c, u64 vmcb_spa)
{
    struct vmcb_save s;
    if (!vmcb_address_valid(c, vmcb_spa))
        return false;
    memory_read(c->memory, vmcb_spa + offsetof(struct vmcb, save), KEY_RAW, &s, sizeof s);
    save_area_load_rest(c, &s);
    return true;
}

bool cpu_vmsave(struct cpu *c, u64 vmcb_spa)
{
    struct vmcb_save s;
    u64 spa = vmcb_spa + offsetof(struct vmcb, save);
    if (!vmcb_address_valid(c, vmcb_spa) || !rmp_host_may_write(c->memory, vmcb_spa, PAGE_SIZE))
        return false;
    memory_read(c->memory, spa, KEY_RAW, &s, sizeof s);
    save_area_store_rest(c, &s);
    memory_write(c->memory, spa, KEY_RAW, &s, sizeof s);
    return true;
}
