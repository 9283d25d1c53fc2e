/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMRUN and #VMEXIT [APM2 15.5, 15.6] in four named steps: check controls, load guest, (run), save
 * guest, load host. The host is a program outside the core, so that of its state there is only what
 * VMRUN leaves in the registers it does not switch. Intercepts and the SVM instructions as a guest
 * sees them.
 */
#include "cpu/engine/device.h"
#include "cpu/system/segment.h"
#include "cpu/svm/vmsa_switch.h"
#include "memory/rmp.h"

#include <inttypes.h>

/* --- Intercepts ------------------------------------------------------------------------------- */

bool intercepts(const struct cpu *c, u32 word, u64 bit)
{
    if (!c->guest.running)
        return false;
    switch (word) {
    case 3:
        return c->guest.control.intercept_3 & bit;
    case 4:
        return c->guest.control.intercept_4 & bit;
    default:
        return c->guest.control.intercept_5 & bit;
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
    u64 defined =
        EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_SVME | EFER_FFXSR | EFER_TCE | EFER_AIBRSE;
    return s->efer & EFER_SVME && !(s->efer & ~defined);
}

static bool long_mode_valid(const struct vmcb_save *s)
{
    if (!(s->efer & EFER_LME) || !(s->cr0 & CR0_PG))
        return true;
    bool both = s->cs.attributes & SEG_L && s->cs.attributes & SEG_DB;
    return s->cr4 & CR4_PAE && s->cr0 & CR0_PE && !both;
}

static bool exception_valid(u8 vector)
{
    return vector <= 31 && vector != VECTOR_NMI && vector != VECTOR_HV;
}

/* What INT n, INT3 and INTO make cannot come from the host of a SEV-ES guest [cpu 3.6]. */
bool vmsa_event_valid(u64 event)
{
    if (!(event & EVENT_VALID))
        return true;
    u32 type = (u32)BITS(event, 10, 8);
    u8 vector = (u8)event;
    if (type == EVENT_EXCEPTION)
        return exception_valid(vector) && vector != VECTOR_BP && vector != VECTOR_OF;
    return type == EVENT_INTR || type == EVENT_NMI;
}

static bool event_valid(u64 event)
{
    u32 type = (u32)BITS(event, 10, 8);
    return vmsa_event_valid(event) || type == EVENT_SOFTWARE ||
           (type == EVENT_EXCEPTION && exception_valid((u8)event));
}

/* In 64-bit mode there is neither BOUND nor INTO [APM2 15.20]. */
static bool event_possible(u64 event, const struct vmcb_save *s)
{
    bool code64 = s->efer & EFER_LME && s->cr0 & CR0_PG && s->cs.attributes & SEG_L;
    bool legacy = (u8)event == VECTOR_BR || (u8)event == VECTOR_OF;
    return !(event & EVENT_VALID && BITS(event, 10, 8) == EVENT_EXCEPTION && legacy && code64);
}

/* Without memory encryption the bit is ignored [APM2 15.34.3]. */
static bool sev_enabled(const struct cpu *c, const struct vmcb_control *k)
{
    return k->np_control & NP_SEV && c->msr.syscfg & SYSCFG_MEM_ENCRYPT;
}

/* Why a SEV guest may not run here; NULL if it may. */
static const char *sev_refusal(const struct cpu *c, const struct vmcb_control *k)
{
    if (!sev_enabled(c, k))
        return k->np_control & NP_SEV_ES ? "SEV-ES without SEV, or SYSCFG.MemEncryptionModEn clear"
                                         : NULL;
    if (!(k->np_control & NP_ENABLE))
        return "SEV without nested paging";
    if (!(c->msr.hwcr & HWCR_SMM_LOCK))
        return "HWCR.SmmLock is clear";
    if (k->asid > memory_asids(c->memory))
        return "ASID above CPUID 8000_001F ECX";
    if (!(k->np_control & NP_SEV_ES))
        return k->asid < c->asid_min ? "ASID below CPUID 8000_001F EDX without SEV-ES" : NULL;
    return k->lbr_control & LBR_VIRTUALIZATION ? NULL : "SEV-ES without LBR virtualization";
}

struct check {
    bool wrong;
    const char *why;
};

static const char *first_wrong(const struct check *checks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (checks[i].wrong)
            return checks[i].why;
    return NULL;
}

#define ADDRESS_RESERVED (~BITS(~0ull, 47, 0))

static const char *control_refusal(const struct cpu *c, const struct vmcb_control *k)
{
    /* The host's C-bit, which the walk strips. */
    u64 n_cr3 = k->n_cr3 & ~(c->msr.syscfg & SYSCFG_MEM_ENCRYPT ? BIT(c->c_bit) : 0);
    const struct check checks[] = {
        {!(k->intercept_4 & INTERCEPT4_VMRUN), "VMRUN is not intercepted"},
        {!range_fits(k->msrpm_base & ~PAGE_MASK, 0x2000, memory_size(c->memory)),
         "MSRPM outside memory"},
        {!range_fits(k->iopm_base & ~PAGE_MASK, 0x3000, memory_size(c->memory)),
         "IOPM outside memory"},
        {k->asid == 0, "ASID 0"},
        {k->np_control & NP_ENABLE && n_cr3 & ADDRESS_RESERVED, "nCR3 reserved bits"},
    };
    const char *why = first_wrong(checks, ARRAY_SIZE(checks));
    return why ? why : sev_refusal(c, k);
}

/* `event`: EVENTINJ, wherever it comes from. */
static const char *state_refusal(const struct cpu *c, const struct vmcb_control *k,
                                 const struct vmcb_save *s, u64 event)
{
    u64 c_bit = sev_enabled(c, k) ? BIT(c->c_bit) : 0;
    const struct check checks[] = {
        {!efer_valid(s), "EFER: SVME clear or reserved bits"},
        {!(s->cr0 & CR0_CD) && s->cr0 & CR0_NW, "CR0: NW without CD"},
        {s->cr0 >> 32, "CR0 bits 63:32"},
        {s->cr3 & ADDRESS_RESERVED & ~c_bit && s->efer & EFER_LME, "CR3 reserved bits"},
        {s->cr4 & ~CR4_DEFINED, "CR4 reserved bits"},
        {k->np_control & NP_ENABLE && !pat_valid(s->g_pat), "G_PAT: no such memory type"},
        {s->dr6 >> 32, "DR6 bits 63:32"},
        {s->dr7 >> 32, "DR7 bits 63:32"},
        {!long_mode_valid(s), "long mode without PAE or PE, or CS.L and CS.D"},
        {!event_possible(event, s), "EVENTINJ: an exception that 64-bit mode has not"},
    };
    return first_wrong(checks, ARRAY_SIZE(checks));
}

/* --- Load guest ------------------------------------------------------------------------------- */

/* Bases are made canonical [APM2 15.5.1]. */
static struct segment segment_from(const struct vmcb_segment *v)
{
    u64 base = (u64)((s64)(v->base << 16) >> 16);
    return (struct segment){v->selector, v->attributes & 0xfff, v->limit, base};
}

static struct vmcb_segment segment_to(const struct segment *s)
{
    return (struct vmcb_segment){s->selector, s->attributes, s->limit, s->base};
}

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

/* Everything that decides what an address means; if it is as it was, the TLB still holds. */
static bool same_translations(const struct cpu *c, const struct vmcb_control *k,
                              const struct vmcb_save *s)
{
    u64 efer = s->efer & ~EFER_LMA;
    return k->tlb_control == TLB_FLUSH_NONE && k->asid == c->guest.control.asid &&
           k->n_cr3 == c->guest.control.n_cr3 && k->np_control == c->guest.control.np_control &&
           sev_enabled(c, k) == c->guest.sev && s->cr0 == c->arch.cr0 && s->cr3 == c->arch.cr3 &&
           s->cr4 == c->arch.cr4 && efer == (c->arch.efer & ~EFER_LMA);
}

static void load_control(struct cpu *c, const struct vmcb_control *k)
{
    c->guest.control = *k;
    c->guest.nested_paging = k->np_control & NP_ENABLE;
    c->guest.sev = sev_enabled(c, k);
    c->guest.es = k->np_control & NP_SEV_ES;
    c->guest.key = c->guest.sev ? (memory_key)k->asid : KEY_RAW;
    c->guest.tsc_offset = k->tsc_offset;
    c->arch.interrupt_shadow = k->interrupt_shadow & INTERRUPT_SHADOW;
    c->arch.cr8 = k->v_intr & 15;
    c->guest.pauses_left = k->pause_filter_count;
    c->guest.control.fetched_count = 0;
}

static void load_guest(struct cpu *c, const struct vmcb_control *k, const struct vmcb_save *s)
{
    bool flush = c->engine.retranslate || !same_translations(c, k, s);
    c->engine.retranslate = false;
    load_control(c, k);
    c->arch.cr0 = (s->cr0 & CR0_DEFINED) | CR0_ET;
    c->arch.cr2 = s->cr2;
    c->arch.cr3 = s->cr3;
    c->arch.cr4 = s->cr4;
    c->arch.dr6 = DR6_OF(s->dr6);
    c->arch.dr7 = DR7_OF(s->dr7);
    c->arch.efer = s->efer & ~EFER_LMA;
    if (s->efer & EFER_LME && s->cr0 & CR0_PG)
        c->arch.efer |= EFER_LMA;
    if (c->guest.nested_paging)
        c->arch.pat = s->g_pat;
    if (k->lbr_control & LBR_VIRTUALIZATION)
        c->arch.debugctl = s->dbgctl;
    load_segments(c, s);
    rflags_write(c, s->rflags & RFLAGS_DEFINED, ~0ull);
    c->arch.r[RAX] = s->rax;
    c->arch.r[RSP] = s->rsp;
    c->arch.rip = s->rip;
    c->guest.exit_int_info = 0;
    c->arch.gif = true;
    c->guest.running = true;
    device_begin(c);
    segment_update(c);
    if (flush)
        mmu_flush_all(c);
    debug_update(c);
}

/* --- Save guest ------------------------------------------------------------------------------- */

static void save_control(const struct cpu *c, struct vmcb_control *k)
{
    k->exit_code = c->guest.exit_code;
    k->exit_info_1 = c->guest.exit_info_1;
    k->exit_info_2 = c->guest.exit_info_2;
    k->exit_int_info = c->guest.exit_int_info;
    k->event_inject = 0;
    k->interrupt_shadow = c->arch.interrupt_shadow ? INTERRUPT_SHADOW : 0;
    if (c->guest.es) {
        k->ghcb_gpa = c->guest.control.ghcb_gpa;
        k->interrupt_shadow |= c->arch.rflags & RFLAGS_IF ? INTERRUPT_SHADOW_MASK : 0;
    } else {
        k->next_rip = c->guest.next_rip;
    }
    k->v_intr = c->guest.control.v_intr;
    k->fetched_count = c->guest.control.fetched_count;
    memcpy(k->fetched, c->guest.control.fetched, sizeof k->fetched);
}

static void save_guest(const struct cpu *c, struct vmcb_save *s)
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
    s->dbgctl = c->arch.debugctl;
}

