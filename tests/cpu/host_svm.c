/* SPDX-License-Identifier: Apache-2.0 */
/* The host of a bare machine enters guests by the instruction, and changes the RMP by its own. */
#include "bare_machine.h"

static void write_vmcb(struct bare_machine *m)
{
    memory_write(m->g->memory, VMCB, KEY_RAW, &m->g->vmcb, sizeof m->g->vmcb);
}

static void read_vmcb(struct bare_machine *m)
{
    memory_read(m->g->memory, VMCB, KEY_RAW, &m->g->vmcb, sizeof m->g->vmcb);
}

/* --- Guests ----------------------------------------------------------------------------------- */

#define GUEST(m, text)                                                                             \
    do {                                                                                           \
        guest_write_code((m)->g, CODE, ASM(text "; hlt"));                                         \
        write_vmcb(m);                                                                             \
    } while (0)

static void the_instruction_enters_a_guest(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    m->g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_CPUID;
    GUEST(m, "mov eax, 0x2a; mov ebx, eax; cpuid");
    assert_int_equal(HOST(m, "mov eax, 0x1000; mov ebp, 7; vmload; clgi; vmrun; vmsave; stgi; "
                             "inc ecx"),
                     CPU_STOP_HALT);
    read_vmcb(m);
    assert_int_equal(m->g->vmcb.control.exit_code, EXIT_CPUID);
    assert_int_equal(m->g->vmcb.save.rax, 42);
    assert_int_equal(m->cpu->arch.r[RAX], 0x1000); /* class A */
    assert_int_equal(m->cpu->arch.r[RBX], 42);     /* which nobody exchanges */
    assert_int_equal(m->cpu->arch.r[RCX], 1);
    assert_int_equal(m->cpu->arch.r[RBP], 7);
    assert_int_equal(m->cpu->arch.dr7, DR7_RESET);
    assert_true(m->cpu->arch.gif);
    bare_destroy(m);
}

static void the_svm_instructions_want_a_host(void **state)
{
    const struct {
        struct code code;
        u64 vector;
    } without_svme[] =
        {
            {ASM("vmrun"), VECTOR_UD},  {ASM("vmload"), VECTOR_UD},  {ASM("vmsave"), VECTOR_UD},
            {ASM("stgi"), VECTOR_UD},   {ASM("clgi"), VECTOR_UD},    {ASM("invlpga"), VECTOR_UD},
            {ASM("skinit"), VECTOR_UD}, {ASM("vmmcall"), VECTOR_UD},
        },
      with_svme[] = {
          {ASM("mov eax, 0x1001; vmrun"), VECTOR_GP},
          {ASM("mov eax, 0x2000000; vmrun"), VECTOR_GP},
          {ASM("mov eax, 0x1008; vmload"), VECTOR_GP},
          {ASM("mov eax, 0x1008; vmsave"), VECTOR_GP},
          {ASM("skinit"), VECTOR_UD},
          {ASM("vmmcall"), VECTOR_UD},
          {ASM("xor ecx, ecx; mov ebx, 0x40000; mov rax, rbx; mov cl, 2; .byte 0x0f, 0x01, 0xfe"),
           VECTOR_UD}, /* INVLPGB */
      };
    struct bare_machine *m = bare_create(false);
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(without_svme); i++) {
        host_code(m, H_CODE, without_svme[i].code);
        host_at(m, H_CODE);
        m->cpu->arch.efer &= ~EFER_SVME;
        assert_int_equal(run_on(m), CPU_STOP_HALT);
        assert_int_equal(halted_in(m), without_svme[i].vector);
    }
    for (size_t i = 0; i < ARRAY_SIZE(with_svme); i++) {
        assert_int_equal(host_run(m, with_svme[i].code), CPU_STOP_HALT);
        assert_int_equal(halted_in(m), with_svme[i].vector);
    }
    m->cpu->msr.vm_hsave_pa = 0;
    assert_int_equal(HOST(m, "mov eax, 0x1000; vmrun"), CPU_STOP_HALT);
    assert_int_equal(halted_in(m), VECTOR_GP);
    bare_destroy(m);
}

