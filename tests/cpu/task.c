/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hardware task switches [APM2 12.3] and their intercept [APM2 15.14.5]: what the two TSSs, the GDT
 * and the registers hold after each kind, which task a fault belongs to, and that a nested page
 * fault in the middle leaves no trace.
 */
#include "guest.h"

#define OTHER       0x5900ull /* the other task's TSS */
#define LDT         0x5a00ull
#define OTHER_CODE  0x12000ull
#define OTHER_STACK IST1
#define DIRECTORY   0x30000ull /* page directories: the first task's, the other's */

enum {
    SEL_USER_CODE = SEL_USER64, /* 32 bits here */
    SEL_OTHER = 0x38,
    SEL_GATE = 0x40, /* to SEL_OTHER */
    SEL_LDT = 0x48,
    SEL_ABSENT_DATA = 0x50,
    SEL_ABSENT_CODE = 0x58,
    SEL_ABSENT_GATE = 0x60,
    SEL_NULL_GATE = 0x68,
    SEL_CODE16 = 0x70,
    SEL_DATA16 = 0x78,
};

static u64 system_descriptor(u64 base, u32 limit, u32 attributes)
{
    return limit | (base & 0xffffff) << 16 | (u64)attributes << 40 | base >> 24 << 56;
}

static void write32(struct guest *g, u64 gpa, u32 value)
{
    guest_write(g, gpa, &value, sizeof value);
}

static u32 read32(struct guest *g, u64 gpa)
{
    return (u32)guest_read64(g, gpa);
}

static void set_descriptor(struct guest *g, u32 selector, u64 raw)
{
    guest_write64(g, GDT + selector, raw);
}

static bool busy(struct guest *g, u32 selector)
{
    return guest_read64(g, GDT + selector) & BIT(41);
}

/* A 32-bit TSS: EIP, EFLAGS, eight registers, ES CS SS DS FS GS, LDT from offset 20h on. */
static const u32 other_tss[] = {
    OTHER_CODE,  RFLAGS_ONE | RFLAGS_CF,
    0xa1,        0xc1,
    0xd1,        0xb1,
    OTHER_STACK, 0xb2,
    0x51,        0xd2,
    SEL_DATA,    SEL_CODE32,
    SEL_DATA,    SEL_DATA,
    0,           SEL_USER_DATA,
    0,
};

static void build_vmcb_32(struct guest *g)
{
    build_vmcb(g);
    struct vmcb_save *s = &g->vmcb.save;
    s->efer = EFER_SVME;
    s->cr0 = CR0_PE | CR0_ET | CR0_NE;
    s->cr4 = 0;
    s->cs = segment_64(SEL_CODE32, 0xc9b);
    s->gdtr.limit = 0x7f;
    s->idtr.limit = 0x7ff;
    s->tr = (struct vmcb_segment){SEL_TSS, 0x8b, 0x67, TSS};
    s->ldtr = (struct vmcb_segment){0};
    s->rax = 0x77;
}

/* Puts both tasks into their first state. */
static void build_tasks(struct guest *g)
{
    static const u8 zero[0x68];
    build_vmcb_32(g);
    set_descriptor(g, SEL_USER_CODE, 0x00cffb000000ffff);
    set_descriptor(g, SEL_TSS, system_descriptor(TSS, 0x67, 0x8b));
    set_descriptor(g, SEL_OTHER, system_descriptor(OTHER, 0x67, 0x89));
    set_descriptor(g, SEL_GATE, (u64)SEL_OTHER << 16 | 0x85ull << 40);
    set_descriptor(g, SEL_LDT, system_descriptor(LDT, 0x0f, 0x82));
    set_descriptor(g, SEL_ABSENT_DATA, 0x00cf13000000ffff);
    set_descriptor(g, SEL_ABSENT_CODE, 0x00cf1b000000ffff);
    set_descriptor(g, SEL_ABSENT_GATE, (u64)SEL_OTHER << 16 | 0x05ull << 40);
    set_descriptor(g, SEL_NULL_GATE, 0x85ull << 40);
    set_descriptor(g, SEL_CODE16, 0x00009b000000ffff);
    set_descriptor(g, SEL_DATA16, 0x000093000000ffff);
    guest_write(g, TSS, zero, sizeof zero);
    guest_write(g, OTHER, zero, sizeof zero);
    guest_write(g, OTHER + 0x20, other_tss, sizeof other_tss);
    for (u64 vector = 0; vector < 256; vector++)
        guest_write64(g, IDT + 8 * vector, (u64)SEL_OTHER << 16 | 0xe5ull << 40);
    guest_write_code(g, OTHER_CODE, ASM32("hlt"));
}