/* What same_translations() compares stays in the core; the rest of the guest is gone. */
static void load_host(struct cpu *c)
{
    if (c->guest.es)
        vmsa_forget(c);
    c->guest.running = c->guest.es = c->guest.snp = false;
    c->arch.gif = false;
    c->arch.dr7 = 0x400;
}

/* --- What VMLOAD and VMSAVE move, or the VMSA has [cpu 4.3] ----------------------------------- */

static void load_rest(struct cpu *c, const struct vmcb_save *s)
{
    c->arch.seg[SEG_FS] = segment_from(&s->fs);
    c->arch.seg[SEG_GS] = segment_from(&s->gs);
    c->arch.tr = segment_from(&s->tr);
    c->arch.ldtr = segment_from(&s->ldtr);
    c->arch.kernel_gs_base = s->kernel_gs_base;
    c->arch.star = s->star;
    c->arch.lstar = s->lstar;
    c->arch.cstar = s->cstar;
    c->arch.sfmask = s->sfmask;
    c->arch.sysenter_cs = s->sysenter_cs;
    c->arch.sysenter_esp = s->sysenter_esp;
    c->arch.sysenter_eip = s->sysenter_eip;
}

static void save_rest(const struct cpu *c, struct vmcb_save *s)
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

/* --- VMRUN ------------------------------------------------------------------------------------ */

