/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The translator for x86-64 hosts: what the engine asks of it.
 *
 * A block that has been entered often is translated from its uops into host code, and its enter uop
 * becomes a NATIVE one. The uops stay: wherever emitted code cannot go on by itself, a handler runs
 * one uop (jit_step), or the interpreter continues at a uop. So the handlers in C are the only
 * definition of what an instruction does, and faults, exits and accounting need no second form.
 */
#ifndef SOFTSEV_CPU_JIT_JIT_H
#define SOFTSEV_CPU_JIT_JIT_H

#include "cpu/engine/engine.h"

#define JIT_THRESHOLD 64 /* executions of a block before it is translated */

/* Gives the core a translator, with room for so many bytes of code (0: the default). False: the
 * host has none, or there is no executable memory; then the core interprets. */
bool jit_create(struct cpu *c, u32 bytes);
void jit_destroy(struct cpu *c);
/* From now on the core has TLB arrays of two worlds. */
void jit_two_worlds(struct cpu *c);
/* Translates a block and makes its enter uop a NATIVE one. Call between blocks only: it may have to
 * throw all translations away first. */
void jit_translate(struct cpu *c, struct block *b);
/* Forgets all code. No NATIVE uop may be left. */
void jit_forget(struct cpu *c);
/* Makes the code of a NATIVE uop leave to that uop at once. */
void jit_unlink(struct cpu *c, const struct uop *enter);
/* Runs emitted code from a NATIVE uop on. Returns the uop at which to continue. */
const struct uop *jit_run(struct cpu *c, const struct uop *u);

#endif
