/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SEV_FEATURES bit by bit [cpu 2.2, 5.7, 6.4-6.11]: what VMRUN refuses, what each feature that
 * works does, and what an SNP guest has #VC for whether or not its host intercepts it.
 */
#include "snp.h"

#define SMALL (PTE_P | PTE_RW | PTE_US)

/* --- Which ------------------------------------------------------------------------------------ */

static void vmrun_refuses_features_that_do_not_work_here(void **state)
{
    (void)state;
    static const u8 works[] = {0, 1, 3, 4, 5, 6, 7, 9, 10, 14, 15, 21};
    for (u32 bit = 0; bit < 64; bit++) {
        bool expected = false;
        for (u32 i = 0; i < ARRAY_SIZE(works); i++)
            expected |= works[i] == bit;
        struct snp p = snp_create();
        p.s.sev_features |= BIT(bit);
        p.s.virtual_tom = bit == 1 ? BIT(40) : 0;
        guest_write_code(p.g, CODE, ASM("hlt"));
        u64 exit = snp_run(&p);
        if (bit == 1) /* the tables have C-bits, reserved with vTOM: no fault can be delivered */
            assert_int_equal(exit, EXIT_SHUTDOWN);
        else
            assert_int_equal(exit, expected ? EXIT_HLT : EXIT_INVALID);
        snp_destroy(&p);
    }
}

static void vmrun_refuses_what_does_not_go_together(void **state)
{
    (void)state;
    static const struct {
        u64 features, allowed, v_intr, tom, event;
        u64 exit;
    } rows[] = {
        {SEV_FEATURE_RESTRICTED_INJECTION | SEV_FEATURE_ALTERNATE_INJECTION, 0, 0, 0, 0,
         EXIT_INVALID},
        {SEV_FEATURE_ALTERNATE_INJECTION, 0, BIT(63), 0, 0, EXIT_BUSY},
        {0, 0, BIT(63), 0, 0, EXIT_HLT},
        /* virtual NMIs, and NMI is not intercepted */
        {SEV_FEATURE_ALTERNATE_INJECTION, 0, V_INTR_NMI_ENABLE, 0, 0, EXIT_INVALID},
        {SEV_FEATURE_ALTERNATE_INJECTION, 0, 0, 0, EVENT_VALID | EVENT_SOFTWARE << 8 | 0x80,
         EXIT_INVALID},
        {SEV_FEATURE_VTOM, 0, 0, 0x1000, 0, EXIT_INVALID},
        {SEV_FEATURE_SECURE_TSC, BIT(63) | SEV_FEATURE_SNP, 0, 0, 0, EXIT_INVALID},
        {SEV_FEATURE_SECURE_TSC, BIT(63) | SEV_FEATURE_SNP | SEV_FEATURE_SECURE_TSC, 0, 0, 0,
         EXIT_HLT},
        {SEV_FEATURE_SECURE_TSC, SEV_FEATURE_SNP, 0, 0, 0, EXIT_HLT}, /* the check is off */
        {0, BIT(63), 0, 0, 0, EXIT_INVALID},
    };
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        struct snp p = snp_create();
        p.s.sev_features |= rows[i].features;
        p.s.v_intr_control = rows[i].v_intr;
        p.s.virtual_tom = rows[i].tom;
        p.s.event_inject = rows[i].event;
        p.g->vmcb.control.allowed_sev_features = rows[i].allowed;
        guest_write_code(p.g, CODE, ASM("hlt"));
        if (snp_run(&p) != rows[i].exit)
            fail_msg("row %u: exit 0x%lx", i, (long)p.g->vmcb.control.exit_code);
        snp_destroy(&p);
    }
}

