/* SPDX-License-Identifier: Apache-2.0 */
/* The translator's life, and the C side of the border to emitted code. */
#include "cpu/jit/translate.h"

#include <cpuid.h>
#include <stdlib.h>

#define BUFFER_SIZE  MIB(16)
#define BUFFER_LEAST (2 * BLOCK_MOST)
#define BLOCK_MOST   (64u << 10) /* bytes that a block may take */

/* --- Flags at the border ---------------------------------------------------------------------- */

#define AH_FLAGS (RFLAGS_SF | RFLAGS_ZF | RFLAGS_AF | RFLAGS_PF | RFLAGS_CF)

static void flags_to_raw(struct cpu *c)
{
    u64 v = flags_get(c);
    c->engine.raw_flags = (u32)((v & AH_FLAGS) << 8 | (v & RFLAGS_OF ? 1 : 0));
}

static void flags_from_raw(struct cpu *c)
{
    u32 raw = c->engine.raw_flags;
    flags_set(c, (raw >> 8 & AH_FLAGS) | (raw & 1 ? RFLAGS_OF : 0));
}

/* --- Uops that only the border needs ---------------------------------------------------------- */

static const struct uop *uop_alone(struct cpu *c UNUSED, const struct uop *u)
{
    return u;
}

static const struct uop *uop_ended_fn(struct cpu *c UNUSED, const struct uop *u UNUSED)
{
    return NULL;
}

static const struct uop uop_ended = {.fn = uop_ended_fn, .op = UOP_MISS};

/* --- Called from emitted code ----------------------------------------------------------------- */

static void enter_block(struct cpu *c, const struct block *b)
{
    c->engine.block = (struct block *)(uintptr_t)b;
    c->arch.r[REG_BLOCK] = c->engine.page_rip + (b->spa & PAGE_MASK);
}

const struct uop *jit_step(struct cpu *c, const struct uop *u, const struct block *b)
{
    struct uop *one = c->engine.jit->one;
    const struct cpu_statistics *s = &c->engine.statistics;
    u64 tag = c->engine.jump_tag, before = s->code_invalidations + s->tlb_flushes;
    enter_block(c, b);
    flags_from_raw(c);
    const struct lazy_flags flags = c->engine.flags;
    one[0] = *u;
    if (!one[0].fn(c, &one[0]))
        return &uop_ended;
    /* Leaves if a block died, perhaps this one, or addresses mean other frames: calls of the host
     * may be on the way to code that nobody may run any more. */
    if (c->engine.jump_tag != tag || s->code_invalidations + s->tlb_flushes != before)
        return u + 1;
    if (c->engine.flags.result != flags.result || c->engine.flags.carries != flags.carries)
        flags_to_raw(c);
    return NULL;
}

const struct uop *jit_exit(struct cpu *c, const struct uop *u, const struct block *b)
{
    enter_block(c, b);
    flags_from_raw(c);
    return u ? u : &uop_miss;
}

static const u8 *leave_to(struct cpu *c, const struct uop *u)
{
    flags_from_raw(c);
    c->engine.jit_next = u;
    return NULL;
}

static const struct uop *live_target(const struct uop *u)
{
    while (u->op == UOP_FORWARD)
        u = u->to;
    return u;
}

static void edge_patch(struct jit *j, u32 edge, const u8 *code)
{
    emit_target(j->buffer.write + edge, code_write(&j->buffer, code));
    code_buffer_changed();
}

const u8 *jit_follow(struct cpu *c, const struct uop *link, const struct block *b, u32 edge)
{
    enter_block(c, b);
    if (link->op == UOP_LINK && link->to != link) {
        const struct uop *to = live_target(link->to);
        if (to->op == UOP_NATIVE) {
            edge_patch(c->engine.jit, edge, to->code);
            return to->code;
        }
    }
    c->arch.r[REG_BLOCK] += (u64)(s64)link->disp;
    return leave_to(c, link->to);
}

