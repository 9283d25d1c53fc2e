/* SPDX-License-Identifier: Apache-2.0 */
/* AVX and AVX2 without arithmetic: moves, masked moves, gathers, shuffles, permutations, inserts
 * and extracts. */
#include "cpu/exec/avx.h"
#include "cpu/exec/sse_shuffle.h"

/* --- Whole vectors ---------------------------------------------------------------------------- */

void exec_vmov(struct cpu *c, const struct insn *in)
{
    if (in->o[0].kind == OPERAND_MEM) {
        store_ymm(c, operand_address(c, in, in->vl, true), &c->arch.vector[in->o[1].reg], in->vl);
        return;
    }
    union ymm v = read_ymm(c, in, 1, in->vl);
    write_ymm(c, in->o[0].reg, &v, vex_lanes(in));
}

/* Outside 64-bit mode the upper eight registers keep their values. */
static u32 register_count(const struct cpu *c)
{
    return c->engine.mode & MODE_CODE64 ? 16 : 8;
}

void exec_vzeroupper(struct cpu *c, const struct insn *in)
{
    (void)in;
    for (u32 i = 0; i < register_count(c); i++)
        memset(&c->arch.vector[i].lane[1], 0, VECTOR_BYTES - 16);
}

void exec_vzeroall(struct cpu *c, const struct insn *in)
{
    (void)in;
    memset(c->arch.vector, 0, register_count(c) * sizeof c->arch.vector[0]);
}

/* --- Parts of an XMM register ----------------------------------------------------------------- */

/* VMOVSS, VMOVSD: memory forms have two operands; a register form merges two registers. */
static void move_low(struct cpu *c, const struct insn *in, u32 size)
{
    union xmm v = {.q = {0}};
    if (in->o[0].kind == OPERAND_MEM) {
        store(c, operand_address(c, in, size, true), size, c->arch.vector[in->o[1].reg].xmm.q[0]);
        return;
    }
    if (in->o[1].kind == OPERAND_MEM) {
        v.q[0] = load(c, operand_address(c, in, size, false), size);
    } else {
        v = c->arch.vector[in->o[1].reg].xmm;
        memcpy(&v, &c->arch.vector[in->o[2].reg].xmm, size);
    }
    write_xmm(c, in->o[0].reg, v);
}

void exec_vmovss(struct cpu *c, const struct insn *in)
{
    move_low(c, in, 4);
}

void exec_vmovsd(struct cpu *c, const struct insn *in)
{
    move_low(c, in, 8);
}

static void move_half(struct cpu *c, const struct insn *in, u32 half)
{
    if (in->o[0].kind == OPERAND_MEM) {
        store(c, operand_address(c, in, 8, true), 8, c->arch.vector[in->o[1].reg].xmm.q[half]);
        return;
    }
    union xmm v = c->arch.vector[in->o[1].reg].xmm;
    v.q[half] = in->o[2].kind == OPERAND_MEM ? load(c, operand_address(c, in, 8, false), 8)
                                             : c->arch.vector[in->o[2].reg].xmm.q[1 - half];
    write_xmm(c, in->o[0].reg, v);
}

// clang-format off
#define MOVE_HALF(name, half) \
    void exec_v##name(struct cpu *c, const struct insn *in) { move_half(c, in, half); }
MOVE_HALF(movlps, 0) MOVE_HALF(movhlps, 0) MOVE_HALF(movhps, 1) MOVE_HALF(movlhps, 1)

/* What the legacy instruction does, and the bits above a vector result become zero. */
#define AS_LEGACY(name, to) \
    void exec_v##name(struct cpu *c, const struct insn *in) \
    { \
        exec_##name(c, in); \
        if ((to)->kind == OPERAND_XMM) \
            memset(&c->arch.vector[(to)->reg].lane[1], 0, VECTOR_BYTES - 16); \
    }
static const struct operand xmm_zero = {.kind = OPERAND_XMM, .reg = 0};
AS_LEGACY(movd, &in->o[0]) AS_LEGACY(movq, &in->o[0]) AS_LEGACY(phminposuw, &in->o[0])
AS_LEGACY(pcmpestrm, &xmm_zero) AS_LEGACY(pcmpistrm, &xmm_zero)

