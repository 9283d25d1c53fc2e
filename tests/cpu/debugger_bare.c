/* SPDX-License-Identifier: Apache-2.0 */
/* A debugger of a bare machine: it stops in host mode and in guests, and neither notices. */
#include "bare_machine.h"

#include "cpu/debugger.h"

#define STOPS_MAX 32u

/* What a test's debugger has seen. */
struct log {
    struct bare_machine *m;
    struct cpu_debugger debugger;
    u32 count;
    enum debug_why why[STOPS_MAX];
    u64 rip[STOPS_MAX];
    bool guest[STOPS_MAX];
    u32 steps; /* steps to make, one after the other */
    u64 set_rax;
};

static void stopped(void *context, u32 core, enum debug_why why, const struct debug_point *hit)
{
    struct log *l = context;
    struct debug_registers r;
    struct debug_world w;
    assert_int_equal(core, 0);
    assert_true((why == DEBUG_HIT) == (hit != NULL));
    assert_true(l->count < STOPS_MAX);
    cpu_debug_get(l->m->cpu, &r);
    cpu_debug_world(l->m->cpu, &w);
    l->why[l->count] = why;
    l->rip[l->count] = r.save.rip;
    l->guest[l->count++] = w.guest;
    if (l->steps) {
        l->steps--;
        l->debugger.step = DEBUG_CORE(0);
    }
    if (l->set_rax) {
        r.gpr[RAX] = l->set_rax;
        assert_true(cpu_debug_set(l->m->cpu, &r));
    }
}

static struct bare_machine *begin(struct log *l, bool sev)
{
    *l = (struct log){.m = bare_create(sev)};
    l->debugger = (struct cpu_debugger){
        .bare = true, .worlds = DEBUG_HOST | DEBUG_GUEST, .stopped = stopped, .context = l};
    cpu_debug_attach(l->m->cpu, &l->debugger);
    return l->m;
}

static void point(struct log *l, enum debug_point_kind kind, u64 linear, u64 size)
{
    l->debugger.points[l->debugger.point_count++] =
        (struct debug_point){.kind = kind, .linear = linear, .size = size};
    cpu_debug_changed(l->m->cpu);
}

static void guest_code(struct bare_machine *m, struct code code)
{
    guest_write_code(m->g, CODE, code);
    m->g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_CPUID;
    memory_write(m->g->memory, VMCB, KEY_RAW, &m->g->vmcb, sizeof m->g->vmcb);
}

static void it_stops_in_host_mode(void **state)
{
    (void)state;
    struct log l;
    struct bare_machine *m = begin(&l, false);
    point(&l, DEBUG_CODE, H_CODE + 5, 1);
    assert_int_equal(HOST(m, "mov eax, 1; mov eax, 2; mov eax, 3"), CPU_STOP_HALT);
    assert_int_equal(l.count, 1);
    assert_int_equal(l.why[0], DEBUG_HIT);
    assert_int_equal(l.rip[0], H_CODE + 5);
    assert_false(l.guest[0]);
    assert_int_equal(m->g->clock.now, 4); /* no time for the stop; HLT is the fourth */
    bare_destroy(m);
}

/* MOV, VMRUN, into the guest: MOV, CPUID, and back behind VMRUN. */
static void a_step_goes_into_the_guest_and_back(void **state)
{
    (void)state;
    for (int sev = 0; sev < 2; sev++) {
        struct log l;
        struct bare_machine *m = begin(&l, sev);
        static const u64 rips[] = {H_CODE, H_CODE + 5, CODE, CODE + 5, H_CODE + 8};
        guest_code(m, ASM("mov ebx, 42; cpuid"));
        l.debugger.interrupt = true;
        l.steps = 4;
        cpu_debug_changed(m->cpu);
        assert_int_equal(HOST(m, "mov eax, 0x1000; vmrun; nop; nop"), CPU_STOP_HALT);
        assert_int_equal(l.count, 5);
        for (u32 i = 0; i < 5; i++) {
            assert_int_equal(l.rip[i], rips[i]);
            assert_int_equal(l.guest[i], i == 2 || i == 3);
            assert_int_equal(l.why[i], i ? DEBUG_STEPPED : DEBUG_INTERRUPTED);
        }
        assert_int_equal(m->cpu->arch.r[RBX], 42);
        bare_destroy(m);
    }
}

