/* SPDX-License-Identifier: Apache-2.0 */
/* Writes host instructions into a bounded buffer. */
#ifndef SOFTSEV_CPU_JIT_EMIT_H
#define SOFTSEV_CPU_JIT_EMIT_H

#include "base/base.h"

/* The host's registers, by the numbers of their encodings. */
enum host_register {
    H_RAX,
    H_RCX,
    H_RDX,
    H_RBX,
    H_RSP,
    H_RBP,
    H_RSI,
    H_RDI,
    H_R8,
    H_R9,
    H_R10,
    H_R11,
    H_R12,
    H_R13,
    H_R14,
    H_R15,
    H_NONE
};

/* Where code is written. `full`: something did not fit, and nothing was written since. */
struct code {
    u8 *p, *end;
    bool full;
    u32 mentioned; /* bit n: perhaps an instruction has changed host register n, or jumps have come
                      together, since it was cleared; emit_byte() says nothing of that */
};

/* The operand that ModRM describes: a register, or memory at base + (index << scale) + disp. */
struct rm {
    bool memory;
    u8 reg, index, scale; /* reg: the register, or the base */
    s32 disp;
};

static inline struct rm in_register(u8 reg)
{
    return (struct rm){.reg = reg, .index = H_NONE};
}

static inline struct rm at(u8 base, s32 disp)
{
    return (struct rm){.memory = true, .reg = base, .index = H_NONE, .disp = disp};
}

static inline struct rm at_sum(u8 base, u8 index)
{
    return (struct rm){.memory = true, .reg = base, .index = index};
}

/* An opcode: its last byte, and what comes before it. */
#define OP_0F      BIT(8)
#define OP_BYTE    BIT(9)    /* the r/m operand is a byte, whatever the size is */
#define OP_38      BIT(10)   /* 0F 38; OP_0F is set, too */
#define OP_3A      BIT(11)   /* 0F 3A; likewise */
#define OP_256     BIT(12)   /* VEX.L: vectors of 32 bytes */
#define OP_PREFIX  0xff0000u /* a mandatory prefix, 66, F2 or F3, in bits 23:16 */
#define OP_66(op)  (0x660000u | (op))
#define OP_F2(op)  (0xf20000u | (op))
#define OP_F3(op)  (0xf30000u | (op))
#define OP_TWO(op) ((u32)OP_0F | (op))

enum {
    X_LEA = 0x8d,
    X_MOV_LOAD = 0x8b,  /* register from r/m; with size 1: 8A */
    X_MOV_STORE = 0x89, /* r/m from register; with size 1: 88 */
    X_TEST = 0x85,
};

/* Conditions, as in Jcc. */
enum { CC_O, CC_NO, CC_B, CC_AE, CC_E, CC_NE, CC_BE, CC_A, CC_S, CC_NS, CC_P, CC_NP, CC_L };

void emit_byte(struct code *k, u8 byte);
void emit_u32(struct code *k, u32 v);
void emit_u64(struct code *k, u64 v);
/* Emits an instruction with ModRM; `reg` is its register or the extension of its opcode. A size of
 * 1 clears bit 0 of the opcode, as the first 64 opcodes, MOV, TEST and the shifts want it. */
void emit_op(struct code *k, u32 op, u32 size, u8 reg, struct rm rm);
/* Emits an instruction with a VEX prefix; its vectors have 16 bytes, or 32 by OP_256. A size of 8
 * sets VEX.W; `other` is the register of VEX.vvvv, 0 if the instruction has none. */
void emit_vex(struct code *k, u32 op, u32 size, u8 reg, u8 other, struct rm rm);
void emit_vzeroupper(struct code *k);
/* As emit_op(), followed by an immediate of one byte. */
void emit_op_imm8(struct code *k, u32 op, u32 size, u8 reg, struct rm rm, u8 imm);
/* Emits ADD, OR, ADC, SBB, AND, SUB, XOR or CMP (0 to 7) of r/m and an immediate. */
void emit_alu_imm(struct code *k, u32 which, u32 size, struct rm rm, s32 imm);
/* Emits what does nothing up to the next multiple of `size`, a power of two. */
void emit_align(struct code *k, size_t size);
void emit_mov_imm(struct code *k, u8 reg, u64 v);
/* Emit a jump with a displacement of 32 bits; return its place, for emit_land(). */
u8 *emit_jump(struct code *k);
u8 *emit_call_site(struct code *k);
u8 *emit_jcc(struct code *k, u32 cc);
/* Makes the jump whose displacement is at `site` lead to `target`. */
void emit_target(u8 *site, const u8 *target);
void emit_land(struct code *k, u8 *site);
/* Emits a jump or call to a place that is known already. */
void emit_jump_to(struct code *k, const u8 *target);
void emit_call_to(struct code *k, const u8 *target);

static inline void emit_load(struct code *k, u8 reg, struct rm rm)
{
    emit_op(k, X_MOV_LOAD, 8, reg, rm);
}

static inline void emit_store(struct code *k, struct rm rm, u8 reg)
{
    emit_op(k, X_MOV_STORE, 8, reg, rm);
}

#endif
