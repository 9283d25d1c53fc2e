/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INS and OUTS of a guest that is not encrypted, on a host made of arrays: where the bytes are is in the guest's own page
 * tables, of each kind that there is, and a repeated instruction goes on until its count is zero.
 */
#include "hypervisor_rig.h"

#define RIP  0x1000u
#define LONG (EFER_SVME | EFER_LME | EFER_LMA)

static struct vmcb exits; /* controls and registers with which the next VMRUN comes back */
static u64 gpr[16];       /* the same; then what the hypervisor has made of them */

static int setup(void **state)
{
    struct bench *b = bench_create();
    b->plan = (struct image_plan){.memory_size = GUEST_MEMORY, .runnable = true};
    b->plan.registers.rip = RIP;
    struct vm_config config = {.name = "vm", .plan = &b->plan, .console = {bench_output, b}};
    b->vm = vm_create(b->hv, &config, &b->error);
    assert_non_null(b->vm);
    assert_int_equal(vm_load(b->vm, &b->error), 0);
    *state = b;
    return 0;
}

static void guest_exits(struct host *h, struct vmcb *v)
{
    memcpy(h->gpr, gpr, sizeof gpr);
    v->control.exit_code = EXIT_IOIO;
    v->control.exit_info_1 = exits.control.exit_info_1;
    v->control.exit_info_2 = RIP + 1;
    v->save.cr0 = exits.save.cr0;
    v->save.cr3 = exits.save.cr3;
    v->save.cr4 = exits.save.cr4;
    v->save.efer = exits.save.efer;
    v->save.rflags = exits.save.rflags;
    v->save.rip = RIP;
    v->save.ds = exits.save.ds;
    v->save.es = exits.save.es;
}

/* One exit of `size` bytes with 64-bit addresses at DS (3), or ES for IN. */
static void string_exit(struct bench *b, u64 port, u32 size, u64 kind)
{
    exits.control.exit_info_1 = port << IOIO_PORT_SHIFT | (u64)size << IOIO_SIZE_SHIFT |
                                4ull << IOIO_ASIZE_SHIFT | 3ull << IOIO_SEG_SHIFT | IOIO_STRING |
                                kind;
    b->host.guest = guest_exits;
    vcpu_run(&b->vm->cpus[0], b->host.now + 1000);
    b->host.guest = NULL;
    memcpy(gpr, b->host.gpr, sizeof gpr);
}

#define P PTE_P
struct walk {
    const char *name;
    u64 cr0, cr4, efer, cr3, linear, gpa;
    u32 entry_size;
    struct {
        u64 at, value;
    } entries[4]; /* the last one is the leaf */
};

/* Tables at 10000h, 11000h, 12000h, 13000h; indexes 1 to 6. */
// clang-format off
static const struct walk walks[] = {
    {"no paging",    0,      0,       0,         0,       0x5678,                                    0x5678,   8, {{0}}},
    {"32-bit 4K",    CR0_PG, 0,       0,         0x10fff, 5u << 22 | 6u << 12 | 0x678,               0x5678,   4,
                     {{0x10014, 0x12000 | P}, {0x12018, 0x5000 | P}}},
    {"32-bit 4M",    CR0_PG, 0,       0,         0x10000, 5u << 22 | 6u << 12 | 0x678,               0x6678,   4,
                     {{0x10014, P | PTE_PS}}},
    {"PAE 4K",       CR0_PG, CR4_PAE, 0,         0x1003f, 2u << 30 | 3u << 21 | 4u << 12 | 0x678,    0x5678,   8,
                     {{0x10030, 0x12000 | P}, {0x12018, 0x13000 | P}, {0x13020, 0x5000 | P | PTE_NX}}},
    {"PAE 2M",       CR0_PG, CR4_PAE, 0,         0x10020, 2u << 30 | 3u << 21 | 4u << 12 | 0x678,    0x204678, 8,
                     {{0x10030, 0x12000 | P}, {0x12018, 0x200000 | P | PTE_PS | PTE_NX}}},
    {"long 4K",      CR0_PG, CR4_PAE, LONG,      0x10018, 1ull << 39 | 2u << 30 | 3u << 21 | 4u << 12 | 0x678, 0x5678, 8,
                     {{0x10008, 0x11000 | P}, {0x11010, 0x12000 | P}, {0x12018, 0x13000 | P}, {0x13020, 0x5000 | P | PTE_NX}}},
    {"long 2M",      CR0_PG, CR4_PAE, LONG,      0x10000, 1ull << 39 | 2u << 30 | 3u << 21 | 4u << 12 | 0x678, 0x204678, 8,
                     {{0x10008, 0x11000 | P}, {0x11010, 0x12000 | P}, {0x12018, 0x200000 | P | PTE_PS}}},
    {"long 1G",      CR0_PG, CR4_PAE, LONG,      0x10000, 1ull << 39 | 2u << 30 | 3u << 21 | 4u << 12 | 0x678, 0x604678, 8,
                     {{0x10008, 0x11000 | P}, {0x11010, P | PTE_PS}}},
};
// clang-format on

