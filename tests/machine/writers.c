/* SPDX-License-Identifier: Apache-2.0 */
/* Who wrote last to a frame: each party by its way, and programs that take turns. */
#include "machine/writers.h"

#include "crypto/crypto.h"
#include "machine/debug.h"
#include "machine/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define AT 0x5000u

struct rig {
    struct crypto *crypto;
    struct machine *machine;
    struct host *host;
    u32 asked; /* how often cores were asked to tell of stores */
    struct memory_listener listener;
};

static void ignore_frame(void *context, u64 frame)
{
    (void)context;
    (void)frame;
}

static void ignore_all(void *context)
{
    (void)context;
}

static void ignore_write(void *context, u64 frame, u32 offset, u32 size)
{
    (void)context;
    (void)frame;
    (void)offset;
    (void)size;
}

static void on_asked(void *context, u64 frame)
{
    assert_int_equal(frame, AT >> PAGE_SHIFT);
    ((struct rig *)context)->asked++;
}

static void rig_create(struct rig *r)
{
    struct error e = {0};
    *r = (struct rig){.crypto = crypto_create("machine_writers", 15)};
    r->machine = machine_create(
        &(struct machine_config){
            .memory_size = MIB(8), .cores = 1, .crypto = r->crypto, .fuses = {1}},
        &e);
    if (!r->machine)
        fail_msg("%s", e.text);
    r->host = machine_host(r->machine);
    r->listener = (struct memory_listener){.frame_lost = ignore_frame,
                                           .mappings_lost = ignore_all,
                                           .code_written = ignore_write,
                                           .code_marked = on_asked,
                                           .context = r};
    memory_listen(machine_memory(r->machine), &r->listener);
}

static void rig_destroy(struct rig *r)
{
    machine_destroy(r->machine);
    crypto_destroy(r->crypto);
}

static struct debug_writer last(const struct rig *r)
{
    struct debug_writer w;
    assert_true(debug_writer(r->machine, AT + 8, &w));
    return w;
}

static void nobody_is_noted_without_a_debugger(void **state)
{
    struct rig r;
    struct debug_writer w;
    u32 value = 5;
    (void)state;
    rig_create(&r);
    assert_true(host_write(r.host, AT, &value, sizeof value));
    assert_false(debug_writer(r.machine, AT, &w));
    rig_destroy(&r);
}

static void each_party_is_named(void **state)
{
    struct rig r;
    struct debug_writer w;
    u32 value = 5;
    (void)state;
    rig_create(&r);
    assert_true(debug_note_writers(r.machine));
    assert_false(debug_writer(r.machine, AT, &w));
    assert_false(debug_writer(r.machine, MIB(8), &w));
    host_spend(r.host, 100);
    assert_true(host_write(r.host, AT, &value, sizeof value));
    assert_int_equal(last(&r).party, WRITER_HOST);
    assert_int_equal(last(&r).time_ns, 100);
    assert_true(host_dma_write(r.host, AT, &value, sizeof value));
    assert_int_equal(last(&r).party, WRITER_DEVICE);
    host_spend(r.host, 11);
    host_mailbox(r.host, 0x04, AT); /* PLATFORM_STATUS into the page */
    assert_int_equal(last(&r).party, WRITER_FIRMWARE);
    assert_int_equal(last(&r).command, 0x04);
    assert_int_equal(last(&r).time_ns, 111);
    const struct debug_view flat = {.flat = true};
    assert_true(debug_write(r.machine, &flat, AT, &value, sizeof value));
    assert_int_equal(last(&r).party, WRITER_DEBUGGER);
    assert_true(memory_write(machine_memory(r.machine), AT, KEY_RAW, &value, sizeof value));
    assert_int_equal(last(&r).party, WRITER_CORE);
    assert_int_equal(r.asked, 0); /* no program has stored there */
    for (u32 i = 0; i < WRITERS; i++)
        assert_non_null(debug_party_name((enum debug_party)i));
    rig_destroy(&r);
}

static void store(struct rig *r, struct memory_store s)
{
    memory_stored(machine_memory(r->machine), AT >> PAGE_SHIFT, &s);
}

/* The first store since another party's write has a time; and whoever takes over asks the program
 * for its next one. */
static void programs_take_turns(void **state)
{
    struct rig r;
    u32 value = 5;
    (void)state;
    rig_create(&r);
    assert_true(debug_note_writers(r.machine));
    store(&r, (struct memory_store){.core = 0, .guest = true, .asid = 3, .rip = 7, .time_ns = 10});
    store(&r, (struct memory_store){.core = 0, .guest = true, .asid = 3, .rip = 8, .time_ns = 20});
    assert_int_equal(last(&r).party, WRITER_PROGRAM);
    assert_int_equal(last(&r).time_ns, 10);
    assert_int_equal(last(&r).rip, 7);
    assert_int_equal(last(&r).asid, 3);
    assert_true(last(&r).guest);
    assert_int_equal(r.asked, 0);
    store(&r, (struct memory_store){.core = 0, .rip = 9, .time_ns = 30});
    assert_int_equal(r.asked, 1);
    assert_false(last(&r).guest);
    store(&r, (struct memory_store){.core = 1, .rip = 9, .time_ns = 40});
    assert_int_equal(r.asked, 2);
    assert_int_equal(last(&r).core, 1);
    assert_true(host_dma_write(r.host, AT, &value, sizeof value));
    assert_int_equal(r.asked, 3);
    assert_int_equal(last(&r).party, WRITER_DEVICE);
    store(&r, (struct memory_store){.core = 1, .rip = 11, .time_ns = 50});
    assert_int_equal(r.asked, 3);
    assert_int_equal(last(&r).rip, 11);
    rig_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_noted_without_a_debugger),
        cmocka_unit_test(each_party_is_named),
        cmocka_unit_test(programs_take_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
