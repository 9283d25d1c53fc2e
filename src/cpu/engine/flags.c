/* SPDX-License-Identifier: Apache-2.0 */
/* RFLAGS for the rest of the room; engine.h describes the form in which the engine keeps it. */
#include "cpu/engine/engine.h"

u64 flags_get(const struct cpu *c)
{
    return (flag_cf(c) ? RFLAGS_CF : 0) | (flag_pf(c) ? RFLAGS_PF : 0) |
           (flag_af(c) ? RFLAGS_AF : 0) | (flag_zf(c) ? RFLAGS_ZF : 0) |
           (flag_sf(c) ? RFLAGS_SF : 0) | (flag_of(c) ? RFLAGS_OF : 0);
}

/* Sets any combination of flags: the result holds ZF alone, and the two inversion bits correct SF
 * and PF. */
void flags_set(struct cpu *c, u64 value)
{
    bool zf = value & RFLAGS_ZF, sf = value & RFLAGS_SF, pf = value & RFLAGS_PF;
    flags_explicit(c, 8, !zf, value & RFLAGS_CF, (value & RFLAGS_OF) != 0,
                   (value & RFLAGS_AF) != 0);
    c->engine.flags.carries |= (u64)sf << 1 | (u64)(pf ^ zf);
}

u64 rflags_read(const struct cpu *c)
{
    return c->arch.rflags | RFLAGS_ONE | flags_get(c);
}

void rflags_write(struct cpu *c, u64 value, u64 mask)
{
    u64 old = rflags_read(c), all = (old & ~mask) | (value & mask);
    flags_set(c, all);
    c->arch.rflags = (all & ~RFLAGS_ARITHMETIC) | RFLAGS_ONE;
    if ((old ^ all) & (RFLAGS_VM | RFLAGS_AC))
        cpu_update_mode(c);
}

bool condition(const struct cpu *c, u8 cc)
{
    return condition_inline(c, cc & 15);
}
