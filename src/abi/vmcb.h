/* SPDX-License-Identifier: Apache-2.0 */
/* The VMCB: control area, save area, exit codes, intercepts [APM2 App. B, C; cpu 3]. */
#ifndef SOFTSEV_ABI_VMCB_H
#define SOFTSEV_ABI_VMCB_H

#include "base/base.h"

struct vmcb_control {
    u16 intercept_cr_read, intercept_cr_write;
    u16 intercept_dr_read, intercept_dr_write;
    u32 intercept_exceptions;
    u32 intercept_3, intercept_4, intercept_5; /* INTERCEPT3_..., 4_, 5_ */
    u8 reserved_018[0x3c - 0x18];
    u16 pause_filter_threshold, pause_filter_count;
    u64 iopm_base, msrpm_base; /* SPA; 12 KiB and 8 KiB */
    u64 tsc_offset;
    u32 asid;
    u8 tlb_control; /* TLB_FLUSH_... */
    u8 erap;
    u16 reserved_05e;
    u32 v_intr; /* V_INTR_... */
    u32 v_intr_vector;
    u64 interrupt_shadow; /* INTERRUPT_SHADOW_... */
    u64 exit_code, exit_info_1, exit_info_2;
    u64 exit_int_info; /* EVENT_... */
    u64 np_control;    /* NP_... */
    u64 avic_apic_bar;
    u64 ghcb_gpa; /* the guest's GHCB MSR */
    u64 event_inject;
    u64 n_cr3;
    u64 lbr_control;
    u32 clean, reserved_0c4;
    u64 next_rip;
    u8 fetched_count, fetched[15];
    u64 avic_backing;
    u64 reserved_0e8;
    u64 avic_logical, avic_physical;
    u64 reserved_100;
    u64 vmsa; /* SPA */
    u64 vmgexit_rax;
    u8 vmgexit_cpl;
    u8 reserved_119[0x138 - 0x119];
    u64 allowed_sev_features; /* if bit 63 is set, VMRUN refuses all other features */
    u64 guest_sev_features;   /* features of the guest that ran last */
    u8 reserved_148[0x400 - 0x148];
};
ABI_OFFSET(struct vmcb_control, pause_filter_threshold, 0x3c);
ABI_OFFSET(struct vmcb_control, iopm_base, 0x40);
ABI_OFFSET(struct vmcb_control, asid, 0x58);
ABI_OFFSET(struct vmcb_control, v_intr, 0x60);
ABI_OFFSET(struct vmcb_control, exit_code, 0x70);
ABI_OFFSET(struct vmcb_control, np_control, 0x90);
ABI_OFFSET(struct vmcb_control, event_inject, 0xa8);
ABI_OFFSET(struct vmcb_control, n_cr3, 0xb0);
ABI_OFFSET(struct vmcb_control, clean, 0xc0);
ABI_OFFSET(struct vmcb_control, next_rip, 0xc8);
ABI_OFFSET(struct vmcb_control, fetched_count, 0xd0);
ABI_OFFSET(struct vmcb_control, avic_backing, 0xe0);
ABI_OFFSET(struct vmcb_control, vmsa, 0x108);
ABI_OFFSET(struct vmcb_control, vmgexit_rax, 0x110);
ABI_OFFSET(struct vmcb_control, allowed_sev_features, 0x138);
ABI_SIZE(struct vmcb_control, 0x400);

struct vmcb_segment {
    u16 selector;
    u16 attributes; /* 7:0 descriptor bits 47:40 (type, S, DPL, P), 11:8 AVL L D/B G */
    u32 limit;
    u64 base;
};
ABI_SIZE(struct vmcb_segment, 16);

