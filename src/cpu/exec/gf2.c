/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic over GF(2): PCLMULQDQ, and GFNI in AES's field of 256 elements [APM4, SDM2]. */
#include "cpu/exec/avx.h"
#include "cpu/exec/sse_shuffle.h"

/* --- Carry-less multiplication: imm8 0 selects the quadword of a, imm8 4 that of b ------------ */

static union xmm soft_pclmul(union xmm a, union xmm b, u32 imm)
{
    u64 x = a.q[imm & 1], y = b.q[imm >> 4 & 1];
    u128 product = 0;
    for (u32 i = 0; i < 64; i++)
        if (y >> i & 1)
            product ^= (u128)x << i;
    return (union xmm){.q = {(u64)product, (u64)(product >> 64)}};
}

static union xmm host_pclmul(union xmm a, union xmm b, u32 imm)
{
    /* the host's instruction has its own immediate: the low quadwords */
    __m128i x = _mm_cvtsi64_si128((s64)a.q[imm & 1]);
    __m128i y = _mm_cvtsi64_si128((s64)b.q[imm >> 4 & 1]);
    __asm__("pclmulqdq $0, %1, %0" : "+x"(x) : "x"(y));
    return vector_xmm(x);
}

static imm_fn *pclmul_of(const struct cpu *c)
{
    return !c->engine.plain && __builtin_cpu_supports("pclmul") ? host_pclmul : soft_pclmul;
}

/* --- GF(2^8) ---------------------------------------------------------------------------------- */

static u8 product_of(u8 a, u8 b)
{
    u32 r = 0;
    for (u32 i = 0; i < 8; i++)
        r ^= b >> i & 1 ? (u32)a << i : 0;
    for (u32 i = 14; i >= 8; i--)
        r ^= r >> i & 1 ? 0x11bu << (i - 8) : 0;
    return (u8)r;
}

/* a^254, by squaring: the inverse, and zero of zero. */
static u8 inverse_of(u8 a)
{
    u8 square = a, r = 1;
    for (u32 i = 0; i < 7; i++) {
        square = product_of(square, square);
        r = product_of(r, square);
    }
    return r;
}

static union xmm soft_gf2p8mulb(union xmm a, union xmm b, u32 imm)
{
    (void)imm;
    for (u32 i = 0; i < 16; i++)
        a.b[i] = product_of(a.b[i], b.b[i]);
    return a;
}

/* Multiplies each byte of a quadword by the bit matrix in the quadword of b; row i of the result is
 * byte 7 - i of the matrix. */
static u8 affine(u8 byte, u64 matrix, u8 constant)
{
    u32 r = 0;
    for (u32 i = 0; i < 8; i++) {
        u32 row = (u32)(matrix >> (8 * (7 - i))) & 0xff;
        r |= (u32)__builtin_parity(row & byte) << i;
    }
    return (u8)r ^ constant;
}

static union xmm soft_gf2p8affineqb(union xmm a, union xmm b, u32 imm)
{
    for (u32 i = 0; i < 16; i++)
        a.b[i] = affine(a.b[i], b.q[i / 8], (u8)imm);
    return a;
}

static union xmm soft_gf2p8affineinvqb(union xmm a, union xmm b, u32 imm)
{
    for (u32 i = 0; i < 16; i++)
        a.b[i] = affine(inverse_of(a.b[i]), b.q[i / 8], (u8)imm);
    return a;
}

/* --- The instructions ------------------------------------------------------------------------- */

static void legacy(struct cpu *c, const struct insn *in, imm_fn *leaf)
{
    union xmm b = read_xmm(c, in, 1, 16);
    union xmm *d = &c->arch.vector[in->o[0].reg].xmm;
    *d = leaf(*d, b, (u8)in->imm);
}

static void vex(struct cpu *c, const struct insn *in, imm_fn *leaf)
{
    union ymm b = read_ymm(c, in, 2, in->vl), r = register_ymm(c, in->o[1].reg);
    for (u32 i = 0; i < vex_lanes(in); i++)
        r.lane[i] = leaf(r.lane[i], b.lane[i], (u8)in->imm);
    write_ymm(c, in->o[0].reg, &r, vex_lanes(in));
}

// clang-format off
#define GF2(name, leaf) \
    void exec_##name(struct cpu *c, const struct insn *in) { legacy(c, in, leaf); } \
    void exec_v##name(struct cpu *c, const struct insn *in) { vex(c, in, leaf); }
GF2(pclmulqdq, pclmul_of(c)) GF2(gf2p8mulb, soft_gf2p8mulb)
GF2(gf2p8affineqb, soft_gf2p8affineqb) GF2(gf2p8affineinvqb, soft_gf2p8affineinvqb)
    // clang-format on