static void sev_status_and_the_vmcb_show_the_features(void **state)
{
    (void)state;
    struct snp p = snp_create();
    p.s.sev_features = SEV_FEATURE_SNP | SEV_FEATURE_DEBUG_VIRT | SEV_FEATURE_VMGEXIT_PARAMETER;
    p.s.rcx = MSR_SEV_STATUS;
    p.g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_MSR; /* it cannot be */
    host_write64(p.g, MSRPM + 0x1000 + 0x131 / 4, ~0ull);
    assert_int_equal(SNP_RUN(&p, "rdmsr"), EXIT_HLT);
    assert_int_equal(p.s.rax, 7 | BIT(7) | BIT(12));
    assert_int_equal(p.g->vmcb.control.guest_sev_features, p.s.sev_features);
    snp_destroy(&p);
}

/* --- What is #VC in every SNP guest [cpu 6.1] ------------------------------------------------- */

static void cpuid_and_ports_are_vc_whatever_is_intercepted(void **state)
{
    (void)state;
    const struct {
        struct code code;
        u64 error;
    } rows[] = {
        {ASM("cpuid"), 0x72},    {ASM("in al, 0x80"), 0x7b}, {ASM("out 0x80, al"), 0x7b},
        {ASM("rep insb"), 0x7b}, {ASM("outsb"), 0x7b},       {ASM("in eax, dx"), 0x7b},
    };
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        struct snp p = snp_create();
        p.s.rcx = 1;
        p.s.rsi = p.s.rdi = DATA;
        snp_code(&p, rows[i].code);
        assert_int_equal(snp_delivered(&p), VECTOR_VC);
        assert_int_equal(snp_error(&p), rows[i].error);
        assert_int_equal(guest_read64(p.g, p.s.rsp + 8), CODE);
        snp_destroy(&p);
    }
}

/* --- Registers: nothing for the host, all for the guest --------------------------------------- */

static void the_host_finds_no_register(void **state)
{
    (void)state;
    struct snp p = snp_create();
    for (u32 i = 0; i < 8; i++)
        p.s.r8_15[i] = 0x5ec4e700 + i;
    p.s.rbx = 0x5ec4e7;
    memset(p.s.xmm, 0x5e, sizeof p.s.xmm);
    assert_int_equal(SNP_RUN(&p, "nop"), EXIT_HLT);
    const u64 *gpr = cpu_gpr(p.g->cpu);
    for (u32 i = 0; i < 16; i++)
        assert_int_equal(gpr[i], 0);
    u8 image[512];
    cpu_xsave(p.g->cpu, XSTATE_X87 | XSTATE_SSE, image, XSTATE_LEGACY_SIZE);
    for (u32 i = 160; i < 416; i++)
        assert_int_equal(image[i], 0);
    u64 found = host_read64(p.g, VMSA + offsetof(struct vmsa, rbx));
    assert_int_not_equal(found, 0x5ec4e7);
    assert_int_equal(p.s.r8_15[7], 0x5ec4e707);
    snp_destroy(&p);
}

static void debug_registers_are_switched_where_asked_for(void **state)
{
    (void)state;
    for (u32 on = 0; on < 2; on++) {
        struct snp p = snp_create();
        u64 *dr = cpu_dr(p.g->cpu);
        dr[0] = 0x1000;
        dr[1] = 0x2000;
        p.s.sev_features |= on ? SEV_FEATURE_DEBUG_VIRT : 0;
        p.s.dr[0] = 0x7000;
        p.s.rbx = 0x9000;
        assert_int_equal(SNP_RUN(&p, "mov rax, dr0; mov dr1, rbx"), EXIT_HLT);
        assert_int_equal(p.s.rax, on ? 0x7000 : 0x1000);
        assert_int_equal(dr[1], on ? 0x2000 : 0x9000);
        assert_int_equal(p.s.dr[1], on ? 0x9000 : 0);
        snp_destroy(&p);
    }
}

