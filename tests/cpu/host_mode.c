/* SPDX-License-Identifier: Apache-2.0 */
/* A core on a bare machine: its host's own code, the board's ports, addresses and pins. */
#include "bare_machine.h"

/* --- The host's own code ---------------------------------------------------------------------- */

static void code_runs_and_halts(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    assert_int_equal(HOST(m, "mov eax, 5; add eax, 2"), CPU_STOP_HALT);
    assert_int_equal(m->cpu->arch.r[RAX], 7);
    assert_int_equal(m->cpu->arch.rip, H_CODE + 9);
    assert_int_equal(m->g->clock.now, 3);
    assert_int_equal(run_on(m), CPU_STOP_HALT);
    assert_int_equal(m->g->clock.now, 3);
    assert_int_equal(HOST(m, "2: jmp 2b"), CPU_STOP_TIME);
    assert_int_equal(m->g->clock.now, 3 + 100000);
    bare_destroy(m);
}

static void faults_go_through_its_own_idt(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    assert_int_equal(HOST(m, "nop; ud2"), CPU_STOP_HALT);
    assert_int_equal(halted_in(m), VECTOR_UD);
    assert_int_equal(stacked(m, 0), H_CODE + 1);
    assert_int_equal(HOST(m, "mov rsi, 0x40000000; mov rax, [rsi]"), CPU_STOP_HALT);
    assert_int_equal(halted_in(m), VECTOR_PF);
    assert_int_equal(m->cpu->arch.cr2, 0x40000000);
    bare_destroy(m);
}

/* Power-on unmasks the exceptions of the x87; a board that is its own firmware masks them. */
static void a_loaded_program_finds_the_x87_initialised(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    cpu_reset(m->cpu);
    assert_int_equal(m->cpu->arch.x87.control, 0x40);
    m->cpu->msr.vm_hsave_pa = HSAVE;
    assert_int_equal(
        HOST(m, "mov eax, 10; push rax; fild qword ptr [rsp]; fld1; fdivrp; fnstcw [rsp]; pop rbx"),
        CPU_STOP_HALT);
    assert_int_equal(m->cpu->arch.r[RBX] & 0xffff, 0x37f);
    bare_destroy(m);
}

static void a_triple_fault_lasts_until_a_reset(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    assert_int_equal(HOST(m, "push 0; push 0; lidt [rsp]; ud2"), CPU_STOP_SHUTDOWN);
    assert_int_equal(run_on(m), CPU_STOP_SHUTDOWN);
    cpu_reset(m->cpu);
    assert_int_equal(m->cpu->arch.rip, 0xfff0);
    assert_int_equal(m->cpu->arch.seg[SEG_CS].base, 0xffff0000);
    assert_int_equal(HOST(m, "nop"), CPU_STOP_HALT);
    bare_destroy(m);
}

static void what_the_host_reads_of_its_processor(void **state)
{
    const struct {
        struct code code;
        u64 vector, value; /* vector 0: no exception, and EAX */
    } rows[] = {
        {ASM("mov eax, 1; cpuid; mov eax, ecx; shr eax, 31"), 0, 0}, /* no hypervisor */
        {ASM("mov eax, 1; cpuid; mov eax, ecx; shr eax, 24; and eax, 1"), 0, 1},
        {ASM("mov eax, 0x80000001; cpuid; mov eax, ecx; shr eax, 2; and eax, 1"), 0, 1},
        {ASM("mov ecx, 0xc0010131; mov eax, 7; rdmsr"), 0, 0}, /* SEV_STATUS */
        {ASM("mov ecx, 0xc0011fff; mov eax, 7; rdmsr"), 0, 0},
        {ASM("mov ecx, 0xc0012000; rdmsr"), VECTOR_GP, 0},
        {ASM("mov ecx, 0x1b; rdmsr"), 0, 0xfee00900},
        {ASM("mov ecx, 0x6e0; mov eax, 9; xor edx, edx; wrmsr; xor eax, eax; rdmsr"), 0, 9},
        {ASM("mov ecx, 0x6e1; rdmsr"), VECTOR_GP, 0},
        {ASM("mov ecx, 0xc0010114; mov eax, 0x10; xor edx, edx; wrmsr"), VECTOR_GP,
         0}, /* SVME is on */
        {ASM("mov eax, 5; mov cr8, rax; xor eax, eax; mov rax, cr8"), 0, 5},
        {ASM("wbinvd; mov eax, 1"), 0, 1},
    };
    struct bare_machine *m = bare_create(false);
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(host_run(m, rows[i].code), CPU_STOP_HALT);
        if (rows[i].vector)
            assert_int_equal(halted_in(m), rows[i].vector);
        else
            assert_int_equal((u32)m->cpu->arch.r[RAX], rows[i].value);
    }
    assert_int_equal(m->board.tpr, 5);
    assert_int_equal(m->board.wbinvds, 1);
    bare_destroy(m);
}

