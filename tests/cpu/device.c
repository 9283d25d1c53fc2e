/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions on devices, finished by the core (cpu/engine/device.c). A device that is nothing but
 * bytes must be the same to each instruction as memory: registers, flags, faults and bytes. And
 * string I/O, whose memory side has all checks of memory.
 */
#include "guest.h"

#define PAGE   DATA             /* memory or device */
#define BEFORE (DATA - 0x1000u) /* memory */
#define AFTER  (DATA + 0x1000u)
#define PORT   0x510u

struct device {
    u8 bytes[PAGE_SIZE];
    u32 reads, writes, probes, exits;
    u8 port[16]; /* what was written to the port; what is read from it counts up from 41h */
    u32 port_count;
};

static void answer(struct guest *g, struct device *d)
{
    struct device_access a;
    u64 value = 0;
    assert_true(cpu_device_access(g->cpu, &a));
    if (a.port) {
        assert_int_equal(a.address, PORT);
        if (a.write)
            memcpy(d->port + d->port_count, &a.value, a.size);
        for (u32 i = 0; !a.write && i < a.size; i++)
            value |= (u64)(0x41 + d->port_count + i) << 8 * i;
        d->port_count += a.size;
        assert_true(d->port_count <= sizeof d->port);
    } else {
        assert_true(a.size >= 1 && a.size <= 8 && range_fits(a.address - PAGE, a.size, PAGE_SIZE));
        u8 *at = d->bytes + (a.address - PAGE);
        if (a.probe)
            d->probes++;
        else if (a.write)
            memcpy(at, &a.value, a.size);
        else
            memcpy(&value, at, a.size);
        d->reads += !a.write;
        d->writes += a.write && !a.probe;
    }
    cpu_device_answer(g->cpu, value);
}

/* VMRUN until the guest leaves for something else than a device. */
static u64 run_with(struct guest *g, struct device *d, struct code code)
{
    u64 exit = guest_run_code(g, code);
    while (exit == EXIT_NPF || exit == EXIT_IOIO) {
        assert_true(d->exits++ < 1000);
        answer(g, d);
        exit = guest_vmrun(g);
    }
    return exit;
}

static void set_leaf(struct guest *g, u64 gpa, u64 flags)
{
    host_write64(g, NPT + 0x3000 + (gpa >> 12) * 8, (GUEST_BASE + gpa) | flags);
    g->vmcb.control.tlb_control = TLB_FLUSH_ALL;
}

static void fill(u8 *bytes, u32 seed)
{
    for (u32 i = 0; i < PAGE_SIZE; i++)
        bytes[i] = (u8)((i * 37 + seed) ^ i >> 5);
}

struct outcome {
    u64 exit, gpr[16], rflags, rip, cr2;
    u8 fx[512];
    u8 pages[3][PAGE_SIZE]; /* BEFORE, PAGE, AFTER */
};

struct instruction {
    struct code code;
    const char *text;
    bool stack; /* the operand is the stack: RSP points at it */
};

static void set_registers(struct guest *g, u64 address, const struct instruction *i)
{
    u64 *r = cpu_gpr(g->cpu);
    for (u32 n = 0; n < 16; n++)
        r[n] = 0x1122334455667788ull * (n + 3);
    r[3] = address;     /* RBX: the operand */
    r[1] = 3;           /* RCX: a count */
    r[6] = BEFORE + 64; /* RSI, RDI: strings */
    r[7] = BEFORE + 256;
    r[8] = address;
    r[2] = 5;
    g->vmcb.save.rax = 0x8877665544332211ull;
    g->vmcb.save.rsp = i->stack ? address + 8 : STACK;
    g->vmcb.save.rflags = RFLAGS_ONE | RFLAGS_CF;
}

