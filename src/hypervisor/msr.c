/* SPDX-License-Identifier: Apache-2.0 */
/* The MSRs of a guest: those that it accesses directly, and a table of those that the hypervisor
 * emulates [cpu 2.3]. Any other MSR is #GP. */
#include "hypervisor/internal.h"

/* VMRUN, VMLOAD or the hypervisor switches these. EFER is not included, because the guest must not
 * clear SVME. */
const u32 msr_passed_through[] = {
    MSR_SYSENTER_CS,    MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_PAT,     MSR_STAR,
    MSR_LSTAR,          MSR_CSTAR,        MSR_SFMASK,       MSR_FS_BASE, MSR_GS_BASE,
    MSR_KERNEL_GS_BASE, MSR_TSC_AUX,      MSR_SEV_STATUS,   MSR_XSS,
};
const u32 msr_passed_through_count = ARRAY_SIZE(msr_passed_through);

/* The hypervisor cannot change what the VMSA holds. EFER is included here, because the VMSA keeps
 * SVME set [cpu 2.1]. */
const u32 msr_passed_through_es[] = {MSR_EFER, MSR_GHCB};
const u32 msr_passed_through_es_count = ARRAY_SIZE(msr_passed_through_es);

#define KVM_WALL_CLOCK  0x4b564d00u
#define KVM_SYSTEM_TIME 0x4b564d01u
#define KVM_MIGRATION   0x4b564d08u /* bit 0: the guest can be moved */
#define MTRR_VARIABLE   0x200u
#define MTRR_VARIABLES  16u
#define MTRR_DEFAULT_WB 0xc06u
#define MTRR_FIXED_WB   0x0606060606060606ull
#define EFER_ALLOWED                                                                               \
    (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_FFXSR | EFER_TCE | EFER_AIBRSE)

/* --- KVM's clock: TSC and machine clock never drift apart, so the page never changes ---------- */

struct kvm_time {
    u32 version, reserved_04;
    u64 tsc_timestamp, system_time_ns;
    u32 multiplier; /* ns = ticks << shift >> 32 * multiplier */
    s8 shift;
    u8 flags; /* bit 0: the TSC is stable */
    u8 reserved_1e[2];
};
ABI_SIZE(struct kvm_time, 32);

/* Returns the page for a TSC of that frequency: the shift makes the most of the multiplier's 32
 * bits. */
static struct kvm_time kvm_time_of(u32 khz)
{
    struct kvm_time t = {.version = 2, .flags = 1};
    u64 ns = (1000000ull << 32) / khz; /* of one tick, with 32 bits of fraction */
    for (; ns >= BIT(32); ns >>= 1)
        t.shift++;
    for (; ns < BIT(31); ns = (1000000ull << (32 - t.shift)) / khz)
        t.shift--;
    t.multiplier = (u32)ns;
    return t;
}

static bool kvm_clock_write(struct vcpu *c, u32 msr, u64 value)
{
    (void)msr;
    c->kvm_clock = value;
    if (!(value & 1))
        return true;
    const struct kvm_time now = kvm_time_of(vm_tsc_khz(c->vm));
    return vm_write(c->vm, value & ~1ull, &now, sizeof now);
}

static bool kvm_clock_read(struct vcpu *c, u32 msr, u64 *value)
{
    (void)msr;
    *value = c->kvm_clock;
    return true;
}

static bool kvm_wall_write(struct vcpu *c, u32 msr, u64 value)
{
    (void)msr;
    const u32 wall[3] = {2, (u32)c->vm->config.rtc_seconds, 0};
    return vm_write(c->vm, value, wall, sizeof wall);
}

/* --- KVM's migration control: the guest has told of its shared pages [cpu 9.8] -----------------
 */

static bool kvm_migration_write(struct vcpu *c, u32 msr, u64 value)
{
    (void)msr;
    if (!c->vm->pages || value & ~1ull)
        return false;
    c->vm->migration_ready = value & 1;
    return true;
}

