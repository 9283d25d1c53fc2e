/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intercepts by the manual's table of them [APM2 15.7-15.12, 15.20, table 15-7]: which exceptions
 * come before one and which after, what the VMCB tells besides the exit code, and which events the
 * host may inject.
 */
#include "guest.h"

#define V86_SELECTOR 0x1000u /* CODE >> 4 */

/* --- Priorities ------------------------------------------------------------------------------- */

/* In virtual 8086 mode with IOPL 0 these are #GP if they are not intercepted. */
static void pushf_popf_and_iret_exit_before_any_exception(void **state)
{
    (void)state;
    const struct {
        struct code code;
        u64 bit, exit;
    } rows[] = {
        {ASM("pushfq"), INTERCEPT3_PUSHF, EXIT_PUSHF},
        {ASM("popfq"), INTERCEPT3_POPF, EXIT_POPF},
        {ASM("iret"), INTERCEPT3_IRET, EXIT_IRET},
    };
    struct guest *g = guest_create(false);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        build_vmcb(g);
        struct vmcb_save *s = &g->vmcb.save;
        s->efer &= ~(EFER_LME | EFER_LMA);
        s->cr0 &= ~CR0_PG;
        s->rflags |= RFLAGS_VM;
        s->cs = s->ss = s->ds = s->es = (struct vmcb_segment){V86_SELECTOR, 0xf3, 0xffff, CODE};
        s->rip = 0;
        s->rsp = 0x800;
        g->vmcb.control.intercept_3 |= (u32)rows[i].bit;
        guest_write_code(g, CODE, rows[i].code);
        assert_int_equal(guest_vmrun(g), rows[i].exit);
        assert_int_equal(s->rip, 0);
    }
    guest_destroy(g);
}

static void rsm_exits_although_there_is_no_smm(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    RUN(g, "rsm");
    assert_int_equal(delivered(g), VECTOR_UD);
    build_vmcb(g);
    g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_RSM;
    assert_int_equal(RUN(g, "rsm"), EXIT_RSM);
    assert_int_equal(g->vmcb.save.rip, CODE);
    guest_destroy(g);
}

/* Values that a control or debug register cannot have: #GP, although the write is intercepted. */
static void a_register_write_that_faults_is_not_intercepted(void **state)
{
    (void)state;
    const struct {
        struct code code;
        u64 rax;
    } rows[] = {
        {ASM("mov cr0, rax"), BIT(32)},
        {ASM("mov cr0, rax"), CR0_PG}, /* without PE */
        {ASM("mov cr0, rax"), CR0_PE}, /* PG off in 64-bit mode */
        {ASM("mov cr0, rax"), CR0_PE | CR0_PG | CR0_NW},
        {ASM("mov cr3, rax"), BIT(52)},
        {ASM("mov cr4, rax"), CR4_PAE | BIT(31)},
        {ASM("mov cr4, rax"), 0}, /* PAE off in long mode */
        {ASM("mov cr8, rax"), 16},
        {ASM("mov dr6, rax"), BIT(32)},
        {ASM("mov dr7, rax"), BIT(32)},
    };
    struct guest *g = guest_create(false);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        build_vmcb(g);
        g->vmcb.control.intercept_cr_write = g->vmcb.control.intercept_dr_write = 0xffff;
        g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_CR0_SEL_WRITE;
        g->vmcb.save.rax = rows[i].rax;
        guest_run_code(g, rows[i].code);
        if (g->vmcb.control.exit_code != EXIT_HLT || delivered(g) != VECTOR_GP)
            fail_msg("row %zu: exit 0x%llx", i, (unsigned long long)g->vmcb.control.exit_code);
    }
    guest_destroy(g);
}

