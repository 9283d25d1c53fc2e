/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoder against Zydis: random byte strings and the code of this process. Where the two may
 * differ, a table below says so and why.
 */
#include "cpu/internal.h"

#include <Zydis/Zydis.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

/* The decoder alone is linked: its table names functions that are not called here. */
#define EXEC(name)                                                                                 \
    void exec_##name(struct cpu *c, const struct insn *in)                                         \
    {                                                                                              \
        (void)c;                                                                                   \
        (void)in;                                                                                  \
    }
#include "cpu/decode/exec_list.h"

enum {
    MODE_64 = MODE_CODE64 | MODE_LMA | MODE_PE,
    MODE_32 = MODE_CODE32 | MODE_PE,
    MODE_16 = MODE_PE
};

static const u32 modes[] = {MODE_64, MODE_32, MODE_16};

/* --- Where they may differ -----------------------------------------------------------------------
 * "Zen 5" was tried on one. */

/* Extensions that Zydis decodes and that are #UD here. Everything with an EVEX, XOP or 3DNow!
 * encoding is too. */
static const struct {
    ZydisISAExt extension;
    const char *why;
} extensions_absent[] = {
    {ZYDIS_ISA_EXT_SSE4A, "not offered in CPUID"},
    {ZYDIS_ISA_EXT_AMD3DNOW, "gone since family 15h"},
    {ZYDIS_ISA_EXT_MCOMMIT, "not offered in CPUID"},
    {ZYDIS_ISA_EXT_MOVDIR, "not offered in CPUID"},
    {ZYDIS_ISA_EXT_CET, "not offered in CPUID"},
    {ZYDIS_ISA_EXT_ENQCMD, "Intel"},
    {ZYDIS_ISA_EXT_HRESET, "Intel"},
    {ZYDIS_ISA_EXT_KEYLOCKER, "Intel"},
    {ZYDIS_ISA_EXT_KEYLOCKER_WIDE, "Intel"},
    {ZYDIS_ISA_EXT_PADLOCK, "VIA"},
    {ZYDIS_ISA_EXT_PCONFIG, "Intel"},
    {ZYDIS_ISA_EXT_PT, "Intel"},
    {ZYDIS_ISA_EXT_RTM, "Intel"},
    {ZYDIS_ISA_EXT_SERIALIZE, "Intel"},
    {ZYDIS_ISA_EXT_SGX, "Intel"},
    {ZYDIS_ISA_EXT_SGX_ENCLV, "Intel"},
    {ZYDIS_ISA_EXT_SMX, "Intel"},
    {ZYDIS_ISA_EXT_TDX, "Intel"},
    {ZYDIS_ISA_EXT_TSX_LDTRK, "Intel"},
    {ZYDIS_ISA_EXT_UINTR, "Intel"},
    {ZYDIS_ISA_EXT_VMFUNC, "Intel"},
    {ZYDIS_ISA_EXT_VTX, "Intel"},
    {ZYDIS_ISA_EXT_WAITPKG, "Intel"},
    {ZYDIS_ISA_EXT_AMX_BF16, "Intel"},
    {ZYDIS_ISA_EXT_AMX_INT8, "Intel"},
    {ZYDIS_ISA_EXT_AMX_TILE, "Intel"},
    {ZYDIS_ISA_EXT_AVX512VEX, "not offered in CPUID"},
    {ZYDIS_ISA_EXT_AVX_VNNI, "not offered in CPUID"},
    {ZYDIS_ISA_EXT_FMA4, "gone since family 17h"},
    {ZYDIS_ISA_EXT_KNC, "Intel"},
    {ZYDIS_ISA_EXT_KNCV, "Intel"},
    {ZYDIS_ISA_EXT_XOP, "gone since family 17h"},
};

