/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SEV_FEATURES [cpu 2.2, 5.7, 6.4-6.11]: the features that a virtual CPU requests in its VMSA.
 * VMRUN refuses a feature that does not work as the manual says. It accepts a feature without
 * effect only if software could not see the effect.
 */
#include "cpu/svm/vmsa_switch.h"
#include "memory/rmp.h"

/* Features that are implemented. */
#define WITH_EFFECT                                                                                \
    (SEV_FEATURE_SNP | SEV_FEATURE_VTOM | SEV_FEATURE_RESTRICTED_INJECTION |                       \
     SEV_FEATURE_ALTERNATE_INJECTION | SEV_FEATURE_DEBUG_VIRT | SEV_FEATURE_SECURE_TSC |           \
     SEV_FEATURE_VMGEXIT_PARAMETER | SEV_FEATURE_VMSA_REG_PROT)
/* Features that hold anyway: there is no IBS and no branch predictor, and no two threads share a
 * core. */
#define WITHOUT_EFFECT                                                                             \
    (SEV_FEATURE_PREVENT_HOST_IBS | SEV_FEATURE_SNP_BTB_ISOLATION | SEV_FEATURE_SMT_PROTECTION |   \
     SEV_FEATURE_IBPB_ON_ENTRY)
/* Features that SEV-ES guests may have without SNP. */
#define OF_SEV_ES                                                                                  \
    (SEV_FEATURE_DEBUG_VIRT | SEV_FEATURE_PREVENT_HOST_IBS | SEV_FEATURE_VMGEXIT_PARAMETER)

#define INJECTION (SEV_FEATURE_RESTRICTED_INJECTION | SEV_FEATURE_ALTERNATE_INJECTION)

#define VTOM_RESERVED (~(BITS(~0ull, 51, 21) << 21))

/* A feature that these cores do not implement has no bit here either; WITH_EFFECT and
 * WITHOUT_EFFECT decide those that share SNP's bit. */
void features_offer(struct cpu *c)
{
    const u32 shown = cpu_model_bits(&c->model, 0x8000001f, 0, 0);
#define OFFER(id, name, cpuid) (shown & BIT(cpuid) ? SEV_FEATURE_##id : 0) |
    c->sev_features = SEV_FEATURES(OFFER) 0;
#undef OFFER
    c->allows_sev_features = shown & BIT(27);
    c->svm_features = cpu_model_bits(&c->model, 0x8000000a, 0, 3);
}

/* --- Checks at VMRUN -------------------------------------------------------------------------- */

/* Checks the RMP entry of an SNP guest's VMSA: the RMP is all that protects it. VMRUN checks
 * neither Validated nor the page size [APM2 15.36.10, table 15-41; cpu 4.5]. */
static const char *rmp_refusal(struct cpu *c, const struct vmcb_control *k)
{
    struct rmp_entry e;
    if (!(c->msr.syscfg & SYSCFG_SNP_EN) || !rmp_enabled(c->memory))
        return "SEV_FEATURES: SNP, but the platform has not initialised it";
    if (!rmp_get(c->memory, k->vmsa, &e) || !e.assigned || e.asid != k->asid)
        return "VMSA page: by the RMP not this guest's";
    if (e.immutable || !e.vmsa)
        return "VMSA page: by the RMP immutable, or without the VMSA attribute";
    return NULL;
}

u64 features_event(const struct vmcb_control *k, const struct vmsa *s)
{
    return s->sev_features & SEV_FEATURE_ALTERNATE_INJECTION ? s->event_inject : k->event_inject;
}

/* Checks EVENTINJ. With restricted injection the host may inject #HV and nothing else; without it,
 * the host may not inject #HV [APM2 15.36.16; cpu 6.8]. */
static const char *event_refusal(const struct vmcb_control *k, const struct vmsa *s)
{
    u64 event = features_event(k, s);
    bool hv = (u32)event == (EVENT_VALID | EVENT_EXCEPTION << EVENT_TYPE_SHIFT | VECTOR_HV);
    if (s->sev_features & SEV_FEATURE_RESTRICTED_INJECTION)
        return event & EVENT_VALID && !hv ? "EVENTINJ: restricted injection allows only #HV" : NULL;
    return vmsa_event_valid(event) ? NULL : "EVENTINJ";
}

