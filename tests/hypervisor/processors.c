/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMs of several processors on a host made of arrays: how those but the first one start, how they
 * take turns, and what a hostile guest can do with INIT and STARTUP.
 */
#include "rig.h"

#define ICR_LOW    0x300u
#define ICR_HIGH   0x310u
#define ICR_INIT   0x4500u
#define ICR_SIPI   0x4600u
#define ICR_NMI    0x4400u
#define ALL        0x80000u
#define OTHERS     0xc0000u
#define TRAMPOLINE 0x9au

static u64 order[64]; /* RIP at each VMRUN: who it was */
static u32 order_count;

static int setup(void **state)
{
    struct bench *b = bench_create();
    order_count = 0;
    b->plan = (struct image_plan){.memory_size = GUEST_MEMORY, .cpus = 3, .runnable = true};
    b->plan.registers.rip = 0x1000;
    b->plan.registers.rflags = RFLAGS_ONE | RFLAGS_IF;
    b->plan.registers.g_pat = 0x0007040600070406ull;
    for (u32 i = 0; i < 3; i++)
        b->plan.vmsas[i] = &b->vmsas[i];
    *state = b;
    return 0;
}

static struct vcpu *make(struct bench *b)
{
    struct vm_config config = {.name = "vm", .plan = &b->plan};
    b->vm = vm_create(b->hv, &config, &b->error);
    assert_non_null(b->vm);
    assert_int_equal(vm_load(b->vm, &b->error), 0);
    return b->vm->cpus;
}

static struct vcpu *make_es(struct bench *b)
{
    struct vm_config config = {.name = "vm", .plan = &b->plan, .policy = 5};
    b->plan.mode = IMAGE_SEV_ES;
    b->plan.vmsa_count = 3;
    b->plan.jump_table_gpa = 0x9f000;
    assert_int_equal(platform_init_es(b->hv, &b->error), 0);
    b->vm = vm_create(b->hv, &config, &b->error);
    assert_non_null(b->vm);
    assert_int_equal(vm_launch_start(b->vm, NULL, 0, NULL, 0, &b->error), 0);
    assert_int_equal(vm_launch_update_vmsa(b->vm, &b->error), 0);
    assert_int_equal(vm_launch_finish(b->vm, &b->error), 0);
    return b->vm->cpus;
}

static void send(struct vcpu *from, u32 to, u32 low)
{
    lapic_write(from->lapic, ICR_HIGH, to << 24);
    lapic_write(from->lapic, ICR_LOW, low);
}

static void start(struct vcpu *from, u32 to)
{
    send(from, to, ICR_INIT);
    send(from, to, ICR_SIPI | TRAMPOLINE);
    assert_true(vcpu_can_run(&from->vm->cpus[to]));
}

static void run(struct vcpu *c, void (*guest)(struct host *h, struct vmcb *vmcb))
{
    struct host *h = c->vm->hv->host;
    h->guest = guest;
    vcpu_run(c, h->now + 1000);
    h->guest = NULL;
}

static const char *end_of(struct bench *b)
{
    static struct vm_summary s;
    vm_get_summary(b->vm, &s);
    return s.reason;
}

/* --- How many --------------------------------------------------------------------------------- */

static void a_vm_has_the_plans_processors_and_no_others(void **state)
{
    struct bench *b = *state;
    struct vm_config config = {.name = "vm", .plan = &b->plan, .cpus = 2};
    assert_null(vm_create(b->hv, &config, &b->error));
    assert_non_null(strstr(b->error.text, "2 processors asked for, its image has 3"));
    b->error.code = ERROR_NONE;
    b->plan.cpus = 0;
    config.cpus = VM_CPUS_MAX + 1;
    assert_null(vm_create(b->hv, &config, &b->error));
    assert_non_null(strstr(b->error.text, "9 processors asked for; a VM has 1 to 8"));
    config.cpus = VM_CPUS_MAX;
    assert_non_null(vm_create(b->hv, &config, &b->error));
}

