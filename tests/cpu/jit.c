/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JIT as such: that it runs, what happens when its buffer is full, and on hosts that allow no
 * executable memory. What emitted code does is compared with the interpreter by the other tests of
 * the core, which run with either engine.
 */
#define _GNU_SOURCE
#include "cpu/internal.h"
#include "memory/memory.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "needs.h"

static struct cpu *first; /* the harness's own core; memory knows it */

static void create(struct harness *h, enum cpu_engine engine, u32 bytes)
{
    assert_true(harness_create(h));
    first = h->cpu;
    struct cpu_config config = {.memory = h->memory,
                                .clock = &h->clock,
                                .random = &h->random,
                                .engine = engine,
                                .jit_threshold = 1,
                                .jit_bytes = bytes};
    h->cpu = cpu_create(&config);
    assert_non_null(h->cpu);
    harness_reset(h, HARNESS_64);
}

static void destroy(struct harness *h)
{
    cpu_destroy(first);
    harness_destroy(h);
}

/* Blocks of two instructions, each of which adds one to RAX and jumps to the next. */
#define BLOCKS 2000u

static u64 run_many_blocks(struct harness *h)
{
    static const u8 block[6] = {0x48, 0x83, 0xc0, 0x01, 0xeb, 0x00};
    static u8 code[BLOCKS * sizeof block];
    u64 done;
    for (u32 i = 0; i < BLOCKS; i++)
        memcpy(code + i * sizeof block, block, sizeof block);
    harness_reset(h, HARNESS_64);
    assert_int_equal(harness_code(h, (struct code){code, sizeof code}, &done), EXIT_HLT);
    assert_int_equal(done, 2 * BLOCKS);
    return h->cpu->arch.r[RAX];
}

static void translated_blocks_do_the_work(void **state)
{
    struct harness h;
    (void)state;
    create(&h, CPU_ENGINE_JIT, 0);
    assert_int_equal(cpu_engine(h.cpu), CPU_ENGINE_JIT);
    assert_int_equal(run_many_blocks(&h), BLOCKS);
    u64 translated = cpu_statistics(h.cpu).blocks_translated;
    assert_true(translated >= BLOCKS);
    assert_int_equal(run_many_blocks(&h), BLOCKS);
    destroy(&h);
}

static void the_interpreter_translates_nothing(void **state)
{
    struct harness h;
    (void)state;
    create(&h, CPU_ENGINE_INTERPRETER, 0);
    assert_int_equal(cpu_engine(h.cpu), CPU_ENGINE_INTERPRETER);
    assert_int_equal(run_many_blocks(&h), BLOCKS);
    assert_int_equal(cpu_statistics(h.cpu).blocks_translated, 0);
    destroy(&h);
}

static void a_full_buffer_is_emptied(void **state)
{
    struct harness h;
    (void)state;
    create(&h, CPU_ENGINE_JIT, 128u << 10);
    for (u32 i = 0; i < 3; i++)
        assert_int_equal(run_many_blocks(&h), BLOCKS);
    /* More than fits was translated, some blocks more than once. */
    assert_true(cpu_statistics(h.cpu).blocks_translated > 2 * BLOCKS);
    destroy(&h);
}

/* A loop of blocks that the translator joins, one of which is seldom run. It uses registers that
 * are in memory elsewhere, and leaves flags that nobody overwrites. */
static struct code loop_of_blocks(void)
{
    return ASM("   mov ecx, 150; xor eax, eax; mov r13d, 1; mov r14d, 7; mov ebx, 0x200000\n"
               "2: add r13, r14; xor eax, r13d; test cl, 7; jnz 3f\n"
               "   inc r15d; add [rbx + 8], eax\n"
               "3: cmp eax, 0x40000000; ja 4f; lea r14d, [r14 + rax * 2 + 1]\n"
               "4: mov [rbx], r13; dec ecx; jnz 2b; hlt");
}

static void run_for(struct harness *h, u64 budget, u64 *done)
{
    static const u8 nothing[16];
    harness_reset(h, HARNESS_64);
    harness_write(h, HARNESS_DATA, nothing, sizeof nothing);
    harness_run(h, budget, done);
}