static void a_refused_guest_leaves_the_host_its_state(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    m->g->vmcb.control.asid = 0;
    write_vmcb(m);
    assert_int_equal(HOST(m, "mov eax, 0x1000; mov ebx, 3; vmrun; inc ebx"), CPU_STOP_HALT);
    read_vmcb(m);
    assert_int_equal(m->g->vmcb.control.exit_code, EXIT_INVALID);
    assert_int_equal(m->cpu->arch.r[RBX], 4);
    assert_false(m->cpu->arch.gif);
    bare_destroy(m);
}

/* The page that VM_HSAVE_PA names is what #VMEXIT loads: here an ungentle host changes it, from
 * another core, while the guest runs. */
static void class_a_comes_from_memory(void **state)
{
    struct bare_machine *m = bare_create(false);
    struct vmcb_save s;
    (void)state;
    GUEST(m, "2: jmp 2b");
    assert_int_equal(HOST(m, "mov eax, 0x1000; vmrun; inc ebx"), CPU_STOP_TIME);
    assert_true(cpu_in_guest(m->cpu));
    memory_read(m->g->memory, HSAVE + 0x400, KEY_RAW, &s, sizeof s);
    assert_int_equal(s.rip, H_CODE + 8);
    assert_int_equal(s.rax, 0x1000);
    assert_int_equal(s.cr3, H_PML4);
    assert_int_equal(s.cs.selector, SEL_CODE64);
    s.rip = H_CODE + 0x100;
    s.rax = 0x77;
    s.rsp = H_STACK - 64;
    s.ds.selector = 0x18;
    s.es.selector = 0x20;
    s.gdtr.base = 0x1234;
    s.rflags |= RFLAGS_CF | RFLAGS_VM;
    s.dr7 = 0x401;
    memory_write(m->g->memory, HSAVE + 0x400, KEY_RAW, &s, sizeof s);
    host_code(m, H_CODE + 0x100, ASM("hlt"));
    guest_write_code(m->g, CODE, ASM("hlt"));
    assert_int_equal(run_on(m), CPU_STOP_HALT);
    assert_false(cpu_in_guest(m->cpu));
    assert_int_equal(m->cpu->arch.rip, H_CODE + 0x101);
    assert_int_equal(m->cpu->arch.r[RAX], 0x77);
    assert_int_equal(m->cpu->arch.r[RSP], H_STACK - 64);
    assert_int_equal(m->cpu->arch.seg[SEG_DS].selector, 0x18);
    assert_int_equal(m->cpu->arch.seg[SEG_ES].selector, 0x20);
    assert_int_equal(m->cpu->arch.gdtr.base, 0x1234);
    assert_int_equal(rflags_read(m->cpu) & (RFLAGS_CF | RFLAGS_VM), RFLAGS_CF);
    assert_int_equal(m->cpu->arch.dr7, DR7_RESET);
    bare_destroy(m);
}

static void a_host_state_that_cannot_be_is_a_shutdown(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    GUEST(m, "2: jmp 2b");
    assert_int_equal(HOST(m, "mov eax, 0x1000; vmrun; inc ebx"), CPU_STOP_TIME);
    host_write64(m->g, HSAVE + 0x400 + offsetof(struct vmcb_save, cr4), ~0ull);
    guest_write_code(m->g, CODE, ASM("hlt"));
    assert_int_equal(run_on(m), CPU_STOP_SHUTDOWN);
    assert_int_equal(run_on(m), CPU_STOP_SHUTDOWN);
    bare_destroy(m);
}

static void launch_es(struct bare_machine *m)
{
    struct guest *g = m->g;
    struct vmsa s = {.mxcsr = 0x1f80, .x87_ftw = 0xffff, .x87_fcw = 0x37f};
    g->vmcb.control.np_control |= NP_SEV_ES;
    g->vmcb.control.lbr_control |= LBR_VIRTUALIZATION;
    g->vmcb.control.vmsa = VMSA;
    memcpy(&s, &g->vmcb.save, VMSA_COMMON_SIZE);
    memory_write(g->memory, VMSA, g->key, &s, sizeof s);
    memory_vmsa_seal(g->memory, VMSA, g->key);
}

