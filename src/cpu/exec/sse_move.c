/* SPDX-License-Identifier: Apache-2.0 */
/* Moves between registers and memory, shuffles, inserts and extracts, from MMX and SSE to SSE4.1.
 * Nothing here computes. */
#include "cpu/exec/sse_shuffle.h"

/* --- 16 bytes --------------------------------------------------------------------------------- */

void exec_mov128(struct cpu *c, const struct insn *in)
{
    if (in->o[0].kind == OPERAND_MEM)
        store_xmm(c, operand_address(c, in, 16, true), &c->arch.vector[in->o[1].reg].xmm);
    else
        c->arch.vector[in->o[0].reg].xmm = read_xmm(c, in, 1, 16);
}

/* --- 4 and 8 bytes, any register file: the destination is zero-extended ----------------------- */

static void move_scalar(struct cpu *c, const struct insn *in, u32 size)
{
    const struct operand *d = &in->o[0], *s = &in->o[1];
    u64 v;
    if (s->kind == OPERAND_MEM)
        v = load(c, operand_address(c, in, size, false), size);
    else if (s->kind == OPERAND_XMM)
        v = c->arch.vector[s->reg].xmm.q[0];
    else if (s->kind == OPERAND_MMX)
        v = mmx_get(c, s->reg);
    else
        v = c->arch.r[s->reg];
    if (size == 4)
        v = (u32)v;

    if (d->kind == OPERAND_MEM)
        store(c, operand_address(c, in, size, true), size, v);
    if (d->kind == OPERAND_MMX || s->kind == OPERAND_MMX)
        mmx_enter(c);
    if (d->kind == OPERAND_XMM)
        c->arch.vector[d->reg].xmm = (union xmm){.q = {v, 0}};
    else if (d->kind == OPERAND_MMX)
        mmx_put(c, d->reg, v);
    else if (d->kind != OPERAND_MEM)
        gpr_write(c, d->reg, size, v);
}

// clang-format off
#define MOVE_SCALAR(name, size) \
    void exec_##name(struct cpu *c, const struct insn *in) { move_scalar(c, in, size); }
MOVE_SCALAR(movd, rex_w(in) ? 8 : 4) MOVE_SCALAR(mmx_movd, rex_w(in) ? 8 : 4)
MOVE_SCALAR(movq, 8) MOVE_SCALAR(mmx_movq, 8) MOVE_SCALAR(movq2dq, 8) MOVE_SCALAR(movdq2q, 8)
// clang-format on

/* A load clears the rest of the register, a register move keeps it. */
static void move_low(struct cpu *c, const struct insn *in, u32 size)
{
    const struct operand *d = &in->o[0], *s = &in->o[1];
    if (d->kind == OPERAND_MEM)
        store(c, operand_address(c, in, size, true), size, c->arch.vector[s->reg].xmm.q[0]);
    else if (s->kind == OPERAND_MEM)
        c->arch.vector[d->reg].xmm = read_xmm(c, in, 1, size);
    else
        memcpy(&c->arch.vector[d->reg].xmm, &c->arch.vector[s->reg].xmm, size);
}

void exec_movss(struct cpu *c, const struct insn *in)
{
    move_low(c, in, 4);
}

void exec_movsd(struct cpu *c, const struct insn *in)
{
    move_low(c, in, 8);
}

/* Moves one half to or from memory and keeps the other half (MOVLPS and similar). The register
 * forms of the opcodes are MOVHLPS and MOVLHPS. */
static void move_half(struct cpu *c, const struct insn *in, u32 half)
{
    const struct operand *d = &in->o[0], *s = &in->o[1];
    if (d->kind == OPERAND_MEM)
        store(c, operand_address(c, in, 8, true), 8, c->arch.vector[s->reg].xmm.q[half]);
    else if (s->kind == OPERAND_MEM)
        c->arch.vector[d->reg].xmm.q[half] = load(c, operand_address(c, in, 8, false), 8);
    else
        c->arch.vector[d->reg].xmm.q[half] = c->arch.vector[s->reg].xmm.q[1 - half];
}

