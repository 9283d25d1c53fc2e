/* SPDX-License-Identifier: Apache-2.0 */
/* VMRUN's checks, what each intercept exits with, injection, the deadline [APM2 15; cpu 3, 4.5]. */
#include "guest.h"

static void a_guest_runs_to_its_hlt(void **state)
{
    (void)state;
    for (int sev = 0; sev < 2; sev++) {
        struct guest *g = guest_create(sev);
        assert_int_equal(RUN(g, "mov eax, 42"), EXIT_HLT);
        assert_int_equal(g->vmcb.save.rax, 42);
        assert_int_equal(g->vmcb.save.rip, CODE + 5);
        assert_int_equal(g->vmcb.control.next_rip, CODE + 6);
        assert_int_equal(g->clock.now, 1); /* HLT did not retire */
        guest_destroy(g);
    }
}

static void vmrun_refuses_what_the_manual_forbids(void **state)
{
    (void)state;
    static const struct {
        size_t offset;
        u64 value;
        u8 size;
    } bad[] = {
        {offsetof(struct vmcb, save.efer), EFER_LME | EFER_LMA, 8},
        {offsetof(struct vmcb, save.cr0), CR0_PE | CR0_PG | CR0_NW, 8},
        {offsetof(struct vmcb, save.cr0), BIT(32) | CR0_PE | CR0_PG, 8},
        {offsetof(struct vmcb, save.cr3), BIT(52), 8},
        {offsetof(struct vmcb, save.cr4), CR4_PAE | BIT(40), 8},
        {offsetof(struct vmcb, save.cr4), 0, 8},                  /* long mode without PAE */
        {offsetof(struct vmcb, save.cr4), CR4_PAE | CR4_LA57, 8}, /* not on this processor */
        {offsetof(struct vmcb, save.cr4), CR4_PAE | BIT(0), 8},   /* VME */
        {offsetof(struct vmcb, save.efer), EFER_SVME | EFER_LME | EFER_LMA | EFER_LMSLE, 8},
        {offsetof(struct vmcb, save.g_pat), 0x0007040600070402, 8},
        {offsetof(struct vmcb, save.g_pat), 0x0807040600070406, 8},
        {offsetof(struct vmcb, control.n_cr3), NPT | BIT(48), 8},
        {offsetof(struct vmcb, save.dr6), BIT(32), 8},
        {offsetof(struct vmcb, save.dr7), BIT(32), 8},
        {offsetof(struct vmcb, save.cs.attributes), 0xe9b, 2}, /* L and D */
        {offsetof(struct vmcb, control.intercept_4), 0, 4},
        {offsetof(struct vmcb, control.msrpm_base), BIT(48) - 0x1000, 8},
        {offsetof(struct vmcb, control.iopm_base), BIT(48) - 0x2000, 8},
        {offsetof(struct vmcb, control.asid), 0, 4},
        {offsetof(struct vmcb, control.asid), 5, 4}, /* above 8000_001F ECX */
        {offsetof(struct vmcb, control.event_inject), EVENT_VALID | 1 << EVENT_TYPE_SHIFT, 8},
        {offsetof(struct vmcb, control.np_control), NP_SEV, 8},
        {offsetof(struct vmcb, control.np_control), NP_ENABLE | NP_SEV | NP_SEV_ES, 8},
    };
    struct guest *g = guest_create(true);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        build_vmcb(g);
        memcpy((u8 *)&g->vmcb + bad[i].offset, &bad[i].value, bad[i].size);
        if (guest_vmrun(g) != EXIT_INVALID)
            fail_msg("row %zu was accepted", i);
    }
    guest_destroy(g);
}

/* ASIDs are below CPUID 8000_000A EBX, for guests without SEV, too. */
static void vmrun_refuses_an_asid_that_the_processor_has_not(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    u32 out[4];
    cpu_host_cpuid(g->cpu, 0x8000000a, 0, out);
    g->vmcb.control.asid = out[1] - 1;
    assert_int_equal(RUN(g, "nop"), EXIT_HLT);
    build_vmcb(g);
    g->vmcb.control.asid = out[1];
    assert_int_equal(RUN(g, "nop"), EXIT_INVALID);
    guest_destroy(g);
}