/* --- The board's answers ---------------------------------------------------------------------- */

static void ports_are_answered_in_the_instruction(void **state)
{
    struct bare_machine *m = bare_create(false);
    struct board *b = &m->board;
    (void)state;
    b->value = 0x1122334455667788;
    assert_int_equal(HOST(m, "mov eax, -1; mov dx, 0x3f8; in ax, dx; nop; out 0x80, al; nop"),
                     CPU_STOP_HALT);
    assert_int_equal(m->cpu->arch.r[RAX], 0xffff7788);
    assert_int_equal(b->accesses, 2);
    assert_int_equal(b->last.address, 0x80);
    assert_int_equal(b->last.value, 0x88);
    assert_int_equal(b->last.size, 1);
    assert_true(b->last.write && b->last.port);
    assert_int_equal(m->g->clock.now, 7);
    assert_int_equal(HOST(m, "mov edi, 0x40000; mov ecx, 3; mov dx, 0x60; rep insb; mov rsi, rdi; "
                             "mov ecx, 2; rep outsd"),
                     CPU_STOP_HALT);
    assert_int_equal(host_read64(m->g, H_DATA), 0x888888);
    assert_int_equal(b->accesses, 2 + 3 + 2);
    bare_destroy(m);
}

static void an_access_takes_the_boards_time(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    m->board.takes_ns = 700;
    assert_int_equal(HOST(m, "out 0x80, al; rdtsc"), CPU_STOP_HALT);
    assert_int_equal(m->cpu->arch.r[RAX], 701);
    assert_int_equal(m->g->clock.now, 703);
    assert_int_equal(cpu_statistics(m->cpu).instructions, 3);
    bare_destroy(m);
}

static void addresses_without_memory_are_the_boards(void **state)
{
    struct bare_machine *m = bare_create(false);
    struct board *b = &m->board;
    (void)state;
    b->value = 40;
    assert_int_equal(HOST(m, "mov esi, 0x1000010; mov ebx, 1; add ebx, [rsi]; inc ebx; "
                             "add [rsi + 4], ebx; mov qword ptr [rsi + 8], -1; nop"),
                     CPU_STOP_HALT);
    assert_int_equal(m->cpu->arch.r[RBX], 42);
    assert_int_equal(b->accesses, 4); /* one read, read and write, one write */
    assert_int_equal(b->last.address, H_DEVICE + 0x18);
    assert_int_equal(b->last.size, 8);
    assert_int_equal(b->last.value, ~0ull);
    assert_int_equal(m->g->clock.now, 8);
    /* through the cached block, or the translated one */
    for (u32 i = 0; i < 100; i++)
        assert_int_equal(HOST(m, "mov esi, 0x1000010; mov ebx, 1; add ebx, [rsi]"), CPU_STOP_HALT);
    assert_int_equal(b->accesses, 104);
    assert_int_equal(m->cpu->arch.r[RBX], 41);
    bare_destroy(m);
}

static void the_apic_lies_over_memory(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    m->board.value = 3;
    host_write64(m->g, H_APIC, 7);
    assert_int_equal(HOST(m, "mov esi, 0x50000; mov ebx, [rsi]; mov ecx, 0x1b; mov eax, 0x50900; "
                             "xor edx, edx; wrmsr; mov edi, [rsi]; mov eax, 0xfee00900; wrmsr; "
                             "mov ebp, [rsi]"),
                     CPU_STOP_HALT);
    assert_int_equal(m->cpu->arch.r[RBX], 7);
    assert_int_equal(m->cpu->arch.r[RDI], 3);
    assert_int_equal(m->cpu->arch.r[RBP], 7);
    assert_int_equal(m->board.last.address, H_APIC);
    bare_destroy(m);
}

