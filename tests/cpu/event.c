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
    // clang-format off
    static const struct {
        const char *code;
        u32 size, at;
        u8 vector;
        bool has_error;
        u32 error;
    } rows[] = {
        {"\x90\x0f\x0b", 3, 1, VECTOR_UD, false, 0},
        {"\x31\xc9\xf7\xf1", 4, 2, VECTOR_DE, false, 0},
        {"\xb8\x40\x00\x00\x00\x8e\xd8", 7, 5, VECTOR_GP, true, 0x40},          /* mov ds, 40h: beyond the GDT */
        {"\xb8\x33\x00\x00\x00\x8e\xd8", 7, 5, VECTOR_GP, true, 0x30},          /* a TSS */
        {"\xb8\x08\x00\x00\x00\x8e\xd0", 7, 5, VECTOR_GP, true, 8},             /* mov ss, code */
        {"\x31\xc0\x8e\xd0\x8e\xd8\x0f\x0b", 8, 6, VECTOR_UD, false, 0},        /* null SS and DS are fine at CPL 0 */
        {"\x48\xb8\x00\x00\x00\x00\x00\x80\x00\x00\x8a\x00", 12, 10, VECTOR_GP, true, 0}, /* non-canonical */
        {"\x48\xbd\x00\x00\x00\x00\x00\x80\x00\x00\x8a\x45\x00", 13, 10, VECTOR_SS, true, 0}, /* the same by RBP */
        {"\xcd\x20", 2, 0, VECTOR_GP, true, 0},                                 /* patched: IDT limit below */
        {"\x0f\x01\xd0", 3, 0, VECTOR_UD, false, 0},                            /* xgetbv without OSXSAVE */
        {"\x0f\x01\xda", 3, 0, VECTOR_UD, false, 0},                            /* vmload: no nested SVM */
        {"\xb8\x01\x00\x00\x00\x0f\x22\xc0", 8, 5, VECTOR_GP, true, 0},         /* PG off in 64-bit mode */
        {"\x0f\x20\xe0\x0f\xba\xf0\x05\x0f\x22\xe0", 10, 7, VECTOR_GP, true, 0}, /* PAE off in long mode */
        {"\x0f\x20\xe0\x0f\xba\xe8\x1f\x0f\x22\xe0", 10, 7, VECTOR_GP, true, 0}, /* reserved bit of CR4 */
        {"\xb8\x10\x00\x00\x00\x44\x0f\x22\xc0", 9, 5, VECTOR_GP, true, 0},     /* CR8 above 15 */
        {"\x0f\x22\xe8", 3, 0, VECTOR_UD, false, 0},                            /* CR5 */
        {"\xcc", 1, 1, VECTOR_BP, false, 0},                                    /* traps: behind it */
        {"\xf1", 1, 1, VECTOR_DB, false, 0},
        {"\xcd\x77", 2, 2, 0x77, false, 0},
    };
    // clang-format on
    struct guest *g = guest_create(true);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        build_vmcb(g);
        bool limit = rows[i].code[0] == '\xcd' && rows[i].code[1] == 0x20;
        if (limit)
            g->vmcb.save.idtr.limit = 0x1ff;
        guest_run_code(g, rows[i].code, rows[i].size);
        u64 vector = delivered(g);
        u32 words = rows[i].has_error ? 6 : 5;
        u64 rip = frame(g, STACK, 5);
        u32 error = limit ? 0x20 * 8 + 2 : rows[i].error;
        if (vector != rows[i].vector || rip != CODE + rows[i].at ||
            g->vmcb.save.rsp != STACK - 8 * words)
            fail_msg("row %zu: vector %llu rip 0x%llx", i, (unsigned long long)vector,
                     (unsigned long long)rip);
        if (rows[i].has_error)
            assert_int_equal(frame(g, STACK, 6), error);
        assert_int_equal(frame(g, STACK, 1),
                         rows[i].code[0] == '\x31' && rows[i].size == 8 ? 0 : SEL_DATA);
        assert_int_equal(frame(g, STACK, 2), STACK);
        assert_int_equal(frame(g, STACK, 4), SEL_CODE64);
    }
    guest_destroy(g);
}

