/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strongest oracle for an instruction: the processor this test runs on. native_run() executes
 * one instruction with given general registers, flags and FXSAVE image and gives back what became
 * of them; emulated_run() does the same with decode() and the instruction's exec function on a core
 * whose TLB knows one buffer at its host address: as frame 0 of a memory that holds no code.
 */
#ifndef SOFTSEV_TESTS_CPU_NATIVE_H
#define SOFTSEV_TESTS_CPU_NATIVE_H

#define _GNU_SOURCE /* names of the registers in a signal frame */

#include "cpu/internal.h"
#include "cpu/mmu/mmu.h"
#include "cpu/exec/x87.h"
#include "host_vendor.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cmocka.h>

#define NATIVE_BUFFER 512

struct native_state {
    u8 fx[512]; /* FXSAVE64 */
    u64 gpr[16];
    u64 flags;
    u8 memory[NATIVE_BUFFER]; /* RSI and RDI point at the buffer that has these bytes */
    u64 vector;               /* exception, or NATIVE_NO_FAULT */
};

#define NATIVE_NO_FAULT VENDOR_NO_FAULT
#define NATIVE_FLAGS    0x8d5u

struct native {
    u8 *code;   /* one page, writable and executable */
    u8 *buffer; /* one page */
    struct cpu *cpu;
};

/* Runs code with the image, RAX RCX RDX RBX RSI RDI and flags of the state. */
void native_call(struct native_state *s, const u8 *code);
ABI_OFFSET(struct native_state, gpr, 512);
ABI_OFFSET(struct native_state, flags, 640);
__asm__(".pushsection .text\n"
        ".globl native_call\n"
        "native_call:\n"
        "    push %rbx\n"
        "    push %rbp\n"
        "    push %rdi\n"
        "    mov %rsi, %rbp\n"
        "    fxrstor64 (%rdi)\n"
        "    pushq 640(%rdi)\n"
        "    mov 512(%rdi), %rax\n"
        "    mov 520(%rdi), %rcx\n"
        "    mov 528(%rdi), %rdx\n"
        "    mov 536(%rdi), %rbx\n"
        "    mov 560(%rdi), %rsi\n"
        "    mov 568(%rdi), %rdi\n"
        "    popf\n"
        "    call *%rbp\n"
        "    pushf\n"
        "    push %rdi\n"
        "    mov 16(%rsp), %rdi\n"
        "    mov %rax, 512(%rdi)\n"
        "    mov %rcx, 520(%rdi)\n"
        "    mov %rdx, 528(%rdi)\n"
        "    mov %rbx, 536(%rdi)\n"
        "    mov %rsi, 560(%rdi)\n"
        "    pop 568(%rdi)\n"
        "    pop 640(%rdi)\n"
        "    fxsave64 (%rdi)\n"
        "    fninit\n"
        "    push $0x1f80\n"
        "    ldmxcsr (%rsp)\n"
        "    pop %rdi\n"
        "    pop %rdi\n"
        "    pop %rbp\n"
        "    pop %rbx\n"
        "    ret\n"
        ".popsection\n");

/* The handler of a signal has no context argument of ours. */
static struct {
    u64 leave; /* the RET behind the instruction */
    u32 vector;
} native_fault;

static inline void native_handler(int number, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    (void)info;
    if ((u64)u->uc_mcontext.gregs[REG_RIP] >> PAGE_SHIFT != native_fault.leave >> PAGE_SHIFT) {
        signal(number, SIG_DFL); /* not the instruction: a bug */
        return;
    }
    native_fault.vector = (u32)u->uc_mcontext.gregs[REG_TRAPNO];
    u->uc_mcontext.gregs[REG_RIP] = (greg_t)native_fault.leave;
}

/* The core's linear addresses are the host's: one page is mapped. */
static inline void native_map(struct cpu *c, u8 *page)
{
    u64 va = (u64)(uintptr_t)page;
    for (u32 i = 0; i < TLB_ENTRIES; i++)
        c->engine.tlbs[TLB_KERNEL][i].rtag = c->engine.tlbs[TLB_KERNEL][i].wtag = tlb_invalid(i);
    struct tlb_entry *e = &c->engine.tlbs[TLB_KERNEL][(va >> PAGE_SHIFT) & (TLB_ENTRIES - 1)];
    *e = (struct tlb_entry){.rtag = va, .wtag = va, .host = page, .frame = TLB_WRITABLE};
    c->engine.tlb = c->engine.tlbs[TLB_KERNEL];
    c->engine.mmu = calloc(1, sizeof *c->engine.mmu);
    assert_non_null(c->engine.mmu);
    c->engine.mmu->tlbs = c->engine.tlbs;
}