static void xsetbv_refuses_what_xcr0_cannot_have_before_it_exits(void **state)
{
    (void)state;
    static const struct {
        u64 rax, rcx, rdx, cr4;
        u32 vector; /* 0: it exits */
    } rows[] = {
        {7, 0, 0, CR4_OSXSAVE, 0},
        {1, 0, 0, CR4_OSXSAVE, 0},
        {3, 0, 0, CR4_OSXSAVE, 0},
        {0, 0, 0, CR4_OSXSAVE, VECTOR_GP},
        {2, 0, 0, CR4_OSXSAVE, VECTOR_GP},
        {5, 0, 0, CR4_OSXSAVE, VECTOR_GP}, /* AVX without SSE */
        {0x201, 0, 0, CR4_OSXSAVE, 0},
        {7, 1, 0, CR4_OSXSAVE, VECTOR_GP},
        {15, 0, 0, CR4_OSXSAVE, VECTOR_GP},
        {7, 0, 1, CR4_OSXSAVE, VECTOR_GP},
        {7, 0, 0, 0, VECTOR_UD},
    };
    struct guest *g = guest_create(false);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        build_vmcb(g);
        g->vmcb.control.intercept_4 |= (u32)INTERCEPT4_XSETBV;
        g->vmcb.save.cr4 |= rows[i].cr4;
        g->vmcb.save.rax = rows[i].rax;
        cpu_gpr(g->cpu)[RCX] = rows[i].rcx;
        cpu_gpr(g->cpu)[RDX] = rows[i].rdx;
        RUN(g, "xsetbv");
        bool exited = g->vmcb.control.exit_code == EXIT_XSETBV;
        if (rows[i].vector ? exited || delivered(g) != rows[i].vector : !exited)
            fail_msg("row %zu: exit 0x%llx", i, (unsigned long long)g->vmcb.control.exit_code);
    }
    guest_destroy(g);
}

static void general_detection_comes_before_the_intercept(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    g->vmcb.control.intercept_dr_read = 0xffff;
    g->vmcb.save.dr7 |= DR7_GD;
    RUN(g, "mov rax, dr7");
    assert_int_equal(delivered(g), VECTOR_DB);
    assert_int_equal(g->vmcb.save.dr6, 0xffff0ff0 | DR6_BD);
    guest_destroy(g);
}

static void the_selective_intercept_takes_every_lmsw_and_no_clts(void **state)
{
    (void)state;
    const struct {
        struct code code;
        u64 exit;
    } rows[] = {
        {ASM("lmsw ax"), EXIT_CR0_SEL_WRITE}, /* nothing changes */
        {ASM("clts"), EXIT_HLT},
        {ASM("mov rax, cr0; mov cr0, rax"), EXIT_HLT},                         /* CR0 as it is */
        {ASM("mov rax, cr0; xor al, 8; mov cr0, rax"), EXIT_HLT},              /* TS */
        {ASM("mov rax, cr0; xor al, 0x20; mov cr0, rax"), EXIT_CR0_SEL_WRITE}, /* NE */
    };
    struct guest *g = guest_create(false);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        build_vmcb(g);
        g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_CR0_SEL_WRITE;
        g->vmcb.save.rax = g->vmcb.save.cr0;
        if (guest_run_code(g, rows[i].code) != rows[i].exit)
            fail_msg("row %zu: exit 0x%llx", i, (unsigned long long)g->vmcb.control.exit_code);
    }
    guest_destroy(g);
}

/* [APM2 15.35.10] */
static void write_traps_are_for_sev_es_alone(void **state)
{
    (void)state;
    struct guest *g = guest_create(true);
    g->vmcb.control.intercept_4 |=
        (u32)(INTERCEPT4_CR_WRITE(0) | INTERCEPT4_CR_WRITE(4) | INTERCEPT4_EFER_WRITE);
    g->vmcb.save.rax = EFER_SVME | EFER_LME | EFER_LMA | EFER_NXE;
    assert_int_equal(RUN(g, "mov rbx, cr0; mov cr0, rbx; mov rbx, cr4; mov cr4, rbx; mov ecx, "
                            "0xc0000080; xor edx, edx; wrmsr"),
                     EXIT_HLT);
    guest_destroy(g);
}

/* --- Every row of opcodes.def that has an intercept ------------------------------------------- */

struct exit_case {
    u32 id;
    struct code code;
    u32 exit;
    u32 also;   /* intercepts it too, later */
    int vector; /* delivered where it is not intercepted; NONE, or ANY: not looked at */
    bool legacy;
};

enum { NONE = -1, ANY = -2 };

#define CASE_OF(id_, exit_, vector_, text_)                                                        \
    {                                                                                              \
        .id = INSN_##id_, .code = ASM(text_), .exit = EXIT_##exit_, .vector = (vector_)            \
    }

static struct exit_case exit_cases[50];

