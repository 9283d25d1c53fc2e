/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the translator share.
 *
 * Registers of emitted code. RBP is the struct cpu. The guest's general registers except R11 to R15
 * are in host registers (`pinned`); those five are used where they are, in arch.r. RAX and R12 are
 * free within a uop. RSP is the host's stack. XMM registers, on a host with AVX2 YMM registers, are
 * in those of the same numbers while engine.xmm_live. Whenever C code runs, all registers are in
 * arch.r and arch.vector.
 *
 * Calls. A CALL of the guest is one of the host, below which the guest's return address is pushed:
 * a RET to that address is a RET of the host, which predicts it. Everything else that a RET may
 * find goes through the jump cache and forgets all calls, by setting RSP back to engine.jit_stack.
 * So does leaving emitted code: nothing can change meanwhile (jit_step() looks). At the start of a
 * block RSP is a multiple of 16.
 *
 * Units. What is translated as one piece is a unit: a block, or a path of blocks of one page that
 * mostly run one after the other, perhaps back to the first (unit.c). The budget is checked where
 * the path begins, for all of it; where the path is left, the instructions after that block are
 * given back. Within the path flags are saved only where it is left. In a loop the registers of the
 * host, the budget's too, go to those of the guest that the loop uses most. All that leaves a path,
 * C code too, finds budget, flags and registers as if each block stood alone, and goes on in code
 * where it does.
 *
 * RIP. A block's code may be mapped at several addresses, but its offset in the page is fixed, so
 * engine.page_rip, the RIP of the page's start, is enough, and links within the page need not touch
 * it. REG_BLOCK is set where emitted code is left.
 *
 * Flags. They are in the host's EFLAGS, in engine.raw_flags as LAHF and SETO deliver them (AH and
 * AL), in both, or can be computed again (enum flags_at, struct recipe). Before EFLAGS changes they
 * are saved, or kept as a recipe, if anybody may still want them: a reader, the end of the block,
 * or an instruction that may leave. C code gets them in its own form, at the border (run.c).
 */
#ifndef SOFTSEV_CPU_JIT_TRANSLATE_H
#define SOFTSEV_CPU_JIT_TRANSLATE_H

#include "cpu/jit/buffer.h"
#include "cpu/jit/emit.h"
#include "cpu/jit/jit.h"

#define CPU     H_RBP
#define SCRATCH H_RAX /* also where an address ends up: its offset in the page */
#define BUDGET  H_R11 /* engine.left */
#define HOST    H_R12 /* the second scratch: where an address ends up: the page's bytes */

/* Operands in the struct cpu. */
#define CPU_FIELD(member)   at(CPU, (s32)offsetof(struct cpu, member))
#define GUEST_REGISTER(reg) at(CPU, (s32)(offsetof(struct cpu, arch.r) + 8u * (reg)))

/* The host register of each of the guest's, or H_NONE, outside of loops. */
extern const u8 pinned[GPRS];

enum flags_at { FLAGS_RAW, FLAGS_HOST, FLAGS_BOTH, FLAGS_RECIPE };

/* How to compute the flags again from registers that are still as they were. */
struct recipe {
    bool valid, imm;
    u8 which, size; /* of ADD, SUB, CMP, TEST */
    u8 d, s;        /* register fields; ADD and SUB: d is the result */
    s32 value;      /* the immediate */
};

/* A piece of code that is seldom run, and therefore placed after the block. */
enum cold {
    COLD_STEP,   /* runs the uop by its handler, then goes on at `resume` */
    COLD_PLAIN,  /* no code: goes to the uop's plain form (region.c) */
    COLD_EXIT,   /* continues in the interpreter at the uop */
    COLD_LINK,   /* an edge whose target is not yet known: the uop is its link */
    COLD_FAR,    /* an edge to another page: the uop is its link */
    COLD_XMM,    /* loads the XMM registers, then goes on at `resume` */
    COLD_WALK,   /* finds the page of an access that walks, then goes on at `resume` */
    COLD_STACK,  /* finds the stack's page, then goes on at `resume`, or in the plain form */
    COLD_DEPTH,  /* forgets all calls, then goes on at `resume` */
    COLD_BUDGET, /* the budget is used up: undoes the subtraction and ends */
    COLD_SHORT,  /* the budget is too small for the path: goes on in its first block's plain form */
    COLD_ROUND,  /* the budget is too small for a loop's next round: goes on in the plain form */
    COLD_STALE,  /* the block is dead: continues at its enter uop */
};

