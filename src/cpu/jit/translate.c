/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translates a block, uop by uop. A uop without an emitter, or of a form that its emitter does not
 * know, is run by its handler.
 */
#include "cpu/jit/translate.h"

/* What a uop does to the flags, and whether it may leave the block. */
enum effect {
    KEEPS,    /* or changes them without reading them, while nobody wants them */
    SETS,     /* overwrites all of them, if FORM_FLAGS */
    REPLACES, /* overwrites all of them */
    READS,    /* whether or not it overwrites them, too */
    CHANGES,  /* overwrites some of them, or all of them sometimes, if FORM_FLAGS */
    UNKNOWN,  /* calls C code that may do either */
};

enum leaving { BY_MEMORY, NEVER, MAY };

struct row {
    emit_fn *emit;
    u8 effect;
    u8 leaving;
};

// clang-format off
static const struct row rows[UOP_VECTOR + 1] = {
    [UOP_GENERIC] = {emit_generic, UNKNOWN, MAY},
    [UOP_GENERIC_CHECKED] = {emit_system, UNKNOWN, MAY},
    [UOP_GENERIC_END] = {NULL, UNKNOWN, MAY},
    [UOP_UNDEFINED] = {NULL, UNKNOWN, MAY},
    [UOP_TOO_LONG] = {NULL, UNKNOWN, MAY},
    [UOP_LEAVE] = {NULL, UNKNOWN, MAY},
    [UOP_ADDRESS] = {NULL, KEEPS, MAY},
    [UOP_ADDRESS_SEGMENT] = {emit_address_segment, KEEPS, NEVER},
    [UOP_ADD] = {emit_alu, SETS, BY_MEMORY},
    [UOP_OR] = {emit_alu, SETS, BY_MEMORY},
    [UOP_ADC] = {emit_alu, READS, BY_MEMORY},
    [UOP_SBB] = {emit_alu, READS, BY_MEMORY},
    [UOP_AND] = {emit_alu, SETS, BY_MEMORY},
    [UOP_SUB] = {emit_alu, SETS, BY_MEMORY},
    [UOP_XOR] = {emit_alu, SETS, BY_MEMORY},
    [UOP_CMP] = {emit_alu, SETS, BY_MEMORY},
    [UOP_TEST] = {emit_alu, SETS, BY_MEMORY},
    [UOP_INC] = {emit_step, CHANGES, BY_MEMORY},
    [UOP_DEC] = {emit_step, CHANGES, BY_MEMORY},
    [UOP_NOT] = {emit_not, KEEPS, BY_MEMORY},
    [UOP_NEG] = {emit_neg, SETS, BY_MEMORY},
    [UOP_ROL] = {emit_shift, CHANGES, BY_MEMORY},
    [UOP_ROR] = {emit_shift, CHANGES, BY_MEMORY},
    [UOP_SHL] = {emit_shift, CHANGES, BY_MEMORY},
    [UOP_SHR] = {emit_shift, CHANGES, BY_MEMORY},
    [UOP_SAR] = {emit_shift, CHANGES, BY_MEMORY},
    [UOP_MUL] = {emit_mul, SETS, BY_MEMORY},
    [UOP_DIV] = {emit_div, KEEPS, MAY},
    [UOP_IMUL] = {emit_imul, SETS, BY_MEMORY},
    [UOP_BT] = {emit_bt, CHANGES, BY_MEMORY},
    [UOP_MOV] = {emit_mov, KEEPS, BY_MEMORY},
    [UOP_MOVZX] = {emit_movzx, KEEPS, BY_MEMORY},
    [UOP_MOVSX] = {emit_movsx, KEEPS, BY_MEMORY},
    [UOP_LEA] = {emit_lea, KEEPS, NEVER},
    [UOP_XCHG] = {emit_xchg, KEEPS, BY_MEMORY},
    [UOP_BSWAP] = {emit_bswap, KEEPS, BY_MEMORY},
    [UOP_CMOV] = {emit_cmov, READS, BY_MEMORY},
    [UOP_SETCC] = {emit_setcc, READS, BY_MEMORY},
    [UOP_EXTEND_RAX] = {emit_extend_rax, KEEPS, BY_MEMORY},
    [UOP_EXTEND_INTO_RDX] = {emit_extend_into_rdx, KEEPS, BY_MEMORY},
    [UOP_PUSH] = {emit_push, KEEPS, MAY},
    [UOP_POP] = {emit_pop, KEEPS, MAY},
    [UOP_LEAVE_FRAME] = {emit_leave_frame, KEEPS, MAY},
    [UOP_JUMP] = {emit_jump_link, KEEPS, MAY},
    [UOP_CALL] = {emit_call, KEEPS, MAY},
    [UOP_JUMP_TO] = {emit_jump_to_operand, KEEPS, MAY},
    [UOP_CALL_TO] = {emit_call_to_operand, KEEPS, MAY},
    [UOP_RET] = {emit_ret, KEEPS, MAY},
    [UOP_JCC] = {emit_jcc_links, READS, MAY},
    [UOP_CMP_JCC] = {emit_compare_jcc, SETS, MAY},
    [UOP_TEST_JCC] = {emit_compare_jcc, SETS, MAY},
    [UOP_VECTOR] = {emit_vector, KEEPS, BY_MEMORY},
};
// clang-format on

