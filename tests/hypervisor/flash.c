/* SPDX-License-Identifier: Apache-2.0 */
/* The flash of firmware's variables as a guest sees it: memory while it shows its contents, a
 * device while a driver writes; a SEV-ES guest always reads memory. */
#include "rig.h"

#define FIRMWARE_SIZE  MIB(1)
#define VARIABLES_SIZE (MIB(1) - KIB(64)) /* the flash begins inside of a chunk */
#define AT             (GIB(4) - FIRMWARE_SIZE - VARIABLES_SIZE)
#define PLACE          (AT + PAGE_SIZE + 5)

static u8 variables[VARIABLES_SIZE];
static u32 changes;

static void on_change(void *context)
{
    (void)context;
    changes++;
}

static int setup(void **state)
{
    struct bench *b = bench_create();
    b->plan = (struct image_plan){.memory_size = GUEST_MEMORY, .runnable = true};
    b->plan.flash_size = FIRMWARE_SIZE;
    b->plan.flash_gpa = GIB(4) - FIRMWARE_SIZE;
    b->plan.pieces[0] =
        (struct image_piece){"flash", GIB(4) - PAGE_SIZE, PAGE_SIZE, b->bytes, PAGE_SIZE, 0};
    b->plan.piece_count = 1;
    for (u32 i = 0; i < VARIABLES_SIZE; i++)
        variables[i] = (u8)(i * 11 + i / 256);
    changes = 0;
    *state = b;
    return 0;
}

static void make(struct bench *b, enum image_mode mode)
{
    const struct vm_config config = {.name = "vm",
                                     .plan = &b->plan,
                                     .policy = 5,
                                     .console = {bench_output, b},
                                     .flash = {variables, VARIABLES_SIZE, on_change, NULL}};
    b->plan.mode = mode;
    b->vm = vm_create(b->hv, &config, &b->error);
    if (!b->vm)
        fail_msg("%s", b->error.text);
}

/* The nested tables' entry for an address; 0: there is none. */
static u64 leaf(const struct bench *b, u64 gpa)
{
    u64 entry = b->vm->npt.root | PTE_P;
    for (u32 shift = 39; shift >= 12; shift -= 9) {
        if (!(entry & PTE_P) || (entry & PTE_PS && shift < 21))
            break;
        entry = load_le64(b->host.memory + (entry & PTE_ADDRESS) + (gpa >> shift & 511) * 8);
    }
    return entry & PTE_P ? entry : 0;
}

static u8 memory_at(const struct bench *b, u64 gpa)
{
    u8 byte = 0;
    assert_true(vm_read(b->vm, gpa, &byte, 1));
    return byte;
}

static void put(const struct bench *b, u64 gpa, u8 value)
{
    board_memory_write(b->vm->board, 0, gpa, 1, value);
}

static u8 get(const struct bench *b, u64 gpa)
{
    return (u8)board_memory_read(b->vm->board, 0, gpa, 1);
}

static void contents_are_memory_that_cannot_be_written(void **state)
{
    struct bench *b = *state;
    make(b, IMAGE_NONE);
    for (u64 at = 0; at < VARIABLES_SIZE; at += PAGE_SIZE - 1) {
        assert_int_equal(memory_at(b, AT + at), variables[at]);
        assert_true(leaf(b, AT + at) && !(leaf(b, AT + at) & PTE_RW));
    }
}

static void a_driver_that_writes_finds_a_device_and_then_what_it_wrote(void **state)
{
    struct bench *b = *state;
    const u8 before = variables[PLACE - AT];
    u8 byte;
    make(b, IMAGE_NONE);
    put(b, PLACE, 0x40);
    assert_int_equal(leaf(b, AT), 0);
    assert_int_equal(leaf(b, AT + VARIABLES_SIZE - 1), 0);
    assert_true(leaf(b, AT + VARIABLES_SIZE) != 0);
    assert_true(leaf(b, AT - 1) != 0);
    assert_false(vm_read(b->vm, PLACE, &byte, 1));
    assert_int_equal(b->vm->cpus[0].vmcb.control.tlb_control, TLB_FLUSH_ASID);
    put(b, PLACE, (u8)~before);
    assert_int_equal(changes, 1);
    assert_int_equal(get(b, PLACE) & 0x80, 0x80); /* the status: ready */
    b->vm->cpus[0].vmcb.control.tlb_control = 0;
    put(b, PLACE, 0xff);
    assert_int_equal(memory_at(b, PLACE), (u8)~before);
    assert_int_equal(memory_at(b, PLACE + 1), variables[PLACE + 1 - AT]);
    assert_true(leaf(b, PLACE) && !(leaf(b, PLACE) & PTE_RW));
    assert_int_equal(b->vm->cpus[0].vmcb.control.tlb_control, TLB_FLUSH_ASID);
}

static void an_es_guest_reads_memory_that_follows(void **state)
{
    struct bench *b = *state;
    make(b, IMAGE_SEV_ES);
    put(b, PLACE, 0x10);
    assert_int_equal(memory_at(b, PLACE), variables[PLACE - AT]);
    put(b, PLACE, 0xa7);
    assert_int_equal(memory_at(b, PLACE), 0xa7);
    put(b, PLACE, 0x20);
    put(b, PLACE, 0xd0);
    assert_int_equal(memory_at(b, PLACE), 0xff); /* the sector is erased */
    assert_int_equal(changes, 2);
}

static void an_snp_guest_has_none(void **state)
{
    struct bench *b = *state;
    const struct vm_config config = {
        .name = "vm", .plan = &b->plan, .flash = {variables, VARIABLES_SIZE, on_change, NULL}};
    b->plan.mode = IMAGE_SEV_SNP;
    assert_null(vm_create(b->hv, &config, &b->error));
    assert_int_equal(b->error.code, ERROR_USAGE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(contents_are_memory_that_cannot_be_written),
        TEST(a_driver_that_writes_finds_a_device_and_then_what_it_wrote),
        TEST(an_es_guest_reads_memory_that_follows),
        TEST(an_snp_guest_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
