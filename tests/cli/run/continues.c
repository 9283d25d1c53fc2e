/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine with a running guest goes into an archive, and another machine goes on from it. Both
 * then do the same to the byte, in every mode and whichever engine runs them: the events, and all
 * that an archive holds at the end.
 */
#include "../../small_elf.h"
#include "abi/report.h"
#include "abi/snp.h"
#include "base/archive.h"
#include "cli/cli.h"
#include "crypto/crypto.h"
#include "hypervisor/vm.h"
#include "image/image.h"
#include "machine/host.h"
#include "machine/machine.h"
#include "memory/rmp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MEMORY    MIB(32)
#define GUEST     MIB(2)
#define ROOM      MIB(40)
#define EVENTS    MIB(1)
#define MOMENT_NS 100000ull

static const u8 key[32] = {1}, other_key[32] = {2};

/* The program's, which is not here. */
int cli_fail(const char *command, const struct error *error)
{
    (void)command;
    fail_msg("%s", error->text);
    return 1;
}

/* Counts, sums random numbers, and stores both. */
static const u8 program[] = {
    0x48, 0xff, 0xc0,                         /* 1: inc %rax */
    0x48, 0x0f, 0xc7, 0xf1,                   /*    rdrand %rcx */
    0x48, 0x01, 0xca,                         /*    add %rcx, %rdx */
    0x48, 0x89, 0x05, 0xef, 0x00, 0x00, 0x00, /*    mov %rax, 0x100 from the start */
    0x48, 0x89, 0x15, 0xf0, 0x00, 0x00, 0x00, /*    mov %rdx, 0x108 from the start */
    0xeb, 0xe6,                               /*    jmp 1b */
};
#define RESULT (MIB(1) + 0x100)

/* --- Archives in memory ----------------------------------------------------------------------- */

struct buffer {
    u8 *data;
    size_t size, at;
};

static int put(void *context, void *data, size_t size, struct error *e)
{
    struct buffer *b = context;
    if (size > ROOM - b->size)
        return error_set(e, ERROR_INTERNAL, "the archive is too large");
    memcpy(b->data + b->size, data, size);
    b->size += size;
    return 0;
}

static int get(void *context, void *data, size_t size, struct error *e)
{
    struct buffer *b = context;
    if (size > b->size - b->at)
        return error_set(e, ERROR_FILE, "the archive ends here");
    memcpy(data, b->data + b->at, size);
    b->at += size;
    return 0;
}

/* --- A machine with a guest ------------------------------------------------------------------- */

struct rig {
    enum image_mode mode;
    struct crypto *crypto;
    struct machine *machine;
    struct hypervisor *hv;
    struct image_plan *plan;
    struct vm *vm;
    struct error error;
    u8 elf[SMALL_ELF_SIZE];
    struct trace_sink sink;
    char *events;
    size_t events_size;
};

static void must(const struct rig *r, bool holds)
{
    if (!holds)
        fail_msg("%s", r->error.text);
}

static void keep_event(void *context, const struct trace_event *event)
{
    struct rig *r = context;
    char line[1024];
    const size_t size = trace_format_text(line, sizeof line, event);
    assert_true(r->events_size + size < EVENTS);
    memcpy(r->events + r->events_size, line, size);
    r->events_size += size;
}

/* A machine that is to be launched is initialised before its VM is made; one that loads need not.
 */
static void rig_create(struct rig *r, enum image_mode mode, enum cpu_engine engine,
                       bool initialised)
{
    const char *seed = initialised ? "one" : "two";
    *r = (struct rig){.mode = mode, .crypto = crypto_create(seed, strlen(seed))};
    const struct machine_config machine = {.memory_size = MEMORY,
                                           .cores = 2,
                                           .crypto = r->crypto,
                                           .fuses = {1},
                                           .engine = engine,
                                           .trace_categories = ~0u};
    r->machine = machine_create(&machine, &r->error);
    must(r, r->machine);
    r->hv = hypervisor_create(machine_host(r->machine), &r->error);
    small_elf(r->elf, MIB(1), MIB(1), 0x1000);
    memcpy(r->elf + 0x100, program, sizeof program);
    const struct image_description d = {
        .memory_size = GUEST, .mode = mode, .kernel = {"kernel", r->elf, sizeof r->elf}};
    r->plan = image_build(&d, &r->error);
    must(r, r->hv && r->plan);
    if (mode == IMAGE_SEV_SNP && initialised)
        must(r, !platform_init_snp(r->hv, &r->error));
    const struct vm_config config = {.name = "vm",
                                     .plan = r->plan,
                                     .policy = mode == IMAGE_SEV_ES ? 5 : 1,
                                     .snp_policy = SNP_POLICY_QEMU_DEFAULT};
    r->vm = vm_create(r->hv, &config, &r->error);
    must(r, r->vm);
}

