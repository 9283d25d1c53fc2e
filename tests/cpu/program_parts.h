/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that make random programs share. */
#ifndef SOFTSEV_TESTS_CPU_PROGRAM_PARTS_H
#define SOFTSEV_TESTS_CPU_PROGRAM_PARTS_H

#include "program.h"

static inline u64 below(struct program *p, u64 n)
{
    return program_random(&p->random) % n;
}

static inline bool chance(struct program *p, u32 percent)
{
    return below(p, 100) < percent;
}

/* Returns a number, often one at an edge. */
u64 program_number(struct program *p);
/* An address in the data: often at the end of a page, seldom past the end or in the stack. */
u32 program_data_address(struct program *p);
/* In the middle of a page, or where it soon grows into the next one, which may be missing. */
u32 program_stack_top(struct program *p);
/* Makes registers, flags and data. */
void program_state(struct program *p);
/* Returns one of RAX, RCX, RDX, R8 ... R13. */
u8 program_scratch(struct program *p);
/* Writes ModRM, SIB and displacement of a memory operand. Returns their size; sets *rex. */
u32 program_memory_operand(struct program *p, u8 *out, u8 reg, u8 *rex);

/* Writes random bytes that may be an instruction. */
typedef void candidate_fn(struct program *p, u8 bytes[32]);
candidate_fn program_candidate;     /* mostly common ones */
candidate_fn program_bit_candidate; /* BMI1, BMI2, counts and scans */
candidate_fn program_avx_candidate;
candidate_fn program_simple_candidate;
/* Writes an access to the memory at the register base. Returns its length. */
u32 program_walk_access(struct program *p, u8 bytes[5], u8 base);

#endif
