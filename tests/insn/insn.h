/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the instruction tests share. Each is a freestanding program that runs natively and in
 * softsev. A case executes an instruction over edge values and folds every defined result and flag
 * into a hash; the expected hash stands beside it, so the program checks itself wherever it runs.
 * Output is TAP.
 */
#ifndef SOFTSEV_TESTS_INSN_H
#define SOFTSEV_TESTS_INSN_H

#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define CF         0x001u
#define PF         0x004u
#define AF         0x010u
#define ZF         0x040u
#define SF         0x080u
#define OF         0x800u
#define ARITHMETIC (CF | PF | AF | ZF | SF | OF)

struct test_case {
    const char *name;
    u64 (*hash)(void);
    u64 expected;
};

static inline u64 fold(u64 h, u64 v)
{
    h = (h ^ v) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

static inline void put(char ch)
{
#ifdef NATIVE
    long r = 1;
    __asm__ volatile("syscall" : "+a"(r) : "D"(1L), "S"(&ch), "d"(1L) : "rcx", "r11", "memory");
#else
    __asm__ volatile("outb %0, %1" : : "a"(ch), "d"((u16)0x3f8));
#endif
}

static inline void print(const char *s)
{
    while (*s)
        put(*s++);
}

static inline void print_decimal(u32 v)
{
    if (v >= 10)
        print_decimal(v / 10);
    put((char)('0' + v % 10));
}

static inline void print_hex(u64 v)
{
    for (int shift = 60; shift >= 0; shift -= 4)
        put("0123456789abcdef"[v >> shift & 15]);
}

/* Runs the cases; the result is main()'s. */
static inline int run_cases(const struct test_case *cases, u32 count)
{
    int failed = 0;
    print("1..");
    print_decimal(count);
    print("\n");
    for (u32 i = 0; i < count; i++) {
        u64 h = cases[i].hash();
        print(h == cases[i].expected ? "ok " : "not ok ");
        print_decimal(i + 1);
        print(" - ");
        print(cases[i].name);
        if (h != cases[i].expected) {
            failed = 1;
            print(" # 0x");
            print_hex(h);
        }
        print("\n");
    }
    return failed;
}

int main(void);

/* Operands that carry, overflow, and have every sign. */
static const u64 edges[] = {
    // clang-format off
    0, 1, 2, 0x0f, 0x10, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
    0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff, 0x0123456789abcdef, 0x5555555555555555,
    0xaaaaaaaaaaaaaaaa,
    // clang-format on
};

#endif