#define COLD_SITES  6
#define BLOCK_UOPS  (BLOCK_INSNS * LOWER_MAX + 8)
#define UNIT_BLOCKS 8
#define UNIT_UOPS   192             /* at least those of one block */
#define COLDS       (3 * UNIT_UOPS) /* a path may be emitted twice, and once in its plain form */

struct cold_code {
    enum cold kind;
    u32 sites;
    u8 *site[COLD_SITES]; /* the jumps that lead here */
    const struct uop *u;
    const u8 *resume;
    u32 plain; /* not 0: goes on at this uop's plain form instead */
    const struct region *stack;
    struct cold_code *slow; /* of COLD_WALK: where the uop runs by its handler */
    u32 size;               /* of COLD_WALK: bytes that are accessed */
    bool write;
    struct recipe recipe; /* valid: raw_flags is not, until this is done */
    u8 block;             /* of the unit: the one that runs here */
    bool in_path;         /* the jumps come from the path of a unit */
    s32 give_back;        /* instructions that were taken from the budget and not run */
    bool save;            /* the flags are in EFLAGS only */
};

/* Accesses through one base register whose range is translated once (region.c). */
struct region {
    bool open, write;
    bool kept;       /* it is open for good: nothing in the loop changes the register */
    u32 count, last; /* accesses; the last uop that has one */
    s64 low, high;   /* the range, relative to the base register when the region was opened */
    s64 offset;      /* what was added to the base register since */
};
#define REGION_LEAST 2 /* accesses that are worth a region */

/* What the host has, and what it does with flags that its manual leaves undefined. */
enum {
    HOST_BMI1 = BIT(0),
    HOST_BMI2 = BIT(1),
    HOST_LZCNT = BIT(2),
    HOST_POPCNT = BIT(3),
    HOST_BIT_TESTS = BIT(4), /* BT, BTS, BTR, BTC change CF alone */
    HOST_SSSE3 = BIT(5),
    HOST_SSE4 = BIT(6), /* 4.1 and 4.2 */
    HOST_AES = BIT(7),
    HOST_PCLMUL = BIT(8),
    HOST_SHA = BIT(9),
    HOST_AVX2 = BIT(10), /* and its system saves the registers */
    HOST_MOVBE = BIT(11),
};

struct host_exact {
    bool logic;  /* AND, OR, XOR, TEST clear AF */
    bool shifts; /* SHL, SHR, SAR clear AF, SHR and SAR set OF as engine/shift.h does */
    u32 host;    /* HOST_... */
};

/* A uop of a unit. `next`: the path goes on at the link that is so many uops further; 0: it does
 * not, or not here. */
struct unit_uop {
    const struct uop *u;
    u8 block, next;
    u8 walk;     /* not 0: its access goes through memory in small steps (walk.c) */
    bool wanted; /* the flags from before this uop may be needed at it or after it */
};

struct unit_block {
    struct block *block;
    u32 first, end;                 /* its uops */
    s32 rest;                       /* instructions of the blocks after it */
    const u8 *step, *exit, *follow; /* shared code, for this block */
};

struct unit {
    struct unit_block block[UNIT_BLOCKS];
    struct unit_uop uop[UNIT_UOPS];
    u32 blocks, uops;
    s32 insns;
    bool loops;       /* the path leads back to its beginning */
    u32 charge;       /* the uop before which a loop takes its next round from the budget */
    u8 pinned[GPRS];  /* within the path */
    bool budget_away; /* in engine.left, within the path: its register is a guest register's */
};

/* What is known where the path of a loop begins again. */
struct known {
    enum flags_at flags;
    struct recipe recipe;
    bool mxcsr, open[GPRS];
};