static bool kvm_migration_read(struct vcpu *c, u32 msr, u64 *value)
{
    (void)msr;
    *value = c->vm->migration_ready;
    return c->vm->pages;
}

/* --- One function for each row ---------------------------------------------------------------- */

static bool read_zero(struct vcpu *c, u32 msr, u64 *value)
{
    (void)c;
    (void)msr;
    *value = 0;
    return true;
}

static bool write_ignored(struct vcpu *c, u32 msr, u64 value)
{
    (void)c;
    (void)msr;
    (void)value;
    return true;
}

static bool tsc_read(struct vcpu *c, u32 msr, u64 *value)
{
    (void)msr;
    *value = host_time_ns(c->vm->hv->host);
    return true;
}

static bool apic_read(struct vcpu *c, u32 msr, u64 *value)
{
    return lapic_msr_read(c->lapic, msr, value);
}

static bool apic_write(struct vcpu *c, u32 msr, u64 value)
{
    return lapic_msr_write(c->lapic, msr, value);
}

static bool efer_read(struct vcpu *c, u32 msr, u64 *value)
{
    (void)msr;
    *value = c->vmcb.save.efer & ~EFER_SVME;
    return true;
}

static bool efer_write(struct vcpu *c, u32 msr, u64 value)
{
    struct vmcb_save *save = &c->vmcb.save;
    (void)msr;
    if ((value & ~EFER_ALLOWED) || ((save->cr0 & CR0_PG) && ((value ^ save->efer) & EFER_LME)))
        return false;
    save->efer = (value & ~EFER_LMA) | (save->efer & EFER_LMA) | EFER_SVME;
    c->save_changed = true;
    /* NXE changes the meaning of page table entries, so cached translations must be flushed. */
    c->vmcb.control.tlb_control = TLB_FLUSH_ASID;
    return true;
}

static bool mtrr_cap_read(struct vcpu *c, u32 msr, u64 *value)
{
    (void)c;
    (void)msr;
    *value = 0x508; /* 8 variable ranges, fixed ranges, write-combining */
    return true;
}

/* Returns the storage of a range register: the variable pairs, then the eleven fixed ones. */
static u64 *mtrr_place(struct vcpu *c, u32 msr)
{
    static const u32 fixed[] = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
                                0x26b, 0x26c, 0x26d, 0x26e, 0x26f};
    if (msr >= MTRR_VARIABLE && msr < MTRR_VARIABLE + MTRR_VARIABLES)
        return &c->mtrr[msr - MTRR_VARIABLE];
    for (u32 i = 0; i < ARRAY_SIZE(fixed); i++) {
        if (fixed[i] == msr)
            return &c->mtrr[MTRR_VARIABLES + i];
    }
    return msr == MSR_MTRR_DEF_TYPE ? &c->mtrr_default : NULL;
}

static bool mtrr_read(struct vcpu *c, u32 msr, u64 *value)
{
    const u64 *place = mtrr_place(c, msr);
    *value = place ? *place : 0;
    return place;
}

static bool mtrr_write(struct vcpu *c, u32 msr, u64 value)
{
    u64 *place = mtrr_place(c, msr);
    if (place)
        *place = value;
    return place;
}

static bool patch_level_read(struct vcpu *c, u32 msr, u64 *value)
{
    (void)c;
    (void)msr;
    *value = 0x01000065;
    return true;
}

/* TscFreqSel: the TSC counts at the frequency that the processor reports. */
static bool hwcr_read(struct vcpu *c, u32 msr, u64 *value)
{
    (void)c;
    (void)msr;
    *value = BIT(24);
    return true;
}

/* LFENCE is serialising: software sets the bit and reads it back. */
static bool de_cfg_read(struct vcpu *c, u32 msr, u64 *value)
{
    (void)c;
    (void)msr;
    *value = BIT(1);
    return true;
}

struct msr_row {
    u32 first, last;
    bool (*read)(struct vcpu *c, u32 msr, u64 *value);
    bool (*write)(struct vcpu *c, u32 msr, u64 value);
};

