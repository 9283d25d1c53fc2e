/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VMSA: one page, encrypted under the guest's key, that holds the whole state of a virtual CPU
 * of a SEV-ES or SNP guest [APM2 App. B; cpu 4.1]. Its first part has the layout of the VMCB's save
 * area.
 */
#ifndef SOFTSEV_ABI_VMSA_H
#define SOFTSEV_ABI_VMSA_H

#include "abi/vmcb.h"

struct vmsa {
    struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
    u64 pl_ssp[4], u_cet;
    u16 reserved_0c8;
    u8 vmpl, cpl;
    u32 reserved_0cc;
    u64 efer;
    u8 reserved_0d8[0x140 - 0xd8];
    u64 xss, cr4, cr3, cr0, dr7, dr6, rflags, rip;
    u64 dr[4], dr_mask[4];
    u8 reserved_1c0[0x1d8 - 0x1c0];
    u64 rsp, s_cet, ssp, isst_addr, rax;
    u64 star, lstar, cstar, sfmask, kernel_gs_base;
    u64 sysenter_cs, sysenter_esp, sysenter_eip;
    u64 cr2;
    u8 reserved_248[0x268 - 0x248];
    u64 g_pat, dbgctl, br_from, br_to, last_exception_from, last_exception_to;
    u8 reserved_298[0x2e0 - 0x298];
    u64 spec_ctrl;
    u32 pkru, tsc_aux;
    u64 guest_tsc_scale, guest_tsc_offset, reg_prot_nonce;
    u64 rcx, rdx, rbx, secure_avic_control, rbp, rsi, rdi;
    u64 r8_15[8];
    u8 reserved_380[0x390 - 0x380];
    u64 guest_exit_info_1, guest_exit_info_2, guest_exit_int_info, guest_next_rip;
    u64 sev_features;   /* SEV_FEATURE_... */
    u64 v_intr_control; /* VMSA_V_INTR_...; with AlternateInjection only */
    u64 guest_exit_code, virtual_tom, tlb_id, pcpu_id, event_inject, xcr0;
    u8 reserved_3f0[0x400 - 0x3f0];
    u64 x87_dp;
    u32 mxcsr;
    u16 x87_ftw; /* FXSAVE's form: a bit for each physical register that is in use */
    u16 x87_fsw, x87_fcw, x87_fop, x87_ds, x87_cs;
    u64 x87_rip;
    u64 x87_mantissa[8]; /* of ST(0) to ST(7) */
    u16 x87_exponent[8]; /* with the sign in bit 15 */
    u8 xmm[16][16];
    u8 ymm_high[16][16];
    u64 lbr_from_to[16][2];
    u64 lbr_select;
    u8 reserved_778[0x1000 - 0x778]; /* IBS and the guest's own intercepts; not used here */
};
// clang-format off
ABI_OFFSET(struct vmsa, tr,                0x090);
ABI_OFFSET(struct vmsa, pl_ssp,            0x0a0);
ABI_OFFSET(struct vmsa, u_cet,             0x0c0);
ABI_OFFSET(struct vmsa, vmpl,              0x0ca);
ABI_OFFSET(struct vmsa, cpl,               0x0cb);
ABI_OFFSET(struct vmsa, efer,              0x0d0);
ABI_OFFSET(struct vmsa, xss,               0x140);
ABI_OFFSET(struct vmsa, cr4,               0x148);
ABI_OFFSET(struct vmsa, rip,               0x178);
ABI_OFFSET(struct vmsa, dr,                0x180);
ABI_OFFSET(struct vmsa, dr_mask,           0x1a0);
ABI_OFFSET(struct vmsa, rsp,               0x1d8);
ABI_OFFSET(struct vmsa, rax,               0x1f8);
ABI_OFFSET(struct vmsa, cr2,               0x240);
ABI_OFFSET(struct vmsa, g_pat,             0x268);
ABI_OFFSET(struct vmsa, last_exception_to, 0x290);
ABI_OFFSET(struct vmsa, spec_ctrl,         0x2e0);
ABI_OFFSET(struct vmsa, pkru,              0x2e8);
ABI_OFFSET(struct vmsa, tsc_aux,           0x2ec);
ABI_OFFSET(struct vmsa, guest_tsc_scale,   0x2f0);
ABI_OFFSET(struct vmsa, reg_prot_nonce,    0x300);
ABI_OFFSET(struct vmsa, rcx,               0x308);
ABI_OFFSET(struct vmsa, rbx,               0x318);
ABI_OFFSET(struct vmsa, secure_avic_control, 0x320);
ABI_OFFSET(struct vmsa, rbp,               0x328);
ABI_OFFSET(struct vmsa, r8_15,             0x340);
ABI_OFFSET(struct vmsa, guest_exit_info_1, 0x390);
ABI_OFFSET(struct vmsa, guest_next_rip,    0x3a8);
ABI_OFFSET(struct vmsa, sev_features,      0x3b0);
ABI_OFFSET(struct vmsa, v_intr_control,    0x3b8);
ABI_OFFSET(struct vmsa, guest_exit_code,   0x3c0);
ABI_OFFSET(struct vmsa, virtual_tom,       0x3c8);
ABI_OFFSET(struct vmsa, tlb_id,            0x3d0);
ABI_OFFSET(struct vmsa, event_inject,      0x3e0);
ABI_OFFSET(struct vmsa, xcr0,              0x3e8);
ABI_OFFSET(struct vmsa, x87_dp,            0x400);
ABI_OFFSET(struct vmsa, mxcsr,             0x408);
ABI_OFFSET(struct vmsa, x87_ftw,           0x40c);
ABI_OFFSET(struct vmsa, x87_fsw,           0x40e);
ABI_OFFSET(struct vmsa, x87_fcw,           0x410);
ABI_OFFSET(struct vmsa, x87_cs,            0x416);
ABI_OFFSET(struct vmsa, x87_rip,           0x418);
ABI_OFFSET(struct vmsa, x87_mantissa,      0x420);
ABI_OFFSET(struct vmsa, x87_exponent,      0x460);
ABI_OFFSET(struct vmsa, xmm,               0x470);
ABI_OFFSET(struct vmsa, ymm_high,          0x570);
ABI_OFFSET(struct vmsa, lbr_from_to,       0x670);
ABI_OFFSET(struct vmsa, lbr_select,        0x770);
ABI_SIZE(struct vmsa, 4096);
// clang-format on

