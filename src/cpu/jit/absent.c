/* SPDX-License-Identifier: Apache-2.0 */
/* In place of the translator where there is none: on other hosts, and in the loop form. */
#include "cpu/jit/jit.h"

bool jit_create(struct cpu *c UNUSED, u32 bytes UNUSED)
{
    return false;
}

void jit_destroy(struct cpu *c UNUSED)
{
}

void jit_two_worlds(struct cpu *c UNUSED)
{
}

void jit_translate(struct cpu *c UNUSED, struct block *b UNUSED)
{
}

void jit_forget(struct cpu *c UNUSED)
{
}

void jit_unlink(struct cpu *c UNUSED, const struct uop *enter UNUSED)
{
}

const struct uop *jit_run(struct cpu *c UNUSED, const struct uop *u)
{
    return u;
}
