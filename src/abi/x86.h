/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of the x86-64 architecture: flags, control registers, vectors, MSRs, page-table bits
 * [APM2]. */
#ifndef SOFTSEV_ABI_X86_H
#define SOFTSEV_ABI_X86_H

#include "base/base.h"

/* General registers, numbered as in instruction encodings. */
enum gpr { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, GPRS };

/* Address sizes of this machine, as its CPUID reports them. */
#define PHYSICAL_BITS 48u
#define VIRTUAL_BITS  48u
#define C_BIT         51u /* encryption bit of a page-table entry [cpu 1.3] */

#define PHYSICAL_MASK (BIT(PHYSICAL_BITS) - 1)

/* The first address after the lower half of the canonical addresses. */
#define CANONICAL_LOW_END BIT(VIRTUAL_BITS - 1)

/* Returns the address with its unimplemented upper bits set to the highest implemented bit. */
static inline u64 canonical_of(u64 address)
{
    u32 unused = 64 - VIRTUAL_BITS;
    return (u64)((s64)(address << unused) >> unused);
}

static inline bool canonical(u64 address)
{
    return canonical_of(address) == address;
}

#define RFLAGS_CF         BIT(0)
#define RFLAGS_ONE        BIT(1) /* reads as one */
#define RFLAGS_PF         BIT(2)
#define RFLAGS_AF         BIT(4)
#define RFLAGS_ZF         BIT(6)
#define RFLAGS_SF         BIT(7)
#define RFLAGS_TF         BIT(8)
#define RFLAGS_IF         BIT(9)
#define RFLAGS_DF         BIT(10)
#define RFLAGS_OF         BIT(11)
#define RFLAGS_IOPL       (BIT(12) | BIT(13))
#define RFLAGS_NT         BIT(14)
#define RFLAGS_RF         BIT(16)
#define RFLAGS_VM         BIT(17)
#define RFLAGS_AC         BIT(18)
#define RFLAGS_VIF        BIT(19)
#define RFLAGS_VIP        BIT(20)
#define RFLAGS_ID         BIT(21)
#define RFLAGS_ARITHMETIC (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

#define CR4_VME        BIT(0)
#define CR4_PVI        BIT(1)
#define CR4_TSD        BIT(2)
#define CR4_DE         BIT(3)
#define CR4_PSE        BIT(4)
#define CR4_PAE        BIT(5)
#define CR4_MCE        BIT(6)
#define CR4_PGE        BIT(7)
#define CR4_PCE        BIT(8)
#define CR4_OSFXSR     BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP       BIT(11)
#define CR4_LA57       BIT(12)
#define CR4_FSGSBASE   BIT(16)
#define CR4_PCIDE      BIT(17)
#define CR4_OSXSAVE    BIT(18)
#define CR4_SMEP       BIT(20)
#define CR4_SMAP       BIT(21)
#define CR4_PKE        BIT(22)

#define DR6_B     0xfull /* B0 to B3: breakpoints that were hit */
#define DR6_BD    BIT(13)
#define DR6_BS    BIT(14)
#define DR6_BT    BIT(15)
#define DR7_LOCAL 0x155ull /* L0 to L3, LE */
#define DR7_GD    BIT(13)
#define DR6_RESET 0xffff0ff0ull
#define DR7_RESET 0x400ull

#define EFER_SCE    BIT(0)
#define EFER_LME    BIT(8)
#define EFER_LMA    BIT(10)
#define EFER_NXE    BIT(11)
#define EFER_SVME   BIT(12)
#define EFER_LMSLE  BIT(13)
#define EFER_FFXSR  BIT(14)
#define EFER_TCE    BIT(15)
#define EFER_AIBRSE BIT(21)

