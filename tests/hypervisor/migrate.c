/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two ends of a migration [sev 5.4], each on a host made of arrays: which commands the
 * firmwares get, which pages go and how, what becomes of the guest if something fails. The target
 * works in a thread of its own; a pair of sockets is the link.
 */
#include "rig.h"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hypervisor/sev_migrate.h"

#define PRIVATE_GPA MIB(4)
#define SHARED_GPA  MIB(5)
#define LATE_GPA    MIB(6)

struct end {
    struct bench *bench;
    int fd;
    struct migrate_link link;
    struct migrate_ends ends;
    struct migrate_counters counters;
    struct error error;
    int result;
    u32 given, taken;
    bool no_take;
    pthread_t thread;
};

static int end_send(void *context, const void *data, size_t size, struct error *e)
{
    const struct end *end = context;
    return send(end->fd, data, size, MSG_NOSIGNAL) == (ssize_t)size
               ? 0
               : error_set(e, ERROR_FILE, "the other end is gone");
}

static int end_receive(void *context, void *data, size_t size, struct error *e)
{
    const struct end *end = context;
    return recv(end->fd, data, size, MSG_WAITALL) == (ssize_t)size
               ? 0
               : error_set(e, ERROR_FILE, "the other end is gone");
}

static int end_give(void *context, struct error *e)
{
    struct end *end = context;
    (void)e;
    end->given++;
    return 0;
}

static int end_take(void *context, struct error *e)
{
    struct end *end = context;
    end->taken++;
    return end->no_take ? error_set(e, ERROR_FILE, "the disk is in use") : 0;
}

static void *receive(void *context)
{
    static const struct migrate_certificates certificates = {.amd_size = 1664};
    struct end *end = context;
    end->result = vm_receive(end->bench->vm, &end->link, &certificates, &end->ends, &end->counters,
                             &end->error);
    if (end->result)
        migrate_refuse(&end->link, end->error.text);
    close(end->fd);
    return NULL;
}

struct pair {
    struct end source, target;
};

static struct vm *make(struct bench *b, enum image_mode mode, u32 policy)
{
    b->plan = (struct image_plan){.memory_size = GUEST_MEMORY, .mode = mode, .runnable = true};
    b->plan.pieces[0] =
        (struct image_piece){"piece", PRIVATE_GPA, PAGE_SIZE, b->bytes, PAGE_SIZE, 0};
    b->plan.piece_count = 1;
    b->plan.registers.efer = EFER_SVME;
    b->plan.vmsas[0] = &b->vmsas[0];
    b->plan.vmsa_count = mode == IMAGE_SEV_ES;
    struct vm_config config = {
        .name = "vm", .plan = &b->plan, .policy = policy, .console = {bench_output, b}};
    b->vm = vm_create(b->hv, &config, &b->error);
    assert_non_null(b->vm);
    return b->vm;
}

static void end_make(struct end *end, int fd, enum image_mode mode)
{
    *end = (struct end){.bench = bench_create(), .fd = fd};
    end->link = (struct migrate_link){end_send, end_receive, end};
    end->ends = (struct migrate_ends){end_give, end_take, end};
    assert_int_equal(platform_init_es(end->bench->hv, &end->error), 0);
    memset(end->bench->bytes, 0x11, sizeof end->bench->bytes);
    make(end->bench, mode, 1);
}

static struct pair *pair_make(enum image_mode mode)
{
    struct pair *p = calloc(1, sizeof *p);
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    end_make(&p->source, fds[0], mode);
    end_make(&p->target, fds[1], mode);
    struct bench *b = p->source.bench;
    assert_int_equal(vm_launch_start(b->vm, NULL, 0, NULL, 0, &b->error), 0);
    assert_int_equal(vm_launch_update(b->vm, &b->error), 0);
    memset(&b->vmsas[0], 0x22, sizeof b->vmsas[0]);
    b->vmsas[0].sev_features = 0;
    if (mode == IMAGE_SEV_ES)
        assert_int_equal(vm_launch_update_vmsa(b->vm, &b->error), 0);
    assert_int_equal(vm_launch_finish(b->vm, &b->error), 0);
    b->host.command_count = 0;
    b->host.now = 5000000000;
    return p;
}

static void end_free(struct end *end)
{
    void *state = end->bench;
    bench_teardown(&state);
}

static void pair_free(struct pair *p)
{
    end_free(&p->source);
    end_free(&p->target);
    free(p);
}

static u8 *at(struct bench *b, u64 gpa)
{
    return b->host.memory + vm_memory_at(b->vm, gpa);
}

