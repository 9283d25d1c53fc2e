/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels. Each is made of what one kind of program does most: arithmetic on registers, memory
 * in order, unpredictable branches, indirect jumps, pointers, calls. A check sum of each is
 * returned, so that no compiler leaves work out and every processor can be seen to do the same.
 */
#include "kernels.h"

#include <string.h>

#define MIB (1024u * 1024u)

static uint64_t random_state;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Memory that the kernels use one after the other. */
static _Alignas(4096) uint8_t arena[16 * MIB];

/* --- SHA-256 of 1 MiB ------------------------------------------------------------------------- */

// clang-format off
static const uint32_t sha256_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
// clang-format on

static uint32_t rotate(uint32_t x, uint32_t n)
{
    return x >> n | x << (32 - n);
}

static uint32_t big_endian(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void sha256_schedule(uint32_t w[64], const uint8_t *block)
{
    for (uint32_t i = 0; i < 16; i++)
        w[i] = big_endian(block + 4 * i);
    for (uint32_t i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) +
               (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
    }
}

static void sha256_block(uint32_t state[8], const uint8_t *block)
{
    uint32_t w[64], s[8];
    sha256_schedule(w, block);
    memcpy(s, state, sizeof s);
    for (uint32_t i = 0; i < 64; i++) {
        uint32_t a = s[0], e = s[4];
        uint32_t t = s[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
                     ((e & s[5]) ^ (~e & s[6])) + sha256_constants[i] + w[i];
        uint32_t u = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) +
                     ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
        s[7] = s[6], s[6] = s[5], s[5] = e, s[4] = s[3] + t;
        s[3] = s[2], s[2] = s[1], s[1] = a, s[0] = t + u;
    }
    for (uint32_t i = 0; i < 8; i++)
        state[i] += s[i];
}

static uint64_t sha256(uint32_t scale)
{
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    for (uint32_t i = 0; i < MIB; i++)
        arena[i] = (uint8_t)(i * 7);
    for (; scale; scale--)
        for (uint32_t i = 0; i < 2 * MIB; i += 64)
            sha256_block(state, arena + i % MIB);
    return (uint64_t)state[0] << 32 | state[7];
}

/* --- Sieve of Eratosthenes -------------------------------------------------------------------- */

static uint64_t sieve(uint32_t scale)
{
    uint64_t primes = 0;
    for (; scale; scale--) {
        const uint32_t n = 2000000;
        memset(arena, 0, n);
        for (uint32_t i = 2; i < n; i++) {
            if (arena[i])
                continue;
            primes++;
            for (uint64_t k = (uint64_t)i * i; k < n; k += i)
                arena[k] = 1;
        }
    }
    return primes;
}

/* --- Quick sort through a comparison function ------------------------------------------------- */

typedef int compare_function(const uint32_t *a, const uint32_t *b);

static int compare_numbers(const uint32_t *a, const uint32_t *b)
{
    return (*a > *b) - (*a < *b);
}

static void exchange(uint32_t *a, uint32_t *b)
{
    uint32_t t = *a;
    *a = *b;
    *b = t;
}

static void quick_sort(uint32_t *first, size_t n, compare_function *compare)
{
    while (n > 1) {
        uint32_t pivot = first[n / 2];
        uint32_t *low = first, *high = first + n - 1;
        while (low <= high) {
            while (compare(low, &pivot) < 0)
                low++;
            while (compare(high, &pivot) > 0)
                high--;
            if (low <= high)
                exchange(low++, high--);
        }
        quick_sort(first, (size_t)(high - first + 1), compare);
        n -= (size_t)(low - first);
        first = low;
    }
}

static uint64_t sort(uint32_t scale)
{
    compare_function *volatile compare = compare_numbers; /* nothing is inlined */
    uint32_t *numbers = (uint32_t *)(void *)arena;
    const uint32_t n = 100000;
    uint64_t sum = 0;
    random_state = 88172645463325252u;
    for (; scale; scale--) {
        for (uint32_t i = 0; i < n; i++)
            numbers[i] = (uint32_t)random_next();
        quick_sort(numbers, n, compare);
        for (uint32_t i = 0; i < n; i += 997)
            sum = sum * 31 + numbers[i];
    }
    return sum;
}

/* --- An interpreter of byte code -------------------------------------------------------------- */

enum { OP_PUSH, OP_ADD, OP_MULTIPLY, OP_XOR, OP_DUPLICATE, OP_SWAP, OP_DROP, OP_JUMP_BACK, OP_END };

/* Computes with a counter at the bottom of the stack, which it takes down to zero. */
static const uint8_t byte_code[] = {
    OP_PUSH, 3,       OP_MULTIPLY, OP_PUSH, 17, OP_ADD,      OP_DUPLICATE, OP_PUSH, 5,
    OP_XOR,  OP_SWAP, OP_DROP,     OP_PUSH, 1,  OP_MULTIPLY, OP_JUMP_BACK, OP_END};

static uint64_t interpret(uint64_t rounds)
{
    uint64_t stack[16] = {1};
    uint64_t *top = stack;
    const uint8_t *pc = byte_code;
    for (;;) {
        switch (*pc++) {
        case OP_PUSH:
            *++top = *pc++;
            break;
        case OP_ADD:
            top[-1] += top[0], top--;
            break;
        case OP_MULTIPLY:
            top[-1] *= top[0], top--;
            break;
        case OP_XOR:
            top[-1] ^= top[0], top--;
            break;
        case OP_DUPLICATE:
            top[1] = top[0], top++;
            break;
        case OP_SWAP: {
            uint64_t t = top[0];
            top[0] = top[-1], top[-1] = t;
            break;
        }
        case OP_DROP:
            top--;
            break;
        case OP_JUMP_BACK:
            if (--rounds)
                pc = byte_code;
            break;
        default:
            return *top;
        }
    }
}

static uint64_t byte_code_loop(uint32_t scale)
{
    return interpret((uint64_t)scale * 300000);
}

/* --- A binary tree without balance ------------------------------------------------------------ */

struct node {
    uint64_t key;
    struct node *child[2];
};

static uint64_t tree_depths(struct node *pool, uint32_t n)
{
    struct node *root = NULL;
    uint64_t depths = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t key = random_next();
        struct node **at = &root;
        for (; *at; depths++)
            at = &(*at)->child[key > (*at)->key];
        pool[i] = (struct node){.key = key};
        *at = &pool[i];
    }
    return depths;
}