static const char *details_refusal(const struct vmcb_control *k, const struct vmsa *s)
{
    u64 features = s->sev_features;
    if ((features & INJECTION) == INJECTION)
        return "SEV_FEATURES: restricted and alternate injection exclude each other";
    if (features & INJECTION && k->v_intr & V_INTR_AVIC)
        return "SEV_FEATURES: restricted and alternate injection exclude AVIC";
    if (features & SEV_FEATURE_ALTERNATE_INJECTION && s->v_intr_control & V_INTR_NMI_ENABLE &&
        !(k->intercept_3 & INTERCEPT3_NMI))
        return "VMSA: VINTR_CTRL asks for virtual NMIs, and NMI is not intercepted";
    if (features & SEV_FEATURE_VTOM && s->virtual_tom & VTOM_RESERVED)
        return "VMSA: VIRTUAL_TOM has reserved bits set";
    return s->vmpl >= RMP_VMPLS ? "VMSA: there is no such VMPL" : NULL;
}

const char *features_refusal(struct cpu *c, const struct vmcb_control *k, const struct vmsa *s)
{
    u64 features = s->sev_features;
    u64 allowed = k->allowed_sev_features;
    if (features & ~c->sev_features)
        return "SEV_FEATURES: a feature that CPUID 8000_001F does not show";
    if (allowed & ALLOWED_SEV_FEATURES_ENABLE && c->allows_sev_features && features & ~allowed)
        return "SEV_FEATURES: one that the VMCB's ALLOWED_SEV_FEATURES excludes";
    if (features & ~(u64)(WITH_EFFECT | WITHOUT_EFFECT))
        return "SEV_FEATURES: a feature that is not supported";
    if (!(features & SEV_FEATURE_SNP) && features & ~(u64)OF_SEV_ES)
        return "SEV_FEATURES: a feature of SNP without SNP";
    const char *why = event_refusal(k, s);
    if (why || !(features & SEV_FEATURE_SNP))
        return why;
    why = rmp_refusal(c, k);
    return why ? why : details_refusal(k, s);
}

bool features_busy(const struct vmsa *s)
{
    return s->sev_features & SEV_FEATURE_ALTERNATE_INJECTION &&
           s->v_intr_control & VMSA_V_INTR_BUSY;
}

/* --- Who runs --------------------------------------------------------------------------------- */

void vmsa_identify(struct cpu *c, const struct vmsa *s)
{
    static const struct vmsa none;
    s = s ? s : &none;
    u64 tom = s->sev_features & SEV_FEATURE_VTOM ? s->virtual_tom : 0;
    c->guest.snp = s->sev_features & SEV_FEATURE_SNP;
    u32 vmpl = c->guest.snp ? s->vmpl : 0;
    /* PCPU_ID says where a virtual CPU ran last. If it ran elsewhere, this core's translations may
     * be outdated. A guest asks for a flush by writing 0 [cpu 4.5]. */
    bool moved = c->guest.snp && s->pcpu_id != c->id + 1;
    c->engine.retranslate |= moved || c->guest.vmpl != vmpl ||
                             c->guest.sev_features != s->sev_features ||
                             c->guest.virtual_tom != tom;
    c->guest.vmpl = vmpl;
    c->guest.sev_features = s->sev_features;
    c->guest.virtual_tom = tom;
}

/* --- Interrupts [cpu 6.8] --------------------------------------------------------------------- */

/* These bits have the same place in VINTR_CTRL as in the VMCB; the vector is in bits 39:32. */
#define V_INTR_SAME                                                                                \
    (V_INTR_TPR | V_INTR_IRQ | V_INTR_GIF | V_INTR_NMI | V_INTR_NMI_MASK |                         \
     0xfu << V_INTR_PRIO_SHIFT | V_INTR_IGNORE_TPR | V_INTR_NMI_ENABLE)

static void alternate_enter(struct vmcb_control *k, const struct vmsa *s)
{
    k->v_intr = (k->v_intr & ~(u32)V_INTR_SAME) | ((u32)s->v_intr_control & (u32)V_INTR_SAME);
    k->v_intr_vector = (u8)(s->v_intr_control >> 32);
    k->interrupt_shadow = s->v_intr_control & VMSA_V_INTR_SHADOW ? INTERRUPT_SHADOW : 0;
    k->event_inject = s->event_inject;
}

static void alternate_leave(struct vmcb_control *k, struct vmsa *s)
{
    s->v_intr_control &= ~(u64)(V_INTR_SAME | VMSA_V_INTR_SHADOW);
    s->v_intr_control |= k->v_intr & (u32)V_INTR_SAME;
    s->v_intr_control |= k->interrupt_shadow & INTERRUPT_SHADOW ? VMSA_V_INTR_SHADOW : 0;
    s->event_inject = 0;
}

