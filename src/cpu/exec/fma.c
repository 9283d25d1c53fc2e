/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FMA and F16C. A host with FMA executes the same instruction on each lane, like all other floating
 * point (sse_float.c); on any other host soft_float.c computes it.
 */
#include "cpu/exec/avx.h"
#include "cpu/exec/soft_float.h"

/* --- FMA by the host: the operands keep their places, which decide about NaNs ----------------- */

// clang-format off
#define FMA_CASE(number, name) \
    case number: __asm__ volatile(#name " %2, %1, %0" : "+x"(a) : "x"(b), "x"(v)); break;
/* Opcode with VEX.W in bit 8. */
#define FMA_PACKED(digit, name) \
    FMA_CASE(0x090 | (digit), name##132ps) FMA_CASE(0x190 | (digit), name##132pd) \
    FMA_CASE(0x0a0 | (digit), name##213ps) FMA_CASE(0x1a0 | (digit), name##213pd) \
    FMA_CASE(0x0b0 | (digit), name##231ps) FMA_CASE(0x1b0 | (digit), name##231pd)
#define FMA_ONE(digit, name) \
    FMA_CASE(0x090 | (digit), name##132ss) FMA_CASE(0x190 | (digit), name##132sd) \
    FMA_CASE(0x0a0 | (digit), name##213ss) FMA_CASE(0x1a0 | (digit), name##213sd) \
    FMA_CASE(0x0b0 | (digit), name##231ss) FMA_CASE(0x1b0 | (digit), name##231sd)

static __m128i host_fma(u32 which, __m128i a, __m128i b, __m128i v)
{
    switch (which) {
    FMA_PACKED(6, vfmaddsub) FMA_PACKED(7, vfmsubadd)
    FMA_PACKED(8, vfmadd)    FMA_ONE(9, vfmadd)
    FMA_PACKED(10, vfmsub)   FMA_ONE(11, vfmsub)
    FMA_PACKED(12, vfnmadd)  FMA_ONE(13, vfnmadd)
    FMA_PACKED(14, vfnmsub)  FMA_ONE(15, vfnmsub)
    }
    return a;
}
// clang-format on

/* --- FMA in integers -------------------------------------------------------------------------- */

static struct float_control control_of(const struct cpu *c)
{
    return (struct float_control){.rounding = c->arch.mxcsr >> 13 & 3,
                                  .daz = c->arch.mxcsr & MXCSR_DAZ,
                                  .ftz = c->arch.mxcsr & MXCSR_FZ && c->arch.mxcsr & MXCSR_UM};
}

/* What the last digit of the opcode says about element i. */
static struct float_negate negate_of(u8 opcode, u32 i)
{
    u32 digit = opcode & 15;
    if (digit < 8) /* FMADDSUB subtracts in even elements, FMSUBADD in odd ones */
        return (struct float_negate){.addend = (digit & 1) == (i & 1)};
    return (struct float_negate){.product = digit >= 12, .addend = digit & 2};
}

static u64 element_of(const union xmm *v, u32 i, bool wide)
{
    return wide ? v->q[i] : v->d[i];
}

static union xmm soft_fma(const struct cpu *c, const struct insn *in, const union xmm abv[3],
                          u32 elements, u32 *flags)
{
    /* for 132, 213 and 231: which operand is multiplied, by which, and added */
    static const u8 orders[3][3] = {{0, 2, 1}, {1, 0, 2}, {1, 2, 0}};
    const u8 *order = orders[(in->opcode >> 4) - 9];
    const struct float_format *f = in->vex_w ? &float_double : &float_single;
    union xmm r = abv[0];
    for (u32 i = 0; i < elements; i++) {
        u64 xyz[3];
        for (u32 n = 0; n < 3; n++)
            xyz[n] = element_of(&abv[order[n]], i, in->vex_w);
        u64 v = float_fma(f, xyz, negate_of(in->opcode, i), control_of(c), flags);
        if (in->vex_w)
            r.q[i] = v;
        else
            r.d[i] = (u32)v;
    }
    return r;
}

/* --- FMA -------------------------------------------------------------------------------------- */

static u32 fma_flags(struct cpu *c, const struct insn *in, const union ymm abv[3], u32 lanes,
                     u32 elements, union ymm *r)
{
    u32 flags = 0;
    if (c->engine.plain || !__builtin_cpu_supports("fma")) {
        for (u32 i = 0; i < lanes; i++)
            r->lane[i] = soft_fma(
                c, in, (const union xmm[3]){abv[0].lane[i], abv[1].lane[i], abv[2].lane[i]},
                elements, &flags);
        return flags;
    }
    fp_begin(c);
    for (u32 i = 0; i < lanes; i++)
        r->lane[i] =
            vector_xmm(host_fma(in->opcode | (u32)in->vex_w << 8, vector_get(&abv[0].lane[i]),
                                vector_get(&abv[1].lane[i]), vector_get(&abv[2].lane[i])));
    return fp_flags(c);
}

void exec_fma(struct cpu *c, const struct insn *in)
{
    bool wide = in->vex_w, scalar = (in->opcode & 9) == 9;
    u32 lanes = scalar ? 1 : vex_lanes(in), elements = scalar ? 1 : wide ? 2 : 4;
    union ymm abv[3], r;
    abv[2] = read_ymm(c, in, 2, scalar ? in->o[2].size : in->vl);
    abv[0] = register_ymm(c, in->o[0].reg);
    abv[1] = register_ymm(c, in->o[1].reg);
    u32 flags = fma_flags(c, in, abv, lanes, elements, &r);
    enum tiny tiny = scalar ? (wide ? TINY_SD : TINY_SS) : wide ? TINY_PD : TINY_PS;
    for (u32 i = 0; i < lanes && UNLIKELY(!(c->arch.mxcsr & MXCSR_UM)); i++)
        flags |= fp_tiny(&r.lane[i], tiny);
    fp_commit(c, flags);
    write_ymm(c, in->o[0].reg, &r, lanes);
}

/* --- F16C ------------------------------------------------------------------------------------- */

/* Every half is a single: nothing is rounded, and denormals are no exception. */
static u32 half_to_single(u16 half, u32 *flags)
{
    struct float_parts p = float_unpack(&float_half, half, false);
    u32 sign = (u32)p.sign << 31, nothing = 0;
    switch (p.class) {
    case FLOAT_ZERO:
        return sign;
    case FLOAT_FINITE:
        return (u32)float_round(&float_single, &p, (struct float_control){0}, &nothing);
    case FLOAT_INFINITY:
        return sign | 0x7f800000;
    default:
        *flags |= p.class == FLOAT_SIGNALING ? MXCSR_IE : 0;
        return sign | 0x7fc00000 | (u32)(half & 0x3ff) << 13;
    }
}

static u16 single_to_half(u32 single, struct float_control k, u32 *flags)
{
    struct float_parts p = float_unpack(&float_single, single, k.daz);
    u16 sign = (u16)(p.sign << 15);
    *flags |= p.denormal ? MXCSR_DE : 0;
    switch (p.class) {
    case FLOAT_ZERO:
        return sign;
    case FLOAT_FINITE:
        return (u16)float_round(&float_half, &p, k, flags);
    case FLOAT_INFINITY:
        return sign | 0x7c00;
    default:
        *flags |= p.class == FLOAT_SIGNALING ? MXCSR_IE : 0;
        return sign | 0x7e00 | (u16)(single >> 13 & 0x3ff);
    }
}

void exec_vcvtph2ps(struct cpu *c, const struct insn *in)
{
    union ymm s = read_ymm(c, in, 1, in->vl / 2u), r;
    u32 flags = 0;
    for (u32 i = 0; i < in->vl / 4u; i++)
        r.d[i] = half_to_single(s.w[i], &flags);
    fp_commit(c, flags);
    write_ymm(c, in->o[0].reg, &r, vex_lanes(in));
}

/* imm8 bits 1:0 are the rounding mode, unless bit 2 selects that of MXCSR. FZ has no effect. */
void exec_vcvtps2ph(struct cpu *c, const struct insn *in)
{
    union ymm s = register_ymm(c, in->o[1].reg), r = {.q = {0}};
    struct float_control k = control_of(c);
    u32 flags = 0, size = in->vl / 2u;
    k.ftz = false;
    if (!(in->imm & 4))
        k.rounding = in->imm & 3;
    for (u32 i = 0; i < in->vl / 4u; i++)
        r.w[i] = single_to_half(s.d[i], k, &flags);
    fp_commit(c, flags); /* flags stay even if the store faults */
    if (in->o[0].kind == OPERAND_MEM)
        store_ymm(c, operand_address(c, in, size, true), &r, size);
    else
        write_ymm(c, in->o[0].reg, &r, 1);
}
