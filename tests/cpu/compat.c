/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Integer instructions in 32-bit and 16-bit mode, where half of the encodings differ from 64-bit
 * mode: random ones run here in compatibility mode, by a far jump to Linux's 32-bit code segment or
 * to 16-bit segments in the LDT, and in a core; both must end the same.
 */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE

#include "harness.h"
#include "host_vendor.h"

#include <asm/ldt.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "needs.h"

#if defined(__x86_64__) && defined(__linux__)

#define BUFFER           HARNESS_DATA
#define BUFFER_SIZE      8192u
#define CODE_EXIT        (HARNESS_CODE + 0x100)
#define BIT_OFFSET_BYTES 1024
#define TESTS            200000u

struct state {
    u64 r[8];
    u64 flags;
};

/* The kind of code: its mode word and segments. */
struct setting {
    u32 mode;
    u16 selectors[SEGS];
    u32 data_base; /* of ES, SS, DS */
};

#define LDT_SELECTOR(n) ((n) << 3 | 7)

/* Linux's */
static const struct setting code_32 = {MODE_CODE32 | MODE_PE, {0x2b, 0x23, 0x2b, 0x2b, 0, 0}, 0};
static const struct setting code_16 = {
    MODE_PE,
    {LDT_SELECTOR(1), LDT_SELECTOR(0), LDT_SELECTOR(1), LDT_SELECTOR(1), 0, 0},
    BUFFER,
};

void compat_enter(struct state *s, u64 selectors, const void *target);
void compat_exit(void);

/* Loads the registers, jumps to the target (32-bit offset, selector) with that selector in DS, ES
 * and SS, and stores the registers on the way back. */
__asm__(".data\n"
        ".align 8\n"
        "compat_target: .quad 0\n"
        "compat_rsp: .quad 0\n"
        "compat_state: .quad 0\n"
        "compat_rdi: .quad 0\n"
        ".text\n"
        ".globl compat_enter\n"
        "compat_enter:\n"
        "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "mov %rsp, compat_rsp(%rip)\n"
        "mov %rdi, compat_state(%rip)\n"
        "mov (%rdx), %rax\n mov %rax, compat_target(%rip)\n"
        "mov %esi, %ds\n mov %esi, %es\n"
        "pushq 64(%rdi)\n popfq\n"
        "mov (%rdi), %rax\n mov 8(%rdi), %rcx\n mov 16(%rdi), %rdx\n mov 24(%rdi), %rbx\n"
        "mov %esi, %ss\n mov 32(%rdi), %rsp\n"
        "mov 40(%rdi), %rbp\n mov 48(%rdi), %rsi\n mov 56(%rdi), %rdi\n"
        "ljmp *compat_target(%rip)\n"
        ".globl compat_exit\n"
        "compat_exit:\n"
        "mov %rdi, compat_rdi(%rip)\n"
        "mov compat_state(%rip), %rdi\n"
        "mov %rax, (%rdi)\n mov %rcx, 8(%rdi)\n mov %rdx, 16(%rdi)\n mov %rbx, 24(%rdi)\n"
        "mov %rsp, 32(%rdi)\n mov %rbp, 40(%rdi)\n mov %rsi, 48(%rdi)\n"
        "mov $0x2b, %eax\n mov %eax, %ss\n"
        "mov compat_rsp(%rip), %rsp\n"
        "pushfq\n popq 64(%rdi)\n cld\n"
        "mov compat_rdi(%rip), %rax\n mov %rax, 56(%rdi)\n"
        "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n");

static sigjmp_buf fault_return;

static void on_fault(int signal_number)
{
    siglongjmp(fault_return, signal_number);
}

static void catch_faults(void)
{
    static u8 stack[65536];
    static const int signals[] = {SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGBUS};
    stack_t s = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&s, NULL);
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = (int)SA_ONSTACK};
    for (u32 i = 0; i < ARRAY_SIZE(signals); i++)
        sigaction(signals[i], &action, NULL);
}

static bool map_low(u64 address, size_t size, int protection)
{
    void *p = mmap((void *)address, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == (void *)address)
        return true;
    if (p != MAP_FAILED)
        munmap(p, size);
    return false;
}

/* 0 or the signal it ended with. */
static int run_native(const struct setting *set, struct state *s, const u8 *code, u32 length)
{
    static const u8 back[8] = {
        0x66, 0xea, CODE_EXIT & 0xff, CODE_EXIT >> 8 & 0xff, CODE_EXIT >> 16, 0, 0x33, 0};
    bool is32 = set->mode & MODE_CODE32;
    u8 *at = (u8 *)(u64)HARNESS_CODE;
    memcpy(at, code, length);
    memcpy(at + length, back + is32, sizeof back - is32);
    u64 target = (u64)set->selectors[SEG_CS] << 32 | (is32 ? HARNESS_CODE : 0);
    int signal_number = sigsetjmp(fault_return, 1);
    if (!signal_number)
        compat_enter(s, set->selectors[SEG_SS], &target);
    return signal_number == SIGBUS ? SIGSEGV : signal_number; /* #SS */
}

