/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Specialised handlers for control flow: entering and leaving blocks, links, jumps, calls and
 * returns in 64-bit mode, comparisons fused with the following Jcc, and the generic uops that call
 * exec_<name>().
 */
#include "cpu/engine/engine.h"
#include "cpu/jit/jit.h"

/* Returns the uop for writing: uops are in the arena of block.c. */
static struct uop *patchable(const struct uop *u)
{
    return (struct uop *)(uintptr_t)u;
}

struct block *block_of(const struct uop *enter)
{
    return CONTAINER_OF(patchable(enter), struct block, uop[0]);
}

void uop_patch(struct cpu *c, struct uop *u, enum uop_op op, const void *to)
{
    static uop_fn *const handlers[] = {
        [UOP_ENTER] = uop_enter, [UOP_WARM] = uop_warm,       [UOP_NATIVE] = uop_native,
        [UOP_STALE] = uop_stale, [UOP_FORWARD] = uop_forward, [UOP_LEAVE] = uop_leave,
        [UOP_LINK] = uop_link,
    };
    if (op == UOP_STALE && u->op == UOP_NATIVE)
        jit_unlink(c, u);
    uop_set(u, op, 0, handlers[op]);
    u->to = to;
}

/* --- Entering and leaving --------------------------------------------------------------------- */

static const struct uop *leave_at(struct cpu *c, u64 rip)
{
    c->arch.rip = c->engine.mode & MODE_CODE64 ? rip : rip & 0xffffffffu;
    c->engine.block = NULL;
    return NULL;
}

/* Returns to the loop between blocks, to continue at the target. */
const struct uop *uop_miss_fn(struct cpu *c, const struct uop *u);
const struct uop *uop_miss_fn(struct cpu *c, const struct uop *u UNUSED)
{
    return leave_at(c, block_rip(c));
}

const struct uop uop_miss = {.fn = uop_miss_fn, .op = UOP_MISS};

const struct uop *uop_enter(struct cpu *c, const struct uop *u)
{
    s64 left = c->engine.left - u->aux;
    if (UNLIKELY(left < 0)) /* the loop runs the last instructions one by one */
        return leave_at(c, block_rip(c));
    c->engine.left = left;
    c->engine.block = block_of(u);
    NEXT(c, u);
}

const struct uop *uop_warm(struct cpu *c, const struct uop *u)
{
    if (UNLIKELY(--patchable(u)->imm == 0)) {
        jit_translate(c, block_of(u));
        GOTO(c, u);
    }
    return uop_enter(c, u);
}

const struct uop *uop_native(struct cpu *c, const struct uop *u)
{
    u = jit_run(c, u);
    GOTO(c, u);
}

const struct uop *uop_forward(struct cpu *c, const struct uop *u)
{
    GOTO(c, u->to);
}

/* The enter uop of a dead block: continues in its successor at the same place, if there is one by
 * now. */
const struct uop *uop_stale(struct cpu *c, const struct uop *u)
{
    const struct block *dead = block_of(u);
    const struct block *b = dead->crossing ? NULL : block_find(c, dead->spa, dead->mode);
    if (!b) {
        /* Otherwise the loop would find the dead block again. */
        c->engine.jumps[jump_slot(block_rip(c))].tag = 0;
        return leave_at(c, block_rip(c));
    }
    uop_patch(c, patchable(u), UOP_FORWARD, b->uop);
    GOTO(c, b->uop);
}

/* Leaves the block before an instruction that is not done: gives back the rest of the block's
 * count. */
const struct uop *uop_leave(struct cpu *c, const struct uop *u)
{
    c->engine.left += c->engine.block->insns - uop_index(u);
    return leave_at(c, block_rip(c) + uop_offset(u));
}

/* A link within the page whose target is not yet known: finds the target by physical address (the
 * page offset of RIP differs if CS.base is not aligned). block_rip is the target already. */
