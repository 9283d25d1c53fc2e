/* SPDX-License-Identifier: Apache-2.0 */
/* Records of branches, of a host and of its guests, and the single step of branches. */
#include "bare_machine.h"

/* Before each piece of code: switches recording on, in 14 bytes. */
#define RECORD "mov ecx, 0x1d9; mov eax, 1; xor edx, edx; wrmsr; "
#define START  (H_CODE + 14)

static void assert_record(const struct bare_machine *m, u64 from, u64 to)
{
    assert_int_equal(m->cpu->arch.br_from, from);
    assert_int_equal(m->cpu->arch.br_to, to);
}

static void branches_are_recorded_if_they_are_taken(void **state)
{
    const struct {
        struct code code;
        u8 from, to; /* relative to START; 0, 0: no record */
    } rows[] = {
        {ASM(RECORD "nop"), 0, 0},
        {ASM(RECORD "jmp 2f; nop; 2:"), 0, 3},
        {ASM(RECORD "xor ebx, ebx; jz 2f; nop; 2:"), 2, 5},
        {ASM(RECORD "xor ebx, ebx; jz 2f; 2:"), 2, 4},
        {ASM(RECORD "xor ebx, ebx; jnz 2f; nop; 2:"), 0, 0},
        {ASM(RECORD "mov ecx, 3; 2: loop 2b"), 5, 5},
        {ASM(RECORD "mov ecx, 1; loop 2f; nop; 2:"), 0, 0},
        {ASM(RECORD "mov ecx, 2; xor ebx, ebx; loope 2f; nop; 2:"), 7, 10},
        {ASM(RECORD "mov ecx, 2; or ecx, ecx; loope 2f; nop; 2:"), 0, 0},
        {ASM(RECORD "mov ecx, 2; or ecx, ecx; loopne 2f; nop; 2:"), 7, 10},
        {ASM(RECORD "xor ecx, ecx; jrcxz 2f; nop; 2:"), 2, 5},
        {ASM(RECORD "jrcxz 2f; nop; 2:"), 0, 0},
        {ASM(RECORD "call 2f; nop; 2:"), 0, 6},
        {ASM(RECORD "lea rbx, [rip + 3]; jmp rbx; nop; 2:"), 7, 10},
        {ASM(RECORD "lea rbx, [rip + 3]; call rbx; nop; 2:"), 7, 10},
        {ASM(RECORD "lea rbx, [rip + 2]; push rbx; ret"), 8, 9},
        {ASM(RECORD "lea rbx, [rip + 5]; push 8; push rbx; .byte 0x48; retf"), 10, 12},
        {ASM(RECORD "mov rbx, rsp; push 0; push rbx; push 2; push 8; lea rbx, [rip + 3]; "
                    "push rbx; iretq"),
         18, 20},
    };
    struct bare_machine *m = bare_create(false);
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        m->cpu->arch.debugctl = m->cpu->arch.br_from = m->cpu->arch.br_to = 0;
        assert_int_equal(host_run(m, rows[i].code), CPU_STOP_HALT);
        assert_int_equal(m->cpu->arch.rip, H_CODE + rows[i].code.size + 1);
        bool none = !rows[i].to;
        assert_record(m, none ? 0 : START + rows[i].from, none ? 0 : START + rows[i].to);
    }
    bare_destroy(m);
}

/* The engine has joined and translated these blocks before recording begins. */
static void blocks_that_ran_before_are_recorded(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    assert_int_equal(HOST(m, "mov ebx, 5000; 2: dec ebx; jnz 2b; test ebp, ebp; jnz 3f; inc ebp; "
                             "mov ecx, 0x1d9; mov eax, 1; xor edx, edx; wrmsr; mov ebx, 3; "
                             "jmp 2b; 3:"),
                     CPU_STOP_HALT);
    assert_record(m, H_CODE + 11, H_CODE + 36);
    assert_int_equal(HOST(m, "xor edx, edx; xor eax, eax; mov ecx, 0x1d9; wrmsr; jmp 2f; nop; 2:"),
                     CPU_STOP_HALT);
    assert_record(m, H_CODE + 11, H_CODE + 36);
    bare_destroy(m);
}

static void events_keep_the_branch_before_them(void **state)
{
    const struct {
        struct code code;
        u64 vector;
    } rows[] = {
        {ASM(RECORD "jmp 2f; nop; 2: int3"), VECTOR_BP},
        {ASM(RECORD "jmp 2f; nop; 2: int 0x40"), 0x40},
        {ASM(RECORD "jmp 2f; nop; 2: ud2"), VECTOR_UD},
    };
    struct bare_machine *m = bare_create(false);
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        m->cpu->arch.debugctl = 0;
        assert_int_equal(host_run(m, rows[i].code), CPU_STOP_HALT);
        assert_int_equal(halted_in(m), rows[i].vector);
        assert_record(m, START + 3, H_HANDLERS + 64 * rows[i].vector);
        assert_int_equal(m->cpu->arch.last_exception_from, START);
        assert_int_equal(m->cpu->arch.last_exception_to, START + 3);
    }
    m->board.vector = 0x41;
    m->cpu->arch.debugctl = 0;
    assert_int_equal(HOST(m, RECORD "sti; 2: jmp 2b"), CPU_STOP_TIME);
    cpu_pin_interrupt(m->cpu, true);
    assert_int_equal(run_on(m), CPU_STOP_HALT);
    assert_record(m, START + 1, H_HANDLERS + 64 * 0x41);
    assert_int_equal(m->cpu->arch.last_exception_from, START + 1);
    bare_destroy(m);
}