static struct guest *two_tasks(void)
{
    struct guest *g = guest_create(false);
    build_tasks(g);
    return g;
}

static void assert_in(const struct guest *g, u16 task, u64 rip)
{
    assert_int_equal(g->vmcb.save.tr.selector, task);
    assert_int_equal(g->vmcb.save.tr.attributes & 0xf, 0xb);
    assert_int_equal(g->vmcb.save.rip, rip);
}

/* --- What changes ----------------------------------------------------------------------------- */

static void a_call_nests_the_new_task(void **state)
{
    (void)state;
    struct guest *g = two_tasks();
    g->vmcb.save.rflags |= RFLAGS_ZF | RFLAGS_DF;
    assert_int_equal(guest_run_code(g, ASM32("lcall 0x38:0")), EXIT_HLT);
    const struct vmcb_save *s = &g->vmcb.save;
    assert_in(g, SEL_OTHER, OTHER_CODE);
    assert_true(busy(g, SEL_TSS) && busy(g, SEL_OTHER));
    assert_int_equal(read32(g, OTHER), SEL_TSS); /* the link */
    assert_int_equal(s->rflags, RFLAGS_ONE | RFLAGS_CF | RFLAGS_NT);
    assert_true(s->cr0 & CR0_TS);
    assert_int_equal(s->rax, 0xa1);
    assert_int_equal(s->rsp, OTHER_STACK);
    assert_int_equal(s->gs.selector, SEL_USER_DATA);
    assert_int_equal(s->fs.attributes & SEG_P, 0);
    assert_int_equal(read32(g, TSS + 0x20), CODE + 7); /* the next instruction */
    assert_int_equal(read32(g, TSS + 0x24), RFLAGS_ONE | RFLAGS_ZF | RFLAGS_DF);
    assert_int_equal(read32(g, TSS + 0x28), 0x77);
    assert_int_equal(read32(g, TSS + 0x38), STACK);
    assert_int_equal(read32(g, TSS + 0x4c), SEL_CODE32);
    guest_destroy(g);
}

static void iret_with_nt_goes_back(void **state)
{
    (void)state;
    struct guest *g = two_tasks();
    guest_write_code(g, OTHER_CODE, ASM32("mov eax, 0x99; iretd"));
    assert_int_equal(guest_run_code(g, ASM32("lcall 0x38:0")), EXIT_HLT);
    assert_in(g, SEL_TSS, CODE + 7);
    assert_true(busy(g, SEL_TSS) && !busy(g, SEL_OTHER));
    assert_int_equal(g->vmcb.save.rax, 0x77);
    assert_int_equal(g->vmcb.save.rflags, RFLAGS_ONE);
    assert_int_equal(read32(g, OTHER + 0x20), OTHER_CODE + 6);
    assert_int_equal(read32(g, OTHER + 0x24), RFLAGS_ONE | RFLAGS_CF); /* without NT */
    assert_int_equal(read32(g, OTHER + 0x28), 0x99);
    guest_destroy(g);
}

static void a_jump_ends_the_old_task(void **state)
{
    (void)state;
    struct guest *g = two_tasks();
    assert_int_equal(guest_run_code(g, ASM32("ljmp 0x38:0")), EXIT_HLT);
    assert_in(g, SEL_OTHER, OTHER_CODE);
    assert_true(!busy(g, SEL_TSS) && busy(g, SEL_OTHER));
    assert_int_equal(read32(g, OTHER), 0); /* no link */
    assert_int_equal(g->vmcb.save.rflags & RFLAGS_NT, 0);
    build_tasks(g);
    assert_int_equal(guest_run_code(g, ASM32("ljmp 0x40:0")), EXIT_HLT); /* through the gate */
    assert_in(g, SEL_OTHER, OTHER_CODE);
    guest_destroy(g);
}

