/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The insides of the execution engine: blocks, flags, and the inline parts of uop handlers. No file
 * outside engine/ and jit/ includes this.
 *
 * A block is an `enter` uop, then the uops of its instructions, then the end: a jump followed by
 * one or two *link* uops that say where it leads. A link's `to` points at the link itself until the
 * target is known, and then at the target's enter uop. A link stays within one page, so it needs no
 * look at the page tables. Links are never undone: a block that dies leaves a stale enter uop.
 */
#ifndef SOFTSEV_CPU_ENGINE_ENGINE_H
#define SOFTSEV_CPU_ENGINE_ENGINE_H

#include "cpu/internal.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))
#define NOINLINE      __attribute__((noinline))

/* --- Blocks ----------------------------------------------------------------------------------- */

#define BLOCK_INSNS 32 /* 15 bytes each at most: uop_where() holds both */
#define LOWER_MAX   4  /* uops of one instruction: address, itself, two links */

struct block {
    u64 spa;    /* of the first byte */
    u64 frame2; /* frame of the bytes after the page end, if `crossing` */
    struct block *hash_next;
    struct block *frame_next[2];
    u32 mode;
    u16 bytes, uops;
    u8 insns;
    bool crossing; /* one instruction that lies in two pages */
    bool dead;
    bool single; /* not in the cache: one instruction, for one execution */
    /* jit/: its code is a loop; its code contains blocks that follow it; it is in another's code */
    bool loops, leads, follows;
    const u8 *old_code; /* jit/: where its code is, or was until another of its blocks died */
    struct uop uop[];
};

/* Finds or makes the block at RIP. NULL: block_single() must run the instruction there. Raises as a
 * fetch does. */
struct block *block_at(struct cpu *c);
/* Decodes the one instruction at c->arch.rip, to be run once. */
struct block *block_single(struct cpu *c);
/* Returns the instruction that block_single() decoded last. */
const struct insn *block_single_insn(const struct cpu *c);
/* Returns the live block at a physical address, or NULL. */
struct block *block_find(const struct cpu *c, u64 spa, u32 mode);
/* Returns the block of an enter uop. */
struct block *block_of(const struct uop *enter);
void blocks_new_tag(struct cpu *c);
/* Enters the block at RIP, which block_at() has just found, into the jump cache. */
void block_remember(struct cpu *c, u64 rip, const struct block *b);
/* Makes all translated blocks interpreted ones again, and throws their code away. Call between
 * blocks only. */
void blocks_forget_code(struct cpu *c);

/* An instruction's place, for lower.c. */
struct place {
    u32 mode;
    u32 page_offset; /* of the block's first byte */
    u16 off;         /* of the instruction, relative to the block's first byte */
    u8 idx;
    bool flags; /* the flags that it writes may be read */
    bool single;
};
u32 lower(const struct insn *in, const struct place *at, struct uop *u);
/* Lowers CMP or TEST and the following Jcc as one uop; returns 0 if there is no such form. */
u32 lower_fused(const struct insn *in, const struct insn *jcc, const struct place *at,
                struct uop *u);
/* Ends a block that continues at `off` without a jump. */
u32 lower_continue(const struct place *at, struct uop *u);
bool insn_is_jcc(const struct insn *in);
/* Returns true if the instruction may fault or exit. */
bool insn_may_leave(const struct insn *in);
/* Returns the flags that the instruction overwrites whatever its operands are. */
u32 insn_flags_killed(const struct insn *in);

extern uop_fn uop_enter, uop_warm, uop_native, uop_stale, uop_leave, uop_link, uop_far_link,
    uop_forward, uop_jump, uop_generic, uop_generic_checked, uop_generic_end, uop_undefined,
    uop_too_long, uop_address, uop_address_segment;
extern const struct uop uop_miss; /* returns to the loop with rip = block_rip */
/* Turns a uop in a block into another one, in place: another kind of enter uop, LEAVE, or a LINK
 * whose target is now known. `to` is its operand. */
void uop_patch(struct cpu *c, struct uop *u, enum uop_op op, const void *to);

/* --- Flags ------------------------------------------------------------------------------------ */

static ALWAYS_INLINE u64 sign_extend(u64 v, u32 size)
{
    switch (size) {
    case 1:
        return (u64)(s64)(s8)v;
    case 2:
        return (u64)(s64)(s16)v;
    case 4:
        return (u64)(s64)(s32)v;
    default:
        return v;
    }
}

/* Sets the flags; bit n of `carries` is the carry (or borrow) out of bit n of an operation of
 * `size` bytes. */