static void a_wire_yields_and_shortens(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    m->board.yields = true;
    assert_int_equal(HOST(m, "nop; mov esi, 0x1000000; mov [rsi], eax; inc ebx"), CPU_STOP_YIELD);
    assert_int_equal(m->cpu->arch.rip, H_CODE + 8);
    assert_int_equal(m->cpu->arch.r[RBX], 0);
    m->board.yields = false;
    assert_int_equal(run_on(m), CPU_STOP_HALT);
    assert_int_equal(m->cpu->arch.r[RBX], 1);
    m->board.shortens = m->g->clock.now + 20;
    assert_int_equal(HOST(m, "out 0x80, al; 2: jmp 2b"), CPU_STOP_TIME);
    assert_int_equal(m->g->clock.now, m->board.shortens);
    bare_destroy(m);
}

/* --- Pins ------------------------------------------------------------------------------------- */

static void an_interrupt_waits_for_if_and_its_shadow(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    m->board.vector = 0x40;
    cpu_pin_interrupt(m->cpu, true);
    assert_int_equal(HOST(m, "inc eax; inc eax"), CPU_STOP_HALT); /* for ever: IF is clear */
    assert_int_equal(m->cpu->arch.r[RAX], 2);
    assert_int_equal(HOST(m, "inc eax; sti; inc eax; inc eax"), CPU_STOP_HALT);
    assert_int_equal(halted_in(m), 0x40);
    assert_int_equal(m->cpu->arch.r[RAX], 2);
    assert_int_equal(m->board.acknowledged, 1);
    cpu_pin_interrupt(m->cpu, true);
    assert_int_equal(HOST(m, "sti; mov ss, ax; inc eax; inc eax"), CPU_STOP_HALT);
    bare_destroy(m);
}

static void an_interrupt_comes_right_after_the_access(void **state)
{
    const struct {
        struct code code;
        u64 at;
    } rows[] = {{ASM("sti; nop; out 0x80, al; inc ebx; inc ebx"), 4},
                {ASM("sti; nop; mov esi, 0x1000000; mov [rsi], eax; inc ebx"), 9},
                {ASM("sti; nop; mov esi, 0x1000000; xchg [rsi], eax; inc ebx"), 9}};
    struct bare_machine *m = bare_create(false);
    (void)state;
    m->board.vector = 0x41;
    m->board.raises = true;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(host_run(m, rows[i].code), CPU_STOP_HALT);
        assert_int_equal(halted_in(m), 0x41);
        assert_int_equal(stacked(m, 0), H_CODE + rows[i].at);
        assert_int_equal(m->cpu->arch.r[RBX], 0);
    }
    bare_destroy(m);
}

static void a_repeated_access_can_be_interrupted(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    m->board.vector = 0x41;
    m->board.raises = true;
    m->board.takes_ns = 50;
    assert_int_equal(HOST(m, "mov edi, 0x1000000; mov ecx, 1000; sti; nop; rep stosb"),
                     CPU_STOP_HALT);
    assert_int_equal(halted_in(m), 0x41);
    assert_int_equal(m->cpu->arch.r[RCX], 999);
    assert_int_equal(stacked(m, 0), H_CODE + 12);
    m->board.raises = false;
    assert_int_equal(HOST(m, "mov edi, 0x1000000; mov ecx, 3000; rep stosb"), CPU_STOP_TIME);
    assert_in_range(m->g->clock.now, 100000, 101000);
    while (run_on(m) != CPU_STOP_HALT)
        ;
    assert_int_equal(m->board.accesses, 3001);
    bare_destroy(m);
}

static void an_interrupt_ends_a_halt(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    m->board.vector = 0x42;
    host_code(m, H_HANDLERS + 64 * 0x42, ASM("inc ecx; iretq"));
    assert_int_equal(HOST(m, "sti; hlt; inc ebx"), CPU_STOP_HALT);
    m->g->clock.now += 5000; /* the board's timer */
    cpu_pin_interrupt(m->cpu, true);
    assert_int_equal(run_on(m), CPU_STOP_HALT);
    assert_int_equal(m->cpu->arch.r[RCX], 1);
    assert_int_equal(m->cpu->arch.r[RBX], 1);
    /* it is there before the HLT */
    cpu_pin_interrupt(m->cpu, true);
    assert_int_equal(HOST(m, "sti; hlt; inc ebx"), CPU_STOP_HALT);
    assert_int_equal(m->cpu->arch.r[RBX], 1);
    bare_destroy(m);
}

static void a_single_step_ends_a_halt(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    assert_int_equal(HOST(m, "push 0x102; popfq; hlt; inc ebx"), CPU_STOP_HALT);
    assert_int_equal(halted_in(m), VECTOR_DB);
    assert_int_equal(stacked(m, 0), H_CODE + 7);
    bare_destroy(m);
}