/* A mask of the top bit of each element. */
#define MOVE_MASK(name, lane, lanes, top) \
    void exec_v##name(struct cpu *c, const struct insn *in) \
    { \
        union ymm v = register_ymm(c, in->o[1].reg); \
        u32 mask = 0; \
        for (u32 i = 0; i < lanes * vex_lanes(in); i++) \
            mask |= (u32)(v.lane[i] >> top) << i; \
        gpr_write(c, in->o[0].reg, 4, mask); \
    }
MOVE_MASK(movmskps, d, 4, 31) MOVE_MASK(movmskpd, q, 2, 63) MOVE_MASK(pmovmskb, b, 16, 7)
    // clang-format on

    /* --- Masked moves: elements whose mask has its top bit clear are not accessed
       ----------------- */

    static bool element_chosen(const union ymm *mask, u32 i, u32 size)
{
    return mask->b[(i + 1) * size - 1] & 0x80;
}

/* Returns the address of an element, whose segment checks are its own. */
static u64 element_address(struct cpu *c, const struct insn *in, u64 offset, u32 size, bool write)
{
    u64 mask = in->addrsize == 8 ? ~0ull : BIT(8 * in->addrsize) - 1;
    return linear_address(c, in->segment, offset & mask, size, write);
}

static void masked_load(struct cpu *c, const struct insn *in, u32 size)
{
    union ymm mask = register_ymm(c, in->o[1].reg), v = {.q = {0}};
    u64 offset = operand_offset(c, in);
    for (u32 i = 0; i < in->vl / size; i++) {
        if (!element_chosen(&mask, i, size))
            continue;
        u64 element = load(c, element_address(c, in, offset + i * size, size, false), size);
        memcpy(v.b + i * size, &element, size);
    }
    write_ymm(c, in->o[0].reg, &v, vex_lanes(in));
}

static void masked_store(struct cpu *c, const struct insn *in, u32 size)
{
    union ymm mask = register_ymm(c, in->o[1].reg), v = register_ymm(c, in->o[2].reg);
    u64 offset = operand_offset(c, in);
    for (u32 i = 0; i < in->vl / size; i++)
        if (element_chosen(&mask, i, size))
            probe_write(c, element_address(c, in, offset + i * size, size, true), size);
    for (u32 i = 0; i < in->vl / size; i++) {
        u64 element = 0;
        memcpy(&element, v.b + i * size, size);
        if (element_chosen(&mask, i, size))
            store(c, element_address(c, in, offset + i * size, size, true), size, element);
    }
}

static void masked_move(struct cpu *c, const struct insn *in, u32 size)
{
    if (in->o[0].kind == OPERAND_MEM)
        masked_store(c, in, size);
    else
        masked_load(c, in, size);
}

void exec_vmaskmov4(struct cpu *c, const struct insn *in)
{
    masked_move(c, in, 4);
}

void exec_vmaskmov8(struct cpu *c, const struct insn *in)
{
    masked_move(c, in, 8);
}

/* Returns the address of one element of a gather. */
static u64 gather_address(struct cpu *c, const struct insn *in, const union ymm *index, u32 i,
                          bool wide)
{
    u64 scaled = (wide ? index->q[i] : (u64)(s64)(s32)index->d[i]) << in->scale;
    return element_address(c, in, c->arch.r[in->base] + scaled + (u64)in->disp, in->o[1].size,
                           false);
}

/* An element that is loaded clears its mask, so that the instruction goes on from there after a
 * fault [APM4 VGATHERDPS]. Destination, index and mask are three registers. */
