/* SPDX-License-Identifier: Apache-2.0 */
/* Every MMX and SSE instruction of opcodes.def against the host: register and memory forms,
 * edge values, all of MXCSR. */
#include "native.h"

static const u8 prefixes[4] = {0, 0x66, 0xf3, 0xf2};

/* Bytes of prefix, REX, map, opcode, ModRM and an immediate;
 * returns how many stand before ModRM. */
static u32 assemble(u8 *bytes, u8 prefix, u8 rex, u32 map, u8 opcode)
{
    u32 n = 0;
    if (prefix)
        bytes[n++] = prefix;
    if (rex)
        bytes[n++] = rex;
    bytes[n++] = 0x0f;
    if (map)
        bytes[n++] = map == 1 ? 0x38 : 0x3a;
    bytes[n++] = opcode;
    return n;
}

static bool wanted(const struct insn *in)
{
    if (in->o[0].kind == OPERAND_GPR && in->o[0].reg == RSP) /* the host needs it */
        return false;
    return (in->op->attributes & (OP_SSE | OP_MMX)) && !(in->op->attributes & OP_FUZZ_SKIP);
}

struct tally {
    u32 forms, failed;
};

/* One opcode with all ModRM given in `forms`, if it is an MMX or SSE instruction. */
static void try_opcode(struct native *n, u8 prefix, u8 rex, u32 map, u8 opcode, u32 trials,
                       struct tally *tally, u64 *seed)
{
    /* xmm0 xmm1; xmm1 xmm0; xmm2 xmm2; [rsi], [rsi+8], [rsi+1] into 1;
     * the group digits with register 1 */
    static const u8 forms[][2] = {{0xc1}, {0xc8}, {0xd2}, {0x0e}, {0x4e, 8}, {0x4e, 1},
                                  {0xd1}, {0xe1}, {0xf1}, {0xd9}, {0xf9}};
    for (u32 f = 0; f < ARRAY_SIZE(forms); f++) {
        u8 bytes[16] = {0};
        struct insn in;
        if (map == 0 && (opcode == 0x38 || opcode == 0x3a)) /* the other maps */
            return;
        u32 at = assemble(bytes, prefix, rex, map, opcode);
        bytes[at] = forms[f][0];
        bytes[at + 1] = forms[f][1];
        if (decode(&in, bytes, sizeof bytes, n->cpu->engine.mode) != DECODE_OK || !wanted(&in))
            continue;
        tally->forms++;
        bool has_immediate = in.length > at + 1 + (forms[f][0] == 0x4e);
        for (u32 i = 0; i < (has_immediate ? 48 : 1); i++) {
            if (has_immediate)
                bytes[in.length - 1] = i < 16 ? (u8)i : (u8)native_random(seed);
            if (native_compare(n, bytes, sizeof bytes, has_immediate ? trials / 24 : trials, seed))
                continue;
            tally->failed++;
            break;
        }
    }
}

static void every_sse_and_mmx_instruction_does_what_the_host_does(void **state)
{
    struct native *n = native_open();
    struct tally tally = {0, 0};
    u64 seed = 0x123456789;
    (void)state;
    for (u32 map = 0; map < 3; map++)
        for (u32 p = 0; p < ARRAY_SIZE(prefixes); p++)
            for (u32 opcode = 0; opcode < 256; opcode++) {
                try_opcode(n, prefixes[p], 0, map, (u8)opcode, 240, &tally, &seed);
                try_opcode(n, prefixes[p], 0x48, map, (u8)opcode, 48, &tally, &seed);
            }
    native_close(n);
    assert_true(tally.forms > 1000);
    assert_int_equal(tally.failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sse_and_mmx_instruction_does_what_the_host_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
