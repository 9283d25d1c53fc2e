/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random programs (program.h) on two cores at a time, which execute them in different ways: as
 * blocks, instruction by instruction, and compiled. After each slice of a random number of
 * instructions everything that software could see must be equal: registers, flags, x87 and SSE,
 * time, exits, memory, and the accessed and dirty bits of the page tables. Between slices the
 * surroundings change as they do in a machine: pages come and go, the host writes into code.
 *
 *   cpu_engines [--seed N] [--count N] [--engines A,B] [--save FILE]
 *
 * What differs is made small: instructions that do not matter become NOPs, and the last slice ends
 * at the first difference. --save writes the code of the last such program to FILE.
 */
#include "harness.h"
#include "program.h"

#include <inttypes.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define TABLES      0x1000u /* of the harness */
#define TABLES_SIZE (5 * PAGE_SIZE)
#define PAGE_TABLE  (TABLES + 3 * PAGE_SIZE)
#define ASID        1
#define SLICES      32u

enum way { WAY_BLOCKS, WAY_STEPS, WAY_JIT_1, WAY_JIT_4, WAY_JIT, WAYS };
static const char *const way_name[WAYS] = {"blocks", "steps", "jit-1", "jit-4", "jit"};

static u64 option_seed = 1, option_count = 1500;
static enum way option_ways[2] = {WAYS, WAYS}; /* WAYS: any */
static const char *option_save;

struct outcome {
    u64 r[GPRS], rip, rflags, exit, info_1, info_2, time, cr0, cr3, gs;
    _Alignas(16) u8 fx[512];
    u8 upper[XMM_REGISTERS][16]; /* halves of the YMM registers */
    u8 code[PROGRAM_CODE_SIZE], data[PROGRAM_DATA_SIZE], tables[TABLES_SIZE];
};

struct side {
    bool there;
    struct harness h;
    struct outcome now;
};

struct match {
    struct side side[WAYS];
    enum way a, b;
    struct program p;
    u64 random;     /* of what happens between slices */
    bool global;    /* the code's pages are */
    memory_key key; /* ASID: a SEV guest */
    u32 slice;      /* of a difference */
    u64 budget;
    u64 retired;
};

static u64 below(struct match *m, u64 n)
{
    return program_random(&m->random) % n;
}

/* --- Cores ------------------------------------------------------------------------------------ */

static bool open_side(struct match *m, enum way way)
{
    static const u32 threshold[WAYS] = {[WAY_JIT_1] = 1, [WAY_JIT_4] = 4};
    struct side *s = &m->side[way];
    enum cpu_engine engine = way < WAY_JIT_1 ? CPU_ENGINE_INTERPRETER : CPU_ENGINE_JIT;
    assert_true(harness_create_engine(&s->h, engine, threshold[way]));
    s->there = cpu_engine(s->h.cpu) == engine;
    if (!s->there)
        harness_destroy(&s->h);
    else
        assert_true(memory_key_load(s->h.memory, ASID, (const u8 *)"a key of a guest"));
    return s->there;
}

/* --- One program ------------------------------------------------------------------------------ */

/* The guest's own bytes, encrypted if it is a SEV guest. */
static void write_guest(const struct match *m, struct side *s, u64 address, const void *bytes,
                        size_t size)
{
    memory_write(s->h.memory, address, m->key, bytes, size);
}

static void read_guest(const struct match *m, struct side *s, u64 address, void *bytes, size_t size)
{
    memory_read(s->h.memory, address, m->key, bytes, size);
}

static u64 page_bits(const struct match *m)
{
    return PTE_P | PTE_RW | PTE_US | (m->global ? PTE_G : 0) | (m->key ? BIT(C_BIT) : 0);
}

static void map(const struct match *m, struct side *s, u32 linear, u32 physical, u64 bits)
{
    u64 entry = physical | bits;
    write_guest(m, s, PAGE_TABLE + (linear >> PAGE_SHIFT) * 8, &entry, 8);
}