static void registers_are_masked_in_the_vmsa(void **state)
{
    (void)state;
    struct snp p = snp_create();
    p.s.sev_features |= SEV_FEATURE_VMSA_REG_PROT;
    p.s.rbx = 41;
    p.s.reg_prot_nonce = 0;
    assert_int_equal(SNP_RUN(&p, "inc rbx"), EXIT_HLT);
    u64 nonce = p.s.reg_prot_nonce;
    assert_int_not_equal(nonce, 0);
    static const u16 masked[] = {0x178, 0x1d8, 0x1f8, 0x308, 0x310, 0x318, 0x328,
                                 0x338, 0x340, 0x378, 0x420, 0x470, 0x668};
    static const u16 plain[] = {0x0d0, 0x150, 0x158, 0x320, 0x3b0, 0x3e8, 0x408, 0x670};
    struct vmsa seen = p.s;
    p.s.rip = (p.s.rip ^ nonce) - 4; /* who edits a VMSA applies the nonce */
    p.s.rip ^= nonce;
    assert_int_equal(snp_run(&p), EXIT_HLT);
    assert_int_not_equal(p.s.reg_prot_nonce, nonce);
    assert_int_equal(p.s.rbx ^ p.s.reg_prot_nonce, 43);
    for (u32 i = 0; i < ARRAY_SIZE(masked); i++) {
        u64 before = load_le64((u8 *)&seen + masked[i]), after = load_le64((u8 *)&p.s + masked[i]);
        assert_int_not_equal(before, after);
    }
    for (u32 i = 0; i < ARRAY_SIZE(plain); i++)
        assert_int_equal(load_le64((u8 *)&seen + plain[i]), load_le64((u8 *)&p.s + plain[i]));
    snp_destroy(&p);
}

static void vmgexit_hands_rax_and_cpl_over(void **state)
{
    (void)state;
    for (u32 on = 0; on < 2; on++) {
        struct snp p = snp_create();
        p.s.sev_features |= on ? SEV_FEATURE_VMGEXIT_PARAMETER : 0;
        p.s.rax = 0x1234;
        assert_int_equal(SNP_RUN(&p, "vmgexit"), EXIT_VMGEXIT);
        assert_int_equal(p.g->vmcb.control.vmgexit_rax, on ? 0x1234 : 0);
        assert_int_equal(p.g->vmcb.control.vmgexit_cpl, 0);
        snp_destroy(&p);
    }
}

/* --- Time ------------------------------------------------------------------------------------- */

static void secure_tsc_runs_by_the_vmsa(void **state)
{
    (void)state;
    struct snp p = snp_create();
    p.s.sev_features |= SEV_FEATURE_SECURE_TSC;
    p.s.guest_tsc_scale = 5ull << 31; /* 2.5 */
    p.s.guest_tsc_offset = 1000000;
    p.g->vmcb.control.tsc_offset = 777;
    p.g->clock.now = 4000;
    assert_int_equal(SNP_RUN(&p, "rdtsc; mov esi, eax; mov ecx, 0xc0010134; rdmsr"),
                     EXIT_HLT); /* rdtsc; rdmsr C0010134 */
    assert_true(p.s.rsi >= 1000000 + 10000 && p.s.rsi < 1000000 + 10100);
    assert_int_equal(p.s.rax, 2500);
    assert_int_equal(p.g->vmcb.control.tsc_offset, 777);
    snp_destroy(&p);
    p = snp_create();
    SNP_RUN(&p, "mov ecx, 0xc0010134; rdmsr");
    assert_int_equal(snp_delivered(&p), VECTOR_GP);
    snp_destroy(&p);
}

/* --- Injection [cpu 6.8] ---------------------------------------------------------------------- */

