/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control flow between blocks. An edge to a block in the same page is one jump; it leads to a piece
 * of cold code until the target is translated (jit_follow), and then to the target itself. All
 * other transfers look their target up in the jump cache, as the handlers do.
 */
#include "cpu/jit/translate.h"

_Static_assert(sizeof(struct jump) == 32, "a jump's offset comes from a shift by 5");

#define JUMP_FIELD(member)                                                                         \
    ((struct rm){.memory = true,                                                                   \
                 .reg = CPU,                                                                       \
                 .index = HOST,                                                                    \
                 .disp =                                                                           \
                     (s32)(offsetof(struct cpu, engine.jumps) + offsetof(struct jump, member))})

/* Looks for the RIP in SCRATCH. HOST becomes the offset of its entry of the jump cache; a miss
 * jumps to the slow path. */
static void look_up(struct translator *t, enum cold slow)
{
    struct code *k = &t->code;
    emit_shift_right(t, HOST, 8, PAGE_SHIFT);
    emit_op(k, 0x33, 4, HOST, in_register(SCRATCH));
    emit_alu_imm(k, ALU_AND, 4, in_register(HOST), JUMPS - 1);
    emit_op_imm8(k, 0xc1, 4, 4, in_register(HOST), 5);
    emit_op(k, 0x3b, 8, SCRATCH, JUMP_FIELD(rip));
    slow_if(t, CC_NE, slow);
    emit_load(k, SCRATCH, CPU_FIELD(engine.jump_tag));
    emit_op(k, 0x3b, 8, SCRATCH, JUMP_FIELD(tag));
    slow_if(t, CC_NE, slow);
}

/* Goes to the block that look_up() found; `call`: by a call. */
static void go(struct translator *t, bool call)
{
    struct code *k = &t->code;
    emit_load(k, SCRATCH, JUMP_FIELD(rip));
    emit_alu_imm(k, ALU_AND, 8, in_register(SCRATCH), -(s32)PAGE_SIZE);
    emit_store(k, CPU_FIELD(engine.page_rip), SCRATCH);
    emit_op(k, 0xff, 4, call ? 2 : 4, JUMP_FIELD(code));
}

/* RIP relative to the block's first byte. */
static void load_rip(struct translator *t, u8 reg, s64 offset)
{
    s64 in_page = (s64)(t->block->spa & PAGE_MASK) + offset;
    emit_load(&t->code, reg, CPU_FIELD(engine.page_rip));
    if (in_page != (s32)in_page) {
        emit_op(&t->code, X_LEA, 8, reg, at(reg, PAGE_SIZE));
        in_page -= PAGE_SIZE;
    }
    emit_op(&t->code, X_LEA, 8, reg, at(reg, (s32)in_page));
}

/* --- Edges ------------------------------------------------------------------------------------ */

static void edge_from(struct translator *t, u8 *site, const struct uop *link)
{
    struct cold_code *cold = cold_add(t, link->op == UOP_FAR_LINK ? COLD_FAR : COLD_LINK, link);
    cold->site[cold->sites++] = site;
    cold->save = t->flags == FLAGS_HOST; /* only on a path */
}

void emit_edge(struct translator *t, const struct uop *link)
{
    if (link->op == UOP_FAR_LINK)
        emit_far(t, link);
    else
        edge_from(t, emit_jump(&t->code), link);
}

void emit_edge_if(struct translator *t, u32 cc, const struct uop *link)
{
    edge_from(t, emit_jcc(&t->code, cc), link);
}

void emit_far(struct translator *t, const struct uop *link)
{
    t->u = link;
    t->slow = NULL;
    load_rip(t, SCRATCH, link->disp);
    look_up(t, COLD_LINK);
    go(t, false);
}

static void both_edges(struct translator *t, const struct uop *u)
{
    emit_edge_if(t, u->aux, u + 2);
    emit_edge(t, u + 1);
}

/* --- Jumps ------------------------------------------------------------------------------------ */

