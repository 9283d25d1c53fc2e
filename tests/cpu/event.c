/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exceptions, interrupts and far transfers in long mode [APM2 4, 8]: frames, error codes, IST,
 * privilege changes, double faults and shutdown, what EXITINTINFO says. The 16- and 32-bit forms
 * are tested by cpu_test386.
 */
#include "guest.h"

static u64 frame(struct guest *g, u64 top, u32 word)
{
    return guest_read64(g, top - 8 * (u64)word);
}

static void faults_push_their_error_code_and_the_faulting_rip(void **state)
{
    (void)state;
    const struct {
        struct code code;
        u32 at;
        u8 vector;
        bool has_error;
        u32 error;
    } rows[] = {
        {ASM("nop; ud2"), 1, VECTOR_UD, false, 0},
        {ASM("xor ecx, ecx; div ecx"), 2, VECTOR_DE, false, 0},
        {ASM("mov eax, 0x40; mov ds, eax"), 5, VECTOR_GP, true, 0x40}, /* beyond the GDT */
        {ASM("mov eax, 0x33; mov ds, eax"), 5, VECTOR_GP, true, 0x30}, /* a TSS */
        {ASM("mov eax, 8; mov ss, eax"), 5, VECTOR_GP, true, 8},       /* code in SS */
        /* null SS and DS are fine at CPL 0 */
        {ASM("xor eax, eax; mov ss, eax; mov ds, eax; ud2"), 6, VECTOR_UD, false, 0},
        {ASM("mov rax, 0x800000000000; mov al, [rax]"), 10, VECTOR_GP, true, 0}, /* non-canonical */
        /* the same by RBP */
        {ASM("mov rbp, 0x800000000000; mov al, [rbp + 0]"), 10, VECTOR_SS, true, 0},
        {ASM("int 0x20"), 0, VECTOR_GP, true, 0x20 * 8 + 2},      /* beyond the IDT's limit */
        {ASM("xgetbv"), 0, VECTOR_UD, false, 0},                  /* without OSXSAVE */
        {ASM("vmload"), 0, VECTOR_UD, false, 0},                  /* no nested SVM */
        {ASM("mov eax, 1; mov cr0, rax"), 5, VECTOR_GP, true, 0}, /* PG off in 64-bit mode */
        /* PAE off in long mode */
        {ASM("mov rax, cr4; btr eax, 5; mov cr4, rax"), 7, VECTOR_GP, true, 0},
        /* reserved bit of CR4 */
        {ASM("mov rax, cr4; bts eax, 0x1f; mov cr4, rax"), 7, VECTOR_GP, true, 0},
        {ASM("mov eax, 0x10; mov cr8, rax"), 5, VECTOR_GP, true, 0}, /* CR8 above 15 */
        {ASM("mov cr5, rax"), 0, VECTOR_UD, false, 0},
        {ASM("int3"), 1, VECTOR_BP, false, 0}, /* a trap: after it */
        {ASM("int1"), 1, VECTOR_DB, false, 0},
        {ASM("int 0x77"), 2, 0x77, false, 0},
    };
    struct guest *g = guest_create(true);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        build_vmcb(g);
        bool limit = rows[i].error == 0x20 * 8 + 2;
        if (limit)
            g->vmcb.save.idtr.limit = 0x1ff;
        guest_run_code(g, rows[i].code);
        u64 vector = delivered(g);
        u32 words = rows[i].has_error ? 6 : 5;
        u64 rip = frame(g, STACK, 5);
        if (vector != rows[i].vector || rip != CODE + rows[i].at ||
            g->vmcb.save.rsp != STACK - 8 * words)
            fail_msg("row %zu: vector %llu rip 0x%llx", i, (unsigned long long)vector,
                     (unsigned long long)rip);
        if (rows[i].has_error)
            assert_int_equal(frame(g, STACK, 6), rows[i].error);
        bool null = rows[i].vector == VECTOR_UD && rows[i].at == 6; /* what SS was loaded with */
        assert_int_equal(frame(g, STACK, 1), null ? 0 : SEL_DATA);
        assert_int_equal(frame(g, STACK, 2), STACK);
        assert_int_equal(frame(g, STACK, 4), SEL_CODE64);
    }
    guest_destroy(g);
}

