/* SPDX-License-Identifier: Apache-2.0 */
/* The table of differences between vendors: AMD's processors have none, and no row hides more than
 * what it names. The same on every host. */
#include "host_vendor.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#define MEMORY    64
#define MEMORY_AT 0x1000u

/* One state; the cases below change what their instruction would. */
struct outcome {
    u64 gpr[16], flags, vector, address;
    u8 fx[512], memory[MEMORY];
};

struct example {
    const char *title;
    u32 mode;
    u8 code[8];
    void (*amd)(struct outcome *o);
    void (*intel)(struct outcome *o);
};

static struct vendor_state view(struct outcome *o)
{
    return (struct vendor_state){.gpr = o->gpr,
                                 .flags = &o->flags,
                                 .vector = &o->vector,
                                 .address = &o->address,
                                 .fx = o->fx,
                                 .memory = o->memory,
                                 .memory_at = MEMORY_AT,
                                 .memory_size = MEMORY};
}

static void initial(struct outcome *o)
{
    memset(o, 0, sizeof *o);
    for (u32 i = 0; i < 16; i++)
        o->gpr[i] = 0x1111 * (i + 1);
    for (u32 i = 0; i < MEMORY; i++)
        o->memory[i] = (u8)(0xa0 + i);
    for (u32 i = 32; i < 416; i++)
        o->fx[i] = (u8)i;
    o->gpr[RCX] = 20;
    o->gpr[RSI] = o->gpr[RDI] = MEMORY_AT;
    o->gpr[RSP] = MEMORY_AT + 32;
    o->flags = RFLAGS_CF;
    o->vector = VENDOR_NO_FAULT;
}

static void nothing(struct outcome *o)
{
    (void)o;
}

static void push_four(struct outcome *o)
{
    store_le32(o->memory + 28, 0x2b);
    o->gpr[RSP] -= 4;
}

static void push_two(struct outcome *o)
{
    store_le16(o->memory + 28, 0x2b);
    o->gpr[RSP] -= 4;
}

static void fault(struct outcome *o)
{
    o->vector = VECTOR_PF;
    o->address = PAGE_SIZE;
}

static void fault_with_flags(struct outcome *o)
{
    fault(o);
    o->flags = RFLAGS_ZF;
}

static void fault_with_top(struct outcome *o)
{
    fault(o);
    store_le16(o->fx + 2, 3 << 11);
}

/* ST(0) is register 3. */
static void fault_without_top(struct outcome *o)
{
    u8 st[128];
    fault(o);
    memcpy(st, o->fx + 32, sizeof st);
    for (u32 i = 0; i < 8; i++)
        memcpy(o->fx + 32 + 16 * ((i + 3) % 8), st + 16 * i, 16);
}

static void exchange(struct outcome *o)
{
    u64 rax = o->gpr[RAX];
    o->gpr[RAX] = (u32)o->gpr[8];
    o->gpr[8] = (u32)rax;
}

static void store_zeros(struct outcome *o)
{
    memset(o->memory, 0, MEMORY);
}

static void undefined(struct outcome *o)
{
    o->vector = VECTOR_UD;
}

/* RBX 4444, RDX 3333 */
static void shift_bba(struct outcome *o)
{
    o->gpr[RBX] = 0x3333;
}

static void shift_aba(struct outcome *o)
{
    o->gpr[RBX] = 0x4333;
}

static void point(struct outcome *o)
{
    store_le64(o->fx + 8, 0x123456);
}

// clang-format off
static const struct example examples[] = {
    {"push ds", MODE_CODE32 | MODE_PE, {0x1e}, push_four, push_two},
    {"repe cmpsb faults", MODE_CODE64, {0xf3, 0xa6}, fault_with_flags, fault},
    {"movq [rsi], mm0 faults", MODE_CODE64, {0x0f, 0x7f, 0x06}, fault_with_top, fault_without_top},
    {"movsxd ax, [rsi] faults", MODE_CODE64, {0x66, 0x63, 0x06}, fault, nothing},
    {"rep xchg r8d, eax", MODE_CODE64, {0xf3, 0x41, 0x90}, exchange, nothing},
    {"clzero", MODE_CODE64, {0x0f, 0x01, 0xfc}, store_zeros, undefined},
    {"fld1", MODE_CODE64, {0xd9, 0xe8}, nothing, point},
    {"shrd bx, dx, cl", MODE_CODE64, {0x66, 0x0f, 0xad, 0xd3}, shift_bba, shift_aba},
};
// clang-format on

/* Adapts AMD's outcome of an example to a vendor, with and without a fault of the core besides. */
static void run(const struct example *e, const char *vendor, bool wrong, struct outcome *core)
{
    struct outcome before, host;
    struct insn in;
    assert_int_equal(decode(&in, e->code, sizeof e->code, e->mode | MODE_PE | MODE_LMA), DECODE_OK);
    initial(&before);
    host = *core = before;
    e->intel(&host);
    e->amd(core);
    if (wrong) {
        core->gpr[RBP] ^= 1;
        core->memory[MEMORY - 1] ^= in.op->id != INSN_clzero;
    }
    struct vendor_case k = {&in, view(&before), view(&host), view(core)};
    vendor_adapt_to(vendor, &k);
}

static void an_adapted_outcome_is_the_other_vendors(void **state)
{
    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(examples); i++) {
        struct outcome core, wanted;
        initial(&wanted);
        examples[i].intel(&wanted);
        run(&examples[i], "GenuineIntel", false, &core);
        if (core.vector == VENDOR_NO_FAULT || core.vector == VECTOR_UD)
            core.address = 0;
        if (memcmp(&core, &wanted, sizeof core) != 0)
            fail_msg("%s", examples[i].title);
    }
}

static void no_row_hides_a_fault_of_the_core(void **state)
{
    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(examples); i++) {
        struct outcome core, wanted;
        initial(&wanted);
        examples[i].intel(&wanted);
        run(&examples[i], "GenuineIntel", true, &core);
        assert_int_not_equal(core.gpr[RBP], wanted.gpr[RBP]);
        if (examples[i].amd != store_zeros)
            assert_int_not_equal(core.memory[MEMORY - 1], wanted.memory[MEMORY - 1]);
    }
}

static void on_amd_and_unknown_processors_nothing_is_adapted(void **state)
{
    static const char *const vendors[] = {"AuthenticAMD", "HygonGenuine", "CentaurHauls", ""};
    (void)state;
    for (u32 v = 0; v < ARRAY_SIZE(vendors); v++)
        for (u32 i = 0; i < ARRAY_SIZE(examples); i++) {
            struct outcome core, amd;
            initial(&amd);
            examples[i].amd(&amd);
            run(&examples[i], vendors[v], false, &core);
            assert_memory_equal(&core, &amd, sizeof core);
        }
}

static void every_row_says_what_differs_and_where_it_is_written(void **state)
{
    u32 count;
    (void)state;
    const struct vendor_row *rows = vendor_rows("GenuineIntel", &count);
    assert_true(count > 0);
    for (u32 i = 0; i < count; i++)
        assert_true(rows[i].instructions[0] && rows[i].amd[0] && rows[i].other[0] &&
                    rows[i].source[0] && rows[i].adapt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_adapted_outcome_is_the_other_vendors),
        cmocka_unit_test(no_row_hides_a_fault_of_the_core),
        cmocka_unit_test(on_amd_and_unknown_processors_nothing_is_adapted),
        cmocka_unit_test(every_row_says_what_differs_and_where_it_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
