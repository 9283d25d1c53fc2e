/* SPDX-License-Identifier: Apache-2.0 */
/* GDB's protocol: packets and their acknowledgements, each command, and what hostile clients send.
 */
#include "debug/gdb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define MEMORY_AT   0x1000u
#define MEMORY_SIZE 0x2000u

/* A target that remembers what it was asked for. */
struct rig {
    struct gdb *gdb;
    char sent[4 * GDB_PACKET_MAX];
    size_t sent_size;
    struct gdb_registers registers[2];
    u8 memory[MEMORY_SIZE];
    struct gdb_point point;
    u32 inserted, removed, resumed, step, interrupts, detached, killed, back_steps, back_runs;
    char monitor[64];
};

static u32 threads(void *context)
{
    (void)context;
    return 2;
}

static void describe(void *context, u32 thread, char *out, size_t size)
{
    (void)context;
    snprintf(out, size, "t%u", thread);
}

static bool get(void *context, u32 thread, struct gdb_registers *out)
{
    struct rig *r = context;
    *out = r->registers[thread - 1];
    return true;
}

static bool set(void *context, u32 thread, const struct gdb_registers *in)
{
    struct rig *r = context;
    r->registers[thread - 1] = *in;
    return in->segment[0] == 0;
}

static bool inside(u64 address, size_t size)
{
    return range_fits(address - MEMORY_AT, size, MEMORY_SIZE);
}

static bool read_memory(void *context, u32 thread, u64 address, void *out, size_t size)
{
    struct rig *r = context;
    (void)thread;
    if (inside(address, size))
        memcpy(out, r->memory + (address - MEMORY_AT), size);
    return inside(address, size);
}

static bool write_memory(void *context, u32 thread, u64 address, const void *data, size_t size)
{
    struct rig *r = context;
    (void)thread;
    if (inside(address, size))
        memcpy(r->memory + (address - MEMORY_AT), data, size);
    return inside(address, size);
}

static bool insert(void *context, const struct gdb_point *p)
{
    struct rig *r = context;
    r->point = *p;
    r->inserted++;
    return p->size != 9;
}

static bool take_out(void *context, const struct gdb_point *p)
{
    struct rig *r = context;
    r->point = *p;
    r->removed++;
    return true;
}

static void resume(void *context, u32 step)
{
    struct rig *r = context;
    r->resumed++;
    r->step = step;
}

static void reverse(void *context, bool one_instruction)
{
    struct rig *r = context;
    *(one_instruction ? &r->back_steps : &r->back_runs) += 1;
}

static void interrupt(void *context)
{
    ((struct rig *)context)->interrupts++;
}

static void detach(void *context)
{
    ((struct rig *)context)->detached++;
}

static void kill_it(void *context)
{
    ((struct rig *)context)->killed++;
}

static void monitor(void *context, struct gdb *gdb, u32 thread, const char *command)
{
    struct rig *r = context;
    snprintf(r->monitor, sizeof r->monitor, "%u:%s", thread, command);
    gdb_print(gdb, "seen\n");
}

static void send_out(void *context, const void *data, size_t size)
{
    struct rig *r = context;
    assert_true(r->sent_size + size < sizeof r->sent);
    memcpy(r->sent + r->sent_size, data, size);
    r->sent_size += size;
    r->sent[r->sent_size] = 0;
}

static int open_rig(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    const struct gdb_target target = {
        threads, describe, get,       set,    read_memory, write_memory, insert,   take_out,
        resume,  reverse,  interrupt, detach, kill_it,     monitor,      send_out, r};
    const struct gdb_stop first = {.thread = 1, .signal = GDB_SIGNAL_TRAP};
    for (u32 i = 0; r && i < MEMORY_SIZE; i++)
        r->memory[i] = (u8)i;
    *state = r;
    r->gdb = gdb_open(&target, &first);
    return !r->gdb;
}

