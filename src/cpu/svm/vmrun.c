/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMRUN and #VMEXIT [APM2 15.5, 15.6] in four named steps: check controls, load guest, (run), save
 * guest, load host. The core keeps the host registers that VMRUN exchanges in struct arch host. The
 * other registers are not switched; after a SEV-ES guest they are empty. Both cpu_vmrun(), for a
 * hypervisor outside of the machine, and the instruction (bare/) take these steps.
 */
#include "cpu/engine/device.h"
#include "cpu/svm/world_switch.h"
#include "memory/rmp.h"

#include <inttypes.h>

/* --- Check controls --------------------------------------------------------------------------- */

static void refuse(struct cpu *c, struct vmcb_control *k, const char *why)
{
    trace_event(c->trace, TRACE_SWITCH, "INVALID", "core=%u asid=%u vmcb=0x%" PRIx64 " rule=\"%s\"",
                c->id, k->asid, c->guest.vmcb_spa, why);
    k->exit_code = EXIT_INVALID;
    k->exit_info_1 = k->exit_info_2 = k->exit_int_info = 0;
}

static bool check_controls(struct cpu *c, struct world_switch *w)
{
    struct vmcb_control *k = &w->vmcb.control;
    const char *why = vmrun_refusal(c, w);
    if (why) {
        refuse(c, k, why);
        return false;
    }
    if (w->es && features_busy(&w->vmsa)) {
        refuse(c, k, "VINTR_CTRL.BUSY");
        k->exit_code = EXIT_BUSY;
        return false;
    }
    return true;
}

/* --- Load guest ------------------------------------------------------------------------------- */

/* Returns everything that decides how an address translates: if nothing changed, the TLB is still
 * valid. */
static struct translated_under translated_under(const struct cpu *c)
{
    return (struct translated_under){.asid = c->guest.control.asid,
                                     .np_control = c->guest.control.np_control,
                                     .n_cr3 = c->guest.control.n_cr3,
                                     .sev = c->guest.sev,
                                     .cr0 = c->arch.cr0,
                                     .pkru = c->arch.pkru,
                                     .cr3 = c->arch.cr3,
                                     .cr4 = c->arch.cr4,
                                     .efer = c->arch.efer & ~EFER_LMA};
}

static bool same_translations(const struct translated_under *a, const struct translated_under *b)
{
    return a->asid == b->asid && a->np_control == b->np_control && a->n_cr3 == b->n_cr3 &&
           a->sev == b->sev && a->cr0 == b->cr0 && a->pkru == b->pkru && a->cr3 == b->cr3 &&
           a->cr4 == b->cr4 && a->efer == b->efer;
}

static void control_copy(struct vmcb_control *to, const struct vmcb_control *from)
{
    memcpy(to, from, VMCB_CONTROL_USED);
}

static void load_control(struct cpu *c, const struct vmcb_control *k)
{
    control_copy(&c->guest.control, k);
    c->guest.nested_paging = k->np_control & NP_ENABLE;
    c->guest.sev = sev_enabled(c, k);
    c->guest.es = sev_es_enabled(c, k);
    c->guest.key = c->guest.sev ? (memory_key)k->asid : KEY_RAW;
    c->guest.tsc_offset = k->tsc_offset;
    c->arch.interrupt_shadow = k->interrupt_shadow & INTERRUPT_SHADOW;
    c->arch.cr8 = k->v_intr & 15;
    c->guest.pauses_left = k->pause_filter_count;
    c->guest.pause_ns = 0;
    c->guest.virtual_gif = k->v_intr & V_INTR_GIF_ENABLE && c->svm_features & SVM_VIRTUAL_GIF;
    c->guest.virtual_nmi = virtual_nmi_enabled(c, k);
    c->guest.virtual_vmload =
        k->lbr_control & VIRTUAL_VMLOAD && c->svm_features & SVM_VIRTUAL_VMLOAD;
    c->guest.control.fetched_count = 0;
    /* An event whose delivery an exit interrupted is the host's from then on: it may inject the
     * event again, or let the instruction raise it. */
    c->guest.exit_int_info = 0;
}

/* Loads the state that a VMSA has and a VMCB's save area has not. */
static void load_vmsa(struct cpu *c, struct world_switch *w)
{
    save_area_load_rest(c, &w->save);
    vmsa_load(c, &w->vmsa);
    features_enter(&w->vmsa, &w->inside);
    features_load_time(c, &w->vmsa, &w->inside);
    features_load_debug(c, &w->vmsa);
}

static void flush_outdated(struct cpu *c)
{
    struct translated_under now = translated_under(c);
    if (c->engine.retranslate || c->guest.control.tlb_control != TLB_FLUSH_NONE ||
        !same_translations(&now, &c->engine.translated))
        mmu_flush_all(c);
    c->engine.retranslate = false;
}