/* A difference of this kind in this instruction (by Zydis's name) is right or does not matter. */
static const struct {
    ZydisMnemonic mnemonic;
    const char *what, *why;
} differences_known[] = {
    {ZYDIS_MNEMONIC_RDPRU, "mnemonic", "Zydis 4.0 does not know RMPQUERY and RMPREAD"},
    {ZYDIS_MNEMONIC_RDPRU, "#UD here", "RMPQUERY and RMPREAD outside 64-bit mode"},
    {ZYDIS_MNEMONIC_VMMCALL, "mnemonic", "Zydis 4.0 does not know VMGEXIT"},
    {ZYDIS_MNEMONIC_WBINVD, "mnemonic", "Zydis 4.0 does not see the F3 of WBNOINVD"},
    {ZYDIS_MNEMONIC_PAUSE, "mnemonic", "F3 with REX.B is XCHG R8, rAX (Zen 5)"},
    {ZYDIS_MNEMONIC_NOP, "#UD here", "0F 0D with a register is #UD (Zen 5)"},
    {ZYDIS_MNEMONIC_NOP, "operands", "nothing looks at them"},
    {ZYDIS_MNEMONIC_NOP, "register", "nothing looks at them"},
    {ZYDIS_MNEMONIC_CLZERO, "#UD here", "F2 or F3 make it #UD (Zen 5)"},
    {ZYDIS_MNEMONIC_CLZERO, "kind", "implicit memory operand"},
    {ZYDIS_MNEMONIC_MONITOR, "kind", "implicit memory operand"},
    {ZYDIS_MNEMONIC_MONITORX, "kind", "implicit memory operand"},
    {ZYDIS_MNEMONIC_PVALIDATE, "kind", "implicit memory operand"},
    {ZYDIS_MNEMONIC_RMPADJUST, "kind", "implicit memory operand"},
    {ZYDIS_MNEMONIC_UD0, "length", "no ModRM byte is fetched (Zen 5)"},
    {ZYDIS_MNEMONIC_UD1, "length", "no ModRM byte is fetched (Zen 5)"},
    {ZYDIS_MNEMONIC_CLFLUSH, "memory size", "a line, named by one byte"},
    {ZYDIS_MNEMONIC_CLFLUSHOPT, "memory size", "a line, named by one byte"},
    {ZYDIS_MNEMONIC_CLWB, "memory size", "a line, named by one byte"},
    {ZYDIS_MNEMONIC_LEA, "segment", "not used"},
    {ZYDIS_MNEMONIC_JMP, "memory size",
     "AMD: 66 makes it 16 bits, REX.W does nothing to far pointers (Zen 5)"},
    {ZYDIS_MNEMONIC_CALL, "memory size",
     "AMD: 66 makes it 16 bits, REX.W does nothing to far pointers (Zen 5)"},
    {ZYDIS_MNEMONIC_JMP, "register", "AMD: 66 makes it 16 bits (Zen 5)"},
    {ZYDIS_MNEMONIC_CALL, "register", "AMD: 66 makes it 16 bits (Zen 5)"},
    {ZYDIS_MNEMONIC_LSS, "register", "AMD: REX.W does nothing to far pointers (Zen 5)"},
    {ZYDIS_MNEMONIC_LFS, "register", "AMD: REX.W does nothing to far pointers (Zen 5)"},
    {ZYDIS_MNEMONIC_LGS, "register", "AMD: REX.W does nothing to far pointers (Zen 5)"},
};

