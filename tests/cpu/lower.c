/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lowering makes of instructions, read from the uops alone: each row is a few bytes of code
 * and the uops by name. One handler stands for each op, form and aux.
 */
#include "cpu/engine/engine.h"
#include "harness.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define MODE_64 (MODE_CODE64 | MODE_LMA | MODE_PE | MODE_SSE)

/* --- Uops in words ---------------------------------------------------------------------------- */

struct text {
    char bytes[512];
    size_t used;
};

static void add(struct text *t, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = vsnprintf(t->bytes + t->used, sizeof t->bytes - t->used, format, list);
    va_end(list);
    assert_true(n >= 0 && (size_t)n < sizeof t->bytes - t->used);
    t->used += (size_t)n;
}

static const char *vector_name(u32 id)
{
    for (u32 i = 0; i < opcode_count; i++)
        if (opcode_table[i].id == id)
            return opcode_table[i].name;
    return "?";
}

/* NAME.size place flags aux d s imm, what is not zero. */
static void add_uop(struct text *t, const struct uop *u)
{
    static const char *const names[] = {
#define UOP_NAME(name) [UOP_##name] = #name,
        UOP_OPS(UOP_NAME)
#undef UOP_NAME
    };
    add(t, "%s", t->used ? "; " : "");
    if (u->op >= UOP_VECTOR)
        add(t, "VECTOR %s", vector_name(u->op - UOP_VECTOR));
    else
        add(t, "%s", names[u->op]);
    add(t, ".%u", 1u << (u->form & FORM_SIZE));
    if (u->form & FORM_PLACE)
        add(t, " [%u+%u<<%u+%d]", u->b, u->x, u->scale, u->disp);
    else if (u->disp)
        add(t, " disp=%d", u->disp);
    add(t, "%s", u->form & FORM_MEMORY_FIRST ? " first" : "");
    add(t, "%s", u->form & FORM_FLAGS ? " flags" : "");
    if (u->aux)
        add(t, " aux=%u", u->aux);
    if (u->d)
        add(t, " d=%u", u->d);
    if (u->s)
        add(t, " s=%u", u->s);
    if (u->form & FORM_INSN)
        add(t, " insn");
    else if (u->form & FORM_IMM)
        add(t, " imm=%" PRIx64, u->imm);
}

static struct text uops_text(const struct uop *u, u32 count)
{
    struct text t = {.used = 0};
    for (u32 i = 0; i < count; i++)
        add_uop(&t, &u[i]);
    return t;
}

/* --- Identity --------------------------------------------------------------------------------- */

#define ROW(code_, uops_)                                                                          \
    {                                                                                              \
        .code = (code_), .size = sizeof(code_) - 1, .uops = (uops_)                                \
    }

