/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chooses the uops of a decoded instruction: a specialised handler if there is one, otherwise
 * uop_generic. An address uop comes first if the memory operand is more than base + index +
 * displacement.
 */
#include "cpu/engine/engine.h"

_Static_assert(UOP_TEST - UOP_ADD == (int)ALU_TEST && UOP_SAR - UOP_ROL == (int)SHIFT_SAR,
               "uops of arithmetic and shifts are in the order of the handlers' tables");

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

/* Returns FORM_SIZE for a size, which is also the index of tables by size. */
static u32 log2_size(u32 size)
{
    return (u32)__builtin_ctz(size);
}

static struct uop *emit(struct lowering *l, u32 op, u32 form, uop_fn *fn)
{
    struct uop *u = &l->u[l->n++];
    *u = (struct uop){
        .x = REG_ZERO, .b = RSP, .where = uop_where(l->at->off, l->at->idx), .len = l->in->length};
    uop_set(u, op, form, fn);
    return u;
}

static struct uop *emit_insn(struct lowering *l, u32 op, uop_fn *fn)
{
    struct uop *u = emit(l, op, FORM_INSN, fn);
    u->insn = l->in;
    return u;
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
    struct uop *u = emit_insn(l, UOP_ADDRESS, uop_address);
    u->disp = (s32)size;
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

/* Finds where the memory operand is; emits an address uop if it needs one. */
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
        struct uop *u = emit(l, UOP_ADDRESS_SEGMENT, log2_size(8), uop_address_segment);
        address_parts(l, u, disp);
        u->aux = in->segment;
        l->memory.b = REG_EA;
    } else {
        address_parts(l, &l->memory, disp);
        if (in->index != REG_ZERO)
            l->where = MEM_INDEXED;
    }
}

static struct uop *emit_memory(struct lowering *l, u32 op, u32 form, uop_fn *fn)
{
    struct uop *u = emit(l, op, form | (u32)l->where << FORM_PLACE_SHIFT, fn);
    u->b = l->memory.b;
    u->x = l->memory.x;
    u->scale = l->memory.scale;
    u->disp = l->memory.disp;
    return u;
}

/* Emits a form that reads its second operand, E, from a register or memory. */
static struct uop *emit_read(struct lowering *l, u32 op, u32 form, uop_fn *const fn[PLACES],
                             const struct operand *o)
{
    if (o->kind == OPERAND_MEM) {
        find_memory(l, o->size, false);
        return emit_memory(l, op, form, fn[l->where]);
    }
    struct uop *u = emit(l, op, form, fn[REG]);
    u->s = register_field(o);
    return u;
}

static bool indexed(const struct lowering *l)
{
    return l->where == MEM_INDEXED;
}

/* Returns FORM_SIZE and FORM_FLAGS of an operation that computes flags. */
static u32 flags_form(const struct lowering *l, u32 size)
{
    return log2_size(size) | (l->at->flags ? FORM_FLAGS : 0);
}

static u32 imm_form(const struct operand *o)
{
    return o->kind == OPERAND_IMM ? FORM_IMM : 0;
}

/* --- Groups of instructions. Each returns false if the form has no specialised handler -------- */

static bool lower_alu(struct lowering *l, u32 which)
{
    const struct operand *d = &l->in->o[0], *s = &l->in->o[1];
    u32 i = log2_size(d->size), op = UOP_ADD + which;
    u32 form = flags_form(l, d->size) | imm_form(s);
    bool imm = s->kind == OPERAND_IMM;
    struct uop *u;
    if (is_register(d) && s->kind == OPERAND_MEM) {
        find_memory(l, d->size, false);
        u = emit_memory(l, op, form, uop_alu_rm[which][i][indexed(l)]);
        u->d = register_field(d);
        return true;
    }
    if (is_register(d)) {
        u = emit(l, op, form, (imm ? uop_alu_ri : uop_alu_rr)[which][i][l->at->flags]);
        u->d = register_field(d);
    } else {
        find_memory(l, d->size, which != ALU_CMP && which != ALU_TEST);
        u = emit_memory(l, op, form | FORM_MEMORY_FIRST,
                        (imm ? uop_alu_mi : uop_alu_mr)[which][i][indexed(l)]);
    }
    if (imm)
        u->imm = l->in->imm;
    else
        u->s = register_field(s);
    return true;
}

