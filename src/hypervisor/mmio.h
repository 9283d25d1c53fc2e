/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the one instruction that touched a device's registers, from the bytes that the processor
 * left in the VMCB [APM2 15.8.4]: the forms that drivers use. Pure: bytes in, what to do out.
 */
#ifndef SOFTSEV_HYPERVISOR_MMIO_H
#define SOFTSEV_HYPERVISOR_MMIO_H

#include "base/base.h"

enum mmio_kind {
    MMIO_LOAD,  /* register <- memory, extended to `to_size` */
    MMIO_STORE, /* memory <- register or immediate */
    MMIO_ALU,   /* memory <- memory op operand, or register <- register op memory, with flags */
    MMIO_XCHG,
    MMIO_STOS,
};

enum mmio_alu { MMIO_ADD, MMIO_OR, MMIO_AND, MMIO_SUB, MMIO_XOR, MMIO_CMP, MMIO_TEST };

struct mmio_instruction {
    enum mmio_kind kind;
    enum mmio_alu alu;
    u8 length;        /* bytes of the instruction */
    u8 size;          /* bytes of the memory operand */
    u8 to_size;       /* bytes of the destination register of a load */
    bool sign;        /* a load that extends the sign */
    bool immediate;   /* the operand is `value`, not register `reg` */
    bool to_register; /* MMIO_ALU: the result goes to the register */
    bool rep;         /* MMIO_STOS */
    u8 address_size;  /* bytes; for MMIO_STOS */
    u8 reg;
    bool high; /* AH, CH, DH, BH */
    u64 value;
};

/* `bits` is 16, 32 or 64: the code segment's size. False: not one of the forms, or too few bytes.
 * */
bool mmio_decode(const u8 *bytes, u32 count, u32 bits, struct mmio_instruction *out);

/* The result of an ALU form, and the arithmetic flags it leaves (others of `flags` unchanged). */
u64 mmio_compute(enum mmio_alu alu, u32 size, u64 a, u64 b, u64 *flags);

#endif