/* The levels above the page tables, with nothing accessed yet. */
static void map_tables(const struct match *m, struct side *s)
{
    static const u8 nothing[TABLES_SIZE];
    write_guest(m, s, TABLES, nothing, sizeof nothing);
    for (u32 i = 0; i < 4; i++) {
        u64 entry = (TABLES + (i + 1) * PAGE_SIZE) | (page_bits(m) & ~(u64)PTE_G);
        u32 table = i < 3 ? i : 2, index = i == 3;
        write_guest(m, s, TABLES + table * PAGE_SIZE + index * 8, &entry, 8);
    }
}

/* Maps code and data, and nothing else, so that nothing that is not compared can be written. In a
 * SEV guest the other addresses of the data are shared: they see ciphertext. */
static void map_program(const struct match *m, struct side *s, u64 hole)
{
    map_tables(m, s);
    for (u32 i = 0; i < PROGRAM_CODE_SIZE; i += PAGE_SIZE) {
        map(m, s, PROGRAM_CODE + i, PROGRAM_CODE + i, page_bits(m));
        map(m, s, PROGRAM_ALIAS + i, PROGRAM_CODE + i, page_bits(m));
    }
    for (u32 i = 0; i < PROGRAM_DATA_SIZE; i += PAGE_SIZE) {
        u64 bits = PROGRAM_DATA + i == PROGRAM_HOLE ? hole : PTE_P | PTE_RW | PTE_US;
        map(m, s, PROGRAM_DATA + i, PROGRAM_DATA + i, bits | (m->key ? BIT(C_BIT) : 0));
        map(m, s, PROGRAM_ALIAS + PROGRAM_CODE_SIZE + i, PROGRAM_DATA + i, bits);
    }
    mmu_flush(s->h.cpu, true);
}

static u32 entry_rip(const struct program *p, u64 function)
{
    return PROGRAM_CODE + p->function[function];
}

static void begin(struct match *m, struct side *s, u64 hole)
{
    const struct program *p = &m->p;
    struct cpu *c = s->h.cpu;
    harness_reset(&s->h, p->user ? HARNESS_64_USER : HARNESS_64);
    if (p->compat)
        c->arch.seg[SEG_CS].attributes = (u16)((c->arch.seg[SEG_CS].attributes & ~SEG_L) | SEG_DB);
    segment_update(c);
    s->h.clock.now = 0;
    c->guest.sev = m->key != KEY_RAW;
    c->guest.key = m->key;
    write_guest(m, s, PROGRAM_CODE, p->code, sizeof p->code);
    write_guest(m, s, PROGRAM_DATA, p->data, sizeof p->data);
    c->arch.seg[SEG_FS].base = 0x40;
    c->arch.seg[SEG_GS].base = p->compat ? 0 : PAGE_SIZE - 0x18;
    c->arch.kernel_gs_base = p->compat ? 0 : 0x30;
    segment_update(c);
    c->arch.cr4 |= m->global ? CR4_PGE : 0;
    c->arch.dr7 = 0x400;
    debug_update(c);
    map_program(m, s, hole);
    memcpy(c->arch.r, p->r, sizeof p->r);
    c->arch.rflags = p->rflags & ~RFLAGS_ARITHMETIC;
    flags_set(c, p->rflags);
    cpu_xrstor(c, XSTATE_X87 | XSTATE_SSE, p->fx, sizeof p->fx);
    c->arch.cr4 |= CR4_OSXSAVE;
    c->arch.xcr0 = XSTATE_X87 | XSTATE_SSE | XSTATE_AVX;
    for (u32 i = 0; i < XMM_REGISTERS; i++) /* in half of the programs some are not clear */
        c->arch.vector[i].lane[1] =
            p->r[RAX] & 1 ? c->arch.vector[i ^ (p->r[RAX] & 14)].xmm : (union xmm){0};
    c->arch.rip = entry_rip(p, p->functions - 1);
    cpu_update_mode(c);
}

/* Whether a fetch looks into the next page, for the end of an instruction that does not end there,
 * depends on what is decoded already. The processor may set the accessed bit or not. */
