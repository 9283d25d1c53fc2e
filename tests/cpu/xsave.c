/* SPDX-License-Identifier: Apache-2.0 */
/* XSAVE's family against the host's processor, and the rules that a program cannot reach there. */
#include "native.h"
#include "needs.h"

#include <cpuid.h>

#define ALL     (XSTATE_X87 | XSTATE_SSE | XSTATE_AVX)
#define AREA    (XSTATE_AVX_OFFSET + XSTATE_AVX_SIZE + 64)
#define BV      XSTATE_LEGACY_SIZE
#define XCOMP   (XSTATE_LEGACY_SIZE + 8)
#define COMPACT BIT(63)

/* The instruction under test on [RSI]; before it XRSTOR64 [RDI], after it XSAVE64 [RDX]. */
struct run {
    _Alignas(64) u8 before[AREA];
    _Alignas(64) u8 area[AREA];
    _Alignas(64) u8 after[AREA];
    u64 mask, vector;
};

static const struct form {
    const char *name;
    u8 bytes[4];
    bool restores;
} forms[] = {
    {"xsave64", {0x48, 0x0f, 0xae, 0x26}, false},    {"xsave", {0x40, 0x0f, 0xae, 0x26}, false},
    {"xsaveopt64", {0x48, 0x0f, 0xae, 0x36}, false}, {"xsavec64", {0x48, 0x0f, 0xc7, 0x26}, false},
    {"xrstor64", {0x48, 0x0f, 0xae, 0x2e}, true},    {"xrstor", {0x40, 0x0f, 0xae, 0x2e}, true},
};

static u64 host_xcr0(void)
{
    u32 low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low | (u64)high << 32;
}

static bool host_has_xsave(void)
{
    u32 a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 27) || !(c & 1u << 28))
        return false;
    return (host_xcr0() & ALL) == ALL && __get_cpuid_count(0xd, 1, &a, &b, &c, &d) && (a & 3) == 3;
}

/* --- Running ---------------------------------------------------------------------------------- */

/* Loads `before`, runs the code at RSI with the area in RSI and the mask in EDX:EAX, and saves what
 * is there then in `after`. */
void xsave_call(struct run *r, const u8 *code, u8 *area);
ABI_OFFSET(struct run, after, 2 * 896);
ABI_OFFSET(struct run, mask, 3 * 896);
__asm__(".pushsection .text\n"
        ".globl xsave_call\n"
        "xsave_call:\n"
        "    push %rbx\n"
        "    push %rbp\n"
        "    mov %rdi, %rbx\n"
        "    mov %rsi, %rbp\n"
        "    mov %rdx, %rsi\n"
        "    mov $7, %eax\n"
        "    xor %edx, %edx\n"
        "    xrstor64 (%rbx)\n"
        "    mov 2688(%rbx), %eax\n"
        "    mov 2692(%rbx), %edx\n"
        "    call *%rbp\n"
        "    mov $7, %eax\n"
        "    xor %edx, %edx\n"
        "    xsave64 1792(%rbx)\n"
        "    fninit\n"
        "    push $0x1f80\n"
        "    ldmxcsr (%rsp)\n"
        "    pop %rax\n"
        "    vzeroall\n"
        "    pop %rbp\n"
        "    pop %rbx\n"
        "    ret\n"
        ".popsection\n");

static void on_host(struct native *n, const struct form *f, struct run *r)
{
    native_load(n, f->bytes, sizeof f->bytes);
    memcpy(n->buffer, r->area, AREA);
    native_fault.vector = NATIVE_NO_FAULT;
    xsave_call(r, n->code, n->buffer);
    r->vector = native_fault.vector;
    memcpy(r->area, n->buffer, AREA);
}

/* Executes one of the instructions; returns its exception. */
static u64 execute(struct native *n, const u8 *bytes, u8 *area, u64 mask)
{
    struct cpu *c = n->cpu;
    struct insn in;
    jmp_buf leave;
    assert_int_equal(decode(&in, bytes, 4, c->engine.mode), DECODE_OK);
    c->arch.r[RSI] = (u64)(uintptr_t)area;
    c->arch.r[RAX] = (u32)mask;
    c->arch.r[RDX] = mask >> 32;
    c->engine.leave = &leave;
    c->engine.vector = NATIVE_NO_FAULT;
    if (!setjmp(leave))
        in.op->exec(c, &in);
    return c->engine.vector;
}