static void restricted_injection_leaves_hv(void **state)
{
    (void)state;
    static const struct {
        u64 event;
        bool runs;
    } rows[] = {
        {EVENT_VALID | EVENT_EXCEPTION << 8 | 28, true},
        {EVENT_VALID | EVENT_EXCEPTION << 8 | 28 | EVENT_ERROR_CODE, false},
        {EVENT_VALID | EVENT_INTR << 8 | 28, false},
        {EVENT_VALID | EVENT_INTR << 8 | 0x80, false},
        {EVENT_VALID | EVENT_NMI << 8, false},
        {EVENT_VALID | EVENT_EXCEPTION << 8 | VECTOR_GP, false},
        {EVENT_VALID | EVENT_EXCEPTION << 8 | VECTOR_VC | EVENT_ERROR_CODE, false},
    };
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        struct snp p = snp_create();
        p.s.sev_features |= SEV_FEATURE_RESTRICTED_INJECTION;
        p.g->vmcb.control.event_inject = rows[i].event;
        assert_int_equal(SNP_RUN(&p, "nop"), rows[i].runs ? EXIT_HLT : EXIT_INVALID);
        if (rows[i].runs)
            assert_int_equal(snp_delivered(&p), VECTOR_HV);
        snp_destroy(&p);
    }
    struct snp p = snp_create();
    p.s.sev_features |= SEV_FEATURE_RESTRICTED_INJECTION;
    p.s.rflags |= RFLAGS_IF;
    u32 wanted = (u32)(V_INTR_IRQ | V_INTR_IGNORE_TPR | V_INTR_MASKING);
    p.g->vmcb.control.v_intr = wanted;
    p.g->vmcb.control.v_intr_vector = 0x40;
    assert_int_equal(SNP_RUN(&p, "nop"), EXIT_HLT);
    assert_int_equal(snp_delivered(&p), -1); /* V_IRQ is not looked at */
    assert_int_equal(p.g->vmcb.control.v_intr, wanted);
    snp_destroy(&p);
}

static void alternate_injection_is_the_vmsas(void **state)
{
    (void)state;
    struct snp p = snp_create();
    p.s.sev_features |= SEV_FEATURE_ALTERNATE_INJECTION;
    p.s.rflags |= RFLAGS_IF;
    p.s.v_intr_control = V_INTR_IRQ | 0xfu << 16 | 0x41ull << 32;
    u32 of_host = (u32)(V_INTR_IRQ | V_INTR_IGNORE_TPR | V_INTR_MASKING);
    p.g->vmcb.control.v_intr = of_host;
    p.g->vmcb.control.v_intr_vector = 0x40;
    p.g->vmcb.control.event_inject = EVENT_VALID | EVENT_INTR << 8 | 0x42;
    assert_int_equal(SNP_RUN(&p, "nop"), EXIT_HLT);
    assert_int_equal(snp_delivered(&p), 0x41);
    assert_false(p.s.v_intr_control & V_INTR_IRQ);
    assert_int_equal(p.g->vmcb.control.v_intr, of_host);

    p.s.rip = CODE;
    p.s.event_inject =
        EVENT_VALID | EVENT_EXCEPTION << 8 | EVENT_ERROR_CODE | VECTOR_GP | 0x18ull << 32;
    assert_int_equal(SNP_RUN(&p, "nop"), EXIT_HLT);
    assert_int_equal(snp_delivered(&p), VECTOR_GP);
    assert_int_equal(snp_error(&p), 0x18);
    assert_int_equal(p.s.event_inject, 0);

    p.s.rip = CODE;
    p.s.rflags = RFLAGS_ONE | RFLAGS_IF;
    p.s.v_intr_control = V_INTR_IRQ | V_INTR_IGNORE_TPR | VMSA_V_INTR_SHADOW | 0x43ull << 32;
    assert_int_equal(SNP_RUN(&p, "inc ebx; inc ebx"),
                     EXIT_HLT); /* one instruction in the shadow, then the interrupt */
    assert_int_equal(snp_delivered(&p), 0x43);
    assert_int_equal(guest_read64(p.g, p.s.rsp), CODE + 2);
    snp_destroy(&p);

    p = snp_create();
    p.s.sev_features |= SEV_FEATURE_ALTERNATE_INJECTION;
    p.s.rcx = 0x830;
    SNP_RUN(&p, "wrmsr"); /* of the x2APIC */
    assert_int_equal(snp_delivered(&p), VECTOR_VC);
    assert_int_equal(snp_error(&p), 0x7c);
    snp_destroy(&p);
}

