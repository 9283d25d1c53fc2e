/* SPDX-License-Identifier: Apache-2.0 */
/* AES [APM4, FIPS 197]: one round on 16 bytes, by the host's instruction or in C. VEX forms of 32
 * bytes do so in both lanes. */
#include "cpu/exec/avx.h"

// clang-format off
/* SubBytes. */
static const u8 sbox[256] = {
    0x63, 0x7c, 0x77, 0x7b, 0xf2, 0x6b, 0x6f, 0xc5, 0x30, 0x01, 0x67, 0x2b, 0xfe, 0xd7, 0xab, 0x76,
    0xca, 0x82, 0xc9, 0x7d, 0xfa, 0x59, 0x47, 0xf0, 0xad, 0xd4, 0xa2, 0xaf, 0x9c, 0xa4, 0x72, 0xc0,
    0xb7, 0xfd, 0x93, 0x26, 0x36, 0x3f, 0xf7, 0xcc, 0x34, 0xa5, 0xe5, 0xf1, 0x71, 0xd8, 0x31, 0x15,
    0x04, 0xc7, 0x23, 0xc3, 0x18, 0x96, 0x05, 0x9a, 0x07, 0x12, 0x80, 0xe2, 0xeb, 0x27, 0xb2, 0x75,
    0x09, 0x83, 0x2c, 0x1a, 0x1b, 0x6e, 0x5a, 0xa0, 0x52, 0x3b, 0xd6, 0xb3, 0x29, 0xe3, 0x2f, 0x84,
    0x53, 0xd1, 0x00, 0xed, 0x20, 0xfc, 0xb1, 0x5b, 0x6a, 0xcb, 0xbe, 0x39, 0x4a, 0x4c, 0x58, 0xcf,
    0xd0, 0xef, 0xaa, 0xfb, 0x43, 0x4d, 0x33, 0x85, 0x45, 0xf9, 0x02, 0x7f, 0x50, 0x3c, 0x9f, 0xa8,
    0x51, 0xa3, 0x40, 0x8f, 0x92, 0x9d, 0x38, 0xf5, 0xbc, 0xb6, 0xda, 0x21, 0x10, 0xff, 0xf3, 0xd2,
    0xcd, 0x0c, 0x13, 0xec, 0x5f, 0x97, 0x44, 0x17, 0xc4, 0xa7, 0x7e, 0x3d, 0x64, 0x5d, 0x19, 0x73,
    0x60, 0x81, 0x4f, 0xdc, 0x22, 0x2a, 0x90, 0x88, 0x46, 0xee, 0xb8, 0x14, 0xde, 0x5e, 0x0b, 0xdb,
    0xe0, 0x32, 0x3a, 0x0a, 0x49, 0x06, 0x24, 0x5c, 0xc2, 0xd3, 0xac, 0x62, 0x91, 0x95, 0xe4, 0x79,
    0xe7, 0xc8, 0x37, 0x6d, 0x8d, 0xd5, 0x4e, 0xa9, 0x6c, 0x56, 0xf4, 0xea, 0x65, 0x7a, 0xae, 0x08,
    0xba, 0x78, 0x25, 0x2e, 0x1c, 0xa6, 0xb4, 0xc6, 0xe8, 0xdd, 0x74, 0x1f, 0x4b, 0xbd, 0x8b, 0x8a,
    0x70, 0x3e, 0xb5, 0x66, 0x48, 0x03, 0xf6, 0x0e, 0x61, 0x35, 0x57, 0xb9, 0x86, 0xc1, 0x1d, 0x9e,
    0xe1, 0xf8, 0x98, 0x11, 0x69, 0xd9, 0x8e, 0x94, 0x9b, 0x1e, 0x87, 0xe9, 0xce, 0x55, 0x28, 0xdf,
    0x8c, 0xa1, 0x89, 0x0d, 0xbf, 0xe6, 0x42, 0x68, 0x41, 0x99, 0x2d, 0x0f, 0xb0, 0x54, 0xbb, 0x16,
};
// clang-format on

/* --- In C: column i of the state is bytes 4i to 4i + 3 ---------------------------------------- */

struct inverse_sbox {
    u8 of[256];
};

static struct inverse_sbox invert(void)
{
    struct inverse_sbox s;
    for (u32 i = 0; i < 256; i++)
        s.of[sbox[i]] = (u8)i;
    return s;
}

/* Multiplies by x in AES's field. */
static u8 twice(u8 v)
{
    return (u8)(v << 1 ^ (v & 0x80 ? 0x1b : 0));
}

