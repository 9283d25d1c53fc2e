/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One processor of a VM: its VMCB and permission maps, the state to set up before VMRUN (registers
 * that VMRUN does not switch, an interrupt to inject), and the state to read back after #VMEXIT
 * [APM2 15.5, 15.20, 15.21]. The registers of a SEV-ES guest are only in its VMSA: the register
 * functions then use the values in its GHCB.
 */
#include <stdlib.h>

#include "hypervisor/internal.h"

#define IOPM_PAGES  3u
#define MSRPM_PAGES 2u

#define PAUSES_IN_VAIN 64u /* PAUSEs that a wait for another processor may take */

/* Intercepts everything that would leave the guest or that devices answer. RDTSC, WBINVD and moves
 * to CR and DR are not intercepted. */
#define INTERCEPTS_3                                                                               \
    (INTERCEPT3_INTR | INTERCEPT3_NMI | INTERCEPT3_SMI | INTERCEPT3_INIT | INTERCEPT3_CPUID |      \
     INTERCEPT3_RDPMC | INTERCEPT3_RSM | INTERCEPT3_INVD | INTERCEPT3_HLT | INTERCEPT3_INVLPGA |   \
     INTERCEPT3_IOIO | INTERCEPT3_MSR | INTERCEPT3_SHUTDOWN)
#define INTERCEPTS_4                                                                               \
    (INTERCEPT4_VMRUN | INTERCEPT4_VMMCALL | INTERCEPT4_VMLOAD | INTERCEPT4_VMSAVE |               \
     INTERCEPT4_STGI | INTERCEPT4_CLGI | INTERCEPT4_SKINIT | INTERCEPT4_MONITOR |                  \
     INTERCEPT4_MWAIT | INTERCEPT4_RDPRU)

/* A SEV-ES guest keeps its control registers; the hypervisor learns of a change afterwards [cpu
 * 4.6]. */
#define INTERCEPTS_4_ES                                                                            \
    (INTERCEPT4_EFER_WRITE | INTERCEPT4_CR_WRITE(0) | INTERCEPT4_CR_WRITE(4) |                     \
     INTERCEPT4_CR_WRITE(8))

/* The part of the VMCB that #VMEXIT writes is read back. It is written in two parts: the controls,
 * and the part of the save area that a handler may have changed. The rest of the save area belongs
 * to VMLOAD and VMSAVE. */
#define VMCB_READ_SIZE (offsetof(struct vmcb, save) + offsetof(struct vmcb_save, dbgctl))
#define CONTROL_SIZE   0xd0u
#define SAVE_FIRST     offsetof(struct vmcb_save, cpl)
#define SAVE_END       offsetof(struct vmcb_save, star)

/* Clears the two bits of an MSR, read and write. The map has three ranges of 8192 MSRs, 2 KiB each
 * [APM2 15.11]. */
static void msrpm_allow(u8 *map, u32 msr)
{
    u32 range = msr < 0x2000 ? 0 : msr >= 0xc0010000 ? 2 : 1;
    u32 bit = range * 0x4000 + (msr & 0x1fff) * 2;
    map[bit / 8] &= (u8) ~(3u << bit % 8);
}

/* Creates the permission maps: what every processor of a guest may access without an exit. */
static bool create_maps(struct vm *vm)
{
    u8 map[IOPM_PAGES * PAGE_SIZE];
    vm->iopm_spa = frames_take_pages(&vm->hv->frames, IOPM_PAGES);
    vm->msrpm_spa = frames_take_pages(&vm->hv->frames, MSRPM_PAGES);
    memset(map, 0xff, sizeof map);
    if (vm->iopm_spa == FRAME_NONE || vm->msrpm_spa == FRAME_NONE ||
        !host_write(vm->hv->host, vm->iopm_spa, map, sizeof map))
        return false;
    for (u32 i = 0; i < msr_passed_through_count; i++)
        msrpm_allow(map, msr_passed_through[i]);
    for (u32 i = 0; vm_is_es(vm) && i < msr_passed_through_es_count; i++)
        msrpm_allow(map, msr_passed_through_es[i]);
    /* Linux ends when a read of its TSC's frequency exits: only a malicious host would do that. */
    if (vm_sev_features(vm) & SEV_FEATURE_SECURE_TSC)
        msrpm_allow(map, MSR_GUEST_TSC_FREQ);
    if (vm_sev_features(vm) & SEV_FEATURE_VTOM)
        msrpm_allow(map, MSR_VIRTUAL_TOM);
    return host_write(vm->hv->host, vm->msrpm_spa, map, MSRPM_PAGES * PAGE_SIZE);
}