static bool ldt_ready(void)
{
    struct user_desc code = {
        .entry_number = 0, .base_addr = HARNESS_CODE, .limit = 0xffff, .contents = 2, .useable = 1};
    struct user_desc data = {
        .entry_number = 1, .base_addr = BUFFER, .limit = 0xffff, .contents = 0, .useable = 1};
    return syscall(SYS_modify_ldt, 1, &code, sizeof code) == 0 &&
           syscall(SYS_modify_ldt, 1, &data, sizeof data) == 0;
}

static bool native_ready(void)
{
    static bool mapped;
    if (!mapped && (!map_low(HARNESS_CODE, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC) ||
                    !map_low(BUFFER, BUFFER_SIZE, PROT_READ | PROT_WRITE)))
        return false;
    mapped = true;
    catch_faults();
    u8 *exit_code = (u8 *)(u64)CODE_EXIT;
    void (*target)(void) = compat_exit;
    memcpy(exit_code, (const u8[]){0xff, 0x25, 0, 0, 0, 0}, 6); /* jmp [rip] */
    memcpy(exit_code + 6, &target, 8);
    struct state s = {.r = {[RSP] = BUFFER + 0x1000}, .flags = 0x202};
    /* mov al, 7b; daa */
    return run_native(&code_32, &s, (const u8[]){0xb0, 0x7b, 0x27}, 3) == 0 && s.r[RAX] == 0x81;
}

/* --- Making an instruction that stays inside the buffer --------------------------------------- */