static void memory_of_all_of_them_comes_back(void **state)
{
    struct bench *b = *state;
    u64 pages[3];
    for (u32 round = 0; round < 3; round++) {
        make(b);
        pages[round] = b->vm->cpus[2].vmcb_spa;
        vm_destroy(b->vm);
    }
    assert_int_equal(pages[0], pages[2]);
}

static void cpuid_tells_them_apart(void **state)
{
    struct bench *b = *state;
    struct vcpu *cpus = make(b);
    u32 out[4];
    for (u32 i = 0; i < 3; i++) {
        cpuid_answer(&cpus[i], 1, 0, out);
        assert_int_equal(out[1] >> 16, i << 8 | 3);
        assert_true(out[3] & BIT(28)); /* HTT */
        cpuid_answer(&cpus[i], 0xb, 1, out);
        assert_int_equal(out[0], 2); /* bits of the ID below the package */
        assert_int_equal(out[1], 3);
        assert_int_equal(out[3], i);
        cpuid_answer(&cpus[i], 0x8000001e, 0, out);
        assert_int_equal(out[0], i);
        cpuid_answer(&cpus[i], 0x80000008, 0, out);
        assert_int_equal(out[2], 2 << 12 | 2);
    }
}

static void a_complex_shares_its_l3(void **state)
{
    struct bench *b = *state;
    static const struct {
        u32 signature, cores;
    } rows[] = {{0x800f12, 4}, {0x830f10, 4}, {0xa00f11, 8}, {0xa10f11, 8}, {0xb00f21, 8}};
    b->plan.cpus = 8;
    struct vcpu *cpus = make(b);
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        u32 out[4];
        b->host.signature = rows[i].signature;
        cpuid_answer(&cpus[0], 0x8000001d, 3, out);
        assert_int_equal(out[0] >> 14 & 0xfff, rows[i].cores - 1);
    }
}

/* --- INIT and STARTUP ------------------------------------------------------------------------- */

static void only_the_first_one_runs_at_first(void **state)
{
    struct bench *b = *state;
    struct vcpu *cpus = make(b);
    assert_true(vcpu_can_run(&cpus[0]));
    assert_false(vcpu_can_run(&cpus[1]) || vcpu_can_run(&cpus[2]));
    send(&cpus[0], 1, 0x40f0); /* an interrupt wakes nobody who waits for STARTUP */
    send(&cpus[0], 1, ICR_NMI);
    assert_false(vcpu_can_run(&cpus[1]));
}

static void startup_begins_in_real_mode_at_the_vectors_page(void **state)
{
    struct bench *b = *state;
    struct vcpu *cpus = make(b);
    start(&cpus[0], 2);
    run(&cpus[2], NULL);
    const struct vmcb_save *s = &b->host.seen.save;
    assert_int_equal(s->cs.selector, TRAMPOLINE << 8);
    assert_int_equal(s->cs.base, TRAMPOLINE << 12);
    assert_int_equal(s->rip, 0);
    assert_int_equal(s->cr0, CR0_CD | CR0_NW | CR0_ET);
    assert_int_equal(s->efer, EFER_SVME);
    assert_int_equal(s->rflags, RFLAGS_ONE);
    assert_int_equal(s->g_pat, 0x0007040600070406ull);
    assert_int_equal(s->tr.attributes, 0x83);
    assert_int_equal(s->cr3 | s->cr4 | s->rsp, 0);
    assert_false(vcpu_can_run(&cpus[1]));
}

static void a_second_startup_changes_nothing(void **state)
{
    struct bench *b = *state;
    struct vcpu *cpus = make(b);
    start(&cpus[0], 1);
    send(&cpus[0], 1, ICR_SIPI | 0x11);
    send(&cpus[0], 0, ICR_SIPI | 0x11);
    assert_true(vcpu_can_run(&cpus[0]) && vcpu_can_run(&cpus[1]));
    assert_int_equal(cpus[1].vmcb.save.cs.base, TRAMPOLINE << 12);
    run(&cpus[0], NULL);
    assert_int_equal(b->host.seen.save.rip, 0x1000);
}

