/* SPDX-License-Identifier: Apache-2.0 */
/*
 * String instructions. A REP form processes memory in runs that stay within one page of the source
 * and of the destination; each run is a plain loop over host bytes. Where no such run is possible,
 * it goes element by element. Registers and the count of instructions are correct after every run,
 * so that a fault or the deadline may come between any two.
 */
#include "cpu/exec/target.h"

struct string {
    u32 size;  /* of an element */
    bool down; /* DF */
    bool repeated;
    bool flat;     /* no segment limits or wrapping inside a page */
    u64 mask;      /* of the address size */
    u64 count;     /* iterations left; 1 without REP */
    u64 allowance; /* before the deadline */
};

static u32 element_size(const struct insn *in)
{
    for (u32 i = 0; i < in->operands; i++)
        if (in->o[i].kind == OPERAND_MEM)
            return in->o[i].size;
    return in->opsize;
}

static struct string string_begin(const struct cpu *c, const struct insn *in)
{
    struct string s = {.size = element_size(in),
                       .down = (c->arch.rflags & RFLAGS_DF) != 0,
                       .mask = size_mask(in->addrsize)};
    s.repeated = (in->prefixes & (PREFIX_REP | PREFIX_REPNE)) != 0;
    s.flat = c->engine.mode & MODE_CODE64 ? in->addrsize == 8
                                          : c->engine.mode & MODE_FLAT && in->addrsize == 4;
    s.count = s.repeated ? c->arch.r[RCX] & s.mask : 1;
    s.allowance = s.repeated ? rep_allowance(c) : 1;
    return s;
}

/* Returns the number of elements from `linear` to the end of its page, in the direction of DF. */
static u64 elements_in_page(const struct string *s, u64 linear)
{
    u64 offset = linear & PAGE_MASK;
    if (s->down)
        return offset + s->size <= PAGE_SIZE ? offset / s->size + 1 : 0;
    return (PAGE_SIZE - offset) / s->size;
}

static u64 piece(const struct string *s, u64 linear)
{
    return min_u64(min_u64(s->count, s->allowance), elements_in_page(s, linear));
}

static void advance(struct cpu *c, const struct insn *in, const struct string *s, u8 reg,
                    u64 elements)
{
    u64 by = elements * s->size;
    gpr_write(c, reg, in->addrsize, s->down ? c->arch.r[reg] - by : c->arch.r[reg] + by);
}

/* Accounts for `elements` more elements that are done. */
static void account(struct cpu *c, const struct insn *in, struct string *s, u64 elements)
{
    if (!s->repeated)
        return;
    s->count -= elements;
    s->allowance -= elements;
    gpr_write(c, RCX, in->addrsize, s->count);
    c->engine.left -= (s64)elements;
}

/* Returns true if there is another run to do. The block counted one instruction; the iterations
 * were counted above. */
static bool more(struct cpu *c, struct string *s, bool stop)
{
    if (!s->repeated)
        return false;
    bool done = s->count == 0 || stop;
    if (!done && s->allowance)
        return true;
    c->engine.left++;
    if (!done)
        cpu_again(c);
    return false;
}

static u64 source_linear(struct cpu *c, const struct insn *in, const struct string *s)
{
    return linear_address(c, in->segment, c->arch.r[RSI] & s->mask, s->size, false);
}

static u64 destination_linear(struct cpu *c, const struct string *s, bool write)
{
    return linear_address(c, SEG_ES, c->arch.r[RDI] & s->mask, s->size, write);
}

static bool same_host_page(const u8 *a, const u8 *b)
{
    return (uintptr_t)a >> PAGE_SHIFT == (uintptr_t)b >> PAGE_SHIFT;
}

/* --- MOVS ------------------------------------------------------------------------------------- */

/* Copies upwards, element by element, as the instruction is defined: an overlap repeats a
 * pattern. */
static void copy_up(u8 *to, const u8 *from, u64 bytes, u32 size)
{
    if (to <= from || to >= from + bytes) {
        memmove(to, from, bytes);
        return;
    }
    for (u64 i = 0; i < bytes; i += size) {
        u64 v;
        memcpy(&v, from + i, size);
        memcpy(to + i, &v, size);
    }
}

static u64 movs_piece(struct cpu *c, const struct string *s, u64 from, u64 to)
{
    u64 n = min_u64(piece(s, from), piece(s, to));
    if (n >= 2 && s->flat && !s->down) {
        const u8 *source = mmu_window(c, from, false);
        u8 *destination = mmu_window(c, to, true);
        /* One frame at two addresses may be needed in two views, so it is not copied in one run. */
        bool alias = source && destination && same_host_page(source, destination) &&
                     (from ^ to) >> PAGE_SHIFT;
        if (source && destination && !alias) {
            copy_up(destination, source, n * s->size, s->size);
            return n;
        }
    }
    store(c, to, s->size, load(c, from, s->size));
    return 1;
}