static void a_fault_sets_rf_in_its_image_and_a_trap_does_not(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    RUN(g, "\x0f\x0b");
    assert_int_equal(frame(g, STACK, 3), RFLAGS_RF | RFLAGS_ONE);
    build_vmcb(g);
    RUN(g, "\xcc");
    assert_int_equal(frame(g, STACK, 3), RFLAGS_ONE);
    guest_destroy(g);
}

static void an_interrupt_gate_masks_and_a_trap_gate_does_not(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    guest_write(g, IDT + 16 * 0x31 + 5, "\x8f", 1);
    for (u8 vector = 0x30; vector <= 0x31; vector++) {
        u8 code[2] = {0xcd, vector};
        build_vmcb(g);
        g->vmcb.save.rflags |= RFLAGS_IF;
        guest_run_code(g, code, 2);
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
    RUN(g, "\x0f\x0b");
    assert_int_equal(delivered(g), VECTOR_UD);
    assert_int_equal(g->vmcb.save.rsp, IST1 - 40);
    assert_int_equal(frame(g, IST1, 2), 0x13);
    guest_destroy(g);
}

/* push user SS, RSP, flags, CS, RIP; iretq to `user` at CODE + 64 */
static void enter_user(struct guest *g, const void *user, size_t size)
{
    static const u8 code[] = {
        0x6a, SEL_USER_DATA | 3, 0x68, 0x00, 0xc0, 0x00, 0x00, 0x68, 0x02, 0x02, 0x00, 0x00,
        0x6a, SEL_USER64 | 3,    0x68, 0x40, 0x00, 0x01, 0x00, 0x48, 0xcf,
    };
    guest_write(g, CODE + 64, user, size);
    guest_run_code(g, code, sizeof code);
}

static void iret_goes_to_user_mode_and_an_interrupt_comes_back(void **state)
{
    (void)state;
    struct guest *g = guest_create(true);
    enter_user(g, "\x50\xcd\x80", 3); /* push rax; int 0x80 */
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
    static const struct {
        const char *code;
        u32 size;
        u8 vector;
    } rows[] = {
        {"\xf4", 1, VECTOR_GP},                         /* hlt */
        {"\xfa", 1, VECTOR_GP},                         /* cli */
        {"\x0f\x22\xd8", 3, VECTOR_GP},                 /* mov cr3 */
        {"\x0f\x32", 2, VECTOR_GP},                     /* rdmsr */
        {"\x0f\x01\xf8", 3, VECTOR_GP},                 /* swapgs */
        {"\xe4\x60", 2, VECTOR_GP},                     /* in: the TSS has no bitmap */
        {"\x0f\x01\xca", 3, VECTOR_UD},                 /* clac */
        {"\xcd\x40", 2, VECTOR_GP},                     /* a gate of DPL 0 */
        {"\xb8\x08\x00\x00\x00\x8e\xd8", 7, VECTOR_GP}, /* mov ds, code of DPL 0 */
        {"\x0f\x01\xd9", 3, VECTOR_UD},                 /* vmmcall, not intercepted */
    };
    struct guest *g = guest_create(false);
    guest_write(g, IDT + 16 * 0x40 + 5, "\x8e", 1);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        u8 code[16];
        memcpy(code, rows[i].code, rows[i].size);
        memcpy(code + rows[i].size, "\x0f\x0b", 2);
        build_vmcb(g);
        enter_user(g, code, rows[i].size + 2);
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
    enter_user(g, "\x0f\x05", 2);
    assert_int_equal(delivered(g), 200);
    assert_int_equal(g->cpu->arch.r[RCX], CODE + 64 + 2);
    assert_int_equal(g->cpu->arch.r[11], RFLAGS_IF | RFLAGS_ONE);
    assert_int_equal(g->vmcb.save.rflags, RFLAGS_ONE);
    assert_int_equal(g->vmcb.save.cs.selector, SEL_CODE64);
    assert_int_equal(g->vmcb.save.ss.selector, SEL_CODE64 + 8);
    /* sysretq to ud2 */
    guest_write(g, CODE + 128, "\x0f\x0b", 2);
    g->vmcb.save.rip = CODE;
    g->cpu->arch.r[RCX] = CODE + 128;
    RUN(g, "\x48\x0f\x07");
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
    /* push 18h; push CODE + 64; retfq; there, in 32-bit code: inc eax (40); jmp far 8:CODE + 96;
     * there: halt */
    guest_write(g, CODE + 64, "\x40\xea\x60\x00\x01\x00\x08\x00", 8);
    guest_write(g, CODE + 96, "\x48\xff\xc0\xf4", 4);
    RUN(g, "\x31\xc0\x6a\x18\x68\x40\x00\x01\x00\x48\xcb");
    assert_int_equal(g->vmcb.control.exit_code, EXIT_HLT);
    assert_int_equal(g->vmcb.save.rip, CODE + 99);
    assert_int_equal(g->vmcb.save.rax, 2);
    guest_destroy(g);
}

static void long_mode_goes_off_and_on_from_32_bit_code(void **state)
{
    (void)state;
    struct guest *g = guest_create(true);
    /* What the kernel does to find the C-bit: mov eax, 1; mov cr0, eax (PG off); mov [DATA], 77h;
     * PG on; mov bl, [DATA] */
    guest_write(g, CODE + 64,
                "\xb8\x01\x00\x00\x00\x0f\x22\xc0\xc6\x05\x00\x00\x02\x00\x77"
                "\xb8\x01\x00\x00\x80\x0f\x22\xc0\x8a\x1d\x00\x00\x02\x00\xf4",
                30);
    RUN(g, "\x6a\x18\x68\x40\x00\x01\x00\x48\xcb");
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
    RUN(g, "\x0f\x20\xe0\x0f\xba\xe8\x1f\x0f\x22\xe0");
    assert_int_equal(delivered(g), VECTOR_DF);
    assert_int_equal(frame(g, STACK, 6), 0);
    guest_write(g, IDT + 16 * VECTOR_UD + 5, "\x6e",
                1); /* #UD is benign: #NP is delivered by itself */
    build_vmcb(g);
    RUN(g, "\x0f\x0b");
    assert_int_equal(delivered(g), VECTOR_NP);
    assert_int_equal(frame(g, STACK, 6), VECTOR_UD * 8 + 2 + 1);
    guest_write(g, IDT + 16 * VECTOR_DF + 5, "\x6e", 1); /* and a third one shuts down */
    build_vmcb(g);
    assert_int_equal(RUN(g, "\x0f\x20\xe0\x0f\xba\xe8\x1f\x0f\x22\xe0"), EXIT_SHUTDOWN);
    guest_destroy(g);
}

static void exitintinfo_names_the_event_whose_delivery_was_cut_off(void **state)
{
    (void)state;
    struct guest *g = guest_create(true);
    guest_write64(g, PT + 8 * ((STACK - 8) >> 12),
                  0xfee00000 | PTE_P | PTE_RW); /* the stack lies on a device */
    assert_int_equal(RUN(g, "\x0f\x20\xe0\x0f\xba\xe8\x1f\x0f\x22\xe0"), EXIT_NPF);
    assert_true(g->vmcb.control.exit_int_info ==
                (EVENT_VALID | EVENT_ERROR_CODE | EVENT_EXCEPTION << EVENT_TYPE_SHIFT | VECTOR_GP));
    assert_int_equal(g->vmcb.save.rip, CODE + 7);
    build_vmcb(g);
    assert_int_equal(RUN(g, "\xcd\x77"), EXIT_NPF);
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
    RUN(g, "\x90\x90");
    assert_int_equal(delivered(g), VECTOR_DB);
    assert_int_equal(frame(g, STACK, 5), CODE + 1);
    assert_int_equal(g->vmcb.save.dr6, 0xffff0ff0 | DR6_BS);
    assert_false(g->vmcb.save.rflags & RFLAGS_TF);
    guest_destroy(g);
}

static void a_load_of_ss_puts_the_single_step_off_and_sti_does_not(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        u64 at;
    } rows[] = {
        {"\x8e\xd0\x90\x90", 3},     /* mov ss, ax; nop */
        {"\x50\x8e\xd0\x90", 1},     /* push rax */
        {"\x8e\xd8\x90\x90", 2},     /* mov ds, ax */
        {"\xfb\x90\x90\x90", 1},     /* sti */
        {"\x8e\xd0\x8e\xd0\x90", 5}, /* mov ss twice */
    };
    struct guest *g = guest_create(false);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        build_vmcb(g);
        g->vmcb.save.rflags |= RFLAGS_TF;
        g->vmcb.save.rax = SEL_DATA;
        guest_run_code(g, rows[i].code, strlen(rows[i].code));
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
    RUN(g, "\x90\x90\x90");
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
    /* push SS, RSP, flags with RF, CS, CODE + 64; iretq: the breakpoint there is not hit. */
    static const u8 code[] = {0x6a, SEL_DATA, 0x68,       0,    0x80, 0, 0, 0x68, 2,    0,   1,
                              0,    0x6a,     SEL_CODE64, 0x68, 0x40, 0, 1, 0,    0x48, 0xcf};
    struct guest *g = guest_create(false);
    guest_write(g, CODE + 64, "\x90\xf4", 2);
    g->cpu->arch.dr[0] = CODE + 64;
    g->vmcb.save.dr7 = 0x401;
    guest_run_code(g, code, sizeof code);
    assert_int_equal(g->vmcb.control.exit_code, EXIT_HLT);
    assert_int_equal(g->vmcb.save.rip, CODE + 65);
    guest_destroy(g);
}

