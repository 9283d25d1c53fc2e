/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model-specific registers: one table with the number of each, its place, and the values that a
 * write may have [APM2 A; cpu 2]. RDMSR and WRMSR check the MSR permission map first.
 */
#include "abi/vmsa.h"
#include "cpu/system/segment.h"
#include "memory/rmp.h"

typedef u64 msr_read_fn(struct cpu *c, u32 msr);
typedef bool msr_write_fn(struct cpu *c, u32 msr, u64 value); /* false: #GP */

struct msr_row {
    u32 first, last;
    u16 field; /* offset of a u64 in struct cpu; 0: reads as zero, drops writes */
    bool canonical, read_only, host_only, es_only;
    bool snp_locks; /* read-only once SYSCFG.SNP_EN is set [APM2 15.36.2] */
    u64 reserved;   /* bits that must be zero */
    u64 feature;    /* SEV_FEATURE_... that a guest needs for it */
    msr_read_fn *read;
    msr_write_fn *write;
};

static u64 read_tsc(struct cpu *c, u32 msr)
{
    (void)msr;
    return c->guest.running ? cpu_guest_tsc(c) : c->clock->now;
}

/* Drops the write: nothing sets the machine clock. */
static bool write_nothing(struct cpu *c, u32 msr, u64 value)
{
    (void)c;
    (void)msr;
    (void)value;
    return true;
}

static u64 read_patch_level(struct cpu *c, u32 msr)
{
    (void)c;
    (void)msr;
    return 0x0a0011d5;
}

static u64 read_mtrrcap(struct cpu *c, u32 msr)
{
    (void)c;
    (void)msr;
    return 0x500; /* fixed ranges, WC; no variable ranges */
}

static u64 read_mtrr_default(struct cpu *c, u32 msr)
{
    (void)c;
    (void)msr;
    return 0x806; /* enabled, write-back */
}

static u64 read_sev_status(struct cpu *c, u32 msr)
{
    (void)msr;
    if (!c->guest.running || !c->guest.sev)
        return 0;
    return SEV_STATUS_SEV | (c->guest.es ? SEV_STATUS_ES : 0) |
           c->guest.sev_features << SEV_STATUS_FEATURES_SHIFT;
}

/* Returns the frequency in MHz. */
static u64 read_guest_tsc_freq(struct cpu *c, u32 msr)
{
    (void)msr;
    return c->guest.tsc_scale * 1000 >> 32;
}

static bool write_virtual_tom(struct cpu *c, u32 msr, u64 value)
{
    (void)msr;
    c->guest.virtual_tom = value & BITS(~0ull, 51, 21)
                                       << 21; /* the others read as zero [APM2 15.36.8] */
    mmu_flush(c, true);
    return true;
}

static u64 read_efer(struct cpu *c, u32 msr)
{
    (void)msr;
    return c->arch.efer;
}

#define EFER_DEFINED                                                                               \
    (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_SVME | EFER_FFXSR | EFER_TCE | EFER_AIBRSE)

static bool write_efer(struct cpu *c, u32 msr, u64 value)
{
    (void)msr;
    bool disabled = value & EFER_SVME && c->msr.vm_cr & VM_CR_SVMDIS && !c->guest.running;
    if (value & ~EFER_DEFINED || disabled)
        return false;
    if ((value ^ c->arch.efer) & EFER_LME && c->arch.cr0 & CR0_PG)
        return false;
    /* LMA follows LME and PG; a guest cannot change SVME, which VMRUN requires. */
    u64 kept = EFER_LMA | (c->guest.running ? EFER_SVME : 0);
    u64 changed = c->arch.efer ^ value;
    c->arch.efer = (value & ~kept) | (c->arch.efer & kept);
    if (changed & EFER_NXE)
        mmu_flush(c, true);
    return true;
}

static bool write_debugctl(struct cpu *c, u32 msr, u64 value)
{
    (void)msr;
    c->arch.debugctl = value;
    debug_update(c);
    return true;
}

/* Writes VM_CR: SVMDIS and LOCK are as LOCK leaves them, and SVM cannot be disabled while it is on
 * [APM2 15.30.1]. */
static bool write_vm_cr(struct cpu *c, u32 msr, u64 value)
{
    (void)msr;
    const u64 kept = c->msr.vm_cr & VM_CR_LOCK ? VM_CR_LOCK | VM_CR_SVMDIS : 0;
    if (value & VM_CR_SVMDIS && !kept && c->arch.efer & EFER_SVME)
        return false;
    c->msr.vm_cr = (value & ~kept) | (c->msr.vm_cr & kept);
    return true;
}

