/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a VM goes into an archive and comes into another VM; what is damaged on the way is
 * refused, or does no harm. */
#include "rig.h"

#define ROOM MIB(1)

struct memory_stream {
    u8 *data;
    size_t size, at;
    bool loading;
};

static int move(void *context, void *data, size_t size, struct error *error)
{
    struct memory_stream *s = context;
    if (s->at + size > (s->loading ? s->size : ROOM))
        return error_set(error, ERROR_FILE, "the archive ends here");
    if (s->loading)
        memcpy(data, s->data + s->at, size);
    else
        memcpy(s->data + s->at, data, size);
    s->at += size;
    if (!s->loading)
        s->size = s->at;
    return 0;
}

static int save(struct vm *vm, struct memory_stream *s)
{
    struct error e = {.code = ERROR_NONE};
    s->loading = false;
    s->at = s->size = 0;
    struct archive a = archive_saving((struct archive_stream){move, s}, &e);
    vm_archive(vm, &a);
    return a.failed ? -1 : 0;
}

static int load(struct vm *vm, struct memory_stream *s, struct error *e)
{
    s->loading = true;
    s->at = 0;
    struct archive a = archive_loading((struct archive_stream){move, s}, e);
    vm_archive(vm, &a);
    return a.failed || s->at != s->size ? -1 : 0;
}

static struct vm *make(struct bench *b, enum image_mode mode, u32 cpus)
{
    static bool no_bytes;
    struct vm_config config = {.name = "vm",
                               .plan = &b->plan,
                               .policy = mode == IMAGE_SEV_ES ? 5 : 1,
                               .cpus = cpus,
                               .console = {bench_output, b},
                               .virtio_console = true,
                               .testdev = true,
                               .disks = {{.size = 4096, .context = &no_bytes}},
                               .disk_count = 1};
    b->plan.mode = mode;
    b->plan.memory_size = GUEST_MEMORY;
    b->plan.runnable = true;
    b->plan.vmsas[0] = b->plan.vmsas[1] = &b->vmsas[0];
    b->plan.vmsa_count = mode == IMAGE_SEV_ES ? cpus : 0;
    b->plan.registers.efer = EFER_SVME | EFER_LME;
    struct vm *vm = vm_create(b->hv, &config, &b->error);
    assert_non_null(vm);
    vm->state = VM_RUNNABLE;
    return vm;
}

/* Changes what a guest changes: a bit of each device, and of a processor. */
static void use(struct vm *vm)
{
    struct board *board = vm->board;
    static const u16 ports[][2] = {
        {0x43, 0x34},  {0x40, 0x10}, {0x40, 0x20}, {0x70, 0x0b}, {0x71, 0x42},
        {0x20, 0x11},  {0x21, 0x30}, {0x21, 0x04}, {0x21, 0x01}, {0x3f9, 0x03},
        {0x3ff, 0x5a}, {0x61, 0x01}, {0xe0, 0x77},
    };
    for (size_t i = 0; i < ARRAY_SIZE(ports); i++)
        board_port_write(board, ports[i][0], 1, ports[i][1]);
    board_port_write(board, 0xcf8, 4, 0x80000804);
    board_port_write(board, 0xcfc, 2, 7);
    board_memory_write(board, 0, LAPIC_BASE + 0xf0, 4, 0x1ff);
    board_memory_write(board, 0, LAPIC_BASE + 0x320, 4, 0x20031);
    board_memory_write(board, 0, LAPIC_BASE + 0x380, 4, 100000);
    board_console_input(board, (const u8 *)"typed", 5);
    struct vcpu *c = &vm->cpus[0];
    for (u32 i = 0; i < 16; i++)
        c->gpr[i] = 0x1111ull * i;
    c->vmcb.save.rip = 0x1234;
    c->vmcb.save.rax = 0x77;
    c->save_changed = true;
    c->halted = c->nmi = true;
    c->exception = 0x80000b0d;
    c->mtrr[3] = 5;
    c->vmcb.control.interrupt_shadow = 1;
    vm->guest_ns = 99;
    vm->exits[2] = 7;
}

static void what_was_saved_comes_into_another_vm(void **state)
{
    static const enum image_mode modes[] = {IMAGE_NONE, IMAGE_SEV, IMAGE_SEV_ES};
    struct bench *b = *state;
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        struct memory_stream one = {.data = malloc(ROOM)}, two = {.data = malloc(ROOM)};
        struct vm *from = make(b, modes[i], 2), *to = make(b, modes[i], 2);
        struct error e = {.code = ERROR_NONE};
        use(from);
        assert_int_equal(save(from, &one), 0);
        if (load(to, &one, &e))
            fail_msg("%s", e.text);
        assert_int_equal(save(to, &two), 0);
        assert_int_equal(one.size, two.size);
        assert_memory_equal(one.data, two.data, one.size);
        assert_int_equal(to->cpus[0].gpr[5], 0x5555);
        assert_true(to->cpus[0].halted);
        assert_int_equal(to->cpus[0].vmcb.control.tlb_control, TLB_FLUSH_ASID);
        assert_int_equal(to->cpus[0].vmcb.control.asid, vm_asid(to));
        assert_int_equal(to->cpus[0].vmcb.control.n_cr3, vm_nested_tables(to));
        assert_int_equal(board_port_read(to->board, 0xe0, 1), 0x77);
        assert_int_equal(board_port_read(to->board, 0x3ff, 1), 0x5a);
        assert_int_equal(board_next_event_ns(to->board), board_next_event_ns(from->board));
        vm_destroy(from);
        vm_destroy(to);
        free(one.data);
        free(two.data);
    }
}

