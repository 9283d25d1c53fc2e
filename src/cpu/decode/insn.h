/* SPDX-License-Identifier: Apache-2.0 */
/* A decoded instruction, and its row of opcodes.def. */
#ifndef SOFTSEV_CPU_DECODE_INSN_H
#define SOFTSEV_CPU_DECODE_INSN_H

#include "base/base.h"

struct cpu;

enum operand_kind {
    OPERAND_NONE,
    OPERAND_GPR,   /* reg 0..15; size 1, 2, 4, 8 */
    OPERAND_GPR8H, /* AH CH DH BH: reg 0..3 */
    OPERAND_MEM,
    OPERAND_IMM,  /* insn.imm, sign-extended to 64 bits where the manual says so */
    OPERAND_REL,  /* branch target displacement in insn.imm */
    OPERAND_FAR,  /* ptr16:16/32: offset insn.imm, selector insn.imm2 */
    OPERAND_SREG, /* enum segment_index */
    OPERAND_CR,
    OPERAND_DR,
    OPERAND_XMM, /* or YMM: size 32 */
    OPERAND_MMX,
    OPERAND_ST,
};

struct operand {
    u8 kind, reg;
    u16 size; /* bytes; memory operands may be 10, 16, 28, 94, 108, 512 */
};

#define PREFIX_LOCK     BIT(0)
#define PREFIX_REP      BIT(1) /* F3, if it is not part of the opcode */
#define PREFIX_REPNE    BIT(2) /* F2, if it is not part of the opcode */
#define PREFIX_OPSIZE   BIT(3) /* the prefix 66 is present */
#define PREFIX_ADDRSIZE BIT(4)
#define PREFIX_REX      BIT(5)
#define PREFIX_VEX      BIT(7)
#define PREFIX_SEG      BIT(6) /* a segment override has effect (64-bit mode: FS, GS only) */

/* A decoded instruction. Operands are in the manual's order (destination first). At most one of
 * them is in memory, described by segment, base, index, scale, disp; implicit memory operands
 * (XLAT, MASKMOVQ, MONITOR, strings) fill these in too. Only MOVS and CMPS have two: base etc. then
 * describe the source (rSI, DS or the override), and the other is ES:rDI. A string's element size
 * is that of its memory operand. XLAT has base rBX, and its function adds AL. */
struct insn {
    const struct opcode *op; /* row of opcodes.def */
    u8 length;               /* bytes, 1..15 */
    u8 opsize;               /* effective operand size: 2, 4, 8 */
    u8 addrsize;             /* 2, 4, 8 */
    u8 prefixes;             /* PREFIX_... */
    u8 rex, modrm, opcode;   /* modrm is 0 if there is none; opcode: last opcode byte */
    u8 operands;
    struct operand o[4];
    u8 segment; /* of the memory operand, with the default applied */
    /* REG_ZERO for none; RIP-relative: base REG_ZERO and `rip_relative` */
    u8 base, index, scale;
    bool rip_relative; /* disp is relative to the next instruction */
    /* VEX: vector length in bytes; VEX.W, which rex has in 64-bit mode only; the vector register
     * that is the index of a gather, in place of `index` */
    u8 vl, vex_w, vector_index;
    s64 disp;
    u64 imm, imm2;
};

static inline bool rex_w(const struct insn *in)
{
    return (in->rex & 8) != 0;
}

typedef void exec_fn(struct cpu *c, const struct insn *in);

/* INSN_<id>: the first column of opcodes.def. Rows of INSN_CC share one id;
 * the condition is `in->opcode & 15`. */