static void load_guest(struct cpu *c, struct world_switch *w)
{
    memcpy(&c->host, &c->arch, offsetof(struct arch, vector)); /* nobody exchanges the others */
    c->host.rflags = rflags_read(c);
    vmsa_identify(c, w->es ? &w->vmsa : NULL);
    control_copy(&w->inside, &w->vmcb.control);
    if (w->es)
        load_vmsa(c, w);
    load_control(c, &w->inside);
    save_area_load(c, &w->save);
    c->arch.gif = true;
    c->guest.running = true;
    device_begin(c);
    segment_update(c);
    flush_outdated(c);
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

static void save_vmsa(struct cpu *c, struct world_switch *w)
{
    save_area_store_rest(c, &w->save);
    memcpy(&w->vmsa, &w->save, VMSA_COMMON_SIZE);
    vmsa_save(c, &w->vmsa);
    features_save_debug(c, &w->vmsa);
    w->inside.tsc_offset = w->vmcb.control.tsc_offset;
    features_leave(c, &w->vmsa, &w->inside, &w->vmcb.control);
    features_mask(c, &w->vmsa);
    vmsa_close(c, &w->inside, &w->vmsa);
}

static void save_guest(struct cpu *c, struct world_switch *w)
{
    c->engine.translated = translated_under(c);
    save_area_store(c, &w->save);
    save_control(c, &w->inside);
    if (w->es)
        save_vmsa(c, w);
    else
        memcpy(&w->vmcb.save, &w->save, VMSA_COMMON_SIZE);
    control_copy(&w->vmcb.control, &w->inside);
    vmcb_write(c, c->guest.vmcb_spa, &w->vmcb, !w->es);
}

/* --- Load host -------------------------------------------------------------------------------- */

static void branches_copy(struct arch *to, const struct arch *from)
{
    to->debugctl = from->debugctl;
    to->br_from = from->br_from;
    to->br_to = from->br_to;
    to->last_exception_from = from->last_exception_from;
    to->last_exception_to = from->last_exception_to;
}

/* Loads the registers that VMRUN exchanges; the others keep what the guest left. */
static void load_host(struct cpu *c, const struct world_switch *w)
{
    const struct arch *h = &c->host;
    struct arch *a = &c->arch;
    if (w->es) {
        vmsa_forget(c);
        a->xcr0 = h->xcr0; /* class B [cpu 4.3] */
        a->xss = h->xss;
        a->pkru = h->pkru;
    }
    for (u32 i = SEG_ES; i <= SEG_DS; i++)
        a->seg[i] = h->seg[i];
    a->gdtr = h->gdtr;
    a->idtr = h->idtr;
    a->cpl = h->cpl;
    a->cr0 = h->cr0;
    a->cr3 = h->cr3;
    a->cr4 = h->cr4;
    a->cr8 = h->cr8;
    a->efer = h->efer;
    if (c->guest.nested_paging)
        a->pat = h->pat;
    if (w->inside.lbr_control & LBR_VIRTUALIZATION)
        branches_copy(a, h);
    a->dr7 = DR7_RESET;
    a->r[RAX] = h->r[RAX];
    a->r[RSP] = h->r[RSP];
    a->rip = h->rip;
    a->interrupt_shadow = a->gif = false;
    c->guest.running = c->guest.es = c->guest.snp = false;
    c->guest.virtual_gif = c->guest.virtual_nmi = false;
    rflags_write(c, h->rflags, ~0ull);
}

/* --- VMRUN ------------------------------------------------------------------------------------ */

static void trace_exit(struct cpu *c)
{
    if (trace_wants(c->trace, TRACE_SWITCH))
        trace_event(c->trace, TRACE_SWITCH, "VMEXIT",
                    "core=%u asid=%u vmcb=0x%" PRIx64 " code=0x%" PRIx64 " info1=0x%" PRIx64
                    " info2=0x%" PRIx64 " rip=0x%" PRIx64,
                    c->id, c->guest.control.asid, c->guest.vmcb_spa, c->guest.exit_code,
                    c->guest.exit_info_1, c->guest.exit_info_2, c->arch.rip);
}

bool vmrun_enter(struct cpu *c, struct world_switch *w)
{
    vmcb_read(c, c->guest.vmcb_spa, &w->vmcb);
    if (!check_controls(c, w)) {
        vmcb_write(c, c->guest.vmcb_spa, &w->vmcb, false);
        return false;
    }
    load_guest(c, w);
    return true;
}

void vmrun_leave(struct cpu *c, struct world_switch *w)
{
    trace_exit(c);
    save_guest(c, w);
    load_host(c, w);
}

bool cpu_vmrun(struct cpu *c, u64 vmcb_spa, u64 deadline_ns)
{
    struct world_switch w;
    if (!(c->arch.efer & EFER_SVME) || !c->msr.vm_hsave_pa || !vmcb_address_valid(c, vmcb_spa) ||
        !rmp_host_may_write(c->memory, vmcb_spa, PAGE_SIZE) ||
        !rmp_host_may_write(c->memory, c->msr.vm_hsave_pa, PAGE_SIZE))
        return false;
    c->guest.vmcb_spa = vmcb_spa;
    if (vmrun_enter(c, &w)) {
        run_until(c, deadline_ns);
        vmrun_leave(c, &w);
    }
    return true;
}