static void data_breakpoints_trap_behind_the_access(void **state)
{
    (void)state;
    enum { WRITE = 0xd, ACCESS = 0xf }; /* four bytes */
    static const struct {
        const char *code;
        u32 type;
        u64 at; /* 0: not hit */
    } rows[] = {
        {"\x89\x08", WRITE, 2},          /* mov [rax], ecx */
        {"\x8b\x08", WRITE, 0},          /* mov ecx, [rax] */
        {"\x8b\x08", ACCESS, 2},         /**/
        {"\x88\x48\x03", WRITE, 3},      /* mov [rax + 3], cl */
        {"\x88\x48\x04", ACCESS, 0},     /* mov [rax + 4], cl */
        {"\x89\x48\xfd", WRITE, 3},      /* mov [rax - 3], ecx: from the page before */
        {"\xff\x40\x01", WRITE, 3},      /* inc dword [rax + 1] */
        {"\x0f\x11\x40\xf4", WRITE, 4},  /* movups [rax - 12], xmm0 */
        {"\x48\x89\xc7\xaa", WRITE, 4},  /* mov rdi, rax; stosb */
        {"\x48\x89\xc4\x5a", ACCESS, 4}, /* mov rsp, rax; pop rdx */
        {"\x48\x89\xc4\x50", ACCESS, 0}, /* push rax: below */
        {"\x8d\x48\x01", ACCESS, 0},     /* lea ecx, [rax + 1] */
    };
    struct guest *g = guest_create(true);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        build_vmcb(g);
        g->cpu->arch.dr[1] = DATA;
        g->vmcb.save.dr7 = 0x408 | rows[i].type << 20;
        g->vmcb.save.rax = DATA;
        guest_run_code(g, rows[i].code, strlen(rows[i].code));
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
    RUN(g, "\xf3\xaa");
    assert_int_equal(delivered(g), VECTOR_DB);
    assert_int_equal(frame(g, STACK, 5), CODE);
    assert_int_equal(g->cpu->arch.r[RDI], DATA + 0x12);
    assert_int_equal(g->cpu->arch.r[RCX], 0x40 - 0x12);
    guest_destroy(g);
}