/* Within the physical address width, but where no memory is: as on a bus that nobody drives. */
static void permission_maps_may_lie_outside_memory(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    g->vmcb.control.msrpm_base = GIB(64);
    g->vmcb.control.iopm_base = GIB(65);
    g->vmcb.control.intercept_3 |= (u32)(INTERCEPT3_IOIO | INTERCEPT3_MSR);
    assert_int_equal(RUN(g, "in al, 0x80"), EXIT_IOIO);
    assert_int_equal(RUN(g, "mov ecx, 0xc0000080; rdmsr"), EXIT_MSR); /* EFER */
    guest_destroy(g);
}

/* Legacy modes have CR3's upper bits, too, and PAE its four pointers. */
static void cr3_is_checked_in_every_mode(void **state)
{
    (void)state;
    static const struct {
        u64 cr0, cr4, cr3, pointer;
        bool nested, runs;
    } rows[] = {
        {CR0_PE, 0, BIT(48), 0, true, false},
        {CR0_PE, 0, BIT(63), 0, true, false},
        {CR0_PE, 0, 0, 0, true, true},
        {CR0_PE | CR0_PG, CR4_PAE, DATA, PTE_P, false, true},
        {CR0_PE | CR0_PG, CR4_PAE, DATA, PTE_P | PTE_RW, false, false},
        {CR0_PE | CR0_PG, CR4_PAE, DATA, PTE_P | BIT(5), false, false},
        {CR0_PE | CR0_PG, CR4_PAE, DATA, PTE_P | BIT(48), false, false},
        {CR0_PE | CR0_PG, CR4_PAE, DATA, PTE_P | PTE_NX, false, false},
        {CR0_PE | CR0_PG, CR4_PAE, DATA, PTE_RW, false, true}, /* not present */
        {CR0_PE | CR0_PG, CR4_PAE, DATA, PTE_P | PTE_RW, true, true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct guest *g = guest_create(false);
        struct vmcb_save *s = &g->vmcb.save;
        s->efer = EFER_SVME;
        s->cr0 = rows[i].cr0;
        s->cr4 = rows[i].cr4;
        s->cr3 = rows[i].cr3;
        g->vmcb.control.np_control = rows[i].nested ? NP_ENABLE : 0;
        host_write64(g, DATA + 8, rows[i].pointer);
        if ((guest_vmrun(g) != EXIT_INVALID) != rows[i].runs)
            fail_msg("row %zu", i);
        guest_destroy(g);
    }
}

static void sev_needs_the_smm_lock_which_stays(void **state)
{
    (void)state;
    struct guest *g = guest_create(true);
    u64 hwcr;
    assert_true(cpu_host_wrmsr(g->cpu, MSR_HWCR, BIT(24)));
    assert_true(cpu_host_rdmsr(g->cpu, MSR_HWCR, &hwcr));
    assert_int_equal(hwcr, BIT(24) | HWCR_SMM_LOCK);
    assert_int_equal(RUN(g, "nop"), EXIT_HLT);
    g->cpu->msr.hwcr = 0; /* by a reset */
    assert_true(guest_vmrun(g) == EXIT_INVALID);
    guest_destroy(g);
}

/* [APM2 15.34.3] */
static void without_memory_encryption_the_sev_bit_is_ignored(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    assert_true(cpu_host_wrmsr(g->cpu, MSR_SYSCFG, 0));
    g->vmcb.control.np_control |= NP_SEV;
    assert_int_equal(RUN(g, "mov ecx, 0xc0010131; rdmsr"), EXIT_HLT); /* SEV_STATUS */
    assert_int_equal(g->vmcb.save.rax, 0);
    build_vmcb(g);
    g->vmcb.control.np_control |= NP_SEV | NP_SEV_ES;
    assert_int_equal(RUN(g, "nop"), EXIT_HLT); /* its registers are the VMCB's */
    guest_destroy(g);
}

static void vmrun_makes_of_reserved_bits_what_the_registers_have(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    struct vmcb_save *s = &g->vmcb.save;
    s->rflags = ~(u64)(RFLAGS_VM | RFLAGS_TF | RFLAGS_IF | RFLAGS_IOPL);
    s->dr6 = 0;
    s->dr7 = 0;
    s->cr0 |= BIT(8);
    s->ds.base = BIT(47) | 1; /* canonical: extended by its sign */
    s->fs.base = BIT(47) | 2;
    s->kernel_gs_base = BIT(47) | 5;
    s->gdtr.base = BIT(47) | 3;
    s->es.base = BIT(48) | 4;
    assert_int_equal(RUN(g, "nop"), EXIT_HLT);
    assert_int_equal(s->rflags, 0x3c4cd7);
    assert_int_equal(s->dr6, 0xffff0ff0);
    assert_int_equal(s->cr0, CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG);
    assert_true(s->ds.base == (0xffffull << 48 | BIT(47) | 1));
    assert_true(s->fs.base == (0xffffull << 48 | BIT(47) | 2));
    assert_true(s->kernel_gs_base == (0xffffull << 48 | BIT(47) | 5));
    assert_true(s->gdtr.base == (0xffffull << 48 | BIT(47) | 3));
    assert_true(s->es.base == 4);
    build_vmcb(g);
    s->dr7 = 0;
    assert_int_equal(RUN(g, "mov rax, dr7"), EXIT_HLT);
    assert_int_equal(s->rax, 0x400);
    guest_destroy(g);
}

/* VMRUN reads TLB_CONTROL and does not change it [APM2 15.16.1]. */
static void the_flush_command_stays_the_hosts(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    g->vmcb.control.tlb_control = TLB_FLUSH_ASID;
    assert_int_equal(RUN(g, "nop"), EXIT_HLT);
    assert_int_equal(g->vmcb.control.tlb_control, TLB_FLUSH_ASID);
    guest_destroy(g);
}

/* With memory encryption the host's own C-bit may be in nCR3; transparent encryption is not here
 * and means nothing. */
static void bits_that_mean_nothing_here_are_ignored(void **state)
{
    (void)state;
    struct guest *g = guest_create(true);
    g->vmcb.control.n_cr3 |= BIT(51);
    g->vmcb.control.np_control |= NP_VTE;
    assert_int_equal(RUN(g, "nop"), EXIT_HLT);
    assert_true(cpu_host_wrmsr(g->cpu, MSR_SYSCFG, 0));
    assert_true(guest_vmrun(g) == EXIT_INVALID);
    guest_destroy(g);
}

static void lbr_virtualization_switches_debugctl(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    u64 host;
    assert_true(cpu_host_wrmsr(g->cpu, MSR_DEBUGCTL, 2));
    g->vmcb.control.lbr_control = LBR_VIRTUALIZATION;
    g->vmcb.save.dbgctl = 1;
    /* DEBUGCTL is MSR 1d9h. */
    assert_int_equal(RUN(g, "mov ecx, 0x1d9; rdmsr; mov ebx, eax; mov eax, 3; wrmsr"), EXIT_HLT);
    assert_int_equal(g->cpu->arch.r[RBX], 1);
    assert_int_equal(g->vmcb.save.dbgctl, 3);
    assert_true(cpu_host_rdmsr(g->cpu, MSR_DEBUGCTL, &host));
    assert_int_equal(host, 2);
    guest_destroy(g);
}

static void vmrun_is_gp_without_svme_or_host_save_area(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    assert_false(cpu_vmrun(g->cpu, VMCB + 8, 0));
    assert_false(cpu_vmrun(g->cpu, MIB(16), 0));
    assert_true(cpu_host_wrmsr(g->cpu, MSR_EFER, 0));
    assert_false(cpu_vmrun(g->cpu, VMCB, 0));
    guest_destroy(g);
}

static void each_intercept_exits_with_its_code(void **state)
{
    (void)state;
    const struct {
        struct code code;
        u8 word;
        u64 bit, exit, info_1;
    } rows[] = {
        {ASM("cpuid"), 3, INTERCEPT3_CPUID, EXIT_CPUID, 0},
        {ASM("rdtsc"), 3, INTERCEPT3_RDTSC, EXIT_RDTSC, 0},
        {ASM("rdpmc"), 3, INTERCEPT3_RDPMC, EXIT_RDPMC, 0},
        {ASM("pushfq"), 3, INTERCEPT3_PUSHF, EXIT_PUSHF, 0},
        {ASM("popfq"), 3, INTERCEPT3_POPF, EXIT_POPF, 0},
        {ASM("iretq"), 3, INTERCEPT3_IRET, EXIT_IRET, 0},
        {ASM("int 0x80"), 3, INTERCEPT3_INTN, EXIT_INTN, 0x80},
        {ASM("invd"), 3, INTERCEPT3_INVD, EXIT_INVD, 0},
        {ASM("pause"), 3, INTERCEPT3_PAUSE, EXIT_PAUSE, 0},
        {ASM("hlt"), 3, INTERCEPT3_HLT, EXIT_HLT, 0},
        {ASM("invlpg [0x20000]"), 3, INTERCEPT3_INVLPG, EXIT_INVLPG, DATA},
        {ASM("invlpga"), 3, INTERCEPT3_INVLPGA, EXIT_INVLPGA, 0},
        {ASM("sgdt [0x20000]"), 3, INTERCEPT3_GDTR_READ, EXIT_GDTR_READ, 0},
        {ASM("sidt [0x20000]"), 3, INTERCEPT3_IDTR_READ, EXIT_IDTR_READ, 0},
        {ASM("lgdt [0x20000]"), 3, INTERCEPT3_GDTR_WRITE, EXIT_GDTR_WRITE, 0},
        {ASM("lidt [0x20000]"), 3, INTERCEPT3_IDTR_WRITE, EXIT_IDTR_WRITE, 0},
        {ASM("sldt eax"), 3, INTERCEPT3_LDTR_READ, EXIT_LDTR_READ, 0},
        {ASM("str eax"), 3, INTERCEPT3_TR_READ, EXIT_TR_READ, 0},
        {ASM("lldt ax"), 3, INTERCEPT3_LDTR_WRITE, EXIT_LDTR_WRITE, 0},
        {ASM("ltr ax"), 3, INTERCEPT3_TR_WRITE, EXIT_TR_WRITE, 0},
        {ASM("vmrun"), 4, INTERCEPT4_VMRUN, EXIT_VMRUN, 0},
        {ASM("vmmcall"), 4, INTERCEPT4_VMMCALL, EXIT_VMMCALL, 0},
        {ASM("vmload"), 4, INTERCEPT4_VMLOAD, EXIT_VMLOAD, 0},
        {ASM("vmsave"), 4, INTERCEPT4_VMSAVE, EXIT_VMSAVE, 0},
        {ASM("stgi"), 4, INTERCEPT4_STGI, EXIT_STGI, 0},
        {ASM("clgi"), 4, INTERCEPT4_CLGI, EXIT_CLGI, 0},
        {ASM("skinit"), 4, INTERCEPT4_SKINIT, EXIT_SKINIT, 0},
        {ASM("rdtscp"), 4, INTERCEPT4_RDTSCP, EXIT_RDTSCP, 0},
        {ASM("int1"), 4, INTERCEPT4_ICEBP, EXIT_ICEBP, 0},
        {ASM("wbinvd"), 4, INTERCEPT4_WBINVD, EXIT_WBINVD, 0},
        /* ports; the maps are all zero but for those set below */
        {ASM("in al, 0x60"), 3, INTERCEPT3_IOIO, EXIT_IOIO, 0x600000 | 1 | 1 << 4 | 1 << 9},
        {ASM("out 0x60, eax"), 3, INTERCEPT3_IOIO, EXIT_IOIO, 0x600000 | 4 << 4 | 1 << 9},
        {ASM("out 0x5f, ax"), 3, INTERCEPT3_IOIO, EXIT_IOIO, 0x5f0000 | 2 << 4 | 1 << 9},
        {ASM("mov dx, 0x60; rep outsb"), 3, INTERCEPT3_IOIO, EXIT_IOIO,
         0x600000 | 4 | 8 | 1 << 4 | 1 << 9 | 3 << 10},
        /* MSRs: TSC in the first range, EFER in the second, one outside all */
        {ASM("mov ecx, 0x10; rdmsr"), 3, INTERCEPT3_MSR, EXIT_MSR, 0},
        {ASM("mov ecx, 0xc0000080; wrmsr"), 3, INTERCEPT3_MSR, EXIT_MSR, 1},
        {ASM("mov ecx, 0x4b560000; rdmsr"), 3, INTERCEPT3_MSR, EXIT_MSR, 0},
    };
    struct guest *g = guest_create(true);
    memory_write(g->memory, IOPM + 0x60 / 8, KEY_RAW, "\x01", 1);
    memory_write(g->memory, MSRPM + 0x10 * 2 / 8, KEY_RAW, "\x01", 1);
    memory_write(g->memory, MSRPM + 0x800 + 0x80 * 2 / 8, KEY_RAW, "\x02", 1);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        build_vmcb(g);
        g->cpu->arch.r[RCX] = 1;
        if (rows[i].word == 3)
            g->vmcb.control.intercept_3 |= (u32)rows[i].bit;
        else
            g->vmcb.control.intercept_4 |= (u32)rows[i].bit;
        u64 exit = guest_run_code(g, rows[i].code);
        if (exit != rows[i].exit || g->vmcb.control.exit_info_1 != rows[i].info_1)
            fail_msg("row %zu: exit 0x%llx info 0x%llx rip 0x%llx", i, (unsigned long long)exit,
                     (unsigned long long)g->vmcb.control.exit_info_1,
                     (unsigned long long)g->vmcb.save.rip);
        assert_int_equal(g->vmcb.control.next_rip, CODE + rows[i].code.size);
        if (exit == EXIT_IOIO)
            assert_int_equal(g->vmcb.control.exit_info_2, CODE + rows[i].code.size);
    }
    guest_destroy(g);
}