void exec_vgather(struct cpu *c, const struct insn *in)
{
    u32 size = in->o[1].size;
    bool wide = in->opcode & 1; /* indexes of 64 bits */
    u32 count = in->vl / (wide || size == 8 ? 8u : 4u);
    union vector_register *to = &c->arch.vector[in->o[0].reg];
    union vector_register *mask = &c->arch.vector[in->o[2].reg];
    const union ymm index = register_ymm(c, in->vector_index);
    union ymm chosen = register_ymm(c, in->o[2].reg);
    for (u32 i = 0; i < in->vl / size; i++) {
        bool all = element_chosen(&chosen, i, size);
        memset(mask->b + i * size, all ? 0xff : 0, size);
    }
    memset(mask->b + in->vl, 0, VECTOR_BYTES - in->vl);
    for (u32 i = 0; i < count; i++) {
        if (!element_chosen(&chosen, i, size))
            continue;
        u64 v = load(c, gather_address(c, in, &index, i, wide), size);
        memcpy(to->b + i * size, &v, size);
        memset(to->b + in->vl, 0, VECTOR_BYTES - in->vl);
        memset(mask->b + i * size, 0, size);
    }
    memset(to->b + count * size, 0, VECTOR_BYTES - count * size);
    memset(mask, 0, sizeof *mask);
}

/* --- Shuffles, lane by lane; the second lane of some has its own bits of imm8 ----------------- */

INLINE void vex_imm(struct cpu *c, const struct insn *in, u32 second, imm_fn *leaf)
{
    u32 last = in->operands > 2 && in->o[2].kind != OPERAND_IMM ? 2 : 1;
    union ymm b = read_ymm(c, in, last, in->vl), a = register_ymm(c, in->o[1].reg), r;
    for (u32 i = 0; i < vex_lanes(in); i++)
        r.lane[i] = leaf(a.lane[i], b.lane[i], (u8)in->imm >> (i * second));
    write_ymm(c, in->o[0].reg, &r, vex_lanes(in));
}

// clang-format off
#define SHUFFLE(name, second) \
    void exec_v##name(struct cpu *c, const struct insn *in) { vex_imm(c, in, second, name##_imm); }
SHUFFLE(pshufd, 0) SHUFFLE(pshuflw, 0) SHUFFLE(pshufhw, 0) SHUFFLE(shufps, 0) SHUFFLE(shufpd, 2) SHUFFLE(palignr, 0)
SHUFFLE(mpsadbw, 3) SHUFFLE(blendps, 4) SHUFFLE(blendpd, 2) SHUFFLE(pblendw, 0) SHUFFLE(movsldup, 0) SHUFFLE(movshdup, 0)
SHUFFLE(pslldq, 0) SHUFFLE(psrldq, 0)

#define BLEND(name, lane, lanes, top) \
    void exec_v##name(struct cpu *c, const struct insn *in) \
    { \
        union ymm r = read_ymm(c, in, 2, in->vl), a = register_ymm(c, in->o[1].reg); \
        union ymm mask = register_ymm(c, in->o[3].reg); \
        for (u32 i = 0; i < lanes * vex_lanes(in); i++) \
            if (!(mask.lane[i] >> top)) \
                r.lane[i] = a.lane[i]; \
        write_ymm(c, in->o[0].reg, &r, vex_lanes(in)); \
    }
BLEND(pblendvb, b, 16, 7)  BLEND(blendvps, d, 4, 31)  BLEND(blendvpd, q, 2, 63)

/* Permutes within lanes, by the elements of the last operand or by imm8. */
#define PERMUTE(name, lane, lanes, selected, imm_leaf, second) \
    void exec_v##name(struct cpu *c, const struct insn *in) \
    { \
        if (in->o[2].kind == OPERAND_IMM) { \
            vex_imm(c, in, second, imm_leaf); \
            return; \
        } \
        union ymm b = read_ymm(c, in, 2, in->vl), a = register_ymm(c, in->o[1].reg), r; \
        for (u32 i = 0; i < lanes * vex_lanes(in); i++) \
            r.lane[i] = a.lane[(i & ~(lanes - 1u)) + (selected)]; \
        write_ymm(c, in->o[0].reg, &r, vex_lanes(in)); \
    }
PERMUTE(permilps, d, 4, b.d[i] & 3, pshufd_imm, 0)
PERMUTE(permilpd, q, 2, b.q[i] >> 1 & 1, permilpd_imm, 2)
// clang-format on