static const struct row *row_of(const struct uop *u)
{
    return &rows[u->op < UOP_VECTOR ? u->op : UOP_VECTOR];
}

/* --- Which flags are wanted ------------------------------------------------------------------- */

static u8 effect_of(const struct uop *u)
{
    static const u8 of_bits[] = {[BIT_KEEPS] = KEEPS, [BIT_SETS] = REPLACES, [BIT_CHANGES] = READS};
    if (bit_uop(u))
        return of_bits[bit_effect(u)];
    return vector_sets_flags(u) ? REPLACES : row_of(u)->effect;
}

static bool may_leave(const struct uop *u)
{
    if (bit_uop(u))
        return bit_may_leave(u);
    const struct row *r = row_of(u);
    if (u->op >= UOP_VECTOR && u->form & FORM_INSN) /* floating point may raise #XF */
        return true;
    return r->leaving == MAY || (r->leaving == BY_MEMORY && place_of(u) != REG);
}

bool wanted_before(const struct uop *u, bool after)
{
    u8 effect = effect_of(u);
    if ((u->op == UOP_CMP_JCC || u->op == UOP_TEST_JCC) && place_of(u) == REG)
        return false;
    if (may_leave(u) || effect == READS || effect == UNKNOWN)
        return true;
    if (effect == REPLACES)
        return false;
    if (!(u->form & FORM_FLAGS) || !after)
        return after;
    return effect != SETS;
}

/* Where a block ends, all flags are wanted, unless the path goes on there. */
static void find_wanted(struct unit *n, bool path)
{
    bool after = true;
    for (u32 i = n->uops; i-- > 0;) {
        struct unit_uop *uu = &n->uop[i];
        if (!path && i + 1 == n->block[uu->block].end)
            after = true;
        if (!path || !uu->next || uu->u->op != UOP_JUMP)
            after = wanted_before(uu->u, after);
        uu->wanted = after;
    }
}

/* --- Pieces of a block ------------------------------------------------------------------------ */

static const u8 *for_block(struct translator *t, const struct block *b, const u8 *shared)
{
    const u8 *p = t->code.p;
    emit_mov_imm(&t->code, HOST, (uintptr_t)b);
    emit_jump_to(&t->code, shared);
    return p;
}

static void emit_for_blocks(struct translator *t)
{
    const struct shared_code *s = &t->jit->shared;
    for (u32 i = 0; i < t->unit.blocks; i++) {
        struct unit_block *ub = &t->unit.block[i];
        ub->step = for_block(t, ub->block, s->step);
        ub->exit = for_block(t, ub->block, s->exit);
        ub->follow = for_block(t, ub->block, s->follow);
    }
}

