/* SPDX-License-Identifier: Apache-2.0 */
/* A core on a bare machine: its host's code, the board's ports, addresses and pins, and guests that
 * the host enters by the instruction. */
#include "cpu/bare/bare.h"
#include "cpu/svm/vmsa_switch.h"

#include "snp.h"

/* System addresses of the host, beside those of guest.h. */
#define H_PML4     0x20000ull /* PDPT and PD follow: 2 MiB pages, one more than there is memory */
#define H_GDT      0x23000ull
#define H_IDT      0x24000ull
#define H_HANDLERS 0x25000ull /* of vector n at + 64 n, HLT all over */
#define H_CODE     0x30000ull
#define H_STACK    0x38000ull /* top */
#define H_DATA     0x40000ull
#define H_DEVICE   MIB(16) /* beyond memory */
#define H_APIC     0x50000ull

struct board {
    struct guest *g;
    struct device_access last;
    u32 accesses, wbinvds, acknowledged;
    u64 value;           /* what a read returns */
    u64 takes_ns;        /* what an access takes */
    bool raises, yields; /* an access pins INTR, or yields */
    u64 shortens;        /* an access shortens the deadline to this */
    u8 vector;
    u64 tpr, tsc_deadline;
    u64 rip; /* at the last access */
};

static void on_access(void *context, u32 core, struct device_access *a)
{
    struct board *b = context;
    assert_int_equal(core, 0);
    b->accesses++;
    b->last = *a;
    b->rip = b->g->cpu->engine.insn_rip;
    if (!a->write)
        a->value = b->value;
    b->g->clock.now += b->takes_ns;
    if (b->raises)
        cpu_pin_interrupt(b->g->cpu, true);
    if (b->yields)
        cpu_yield(b->g->cpu);
    if (b->shortens)
        cpu_shorten(b->g->cpu, b->shortens);
}

static u8 on_acknowledge(void *context, u32 core)
{
    struct board *b = context;
    (void)core;
    b->acknowledged++;
    cpu_pin_interrupt(b->g->cpu, false);
    return b->vector;
}

static u64 on_read_tpr(void *context, u32 core)
{
    (void)core;
    return ((struct board *)context)->tpr;
}

static void on_write_tpr(void *context, u32 core, u64 cr8)
{
    (void)core;
    ((struct board *)context)->tpr = cr8;
}

static bool on_read_msr(void *context, u32 core, u32 msr, u64 *value)
{
    (void)core;
    *value = ((struct board *)context)->tsc_deadline;
    return msr == 0x6e0;
}

static bool on_write_msr(void *context, u32 core, u32 msr, u64 value)
{
    (void)core;
    if (msr == 0x6e0)
        ((struct board *)context)->tsc_deadline = value;
    return msr == 0x6e0 || msr == MSR_APIC_BASE;
}

static void on_wbinvd(void *context, u32 core)
{
    (void)core;
    ((struct board *)context)->wbinvds++;
}

/* A guest's fixture whose core is wired, in 64-bit host mode at H_CODE. */
struct bare_machine {
    struct guest *g;
    struct cpu *cpu;
    struct board board;
};

static void build_host(struct guest *g)
{
    static const u64 gdt[] = {0, 0x00af9b000000ffff, 0x00cf93000000ffff};
    host_write64(g, H_PML4, (H_PML4 + 0x1000) | PTE_P | PTE_RW | PTE_US);
    host_write64(g, H_PML4 + 0x1000, (H_PML4 + 0x2000) | PTE_P | PTE_RW | PTE_US);
    for (u64 i = 0; i < 9; i++)
        host_write64(g, H_PML4 + 0x2000 + 8 * i, MIB(2) * i | PTE_P | PTE_RW | PTE_US | PTE_PS);
    memory_write(g->memory, H_GDT, KEY_RAW, gdt, sizeof gdt);
    for (u64 v = 0; v < 256; v++) {
        u64 at = H_HANDLERS + 64 * v;
        host_write64(g, H_IDT + 16 * v,
                     (at & 0xffff) | SEL_CODE64 << 16 | 0x8eull << 40 | (at >> 16) << 48);
        host_write64(g, H_IDT + 16 * v + 8, 0);
    }
    u8 halts[64 * 256];
    memset(halts, 0xf4, sizeof halts);
    memory_write(g->memory, H_HANDLERS, KEY_RAW, halts, sizeof halts);
}

static void host_at(struct bare_machine *m, u64 rip)
{
    static const u64 gpr[16];
    struct vmcb_save s = {.efer = EFER_SVME | EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE,
                          .cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG,
                          .cr3 = H_PML4,
                          .cr4 = CR4_PAE | CR4_OSFXSR,
                          .rflags = RFLAGS_ONE,
                          .rip = rip,
                          .rsp = H_STACK,
                          .g_pat = PAT_RESET};
    s.cs = segment_64(SEL_CODE64, 0xa9b);
    s.ss = s.ds = s.es = s.fs = s.gs = segment_64(SEL_DATA, 0xc93);
    s.gdtr = (struct vmcb_segment){.limit = 0x17, .base = H_GDT};
    s.idtr = (struct vmcb_segment){.limit = 0xfff, .base = H_IDT};
    cpu_load_state(m->cpu, &s, gpr);
}

