/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache of decoded blocks, by physical address and mode. Blocks are in one arena, which is
 * emptied as a whole when it is full. If a block's bytes change, the block dies: it is removed from
 * the hash and its frame's list, and its enter uop becomes a stale one, because nobody searches for
 * the links and jump cache entries that lead to it.
 */
#include "cpu/engine/engine.h"
#include "cpu/jit/jit.h"

#include <stdlib.h>

#define ARENA_SIZE    MIB(40)
#define HASH_BUCKETS  131072u
#define GRANULE_SHIFT 6 /* 64 bytes: 64 a frame */
#define BLOCK_UOPS    (BLOCK_INSNS * LOWER_MAX + 4)
#define NO_BASE       (~0ull) /* no base of a code segment of 16 or 32 bits */

struct frame_code {
    u64 granules; /* one bit for each granule that holds code */
    struct block *first;
};

struct block_cache {
    u8 *arena;
    size_t used;
    struct block **hash;
    struct frame_code *frames;
    u64 frame_count, last_generation;
    struct block_addresses addresses; /* of the world that runs */
    u32 local_count;
    u16 local[JUMPS]; /* jump cache entries of code that is not in a global page */
    struct block *single;
    struct insn single_insn;
    /* What it was decoded from. */
    u8 single_bytes[15];
    u32 single_count;
    struct insn insns[BLOCK_INSNS];
    bool flags[BLOCK_INSNS]; /* the flags that insn i writes may be read */
    struct uop uops[BLOCK_UOPS];
};

bool blocks_create(struct cpu *c)
{
    struct block_cache *b = calloc(1, sizeof *b);
    if (!b)
        return false;
    c->engine.blocks = b;
    b->frame_count = memory_size(c->memory) >> PAGE_SHIFT;
    b->arena = malloc(ARENA_SIZE);
    b->hash = calloc(HASH_BUCKETS, sizeof(struct block *));
    b->frames = calloc(b->frame_count + 1, sizeof *b->frames);
    b->single = calloc(1, sizeof *b->single + sizeof(struct uop) * (LOWER_MAX + 4));
    if (b->arena && b->hash && b->frames && b->single) {
        blocks_forget_addresses(c);
        return true;
    }
    blocks_destroy(c);
    return false;
}

void blocks_destroy(struct cpu *c)
{
    struct block_cache *b = c->engine.blocks;
    if (!b)
        return;
    free(b->arena);
    free(b->hash);
    free(b->frames);
    free(b->single);
    free(b);
    c->engine.blocks = NULL;
}

/* --- Addresses -------------------------------------------------------------------------------- */

/* The jump cache knows offsets in CS; outside of 64-bit mode its base gives them their meaning. */
void blocks_new_tag(struct cpu *c)
{
    struct block_cache *cache = c->engine.blocks;
    u64 base = c->arch.seg[SEG_CS].base;
    if (UNLIKELY(!(c->engine.mode & MODE_CODE64) && cache->addresses.code_base != base))
        cache->addresses = (struct block_addresses){++cache->last_generation, base};
    c->engine.jump_tag = cache->addresses.generation << 32 | c->engine.mode;
}

void blocks_forget_addresses(struct cpu *c)
{
    if (!c->engine.blocks)
        return;
    c->engine.blocks->addresses.generation = ++c->engine.blocks->last_generation;
    blocks_new_tag(c);
}

/* The mode is still that of the other world: the run loop makes the tag. */
struct block_addresses blocks_addresses(struct cpu *c, struct block_addresses to)
{
    struct block_cache *cache = c->engine.blocks;
    struct block_addresses before = cache->addresses;
    cache->addresses =
        to.generation ? to : (struct block_addresses){++cache->last_generation, NO_BASE};
    return before;
}

/* Forgets those of both worlds. */
void blocks_forget_local_addresses(struct cpu *c)
{
    struct block_cache *cache = c->engine.blocks;
    for (u32 i = 0; cache && i < cache->local_count; i++)
        c->engine.jumps[cache->local[i]].tag = 0;
    if (cache)
        cache->local_count = 0;
}

/* The second page of a crossing block may be another one after a move to CR3. */
void block_remember(struct cpu *c, u64 rip, const struct block *b)
{
    struct block_cache *cache = c->engine.blocks;
    u32 slot = jump_slot(rip);
    if (b->crossing || !mmu_code_global(c, rip)) {
        if (cache->local_count == JUMPS)
            blocks_forget_local_addresses(c);
        cache->local[cache->local_count++] = (u16)slot;
    }
    c->engine.jumps[slot] = (struct jump){rip, c->engine.jump_tag, b->uop, c->engine.jit_arrive};
}