static const struct {
    const char *code;
    size_t size;
    const char *uops;
} rows[] = {
    /* register fields of 1 byte are offsets: BL is 24 */
    ROW("\x01\xd8", "ADD.4 flags s=3"),
    ROW("\x48\x01\xd8", "ADD.8 flags s=3"),
    ROW("\x66\x29\xd9", "SUB.2 flags d=1 s=3"),
    ROW("\x00\xdc", "ADD.1 flags d=1 s=24"),
    ROW("\x83\xc3\x05", "ADD.4 flags d=3 imm=5"),
    ROW("\x03\x43\x08", "ADD.4 [3+16<<0+8] flags"),
    ROW("\x11\x4c\x83\x10", "ADC.4 [3+0<<2+16] first flags s=1"),
    ROW("\x80\x33\xff", "XOR.1 [3+16<<0+0] first flags imm=ff"),
    ROW("\x39\xc8", "CMP.4 flags s=1"),
    ROW("\xf6\x03\x01", "TEST.1 [3+16<<0+0] first flags imm=1"),
    ROW("\xff\xc3", "INC.4 flags d=3"),
    ROW("\xfe\x0b", "DEC.1 [3+16<<0+0] first flags"),
    ROW("\xf7\xd1", "NOT.4 d=1"),
    ROW("\xf7\xd9", "NEG.4 flags d=1"),
    ROW("\xc1\xe0\x03", "SHL.4 flags aux=3 imm=0"),
    ROW("\xd3\xe9", "SHR.4 flags d=1"),
    ROW("\x48\xc1\xf8\x3f", "SAR.8 flags aux=63 imm=0"),
    ROW("\xf7\xe1", "MUL.4 flags s=1"),
    ROW("\xf7\xf1", "DIV.4 s=1"),
    ROW("\x0f\xaf\xc1", "IMUL.4 flags s=1"),
    ROW("\x6b\x4b\x04\x07", "IMUL.4 [3+16<<0+4] flags d=1 imm=7"),
    ROW("\x0f\xa3\xc8", "BT.4 flags s=1"),
    ROW("\x0f\xba\xe0\x1f", "BT.4 flags aux=31 imm=0"),
    ROW("\x89\xd8", "MOV.4 s=3"),
    ROW("\xb8\x01\x00\x00\x00", "MOV.4 imm=1"),
    ROW("\x8b\x05\x10\x00\x00\x00", "MOV.4 [18+16<<0+22]"), /* behind the instruction */
    ROW("\x89\x0b", "MOV.4 [3+16<<0+0] first s=1"),
    ROW("\x64\x8b\x04\x25\x10\x00\x00\x00", "ADDRESS_SEGMENT.8 disp=16 aux=4; MOV.4 [17+16<<0+0]"),
    ROW("\x67\x8b\x03", "ADDRESS.1 disp=4 insn; MOV.4 [17+16<<0+0]"),
    ROW("\x0f\xb6\xc3", "MOVZX.1 s=24"),
    ROW("\x48\x0f\xbf\xc3", "MOVSX.2 aux=8 s=3"),
    ROW("\x48\x63\x03", "MOVSX.4 [3+16<<0+0] aux=8"),
    ROW("\x8d\x44\x8b\x04", "LEA.4 [3+1<<2+4]"),
    ROW("\x0f\x44\xc1", "CMOV.4 aux=4 s=1"),
    ROW("\x0f\x95\xc1", "SETCC.1 aux=5 d=8"),
    ROW("\x0f\x95\x03", "SETCC.1 [3+16<<0+0] first aux=5"),
    ROW("\x87\x0b", "XCHG.4 [3+16<<0+0] first s=1"),
    ROW("\x48\x0f\xc9", "BSWAP.8 d=1"),
    ROW("\x98", "EXTEND_RAX.4"),
    ROW("\x48\x99", "EXTEND_INTO_RDX.8"),
    ROW("\x53", "PUSH.8 s=3"),
    ROW("\x6a\x07", "PUSH.8 imm=7"),
    ROW("\xff\x33", "PUSH.8 [3+16<<0+0]"),
    ROW("\x5b", "POP.8 d=3"),
    ROW("\xc9", "LEAVE_FRAME.8"),
    ROW("\x75\x10", "JCC.1 aux=5; LINK.1 disp=2; LINK.1 disp=18"),
    ROW("\xe9\x00\x10\x00\x00", "JUMP.1; FAR_LINK.1 disp=4101"),
    ROW("\xe8\x10\x00\x00\x00", "CALL.8; LINK.1 disp=21"),
    ROW("\xff\xe0", "JUMP_TO.8"),
    ROW("\xff\x13", "CALL_TO.8 [3+16<<0+0]"),
    ROW("\xc3", "RET.8"),
    ROW("\x66\x0f\xef\xca", "VECTOR pxor.4 d=1 s=2"),
    ROW("\x66\x0f\xef\x0b", "VECTOR pxor.4 [3+16<<0+0] d=1"),
    ROW("\x66\x0f\x71\xf1\x05", "VECTOR psllw.4 d=1 imm=5"),
    ROW("\x66\x0f\x70\xca\x1b", "VECTOR pshufd.4 d=1 s=2 imm=1b"),
    ROW("\x0f\x29\x0b", "VECTOR movaps.4 [3+16<<0+0] first s=1"),
    ROW("\x66\x48\x0f\x7e\xc8", "VECTOR movd.8 aux=1 s=1"),
    ROW("\x66\x0f\x6e\xc8", "VECTOR movd.4 d=1"),
    ROW("\xf3\x0f\x58\xca", "VECTOR addss.4 d=1 s=2 insn"),
    ROW("\x0f\xa2", "GENERIC.1 insn"),         /* CPUID */
    ROW("\xf4", "GENERIC_END.1 insn"),         /* HLT */
    ROW("\x0f\x31", "GENERIC_CHECKED.1 insn"), /* RDTSC */
    ROW("\x9c", "GENERIC_CHECKED.1 insn"),     /* PUSHF */
    ROW("\x0f\x0b", "GENERIC_END.1 insn"),     /* UD2 */
    ROW("\x90", ""),                           /* NOP */
};

