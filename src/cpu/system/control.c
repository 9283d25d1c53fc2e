/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flags and interrupts, control and debug registers with the mode switches that they cause. A
 * system instruction with an intercept checks #UD and #GP first, then the intercept, then the
 * exceptions of memory accesses. PUSHF, POPF, IRET and RSM check the intercept before everything
 * else [APM2 15.7, 15.9].
 */
#include "cpu/system/segment.h"

/* --- Flags ------------------------------------------------------------------------------------ */

static void check_v86_iopl(struct cpu *c)
{
    if (c->engine.mode & MODE_V86 && (c->arch.rflags & RFLAGS_IOPL) != RFLAGS_IOPL)
        cpu_raise_gp(c, 0);
}

static bool may_change_if(const struct cpu *c)
{
    return !(c->engine.mode & MODE_PE) || c->arch.cpl <= BITS(c->arch.rflags, 13, 12);
}

void exec_pushf(struct cpu *c, const struct insn *in)
{
    check_v86_iopl(c);
    stack_push(c, rflags_read(c) & ~(RFLAGS_RF | RFLAGS_VM), in->opsize);
}

void exec_popf(struct cpu *c, const struct insn *in)
{
    check_v86_iopl(c);
    u64 value = stack_peek(c, 0, in->opsize);
    u64 mask = RFLAGS_ARITHMETIC | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC | RFLAGS_ID;
    if (c->arch.cpl == 0)
        mask |= RFLAGS_IOPL;
    if (may_change_if(c))
        mask |= RFLAGS_IF;
    stack_adjust(c, in->opsize);
    rflags_write(c, value, in->opsize == 2 ? mask & 0xffff : mask);
}

void exec_cli(struct cpu *c, const struct insn *in)
{
    (void)in;
    if (!may_change_if(c))
        cpu_raise_gp(c, 0);
    rflags_write(c, 0, RFLAGS_IF);
}

void exec_sti(struct cpu *c, const struct insn *in)
{
    (void)in;
    if (!may_change_if(c))
        cpu_raise_gp(c, 0);
    if (!(c->arch.rflags & RFLAGS_IF))
        c->arch.interrupt_shadow = true;
    rflags_write(c, RFLAGS_IF, RFLAGS_IF);
}

static void set_ac(struct cpu *c, bool on)
{
    if (c->arch.cpl)
        cpu_raise_ud(c);
    rflags_write(c, on ? RFLAGS_AC : 0, RFLAGS_AC);
}

void exec_clac(struct cpu *c, const struct insn *in)
{
    (void)in;
    set_ac(c, false);
}

void exec_stac(struct cpu *c, const struct insn *in)
{
    (void)in;
    set_ac(c, true);
}

/* --- The mode word ---------------------------------------------------------------------------- */

bool avx_enabled(const struct cpu *c)
{
    const u64 needed = XSTATE_SSE | XSTATE_AVX;
    return c->arch.cr4 & CR4_OSXSAVE && (c->arch.xcr0 & needed) == needed;
}

static bool flat_segment(const struct segment *s, u64 wanted)
{
    return s->base == 0 && s->limit == 0xffffffffu && (s->attributes & wanted) == wanted;
}

static bool flat_segments(const struct cpu *c)
{
    u64 data = SEG_P | SEG_S | SEG_RW;
    return flat_segment(&c->arch.seg[SEG_CS], data | SEG_CODE) &&
           flat_segment(&c->arch.seg[SEG_SS], data) && flat_segment(&c->arch.seg[SEG_DS], data) &&
           flat_segment(&c->arch.seg[SEG_ES], data) &&
           !((c->arch.seg[SEG_SS].attributes | c->arch.seg[SEG_DS].attributes |
              c->arch.seg[SEG_ES].attributes) &
             (SEG_CODE | SEG_DOWN));
}

/* Returns the TLB array of the current privilege. */
static u32 tlb_index(const struct cpu *c)
{
    bool ac = c->arch.rflags & RFLAGS_AC;
    if (c->arch.cpl == 3)
        return ac && c->arch.cr0 & CR0_AM ? (u32)TLB_NEVER_FILLED : TLB_USER;
    return ac && c->arch.cr4 & CR4_SMAP ? TLB_KERNEL_AC : TLB_KERNEL;
}