/* What a guest's store does: the bytes, and the leaf's dirty bit. */
static void guest_writes(struct bench *b, u64 gpa, u8 value)
{
    u64 leaf;
    const u64 place =
        npt_leaves(&b->vm->npt, &b->host, &b->hv->frames, gpa) + (gpa >> 12 & 511) * 8;
    memset(at(b, gpa), value, PAGE_SIZE);
    host_read(&b->host, place, &leaf, sizeof leaf);
    leaf |= PTE_D;
    host_write(&b->host, place, &leaf, sizeof leaf);
}

static struct vm_sending *begin(struct pair *p)
{
    assert_int_equal(pthread_create(&p->target.thread, NULL, receive, &p->target), 0);
    return vm_send_start(p->source.bench->vm, &p->source.link, &p->source.error);
}

static bool issued(const struct bench *b, u32 command)
{
    for (u32 i = 0; i < b->host.command_count; i++)
        if (b->host.commands[i] == command)
            return true;
    return false;
}

static void moves(enum image_mode mode)
{
    struct pair *p = pair_make(mode);
    struct bench *a = p->source.bench, *b = p->target.bench;
    const u8 shared[100] = "a buffer";
    struct migrate_counters c;
    assert_true(vm_write(a->vm, SHARED_GPA, shared, sizeof shared));
    a->vm->cpus[0].gpr[3] = 0x1234;
    struct vm_sending *s = begin(p);
    if (!s)
        fail_msg("%s", p->source.error.text);
    int sent;
    for (u32 round = 0; !(sent = vm_send_pages(s, 100, &p->source.error)); round++)
        if (round == 15) /* the page has gone as zeros */
            guest_writes(a, 100 * PAGE_SIZE, 0x77);
    assert_int_equal(sent, 1);
    guest_writes(a, LATE_GPA, 0x33);
    assert_int_equal(vm_send_last(s, &p->source.ends, &p->source.error), 0);
    vm_send_counters(s, &c);
    vm_send_end(s);
    pthread_join(p->target.thread, NULL);
    assert_int_equal(p->target.result, 0);
    assert_int_equal(vm_get_state(a->vm), VM_MOVED);
    assert_int_equal(vm_get_state(b->vm), VM_RUNNABLE);
    assert_memory_equal(at(b, PRIVATE_GPA), at(a, PRIVATE_GPA), PAGE_SIZE);
    assert_memory_equal(at(b, SHARED_GPA), shared, sizeof shared);
    assert_int_equal(*at(b, LATE_GPA), 0x33);
    assert_int_equal(*at(b, 100 * PAGE_SIZE), 0x77);
    assert_int_equal(b->vm->cpus[0].gpr[3], 0x1234);
    assert_true(guest_page_is_shared(b->vm, guest_page_index(b->vm, SHARED_GPA)));
    assert_true(b->host.now >= 5000000000);
    assert_int_equal(c.shared_pages, 1);
    assert_int_equal(c.private_pages, 3);
    assert_true(c.last_pages >= 1 && c.rounds >= 2 && c.downtime_ns);
    assert_int_equal(p->source.given, 1);
    assert_int_equal(p->target.taken, 1);
    assert_int_equal(issued(a, SEV_CMD_SEND_UPDATE_VMSA), mode == IMAGE_SEV_ES);
    assert_int_equal(issued(b, SEV_CMD_RECEIVE_UPDATE_VMSA), mode == IMAGE_SEV_ES);
    if (mode == IMAGE_SEV_ES)
        assert_int_equal(b->host.memory[b->vm->cpus[0].vmsa_spa], 0x22);
    assert_true(issued(a, SEV_CMD_SEND_START) && issued(a, SEV_CMD_SEND_FINISH) &&
                issued(a, SEV_CMD_DECOMMISSION) && !issued(a, SEV_CMD_SEND_CANCEL));
    assert_true(issued(b, SEV_CMD_RECEIVE_START) && issued(b, SEV_CMD_ACTIVATE) &&
                issued(b, SEV_CMD_RECEIVE_FINISH));
    close(p->source.fd);
    pair_free(p);
}

static void a_sev_guest_moves(void **state)
{
    (void)state;
    moves(IMAGE_SEV);
}

static void a_sev_es_guest_moves_with_its_vmsa(void **state)
{
    (void)state;
    moves(IMAGE_SEV_ES);
}

