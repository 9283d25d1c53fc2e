/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMRUN and #VMEXIT [APM2 15.5, 15.6] in four named steps: check controls, load guest, (run), save
 * guest, load host. The host is a program outside the core, so that of its state there is only what
 * VMRUN leaves in the registers it does not switch. Intercepts and the SVM instructions as a guest
 * sees them.
 */
#include "cpu/segment.h"

#include <inttypes.h>

/* --- Intercepts ------------------------------------------------------------------------------- */

bool intercepts(const struct cpu *c, u32 word, u64 bit)
{
    if (!c->in_guest)
        return false;
    switch (word) {
    case 3:
        return c->control.intercept_3 & bit;
    case 4:
        return c->control.intercept_4 & bit;
    default:
        return c->control.intercept_5 & bit;
    }
}

void intercept(struct cpu *c, u32 word, u64 bit, u64 exit_code)
{
    if (UNLIKELY(intercepts(c, word, bit)))
        cpu_exit(c, exit_code, 0, 0);
}

/* --- Check controls [cpu 4.5] ----------------------------------------------------------------- */

static bool efer_valid(const struct vmcb_save *s)
{
    u64 defined = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_SVME | EFER_LMSLE | EFER_FFXSR |
                  EFER_TCE | EFER_AIBRSE;
    return s->efer & EFER_SVME && !(s->efer & ~defined);
}

static bool long_mode_valid(const struct vmcb_save *s)
{
    if (!(s->efer & EFER_LME) || !(s->cr0 & CR0_PG))
        return true;
    bool both = s->cs.attributes & SEG_L && s->cs.attributes & SEG_DB;
    return s->cr4 & CR4_PAE && s->cr0 & CR0_PE && !both;
}

static bool event_valid(u64 event)
{
    if (!(event & EVENT_VALID))
        return true;
    u32 type = (u32)BITS(event, 10, 8);
    bool known = type == EVENT_INTR || type == EVENT_NMI || type == EVENT_EXCEPTION ||
                 type == EVENT_SOFTWARE;
    return known && !(type == EVENT_EXCEPTION &&
                      ((event & EVENT_VECTOR) > 31 || (event & EVENT_VECTOR) == VECTOR_NMI));
}

/* Why a SEV guest may not run here; NULL if it may. */
static const char *sev_refusal(const struct cpu *c, const struct vmcb_control *k)
{
    if (k->np_control & NP_SEV_ES)
        return "SEV-ES guests are not supported";
    if (!(k->np_control & NP_SEV))
        return NULL;
    if (!(k->np_control & NP_ENABLE))
        return "SEV without nested paging";
    if (!(c->syscfg & SYSCFG_MEM_ENCRYPT))
        return "SYSCFG.MemEncryptionModEn is clear";
    if (!(c->hwcr & HWCR_SMM_LOCK))
        return "HWCR.SmmLock is clear";
    if (k->asid > memory_asids(c->memory))
        return "ASID above CPUID 8000_001F ECX";
    if (k->asid < c->asid_min)
        return "ASID below CPUID 8000_001F EDX without SEV-ES";
    return NULL;
}

