/* SPDX-License-Identifier: Apache-2.0 */
/* The map of frames: what each event does to it, and that others can repeat its changes. */
#include "view/map.h"

#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void event(struct view_map *m, const char *line)
{
    struct view_event e;
    assert_true(view_read_line(line, strlen(line), &e));
    view_map_event(m, &e);
}

static void is(const struct view_map *m, u64 frame, u32 key, enum rmp_state state, u32 asid)
{
    const struct view_frame f = view_map_frame(m, frame);
    assert_int_equal(f.key, key);
    assert_int_equal(f.state, state);
    assert_int_equal(f.asid, asid);
}

#define MACHINE "0 vm MACHINE memory=0x800000 asids=509" /* 2048 frames */

static void keys_follow_flips_and_places(void **state)
{
    struct view_map m;
    (void)state;
    view_map_init(&m);
    event(&m, "0 view FLIP spa=0x1000 from=raw to=asid1"); /* nothing is known of memory yet */
    assert_int_equal(m.frames, 0);
    event(&m, MACHINE);
    assert_int_equal(m.frames, 2048);
    event(&m, "1 view FLIP spa=0x1000 from=raw to=asid1");
    event(&m, "2 view PLACE spa=0x200000 size=0x201000 to=asid1");
    event(&m, "3 view PLACE spa=0x3000 size=0x1000 to=firmware");
    is(&m, 0, VIEW_KEY_RAW, RMP_DEFAULT, 0);
    is(&m, 1, 1, RMP_DEFAULT, 0);
    is(&m, 3, VIEW_KEY_CHIP, RMP_DEFAULT, 0);
    is(&m, 512, 1, RMP_DEFAULT, 0);
    is(&m, 1024, 1, RMP_DEFAULT, 0);
    is(&m, 1025, VIEW_KEY_RAW, RMP_DEFAULT, 0);
    assert_int_equal(m.held[1], 514);
    event(&m, "4 key UNLOAD asid=1 frames=514");
    is(&m, 1, VIEW_KEY_GONE, RMP_DEFAULT, 0);
    is(&m, 800, VIEW_KEY_GONE, RMP_DEFAULT, 0);
    is(&m, 3, VIEW_KEY_CHIP, RMP_DEFAULT, 0);
    assert_int_equal(m.held[1], 0);
    event(&m, "5 view FLIP spa=0x1000 from=gone to=raw");
    is(&m, 1, VIEW_KEY_RAW, RMP_DEFAULT, 0);
    view_map_free(&m);
}

#define CLEAR "1 page RMP_CLEAR base=0x600000 end=0x60dfff" /* 14 pages: entries of 2560 pages */

static void states_follow_the_rmp(void **state)
{
    struct view_map m;
    (void)state;
    view_map_init(&m);
    event(&m, MACHINE);
    event(&m, CLEAR);
    is(&m, 0, 0, RMP_HYPERVISOR, 0);
    is(&m, 1536, 0, RMP_FIRMWARE, 0);
    is(&m, 1549, 0, RMP_FIRMWARE, 0);
    is(&m, 1550, 0, RMP_HYPERVISOR, 0);
    event(&m, "2 page RMPUPDATE core=0 spa=0x200000 result=0 state=Pre-Guest asid=2 gpa=0x0 "
              "size=2M");
    event(&m, "3 page RMP spa=0x200000 from=Pre-Guest to=Guest-Valid asid=2 gpa=0x0 size=2M "
              "by=SNP_LAUNCH_UPDATE");
    is(&m, 1023, 0, RMP_GUEST_VALID, 2);
    /* failed: nothing changes */
    event(&m, "4 page RMPUPDATE core=0 spa=0x200000 result=1 state=Hypervisor asid=0 gpa=0x0 "
              "size=4K");
    is(&m, 512, 0, RMP_GUEST_VALID, 2);
    event(&m, "5 page PSMASH core=0 spa=0x200000 result=0 state=Guest-Valid asid=2 gpa=0x0 "
              "size=4K");
    event(&m, "6 page RMPUPDATE core=0 spa=0x200000 result=0 state=Hypervisor asid=0 gpa=0x0 "
              "size=4K");
    is(&m, 512, 0, RMP_HYPERVISOR, 0);
    is(&m, 513, 0, RMP_GUEST_VALID, 2);
    event(&m, "7 page RMP_DISABLE");
    is(&m, 513, 0, RMP_DEFAULT, 0);
    view_map_free(&m);
}