static void another_vm_is_refused_by_name(void **state)
{
    struct bench *b = *state;
    struct memory_stream s = {.data = malloc(ROOM)};
    struct error e = {.code = ERROR_NONE};
    struct vm *from = make(b, IMAGE_SEV, 1), *to = make(b, IMAGE_SEV, 2);
    assert_int_equal(save(from, &s), 0);
    assert_int_equal(load(to, &s, &e), -1);
    assert_non_null(strstr(e.text, "number of processors is 1, not 2"));
    vm_destroy(from);
    vm_destroy(to);
    free(s.data);
}

/* Each byte is changed in turn. Whatever is loaded, the board answers and its timers run. */
static void damage_does_no_harm(void **state)
{
    struct bench *b = *state;
    struct memory_stream s = {.data = malloc(ROOM)};
    struct vm *from = make(b, IMAGE_SEV, 1), *to = make(b, IMAGE_SEV, 1);
    u32 refused = 0, loaded = 0;
    use(from);
    assert_int_equal(save(from, &s), 0);
    for (size_t at = 0; at < s.size; at += at % 8 ? 1 : 3) {
        struct error e = {.code = ERROR_NONE};
        s.data[at] ^= 0x81;
        if (load(to, &s, &e))
            refused++;
        else
            loaded++;
        s.data[at] ^= 0x81;
        board_set_time(to->board, 1000000 + at);
        for (u64 port = 0x40; port < 0x44; port++)
            board_port_read(to->board, port, 1);
        board_port_read(to->board, 0x71, 1);
        board_port_read(to->board, 0x3f8, 1);
        board_port_read(to->board, 0x511, 1);
        board_interrupt_pending(to->board, 0);
    }
    assert_true(refused > 100 && loaded > 100);
    for (size_t size = 0; size < s.size; size += 997) {
        struct memory_stream part = {.data = s.data, .size = size};
        struct error e = {.code = ERROR_NONE};
        assert_int_equal(load(to, &part, &e), -1);
    }
    vm_destroy(from);
    vm_destroy(to);
    free(s.data);
}

static int move_hypervisor(struct hypervisor *hv, struct memory_stream *s, bool loading,
                           struct error *e)
{
    const struct archive_stream stream = {move, s};
    s->loading = loading;
    s->at = 0;
    struct archive a = loading ? archive_loading(stream, e) : archive_saving(stream, e);
    hypervisor_archive(hv, &a);
    return a.failed ? -1 : 0;
}

/* The allocator takes these addresses back when the VM ends: none may be outside of what it has. */
static void an_address_outside_of_memory_is_refused(void **state)
{
    struct bench *b = *state;
    struct memory_stream s = {.data = malloc(ROOM)};
    struct vm *vm = make(b, IMAGE_SEV_ES, 1);
    const u64 end = HOST_MEMORY / CHUNK_SIZE * CHUNK_SIZE;
    u64 *const places[] = {&vm->chunks[0],        &vm->npt.pages[0],   &vm->npt.root,
                           &vm->iopm_spa,         &vm->msrpm_spa,      &vm->cpus[0].vmcb_spa,
                           &vm->cpus[0].vmsa_spa, &vm->snp.gctx_spa,   &vm->snp.message_spa,
                           &vm->snp.vmsas[0],     &b->hv->command_spa, &b->hv->snp_spa,
                           &b->hv->rmp_spa};
    const u64 wrong[] = {FRAME_NONE, end, end + CHUNK_SIZE, PAGE_SIZE + 1, BIT(63)};
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        const u64 right = *places[i];
        for (size_t n = 0; n < ARRAY_SIZE(wrong); n++) {
            struct error e = {.code = ERROR_NONE};
            *places[i] = wrong[n];
            const int saved = move_hypervisor(b->hv, &s, false, &e);
            *places[i] = right;
            e.code = ERROR_NONE;
            const int loaded = saved ? -1 : move_hypervisor(b->hv, &s, true, &e);
            const u64 now = *places[i];
            *places[i] = right;
            /* A VMCB that is nowhere cannot even be saved. */
            if (saved && places[i] != &vm->cpus[0].vmcb_spa)
                fail_msg("place %zu: not saved", i);
            if (!loaded || now != right)
                fail_msg("place %zu: %#llx is loaded", i, (unsigned long long)wrong[n]);
        }
    }
    vm_destroy(vm);
    free(s.data);
}

static int setup(void **state)
{
    *state = bench_create();
    return 0;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_was_saved_comes_into_another_vm),
        T(another_vm_is_refused_by_name),
        T(damage_does_no_harm),
        T(an_address_outside_of_memory_is_refused),
    };
    return cmocka_run_group_tests_name("archive", tests, NULL, NULL);
}