static void run(struct instruction i, u64 address, bool device, struct device *d,
                struct outcome *out)
{
    struct guest *g = guest_create(false);
    u8 bytes[PAGE_SIZE];
    memset(out, 0, sizeof *out);
    memset(d, 0, sizeof *d);
    cpu_device_assist(g->cpu, true);
    for (u32 page = 0; page < 3; page++) {
        fill(bytes, page + 1);
        guest_write(g, BEFORE + page * PAGE_SIZE, bytes, PAGE_SIZE);
    }
    fill(d->bytes, 2);
    if (device)
        set_leaf(g, PAGE, 0);
    set_registers(g, address, &i);
    out->exit = run_with(g, d, i.code);
    if (out->exit != EXIT_HLT || g->vmcb.save.rip != CODE + i.code.size)
        fail_msg("%s: exit %#llx at %#llx", i.text, (unsigned long long)out->exit,
                 (unsigned long long)g->vmcb.save.rip);
    memcpy(out->gpr, cpu_gpr(g->cpu), sizeof out->gpr);
    out->gpr[0] = g->vmcb.save.rax;
    out->gpr[4] = g->vmcb.save.rsp;
    out->rflags = g->vmcb.save.rflags;
    cpu_xsave(g->cpu, XSTATE_X87 | XSTATE_SSE, out->fx, XSTATE_LEGACY_SIZE);
    for (u32 page = 0; page < 3; page++)
        assert_true(memory_peek(g->memory, GUEST_BASE + BEFORE + page * PAGE_SIZE, g->key,
                                out->pages[page], PAGE_SIZE));
    if (device)
        memcpy(out->pages[1], d->bytes, PAGE_SIZE);
    guest_destroy(g);
}

#define I(instruction_)                                                                            \
    {                                                                                              \
        .code = ASM(instruction_), .text = (instruction_)                                          \
    }
#define STACKED(instruction_)                                                                      \
    {                                                                                              \
        .code = ASM(instruction_), .text = (instruction_), .stack = true                           \
    }

static void same(const struct instruction *i, u64 address, const struct outcome *a,
                 const struct outcome *b)
{
    bool equal = a->exit == b->exit && !memcmp(a->gpr, b->gpr, sizeof a->gpr) &&
                 a->rflags == b->rflags && !memcmp(a->fx, b->fx, sizeof a->fx) &&
                 !memcmp(a->pages, b->pages, sizeof a->pages);
    if (!equal)
        fail_msg("%s at %#llx differs: flags %llx %llx rax %llx %llx", i->text,
                 (unsigned long long)address, (unsigned long long)a->rflags,
                 (unsigned long long)b->rflags, (unsigned long long)a->gpr[0],
                 (unsigned long long)b->gpr[0]);
}

/* In the page, over both of its edges. */
static const u64 addresses[] = {PAGE + 0x100, PAGE + 0x103, PAGE - 3,  PAGE - 1,
                                AFTER - 1,    AFTER - 3,    AFTER - 7, PAGE - 9};