static void a_fault_brings_its_error_code_and_rf(void **state)
{
    (void)state;
    struct guest *g = two_tasks();
    guest_run_code(g, ASM32("mov eax, 0x1234; mov es, eax"));
    assert_in(g, SEL_OTHER, OTHER_CODE);
    assert_int_equal(g->vmcb.save.rsp, OTHER_STACK - 4);
    assert_int_equal(read32(g, OTHER_STACK - 4), 0x1234);
    assert_int_equal(read32(g, TSS + 0x20), CODE + 5); /* the faulting instruction */
    assert_int_equal(read32(g, TSS + 0x24), RFLAGS_ONE | RFLAGS_RF);
    assert_int_equal(g->vmcb.control.exit_int_info, 0);
    build_tasks(g);
    guest_run_code(g, ASM32("int 0x55"));
    assert_in(g, SEL_OTHER, OTHER_CODE);
    assert_int_equal(g->vmcb.save.rsp, OTHER_STACK);
    assert_int_equal(read32(g, TSS + 0x20), CODE + 2); /* behind it */
    assert_int_equal(read32(g, TSS + 0x24), RFLAGS_ONE);
    guest_destroy(g);
}

static void a_16_bit_tss_has_words(void **state)
{
    (void)state;
    static const u16 image[] = {0x100,      RFLAGS_ONE, 0xa1,       0xc1,       0xd1,
                                0xb1,       0x9000,     0xb2,       0x51,       0xd2,
                                SEL_DATA16, SEL_CODE16, SEL_DATA16, SEL_DATA16, 0};
    static const u8 zero[0x68];
    struct guest *g = two_tasks();
    set_descriptor(g, SEL_OTHER, system_descriptor(OTHER, 0x2b, 0x81));
    guest_write(g, OTHER, zero, sizeof zero);
    guest_write(g, OTHER + 0xe, image, sizeof image);
    guest_write_code(g, 0x100, ASM16("mov bx, 0x9999; iretw"));
    g->vmcb.save.rax = 0x12345678;
    assert_int_equal(guest_run_code(g, ASM32("lcall 0x38:0; nop")), EXIT_HLT);
    assert_in(g, SEL_TSS, CODE + 8);
    assert_int_equal(g->vmcb.save.rax, 0x12345678);
    assert_int_equal(read32(g, OTHER) & 0xffff, SEL_TSS);
    assert_int_equal(read32(g, OTHER + 0xe) & 0xffff, 0x104);
    assert_int_equal(read32(g, OTHER + 0x18) & 0xffff, 0x9999);
    assert_int_equal(read32(g, OTHER + 0x2a), 0); /* nothing is written behind the registers */
    guest_destroy(g);
}

static void a_task_may_be_virtual_8086_code(void **state)
{
    (void)state;
    struct guest *g = two_tasks();
    write32(g, OTHER + 0x20, 0);
    write32(g, OTHER + 0x24, RFLAGS_ONE | RFLAGS_VM);
    write32(g, OTHER + 0x4c, 0x1200);
    write32(g, OTHER + 0x54, 0x3210);
    g->vmcb.control.intercept_exceptions = BIT(VECTOR_GP); /* HLT is not for CPL 3 */
    assert_int_equal(guest_run_code(g, ASM32("ljmp 0x38:0")), EXIT_EXCEPTION + VECTOR_GP);
    assert_in(g, SEL_OTHER, 0);
    assert_int_equal(g->vmcb.save.cpl, 3);
    assert_int_equal(g->vmcb.save.cs.base, 0x12000);
    assert_int_equal(g->vmcb.save.ds.base, 0x32100);
    assert_int_equal(g->vmcb.save.ds.limit, 0xffff);
    guest_destroy(g);
}