const struct uop *uop_link(struct cpu *c, const struct uop *u)
{
    u64 spa = c->engine.block->spa + (u64)(s64)u->disp;
    const struct block *b = block_find(c, spa, c->engine.block->mode);
    if (!b)
        return leave_at(c, block_rip(c));
    uop_patch(c, patchable(u), UOP_LINK, b->uop);
    GOTO(c, b->uop);
}

const struct uop *uop_far_link(struct cpu *c, const struct uop *u)
{
    u = jump_lookup(c, block_rip(c));
    GOTO(c, u);
}

const struct uop *uop_jump(struct cpu *c, const struct uop *u)
{
    GOTO_LINK(c, u + 1);
}

/* --- Generic ---------------------------------------------------------------------------------- */

/* Returns true if CR4 forbids the instruction outside CPL 0. */
static bool withheld(const struct cpu *c, u32 attributes)
{
    u64 cr4 = c->arch.cr4;
    return (attributes & OP_UMIP && cr4 & CR4_UMIP) || (attributes & OP_TSD && cr4 & CR4_TSD) ||
           (attributes & OP_PCE && !(cr4 & CR4_PCE));
}

/* Checks what the instruction's row demands, then its intercept [APM2 15.7]. */
static NOINLINE void check_row(struct cpu *c, const struct opcode *op)
{
    u32 attributes = op->attributes;
    if (attributes & OP_PROTECTED && (!(c->engine.mode & MODE_PE) || c->engine.mode & MODE_V86))
        cpu_raise_ud(c);
    if (attributes & OP_SSE && (c->arch.cr0 & CR0_EM || !(c->arch.cr4 & CR4_OSFXSR)))
        cpu_raise_ud(c);
    if (attributes & OP_MMX && c->arch.cr0 & CR0_EM)
        cpu_raise_ud(c);
    if (attributes & OP_X87 && c->arch.cr0 & CR0_EM)
        cpu_raise(c, VECTOR_NM, 0);
    if (attributes & OP_AVX && !avx_enabled(c))
        cpu_raise_ud(c);
    if (attributes & (OP_SSE | OP_MMX | OP_X87 | OP_AVX) && c->arch.cr0 & CR0_TS)
        cpu_raise(c, VECTOR_NM, 0);
    if (c->arch.cpl != 0 && (attributes & OP_CPL0 || withheld(c, attributes)))
        cpu_raise_gp(c, 0);
    if (attributes & OP_MMX && c->arch.x87.status & 0x80) /* an unmasked exception waits */
        cpu_raise(c, VECTOR_MF, 0);
    if (op->exit && !(attributes & OP_OWN_EXIT))
        intercept(c, op->exit);
}

const struct uop *uop_generic(struct cpu *c, const struct uop *u)
{
    const struct insn *in = u->insn;
    cpu_sync(c, u);
    in->op->exec(c, in);
    NEXT(c, u);
}

const struct uop *uop_generic_checked(struct cpu *c, const struct uop *u)
{
    const struct insn *in = u->insn;
    cpu_sync(c, u);
    check_row(c, in->op);
    in->op->exec(c, in);
    NEXT(c, u);
}

const struct uop *uop_generic_end(struct cpu *c, const struct uop *u)
{
    const struct insn *in = u->insn;
    cpu_sync(c, u);
    check_row(c, in->op);
    in->op->exec(c, in);
    c->engine.block = NULL;
    return NULL;
}

const struct uop *uop_undefined(struct cpu *c, const struct uop *u)
{
    cpu_sync(c, u);
    cpu_raise_ud(c);
}

const struct uop *uop_too_long(struct cpu *c, const struct uop *u)
{
    cpu_sync(c, u);
    cpu_raise_gp(c, 0);
}

/* Puts the linear address of a memory operand into REG_EA, after all segment checks. */
const struct uop *uop_address(struct cpu *c, const struct uop *u)
{
    cpu_sync(c, u);
    c->arch.r[REG_EA] = operand_address(c, u->insn, (u32)u->disp, u->aux);
    NEXT(c, u);
}

