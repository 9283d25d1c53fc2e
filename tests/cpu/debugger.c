/* SPDX-License-Identifier: Apache-2.0 */
/* A debugger outside of the machine: where it stops, and that the guest never notices. */
#include "cpu/debugger.h"
#include "guest.h"

#define STOPS_MAX 64u

/* What a test's debugger does at its stops, and what it has seen. */
struct log {
    struct guest *g;
    struct cpu_debugger debugger;
    u32 count;
    enum debug_why why[STOPS_MAX];
    u64 rip[STOPS_MAX], rax[STOPS_MAX], now[STOPS_MAX];
    u32 steps; /* steps to make, one after the other */
    bool leave;
    u64 set_rip; /* where to go on; 0: here */
};

static void stopped(void *context, u32 core, enum debug_why why, const struct debug_point *hit)
{
    struct log *l = context;
    struct debug_registers r;
    (void)core;
    assert_true((why == DEBUG_HIT) == (hit != NULL));
    assert_true(l->count < STOPS_MAX);
    assert_int_equal(cpu_debug_running(l->g->cpu), VMCB);
    cpu_debug_get(l->g->cpu, &r);
    l->why[l->count] = why;
    l->rip[l->count] = r.save.rip;
    l->now[l->count] = cpu_debug_time(l->g->cpu, false);
    l->rax[l->count++] = r.gpr[0];
    if (l->steps) {
        l->steps--;
        l->debugger.step = VMCB;
    }
    if (l->set_rip) {
        r.save.rip = l->set_rip;
        r.gpr[0] = 77;
        assert_true(cpu_debug_set(l->g->cpu, &r));
        l->set_rip = 0;
    }
    l->debugger.leave = l->leave;
}

static struct guest *begin(struct log *l, bool sev)
{
    *l = (struct log){.g = guest_create(sev)};
    l->debugger =
        (struct cpu_debugger){.vmcbs = {VMCB}, .vmcb_count = 1, .stopped = stopped, .context = l};
    cpu_debug_attach(l->g->cpu, &l->debugger);
    return l->g;
}

static void point(struct log *l, enum debug_point_kind kind, u64 linear, u64 size)
{
    l->debugger.points[l->debugger.point_count++] =
        (struct debug_point){.kind = kind, .linear = linear, .size = size};
    cpu_debug_changed(l->g->cpu);
}

static void it_stops_before_the_instruction(void **state)
{
    (void)state;
    for (int sev = 0; sev < 2; sev++) {
        struct log l;
        struct guest *g = begin(&l, sev);
        point(&l, DEBUG_CODE, CODE + 5, 1);
        assert_int_equal(RUN(g, "mov eax, 1; mov eax, 2; mov eax, 3"), EXIT_HLT);
        assert_int_equal(l.count, 1);
        assert_int_equal(l.why[0], DEBUG_HIT);
        assert_int_equal(l.rip[0], CODE + 5);
        assert_int_equal(l.rax[0], 1);
        assert_int_equal(g->vmcb.save.rax, 3);
        assert_int_equal(g->clock.now, 3); /* no time for the stop */
        guest_destroy(g);
    }
}

/* The block that holds the address was decoded, and linked, before the breakpoint came. */
static void it_stops_in_code_that_has_run(void **state)
{
    (void)state;
    struct log l;
    struct guest *g = begin(&l, false);
    assert_int_equal(RUN(g, "mov ecx, 3; 1: inc eax; dec ecx; jnz 1b"), EXIT_HLT);
    point(&l, DEBUG_CODE, CODE + 7, 1);
    build_vmcb(g);
    assert_int_equal(RUN(g, "mov ecx, 3; 1: inc eax; dec ecx; jnz 1b"), EXIT_HLT);
    assert_int_equal(l.count, 3);
    l.debugger.point_count = 0;
    cpu_debug_changed(g->cpu);
    build_vmcb(g);
    assert_int_equal(RUN(g, "mov ecx, 3; 1: inc eax; dec ecx; jnz 1b"), EXIT_HLT);
    assert_int_equal(l.count, 3);
    guest_destroy(g);
}

static void steps_are_one_instruction_each(void **state)
{
    (void)state;
    struct log l;
    struct guest *g = begin(&l, false);
    l.debugger.interrupt = true;
    l.steps = 2;
    assert_int_equal(RUN(g, "mov eax, 1; mov eax, 2; mov eax, 3"), EXIT_HLT);
    assert_int_equal(l.count, 3);
    assert_int_equal(l.why[0], DEBUG_INTERRUPTED);
    assert_int_equal(l.why[1], DEBUG_STEPPED);
    for (u32 i = 0; i < 3; i++) {
        assert_int_equal(l.rip[i], CODE + 5 * i);
        assert_int_equal(l.rax[i], i);
    }
    assert_int_equal(g->vmcb.save.rflags & RFLAGS_TF, 0);
    assert_int_equal(g->vmcb.save.dr6, DR6_RESET);
    guest_destroy(g);
}