void cpu_update_mode(struct cpu *c)
{
    u64 mode = 0;
    u16 code = c->arch.seg[SEG_CS].attributes;
    if (c->arch.cr0 & CR0_PE)
        mode |= MODE_PE;
    if (mode && c->arch.rflags & RFLAGS_VM && !(c->arch.efer & EFER_LMA))
        mode |= MODE_V86;
    if (c->arch.efer & EFER_LMA)
        mode |= MODE_LMA;
    if (mode & MODE_LMA && code & SEG_L) {
        mode |= MODE_CODE64;
    } else {
        mode |= code & SEG_DB ? MODE_CODE32 : 0;
        mode |= c->arch.seg[SEG_SS].attributes & SEG_DB ? MODE_STACK32 : 0;
        mode |= (mode & (MODE_PE | MODE_V86)) == MODE_PE && flat_segments(c) ? MODE_FLAT : 0;
    }
    u32 tlb = tlb_index(c);
    if (tlb == TLB_USER)
        mode |= MODE_USER;
    if (tlb == TLB_NEVER_FILLED)
        mode |= MODE_CHECKED;
    if (!(c->arch.cr0 & (CR0_EM | CR0_TS)) && c->arch.cr4 & CR4_OSFXSR)
        mode |= MODE_SSE;
    if (avx_enabled(c) && !(c->arch.cr0 & CR0_TS))
        mode |= MODE_AVX;
    c->engine.mode = (u32)mode;
    stack_page_forget(c);
    c->engine.tlb = mmu_array(c, tlb);
}

/* --- Control registers ------------------------------------------------------------------------ */

static void check_cr0(struct cpu *c, u64 value)
{
    if (!(value & CR0_PG) && c->arch.cr4 & CR4_PCIDE)
        cpu_raise_gp(c, 0);
    bool switches = (value ^ c->arch.cr0) & CR0_PG && c->arch.efer & EFER_LME;
    bool code_l = c->arch.seg[SEG_CS].attributes & SEG_L;
    if (value >> 32 || (value & CR0_PG && !(value & CR0_PE)) ||
        (value & CR0_NW && !(value & CR0_CD)) || (switches && code_l) ||
        (switches && value & CR0_PG && !(c->arch.cr4 & CR4_PAE)))
        cpu_raise_gp(c, 0);
}

static void write_cr0(struct cpu *c, u64 value)
{
    u64 old = c->arch.cr0;
    c->arch.efer &= ~EFER_LMA;
    if (value & CR0_PG && c->arch.efer & EFER_LME)
        c->arch.efer |= EFER_LMA;
    c->arch.cr0 = (value & CR0_DEFINED) | CR0_ET;
    if ((old ^ value) & (CR0_PG | CR0_WP | CR0_PE))
        mmu_flush(c, true);
    cpu_update_mode(c);
}

static void check_cr3(struct cpu *c, u64 value)
{
    u64 reserved = ~PHYSICAL_MASK & ~(c->guest.sev ? BIT(C_BIT) : 0);
    if (c->arch.cr4 & CR4_PCIDE)
        reserved &= ~CR3_NOFLUSH;
    if (long_mode(c) && value & reserved)
        cpu_raise_gp(c, 0);
}

/* The TLB keeps translations of one process context only, so it is flushed whatever CR3_NOFLUSH
 * says, which is a hint [APM2 5.5.1]. */
static void write_cr3(struct cpu *c, u64 value)
{
    c->arch.cr3 = c->arch.cr4 & CR4_PCIDE ? value & ~CR3_NOFLUSH : value;
    mmu_flush(c, false);
}

static void check_cr4(struct cpu *c, u64 value)
{
    bool pcid_begins = value & ~c->arch.cr4 & CR4_PCIDE;
    if (value & ~CR4_DEFINED || (long_mode(c) && !(value & CR4_PAE)) ||
        (pcid_begins && (!long_mode(c) || c->arch.cr3 & CR3_PCID)))
        cpu_raise_gp(c, 0);
}