/* The guest's first instruction has the linear address of the VMRUN that led to it. */
static void a_step_knows_the_worlds_apart(void **state)
{
    (void)state;
    struct log l;
    struct bare_machine *m = begin(&l, false);
    guest_code(m, ASM("nop"));
    guest_write_code(m->g, H_CODE + 5, ASM("mov ebx, 1; cpuid"));
    m->g->vmcb.save.rip = H_CODE + 5;
    memory_write(m->g->memory, VMCB, KEY_RAW, &m->g->vmcb, sizeof m->g->vmcb);
    l.debugger.interrupt = true;
    l.steps = 2;
    cpu_debug_changed(m->cpu);
    assert_int_equal(HOST(m, "mov eax, 0x1000; vmrun; nop"), CPU_STOP_HALT);
    assert_int_equal(l.count, 3);
    assert_int_equal(l.rip[1], H_CODE + 5);
    assert_false(l.guest[1]);
    assert_int_equal(l.rip[2], H_CODE + 5);
    assert_true(l.guest[2]);
    bare_destroy(m);
}

/* Host and guest have code at one linear address, which runs twice: decoded, and then from where
 * the core remembers it. */
static void points_count_in_the_chosen_worlds(void **state)
{
    static const struct {
        u64 worlds;
        u32 host, guest;
    } rows[] = {{DEBUG_HOST | DEBUG_GUEST, 1, 1}, {DEBUG_HOST, 1, 0}, {DEBUG_GUEST, 0, 1}};
    (void)state;
    struct log l;
    struct bare_machine *m = begin(&l, false);
    guest_write_code(m->g, H_CODE, ASM("nop; cpuid"));
    guest_code(m, ASM("hlt"));
    m->g->vmcb.save.rip = H_CODE;
    l.debugger.worlds = 0;
    point(&l, DEBUG_CODE, H_CODE, 1);
    for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
        const size_t row = i / 2;
        u32 seen[2] = {0, 0};
        l.count = 0;
        l.debugger.worlds = i % 2 ? rows[row].worlds : 0;
        cpu_debug_changed(m->cpu);
        memory_write(m->g->memory, VMCB, KEY_RAW, &m->g->vmcb, sizeof m->g->vmcb);
        assert_int_equal(HOST(m, "mov eax, 0x1000; vmrun; nop"), CPU_STOP_HALT);
        for (u32 j = 0; j < l.count; j++)
            seen[l.guest[j]]++;
        assert_int_equal(seen[0], i % 2 ? rows[row].host : 0);
        assert_int_equal(seen[1], i % 2 ? rows[row].guest : 0);
    }
    bare_destroy(m);
}

/* A breakpoint of the host that is set while the guest runs: the host's code has run before. */
static void it_stops_in_the_other_world_s_code(void **state)
{
    (void)state;
    struct log l;
    struct bare_machine *m = begin(&l, false);
    guest_code(m, ASM("nop; cpuid"));
    assert_int_equal(HOST(m, "mov eax, 0x1000; mov ecx, 3; 1: vmrun; nop; dec ecx; jnz 1b"),
                     CPU_STOP_HALT);
    m->g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_CPUID;
    memory_write(m->g->memory, VMCB, KEY_RAW, &m->g->vmcb, sizeof m->g->vmcb);
    point(&l, DEBUG_CODE, H_CODE + 13, 1);
    assert_int_equal(HOST(m, "mov eax, 0x1000; mov ecx, 3; 1: vmrun; nop; dec ecx; jnz 1b"),
                     CPU_STOP_HALT);
    assert_int_equal(l.count, 3);
    bare_destroy(m);
}

static void it_watches_data_in_both_worlds(void **state)
{
    (void)state;
    for (int sev = 0; sev < 2; sev++) {
        struct log l;
        struct bare_machine *m = begin(&l, sev);
        guest_code(m, ASM("mov byte ptr [0x40004], 1; mov al, [0x40005]; cpuid"));
        point(&l, DEBUG_WRITE, H_DATA + 4, 2);
        assert_int_equal(HOST(m, "mov byte ptr [0x40003], 1; mov byte ptr [0x40005], 1;"
                                 "mov eax, 0x1000; vmrun; mov word ptr [0x40003], 1"),
                         CPU_STOP_HALT);
        assert_int_equal(l.count, 3);
        assert_false(l.guest[0]);
        assert_true(l.guest[1]);
        assert_false(l.guest[2]);
        bare_destroy(m);
    }
}

static void registers_of_a_host_can_be_changed(void **state)
{
    (void)state;
    struct log l;
    struct bare_machine *m = begin(&l, false);
    point(&l, DEBUG_CODE, H_CODE + 5, 1);
    l.set_rax = 77;
    assert_int_equal(HOST(m, "mov eax, 1; mov ebx, eax"), CPU_STOP_HALT);
    assert_int_equal(m->cpu->arch.r[RBX], 77);
    bare_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_stops_in_host_mode),
        cmocka_unit_test(a_step_goes_into_the_guest_and_back),
        cmocka_unit_test(a_step_knows_the_worlds_apart),
        cmocka_unit_test(points_count_in_the_chosen_worlds),
        cmocka_unit_test(it_stops_in_the_other_world_s_code),
        cmocka_unit_test(it_watches_data_in_both_worlds),
        cmocka_unit_test(registers_of_a_host_can_be_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