/* Sets up the VMCB for SEV-ES. An access to DR7 raises #VC in the guest: without DebugVirt it does
 * not have DR0 to DR3 to itself [cpu 4.6]. */
static bool vcpu_set_up_es(struct vcpu *c)
{
    struct vmcb_control *control = &c->vmcb.control;
    c->vmsa_spa = frames_take_pages(&c->vm->hv->frames, 1);
    control->intercept_4 |= (u32)INTERCEPTS_4_ES;
    if (!(vm_sev_features(c->vm) & SEV_FEATURE_DEBUG_VIRT))
        control->intercept_dr_read = control->intercept_dr_write = BIT(7);
    control->np_control |= NP_SEV_ES;
    control->lbr_control = LBR_VIRTUALIZATION;
    control->vmsa = c->vmsa_spa;
    control->ghcb_gpa = ghcb_msr_sev_info(GHCB_VERSION_MAX, GHCB_VERSION_MIN, C_BIT);
    memset(&c->vmcb.save, 0, sizeof c->vmcb.save);
    c->vmcb.save.dr7 = DR7_RESET;
    memset(c->gpr, 0, sizeof c->gpr);
    return c->vmsa_spa != FRAME_NONE;
}

static bool vcpu_create(struct vcpu *c)
{
    struct vm *vm = c->vm;
    c->vmcb_spa = frames_take_pages(&vm->hv->frames, 1);
    if (c->vmcb_spa == FRAME_NONE)
        return false;
    struct vmcb_control *control = &c->vmcb.control;
    control->intercept_3 = (u32)INTERCEPTS_3;
    control->intercept_4 = (u32)INTERCEPTS_4;
    control->iopm_base = vm->iopm_spa;
    control->msrpm_base = vm->msrpm_spa;
    control->asid = vm->asid;
    control->tlb_control = TLB_FLUSH_ASID;
    control->v_intr = (u32)V_INTR_MASKING;
    control->np_control = NP_ENABLE | (vm->config.plan->mode != IMAGE_NONE ? NP_SEV : 0);
    control->n_cr3 = vm->npt.root;
    c->vmcb.save = vm->config.plan->registers;
    memcpy(c->gpr, vm->config.plan->gpr, sizeof c->gpr);
    c->xcr0 = XSTATE_X87;
    store_le16(c->xsave, X87_CONTROL_RESET);
    store_le32(c->xsave + FXSAVE_MXCSR, MXCSR_RESET);
    store_le32(c->xsave + FXSAVE_MXCSR + 4, MXCSR_VALID);
    vcpu_msr_reset(c);
    if (vm_is_es(vm) && !vcpu_set_up_es(c))
        return false;
    if (c->index && !vm_is_es(vm))
        startup_power_on(c);
    return host_write(vm->hv->host, c->vmcb_spa, &c->vmcb, sizeof c->vmcb);
}

bool vcpus_create(struct vm *vm)
{
    if (!create_maps(vm))
        return false;
    for (u32 i = 0; i < vm->cpu_count; i++) {
        if (!vcpu_create(&vm->cpus[i]))
            return false;
    }
    return true;
}

static void give_pages(struct vm *vm, u64 spa, u32 pages)
{
    if (spa && spa != FRAME_NONE)
        frames_give_pages(&vm->hv->frames, spa, pages);
}

void vcpus_destroy(struct vm *vm)
{
    for (u32 i = 0; i < vm->cpu_count; i++) {
        struct vcpu *c = &vm->cpus[i];
        give_pages(vm, c->vmcb_spa, 1);
        give_pages(vm, c->vmsa_spa, 1);
        if (vm->hv->loaded[c->core] == c)
            vm->hv->loaded[c->core] = NULL;
    }
    give_pages(vm, vm->iopm_spa, IOPM_PAGES);
    give_pages(vm, vm->msrpm_spa, MSRPM_PAGES);
}

/* --- Registers -------------------------------------------------------------------------------- */

