/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start of the processors other than the first [APM2 16.5; cpu 7.8]. In a plain or SEV guest, INIT
 * resets a processor and makes it wait; the next STARTUP starts it in real mode at vector << 12.
 * The hypervisor cannot reset the registers of a SEV-ES guest: its processors hold themselves by
 * VMGEXIT, and STARTUP answers that request. A processor of an SNP guest starts with registers that
 * the guest made itself: AP creation [cpu 7.5].
 */
#include "hypervisor/internal.h"

#define SEGMENT_CODE16 0x9bu /* P, code, readable, accessed */
#define SEGMENT_DATA16 0x93u
#define SEGMENT_LDT    0x82u
#define SEGMENT_TSS16  0x83u

#define HOLD_MSR 1u /* the MSR protocol was used; any other value is the GHCB's address */

/* INIT and STARTUP are only recorded here: the processor may be the one whose exit is being
 * handled. */
void startup_init(struct vcpu *c)
{
    c->init = true;
    c->startup = 0;
}

void startup_vector(struct vcpu *c, u8 vector)
{
    if ((c->init || c->waiting || c->hold) && !c->startup)
        c->startup = 0x100u | vector;
}

/* Resets the registers [APM2 14.1.3]. INIT does not change CR0's cache bits, x87 and SSE state,
 * MTRRs and PAT. */
static void reset_registers(struct vcpu *c)
{
    const struct vmcb_segment data = {0, SEGMENT_DATA16, 0xffff, 0}, table = {.limit = 0xffff};
    struct vmcb_save *s = &c->vmcb.save;
    u64 pat = s->g_pat, cache = s->cr0 & (CR0_CD | CR0_NW);
    u32 signature[4];
    memset(s, 0, sizeof *s);
    memset(c->gpr, 0, sizeof c->gpr);
    memset(c->dr, 0, sizeof c->dr);
    s->es = s->ss = s->ds = s->fs = s->gs = data;
    s->gdtr = s->idtr = s->ldtr = s->tr = table;
    s->ldtr.attributes = SEGMENT_LDT;
    s->tr.attributes = SEGMENT_TSS16;
    s->efer = EFER_SVME;
    s->cr0 = CR0_ET | cache;
    s->dr6 = DR6_RESET;
    s->dr7 = DR7_RESET;
    s->rflags = RFLAGS_ONE;
    s->g_pat = pat;
    cpuid_answer(c, 1, 0, signature);
    c->gpr[2] = signature[0];
}

void startup_power_on(struct vcpu *c)
{
    c->vmcb.save.cr0 = CR0_CD | CR0_NW;
    reset_registers(c);
    c->waiting = true;
}

static void reset(struct vcpu *c)
{
    vcpu_leave_core(c);
    reset_registers(c);
    c->vmcb.control.interrupt_shadow = 0;
    c->vmcb.control.exit_int_info = 0;
    c->vmcb.control.tlb_control = TLB_FLUSH_ASID;
    c->exception = 0;
    c->nmi = c->nmi_blocked = c->iret_seen = c->halted = false;
    c->vmcb.control.intercept_3 &= (u32)~INTERCEPT3_IRET;
    c->waiting = true;
}

/* Starts a processor. A SEV-ES guest's processor starts where its launched registers say. */
static void begin(struct vcpu *c)
{
    u32 vector = c->startup & 0xff;
    c->waiting = c->nmi = false;
    if (!vm_is_es(c->vm)) {
        c->vmcb.save.cs =
            (struct vmcb_segment){(u16)(vector << 8), SEGMENT_CODE16, 0xffff, (u64)vector << 12};
        c->vmcb.save.rip = 0;
        host_write(c->vm->hv->host, c->vmcb_spa, &c->vmcb, sizeof c->vmcb);
        c->save_changed = false;
    }
    trace_event(host_trace(c->vm->hv->host), TRACE_VM, "STARTUP", "vm=%s cpu=%u vector=%#x",
                c->vm->config.name, c->index, vector);
}

/* Carries out INIT. The first processor cannot restart: there is no firmware at the reset
 * vector. */
static void init(struct vcpu *c)
{
    lapic_init_signal(c->lapic);
    c->init = false;
    if (vm_is_es(c->vm))
        return;
    if (!c->index)
        vm_end(c->vm, VM_RESET, "the guest sent INIT to its first processor");
    else
        reset(c);
}

/* --- Reset hold of SEV-ES guests [cpu 7.1, 7.4] ----------------------------------------------- */

void startup_hold(struct vcpu *c, u64 ghcb_gpa)
{
    c->hold = ghcb_gpa ? ghcb_gpa : HOLD_MSR;
    vcpu_check_alive(c, ": every processor waits for another to start it");
}