struct vmcb_save {
    struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
    u8 reserved_0a0[0xcb - 0xa0];
    u8 cpl;
    u32 reserved_0cc;
    u64 efer;
    u8 reserved_0d8[0x148 - 0xd8];
    u64 cr4, cr3, cr0, dr7, dr6, rflags, rip;
    u8 reserved_180[0x1d8 - 0x180];
    u64 rsp, s_cet, ssp, isst_addr, rax;
    u64 star, lstar, cstar, sfmask, kernel_gs_base;
    u64 sysenter_cs, sysenter_esp, sysenter_eip;
    u64 cr2;
    u8 reserved_248[0x268 - 0x248];
    u64 g_pat, dbgctl, br_from, br_to, last_exception_from, last_exception_to;
    u8 reserved_298[0x2e0 - 0x298];
    u64 spec_ctrl;
    u8 reserved_2e8[0xc00 - 0x2e8];
};
ABI_OFFSET(struct vmcb_save, tr, 0x90);
ABI_OFFSET(struct vmcb_save, cpl, 0xcb);
ABI_OFFSET(struct vmcb_save, efer, 0xd0);
ABI_OFFSET(struct vmcb_save, cr4, 0x148);
ABI_OFFSET(struct vmcb_save, rip, 0x178);
ABI_OFFSET(struct vmcb_save, rsp, 0x1d8);
ABI_OFFSET(struct vmcb_save, rax, 0x1f8);
ABI_OFFSET(struct vmcb_save, cr2, 0x240);
ABI_OFFSET(struct vmcb_save, g_pat, 0x268);
ABI_OFFSET(struct vmcb_save, spec_ctrl, 0x2e0);

struct vmcb {
    struct vmcb_control control;
    struct vmcb_save save;
};
ABI_SIZE(struct vmcb, 4096);

/* Intercept words [cpu 3.2]. */
#define INTERCEPT3_INTR          BIT(0)
#define INTERCEPT3_NMI           BIT(1)
#define INTERCEPT3_SMI           BIT(2)
#define INTERCEPT3_INIT          BIT(3)
#define INTERCEPT3_VINTR         BIT(4)
#define INTERCEPT3_CR0_SEL_WRITE BIT(5)
#define INTERCEPT3_IDTR_READ     BIT(6)
#define INTERCEPT3_GDTR_READ     BIT(7)
#define INTERCEPT3_LDTR_READ     BIT(8)
#define INTERCEPT3_TR_READ       BIT(9)
#define INTERCEPT3_IDTR_WRITE    BIT(10)
#define INTERCEPT3_GDTR_WRITE    BIT(11)
#define INTERCEPT3_LDTR_WRITE    BIT(12)
#define INTERCEPT3_TR_WRITE      BIT(13)
#define INTERCEPT3_RDTSC         BIT(14)
#define INTERCEPT3_RDPMC         BIT(15)
#define INTERCEPT3_PUSHF         BIT(16)
#define INTERCEPT3_POPF          BIT(17)
#define INTERCEPT3_CPUID         BIT(18)
#define INTERCEPT3_RSM           BIT(19)
#define INTERCEPT3_IRET          BIT(20)
#define INTERCEPT3_INTN          BIT(21)
#define INTERCEPT3_INVD          BIT(22)
#define INTERCEPT3_PAUSE         BIT(23)
#define INTERCEPT3_HLT           BIT(24)
#define INTERCEPT3_INVLPG        BIT(25)
#define INTERCEPT3_INVLPGA       BIT(26)
#define INTERCEPT3_IOIO          BIT(27)
#define INTERCEPT3_MSR           BIT(28)
#define INTERCEPT3_TASK_SWITCH   BIT(29)
#define INTERCEPT3_FERR_FREEZE   BIT(30)
#define INTERCEPT3_SHUTDOWN      BIT(31)
#define INTERCEPT4_VMRUN         BIT(0)
#define INTERCEPT4_VMMCALL       BIT(1)
#define INTERCEPT4_VMLOAD        BIT(2)
#define INTERCEPT4_VMSAVE        BIT(3)
#define INTERCEPT4_STGI          BIT(4)
#define INTERCEPT4_CLGI          BIT(5)
#define INTERCEPT4_SKINIT        BIT(6)
#define INTERCEPT4_RDTSCP        BIT(7)
#define INTERCEPT4_ICEBP         BIT(8)
#define INTERCEPT4_WBINVD        BIT(9)
#define INTERCEPT4_MONITOR       BIT(10)
#define INTERCEPT4_MWAIT         BIT(11)
#define INTERCEPT4_MWAIT_ARMED   BIT(12)
#define INTERCEPT4_XSETBV        BIT(13)
#define INTERCEPT4_RDPRU         BIT(14)
#define INTERCEPT4_EFER_WRITE    BIT(15)       /* trap, after the write */
#define INTERCEPT4_CR_WRITE(n)   BIT(16 + (n)) /* trap, after the write */
#define INTERCEPT5_INVLPGB       BIT(0)
#define INTERCEPT5_INVLPGB_BAD   BIT(1)
#define INTERCEPT5_INVPCID       BIT(2)
#define INTERCEPT5_MCOMMIT       BIT(3)
#define INTERCEPT5_TLBSYNC       BIT(4)
#define INTERCEPT5_BUS_LOCK      BIT(5)
#define INTERCEPT5_IDLE_HLT      BIT(6)