/* After a SEV-ES guest all of class B comes from the page, and class C is reset [host 4.4]. */
static void class_b_comes_from_memory(void **state)
{
    struct bare_machine *m = bare_create(true);
    struct guest *g = m->g;
    struct vmsa host;
    (void)state;
    launch_es(m);
    GUEST(m, "2: jmp 2b");
    assert_int_equal(HOST(m, "mov eax, 0x1000; vmrun"), CPU_STOP_TIME);
    memory_read(g->memory, HSAVE + 0x400, KEY_RAW, &host, 0xc00);
    /* RCX RDX RBX, RBP RSI RDI R8..R15, then what VMSAVE stores and what XSAVES knows */
    u64 *gpr = &host.rcx;
    for (u64 i = 0; i < 15; i++)
        gpr[i] = 0x1111 * (i + 1);
    host.star = 0x21;
    host.lstar = 0x22;
    host.kernel_gs_base = 0x23;
    host.sysenter_cs = 0x24;
    host.fs.base = 0x25;
    host.tr = (struct vmcb_segment){SEL_TSS, 0x8b, 0x67, 0x26};
    host.xcr0 = 0;
    host.pkru = 0x27;
    host.tsc_aux = 0x28;
    memory_write(g->memory, HSAVE + 0x400, KEY_RAW, &host, 0x400);
    m->cpu->arch.vector[3].xmm.q[0] = 5; /* the guest's */
    guest_write_code(g, CODE, ASM("hlt"));
    assert_int_equal(run_on(m), CPU_STOP_HALT);
    static const u8 order[] = {RCX, RDX, RBX, 0xff, RBP, RSI, RDI, 8, 9, 10, 11, 12, 13, 14, 15};
    for (u64 i = 0; i < ARRAY_SIZE(order); i++)
        if (order[i] != 0xff)
            assert_int_equal(m->cpu->arch.r[order[i]], 0x1111 * (i + 1));
    assert_int_equal(m->cpu->arch.r[RAX], 0x1000);
    assert_int_equal(m->cpu->arch.r[RSP], H_STACK);
    assert_int_equal(m->cpu->arch.star, 0x21);
    assert_int_equal(m->cpu->arch.lstar, 0x22);
    assert_int_equal(m->cpu->arch.kernel_gs_base, 0x23);
    assert_int_equal(m->cpu->arch.sysenter_cs, 0x24);
    assert_int_equal(m->cpu->arch.seg[SEG_FS].base, 0x25);
    assert_int_equal(m->cpu->arch.tr.base, 0x26);
    assert_int_equal(m->cpu->arch.xcr0, XSTATE_X87);
    assert_int_equal(m->cpu->arch.pkru, 0x27);
    assert_int_equal(m->cpu->arch.tsc_aux, 0x28);
    assert_int_equal(m->cpu->arch.vector[3].xmm.q[0], 0);
    bare_destroy(m);
}

/* Parts without V_TSC_AUX leave the register alone, and kernels keep no copy in the page. */
static void tsc_aux_is_of_class_b_where_the_part_says_so(void **state)
{
    struct bare_machine *m = bare_create(true);
    (void)state;
    cpu_model_of_part(PART_MILAN, &m->cpu->model);
    launch_es(m);
    GUEST(m, "");
    assert_int_equal(HOST(m, "mov ecx, 0xc0000103; mov eax, 0x29; xor edx, edx; wrmsr; "
                             "mov eax, 0x1000; vmrun; mov ecx, 0xc0000103; rdmsr"),
                     CPU_STOP_HALT);
    assert_int_equal((u32)m->cpu->arch.r[RAX], 0x29);
    bare_destroy(m);
}

static void a_guests_physical_interrupts(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    m->board.vector = 0x45;
    GUEST(m, "2: jmp 2b");
    /* V_INTR_MASKING: the host's IF counts, and the interrupt waits for STGI */
    assert_int_equal(HOST(m, "mov eax, 0x1000; clgi; sti; nop; vmrun; inc ebx; stgi; inc ebx"),
                     CPU_STOP_TIME);
    cpu_pin_interrupt(m->cpu, true);
    assert_int_equal(run_on(m), CPU_STOP_HALT);
    read_vmcb(m);
    assert_int_equal(m->g->vmcb.control.exit_code, EXIT_INTR);
    assert_int_equal(halted_in(m), 0x45);
    assert_int_equal(m->cpu->arch.r[RBX], 1);
    /* the host has IF clear: nothing comes in, whatever the guest's IF is */
    m->g->vmcb.save.rflags |= RFLAGS_IF;
    GUEST(m, "2: jmp 2b");
    cpu_pin_interrupt(m->cpu, true);
    assert_int_equal(HOST(m, "mov eax, 0x1000; vmrun"), CPU_STOP_TIME);
    assert_true(cpu_in_guest(m->cpu));
    bare_destroy(m);
}