#define REG_RAX 0u
#define REG_RSP 4u

static u64 *vcpu_register(struct vcpu *c, u32 reg)
{
    if (vm_is_es(c->vm))
        return &c->gpr[reg & 15];
    if (reg == REG_RAX)
        return &c->vmcb.save.rax;
    if (reg == REG_RSP)
        return &c->vmcb.save.rsp;
    return &host_gpr(c->vm->hv->host, c->core)[reg & 15];
}

u64 vcpu_get(struct vcpu *c, u32 reg)
{
    return *vcpu_register(c, reg);
}

void vcpu_set(struct vcpu *c, u32 reg, u64 value)
{
    c->save_changed = true;
    *vcpu_register(c, reg) = value;
}

/* Moves RIP past an instruction, as the processor does after executing it: a single step traps.
 * Does nothing for a SEV-ES guest: the processor or the guest's handler has moved its RIP [cpu
 * 6.1]. */
void vcpu_advance(struct vcpu *c, u64 next_rip)
{
    struct vmcb_save *save = &c->vmcb.save;
    if (vm_is_es(c->vm))
        return;
    save->rip = next_rip;
    save->rflags &= ~RFLAGS_RF;
    c->vmcb.control.interrupt_shadow &= ~INTERRUPT_SHADOW;
    c->save_changed = true;
    if (save->rflags & RFLAGS_TF) {
        save->dr6 |= DR6_BS;
        vcpu_raise(c, VECTOR_DB, false, 0);
    }
}

void vcpu_raise(struct vcpu *c, enum vector vector, bool has_code, u32 code)
{
    c->exception = (u64)vector | (u64)EVENT_EXCEPTION << EVENT_TYPE_SHIFT | EVENT_VALID |
                   (has_code ? EVENT_ERROR_CODE | (u64)code << 32 : 0);
}

/* The components that a guest's XCR0 may enable, whatever it enables now. */
#define GUEST_STATE (XSTATE_X87 | XSTATE_SSE | XSTATE_AVX | XSTATE_PKRU)

bool vcpu_xcr0_is_right(u64 xcr0)
{
    return (xcr0 & XSTATE_X87) && !(xcr0 & ~(u64)GUEST_STATE) &&
           (!(xcr0 & XSTATE_AVX) || (xcr0 & XSTATE_SSE));
}

static void vcpu_unload(struct vcpu *c)
{
    struct host *h = c->vm->hv->host;
    u32 core = c->core;
    memcpy(c->gpr, host_gpr(h, core), sizeof c->gpr);
    memcpy(c->dr, host_dr(h, core), sizeof c->dr);
    c->xcr0 = *host_xcr0(h, core);
    host_xsave(h, core, GUEST_STATE, c->xsave, sizeof c->xsave);
    host_rdmsr(h, core, MSR_TSC_AUX, &c->tsc_aux);
    host_vmsave(h, core, c->vmcb_spa);
}

void vcpu_leave_core(struct vcpu *c)
{
    struct vcpu **loaded = &c->vm->hv->loaded[c->core];
    if (*loaded == c && !vm_is_es(c->vm))
        vcpu_unload(c);
    if (*loaded == c)
        *loaded = NULL;
}

/* Loads onto the core what VMRUN does not load, if another processor used the core last. It also
 * flushes the TLB between two processors of one guest: they share an ASID but may map an address
 * differently. */
static void vcpu_load(struct vcpu *c)
{
    struct host *h = c->vm->hv->host;
    u32 core = c->core;
    struct vcpu **loaded = &c->vm->hv->loaded[core];
    if (*loaded == c)
        return;
    if (*loaded && (*loaded)->vm == c->vm)
        c->vmcb.control.tlb_control = TLB_FLUSH_ASID;
    if (*loaded)
        vcpu_leave_core(*loaded);
    *loaded = c;
    if (vm_is_es(c->vm))
        return;
    memcpy(host_gpr(h, core), c->gpr, sizeof c->gpr);
    memcpy(host_dr(h, core), c->dr, sizeof c->dr);
    *host_xcr0(h, core) = c->xcr0;
    host_xrstor(h, core, GUEST_STATE, c->xsave, sizeof c->xsave);
    host_wrmsr(h, core, MSR_TSC_AUX, c->tsc_aux);
    host_vmload(h, core, c->vmcb_spa);
}

