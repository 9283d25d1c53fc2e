/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chooses the uops of a decoded instruction: a specialised handler where there is one, after an
 * address uop where the memory operand is more than base + index + displacement, and uop_generic
 * everywhere else.
 */
#include "cpu/engine/engine.h"

struct lowering {
    const struct insn *in;
    const struct place *at;
    struct uop *u;
    u32 n;
    struct uop memory; /* b, x, scale, disp of the memory operand, once found */
    u8 where;          /* REG, MEM, MEM_INDEXED */
};

static bool fits_s32(s64 v)
{
    return v == (s32)v;
}

static struct uop *emit(struct lowering *l, uop_fn *fn)
{
    struct uop *u = &l->u[l->n++];
    *u = (struct uop){.fn = fn,
                      .x = REG_ZERO,
                      .b = RSP,
                      .idx = l->at->idx,
                      .off = l->at->off,
                      .len = l->in->length};
    return u;
}

static struct uop *emit_insn(struct lowering *l, uop_fn *fn)
{
    struct uop *u = emit(l, fn);
    u->has_insn = true;
    u->insn = l->in;
    return u;
}

static u32 log2_size(u32 size)
{
    return (u32)__builtin_ctz(size);
}

static bool is_register(const struct operand *o)
{
    return o->kind == OPERAND_GPR || o->kind == OPERAND_GPR8H;
}

static u8 register_field(const struct operand *o)
{
    if (o->size != 1)
        return o->reg;
    return o->kind == OPERAND_GPR8H ? REG8_HIGH(o->reg) : REG8(o->reg);
}

/* --- Memory operands -------------------------------------------------------------------------- */

static void address_by_uop(struct lowering *l, u32 size, bool write)
{
    struct uop *u = emit_insn(l, uop_address);
    u->size = (u8)size;
    u->aux = write;
    l->memory.b = REG_EA;
}

static void address_parts(struct lowering *l, struct uop *u, s64 disp)
{
    const struct insn *in = l->in;
    u->b = in->rip_relative ? REG_BLOCK : in->base;
    u->x = in->index;
    u->scale = in->scale;
    u->disp = (s32)disp;
}

/* Says where the memory operand is, after an address uop if it takes one. */
static void find_memory(struct lowering *l, u32 size, bool write)
{
    const struct insn *in = l->in;
    s64 disp = in->disp + (in->rip_relative ? l->at->off + in->length : 0);
    bool plain = l->at->mode & MODE_CODE64 && in->addrsize == 8 && fits_s32(disp);
    bool based = in->segment == SEG_FS || in->segment == SEG_GS;
    l->where = MEM;
    l->memory = (struct uop){.x = REG_ZERO};
    if (!plain) {
        address_by_uop(l, size, write);
    } else if (based) {
        struct uop *u = emit(l, uop_address_segment);
        address_parts(l, u, disp);
        u->aux = in->segment;
        l->memory.b = REG_EA;
    } else {
        address_parts(l, &l->memory, disp);
        if (in->index != REG_ZERO)
            l->where = MEM_INDEXED;
    }
}

static struct uop *emit_memory(struct lowering *l, uop_fn *fn)
{
    struct uop *u = emit(l, fn);
    u->b = l->memory.b;
    u->x = l->memory.x;
    u->scale = l->memory.scale;
    u->disp = l->memory.disp;
    return u;
}

/* The second operand, E, of the forms that read it from anywhere. */
static struct uop *emit_read(struct lowering *l, uop_fn *const fn[PLACES], const struct operand *o)
{
    if (o->kind == OPERAND_MEM) {
        find_memory(l, o->size, false);
        return emit_memory(l, fn[l->where]);
    }
    struct uop *u = emit(l, fn[REG]);
    u->s = register_field(o);
    return u;
}

static bool indexed(const struct lowering *l)
{
    return l->where == MEM_INDEXED;
}

/* --- Groups of instructions. Each returns false if the form has no specialised handler -------- */

