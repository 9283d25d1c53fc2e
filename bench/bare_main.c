/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels as a guest without an operating system: an ELF64 program that starts in 64-bit mode
 * on one-to-one page tables, prints the same lines as linux_main.c to the serial port, and ends by
 * the debug-exit port. It takes no time to boot, and two runs of it execute the same instructions.
 *
 * table.py and the tests compile it; -DSCALE=n, -DREPEATS=n and -DKERNELS='"fib","lz"' choose its
 * work.
 */
#include "kernels.h"

#ifndef SCALE
#define SCALE 1
#endif
#ifndef REPEATS
#define REPEATS 1
#endif

#ifndef KERNELS
#define KERNELS NULL /* all; or a list of names */
#endif

static const char *const chosen[] = {KERNELS, NULL};

#define SERIAL     0x3f8
#define DEBUG_EXIT 0xf4

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memset(void *to, int value, size_t size);
int strcmp(const char *a, const char *b);
void start(void);

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    void *result = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
    return result;
}

void *memset(void *to, int value, size_t size)
{
    void *result = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(value) : "memory");
    return result;
}

int strcmp(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return (unsigned char)*a - (unsigned char)*b;
}

static void out(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void say(const char *text)
{
    while (*text)
        out(SERIAL, (uint8_t)*text++);
}

static void say_number(uint64_t n)
{
    for (int shift = 60; shift >= 0; shift -= 4)
        out(SERIAL, (uint8_t) "0123456789abcdef"[n >> shift & 15]);
}

/* CR4.OSFXSR and OSXMMEXCPT: the compiler uses SSE. */
static void enable_sse(void)
{
    uint64_t cr4;
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | 3u << 9));
}

static int wanted(const struct kernel *k)
{
    for (const char *const *name = chosen; *name; name++)
        if (strcmp(*name, k->name) == 0)
            return 1;
    return !chosen[0];
}

static void run_all(void)
{
    for (const struct kernel *k = kernels; k->name; k++) {
        if (!wanted(k))
            continue;
        say("begin ");
        say(k->name);
        say("\n");
        uint64_t sum = k->run(SCALE);
        say("end ");
        say(k->name);
        say(" ");
        say_number(sum);
        say("\n");
    }
}

__attribute__((force_align_arg_pointer, used, noinline)) void start(void)
{
    enable_sse();
    say("up\n");
    for (unsigned i = 0; i < REPEATS; i++)
        run_all();
    say("done\n");
    out(DEBUG_EXIT, 0);
    for (;;)
        __asm__ volatile("hlt");
}