static struct block **bucket_of(const struct cpu *c, u64 spa, u32 mode)
{
    u64 h = (spa ^ (u64)mode << 40) * 0x9e3779b97f4a7c15ull;
    return &c->engine.blocks->hash[h >> 40 & (HASH_BUCKETS - 1)];
}

struct block *block_find(const struct cpu *c, u64 spa, u32 mode)
{
    for (struct block *b = *bucket_of(c, spa, mode); b; b = b->hash_next)
        if (b->spa == spa && b->mode == mode && !b->crossing)
            return b;
    return NULL;
}

/* Returns the RIP of the next page's first byte; CS.base need not be aligned. */
static u64 next_page_rip(const struct cpu *c, u64 spa)
{
    return c->arch.rip + PAGE_SIZE - (spa & PAGE_MASK);
}

/* Finds a block of one instruction in two pages; it is valid only while the second page is still
 * the same. */
static struct block *find_crossing(struct cpu *c, u64 spa)
{
    for (struct block *b = *bucket_of(c, spa, c->engine.mode); b; b = b->hash_next)
        if (b->spa == spa && b->mode == c->engine.mode && b->crossing &&
            mmu_code_address(c, next_page_rip(c, spa)) >> PAGE_SHIFT == b->frame2)
            return b;
    return NULL;
}

/* --- Death ------------------------------------------------------------------------------------ */

static u64 granule_bits(u32 offset, u32 size)
{
    u32 first = offset >> GRANULE_SHIFT, last = (offset + size - 1) >> GRANULE_SHIFT;
    return BITS(~0ull, last, first) << first;
}

/* Finds the bytes of the block in the n-th of its frames. */
static void block_part(const struct block *b, u32 n, u32 *offset, u32 *size)
{
    u32 start = (u32)(b->spa & PAGE_MASK);
    *offset = n ? 0 : start;
    *size = n ? start + b->bytes - PAGE_SIZE : (u32)min_u64(b->bytes, PAGE_SIZE - start);
}

static u32 block_frame_index(const struct block *b, u64 frame)
{
    return b->spa >> PAGE_SHIFT != frame;
}

static void frame_add(struct cpu *c, u64 frame, struct block *b, u32 n)
{
    struct frame_code *f = &c->engine.blocks->frames[frame];
    u32 offset, size;
    block_part(b, n, &offset, &size);
    if (!f->first)
        memory_mark_code(c->memory, frame, true);
    b->frame_next[n] = f->first;
    f->first = b;
    f->granules |= granule_bits(offset, size);
}

/* Removes a dead block from its other frame's list. */
static void frame_remove(struct cpu *c, u64 frame, const struct block *dead)
{
    struct frame_code *f = &c->engine.blocks->frames[frame];
    for (struct block **p = &f->first; *p; p = &(*p)->frame_next[block_frame_index(*p, frame)])
        if (*p == dead) {
            *p = dead->frame_next[block_frame_index(dead, frame)];
            break;
        }
    if (!f->first) {
        f->granules = 0;
        memory_mark_code(c->memory, frame, false);
    }
}

/* Makes the running block end after its current instruction. */
static void leave_after_current(struct cpu *c, struct block *b)
{
    u32 current = uop_index(c->engine.uop);
    for (u32 i = 1; i < b->uops; i++) {
        struct uop *u = &b->uop[i];
        if (uop_index(u) > current && !uop_is_link(u))
            uop_patch(c, u, UOP_LEAVE, NULL);
    }
}

static void block_kill(struct cpu *c, struct block *b)
{
    struct block **p = bucket_of(c, b->spa, b->mode);
    while (*p && *p != b)
        p = &(*p)->hash_next;
    if (*p)
        *p = b->hash_next;
    b->dead = true;
    uop_patch(c, &b->uop[0], UOP_STALE, NULL);
    if (c->engine.block == b)
        leave_after_current(c, b);
    c->engine.statistics.code_invalidations++;
}

static void make_warm(struct cpu *c, struct uop *enter)
{
    uop_patch(c, enter, UOP_WARM, NULL);
    enter->imm = c->engine.jit_threshold;
}

/* A block died that may be part of other blocks' code: all such code in its page goes. */
static void units_divide(struct cpu *c, u64 frame)
{
    struct block *b = c->engine.blocks->frames[frame].first;
    for (; b; b = b->frame_next[block_frame_index(b, frame)]) {
        if (!b->leads || b->uop[0].op != UOP_NATIVE)
            continue;
        jit_unlink(c, &b->uop[0]);
        make_warm(c, &b->uop[0]);
        b->leads = b->loops = false;
    }
}