static void what_a_load_of_ss_hit_traps_behind_the_next_instruction(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        u64 rip;
    } rows[] = {
        {"\x8e\x10\x90", CODE + 3},                 /* mov ss, [rax]; nop */
        {"\x8e\x10\xcd\x80", HANDLERS + 16 * 0x80}, /* int 80h */
        {"\x8e\x10\xf1", CODE + 3},                 /* int1: one #DB for both */
    };
    struct guest *g = guest_create(false);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        build_vmcb(g);
        guest_write64(g, DATA, SEL_DATA);
        g->cpu->arch.dr[0] = DATA;
        g->vmcb.save.dr7 = 0x402 | 7u << 16;
        g->vmcb.save.rax = DATA;
        guest_run_code(g, rows[i].code, strlen(rows[i].code));
        assert_int_equal(delivered(g), VECTOR_DB);
        assert_int_equal(frame(g, g->vmcb.save.rsp + 40, 5), rows[i].rip);
        assert_int_equal(g->vmcb.save.dr6, 0xffff0ff1);
    }
    guest_destroy(g);
}

static void iret_to_user_mode_makes_every_null_selector_zero(void **state)
{
    (void)state;
    static const u8 code[] = {
        0xb8, 3,    0,    0,    0,    0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xe0, 0x8e,
        0xe8, 0x6a, 0x23, 0x68, 0x00, 0xc0, 0x00, 0x00, 0x68, 0x02, 0x02, 0x00,
        0x00, 0x6a, 0x2b, 0x68, 0x40, 0x00, 0x01, 0x00, 0x48, 0xcf,
    }; /* mov eax, 3; mov ds, es, fs, gs, eax; then as in enter_user() */
    struct guest *g = guest_create(false);
    guest_write(g, CODE + 64, "\xcd\x80", 2);
    guest_run_code(g, code, sizeof code);
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
    static const struct {
        const char *code;
        u32 size;
        u16 selector;
        bool zf;
        u64 value;
    } rows[] = {
        {"\x0f\x02\xc3", 3, SEL_CODE64, true, 0xaf9b00},
        {"\x0f\x02\xc3", 3, SEL_TSS, true, 0x8900},
        {"\x0f\x02\xc3", 3, 0x38, false, 7}, /* type 0 */
        {"\x0f\x02\xc3", 3, 0x48, false, 7}, /* beyond the GDT */
        {"\x0f\x03\xc3", 3, SEL_DATA, true, 0xffffffff},
        {"\x0f\x03\xc3", 3, SEL_TSS, true, 0x67},
        {"\x0f\x00\xe3", 3, SEL_CODE64, true, 7},  /* verr bx */
        {"\x0f\x00\xeb", 3, SEL_CODE64, false, 7}, /* verw bx */
        {"\x0f\x00\xeb", 3, SEL_DATA, true, 7},
        {"\x0f\x00\xe3", 3, SEL_DATA | 3, false, 7}, /* RPL above DPL */
    };
    struct guest *g = guest_create(false);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        build_vmcb(g);
        g->vmcb.save.rax = 7;
        g->cpu->arch.r[RBX] = rows[i].selector;
        assert_int_equal(guest_run_code(g, rows[i].code, rows[i].size), EXIT_HLT);
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
    static const struct {
        u8 vector;
        const char *code; /* of the handler */
        u64 handler;      /* where it is; 0: at its usual place */
    } rows[] = {
        {VECTOR_UD, "\x0f\x0b", 0},
        {VECTOR_GP, "\xcd\x20\x90", 0}, /* beyond the IDT's limit */
        {VECTOR_BP, "\xcc", 0},
        {VECTOR_PF, "", GIB(3)}, /* not mapped */
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct guest *g = guest_create(false);
        u8 vector = rows[i].vector;
        u64 usual = HANDLERS + 16 * (u64)vector,
            handler = rows[i].handler ? rows[i].handler : usual;
        guest_write(g, usual, rows[i].code, strlen(rows[i].code));
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
        cmocka_unit_test(what_a_load_of_ss_hit_traps_behind_the_next_instruction),
        cmocka_unit_test(iret_to_user_mode_makes_every_null_selector_zero),
        cmocka_unit_test(lar_lsl_verr_and_verw_answer_by_privilege),
        cmocka_unit_test(handlers_that_fault_reach_the_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
