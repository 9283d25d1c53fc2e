/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A uop: one step of a block. Its `op`, `form`, `aux`, registers, displacement and immediate
 * describe it completely. `fn` is this engine's handler for it, one for each combination of op,
 * form and aux.
 */
#ifndef SOFTSEV_CPU_ENGINE_UOP_H
#define SOFTSEV_CPU_ENGINE_UOP_H

#include "cpu/decode/insn.h"

/* --- What a uop does: UOP_<name> -------------------------------------------------------------- */

/* d and s are register fields (engine.h). E is the operand that the form's place selects: register
 * s, or memory at b + (x << scale) + disp. With FORM_IMM it is imm, unless memory comes first.
 * Arithmetic and shifts are in the order of enum alu and enum shift. */
// clang-format off
#define UOP_OPS(X)                                                                                \
    X(ENTER)           /* takes the block's `aux` instructions from the budget */                 \
    X(WARM)            /* likewise; translates the block when imm, counted down, is 0 */          \
    X(NATIVE)          /* enter of a translated block: goes on at `code` */                       \
    X(STALE)           /* enter of a dead block */                                                \
    X(FORWARD)         /* likewise, with a successor at `to` */                                   \
    X(LEAVE)           /* ends the block before this instruction */                               \
    X(MISS)            /* ends between blocks */                                                  \
    X(LINK)            /* operand of a jump: goes on at disp in this page; `to`: once known */    \
    X(FAR_LINK)        /* likewise, in another page */                                            \
    X(GENERIC)         /* calls the exec function of `insn` */                                    \
    X(GENERIC_CHECKED) /* likewise, after the checks of its row in opcodes.def */                 \
    X(GENERIC_END)     /* likewise, and ends the block */                                         \
    X(UNDEFINED)       /* #UD */                                                                  \
    X(TOO_LONG)        /* #GP(0) */                                                               \
    X(ADDRESS)         /* REG_EA = address of insn's memory, disp bytes; aux: to write */         \
    X(ADDRESS_SEGMENT) /* REG_EA = base of segment aux + b + (x << scale) + disp */               \
    X(ADD) X(OR) X(ADC) X(SBB) X(AND) X(SUB) X(XOR) X(CMP) X(TEST)                                \
    X(INC) X(DEC) X(NOT) X(NEG)                                                                   \
    X(ROL) X(ROR) X(SHL) X(SHR) X(SAR) /* by aux if FORM_IMM, else by CL */                       \
    X(MUL) X(DIV)                      /* RDX:RAX = RAX * E; RAX, RDX = RDX:RAX / E */            \
    X(IMUL)                            /* d = d * E; with FORM_IMM d = E * imm */                 \
    X(BT)                              /* of d: bit aux if FORM_IMM, else bit s */                \
    X(MOV)                                                                                        \
    X(MOVZX)                           /* of an E of the form's size, to 8 bytes */               \
    X(MOVSX)                           /* likewise, to aux bytes */                               \
    X(LEA) X(XCHG) X(BSWAP)                                                                       \
    X(CMOV) X(SETCC)                   /* condition aux */                                        \
    X(EXTEND_RAX)                      /* its upper half = sign of the lower */                   \
    X(EXTEND_INTO_RDX)                 /* RDX = sign of RAX */                                    \
    X(PUSH) X(POP) X(LEAVE_FRAME)                                                                 \
    X(JUMP) X(CALL)                    /* a link follows; after CALL one more, to where RET comes */ \
    X(JUMP_TO) X(CALL_TO) /* E, last time imm, aux: not always; after CALL_TO the link where RET comes */ \
    X(RET)                             /* and takes imm more bytes from the stack */              \
    X(JCC)                             /* condition aux; two links follow, not taken and taken */ \
    X(CMP_JCC) X(TEST_JCC)             /* likewise, after a comparison */
// clang-format on

/* UOP_VECTOR + INSN_<id>: an SSE or VEX instruction; aux: it writes a general register. The size in
 * its form is 8 with REX.W, else 4. With VEX it is 8 for 32 bytes, 4 for 16; of two sources the
 * first is register s, and the second E, or register b. */
enum uop_op {
#define UOP_NUMBER(name) UOP_##name,
    UOP_OPS(UOP_NUMBER) UOP_VECTOR
#undef UOP_NUMBER
};

/* --- Its form --------------------------------------------------------------------------------- */

#define FORM_SIZE         0x03u /* log2 of the operand size */
#define FORM_PLACE        0x0cu
#define FORM_PLACE_SHIFT  2
#define FORM_FLAGS        0x10u /* the flags that it computes may be read */
#define FORM_INSN         0x20u /* the uop has `insn`, not imm */
#define FORM_IMM          0x40u /* the other operand, or the shift count, is an immediate */
#define FORM_MEMORY_FIRST 0x80u /* memory is the first operand: the one written, if any */

enum { REG, MEM, MEM_INDEXED, PLACES }; /* where an operand is */

/* --- The uop ---------------------------------------------------------------------------------- */

struct uop;
/* A handler. Returns the next uop, or NULL to go back to the run loop (with arch.rip set). */
typedef const struct uop *uop_fn(struct cpu *c, const struct uop *u);

struct uop {
    uop_fn *fn;
    u8 d, s, b, x; /* destination, source, base, index register */
    u8 scale;      /* shift of the index, 0..3 */
    u8 form;       /* FORM_... */
    u8 len;        /* of the instruction */
    u8 aux;
    u16 op;    /* enum uop_op */
    u16 where; /* 9:0 offset of the instruction from the block's first byte, 15:10 its number */
    s32 disp;
    union {
        u64 imm;
        const struct insn *insn;
        const struct uop *to; /* link: where a jump goes on */
        const u8 *code;       /* of the host */
    };
};
_Static_assert(sizeof(struct uop) == 32, "uops stay small");

#define UOP_OFFSET_BITS 10

static inline u32 uop_offset(const struct uop *u)
{
    return u->where & (BIT(UOP_OFFSET_BITS) - 1);
}

/* Returns the number of the instruction within the block. */
static inline u32 uop_index(const struct uop *u)
{
    return u->where >> UOP_OFFSET_BITS;
}

static inline u16 uop_where(u32 offset, u32 index)
{
    return (u16)(index << UOP_OFFSET_BITS | offset);
}

/* Sets op, form and handler of a uop; nothing else writes a handler. */
static inline void uop_set(struct uop *u, u32 op, u32 form, uop_fn *fn)
{
    u->op = (u16)op;
    u->form = (u8)form;
    u->fn = fn;
}

static inline bool uop_is_link(const struct uop *u)
{
    return u->op == UOP_LINK || u->op == UOP_FAR_LINK;
}

#endif