static void forget_fetches(u8 *tables)
{
    u8 *entry = tables + PAGE_TABLE - TABLES;
    for (u32 i = 0; i <= PROGRAM_CODE_SIZE; i += PAGE_SIZE) {
        entry[((PROGRAM_CODE + i) >> PAGE_SHIFT) * 8] &= (u8)~PTE_A;
        entry[((PROGRAM_ALIAS + i) >> PAGE_SHIFT) * 8] &= (u8)~PTE_A;
    }
}

static void look(const struct match *m, struct side *s, u64 exit)
{
    const struct cpu *c = s->h.cpu;
    struct outcome *o = &s->now;
    memset(o, 0, offsetof(struct outcome, code));
    memcpy(o->r, c->arch.r, sizeof o->r);
    o->rip = c->arch.rip;
    o->rflags = rflags_read(c);
    o->exit = exit;
    o->info_1 = exit == EXIT_INTR ? 0 : c->guest.exit_info_1;
    o->info_2 = exit == EXIT_INTR ? 0 : c->guest.exit_info_2;
    o->time = s->h.clock.now;
    o->cr0 = c->arch.cr0;
    o->cr3 = c->arch.cr3;
    o->gs = c->arch.seg[SEG_GS].base << 16 | c->arch.kernel_gs_base;
    cpu_xsave(c, XSTATE_X87 | XSTATE_SSE, o->fx, XSTATE_LEGACY_SIZE);
    for (u32 i = 0; i < XMM_REGISTERS; i++)
        memcpy(o->upper[i], &c->arch.vector[i].lane[1], sizeof o->upper[i]);
    read_guest(m, s, PROGRAM_CODE, o->code, sizeof o->code);
    read_guest(m, s, PROGRAM_DATA, o->data, sizeof o->data);
    read_guest(m, s, TABLES, o->tables, sizeof o->tables);
    forget_fetches(o->tables);
}

static void run_slice(struct match *m, enum way way, u64 budget)
{
    struct side *s = &m->side[way];
    u64 exit = EXIT_INTR, done = 0, one;
    if (way == WAY_STEPS)
        for (; exit == EXIT_INTR && done < budget; done += one)
            exit = harness_run(&s->h, 1, &one);
    else
        exit = harness_run(&s->h, budget, &done);
    look(m, s, exit);
}

/* The other privilege, with the same code. */
static void switch_privilege(struct cpu *c)
{
    for (u32 i = 0; i < SEGS; i++)
        c->arch.seg[i].attributes ^= 3u << SEG_DPL_SHIFT;
    c->arch.cpl ^= 3;
    segment_update(c);
}

/* What a kernel would do about an exit: the program goes on somewhere, the same on both sides. */
static void go_on(struct match *m, struct side *s, u64 random)
{
    struct cpu *c = s->h.cpu;
    const struct program *p = &m->p;
    c->arch.rip = entry_rip(p, random % 4 ? p->functions - 1 : random / 4 % p->functions);
    if (random / 64 % 8 == 0)
        c->arch.rip += PROGRAM_ALIAS - PROGRAM_CODE;
    c->arch.r[RSP] = p->stack;
    if (random & BIT(20))
        c->arch.r[RBX] = c->arch.r[RSI] = PROGRAM_DATA + (random >> 32) % PROGRAM_DATA_SIZE;
    if (random / 512 % 8 == 0)
        switch_privilege(c);
    c->arch.rflags &= ~(u64)(RFLAGS_TF | RFLAGS_AC | RFLAGS_DF);
    c->arch.cr0 &= ~(u64)CR0_TS;
    c->arch.mxcsr = 0x1f80;
    c->arch.x87 = (struct x87){.control = 0x37f, .tag = 0xffff};
    c->arch.interrupt_shadow = false;
    c->guest.exit_int_info = 0;
    c->guest.running = true;
    cpu_update_mode(c);
}

/* A page of the code now has the frame of another one, as after a change of page tables and INVLPG
 * or, for pages that are not global, a load of CR3. */