static void the_filter_lets_the_first_pauses_pass(void **state)
{
    (void)state;
    struct guest *g = guest_create(true);
    build_vmcb(g);
    g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_PAUSE;
    g->vmcb.control.pause_filter_count = 5;
    g->cpu->arch.r[RBX] = 0;
    assert_int_equal(RUN(g, "2: pause; inc ebx; jmp 2b"), EXIT_PAUSE);
    assert_int_equal(g->cpu->arch.r[RBX], 5);
    assert_int_equal(g->vmcb.save.rip, CODE);
    assert_int_equal(g->vmcb.control.next_rip, CODE + 2);
    guest_destroy(g);
}

static void cr_and_dr_intercepts_name_the_register(void **state)
{
    (void)state;
    const struct {
        struct code code;
        bool debug, write;
        u8 number;
        u64 exit, info_1;
    } rows[] = {
        {ASM("mov rbx, cr0"), false, false, 0, EXIT_CR_READ + 0, BIT(63) | RBX},
        {ASM("mov cr3, rcx"), false, true, 3, EXIT_CR_WRITE + 3, BIT(63) | RCX},
        {ASM("clts"), false, true, 0, EXIT_CR_WRITE + 0, 0},
        {ASM("mov rax, cr8"), false, false, 8, EXIT_CR_READ + 8, BIT(63) | RAX},
        {ASM("mov rax, dr7"), true, false, 7, EXIT_DR_READ + 7, RAX},
        {ASM("mov dr6, rdx"), true, true, 6, EXIT_DR_WRITE + 6, RDX},
    };
    struct guest *g = guest_create(false);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        build_vmcb(g);
        struct vmcb_control *k = &g->vmcb.control;
        u16 bit = (u16)BIT(rows[i].number);
        *(rows[i].debug   ? rows[i].write ? &k->intercept_dr_write : &k->intercept_dr_read
          : rows[i].write ? &k->intercept_cr_write
                          : &k->intercept_cr_read) = bit;
        assert_int_equal(guest_run_code(g, rows[i].code), rows[i].exit);
        assert_true(k->exit_info_1 == rows[i].info_1);
    }
    guest_destroy(g);
}