static bool lower_alu(struct lowering *l, enum alu op)
{
    const struct operand *d = &l->in->o[0], *s = &l->in->o[1];
    u32 i = log2_size(d->size);
    struct uop *u;
    if (is_register(d) && s->kind == OPERAND_MEM) {
        find_memory(l, d->size, false);
        u = emit_memory(l, uop_alu_rm[op][i][indexed(l)]);
        u->d = register_field(d);
        return true;
    }
    if (is_register(d)) {
        bool imm = s->kind == OPERAND_IMM;
        u = emit(l, (imm ? uop_alu_ri : uop_alu_rr)[op][i][l->at->flags]);
        u->d = register_field(d);
    } else {
        find_memory(l, d->size, op != ALU_CMP && op != ALU_TEST);
        u = emit_memory(l, (s->kind == OPERAND_IMM ? uop_alu_mi : uop_alu_mr)[op][i][indexed(l)]);
    }
    if (s->kind == OPERAND_IMM)
        u->imm = l->in->imm;
    else
        u->s = register_field(s);
    return true;
}

static bool lower_step(struct lowering *l, bool down)
{
    const struct operand *d = &l->in->o[0];
    u32 i = log2_size(d->size);
    if (d->kind == OPERAND_MEM) {
        find_memory(l, d->size, true);
        emit_memory(l, uop_step_m[down][i][indexed(l)]);
    } else {
        emit(l, uop_step_r[down][i][l->at->flags])->d = register_field(d);
    }
    return true;
}

static bool lower_unary(struct lowering *l, uop_fn *const fn[4])
{
    const struct operand *d = &l->in->o[0];
    if (!is_register(d))
        return false;
    emit(l, fn[log2_size(d->size)])->d = register_field(d);
    return true;
}

static bool lower_mov(struct lowering *l)
{
    const struct operand *d = &l->in->o[0], *s = &l->in->o[1];
    u32 i = log2_size(d->size);
    struct uop *u;
    if (d->kind == OPERAND_MEM) {
        find_memory(l, d->size, true);
        u = emit_memory(l, (s->kind == OPERAND_IMM ? uop_mov_mi : uop_mov_mr)[i][indexed(l)]);
    } else if (s->kind == OPERAND_MEM) {
        find_memory(l, d->size, false);
        u = emit_memory(l, uop_mov_rm[i][indexed(l)]);
    } else {
        u = emit(l, (s->kind == OPERAND_IMM ? uop_mov_ri : uop_mov_rr)[i]);
    }
    if (is_register(d))
        u->d = register_field(d);
    if (s->kind == OPERAND_IMM)
        u->imm = l->in->imm;
    else if (is_register(s))
        u->s = register_field(s);
    return true;
}

static bool lower_extend(struct lowering *l, bool sign)
{
    const struct operand *d = &l->in->o[0], *s = &l->in->o[1];
    if (d->size < 4 || (!sign && s->size > 2))
        return false;
    u32 i = log2_size(s->size);
    emit_read(l, sign ? uop_movsx[i][d->size == 8] : uop_movzx[i], s)->d = d->reg;
    return true;
}

static bool lower_lea(struct lowering *l)
{
    const struct insn *in = l->in;
    s64 disp = in->disp + (in->rip_relative ? l->at->off + in->length : 0);
    if (!(l->at->mode & MODE_CODE64) || in->addrsize != 8 || in->o[0].size < 4 || !fits_s32(disp))
        return false;
    struct uop *u = emit(l, uop_lea[in->o[0].size == 8][in->index != REG_ZERO]);
    address_parts(l, u, disp);
    u->d = in->o[0].reg;
    return true;
}

static bool lower_cmov(struct lowering *l)
{
    const struct operand *d = &l->in->o[0];
    if (d->size < 4)
        return false;
    emit_read(l, uop_cmov[l->in->opcode & 15][d->size == 8], &l->in->o[1])->d = d->reg;
    return true;
}

/* Under MODE_SSE only: there is nothing to check. */
static bool lower_vector(struct lowering *l)
{
    const struct operand *d = &l->in->o[0], *s = &l->in->o[1];
    const struct vector_form *f = l->at->mode & MODE_SSE ? vector_form(l->in) : NULL;
    if (!f)
        return false;
    bool store = d->kind == OPERAND_MEM, load = s->kind == OPERAND_MEM;
    if (!(store ? f->mr[0] : load ? f->rm[0] : f->rr))
        return false;
    struct uop *u;
    if (store || load) {
        find_memory(l, f->size, store);
        u = emit_memory(l, (store ? f->mr : f->rm)[indexed(l)]);
    } else {
        u = emit(l, f->rr);
    }
    u->d = d->reg;
    u->s = s->reg;
    u->imm = l->in->imm;
    if (f->insn) {
        u->has_insn = true;
        u->insn = l->in;
    }
    return true;
}