void features_enter(const struct vmsa *s, struct vmcb_control *k)
{
    if (s->sev_features & SEV_FEATURE_ALTERNATE_INJECTION)
        alternate_enter(k, s);
    if (s->sev_features & SEV_FEATURE_RESTRICTED_INJECTION)
        k->v_intr &= ~(u32)(V_INTR_IRQ | V_INTR_NMI_ENABLE);
}

void features_leave(const struct cpu *c, struct vmsa *s, struct vmcb_control *k,
                    const struct vmcb_control *before)
{
    if (sev_feature(c, SEV_FEATURE_ALTERNATE_INJECTION)) {
        alternate_leave(k, s);
        k->interrupt_shadow &= ~INTERRUPT_SHADOW;
        k->interrupt_shadow |= before->interrupt_shadow & INTERRUPT_SHADOW;
    }
    if (sev_feature(c, INJECTION)) {
        k->v_intr = before->v_intr;
        k->v_intr_vector = before->v_intr_vector;
    }
    if (sev_feature(c, SEV_FEATURE_VMGEXIT_PARAMETER) && c->guest.exit_code == EXIT_VMGEXIT) {
        k->vmgexit_rax = c->arch.r[RAX];
        k->vmgexit_cpl = (u8)c->arch.cpl;
    }
    k->guest_sev_features = c->guest.sev_features;
    if (c->guest.snp)
        s->pcpu_id = c->id + 1;
    if (sev_feature(c, SEV_FEATURE_VTOM))
        s->virtual_tom = c->guest.virtual_tom;
}

/* --- Debug registers [cpu 6.7] ---------------------------------------------------------------- */

/* Address masks are switched too, but this core's breakpoints ignore them. */
void features_load_debug(struct cpu *c, const struct vmsa *s)
{
    if (s->sev_features & SEV_FEATURE_DEBUG_VIRT)
        memcpy(c->arch.dr, s->dr, sizeof c->arch.dr);
}

void features_save_debug(struct cpu *c, struct vmsa *s)
{
    if (!sev_feature(c, SEV_FEATURE_DEBUG_VIRT))
        return;
    memcpy(s->dr, c->arch.dr, sizeof c->arch.dr);
    memcpy(c->arch.dr, c->host.dr, sizeof c->arch.dr);
}

/* --- Time ------------------------------------------------------------------------------------- */

/* A scale is 8.32 fixed point, relative to the machine's 1 GHz. A guest with secure TSC has one of
 * its own; for the others the host sets TSC_RATIO [cpu 2.1]. */
u64 cpu_guest_tsc(struct cpu *c)
{
    u64 now = cpu_time(c), scale = c->guest.running ? c->msr.tsc_ratio : TSC_RATIO_ONE;
    if (sev_feature(c, SEV_FEATURE_SECURE_TSC))
        scale = c->guest.tsc_scale;
    return (u64)((u128)now * scale >> 32) + c->guest.tsc_offset;
}

void features_load_time(struct cpu *c, const struct vmsa *s, struct vmcb_control *k)
{
    if (!(s->sev_features & SEV_FEATURE_SECURE_TSC))
        return;
    c->guest.tsc_scale = s->guest_tsc_scale & BITS(~0ull, 39, 0);
    k->tsc_offset = s->guest_tsc_offset;
}

/* --- Register protection [cpu 6.9] ------------------------------------------------------------ */

static void mask_registers(struct vmsa *s)
{
    u8 *bytes = (u8 *)s;
    for (u32 n = 0; n < 8 * sizeof vmsa_protected; n++)
        if (vmsa_protected[n / 8] >> (n & 7) & 1)
            store_le64(bytes + 8 * n, load_le64(bytes + 8 * n) ^ s->reg_prot_nonce);
}

void features_unmask(struct vmsa *s)
{
    if (s->sev_features & SEV_FEATURE_VMSA_REG_PROT)
        mask_registers(s);
}

/* Masks the registers so that equal registers never look equal in memory twice. */
void features_mask(const struct cpu *c, struct vmsa *s)
{
    if (!sev_feature(c, SEV_FEATURE_VMSA_REG_PROT))
        return;
    random_fill(c->random, &s->reg_prot_nonce, sizeof s->reg_prot_nonce);
    mask_registers(s);
}