/* Runs before the tests. */
static int write_exit_cases(void **state)
{
    (void)state;
    const struct exit_case rows[] = {
        CASE_OF(pushf, PUSHF, NONE, "pushfq"),
        CASE_OF(popf, POPF, NONE, "popfq"),
        CASE_OF(ins, IOIO, NONE, "insb"),
        CASE_OF(outs, IOIO, NONE, "outsb"),
        CASE_OF(in, IOIO, NONE, "in al, 0"),
        CASE_OF(out, IOIO, NONE, "out 0, al"),
        CASE_OF(iret, IRET, VECTOR_GP, "iret"),
        CASE_OF(int, INTN, 0x80, "int 0x80"),
        CASE_OF(int1, ICEBP, VECTOR_DB, "int1"),
        CASE_OF(pause, PAUSE, NONE, "pause"),
        CASE_OF(sldt, LDTR_READ, NONE, "sldt eax"),
        CASE_OF(str, TR_READ, NONE, "str eax"),
        CASE_OF(lldt, LDTR_WRITE, NONE, "lldt ax"),
        CASE_OF(ltr, TR_WRITE, VECTOR_GP, "ltr ax"), /* a null selector */
        CASE_OF(sgdt, GDTR_READ, NONE, "sgdt [0x20000]"),
        CASE_OF(sidt, IDTR_READ, NONE, "sidt [0x20000]"),
        CASE_OF(lgdt, GDTR_WRITE, NONE, "lgdt [0x20000]"),
        CASE_OF(lidt, IDTR_WRITE, NONE, "lidt [0x20000]"),
        CASE_OF(smsw, CR_READ, NONE, "smsw eax"),
        CASE_OF(invlpg, INVLPG, NONE, "invlpg [0x20000]"),
        CASE_OF(mov_from_cr, CR_READ, NONE, "mov rax, cr0"),
        CASE_OF(mov_from_dr, DR_READ, NONE, "mov rax, dr0"),
        CASE_OF(mov_to_cr, CR_WRITE + 2, NONE, "mov cr2, rax"),
        CASE_OF(mov_to_dr, DR_WRITE, NONE, "mov dr0, rax"),
        CASE_OF(clts, CR_WRITE, NONE, "clts"),
        CASE_OF(hlt, HLT, ANY, "hlt"),
        CASE_OF(invd, INVD, NONE, "invd"),
        CASE_OF(wbinvd, WBINVD, NONE, "wbinvd"),
        CASE_OF(wbnoinvd, WBINVD, NONE, "wbnoinvd"),
        CASE_OF(rdmsr, MSR, NONE, "mov ecx, 0xc0000081; rdmsr"),
        CASE_OF(wrmsr, MSR, NONE, "mov ecx, 0xc0000081; wrmsr"),
        CASE_OF(rdtsc, RDTSC, NONE, "rdtsc"),
        CASE_OF(rdtscp, RDTSCP, NONE, "rdtscp"),
        CASE_OF(rdpmc, RDPMC, VECTOR_GP, "rdpmc"), /* there is no counter */
        CASE_OF(cpuid, CPUID, NONE, "cpuid"),
        CASE_OF(invpcid, INVPCID, NONE, "invpcid rax, [0x20800]"),
        CASE_OF(xsetbv, XSETBV, NONE, "xor ecx, ecx; xor edx, edx; mov eax, 7; xsetbv"),
        CASE_OF(rsm, RSM, VECTOR_UD, "rsm"),
        CASE_OF(vmrun, VMRUN, ANY, "vmrun"), /* no guest runs unless it is intercepted */
        CASE_OF(vmmcall, VMMCALL, VECTOR_UD, "vmmcall"),
        CASE_OF(vmgexit, VMMCALL, VECTOR_UD, "vmgexit"), /* without SEV-ES */
        CASE_OF(vmload, VMLOAD, VECTOR_UD, "vmload"),
        CASE_OF(vmsave, VMSAVE, VECTOR_UD, "vmsave"),
        CASE_OF(stgi, STGI, VECTOR_UD, "stgi"),
        CASE_OF(clgi, CLGI, VECTOR_UD, "clgi"),
        CASE_OF(skinit, SKINIT, VECTOR_UD, "skinit"),
        CASE_OF(invlpga, INVLPGA, VECTOR_UD, "invlpga"),
        {INSN_lmsw, ASM("lmsw ax"), EXIT_CR_WRITE, EXIT_CR0_SEL_WRITE, NONE, false},
        {INSN_jmp_far, ASM32("ljmp 0x38:0"), EXIT_TASK_SWITCH, 0, ANY, true},
        {INSN_call_far, ASM32("lcall 0x38:0"), EXIT_TASK_SWITCH, 0, ANY, true},
    };
    _Static_assert(sizeof rows == sizeof exit_cases, "one element for each row");
    memcpy(exit_cases, rows, sizeof rows);
    return 0;
}

