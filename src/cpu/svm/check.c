/* SPDX-License-Identifier: Apache-2.0 */
/* VMRUN's checks: refuses controls and state that are not consistent [APM2 15.5; cpu 4.5]. */
#include "cpu/svm/world_switch.h"
#include "memory/rmp.h"

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

/* The host of a SEV-ES guest cannot inject software interrupts, #BP or #OF [cpu 3.6]. */
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

static bool vmcb_event_valid(u64 event)
{
    u32 type = (u32)BITS(event, 10, 8);
    return vmsa_event_valid(event) || type == EVENT_SOFTWARE ||
           (type == EVENT_EXCEPTION && exception_valid((u8)event));
}

/* BOUND and INTO do not exist in 64-bit mode [APM2 15.20]. */
static bool event_possible(u64 event, const struct vmcb_save *s)
{
    bool code64 = s->efer & EFER_LME && s->cr0 & CR0_PG && s->cs.attributes & SEG_L;
    bool legacy = (u8)event == VECTOR_BR || (u8)event == VECTOR_OF;
    return !(event & EVENT_VALID && BITS(event, 10, 8) == EVENT_EXCEPTION && legacy && code64);
}

/* VMRUN ignores the SEV and SEV-ES bits while memory encryption is off [APM2 15.34.3]. */
bool sev_enabled(const struct cpu *c, const struct vmcb_control *k)
{
    return k->np_control & NP_SEV && c->msr.syscfg & SYSCFG_MEM_ENCRYPT;
}

bool sev_es_enabled(const struct cpu *c, const struct vmcb_control *k)
{
    return k->np_control & NP_SEV_ES && c->msr.syscfg & SYSCFG_MEM_ENCRYPT;
}

bool virtual_nmi_enabled(const struct cpu *c, const struct vmcb_control *k)
{
    return k->v_intr & V_INTR_NMI_ENABLE && c->svm_features & SVM_VIRTUAL_NMI;
}

/* Returns why a SEV guest may not run here; NULL if it may. */
static const char *sev_refusal(const struct cpu *c, const struct vmcb_control *k)
{
    if (!sev_enabled(c, k))
        return sev_es_enabled(c, k) ? "SEV-ES without SEV" : NULL;
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

static const char *control_refusal(const struct cpu *c, const struct vmcb_control *k)
{
    /* The walk strips the host's C-bit. */
    u64 n_cr3 = k->n_cr3 & ~(c->msr.syscfg & SYSCFG_MEM_ENCRYPT ? BIT(C_BIT) : 0);
    const u64 addresses = PHYSICAL_MASK + 1;
    const bool nmi = k->intercept_3 & INTERCEPT3_NMI;
    const struct check checks[] = {
        {!(k->intercept_4 & INTERCEPT4_VMRUN), "VMRUN is not intercepted"},
        {!range_fits(k->msrpm_base & ~PAGE_MASK, 0x2000, addresses),
         "MSRPM above the physical address width"},
        {!range_fits(k->iopm_base & ~PAGE_MASK, 0x3000, addresses),
         "IOPM above the physical address width"},
        {virtual_nmi_enabled(c, k) && !nmi, "virtual NMIs, and NMI is not intercepted"},
        {k->asid == 0, "ASID 0"},
        {k->asid >= ASIDS, "ASID not below CPUID 8000_000A EBX"},
        {k->np_control & NP_ENABLE && n_cr3 & ~PHYSICAL_MASK, "nCR3 reserved bits"},
    };
    const char *why = first_wrong(checks, ARRAY_SIZE(checks));
    return why ? why : sev_refusal(c, k);
}

/* PAE without nested paging: VMRUN loads the four page-directory pointers as MOV CR3 does. */
static bool pae_pointers_valid(const struct cpu *c, const struct vmcb_control *k,
                               const struct vmcb_save *s)
{
    const u64 reserved = PAE_POINTER_RESERVED | PTE_BEYOND;
    u64 pointers[4] = {0};
    if (k->np_control & NP_ENABLE || !(s->cr0 & CR0_PG) || !(s->cr4 & CR4_PAE) ||
        s->efer & EFER_LME)
        return true;
    memory_read(c->memory, s->cr3 & PAE_POINTERS_ADDRESS, KEY_RAW, pointers, sizeof pointers);
    for (u32 i = 0; i < ARRAY_SIZE(pointers); i++)
        if (pointers[i] & PTE_P && pointers[i] & reserved)
            return false;
    return true;
}

/* Returns why this state may not run; NULL if it may. `event` is EVENTINJ, from the VMCB or the
 * VMSA. */
static const char *state_refusal(const struct cpu *c, const struct vmcb_control *k,
                                 const struct vmcb_save *s, u64 event)
{
    u64 c_bit = sev_enabled(c, k) ? BIT(C_BIT) : 0;
    const struct check checks[] = {
        {!efer_valid(s), "EFER: SVME clear or reserved bits"},
        {!(s->cr0 & CR0_CD) && s->cr0 & CR0_NW, "CR0: NW without CD"},
        {s->cr0 >> 32, "CR0 bits 63:32"},
        {s->cr3 & ~PHYSICAL_MASK & ~c_bit, "CR3 reserved bits"},
        {!pae_pointers_valid(c, k, s), "reserved bits in a PAE page-directory pointer"},
        {s->cr4 & ~CR4_DEFINED, "CR4 reserved bits"},
        {s->cr4 & CR4_PCIDE && !(s->efer & EFER_LME && s->cr0 & CR0_PG),
         "CR4.PCIDE: not long mode"},
        {k->np_control & NP_ENABLE && !pat_valid(s->g_pat), "G_PAT: no such memory type"},
        {s->dr6 >> 32, "DR6 bits 63:32"},
        {s->dr7 >> 32, "DR7 bits 63:32"},
        {!long_mode_valid(s), "long mode without PAE or PE, or CS.L and CS.D"},
        {!event_possible(event, s), "EVENTINJ: an exception that 64-bit mode has not"},
    };
    return first_wrong(checks, ARRAY_SIZE(checks));
}

bool host_state_valid(const struct cpu *c, const struct vmcb_save *s)
{
    static const struct vmcb_control none;
    return !state_refusal(c, &none, s, 0);
}

const char *vmrun_refusal(struct cpu *c, struct world_switch *w)
{
    const struct vmcb_control *k = &w->vmcb.control;
    const char *why = control_refusal(c, k);
    w->es = sev_es_enabled(c, k);
    if (why)
        return why;
    if (!w->es) {
        memcpy(&w->save, &w->vmcb.save, VMSA_COMMON_SIZE);
        return vmcb_event_valid(k->event_inject) ? state_refusal(c, k, &w->save, k->event_inject)
                                                 : "EVENTINJ";
    }
    why = vmsa_open(c, k, &w->vmsa);
    if (why)
        return why;
    /* Reported even if they are refused [cpu 3.1]. */
    w->vmcb.control.guest_sev_features = w->vmsa.sev_features;
    why = features_refusal(c, k, &w->vmsa);
    if (why)
        return why;
    features_unmask(&w->vmsa);
    memcpy(&w->save, &w->vmsa, VMSA_COMMON_SIZE);
    return state_refusal(c, k, &w->save, features_event(k, &w->vmsa));
}