/* APIC_BASE says where the local APIC's page is, which is not memory. */
static bool write_apic_base(struct cpu *c, u32 msr, u64 value)
{
    if (c->bare.wired && !bare_write_msr(c, msr, value))
        return false;
    c->msr.apic_base = value;
    if (c->bare.wired)
        mmu_flush_worlds(c);
    return true;
}

bool pat_valid(u64 value)
{
    for (u32 i = 0; i < 8; i++) {
        u64 type = BITS(value, i * 8 + 7, i * 8);
        if (type > 7 || type == 2 || type == 3)
            return false;
    }
    return true;
}

static bool write_pat(struct cpu *c, u32 msr, u64 value)
{
    (void)msr;
    if (pat_valid(value))
        c->arch.pat = value;
    return pat_valid(value);
}

/* Writes HWCR; only a reset clears the lock [APM2 15.32.1]. */
static bool write_hwcr(struct cpu *c, u32 msr, u64 value)
{
    (void)msr;
    c->msr.hwcr = value | (c->msr.hwcr & HWCR_SMM_LOCK);
    return true;
}

static u64 read_fs_base(struct cpu *c, u32 msr)
{
    return c->arch.seg[msr == MSR_FS_BASE ? SEG_FS : SEG_GS].base;
}

static bool write_fs_base(struct cpu *c, u32 msr, u64 value)
{
    c->arch.seg[msr == MSR_FS_BASE ? SEG_FS : SEG_GS].base = value;
    return true;
}

static u64 read_de_cfg(struct cpu *c, u32 msr)
{
    (void)c;
    (void)msr;
    return 2; /* DE_CFG: LFENCE serialises */
}

/* Writes SYSCFG, which is locked until reset once SNP is on [cpu 2.1]. */
static bool write_syscfg(struct cpu *c, u32 msr, u64 value)
{
    (void)msr;
    if (!(c->msr.syscfg & SYSCFG_SNP_EN))
        c->msr.syscfg = value;
    return true;
}

/* Writes RMP_BASE or RMP_END; the table stays where SNP_INIT found it. RMP_END is the last byte of
 * an 8 KiB block. */
static bool write_rmp(struct cpu *c, u32 msr, u64 value)
{
    u64 piece = RMP_ALIGNMENT - 1;
    if (rmp_enabled(c->memory) || (msr == MSR_RMP_BASE && value & piece))
        return false;
    if (msr == MSR_RMP_BASE)
        c->msr.rmp_base = value;
    else
        c->msr.rmp_end = value ? value | piece : 0;
    return true;
}

static bool write_hsave(struct cpu *c, u32 msr, u64 value)
{
    (void)msr;
    if (value & PAGE_MASK || !range_fits(value, PAGE_SIZE, memory_size(c->memory)) ||
        !rmp_host_may_write(c->memory, value, PAGE_SIZE))
        return false;
    c->msr.vm_hsave_pa = value;
    return true;
}

#define MSR(number)         .first = number, .last = number
#define MSRS(first_, last_) .first = first_, .last = last_
#define FIELD(name)         offsetof(struct cpu, name)

