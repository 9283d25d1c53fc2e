/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One core with memory and identity page tables, for tests that run snippets of machine code in it.
 * No VMCB: the harness writes the core's state, runs it, and looks at it afterwards. Every
 * exception, HLT and VMMCALL end the run.
 */
#ifndef SOFTSEV_TESTS_CPU_HARNESS_H
#define SOFTSEV_TESTS_CPU_HARNESS_H

#include "assembly.h"
#include "cpu/internal.h"

#define HARNESS_MEMORY MIB(16)
#define HARNESS_CODE   0x10000u /* the snippet */
#define HARNESS_STACK  0x30000u /* initial RSP */
/* free to use, up to 4 MiB; pages of 4 KiB that can be taken away */
#define HARNESS_DATA 0x200000u

enum harness_mode { HARNESS_16, HARNESS_32, HARNESS_64, HARNESS_64_USER };

struct harness {
    struct clock clock;
    struct random_source random;
    struct memory *memory;
    struct cpu *cpu;
};

bool harness_create(struct harness *h);
bool harness_create_engine(struct harness *h, enum cpu_engine engine, u32 jit_threshold);
void harness_destroy(struct harness *h);
/* A clean core in that mode, at HARNESS_CODE; memory and decoded blocks stay. */
void harness_reset(struct harness *h, enum harness_mode mode);
void harness_write(struct harness *h, u64 address, const void *bytes, size_t size);
void harness_write_code(struct harness *h, u64 address, struct code code);
void harness_read(struct harness *h, u64 address, void *bytes, size_t size);
/* Page tables of [HARNESS_DATA, 4 MiB): sets the bits of the page's entry (PTE_P ...). */
void harness_page(struct harness *h, u64 address, u64 bits);
/* Returns the address of that entry. */
u64 harness_page_entry(u64 address);
/* Runs from c->arch.rip to the next exit or for `budget` instructions; returns the exit code
 * (EXIT_INTR: budget used up). *done, if wanted: instructions retired. */
u64 harness_run(struct harness *h, u64 budget, u64 *done);
/* Writes `code` and a HLT at HARNESS_CODE and runs it. */
u64 harness_code(struct harness *h, struct code code, u64 *done);

#endif