static const char *refusal(const struct cpu *c, const struct vmcb *v)
{
    const struct vmcb_control *k = &v->control;
    const struct vmcb_save *s = &v->save;
    u64 address_mask = ~BITS(~0ull, 47, 0);
    const struct {
        bool wrong;
        const char *why;
    } checks[] = {
        {!efer_valid(s), "EFER: SVME clear or reserved bits"},
        {!(s->cr0 & CR0_CD) && s->cr0 & CR0_NW, "CR0: NW without CD"},
        {s->cr0 >> 32, "CR0 bits 63:32"},
        {s->cr3 & address_mask & ~(k->np_control & NP_SEV ? BIT(c->c_bit) : 0) &&
             s->efer & EFER_LME,
         "CR3 reserved bits"},
        {s->cr4 & (~BITS(~0ull, 31, 0) | BIT(12) | BIT(15) | BIT(19)), "CR4 reserved bits"},
        {s->dr6 >> 32, "DR6 bits 63:32"},
        {s->dr7 >> 32, "DR7 bits 63:32"},
        {!long_mode_valid(s), "long mode without PAE or PE, or CS.L and CS.D"},
        {!(k->intercept_4 & INTERCEPT4_VMRUN), "VMRUN is not intercepted"},
        {!range_fits(k->msrpm_base & ~PAGE_MASK, 0x2000, memory_size(c->memory)),
         "MSRPM outside memory"},
        {!range_fits(k->iopm_base & ~PAGE_MASK, 0x3000, memory_size(c->memory)),
         "IOPM outside memory"},
        {k->asid == 0, "ASID 0"},
        {!event_valid(k->event_inject), "EVENTINJ"},
        {k->np_control & NP_ENABLE && k->n_cr3 & address_mask, "nCR3 reserved bits"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
        if (checks[i].wrong)
            return checks[i].why;
    return sev_refusal(c, k);
}

/* --- Load guest ------------------------------------------------------------------------------- */

static struct segment segment_from(const struct vmcb_segment *v)
{
    return (struct segment){v->selector, v->attributes & 0xfff, v->limit, v->base};
}

static struct vmcb_segment segment_to(const struct segment *s)
{
    return (struct vmcb_segment){s->selector, s->attributes, s->limit, s->base};
}

static void load_segments(struct cpu *c, const struct vmcb_save *s)
{
    c->seg[SEG_ES] = segment_from(&s->es);
    c->seg[SEG_CS] = segment_from(&s->cs);
    c->seg[SEG_SS] = segment_from(&s->ss);
    c->seg[SEG_DS] = segment_from(&s->ds);
    c->gdtr = segment_from(&s->gdtr);
    c->idtr = segment_from(&s->idtr);
    c->cpl = !(s->cr0 & CR0_PE) ? 0 : s->rflags & RFLAGS_VM ? 3 : s->cpl & 3;
}

/* Everything that decides what an address means; if it is as it was, the TLB still holds. */
static bool same_translations(const struct cpu *c, const struct vmcb *v)
{
    u64 efer = v->save.efer & ~EFER_LMA;
    return v->control.tlb_control == TLB_FLUSH_NONE && v->control.asid == c->control.asid &&
           v->control.n_cr3 == c->control.n_cr3 && v->control.np_control == c->control.np_control &&
           v->save.cr0 == c->cr0 && v->save.cr3 == c->cr3 && v->save.cr4 == c->cr4 &&
           efer == (c->efer & ~EFER_LMA);
}

static void load_guest(struct cpu *c, const struct vmcb *v)
{
    const struct vmcb_save *s = &v->save;
    bool flush = !same_translations(c, v);
    c->control = v->control;
    c->nested_paging = v->control.np_control & NP_ENABLE;
    c->sev = v->control.np_control & NP_SEV;
    c->guest_key = c->sev ? (memory_key)v->control.asid : KEY_RAW;
    c->tsc_offset = v->control.tsc_offset;
    c->interrupt_shadow = v->control.interrupt_shadow & INTERRUPT_SHADOW;
    c->cr0 = s->cr0 | CR0_ET;
    c->cr2 = s->cr2;
    c->cr3 = s->cr3;
    c->cr4 = s->cr4;
    c->cr8 = v->control.v_intr & 15;
    c->dr6 = s->dr6;
    c->dr7 = s->dr7;
    c->efer = s->efer & ~EFER_LMA;
    if (s->efer & EFER_LME && s->cr0 & CR0_PG)
        c->efer |= EFER_LMA;
    if (c->nested_paging)
        c->pat = s->g_pat;
    load_segments(c, s);
    rflags_write(c, s->rflags, ~(u64)RFLAGS_ONE);
    c->r[RAX] = s->rax;
    c->r[RSP] = s->rsp;
    c->rip = s->rip;
    c->exit_int_info = 0;
    c->control.fetched_count = 0;
    c->gif = true;
    c->in_guest = true;
    segment_update(c);
    if (flush)
        mmu_flush_all(c);
}

/* --- Save guest ------------------------------------------------------------------------------- */

static void save_control(const struct cpu *c, struct vmcb_control *k)
{
    k->exit_code = c->exit_code;
    k->exit_info_1 = c->exit_info_1;
    k->exit_info_2 = c->exit_info_2;
    k->exit_int_info = c->exit_int_info;
    k->next_rip = c->next_rip;
    k->event_inject = 0;
    k->interrupt_shadow = c->interrupt_shadow ? INTERRUPT_SHADOW : 0;
    k->v_intr = c->control.v_intr;
    k->tlb_control = 0;
    k->fetched_count = c->control.fetched_count;
    memcpy(k->fetched, c->control.fetched, sizeof k->fetched);
}

static void save_guest(struct cpu *c, struct vmcb *v)
{
    struct vmcb_save *s = &v->save;
    s->es = segment_to(&c->seg[SEG_ES]);
    s->cs = segment_to(&c->seg[SEG_CS]);
    s->ss = segment_to(&c->seg[SEG_SS]);
    s->ds = segment_to(&c->seg[SEG_DS]);
    s->gdtr = segment_to(&c->gdtr);
    s->idtr = segment_to(&c->idtr);
    s->cpl = (u8)c->cpl;
    s->efer = c->efer;
    s->cr0 = c->cr0;
    s->cr2 = c->cr2;
    s->cr3 = c->cr3;
    s->cr4 = c->cr4;
    s->dr6 = c->dr6;
    s->dr7 = c->dr7;
    s->rflags = rflags_read(c);
    s->rip = c->rip;
    s->rsp = c->r[RSP];
    s->rax = c->r[RAX];
    if (c->nested_paging)
        s->g_pat = c->pat;
    save_control(c, &v->control);
}

/* What same_translations() compares stays in the core; the rest of the guest is gone. */
static void load_host(struct cpu *c)
{
    c->in_guest = false;
    c->gif = false;
    c->dr7 = 0x400;
}

/* --- VMRUN ------------------------------------------------------------------------------------ */

static bool vmcb_address_valid(const struct cpu *c, u64 spa)
{
    return !(spa & PAGE_MASK) && range_fits(spa, PAGE_SIZE, memory_size(c->memory));
}

static void set_deadline(struct cpu *c, u64 deadline_ns)
{
    u64 now = c->clock->now;
    u64 left = deadline_ns > now ? min_u64(deadline_ns - now, INT64_MAX / 2) : 0;
    c->left = (s64)left;
    c->run_end = now + left;
}

static void refuse(struct cpu *c, struct vmcb *v, const char *why)
{
    trace_event(c->trace, TRACE_SWITCH, "INVALID", "core=%u asid=%u rule=\"%s\"", c->id,
                v->control.asid, why);
    v->control.exit_code = EXIT_INVALID;
    v->control.exit_info_1 = v->control.exit_info_2 = v->control.exit_int_info = 0;
}

static void trace_exit(struct cpu *c)
{
    if (trace_wants(c->trace, TRACE_SWITCH))
        trace_event(c->trace, TRACE_SWITCH, "VMEXIT",
                    "core=%u asid=%u code=0x%" PRIx64 " info1=0x%" PRIx64 " info2=0x%" PRIx64
                    " rip=0x%" PRIx64,
                    c->id, c->control.asid, c->exit_code, c->exit_info_1, c->exit_info_2, c->rip);
}

bool cpu_vmrun(struct cpu *c, u64 vmcb_spa, u64 deadline_ns)
{
    struct vmcb v;
    if (!(c->host_efer & EFER_SVME) || !c->vm_hsave_pa || !vmcb_address_valid(c, vmcb_spa))
        return false;
    memory_read(c->memory, vmcb_spa, KEY_RAW, &v, sizeof v);
    const char *why = refusal(c, &v);
    if (why) {
        refuse(c, &v, why);
    } else {
        c->vmcb_spa = vmcb_spa;
        load_guest(c, &v);
        set_deadline(c, deadline_ns);
        run_guest(c);
        trace_exit(c);
        save_guest(c, &v);
        load_host(c);
    }
    memory_write(c->memory, vmcb_spa, KEY_RAW, &v, sizeof v);
    return true;
}

/* --- VMLOAD, VMSAVE: what VMRUN does not move [cpu 4.3] --------------------------------------- */

bool cpu_vmload(struct cpu *c, u64 vmcb_spa)
{
    struct vmcb_save s;
    if (!vmcb_address_valid(c, vmcb_spa))
        return false;
    memory_read(c->memory, vmcb_spa + offsetof(struct vmcb, save), KEY_RAW, &s, sizeof s);
    c->seg[SEG_FS] = segment_from(&s.fs);
    c->seg[SEG_GS] = segment_from(&s.gs);
    c->tr = segment_from(&s.tr);
    c->ldtr = segment_from(&s.ldtr);
    c->kernel_gs_base = s.kernel_gs_base;
    c->star = s.star;
    c->lstar = s.lstar;
    c->cstar = s.cstar;
    c->sfmask = s.sfmask;
    c->sysenter_cs = s.sysenter_cs;
    c->sysenter_esp = s.sysenter_esp;
    c->sysenter_eip = s.sysenter_eip;
    return true;
}

bool cpu_vmsave(struct cpu *c, u64 vmcb_spa)
{
    struct vmcb_save s;
    u64 spa = vmcb_spa + offsetof(struct vmcb, save);
    if (!vmcb_address_valid(c, vmcb_spa))
        return false;
    memory_read(c->memory, spa, KEY_RAW, &s, sizeof s);
    s.fs = segment_to(&c->seg[SEG_FS]);
    s.gs = segment_to(&c->seg[SEG_GS]);
    s.tr = segment_to(&c->tr);
    s.ldtr = segment_to(&c->ldtr);
    s.kernel_gs_base = c->kernel_gs_base;
    s.star = c->star;
    s.lstar = c->lstar;
    s.cstar = c->cstar;
    s.sfmask = c->sfmask;
    s.sysenter_cs = c->sysenter_cs;
    s.sysenter_esp = c->sysenter_esp;
    s.sysenter_eip = c->sysenter_eip;
    memory_write(c->memory, spa, KEY_RAW, &s, sizeof s);
    return true;
}

/* --- SVM instructions inside a guest: intercepted, or unknown (there is no nested SVM) -------- */

static void svm_instruction(struct cpu *c, u64 bit, u64 exit_code)
{
    intercept(c, 4, bit, exit_code);
    cpu_raise_ud(c);
}

#define SVM_INSTRUCTION(name, NAME)                                                                \
    void exec_##name(struct cpu *c, const struct insn *in)                                         \
    {                                                                                              \
        (void)in;                                                                                  \
        svm_instruction(c, INTERCEPT4_##NAME, EXIT_##NAME);                                        \
    }

SVM_INSTRUCTION(vmrun, VMRUN)
SVM_INSTRUCTION(vmmcall, VMMCALL)
SVM_INSTRUCTION(vmgexit, VMMCALL) /* without SEV-ES the prefixes mean nothing */
SVM_INSTRUCTION(vmload, VMLOAD)
SVM_INSTRUCTION(vmsave, VMSAVE)
SVM_INSTRUCTION(stgi, STGI)
SVM_INSTRUCTION(clgi, CLGI)
SVM_INSTRUCTION(skinit, SKINIT)

void exec_invlpga(struct cpu *c, const struct insn *in)
{
    (void)in;
    intercept(c, 3, INTERCEPT3_INVLPGA, EXIT_INVLPGA);
    cpu_raise_ud(c);
}
