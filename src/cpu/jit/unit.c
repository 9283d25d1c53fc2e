/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which blocks are translated as one unit. When a block is translated, the blocks that follow it
 * have run about as often: how often each has been entered says where the path mostly goes on. The
 * path ends where it leaves the page, calls, returns or jumps by a register, at the beginning of
 * another loop, and before a block that needs a handler in C.
 */
#include "cpu/jit/translate.h"

#define PATH_BLOCKS 4 /* of a path that is no loop: its blocks are translated again elsewhere */

static void add_block(struct unit *n, struct block *b)
{
    struct unit_block *ub = &n->block[n->blocks];
    *ub = (struct unit_block){.block = b, .first = n->uops};
    for (u32 i = 1; i < b->uops; i++)
        if (!uop_is_link(&b->uop[i]))
            n->uop[n->uops++] = (struct unit_uop){.u = &b->uop[i], .block = (u8)n->blocks};
    ub->end = n->uops;
    n->blocks++;
}

static void count_instructions(struct unit *n)
{
    n->insns = 0;
    for (u32 i = n->blocks; i-- > 0;) {
        n->block[i].rest = n->insns;
        n->insns += n->block[i].block->insns;
    }
}

void unit_of_block(struct unit *n, struct block *b)
{
    n->blocks = n->uops = 0;
    n->loops = n->budget_away = false;
    memcpy(n->pinned, pinned, sizeof n->pinned);
    add_block(n, b);
    count_instructions(n);
}

/* --- The path --------------------------------------------------------------------------------- */

static bool needs_no_handler(const struct block *b)
{
    for (u32 i = 1; i < b->uops; i++) {
        const struct uop *u = &b->uop[i];
        if (!uop_is_link(u) && (!has_emitter(u) || ends_in_interpreter(u)))
            return false;
    }
    return true;
}

static bool has_block(const struct unit *n, const struct block *b)
{
    for (u32 i = 0; i < n->blocks; i++)
        if (n->block[i].block == b)
            return true;
    return false;
}

/* Returns how often a block has been entered, up to the threshold. */
static u32 times_entered(const struct cpu *c, const struct block *b)
{
    if (b->uop[0].op == UOP_NATIVE)
        return c->engine.jit_threshold;
    return b->uop[0].op == UOP_WARM ? c->engine.jit_threshold - (u32)b->uop[0].imm : 0;
}

static u8 links_after(const struct uop *u)
{
    if (u->op == UOP_JUMP)
        return 1;
    return u->op == UOP_JCC || u->op == UOP_CMP_JCC || u->op == UOP_TEST_JCC ? 2 : 0;
}

/* Returns the block where the path goes on, or NULL; *next is the number of its link. The path's
 * own beginning is preferred. */
static struct block *next_block(const struct unit *n, const struct cpu *c, u8 *next)
{
    const struct block *last = n->block[n->blocks - 1].block;
    const struct uop *end = n->uop[n->uops - 1].u;
    struct block *best = NULL;
    u32 most = 0;
    for (u8 i = 1; i <= links_after(end); i++) {
        if (end[i].op != UOP_LINK)
            continue;
        struct block *b = block_find(c, last->spa + (u64)(s64)end[i].disp, last->mode);
        u32 times = !b                       ? 0
                    : b == n->block[0].block ? c->engine.jit_threshold + 1
                                             : times_entered(c, b);
        if (times > most && 4 * times >= c->engine.jit_threshold) {
            most = times;
            best = b;
            *next = i;
        }
    }
    return best;
}

static bool may_join(const struct unit *n, const struct block *b)
{
    return n->blocks < UNIT_BLOCKS && n->uops + b->uops <= UNIT_UOPS && !has_block(n, b) &&
           !b->loops && needs_no_handler(b);
}

/* --- Registers -------------------------------------------------------------------------------- */