static void remap_code(struct match *m, struct side *s, u64 random)
{
    u32 page = (u32)(random % 4) * PAGE_SIZE, frame = (u32)(random / 4 % 4) * PAGE_SIZE;
    map(m, s, PROGRAM_CODE + page, PROGRAM_CODE + frame, page_bits(m));
    if (m->global || random & 16)
        mmu_flush_page(s->h.cpu, PROGRAM_CODE + page);
    else
        mmu_flush(s->h.cpu, false);
}

/* Arms a data breakpoint, or disarms it. */
static void watch(struct cpu *c, u64 random)
{
    c->arch.dr[0] = (PROGRAM_DATA + random % PROGRAM_DATA_SIZE) & ~7ull;
    c->arch.dr7 = c->arch.dr7 & 1 ? 0x400 : 0x400 | 1 | (random & BIT(40) ? 0xb0000 : 0x90000);
    debug_update(c);
}

/* Rarely a page comes or goes, the TLB is flushed, or the host writes a byte. */
static void disturb(struct match *m, struct side *s, u64 random)
{
    static const u64 holes[] = {0, PTE_P | PTE_US, PTE_P | PTE_RW | PTE_US};
    u64 r = random >> 8;
    u8 byte = (u8)(random >> 48);
    const struct program *p = &m->p;
    switch (random % 32) {
    case 0:
        map_program(m, s, holes[r % ARRAY_SIZE(holes)]);
        break;
    case 1:
        mmu_flush(s->h.cpu, true);
        break;
    case 2:
        write_guest(m, s, PROGRAM_DATA + r % PROGRAM_DATA_SIZE, &byte, 1);
        break;
    case 3: /* the same bytes again, into code */
        write_guest(m, s, PROGRAM_CODE + r % p->size / 16 * 16, p->code + r % p->size / 16 * 16,
                    16);
        break;
    case 4:
        mmu_flush_page(s->h.cpu, PROGRAM_DATA + r % PROGRAM_DATA_SIZE);
        break;
    case 5:
        remap_code(m, s, r);
        break;
    case 6:
        watch(s->h.cpu, r);
        break;
    case 7:
        switch_privilege(s->h.cpu);
        cpu_update_mode(s->h.cpu);
        break;
    default:
        if (s->h.cpu->arch.dr7 & 1)
            watch(s->h.cpu, r);
    }
}

static u64 slice_budget(struct match *m)
{
    static const u32 most[] = {30, 200, 1000, 4000, 12000};
    return 1 + below(m, most[below(m, ARRAY_SIZE(most))]);
}

static bool same(const struct match *m)
{
    return memcmp(&m->side[m->a].now, &m->side[m->b].now, sizeof(struct outcome)) == 0;
}

/* Plays up to that many slices, the last one for at most `last` instructions. Returns false at the
 * first difference. */
static bool play(struct match *m, u64 seed, u32 slices, u64 last)
{
    m->random = seed;
    u64 hole = below(m, 3) ? PTE_P | PTE_RW | PTE_US : 0;
    m->global = below(m, 3) == 0;
    m->key = below(m, 4) ? KEY_RAW : ASID;
    begin(m, &m->side[m->a], hole);
    begin(m, &m->side[m->b], hole);
    for (m->slice = 1; m->slice <= slices; m->slice++) {
        m->budget = slice_budget(m);
        if (m->slice == slices && m->budget > last)
            m->budget = last;
        run_slice(m, m->a, m->budget);
        run_slice(m, m->b, m->budget);
        if (!same(m))
            return false;
        u64 what = program_random(&m->random), where = program_random(&m->random);
        for (u32 i = 0; i < 2; i++) {
            struct side *s = &m->side[i ? m->b : m->a];
            if (s->now.exit != EXIT_INTR)
                go_on(m, s, where);
            disturb(m, s, what);
        }
    }
    m->retired += m->side[m->a].now.time;
    return true;
}

/* --- Telling about a difference --------------------------------------------------------------- */

