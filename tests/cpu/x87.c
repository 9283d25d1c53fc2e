/* SPDX-License-Identifier: Apache-2.0 */
/* Every x87 instruction of opcodes.def against the host: all register and memory forms, with random
 * control words, tags, stack tops and pending exceptions; and the images of FNSTENV, FNSAVE and
 * FXSAVE. */
#include "native.h"

static bool failed_for(struct native *n, const u8 *bytes, u32 count, u32 trials, u64 *seed)
{
    return !native_compare(n, bytes, count, trials, seed);
}

static void every_register_form_does_what_the_host_does(void **state)
{
    struct native *n = native_open();
    u32 forms = 0, failed = 0;
    u64 seed = 0x87654321;
    (void)state;
    for (u32 opcode = 0xd8; opcode < 0xe0; opcode++)
        for (u32 modrm = 0xc0; modrm < 0x100; modrm++) {
            u8 bytes[15] = {(u8)opcode, (u8)modrm};
            struct insn in;
            if (decode(&in, bytes, sizeof bytes, n->cpu->engine.mode) != DECODE_OK)
                continue;
            forms++;
            failed += failed_for(n, bytes, sizeof bytes, 400, &seed);
        }
    native_close(n);
    assert_true(forms > 300);
    assert_int_equal(failed, 0);
}

static void every_memory_form_does_what_the_host_does(void **state)
{
    struct native *n = native_open();
    u32 forms = 0, failed = 0;
    u64 seed = 0x12345678;
    (void)state;
    for (u32 opcode = 0xd8; opcode < 0xe0; opcode++)
        for (u32 digit = 0; digit < 8; digit++) {
            u8 bytes[15] = {(u8)opcode, (u8)(digit << 3 | 6)}; /* [rsi] */
            struct insn in;
            if (decode(&in, bytes, sizeof bytes, n->cpu->engine.mode) != DECODE_OK)
                continue;
            forms++;
            failed += failed_for(n, bytes, sizeof bytes, 2000, &seed);
        }
    native_close(n);
    assert_true(forms > 55);
    assert_int_equal(failed, 0);
}

static void environments_have_the_hosts_formats(void **state)
{
    static const u8 forms[][4] = {
        {0xd9, 0x36},       /* fnstenv */
        {0x66, 0xd9, 0x36}, /* 14 bytes */
        {0xdd, 0x36},       /* fnsave */
        {0x66, 0xdd, 0x36}, /* 94 bytes */
        {0x66, 0xd9, 0x26}, /* fldenv */
        {0x66, 0xdd, 0x26}, /* frstor */
        {0x9b},             /* fwait */
        {0xdf, 0xe0},       /* fnstsw ax */
        {0x0f, 0xae, 0x1e}, /* stmxcsr */
    };
    struct native *n = native_open();
    u32 failed = 0;
    u64 seed = 0x5a5a5a5a;
    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(forms); i++)
        failed += failed_for(n, forms[i], sizeof forms[i], 2000, &seed);
    native_close(n);
    assert_int_equal(failed, 0);
}

/* But for the mask of MXCSR's bits: the host may know misaligned SSE mode, the guest does not. */
static void fxsave_writes_the_hosts_image(void **state)
{
    static const u8 forms[][4] = {{0x48, 0x0f, 0xae, 0x06}, {0x0f, 0xae, 0x06}};
    struct native *n = native_open();
    u64 seed = 0x31415926;
    (void)state;
    for (u32 i = 0; i < 2000; i++) {
        struct native_state before, host, ours;
        struct insn in;
        assert_int_equal(decode(&in, forms[i % 2], 4, n->cpu->engine.mode), DECODE_OK);
        native_load(n, forms[i % 2], in.length);
        native_randomize(n, &seed, &before);
        native_both(n, &in, &before, &host, &ours);
        assert_int_equal(load_le32(ours.memory + 28), 0xffff);
        memcpy(host.memory + 28, ours.memory + 28, 4);
        assert_true(native_equal(&host, &ours, NATIVE_FLAGS));
    }
    native_close(n);
}