static void each_instruction_does_to_a_device_what_it_does_to_memory(void **state)
{
    (void)state;
    /* R8 holds what RBX holds. */
    const struct instruction instructions[] = {
        I("mov rax, [rbx]"),
        I("mov [rbx], rdx"),
        I("mov ah, [rbx]"),
        I("mov word ptr [rbx], 0x1234"),
        I("adc [rbx], rdx"),
        I("adc rdx, [rbx]"),
        I("sbb [rbx], edx"),
        I("adc byte ptr [rbx], 7"),
        I("add [rbx], edx"),
        I("sub [rbx], dx"),
        I("cmp [rbx], edx"),
        I("test [rbx], edx"),
        I("inc qword ptr [rbx]"),
        I("dec byte ptr [rbx]"),
        I("not dword ptr [rbx]"),
        I("neg qword ptr [rbx]"),
        I("rcl dword ptr [rbx], 1"),
        I("shr qword ptr [rbx], cl"),
        I("bt [rbx], edx"),
        I("bts [rbx], edx"),
        I("btr [rbx], edx"),
        I("btc dword ptr [rbx], 9"),
        I("bsf edx, [rbx]"),
        I("bsr rdx, [rbx]"),
        I("imul rdx, [rbx]"),
        I("mul dword ptr [rbx]"),
        I("shld [rbx], edx, 5"),
        I("shrd [rbx], rdx, cl"),
        I("cmpxchg [rbx], rdx"),
        I("lock cmpxchg [rbx], edx"),
        I("cmpxchg8b [rbx]"),
        I("mov eax, [rbx]; mov edx, [rbx + 4]; cmpxchg8b [rbx]"),
        I("xadd [rbx], rdx"),
        I("xchg [rbx], edx"),
        I("movzx edx, byte ptr [rbx]"),
        I("movsxd rdx, [rbx]"),
        I("cmovge rdx, [rbx]"),
        I("setb [rbx]"),
        I("push [rbx]"),
        I("pop [rbx]"),
        I("smsw [rbx]"),
        I("mov rsi, r8; movsb"),
        I("mov rdi, r8; movsq"),
        I("mov rsi, r8; rep; movsw"),
        I("mov rdi, r8; rep movsd"),
        I("mov rsi, r8; lea r9, [r8 + 8]; mov rdi, r9; rep movsd"),
        I("mov rdi, r8; rep stosq"),
        I("mov rsi, r8; lodsd"),
        I("mov rdi, r8; repe cmpsb"),
        I("mov rsi, r8; cmpsd"),
        I("mov rdi, r8; repne scasb"),
        I("movups xmm0, [rbx]"),
        I("movups [rbx], xmm1"),
        I("movdqu xmm2, [rbx]"),
        I("movq [rbx], xmm2"),
        I("movsd xmm3, [rbx]"),
        I("movhps [rbx], xmm2"),
        I("fild qword ptr [rbx]"),
        I("fstp tbyte ptr [rbx]"),
        I("fnstcw [rbx]"),
        I("fnsave [rbx]"),
        I("stmxcsr [rbx]"),
        I("sgdt [rbx]"),
        I("str word ptr [rbx]"),
        I("sldt word ptr [rbx]"),
        I("verr word ptr [rbx]"),
        I("lar edx, [rbx]"),
        I("mov word ptr [rbx], 0; lldt word ptr [rbx]"),
        I("mov word ptr [rbx], 0; mov fs, [rbx]"),
        I("mov [rbx], ds"),
        I("lock bts [rbx], rdx"),
        I("fldenv [rbx]"),
        I("frstor [rbx]"),
        I("fadd dword ptr [rbx]"),
        I("fld tbyte ptr [rbx]"),
        I("fbstp tbyte ptr [rbx]"),
        I("fnstsw [rbx]"),
        I("mov rdi, r8; pcmpeqd xmm0, xmm0; maskmovdqu xmm1, xmm0"),
        I("lddqu xmm2, [rbx]"),
        I("pextrb [rbx], xmm2, 5"),
        I("pinsrd xmm2, [rbx], 1"),
        I("pmovsxbw xmm2, [rbx]"),
        I("cvtsd2si rdx, [rbx]"),
        I("crc32 rdx, qword ptr [rbx]"),
        I("popcnt rdx, [rbx]"),
        I("movnti [rbx], rdx"),
        I("movbe edx, [rbx]"),
        STACKED("push rdx"),
        STACKED("pop rax"),
        STACKED("pushfq"),
        STACKED("call 2f; 2:"),
    };
    static struct device d;
    static struct outcome memory, device;
    for (size_t n = 0; n < ARRAY_SIZE(instructions); n++) {
        u32 exits = 0;
        for (size_t k = 0; k < ARRAY_SIZE(addresses); k++) {
            run(instructions[n], addresses[k], false, &d, &memory);
            assert_int_equal(d.exits, 0);
            run(instructions[n], addresses[k], true, &d, &device);
            same(&instructions[n], addresses[k], &memory, &device);
            exits += d.exits;
        }
        assert_true(exits);
    }
}

/* What a device was told or asked, it is told or asked once. */
static void each_access_comes_once(void **state)
{
    (void)state;
    static struct device d;
    static struct outcome o;
    const struct instruction add = I("add [rbx], edx"), store = I("mov [rbx], edx"),
                             wide = I("movups [rbx], xmm1"), copy = I("mov rdi, r8; rep movsd");
    run(add, PAGE, true, &d, &o);
    assert_int_equal(d.reads * 10 + d.writes, 11);
    run(store, PAGE, true, &d, &o);
    assert_int_equal(d.exits * 10 + d.writes, 11);
    run(wide, PAGE, true, &d, &o);
    assert_int_equal(d.writes, 2);
    run(copy, PAGE, true, &d, &o);
    assert_int_equal(d.writes, 3);
}

/* Without the host's wish, and for a SEV-ES guest, the exit is all there is. */
static void a_host_that_does_not_ask_gets_the_exit_alone(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    struct device_access a;
    set_leaf(g, PAGE, 0);
    cpu_gpr(g->cpu)[3] = PAGE;
    assert_int_equal(RUN(g, "add [rbx], edx"), EXIT_NPF);
    assert_false(cpu_device_access(g->cpu, &a));
    assert_int_equal(g->vmcb.control.fetched_count, 15);
    assert_int_equal(g->vmcb.save.rip, CODE);
    guest_destroy(g);
}