#define ALLOWED_SEV_FEATURES_ENABLE BIT(63)

#define TLB_FLUSH_NONE            0
#define TLB_FLUSH_ALL             1
#define TLB_FLUSH_ASID            3
#define TLB_FLUSH_ASID_NON_GLOBAL 7

#define V_INTR_TPR        0xffu
#define V_INTR_IRQ        BIT(8)
#define V_INTR_GIF        BIT(9)
#define V_INTR_NMI        BIT(11)
#define V_INTR_NMI_MASK   BIT(12)
#define V_INTR_PRIO_SHIFT 16
#define V_INTR_IGNORE_TPR BIT(20)
#define V_INTR_MASKING    BIT(24)
#define V_INTR_GIF_ENABLE BIT(25)
#define V_INTR_NMI_ENABLE BIT(26)
#define V_INTR_AVIC       BIT(31)

#define INTERRUPT_SHADOW      BIT(0)
#define INTERRUPT_SHADOW_MASK BIT(1) /* SEV-ES: the guest's RFLAGS.IF at #VMEXIT */

#define NP_ENABLE BIT(0)
#define NP_SEV    BIT(1)
#define NP_SEV_ES BIT(2)
#define NP_VTE    BIT(5)

/* In lbr_control; VMRUN of a SEV-ES guest requires the first. */
#define LBR_VIRTUALIZATION BIT(0)
#define VIRTUAL_VMLOAD     BIT(1) /* and VMSAVE */

/* EVENTINJ and EXITINTINFO [cpu 3.6]. */
#define EVENT_VECTOR     0xffu
#define EVENT_TYPE_SHIFT 8
#define EVENT_INTR       0u
#define EVENT_NMI        2u
#define EVENT_EXCEPTION  3u
#define EVENT_SOFTWARE   4u
#define EVENT_ERROR_CODE BIT(11)
#define EVENT_VALID      BIT(31)