static bool lower_setcc(struct lowering *l)
{
    const struct operand *d = &l->in->o[0];
    uop_fn *const *fn = uop_setcc[l->in->opcode & 15];
    if (d->kind == OPERAND_MEM) {
        find_memory(l, 1, true);
        emit_memory(l, fn[l->where]);
    } else {
        emit(l, fn[REG])->d = register_field(d);
    }
    return true;
}

static bool lower_xchg(struct lowering *l)
{
    const struct operand *d = &l->in->o[0], *s = &l->in->o[1];
    u32 i = log2_size(d->size);
    struct uop *u;
    if (!is_register(s))
        return false;
    if (d->kind == OPERAND_MEM) {
        find_memory(l, d->size, true);
        u = emit_memory(l, uop_xchg_mr[i][indexed(l)]);
    } else {
        u = emit(l, uop_xchg_rr[i]);
        u->d = register_field(d);
    }
    u->s = register_field(s);
    return true;
}

static bool lower_shift(struct lowering *l, enum shift op)
{
    const struct operand *d = &l->in->o[0], *s = &l->in->o[1];
    u32 i = log2_size(d->size);
    if (!is_register(d))
        return false;
    if (s->kind == OPERAND_IMM) {
        u32 count = (u32)l->in->imm & (d->size == 8 ? 63 : 31);
        if (!count)
            return false;
        struct uop *u = emit(l, uop_shift_ri[op][i][l->at->flags]);
        u->d = register_field(d);
        u->aux = (u8)count;
        return true;
    }
    emit(l, uop_shift_rc[op][i])->d = register_field(d);
    return true;
}

static bool lower_imul(struct lowering *l)
{
    const struct insn *in = l->in;
    if (in->operands < 2 || in->o[0].size < 4)
        return false;
    bool wide = in->o[0].size == 8, three = in->operands == 3;
    struct uop *u = emit_read(l, three ? uop_imul_ri[wide] : uop_imul_rr[wide], &in->o[1]);
    u->d = in->o[0].reg;
    if (three)
        u->imm = in->imm;
    return true;
}

static bool lower_mul(struct lowering *l)
{
    const struct operand *s = &l->in->o[0];
    if (s->size < 4)
        return false;
    emit_read(l, uop_mul[s->size == 8], s);
    return true;
}

static bool lower_div(struct lowering *l)
{
    const struct operand *s = &l->in->o[0];
    if (s->size < 4 || !is_register(s))
        return false;
    emit(l, uop_div[s->size == 8])->s = s->reg;
    return true;
}

static bool lower_bt(struct lowering *l)
{
    const struct operand *d = &l->in->o[0], *s = &l->in->o[1];
    if (d->size < 4 || !is_register(d))
        return false;
    bool imm = s->kind == OPERAND_IMM;
    struct uop *u = emit(l, (imm ? uop_bt_ri : uop_bt_rr)[d->size == 8]);
    u->d = d->reg;
    u->s = imm ? 0 : s->reg;
    u->aux = (u8)(l->in->imm & (8u * d->size - 1));
    return true;
}

/* By operand size 4 and 8; RAX is implied. */
static bool lower_sized(struct lowering *l, uop_fn *const fn[2])
{
    if (l->in->opsize < 4)
        return false;
    struct uop *u = emit(l, fn[l->in->opsize == 8]);
    if (l->in->operands)
        u->d = l->in->o[0].reg;
    return true;
}

/* --- Stack and control flow: 64-bit mode, 64-bit operands ------------------------------------- */

static bool stack_64(const struct lowering *l)
{
    return l->at->mode & MODE_CODE64 && l->in->opsize == 8;
}

static bool lower_push(struct lowering *l)
{
    const struct operand *s = &l->in->o[0];
    if (!stack_64(l))
        return false;
    if (s->kind == OPERAND_MEM) {
        find_memory(l, 8, false);
        emit_memory(l, uop_push_m);
    } else if (s->kind == OPERAND_IMM) {
        emit(l, uop_push_i)->imm = l->in->imm;
    } else {
        emit(l, uop_push_r)->s = s->reg;
    }
    return true;
}

static bool lower_pop(struct lowering *l)
{
    const struct operand *d = &l->in->o[0];
    if (!stack_64(l) || !is_register(d))
        return false;
    emit(l, uop_pop_r)->d = d->reg;
    return true;
}