static void an_interrupt_that_nobody_intercepts_is_the_guests(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    m->board.vector = 0x46;
    m->g->vmcb.control.intercept_3 &= ~(u32)INTERCEPT3_INTR;
    m->g->vmcb.control.v_intr = 0;
    m->g->vmcb.save.rflags |= RFLAGS_IF;
    GUEST(m, "2: jmp 2b");
    cpu_pin_interrupt(m->cpu, true);
    assert_int_equal(HOST(m, "mov eax, 0x1000; vmrun"), CPU_STOP_HALT);
    read_vmcb(m);
    assert_int_equal(delivered(m->g), 0x46);
    bare_destroy(m);
}

static void nmi_and_init_leave_the_guest_and_stay(void **state)
{
    const struct {
        void (*pin)(struct cpu *c);
        u64 exit;
        enum cpu_stop stop;
    } rows[] = {{cpu_pin_nmi, EXIT_NMI, CPU_STOP_HALT}, {cpu_pin_init, EXIT_INIT, CPU_STOP_INIT}};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct bare_machine *m = bare_create(false);
        m->g->vmcb.control.intercept_3 |= (u32)(INTERCEPT3_NMI | INTERCEPT3_INIT);
        GUEST(m, "2: jmp 2b");
        assert_int_equal(HOST(m, "clgi; mov eax, 0x1000; vmrun; inc ebx; out 0x80, al; stgi; "
                                 "inc ebx"),
                         CPU_STOP_TIME);
        rows[i].pin(m->cpu);
        assert_int_equal(run_on(m), rows[i].stop);
        read_vmcb(m);
        assert_int_equal(m->g->vmcb.control.exit_code, rows[i].exit);
        assert_int_equal(m->board.accesses, 1); /* it waited for STGI */
        if (rows[i].exit == EXIT_NMI)
            assert_int_equal(halted_in(m), VECTOR_NMI);
        bare_destroy(m);
    }
}

static void a_guest_halts_until_a_pin_wakes_it(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    m->g->vmcb.control.intercept_3 &= ~(u32)INTERCEPT3_HLT;
    GUEST(m, "inc ebx; hlt; inc ebx");
    assert_int_equal(HOST(m, "sti; mov eax, 0x1000; vmrun; cli"), CPU_STOP_HALT);
    assert_true(cpu_in_guest(m->cpu));
    assert_int_equal(m->cpu->arch.r[RBX], 1);
    cpu_pin_interrupt(m->cpu, true);
    assert_int_equal(run_on(m), CPU_STOP_HALT);
    assert_false(cpu_in_guest(m->cpu));
    read_vmcb(m);
    assert_int_equal(m->g->vmcb.control.exit_code, EXIT_INTR);
    assert_int_equal(m->g->vmcb.save.rip, CODE + 3);
    bare_destroy(m);
}

/* A guest's address that the nested tables lead to a device is the board's, too. */
static void a_guest_reaches_a_device_that_its_host_gave_it(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    host_write64(m->g, NPT + 0x3000 + 8 * 0x55, H_DEVICE | PTE_P | PTE_RW | PTE_US);
    m->board.value = 0x99;
    m->g->vmcb.control.intercept_3 &= ~(u32)INTERCEPT3_IOIO;
    GUEST(m, "mov esi, 0x55020; mov ebx, [rsi]; out 0x80, al");
    assert_int_equal(HOST(m, "mov eax, 0x1000; vmrun"), CPU_STOP_HALT);
    assert_int_equal(m->cpu->arch.r[RBX], 0x99);
    assert_int_equal(m->board.accesses, 2);
    assert_int_equal(m->board.last.address, 0x80);
    bare_destroy(m);
}