static bool lower_step(struct lowering *l, u32 down)
{
    const struct operand *d = &l->in->o[0];
    u32 i = log2_size(d->size), op = down ? UOP_DEC : UOP_INC, form = flags_form(l, d->size);
    if (d->kind == OPERAND_MEM) {
        find_memory(l, d->size, true);
        emit_memory(l, op, form | FORM_MEMORY_FIRST, uop_step_m[down][i][indexed(l)]);
    } else {
        emit(l, op, form, uop_step_r[down][i][l->at->flags])->d = register_field(d);
    }
    return true;
}

/* Lowers NOT and NEG. */
static bool lower_unary(struct lowering *l, u32 negate)
{
    const struct operand *d = &l->in->o[0];
    if (!is_register(d))
        return false;
    u32 i = log2_size(d->size);
    struct uop *u = negate ? emit(l, UOP_NEG, flags_form(l, d->size), uop_neg_r[i])
                           : emit(l, UOP_NOT, i, uop_not_r[i]);
    u->d = register_field(d);
    return true;
}

static bool lower_mov(struct lowering *l, u32 which UNUSED)
{
    const struct operand *d = &l->in->o[0], *s = &l->in->o[1];
    u32 i = log2_size(d->size), form = i | imm_form(s);
    bool imm = s->kind == OPERAND_IMM;
    struct uop *u;
    if (d->kind == OPERAND_MEM) {
        find_memory(l, d->size, true);
        u = emit_memory(l, UOP_MOV, form | FORM_MEMORY_FIRST,
                        (imm ? uop_mov_mi : uop_mov_mr)[i][indexed(l)]);
    } else if (s->kind == OPERAND_MEM) {
        find_memory(l, d->size, false);
        u = emit_memory(l, UOP_MOV, form, uop_mov_rm[i][indexed(l)]);
    } else {
        u = emit(l, UOP_MOV, form, (imm ? uop_mov_ri : uop_mov_rr)[i]);
    }
    if (is_register(d))
        u->d = register_field(d);
    if (imm)
        u->imm = l->in->imm;
    else if (is_register(s))
        u->s = register_field(s);
    return true;
}

static bool lower_extend(struct lowering *l, u32 sign)
{
    const struct operand *d = &l->in->o[0], *s = &l->in->o[1];
    if (d->size < 4 || (!sign && s->size > 2))
        return false;
    u32 i = log2_size(s->size);
    struct uop *u = sign ? emit_read(l, UOP_MOVSX, i, uop_movsx[i][d->size == 8], s)
                         : emit_read(l, UOP_MOVZX, i, uop_movzx[i], s);
    u->d = d->reg;
    u->aux = sign ? (u8)d->size : 0;
    return true;
}

static bool lower_lea(struct lowering *l, u32 which UNUSED)
{
    const struct insn *in = l->in;
    s64 disp = in->disp + (in->rip_relative ? l->at->off + in->length : 0);
    if (!(l->at->mode & MODE_CODE64) || in->addrsize != 8 || in->o[0].size < 4 || !fits_s32(disp))
        return false;
    bool has_index = in->index != REG_ZERO;
    u32 place = has_index ? MEM_INDEXED : MEM;
    struct uop *u = emit(l, UOP_LEA, log2_size(in->o[0].size) | place << FORM_PLACE_SHIFT,
                         uop_lea[in->o[0].size == 8][has_index]);
    address_parts(l, u, disp);
    u->d = in->o[0].reg;
    return true;
}