static uint64_t tree(uint32_t scale)
{
    uint64_t depths = 0;
    random_state = 88172645463325252u;
    for (; scale; scale--)
        depths += tree_depths((struct node *)(void *)arena, 50000);
    return depths;
}

/* --- Calls ------------------------------------------------------------------------------------ */

__attribute__((noinline)) static uint64_t fib_direct(uint32_t n)
{
    if (n < 2)
        return n;
    uint64_t a = fib_direct(n - 1), b = fib_direct(n - 2);
    __asm__ volatile("" : "+r"(a), "+r"(b)); /* no loop in place of the second call */
    return a + b;
}

static uint64_t fib(uint32_t scale)
{
    uint64_t sum = 0;
    for (; scale; scale--)
        for (uint32_t i = 0; i < 6; i++)
            sum += fib_direct(27);
    return sum;
}

/* --- LZ: copies of earlier output, a few bytes each ------------------------------------------- */

static uint64_t lz_copy(uint32_t scale)
{
    const uint32_t size = 4 * MIB;
    uint64_t sum = 0;
    random_state = 88172645463325252u;
    for (uint32_t i = 0; i < 65536; i++)
        arena[i] = (uint8_t)random_next();
    for (; scale; scale--) {
        for (uint32_t at = 65536; at < size - 64;) {
            uint64_t r = random_next();
            uint32_t distance = 1 + (uint32_t)(r & 0xffff), length = 4 + (uint32_t)(r >> 16 & 31);
            const uint8_t *from = arena + at - (distance > at ? at : distance);
            for (uint32_t i = 0; i < length; i++)
                arena[at + i] = from[i];
            at += length;
        }
        for (uint32_t i = 0; i < size; i += 4093)
            sum = sum * 31 + arena[i];
    }
    return sum;
}

/* --- Product of two matrices of doubles ------------------------------------------------------- */

#define SIDE 128u

static void multiply(double *out, const double *a, const double *b)
{
    for (uint32_t i = 0; i < SIDE; i++)
        for (uint32_t j = 0; j < SIDE; j++) {
            double sum = 0;
            for (uint32_t k = 0; k < SIDE; k++)
                sum += a[i * SIDE + k] * b[k * SIDE + j];
            out[i * SIDE + j] = sum;
        }
}

static uint64_t matrix(uint32_t scale)
{
    double *a = (double *)(void *)arena, *b = a + SIDE * SIDE, *product = b + SIDE * SIDE;
    double trace = 0;
    uint64_t bits;
    for (uint32_t i = 0; i < SIDE * SIDE; i++) {
        a[i] = (double)(i % 97) * 0.25;
        b[i] = (double)(i % 89) * 0.125;
    }
    for (; scale; scale--)
        for (uint32_t round = 0; round < 2; round++) {
            multiply(product, a, b);
            for (uint32_t i = 0; i < SIDE; i++)
                trace += product[i * SIDE + i];
            b[0] += 1.0;
        }
    memcpy(&bits, &trace, sizeof bits);
    return bits;
}

/* --- memcpy of 8 MiB -------------------------------------------------------------------------- */

static uint64_t copy(uint32_t scale)
{
    void *(*volatile function)(void *, const void *, size_t) = memcpy;
    for (uint32_t i = 0; i < 8 * MIB; i += 64)
        arena[i] = (uint8_t)(i >> 6);
    for (uint32_t i = 0; i < 8 * scale; i++) {
        arena[i] ^= (uint8_t)i;
        function(arena + 8 * MIB, arena, 8 * MIB);
    }
    uint64_t sum = 0;
    for (uint32_t i = 0; i < 8 * MIB; i += 4097)
        sum = sum * 31 + arena[8 * MIB + i];
    return sum;
}

// clang-format off
const struct kernel kernels[] = {
    {"sha256", sha256},
    {"sieve", sieve},
    {"qsort", sort},
    {"bytecode", byte_code_loop},
    {"tree", tree},
    {"fib", fib},
    {"lz", lz_copy},
    {"matrix", matrix},
    {"memcpy", copy},
    {NULL, NULL},
};
// clang-format on

const struct kernel *kernel_find(const char *name)
{
    for (const struct kernel *k = kernels; k->name; k++)
        if (strcmp(k->name, name) == 0)
            return k;
    return NULL;
}
