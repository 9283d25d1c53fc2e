/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID of the core itself [APM3 E]: a third-generation server processor without the features that
 * softsev lacks (AVX, XSAVE, x2APIC, counters), plus the bits that tell software which workarounds
 * it does not need. The hypervisor intercepts CPUID and composes a guest's values from these.
 */
#include "cpu/internal.h"

#define SIGNATURE 0x00a00f11 /* family 19h, model 1, stepping 1 */

enum { EAX, EBX, ECX, EDX };

// clang-format off
#define LEAF_1_ECX    (BIT(0) /* SSE3 */ | BIT(9) /* SSSE3 */ | BIT(13) /* CX16 */ | BIT(19) /* SSE4.1 */ |            \
                       BIT(20) /* SSE4.2 */ | BIT(22) /* MOVBE */ | BIT(23) /* POPCNT */ | BIT(30) /* RDRAND */)
#define LEAF_1_EDX    (BIT(0) /* FPU */ | BIT(2) /* DE */ | BIT(3) /* PSE */ | BIT(4) /* TSC */ | BIT(5) /* MSR */ |   \
                       BIT(6) /* PAE */ | BIT(7) /* MCE */ | BIT(8) /* CX8 */ | BIT(9) /* APIC */ | BIT(11) /* SEP */ | \
                       BIT(12) /* MTRR */ | BIT(13) /* PGE */ | BIT(14) /* MCA */ | BIT(15) /* CMOV */ |               \
                       BIT(16) /* PAT */ | BIT(17) /* PSE36 */ | BIT(19) /* CLFSH */ | BIT(23) /* MMX */ |             \
                       BIT(24) /* FXSR */ | BIT(25) /* SSE */ | BIT(26) /* SSE2 */)
#define LEAF_7_EBX    (BIT(0) /* FSGSBASE */ | BIT(7) /* SMEP */ | BIT(9) /* ERMS */ | BIT(18) /* RDSEED */ |          \
                       BIT(19) /* ADX */ | BIT(20) /* SMAP */ | BIT(23) /* CLFLUSHOPT */ | BIT(24) /* CLWB */)
#define LEAF_7_ECX    (BIT(2) /* UMIP */ | BIT(22) /* RDPID */)
#define LEAF_7_EDX    (BIT(4) /* FSRM */)
/* 8000_0001 EDX repeats these bits of leaf 1. */
#define REPEATED      (BITS(~0ull, 9, 0) | BITS(~0ull, 5, 0) << 12 | BIT(23) | BIT(24))
#define EXT_1_ECX     (BIT(0) /* LAHF */ | BIT(2) /* SVM */ | BIT(5) /* LZCNT */ | BIT(8) /* PREFETCHW */)
#define EXT_1_EDX     ((LEAF_1_EDX & REPEATED) | BIT(11) /* SYSCALL */ | BIT(20) /* NX */ | BIT(22) /* MMXEXT */ |     \
                       BIT(26) /* 1 GiB pages */ | BIT(27) /* RDTSCP */ | BIT(29) /* LM */)
#define EXT_8_EBX     (BIT(0) /* CLZERO */ | BIT(9) /* WBNOINVD */ | BIT(26) /* SSB_NO */ | BIT(29) /* BTC_NO */)
#define EXT_A_EDX     (BIT(0) /* NP */ | BIT(1) /* LbrVirt */ | BIT(3) /* NRIPS */ | BIT(5) /* VmcbClean */ | BIT(6) /* FlushByAsid */ |      \
                       BIT(7) /* DecodeAssists */ | BIT(10) /* PauseFilter */)
#define EXT_1F_EAX    (BIT(0) /* SME */ | BIT(1) /* SEV */ | BIT(3) /* SEV-ES */ | BIT(4) /* SEV-SNP */ |              \
                       BIT(5) /* VMPL */ | BIT(6) /* RMPQUERY */ | BIT(8) /* SecureTsc */ |                            \
                       BIT(9) /* TscAuxVirtualization */ | BIT(10) /* coherent */ | BIT(12) /* RestrictedInjection */ | \
                       BIT(13) /* AlternateInjection */ | BIT(14) /* DebugVirt */ | BIT(15) /* PreventHostIbs */ |     \
                       BIT(17) /* VmgexitParameter */ | BIT(18) /* VirtualTomMsr */ | BIT(21) /* RMPREAD */ |          \
                       BIT(24) /* VmsaRegProt */ | BIT(25) /* SmtProtection */ | BIT(27) /* AllowedSevFeatures */ |    \
                       BIT(31) /* IbpbOnEntry */)