/* Without PSMASH the entry of 2 MiB disappears with its first page. */
static void a_large_page_disappears_as_a_whole(void **state)
{
    struct view_map m;
    (void)state;
    view_map_init(&m);
    event(&m, MACHINE);
    event(&m, CLEAR);
    event(&m, "2 page RMPUPDATE core=0 spa=0x200000 result=0 state=Pre-Guest asid=2 gpa=0x0 "
              "size=2M");
    event(&m, "3 page RMPUPDATE core=0 spa=0x200000 result=0 state=Firmware asid=0 gpa=0x0 "
              "size=4K");
    is(&m, 512, 0, RMP_FIRMWARE, 0);
    is(&m, 513, 0, RMP_HYPERVISOR, 0);
    is(&m, 1023, 0, RMP_HYPERVISOR, 0);
    view_map_free(&m);
}

static void what_lies_outside_changes_nothing(void **state)
{
    struct view_map m;
    (void)state;
    view_map_init(&m);
    event(&m, "0 vm MACHINE memory=0x20000000000 asids=509"); /* 2 TiB */
    assert_int_equal(m.frames, 0);
    event(&m, MACHINE);
    event(&m, "1 view FLIP spa=0xfffffffffffff000 from=raw to=asid1");
    event(&m, "1 view PLACE spa=0x7ff000 size=0xffffffffffffffff to=asid1");
    event(&m, "1 view PLACE spa=0x1000 size=0x0 to=asid1");
    event(&m, "1 view FLIP spa=0x1000 from=raw to=asid4294967297");
    event(&m, "1 view FLIP spa=0x1000 from=raw to=asid");
    event(&m, "1 page RMPUPDATE spa=0xffffffffffe00000 result=0 state=Firmware asid=0 size=2M");
    event(&m, "1 page RMP_CLEAR base=0x1000 end=0x0");
    event(&m, "1 key UNLOAD asid=18446744073709551615");
    is(&m, 1, VIEW_KEY_RAW, RMP_DEFAULT, 0);
    is(&m, 2046, VIEW_KEY_RAW, RMP_DEFAULT, 0);
    is(&m, 2047, 1, RMP_DEFAULT, 0); /* the part of the range that is there */
    assert_int_equal(m.held[1], 1);
    view_map_free(&m);
}

static void runs_cover_memory_once(void **state)
{
    struct view_map m;
    u64 next = 0;
    u32 count = 0;
    (void)state;
    view_map_init(&m);
    event(&m, "0 vm MACHINE memory=0x801000 asids=509"); /* a last chunk of one frame */
    event(&m, "1 view PLACE spa=0x3ff000 size=0x2000 to=asid1");
    for (struct view_run run = {.first = 0}; view_map_next(&m, &run); count++) {
        assert_int_equal(run.first, next);
        next += run.count;
    }
    assert_int_equal(next, 2049);
    assert_int_equal(count, 3);
    view_map_free(&m);
}

/* What a browser does: repeats the changes without knowing an event. */
static u32 keys[2048], rmps[2048];

static void repeat(void *context, enum view_change what, u64 first, u64 count, u32 value)
{
    (void)context;
    for (u64 i = 0; i < 2048; i++) {
        if (what == VIEW_REKEY && keys[i] == first)
            keys[i] = value;
        else if (what == VIEW_KEY && i - first < count)
            keys[i] = value;
        else if (what == VIEW_RMP && i - first < count)
            rmps[i] = value;
    }
}

static void changes_can_be_repeated(void **state)
{
    static const char *const names[] = {"Hypervisor", "Firmware", "Pre-Guest", "Guest-Valid",
                                        "Guest-Invalid"};
    struct view_map m;
    char line[200];
    (void)state;
    srand(13);
    view_map_init(&m);
    event(&m, MACHINE);
    m.changed = repeat;
    event(&m, CLEAR);
    for (u32 i = 0; i < 3000; i++) {
        const u32 frame = (u32)rand() % 2048, asid = 1 + (u32)rand() % 3, kind = (u32)rand() % 8;
        const bool large = !(rand() % 5);
        if (kind < 3)
            snprintf(line, sizeof line, "1 view PLACE spa=0x%x000 size=0x%x000 to=asid%u", frame,
                     1 + (u32)rand() % 700, asid);
        else if (kind < 4)
            snprintf(line, sizeof line, "1 key UNLOAD asid=%u frames=0", asid);
        else
            snprintf(line, sizeof line,
                     "1 page RMPUPDATE spa=0x%x000 result=0 state=%s asid=%u "
                     "size=%s",
                     large ? frame & ~511u : frame, names[rand() % 5], asid, large ? "2M" : "4K");
        event(&m, line);
    }
    for (u64 i = 0; i < 2048; i++) {
        const struct view_frame f = view_map_frame(&m, i);
        assert_int_equal(f.key, keys[i]);
        assert_int_equal(f.state | f.asid << 8, rmps[i]);
    }
    view_map_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_follow_flips_and_places),
        cmocka_unit_test(states_follow_the_rmp),
        cmocka_unit_test(a_large_page_disappears_as_a_whole),
        cmocka_unit_test(what_lies_outside_changes_nothing),
        cmocka_unit_test(runs_cover_memory_once),
        cmocka_unit_test(changes_can_be_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