static inline void native_no_key(void *context, void *out, size_t count)
{
    (void)context;
    memset(out, 0, count);
}

static inline struct native *native_open(void)
{
    const struct random_source random = {.fill = native_no_key};
    struct native *n = calloc(1, sizeof *n);
    int protection = PROT_READ | PROT_WRITE;
    n->code = mmap(NULL, PAGE_SIZE, protection | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    n->buffer = mmap(NULL, PAGE_SIZE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(n->code != MAP_FAILED && n->buffer != MAP_FAILED);
    struct sigaction action = {.sa_sigaction = native_handler, .sa_flags = SA_SIGINFO};
    assert_int_equal(sigaction(SIGFPE, &action, NULL), 0);
    assert_int_equal(sigaction(SIGSEGV, &action, NULL), 0);
    assert_int_equal(sigaction(SIGILL, &action, NULL), 0);
    n->cpu = calloc(1, sizeof *n->cpu);
    struct cpu *c = n->cpu;
    c->engine.mode = MODE_CODE64 | MODE_PE | MODE_LMA;
    c->arch.cr0 = CR0_PE | CR0_MP | CR0_NE;
    c->arch.cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
    c->memory = memory_create(&(struct memory_config){.size = PAGE_SIZE, .random = &random});
    assert_non_null(c->memory);
    native_map(c, n->buffer);
    return n;
}

static inline void native_close(struct native *n)
{
    munmap(n->code, PAGE_SIZE);
    munmap(n->buffer, PAGE_SIZE);
    memory_destroy(n->cpu->memory);
    free(n->cpu->engine.mmu);
    free(n->cpu);
    free(n);
}

/* Puts the instruction before a RET, for both runs. */
static inline void native_load(struct native *n, const u8 *bytes, u32 count)
{
    memcpy(n->code, bytes, count);
    n->code[count] = 0xc3;
    native_fault.leave = (u64)(uintptr_t)(n->code + count);
}

static inline void native_run(struct native *n, struct native_state *s)
{
    _Alignas(16) struct native_state aligned = *s;
    memcpy(n->buffer, s->memory, NATIVE_BUFFER);
    native_fault.vector = NATIVE_NO_FAULT;
    native_call(&aligned, n->code);
    *s = aligned;
    s->vector = native_fault.vector;
    s->flags &= NATIVE_FLAGS;
    memcpy(s->memory, n->buffer, NATIVE_BUFFER);
}

static inline void emulated_run(struct native *n, const struct insn *in, struct native_state *s)
{
    struct cpu *c = n->cpu;
    jmp_buf leave;
    memcpy(n->buffer, s->memory, NATIVE_BUFFER);
    assert_true(fxsave_unpack(c, s->fx, true));
    memcpy(c->arch.r, s->gpr, sizeof s->gpr);
    flags_set(c, s->flags);
    c->engine.insn_rip = (u64)(uintptr_t)n->code;
    c->arch.rip = c->engine.insn_rip + in->length;
    c->engine.leave = &leave;
    c->engine.vector = NATIVE_NO_FAULT;
    if ((in->op->attributes & OP_MMX) && (c->arch.x87.status & X87_ES))
        c->engine.vector = VECTOR_MF;
    else if (!setjmp(leave))
        in->op->exec(c, in);
    s->vector = c->engine.vector;
    memset(s->fx, 0, sizeof s->fx);
    fxsave_pack(c, s->fx, true);
    memcpy(s->gpr, c->arch.r, sizeof s->gpr);
    s->flags = flags_get(c);
    memcpy(s->memory, n->buffer, NATIVE_BUFFER);
}

/* --- Random state with edge values ------------------------------------------------------------ */

static inline u64 native_random(u64 *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed * 0x2545f4914f6cdd1dull;
}

static inline u32 native_single(u64 *seed)
{
    static const u32 edge[] = {0,          1,          0x7fffff,   0x400000,   0x800000,
                               0x800001,   0x3f800000, 0x3f000000, 0x3fc00000, 0x40200000,
                               0x4b000000, 0x4b7fffff, 0x4effffff, 0x4f000000, 0x4f800000,
                               0x5f000000, 0x7f7fffff, 0x7f800000, 0x7f800001, 0x7fa12345,
                               0x7fc00000, 0x7fc54321, 0x33800000, 0x3f7fffff};
    u64 r = native_random(seed);
    u32 v = r & 0x300 ? edge[r % 255 % ARRAY_SIZE(edge)] : (u32)(r >> 16);
    return v ^ (u32)(r >> 63) << 31;
}

static inline u64 native_double(u64 *seed)
{
    // clang-format off
    static const u64 edge[] = {0, 1, 0xfffffffffffff, 0x8000000000000, 0x10000000000000, 0x10000000000001,
                               0x3ff0000000000000, 0x3fe0000000000000, 0x3ff8000000000000, 0x4004000000000000,
                               0x4330000000000000, 0x432fffffffffffff, 0x41dfffffffc00000, 0x41e0000000000000,
                               0x43e0000000000000, 0x7fefffffffffffff, 0x7ff0000000000000, 0x7ff0000000000001,
                               0x7ff4321000000000, 0x7ff8000000000000, 0x7ff8123450000000, 0x36a0000000000000,
                               0x380fffffffffffff, 0x47efffffffffffff, 0x3690000000000000, 0x3fefffffffffffff};
    // clang-format on
    u64 r = native_random(seed);
    u64 v = r & 0x300 ? edge[r % 255 % ARRAY_SIZE(edge)] : native_random(seed);
    return v ^ (r >> 63) << 63;
}

static inline void native_fill(u64 *seed, u8 out[16])
{
    static const u8 edge[] = {0, 0, 1, 0x7f, 0x80, 0xff, 0x81, 'a', 'b', 'z'};
    u64 kind = native_random(seed) % 4;
    for (u32 i = 0; i < 4 && kind == 0; i++)
        store_le32(out + 4 * i, native_single(seed));
    for (u32 i = 0; i < 2 && kind != 0; i++)
        store_le64(out + 8 * i, kind == 1 ? native_double(seed) : native_random(seed));
    for (u32 i = 0; i < 16 && kind == 3; i++)
        out[i] = edge[native_random(seed) % ARRAY_SIZE(edge)];
}

/* An x87 register: every class of value, the unsupported ones too. */
static inline void native_extended(u64 *seed, u8 out[10])
{
    // clang-format off
    static const u64 mantissa[] = {0x8000000000000000, 0, 1, 0xffffffffffffffff, 0x7fffffffffffffff, 0xc000000000000000,
                                   0xc90fdaa22168c235, 0x4000000000000000, 0x8000000000000001, 0xa000000000000001};
    static const u16 exponent[] = {0, 1, 0x3fff, 0x3ffe, 0x4000, 0x3fc0, 0x403e, 0x401e, 0x3fbf, 0x7ffe, 0x7fff, 0x4001, 0x3c00, 0x43fe, 0x407e};
    // clang-format on
    u64 r = native_random(seed);
    u64 m = r & 0x30 ? mantissa[(r >> 8) % ARRAY_SIZE(mantissa)] : native_random(seed);
    u16 e = r & 0xc0 ? exponent[(r >> 16) % ARRAY_SIZE(exponent)]
                     : (u16)(0x3fff + (s16)(r >> 24 & 0x7f) - 64);
    if (r & 0x3000000000)
        m |= BIT(63);
    store_le64(out, m);
    store_le16(out + 8, (u16)(e | (r >> 63) << 15));
}

static inline void native_randomize(struct native *n, u64 *seed, struct native_state *s)
{
    memset(s, 0, sizeof *s);
    u64 r = native_random(seed);
    u16 control = (u16)((r & 0xf00) | 0x40 | (r & 0x3000 ? 0x3f : r >> 16 & 0x3f));
    u16 flags = (u16)(r >> 24 & 0x3f & (r & 0x4000 ? control : 0xffff));
    if (r & 0x18000)
        flags &= control;
    store_le16(s->fx, control);
    store_le16(s->fx + 2, (u16)((r >> 32 & 0x7700) | flags));
    s->fx[4] = r & 0x300000000000 ? 0xff : (u8)(r >> 48);
    u32 mxcsr = (u32)((r >> 8 & 0xe07f) | (r & 7 ? 0x1f80 : r >> 40 & 0x1f80));
    store_le32(s->fx + 24, mxcsr);
    for (u32 i = 0; i < 8; i++)
        native_extended(seed, s->fx + 32 + 16 * i);
    for (u32 i = 0; i < 16; i++)
        native_fill(seed, s->fx + 160 + 16 * i);
    if (r & 8) /* same operands now and then */
        memcpy(s->fx + 160, s->fx + 176, 16);
    for (u32 i = 0; i < 16; i++)
        s->gpr[i] = native_random(seed) >> (native_random(seed) & 63);
    for (u32 i = 0; i < NATIVE_BUFFER; i += 16)
        native_fill(seed, s->memory + i);
    if (r & 16)
        native_extended(seed, s->memory);
    s->gpr[RSI] = s->gpr[RDI] = (u64)(uintptr_t)n->buffer;
    s->flags = native_random(seed) & NATIVE_FLAGS;
}

/* --- Comparison ------------------------------------------------------------------------------- */

static inline void native_print(const char *title, const struct native_state *s)
{
    print_error("%s: vector %llu flags %03x mxcsr %04x\n", title, (unsigned long long)s->vector,
                (u32)s->flags, load_le32(s->fx + 24));
    print_error("  cw %04x sw %04x tw %02x op %04x ip %016llx dp %016llx\n", load_le16(s->fx),
                load_le16(s->fx + 2), s->fx[4], load_le16(s->fx + 6),
                (unsigned long long)load_le64(s->fx + 8),
                (unsigned long long)load_le64(s->fx + 16));
    for (u32 i = 0; i < 8; i++)
        print_error(
            "  st%u %04x:%016llx  xmm%u %016llx %016llx  r%u %llx\n", i,
            load_le16(s->fx + 40 + 16 * i), (unsigned long long)load_le64(s->fx + 32 + 16 * i), i,
            (unsigned long long)load_le64(s->fx + 168 + 16 * i),
            (unsigned long long)load_le64(s->fx + 160 + 16 * i), i, (unsigned long long)s->gpr[i]);
    for (u32 i = 0; i < 128; i += 16)
        print_error("  memory %02x %016llx %016llx\n", i,
                    (unsigned long long)load_le64(s->memory + i + 8),
                    (unsigned long long)load_le64(s->memory + i));
}

/* An unmasked overflow or underflow decides about PE as if the exponent had no limits;
 * ours takes the masked response's. */
static inline void native_forgive_precision(struct native_state *a, struct native_state *b)
{
    u32 mxcsr = load_le32(a->fx + 24), raised = mxcsr & ~(mxcsr >> 7);
    if (a->vector != VECTOR_XF || !(raised & 0x18))
        return;
    store_le32(a->fx + 24, mxcsr | 0x20);
    store_le32(b->fx + 24, load_le32(b->fx + 24) | 0x20);
}

static inline struct vendor_state native_view(struct native *n, struct native_state *s)
{
    return (struct vendor_state){.gpr = s->gpr,
                                 .flags = &s->flags,
                                 .vector = &s->vector,
                                 .fx = s->fx,
                                 .memory = s->memory,
                                 .memory_at = (u64)(uintptr_t)n->buffer,
                                 .memory_size = NATIVE_BUFFER};
}

/* Runs the instruction on both; `ours` becomes what the host's vendor would do. */
static inline void native_both(struct native *n, const struct insn *in, struct native_state *before,
                               struct native_state *host, struct native_state *ours)
{
    *host = *ours = *before;
    native_run(n, host);
    emulated_run(n, in, ours);
    struct vendor_case k = {in, native_view(n, before), native_view(n, host), native_view(n, ours)};
    vendor_adapt(&k);
}

static inline bool native_equal(const struct native_state *a, const struct native_state *b,
                                u64 flags)
{
    return a->vector == b->vector && memcmp(a->fx, b->fx, 28) == 0 &&
           memcmp(a->fx + 32, b->fx + 32, 384) == 0 && memcmp(a->gpr, b->gpr, sizeof a->gpr) == 0 &&
           ((a->flags ^ b->flags) & flags) == 0 && memcmp(a->memory, b->memory, NATIVE_BUFFER) == 0;
}

/* Runs the instruction `trials` times on both;
 * false and the first difference printed if they differ. */
static inline bool native_compare(struct native *n, const u8 *bytes, u32 count, u32 trials,
                                  u64 *seed)
{
    struct insn in;
    if (decode(&in, bytes, count, n->cpu->engine.mode) != DECODE_OK) {
        print_error("not decoded: %02x %02x %02x %02x\n", bytes[0], bytes[1], bytes[2], bytes[3]);
        return false;
    }
    native_load(n, bytes, in.length);
    for (u32 i = 0; i < trials; i++) {
        struct native_state before, host, ours;
        native_randomize(n, seed, &before);
        native_both(n, &in, &before, &host, &ours);
        native_forgive_precision(&host, &ours);
        if (native_equal(&host, &ours, NATIVE_FLAGS & ~(u64)in.op->flags_undefined))
            continue;
        print_error("%s (", in.op->name);
        for (u32 k = 0; k < in.length; k++)
            print_error("%02x ", bytes[k]);
        print_error("), trial %u\n", i);
        native_print("before", &before);
        native_print("host", &host);
        native_print("ours", &ours);
        return false;
    }
    return true;
}

#endif