/* The same for FS and GS in 64-bit mode: adds the base, without checks. */
const struct uop *uop_address_segment(struct cpu *c, const struct uop *u)
{
    c->arch.r[REG_EA] = c->arch.seg[u->aux].base + uop_ea(c, u, true);
    NEXT(c, u);
}

/* --- Calls, returns, indirect jumps ----------------------------------------------------------- */

static NOINLINE const struct uop *target_slow(struct cpu *c, const struct uop *u, u64 rip)
{
    if ((u64)((s64)(rip << 16) >> 16) != rip) {
        cpu_sync(c, u);
        cpu_raise_gp(c, 0);
    }
    return &uop_miss;
}

/* Finds where RIP `rip` is. A target that is not canonical faults before the instruction changes
 * anything. */
static ALWAYS_INLINE const struct uop *target_at(struct cpu *c, const struct uop *u, u64 rip)
{
    const struct jump *j = &c->engine.jumps[jump_slot(rip)];
    if (LIKELY(j->rip == rip && j->tag == c->engine.jump_tag))
        return j->uop;
    return target_slow(c, u, rip);
}

/* Finds the target of an indirect jump, and notes it in the uop for the translator, and whether it
 * is not always the same. */
static ALWAYS_INLINE const struct uop *noted_target(struct cpu *c, const struct uop *u, u64 rip)
{
    patchable(u)->aux |= u->imm && u->imm != rip;
    patchable(u)->imm = rip;
    return target_at(c, u, rip);
}

static ALWAYS_INLINE void push_return(struct cpu *c, const struct uop *u)
{
    uop_push(c, u, block_rip(c) + uop_offset(u) + u->len);
}

const struct uop *uop_call(struct cpu *c, const struct uop *u)
{
    push_return(c, u);
    GOTO_LINK(c, u + 1);
}

const struct uop *uop_call_r(struct cpu *c, const struct uop *u)
{
    u64 rip = c->arch.r[u->s];
    const struct uop *to = noted_target(c, u, rip);
    push_return(c, u);
    c->arch.r[REG_BLOCK] = rip;
    GOTO(c, to);
}

const struct uop *uop_call_m(struct cpu *c, const struct uop *u)
{
    u64 rip = uop_load(c, u, uop_ea(c, u, true), 8);
    const struct uop *to = noted_target(c, u, rip);
    push_return(c, u);
    c->arch.r[REG_BLOCK] = rip;
    GOTO(c, to);
}

const struct uop *uop_jump_r(struct cpu *c, const struct uop *u)
{
    u64 rip = c->arch.r[u->s];
    const struct uop *to = noted_target(c, u, rip);
    c->arch.r[REG_BLOCK] = rip;
    GOTO(c, to);
}

const struct uop *uop_jump_m(struct cpu *c, const struct uop *u)
{
    u64 rip = uop_load(c, u, uop_ea(c, u, true), 8);
    const struct uop *to = noted_target(c, u, rip);
    c->arch.r[REG_BLOCK] = rip;
    GOTO(c, to);
}

const struct uop *uop_ret(struct cpu *c, const struct uop *u)
{
    u64 rip = uop_load(c, u, c->arch.r[RSP], 8);
    const struct uop *to = target_at(c, u, rip);
    c->arch.r[RSP] += 8 + u->imm;
    c->arch.r[REG_BLOCK] = rip;
    GOTO(c, to);
}

/* --- Conditional jumps: two links follow, not taken and taken --------------------------------- */

// clang-format off
#define JUMP_IF(taken)                                                                              \
    do {                                                                                            \
        if (taken)                                                                                  \
            GOTO_LINK(c, u + 2);                                                                    \
        GOTO_LINK(c, u + 1);                                                                        \
    } while (0)

