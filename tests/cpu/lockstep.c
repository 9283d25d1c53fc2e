/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs of random instructions with jumps among them, once as blocks and once instruction by
 * instruction. What blocks add (fused comparisons, flags nobody reads, links, giving back what a
 * fault cut off) must not show.
 *
 *   cpu_lockstep [--seed N] [--count N]
 */
#include "harness.h"

#include <inttypes.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define DATA_SIZE (4 * PAGE_SIZE)
#define CODE_SIZE 256u
#define BUDGET    150u

static u64 option_seed = 1, option_count = 20000;

struct outcome {
    u64 r[16], rip, rflags, exit, info_1, info_2, done;
    _Alignas(16) u8 fx[512];
    u8 data[DATA_SIZE];
};

struct lockstep {
    struct harness h;
    u64 random;
    u8 code[CODE_SIZE];
    u64 r[16], rflags, entry;
    u8 data[DATA_SIZE];
    struct outcome blocks, steps;
};

static u64 next_random(struct lockstep *l)
{
    l->random += 0x9e3779b97f4a7c15ull;
    u64 z = l->random;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static u64 below(struct lockstep *l, u64 n)
{
    return next_random(l) % n;
}

/* --- Code ------------------------------------------------------------------------------------- */

/* Memory operands near a register, which may point into the data. */
static bool wanted(const struct insn *in)
{
    if (in->op->attributes & (OP_FUZZ_SKIP | OP_ENDS | OP_CPL0) || in->segment >= SEG_FS)
        return false;
    for (u32 i = 0; i < in->operands; i++)
        if (in->o[i].kind == OPERAND_MEM)
            return in->base != REG_ZERO && in->index == REG_ZERO && in->disp > -256 &&
                   in->disp < 256;
    return true;
}

static u32 put_instruction(struct lockstep *l, u8 *out)
{
    struct insn in;
    u8 bytes[15];
    do {
        u32 n = 0;
        if (below(l, 2))
            bytes[n++] = (u8)(0x40 | below(l, 16));
        if (below(l, 3) == 0)
            bytes[n++] = 0x0f;
        while (n < sizeof bytes)
            bytes[n++] = (u8)next_random(l);
    } while (decode(&in, bytes, sizeof bytes, l->h.cpu->engine.mode) != DECODE_OK || !wanted(&in));
    memcpy(out, bytes, in.length);
    return in.length;
}

/* Jcc, JMP, LOOP and CALL to somewhere near; RET and calls through registers end up anywhere,
 * mostly in a fault. */
static u32 put_jump(struct lockstep *l, u8 *out)
{
    u64 kind = below(l, 16);
    out[0] = (u8)(kind < 12 ? 0x70 | below(l, 16) : kind < 14 ? 0xeb : 0xe2);
    out[1] = (u8)(below(l, 3) ? below(l, 24) : 0 - below(l, 48));
    if (kind != 15)
        return 2;
    u32 near = (u32)below(l, 32);
    out[0] = 0xe8;
    memcpy(out + 1, &near, 4);
    return 5;
}

static void random_code(struct lockstep *l)
{
    u32 n = 0;
    while (n < CODE_SIZE - 16)
        n += below(l, 4) ? put_instruction(l, l->code + n) : put_jump(l, l->code + n);
    memset(l->code + n, 0xc3, CODE_SIZE - n); /* RET */
    for (u32 i = 0; i < 16; i++)
        l->r[i] = below(l, 3) ? HARNESS_DATA + 256 + below(l, DATA_SIZE - 512)
                              : next_random(l) >> below(l, 64);
    l->r[RSP] = HARNESS_DATA + DATA_SIZE / 2;
    l->rflags = (next_random(l) & RFLAGS_ARITHMETIC) | RFLAGS_ONE;
    /* Blocks that start in one page and go on in the next, sometimes. */
    l->entry = HARNESS_CODE + (below(l, 4) ? 0x400 : PAGE_SIZE - below(l, CODE_SIZE));
    for (u32 i = 0; i < DATA_SIZE; i += 8) /* return addresses into the code */
        store_le64(l->data + i, below(l, 2) ? next_random(l) : l->entry + below(l, CODE_SIZE));
}

/* --- Running ---------------------------------------------------------------------------------- */

static void begin(struct lockstep *l)
{
    struct cpu *c = l->h.cpu;
    harness_reset(&l->h, HARNESS_64_USER);
    l->h.clock.now = 0; /* a jump into an instruction may find RDTSC */
    memcpy(c->arch.r, l->r, sizeof l->r);
    c->arch.rflags = l->rflags & ~RFLAGS_ARITHMETIC;
    flags_set(c, l->rflags);
    c->arch.rip = l->entry;
    harness_write(&l->h, l->entry, l->code, sizeof l->code);
    harness_write(&l->h, HARNESS_DATA, l->data, sizeof l->data);
}

static void finish(struct lockstep *l, struct outcome *o, u64 exit, u64 done)
{
    const struct cpu *c = l->h.cpu;
    memset(o, 0, sizeof *o);
    memcpy(o->r, c->arch.r, sizeof o->r);
    o->rip = c->arch.rip;
    o->rflags = rflags_read(c);
    o->exit = exit;
    o->info_1 = c->guest.exit_info_1;
    o->info_2 = c->guest.exit_info_2;
    o->done = done;
    cpu_xsave(c, XSTATE_X87 | XSTATE_SSE, o->fx, XSTATE_LEGACY_SIZE);
    harness_read(&l->h, HARNESS_DATA, o->data, sizeof o->data);
}

static void run_blocks(struct lockstep *l)
{
    u64 done;
    begin(l);
    u64 exit = harness_run(&l->h, BUDGET, &done);
    finish(l, &l->blocks, exit, done);
}

static void run_steps(struct lockstep *l)
{
    u64 exit = EXIT_INTR, done = 0;
    begin(l);
    while (exit == EXIT_INTR && done < BUDGET) {
        u64 one;
        exit = harness_run(&l->h, 1, &one);
        done += one;
    }
    finish(l, &l->steps, exit, done);
}

static void describe(const struct lockstep *l, u64 number)
{
    const struct outcome *a = &l->blocks, *b = &l->steps;
    printf("# run %" PRIu64 ": exit %" PRIx64 " %" PRIx64 ", done %" PRIu64 " %" PRIu64
           ", rip %" PRIx64 " %" PRIx64 ", rflags %" PRIx64 " %" PRIx64 "\n",
           number, a->exit, b->exit, a->done, b->done, a->rip, b->rip, a->rflags, b->rflags);
    for (u32 i = 0; i < 16; i++)
        if (a->r[i] != b->r[i])
            printf("#   r%u %" PRIx64 " %" PRIx64 "\n", i, a->r[i], b->r[i]);
    printf("#   entry %" PRIx64 " code", l->entry);
    for (u32 i = 0; i < CODE_SIZE; i++)
        printf(" %02x", l->code[i]);
    printf("\n");
}

/* Nothing is there but the code, which cannot be written, and the data:
 * both runs start from the same memory. */
static void hide_memory(struct lockstep *l)
{
    u64 nothing = 0;
    for (u64 a = 0; a < MIB(4); a += PAGE_SIZE)
        if (!(a >= HARNESS_DATA && a < HARNESS_DATA + DATA_SIZE))
            harness_page(&l->h, a,
                         a >= HARNESS_CODE && a < HARNESS_CODE + 2 * PAGE_SIZE ? PTE_P | PTE_US
                                                                               : 0);
    for (u32 i = 2; i < HARNESS_MEMORY >> 21; i++)
        harness_write(&l->h, 0x3000 + 8 * i, &nothing, 8);
}

static void blocks_do_what_single_instructions_do(void **state)
{
    static struct lockstep l;
    (void)state;
    u64 bad = 0, retired = 0;
    l.random = option_seed;
    assert_true(harness_create(&l.h));
    hide_memory(&l);
    harness_reset(&l.h, HARNESS_64_USER);
    for (u64 i = 0; i < option_count; i++) {
        random_code(&l);
        run_blocks(&l);
        run_steps(&l);
        retired += l.blocks.done;
        if (memcmp(&l.blocks, &l.steps, sizeof l.blocks) && bad++ < 5)
            describe(&l, i);
    }
    printf("# seed %" PRIu64 ": %" PRIu64 " runs, %" PRIu64 " instructions, %" PRIu64
           " different\n",
           option_seed, option_count, retired, bad);
    harness_destroy(&l.h);
    assert_int_equal(bad, 0);
}

int main(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0)
            option_seed = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--count") == 0)
            option_count = strtoull(argv[i + 1], NULL, 0);
        else
            return 2;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(blocks_do_what_single_instructions_do)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