/* Replaces what the difference does not need by NOPs. Code blocks of earlier programs are gone by
 * then, so a difference that needs them is not made smaller. */
static void make_small(struct match *m, u64 seed)
{
    struct program *kept = malloc(sizeof *kept);
    assert_non_null(kept);
    for (u32 i = 0; i < m->p.instructions; i++) {
        *kept = m->p;
        program_drop(&m->p, i);
        if (play(m, seed, SLICES, ~0ull))
            m->p = *kept;
    }
    free(kept);
}

/* Finds the shortest last slice that still shows the difference. */
static u64 first_difference(struct match *m, u64 seed, u32 slice, u64 budget)
{
    u64 low = 0, high = budget;
    while (high - low > 1) {
        u64 middle = low + (high - low) / 2;
        if (play(m, seed, slice, middle))
            low = middle;
        else
            high = middle;
    }
    return high;
}

static void print_instruction(const struct match *m, struct side *s, u64 rip)
{
    struct insn in;
    u8 bytes[15] = {0};
    if (rip - PROGRAM_ALIAS < PROGRAM_CODE_SIZE)
        rip -= PROGRAM_ALIAS - PROGRAM_CODE;
    if (rip - PROGRAM_CODE < PROGRAM_CODE_SIZE)
        read_guest(m, s, rip, bytes, sizeof bytes);
    if (bytes[0] == 0x90) /* what was made small */
        return;
    bool known = decode(&in, bytes, sizeof bytes, m->p.mode) == DECODE_OK;
    printf("#   %6" PRIx64 "  %-12s", rip, known ? in.op->name : "?");
    for (u32 i = 0; i < in.length; i++)
        printf(" %02x", bytes[i]);
    printf("\n");
}

/* The last instructions before the difference, by a core that takes single steps. */
static void print_way_there(struct match *m, u64 seed, u32 slice, u64 budget)
{
    enum way b = m->b;
    m->b = WAY_STEPS;
    bool apart = !play(m, seed, slice - 1, ~0ull);
    struct side *s = &m->side[WAY_STEPS];
    u64 one, exit = EXIT_INTR;
    for (u64 i = 0; !apart && i < budget && exit == EXIT_INTR; i++) {
        if (i + 100 >= budget)
            print_instruction(m, s, s->h.cpu->arch.rip);
        exit = harness_run(&s->h, 1, &one);
    }
    m->b = b;
}

static void print_difference(const char *name, u64 a, u64 b)
{
    if (a != b)
        printf("#   %-8s %16" PRIx64 " %16" PRIx64 "\n", name, a, b);
}

static void print_bytes(const char *name, const u8 *a, const u8 *b, u32 size, u32 base)
{
    u32 shown = 0;
    for (u32 i = 0; i < size && shown < 6; i += 8)
        if (memcmp(a + i, b + i, 8)) {
            printf("#   %s %6x %16" PRIx64 " %16" PRIx64 "\n", name, base + i, load_le64(a + i),
                   load_le64(b + i));
            shown++;
        }
}

static void print_outcomes(const struct match *m)
{
    const struct outcome *a = &m->side[m->a].now, *b = &m->side[m->b].now;
    char name[8];
    printf("#   %-8s %16s %16s\n", "", way_name[m->a], way_name[m->b]);
    for (u32 i = 0; i < GPRS; i++) {
        snprintf(name, sizeof name, "r%u", i);
        print_difference(name, a->r[i], b->r[i]);
    }
    print_difference("rip", a->rip, b->rip);
    print_difference("rflags", a->rflags, b->rflags);
    print_difference("exit", a->exit, b->exit);
    print_difference("info 1", a->info_1, b->info_1);
    print_difference("info 2", a->info_2, b->info_2);
    print_difference("time", a->time, b->time);
    print_difference("cr0", a->cr0, b->cr0);
    print_difference("cr3", a->cr3, b->cr3);
    print_difference("gs", a->gs, b->gs);
    print_bytes("fx", a->fx, b->fx, sizeof a->fx, 0);
    print_bytes("upper halves", a->upper[0], b->upper[0], sizeof a->upper, 0);
    print_bytes("code", a->code, b->code, sizeof a->code, PROGRAM_CODE);
    print_bytes("data", a->data, b->data, sizeof a->data, PROGRAM_DATA);
    print_bytes("tables", a->tables, b->tables, sizeof a->tables, TABLES);
}