const u8 *jit_arrive(struct cpu *c, u64 offset)
{
    struct jump *j = &c->engine.jumps[offset / sizeof(struct jump)];
    j->uop = live_target(j->uop);
    if (j->uop->op == UOP_NATIVE)
        return j->code = j->uop->code;
    c->arch.r[REG_BLOCK] = j->rip;
    return leave_to(c, j->uop);
}

/* --- Called from the interpreter -------------------------------------------------------------- */

typedef const struct uop *enter_fn(struct cpu *c, const u8 *code);

const struct uop *jit_run(struct cpu *c, const struct uop *u)
{
    const struct jit *j = c->engine.jit;
    enter_fn *enter = (enter_fn *)(uintptr_t)code_run(&j->buffer, j->shared.enter);
    c->engine.page_rip = block_rip(c) & ~PAGE_MASK;
    flags_to_raw(c);
    return enter(c, u->code);
}

void jit_forget(struct cpu *c)
{
    if (c->engine.jit)
        c->engine.jit->used = c->engine.jit->shared_size;
}

void jit_unlink(struct cpu *c, const struct uop *enter)
{
    translate_dead(code_write(&c->engine.jit->buffer, enter->code));
    code_buffer_changed();
}

static const u8 *try_unit(struct cpu *c)
{
    struct jit *j = c->engine.jit;
    u8 *start = j->buffer.write + j->used;
    j->translator.code = (struct code){.p = start, .end = start + BLOCK_MOST};
    return translate_unit(&j->translator, c);
}

/* Notes which blocks are in a unit: if one of them dies, the unit must go. */
static void note_unit(const struct unit *n)
{
    struct block *b = n->block[0].block;
    b->loops = n->loops;
    b->leads = n->blocks > 1;
    for (u32 i = 1; i < n->blocks; i++)
        n->block[i].block->follows = true;
}

void jit_translate(struct cpu *c, struct block *b)
{
    struct jit *j = c->engine.jit;
    if (j->buffer.size - j->used < BLOCK_MOST)
        blocks_forget_code(c);
    unit_choose(&j->translator.unit, c, b);
    const u8 *entry = try_unit(c);
    if (!entry) { /* too large */
        unit_of_block(&j->translator.unit, b);
        entry = try_unit(c);
    }
    if (!entry) {
        uop_patch(c, &b->uop[0], UOP_ENTER, NULL);
        return;
    }
    j->used = ALIGN_UP((size_t)(j->translator.code.p - j->buffer.write), 16);
    const u8 *code = code_run(&j->buffer, entry);
    if (b->old_code)
        translate_moved(code_write(&j->buffer, b->old_code), entry);
    b->old_code = code;
    note_unit(&j->translator.unit);
    uop_patch(c, &b->uop[0], UOP_NATIVE, code);
    c->engine.statistics.blocks_translated++;
    code_buffer_changed();
}

/* --- What the host does ----------------------------------------------------------------------- */

#define ARITHMETIC (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

/* Runs an instruction on a and b, under the flags f, and returns the flags after it. */
// clang-format off
#define PROBE(name, text) \
    static u64 probe_##name(u64 a, u64 b, u64 f) \
    { \
        __asm__ volatile("lea -128(%%rsp), %%rsp\n\t" \
                         "push %1\n\tpopfq\n\t" text "\n\tpushfq\n\tpop %1\n\t" \
                         "lea 128(%%rsp), %%rsp" : "+r"(a), "+&r"(f) : "c"(b) : "cc", "memory"); \
        return f & ARITHMETIC; \
    }