enum vector {
    VECTOR_DE = 0,
    VECTOR_DB = 1,
    VECTOR_NMI = 2,
    VECTOR_BP = 3,
    VECTOR_OF = 4,
    VECTOR_BR = 5,
    VECTOR_UD = 6,
    VECTOR_NM = 7,
    VECTOR_DF = 8,
    VECTOR_TS = 10,
    VECTOR_NP = 11,
    VECTOR_SS = 12,
    VECTOR_GP = 13,
    VECTOR_PF = 14,
    VECTOR_MF = 16,
    VECTOR_AC = 17,
    VECTOR_MC = 18,
    VECTOR_XF = 19,
    VECTOR_HV = 28,
    VECTOR_VC = 29,
    VECTOR_SX = 30,
};

/* Bits of the error code of #PF. */
#define PF_PRESENT BIT(0)
#define PF_WRITE   BIT(1)
#define PF_USER    BIT(2)
#define PF_RSV     BIT(3)
#define PF_FETCH   BIT(4)
#define PF_PK      BIT(5)
#define PF_RMP     BIT(31)

/* Bits of page-table entries. */
#define PTE_P          BIT(0)
#define PTE_RW         BIT(1)
#define PTE_US         BIT(2)
#define PTE_A          BIT(5)
#define PTE_D          BIT(6)
#define PTE_PS         BIT(7)
#define PTE_G          BIT(8)
#define PTE_NX         BIT(63)
#define PTE_ADDRESS    0x000ffffffffff000ull
#define PTE_KEY(entry) BITS(entry, 62, 59) /* protection key of a user page */
/* Reserved bits, except the C-bit if it is in use. */
#define PTE_BEYOND (PTE_ADDRESS & ~PHYSICAL_MASK)
/* PAE paging's four page-directory pointers: their address in CR3, and the reserved bits of a
 * pointer other than address bits [APM2 5.2.3]. */
#define PAE_POINTERS_ADDRESS 0xffffffe0u
#define PAE_POINTER_RESERVED                                                                       \
    (PTE_NX | BITS(~0ull, 62, 52) << 52 | BITS(~0ull, 8, 5) << 5 | PTE_RW | PTE_US)

/* Segment attributes in the VMCB's form: descriptor bits 47:40, then AVL L D/B G. */
#define SEG_TYPE            0xfu
#define SEG_CODE            BIT(3) /* with S: code segment */
#define SEG_DOWN            BIT(2) /* data: expand down; code: conforming */
#define SEG_RW              BIT(1) /* data: writable; code: readable */
#define SEG_A               BIT(0)
#define SEG_S               BIT(4)
#define SEG_DPL(attributes) (((attributes) >> 5) & 3u)
#define SEG_DPL_SHIFT       5
#define SEG_P               BIT(7)
#define SEG_AVL             BIT(8)
#define SEG_L               BIT(9)
#define SEG_DB              BIT(10)
#define SEG_G               BIT(11)

/* CPUID 8000_000A EDX [cpu 1.1] */
#define SVM_PAUSE_THRESHOLD BIT(12)
#define SVM_VIRTUAL_VMLOAD  BIT(15)
#define SVM_VIRTUAL_GIF     BIT(16)
#define SVM_VIRTUAL_NMI     BIT(25)

#define DEBUGCTL_LBR BIT(0) /* records branches */
#define DEBUGCTL_BTF BIT(1) /* RFLAGS.TF traps after branches alone */