void blocks_invalidate(struct cpu *c, u64 frame, u32 offset, u32 size)
{
    if (!c->engine.blocks || frame >= c->engine.blocks->frame_count || size == 0)
        return;
    struct frame_code *f = &c->engine.blocks->frames[frame];
    if (!(f->granules & granule_bits(offset, size)))
        return;
    struct block *dead = NULL;
    u64 left = 0;
    for (struct block **p = &f->first, *b; (b = *p);) {
        u32 n = block_frame_index(b, frame), start, bytes;
        block_part(b, n, &start, &bytes);
        if (start < offset + size && offset < start + bytes) {
            *p = b->frame_next[n];
            b->frame_next[n] = dead;
            dead = b;
        } else {
            left |= granule_bits(start, bytes);
            p = &b->frame_next[n];
        }
    }
    f->granules = left;
    if (!f->first)
        memory_mark_code(c->memory, frame, false);
    bool followed = false;
    while (dead) {
        u32 n = block_frame_index(dead, frame);
        struct block *next = dead->frame_next[n];
        followed |= dead->follows;
        block_kill(c, dead);
        if (dead->crossing)
            frame_remove(c, n ? dead->spa >> PAGE_SHIFT : dead->frame2, dead);
        dead = next;
    }
    if (followed)
        units_divide(c, frame);
}

bool blocks_in_page(const struct cpu *c, u64 frame)
{
    return c->engine.blocks && frame < c->engine.blocks->frame_count &&
           c->engine.blocks->frames[frame].first;
}

/* Call between blocks only. */
static void arena_empty(struct cpu *c)
{
    struct block_cache *cache = c->engine.blocks;
    for (u32 i = 0; i < HASH_BUCKETS; i++) {
        for (struct block *b = cache->hash[i]; b; b = b->hash_next)
            for (u32 n = 0; n <= b->crossing; n++) {
                u64 frame = n ? b->frame2 : b->spa >> PAGE_SHIFT;
                if (cache->frames[frame].first)
                    memory_mark_code(c->memory, frame, false);
                cache->frames[frame] = (struct frame_code){0};
            }
        cache->hash[i] = NULL;
    }
    cache->used = 0;
    memset(c->engine.jumps, 0, sizeof c->engine.jumps); /* they point at blocks */
    jit_forget(c);
    blocks_forget_addresses(c);
    mmu_forget_other_addresses(c);
}

void blocks_forget_code(struct cpu *c)
{
    for (u32 i = 0; i < HASH_BUCKETS; i++)
        for (struct block *b = c->engine.blocks->hash[i]; b; b = b->hash_next) {
            if (b->uop[0].op == UOP_NATIVE)
                make_warm(c, &b->uop[0]);
            b->loops = b->leads = b->follows = false;
            b->old_code = NULL;
        }
    jit_forget(c);
    blocks_forget_addresses(c);
    mmu_forget_other_addresses(c);
}

/* --- Birth ------------------------------------------------------------------------------------ */

static struct uop enter_uop(u32 insns)
{
    struct uop u = {.aux = (u8)insns};
    uop_set(&u, UOP_ENTER, 0, uop_enter);
    return u;
}

/* Lowers *in; bytes that are not a valid instruction become a uop that raises. */
static u32 lower_any(enum decode_result result, const struct insn *in, const struct place *at,
                     struct uop *u)
{
    if (result == DECODE_OK)
        return lower(in, at, u);
    *u = (struct uop){.where = uop_where(at->off, at->idx), .len = in->length};
    if (result == DECODE_LONG)
        uop_set(u, UOP_TOO_LONG, 0, uop_too_long);
    else
        uop_set(u, UOP_UNDEFINED, 0, uop_undefined);
    return 1;
}

/* Returns true if the instruction is the one that was decoded last, as after an STI that is
 * executed again and again. */
static bool same_single(const struct cpu *c, const u8 bytes[15], u32 count, u64 spa)
{
    const struct block_cache *cache = c->engine.blocks;
    const struct block *b = cache->single;
    return cache->single_count == count && count && b->spa == spa && b->mode == c->engine.mode &&
           memcmp(cache->single_bytes, bytes, count) == 0;
}