/* Two names for one instruction: Zydis's, ours. */
static const char *const aliases[][2] = {
    // clang-format off
    {"movsb", "movs"},           {"movsw", "movs"},       {"movsd", "movs"},         {"movsq", "movs"},
    {"cmpsb", "cmps"},           {"cmpsw", "cmps"},       {"cmpsd", "cmps"},         {"cmpsq", "cmps"},
    {"stosb", "stos"},           {"stosw", "stos"},       {"stosd", "stos"},         {"stosq", "stos"},
    {"lodsb", "lods"},           {"lodsw", "lods"},       {"lodsd", "lods"},         {"lodsq", "lods"},
    {"scasb", "scas"},           {"scasw", "scas"},       {"scasd", "scas"},         {"scasq", "scas"},
    {"insb", "ins"},             {"insw", "ins"},         {"insd", "ins"},           {"outsb", "outs"},
    {"outsw", "outs"},           {"outsd", "outs"},       {"cwde", "cbw"},           {"cdqe", "cbw"},
    {"cdq", "cwd"},              {"cqo", "cwd"},          {"pushad", "pusha"},       {"popad", "popa"},
    {"pushfd", "pushf"},         {"pushfq", "pushf"},     {"popfd", "popf"},         {"popfq", "popf"},
    {"iretd", "iret"},           {"iretq", "iret"},       {"ret", "retf"},           {"jecxz", "jcxz"},
    {"jrcxz", "jcxz"},           {"movq", "movd"},        {"pextrq", "pextrd"},      {"pinsrq", "pinsrd"},
    {"cmpxchg16b", "cmpxchg8b"}, {"fxsave64", "fxsave"},  {"fxrstor64", "fxrstor"},  {"xsave64", "xsave"},
    {"xrstor64", "xrstor"},      {"xsavec64", "xsavec"},  {"xsaveopt64", "xsaveopt"}, {"xsaves64", "xsaves"},
    {"xrstors64", "xrstors"},    {"nop", "endbr32"},      {"nop", "endbr64"},        {"fdisi8087_nop", "fnop"},
    {"feni8087_nop", "fnop"},    {"fsetpm287_nop", "fnop"}, {"fstpnce", "fstp"},     {"prefetchw", "prefetch"},
    {"prefetchwt1", "prefetch"}, {"vmovq", "vmovd"},      {"vpextrq", "vpextrd"},    {"vpinsrq", "vpinsrd"},
    // clang-format on
};

/* --- Comparison ------------------------------------------------------------------------------- */

struct oracle {
    ZydisDecoder decoders[3];
    u32 differences, reported;
    char kinds[60][32]; /* of difference that were reported */
    u64 compared, decoded;
    u64 seed;
};

