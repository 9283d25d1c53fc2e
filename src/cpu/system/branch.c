/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of branches [APM2 13.1]. While DebugCtl.LBR is set, the run loop runs one instruction at
 * a time. A taken branch leaves its own address and that of its target; an interrupt or exception
 * keeps the record of the branch before it, too. #DB is not recorded: it ends the recording.
 */
#include "cpu/internal.h"

enum branch { BRANCH_NONE, BRANCH_ALWAYS, BRANCH_JCC, BRANCH_LOOP, BRANCH_JCXZ };

/* INT n and its relatives are recorded as the events that they deliver. */
static const u8 branches[INSN_COUNT] = {
    [INSN_jmp] = BRANCH_ALWAYS,      [INSN_jmp_indirect] = BRANCH_ALWAYS,
    [INSN_call] = BRANCH_ALWAYS,     [INSN_call_indirect] = BRANCH_ALWAYS,
    [INSN_ret] = BRANCH_ALWAYS,      [INSN_jmp_far] = BRANCH_ALWAYS,
    [INSN_call_far] = BRANCH_ALWAYS, [INSN_retf] = BRANCH_ALWAYS,
    [INSN_iret] = BRANCH_ALWAYS,     [INSN_syscall] = BRANCH_ALWAYS,
    [INSN_sysret] = BRANCH_ALWAYS,   [INSN_sysenter] = BRANCH_ALWAYS,
    [INSN_sysexit] = BRANCH_ALWAYS,  [INSN_jcc] = BRANCH_JCC,
    [INSN_loop] = BRANCH_LOOP,       [INSN_loope] = BRANCH_LOOP,
    [INSN_loopne] = BRANCH_LOOP,     [INSN_jcxz] = BRANCH_JCXZ,
};

/* Conditional branches leave the flags as they were, and LOOP has counted already. */
bool branch_taken(const struct cpu *c, const struct insn *in)
{
    const u64 count = gpr_read(c, RCX, in->addrsize);
    const bool equal = flags_get(c) & RFLAGS_ZF;
    switch (branches[in->op->id]) {
    case BRANCH_ALWAYS:
        return true;
    case BRANCH_JCC:
        return condition(c, in->opcode & 15);
    case BRANCH_LOOP:
        return count && (in->op->id == INSN_loop || equal == (in->op->id == INSN_loope));
    case BRANCH_JCXZ:
        return !count;
    default:
        return false;
    }
}

void branch_record(struct cpu *c, u64 from)
{
    c->arch.br_from = from;
    c->arch.br_to = c->arch.rip;
}

void branch_record_event(struct cpu *c, u64 from)
{
    c->arch.last_exception_from = c->arch.br_from;
    c->arch.last_exception_to = c->arch.br_to;
    branch_record(c, from);
}

void branch_debug_exception(struct cpu *c)
{
    if (!(c->arch.debugctl & (DEBUGCTL_LBR | DEBUGCTL_BTF)))
        return;
    c->arch.debugctl &= ~(u64)(DEBUGCTL_LBR | DEBUGCTL_BTF);
    debug_update(c);
}
