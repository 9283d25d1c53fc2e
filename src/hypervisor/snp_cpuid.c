/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPUID page of an SNP guest: the hypervisor's answers in the form that the firmware checks.
 * The guest then trusts the page instead of the hypervisor [cpu 1.6; snp 5.4]. Basic leaves end at
 * Dh, or at Ch where the processor has no XSAVE: leaf Dh without XSAVEC would end the guest.
 */
#include "abi/snp.h"
#include "hypervisor/internal.h"

#define MAX_BASIC 0xdu

#define LEAF1_ECX_DEADLINE BIT(24) /* a page with this bit is refused [snp 5.4] */

/* The leaves that a guest asks for, with their subleaves [cpu 1.5]. */
static const struct {
    u32 first, last, subleaves;
} rows[] = {
    {0x00000000, 0x00000003, 1}, {0x00000005, 0x00000006, 1},  {0x00000007, 0x00000007, 2},
    {0x0000000b, 0x0000000b, 2}, {0x0000000d, 0x0000000d, 64}, {0x40000000, 0x40000001, 1},
    {0x80000000, 0x8000000a, 1}, {0x80000019, 0x8000001b, 1},  {0x8000001d, 0x8000001d, 5},
    {0x8000001e, 0x80000022, 1},
};

static void add(struct vcpu *c, struct snp_cpuid_page *page, u32 leaf, u32 subleaf)
{
    u32 out[4], xsave[4];
    bool sized = leaf == 0xd && subleaf < 2; /* its EBX depends on XCR0 and XSS */
    cpuid_answer(c, leaf, subleaf, out);
    cpuid_answer(c, 0xd, 0, xsave);
    if (leaf == 0)
        out[0] = (u32)min_u64(out[0], xsave[0] ? MAX_BASIC : MAX_BASIC - 1);
    if (leaf == 1)
        out[2] &= (u32)~LEAF1_ECX_DEADLINE;
    bool none = !(out[0] | out[1] | out[2] | out[3]);
    if (none || page->count == SNP_CPUID_ENTRIES)
        return; /* an absent leaf reads as zeros */
    page->entries[page->count++] = (struct snp_cpuid_entry){
        .eax_in = leaf,
        .ecx_in = subleaf,
        .xcr0_in = sized ? XSTATE_X87 : 0,
        .eax = out[0],
        .ebx = out[1],
        .ecx = out[2],
        .edx = out[3],
    };
}

void snp_cpuid_fill(struct vm *vm, struct snp_cpuid_page *out)
{
    memset(out, 0, sizeof *out);
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
        for (u32 leaf = rows[i].first; leaf <= rows[i].last; leaf++)
            for (u32 subleaf = 0; subleaf < rows[i].subleaves; subleaf++)
                add(&vm->cpus[0], out, leaf, subleaf);
}