static bool lower_cmov(struct lowering *l, u32 which UNUSED)
{
    const struct operand *d = &l->in->o[0];
    if (d->size < 4)
        return false;
    u8 cc = l->in->opcode & 15;
    struct uop *u =
        emit_read(l, UOP_CMOV, log2_size(d->size), uop_cmov[cc][d->size == 8], &l->in->o[1]);
    u->d = d->reg;
    u->aux = cc;
    return true;
}

/* Lowers an SSE instruction under MODE_SSE only, so there is nothing to check. */
static bool lower_vector(struct lowering *l)
{
    const struct operand *d = &l->in->o[0], *s = &l->in->o[1];
    const struct vector_form *f = l->at->mode & MODE_SSE ? vector_form(l->in) : NULL;
    if (!f)
        return false;
    bool store = d->kind == OPERAND_MEM, load = s->kind == OPERAND_MEM;
    uop_fn *registers = d->kind == OPERAND_GPR && f->to_gpr ? f->to_gpr : f->rr;
    if (!(store ? f->mr[0] : load ? f->rm[0] : registers))
        return false;
    u32 op = UOP_VECTOR + l->in->op->id;
    u32 form = log2_size(rex_w(l->in) ? 8 : 4) | imm_form(&l->in->o[l->in->operands - 1]) |
               (f->insn ? FORM_INSN : 0);
    struct uop *u;
    if (store || load) {
        find_memory(l, f->size, store);
        u = emit_memory(l, op, form | (store ? FORM_MEMORY_FIRST : 0),
                        (store ? f->mr : f->rm)[indexed(l)]);
    } else {
        u = emit(l, op, form, registers);
    }
    u->d = d->reg;
    u->s = s->reg;
    u->aux = d->kind == OPERAND_GPR;
    if (f->insn)
        u->insn = l->in;
    else
        u->imm = l->in->imm;
    return true;
}

/* Lowers a VEX instruction under MODE_AVX only. Its size in the uop's form is 8 for 32 bytes, 4 for
 * 16. */
static bool lower_avx(struct lowering *l)
{
    const struct insn *in = l->in;
    const struct avx_form *f = l->at->mode & MODE_AVX ? avx_form(in) : NULL;
    if (!f)
        return false;
    bool two = in->operands > 2, store = in->o[0].kind == OPERAND_MEM;
    const struct operand *last = &in->o[two ? 2 : 1];
    bool load = last->kind == OPERAND_MEM;
    if (last->kind == OPERAND_IMM || !(store ? f->mr[0] : load ? f->rm[0] : f->rr))
        return false;
    u32 op = UOP_VECTOR + in->op->id, form = log2_size(in->vl / 4u);
    struct uop *u;
    if (store || load) {
        find_memory(l, in->vl, store);
        u = emit_memory(l, op, form | (store ? FORM_MEMORY_FIRST : 0),
                        (store ? f->mr : f->rm)[indexed(l)]);
    } else {
        u = emit(l, op, form, f->rr);
        u->b = last->reg;
    }
    u->d = in->o[0].reg;
    u->s = in->o[1].reg;
    u->aux = in->o[0].kind == OPERAND_GPR;
    return true;
}

static bool lower_setcc(struct lowering *l, u32 which UNUSED)
{
    const struct operand *d = &l->in->o[0];
    u8 cc = l->in->opcode & 15;
    uop_fn *const *fn = uop_setcc[cc];
    struct uop *u;
    if (d->kind == OPERAND_MEM) {
        find_memory(l, 1, true);
        u = emit_memory(l, UOP_SETCC, FORM_MEMORY_FIRST, fn[l->where]);
    } else {
        u = emit(l, UOP_SETCC, 0, fn[REG]);
        u->d = register_field(d);
    }
    u->aux = cc;
    return true;
}

