/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions that manage the TLB and the caches; caches are coherent here. */
#include "cpu/system/segment.h"

void exec_invlpg(struct cpu *c, const struct insn *in)
{
    u64 linear = operand_offset(c, in);
    if (!(c->engine.mode & MODE_CODE64))
        linear = (u32)(linear + c->arch.seg[in->segment].base);
    else if (in->segment >= SEG_FS)
        linear += c->arch.seg[in->segment].base;
    if (intercepts(c, EXIT_INVLPG))
        cpu_exit(c, EXIT_INVLPG, linear, 0);
    if (canonical(linear))
        mmu_flush_page(c, linear);
}

void exec_invpcid(struct cpu *c, const struct insn *in)
{
    (void)in;
    cpu_raise_ud(c); /* CPUID does not report it */
}

/* Caches are coherent: there is nothing to write back, and INVD must not lose data [cpu 5.5]. */
void exec_invd(struct cpu *c, const struct insn *in)
{
    (void)c;
    (void)in;
}

void exec_wbinvd(struct cpu *c, const struct insn *in)
{
    (void)c;
    (void)in;
}

void exec_clflush(struct cpu *c, const struct insn *in)
{
    probe_read(c, operand_address(c, in, 1, false), 1);
}

void exec_clzero(struct cpu *c, const struct insn *in)
{
    static const u8 zero[64];
    u64 offset = operand_offset(c, in) & ~63ull;
    store_bytes(c, linear_address(c, in->segment, offset, sizeof zero, true), zero, sizeof zero);
}
