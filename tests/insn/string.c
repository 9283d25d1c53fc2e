/* SPDX-License-Identifier: Apache-2.0 */
/* String instructions with and without REP, both directions, overlapping, across pages,
 * and self-modifying code's data. */
#include "insn.h"

static u8 from[3 * 4096], to[3 * 4096];

static void fill(void)
{
    u64 v = 1;
    for (u32 i = 0; i < sizeof from; i++) {
        v = fold(v, i);
        from[i] = (u8)v;
        to[i] = (u8)(v >> 8);
    }
}

static u64 hash_buffers(u64 h)
{
    for (u32 i = 0; i < sizeof from; i += 8)
        h = fold(fold(h, *(u64 *)(void *)(from + i)), *(u64 *)(void *)(to + i));
    return h;
}

/* Where registers end up counts too. */
static u64 fold_registers(u64 h, const u8 *s, const u8 *d, u64 count)
{
    return fold(fold(fold(h, (u64)(s - from)), (u64)(d - to)), count);
}

static const u32 lengths[] = {0, 1, 2, 7, 8, 15, 16, 33, 100, 1000};

// clang-format off
#define COPY(name, insn, size) \
    static u64 name(void) \
    { \
        u64 h = 0; \
        fill(); \
        for (u32 i = 0; i < COUNT(lengths); i++) \
            for (u32 down = 0; down < 2; down++) { \
                const u8 *s = from + 4090 + i; \
                u8 *d = to + 4000 + 3 * i; \
                u64 n = lengths[i]; \
                if (down) \
                    __asm__ volatile("std\n\trep " insn "\n\tcld" : "+S"(s), "+D"(d), "+c"(n) : : "memory", "cc"); \
                else \
                    __asm__ volatile("cld\n\trep " insn : "+S"(s), "+D"(d), "+c"(n) : : "memory", "cc"); \
                h = fold_registers(h, s, d, n); \
                if (lengths[i] * size > 4000) \
                    break; \
            } \
        return hash_buffers(h); \
    }
COPY(movsb, "movsb", 1) COPY(movsw, "movsw", 2) COPY(movsl, "movsl", 4) COPY(movsq, "movsq", 8)

#define STORE(name, insn, size) \
    static u64 name(void) \
    { \
        u64 h = 0; \
        fill(); \
        for (u32 i = 0; i < COUNT(lengths); i++) { \
            u8 *d = to + 4070 + 5 * i; \
            u64 n = lengths[i] > 4000 / size ? 4000 / size : lengths[i]; \
            __asm__ volatile("rep " insn : "+D"(d), "+c"(n) : "a"(edges[i]) : "memory", "cc"); \
            h = fold_registers(h, from, d, n); \
        } \
        return hash_buffers(h); \
    }
STORE(stosb, "stosb", 1) STORE(stosw, "stosw", 2) STORE(stosl, "stosl", 4) STORE(stosq, "stosq", 8)

/* Each scan stops in another place: at the last byte, early, or never. */
#define SCAN(name, insn, size) \
    static u64 name(void) \
    { \
        u64 h = 0; \
        fill(); \
        for (u32 i = 0; i < 300; i++) { \
            u8 *d = to + 4000 + i % 97; \
            u64 n = i, flags, a = 0; \
            for (u32 k = 0; k < size; k++) \
                a |= (u64)d[size * (i / 2) + k] << (8 * k); \
            __asm__ volatile("cmp %%al, %%al\n\t" insn "\n\tpushfq\n\tpop %2" \
                             : "+D"(d), "+c"(n), "=r"(flags) : "a"(a) : "memory", "cc"); \
            h = fold(fold_registers(h, from, d, n), flags & ARITHMETIC); \
        } \
        return h; \
    }
SCAN(repne_scasb, "repne scasb", 1) SCAN(repne_scasw, "repne scasw", 2) SCAN(repe_scasl, "repe scasl", 4)
SCAN(repne_scasq, "repne scasq", 8)

#define COMPARE(name, insn, size) \
    static u64 name(void) \
    { \
        u64 h = 0; \
        fill(); \
        for (u32 i = 0; i < 300; i++) { \
            const u8 *s = from + 4000 + i % 31; \
            u8 *d = to + 4050; \
            u64 n = i, flags; \
            for (u32 k = 0; k < size * (i / 2) + 1; k++) \
                d[k] = s[k]; \
            __asm__ volatile("cmp %%eax, %%eax\n\t" insn "\n\tpushfq\n\tpop %3" \
                             : "+S"(s), "+D"(d), "+c"(n), "=r"(flags) : : "memory", "cc"); \
            h = fold(fold_registers(h, s, d, n), flags & ARITHMETIC); \
        } \
        return h; \
    }
COMPARE(repe_cmpsb, "repe cmpsb", 1) COMPARE(repe_cmpsw, "repe cmpsw", 2) COMPARE(repe_cmpsq, "repe cmpsq", 8)
COMPARE(repne_cmpsl, "repne cmpsl", 4)
// clang-format on

/* A forward copy onto itself, one byte on, repeats the first byte. */
static u64 overlaps(void)
{
    u64 h = 0;
    for (u32 distance = 1; distance < 20; distance++) {
        fill();
        const u8 *s = to + 4000;
        u8 *d = to + 4000 + distance;
        u64 n = 300;
        __asm__ volatile("rep movsb" : "+S"(s), "+D"(d), "+c"(n) : : "memory");
        h = hash_buffers(h);
    }
    return h;
}

static u64 single_steps(void)
{
    u64 h = 0;
    fill();
    const u8 *s = from + 4094;
    u8 *d = to + 4093;
    for (u32 i = 0; i < 20; i++) {
        u64 a = 0;
        __asm__ volatile("movsb\n\tlodsw\n\tstosl\n\tmovsq\n\tlodsb\n\tstosb"
                         : "+S"(s), "+D"(d), "+a"(a)
                         :
                         : "memory");
        h = fold(fold_registers(h, s, d, 0), a);
    }
    return hash_buffers(h);
}

/* clang-format off */
static const struct test_case cases[] = {
    {"movsb", movsb, 0xd05173592c105eda},
    {"movsw", movsw, 0x5794ce9e80af4c26},
    {"movsl", movsl, 0xdeebf301884b2ae6},
    {"movsq", movsq, 0xd5d571ec9795795a},
    {"stosb", stosb, 0x52e8d58be7ddb4c3},
    {"stosw", stosw, 0x9262b626f630a084},
    {"stosl", stosl, 0x2a7298dcec8a3822},
    {"stosq", stosq, 0x20368801f8e41d05},
    {"repne_scasb", repne_scasb, 0xaf173180f2c12341},
    {"repne_scasw", repne_scasw, 0x72f2e919c51e3455},
    {"repe_scasl", repe_scasl, 0x896ba17d7278a617},
    {"repne_scasq", repne_scasq, 0x5be36e65d914c0f4},
    {"repe_cmpsb", repe_cmpsb, 0x303c6a400a9a067b},
    {"repe_cmpsw", repe_cmpsw, 0x0603859f205d9bf1},
    {"repe_cmpsq", repe_cmpsq, 0xb91356f0157eddd1},
    {"repne_cmpsl", repne_cmpsl, 0x3c217365d7e4787e},
    {"overlaps", overlaps, 0x92529b038843ecb8},
    {"single_steps", single_steps, 0x95cf45ff79d59f05},
};
/* clang-format on */

int main(void)
{
    return run_cases(cases, COUNT(cases));
}
