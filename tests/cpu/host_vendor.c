/* SPDX-License-Identifier: Apache-2.0 */
/* The differences between AMD's processors and others that the comparisons meet; host_vendor.h. */
#include "host_vendor.h"

#include "cpu/exec/x87.h"

#include <cpuid.h>

static bool faulted(const struct vendor_state *s)
{
    return *s->vector != VENDOR_NO_FAULT;
}

static bool writes_memory(const struct insn *in)
{
    return in->operands && in->o[0].kind == OPERAND_MEM;
}

static bool both_page_faults(const struct vendor_case *k)
{
    return k->host.address && *k->core.vector == VECTOR_PF && *k->host.vector == VECTOR_PF;
}

/* The upper half of the slot keeps its bytes. */
static void push_two_bytes(struct vendor_case *k)
{
    if (k->in->op->exec != exec_push_sreg || k->in->opsize != 4 || faulted(&k->core))
        return;
    u64 upper = (u32)k->core.gpr[RSP] + 2 - k->core.memory_at;
    if (upper + 2 <= k->core.memory_size)
        memcpy(k->core.memory + upper, k->before.memory + upper, 2);
}

static void keep_flags_at_fault(struct vendor_case *k)
{
    bool compares = k->in->op->id == INSN_cmps || k->in->op->id == INSN_scas;
    if (compares && k->in->prefixes & (PREFIX_REP | PREFIX_REPNE) && faulted(&k->core))
        *k->core.flags = *k->before.flags;
}

static void compare_second_first(struct vendor_case *k)
{
    if (k->in->op->id == INSN_cmps && both_page_faults(k) &&
        *k->host.address - k->host.gpr[RDI] < k->in->opsize)
        *k->core.address = *k->host.address;
}

/* With TOP 0 the registers are in FXSAVE's image by their numbers. */
static void enter_mmx_before_fault(struct vendor_case *k)
{
    u8 *fx = k->core.fx, registers[128];
    if (!(k->in->op->attributes & OP_MMX) || !writes_memory(k->in) || !faulted(&k->core) ||
        *k->core.vector == VECTOR_MF)
        return;
    u32 top = load_le16(fx + 2) >> 11 & 7;
    memcpy(registers, fx + 32, sizeof registers);
    for (u32 i = 0; i < 8; i++)
        memcpy(fx + 32 + 16 * i, registers + 16 * ((i - top) & 7), 16);
    store_le16(fx + 2, (u16)(load_le16(fx + 2) & ~0x3800));
}

/* The core read four bytes, of which the last two cannot be read. */
static void read_two_bytes(struct vendor_case *k)
{
    const struct insn *in = k->in;
    if (in->op->id != INSN_movsxd || in->opsize != 2 || !faulted(&k->core) || faulted(&k->host))
        return;
    *k->core.vector = VENDOR_NO_FAULT;
    u64 *to = &k->core.gpr[in->o[0].reg];
    *to = (*to & ~0xffffull) | (k->host.gpr[in->o[0].reg] & 0xffff);
}

static void pause_with_rex(struct vendor_case *k)
{
    u32 other = k->in->o[0].reg;
    if (k->in->op->id != INSN_xchg || k->in->opcode != 0x90 || !(k->in->prefixes & PREFIX_REP) ||
        other != 8)
        return;
    k->core.gpr[RAX] = k->before.gpr[RAX];
    k->core.gpr[other] = k->before.gpr[other];
}

/* Not there; the tests of 64-bit code leave it out themselves. */
static void no_clzero(struct vendor_case *k)
{
    if (k->in->op->id != INSN_clzero || faulted(&k->core))
        return;
    *k->core.vector = VECTOR_UD;
    memcpy(k->core.memory, k->before.memory, k->core.memory_size);
}

static bool x87_store(const struct insn *in)
{
    return (in->op->attributes & OP_X87) && writes_memory(in);
}

/* The exception is pending behind the instruction, which did not fault. */
static void suppress_store(struct vendor_case *k)
{
    if (!x87_store(k->in) || !faulted(&k->core) || faulted(&k->host) ||
        !(load_le16(k->host.fx + 2) & X87_ES) || load_le16(k->before.fx + 2) & X87_ES)
        return;
    *k->core.vector = VENDOR_NO_FAULT;
    memcpy(k->core.fx, k->host.fx, 160);
}

static void store_first_part(struct vendor_case *k)
{
    if (!x87_store(k->in) || k->in->o[0].size != 10 || !both_page_faults(k) ||
        *k->host.address % PAGE_SIZE)
        return;
    u64 end = *k->host.address - k->host.memory_at;
    if (end < 9 || end > k->host.memory_size)
        return;
    memcpy(k->core.memory + end - 9, k->host.memory + end - 9, 9);
}

/* One lane of a sum. */
static void choose_nan_in(struct vendor_case *k, u32 lane, u32 size)
{
    u64 infinity = size == 8 ? 0x7ff0000000000000 : 0x7f800000;
    u64 magnitude = size == 8 ? ~BIT(63) : 0x7fffffff;
    for (u32 i = 0; i < 16; i += size) {
        u32 at = lane + 16u * k->in->o[0].reg + i;
        u64 host = 0, core = 0;
        memcpy(&host, k->host.fx + at, size);
        memcpy(&core, k->core.fx + at, size);
        if ((host & magnitude) > infinity && (core & magnitude) > infinity)
            memcpy(k->core.fx + at, k->host.fx + at, size);
    }
}

