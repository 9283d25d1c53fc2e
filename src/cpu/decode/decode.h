/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The encodings of opcodes.def, as tools/opcodes.py passes them to decode.c: an index by mode, map,
 * prefix and opcode. Each entry names one encoding, or a group from which ModRM selects.
 */
#ifndef SOFTSEV_CPU_DECODE_DECODE_H
#define SOFTSEV_CPU_DECODE_DECODE_H

#include "base/base.h"

/* Where an operand comes from; the letters are those of opcodes.def. */
enum operand_method {
    METHOD_NONE,
    METHOD_E,     /* ModRM.rm: register (its size in `extra`) or memory */
    METHOD_M,     /* ModRM.rm, memory */
    METHOD_R,     /* ModRM.rm, register */
    METHOD_G,     /* ModRM.reg */
    METHOD_Z,     /* opcode bits 2:0 */
    METHOD_FIXED, /* general register number `extra` */
    METHOD_V,     /* ModRM.reg: XMM */
    METHOD_W,     /* ModRM.rm: XMM or memory */
    METHOD_U,     /* ModRM.rm: XMM */
    METHOD_P,     /* ModRM.reg: MMX */
    METHOD_Q,     /* ModRM.rm: MMX or memory */
    METHOD_N,     /* ModRM.rm: MMX */
    METHOD_ST,    /* ST(ModRM.rm) */
    METHOD_ST0,
    METHOD_XMM0,
    METHOD_S,    /* ModRM.reg: segment register */
    METHOD_SREG, /* segment register `extra` */
    METHOD_C,    /* ModRM.reg: control register */
    METHOD_D,    /* ModRM.reg: debug register */
    METHOD_I,    /* immediate, zero-extended */
    /* immediate of `extra` bytes (0: up to 4, by operand size),
     * sign-extended to the operand size */
    METHOD_IS,
    METHOD_I2,     /* second immediate byte: imm2 */
    METHOD_ONE,    /* the constant 1 */
    METHOD_J,      /* branch displacement */
    METHOD_A,      /* far pointer in the instruction */
    METHOD_O,      /* memory at an absolute offset in the instruction */
    METHOD_SOURCE, /* memory at the register `extra`: DS or the override */
    METHOD_TARGET, /* memory at ES:rDI */
    METHOD_H,      /* VEX.vvvv: XMM or YMM */
    METHOD_B,      /* VEX.vvvv: general register */
    METHOD_L,      /* imm8 7:4: XMM or YMM */
    METHOD_VSIB,   /* ModRM.rm, memory with a vector as its index; the size is an element's */
};

enum operand_size {
    SIZE_0,
    SIZE_1,
    SIZE_2,
    SIZE_4,
    SIZE_8,
    SIZE_10,
    SIZE_16,
    SIZE_32,
    SIZE_512,
    SIZES_FIXED, /* the sizes from here on depend on prefixes and mode */
    SIZE_V = SIZES_FIXED,
    SIZE_Z,
    SIZE_Y,
    SIZE_NATIVE,
    SIZE_ADDRESS,
    SIZE_FAR,
    SIZE_BOUNDS,
    SIZE_DESCRIPTOR,
    SIZE_ENVIRONMENT,
    SIZE_STATE,
    SIZE_2Y,
    SIZE_VECTOR, /* by VEX.L, and parts of that */
    SIZE_HALF,
    SIZE_FOURTH,
    SIZE_EIGHTH,
};

struct operand_rule {
    u8 method, size, extra;
};

#define ENCODING_MODRM  1  /* a ModRM byte follows */
#define ENCODING_D64    2  /* operand size 64 by default in 64-bit mode */
#define ENCODING_NO_W   4  /* REX.W has no effect */
#define ENCODING_ANYMOD 8  /* ModRM.mod is ignored: rm is a register */
#define ENCODING_66     16 /* the prefix 66 is part of the opcode */
#define ENCODING_REP    32 /* F2 or F3 is part of the opcode */
#define ENCODING_VVVV   64 /* VEX.vvvv is an operand; otherwise it must be 1111b */
#define ENCODING_VSIB   128

struct encoding {
    u16 opcode; /* row of opcode_table */
    u8 flags;   /* ENCODING_... */
    u8 operands;
    struct operand_rule operand[4];
};

/* An entry of the index: 0 for none; a number of decode_encodings; or, with one of these flags,
 * where its group begins in decode_groups. A group has 16 entries, by register form (8) and
 * ModRM.reg, or 72: 8 by ModRM.reg for memory, then one for each ModRM C0..FF. */
#define INDEX_GROUP16 0x8000u
#define INDEX_GROUP72 0xc000u
#define INDEX_KIND    0xc000u

enum opcode_map { MAP_ONE_BYTE, MAP_0F, MAP_0F38, MAP_0F3A, MAPS };
enum opcode_prefix { OPCODE_NP, OPCODE_66, OPCODE_F3, OPCODE_F2, OPCODE_PREFIXES };

extern const struct encoding decode_encodings[];
extern const u16 decode_index[2][MAPS][OPCODE_PREFIXES][256]; /* [1]: 64-bit mode */
extern const u16 decode_groups[];

/* The same for VEX: its maps are 0F, 0F 38 and 0F 3A, its columns VEX.pp | VEX.W << 2 | VEX.L << 3.
 */
#define VEX_MAPS    3
#define VEX_COLUMNS 16
extern const u16 decode_index_vex[2][VEX_MAPS][VEX_COLUMNS][256];

#endif