static void emulated(struct native *n, const struct form *f, struct run *r)
{
    static const u8 xrstor64[] = {0x48, 0x0f, 0xae, 0x2e}, xsave64[] = {0x48, 0x0f, 0xae, 0x26};
    memcpy(n->buffer, r->before, AREA);
    assert_int_equal(execute(n, xrstor64, n->buffer, ALL), NATIVE_NO_FAULT);
    memcpy(n->buffer, r->area, AREA);
    r->vector = execute(n, f->bytes, n->buffer, r->mask);
    memcpy(r->area, n->buffer, AREA);
    memset(n->buffer, 0, AREA);
    assert_int_equal(execute(n, xsave64, n->buffer, ALL), NATIVE_NO_FAULT);
    memcpy(r->after, n->buffer, AREA);
}

/* --- Random images ---------------------------------------------------------------------------- */

static void random_image(u64 *seed, u8 *image, u64 layout)
{
    memset(image, 0, AREA);
    for (u32 i = 0; i < AREA - 64; i += 16)
        native_fill(seed, image + i);
    for (u32 i = 0; i < 8; i++)
        native_extended(seed, image + 32 + 16 * i);
    for (u32 i = 0; i < 8; i++)
        memset(image + 42 + 16 * i, 0, 6);
    u64 r = native_random(seed);
    store_le16(image, (u16)((r & 0xf00) | 0x7f));
    store_le16(image + 2, (u16)(r >> 16 & 0x7700));
    image[4] = (u8)(r >> 32);
    memset(image + 5, 0, 19); /* the vendors' pointers differ */
    store_le32(image + 24, (u32)(r >> 40 & 0xe07f) | 0x1f80);
    memset(image + BV, 0, XSTATE_HEADER_SIZE);
    store_le64(image + BV, native_random(seed) & ALL & (layout ? layout : ALL));
    store_le64(image + XCOMP, layout);
}

/* An area for XRSTOR: now and then with something that is refused. */
static void random_area(u64 *seed, struct run *r)
{
    u64 x = native_random(seed);
    u64 layout = x & 1 ? 0 : COMPACT | (x >> 8 & ALL);
    random_image(seed, r->area, layout);
    if (x >> 16 & 7)
        return;
    u32 at = BV + (u32)(x >> 20 & 63), bit = (u32)(x >> 28 & 7);
    if (x >> 32 & 1)
        at = 24 + (u32)(x >> 33 & 3); /* MXCSR */
    r->area[at] ^= (u8)BIT(bit);
}

/* --- Comparing -------------------------------------------------------------------------------- */

static bool same(const char *what, const struct form *f, const u8 *host, const u8 *core, u32 size)
{
    for (u32 i = 0; i < size; i++)
        if (host[i] != core[i] && !(i >= 28 && i < 32)) { /* not the mask of MXCSR's bits */
            print_error("%s, %s: byte %u is %02x, on the host %02x\n", f->name, what, i, core[i],
                        host[i]);
            return false;
        }
    return true;
}

/* A processor may take a component for used that is in its initial state again, and may load some
 * components before it refuses MXCSR. */
static void adapt(const struct form *f, struct run *host, const struct run *core)
{
    host->after[BV] &= core->after[BV];
    if (!f->restores) {
        host->area[BV] &= core->area[BV];
        if (!(core->area[BV] & XSTATE_SSE))
            memcpy(host->area + 160, core->area + 160, 256);
    }
    if (host->vector == VECTOR_GP)
        memcpy(host->after, core->after, AREA);
}

test_that_needs(images_are_the_hosts, .host = host_has_xsave)
{
    struct native *n = native_open();
    u64 seed = 0x5eed;
    u64 only_host = host_xcr0() & ~ALL;
    u32 failed = 0, faults = 0;
    (void)state;
    n->cpu->arch.cr4 |= CR4_OSXSAVE;
    n->cpu->arch.xcr0 = ALL;
    for (u32 i = 0; i < 60000 && failed < 20; i++) {
        const struct form *f = &forms[i % ARRAY_SIZE(forms)];
        struct run host, core;
        memset(&host, 0, sizeof host);
        random_image(&seed, host.before, 0);
        if (f->restores)
            random_area(&seed, &host);
        else
            for (u32 k = 0; k < AREA; k += 16)
                native_fill(&seed, host.area + k);
        host.mask = native_random(&seed) & (i & 64 ? ALL : 0xff00000000000007);
        if (f->restores && (load_le64(host.area + BV) | load_le64(host.area + XCOMP)) & only_host)
            continue; /* components that the core has not */
        core = host;
        on_host(n, f, &host);
        emulated(n, f, &core);
        adapt(f, &host, &core);
        faults += host.vector != NATIVE_NO_FAULT;
        bool good = host.vector == core.vector && same("area", f, host.area, core.area, AREA) &&
                    same("after", f, host.after, core.after, AREA);
        if (host.vector != core.vector)
            print_error("%s: vector %llu, on the host %llu\n", f->name,
                        (unsigned long long)core.vector, (unsigned long long)host.vector);
        failed += !good;
    }
    native_close(n);
    assert_int_equal(failed, 0);
    assert_true(faults > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_are_the_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
