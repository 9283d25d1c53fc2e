/* SPDX-License-Identifier: Apache-2.0 */
/* What the host knows of a SEV or SEV-ES guest's pages: what the guest tells by hypercall and MSR
 * [cpu 9.8], and what the host has used itself. */
#include "ghcb_rig.h"

#define HYPERCALL    HYPERCALL_MAP_GPA_RANGE
#define SHARED_GPA   MIB(5)
#define MIGRATION    0x4b564d08u
#define KVM_FEATURES 0x40000001u

static int setup(void **state)
{
    struct bench *b = bench_create();
    b->plan = (struct image_plan){
        .memory_size = GUEST_MEMORY, .mode = IMAGE_SEV, .runnable = true, .vmsa_count = 0};
    b->plan.pieces[0] = (struct image_piece){"piece", MIB(4), PAGE_SIZE, b->bytes, PAGE_SIZE, 0};
    b->plan.piece_count = 1;
    *state = b;
    return 0;
}

static struct vm *make(struct bench *b, enum image_mode mode)
{
    b->plan.mode = mode;
    b->plan.vmsas[0] = &b->vmsas[0];
    b->plan.vmsa_count = mode == IMAGE_SEV_ES;
    struct vm_config config = {
        .name = "vm", .plan = &b->plan, .policy = 1, .console = {bench_output, b}};
    b->vm = vm_create(b->hv, &config, &b->error);
    assert_non_null(b->vm);
    if (mode == IMAGE_NONE) {
        assert_int_equal(vm_load(b->vm, &b->error), 0);
        return b->vm;
    }
    assert_int_equal(vm_launch_start(b->vm, NULL, 0, NULL, 0, &b->error), 0);
    assert_int_equal(vm_launch_update(b->vm, &b->error), 0);
    assert_int_equal(vm_launch_finish(b->vm, &b->error), 0);
    return b->vm;
}

static bool shared(struct bench *b, u64 gpa)
{
    return guest_page_is_shared(b->vm, guest_page_index(b->vm, gpa));
}

/* A VMMCALL of a guest whose registers the host sees. */
static u64 call(struct bench *b, u8 cpl, u64 number, u64 gpa, u64 pages, u64 attributes)
{
    struct vcpu *c = &b->vm->cpus[0];
    b->vm->hv->loaded[0] = c;
    b->host.gpr[RBX] = gpa;
    b->host.gpr[RCX] = pages;
    b->host.gpr[RDX] = attributes;
    c->vmcb.save.rax = number;
    c->vmcb.save.cpl = cpl;
    exits_vmmcall(c);
    return c->vmcb.save.rax;
}

static void a_guest_tells_by_hypercall(void **state)
{
    struct bench *b = *state;
    make(b, IMAGE_SEV);
    assert_int_equal(call(b, 0, HYPERCALL, SHARED_GPA, 2, 0), 0);
    assert_true(shared(b, SHARED_GPA));
    assert_true(shared(b, SHARED_GPA + PAGE_SIZE));
    assert_false(shared(b, SHARED_GPA - PAGE_SIZE));
    assert_false(shared(b, SHARED_GPA + 2 * PAGE_SIZE));
    assert_int_equal(call(b, 0, HYPERCALL, SHARED_GPA, 1, HYPERCALL_RANGE_ENCRYPTED), 0);
    assert_false(shared(b, SHARED_GPA));
    assert_true(shared(b, SHARED_GPA + PAGE_SIZE));
    /* All that there is, and what lies above it. */
    assert_int_equal(call(b, 0, HYPERCALL, 0, BIT(40), 0), 0);
    assert_true(shared(b, 0));
    assert_true(shared(b, GUEST_MEMORY - PAGE_SIZE));
    assert_int_equal(call(b, 0, HYPERCALL, MIB(512), 3, 0), 0);
}

static void a_hypercall_that_cannot_be_changes_nothing(void **state)
{
    struct bench *b = *state;
    make(b, IMAGE_SEV);
    assert_int_equal(call(b, 0, HYPERCALL, SHARED_GPA + 8, 1, 0), (u64)HYPERCALL_INVALID);
    assert_int_equal(call(b, 0, HYPERCALL, SHARED_GPA, 0, 0), (u64)HYPERCALL_INVALID);
    assert_int_equal(call(b, 0, HYPERCALL, SHARED_GPA, ~0ull, 0), (u64)HYPERCALL_INVALID);
    assert_int_equal(call(b, 0, HYPERCALL, ALIGN_DOWN(~0ull, PAGE_SIZE), 2, 0),
                     (u64)HYPERCALL_INVALID);
    assert_int_equal(call(b, 3, HYPERCALL, SHARED_GPA, 1, 0), (u64)HYPERCALL_NOT_ALLOWED);
    assert_int_equal(call(b, 0, 5, SHARED_GPA, 1, 0), (u64)HYPERCALL_UNKNOWN);
    assert_false(shared(b, SHARED_GPA));
}

