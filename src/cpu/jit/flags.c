/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's arithmetic flags in emitted code; translate.h says where they can be. */
#include "cpu/jit/translate.h"

#define LAHF 0x9f
#define SAHF 0x9e

void flags_save(struct translator *t)
{
    if (t->flags != FLAGS_HOST)
        return;
    emit_byte(&t->code, LAHF);
    emit_op(&t->code, OP_TWO(0x90 | CC_O) | OP_BYTE, 4, 0, in_register(H_RAX)); /* SETO AL */
    emit_op(&t->code, X_MOV_STORE, 4, H_RAX, CPU_FIELD(engine.raw_flags));
    t->flags = FLAGS_BOTH;
}

void flags_clobber(struct translator *t)
{
    if (t->wanted)
        flags_save(t);
    t->flags = FLAGS_RAW;
}

/* AL is 0 or 1: adding 127 overflows if it is 1. */
void flags_load(struct code *k)
{
    emit_op(k, X_MOV_LOAD, 4, H_RAX, CPU_FIELD(engine.raw_flags));
    emit_byte(k, 0x04);
    emit_byte(k, 127);
    emit_byte(k, SAHF);
}

void flags_host(struct translator *t)
{
    if (t->flags != FLAGS_RAW)
        return;
    flags_load(&t->code);
    t->flags = FLAGS_BOTH;
}

void flags_carry(struct translator *t)
{
    if (t->flags == FLAGS_RAW) /* CF is bit 0 of AH */
        emit_op_imm8(&t->code, OP_TWO(0xba), 4, 4, CPU_FIELD(engine.raw_flags), 8);
}