static void write_cr4(struct cpu *c, u64 value)
{
    u64 changed = c->arch.cr4 ^ value;
    c->arch.cr4 = value;
    if (changed & (CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_PKE))
        mmu_flush(c, true);
    cpu_update_mode(c);
}

static void check_cr8(struct cpu *c, u64 value)
{
    if (value > 15)
        cpu_raise_gp(c, 0);
}

static void write_cr8(struct cpu *c, u64 value)
{
    if (bare_has_tpr(c)) {
        bare_write_tpr(c, value);
        return;
    }
    c->arch.cr8 = value;
    c->guest.control.v_intr = (c->guest.control.v_intr & ~(u32)V_INTR_TPR) | (u32)value;
}

struct control_register {
    void (*check)(struct cpu *c, u64 value); /* raises #GP for an invalid value */
    void (*write)(struct cpu *c, u64 value);
    u64 (*read)(struct cpu *c);
};

static void check_cr2(struct cpu *c, u64 value)
{
    (void)c;
    (void)value;
}

static void write_cr2(struct cpu *c, u64 value)
{
    c->arch.cr2 = value;
}

static u64 read_cr0(struct cpu *c)
{
    return c->arch.cr0;
}

static u64 read_cr2(struct cpu *c)
{
    return c->arch.cr2;
}

static u64 read_cr3(struct cpu *c)
{
    return c->arch.cr3;
}

static u64 read_cr4(struct cpu *c)
{
    return c->arch.cr4;
}

static u64 read_cr8(struct cpu *c)
{
    if (bare_has_tpr(c))
        return bare_read_tpr(c);
    return c->guest.control.v_intr & 15;
}

static const struct control_register *control_register(struct cpu *c, u32 n)
{
    static const struct control_register registers[] = {
        [0] = {check_cr0, write_cr0, read_cr0}, [2] = {check_cr2, write_cr2, read_cr2},
        [3] = {check_cr3, write_cr3, read_cr3}, [4] = {check_cr4, write_cr4, read_cr4},
        [8] = {check_cr8, write_cr8, read_cr8},
    };
    if (n >= ARRAY_SIZE(registers) || !registers[n].read)
        cpu_raise_ud(c);
    return &registers[n];
}

static void intercept_cr_write(struct cpu *c, u32 n, u64 info)
{
    if (intercepts(c, EXIT_CR_WRITE + n))
        cpu_exit(c, EXIT_CR_WRITE + n, info, 0);
}

/* Reports the new value of the register to the host of a SEV-ES guest; other guests have no such
 * exit [APM2 15.35.10]. */
static void trap_cr_write(struct cpu *c, u32 n)
{
    if (!c->guest.es || !intercepts(c, EXIT_CR_WRITE_TRAP + n))
        return;
    c->engine.insn_rip = c->arch.rip;
    cpu_exit(c, EXIT_CR_WRITE_TRAP + n, control_register(c, n)->read(c), 0);
}

void exec_mov_to_cr(struct cpu *c, const struct insn *in)
{
    u32 n = in->o[0].reg;
    const struct control_register *r = control_register(c, n);
    u64 value = operand_read(c, in, 1), info = BIT(63) | in->o[1].reg;
    r->check(c, value);
    intercept_cr_write(c, n, info);
    if (n == 0 && (c->arch.cr0 ^ value) & ~(CR0_TS | CR0_MP) && intercepts(c, EXIT_CR0_SEL_WRITE))
        cpu_exit(c, EXIT_CR0_SEL_WRITE, info, 0);
    r->write(c, value);
    trap_cr_write(c, n);
}

void exec_mov_from_cr(struct cpu *c, const struct insn *in)
{
    u32 n = in->o[1].reg;
    const struct control_register *r = control_register(c, n);
    if (intercepts(c, EXIT_CR_READ + n))
        cpu_exit(c, EXIT_CR_READ + n, BIT(63) | in->o[0].reg, 0);
    operand_write(c, in, 0, r->read(c));
}