static bool vmcb_address_valid(const struct cpu *c, u64 spa)
{
    return !(spa & PAGE_MASK) && range_fits(spa, PAGE_SIZE, memory_size(c->memory));
}

static void set_deadline(struct cpu *c, u64 deadline_ns)
{
    u64 now = c->clock->now;
    u64 left = deadline_ns > now ? min_u64(deadline_ns - now, INT64_MAX / 2) : 0;
    c->engine.left = (s64)left;
    c->engine.run_end = now + left;
}

static void refuse(struct cpu *c, struct vmcb_control *k, const char *why)
{
    trace_event(c->trace, TRACE_SWITCH, "INVALID", "core=%u asid=%u rule=\"%s\"", c->id, k->asid,
                why);
    k->exit_code = EXIT_INVALID;
    k->exit_info_1 = k->exit_info_2 = k->exit_int_info = 0;
}

static void trace_exit(struct cpu *c)
{
    if (trace_wants(c->trace, TRACE_SWITCH))
        trace_event(c->trace, TRACE_SWITCH, "VMEXIT",
                    "core=%u asid=%u code=0x%" PRIx64 " info1=0x%" PRIx64 " info2=0x%" PRIx64
                    " rip=0x%" PRIx64,
                    c->id, c->guest.control.asid, c->guest.exit_code, c->guest.exit_info_1,
                    c->guest.exit_info_2, c->arch.rip);
}

