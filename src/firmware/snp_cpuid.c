/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPUID policy: which processor features a guest may be told about [snp 5.4]. AMD defines the
 * frame; softsev defines the rule for each register, from what the emulated processors have and
 * from what public hypervisors send.
 */
#include "firmware/internal.h"

#include <stdio.h>

enum rule {
    ZERO = 0, /* also the rule for every register of a leaf without a row */
    STRICT,   /* the host's value */
    BITS_OF,  /* only bits that the host has */
    AT_MOST,  /* a count or size, at most the host's */
    OR_ZERO,  /* the host's value, or zero */
    LAST,     /* the number of the last leaf or subleaf: the host's, or what this table knows */
    ANY,
};

#define EVERY_SUBLEAF 0xffffffffu

struct row {
    u32 leaf, first,
        last;         /* subleaves; both EVERY_SUBLEAF if ECX does not matter or all are alike */
    u8 rules[4];      /* EAX EBX ECX EDX */
    u32 unchecked[4]; /* bits that depend on run time or on the hypervisor */
};

#define ONE(leaf_)           .leaf = (leaf_), .first = EVERY_SUBLEAF, .last = EVERY_SUBLEAF
#define SUB(leaf_, from, to) .leaf = (leaf_), .first = (from), .last = (to)

// clang-format off
static const struct row rows[] = {
    {ONE(0x00000000), .rules = {LAST, STRICT, STRICT, STRICT}},
    {ONE(0x00000001), .rules = {ANY, ANY, BITS_OF, BITS_OF},   /* x2APIC, OSXSAVE, hypervisor; APIC, HTT */
                      .unchecked = {0, 0, 1u << 21 | 1u << 27 | 1u << 31, 1u << 9 | 1u << 28}},
    {ONE(0x00000005), .rules = {ANY, ANY, ANY, ANY}},
    {ONE(0x00000006), .rules = {BITS_OF, AT_MOST, BITS_OF, BITS_OF}, .unchecked = {1u << 2}}, /* ARAT: the timer's */
    {SUB(0x00000007, 0, 0), .rules = {LAST, BITS_OF, BITS_OF, BITS_OF}, .unchecked = {0, 0, 1u << 4}}, /* OSPKE */
    {SUB(0x00000007, 1, 2), .rules = {BITS_OF, BITS_OF, BITS_OF, BITS_OF}},
    {ONE(0x0000000b), .rules = {ANY, ANY, ANY, ANY}},
    {SUB(0x0000000d, 0, 0), .rules = {BITS_OF, ANY, AT_MOST, BITS_OF}}, /* EBX depends on XCR0_IN */
    {SUB(0x0000000d, 1, 1), .rules = {BITS_OF, ANY, BITS_OF, BITS_OF}}, /* EBX depends on XSS_IN */
    {SUB(0x0000000d, 2, 63), .rules = {OR_ZERO, OR_ZERO, OR_ZERO, OR_ZERO}},
    {ONE(0x80000000), .rules = {LAST, STRICT, STRICT, STRICT}},
    {ONE(0x80000001), .rules = {ANY, ANY, BITS_OF, BITS_OF}, .unchecked = {0, 0, 1u << 1, 1u << 9}}, /* CmpLegacy; APIC */
    {ONE(0x80000002), .rules = {ANY, ANY, ANY, ANY}}, /* brand */
    {ONE(0x80000003), .rules = {ANY, ANY, ANY, ANY}},
    {ONE(0x80000004), .rules = {ANY, ANY, ANY, ANY}},
    {ONE(0x80000005), .rules = {ANY, ANY, ANY, ANY}}, /* caches */
    {ONE(0x80000006), .rules = {ANY, ANY, ANY, ANY}},
    {ONE(0x80000007), .rules = {BITS_OF, BITS_OF, AT_MOST, BITS_OF}},
    {ONE(0x80000008), .rules = {ANY, BITS_OF, ANY, ANY}}, /* widths, core counts */
    {ONE(0x8000000a), .rules = {AT_MOST, AT_MOST, ZERO, BITS_OF}},
    {ONE(0x80000019), .rules = {ANY, ANY, ANY, ANY}}, /* TLBs */
    {ONE(0x8000001a), .rules = {BITS_OF, ZERO, ZERO, ZERO}},
    {ONE(0x8000001b), .rules = {BITS_OF, ZERO, ZERO, ZERO}},
    {ONE(0x8000001d), .rules = {ANY, ANY, ANY, ANY}}, /* cache topology */
    {ONE(0x8000001e), .rules = {ANY, ANY, ANY, ANY}}, /* APIC ids */
    {ONE(0x8000001f), .rules = {BITS_OF, STRICT, ANY, ANY}, .unchecked = {0, ~0x3fu}}, /* the C-bit is the host's */
    {ONE(0x80000020), .rules = {BITS_OF, BITS_OF, BITS_OF, BITS_OF}},
    {ONE(0x80000021), .rules = {BITS_OF, ANY, BITS_OF, BITS_OF}},
    {ONE(0x80000022), .rules = {BITS_OF, AT_MOST, BITS_OF, BITS_OF}},
    {ONE(0x80000026), .rules = {ANY, ANY, ANY, ANY}}, /* topology */
};
// clang-format on