/* What the host does not intercept the guest does to the machine. */
static void a_guest_executes_what_its_host_lets_it(void **state)
{
    struct bare_machine *m = bare_create(false);
    struct vmcb other = {.save.star = 0x5555};
    (void)state;
    memory_write(m->g->memory, H_DATA, KEY_RAW, &other, sizeof other);
    m->g->vmcb.control.intercept_3 &= ~(u32)INTERCEPT3_MSR;
    GUEST(m, "mov eax, 0x40000; vmload; mov ecx, 0xc0010117; rdmsr; mov ebx, eax");
    assert_int_equal(HOST(m, "mov eax, 0x1000; vmrun; mov ecx, 0xc0000081; rdmsr"), CPU_STOP_HALT);
    assert_int_equal((u32)m->cpu->arch.r[RAX], 0x5555);
    assert_int_equal(m->cpu->arch.r[RBX], HSAVE);
    bare_destroy(m);
}

static void a_single_step_of_vmrun_ends_behind_the_guest(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    GUEST(m, "nop");
    assert_int_equal(HOST(m, "mov eax, 0x1000; push 0x102; popfq; vmrun; nop; nop"), CPU_STOP_HALT);
    assert_int_equal(halted_in(m), VECTOR_DB);
    assert_int_equal(stacked(m, 0), H_CODE + 14);
    assert_int_equal(m->cpu->arch.dr6 & DR6_BS, DR6_BS);
    read_vmcb(m);
    assert_int_equal(m->g->vmcb.control.exit_code, EXIT_HLT);
    bare_destroy(m);
}

/* EXITINFO1 tells of a code read only if the host's paging can refuse one [APM2 15.25.6]. */
static void a_nested_fault_tells_of_a_fetch_by_the_hosts_nxe(void **state)
{
    const struct {
        struct code code;
        u64 fetch;
    } rows[] = {
        {ASM("mov eax, 0x1000; vmrun"), NPF_FETCH},
        {ASM("mov ecx, 0xc0000080; rdmsr; btr eax, 11; wrmsr; mov eax, 0x1000; vmrun"), 0},
        {ASM("mov rax, cr4; bts eax, 20; mov cr4, rax; mov ecx, 0xc0000080; rdmsr; "
             "btr eax, 11; wrmsr; mov eax, 0x1000; vmrun"),
         NPF_FETCH},
    };
    struct bare_machine *m = bare_create(false);
    (void)state;
    write_vmcb(m);
    host_write64(m->g, NPT + 0x3000 + 8 * (CODE >> PAGE_SHIFT), 0);
    for (u64 i = 0; i < 9; i++) /* SMEP is for pages of the supervisor */
        host_write64(m->g, H_PML4 + 0x2000 + 8 * i, MIB(2) * i | PTE_P | PTE_RW | PTE_PS);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(host_run(m, rows[i].code), CPU_STOP_HALT);
        read_vmcb(m);
        assert_int_equal(m->g->vmcb.control.exit_code, EXIT_NPF);
        assert_int_equal(m->g->vmcb.control.exit_info_1, NPF_FINAL | NPF_USER | rows[i].fetch);
    }
    bare_destroy(m);
}

/* Two worlds with the same addresses see each his own, also after many switches. */
static void worlds_keep_their_translations_apart(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    host_write64(m->g, H_DATA, 0);
    guest_write64(m->g, H_DATA, 0);
    m->g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_CPUID;
    GUEST(m, "mov edi, 0x40000; 2: add qword ptr [rdi], 3; cpuid; jmp 2b");
    assert_int_equal(HOST(m, "mov eax, 0x1000; mov edi, 0x40000; mov rbp, 200; 2: vmrun; "
                             "add qword ptr [rdi], 5; add qword ptr [rax + 0x578], 2; dec rbp; "
                             "jnz 2b"),
                     CPU_STOP_TIME);
    while (run_on(m) != CPU_STOP_HALT)
        ;
    assert_int_equal(host_read64(m->g, H_DATA), 1000);
    assert_int_equal(guest_read64(m->g, H_DATA), 600);
    bare_destroy(m);
}

/* Runs a real-mode guest until it has left so often; returns how often the core, back in host mode,
 * began to look for blocks anew. */
static u64 generations_of(struct bare_machine *m, struct code code)
{
    host_code(m, H_CODE, code);
    host_at(m, H_CODE);
    const u64 before = m->cpu->engine.jump_tag >> 32;
    while (run_on(m) != CPU_STOP_HALT)
        ;
    return (m->cpu->engine.jump_tag >> 32) - before;
}