static bool lower_xchg(struct lowering *l, u32 which UNUSED)
{
    const struct operand *d = &l->in->o[0], *s = &l->in->o[1];
    u32 i = log2_size(d->size);
    struct uop *u;
    if (!is_register(s))
        return false;
    if (d->kind == OPERAND_MEM) {
        find_memory(l, d->size, true);
        u = emit_memory(l, UOP_XCHG, i | FORM_MEMORY_FIRST, uop_xchg_mr[i][indexed(l)]);
    } else {
        u = emit(l, UOP_XCHG, i, uop_xchg_rr[i]);
        u->d = register_field(d);
    }
    u->s = register_field(s);
    return true;
}

static bool lower_shift(struct lowering *l, u32 which)
{
    const struct operand *d = &l->in->o[0], *s = &l->in->o[1];
    u32 i = log2_size(d->size), op = UOP_ROL + which, form = flags_form(l, d->size) | imm_form(s);
    if (!is_register(d))
        return false;
    if (s->kind == OPERAND_IMM) {
        u32 count = (u32)l->in->imm & (d->size == 8 ? 63 : 31);
        if (!count)
            return false;
        struct uop *u = emit(l, op, form, uop_shift_ri[which][i][l->at->flags]);
        u->d = register_field(d);
        u->aux = (u8)count;
        return true;
    }
    emit(l, op, form, uop_shift_rc[which][i])->d = register_field(d);
    return true;
}

static bool lower_imul(struct lowering *l, u32 which UNUSED)
{
    const struct insn *in = l->in;
    if (in->operands < 2 || in->o[0].size < 4)
        return false;
    bool wide = in->o[0].size == 8, three = in->operands == 3;
    u32 form = flags_form(l, in->o[0].size) | (three ? FORM_IMM : 0);
    struct uop *u =
        emit_read(l, UOP_IMUL, form, (three ? uop_imul_ri : uop_imul_rr)[wide], &in->o[1]);
    u->d = in->o[0].reg;
    if (three)
        u->imm = in->imm;
    return true;
}

static bool lower_mul(struct lowering *l, u32 which UNUSED)
{
    const struct operand *s = &l->in->o[0];
    if (s->size < 4)
        return false;
    emit_read(l, UOP_MUL, flags_form(l, s->size), uop_mul[s->size == 8], s);
    return true;
}

static bool lower_div(struct lowering *l, u32 which UNUSED)
{
    const struct operand *s = &l->in->o[0];
    if (s->size < 4 || !is_register(s))
        return false;
    emit(l, UOP_DIV, log2_size(s->size), uop_div[s->size == 8])->s = s->reg;
    return true;
}

static bool lower_bt(struct lowering *l, u32 which UNUSED)
{
    const struct operand *d = &l->in->o[0], *s = &l->in->o[1];
    if (d->size < 4 || !is_register(d))
        return false;
    bool imm = s->kind == OPERAND_IMM;
    struct uop *u = emit(l, UOP_BT, flags_form(l, d->size) | imm_form(s),
                         (imm ? uop_bt_ri : uop_bt_rr)[d->size == 8]);
    u->d = d->reg;
    u->s = imm ? 0 : s->reg;
    u->aux = (u8)(l->in->imm & (8u * d->size - 1));
    return true;
}

static bool lower_bswap(struct lowering *l, u32 which UNUSED)
{
    if (l->in->opsize < 4)
        return false;
    u32 size = l->in->opsize;
    emit(l, UOP_BSWAP, log2_size(size), uop_bswap[size == 8])->d = l->in->o[0].reg;
    return true;
}

/* Lowers CBW, CWD and their wider forms. */
static bool lower_extend_rax(struct lowering *l, u32 into_rdx)
{
    if (l->in->opsize < 4)
        return false;
    emit(l, into_rdx ? UOP_EXTEND_INTO_RDX : UOP_EXTEND_RAX, log2_size(l->in->opsize),
         (into_rdx ? uop_extend_ad : uop_extend_a)[l->in->opsize == 8]);
    return true;
}