/* DPPS and DPPD have exactly one sum in a lane: which of several NaNs it is. */
static void choose_nan(struct vendor_case *k)
{
    u32 id = k->in->op->id;
    bool doubles = id == INSN_dppd || id == INSN_vdppd;
    if (!doubles && id != INSN_dpps && id != INSN_vdpps)
        return;
    choose_nan_in(k, 160, doubles ? 8 : 4);
    if (k->in->vl == 32)
        choose_nan_in(k, 576, 4);
}

/* AMD's are those of the exception that is pending, else zeros. */
static void keep_pointers(struct vendor_case *k)
{
    u8 *fx = k->core.fx;
    if (!fx || load_le16(fx + 2) & X87_ES)
        return;
    memcpy(fx + 6, k->host.fx + 6, 18);
}

bool vendor_long_double_shift(const struct insn *in, u64 rcx)
{
    bool shift = in->op->id == INSN_shld || in->op->id == INSN_shrd;
    return shift && in->opsize == 2 && ((in->o[2].kind == OPERAND_IMM ? in->imm : rcx) & 31) > 16;
}

/* Of first:second in 32 bits, the word `n` bits from its end that is shifted towards. */
static u16 double_word(bool left, u16 near, u16 far, u32 n)
{
    u32 both = left ? (u32)near << 16 | far : (u32)far << 16 | near;
    return (u16)(left ? both >> (16 - n) : both >> n);
}

/* A the operand, B what fills it. Behind B comes B with AMD, A with Intel. */
static void fill_with_operand(struct vendor_case *k)
{
    const struct insn *in = k->in;
    if (!vendor_long_double_shift(in, k->before.gpr[RCX]) || faulted(&k->core))
        return;
    bool left = in->op->id == INSN_shld;
    u32 n = ((in->o[2].kind == OPERAND_IMM ? (u32)in->imm : (u32)k->before.gpr[RCX]) & 31) - 16;
    u16 b = (u16)k->before.gpr[in->o[1].reg], amd = double_word(left, b, b, n);
    if (in->o[0].kind == OPERAND_GPR) {
        u64 *to = &k->core.gpr[in->o[0].reg];
        u16 a = (u16)k->before.gpr[in->o[0].reg];
        if ((u16)*to == amd)
            *to = (*to & ~0xffffull) | double_word(left, b, a, n);
        return;
    }
    /* The operand is the word that makes the memories equal. */
    for (u64 i = 0; i + 2 <= k->core.memory_size; i++) {
        u16 a = load_le16(k->before.memory + i), intel = double_word(left, b, a, n);
        if (load_le16(k->core.memory + i) != amd || load_le16(k->host.memory + i) != intel)
            continue;
        store_le16(k->core.memory + i, intel);
        if (memcmp(k->core.memory, k->host.memory, k->core.memory_size) == 0)
            return;
        store_le16(k->core.memory + i, amd);
    }
}

/* SDM: Intel 64 and IA-32 Architectures Software Developer's Manual; by volume and section. */
static const struct vendor_row intel[] = {
    {"PUSH of a segment register, 32-bit operand", "stores four bytes, zero-extended",
     "stores two bytes", "SDM2 PUSH", push_two_bytes},
    {"REP CMPS, REP SCAS that fault", "flags of the last comparison", "flags as before",
     "SDM2 REP/REPE/REPZ/REPNE/REPNZ", keep_flags_at_fault},
    {"CMPS whose operands both fault", "tells of the first", "tells of the second",
     "SDM2 does not say; measured", compare_second_first},
    {"MMX stores that fault", "the x87 state is as before", "TOP is 0",
     "SDM3 on MMX and the x87 tag word does not say when; measured", enter_mmx_before_fault},
    {"MOVSXD, 16-bit operand", "reads four bytes", "reads two bytes", "SDM2 MOVSX/MOVSXD",
     read_two_bytes},
    {"CLZERO", "stores zeros", "#UD", "SDM2 has no such instruction", no_clzero},
    {"F3 90 with REX.B", "XCHG", "PAUSE", "SDM2 does not say; as Intel's XED decodes it, measured",
     pause_with_rex},
    {"x87 stores with an unmasked exception that prevents the store", "check the address first",
     "do not use the address", "SDM1 8.5; that the address is not checked is measured",
     suppress_store},
    {"x87 stores of ten bytes across a page's end that fault", "store nothing",
     "may store what lies before the end", "SDM3 Guaranteed Atomic Operations", store_first_part},
    {"DPPS, DPPD with several NaNs", "the NaN of the additions in order", "another of the NaNs",
     "SDM2 DPPS, DPPD: implementation dependent", choose_nan},
    {"x87 opcode, instruction and operand pointers", "only of a pending exception, else zero",
     "of the last instruction", "SDM1 8.1.8, 8.1.9", keep_pointers},
    {"SHLD, SHRD of 16 bits by more than 16", "shift A:B:B and B:B:A", "shift A:B:A",
     "SDM2 SHLD, SHRD: undefined; measured", fill_with_operand},
};

const struct vendor_row *vendor_rows(const char *vendor, u32 *count)
{
    bool known = strcmp(vendor, "GenuineIntel") == 0;
    *count = known ? ARRAY_SIZE(intel) : 0;
    return known ? intel : NULL;
}

void vendor_adapt_to(const char *vendor, struct vendor_case *k)
{
    u32 count;
    const struct vendor_row *rows = vendor_rows(vendor, &count);
    for (u32 i = 0; i < count; i++)
        rows[i].adapt(k);
}

void vendor_adapt(struct vendor_case *k)
{
    static char vendor[13];
    if (!vendor[0]) {
        u32 leaf, name[3];
        __cpuid(0, leaf, name[0], name[2], name[1]);
        memcpy(vendor, name, 12);
    }
    vendor_adapt_to(vendor, k);
}
