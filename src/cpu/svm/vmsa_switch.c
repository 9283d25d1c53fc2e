/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SEV-ES [APM2 15.35; cpu 4.3-4.5, 6.1-6.2, 6.10]: a guest's registers live in its VMSA, which only
 * its key reads. The host learns of an exit what the manual's automatic ones tell; everything else
 * that it intercepts becomes #VC inside the guest.
 */
#include "cpu/svm/vmsa_switch.h"
#include "cpu/exec/x87.h"
#include "memory/rmp.h"
#include "cpu/exec/sse.h"

#include <inttypes.h>

/* --- Which exits the host sees ---------------------------------------------------------------- */

bool exit_automatic(u64 code, u64 info_1)
{
    switch (code) {
    case EXIT_EXCEPTION + VECTOR_MC:
    case EXIT_INTR:
    case EXIT_NMI:
    case EXIT_SMI:
    case EXIT_INIT:
    case EXIT_VINTR:
    case EXIT_PAUSE:
    case EXIT_HLT:
    case EXIT_SHUTDOWN:
    case EXIT_EFER_WRITE_TRAP:
    case EXIT_BUSLOCK:
    case EXIT_IDLE_HLT:
    case EXIT_VMGEXIT:
        return true;
    case EXIT_NPF:
        return !(info_1 & NPF_RSV);
    default:
        return code >= EXIT_CR_WRITE_TRAP && code < EXIT_CR_WRITE_TRAP + 16;
    }
}

bool exit_completes(u64 code)
{
    switch (code) {
    case EXIT_PAUSE:
    case EXIT_HLT:
    case EXIT_EFER_WRITE_TRAP:
    case EXIT_IDLE_HLT:
    case EXIT_VMGEXIT:
        return true;
    default:
        return code >= EXIT_CR_WRITE_TRAP && code < EXIT_CR_WRITE_TRAP + 16;
    }
}

void vmsa_raise_vc(struct cpu *c, u64 code)
{
    if (trace_wants(c->trace, TRACE_SWITCH))
        trace_event(c->trace, TRACE_SWITCH, "VC",
                    "core=%u asid=%u code=0x%" PRIx64 " rip=0x%" PRIx64, c->id, c->control.asid,
                    code, c->insn_rip);
    u64 cause = code == EXIT_PAGE_NOT_VALIDATED ? CPU_VC_NOT_VALIDATED
                : code < CPU_VC_NOT_VALIDATED   ? code
                                                : CPU_VC_MMIO;
    c->statistics.vc[cause]++;
    cpu_raise(c, VECTOR_VC, (u32)code);
}

/* --- The page --------------------------------------------------------------------------------- */

const char *vmsa_open(struct cpu *c, const struct vmcb_control *k, struct vmsa *s)
{
    memory_key key = (memory_key)k->asid;
    if (k->vmsa & PAGE_MASK || !range_fits(k->vmsa, PAGE_SIZE, memory_size(c->memory)))
        return "VMSA address: not a page of memory";
    memory_read(c->memory, k->vmsa, key, s, sizeof *s);
    bool snp = s->sev_features & SEV_FEATURE_SNP;
    if (!snp && !rmp_host_may_write(c->memory, k->vmsa, PAGE_SIZE))
        return "VMSA page: not the hypervisor's, and SEV_FEATURES without SNP";
    if (!snp && !memory_vmsa_intact(c->memory, k->vmsa, key))
        return "VMSA integrity: never launched, or changed since the last exit";
    return features_refusal(c, k, s);
}

void vmsa_close(struct cpu *c, const struct vmcb_control *k, const struct vmsa *s)
{
    memory_write(c->memory, k->vmsa, (memory_key)k->asid, s, sizeof *s);
    if (!c->snp)
        memory_vmsa_seal(c->memory, k->vmsa, (memory_key)k->asid);
}

/* --- x87 and SSE ------------------------------------------------------------------------------ */