/* --- Interrupts ------------------------------------------------------------------------------- */

static bool interrupt_pending(const struct vcpu *c)
{
    return board_interrupt_pending(c->vm->board, c->index);
}

static bool nmi_pending(const struct vcpu *c)
{
    return c->nmi && !c->nmi_blocked;
}

bool vcpu_can_run(struct vcpu *c)
{
    if (c->init || c->startup || c->creation)
        startup_progress(c);
    if (c->waiting || c->hold)
        return false;
    if (c->halted &&
        (nmi_pending(c) || (interrupt_pending(c) && (c->vmcb.save.rflags & RFLAGS_IF))))
        c->halted = false;
    return !c->halted;
}

/* Returns true if only an NMI, INIT or STARTUP can wake the processor. These come from processors
 * that run. */
static bool sleeps_for_good(const struct vcpu *c)
{
    bool asleep = c->waiting || c->hold || (c->halted && !(c->vmcb.save.rflags & RFLAGS_IF));
    return asleep && !c->init && !c->startup && !c->creation && !nmi_pending(c);
}

void vcpu_check_alive(struct vcpu *c, const char *what)
{
    struct vm *vm = c->vm;
    for (u32 i = 0; i < vm->cpu_count; i++) {
        if (!sleeps_for_good(&vm->cpus[i]))
            return;
    }
    vm_end(vm, VM_CRASHED, "halted for good%s", what);
}

/* Returns true if an event must be injected whose delivery an exit interrupted. An event that an
 * instruction raised (INT n, INT3, INTO) repeats by itself: RIP still points to the instruction.
 * Injecting it would need nRIP, which such an exit does not give [APM2 15.7.1]. */
static bool must_repeat(u64 event)
{
    u64 type = event >> EVENT_TYPE_SHIFT & 7, vector = event & EVENT_VECTOR;
    bool by_instruction = type == EVENT_SOFTWARE ||
                          (type == EVENT_EXCEPTION && (vector == VECTOR_BP || vector == VECTOR_OF));
    return (event & EVENT_VALID) && !by_instruction;
}

/* Records the return of the NMI's handler: the IRET that exited has retired. */
static void nmi_progress(struct vcpu *c)
{
    if (!c->iret_seen || c->vmcb.save.rip == c->iret_rip)
        return;
    c->nmi_blocked = c->iret_seen = false;
}

static bool in_shadow(const struct vcpu *c)
{
    return c->vmcb.control.interrupt_shadow & INTERRUPT_SHADOW;
}

/* Returns true if an NMI must wait for one instruction: an interrupt shadow, or the IRET that ends
 * the previous NMI. */
static bool nmi_is_near(const struct vcpu *c)
{
    return c->nmi && (c->nmi_blocked ? c->iret_seen : in_shadow(c));
}

/* Returns true if an interrupt waits only for the core to finish the instruction that accessed a
 * device: it is often the answer to that access. */
static bool interrupt_is_near(const struct vcpu *c)
{
    return c->completing && (interrupt_pending(c) || nmi_pending(c));
}

/* Injects one event per VMRUN: first an event that an exit interrupted, then an exception by the
 * hypervisor, an NMI, an interrupt. If the guest does not take an interrupt now, a virtual
 * interrupt whose delivery is intercepted causes an exit as soon as it does [APM2 15.21.4]. */
