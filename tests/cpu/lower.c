/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lowering makes of instructions, read from the uops alone: each row is an instruction
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

static u32 lower_code(struct code code, struct place at, struct uop *u)
{
    static struct insn in;
    return decode(&in, code.bytes, (u32)code.size, at.mode) == DECODE_OK ? lower(&in, &at, u) : 0;
}

static void uops_say_what_an_instruction_does(void **state)
{
    (void)state;
    const struct {
        struct code code;
        const char *uops;
    } rows[] = {
        /* register fields of 1 byte are offsets: BL is 24 */
        {ASM("add eax, ebx"), "ADD.4 flags s=3"},
        {ASM("add rax, rbx"), "ADD.8 flags s=3"},
        {ASM("sub cx, bx"), "SUB.2 flags d=1 s=3"},
        {ASM("add ah, bl"), "ADD.1 flags d=1 s=24"},
        {ASM("add ebx, 5"), "ADD.4 flags d=3 imm=5"},
        {ASM("add eax, [rbx + 8]"), "ADD.4 [3+16<<0+8] flags"},
        {ASM("adc [rbx + rax*4 + 0x10], ecx"), "ADC.4 [3+0<<2+16] first flags s=1"},
        {ASM("xor byte ptr [rbx], 0xff"), "XOR.1 [3+16<<0+0] first flags imm=ff"},
        {ASM("cmp eax, ecx"), "CMP.4 flags s=1"},
        {ASM("test byte ptr [rbx], 1"), "TEST.1 [3+16<<0+0] first flags imm=1"},
        {ASM("inc ebx"), "INC.4 flags d=3"},
        {ASM("dec byte ptr [rbx]"), "DEC.1 [3+16<<0+0] first flags"},
        {ASM("not ecx"), "NOT.4 d=1"},
        {ASM("neg ecx"), "NEG.4 flags d=1"},
        {ASM("shl eax, 3"), "SHL.4 flags aux=3 imm=0"},
        {ASM("shr ecx, cl"), "SHR.4 flags d=1"},
        {ASM("sar rax, 0x3f"), "SAR.8 flags aux=63 imm=0"},
        {ASM("mul ecx"), "MUL.4 flags s=1"},
        {ASM("div ecx"), "DIV.4 s=1"},
        {ASM("imul eax, ecx"), "IMUL.4 flags s=1"},
        {ASM("imul ecx, [rbx + 4], 7"), "IMUL.4 [3+16<<0+4] flags d=1 imm=7"},
        {ASM("bt eax, ecx"), "BT.4 flags s=1"},
        {ASM("bt eax, 0x1f"), "BT.4 flags aux=31 imm=0"},
        {ASM("mov eax, ebx"), "MOV.4 s=3"},
        {ASM("mov eax, 1"), "MOV.4 imm=1"},
        {ASM("mov eax, [rip + 0x10]"), "MOV.4 [18+16<<0+22]"}, /* behind the instruction */
        {ASM("mov [rbx], ecx"), "MOV.4 [3+16<<0+0] first s=1"},
        {ASM("mov eax, fs:[0x10]"), "ADDRESS_SEGMENT.8 disp=16 aux=4; MOV.4 [17+16<<0+0]"},
        {ASM("mov eax, [ebx]"), "ADDRESS.1 disp=4 insn; MOV.4 [17+16<<0+0]"},
        {ASM("movzx eax, bl"), "MOVZX.1 s=24"},
        {ASM("movsx rax, bx"), "MOVSX.2 aux=8 s=3"},
        {ASM("movsxd rax, [rbx]"), "MOVSX.4 [3+16<<0+0] aux=8"},
        {ASM("lea eax, [rbx + rcx*4 + 4]"), "LEA.4 [3+1<<2+4]"},
        {ASM("cmove eax, ecx"), "CMOV.4 aux=4 s=1"},
        {ASM("setne cl"), "SETCC.1 aux=5 d=8"},
        {ASM("setne [rbx]"), "SETCC.1 [3+16<<0+0] first aux=5"},
        {ASM("xchg [rbx], ecx"), "XCHG.4 [3+16<<0+0] first s=1"},
        {ASM("bswap rcx"), "BSWAP.8 d=1"},
        {ASM("cwde"), "EXTEND_RAX.4"},
        {ASM("cqo"), "EXTEND_INTO_RDX.8"},
        {ASM("push rbx"), "PUSH.8 s=3"},
        {ASM("push 7"), "PUSH.8 imm=7"},
        {ASM("push [rbx]"), "PUSH.8 [3+16<<0+0]"},
        {ASM("pop rbx"), "POP.8 d=3"},
        {ASM("leave"), "LEAVE_FRAME.8"},
        {ASM("jne . + 18"), "JCC.1 aux=5; LINK.1 disp=2; LINK.1 disp=18"},
        {ASM("jmp . + 4101"), "JUMP.1; FAR_LINK.1 disp=4101"},
        {ASM("jmp . + 4081"), "JUMP.1; LINK.1 disp=4081"},
        {ASM("jmp . + 4082"), "JUMP.1; FAR_LINK.1 disp=4082"}, /* may end in the next page */
        {ASM("call . + 21"), "CALL.8; LINK.1 disp=21; LINK.1 disp=5"},
        {ASM("jmp rax"), "JUMP_TO.8"},
        {ASM("call [rbx]"), "CALL_TO.8 [3+16<<0+0]; LINK.1 disp=2"},
        {ASM("ret"), "RET.8"},
        {ASM("pxor xmm1, xmm2"), "VECTOR pxor.4 d=1 s=2"},
        {ASM("pxor xmm1, [rbx]"), "VECTOR pxor.4 [3+16<<0+0] d=1"},
        {ASM("psllw xmm1, 5"), "VECTOR psllw.4 d=1 imm=5"},
        {ASM("pshufd xmm1, xmm2, 0x1b"), "VECTOR pshufd.4 d=1 s=2 imm=1b"},
        {ASM("movaps [rbx], xmm1"), "VECTOR movaps.4 [3+16<<0+0] first s=1"},
        {ASM("movq rax, xmm1"), "VECTOR movd.8 aux=1 s=1"},
        {ASM("movd xmm1, eax"), "VECTOR movd.4 d=1"},
        {ASM("addss xmm1, xmm2"), "VECTOR addss.4 d=1 s=2 insn"},
        {ASM("cpuid"), "GENERIC.1 insn"},
        {ASM("hlt"), "GENERIC_END.1 insn"},
        {ASM("rdtsc"), "GENERIC_CHECKED.1 insn"},
        {ASM("pushfq"), "GENERIC_CHECKED.1 insn"},
        {ASM("ud2"), "GENERIC_END.1 insn"},
        {ASM("nop"), ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct uop u[LOWER_MAX];
        struct place at = {.mode = MODE_64, .flags = true};
        struct text t = uops_text(u, lower_code(rows[i].code, at, u));
        if (strcmp(t.bytes, rows[i].uops))
            fail_msg("row %zu: %s, not %s", i, t.bytes, rows[i].uops);
    }
}

static void a_comparison_and_its_jump_are_one_uop(void **state)
{
    (void)state;
    const struct {
        struct code code;
        u32 first; /* size of the comparison */
        const char *uops;
    } pairs[] = {
        {ASM("cmp eax, ecx; jl . + 18"), 2,
         "CMP_JCC.4 flags aux=12 s=1; LINK.1 disp=4; LINK.1 disp=20"},
        {ASM("cmp ecx, 7; je . + 18"), 3,
         "CMP_JCC.4 flags aux=4 d=1 imm=7; LINK.1 disp=5; LINK.1 disp=21"},
        {ASM("cmp ecx, [rbx]; je . + 18"), 2,
         "CMP_JCC.4 [3+16<<0+0] flags aux=4 d=1; LINK.1 disp=4; LINK.1 disp=20"},
        {ASM("test byte ptr [rbx], 1; jne . + 18"), 3,
         "TEST_JCC.1 [3+16<<0+0] first flags aux=5 imm=1; LINK.1 disp=5; LINK.1 disp=21"},
        {ASM("cmp [rbx], ecx; je . + 18"), 2, ""}, /* CMP m, r has no such form */
    };
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        struct insn first, jump;
        struct uop u[LOWER_MAX];
        struct place at = {.mode = MODE_64, .flags = true};
        const u8 *code = pairs[i].code.bytes;
        assert_int_equal(decode(&first, code, pairs[i].first, MODE_64), DECODE_OK);
        assert_int_equal(decode(&jump, code + pairs[i].first, 2, MODE_64), DECODE_OK);
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
    u32 n = lower_code((struct code){code, size}, at, u);
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
    const struct code compares[] = {
        ASM("cmp al, cl"),
        ASM("cmp ax, cx"),
        ASM("cmp eax, ecx"),
        ASM("cmp rax, rcx"),
        ASM("cmp cl, 7"),
        ASM("cmp ecx, 7"),
        ASM("cmp cl, [rbx]"),
        ASM("cmp ecx, [rbx]"),
        ASM("cmp byte ptr [rbx], 7"),
        ASM("cmp dword ptr [rbx], 7"),
        ASM("test al, cl"),
        ASM("test eax, ecx"),
        ASM("test al, 7"),
        ASM("test byte ptr [rbx], 7"),
        ASM("cmp rcx, [rbx]"),
        ASM("cmp cx, [rbx]"),
        ASM("test rax, rcx"),
    };
    for (size_t i = 0; i < ARRAY_SIZE(compares); i++)
        for (u8 cc = 0; cc < 16; cc++) {
            u8 jcc[] = {(u8)(0x70 + cc), 0x10};
            struct insn first, jump;
            struct uop u[LOWER_MAX];
            struct place at = {.mode = MODE_64, .flags = true};
            assert_int_equal(decode(&first, compares[i].bytes, (u32)compares[i].size, MODE_64),
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
    harness_code(&h, ASM("inc eax; inc ecx"), NULL);
    harness_reset(&h, HARNESS_64);
    const struct block *b = block_at(h.cpu);
    assert_non_null(b);
    assert_string_equal(uops_text(b->uop, 4).bytes,
                        "ENTER.1 aux=3; INC.4; INC.4 flags d=1; GENERIC_END.1 insn");
    for (u32 i = 1; i < 4; i++) {
        assert_int_equal(uop_index(&b->uop[i]), i - 1);
        assert_int_equal(uop_offset(&b->uop[i]), 2 * (i - 1));
    }
    harness_write_code(&h, HARNESS_CODE, ASM("nop"));
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