static void sev_status_is_never_intercepted(void **state)
{
    (void)state;
    struct guest *g = guest_create(true);
    u8 ones[0x2000];
    memset(ones, 0xff, sizeof ones);
    memory_write(g->memory, MSRPM, KEY_RAW, ones, sizeof ones);
    g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_MSR;
    assert_int_equal(RUN(g, "mov ecx, 0xc0010131; rdmsr"), EXIT_HLT);
    assert_int_equal(g->vmcb.save.rax, 1);
    guest_destroy(g);
}

static void an_unknown_msr_is_gp(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    RUN(g, "mov ecx, 0x4b560000; rdmsr");
    assert_int_equal(delivered(g), VECTOR_GP);
    guest_destroy(g);
}

static void the_deadline_is_an_exact_count(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    u64 loops = 0;
    /* two instructions a round */
    guest_write_code(g, CODE, ASM("2: inc rcx; jmp 2b"));
    g->cpu->arch.r[RCX] = 0;
    for (u64 budget = 1; budget < 200; budget += 13) {
        u64 before = g->clock.now;
        memory_write(g->memory, VMCB, KEY_RAW, &g->vmcb, sizeof g->vmcb);
        assert_true(cpu_vmrun(g->cpu, VMCB, before + budget));
        memory_read(g->memory, VMCB, KEY_RAW, &g->vmcb, sizeof g->vmcb);
        assert_int_equal(g->vmcb.control.exit_code, EXIT_INTR);
        assert_int_equal(g->clock.now, before + budget);
        loops += budget;
        assert_int_equal(g->cpu->arch.r[RCX], (loops + 1) / 2);
    }
    guest_destroy(g);
}