static void load_x87(struct x87 *x, const struct vmsa *s)
{
    x87_status_put(x, s->x87_fsw);
    x->control = (s->x87_fcw & 0x1f3f) | 0x40;
    x87_update_pending(x);
    x->tag = 0;
    for (u32 i = 0; i < 8; i++) {
        if ((s->x87_ftw >> (2 * i) & 3u) == X87_EMPTY)
            x->tag |= (u16)(X87_EMPTY << (2 * i));
        memcpy(&x->st[i], &s->x87_mantissa[i], 8);
        memcpy((u8 *)&x->st[i] + 8, &s->x87_exponent[i], 2);
    }
    x->opcode = s->x87_fop & 0x7ff;
    x->ip_selector = s->x87_cs;
    x->dp_selector = s->x87_ds;
    x->ip = s->x87_rip;
    x->dp = s->x87_dp;
}

static void save_x87(const struct x87 *x, struct vmsa *s)
{
    s->x87_fsw = x87_status(x);
    s->x87_fcw = x->control;
    s->x87_ftw = x87_tags(x);
    for (u32 i = 0; i < 8; i++) {
        memcpy(&s->x87_mantissa[i], &x->st[i], 8);
        memcpy(&s->x87_exponent[i], (const u8 *)&x->st[i] + 8, 2);
    }
    s->x87_fop = x->opcode;
    s->x87_cs = x->ip_selector;
    s->x87_ds = x->dp_selector;
    s->x87_rip = x->ip;
    s->x87_dp = x->dp;
}

/* --- Everything that the VMCB's save area has no place for ------------------------------------ */

void vmsa_load(struct cpu *c, const struct vmsa *s)
{
    c->r[RCX] = s->rcx;
    c->r[RDX] = s->rdx;
    c->r[RBX] = s->rbx;
    c->r[RBP] = s->rbp;
    c->r[RSI] = s->rsi;
    c->r[RDI] = s->rdi;
    memcpy(&c->r[8], s->r8_15, sizeof s->r8_15);
    c->spec_ctrl = s->spec_ctrl;
    c->tsc_aux = s->tsc_aux;
    c->xcr0 = s->xcr0;
    c->mxcsr = s->mxcsr & MXCSR_VALID;
    memcpy(c->xmm, s->xmm, sizeof s->xmm);
    load_x87(&c->x87, s);
}

void vmsa_save(struct cpu *c, struct vmsa *s)
{
    s->rcx = c->r[RCX];
    s->rdx = c->r[RDX];
    s->rbx = c->r[RBX];
    s->rbp = c->r[RBP];
    s->rsi = c->r[RSI];
    s->rdi = c->r[RDI];
    memcpy(s->r8_15, &c->r[8], sizeof s->r8_15);
    s->spec_ctrl = c->spec_ctrl;
    s->tsc_aux = (u32)c->tsc_aux;
    s->xcr0 = c->xcr0;
    s->mxcsr = c->mxcsr;
    memcpy(s->xmm, c->xmm, sizeof s->xmm);
    save_x87(&c->x87, s);
    s->guest_exit_code = c->exit_code;
    s->guest_exit_info_1 = c->exit_info_1;
    s->guest_exit_info_2 = c->exit_info_2;
    s->guest_exit_int_info = c->exit_int_info;
    s->guest_next_rip = c->next_rip;
}

/* DR0..DR3 stay: without DebugVirt nobody switches them [cpu 6.7]. CR0, CR3, CR4 and EFER stay too,
 * where no host can read them: VMRUN compares them to see whether the TLB still holds. */
void vmsa_forget(struct cpu *c)
{
    memset(c->r, 0, sizeof c->r);
    memset(c->xmm, 0, sizeof c->xmm);
    memset(&c->x87, 0, sizeof c->x87);
    x87_reset(&c->x87);
    c->mxcsr = MXCSR_RESET;
    c->xcr0 = 1;
    c->rip = c->next_rip = c->insn_rip = c->fault_linear = c->rmw = 0;
    c->cr2 = 0;
    c->dr6 = 0xffff0ff0;
    c->pat = 0x0007040600070406ull;
    for (u32 i = 0; i < SEGS; i++)
        c->seg[i] = (struct segment){0};
    c->gdtr = c->idtr = c->ldtr = c->tr = (struct segment){0};
    c->star = c->lstar = c->cstar = c->sfmask = c->kernel_gs_base = 0;
    c->sysenter_cs = c->sysenter_esp = c->sysenter_eip = 0;
    c->tsc_aux = c->spec_ctrl = 0;
    c->control.ghcb_gpa = 0;
}