static void enter_block(struct translator *t, u8 number)
{
    t->unit_block = number;
    t->block = t->unit.block[number].block;
    t->give_back = t->unit.block[number].rest;
}

static const struct unit_block *this_block(const struct translator *t)
{
    return &t->unit.block[t->unit_block];
}

static void load_uop(struct translator *t, const struct uop *u)
{
    emit_mov_imm(&t->code, SCRATCH, (uintptr_t)u);
}

bool has_emitter(const struct uop *u)
{
    if (u->op == UOP_GENERIC || u->op == UOP_GENERIC_CHECKED || u->op >= UOP_VECTOR)
        return vector_uop(u) || bit_uop(u) || system_uop(u);
    return rows[u->op].emit != NULL;
}

void go_plain(struct translator *t, u8 *site, u32 index)
{
    if (t->plain_sites == ARRAY_SIZE(t->plain_site)) {
        t->code.full = true;
        return;
    }
    t->plain_form[index].entered = true;
    t->plain_site[t->plain_sites++] = (struct plain_site){site, index, t->in_path, t->give_back};
}

static void run_by_handler(struct translator *t, const struct uop *u)
{
    if (t->wanted)
        flags_save(t);
    load_uop(t, u);
    emit_call_to(&t->code, this_block(t)->step);
    if (t->vectors)
        emit_call_to(&t->code, t->jit->shared.xmm);
    t->flags = FLAGS_BOTH;
    t->mxcsr_known = false;
}

/* Where to go on after this uop's slow path. */
static void resume_after(struct translator *t, bool plain)
{
    if (!t->slow)
        return;
    if (plain && t->slow->kind == COLD_STEP) {
        t->slow->plain = t->index + 1;
        t->plain_form[t->index + 1].entered = true;
    } else {
        t->slow->resume = t->code.p;
    }
}

/* Returns the uop, or *copy as one that need not compute the flags, because nobody on the path
 * wants them. The block by itself may have to, because it ends soon. */
static const struct uop *without_flags(const struct translator *t, const struct uop *u,
                                       struct uop *copy)
{
    u8 effect = row_of(u)->effect;
    if (t->wanted_after || (effect != SETS && effect != CHANGES))
        return u;
    *copy = *u;
    copy->form &= (u8)~FORM_FLAGS;
    return copy;
}

/* Emits a uop. False: the rest of the block is emitted in its plain form only. */
static bool emit_uop(struct translator *t, const struct unit_uop *uu)
{
    struct uop copy;
    const struct uop *u = uu->next ? uu->u : without_flags(t, uu->u, &copy);
    const struct row *r = row_of(u);
    t->u = uu->u;
    t->slow = NULL;
    const bool sets = u->form & FORM_FLAGS && (r->effect == SETS || r->effect == READS);
    bool overwrites = effect_of(u) == REPLACES || (u->form & FORM_FLAGS && r->effect == SETS);
    flags_before(t, u, t->wanted_after && !overwrites);
    bool emitted = true;
    if (uu->next && t->in_path)
        emit_path_jump(t, uu);
    else
        emitted = r->emit && r->emit(t, u);
    if (!emitted && t->in_path) {
        flags_raw(t);
        go_plain(t, emit_jump(&t->code), t->index);
        return false;
    }
    if (!emitted)
        run_by_handler(t, uu->u);
    flags_after(t, sets);
    regions_after(t, t->index);
    bool open = regions_open(t);
    if (!emitted && open) {
        go_plain(t, emit_jump(&t->code), t->index + 1);
        return false;
    }
    resume_after(t, open || t->in_path);
    return true;
}