// clang-format off
#define MOVE_HALF(name, half) \
    void exec_##name(struct cpu *c, const struct insn *in) { move_half(c, in, half); }
MOVE_HALF(movlps, 0) MOVE_HALF(movhlps, 0) MOVE_HALF(movhps, 1) MOVE_HALF(movlhps, 1)
// clang-format on

/* --- Masks ------------------------------------------------------------------------------------ */

void exec_movmskps(struct cpu *c, const struct insn *in)
{
    __m128i v = vector_get(&c->arch.vector[in->o[1].reg].xmm);
    gpr_write(c, in->o[0].reg, 4, (u32)_mm_movemask_ps(_mm_castsi128_ps(v)));
}

void exec_movmskpd(struct cpu *c, const struct insn *in)
{
    __m128i v = vector_get(&c->arch.vector[in->o[1].reg].xmm);
    gpr_write(c, in->o[0].reg, 4, (u32)_mm_movemask_pd(_mm_castsi128_pd(v)));
}

void exec_pmovmskb(struct cpu *c, const struct insn *in)
{
    __m128i v = vector_get(&c->arch.vector[in->o[1].reg].xmm);
    gpr_write(c, in->o[0].reg, 4, (u32)_mm_movemask_epi8(v));
}

void exec_mmx_pmovmskb(struct cpu *c, const struct insn *in)
{
    mmx_enter(c);
    __m128i v = _mm_set_epi64x(0, (s64)mmx_get(c, in->o[1].reg));
    gpr_write(c, in->o[0].reg, 4, (u32)_mm_movemask_epi8(v));
}

/* Writes to seg:rDI the bytes whose mask byte has its top bit set; the others are not accessed and
 * cannot fault. */
static void mask_move(struct cpu *c, const struct insn *in, const u8 *data, const u8 *mask,
                      u32 size)
{
    u64 linear = operand_address(c, in, size, true);
    for (u32 i = 0; i < size; i++)
        if (mask[i] & 0x80)
            probe_write(c, linear + i, 1);
    for (u32 i = 0; i < size; i++)
        if (mask[i] & 0x80)
            store(c, linear + i, 1, data[i]);
}

void exec_maskmovdqu(struct cpu *c, const struct insn *in)
{
    mask_move(c, in, c->arch.vector[in->o[0].reg].xmm.b, c->arch.vector[in->o[1].reg].xmm.b, 16);
}

void exec_maskmovq(struct cpu *c, const struct insn *in)
{
    u64 data = mmx_get(c, in->o[0].reg), mask = mmx_get(c, in->o[1].reg);
    mask_move(c, in, (const u8 *)&data, (const u8 *)&mask, 8);
    mmx_enter(c);
}

/* --- Shuffles --------------------------------------------------------------------------------- */

/* Runs an operation that imm8 controls on a register and 16 bytes of a register or memory. */
INLINE void shuffle(struct cpu *c, const struct insn *in, imm_fn *leaf)
{
    union xmm b = read_xmm(c, in, 1, 16);
    union xmm *d = &c->arch.vector[in->o[0].reg].xmm;
    *d = leaf(*d, b, (u8)in->imm);
}

// clang-format off
#define SHUFFLE(name) void exec_##name(struct cpu *c, const struct insn *in) { shuffle(c, in, name##_imm); }
SHUFFLE(pshufd) SHUFFLE(pshuflw) SHUFFLE(pshufhw) SHUFFLE(shufps) SHUFFLE(shufpd) SHUFFLE(movsldup) SHUFFLE(movshdup)
SHUFFLE(blendps) SHUFFLE(blendpd) SHUFFLE(pblendw) SHUFFLE(palignr) SHUFFLE(mpsadbw) SHUFFLE(phminposuw)
// clang-format on

