/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SEV-ES [APM2 15.35; cpu 4.3-4.5, 6.1-6.2, 6.10]: a guest's registers are in its VMSA, which is
 * encrypted with the guest's key.
 */
#include "cpu/svm/vmsa_switch.h"
#include "cpu/exec/x87.h"
#include "memory/rmp.h"
#include "cpu/exec/sse.h"

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
    return NULL;
}

void vmsa_close(struct cpu *c, const struct vmcb_control *k, const struct vmsa *s)
{
    memory_write(c->memory, k->vmsa, (memory_key)k->asid, s, sizeof *s);
    if (!c->guest.snp)
        memory_vmsa_seal(c->memory, k->vmsa, (memory_key)k->asid);
}

/* --- x87 and SSE ------------------------------------------------------------------------------ */

/* The area holds what FXSAVE's image does [cpu 4.1]: a bit for each physical register that is in
 * use, and the registers in the order of the stack. */
static void load_x87(struct x87 *x, const struct vmsa *s)
{
    x87_status_put(x, s->x87_fsw);
    x->control = (s->x87_fcw & 0x1f3f) | 0x40;
    x87_update_pending(x);
    x->tag = 0;
    for (u32 i = 0; i < 8; i++) {
        if (!(s->x87_ftw & BIT(i)))
            x->tag |= (u16)(X87_EMPTY << (2 * i));
        memcpy(x87_st(x, i), &s->x87_mantissa[i], 8);
        memcpy(x87_st(x, i) + 8, &s->x87_exponent[i], 2);
    }
    x->opcode = s->x87_fop & 0x7ff;
    x->ip_selector = s->x87_cs;
    x->dp_selector = s->x87_ds;
    x->ip = s->x87_rip;
    x->dp = s->x87_dp;
}

static void save_x87(struct x87 *x, struct vmsa *s)
{
    s->x87_fsw = x87_status(x);
    s->x87_fcw = x->control;
    s->x87_ftw = 0;
    for (u32 i = 0; i < 8; i++) {
        if (((u32)x->tag >> (2 * i) & 3u) != X87_EMPTY)
            s->x87_ftw = (u16)(s->x87_ftw | BIT(i));
        memcpy(&s->x87_mantissa[i], x87_st(x, i), 8);
        memcpy(&s->x87_exponent[i], x87_st(x, i) + 8, 2);
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
    c->arch.r[RCX] = s->rcx;
    c->arch.r[RDX] = s->rdx;
    c->arch.r[RBX] = s->rbx;
    c->arch.r[RBP] = s->rbp;
    c->arch.r[RSI] = s->rsi;
    c->arch.r[RDI] = s->rdi;
    memcpy(&c->arch.r[8], s->r8_15, sizeof s->r8_15);
    c->arch.spec_ctrl = s->spec_ctrl;
    c->arch.tsc_aux = s->tsc_aux;
    c->arch.xcr0 = s->xcr0 & XCR0_DEFINED;
    c->arch.xss = s->xss & XSS_DEFINED;
    c->arch.pkru = s->pkru;
    c->arch.mxcsr = s->mxcsr & MXCSR_VALID;
    xmm_load(&c->arch, s->xmm, XMM_REGISTERS);
    for (u32 i = 0; i < XMM_REGISTERS; i++)
        memcpy(&c->arch.vector[i].lane[1], s->ymm_high[i], sizeof s->ymm_high[i]);
    load_x87(&c->arch.x87, s);
}

void vmsa_save(struct cpu *c, struct vmsa *s)
{
    s->rcx = c->arch.r[RCX];
    s->rdx = c->arch.r[RDX];
    s->rbx = c->arch.r[RBX];
    s->rbp = c->arch.r[RBP];
    s->rsi = c->arch.r[RSI];
    s->rdi = c->arch.r[RDI];
    memcpy(s->r8_15, &c->arch.r[8], sizeof s->r8_15);
    s->spec_ctrl = c->arch.spec_ctrl;
    s->tsc_aux = (u32)c->arch.tsc_aux;
    s->xcr0 = c->arch.xcr0;
    s->xss = c->arch.xss;
    s->pkru = c->arch.pkru;
    s->mxcsr = c->arch.mxcsr;
    xmm_store(&c->arch, s->xmm, XMM_REGISTERS);
    for (u32 i = 0; i < XMM_REGISTERS; i++)
        memcpy(s->ymm_high[i], &c->arch.vector[i].lane[1], sizeof s->ymm_high[i]);
    save_x87(&c->arch.x87, s);
    s->guest_exit_code = c->guest.exit_code;
    s->guest_exit_info_1 = c->guest.exit_info_1;
    s->guest_exit_info_2 = c->guest.exit_info_2;
    s->guest_exit_int_info = c->guest.exit_int_info;
    s->guest_next_rip = c->guest.next_rip;
}

/* DR0..DR3 stay: they are not switched without DebugVirt [cpu 6.7]. */
void vmsa_forget(struct cpu *c)
{
    memset(c->arch.r, 0, sizeof c->arch.r);
    memset(c->arch.vector, 0, sizeof c->arch.vector);
    memset(&c->arch.x87, 0, sizeof c->arch.x87);
    x87_reset(&c->arch.x87);
    c->arch.mxcsr = MXCSR_RESET;
    c->arch.xcr0 = XSTATE_X87;
    c->arch.xss = c->arch.pkru = 0;
    c->arch.rip = c->guest.next_rip = c->engine.insn_rip = c->engine.fault_linear = c->engine.rmw =
        0;
    c->arch.cr2 = 0;
    c->arch.dr6 = DR6_RESET;
    c->arch.pat = PAT_RESET;
    for (u32 i = 0; i < SEGS; i++)
        c->arch.seg[i] = (struct segment){0};
    c->arch.gdtr = c->arch.idtr = c->arch.ldtr = c->arch.tr = (struct segment){0};
    c->arch.star = c->arch.lstar = c->arch.cstar = c->arch.sfmask = c->arch.kernel_gs_base = 0;
    c->arch.sysenter_cs = c->arch.sysenter_esp = c->arch.sysenter_eip = 0;
    c->arch.tsc_aux = c->arch.spec_ctrl = 0;
    c->guest.control.ghcb_gpa = 0;
}