static void a_fault_sets_rf_in_its_image_and_a_trap_does_not(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    RUN(g, "ud2");
    assert_int_equal(frame(g, STACK, 3), RFLAGS_RF | RFLAGS_ONE);
    build_vmcb(g);
    RUN(g, "int3");
    assert_int_equal(frame(g, STACK, 3), RFLAGS_ONE);
    guest_destroy(g);
}

static void an_interrupt_gate_masks_and_a_trap_gate_does_not(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    guest_write(g, IDT + 16 * 0x31 + 5, "\x8f", 1);
    for (u8 vector = 0x30; vector <= 0x31; vector++) {
        build_vmcb(g);
        g->vmcb.save.rflags |= RFLAGS_IF;
        guest_run_code(g, vector == 0x30 ? ASM("int 0x30") : ASM("int 0x31"));
        assert_int_equal(delivered(g), vector);
        assert_int_equal(g->vmcb.save.rflags & RFLAGS_IF, vector == 0x31 ? RFLAGS_IF : 0);
    }
    guest_destroy(g);
}

static void an_ist_stack_is_taken_whatever_the_privilege(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    guest_write(g, IDT + 16 * VECTOR_UD + 4, "\x01", 1);
    g->vmcb.save.rsp = 0x13; /* not aligned, no room */
    RUN(g, "ud2");
    assert_int_equal(delivered(g), VECTOR_UD);
    assert_int_equal(g->vmcb.save.rsp, IST1 - 40);
    assert_int_equal(frame(g, IST1, 2), 0x13);
    guest_destroy(g);
}

/* SS, RSP, RFLAGS, CS and RIP: USTACK and CODE + 64 */
#define IRET_TO_USER "push 0x23; push 0xc000; push 0x202; push 0x2b; push 0x10040; iretq"

/* Runs `user` in user mode. */
static void enter_user(struct guest *g, struct code user)
{
    guest_write_code(g, CODE + 64, user);
    RUN(g, IRET_TO_USER);
}

static void iret_goes_to_user_mode_and_an_interrupt_comes_back(void **state)
{
    (void)state;
    struct guest *g = guest_create(true);
    enter_user(g, ASM("push rax; int 0x80"));
    assert_int_equal(delivered(g), 0x80);
    assert_int_equal(g->vmcb.save.cpl, 0);
    assert_int_equal(g->vmcb.save.ss.selector, 0); /* null, by the rule of long mode */
    assert_int_equal(frame(g, STACK, 1), SEL_USER_DATA | 3);
    assert_int_equal(frame(g, STACK, 2), USTACK - 8);
    assert_int_equal(frame(g, STACK, 4), SEL_USER64 | 3);
    assert_int_equal(frame(g, STACK, 5), CODE + 64 + 3);
    assert_int_equal(g->vmcb.save.ds.selector, 0); /* hidden from user mode: its DPL was 0 */
    guest_destroy(g);
}

static void user_mode_may_not(void **state)
{
    (void)state;
    const struct {
        struct code code;
        u8 vector;
    } rows[] = {
        {ASM("hlt"), VECTOR_GP},
        {ASM("cli"), VECTOR_GP},
        {ASM("mov cr3, rax"), VECTOR_GP},
        {ASM("rdmsr"), VECTOR_GP},
        {ASM("swapgs"), VECTOR_GP},
        {ASM("in al, 0x60"), VECTOR_GP}, /* the TSS has no bitmap */
        {ASM("clac"), VECTOR_UD},
        {ASM("int 0x40"), VECTOR_GP},                /* a gate of DPL 0 */
        {ASM("mov eax, 8; mov ds, eax"), VECTOR_GP}, /* code of DPL 0 */
        {ASM("vmmcall"), VECTOR_UD},                 /* not intercepted */
    };
    struct guest *g = guest_create(false);
    guest_write(g, IDT + 16 * 0x40 + 5, "\x8e", 1);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        build_vmcb(g);
        guest_write_code(g, CODE + 64 + rows[i].code.size, ASM("ud2"));
        enter_user(g, rows[i].code);
        if (delivered(g) != rows[i].vector)
            fail_msg("row %zu: vector %llu", i, (unsigned long long)delivered(g));
    }
    guest_destroy(g);
}