static int close_rig(void **state)
{
    gdb_close(((struct rig *)*state)->gdb);
    free(*state);
    return 0;
}

static void feed(struct rig *r, const char *text)
{
    r->sent_size = 0;
    r->sent[0] = 0;
    gdb_feed(r->gdb, (const u8 *)text, strlen(text));
}

static void packet(char *out, size_t size, const char *data)
{
    u8 sum = 0;
    for (const char *p = data; *p; p++)
        sum = (u8)(sum + (u8)*p);
    snprintf(out, size, "$%s#%02x", data, sum);
}

/* Sends a packet; the answer must be this one, after an acknowledgement. */
static void expect(struct rig *r, const char *command, const char *answer)
{
    char wanted[4 * GDB_PACKET_MAX] = "+", sent[2 * GDB_PACKET_MAX];
    packet(sent, sizeof sent, command);
    feed(r, sent);
    if (answer)
        packet(wanted + 1, sizeof wanted - 1, answer);
    assert_string_equal(r->sent, wanted);
}

static void packets_are_acknowledged(void **state)
{
    struct rig *r = *state;
    feed(r, "$qC#b4");
    assert_string_equal(r->sent, "+$QC1#c5");
    feed(r, "-"); /* once more */
    assert_string_equal(r->sent, "$QC1#c5");
    feed(r, "$qC#b5");
    assert_string_equal(r->sent, "-");
    feed(r, "$qC#zz");
    assert_string_equal(r->sent, "-");
    feed(r, "$q$qC#b4"); /* the first one was cut off */
    assert_string_equal(r->sent, "+$QC1#c5");
    expect(r, "QStartNoAckMode", "OK");
    feed(r, "$qC#b4");
    assert_string_equal(r->sent, "$QC1#c5");
    feed(r, "$qC#b5");
    assert_string_equal(r->sent, "");
}

static void packets_may_come_in_pieces(void **state)
{
    struct rig *r = *state;
    for (const char *p = "$qC#b"; *p; p++) {
        gdb_feed(r->gdb, (const u8 *)p, 1);
        assert_int_equal(r->sent_size, 0);
    }
    gdb_feed(r->gdb, (const u8 *)"4", 1);
    assert_string_equal(r->sent, "+$QC1#c5");
}

static void too_long_a_packet_is_refused(void **state)
{
    struct rig *r = *state;
    static u8 flood[3 * GDB_PACKET_MAX];
    memset(flood, 'q', sizeof flood);
    gdb_feed(r->gdb, (const u8 *)"$", 1);
    gdb_feed(r->gdb, flood, sizeof flood);
    gdb_feed(r->gdb, (const u8 *)"#00", 3);
    assert_string_equal(r->sent, "-");
    expect(r, "qC", "QC1");
}

static void unknown_commands_have_an_empty_answer(void **state)
{
    struct rig *r = *state;
    static const char *const commands[] = {"vMustReplyEmpty", "qOffsets", "!", "", "qCRC:0,1"};
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        expect(r, commands[i], "");
}

static void registers_are_in_the_order_of_the_description(void **state)
{
    struct rig *r = *state;
    char xml[2 * GDB_PACKET_MAX];
    r->registers[0].gpr[1] = 0x1122334455667788;
    r->registers[0].eflags = 0x246;
    expect(r, "p1", "8877665544332211");
    expect(r, "p11", "46020000");
    expect(r, "Pf=0102030405060708", "OK");
    assert_int_equal(r->registers[0].gpr[15], 0x0807060504030201);
    expect(r, "P12=01000000", "E04"); /* this target does not let CS be written */
    expect(r, "p1000", "E01");
    expect(r, "pffffffffffffffff", "E01");
    expect(r, "P1=11", "E01");
    expect(r, "Hg2", "OK");
    expect(r, "p1", "0000000000000000");
    packet(xml, sizeof xml, "qXfer:features:read:target.xml:0,3fff");
    feed(r, xml);
    assert_non_null(strstr(r->sent, "$l<?xml"));
    assert_non_null(strstr(r->sent, "</feature></target>#"));
}