/* Answers the hold after STARTUP: a nonzero value in the MSR or in SW_EXITINFO2. */
static void release(struct vcpu *c)
{
    u8 released[8] = {1};
    if (c->hold == HOLD_MSR)
        c->vmcb.control.ghcb_gpa = BIT(12) | GHCB_MSR_RESET_HOLD;
    else
        vm_write(c->vm, c->hold + offsetof(struct ghcb, exit_info_2), released, sizeof released);
    c->hold = 0;
    trace_event(host_trace(c->vm->hv->host), TRACE_VM, "RELEASED", "vm=%s cpu=%u",
                c->vm->config.name, c->index);
}

/* --- AP creation of SNP guests [cpu 7.5] ------------------------------------------------------ */

enum startup_creation { CREATION_DONE, CREATION_NOW, CREATION_AT_INIT, CREATION_UNDONE };

_Static_assert(CREATION_UNDONE + 1 == STARTUP_CREATIONS, "an archive checks the number");

/* Returns the VMSA's address if the RMP has the page as a VMSA of this guest, as VMRUN checks too.
 * Addresses at a 2 MiB boundary are refused, as guests expect: processors had an erratum there. */
static u64 created_vmsa(const struct vm *vm, u64 gpa, u64 features)
{
    u64 left, spa = vm_spa(vm, gpa, &left);
    const struct image_plan *plan = vm->config.plan;
    bool good = !(gpa & PAGE_MASK) && gpa % CHUNK_SIZE && spa != FRAME_NONE &&
                !vm_is_shared(vm, gpa) && plan->vmsa_count && features == vm_sev_features(vm);
    return good ? spa : 0;
}

enum ghcb_error startup_create(struct vm *vm, u64 info, u64 gpa, u64 features)
{
    u32 operation = GHCB_AP_OPERATION(info), id = GHCB_AP_APIC_ID(info);
    if (operation > GHCB_AP_DESTROY || GHCB_AP_VMPL(info) || id >= vm->cpu_count)
        return GHCB_ERROR_INPUT;
    struct vcpu *c = &vm->cpus[id];
    u64 spa = operation == GHCB_AP_DESTROY ? 0 : created_vmsa(vm, gpa, features);
    if (operation != GHCB_AP_DESTROY && !spa)
        return GHCB_ERROR_INPUT;
    c->created = spa;
    c->creation = operation == GHCB_AP_DESTROY  ? CREATION_UNDONE
                  : operation == GHCB_AP_CREATE ? CREATION_NOW
                                                : CREATION_AT_INIT;
    trace_event(host_trace(vm->hv->host), TRACE_VM, "AP_CREATION",
                "vm=%s cpu=%u when=%s gpa=%#llx vmsa=%#llx", vm->config.name, id,
                operation == GHCB_AP_DESTROY  ? "destroyed"
                : operation == GHCB_AP_CREATE ? "now"
                                              : "INIT",
                (unsigned long long)gpa, (unsigned long long)spa);
    return 0;
}

/* Replaces the VMSA; the processor then has other registers and counts as another processor. Its
 * GHCB stays registered, as in KVM: guest firmware starts processors a second time and relies on
 * that. */
static void exchange_vmsa(struct vcpu *c)
{
    struct vmcb_control *control = &c->vmcb.control;
    control->vmsa = c->created;
    host_write(c->vm->hv->host, c->vmcb_spa + offsetof(struct vmcb_control, vmsa), &control->vmsa,
               sizeof control->vmsa);
    control->tlb_control = TLB_FLUSH_ASID;
    control->interrupt_shadow = control->exit_int_info = 0;
    c->exception = c->hold = 0;
    c->nmi = c->nmi_blocked = c->halted = false;
    memset(&c->vmcb.save, 0, sizeof c->vmcb.save);
    c->vmcb.save.dr7 = DR7_RESET;
    c->waiting = c->creation != CREATION_NOW;
    c->creation = CREATION_DONE;
    vcpu_check_alive(c, ": every processor was destroyed, or waits for another to start it");
}

/* Returns true if the processor has registers that were launched or that the guest made: no others
 * can run. */
static bool has_registers(const struct vcpu *c)
{
    return !vm_is_snp(c->vm) || c->created ||
           (c->index < c->vm->config.plan->vmsa_count && c->vmcb.control.vmsa);
}

void startup_progress(struct vcpu *c)
{
    if (c->creation == CREATION_NOW || c->creation == CREATION_UNDONE ||
        (c->creation == CREATION_AT_INIT && c->init))
        exchange_vmsa(c);
    if (c->init)
        init(c);
    if (!c->startup)
        return;
    if (c->hold)
        release(c);
    else if (c->waiting && has_registers(c))
        begin(c);
    c->startup = 0;
}