static const struct opcode *row_of(const struct exit_case *e)
{
    for (u32 i = 0; i < opcode_count; i++)
        if (opcode_table[i].id == e->id)
            return &opcode_table[i];
    fail();
    return NULL;
}

static void set_intercept(struct guest *g, u32 exit, bool on)
{
    u8 *byte = (u8 *)&g->vmcb.control + exit / 8, bit = (u8)BIT(exit % 8);
    *byte = on ? *byte | bit : (u8)(*byte & ~bit);
}

/* All intercepts but those of exceptions, or none but what a guest cannot do without. */
static void begin_case(struct guest *g, const struct exit_case *e, bool all)
{
    build_vmcb(g);
    struct vmcb_save *s = &g->vmcb.save;
    s->cr4 |= CR4_OSXSAVE; /* XSETBV is #UD without */
    if (e->legacy) {
        s->efer &= ~(EFER_LME | EFER_LMA);
        s->cr0 &= ~CR0_PG;
        s->cs = segment_64(SEL_CODE32, 0xc9b);
    }
    for (u32 exit = 0; all && exit < 0xc0; exit++)
        if (exit < EXIT_EXCEPTION || exit >= EXIT_INTR)
            set_intercept(g, exit, true);
}

static struct guest *create_for_cases(void)
{
    static u8 ones[0x5000];
    struct guest *g = guest_create(false);
    memset(ones, 0xff, sizeof ones);
    assert_true(memory_write(g->memory, IOPM, KEY_RAW, ones, sizeof ones)); /* the MSRPM too */
    guest_write64(g, GDT + 0x38, 0xe5ull << 40 | SEL_TSS << 16);            /* a task gate */
    return g;
}

static void every_row_with_an_intercept_has_a_case(void **state)
{
    (void)state;
    for (u32 i = 0; i < opcode_count; i++) {
        const struct opcode *row = &opcode_table[i];
        const struct exit_case *found = NULL;
        for (size_t n = 0; n < ARRAY_SIZE(exit_cases); n++)
            if (exit_cases[n].id == row->id)
                found = &exit_cases[n];
        bool exits = row->exit || row->attributes & OP_OWN_EXIT;
        if (exits != (found != NULL))
            fail_msg("%s: %s", row->name, exits ? "no case" : "a case, but no intercept");
        if (exits && !(row->attributes & OP_OWN_EXIT))
            assert_int_equal(found->exit, row->exit);
    }
}

static void an_intercepted_row_exits(void **state)
{
    (void)state;
    struct guest *g = create_for_cases();
    for (size_t i = 0; i < ARRAY_SIZE(exit_cases); i++) {
        const struct exit_case *e = &exit_cases[i];
        begin_case(g, e, false);
        set_intercept(g, e->exit, true);
        u64 exit = guest_run_code(g, e->code);
        if (exit != e->exit)
            fail_msg("%s: exit 0x%llx", row_of(e)->name, (unsigned long long)exit);
    }
    guest_destroy(g);
}

/* Although everything else is intercepted. */
static void a_row_that_is_not_intercepted_does_not_exit(void **state)
{
    (void)state;
    struct guest *g = create_for_cases();
    for (size_t i = 0; i < ARRAY_SIZE(exit_cases); i++) {
        const struct exit_case *e = &exit_cases[i];
        if (e->id == INSN_vmrun)
            continue;
        begin_case(g, e, true);
        set_intercept(g, e->exit, false);
        if (e->also)
            set_intercept(g, e->also, false);
        u64 exit = guest_run_code(g, e->code), rip = g->vmcb.save.rip;
        bool right = e->vector == ANY ? exit != e->exit
                     : e->vector == NONE
                         ? exit == EXIT_HLT && rip == CODE + e->code.size
                         : exit == EXIT_HLT && rip == HANDLERS + 16u * (u32)e->vector;
        if (!right)
            fail_msg("%s: exit 0x%llx at 0x%llx", row_of(e)->name, (unsigned long long)exit,
                     (unsigned long long)rip);
    }
    guest_destroy(g);
}