static void the_trap_bit_and_local_breakpoints(void **state)
{
    (void)state;
    struct guest *g = two_tasks();
    guest_write(g, OTHER + 0x64, "\1", 1);
    g->vmcb.save.dr7 = 0x7ff; /* all, local and global, LE, GE */
    g->vmcb.control.intercept_exceptions = BIT(VECTOR_DB);
    assert_int_equal(guest_run_code(g, ASM32("ljmp 0x38:0")), EXIT_EXCEPTION + VECTOR_DB);
    assert_in(g, SEL_OTHER, OTHER_CODE);
    assert_int_equal(g->vmcb.save.dr6, DR6_RESET | BIT(15));
    assert_int_equal(g->vmcb.save.dr7, 0x7ff & ~0x155);
    guest_destroy(g);
}

static void a_local_descriptor_table_comes_first(void **state)
{
    (void)state;
    struct guest *g = two_tasks();
    guest_write64(g, LDT + 8, 0x00cf93000000ffff);
    write32(g, OTHER + 0x60, SEL_LDT);
    write32(g, OTHER + 0x54, 0xc); /* DS: the LDT's second */
    assert_int_equal(guest_run_code(g, ASM32("ljmp 0x38:0")), EXIT_HLT);
    assert_int_equal(g->vmcb.save.ldtr.selector, SEL_LDT);
    assert_int_equal(g->vmcb.save.ldtr.base, LDT);
    assert_int_equal(g->vmcb.save.ds.selector, 0xc);
    assert_true(g->vmcb.save.ds.attributes & SEG_P);
    guest_destroy(g);
}

/* --- Whose fault it is ------------------------------------------------------------------------ */

struct change {
    u64 gpa, value;
    u32 size;
};

struct refused {
    struct code code;
    struct change change;
    u8 vector;
    u32 error;
    u16 task;
};

#define GDT_TYPE(selector, type)                                                                   \
    {                                                                                              \
        GDT + (selector) + 5, type, 1                                                              \
    }
#define FIELD(offset, value)                                                                       \
    {                                                                                              \
        OTHER + (offset), value, 2                                                                 \
    }

static void check_refused(struct guest *g, const struct refused *r, size_t row)
{
    build_tasks(g);
    if (r->change.size)
        guest_write(g, r->change.gpa, &r->change.value, r->change.size);
    g->vmcb.control.intercept_exceptions = ~0u;
    bool before = busy(g, SEL_OTHER);
    u64 code = guest_run_code(g, r->code);
    const struct vmcb_save *s = &g->vmcb.save;
    bool fits = code == EXIT_EXCEPTION + (u64)r->vector && s->tr.selector == r->task &&
                g->vmcb.control.exit_info_1 == r->error &&
                s->rip == (r->task == SEL_TSS ? CODE : OTHER_CODE);
    if (!fits)
        fail_msg("row %zu: exit 0x%llx error 0x%llx task 0x%x rip 0x%llx", row,
                 (unsigned long long)code, (unsigned long long)g->vmcb.control.exit_info_1,
                 s->tr.selector, (unsigned long long)s->rip);
    assert_int_equal(busy(g, SEL_OTHER), before || r->task == SEL_OTHER);
}

