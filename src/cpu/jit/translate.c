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
    [UOP_GENERIC_CHECKED] = {NULL, UNKNOWN, MAY},
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

/* Returns whether the flags from before the uop are wanted, if those after it are or are not. */
static bool wanted_before(const struct uop *u, bool after)
{
    u8 effect = effect_of(u);
    if (may_leave(u) || effect == READS || effect == UNKNOWN)
        return true;
    if (effect == REPLACES)
        return false;
    if (!(u->form & FORM_FLAGS))
        return after;
    return effect == CHANGES || (effect != SETS && after);
}

static void find_wanted(const struct block *b, bool *wanted)
{
    bool after = true;
    for (u32 i = b->uops; i-- > 1;) {
        if (!uop_is_link(&b->uop[i]))
            after = wanted_before(&b->uop[i], after);
        wanted[i] = after;
    }
}

/* --- Pieces of a block ------------------------------------------------------------------------ */

static const u8 *for_this_block(struct translator *t, const u8 *shared)
{
    const u8 *p = t->code.p;
    emit_mov_imm(&t->code, HOST, (uintptr_t)t->block);
    emit_jump_to(&t->code, shared);
    return p;
}

static void load_uop(struct translator *t, const struct uop *u)
{
    emit_mov_imm(&t->code, SCRATCH, (uintptr_t)u);
}

bool has_emitter(const struct uop *u)
{
    if (u->op == UOP_GENERIC || u->op >= UOP_VECTOR)
        return vector_uop(u) || bit_uop(u);
    return rows[u->op].emit != NULL;
}

void go_plain(struct translator *t, u8 *site, u32 index)
{
    if (t->plain_sites == BLOCK_UOPS || index >= BLOCK_UOPS) {
        t->code.full = true;
        return;
    }
    t->plain_form[index].entered = true;
    t->plain_site[t->plain_sites++] = (struct plain_site){site, index};
}

static void run_by_handler(struct translator *t, const struct uop *u)
{
    if (t->wanted)
        flags_save(t);
    load_uop(t, u);
    emit_call_to(&t->code, t->block_step);
    if (t->vectors)
        emit_call_to(&t->code, t->jit->shared.xmm);
    t->flags = FLAGS_BOTH;
    t->mxcsr_known = false;
}

/* Emits a uop. False: the rest of the block is emitted in its plain form only. */
static bool emit_uop(struct translator *t, const struct uop *u)
{
    const struct row *r = row_of(u);
    t->u = u;
    t->slow = NULL;
    const bool sets = u->form & FORM_FLAGS && (r->effect == SETS || r->effect == READS);
    bool overwrites = effect_of(u) == REPLACES || (u->form & FORM_FLAGS && r->effect == SETS);
    flags_before(t, u, t->wanted_after && !overwrites);
    bool emitted = r->emit && r->emit(t, u);
    if (!emitted)
        run_by_handler(t, u);
    flags_after(t, sets);
    regions_after(t, t->index);
    bool open = regions_open(t);
    if (!emitted && open) {
        go_plain(t, emit_jump(&t->code), t->index + 1);
        return false;
    }
    if (t->slow && open && t->slow->kind == COLD_STEP) {
        t->slow->plain = t->index + 1;
        t->plain_form[t->index + 1].entered = true;
    } else if (t->slow) {
        t->slow->resume = t->code.p;
    }
    return true;
}

/* A fused comparison of a form that is not emitted would jump: the interpreter does all of it. */
static bool ends_in_interpreter(const struct uop *u)
{
    if (u->op != UOP_CMP_JCC && u->op != UOP_TEST_JCC)
        return u->op == UOP_UNDEFINED || u->op == UOP_TOO_LONG || u->op == UOP_LEAVE;
    return high_byte(u->d, size_of(u)) || high_byte(u->s, size_of(u));
}

static bool has_vectors(const struct block *b)
{
    for (u32 i = 1; i < b->uops; i++)
        if (vector_uop(&b->uop[i]))
            return true;
    return false;
}