/* Of the operating system's instructions, and of those that CR4 keeps from programs. */
static void the_fault_of_a_program_comes_before_the_intercept(void **state)
{
    (void)state;
    u32 tried = 0;
    struct guest *g = create_for_cases();
    for (size_t i = 0; i < ARRAY_SIZE(exit_cases); i++) {
        const struct exit_case *e = &exit_cases[i];
        if (!(row_of(e)->attributes & (OP_CPL0 | OP_UMIP | OP_TSD | OP_PCE)) ||
            e->id == INSN_rdmsr || e->id == INSN_wrmsr)
            continue;
        begin_case(g, e, true);
        struct vmcb_save *s = &g->vmcb.save;
        s->cr4 |= CR4_UMIP | CR4_TSD;
        s->cs = segment_64(SEL_USER64 | 3, 0xafb);
        s->ss = segment_64(SEL_USER_DATA | 3, 0xcf3);
        s->cpl = 3;
        s->rsp = USTACK;
        u64 exit = guest_run_code(g, e->code);
        if (exit != EXIT_HLT || s->rip != HANDLERS + 16 * VECTOR_GP || s->cpl)
            fail_msg("%s: exit 0x%llx", row_of(e)->name, (unsigned long long)exit);
        assert_int_equal(guest_read64(g, STACK - 40), CODE); /* RIP */
        tried++;
    }
    assert_true(tried > 20);
    guest_destroy(g);
}

/* --- What an exit tells ----------------------------------------------------------------------- */

static void an_intercepted_db_has_written_dr6_and_dr7(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    g->vmcb.control.intercept_exceptions = (u32)BIT(VECTOR_DB);
    g->vmcb.save.rflags |= RFLAGS_TF;
    assert_int_equal(RUN(g, "nop; nop"), EXIT_EXCEPTION + VECTOR_DB);
    assert_int_equal(g->vmcb.save.rip, CODE + 1);
    assert_int_equal(g->vmcb.save.dr6, 0xffff0ff0 | DR6_BS);
    build_vmcb(g);
    g->vmcb.control.intercept_exceptions = (u32)BIT(VECTOR_DB);
    g->cpu->arch.dr[1] = CODE;
    g->vmcb.save.dr7 = 0x400 | 1 << 2 | DR7_GD;
    assert_int_equal(RUN(g, "nop; nop"), EXIT_EXCEPTION + VECTOR_DB);
    assert_int_equal(g->vmcb.save.rip, CODE);
    assert_int_equal(g->vmcb.save.dr6, 0xffff0ff0 | 2);
    assert_int_equal(g->vmcb.save.dr7, 0x404);
    guest_destroy(g);
}

static void icebp_has_an_intercept_of_its_own(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    g->vmcb.control.intercept_exceptions = (u32)BIT(VECTOR_DB);
    RUN(g, "int1");
    assert_int_equal(delivered(g), VECTOR_DB);
    guest_destroy(g);
}

/* Before it is combined with what is being delivered: #DF and #GP would be a shutdown
 * [APM2 15.7.3]. */
static void a_fault_on_the_way_to_a_double_fault_can_be_intercepted(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    guest_write(g, IDT + 5, "\x6e", 1);                      /* #DE: not present */
    guest_write(g, IDT + 16 * VECTOR_DF + 2, "\x40\x00", 2); /* a selector beyond the GDT */
    assert_int_equal(RUN(g, "xor ecx, ecx; div ecx"), EXIT_SHUTDOWN);
    build_vmcb(g);
    g->vmcb.control.intercept_exceptions = (u32)BIT(VECTOR_GP);
    assert_int_equal(RUN(g, "xor ecx, ecx; div ecx"), EXIT_EXCEPTION + VECTOR_GP);
    assert_int_equal(g->vmcb.control.exit_info_1, 0x40);
    assert_true(g->vmcb.control.exit_int_info ==
                (EVENT_VALID | EVENT_ERROR_CODE | EVENT_EXCEPTION << EVENT_TYPE_SHIFT | VECTOR_DF));
    guest_destroy(g);
}