/* --- Stack and control flow: 64-bit mode, 64-bit operands ------------------------------------- */

static bool stack_64(const struct lowering *l)
{
    return l->at->mode & MODE_CODE64 && l->in->opsize == 8;
}

static bool lower_push(struct lowering *l, u32 which UNUSED)
{
    const struct operand *s = &l->in->o[0];
    u32 form = log2_size(8) | imm_form(s);
    if (!stack_64(l))
        return false;
    if (s->kind == OPERAND_MEM) {
        find_memory(l, 8, false);
        emit_memory(l, UOP_PUSH, form, uop_push_m);
    } else if (s->kind == OPERAND_IMM) {
        emit(l, UOP_PUSH, form, uop_push_i)->imm = l->in->imm;
    } else {
        emit(l, UOP_PUSH, form, uop_push_r)->s = s->reg;
    }
    return true;
}

static bool lower_pop(struct lowering *l, u32 which UNUSED)
{
    const struct operand *d = &l->in->o[0];
    if (!stack_64(l) || !is_register(d))
        return false;
    emit(l, UOP_POP, log2_size(8), uop_pop_r)->d = d->reg;
    return true;
}

static bool lower_leave(struct lowering *l, u32 which UNUSED)
{
    if (!stack_64(l))
        return false;
    emit(l, UOP_LEAVE_FRAME, log2_size(8), uop_leave_frame)->b = RBP;
    return true;
}

static bool in_page(const struct place *at, s64 target)
{
    s64 offset = (s64)at->page_offset + target;
    return offset >= 0 && offset < PAGE_SIZE;
}

/* Emits a link; `target` is relative to the block's first byte. An instruction that begins in the
 * last 14 bytes of the page may end in the next one, so its block must be looked up each time. */
static void emit_link(struct lowering *l, s64 target)
{
    bool near = in_page(l->at, target) && in_page(l->at, target + 14);
    struct uop *u = near ? emit(l, UOP_LINK, 0, uop_link) : emit(l, UOP_FAR_LINK, 0, uop_far_link);
    u->disp = (s32)target;
}

/* Returns true if a relative jump may be linked; `end` is the end of the instruction. */
static bool linkable(const struct lowering *l, s64 end, s64 target)
{
    if (l->at->single || !fits_s32(target))
        return false;
    if (stack_64(l))
        return true;
    return l->at->mode & MODE_CODE32 && l->in->opsize == 4 && in_page(l->at, end) &&
           in_page(l->at, target);
}

static s64 end_of(const struct lowering *l)
{
    return l->at->off + l->in->length;
}

static s64 target_of(const struct lowering *l)
{
    return end_of(l) + (s64)l->in->imm;
}

static bool lower_jcc(struct lowering *l, u32 which UNUSED)
{
    u8 cc = l->in->opcode & 15;
    if (!linkable(l, end_of(l), target_of(l)))
        return false;
    emit(l, UOP_JCC, 0, uop_jcc[cc])->aux = cc;
    emit_link(l, end_of(l));
    emit_link(l, target_of(l));
    return true;
}

static bool lower_jmp(struct lowering *l, u32 which UNUSED)
{
    if (!linkable(l, end_of(l), target_of(l)))
        return false;
    emit(l, UOP_JUMP, 0, uop_jump);
    emit_link(l, target_of(l));
    return true;
}

static bool lower_call(struct lowering *l, u32 which UNUSED)
{
    if (!stack_64(l) || !linkable(l, end_of(l), target_of(l)))
        return false;
    emit(l, UOP_CALL, log2_size(8), uop_call);
    emit_link(l, target_of(l));
    emit_link(l, end_of(l));
    return true;
}