static void virtual_nmis_are_the_vmsas_with_alternate_injection(void **state)
{
    const u32 of_host = (u32)(V_INTR_MASKING | V_INTR_NMI_ENABLE | V_INTR_NMI);
    const u64 of_guest = V_INTR_NMI_ENABLE | V_INTR_NMI;
    const struct {
        u64 feature, v_intr, delivered, after;
    } rows[] = {
        {SEV_FEATURE_ALTERNATE_INJECTION, of_guest, VECTOR_NMI,
         V_INTR_NMI_ENABLE | V_INTR_NMI_MASK},
        {SEV_FEATURE_ALTERNATE_INJECTION, of_guest | V_INTR_NMI_MASK, ~0ull,
         of_guest | V_INTR_NMI_MASK},
        {SEV_FEATURE_ALTERNATE_INJECTION, 0, ~0ull, 0},
        {SEV_FEATURE_RESTRICTED_INJECTION, of_guest, ~0ull, of_guest},
    };
    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        struct snp p = snp_create();
        p.g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_NMI;
        p.g->vmcb.control.v_intr = of_host;
        p.s.sev_features |= rows[i].feature;
        p.s.v_intr_control = rows[i].v_intr;
        assert_int_equal(SNP_RUN(&p, "nop"), EXIT_HLT);
        assert_true((u64)snp_delivered(&p) == rows[i].delivered);
        assert_int_equal(p.s.v_intr_control, rows[i].after);
        assert_int_equal(p.g->vmcb.control.v_intr, of_host);
        snp_destroy(&p);
    }
}

/* The host is not told of the guest's interrupt shadow [APM2 15.36.16]. */
static void alternate_injection_keeps_the_shadow_in_the_vmsa(void **state)
{
    (void)state;
    for (u64 before = 0; before < 2; before++) {
        struct snp p = snp_create();
        p.s.sev_features |= SEV_FEATURE_ALTERNATE_INJECTION;
        p.g->vmcb.control.interrupt_shadow = before;
        host_write64(p.g, NPT + 0x3000 + 8 * (DATA >> 12), 0);
        assert_int_equal(SNP_RUN(&p, "sti; mov eax, [0x20000]"),
                         EXIT_NPF); /* sti; mov eax, [DATA] */
        assert_true(p.s.v_intr_control & VMSA_V_INTR_SHADOW);
        assert_int_equal(p.g->vmcb.control.interrupt_shadow, INTERRUPT_SHADOW_MASK | before);
        snp_destroy(&p);
    }
}

/* Nobody else has a use for #HV; AVIC would be a way around either mode [APM2 15.36.16]. */
static void hv_and_avic_are_refused_where_they_do_not_belong(void **state)
{
    (void)state;
    static const struct {
        u64 features, event;
        u32 v_intr;
        u64 exit;
    } rows[] = {
        {0, EVENT_VALID | EVENT_EXCEPTION << 8 | VECTOR_HV, 0, EXIT_INVALID},
        {SEV_FEATURE_RESTRICTED_INJECTION, 0, (u32)V_INTR_AVIC, EXIT_INVALID},
        {SEV_FEATURE_ALTERNATE_INJECTION, 0, (u32)V_INTR_AVIC, EXIT_INVALID},
        {SEV_FEATURE_ALTERNATE_INJECTION, EVENT_VALID | 7 << 8, 0, EXIT_HLT}, /* not looked at */
    };
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        struct snp p = snp_create();
        p.s.sev_features |= rows[i].features;
        p.g->vmcb.control.event_inject = rows[i].event;
        p.g->vmcb.control.v_intr |= rows[i].v_intr;
        if (SNP_RUN(&p, "nop") != rows[i].exit)
            fail_msg("row %u: exit 0x%lx", i, (long)p.g->vmcb.control.exit_code);
        snp_destroy(&p);
    }
}

/* [APM2 15.36.12] */
static void vmsave_is_vc_whatever_is_intercepted(void **state)
{
    (void)state;
    struct snp p = snp_create();
    SNP_RUN(&p, "vmsave");
    assert_int_equal(snp_delivered(&p), VECTOR_VC);
    assert_int_equal(snp_error(&p), 0x83);
    snp_destroy(&p);
}