/* An exit once made the host forget which addresses lead to which blocks, as its guest's mode or
 * base of CS was another. */
static void worlds_keep_their_blocks(void **state)
{
    struct bare_machine *m = bare_create(false);
    struct vmcb_save *s = &m->g->vmcb.save;
    (void)state;
    s->efer = EFER_SVME;
    s->cr0 = CR0_ET;
    s->cr4 = 0;
    s->cs = (struct vmcb_segment){0x1000, 0x9b, 0xffff, CODE};
    s->rip = 0;
    m->g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_CPUID;
    guest_write_code(m->g, CODE, ASM16("cpuid"));
    write_vmcb(m);
    const u64 few =
        generations_of(m, ASM("mov eax, 0x1000; mov ebp, 3; 2: vmrun; dec ebp; jnz 2b; hlt"));
    const u64 many =
        generations_of(m, ASM("mov eax, 0x1000; mov ebp, 300; 2: vmrun; dec ebp; jnz 2b; hlt"));
    assert_true(many <= few);
    read_vmcb(m);
    assert_int_equal(m->g->vmcb.control.exit_code, EXIT_CPUID);
    bare_destroy(m);
}

/* --- The RMP ---------------------------------------------------------------------------------- */

#define H_RMP MIB(6)

static void rmp_instructions_and_the_hosts_stores(void **state)
{
    const struct {
        struct code code;
        u64 vector, value;
    } rows[] = {
        /* assigned to ASID 1 at gPA 5000h */
        {ASM("mov ecx, 0x40000; mov qword ptr [rcx], 0x5000; mov qword ptr [rcx + 8], 1; "
             "mov dword ptr [rcx + 12], 1; mov eax, 0x900000; rmpupdate"),
         0, RMP_SUCCESS},
        {ASM("mov ecx, 0x900000; mov eax, [rcx]; xor eax, eax"), 0, 0},
        {ASM("mov ecx, 0x900000; mov [rcx], eax"), VECTOR_PF, 0},
        /* the mapping has 2 MiB, and a page in it is assigned */
        {ASM("mov ecx, 0x901000; mov [rcx], eax"), VECTOR_PF, 0},
        {ASM("mov ecx, 0xa00000; mov [rcx], eax"), 0, 0},
        {ASM("mov ecx, 0x40010; mov eax, 0x900000; .byte 0xf2, 0x0f, 0x01, 0xfd"), 0, RMP_SUCCESS},
        {ASM("mov eax, 0x900000; psmash"), 0, RMP_FAIL_INPUT}, /* not 2 MiB aligned: see below */
        {ASM("mov ecx, 0x40000; mov dword ptr [rcx], 0; mov qword ptr [rcx + 8], 0; "
             "mov eax, 0x900000; rmpupdate"),
         0, RMP_SUCCESS},
        {ASM("mov ecx, 0x900000; mov [rcx], eax"), 0, 0},
        {ASM("pvalidate"), VECTOR_UD, 0},
        {ASM("mov ecx, 0xf0000000; rmpupdate"), VECTOR_PF, 0},
    };
    struct bare_machine *m = bare_create(false);
    struct rmp_update u;
    (void)state;
    assert_int_equal(HOST(m, "rmpupdate"), CPU_STOP_HALT);
    assert_int_equal(halted_in(m), VECTOR_UD);
    guest_snp(m->g, H_RMP);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(host_run(m, rows[i].code), CPU_STOP_HALT);
        if (rows[i].vector) {
            assert_int_equal(halted_in(m), rows[i].vector);
            if (rows[i].vector == VECTOR_PF && i < 5)
                assert_int_equal(stacked(m, 0), PF_PRESENT | PF_WRITE | PF_RMP);
        } else {
            assert_int_equal(m->cpu->arch.rip, H_CODE + rows[i].code.size + 1);
            assert_int_equal((u32)m->cpu->arch.r[RAX], rows[i].value);
        }
    }
    memory_read(m->g->memory, H_DATA + 0x10, KEY_RAW, &u, sizeof u);
    assert_int_equal(u.gpa, 0x5000);
    assert_int_equal(u.asid, 1);
    bare_destroy(m);
}

