/* SPDX-License-Identifier: Apache-2.0 */
/* SYSCALL, SYSRET, SYSENTER, SYSEXIT by AMD's rules [APM2 6.1; APM3], SWAPGS, and the instructions
 * on segment bases. */
#include "cpu/system/segment.h"

/* The flat segments that these instructions create without reading a descriptor. */
#define FLAT_CODE (SEG_P | SEG_S | SEG_CODE | SEG_RW | SEG_A | SEG_G)
#define FLAT_DATA (SEG_P | SEG_S | SEG_RW | SEG_A | SEG_G | SEG_DB)

static struct segment flat(u64 selector, u64 attributes, u32 dpl)
{
    return (struct segment){.selector = (u16)selector,
                            .attributes = (u16)(attributes | dpl << SEG_DPL_SHIFT),
                            .limit = 0xffffffffu};
}

static void enter(struct cpu *c, u64 selector, u64 code_attributes, u64 rip)
{
    c->arch.seg[SEG_CS] = flat(selector & ~3ull, FLAT_CODE | code_attributes, 0);
    c->arch.seg[SEG_SS] = flat((selector & ~3ull) + 8, FLAT_DATA, 0);
    c->arch.cpl = 0;
    c->arch.rip = rip;
    cpu_update_mode(c);
}

void exec_syscall(struct cpu *c, const struct insn *in)
{
    (void)in;
    if (!(c->arch.efer & EFER_SCE) || !(c->engine.mode & MODE_PE))
        cpu_raise_ud(c);
    u64 selector = BITS(c->arch.star, 47, 32);
    u64 rflags = rflags_read(c) & ~RFLAGS_RF;
    if (!long_mode(c)) {
        c->arch.r[RCX] = (u32)c->arch.rip;
        rflags_write(c, 0, RFLAGS_IF | RFLAGS_VM | RFLAGS_RF);
        enter(c, selector, SEG_DB, (u32)c->arch.star);
        c->engine.no_step_trap = !(c->arch.rflags & RFLAGS_TF);
        return;
    }
    c->arch.r[RCX] = c->arch.rip;
    c->arch.r[11] = rflags;
    rflags_write(c, 0, c->arch.sfmask | RFLAGS_RF);
    enter(c, selector, SEG_L, c->engine.mode & MODE_CODE64 ? c->arch.lstar : c->arch.cstar);
    c->engine.no_step_trap = !(c->arch.rflags & RFLAGS_TF);
}

/* SS gets a new selector only; its attributes stay, as AMD's manual says. */
void exec_sysret(struct cpu *c, const struct insn *in)
{
    if (!(c->arch.efer & EFER_SCE) || !(c->engine.mode & MODE_PE))
        cpu_raise_ud(c);
    u64 selector = BITS(c->arch.star, 63, 48);
    bool to64 = in->opsize == 8;
    if (to64)
        c->arch.seg[SEG_CS] = flat((selector + 16) | 3, FLAT_CODE | SEG_L, 3);
    else
        c->arch.seg[SEG_CS] = flat(selector | 3, FLAT_CODE | SEG_DB, 3);
    c->arch.seg[SEG_SS].selector = (u16)((selector + 8) | 3);
    c->arch.cpl = 3;
    c->arch.rip = to64 ? c->arch.r[RCX] : (u32)c->arch.r[RCX];
    if (c->engine.mode & MODE_CODE64)
        rflags_write(c, c->arch.r[11],
                     RFLAGS_ARITHMETIC | RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL |
                         RFLAGS_NT | RFLAGS_AC | RFLAGS_VIF | RFLAGS_VIP | RFLAGS_ID);
    else
        rflags_write(c, RFLAGS_IF, RFLAGS_IF);
    cpu_update_mode(c);
    /* The TF that counts is the one at the end of SYSCALL and SYSRET, not the one before. */
    if (c->arch.rflags & RFLAGS_TF)
        event_debug_trap(c, DR6_BS);
}

void exec_sysenter(struct cpu *c, const struct insn *in)
{
    (void)in;
    if (long_mode(c))
        cpu_raise_ud(c);
    if (!(c->engine.mode & MODE_PE) || selector_null((u16)c->arch.sysenter_cs))
        cpu_raise_gp(c, 0);
    rflags_write(c, 0, RFLAGS_IF | RFLAGS_VM | RFLAGS_RF);
    c->arch.r[RSP] = (u32)c->arch.sysenter_esp;
    enter(c, c->arch.sysenter_cs, SEG_DB, (u32)c->arch.sysenter_eip);
}

void exec_sysexit(struct cpu *c, const struct insn *in)
{
    (void)in;
    if (long_mode(c))
        cpu_raise_ud(c);
    if (!(c->engine.mode & MODE_PE) || selector_null((u16)c->arch.sysenter_cs))
        cpu_raise_gp(c, 0);
    c->arch.seg[SEG_CS] = flat((c->arch.sysenter_cs + 16) | 3, FLAT_CODE | SEG_DB, 3);
    c->arch.seg[SEG_SS] = flat((c->arch.sysenter_cs + 24) | 3, FLAT_DATA, 3);
    c->arch.cpl = 3;
    c->arch.rip = (u32)c->arch.r[RDX];
    c->arch.r[RSP] = (u32)c->arch.r[RCX];
    cpu_update_mode(c);
}

void exec_swapgs(struct cpu *c, const struct insn *in)
{
    (void)in;
    u64 base = c->arch.seg[SEG_GS].base;
    c->arch.seg[SEG_GS].base = c->arch.kernel_gs_base;
    c->arch.kernel_gs_base = base;
}

/* --- RDFSBASE and its relatives --------------------------------------------------------------- */

static void base_read(struct cpu *c, const struct insn *in, enum segment_index seg)
{
    if (!(c->arch.cr4 & CR4_FSGSBASE))
        cpu_raise_ud(c);
    operand_write(c, in, 0, c->arch.seg[seg].base);
}

static void base_write(struct cpu *c, const struct insn *in, enum segment_index seg)
{
    if (!(c->arch.cr4 & CR4_FSGSBASE))
        cpu_raise_ud(c);
    u64 base = operand_read(c, in, 0);
    if (!canonical(base))
        cpu_raise_gp(c, 0);
    c->arch.seg[seg].base = base;
}

void exec_rdfsbase(struct cpu *c, const struct insn *in)
{
    base_read(c, in, SEG_FS);
}

void exec_rdgsbase(struct cpu *c, const struct insn *in)
{
    base_read(c, in, SEG_GS);
}

void exec_wrfsbase(struct cpu *c, const struct insn *in)
{
    base_write(c, in, SEG_FS);
}

void exec_wrgsbase(struct cpu *c, const struct insn *in)
{
    base_write(c, in, SEG_GS);
}