struct block *block_single(struct cpu *c)
{
    struct block_cache *cache = c->engine.blocks;
    u8 bytes[15];
    u64 spa;
    u32 count = mmu_fetch(c, c->arch.rip, bytes, &spa);
    struct block *b = cache->single;
    if (same_single(c, bytes, count, spa))
        return b;
    cache->single_count = 0;
    enum decode_result result = decode(&cache->single_insn, bytes, count, c->engine.mode);
    if (result == DECODE_SHORT) {
        mmu_code_address(c, c->arch.rip + count); /* raises */
        result = DECODE_UD;
    }
    struct place at = {.mode = c->engine.mode,
                       .page_offset = (u32)(spa & PAGE_MASK),
                       .flags = true,
                       .single = true};
    *b = (struct block){.spa = spa, .mode = c->engine.mode, .insns = 1, .single = true};
    b->uop[0] = enter_uop(1);
    u32 n = 1 + lower_any(result, &cache->single_insn, &at, &b->uop[1]);
    at.off = cache->single_insn.length;
    at.idx = 1;
    n += lower_continue(&at, &b->uop[n]);
    b->uops = (u16)n;
    memcpy(cache->single_bytes, bytes, sizeof bytes);
    cache->single_count = result == DECODE_OK ? count : 0;
    return b;
}

const struct insn *block_single_insn(const struct cpu *c)
{
    return &c->engine.blocks->single_insn;
}

static bool ends_block(const struct insn *in)
{
    return (in->op->attributes & (OP_ENDS | OP_JUMP)) != 0;
}

/* Finds the flags that must be computed: those that nothing overwrites before they can be read.
 * Wherever the block may be left, all flags must be valid. */
static void find_live_flags(struct block_cache *cache, u32 insns)
{
    u32 live = RFLAGS_ARITHMETIC;
    for (u32 i = insns; i-- > 0;) {
        const struct insn *in = &cache->insns[i];
        cache->flags[i] = ((in->op->flags_written | in->op->flags_undefined) & live) != 0;
        live = (live & ~insn_flags_killed(in)) | insn_flags_read(in);
        if (insn_may_leave(in))
            live = RFLAGS_ARITHMETIC;
    }
}

/* Decodes up to the end of the block or page. Returns the number of instructions; if *last is not
 * DECODE_OK, the last one is invalid and faults when it is reached. */
static u32 decode_run(struct cpu *c, const u8 *bytes, u32 room, u32 *used, enum decode_result *last)
{
    struct block_cache *cache = c->engine.blocks;
    u32 n = 0;
    *used = 0;
    *last = DECODE_OK;
    while (n < BLOCK_INSNS && *used < room) {
        struct insn *in = &cache->insns[n];
        u32 count = (u32)min_u64(15, room - *used);
        enum decode_result result = decode(in, bytes + *used, count, c->engine.mode);
        if (result == DECODE_SHORT || (result != DECODE_OK && n > 0))
            return n; /* it crosses the page or faults: it gets its own block */
        n++;
        *used += in->length;
        *last = result;
        if (result != DECODE_OK || ends_block(in))
            return n;
    }
    return n;
}

static u32 lower_run(struct block_cache *cache, struct place *at, u32 insns,
                     enum decode_result last)
{
    u32 n = 0;
    bool ended = false;
    if (last == DECODE_OK)
        find_live_flags(cache, insns);
    for (u32 i = 0; i < insns; i++) {
        const struct insn *in = &cache->insns[i];
        at->idx = (u8)i;
        at->flags = cache->flags[i];
        u32 made = 0;
        if (i + 2 == insns && last == DECODE_OK && insn_is_jcc(&cache->insns[i + 1]))
            made = lower_fused(in, &cache->insns[i + 1], at, &cache->uops[n]);
        if (made) {
            n += made;
            return n;
        }
        n += lower_any(last, in, at, &cache->uops[n]);
        at->off = (u16)(at->off + in->length);
        ended = last != DECODE_OK || ends_block(in);
    }
    if (!ended) {
        at->idx = (u8)insns;
        n += lower_continue(at, &cache->uops[n]);
    }
    return n;
}

/* Places the finished block in the arena, followed by the insns that its uops point at. */
static struct block *block_place(struct cpu *c, u32 uops)
{
    struct block_cache *cache = c->engine.blocks;
    struct block *b = (struct block *)(void *)(cache->arena + cache->used);
    struct insn *copy = (struct insn *)(void *)&b->uop[uops + 1];
    const struct insn *last = NULL;
    memcpy(&b->uop[1], cache->uops, uops * sizeof(struct uop));
    for (u32 i = 1; i <= uops; i++) {
        struct uop *u = &b->uop[i];
        if (u->form & FORM_INSN) {
            if (u->insn != last) {
                last = u->insn;
                *copy++ = *last;
            }
            u->insn = copy - 1;
        } else if (uop_is_link(u)) {
            u->to = u;
        }
    }
    cache->used = ALIGN_UP((size_t)((u8 *)copy - cache->arena), 64);
    return b;
}