void exec_smsw(struct cpu *c, const struct insn *in)
{
    intercept(c, EXIT_CR_READ);
    operand_write(c, in, 0, c->arch.cr0);
}

/* The selective intercept exits whatever bits LMSW changes [APM2 table 15-7]. */
void exec_lmsw(struct cpu *c, const struct insn *in)
{
    intercept_cr_write(c, 0, 0);
    intercept(c, EXIT_CR0_SEL_WRITE);
    u64 low = operand_read(c, in, 0) & 0xf;
    /* LMSW can set PE but not clear it */
    write_cr0(c, (c->arch.cr0 & ~(CR0_MP | CR0_EM | CR0_TS)) | low);
    trap_cr_write(c, 0);
}

void exec_clts(struct cpu *c, const struct insn *in)
{
    (void)in;
    intercept_cr_write(c, 0, 0);
    c->arch.cr0 &= ~CR0_TS;
    cpu_update_mode(c);
    trap_cr_write(c, 0);
}

/* --- Debug registers -------------------------------------------------------------------------- */

/* Returns the register's number: DR4 and DR5 are DR6 and DR7 unless CR4.DE is set. Checks general
 * detection before anything else. */
static u32 dr_number(struct cpu *c, u32 n)
{
    if (n > 7 || ((n == 4 || n == 5) && c->arch.cr4 & CR4_DE))
        cpu_raise_ud(c);
    return n == 4 || n == 5 ? n + 2 : n;
}

static void check_general_detect(struct cpu *c)
{
    if (!(c->arch.dr7 & DR7_GD))
        return;
    c->arch.dr6 |= DR6_BD;
    c->arch.dr7 &= ~DR7_GD;
    cpu_raise(c, VECTOR_DB, 0);
}

void exec_mov_to_dr(struct cpu *c, const struct insn *in)
{
    u32 n = dr_number(c, in->o[0].reg);
    u64 value = operand_read(c, in, 1);
    check_general_detect(c);
    if (n >= 6 && value >> 32)
        cpu_raise_gp(c, 0);
    if (intercepts(c, EXIT_DR_WRITE + in->o[0].reg))
        cpu_exit(c, EXIT_DR_WRITE + in->o[0].reg, in->o[1].reg, 0);
    if (n == 6)
        c->arch.dr6 = DR6_OF(value);
    else if (n == 7)
        c->arch.dr7 = DR7_OF(value);
    else
        c->arch.dr[n] = value;
    debug_update(c);
}

void exec_mov_from_dr(struct cpu *c, const struct insn *in)
{
    u32 n = dr_number(c, in->o[1].reg);
    check_general_detect(c);
    if (intercepts(c, EXIT_DR_READ + in->o[1].reg))
        cpu_exit(c, EXIT_DR_READ + in->o[1].reg, in->o[0].reg, 0);
    operand_write(c, in, 0, n == 6 ? c->arch.dr6 : n == 7 ? c->arch.dr7 : c->arch.dr[n]);
}

/* --- Protection keys [APM2 5.6.7] ------------------------------------------------------------- */

void pkru_write(struct cpu *c, u32 value)
{
    bool changed = c->arch.pkru != value;
    c->arch.pkru = value;
    if (changed && c->arch.cr4 & CR4_PKE)
        mmu_flush(c, true);
}

static void check_pkru_access(struct cpu *c)
{
    if (!(c->arch.cr4 & CR4_PKE))
        cpu_raise_ud(c);
    if ((u32)c->arch.r[RCX])
        cpu_raise_gp(c, 0);
}

void exec_rdpkru(struct cpu *c, const struct insn *in)
{
    (void)in;
    check_pkru_access(c);
    c->arch.r[RAX] = c->arch.pkru;
    c->arch.r[RDX] = 0;
}

void exec_wrpkru(struct cpu *c, const struct insn *in)
{
    (void)in;
    check_pkru_access(c);
    if ((u32)c->arch.r[RDX])
        cpu_raise_gp(c, 0);
    pkru_write(c, (u32)c->arch.r[RAX]);
}
