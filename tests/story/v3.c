/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Linux program for x86-64-v3, to be run in a guest: loops that the compiler turns into AVX2 and
 * FMA, intrinsics for the rest, the C library's own string functions, and two processes at a time,
 * whose vector registers the kernel has to switch. Every line it prints is a constant.
 */
#include <immintrin.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT 1024

typedef uint64_t u64;
typedef uint32_t u32;

static u32 words[COUNT], other[COUNT];
static double doubles[COUNT];
static float floats[COUNT];

static u64 fold(u64 h, u64 v)
{
    h ^= v;
    return h * 0x9e3779b97f4a7c15u ^ h >> 29;
}

static void fill(u64 seed)
{
    for (u32 i = 0; i < COUNT; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        words[i] = (u32)(seed >> 32);
        other[i] = (u32)(seed >> 20);
        doubles[i] = (double)(int32_t)words[i] / 65536.0;
        floats[i] = (float)(int32_t)other[i] / 4096.0f;
    }
}

static u64 integers(void)
{
    u64 h = 0;
    for (u32 i = 0; i < COUNT; i++)
        other[i] = (words[i] << (i & 31)) + (words[i] >> 3) * 7u;
    for (u32 i = 0; i < COUNT; i++)
        h = fold(h, other[i]);
    return h;
}

static u64 fused(void)
{
    u64 h = 0, bits;
    for (u32 i = 0; i < COUNT; i++)
        doubles[i] = __builtin_fma(doubles[i], doubles[(i + 1) % COUNT], 1.0 / 3.0);
    for (u32 i = 0; i < COUNT; i++) {
        memcpy(&bits, &doubles[i], sizeof bits);
        h = fold(h, bits);
    }
    return h;
}

static u64 halves(void)
{
    u64 h = 0;
    for (u32 i = 0; i + 8 <= COUNT; i += 8) {
        __m256 v = _mm256_loadu_ps(floats + i);
        __m128i half = _mm256_cvtps_ph(v, 0);
        _mm256_storeu_ps(floats + i, _mm256_sub_ps(v, _mm256_cvtph_ps(half)));
        h = fold(h, (u64)_mm_cvtsi128_si64(half));
    }
    return h;
}

static u64 gathered(void)
{
    u64 h = 0;
    for (u32 i = 0; i + 8 <= COUNT; i += 8) {
        __m256i index = _mm256_loadu_si256((const __m256i *)(const void *)(words + i));
        index = _mm256_and_si256(index, _mm256_set1_epi32(COUNT - 1));
        __m256i v = _mm256_i32gather_epi32((const int *)(const void *)other, index, 4);
        v = _mm256_permutevar8x32_epi32(_mm256_sllv_epi32(v, index), index);
        h = fold(fold(h, (u64)_mm256_extract_epi64(v, 0)), (u64)_mm256_extract_epi64(v, 3));
    }
    return h;
}

static u64 bits(void)
{
    u64 h = 0;
    for (u32 i = 0; i + 2 <= COUNT; i++) {
        u64 a = (u64)words[i] << 32 | other[i], b = (u64)other[i + 1] << 32 | words[i + 1];
        h = fold(h, _pdep_u64(a, b) ^ _pext_u64(b, a) ^ _bextr_u64(a, i & 31, 23));
        h = fold(h, _lzcnt_u64(a >> (i & 63)) + _tzcnt_u64(b) + _blsr_u64(a) + _andn_u64(a, b));
    }
    return h;
}

static u64 strings(void)
{
    static char text[4096], copy[4096];
    u64 h = 0;
    for (u32 i = 0; i < 200; i++) {
        memset(text, 'a' + (int)(i % 26), sizeof text - 1);
        text[17 * i + 3] = 'Z';
        memmove(copy + i % 7, text, sizeof copy - 8);
        h = fold(h, strlen(text) + (u64)(strchr(text, 'Z') - text));
        h = fold(h, (u64)(memcmp(text, copy, 4000) != 0) + (u64)(copy[18 * i] & 0x7f));
    }
    return h;
}

static u64 everything(void)
{
    u64 h = fold(0, integers());
    h = fold(h, fused());
    h = fold(h, halves());
    h = fold(h, gathered());
    return fold(h, bits());
}

/* Computes while another process does the same with other numbers. */
static u64 in_turns(u64 seed)
{
    u64 h = 0;
    for (u32 i = 0; i < 100; i++) {
        fill(seed + i);
        h = fold(h, everything());
        sched_yield();
    }
    return h;
}

static void line(const char *name, u64 value)
{
    printf("v3: %s %016llx\n", name, (unsigned long long)value);
    fflush(stdout);
}

int main(void)
{
    fill(1);
    line("integers", integers());
    line("fused", fused());
    line("halves", halves());
    line("gathered", gathered());
    line("bits", bits());
    line("strings", strings());
    int status = 0;
    pid_t child = fork();
    u64 mine = in_turns(child ? 1000 : 2000);
    if (!child) {
        line("child", mine);
        return 0;
    }
    waitpid(child, &status, 0);
    line("parent", mine);
    return status;
}
