/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the processor does in a guest so that its host need not: GIF, NMIs, VMLOAD and VMSAVE, the
 * scale of the TSC, the pause filter's threshold.
 */
#include "bare_machine.h"

static void write_vmcb(struct bare_machine *m)
{
    memory_write(m->g->memory, VMCB, KEY_RAW, &m->g->vmcb, sizeof m->g->vmcb);
}

/* Runs this code, with HLT behind it, as the guest, until it exits. */
static void guest_code(struct bare_machine *m, struct code code)
{
    guest_write_code(m->g, CODE, code);
    guest_write_code(m->g, CODE + code.size, ASM("hlt"));
    m->g->vmcb.save.rip = CODE;
    m->g->vmcb.save.rsp = STACK;
    write_vmcb(m);
    assert_int_equal(HOST(m, "mov eax, 0x1000; xor ebx, ebx; vmrun"), CPU_STOP_HALT);
    memory_read(m->g->memory, VMCB, KEY_RAW, &m->g->vmcb, sizeof m->g->vmcb);
}
#define GUEST(m, text) guest_code((m), ASM(text))

static void assert_exit(const struct bare_machine *m, u64 code)
{
    assert_true(m->g->vmcb.control.exit_code == code);
}

static bool v_intr(const struct bare_machine *m, u64 bit)
{
    return m->g->vmcb.control.v_intr & bit;
}

static void set_v_intr(struct bare_machine *m, u64 bits)
{
    m->g->vmcb.control.v_intr = (u32)(V_INTR_MASKING | bits);
}

/* --- GIF -------------------------------------------------------------------------------------- */

static void a_guest_has_a_gif_of_its_own(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    set_v_intr(m, V_INTR_GIF_ENABLE);
    GUEST(m, "stgi");
    assert_exit(m, EXIT_HLT);
    assert_true(v_intr(m, V_INTR_GIF));
    GUEST(m, "clgi");
    assert_false(v_intr(m, V_INTR_GIF));
    /* the processor's own stays set: a physical interrupt leaves the guest */
    m->g->vmcb.save.rflags |= RFLAGS_IF;
    guest_write_code(m->g, CODE, ASM("clgi; 2: jmp 2b"));
    m->g->vmcb.save.rip = CODE;
    write_vmcb(m);
    assert_int_equal(HOST(m, "sti; mov eax, 0x1000; vmrun; cli"), CPU_STOP_TIME);
    cpu_pin_interrupt(m->cpu, true);
    assert_int_equal(run_on(m), CPU_STOP_HALT);
    assert_false(cpu_in_guest(m->cpu));
    bare_destroy(m);
}

static void a_virtual_interrupt_waits_for_the_guests_gif(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    set_v_intr(m, V_INTR_GIF_ENABLE | V_INTR_IRQ | V_INTR_IGNORE_TPR);
    m->g->vmcb.control.v_intr_vector = 0x50;
    m->g->vmcb.save.rflags |= RFLAGS_IF;
    GUEST(m, "inc ebx; inc ebx; stgi; inc ebx");
    assert_exit(m, EXIT_HLT);
    assert_int_equal(delivered(m->g), 0x50);
    assert_int_equal(m->cpu->arch.r[RBX], 2);
    assert_true(v_intr(m, V_INTR_GIF));
    bare_destroy(m);
}

static void a_processor_without_the_feature_ignores_its_bit(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    m->cpu->svm_features &= ~(u32)(SVM_VIRTUAL_GIF | SVM_VIRTUAL_NMI);
    set_v_intr(m, V_INTR_GIF_ENABLE | V_INTR_NMI_ENABLE | V_INTR_NMI);
    GUEST(m, "stgi");
    assert_exit(m, EXIT_HLT);
    assert_int_equal(m->g->vmcb.save.rip, CODE + 3);
    assert_false(v_intr(m, V_INTR_GIF));
    assert_true(v_intr(m, V_INTR_NMI));
    bare_destroy(m);
}

/* --- NMIs ------------------------------------------------------------------------------------- */

static void virtual_nmis_want_the_intercept_of_physical_ones(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    set_v_intr(m, V_INTR_NMI_ENABLE);
    GUEST(m, "nop");
    assert_exit(m, EXIT_INVALID);
    m->g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_NMI;
    GUEST(m, "nop");
    assert_exit(m, EXIT_HLT);
    bare_destroy(m);
}