bool emit_jump_link(struct translator *t, const struct uop *u)
{
    flags_save(t);
    emit_edge(t, u + 1);
    return true;
}

bool emit_jcc_links(struct translator *t, const struct uop *u)
{
    flags_save(t);
    flags_host(t);
    both_edges(t, u);
    return true;
}

static void compare(struct translator *t, const struct uop *u)
{
    u32 size = size_of(u), which = u->op == UOP_CMP_JCC ? ALU_CMP : ALU_TEST;
    struct rm memory = in_register(0);
    if (high_byte_by_immediate(u)) {
        emit_high_byte(t, which, u);
        return;
    }
    if (place_of(u) != REG)
        memory = memory_operand(t, u, size, false, COLD_EXIT);
    emit_arithmetic(t, which, size, u, memory);
}

bool emit_compare_jcc(struct translator *t, const struct uop *u)
{
    if (ends_in_interpreter(u))
        return false;
    compare(t, u);
    flags_save(t);
    both_edges(t, u);
    return true;
}

/* The flags are saved on the way out only. */
void emit_path_jump(struct translator *t, const struct unit_uop *uu)
{
    const struct uop *u = uu->u;
    if (u->op == UOP_JUMP)
        return;
    if (u->op == UOP_JCC)
        flags_host(t);
    else
        compare(t, u);
    bool taken = uu->next == 2; /* on the path */
    emit_edge_if(t, u->aux ^ taken, taken ? u + 1 : u + 2);
}

/* Pushes the RIP of the next instruction on the guest's stack. Returns the register that has it. */
static u8 push_return(struct translator *t, const struct uop *u)
{
    struct code *k = &t->code;
    struct rm target = memory_at(t, RSP, -8, 8, true, COLD_EXIT);
    u8 reg = free_register(t, &target);
    load_rip(t, reg, uop_offset(u) + u->len);
    emit_store(k, target, reg);
    emit_op(k, X_LEA, 8, t->pinned[RSP], at(t->pinned[RSP], -8));
    return reg;
}

/* Begins a call of the host's whose return goes to `back`; the guest's return address is in `reg`.
 * False: the RET leads to another page, so a plain jump must do. */
static bool call_begin(struct translator *t, const struct uop *back, u8 reg)
{
    struct code *k = &t->code;
    if (back->op != UOP_LINK)
        return false;
    struct cold_code *cold = cold_add(t, COLD_DEPTH, NULL);
    emit_op(k, 0x3b, 8, H_RSP, CPU_FIELD(engine.jit_stack_limit));
    cold->site[cold->sites++] = emit_jcc(k, CC_B);
    cold->resume = k->p;
    if (reg >= 8)
        emit_byte(k, 0x41);
    emit_byte(k, (u8)(0x50 | (reg & 7))); /* PUSH */
    return true;
}

/* Where the host's RET comes to. */
static void call_end(struct translator *t, const struct uop *back)
{
    emit_op(&t->code, X_LEA, 8, H_RSP, at(H_RSP, 8));
    emit_edge(t, back);
}

bool emit_call(struct translator *t, const struct uop *u)
{
    flags_raw(t);
    u8 reg = push_return(t, u);
    if (!call_begin(t, u + 2, reg)) {
        emit_edge(t, u + 1);
        return true;
    }
    edge_from(t, emit_call_site(&t->code), u + 1);
    call_end(t, u + 2);
    return true;
}

/* Leaves the target's RIP in SCRATCH. */
static void load_target(struct translator *t, const struct uop *u)
{
    flags_raw(t);
    if (place_of(u) == REG) {
        emit_load(&t->code, SCRATCH, gpr_operand(t, u->s, 8));
    } else {
        struct rm source = memory_operand(t, u, 8, false, COLD_EXIT);
        emit_load(&t->code, SCRATCH, source);
    }
}

/* The handlers have noted where the jump went, if always to the same place. Returns the code of
 * that place, if it is in this page and translated, and its offset in the page. */