/* All registers, as often as the description names one, and back again. */
static void all_registers_at_once(void **state)
{
    struct rig *r = *state;
    static char answer[2 * GDB_PACKET_MAX], again[3 * GDB_PACKET_MAX];
    r->registers[0].gpr[2] = 5;
    r->registers[0].system[GDB_PAT] = 0x77;
    feed(r, "$g#67");
    const size_t size = strcspn(r->sent + 2, "#");
    assert_int_equal(size, 2 * (16 * 8 + 8 + 4 + 24 + 80 + 32 + 256 + 4 + 16 + 8 * GDB_SYSTEM));
    snprintf(answer, sizeof answer, "G%.*s", (int)size, r->sent + 2);
    expect(r, "Hg2", "OK");
    expect(r, answer, "OK");
    assert_memory_equal(&r->registers[1], &r->registers[0], sizeof r->registers[0]);
    snprintf(again, sizeof again, "%s0", answer);
    expect(r, again, "E01");
    answer[size - 3] = 0;
    expect(r, answer, "E01");
}

static void memory_is_read_and_written(void **state)
{
    struct rig *r = *state;
    expect(r, "m1000,4", "00010203");
    expect(r, "m2ffe,10", "feff"); /* to the end */
    expect(r, "mfff,4", "E03");
    expect(r, "mfffffffffffffffe,4", "E03");
    expect(r, "m1000,0", "");
    expect(r, "m1000", "E01");
    expect(r, "m10000000000000000,1", "E01");
    expect(r, "M1000,2:aabb", "OK");
    expect(r, "m1000,3", "aabb02");
    expect(r, "M1000,2:aa", "E01");
    expect(r, "M1000,2:aabbcc", "E01");
    expect(r, "M1000,ffffffff:aa", "E01");
    expect(r, "M5000,1:aa", "E03");
    expect(r, "X1000,3:a}\x03z", "OK"); /* 03h ^ 20h is `#` */
    expect(r, "m1000,3", "61237a");
    expect(r, "X1000,2:a}", "E01");
    expect(r, "X1000,0:", "OK");
}

static void points_are_passed_on(void **state)
{
    struct rig *r = *state;
    expect(r, "Z2,1234,8", "OK");
    assert_int_equal(r->point.type, GDB_WRITE);
    assert_int_equal(r->point.address, 0x1234);
    assert_int_equal(r->point.size, 8);
    expect(r, "z2,1234,8", "OK");
    assert_int_equal(r->removed, 1);
    expect(r, "Z0,1234,9", "E04");
    expect(r, "Z5,1234,8", "E01");
    expect(r, "Z0,1234,1;X1,22", "E01"); /* conditions on our side were not offered */
    assert_int_equal(r->inserted, 2);
}

static void it_runs_and_stops(void **state)
{
    struct rig *r = *state;
    const struct gdb_stop watch = {
        .thread = 2, .signal = GDB_SIGNAL_TRAP, .at_point = true, .point = {GDB_WRITE, 0x1234, 8}};
    expect(r, "?", "T05thread:1;");
    expect(r, "vCont;s:2;c", NULL);
    assert_int_equal(r->step, 2);
    assert_true(gdb_target_runs(r->gdb));
    feed(r, "\x03");
    assert_int_equal(r->interrupts, 1);
    feed(r, "$qC#b4"); /* nobody answers while the target runs */
    assert_string_equal(r->sent, "");
    gdb_stopped(r->gdb, &watch);
    assert_string_equal(r->sent, "$T05thread:2;watch:1234;#2e");
    expect(r, "qC", "QC2");
    expect(r, "vCont;c", NULL);
    assert_int_equal(r->step, 0);
    gdb_exited(r->gdb, 15);
    assert_true(gdb_ended(r->gdb));
}