/* A fused comparison of a form that is not emitted would jump: the interpreter does all of it. */
bool ends_in_interpreter(const struct uop *u)
{
    if (u->op != UOP_CMP_JCC && u->op != UOP_TEST_JCC)
        return u->op == UOP_UNDEFINED || u->op == UOP_TOO_LONG || u->op == UOP_LEAVE;
    return (high_byte(u->d, size_of(u)) || high_byte(u->s, size_of(u))) &&
           !high_byte_by_immediate(u);
}

static bool has_vectors(const struct unit *n)
{
    for (u32 i = 0; i < n->uops; i++)
        if (vector_uop(n->uop[i].u))
            return true;
    return false;
}

/* Takes the instructions of the path from the budget. What follows asks for L, not S: hosts join
 * SUB with that jump. */
static void emit_budget_sub(struct translator *t)
{
    bool away = t->in_path && t->unit.budget_away;
    struct rm budget = away ? CPU_FIELD(engine.left) : in_register(BUDGET);
    emit_alu_imm(&t->code, ALU_SUB, 8, budget, t->unit.insns);
}

/* What is not known any more where the plain form may be entered. */
static void enter_plain(struct translator *t, u32 index)
{
    if (t->plain_form[index].entered) {
        if (t->wanted)
            flags_save(t);
        t->flags = FLAGS_RAW;
        t->mxcsr_known = t->recipe.valid = false;
    }
    t->plain_form[index].at = t->code.p;
}

static bool wanted_after(const struct translator *t, u32 index)
{
    const struct unit *n = &t->unit;
    if (t->in_path && n->uop[index].next)
        return n->uop[index + 1 == n->uops ? 0 : index + 1].wanted;
    return index + 1 == this_block(t)->end || n->uop[index + 1].wanted;
}

/* From unit.charge on the instructions of the loop's next round are taken from the budget: that
 * uop overwrites all flags, so the comparison need not save them. */
static void begin_round(struct translator *t, u32 index)
{
    t->give_back += t->unit.insns;
    if (index != t->unit.charge)
        return;
    t->wanted = wanted_before(t->unit.uop[index].u, true);
    flags_clobber(t);
    emit_budget_sub(t);
    struct cold_code *cold = cold_add(t, COLD_ROUND, NULL);
    cold->site[cold->sites++] = emit_jcc(&t->code, CC_L);
    cold->plain = index;
    t->plain_form[index].entered = true;
}

/* False: the rest is emitted in its plain form only. */
static bool emit_uops(struct translator *t, u32 first, u32 end)
{
    t->code.mentioned = ~0u;
    for (u32 i = first; i < end && !t->code.full; i++) {
        const struct unit_uop *uu = &t->unit.uop[i];
        enter_block(t, uu->block);
        if (t->in_path && t->unit.loops && i >= t->unit.charge)
            begin_round(t, i);
        t->wanted = uu->wanted;
        t->wanted_after = wanted_after(t, i);
        t->index = i;
        if (t->plain)
            enter_plain(t, i);
        else
            regions_before(t, i);
        if (ends_in_interpreter(uu->u)) {
            flags_save(t);
            load_uop(t, uu->u);
            emit_jump_to(&t->code, this_block(t)->exit);
        } else if (!emit_uop(t, uu)) {
            return false;
        }
    }
    return !t->code.full;
}

static void know_nothing(struct translator *t)
{
    t->flags = FLAGS_RAW;
    t->mxcsr_known = t->recipe.valid = false;
    memset(t->region, 0, sizeof t->region);
}

/* Emits the plain form of each block, from the first uop at which it is entered. */
static void emit_plain(struct translator *t)
{
    find_wanted(&t->unit, false);
    t->plain = true;
    t->in_path = false;
    t->pinned = pinned;
    for (u32 i = 0; i < t->unit.blocks; i++) {
        const struct unit_block *ub = &t->unit.block[i];
        u32 first = ub->first;
        while (first < ub->end && !t->plain_form[first].entered)
            first++;
        know_nothing(t);
        emit_uops(t, first, ub->end);
    }
}