static void who_has_no_pages_to_tell_of_is_told_so(void **state)
{
    struct bench *b = *state;
    u32 out[4];
    u64 value;
    make(b, IMAGE_NONE);
    assert_int_equal(call(b, 0, HYPERCALL, SHARED_GPA, 1, 0), (u64)HYPERCALL_UNKNOWN);
    cpuid_answer(&b->vm->cpus[0], KVM_FEATURES, 0, out);
    assert_int_equal(out[0] >> 16 & 3, 0);
    assert_false(vcpu_msr_read(&b->vm->cpus[0], MIGRATION, &value));
    assert_false(vcpu_msr_write(&b->vm->cpus[0], MIGRATION, 1));
}

static void the_guest_says_when_it_has_told_all(void **state)
{
    struct bench *b = *state;
    u32 out[4];
    u64 value;
    struct vcpu *c = &make(b, IMAGE_SEV)->cpus[0];
    cpuid_answer(c, KVM_FEATURES, 0, out);
    assert_int_equal(out[0] >> 16 & 3, 3);
    assert_true(vcpu_msr_read(c, MIGRATION, &value));
    assert_int_equal(value, 0);
    assert_false(vcpu_msr_write(c, MIGRATION, 2));
    assert_true(vcpu_msr_write(c, MIGRATION, 1));
    assert_true(vcpu_msr_read(c, MIGRATION, &value));
    assert_int_equal(value, 1);
}

/* What was launched is private although the host has placed it; what a device has used is not,
 * until the guest says so. A look from outside is no use. */
static void what_the_host_uses_is_shared_until_the_guest_tells(void **state)
{
    struct bench *b = *state;
    u8 bytes[16];
    make(b, IMAGE_SEV);
    assert_false(shared(b, MIB(4)));
    assert_true(vm_host_view(b->vm, SHARED_GPA, bytes, sizeof bytes));
    assert_true(vm_host_can_write(b->vm, SHARED_GPA));
    assert_false(shared(b, SHARED_GPA));
    assert_true(vm_write(b->vm, SHARED_GPA + PAGE_SIZE - 8, bytes, sizeof bytes));
    assert_true(shared(b, SHARED_GPA));
    assert_true(shared(b, SHARED_GPA + PAGE_SIZE));
    assert_false(vm_write(b->vm, GUEST_MEMORY - 8, bytes, sizeof bytes));
    assert_false(vm_write(b->vm, ~0ull - PAGE_SIZE, bytes, sizeof bytes)); /* near the very end */
    assert_false(vm_write(b->vm, ~0ull - 4, bytes, sizeof bytes));
    assert_int_equal(call(b, 0, HYPERCALL, SHARED_GPA, 1, HYPERCALL_RANGE_ENCRYPTED), 0);
    assert_false(shared(b, SHARED_GPA));
}

static void a_guest_with_a_ghcb_tells_there(void **state)
{
    struct bench *b = *state;
    const u64 ghcb = 0x5000;
    assert_int_equal(platform_init_es(b->hv, &b->error), 0);
    make(b, IMAGE_SEV_ES);
    ask(b, EXIT_VMMCALL, 0, 0);
    SET(b, rax, HYPERCALL);
    SET(b, rbx, SHARED_GPA);
    SET(b, rcx, 1);
    SET(b, rdx, 0);
    SET(b, cpl, 0);
    assert_int_equal(deliver(b, ghcb), GHCB_OK);
    assert_int_equal(b->page.rax, 0);
    assert_true(shared(b, SHARED_GPA));
    assert_true(shared(b, ghcb));
    ask(b, EXIT_VMMCALL, 0, 0);
    SET(b, rax, HYPERCALL);
    SET(b, rbx, SHARED_GPA + PAGE_SIZE);
    SET(b, rcx, 1);
    SET(b, cpl, 3);
    assert_int_equal(deliver(b, ghcb), GHCB_OK);
    assert_int_equal(b->page.rax, (u64)HYPERCALL_NOT_ALLOWED);
    ask(b, EXIT_VMMCALL, 0, 0);
    SET(b, rax, HYPERCALL);
    SET(b, cpl, 0); /* the arguments that are missing read as zero: no page */
    assert_int_equal(deliver(b, ghcb), GHCB_OK);
    assert_int_equal(b->page.rax, (u64)HYPERCALL_INVALID);
    assert_false(shared(b, SHARED_GPA + PAGE_SIZE));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_guest_tells_by_hypercall),
        T(a_hypercall_that_cannot_be_changes_nothing),
        T(who_has_no_pages_to_tell_of_is_told_so),
        T(the_guest_says_when_it_has_told_all),
        T(what_the_host_uses_is_shared_until_the_guest_tells),
        T(a_guest_with_a_ghcb_tells_there),
    };
    return cmocka_run_group_tests_name("guest_pages", tests, NULL, NULL);
}