/* nRIP is of instructions, and of INT3 and INTO. */
static void next_rip_is_zero_where_no_instruction_exits(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    g->vmcb.control.intercept_exceptions = (u32)(BIT(VECTOR_BP) | BIT(VECTOR_UD));
    g->vmcb.control.next_rip = 1;
    assert_int_equal(RUN(g, "ud2"), EXIT_EXCEPTION + VECTOR_UD);
    assert_int_equal(g->vmcb.control.next_rip, 0);
    build_vmcb(g);
    g->vmcb.control.intercept_exceptions = (u32)BIT(VECTOR_BP);
    assert_int_equal(RUN(g, "int3"), EXIT_EXCEPTION + VECTOR_BP);
    assert_int_equal(g->vmcb.save.rip, CODE);
    assert_int_equal(g->vmcb.control.next_rip, CODE + 1);
    build_vmcb(g);
    host_write64(g, NPT + 0x3000 + 8 * (DATA >> 12), 0);
    assert_int_equal(RUN(g, "mov eax, [0x20000]"), EXIT_NPF);
    assert_int_equal(g->vmcb.control.next_rip, 0);
    build_vmcb(g);
    assert_int_equal(RUN(g, "2: jmp 2b"), EXIT_INTR);
    assert_int_equal(g->vmcb.control.next_rip, 0);
    guest_destroy(g);
}

static void next_rip_of_bound_is_behind_it(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    struct vmcb_save *s = &g->vmcb.save;
    g->vmcb.control.intercept_exceptions = (u32)BIT(VECTOR_BR);
    s->cs = segment_64(SEL_CODE32, 0xc9b);
    s->rax = 5;
    guest_write64(g, DATA, 7ull << 32 | 6);
    assert_int_equal(guest_run_code(g, ASM32("bound eax, [0x20000]")), EXIT_EXCEPTION + VECTOR_BR);
    assert_int_equal(s->rip, CODE);
    assert_int_equal(g->vmcb.control.next_rip, CODE + 6);
    guest_destroy(g);
}

/* [APM2 15.8.4] */
static void a_data_page_fault_brings_the_instruction(void **state)
{
    (void)state;
    struct code code = ASM("movabs al, [0x40001234]");
    for (int sev = 0; sev < 2; sev++) {
        struct guest *g = guest_create(sev);
        g->vmcb.control.intercept_exceptions = (u32)BIT(VECTOR_PF);
        assert_int_equal(guest_run_code(g, code), EXIT_EXCEPTION + VECTOR_PF);
        assert_int_equal(g->vmcb.control.fetched_count, 15);
        assert_memory_equal(g->vmcb.control.fetched, code.bytes, code.size);
        build_vmcb(g);
        g->vmcb.control.intercept_exceptions = (u32)BIT(VECTOR_PF);
        g->vmcb.save.rip = 0x40001234; /* a fetch brings nothing */
        assert_int_equal(guest_vmrun(g), EXIT_EXCEPTION + VECTOR_PF);
        assert_int_equal(g->vmcb.control.fetched_count, 0);
        build_vmcb(g); /* a guest's table that is not there for the host */
        guest_write64(g, PML4 + 0x1000 + 8, 0xd000 | PTE_P | PTE_RW);
        host_write64(g, NPT + 0x3000 + 8 * 0xd, 0);
        assert_int_equal(guest_vmrun(g), EXIT_NPF);
        assert_true(g->vmcb.control.exit_info_1 & NPF_TABLE);
        assert_int_equal(g->vmcb.control.fetched_count, 15);
        guest_destroy(g);
    }
}

/* [APM2 table 15-3] */
static void mov_dr_names_only_the_register(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    g->vmcb.control.intercept_dr_write = (u16)BIT(7);
    assert_int_equal(RUN(g, "mov dr7, rdx"), EXIT_DR_WRITE + 7);
    assert_int_equal(g->vmcb.control.exit_info_1, RDX);
    guest_destroy(g);
}