static u64 random_next(u64 *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static u32 random_value(u64 *seed)
{
    static const u32 edges[] = {0,      1,          0x7f,       0x80,       0xff, 0x7fff, 0x8000,
                                0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 9,    10};
    u64 r = random_next(seed);
    return r & 1 ? (u32)(r >> 32) : edges[(r >> 8) % ARRAY_SIZE(edges)];
}

static void random_code(u64 *seed, u8 bytes[16])
{
    static const u8 prefixes[] = {0x66, 0x66, 0x66, 0xf2, 0xf3, 0xf0, 0x3e};
    u64 r = random_next(seed), more[2] = {random_next(seed), random_next(seed)};
    memcpy(bytes, more, 16);
    u32 at = 0;
    for (u32 n = r & 3; n > 1; n--)
        bytes[at++] = prefixes[(r >> (8 * n)) % ARRAY_SIZE(prefixes)];
    if ((r >> 40 & 3) == 0)
        bytes[at++] = 0x0f;
    if ((r >> 42 & 31) == 0) {
        bytes[at++] = 0x0f;
        bytes[at++] = 0x38;
        bytes[at] = (u8)(0xf0 | (bytes[at] & 7));
    }
}

/* Not for this test: system state, control flow, other register files,
 * and what reaches outside the buffer. */
static bool usable(const struct setting *set, const struct insn *in)
{
    if (in->addrsize == 2 && !set->data_base) /* the buffer lies above 64 KiB */
        return false;
    if (in->op->attributes & (OP_FUZZ_SKIP | OP_ENDS | OP_SSE | OP_AVX | OP_MMX | OP_X87 | OP_CPL0))
        return false;
    if (in->segment >= SEG_FS || in->segment == SEG_CS)
        return false;
    switch (in->op->id) {
    case INSN_enter:
        return in->imm < 256;
    case INSN_fwait:
        return false;
    default:
        return true;
    }
}

static bool is_bit_test(const struct insn *in)
{
    u32 id = in->op->id;
    return id == INSN_bt || id == INSN_bts || id == INSN_btr || id == INSN_btc;
}

/* Chooses base and index so that the memory operand lies in the buffer. False: cannot be done. */
static bool aim(const struct setting *set, struct state *s, const struct insn *in, u64 *seed)
{
    u32 start = BUFFER - set->data_base;
    u32 target = start + BUFFER_SIZE / 2 + (u32)(random_next(seed) & 0x3ff);
    bool memory = false;
    for (u32 n = 0; n < in->operands; n++)
        memory = memory || in->o[n].kind == OPERAND_MEM;
    if (!memory)
        return true;
    if (is_bit_test(in) && in->o[1].kind == OPERAND_GPR) {
        if (in->o[1].reg == in->base || in->o[1].reg == in->index)
            return false;
        s->r[in->o[1].reg] = (u32)random_next(seed) % (8 * BIT_OFFSET_BYTES);
    }
    if (in->base == REG_ZERO && in->index == REG_ZERO)
        return in->disp >= (s64)start + 64 &&
               in->disp < (s64)start + BUFFER_SIZE - 64 - BIT_OFFSET_BYTES;
    if (in->base == in->index || in->base == RSP) /* the stack stays where it is */
        return false;
    u32 rest = target - (u32)in->disp;
    if (in->base == REG_ZERO)
        s->r[in->index] = rest >> in->scale;
    else if (in->index == REG_ZERO)
        s->r[in->base] = rest;
    else
        s->r[in->base] = (u32)(rest - (s->r[in->index] << in->scale));
    return true;
}

static bool prepare(const struct setting *set, struct state *s, struct insn *in, u8 code[16],
                    u64 *seed)
{
    u32 start = BUFFER - set->data_base;
    do
        random_code(seed, code);
    while (decode(in, code, 15, set->mode) != DECODE_OK || !usable(set, in));
    for (u32 i = 0; i < 8; i++)
        s->r[i] = random_value(seed);
    s->r[RSP] = start + 0x1000 + (random_next(seed) & 0x7fc);
    s->r[RBP] = in->op->id == INSN_enter || in->op->id == INSN_leave ? start + 0x1800 : s->r[RBP];
    if (in->op->attributes & OP_STRING) {
        s->r[RCX] &= 31;
        s->r[RDI] = start + 0xc00 + (random_next(seed) & 0x3f);
    }
    s->flags = 0x202 | (random_next(seed) & RFLAGS_ARITHMETIC);
    if ((in->op->attributes & OP_STRING) && (random_next(seed) & 1))
        s->flags |= RFLAGS_DF;
    return aim(set, s, in, seed);
}

/* --- Comparison ------------------------------------------------------------------------------- */

static void set_segments(struct cpu *c, const struct setting *set)
{
    for (u32 i = 0; i < SEGS; i++)
        c->arch.seg[i].selector = set->selectors[i];
    if (set->mode & MODE_CODE32)
        return;
    for (u32 i = 0; i <= SEG_DS; i++) {
        c->arch.seg[i].base = i == SEG_CS ? HARNESS_CODE : set->data_base;
        c->arch.seg[i].limit = 0xffff;
        c->arch.seg[i].attributes &= (u16) ~(SEG_DB | SEG_G);
    }
    c->arch.rip = 0;
    segment_update(c);
    cpu_update_mode(c);
}

static u64 run_core(struct harness *h, const struct setting *set, const struct state *before,
                    struct state *after, const u8 *code, u32 length)
{
    struct cpu *c = h->cpu;
    harness_reset(h, HARNESS_32);
    set_segments(c, set);
    for (u32 i = 0; i < 8; i++)
        c->arch.r[i] = before->r[i];
    rflags_write(c, before->flags & RFLAGS_DF, RFLAGS_DF);
    flags_set(c, before->flags);
    u64 exit_code = harness_code(h, (struct code){code, length}, NULL);
    for (u32 i = 0; i < 8; i++)
        after->r[i] = (u32)c->arch.r[i];
    after->flags = rflags_read(c);
    return exit_code;
}

static u64 vector_of_signal(int signal_number)
{
    switch (signal_number) {
    case 0:
        return VENDOR_NO_FAULT;
    case SIGFPE:
        return VECTOR_DE;
    case SIGILL:
        return VECTOR_UD;
    case SIGSEGV:
        return VECTOR_GP; /* or any other that Linux gives this signal for */
    default:
        return 256 + (u64)signal_number; /* no exit says this */
    }
}

static u64 vector_of_exit(u64 exit_code)
{
    switch (exit_code) {
    case EXIT_HLT:
        return VENDOR_NO_FAULT;
    case EXIT_EXCEPTION + VECTOR_DE:
    case EXIT_EXCEPTION + VECTOR_UD:
        return exit_code - EXIT_EXCEPTION;
    default:
        return VECTOR_GP;
    }
}

static const char *compare(const struct insn *in, const struct state *before,
                           const struct state *native, const struct state *core)
{
    static const char *const names[8] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};
    for (u32 i = 0; i < 8; i++)
        /* Linux lets RSP's upper half show behind a 16-bit stack */
        if ((u32)native->r[i] != (u32)core->r[i])
            return names[i];
    u64 mask = (RFLAGS_ARITHMETIC | RFLAGS_DF) & ~(u64)in->op->flags_undefined;
    if (vendor_long_double_shift(in, before->r[RCX]))
        mask = RFLAGS_DF;
    return (native->flags ^ core->flags) & mask ? "flags" : NULL;
}

