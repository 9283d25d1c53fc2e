/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID of the core itself [APM3 E]: the feature bits of its model (cpu/model.h), and here the
 * leaves that hold more than such bits: names, sizes, topology, caches. The hypervisor intercepts
 * CPUID and composes a guest's values from these.
 */
#include "cpu/system/xsave.h"
#include "memory/rmp.h"

enum { EAX, EBX, ECX, EDX };

#define BASIC_LAST      0x0du
#define BASIC_BEFORE    0x0bu /* without XSAVE */
#define EXTENDED        0x80000000u
#define EXTENDED_LAST   0x80000021u
#define EXTENDED_BEFORE 0x8000001fu /* if no bit of the last leaf is shown */

#define APIC       BIT(9)  /* as APIC_BASE enables it */
#define OSXSAVE    BIT(27) /* while CR4.OSXSAVE is set */
#define PKU        BIT(3)
#define OSPKE      BIT(4) /* while CR4.PKE is set */
#define CMP_LEGACY BIT(1)
#define HTT        BIT(28)
#define LINE       64u

#define ADDRESS_BITS_LOST 6u /* of 8000_001F EBX: the key's */

/* --- Names ------------------------------------------------------------------------------------ */

static void vendor(u32 last, u32 out[4])
{
    out[EAX] = last;
    memcpy(&out[EBX], "Auth", 4);
    memcpy(&out[EDX], "enti", 4);
    memcpy(&out[ECX], "cAMD", 4);
}

/* Answers a third of the name: 48 bytes, filled up with zeros. */
static void brand(const struct cpu *c, u32 third, u32 out[4])
{
    char text[48] = "";
    const char *name = cpu_part_brand(c->model.part);
    memcpy(text, name, min_u64(strlen(name), sizeof text - 1));
    memcpy(out, text + (size_t)16 * third, 16);
}

/* --- Caches ----------------------------------------------------------------------------------- */

enum { L1D, L1I, L2, L3, CACHES };

struct cache {
    u32 kib, ways;
};

/* The L3 is shared by the cores of a complex. */
static const struct {
    struct cache cache[CACHES];
    u32 complex;
} caches[PART_COUNT] = {
    [PART_NAPLES] = {{{32, 8}, {64, 4}, {512, 8}, {8 * 1024, 16}}, 4},
    [PART_ROME] = {{{32, 8}, {32, 8}, {512, 8}, {16 * 1024, 16}}, 4},
    [PART_MILAN] = {{{32, 8}, {32, 8}, {512, 8}, {32 * 1024, 16}}, 8},
    [PART_GENOA] = {{{32, 8}, {32, 8}, {1024, 8}, {32 * 1024, 16}}, 8},
    [PART_TURIN] = {{{48, 12}, {32, 8}, {1024, 16}, {32 * 1024, 16}}, 8},
};

static enum part looks_like(const struct cpu *c)
{
    return c->model.part == PART_COUNT ? PART_MILAN : c->model.part;
}

/* Answers one cache of leaf 8000_001D: type and level, who shares it, line and ways, sets. */
static void cache_leaf(const struct cpu *c, u32 n, u32 out[4])
{
    static const u32 kinds[CACHES] = {1 | 1 << 5, 2 | 1 << 5, 3 | 2 << 5, 3 | 3 << 5};
    static const u32 traits[CACHES] = {0, 0, 2 /* inclusive */, 1 /* WBINVD acts on one L3 */};
    if (n >= CACHES)
        return;
    const struct cache *cache = &caches[looks_like(c)].cache[n];
    const u32 sharing = (u32)min_u64(c->cores, caches[looks_like(c)].complex);
    out[EAX] = kinds[n] | 1u << 8 | (n == L3 ? sharing - 1 : 0) << 14;
    out[EBX] = (cache->ways - 1) << 22 | (LINE - 1);
    out[ECX] = cache->kib * 1024 / LINE / cache->ways - 1;
    out[EDX] = traits[n];
}

/* Returns the code of leaf 8000_0006 for a number of ways; 9 refers to leaf 8000_001D. */
static u32 ways_code(u32 ways)
{
    return ways == 8 ? 6 : ways == 16 ? 8 : 9;
}

static void cache_sizes(const struct cpu *c, u32 leaf, u32 out[4])
{
    const struct cache *k = caches[looks_like(c)].cache;
    if (leaf == 0x80000005) {
        out[ECX] = k[L1D].kib << 24 | k[L1D].ways << 16 | 1u << 8 | LINE;
        out[EDX] = k[L1I].kib << 24 | k[L1I].ways << 16 | 1u << 8 | LINE;
    } else {
        out[ECX] = k[L2].kib << 16 | ways_code(k[L2].ways) << 12 | 1u << 8 | LINE;
        out[EDX] = k[L3].kib / 512 << 18 | 9u << 12 | 1u << 8 | LINE;
    }
}

/* --- Topology: one thread a core, all cores in one package ------------------------------------ */