#define JCC(cc) UOP(jcc_##cc) { JUMP_IF(condition_inline(c, cc)); }
#define SIXTEEN(m) m(0) m(1) m(2) m(3) m(4) m(5) m(6) m(7) m(8) m(9) m(10) m(11) m(12) m(13) m(14) m(15)
SIXTEEN(JCC)
#define SIXTEEN_NAMES(p) {p##_0, p##_1, p##_2, p##_3, p##_4, p##_5, p##_6, p##_7, p##_8, p##_9, p##_10, p##_11, p##_12, p##_13, p##_14, p##_15}
uop_fn *const uop_jcc[16] = SIXTEEN_NAMES(jcc);

/* Evaluates the condition directly from the operands where that is shorter than from the flags. */
static ALWAYS_INLINE bool compare(const struct cpu *c, bool test, u32 size, u32 cc, u64 a, u64 b)
{
    u64 x = test ? sign_extend(a & b, size) : sign_extend(a, size);
    u64 y = test ? 0 : sign_extend(b, size);
    switch (cc >> 1) {
    case 1:
        return (x < y) ^ (cc & 1);
    case 2:
        return (x == y) ^ (cc & 1);
    case 3:
        return (test ? x == 0 : x <= y) ^ (cc & 1);
    case 6:
        return ((s64)x < (s64)y) ^ (cc & 1);
    case 7:
        return ((s64)x <= (s64)y) ^ (cc & 1);
    default:
        return condition_inline(c, cc);
    }
}

#define FUSED(name, test, size, cc, a_expr, b_expr)                                                 \
    UOP(name##_##size##_##cc)                                                                       \
    {                                                                                               \
        u64 a = a_expr, b = b_expr;                                                                 \
        alu(c, test ? ALU_TEST : ALU_CMP, size, true, a, b);                                        \
        JUMP_IF(compare(c, test, size, cc, a, b));                                                  \
    }
#define FUSED_CC(size, cc)                                                                          \
    FUSED(cmp_rr, false, size, cc, reg_get(c, u->d, size), reg_get(c, u->s, size))                  \
    FUSED(test_rr, true, size, cc, reg_get(c, u->d, size), reg_get(c, u->s, size))                  \
    FUSED(cmp_ri, false, size, cc, reg_get(c, u->d, size), u->imm)                                  \
    FUSED(test_ri, true, size, cc, reg_get(c, u->d, size), u->imm)                                  \
    FUSED(cmp_mi, false, size, cc, uop_load(c, u, uop_ea(c, u, true), size), u->imm)                \
    FUSED(test_mi, true, size, cc, uop_load(c, u, uop_ea(c, u, true), size), u->imm)                \
    FUSED(cmp_rm, false, size, cc, reg_get(c, u->d, size), uop_load(c, u, uop_ea(c, u, true), size))
#define FUSED_1(cc) FUSED_CC(1, cc)
#define FUSED_2(cc) FUSED_CC(2, cc)
#define FUSED_4(cc) FUSED_CC(4, cc)
#define FUSED_8(cc) FUSED_CC(8, cc)
SIXTEEN(FUSED_1) SIXTEEN(FUSED_2) SIXTEEN(FUSED_4) SIXTEEN(FUSED_8)
#define FUSED_NAMES(p) {SIXTEEN_NAMES(p##_1), SIXTEEN_NAMES(p##_2), SIXTEEN_NAMES(p##_4), SIXTEEN_NAMES(p##_8)}
uop_fn *const uop_fused_rr[2][4][16] = {FUSED_NAMES(cmp_rr), FUSED_NAMES(test_rr)};
uop_fn *const uop_fused_ri[2][4][16] = {FUSED_NAMES(cmp_ri), FUSED_NAMES(test_ri)};
uop_fn *const uop_fused_mi[2][4][16] = {FUSED_NAMES(cmp_mi), FUSED_NAMES(test_mi)};
uop_fn *const uop_fused_rm[4][16] = FUSED_NAMES(cmp_rm);
// clang-format on