static void a_debug_exception_ends_the_recording(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    assert_int_equal(HOST(m, RECORD "jmp 2f; nop; 2: .byte 0xf1"), CPU_STOP_HALT);
    assert_int_equal(halted_in(m), VECTOR_DB);
    assert_record(m, START, START + 3);
    assert_int_equal(m->cpu->arch.debugctl, 0);
    bare_destroy(m);
}

static void a_single_step_may_be_one_branch_long(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    assert_int_equal(HOST(m, "mov ecx, 0x1d9; mov eax, 2; xor edx, edx; wrmsr; push 0x102; popfq; "
                             "nop; mov ecx, 3; mov edi, 0x40000; rep stosb; jmp 2f; nop; 2: nop"),
                     CPU_STOP_HALT);
    assert_int_equal(halted_in(m), VECTOR_DB);
    assert_int_equal(stacked(m, 0), START + 22);
    assert_int_equal(m->cpu->arch.dr6 & DR6_BS, DR6_BS);
    assert_int_equal(m->cpu->arch.debugctl, 0);
    bare_destroy(m);
}

static void software_reads_the_records(void **state)
{
    const struct {
        struct code code;
        u64 value;
    } rows[] = {
        {ASM(RECORD "jmp 2f; nop; 2: mov ecx, 0x1db; rdmsr"), START},
        {ASM(RECORD "jmp 2f; nop; 2: mov ecx, 0x1dc; rdmsr"), START + 3},
        {ASM("mov ecx, 0x1dd; rdmsr"), 0x4445},
        {ASM("mov ecx, 0x1de; rdmsr"), 0x4446},
    };
    struct bare_machine *m = bare_create(false);
    (void)state;
    m->cpu->arch.last_exception_from = 0x4445;
    m->cpu->arch.last_exception_to = 0x4446;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(host_run(m, rows[i].code), CPU_STOP_HALT);
        assert_int_equal(m->cpu->arch.r[RAX], rows[i].value);
    }
    m->cpu->arch.debugctl = 0;
    assert_int_equal(HOST(m, "mov ecx, 0x1db; wrmsr"), CPU_STOP_HALT);
    assert_int_equal(halted_in(m), VECTOR_GP);
    assert_int_equal(HOST(m, "mov ecx, 0x1d9; mov eax, 0x40; wrmsr"), CPU_STOP_HALT);
    assert_int_equal(halted_in(m), VECTOR_GP);
    bare_destroy(m);
}

/* --- Guests ----------------------------------------------------------------------------------- */

static void run_guest_of_recording_host(struct bare_machine *m)
{
    guest_write_code(m->g, CODE, ASM("jmp 2f; nop; 2: hlt"));
    memory_write(m->g->memory, VMCB, KEY_RAW, &m->g->vmcb, sizeof m->g->vmcb);
    assert_int_equal(HOST(m, RECORD "jmp 2f; nop; 2: mov eax, 0x1000; vmrun"), CPU_STOP_HALT);
    memory_read(m->g->memory, VMCB, KEY_RAW, &m->g->vmcb, sizeof m->g->vmcb);
    assert_int_equal(m->g->vmcb.control.exit_code, EXIT_HLT);
    assert_int_equal(m->cpu->arch.debugctl, 1);
}

static void a_guest_has_records_of_its_own(void **state)
{
    struct bare_machine *m = bare_create(false);
    struct vmcb_save *s = &m->g->vmcb.save;
    (void)state;
    m->g->vmcb.control.lbr_control = LBR_VIRTUALIZATION;
    s->dbgctl = DEBUGCTL_LBR;
    s->last_exception_from = 0x55;
    run_guest_of_recording_host(m);
    assert_record(m, START, START + 3);
    assert_int_equal(s->dbgctl, DEBUGCTL_LBR);
    assert_int_equal(s->br_from, CODE);
    assert_int_equal(s->br_to, CODE + 3);
    assert_int_equal(s->last_exception_from, 0x55);
    assert_int_equal(m->cpu->arch.last_exception_from, 0);
    s->dbgctl = s->br_from = s->br_to = 0; /* the host records, the guest does not */
    s->rip = CODE;
    run_guest_of_recording_host(m);
    assert_int_equal(s->br_from, 0);
    bare_destroy(m);
}

static void without_virtualization_host_and_guest_share_the_records(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    run_guest_of_recording_host(m);
    assert_record(m, CODE, CODE + 3);
    assert_int_equal(m->g->vmcb.save.br_from, 0);
    assert_int_equal(m->g->vmcb.save.dbgctl, 0);
    bare_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(branches_are_recorded_if_they_are_taken),
        cmocka_unit_test(blocks_that_ran_before_are_recorded),
        cmocka_unit_test(events_keep_the_branch_before_them),
        cmocka_unit_test(a_debug_exception_ends_the_recording),
        cmocka_unit_test(a_single_step_may_be_one_branch_long),
        cmocka_unit_test(software_reads_the_records),
        cmocka_unit_test(a_guest_has_records_of_its_own),
        cmocka_unit_test(without_virtualization_host_and_guest_share_the_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