static struct bare_machine *bare_create(bool sev)
{
    struct bare_machine *m = calloc(1, sizeof *m);
    m->g = guest_create(sev);
    m->cpu = m->g->cpu;
    m->board.g = m->g;
    const struct cpu_wires wires = {.access = on_access,
                                    .acknowledge = on_acknowledge,
                                    .read_tpr = on_read_tpr,
                                    .write_tpr = on_write_tpr,
                                    .read_msr = on_read_msr,
                                    .write_msr = on_write_msr,
                                    .wbinvd = on_wbinvd,
                                    .context = &m->board,
                                    .cpuid_1_ecx = (u32)BIT(24)};
    assert_true(cpu_wire(m->cpu, &wires));
    m->cpu->msr.vm_hsave_pa = HSAVE;
    m->cpu->msr.syscfg = SYSCFG_MEM_ENCRYPT;
    m->cpu->msr.hwcr = HWCR_SMM_LOCK;
    build_host(m->g);
    host_at(m, H_CODE);
    return m;
}

static void bare_destroy(struct bare_machine *m)
{
    guest_destroy(m->g);
    free(m);
}

static void host_code(struct bare_machine *m, u64 at, struct code code)
{
    memory_write(m->g->memory, at, KEY_RAW, code.bytes, code.size);
}

static enum cpu_stop run_on(struct bare_machine *m)
{
    return cpu_run_bare(m->cpu, m->g->clock.now + 100000);
}

/* Runs this code, with HLT behind it, from H_CODE. */
static enum cpu_stop host_run(struct bare_machine *m, struct code code)
{
    host_code(m, H_CODE, code);
    host_code(m, H_CODE + code.size, ASM("hlt"));
    host_at(m, H_CODE);
    return run_on(m);
}
#define HOST(m, text) host_run((m), ASM(text))

/* The vector whose handler halted; its frame is at RSP. */
static u64 halted_in(const struct bare_machine *m)
{
    u64 rip = m->cpu->arch.rip - 1;
    assert_true(rip >= H_HANDLERS && rip < H_HANDLERS + 64 * 256 && rip % 64 == 0);
    return (rip - H_HANDLERS) / 64;
}

static u64 stacked(const struct bare_machine *m, u64 n)
{
    return host_read64(m->g, m->cpu->arch.r[RSP] + 8 * n);
}

static void write_vmcb(struct bare_machine *m)
{
    memory_write(m->g->memory, VMCB, KEY_RAW, &m->g->vmcb, sizeof m->g->vmcb);
}

static void read_vmcb(struct bare_machine *m)
{
    memory_read(m->g->memory, VMCB, KEY_RAW, &m->g->vmcb, sizeof m->g->vmcb);
}

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

/* After a SEV-ES guest all of class B comes from the page, and class C is reset [host 4.4]. */
static void class_b_comes_from_memory(void **state)
{
    struct bare_machine *m = bare_create(true);
    struct guest *g = m->g;
    struct vmsa s = {.mxcsr = 0x1f80, .x87_ftw = 0xffff, .x87_fcw = 0x37f}, host;
    (void)state;
    g->vmcb.control.np_control |= NP_SEV_ES;
    g->vmcb.control.lbr_control |= LBR_VIRTUALIZATION;
    g->vmcb.control.vmsa = VMSA;
    memcpy(&s, &g->vmcb.save, VMSA_COMMON_SIZE);
    memory_write(g->memory, VMSA, g->key, &s, sizeof s);
    memory_vmsa_seal(g->memory, VMSA, g->key);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code_runs_and_halts),
        cmocka_unit_test(faults_go_through_its_own_idt),
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
        cmocka_unit_test(an_nmi_blocks_the_next_until_iret),
        cmocka_unit_test(clgi_holds_everything),
        cmocka_unit_test(init_and_start_up),
        cmocka_unit_test(the_instruction_enters_a_guest),
        cmocka_unit_test(the_svm_instructions_want_a_host),
        cmocka_unit_test(a_refused_guest_leaves_the_host_its_state),
        cmocka_unit_test(class_a_comes_from_memory),
        cmocka_unit_test(a_host_state_that_cannot_be_is_a_shutdown),
        cmocka_unit_test(class_b_comes_from_memory),
        cmocka_unit_test(a_guests_physical_interrupts),
        cmocka_unit_test(an_interrupt_that_nobody_intercepts_is_the_guests),
        cmocka_unit_test(nmi_and_init_leave_the_guest_and_stay),
        cmocka_unit_test(a_guest_halts_until_a_pin_wakes_it),
        cmocka_unit_test(a_guest_reaches_a_device_that_its_host_gave_it),
        cmocka_unit_test(worlds_keep_their_translations_apart),
        cmocka_unit_test(rmp_instructions_and_the_hosts_stores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