void exec_movs(struct cpu *c, const struct insn *in)
{
    struct string s = string_begin(c, in);
    if (!s.count)
        return;
    do {
        u64 from = source_linear(c, in, &s);
        u64 n = movs_piece(c, &s, from, destination_linear(c, &s, true));
        advance(c, in, &s, RSI, n);
        advance(c, in, &s, RDI, n);
        account(c, in, &s, n);
    } while (more(c, &s, false));
}

/* --- STOS, LODS ------------------------------------------------------------------------------- */

static void fill(u8 *to, u64 elements, u32 size, u64 value)
{
    if (size == 1 || value == 0) {
        memset(to, (int)(value & 0xff), elements * size);
        return;
    }
    for (u64 i = 0; i < elements; i++)
        memcpy(to + i * size, &value, size);
}

void exec_stos(struct cpu *c, const struct insn *in)
{
    struct string s = string_begin(c, in);
    if (!s.count)
        return;
    u64 value = gpr_read(c, RAX, s.size);
    do {
        u64 to = destination_linear(c, &s, true), n = piece(&s, to);
        u8 *window = n >= 2 && s.flat && !s.down ? mmu_window(c, to, true) : NULL;
        if (window) {
            fill(window, n, s.size, value);
        } else {
            n = 1;
            store(c, to, s.size, value);
        }
        advance(c, in, &s, RDI, n);
        account(c, in, &s, n);
    } while (more(c, &s, false));
}

void exec_lods(struct cpu *c, const struct insn *in)
{
    struct string s = string_begin(c, in);
    if (!s.count)
        return;
    do {
        gpr_write(c, RAX, s.size, load(c, source_linear(c, in, &s), s.size));
        advance(c, in, &s, RSI, 1);
        account(c, in, &s, 1);
    } while (more(c, &s, false));
}

/* --- CMPS, SCAS ------------------------------------------------------------------------------- */

/* Returns true if the comparison stops: REPE continues while equal, REPNE while different. */
static bool stops(const struct insn *in, bool equal)
{
    return in->prefixes & PREFIX_REPNE ? equal : !equal;
}

/* Returns how many of n elements are done, up to and including the one that stops; a or b may be a
 * constant (step 0). */
static u64 compare_run(const struct insn *in, const u8 *a, u64 step, const u8 *b, u64 n, u32 size)
{
    for (u64 i = 0; i < n; i++)
        if (stops(in, memcmp(a + i * step, b + i * size, size) == 0))
            return i + 1;
    return n;
}

static u64 bytes_value(const u8 *p, u32 size)
{
    u64 v = 0;
    memcpy(&v, p, size);
    return v;
}

/* Compares one run; leaves the operands of its last element in *x and *y. */
static u64 cmps_piece(struct cpu *c, const struct insn *in, const struct string *s, u64 from,
                      u64 to, u64 *x, u64 *y)
{
    u64 n = min_u64(piece(s, from), piece(s, to));
    if (n >= 2 && s->flat && !s->down) {
        const u8 *a = mmu_window(c, from, false), *b = mmu_window(c, to, false);
        bool alias = a && b && same_host_page(a, b) && (from ^ to) >> PAGE_SHIFT;
        if (a && b && !alias) {
            n = compare_run(in, a, s->size, b, n, s->size);
            *x = bytes_value(a + (n - 1) * s->size, s->size);
            *y = bytes_value(b + (n - 1) * s->size, s->size);
            return n;
        }
    }
    *x = load(c, from, s->size);
    *y = load(c, to, s->size);
    return 1;
}

void exec_cmps(struct cpu *c, const struct insn *in)
{
    struct string s = string_begin(c, in);
    if (!s.count)
        return;
    u64 x, y;
    do {
        u64 from = source_linear(c, in, &s);
        u64 n = cmps_piece(c, in, &s, from, destination_linear(c, &s, false), &x, &y);
        alu(c, ALU_CMP, s.size, true, x, y);
        advance(c, in, &s, RSI, n);
        advance(c, in, &s, RDI, n);
        account(c, in, &s, n);
    } while (more(c, &s, stops(in, x == y)));
}

static u64 scas_piece(struct cpu *c, const struct insn *in, const struct string *s, u64 to,
                      u64 value, u64 *y)
{
    u64 n = piece(s, to);
    const u8 *b = n >= 2 && s->flat && !s->down ? mmu_window(c, to, false) : NULL;
    if (b) {
        n = compare_run(in, (const u8 *)&value, 0, b, n, s->size);
        *y = bytes_value(b + (n - 1) * s->size, s->size);
        return n;
    }
    *y = load(c, to, s->size);
    return 1;
}

void exec_scas(struct cpu *c, const struct insn *in)
{
    struct string s = string_begin(c, in);
    if (!s.count)
        return;
    u64 x = gpr_read(c, RAX, s.size), y;
    do {
        u64 n = scas_piece(c, in, &s, destination_linear(c, &s, false), x, &y);
        alu(c, ALU_CMP, s.size, true, x, y);
        advance(c, in, &s, RDI, n);
        account(c, in, &s, n);
    } while (more(c, &s, stops(in, x == y)));
}
