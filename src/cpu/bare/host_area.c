/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's state while a guest runs, in the page of VM_HSAVE_PA. It has the layout of a VMCB with
 * a VMSA's registers after the save area [APM2 App. B; cpu 4.3, host 4.4]. VMRUN stores class A;
 * software stores class B for SEV-ES guests; #VMEXIT loads both. The values that software writes
 * there are checked like the state of a guest.
 */
#include "cpu/bare/bare.h"
#include "cpu/svm/world_switch.h"

static u64 area(const struct cpu *c)
{
    return c->msr.vm_hsave_pa + HOST_AREA_OFFSET;
}

void host_area_store(struct cpu *c)
{
    struct vmcb_save s;
    memory_read(c->memory, area(c), KEY_RAW, &s, VMSA_COMMON_SIZE);
    save_area_store(c, &s);
    memory_write(c->memory, area(c), KEY_RAW, &s, VMSA_COMMON_SIZE);
}

static struct segment segment_of(const struct vmcb_segment *v)
{
    return (struct segment){v->selector, v->attributes & 0xfff, v->limit, canonical_of(v->base)};
}

static void class_a(struct arch *h, const struct vmcb_save *s)
{
    h->seg[SEG_ES] = segment_of(&s->es);
    h->seg[SEG_CS] = segment_of(&s->cs);
    h->seg[SEG_SS] = segment_of(&s->ss);
    h->seg[SEG_DS] = segment_of(&s->ds);
    h->gdtr = segment_of(&s->gdtr);
    h->idtr = segment_of(&s->idtr);
    h->cpl = 0;
    h->cr0 = (s->cr0 & CR0_DEFINED) | CR0_ET | CR0_PE;
    h->cr3 = s->cr3;
    h->cr4 = s->cr4;
    h->efer = s->efer & ~EFER_LMA;
    if (s->efer & EFER_LME && s->cr0 & CR0_PG)
        h->efer |= EFER_LMA;
    h->rflags = (s->rflags & RFLAGS_DEFINED & ~RFLAGS_VM) | RFLAGS_ONE;
    h->rip = s->rip;
    h->r[RSP] = s->rsp;
    h->r[RAX] = s->rax;
}

/* Reads the page as the beginning of a VMSA: up to its end, which is before the vector registers.
 */
static void read_vmsa(struct cpu *c, struct vmsa *s)
{
    memset(s, 0, sizeof *s);
    memory_read(c->memory, area(c), KEY_RAW, s, PAGE_SIZE - HOST_AREA_OFFSET);
}

bool host_area_fetch(struct cpu *c, bool es)
{
    struct vmcb_save s;
    memory_read(c->memory, area(c), KEY_RAW, &s, VMSA_COMMON_SIZE);
    class_a(&c->host, &s);
    if (es) {
        struct vmsa v;
        read_vmsa(c, &v);
        c->host.xcr0 = (v.xcr0 & XCR0_DEFINED) | XSTATE_X87; /* 0 where the host has no XSAVE */
        c->host.xss = v.xss & XSS_DEFINED;
        c->host.pkru = v.pkru;
        if (sev_feature(c, SEV_FEATURE_DEBUG_VIRT))
            memcpy(c->host.dr, v.dr, sizeof c->host.dr);
    }
    return host_state_valid(c, &s);
}

/* Without the feature software keeps no TSC_AUX there, and the host's own comes back [host 4.4]. */
static u64 tsc_aux(const struct cpu *c, const struct vmsa *v)
{
    return cpu_model_bits(&c->model, 0x8000001f, 0, 0) & BIT(9) ? v->tsc_aux : c->host.tsc_aux;
}

void host_area_load_rest(struct cpu *c)
{
    struct vmcb_save s;
    struct vmsa v;
    memory_read(c->memory, area(c), KEY_RAW, &s, VMSA_COMMON_SIZE);
    read_vmsa(c, &v);
    save_area_load_rest(c, &s);
    c->arch.r[RCX] = v.rcx;
    c->arch.r[RDX] = v.rdx;
    c->arch.r[RBX] = v.rbx;
    c->arch.r[RBP] = v.rbp;
    c->arch.r[RSI] = v.rsi;
    c->arch.r[RDI] = v.rdi;
    memcpy(&c->arch.r[8], v.r8_15, sizeof v.r8_15);
    c->arch.tsc_aux = tsc_aux(c, &v);
    c->arch.spec_ctrl = c->host.spec_ctrl;
    c->arch.pat = c->host.pat;
}