static struct block *block_new(struct cpu *c, u64 spa, u32 insns, u32 bytes, u32 uops)
{
    struct block *b = block_place(c, uops);
    b->spa = spa;
    b->mode = c->engine.mode;
    b->bytes = (u16)bytes;
    b->uops = (u16)(uops + 1);
    b->insns = (u8)insns;
    b->crossing = b->dead = b->single = b->loops = b->leads = b->follows = false;
    b->old_code = NULL;
    b->frame2 = 0;
    b->uop[0] = enter_uop(insns);
    if (c->engine.jit && b->mode & MODE_CODE64)
        make_warm(c, &b->uop[0]);
    struct block **bucket = bucket_of(c, spa, c->engine.mode);
    b->hash_next = *bucket;
    *bucket = b;
    c->engine.statistics.blocks_decoded++;
    c->engine.statistics.instructions_decoded += insns;
    return b;
}

/* Makes the block of one instruction in two pages. */
static struct block *make_crossing(struct cpu *c, const u8 bytes[15], u32 count, u64 spa)
{
    struct block_cache *cache = c->engine.blocks;
    struct place at = {.mode = c->engine.mode, .page_offset = (u32)(spa & PAGE_MASK)};
    enum decode_result last = decode(&cache->insns[0], bytes, count, c->engine.mode);
    if (last != DECODE_OK)
        return NULL;
    u64 frame2 = mmu_code_address(c, next_page_rip(c, spa)) >> PAGE_SHIFT;
    if (frame2 == spa >> PAGE_SHIFT) /* the block would be in one list twice */
        return NULL;
    u32 uops = lower_run(cache, &at, 1, last);
    struct block *b = block_new(c, spa, 1, cache->insns[0].length, uops);
    b->crossing = true;
    b->frame2 = frame2;
    frame_add(c, spa >> PAGE_SHIFT, b, 0);
    frame_add(c, frame2, b, 1);
    return b;
}

static struct block *make_block(struct cpu *c)
{
    struct block_cache *cache = c->engine.blocks;
    u8 bytes[15];
    u64 spa;
    u32 fetched = mmu_fetch(c, c->arch.rip, bytes, &spa);
    u64 frame = spa >> PAGE_SHIFT;
    if (frame >= cache->frame_count)
        return NULL;
    const u8 *page = memory_map(c->memory, frame, c->guest.sev ? c->guest.key : KEY_RAW);
    struct place at = {.mode = c->engine.mode, .page_offset = (u32)(spa & PAGE_MASK)};
    u32 room = PAGE_SIZE - at.page_offset, used;
    if (!(c->engine.mode & MODE_CODE64)) /* the segment may end before the page does */
        room = (u32)min_u64(room, (u64)c->arch.seg[SEG_CS].limit + 1 - (u32)c->arch.rip);
    enum decode_result last;
    u32 insns = decode_run(c, page + at.page_offset, room, &used, &last);
    if (insns == 0)
        return fetched > room ? make_crossing(c, bytes, fetched, spa) : NULL;
    u32 uops = lower_run(cache, &at, insns, last);
    struct block *b = block_new(c, spa, insns, used, uops);
    frame_add(c, frame, b, 0);
    return b;
}

/* Returns the block that the jump cache had for RIP, perhaps under other page tables, if it is the
 * one at this address. */
static struct block *block_remembered(const struct cpu *c, u64 spa)
{
    const struct jump *j = &c->engine.jumps[jump_slot(c->arch.rip)];
    if (j->rip != c->arch.rip || !j->uop)
        return NULL;
    struct block *b = block_of(j->uop);
    return b->spa == spa && b->mode == c->engine.mode && !b->dead && !b->crossing ? b : NULL;
}

struct block *block_at(struct cpu *c)
{
    u64 spa = mmu_code_address(c, c->arch.rip);
    struct block *b = block_remembered(c, spa);
    if (!b)
        b = block_find(c, spa, c->engine.mode);
    if (!b && (spa & PAGE_MASK) > PAGE_SIZE - 15)
        b = find_crossing(c, spa);
    if (b)
        return b;
    size_t most =
        sizeof *b + (BLOCK_UOPS + 1) * sizeof(struct uop) + BLOCK_INSNS * sizeof(struct insn);
    if (c->engine.blocks->used + most + 64 > ARENA_SIZE)
        arena_empty(c);
    return make_block(c);
}