static void a_virtual_nmi_blocks_others_until_iret(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    m->g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_NMI;
    set_v_intr(m, V_INTR_NMI_ENABLE | V_INTR_NMI);
    GUEST(m, "inc ebx"); /* its handler halts */
    assert_exit(m, EXIT_HLT);
    assert_int_equal(delivered(m->g), VECTOR_NMI);
    assert_int_equal(m->cpu->arch.r[RBX], 0);
    assert_false(v_intr(m, V_INTR_NMI));
    assert_true(v_intr(m, V_INTR_NMI_MASK));
    set_v_intr(m, V_INTR_NMI_ENABLE | V_INTR_NMI | V_INTR_NMI_MASK);
    GUEST(m, "inc ebx");
    assert_int_equal(m->cpu->arch.r[RBX], 1);
    assert_true(v_intr(m, V_INTR_NMI));
    /* the one that waits comes right after IRET; the handler counts them */
    guest_write_code(m->g, HANDLERS + 16 * VECTOR_NMI, ASM("inc ebx; iretq"));
    GUEST(m, "mov rcx, rsp; push 0; push rcx; push 2; push 8; lea rcx, [rip + 3]; push rcx; iretq");
    assert_int_equal(m->g->vmcb.save.rip, CODE + 20);
    assert_int_equal(m->cpu->arch.r[RBX], 1);
    assert_false(v_intr(m, V_INTR_NMI | V_INTR_NMI_MASK));
    bare_destroy(m);
}

static void an_injected_nmi_blocks_virtual_ones(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    m->g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_NMI;
    set_v_intr(m, V_INTR_NMI_ENABLE | V_INTR_NMI);
    m->g->vmcb.control.event_inject = EVENT_VALID | EVENT_NMI << EVENT_TYPE_SHIFT | VECTOR_NMI;
    GUEST(m, "nop");
    assert_int_equal(delivered(m->g), VECTOR_NMI);
    assert_true(v_intr(m, V_INTR_NMI));
    assert_true(v_intr(m, V_INTR_NMI_MASK));
    bare_destroy(m);
}

static void a_virtual_nmi_waits_for_the_guests_gif_and_shadow(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    m->g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_NMI;
    set_v_intr(m, V_INTR_NMI_ENABLE | V_INTR_NMI | V_INTR_GIF_ENABLE);
    GUEST(m, "inc ebx; stgi; inc ebx");
    assert_int_equal(delivered(m->g), VECTOR_NMI);
    assert_int_equal(m->cpu->arch.r[RBX], 1);
    set_v_intr(m, V_INTR_NMI_ENABLE | V_INTR_NMI);
    m->g->vmcb.control.interrupt_shadow = INTERRUPT_SHADOW;
    GUEST(m, "inc ebx; inc ebx");
    assert_int_equal(delivered(m->g), VECTOR_NMI);
    assert_int_equal(m->cpu->arch.r[RBX], 1);
    bare_destroy(m);
}

/* --- VMLOAD and VMSAVE ------------------------------------------------------------------------ */

#define PAGE_A 0x30000ull /* of the guest */
#define PAGE_B 0x31000ull

static void vmload_and_vmsave_take_guest_addresses(void **state)
{
    struct bare_machine *m = bare_create(false);
    struct vmcb page = {.save.star = 0x77};
    (void)state;
    m->g->vmcb.control.lbr_control = VIRTUAL_VMLOAD;
    guest_write(m->g, PAGE_A, &page, sizeof page);
    page.save.star = 0x66;
    host_code(m, H_DATA, (struct code){(const u8 *)&page, sizeof page});
    GUEST(m, "mov eax, 0x30000; vmload; mov eax, 0x31000; vmsave");
    assert_exit(m, EXIT_HLT);
    assert_int_equal(m->cpu->arch.star, 0x77);
    const u64 star = offsetof(struct vmcb, save.star);
    assert_int_equal(guest_read64(m->g, PAGE_B + star), 0x77);
    m->g->vmcb.control.lbr_control = 0; /* the processor's addresses */
    GUEST(m, "mov eax, 0x40000; vmload");
    assert_int_equal(m->cpu->arch.star, 0x66);
    bare_destroy(m);
}