static void syscall_and_sysret_follow_star(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    g->vmcb.save.star = (u64)SEL_CODE64 << 32 | (u64)(SEL_CODE32 | 3) << 48;
    g->vmcb.save.lstar = HANDLERS + 16 * 200;
    g->vmcb.save.sfmask = RFLAGS_IF;
    enter_user(g, ASM("syscall"));
    assert_int_equal(delivered(g), 200);
    assert_int_equal(g->cpu->arch.r[RCX], CODE + 64 + 2);
    assert_int_equal(g->cpu->arch.r[11], RFLAGS_IF | RFLAGS_ONE);
    assert_int_equal(g->vmcb.save.rflags, RFLAGS_ONE);
    assert_int_equal(g->vmcb.save.cs.selector, SEL_CODE64);
    assert_int_equal(g->vmcb.save.ss.selector, SEL_CODE64 + 8);
    /* sysretq to ud2 */
    guest_write_code(g, CODE + 128, ASM("ud2"));
    g->vmcb.save.rip = CODE;
    g->cpu->arch.r[RCX] = CODE + 128;
    RUN(g, "sysretq");
    assert_int_equal(delivered(g), VECTOR_UD);
    assert_int_equal(frame(g, STACK, 4), SEL_USER64 | 3);
    assert_int_equal(frame(g, STACK, 1), SEL_USER_DATA | 3);
    assert_int_equal(frame(g, STACK, 5), CODE + 128);
    guest_destroy(g);
}

static void a_far_return_to_compatibility_mode_and_back(void **state)
{
    (void)state;
    struct guest *g = guest_create(true);
    /* To CODE + 64 in 32-bit code, where 40h is INC EAX and not a prefix, then to CODE + 96. */
    guest_write_code(g, CODE + 64, ASM32("inc eax; ljmp 8:0x10060"));
    guest_write_code(g, CODE + 96, ASM("inc rax; hlt"));
    RUN(g, "xor eax, eax; push 0x18; push 0x10040; retfq");
    assert_int_equal(g->vmcb.control.exit_code, EXIT_HLT);
    assert_int_equal(g->vmcb.save.rip, CODE + 99);
    assert_int_equal(g->vmcb.save.rax, 2);
    guest_destroy(g);
}

static void long_mode_goes_off_and_on_from_32_bit_code(void **state)
{
    (void)state;
    struct guest *g = guest_create(true);
    /* As the kernel finds the C-bit: paging off, a write to DATA, paging on, a read. */
    guest_write_code(g, CODE + 64,
                     ASM32("mov eax, 1; mov cr0, eax; mov byte ptr [0x20000], 0x77; "
                           "mov eax, 0x80000001; mov cr0, eax; mov bl, [0x20000]; hlt"));
    RUN(g, "push 0x18; push 0x10040; retfq");
    assert_int_equal(g->vmcb.control.exit_code, EXIT_HLT);
    assert_int_equal(g->cpu->arch.r[RBX] & 0xff, 0x77); /* private either way */
    assert_true(g->vmcb.save.efer & EFER_LMA);
    assert_int_equal(g->vmcb.save.cs.selector, SEL_CODE32);
    guest_destroy(g);
}

static void a_fault_in_the_delivery_of_a_fault_is_a_double_fault(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    guest_write(g, IDT + 16 * VECTOR_GP + 5, "\x6e", 1); /* not present: #NP while delivering #GP */
    RUN(g, "mov rax, cr4; bts eax, 0x1f; mov cr4, rax");
    assert_int_equal(delivered(g), VECTOR_DF);
    assert_int_equal(frame(g, STACK, 6), 0);
    guest_write(g, IDT + 16 * VECTOR_UD + 5, "\x6e",
                1); /* #UD is benign: #NP is delivered by itself */
    build_vmcb(g);
    RUN(g, "ud2");
    assert_int_equal(delivered(g), VECTOR_NP);
    assert_int_equal(frame(g, STACK, 6), VECTOR_UD * 8 + 2);
    build_vmcb(g);
    g->vmcb.control.event_inject = EVENT_VALID | VECTOR_UD; /* an interrupt comes from outside */
    RUN(g, "nop");
    assert_int_equal(delivered(g), VECTOR_NP);
    assert_int_equal(frame(g, STACK, 6), VECTOR_UD * 8 + 2 + 1);
    guest_write(g, IDT + 16 * VECTOR_DF + 5, "\x6e", 1); /* and a third one shuts down */
    build_vmcb(g);
    assert_int_equal(RUN(g, "mov rax, cr4; bts eax, 0x1f; mov cr4, rax"), EXIT_SHUTDOWN);
    guest_destroy(g);
}