static bool lower_indirect(struct lowering *l, u32 call)
{
    const struct operand *s = &l->in->o[0];
    u32 op = call ? UOP_CALL_TO : UOP_JUMP_TO;
    if (!stack_64(l) || l->at->single)
        return false;
    if (s->kind == OPERAND_MEM) {
        find_memory(l, 8, false);
        emit_memory(l, op, log2_size(8), call ? uop_call_m : uop_jump_m);
    } else {
        emit(l, op, log2_size(8), call ? uop_call_r : uop_jump_r)->s = s->reg;
    }
    if (call)
        emit_link(l, end_of(l));
    return true;
}

static bool lower_ret(struct lowering *l, u32 which UNUSED)
{
    if (!stack_64(l) || l->at->single)
        return false;
    emit(l, UOP_RET, log2_size(8), uop_ret)->imm = l->in->operands ? l->in->imm & 0xffff : 0;
    return true;
}

/* --- The table -------------------------------------------------------------------------------- */

/* What the engine knows about an instruction besides its row of opcodes.def. An instruction without
 * a row here is run by its exec function, and may leave the block. */
struct lowering_rule {
    bool (*lower)(struct lowering *l, u32 which); /* NULL: by a generic uop only */
    u8 which;                                     /* the instruction within its group */
    u8 leaves;                                    /* LEAVES_...: whether it may fault or exit */
    bool keeps_undefined; /* does not change flags that the manual leaves undefined */
};

enum { LEAVES_ANYHOW, LEAVES_BY_MEMORY, LEAVES_NEVER };