static void rig_destroy(struct rig *r)
{
    hypervisor_destroy(r->hv);
    image_free(r->plan);
    machine_destroy(r->machine);
    crypto_destroy(r->crypto);
    free(r->events);
}

static void launch_sev(struct rig *r)
{
    u8 measure[48];
    const bool es = r->mode == IMAGE_SEV_ES;
    must(r, !(es ? platform_init_es : platform_init)(r->hv, &r->error) &&
                !vm_launch_start(r->vm, NULL, 0, NULL, 0, &r->error) &&
                !vm_launch_update(r->vm, &r->error) &&
                !(es && vm_launch_update_vmsa(r->vm, &r->error)) &&
                !vm_launch_measure(r->vm, measure, &r->error) &&
                !vm_launch_finish(r->vm, &r->error));
}

static void rig_launch(struct rig *r)
{
    if (r->mode == IMAGE_NONE)
        must(r, !vm_load(r->vm, &r->error));
    else if (r->mode == IMAGE_SEV_SNP)
        must(r, !vm_snp_launch_start(r->vm, &r->error) && !vm_snp_launch_update(r->vm, &r->error) &&
                    !vm_snp_launch_finish(r->vm, NULL, NULL, false, NULL, &r->error));
    else
        launch_sev(r);
}

static void rig_run(struct rig *r)
{
    hypervisor_run(r->hv, host_time_ns(machine_host(r->machine)) + MOMENT_NS);
    assert_int_equal(vm_get_state(r->vm), VM_RUNNABLE);
}

/* --- Saving and loading ----------------------------------------------------------------------- */

static const u8 *key_of(const struct rig *r, const u8 *seal)
{
    return r->mode == IMAGE_NONE ? NULL : seal;
}

static struct buffer rig_save(struct rig *r)
{
    struct buffer b = {.data = malloc(ROOM)};
    assert_non_null(b.data);
    struct archive a = archive_saving((struct archive_stream){put, &b}, &r->error);
    hypervisor_settle(r->hv);
    machine_archive(r->machine, key_of(r, key), &a);
    hypervisor_archive(r->hv, &a);
    must(r, !a.failed);
    return b;
}

/* Returns true if the first `size` bytes were loaded, and were the whole archive. */
static bool rig_load(struct rig *r, const struct buffer *from, size_t size, const u8 *seal)
{
    struct buffer b = {.data = from->data, .size = size};
    struct archive a = archive_loading((struct archive_stream){get, &b}, &r->error);
    machine_archive(r->machine, key_of(r, seal), &a);
    hypervisor_archive(r->hv, &a);
    assert_int_equal(a.failed, r->error.code != ERROR_NONE);
    return !a.failed && b.at == from->size;
}

static void watch(struct rig *r)
{
    r->events = malloc(EVENTS);
    assert_non_null(r->events);
    r->sink = (struct trace_sink){.event = keep_event, .context = r};
    trace_add_sink(machine_trace(r->machine), &r->sink);
}

/* --- Tests ------------------------------------------------------------------------------------ */

static const enum image_mode modes[] = {IMAGE_NONE, IMAGE_SEV, IMAGE_SEV_ES, IMAGE_SEV_SNP};

static void same_memory(struct rig *one, struct rig *two)
{
    u8 a[PAGE_SIZE], b[PAGE_SIZE];
    for (u64 spa = 0; spa < MEMORY; spa += PAGE_SIZE) {
        assert_true(memory_peek(machine_memory(one->machine), spa, KEY_RAW, a, sizeof a));
        assert_true(memory_peek(machine_memory(two->machine), spa, KEY_RAW, b, sizeof b));
        assert_memory_equal(a, b, sizeof a);
    }
}

