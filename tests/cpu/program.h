/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random programs of a few hundred instructions, made from a seed: functions that call each other,
 * loops, branches on every flag, strings, stores into code, and operands anywhere in a small data
 * area with its page ends and a page that may be missing. They are for comparing one way of
 * executing them with another.
 */
#ifndef SOFTSEV_TESTS_CPU_PROGRAM_H
#define SOFTSEV_TESTS_CPU_PROGRAM_H

#include "cpu/internal.h"

#define PROGRAM_CODE      0x10000u /* linear and physical */
#define PROGRAM_CODE_SIZE (4 * PAGE_SIZE)
#define PROGRAM_DATA      0x200000u
#define PROGRAM_DATA_SIZE (8 * PAGE_SIZE)
#define PROGRAM_HOLE      (PROGRAM_DATA + 5 * PAGE_SIZE) /* the page that may be missing */
/* The same frames again at other linear addresses: code, then data. */
#define PROGRAM_ALIAS        0x300000u
#define PROGRAM_INSTRUCTIONS 4096
#define PROGRAM_FUNCTIONS    8

struct program_instruction {
    u16 offset;
    u8 length;
};

struct program {
    u64 random;
    bool user;   /* CPL 3 */
    bool vector; /* SSE instructions only, just now */
    bool near;   /* memory operands have small displacements just now */
    bool compat; /* 32-bit code in long mode: what would be a REX prefix is INC or DEC */
    u32 mode;    /* MODE_... for the decoder */
    u32 stack;   /* the stack pointer at the start */
    u32 size;    /* bytes of code so far */
    u32 functions;
    u32 function[PROGRAM_FUNCTIONS]; /* offsets; the last one is where it starts */
    u32 instructions;
    struct program_instruction instruction[PROGRAM_INSTRUCTIONS];
    u32 patches; /* immediates and opcodes that stores into code may change */
    struct {
        u16 offset;
        u8 flip; /* exclusive-or that keeps the instruction's length; 0: any value does */
    } patch[32];
    u64 r[GPRS], rflags;
    u8 code[PROGRAM_CODE_SIZE];
    u8 data[PROGRAM_DATA_SIZE];
    u8 fx[512]; /* x87 and SSE state */
};

/* Fills in *p. The same seed gives the same program. */
void program_make(struct program *p, u64 seed);
u64 program_random(u64 *state);
/* Overwrites an instruction by NOPs, to see whether it matters. */
void program_drop(struct program *p, u32 instruction);

#endif
