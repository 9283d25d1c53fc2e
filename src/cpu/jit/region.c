/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regions: several accesses of a block through one base register, in a range that is translated
 * once. After that each access takes the distance from linear to host addresses from
 * engine.jit_delta, without a look at the TLB.
 *
 * A region holds while no C code runs, since C code can change translations. So wherever a uop of
 * the block has run by its handler, the rest of the block goes on in a second, plain form without
 * regions; the same happens if the range is not in one page of the TLB.
 */
#include "cpu/jit/translate.h"

#define RANGE_MAX 512 /* bytes: the longer, the more often it lies in two pages */

/* --- What a uop does with a register ---------------------------------------------------------- */

enum change { UNCHANGED, ADDED, REPLACED };

static bool is_destination(const struct uop *u, u8 reg)
{
    u32 field = size_of(u) == 1 ? u->d >> 3 : u->d;
    return place_of(u) == REG ? field == reg : !memory_first(u) && field == reg;
}

static enum change added(s64 *by, s64 n)
{
    *by = n;
    return ADDED;
}

static enum change replaced_if(bool replaced)
{
    return replaced ? REPLACED : UNCHANGED;
}

static enum change arithmetic_change(const struct uop *u, u8 reg, s64 *by)
{
    if (!is_destination(u, reg))
        return UNCHANGED;
    if (u->op <= UOP_SUB && size_of(u) == 8 && place_of(u) == REG && u->form & FORM_IMM) {
        if (u->op == UOP_ADD)
            return added(by, (s64)u->imm);
        if (u->op == UOP_SUB)
            return added(by, -(s64)u->imm);
    }
    return REPLACED;
}

/* Says how the uop changes a general register; *by is what it adds. */
static enum change change_of(const struct uop *u, u8 reg, s64 *by)
{
    if (u->op >= UOP_ADD && u->op <= UOP_XOR)
        return arithmetic_change(u, reg, by);
    switch (u->op) {
    case UOP_CMP:
    case UOP_TEST:
    case UOP_BT:
    case UOP_ADDRESS_SEGMENT:
    case UOP_JUMP:
    case UOP_JUMP_TO:
    case UOP_JCC:
    case UOP_CMP_JCC:
    case UOP_TEST_JCC:
        return UNCHANGED;
    case UOP_INC:
    case UOP_DEC:
        if (size_of(u) == 8 && place_of(u) == REG && u->d == reg)
            return added(by, u->op == UOP_INC ? 1 : -1);
        return replaced_if(place_of(u) == REG && is_destination(u, reg));
    case UOP_NOT:
    case UOP_NEG:
    case UOP_ROL:
    case UOP_ROR:
    case UOP_SHL:
    case UOP_SHR:
    case UOP_SAR:
    case UOP_IMUL:
    case UOP_MOV:
        return replaced_if(is_destination(u, reg));
    case UOP_SETCC:
        return replaced_if(place_of(u) == REG && u->d >> 3 == reg);
    case UOP_MOVZX:
    case UOP_MOVSX:
    case UOP_CMOV:
    case UOP_BSWAP:
        return replaced_if(u->d == reg);
    case UOP_LEA:
        if (u->d == reg && u->b == reg && u->x == REG_ZERO && size_of(u) == 8)
            return added(by, u->disp);
        return replaced_if(u->d == reg);
    case UOP_XCHG:
        return replaced_if(is_destination(u, reg) || (size_of(u) == 1 ? u->s >> 3 : u->s) == reg);
    case UOP_MUL:
    case UOP_DIV:
        return replaced_if(reg == RAX || reg == RDX);
    case UOP_EXTEND_RAX:
        return replaced_if(reg == RAX);
    case UOP_EXTEND_INTO_RDX:
        return replaced_if(reg == RDX);
    case UOP_PUSH:
    case UOP_CALL:
    case UOP_CALL_TO:
        return reg == RSP ? added(by, -8) : UNCHANGED;
    case UOP_POP:
        if (u->d == reg)
            return REPLACED;
        return reg == RSP ? added(by, 8) : UNCHANGED;
    case UOP_RET:
        return replaced_if(reg == RSP);
    case UOP_LEAVE_FRAME:
        return replaced_if(reg == RSP || reg == RBP);
    case UOP_GENERIC:
        return replaced_if(!bit_uop(u) || bit_changes(u, reg));
    default: /* vector instructions: `aux` is set if they write a general register */
        return replaced_if(!vector_uop(u) || (u->aux && u->d == reg));
    }
}