static void same_archives(struct rig *one, struct rig *two)
{
    struct buffer a = rig_save(one), b = rig_save(two);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    free(a.data);
    free(b.data);
}

static void are_the_same(struct rig *one, struct rig *two)
{
    assert_true(one->events_size > 0);
    assert_int_equal(one->events_size, two->events_size);
    assert_memory_equal(one->events, two->events, one->events_size);
    same_memory(one, two);
    same_archives(one, two);
}

/* Asks the firmware for what it knows; the answer is in memory and among the events. */
static void report(struct rig *r)
{
    struct platform_status s;
    struct snp_report snp;
    if (r->mode == IMAGE_SEV_SNP)
        must(r, !vm_report(r->vm, &snp, &r->error));
    else if (r->mode != IMAGE_NONE)
        must(r, !platform_get_status(r->hv, &s, &r->error) && s.guest_count == 1);
}

/* The count of a plain guest, which a host can read. */
static u64 counted(struct rig *r)
{
    u64 count = 0;
    assert_true(vm_host_view(r->vm, RESULT, &count, sizeof count));
    return count;
}

/* Leaves keys, frames in their views and touched ones, and a table of pages: all of it must go. */
static void live(struct rig *r)
{
    struct memory *m = machine_memory(r->machine);
    u8 bytes[PAGE_SIZE];
    memset(bytes, 0xa5, sizeof bytes);
    assert_true(memory_key_load(m, 300, bytes) && memory_key_load(m, 301, bytes));
    for (u64 spa = MIB(2); spa < MIB(4); spa += PAGE_SIZE)
        assert_true(
            memory_write(m, spa, (memory_key)(spa & PAGE_SIZE ? 300 : 301), bytes, sizeof bytes));
    memory_key_unload(m, 300);
    memory_vmsa_seal(m, MIB(2), 301);
    assert_true(rmp_enable(m, MIB(8), MIB(9) - 1));
}

/* `past`: what the second machine did before; NULL: nothing. */
static void goes_on(enum image_mode mode, enum cpu_engine from, enum cpu_engine to,
                    void (*past)(struct rig *r))
{
    struct rig one, two;
    rig_create(&one, mode, from, true);
    rig_create(&two, mode, to, false);
    rig_launch(&one);
    rig_run(&one);
    struct buffer first = rig_save(&one);
    if (past)
        past(&two);
    if (!rig_load(&two, &first, first.size, key))
        fail_msg("%s", two.error.text);
    crypto_reseed(two.crypto, "one", 3);
    crypto_set_position(two.crypto, crypto_position(one.crypto));
    const u64 before = mode == IMAGE_NONE ? counted(&one) : 0;
    watch(&one);
    watch(&two);
    for (u32 i = 0; i < 3; i++) {
        rig_run(&one);
        rig_run(&two);
    }
    if (mode == IMAGE_NONE)
        assert_true(before > 0 && counted(&two) > before && counted(&two) == counted(&one));
    are_the_same(&one, &two);
    report(&one);
    report(&two);
    vm_destroy(one.vm);
    vm_destroy(two.vm);
    are_the_same(&one, &two);
    free(first.data);
    rig_destroy(&one);
    rig_destroy(&two);
}

static void the_loaded_machine_does_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
        goes_on(modes[i], CPU_ENGINE_AUTO, CPU_ENGINE_AUTO, NULL);
}

static void another_engine_does_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        goes_on(modes[i], CPU_ENGINE_AUTO, CPU_ENGINE_INTERPRETER, NULL);
        goes_on(modes[i], CPU_ENGINE_INTERPRETER, CPU_ENGINE_AUTO, NULL);
    }
}

static void the_past_of_the_loading_machine_is_gone(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
        goes_on(modes[i], CPU_ENGINE_AUTO, CPU_ENGINE_AUTO, live);
}

static void another_platform_is_refused(void **state)
{
    (void)state;
    for (size_t i = 1; i < ARRAY_SIZE(modes); i++) {
        struct rig one, two;
        rig_create(&one, modes[i], CPU_ENGINE_AUTO, true);
        rig_create(&two, modes[i], CPU_ENGINE_AUTO, false);
        rig_launch(&one);
        struct buffer b = rig_save(&one);
        assert_false(rig_load(&two, &b, b.size, other_key));
        assert_non_null(strstr(two.error.text, "another platform"));
        rig_destroy(&two);
        rig_create(&two, modes[i], CPU_ENGINE_AUTO, false);
        assert_false(rig_load(&two, &b, b.size, NULL));
        assert_non_null(strstr(two.error.text, "whether there is a platform"));
        free(b.data);
        rig_destroy(&one);
        rig_destroy(&two);
    }
}