static void exitintinfo_names_the_event_whose_delivery_was_cut_off(void **state)
{
    (void)state;
    struct guest *g = guest_create(true);
    guest_write64(g, PT + 8 * ((STACK - 8) >> 12),
                  0xfee00000 | PTE_P | PTE_RW); /* the stack lies on a device */
    assert_int_equal(RUN(g, "mov rax, cr4; bts eax, 0x1f; mov cr4, rax"), EXIT_NPF);
    assert_true(g->vmcb.control.exit_int_info ==
                (EVENT_VALID | EVENT_ERROR_CODE | EVENT_EXCEPTION << EVENT_TYPE_SHIFT | VECTOR_GP));
    assert_int_equal(g->vmcb.save.rip, CODE + 7);
    build_vmcb(g);
    assert_int_equal(RUN(g, "int 0x77"), EXIT_NPF);
    assert_true(g->vmcb.control.exit_int_info ==
                (EVENT_VALID | EVENT_SOFTWARE << EVENT_TYPE_SHIFT | 0x77));
    assert_int_equal(g->vmcb.save.rip, CODE);
    /* Injected after the page is there, it returns where nRIP says, behind the INT. */
    g->vmcb.control.next_rip = CODE + 2;
    guest_write64(g, PT + 8 * ((STACK - 8) >> 12), (STACK - 4096) | PTE_P | PTE_RW | BIT(51));
    g->vmcb.control.event_inject = g->vmcb.control.exit_int_info;
    guest_vmrun(g);
    assert_int_equal(delivered(g), 0x77);
    assert_int_equal(frame(g, STACK, 5), CODE + 2);
    guest_destroy(g);
}

static void single_step_traps_behind_each_instruction(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    g->vmcb.save.rflags |= RFLAGS_TF;
    RUN(g, "nop; nop");
    assert_int_equal(delivered(g), VECTOR_DB);
    assert_int_equal(frame(g, STACK, 5), CODE + 1);
    assert_int_equal(g->vmcb.save.dr6, 0xffff0ff0 | DR6_BS);
    assert_false(g->vmcb.save.rflags & RFLAGS_TF);
    guest_destroy(g);
}

static void a_load_of_ss_puts_the_single_step_off_and_sti_does_not(void **state)
{
    (void)state;
    const struct {
        struct code code;
        u64 at;
    } rows[] = {
        {ASM("mov ss, eax; nop; nop"), 3},         {ASM("push rax; mov ss, eax; nop"), 1},
        {ASM("mov ds, eax; nop; nop"), 2},         {ASM("sti; nop; nop; nop"), 1},
        {ASM("mov ss, eax; mov ss, eax; nop"), 5},
    };
    struct guest *g = guest_create(false);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        build_vmcb(g);
        g->vmcb.save.rflags |= RFLAGS_TF;
        g->vmcb.save.rax = SEL_DATA;
        guest_run_code(g, rows[i].code);
        assert_int_equal(delivered(g), VECTOR_DB);
        assert_int_equal(frame(g, g->vmcb.save.rsp + 40, 5), CODE + rows[i].at);
        assert_int_equal(g->vmcb.save.dr6, 0xffff0ff0 | DR6_BS);
    }
    guest_destroy(g);
}

static void a_code_breakpoint_is_a_fault_that_rf_suppresses(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    g->cpu->arch.dr[2] = CODE + 1;
    g->vmcb.save.dr7 = 0x420;
    g->vmcb.save.dr6 = 0xffff0ff0 | DR6_BS | 1;
    RUN(g, "nop; nop; nop");
    assert_int_equal(delivered(g), VECTOR_DB);
    assert_int_equal(frame(g, STACK, 5), CODE + 1);
    assert_false(frame(g, STACK, 3) & RFLAGS_RF);
    assert_int_equal(g->vmcb.save.dr6, 0xffff0ff0 | DR6_BS | 4); /* B bits are made afresh */
    build_vmcb(g);
    g->vmcb.save.dr7 = 0x420;
    g->vmcb.save.rip = CODE + 1;
    g->vmcb.save.rflags |= RFLAGS_RF;
    assert_int_equal(guest_vmrun(g), EXIT_HLT);
    assert_int_equal(g->vmcb.save.rip, CODE + 3);
    guest_destroy(g);
}

