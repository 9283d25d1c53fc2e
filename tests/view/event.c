/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a trace, in both forms, back to the event that was written; and lines that are none. */
#include "view/event.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static bool read_line(const char *line, struct view_event *e)
{
    return view_read_line(line, strlen(line), e);
}

static void both_forms_give_the_event_back(void **state)
{
    static const struct trace_event events[] = {
        {TRACE_COMMAND, 0, "SNP_INIT_EX", "status=SUCCESS rmp=initialised snp=UNINIT>INIT"},
        {TRACE_COMMAND, 7, "0x1f", "status=INVALID_COMMAND rule=\"there is no command 0x1f\""},
        {TRACE_PAGE, ~0ull, "STATE", "vm=vm1 gpa=0x1000 size=4K to=shared refused"},
        {TRACE_KEY, 42, "LOAD", ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
        char text[400], json[400];
        struct view_event a, b;
        /* without the newline */
        const size_t n = trace_format_text(text, sizeof text, &events[i]) - 1;
        const size_t k = trace_format_json(json, sizeof json, &events[i]) - 1;
        assert_true(view_read_line(text, n, &a));
        assert_true(view_read_line(json, k, &b));
        assert_int_equal(a.category, events[i].category);
        assert_true(a.time_ns == events[i].time_ns);
        assert_string_equal(a.name, events[i].name);
        assert_string_equal(a.text, events[i].text);
        assert_int_equal(b.category, events[i].category);
        assert_true(b.time_ns == events[i].time_ns);
        assert_string_equal(b.name, events[i].name);
        assert_string_equal(b.text, events[i].text);
    }
}

static void lines_that_are_no_events(void **state)
{
    static const char *const lines[] = {
        "",
        " ",
        "12",
        "12 command",
        "12 command ",
        "-1 command INIT",
        "18446744073709551616 command INIT", /* 2^64 */
        "12 comman INIT",
        "12 command IN<b>",
        "12 command NAME_THAT_HAS_MORE_THAN_31_CHARACTERS a=1",
        "softsev run: the guest ended abnormally",
        "{}",
        "{\"time_ns\":1,\"category\":\"vm\"}",
        "{\"time_ns\":1,\"category\":\"vm\",\"event\":\"ENDED\"",
        "{\"time_ns\":1,\"category\":\"vm\",\"event\":\"ENDED\"} ",
        "{\"time_ns\":\"1\",\"category\":\"vm\",\"event\":\"ENDED\"}",
        "{\"time_ns\":1,\"category\":\"vm\",\"event\":\"ENDED\",\"why\":\"\\u12\"}",
        "{\"event\":\"step\",\"who\":\"owner\",\"text\":\"equal\"}",
    };
    struct view_event e;
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        if (read_line(lines[i], &e))
            fail_msg("this is an event: %s", lines[i]);
    }
    char nul[] = "12 command INIT a=1";
    nul[16] = 0;
    assert_false(view_read_line(nul, sizeof nul - 1, &e));
}

static void a_line_is_an_event_up_to_its_bound(void **state)
{
    static char line[VIEW_LINE_MAX + 1];
    static struct view_event e;
    (void)state;
    memset(line, 'x', sizeof line);
    memcpy(line, "12 vm ENDED ", 12);
    assert_true(view_read_line(line, VIEW_LINE_MAX - 1, &e));
    assert_int_equal(strlen(e.text), VIEW_LINE_MAX - 1 - 12);
    assert_false(view_read_line(line, VIEW_LINE_MAX, &e));
}

static void values_of_keys(void **state)
{
    struct view_event e;
    char value[VIEW_VALUE_MAX];
    u64 number;
    (void)state;
    assert_true(read_line("1 vm ENDED vm=a why=\"b vm=c\" n=0x1F big=18446744073709551615 "
                          "over=18446744073709551616 bad=0x empty= last",
                          &e));
    assert_true(view_value(&e, "vm", value));
    assert_string_equal(value, "a"); /* not the one inside of a text */
    assert_true(view_value(&e, "why", value));
    assert_string_equal(value, "b vm=c");
    assert_true(view_number(&e, "n", &number) && number == 0x1f);
    assert_true(view_number(&e, "big", &number) && number == ~0ull);
    assert_false(view_number(&e, "over", &number));
    assert_false(view_number(&e, "bad", &number));
    assert_false(view_number(&e, "vm", &number));
    assert_true(view_is(&e, "empty", ""));
    assert_true(view_is(&e, "last", ""));
    assert_false(view_value(&e, "none", value));
    assert_string_equal(value, "");
}

static void control_characters_do_not_come_through(void **state)
{
    struct view_event e;
    (void)state;
    assert_true(read_line("1 device FIRMWARE text=\"\x1b[2J\"", &e));
    assert_string_equal(e.text, "text=\"?[2J\"");
    assert_true(read_line("{\"time_ns\":1,\"category\":\"device\",\"event\":\"FIRMWARE\","
                          "\"text\":\"\\u001b[2J\\\" x=\\\"y\"}",
                          &e));
    assert_string_equal(e.text, "text=\"?[2J' x='y\"");
}

static void names_of_exits(void **state)
{
    static const struct {
        u64 code;
        const char *name;
    } rows[] = {{0x72, "CPUID"},
                {0x400, "NPF"},
                {~0ull, "INVALID"},
                {0x27, "DR7 read"},
                {0x4e, "exception 14"},
                {0x90, "CR0 write trap"},
                {0x80000011, "SNP guest request"},
                {0x12345, "0x12345"}};
    char name[VIEW_VALUE_MAX];
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        view_exit_name(rows[i].code, name);
        assert_string_equal(name, rows[i].name);
    }
}

static void sections_of_events(void **state)
{
    static const struct {
        const char *line, *section;
    } rows[] = {{"0 command SNP_LAUNCH_UPDATE status=SUCCESS", "[snp 5.2]"},
                {"0 command LAUNCH_MEASURE status=SUCCESS", "[sev 7.5]"},
                {"0 command PLATFORM_STATUS status=SUCCESS", "[sev 4.3]"},
                {"0 switch VC code=0x72", "[cpu 6.2]"}};
    struct view_event e;
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_true(read_line(rows[i].line, &e));
        assert_string_equal(view_section(&e), rows[i].section);
    }
    assert_true(read_line("0 owner STEP text=\"equal\"", &e));
    assert_null(view_section(&e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_forms_give_the_event_back),
        cmocka_unit_test(lines_that_are_no_events),
        cmocka_unit_test(a_line_is_an_event_up_to_its_bound),
        cmocka_unit_test(values_of_keys),
        cmocka_unit_test(control_characters_do_not_come_through),
        cmocka_unit_test(names_of_exits),
        cmocka_unit_test(sections_of_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