/* ... if the target can. */
static void it_goes_back(void **state)
{
    struct rig *r = *state;
    const struct gdb_stop begin = {.thread = 1, .signal = GDB_SIGNAL_TRAP, .at_beginning = true};
    expect(r, "bs", NULL);
    assert_int_equal(r->back_steps, 1);
    assert_true(gdb_target_runs(r->gdb));
    r->sent_size = 0;
    gdb_stopped(r->gdb, &begin);
    assert_string_equal(r->sent, "$T05thread:1;replaylog:begin;#20");
    expect(r, "bc", NULL);
    assert_int_equal(r->back_runs, 1);
    gdb_stopped(r->gdb, &begin);
    expect(r, "bc1", "E01");
    expect(r, "bs 1", "E01");
    assert_int_equal(r->back_runs + r->back_steps, 2);
}

/* Another process of the same program goes on where this one was: its own target, this session. */
static void a_session_can_be_carried_over(void **state)
{
    struct rig *r = *state;
    void *other;
    u8 *saved = malloc(gdb_state_size());
    assert_non_null(saved);
    feed(r, "+$QStartNoAckMode#b0");
    feed(r, "+$Hg2#e1");
    gdb_save(r->gdb, saved);
    assert_int_equal(open_rig(&other), 0);
    struct rig *s = other;
    gdb_restore(s->gdb, saved);
    free(saved);
    feed(s, "$qC#b4");
    assert_string_equal(s->sent, "$QC1#c5"); /* without an acknowledgement */
    assert_string_equal(r->sent, "$OK#9a");
    close_rig(&other);
}

static void actions_are_checked(void **state)
{
    struct rig *r = *state;
    expect(r, "vCont?", "vCont;c;C;s;S");
    expect(r, "vCont;x", "E01");
    expect(r, "vCont;", "E01");
    expect(r, "vCont;s:3", "E02");
    expect(r, "vCont;s:fffffffff", "E01");
    expect(r, "vCont;C", "E01");
    expect(r, "c1234", "E01");
    expect(r, "Hg3", "E02");
    expect(r, "T2", "OK");
    expect(r, "T3", "E02");
    assert_int_equal(r->resumed, 0);
    expect(r, "vCont;S05:1;C05:-1", NULL);
    assert_int_equal(r->step, 1);
}

static void threads_are_listed(void **state)
{
    struct rig *r = *state;
    expect(r, "qfThreadInfo", "m1,2");
    expect(r, "qsThreadInfo", "l");
    expect(r, "qThreadExtraInfo,2", "7432");
    expect(r, "qThreadExtraInfo,9", "E02");
}

static void monitor_commands_answer_as_text(void **state)
{
    struct rig *r = *state;
    feed(r, "$qRcmd,68656c70#fc");
    assert_string_equal(r->monitor, "1:help");
    assert_string_equal(r->sent, "+$O7365656e0a#bb$OK#9a");
    expect(r, "qRcmd,6", "E01");
    expect(r, "qRcmd,6x", "E01");
}

static void it_detaches_and_kills(void **state)
{
    struct rig *r = *state;
    expect(r, "D", "OK");
    assert_int_equal(r->detached, 1);
    assert_true(gdb_ended(r->gdb));
    feed(r, "$k#6b"); /* too late */
    assert_int_equal(r->killed, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_rig, close_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(packets_are_acknowledged),
        TEST(packets_may_come_in_pieces),
        TEST(too_long_a_packet_is_refused),
        TEST(unknown_commands_have_an_empty_answer),
        TEST(registers_are_in_the_order_of_the_description),
        TEST(all_registers_at_once),
        TEST(memory_is_read_and_written),
        TEST(points_are_passed_on),
        TEST(it_runs_and_stops),
        TEST(it_goes_back),
        TEST(a_session_can_be_carried_over),
        TEST(actions_are_checked),
        TEST(threads_are_listed),
        TEST(monitor_commands_answer_as_text),
        TEST(it_detaches_and_kills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