static void lmsw_and_clts_are_trapped_like_other_writes_of_cr0(void **state)
{
    (void)state;
    const struct {
        struct code code;
        u64 cr0;
    } rows[] = {
        {ASM("lmsw ax"), CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG},
        {ASM("clts"), CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG},
    };
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        struct snp p = snp_create();
        p.s.cr0 |= CR0_TS;
        p.s.rax = CR0_MP;
        p.g->vmcb.control.intercept_4 |= (u32)INTERCEPT4_CR_WRITE(0);
        assert_int_equal(snp_code(&p, rows[i].code), EXIT_CR_WRITE_TRAP);
        assert_true(p.g->vmcb.control.exit_info_1 == rows[i].cr0);
        assert_true(p.s.cr0 == rows[i].cr0);
        assert_int_equal(p.s.rip, CODE + rows[i].code.size);
        snp_destroy(&p);
    }
}

/* --- vTOM [cpu 5.7] --------------------------------------------------------------------------- */

static void clear_c_bits(struct snp *p)
{
    guest_write64(p->g, PML4, 0x2000 | SMALL);
    guest_write64(p->g, PML4 + 0x1000, 0x3000 | SMALL);
    guest_write64(p->g, PML4 + 0x2000, PT | SMALL);
    for (u64 i = 1; i < 4; i++)
        guest_write64(p->g, PML4 + 0x2000 + 8 * i, MIB(2 * i) | SMALL | PTE_PS);
    for (u64 i = 0; i < 512; i++)
        guest_write64(p->g, PT + 8 * i, (4096 * i) | SMALL);
}

static void vtom_splits_private_from_shared(void **state)
{
    (void)state;
    struct snp p = snp_create();
    struct rmp_entry host = {.assigned = false};
    clear_c_bits(&p);
    snp_assign(&p, MIB(4), &host);
    p.s.sev_features |= SEV_FEATURE_VTOM;
    p.s.virtual_tom = MIB(4);
    guest_write64(p.g, DATA, 0x1111);
    host_write64(p.g, GUEST_BASE + MIB(4), 0x2222);
    p.s.rsi = DATA;
    p.s.rdi = MIB(4);
    assert_int_equal(SNP_RUN(&p, "mov rax, [rsi]; mov rbx, [rdi]; mov [rdi + 8], rax"),
                     EXIT_HLT); /* [rsi]; [rdi]; [rdi+8] := rax */
    assert_int_equal(p.s.rax, 0x1111);
    assert_int_equal(p.s.rbx, 0x2222);
    assert_int_equal(host_read64(p.g, GUEST_BASE + MIB(4) + 8), 0x1111);
    assert_int_equal(p.s.virtual_tom, MIB(4));

    guest_write64(p.g, PT + DATA / 4096 * 8, DATA | SMALL | BIT(51)); /* now a reserved bit */
    p.s.rip = CODE;
    p.g->vmcb.control.tlb_control = TLB_FLUSH_ASID;
    SNP_RUN(&p, "mov rax, [rsi]");
    assert_int_equal(snp_delivered(&p), VECTOR_PF);
    assert_int_equal(snp_error(&p), PF_PRESENT | PF_RSV);
    snp_destroy(&p);
}

static void vtom_moves_by_its_register(void **state)
{
    (void)state;
    struct snp p = snp_create();
    struct rmp_entry host = {.assigned = false};
    clear_c_bits(&p);
    snp_assign(&p, MIB(6), &host);
    host_write64(p.g, GUEST_BASE + MIB(6), 0x2222);
    p.s.sev_features |= SEV_FEATURE_VTOM;
    p.s.virtual_tom = MIB(8);
    p.s.rcx = MSR_VIRTUAL_TOM;
    p.s.rdi = MIB(6);
    assert_int_equal(SNP_RUN(&p, "mov rbx, [rdi]"), EXIT_NPF);
    p.s.rip = CODE;
    p.s.rax = MIB(6) | 0x1000; /* reserved bits read as zero */
    p.s.rdx = BIT(20);
    assert_int_equal(SNP_RUN(&p, "wrmsr; mov rbx, [rdi]; rdmsr"),
                     EXIT_HLT); /* wrmsr; mov rbx, [rdi]; rdmsr */
    assert_int_equal(p.s.rbx, 0x2222);
    assert_int_equal(p.s.rax, MIB(6));
    assert_int_equal(p.s.virtual_tom, MIB(6));
    snp_destroy(&p);
}