static void each_check_has_its_vector_and_its_task(void **state)
{
    (void)state;
    const struct code jump = ASM32("ljmp 0x38:0"), through = ASM32("lcall 0x40:0");
    const struct refused rows[] = {
        /* before the switch */
        {jump, GDT_TYPE(SEL_OTHER, 0x8b), VECTOR_GP, SEL_OTHER, SEL_TSS}, /* busy */
        {through, GDT_TYPE(SEL_OTHER, 0x8b), VECTOR_GP, SEL_OTHER, SEL_TSS},
        {jump, GDT_TYPE(SEL_OTHER, 0x09), VECTOR_NP, SEL_OTHER, SEL_TSS},
        {through, GDT_TYPE(SEL_OTHER, 0x09), VECTOR_NP, SEL_OTHER, SEL_TSS},
        {through, GDT_TYPE(SEL_OTHER, 0x93), VECTOR_GP, SEL_OTHER, SEL_TSS}, /* data */
        {jump, {GDT + SEL_OTHER, 0x66, 1}, VECTOR_TS, SEL_OTHER, SEL_TSS},   /* limit */
        {ASM32("ljmp 0x3b:0"), {0}, VECTOR_GP, SEL_OTHER, SEL_TSS},          /* RPL 3, DPL 0 */
        {ASM32("ljmp 0x43:0"), {0}, VECTOR_GP, SEL_GATE, SEL_TSS},
        {ASM32("ljmp 0x60:0"), {0}, VECTOR_NP, SEL_ABSENT_GATE, SEL_TSS},
        {ASM32("ljmp 0x68:0"), {0}, VECTOR_GP, 0, SEL_TSS},                 /* to a null selector */
        {through, {GDT + SEL_GATE + 2, 0x3c, 1}, VECTOR_GP, 0x3c, SEL_TSS}, /* in an LDT */
        {through, {GDT + SEL_GATE + 2, 0x88, 1}, VECTOR_GP, 0x88, SEL_TSS}, /* beyond the GDT */
        /* after it */
        {jump, FIELD(0x60, SEL_DATA), VECTOR_TS, SEL_DATA, SEL_OTHER}, /* LDT: data */
        {jump, FIELD(0x60, 0x4c), VECTOR_TS, 0x4c, SEL_OTHER},         /* in an LDT */
        {jump, FIELD(0x4c, 0), VECTOR_TS, 0, SEL_OTHER},               /* CS: null */
        {jump, FIELD(0x4c, SEL_DATA), VECTOR_TS, SEL_DATA, SEL_OTHER},
        {jump, FIELD(0x4c, SEL_USER_CODE), VECTOR_TS, SEL_USER_CODE, SEL_OTHER}, /* DPL, not RPL */
        {jump, FIELD(0x4c, SEL_ABSENT_CODE), VECTOR_NP, SEL_ABSENT_CODE, SEL_OTHER},
        {jump, FIELD(0x50, 0), VECTOR_TS, 0, SEL_OTHER}, /* SS: null */
        {jump, FIELD(0x50, SEL_DATA | 3), VECTOR_TS, SEL_DATA, SEL_OTHER},
        {jump, FIELD(0x50, SEL_ABSENT_DATA), VECTOR_SS, SEL_ABSENT_DATA, SEL_OTHER},
        {jump, FIELD(0x54, SEL_TSS), VECTOR_TS, SEL_TSS, SEL_OTHER},                 /* DS */
        {jump, FIELD(0x48, SEL_ABSENT_DATA), VECTOR_NP, SEL_ABSENT_DATA, SEL_OTHER}, /* ES */
        {jump, FIELD(0x58, 0x80), VECTOR_TS, 0x80, SEL_OTHER}, /* FS: beyond the GDT */
    };
    struct guest *g = two_tasks();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        check_refused(g, &rows[i], i);
    guest_destroy(g);
}

static void an_event_from_outside_that_finds_no_task_has_ext(void **state)
{
    (void)state;
    struct guest *g = two_tasks();
    for (u32 ext = 0; ext < 2; ext++) {
        const struct code code = ext ? ASM32("nop") : ASM32("ud2");
        const u64 inject = ext ? EVENT_VALID | VECTOR_UD : 0; /* an interrupt with #UD's vector */
        build_tasks(g);
        set_descriptor(g, SEL_OTHER, system_descriptor(OTHER, 0x67, 0x8b)); /* busy */
        g->vmcb.control.event_inject = inject;
        g->vmcb.control.intercept_exceptions = BIT(VECTOR_GP);
        assert_int_equal(guest_run_code(g, code), EXIT_EXCEPTION + VECTOR_GP);
        assert_int_equal(g->vmcb.control.exit_info_1, SEL_OTHER | ext);
        build_tasks(g);
        write32(g, OTHER + 0x54, SEL_ABSENT_DATA);
        g->vmcb.control.event_inject = inject;
        g->vmcb.control.intercept_exceptions = BIT(VECTOR_NP);
        assert_int_equal(guest_run_code(g, code), EXIT_EXCEPTION + VECTOR_NP);
        assert_int_equal(g->vmcb.control.exit_info_1, SEL_ABSENT_DATA | ext);
        assert_in(g, SEL_OTHER, OTHER_CODE);
    }
    guest_destroy(g);
}