void exec_vmovddup(struct cpu *c, const struct insn *in)
{
    union ymm b = read_ymm(c, in, 1, in->o[1].size);
    for (u32 i = 0; i < vex_lanes(in); i++)
        b.lane[i] = movddup_imm(b.lane[i], b.lane[i], 0);
    write_ymm(c, in->o[0].reg, &b, vex_lanes(in));
}

/* --- Across lanes ----------------------------------------------------------------------------- */

void exec_vpermd(struct cpu *c, const struct insn *in)
{
    union ymm b = read_ymm(c, in, 2, 32), which = register_ymm(c, in->o[1].reg), r;
    for (u32 i = 0; i < 8; i++)
        r.d[i] = b.d[which.d[i] & 7];
    write_ymm(c, in->o[0].reg, &r, YMM_LANES);
}

void exec_vpermq(struct cpu *c, const struct insn *in)
{
    union ymm b = read_ymm(c, in, 1, 32), r;
    for (u32 i = 0; i < 4; i++)
        r.q[i] = b.q[in->imm >> (2 * i) & 3];
    write_ymm(c, in->o[0].reg, &r, YMM_LANES);
}

/* Each lane of the result: bits 1:0 of its half of imm8 select one of four lanes, bit 3 zeros. */
void exec_vperm2(struct cpu *c, const struct insn *in)
{
    union ymm b = read_ymm(c, in, 2, 32), a = register_ymm(c, in->o[1].reg), r = {.q = {0}};
    for (u32 i = 0; i < YMM_LANES; i++) {
        u32 control = (u32)(in->imm >> (4 * i));
        if (!(control & 8))
            r.lane[i] = (control & 2 ? b : a).lane[control & 1];
    }
    write_ymm(c, in->o[0].reg, &r, YMM_LANES);
}

void exec_vinsert128(struct cpu *c, const struct insn *in)
{
    union ymm b = read_ymm(c, in, 2, 16), r = register_ymm(c, in->o[1].reg);
    r.lane[in->imm & 1] = b.lane[0];
    write_ymm(c, in->o[0].reg, &r, YMM_LANES);
}

void exec_vextract128(struct cpu *c, const struct insn *in)
{
    union xmm v = c->arch.vector[in->o[1].reg].lane[in->imm & 1];
    if (in->o[0].kind == OPERAND_MEM)
        store_ymm(c, operand_address(c, in, 16, true), &v, 16);
    else
        write_xmm(c, in->o[0].reg, v);
}

void exec_vbroadcast(struct cpu *c, const struct insn *in)
{
    u32 size = in->o[1].size;
    union ymm b = read_ymm(c, in, 1, size), r;
    for (u32 at = 0; at < in->vl; at += size)
        memcpy(r.b + at, &b, size);
    write_ymm(c, in->o[0].reg, &r, vex_lanes(in));
}

/* --- Inserts: imm8 selects the element -------------------------------------------------------- */

static void insert(struct cpu *c, const struct insn *in, u32 size)
{
    u64 v = in->o[2].kind == OPERAND_MEM ? load(c, operand_address(c, in, size, false), size)
                                         : c->arch.r[in->o[2].reg];
    union xmm r = c->arch.vector[in->o[1].reg].xmm;
    memcpy(r.b + size * (in->imm & (16 / size - 1)), &v, size);
    write_xmm(c, in->o[0].reg, r);
}

void exec_vpinsrb(struct cpu *c, const struct insn *in)
{
    insert(c, in, 1);
}

void exec_vpinsrw(struct cpu *c, const struct insn *in)
{
    insert(c, in, 2);
}

void exec_vpinsrd(struct cpu *c, const struct insn *in)
{
    insert(c, in, rex_w(in) ? 8 : 4);
}

void exec_vinsertps(struct cpu *c, const struct insn *in)
{
    union ymm b = read_ymm(c, in, 2, 4);
    u32 imm = in->o[2].kind == OPERAND_MEM ? in->imm & 0x3f : (u8)in->imm;
    write_xmm(c, in->o[0].reg, insertps_imm(c->arch.vector[in->o[1].reg].xmm, b.lane[0], imm));
}