static void an_nmi_blocks_the_next_until_iret(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    host_code(m, H_HANDLERS + 64 * VECTOR_NMI, ASM("inc ecx; hlt; iretq"));
    cpu_pin_nmi(m->cpu);
    assert_int_equal(HOST(m, "inc ebx"), CPU_STOP_HALT);
    assert_int_equal(m->cpu->arch.r[RCX], 1);
    cpu_pin_nmi(m->cpu);
    assert_int_equal(run_on(m), CPU_STOP_HALT); /* still in the handler */
    assert_int_equal(m->cpu->arch.r[RCX], 1);
    m->board.vector = 0x43;
    m->cpu->arch.rflags |= RFLAGS_IF;
    host_code(m, H_HANDLERS + 64 * 0x43, ASM("iretq"));
    cpu_pin_interrupt(m->cpu, true); /* whose IRET unblocks, as the manual warns */
    assert_int_equal(run_on(m), CPU_STOP_HALT);
    assert_int_equal(m->cpu->arch.r[RCX], 2);
    assert_int_equal(m->cpu->arch.r[RBX], 0);
    bare_destroy(m);
}

static void clgi_holds_everything(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    m->board.vector = 0x44;
    host_code(m, H_CODE, ASM("clgi; out 0x80, al; sti; nop; inc ebx; stgi; inc ebx; hlt"));
    host_at(m, H_CODE);
    m->board.raises = true;
    assert_int_equal(run_on(m), CPU_STOP_HALT);
    assert_int_equal(halted_in(m), 0x44);
    assert_int_equal(m->cpu->arch.r[RBX], 1);
    m->board.raises = false;
    host_code(m, H_CODE, ASM("clgi; hlt"));
    host_at(m, H_CODE);
    assert_int_equal(run_on(m), CPU_STOP_HALT);
    cpu_pin_nmi(m->cpu);
    cpu_pin_init(m->cpu);
    assert_int_equal(run_on(m), CPU_STOP_HALT);
    assert_int_equal(m->cpu->arch.rip, H_CODE + 4);
    bare_destroy(m);
}

static void init_and_start_up(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    host_code(m, 0x9000, ASM16("mov ax, cs; hlt"));
    cpu_pin_init(m->cpu);
    assert_int_equal(HOST(m, "inc ebx"), CPU_STOP_INIT);
    assert_int_equal(run_on(m), CPU_STOP_INIT);
    assert_int_equal(m->cpu->arch.cr0 & (CR0_PE | CR0_PG), 0);
    assert_int_equal(m->cpu->arch.efer, 0);
    cpu_start_up(m->cpu, 9);
    assert_int_equal(run_on(m), CPU_STOP_HALT);
    assert_int_equal(m->cpu->arch.r[RAX], 0x900);
    /* VM_CR.R_INIT: #SX in its place */
    host_at(m, H_CODE);
    m->cpu->msr.vm_cr = VM_CR_R_INIT;
    cpu_pin_init(m->cpu);
    assert_int_equal(HOST(m, "inc ebx"), CPU_STOP_HALT);
    assert_int_equal(halted_in(m), VECTOR_SX);
    assert_int_equal(stacked(m, 0), 1);
    bare_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code_runs_and_halts),
        cmocka_unit_test(faults_go_through_its_own_idt),
        cmocka_unit_test(a_loaded_program_finds_the_x87_initialised),
        cmocka_unit_test(a_triple_fault_lasts_until_a_reset),
        cmocka_unit_test(what_the_host_reads_of_its_processor),
        cmocka_unit_test(ports_are_answered_in_the_instruction),
        cmocka_unit_test(an_access_takes_the_boards_time),
        cmocka_unit_test(addresses_without_memory_are_the_boards),
        cmocka_unit_test(the_apic_lies_over_memory),
        cmocka_unit_test(a_wire_yields_and_shortens),
        cmocka_unit_test(an_interrupt_waits_for_if_and_its_shadow),
        cmocka_unit_test(an_interrupt_comes_right_after_the_access),
        cmocka_unit_test(an_interrupt_ends_a_halt),
        cmocka_unit_test(a_repeated_access_can_be_interrupted),
        cmocka_unit_test(a_single_step_ends_a_halt),
        cmocka_unit_test(an_nmi_blocks_the_next_until_iret),
        cmocka_unit_test(clgi_holds_everything),
        cmocka_unit_test(init_and_start_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