static ALWAYS_INLINE void flags_carries(struct cpu *c, u32 size, u64 result, u64 carries)
{
    c->engine.flags.result = sign_extend(result, size);
    c->engine.flags.carries =
        size == 8 ? carries & ~7ull : carries << (64 - 8 * size) | (carries & 8);
}

static ALWAYS_INLINE void flags_explicit(struct cpu *c, u32 size, u64 result, bool cf, bool of,
                                         bool af)
{
    c->engine.flags.result = sign_extend(result, size);
    c->engine.flags.carries = (u64)cf << 63 | (u64)(cf ^ of) << 62 | (u64)af << 3;
}

static ALWAYS_INLINE bool flag_cf(const struct cpu *c)
{
    return c->engine.flags.carries >> 63;
}

static ALWAYS_INLINE bool flag_of(const struct cpu *c)
{
    return (c->engine.flags.carries ^ c->engine.flags.carries << 1) >> 63;
}

static ALWAYS_INLINE bool flag_af(const struct cpu *c)
{
    return c->engine.flags.carries >> 3 & 1;
}

static ALWAYS_INLINE bool flag_zf(const struct cpu *c)
{
    return c->engine.flags.result == 0;
}

static ALWAYS_INLINE bool flag_sf(const struct cpu *c)
{
    return (c->engine.flags.result >> 63 ^ c->engine.flags.carries >> 1) & 1;
}

static ALWAYS_INLINE bool flag_pf(const struct cpu *c)
{
    return !__builtin_parity(
        (u32)((c->engine.flags.result & 0xff) ^ (c->engine.flags.carries & 1)));
}

/* Changes CF alone. OF is the difference of two bits, so both change. */
static ALWAYS_INLINE void flags_change_cf(struct cpu *c, bool cf)
{
    c->engine.flags.carries ^= (cf ^ flag_cf(c) ? BIT(63) | BIT(62) : 0);
}

static ALWAYS_INLINE bool condition_inline(const struct cpu *c, u32 cc)
{
    bool v = false;
    switch (cc >> 1) {
    case 0:
        v = flag_of(c);
        break;
    case 1:
        v = flag_cf(c);
        break;
    case 2:
        v = flag_zf(c);
        break;
    case 3:
        v = (u32)flag_cf(c) | (u32)flag_zf(c);
        break;
    case 4:
        v = flag_sf(c);
        break;
    case 5:
        v = flag_pf(c);
        break;
    case 6:
        v = flag_sf(c) ^ flag_of(c);
        break;
    default:
        v = (u32)flag_zf(c) | (u32)(flag_sf(c) ^ flag_of(c));
        break;
    }
    return v ^ (cc & 1);
}

/* --- Arithmetic ------------------------------------------------------------------------------- */

/* In the order of their encodings; TEST last. */
enum alu { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP, ALU_TEST, ALUS };

static ALWAYS_INLINE u64 alu(struct cpu *c, enum alu op, u32 size, bool flags, u64 a, u64 b)
{
    u64 r = 0, carries = 0;
    switch (op) {
    case ALU_ADD:
        r = a + b;
        carries = (a & b) | ((a | b) & ~r);
        break;
    case ALU_ADC:
        r = a + b + flag_cf(c);
        carries = (a & b) | ((a | b) & ~r);
        break;
    case ALU_SUB:
    case ALU_CMP:
        r = a - b;
        carries = (~a & b) | (~(a ^ b) & r);
        break;
    case ALU_SBB:
        r = a - b - flag_cf(c);
        carries = (~a & b) | (~(a ^ b) & r);
        break;
    case ALU_AND:
    case ALU_TEST:
        r = a & b;
        break;
    case ALU_OR:
        r = a | b;
        break;
    default:
        r = a ^ b;
        break;
    }
    if (flags)
        flags_carries(c, size, r, carries);
    return r;
}

/* Does INC or DEC, which leave CF alone. */
static ALWAYS_INLINE u64 alu_step(struct cpu *c, u32 size, bool flags, u64 a, bool down)
{
    u64 r = down ? a - 1 : a + 1;
    if (flags) {
        u64 sign = BIT(8 * size - 1);
        bool of = ((down ? a & ~r : ~a & r) & sign) != 0;
        flags_explicit(c, size, r, flag_cf(c), of, ((a ^ r) & 0x10) != 0);
    }
    return r;
}

/* --- Operands of specialised handlers ------------------------------------------------------------
 * A register field is the register's number, except that at size 1 it is a byte offset into arch.r,
 * so that AH is not a special case. */