static void iret_wants_a_busy_tss(void **state)
{
    (void)state;
    static const struct {
        u16 link;
        u8 vector;
        u32 error;
    } rows[] = {{SEL_OTHER, VECTOR_TS, SEL_OTHER}, {0, VECTOR_TS, 0}, {0x3c, VECTOR_TS, 0x3c}};
    struct guest *g = two_tasks();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        build_tasks(g);
        guest_write(g, TSS, &rows[i].link, 2);
        g->vmcb.save.rflags |= RFLAGS_NT;
        g->vmcb.control.intercept_exceptions = ~0u;
        assert_int_equal(guest_run_code(g, ASM32("iretd")), EXIT_EXCEPTION + rows[i].vector);
        assert_int_equal(g->vmcb.control.exit_info_1, rows[i].error);
        assert_in(g, SEL_TSS, CODE);
    }
    guest_destroy(g);
}

static void a_short_old_tss_is_refused(void **state)
{
    (void)state;
    struct guest *g = two_tasks();
    g->vmcb.save.tr.limit = 0x5e;
    g->vmcb.control.intercept_exceptions = BIT(VECTOR_TS);
    assert_int_equal(guest_run_code(g, ASM32("ljmp 0x38:0")), EXIT_EXCEPTION + VECTOR_TS);
    assert_int_equal(g->vmcb.control.exit_info_1, SEL_TSS);
    assert_in(g, SEL_TSS, CODE);
    guest_destroy(g);
}

/* --- The host --------------------------------------------------------------------------------- */

static void the_intercept_tells_why(void **state)
{
    (void)state;
    const struct {
        struct code code;
        u64 info_2;
    } rows[] = {
        {ASM32("lcall 0x38:0"), 0},
        {ASM32("ljmp 0x38:0"), BIT(38)},
        {ASM32("mov eax, 0x1234; mov es, eax"), BIT(44) | BIT(48) | 0x1234},
        {ASM32("ud2"), BIT(48)},
        {ASM32("int 0x55"), 0},
    };
    struct guest *g = two_tasks();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        build_tasks(g);
        g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_TASK_SWITCH;
        assert_int_equal(guest_run_code(g, rows[i].code), EXIT_TASK_SWITCH);
        assert_int_equal(g->vmcb.control.exit_info_1, SEL_OTHER);
        assert_true(g->vmcb.control.exit_info_2 == rows[i].info_2);
        assert_int_equal(g->vmcb.save.tr.selector, SEL_TSS);
        assert_true(!busy(g, SEL_OTHER));
    }
    build_tasks(g); /* the TSS is checked before the intercept */
    set_descriptor(g, SEL_OTHER, system_descriptor(OTHER, 0x67, 0x8b));
    g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_TASK_SWITCH;
    g->vmcb.control.intercept_exceptions = BIT(VECTOR_GP);
    assert_int_equal(guest_run_code(g, ASM32("ljmp 0x38:0")), EXIT_EXCEPTION + VECTOR_GP);
    guest_destroy(g);
}

static void iret_tells_that_it_is_one(void **state)
{
    (void)state;
    struct guest *g = two_tasks();
    g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_TASK_SWITCH;
    g->vmcb.save.rflags |= RFLAGS_NT;
    set_descriptor(g, SEL_OTHER, system_descriptor(OTHER, 0x67, 0x8b));
    guest_write(g, TSS, "\x38\0", 2);
    assert_int_equal(guest_run_code(g, ASM32("iretd")), EXIT_TASK_SWITCH);
    assert_true(g->vmcb.control.exit_info_2 == BIT(36));
    guest_destroy(g);
}

/* 4 MiB pages: both directories map the first 4 MiB to themselves, the other task's also at 1 GiB.
 */