/* A store has brought a neighbour of the page into the TLB, as part of a mapping of 2 MiB. */
static void an_assigned_page_takes_its_neighbours_from_large_mappings(void **state)
{
    struct bare_machine *m = bare_create(false);
    (void)state;
    guest_snp(m->g, H_RMP);
    assert_int_equal(HOST(m, "mov esi, 0x901000; mov [rsi], eax; mov ecx, 0x40000; "
                             "mov qword ptr [rcx], 0x5000; mov qword ptr [rcx + 8], 1; "
                             "mov dword ptr [rcx + 12], 1; mov eax, 0x900000; rmpupdate; "
                             "mov [rsi], eax"),
                     CPU_STOP_HALT);
    assert_int_equal(halted_in(m), VECTOR_PF);
    assert_int_equal(stacked(m, 0), PF_PRESENT | PF_WRITE | PF_RMP);
    assert_int_equal(m->cpu->arch.cr2, 0x901000);
    bare_destroy(m);
}

/* Software on another core may use the VMCB while the guest runs. */
static void an_exit_writes_only_its_parts_of_the_vmcb(void **state)
{
    const u16 kept[] = {offsetof(struct vmcb, control.intercept_3),
                        offsetof(struct vmcb, control.tsc_offset),
                        offsetof(struct vmcb, control.asid), /* and TLB_CONTROL */
                        offsetof(struct vmcb, control.np_control),
                        offsetof(struct vmcb, control.n_cr3),
                        offsetof(struct vmcb, control.clean),
                        offsetof(struct vmcb, control.reserved_148),
                        sizeof(struct vmcb_control) - 8,
                        offsetof(struct vmcb, save.fs),
                        offsetof(struct vmcb, save.tr),
                        offsetof(struct vmcb, save.star),
                        offsetof(struct vmcb, save.dbgctl),
                        offsetof(struct vmcb, save.br_from),
                        sizeof(struct vmcb) - 8};
    struct bare_machine *m = bare_create(false);
    (void)state;
    GUEST(m, "2: jmp 2b");
    assert_int_equal(HOST(m, "mov eax, 0x1000; vmrun"), CPU_STOP_TIME);
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
        host_write64(m->g, VMCB + kept[i], 0x1234567890abcdefull);
    host_write64(m->g, VMCB + offsetof(struct vmcb, control.exit_code), 0x77);
    host_write64(m->g, VMCB + offsetof(struct vmcb, save.rip), 0x77);
    guest_write_code(m->g, CODE, ASM("hlt"));
    assert_int_equal(run_on(m), CPU_STOP_HALT);
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
        assert_true(host_read64(m->g, VMCB + kept[i]) == 0x1234567890abcdefull);
    read_vmcb(m);
    assert_int_equal(m->g->vmcb.control.exit_code, EXIT_HLT);
    assert_int_equal(m->g->vmcb.save.rip, CODE);
    bare_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_instruction_enters_a_guest),
        cmocka_unit_test(the_svm_instructions_want_a_host),
        cmocka_unit_test(a_refused_guest_leaves_the_host_its_state),
        cmocka_unit_test(class_a_comes_from_memory),
        cmocka_unit_test(a_host_state_that_cannot_be_is_a_shutdown),
        cmocka_unit_test(class_b_comes_from_memory),
        cmocka_unit_test(tsc_aux_is_of_class_b_where_the_part_says_so),
        cmocka_unit_test(a_guests_physical_interrupts),
        cmocka_unit_test(an_interrupt_that_nobody_intercepts_is_the_guests),
        cmocka_unit_test(nmi_and_init_leave_the_guest_and_stay),
        cmocka_unit_test(a_guest_halts_until_a_pin_wakes_it),
        cmocka_unit_test(a_guest_reaches_a_device_that_its_host_gave_it),
        cmocka_unit_test(a_guest_executes_what_its_host_lets_it),
        cmocka_unit_test(a_single_step_of_vmrun_ends_behind_the_guest),
        cmocka_unit_test(a_nested_fault_tells_of_a_fetch_by_the_hosts_nxe),
        cmocka_unit_test(worlds_keep_their_translations_apart),
        cmocka_unit_test(worlds_keep_their_blocks),
        cmocka_unit_test(rmp_instructions_and_the_hosts_stores),
        cmocka_unit_test(an_assigned_page_takes_its_neighbours_from_large_mappings),
        cmocka_unit_test(an_exit_writes_only_its_parts_of_the_vmcb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