/* --- The path of a unit ----------------------------------------------------------------------- */

/* The path's first instructions: the budget may suffice for the first block, if not for all. */
static void emit_budget(struct translator *t)
{
    emit_budget_sub(t);
    struct cold_code *budget = cold_add(t, t->in_path ? COLD_SHORT : COLD_BUDGET, NULL);
    budget->site[budget->sites++] = emit_jcc(&t->code, CC_L);
    if (t->in_path)
        t->plain_form[0].entered = true;
}

/* Returns where the value is, within the path, that otherwise is in the host's register. */
static struct rm place_of_owner(u8 host)
{
    u8 reg = 0;
    if (host == BUDGET)
        return CPU_FIELD(engine.left);
    while (pinned[reg] != host)
        reg++;
    return GUEST_REGISTER(reg);
}

/* Gives the host's registers to what the path wants there, or back. */
static void exchange_registers(struct translator *t, bool enter)
{
    const struct unit *n = &t->unit;
    for (u8 reg = 0; reg < (u8)GPRS; reg++) {
        u8 host = n->pinned[reg];
        if (host == pinned[reg] || host == H_NONE)
            continue;
        struct rm owner = place_of_owner(host), guest = GUEST_REGISTER(reg);
        emit_store(&t->code, enter ? owner : guest, host);
        emit_load(&t->code, host, enter ? guest : owner);
    }
}

/* Emits what makes the state that of a block that stands alone. */
static void leave_path(struct translator *t, s32 give_back)
{
    exchange_registers(t, false);
    if (give_back)
        emit_alu_imm(&t->code, ALU_ADD, 8, in_register(BUDGET), give_back);
}

static bool path_changes(const struct translator *t, s32 give_back)
{
    return t->unit.loops || give_back;
}

static struct known what_is_known(const struct translator *t)
{
    struct known n = {.flags = t->flags, .mxcsr = t->mxcsr_known};
    if (t->recipe.valid && (t->flags == FLAGS_RECIPE || t->flags == FLAGS_HOST))
        n.recipe = t->recipe;
    for (u8 reg = 0; reg < (u8)GPRS; reg++)
        n.open[reg] = t->region[reg].open;
    return n;
}

static bool same_recipe(const struct recipe *a, const struct recipe *b)
{
    return a->valid == b->valid && a->which == b->which && a->size == b->size && a->d == b->d &&
           a->s == b->s && a->imm == b->imm && a->value == b->value;
}

/* Returns true if all that a place expects is known. */
static bool suffices(const struct known *has, const struct known *needs)
{
    if (has->flags != needs->flags || (needs->mxcsr && !has->mxcsr) ||
        !same_recipe(&has->recipe, &needs->recipe))
        return false;
    return memcmp(has->open, needs->open, sizeof has->open) == 0;
}

/* Ends a round. If it ends by a jump that leaves the loop, that becomes one that stays in it. */
static void jump_back(struct translator *t, const u8 *target)
{
    struct code *k = &t->code;
    struct cold_code *last = &t->cold[t->colds - 1];
    u8 *site = k->p - 4;
    if (k->full || !t->colds || !last->sites || last->site[last->sites - 1] != site ||
        site[-2] != 0x0f) {
        emit_jump_to(k, target);
        return;
    }
    site[-1] ^= 1;
    emit_target(site, target);
    last->site[last->sites - 1] = emit_jump(k);
}

#define LOOP_ALIGN 32 /* hosts fetch code in pieces of this size */

/* Emits the loop twice: the second time with what the first round has found out about flags, MXCSR
 * and pages. */
static void emit_rounds(struct translator *t)
{
    struct code *k = &t->code;
    const u8 *first = k->p;
    t->first_round = true;
    if (!emit_uops(t, 0, t->unit.uops))
        return;
    t->first_round = false;
    emit_align(k, LOOP_ALIGN);
    const u8 *second = k->p;
    struct known known = what_is_known(t);
    if (!emit_uops(t, 0, t->unit.uops))
        return;
    struct known now = what_is_known(t);
    bool again = suffices(&now, &known);
    t->wanted = t->unit.uop[0].wanted;
    if (!again)
        flags_raw(t);
    jump_back(t, again ? second : first);
}