static bool mentions(const struct uop *u, u8 reg)
{
    u32 shift = size_of(u) == 1 ? 3 : 0;
    if (u->b == reg || u->x == reg || u->d >> shift == reg || u->s >> shift == reg)
        return true;
    if (u->op != UOP_GENERIC)
        return false;
    for (u32 i = 0; i < u->insn->operands; i++)
        if (u->insn->o[i].kind != OPERAND_MEM && u->insn->o[i].reg == reg)
            return true;
    return u->insn->base == reg || u->insn->index == reg;
}

static bool uses_stack(const struct uop *u)
{
    return u->op == UOP_PUSH || u->op == UOP_POP || u->op == UOP_LEAVE_FRAME;
}

/* Counts what the loop mentions. Those registers that instructions use without naming them stay. */
static void count_uses(const struct unit *n, u32 uses[GPRS])
{
    memset(uses, 0, GPRS * sizeof *uses);
    for (u32 i = 0; i < n->uops; i++) {
        const struct uop *u = n->uop[i].u;
        for (u8 reg = 0; reg < (u8)GPRS; reg++)
            uses[reg] += mentions(u, reg);
        uses[RSP] += uses_stack(u) ? UNIT_UOPS : 0;
        uses[RBP] += uses_stack(u) ? UNIT_UOPS : 0;
    }
}

/* Returns the register that the loop uses least, and that may be in memory instead. */
static u8 least_used(const struct unit *n, const u32 uses[GPRS])
{
    static const u8 may_go[] = {RBX, RBP, RSI, RDI, R8, R9, R10, RSP};
    u8 least = GPRS;
    for (u32 i = 0; i < sizeof may_go; i++)
        if (n->pinned[may_go[i]] != H_NONE && (least == GPRS || uses[may_go[i]] < uses[least]))
            least = may_go[i];
    return least;
}

static u8 most_used_in_memory(const struct unit *n, const u32 uses[GPRS])
{
    u8 most = GPRS;
    for (u8 reg = R11; reg < (u8)GPRS; reg++)
        if (n->pinned[reg] == H_NONE && uses[reg] && (most == GPRS || uses[reg] > uses[most]))
            most = reg;
    return most;
}

#define MORE 3 /* uses that are worth an exchange where the loop is entered and left */

/* Gives the host registers of those that the loop mentions not at all, or less, to some that have
 * none; then the budget's. */
static void assign_registers(struct unit *n)
{
    u32 uses[GPRS];
    count_uses(n, uses);
    for (;;) {
        u8 to = most_used_in_memory(n, uses), from = least_used(n, uses);
        if (to == GPRS)
            return;
        if (from == GPRS || (uses[from] && uses[to] < uses[from] + MORE)) {
            n->budget_away = uses[to] >= MORE;
            n->pinned[to] = n->budget_away ? BUDGET : (u8)H_NONE;
            return;
        }
        n->pinned[to] = pinned[from];
        n->pinned[from] = H_NONE;
    }
}

/* --- A unit ----------------------------------------------------------------------------------- */

static void shorten(struct unit *n)
{
    if (n->loops || n->blocks <= PATH_BLOCKS)
        return;
    n->blocks = PATH_BLOCKS;
    n->uops = n->block[PATH_BLOCKS - 1].end;
    n->uop[n->uops - 1].next = 0;
}

/* The last uop before which no flags are wanted, or else the last. */
static void choose_charge(struct unit *n)
{
    u32 i = n->uops;
    while (i > 0 && wanted_before(n->uop[i - 1].u, true))
        i--;
    n->charge = i ? i - 1 : n->uops - 1;
}

void unit_choose(struct unit *n, const struct cpu *c, struct block *b)
{
    unit_of_block(n, b);
    if (b->crossing || !needs_no_handler(b))
        return;
    while (!n->loops) {
        struct unit_uop *end = &n->uop[n->uops - 1];
        u8 next = 0;
        struct block *to = next_block(n, c, &next);
        n->loops = to == b;
        if (!to || (!n->loops && !may_join(n, to)))
            break;
        end->next = next;
        if (!n->loops)
            add_block(n, to);
    }
    shorten(n);
    count_instructions(n);
    if (!n->loops)
        return;
    assign_registers(n);
    walks_find(n);
    choose_charge(n);
}