static void iret_takes_rf_from_its_image(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    guest_write_code(g, CODE + 64, ASM("nop; hlt"));
    g->cpu->arch.dr[0] = CODE + 64;
    g->vmcb.save.dr7 = 0x401;
    /* To CODE + 64, with RF in the flags: the breakpoint there is not hit. */
    RUN(g, "push 0x10; push 0x8000; push 0x10002; push 8; push 0x10040; iretq");
    assert_int_equal(g->vmcb.control.exit_code, EXIT_HLT);
    assert_int_equal(g->vmcb.save.rip, CODE + 65);
    guest_destroy(g);
}

static void data_breakpoints_trap_behind_the_access(void **state)
{
    (void)state;
    enum { WRITE = 0xd, ACCESS = 0xf }; /* four bytes */
    const struct {
        struct code code;
        u32 type;
        u64 at; /* 0: not hit */
    } rows[] = {
        {ASM("mov [rax], ecx"), WRITE, 2},
        {ASM("mov ecx, [rax]"), WRITE, 0},
        {ASM("mov ecx, [rax]"), ACCESS, 2},
        {ASM("mov [rax + 3], cl"), WRITE, 3},
        {ASM("mov [rax + 4], cl"), ACCESS, 0},
        {ASM("mov [rax - 3], ecx"), WRITE, 3}, /* from the page before */
        {ASM("inc dword ptr [rax + 1]"), WRITE, 3},
        {ASM("movups [rax - 12], xmm0"), WRITE, 4},
        {ASM("mov rdi, rax; stosb"), WRITE, 4},
        {ASM("mov rsp, rax; pop rdx"), ACCESS, 4},
        {ASM("mov rsp, rax; push rax"), ACCESS, 0}, /* below it */
        {ASM("lea ecx, [rax + 1]"), ACCESS, 0},
    };
    struct guest *g = guest_create(true);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        build_vmcb(g);
        g->cpu->arch.dr[1] = DATA;
        g->vmcb.save.dr7 = 0x408 | rows[i].type << 20;
        g->vmcb.save.rax = DATA;
        guest_run_code(g, rows[i].code);
        if (!rows[i].at) {
            assert_int_equal(g->vmcb.control.exit_code, EXIT_HLT);
            assert_true(g->vmcb.save.rip < HANDLERS);
            continue;
        }
        assert_int_equal(delivered(g), VECTOR_DB);
        assert_int_equal(frame(g, g->vmcb.save.rsp + 40, 5), CODE + rows[i].at);
        assert_int_equal(g->vmcb.save.dr6, 0xffff0ff2);
    }
    guest_destroy(g);
}

static void a_repeated_string_stops_behind_the_iteration_that_hits(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    g->cpu->arch.dr[3] = DATA + 0x11;
    g->cpu->arch.r[RCX] = 0x40;
    g->cpu->arch.r[RDI] = DATA;
    g->vmcb.save.dr7 = 0x480 | 1u << 28;
    RUN(g, "rep stosb");
    assert_int_equal(delivered(g), VECTOR_DB);
    assert_int_equal(frame(g, STACK, 5), CODE);
    assert_int_equal(g->cpu->arch.r[RDI], DATA + 0x12);
    assert_int_equal(g->cpu->arch.r[RCX], 0x40 - 0x12);
    guest_destroy(g);
}