static void vcpu_inject(struct vcpu *c)
{
    struct vmcb_control *control = &c->vmcb.control;
    bool open = (c->vmcb.save.rflags & RFLAGS_IF) && !in_shadow(c);
    nmi_progress(c);
    control->event_inject = 0;
    control->intercept_3 &= (u32)~INTERCEPT3_VINTR;
    control->v_intr &=
        (u32) ~(V_INTR_IRQ | V_INTR_IGNORE_TPR | 0xfu << V_INTR_PRIO_SHIFT | V_INTR_TPR);
    control->v_intr |= lapic_cr8(c->lapic);
    if (must_repeat(control->exit_int_info)) {
        control->event_inject = control->exit_int_info;
        open = false;
    } else if (c->completing) {
        return;
    } else if (c->exception) {
        control->event_inject = c->exception;
        c->exception = 0;
        open = false;
    } else if (nmi_pending(c) && !in_shadow(c)) {
        control->event_inject = VECTOR_NMI | EVENT_NMI << EVENT_TYPE_SHIFT | EVENT_VALID;
        control->intercept_3 |= vm_is_es(c->vm) ? 0 : (u32)INTERCEPT3_IRET;
        c->nmi = false;
        c->nmi_blocked = true;
        open = false;
    }
    if (!interrupt_pending(c))
        return;
    if (open) {
        control->event_inject = board_interrupt_acknowledge(c->vm->board, c->index) |
                                (u64)EVENT_INTR << EVENT_TYPE_SHIFT | EVENT_VALID;
    } else {
        control->v_intr |= (u32)(V_INTR_IRQ | V_INTR_IGNORE_TPR | 0xfu << V_INTR_PRIO_SHIFT);
        control->intercept_3 |= (u32)INTERCEPT3_VINTR;
    }
}

/* --- VMRUN ------------------------------------------------------------------------------------ */

/* Gives the turn of a spinning processor to one that could end its wait, if there is one. */
static void vcpu_watch_pause(struct vcpu *c)
{
    struct vmcb_control *control = &c->vmcb.control;
    bool others = false;
    for (u32 i = 0; i < c->vm->cpu_count; i++)
        others |= i != c->index && vcpu_can_run(&c->vm->cpus[i]);
    control->intercept_3 &= (u32)~INTERCEPT3_PAUSE;
    control->intercept_3 |= others ? (u32)INTERCEPT3_PAUSE : 0;
    control->pause_filter_count = PAUSES_IN_VAIN;
}

void vcpu_write_vmcb(struct vcpu *c)
{
    const u8 *save = (const u8 *)&c->vmcb.save;
    host_write(c->vm->hv->host, c->vmcb_spa, &c->vmcb.control, CONTROL_SIZE);
    if (c->save_changed && !vm_is_es(c->vm))
        host_write(c->vm->hv->host, c->vmcb_spa + offsetof(struct vmcb, save) + SAVE_FIRST,
                   save + SAVE_FIRST, SAVE_END - SAVE_FIRST);
    c->save_changed = false;
}

/* Reads the VMCB. The save area of a SEV-ES guest's VMCB has no meaning; the controls say whether
 * IF is set. */
static void vcpu_read_vmcb(struct vcpu *c)
{
    host_read(c->vm->hv->host, c->vmcb_spa, &c->vmcb,
              vm_is_es(c->vm) ? sizeof c->vmcb.control : VMCB_READ_SIZE);
    if (vm_is_es(c->vm))
        c->vmcb.save.rflags =
            c->vmcb.control.interrupt_shadow & INTERRUPT_SHADOW_MASK ? RFLAGS_IF : 0;
    c->vmcb.control.tlb_control = TLB_FLUSH_NONE;
}

static void vcpu_run_once(struct vcpu *c, u64 deadline_ns)
{
    struct host *h = c->vm->hv->host;
    vcpu_load(c);
    vcpu_inject(c);
    if (nmi_is_near(c) || interrupt_is_near(c))
        deadline_ns = min_u64(deadline_ns, host_time_ns(h) + 1);
    vcpu_watch_pause(c);
    vcpu_write_vmcb(c);
    u64 before = host_time_ns(h);
    if (!host_vmrun(h, c->core, c->vmcb_spa, deadline_ns)) {
        vm_end(c->vm, VM_CRASHED, "VMRUN raised #GP");
        return;
    }
    c->vm->guest_ns += host_time_ns(h) - before;
    vcpu_read_vmcb(c);
    lapic_set_cr8(c->lapic, (u8)(c->vmcb.control.v_intr & 0xf));
    vm_board_set_time(c->vm);
    c->completing = false;
    exits_handle(c);
    vm_board_set_time(c->vm);
}

/* Runs the processor. An instruction that accesses devices is finished before the processor's turn
 * ends: otherwise the device's answer would be lost. */
void vcpu_run(struct vcpu *c, u64 deadline_ns)
{
    vcpu_run_once(c, deadline_ns);
    while (c->completing && c->vm->state == VM_RUNNABLE)
        vcpu_run_once(c, max_u64(deadline_ns, host_time_ns(c->vm->hv->host) + 1));
}
