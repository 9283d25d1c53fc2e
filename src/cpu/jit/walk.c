/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accesses of a loop that go through memory in small steps, so that one is mostly in the page of
 * the one before: that page is kept in engine.jit_walk, and the TLB is asked again only when it is
 * left. The first round's code finds the page, and the second's compares. No C code runs inside of
 * the loop, so what the TLB has said holds until the loop is left.
 */
#include "cpu/jit/translate.h"

#define STEP_MAX 128 /* bytes a round: at least 32 rounds a page */

/* --- Which accesses walk ---------------------------------------------------------------------- */

static bool small_step(const struct uop *u, u8 reg)
{
    s64 by = 0;
    return uop_adds(u, reg, &by) && by >= -STEP_MAX && by <= STEP_MAX;
}

static bool steps(const struct unit *n, u8 reg, bool sums)
{
    if (reg >= GPRS)
        return reg == REG_ZERO || reg == REG_BLOCK;
    for (u32 i = 0; i < n->uops; i++) {
        const struct uop *u = n->uop[i].u;
        if (!uop_changes(u, reg) || small_step(u, reg))
            continue;
        bool sum = sums && u->op == UOP_LEA && u->b != reg && u->x != reg && u->scale <= 3;
        if (!sum || !steps(n, u->b, false) || !steps(n, u->x, false))
            return false;
    }
    return true;
}

void walks_find(struct unit *n)
{
    u8 walks = 0;
    for (u32 i = 0; i < n->uops && walks < JIT_WALKS; i++) {
        const struct uop *u = n->uop[i].u;
        if (place_of(u) != REG && u->op != UOP_LEA && u->op != UOP_PUSH && !(u->form & FORM_INSN) &&
            steps(n, u->b, true) && steps(n, u->x, true))
            n->uop[i].walk = ++walks;
    }
}

/* --- The access ------------------------------------------------------------------------------- */

static struct rm page_of(u8 walk)
{
    struct rm rm = CPU_FIELD(engine.jit_walk[0].page);
    rm.disp += (s32)((walk - 1u) * sizeof(struct jit_walk));
    return rm;
}

static struct rm host_of(u8 walk)
{
    struct rm rm = page_of(walk);
    rm.disp += (s32)offsetof(struct jit_walk, host);
    return rm;
}

/* Finds the page. Leaves the address as HOST + SCRATCH, and returns the jump of a miss. */
static u8 *find_page(struct translator *t, const struct uop *u, u8 walk, u32 size, bool write)
{
    struct code *k = &t->code;
    address(t, u, SCRATCH);
    u8 *miss = emit_translation(t, size, write);
    emit_store(k, host_of(walk), HOST);
    emit_store(k, page_of(walk), SCRATCH);
    address(t, u, SCRATCH);
    emit_load(k, HOST, in_register(SCRATCH));
    emit_op(k, 0x33, 8, SCRATCH, page_of(walk)); /* XOR: without the offset it is the page */
    emit_store(k, page_of(walk), SCRATCH);
    emit_op(k, 0x33, 8, SCRATCH, in_register(HOST));
    emit_load(k, HOST, host_of(walk));
    return miss;
}

static struct cold_code *slow_path(struct translator *t, enum cold kind)
{
    if (!t->slow)
        t->slow = cold_add(t, kind, t->u);
    return t->slow;
}

static void add_site(struct translator *t, struct cold_code *cold, u8 *site)
{
    if (cold->sites == COLD_SITES)
        t->code.full = true;
    else
        cold->site[cold->sites++] = site;
}

bool walk_operand(struct translator *t, const struct uop *u, u32 size, bool write, enum cold slow,
                  struct rm *out)
{
    struct code *k = &t->code;
    u8 walk = t->in_path ? t->unit.uop[t->index].walk : 0;
    if (!walk || slow == COLD_PLAIN)
        return false;
    *out = at_sum(HOST, SCRATCH);
    if (t->first_round) {
        u8 *miss = find_page(t, u, walk, size, write);
        add_site(t, slow_path(t, slow), miss);
        return true;
    }
    struct cold_code *cold = cold_add(t, COLD_WALK, t->u);
    address(t, u, SCRATCH);
    emit_op(k, 0x33, 8, SCRATCH, page_of(walk));
    emit_alu_imm(k, ALU_CMP, 8, in_register(SCRATCH), (s32)(PAGE_SIZE - size));
    add_site(t, cold, emit_jcc(k, CC_A));
    emit_load(k, HOST, host_of(walk));
    cold->resume = k->p;
    cold->plain = t->index;
    cold->size = size;
    cold->write = write;
    cold->recipe.valid = false; /* nothing is left here */
    cold->slow = slow_path(t, slow);
    return true;
}

/* The page was left: finds the next one. The slow path is emitted later. */
void emit_walk_page(struct translator *t, const struct cold_code *cold)
{
    u8 walk = t->unit.uop[cold->plain].walk;
    add_site(t, cold->slow, find_page(t, cold->u, walk, cold->size, cold->write));
    emit_jump_to(&t->code, cold->resume);
}