static void what_an_instruction_hit_that_faulted_is_forgotten(void **state)
{
    (void)state;
    const u64 nowhere = 0x7f0000000000;
    struct guest *g = guest_create(false);
    g->cpu->arch.dr[0] = DATA;
    g->cpu->arch.r[RSI] = DATA;
    g->cpu->arch.r[RDI] = nowhere;
    g->vmcb.save.dr7 = 0x401 | 3u << 16;
    g->vmcb.control.intercept_exceptions = BIT(VECTOR_PF);
    assert_int_equal(RUN(g, "movsb"), EXIT_EXCEPTION + VECTOR_PF);

    /* A repeated string that is stopped between two iterations looks for traps. */
    g->vmcb.save.dr7 = 0x400;
    g->cpu->arch.r[RCX] = 0x100;
    g->cpu->arch.r[RDI] = DATA;
    guest_write_code(g, CODE, ASM("rep stosb"));
    assert_int_equal(guest_vmrun_for(g, 20), EXIT_INTR);
    assert_true(g->cpu->arch.r[RCX] && g->cpu->arch.r[RCX] < 0x100);
    assert_int_equal(g->vmcb.save.rip, CODE);
    guest_destroy(g);
}

static void what_a_load_of_ss_hit_traps_behind_the_next_instruction(void **state)
{
    (void)state;
    const struct {
        struct code code;
        u64 rip;
    } rows[] = {
        {ASM("mov ss, [rax]; nop"), CODE + 3},
        {ASM("mov ss, [rax]; int 0x80"), HANDLERS + 16 * 0x80},
        {ASM("mov ss, [rax]; int1"), CODE + 3}, /* one #DB for both */
    };
    struct guest *g = guest_create(false);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        build_vmcb(g);
        guest_write64(g, DATA, SEL_DATA);
        g->cpu->arch.dr[0] = DATA;
        g->vmcb.save.dr7 = 0x402 | 7u << 16;
        g->vmcb.save.rax = DATA;
        guest_run_code(g, rows[i].code);
        assert_int_equal(delivered(g), VECTOR_DB);
        assert_int_equal(frame(g, g->vmcb.save.rsp + 40, 5), rows[i].rip);
        assert_int_equal(g->vmcb.save.dr6, 0xffff0ff1);
    }
    guest_destroy(g);
}

static void iret_to_user_mode_makes_every_null_selector_zero(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    guest_write_code(g, CODE + 64, ASM("int 0x80"));
    RUN(g, "mov eax, 3; mov ds, eax; mov es, eax; mov fs, eax; mov gs, eax; " IRET_TO_USER);
    assert_int_equal(delivered(g), 0x80);
    assert_int_equal(g->vmcb.save.ds.selector, 0);
    assert_int_equal(g->vmcb.save.es.selector, 0);
    assert_int_equal(g->vmcb.save.fs.selector, 0);
    assert_int_equal(g->vmcb.save.gs.selector, 0);
    guest_destroy(g);
}

static void lar_lsl_verr_and_verw_answer_by_privilege(void **state)
{
    (void)state;
    const struct {
        struct code code;
        u16 selector;
        bool zf;
        u64 value;
    } rows[] = {
        {ASM("lar eax, ebx"), SEL_CODE64, true, 0xaf9b00},
        {ASM("lar eax, ebx"), SEL_TSS, true, 0x8900},
        {ASM("lar eax, ebx"), 0x38, false, 7}, /* type 0 */
        {ASM("lar eax, ebx"), 0x48, false, 7}, /* beyond the GDT */
        {ASM("lsl eax, ebx"), SEL_DATA, true, 0xffffffff},
        {ASM("lsl eax, ebx"), SEL_TSS, true, 0x67},
        {ASM("verr bx"), SEL_CODE64, true, 7},
        {ASM("verw bx"), SEL_CODE64, false, 7},
        {ASM("verw bx"), SEL_DATA, true, 7},
        {ASM("verr bx"), SEL_DATA | 3, false, 7}, /* RPL above DPL */
    };
    struct guest *g = guest_create(false);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        build_vmcb(g);
        g->vmcb.save.rax = 7;
        g->cpu->arch.r[RBX] = rows[i].selector;
        assert_int_equal(guest_run_code(g, rows[i].code), EXIT_HLT);
        bool zf = g->vmcb.save.rflags & RFLAGS_ZF;
        if (zf != rows[i].zf || g->vmcb.save.rax != rows[i].value)
            fail_msg("row %zu: zf %d rax 0x%llx", i, zf, (unsigned long long)g->vmcb.save.rax);
    }
    guest_destroy(g);
}

/* What each handler does is to raise its own exception again, on a stack that does not grow:
 * nothing retires. */