// clang-format off
static const struct msr_row rows[] = {
    {MSR_TSC,           MSR_TSC,           tsc_read,         write_ignored},
    {MSR_APIC_BASE,     MSR_APIC_BASE,     apic_read,        apic_write},
    {MSR_PATCH_LEVEL,   MSR_PATCH_LEVEL,   patch_level_read, write_ignored},
    {MSR_MTRRCAP,       MSR_MTRRCAP,       mtrr_cap_read,    NULL},
    {MSR_MCG_CAP,       MSR_MCG_CTL,       read_zero,        write_ignored},
    {MSR_DEBUGCTL,      MSR_DEBUGCTL,      read_zero,        write_ignored},
    {0x1db,             0x1de,             read_zero,        write_ignored}, /* last branch and exception */
    {0x200,             0x26f,             mtrr_read,        mtrr_write},
    {MSR_MTRR_DEF_TYPE, MSR_MTRR_DEF_TYPE, mtrr_read,        mtrr_write},
    {MSR_TSC_DEADLINE,  MSR_TSC_DEADLINE,  apic_read,        apic_write},
    {MSR_X2APIC,        MSR_X2APIC + 0xff, apic_read,        apic_write},
    {KVM_WALL_CLOCK,    KVM_WALL_CLOCK,    read_zero,        kvm_wall_write},
    {KVM_SYSTEM_TIME,   KVM_SYSTEM_TIME,   kvm_clock_read,   kvm_clock_write},
    {KVM_MIGRATION,     KVM_MIGRATION,     kvm_migration_read, kvm_migration_write},
    {MSR_EFER,          MSR_EFER,          efer_read,        efer_write},
    {0xc0010000,        0xc0010007,        read_zero,        write_ignored}, /* performance counters: none count */
    {MSR_SYSCFG,        MSR_SYSCFG,        read_zero,        write_ignored},
    {MSR_HWCR,          MSR_HWCR,          hwcr_read,        write_ignored},
    {0xc001001a,        0xc001001f,        read_zero,        write_ignored}, /* TOP_MEM, TOP_MEM2 and their neighbours to NB_CFG */
    {0xc0010055,        0xc0010055,        read_zero,        write_ignored}, /* interrupt pending, C1E */
    {0xc0010061,        0xc0010064,        read_zero,        write_ignored}, /* P-states */
    {0xc0010111,        0xc0010114,        read_zero,        write_ignored}, /* SMM, VM_CR */
    {0xc0011004,        0xc0011005,        read_zero,        write_ignored}, /* CPUID override */
    {0xc0011020,        0xc0011023,        read_zero,        write_ignored}, /* load-store and cache configuration */
    {MSR_DE_CFG,        MSR_DE_CFG,        de_cfg_read,      write_ignored},
    {0xc001102a,        0xc001102a,        read_zero,        write_ignored},
};
// clang-format on

static const struct msr_row *msr_row(u32 msr)
{
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        if (msr >= rows[i].first && msr <= rows[i].last)
            return &rows[i];
    }
    return NULL;
}

bool vcpu_msr_read(struct vcpu *c, u32 msr, u64 *value)
{
    const struct msr_row *row = msr_row(msr);
    return row && row->read && row->read(c, msr, value);
}

bool vcpu_msr_write(struct vcpu *c, u32 msr, u64 value)
{
    const struct msr_row *row = msr_row(msr);
    return row && row->write && row->write(c, msr, value);
}

/* Resets the MSRs. After a reset the ranges are off, and firmware sets them up [APM2 7.7.2]. A
 * guest without firmware starts with the ranges as firmware leaves them. */
void vcpu_msr_reset(struct vcpu *c)
{
    if (c->vm->config.plan->flash_size)
        return;
    c->mtrr_default = MTRR_DEFAULT_WB;
    for (u32 i = MTRR_VARIABLES; i < MTRR_COUNT; i++)
        c->mtrr[i] = MTRR_FIXED_WB;
}
