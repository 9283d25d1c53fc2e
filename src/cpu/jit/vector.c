/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSE, and the most frequent instructions of AVX: the instruction itself, on the host's registers
 * of the same numbers. A block with such instructions loads all vector registers when it is
 * entered, unless they are loaded (engine.xmm_live); whatever calls C stores them and takes that
 * back (shared.c).
 *
 * Floating point needs the guest's value in the host's MXCSR (mxcsr_enter); otherwise the handlers
 * do the rest of the block.
 */
#include "cpu/jit/translate.h"

enum form {
    NONE,
    PACKED,  /* xmm, xmm/m128, which must be aligned */
    SHIFT,   /* the same, or an immediate: see shift_rows */
    SHUFFLE, /* xmm, xmm, imm8 */
    FLOAT,   /* xmm, xmm/memory of `size`, under MXCSR */
    COMPARE, /* the same, and sets all flags */
    FROM_INTEGER,
    TO_INTEGER,
    MOVE,    /* 16 bytes; `store` is the other direction */
    SCALAR,  /* `size` bytes; likewise */
    HALF,    /* memory only; likewise */
    GENERAL, /* between a general register or memory, and XMM; likewise */
    MASK,    /* xmm to a general register */
    /* with VEX, of 16 or 32 bytes */
    VEX_PACKED, /* register or memory, which need not be aligned, and a second register */
    VEX_MOVE,
    VEX_MASK,
    VEX_ZERO_UPPER,
};

struct vector_op {
    u32 op, store;
    u8 form, size;
    bool aligned;
};

#define P66(x) OP_66(OP_TWO(x))
#define PF2(x) OP_F2(OP_TWO(x))
#define PF3(x) OP_F3(OP_TWO(x))

