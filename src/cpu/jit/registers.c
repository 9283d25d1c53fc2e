/* SPDX-License-Identifier: Apache-2.0 */
/* Where the guest's registers are while emitted code runs. */
#include "cpu/jit/translate.h"

/* RAX makes room for LAHF, RSP and RBP for the host's stack and the struct cpu, R11 for the budget,
 * which each block changes. The registers that compilers use last stay in memory. */
const u8 pinned[GPRS] = {
    [RAX] = H_R15,  [RCX] = H_RCX,  [RDX] = H_RDX,  [RBX] = H_RBX,  [RSP] = H_R14, [RBP] = H_R13,
    [RSI] = H_RSI,  [RDI] = H_RDI,  [R8] = H_R8,    [R9] = H_R9,    [R10] = H_R10, [R11] = H_NONE,
    [R12] = H_NONE, [R13] = H_NONE, [R14] = H_NONE, [R15] = H_NONE,
};

static u8 number(u8 field, u32 size)
{
    return size == 1 ? field >> 3 : field;
}

struct rm gpr_operand(const struct translator *t, u8 field, u32 size)
{
    u8 reg = number(field, size);
    if (reg < GPRS && t->pinned[reg] != H_NONE)
        return in_register(t->pinned[reg]);
    return GUEST_REGISTER(reg);
}

u8 gpr_source(struct translator *t, u8 field, u32 size, u8 scratch)
{
    struct rm rm = gpr_operand(t, field, size);
    if (!rm.memory)
        return rm.reg;
    emit_load(&t->code, scratch, rm);
    return scratch;
}

u8 gpr_begin(struct translator *t, u8 field, u32 size, u8 scratch, bool load)
{
    struct rm rm = gpr_operand(t, field, size);
    if (!rm.memory)
        return rm.reg;
    if (load || size < 4)
        emit_load(&t->code, scratch, rm);
    return scratch;
}

void gpr_end(struct translator *t, u8 field, u32 size, u8 host)
{
    struct rm rm = gpr_operand(t, field, size);
    if (rm.memory)
        emit_store(&t->code, rm, host);
}