static u32 id_bits(const struct cpu *c)
{
    u32 bits = 0;
    while (1u << bits < c->cores)
        bits++;
    return bits;
}

static void topology(const struct cpu *c, u32 subleaf, u32 out[4])
{
    out[EAX] = subleaf == 1 ? id_bits(c) : 0;
    out[EBX] = subleaf == 0 ? 1 : subleaf == 1 ? c->cores : 0;
    out[ECX] = subleaf < 2 ? subleaf | (subleaf + 1) << 8 : subleaf;
    out[EDX] = c->id;
}

/* --- The leaves ------------------------------------------------------------------------------- */

static u32 extended_last(const struct cpu *c)
{
    const u32 bits = cpu_model_bits(&c->model, EXTENDED_LAST, 0, EAX) |
                     cpu_model_bits(&c->model, EXTENDED_LAST, 0, ECX);
    return bits ? EXTENDED_LAST : EXTENDED_BEFORE;
}

static bool shows_xsave(const struct cpu *c)
{
    return cpu_model_bits(&c->model, 1, 0, ECX) & BIT(26);
}

static u32 basic_last(const struct cpu *c)
{
    return shows_xsave(c) ? BASIC_LAST : BASIC_BEFORE;
}

/* Returns the components of XCR0 whose features the model shows. */
static u64 shown_components(const struct cpu *c)
{
    const bool avx = cpu_model_bits(&c->model, 1, 0, ECX) & BIT(28);
    const bool pku = cpu_model_bits(&c->model, 7, 0, ECX) & PKU;
    return XSTATE_X87 | XSTATE_SSE | (avx ? XSTATE_AVX : 0) | (pku ? XSTATE_PKRU : 0);
}

static void sev_leaf(const struct cpu *c, u32 out[4])
{
    const bool snp = out[EAX] & BIT(4);
    out[EBX] |= C_BIT | ADDRESS_BITS_LOST << 6 | (snp ? RMP_VMPLS << 12 : 0);
    out[ECX] = memory_asids(c->memory);
    out[EDX] = c->asid_min;
}

static void fill(const struct cpu *c, u32 leaf, u32 subleaf, u32 out[4])
{
    const u32 many = c->cores > 1;
    switch (leaf) {
    case 0:
    case EXTENDED:
        vendor(leaf ? extended_last(c) : basic_last(c), out);
        break;
    case 1:
        out[EAX] = c->model.signature;
        out[EBX] = LINE / 8 << 8 | c->cores << 16 | c->id << 24;
        out[ECX] |= shows_xsave(c) && c->arch.cr4 & CR4_OSXSAVE ? (u32)OSXSAVE : 0;
        out[EDX] |= many ? (u32)HTT : 0;
        if (c->bare.wired) {
            out[ECX] |= c->bare.wires.cpuid_1_ecx;
            out[EDX] &= c->msr.apic_base & BIT(11) ? ~0u : ~(u32)APIC;
        }
        break;
    case 7:
        out[ECX] |= out[ECX] & PKU && c->arch.cr4 & CR4_PKE ? (u32)OSPKE : 0;
        break;
    case 0xb:
        topology(c, subleaf, out);
        break;
    case 0xd:
        xsave_cpuid(c, shown_components(c), subleaf, out);
        break;
    case 0x80000001:
        out[EAX] = c->model.signature;
        out[ECX] |= many ? (u32)CMP_LEGACY : 0;
        break;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
        brand(c, leaf - 0x80000002, out);
        break;
    case 0x80000005:
    case 0x80000006:
        cache_sizes(c, leaf, out);
        break;
    case 0x80000008:
        out[EAX] = VIRTUAL_BITS << 8 | PHYSICAL_BITS;
        out[ECX] = id_bits(c) << 12 | (c->cores - 1);
        break;
    case 0x8000000a:
        out[EAX] = 1; /* the revision of SVM */
        out[EBX] = ASIDS;
        break;
    case 0x8000001d:
        cache_leaf(c, subleaf, out);
        break;
    case 0x8000001e:
        out[EAX] = out[EBX] = c->id;
        break;
    case 0x8000001f:
        sev_leaf(c, out);
        break;
    }
}

/* The subleaf counts for these leaves alone. */
static bool is_indexed(u32 leaf)
{
    return leaf == 7 || leaf == 0xb || leaf == 0xd || leaf == 0x8000001d;
}

/* Returns whether a leaf beyond the last one is asked for, which reads as zeros. */
static bool is_beyond(const struct cpu *c, u32 leaf)
{
    return leaf >= EXTENDED ? leaf > extended_last(c) : leaf > basic_last(c);
}

void cpuid(struct cpu *c, u32 leaf, u32 subleaf, u32 out[4])
{
    memset(out, 0, 4 * sizeof out[0]);
    if (is_beyond(c, leaf))
        return;
    for (u32 reg = EAX; reg <= EDX; reg++)
        out[reg] = cpu_model_bits(&c->model, leaf, is_indexed(leaf) ? subleaf : 0, reg);
    fill(c, leaf, subleaf, out);
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