static void fxrstor_and_ldmxcsr_refuse_reserved_bits(void **state)
{
    static const u8 ldmxcsr[] = {0x0f, 0xae, 0x16}, fxrstor[] = {0x0f, 0xae, 0x0e};
    struct native *n = native_open();
    (void)state;
    for (u32 bit = 0; bit < 32; bit++) {
        struct native_state s = {0};
        struct insn in;
        s.gpr[RSI] = (u64)(uintptr_t)n->buffer;
        store_le32(s.memory, (u32)BIT(bit));
        store_le32(s.memory + 24, (u32)BIT(bit));
        struct native_state other = s;
        assert_int_equal(decode(&in, ldmxcsr, sizeof ldmxcsr, n->cpu->engine.mode), DECODE_OK);
        emulated_run(n, &in, &s);
        assert_int_equal(s.vector, bit < 16 ? NATIVE_NO_FAULT : VECTOR_GP);
        assert_int_equal(load_le32(s.fx + 24), bit < 16 ? BIT(bit) : 0);
        assert_int_equal(decode(&in, fxrstor, sizeof fxrstor, n->cpu->engine.mode), DECODE_OK);
        emulated_run(n, &in, &other);
        assert_int_equal(other.vector, bit < 16 ? NATIVE_NO_FAULT : VECTOR_GP);
    }
    native_close(n);
}

/* What FXRSTOR takes, FXSAVE gives, as on the host. */
static void fxrstor_loads_what_the_host_would(void **state)
{
    static const u8 code[] = {0x48, 0x0f, 0xae, 0x0e};
    struct native *n = native_open();
    struct insn in;
    u64 seed = 0x777;
    (void)state;
    assert_int_equal(decode(&in, code, sizeof code, n->cpu->engine.mode), DECODE_OK);
    native_load(n, code, sizeof code);
    for (u32 i = 0; i < 2000; i++) {
        struct native_state image, before, host, ours;
        native_randomize(n, &seed, &image);
        native_randomize(n, &seed, &before);
        memcpy(before.memory, image.fx, sizeof image.fx);
        store_le64(before.memory + 8, native_random(&seed) >> 24); /* pointers within 47 bits */
        store_le64(before.memory + 16, native_random(&seed) >> 24);
        store_le16(before.memory + 6, (u16)native_random(&seed));
        store_le16(before.memory, (u16)native_random(&seed));
        store_le16(before.memory + 2, (u16)native_random(&seed));
        native_both(n, &in, &before, &host, &ours);
        if (!native_equal(&host, &ours, NATIVE_FLAGS)) {
            native_print("host", &host);
            native_print("ours", &ours);
            fail();
        }
    }
    native_close(n);
}

/* The host's images: only what it names is saved and loaded, and only into room enough. */
static void the_hosts_image_has_the_components_it_names(void **state)
{
    struct native *n = native_open();
    struct cpu *c = n->cpu;
    (void)state;
    u8 all[XSTATE_LEGACY_SIZE], part[XSTATE_LEGACY_SIZE], now[XSTATE_LEGACY_SIZE];
    const u64 both = XSTATE_X87 | XSTATE_SSE;
    memset(all, 0, sizeof all);
    store_le16(all, 0x27f);
    all[4] = 0xff;
    store_le64(all + 32, 0x8000000000000000ull);
    store_le32(all + 24, 0x1f81);
    memset(all + 160, 0x5a, 256);
    assert_true(cpu_xrstor(c, both, all, sizeof all));
    assert_false(cpu_xsave(c, both, part, sizeof part - 1));
    assert_false(cpu_xsave(c, BIT(2), part, sizeof part));
    assert_false(cpu_xrstor(c, BIT(63), all, sizeof all));
    assert_true(cpu_xsave(c, XSTATE_X87, part, sizeof part));
    assert_int_equal(load_le16(part), 0x27f);
    assert_int_equal(load_le32(part + 24), 0);
    assert_int_equal(part[160], 0);
    assert_true(cpu_xsave(c, XSTATE_SSE, part, sizeof part));
    assert_int_equal(load_le16(part), 0);
    assert_int_equal(load_le32(part + 24), 0x1f81);
    assert_memory_equal(part + 160, all + 160, 256);
    memset(part, 0, sizeof part);
    assert_true(cpu_xrstor(c, XSTATE_X87, part, sizeof part));
    assert_true(cpu_xsave(c, both, now, sizeof now));
    assert_int_equal(load_le16(now), 0x40); /* bit 6 is always set */
    assert_int_equal(load_le32(now + 24), 0x1f81);
    assert_memory_equal(now + 160, all + 160, 256);
    native_close(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_register_form_does_what_the_host_does),
        cmocka_unit_test(every_memory_form_does_what_the_host_does),
        cmocka_unit_test(environments_have_the_hosts_formats),
        cmocka_unit_test(fxsave_writes_the_hosts_image),
        cmocka_unit_test(fxrstor_and_ldmxcsr_refuse_reserved_bits),
        cmocka_unit_test(fxrstor_loads_what_the_host_would),
        cmocka_unit_test(the_hosts_image_has_the_components_it_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