static bool lower_leave(struct lowering *l)
{
    if (!stack_64(l))
        return false;
    emit(l, uop_leave_frame)->b = RBP;
    return true;
}

static bool in_page(const struct place *at, s64 target)
{
    s64 offset = (s64)at->page_offset + target;
    return offset >= 0 && offset < PAGE_SIZE;
}

/* `target` relative to the block's first byte. */
static void emit_link(struct lowering *l, s64 target)
{
    struct uop *u = emit(l, in_page(l->at, target) ? uop_link : uop_far_link);
    u->disp = (s32)target;
}

/* Relative jumps that may be linked; `end` is behind the instruction. */
static bool linkable(const struct lowering *l, s64 end, s64 target)
{
    if (l->at->single || !fits_s32(target))
        return false;
    if (stack_64(l))
        return true;
    return l->at->mode & MODE_CODE32 && l->in->opsize == 4 && in_page(l->at, end) &&
           in_page(l->at, target);
}

static bool lower_relative(struct lowering *l, uop_fn *fn, bool conditional)
{
    s64 end = l->at->off + l->in->length, target = end + (s64)l->in->imm;
    if (!linkable(l, end, target))
        return false;
    emit(l, fn);
    if (conditional)
        emit_link(l, end);
    emit_link(l, target);
    return true;
}

static bool lower_indirect(struct lowering *l, uop_fn *reg, uop_fn *memory)
{
    const struct operand *s = &l->in->o[0];
    if (!stack_64(l) || l->at->single)
        return false;
    if (s->kind == OPERAND_MEM) {
        find_memory(l, 8, false);
        emit_memory(l, memory);
    } else {
        emit(l, reg)->s = s->reg;
    }
    return true;
}

static bool lower_ret(struct lowering *l)
{
    if (!stack_64(l) || l->at->single)
        return false;
    emit(l, uop_ret)->imm = l->in->operands ? l->in->imm & 0xffff : 0;
    return true;
}

/* --- Dispatch --------------------------------------------------------------------------------- */

static bool lower_flow(struct lowering *l)
{
    switch (l->in->op->id) {
    case INSN_push:
        return lower_push(l);
    case INSN_pop:
        return lower_pop(l);
    case INSN_leave:
        return lower_leave(l);
    case INSN_jcc:
        return lower_relative(l, uop_jcc[l->in->opcode & 15], true);
    case INSN_jmp:
        return lower_relative(l, uop_jump, false);
    case INSN_call:
        return stack_64(l) && lower_relative(l, uop_call, false);
    case INSN_jmp_indirect:
        return lower_indirect(l, uop_jump_r, uop_jump_m);
    case INSN_call_indirect:
        return lower_indirect(l, uop_call_r, uop_call_m);
    case INSN_ret:
        return lower_ret(l);
    default:
        return false;
    }
}

static bool lower_data(struct lowering *l)
{
    switch (l->in->op->id) {
    case INSN_movzx:
        return lower_extend(l, false);
    case INSN_movsx:
    case INSN_movsxd:
        return lower_extend(l, true);
    case INSN_lea:
        return lower_lea(l);
    case INSN_cmovcc:
        return lower_cmov(l);
    case INSN_setcc:
        return lower_setcc(l);
    case INSN_xchg:
        return lower_xchg(l);
    case INSN_imul:
        return lower_imul(l);
    case INSN_mul:
        return lower_mul(l);
    case INSN_div:
        return lower_div(l);
    case INSN_bt:
        return lower_bt(l);
    case INSN_bswap:
        return lower_sized(l, uop_bswap);
    case INSN_cbw:
        return lower_sized(l, uop_extend_a);
    case INSN_cwd:
        return lower_sized(l, uop_extend_ad);
    default:
        return lower_flow(l);
    }
}