/* SEV_FEATURES; SEV_STATUS shows bit n as bit n + 2 [cpu 2.2]. */
#define SEV_FEATURE_SNP                  BIT(0)
#define SEV_FEATURE_VTOM                 BIT(1)
#define SEV_FEATURE_REFLECT_VC           BIT(2)
#define SEV_FEATURE_RESTRICTED_INJECTION BIT(3)
#define SEV_FEATURE_ALTERNATE_INJECTION  BIT(4)
#define SEV_FEATURE_DEBUG_VIRT           BIT(5)
#define SEV_FEATURE_PREVENT_HOST_IBS     BIT(6)
#define SEV_FEATURE_SNP_BTB_ISOLATION    BIT(7)
#define SEV_FEATURE_VMPL_SSS             BIT(8)
#define SEV_FEATURE_SECURE_TSC           BIT(9)
#define SEV_FEATURE_VMGEXIT_PARAMETER    BIT(10)
#define SEV_FEATURE_PMC_VIRT             BIT(11)
#define SEV_FEATURE_IBS_VIRT             BIT(12)
#define SEV_FEATURE_GUEST_INTERCEPT      BIT(13)
#define SEV_FEATURE_VMSA_REG_PROT        BIT(14)
#define SEV_FEATURE_SMT_PROTECTION       BIT(15)
#define SEV_FEATURE_SECURE_AVIC          BIT(16)
#define SEV_FEATURE_IBPB_ON_ENTRY        BIT(21)

/* Each feature: its name on a command line, and the bit of CPUID 8000_001F EAX without which a
 * processor does not have it [cpu 1.2]. vTOM, #VC reflection and BTB isolation came with SNP and
 * have no bit of their own. */
// clang-format off
#define SEV_FEATURES(X)                                   \
    X(SNP,                 "snp",                    4)   \
    X(VTOM,                "vtom",                   4)   \
    X(REFLECT_VC,          "reflect-vc",             4)   \
    X(RESTRICTED_INJECTION, "restricted-injection", 12)   \
    X(ALTERNATE_INJECTION, "alternate-injection",   13)   \
    X(DEBUG_VIRT,          "debug-swap",            14)   \
    X(PREVENT_HOST_IBS,    "prevent-host-ibs",      15)   \
    X(SNP_BTB_ISOLATION,   "btb-isolation",          4)   \
    X(VMPL_SSS,            "vmpl-sss",               7)   \
    X(SECURE_TSC,          "secure-tsc",             8)   \
    X(VMGEXIT_PARAMETER,   "vmgexit-parameter",     17)   \
    X(PMC_VIRT,            "pmc-virt",              20)   \
    X(IBS_VIRT,            "ibs-virt",              19)   \
    X(GUEST_INTERCEPT,     "guest-intercept",       22)   \
    X(VMSA_REG_PROT,       "vmsa-reg-prot",         24)   \
    X(SMT_PROTECTION,      "smt-protection",        25)   \
    X(SECURE_AVIC,         "secure-avic",           26)   \
    X(IBPB_ON_ENTRY,       "ibpb-on-entry",         31)
// clang-format on
#define SEV_STATUS_FEATURES_SHIFT 2

/* V_INTR_CONTROL of the VMSA: bits 20:0 as in the VMCB, the vector in bits 39:32. */
#define VMSA_V_INTR_SHADOW BIT(10)
#define VMSA_V_INTR_BUSY   BIT(63)

/* One bit for each quadword of the VMSA: set if VMSA register protection keeps the quadword XORed
 * with the nonce (RIP, RSP, RAX; RCX to R15 except RSP; x87, SSE and AVX registers). A guest finds
 * this bitmap in its secrets page [cpu 6.9, snp 5.5]. */
// clang-format off
static const u8 vmsa_protected[64] = {
    0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x00, 0x88, 0x00, 0x00, 0x00, 0x00, 0xee, 0xff, 0x00, 0x00,
    0xf0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00,
};
// clang-format on

#endif