static void startup_waits_for_init_to_be_carried_out(void **state)
{
    struct bench *b = *state;
    struct vcpu *cpus = make(b);
    start(&cpus[0], 1);
    run(&cpus[1], NULL);
    send(&cpus[0], 1, ICR_INIT);
    assert_false(vcpu_can_run(&cpus[1]));
    cpus[1].mtrr_default = 0x123;
    send(&cpus[0], 1, ICR_INIT);
    send(&cpus[0], 1, ICR_SIPI | 0x33);
    send(&cpus[0], 1, ICR_SIPI | 0x44);
    assert_true(vcpu_can_run(&cpus[1]));
    assert_int_equal(cpus[1].vmcb.save.cs.base, 0x33000);
    assert_int_equal(cpus[1].mtrr_default, 0x123);
}

static void broadcast_startup_begins_all_others(void **state)
{
    struct bench *b = *state;
    struct vcpu *cpus = make(b);
    send(&cpus[0], 0, ICR_INIT | OTHERS);
    send(&cpus[0], 0, ICR_SIPI | OTHERS | 8);
    assert_true(vcpu_can_run(&cpus[0]) && vcpu_can_run(&cpus[1]) && vcpu_can_run(&cpus[2]));
    assert_int_equal(vm_get_state(b->vm), VM_RUNNABLE);
}

static void init_to_the_first_one_resets_the_guest(void **state)
{
    struct bench *b = *state;
    struct vcpu *cpus = make(b);
    send(&cpus[0], 0, ICR_INIT | ALL);
    vcpu_can_run(&cpus[0]);
    assert_int_equal(vm_get_state(b->vm), VM_RESET);
    assert_string_equal(end_of(b), "the guest sent INIT to its first processor");
}

static void guest_sends_itself_init(struct host *h, struct vmcb *v)
{
    h->gpr[1] = 0x830; /* x2APIC ICR */
    h->gpr[2] = 1;
    v->save.rax = ICR_INIT;
    v->save.rip = 0x500;
    v->control.exit_code = EXIT_MSR;
    v->control.exit_info_1 = 1;
    v->control.next_rip = 0x502;
}

static void init_to_oneself_is_carried_out_after_the_exit(void **state)
{
    struct bench *b = *state;
    struct vcpu *cpus = make(b);
    start(&cpus[0], 1);
    assert_true(lapic_msr_write(cpus[1].lapic, MSR_APIC_BASE, 0xfee00c00));
    run(&cpus[1], guest_sends_itself_init);
    assert_int_equal(cpus[1].vmcb.save.rip, 0x502);
    assert_false(vcpu_can_run(&cpus[1]));
    assert_int_equal(cpus[1].vmcb.save.rip, 0);
    assert_int_equal(vm_get_state(b->vm), VM_RUNNABLE);
}

static void a_storm_of_messages_to_anybody_and_nobody_is_weathered(void **state)
{
    struct bench *b = *state;
    struct vcpu *cpus = make(b);
    u32 x = 1;
    for (u32 i = 0; i < 20000; i++) {
        x = x * 1664525 + 1013904223;
        struct vcpu *from = &cpus[x >> 8 & 1];
        u32 low = x >> 12 & 0xccfff;
        bool resets_first = (low >> 8 & 7) == 5 && (low & 0xc0000 || !(x >> 4 & 3) || low & 0x800);
        send(from, x >> 4 & 3 ? 1 + (x >> 4 & 0xf) : 0, resets_first ? 0x4600 : low);
        for (u32 c = 0; c < 3; c++)
            if (vcpu_can_run(&cpus[c]))
                run(&cpus[c], NULL);
    }
    assert_int_equal(vm_get_state(b->vm), VM_RUNNABLE);
}

/* --- Turns ------------------------------------------------------------------------------------ */

static void guest_is_noted(struct host *h, struct vmcb *v)
{
    if (order_count < ARRAY_SIZE(order))
        order[order_count++] = v->save.rip;
    h->now += 1000000;
    v->control.exit_code = EXIT_INTR;
}