static void an_injected_event_is_delivered_first(void **state)
{
    (void)state;
    struct guest *g = guest_create(true);
    g->vmcb.control.event_inject = EVENT_VALID | 0x41 | EVENT_INTR << EVENT_TYPE_SHIFT;
    g->vmcb.control.interrupt_shadow = INTERRUPT_SHADOW;
    RUN(g, "nop");
    assert_int_equal(delivered(g), 0x41);
    assert_int_equal(g->vmcb.control.event_inject, 0);
    assert_int_equal(guest_read64(g, STACK - 40), CODE); /* RIP of the frame */
    build_vmcb(g);
    g->vmcb.control.event_inject = EVENT_VALID | VECTOR_GP | EVENT_EXCEPTION << EVENT_TYPE_SHIFT |
                                   EVENT_ERROR_CODE | 0x1234ull << 32;
    RUN(g, "nop");
    assert_int_equal(delivered(g), VECTOR_GP);
    assert_int_equal(guest_read64(g, STACK - 48), 0x1234);
    guest_destroy(g);
}

static void a_virtual_interrupt_waits_for_if_and_the_shadow(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    g->vmcb.control.v_intr |= (u32)(V_INTR_IRQ | V_INTR_IGNORE_TPR);
    g->vmcb.control.v_intr_vector = 0x55;
    RUN(g, "nop; sti; nop; nop; nop");
    assert_int_equal(delivered(g), 0x55);
    assert_int_equal(guest_read64(g, STACK - 40),
                     CODE + 3); /* behind the instruction that follows STI */
    assert_false(g->vmcb.control.v_intr & V_INTR_IRQ);
    guest_destroy(g);
}

