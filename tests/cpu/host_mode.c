/* SPDX-License-Identifier: Apache-2.0 */
/* Host mode: code on the core's own state, its faults, its exits to the caller, and a guest in
 * between. */
#include "guest.h"
#include "harness.h"

#define HOST_GDT     HARNESS_DATA
#define HOST_IDT     (HARNESS_DATA + 0x1000u)
#define HOST_HANDLER (HARNESS_DATA + 0x2000u)
#define HOST_PAGE    (HARNESS_DATA + 0x3000u)
#define HOST_RMP     MIB(8)

static void host_code(struct harness *h, struct code code)
{
    harness_reset(h, HARNESS_64);
    harness_write_code(h, HARNESS_CODE, code);
    harness_write_code(h, HARNESS_CODE + code.size, ASM("hlt"));
}

/* GDT with a code segment at 8, and a handler of #PF: pop rbx; mov rcx, cr2; hlt */
static void host_tables(struct harness *h)
{
    const u64 code = 0x00209b0000000000ull;
    const u64 gate[2] = {
        (HOST_HANDLER & 0xffffull) | 8u << 16 | 0x8e00ull << 32 | (u64)HOST_HANDLER >> 16 << 48, 0};
    harness_write(h, HOST_GDT + 8, &code, sizeof code);
    harness_write(h, HOST_IDT + 16 * VECTOR_PF, gate, sizeof gate);
    harness_write_code(h, HOST_HANDLER, ASM("pop rbx; mov rcx, cr2; hlt"));
    h->cpu->arch.gdtr = (struct segment){.base = HOST_GDT, .limit = 15};
    h->cpu->arch.idtr = (struct segment){.base = HOST_IDT, .limit = 0xfff};
}

static void code_runs_without_a_vmcb(void **state)
{
    struct harness h;
    (void)state;
    assert_true(harness_create(&h));
    host_code(&h, ASM("mov eax, 5; add eax, 2"));
    assert_int_equal(cpu_run_host(h.cpu, 1000), EXIT_HLT);
    assert_int_equal(h.cpu->arch.r[RAX], 7);
    assert_int_equal(h.cpu->arch.rip, HARNESS_CODE + 8);
    assert_int_equal(h.cpu->guest.next_rip, HARNESS_CODE + 9);
    assert_int_equal(h.clock.now, 2);
    assert_false(h.cpu->guest.running);
    harness_destroy(&h);
}

static void the_deadline_and_ports_come_back_to_the_caller(void **state)
{
    struct harness h;
    (void)state;
    assert_true(harness_create(&h));
    host_code(&h, ASM("2: jmp 2b"));
    assert_int_equal(cpu_run_host(h.cpu, 500), EXIT_INTR);
    assert_int_equal(h.clock.now, 500);
    host_code(&h, ASM("out 0x80, al"));
    assert_int_equal(cpu_run_host(h.cpu, 1000), EXIT_IOIO);
    assert_int_equal(h.cpu->guest.exit_info_1 >> IOIO_PORT_SHIFT, 0x80);
    assert_int_equal(h.cpu->guest.exit_info_2, HARNESS_CODE + 2);
    host_code(&h, ASM("ud2")); /* there is no IDT */
    h.cpu->arch.idtr = (struct segment){0};
    assert_int_equal(cpu_run_host(h.cpu, 1000), EXIT_SHUTDOWN);
    harness_destroy(&h);
}

static void a_fault_goes_through_its_own_idt(void **state)
{
    struct harness h;
    (void)state;
    assert_true(harness_create(&h));
    host_code(&h, ASM("mov rax, [rsi]"));
    host_tables(&h);
    harness_page(&h, HOST_PAGE, 0);
    h.cpu->arch.r[RSI] = HOST_PAGE;
    assert_int_equal(cpu_run_host(h.cpu, 1000), EXIT_HLT);
    assert_int_equal(h.cpu->arch.r[RBX], 0);
    assert_int_equal(h.cpu->arch.r[RCX], HOST_PAGE);
    assert_int_equal(h.cpu->arch.rip, HOST_HANDLER + 4);
    harness_destroy(&h);
}