static void processors_and_guests_take_turns(void **state)
{
    struct bench *b = *state;
    struct vcpu *cpus = make(b);
    start(&cpus[0], 1);
    cpus[1].vmcb.save.rip = 0x2000;
    cpus[1].save_changed = true;
    b->plan.cpus = 1;
    b->plan.registers.rip = 0x3000;
    make(b);
    b->host.guest = guest_is_noted;
    assert_true(hypervisor_run(b->hv, 8000000));
    static const u64 want[8] = {0x1000, 0x3000, 0x2000, 0x3000, 0x1000, 0x3000, 0x2000, 0x3000};
    assert_in_range(order_count, 7, 8);
    assert_memory_equal(order, want, 7 * sizeof want[0]);
}

/* A slice that ends before somebody's turn must not cost him that turn, slice after slice. */
static void nobody_starves_between_slices(void **state)
{
    struct bench *b = *state;
    b->plan.cpus = 1;
    for (u64 i = 1; i <= 3; i++) {
        b->plan.registers.rip = i << 12;
        make(b);
    }
    b->host.guest = guest_is_noted;
    for (u64 slice = 1; slice <= 3; slice++)
        assert_true(hypervisor_run(b->hv, slice * 2000000));
    static const u64 want[6] = {0x1000, 0x2000, 0x3000, 0x1000, 0x2000, 0x3000};
    assert_memory_equal(order, want, sizeof want);
}

static void guest_halts(struct host *h, struct vmcb *v)
{
    guest_is_noted(h, v);
    h->now -= 1000000;
    v->save.rflags |= RFLAGS_IF;
    v->control.exit_code = EXIT_HLT;
    v->control.next_rip = v->save.rip;
}

static void time_jumps_only_when_all_are_halted(void **state)
{
    struct bench *b = *state;
    struct vcpu *cpus = make(b);
    start(&cpus[0], 1);
    b->host.guest = guest_halts;
    assert_true(hypervisor_run(b->hv, 50000000));
    assert_int_equal(order_count, 2);
    assert_int_equal(b->host.now, 50000000);
    lapic_raise(cpus[1].lapic, 0x55, false); /* its APIC is off: nothing happens */
    lapic_write(cpus[0].lapic, 0xf0, 0x1ff);
    lapic_raise(cpus[0].lapic, 0x55, false);
    vm_wake(b->vm);
    assert_true(hypervisor_run(b->hv, 60000000));
    assert_int_equal(order_count, 3);
    assert_int_equal(order[2], 0x1000);
}

static void guest_pauses(struct host *h, struct vmcb *v)
{
    guest_is_noted(h, v);
    h->now -= 1000000;
    v->control.exit_code = EXIT_PAUSE;
    v->control.next_rip = v->save.rip;
}

static void a_processor_that_spins_gives_its_turn_away(void **state)
{
    struct bench *b = *state;
    struct vcpu *cpus = make(b);
    run(&cpus[0], NULL);
    assert_false(b->host.seen.control.intercept_3 & INTERCEPT3_PAUSE); /* for whom? */
    start(&cpus[0], 1);
    run(&cpus[0], NULL);
    assert_true(b->host.seen.control.intercept_3 & INTERCEPT3_PAUSE);
    assert_true(b->host.seen.control.pause_filter_count > 0);
    b->host.guest = guest_pauses;
    hypervisor_run(b->hv, b->host.now + 1000);
    assert_true(order_count >= 4);
    for (u32 i = 0; i < 4; i++)
        assert_int_equal(order[i], i % 2 ? 0 : 0x1000);
}

static void translations_of_one_processor_are_not_the_others(void **state)
{
    struct bench *b = *state;
    struct vcpu *cpus = make(b);
    start(&cpus[0], 1);
    run(&cpus[0], NULL);
    run(&cpus[0], NULL);
    assert_int_equal(b->host.seen.control.tlb_control, TLB_FLUSH_NONE);
    run(&cpus[1], NULL);
    run(&cpus[1], NULL);
    assert_int_equal(b->host.seen.control.tlb_control, TLB_FLUSH_NONE);
    run(&cpus[0], NULL);
    assert_int_equal(b->host.seen.control.tlb_control, TLB_FLUSH_ASID);
}