static void emit_path(struct translator *t)
{
    find_wanted(&t->unit, true);
    know_nothing(t);
    exchange_registers(t, true);
    t->pinned = t->unit.pinned;
    emit_budget(t);
    if (t->unit.loops)
        emit_rounds(t);
    else
        emit_uops(t, 0, t->unit.uops);
}

/* --- Cold code -------------------------------------------------------------------------------- */

static void land_plain(struct translator *t)
{
    for (u32 i = 0; i < t->plain_sites && !t->code.full; i++) {
        const struct plain_site *s = &t->plain_site[i];
        const u8 *at = t->plain_form[s->index].at;
        if (!s->in_path || !path_changes(t, s->give_back)) {
            emit_target(s->site, at);
            continue;
        }
        emit_land(&t->code, s->site);
        leave_path(t, s->give_back);
        emit_jump_to(&t->code, at);
    }
}

static void emit_cold_step(struct translator *t, const struct cold_code *cold)
{
    struct code *k = &t->code;
    load_uop(t, cold->u);
    emit_call_to(k, this_block(t)->step);
    if (t->vectors)
        emit_call_to(k, t->jit->shared.xmm);
    emit_jump_to(k, cold->plain ? t->plain_form[cold->plain].at : cold->resume);
}

/* The place that will be patched is the jump to here, or, where something is done before, one of
 * its own. */
static void emit_cold_link(struct translator *t, const struct cold_code *cold, bool own)
{
    struct code *k = &t->code;
    u8 *site = own ? emit_jump(k) : cold->site[0];
    if (own)
        emit_land(k, site);
    load_uop(t, cold->u);
    emit_byte(k, 0x68); /* PUSH imm32 */
    emit_u32(k, (u32)(site - t->jit->buffer.write));
    emit_jump_to(k, this_block(t)->follow);
}

/* The budget does not suffice for the unit. */
static void emit_cold_budget(struct translator *t, const struct cold_code *cold)
{
    struct code *k = &t->code;
    s32 insns = t->block->insns;
    if (cold->kind == COLD_SHORT) {
        emit_alu_imm(k, ALU_ADD, 8, in_register(BUDGET), t->unit.insns - insns);
        u8 *too_small = emit_jcc(k, CC_L);
        emit_jump_to(k, t->plain_form[0].at);
        emit_land(k, too_small);
    }
    emit_alu_imm(k, ALU_ADD, 8, in_register(BUDGET), insns);
    load_uop(t, NULL);
    emit_jump_to(k, this_block(t)->exit);
}

/* Returns true if what follows is where the path is left. */
static bool leaves(const struct cold_code *cold)
{
    return cold->in_path && cold->kind != COLD_XMM && cold->kind != COLD_STACK &&
           cold->kind != COLD_DEPTH && cold->kind != COLD_WALK;
}

/* Emits what comes first in cold code: makes flags, budget and registers valid. Returns whether
 * that was anything. */
static bool begin_cold(struct translator *t, const struct cold_code *cold)
{
    bool changes = leaves(cold) && path_changes(t, cold->give_back);
    enter_block(t, cold->block);
    t->give_back = cold->give_back;
    t->pinned = cold->in_path ? t->unit.pinned : pinned;
    t->in_path = cold->in_path && !leaves(cold);
    if (cold->save)
        flags_store(&t->code);
    recipe_save(t, &cold->recipe);
    if (changes && cold->kind == COLD_SHORT)
        exchange_registers(t, false);
    else if (changes)
        leave_path(t, cold->give_back);
    if (leaves(cold))
        t->pinned = pinned;
    return cold->save || changes;
}