static void the_rmp_lets_a_host_read_and_not_write(void **state)
{
    const struct {
        struct code code;
        u64 error;
        bool faults;
    } rows[] = {{ASM("mov rax, [rsi]"), 0, false},
                {ASM("mov [rsi], rax"), PF_PRESENT | PF_WRITE | PF_RMP, true}};
    const struct rmp_entry guest = {.assigned = true, .asid = 3};
    struct harness h;
    (void)state;
    assert_true(harness_create(&h));
    assert_true(rmp_enable(h.memory, HOST_RMP, HOST_RMP + rmp_table_size(HARNESS_MEMORY) - 1));
    rmp_clear(h.memory);
    assert_true(rmp_set(h.memory, HOST_PAGE, &guest));
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        host_code(&h, rows[i].code);
        host_tables(&h);
        h.cpu->arch.r[RSI] = HOST_PAGE;
        assert_int_equal(cpu_run_host(h.cpu, 1000), EXIT_HLT);
        assert_int_equal(h.cpu->arch.rip, rows[i].faults ? HOST_HANDLER + 4 : HARNESS_CODE + 3);
        if (rows[i].faults)
            assert_int_equal(h.cpu->arch.r[RBX], rows[i].error);
    }
    harness_destroy(&h);
}

/* What VMRUN exchanges is the host's again, and DR7 is as after a reset [APM2 15.6]. */
static void a_guest_leaves_the_host_its_state(void **state)
{
    struct guest *g = guest_create(false);
    struct arch *a = &g->cpu->arch;
    (void)state;
    a->cr0 = CR0_ET | CR0_PE | CR0_NE;
    a->cr3 = 0x5000;
    a->cr4 = CR4_PAE;
    a->pat = 0x0606060606060606ull;
    a->dr7 = 0x401;
    a->rip = 0x1234;
    a->r[RAX] = 1;
    a->r[RSP] = 2;
    a->gdtr = (struct segment){.base = 0x7000, .limit = 0x7f};
    a->seg[SEG_DS].selector = 0x18;
    rflags_write(g->cpu, RFLAGS_IF | RFLAGS_CF, ~0ull);
    struct arch before = *a;
    assert_int_equal(RUN(g, "mov eax, 0x2a; mov ebx, eax"),
                     EXIT_HLT); /* mov eax, 42; mov ebx, eax */
    assert_int_equal(g->vmcb.save.rax, 42);
    assert_int_equal(a->cr0, before.cr0);
    assert_int_equal(a->cr3, before.cr3);
    assert_int_equal(a->cr4, before.cr4);
    assert_int_equal(a->efer, before.efer);
    assert_int_equal(a->pat, before.pat);
    assert_int_equal(a->rip, before.rip);
    assert_int_equal(a->r[RAX], 1);
    assert_int_equal(a->r[RSP], 2);
    assert_int_equal(a->r[RBX], 42); /* which nobody exchanges */
    assert_int_equal(a->dr7, DR7_RESET);
    assert_memory_equal(&a->gdtr, &before.gdtr, sizeof a->gdtr);
    assert_int_equal(a->seg[SEG_DS].selector, 0x18);
    assert_int_equal(a->cpl, 0);
    assert_int_equal(rflags_read(g->cpu) & (RFLAGS_IF | RFLAGS_CF), RFLAGS_IF | RFLAGS_CF);
    assert_int_equal(RUN(g, "nop"), EXIT_HLT);
    guest_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code_runs_without_a_vmcb),
        cmocka_unit_test(the_deadline_and_ports_come_back_to_the_caller),
        cmocka_unit_test(a_fault_goes_through_its_own_idt),
        cmocka_unit_test(the_rmp_lets_a_host_read_and_not_write),
        cmocka_unit_test(a_guest_leaves_the_host_its_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