#define EXT_1F_EBX    (C_BIT | 1u << 6 /* address bits lost */ | 4u << 12 /* VMPLs */ | BIT(31) /* COHERENCY_SFW_NO */)
#define EXT_21_EAX    (BIT(0) /* no nested data breakpoints */ | BIT(2) /* LFENCE serialises */ | BIT(6) /* null clears base */ | \
                       BIT(8) /* automatic IBRS */ | BIT(29) /* SRSO_NO */)
#define EXT_21_ECX    (BIT(1) /* TSA_SQ_NO */ | BIT(2) /* TSA_L1_NO */)

/* Four characters of a name. */
#define TEXT(a, b, c, d) ((u32)(a) | (u32)(b) << 8 | (u32)(c) << 16 | (u32)(d) << 24)

struct leaf {
    u32 number;
    u32 value[4];
};

static const struct leaf leaves[] = {
    {0x00000000, {7, TEXT('A', 'u', 't', 'h'), TEXT('c', 'A', 'M', 'D'), TEXT('e', 'n', 't', 'i')}},
    {0x00000001, {SIGNATURE, 8u << 8 | 1u << 16, LEAF_1_ECX, LEAF_1_EDX}},
    {0x00000007, {0, LEAF_7_EBX, LEAF_7_ECX, LEAF_7_EDX}},
    {0x80000000, {0x80000021, TEXT('A', 'u', 't', 'h'), TEXT('c', 'A', 'M', 'D'), TEXT('e', 'n', 't', 'i')}},
    {0x80000001, {SIGNATURE, 0, EXT_1_ECX, EXT_1_EDX}},
    {0x80000002, {TEXT('s', 'o', 'f', 't'), TEXT('s', 'e', 'v', ' '), TEXT('S', 'E', 'V', ' '), TEXT('p', 'r', 'o', 'c')}},
    {0x80000003, {TEXT('e', 's', 's', 'o'), TEXT('r', ' ', 'i', 'n'), TEXT(' ', 's', 'o', 'f'), TEXT('t', 'w', 'a', 'r')}},
    {0x80000004, {TEXT('e', 0, 0, 0), 0, 0, 0}},
    {0x80000005, {0, 0, 0x20080140, 0x20080140}}, /* L1: 32 KiB, 8 ways, 64 bytes */
    {0x80000006, {0, 0, 0x02006140, 0}},          /* L2: 512 KiB, 8 ways */
    {0x80000007, {0, 0, 0, BIT(8)}},              /* invariant TSC */
    {0x80000008, {VIRTUAL_BITS << 8 | PHYSICAL_BITS, EXT_8_EBX, 0, 0}},
    {0x8000000a, {1, 0, 0, EXT_A_EDX}},
    {0x8000001f, {EXT_1F_EAX, EXT_1F_EBX, 0, 0}},
    {0x80000021, {EXT_21_EAX, 0, EXT_21_ECX, 0}},
};
// clang-format on

static void fill_variable(const struct cpu *c, u32 leaf, u32 out[4])
{
    switch (leaf) {
    case 1:
        out[EBX] |= c->id << 24;
        break;
    case 0x8000000a:
        out[EBX] = memory_asids(c->memory) + 1;
        break;
    case 0x8000001f:
        out[ECX] = memory_asids(c->memory);
        out[EDX] = c->asid_min;
        break;
    }
}

void cpuid(struct cpu *c, u32 leaf, u32 subleaf, u32 out[4])
{
    memset(out, 0, 4 * sizeof out[0]);
    if (leaf == 7 && subleaf)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(leaves); i++)
        if (leaves[i].number == leaf)
            memcpy(out, leaves[i].value, sizeof leaves[i].value);
    fill_variable(c, leaf, out);
}

void exec_cpuid(struct cpu *c, const struct insn *in)
{
    (void)in;
    if (c->guest.snp) /* #VC, whatever the host intercepts [cpu 6.1] */
        cpu_exit(c, EXIT_CPUID, 0, 0);
    intercept(c, EXIT_CPUID);
    u32 out[4];
    cpuid(c, (u32)c->arch.r[RAX], (u32)c->arch.r[RCX], out);
    c->arch.r[RAX] = out[EAX];
    c->arch.r[RBX] = out[EBX];
    c->arch.r[RCX] = out[ECX];
    c->arch.r[RDX] = out[EDX];
}

void cpu_host_cpuid(struct cpu *c, u32 leaf, u32 subleaf, u32 out[4])
{
    cpuid(c, leaf, subleaf, out);
}