void exec_pshufw(struct cpu *c, const struct insn *in)
{
    u64 s = read_mmx(c, in, 1, 8), d = 0;
    for (u32 i = 0; i < 4; i++)
        d |= ((s >> (16 * ((in->imm >> (2 * i)) & 3))) & 0xffff) << (16 * i);
    mmx_enter(c);
    mmx_put(c, in->o[0].reg, d);
}

void exec_movddup(struct cpu *c, const struct insn *in)
{
    u64 v = read_xmm(c, in, 1, 8).q[0];
    c->arch.vector[in->o[0].reg].xmm = (union xmm){.q = {v, v}};
}

/* --- Inserts and extracts: imm8 selects the element ------------------------------------------- */

/* Reads the source of PINSRx: the low bytes of a general register, or memory. */
static u64 insert_source(struct cpu *c, const struct insn *in, u32 size)
{
    if (in->o[1].kind == OPERAND_MEM)
        return load(c, operand_address(c, in, size, false), size);
    return c->arch.r[in->o[1].reg];
}

void exec_pinsrw(struct cpu *c, const struct insn *in)
{
    c->arch.vector[in->o[0].reg].xmm.w[in->imm & 7] = (u16)insert_source(c, in, 2);
}

void exec_mmx_pinsrw(struct cpu *c, const struct insn *in)
{
    u64 v = insert_source(c, in, 2) & 0xffff;
    u32 shift = 16 * (in->imm & 3);
    u8 reg = in->o[0].reg;
    mmx_enter(c);
    mmx_put(c, reg, (mmx_get(c, reg) & ~(0xffffull << shift)) | v << shift);
}

void exec_pinsrb(struct cpu *c, const struct insn *in)
{
    c->arch.vector[in->o[0].reg].xmm.b[in->imm & 15] = (u8)insert_source(c, in, 1);
}

void exec_pinsrd(struct cpu *c, const struct insn *in)
{
    if (rex_w(in))
        c->arch.vector[in->o[0].reg].xmm.q[in->imm & 1] = insert_source(c, in, 8);
    else
        c->arch.vector[in->o[0].reg].xmm.d[in->imm & 3] = (u32)insert_source(c, in, 4);
}

/* Writes an element to memory, or zero-extended to a general register. */
static void extract(struct cpu *c, const struct insn *in, u32 size, u64 v)
{
    if (in->o[0].kind == OPERAND_MEM)
        store(c, operand_address(c, in, size, true), size, v);
    else
        gpr_write(c, in->o[0].reg, size == 8 ? 8 : 4, v);
}

void exec_pextrw(struct cpu *c, const struct insn *in)
{
    extract(c, in, 2, c->arch.vector[in->o[1].reg].xmm.w[in->imm & 7]);
}

void exec_mmx_pextrw(struct cpu *c, const struct insn *in)
{
    mmx_enter(c);
    gpr_write(c, in->o[0].reg, 4, (mmx_get(c, in->o[1].reg) >> (16 * (in->imm & 3))) & 0xffff);
}

void exec_pextrb(struct cpu *c, const struct insn *in)
{
    extract(c, in, 1, c->arch.vector[in->o[1].reg].xmm.b[in->imm & 15]);
}

void exec_pextrd(struct cpu *c, const struct insn *in)
{
    const union xmm *s = &c->arch.vector[in->o[1].reg].xmm;
    if (rex_w(in))
        extract(c, in, 8, s->q[in->imm & 1]);
    else
        extract(c, in, 4, s->d[in->imm & 3]);
}

void exec_extractps(struct cpu *c, const struct insn *in)
{
    extract(c, in, 4, c->arch.vector[in->o[1].reg].xmm.d[in->imm & 3]);
}

void exec_insertps(struct cpu *c, const struct insn *in)
{
    union xmm *d = &c->arch.vector[in->o[0].reg].xmm;
    union xmm s = read_xmm(c, in, 1, 4);
    u32 imm = in->o[1].kind == OPERAND_MEM ? in->imm & 0x3f : (u8)in->imm;
    *d = insertps_imm(*d, s, imm);
}