/* --- Where a virtual CPU ran last [cpu 4.5] --------------------------------------------------- */

/* The core that is come back to has kept a translation that the guest has changed meanwhile on
 * another one. */
static void a_vmsa_that_moves_takes_no_old_translations(void **state)
{
    (void)state;
    struct snp p = snp_create();
    struct guest *g = p.g;
    struct cpu *second = cpu_create(&(struct cpu_config){
        .id = 1, .memory = g->memory, .clock = &g->clock, .random = &g->random, .asid_min = 5});
    assert_true(cpu_host_wrmsr(second, MSR_EFER, EFER_SVME | EFER_LME | EFER_LMA | EFER_NXE));
    assert_true(cpu_host_wrmsr(second, MSR_VM_HSAVE_PA, HSAVE));
    assert_true(cpu_host_wrmsr(second, MSR_HWCR, HWCR_SMM_LOCK));
    assert_true(cpu_host_wrmsr(second, MSR_SYSCFG, SYSCFG_MEM_ENCRYPT | SYSCFG_SNP_EN));
    guest_write64(g, DATA, 1);
    guest_write64(g, DATA + 0x1000, 2);
    p.s.rsi = DATA;
    assert_int_equal(SNP_RUN(&p, "mov rax, [rsi]"), EXIT_HLT);
    assert_int_equal(p.s.rax, 1);
    guest_write64(g, PT + DATA / 4096 * 8, (DATA + 0x1000) | SMALL | BIT(51));
    struct cpu *first = g->cpu;
    g->cpu = second;
    p.s.rip = CODE;
    assert_int_equal(snp_run(&p), EXIT_HLT);
    assert_int_equal(p.s.rax, 2);
    g->cpu = first;
    p.s.rip = CODE;
    assert_int_equal(snp_run(&p), EXIT_HLT);
    assert_int_equal(p.s.rax, 2);
    guest_write64(g, PT + DATA / 4096 * 8, DATA | SMALL | BIT(51));
    p.s.pcpu_id = 0; /* asks for a flush */
    p.s.rip = CODE;
    assert_int_equal(snp_run(&p), EXIT_HLT);
    assert_int_equal(p.s.rax, 1);
    snp_destroy(&p);
    /* `second` outlives the memory it listened to: nothing of it is called any more. */
    cpu_destroy(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vmrun_refuses_features_that_do_not_work_here),
        cmocka_unit_test(vmrun_refuses_what_does_not_go_together),
        cmocka_unit_test(sev_status_and_the_vmcb_show_the_features),
        cmocka_unit_test(cpuid_and_ports_are_vc_whatever_is_intercepted),
        cmocka_unit_test(the_host_finds_no_register),
        cmocka_unit_test(debug_registers_are_switched_where_asked_for),
        cmocka_unit_test(registers_are_masked_in_the_vmsa),
        cmocka_unit_test(vmgexit_hands_rax_and_cpl_over),
        cmocka_unit_test(secure_tsc_runs_by_the_vmsa),
        cmocka_unit_test(restricted_injection_leaves_hv),
        cmocka_unit_test(alternate_injection_is_the_vmsas),
        cmocka_unit_test(virtual_nmis_are_the_vmsas_with_alternate_injection),
        cmocka_unit_test(alternate_injection_keeps_the_shadow_in_the_vmsa),
        cmocka_unit_test(hv_and_avic_are_refused_where_they_do_not_belong),
        cmocka_unit_test(vmsave_is_vc_whatever_is_intercepted),
        cmocka_unit_test(lmsw_and_clts_are_trapped_like_other_writes_of_cr0),
        cmocka_unit_test(vtom_splits_private_from_shared),
        cmocka_unit_test(vtom_moves_by_its_register),
        cmocka_unit_test(a_vmsa_that_moves_takes_no_old_translations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