struct translator {
    struct host_exact exact;
    bool two_worlds; /* the core has two sets of TLB arrays */
    struct code code;
    const struct jit *jit;
    const struct cpu *cpu;
    u64 page_rip; /* of the block that is being translated */
    struct unit unit;
    const struct block *block; /* of the uop that is being translated */
    const struct uop *u;       /* that uop */
    const u8 *pinned;          /* the host register of each of the guest's, or H_NONE */
    bool first_round;          /* of a loop's code: what it finds out is used in the second */
    u8 unit_block;             /* which of the unit's blocks it is in */
    bool in_path;              /* of a unit of several blocks, or of a loop */
    s32 give_back;             /* instructions that are taken from the budget and not yet reached */
    enum flags_at flags;
    struct recipe recipe;
    bool spoiled;      /* this uop changes what the recipe needs */
    bool wanted;       /* the flags from before this uop may be needed at it or after it */
    bool wanted_after; /* some flags may be needed after it */
    bool vectors;      /* the block has vector instructions: XMM registers are loaded throughout */
    bool mxcsr_known;  /* to be the guest's */
    struct cold_code *slow; /* this uop's, or NULL */
    struct cold_code cold[COLDS];
    u32 colds;
    u32 index;  /* of the uop */
    bool plain; /* this is the plain form */
    struct region region[GPRS];
    u8 delta_of; /* the base register whose region's distance was loaded into HOST last */
    struct region stack[2 * UNIT_UOPS]; /* of cold code */
    u32 stacks;
    struct plain_form {
        bool entered; /* something goes on at this uop */
        const u8 *at;
    } plain_form[UNIT_UOPS + 1];
    struct plain_site {
        u8 *site;
        u32 index;
        bool in_path;
        s32 give_back;
    } plain_site[COLDS];
    u32 plain_sites;
};

/* Code that all blocks share, where it was written (shared.c):
 *   enter   loads the registers and goes to the code in RSI
 *   step    runs the uop in RAX of the block in R12 by its handler, and returns
 *   exit    leaves to the uop in RAX of the block in R12; 0: ends between blocks
 *   follow  goes to where the link in RAX of the block in R12 leads; the edge's place is on the
 *           stack
 *   xmm     loads the vector registers, makes EFLAGS those of raw_flags, and returns
 *   arrive  goes to the target of the jump cache's entry at the offset in R12 */
struct shared_code {
    const u8 *enter, *step, *exit, *follow, *xmm, *arrive;
};

struct jit {
    struct code_buffer buffer;
    size_t used, shared_size; /* bytes of the buffer */
    struct shared_code shared;
    struct uop one[2]; /* a uop that runs alone */
    struct translator translator;
};

/* --- shared.c --------------------------------------------------------------------------------- */

void emit_shared(struct code *k, struct shared_code *s, bool avx);

/* --- run.c: called from emitted code, with all registers in arch.r ---------------------------- */

/* Runs one uop by its handler. Returns NULL to go on in emitted code, or the uop to go on at. */
const struct uop *jit_step(struct cpu *c, const struct uop *u, const struct block *b);
/* Returns the uop at which the interpreter goes on. */
const struct uop *jit_exit(struct cpu *c, const struct uop *u, const struct block *b);
/* Return the code to go on at, or NULL to leave to engine.jit_next. */
const u8 *jit_follow(struct cpu *c, const struct uop *link, const struct block *b, u32 edge);
const u8 *jit_arrive(struct cpu *c, u64 offset);

/* --- translate.c ------------------------------------------------------------------------------ */

/* Emits t->unit at t->code.p. Returns where to enter it, or NULL if it does not fit. */
const u8 *translate_unit(struct translator *t, struct cpu *c);
/* Makes the code at `entry`, of a block that died, leave at once. */
void translate_dead(u8 *entry);
/* Makes the code at `entry` go to another translation of the same block. */
void translate_moved(u8 *entry, const u8 *target);

/* --- unit.c ----------------------------------------------------------------------------------- */

/* Makes the unit of one block. */
void unit_of_block(struct unit *n, struct block *b);
/* Makes the unit that begins with the block: the path that is taken most. */
void unit_choose(struct unit *n, const struct cpu *c, struct block *b);

/* --- registers.c: the guest's registers ------------------------------------------------------- */

static inline bool high_byte(u8 field, u32 size)
{
    return size == 1 && field & 1;
}