static void handlers_that_fault_reach_the_deadline(void **state)
{
    (void)state;
    const struct {
        u8 vector;
        struct code code; /* of the handler */
        u64 handler;      /* where it is; 0: at its usual place */
    } rows[] = {
        {VECTOR_UD, ASM("ud2"), 0},
        {VECTOR_GP, ASM("int 0x20; nop"), 0}, /* beyond the IDT's limit */
        {VECTOR_BP, ASM("int3"), 0},
        {VECTOR_PF, ASM(""), GIB(3)}, /* not mapped */
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct guest *g = guest_create(false);
        u8 vector = rows[i].vector;
        u64 usual = HANDLERS + 16 * (u64)vector,
            handler = rows[i].handler ? rows[i].handler : usual;
        guest_write_code(g, usual, rows[i].code);
        guest_write(g, IDT + 16 * (u64)vector + 4, "\x01", 1); /* IST 1 */
        guest_write(g, IDT + 16 * (u64)vector + 6, (u8[]){(u8)(handler >> 16), (u8)(handler >> 24)},
                    2);
        g->vmcb.save.idtr.limit = 0x1ff;
        g->vmcb.save.rip = handler;
        u64 start = g->clock.now, deadline = start + 100000;
        assert_int_equal(guest_vmrun(g), EXIT_INTR);
        assert_in_range(g->clock.now, deadline, deadline + COST_EVENT_NS);
        struct cpu_statistics s = cpu_statistics(g->cpu);
        assert_true(s.exceptions >= 100);
        assert_true(s.instructions <= s.exceptions);
        assert_int_equal(s.instructions + s.event_ns, g->clock.now - start);
        guest_destroy(g);
    }
}

/* --- Alignment checks ------------------------------------------------------------------------- */

/* SS, RSP, RFLAGS with AC, CS and RIP */
#define IRET_TO_USER_WITH_AC "push 0x23; push 0xc000; push 0x40202; push 0x2b; push 0x10040; iretq"

static void user_mode_may_ask_for_alignment_checks(void **state)
{
    (void)state;
    const struct {
        struct code code; /* RBX: DATA */
        u8 vector;
    } rows[] = {
        {ASM("mov al, [rbx + 1]; int 0x80"), 0x80},
        {ASM("mov ax, [rbx + 1]; int 0x80"), VECTOR_AC},
        {ASM("mov ax, [rbx + 2]; int 0x80"), 0x80},
        {ASM("mov eax, [rbx + 2]; int 0x80"), VECTOR_AC},
        {ASM("mov rax, [rbx + 4]; int 0x80"), VECTOR_AC},
        {ASM("mov rax, [rbx + 8]; int 0x80"), 0x80},
        {ASM("mov [rbx + 3], ecx; int 0x80"), VECTOR_AC},
        {ASM("add [rbx + 6], ecx; int 0x80"), VECTOR_AC},
        {ASM("lock cmpxchg8b [rbx + 4]; int 0x80"), VECTOR_AC},
        {ASM("add rsp, 4; push rax; int 0x80"), VECTOR_AC},
        {ASM("fld qword ptr [rbx + 4]; int 0x80"), VECTOR_AC},
        {ASM("fld tbyte ptr [rbx + 4]; int 0x80"), VECTOR_AC},
        {ASM("fld tbyte ptr [rbx + 8]; int 0x80"), 0x80},
        {ASM("fnstenv [rbx + 4]; int 0x80"), 0x80},
        {ASM("movq xmm0, [rbx + 4]; int 0x80"), VECTOR_AC},
        {ASM("movups xmm0, [rbx + 4]; int 0x80"), VECTOR_AC},
        {ASM("movups [rbx + 4], xmm0; int 0x80"), VECTOR_AC},
        {ASM("lea rsi, [rbx + 1]; lea rdi, [rbx + 64]; mov ecx, 8; rep movsb; int 0x80"), 0x80},
        {ASM("lea rsi, [rbx + 1]; lea rdi, [rbx + 64]; mov ecx, 8; rep movsd; int 0x80"),
         VECTOR_AC},
    };
    struct guest *g = guest_create(false);
    for (size_t checks = 0; checks < 2; checks++)
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
            build_vmcb(g);
            g->vmcb.save.cr0 |= checks ? CR0_AM : 0;
            u8 wanted = checks || rows[i].vector != VECTOR_AC ? rows[i].vector : 0x80;
            guest_write_code(g, CODE + 64, rows[i].code);
            RUN(g, "mov ebx, 0x20000;" IRET_TO_USER_WITH_AC);
            if (delivered(g) != wanted)
                fail_msg("row %zu: vector %llu", i, (unsigned long long)delivered(g));
            assert_int_equal(g->vmcb.save.rflags & RFLAGS_AC, RFLAGS_AC);
            if (wanted == VECTOR_AC)
                assert_int_equal(frame(g, STACK, 6), 0); /* the error code */
        }
    guest_destroy(g);
}