static const struct lowering_rule rules[INSN_COUNT] = {
    [INSN_add] = {lower_alu, ALU_ADD, LEAVES_BY_MEMORY, false},
    [INSN_or] = {lower_alu, ALU_OR, LEAVES_BY_MEMORY, false},
    [INSN_adc] = {lower_alu, ALU_ADC, LEAVES_BY_MEMORY, false},
    [INSN_sbb] = {lower_alu, ALU_SBB, LEAVES_BY_MEMORY, false},
    [INSN_and] = {lower_alu, ALU_AND, LEAVES_BY_MEMORY, false},
    [INSN_sub] = {lower_alu, ALU_SUB, LEAVES_BY_MEMORY, false},
    [INSN_xor] = {lower_alu, ALU_XOR, LEAVES_BY_MEMORY, false},
    [INSN_cmp] = {lower_alu, ALU_CMP, LEAVES_BY_MEMORY, false},
    [INSN_test] = {lower_alu, ALU_TEST, LEAVES_BY_MEMORY, false},
    [INSN_inc] = {lower_step, false, LEAVES_BY_MEMORY, false},
    [INSN_dec] = {lower_step, true, LEAVES_BY_MEMORY, false},
    [INSN_not] = {lower_unary, false, LEAVES_BY_MEMORY, false},
    [INSN_neg] = {lower_unary, true, LEAVES_BY_MEMORY, false},
    [INSN_imul] = {lower_imul, 0, LEAVES_BY_MEMORY, false},
    [INSN_mul] = {lower_mul, 0, LEAVES_BY_MEMORY, false},
    [INSN_div] = {lower_div, 0, LEAVES_ANYHOW, false},

    [INSN_rol] = {lower_shift, SHIFT_ROL, LEAVES_BY_MEMORY, false},
    [INSN_ror] = {lower_shift, SHIFT_ROR, LEAVES_BY_MEMORY, false},
    [INSN_shl] = {lower_shift, SHIFT_SHL, LEAVES_BY_MEMORY, false},
    [INSN_shr] = {lower_shift, SHIFT_SHR, LEAVES_BY_MEMORY, false},
    [INSN_sar] = {lower_shift, SHIFT_SAR, LEAVES_BY_MEMORY, false},
    [INSN_bt] = {lower_bt, 0, LEAVES_BY_MEMORY, true},
    [INSN_bsf] = {NULL, 0, LEAVES_BY_MEMORY, true},
    [INSN_bsr] = {NULL, 0, LEAVES_BY_MEMORY, true},
    [INSN_bts] = {NULL, 0, LEAVES_BY_MEMORY, true},
    [INSN_btr] = {NULL, 0, LEAVES_BY_MEMORY, true},
    [INSN_btc] = {NULL, 0, LEAVES_BY_MEMORY, true},
    [INSN_tzcnt] = {NULL, 0, LEAVES_BY_MEMORY, true},
    [INSN_lzcnt] = {NULL, 0, LEAVES_BY_MEMORY, true},
    [INSN_popcnt] = {NULL, 0, LEAVES_BY_MEMORY, false},
    [INSN_andn] = {NULL, 0, LEAVES_BY_MEMORY, false},
    [INSN_bextr] = {NULL, 0, LEAVES_BY_MEMORY, false},
    [INSN_blsr] = {NULL, 0, LEAVES_BY_MEMORY, false},
    [INSN_blsmsk] = {NULL, 0, LEAVES_BY_MEMORY, false},
    [INSN_blsi] = {NULL, 0, LEAVES_BY_MEMORY, false},
    [INSN_bzhi] = {NULL, 0, LEAVES_BY_MEMORY, false},
    [INSN_pdep] = {NULL, 0, LEAVES_BY_MEMORY, false},
    [INSN_pext] = {NULL, 0, LEAVES_BY_MEMORY, false},
    [INSN_mulx] = {NULL, 0, LEAVES_BY_MEMORY, false},
    [INSN_rorx] = {NULL, 0, LEAVES_BY_MEMORY, false},
    [INSN_sarx] = {NULL, 0, LEAVES_BY_MEMORY, false},
    [INSN_shlx] = {NULL, 0, LEAVES_BY_MEMORY, false},
    [INSN_shrx] = {NULL, 0, LEAVES_BY_MEMORY, false},

    [INSN_mov] = {lower_mov, 0, LEAVES_BY_MEMORY, false},
    [INSN_movzx] = {lower_extend, false, LEAVES_BY_MEMORY, false},
    [INSN_movsx] = {lower_extend, true, LEAVES_BY_MEMORY, false},
    [INSN_movsxd] = {lower_extend, true, LEAVES_BY_MEMORY, false},
    [INSN_lea] = {lower_lea, 0, LEAVES_NEVER, false},
    [INSN_xchg] = {lower_xchg, 0, LEAVES_BY_MEMORY, false},
    [INSN_cmovcc] = {lower_cmov, 0, LEAVES_BY_MEMORY, false},
    [INSN_setcc] = {lower_setcc, 0, LEAVES_BY_MEMORY, false},
    [INSN_bswap] = {lower_bswap, 0, LEAVES_BY_MEMORY, false},
    [INSN_cbw] = {lower_extend_rax, false, LEAVES_BY_MEMORY, false},
    [INSN_cwd] = {lower_extend_rax, true, LEAVES_BY_MEMORY, false},

    [INSN_push] = {lower_push, 0, LEAVES_ANYHOW, false},
    [INSN_pop] = {lower_pop, 0, LEAVES_ANYHOW, false},
    [INSN_leave] = {lower_leave, 0, LEAVES_ANYHOW, false},
    [INSN_jcc] = {lower_jcc, 0, LEAVES_ANYHOW, false},
    [INSN_jmp] = {lower_jmp, 0, LEAVES_ANYHOW, false},
    [INSN_call] = {lower_call, 0, LEAVES_ANYHOW, false},
    [INSN_jmp_indirect] = {lower_indirect, false, LEAVES_ANYHOW, false},
    [INSN_call_indirect] = {lower_indirect, true, LEAVES_ANYHOW, false},
    [INSN_ret] = {lower_ret, 0, LEAVES_ANYHOW, false},
};