static void a_task_gate_exits_with_the_selector_of_its_tss(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    struct vmcb_save *s = &g->vmcb.save;
    s->efer &= ~(EFER_LME | EFER_LMA);
    s->cr0 &= ~CR0_PG;
    s->cs = segment_64(SEL_CODE32, 0xc9b);
    guest_write64(g, GDT + 0x38, 0xe5ull << 40 | SEL_TSS << 16); /* a task gate, to SEL_TSS */
    g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_TASK_SWITCH;
    assert_int_equal(guest_run_code(g, ASM32("ljmp 0x38:0")), EXIT_TASK_SWITCH);
    assert_int_equal(g->vmcb.control.exit_info_1, SEL_TSS);
    assert_true(g->vmcb.control.exit_info_2 == BIT(38));
    guest_destroy(g);
}

/* --- Injection -------------------------------------------------------------------------------- */

/* INT3 of user mode needs a gate that lets it, injected or not. */
static void an_injected_breakpoint_asks_its_gate(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    guest_write(g, IDT + 16 * VECTOR_BP + 5, "\x8e", 1); /* DPL 0 */
    g->vmcb.save.cs = segment_64(SEL_USER64 | 3, 0xafb);
    g->vmcb.save.ss = segment_64(SEL_USER_DATA | 3, 0xcf3);
    g->vmcb.save.cpl = 3;
    g->vmcb.save.rsp = USTACK;
    g->vmcb.control.event_inject = EVENT_VALID | EVENT_EXCEPTION << EVENT_TYPE_SHIFT | VECTOR_BP;
    guest_vmrun(g);
    assert_int_equal(delivered(g), VECTOR_GP);
    guest_destroy(g);
}

static u64 inject(struct guest *g, u8 vector, bool code64)
{
    build_vmcb(g);
    if (!code64)
        g->vmcb.save.cs = segment_64(SEL_CODE32, 0xc9b);
    g->vmcb.control.event_inject = EVENT_VALID | EVENT_EXCEPTION << EVENT_TYPE_SHIFT | vector;
    return guest_vmrun(g);
}

static void what_cannot_be_raised_cannot_be_injected(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    assert_true(inject(g, VECTOR_BR, true) == EXIT_INVALID);
    assert_true(inject(g, VECTOR_OF, true) == EXIT_INVALID);
    assert_true(inject(g, VECTOR_HV, true) == EXIT_INVALID); /* of restricted injection alone */
    assert_true(inject(g, VECTOR_NMI, true) == EXIT_INVALID);
    assert_true(inject(g, VECTOR_BP, true) == EXIT_HLT);
    assert_true(inject(g, VECTOR_BR, false) == EXIT_HLT);
    assert_true(inject(g, VECTOR_OF, false) == EXIT_HLT);
    guest_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pushf_popf_and_iret_exit_before_any_exception),
        cmocka_unit_test(rsm_exits_although_there_is_no_smm),
        cmocka_unit_test(a_register_write_that_faults_is_not_intercepted),
        cmocka_unit_test(xsetbv_refuses_what_xcr0_cannot_have_before_it_exits),
        cmocka_unit_test(general_detection_comes_before_the_intercept),
        cmocka_unit_test(the_selective_intercept_takes_every_lmsw_and_no_clts),
        cmocka_unit_test(write_traps_are_for_sev_es_alone),
        cmocka_unit_test(every_row_with_an_intercept_has_a_case),
        cmocka_unit_test(an_intercepted_row_exits),
        cmocka_unit_test(a_row_that_is_not_intercepted_does_not_exit),
        cmocka_unit_test(the_fault_of_a_program_comes_before_the_intercept),
        cmocka_unit_test(an_intercepted_db_has_written_dr6_and_dr7),
        cmocka_unit_test(icebp_has_an_intercept_of_its_own),
        cmocka_unit_test(a_fault_on_the_way_to_a_double_fault_can_be_intercepted),
        cmocka_unit_test(next_rip_is_zero_where_no_instruction_exits),
        cmocka_unit_test(next_rip_of_bound_is_behind_it),
        cmocka_unit_test(a_data_page_fault_brings_the_instruction),
        cmocka_unit_test(mov_dr_names_only_the_register),
        cmocka_unit_test(a_task_gate_exits_with_the_selector_of_its_tss),
        cmocka_unit_test(an_injected_breakpoint_asks_its_gate),
        cmocka_unit_test(what_cannot_be_raised_cannot_be_injected),
    };
    return cmocka_run_group_tests(tests, write_exit_cases, NULL);
}