#define MSR_TSC            0x10u
#define MSR_APIC_BASE      0x1bu
#define MSR_SPEC_CTRL      0x48u
#define MSR_PRED_CMD       0x49u
#define MSR_PATCH_LEVEL    0x8bu
#define MSR_MTRRCAP        0xfeu
#define MSR_SYSENTER_CS    0x174u
#define MSR_SYSENTER_ESP   0x175u
#define MSR_SYSENTER_EIP   0x176u
#define MSR_MCG_CAP        0x179u
#define MSR_MCG_STATUS     0x17au
#define MSR_MCG_CTL        0x17bu
#define MSR_DEBUGCTL       0x1d9u
#define MSR_BR_FROM        0x1dbu
#define MSR_BR_TO          0x1dcu
#define MSR_EXCEPTION_FROM 0x1ddu
#define MSR_EXCEPTION_TO   0x1deu
#define MSR_PAT            0x277u
#define MSR_MTRR_DEF_TYPE  0x2ffu
#define MSR_TSC_DEADLINE   0x6e0u
#define MSR_XSS            0xda0u
#define MSR_X2APIC         0x800u
#define MSR_EFER           0xc0000080u
#define MSR_STAR           0xc0000081u
#define MSR_LSTAR          0xc0000082u
#define MSR_CSTAR          0xc0000083u
#define MSR_SFMASK         0xc0000084u
#define MSR_FS_BASE        0xc0000100u
#define MSR_GS_BASE        0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX        0xc0000103u
#define MSR_TSC_RATIO      0xc0000104u
#define TSC_RATIO_ONE      BIT(32) /* 8.32 fixed point */
#define MSR_SYSCFG         0xc0010010u
#define MSR_HWCR           0xc0010015u
#define MSR_VM_CR          0xc0010114u
#define MSR_VM_HSAVE_PA    0xc0010117u
#define MSR_GHCB           0xc0010130u
#define MSR_SEV_STATUS     0xc0010131u
#define MSR_RMP_BASE       0xc0010132u
#define MSR_RMP_END        0xc0010133u
#define MSR_GUEST_TSC_FREQ 0xc0010134u
#define MSR_VIRTUAL_TOM    0xc0010135u
#define MSR_DE_CFG         0xc0011029u
#define MSR_TOP_MEM        0xc001001au
#define MSR_TOP_MEM2       0xc001001du

/* CR3 with CR4.PCIDE: the process-context identifier, and (MOV to CR3 only) that its translations
 * may stay. */
#define CR3_PCID    0xfffu
#define CR3_NOFLUSH BIT(63)

/* Eight memory types, one in each byte: write-back, write-through, UC-, uncacheable, then the same
 * four again. */
#define PAT_RESET 0x0007040600070406ull

/* Offsets in FXSAVE's image. 0 control word, 2 status, 4 abridged tags, 6 opcode, 8 IP, 16 DP, then
 * these [APM2 11.4.4]. Then the values of two control registers after FNINIT and a reset. */
#define FXSAVE_MXCSR      24u  /* and its mask at 28 */
#define FXSAVE_ST         32u  /* ST(0)..ST(7), 16 bytes each */
#define FXSAVE_XMM        160u /* XMM0..XMM15, 16 bytes each */
#define FXSAVE_END        416u
#define X87_CONTROL_RESET 0x37fu
#define MXCSR_RESET       0x1f80u
#define MXCSR_VALID       0xffffu /* MXCSR_MASK: the bits that MXCSR has */

/* Components of an XSAVE image, as bits of XCR0. x87 and SSE lie at its start, in FXSAVE's layout,
 * and the header follows them. The others have the offsets of the standard form. */
#define XSTATE_X87         BIT(0)
#define XSTATE_SSE         BIT(1)
#define XSTATE_AVX         BIT(2) /* bits 255:128 of the YMM registers */
#define XSTATE_PKRU        BIT(9)
#define XSTATE_LEGACY_SIZE 512u
#define XSTATE_HEADER_SIZE 64u
#define XSTATE_AVX_OFFSET  576u
#define XSTATE_AVX_SIZE    256u
#define XSTATE_PKRU_OFFSET 2432u
#define XSTATE_PKRU_SIZE   8u
#define XSTATE_SIZE        (XSTATE_PKRU_OFFSET + XSTATE_PKRU_SIZE) /* of all that are supported */

#define SYSCFG_MFDM        BIT(19)
#define SYSCFG_MEM_ENCRYPT BIT(23)
#define SYSCFG_SNP_EN      BIT(24)
#define SYSCFG_VMPL_EN     BIT(25)
#define HWCR_SMM_LOCK      BIT(0)
#define VM_CR_R_INIT       BIT(1)
#define VM_CR_LOCK         BIT(3)
#define VM_CR_SVMDIS       BIT(4)
#define SEV_STATUS_SEV     BIT(0)
#define SEV_STATUS_ES      BIT(1)
#define SEV_STATUS_SNP     BIT(2)

#endif
