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

/* Returns one of RAX, RCX, RDX, R8 ... R13. */
u8 program_scratch(struct program *p);
/* Writes ModRM, SIB and displacement of a memory operand. Returns their size; sets *rex. */
u32 program_memory_operand(struct program *p, u8 *out, u8 reg, u8 *rex);

/* Writes random bytes that may be an instruction. */
typedef void candidate_fn(struct program *p, u8 bytes[32]);
candidate_fn program_candidate;     /* mostly common ones */
candidate_fn program_bit_candidate; /* BMI1, BMI2, counts and scans */
candidate_fn program_simple_candidate;

#endif