static u32 lower_code(const void *code, size_t size, struct place at, struct uop *u)
{
    static struct insn in;
    return decode(&in, code, (u32)size, at.mode) == DECODE_OK ? lower(&in, &at, u) : 0;
}

static void uops_say_what_an_instruction_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct uop u[LOWER_MAX];
        struct place at = {.mode = MODE_64, .flags = true};
        struct text t = uops_text(u, lower_code(rows[i].code, rows[i].size, at, u));
        if (strcmp(t.bytes, rows[i].uops))
            fail_msg("row %zu: %s, not %s", i, t.bytes, rows[i].uops);
    }
}

static void a_comparison_and_its_jump_are_one_uop(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        u32 size;
        const char *uops;
    } pairs[] = {
        {"\x39\xc8\x7c\x10", 2, "CMP_JCC.4 flags aux=12 s=1; LINK.1 disp=4; LINK.1 disp=20"},
        {"\x83\xf9\x07\x74\x10", 3,
         "CMP_JCC.4 flags aux=4 d=1 imm=7; LINK.1 disp=5; LINK.1 disp=21"},
        {"\x3b\x0b\x74\x10", 2,
         "CMP_JCC.4 [3+16<<0+0] flags aux=4 d=1; LINK.1 disp=4; LINK.1 disp=20"},
        {"\xf6\x03\x01\x75\x10", 3,
         "TEST_JCC.1 [3+16<<0+0] first flags aux=5 imm=1; LINK.1 disp=5; LINK.1 disp=21"},
        {"\x39\x0b\x74\x10", 2, ""}, /* CMP m, r has no such form */
    };
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        struct insn first, jump;
        struct uop u[LOWER_MAX];
        struct place at = {.mode = MODE_64, .flags = true};
        const u8 *code = (const u8 *)pairs[i].code;
        assert_int_equal(decode(&first, code, pairs[i].size, MODE_64), DECODE_OK);
        assert_int_equal(decode(&jump, code + pairs[i].size, 2, MODE_64), DECODE_OK);
        struct text t = uops_text(u, lower_fused(&first, &jump, &at, u));
        if (strcmp(t.bytes, pairs[i].uops))
            fail_msg("row %zu: %s, not %s", i, t.bytes, pairs[i].uops);
    }
}

/* --- One handler for each identity ------------------------------------------------------------ */

#define IDENTITIES 65536u

struct identity {
    u32 key;
    uop_fn *fn;
};

static struct identity seen[IDENTITIES];

/* Finds the handler seen under this identity, or enters it. */
static void note(const struct uop *u)
{
    u32 key = (u32)u->op << 16 | (u32)u->form << 8 | u->aux;
    u32 slot = key * 2654435761u >> 16;
    while (seen[slot].fn && seen[slot].key != key)
        slot = (slot + 1) % IDENTITIES;
    if (!seen[slot].fn)
        seen[slot] = (struct identity){key, u->fn};
    if (seen[slot].fn != u->fn)
        fail_msg("two handlers: %s", uops_text(u, 1).bytes);
}

static u32 handlers_seen(void)
{
    static uop_fn *handlers[IDENTITIES];
    u32 count = 0;
    for (u32 i = 0; i < IDENTITIES; i++) {
        u32 n = 0;
        while (seen[i].fn && n < count && handlers[n] != seen[i].fn)
            n++;
        if (seen[i].fn && n == count)
            handlers[count++] = seen[i].fn;
    }
    return count;
}

static void note_all(const u8 *code, size_t size, struct place at)
{
    struct uop u[LOWER_MAX];
    u32 n = lower_code(code, size, at, u);
    for (u32 i = 0; i < n; i++)
        note(&u[i]);
}