static void assert_same_state(struct harness *a, struct harness *b)
{
    u8 data[2][16];
    assert_memory_equal(a->cpu->arch.r, b->cpu->arch.r, GPRS * sizeof(u64));
    assert_int_equal(a->cpu->arch.rip, b->cpu->arch.rip);
    assert_int_equal(rflags_read(a->cpu), rflags_read(b->cpu));
    harness_read(a, HARNESS_DATA, data[0], sizeof data[0]);
    harness_read(b, HARNESS_DATA, data[1], sizeof data[1]);
    assert_memory_equal(data[0], data[1], sizeof data[0]);
}

static void a_joined_loop_ends_at_every_deadline(void **state)
{
    struct harness a, b;
    u64 all, done[2];
    (void)state;
    assert_true(harness_create_engine(&a, CPU_ENGINE_INTERPRETER, 0));
    assert_true(harness_create_engine(&b, CPU_ENGINE_JIT, 4));
    harness_write_code(&a, HARNESS_CODE, loop_of_blocks());
    harness_write_code(&b, HARNESS_CODE, loop_of_blocks());
    run_for(&b, 100000, &all); /* translates */
    assert_true(cpu_statistics(b.cpu).blocks_translated > 0);
    for (u64 budget = 1; budget <= all + 1; budget++) {
        run_for(&a, budget, &done[0]);
        run_for(&b, budget, &done[1]);
        assert_int_equal(done[0], done[1]);
        assert_same_state(&a, &b);
    }
    harness_destroy(&a);
    harness_destroy(&b);
}

/* A block in the middle of a loop is changed by the host. */
static void a_joined_loop_goes_when_one_of_its_blocks_changes(void **state)
{
    struct code code =
        ASM("mov ecx, 500; xor ebx, ebx; 2: test cl, 16; jz 3f; inc eax\n"
            "3: .byte 0x81, 0xc3, 1, 0, 0, 0; test cl, 1; jz 4f; inc edx\n" /* ADD EBX, 1 */
            "4: dec ecx; jnz 2b; hlt");
    const u8 *add = memchr(code.bytes, 0x81, code.size);
    struct harness h;
    u64 done;
    (void)state;
    assert_non_null(add);
    assert_true(harness_create_engine(&h, CPU_ENGINE_JIT, 4));
    harness_write_code(&h, HARNESS_CODE, code);
    for (u8 by = 1; by < 5; by++) {
        harness_write(&h, HARNESS_CODE + (u64)(add + 2 - code.bytes), &by, 1);
        for (u32 i = 0; i < 3; i++) {
            run_for(&h, 100000, &done);
            assert_int_equal(h.cpu->arch.r[RBX], 500 * by);
        }
    }
    harness_destroy(&h);
}

/* Makes memfd_create() fail in this process. */
static bool forbid_memory_files(void)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = ARRAY_SIZE(program), .filter = program};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

/* Runs a function in a child process; returns its result, or -1. */
static int in_child(int (*run)(void))
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(run());
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

static int filter_fails(void)
{
    return !forbid_memory_files();
}

static bool system_calls_can_be_forbidden(void)
{
    return in_child(filter_fails) == 0;
}

static int interprets_without_memory_files(void)
{
    struct harness h;
    if (!forbid_memory_files())
        return 2;
    create(&h, CPU_ENGINE_JIT, 0);
    return cpu_engine(h.cpu) == CPU_ENGINE_INTERPRETER && run_many_blocks(&h) == BLOCKS ? 0 : 1;
}

test_that_needs(without_executable_memory_the_core_interprets,
                .host = system_calls_can_be_forbidden)
{
    (void)state;
    assert_int_equal(in_child(interprets_without_memory_files), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(translated_blocks_do_the_work),
        cmocka_unit_test(the_interpreter_translates_nothing),
        cmocka_unit_test(a_full_buffer_is_emptied),
        cmocka_unit_test(a_joined_loop_ends_at_every_deadline),
        cmocka_unit_test(a_joined_loop_goes_when_one_of_its_blocks_changes),
        cmocka_unit_test(without_executable_memory_the_core_interprets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