static void print_difference(const char *what, const struct insn *in, const u8 *code,
                             const struct state *before, const struct state *native,
                             const struct state *core)
{
    printf("# %s: %s:", what, in->op->name);
    for (u32 i = 0; i < in->length; i++)
        printf(" %02x", code[i]);
    printf("\n#   before");
    for (u32 i = 0; i < 8; i++)
        printf(" %08llx", (unsigned long long)before->r[i]);
    printf(" %03llx\n#   native", (unsigned long long)before->flags);
    for (u32 i = 0; i < 8; i++)
        printf(" %08llx", (unsigned long long)native->r[i]);
    printf(" %03llx\n#   core  ", (unsigned long long)native->flags);
    for (u32 i = 0; i < 8; i++)
        printf(" %08llx", (unsigned long long)core->r[i]);
    printf(" %03llx\n", (unsigned long long)core->flags);
}

static struct vendor_state view(const struct setting *set, struct state *s, u64 *vector, u8 *memory)
{
    return (struct vendor_state){.gpr = s->r,
                                 .flags = &s->flags,
                                 .vector = vector,
                                 .memory = memory,
                                 .memory_at = BUFFER - set->data_base,
                                 .memory_size = BUFFER_SIZE};
}

/* One instruction in both; NULL or what differs. */
static const char *try_one(struct harness *h, const struct setting *set, const struct insn *in,
                           const u8 *code, struct state *before, u8 pattern[BUFFER_SIZE],
                           struct state *native, struct state *core)
{
    static u8 result[BUFFER_SIZE];
    u8 *buffer = (u8 *)(u64)BUFFER;
    *native = *before;
    memcpy(buffer, pattern, BUFFER_SIZE);
    harness_write(h, BUFFER, pattern, BUFFER_SIZE);
    u64 none = VENDOR_NO_FAULT;
    u64 native_vector = vector_of_signal(run_native(set, native, code, in->length));
    u64 core_vector = vector_of_exit(run_core(h, set, before, core, code, in->length));
    harness_read(h, BUFFER, result, BUFFER_SIZE);
    struct vendor_case k = {in, view(set, before, &none, pattern),
                            view(set, native, &native_vector, buffer),
                            view(set, core, &core_vector, result)};
    vendor_adapt(&k);
    const char *what = NULL;
    if (native_vector != core_vector)
        what = "fault";
    else if (native_vector == VENDOR_NO_FAULT)
        what = compare(in, before, native, core);
    return !what && memcmp(buffer, result, BUFFER_SIZE) != 0 ? "memory" : what;
}

static void compare_many(const struct setting *set)
{
    struct harness h;
    assert_true(harness_create(&h));
    const char *given = getenv("SOFTSEV_SEED");
    u64 seed = (given ? strtoull(given, NULL, 0) : (u64)time(NULL) * 0x9e3779b97f4a7c15ull) | 1;
    printf("# SOFTSEV_SEED=0x%llx\n", (unsigned long long)seed);
    static u8 pattern[BUFFER_SIZE];
    for (u32 i = 0; i < BUFFER_SIZE; i++)
        pattern[i] = (u8)(random_next(&seed) >> 24);
    u32 differences = 0, ran = 0;
    for (u32 i = 0; i < TESTS; i++) {
        struct insn in;
        struct state before, native, core;
        u8 code[16];
        if (!prepare(set, &before, &in, code, &seed))
            continue;
        ran++;
        const char *what = try_one(&h, set, &in, code, &before, pattern, &native, &core);
        if (what && differences++ < 20)
            print_difference(what, &in, code, &before, &native, &core);
    }
    harness_destroy(&h);
    printf("# %u instructions, %u differences\n", ran, differences);
    fflush(stdout);
    assert_int_equal(differences, 0);
}

test_that_needs(instructions_in_32_bit_mode_do_as_the_host_does, .host = native_ready)
{
    (void)state;
    compare_many(&code_32);
}

static bool native_16_ready(void)
{
    return native_ready() && ldt_ready();
}

test_that_needs(instructions_in_16_bit_mode_do_as_the_host_does, .host = native_16_ready)
{
    (void)state;
    compare_many(&code_16);
}

#else

static bool native_ready(void)
{
    return false;
}

static bool native_16_ready(void)
{
    return false;
}

test_that_needs(instructions_in_32_bit_mode_do_as_the_host_does, .host = native_ready)
{
    (void)state;
}

test_that_needs(instructions_in_16_bit_mode_do_as_the_host_does, .host = native_16_ready)
{
    (void)state;
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instructions_in_32_bit_mode_do_as_the_host_does),
        cmocka_unit_test(instructions_in_16_bit_mode_do_as_the_host_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