bool uop_changes(const struct uop *u, u8 reg)
{
    s64 by;
    return change_of(u, reg, &by) != UNCHANGED;
}

bool uop_adds(const struct uop *u, u8 reg, s64 *by)
{
    return change_of(u, reg, by) == ADDED;
}

/* --- Accesses --------------------------------------------------------------------------------- */

struct span {
    s64 low, high; /* relative to the base register before the uop */
    bool write;
};

static bool comparison(const struct uop *u)
{
    return u->op == UOP_CMP || u->op == UOP_TEST || u->op == UOP_CMP_JCC || u->op == UOP_TEST_JCC;
}

/* Finds what the uop accesses through the register. A PUSH from memory may do two accesses. */
static u32 accesses(const struct uop *u, u8 reg, struct span out[2])
{
    u32 n = 0;
    if (place_of(u) != REG && u->op != UOP_LEA && u->b == reg && u->x == REG_ZERO) {
        u32 size = u->op >= UOP_VECTOR ? vector_memory_size(u) : size_of(u);
        out[n++] = (struct span){u->disp, u->disp + (s64)size, memory_first(u) && !comparison(u)};
    }
    bool pushes = u->op == UOP_PUSH || u->op == UOP_CALL || u->op == UOP_CALL_TO;
    bool pops = u->op == UOP_POP || u->op == UOP_RET;
    if (reg == RSP && (pushes || pops))
        out[n++] = (struct span){pushes ? -8 : 0, pushes ? 0 : 8, pushes};
    if (reg == RBP && u->op == UOP_LEAVE_FRAME)
        out[n++] = (struct span){0, 8, false};
    return n;
}

/* --- Regions ---------------------------------------------------------------------------------- */

/* Joins a span to the region. False: the range would become too long. */
static bool join(struct region *r, const struct span *s, s64 offset)
{
    s64 low = offset + s->low, high = offset + s->high;
    if (r->count) {
        low = low < r->low ? low : r->low;
        high = high > r->high ? high : r->high;
    }
    if (high - low > RANGE_MAX || low != (s32)low || high != (s32)high)
        return false;
    r->low = low;
    r->high = high;
    r->write |= s->write;
    r->count++;
    return true;
}

/* Looks ahead from uop `first`: which of its and its successors' accesses are one region. */
static struct region look_ahead(const struct unit *n, u32 first, u8 reg)
{
    struct region r = {.last = first};
    s64 offset = 0, by = 0;
    for (u32 i = first; i < n->uops; i++) {
        const struct uop *u = n->uop[i].u;
        struct span spans[2];
        if (!has_emitter(u))
            break;
        u32 count = accesses(u, reg, spans);
        struct region longer = r;
        for (u32 k = 0; k < count; k++)
            if (!join(&longer, &spans[k], offset))
                return r;
        if (count)
            longer.last = i;
        r = longer;
        enum change change = change_of(u, reg, &by);
        if (change == REPLACED)
            break;
        offset += change == ADDED ? by : 0;
        if (offset != (s32)offset)
            break;
    }
    return r;
}

/* Returns true if nothing in the loop changes the register: a region need not be opened again. */
static bool kept_in_loop(const struct unit *n, u8 reg)
{
    for (u32 i = 0; n->loops && i < n->uops; i++)
        if (uop_changes(n->uop[i].u, reg))
            return false;
    return n->loops;
}

struct rm region_delta(u8 reg)
{
    struct rm rm = CPU_FIELD(engine.jit_delta);
    rm.disp += 8 * reg;
    return reg == RSP ? CPU_FIELD(engine.stack_delta) : rm;
}

/* The stack's page is mostly the one of before. */
static void open_stack(struct translator *t, const struct region *r)
{
    struct code *k = &t->code;
    flags_raw(t);
    const u8 *again = k->p;
    emit_op(k, X_LEA, 8, SCRATCH, at(t->pinned[RSP], (s32)r->low));
    emit_op(k, 0x33, 8, SCRATCH, CPU_FIELD(engine.stack_page));
    emit_op(k, 0x0b, 8, SCRATCH, CPU_FIELD(engine.stack_invalid));
    emit_alu_imm(k, ALU_CMP, 8, in_register(SCRATCH), (s32)(PAGE_SIZE - (r->high - r->low)));
    struct cold_code *cold = cold_add(t, COLD_STACK, t->u);
    cold->site[cold->sites++] = emit_jcc(k, CC_A);
    cold->resume = again;
    cold->plain = t->index;
    t->plain_form[t->index].entered = true;
    t->stack[t->stacks] = *r;
    cold->stack = &t->stack[t->stacks];
    t->stacks += t->stacks < ARRAY_SIZE(t->stack) - 1;
}