PROBE(and, "and %2, %0") PROBE(or, "or %2, %0") PROBE(xor, "xor %2, %0") PROBE(test, "test %2, %0")
PROBE(shl, "shl %%cl, %0") PROBE(shr, "shr %%cl, %0") PROBE(sar, "sar %%cl, %0") PROBE(bt, "bt %2, %0")
PROBE(bts, "bts %2, %0") PROBE(btr, "btr %2, %0") PROBE(btc, "btc %2, %0")
    // clang-format on

    static u32 host_features(void)
{
    static const struct {
        u32 leaf, reg, bits, feature; /* reg: 1 is EBX, 2 is ECX */
    } rows[] = {
        {1, 2, BIT(1), HOST_PCLMUL},
        {1, 2, BIT(9), HOST_SSSE3},
        {1, 2, BIT(19) | BIT(20), HOST_SSE4},
        {1, 2, BIT(22), HOST_MOVBE},
        {1, 2, BIT(23), HOST_POPCNT},
        {1, 2, BIT(25), HOST_AES},
        {7, 1, BIT(3), HOST_BMI1},
        {7, 1, BIT(8), HOST_BMI2},
        {7, 1, BIT(29), HOST_SHA},
        {0x80000001, 2, BIT(5), HOST_LZCNT},
    };
    u32 has = HOST_BIT_TESTS | (__builtin_cpu_supports("avx2") ? HOST_AVX2 : 0u);
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        unsigned v[4];
        if (__get_cpuid_count(rows[i].leaf, 0, &v[0], &v[1], &v[2], &v[3]) &&
            (v[rows[i].reg] & rows[i].bits) == rows[i].bits)
            has |= rows[i].feature;
    }
    return has;
}

/* Tries instructions whose flags the manuals leave undefined on numbers of all kinds. */
static struct host_exact probe_host(void)
{
    struct host_exact e = {true, true, host_features()};
    u64 random = 1;
    for (u32 i = 0; i < 300; i++) {
        u64 v[3];
        for (u32 n = 0; n < 3; n++) {
            random = random * 6364136223846793005ull + 1442695040888963407ull;
            v[n] = random >> 11 ^ random << 31;
        }
        u64 a = v[0] >> (v[2] & 63), f = (v[2] & ARITHMETIC) | RFLAGS_ONE, b = v[1];
        e.logic &=
            !((probe_and(a, b, f) | probe_or(a, b, f) | probe_xor(a, b, f) | probe_test(a, b, f)) &
              RFLAGS_AF);
        u64 changed = (probe_bt(a, b, f) ^ f) | (probe_bts(a, b, f) ^ f) |
                      (probe_btr(a, b, f) ^ f) | (probe_btc(a, b, f) ^ f);
        if (changed & ARITHMETIC & ~(u64)RFLAGS_CF)
            e.host &= ~(u32)HOST_BIT_TESTS;
        if (!(b & 63))
            continue;
        u64 shr = probe_shr(a, b, f), sar = probe_sar(a, b, f);
        e.shifts &= !((probe_shl(a, b, f) | shr | sar) & RFLAGS_AF) && !(sar & RFLAGS_OF) &&
                    !(shr & RFLAGS_OF) == !(a >> 63);
    }
    return e;
}

static bool host_has_lahf(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(0x80000001, &a, &b, &c, &d) && c & BIT(0);
}

bool jit_create(struct cpu *c, u32 bytes)
{
    struct jit *j = calloc(1, sizeof *j);
    if (!j)
        return false;
    j->translator.exact = probe_host();
    if (!host_has_lahf() || !j->translator.exact.logic ||
        !code_buffer_create(&j->buffer, max_u64(bytes ? bytes : BUFFER_SIZE, BUFFER_LEAST))) {
        free(j);
        return false;
    }
    struct code k = {.p = j->buffer.write, .end = j->buffer.write + BLOCK_MOST};
    emit_shared(&k, &j->shared, j->translator.exact.host & HOST_AVX2);
    j->used = j->shared_size = ALIGN_UP((size_t)(k.p - j->buffer.write), 64);
    j->one[1] = (struct uop){.fn = uop_alone, .op = UOP_MISS};
    c->engine.jit = j;
    c->engine.jit_arrive = code_run(&j->buffer, j->shared.arrive);
    code_buffer_changed();
    return true;
}

void jit_two_worlds(struct cpu *c)
{
    if (!c->engine.jit || c->engine.jit->translator.two_worlds)
        return;
    c->engine.jit->translator.two_worlds = true;
    blocks_forget_code(c);
}

void jit_destroy(struct cpu *c)
{
    if (!c->engine.jit)
        return;
    code_buffer_destroy(&c->engine.jit->buffer);
    free(c->engine.jit);
    c->engine.jit = NULL;
}
