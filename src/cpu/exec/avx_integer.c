/* SPDX-License-Identifier: Apache-2.0 */
/* The packed integers of AVX and AVX2, from the tables of the legacy instructions. */
#include "cpu/exec/avx.h"
#include "cpu/exec/sse_lanes.h"

// clang-format off
#define BINARY(name, leaf) void exec_v##name(struct cpu *c, const struct insn *in) { vex_binary(c, in, leaf); }
#undef LANES
#undef XMM_ONLY
#define LANES(name, expression)            LEAF(name, expression) BINARY(name, name##_leaf)
#define XMM_ONLY(name, expression)         LANES(name, expression)
#define UNPACK_LOW(name, expression)       LANES(name, expression)
#define UNPACK_HIGH(name, expression, low) LANES(name, expression)
#define PACK(name, pack)                   LANES(name, pack(a, b))
#define SHIFT(name, leaf_function) \
    LEAF(name, leaf_function(a, b)) \
    void exec_v##name(struct cpu *c, const struct insn *in) { vex_shift(c, in, name##_leaf); }

/* By the low quadword of the last operand, or by imm8: the same count for both lanes. */
INLINE void vex_shift(struct cpu *c, const struct insn *in, vector_fn *leaf)
{
    union ymm count = {.q = {(u8)in->imm}}, a = register_ymm(c, in->o[1].reg), r;
    if (in->o[2].kind != OPERAND_IMM)
        count = read_ymm(c, in, 2, 16);
    for (u32 i = 0; i < vex_lanes(in); i++)
        r.lane[i] = vector_xmm(leaf(vector_get(&a.lane[i]), vector_get(&count.lane[0])));
    write_ymm(c, in->o[0].reg, &r, vex_lanes(in));
}

#include "cpu/exec/packed.def"

#define LOOP_BINARY(name, lane, lanes, expression) LOOP(name, lane, lanes, expression) BINARY(name, name##_loop)
#define LOOP_LANES  LOOP_BINARY
#define LOOP_HALVES LOOP_BINARY
#define LOOP_XMM    LOOP_BINARY
#define LOOP_UNARY(name, lane, lanes, expression) \
    LOOP(name, lane, lanes, expression) \
    void exec_v##name(struct cpu *c, const struct insn *in) { vex_unary(c, in, name##_loop); }
#define WIDEN(name, size, to, lanes, expression) \
    LOOP(name, to, lanes, expression) \
    void exec_v##name(struct cpu *c, const struct insn *in) { vex_widen(c, in, size, name##_loop); }
#include "cpu/exec/lanes.def"
BINARY(pshufb, pshufb_loop)

/* Each element by a count of its own. */
LOOP_BINARY(psllvd, d, 4, b.d[i] < 32 ? a.d[i] << b.d[i] : 0)
LOOP_BINARY(psllvq, q, 2, b.q[i] < 64 ? a.q[i] << b.q[i] : 0)
LOOP_BINARY(psrlvd, d, 4, b.d[i] < 32 ? a.d[i] >> b.d[i] : 0)
LOOP_BINARY(psrlvq, q, 2, b.q[i] < 64 ? a.q[i] >> b.q[i] : 0)
LOOP_BINARY(psravd, d, 4, (s32)a.d[i] >> (b.d[i] < 32 ? b.d[i] : 31))
// clang-format on

/* --- Tests: ZF if the bits in common are zero, CF if those of the second alone are ------------ */

static void test_bits(struct cpu *c, const struct insn *in, u64 bits)
{
    union ymm b = read_ymm(c, in, 1, in->vl), a = register_ymm(c, in->o[0].reg);
    u64 common = 0, alone = 0;
    for (u32 i = 0; i < in->vl / 8u; i++) {
        common |= a.q[i] & b.q[i] & bits;
        alone |= ~a.q[i] & b.q[i] & bits;
    }
    bool zf = !common, cf = !alone;
    flags_set(c, (zf ? RFLAGS_ZF : 0) | (cf ? RFLAGS_CF : 0));
}

void exec_vptest(struct cpu *c, const struct insn *in)
{
    test_bits(c, in, ~0ull);
}

void exec_vtestps(struct cpu *c, const struct insn *in)
{
    test_bits(c, in, BIT(63) | BIT(31));
}

void exec_vtestpd(struct cpu *c, const struct insn *in)
{
    test_bits(c, in, BIT(63));
}