static void run_until_exit(struct cpu *c, struct vmcb_control *k, struct vmcb_save *s,
                           u64 deadline_ns)
{
    u64 host_debugctl = c->arch.debugctl;
    load_guest(c, k, s);
    set_deadline(c, deadline_ns);
    run_guest(c);
    trace_exit(c);
    save_guest(c, s);
    save_control(c, k);
    if (k->lbr_control & LBR_VIRTUALIZATION)
        c->arch.debugctl = host_debugctl;
}

/* Of a plain or SEV guest: its state is in the VMCB. */
static void vmrun_plain(struct cpu *c, struct vmcb *v, u64 deadline_ns)
{
    u64 event = v->control.event_inject;
    const char *why =
        event_valid(event) ? state_refusal(c, &v->control, &v->save, event) : "EVENTINJ";
    if (why) {
        refuse(c, &v->control, why);
        return;
    }
    vmsa_identify(c, NULL);
    run_until_exit(c, &v->control, &v->save, deadline_ns);
    load_host(c);
}

static void run_es(struct cpu *c, struct vmcb_control *k, struct vmsa *vmsa, struct vmcb_save *save,
                   u64 deadline_ns)
{
    struct vmcb_control inside = *k;
    u64 host_dr[4];
    vmsa_identify(c, vmsa);
    load_rest(c, save);
    vmsa_load(c, vmsa);
    features_enter(vmsa, &inside);
    features_load_time(c, vmsa, &inside);
    features_load_debug(c, vmsa, host_dr);
    run_until_exit(c, &inside, save, deadline_ns);
    save_rest(c, save);
    memcpy(vmsa, save, VMSA_COMMON_SIZE);
    vmsa_save(c, vmsa);
    features_save_debug(c, vmsa, host_dr);
    inside.tsc_offset = k->tsc_offset;
    features_leave(c, vmsa, &inside, k);
    features_mask(c, vmsa);
    *k = inside;
    vmsa_close(c, k, vmsa);
    load_host(c);
}

