/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machine code of tests, written as assembly in Intel's syntax where the test needs it:
 *
 *     RUN(g, "mov rax, [rbx]; hlt")          in a call
 *     {ASM("rdmsr"), VECTOR_GP},             in a row of a table (of a function: not static)
 *
 * The assembler makes the bytes when the test is built. Labels are numbers from 2 on: "2: jmp 2b".
 * A test of an encoding that no assembler chooses says so with `.byte`.
 */
#ifndef SOFTSEV_TESTS_CPU_ASSEMBLY_H
#define SOFTSEV_TESTS_CPU_ASSEMBLY_H

#include "base/base.h"

struct code {
    const u8 *bytes;
    size_t size;
};

/* The text goes to a section of its own; the value says where it lies there. */
#define ASM_IN(mode, text)                                                                         \
    __extension__({                                                                                \
        struct code code_;                                                                         \
        __asm__(".pushsection .rodata.code, \"a\"\n\t" mode "\n\t.intel_syntax noprefix\n"         \
                "9991: " text "\n9992:\n\t.att_syntax prefix\n\t.code64\n\t.popsection\n\t"        \
                "lea 9991b(%%rip), %0\n\tmov $(9992b - 9991b), %1"                                 \
                : "=r"(code_.bytes), "=r"(code_.size));                                            \
        code_;                                                                                     \
    })
#define ASM(text)   ASM_IN(".code64", text)
#define ASM32(text) ASM_IN(".code32", text)
#define ASM16(text) ASM_IN(".code16", text)

#endif