static void build_paging(struct guest *g)
{
    const u64 page = PTE_P | PTE_RW | PTE_US | PTE_PS;
    static const u8 zero[0x2000];
    guest_write(g, DIRECTORY, zero, sizeof zero);
    write32(g, DIRECTORY, (u32)page);
    write32(g, DIRECTORY + 0x1000, (u32)page);
    write32(g, DIRECTORY + 0x1400, (u32)page);
    write32(g, OTHER + 0x1c, (u32)DIRECTORY + 0x1000);
    write32(g, OTHER + 0x20, (u32)(GIB(1) + OTHER_CODE));
    g->vmcb.save.cr0 |= CR0_PG;
    g->vmcb.save.cr4 = CR4_PSE;
    g->vmcb.save.cr3 = DIRECTORY;
}

static void a_task_has_its_own_address_space(void **state)
{
    (void)state;
    struct guest *g = two_tasks();
    build_paging(g);
    assert_int_equal(guest_run_code(g, ASM32("ljmp 0x38:0")), EXIT_HLT);
    assert_in(g, SEL_OTHER, GIB(1) + OTHER_CODE);
    assert_int_equal(g->vmcb.save.cr3, DIRECTORY + 0x1000);
    guest_destroy(g);
}

/* The host has to map the other task's directory first, and then runs the instruction again. */
static void a_nested_fault_in_the_middle_is_taken_back(void **state)
{
    (void)state;
    const struct code codes[] = {ASM32("ljmp 0x38:0"), ASM32("int 0x55")};
    struct guest *g = two_tasks();
    const u64 entry = NPT + 0x3000 + 8 * (DIRECTORY + 0x1000) / 4096;
    const u64 mapped = host_read64(g, entry);
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        build_tasks(g);
        build_paging(g);
        host_write64(g, entry, 0);
        g->vmcb.control.tlb_control = 1;
        assert_int_equal(guest_run_code(g, codes[i]), EXIT_NPF);
        assert_int_equal(g->vmcb.control.exit_info_2 & ~PAGE_MASK, DIRECTORY + 0x1000);
        assert_in(g, SEL_TSS, CODE);
        assert_true(busy(g, SEL_TSS) && !busy(g, SEL_OTHER));
        assert_int_equal(g->vmcb.save.cr3, DIRECTORY);
        assert_int_equal(g->vmcb.save.rax, 0x77);
        assert_int_equal(g->vmcb.save.cs.selector, SEL_CODE32);
        assert_int_equal(g->vmcb.save.rflags, RFLAGS_ONE);
        host_write64(g, entry, mapped);
        g->vmcb.control.event_inject = g->vmcb.control.exit_int_info;
        assert_int_equal(guest_vmrun(g), EXIT_HLT);
        assert_in(g, SEL_OTHER, GIB(1) + OTHER_CODE);
        assert_int_equal(read32(g, TSS + 0x28), 0x77);
        assert_int_equal(busy(g, SEL_TSS), i == 1);
    }
    guest_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_nests_the_new_task),
        cmocka_unit_test(iret_with_nt_goes_back),
        cmocka_unit_test(a_jump_ends_the_old_task),
        cmocka_unit_test(a_fault_brings_its_error_code_and_rf),
        cmocka_unit_test(a_16_bit_tss_has_words),
        cmocka_unit_test(a_task_may_be_virtual_8086_code),
        cmocka_unit_test(the_trap_bit_and_local_breakpoints),
        cmocka_unit_test(a_local_descriptor_table_comes_first),
        cmocka_unit_test(each_check_has_its_vector_and_its_task),
        cmocka_unit_test(an_event_from_outside_that_finds_no_task_has_ext),
        cmocka_unit_test(iret_wants_a_busy_tss),
        cmocka_unit_test(a_short_old_tss_is_refused),
        cmocka_unit_test(the_intercept_tells_why),
        cmocka_unit_test(iret_tells_that_it_is_one),
        cmocka_unit_test(a_task_has_its_own_address_space),
        cmocka_unit_test(a_nested_fault_in_the_middle_is_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