static union xmm mix_columns(union xmm s)
{
    union xmm r;
    for (u32 i = 0; i < 16; i++) {
        const u8 *column = s.b + (i & 12);
        u8 a = column[i & 3], b = column[(i + 1) & 3];
        u8 others = column[(i + 2) & 3] ^ column[(i + 3) & 3];
        r.b[i] = twice(a) ^ twice(b) ^ b ^ others;
    }
    return r;
}

/* The inverse: multiplying each column first by 4x^2 + 5 leaves what mix_columns() inverts. */
static union xmm mix_columns_back(union xmm s)
{
    union xmm r;
    for (u32 i = 0; i < 16; i++) {
        const u8 *column = s.b + (i & 12);
        u8 a = column[i & 3], c = column[(i + 2) & 3];
        r.b[i] = twice(twice(a ^ c)) ^ a;
    }
    return mix_columns(r);
}

/* ShiftRows and SubBytes. */
static union xmm substitute(union xmm s)
{
    union xmm r;
    for (u32 i = 0; i < 16; i++)
        r.b[i] = sbox[s.b[(i + 4 * (i & 3)) & 15]];
    return r;
}

static union xmm substitute_back(union xmm s)
{
    struct inverse_sbox inverse = invert();
    union xmm r;
    for (u32 i = 0; i < 16; i++)
        r.b[(i + 4 * (i & 3)) & 15] = inverse.of[s.b[i]];
    return r;
}

/* a: the state, b: the round key, or the only operand. */
static __m128i soft_aesenc(__m128i a, __m128i b)
{
    union xmm r = mix_columns(substitute(vector_xmm(a)));
    return _mm_xor_si128(vector_get(&r), b);
}

static __m128i soft_aesenclast(__m128i a, __m128i b)
{
    union xmm r = substitute(vector_xmm(a));
    return _mm_xor_si128(vector_get(&r), b);
}

static __m128i soft_aesdec(__m128i a, __m128i b)
{
    union xmm r = mix_columns_back(substitute_back(vector_xmm(a)));
    return _mm_xor_si128(vector_get(&r), b);
}

static __m128i soft_aesdeclast(__m128i a, __m128i b)
{
    union xmm r = substitute_back(vector_xmm(a));
    return _mm_xor_si128(vector_get(&r), b);
}

static __m128i soft_aesimc(__m128i a, __m128i b)
{
    (void)a;
    union xmm r = mix_columns_back(vector_xmm(b));
    return vector_get(&r);
}

/* --- By the host ------------------------------------------------------------------------------ */

// clang-format off
ASM_LEAF(aesenc) ASM_LEAF(aesenclast) ASM_LEAF(aesdec) ASM_LEAF(aesdeclast) ASM_LEAF(aesimc)

static bool host_aes(const struct cpu *c)
{
    return !c->engine.plain && __builtin_cpu_supports("aes");
}

/* --- The instructions ------------------------------------------------------------------------- */

#define AES(name, vex) \
    void exec_##name(struct cpu *c, const struct insn *in) \
    { \
        packed_xmm(c, in, 16, host_aes(c) ? name##_leaf : soft_##name); \
    } \
    void exec_v##name(struct cpu *c, const struct insn *in) \
    { \
        vex(c, in, host_aes(c) ? name##_leaf : soft_##name); \
    }
AES(aesenc, vex_binary) AES(aesenclast, vex_binary) AES(aesdec, vex_binary) AES(aesdeclast, vex_binary)
AES(aesimc, vex_unary)
    // clang-format on

    static u32 substitute_word(u32 v)
{
    return (u32)sbox[v & 0xff] | (u32)sbox[v >> 8 & 0xff] << 8 | (u32)sbox[v >> 16 & 0xff] << 16 |
           (u32)sbox[v >> 24] << 24;
}

/* Rotates to the right by a byte, and adds the round's constant. */
static u32 rotated(u32 v, u32 constant)
{
    return (v >> 8 | v << 24) ^ constant;
}

static union xmm keygen(union xmm s, u8 constant)
{
    u32 x1 = substitute_word(s.d[1]), x3 = substitute_word(s.d[3]);
    return (union xmm){.d = {x1, rotated(x1, constant), x3, rotated(x3, constant)}};
}

void exec_aeskeygenassist(struct cpu *c, const struct insn *in)
{
    union xmm s = read_xmm(c, in, 1, 16);
    c->arch.vector[in->o[0].reg].xmm = keygen(s, (u8)in->imm);
}

void exec_vaeskeygenassist(struct cpu *c, const struct insn *in)
{
    union ymm s = read_ymm(c, in, 1, 16);
    write_xmm(c, in->o[0].reg, keygen(s.lane[0], (u8)in->imm));
}
