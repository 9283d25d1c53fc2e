/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID as a guest sees it: the host processor's answers without the features that a guest cannot
 * use, plus the leaves of the hypervisor [cpu 1, 9.8, 10.1].
 */
#include "hypervisor/internal.h"

#define KVM_LEAF         0x40000000u
#define KVM_CLOCK        BIT(3)
#define KVM_NO_IO_DELAY  BIT(1)
#define KVM_MAP_RANGE    BIT(16) /* the hypercall that tells of shared pages */
#define KVM_MIGRATION    BIT(17) /* the MSR of migration */
#define KVM_CLOCK_STABLE BIT(24)

#define LEAF1_ECX_MONITOR  BIT(3)
#define LEAF1_ECX_X2APIC   BIT(21)
#define LEAF1_ECX_DEADLINE BIT(24)
#define LEAF1_ECX_XSAVE    BIT(26)
#define LEAF1_ECX_OSXSAVE  BIT(27)
#define LEAF1_ECX_GUEST    BIT(31)
#define LEAF1_EDX_APIC     BIT(9)
#define LEAF7_ECX_PKU      BIT(3)
#define LEAF7_ECX_OSPKE    BIT(4)
#define LEAF1_EDX_HTT      BIT(28)

static void leaf_1(struct vcpu *c, u32 out[4])
{
    u32 cpus = c->vm->cpu_count;
    out[1] = (out[1] & 0xff00) | cpus << 16 | c->lapic->id << 24; /* keeps the CLFLUSH size */
    out[2] &= (u32) ~(LEAF1_ECX_MONITOR | LEAF1_ECX_OSXSAVE);
    out[2] |= (u32)(LEAF1_ECX_X2APIC | LEAF1_ECX_DEADLINE | LEAF1_ECX_GUEST);
    if ((out[2] & LEAF1_ECX_XSAVE) && (c->vmcb.save.cr4 & CR4_OSXSAVE))
        out[2] |= (u32)LEAF1_ECX_OSXSAVE;
    out[3] &= (u32) ~(LEAF1_EDX_HTT | LEAF1_EDX_APIC);
    if (cpus > 1)
        out[3] |= (u32)LEAF1_EDX_HTT;
    if (c->lapic->base_msr & BIT(11))
        out[3] |= (u32)LEAF1_EDX_APIC;
}

static void leaf_7(struct vcpu *c, u32 subleaf, u32 out[4])
{
    if (subleaf)
        return;
    out[2] &= (u32)~LEAF7_ECX_OSPKE;
    if ((out[2] & LEAF7_ECX_PKU) && (c->vmcb.save.cr4 & CR4_PKE))
        out[2] |= (u32)LEAF7_ECX_OSPKE;
}

/* Returns the number of APIC ID bits that distinguish the processors. */
static u32 id_bits(const struct vm *vm)
{
    u32 bits = 0;
    while (1u << bits < vm->cpu_count)
        bits++;
    return bits;
}

/* Answers leaf B: one thread per core (level 1), all cores in one package (level 2). */
static void leaf_b(struct vcpu *c, u32 subleaf, u32 out[4])
{
    out[0] = subleaf == 1 ? id_bits(c->vm) : 0;
    out[1] = subleaf == 0 ? 1 : subleaf == 1 ? c->vm->cpu_count : 0;
    out[2] = subleaf < 2 ? subleaf | (subleaf + 1) << 8 : subleaf;
    out[3] = c->lapic->id;
}

/* Returns how many cores share an L3: four on family 17h (Naples, Rome), eight on later parts. */
static u32 cores_of_l3(const struct vcpu *c)
{
    u32 out[4];
    host_cpuid(c->vm->hv->host, c->core, 1, 0, out);
    u32 family = (out[0] >> 8 & 15) + (out[0] >> 20 & 0xff);
    return family == 0x17 ? 4 : 8;
}

/* Answers a cache of the host's: its L1 and L2 are a core's own, its L3 is shared by as many of the
 * guest's processors as a complex of this processor has cores. */
static void leaf_cache(struct vcpu *c, u32 out[4])
{
    const u32 level = out[0] >> 5 & 7;
    out[0] &= 0xfc003fff;
    if (level == 3)
        out[0] |= ((u32)min_u64(c->vm->cpu_count, cores_of_l3(c)) - 1) << 14;
}

