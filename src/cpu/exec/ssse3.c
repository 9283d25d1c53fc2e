/* SPDX-License-Identifier: Apache-2.0 */
/* SSSE3 and the packed integers of SSE4.1 and SSE4.2: loops over lanes. */
#include "cpu/exec/sse_lanes.h"

// clang-format off
#define LOOP_LANES(name, lane, lanes, expression) \
    LOOP(name, lane, lanes, expression) LANES(name, name##_loop(a, b))
#define LOOP_HALVES(name, lane, lanes, expression) \
    LOOP(name, lane, lanes, expression) HALVES(name, name##_loop(a, b))
#define LOOP_XMM(name, lane, lanes, expression) \
    LOOP(name, lane, lanes, expression) XMM_ONLY(name, name##_loop(a, b))

#define LOOP_UNARY LOOP_LANES
#define WIDEN(name, size, to, lanes, expression) \
    LOOP(name, to, lanes, expression) \
    void exec_##name(struct cpu *c, const struct insn *in) { packed_xmm(c, in, size, name##_loop); }
#include "cpu/exec/lanes.def"

LOOP(mmx_pshufb, b, 8, b.b[i] & 0x80 ? 0 : a.b[b.b[i] & 7])
LEAF(pshufb, pshufb_loop(a, b))
BOTH(pshufb, mmx_pshufb_loop, 8)

/* Blends: take the second operand where the top bit of the mask, XMM0, is set. */
#define BLEND(name, lane, lanes, top) \
    void exec_##name(struct cpu *c, const struct insn *in) \
    { \
        union xmm b = read_xmm(c, in, 1, 16), mask = c->arch.vector[0].xmm; \
        union xmm *d = &c->arch.vector[in->o[0].reg].xmm; \
        for (u32 i = 0; i < lanes; i++) \
            if (mask.lane[i] >> top) \
                d->lane[i] = b.lane[i]; \
    }
BLEND(pblendvb, b, 16, 7)  BLEND(blendvps, d, 4, 31)  BLEND(blendvpd, q, 2, 63)
// clang-format on

/* Shifts the 16 bytes of both operands right by imm8 bytes; the upper operand is the
 * destination. */
void exec_mmx_palignr(struct cpu *c, const struct insn *in)
{
    u64 b = read_mmx(c, in, 1, 8), d = mmx_get(c, in->o[0].reg);
    u8 window[24] = {0};
    memcpy(window, &b, 8);
    memcpy(window + 8, &d, 8);
    memcpy(&d, window + min_u64((u8)in->imm, 16), 8);
    mmx_enter(c);
    mmx_put(c, in->o[0].reg, d);
}

void exec_ptest(struct cpu *c, const struct insn *in)
{
    union xmm b = read_xmm(c, in, 1, 16);
    const union xmm *a = &c->arch.vector[in->o[0].reg].xmm;
    bool zf = ((a->q[0] & b.q[0]) | (a->q[1] & b.q[1])) == 0;
    bool cf = ((~a->q[0] & b.q[0]) | (~a->q[1] & b.q[1])) == 0;
    flags_set(c, (zf ? RFLAGS_ZF : 0) | (cf ? RFLAGS_CF : 0));
}