static bool lower_arithmetic(struct lowering *l)
{
    switch (l->in->op->id) {
    case INSN_mov:
        return lower_mov(l);
    case INSN_add:
        return lower_alu(l, ALU_ADD);
    case INSN_or:
        return lower_alu(l, ALU_OR);
    case INSN_adc:
        return lower_alu(l, ALU_ADC);
    case INSN_sbb:
        return lower_alu(l, ALU_SBB);
    case INSN_and:
        return lower_alu(l, ALU_AND);
    case INSN_sub:
        return lower_alu(l, ALU_SUB);
    case INSN_xor:
        return lower_alu(l, ALU_XOR);
    case INSN_cmp:
        return lower_alu(l, ALU_CMP);
    case INSN_test:
        return lower_alu(l, ALU_TEST);
    case INSN_inc:
        return lower_step(l, false);
    case INSN_dec:
        return lower_step(l, true);
    case INSN_not:
        return lower_unary(l, uop_not_r);
    case INSN_neg:
        return lower_unary(l, uop_neg_r);
    case INSN_rol:
        return lower_shift(l, SHIFT_ROL);
    case INSN_ror:
        return lower_shift(l, SHIFT_ROR);
    case INSN_shl:
        return lower_shift(l, SHIFT_SHL);
    case INSN_shr:
        return lower_shift(l, SHIFT_SHR);
    case INSN_sar:
        return lower_shift(l, SHIFT_SAR);
    default:
        return lower_data(l);
    }
}

/* MODE_SSE holds what OP_SSE asks for. */
static uop_fn *generic_handler(const struct opcode *op, u32 mode)
{
    u32 checks = OP_CPL0 | OP_PROTECTED | OP_SSE | OP_MMX | OP_X87 | OP_UMIP | OP_TSD | OP_PCE;
    u32 asked = op->attributes & checks;
    if (op->attributes & (OP_ENDS | OP_JUMP))
        return uop_generic_end;
    if (asked == OP_SSE && mode & MODE_SSE)
        return uop_generic;
    bool exits = op->exit && !(op->attributes & OP_OWN_EXIT);
    return asked || exits ? uop_generic_checked : uop_generic;
}

u32 lower(const struct insn *in, const struct place *at, struct uop *u)
{
    struct lowering l = {.in = in, .at = at, .u = u};
    if (in->op->exec == exec_nop) /* nothing to do takes no uop */
        return 0;
    if (in->op->attributes & OP_SSE ? lower_vector(&l) : lower_arithmetic(&l))
        return l.n;
    l.n = 0;
    if (in->op->exec)
        emit_insn(&l, generic_handler(in->op, at->mode));
    else
        emit(&l, uop_undefined);
    return l.n;
}

u32 lower_continue(const struct place *at, struct uop *u)
{
    static const struct insn nothing;
    struct lowering l = {.in = &nothing, .at = at, .u = u};
    if (at->single) {
        emit(&l, uop_leave);
    } else {
        emit(&l, uop_jump);
        emit_link(&l, at->off);
    }
    return l.n;
}

bool insn_is_jcc(const struct insn *in)
{
    return in->op->id == INSN_jcc;
}

static struct uop *emit_fused(struct lowering *l, bool test, u32 cc)
{
    const struct operand *d = &l->in->o[0], *s = &l->in->o[1];
    u32 i = log2_size(d->size);
    struct uop *u;
    if (is_register(d) && s->kind != OPERAND_MEM) {
        u = emit(l, (s->kind == OPERAND_IMM ? uop_fused_ri : uop_fused_rr)[test][i][cc]);
        u->d = register_field(d);
    } else if (s->kind == OPERAND_IMM) {
        find_memory(l, d->size, false);
        u = emit_memory(l, uop_fused_mi[test][i][cc]);
    } else {
        find_memory(l, d->size, false);
        u = emit_memory(l, uop_fused_rm[i][cc]);
        u->d = register_field(d);
    }
    if (s->kind == OPERAND_IMM)
        u->imm = l->in->imm;
    else if (is_register(s))
        u->s = register_field(s);
    return u;
}

u32 lower_fused(const struct insn *in, const struct insn *jcc, const struct place *at,
                struct uop *u)
{
    struct lowering l = {.in = in, .at = at, .u = u};
    struct lowering jump = {.in = jcc, .at = at};
    s64 end = at->off + in->length + jcc->length, target = end + (s64)jcc->imm;
    bool test = in->op->id == INSN_test;
    if ((!test && in->op->id != INSN_cmp) || !linkable(&jump, end, target))
        return 0;
    if (in->o[0].kind == OPERAND_MEM && in->o[1].kind != OPERAND_IMM) /* CMP m, r */
        return 0;
    emit_fused(&l, test, jcc->opcode & 15);
    emit_link(&l, end);
    emit_link(&l, target);
    return l.n;
}