/* Both ends fail; the guest is where it was. */
static void stays(struct pair *p, struct vm_sending *s, const char *here, const char *there)
{
    struct bench *a = p->source.bench;
    int sent = s ? 0 : -1;
    while (!sent)
        sent = vm_send_pages(s, 1000, &p->source.error);
    if (sent > 0)
        sent = vm_send_last(s, &p->source.ends, &p->source.error);
    assert_int_equal(sent, -1);
    migrate_refuse(&p->source.link, p->source.error.text);
    vm_send_end(s);
    close(p->source.fd);
    pthread_join(p->target.thread, NULL);
    assert_int_equal(p->target.result, -1);
    assert_non_null(strstr(p->source.error.text, here));
    assert_non_null(strstr(p->target.error.text, there));
    assert_int_equal(vm_get_state(a->vm), VM_RUNNABLE);
    assert_int_equal(vm_get_state(p->target.bench->vm), VM_LOADING);
    assert_int_equal(issued(a, SEV_CMD_SEND_CANCEL), s != NULL);
    vm_destroy(p->target.bench->vm);
    assert_int_equal(issued(p->target.bench, SEV_CMD_DECOMMISSION),
                     issued(p->target.bench, SEV_CMD_ACTIVATE));
    pair_free(p);
}

static void what_the_sources_firmware_refuses_stays(void **state)
{
    (void)state;
    struct pair *p = pair_make(IMAGE_SEV);
    p->source.bench->host.refuse = SEV_CMD_SEND_START;
    stays(p, begin(p), "refused SEND_START: POLICY_FAILURE", "the other end refuses: the firmware");
}

static void what_the_targets_firmware_refuses_stays(void **state)
{
    static const u32 commands[] = {SEV_CMD_RECEIVE_START, SEV_CMD_ACTIVATE,
                                   SEV_CMD_RECEIVE_UPDATE_DATA, SEV_CMD_RECEIVE_FINISH};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        struct pair *p = pair_make(IMAGE_SEV);
        p->target.bench->host.refuse = commands[i];
        struct vm_sending *s = begin(p);
        struct bench *a = p->source.bench;
        int sent = s ? 0 : -1;
        while (!sent)
            sent = vm_send_pages(s, 1000, &p->source.error);
        if (sent > 0)
            sent = vm_send_last(s, &p->source.ends, &p->source.error);
        assert_int_equal(sent, -1);
        vm_send_end(s);
        close(p->source.fd);
        pthread_join(p->target.thread, NULL);
        assert_int_equal(p->target.result, -1);
        assert_int_equal(vm_get_state(a->vm), VM_RUNNABLE);
        assert_true(issued(a, SEV_CMD_SEND_CANCEL)); /* SEND_START had succeeded */
        pair_free(p);
    }
}

static void a_disk_that_the_target_cannot_take_comes_back(void **state)
{
    (void)state;
    struct pair *p = pair_make(IMAGE_SEV_ES);
    p->target.no_take = true;
    struct vm_sending *s = begin(p);
    assert_non_null(s);
    int sent;
    while (!(sent = vm_send_pages(s, 1000, &p->source.error))) {
    }
    assert_int_equal(sent, 1);
    assert_int_equal(vm_send_last(s, &p->source.ends, &p->source.error), -1);
    assert_non_null(strstr(p->source.error.text, "the disk is in use"));
    assert_int_equal(p->source.given, 1);
    assert_int_equal(p->source.taken, 1);
    assert_int_equal(vm_get_state(p->source.bench->vm), VM_RUNNABLE);
    vm_send_end(s);
    assert_true(issued(p->source.bench, SEV_CMD_SEND_CANCEL));
    close(p->source.fd);
    pthread_join(p->target.thread, NULL);
    pair_free(p);
}

static void another_machine_is_refused(void **state)
{
    (void)state;
    struct pair *p = pair_make(IMAGE_SEV);
    p->target.bench->host.signature = 0x800f12;
    stays(p, begin(p), "the other end refuses: configuration: the processor's CPUID leaf 00000001",
          "CPUID leaf 00000001_0 EAX is 0, not 8392466");
}

static void guests_that_cannot_move_are_refused(void **state)
{
    struct error e = {.code = ERROR_NONE};
    (void)state;
    struct bench *b = bench_create();
    void *teardown = b;
    make(b, IMAGE_NONE, 0);
    assert_int_equal(migrate_check(b->vm, &e), -1);
    assert_non_null(strstr(e.text, "a plain guest is not moved"));
    bench_teardown(&teardown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sev_guest_moves),
        cmocka_unit_test(a_sev_es_guest_moves_with_its_vmsa),
        cmocka_unit_test(what_the_sources_firmware_refuses_stays),
        cmocka_unit_test(what_the_targets_firmware_refuses_stays),
        cmocka_unit_test(a_disk_that_the_target_cannot_take_comes_back),
        cmocka_unit_test(another_machine_is_refused),
        cmocka_unit_test(guests_that_cannot_move_are_refused),
    };
    return cmocka_run_group_tests_name("migrate", tests, NULL, NULL);
}