/* Of a SEV-ES or SNP guest: all state is in the VMSA, which begins like the VMCB's save area. */
static void vmrun_es(struct cpu *c, struct vmcb_control *k, u64 deadline_ns)
{
    struct vmsa vmsa;
    struct vmcb_save save = {0};
    const char *why = vmsa_open(c, k, &vmsa);
    if (!why) {
        features_unmask(&vmsa);
        memcpy(&save, &vmsa, VMSA_COMMON_SIZE);
        why = state_refusal(c, k, &save, features_event(k, &vmsa));
    }
    if (why) {
        refuse(c, k, why);
    } else if (features_busy(&vmsa)) {
        refuse(c, k, "VINTR_CTRL.BUSY");
        k->exit_code = EXIT_BUSY;
    } else {
        run_es(c, k, &vmsa, &save, deadline_ns);
    }
}

bool cpu_vmrun(struct cpu *c, u64 vmcb_spa, u64 deadline_ns)
{
    struct vmcb v;
    if (!(c->msr.efer & EFER_SVME) || !c->msr.vm_hsave_pa || !vmcb_address_valid(c, vmcb_spa) ||
        !rmp_host_may_write(c->memory, vmcb_spa, PAGE_SIZE) ||
        !rmp_host_may_write(c->memory, c->msr.vm_hsave_pa, PAGE_SIZE))
        return false;
    memory_read(c->memory, vmcb_spa, KEY_RAW, &v, sizeof v);
    c->guest.vmcb_spa = vmcb_spa;
    const char *why = control_refusal(c, &v.control);
    if (why)
        refuse(c, &v.control, why);
    else if (v.control.np_control & NP_SEV_ES)
        vmrun_es(c, &v.control, deadline_ns);
    else
        vmrun_plain(c, &v, deadline_ns);
    memory_write(c->memory, vmcb_spa, KEY_RAW, &v, sizeof v);
    return true;
}

bool cpu_vmload(struct cpu *c, u64 vmcb_spa)
{
    struct vmcb_save s;
    if (!vmcb_address_valid(c, vmcb_spa))
        return false;
    memory_read(c->memory, vmcb_spa + offsetof(struct vmcb, save), KEY_RAW, &s, sizeof s);
    load_rest(c, &s);
    return true;
}

bool cpu_vmsave(struct cpu *c, u64 vmcb_spa)
{
    struct vmcb_save s;
    u64 spa = vmcb_spa + offsetof(struct vmcb, save);
    if (!vmcb_address_valid(c, vmcb_spa) || !rmp_host_may_write(c->memory, vmcb_spa, PAGE_SIZE))
        return false;
    memory_read(c->memory, spa, KEY_RAW, &s, sizeof s);
    save_rest(c, &s);
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
SVM_INSTRUCTION(vmload, VMLOAD)
SVM_INSTRUCTION(stgi, STGI)
SVM_INSTRUCTION(clgi, CLGI)
SVM_INSTRUCTION(skinit, SKINIT)

/* Of a SEV-ES guest it exits, whatever is intercepted [APM2 15.36.12]. */
void exec_vmsave(struct cpu *c, const struct insn *in)
{
    (void)in;
    if (c->guest.es)
        cpu_exit(c, EXIT_VMSAVE, 0, 0);
    svm_instruction(c, INTERCEPT4_VMSAVE, EXIT_VMSAVE);
}

/* Without SEV-ES the prefix means nothing [cpu 6.4]. */
void exec_vmgexit(struct cpu *c, const struct insn *in)
{
    if (!c->guest.es)
        exec_vmmcall(c, in);
    else
        cpu_exit(c, EXIT_VMGEXIT, 0, 0);
}

void exec_invlpga(struct cpu *c, const struct insn *in)
{
    (void)in;
    intercept(c, 3, INTERCEPT3_INVLPGA, EXIT_INVLPGA);
    cpu_raise_ud(c);
}