static void save(const struct program *p)
{
    FILE *file = option_save ? fopen(option_save, "wb") : NULL;
    if (!file)
        return;
    fwrite(p->code, 1, sizeof p->code, file);
    fclose(file);
}

static void tell(struct match *m, u64 seed)
{
    printf("# seed %" PRIu64 ", %s and %s, %s, %s code%s: differ in slice %u\n", seed,
           way_name[m->a], way_name[m->b], m->p.user ? "user" : "kernel",
           m->p.compat ? "32-bit" : "64-bit", m->key ? ", SEV" : "", m->slice);
    print_outcomes(m);
    if (play(m, seed, SLICES, ~0ull)) {
        printf("#   not again in a second run: it needs what ran before\n");
        return;
    }
    make_small(m, seed);
    save(&m->p);
    play(m, seed, SLICES, ~0ull);
    u32 slice = m->slice;
    u64 budget = first_difference(m, seed, slice, m->budget);
    printf("# smaller, instruction %" PRIu64 " of slice %u:\n", budget, slice);
    print_way_there(m, seed, slice, budget);
    if (!play(m, seed, slice, budget))
        print_outcomes(m);
    else
        printf("#   not always: it needs what ran before\n");
}

/* --- The test --------------------------------------------------------------------------------- */

/* Blocks against steps, and each kind of compiled code against one of the two. */
static void choose_ways(struct match *m, u64 seed)
{
    enum way compiled = (enum way)(WAY_JIT_1 + seed % 3);
    m->a = m->side[compiled].there && seed % 8 ? compiled : WAY_BLOCKS;
    m->b = m->a == WAY_BLOCKS || seed % 5 == 0 ? WAY_STEPS : WAY_BLOCKS;
    if (option_ways[0] != WAYS) {
        m->a = option_ways[0];
        m->b = option_ways[1];
    }
}

static void every_way_does_the_same(void **state)
{
    static struct match m;
    u64 bad = 0;
    (void)state;
    for (enum way way = 0; way < WAYS; way++)
        if (!open_side(&m, way))
            printf("# %s: this build has no such engine\n", way_name[way]);
    if (option_ways[0] != WAYS && !(m.side[option_ways[0]].there && m.side[option_ways[1]].there))
        fail_msg("--engines: this build lacks one of them");
    for (u64 i = 0; i < option_count && bad < 10; i++) {
        u64 seed = option_seed + i;
        program_make(&m.p, seed);
        choose_ways(&m, seed);
        if (play(&m, seed, SLICES, ~0ull))
            continue;
        bad++;
        tell(&m, seed);
    }
    printf("# seeds from %" PRIu64 ": %" PRIu64 " programs, %" PRIu64 " instructions, %" PRIu64
           " differ\n",
           option_seed, option_count, m.retired, bad);
    for (enum way way = 0; way < WAYS; way++)
        if (m.side[way].there)
            harness_destroy(&m.side[way].h);
    assert_int_equal(bad, 0);
}

static bool parse_ways(char *text)
{
    char *comma = strchr(text, ',');
    if (!comma)
        return false;
    *comma = 0;
    for (enum way way = 0; way < WAYS; way++) {
        if (strcmp(way_name[way], text) == 0)
            option_ways[0] = way;
        if (strcmp(way_name[way], comma + 1) == 0)
            option_ways[1] = way;
    }
    return option_ways[0] != WAYS && option_ways[1] != WAYS;
}

int main(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0)
            option_seed = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--count") == 0)
            option_count = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--save") == 0)
            option_save = argv[i + 1];
        else if (strcmp(argv[i], "--engines") != 0 || !parse_ways(argv[i + 1]))
            return 2;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_way_does_the_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