/* The last of its entries, or all but that, are in memory. */
static void put_tables(struct bench *b, const struct walk *w, bool leaf)
{
    for (u32 i = 0; i < ARRAY_SIZE(w->entries) && w->entries[i].at; i++) {
        bool last = i + 1 == ARRAY_SIZE(w->entries) || !w->entries[i + 1].at;
        u64 value = last && !leaf ? w->entries[i].value & ~P : w->entries[i].value;
        vm_write(b->vm, w->entries[i].at, &value, w->entry_size);
    }
}

static void use(struct bench *b, const struct walk *w)
{
    static const u8 zeros[4 * PAGE_SIZE];
    vm_write(b->vm, 0x10000, zeros, sizeof zeros);
    memset(&exits, 0, sizeof exits);
    exits.save.cr0 = w->cr0;
    exits.save.cr3 = w->cr3;
    exits.save.cr4 = w->cr4;
    exits.save.efer = w->efer ? w->efer : EFER_SVME;
    exits.save.cs.attributes = w->efer ? SEG_L : 0;
    b->output_size = 0;
    memset(b->output, 0, sizeof b->output);
    gpr[6] = w->linear;
}

static void the_guests_own_tables_say_where_a_string_is(void **state)
{
    struct bench *b = *state;
    for (size_t i = 0; i < ARRAY_SIZE(walks); i++) {
        const struct walk *w = &walks[i];
        char letter = (char)('a' + i);
        use(b, w);
        put_tables(b, w, true);
        vm_write(b->vm, w->gpa, &letter, 1);
        string_exit(b, BOARD_UART_PORT, 1, 0);
        if (b->output[0] != letter)
            print_message("# %s\n", w->name);
        assert_int_equal(b->output[0], letter);
        assert_int_equal(gpr[6], w->linear + 1);
        assert_int_equal(b->vm->cpus[0].vmcb.save.rip, RIP + 1);
        if (!w->entries[0].at)
            continue;
        use(b, w);
        put_tables(b, w, false);
        string_exit(b, BOARD_UART_PORT, 1, 0);
        assert_int_equal(b->output_size, 0);
        assert_int_equal(b->vm->cpus[0].vmcb.save.rip, RIP);
        assert_int_equal(b->vm->cpus[0].vmcb.save.cr2, w->linear);
        assert_int_equal(gpr[6], w->linear);
        string_exit(b, BOARD_UART_PORT, 1, 0); /* the fault goes in */
        assert_int_equal(b->host.seen.control.event_inject & 0xff, VECTOR_PF);
    }
}

static void a_repeated_string_ends_at_its_count(void **state)
{
    struct bench *b = *state;
    use(b, &walks[0]);
    vm_write(b->vm, 0x5678, "xyz", 3);
    gpr[1] = 3;
    for (u32 left = 3; left > 0; left--) {
        string_exit(b, BOARD_UART_PORT, 1, IOIO_REP);
        assert_int_equal(gpr[1], left - 1);
        assert_int_equal(b->vm->cpus[0].vmcb.save.rip, left == 1 ? RIP + 1 : RIP);
    }
    assert_string_equal(b->output, "xyz");
    string_exit(b, BOARD_UART_PORT, 1, IOIO_REP); /* of nothing */
    assert_string_equal(b->output, "xyz");
    assert_int_equal(gpr[1], 0);
    assert_int_equal(b->vm->cpus[0].vmcb.save.rip, RIP + 1);
    exits.save.rflags = RFLAGS_DF;
    string_exit(b, BOARD_UART_PORT, 1, 0);
    assert_int_equal(gpr[6], 0x567a);
}

static void ins_writes_where_es_points(void **state)
{
    struct bench *b = *state;
    u8 bytes[6] = {0};
    use(b, &walks[0]);
    exits.save.es.base = 0x3000;
    exits.save.ds.base = 0x100;
    memset(bytes, 0xee, sizeof bytes);
    vm_write(b->vm, 0x5677, bytes, sizeof bytes);
    gpr[7] = 0x2678;
    string_exit(b, 0xcf8, 4, IOIO_IN); /* PCI's address register: zero */
    vm_read(b->vm, 0x5677, bytes, sizeof bytes);
    assert_memory_equal(bytes, "\xee\0\0\0\0\xee", 6);
    assert_int_equal(gpr[7], 0x267c);
    assert_int_equal(gpr[6], 0x5678);
    gpr[6] = 0x5600;
    vm_write(b->vm, 0x5700, "d", 1);
    string_exit(b, BOARD_UART_PORT, 1, 0);
    assert_string_equal(b->output, "d");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_guests_own_tables_say_where_a_string_is),
        TEST(a_repeated_string_ends_at_its_count),
        TEST(ins_writes_where_es_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