// clang-format off
#define INTEGER(name, opcode) \
    [INSN_##name] = {.op = P66(opcode), .form = PACKED, .size = 16, .aligned = true}, \
    [INSN_v##name] = {.op = P66(opcode), .form = VEX_PACKED}
#define SHIFTS_BY(name, opcode) [INSN_##name] = {.op = P66(opcode), .form = SHIFT, .size = 16, .aligned = true}
#define FLOATING(name, opcode, bytes) \
    [INSN_##name] = {.op = opcode, .form = FLOAT, .size = bytes, .aligned = (bytes) == 16}
#define FOUR(name, opcode) \
    FLOATING(name##ps, OP_TWO(opcode), 16), FLOATING(name##pd, P66(opcode), 16), \
    FLOATING(name##ss, PF3(opcode), 4), FLOATING(name##sd, PF2(opcode), 8)
#define COMPARES(name, opcode, bytes) [INSN_##name] = {.op = opcode, .form = COMPARE, .size = bytes}
#define X38(x) (P66(x) | (u32)OP_38)
#define X3A(x) (P66(x) | (u32)OP_3A)
#define BY_HOST(name, opcode, feature) [INSN_##name] = {.op = opcode, .host = HOST_##feature}
#define WITH_IMM(name, opcode, feature) [INSN_##name] = {.op = opcode, .immediate = true, .host = HOST_##feature}
#define ALSO_VEX(name, opcode, feature) BY_HOST(name, opcode, feature), [INSN_v##name] = {.op = opcode, .vex = true, .host = HOST_AVX2 | HOST_##feature}
#define ALSO_VEX_IMM(name, opcode, feature) \
    WITH_IMM(name, opcode, feature), [INSN_v##name] = {.op = opcode, .immediate = true, .vex = true, .host = HOST_AVX2 | HOST_##feature}
#define BYTE_SHIFT(name, ext) \
    [INSN_v##name] = {.op = P66(0x73), .immediate = true, .vex = true, .extension = ext, .host = HOST_AVX2}
#define EXTENDS(name, opcode) BY_HOST(pmovsx##name, X38(0x20 | opcode), SSE4), BY_HOST(pmovzx##name, X38(0x30 | opcode), SSE4)
#define MOVES(name, is_aligned) \
    [INSN_##name] = {.op = OP_TWO(0x10), .store = OP_TWO(0x11), .form = MOVE, .size = 16, .aligned = is_aligned}, \
    [INSN_v##name] = {.op = OP_TWO(0x10), .store = OP_TWO(0x11), .form = VEX_MOVE, .aligned = is_aligned}

static const struct vector_op ops[INSN_COUNT] = {
    INTEGER(paddb, 0xfc), INTEGER(paddw, 0xfd), INTEGER(paddd, 0xfe), INTEGER(paddq, 0xd4),
    INTEGER(psubb, 0xf8), INTEGER(psubw, 0xf9), INTEGER(psubd, 0xfa), INTEGER(psubq, 0xfb),
    INTEGER(paddsb, 0xec), INTEGER(paddsw, 0xed), INTEGER(paddusb, 0xdc), INTEGER(paddusw, 0xdd),
    INTEGER(psubsb, 0xe8), INTEGER(psubsw, 0xe9), INTEGER(psubusb, 0xd8), INTEGER(psubusw, 0xd9),
    INTEGER(pmullw, 0xd5), INTEGER(pmuludq, 0xf4), INTEGER(pmulhw, 0xe5), INTEGER(pmulhuw, 0xe4),
    INTEGER(pmaddwd, 0xf5), INTEGER(psadbw, 0xf6), INTEGER(pavgb, 0xe0), INTEGER(pavgw, 0xe3),
    INTEGER(pminub, 0xda), INTEGER(pmaxub, 0xde), INTEGER(pminsw, 0xea), INTEGER(pmaxsw, 0xee),
    INTEGER(pcmpeqb, 0x74), INTEGER(pcmpeqw, 0x75), INTEGER(pcmpeqd, 0x76),
    INTEGER(pcmpgtb, 0x64), INTEGER(pcmpgtw, 0x65), INTEGER(pcmpgtd, 0x66),
    INTEGER(pand, 0xdb), INTEGER(pandn, 0xdf), INTEGER(por, 0xeb), INTEGER(pxor, 0xef),
    INTEGER(andps, 0xdb), INTEGER(andnps, 0xdf), INTEGER(orps, 0xeb), INTEGER(xorps, 0xef),
    INTEGER(andpd, 0xdb), INTEGER(andnpd, 0xdf), INTEGER(orpd, 0xeb), INTEGER(xorpd, 0xef),
    INTEGER(punpcklbw, 0x60), INTEGER(punpcklwd, 0x61), INTEGER(punpckldq, 0x62), INTEGER(punpcklqdq, 0x6c),
    INTEGER(punpckhbw, 0x68), INTEGER(punpckhwd, 0x69), INTEGER(punpckhdq, 0x6a), INTEGER(punpckhqdq, 0x6d),
    INTEGER(unpcklps, 0x62), INTEGER(unpcklpd, 0x6c), INTEGER(unpckhps, 0x6a), INTEGER(unpckhpd, 0x6d),
    INTEGER(packsswb, 0x63), INTEGER(packssdw, 0x6b), INTEGER(packuswb, 0x67),
    SHIFTS_BY(psllw, 0xf1), SHIFTS_BY(pslld, 0xf2), SHIFTS_BY(psllq, 0xf3),
    SHIFTS_BY(psrlw, 0xd1), SHIFTS_BY(psrld, 0xd2), SHIFTS_BY(psrlq, 0xd3),
    SHIFTS_BY(psraw, 0xe1), SHIFTS_BY(psrad, 0xe2),
    [INSN_pshufd] = {.op = P66(0x70), .form = SHUFFLE},

    FOUR(add, 0x58), FOUR(mul, 0x59), FOUR(sub, 0x5c), FOUR(min, 0x5d), FOUR(div, 0x5e), FOUR(max, 0x5f),
    FOUR(sqrt, 0x51),
    FLOATING(rcpps, OP_TWO(0x53), 16), FLOATING(rcpss, PF3(0x53), 4),
    FLOATING(rsqrtps, OP_TWO(0x52), 16), FLOATING(rsqrtss, PF3(0x52), 4),
    FLOATING(cvtps2pd, OP_TWO(0x5a), 8), FLOATING(cvtpd2ps, P66(0x5a), 16),
    FLOATING(cvtss2sd, PF3(0x5a), 4), FLOATING(cvtsd2ss, PF2(0x5a), 8),
    FLOATING(cvtdq2ps, OP_TWO(0x5b), 16), FLOATING(cvtps2dq, P66(0x5b), 16), FLOATING(cvttps2dq, PF3(0x5b), 16),
    FLOATING(cvtdq2pd, PF3(0xe6), 8), FLOATING(cvtpd2dq, PF2(0xe6), 16), FLOATING(cvttpd2dq, P66(0xe6), 16),
    COMPARES(ucomiss, OP_TWO(0x2e), 4), COMPARES(ucomisd, P66(0x2e), 8),
    COMPARES(comiss, OP_TWO(0x2f), 4), COMPARES(comisd, P66(0x2f), 8),
    [INSN_cvtsi2ss] = {.op = PF3(0x2a), .form = FROM_INTEGER}, [INSN_cvtsi2sd] = {.op = PF2(0x2a), .form = FROM_INTEGER},
    [INSN_cvttss2si] = {.op = PF3(0x2c), .form = TO_INTEGER}, [INSN_cvttsd2si] = {.op = PF2(0x2c), .form = TO_INTEGER},

    MOVES(movups, false), MOVES(movupd, false), MOVES(movdqu, false), MOVES(lddqu, false),
    MOVES(movaps, true), MOVES(movapd, true), MOVES(movdqa, true),
    MOVES(movntps, true), MOVES(movntpd, true), MOVES(movntdq, true),
    [INSN_vmovntdqa] = {.op = OP_TWO(0x10), .form = VEX_MOVE, .aligned = true},
    [INSN_movss] = {.op = PF3(0x10), .store = PF3(0x11), .form = SCALAR, .size = 4},
    [INSN_movsd] = {.op = PF2(0x10), .store = PF2(0x11), .form = SCALAR, .size = 8},
    [INSN_movq] = {.op = PF3(0x7e), .store = P66(0xd6), .form = SCALAR, .size = 8},
    [INSN_movd] = {.op = P66(0x6e), .store = P66(0x7e), .form = GENERAL},
    [INSN_movlps] = {.op = OP_TWO(0x12), .store = OP_TWO(0x13), .form = HALF, .size = 8},
    [INSN_movlpd] = {.op = OP_TWO(0x12), .store = OP_TWO(0x13), .form = HALF, .size = 8},
    [INSN_movhps] = {.op = OP_TWO(0x16), .store = OP_TWO(0x17), .form = HALF, .size = 8},
    [INSN_movhpd] = {.op = OP_TWO(0x16), .store = OP_TWO(0x17), .form = HALF, .size = 8},
    [INSN_pmovmskb] = {.op = P66(0xd7), .form = MASK}, [INSN_movmskpd] = {.op = P66(0x50), .form = MASK},
    [INSN_vpmovmskb] = {.op = P66(0xd7), .form = VEX_MASK}, [INSN_vzeroupper] = {.form = VEX_ZERO_UPPER},
};

/* The forms by an immediate: opcode, and its extension. */
static const struct { u8 opcode, extension; } shift_rows[INSN_COUNT] = {
    [INSN_psllw] = {0x71, 6}, [INSN_pslld] = {0x72, 6}, [INSN_psllq] = {0x73, 6},
    [INSN_psrlw] = {0x71, 2}, [INSN_psrld] = {0x72, 2}, [INSN_psrlq] = {0x73, 2},
    [INSN_psraw] = {0x71, 4}, [INSN_psrad] = {0x72, 4},
};

/* Instructions without a handler of their own. */
static const struct generic_op {
    u32 op;
    bool immediate, to_general;
    u32 host;
    bool vex;
    u8 extension; /* of a shift by an immediate: VEX.vvvv is its destination */
} generic_ops[INSN_COUNT] = {
    [INSN_shufps] = {.op = OP_TWO(0xc6), .immediate = true}, [INSN_shufpd] = {.op = P66(0xc6), .immediate = true},
    [INSN_pshufd] = {.op = P66(0x70), .immediate = true},
    [INSN_pshufhw] = {.op = PF3(0x70), .immediate = true}, [INSN_pshuflw] = {.op = PF2(0x70), .immediate = true},
    [INSN_movhlps] = {.op = OP_TWO(0x12)}, [INSN_movlhps] = {.op = OP_TWO(0x16)},
    [INSN_movmskps] = {.op = OP_TWO(0x50), .to_general = true},
    BYTE_SHIFT(pslldq, 7), BYTE_SHIFT(psrldq, 3),
    [INSN_vpshufd] = {.op = P66(0x70), .immediate = true, .vex = true, .host = HOST_AVX2},

    ALSO_VEX(pshufb, X38(0x00), SSSE3), BY_HOST(phaddw, X38(0x01), SSSE3), BY_HOST(phaddd, X38(0x02), SSSE3),
    BY_HOST(phaddsw, X38(0x03), SSSE3), BY_HOST(pmaddubsw, X38(0x04), SSSE3), BY_HOST(phsubw, X38(0x05), SSSE3),
    BY_HOST(phsubd, X38(0x06), SSSE3), BY_HOST(phsubsw, X38(0x07), SSSE3), BY_HOST(psignb, X38(0x08), SSSE3),
    BY_HOST(psignw, X38(0x09), SSSE3), BY_HOST(psignd, X38(0x0a), SSSE3), BY_HOST(pmulhrsw, X38(0x0b), SSSE3),
    ALSO_VEX(pabsb, X38(0x1c), SSSE3), ALSO_VEX(pabsw, X38(0x1d), SSSE3), ALSO_VEX(pabsd, X38(0x1e), SSSE3),
    ALSO_VEX_IMM(palignr, X3A(0x0f), SSSE3),

    EXTENDS(bw, 0), EXTENDS(bd, 1), EXTENDS(bq, 2), EXTENDS(wd, 3), EXTENDS(wq, 4), EXTENDS(dq, 5),
    BY_HOST(pmuldq, X38(0x28), SSE4), ALSO_VEX(pcmpeqq, X38(0x29), SSE4), ALSO_VEX(packusdw, X38(0x2b), SSE4),
    ALSO_VEX(pcmpgtq, X38(0x37), SSE4), BY_HOST(pminsb, X38(0x38), SSE4), ALSO_VEX(pminsd, X38(0x39), SSE4),
    BY_HOST(pminuw, X38(0x3a), SSE4), ALSO_VEX(pminud, X38(0x3b), SSE4), BY_HOST(pmaxsb, X38(0x3c), SSE4),
    ALSO_VEX(pmaxsd, X38(0x3d), SSE4), BY_HOST(pmaxuw, X38(0x3e), SSE4), ALSO_VEX(pmaxud, X38(0x3f), SSE4),
    ALSO_VEX(pmulld, X38(0x40), SSE4), BY_HOST(phminposuw, X38(0x41), SSE4),
    BY_HOST(pblendvb, X38(0x10), SSE4), BY_HOST(blendvps, X38(0x14), SSE4), BY_HOST(blendvpd, X38(0x15), SSE4),
    WITH_IMM(blendps, X3A(0x0c), SSE4), WITH_IMM(blendpd, X3A(0x0d), SSE4), WITH_IMM(pblendw, X3A(0x0e), SSE4),
    WITH_IMM(mpsadbw, X3A(0x42), SSE4),

    BY_HOST(aesimc, X38(0xdb), AES), ALSO_VEX(aesenc, X38(0xdc), AES), ALSO_VEX(aesenclast, X38(0xdd), AES),
    ALSO_VEX(aesdec, X38(0xde), AES), ALSO_VEX(aesdeclast, X38(0xdf), AES), WITH_IMM(aeskeygenassist, X3A(0xdf), AES),
    ALSO_VEX_IMM(pclmulqdq, X3A(0x44), PCLMUL),
    BY_HOST(sha1nexte, OP_TWO(0xc8) | (u32)OP_38, SHA), BY_HOST(sha1msg1, OP_TWO(0xc9) | (u32)OP_38, SHA),
    BY_HOST(sha1msg2, OP_TWO(0xca) | (u32)OP_38, SHA), BY_HOST(sha256rnds2, OP_TWO(0xcb) | (u32)OP_38, SHA),
    BY_HOST(sha256msg1, OP_TWO(0xcc) | (u32)OP_38, SHA), BY_HOST(sha256msg2, OP_TWO(0xcd) | (u32)OP_38, SHA),
    WITH_IMM(sha1rnds4, OP_TWO(0xcc) | (u32)OP_3A, SHA),
};
// clang-format on

static const struct vector_op *op_of(const struct uop *u)
{
    static const struct vector_op none = {.form = NONE};
    return u->op >= UOP_VECTOR ? &ops[u->op - UOP_VECTOR] : &none;
}

static const struct generic_op *generic_of(const struct uop *u)
{
    return &generic_ops[u->insn->op->id];
}

bool vector_uop(const struct uop *u)
{
    return u->op == UOP_GENERIC ? generic_of(u)->op != 0 : op_of(u)->form != NONE;
}

bool vector_sets_flags(const struct uop *u)
{
    return vector_uop(u) && op_of(u)->form == COMPARE;
}

static bool with_vex(u8 form)
{
    return form >= VEX_PACKED;
}

/* The size of VEX vectors is in the uop's form as a quarter (lower.c). */
u32 vector_memory_size(const struct uop *u)
{
    u8 form = op_of(u)->form;
    return with_vex(form) ? 4 * size_of(u) : form == GENERAL ? size_of(u) : op_of(u)->size;
}

static bool under_mxcsr(u8 form)
{
    return form >= FLOAT && form <= TO_INTEGER;
}

/* Leaves to the interpreter unless MXCSR is the guest's; then it stays so until C code runs. */
static void need_mxcsr(struct translator *t)
{
    if (t->mxcsr_known)
        return;
    flags_clobber(t);
    emit_alu_imm(&t->code, ALU_CMP, 1, CPU_FIELD(engine.mxcsr_live), 0);
    struct cold_code *cold = cold_add(t, COLD_EXIT, t->u);
    cold->site[cold->sites++] = emit_jcc(&t->code, CC_E);
    t->mxcsr_known = true;
}

static struct rm vector_memory(struct translator *t, const struct uop *u, u32 size, bool aligned)
{
    if (aligned) {
        flags_clobber(t);
        address(t, u, SCRATCH);
        emit_op_imm8(&t->code, 0xf7, 1, 0, in_register(SCRATCH), (u8)(size - 1)); /* TEST AL */
        slow_if(t, CC_NE, COLD_STEP);
    }
    return memory_operand(t, u, size, memory_first(u), COLD_STEP);
}

static struct rm source_of(struct translator *t, const struct uop *u, const struct vector_op *v)
{
    if (place_of(u) == REG)
        return in_register(u->s);
    return vector_memory(t, u, vector_memory_size(u), v->aligned);
}

static void move(struct translator *t, const struct uop *u, const struct vector_op *v)
{
    struct rm other = source_of(t, u, v);
    if (place_of(u) != REG && memory_first(u))
        emit_op(&t->code, v->store, 4, u->s, other);
    else
        emit_op(&t->code, v->op, 4, u->d, other);
}

/* MOVD, MOVQ: with REX.W 8 bytes, else 4. */
static void general(struct translator *t, const struct uop *u, const struct vector_op *v)
{
    struct code *k = &t->code;
    u32 size = size_of(u);
    if (place_of(u) != REG) {
        struct rm other = vector_memory(t, u, size, false);
        bool store = memory_first(u);
        emit_op(k, store ? v->store : v->op, size, store ? u->s : u->d, other);
    } else if (u->aux) {
        u8 d = gpr_begin(t, u->d, 8, SCRATCH, false);
        emit_op(k, v->store, size, u->s, in_register(d));
        gpr_end(t, u->d, 8, d);
    } else {
        emit_op(k, v->op, size, u->d, gpr_operand(t, u->s, size));
    }
}

static void to_general(struct translator *t, const struct uop *u, u32 op, u32 size)
{
    u8 d = gpr_begin(t, u->d, 8, SCRATCH, false);
    emit_op(&t->code, op, size, d, in_register(u->s));
    gpr_end(t, u->d, 8, d);
}

static void vex_packed(struct translator *t, const struct uop *u, const struct vector_op *v, u32 op)
{
    struct rm last = place_of(u) == REG ? in_register(u->b) : source_of(t, u, v);
    emit_vex(&t->code, op, 4, u->d, u->s, last);
}

static void vex_move(struct translator *t, const struct uop *u, const struct vector_op *v,
                     u32 vector_256)
{
    struct rm other = source_of(t, u, v);
    if (place_of(u) != REG && memory_first(u))
        emit_vex(&t->code, v->store | vector_256, 4, u->s, 0, other);
    else
        emit_vex(&t->code, v->op | vector_256, 4, u->d, 0, other);
}

static void vex_mask(struct translator *t, const struct uop *u, u32 op)
{
    u8 d = gpr_begin(t, u->d, 8, SCRATCH, false);
    emit_vex(&t->code, op, 4, d, 0, in_register(u->s));
    gpr_end(t, u->d, 8, d);
}

static bool emit_with_vex(struct translator *t, const struct uop *u, const struct vector_op *v)
{
    u32 vector_256 = vector_memory_size(u) == 32 ? (u32)OP_256 : 0;
    if (!(t->exact.host & HOST_AVX2))
        return false;
    if (v->form == VEX_PACKED)
        vex_packed(t, u, v, v->op | vector_256);
    else if (v->form == VEX_MOVE)
        vex_move(t, u, v, vector_256);
    else if (v->form == VEX_MASK)
        vex_mask(t, u, v->op | vector_256);
    else
        emit_vzeroupper(&t->code);
    return true;
}

bool emit_vector(struct translator *t, const struct uop *u)
{
    struct code *k = &t->code;
    const struct vector_op *v = op_of(u);
    if (v->form == NONE)
        return false;
    if (with_vex(v->form))
        return emit_with_vex(t, u, v);
    if (under_mxcsr(v->form))
        need_mxcsr(t);
    switch (v->form) {
    case SHIFT:
        if (u->form & FORM_IMM) {
            emit_op_imm8(k, P66(shift_rows[u->op - UOP_VECTOR].opcode), 4,
                         shift_rows[u->op - UOP_VECTOR].extension, in_register(u->d), (u8)u->imm);
            break;
        } /* fall through */
    case PACKED:
    case FLOAT:
    case COMPARE:
        emit_op(k, v->op, 4, u->d, source_of(t, u, v));
        if (v->form == COMPARE) {
            t->flags = FLAGS_HOST;
            t->recipe.valid = false;
        }
        break;
    case SHUFFLE:
        emit_op_imm8(k, v->op, 4, u->d, in_register(u->s), (u8)u->imm);
        break;
    case FROM_INTEGER:
        emit_op(k, v->op, size_of(u), u->d, gpr_operand(t, u->s, size_of(u)));
        break;
    case TO_INTEGER:
        to_general(t, u, v->op, size_of(u));
        break;
    case MASK:
        to_general(t, u, v->op, 4);
        break;
    case GENERAL:
        general(t, u, v);
        break;
    default:
        move(t, u, v);
        break;
    }
    return true;
}

/* --- Instructions without a handler of their own ---------------------------------------------- */

/* d, perhaps a second register, register or memory, perhaps imm8. */
static bool emit_generic_vex(struct translator *t, const struct uop *u, const struct generic_op *g)
{
    struct code *k = &t->code;
    const struct insn *in = u->insn;
    const bool two = in->operands - g->immediate > 2;
    const struct operand *last = &in->o[two ? 2 : 1];
    struct uop memory;
    struct rm source = in_register(last->reg);
    if (in->vl == 32 && g->host & (HOST_AES | HOST_PCLMUL)) /* the host's may have 16 bytes only */
        return false;
    if (last->kind == OPERAND_MEM && !insn_memory(u, &memory))
        return false;
    if (last->kind == OPERAND_MEM)
        source = vector_memory(t, &memory, last->size, false);
    const u32 op = g->op | (in->vl == 32 ? (u32)OP_256 : 0);
    if (g->extension)
        emit_vex(k, op, 4, g->extension, in->o[0].reg, source);
    else
        emit_vex(k, op, 4, in->o[0].reg, two ? in->o[1].reg : 0, source);
    if (g->immediate)
        emit_byte(k, (u8)in->imm);
    return true;
}

bool emit_generic(struct translator *t, const struct uop *u)
{
    if (bit_uop(u))
        return emit_bit(t, u);
    if (system_uop(u))
        return emit_system(t, u);
    struct code *k = &t->code;
    const struct insn *in = u->insn;
    const struct generic_op *g = generic_of(u);
    struct uop memory;
    struct rm source = in_register(in->o[1].reg);
    if (!g->op || (g->host & t->exact.host) != g->host)
        return false;
    if (g->vex)
        return emit_generic_vex(t, u, g);
    if (in->o[1].kind == OPERAND_MEM && !insn_memory(u, &memory))
        return false;
    if (in->o[1].kind == OPERAND_MEM) /* only operands of 16 bytes must be aligned */
        source = vector_memory(t, &memory, in->o[1].size, in->o[1].size == 16);
    if (g->to_general) {
        u8 d = gpr_begin(t, in->o[0].reg, 8, SCRATCH, false);
        emit_op(k, g->op, 4, d, source);
        gpr_end(t, in->o[0].reg, 8, d);
    } else {
        emit_op(k, g->op, 4, in->o[0].reg, source);
    }
    if (g->immediate)
        emit_byte(k, (u8)in->imm);
    return true;
}
