/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SVM and RMP instructions of a host [APM3; cpu 8.2, host 4.5, 5.3]. A guest whose host does
 * not intercept an SVM instruction executes it like the host, at system physical addresses; every
 * host intercepts VMRUN. Without a board they are unknown: the host is outside of the core.
 */
#include "cpu/bare/bare.h"
#include "cpu/svm/vmsa_switch.h"
#include "cpu/svm/world_switch.h"
#include "memory/rmp.h"

/* Raises #UD without EFER.SVME and in guests whose registers their host may not see, and #GP below
 * kernel privilege. */
static void check_host(struct cpu *c)
{
    if (!c->bare.wired || c->guest.es || !(c->arch.efer & EFER_SVME))
        cpu_raise_ud(c);
    if (c->arch.cpl != 0)
        cpu_raise_gp(c, 0);
}

/* --- Worlds ----------------------------------------------------------------------------------- */

static bool page_is_hosts(const struct cpu *c, u64 spa)
{
    return vmcb_address_valid(c, spa) && rmp_host_may_write(c->memory, spa, PAGE_SIZE);
}

void exec_vmrun(struct cpu *c, const struct insn *in)
{
    check_host(c);
    u64 spa = gpr_read(c, RAX, in->addrsize);
    if (!page_is_hosts(c, spa) || !c->msr.vm_hsave_pa || !page_is_hosts(c, c->msr.vm_hsave_pa))
        cpu_raise_gp(c, 0);
    c->bare.vmcb_spa = spa;
    c->arch.interrupt_shadow = false;
    c->bare.step = c->arch.rflags & RFLAGS_TF;
    cpu_leave_bare(c, BARE_VMRUN);
}

/* Returns the system address of the VMCB that RAX names. With virtual VMLOAD and VMSAVE, RAX holds
 * a guest physical address; this works in long mode and with nested tables, and the host does the
 * rest. So it does for a SEV guest, whose memory VMLOAD does not decrypt. */
static u64 vmcb_operand(struct cpu *c, const struct insn *in, u64 exit, bool write)
{
    struct access access = {.write = write};
    struct access_fault f;
    u64 address = gpr_read(c, RAX, in->addrsize), spa;
    if (!c->guest.running || !c->guest.virtual_vmload)
        return address;
    if (c->guest.sev || !c->guest.nested_paging || !(c->arch.efer & EFER_LMA))
        cpu_exit(c, exit, 0, 0);
    if (address & PAGE_MASK || address & ~PHYSICAL_MASK)
        cpu_raise_gp(c, 0);
    if (!mmu_translate_physical(c, address, write, &spa, &f))
        mmu_raise(c, &f, &access);
    return spa;
}

void exec_vmload(struct cpu *c, const struct insn *in)
{
    check_host(c);
    if (!cpu_vmload(c, vmcb_operand(c, in, EXIT_VMLOAD, false)))
        cpu_raise_gp(c, 0);
}

/* VMSAVE in a SEV-ES guest always exits, with or without the intercept [APM2 15.36.12]. */
void exec_vmsave(struct cpu *c, const struct insn *in)
{
    if (c->guest.es)
        cpu_exit(c, EXIT_VMSAVE, 0, 0);
    intercept(c, EXIT_VMSAVE);
    check_host(c);
    if (!cpu_vmsave(c, vmcb_operand(c, in, EXIT_VMSAVE, true)))
        cpu_raise_gp(c, 0);
}

/* A guest with virtual GIF has one of its own, in the VMCB. */
static void set_gif(struct cpu *c, bool on)
{
    u32 *v = &c->guest.control.v_intr;
    if (c->guest.running && c->guest.virtual_gif)
        *v = on ? *v | (u32)V_INTR_GIF : *v & ~(u32)V_INTR_GIF;
    else
        c->arch.gif = on;
}

void exec_stgi(struct cpu *c, const struct insn *in)
{
    (void)in;
    check_host(c);
    set_gif(c, true);
}

void exec_clgi(struct cpu *c, const struct insn *in)
{
    (void)in;
    check_host(c);
    set_gif(c, false);
}

/* ASID 0 is the host; the core keeps translations of one guest at a time. */
void exec_invlpga(struct cpu *c, const struct insn *in)
{
    check_host(c);
    if (c->guest.running)
        mmu_flush_all(c);
    else if ((u32)c->arch.r[RCX] == 0)
        mmu_flush_page(c, gpr_read(c, RAX, in->addrsize));
    else
        c->engine.retranslate = true;
}

/* --- The Reverse Map Table -------------------------------------------------------------------- */

static void check_rmp_host(struct cpu *c)
{
    if (!bare_host(c) || !(c->msr.syscfg & SYSCFG_SNP_EN))
        cpu_raise_ud(c);
    if (c->arch.cpl != 0)
        cpu_raise_gp(c, 0);
}

static void finish(struct cpu *c, u32 result)
{
    c->engine.left -= COST_RMPUPDATE_NS;
    c->engine.statistics.event_ns += COST_RMPUPDATE_NS;
    rmp_result_put(c, (enum rmp_result)result, false);
}

void exec_rmpupdate(struct cpu *c, const struct insn *in)
{
    struct rmp_update u;
    (void)in;
    check_rmp_host(c);
    load_bytes(c, linear_address(c, SEG_DS, c->arch.r[RCX], sizeof u, false), &u, sizeof u);
    finish(c, cpu_rmpupdate(c, c->arch.r[RAX], &u));
}

void exec_psmash(struct cpu *c, const struct insn *in)
{
    (void)in;
    check_rmp_host(c);
    finish(c, cpu_psmash(c, c->arch.r[RAX]));
}

void exec_rmpread(struct cpu *c, const struct insn *in)
{
    struct rmp_update u = {0};
    (void)in;
    check_rmp_host(c);
    u64 linear = linear_address(c, SEG_DS, c->arch.r[RCX], sizeof u, true);
    probe_write(c, linear, sizeof u);
    u32 result = cpu_rmpread(c, c->arch.r[RAX], &u);
    if (result == RMP_SUCCESS)
        store_bytes(c, linear, &u, sizeof u);
    finish(c, result);
}