static void vintr_exits_when_the_guest_would_take_it(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    g->vmcb.control.v_intr |= (u32)(V_INTR_IRQ | V_INTR_IGNORE_TPR);
    g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_VINTR;
    assert_int_equal(RUN(g, "sti; nop; nop"), EXIT_VINTR);
    assert_int_equal(g->vmcb.save.rip, CODE + 2);
    assert_true(g->vmcb.control.v_intr & V_INTR_IRQ);
    guest_destroy(g);
}

static void the_task_priority_holds_a_virtual_interrupt_back(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    g->vmcb.control.v_intr |= (u32)(V_INTR_IRQ | 5u << V_INTR_PRIO_SHIFT);
    g->vmcb.control.v_intr_vector = 0x55;
    g->vmcb.save.rflags |= RFLAGS_IF;
    g->vmcb.save.rax = 0;
    g->vmcb.control.v_intr |= 7; /* V_TPR */
    RUN(g, "nop; mov cr8, rax; nop");
    assert_int_equal(delivered(g), 0x55);
    assert_int_equal(guest_read64(g, STACK - 40), CODE + 5);
    guest_destroy(g);
}

static void an_intercepted_exception_exits_instead(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    g->vmcb.control.intercept_exceptions = (u32)(BIT(VECTOR_UD) | BIT(VECTOR_PF));
    assert_int_equal(RUN(g, "ud2"), EXIT_EXCEPTION + VECTOR_UD);
    assert_int_equal(g->vmcb.save.rip, CODE);
    build_vmcb(g);
    g->vmcb.control.intercept_exceptions = (u32)BIT(VECTOR_PF);
    g->vmcb.save.cr2 = 0x77;
    assert_int_equal(RUN(g, "movabs al, [0x40001234]"),
                     EXIT_EXCEPTION + VECTOR_PF); /* mov al, [0x40001234] */
    assert_int_equal(g->vmcb.control.exit_info_1, 0);
    assert_int_equal(g->vmcb.control.exit_info_2, 0x40001234);
    assert_int_equal(g->vmcb.save.cr2, 0x77);
    guest_destroy(g);
}

