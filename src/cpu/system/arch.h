/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The architectural state of one world: all that VMRUN and #VMEXIT exchange, and what a VMSA, a
 * debugger and XSAVE describe. struct engine has the state of the execution engine.
 */
#ifndef SOFTSEV_CPU_SYSTEM_ARCH_H
#define SOFTSEV_CPU_SYSTEM_ARCH_H

#include "abi/x86.h"
#include "base/base.h"

/* The general registers have the numbers of their encodings; these registers follow: */
#define REG_ZERO GPRS /* always 0: "no base", "no index" */
#define REG_EA   17   /* linear address that the preceding address uop computed */
/* RIP of the running block's first byte: base of RIP-relative operands */
#define REG_BLOCK 18
#define REGS      19

enum segment_index { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEGS };

struct segment {
    u16 selector;
    u16 attributes; /* VMCB form: 7:0 type S DPL P; 8 AVL, 9 L, 10 D/B, 11 G (x86.h SEG_...) */
    u32 limit;      /* in bytes, granularity applied */
    u64 base;
};

union xmm {
    u8 b[16];
    u16 w[8];
    u32 d[4];
    u64 q[2];
    float f32[4];
    double f64[2];
};

/* A vector register at its full width. XMM is its lowest quarter. */
#define VECTOR_BYTES 64
#define VECTORS      32

union vector_register {
    union xmm xmm;
    union xmm lane[VECTOR_BYTES / 16];
    u8 b[VECTOR_BYTES];
};

struct x87 {
    /* physical registers 0..7; ST(i) = st[(top + i) & 7]; MMX registers alias mantissas */
    long double st[8];
    /* status without TOP (kept in top); tag: two bits a register, 3 = empty */
    u16 control, status, tag;
    u8 top;
    u16 opcode, ip_selector, dp_selector;
    u64 ip, dp;
};

/* --- What registers can hold ------------------------------------------------------------------ */

#define CR0_DEFINED                                                                                \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD |     \
     CR0_PG)
/* CR4 bits whose features CPUID reports; the others are reserved. */
#define CR4_DEFINED                                                                                \
    (CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE | CR4_OSFXSR |             \
     CR4_OSXMMEXCPT | CR4_UMIP | CR4_FSGSBASE | CR4_PCIDE | CR4_OSXSAVE | CR4_SMEP | CR4_SMAP |    \
     CR4_PKE)
/* Components that XCR0 and IA32_XSS can enable. */
#define XCR0_DEFINED     (XSTATE_X87 | XSTATE_SSE | XSTATE_AVX | XSTATE_PKRU)
#define XSS_DEFINED      0ull
#define DEBUGCTL_DEFINED 0x3full
#define RFLAGS_DEFINED   0x3f7fd7u
#define DR6_OF(value)    (((value)&0xe00f) | DR6_RESET)
#define DR7_OF(value)    (((value)&0xffff23ff) | DR7_RESET)

/* --- The state -------------------------------------------------------------------------------- */

struct arch {
    /* the general registers, followed by the engine's own, so that operands need no special case */
    u64 r[REGS];
    /* at a uop_generic: address of the next instruction; between blocks: where to continue */
    u64 rip;
    u64 rflags; /* without the arithmetic bits, which are in engine.flags */
    u32 cpl;
    /* STI or MOV SS just retired: no event is taken before the next instruction */
    bool interrupt_shadow;
    bool gif;

    struct segment seg[SEGS], gdtr, idtr, ldtr, tr;
    u64 cr0, cr2, cr3, cr4, cr8;
    u64 dr[4], dr6, dr7;
    u64 efer, xcr0, xss, pat;
    u64 star, lstar, cstar, sfmask, kernel_gs_base;
    u64 sysenter_cs, sysenter_esp, sysenter_eip;
    u64 tsc_aux, spec_ctrl;
    u64 debugctl, br_from, br_to, last_exception_from, last_exception_to;

    u32 mxcsr, pkru;
    union vector_register vector[VECTORS]; /* the implemented instructions reach YMM0 to YMM15 */
    struct x87 x87;
};

/* Copies XMM0 and the registers after it, 16 bytes each. */
#define XMM_REGISTERS 16u

static inline void xmm_load(struct arch *a, const void *from, u32 count)
{
    for (u32 i = 0; i < count; i++)
        memcpy(&a->vector[i].xmm, (const u8 *)from + i * sizeof(union xmm), sizeof(union xmm));
}

static inline void xmm_store(const struct arch *a, void *to, u32 count)
{
    for (u32 i = 0; i < count; i++)
        memcpy((u8 *)to + i * sizeof(union xmm), &a->vector[i].xmm, sizeof(union xmm));
}

#endif