// clang-format off
static const struct msr_row msr_table[] = {
    {MSR(MSR_TSC), .read = read_tsc, .write = write_nothing},
    {MSR(MSR_APIC_BASE), .field = FIELD(msr.apic_base), .write = write_apic_base, .reserved = ~PHYSICAL_MASK | 0x2ff},
    {MSR(MSR_SPEC_CTRL), .field = FIELD(arch.spec_ctrl), .reserved = ~0x87ull},
    {MSR(MSR_PRED_CMD), .reserved = ~0x81ull},
    {MSR(MSR_PATCH_LEVEL), .read = read_patch_level, .read_only = true},
    {MSR(MSR_MTRRCAP), .read = read_mtrrcap, .read_only = true},
    {MSR(MSR_SYSENTER_CS), .field = FIELD(arch.sysenter_cs)},
    {MSR(MSR_SYSENTER_ESP), .field = FIELD(arch.sysenter_esp), .canonical = true},
    {MSR(MSR_SYSENTER_EIP), .field = FIELD(arch.sysenter_eip), .canonical = true},
    {MSRS(MSR_MCG_CAP, MSR_MCG_CTL)}, /* no banks */
    {MSR(MSR_DEBUGCTL), .field = FIELD(arch.debugctl), .write = write_debugctl, .reserved = ~DEBUGCTL_DEFINED},
    {MSR(MSR_BR_FROM), .field = FIELD(arch.br_from), .read_only = true},
    {MSR(MSR_BR_TO), .field = FIELD(arch.br_to), .read_only = true},
    {MSR(MSR_EXCEPTION_FROM), .field = FIELD(arch.last_exception_from), .read_only = true},
    {MSR(MSR_EXCEPTION_TO), .field = FIELD(arch.last_exception_to), .read_only = true},
    {MSRS(0x200, 0x20f)}, /* variable MTRRs; the fixed ones follow */
    {MSR(0x250), .snp_locks = true}, {MSRS(0x258, 0x259), .snp_locks = true}, {MSRS(0x268, 0x26f), .snp_locks = true},
    {MSR(MSR_PAT), .field = FIELD(arch.pat), .write = write_pat},
    {MSR(MSR_MTRR_DEF_TYPE), .read = read_mtrr_default},
    {MSR(MSR_XSS), .field = FIELD(arch.xss), .reserved = ~XSS_DEFINED},
    {MSR(MSR_EFER), .read = read_efer, .write = write_efer},
    {MSR(MSR_STAR), .field = FIELD(arch.star)},
    {MSR(MSR_LSTAR), .field = FIELD(arch.lstar), .canonical = true},
    {MSR(MSR_CSTAR), .field = FIELD(arch.cstar), .canonical = true},
    {MSR(MSR_SFMASK), .field = FIELD(arch.sfmask), .reserved = ~0xffffffffull},
    {MSRS(MSR_FS_BASE, MSR_GS_BASE), .read = read_fs_base, .write = write_fs_base, .canonical = true},
    {MSR(MSR_KERNEL_GS_BASE), .field = FIELD(arch.kernel_gs_base), .canonical = true},
    {MSR(MSR_TSC_AUX), .field = FIELD(arch.tsc_aux), .reserved = ~0xffffffffull},
    {MSR(MSR_TSC_RATIO), .field = FIELD(msr.tsc_ratio), .reserved = ~BITS(~0ull, 39, 0), .host_only = true},
    {MSRS(0xc0010000, 0xc0010007)}, /* performance counters: none count */
    {MSR(MSR_SYSCFG), .field = FIELD(msr.syscfg), .write = write_syscfg, .reserved = ~BITS(~0ull, 25, 0)},
    {MSR(MSR_HWCR), .field = FIELD(msr.hwcr), .write = write_hwcr, .reserved = ~BITS(~0ull, 31, 0)},
    {MSR(MSR_TOP_MEM), .snp_locks = true}, {MSR(MSR_TOP_MEM2), .snp_locks = true},
    {MSRS(0xc0010062, 0xc0010064)}, /* P-states: none */
    {MSRS(0xc0011000, 0xc0011028)}, /* LS_CFG and neighbours: nothing to configure */
    {MSR(MSR_DE_CFG), .read = read_de_cfg, .write = write_nothing},
    {MSRS(0xc001102a, 0xc001102d)},
    {MSR(MSR_VM_CR), .field = FIELD(msr.vm_cr), .write = write_vm_cr, .reserved = ~0x1full, .host_only = true},
    {MSR(MSR_VM_HSAVE_PA), .field = FIELD(msr.vm_hsave_pa), .write = write_hsave, .host_only = true},
    {MSR(MSR_GHCB), .field = FIELD(guest.control.ghcb_gpa), .es_only = true},
    {MSR(MSR_SEV_STATUS), .read = read_sev_status, .read_only = true},
    {MSR(MSR_GUEST_TSC_FREQ), .read = read_guest_tsc_freq, .read_only = true, .feature = SEV_FEATURE_SECURE_TSC},
    {MSR(MSR_VIRTUAL_TOM), .field = FIELD(guest.virtual_tom), .write = write_virtual_tom, .feature = SEV_FEATURE_VTOM},
    {MSR(MSR_RMP_BASE), .field = FIELD(msr.rmp_base), .write = write_rmp, .reserved = ~BITS(~0ull, 51, 0), .host_only = true},
    {MSR(MSR_RMP_END), .field = FIELD(msr.rmp_end), .write = write_rmp, .reserved = ~BITS(~0ull, 51, 0), .host_only = true},
};
// clang-format on

static const struct msr_row *find(const struct cpu *c, u32 msr)
{
    for (size_t i = 0; i < ARRAY_SIZE(msr_table); i++) {
        const struct msr_row *row = &msr_table[i];
        if (msr < row->first || msr > row->last)
            continue;
        /* On a bare machine a guest reaches what its host does not intercept. */
        bool hidden = (row->host_only && c->guest.running && !c->bare.wired) ||
                      (row->es_only && !c->guest.es) ||
                      (row->feature && !(c->guest.running && sev_feature(c, row->feature)));
        return hidden ? NULL : row;
    }
    return NULL;
}

