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

/* The descriptor has the identifier in its first 12 bits and an address in its second quadword.
 * Types: an address, one context, everything, everything but global pages [APM3 INVPCID]. */
void exec_invpcid(struct cpu *c, const struct insn *in)
{
    enum { ADDRESS, CONTEXT, ALL, ALL_NOT_GLOBAL };
    u64 type = operand_read(c, in, 0);
    u64 at = operand_address(c, in, 16, false);
    u64 context = load(c, at, 8), linear = load(c, at + 8, 8);
    bool without_pcid = !(c->arch.cr4 & CR4_PCIDE) && context;
    if (type > ALL_NOT_GLOBAL || (type <= CONTEXT && (context & ~(u64)CR3_PCID || without_pcid)) ||
        (type == ADDRESS && !canonical(linear)))
        cpu_raise_gp(c, 0);
    if (type == ADDRESS && context == (c->arch.cr3 & CR3_PCID))
        mmu_flush_page(c, linear);
    else if (type != ADDRESS)
        mmu_flush(c, type == ALL);
}

/* Caches are coherent: INVD must not lose data [cpu 5.5], and WBINVD has nothing to write back, but
 * the firmware waits for it. */
void exec_invd(struct cpu *c, const struct insn *in)
{
    (void)c;
    (void)in;
}

void exec_wbinvd(struct cpu *c, const struct insn *in)
{
    (void)in;
    bare_wbinvd(c);
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
