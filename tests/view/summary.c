/* SPDX-License-Identifier: Apache-2.0 */
/* A trace in total: counts, times, and the VM that each event belongs to. */
#include "view/summary.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct view_summary s;

static int begin(void **state)
{
    (void)state;
    memset(&s, 0, sizeof s);
    return 0;
}

static void line(const char *text)
{
    view_summary_line(&s, text, strlen(text));
}

static const struct view_row *row(enum view_section_id id, const char *label)
{
    for (u32 i = 0; i < s.tables[id].count; i++)
        if (!strcmp(s.tables[id].rows[i].label, label))
            return &s.tables[id].rows[i];
    fail_msg("there is no row %s in %s", label, view_section_names[id]);
    return NULL;
}

static void exits_are_counted_with_the_time_they_took(void **state)
{
    (void)state;
    line("1000 switch VMEXIT core=0 asid=1 vmcb=0x5000 code=0x72 info1=0x0 info2=0x0 rip=0x0");
    line("1500 switch VMEXIT core=1 asid=2 vmcb=0x6000 code=0x72 info1=0x0 info2=0x0 rip=0x0");
    line("4000 switch VMEXIT core=0 asid=1 vmcb=0x5000 code=0x400 info1=0x0 info2=0x0 rip=0x0");
    line("5000 switch VMEXIT core=0 asid=1 vmcb=0x5000 code=0x72 info1=0x0 info2=0x0 rip=0x0");
    const struct view_row *cpuid = row(VIEW_EXITS, "CPUID");
    assert_int_equal(cpuid->count, 3);
    assert_int_equal(cpuid->spent_ns, 1000 + 1500 + 1000);
    assert_int_equal(cpuid->first_ns, 1000);
    assert_int_equal(cpuid->last_ns, 5000);
    assert_int_equal(row(VIEW_EXITS, "NPF")->spent_ns, 3000);
    view_summary_sort(&s);
    assert_string_equal(s.tables[VIEW_EXITS].rows[0].label, "CPUID");
}

/* VMEXIT has an ASID and a VMCB, VMGEXIT a VM and a processor. */
static void events_find_their_vm(void **state)
{
    (void)state;
    line("0 vm CREATED vm=first asid=1 mode=sev-es memory=0x1000000 cpus=1");
    line("0 vm PROCESSOR vm=first cpu=0 asid=1 vmcb=0x5000 vmsa=0x7000");
    line("1 switch VMEXIT core=0 asid=1 vmcb=0x5000 code=0x403");
    line("2 switch VC core=0 asid=1 code=0x72");
    line("2 switch VMGEXIT vm=second cpu=0 asid=2 vmcb=0x6000 msr=0x4");
    line("3 switch VMEXIT core=0 asid=2 vmcb=0x6000 code=0x403");
    line("4 switch VMEXIT core=0 asid=9 vmcb=0x8000 code=0x403");
    assert_int_equal(row(VIEW_VMS, "first")->count, 4);
    assert_int_equal(row(VIEW_VMS, "second")->count, 2);
    assert_int_equal(row(VIEW_VMS, "asid 9")->count, 1);
    assert_int_equal(row(VIEW_REQUESTS, "MSR: CPUID")->count, 1);
    /* the ASID goes to another VM */
    line("5 vm CREATED vm=third asid=1 mode=sev-es memory=0x1000000 cpus=1");
    line("6 switch VC core=0 asid=1 code=0x72");
    assert_int_equal(row(VIEW_VMS, "third")->count, 2);
}

static void refusals_and_pages(void **state)
{
    (void)state;
    line("0 command ACTIVATE status=SUCCESS handle=1 asid=100");
    line("0 command ACTIVATE status=INVALID_ASID rule=\"no such ASID\"");
    line("1 page RMPUPDATE core=0 spa=0x0 result=3 state=Hypervisor asid=0 gpa=0x0 size=4K");
    line("1 page STATE vm=a gpa=0x200000 size=2M to=shared");
    line("2 page STATE vm=a gpa=0x0 size=4K to=shared refused");
    line("3 view PLACE spa=0x0 size=0x3000 to=asid1");
    assert_int_equal(row(VIEW_COMMANDS, "ACTIVATE")->count, 2);
    assert_int_equal(row(VIEW_COMMANDS, "ACTIVATE")->refused, 1);
    assert_int_equal(row(VIEW_PAGES, "RMPUPDATE Hypervisor")->refused, 1);
    assert_int_equal(row(VIEW_PAGES, "STATE shared")->pages, 513);
    assert_int_equal(row(VIEW_PAGES, "STATE shared")->refused, 1);
    assert_int_equal(row(VIEW_FLIPS, "PLACE asid1")->pages, 3);
}

static void lines_that_are_no_events_are_counted(void **state)
{
    (void)state;
    line("0 vm CREATED vm=a asid=1");
    line("softsev run: something");
    line("");
    assert_int_equal(s.lines, 3);
    assert_int_equal(s.events, 1);
    assert_int_equal(s.strange, 2);
    assert_int_equal(s.strange_line, 2);
}

static void tables_have_a_bound(void **state)
{
    char text[100];
    (void)state;
    for (u32 i = 0; i < 2 * VIEW_JOINS_MAX; i++) {
        snprintf(text, sizeof text, "%u vm N%u vm=vm%u asid=%u vmcb=0x%x000", i, i, i, i, i);
        line(text);
    }
    assert_int_equal(s.tables[VIEW_VMS].count, VIEW_ROWS_MAX);
    assert_int_equal(row(VIEW_VMS, "(all others)")->count,
                     2 * VIEW_JOINS_MAX - (VIEW_ROWS_MAX - 1));
    assert_int_equal(s.join_count, VIEW_JOINS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(exits_are_counted_with_the_time_they_took, begin),
        cmocka_unit_test_setup(events_find_their_vm, begin),
        cmocka_unit_test_setup(refusals_and_pages, begin),
        cmocka_unit_test_setup(lines_that_are_no_events_are_counted, begin),
        cmocka_unit_test_setup(tables_have_a_bound, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