bool insn_may_leave(const struct insn *in)
{
    u8 leaves = rules[in->op->id].leaves;
    if (leaves != LEAVES_BY_MEMORY)
        return leaves == LEAVES_ANYHOW;
    for (u32 i = 0; i < in->operands; i++)
        if (in->o[i].kind == OPERAND_MEM)
            return true;
    return false;
}

u32 insn_flags_killed(const struct insn *in)
{
    u32 written = in->op->flags_written;
    if (!rules[in->op->id].keeps_undefined)
        written |= in->op->flags_undefined;
    return written & ~(u32)insn_flags_read(in);
}

/* Emits the uop that calls the exec function. MODE_SSE already covers the checks of OP_SSE, and
 * MODE_AVX those of OP_AVX. */
static void emit_generic(struct lowering *l)
{
    const struct opcode *op = l->in->op;
    u32 checks =
        OP_CPL0 | OP_PROTECTED | OP_SSE | OP_MMX | OP_X87 | OP_AVX | OP_UMIP | OP_TSD | OP_PCE;
    u32 mode = l->at->mode;
    u32 covered = (mode & MODE_SSE ? OP_SSE : 0) | (mode & MODE_AVX ? OP_AVX : 0);
    u32 asked = op->attributes & checks & ~covered;
    bool exits = op->exit && !(op->attributes & OP_OWN_EXIT);
    if (op->attributes & (OP_ENDS | OP_JUMP))
        emit_insn(l, UOP_GENERIC_END, uop_generic_end);
    else if (exits || asked)
        emit_insn(l, UOP_GENERIC_CHECKED, uop_generic_checked);
    else
        emit_insn(l, UOP_GENERIC, uop_generic);
}

u32 lower(const struct insn *in, const struct place *at, struct uop *u)
{
    struct lowering l = {.in = in, .at = at, .u = u};
    if (in->op->exec == exec_nop) /* NOP needs no uop */
        return 0;
    const struct lowering_rule *rule = &rules[in->op->id];
    if (in->op->attributes & OP_SSE   ? lower_vector(&l)
        : in->op->attributes & OP_AVX ? lower_avx(&l)
                                      : rule->lower && rule->lower(&l, rule->which))
        return l.n;
    l.n = 0;
    if (in->op->exec)
        emit_generic(&l);
    else
        emit(&l, UOP_UNDEFINED, 0, uop_undefined);
    return l.n;
}

u32 lower_continue(const struct place *at, struct uop *u)
{
    static const struct insn nothing;
    struct lowering l = {.in = &nothing, .at = at, .u = u};
    if (at->single) {
        emit(&l, UOP_LEAVE, 0, uop_leave);
    } else {
        emit(&l, UOP_JUMP, 0, uop_jump);
        emit_link(&l, at->off);
    }
    return l.n;
}

bool insn_is_jcc(const struct insn *in)
{
    return in->op->id == INSN_jcc;
}

static void emit_fused(struct lowering *l, bool test, u8 cc)
{
    const struct operand *d = &l->in->o[0], *s = &l->in->o[1];
    u32 i = log2_size(d->size), op = test ? UOP_TEST_JCC : UOP_CMP_JCC;
    u32 form = flags_form(l, d->size) | imm_form(s);
    bool imm = s->kind == OPERAND_IMM;
    struct uop *u;
    if (is_register(d) && s->kind != OPERAND_MEM) {
        u = emit(l, op, form, (imm ? uop_fused_ri : uop_fused_rr)[test][i][cc]);
        u->d = register_field(d);
    } else if (imm) {
        find_memory(l, d->size, false);
        u = emit_memory(l, op, form | FORM_MEMORY_FIRST, uop_fused_mi[test][i][cc]);
    } else {
        find_memory(l, d->size, false);
        u = emit_memory(l, op, form, uop_fused_rm[i][cc]);
        u->d = register_field(d);
    }
    u->aux = cc;
    if (imm)
        u->imm = l->in->imm;
    else if (is_register(s))
        u->s = register_field(s);
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