static void emit_cold(struct translator *t, struct cold_code *cold)
{
    struct code *k = &t->code;
    for (u32 i = 0; i < cold->sites; i++)
        emit_land(k, cold->site[i]);
    bool changes = begin_cold(t, cold);
    switch (cold->kind) {
    case COLD_STEP:
        emit_cold_step(t, cold);
        break;
    case COLD_XMM:
        emit_call_to(k, t->jit->shared.xmm);
        emit_jump_to(k, cold->resume);
        break;
    case COLD_FAR:
        emit_far(t, cold->u);
        break;
    case COLD_LINK:
        emit_cold_link(t, cold, changes);
        break;
    case COLD_WALK:
        emit_walk_page(t, cold);
        break;
    case COLD_STACK:
        emit_stack_page(t, cold);
        break;
    case COLD_DEPTH:
        emit_load(k, H_RSP, CPU_FIELD(engine.jit_stack));
        emit_jump_to(k, cold->resume);
        break;
    case COLD_ROUND:
        emit_jump_to(k, t->plain_form[cold->plain].at);
        break;
    case COLD_BUDGET:
    case COLD_SHORT:
        emit_cold_budget(t, cold);
        break;
    default:
        load_uop(t, cold->u);
        emit_jump_to(k, this_block(t)->exit);
        break;
    }
}

/* Those that walk come first: they lead to others. */
static void emit_colds(struct translator *t, bool walks)
{
    for (u32 i = 0; i < t->colds && !t->code.full; i++)
        if ((t->cold[i].kind == COLD_WALK) == walks)
            emit_cold(t, &t->cold[i]);
}

/* --- A unit ----------------------------------------------------------------------------------- */

/* Before the entry: the distance from the end of the jump that replaces it to the code that leaves
 * a dead block. At the entry XMM registers are loaded if the unit needs them. */
static u8 *emit_entry(struct translator *t)
{
    struct code *k = &t->code;
    emit_u32(k, 0);
    u8 *entry = k->p;
    t->vectors = has_vectors(&t->unit);
    if (t->vectors) {
        struct cold_code *cold = cold_add(t, COLD_XMM, NULL);
        emit_alu_imm(k, ALU_CMP, 1, CPU_FIELD(engine.xmm_live), 0);
        cold->site[cold->sites++] = emit_jcc(k, CC_E);
        cold->resume = k->p;
    }
    return entry;
}

void translate_dead(u8 *entry)
{
    memcpy(entry + 1, entry - 4, 4);
    *entry = 0xe9; /* JMP */
}

void translate_moved(u8 *entry, const u8 *target)
{
    emit_target(entry + 1, target);
    *entry = 0xe9; /* JMP */
}

static void begin_unit(struct translator *t, struct cpu *c)
{
    t->jit = c->engine.jit;
    t->cpu = c;
    t->page_rip = block_rip(c) & ~PAGE_MASK;
    t->colds = t->plain_sites = t->stacks = 0;
    t->plain = false;
    t->in_path = t->unit.loops || t->unit.blocks > 1;
    t->pinned = pinned;
    t->flags = FLAGS_RAW;
    t->recipe.valid = false;
    memset(t->plain_form, 0, sizeof t->plain_form);
    enter_block(t, 0);
}

const u8 *translate_unit(struct translator *t, struct cpu *c)
{
    struct code *k = &t->code;
    begin_unit(t, c);
    emit_for_blocks(t);
    u8 *entry = emit_entry(t);
    emit_path(t);
    emit_plain(t);
    t->flags = FLAGS_RAW;
    s32 distance = (s32)(k->p - (entry + 5));
    emit_cold(t, &(struct cold_code){.kind = COLD_STALE, .u = &t->unit.block[0].block->uop[0]});
    emit_colds(t, true);
    emit_colds(t, false);
    land_plain(t);
    if (k->full)
        return NULL;
    memcpy(entry - 4, &distance, sizeof distance);
    return entry;
}