/* One opcode behind some prefixes, with ModRM bytes for each digit and place. */
static void note_opcode(const u8 *prefix, size_t prefixes, u8 opcode, bool map_0f)
{
    static const u8 tails[][8] = {
        {0xc1},       {0xc4}, {0x03},
        {0x04, 0x8b}, {0x05}, /* CL and RCX, AH and RSP, [rbx], indexed, RIP */
    };
    u8 code[16] = {0};
    memcpy(code, prefix, prefixes);
    size_t n = prefixes;
    if (map_0f)
        code[n++] = 0x0f;
    code[n++] = opcode;
    for (size_t i = 0; i < ARRAY_SIZE(tails); i++)
        for (u8 digit = 0; digit < 8; digit++) {
            memcpy(code + n, tails[i], sizeof tails[i]);
            code[n] |= (u8)(digit << 3);
            memset(code + n + 2, 0x11, sizeof code - n - 2); /* displacements and immediates */
            for (u32 flags = 0; flags < 2; flags++)
                note_all(code, 15, (struct place){.mode = MODE_64, .flags = flags});
            note_all(code, 15, (struct place){.mode = MODE_64, .flags = true, .single = true});
        }
}

static void note_fused(void)
{
    static const char *const compares[] = {
        "\x38\xc8", "\x66\x39\xc8", "\x39\xc8",     "\x48\x39\xc8", "\x80\xf9\x07", "\x83\xf9\x07",
        "\x3a\x0b", "\x3b\x0b",     "\x80\x3b\x07", "\x83\x3b\x07", "\x84\xc8",     "\x85\xc8",
        "\xa8\x07", "\xf6\x03\x07", "\x48\x3b\x0b", "\x66\x3b\x0b", "\x48\x85\xc8",
    };
    for (size_t i = 0; i < ARRAY_SIZE(compares); i++)
        for (u8 cc = 0; cc < 16; cc++) {
            u8 jcc[] = {(u8)(0x70 + cc), 0x10};
            struct insn first, jump;
            struct uop u[LOWER_MAX];
            struct place at = {.mode = MODE_64, .flags = true};
            assert_int_equal(
                decode(&first, (const u8 *)compares[i], (u32)strlen(compares[i]), MODE_64),
                DECODE_OK);
            assert_int_equal(decode(&jump, jcc, 2, MODE_64), DECODE_OK);
            assert_true(lower_fused(&first, &jump, &at, u) > 0);
            note(u);
        }
}

static void no_two_handlers_share_an_identity(void **state)
{
    (void)state;
    static const struct {
        u8 bytes[2];
        u8 count;
    } prefixes[] = {
        {{0}, 0},          {{0x66}, 1},       {{0x48}, 1},       {{0xf3}, 1}, {{0xf2}, 1},
        {{0x66, 0x48}, 2}, {{0xf3, 0x48}, 2}, {{0xf2, 0x48}, 2}, {{0x64}, 1}, {{0x67}, 1},
    };
    for (size_t p = 0; p < ARRAY_SIZE(prefixes); p++)
        for (u32 opcode = 0; opcode < 256; opcode++) {
            note_opcode(prefixes[p].bytes, prefixes[p].count, (u8)opcode, false);
            note_opcode(prefixes[p].bytes, prefixes[p].count, (u8)opcode, true);
        }
    note_fused();
    u32 handlers = handlers_seen();
    if (handlers < 1000)
        fail_msg("only %u handlers were seen", handlers);
}

/* --- Patching --------------------------------------------------------------------------------- */

static void a_dead_block_says_so(void **state)
{
    (void)state;
    static struct harness h;
    assert_true(harness_create(&h));
    harness_reset(&h, HARNESS_64);
    harness_code(&h, "\xff\xc0\xff\xc1", 4, NULL); /* inc eax; inc ecx; hlt */
    harness_reset(&h, HARNESS_64);
    const struct block *b = block_at(h.cpu);
    assert_non_null(b);
    assert_string_equal(uops_text(b->uop, 4).bytes,
                        "ENTER.1 aux=3; INC.4; INC.4 flags d=1; GENERIC_END.1 insn");
    for (u32 i = 1; i < 4; i++) {
        assert_int_equal(uop_index(&b->uop[i]), i - 1);
        assert_int_equal(uop_offset(&b->uop[i]), 2 * (i - 1));
    }
    harness_write(&h, HARNESS_CODE, "\x90", 1);
    assert_true(b->dead);
    assert_int_equal(b->uop[0].op, UOP_STALE);
    harness_destroy(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uops_say_what_an_instruction_does),
        cmocka_unit_test(a_comparison_and_its_jump_are_one_uop),
        cmocka_unit_test(no_two_handlers_share_an_identity),
        cmocka_unit_test(a_dead_block_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