/* Emits the code that loads the XMM registers if the block needs them. */
static void emit_vectors_entry(struct translator *t)
{
    t->vectors = has_vectors(t->block);
    if (!t->vectors)
        return;
    struct cold_code *cold = cold_add(t, COLD_XMM, NULL);
    emit_alu_imm(&t->code, ALU_CMP, 1, CPU_FIELD(engine.xmm_live), 0);
    cold->site[cold->sites++] = emit_jcc(&t->code, CC_E);
    cold->resume = t->code.p;
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

static void emit_uops(struct translator *t, u32 first, const bool *wanted)
{
    t->flags = FLAGS_RAW;
    t->mxcsr_known = t->recipe.valid = false;
    memset(t->region, 0, sizeof t->region);
    for (u32 i = first; i < t->block->uops && !t->code.full; i++) {
        const struct uop *u = &t->block->uop[i];
        if (uop_is_link(u))
            continue;
        t->wanted = wanted[i];
        t->wanted_after = i + 1 == t->block->uops || uop_is_link(u + 1) || wanted[i + 1];
        t->index = i;
        if (t->plain)
            enter_plain(t, i);
        else
            regions_before(t, i);
        if (ends_in_interpreter(u)) {
            flags_save(t);
            load_uop(t, u);
            emit_jump_to(&t->code, t->block_exit);
        } else if (!emit_uop(t, u)) {
            return;
        }
    }
}

/* Emits the plain form, from the first uop at which it is entered. */
static void emit_plain(struct translator *t, const bool *wanted)
{
    u32 first = 1;
    while (first < t->block->uops && !t->plain_form[first].entered)
        first++;
    t->plain = true;
    if (first < t->block->uops)
        emit_uops(t, first, wanted);
}

static void land_plain(struct translator *t)
{
    for (u32 i = 0; i < t->plain_sites && !t->code.full; i++)
        emit_target(t->plain_site[i].site, t->plain_form[t->plain_site[i].index].at);
}

static void emit_cold(struct translator *t, struct cold_code *cold)
{
    struct code *k = &t->code;
    for (u32 i = 0; i < cold->sites; i++)
        emit_land(k, cold->site[i]);
    recipe_save(k, &cold->recipe);
    switch (cold->kind) {
    case COLD_STEP:
        load_uop(t, cold->u);
        emit_call_to(k, t->block_step);
        if (t->vectors)
            emit_call_to(k, t->jit->shared.xmm);
        emit_jump_to(k, cold->plain ? t->plain_form[cold->plain].at : cold->resume);
        break;
    case COLD_XMM:
        emit_call_to(k, t->jit->shared.xmm);
        emit_jump_to(k, cold->resume);
        break;
    case COLD_FAR:
        emit_far(t, cold->u);
        break;
    case COLD_LINK:
        load_uop(t, cold->u);
        emit_byte(k, 0x68); /* PUSH imm32 */
        emit_u32(k, (u32)(cold->site[0] - t->jit->buffer.write));
        emit_jump_to(k, t->block_follow);
        break;
    case COLD_STACK:
        emit_stack_page(t, cold);
        break;
    case COLD_DEPTH:
        emit_load(k, H_RSP, CPU_FIELD(engine.jit_stack));
        emit_jump_to(k, cold->resume);
        break;
    case COLD_BUDGET:
        emit_alu_imm(k, ALU_ADD, 8, CPU_FIELD(engine.left), t->block->insns);
        load_uop(t, NULL);
        emit_jump_to(k, t->block_exit);
        break;
    default:
        load_uop(t, cold->u);
        emit_jump_to(k, t->block_exit);
        break;
    }
}

/* --- A block ---------------------------------------------------------------------------------- */

/* Before the entry: the distance from the end of the jump that replaces it to the code that leaves
 * a dead block. */
static u8 *emit_entry(struct translator *t)
{
    struct code *k = &t->code;
    emit_u32(k, 0);
    u8 *entry = k->p;
    emit_alu_imm(k, ALU_SUB, 8, CPU_FIELD(engine.left), t->block->insns);
    struct cold_code *budget = cold_add(t, COLD_BUDGET, NULL);
    budget->site[budget->sites++] = emit_jcc(k, CC_S);
    return entry;
}

void translate_dead(u8 *entry)
{
    memcpy(entry + 1, entry - 4, 4);
    *entry = 0xe9; /* JMP */
}

const u8 *translate_block(struct translator *t, struct cpu *c, const struct block *b)
{
    struct code *k = &t->code;
    t->jit = c->engine.jit;
    bool wanted[BLOCK_UOPS];
    t->block = b;
    t->colds = t->plain_sites = 0;
    t->plain = false;
    memset(t->plain_form, 0, sizeof t->plain_form);
    find_wanted(b, wanted);
    t->block_step = for_this_block(t, t->jit->shared.step);
    t->block_exit = for_this_block(t, t->jit->shared.exit);
    t->block_follow = for_this_block(t, t->jit->shared.follow);
    u8 *entry = emit_entry(t);
    emit_vectors_entry(t);
    emit_uops(t, 1, wanted);
    emit_plain(t, wanted);
    t->flags = FLAGS_RAW;
    s32 distance = (s32)(k->p - (entry + 5));
    emit_cold(t, &(struct cold_code){.kind = COLD_STALE, .u = &b->uop[0]});
    for (u32 i = 0; i < t->colds && !k->full; i++)
        emit_cold(t, &t->cold[i]);
    land_plain(t);
    if (k->full)
        return NULL;
    memcpy(entry - 4, &distance, sizeof distance);
    return entry;
}
