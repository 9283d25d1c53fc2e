/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core against the processor the test runs on: random instructions from random states, whole
 * states compared (registers, flags but for those the manual leaves undefined, x87 and SSE by
 * FXSAVE, memory, faults).
 *
 *   cpu_fuzz [--seed N] [--count N] [--only MNEMONIC] [--statistics] [--plain]
 *
 * --plain: the core does without the instructions that not every host has.
 * Each case runs in the core either as a block or, one time in four, straight through its exec
 * function, since common instructions have a specialised handler besides.
 */
#include "harness.h"
#include "host_cpu.h"
#include "host_vendor.h"
#include "needs.h"

#include <inttypes.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

/* where no random value leads: its bytes differ behind the instruction */
#define CODE        0x2d7000u
#define CODE_OFFSET 0x800u
#define DATA        HARNESS_DATA
#define DATA_SIZE   (4 * PAGE_SIZE)
#define ALL_STATE   (XSTATE_X87 | XSTATE_SSE | XSTATE_AVX)

static u64 option_seed = 1, option_count = 100000;
static const char *option_only;
static bool option_statistics, option_plain;

struct fuzz {
    struct harness h;
    u64 random;
    u64 fs_base;
    u8 bytes[16];
    struct insn in;
    struct host_state before, host, core;
    bool direct; /* through the exec function */
    u8 memory_before[DATA_SIZE], memory[DATA_SIZE];
    u64 cases, faults, with_memory, skipped, mismatches;
    u32 seen[INSN_COUNT];
};

/* --- Random ----------------------------------------------------------------------------------- */