static const u8 *usual_target(const struct translator *t, const struct uop *u, s32 *offset)
{
    const struct block *here = t->block;
    u64 in_page = u->imm & PAGE_MASK;
    *offset = (s32)in_page;
    if (u->aux || (u->imm & ~PAGE_MASK) != t->page_rip || in_page > PAGE_SIZE - 15)
        return NULL;
    const struct block *b = block_find(t->cpu, (here->spa & ~PAGE_MASK) | in_page, here->mode);
    if (!b || b->uop[0].op != UOP_NATIVE)
        return NULL;
    return code_write(&t->jit->buffer, b->uop[0].code);
}

/* Emits a comparison of the target in SCRATCH with the usual one. Returns the jump that is taken if
 * it is another one. */
static u8 *unless_usual(struct translator *t, s32 offset)
{
    struct code *k = &t->code;
    emit_load(k, HOST, in_register(SCRATCH));
    emit_op(k, 0x2b, 8, HOST, CPU_FIELD(engine.page_rip)); /* SUB */
    emit_alu_imm(k, ALU_CMP, 8, in_register(HOST), offset);
    return emit_jcc(k, CC_NE);
}

bool emit_jump_to_operand(struct translator *t, const struct uop *u)
{
    s32 offset;
    const u8 *usual = usual_target(t, u, &offset);
    load_target(t, u);
    if (usual) {
        u8 *another = unless_usual(t, offset);
        emit_jump_to(&t->code, usual);
        emit_land(&t->code, another);
    }
    look_up(t, COLD_EXIT);
    go(t, false);
    return true;
}

static void call_usual(struct translator *t, const struct uop *u, const u8 *usual)
{
    u8 reg = push_return(t, u);
    if (!call_begin(t, u + 1, reg)) {
        emit_jump_to(&t->code, usual);
        return;
    }
    emit_call_to(&t->code, usual);
    call_end(t, u + 1);
}

bool emit_call_to_operand(struct translator *t, const struct uop *u)
{
    struct code *k = &t->code;
    s32 offset;
    const u8 *usual = usual_target(t, u, &offset);
    load_target(t, u);
    if (usual) {
        u8 *another = unless_usual(t, offset);
        call_usual(t, u, usual);
        emit_land(k, another);
    }
    look_up(t, COLD_EXIT);
    emit_store(k, CPU_FIELD(engine.jit_value), HOST);
    u8 reg = push_return(t, u);
    bool call = call_begin(t, u + 1, reg);
    emit_load(k, HOST, CPU_FIELD(engine.jit_value));
    go(t, call);
    if (call)
        call_end(t, u + 1);
    return true;
}

/* Returns as the host does if its last call was to come back here. */
bool emit_ret(struct translator *t, const struct uop *u)
{
    struct code *k = &t->code;
    s32 bytes = (s32)(8 + u->imm);
    flags_raw(t);
    emit_load(k, SCRATCH, memory_at(t, RSP, 0, 8, false, COLD_EXIT));
    emit_op(k, 0x3b, 8, H_RSP, CPU_FIELD(engine.jit_stack));
    u8 *none = emit_jcc(k, CC_E);
    emit_op(k, 0x3b, 8, SCRATCH, at(H_RSP, 8));
    u8 *another = emit_jcc(k, CC_NE);
    emit_op(k, X_LEA, 8, t->pinned[RSP], at(t->pinned[RSP], bytes));
    emit_alu_imm(k, ALU_AND, 8, in_register(SCRATCH), -(s32)PAGE_SIZE);
    emit_store(k, CPU_FIELD(engine.page_rip), SCRATCH);
    emit_byte(k, 0xc3); /* RET */
    emit_land(k, none);
    emit_land(k, another);
    emit_load(k, H_RSP, CPU_FIELD(engine.jit_stack));
    look_up(t, COLD_EXIT);
    emit_op(k, X_LEA, 8, t->pinned[RSP], at(t->pinned[RSP], bytes));
    go(t, false);
    return true;
}