static void vmload_and_vmsave_move_the_rest(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    g->vmcb.save.kernel_gs_base = 0x1111;
    g->vmcb.save.gs.base = 0x2222;
    assert_int_equal(RUN(g, "swapgs"), EXIT_HLT);
    assert_int_equal(g->vmcb.save.kernel_gs_base, 0x2222);
    assert_int_equal(g->vmcb.save.gs.base, 0x1111);
    guest_destroy(g);
}

static void rdrand_sets_carry_in_every_width(void **state)
{
    (void)state;
    struct guest *g = guest_create(true);
    assert_int_equal(RUN(g, "rdrand rdx"), EXIT_HLT);
    assert_true(g->vmcb.save.rflags & RFLAGS_CF);
    assert_true(g->cpu->arch.r[RDX] >> 32);
    build_vmcb(g);
    assert_int_equal(RUN(g, "rdrand edx"), EXIT_HLT);
    assert_true(g->vmcb.save.rflags & RFLAGS_CF);
    assert_false(g->cpu->arch.r[RDX] >> 32);
    guest_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_runs_to_its_hlt),
        cmocka_unit_test(vmrun_refuses_what_the_manual_forbids),
        cmocka_unit_test(vmrun_refuses_an_asid_that_the_processor_has_not),
        cmocka_unit_test(permission_maps_may_lie_outside_memory),
        cmocka_unit_test(cr3_is_checked_in_every_mode),
        cmocka_unit_test(sev_needs_the_smm_lock_which_stays),
        cmocka_unit_test(without_memory_encryption_the_sev_bit_is_ignored),
        cmocka_unit_test(vmrun_makes_of_reserved_bits_what_the_registers_have),
        cmocka_unit_test(the_flush_command_stays_the_hosts),
        cmocka_unit_test(bits_that_mean_nothing_here_are_ignored),
        cmocka_unit_test(lbr_virtualization_switches_debugctl),
        cmocka_unit_test(vmrun_is_gp_without_svme_or_host_save_area),
        cmocka_unit_test(each_intercept_exits_with_its_code),
        cmocka_unit_test(the_filter_lets_the_first_pauses_pass),
        cmocka_unit_test(cr_and_dr_intercepts_name_the_register),
        cmocka_unit_test(sev_status_is_never_intercepted),
        cmocka_unit_test(an_unknown_msr_is_gp),
        cmocka_unit_test(the_deadline_is_an_exact_count),
        cmocka_unit_test(an_injected_event_is_delivered_first),
        cmocka_unit_test(a_virtual_interrupt_waits_for_if_and_the_shadow),
        cmocka_unit_test(vintr_exits_when_the_guest_would_take_it),
        cmocka_unit_test(the_task_priority_holds_a_virtual_interrupt_back),
        cmocka_unit_test(an_intercepted_exception_exits_instead),
        cmocka_unit_test(vmload_and_vmsave_move_the_rest),
        cmocka_unit_test(rdrand_sets_carry_in_every_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