static u64 *field_of(struct cpu *c, const struct msr_row *row)
{
    return (u64 *)(void *)((u8 *)c + row->field);
}

/* A bare machine has more MSRs of AMD than the core: they read as zero and drop what is written,
 * since kernels expect of each part those that it has [host 2.1]. */
static bool elsewhere(const struct cpu *c, u32 msr)
{
    for (size_t i = 0; i < ARRAY_SIZE(msr_table); i++)
        if (msr >= msr_table[i].first && msr <= msr_table[i].last)
            return false;
    return c->bare.wired && msr >> 13 == 0xc0010000u >> 13;
}

bool msr_read(struct cpu *c, u32 msr, u64 *value)
{
    const struct msr_row *row = find(c, msr);
    *value = 0;
    if (!row)
        return bare_read_msr(c, msr, value) || elsewhere(c, msr);
    *value = row->read ? row->read(c, msr) : row->field ? *field_of(c, row) : 0;
    return true;
}

bool msr_write(struct cpu *c, u32 msr, u64 value)
{
    const struct msr_row *row = find(c, msr);
    if (!row)
        return bare_write_msr(c, msr, value) || elsewhere(c, msr);
    if (row->read_only || value & row->reserved || (row->canonical && !canonical(value)) ||
        (row->snp_locks && c->msr.syscfg & SYSCFG_SNP_EN))
        return false;
    if (row->write)
        return row->write(c, msr, value);
    if (row->field)
        *field_of(c, row) = value;
    return true;
}

/* --- The instructions ------------------------------------------------------------------------- */

/* Returns the bit of an MSR in the permission map [cpu 3.5]; the write bit follows it. -1: always
 * intercepted. */
static s64 map_bit(u32 msr)
{
    static const u32 ranges[] = {0, 0xc0000000, 0xc0010000};
    for (u32 i = 0; i < ARRAY_SIZE(ranges); i++)
        if (msr - ranges[i] < 0x2000)
            return (s64)(i * 0x4000 + (msr - ranges[i]) * 2);
    return -1;
}

static void intercept_msr(struct cpu *c, u32 msr, bool write)
{
    /* With alternate injection the guest hides its interrupt controller from the host [cpu 6.8]. */
    if (sev_feature(c, SEV_FEATURE_ALTERNATE_INJECTION) && msr - MSR_X2APIC < 0x100)
        cpu_exit(c, EXIT_MSR, write, 0);
    if (!intercepts(c, EXIT_MSR) || (msr == MSR_SEV_STATUS && c->guest.sev) ||
        (msr == MSR_GHCB && c->guest.es))
        return;
    s64 bit = map_bit(msr);
    u8 map = 0xff;
    if (bit >= 0)
        memory_read(c->memory, (c->guest.control.msrpm_base & ~PAGE_MASK) + (u64)bit / 8, KEY_RAW,
                    &map, 1);
    if (bit < 0 || map >> ((bit & 7) + write) & 1)
        cpu_exit(c, EXIT_MSR, write, 0);
}

void exec_rdmsr(struct cpu *c, const struct insn *in)
{
    (void)in;
    u32 msr = (u32)c->arch.r[RCX];
    u64 value;
    intercept_msr(c, msr, false);
    if (!msr_read(c, msr, &value))
        cpu_raise_gp(c, 0);
    c->arch.r[RAX] = (u32)value;
    c->arch.r[RDX] = value >> 32;
}

void exec_wrmsr(struct cpu *c, const struct insn *in)
{
    (void)in;
    u32 msr = (u32)c->arch.r[RCX];
    u64 value = (u64)(u32)c->arch.r[RDX] << 32 | (u32)c->arch.r[RAX];
    intercept_msr(c, msr, true);
    if (!msr_write(c, msr, value))
        cpu_raise_gp(c, 0);
    if (msr == MSR_EFER && c->guest.es && intercepts(c, EXIT_EFER_WRITE_TRAP)) {
        c->engine.insn_rip = c->arch.rip;
        cpu_exit(c, EXIT_EFER_WRITE_TRAP, c->arch.efer, 0);
    }
}

/* --- The host's side -------------------------------------------------------------------------- */

bool cpu_host_rdmsr(struct cpu *c, u32 msr, u64 *value)
{
    return msr_read(c, msr, value);
}

bool cpu_host_wrmsr(struct cpu *c, u32 msr, u64 value)
{
    return msr_write(c, msr, value);
}
