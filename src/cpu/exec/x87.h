/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The x87 unit: x87.c runs instructions on the host's unit, x87_state.c has the instructions that
 * load, store and reset state. The world switch and the host interface move whole images with the
 * last two functions.
 */
#ifndef SOFTSEV_CPU_EXEC_X87_H
#define SOFTSEV_CPU_EXEC_X87_H

#include "cpu/internal.h"

#define X87_IE         BIT(0)
#define X87_ES         BIT(7) /* an unmasked exception is pending */
#define X87_B          BIT(15)
#define X87_TOP_SHIFT  11
#define X87_EXCEPTIONS 0x3fu
#define X87_EMPTY      3u

/* Raises #MF if an unmasked exception is pending. CR0.NE counts as 1: there is no FERR# line to a
 * PIC here. */
static inline void x87_wait(struct cpu *c)
{
    if (UNLIKELY(c->arch.x87.status & X87_ES))
        cpu_raise(c, VECTOR_MF, 0);
}

/* Computes ES and B from flags and masks; call when one of these is loaded [APM1 6.2.2]. */
static inline void x87_update_pending(struct x87 *x)
{
    u16 pending = (x->status & ~x->control & X87_EXCEPTIONS) ? X87_ES | X87_B : 0;
    x->status = (u16)((x->status & ~(X87_ES | X87_B)) | pending);
}

/* Returns the status word as software sees it. */
static inline u16 x87_status(const struct x87 *x)
{
    return (u16)((x->status & ~(7u << X87_TOP_SHIFT)) | (u32)x->top << X87_TOP_SHIFT);
}

void x87_status_put(struct x87 *x, u16 status);
u16 x87_tags(const struct x87 *x); /* returns the tag word, from the registers' contents */
void x87_reset(struct x87 *x);     /* FNINIT */

/* Returns ST(n), an image of 10 bytes: a C long double could change its value. */
static inline u8 *x87_st(struct x87 *x, u32 n)
{
    return (u8 *)&x->st[(x->top + n) & 7];
}

/* The host code of register forms by opcode and ModRM, and of memory forms by opcode and ModRM.reg
 * with the operand at (%rsi). */
extern const u8 x87_register_forms[8][64][8];
extern const u8 x87_memory_forms[8][8][8];

/* Functions of x87_fast.c, to be called only while all exceptions are masked. False: the case is
 * not simple, and nothing has changed. */
static inline bool x87_masked(const struct x87 *x)
{
    return (x->control & X87_EXCEPTIONS) == X87_EXCEPTIONS;
}

typedef bool x87_fast(struct x87 *x, const struct insn *in, void *operand);
x87_fast x87_fast_arithmetic, x87_fast_unary, x87_fast_compare, x87_fast_load, x87_fast_exchange,
    x87_fast_sign;
bool x87_fast_compare_flags(struct x87 *x, const struct insn *in, u64 *flags);
bool x87_fast_copy(struct x87 *x, const struct insn *in);
bool x87_fast_store(struct x87 *x, const struct insn *in, void *result, u64 *status);
void x87_fast_stored(struct x87 *x, const struct insn *in, u64 status);

/* FXSAVE's image of x87, MXCSR and XMM. `wide`: 64-bit pointers (REX.W). fxsave_unpack() returns
 * false if MXCSR has reserved bits. */
void fxsave_pack(const struct cpu *c, u8 image[512], bool wide);
bool fxsave_unpack(struct cpu *c, const u8 image[512], bool wide);
/* Loads only the x87 unit from such an image. */
void fxsave_unpack_x87(struct x87 *x, const u8 image[512], bool wide);

#endif