enum insn_id {
#define INSN(id, ...)       INSN_##id,
#define INSN_AS(id, ...)    INSN_##id,
#define INSN_CC(id, ...)    INSN_##id,
#define SIMD(id, ...)       INSN_mmx_##id, INSN_##id,
#define SIMD_SHIFT(id, ...) INSN_mmx_##id, INSN_##id,
#define AVX(id, ...)        INSN_v##id,
#define AVX_SCALAR(id, ...) INSN_v##id,
#define FMA(id, ...)        FMA_IDS(id, ps, pd)
#define FMA_SCALAR(id, ...) FMA_IDS(id, ss, sd)
#define FMA_IDS(id, s, d)                                                                          \
    INSN_v##id##132##s, INSN_v##id##132##d, INSN_v##id##213##s, INSN_v##id##213##d,                \
        INSN_v##id##231##s, INSN_v##id##231##d,
#define ENC(...)
#include "cpu/decode/opcodes.def"
#undef INSN
#undef INSN_AS
#undef INSN_CC
#undef SIMD
#undef SIMD_SHIFT
#undef AVX
#undef AVX_SCALAR
#undef FMA
#undef FMA_SCALAR
#undef FMA_IDS
#undef ENC
    INSN_COUNT
};

/* One row of opcodes.def. */
struct opcode {
    const char *name; /* lower-case mnemonic of Intel's and AMD's manuals */
    exec_fn *exec;    /* NULL: #UD */
    u32 id;           /* INSN_<name>: index of tables by instruction */
    u32 attributes;   /* OP_... */
    /* RFLAGS bits 0..11: CF PF AF ZF SF DF OF. A flag that stays as it is when a count is 0 is in
     * `read` too (but see insn_flags_read()). `undefined` may overlap `written`: shifts define OF
     * for a count of 1 only. */
    u16 flags_read, flags_written, flags_undefined;
    u16 exit; /* EXIT_... of its intercept, checked before exec unless OP_OWN_EXIT; 0 none */
};

#define OP_LOCK   BIT(0) /* LOCK is allowed with a memory destination */
#define OP_CPL0   BIT(1) /* #GP(0) unless CPL 0; checked before exec */
#define OP_NO64   BIT(2) /* #UD in 64-bit mode */
#define OP_ONLY64 BIT(3) /* #UD outside 64-bit mode */
#define OP_ENDS   BIT(4) /* ends a block: may change RIP, mode, mappings, or set IF */
#define OP_JUMP   BIT(5) /* relative jump or call: a chainable end */
/* #UD if CR0.EM or !CR4.OSFXSR, then #NM if CR0.TS; checked before exec */
#define OP_SSE       BIT(6)
#define OP_MMX       BIT(7)  /* #UD if CR0.EM, #NM if CR0.TS, pending x87 exception #MF */
#define OP_X87       BIT(8)  /* #NM if CR0.EM or TS */
#define OP_ALIGN16   BIT(9)  /* a vector in memory must be aligned to its size, else #GP(0) */
#define OP_PROTECTED BIT(10) /* #UD in real and virtual-8086 mode */
#define OP_STRING    BIT(11)
#define OP_UMIP      BIT(12) /* #GP(0) unless CPL 0 while CR4.UMIP is set */
#define OP_TSD       BIT(13) /* #GP(0) unless CPL 0 while CR4.TSD is set */
#define OP_PCE       BIT(14) /* #GP(0) unless CPL 0 while CR4.PCE is clear */
#define OP_OWN_EXIT  BIT(15) /* exec checks the intercept itself */
/* excluded from the host-CPU fuzzer (system state, control flow, random result) */
#define OP_FUZZ_SKIP BIT(16)
/* #UD unless CR4.OSXSAVE is set and XCR0 enables SSE and AVX, then #NM if CR0.TS; checked before
 * exec */
#define OP_AVX BIT(17)

extern const struct opcode opcode_table[];
extern const u32 opcode_count;

/* Decodes one instruction from `count` bytes (reads at most 15) under a mode word. Always fills
 * *in; in->length is the number of its bytes. DECODE_SHORT: the instruction needs more than `count`
 * bytes. DECODE_UD: there is no such instruction (in->op is NULL): #UD. DECODE_LONG: longer than 15
 * bytes: #GP(0). */
enum decode_result { DECODE_OK, DECODE_UD, DECODE_SHORT, DECODE_LONG };
enum decode_result decode(struct insn *in, const u8 *bytes, u32 count, u32 mode);
/* Returns op->flags_read, made exact for shifts and rotates by an immediate and for strings without
 * REP. */
u16 insn_flags_read(const struct insn *in);

#endif