/* A step ends at the handler's first instruction. */
static void a_step_goes_into_an_exception(void **state)
{
    (void)state;
    struct log l;
    struct guest *g = begin(&l, false);
    l.debugger.interrupt = true;
    l.steps = 1;
    assert_int_equal(RUN(g, "ud2"), EXIT_HLT);
    assert_int_equal(l.count, 2);
    assert_int_equal(l.why[1], DEBUG_STEPPED);
    assert_int_equal(l.rip[1], HANDLERS + 16 * VECTOR_UD);
    guest_destroy(g);
}

static void a_rep_steps_by_its_iterations(void **state)
{
    (void)state;
    struct log l;
    struct guest *g = begin(&l, false);
    l.debugger.interrupt = true;
    l.steps = 7;
    assert_int_equal(RUN(g, "mov edi, 0x20000; mov ecx, 3; rep stosb; nop"), EXIT_HLT);
    assert_int_equal(l.count, 7); /* two MOVs, three iterations, NOP; HLT exits */
    guest_destroy(g);
}

static void it_watches_data(void **state)
{
    (void)state;
    static const struct {
        enum debug_point_kind kind;
        u32 hits;
    } rows[] = {{DEBUG_WRITE, 1}, {DEBUG_READ, 1}, {DEBUG_ACCESS, 2}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct log l;
        struct guest *g = begin(&l, i % 2);
        point(&l, rows[i].kind, DATA + 4, 2);
        /* beside, over, and in the bytes */
        assert_int_equal(RUN(g, "mov byte ptr [0x20003], 1; mov byte ptr [0x20006], 1;"
                                "mov dword ptr [0x20002], 5; mov al, [0x20003];"
                                "mov al, [0x20005]"),
                         EXIT_HLT);
        assert_int_equal(l.count, rows[i].hits);
        assert_int_equal(l.why[0], DEBUG_HIT);
        assert_int_equal(g->vmcb.save.dr6, DR6_RESET);
        guest_destroy(g);
    }
}

static void a_watch_may_span_pages(void **state)
{
    (void)state;
    struct log l;
    struct guest *g = begin(&l, false);
    point(&l, DEBUG_WRITE, DATA + 0xffe, 8);
    assert_int_equal(RUN(g, "mov byte ptr [0x20ffd], 1; mov byte ptr [0x21005], 1;"
                            "mov byte ptr [0x21006], 1"),
                     EXIT_HLT);
    assert_int_equal(l.count, 1);
    guest_destroy(g);
}

static void it_can_change_registers(void **state)
{
    (void)state;
    struct log l;
    struct guest *g = begin(&l, false);
    point(&l, DEBUG_CODE, CODE + 5, 1);
    l.set_rip = CODE + 10;
    assert_int_equal(RUN(g, "mov eax, 1; mov eax, 2; nop"), EXIT_HLT);
    assert_int_equal(g->vmcb.save.rax, 77);
    assert_int_equal(g->vmcb.save.rip, CODE + 11);
    guest_destroy(g);
}

static void refuses_values_that_no_register_has(void **state)
{
    (void)state;
    struct log l;
    struct guest *g = begin(&l, false);
    struct debug_registers r, after;
    cpu_debug_get(g->cpu, &r);
    const struct debug_registers good = r;
    r.save.rip = BIT(60);
    r.gpr[3] = 5;
    assert_false(cpu_debug_set(g->cpu, &r));
    r = good;
    r.save.rflags = BIT(40);
    assert_false(cpu_debug_set(g->cpu, &r));
    r = good;
    r.save.fs.base = BIT(62);
    assert_false(cpu_debug_set(g->cpu, &r));
    r = good;
    r.fx[27] = 0xff; /* MXCSR */
    assert_false(cpu_debug_set(g->cpu, &r));
    cpu_debug_get(g->cpu, &after);
    assert_memory_equal(&after, &good, sizeof good);
    guest_destroy(g);
}

static void leaving_exits_at_once_and_takes_no_time(void **state)
{
    (void)state;
    struct log l;
    struct guest *g = begin(&l, false);
    point(&l, DEBUG_CODE, CODE + 5, 1);
    l.leave = true;
    g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_INTR;
    assert_int_equal(RUN(g, "mov eax, 1; mov eax, 2; mov eax, 3"), EXIT_INTR);
    assert_int_equal(g->vmcb.save.rip, CODE + 5);
    assert_int_equal(g->clock.now, 1);
    guest_destroy(g);
}

#define TIMED                                                                                      \
    "mov ecx, 5; 1: pause; inc eax; dec ecx; jnz 1b; mov edi, 0x20000; mov ecx, 300; rep stosb;"   \
    "nop; nop"

/* A loop with a PAUSE and a REP take the same time, and stop at the same instruction, however often
 * they are stopped. */