#define REG8(reg)      ((u8)((reg)*8))
#define REG8_HIGH(reg) ((u8)((reg)*8 + 1))

static ALWAYS_INLINE u64 reg_get(const struct cpu *c, u8 reg, u32 size)
{
    switch (size) {
    case 1:
        return ((const u8 *)c->arch.r)[reg];
    case 2:
        return (u16)c->arch.r[reg];
    case 4:
        return (u32)c->arch.r[reg];
    default:
        return c->arch.r[reg];
    }
}

static ALWAYS_INLINE void reg_set(struct cpu *c, u8 reg, u32 size, u64 v)
{
    switch (size) {
    case 1:
        ((u8 *)c->arch.r)[reg] = (u8)v;
        break;
    case 2:
        memcpy(&c->arch.r[reg], &(u16){(u16)v}, 2);
        break;
    case 4:
        c->arch.r[reg] = (u32)v;
        break;
    default:
        c->arch.r[reg] = v;
        break;
    }
}

/* Returns the effective address; `indexed` false: the uop has no index. */
static ALWAYS_INLINE u64 uop_ea(const struct cpu *c, const struct uop *u, bool indexed)
{
    u64 a = c->arch.r[u->b] + (u64)(s64)u->disp;
    return indexed ? a + (c->arch.r[u->x] << u->scale) : a;
}

static ALWAYS_INLINE u64 bytes_get(const u8 *p, u32 size)
{
    u64 v = 0;
    memcpy(&v, p, size);
    return v;
}

/* The slow paths (run_loop.c) first record the current instruction, so that it can fault. */
u64 uop_load_slow(struct cpu *c, const struct uop *u, u64 linear, u32 size);
void uop_store_bytes_slow(struct cpu *c, const struct uop *u, u64 linear, const void *data,
                          u32 size);
void uop_push_slow(struct cpu *c, const struct uop *u, u64 linear, u64 v);
void uop_store_slow(struct cpu *c, const struct uop *u, u64 linear, u32 size, u64 v);
u8 *uop_rmw_slow(struct cpu *c, const struct uop *u, u64 linear, u32 size);
void uop_rmw_end_slow(struct cpu *c, u64 linear, u32 size);

static ALWAYS_INLINE u64 uop_load(struct cpu *c, const struct uop *u, u64 linear, u32 size)
{
    const struct tlb_entry *e = &c->engine.tlb[(linear >> PAGE_SHIFT) & (TLB_ENTRIES - 1)];
    u64 offset = linear ^ e->rtag;
    if (LIKELY(offset <= PAGE_SIZE - size))
        return bytes_get(e->host + offset, size);
    return uop_load_slow(c, u, linear, size);
}

static ALWAYS_INLINE void uop_store(struct cpu *c, const struct uop *u, u64 linear, u32 size, u64 v)
{
    const struct tlb_entry *e = &c->engine.tlb[(linear >> PAGE_SHIFT) & (TLB_ENTRIES - 1)];
    u64 offset = linear ^ e->wtag;
    if (LIKELY(offset <= PAGE_SIZE - size))
        memcpy(e->host + offset, &v, size);
    else
        uop_store_slow(c, u, linear, size, v);
}

/* Pushes 8 bytes in 64-bit mode. Stores before RSP changes, because the store may fault. */
static ALWAYS_INLINE void uop_push(struct cpu *c, const struct uop *u, u64 v)
{
    u64 linear = c->arch.r[RSP] - 8;
    const struct tlb_entry *e = &c->engine.tlb[(linear >> PAGE_SHIFT) & (TLB_ENTRIES - 1)];
    u64 offset = linear ^ e->wtag;
    if (LIKELY(offset <= PAGE_SIZE - 8))
        memcpy(e->host + offset, &v, 8);
    else
        uop_push_slow(c, u, linear, v);
    c->arch.r[RSP] = linear;
}

/* Returns the operand of a read-modify-write: bytes to change in place, before uop_rmw_end().
 * Faults as a write. */
static ALWAYS_INLINE u8 *uop_rmw(struct cpu *c, const struct uop *u, u64 linear, u32 size)
{
    const struct tlb_entry *e = &c->engine.tlb[(linear >> PAGE_SHIFT) & (TLB_ENTRIES - 1)];
    u64 offset = linear ^ e->wtag;
    if (LIKELY(offset <= PAGE_SIZE - size))
        return e->host + offset;
    return uop_rmw_slow(c, u, linear, size);
}

static ALWAYS_INLINE void uop_rmw_end(struct cpu *c, u64 linear, u32 size, const u8 *p)
{
    if (UNLIKELY(p == (const u8 *)&c->engine.rmw))
        uop_rmw_end_slow(c, linear, size);
}