/* An answer is of one instruction: if the host goes elsewhere, it is forgotten. */
static void an_answer_is_not_taken_by_another_instruction(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    struct device_access a;
    set_leaf(g, PAGE, 0);
    cpu_device_assist(g->cpu, true);
    cpu_gpr(g->cpu)[3] = PAGE;
    assert_int_equal(RUN(g, "mov eax, [rbx]; mov eax, [rbx]"), EXIT_NPF);
    cpu_device_answer(g->cpu, 0x77);
    g->vmcb.save.rip += 2;
    assert_int_equal(guest_vmrun(g), EXIT_NPF);
    assert_true(cpu_device_access(g->cpu, &a));
    assert_int_equal(g->vmcb.save.rax, 0);
    cpu_device_answer(g->cpu, 0x88);
    assert_int_equal(guest_vmrun(g), EXIT_HLT);
    assert_int_equal(g->vmcb.save.rax, 0x88);
    guest_destroy(g);
}

/* The table of a page walk is no device's. */
static void tables_and_code_are_no_device(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    struct device_access a;
    cpu_device_assist(g->cpu, true);
    set_leaf(g, PT, 0);
    assert_int_equal(RUN(g, "nop"), EXIT_NPF);
    assert_false(cpu_device_access(g->cpu, &a));
    guest_destroy(g);
}

/* --- String I/O ------------------------------------------------------------------------------- */

static struct guest *string_guest(void)
{
    struct guest *g = guest_create(false);
    u8 ones[0x3000];
    memset(ones, 0xff, sizeof ones);
    assert_true(memory_write(g->memory, IOPM, KEY_RAW, ones, sizeof ones));
    g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_IOIO;
    cpu_device_assist(g->cpu, true);
    cpu_gpr(g->cpu)[2] = PORT;
    cpu_gpr(g->cpu)[6] = cpu_gpr(g->cpu)[7] = PAGE + 16;
    cpu_gpr(g->cpu)[1] = 3;
    return g;
}

static void strings_go_between_memory_and_ports(void **state)
{
    (void)state;
    struct device d = {0};
    struct guest *g = string_guest();
    assert_int_equal(run_with(g, &d, ASM("rep insw")), EXIT_HLT);
    assert_int_equal(guest_read64(g, PAGE + 16), 0x464544434241ull);
    assert_int_equal(cpu_gpr(g->cpu)[7], PAGE + 22);
    assert_int_equal(cpu_gpr(g->cpu)[1], 0);
    assert_int_equal(d.exits, 3);
    memset(&d, 0, sizeof d);
    cpu_gpr(g->cpu)[1] = 2;
    g->vmcb.save.rip = CODE;
    assert_int_equal(run_with(g, &d, ASM("rep outsd")), EXIT_HLT);
    assert_memory_equal(d.port, "ABCDEF\0\0", 8);
    assert_int_equal(cpu_gpr(g->cpu)[6], PAGE + 24);
    guest_destroy(g);
}

/* PAGE with these flags in the guest's table; INS or OUTS at this privilege. 0: no fault (at CPL 3,
 * only that of the HLT that follows). */
static u64 fault_of(struct guest *g, u64 leaf, u8 cpl, struct code code, struct device *d)
{
    guest_write64(g, PT + 8 * (PAGE >> 12), PAGE | leaf);
    if (cpl == 3) {
        g->vmcb.save.cs.selector = SEL_USER64 | 3;
        g->vmcb.save.cs.attributes |= 3u << 5;
        g->vmcb.save.ss.selector = SEL_USER_DATA | 3;
        g->vmcb.save.ss.attributes |= 3u << 5;
        g->vmcb.save.cpl = 3;
        g->vmcb.save.rflags |= RFLAGS_IOPL;
        g->vmcb.save.rsp = USTACK;
    }
    assert_int_equal(run_with(g, d, code), EXIT_HLT);
    if (g->vmcb.save.rip < HANDLERS || (delivered(g) == VECTOR_GP && cpl == 3))
        return 0;
    return delivered(g);
}