/* Returns the operand for a register field (engine.h); not for a high byte. */
struct rm gpr_operand(const struct translator *t, u8 field, u32 size);
/* Returns a host register that has the guest's: its own, or `scratch` after a load. */
u8 gpr_source(struct translator *t, u8 field, u32 size, u8 scratch);
/* Returns the host register in which to compute a guest register, and ends the computation. */
u8 gpr_begin(struct translator *t, u8 field, u32 size, u8 scratch, bool load);
void gpr_end(struct translator *t, u8 field, u32 size, u8 host);

/* --- flags.c ---------------------------------------------------------------------------------- */

/* Makes raw_flags valid; changes no flag. */
void flags_save(struct translator *t);
/* Call before EFLAGS changes. Changes RAX, but not after the uop has called it before. */
void flags_clobber(struct translator *t);
/* The same, and makes raw_flags valid if the flags are wanted. */
void flags_raw(struct translator *t);
/* Makes EFLAGS valid; changes RAX. */
void flags_host(struct translator *t);
/* Makes CF valid, the other flags may be anything; may change RAX unless the flags are raw. */
void flags_carry(struct translator *t);
/* Call around a uop; `survive`: the flags from before it are wanted after it. */
void flags_before(struct translator *t, const struct uop *u, bool survive);
void flags_after(struct translator *t, bool recipe_is_new);
/* Call when a uop of arithmetic has set EFLAGS. */
void recipe_set(struct translator *t, const struct uop *u, u32 which, u32 size);
bool recipe_needs(const struct recipe *r, u8 reg);
/* Emits a valid recipe, and saves the flags. */
void recipe_save(struct translator *t, const struct recipe *r);
/* Saves the flags that are in EFLAGS; changes RAX. */
void flags_store(struct code *k);
void flags_load(struct code *k);

/* --- memory.c --------------------------------------------------------------------------------- */

/* Turns the linear address in SCRATCH into HOST + SCRATCH, and returns the jump that is taken if
 * that is not possible. */
u8 *emit_translation(struct translator *t, u32 size, bool write);
/* Computes a uop's effective address into `reg`. Changes no flags. */
void address(struct translator *t, const struct uop *u, u8 reg);
/* Makes the register SCRATCH shifted right; what enters on the left may be anything. */
void emit_shift_right(struct translator *t, u8 reg, u32 size, u8 count);
/* Notes that HOST has the distance of the base register's region. */
void delta_loaded(struct translator *t, u8 base);
/* Turns the linear address in SCRATCH into HOST + SCRATCH, for `size` bytes; jumps to the slow path
 * if that is not possible. Call flags_clobber() before the address is in SCRATCH. */
void translate_address(struct translator *t, u32 size, bool write, enum cold slow);
/* Returns the operand for `size` bytes at the general register `base` + disp, and for the uop's
 * memory operand. It uses HOST, and perhaps SCRATCH and EFLAGS. */
struct rm memory_at(struct translator *t, u8 base, s32 disp, u32 size, bool write, enum cold slow);
struct rm memory_operand(struct translator *t, const struct uop *u, u32 size, bool write,
                         enum cold slow);
/* Returns a register that is free beside the operand, which may change for that. */
u8 free_register(struct translator *t, struct rm *rm);
/* Returns a register that has the source, to be stored to the target, which may change for that. */
u8 source_register(struct translator *t, struct rm source, struct rm *target);
/* Makes a uop of a generic uop's memory operand. False: its address is not simple. */
bool insn_memory(const struct uop *u, struct uop *out);
struct cold_code *cold_add(struct translator *t, enum cold kind, const struct uop *u);
/* Emits a jump to this uop's slow path if the condition holds. */
void slow_if(struct translator *t, u32 cc, enum cold kind);

/* --- region.c --------------------------------------------------------------------------------- */

/* Opens and closes regions before and after a uop is emitted. */
void regions_before(struct translator *t, u32 index);
void regions_after(struct translator *t, u32 index);
bool regions_open(const struct translator *t);
/* Returns true if an access at base + disp lies in an open region. */
bool region_has(const struct translator *t, u8 reg, s64 disp, u32 size, bool write);
struct rm region_delta(u8 reg);
bool uop_changes(const struct uop *u, u8 reg);
/* Returns true if the uop adds a constant to the register, and sets it. */
bool uop_adds(const struct uop *u, u8 reg, s64 *by);
void emit_stack_page(struct translator *t, const struct cold_code *cold);