static void it_stops_at_a_machine_time(void **state)
{
    (void)state;
    struct log l;
    struct guest *g = begin(&l, false);
    l.debugger.interrupt = true;
    l.steps = STOPS_MAX - 1;
    assert_int_equal(RUN(g, TIMED), EXIT_HLT);
    assert_int_equal(l.count, STOPS_MAX);
    const struct log stepped = l;
    const u64 end = g->clock.now;
    guest_destroy(g);
    for (u32 i = 1; i < STOPS_MAX; i++) {
        g = begin(&l, false);
        l.debugger.until_ns = stepped.now[i] - (stepped.now[i] - stepped.now[i - 1]) / 2;
        assert_int_equal(RUN(g, TIMED), EXIT_HLT);
        assert_int_equal(l.count, 1);
        assert_int_equal(l.why[0], DEBUG_REACHED);
        assert_int_equal(l.now[0], stepped.now[i]);
        assert_int_equal(l.rip[0], stepped.rip[i]);
        assert_int_equal(l.rax[0], stepped.rax[i]);
        assert_int_equal(g->clock.now, end);
        guest_destroy(g);
    }
    g = begin(&l, false);
    l.debugger.until_ns = end + 1000; /* never reached */
    assert_int_equal(RUN(g, TIMED), EXIT_HLT);
    assert_int_equal(l.count, 0);
    assert_int_equal(g->clock.now, end);
    guest_destroy(g);
}

static void other_guests_are_left_alone(void **state)
{
    (void)state;
    struct log l;
    struct guest *g = begin(&l, false);
    l.debugger.vmcbs[0] = VMCB + PAGE_SIZE;
    point(&l, DEBUG_CODE, CODE, 1);
    point(&l, DEBUG_WRITE, DATA, 8);
    l.debugger.interrupt = true;
    assert_int_equal(RUN(g, "mov byte ptr [0x20000], 1"), EXIT_HLT);
    assert_int_equal(l.count, 0);
    guest_destroy(g);
}

/* What a witness of the memory was told of stores. */
struct told {
    u32 stores, others;
    u64 frame, rip[8];
};

static void written(void *context, u64 frame, const struct memory_store *s)
{
    struct told *t = context;
    if (frame != t->frame)
        return;
    if (!s) {
        t->others++;
        return;
    }
    assert_true(s->guest && t->stores < ARRAY_SIZE(t->rip));
    assert_int_equal(s->asid, 1);
    t->rip[t->stores++] = s->rip;
}

/* A read that comes first must not make the store a fast one, and a REP is a store, too. */
static void a_witness_is_told_of_first_stores(void **state)
{
    (void)state;
    const struct {
        struct code code;
        u64 at; /* of the store */
    } rows[] = {
        {ASM("mov eax, [0x20000]; mov [0x20010], eax; mov [0x20020], eax; push rax"), 7},
        {ASM("nop; add dword ptr [0x20000], 3; mov [0x20010], eax"), 1},
        {ASM("mov edi, 0x20000; mov ecx, 8; rep stosb; mov [0x20010], eax"), 10},
        {ASM("movups [0x20000], xmm0; movups [0x20010], xmm0"), 0},
    };
    for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
        const size_t row = i / 2;
        struct guest *g = guest_create(i % 2);
        struct told t = {.frame = (GUEST_BASE + DATA) >> PAGE_SHIFT};
        const struct memory_witness w = {written, &t};
        memory_set_witness(g->memory, &w);
        assert_int_equal(guest_run_code(g, rows[row].code), EXIT_HLT);
        assert_int_equal(t.stores, 1);
        assert_int_equal(t.rip[0], CODE + rows[row].at);
        assert_int_equal(t.others, 0);
        guest_write64(g, DATA, 7);
        assert_int_equal(t.others, 1);
        memory_ask_stores(g->memory, t.frame);
        build_vmcb(g);
        assert_int_equal(guest_run_code(g, rows[row].code), EXIT_HLT);
        assert_int_equal(t.stores, 2);
        guest_destroy(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_stops_before_the_instruction),
        cmocka_unit_test(it_stops_in_code_that_has_run),
        cmocka_unit_test(steps_are_one_instruction_each),
        cmocka_unit_test(a_step_goes_into_an_exception),
        cmocka_unit_test(a_rep_steps_by_its_iterations),
        cmocka_unit_test(it_watches_data),
        cmocka_unit_test(a_watch_may_span_pages),
        cmocka_unit_test(it_can_change_registers),
        cmocka_unit_test(refuses_values_that_no_register_has),
        cmocka_unit_test(leaving_exits_at_once_and_takes_no_time),
        cmocka_unit_test(it_stops_at_a_machine_time),
        cmocka_unit_test(other_guests_are_left_alone),
        cmocka_unit_test(a_witness_is_told_of_first_stores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