/* Exit codes [cpu 3.4]. */
enum vmexit {
    EXIT_CR_READ = 0x00,
    EXIT_CR_WRITE = 0x10,
    EXIT_DR_READ = 0x20,
    EXIT_DR_WRITE = 0x30,
    EXIT_EXCEPTION = 0x40,
    EXIT_INTR = 0x60,
    EXIT_NMI = 0x61,
    EXIT_SMI = 0x62,
    EXIT_INIT = 0x63,
    EXIT_VINTR = 0x64,
    EXIT_CR0_SEL_WRITE = 0x65,
    EXIT_IDTR_READ = 0x66,
    EXIT_GDTR_READ = 0x67,
    EXIT_LDTR_READ = 0x68,
    EXIT_TR_READ = 0x69,
    EXIT_IDTR_WRITE = 0x6a,
    EXIT_GDTR_WRITE = 0x6b,
    EXIT_LDTR_WRITE = 0x6c,
    EXIT_TR_WRITE = 0x6d,
    EXIT_RDTSC = 0x6e,
    EXIT_RDPMC = 0x6f,
    EXIT_PUSHF = 0x70,
    EXIT_POPF = 0x71,
    EXIT_CPUID = 0x72,
    EXIT_RSM = 0x73,
    EXIT_IRET = 0x74,
    EXIT_INTN = 0x75,
    EXIT_INVD = 0x76,
    EXIT_PAUSE = 0x77,
    EXIT_HLT = 0x78,
    EXIT_INVLPG = 0x79,
    EXIT_INVLPGA = 0x7a,
    EXIT_IOIO = 0x7b,
    EXIT_MSR = 0x7c,
    EXIT_TASK_SWITCH = 0x7d,
    EXIT_FERR_FREEZE = 0x7e,
    EXIT_SHUTDOWN = 0x7f,
    EXIT_VMRUN = 0x80,
    EXIT_VMMCALL = 0x81,
    EXIT_VMLOAD = 0x82,
    EXIT_VMSAVE = 0x83,
    EXIT_STGI = 0x84,
    EXIT_CLGI = 0x85,
    EXIT_SKINIT = 0x86,
    EXIT_RDTSCP = 0x87,
    EXIT_ICEBP = 0x88,
    EXIT_WBINVD = 0x89,
    EXIT_MONITOR = 0x8a,
    EXIT_MWAIT = 0x8b,
    EXIT_MWAIT_CONDITIONAL = 0x8c,
    EXIT_XSETBV = 0x8d,
    EXIT_RDPRU = 0x8e,
    EXIT_EFER_WRITE_TRAP = 0x8f,
    EXIT_CR_WRITE_TRAP = 0x90,
    EXIT_INVLPGB = 0xa0,
    EXIT_INVLPGB_ILLEGAL = 0xa1,
    EXIT_INVPCID = 0xa2,
    EXIT_MCOMMIT = 0xa3,
    EXIT_TLBSYNC = 0xa4,
    EXIT_BUSLOCK = 0xa5,
    EXIT_IDLE_HLT = 0xa6,
    EXIT_NPF = 0x400,
    EXIT_AVIC_INCOMPLETE_IPI = 0x401,
    EXIT_AVIC_NO_ACCELERATION = 0x402,
    EXIT_VMGEXIT = 0x403,
    EXIT_PAGE_NOT_VALIDATED = 0x404, /* only as a #VC error code */
};
#define EXIT_INVALID       (~0ull)
#define EXIT_BUSY          (~1ull)
#define EXIT_IDLE_REQUIRED (~2ull)

/* EXITINFO1 of a nested page fault [cpu 3.5]. */
#define NPF_PRESENT BIT(0)
#define NPF_WRITE   BIT(1)
#define NPF_USER    BIT(2)
#define NPF_RSV     BIT(3)
#define NPF_FETCH   BIT(4)
#define NPF_RMP     BIT(31)
#define NPF_FINAL   BIT(32) /* while translating the final address */
#define NPF_TABLE   BIT(33) /* while translating a guest page table's address */
#define NPF_ENC     BIT(34)
#define NPF_SIZEM   BIT(35)
#define NPF_VMPL    BIT(36)

/* EXITINFO1 of IOIO [cpu 3.5]. The size bits 4..6 hold the size in bytes, shifted by 4. */
#define IOIO_IN          BIT(0)
#define IOIO_STRING      BIT(2)
#define IOIO_REP         BIT(3)
#define IOIO_SIZE_SHIFT  4
#define IOIO_ASIZE_SHIFT 7
#define IOIO_SEG_SHIFT   10
#define IOIO_PORT_SHIFT  16

#endif