static u64 next_random(struct fuzz *f)
{
    f->random += 0x9e3779b97f4a7c15ull;
    u64 z = f->random;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static u64 below(struct fuzz *f, u64 n)
{
    return next_random(f) % n;
}

static bool chance(struct fuzz *f, u32 percent)
{
    return below(f, 100) < percent;
}

/* Values at the edges as often as in between. */
static u64 interesting(struct fuzz *f)
{
    // clang-format off
    static const u64 edge[] = {0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
                               0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff, 0xfffffffffffffffe};
    // clang-format on
    switch (below(f, 4)) {
    case 0:
        return edge[below(f, ARRAY_SIZE(edge))];
    case 1:
        return (u64)(s64)(s8)next_random(f);
    case 2:
        return next_random(f) >> below(f, 64);
    default:
        return next_random(f);
    }
}

/* --- Instructions ----------------------------------------------------------------------------- */

/* A VEX prefix and the opcode; vvvv is often 1111b, as many instructions want it. */
static u32 random_vex(struct fuzz *f, u32 n)
{
    u8 last = (u8)next_random(f);
    if (chance(f, 35))
        last |= 0x78;
    if (chance(f, 25)) {
        f->bytes[n++] = 0xc5;
    } else {
        f->bytes[n++] = 0xc4;
        f->bytes[n++] = (u8)((next_random(f) & 0xe0) | (1 + below(f, 3)));
    }
    f->bytes[n++] = last;
    return n;
}

static void random_bytes(struct fuzz *f)
{
    static const u8 prefix[] = {0x66, 0xf2, 0xf3, 0x66, 0x67, 0x64, 0xf0, 0x2e};
    static const u8 vex_prefix[] = {0x67, 0x64, 0x2e, 0x3e};
    u32 n = 0;
    bool vex = chance(f, 60);
    while (n < 3 && chance(f, vex ? 10 : 30))
        f->bytes[n++] = vex ? vex_prefix[below(f, 4)] : prefix[below(f, ARRAY_SIZE(prefix))];
    if (!vex && chance(f, 50))
        f->bytes[n++] = (u8)(0x40 | below(f, 16));
    u64 map = below(f, 10);
    if (vex) {
        n = random_vex(f, n);
    } else if (map >= 4) {
        f->bytes[n++] = 0x0f;
        if (map == 7)
            f->bytes[n++] = 0x38;
        else if (map == 8)
            f->bytes[n++] = 0x3a;
    } else if (map == 3) {
        f->bytes[n++] = (u8)(0xd8 | below(f, 8));
    }
    while (n < sizeof f->bytes)
        f->bytes[n++] = (u8)(chance(f, 15) ? below(f, 8) : next_random(f));
}

/* Not compared: results that differ from processor to processor, by rule. */
static bool undefined_result(const struct insn *in)
{
    return in->op->id == INSN_bswap && in->opsize == 2;
}

static bool is_bit_string(const struct insn *in)
{
    return in->op->id >= INSN_bt && in->op->id <= INSN_btc && in->o[1].kind == OPERAND_GPR;
}

/* FS is the test's own thread-local storage: only operands that can be steered away from there. */
static bool harmless(const struct insn *in)
{
    bool own_offset = is_bit_string(in) && (in->o[1].reg == in->base || in->o[1].reg == in->index);
    return !own_offset && (in->segment != SEG_FS || (in->addrsize == 8 && in->base != REG_ZERO));
}

static bool wanted(struct fuzz *f)
{
    const struct insn *in = &f->in;
    if (decode(&f->in, f->bytes, 15, f->h.cpu->engine.mode) != DECODE_OK ||
        in->op->attributes & (OP_FUZZ_SKIP | OP_ENDS | OP_CPL0))
        return false;
    if (undefined_result(in) || !harmless(in))
        return false;
    if (option_only)
        return strcmp(option_only, in->op->name) == 0;
    /* The common ones give way once seen often. */
    return f->seen[in->op->id] < 64 || chance(f, 10) || f->seen[in->op->id] < f->cases / 200;
}

static bool next_instruction(struct fuzz *f)
{
    for (u32 i = 0; i < 100000; i++) {
        random_bytes(f);
        if (wanted(f))
            return true;
    }
    return false;
}

/* --- States ----------------------------------------------------------------------------------- */

static void random_x87(struct fuzz *f, u8 *st)
{
    static const u16 exponent[] = {0x3fff, 0xbfff, 0,      0x8000, 0x7fff,
                                   0xffff, 0x0001, 0x7ffe, 0x403e, 0x4000};
    u64 mantissa = next_random(f) | BIT(63);
    u16 sign_exponent = chance(f, 50) ? exponent[below(f, ARRAY_SIZE(exponent))]
                                      : (u16)(0x3fff + below(f, 100) - 50);
    if (chance(f, 30))
        mantissa = BIT(63);
    if ((sign_exponent & 0x7fff) == 0)
        mantissa &= chance(f, 50) ? 0 : ~BIT(63);
    store_le64(st, mantissa);
    store_le16(st + 8, sign_exponent);
}

static void random_xmm(struct fuzz *f, u8 *xmm)
{
    // clang-format off
    static const u32 single[] = {0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001,
                                 1, 0x00800000, 0x7f7fffff, 0x4b000001, 0x40490fdb, 0x4f000000, 0xcf000000};
    static const u64 wide[] = {0, 0x8000000000000000, 0x3ff0000000000000, 0x7ff0000000000000, 0xfff0000000000000,
                               0x7ff8000000000000, 0x7ff0000000000001, 1, 0x0010000000000000, 0x7fefffffffffffff,
                               0x41e0000000000000, 0xc1e0000000000000, 0x43e0000000000000, 0x4330000000000001};
    // clang-format on
    u64 kind = below(f, 4);
    for (u32 i = 0; i < 16; i += 8) {
        u64 v = interesting(f);
        if (kind == 0)
            v = single[below(f, ARRAY_SIZE(single))] | (u64)single[below(f, ARRAY_SIZE(single))]
                                                           << 32;
        else if (kind == 1)
            v = wide[below(f, ARRAY_SIZE(wide))];
        else if (kind == 2) /* near one */
            v = (next_random(f) & 0x83ffffff83ffffff) | 0x3c0000003c000000;
        store_le64(xmm + i, v);
    }
}

static void random_state(struct fuzz *f)
{
    struct host_state *s = &f->before;
    memset(s, 0, sizeof *s);
    for (u32 i = 0; i < 16; i++)
        s->gpr[i] = interesting(f);
    s->rflags =
        (next_random(f) & (RFLAGS_ARITHMETIC | (chance(f, 20) ? RFLAGS_DF : 0))) | RFLAGS_ONE;
    s->gpr[RSP] = DATA + DATA_SIZE / 2 + 8 * below(f, 16) + (chance(f, 5) ? below(f, 8) : 0);
    u16 control = 0x37f;
    if (chance(f, 50))
        control = (u16)(0x7f | below(f, 16) << 8);
    if (chance(f, 3))
        control &= (u16)~below(f, 64);
    store_le16(s->fx, control & 0x1f7f);
    store_le16(s->fx + 2, (u16)(next_random(f) & 0x7f00)); /* no pending exception */
    s->fx[4] = (u8)(chance(f, 60) ? next_random(f) : 0xff);
    u32 mxcsr = chance(f, 50) ? 0x1f80 : 0x1f80 | ((u32)next_random(f) & 0xe07f);
    if (chance(f, 3))
        mxcsr &= ~((u32)next_random(f) & 0x1f80);
    store_le32(s->fx + 24, mxcsr);
    for (u32 i = 0; i < 8; i++)
        random_x87(f, s->fx + 32 + 16 * i);
    for (u32 i = 0; i < 16; i++)
        random_xmm(f, s->fx + 160 + 16 * i);
    for (u32 i = 0; i < 16; i++)
        random_xmm(f, s->fx + HOST_YMM + 16 * i);
}

static u64 target_address(struct fuzz *f, u32 size)
{
    u64 offset = below(f, DATA_SIZE - 64);
    if (chance(f, 60))
        offset &= ~15ull;
    if (chance(f, 4)) /* around a page end, or the guard behind */
        offset = PAGE_SIZE * (1 + below(f, DATA_SIZE / PAGE_SIZE)) - below(f, size + 8);
    return DATA + offset;
}

/* Where nobody's process has anything: the first page, the guard pages, no addresses at all,
 * the kernel's half. */
static u64 nowhere(struct fuzz *f)
{
    // clang-format off
    static const u64 page[] = {0, DATA - PAGE_SIZE, DATA + DATA_SIZE, 0x8000000000000000, 0x0000800000000000,
                               0xffff7ffffffff000, 0xffff800000000000, 0xfffffffffffff000};
    // clang-format on
    return page[below(f, ARRAY_SIZE(page))] + below(f, PAGE_SIZE);
}

/* RIP-relative and absolute operands have only their displacement. */
static void patch_displacement(struct fuzz *f, u64 displacement)
{
    s32 old = (s32)f->in.disp, new = (s32)displacement;
    for (u32 i = 1; i + 4 <= f->in.length; i++)
        if (memcmp(f->bytes + i, &old, 4) == 0) {
            memcpy(f->bytes + i, &new, 4);
            decode(&f->in, f->bytes, 15, f->h.cpu->engine.mode);
            return;
        }
}

/* Gives the elements of the vector index small values. Returns the address for the base. */
static u64 steer_gather(struct fuzz *f, u64 target)
{
    u8 *low = f->before.fx + 160 + 16 * f->in.vector_index;
    u8 *high = f->before.fx + HOST_YMM + 16 * f->in.vector_index;
    bool wide = f->in.opcode & 1;
    for (u32 i = 0; i < 32; i += wide ? 8 : 4) {
        s64 index = (s64)below(f, 1024) >> f->in.scale;
        u8 *at = i < 16 ? low + i : high + i - 16;
        if (chance(f, 30))
            index = -index;
        memcpy(at, &index, wide ? 8 : 4);
    }
    return target < DATA + 1024 ? target + 1024 : target;
}

/* Makes the memory operand point into the buffer, most of the time,
 * and never where the test itself lives. */
static void steer(struct fuzz *f)
{
    struct insn *in = &f->in;
    u64 *r = f->before.gpr;
    u32 size = 0;
    for (u32 i = 0; i < in->operands; i++)
        if (in->o[i].kind == OPERAND_MEM)
            size = in->o[i].size ? in->o[i].size : 1;
    if (!size)
        return;
    f->with_memory++;
    if (in->op->attributes & OP_STRING)
        return;
    u64 target = target_address(f, size);
    if (in->op->exec == exec_vgather)
        target = steer_gather(f, target);
    if (in->segment == SEG_FS)
        target -= f->fs_base;
    else if (chance(f, 2) && in->addrsize == 8 && in->base != REG_ZERO)
        target = nowhere(f);
    if (is_bit_string(in))
        r[in->o[1].reg] = (u64)((s64)below(f, 2048) - 1024);
    if (in->base == REG_ZERO && in->index == REG_ZERO) {
        u64 here = CODE + CODE_OFFSET + in->length;
        patch_displacement(f, in->rip_relative ? target - here : target);
        return;
    }
    u8 solve = in->base != REG_ZERO ? in->base : in->index;
    u64 rest =
        (u64)in->disp + (in->base != REG_ZERO && in->index != REG_ZERO && in->index != in->base
                             ? r[in->index] << in->scale
                             : 0);
    if (in->base != REG_ZERO)
        r[solve] =
            in->index == in->base ? (target - rest) / ((1u << in->scale) + 1) : target - rest;
    else
        r[solve] = (target - rest) >> in->scale;
    if (in->op->id == INSN_xlat)
        r[RBX] -= (u8)r[RAX];
}

static void steer_special(struct fuzz *f)
{
    u64 *r = f->before.gpr;
    if (f->in.op->attributes & OP_STRING) {
        r[RSI] = target_address(f, 8);
        r[RDI] = chance(f, 30) ? r[RSI] + below(f, 32) : target_address(f, 8);
        if (f->in.prefixes & (PREFIX_REP | PREFIX_REPNE))
            r[RCX] = chance(f, 90) ? below(f, 40) : below(f, 6000);
        if (f->in.segment == SEG_FS)
            r[RSI] -= f->fs_base;
    }
    if (f->in.op->id == INSN_leave || f->in.op->id == INSN_enter)
        r[RBP] = target_address(f, 8);
    if (f->in.op->id == INSN_div || f->in.op->id == INSN_idiv) /* quotients that fit, sometimes */
        r[RDX] = chance(f, 50) ? (u64)((s64)r[RAX] >> 63) : below(f, 16);
}

/* --- Running ---------------------------------------------------------------------------------- */

static void load_core(struct fuzz *f)
{
    struct cpu *c = f->h.cpu;
    memcpy(c->arch.r, f->before.gpr, sizeof f->before.gpr);
    flags_set(c, f->before.rflags);
    c->arch.rflags = (f->before.rflags & RFLAGS_DF) | RFLAGS_ONE | RFLAGS_IF;
    cpu_xrstor(c, ALL_STATE, f->before.fx, sizeof f->before.fx);
    c->arch.rip = CODE + CODE_OFFSET;
    c->guest.exit_int_info = 0;
    c->guest.running = true;
}

static u64 run_direct(struct fuzz *f)
{
    struct cpu *c = f->h.cpu;
    jmp_buf leave;
    c->engine.leave = &leave;
    c->engine.block = NULL;
    c->engine.left = 1000000;
    c->engine.insn_rip = c->arch.rip;
    c->arch.rip += f->in.length;
    c->guest.exit_code = EXIT_VMMCALL;
    if (setjmp(leave) == 0)
        f->in.op->exec(c, &f->in);
    else
        c->guest.exit_code = EXIT_EXCEPTION + c->engine.vector;
    return c->guest.exit_code;
}

static void run_core(struct fuzz *f)
{
    static const u8 vmmcall[] = {0x0f, 0x01, 0xd9};
    struct cpu *c = f->h.cpu;
    load_core(f);
    u64 exit;
    if (f->direct) {
        exit = run_direct(f);
    } else {
        harness_write(&f->h, CODE + CODE_OFFSET, f->bytes, f->in.length);
        harness_write(&f->h, CODE + CODE_OFFSET + f->in.length, vmmcall, sizeof vmmcall);
        exit = harness_run(&f->h, 1000000, NULL);
    }
    struct host_state *s = &f->core;
    memcpy(s->gpr, c->arch.r, sizeof s->gpr);
    s->rflags = rflags_read(c);
    cpu_xsave(c, ALL_STATE, s->fx, sizeof s->fx);
    s->vector = exit == EXIT_VMMCALL ? HOST_NO_FAULT : exit - EXIT_EXCEPTION;
    s->error = f->direct ? c->engine.error : c->guest.exit_info_1;
    s->address = f->direct ? c->engine.fault_linear : c->guest.exit_info_2;
}

/* --- Comparing -------------------------------------------------------------------------------- */

static u64 compared_flags(const struct fuzz *f)
{
    u64 undefined = f->in.op->flags_undefined;
    const struct insn *in = &f->in;
    if (vendor_long_double_shift(in, f->before.gpr[RCX]))
        return RFLAGS_DF;
    bool last_imm = in->operands && in->o[in->operands - 1].kind == OPERAND_IMM;
    if (in->op->flags_written & RFLAGS_OF && undefined & RFLAGS_OF && last_imm && in->imm == 1)
        undefined &= ~RFLAGS_OF; /* defined for a count of one */
    return (RFLAGS_ARITHMETIC | RFLAGS_DF) & ~undefined;
}

static void report(struct fuzz *f, const char *what, u64 host, u64 core)
{
    if (f->mismatches++ > 40)
        return;
    char hex[48] = "";
    for (u32 i = 0; i < f->in.length; i++)
        snprintf(hex + 3 * i, 4, "%02x ", f->bytes[i]);
    printf("# case %" PRIu64 " %s [%s] %s: %s host %" PRIx64 " core %" PRIx64 " (vectors %" PRIu64
           " %" PRIu64 ")\n",
           f->cases, f->in.op->name, hex, f->direct ? "exec" : "block", what, host, core,
           f->host.vector, f->core.vector);
}

/* Which of several flags come with an exception that is not masked is no processor's business but
 * its own: with overflow or underflow unmasked the inexact flag is that of a result of unlimited
 * exponent. */
static u32 compared_mxcsr(const struct fuzz *f)
{
    u32 unmasked = ~load_le32(f->before.fx + 24) & 0x0c00;
    return f->host.vector == VECTOR_XF && unmasked ? ~0x20u : ~0u;
}

/* MASKMOVQ and MASKMOVDQU: whether bytes that are not stored can fault, which address is told and
 * whether the MMX state is entered first is up to the processor [APM5 MASKMOVQ]. */
static bool faulted_in_its_own_way(const struct fuzz *f)
{
    u32 id = f->in.op->id;
    return f->host.vector != HOST_NO_FAULT &&
           (id == INSN_maskmovq || id == INSN_maskmovdqu || id == INSN_vmaskmovdqu);
}

/* FXSAVE images without the last instruction's and operand's pointers,
 * which AMD and Intel keep differently. */
static bool compare_fx(struct fuzz *f)
{
    static const char *const part[] = {"control", "status", "tags"};
    const u8 *a = f->host.fx, *b = f->core.fx;
    for (u32 i = 0; i < 3; i++)
        if (load_le16(a + 2 * i) != load_le16(b + 2 * i)) {
            report(f, part[i], load_le16(a + 2 * i), load_le16(b + 2 * i));
            return false;
        }
    if ((load_le32(a + 24) ^ load_le32(b + 24)) & compared_mxcsr(f)) {
        report(f, "MXCSR", load_le32(a + 24), load_le32(b + 24));
        return false;
    }
    for (u32 i = 32; i < 416; i += 8) {
        bool st = i < 160;
        u64 mask = st && i & 8 ? 0xffff : ~0ull;
        u64 x = load_le64(a + i) & mask, y = load_le64(b + i) & mask;
        if (x != y) {
            char name[16];
            snprintf(name, sizeof name, "%s%u.%u", st ? "ST" : "XMM", (st ? i - 32 : i - 160) / 16,
                     i / 8 & 1);
            report(f, name, x, y);
            return false;
        }
    }
    for (u32 i = 0; i < 256; i += 8) {
        u64 x = load_le64(a + HOST_YMM + i), y = load_le64(b + HOST_YMM + i);
        if (x != y) {
            char name[16];
            snprintf(name, sizeof name, "YMM%u.%u", i / 16, 2 + (i / 8 & 1));
            report(f, name, x, y);
            return false;
        }
    }
    return true;
}

static bool compare_state(struct fuzz *f)
{
    const struct host_state *a = &f->host, *b = &f->core;
    if (faulted_in_its_own_way(f))
        return true;
    if (a->vector != b->vector) {
        report(f, "vector", a->vector, b->vector);
        return false;
    }
    for (u32 i = 0; i < 16; i++)
        if (a->gpr[i] != b->gpr[i]) {
            char name[8];
            snprintf(name, sizeof name, "r%u", i);
            report(f, name, a->gpr[i], b->gpr[i]);
            return false;
        }
    u64 mask = a->vector == HOST_NO_FAULT ? compared_flags(f) : RFLAGS_ARITHMETIC;
    if ((a->rflags ^ b->rflags) & mask) {
        report(f, "flags", a->rflags & mask, b->rflags & mask);
        return false;
    }
    /* Which of the elements that fault a masked move tells of is up to the processor. */
    bool masked = f->in.op->exec == exec_vmaskmov4 || f->in.op->exec == exec_vmaskmov8;
    if (a->vector == VECTOR_PF && a->address != b->address && !masked) {
        report(f, "CR2", a->address, b->address);
        return false;
    }
    /* Linux says "present" of all its own addresses, and the last user page counts as one. */
    u64 bits = a->address >= 0x7ffffffff000 ? ~PF_PRESENT : ~0ull;
    if (a->vector == VECTOR_PF && (a->error ^ b->error) & bits) {
        report(f, "error code", a->error, b->error);
        return false;
    }
    return compare_fx(f);
}

static void compare_memory(struct fuzz *f)
{
    const u8 *host = (const u8 *)(uintptr_t)DATA;
    if (memcmp(host, f->memory, DATA_SIZE) == 0)
        return;
    if (faulted_in_its_own_way(f))
        return;
    u32 i = 0;
    while (host[i] == f->memory[i])
        i++;
    char name[32];
    snprintf(name, sizeof name, "memory+%x", i);
    report(f, name, host[i], f->memory[i]);
}

static struct vendor_state view(struct host_state *s, u8 *memory)
{
    return (struct vendor_state){.gpr = s->gpr,
                                 .flags = &s->rflags,
                                 .vector = &s->vector,
                                 .fx = s->fx,
                                 .memory = memory,
                                 .memory_at = DATA,
                                 .memory_size = DATA_SIZE,
                                 .address = &s->address};
}

static void compare(struct fuzz *f)
{
    u8 *host = (u8 *)(uintptr_t)DATA;
    harness_read(&f->h, DATA, f->memory, DATA_SIZE);
    if (memcmp(host, f->memory, DATA_SIZE) != 0)
        harness_write(&f->h, DATA, host, DATA_SIZE);
    struct vendor_case k = {&f->in, view(&f->before, f->memory_before), view(&f->host, host),
                            view(&f->core, f->memory)};
    vendor_adapt(&k);
    compare_state(f);
    compare_memory(f);
}

static void fill_memory(struct fuzz *f)
{
    u8 *host = (u8 *)(uintptr_t)DATA;
    for (u32 i = 0; i < DATA_SIZE; i += 16) {
        random_xmm(f, host + i);
        if (chance(f, 30))
            random_x87(f, host + i);
    }
    harness_write(&f->h, DATA, host, DATA_SIZE);
}

static void one_case(struct fuzz *f)
{
    if (f->cases % 64 == 0)
        fill_memory(f);
    random_state(f);
    steer_special(f);
    steer(f);
    f->direct = chance(f, 25) && !(f->in.prefixes & PREFIX_LOCK);
    f->host = f->core = f->before;
    memcpy(f->memory_before, (const void *)(uintptr_t)DATA, DATA_SIZE);
    host_cpu_run(CODE_OFFSET, f->bytes, f->in.length, &f->before, &f->host);
    /* an extension this processor lacks? */
    if (f->host.vector == VECTOR_UD && f->in.op->exec != exec_undefined) {
        f->skipped++;
        return;
    }
    run_core(f);
    f->faults += f->host.vector != HOST_NO_FAULT;
    compare(f);
}

static bool host_ready(void)
{
    return host_cpu_open(CODE, DATA, DATA_SIZE);
}

static void open_fuzz(struct fuzz *f)
{
    f->random = option_seed;
    assert_true(harness_create(&f->h));
    f->fs_base = host_cpu_fs_base();
    for (u64 a = 0; a < MIB(4); a += PAGE_SIZE)
        if (a != CODE && !(a >= DATA && a < DATA + DATA_SIZE))
            harness_page(&f->h, a, 0);
    u64 nothing = 0;
    for (u32 i = 2; i < HARNESS_MEMORY >> 21; i++)
        harness_write(&f->h, 0x3000 + 8 * i, &nothing, 8);
    harness_reset(&f->h, HARNESS_64_USER);
    for (u32 i = 0; i < SEGS; i++)
        f->h.cpu->arch.seg[i].selector = host_cpu_selector(i);
    f->h.cpu->arch.seg[SEG_FS].base = f->fs_base;
    f->h.cpu->arch.cr4 |= CR4_OSXSAVE;
    f->h.cpu->arch.xcr0 = ALL_STATE;
    cpu_update_mode(f->h.cpu);
}

static void print_statistics(const struct fuzz *f)
{
    u32 kinds = 0;
    for (u32 i = 0; i < INSN_COUNT; i++)
        kinds += f->seen[i] != 0;
    printf("# seed %" PRIu64 ": %" PRIu64 " cases, %u instructions, %" PRIu64
           " with memory, %" PRIu64 " faults, %" PRIu64 " not on this processor, %" PRIu64
           " mismatches\n",
           option_seed, f->cases, kinds, f->with_memory, f->faults, f->skipped, f->mismatches);
    if (!option_statistics)
        return;
    for (u32 i = 0; i < opcode_count; i++)
        if (!(opcode_table[i].attributes & (OP_FUZZ_SKIP | OP_ENDS | OP_CPL0)))
            printf("# %8u %s\n", f->seen[opcode_table[i].id], opcode_table[i].name);
}

static void run_cases(bool plain)
{
    static struct fuzz f;
    memset(&f, 0, sizeof f);
    open_fuzz(&f);
    f.h.cpu->engine.plain = plain;
    for (; f.cases < option_count && next_instruction(&f); f.cases++) {
        f.seen[f.in.op->id]++;
        one_case(&f);
    }
    print_statistics(&f);
    harness_destroy(&f.h);
    assert_int_equal(f.mismatches, 0);
}

test_that_needs(random_instructions_do_what_the_processor_does, .host = host_ready)
{
    (void)state;
    run_cases(option_plain);
}

/* As on a host that has only the baseline's instructions. */
test_that_needs(the_same_without_newer_instructions_of_the_host, .host = host_ready)
{
    (void)state;
    option_seed += 1000000;
    run_cases(true);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--statistics") == 0)
            option_statistics = true;
        else if (strcmp(argv[i], "--plain") == 0)
            option_plain = true;
        else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0)
            option_seed = strtoull(argv[++i], NULL, 0);
        else if (i + 1 < argc && strcmp(argv[i], "--count") == 0)
            option_count = strtoull(argv[++i], NULL, 0);
        else if (i + 1 < argc && strcmp(argv[i], "--only") == 0)
            option_only = argv[++i];
        else
            return 2;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_instructions_do_what_the_processor_does),
        cmocka_unit_test(the_same_without_newer_instructions_of_the_host)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