static void an_alignment_check_comes_before_a_page_fault(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    guest_write64(g, PT + 8 * (DATA >> PAGE_SHIFT), 0);
    g->vmcb.save.cr0 |= CR0_AM;
    guest_write_code(g, CODE + 64, ASM("mov eax, [0x20001]"));
    RUN(g, IRET_TO_USER_WITH_AC);
    assert_int_equal(delivered(g), VECTOR_AC);
    guest_destroy(g);
}

static void alignment_checks_begin_and_end_with_ac(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    g->vmcb.save.cr0 |= CR0_AM;
    enter_user(g, ASM("mov ebx, 0x20000; mov ecx, 2;"
                      "2: mov eax, [rbx + 1]; pushfq; bts dword ptr [rsp], 18; popfq; "
                      "mov edx, [rbx + 4]; loop 2b; int 0x80"));
    assert_int_equal(delivered(g), VECTOR_AC);
    assert_int_equal(g->cpu->arch.r[RCX], 1); /* the second time */
    build_vmcb(g); /* the kernel is not checked, nor are its accesses for user mode */
    g->vmcb.save.cr0 |= CR0_AM;
    g->vmcb.save.rflags |= RFLAGS_AC;
    RUN(g, "mov ebx, 0x20000; mov eax, [rbx + 1]; int 0x81");
    assert_int_equal(delivered(g), 0x81);
    guest_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_push_their_error_code_and_the_faulting_rip),
        cmocka_unit_test(a_fault_sets_rf_in_its_image_and_a_trap_does_not),
        cmocka_unit_test(an_interrupt_gate_masks_and_a_trap_gate_does_not),
        cmocka_unit_test(an_ist_stack_is_taken_whatever_the_privilege),
        cmocka_unit_test(iret_goes_to_user_mode_and_an_interrupt_comes_back),
        cmocka_unit_test(user_mode_may_not),
        cmocka_unit_test(syscall_and_sysret_follow_star),
        cmocka_unit_test(a_far_return_to_compatibility_mode_and_back),
        cmocka_unit_test(long_mode_goes_off_and_on_from_32_bit_code),
        cmocka_unit_test(a_fault_in_the_delivery_of_a_fault_is_a_double_fault),
        cmocka_unit_test(exitintinfo_names_the_event_whose_delivery_was_cut_off),
        cmocka_unit_test(single_step_traps_behind_each_instruction),
        cmocka_unit_test(a_load_of_ss_puts_the_single_step_off_and_sti_does_not),
        cmocka_unit_test(a_code_breakpoint_is_a_fault_that_rf_suppresses),
        cmocka_unit_test(iret_takes_rf_from_its_image),
        cmocka_unit_test(data_breakpoints_trap_behind_the_access),
        cmocka_unit_test(a_repeated_string_stops_behind_the_iteration_that_hits),
        cmocka_unit_test(what_an_instruction_hit_that_faulted_is_forgotten),
        cmocka_unit_test(what_a_load_of_ss_hit_traps_behind_the_next_instruction),
        cmocka_unit_test(iret_to_user_mode_makes_every_null_selector_zero),
        cmocka_unit_test(lar_lsl_verr_and_verw_answer_by_privilege),
        cmocka_unit_test(handlers_that_fault_reach_the_deadline),
        cmocka_unit_test(user_mode_may_ask_for_alignment_checks),
        cmocka_unit_test(an_alignment_check_comes_before_a_page_fault),
        cmocka_unit_test(alignment_checks_begin_and_end_with_ac),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