/* Finds the stack's page in the TLB. If the range is not in one page, the block goes on in its
 * plain form. */
void emit_stack_page(struct translator *t, const struct cold_code *cold)
{
    struct code *k = &t->code;
    const struct region *r = cold->stack;
    struct rm low = at(t->pinned[RSP], (s32)r->low);
    t->index = cold->plain;
    emit_op(k, X_LEA, 8, SCRATCH, low);
    translate_address(t, (u32)(r->high - r->low), true, COLD_PLAIN);
    emit_op(k, 0x03, 8, HOST, in_register(SCRATCH));
    emit_op(k, X_LEA, 8, SCRATCH, low);
    emit_op(k, 0x2b, 8, HOST, in_register(SCRATCH));
    emit_store(k, CPU_FIELD(engine.stack_delta), HOST);
    emit_alu_imm(k, ALU_AND, 8, in_register(SCRATCH), -(s32)PAGE_SIZE);
    emit_store(k, CPU_FIELD(engine.stack_page), SCRATCH);
    emit_op(k, 0xc7, 8, 0, CPU_FIELD(engine.stack_invalid));
    emit_u32(k, 0);
    emit_jump_to(k, cold->resume);
}

static void open_range(struct translator *t, u8 reg, const struct region *r)
{
    struct code *k = &t->code;
    u8 base = t->pinned[reg];
    flags_raw(t);
    emit_op(k, X_LEA, 8, SCRATCH, at(base, (s32)r->low));
    translate_address(t, (u32)(r->high - r->low), r->write, COLD_PLAIN);
    struct rm first = at_sum(HOST, SCRATCH);
    first.disp = (s32)-r->low;
    emit_op(k, X_LEA, 8, HOST, first);
    emit_op(k, 0x2b, 8, HOST, in_register(base)); /* SUB */
    emit_store(k, region_delta(reg), HOST);
    delta_loaded(t, reg);
}

static void open_region(struct translator *t, u8 reg, const struct region *r)
{
    t->code.mentioned = ~0u;
    if (reg == RSP)
        open_stack(t, r);
    else
        open_range(t, reg, r);
    t->region[reg] = *r;
    t->region[reg].open = true;
    t->region[reg].write |= reg == RSP;
}

void regions_before(struct translator *t, u32 index)
{
    if (t->plain)
        return;
    for (u8 reg = 0; reg < (u8)GPRS; reg++) {
        struct span spans[2];
        if (t->pinned[reg] == H_NONE || t->region[reg].open ||
            !accesses(t->unit.uop[index].u, reg, spans))
            continue;
        struct region r = look_ahead(&t->unit, index, reg);
        r.kept = t->in_path && kept_in_loop(&t->unit, reg);
        if (r.count >= REGION_LEAST || ((reg == RSP || r.kept) && r.count))
            open_region(t, reg, &r);
    }
}

void regions_after(struct translator *t, u32 index)
{
    for (u8 reg = 0; reg < (u8)GPRS; reg++) {
        struct region *r = &t->region[reg];
        s64 by = 0;
        if (!r->open)
            continue;
        enum change change = change_of(t->unit.uop[index].u, reg, &by);
        r->offset += change == ADDED ? by : 0;
        r->open = change != REPLACED && (index < r->last || r->kept);
    }
}

bool regions_open(const struct translator *t)
{
    for (u8 reg = 0; reg < (u8)GPRS; reg++)
        if (t->region[reg].open)
            return true;
    return false;
}

bool region_has(const struct translator *t, u8 reg, s64 disp, u32 size, bool write)
{
    if (reg >= GPRS || !t->region[reg].open)
        return false;
    const struct region *r = &t->region[reg];
    return r->low <= r->offset + disp && r->offset + disp + (s64)size <= r->high &&
           (r->write || !write);
}