/* Returns the bytes of an XSAVE image with these components, from their own subleaves. */
static u32 xsave_size(struct vcpu *c, u64 xcr0, bool compacted)
{
    u32 size = XSTATE_LEGACY_SIZE + XSTATE_HEADER_SIZE, out[4];
    for (u32 i = 2; i < 64; i++) {
        host_cpuid(c->vm->hv->host, c->core, 0xd, i, out);
        if (xcr0 & BIT(i))
            size = (compacted ? size : out[1]) + out[0];
    }
    return size;
}

/* Answers leaf D: the host's, with the sizes that the guest's own XCR0 asks for. */
static void leaf_xsave(struct vcpu *c, u32 subleaf, u32 out[4])
{
    u64 xcr0 = c->xcr0;
    if (!vm_is_es(c->vm) && c->vm->hv->loaded[c->core] == c)
        xcr0 = *host_xcr0(c->vm->hv->host, c->core);
    if (subleaf < 2 && out[0])
        out[1] = xsave_size(c, xcr0, subleaf == 1);
}

static void leaf_kvm(const struct vm *vm, u32 leaf, u32 out[4])
{
    memset(out, 0, 4 * sizeof out[0]);
    if (leaf == KVM_LEAF) {
        out[0] = KVM_LEAF + 1;
        memcpy(&out[1], "KVMKVMKVM\0\0\0", 12);
    } else if (leaf == KVM_LEAF + 1) {
        out[0] = (u32)(KVM_CLOCK | KVM_NO_IO_DELAY | KVM_CLOCK_STABLE);
        out[0] |= vm->pages ? (u32)(KVM_MAP_RANGE | KVM_MIGRATION) : 0;
    }
}

/* Answers the SEV leaf. Bit 1 is SEV, bit 3 SEV-ES, bit 4 SNP. Bit 10 and EBX bit 31 save the guest
 * cache flushes. EBX also has the position of the C-bit. */
static void leaf_sev(struct vcpu *c, u32 out[4])
{
    u32 where = out[1] & 0xfff;
    memset(out, 0, 4 * sizeof out[0]);
    if (c->vm->config.plan->mode == IMAGE_NONE)
        return;
    out[0] =
        (u32)(BIT(1) | BIT(10) | (vm_is_es(c->vm) ? BIT(3) : 0) | (vm_is_snp(c->vm) ? BIT(4) : 0));
    out[1] = where | (vm_is_snp(c->vm) ? 1u << 31 : 0);
}

static void honest_answer(struct vcpu *c, u32 leaf, u32 subleaf, u32 out[4])
{
    if (leaf >= KVM_LEAF && leaf < KVM_LEAF + 0x10000) {
        leaf_kvm(c->vm, leaf, out);
        return;
    }
    host_cpuid(c->vm->hv->host, c->core, leaf, subleaf, out);
    switch (leaf) {
    case 1:
        leaf_1(c, out);
        break;
    case 7:
        leaf_7(c, subleaf, out);
        break;
    case 0xb:
        leaf_b(c, subleaf, out);
        break;
    case 0xd:
        leaf_xsave(c, subleaf, out);
        break;
    case 0x80000001: /* no SVM; CmpLegacy: several cores */
        out[2] &= (u32) ~(BIT(2) | BIT(1));
        out[2] |= c->vm->cpu_count > 1 ? (u32)BIT(1) : 0;
        break;
    case 0x80000007:
        out[3] |= (u32)BIT(8);
        break; /* invariant TSC */
    case 0x80000008:
        out[2] = (c->vm->cpu_count - 1) | id_bits(c->vm) << 12;
        break; /* cores of the package */
    case 0x8000000a:
        memset(out, 0, 4 * sizeof out[0]);
        break;
    case 0x8000001d:
        leaf_cache(c, out);
        break;
    case 0x8000001e:
        out[0] = out[1] = c->lapic->id; /* the core, with one thread */
        out[2] = out[3] = 0;
        break;
    case 0x8000001f:
        leaf_sev(c, out);
        break;
    default:
        break;
    }
}

void cpuid_answer(struct vcpu *c, u32 leaf, u32 subleaf, u32 out[4])
{
    const struct vm_config *config = &c->vm->config;
    honest_answer(c, leaf, subleaf, out);
    if (config->cpuid)
        config->cpuid(config->cpuid_context, leaf, subleaf, out);
}