u32 snp_fms(const struct firmware_profile *p)
{
    u32 extended_family = p->family > 0xfu ? (u32)p->family - 0xf : 0;
    u32 base_family = p->family > 0xfu ? 0xf : (u32)p->family;
    return p->stepping | (u32)(p->model & 0xf) << 4 | base_family << 8 |
           (u32)(p->model >> 4) << 16 | extended_family << 20;
}

static bool in_range(u32 leaf)
{
    return leaf <= 0xffff || (leaf >= 0x80000000 && leaf <= 0x8000ffff);
}

static const struct row *find_row(u32 leaf, u32 subleaf)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].leaf == leaf && (rows[i].first == EVERY_SUBLEAF ||
                                     (subleaf >= rows[i].first && subleaf <= rows[i].last)))
            return &rows[i];
    return NULL;
}

/* Returns the last leaf of the same range that has a row; of leaf 7, which counts its subleaves,
 * the last subleaf. QEMU sends its model's numbers, whatever the host has; leaves that the host
 * lacks are zero by their own rules, so these numbers tell the guest of nothing [host 6.4]. */
static u32 last_known(u32 leaf)
{
    u32 last = 0;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (leaf == 7 && rows[i].leaf == 7)
            last = rows[i].last > last ? rows[i].last : last;
        else if (leaf != 7 && (rows[i].leaf ^ leaf) <= 0xffff && rows[i].leaf > last)
            last = rows[i].leaf;
    }
    return last;
}

static u32 at_most(u32 value, u32 limit)
{
    return value < limit ? value : limit;
}

/* Returns the nearest value that the rule of a leaf's register allows. */
static u32 allowed(u32 leaf, enum rule rule, u32 value, u32 host)
{
    const u32 known = rule == LAST ? last_known(leaf) : 0;
    switch (rule) {
    case ZERO:
        return 0;
    case STRICT:
        return host;
    case BITS_OF:
        return value & host;
    case AT_MOST:
        return at_most(value, host);
    case LAST:
        return at_most(value, host > known ? host : known);
    case OR_ZERO:
        return value ? host : 0;
    default:
        return value;
    }
}

static bool check_entry(const struct firmware *fw, struct snp_cpuid_entry *e)
{
    static const struct row none = {.leaf = 0};
    const struct row *row = find_row(e->eax_in, e->ecx_in);
    u32 host[4] = {0}, out[4] = {e->eax, e->ebx, e->ecx, e->edx}, right[4];
    if (row && !fw->processor.cpuid)
        return true; /* a platform without cores has nothing to compare with */
    if (row)
        fw->processor.cpuid(fw->processor.context, e->eax_in, e->ecx_in, host);
    row = row ? row : &none;
    for (unsigned i = 0; i < 4; i++) {
        u32 free_bits = row->unchecked[i];
        right[i] = allowed(e->eax_in, (enum rule)row->rules[i], out[i] & ~free_bits,
                           host[i] & ~free_bits) |
                   (out[i] & free_bits);
    }
    e->eax = right[0];
    e->ebx = right[1];
    e->ecx = right[2];
    e->edx = right[3];
    return !memcmp(right, out, sizeof out);
}

bool snp_cpuid_check(const struct firmware *fw, struct snp_cpuid_entry *entries, u32 count,
                     const char **why)
{
    static const char *const reasons[] = {"a basic leaf", "an extended leaf", "a reserved field"};
    bool good = true;
    for (u32 i = 0; i < count; i++) {
        struct snp_cpuid_entry *e = &entries[i];
        bool reserved = e->reserved_28 != 0;
        e->reserved_28 = 0;
        bool passes = !in_range(e->eax_in) || check_entry(fw, e);
        if (good && (!passes || reserved))
            *why = reasons[reserved ? 2 : e->eax_in >> 31];
        good = good && passes && !reserved;
    }
    return good;
}