/* Returns the index in the jump cache of RIP `rip`. */
static ALWAYS_INLINE u32 jump_slot(u64 rip)
{
    return (rip ^ rip >> PAGE_SHIFT) & (JUMPS - 1);
}

/* Ends a handler: continues at RIP `rip`, through the jump cache. */
static ALWAYS_INLINE const struct uop *jump_lookup(struct cpu *c, u64 rip)
{
    const struct jump *j = &c->engine.jumps[jump_slot(rip)];
    c->arch.r[REG_BLOCK] = rip;
    return LIKELY(j->rip == rip && j->tag == c->engine.jump_tag) ? j->uop : &uop_miss;
}

/* Ends a handler: continues through a link. */
#define GOTO_LINK(c, link)                                                                         \
    do {                                                                                           \
        (c)->arch.r[REG_BLOCK] += (u64)(s64)(link)->disp;                                          \
        GOTO(c, (link)->to);                                                                       \
    } while (0)

#define UOP(name) static const struct uop *name(struct cpu *c, const struct uop *u)

/* --- Handlers that lower.c chooses from; sizes are indexed 0..3 for 1, 2, 4, 8 bytes ---------- */

/* [flags wanted] */
extern uop_fn *const uop_alu_rr[ALUS][4][2], *const uop_alu_ri[ALUS][4][2];
/* [indexed] */
extern uop_fn *const uop_alu_rm[ALUS][4][2], *const uop_alu_mr[ALUS][4][2];
extern uop_fn *const uop_alu_mi[ALUS][4][2];
/* [down], [flags], [indexed] */
extern uop_fn *const uop_step_r[2][4][2], *const uop_step_m[2][4][2];
extern uop_fn *const uop_not_r[4], *const uop_neg_r[4];
extern uop_fn *const uop_mov_rr[4], *const uop_mov_ri[4];
extern uop_fn *const uop_mov_rm[4][2], *const uop_mov_mr[4][2], *const uop_mov_mi[4][2];
extern uop_fn *const uop_movzx[2][PLACES];    /* [source size] */
extern uop_fn *const uop_movsx[3][2][PLACES]; /* [source size][to 64 bits] */
extern uop_fn *const uop_lea[2][2];           /* [64 bits][indexed] */
extern uop_fn *const uop_cmov[16][2][PLACES]; /* [64 bits] */
extern uop_fn *const uop_setcc[16][PLACES];
extern uop_fn *const uop_xchg_rr[4], *const uop_xchg_mr[4][2];
extern uop_fn *const uop_bswap[2], *const uop_extend_a[2], *const uop_extend_ad[2];
extern uop_fn uop_push_r, uop_push_i, uop_push_m, uop_pop_r, uop_leave_frame;
enum shift { SHIFT_ROL, SHIFT_ROR, SHIFT_SHL, SHIFT_SHR, SHIFT_SAR, SHIFTS };
/* [flags wanted] */
extern uop_fn *const uop_shift_ri[SHIFTS][4][2], *const uop_shift_rc[SHIFTS][4];
extern uop_fn *const uop_imul_rr[2][PLACES], *const uop_imul_ri[2][PLACES]; /* [64 bits] */
extern uop_fn *const uop_mul[2][PLACES];
extern uop_fn *const uop_div[2], *const uop_bt_ri[2], *const uop_bt_rr[2];
extern uop_fn *const uop_jcc[16];
/* [test] */
extern uop_fn *const uop_fused_rr[2][4][16], *const uop_fused_ri[2][4][16];
extern uop_fn *const uop_fused_mi[2][4][16], *const uop_fused_rm[4][16];
/* Handlers of one SSE instruction: register, load and store forms,
 * NULL where there is none (uop_sse.c). */
struct vector_form {
    uop_fn *rr, *rm[2], *mr[2]; /* [indexed] */
    uop_fn *to_gpr;             /* the register form with a general destination, if it differs */
    u8 size;                    /* of the memory operand */
    bool insn;                  /* its handlers may fall back to the exec function */
};
const struct vector_form *vector_form(const struct insn *in);
/* Likewise of one VEX instruction with one vector length (uop_avx.c). With two sources, `rr` has
 * them in s and b, and `rm` the first in s. */
struct avx_form {
    uop_fn *rr, *rm[2], *mr[2];
};
const struct avx_form *avx_form(const struct insn *in);
extern uop_fn uop_call, uop_call_r, uop_call_m, uop_jump_r, uop_jump_m, uop_ret;

#endif