static void oracle_create(struct oracle *o)
{
    static const ZydisMachineMode machine[] = {
        ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_MACHINE_MODE_LEGACY_16};
    static const ZydisStackWidth stack[] = {ZYDIS_STACK_WIDTH_64, ZYDIS_STACK_WIDTH_32,
                                            ZYDIS_STACK_WIDTH_16};
    memset(o, 0, sizeof *o);
    const char *given = getenv("SOFTSEV_SEED");
    o->seed = (given ? strtoull(given, NULL, 0) : (u64)time(NULL) * 0x9e3779b97f4a7c15ull) | 1;
    printf("# SOFTSEV_SEED=0x%llx\n", (unsigned long long)o->seed);
    for (u32 i = 0; i < 3; i++) {
        assert_true(ZYAN_SUCCESS(ZydisDecoderInit(&o->decoders[i], machine[i], stack[i])));
        ZydisDecoderEnableMode(&o->decoders[i], ZYDIS_DECODER_MODE_AMD_BRANCHES, ZYAN_TRUE);
        ZydisDecoderEnableMode(&o->decoders[i], ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
        ZydisDecoderEnableMode(&o->decoders[i], ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
        ZydisDecoderEnableMode(&o->decoders[i], ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
    }
}

static ZydisRegister zydis_register(const struct operand *o)
{
    switch (o->kind) {
    case OPERAND_GPR8H:
        return (ZydisRegister)(ZYDIS_REGISTER_AH + o->reg);
    case OPERAND_GPR:
        switch (o->size) {
        case 1:
            return (ZydisRegister)((o->reg < 4 ? ZYDIS_REGISTER_AL : ZYDIS_REGISTER_SPL - 4) +
                                   o->reg);
        case 2:
            return (ZydisRegister)(ZYDIS_REGISTER_AX + o->reg);
        case 4:
            return (ZydisRegister)(ZYDIS_REGISTER_EAX + o->reg);
        default:
            return (ZydisRegister)(ZYDIS_REGISTER_RAX + o->reg);
        }
    case OPERAND_SREG:
        return (ZydisRegister)(ZYDIS_REGISTER_ES + o->reg);
    case OPERAND_CR:
        return (ZydisRegister)(ZYDIS_REGISTER_CR0 + o->reg);
    case OPERAND_DR:
        return (ZydisRegister)(ZYDIS_REGISTER_DR0 + o->reg);
    case OPERAND_XMM:
        return (ZydisRegister)((o->size == 32 ? ZYDIS_REGISTER_YMM0 : ZYDIS_REGISTER_XMM0) +
                               o->reg);
    case OPERAND_MMX:
        return (ZydisRegister)(ZYDIS_REGISTER_MM0 + o->reg);
    case OPERAND_ST:
        return (ZydisRegister)(ZYDIS_REGISTER_ST0 + o->reg);
    default:
        return ZYDIS_REGISTER_NONE;
    }
}

static ZydisRegister address_register(u8 reg, u8 size)
{
    struct operand o = {
        .kind = reg == REG_ZERO ? OPERAND_NONE : OPERAND_GPR, .reg = reg, .size = size};
    return zydis_register(&o);
}

static const char *compare_memory(const struct insn *in, u32 n, const ZydisDecodedOperand *z)
{
    const struct operand *o = &in->o[n];
    ZydisRegister base = address_register(in->base, in->addrsize);
    if (in->rip_relative)
        base = in->addrsize == 8 ? ZYDIS_REGISTER_RIP : ZYDIS_REGISTER_EIP;
    /* Zydis 4.0 takes the absent base of [index + disp32] for R13D when REX.B is set. */
    if (in->base == REG_ZERO && z->mem.base == ZYDIS_REGISTER_R13D)
        return NULL;
    if (z->mem.base != base)
        return "base";
    ZydisRegister index = address_register(in->index, in->addrsize);
    bool gather = z->mem.type == ZYDIS_MEMOP_TYPE_VSIB;
    if (gather) /* as long as its elements' count asks for, which Zydis knows */
        index = (ZydisRegister)(in->vector_index + (z->mem.index >= ZYDIS_REGISTER_YMM0
                                                        ? ZYDIS_REGISTER_YMM0
                                                        : ZYDIS_REGISTER_XMM0));
    if (z->mem.index != index)
        return "index";
    if ((gather || in->index != REG_ZERO) && z->mem.scale != 1u << in->scale)
        return "scale";
    s64 disp = z->mem.disp.has_displacement ? z->mem.disp.value : 0;
    u64 mask = in->addrsize == 8 ? ~0ull : BIT(8 * in->addrsize) - 1;
    if (((u64)disp ^ (u64)in->disp) & mask)
        return "displacement";
    if (z->mem.segment != (ZydisRegister)(ZYDIS_REGISTER_ES + in->segment))
        return "segment";
    if (o->size && z->mem.type == ZYDIS_MEMOP_TYPE_MEM && z->size != 8u * o->size)
        return "memory size";
    return NULL;
}

static const char *compare_operand(const struct insn *in, u32 n, const ZydisDecodedOperand *z)
{
    const struct operand *o = &in->o[n];
    u64 mask = o->size >= 8 ? ~0ull : BIT(8 * o->size) - 1;
    switch (o->kind) {
    case OPERAND_MEM:
        return z->type != ZYDIS_OPERAND_TYPE_MEMORY ? "kind" : compare_memory(in, n, z);
    case OPERAND_IMM:
        if (z->type != ZYDIS_OPERAND_TYPE_IMMEDIATE)
            return "kind";
        return (z->imm.value.u ^ (in->opcode == 0xc8 && n == 1 ? in->imm2 : in->imm)) & mask
                   ? "immediate"
                   : NULL;
    case OPERAND_REL:
        if (z->type != ZYDIS_OPERAND_TYPE_IMMEDIATE || !z->imm.is_relative)
            return "kind";
        return z->imm.value.u != in->imm ? "displacement" : NULL;
    case OPERAND_FAR:
        if (z->type != ZYDIS_OPERAND_TYPE_POINTER)
            return "kind";
        return z->ptr.offset != in->imm || z->ptr.segment != in->imm2 ? "pointer" : NULL;
    default:
        if (z->type != ZYDIS_OPERAND_TYPE_REGISTER)
            return "kind";
        return z->reg.value != zydis_register(o) ? "register" : NULL;
    }
}

static bool same_name(const char *theirs, const char *ours)
{
    if (!strcmp(theirs, ours))
        return true;
    for (u32 i = 0; i < ARRAY_SIZE(aliases); i++)
        if (!strcmp(aliases[i][0], theirs) && !strcmp(aliases[i][1], ours))
            return true;
    return false;
}

/* Zydis hides the ST(0) of comparisons behind the other operand.
 * Of two memory operands struct insn has the source. */
static bool operand_order_differs(const struct insn *in, u32 n)
{
    switch (in->op->id) {
    case INSN_fcom:
    case INSN_fcomp:
    case INSN_fucom:
    case INSN_fucomp:
    case INSN_fxch:
        return in->operands == 2;
    case INSN_movs:
        return n == 0;
    case INSN_cmps:
        return n == 1;
    default:
        return false;
    }
}

static const char *compare_decoded(const struct insn *in, const ZydisDecodedInstruction *z,
                                   const ZydisDecodedOperand *operands)
{
    if (in->length != z->length)
        return "length";
    if (!same_name(ZydisMnemonicGetString(z->mnemonic), in->op->name))
        return "mnemonic";
    if (in->addrsize * 8u != z->address_width)
        return "address size";
    if (in->operands > z->operand_count)
        return "operands";
    for (u32 n = 0; n < in->operands; n++) {
        if (operand_order_differs(in, n))
            continue;
        const char *what = compare_operand(in, n, &operands[n]);
        if (what)
            return what;
    }
    return NULL;
}

static bool absent_here(const ZydisDecodedInstruction *z)
{
    if (z->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY &&
        z->encoding != ZYDIS_INSTRUCTION_ENCODING_VEX)
        return true;
    for (u32 i = 0; i < ARRAY_SIZE(extensions_absent); i++)
        if (extensions_absent[i].extension == z->meta.isa_ext)
            return true;
    return false;
}

static bool known(const char *what, ZydisMnemonic m)
{
    for (u32 i = 0; i < ARRAY_SIZE(differences_known); i++)
        if (differences_known[i].mnemonic == m && !strcmp(differences_known[i].what, what))
            return true;
    return false;
}

static const char *compare(struct oracle *o, const u8 *bytes, u32 count, u32 mode, u32 *length)
{
    struct insn in;
    ZydisDecodedInstruction z;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    enum decode_result ours = decode(&in, bytes, count, modes[mode]);
    ZyanStatus theirs = ZydisDecoderDecodeFull(&o->decoders[mode], bytes, count, &z, operands);
    o->compared++;
    *length = 1;
    if (ZYAN_SUCCESS(theirs)) {
        *length = z.length;
        if (ours == DECODE_OK) {
            o->decoded++;
            const char *what = compare_decoded(&in, &z, operands);
            return !what || known(what, z.mnemonic) ? NULL : what;
        }
        if (absent_here(&z))
            return NULL;
        if (ours != DECODE_UD)
            return "too short here";
        return known("#UD here", z.mnemonic) ? NULL : "#UD here";
    }
    if (ours != DECODE_OK)
        return NULL;
    if (in.op->id >= INSN_mov_from_cr && in.op->id <= INSN_mov_to_dr && (in.prefixes & PREFIX_LOCK))
        return NULL; /* AMD: LOCK MOV CR0 is MOV CR8 */
    if (in.op->id == INSN_ud0 || in.op->id == INSN_ud1)
        return NULL; /* Zydis misses a ModRM byte */
    *length = in.length;
    return "#UD there";
}

static void report(struct oracle *o, const char *what, const u8 *bytes, u32 count, u32 mode)
{
    o->differences++;
    struct insn in;
    ZydisDecodedInstruction z;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    decode(&in, bytes, count, modes[mode]);
    ZyanStatus theirs = ZydisDecoderDecodeFull(&o->decoders[mode], bytes, count, &z, operands);
    char text[128] = "-", kind[32];
    snprintf(kind, sizeof kind, "%s %s %s", what, in.op ? in.op->name : "-",
             ZYAN_SUCCESS(theirs) ? ZydisMnemonicGetString(z.mnemonic) : "-");
    for (u32 i = 0; i < o->reported; i++)
        if (!strcmp(kind, o->kinds[i]))
            return;
    if (o->reported == ARRAY_SIZE(o->kinds))
        return;
    memcpy(o->kinds[o->reported++], kind, sizeof kind);
    if (ZYAN_SUCCESS(theirs)) {
        ZydisFormatter formatter;
        ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
        ZydisFormatterFormatInstruction(&formatter, &z, operands, z.operand_count_visible, text,
                                        sizeof text, 0, NULL);
    }
    printf("# %s: mode %u, ours %s (%u), Zydis %s:", what, 64 >> mode, in.op ? in.op->name : "-",
           in.length, text);
    for (u32 i = 0; i < count && i < 15; i++)
        printf(" %02x", bytes[i]);
    printf("\n");
}

static void oracle_verdict(const struct oracle *o)
{
    printf("# %llu strings, %llu decoded, %u differences\n", (unsigned long long)o->compared,
           (unsigned long long)o->decoded, o->differences);
    fflush(stdout);
    assert_int_equal(o->differences, 0);
}

/* --- Random bytes ----------------------------------------------------------------------------- */

static u64 random_next(struct oracle *o)
{
    o->seed ^= o->seed << 13;
    o->seed ^= o->seed >> 7;
    o->seed ^= o->seed << 17;
    return o->seed;
}

static u8 random_prefix(struct oracle *o)
{
    static const u8 prefixes[] = {0x66, 0x66, 0xf2, 0xf3, 0xf2, 0xf3, 0x67, 0xf0, 0x26, 0x2e,
                                  0x36, 0x3e, 0x64, 0x65, 0x40, 0x41, 0x44, 0x48, 0x48, 0x4f};
    return prefixes[random_next(o) % ARRAY_SIZE(prefixes)];
}

/* A VEX prefix in one of its maps; vvvv is often 1111b. */
static void random_vex(struct oracle *o, u8 bytes[16], u32 at, u64 choice)
{
    if (at >= 12)
        return;
    bytes[at++] = choice & 0x1000 ? 0xc5 : 0xc4;
    if (!(choice & 0x1000))
        bytes[at++] = (u8)((random_next(o) & 0xe0) | (choice >> 16 & 31 ? choice >> 21 & 3 : 31));
    else
        bytes[at] |= choice & 0xe000 ? 0x80 : 0; /* a ModRM byte of LDS otherwise */
    if (choice & 0x6000)
        bytes[at] |= 0x78;
}

static void random_bytes(struct oracle *o, u8 bytes[16])
{
    u32 at = 0;
    u64 choice = random_next(o);
    for (u32 i = 0; i < 16; i += 8) {
        u64 r = random_next(o);
        memcpy(bytes + i, &r, 8);
    }
    u32 prefixes = choice % 64 == 0 ? choice >> 32 & 15 : (u32)(choice & 3);
    while (at < prefixes)
        bytes[at++] = random_prefix(o);
    switch ((choice >> 8) & 7) {
    case 0:
    case 1:
    case 2:
        if (at < 15)
            bytes[at++] = 0x0f;
        break;
    case 3:
        if (at < 14) {
            bytes[at++] = 0x0f;
            bytes[at++] = choice & 0x800 ? 0x38 : 0x3a;
        }
        break;
    case 4:
    case 5:
        random_vex(o, bytes, at, choice);
        break;
    default:
        break;
    }
}

static void random_bytes_decode_as_zydis_says(void **state)
{
    (void)state;
    struct oracle o;
    oracle_create(&o);
    for (u32 i = 0; i < 1500000; i++) {
        u8 bytes[16];
        u32 length;
        random_bytes(&o, bytes);
        const char *what = compare(&o, bytes, 15, i % 3, &length);
        if (what)
            report(&o, what, bytes, 15, i % 3);
    }
    oracle_verdict(&o);
}

/* --- Real code -------------------------------------------------------------------------------- */

static void sweep(struct oracle *o, const u8 *code, u64 size)
{
    for (u64 at = 0; at + 15 <= size;) {
        u32 length;
        const char *what = compare(o, code + at, 15, 0, &length);
        if (what)
            report(o, what, code + at, 15, 0);
        at += length;
    }
}

static void the_code_of_this_process_decodes_as_zydis_says(void **state)
{
    (void)state;
    struct oracle o;
    oracle_create(&o);
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    char line[512];
    u64 budget = MIB(4);
    while (fgets(line, sizeof line, maps)) {
        unsigned long start, end;
        char rights[5], path[256];
        if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %255s", &start, &end, rights, path) != 4)
            continue;
        if (rights[0] != 'r' || rights[2] != 'x' || path[0] != '/')
            continue;
        u64 size = min_u64(end - start, budget);
        sweep(&o, (const u8 *)start, size);
        budget -= size;
    }
    fclose(maps);
    assert_true(o.decoded > 10000);
    oracle_verdict(&o);
}

/* --- What Zydis cannot tell ------------------------------------------------------------------- */

static void every_prefix_of_an_instruction_is_short(void **state)
{
    (void)state;
    struct oracle o;
    oracle_create(&o);
    for (u32 i = 0; i < 100000; i++) {
        u8 bytes[16];
        struct insn in;
        random_bytes(&o, bytes);
        u32 mode = modes[i % 3];
        if (decode(&in, bytes, 15, mode) != DECODE_OK)
            continue;
        u32 length = in.length;
        for (u32 count = 0; count <= length; count++) {
            u8 *exact = malloc(count); /* so that a sanitizer sees a read past the end */
            memcpy(exact, bytes, count);
            enum decode_result result = decode(&in, exact, count, mode);
            free(exact);
            assert_int_equal(result, count < length ? DECODE_SHORT : DECODE_OK);
        }
    }
}

static void sixteen_bytes_are_too_long(void **state)
{
    (void)state;
    u8 bytes[32];
    struct insn in;
    memset(bytes, 0x2e, sizeof bytes);
    assert_int_equal(decode(&in, bytes, 14, MODE_64), DECODE_SHORT);
    assert_int_equal(decode(&in, bytes, 15, MODE_64), DECODE_LONG);
    assert_int_equal(decode(&in, bytes, 32, MODE_64), DECODE_LONG);
    bytes[14] = 0x90;
    assert_int_equal(decode(&in, bytes, 32, MODE_64), DECODE_OK);
    assert_int_equal(in.length, 15);
    bytes[14] = 0x2e;
    bytes[15] = 0x90;
    assert_int_equal(decode(&in, bytes, 32, MODE_64), DECODE_LONG);
}

static void amd_instructions_have_their_names(void **state)
{
    (void)state;
    static const struct {
        u8 bytes[5];
        u32 mode;
        u32 id; /* INSN_COUNT: #UD */
    } cases[] = {
        {{0xf2, 0x0f, 0x01, 0xff}, MODE_64, INSN_pvalidate},
        {{0xf2, 0x0f, 0x01, 0xff}, MODE_16, INSN_pvalidate},
        {{0xf3, 0x0f, 0x01, 0xff}, MODE_64, INSN_psmash},
        {{0xf3, 0x0f, 0x01, 0xff}, MODE_32, INSN_COUNT},
        {{0xf3, 0x0f, 0x01, 0xfe}, MODE_64, INSN_rmpadjust},
        {{0xf2, 0x0f, 0x01, 0xfe}, MODE_64, INSN_rmpupdate},
        {{0xf3, 0x0f, 0x01, 0xfd}, MODE_64, INSN_rmpquery},
        {{0xf2, 0x0f, 0x01, 0xfd}, MODE_64, INSN_rmpread},
        {{0xf3, 0x0f, 0x01, 0xd9}, MODE_64, INSN_vmgexit},
        {{0xf2, 0x0f, 0x01, 0xd9}, MODE_32, INSN_vmgexit},
        {{0x0f, 0x01, 0xd9}, MODE_64, INSN_vmmcall},
        {{0x0f, 0x01, 0xc1}, MODE_64, INSN_COUNT},
        {{0x0f, 0x01, 0xfd}, MODE_64, INSN_rdpru},
        {{0xf3, 0x0f, 0x09}, MODE_64, INSN_wbnoinvd},
        {{0xf0, 0x0f, 0x22, 0xc0}, MODE_32, INSN_mov_to_cr},
        {{0xf0, 0x0f, 0x22, 0xd0}, MODE_32, INSN_COUNT},
        {{0xf3, 0x41, 0x90}, MODE_64, INSN_xchg},
        {{0xf3, 0x90}, MODE_64, INSN_pause},
        {{0x41, 0x66, 0x90}, MODE_64, INSN_nop},
        {{0xc5, 0xf8, 0x77}, MODE_64, INSN_vzeroupper},
        {{0xc5, 0xfc, 0x77}, MODE_32, INSN_vzeroall},
        {{0xc5, 0xf8, 0x77}, 0, INSN_COUNT}, /* LDS of a register: real mode */
        {{0xc5, 0xf8, 0x77}, MODE_PE | MODE_V86, INSN_COUNT},
        {{0xc5, 0x38, 0x77}, MODE_32, INSN_lds},
        {{0x66, 0xc5, 0xf8, 0x77}, MODE_64, INSN_COUNT},
        {{0x40, 0xc5, 0xf8, 0x77}, MODE_64, INSN_COUNT},
        {{0xf0, 0xc5, 0xf8, 0x77}, MODE_64, INSN_COUNT},
        {{0x2e, 0xc5, 0xf8, 0x77}, MODE_64, INSN_vzeroupper},
    };
    for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
        struct insn in;
        enum decode_result result = decode(&in, cases[i].bytes, 5, cases[i].mode);
        assert_int_equal(result, cases[i].id == INSN_COUNT ? DECODE_UD : DECODE_OK);
        if (result == DECODE_OK)
            assert_int_equal(in.op->id, cases[i].id);
    }
}

static void lock_mov_cr0_is_mov_cr8(void **state)
{
    (void)state;
    struct insn in;
    assert_int_equal(decode(&in, (const u8[]){0xf0, 0x0f, 0x20, 0xc1}, 4, MODE_32), DECODE_OK);
    assert_int_equal(in.o[0].kind, OPERAND_GPR);
    assert_int_equal(in.o[0].reg, RCX);
    assert_int_equal(in.o[1].kind, OPERAND_CR);
    assert_int_equal(in.o[1].reg, 8);
}

static void shifts_by_a_constant_read_no_flags(void **state)
{
    (void)state;
    struct insn in;
    /* shl eax, 5 */
    assert_int_equal(decode(&in, (const u8[]){0xc1, 0xe0, 0x05}, 3, MODE_64), DECODE_OK);
    assert_int_equal(insn_flags_read(&in), 0);
    /* by 32: by 0 */
    assert_int_equal(decode(&in, (const u8[]){0xc1, 0xe0, 0x20}, 3, MODE_64), DECODE_OK);
    assert_int_equal(insn_flags_read(&in), RFLAGS_ARITHMETIC);
    assert_int_equal(decode(&in, (const u8[]){0x48, 0xc1, 0xe0, 0x20}, 4, MODE_64), DECODE_OK);
    assert_int_equal(insn_flags_read(&in), 0);
    assert_int_equal(decode(&in, (const u8[]){0xd1, 0xd0}, 2, MODE_64), DECODE_OK); /* rcl eax, 1 */
    assert_int_equal(insn_flags_read(&in), RFLAGS_CF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_bytes_decode_as_zydis_says),
        cmocka_unit_test(the_code_of_this_process_decodes_as_zydis_says),
        cmocka_unit_test(every_prefix_of_an_instruction_is_short),
        cmocka_unit_test(sixteen_bytes_are_too_long),
        cmocka_unit_test(amd_instructions_have_their_names),
        cmocka_unit_test(lock_mov_cr0_is_mov_cr8),
        cmocka_unit_test(shifts_by_a_constant_read_no_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