/* --- walk.c ----------------------------------------------------------------------------------- */

/* Finds the accesses of a loop that walk. */
void walks_find(struct unit *n);
/* Returns true if the uop's access walks, and the operand of it, as memory_operand() does. */
bool walk_operand(struct translator *t, const struct uop *u, u32 size, bool write, enum cold slow,
                  struct rm *out);
void emit_walk_page(struct translator *t, const struct cold_code *cold);

/* --- translate.c ------------------------------------------------------------------------------ */

bool has_emitter(const struct uop *u);
/* Returns whether the flags from before the uop are wanted, if those after it are or are not. */
bool wanted_before(const struct uop *u, bool after);
/* Returns true if the interpreter does the uop and all after it. */
bool ends_in_interpreter(const struct uop *u);
/* Makes the jump at `site` go to a uop's plain form. */
void go_plain(struct translator *t, u8 *site, u32 index);

/* --- The emitters, by uop op: false if the form has none -------------------------------------- */

typedef bool emit_fn(struct translator *t, const struct uop *u);

emit_fn emit_alu, emit_step, emit_not, emit_neg, emit_shift, emit_imul, emit_mul, emit_div,
    emit_bt; /* alu.c */
emit_fn emit_mov, emit_movzx, emit_movsx, emit_lea, emit_xchg, emit_bswap, emit_cmov, emit_setcc,
    emit_extend_rax, emit_extend_into_rdx, emit_push, emit_pop, emit_leave_frame,
    emit_address_segment; /* move.c */
emit_fn emit_jump_link, emit_call, emit_jump_to_operand, emit_call_to_operand, emit_ret,
    emit_jcc_links, emit_compare_jcc; /* flow.c */
emit_fn emit_vector, emit_generic;    /* vector.c */
emit_fn emit_bit;                     /* bit.c */
emit_fn emit_system;                  /* system.c */
bool system_uop(const struct uop *u); /* it has an emitter there */
bool vector_uop(const struct uop *u); /* it has an emitter */
bool bit_uop(const struct uop *u);    /* likewise, in bit.c; the functions below are of such uops */
enum bit_effect { BIT_KEEPS, BIT_SETS, BIT_CHANGES }; /* no flags, all of them, some of them */
enum bit_effect bit_effect(const struct uop *u);
bool bit_may_leave(const struct uop *u);
bool bit_changes(const struct uop *u, u8 reg);
bool vector_sets_flags(const struct uop *u);
u32 vector_memory_size(const struct uop *u);
/* Emits an edge to a link: a jump that is always taken, or on a condition of EFLAGS. */
void emit_edge(struct translator *t, const struct uop *link);
void emit_edge_if(struct translator *t, u32 cc, const struct uop *link);
/* Emits a jump within the path of a unit; all its other edges leave the path. */
void emit_path_jump(struct translator *t, const struct unit_uop *uu);
/* Emits the code at the end of an edge to another page: looks the target up in the jump cache. */
void emit_far(struct translator *t, const struct uop *link);
void emit_arithmetic_imm(struct code *k, u32 which, u32 size, struct rm rm, u64 imm);
/* Arithmetic and comparisons of AH, CH, DH or BH and an immediate. */
bool high_byte_by_immediate(const struct uop *u);
void emit_high_byte(struct translator *t, u32 which, const struct uop *u);
/* Emits the operation of a uop of arithmetic, or the comparison of a fused one; *memory is its
 * memory operand, if it has one. */
void emit_arithmetic(struct translator *t, u32 which, u32 size, const struct uop *u,
                     struct rm memory);

/* Returns where the size of a uop's operands is in tables by size, and the size. */
static inline u32 size_of(const struct uop *u)
{
    return 1u << (u->form & FORM_SIZE);
}

static inline u32 place_of(const struct uop *u)
{
    return (u->form & FORM_PLACE) >> FORM_PLACE_SHIFT;
}

static inline bool memory_first(const struct uop *u)
{
    return u->form & FORM_MEMORY_FIRST;
}

#endif