static void guest_sets_gprs(struct host *h, struct vmcb *v)
{
    for (u32 i = 0; i < 16; i++)
        h->gpr[i] = v->save.rip + i;
    v->control.exit_code = EXIT_INTR;
}

static void registers_of_one_processor_are_not_the_others(void **state)
{
    struct bench *b = *state;
    struct vcpu *cpus = make(b);
    start(&cpus[0], 1);
    run(&cpus[0], guest_sets_gprs);
    run(&cpus[1], guest_sets_gprs);
    run(&cpus[0], NULL);
    assert_int_equal(b->host.gpr[9], 0x1009);
    run(&cpus[1], NULL);
    assert_int_equal(b->host.gpr[9], 9);
}

/* --- The end ---------------------------------------------------------------------------------- */

static void guest_halts_for_good(struct host *h, struct vmcb *v)
{
    (void)h;
    v->save.rflags = RFLAGS_ONE;
    v->control.exit_code = EXIT_HLT;
    v->control.next_rip = v->save.rip + 1;
}

static void a_guest_ends_when_its_last_processor_sleeps_for_good(void **state)
{
    struct bench *b = *state;
    struct vcpu *cpus = make(b);
    start(&cpus[0], 1);
    run(&cpus[0], guest_halts_for_good);
    assert_int_equal(vm_get_state(b->vm), VM_RUNNABLE);
    send(&cpus[1], 0, ICR_NMI); /* one thing that wakes it */
    assert_true(vcpu_can_run(&cpus[0]));
    run(&cpus[0], guest_halts_for_good);
    run(&cpus[1], guest_halts_for_good);
    assert_int_equal(vm_get_state(b->vm), VM_CRASHED);
    assert_non_null(strstr(end_of(b), "halted for good at RIP"));
}

/* --- SEV-ES: reset hold ----------------------------------------------------------------------- */

static u64 next_ghcb;

static void guest_vmgexits(struct host *h, struct vmcb *v)
{
    (void)h;
    v->control.exit_code = EXIT_VMGEXIT;
    v->control.ghcb_gpa = next_ghcb;
}

static void vmgexit(struct vcpu *c, u64 ghcb)
{
    next_ghcb = ghcb;
    run(c, guest_vmgexits);
}

static void launched_processors_run_until_they_hold_themselves(void **state)
{
    struct bench *b = *state;
    struct vcpu *cpus = make_es(b);
    assert_true(vcpu_can_run(&cpus[0]) && vcpu_can_run(&cpus[1]) && vcpu_can_run(&cpus[2]));
    assert_int_equal(b->host.launched_size, 3 * PAGE_SIZE);
    vmgexit(&cpus[1], GHCB_MSR_RESET_HOLD_REQUEST);
    assert_false(vcpu_can_run(&cpus[1]));
    send(&cpus[0], 1, 0x40f0);
    send(&cpus[0], 1, ICR_INIT);
    assert_false(vcpu_can_run(&cpus[1]));
    send(&cpus[0], 1, ICR_SIPI | 1);
    assert_true(vcpu_can_run(&cpus[1]));
    run(&cpus[1], NULL);
    assert_int_equal(b->host.seen.control.ghcb_gpa, BIT(12) | GHCB_MSR_RESET_HOLD);
    send(&cpus[0], 1, ICR_SIPI | 1); /* to one that is not held: nothing */
    vmgexit(&cpus[1], GHCB_MSR_RESET_HOLD_REQUEST);
    assert_false(vcpu_can_run(&cpus[1]));
}