static void virtual_vmload_and_vmsave_leave_what_they_cannot_do(void **state)
{
    const u64 nested = NPT + 0x3000 + 8 * (PAGE_B >> PAGE_SHIFT);
    struct bare_machine *m = bare_create(false);
    struct vmcb_control *k = &m->g->vmcb.control;
    (void)state;
    k->lbr_control = VIRTUAL_VMLOAD;
    GUEST(m, "mov eax, 0x30008; vmload"); /* the handler halts */
    assert_int_equal(delivered(m->g), VECTOR_GP);
    GUEST(m, "mov eax, 0x80000000; vmload");
    assert_exit(m, EXIT_NPF);
    assert_int_equal(k->exit_info_2, 0x80000000);
    host_write64(m->g, nested, (GUEST_BASE + PAGE_B) | PTE_P | PTE_US);
    GUEST(m, "mov eax, 0x31000; vmload; vmsave");
    assert_exit(m, EXIT_NPF);
    assert_int_equal(k->exit_info_1, NPF_PRESENT | NPF_WRITE | NPF_USER | NPF_FINAL);
    assert_int_equal(m->g->vmcb.save.rip, CODE + 8);
    k->intercept_4 |= (u32)INTERCEPT4_VMLOAD;
    GUEST(m, "mov eax, 0x30008; vmload"); /* the intercept comes before #GP */
    assert_exit(m, EXIT_VMLOAD);
    bare_destroy(m);
    m = bare_create(true);
    m->g->vmcb.control.lbr_control = VIRTUAL_VMLOAD;
    GUEST(m, "mov eax, 0x30000; vmload");
    assert_exit(m, EXIT_VMLOAD);
    GUEST(m, "mov eax, 0x30000; vmsave");
    assert_exit(m, EXIT_VMSAVE);
    bare_destroy(m);
}

/* --- Time ------------------------------------------------------------------------------------- */

static void the_host_scales_its_guests_tsc(void **state)
{
    const struct {
        struct code code;
        u64 ratio;
    } rows[] = {
        {ASM("mov ecx, 0xc0000104; rdmsr"), TSC_RATIO_ONE},
        {ASM("mov ecx, 0xc0000104; xor eax, eax; mov edx, 3; wrmsr"), 3 * TSC_RATIO_ONE},
        {ASM("mov ecx, 0xc0000104; mov eax, 0x80000000; xor edx, edx; wrmsr"), TSC_RATIO_ONE / 2},
    };
    struct bare_machine *m = bare_create(false);
    (void)state;
    m->g->vmcb.control.tsc_offset = 1000000;
    guest_write_code(m->g, CODE, ASM("rdtsc; shl rdx, 32; or rdx, rax; mov r9, rdx; hlt"));
    write_vmcb(m);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(host_run(m, rows[i].code), CPU_STOP_HALT);
        assert_true(m->cpu->msr.tsc_ratio == rows[i].ratio);
        write_vmcb(m);
        assert_int_equal(HOST(m, "rdtsc; mov r8, rax; mov eax, 0x1000; vmrun; rdtsc; mov r10, rax"),
                         CPU_STOP_HALT);
        const u64 *r = m->cpu->arch.r, half = rows[i].ratio >> 31, guest = 2 * (r[9] - 1000000);
        assert_true(r[8] < r[10] && half * r[8] <= guest + 2 && guest <= half * r[10]);
    }
    assert_int_equal(HOST(m, "mov ecx, 0xc0000104; xor eax, eax; mov edx, 0x100; wrmsr"),
                     CPU_STOP_HALT);
    assert_int_equal(halted_in(m), VECTOR_GP);
    bare_destroy(m);
}

static void pauses_far_apart_count_anew(void **state)
{
    struct bare_machine *m = bare_create(false);
    struct vmcb_control *k = &m->g->vmcb.control;
    (void)state;
    k->intercept_3 |= (u32)INTERCEPT3_PAUSE;
    k->pause_filter_count = 3;
    k->pause_filter_threshold = 200;
    GUEST(m, "2: pause; inc ebx; jmp 2b");
    assert_exit(m, EXIT_PAUSE);
    assert_int_equal(m->cpu->arch.r[RBX], 3);
    const struct code apart =
        ASM("mov edx, 20; 2: pause; inc ebx; mov ecx, 300; 3: loop 3b; dec edx; jnz 2b");
    guest_code(m, apart);
    assert_exit(m, EXIT_HLT);
    assert_int_equal(m->cpu->arch.r[RBX], 20);
    m->cpu->svm_features &= ~(u32)SVM_PAUSE_THRESHOLD;
    guest_code(m, apart);
    assert_exit(m, EXIT_PAUSE);
    assert_int_equal(m->cpu->arch.r[RBX], 3);
    bare_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_has_a_gif_of_its_own),
        cmocka_unit_test(a_virtual_interrupt_waits_for_the_guests_gif),
        cmocka_unit_test(a_processor_without_the_feature_ignores_its_bit),
        cmocka_unit_test(virtual_nmis_want_the_intercept_of_physical_ones),
        cmocka_unit_test(a_virtual_nmi_blocks_others_until_iret),
        cmocka_unit_test(an_injected_nmi_blocks_virtual_ones),
        cmocka_unit_test(a_virtual_nmi_waits_for_the_guests_gif_and_shadow),
        cmocka_unit_test(vmload_and_vmsave_take_guest_addresses),
        cmocka_unit_test(virtual_vmload_and_vmsave_leave_what_they_cannot_do),
        cmocka_unit_test(the_host_scales_its_guests_tsc),
        cmocka_unit_test(pauses_far_apart_count_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
