/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder of instructions on devices, against Zydis on random bytes and against known
 * encodings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include <Zydis/Zydis.h>

#include "abi/x86.h"
#include "hypervisor/mmio.h"

#define CASES 200000u

static u64 random_next(u64 *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static bool zydis_decode(const u8 *bytes, u32 bits, ZydisDecodedInstruction *i,
                         ZydisDecodedOperand *operands)
{
    ZydisDecoder d;
    ZydisDecoderInit(&d,
                     bits == 64   ? ZYDIS_MACHINE_MODE_LONG_64
                     : bits == 32 ? ZYDIS_MACHINE_MODE_LONG_COMPAT_32
                                  : ZYDIS_MACHINE_MODE_LONG_COMPAT_16,
                     bits == 64 ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32);
    return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&d, bytes, 15, i, operands));
}

static ZydisMnemonic mnemonic_of(const struct mmio_instruction *m)
{
    static const ZydisMnemonic alu[] = {
        [MMIO_ADD] = ZYDIS_MNEMONIC_ADD,   [MMIO_OR] = ZYDIS_MNEMONIC_OR,
        [MMIO_AND] = ZYDIS_MNEMONIC_AND,   [MMIO_SUB] = ZYDIS_MNEMONIC_SUB,
        [MMIO_XOR] = ZYDIS_MNEMONIC_XOR,   [MMIO_CMP] = ZYDIS_MNEMONIC_CMP,
        [MMIO_TEST] = ZYDIS_MNEMONIC_TEST,
    };
    switch (m->kind) {
    case MMIO_ALU:
        return alu[m->alu];
    case MMIO_XCHG:
        return ZYDIS_MNEMONIC_XCHG;
    default:
        return ZYDIS_MNEMONIC_MOV;
    }
}

static const ZydisDecodedOperand *operand_of(const ZydisDecodedOperand *o, u32 count,
                                             ZydisOperandType type)
{
    for (u32 k = 0; k < count; k++)
        if (o[k].type == type)
            return &o[k];
    return NULL;
}

/* What both understand must be understood alike. */
static void compare(const u8 *bytes, u32 bits, const struct mmio_instruction *m)
{
    ZydisDecodedInstruction z;
    ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
    if (!zydis_decode(bytes, bits, &z, o))
        return; /* a LOCK that may not be there, a segment that does not exist */
    if (m->kind == MMIO_STOS) {
        assert_int_equal(m->length, z.length);
        return;
    }
    const ZydisDecodedOperand *memory =
        operand_of(o, z.operand_count_visible, ZYDIS_OPERAND_TYPE_MEMORY);
    const ZydisDecodedOperand *reg =
        operand_of(o, z.operand_count_visible, ZYDIS_OPERAND_TYPE_REGISTER);
    const ZydisDecodedOperand *immediate =
        operand_of(o, z.operand_count_visible, ZYDIS_OPERAND_TYPE_IMMEDIATE);
    assert_int_equal(m->length, z.length);
    assert_non_null(memory);
    assert_int_equal(m->size * 8, memory->size);
    if (m->kind != MMIO_LOAD || z.mnemonic == ZYDIS_MNEMONIC_MOV)
        assert_int_equal(mnemonic_of(m), z.mnemonic);
    if (m->immediate) {
        assert_non_null(immediate);
        u64 mask = m->size == 8 ? ~0ull : BIT(8 * m->size) - 1;
        assert_int_equal(m->value & mask, immediate->imm.value.u & mask);
    } else {
        assert_non_null(reg);
        assert_int_equal(m->to_size * 8, reg->size);
        assert_int_equal(m->reg + (m->high ? 4 : 0),
                         ZydisRegisterGetId(reg->reg.value) -
                             (m->to_size == 1 && !m->high && m->reg >= 4 ? 4 : 0));
    }
    assert_int_equal(
        m->kind == MMIO_STORE || m->kind == MMIO_XCHG ||
            (m->kind == MMIO_ALU && !m->to_register && m->alu != MMIO_CMP && m->alu != MMIO_TEST),
        !!(memory->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE));
}

static void random_bytes_decode_as_zydis_says(void **state)
{
    (void)state;
    static const u32 modes[] = {16, 32, 64};
    u64 seed = 0x9e3779b97f4a7c15ull;
    u32 understood = 0;
    for (u32 n = 0; n < CASES; n++) {
        u8 bytes[16];
        u64 a = random_next(&seed), b = random_next(&seed);
        memcpy(bytes, &a, 8);
        memcpy(bytes + 8, &b, 8);
        u32 bits = modes[n % 3];
        struct mmio_instruction m;
        if (!mmio_decode(bytes, 15, bits, &m))
            continue;
        understood++;
        compare(bytes, bits, &m);
    }
    assert_true(understood > CASES / 20);
}

static void a_prefix_of_an_instruction_is_refused(void **state)
{
    (void)state;
    static const u8 store[] = {0x48, 0xc7, 0x84, 0x24, 1, 2, 3, 4, 5, 6, 7, 8};
    struct mmio_instruction m;
    for (u32 n = 0; n < sizeof store; n++)
        assert_false(mmio_decode(store, n, 64, &m));
    assert_true(mmio_decode(store, sizeof store, 64, &m));
    assert_int_equal(m.kind, MMIO_STORE);
    assert_int_equal(m.value, 0x08070605);
    assert_int_equal(m.size, 8);
}

static void what_touches_no_memory_is_refused(void **state)
{
    (void)state;
    static const u8 registers[] = {0x89, 0xc8}, nop[] = {0x90}, adc[] = {0x80, 0x10, 0x01};
    struct mmio_instruction m;
    assert_false(mmio_decode(registers, sizeof registers, 64, &m));
    assert_false(mmio_decode(nop, sizeof nop, 64, &m));
    assert_false(mmio_decode(adc, sizeof adc, 64, &m));
}

#ifdef __x86_64__
static u64 host_flags_of_subtract(u32 a, u32 b)
{
    u64 flags;
    __asm__("cmpl %2, %1\n\tpushfq\n\tpopq %0" : "=r"(flags) : "r"(a), "r"(b) : "cc", "memory");
    return flags & RFLAGS_ARITHMETIC;
}

static u64 host_flags_of_add(u32 a, u32 b)
{
    u64 flags;
    __asm__("addl %2, %1\n\tpushfq\n\tpopq %0" : "=r"(flags), "+r"(a) : "r"(b) : "cc", "memory");
    return flags & RFLAGS_ARITHMETIC;
}

static void flags_are_those_of_the_host_cpu(void **state)
{
    (void)state;
    u64 seed = 1234567;
    for (u32 n = 0; n < 10000; n++) {
        u32 a = (u32)random_next(&seed), b = n % 7 ? (u32)random_next(&seed) : a;
        u64 flags = 0;
        mmio_compute(MMIO_CMP, 4, a, b, &flags);
        assert_int_equal(flags, host_flags_of_subtract(a, b));
        flags = RFLAGS_ARITHMETIC;
        assert_int_equal(mmio_compute(MMIO_ADD, 4, a, b, &flags), (u32)(a + b));
        assert_int_equal(flags, host_flags_of_add(a, b));
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_bytes_decode_as_zydis_says),
        cmocka_unit_test(a_prefix_of_an_instruction_is_refused),
        cmocka_unit_test(what_touches_no_memory_is_refused),
#ifdef __x86_64__
        cmocka_unit_test(flags_are_those_of_the_host_cpu),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
