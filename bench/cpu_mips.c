/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Millions of instructions a second of one core on small loops: what each costs without a kernel
 * around it. For work on the engine; whole boots are what counts (boots.py).
 */
#include "../tests/cpu/harness.h"

#include <stdio.h>
#include <time.h>

struct loop {
    const char *name;
    u8 code[64];
    u32 size;
};

/* Each loop goes round RCX times and ends at the HLT behind it. */
// clang-format off
static const struct loop loops[] = {
    {"add chain", {0x48, 0x01, 0xd0, 0x48, 0x01, 0xd8, 0x48, 0x31, 0xf0, 0x48, 0xff, 0xc9, 0x75, 0xf2}, 14},
    {"load and store", {0x48, 0x8b, 0x07, 0x48, 0x03, 0x47, 0x08, 0x48, 0x89, 0x47, 0x10, 0x48, 0xff, 0xc9, 0x75, 0xf0}, 16},
    /* mov rax,[rdi]; mul rbx; add rax,rsi; adc rdx,0; mov [rdi+8],rax; dec; jnz */
    {"multiply with carry",
     {0x48, 0x8b, 0x07, 0x48, 0xf7, 0xe3, 0x48, 0x01, 0xf0, 0x48, 0x83, 0xd2, 0x00, 0x48, 0x89, 0x47, 0x08, 0x48, 0xff, 0xc9,
      0x75, 0xea}, 22},
    {"call and return", {0xe8, 0x06, 0, 0, 0, 0x48, 0xff, 0xc9, 0x75, 0xf6, 0xf4, 0x48, 0xff, 0xc0, 0xc3}, 15},
    {"compare and branch", {0x39, 0xc8, 0x74, 0x00, 0x48, 0x85, 0xdb, 0x75, 0x00, 0xff, 0xc9, 0x75, 0xf3}, 13},
};
// clang-format on

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run(struct harness *h, const struct loop *l)
{
    double best = 0;
    for (u32 round = 0; round < 3; round++) {
        u64 done;
        harness_reset(h, HARNESS_64);
        h->cpu->arch.r[RCX] = 10000000;
        h->cpu->arch.r[RDI] = HARNESS_DATA;
        double start = now_s();
        harness_code(h, l->code, l->size, &done);
        double mips = (double)done / (now_s() - start) / 1e6;
        best = mips > best ? mips : best;
    }
    printf("%-20s %5.0f million instructions a second\n", l->name, best);
}

int main(void)
{
    struct harness h;
    if (!harness_create(&h))
        return 1;
    for (size_t i = 0; i < ARRAY_SIZE(loops); i++)
        run(&h, &loops[i]);
    harness_destroy(&h);
    return 0;
}