static void a_hold_by_the_ghcb_is_answered_there(void **state)
{
    struct bench *b = *state;
    struct vcpu *cpus = make_es(b);
    struct ghcb page = {.version = 2, .exit_code = GHCB_EVENT_RESET_HOLD};
    ghcb_set_valid(&page, GHCB_BIT(exit_code));
    ghcb_set_valid(&page, GHCB_BIT(exit_info_1));
    ghcb_set_valid(&page, GHCB_BIT(exit_info_2));
    assert_true(vm_write(b->vm, 0x5000, &page, sizeof page));
    vmgexit(&cpus[2], 0x5000);
    assert_false(vcpu_can_run(&cpus[2]));
    vm_read(b->vm, 0x5000, &page, sizeof page);
    assert_int_equal(page.exit_info_2, 0);
    send(&cpus[0], 2, ICR_SIPI | 1);
    assert_true(vcpu_can_run(&cpus[2]));
    vm_read(b->vm, 0x5000, &page, sizeof page);
    assert_int_equal(page.exit_info_2, 1);
    assert_true(ghcb_valid(&page, GHCB_BIT(exit_info_2)));
}

static void a_guest_whose_processors_all_hold_themselves_ends(void **state)
{
    struct bench *b = *state;
    struct vcpu *cpus = make_es(b);
    for (u32 i = 3; i--;) {
        assert_int_equal(vm_get_state(b->vm), VM_RUNNABLE);
        vmgexit(&cpus[i], GHCB_MSR_RESET_HOLD_REQUEST);
    }
    assert_int_equal(vm_get_state(b->vm), VM_CRASHED);
    assert_string_equal(end_of(b),
                        "halted for good: every processor waits for another to start it");
}

static void the_jump_table_is_the_plans_until_the_guest_says_otherwise(void **state)
{
    struct bench *b = *state;
    struct vcpu *cpus = make_es(b);
    for (u32 set = 0; set < 2; set++) {
        struct ghcb page = {.version = 2, .exit_code = GHCB_EVENT_JUMP_TABLE};
        page.exit_info_1 = set ? GHCB_JUMP_TABLE_SET : GHCB_JUMP_TABLE_GET;
        page.exit_info_2 = set ? ~PAGE_MASK : 0; /* where there is no RAM: the guest's own loss */
        ghcb_set_valid(&page, GHCB_BIT(exit_code));
        ghcb_set_valid(&page, GHCB_BIT(exit_info_1));
        ghcb_set_valid(&page, GHCB_BIT(exit_info_2));
        assert_true(vm_write(b->vm, 0x5000, &page, sizeof page));
        vmgexit(&cpus[0], 0x5000);
        vm_read(b->vm, 0x5000, &page, sizeof page);
        assert_int_equal(page.exit_info_2, set ? 0 : 0x9f000);
        assert_int_equal(vm_get_state(b->vm), VM_RUNNABLE);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_vm_has_the_plans_processors_and_no_others),
        TEST(memory_of_all_of_them_comes_back),
        TEST(cpuid_tells_them_apart),
        TEST(a_complex_shares_its_l3),
        TEST(only_the_first_one_runs_at_first),
        TEST(startup_begins_in_real_mode_at_the_vectors_page),
        TEST(a_second_startup_changes_nothing),
        TEST(startup_waits_for_init_to_be_carried_out),
        TEST(broadcast_startup_begins_all_others),
        TEST(init_to_the_first_one_resets_the_guest),
        TEST(init_to_oneself_is_carried_out_after_the_exit),
        TEST(a_storm_of_messages_to_anybody_and_nobody_is_weathered),
        TEST(processors_and_guests_take_turns),
        TEST(nobody_starves_between_slices),
        TEST(time_jumps_only_when_all_are_halted),
        TEST(a_processor_that_spins_gives_its_turn_away),
        TEST(translations_of_one_processor_are_not_the_others),
        TEST(registers_of_one_processor_are_not_the_others),
        TEST(a_guest_ends_when_its_last_processor_sleeps_for_good),
        TEST(launched_processors_run_until_they_hold_themselves),
        TEST(a_hold_by_the_ghcb_is_answered_there),
        TEST(a_guest_whose_processors_all_hold_themselves_ends),
        TEST(the_jump_table_is_the_plans_until_the_guest_says_otherwise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