static void ins_writes_only_where_the_program_may(void **state)
{
    (void)state;
    static const struct {
        u64 leaf;
        u8 cpl;
        u64 vector;
        u32 error;
    } rows[] = {
        {PTE_P, 0, VECTOR_PF, PF_PRESENT | PF_WRITE},                    /* read-only */
        {PTE_P | PTE_RW, 3, VECTOR_PF, PF_PRESENT | PF_WRITE | PF_USER}, /* a supervisor's */
        {PTE_P | PTE_US, 3, VECTOR_PF, PF_PRESENT | PF_WRITE | PF_USER}, /* read-only, the user's */
        {0, 0, VECTOR_PF, PF_WRITE},                                     /* absent */
        {PTE_P | PTE_RW | BIT(51), 0, VECTOR_PF, PF_PRESENT | PF_WRITE | PF_RSV},
        {PTE_P | PTE_RW, 0, 0, 0},
        {PTE_P | PTE_RW | PTE_US, 3, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct device d = {0};
        struct guest *g = string_guest();
        assert_int_equal(fault_of(g, rows[i].leaf, rows[i].cpl, ASM("insb"), &d), rows[i].vector);
        assert_int_equal(d.port_count, rows[i].vector ? 0 : 1); /* nothing is lost */
        if (rows[i].vector) {
            assert_int_equal(g->vmcb.save.cr2, PAGE + 16);
            assert_int_equal(guest_read64(g, STACK - 48), rows[i].error);
            assert_int_equal(cpu_gpr(g->cpu)[7], PAGE + 16);
        } else {
            u64 bits = PTE_A | PTE_D;
            assert_int_equal(guest_read64(g, PT + 8 * (PAGE >> 12)) & bits, bits);
        }
        guest_destroy(g);
    }
}

static void outs_reads_only_where_the_program_may(void **state)
{
    (void)state;
    struct device d = {0};
    struct guest *g = string_guest();
    assert_int_equal(fault_of(g, PTE_P | PTE_RW, 3, ASM("outsb"), &d), VECTOR_PF);
    assert_int_equal(d.port_count, 0);
    guest_destroy(g);
    g = string_guest();
    assert_int_equal(fault_of(g, PTE_P, 0, ASM("outsb"), &d), 0);
    assert_int_equal(d.port_count, 1);
    assert_int_equal(guest_read64(g, PT + 8 * (PAGE >> 12)) & (PTE_A | PTE_D), PTE_A);
    guest_destroy(g);
}

static void strings_at_addresses_that_are_not_canonical_fault(void **state)
{
    (void)state;
    const struct {
        u8 reg;
        struct code code;
    } rows[] = {{7, ASM("insb")}, {6, ASM("outsb")}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct device d = {0};
        struct guest *g = string_guest();
        cpu_gpr(g->cpu)[rows[i].reg] = BIT(47);
        assert_int_equal(run_with(g, &d, rows[i].code), EXIT_HLT);
        assert_int_equal(delivered(g), VECTOR_GP);
        assert_int_equal(d.port_count, 0);
        guest_destroy(g);
    }
}

/* A port on one side, a device's memory on the other: neither loses a byte. */
static void strings_between_ports_and_devices(void **state)
{
    (void)state;
    static struct device d;
    struct guest *g = string_guest();
    memset(&d, 0, sizeof d);
    set_leaf(g, PAGE, 0);
    assert_int_equal(run_with(g, &d, ASM("rep insw")), EXIT_HLT);
    assert_memory_equal(d.bytes + 16, "ABCDEF", 6);
    assert_int_equal(d.writes, 3);
    g->vmcb.save.rip = CODE;
    cpu_gpr(g->cpu)[1] = 2;
    d.port_count = 0;
    assert_int_equal(run_with(g, &d, ASM("rep outsd")), EXIT_HLT);
    assert_memory_equal(d.port, "ABCDEF\0\0", 8);
    assert_int_equal(d.reads, 2);
    guest_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_instruction_does_to_a_device_what_it_does_to_memory),
        cmocka_unit_test(each_access_comes_once),
        cmocka_unit_test(a_host_that_does_not_ask_gets_the_exit_alone),
        cmocka_unit_test(an_answer_is_not_taken_by_another_instruction),
        cmocka_unit_test(tables_and_code_are_no_device),
        cmocka_unit_test(strings_go_between_memory_and_ports),
        cmocka_unit_test(ins_writes_only_where_the_program_may),
        cmocka_unit_test(outs_reads_only_where_the_program_may),
        cmocka_unit_test(strings_at_addresses_that_are_not_canonical_fault),
        cmocka_unit_test(strings_between_ports_and_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