/* The secrets of the chip are not in the archive in plain, nor are a guest's. */
static void secrets_are_not_in_plain(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        struct rig one;
        rig_create(&one, modes[i], CPU_ENGINE_AUTO, true);
        rig_launch(&one);
        struct buffer b = rig_save(&one);
        bool found = false;
        for (size_t at = 0; at + sizeof program <= b.size && !found; at++)
            found = !memcmp(b.data + at, program, sizeof program);
        assert_int_equal(found, modes[i] == IMAGE_NONE);
        free(b.data);
        rig_destroy(&one);
    }
}

/* Cuts the archive everywhere near both ends, and at fifty places between them. */
static void a_truncated_archive_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(modes); i += ARRAY_SIZE(modes) - 1) {
        struct rig one, two;
        rig_create(&one, modes[i], CPU_ENGINE_AUTO, true);
        rig_launch(&one);
        struct buffer b = rig_save(&one);
        const size_t near = 24, step = b.size / 50;
        for (size_t size = 0; size < b.size;) {
            rig_create(&two, modes[i], CPU_ENGINE_INTERPRETER, false);
            assert_false(rig_load(&two, &b, size, key));
            assert_non_null(strstr(two.error.text, "too short") ||
                                    strstr(two.error.text, "ends here")
                                ? two.error.text
                                : NULL);
            rig_destroy(&two);
            size += size < near || size + near >= b.size ? 1 : min_u64(step, b.size - near - size);
        }
        free(b.data);
        rig_destroy(&one);
    }
}

/* The firmware's hash of a launch is not archived; whoever asks for a snapshot then is told so. */
static void a_launch_is_not_archived(void **state)
{
    (void)state;
    struct rig r;
    struct buffer b = {.data = malloc(ROOM)};
    assert_non_null(b.data);
    rig_create(&r, IMAGE_SEV, CPU_ENGINE_AUTO, true);
    must(&r, !platform_init(r.hv, &r.error) && !vm_launch_start(r.vm, NULL, 0, NULL, 0, &r.error));
    struct archive a = archive_saving((struct archive_stream){put, &b}, &r.error);
    machine_archive(r.machine, key, &a);
    assert_true(a.failed);
    assert_non_null(strstr(r.error.text, "is being launched"));
    assert_int_equal(r.error.code, ERROR_USAGE);
    free(b.data);
    rig_destroy(&r);
}

/* No deadline may pass the end of a 64-bit time. */
static void a_time_without_end_is_refused(void **state)
{
    static const u64 times[] = {~0ull, BIT(63), BIT(62)};
    (void)state;
    struct rig one, two;
    rig_create(&one, IMAGE_NONE, CPU_ENGINE_AUTO, true);
    rig_launch(&one);
    rig_run(&one);
    struct buffer b = rig_save(&one);
    const u64 now = host_time_ns(machine_host(one.machine));
    size_t at = 0;
    while (at < 100 && load_le64(b.data + at) != now)
        at++;
    assert_true(now && at < 100);
    for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
        rig_create(&two, IMAGE_NONE, CPU_ENGINE_AUTO, false);
        store_le64(b.data + at, times[i]);
        assert_false(rig_load(&two, &b, b.size, key));
        assert_non_null(strstr(two.error.text, "the machine's time"));
        rig_destroy(&two);
    }
    free(b.data);
    rig_destroy(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_loaded_machine_does_the_same),
        cmocka_unit_test(another_engine_does_the_same),
        cmocka_unit_test(the_past_of_the_loading_machine_is_gone),
        cmocka_unit_test(another_platform_is_refused),
        cmocka_unit_test(secrets_are_not_in_plain),
        cmocka_unit_test(a_truncated_archive_is_refused),
        cmocka_unit_test(a_launch_is_not_archived),
        cmocka_unit_test(a_time_without_end_is_refused),
    };
    return cmocka_run_group_tests_name("continues", tests, NULL, NULL);
}
